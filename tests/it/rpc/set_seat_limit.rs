use futures::future::join_all;

use crate::support::{Code, TestApp, own};
use crate::{everywhere, on_both_engines};

fn request(organization: &str, seat_limit: i64) -> own::SetSeatLimitRequest {
    own::SetSeatLimitRequest { organization_id: organization.into(), seat_limit }
}

everywhere! {
    async fn members_take_seats_and_pending_invitations_do_not(app: TestApp) {
        let (org, operator) = (app.organization().await, app.operator().await);
        operator.set_seat_limit(request(&org.id, 2)).await.unwrap();
        let token = org.admin.current_invite(&org.id).await.unwrap();
        let failure = org.stranger.join(&token).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "SEAT_LIMIT"));
        let refused = org.admin.invite_address(&org.id, "new@example.org", "read").await.unwrap();
        assert_eq!(refused.outcome(), own::EmailInvitationOutcome::SeatLimit);
        // An existing member who joins again needs no new seat.
        org.member.join(&token).await.unwrap();

        operator.set_seat_limit(request(&org.id, 3)).await.unwrap();
        for i in 0..3 {
            let email = format!("new{i}@example.org");
            let invited = org.admin.invite_address(&org.id, &email, "read").await.unwrap();
            assert_eq!(invited.outcome(), own::EmailInvitationOutcome::Invited);
        }
        org.stranger.join(&token).await.unwrap();
        // A limit below the number of taken seats removes no member.
        operator.set_seat_limit(request(&org.id, 1)).await.unwrap();
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 3);
        let events = org.admin.audit(&org.id).await.unwrap();
        assert_eq!(events[0].note, "seat limit: 3 → 1");

        let failure = operator.set_seat_limit(request(&org.id, -1)).await.unwrap_err();
        assert_eq!(failure.fields, ["seat_limit"]);
        let unknown = uuid::Uuid::new_v4().to_string();
        let failure = operator.set_seat_limit(request(&unknown, 1)).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
    }
}

on_both_engines! {
    async fn p14_the_seat_limit_holds_under_parallel_joins(app: TestApp) {
        let (org, operator) = (app.organization().await, app.operator().await);
        operator.set_seat_limit(request(&org.id, 5)).await.unwrap();
        let token = org.admin.current_invite(&org.id).await.unwrap();
        let mut people = Vec::new();
        for i in 0..20 {
            people.push(app.person(&format!("p{i}")).await);
        }
        let people = app.at_replicas(&people.iter().collect::<Vec<_>>()).await;
        let joins = people.iter().enumerate().map(|(i, at)| at[i % at.len()].join(&token));
        let joins = join_all(joins).await;
        assert_eq!(joins.iter().filter(|join| join.is_ok()).count(), 3);
        for failure in joins.into_iter().filter_map(Result::err) {
            assert_eq!(failure.reason, "SEAT_LIMIT");
        }
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 5);
    }
}
