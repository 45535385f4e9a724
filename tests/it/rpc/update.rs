use std::time::Duration;

use crate::support::{Code, TestApp, own};
use crate::{everywhere, on_both_engines};

fn request(organization: &str, id: &str) -> own::UpdateRequest {
    own::UpdateRequest { organization_id: organization.into(), id: id.into(), ..Default::default() }
}

everywhere! {
    async fn absent_fields_stay_unchanged(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let changed = own::UpdateRequest {
            role: Some("edit".into()),
            expire_time: app.in_the_future(Duration::from_secs(60)),
            max_uses: Some(3),
            ..request(&org.id, &link.id)
        };
        let expected = own::Invite {
            role: "edit".into(),
            expire_time: changed.expire_time,
            max_uses: 3,
            ..link.clone()
        };
        let answer = org.admin.update_invite(changed).await.unwrap().invite.unwrap();
        assert_eq!(answer, expected);
        let nothing = org.admin.update_invite(request(&org.id, &link.id)).await.unwrap();
        assert_eq!(nothing.invite.unwrap(), expected);
        let cleared = own::UpdateRequest {
            never_expires: true,
            max_uses: Some(0),
            ..request(&org.id, &link.id)
        };
        let answer = org.admin.update_invite(cleared).await.unwrap().invite.unwrap();
        assert_eq!((answer.expire_time, answer.max_uses, answer.role.as_str()), (None, 0, "edit"));
        org.stranger.join(&link.token).await.unwrap();
        let mine = org.stranger.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations[0].role, "edit");
        let events = org.admin.audit(&org.id).await.unwrap();
        let notes: Vec<&str> =
            events.iter().filter(|e| e.action == "invite.updated").map(|e| e.note.as_str()).collect();
        assert_eq!(notes, ["expire_time, max_uses", "role, expire_time, max_uses"]);
    }
}

on_both_engines! {
    async fn an_invalid_change_of_an_invite_is_rejected(app: TestApp) {
        let org = app.organization().await;
        let admin = &org.admin;
        let link = admin.link(&org.id, "read").await.unwrap();
        let mail = admin.invite_address(&org.id, "new@example.org", "read").await.unwrap();
        let mail = mail.invite.unwrap();
        org.stranger.join(&link.token).await.unwrap();
        app.person("gus").await.join(&link.token).await.unwrap();
        for (changed, field) in [
            (own::UpdateRequest { max_uses: Some(-1), ..request(&org.id, &link.id) }, "max_uses"),
            // Fewer uses than the link already has.
            (own::UpdateRequest { max_uses: Some(1), ..request(&org.id, &link.id) }, "max_uses"),
            (own::UpdateRequest { role: Some("x".into()), ..request(&org.id, &link.id) }, "role"),
            (own::UpdateRequest { max_uses: Some(2), ..request(&org.id, &mail.id) }, "max_uses"),
            (own::UpdateRequest { never_expires: true, ..request(&org.id, &mail.id) }, "never_expires"),
            (
                own::UpdateRequest {
                    expire_time: app.in_the_future(Duration::from_secs(60)),
                    ..request(&org.id, &mail.id)
                },
                "expire_time",
            ),
        ] {
            let failure = admin.update_invite(changed).await.unwrap_err();
            assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec![field.to_owned()]));
        }
        // A limit equal to the number of uses ends the link.
        let spent = own::UpdateRequest { max_uses: Some(2), ..request(&org.id, &link.id) };
        let ended = admin.update_invite(spent).await.unwrap().invite.unwrap();
        assert_eq!((ended.state(), ended.end_reason.as_str()), (own::InviteState::Exhausted, "EXHAUSTED"));
        let late = own::UpdateRequest { max_uses: Some(9), ..request(&org.id, &link.id) };
        let failure = admin.update_invite(late).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "INVITE_ENDED"));

        admin.invite(&org.id).await.unwrap();
        let filter = own::InviteFilter { kinds: vec![1], states: vec![1], ..Default::default() };
        let listed = own::ListRequest {
            organization_id: org.id.clone(),
            filter: Some(filter),
            ..Default::default()
        };
        let join_link = admin.list_invites(listed).await.unwrap().invites.remove(0).id;
        let changed = own::UpdateRequest { max_uses: Some(1), ..request(&org.id, &join_link) };
        let failure = admin.update_invite(changed).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "JOIN_LINK"));
    }
}
