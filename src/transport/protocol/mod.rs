//! The translators from gRPC-Web, Connect and JSON to gRPC, which tonic serves.

mod connect;
mod frame;
pub mod json;
mod paging;
pub mod refuse;
pub mod router;
pub mod timeout;
mod transcode;

pub use frame::{FrameReader, Piece, trailers};

const NO_SUCH_METHOD: &str = "there is no such method";
