//! `guestlist accounts …`

use super::Failure;
use super::store::{print, require_store, with_store};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::AccountId;
use crate::error::{Error, Kind, Result};
use crate::operations::accounts::{self, Erased};
use crate::storage::{Location, Store};

/// Erases an account, and prints what it has changed, one line for each kind of change.
pub(super) fn erase(config: &Config, id: AccountId) -> Result<(), Failure> {
    require_store(config)?;
    let is_sqlite = matches!(Location::from_config(config)?, Location::Sqlite(_));
    let erased = with_store(config, async |store| {
        store.require_current_schema().await?;
        store.overwrite_deleted()?;
        let erased = accounts::erase(store, id, SystemClock.now()).await?;
        truncate_log(store)?;
        Ok(erased)
    })?;
    print(&lines(id, &erased, is_sqlite).join("\n"))
}

/// # Errors
/// If another process reads the store for too long.
fn truncate_log(store: &Store) -> Result<()> {
    match store.truncate_log()? {
        true => Ok(()),
        false => Err(Error::new(
            Kind::Unavailable,
            "the account is erased, but SQLite's log, which has earlier versions of its rows, is \
             read by another process and cannot be truncated now: repeat the command",
        )),
    }
}

fn lines(id: AccountId, erased: &Erased, is_sqlite: bool) -> Vec<String> {
    if erased.already {
        return vec![format!("account {id} was erased before")];
    }
    let mut lines = Vec::new();
    for organization in &erased.left {
        let empty = erased.empty.contains(organization);
        let note = if empty { ", which has no members now" } else { "" };
        lines.push(format!("ended the membership in organization {organization}{note}"));
    }
    for (number, what) in [
        (erased.keys_revoked, "keys revoked"),
        (erased.invitations_ended, "pending invitations ended"),
        (erased.invitations_blanked, "addresses removed from ended invitations"),
    ] {
        if number > 0 {
            lines.push(format!("{what}: {number}"));
        }
    }
    lines.push(format!("erased account {id}"));
    for other in &erased.same_address {
        lines.push(format!("note: account {other} has the same address, and stays as it is"));
    }
    if erased.has_unverified_address {
        lines.push(
            "note: the address was not verified, so invitations to it may be another person's: \
             they stay as they are"
                .to_owned(),
        );
    }
    let remains = if is_sqlite {
        "note: VACUUM removes what older versions of rows have left in unused parts of the file"
    } else {
        "note: PostgreSQL keeps older versions of rows until it vacuums their tables"
    };
    lines.push(remains.to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OrganizationId, Timestamp};

    #[test]
    fn each_effect_of_an_erasure_is_printed_on_its_own_line() {
        let now = Timestamp::from_micros(0);
        let (id, other) = (AccountId::generate(now), AccountId::generate(now));
        let left = OrganizationId::generate(now);
        let erased = Erased {
            left: vec![left],
            empty: vec![left],
            keys_revoked: 2,
            same_address: vec![other],
            ..Erased::default()
        };
        let output = lines(id, &erased, true);
        let expected = [
            format!("ended the membership in organization {left}, which has no members now"),
            "keys revoked: 2".to_owned(),
            format!("erased account {id}"),
        ];
        assert_eq!(output[..3], expected);
        assert!(
            output[3].contains(&other.to_string()) && output[4].contains("VACUUM"),
            "{output:?}"
        );
        let again = Erased { already: true, ..Erased::default() };
        assert_eq!(lines(id, &again, false), [format!("account {id} was erased before")]);
    }
}
