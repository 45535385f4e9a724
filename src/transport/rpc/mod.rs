//! The RPC services: one thin method an RPC, which reads the message, calls the
//! operation and writes the answer. Everything shared by all of them (who asks,
//! limits, deadlines, logs) has happened before, in `layers/`.

mod account_service;
mod admin_service;
mod audit_service;
mod convert;
mod grant_service;
mod invite_service;
mod member_service;
mod my_organization_service;
mod organization_service;

use tonic::{Request, Response, Status};

use crate::config;
use crate::error::Result;
use crate::operations::{Context, MaybeCaller, RequestContext};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::gitpod::v1 as gitpod;
use crate::proto::guestlist::v1 as guestlist;
use crate::transport::maybe_caller;
use crate::transport::services::Services;
use crate::transport::status::to_status;

/// What [`services`] serve, as encoded descriptor sets.
pub const DESCRIPTORS: &[&[u8]] = &[FILE_DESCRIPTOR_SET];

/// The previews of an invite, which a setting opens to callers without a credential.
pub const PREVIEWS: &[&str] = &[
    "/gitpod.v1.OrganizationService/GetOrganizationInviteSummary",
    "/guestlist.v1.InviteService/Preview",
];

/// Every RPC of the service, over gRPC.
pub fn services(cx: &Context, http: &config::Http) -> Services {
    use gitpod::organization_service_server::OrganizationServiceServer;
    use guestlist::account_service_server::AccountServiceServer;
    use guestlist::admin_service_server::AdminServiceServer;
    use guestlist::audit_service_server::AuditServiceServer;
    use guestlist::grant_service_server::GrantServiceServer;
    use guestlist::invite_service_server::InviteServiceServer;
    use guestlist::member_service_server::MemberServiceServer;
    use guestlist::organization_service_server::OrganizationServiceServer as MyOrganizationServer;

    let organizations = organization_service::Service(cx.clone());
    let mine = my_organization_service::Service(cx.clone());
    let accounts = account_service::Service(cx.clone());
    let audit = audit_service::Service(cx.clone());
    let invites = invite_service::Service(cx.clone());
    let grants = grant_service::Service(cx.clone());
    let members = member_service::Service(cx.clone());
    let admin = admin_service::Service(cx.clone());
    Services::default()
        .with(bounded!(OrganizationServiceServer::new(organizations), http))
        .with(bounded!(MyOrganizationServer::new(mine), http))
        .with(bounded!(AccountServiceServer::new(accounts), http))
        .with(bounded!(AuditServiceServer::new(audit), http))
        .with(bounded!(InviteServiceServer::new(invites), http))
        .with(bounded!(GrantServiceServer::new(grants), http))
        .with(bounded!(MemberServiceServer::new(members), http))
        .with(bounded!(AdminServiceServer::new(admin), http))
}

/// Takes a request apart: who asks, and the message. For methods that a setting
/// opens to callers without a credential.
fn open<T>(request: Request<T>) -> (MaybeCaller, T) {
    let (_, mut extensions, message) = request.into_parts();
    (maybe_caller::maybe_caller(&mut extensions), message)
}

/// The same where a caller is needed.
fn authenticated<T>(request: Request<T>) -> Result<(RequestContext, T)> {
    let (_, mut extensions, message) = request.into_parts();
    Ok((maybe_caller::authenticated(&mut extensions)?, message))
}

/// Writes an operation's answer.
async fn answer<T>(
    operation: impl Future<Output = Result<T>> + Send,
) -> std::result::Result<Response<T>, Status> {
    operation.await.map(Response::new).map_err(to_status)
}
