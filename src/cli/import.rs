//! `guestlist import`

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Failure;
use super::export::summary;
use super::progress::Progress;
use super::records::{self, Read};
use super::store::{print, require_store, with_store, with_store_alone};
use crate::app;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::transfer::Record;
use crate::error::{Error, Kind, Result};
use crate::operations::transfer::{self, Import, Place, Plan, Problem, Source, Terms};
use crate::storage::{Schema, Store};

/// The number of records that are checked at a time.
const BATCH: usize = 1000;

/// The longest line, in bytes.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// How to import.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Options {
    /// Only check the file, and name every line that is wrong.
    #[arg(long)]
    pub dry_run: bool,
    /// Send mails for the imported invitations. Without it, admins can send them again one by
    /// one.
    #[arg(long, conflicts_with = "dry_run")]
    pub send_mails: bool,
}

/// Checks a file and, unless `dry_run` is set, writes its records to the store.
pub(super) fn import(config: &Config, path: &Path, options: Options) -> Result<(), Failure> {
    let file = File::open(path).map_err(|why| cannot_read(path, why))?;
    let lines = if options.dry_run {
        dry_run(config, path, &file)?
    } else {
        // On SQLite no server may run at the same time: the caches and workers of a server rely on
        // being the only ones.
        with_store_alone(config, async |store| {
            run(config, store, (path, &file), options.send_mails).await
        })?
    };
    print(&lines.join("\n"))
}

fn dry_run(config: &Config, path: &Path, file: &File) -> Result<Vec<String>, Failure> {
    let checked = async |store: Option<&Store>| -> Result<Vec<String>> {
        let (plan, total) = check(config, store, path, file, "nothing would be imported").await?;
        let mut lines = vec![format!(
            "{total} records are valid; an import would write {} and find {} in the store already",
            plan.rows(),
            plan.unchanged
        )];
        lines.extend(expired(&plan));
        Ok(lines)
    };
    if require_store(config).is_err() {
        return Ok(super::store::block_on(checked(None))?);
    }
    Ok(with_store(config, async |store| match store.schema().await? {
        Schema::Missing => checked(None).await,
        _ => {
            store.require_current_schema().await?;
            checked(Some(store)).await
        }
    })?)
}

async fn run(
    config: &Config,
    store: &Store,
    (path, file): (&Path, &File),
    mails: bool,
) -> Result<Vec<String>> {
    if config.database.migrate_on_start {
        store.make_schema().await?;
    }
    store.require_current_schema().await?;
    let (plan, _) = check(config, Some(store), path, file, "nothing was imported").await?;
    let keyring = app::use_secret_key(config, store).await?;
    let source = Lines { path, file, total: plan.rows(), progress: Progress::new() };
    let to = Import { store, keyring: &keyring, mails };
    let imported = store.in_bulk(transfer::import(&to, &plan, &source)).await;
    source.progress.end()?;
    let (counts, unchanged) = imported.map_err(|error| {
        let message =
            format!("{error}; what was imported until then stays: repeat the command to go on");
        error.with_message(message)
    })?;
    let mut lines = vec![
        format!("imported: {}", summary(&counts)),
        format!("in the store already: {unchanged}"),
    ];
    lines.extend(expired(&plan));
    if counts.invitations > 0 {
        let mails = match mails {
            true => "mails with new links are sent by the server",
            false => "no mails were sent; admins can send invitations again",
        };
        lines.push(format!(
            "note: the imported invitations have new tokens, so links in earlier mails do not \
             work; {mails}"
        ));
    }
    Ok(lines)
}

fn expired(plan: &Plan) -> Option<String> {
    (plan.expired > 0).then(|| format!("expired invitations, which are left out: {}", plan.expired))
}

/// Checks all lines. Returns the plan of the rows to write, and the number of records.
async fn check(
    config: &Config,
    store: Option<&Store>,
    path: &Path,
    file: &File,
    outcome: &str,
) -> Result<(Plan, u64)> {
    let mut plan = Plan::new(Terms {
        now: SystemClock.now(),
        default_seat_limit: i64::from(config.invites.default_seat_limit),
        invitation_lifetime: config.invites.email_lifetime,
    });
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut bytes, mut batch) = (Vec::new(), Vec::with_capacity(BATCH));
    let (mut offset, mut line, mut total) = (0_u64, 0_u32, 0_u64);
    loop {
        bytes.clear();
        let length = reader.read_until(b'\n', &mut bytes).map_err(|why| cannot_read(path, why))?;
        if length == 0 {
            break;
        }
        line = line.checked_add(1).ok_or_else(|| too_long(path))?;
        let place = Place { offset, length: u32::try_from(length).unwrap_or(u32::MAX), line };
        offset += u64::try_from(length).map_err(Error::internal)?;
        let checked = match length > MAX_LINE_BYTES {
            true => Err("is longer than 1 MiB".to_owned()),
            false => records::read(&bytes),
        };
        match checked {
            Ok(Read::Header) if line == 1 => {}
            Ok(Read::Header) => plan.reject(line, "only the first line may have the header"),
            Ok(Read::Record(_)) if line == 1 => plan.reject(line, "must have the header"),
            Ok(Read::Record(record)) => {
                total += 1;
                batch.push((place, *record));
            }
            Err(what) => plan.reject(line, what),
        }
        if batch.len() == BATCH {
            plan.add(store, std::mem::take(&mut batch)).await?;
        }
    }
    plan.add(store, batch).await?;
    if line == 0 {
        plan.reject(1, "must have the header");
    }
    let problems = plan.finish();
    if problems.is_empty() {
        return Ok((plan, total));
    }
    Err(Error::new(Kind::FailedPrecondition, listed(&problems, outcome)))
}

fn listed(problems: &[Problem], outcome: &str) -> String {
    let mut lines: Vec<String> =
        problems.iter().map(|problem| format!("line {}: {}", problem.line, problem.what)).collect();
    lines.push(format!("problems: {}; {outcome}", problems.len()));
    lines.join("\n")
}

/// Reads lines of the file again.
struct Lines<'a> {
    path: &'a Path,
    file: &'a File,
    total: u64,
    progress: Progress,
}

impl Source for Lines<'_> {
    fn record(&self, place: Place) -> Result<Record> {
        let mut bytes = vec![0; usize::try_from(place.length).map_err(Error::internal)?];
        let read = self.file.read_exact_at(&mut bytes, place.offset);
        read.map_err(|why| cannot_read(self.path, why))?;
        match records::read(&bytes) {
            Ok(Read::Record(record)) => Ok(*record),
            _ => Err(Error::new(
                Kind::FailedPrecondition,
                format!("line {} has changed since it was checked", place.line),
            )),
        }
    }

    fn progress(&self, written: u64) -> Result<()> {
        self.progress.show(&format!("{written} of {} records", self.total))
    }
}

fn cannot_read(path: &Path, why: std::io::Error) -> Error {
    let message = format!("cannot read {}: {why}", path.display());
    Error::internal(why).with_message(message)
}

fn too_long(path: &Path) -> Error {
    Error::new(Kind::FailedPrecondition, format!("{} has too many lines", path.display()))
}
