//! The RPC services: one short method for each RPC, which reads the message, calls the operation
//! and writes the response. Authentication, limits, deadlines and logs are in `layers/`.

mod account_service;
mod admin_service;
mod audit_service;
mod convert;
mod domain_service;
mod event_service;
mod grant_service;
mod invite_service;
mod join_request_service;
mod member_service;
mod my_organization_service;
mod organization_service;
mod sign_in_service;
mod webhook_service;

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

/// The encoded descriptor sets of [`services`].
pub const DESCRIPTORS: &[&[u8]] = &[FILE_DESCRIPTOR_SET];

/// The methods that preview an invite. A setting opens them to callers without a credential.
pub const PREVIEWS: &[&str] = &[
    "/gitpod.v1.OrganizationService/GetOrganizationInviteSummary",
    "/guestlist.v1.InviteService/Preview",
];

/// The methods that never need a credential, because users sign in with them.
pub const SIGN_IN: &[&str] = &[
    "/guestlist.v1.SignInService/ListProviders",
    "/guestlist.v1.SignInService/BeginSignIn",
    "/guestlist.v1.SignInService/FinishSignIn",
    "/guestlist.v1.SignInService/RenewSignIn",
];

/// The methods that may wait for events.
pub const WAITING: &[&str] =
    &["/guestlist.v1.EventService/ListEvents", "/guestlist.v1.EventService/Watch"];

/// All of Guestlist's own services, over gRPC.
pub fn services(cx: &Context, http: &config::Http) -> Services {
    use gitpod::organization_service_server::OrganizationServiceServer;
    use guestlist::account_service_server::AccountServiceServer;
    use guestlist::admin_service_server::AdminServiceServer;
    use guestlist::audit_service_server::AuditServiceServer;
    use guestlist::domain_service_server::DomainServiceServer;
    use guestlist::event_service_server::EventServiceServer;
    use guestlist::grant_service_server::GrantServiceServer;
    use guestlist::invite_service_server::InviteServiceServer;
    use guestlist::join_request_service_server::JoinRequestServiceServer;
    use guestlist::member_service_server::MemberServiceServer;
    use guestlist::organization_service_server::OrganizationServiceServer as MyOrganizationServer;
    use guestlist::sign_in_service_server::SignInServiceServer;
    use guestlist::webhook_service_server::WebhookServiceServer;

    let organizations = organization_service::Service(cx.clone());
    let mine = my_organization_service::Service(cx.clone());
    let accounts = account_service::Service(cx.clone());
    let audit = audit_service::Service(cx.clone());
    let events = event_service::Service(cx.clone());
    let invites = invite_service::Service(cx.clone());
    let grants = grant_service::Service(cx.clone());
    let members = member_service::Service(cx.clone());
    let admin = admin_service::Service(cx.clone());
    let sign_in = sign_in_service::Service(cx.clone());
    let webhooks = webhook_service::Service(cx.clone());
    let domains = domain_service::Service(cx.clone());
    let requests = join_request_service::Service(cx.clone());
    Services::default()
        .with(bounded!(OrganizationServiceServer::new(organizations), http))
        .with(bounded!(MyOrganizationServer::new(mine), http))
        .with(bounded!(AccountServiceServer::new(accounts), http))
        .with(bounded!(AuditServiceServer::new(audit), http))
        .with(bounded!(EventServiceServer::new(events), http))
        .with(bounded!(InviteServiceServer::new(invites), http))
        .with(bounded!(GrantServiceServer::new(grants), http))
        .with(bounded!(MemberServiceServer::new(members), http))
        .with(bounded!(AdminServiceServer::new(admin), http))
        .with(bounded!(SignInServiceServer::new(sign_in), http))
        .with(bounded!(WebhookServiceServer::new(webhooks), http))
        .with(bounded!(DomainServiceServer::new(domains), http))
        .with(bounded!(JoinRequestServiceServer::new(requests), http))
}

/// The caller and the message of a request, for methods that need no credential.
fn open<T>(request: Request<T>) -> (MaybeCaller, T) {
    let (_, mut extensions, message) = request.into_parts();
    (maybe_caller::maybe_caller(&mut extensions), message)
}

/// The authenticated caller and the message of a request.
fn authenticated<T>(request: Request<T>) -> Result<(RequestContext, T)> {
    let (_, mut extensions, message) = request.into_parts();
    Ok((maybe_caller::authenticated(&mut extensions)?, message))
}

/// Runs an operation and converts its result to a response or a status.
async fn respond<T>(
    operation: impl Future<Output = Result<T>> + Send,
) -> std::result::Result<Response<T>, Status> {
    operation.await.map(Response::new).map_err(to_status)
}
