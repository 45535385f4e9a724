//! The connections that read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};

use super::connection::Connection;
use crate::storage::PoolSize;

/// Connections that read, each as of the last commit when its statement begins.
/// Clones share them.
#[derive(Clone)]
pub struct Readers {
    shared: Arc<Shared>,
    /// Whether statements may take long, and run on threads that are there to be
    /// waited for.
    are_long: bool,
}

struct Shared {
    connections: Box<[Connection]>,
    next: AtomicUsize,
}

impl Readers {
    /// Opens that many, and as many as there are threads to use them.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(path: &Path, least: u32, busy_timeout: Duration) -> Result<Self, DbErr> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let number = threads.max(usize::try_from(least).unwrap_or(threads));
        let connections = (0..number)
            .map(|_| Connection::open_to_read(path, busy_timeout))
            .collect::<Result<_, _>>()?;
        let shared = Arc::new(Shared { connections, next: AtomicUsize::new(0) });
        Ok(Self { shared, are_long: false })
    }

    /// The same for statements that may take long.
    pub fn long(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), are_long: true }
    }

    /// How many there are.
    pub fn size(&self) -> PoolSize {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let connections = &self.shared.connections;
        let idle = connections.iter().filter(|connection| connection.is_idle()).count();
        PoolSize { open: count(connections.len()), idle: count(idle) }
    }

    /// Closes them all, each after what runs on it.
    ///
    /// # Errors
    /// If one does not close in order.
    pub fn close(&self) -> Result<(), DbErr> {
        self.shared.connections.iter().try_for_each(Connection::close)
    }

    async fn query(&self, statement: Statement, most: usize) -> Result<Vec<QueryResult>, DbErr> {
        if !self.are_long {
            return self.any().query(&statement, most);
        }
        let readers = self.clone();
        let query = move || readers.any().query(&statement, most);
        let done = tokio::task::spawn_blocking(query).await;
        done.unwrap_or_else(|error| Err(DbErr::Custom(error.to_string())))
    }

    /// One that nobody uses, or the next in turn.
    fn any(&self) -> &Connection {
        let connections = &self.shared.connections;
        let first = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = |i: usize| &connections[(first.wrapping_add(i)) % connections.len()];
        let idle = (0..connections.len()).map(in_turn).find(|connection| connection.is_idle());
        idle.unwrap_or_else(|| in_turn(0))
    }
}

#[async_trait]
impl ConnectionTrait for Readers {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.any().execute(&statement)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.any().run(sql)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query(statement, 1).await?.pop())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.query(statement, usize::MAX).await
    }
}
