//! Reflection, v1 and v1alpha: grpcurl and its like find out what there is.

use tonic_reflection::server::{Builder, Error};

use crate::config::Http;
use crate::transport::services::Services;

/// Adds both reflection services for everything in these encoded descriptor sets.
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
