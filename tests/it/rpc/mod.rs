//! Each RPC, as its callers see it: one file an RPC, over every protocol and on
//! both engines.

mod create_organization;
mod create_organization_invite;
mod delete_organization;
mod get_caller;
mod get_organization;
mod get_organization_invite;
mod get_organization_invite_summary;
mod join_organization;
mod leave_organization;
mod list_audit_events;
mod list_members;
mod list_my_organizations;
mod resolve_account;
mod set_role;
mod update_organization;
