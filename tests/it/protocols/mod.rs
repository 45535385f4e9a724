//! The protocols as a client sees them, byte by byte: the responses to valid and to invalid input.

mod bad_bodies;
mod bad_headers;
mod bad_messages;
mod connect;
pub mod connection;
mod cors;
mod credentials;
mod deadlines;
mod fixture;
mod grpc;
mod grpc_json;
mod grpc_web;
mod logs;
mod no_access;
pub mod request;
mod stream_call;
mod streams;
mod system;
pub mod transport;
mod unfinished;

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzDecoder, GzEncoder};

use crate::support::{Engine, Protocol, TestApp, run};

/// `/package.Service/Method` of the RPCs that these tests call most.
mod rpc {
    pub const CREATE: &str = "/gitpod.v1.OrganizationService/CreateOrganization";
    pub const GET: &str = "/gitpod.v1.OrganizationService/GetOrganization";
    pub const JOIN: &str = "/gitpod.v1.OrganizationService/JoinOrganization";
    pub const LEAVE: &str = "/gitpod.v1.OrganizationService/LeaveOrganization";
    pub const LIST_MEMBERS: &str = "/gitpod.v1.OrganizationService/ListMembers";
    pub const SET_ROLE: &str = "/gitpod.v1.OrganizationService/SetRole";
    pub const PREVIEW: &str = "/gitpod.v1.OrganizationService/GetOrganizationInviteSummary";
    pub const AUDIT: &str = "/guestlist.v1.AuditService/ListAuditEvents";
    pub const MINE: &str = "/guestlist.v1.OrganizationService/ListMyOrganizations";
    pub const GET_CALLER: &str = "/guestlist.v1.AccountService/GetCaller";
}

/// Runs a behaviour that is the same on both engines, so one engine is enough.
fn with_app(behaviour: impl AsyncFn(&TestApp)) {
    run(Engine::Sqlite, Protocol::Grpc, behaviour);
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

fn gunzip(bytes: &[u8]) -> Bytes {
    let mut decoder = GzDecoder::new(Vec::new());
    decoder.write_all(bytes).unwrap();
    decoder.finish().unwrap().into()
}
