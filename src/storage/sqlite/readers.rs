//! The connections that read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};

use super::connection::Connection;
use super::lists::Lists;
use crate::storage::PoolSize;

/// Connections that read, each as of the last commit when its statement begins.
/// Clones share them.
#[derive(Clone)]
pub struct Readers {
    /// For what is found by a key.
    quick: Arc<Shared>,
    /// For what may take long.
    long: Arc<Lists>,
    /// Whether statements may take long, and run on threads that are there to be
    /// waited for.
    are_long: bool,
}

struct Shared {
    connections: Box<[Connection]>,
    next: AtomicUsize,
}

impl Readers {
    /// Opens that many, and as many as there are threads to use them: half of them for
    /// what may take long. `patience` is how long a statement waits for another process's
    /// lock, and a long one for a connection.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(path: &Path, least: u32, patience: Duration) -> Result<Self, DbErr> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let number = threads.max(usize::try_from(least).unwrap_or(threads)).max(2);
        let long = number / 2;
        let quick = opened(number - long, || Connection::open_to_read(path, patience))?;
        let quick = Arc::new(Shared { connections: quick, next: AtomicUsize::new(0) });
        let long = opened(long, || Connection::open_mapped(path, patience))?;
        Ok(Self { quick, long: Lists::new(long, patience), are_long: false })
    }

    /// Those for statements that may take long.
    pub fn long(&self) -> Self {
        Self { are_long: true, ..self.clone() }
    }

    /// How many there are.
    pub fn size(&self) -> PoolSize {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let idle = self.all().filter(|connection| connection.is_idle()).count();
        PoolSize { open: count(self.all().count()), idle: count(idle) }
    }

    /// Closes them all, each after what runs on it.
    ///
    /// # Errors
    /// If one does not close in order.
    pub fn close(&self) -> Result<(), DbErr> {
        self.all().try_for_each(Connection::close)
    }

    fn all(&self) -> impl Iterator<Item = &Connection> {
        self.quick.connections.iter().chain(self.long.connections())
    }

    async fn query(&self, statement: Statement, most: usize) -> Result<Vec<QueryResult>, DbErr> {
        match self.are_long {
            true => self.long.query(statement, most).await,
            false => self.any().query(&statement, most),
        }
    }

    /// One for short statements that nobody uses, or the next in turn.
    fn any(&self) -> &Connection {
        let Shared { connections, next } = &*self.quick;
        let first = next.fetch_add(1, Ordering::Relaxed);
        let in_turn = |i: usize| &connections[(first.wrapping_add(i)) % connections.len()];
        let idle = (0..connections.len()).map(in_turn).find(|connection| connection.is_idle());
        idle.unwrap_or_else(|| in_turn(0))
    }
}

fn opened(
    number: usize,
    open: impl Fn() -> Result<Connection, DbErr>,
) -> Result<Box<[Connection]>, DbErr> {
    (0..number).map(|_| open()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_statements_alone_see_the_file_mapped_however_large_it_grows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guestlist.db");
        std::fs::File::create_new(&path).unwrap();
        let writer = Connection::open(&path, Duration::ZERO).unwrap();
        writer.run("CREATE TABLE one (id INTEGER)").unwrap();

        let readers = Readers::open(&path, 1, Duration::ZERO).unwrap();
        for (readers, mapped) in [(readers.clone(), 0_i64), (readers.long(), 1 << 40)] {
            let asked = Statement::from_string(DbBackend::Sqlite, "PRAGMA mmap_size");
            let row = readers.query_one_raw(asked).await.unwrap().unwrap();
            assert_eq!(row.try_get::<i64>("", "mmap_size").unwrap(), mapped);
        }
        readers.close().unwrap();
        writer.close().unwrap();
    }
}
