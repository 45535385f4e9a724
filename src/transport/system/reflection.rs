//! gRPC reflection, v1 and v1alpha, for tools such as grpcurl.

use tonic_reflection::server::{Builder, Error};

use crate::config::Http;
use crate::transport::services::Services;

/// Adds both reflection services for the encoded descriptor sets.
pub fn add(services: Services, descriptor_sets: &[&[u8]], http: &Http) -> Result<Services, Error> {
    let builder = || {
        descriptor_sets
            .iter()
            .fold(Builder::configure().include_reflection_service(false), |builder, set| {
                builder.register_encoded_file_descriptor_set(set)
            })
    };
    let (v1, v1alpha) = (builder().build_v1()?, builder().build_v1alpha()?);
    Ok(services.with(bounded!(v1, http)).with(bounded!(v1alpha, http)))
}
