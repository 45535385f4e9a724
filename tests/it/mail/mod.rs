//! The mail that carries invitations: from the outbox to whoever takes it.

mod courier;
mod files;
mod loss;
mod post;

/// Runs a behaviour of the outbox on both engines.
#[macro_export]
macro_rules! on_both_stores {
    ($($(#[$meta:meta])* async fn $name:ident($post:ident: Post) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn behaviour($post: &Post) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                let post = Post::open($crate::support::Engine::Sqlite).await;
                behaviour(&post).await;
                post.close().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                let post = Post::open($crate::support::Engine::Postgres).await;
                behaviour(&post).await;
                post.close().await;
            }
        }
    )+};
}
