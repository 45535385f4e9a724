//! P16: if a join and the end of its invite happen at the same time, one of them comes first, and
//! the rows agree with the responses.

use std::time::Duration;

use guestlist::clock::Clock;
use guestlist::operations::invites::end_expired;

use super::unlimited;
use crate::on_both_engines_with;
use crate::support::{Code, Organization, Person, TestApp, gitpod, link_to, own};

const HOUR: Duration = Duration::from_secs(60 * 60);
const ROUNDS: usize = 12;

/// What ends the invite while an account joins with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Revoke,
    Decline,
    Rotate,
    /// The invite expires and the worker stores the end.
    Worker,
    /// The invite expires, and no worker has stored the end yet.
    Clock,
    /// The invite expires, and two workers store the end at the same time.
    TwoWorkers,
}

struct Race {
    org: Organization,
    admin: Person,
    joiner: Person,
    decliner: Person,
}

impl Race {
    async fn end(&self, app: &TestApp, end: End, id: &str) -> Result<(), Code> {
        let worker = async || {
            let round = end_expired(app.store(), app.clock.now(), 10).await.unwrap();
            assert!(round.failed.is_empty(), "{round:?}");
        };
        let org = self.org.id.as_str();
        match end {
            End::Revoke => self.admin.revoke(org, id).await.map(drop).map_err(|e| e.code),
            End::Decline => {
                let decline =
                    own::DeclineRequest { invitation: id.to_owned(), request_id: String::new() };
                self.decliner.decline_invite(decline).await.map(drop).map_err(|e| e.code)
            }
            End::Rotate => self.admin.invite(org).await.map(drop).map_err(|e| e.code),
            End::Clock => {
                app.clock.advance(Duration::from_micros(1));
                Ok(())
            }
            End::Worker => {
                app.clock.advance(Duration::from_micros(1));
                worker().await;
                Ok(())
            }
            End::TwoWorkers => {
                app.clock.advance(Duration::from_micros(1));
                futures::join!(worker(), worker());
                Ok(())
            }
        }
    }
}

/// Makes an invite; returns its id and the token or id to join with. If the invite expires, the
/// clock is set to a microsecond before.
async fn make_invite(
    app: &TestApp,
    org: &Organization,
    end: End,
    by_mail: bool,
) -> (String, String) {
    let expires = matches!(end, End::Worker | End::Clock | End::TwoWorkers);
    let expire_time = expires.then(|| app.in_the_future(2 * HOUR)).flatten();
    let made = if by_mail {
        let request = own::InviteByEmailRequest {
            organization_id: org.id.clone(),
            invitations: vec![own::EmailInvitation {
                email: "zoe@example.com".into(),
                role: "read".into(),
                ..Default::default()
            }],
            expire_time,
            ..Default::default()
        };
        let invited = org.admin.invite_by_email(request).await.unwrap().results.remove(0);
        let id = invited.invite.unwrap().id;
        (id.clone(), id)
    } else if end == End::Rotate {
        let token = org.admin.invite(&org.id).await.unwrap();
        let list = own::ListRequest { organization_id: org.id.clone(), ..Default::default() };
        let newest = org.admin.list_invites(list).await.unwrap().invites.remove(0);
        (newest.id, token)
    } else {
        let request = own::CreateLinkRequest {
            grants: Some(own::create_link_request::Grants::Role("read".into())),
            expire_time,
            ..link_to(&org.id)
        };
        let link = org.admin.create_link(request).await.unwrap().invite.unwrap();
        (link.id, link.token)
    };
    if expires {
        app.clock.advance(2 * HOUR - Duration::from_micros(1));
    }
    made
}

async fn race(app: &TestApp) {
    app.clock.stop_at(app.clock.now());
    let org = app.organization().await;
    let mut at = app.at_replicas(&[&org.admin, &org.stranger]).await;
    let (strangers, admins) = (at.pop().unwrap(), at.pop().unwrap());
    let cases = [
        (End::Revoke, true),
        (End::Decline, true),
        (End::Worker, true),
        (End::TwoWorkers, true),
        (End::Clock, true),
        (End::Revoke, false),
        (End::Rotate, false),
        (End::Worker, false),
        (End::Clock, false),
    ];
    let mut race = Race {
        admin: org.admin.clone(),
        joiner: org.stranger.clone(),
        decliner: org.stranger.clone(),
        org,
    };
    for (end, by_mail) in cases {
        for round in 0..ROUNDS {
            let what = format!("{end:?}, by mail: {by_mail}, round {round}");
            race.admin = admins[(round + 1) % admins.len()].clone();
            race.joiner = strangers[round % strangers.len()].clone();
            race.decliner = strangers[(round + 1) % strangers.len()].clone();
            let (id, token_or_id) = make_invite(app, &race.org, end, by_mail).await;
            let join = async {
                // In two of three rounds the join starts later.
                for _ in 0..(round % 3) * 4 {
                    tokio::task::yield_now().await;
                }
                race.joiner.join(&token_or_id).await
            };
            let (joined, ended) = futures::join!(join, race.end(app, end, &id));
            if let Err(failure) = &joined {
                assert_eq!(failure.code, Code::NotFound, "{what}");
            }
            assert_consistent(
                app,
                &race,
                end,
                by_mail,
                (&id, &token_or_id),
                (&joined, ended),
                &what,
            )
            .await;
            if let Ok(member) = joined {
                race.org.stranger.end(&member.user_id).await.unwrap();
            }
        }
    }
}

/// Checks that the rows agree with the responses.
async fn assert_consistent(
    app: &TestApp,
    race: &Race,
    end: End,
    by_mail: bool,
    (id, token_or_id): (&str, &str),
    (joined, ended): (
        &Result<gitpod::OrganizationMember, crate::support::Failure>,
        Result<(), Code>,
    ),
    what: &str,
) {
    use own::InviteState as State;

    let org = &race.org;
    let row = org.admin.invite_by_id(&org.id, id).await.unwrap();
    assert_eq!(row.uses, i64::from(joined.is_ok()), "{what}");
    let by_end = match end {
        End::Revoke => State::Revoked,
        End::Decline => State::Declined,
        End::Rotate => State::Replaced,
        End::Worker | End::Clock | End::TwoWorkers => State::Expired,
    };
    let expected = if by_mail && joined.is_ok() { State::Accepted } else { by_end };
    assert_eq!(row.state(), expected, "{what}");
    match end {
        End::Decline => assert_eq!(ended.is_ok(), joined.is_err(), "{what}: {ended:?}"),
        _ => assert_eq!(ended, Ok(()), "{what}"),
    }
    let events = org.admin.audit(&org.id).await.unwrap();
    let of = |action: &str| {
        let of = events.iter().filter(|event| event.target_id == id && event.action == action);
        of.count()
    };
    let endings = of("invite.revoked") + of("invite.declined") + of("invite.expired");
    let ended_here = match end {
        End::Rotate | End::Clock => 0,
        _ => usize::from(expected == by_end),
    };
    assert_eq!(endings, ended_here, "{what}");
    let joins = events
        .iter()
        .filter(|event| event.action == "member.joined" && event.note.ends_with(&format!(" {id}")));
    assert_eq!(joins.count(), usize::from(joined.is_ok()), "{what}");
    // No other account can join with it.
    let late = app.person("gus").await.join(token_or_id).await.unwrap_err();
    assert_eq!(late.code, Code::NotFound, "{what}");
    if end == End::Clock {
        let round = end_expired(app.store(), app.clock.now(), 10).await.unwrap();
        assert_eq!(round.ended, u64::from(expected == State::Expired), "{what}");
    }
}

on_both_engines_with! {
    unlimited;
    p16_a_join_and_a_parallel_end_of_the_invite_have_one_winner: race;
}
