//! Mails with invitations and mails about changes: from their queues to the mailer.

mod courier;
mod files;
mod loss;
mod notices;
mod notified;
mod page;
mod post;
mod reminders;

use crate::support::HANG;

async fn in_time(behaviour: impl Future<Output = ()>) {
    let held = tokio::time::timeout(HANG, behaviour).await;
    held.expect("the behaviour hangs");
}

/// Runs a behaviour of the outbox on both engines.
#[macro_export]
macro_rules! on_both_stores {
    ($($(#[$meta:meta])* async fn $name:ident($post:ident: MailFixture) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn behaviour($post: &MailFixture) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                let post = MailFixture::open($crate::support::Engine::Sqlite).await;
                $crate::mail::in_time(behaviour(&post)).await;
                post.close().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                let post = MailFixture::open($crate::support::Engine::Postgres).await;
                $crate::mail::in_time(behaviour(&post)).await;
                post.close().await;
            }
        }
    )+};
}
