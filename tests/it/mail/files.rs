//! Without a mail server, mails are written to files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::fixture::MailFixture;
use crate::on_both_stores;
use guestlist::config::Config;
use guestlist::mail;

on_both_stores! {
    async fn mails_are_written_to_files_that_only_the_owner_can_read(fixture: MailFixture) {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::reference();
        config.data_dir = directory.path().to_owned();
        let worker = fixture.worker(mail::open(&config).unwrap());
        let (invite, token) = fixture.invite("zoe@example.com").await;
        worker.deliver_due().await.unwrap();

        let folder = directory.path().join("mail");
        let file = folder.join(format!("{}.1.eml", invite.id));
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        let message = fs::read_to_string(&file).unwrap();
        assert!(message.contains("From: Guestlist <guestlist@localhost>\r\n"), "{message}");
        assert!(message.contains("To: zoe@example.com\r\n"), "{message}");
        assert!(message.replace("=\r\n", "").contains(&token.expose()), "{message}");

        // Each mail is a file of its own, and no unfinished file is left.
        fixture.resend(&invite).await;
        worker.deliver_due().await.unwrap();
        let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut files: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
        files.sort();
        let expected = [format!("{}.1.eml", invite.id), format!("{}.2.eml", invite.id)];
        assert_eq!(files, expected);
    }

    async fn a_mail_that_cannot_be_written_is_retried(fixture: MailFixture) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("mail"), "not a directory").unwrap();
        let mut config = Config::reference();
        config.data_dir = directory.path().to_owned();
        let worker = fixture.worker(mail::open(&config).unwrap());
        fixture.invite("zoe@example.com").await;
        worker.deliver_due().await.unwrap();
        assert!(fixture.next_due().await.is_some());
        fs::remove_file(directory.path().join("mail")).unwrap();
        fixture.pass_to_next_due().await;
        worker.deliver_due().await.unwrap();
        assert_eq!(fixture.next_due().await, None);
    }
}
