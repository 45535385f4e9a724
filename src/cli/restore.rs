//! `guestlist restore`

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::Failure;
use super::backup::summary;
use super::store::{block_on, print};
use crate::app;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::Timestamp;
use crate::error::{Error, Kind, Result};
use crate::storage::{self, Location, Replace};

/// Restores a backup as the store. An existing store is replaced only if `replace` is set.
pub(super) fn restore(config: &Config, file: &Path, replace: bool) -> Result<(), Failure> {
    let Location::Sqlite(store) = Location::from_config(config)? else {
        let message = "the store is on PostgreSQL: restore a dump with pg_restore or psql";
        return Err(Error::new(Kind::FailedPrecondition, message).into());
    };
    let replace = Replace { is_allowed: replace, suffix: suffix(SystemClock.now()) };
    let restored = block_on(storage::restore(file, &store, &replace, |fingerprint| {
        fingerprint.map_or(Ok(()), |fingerprint| app::require_secret_key(config, fingerprint))
    }))?;
    let mut lines = vec![format!("restored {}: {}", store.display(), summary(&restored.rows))];
    if let Some(kept) = restored.kept {
        lines.push(format!("the store that was there before is at {}", kept.display()));
    }
    print(&lines.join("\n"))
}

/// The suffix of the name under which a replaced store is kept, such as
/// `.before-restore-20260131T235959.123456Z`.
fn suffix(now: Timestamp) -> String {
    let since = Duration::from_micros(now.as_micros().unsigned_abs());
    let time = humantime::format_rfc3339_micros(UNIX_EPOCH + since).to_string();
    format!(".before-restore-{}", time.replace(['-', ':'], ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_of_a_replaced_store_contains_the_time() {
        let now = Timestamp::from_micros(1_769_903_999_123_456);
        assert_eq!(suffix(now), ".before-restore-20260131T235959.123456Z");
    }
}
