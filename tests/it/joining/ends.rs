//! P49: a membership with an end time ends exactly then, for every caller, even if the worker is
//! late.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use guestlist::clock::Clock;
use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;
use guestlist::operations::members::end_expired_members;
use own::create_link_request::{Grants, MemberEnd};
use sea_orm::ConnectionTrait;
use tokio::sync::Notify;

use super::{JoinMethod, open_domain, unlimited};
use crate::rest::client::Rest;
use crate::support::{
    Code, Database, Engine, Organization, Person, Protocol, TestApp, gitpod, link_to, own,
    trust_intranet,
};
use crate::{everywhere, on_both_engines, on_both_engines_with};

const HOUR: Duration = Duration::from_secs(60 * 60);
const MICROSECOND: Duration = Duration::from_micros(1);

fn lifetime(of: Duration) -> MemberEnd {
    MemberEnd::MemberLifetime(of.try_into().unwrap())
}

/// A named link whose members get this end of their membership.
async fn ending_link(admin: &Person, org: &str, end: MemberEnd) -> own::Invite {
    let request = own::CreateLinkRequest {
        grants: Some(Grants::Role("read".into())),
        member_end: Some(end),
        ..link_to(org)
    };
    admin.create_link(request).await.unwrap().invite.unwrap()
}

/// Lets Ben's membership end in an hour and sets the stopped clock to a microsecond before.
/// Returns the end.
async fn advance_to_just_before_the_end(
    app: &TestApp,
    org: &Organization,
) -> prost_types::Timestamp {
    app.clock.stop_at(app.clock.now());
    let end = app.in_the_future(HOUR);
    let set = org.admin.set_end(&org.id, &org.member_id, end).await.unwrap();
    assert_eq!(set.expire_time, end);
    app.clock.advance(HOUR - MICROSECOND);
    end.unwrap()
}

async fn members_with_status(org: &Organization, statuses: Vec<i32>) -> (Vec<String>, Option<i32>) {
    let request = gitpod::ListMembersRequest {
        organization_id: org.id.clone(),
        filter: Some(gitpod::list_members_request::Filter { statuses, ..Default::default() }),
        count: Some(gitpod::CountRequest { include: true }),
        ..Default::default()
    };
    let list = org.admin.list_members(request).await.unwrap();
    let count = list.count.map(|count| count.value);
    (list.members.into_iter().map(|member| member.user_id).collect(), count)
}

/// How many events of this kind there are.
async fn events(app: &TestApp, action: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM audit_events WHERE action = '{action}'");
    app.database.count(&sql).await
}

/// Checks that `member_count` and `next_member_end` of each organization agree with its members.
async fn check_member_counts(app: &TestApp) {
    let wrong = "SELECT count(*) FROM organizations AS o WHERE \
        o.member_count <> (SELECT count(*) FROM members AS m WHERE m.organization_id = o.id \
            AND m.status <> 'left') \
        OR COALESCE(o.next_member_end, 0) <> COALESCE((SELECT min(m.expires_at) FROM members AS m \
            WHERE m.organization_id = o.id AND m.status <> 'left'), 0)";
    assert_eq!(app.database.count(wrong).await, 0);
}

everywhere! {
    async fn p49_every_rpc_applies_the_end_of_a_membership_to_the_microsecond(app: TestApp) {
        let org = app.organization().await;
        let admin = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        let ours = org.admin.link(&org.id, "read").await.unwrap();
        let theirs = org.member.link(&org.id, "read").await.unwrap();
        let join_link = org.member.invite(&org.id).await.unwrap();
        let content = Some(own::content_grant::Content::Space("s1".into()));
        let grant = own::ContentGrant { content, level: "read".into() };
        let content = own::CreateLinkRequest { grants: Some(Grants::Grant(grant)), ..link_to(&org.id) };
        let content = org.admin.create_link(content).await.unwrap().invite.unwrap();
        org.member.join(&content.token).await.unwrap();
        let reader = Owner::Service("reader".parse().unwrap());
        let reader = app.key(reader, Some(KeyScope::Events), None).await;
        let operator = app.operator().await;
        let end = advance_to_just_before_the_end(app, &org).await;

        let whose = || Some(own::get_membership_request::Whose::MemberId(org.member_id.clone()));
        let by_account = org.member.account().await.to_string();
        let by_account = || Some(own::get_membership_request::Whose::AccountId(by_account.clone()));
        let state = async || {
            let state = reader.list_state(own::ListStateRequest::default()).await.unwrap();
            let of = state.organizations.into_iter().find(|one| one.organization_id == org.id);
            of.unwrap().members
        };
        let mine = async || {
            let mine = org.member.list_my_organizations(Default::default()).await.unwrap();
            mine.organizations.len()
        };
        let live = async |states: Vec<i32>| {
            let filter = Some(own::InviteFilter { states, ..Default::default() });
            let list = own::ListRequest { organization_id: org.id.clone(), filter, count: true, ..Default::default() };
            let list = org.admin.list_invites(list).await.unwrap();
            assert_eq!(list.count, Some(i64::try_from(list.invites.len()).unwrap()));
            list.invites.into_iter().map(|invite| invite.id).collect::<Vec<_>>()
        };
        let grants = async || {
            let list = own::ListGrantsRequest { organization_id: org.id.clone(), ..Default::default() };
            org.admin.list_grants(list).await.unwrap().grants.len()
        };
        let memberships = async || {
            let list = own::ListMembershipsRequest { organization_id: org.id.clone(), ..Default::default() };
            org.admin.list_memberships(list).await.unwrap().memberships
        };
        let stats = async || {
            let request = own::GetOrganizationStatsRequest { organization_id: org.id.clone() };
            operator.get_organization_stats(request).await.unwrap()
        };

        // A microsecond before the end nothing has changed. These calls also fill the caches.
        org.member.get(&org.id).await.unwrap();
        let before = org.member.membership(&org.id, None).await.unwrap();
        assert_eq!(before.expire_time, Some(end));
        assert_eq!(org.admin.membership(&org.id, whose()).await.unwrap(), before);
        assert_eq!(org.admin.membership(&org.id, by_account()).await.unwrap(), before);
        assert_eq!(members_with_status(&org, vec![]).await, (vec![org.admin_id.clone(), org.member_id.clone()], Some(2)));
        assert_eq!(memberships().await.len(), 2);
        assert_eq!(state().await.iter().filter_map(|member| member.expire_time).collect::<Vec<_>>(), [end]);
        assert_eq!((mine().await, grants().await), (1, 1));
        assert_eq!(org.admin.preview(&ours.token).await.unwrap().organization_member_count, 2);
        for token in [&theirs.token, &join_link] {
            assert_eq!(org.stranger.preview(token).await.unwrap().organization_member_count, 2);
        }
        assert!(live(vec![1]).await.contains(&theirs.id));
        assert_eq!(org.admin.current_invite(&org.id).await.unwrap(), join_link);
        assert_eq!(org.member.audit(&org.id).await.unwrap()[0].action, "member.updated");
        let counts = stats().await;
        assert_eq!(counts.organization.unwrap().member_count, 2);
        assert_eq!(counts.members.iter().map(|one| one.count).sum::<i64>(), 2);

        app.clock.advance(MICROSECOND);
        let refused = org.stranger.get(&org.id).await.unwrap_err();
        assert_eq!(org.member.get(&org.id).await.unwrap_err(), refused);
        assert_eq!(org.member.membership(&org.id, None).await.unwrap_err(), refused);
        assert_eq!(org.admin.membership(&org.id, whose()).await.unwrap_err(), refused);
        assert_eq!(org.admin.membership(&org.id, by_account()).await.unwrap_err(), refused);
        assert_eq!(org.member.membership(&org.id, Some(own::get_membership_request::Whose::MemberId(org.admin_id.clone()))).await.unwrap_err(), refused);
        assert_eq!(members_with_status(&org, vec![]).await, (vec![org.admin_id.clone()], Some(1)));
        assert_eq!(members_with_status(&org, vec![1, 2]).await, (vec![org.admin_id.clone()], Some(1)));
        assert_eq!(members_with_status(&org, vec![3]).await, (vec![org.member_id.clone()], Some(1)));
        assert_eq!(memberships().await.len(), 1);
        assert_eq!(state().await.len(), 1);
        assert_eq!((mine().await, grants().await), (0, 0));
        assert_eq!(org.admin.preview(&ours.token).await.unwrap().organization_member_count, 1);
        for token in [&theirs.token, &join_link] {
            assert_eq!(org.stranger.preview(token).await.unwrap_err(), refused);
            assert_eq!(org.stranger.join(token).await.unwrap_err(), refused);
        }
        assert!(!live(vec![1]).await.contains(&theirs.id));
        assert!(live(vec![1]).await.contains(&ours.id));
        assert!(live(vec![5]).await.contains(&theirs.id));
        assert_eq!(live(vec![]).await.len(), 5);
        let ended = org.admin.invite_by_id(&org.id, &theirs.id).await.unwrap();
        assert_eq!((ended.state(), ended.end_reason.as_str()), (own::InviteState::Revoked, "INVITER_GONE"));
        assert_eq!((ended.end_time, ended.token.as_str()), (Some(end), ""));
        assert_eq!(org.member.audit(&org.id).await.unwrap_err(), refused);
        assert_eq!(org.member.link(&org.id, "read").await.unwrap_err(), refused);
        assert_eq!(org.member.end(&org.member_id).await.unwrap_err(), refused);
        let counts = stats().await;
        assert_eq!(counts.organization.unwrap().member_count, 1);
        let left = |one: &&own::MemberCount| one.status() == gitpod::UserStatus::Left;
        assert_eq!(counts.members.iter().filter(left).map(|one| one.count).sum::<i64>(), 1);
        assert_eq!(counts.members.iter().map(|one| one.count).sum::<i64>(), 2);
        let bound = own::ListOrganizationsRequest {
            filter: Some(own::OrganizationFilter { organization_id: org.id.clone(), ..Default::default() }),
            page: None,
        };
        let listed = operator.list_organizations(bound).await.unwrap().organizations;
        assert_eq!(listed[0].member_count, 1);

        // The next change in the organization stores the end once, with the time of the end.
        let fresh = org.admin.current_invite(&org.id).await.unwrap();
        assert_ne!(fresh, join_link);
        org.stranger.preview(&fresh).await.unwrap();
        let trail = org.admin.audit(&org.id).await.unwrap();
        let expired: Vec<_> = trail.iter().filter(|event| event.action == "member.expired").collect();
        assert_eq!(expired.len(), 1);
        assert_eq!((&expired[0].target_id, expired[0].actor_account_id.as_str()), (&org.member_id, ""));
        assert_eq!(org.admin.invite_by_id(&org.id, &theirs.id).await.unwrap(), ended);
        assert_eq!(members_with_status(&org, vec![3]).await, (vec![org.member_id.clone()], Some(1)));
        assert_eq!(org.admin.set_end(&org.id, &org.member_id, None).await.unwrap_err(), refused);
        let run = end_expired_members(app.store(), app.clock.now(), 10).await.unwrap();
        assert_eq!((run.ended, run.failed.len()), (0, 0));
        check_member_counts(app).await;
    }

    async fn p49_the_member_lifetime_of_an_invite_starts_at_the_join(app: TestApp) {
        let org = app.organization().await;
        app.clock.stop_at(app.clock.now());
        let link = ending_link(&org.admin, &org.id, lifetime(HOUR)).await;
        assert_eq!(link.member_end, Some(own::invite::MemberEnd::MemberLifetime(HOUR.try_into().unwrap())));
        assert_eq!(link.expire_time, None);
        app.clock.advance(5 * HOUR);
        let end = app.in_the_future(HOUR);
        org.stranger.join(&link.token).await.unwrap();
        let joined = org.stranger.membership(&org.id, None).await.unwrap();
        assert_eq!(joined.expire_time, end);
        // A repeated join changes nothing.
        app.clock.advance(HOUR - MICROSECOND);
        org.stranger.join(&link.token).await.unwrap();
        assert_eq!(org.stranger.membership(&org.id, None).await.unwrap(), joined);
        // The old link is still valid: the account joins by it again and gets a new membership.
        app.clock.advance(MICROSECOND);
        let again = org.stranger.join(&link.token).await.unwrap().user_id;
        assert_ne!(again, joined.member_id);
        let again = org.stranger.membership(&org.id, None).await.unwrap();
        assert_eq!(again.expire_time, app.in_the_future(HOUR));
        assert_eq!(events(app, "member.expired").await, 1);

        // The account can also join by a new link, which the end of the old membership does not
        // end.
        app.clock.advance(HOUR);
        let fresh = org.admin.link(&org.id, "edit").await.unwrap();
        org.stranger.join(&fresh.token).await.unwrap();
        let lasting = org.stranger.membership(&org.id, None).await.unwrap();
        assert_eq!((lasting.role.as_str(), lasting.expire_time), ("edit", None));
        assert_eq!(events(app, "member.expired").await, 2);
        check_member_counts(app).await;
    }

    async fn p49_a_fixed_member_end_is_also_the_expiry_of_the_invite(app: TestApp) {
        let org = app.organization().await;
        app.clock.stop_at(app.clock.now());
        let end = app.in_the_future(2 * HOUR);
        let link = ending_link(&org.admin, &org.id, MemberEnd::MemberExpireTime(end.unwrap())).await;
        assert_eq!((link.expire_time, link.member_end), (end, end.map(own::invite::MemberEnd::MemberExpireTime)));
        let update = |member_end| own::UpdateRequest {
            organization_id: org.id.clone(),
            id: link.id.clone(),
            member_end: Some(member_end),
            ..Default::default()
        };
        use own::update_request::MemberEnd as Change;
        let later = app.in_the_future(3 * HOUR).unwrap();
        let updated = org.admin.update_invite(update(Change::MemberExpireTime(later))).await.unwrap().invite.unwrap();
        assert_eq!(updated.expire_time, end, "the update does not move the expiry to later");
        let never = own::UpdateRequest { never_expires: true, ..update(Change::MemberExpireTime(later)) };
        let updated = org.admin.update_invite(never).await.unwrap().invite.unwrap();
        assert_eq!(updated.expire_time, Some(later));

        // The end also applies to email invitations, `AddMember` and approvals.
        let mailed = own::InviteByEmailRequest {
            organization_id: org.id.clone(),
            invitations: ["zoe", "yan"].map(|name| own::EmailInvitation {
                email: format!("{name}@example.com"),
                member_end: (name == "yan").then(|| own::email_invitation::MemberEnd::MemberLifetime(HOUR.try_into().unwrap())),
                ..Default::default()
            }).into(),
            member_end: end.map(own::invite_by_email_request::MemberEnd::MemberExpireTime),
            ..Default::default()
        };
        let mailed = org.admin.invite_by_email(mailed).await.unwrap().results;
        let invitations: Vec<_> = mailed.into_iter().map(|one| one.invite.unwrap()).collect();
        assert_eq!(invitations[0].expire_time, end, "earlier than the configured expiry");
        app.clock.advance(HOUR);
        let accept = own::AcceptRequest { invitation: invitations[0].id.clone() };
        let joined = org.stranger.accept_invitation(accept).await.unwrap().membership.unwrap();
        assert_eq!(joined.expire_time, end);
        let yan = app.person("yan").await;
        yan.join(&invitations[1].id).await.unwrap();
        assert_eq!(yan.membership(&org.id, None).await.unwrap().expire_time, app.in_the_future(HOUR));

        let xia = app.person("xia").await;
        let add = own::AddMemberRequest {
            organization_id: org.id.clone(),
            account_id: xia.account().await.to_string(),
            role: "read".into(),
            request_id: "r".into(),
            expire_time: end,
            ..Default::default()
        };
        for _ in 0..2 {
            let added = org.admin.add_member(add.clone()).await.unwrap().membership.unwrap();
            assert_eq!(added.expire_time, end);
        }
        let other = own::AddMemberRequest { expire_time: None, ..add.clone() };
        assert_eq!(org.admin.add_member(other).await.unwrap_err().code, Code::InvalidArgument);

        let approval_link = own::CreateLinkRequest {
            grants: Some(Grants::Role("read".into())),
            requires_approval: true,
            member_end: Some(lifetime(HOUR)),
            ..link_to(&org.id)
        };
        let approval_link = org.admin.create_link(approval_link).await.unwrap().invite.unwrap();
        for (name, given) in [("wim", None), ("ugo", app.in_the_future(HOUR / 2))] {
            let person = app.person(name).await;
            let join_request = person.request_to_join(&approval_link.token).await.unwrap();
            let approve = own::ApproveJoinRequestRequest {
                organization_id: org.id.clone(),
                join_request_id: join_request.id,
                role: String::new(),
                expire_time: given,
            };
            let joined = org.admin.approve_join_request(approve).await.unwrap().membership.unwrap();
            assert_eq!(joined.expire_time, given.or(app.in_the_future(HOUR)));
        }

        // Readers of the feed receive the end.
        app.settle().await;
        let read = own::ListEventsRequest {
            organization_id: org.id.clone(),
            start_time: Some(prost_types::Timestamp::default()),
            limit: 1000,
            ..Default::default()
        };
        let read = org.admin.list_events(read).await.unwrap().events;
        let ends = |member: &str| read.iter().filter_map(|event| match &event.data {
            Some(own::event::Data::Member(it)) if it.member_id == member => Some(it.expire_time),
            _ => None,
        }).collect::<Vec<_>>();
        assert_eq!(ends(&joined.member_id), [end]);
        assert_eq!(ends(&org.member_id), [None]);
        let given = read.iter().find_map(|event| match &event.data {
            Some(own::event::Data::Invite(it)) if it.invite_id == link.id => it.member_end,
            _ => None,
        });
        assert_eq!(given, end.map(own::invite_event::MemberEnd::MemberExpireTime));

        // The invite expires when the memberships end.
        app.clock.advance(2 * HOUR);
        assert_eq!(app.person("tom").await.join(&link.token).await.unwrap_err().code, Code::NotFound);
        check_member_counts(app).await;
    }

    async fn an_invalid_membership_end_is_reported_by_field_name(app: TestApp) {
        let org = app.organization().await;
        app.clock.stop_at(app.clock.now());
        let now = app.in_the_future(Duration::ZERO).unwrap();
        let duration = |seconds, nanos| MemberEnd::MemberLifetime(prost_types::Duration { seconds, nanos });
        for (end, field) in [
            (MemberEnd::MemberExpireTime(now), "member_expire_time"),
            (duration(0, 0), "member_lifetime"),
            (duration(0, 999_999_999), "member_lifetime"),
            (duration(-5, 0), "member_lifetime"),
            (duration(3_650 * 86_400, 1), "member_lifetime"),
        ] {
            let request = own::CreateLinkRequest {
                grants: Some(Grants::Role("read".into())),
                member_end: Some(end),
                ..link_to(&org.id)
            };
            let failure = org.admin.create_link(request).await.unwrap_err();
            assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec![field.to_owned()]));
        }
        let invitation = own::EmailInvitation {
            email: "zoe@example.com".into(),
            member_end: Some(own::email_invitation::MemberEnd::MemberLifetime(Default::default())),
            ..Default::default()
        };
        let request = own::InviteByEmailRequest {
            organization_id: org.id.clone(),
            invitations: vec![invitation],
            ..Default::default()
        };
        let failure = org.admin.invite_by_email(request).await.unwrap_err();
        assert_eq!(failure.fields, ["invitations[0].member_lifetime"]);
        for accepted in [duration(1, 0), duration(3_650 * 86_400, 0)] {
            ending_link(&org.admin, &org.id, accepted).await;
        }
        // A join link cannot set an end of the membership.
        let list = own::ListRequest { organization_id: org.id.clone(), ..Default::default() };
        let invites = org.admin.list_invites(list).await.unwrap().invites;
        let join_link = invites.into_iter().find(|one| one.kind() == own::InviteKind::JoinLink).unwrap();
        let update = own::UpdateRequest {
            organization_id: org.id.clone(),
            id: join_link.id,
            member_end: Some(own::update_request::MemberEnd::MemberLifetime(HOUR.try_into().unwrap())),
            ..Default::default()
        };
        assert_eq!(org.admin.update_invite(update).await.unwrap_err().reason, "JOIN_LINK");
    }
}

/// Makes an invite for the method, as this person. Returns the token or id to join with; for
/// `Domain` it is empty.
async fn make_invite(
    app: &TestApp,
    by: &Person,
    org: &str,
    method: JoinMethod,
    email: &str,
) -> String {
    match method {
        JoinMethod::Domain => String::new(),
        JoinMethod::JoinLink => by.invite(org).await.unwrap(),
        JoinMethod::NamedLink | JoinMethod::Rest => by.link(org, "read").await.unwrap().token,
        JoinMethod::MailToken | JoinMethod::MailId => {
            let invited = by.invite_address(org, email, "read").await.unwrap().invite.unwrap();
            match method {
                JoinMethod::MailToken => app.mailed_token(org, &invited.id).await,
                _ => invited.id,
            }
        }
    }
}

on_both_engines! {
    async fn p49_every_join_method_frees_the_seat_of_an_ended_membership(app: TestApp) {
        let operator = app.operator().await;
        for method in JoinMethod::ALL {
            let org = app.organization().await;
            open_domain(&org.admin, &org.id).await;
            let token_or_id = make_invite(app, &org.admin, &org.id, method, "zoe@example.com").await;
            let limit = own::SetSeatLimitRequest { organization_id: org.id.clone(), seat_limit: 2 };
            operator.set_seat_limit(limit).await.unwrap();
            advance_to_just_before_the_end(app, &org).await;
            let early = method.join(&org.stranger, &org.id, &token_or_id).await;
            assert_eq!(early, Err(Code::FailedPrecondition), "{method:?}");
            app.clock.advance(MICROSECOND);
            assert_eq!(method.join(&org.stranger, &org.id, &token_or_id).await, Ok(()), "{method:?}");
            let trail = org.admin.audit(&org.id).await.unwrap();
            let ends: Vec<&str> = trail.iter().map(|event| event.action.as_str()).take(2).collect();
            assert_eq!(ends, ["member.joined", "member.expired"], "{method:?}, newest first");
            let full = app.person("max").await.join(&org.admin.current_invite(&org.id).await.unwrap()).await;
            assert_eq!(full.unwrap_err().reason, "SEAT_LIMIT");
            check_member_counts(app).await;
        }
        // The same holds for `AddMember` and for an approval.
        for approve in [false, true] {
            let org = app.organization().await;
            let link = org.admin.approval_link(&org.id).await;
            let join_request = org.stranger.request_to_join(&link.token).await.unwrap();
            let limit = own::SetSeatLimitRequest { organization_id: org.id.clone(), seat_limit: 2 };
            operator.set_seat_limit(limit).await.unwrap();
            let zoe = org.stranger.account().await.to_string();
            advance_to_just_before_the_end(app, &org).await;
            let join = async || match approve {
                true => org.admin.approve(&join_request, "").await.map(drop),
                false => org.admin.add(&org.id, &zoe, "read").await.map(drop),
            };
            assert_eq!(join().await.unwrap_err().reason, "SEAT_LIMIT");
            app.clock.advance(MICROSECOND);
            join().await.unwrap();
            check_member_counts(app).await;
        }
        assert_eq!(events(app, "member.expired").await, 8);
    }

    async fn p49_an_invite_stops_working_when_the_inviters_membership_ends(app: TestApp) {
        let admin = gitpod::OrganizationRole::Admin;
        for method in JoinMethod::ALL.into_iter().filter(|method| *method != JoinMethod::Domain) {
            let org = app.organization().await;
            org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
            let token_or_id = make_invite(app, &org.member, &org.id, method, "zoe@example.com").await;
            advance_to_just_before_the_end(app, &org).await;
            let by_mail = matches!(method, JoinMethod::MailToken | JoinMethod::MailId);
            let received = async || org.stranger.list_my_invitations(Default::default()).await.unwrap().invitations.len();
            assert_eq!(received().await, usize::from(by_mail), "{method:?}");
            app.clock.advance(MICROSECOND);
            assert_eq!(received().await, 0, "{method:?}");
            assert_eq!(method.join(&org.stranger, &org.id, &token_or_id).await, Err(Code::NotFound), "{method:?}");
            if by_mail {
                let decline = own::DeclineRequest { invitation: token_or_id.clone(), request_id: String::new() };
                assert_eq!(org.stranger.decline_invite(decline).await.unwrap_err().code, Code::NotFound);
                // An account with another address no longer gets the reason for the rejection.
                let eve = app.person("eve").await;
                let decline = own::DeclineRequest { invitation: token_or_id, request_id: String::new() };
                assert_eq!(eve.decline_invite(decline).await.unwrap_err().code, Code::NotFound);
            }
            assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 1);
        }
        // Until the last microsecond the invites of this inviter work.
        for method in [JoinMethod::JoinLink, JoinMethod::NamedLink, JoinMethod::Rest, JoinMethod::MailId] {
            let org = app.organization().await;
            org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
            let token_or_id = make_invite(app, &org.member, &org.id, method, "zoe@example.com").await;
            advance_to_just_before_the_end(app, &org).await;
            assert_eq!(method.join(&org.stranger, &org.id, &token_or_id).await, Ok(()), "{method:?}");
        }
    }

    async fn p49_a_suspended_membership_also_ends_at_its_end_time(app: TestApp) {
        let org = app.organization().await;
        let suspend = own::SuspendMemberRequest { organization_id: org.id.clone(), member_id: org.member_id.clone() };
        org.admin.suspend_member(suspend.clone()).await.unwrap();
        advance_to_just_before_the_end(app, &org).await;
        assert_eq!(org.member.get(&org.id).await.unwrap_err().reason, "SUSPENDED");
        assert_eq!(org.member.membership(&org.id, None).await.unwrap().status(), gitpod::UserStatus::Suspended);
        app.clock.advance(MICROSECOND);
        assert_eq!(org.member.get(&org.id).await.unwrap_err().code, Code::NotFound);
        let restore = own::RestoreMemberRequest { organization_id: org.id.clone(), member_id: org.member_id.clone() };
        assert_eq!(org.admin.restore_member(restore).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 1);
        // The rejected calls do not store the end; the join does.
        let token = org.admin.current_invite(&org.id).await.unwrap();
        org.member.join(&token).await.unwrap();
        assert_eq!(events(app, "member.expired").await, 1);
        check_member_counts(app).await;
    }

    async fn p49_rest_routes_return_404_after_the_membership_has_ended(app: TestApp) {
        let org = app.organization().await;
        let admin = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        let routes = [
            format!("/v1/orgs/{}/link-invites", org.id),
            format!("/v1/organizations/{}/invitations", org.id),
        ];
        let link = org.member.link(&org.id, "read").await.unwrap().token;
        let shown = format!("/v1/orgs/{}/link-invites/{link}", org.id);
        advance_to_just_before_the_end(app, &org).await;
        let status_of = async |who: &Person, path: &str| Rest::new(who, "GET", path).send().await.status.as_u16();
        for route in routes.iter().chain([&shown]) {
            assert_eq!(status_of(&org.member, route).await, 200, "{route}");
        }
        app.clock.advance(MICROSECOND);
        for route in routes.iter().chain([&shown]) {
            assert_eq!(status_of(&org.member, route).await, 404, "{route}");
        }
        assert_eq!(status_of(&org.admin, &shown).await, 404);
    }

    async fn p49_an_open_event_stream_fails_when_the_membership_ends(app: TestApp) {
        use futures::stream::StreamExt;

        let org = app.organization().await;
        let admin = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        advance_to_just_before_the_end(app, &org).await;
        let watch = own::WatchRequest { organization_id: org.id.clone(), ..Default::default() };
        let mut watching = org.member.watch(watch).await.unwrap();
        watching.next().await.unwrap().unwrap();
        app.clock.advance(MICROSECOND);
        // The reader receives no event from after the end.
        org.admin.link(&org.id, "read").await.unwrap();
        let failure = loop {
            match watching.next().await.unwrap() {
                Ok(message) => assert!(message.events.is_empty(), "{message:?}"),
                Err(failure) => break failure,
            }
        };
        assert_eq!(failure.code, Code::NotFound);
    }

    async fn p49_parallel_workers_end_each_membership_once_in_batches(app: TestApp) {
        app.clock.stop_at(app.clock.now());
        let ana = app.person("ana").await;
        let end = app.clock.now().plus(HOUR);
        let mut organizations = Vec::new();
        // One organization has more members than one transaction ends, and there are more
        // organizations than one query reads.
        for i in 0..7 {
            let (org, _) = ana.new_organization(&format!("Org {i}")).await;
            organizations.push(org);
        }
        app.database.crowd(&organizations[0], 1100).await;
        app.settle().await;
        let connection = app.database.connect().await;
        let set = format!("UPDATE members SET expires_at = {} WHERE role <> 'admin'", end.as_micros());
        connection.execute_unprepared(&set).await.unwrap();
        let set = format!(
            "UPDATE organizations SET next_member_end = {}, member_count = (SELECT count(*) FROM members \
             WHERE organization_id = organizations.id) WHERE id IN (SELECT organization_id FROM members \
             WHERE expires_at IS NOT NULL)", end.as_micros());
        connection.execute_unprepared(&set).await.unwrap();
        connection.close().await.unwrap();
        for org in &organizations[1..] {
            let ben = app.person("ben").await;
            let request = own::AddMemberRequest {
                organization_id: org.clone(),
                account_id: ben.account().await.to_string(),
                role: "read".into(),
                expire_time: app.in_the_future(HOUR),
                ..Default::default()
            };
            ana.add_member(request).await.unwrap();
        }
        app.clock.advance(HOUR - MICROSECOND);
        let early = end_expired_members(app.store(), app.clock.now(), 2).await.unwrap();
        assert_eq!((early.ended, early.failed.len()), (0, 0));
        app.clock.advance(MICROSECOND);
        let run = || async { end_expired_members(app.store(), app.clock.now(), 2).await.unwrap() };
        let runs = join_all([run(), run(), run()]).await;
        assert!(runs.iter().all(|run| run.failed.is_empty()), "{runs:?}");
        assert_eq!(events(app, "member.expired").await, 1106);
        assert_eq!(events(app, "grant.ended").await, 1100);
        let left = format!("SELECT count(*) FROM members WHERE status = 'left' AND left_at = {}", end.as_micros());
        assert_eq!(app.database.count(&left).await, 1106);
        let versions = "SELECT count(DISTINCT organization_version) FROM audit_events WHERE action = 'member.expired'";
        assert!(app.database.count(versions).await >= 3, "in several changes");
        check_member_counts(app).await;
    }
}

fn settings(config: &mut guestlist::config::Config) {
    trust_intranet(config);
    unlimited(config);
}

on_both_engines_with! {
    settings;
    p49_one_seat_that_becomes_free_is_taken_once: one_seat_is_taken_once;
    p49_batch_get_returns_memberships_until_they_end: batch_get_returns_memberships_until_their_end;
}

/// Several accounts join for one seat at the same time as the worker ends the membership.
async fn one_seat_is_taken_once(app: &TestApp) {
    let operator = app.operator().await;
    let mut people = Vec::new();
    for i in 0..6 {
        people.push(app.person(&format!("p{i}")).await);
    }
    let people = app.at_replicas(&people.iter().collect::<Vec<_>>()).await;
    for round in 0..6_usize {
        let org = app.organization().await;
        let link = org.admin.link(&org.id, "read").await.unwrap().token;
        let limit = own::SetSeatLimitRequest { organization_id: org.id.clone(), seat_limit: 2 };
        operator.set_seat_limit(limit).await.unwrap();
        advance_to_just_before_the_end(app, &org).await;
        let before = events(app, "member.expired").await;
        app.clock.advance(MICROSECOND);
        let joins = people.iter().enumerate().map(|(i, at)| {
            let at = &at[(i + round) % at.len()];
            async { at.join(&link).await.map(drop).map_err(|failure| failure.reason) }
        });
        let work = async { end_expired_members(app.store(), app.clock.now(), 10).await.unwrap() };
        let (joined, run) = futures::join!(join_all(joins), work);
        assert!(run.failed.is_empty(), "{run:?}");
        let succeeded = joined.iter().filter(|one| one.is_ok()).count();
        assert_eq!(succeeded, 1, "{joined:?}");
        let refused = joined.iter().filter_map(|one| one.as_ref().err());
        assert!(refused.clone().all(|reason| reason == "SEAT_LIMIT"), "{joined:?}");
        assert_eq!(events(app, "member.expired").await, before + 1);
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 2);
        check_member_counts(app).await;
    }
}

async fn batch_get_returns_memberships_until_their_end(app: &TestApp) {
    let org = app.organization().await;
    let service = Owner::Service("portal".parse().unwrap());
    let service = app.key(service, Some(KeyScope::Act), None).await;
    app.clock.stop_at(app.clock.now());
    let mut keys = Vec::new();
    for i in 0..14_u32 {
        let person = own::ResolveAccountRequest {
            issuer: "intranet".into(),
            subject: format!("p{i}"),
            ..Default::default()
        };
        let account = service.resolve_account(person).await.unwrap().account.unwrap().id;
        let request = own::AddMemberRequest {
            organization_id: org.id.clone(),
            account_id: account.clone(),
            role: "read".into(),
            expire_time: app.in_the_future(HOUR * (1 + i % 2)),
            ..Default::default()
        };
        org.admin.add_member(request).await.unwrap();
        let key = own::MembershipKey { organization_id: org.id.clone(), account_id: account };
        keys.push(key);
    }
    let count_found = async |number: usize| {
        let request = own::BatchGetMembershipsRequest { memberships: keys[..number].to_vec() };
        let memberships = service.batch_get_memberships(request).await.unwrap().memberships;
        memberships.into_iter().filter(|one| one.membership.is_some()).count()
    };
    app.clock.advance(HOUR - MICROSECOND);
    // Few keys and many keys use different statements. The second round reads the cache.
    for _ in 0..2 {
        assert_eq!((count_found(4).await, count_found(14).await), (4, 14));
    }
    app.clock.advance(MICROSECOND);
    assert_eq!((count_found(4).await, count_found(14).await), (2, 7));
    app.clock.advance(HOUR);
    assert_eq!((count_found(4).await, count_found(14).await), (0, 0));
}

/// Two joins wait for a lock while their inviter's membership ends. Each join counts as of the time
/// it began, and the events are in this order.
async fn joins_before_and_after_the_end(engine: Engine) {
    let began = Arc::new(Notify::new());
    let observer = {
        let began = Arc::clone(&began);
        // The first query of a join, after it has read the clock.
        Arc::new(move |statement: &guestlist::storage::Statement| {
            if statement.sql.contains("\"token_hash\" =") {
                began.notify_one();
            }
        })
    };
    let database = Database::migrated(engine).await;
    let app = TestApp::on(database, Protocol::Grpc, |_| (), Some(observer)).await;
    let org = app.organization().await;
    let admin = gitpod::OrganizationRole::Admin;
    org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
    let link = org.member.link(&org.id, "read").await.unwrap().token;
    let late = app.person("eve").await;
    advance_to_just_before_the_end(&app, &org).await;

    let lock = match engine {
        Engine::Sqlite => "BEGIN IMMEDIATE",
        Engine::Postgres => "BEGIN; SELECT 1 FROM organizations FOR UPDATE",
    };
    let holder = app.database.connect().await;
    holder.execute_unprepared(lock).await.unwrap();
    // Clears the permit that an earlier call may have left.
    let _ = futures::FutureExt::now_or_never(began.notified());
    let (before, after, ()) = futures::join!(
        org.stranger.join(&link),
        async {
            began.notified().await;
            app.clock.advance(MICROSECOND);
            late.join(&link).await
        },
        async {
            // The second notification comes from the join after the end.
            began.notified().await;
            holder.execute_unprepared("COMMIT").await.unwrap();
        }
    );
    before.unwrap();
    assert_eq!(after.unwrap_err().code, Code::NotFound);
    holder.close().await.unwrap();
    org.admin.link(&org.id, "read").await.unwrap();
    let trail = org.admin.audit(&org.id).await.unwrap();
    let actions: Vec<&str> = trail.iter().map(|event| event.action.as_str()).take(4).collect();
    assert_eq!(actions, ["invite.created", "member.expired", "invite.ended", "member.joined"]);
    check_member_counts(&app).await;
    app.stop().await;
}

mod p49_a_join_that_began_before_the_inviters_end_succeeds {
    use super::{Engine, joins_before_and_after_the_end};

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite() {
        joins_before_and_after_the_end(Engine::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        joins_before_and_after_the_end(Engine::Postgres).await;
    }
}
