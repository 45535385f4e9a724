//! `guestlist.v1.AuditService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::operations::{Context, audit};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::audit_service_server::AuditService;

pub struct Service(pub Context);

#[tonic::async_trait]
impl AuditService for Service {
    async fn list_audit_events(
        &self,
        request: Request<pb::ListAuditEventsRequest>,
    ) -> Result<Response<pb::ListAuditEventsResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::list_audit_events(message)?;
            Ok(audit::list_audit_events(&self.0, &call, input).await?.into())
        })
        .await
    }
}
