//! The connections that read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::connection::Connection;
use super::copy::{Rows, copy};
use super::lists::Lists;
use crate::error::Error;
use crate::storage::PoolSize;
use crate::storage::error::StoreError;
use crate::storage::statement::{Statement, StatementResult};

/// The sizes of the page caches of the connections for short statements, in KiB: the size of all
/// together, and the minimum for each. Every connection has its own cache.
const CACHE_KIB: i64 = 32 * 1024;
const MIN_CACHE_KIB: i64 = 2 * 1024;

/// Connections that read. Each statement reads the state of the last commit before it began. Clones
/// share the connections.
#[derive(Clone)]
pub struct Readers {
    /// For statements by a key, which run on the caller's thread.
    short: Arc<[Connection]>,
    next_short: Arc<AtomicUsize>,
    /// For statements that may take long, which run on blocking threads.
    lists: Arc<Lists>,
    are_for_lists: bool,
    path: Arc<Path>,
    max_wait: Duration,
}

impl Readers {
    /// Opens as many connections as there are processors, but at least `least` and at least two.
    /// Half of them are for lists. `max_wait` is the longest wait of a statement for another
    /// process's lock, and of a list for a connection.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(path: &Path, least: u32, max_wait: Duration) -> Result<Self, StoreError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let number = threads.max(usize::try_from(least).unwrap_or(threads)).max(2);
        let lists = number / 2;
        let short = number - lists;
        let cache = i64::try_from(short).map_or(0, |short| CACHE_KIB / short).max(MIN_CACHE_KIB);
        let short: Vec<_> = (0..short)
            .map(|_| Connection::open_to_read(path, max_wait)?.with_cache(cache))
            .collect::<Result<_, _>>()?;
        let lists: Vec<_> = (0..lists)
            .map(|_| Connection::open_mapped(path, max_wait))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            short: short.into(),
            next_short: Arc::default(),
            lists: Lists::new(lists, max_wait),
            are_for_lists: false,
            path: path.into(),
            max_wait,
        })
    }

    /// The same connections, for statements that may take long.
    pub fn for_lists(&self) -> Self {
        Self { are_for_lists: true, ..self.clone() }
    }

    /// Another connection, for a transaction that reads.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(in crate::storage) fn another(&self) -> Result<Connection, StoreError> {
        Connection::open_to_read(&self.path, self.max_wait)
    }

    /// Copies the database into an empty file; see [`copy`].
    pub(in crate::storage) fn copy(
        &self,
        to: &Path,
        progress: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<Rows, Error> {
        copy(&self.path, to, self.max_wait, progress)
    }

    /// The size of the log, which contains the changes that are not in the database file yet.
    pub fn log_bytes(&self) -> Option<u64> {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        std::fs::metadata(log).ok().map(|file| file.len())
    }

    /// The numbers of open and of idle connections.
    pub fn size(&self) -> PoolSize {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let idle = self.all().filter(|connection| connection.is_idle()).count();
        PoolSize { open: count(self.all().count()), idle: count(idle) }
    }

    /// Closes all connections, each after its running statement.
    ///
    /// # Errors
    /// If SQLite reports an error.
    pub fn close(&self) -> Result<(), StoreError> {
        self.all().try_for_each(Connection::close)
    }

    fn all(&self) -> impl Iterator<Item = &Connection> {
        self.short.iter().chain(self.lists.connections())
    }

    /// Runs a statement that reads.
    pub(in crate::storage) async fn run(
        &self,
        statement: Statement,
    ) -> Result<StatementResult, StoreError> {
        match self.are_for_lists {
            true => self.lists.run(statement).await,
            false => self.any().run(&statement),
        }
    }

    /// An idle connection for short statements, or else the next in turn.
    fn any(&self) -> &Connection {
        let first = self.next_short.fetch_add(1, Ordering::Relaxed);
        let in_turn = |i: usize| &self.short[first.wrapping_add(i) % self.short.len()];
        let idle = (0..self.short.len()).map(in_turn).find(|connection| connection.is_idle());
        idle.unwrap_or_else(|| in_turn(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_connections_for_lists_map_the_file_into_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guestlist.db");
        std::fs::File::create_new(&path).unwrap();
        let writer = Connection::open(&path, Duration::ZERO).unwrap();
        writer.batch("CREATE TABLE one (id INTEGER)").unwrap();

        let readers = Readers::open(&path, 1, Duration::ZERO).unwrap();
        for (readers, mapped) in [(readers.clone(), 0_i64), (readers.for_lists(), 1 << 40)] {
            let query = Statement::new("PRAGMA mmap_size", Vec::new());
            let row = &mut readers.run(query).await.unwrap().rows[0];
            assert_eq!(row.value::<i64>().unwrap(), mapped);
        }
        readers.close().unwrap();
        writer.close().unwrap();
    }
}
