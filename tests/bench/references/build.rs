//! Compiles the contract's own messages, so that the references answer the same bytes.

use std::error::Error;

const PROTO: &str = "../../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}/gitpod");

    let files = protox::compile(["gitpod/v1/organization.proto"], [PROTO])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .build_client(false)
        // A reference has one call; the others are UNIMPLEMENTED.
        .generate_default_stubs(true)
        .compile_fds(files)?;
    Ok(())
}
