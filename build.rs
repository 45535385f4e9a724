//! Compiles `proto/` into tonic stubs and one descriptor set.
//!
//! protox is a protobuf compiler in Rust, so the build needs no `protoc`. The embedded
//! bytes come from the compiler itself: encoding the parsed descriptors again would drop
//! extension options.

use std::error::Error;
use std::path::PathBuf;

const FILES: [&str; 16] = [
    "gitpod/v1/common.proto",
    "gitpod/v1/organization.proto",
    "guestlist/v1/account.proto",
    "guestlist/v1/admin.proto",
    "guestlist/v1/audit.proto",
    "guestlist/v1/domain.proto",
    "guestlist/v1/event.proto",
    "guestlist/v1/export.proto",
    "guestlist/v1/grant.proto",
    "guestlist/v1/invite.proto",
    "guestlist/v1/join_request.proto",
    "guestlist/v1/member.proto",
    "guestlist/v1/organization.proto",
    "guestlist/v1/page.proto",
    "guestlist/v1/sign_in.proto",
    "guestlist/v1/webhook.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;

    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    std::fs::write(out.join("sources.rs"), sources()?)?;

    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The files and their text, as a slice of Rust.
fn sources() -> Result<String, Box<dyn Error>> {
    let root = std::env::var("CARGO_MANIFEST_DIR")?;
    let lines = FILES
        .map(|file| format!("({file:?}, include_str!({:?})),", format!("{root}/proto/{file}")));
    Ok(format!("&[{}]", lines.concat()))
}
