//! Loads a [`Config`] from four sources: `default.toml`, a file, the environment, the command
//! line. Later sources override earlier ones.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::{Config, ConfigError, DEFAULT, check};

const PREFIX: &str = "GUESTLIST_";
/// Variables with our prefix that are not settings: the path of the file, and those of the
/// tests.
const FILE_VARIABLE: &str = "GUESTLIST_CONFIG";
const TEST_PREFIX: &str = "GUESTLIST_TEST_";

/// The sources of settings in addition to `default.toml`.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The configuration file. `None`: the file that `GUESTLIST_CONFIG` names, if any.
    pub file: Option<PathBuf>,
    /// Environment variables; those without the prefix `GUESTLIST_` are ignored.
    pub environment: Vec<(OsString, OsString)>,
    /// From the command line: the flag, its setting, and the value.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

impl Config {
    /// The defaults.
    pub fn reference() -> Self {
        Self::load(Sources::default()).expect("default.toml is a complete configuration")
    }

    /// Reads and checks the settings.
    ///
    /// # Errors
    /// If a source cannot be read, a setting is unknown or invalid, or two settings
    /// contradict each other.
    pub fn load(sources: Sources) -> Result<Self, ConfigError> {
        let (variables, file) = settings_of(sources.environment)?;
        let mut layers = Layers::new()?;
        if let Some(file) = sources.file.or(file) {
            layers.add_file(&file)?;
        }
        for (name, value) in variables {
            let key = name[PREFIX.len()..].to_lowercase();
            layers.add_text(&name, &key.split("__").collect::<Vec<_>>(), &value)?;
        }
        for (flag, key, value) in sources.flags {
            layers.add_text(flag, &key.split('.').collect::<Vec<_>>(), &value)?;
        }
        check::check(&layers.config)?;
        Ok(layers.config)
    }
}

/// The settings read so far. They are deserialized after each source, so that an error
/// message can name the source of the invalid setting.
struct Layers {
    table: Table,
    config: Config,
}

impl Layers {
    fn new() -> Result<Self, ConfigError> {
        let mut table =
            parse(DEFAULT).map_err(|p| ConfigError::one(format!("default.toml: {p}")))?;
        // TOML cannot express an empty array of tables, so this default is not in the file.
        table.insert("issuers".to_owned(), Value::Array(Vec::new()));
        let config = deserialize(&table)
            .map_err(|(key, p)| ConfigError::one(format!("default.toml: {key}: {p}")))?;
        Ok(Self { table, config })
    }

    fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|cause| {
            ConfigError::one(format!("cannot read the configuration file {shown}: {cause}"))
        })?;
        let table = parse(&text).map_err(|p| ConfigError::one(format!("{shown}, {p}")))?;
        merge(&mut self.table, table);
        self.config = deserialize(&self.table)
            .map_err(|(key, p)| ConfigError::one(format!("{shown}: {key}: {p}")))?;
        Ok(())
    }

    /// Adds one setting given as text. The type of the setting's default decides how the
    /// text is parsed.
    fn add_text(&mut self, source: &str, key: &[&str], text: &str) -> Result<(), ConfigError> {
        let problem = |problem: String| ConfigError::one(format!("{source}: {problem}"));
        let value = match find(&self.table, key) {
            Some(Value::Integer(_)) => text
                .parse()
                .map(Value::Integer)
                .map_err(|_| problem("must be a whole number".into()))?,
            Some(Value::Boolean(_)) => text
                .parse()
                .map(Value::Boolean)
                .map_err(|_| problem("must be true or false".into()))?,
            Some(Value::Array(_)) => list(text).map_err(problem)?,
            _ => Value::String(text.to_owned()),
        };
        let nested = key.iter().rev().fold(value, |inner, part| {
            Value::Table(Table::from_iter([((*part).to_owned(), inner)]))
        });
        if let Value::Table(table) = nested {
            merge(&mut self.table, table);
        }
        self.config = deserialize(&self.table).map_err(|(_, p)| problem(p))?;
        Ok(())
    }
}

/// Names and values of the settings in the environment, sorted.
type Variables = Vec<(String, String)>;

/// The settings in the environment, and the configuration file if one is named.
fn settings_of(
    environment: Vec<(OsString, OsString)>,
) -> Result<(Variables, Option<PathBuf>), ConfigError> {
    let mut settings = Vec::new();
    let mut file = None;
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        if value.is_empty() || name.starts_with(TEST_PREFIX) || is_service_link(name) {
            continue;
        }
        if name == FILE_VARIABLE {
            file = Some(PathBuf::from(value));
            continue;
        }
        let value =
            value.into_string().map_err(|_| ConfigError::one(format!("{name}: must be UTF-8")))?;
        settings.push((name.to_owned(), value));
    }
    settings.sort();
    Ok((settings, file))
}

/// Kubernetes sets such variables in every container if a Service has the name `guestlist`.
/// They are not settings and must not be an error.
fn is_service_link(name: &str) -> bool {
    let rest = &name[PREFIX.len()..];
    matches!(rest, "SERVICE_HOST" | "SERVICE_PORT" | "PORT")
        || rest.starts_with("SERVICE_PORT_")
        || rest.starts_with("PORT_")
}

fn parse(text: &str) -> Result<Table, String> {
    text.parse::<Table>().map_err(|error| {
        // The error's own text quotes the line, which may contain a password.
        let at = error.span().map_or(0, |span| span.start);
        let line = text[..at.min(text.len())].matches('\n').count() + 1;
        format!("line {line}: {}", error.message())
    })
}

fn deserialize(table: &Table) -> Result<Config, (String, String)> {
    serde_path_to_error::deserialize(table.clone()).map_err(|error| {
        let key = error.path().to_string();
        let message = match key.as_str() {
            // The general message contains the value, which may be a secret here.
            "secret_key" | "database_url" | "mail.password" => "must be a text".to_owned(),
            "listen" | "metrics_listen" => {
                "must be an address and a port, such as 127.0.0.1:8080".to_owned()
            }
            _ => without_text(error.inner().message())
                .replace("a duration", "a duration such as 15s or 500ms"),
        };
        (key, message)
    })
}

/// A type error without the given text, which may be a secret: for example a password that
/// was set to the section `mail` instead of `mail.password`.
fn without_text(message: &str) -> String {
    const GIVEN: &str = "string \"";
    match (message.split_once(GIVEN), message.rsplit_once("\", expected ")) {
        (Some((before, _)), Some((_, expected))) => format!("{before}text, expected {expected}"),
        _ => message.to_owned(),
    }
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn find<'a>(table: &'a Table, key: &[&str]) -> Option<&'a Value> {
    let (first, rest) = key.split_first()?;
    match (table.get(*first)?, rest) {
        (value, []) => Some(value),
        (Value::Table(table), rest) => find(table, rest),
        _ => None,
    }
}

fn list(text: &str) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct Wrapped {
        list: Value,
    }
    if text.trim_start().starts_with('[') {
        return toml::from_str::<Wrapped>(&format!("list = {text}"))
            .map(|wrapped| wrapped.list)
            .map_err(|error| format!("is not a list in TOML syntax: {}", error.message()));
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Ok(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
}
