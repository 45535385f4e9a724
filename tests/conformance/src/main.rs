//! The server that the Connect project's conformance suite tests: Guestlist's own server
//! stack, unchanged, in front of the suite's service. The suite's runner starts one server for
//! each configuration, and kills it.

mod convert;
mod handlers;
mod trailers;

use std::error::Error;
use std::io::{Read, Write};
use std::sync::Arc;

use guestlist::config::Config;
use guestlist::domain::{
    Account, AccountId, AccountKind, Brand, Caller, Credential, Language, LoginProviderKind,
    Profile, RequestId, Timestamp,
};
use guestlist::transport::layers::authenticate::Authenticate;
use guestlist::transport::metrics::Metrics;
use guestlist::transport::server;
use guestlist::transport::server::tls::{Pem, Tls};
use guestlist::transport::services::Services;
use guestlist::transport::stack::{self, Parts, Stack};
use guestlist::transport::system::readiness::Readiness;
use guestlist::transport::system::{MetricsAccess, Pages};
use http::HeaderValue;
use prost::Message;
use tokio::net::TcpListener;

use self::handlers::Service;
use self::pb::conformance_service_server::ConformanceServiceServer;
use self::trailers::WithTrailers;

/// The suite's messages and its service.
mod pb {
    #![allow(missing_docs, clippy::all)]
    tonic::include_proto!("connectrpc.conformance.v1");
}

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

type Fallible<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Fallible<()> {
    let request = pb::ServerCompatRequest::decode(read()?.as_slice())?;
    let mut config = Config::reference();
    if request.message_receive_limit > 0 {
        config.http.max_request_bytes = usize::try_from(request.message_receive_limit)?;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stack = stack(&config)?;
    let creds = request.server_creds.filter(|_| request.use_tls).unwrap_or_default();
    let tls = if request.use_tls { Some(tls(&creds, request.client_tls_cert)?) } else { None };
    write(&pb::ServerCompatResponse {
        host: address.ip().to_string(),
        port: address.port().into(),
        pem_cert: creds.cert,
    })?;
    let counters = server::Counters::default();
    server::serve(listener, stack, &config.http, tls, counters, std::future::pending()).await;
    Ok(())
}

/// Guestlist's own TLS, with the certificates and the key from the runner.
fn tls(creds: &pb::TlsCreds, client_ca: Vec<u8>) -> Fallible<Tls> {
    Ok(Tls::new(&Pem {
        certificate: creds.cert.clone(),
        key: creds.key.clone().into(),
        client_ca: Some(client_ca).filter(|pem| !pem.is_empty()),
    })?)
}

/// Guestlist's own server stack, in front of the suite's service.
fn stack(config: &Config) -> Fallible<Stack> {
    use tonic::codec::CompressionEncoding::Gzip;

    let service = ConformanceServiceServer::new(Service)
        .max_decoding_message_size(config.http.max_request_bytes)
        .max_encoding_message_size(config.http.max_response_bytes)
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    Ok(stack::build(Parts {
        services: Services::default().with(WithTrailers(service)),
        descriptors: &[DESCRIPTORS],
        contracts: axum::Router::new(),
        authenticator: OneCaller(Arc::new(caller())),
        anonymous_methods: Vec::new(),
        metrics: Metrics::new(),
        metrics_access: MetricsAccess::NoOne,
        readiness: Readiness::new(),
        pages: Pages::new(&Brand::built_in(), Language::En, false),
        waiting_methods: &[],
        http: &config.http,
        events: &config.events,
        cors: &config.cors,
    })?)
}

/// Authenticates every request as the same caller: the suite sends no credentials, and it sends
/// more than callers without a credential may.
struct OneCaller(Arc<Caller>);

impl Authenticate for OneCaller {
    async fn authenticate(
        &self,
        _: Option<&HeaderValue>,
        _: Option<&HeaderValue>,
        _: &RequestId,
    ) -> guestlist::error::Result<Option<Arc<Caller>>> {
        Ok(Some(Arc::clone(&self.0)))
    }
}

fn caller() -> Caller {
    let profile = Profile {
        email: None,
        email_verified: false,
        name: String::new(),
        picture: String::new(),
        login_provider: String::new(),
        login_provider_kind: LoginProviderKind::Other,
    };
    let account = Account {
        id: AccountId::generate(Timestamp::from_micros(0)),
        issuer: "conformance".to_owned(),
        subject: "suite".to_owned(),
        kind: AccountKind::Service,
        profile,
        created_at: Timestamp::from_micros(0),
        updated_at: None,
    };
    Caller { account, acting: None, credential: Credential::Jwt }
}

/// Reads one message from standard input. The length comes before the message.
fn read() -> Fallible<Vec<u8>> {
    let mut input = std::io::stdin().lock();
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let mut message = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    input.read_exact(&mut message)?;
    Ok(message)
}

/// Writes one message to standard output. The length comes before the message.
fn write(message: &impl Message) -> Fallible<()> {
    let message = message.encode_to_vec();
    let mut output = std::io::stdout().lock();
    output.write_all(&u32::try_from(message.len())?.to_be_bytes())?;
    output.write_all(&message)?;
    Ok(output.flush()?)
}
