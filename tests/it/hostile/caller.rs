//! A well-behaved client: it calls over a connection that stays open, and over new ones.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use guestlist::proto::guestlist::v1::account_service_client::AccountServiceClient;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

use crate::support::own::GetCallerRequest;

pub struct Caller {
    addr: SocketAddr,
    key: String,
    kept: AccountServiceClient<Channel>,
}

/// The durations of calls.
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn add(&mut self, more: Latencies) {
        self.0.extend(more.0);
    }

    /// The longest duration of the fastest 99 of 100 calls.
    pub fn p99(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() - 1) * 99 / 100]
    }
}

impl Caller {
    pub async fn new(addr: SocketAddr, key: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{addr}")).unwrap();
        let kept = AccountServiceClient::new(endpoint.connect().await.unwrap());
        Self { addr, key: key.to_owned(), kept }
    }

    /// Makes calls one after another, in turn over gRPC on the connection that stays open and over
    /// Connect on a new one. Every call must succeed.
    pub async fn calls(&mut self, count: usize) -> Latencies {
        let mut latencies = Vec::new();
        for n in 0..count {
            let since = Instant::now();
            if n % 2 == 0 {
                self.over_open_connection().await;
            } else {
                self.over_new_connection().await;
            }
            latencies.push(since.elapsed());
        }
        Latencies(latencies)
    }

    /// The same, only over the connection that stays open.
    pub async fn calls_over_kept(&mut self, count: usize) -> Latencies {
        let mut latencies = Vec::new();
        for _ in 0..count {
            let since = Instant::now();
            self.over_open_connection().await;
            latencies.push(since.elapsed());
        }
        Latencies(latencies)
    }

    /// Whether the server accepts a new connection, and not only for probes.
    pub async fn is_served(&self) -> bool {
        let attempt = async {
            let stream = TcpStream::connect(self.addr).await?;
            stream.set_nodelay(true)?;
            let io = TokioIo::new(stream);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
            tokio::spawn(connection);
            let request = http::Request::get("/").header("host", "x");
            let answer = sender.send_request(request.body(Full::<Bytes>::default())?).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer.status())
        };
        attempt.await.is_ok_and(|status| status == 200)
    }

    async fn over_open_connection(&mut self) {
        let mut request = tonic::Request::new(GetCallerRequest {});
        let key = format!("Bearer {}", self.key).parse().unwrap();
        request.metadata_mut().insert("authorization", key);
        let answer = self.kept.get_caller(request).await.expect("the server responds");
        assert!(answer.into_inner().account.is_some());
    }

    async fn over_new_connection(&self) {
        let stream = TcpStream::connect(self.addr).await.expect("the server accepts connections");
        stream.set_nodelay(true).unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post("/guestlist.v1.AccountService/GetCaller")
            .header("host", "x")
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(b"{}")))
            .unwrap();
        let answer = sender.send_request(request).await.expect("the server responds");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("the body is complete").to_bytes();
        assert_eq!(status, 200, "{body:?}");
    }
}
