//! `guestlist demo`: a server with sample data, which removes all its files when it ends.

use std::fs::read_dir;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use guestlist::domain::ApiKeySecret;

use super::until;
use crate::support::program::{program, run_to_end};
use crate::support::{Server, gitpod, own};

fn command(temporary: &Path, listen: &str) -> std::process::Command {
    let mut command = program(temporary, &["demo", "--listen", listen]);
    command.env("TMPDIR", temporary);
    command
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The API keys in the output of the demo, in order.
fn keys(printed: &str) -> Vec<String> {
    let words = printed.split_whitespace().filter(|word| word.starts_with("gl_"));
    words.map(str::to_owned).inspect(|key| assert!(key.parse::<ApiKeySecret>().is_ok())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_has_sample_data_and_removes_its_files_when_it_ends() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = command(temporary.path(), "127.0.0.1:0");
    // The demo does not use the store of the settings.
    command.env("GUESTLIST_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    let server = Server::start(command);
    let printed = server.output();
    let console = format!("  http://{}/console\n", server.addr);
    assert!(printed.contains(&console), "the console's address has no key in it: {printed}");
    let [ana, ben, eve, operator] = keys(&printed).try_into().expect("four keys");

    let folders = entries(temporary.path());
    let [folder] = &folders[..] else { panic!("one folder: {folders:?}") };
    let mode = std::fs::metadata(folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "only this user can read it");
    assert!(printed.contains(&format!("{}/mail", folder.display())), "{printed}");

    let ana = server.person(&ana);
    let mine = ana.list_my_organizations(own::ListMyOrganizationsRequest::default()).await.unwrap();
    let organizations: Vec<_> =
        mine.organizations.iter().filter_map(|it| it.organization.clone()).collect();
    let names: Vec<_> =
        organizations.iter().map(|organization| organization.name.as_str()).collect();
    assert_eq!(names, ["Acme", "Globex"]);
    let acme = organizations[0].id.clone();

    let request = gitpod::ListMembersRequest {
        organization_id: acme.clone(),
        pagination: Some(gitpod::PaginationRequest { page_size: 100, ..Default::default() }),
        ..Default::default()
    };
    let members = ana.list_members(request.clone()).await.unwrap().members;
    assert_eq!(members.len(), 29, "members who left are not listed");
    let suspended = gitpod::UserStatus::Suspended as i32;
    assert_eq!(members.iter().filter(|member| member.status == suspended).count(), 1);
    let visible_to_ben = server.person(&ben).list_members(request).await.unwrap().members;
    assert_eq!(visible_to_ben.len(), 29);

    let invites = own::ListRequest { organization_id: acme.clone(), ..Default::default() };
    let invites = ana.list_invites(invites).await.unwrap().invites;
    let email = own::InviteKind::Email as i32;
    let state = |wanted: own::InviteState| {
        invites.iter().filter(|it| it.kind == email && it.state == wanted as i32).count()
    };
    assert_eq!(state(own::InviteState::Live), 2);
    assert_eq!(state(own::InviteState::Expired), 2);
    assert_eq!(state(own::InviteState::Revoked), 1);

    let eve = server.person(&eve);
    let waiting = eve.list_my_invitations(own::ListMyInvitationsRequest::default()).await.unwrap();
    assert_eq!(waiting.invitations[0].organization_name, "Acme");
    let caller = server.person(&operator).get_caller(own::GetCallerRequest {}).await.unwrap();
    assert_eq!(caller.scope, "operator");

    until("mails are written to files", async || {
        let mails = folder.join("mail");
        mails.exists() && entries(&mails).len() >= 3
    })
    .await;
    until("one endpoint accepts events, and one does not", async || {
        let list = own::ListWebhooksRequest { organization_id: acme.clone(), page: None };
        let webhooks = ana.list_webhooks(list).await.unwrap().webhooks;
        let failing = |path: &str| {
            let webhook = webhooks.iter().find(|it| it.url.ends_with(path)).unwrap();
            webhook.first_failure_time.is_some()
        };
        failing("/refused") && !failing("/accepted")
    })
    .await;

    server.signal("INT");
    let ended = server.ended();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert_eq!(entries(temporary.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_demo_that_cannot_start_reports_the_reason_and_leaves_no_files() {
    let temporary = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run_to_end(command(temporary.path(), &address));
    assert_eq!(output.code, 1);
    assert!(output.err.contains(&address), "{}", output.err);
    assert_eq!(entries(temporary.path()), Vec::<PathBuf>::new());
}
