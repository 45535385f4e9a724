//! The callers' connection: gRPC over a connection that stays open. It separates the failures that
//! the server returns from those without a response of the server.

use std::net::SocketAddr;
use std::time::Duration;

use prost::Message;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::ledger::CallOutcome;
use crate::support::Failure;

/// The server's own timeout is far shorter, so a call that takes longer hangs.
const HANG: Duration = Duration::from_secs(30);

/// A connection and a key. Clones share both.
#[derive(Clone)]
pub struct GrpcClient {
    channel: Channel,
    bearer: MetadataValue<Ascii>,
}

/// The request id of a call, and the account on whose behalf it is made.
pub struct CallContext<'a> {
    pub request: &'a str,
    pub on_behalf_of: Option<&'a str>,
}

impl GrpcClient {
    pub fn new(addr: SocketAddr, key: &str) -> Self {
        let channel = Endpoint::from_shared(format!("http://{addr}")).unwrap().connect_lazy();
        Self { channel, bearer: format!("Bearer {key}").parse().unwrap() }
    }

    /// Sends a request once.
    pub async fn send<Q, A>(
        &self,
        context: &CallContext<'_>,
        path: &'static str,
        message: Q,
    ) -> Result<A, CallOutcome>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.bearer.clone());
        metadata.insert("x-request-id", context.request.parse().unwrap());
        if let Some(account) = context.on_behalf_of {
            metadata.insert("guestlist-on-behalf-of", account.parse().unwrap());
        }
        let mut grpc = Grpc::new(self.channel.clone());
        let call = async {
            grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let path = http::uri::PathAndQuery::from_static(path);
            grpc.unary(request, path, ProstCodec::<Q, A>::default()).await
        };
        let answer = tokio::time::timeout(HANG, call).await.expect("it returns in time");
        answer.map(tonic::Response::into_inner).map_err(failed)
    }
}

/// The server puts the request's id into each of its responses, so a failure without the id is a
/// failure of the connection. A response that breaks off after its head is one, too: its source is
/// the connection's error.
fn failed(status: Status) -> CallOutcome {
    let is_connection_error = std::error::Error::source(&status).is_some();
    if is_connection_error || !status.metadata().contains_key("x-request-id") {
        return CallOutcome::Unknown(format!("{:?}: {}", status.code(), status.message()));
    }
    let failure = Failure::from(status);
    // The server returns this if it does not know the result of a commit.
    if failure.code == Code::Unavailable && failure.message.contains("did not confirm") {
        return CallOutcome::Unknown(failure.message);
    }
    CallOutcome::Refused { code: format!("{:?}", failure.code), reason: failure.reason }
}
