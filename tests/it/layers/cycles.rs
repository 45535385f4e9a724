//! The graph of which file uses names of which other file, and its cycles. It is read from
//! the tokens of the sources.
//!
//! A name belongs to the file that defines it, also if a file uses it through re-exports. Names
//! that a file uses from its own ancestors (`mod.rs`, the parent file) do not count: a child is
//! part of its parent.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One file by its module path, `["transport", "server"]` for `transport/server.rs`.
pub type Modules = Vec<String>;

/// For each file, the files whose names it uses, with these names.
pub type Graph = BTreeMap<Modules, BTreeMap<Modules, BTreeSet<String>>>;

/// A path as it is written, and the local name that a `use` gives it (`*` for a glob).
#[derive(Debug, Clone)]
struct Mention {
    path: Vec<String>,
    /// Set in a `use` only.
    alias: Option<String>,
}

#[derive(Default)]
struct File {
    mentions: Vec<Mention>,
    definitions: BTreeSet<String>,
}

type Files = BTreeMap<Modules, File>;

/// The graph of these files, without files and modules that are only for tests.
pub fn graph<'a>(sources: impl Iterator<Item = (&'a Modules, &'a TokenStream)>) -> Graph {
    let mut files = Files::new();
    for (modules, tokens) in sources.filter(|(modules, _)| !modules.iter().any(|m| m == "tests")) {
        let mut file = File::default();
        read(tokens.clone(), 0, &mut file);
        files.insert(modules.clone(), file);
    }
    let mut graph = Graph::new();
    for (here, file) in &files {
        let edges = graph.entry(here.clone()).or_default();
        for mention in &file.mentions {
            let Some(path) = absolute(&mention.path, here, file, &files) else { continue };
            let there = defining_file(&path, &files, 0);
            if !here.starts_with(&there) {
                let name = path.last().cloned().unwrap_or_default();
                edges.entry(there).or_default().insert(name);
            }
        }
    }
    graph
}

/// Groups of files that reach each other: the strongly connected components of two or more files.
pub fn cycles(graph: &Graph) -> Vec<Vec<Modules>> {
    let reach: BTreeMap<&Modules, BTreeSet<&Modules>> =
        graph.keys().map(|start| (start, reachable(start, graph))).collect();
    let mut cycles: Vec<Vec<Modules>> = Vec::new();
    for file in graph.keys().filter(|file| reach[file].contains(file)) {
        if !cycles.iter().any(|cycle| cycle.contains(file)) {
            let cycle = reach[file].iter().filter(|other| reach[*other].contains(file));
            cycles.push(cycle.map(|other| (*other).clone()).collect());
        }
    }
    cycles
}

fn reachable<'a>(start: &Modules, graph: &'a Graph) -> BTreeSet<&'a Modules> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Modules> = graph[start].keys().collect();
    while let Some(file) = open.pop() {
        if let Some((file, edges)) = graph.get_key_value(file)
            && found.insert(file)
        {
            open.extend(edges.keys());
        }
    }
    found
}

/// The path from the crate's root; `None` if the path belongs to another crate.
fn absolute(path: &[String], here: &Modules, file: &File, files: &Files) -> Option<Vec<String>> {
    rooted(path, here, files).or_else(|| {
        // A name that a `use` of this file imports.
        let (first, rest) = path.split_first().filter(|(_, rest)| !rest.is_empty())?;
        let import = file.mentions.iter().find(|one| one.alias.as_ref() == Some(first))?;
        Some([rooted(&import.path, here, files)?, rest.to_vec()].concat())
    })
}

/// As `absolute`, but only for a path that starts with `crate`, `self`, `super` or a child module.
fn rooted(path: &[String], here: &Modules, files: &Files) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let up = path.iter().take_while(|name| *name == "super").count();
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([here, rest].concat()),
        "super" => Some([&here[..here.len() - up], &path[up..]].concat()),
        _ => {
            let child = [here, std::slice::from_ref(first)].concat();
            files.contains_key(&child).then(|| [here, path].concat())
        }
    }
}

/// The file that defines the item at an absolute path. If no definition is found, the file of the
/// longest prefix of the path that is a module.
fn defining_file(path: &[String], files: &Files, depth: usize) -> Modules {
    let mut module = Modules::new();
    for (i, name) in path.iter().enumerate() {
        let child = [module.as_slice(), std::slice::from_ref(name)].concat();
        if files.contains_key(&child) {
            module = child;
            continue;
        }
        let Some(file) = files.get(&module) else { break };
        if file.definitions.contains(name) || depth > 8 {
            break;
        }
        let target = |mention: &Mention| {
            let tail = match mention.alias.as_deref()? {
                "*" => &path[i..],
                alias if alias == name => &path[i + 1..],
                _ => return None,
            };
            let from = absolute(&mention.path, &module, file, files)?;
            let path = [from.as_slice(), tail].concat();
            let there = defining_file(&path, files, depth + 1);
            let is_glob = mention.alias.as_deref() == Some("*");
            let defines = files[&there].definitions.contains(name);
            (!is_glob || defines).then_some(there)
        };
        if let Some(there) = file.mentions.iter().find_map(target) {
            return there;
        }
        break;
    }
    module
}

/// Collects the paths that the tokens of a file mention, and the names that they define. `depth` is
/// the number of inline modules around the tokens.
fn read(tokens: TokenStream, depth: usize, file: &mut File) {
    const ITEMS: [&str; 9] =
        ["struct", "enum", "union", "trait", "fn", "type", "const", "static", "macro_rules"];
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut i = 0;
    while i < tokens.len() {
        match &tokens[i] {
            TokenTree::Punct(p) if p.as_char() == '#' && is_for_tests(tokens.get(i + 1)) => {
                // Skips the attribute and its item.
                i += 2;
                while i < tokens.len() && !ends_item(&tokens[i]) {
                    i += 1;
                }
            }
            TokenTree::Ident(word) if word == "use" => {
                let end = tokens[i..].iter().position(|t| is_punct(t, ';'));
                let end = end.map_or(tokens.len(), |end| i + end);
                uses(&tokens[i + 1..end], &[], depth, &mut file.mentions);
                i = end;
            }
            TokenTree::Ident(word) if word == "mod" => {
                if let Some(TokenTree::Group(body)) = tokens.get(i + 2) {
                    read(body.stream(), depth + 1, file);
                    i += 2;
                }
            }
            TokenTree::Ident(word) => {
                if depth == 0 && ITEMS.iter().any(|item| word == item) {
                    let name = tokens[i + 1..].iter().find_map(|token| match token {
                        TokenTree::Ident(name) => Some(name.to_string()),
                        _ => None,
                    });
                    file.definitions.extend(name.filter(|name| name != "fn"));
                }
                let (path, next) = path_at(&tokens, i);
                if path.len() > 1 {
                    file.mentions.push(Mention { path: lowered(path, depth), alias: None });
                    i = next;
                    continue;
                }
            }
            TokenTree::Group(group) => read(group.stream(), depth, file),
            _ => {}
        }
        i += 1;
    }
}

fn is_for_tests(attribute: Option<&TokenTree>) -> bool {
    matches!(attribute, Some(TokenTree::Group(group))
        if group.stream().to_string().replace(' ', "") == "cfg(test)")
}

fn ends_item(token: &TokenTree) -> bool {
    is_punct(token, ';')
        || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

fn is_punct(token: &TokenTree, expected: char) -> bool {
    matches!(token, TokenTree::Punct(p) if p.as_char() == expected)
}

fn is_separator(tokens: &[TokenTree]) -> bool {
    tokens.len() > 1 && is_punct(&tokens[0], ':') && is_punct(&tokens[1], ':')
}

/// The names joined by `::` from `start` on, and the index after them.
fn path_at(tokens: &[TokenTree], start: usize) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    let mut next = start;
    while let Some(TokenTree::Ident(name)) = tokens.get(next) {
        path.push(name.to_string());
        next += 1;
        if !is_separator(&tokens[next..]) {
            break;
        }
        next += 2;
    }
    (path, next)
}

/// The leaves of a `use` tree.
fn uses(tokens: &[TokenTree], before: &[String], depth: usize, found: &mut Vec<Mention>) {
    match tokens.first() {
        Some(TokenTree::Ident(name)) if is_separator(&tokens[1..]) => {
            uses(&tokens[3..], &[before, &[name.to_string()]].concat(), depth, found);
        }
        Some(TokenTree::Ident(name)) => {
            let mut path = before.to_vec();
            if name != "self" || path.is_empty() {
                path.push(name.to_string());
            }
            let alias = match tokens.get(2) {
                Some(TokenTree::Ident(alias)) => Some(alias.to_string()),
                _ => path.last().cloned(),
            };
            found.push(Mention { path: lowered(path, depth), alias });
        }
        Some(TokenTree::Punct(_)) => {
            let path = lowered(before.to_vec(), depth);
            found.push(Mention { path, alias: Some("*".to_owned()) });
        }
        Some(TokenTree::Group(group)) => {
            let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
            tokens.split(|t| is_punct(t, ',')).for_each(|part| uses(part, before, depth, found));
        }
        _ => {}
    }
}

/// Removes the leading `super`s that only lead out of inline modules, and so stay in the file.
fn lowered(path: Vec<String>, depth: usize) -> Vec<String> {
    let inside = path.iter().take(depth).take_while(|name| *name == "super").count();
    path[inside..].to_vec()
}
