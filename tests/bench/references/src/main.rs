//! References: servers that do the least that a call needs. tests/bench/run starts them
//! beside Guestlist and divides Guestlist's figures by theirs.
//!
//!     reference NAME --listen ADDRESS:PORT [--database URL]
//!
//! A reference prints one line of JSON with its address once it serves. It ends on SIGTERM.

mod echo;
mod echo_get;
mod postgres_sqlx;
mod sqlite_sqlx;

use std::error::Error;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use proto::organization_service_server::{OrganizationService, OrganizationServiceServer};

#[allow(missing_docs)]
mod proto {
    tonic::include_proto!("gitpod.v1");
}

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["echo", "--listen", address] => grpc(address, echo::Echo).await,
        ["echo-get", "--listen", address] => echo_get::serve(listen(address).await?).await,
        ["sqlite-sqlx", "--listen", address, "--database", url] => {
            grpc(address, sqlite_sqlx::Service::open(url).await?).await
        }
        ["postgres-sqlx", "--listen", address, "--database", url] => {
            grpc(address, postgres_sqlx::Service::open(url).await?).await
        }
        _ => Err("usage: reference echo|echo-get|sqlite-sqlx|postgres-sqlx --listen ADDRESS:PORT [--database URL]".into()),
    }
}

/// Serves one implementation with tonic's server.
async fn grpc(address: &str, service: impl OrganizationService) -> Outcome<()> {
    let listener = listen(address).await?;
    ready(&listener)?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .add_service(OrganizationServiceServer::new(service))
        .serve_with_incoming_shutdown(incoming, end_on_signal())
        .await?;
    Ok(())
}

async fn listen(address: &str) -> Outcome<TcpListener> {
    Ok(TcpListener::bind(address).await?)
}

/// Prints the line that the harness waits for.
fn ready(listener: &TcpListener) -> Outcome<()> {
    let line = serde_json::json!({ "address": listener.local_addr()?.to_string() });
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

async fn end_on_signal() {
    match signal(SignalKind::terminate()) {
        Ok(mut told) => {
            told.recv().await;
        }
        Err(error) => eprintln!("reference: cannot wait for SIGTERM: {error}"),
    }
}

/// Microseconds since the epoch, as all times in the store.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
