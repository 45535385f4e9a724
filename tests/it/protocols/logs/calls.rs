//! Calls of every kind, with secrets in every place where a caller can put them.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderValue, Method, Version};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::connection::{Answer, Connection};
use super::super::request::TestRequest;
use super::super::transport::{Form, Transport, encode, frame};
use super::super::{gzip, rpc};
use super::secrets::Secrets;

const INVITE: &str = "/gitpod.v1.OrganizationService/CreateOrganizationInvite";
const LINK: &str = "/guestlist.v1.InviteService/CreateLink";
const MAIL: &str = "/guestlist.v1.InviteService/InviteByEmail";
const GET_INVITE: &str = "/gitpod.v1.OrganizationService/GetOrganizationInvite";

/// The client that makes these calls.
pub struct SecretCaller<'a> {
    pub addr: SocketAddr,
    pub secrets: &'a mut Secrets,
    pub admin: String,
    pub stranger: String,
    /// A token that an issuer signed.
    pub jwt: String,
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

impl SecretCaller<'_> {
    /// Makes every kind of call through each of these transports; returns the metrics at the end.
    pub async fn drive(&mut self, transports: &[Transport]) -> String {
        let organization = self.create_organization().await;
        for &transport in transports {
            let mut connection = Connection::open(self.addr, transport.version).await;
            let dead = self.invite(&mut connection, transport, &organization).await;
            let token = self.invite(&mut connection, transport, &organization).await;
            self.other_invites(&mut connection, transport, &organization).await;
            self.good(&mut connection, transport, &organization, &token).await;
            for token in [&dead, &token] {
                self.bodies(&mut connection, transport, token).await;
                self.heads(&mut connection, transport, token).await;
                self.paths(&mut connection, transport, &organization, token).await;
            }
            self.credentials(&mut connection, transport, &token).await;
            self.garbage(&token).await;
        }
        let transport = Transport { form: Form::Json, version: Version::HTTP_11 };
        let mut connection = Connection::open(self.addr, transport.version).await;
        let metrics = TestRequest::raw(transport, "/metrics", "")
            .verb(Method::GET)
            .send(&mut connection)
            .await;
        String::from_utf8(metrics.body.to_vec()).unwrap()
    }

    async fn create_organization(&self) -> String {
        let transport = Transport { form: Form::Json, version: Version::HTTP_11 };
        let mut connection = Connection::open(self.addr, transport.version).await;
        let request = json!({"name": "Acme", "joinOrganization": true});
        let call = TestRequest::new(transport, rpc::CREATE, &request);
        let answer = call.with("authorization", &bearer(&self.admin)).send(&mut connection).await;
        let made = transport.read(rpc::CREATE, &answer).unwrap();
        made["organization"]["id"].as_str().unwrap().to_owned()
    }

    async fn invite(
        &mut self,
        connection: &mut Connection,
        transport: Transport,
        id: &str,
    ) -> String {
        let call = TestRequest::new(transport, INVITE, &json!({"organizationId": id}));
        let answer = call.with("authorization", &bearer(&self.admin)).send(connection).await;
        let made = transport.read(INVITE, &answer).unwrap();
        let token = made["invite"]["inviteId"].as_str().unwrap().to_owned();
        self.secrets.add("a joining token", &token);
        token
    }

    /// Creates a named link and an email invitation; the token of the invitation is in the mail.
    async fn other_invites(&mut self, connection: &mut Connection, transport: Transport, id: &str) {
        let call = |path, request| {
            TestRequest::new(transport, path, &request).with("authorization", &bearer(&self.admin))
        };
        let link = call(LINK, json!({"organizationId": id, "role": "member"}));
        let made = transport.read(LINK, &link.send(connection).await).unwrap();
        let token = made["invite"]["token"].as_str().unwrap();
        let email = format!("guest-{}@acme.com", hex::encode(rand::random::<[u8; 8]>()));
        let mail = call(MAIL, json!({"organizationId": id, "invitations": [{"email": email}]}));
        transport.read(MAIL, &mail.send(connection).await).unwrap();
        self.secrets.add("a link's token", token);
    }

    async fn call(&self, connection: &mut Connection, call: TestRequest) -> Answer {
        call.with("authorization", &bearer(&self.stranger)).send(connection).await
    }

    async fn good(&self, connection: &mut Connection, transport: Transport, id: &str, token: &str) {
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
            let call =
                TestRequest::new(transport, path, request).with("authorization", &bearer(by));
            let answer = call.with("accept-encoding", "gzip").send(connection).await;
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
                self.call(connection, TestRequest::raw(transport, &path, "").verb(verb)).await;
            }
        }
    }

    async fn bodies(&self, connection: &mut Connection, transport: Transport, token: &str) {
        let proto = encode(rpc::JOIN, &json!({"inviteId": token}));
        let whole = transport.body(rpc::JOIN, &json!({"inviteId": token}));
        let large = format!("{token}{}", " ".repeat(2 << 20));
        for body in [
            whole.clone(),
            whole.slice(..whole.len() - 2),
            format!("{{\"inviteId\": {token}}}").into(),
            format!("{{\"inviteId\": [\"{token}\"]}}").into(),
            format!("{{\"{token}\": \"{token}\"}}").into(),
            format!("\"{token}").into(),
            token.to_owned().into(),
            transport.wrap(&frame(0, token.as_bytes())),
            transport.wrap(&frame(1, &gzip(&proto))),
            transport.wrap(&frame(9, &proto)),
            transport.wrap(&[&frame(0, &proto)[..], token.as_bytes()].concat()),
            large.into(),
        ] {
            self.call(connection, TestRequest::raw(transport, rpc::JOIN, body)).await;
        }
        let wrong: Value = json!({"organizationId": token, "userId": token, "role": 9});
        self.call(connection, TestRequest::new(transport, rpc::SET_ROLE, &wrong)).await;
        let unknown = json!({"organizationId": token, "filter": {"search": token}});
        self.call(connection, TestRequest::new(transport, rpc::LIST_MEMBERS, &unknown)).await;
    }

    async fn heads(&self, connection: &mut Connection, transport: Transport, token: &str) {
        let call = || TestRequest::new(transport, rpc::PREVIEW, &json!({"inviteId": token}));
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
            self.call(connection, call().with(name, token)).await;
        }
        // This is not a valid request id: a valid one is written to the log on purpose.
        let id = format!("{token} {token}");
        self.call(connection, call().with("x-request-id", &id)).await;
    }

    async fn paths(
        &self,
        connection: &mut Connection,
        transport: Transport,
        id: &str,
        token: &str,
    ) {
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
                self.call(connection, TestRequest::raw(transport, &path, "{}").verb(verb)).await;
            }
        }
    }

    async fn credentials(
        &mut self,
        connection: &mut Connection,
        transport: Transport,
        token: &str,
    ) {
        let (name, secret) = self.admin.rsplit_once('_').unwrap();
        let unknown = format!("gl_{}_{}", "0".repeat(16), hex::encode(rand::random::<[u8; 32]>()));
        let basic = STANDARD.encode(format!("{}:{secret}", &name[3..]));
        let wrong = STANDARD.encode(format!("{}:{token}", &name[3..]));
        let (signed, _) = self.jwt.rsplit_once('.').unwrap();
        self.secrets.add_key("an unknown key", &unknown);
        self.secrets.add("a Basic credential", &basic);
        self.secrets.add("a broken Basic credential", &wrong);
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
            let call = TestRequest::new(transport, rpc::PREVIEW, &json!({"inviteId": token}));
            call.clone().header("authorization", value.clone()).send(connection).await;
            let twice = call.header("authorization", value).and("authorization", &bearer(token));
            twice.send(connection).await;
        }
    }

    /// Sends bytes that are invalid or incomplete HTTP.
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
            // The server may close the connection with or without an error.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
}
