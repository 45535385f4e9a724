//! Transport: from a TCP connection to one tonic call, in any protocol.
//!
//! `server` accepts connections and `stack` lists the middleware in order. `identify` finds the
//! protocol and the route of a request and stores them as data (`call`). `protocol` translates
//! gRPC-Web, Connect and JSON to gRPC, `rest` serves other products' REST contracts, and `refuse`
//! writes an error in the client's protocol. `rpc` holds the tonic services, `status` maps errors
//! to statuses, and `system` serves probes, metrics and pages. Transport contains no domain rules.

/// Sets a generated server's message limits and compression.
macro_rules! bounded {
    ($server:expr, $http:expr) => {
        $server
            .max_decoding_message_size($http.max_request_bytes)
            .max_encoding_message_size($http.max_response_bytes)
            .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
            .send_compressed(tonic::codec::CompressionEncoding::Gzip)
    };
}

mod body;
pub mod call;
mod endpoint;
mod fair_semaphore;
mod identify;
pub mod layers;
mod maybe_caller;
mod methods;
pub mod metrics;
mod middleware;
pub mod peer;
pub mod protocol;
mod refuse;
pub mod rest;
pub mod rpc;
pub mod server;
pub mod services;
pub mod stack;
mod status;
pub mod system;

/// A request inside the stack; the body's concrete type is erased.
pub type Request = http::Request<tonic::body::Body>;

/// A response inside the stack.
pub type Response = http::Response<tonic::body::Body>;
