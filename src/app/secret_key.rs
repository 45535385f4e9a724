//! Loads the secret keys.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::keyring::Keyring;
use crate::operations::setup::NewSecretKey;
use crate::storage::Location;

/// The file in the directory of a SQLite store.
const FILE: &str = "secret.key";

pub struct SecretKey {
    pub keyring: Keyring,
    /// A key that was just generated. `operations::setup` writes it to its file, unless the
    /// store already has another key.
    pub to_write: Option<NewSecretKey>,
}

/// Reads the keys from the settings, from the configured file or, for a SQLite store, from
/// the file in its directory, which the first start creates.
///
/// # Errors
/// If there is no key and none may be generated, or a key is malformed.
pub fn load(config: &Config, location: &Location) -> Result<SecretKey> {
    let given = |keyring| SecretKey { keyring, to_write: None };
    if let Some(texts) = &config.secret_key {
        let keys = texts.expose_secret().split(',').map(str::trim);
        return Keyring::from_texts(keys).map(given).map_err(|e| unusable("secret_key", &e));
    }
    if let Some(file) = &config.secret_key_file {
        let text = read(file).map_err(|e| unusable(&file.display().to_string(), &e))?;
        return parse(file, &text).map(given);
    }
    let Location::Sqlite(store) = location else {
        return Err(Error::new(
            Kind::FailedPrecondition,
            "PostgreSQL requires a secret key, the same on every replica: set --secret-key-file or \
             GUESTLIST_SECRET_KEY (32 bytes in hexadecimal, for example from `openssl rand -hex 32`)",
        ));
    };
    let file: PathBuf = store.with_file_name(FILE);
    match read(&file) {
        Ok(text) => parse(&file, &text).map(given),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let text = Keyring::generate_file().map_err(Error::internal)?;
            let keyring = parse(&file, &text)?;
            Ok(SecretKey { keyring, to_write: Some(NewSecretKey { file, text }) })
        }
        Err(e) => Err(unusable(&file.display().to_string(), &e)),
    }
}

fn read(file: &Path) -> std::io::Result<Zeroizing<String>> {
    std::fs::read_to_string(file).map(Zeroizing::new)
}

fn parse(file: &Path, text: &str) -> Result<Keyring> {
    Keyring::parse(text).map_err(|e| unusable(&file.display().to_string(), &e))
}

fn unusable(what: &str, why: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::FailedPrecondition, format!("cannot use the secret key from {what}: {why}"))
}
