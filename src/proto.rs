//! Everything generated from `proto/`; nothing here is written by hand.

/// The descriptors of every service and message, with comments, as
/// `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The public contracts of `gitpod.v1`.
pub mod gitpod {
    /// `gitpod.v1`.
    #[allow(missing_docs, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("gitpod.v1");
    }
}

/// Guestlist's own services.
pub mod guestlist {
    /// `guestlist.v1`.
    #[allow(missing_docs, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("guestlist.v1");
    }
}
