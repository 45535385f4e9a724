//! Calls of every kind with secrets wherever a caller can put them.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderValue, Method, Version};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::ask::Ask;
use super::super::door::{Door, Form, encode, frame};
use super::super::wire::{Answer, Connection};
use super::super::{gzip, rpc};
use super::canaries::Canaries;

const INVITE: &str = "/gitpod.v1.OrganizationService/CreateOrganizationInvite";
const LINK: &str = "/guestlist.v1.InviteService/CreateLink";
const MAIL: &str = "/guestlist.v1.InviteService/InviteByEmail";
const GET_INVITE: &str = "/gitpod.v1.OrganizationService/GetOrganizationInvite";

/// Who drives.
pub struct Driver<'a> {
    pub addr: SocketAddr,
    pub canaries: &'a mut Canaries,
    pub admin: String,
    pub stranger: String,
    /// A token that an issuer signed.
    pub jwt: String,
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

impl Driver<'_> {
    /// Through each of these doors; answers what the metrics say in the end.
    pub async fn drive(&mut self, doors: &[Door]) -> String {
        let organization = self.found().await;
        for &door in doors {
            let mut connection = Connection::open(self.addr, door.version).await;
            let dead = self.invite(&mut connection, door, &organization).await;
            let token = self.invite(&mut connection, door, &organization).await;
            self.other_invites(&mut connection, door, &organization).await;
            self.good(&mut connection, door, &organization, &token).await;
            for token in [&dead, &token] {
                self.bodies(&mut connection, door, token).await;
                self.heads(&mut connection, door, token).await;
                self.paths(&mut connection, door, &organization, token).await;
            }
            self.credentials(&mut connection, door, &token).await;
            self.garbage(&token).await;
        }
        let door = Door { form: Form::Json, version: Version::HTTP_11 };
        let mut connection = Connection::open(self.addr, door.version).await;
        let metrics = Ask::raw(door, "/metrics", "").verb(Method::GET).send(&mut connection).await;
        String::from_utf8(metrics.body.to_vec()).unwrap()
    }

    async fn found(&self) -> String {
        let door = Door { form: Form::Json, version: Version::HTTP_11 };
        let mut connection = Connection::open(self.addr, door.version).await;
        let request = json!({"name": "Acme", "joinOrganization": true});
        let ask = Ask::new(door, rpc::CREATE, &request);
        let answer = ask.with("authorization", &bearer(&self.admin)).send(&mut connection).await;
        let made = door.read(rpc::CREATE, &answer).unwrap();
        made["organization"]["id"].as_str().unwrap().to_owned()
    }

    async fn invite(&mut self, connection: &mut Connection, door: Door, id: &str) -> String {
        let ask = Ask::new(door, INVITE, &json!({"organizationId": id}));
        let answer = ask.with("authorization", &bearer(&self.admin)).send(connection).await;
        let made = door.read(INVITE, &answer).unwrap();
        let token = made["invite"]["inviteId"].as_str().unwrap().to_owned();
        self.canaries.add("a joining token", &token);
        token
    }

    /// A named link and an email invitation; the latter's token is in the mail.
    async fn other_invites(&mut self, connection: &mut Connection, door: Door, id: &str) {
        let ask = |path, request| {
            Ask::new(door, path, &request).with("authorization", &bearer(&self.admin))
        };
        let link = ask(LINK, json!({"organizationId": id, "role": "member"}));
        let made = door.read(LINK, &link.send(connection).await).unwrap();
        let token = made["invite"]["token"].as_str().unwrap();
        let email = format!("guest-{}@acme.com", hex::encode(rand::random::<[u8; 8]>()));
        let mail = ask(MAIL, json!({"organizationId": id, "invitations": [{"email": email}]}));
        door.read(MAIL, &mail.send(connection).await).unwrap();
        self.canaries.add("a link's token", token);
    }

    async fn ask(&self, connection: &mut Connection, ask: Ask) -> Answer {
        ask.with("authorization", &bearer(&self.stranger)).send(connection).await
    }

    async fn good(&self, connection: &mut Connection, door: Door, id: &str, token: &str) {
        let by_id = json!({"organizationId": id});
        let by_token = json!({"inviteId": token});
        for (path, request, by) in [
            (GET_INVITE, &by_id, &self.admin),
            (rpc::GET, &by_id, &self.admin),
            (rpc::LIST_MEMBERS, &by_id, &self.admin),
            (rpc::AUDIT, &by_id, &self.admin),
            (rpc::PREVIEW, &by_token, &self.stranger),
            (rpc::JOIN, &by_token, &self.stranger),
            (rpc::GET_CALLER, &json!({}), &self.jwt),
        ] {
            let ask = Ask::new(door, path, request).with("authorization", &bearer(by));
            let answer = ask.with("accept-encoding", "gzip").send(connection).await;
            assert_eq!(answer.status, 200, "{path} {answer:?}");
        }
        let message = json!({"inviteId": token}).to_string();
        let base64 = URL_SAFE_NO_PAD.encode(encode(rpc::PREVIEW, &by_token));
        for query in [
            format!("encoding=json&message={}", utf8_percent_encode(&message, NON_ALPHANUMERIC)),
            format!("connect=v1&encoding=proto&base64=1&message={base64}"),
            format!("encoding=proto&base64=1&message={token}"),
            format!("encoding={token}&message={token}"),
            format!("token={token}"),
        ] {
            let path = format!("{}?{query}", rpc::PREVIEW);
            for verb in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS] {
                self.ask(connection, Ask::raw(door, &path, "").verb(verb)).await;
            }
        }
    }

    async fn bodies(&self, connection: &mut Connection, door: Door, token: &str) {
        let proto = encode(rpc::JOIN, &json!({"inviteId": token}));
        let whole = door.body(rpc::JOIN, &json!({"inviteId": token}));
        let large = format!("{token}{}", " ".repeat(2 << 20));
        for body in [
            whole.clone(),
            whole.slice(..whole.len() - 2),
            format!("{{\"inviteId\": {token}}}").into(),
            format!("{{\"inviteId\": [\"{token}\"]}}").into(),
            format!("{{\"{token}\": \"{token}\"}}").into(),
            format!("\"{token}").into(),
            token.to_owned().into(),
            door.wrap(&frame(0, token.as_bytes())),
            door.wrap(&frame(1, &gzip(&proto))),
            door.wrap(&frame(9, &proto)),
            door.wrap(&[&frame(0, &proto)[..], token.as_bytes()].concat()),
            large.into(),
        ] {
            self.ask(connection, Ask::raw(door, rpc::JOIN, body)).await;
        }
        let wrong: Value = json!({"organizationId": token, "userId": token, "role": 9});
        self.ask(connection, Ask::new(door, rpc::SET_ROLE, &wrong)).await;
        let unknown = json!({"organizationId": token, "filter": {"search": token}});
        self.ask(connection, Ask::new(door, rpc::LIST_MEMBERS, &unknown)).await;
    }

    async fn heads(&self, connection: &mut Connection, door: Door, token: &str) {
        let ask = || Ask::new(door, rpc::PREVIEW, &json!({"inviteId": token}));
        for name in [
            "content-type",
            "content-encoding",
            "grpc-encoding",
            "grpc-accept-encoding",
            "accept-encoding",
            "accept",
            "grpc-timeout",
            "connect-timeout-ms",
            "connect-protocol-version",
            "guestlist-on-behalf-of",
            "user-agent",
            "origin",
            "cookie",
            "referer",
            "x-forwarded-for",
            "x-custom",
        ] {
            self.ask(connection, ask().with(name, token)).await;
        }
        // No request id: that is what ids in the log are for.
        let id = format!("{token} {token}");
        self.ask(connection, ask().with("x-request-id", &id)).await;
    }

    async fn paths(&self, connection: &mut Connection, door: Door, id: &str, token: &str) {
        for path in [
            format!("/{token}"),
            format!("/v1/orgs/x/invites/{token}"),
            format!("/v1/orgs/{id}/invites/{token}"),
            format!("/orgs/{id}/link-invites/{token}"),
            format!("/v1/organizations/{id}/invitations/{token}"),
            format!("/invite?{token}"),
            format!("/orgs/{token}/link-invites?limit={token}"),
            format!("/v1/organizations/{token}/invitations/{token}"),
            format!("/gitpod.v1.OrganizationService/{token}"),
            format!("/api/{token}/{token}?{token}"),
            format!("/healthz?{token}"),
            format!("/metrics/{token}"),
        ] {
            for verb in [Method::GET, Method::POST, Method::DELETE] {
                self.ask(connection, Ask::raw(door, &path, "{}").verb(verb)).await;
            }
        }
    }

    async fn credentials(&mut self, connection: &mut Connection, door: Door, token: &str) {
        let (name, secret) = self.admin.rsplit_once('_').unwrap();
        let unknown = format!("gl_{}_{}", "0".repeat(16), hex::encode(rand::random::<[u8; 32]>()));
        let basic = STANDARD.encode(format!("{}:{secret}", &name[3..]));
        let wrong = STANDARD.encode(format!("{}:{token}", &name[3..]));
        let (signed, _) = self.jwt.rsplit_once('.').unwrap();
        self.canaries.add_key("an unknown key", &unknown);
        self.canaries.add("a Basic credential", &basic);
        self.canaries.add("a broken Basic credential", &wrong);
        for shown in [
            format!("Bearer {unknown}"),
            format!("Bearer {name}_{secret}0"),
            format!("Bearer {name}_{}", &unknown[20..]),
            format!("Token {secret}"),
            format!("{name}_{secret}"),
            format!("Bearer {token}"),
            format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode([7; 64])),
            format!("Bearer {signed}"),
            format!("Bearer x.{signed}.x"),
            format!("Basic {basic}"),
            format!("Basic {wrong}"),
            format!("Basic {secret}"),
            format!("Bearer {secret}\u{e9}"),
        ] {
            let value = HeaderValue::from_bytes(shown.as_bytes()).unwrap();
            let ask = Ask::new(door, rpc::PREVIEW, &json!({"inviteId": token}));
            ask.clone().header("authorization", value.clone()).send(connection).await;
            let twice = ask.header("authorization", value).and("authorization", &bearer(token));
            twice.send(connection).await;
        }
    }

    /// What is hardly HTTP.
    async fn garbage(&self, token: &str) {
        let key = &self.stranger;
        for bytes in [
            format!("{token}\r\n\r\n"),
            format!("GET /{token} HTTP/9.9\r\n{token}: {token}\r\n\r\n"),
            format!("GET /{token} HTTP/1.1\r\nauthorization : Bearer {key}\r\n\r\n"),
            format!("GET /{token} HTTP/1.1\r\nx: {token}\u{1}\r\n\r\n"),
            format!(
                "POST {} HTTP/1.1\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
                     content-length: 500\r\n\r\n{{\"inviteId\": \"{token}\"",
                rpc::JOIN
            ),
            format!(
                "POST {} HTTP/1.1\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
                     transfer-encoding: chunked\r\n\r\n{token}\r\n",
                rpc::JOIN
            ),
            format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{token}{token}"),
            format!("PRI * HTTP/2.0\r\n\r\n{token}"),
        ] {
            let mut stream = TcpStream::connect(self.addr).await.unwrap();
            stream.write_all(bytes.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            // Closed in order or not, as it deserves.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
}
