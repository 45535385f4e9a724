//! The log: what is written to standard error, and how.

mod json;
mod lines;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{self, LogFormat};
use crate::error::{Error, Result};
use json::{JsonLine, JsonMembers};
use lines::Written;

/// Libraries that at lower levels tell every frame, statement and header. They
/// are kept down unless the filter names them.
const QUIET: [&str; 13] = [
    "connectrpc",
    "h2",
    "hyper",
    "hyper_util",
    "reqwest",
    "rustls",
    "sea_orm",
    "sea_orm_migration",
    "tokio_postgres",
    "tokio_util",
    "tonic",
    "tonic_web",
    "tower",
];

/// Starts the log for the whole process, panics included. Fails on a filter that
/// cannot be read and when called twice.
/// What it answers is kept to the end: lines may wait to be written until then.
pub fn init(settings: &config::Log) -> Result<Written> {
    let filter = filter(&settings.filter)?;
    let is_text = match settings.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let registry = tracing_subscriber::registry().with(filter);
    let (lines, written) = lines::start(std::io::stderr()).map_err(Error::internal)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(lines);
    let started = if is_text {
        registry.with(layer.with_ansi(std::io::stderr().is_terminal())).try_init()
    } else {
        registry.with(layer.fmt_fields(JsonMembers).event_format(JsonLine)).try_init()
    };
    started.map_err(Error::internal)?;

    std::panic::set_hook(Box::new(log_panic));
    Ok(written)
}

fn filter(text: &str) -> Result<EnvFilter> {
    let wrong =
        |_| Error::invalid("log.filter", "must be a filter such as info or guestlist=debug,warn");
    let mut filter = EnvFilter::builder().parse(text).map_err(wrong)?;
    for library in QUIET {
        if !names(text, library) {
            let directive: Directive = format!("{library}=warn").parse().map_err(wrong)?;
            filter = filter.add_directive(directive);
        }
    }
    Ok(filter)
}

/// Whether a filter has a directive for this target or something in it.
fn names(filter: &str, target: &str) -> bool {
    filter.split(',').any(|directive| {
        let named = directive.split(['=', '[']).next().unwrap_or_default().trim();
        named == target || named.strip_prefix(target).is_some_and(|rest| rest.starts_with("::"))
    })
}

/// Where and why; the backtrace if `RUST_BACKTRACE` asks for one. Our types with
/// secrets do not print them, so that a panic's text has none.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no text)");
    let place = panic.location().map(tracing::field::display);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured)
        .then(|| tracing::field::display(&backtrace));
    tracing::error!(place, text, backtrace, "panic");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_stay_quiet_unless_named() {
        let quiet = filter("debug").unwrap().to_string();
        assert!(quiet.contains("tokio_postgres=warn") && quiet.contains("hyper=warn"), "{quiet}");
        let named = filter("info,tokio_postgres::query=debug,hyper=trace").unwrap().to_string();
        assert!(!named.contains("tokio_postgres=warn") && !named.contains("hyper=warn"), "{named}");
        assert!(named.contains("hyper_util=warn"), "{named}");
    }

    #[test]
    fn a_wrong_filter_is_told() {
        for good in ["info", "guestlist=debug,warn", "access=off,info", ""] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["guestlist=loud", "a=b=c"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
