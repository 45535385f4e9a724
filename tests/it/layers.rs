//! Checks the architecture: which part may use which other part, and that no two files use each
//! other. The tests read the tokens of the sources.

mod cycles;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::support::client::DESCRIPTORS;

/// Parts in order, each with the parts before it that it may use.
type Table = &'static [(&'static str, &'static [&'static str])];

/// Every top-level module and the modules that it may use. A module may only use earlier ones.
const MODULES: Table = &[
    ("proto", &[]),
    ("domain", &[]),
    ("error", &[]),
    // A macro of `storage`, which Rust exports at the root.
    ("change", &[]),
    ("keyring", &[]),
    ("certificates", &[]),
    ("clock", &["domain"]),
    ("config", &["domain"]),
    ("telemetry", &["domain", "error", "config"]),
    ("limits", &["domain", "error", "config", "clock"]),
    // An event is stored as the message that its readers get.
    ("storage", &["change", "domain", "error", "config", "certificates", "proto"]),
    // A leaf: it receives the complete messages that it sends.
    ("mail", &["domain", "error", "config"]),
    // A leaf, like `mail`.
    ("webhooks", &["domain", "error", "proto", "telemetry"]),
    // Uses only names and addresses.
    ("dns", &[]),
    ("auth", &["storage", "domain", "error", "config", "clock"]),
    (
        "operations",
        // `SendTest` sends to a webhook and `VerifyDomain` looks up a domain during the request.
        &[
            "auth", "dns", "webhooks", "storage", "domain", "error", "clock", "keyring", "limits",
            "proto",
        ],
    ),
    (
        "workers",
        // Only workers render and send mail; a request never does.
        &[
            "operations",
            "auth",
            "dns",
            "mail",
            "webhooks",
            "storage",
            "domain",
            "error",
            "clock",
            "keyring",
            "limits",
            "telemetry",
        ],
    ),
    ("transport", &["operations", "auth", "domain", "error", "config", "proto", "telemetry"]),
    (
        "app",
        &[
            "transport",
            "workers",
            "operations",
            "auth",
            "dns",
            "mail",
            "webhooks",
            "storage",
            "domain",
            "error",
            "config",
            "clock",
            "keyring",
            "limits",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "operations",
            "auth",
            "storage",
            "domain",
            "error",
            "config",
            "clock",
            "certificates",
            "telemetry",
            "proto",
        ],
    ),
];

/// The parts of `transport` and the parts that each may use.
const TRANSPORT: Table = &[
    // Data and tools that do not depend on a protocol.
    ("body", &[]),
    ("endpoint", &[]),
    ("fair_semaphore", &[]),
    ("maybe_caller", &[]),
    ("methods", &[]),
    ("middleware", &[]),
    ("peer", &[]),
    ("status", &[]),
    ("call", &["endpoint", "methods"]),
    ("metrics", &["status"]),
    // The accept loop accepts any service: it does not depend on the stack.
    ("server", &["body", "fair_semaphore", "metrics", "peer"]),
    ("protocol", &["body", "call", "methods", "middleware", "status"]),
    ("rest", &["call", "endpoint", "maybe_caller", "middleware", "status"]),
    ("services", &["body", "call", "middleware", "protocol", "status"]),
    ("rpc", &["maybe_caller", "services", "status"]),
    ("system", &["metrics", "middleware", "peer", "rest", "services"]),
    ("identify", &["call", "endpoint", "methods", "rest", "system"]),
    ("refuse", &["call", "protocol", "rest", "status"]),
    (
        "layers",
        &[
            "body",
            "call",
            "fair_semaphore",
            "methods",
            "metrics",
            "middleware",
            "peer",
            "protocol",
            "refuse",
            "status",
        ],
    ),
    (
        "stack",
        &[
            "call",
            "identify",
            "layers",
            "methods",
            "metrics",
            "middleware",
            "protocol",
            "rest",
            "services",
            "system",
        ],
    ),
];

/// What a file of queries may use.
const QUERY: [&str; 5] = ["connection", "entity", "error", "sql", "statement"];

/// The parts of `storage` and the parts that each may use.
const STORAGE: Table = &[
    ("error", &[]),
    ("statistics", &["error"]),
    ("entity", &[]),
    ("disk_space", &["error"]),
    ("statement", &["error"]),
    // The drivers do not depend on changes or queries.
    ("postgres", &["error", "statistics", "statement"]),
    ("sqlite", &["error", "statement"]),
    ("cache_versions", &["statement"]),
    (
        "connection",
        &["cache_versions", "disk_space", "error", "postgres", "sqlite", "statement", "statistics"],
    ),
    ("sql", &["connection", "statement"]),
    ("members", &QUERY),
    ("join_requests", &QUERY),
    (
        "accounts",
        &["connection", "entity", "error", "sql", "statement", "join_requests", "members"],
    ),
    ("api_keys", &QUERY),
    ("attributes", &QUERY),
    ("domains", &QUERY),
    ("event_data", &[]),
    ("events", &["connection", "entity", "error", "postgres", "sql", "statement"]),
    ("event_watch", &["connection", "events"]),
    (
        "audit_events",
        &["connection", "entity", "error", "sql", "statement", "event_data", "events"],
    ),
    ("grants", &["connection", "entity", "error", "sql", "statement", "members"]),
    ("invites", &QUERY),
    (
        "invite_lists",
        &["attributes", "connection", "entity", "error", "sql", "statement", "invites", "members"],
    ),
    ("organization_cache", &["connection"]),
    ("memberships", &["organization_cache", "connection", "entity", "error", "sql", "statement"]),
    (
        "member_lists",
        &["attributes", "connection", "entity", "error", "sql", "statement", "members"],
    ),
    ("organizations", &QUERY),
    ("organization_lists", &QUERY),
    ("lease", &["connection"]),
    ("notices", &["connection", "entity", "error", "sql", "statement", "lease", "members"]),
    ("outbox", &["connection", "entity", "error", "sql", "statement", "lease"]),
    (
        "previews",
        &[
            "organization_cache",
            "connection",
            "entity",
            "error",
            "sql",
            "statement",
            "invites",
            "members",
        ],
    ),
    ("removals", &QUERY),
    ("requests", &QUERY),
    ("sealed", &QUERY),
    ("settings", &QUERY),
    ("state", &["connection", "entity", "error", "sql", "statement", "members"]),
    ("snapshot", &["connection", "error", "sqlite", "statement"]),
    ("transfer", &QUERY),
    ("webhooks", &QUERY),
    ("webhook_deliveries", &["connection", "entity", "error", "sql", "statement", "lease"]),
    ("webhook_turns", &["connection", "entity", "error", "sql", "statement", "lease", "webhooks"]),
    ("migration_lock", &["connection", "error", "statement"]),
    ("migrations", &["connection", "error", "postgres", "statement"]),
    ("write", &["connection", "error", "postgres", "cache_versions", "sqlite", "statistics"]),
    ("location", &["connection", "error", "postgres", "sqlite", "write"]),
    ("backup", &["migrations", "settings", "snapshot", "sqlite"]),
    ("restore", &["backup", "location", "sqlite"]),
];

/// The tables for the parts of top-level modules.
const PART_TABLES: &[(&str, Table)] = &[("storage", STORAGE), ("transport", TRANSPORT)];

/// Crates that only one top-level module may use.
const CRATE_OWNERS: &[(&str, &str)] = &[
    ("sea_orm", "storage"),
    ("sea_orm_migration", "storage"),
    ("rusqlite", "storage"),
    ("tokio_postgres", "storage"),
    ("deadpool", "storage"),
    ("tonic", "transport"),
    ("hyper", "transport"),
    ("hyper_util", "transport"),
    ("connectrpc", "transport"),
    ("axum", "transport"),
    ("jsonwebtoken", "auth"),
    ("lettre", "mail"),
    ("minijinja", "mail"),
    ("governor", "limits"),
    ("hickory_resolver", "dns"),
    ("clap", "cli"),
];

/// Crates and types that the domain must not use: it has only data and rules, no side effects.
const NOT_IN_THE_DOMAIN: &[&str] =
    &["tokio", "tracing", "http", "reqwest", "SystemTime", "Instant"];

/// A source file: its module path, its path, its tokens and its number of lines.
struct Source {
    modules: Vec<String>,
    path: PathBuf,
    tokens: TokenStream,
    lines: usize,
}

/// What a file refers to: our top-level modules, and all identifiers, which include crates.
#[derive(Default)]
struct References {
    modules: BTreeSet<String>,
    identifiers: BTreeSet<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(directory: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let relative = path.strip_prefix(root().join("src")).unwrap().with_extension("");
            let mut modules: Vec<String> =
                relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            if matches!(modules.last().map(String::as_str), Some("mod" | "lib" | "main")) {
                modules.pop();
            }
            let tokens = text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            found.push(Source { modules, path, tokens, lines: text.lines().count() });
        }
    }
}

fn all_sources() -> Vec<Source> {
    let mut found = Vec::new();
    sources(&root().join("src"), &mut found);
    assert!(found.len() > 50, "the sources were found");
    found
}

fn is_ident(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == word)
}

fn is_colons(tokens: &[TokenTree]) -> bool {
    let colon =
        |t: Option<&TokenTree>| matches!(t, Some(TokenTree::Punct(p)) if p.as_char() == ':');
    colon(tokens.first()) && colon(tokens.get(1))
}

/// Reads tokens, including those in macros and groups. Skips modules that are only for tests.
fn read(tokens: TokenStream, here: &[String], found: &mut References) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut for_tests = false;
    let mut i = 0;
    while i < tokens.len() {
        match &tokens[i] {
            TokenTree::Punct(p) if p.as_char() == '#' => {
                if let Some(TokenTree::Group(attribute)) = tokens.get(i + 1) {
                    let text = attribute.stream().to_string().replace(' ', "");
                    for_tests |= text == "cfg(test)";
                    i += 2;
                    continue;
                }
            }
            TokenTree::Ident(word) if word == "mod" => {
                if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                    (tokens.get(i + 1), tokens.get(i + 2))
                {
                    if !for_tests {
                        let inside = [here, &[name.to_string()]].concat();
                        read(body.stream(), &inside, found);
                    }
                    i += 3;
                    for_tests = false;
                    continue;
                }
            }
            TokenTree::Ident(word) if word == "crate" && is_colons(&tokens[i + 1..]) => {
                first_names(&tokens[i + 3..], &mut found.modules);
            }
            TokenTree::Ident(word) if word == "super" && is_colons(&tokens[i + 1..]) => {
                let mut up = here.len() - 1;
                let mut next = i + 3;
                while is_ident(tokens.get(next), "super") && is_colons(&tokens[next + 1..]) {
                    up -= 1;
                    next += 3;
                }
                match up {
                    0 => first_names(&tokens[next..], &mut found.modules),
                    _ => {
                        found.modules.insert(here[0].clone());
                    }
                }
                i = next;
                continue;
            }
            TokenTree::Group(group) => read(group.stream(), here, found),
            _ => {}
        }
        if let TokenTree::Ident(word) = &tokens[i] {
            found.identifiers.insert(word.to_string());
        }
        if matches!(&tokens[i], TokenTree::Punct(p) if p.as_char() == ';') {
            for_tests = false;
        }
        i += 1;
    }
}

/// Adds the first name of the path that follows, or of each path in a group `{…}`.
fn first_names(tokens: &[TokenTree], names: &mut BTreeSet<String>) {
    match tokens.first() {
        Some(TokenTree::Ident(name)) => {
            names.insert(name.to_string());
        }
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
            let comma = |t: &TokenTree| matches!(t, TokenTree::Punct(p) if p.as_char() == ',');
            for part in tokens.split(comma) {
                first_names(part, names);
            }
        }
        _ => {}
    }
}

fn references(source: &Source) -> References {
    let mut found = References::default();
    read(source.tokens.clone(), &source.modules, &mut found);
    found
}

/// Whether the file is compiled only for tests (`mod tests;` with its own file).
fn is_for_tests(source: &Source) -> bool {
    source.modules.iter().any(|module| module == "tests")
}

#[test]
fn modules_use_only_the_modules_allowed_for_them() {
    for source in all_sources().iter().filter(|source| !is_for_tests(source)) {
        let Some(module) = source.modules.first() else { continue };
        let entry = MODULES.iter().find(|(name, _)| name == module);
        let Some((_, allowed)) = entry else {
            panic!("{}: the module {module} is missing in MODULES", source.path.display());
        };
        for other in references(source).modules {
            assert!(
                other == *module || allowed.contains(&other.as_str()),
                "{}: {module} must not use {other}",
                source.path.display()
            );
        }
    }
}

#[test]
fn the_tables_allow_only_earlier_parts() {
    for table in PART_TABLES.iter().map(|(_, table)| *table).chain([MODULES]) {
        for (i, (module, allowed)) in table.iter().enumerate() {
            for other in *allowed {
                let at = table.iter().position(|(name, _)| name == other);
                assert!(
                    at.is_some_and(|at| at < i),
                    "{module} uses {other}, which is not before it"
                );
            }
        }
    }
}

#[test]
fn parts_of_a_module_use_only_the_parts_allowed_for_them() {
    let graph = graph();
    for (module, table) in PART_TABLES {
        let part = |file: &cycles::Modules| match file.as_slice() {
            [first, part, ..] if first == module => Some(part.clone()),
            _ => None,
        };
        for (file, edges) in &graph {
            let Some(here) = part(file) else { continue };
            let Some((_, allowed)) = table.iter().find(|(name, _)| *name == here) else {
                panic!("{module}/{here} is missing in its table");
            };
            for (there, names) in edges.iter().filter_map(|(to, names)| Some((part(to)?, names))) {
                assert!(
                    there == here || allowed.contains(&there.as_str()),
                    "{}: {here} must not use {there}: {names:?}",
                    file.join("/"),
                );
            }
        }
    }
}

#[test]
fn no_files_use_each_other() {
    let graph = graph();
    let mut report = String::new();
    for cycle in cycles::cycles(&graph) {
        report += "\ncycle:\n";
        for file in &cycle {
            for (there, names) in graph[file].iter().filter(|(there, _)| cycle.contains(there)) {
                report += &format!("  {} -> {}: {names:?}\n", file.join("/"), there.join("/"));
            }
        }
    }
    assert!(report.is_empty(), "files that use each other, directly or through others:{report}");
}

fn graph() -> cycles::Graph {
    let sources = all_sources();
    // The command line, `main.rs`, is a separate crate.
    let library = sources.iter().filter(|source| !source.path.ends_with("main.rs"));
    cycles::graph(library.map(|source| (&source.modules, &source.tokens)))
}

#[test]
fn cycles_are_found_through_imports_paths_and_reexports() {
    let files = [
        ("", "mod a; mod b; mod c; mod d;"),
        ("a", "mod inner; pub use inner::Thing; use crate::{b::B, d};"),
        ("a/inner", "use super::Other; pub struct Thing; fn f() { d::unrelated(); }"),
        ("b", "pub struct B; fn f(x: &super::c::C) -> usize { 1 }"),
        // `self` is the file `a` and closes the cycle. `Thing` is defined in `a/inner`, which leads
        // to no other file.
        (
            "c",
            "use super::a::{self, Thing}; pub struct C; #[cfg(test)] mod tests { use crate::b; }",
        ),
        ("d", "mod e; use self::e::E; pub struct D; impl D { fn f() { e::g(); } }"),
        ("d/e", "pub struct E; fn g(_: super::D, _: super::super::f::F) {}"),
        ("f", "pub struct F; macro_rules! m { () => { crate::d::e::g() } }"),
    ];
    let sources: Vec<(cycles::Modules, TokenStream)> = files
        .iter()
        .map(|(path, code)| {
            let modules = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned);
            (modules.collect(), code.parse().unwrap())
        })
        .collect();
    let graph = cycles::graph(sources.iter().map(|(modules, tokens)| (modules, tokens)));
    let found: Vec<Vec<String>> = cycles::cycles(&graph)
        .iter()
        .map(|cycle| cycle.iter().map(|modules| modules.join("/")).collect())
        .collect();
    assert_eq!(found, [vec!["a", "b", "c"], vec!["d/e", "f"]]);
}

#[test]
fn some_crates_are_used_by_one_module_only() {
    for source in all_sources().iter().filter(|source| !is_for_tests(source)) {
        let Some(module) = source.modules.first() else { continue };
        if module == "proto" {
            continue;
        }
        let identifiers = references(source).identifiers;
        for (name, owner) in CRATE_OWNERS {
            assert!(
                module == owner || !identifiers.contains(*name),
                "{}: only {owner} may use {name}",
                source.path.display()
            );
        }
        if module == "domain" {
            for name in NOT_IN_THE_DOMAIN {
                assert!(
                    !identifiers.contains(*name),
                    "{}: the domain must not use {name}",
                    source.path.display()
                );
            }
        }
    }
}

#[test]
fn source_files_are_short() {
    let mut lines: Vec<usize> = Vec::new();
    for source in all_sources() {
        assert!(source.lines <= 600, "{} has {} lines", source.path.display(), source.lines);
        lines.push(source.lines);
    }
    lines.sort_unstable();
    let median = lines[lines.len() / 2];
    assert!(median <= 150, "the median file has {median} lines");
}

#[test]
fn every_rpc_has_its_operation_and_its_test() {
    let operations = root().join("src/operations");
    let folders: Vec<PathBuf> = fs::read_dir(operations)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    let ours = DESCRIPTORS.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let mut count = 0;
    for method in ours {
        let file = format!("{}.rs", snake_case(method.name()));
        let places = folders.iter().filter(|folder| folder.join(&file).exists()).count();
        assert_eq!(places, 1, "{} has one operation file {file}", method.full_name());
        let test = root().join("tests/it/rpc").join(&file);
        assert!(test.exists(), "{} has no test {}", method.full_name(), test.display());
        count += 1;
    }
    assert!(count >= 15, "the RPCs were found");
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

#[test]
fn references_are_found_in_every_kind_of_code() {
    let code = r#"
        use crate::{domain::{Role, Member}, storage as s};
        use super::super::operations::members;
        use super::status;
        #[cfg(test)]
        mod tests { use crate::cli; }
        mod inner { use super::super::super::workers; }
        fn f() { crate::auth::x(); vec![crate::error::Error::new(super::super::config::X)]; }
    "#;
    let here = ["transport".to_owned(), "rpc".to_owned()];
    let mut found = References::default();
    read(code.parse().unwrap(), &here, &mut found);
    let found: Vec<&str> = found.modules.iter().map(String::as_str).collect();
    let expected =
        ["auth", "config", "domain", "error", "operations", "storage", "transport", "workers"];
    assert_eq!(found, expected);
}
