//! Finds out which cached values a change may have made outdated, on SQLite.
//!
//! A cached value depends on rows of one organization. A change locks or inserts an organization
//! before it changes rows of that organization, and each statement that changes these rows has the
//! organization's id among its values. So a statement outdates the cached values of each
//! organization that the change has locked or inserted and whose id is among the statement's
//! values. If there is no such organization, it outdates all cached values. So the code of a change
//! does not have to list what it outdates.
//!
//! Other processes may change the file too: for example, a command may erase an account while the
//! server runs. The writer checks for such changes a few times a second, and cached values are used
//! only while its last check is recent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::Value;
use uuid::Uuid;

use super::statement::Statement;

/// The tables whose rows are cached.
const TABLES: [&str; 3] = ["invites", "members", "organizations"];

/// How long cached values are used after a check for changes of other processes. It is shorter than
/// one second, as for keys: if another process ends something, it is shown for no longer than that.
const MAX_AGE: Duration = Duration::from_millis(900);

/// The number of shards. Several organizations share a shard, which holds the time of the last
/// change of any of them.
const SHARDS: usize = 4096;

/// The organizations whose cached values a change outdates.
#[derive(Debug, Default)]
pub(super) struct Outdated {
    locked: Vec<Uuid>,
    organizations: Vec<Uuid>,
    all: bool,
}

impl Outdated {
    /// The change locks or inserts this organization.
    pub(super) fn lock(&mut self, organization: Uuid) {
        self.locked.push(organization);
    }

    /// The change runs statements that this module does not see.
    pub(super) fn all(&mut self) {
        self.all = true;
    }

    /// The change runs this statement.
    pub(super) fn run(&mut self, statement: &Statement) {
        if !may_outdate(statement) {
            return;
        }
        let names = |id: &Uuid| statement.values.contains(&Value::Uuid(Some(*id)));
        let before = self.organizations.len();
        self.organizations.extend(self.locked.iter().copied().filter(names));
        self.all |= self.organizations.len() == before;
    }
}

/// Whether a statement may outdate cached values. A new row outdates none: the absence of a row is
/// not cached.
fn may_outdate(statement: &Statement) -> bool {
    match statement.changed_table {
        Some(table) => TABLES.contains(&table),
        None if statement.is_select() => false,
        None if statement.sql.starts_with("INSERT") => statement.sql.contains("ON CONFLICT"),
        None => true,
    }
}

/// When the cached values of each organization were last outdated. A time is the number of groups
/// of changes until then.
pub(super) struct CacheVersions {
    now: AtomicU64,
    all: AtomicU64,
    shards: Box<[AtomicU64]>,
    start: Instant,
    /// When the last check for changes of other processes stops being recent, in microseconds since
    /// `start`.
    recent_until: AtomicU64,
}

impl CacheVersions {
    /// The current time. A read that begins after this call sees all changes up to this time.
    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Whether the last check for changes of other processes is recent at `now`.
    pub(super) fn is_recent(&self, now: Instant) -> bool {
        self.micros(now) < self.recent_until.load(Ordering::SeqCst)
    }

    /// Records that the writer has checked for changes of other processes, from `started` on.
    /// `is_changed`: there were changes since the previous check.
    pub(super) fn record_check(&self, started: Instant, is_changed: bool) {
        if is_changed {
            self.outdate([Outdated { all: true, ..Outdated::default() }].iter());
        }
        self.recent_until.store(self.micros(started + MAX_AGE), Ordering::SeqCst);
    }

    fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether a value of an organization whose read began at the time `then` is up to date, apart
    /// from changes of other processes that the writer has not found yet.
    pub(super) fn is_current(&self, organization: Uuid, then: u64) -> bool {
        let last = self.shard(organization).load(Ordering::SeqCst);
        last.max(self.all.load(Ordering::SeqCst)) <= then
    }

    /// Outdates the values that were read before a group of changes. The caller calls it after
    /// reads can see the changes, and before it acknowledges them. A read that does not see the
    /// changes began before this call, so it has an earlier time and its value is outdated.
    pub(super) fn outdate<'a>(&self, group: impl Iterator<Item = &'a Outdated>) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        for outdated in group {
            if outdated.all {
                self.all.fetch_max(now, Ordering::SeqCst);
            }
            for organization in &outdated.organizations {
                self.shard(*organization).fetch_max(now, Ordering::SeqCst);
            }
        }
    }

    /// The shard of an organization, by the last bytes of its id: they are random.
    fn shard(&self, organization: Uuid) -> &AtomicU64 {
        let [.., high, low] = *organization.as_bytes();
        &self.shards[usize::from(u16::from_be_bytes([high, low])) % SHARDS]
    }
}

impl Default for CacheVersions {
    fn default() -> Self {
        let shards = std::iter::repeat_with(AtomicU64::default).take(SHARDS).collect();
        Self {
            now: AtomicU64::default(),
            all: AtomicU64::default(),
            shards,
            start: Instant::now(),
            recent_until: AtomicU64::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);
    const TWO: Uuid = Uuid::from_u128(2);

    fn changing(table: Option<&'static str>, values: &[Uuid]) -> Statement {
        let values = values.iter().map(|id| (*id).into()).collect();
        let sql = "UPDATE …";
        Statement { changed_table: table, ..Statement::new(sql, values) }
    }

    /// Which of ONE and TWO are up to date after a change that locks ONE.
    fn up_to_date_after(statements: &[Statement]) -> [bool; 2] {
        let versions = CacheVersions::default();
        let before = versions.now();
        let mut outdated = Outdated::default();
        outdated.lock(ONE);
        statements.iter().for_each(|statement| outdated.run(statement));
        versions.outdate([outdated].iter());
        let after = versions.now();
        assert!(versions.is_current(ONE, after) && versions.is_current(TWO, after));
        [ONE, TWO].map(|organization| versions.is_current(organization, before))
    }

    #[test]
    fn p07_a_change_outdates_its_locked_organization_or_else_all() {
        for table in [Some("invites"), Some("members"), Some("organizations"), None] {
            for (values, expected) in [
                (&[ONE][..], [false, true]),
                (&[Uuid::max(), ONE], [false, true]),
                (&[TWO], [false, false]),
                (&[], [false, false]),
            ] {
                assert_eq!(up_to_date_after(&[changing(table, values)]), expected, "{values:?}");
            }
        }
        let both = [changing(Some("invites"), &[ONE]), changing(Some("invites"), &[TWO])];
        assert_eq!(up_to_date_after(&both), [false, false]);
    }

    #[test]
    fn other_tables_reads_and_new_rows_outdate_nothing() {
        let of = |sql: &'static str| Statement::new(sql, vec![ONE.into()]);
        let harmless = [
            changing(Some("grants"), &[ONE]),
            changing(Some("api_keys"), &[]),
            of("SELECT 1"),
            of("INSERT INTO \"invites\" VALUES (?)"),
        ];
        assert_eq!(up_to_date_after(&harmless), [true, true]);
        let upsert = of("INSERT INTO \"invites\" VALUES (?) ON CONFLICT DO UPDATE …");
        assert_eq!(up_to_date_after(&[upsert]), [false, true]);
    }

    #[test]
    fn p07_values_that_were_read_before_a_change_are_outdated() {
        let versions = CacheVersions::default();
        let of =
            |organization| Outdated { organizations: vec![organization], ..Outdated::default() };
        let first = versions.now();
        versions.outdate([of(ONE)].iter());
        let second = versions.now();
        versions.outdate([of(TWO), of(ONE)].iter());
        let third = versions.now();
        versions.outdate([of(TWO)].iter());
        let current = |organization| {
            [first, second, third].map(|then| versions.is_current(organization, then))
        };
        assert_eq!(current(ONE), [false, false, true]);
        assert_eq!(current(TWO), [false, false, false]);
    }

    #[test]
    fn cached_values_are_used_for_under_a_second_after_a_check_for_changes() {
        let versions = CacheVersions::default();
        let check = Instant::now();
        let is_recent = |millis| versions.is_recent(check + Duration::from_millis(millis));
        assert!(!is_recent(0), "there was no check yet");
        let before = versions.now();
        versions.record_check(check, false);
        assert!(versions.is_current(ONE, before));
        assert!(is_recent(0) && is_recent(899));
        assert!(!is_recent(900));
        versions.record_check(check, true);
        assert!(!versions.is_current(ONE, before));
        assert!(versions.is_current(ONE, versions.now()));
    }

    #[test]
    fn organizations_that_share_a_shard_are_outdated_together() {
        let versions = CacheVersions::default();
        let sharing = Uuid::from_u128(1 + (1 << 16));
        let then = versions.now();
        let outdated = Outdated { organizations: vec![sharing], ..Outdated::default() };
        versions.outdate([outdated].iter());
        assert!(!versions.is_current(ONE, then));
        assert!(versions.is_current(TWO, then));
    }
}
