//! Somebody who sends bad input, and what must be the same after it as before.

use serde_json::json;

use super::ask::Ask;
use super::door::Door;
use super::rpc;
use super::wire::{Answer, Connection};
use crate::support::client::Failure;
use crate::support::{Code, Organization, TestApp};

/// An organization with a live invite, and all that is in the store.
pub struct World<'a> {
    pub app: &'a TestApp,
    pub org: Organization,
    pub token: String,
    before: String,
}

impl<'a> World<'a> {
    pub async fn new(app: &'a TestApp) -> Self {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let before = app.database.dump().await;
        Self { app, org, token, before }
    }

    /// What no answer may repeat: the invite's token, the secret of the key.
    pub fn secrets(&self) -> [&str; 2] {
        let key = self.org.admin.key.as_deref().unwrap();
        [&self.token, key.rsplit_once('_').unwrap().1]
    }

    /// A good call.
    pub fn good(&self, door: Door) -> Ask {
        Ask::new(door, rpc::GET, &json!({"organizationId": self.org.id})).by(&self.org.admin)
    }

    /// Sends what is bad; then something good on the same connection, which has to
    /// be answered as if nothing had been.
    pub async fn tries(&self, connection: &mut Connection, bad: Ask) -> Answer {
        let door = bad.door;
        let answer = bad.send(connection).await;
        for secret in self.secrets() {
            assert!(!answer.says(secret), "{answer:?}");
        }
        let good = self.good(door).send(connection).await;
        let good = door.read(rpc::GET, &good).expect("the server goes on");
        assert_eq!(good["organization"]["id"], self.org.id);
        answer
    }

    /// The same, read as this protocol's refusal.
    pub async fn refused(&self, connection: &mut Connection, bad: Ask) -> Failure {
        let (door, path) = (bad.door, bad.path.clone());
        let answer = self.tries(connection, bad).await;
        let failure = door.read(&path, &answer).expect_err("a refusal");
        assert_ne!(failure.message, "");
        failure
    }

    /// The same, refused for what is wrong with these fields.
    pub async fn invalid(&self, connection: &mut Connection, bad: Ask, fields: &[&str]) -> Failure {
        let shown = format!("{bad:?}");
        let failure = self.refused(connection, bad).await;
        assert_eq!(failure.code, Code::InvalidArgument, "{shown}: {failure:?}");
        assert_eq!(failure.reason, "INVALID_ARGUMENT", "{shown}");
        assert_eq!(failure.fields, fields, "{shown}: {failure:?}");
        failure
    }

    /// Nothing was changed and nothing was lost.
    pub async fn is_as_before(&self) {
        assert_eq!(self.app.database.dump().await, self.before);
        self.org.stranger.preview(&self.token).await.expect("the invite lives");
    }
}
