//! The code generated from `proto/`.

/// The descriptors of every service and message, with comments: a
/// `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The `.proto` files of these services: the path below `proto/`, and the text.
pub const SOURCES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sources.rs"));

pub mod gitpod {
    #[allow(clippy::all)]
    pub mod v1 {
        tonic::include_proto!("gitpod.v1");
    }
}

pub mod guestlist {
    #[allow(clippy::all)]
    pub mod v1 {
        tonic::include_proto!("guestlist.v1");
    }
}
