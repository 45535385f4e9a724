//! The table in `deploy/settings.md` is generated from `default.toml`.

use guestlist::config::reference::markdown_table;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/settings.md");
const BEGIN: &str = "<!-- settings -->\n";
const END: &str = "<!-- /settings -->";
/// If this variable is set, the test writes the table instead of comparing it.
const REWRITE: &str = "GUESTLIST_TEST_REWRITE_SETTINGS";

#[test]
fn the_settings_table_is_up_to_date() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a table of settings");
    let (table, after) = rest.split_once(END).expect("the table of settings has an end");
    let expected = format!("\n{}\n", markdown_table());
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(PAGE, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else if table != expected {
        panic!("the table in deploy/settings.md is outdated: run this test with {REWRITE}=1");
    }
}
