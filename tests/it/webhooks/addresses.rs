use guestlist::config::Config;

use super::{Endpoint, of};
use crate::support::{Code, Engine, Protocol, TestApp, own, run_with};

/// The default settings, except that URLs need no TLS.
fn closed(config: &mut Config) {
    config.webhooks.allowed_networks = Vec::new();
}

const LITERALS: [&str; 40] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7F.0x0.0x0.0x1",
    "017700000001",
    "0177.0.0.1",
    "0177.0x0.0.01",
    "%31%32%37.0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "0",
    "0.0.0.0",
    "0x0",
    "10.0.0.1",
    "012.1",
    "100.64.0.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "172.16.0.1",
    "192.168.1",
    "198.18.0.1",
    "168.63.129.16",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:a00:1::f7f7:f7f7]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
];

async fn behaviour(app: &TestApp) {
    let org = app.organization().await;
    let endpoint = Endpoint::start().await;
    let port = endpoint.url.rsplit_once(':').unwrap().1;
    for host in LITERALS {
        let failure =
            org.admin.webhook(&org.id, &format!("http://{host}:{port}")).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument, "{host}");
        assert_eq!(failure.fields, ["url"], "{host}");
    }
    // A host name is resolved only when an event is sent.
    let (webhook, _) =
        org.admin.webhook(&org.id, &format!("http://localhost:{port}")).await.unwrap();
    let (organization_id, webhook_id) = of(&webhook);
    let test = own::SendTestRequest { organization_id, webhook_id };
    let test = org.admin.send_test(test).await.unwrap();
    assert_eq!((test.accepted, test.status), (false, 0));
    assert_eq!(test.reason, "the host has no public address");
    super::eventually("the first event has failed", async || {
        let waiting = org.admin.deliveries(&webhook).await.unwrap();
        waiting.iter().any(|one| one.reason == "the host has no public address")
    })
    .await;
    assert!(endpoint.arrived().await.is_empty());
}

mod webhooks_cannot_reach_an_address_that_is_not_public {
    use super::*;

    #[test]
    fn sqlite() {
        run_with(closed, Engine::Sqlite, Protocol::Grpc, behaviour);
    }

    #[test]
    fn postgres() {
        run_with(closed, Engine::Postgres, Protocol::ConnectJson, behaviour);
    }
}

mod webhook_urls_need_tls_unless_allow_http_is_set {
    use super::*;

    #[test]
    fn sqlite() {
        let settings = |config: &mut Config| config.webhooks.allow_http = false;
        run_with(settings, Engine::Sqlite, Protocol::Grpc, async |app: &TestApp| {
            let org = app.organization().await;
            let failure = org.admin.webhook(&org.id, "http://127.0.0.1:9/").await.unwrap_err();
            assert_eq!(failure.fields, ["url"]);
            org.admin.webhook(&org.id, "https://127.0.0.1:9/").await.unwrap();
        });
    }
}
