use std::collections::BTreeMap;

use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;

use crate::everywhere;
use crate::support::{Code, Person, TestApp, own};

type State = BTreeMap<String, (i64, BTreeMap<String, own::MemberState>)>;

/// Reads the state in pages of at most `limit` members, as a reader does: an organization keeps
/// the version of its first entry.
async fn state(reader: &Person, limit: i32) -> State {
    let mut state = State::new();
    let mut request = own::ListStateRequest { limit, ..Default::default() };
    loop {
        let page = reader.list_state(request.clone()).await.unwrap();
        let members: usize = page.organizations.iter().map(|of| of.members.len()).sum();
        assert!(members <= usize::try_from(limit).unwrap() && members > 0, "{page:?}");
        for of in page.organizations {
            let entry = state.entry(of.organization_id).or_insert((of.version, BTreeMap::new()));
            entry.1.extend(of.members.into_iter().map(|one| (one.member_id.clone(), one)));
        }
        if page.next_page_token.is_empty() {
            return state;
        }
        request.page_token = page.next_page_token;
    }
}

everywhere! {
    async fn p44_a_new_reader_combines_the_listed_state_with_later_events(app: TestApp) {
        let owner = || Owner::Service("consumer".parse().unwrap());
        let reader = app.key(owner(), Some(KeyScope::Events), None).await;
        let org = app.organization().await;
        let (other, _) = org.stranger.new_organization("Other").await;
        let (organization_id, member_id) = (org.id.clone(), org.member_id.clone());
        org.admin.suspend_member(own::SuspendMemberRequest { organization_id, member_id }).await.unwrap();

        let from_now = own::ListEventsRequest { limit: 1000, ..Default::default() };
        let cursor = reader.list_events(from_now.clone()).await.unwrap().cursor;
        // Gus joins after the cursor is taken and before the state is listed.
        let token = org.admin.invite(&org.id).await.unwrap();
        let gus = app.person("gus").await;
        gus.join(&token).await.unwrap();
        let mut known = state(&reader, 1).await;
        assert_eq!(known, state(&reader, 1000).await);
        let id = org.member.account().await.to_string();
        let (version, members) = &known[&org.id];
        assert_eq!((members.len(), known[&other].1.len()), (3, 1));
        let member = members.values().find(|one| one.account_id == id).unwrap();
        assert_eq!((member.status.as_str(), member.role.as_str()), ("suspended", "member"));
        assert_eq!((member.issuer.as_str(), member.subject.is_empty()), ("guestlist", false));
        assert!(*version > 0);

        gus.end(&gus_id(members, &gus).await).await.unwrap();
        let (organization_id, member_id) = (org.id.clone(), org.member_id.clone());
        org.admin.restore_member(own::RestoreMemberRequest { organization_id, member_id }).await.unwrap();
        org.stranger.delete(&other).await.unwrap();
        let mut request = own::ListEventsRequest { cursor, ..from_now };
        let mut applied = 0;
        while applied < 3 {
            let wait = Some(prost_types::Duration { seconds: 5, nanos: 0 });
            let page = reader.list_events(own::ListEventsRequest { wait, ..request }).await.unwrap();
            for event in page.events {
                applied += u32::from(apply(&mut known, event));
            }
            request = own::ListEventsRequest { cursor: page.cursor, limit: 1000, ..Default::default() };
        }
        let now = state(&reader, 1000).await;
        let of = |state: &State| -> Vec<_> {
            let members = state.iter().map(|(id, (version, members))| {
                let members: Vec<_> = members.values().map(|one| (one.member_id.clone(), one.status.clone())).collect();
                (id.clone(), *version, members)
            });
            members.collect()
        };
        assert_eq!(of(&known), of(&now));
    }

    async fn the_state_needs_the_events_scope_and_a_bound_key_limits_it(app: TestApp) {
        let org = app.organization().await;
        org.stranger.new_organization("Other").await;
        let owner = || Owner::Service("consumer".parse().unwrap());
        let admin = Owner::Account(org.admin.account().await);
        let bound = app.key(admin, Some(KeyScope::Events), Some(org.domain_id())).await;
        assert_eq!(state(&bound, 1000).await.keys().collect::<Vec<_>>(), [&org.id]);
        for who in [&org.admin, &app.operator().await] {
            let failure = who.list_state(own::ListStateRequest::default()).await.unwrap_err();
            assert_eq!(failure.code, Code::PermissionDenied);
        }
        let page_token = bound.list_state(own::ListStateRequest { limit: 1, ..Default::default() }).await.unwrap().next_page_token;
        let all = app.key(owner(), Some(KeyScope::Events), None).await;
        let failure = all.list_state(own::ListStateRequest { page_token, limit: 1 }).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument, "the token is for the bound key");
    }
}

async fn gus_id(members: &BTreeMap<String, own::MemberState>, gus: &Person) -> String {
    let account = gus.account().await.to_string();
    members.values().find(|one| one.account_id == account).unwrap().member_id.clone()
}

/// Applies an event as a reader does; returns true for the three changes that the test makes last.
fn apply(known: &mut State, event: own::Event) -> bool {
    use own::event::Data;

    let Some((version, members)) = known.get_mut(&event.organization_id) else { return false };
    if event.organization_version < *version {
        return false;
    }
    *version = event.organization_version;
    match (event.r#type.as_str(), event.data) {
        ("organization.deleted", _) => {
            known.remove(&event.organization_id);
            true
        }
        ("member.left", Some(Data::Member(left))) => members.remove(&left.member_id).is_some(),
        ("member.restored", Some(Data::Member(back))) => {
            members.get_mut(&back.member_id).unwrap().status = back.status;
            true
        }
        ("member.joined", Some(Data::Member(new))) => {
            members.entry(new.member_id.clone()).or_insert(own::MemberState {
                member_id: new.member_id,
                account_id: new.account_id,
                status: new.status,
                role: new.role,
                ..Default::default()
            });
            false
        }
        _ => false,
    }
}
