//! One client for each protocol, behind one method. It takes the bytes of a protobuf message, and
//! returns the bytes of the response or a [`Failure`].

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt, unfold};
use guestlist::proto::FILE_DESCRIPTOR_SET;
use http::uri::PathAndQuery;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use tonic::client::{Grpc, GrpcService};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{Ascii, MetadataKey};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use tonic_web::GrpcWebClientLayer;
use tower::Layer;

/// The protocols of every RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    GrpcWeb,
    ConnectProto,
    ConnectJson,
}

impl Protocol {
    pub const ALL: [Protocol; 4] =
        [Protocol::Grpc, Protocol::GrpcWeb, Protocol::ConnectProto, Protocol::ConnectJson];
}

/// The error that a client receives when a call fails. It is the same over every protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    pub message: String,
    /// `google.rpc.ErrorInfo.reason`
    pub reason: String,
    /// The fields of `google.rpc.BadRequest`.
    pub fields: Vec<String>,
    /// `google.rpc.RetryInfo`
    pub retry_after: Option<Duration>,
}

/// The messages of a stream; an error ends it.
pub type Messages = BoxStream<'static, Result<Vec<u8>, Failure>>;

/// A client of one server, over one protocol.
#[derive(Clone)]
pub struct Client {
    pub addr: SocketAddr,
    pub protocol: Protocol,
}

/// A plain HTTP/1.1 client.
pub type Http<B> = hyper_util::client::legacy::Client<HttpConnector, B>;

pub fn http<B>() -> Http<B>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    // The server closes a connection on which nothing was sent for some seconds. The client has
    // such connections when it opens one while another becomes free, so it closes them first.
    hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(1))
        .build(connector)
}

pub static DESCRIPTORS: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap());

/// The descriptor of the method with the path `/package.Service/Method`.
pub fn method(path: &str) -> MethodDescriptor {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap();
    let service = DESCRIPTORS.get_service_by_name(service).expect("a known service");
    service.methods().find(|m| m.name() == method).expect("a known method")
}

impl Client {
    pub fn new(addr: SocketAddr, protocol: Protocol) -> Self {
        Self { addr, protocol }
    }

    /// Returns the response. For a streaming method, returns the first message and then closes the
    /// stream.
    pub async fn unary(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
        message: Vec<u8>,
    ) -> Result<Vec<u8>, Failure> {
        if method(path).is_server_streaming() {
            let mut stream = self.stream(path, headers, message).await?;
            return stream.next().await.expect("a stream has a message or an error");
        }
        match self.protocol {
            Protocol::Grpc => {
                let endpoint = Channel::from_shared(format!("http://{}", self.addr)).unwrap();
                let channel = endpoint.connect().await.expect("the server accepts connections");
                grpc(Grpc::new(channel), path, headers, message).await
            }
            Protocol::GrpcWeb => {
                let service = GrpcWebClientLayer::new().layer(http());
                let origin = format!("http://{}", self.addr).parse().unwrap();
                grpc(Grpc::with_origin(service, origin), path, headers, message).await
            }
            Protocol::ConnectProto => {
                let answer = self.connect(path, headers, "application/proto", message).await?;
                Ok(answer)
            }
            Protocol::ConnectJson => {
                let method = method(path);
                let message = DynamicMessage::decode(method.input(), message.as_slice()).unwrap();
                let json = serde_json::to_vec(&message).unwrap();
                let answer = self.connect(path, headers, "application/json", json).await?;
                let mut json = serde_json::Deserializer::from_slice(&answer);
                let answer = DynamicMessage::deserialize(method.output(), &mut json)
                    .expect("the response has the method's type");
                Ok(answer.encode_to_vec())
            }
        }
    }

    /// The messages of a streaming method.
    pub async fn stream(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
        message: Vec<u8>,
    ) -> Result<Messages, Failure> {
        match self.protocol {
            Protocol::Grpc => {
                let endpoint = Channel::from_shared(format!("http://{}", self.addr)).unwrap();
                let channel = endpoint.connect().await.expect("the server accepts connections");
                grpc_stream(Grpc::new(channel), path, headers, message).await
            }
            Protocol::GrpcWeb => {
                let service = GrpcWebClientLayer::new().layer(http());
                let origin = format!("http://{}", self.addr).parse().unwrap();
                grpc_stream(Grpc::with_origin(service, origin), path, headers, message).await
            }
            Protocol::ConnectProto => self.connect_stream(path, headers, message).await,
            Protocol::ConnectJson => {
                let method = method(path);
                let message = DynamicMessage::decode(method.input(), message.as_slice()).unwrap();
                let json = serde_json::to_vec(&message).unwrap();
                let messages = self.connect_stream(path, headers, json).await?;
                let messages = messages.map(move |message| {
                    let json: serde_json::Value = serde_json::from_slice(&message?).unwrap();
                    let answer = DynamicMessage::deserialize(method.output(), json);
                    Ok(answer.expect("the message has the method's type").encode_to_vec())
                });
                Ok(messages.boxed())
            }
        }
    }

    async fn connect_stream(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
        message: Vec<u8>,
    ) -> Result<Messages, Failure> {
        let codec = if self.protocol == Protocol::ConnectJson { "json" } else { "proto" };
        let mut request = http::Request::post(format!("http://{}{path}", self.addr))
            .header("content-type", format!("application/connect+{codec}"))
            .header("connect-protocol-version", "1");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut framed = vec![0];
        framed.put_u32(message.len().try_into().unwrap());
        framed.extend(message);
        let body = Full::new(Bytes::from(framed));
        let answer = http().request(request.body(body).unwrap()).await.expect("the server replies");
        assert_eq!(answer.status(), 200, "errors of a stream are in its last message");
        let frames = (BytesMut::new(), answer.into_body());
        let messages = unfold(frames, |(mut buffer, mut body)| async {
            loop {
                let length =
                    buffer.get(1..5).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
                if let Some(length) = length.filter(|length| buffer.len() >= 5 + *length as usize) {
                    let mut frame = buffer.split_to(5 + length as usize);
                    let flags = frame.get_u8();
                    frame.advance(4);
                    if flags & 2 == 0 {
                        return Some((Ok(frame.to_vec()), (buffer, body)));
                    }
                    let end: serde_json::Value = serde_json::from_slice(&frame).unwrap();
                    let error = end.get("error")?;
                    let failure = Failure::from_connect(error.to_string().as_bytes());
                    return Some((Err(failure), (buffer, body)));
                }
                match body.frame().await {
                    Some(Ok(frame)) => buffer.extend(frame.into_data().expect("no trailers")),
                    Some(Err(error)) => panic!("the stream broke: {error}"),
                    None => return None,
                }
            }
        });
        Ok(messages.boxed())
    }

    async fn connect(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, Failure> {
        let mut request = http::Request::post(format!("http://{}{path}", self.addr))
            .header("content-type", content_type)
            .header("connect-protocol-version", "1");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let body = Full::new(Bytes::from(body));
        let answer = http().request(request.body(body).unwrap()).await.expect("the server replies");
        let status = answer.status();
        let answered = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let body = answer.into_body().collect().await.expect("the response is complete").to_bytes();
        if status.is_success() {
            assert_eq!(answered, content_type);
            return Ok(body.to_vec());
        }
        assert_eq!(answered, "application/json", "errors of Connect are JSON");
        Err(Failure::from_connect(&body))
    }
}

async fn grpc<S>(
    mut client: Grpc<S>,
    path: &str,
    headers: &[(&'static str, String)],
    message: Vec<u8>,
) -> Result<Vec<u8>, Failure>
where
    S: GrpcService<tonic::body::Body>,
    S::Error: std::fmt::Debug,
    S::ResponseBody: http_body::Body + Send + 'static,
    <S::ResponseBody as http_body::Body>::Error:
        Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut request = Request::new(message);
    for (name, value) in headers {
        let name: MetadataKey<Ascii> = name.parse().unwrap();
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    client.ready().await.map_err(Into::into).expect("the server accepts connections");
    let path: PathAndQuery = path.parse().unwrap();
    match client.unary(request, path, BytesCodec).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) => Err(Failure::from(status)),
    }
}

async fn grpc_stream<S>(
    mut client: Grpc<S>,
    path: &str,
    headers: &[(&'static str, String)],
    message: Vec<u8>,
) -> Result<Messages, Failure>
where
    S: GrpcService<tonic::body::Body>,
    S::ResponseBody: http_body::Body + Send + 'static,
    <S::ResponseBody as http_body::Body>::Error:
        Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut request = Request::new(message);
    for (name, value) in headers {
        let name: MetadataKey<Ascii> = name.parse().unwrap();
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    client.ready().await.map_err(Into::into).expect("the server accepts connections");
    let path: PathAndQuery = path.parse().unwrap();
    let answer = client.server_streaming(request, path, BytesCodec).await?;
    Ok(answer.into_inner().map(|message| message.map_err(Failure::from)).boxed())
}

/// A codec that passes messages as bytes.
#[derive(Clone, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; from.remaining()];
        from.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let fields = details.bad_request().map(|bad| &bad.field_violations);
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
            fields: fields.into_iter().flatten().map(|v| v.field.clone()).collect(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }
}

impl Failure {
    /// From a Connect error. Its details are the parts of a gRPC status, which this function
    /// rebuilds.
    pub fn from_connect(body: &[u8]) -> Self {
        let error: serde_json::Value = serde_json::from_slice(body).expect("an error is JSON");
        let message = error["message"].as_str().unwrap_or_default().to_owned();
        let details = error["details"].as_array().cloned().unwrap_or_default();
        let any = |detail: &serde_json::Value| prost_types::Any {
            type_url: format!("type.googleapis.com/{}", detail["type"].as_str().unwrap()),
            value: STANDARD_NO_PAD.decode(detail["value"].as_str().unwrap()).unwrap(),
        };
        let code = code(error["code"].as_str().expect("an error has a code"));
        let status = tonic_types::pb::Status {
            code: code.into(),
            message: message.clone(),
            details: details.iter().map(any).collect(),
        };
        Status::with_details(code, message, status.encode_to_vec().into()).into()
    }
}

/// The code with this name in Connect.
fn code(name: &str) -> Code {
    (1..=16)
        .map(Code::from)
        .find(|code| {
            let snake: String = format!("{code:?}")
                .char_indices()
                .flat_map(|(i, c)| {
                    let dash = (i > 0 && c.is_uppercase()).then_some('_');
                    dash.into_iter().chain(c.to_lowercase())
                })
                .collect();
            snake == name || (name == "canceled" && *code == Code::Cancelled)
        })
        .unwrap_or_else(|| panic!("{name} is not a code of Connect"))
}
