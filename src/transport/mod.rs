//! The door: from a connection to one tonic call, whatever protocol it speaks.
//!
//! `server` accepts, `stack` lists the layers in order, `protocol` translates,
//! `rest` serves other products' REST contracts, `status` says what a client
//! sees of an error, `maybe_caller` who asks, `system` is what operators and probes ask
//! for. Nothing here knows a rule of the domain.

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

pub mod layers;
pub mod maybe_caller;
pub mod protocol;
pub mod rest;
pub mod rpc;
pub mod server;
pub mod services;
mod shares;
pub mod stack;
pub mod status;
pub mod system;

/// A request inside the door; the body's concrete type is erased on the way in.
pub type Request = http::Request<tonic::body::Body>;

/// An answer inside the door.
pub type Response = http::Response<tonic::body::Body>;
