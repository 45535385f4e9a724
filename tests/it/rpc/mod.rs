//! Each RPC, as its callers see it: one file an RPC, over every protocol and on
//! both engines.

mod create_organization;
