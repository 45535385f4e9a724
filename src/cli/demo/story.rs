//! The sample data of the demo: two organizations with people, invites in every state, requests to
//! join, a domain, and webhooks.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::call::call;
use crate::clock::{Clock, OffsetClock};
use crate::domain::{ApiKeySecret, EmailAddress, KeyScope};
use crate::error::{Error, Result};
use crate::operations::keys::{CreateKey, Owner, create_key};
use crate::storage::Store;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The time from the first event of the story to its end. It is longer than the week after which
/// an email invitation expires, so that the first invitations have expired at the end.
pub(super) const SPAN: Duration = Duration::from_secs(12 * 24 * 60 * 60);

const GITPOD: &str = "gitpod.v1.OrganizationService";
const INVITES: &str = "guestlist.v1.InviteService";
const MEMBERS: &str = "guestlist.v1.MemberService";
const REQUESTS: &str = "guestlist.v1.JoinRequestService";
const DOMAINS: &str = "guestlist.v1.DomainService";
const WEBHOOKS: &str = "guestlist.v1.WebhookService";

/// The keys that the demo prints, and the keys of the people who join or request to join.
pub(super) struct Keys {
    pub ana: ApiKeySecret,
    pub ben: ApiKeySecret,
    pub eve: ApiKeySecret,
    pub operator: ApiKeySecret,
    crowd: Vec<ApiKeySecret>,
    requesters: Vec<ApiKeySecret>,
}

/// The people who join Acme by its link.
const CROWD: [&str; 28] = [
    "Ada Okafor",
    "Bruno Costa",
    "Chen Wei",
    "Dalia Haddad",
    "Elif Kaya",
    "Farid Rahimi",
    "Greta Lind",
    "Hugo Moreau",
    "Inès Laurent",
    "Jonas Weber",
    "Kiran Patel",
    "Lena Novak",
    "Mateo Ruiz",
    "Nadia Petrova",
    "Oskar Berg",
    "Priya Nair",
    "Quentin Roy",
    "Rosa Bianchi",
    "Samuel Osei",
    "Tara Walsh",
    "Umar Siddiqui",
    "Vera Horvat",
    "Wanda Kowalska",
    "Ximena Soto",
    "Yusuf Demir",
    "Zoe Martin",
    "Åsa Holm",
    "Đorđe Ilić",
];

/// The people who request to join Acme.
const REQUESTERS: [(&str, &str); 3] = [
    ("Nora Bell", "nora@partner.example"),
    ("Omar Said", "omar@partner.example"),
    ("Pia Lopes", "pia@partner.example"),
];

/// Creates the accounts and their keys.
pub(super) async fn keys(store: &Store, clock: &OffsetClock) -> Result<Keys> {
    let key = async |name: &str, email: &str, scope| {
        let email: EmailAddress = email.parse().map_err(Error::internal)?;
        let owner = Owner::Email { email, name: Some(name.to_owned()) };
        let input = CreateKey { owner, organization: None, scope, expires_in: None };
        create_key(store, input, clock.now()).await
    };
    let mut crowd = Vec::new();
    for (number, name) in CROWD.into_iter().enumerate() {
        crowd.push(key(name, &format!("person{number:02}@acme.example"), None).await?);
    }
    let mut requesters = Vec::new();
    for (name, email) in REQUESTERS {
        requesters.push(key(name, email, None).await?);
    }
    Ok(Keys {
        ana: key("Ana Silva", "ana@acme.example", None).await?,
        ben: key("Ben Fischer", "ben@acme.example", None).await?,
        eve: key("Eve Laine", "eve@partner.example", None).await?,
        operator: key("Operator", "operator@guestlist.example", Some(KeyScope::Operator)).await?,
        crowd,
        requesters,
    })
}

/// Makes the calls, and advances the clock between them. At the end, the clock shows the time of
/// the system clock.
pub(super) async fn run(
    server: SocketAddr,
    clock: &OffsetClock,
    keys: &Keys,
    endpoint: SocketAddr,
) -> Result<()> {
    let ana = async |method: String, message| call(server, &keys.ana, &method, message).await;

    // Twelve days ago: Acme is created. The invitations of this day expire before the end.
    let acme = new_organization(server, &keys.ana, "Acme").await?;
    invite(server, &keys.ana, &acme, &["olga@partner.example", "paul@partner.example"]).await?;
    let made =
        ana(format!("{GITPOD}/CreateOrganizationInvite"), json!({"organizationId": acme})).await?;
    let link = text(&made["invite"]["inviteId"])?;
    call(server, &keys.ben, &format!("{GITPOD}/JoinOrganization"), json!({"inviteId": link}))
        .await?;

    // The next days: people join, some get other roles, one is suspended, one is removed.
    let mut joined = Vec::new();
    for part in keys.crowd.chunks(7) {
        clock.advance(DAY);
        for key in part {
            let join = format!("{GITPOD}/JoinOrganization");
            let answer = call(server, key, &join, json!({"inviteId": link})).await?;
            joined.push(text(&answer["member"]["userId"])?);
        }
    }
    clock.advance(DAY * 4);
    for (number, role) in [(0, "admin"), (3, "edit"), (8, "developer"), (11, "read")] {
        let message = json!({"organizationId": acme, "memberId": joined[number], "role": role});
        ana(format!("{MEMBERS}/SetMemberRole"), message).await?;
    }
    let suspended = json!({"organizationId": acme, "memberId": joined[5]});
    ana(format!("{MEMBERS}/SuspendMember"), suspended).await?;
    ana(format!("{GITPOD}/LeaveOrganization"), json!({"userId": joined[7]})).await?;

    // Two days ago: endpoints, the second organization, and the invitations that are pending. An
    // endpoint that accepts nothing for five days would be disabled.
    clock.advance(DAY * 2);
    for (path, about) in [("accepted", "The demo's own endpoint"), ("refused", "Accepts nothing")] {
        let url = format!("http://{endpoint}/{path}");
        let message = json!({"organizationId": acme, "url": url, "description": about});
        ana(format!("{WEBHOOKS}/CreateWebhook"), message).await?;
    }
    let globex = new_organization(server, &keys.ana, "Globex").await?;
    invite(server, &keys.ana, &globex, &["fred@globex.example"]).await?;
    let pending = ["eve@partner.example", "gina@partner.example", "hal@partner.example"];
    let invites = invite(server, &keys.ana, &acme, &pending).await?;
    let id = text(&invites["results"][2]["invite"]["id"])?;
    ana(format!("{INVITES}/Revoke"), json!({"organizationId": acme, "id": id})).await?;
    for (role, note, uses) in [("developer", "Contractors", 5), ("read", "Auditors", 0)] {
        let message = json!({"organizationId": acme, "role": role, "note": note, "maxUses": uses});
        ana(format!("{INVITES}/CreateLink"), message).await?;
    }
    let approved = json!({"organizationId": acme, "role": "member", "note": "Partners", "requiresApproval": true});
    let made = ana(format!("{INVITES}/CreateLink"), approved).await?;
    let token = text(&made["invite"]["token"])?;
    let mut requests = Vec::new();
    for key in &keys.requesters {
        let method = format!("{REQUESTS}/CreateJoinRequest");
        let answer = call(server, key, &method, json!({"linkToken": token})).await?;
        requests.push(text(&answer["joinRequest"]["id"])?);
    }
    let denied = json!({
        "organizationId": acme,
        "joinRequestId": requests[2],
        "reason": "Please ask your contact at Acme first.",
        "pause": "604800s",
    });
    ana(format!("{REQUESTS}/DenyJoinRequest"), denied).await?;
    let domain = json!({"organizationId": acme, "domain": "acme.example"});
    ana(format!("{DOMAINS}/AddDomain"), domain).await?;
    clock.advance(DAY * 2);
    Ok(())
}

async fn new_organization(server: SocketAddr, key: &ApiKeySecret, name: &str) -> Result<String> {
    let message = json!({"name": name, "joinOrganization": true});
    let answer = call(server, key, &format!("{GITPOD}/CreateOrganization"), message).await?;
    text(&answer["organization"]["id"])
}

async fn invite(
    server: SocketAddr,
    key: &ApiKeySecret,
    organization: &str,
    addresses: &[&str],
) -> Result<Value> {
    let invitations: Vec<_> = addresses.iter().map(|email| json!({"email": email})).collect();
    let message = json!({"organizationId": organization, "invitations": invitations});
    call(server, key, &format!("{INVITES}/InviteByEmail"), message).await
}

fn text(value: &Value) -> Result<String> {
    let text = value.as_str().ok_or_else(|| Error::internal("a response lacks a text"))?;
    Ok(text.to_owned())
}
