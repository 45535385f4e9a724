//! Parses `default.toml` for the generated table of settings.
//!
//! The comment lines `# …` directly above a setting are its description; `#key = value` is a
//! setting without a default.

use super::DEFAULT;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The full name, such as `http.request_timeout` or `issuers[].audience`.
    pub key: String,
    /// The default in TOML syntax.
    pub default: Option<String>,
    pub meaning: String,
}

/// Every setting, in the order of the file. Settings without a comment are repetitions in
/// further examples and are skipped.
pub fn settings() -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut section = String::new();
    let mut comment = Vec::new();
    for line in DEFAULT.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            comment.push(text);
            continue;
        }
        let comment_lines = std::mem::take(&mut comment);
        let (line, has_default) = match line.strip_prefix('#') {
            Some(line) => (line, false),
            None => (line, true),
        };
        if let Some(name) = line.strip_prefix("[[").and_then(|line| line.strip_suffix("]]")) {
            section = format!("{name}[].");
        } else if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, default)) = line.split_once(" = ")
            && !comment_lines.is_empty()
        {
            settings.push(Setting {
                key: format!("{section}{key}"),
                default: has_default.then(|| default.to_owned()),
                meaning: comment_lines.join(" "),
            });
        }
    }
    settings
}

/// The settings as a Markdown table.
pub fn markdown_table() -> String {
    let mut table = String::from("| setting | default | meaning |\n|---|---|---|\n");
    for setting in settings() {
        let default = setting.default.map_or(String::new(), |value| format!("`{value}`"));
        let meaning = setting.meaning.replace('|', "\\|");
        table.push_str(&format!("| `{}` | {default} | {meaning} |\n", setting.key));
    }
    table
}
