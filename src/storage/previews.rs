//! Previews as they were read, where nobody else writes: they are asked most of all.
//!
//! On SQLite every change of an invite or an organization is made by this process: a
//! lock keeps a second server off the file, and the command line beside it changes keys
//! and accounts alone. So what was read holds until this process commits something,
//! exactly so long. On PostgreSQL there may be replicas: nothing is kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::invites::{self, Preview};
use super::tx::{Db, Readers};
use crate::domain::{SecretHash, Timestamp};
use crate::error::Result;

/// However quiet it is, no longer: somebody may have edited the file by hand.
const AGE: Duration = Duration::from_secs(1);

/// Previews at most; about 300 bytes each.
const ROOM: usize = 20_000;

/// See the module.
pub(super) struct Previews(Cache<Box<[u8]>, Kept>);

#[derive(Clone)]
struct Kept {
    preview: Arc<Preview>,
    /// How many commits there were when reading began.
    commits: u64,
    read_at: Instant,
}

impl Previews {
    /// What the live invite with this token leads to.
    pub(super) async fn find(
        &self,
        db: &Db,
        hash: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<Arc<Preview>>> {
        if matches!(db.engine, Readers::Postgres(_)) {
            return Ok(invites::preview(db, hash, now).await?.map(Arc::new));
        }
        // Before the look: what is committed while it is read makes it old at once.
        let (commits, read_at) = (db.watching.commits.load(Ordering::SeqCst), Instant::now());
        let kept = self.0.get(hash.as_bytes()).filter(|kept| {
            kept.commits == commits && read_at.saturating_duration_since(kept.read_at) < AGE
        });
        if let Some(kept) = kept {
            // Time passes without a commit.
            let lives = kept.preview.expires_at.is_none_or(|end| now < end);
            return Ok(lives.then_some(kept.preview));
        }
        let Some(preview) = invites::preview(db, hash, now).await?.map(Arc::new) else {
            return Ok(None);
        };
        let kept = Kept { preview: Arc::clone(&preview), commits, read_at };
        self.0.insert(hash.as_bytes().into(), kept);
        Ok(Some(preview))
    }
}

impl Default for Previews {
    fn default() -> Self {
        Self(Cache::new(ROOM))
    }
}
