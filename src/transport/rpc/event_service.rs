//! `guestlist.v1.EventService`

use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::operations::{Context, events};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::event_service_server::EventService;

pub struct Service(pub Context);

#[tonic::async_trait]
impl EventService for Service {
    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let input = convert::list_events(message)?;
            let list = events::list_events(&self.0, &call, input).await?;
            convert::event_list(list)
        })
        .await
    }
}
