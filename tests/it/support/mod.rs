//! The test harness.

pub mod certificates;
pub mod client;
pub mod cluster;
mod crowd;
pub mod databases;
pub mod direct_connection;
pub mod domains;
mod dump;
mod join_requests;
pub mod nameserver;
mod people;
pub mod program;
mod run;
mod server;

pub use client::{Failure, Protocol};
pub use databases::{Database, Engine};
pub use people::{Organization, Person, assert_rejected_within_a_second, link_to, pairs};
pub use program::{Installation, Server};
pub use run::{HANG, from_environment, run, run_installed, run_installed_on, run_with};
pub use server::{Settings, TestApp, trust_intranet};

pub use guestlist::proto::gitpod::v1 as gitpod;
pub use guestlist::proto::guestlist::v1 as own;
pub use tonic::Code;

/// Runs a behaviour over every protocol and on both engines: each combination is
/// a separate test, named `behaviour::protocol::engine`.
#[macro_export]
macro_rules! everywhere {
    ($($(#[$meta:meta])* async fn $name:ident($app:ident: TestApp) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn behaviour($app: &TestApp) $body

            $crate::everywhere!(@protocol grpc, Grpc);
            $crate::everywhere!(@protocol grpc_web, GrpcWeb);
            $crate::everywhere!(@protocol connect_proto, ConnectProto);
            $crate::everywhere!(@protocol connect_json, ConnectJson);
        }
    )+};
    (@protocol $module:ident, $protocol:ident) => {
        mod $module {
            use $crate::support::{Engine, Protocol, run};

            #[test]
            fn sqlite() {
                run(Engine::Sqlite, Protocol::$protocol, async |app| super::behaviour(app).await);
            }

            #[test]
            fn postgres() {
                run(Engine::Postgres, Protocol::$protocol, async |app| super::behaviour(app).await);
            }
        }
    };
}

/// Runs a behaviour that does not depend on the protocol, on both engines over gRPC.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($app:ident: TestApp) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn behaviour($app: &TestApp) $body

            #[test]
            fn sqlite() {
                $crate::support::run(
                    $crate::support::Engine::Sqlite,
                    $crate::support::Protocol::Grpc,
                    async |app| behaviour(app).await,
                );
            }

            #[test]
            fn postgres() {
                $crate::support::run(
                    $crate::support::Engine::Postgres,
                    $crate::support::Protocol::Grpc,
                    async |app| behaviour(app).await,
                );
            }
        }
    )+};
}

/// As `on_both_engines`, with these settings.
#[macro_export]
macro_rules! on_both_engines_with {
    ($settings:ident; $($name:ident: $behaviour:ident;)+) => {$(
        mod $name {
            use $crate::support::{Engine, Protocol, run_with};

            #[test]
            fn sqlite() {
                run_with(super::$settings, Engine::Sqlite, Protocol::Grpc, super::$behaviour);
            }

            #[test]
            fn postgres() {
                run_with(super::$settings, Engine::Postgres, Protocol::Grpc, super::$behaviour);
            }
        }
    )+};
}
