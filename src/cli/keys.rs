//! `guestlist keys …`

use std::time::{Duration, UNIX_EPOCH};

use super::store::{print, require_store, with_store};
use super::{CreateKey, Failure, ServiceName};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::{Account, ApiKey, KeyId, KeyScope, LOCAL_ISSUER, Timestamp};
use crate::operations::keys::{self, Owner};

/// Prints only the key, for scripts.
pub(super) fn create(config: &Config, what: CreateKey) -> Result<(), Failure> {
    let input = keys::CreateKey {
        owner: owner(&what)?,
        organization: what.org,
        scope: what.scope,
        expires_in: expires_in(what.expires)?,
    };
    let may_create = config.database.migrate_on_start;
    let key = with_store(config, async |store| {
        // Creates the schema of a new store, as the start of a server does, so that keys can
        // be created before the first start. An existing store is never migrated: a server
        // of an older version may be using it.
        if may_create {
            store.make_schema().await?;
        }
        store.require_current_schema().await?;
        keys::create_key(store, input, SystemClock.now()).await
    })?;
    print(&key.expose())
}

fn owner(what: &CreateKey) -> Result<Owner, Failure> {
    match (&what.email, what.account) {
        (Some(email), _) => Ok(Owner::Email { email: email.clone(), name: what.name.clone() }),
        (None, Some(id)) => Ok(Owner::Account(id)),
        (None, None) => {
            let name = what.name.as_deref().unwrap_or_default();
            let name: ServiceName =
                name.parse().map_err(|wrong| Failure::Usage(format!("--name: {wrong}")))?;
            Ok(Owner::Service(name))
        }
    }
}

fn expires_in(expires: Option<Duration>) -> Result<Option<Duration>, Failure> {
    match expires {
        Some(Duration::ZERO) => Err(Failure::Usage("--expires: must be greater than 0s".into())),
        expires => Ok(expires),
    }
}

/// Prints a table with one line for each key, oldest first.
pub(super) fn list(config: &Config) -> Result<(), Failure> {
    require_store(config)?;
    let keys = with_store(config, async |store| {
        store.require_current_schema().await?;
        keys::list_keys(store).await
    })?;
    let now = SystemClock.now();
    let head = ["ID", "ACCOUNT", "SCOPE", "ORGANIZATION", "STATE", "EXPIRES", "LAST USED"];
    let rows = keys.iter().map(|(key, account)| row(key, account, now));
    let rows: Vec<_> = [head.map(str::to_owned)].into_iter().chain(rows).collect();
    print(&table(&rows))
}

pub(super) fn revoke(config: &Config, id: KeyId) -> Result<(), Failure> {
    require_store(config)?;
    let line = format!("revoked {id}");
    with_store(config, async |store| {
        store.require_current_schema().await?;
        keys::revoke_key(store, id, SystemClock.now()).await
    })?;
    print(&line)
}

fn row(key: &ApiKey, account: &Account, now: Timestamp) -> [String; 7] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let owner = match &account.profile.email {
        Some(email) => email.to_string(),
        None => account.subject.clone(),
    };
    let owner = if account.issuer == LOCAL_ISSUER {
        owner
    } else {
        format!("{owner} ({})", account.issuer)
    };
    let state = match key.revoked_at {
        Some(_) => "revoked",
        None if !key.is_valid(now) => "expired",
        None => "valid",
    };
    [
        key.id.to_string(),
        owner,
        or_dash(key.scope.map(KeyScope::as_str).map(str::to_owned)),
        or_dash(key.organization.map(|id| id.to_string())),
        state.to_owned(),
        or_dash(key.expires_at.map(rfc3339)),
        or_dash(key.last_used_at.map(rfc3339)),
    ]
}

/// A time after the year 9999 is shown as the end of that year, the maximum of RFC 3339.
fn rfc3339(at: Timestamp) -> String {
    let seconds = u64::try_from(at.shown().as_seconds()).unwrap_or(0);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_value() {
        let rows = [["A", "B"], ["long", "é"], ["x", "-"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "A     B\nlong  é\nx     -");
    }

    #[test]
    fn times_are_printed_in_utc() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (Timestamp::LAST.as_micros(), "9999-12-31T23:59:59Z"),
            (Timestamp::LAST.as_micros() + 1, "9999-12-31T23:59:59Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
            (-1, "1970-01-01T00:00:00Z"),
            (i64::MIN, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(Timestamp::from_micros(micros)), text, "{micros}");
        }
    }
}
