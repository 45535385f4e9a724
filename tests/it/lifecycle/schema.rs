use super::on_both_engines;
use crate::support::own;
use crate::support::program::say;

const BY_HAND: (&str, &str) = ("GUESTLIST_DATABASE__MIGRATE_ON_START", "false");

on_both_engines! {
    async fn it_can_be_brought_up_to_date_by_hand(at: Installation) {
        for command in [&["serve"][..], &["keys", "create", "--email", "ana@acme.com"]] {
            let said = say(at.command(command, &[BY_HAND]));
            assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
            assert!(said.err.contains("`guestlist migrate`"), "{}", said.err);
        }
        let said = at.run(&["migrate"]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.out.starts_with("the schema is up to date"), "{}", said.out);
        assert_eq!(at.run(&["migrate"]).out, "the schema was up to date\n");

        // A schema alone is no first start: that makes the first account.
        let server = at.serve_with(&[BY_HAND]);
        assert!(server.said().contains("first start"), "{}", server.said());
        let key = std::fs::read_to_string(at.key_file()).unwrap();
        let caller = server.person(key.trim()).get_caller(own::GetCallerRequest {}).await;
        assert!(caller.is_ok());
        // Beside the server, too.
        assert_eq!(at.run(&["migrate"]).out, "the schema was up to date\n");
    }
}
