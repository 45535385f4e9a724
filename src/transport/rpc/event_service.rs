//! `guestlist.v1.EventService`

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use super::{authenticated, convert, respond};
use crate::error::{Error, Result};
use crate::operations::{Context, WaitingCall, events};
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::event_service_server::EventService;
use crate::transport::status::to_status;

pub struct Service(pub Context);

#[tonic::async_trait]
impl EventService for Service {
    async fn list_events(
        &self,
        mut request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        respond(async {
            let waiting = waiting_call(&mut request)?;
            let (call, message) = authenticated(request)?;
            let input = convert::list_events(message)?;
            let list = events::list_events(&self.0, &call, input, &*waiting).await?;
            Ok(convert::event_list(list))
        })
        .await
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<pb::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        mut request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        respond(async {
            let waiting = waiting_call(&mut request)?;
            let (call, message) = authenticated(request)?;
            let query = convert::watch(message)?;
            let lists = events::watch(&self.0, &call, query, waiting).await?;
            let messages = lists.map(|list| list.map(convert::watch_response).map_err(to_status));
            Ok(Box::pin(messages) as Self::WatchStream)
        })
        .await
    }

    async fn list_state(
        &self,
        request: Request<pb::ListStateRequest>,
    ) -> Result<Response<pb::ListStateResponse>, Status> {
        respond(async {
            let (call, message) = authenticated(request)?;
            let (size, token) = convert::list_state(message)?;
            let list = events::list_state(&self.0, &call, size, &token).await?;
            Ok(convert::state_list(list))
        })
        .await
    }
}

/// The [`WaitingCall`] that admission inserted into the extensions of the request.
fn waiting_call<T>(request: &mut Request<T>) -> Result<Arc<dyn WaitingCall>> {
    let waiting = request.extensions_mut().remove();
    waiting.ok_or_else(|| Error::internal("the method is not one that may wait"))
}
