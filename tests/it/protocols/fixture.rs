//! Sends invalid requests, and checks that the store and the connection are the same afterwards.

use serde_json::json;

use super::connection::{Answer, Connection};
use super::request::TestRequest;
use super::rpc;
use super::transport::Transport;
use crate::support::client::Failure;
use crate::support::{Code, Organization, TestApp};

/// An organization with a live invite, and the content of the store at the start.
pub struct Fixture<'a> {
    pub app: &'a TestApp,
    pub org: Organization,
    pub token: String,
    before: String,
}

impl<'a> Fixture<'a> {
    pub async fn new(app: &'a TestApp) -> Self {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let before = app.database.dump().await;
        Self { app, org, token, before }
    }

    /// What no response may contain: the invite's token and the secret of the admin's key.
    pub fn secrets(&self) -> [&str; 2] {
        let key = self.org.admin.key.as_deref().unwrap();
        [&self.token, key.rsplit_once('_').unwrap().1]
    }

    /// A valid call.
    pub fn valid_call(&self, transport: Transport) -> TestRequest {
        TestRequest::new(transport, rpc::GET, &json!({"organizationId": self.org.id}))
            .by(&self.org.admin)
    }

    /// Sends an invalid request, and then a valid one on the same connection, which must succeed.
    /// Returns the response to the invalid request.
    pub async fn send_invalid(&self, connection: &mut Connection, bad: TestRequest) -> Answer {
        let transport = bad.transport;
        let answer = bad.send(connection).await;
        for secret in self.secrets() {
            assert!(!answer.contains(secret), "{answer:?}");
        }
        let good = self.valid_call(transport).send(connection).await;
        let good = transport.read(rpc::GET, &good).expect("the server still serves the connection");
        assert_eq!(good["organization"]["id"], self.org.id);
        answer
    }

    /// The same, but returns the failure that the response contains.
    pub async fn expect_failure(&self, connection: &mut Connection, bad: TestRequest) -> Failure {
        let (transport, path) = (bad.transport, bad.path.clone());
        let answer = self.send_invalid(connection, bad).await;
        let failure = transport.read(&path, &answer).expect_err("a failure");
        assert_ne!(failure.message, "");
        failure
    }

    /// The same, and the failure must be INVALID_ARGUMENT with exactly these fields.
    pub async fn expect_invalid_argument(
        &self,
        connection: &mut Connection,
        bad: TestRequest,
        fields: &[&str],
    ) -> Failure {
        let shown = format!("{bad:?}");
        let failure = self.expect_failure(connection, bad).await;
        assert_eq!(failure.code, Code::InvalidArgument, "{shown}: {failure:?}");
        assert_eq!(failure.reason, "INVALID_ARGUMENT", "{shown}");
        assert_eq!(failure.fields, fields, "{shown}: {failure:?}");
        failure
    }

    /// Asserts that the store has not changed and that the invite is still valid.
    pub async fn assert_unchanged(&self) {
        assert_eq!(self.app.database.dump().await, self.before);
        self.org.stranger.preview(&self.token).await.expect("the invite is still valid");
    }
}
