//! `guestlist secret-key …`, and the lines of `check-config` about secret keys.

use super::Failure;
use super::progress::Progress;
use super::store::{print, require_store, with_store};
use crate::app;
use crate::config::Config;
use crate::error::{Error, Kind, Result, chain};
use crate::operations::reseal::{self, Resealed};
use crate::storage::{Schema, Store};

/// Seals all values with the first key, and prints how many were sealed again.
pub(super) fn reseal(config: &Config) -> Result<(), Failure> {
    require_store(config)?;
    let keyring = app::secret_keys(config)?;
    let progress = Progress::new();
    let (resealed, others) = with_store(config, async |store| {
        store.require_current_schema().await?;
        let show = |until_now: &Resealed| {
            let (number, before) = (until_now.changed(), until_now.had_it);
            progress.show(&format!("encrypted again {number}, had the first key {before}"))
        };
        let resealed = reseal::reseal(store, &keyring, &show).await;
        progress.end()?;
        let resealed = resealed.map_err(|error| {
            let message = format!("{error}; what was encrypted again until then stays");
            error.with_message(message)
        })?;
        Ok((resealed, uses(config, store).await?))
    })?;
    print(&[summary_lines(&resealed), others].concat().join("\n"))?;
    if resealed.unreadable.is_empty() {
        return Ok(());
    }
    let reasons = resealed.unreadable.iter().map(|(why, number)| format!("{number}: {why}"));
    let message = format!(
        "some invite tokens or webhook secrets cannot be decrypted:\n{}",
        reasons.collect::<Vec<_>>().join("\n")
    );
    Err(Error::new(Kind::FailedPrecondition, message).into())
}

fn summary_lines(resealed: &Resealed) -> Vec<String> {
    let mut lines = vec![format!(
        "encrypted again with the first key: invite tokens {}, webhook secrets {}; had it before: {}",
        resealed.invite_tokens, resealed.webhook_secrets, resealed.had_it
    )];
    if resealed.replaced_meanwhile > 0 {
        lines.push(format!("replaced by servers meanwhile: {}", resealed.replaced_meanwhile));
    }
    lines
}

/// The lines of `check-config` about keys that are not the first one. Creates no store. A store
/// that cannot be read is only noted, because the settings are valid.
pub(super) fn uses_of_other_keys(config: &Config) -> Vec<String> {
    let has_several = app::secret_keys(config).is_ok_and(|keys| keys.ids().len() > 1);
    if !has_several || require_store(config).is_err() {
        return Vec::new();
    }
    let read = with_store(config, async |store| match store.schema().await? {
        Schema::Missing => Ok(Vec::new()),
        _ => {
            store.require_current_schema().await?;
            uses(config, store).await
        }
    });
    read.unwrap_or_else(|error| {
        vec![format!("note: whether all secret keys are needed is not known: {}", chain(&error))]
    })
}

async fn uses(config: &Config, store: &Store) -> Result<Vec<String>> {
    let keyring = app::secret_keys(config)?;
    let uses = reseal::uses_of_other_keys(store, &keyring).await?;
    let lines = uses.into_iter().map(|(id, counts)| {
        match (counts.invite_tokens, counts.webhook_secrets) {
            (0, 0) => format!(
                "the store does not need the secret key {id}: remove it from the list an hour after \
                 all servers have started with the first key, when no page token needs it"
            ),
            (tokens, secrets) => format!(
                "the store needs the secret key {id}: invite tokens {tokens}, webhook secrets \
                 {secrets}; `guestlist secret-key reseal` encrypts them with the first key"
            ),
        }
    });
    Ok(lines.collect())
}
