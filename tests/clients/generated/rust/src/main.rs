//! Uses a generated client: runs the README's example, or reads the feed after a cursor, by one
//! call or by a stream until there is an event. Prints its result as JSON, a line for each message.

use std::error::Error;
use std::time::Duration;

use generated::gitpod::v1 as gitpod;
use generated::guestlist::v1 as guestlist;
use gitpod::join_organization_request::JoinId;
use gitpod::organization_service_client::OrganizationServiceClient;
use guestlist::event_service_client::EventServiceClient;
use serde_json::{Value, json};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// The modules have the names of the packages: generated code refers to its own with `super`.
mod generated {
    pub mod gitpod {
        pub mod v1 {
            include!(concat!(env!("GENERATED"), "/gitpod/v1/gitpod.v1.rs"));
        }
    }
    pub mod guestlist {
        pub mod v1 {
            include!(concat!(env!("GENERATED"), "/guestlist/v1/guestlist.v1.rs"));
        }
    }
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn credential(
    key: &str,
) -> Outcome<impl FnMut(Request<()>) -> Result<Request<()>, Status> + Clone> {
    let bearer: MetadataValue<Ascii> = format!("Bearer {key}").parse()?;
    Ok(move |mut request: Request<()>| {
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok(request)
    })
}

fn shown(events: Vec<guestlist::Event>, cursor: String) -> Value {
    let types: Vec<String> = events.into_iter().map(|event| event.r#type).collect();
    json!({ "types": types, "cursor": cursor })
}

async fn read(
    channel: Channel,
    key: &str,
    organization: &str,
    cursor: &str,
    wait: i64,
) -> Outcome<Value> {
    let mut feed = EventServiceClient::with_interceptor(channel, credential(key)?);
    let request = guestlist::ListEventsRequest {
        organization_id: organization.to_owned(),
        cursor: cursor.to_owned(),
        wait: Some(prost_types::Duration { seconds: wait, nanos: 0 }),
        ..Default::default()
    };
    let response = feed.list_events(request).await?.into_inner();
    Ok(shown(response.events, response.cursor))
}

/// Prints the messages before the first one with events, and returns that one.
async fn watch(channel: Channel, key: &str, organization: &str, cursor: &str) -> Outcome<Value> {
    let mut feed = EventServiceClient::with_interceptor(channel, credential(key)?);
    let mut request = Request::new(guestlist::WatchRequest {
        organization_id: organization.to_owned(),
        cursor: cursor.to_owned(),
        ..Default::default()
    });
    request.set_timeout(Duration::from_secs(30));
    let mut messages = feed.watch(request).await?.into_inner();
    while let Some(message) = messages.message().await? {
        let has_events = !message.events.is_empty();
        let line = shown(message.events, message.cursor);
        if has_events {
            return Ok(line);
        }
        println!("{line}");
    }
    Err("the stream has ended without an event".into())
}

async fn story(channel: Channel, ana_key: &str, ben_key: &str) -> Outcome<Value> {
    let mut ana =
        OrganizationServiceClient::with_interceptor(channel.clone(), credential(ana_key)?);
    let mut ben =
        OrganizationServiceClient::with_interceptor(channel.clone(), credential(ben_key)?);

    let request = gitpod::CreateOrganizationRequest {
        name: "Acme".to_owned(),
        join_organization: true,
        ..Default::default()
    };
    let made = ana.create_organization(request).await?.into_inner();
    let organization_id = made.organization.ok_or("no organization")?.id;
    let cursor = read(channel, ana_key, &organization_id, "", 0).await?["cursor"].take();
    let request =
        gitpod::CreateOrganizationInviteRequest { organization_id: organization_id.clone() };
    let created = ana.create_organization_invite(request).await?.into_inner();
    let invite_id = created.invite.ok_or("no invite")?.invite_id;
    let request = gitpod::GetOrganizationInviteSummaryRequest { invite_id: invite_id.clone() };
    let summary = ben.get_organization_invite_summary(request).await?.into_inner();
    let join_id = Some(JoinId::InviteId(invite_id.clone()));
    ben.join_organization(gitpod::JoinOrganizationRequest { join_id }).await?;
    let request = gitpod::ListMembersRequest {
        organization_id: organization_id.clone(),
        ..Default::default()
    };
    let listed = ana.list_members(request).await?.into_inner();
    let mut members: Vec<String> = listed.members.into_iter().map(|member| member.email).collect();
    members.sort();

    Ok(json!({
        "organization": organization_id,
        "name": summary.organization_name,
        "token": invite_id,
        "members": members,
        "cursor": cursor,
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (url, arguments) = arguments.split_first().ok_or("no URL")?;
    let channel = Endpoint::from_shared((*url).to_owned())?.connect().await?;
    let result = match arguments {
        ["story", ana, ben] => story(channel, ana, ben).await?,
        ["feed", ana, organization, cursor, wait] => {
            read(channel, ana, organization, cursor, wait.parse()?).await?
        }
        ["watch", ana, organization, cursor] => watch(channel, ana, organization, cursor).await?,
        _ => return Err("arguments: URL story|feed|watch KEY ...".into()),
    };
    println!("{result}");
    Ok(())
}
