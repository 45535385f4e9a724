use clap::{CommandFactory, Parser};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_definition_is_valid() {
    Cli::command().debug_assert();
}

#[test]
fn serve_is_the_default_command_and_settings_may_be_anywhere() {
    assert!(parse("guestlist").unwrap().command.is_none());
    for line in [
        "guestlist --listen 127.0.0.1:1 --data-dir d",
        "guestlist serve --listen 127.0.0.1:1 --data-dir d",
        "guestlist --data-dir d serve --listen 127.0.0.1:1",
        "guestlist --listen 127.0.0.1:1 keys list --data-dir d",
        "guestlist keys --data-dir d revoke 0123456789abcdef --listen 127.0.0.1:1",
        "guestlist --data-dir d healthcheck --listen 127.0.0.1:1",
    ] {
        let settings = parse(line).unwrap().settings;
        assert_eq!(settings.listen.as_deref(), Some("127.0.0.1:1"), "{line}");
        assert_eq!(settings.data_dir.as_deref(), Some("d"), "{line}");
    }
}

#[test]
fn a_new_key_needs_exactly_one_owner() {
    for line in [
        "--email ana@acme.com",
        "--email ana@acme.com --name Ana --expires 90d --scope operator",
        "--account 0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b",
        "--service --name billing --scope act --org 0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b",
    ] {
        assert!(parse(&format!("guestlist keys create {line}")).is_ok(), "{line}");
    }
    for line in [
        "",
        "--service",
        "--name billing",
        "--email ana",
        "--email ana@acme.com --service --name billing",
        "--email ana@acme.com --account 0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b",
        "--account 0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b --name Ana",
        "--email ana@acme.com --scope admin",
        "--email ana@acme.com --expires soon",
        "--email ana@acme.com --org acme",
    ] {
        assert!(parse(&format!("guestlist keys create {line}")).is_err(), "{line}");
    }
}

#[test]
fn accounts_erase_accepts_exactly_one_account_id() {
    let id = "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";
    assert!(parse(&format!("guestlist accounts erase {id}")).is_ok());
    for line in ["accounts", "accounts erase", "accounts erase ana@acme.com"] {
        assert!(parse(&format!("guestlist {line}")).is_err(), "{line}");
    }
    assert!(parse(&format!("guestlist accounts erase {id} {id}")).is_err());
}

#[test]
fn the_arguments_of_export_and_import_are_checked() {
    for line in ["export f", "import f", "import f --dry-run", "import f --send-mails"] {
        assert!(parse(&format!("guestlist {line} --data-dir d")).is_ok(), "{line}");
    }
    for line in ["export", "import", "export f g", "import f --dry-run --send-mails"] {
        assert!(parse(&format!("guestlist {line}")).is_err(), "{line}");
    }
}

#[test]
fn the_arguments_of_backup_restore_and_secret_key_are_checked() {
    for line in ["backup f", "restore f", "restore f --replace", "secret-key reseal"] {
        assert!(parse(&format!("guestlist {line} --data-dir d")).is_ok(), "{line}");
    }
    for line in ["backup", "backup f g", "backup f --replace", "restore", "secret-key"] {
        assert!(parse(&format!("guestlist {line}")).is_err(), "{line}");
    }
}

#[test]
fn a_failure_prints_each_cause_once() {
    let io = std::io::Error::other("disk on fire");
    let error = Error::internal(io).with_message("cannot write: disk on fire");
    let failure = Failure::from(error);
    assert_eq!(failure.to_string(), "cannot write: disk on fire");
    assert_eq!(failure.exit_code(), 1);
    let failure = Failure::from(Error::internal(std::io::Error::other("disk on fire")));
    assert_eq!(failure.to_string(), "internal error: disk on fire");
}
