//! Callers that create organizations one after another until the server accepts no more calls.
//! Each kind of caller uses connections in its own way.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use guestlist::proto::gitpod::v1::organization_service_client::OrganizationServiceClient;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::support::gitpod;

/// A gRPC client that keeps its connection.
pub type Client = OrganizationServiceClient<InterceptedService<Channel, Bearer>>;

/// Sends an API key with each call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A client of the server at this address, with this key.
pub fn client(addr: SocketAddr, key: &str) -> Client {
    let bearer = Bearer(format!("Bearer {key}").parse().unwrap());
    OrganizationServiceClient::with_interceptor(channel(addr), bearer)
}

/// A connection that opens when it is first used.
pub fn channel(addr: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{addr}")).unwrap().connect_lazy()
}

/// The state that the callers of one server share.
pub struct Load {
    addr: SocketAddr,
    key: String,
    next: AtomicU32,
    answered: Mutex<Vec<String>>,
    lost: Mutex<Vec<String>>,
}

/// Why a call got no response.
enum Unanswered {
    /// The server refused the connection, or rejected the call unprocessed: see
    /// [`was_not_processed`].
    NotProcessed,
    /// The call was sent, and its outcome is unknown.
    Lost(String),
}

type Outcome = Result<(), Unanswered>;

impl Load {
    pub fn new(addr: SocketAddr, key: String) -> Self {
        let (next, answered, lost) = Default::default();
        Self { addr, key, next, answered, lost }
    }

    /// The names of the organizations whose creation was acknowledged.
    pub fn answered(&self) -> Vec<String> {
        self.answered.lock().unwrap().clone()
    }

    /// What happened to the calls that were sent and got no response.
    pub fn lost(&self) -> Vec<String> {
        self.lost.lock().unwrap().clone()
    }

    /// A client, whose clones share one connection.
    pub fn client(&self) -> Client {
        client(self.addr, &self.key)
    }

    /// Over gRPC, with a client that shares its connection with its clones.
    pub async fn over_grpc(&self, mut client: Client) {
        loop {
            let name = self.next_name();
            let request =
                gitpod::CreateOrganizationRequest { name: name.clone(), ..Default::default() };
            let outcome = match client.create_organization(request).await {
                Ok(_) => Ok(()),
                Err(status) if was_not_processed(&status) => Err(Unanswered::NotProcessed),
                Err(status) => Err(lost("gRPC", &status)),
            };
            if !self.should_continue(name, outcome) {
                return;
            }
        }
    }

    /// Over HTTP/1.1, on a connection that is kept as long as the server keeps it.
    pub async fn over_kept_connection(&self) {
        let mut connection = None;
        loop {
            let name = self.next_name();
            let outcome = self.create_on(&mut connection, &name).await;
            if !self.should_continue(name, outcome) {
                return;
            }
        }
    }

    /// Over HTTP/1.1, on a new connection each time.
    pub async fn over_new_connections(&self) {
        loop {
            let name = self.next_name();
            let outcome = self.create_on(&mut None, &name).await;
            if !self.should_continue(name, outcome) {
                return;
            }
        }
    }

    fn next_name(&self) -> String {
        format!("organization {}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Records the outcome of a call; returns whether the caller should make another call.
    fn should_continue(&self, name: String, outcome: Outcome) -> bool {
        match outcome {
            Ok(()) => self.answered.lock().unwrap().push(name),
            Err(Unanswered::NotProcessed) => return false,
            Err(Unanswered::Lost(how)) => {
                self.lost.lock().unwrap().push(format!("{name}: {how}"));
                return false;
            }
        }
        true
    }

    async fn create_on(&self, kept: &mut Option<SendRequest<Full<Bytes>>>, name: &str) -> Outcome {
        loop {
            let sender = match kept {
                Some(sender) => sender,
                None => kept.insert(self.connect().await?),
            };
            match self.create(sender, name).await {
                // The connection was closed before the call was written.
                Err(error) if error.is_closed() || error.is_canceled() => *kept = None,
                outcome => return outcome.map_err(|error| lost("HTTP/1.1", &error)),
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Unanswered> {
        let stream = TcpStream::connect(self.addr).await.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => Unanswered::NotProcessed,
            _ => lost("connecting", &error),
        })?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|e| lost("connecting", &e))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn create(&self, sender: &mut SendRequest<Full<Bytes>>, name: &str) -> hyper::Result<()> {
        let body = serde_json::json!({ "name": name }).to_string();
        let request = http::Request::post("/gitpod.v1.OrganizationService/CreateOrganization")
            .header("host", self.addr.to_string())
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(Full::from(body))
            .unwrap();
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        assert_eq!(status, 200, "{body:?}");
        Ok(())
    }
}

fn lost(how: &str, error: &dyn std::fmt::Debug) -> Unanswered {
    Unanswered::Lost(format!("{how}: {error:?}"))
}

/// Whether the server refused the connection, or reported by GOAWAY that it did not process the
/// call (RFC 9113 §6.8), so that the client may send the call to another server.
pub fn was_not_processed(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
            || error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
            || error
                .downcast_ref::<h2::Error>()
                .is_some_and(|error| error.is_go_away() && error.is_remote())
        {
            return true;
        }
        cause = error.source();
    }
    false
}
