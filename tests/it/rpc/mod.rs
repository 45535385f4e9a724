//! Each RPC, as its callers see it: one file an RPC, over every protocol and on
//! both engines.

mod create_link;
mod create_organization;
mod create_organization_invite;
mod decline;
mod delete_organization;
mod get;
mod get_caller;
mod get_organization;
mod get_organization_invite;
mod get_organization_invite_summary;
mod invite_by_email;
mod join_organization;
mod leave_organization;
mod list;
mod list_audit_events;
mod list_events;
mod list_grants;
mod list_members;
mod list_my_organizations;
mod preview;
mod resend;
mod resolve_account;
mod restore_member;
mod revoke;
mod set_member_role;
mod set_role;
mod set_seat_limit;
mod set_tier;
mod suspend_member;
mod update;
mod update_organization;
