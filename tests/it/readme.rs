//! The README's table of settings is `default.toml`, told in another form.

use guestlist::config::reference::markdown_table;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const BEGIN: &str = "<!-- settings -->\n";
const END: &str = "<!-- /settings -->";
/// Set, it makes this test write the table instead of comparing it.
const REWRITE: &str = "GUESTLIST_TEST_REWRITE_README";

#[test]
fn its_table_of_settings_is_up_to_date() {
    let readme = std::fs::read_to_string(README).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the README has a table of settings");
    let (table, after) = rest.split_once(END).expect("the table of settings has an end");
    let right = format!("\n{}\n", markdown_table());
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(README, format!("{before}{BEGIN}{right}{END}{after}")).unwrap();
    } else if table != right {
        panic!("the README's table of settings is old: run the tests once with {REWRITE}=1");
    }
}
