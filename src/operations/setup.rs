//! What a server does with its store before it serves: the schema, the secret
//! key's fingerprint, and, on a new store, the first account and its key.

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
use crate::storage::settings::{self, SECRET_KEY_FINGERPRINT};
use crate::storage::{Store, Tx, accounts};

/// The first account's address. Nobody vouches for it.
const FIRST_EMAIL: &str = "admin@localhost";

/// How a store is made ready.
#[derive(Clone)]
pub struct Setup {
    /// Bring the schema up to date, or refuse a store whose schema is not.
    pub migrate: bool,
    /// Fingerprints of the secret keys at hand; the first one's seals.
    pub fingerprints: Vec<String>,
    /// The secret key, if it has just been made and is on no disk yet.
    pub new_secret_key: Option<NewSecretKey>,
    /// Where the first key of a new store is written.
    pub first_key_file: PathBuf,
}

/// A secret key that becomes the store's, unless the store has one already.
#[derive(Clone)]
pub struct NewSecretKey {
    /// Where it is kept.
    pub file: PathBuf,
    /// What is written there.
    pub text: Zeroizing<String>,
}

/// Makes a store ready to serve, one replica after another; answers where the
/// first key was written, if this start made it.
///
/// # Errors
/// If the schema is not up to date and should be; if the secret key is not the
/// store's; if the key file cannot be written. Then nothing is changed.
pub async fn prepare(store: &Store, setup: Setup, now: Timestamp) -> Result<Option<PathBuf>> {
    if !setup.migrate {
        store.require_current_schema().await?;
    }
    store
        .migrate(async move |tx| {
            check_secret_key(tx, &setup).await?;
            if accounts::any(tx).await? {
                return Ok(None);
            }
            write_first_key(tx, &setup.first_key_file, now).await?;
            Ok(Some(setup.first_key_file.clone()))
        })
        .await
}

/// A store's tokens can be shown again only with the key that sealed them, so a
/// replica with another one must not come up.
async fn check_secret_key(tx: &Tx, setup: &Setup) -> Result<()> {
    let fingerprints = &setup.fingerprints;
    let sealing = fingerprints.first().ok_or_else(|| Error::internal("no secret key"))?;
    match settings::get(tx, SECRET_KEY_FINGERPRINT).await? {
        Some(known) if known == *sealing => Ok(()),
        Some(known) if !fingerprints.contains(&known) => {
            Err(lacks_secret_key(&known, fingerprints))
        }
        _ => {
            if let Some(NewSecretKey { file, text }) = &setup.new_secret_key {
                write_secret_file(file, text.trim_end()).map_err(|e| {
                    let what = format!("cannot write the secret key to {}", file.display());
                    Error::internal(e).with_message(what)
                })?;
            }
            settings::set(tx, SECRET_KEY_FINGERPRINT, sealing).await
        }
    }
}

fn lacks_secret_key(known: &str, given: &[String]) -> Error {
    let id = |fingerprint: &str| {
        SecretKeyId::of_fingerprint(fingerprint).map_or_else(String::new, |id| id.to_string())
    };
    let given: Vec<_> = given.iter().map(|fingerprint| id(fingerprint)).collect();
    let message = format!(
        "the store's tokens are sealed with the secret key {}, which is not given (given: {}): give it \
         by --secret-key-file or GUESTLIST_SECRET_KEY; to exchange it, first start every replica with \
         the old key and then the new one, and only when all have both, with the new one first",
        id(known),
        given.join(", "),
    );
    Error::new(Kind::FailedPrecondition, message)
}

/// Makes the first account with a key of scope `operator`. The file is on the
/// disk before the key is in the store; what a failed start left is replaced.
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

/// Writes a secret for its owner's eyes alone (0600), synced with its directory.
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
