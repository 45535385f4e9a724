//! Preparation of the store before the server starts: migrates the schema, checks the
//! secret key's fingerprint and, in a new store, creates the first account and its key.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::auth;
use crate::domain::{AccountKind, Actor, EmailAddress, KeyScope, Timestamp};
use crate::error::{Error, Kind, Result};
use crate::keyring::SecretKeyId;
use crate::operations::keys::{issue, local_profile};
use crate::storage::change;
use crate::storage::settings::{self, SECRET_KEY_FINGERPRINT};
use crate::storage::{Store, Tx, accounts};

/// The first account's address, which is not verified.
const FIRST_EMAIL: &str = "admin@localhost";

#[derive(Clone)]
pub struct Setup {
    /// `true`: migrate the schema; `false`: fail if it is not up to date.
    pub migrate: bool,
    /// Fingerprints of the configured secret keys. The first key seals.
    pub fingerprints: Vec<String>,
    /// A generated secret key that is not yet written to its file.
    pub new_secret_key: Option<NewSecretKey>,
    /// The API key of the first account is written to this file.
    pub first_key_file: PathBuf,
}

/// A generated secret key. It is written to its file only if the store has no key yet.
#[derive(Clone)]
pub struct NewSecretKey {
    pub file: PathBuf,
    /// The content of the file.
    pub text: Zeroizing<String>,
}

/// Prepares the store; replicas wait for one another. Returns the file with the first key
/// if this call created it.
///
/// # Errors
/// If the schema is not up to date and `migrate` is false; if the secret key is not the
/// store's; if the key file cannot be written. The store is unchanged then.
pub async fn prepare(store: &Store, setup: Setup, now: Timestamp) -> Result<Option<PathBuf>> {
    if !setup.migrate {
        store.require_current_schema().await?;
    }
    store
        .migrate(change!(async move |tx| {
            check_secret_key(tx, &setup.fingerprints, setup.new_secret_key.as_ref()).await?;
            if accounts::any(tx).await? {
                return Ok(None);
            }
            write_first_key(tx, &setup.first_key_file, now).await?;
            Ok(Some(setup.first_key_file.clone()))
        }))
        .await
}

/// Checks that the first of these keys may seal tokens of the store, and stores its fingerprint:
/// the store has no key yet, or its key is one of these.
///
/// # Errors
/// If the keys are not those of the store, or a new one cannot be written to its file.
pub async fn use_secret_key(
    store: &Store,
    fingerprints: Vec<String>,
    new_secret_key: Option<NewSecretKey>,
) -> Result<()> {
    store
        .write(change!(async move |tx| {
            check_secret_key(tx, &fingerprints, new_secret_key.as_ref()).await
        }))
        .await
}

/// Only the key that sealed the store's tokens can open them, so a replica without this key must
/// not start.
async fn check_secret_key(
    tx: &Tx,
    fingerprints: &[String],
    new_secret_key: Option<&NewSecretKey>,
) -> Result<()> {
    let sealing = fingerprints.first().ok_or_else(|| Error::internal("no secret key"))?;
    match settings::get(tx, SECRET_KEY_FINGERPRINT).await? {
        Some(known) if known == *sealing => Ok(()),
        known => {
            if let Some(known) = known {
                require_secret_key(&known, fingerprints)?;
            }
            if let Some(NewSecretKey { file, text }) = new_secret_key {
                write_secret_file(file, text.trim_end()).map_err(|e| {
                    let what = format!("cannot write the secret key to {}", file.display());
                    Error::internal(e).with_message(what)
                })?;
            }
            settings::set(tx, SECRET_KEY_FINGERPRINT, sealing).await
        }
    }
}

/// Checks that one of these keys is the one that seals the tokens of a store.
///
/// # Errors
/// FAILED_PRECONDITION if none is.
pub fn require_secret_key(known: &str, fingerprints: &[String]) -> Result<()> {
    match fingerprints.iter().any(|fingerprint| fingerprint == known) {
        true => Ok(()),
        false => Err(lacks_secret_key(known, fingerprints)),
    }
}

fn lacks_secret_key(known: &str, given: &[String]) -> Error {
    let id = |fingerprint: &str| {
        SecretKeyId::of_fingerprint(fingerprint).map_or_else(String::new, |id| id.to_string())
    };
    let given: Vec<_> = given.iter().map(|fingerprint| id(fingerprint)).collect();
    let message = format!(
        "the store's tokens are encrypted with the secret key {}, which is missing (configured: {}): \
         set it by --secret-key-file or GUESTLIST_SECRET_KEY; to rotate the key, first start every \
         replica with the old key followed by the new one, and only after that with the new one first",
        id(known),
        given.join(", "),
    );
    Error::new(Kind::FailedPrecondition, message)
}

/// Creates the first account with a key of scope `operator`. The key file is written
/// before the transaction commits, and replaces the file of a failed start: a key in the
/// store without its file would be lost.
async fn write_first_key(tx: &Tx, file: &Path, now: Timestamp) -> Result<()> {
    let email: EmailAddress = FIRST_EMAIL.parse().map_err(Error::internal)?;
    let mut profile = local_profile(Some(email), "admin".to_owned());
    profile.email_verified = false;
    let actor = Actor::system("first-start");
    let kind = AccountKind::Person;
    let account = auth::resolve_local(tx, now, &actor, FIRST_EMAIL, kind, &profile).await?;
    let limits = (Some(KeyScope::Operator), None, None);
    let key = issue(tx, &account, limits, &actor, now).await?;
    write_secret_file(file, &key.expose()).map_err(|e| {
        Error::internal(e).with_message(format!("cannot write the first key to {}", file.display()))
    })
}

/// Writes a secret to a file that only its owner can read (0600); syncs the file and its
/// directory.
///
/// # Errors
/// If a file or directory cannot be written.
pub fn write_secret_file(path: &Path, secret: &str) -> std::io::Result<()> {
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    File::open(directory)?.sync_all()
}
