//! The log on standard error, and the export of traces.

mod export;
mod json;
pub mod trace;
mod writer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, registry};

use crate::config::{self, LogFormat};
use crate::error::{Error, Result};
pub use export::Export;
use export::within_a_trace;
use json::{JsonFields, JsonLine};
use writer::LogGuard;

/// Libraries that log every frame, statement or header at lower levels. They log only
/// warnings unless the filter names them.
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

/// Starts the log of the process, including panics. Dropping the guard flushes the log, so
/// keep it until the process ends.
///
/// # Errors
/// If the filter is invalid, or if called twice.
pub fn init(settings: &config::Log) -> Result<LogGuard> {
    init_with(settings, None)
}

/// As [`init`], and exports traces if OpenTelemetry's environment variables request it.
///
/// # Errors
/// As [`init`].
pub fn init_with_traces(settings: &config::Log) -> Result<(LogGuard, Option<Export>)> {
    let (export, wrong) = match Export::from_environment() {
        Ok(export) => (export, None),
        Err(wrong) => (None, Some(wrong)),
    };
    let guard = init_with(settings, export.as_ref())?;
    if let Some(wrong) = wrong {
        tracing::warn!(wrong, "cannot export traces; the server runs without them");
    }
    if let Some(export) = &export {
        export.begin();
    }
    Ok((guard, export))
}

fn init_with(settings: &config::Log, export: Option<&Export>) -> Result<LogGuard> {
    let filter = filter(&settings.filter)?;
    let is_text = match settings.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let (writer, guard) = writer::start(std::io::stderr()).map_err(Error::internal)?;
    // A macro, because the type of a layer depends on the layers below it.
    macro_rules! line {
        (text) => {
            tracing_subscriber::fmt::layer()
                .with_writer(writer)
                .with_ansi(std::io::stderr().is_terminal())
        };
        (json) => {
            tracing_subscriber::fmt::layer()
                .with_writer(writer)
                .fmt_fields(JsonFields)
                .event_format(JsonLine)
        };
    }
    // One filter for all layers costs less than one for each layer. The JSON format itself leaves
    // out the spans for export.
    let started = match (export, is_text) {
        (None, true) => registry().with(filter).with(line!(text)).try_init(),
        (None, false) => registry().with(filter).with(line!(json)).try_init(),
        (Some(export), true) => {
            let line = line!(text).with_filter(filter);
            registry().with(within_a_trace()).with(export.layer()).with(line).try_init()
        }
        (Some(export), false) => {
            let filter = filter.with_target(trace::TARGET, LevelFilter::INFO);
            let spans = registry().with(within_a_trace()).with(filter);
            spans.with(line!(json)).with(export.layer()).try_init()
        }
    };
    started.map_err(Error::internal)?;

    std::panic::set_hook(Box::new(log_panic));
    Ok(guard)
}

fn filter(text: &str) -> Result<Targets> {
    let filter: Targets = text.parse().map_err(|_| {
        Error::invalid("log.filter", "must be a filter such as info or guestlist=debug,warn")
    })?;
    let is_named = |library: &str| {
        filter.iter().any(|(target, _)| {
            target
                .strip_prefix(library)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    };
    let quiet = QUIET.into_iter().filter(|library| !is_named(library));
    let quiet: Vec<_> = quiet.map(|library| (library, LevelFilter::WARN)).collect();
    // Otherwise log lines would have a span for export in the place of the request's span.
    Ok(filter.with_targets(quiet).with_target(trace::TARGET, LevelFilter::OFF))
}

/// Logs place and message of a panic, with a backtrace if `RUST_BACKTRACE` is set. `Debug` of
/// types with secrets does not print them, so the message contains none.
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
    fn libraries_log_only_warnings_unless_named() {
        let quiet = filter("debug").unwrap().to_string();
        assert!(quiet.contains("tokio_postgres=warn") && quiet.contains("hyper=warn"), "{quiet}");
        let named = filter("info,tokio_postgres::query=debug,hyper=trace").unwrap().to_string();
        assert!(!named.contains("tokio_postgres=warn") && !named.contains("hyper=warn"), "{named}");
        assert!(named.contains("hyper_util=warn"), "{named}");
    }

    #[test]
    fn an_invalid_filter_is_an_error() {
        for good in ["info", "guestlist=debug,warn", "access=off,info", ""] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["guestlist=loud", "a=b=c"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
