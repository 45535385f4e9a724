//! Reflection, v1 and v1alpha: grpcurl and its like find out what there is.

use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

/// Adds both reflection services for everything in these encoded descriptor sets.
pub fn add(routes: Routes, descriptor_sets: &[&[u8]]) -> Result<Routes, Error> {
    let builder = || {
        descriptor_sets
            .iter()
            .fold(Builder::configure().include_reflection_service(false), |builder, set| {
                builder.register_encoded_file_descriptor_set(set)
            })
    };
    Ok(routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?))
}
