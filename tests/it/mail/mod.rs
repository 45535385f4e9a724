//! Mails with invitations and mails about changes: from their queues to the mailer.

mod deliveries;
mod files;
mod fixture;
mod loss;
mod notices;
mod notified;
mod page;
mod reminders;

use crate::support::HANG;

async fn in_time(behaviour: impl Future<Output = ()>) {
    let held = tokio::time::timeout(HANG, behaviour).await;
    held.expect("the behaviour hangs");
}

/// Runs a behaviour of the outbox on both engines.
#[macro_export]
macro_rules! on_both_stores {
    ($($(#[$meta:meta])* async fn $name:ident($fixture:ident: MailFixture) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn behaviour($fixture: &MailFixture) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                let fixture = MailFixture::open($crate::support::Engine::Sqlite).await;
                $crate::mail::in_time(behaviour(&fixture)).await;
                fixture.close().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                let fixture = MailFixture::open($crate::support::Engine::Postgres).await;
                $crate::mail::in_time(behaviour(&fixture)).await;
                fixture.close().await;
            }
        }
    )+};
}
