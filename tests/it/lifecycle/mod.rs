//! The program as a process: its first start, the command line while a server runs, and its
//! shutdown in order. (`durability` has the tests that kill it.)

mod backup;
mod demo;
mod erase;
mod first_start;
mod hostile;
mod import_page;
mod keys;
mod load;
mod moved_files;
mod reseal;
mod schema;
mod secret_key;
mod stop;
mod transfer;
mod upgrade;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use sea_orm::{ConnectionTrait, Statement};

use crate::support::client::http;
use crate::support::{Failure, Installation, Person, Server, gitpod};

/// Tests a behaviour of the program on both engines, with a separate test for each.
macro_rules! on_both_engines {
    ($(async fn $name:ident($at:ident: Installation) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn behaviour($at: &$crate::support::Installation) $body

            #[test]
            fn sqlite() {
                let engine = $crate::support::Engine::Sqlite;
                $crate::support::run_installed(engine, async |at| behaviour(at).await);
            }

            #[test]
            fn postgres() {
                let engine = $crate::support::Engine::Postgres;
                $crate::support::run_installed(engine, async |at| behaviour(at).await);
            }
        }
    )+};
}
use on_both_engines;

/// Polls until a condition holds; panics with `what` after a minute.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The names of all organizations in the store.
async fn organizations(at: &Installation) -> Vec<String> {
    column(at, "SELECT name FROM organizations ORDER BY name").await
}

/// The texts that a query returns, read from the database directly.
async fn column(at: &Installation, sql: &str) -> Vec<String> {
    let db = at.database.connect().await;
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    let texts = rows.unwrap().iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    db.close().await.unwrap();
    texts
}

/// Creates an organization; returns its id.
async fn create(person: &Person, name: &str) -> Result<String, Failure> {
    let request = gitpod::CreateOrganizationRequest { name: name.to_owned(), ..Default::default() };
    Ok(person.create_organization(request).await?.organization.unwrap().id)
}

/// The number of running requests, including this one.
async fn in_flight(server: &Server) -> u32 {
    let text = get(server, "/metrics").await.1;
    let line = text.lines().find_map(|line| line.strip_prefix("guestlist_requests_in_flight "));
    line.unwrap().parse().unwrap()
}

/// The status and the body of a page.
async fn get(server: &Server, path: &str) -> (u16, String) {
    let uri = format!("http://{}{path}", server.addr).parse().unwrap();
    let answer = http::<Empty<Bytes>>().get(uri).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn refuses_connections(server: &Server) -> bool {
    let connected = tokio::net::TcpStream::connect(server.addr).await;
    connected.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}
