//! The epoch of events, which comes first in the feed's order.
//!
//! An event's position is a transaction id. Transaction ids start again at a low number when a dump
//! is restored into another cluster, and may be used twice after a failover that has lost commits.
//! So the epoch has two parts: a generation, which is raised when the table is in another database
//! than before, and the timeline, which PostgreSQL raises with every failover. The default of the
//! column `audit_events.epoch` contains both parts, so that no transaction uses an old epoch, on
//! any connection.

/// Raises the generation if `audit_events` is in another database than when this ran before. It
/// runs on every new connection. It also runs at every readiness check, because a pooler may have
/// moved open connections to another database. Without the table, or where writes are impossible,
/// it does nothing.
pub const RAISE_EPOCH: &str = "\
DO $$
DECLARE
  present text;
  generation bigint;
BEGIN
  IF to_regclass('audit_events') IS NULL OR current_setting('transaction_read_only') = 'on' THEN
    RETURN;
  END IF;
  -- Roles of some hosted servers may not read the cluster's identifier; the table's is enough
  -- to notice most restores.
  present := to_regclass('audit_events')::oid || CASE
    WHEN has_function_privilege('pg_control_system()', 'execute')
    THEN '/' || (SELECT system_identifier FROM pg_control_system()) ELSE '' END;
  IF EXISTS (SELECT FROM settings WHERE name = 'event_database' AND value = present) THEN
    RETURN;
  END IF;
  PERFORM set_config('lock_timeout', '5s', true);
  -- Waits for the transactions that use the old epoch, and makes replicas raise it once.
  LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE;
  IF EXISTS (SELECT FROM settings WHERE name = 'event_database' AND value = present) THEN
    RETURN;
  END IF;
  SELECT coalesce(max(value::bigint), 0) + 1 INTO generation
    FROM settings WHERE name = 'event_generation';
  INSERT INTO settings (name, value)
    VALUES ('event_database', present), ('event_generation', generation::text)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value;
  EXECUTE 'ALTER TABLE audit_events ALTER COLUMN epoch SET DEFAULT (' || generation
    || '::bigint << 32) | (''x'' || left(pg_walfile_name(''0/1''), 8))::bit(32)::bigint';
  IF generation > 1 THEN
    RAISE WARNING 'guestlist: the events are in another database than before: their epoch is raised';
  END IF;
END $$";

/// Whether an event is settled: no event can be inserted before it any more. All transactions of
/// older generations have ended. A transaction of the current generation has ended if it is older
/// than every running transaction.
pub const SETTLED: &str = "(epoch < (SELECT value::bigint << 32 FROM settings WHERE name = 'event_generation') \
     OR position < pg_snapshot_xmin(pg_current_snapshot())::text::bigint)";
