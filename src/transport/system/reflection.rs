//! Reflection, v1 and v1alpha: grpcurl and its like find out what there is.

use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

use crate::config::Http;

/// Adds both reflection services for everything in these encoded descriptor sets.
pub fn add(routes: Routes, descriptor_sets: &[&[u8]], http: &Http) -> Result<Routes, Error> {
    let builder = || {
        descriptor_sets
            .iter()
            .fold(Builder::configure().include_reflection_service(false), |builder, set| {
                builder.register_encoded_file_descriptor_set(set)
            })
    };
    let (v1, v1alpha) = (builder().build_v1()?, builder().build_v1alpha()?);
    Ok(routes.add_service(bounded!(v1, http)).add_service(bounded!(v1alpha, http)))
}
