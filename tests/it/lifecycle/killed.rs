use std::sync::{Arc, Mutex};

use tonic::Status;

use super::load::{Client, client};
use super::{column, on_both_engines, until};
use crate::support::{Code, Engine, gitpod};

/// What the callers of one server were told.
#[derive(Default)]
struct Acknowledged {
    organizations: Vec<String>,
    /// Organization and join link, in the order of the answers.
    invites: Vec<(String, String)>,
}

/// Makes organizations and links in them until the server is gone.
async fn work(mut client: Client, told: Arc<Mutex<Acknowledged>>) -> Status {
    loop {
        let request = gitpod::CreateOrganizationRequest {
            name: "Acme".to_owned(),
            join_organization: true,
            ..Default::default()
        };
        let organization = match client.create_organization(request).await {
            Ok(made) => made.into_inner().organization.unwrap().id,
            Err(status) => return status,
        };
        told.lock().unwrap().organizations.push(organization.clone());
        for _ in 0..2 {
            let organization_id = organization.clone();
            let request = gitpod::CreateOrganizationInviteRequest { organization_id };
            match client.create_organization_invite(request).await {
                Ok(made) => {
                    let link = made.into_inner().invite.unwrap().invite_id;
                    told.lock().unwrap().invites.push((organization.clone(), link));
                }
                Err(status) => return status,
            }
        }
    }
}

on_both_engines! {
    async fn p33_what_was_acknowledged_is_there_after_a_kill(at: Installation) {
        let told = Arc::new(Mutex::new(Acknowledged::default()));
        let key = at.new_key("ana@acme.com");
        for round in 1..=3 {
            let server = at.serve();
            let mut callers = tokio::task::JoinSet::new();
            for _ in 0..16 {
                callers.spawn(work(client(server.addr, &key), Arc::clone(&told)));
            }
            let enough = 60 * round;
            until("it is under load", async || told.lock().unwrap().invites.len() > enough).await;
            server.kill();
            for status in callers.join_all().await {
                let gone = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
                assert!(gone.contains(&status.code()), "{status:?}");
            }
        }

        let server = at.serve();
        let ana = server.person(&key);
        let Acknowledged { organizations, invites } = std::mem::take(&mut *told.lock().unwrap());
        for organization in &organizations {
            ana.get(organization).await.expect("it was acknowledged");
        }
        // The last link that was told of works, unless a later one was made whose
        // answer got lost.
        let last: std::collections::HashMap<_, _> = invites.into_iter().collect();
        for (organization, link) in &last {
            let current = ana.current_invite(organization).await.expect("there is one");
            assert!(current == *link || ana.preview(link).await.is_err());
            assert!(ana.preview(&current).await.is_ok());
        }
        assert_eq!(server.stop().code, Some(0));

        // Every change has its audit row, and no audit row stands alone.
        let id = match at.database.engine {
            Engine::Sqlite => "lower(hex(id))",
            Engine::Postgres => "replace(id::text, '-', '')",
        };
        for (table, action) in
            [("organizations", "organization.created"), ("invites", "invite.created")]
        {
            let rows = column(at, &format!("SELECT {id} FROM {table} ORDER BY 1")).await;
            let sql = format!(
                "SELECT replace(target_id, '-', '') FROM audit_events \
                 WHERE action = '{action}' ORDER BY 1"
            );
            assert_eq!(rows, column(at, &sql).await, "{table}");
            assert!(rows.len() >= organizations.len());
        }
        if at.database.engine == Engine::Sqlite {
            assert_eq!(column(at, "PRAGMA integrity_check").await, ["ok"]);
        }
    }
}
