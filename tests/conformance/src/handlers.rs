//! The suite's service: each request defines its response, and the response reports what
//! the service received.

use std::collections::VecDeque;
use std::time::Duration;

use prost_types::Any;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::convert::{any, headers, request_info, status};
use crate::pb;
use crate::pb::conformance_payload::RequestInfo;
use crate::pb::conformance_service_server::ConformanceService;
use crate::pb::unary_response_definition::Response as RequestedResponse;
use crate::trailers::Trailers;

/// See the module.
pub struct Service;

type Messages<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl ConformanceService for Service {
    async fn unary(
        &self,
        request: Request<pb::UnaryRequest>,
    ) -> Result<Response<pb::UnaryResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let requests = vec![any(&message)];
        let answer = single_response(&metadata, message.response_definition, requests).await?;
        Ok(answer.map(|payload| pb::UnaryResponse { payload: Some(payload) }))
    }

    async fn idempotent_unary(
        &self,
        request: Request<pb::IdempotentUnaryRequest>,
    ) -> Result<Response<pb::IdempotentUnaryResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let requests = vec![any(&message)];
        let answer = single_response(&metadata, message.response_definition, requests).await?;
        Ok(answer.map(|payload| pb::IdempotentUnaryResponse { payload: Some(payload) }))
    }

    async fn unimplemented(
        &self,
        _: Request<pb::UnimplementedRequest>,
    ) -> Result<Response<pb::UnimplementedResponse>, Status> {
        Err(Status::unimplemented("never implemented"))
    }

    async fn client_stream(
        &self,
        request: Request<Streaming<pb::ClientStreamRequest>>,
    ) -> Result<Response<pb::ClientStreamResponse>, Status> {
        let (metadata, _, mut messages) = request.into_parts();
        let (mut definition, mut requests) = (None, Vec::new());
        while let Some(message) = messages.message().await? {
            requests.push(any(&message));
            if requests.len() == 1 {
                definition = message.response_definition;
            }
        }
        let answer = single_response(&metadata, definition, requests).await?;
        Ok(answer.map(|payload| pb::ClientStreamResponse { payload: Some(payload) }))
    }

    type ServerStreamStream = Messages<pb::ServerStreamResponse>;

    async fn server_stream(
        &self,
        request: Request<pb::ServerStreamRequest>,
    ) -> Result<Response<Self::ServerStreamStream>, Status> {
        let (metadata, _, message) = request.into_parts();
        let requests = vec![any(&message)];
        let definition = message.response_definition.unwrap_or_default();
        let wrap = |payload| pb::ServerStreamResponse { payload: Some(payload) };
        Ok(stream_response(metadata, definition, wrap, |answers| answers.rest(requests)))
    }

    type BidiStreamStream = Messages<pb::BidiStreamResponse>;

    async fn bidi_stream(
        &self,
        request: Request<Streaming<pb::BidiStreamRequest>>,
    ) -> Result<Response<Self::BidiStreamStream>, Status> {
        let (metadata, _, mut messages) = request.into_parts();
        let first = messages.message().await?.unwrap_or_default();
        let mut requests = vec![any(&first)];
        let definition = first.response_definition.unwrap_or_default();
        let wrap = |payload| pb::BidiStreamResponse { payload: Some(payload) };
        if !first.full_duplex {
            while let Some(message) = messages.message().await? {
                requests.push(any(&message));
            }
        }
        Ok(stream_response(metadata, definition, wrap, async move |mut answers: Answers<_>| {
            while first.full_duplex && !answers.data.is_empty() {
                answers.next(std::mem::take(&mut requests)).await?;
                match messages.message().await {
                    Ok(Some(message)) => requests.push(any(&message)),
                    Ok(None) => break,
                    Err(status) => return answers.fail(status).await,
                }
            }
            answers.rest(requests).await
        }))
    }
}

/// The single response that a definition requests.
async fn single_response(
    metadata: &MetadataMap,
    definition: Option<pb::UnaryResponseDefinition>,
    requests: Vec<Any>,
) -> Result<Response<pb::ConformancePayload>, Status> {
    let definition = definition.unwrap_or_default();
    let info = request_info(metadata, requests);
    tokio::time::sleep(Duration::from_millis(definition.response_delay_ms.into())).await;
    let mut head = headers(&definition.response_headers);
    let trailers = headers(&definition.response_trailers);
    let data = match definition.response {
        Some(RequestedResponse::Error(error)) => {
            // With an error, tonic has one map for headers and trailers.
            head.extend(trailers);
            return Err(status(&error, Some(&info), head));
        }
        Some(RequestedResponse::ResponseData(data)) => data,
        None => Vec::new(),
    };
    let payload = pb::ConformancePayload { data, request_info: Some(info) };
    Ok(respond(payload, head, trailers))
}

fn respond<T>(message: T, head: http::HeaderMap, trailers: http::HeaderMap) -> Response<T> {
    let mut response = Response::new(message);
    *response.metadata_mut() = MetadataMap::from_headers(head);
    response.extensions_mut().insert(Trailers(trailers));
    response
}

/// A stream of the responses that `task` sends, with the headers and trailers of the definition.
fn stream_response<T, F>(
    metadata: MetadataMap,
    definition: pb::StreamResponseDefinition,
    wrap: fn(pb::ConformancePayload) -> T,
    task: impl FnOnce(Answers<T>) -> F,
) -> Response<Messages<T>>
where
    F: Future<Output = Result<(), Disconnected>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    let (head, trailers) =
        (headers(&definition.response_headers), headers(&definition.response_trailers));
    let info = request_info(&metadata, Vec::new());
    // If the caller disconnects, the task ends. Its error is ignored.
    tokio::spawn(task(Answers {
        info: Some(info),
        data: definition.response_data.into(),
        delay: Duration::from_millis(definition.response_delay_ms.into()),
        error: definition.error,
        wrap,
        sender,
    }));
    respond(ReceiverStream::new(receiver), head, trailers)
}

/// The responses that are not sent yet.
struct Answers<T> {
    /// Sent with the first response, or with the error if there is no response.
    info: Option<RequestInfo>,
    data: VecDeque<Vec<u8>>,
    delay: Duration,
    error: Option<pb::Error>,
    wrap: fn(pb::ConformancePayload) -> T,
    sender: mpsc::Sender<Result<T, Status>>,
}

/// The caller no longer receives the responses.
struct Disconnected;

impl<T> Answers<T> {
    /// Sends the next message, if there is one left.
    async fn next(&mut self, requests: Vec<Any>) -> Result<(), Disconnected> {
        let Some(data) = self.data.pop_front() else {
            return Ok(());
        };
        tokio::time::sleep(self.delay).await;
        let has_info = self.info.is_some() || !requests.is_empty();
        let info = RequestInfo { requests, ..self.info.take().unwrap_or_default() };
        let payload = pb::ConformancePayload { data, request_info: has_info.then_some(info) };
        self.sender.send(Ok((self.wrap)(payload))).await.map_err(|_| Disconnected)
    }

    /// Sends all remaining responses, and then the error if the definition requests one.
    async fn rest(mut self, mut requests: Vec<Any>) -> Result<(), Disconnected> {
        while !self.data.is_empty() {
            self.next(std::mem::take(&mut requests)).await?;
        }
        let Some(error) = self.error.take() else {
            return Ok(());
        };
        let info = self.info.take().map(|info| RequestInfo { requests, ..info });
        // `stream_response` has already set the trailers of the response, so the error has none.
        let status = status(&error, info.as_ref(), http::HeaderMap::new());
        self.fail(status).await
    }

    async fn fail(self, status: Status) -> Result<(), Disconnected> {
        self.sender.send(Err(status)).await.map_err(|_| Disconnected)
    }
}
