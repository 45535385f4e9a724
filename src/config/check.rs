//! Validation that the types of single settings cannot express: ranges, and settings that
//! depend on each other.

use std::collections::HashSet;

use secrecy::ExposeSecret;

use super::problems::{MAX_DURATION, Problems};
use super::{
    Config, ConfigError, Http, domains, invites, limits, links, mail, pages, tls, webhooks,
};

/// The smallest buffer that hyper accepts for the head of an HTTP/1 request.
const LEAST_HEADER_BYTES: u32 = 8192;
const MAX_MESSAGE_BYTES: usize = 1 << 30;
/// Enough for the largest error response of Connect: a status of 4 KiB with its details in
/// base64 and in JSON.
const LEAST_RESPONSE_BYTES: usize = 16 * 1024;
const MAX_PARALLEL: usize = 1_000_000;

/// # Errors
/// All problems at once.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let mut problems = Problems::default();
    top_level(config, &mut problems);
    http(&config.http, &mut problems);
    tls::check(&config.tls, &mut problems);
    database(config, &mut problems);
    invites::check(&config.invites, &mut problems);
    limits::check(&config.limits, &mut problems);
    links::check(config, &mut problems);
    mail::check(config, &mut problems);
    webhooks::check(&config.webhooks, &mut problems);
    domains::check(&config.domains, &mut problems);
    pages::check(&config.pages, &mut problems);
    for origin in &config.cors.allowed_origins {
        if let Err(problem) = exact_origin(origin) {
            problems.add(format!("cors.allowed_origins: `{origin}` {problem}"));
        }
    }
    for origin in &config.invites.continue_origins {
        if let Err(problem) = exact_origin(origin) {
            problems.add(format!("invites.continue_origins: `{origin}` {problem}"));
        }
    }
    for name in &config.cors.allowed_headers {
        if let Err(problem) = header_name(name) {
            problems.add(format!("cors.allowed_headers: `{name}` {problem}"));
        }
    }
    if let Err(problem) = config.log.filter.parse::<tracing_subscriber::filter::Targets>() {
        problems.add(format!("log.filter: {problem}; write it like `info,guestlist=debug`"));
    }
    let mut names = HashSet::new();
    for issuer in &config.issuers {
        if !names.insert(&issuer.issuer) {
            problems.add(format!(
                "issuers: `{}` is configured twice; remove one of the two blocks",
                issuer.issuer
            ));
        }
    }
    problems.into_result()
}

fn top_level(config: &Config, problems: &mut Problems) {
    if config.secret_key.is_some() && config.secret_key_file.is_some() {
        problems.add("secret_key, secret_key_file: set one of them, not both");
    }
    if config.data_dir.as_os_str().is_empty() {
        problems.add("data_dir: must name a directory");
    }
    if let Some(url) = &config.database_url {
        let known = ["sqlite:", "postgres:", "postgresql:"];
        if !known.iter().any(|scheme| url.expose_secret().trim().starts_with(scheme)) {
            problems.add(
                "database_url: must begin with sqlite: or postgres:, \
                 as in sqlite:/var/lib/guestlist/guestlist.db",
            );
        }
    }
    if config.metrics_listen == Some(config.listen) && config.listen.port() != 0 {
        problems.add("metrics_listen: must differ from `listen`");
    }
}

fn http(http: &Http, problems: &mut Problems) {
    let durations = [
        ("handshake_timeout", http.handshake_timeout),
        ("first_byte_timeout", http.first_byte_timeout),
        ("head_timeout", http.head_timeout),
        ("request_timeout", http.request_timeout),
        ("write_timeout", http.write_timeout),
        ("drain_timeout", http.drain_timeout),
        ("http1_idle_timeout", http.http1_idle_timeout),
        ("http2_idle_timeout", http.http2_idle_timeout),
        ("keep_alive_interval", http.keep_alive_interval),
        ("keep_alive_timeout", http.keep_alive_timeout),
    ];
    for (key, value) in durations {
        problems.check_duration(&format!("http.{key}"), value);
    }
    if http.shutdown_delay > MAX_DURATION {
        problems.add("http.shutdown_delay: must be at most 1day");
    }
    if http.max_connection_age > MAX_DURATION {
        problems.add("http.max_connection_age: must be at most 1day; 0s means no limit");
    }
    let streams = usize::try_from(http.max_streams).unwrap_or(usize::MAX);
    let counts = [
        ("max_connections", http.max_connections, MAX_PARALLEL),
        ("max_connections_per_network", http.connections_per_network(), MAX_PARALLEL),
        ("max_requests", http.max_requests, MAX_PARALLEL),
        ("max_streaming_requests", http.max_streaming_requests, MAX_PARALLEL),
        ("max_anonymous_requests", http.max_anonymous_requests, MAX_PARALLEL),
        ("max_anonymous_streaming_requests", http.max_anonymous_streaming_requests, MAX_PARALLEL),
        ("max_streams", streams, MAX_PARALLEL),
        ("max_request_bytes", http.max_request_bytes, MAX_MESSAGE_BYTES),
        ("max_anonymous_request_bytes", http.max_anonymous_request_bytes, MAX_MESSAGE_BYTES),
    ];
    for (key, value, most) in counts {
        if value == 0 || value > most {
            problems.add(format!("http.{key}: must be between 1 and {most}"));
        }
    }
    if !(LEAST_RESPONSE_BYTES..=MAX_MESSAGE_BYTES).contains(&http.max_response_bytes) {
        problems.add(format!(
            "http.max_response_bytes: must be between {LEAST_RESPONSE_BYTES} and \
             {MAX_MESSAGE_BYTES}"
        ));
    }
    if !(LEAST_HEADER_BYTES..=1 << 20).contains(&http.max_header_bytes) {
        problems.add(format!(
            "http.max_header_bytes: must be between {LEAST_HEADER_BYTES} and 1048576"
        ));
    }
}

fn database(config: &Config, problems: &mut Problems) {
    if !(1..=1000).contains(&config.database.max_connections) {
        problems.add("database.max_connections: must be between 1 and 1000");
    }
    let database = &config.database;
    let durations = [
        ("acquire_timeout", database.acquire_timeout),
        ("lock_timeout", database.lock_timeout),
        ("statement_timeout", database.statement_timeout),
        ("idle_in_transaction_timeout", database.idle_in_transaction_timeout),
    ];
    for (key, value) in durations {
        let key = format!("database.{key}");
        problems.check_duration(&key, value);
        // PostgreSQL rounds down to milliseconds, and 0 means no limit.
        if !value.is_zero() && value.as_millis() == 0 {
            problems.add(format!("{key}: must be at least 1ms"));
        }
    }
}

/// Rejects a text that no browser sends as `Origin` (RFC 6454 §6.1): it would never match, and no
/// error would show that. Also rejects `*` and `null`, which are not one exact origin.
fn exact_origin(origin: &str) -> Result<(), String> {
    const LIKE: &str = "write it like https://app.example.com";
    match origin {
        "*" => return Err(format!("would allow every web page; {LIKE}")),
        "null" => return Err(format!("is the origin of every sandboxed page; {LIKE}")),
        _ if origin.contains('*') => {
            return Err(format!("has a wildcard; list every origin; {LIKE}"));
        }
        _ => {}
    }
    let url = reqwest::Url::parse(origin).map_err(|_| format!("is not an origin; {LIKE}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("must begin with https:// or http://; {LIKE}"));
    }
    let exact = url.origin().ascii_serialization();
    if exact == origin {
        Ok(())
    } else {
        Err(format!("is not how browsers write it; write {exact}"))
    }
}

/// Rejects a text that is not a header's name. `*` is a valid name, but means every header
/// in the response to a preflight request.
fn header_name(name: &str) -> Result<(), &'static str> {
    match http::HeaderName::try_from(name) {
        Ok(_) if name.contains('*') => Err("would allow every header; list them"),
        Ok(_) => Ok(()),
        Err(_) => Err("is not a header's name; write it like x-tenant"),
    }
}
