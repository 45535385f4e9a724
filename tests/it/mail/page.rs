//! From the call that invites to the link in the mail, and to the page that the link opens.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use guestlist::domain::InviteState;
use guestlist::storage::invites;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};

use crate::on_both_engines;
use crate::support::client::http;
use crate::support::{TestApp, own};

const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Waits for the one mail that the server writes; returns its text. The test's timeout bounds the
/// wait.
async fn the_mail(directory: &Path) -> String {
    loop {
        let files = std::fs::read_dir(directory.join("mail")).into_iter().flatten();
        let mut mails = files.map(|file| file.unwrap().path());
        if let Some(mail) = mails.find(|path| path.extension().is_some_and(|e| e == "eml")) {
            // Joins the lines that quoted-printable has split.
            return std::fs::read_to_string(mail).unwrap().replace("=\r\n", "");
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn send(app: &TestApp, method: Method, path: &str) -> (StatusCode, HeaderMap, Bytes) {
    let request = Request::builder().method(method).uri(app.url(path));
    let answer = http().request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    (head.status, head.headers, body.collect().await.unwrap().to_bytes())
}

on_both_engines! {
    async fn p30_request_headers_do_not_change_the_link_in_a_mail(app: TestApp) {
        let org = app.organization().await;
        let body = format!(
            r#"{{"organizationId": "{}", "invitations": [{{"email": "zoe@example.com"}}]}}"#,
            org.id
        );
        let request = Request::builder()
            .method(Method::POST)
            .uri(app.url("/guestlist.v1.InviteService/InviteByEmail"))
            .header("host", "evil.example")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "https")
            .header("forwarded", "host=evil.example;proto=https")
            .header("origin", "https://evil.example")
            .header("referer", "https://evil.example/")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", org.admin.key.as_deref().unwrap()))
            .body(Full::new(Bytes::from(body)));
        let answer = http().request(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);

        let mail = the_mail(&app.data_dir()).await;
        assert!(mail.contains(&app.url("/invite#")), "{mail}");
        assert!(!mail.contains("evil"), "{mail}");
    }

    async fn p28_opening_the_link_a_hundred_times_uses_no_invite(app: TestApp) {
        let org = app.organization().await;
        let invited = org.admin.invite_address(&org.id, "zoe@example.com", "member").await.unwrap();
        let invite = invited.invite.unwrap().id;
        let token = app.mailed_token(&org.id, &invite).await;
        for _ in 0..50 {
            for method in [Method::GET, Method::HEAD] {
                let (status, headers, page) = send(app, method.clone(), "/invite").await;
                assert_eq!(status, StatusCode::OK);
                assert_eq!(page.is_empty(), method == Method::HEAD);
                assert_eq!(headers["cache-control"], "no-store");
                assert_eq!(headers["referrer-policy"], "no-referrer");
            }
        }
        // Scanners of links may put the token into the query.
        for path in ["/invite", "/invite.js", "/invite.css"] {
            for address in [format!("{path}?{token}"), format!("{path}?t={token}")] {
                assert_eq!(send(app, Method::GET, &address).await.0, StatusCode::OK, "{path}");
            }
            for method in [Method::POST, Method::PUT, Method::DELETE] {
                let (status, ..) = send(app, method, path).await;
                assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            }
        }
        let found = invites::find(app.store().read(), org.domain_id(), invite.parse().unwrap());
        let found = found.await.unwrap().unwrap();
        assert_eq!((found.state, found.uses), (InviteState::Live, 0));
        let zoe = org.stranger.join(&token).await.unwrap();
        let again = org.stranger.join(&token).await.unwrap();
        assert_eq!(zoe.user_id, again.user_id);
    }

    async fn a_mail_that_was_written_is_shown_as_sent(app: TestApp) {
        let org = app.organization().await;
        let invited = org.admin.invite_address(&org.id, "zoe@example.com", "member").await.unwrap();
        let invite = invited.invite.unwrap();
        let token = app.mailed_token(&org.id, &invite.id).await;
        assert!(the_mail(&app.data_dir()).await.contains(&token), "the mail contains the token");
        loop {
            let shown = org.admin.invite_by_id(&org.id, &invite.id).await.unwrap();
            if shown.delivery() == own::Delivery::Sent {
                break;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        assert_eq!(org.stranger.join(&token).await.unwrap().email, "zoe@example.com");
    }
}
