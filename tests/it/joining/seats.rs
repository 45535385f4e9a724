//! P12 and P14: joins through two replicas at the same time never exceed a link's uses or an
//! organization's seats, by any method.

use futures::future::join_all;

use super::{JoinMethod, limited_link, open_domain, unlimited};
use crate::on_both_engines_with;
use crate::support::{Code, Organization, Person, TestApp, own};

on_both_engines_with! {
    unlimited;
    p12_a_link_admits_exactly_as_many_accounts_as_its_uses: limited_links_admit_as_many_accounts_as_their_uses;
    p14_no_join_method_exceeds_the_seat_limit: no_method_exceeds_the_seat_limit;
    p14_parallel_joins_by_all_methods_respect_the_seat_limit: all_methods_together;
    p14_a_suspended_member_keeps_the_seat: restoring_takes_no_seat;
}

async fn people(app: &TestApp, number: usize) -> Vec<Vec<Person>> {
    let mut people = Vec::new();
    for i in 0..number {
        people.push(app.person(&format!("p{i}")).await);
    }
    app.at_replicas(&people.iter().collect::<Vec<_>>()).await
}

async fn limited_links_admit_as_many_accounts_as_their_uses(app: &TestApp) {
    let people = people(app, 12).await;
    for max_uses in [2, 3, 7] {
        for round in 0..4 {
            let org = app.organization().await;
            let link = limited_link(&org.admin, &org.id, max_uses).await;
            let joins = people.iter().enumerate().map(|(i, at)| {
                let (method, at) =
                    ([JoinMethod::NamedLink, JoinMethod::Rest][i % 2], &at[(i + round) % at.len()]);
                method.join(at, &org.id, &link.token)
            });
            let joined = join_all(joins).await;
            let succeeded = joined.iter().filter(|one| one.is_ok()).count();
            assert_eq!(i64::try_from(succeeded).unwrap(), max_uses, "{joined:?}");
            assert!(joined.iter().all(|one| matches!(one, Ok(()) | Err(Code::NotFound))));
            let spent = org.admin.invite_by_id(&org.id, &link.id).await.unwrap();
            assert_eq!((spent.uses, spent.state()), (max_uses, own::InviteState::Exhausted));
            assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 2 + succeeded);
        }
    }
    let counted = "SELECT CAST(sum(member_count) AS BIGINT) FROM organizations";
    let members = "SELECT count(*) FROM members WHERE status <> 'left'";
    assert_eq!(app.database.count(counted).await, app.database.count(members).await);
}

/// The token or id with which each of these people joins; for `Domain` it is empty.
async fn tokens_or_ids(
    app: &TestApp,
    org: &Organization,
    method: JoinMethod,
    people: usize,
) -> Vec<String> {
    match method {
        JoinMethod::Domain => vec![String::new(); people],
        JoinMethod::JoinLink => vec![org.admin.current_invite(&org.id).await.unwrap(); people],
        JoinMethod::NamedLink | JoinMethod::Rest => {
            vec![org.admin.link(&org.id, "read").await.unwrap().token; people]
        }
        JoinMethod::MailToken | JoinMethod::MailId => {
            let mut tokens_or_ids = Vec::new();
            for i in 0..people {
                let email = format!("p{i}@example.com");
                let invited = org.admin.invite_address(&org.id, &email, "read").await.unwrap();
                let id = invited.invite.unwrap().id;
                tokens_or_ids.push(match method {
                    JoinMethod::MailToken => app.mailed_token(&org.id, &id).await,
                    _ => id,
                });
            }
            tokens_or_ids
        }
    }
}

async fn limit_seats(operator: &Person, org: &Organization, seat_limit: i64) {
    let request = own::SetSeatLimitRequest { organization_id: org.id.clone(), seat_limit };
    operator.set_seat_limit(request).await.unwrap();
}

/// Checks that exactly three of these joins succeeded, by the responses, the rows and the uses.
async fn three_joined(org: &Organization, joined: &[Result<(), Code>], what: &str) {
    let succeeded = joined.iter().filter(|one| one.is_ok()).count();
    assert_eq!(succeeded, 3, "{what}: {joined:?}");
    let refused = joined.iter().all(|one| matches!(one, Ok(()) | Err(Code::FailedPrecondition)));
    assert!(refused, "{what}: {joined:?}");
    assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 5, "{what}");
    let list = own::ListRequest { organization_id: org.id.clone(), ..Default::default() };
    let invites = org.admin.list_invites(list).await.unwrap().invites;
    let spent: i64 = invites.iter().map(|invite| invite.uses).sum();
    let joins = org.admin.audit(&org.id).await.unwrap();
    let by_invite = joins
        .iter()
        .filter(|event| event.action == "member.joined" && event.note.contains("by invite"));
    assert_eq!(usize::try_from(spent).unwrap(), by_invite.count(), "{what}");
}

async fn no_method_exceeds_the_seat_limit(app: &TestApp) {
    let operator = app.operator().await;
    let people = people(app, 8).await;
    for method in JoinMethod::ALL {
        let org = app.organization().await;
        open_domain(&org.admin, &org.id).await;
        let tokens_or_ids = tokens_or_ids(app, &org, method, people.len()).await;
        limit_seats(&operator, &org, 5).await;
        let joins = people.iter().zip(&tokens_or_ids).enumerate().map(|(i, (at, token_or_id))| {
            let at = &at[i % at.len()];
            method.join(at, &org.id, token_or_id)
        });
        three_joined(&org, &join_all(joins).await, &format!("{method:?}")).await;
    }
    let counted = "SELECT count(*) FROM organizations WHERE member_count <> 5";
    assert_eq!(app.database.count(counted).await, 0);
}

async fn all_methods_together(app: &TestApp) {
    let operator = app.operator().await;
    let people = people(app, 12).await;
    for round in 0..3 {
        let org = app.organization().await;
        open_domain(&org.admin, &org.id).await;
        // All methods except `MailToken` at the same time. Each person uses one of them.
        let mut methods = Vec::new();
        for method in JoinMethod::ALL.into_iter().filter(|method| *method != JoinMethod::MailToken)
        {
            methods.push((method, tokens_or_ids(app, &org, method, people.len()).await));
        }
        limit_seats(&operator, &org, 5).await;
        let joins = people.iter().enumerate().map(|(i, at)| {
            let (method, tokens_or_ids) = &methods[(i + round) % methods.len()];
            method.join(&at[i % at.len()], &org.id, &tokens_or_ids[i])
        });
        three_joined(&org, &join_all(joins).await, &format!("round {round}")).await;
    }
}

async fn restoring_takes_no_seat(app: &TestApp) {
    let operator = app.operator().await;
    let people = people(app, 4).await;
    let org = app.organization().await;
    let token = org.admin.current_invite(&org.id).await.unwrap();
    limit_seats(&operator, &org, 2).await;
    let of = || (org.id.clone(), org.member_id.clone());
    for _ in 0..4 {
        let (organization_id, member_id) = of();
        let suspend = own::SuspendMemberRequest { organization_id, member_id };
        org.admin.suspend_member(suspend).await.unwrap();
        let (organization_id, member_id) = of();
        let restore = own::RestoreMemberRequest { organization_id, member_id };
        let joins = people.iter().map(|at| at[0].join(&token));
        let (joined, restored) = futures::join!(join_all(joins), org.admin.restore_member(restore));
        restored.unwrap();
        for join in joined {
            assert_eq!(join.unwrap_err().reason, "SEAT_LIMIT");
        }
    }
    assert_eq!(app.database.count("SELECT member_count FROM organizations").await, 2);
}
