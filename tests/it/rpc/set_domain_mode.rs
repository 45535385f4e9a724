use crate::everywhere;
use crate::support::nameserver::new_domain;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn each_change_of_the_mode_writes_one_event(app: TestApp) {
        use own::DomainMode::{Automatic, InviteOnly, OnRequest};

        let org = app.organization().await;
        let domain = org.admin.domain(&org.id, &new_domain()).await.unwrap();
        let mut before = "invite_only";
        for (mode, name) in [(Automatic, "automatic"), (OnRequest, "on_request"), (InviteOnly, "invite_only")] {
            let set = org.admin.set_mode(&domain, mode).await.unwrap();
            assert_eq!(set.mode(), mode);
            assert_eq!(org.admin.set_mode(&domain, mode).await.unwrap(), set);
            let events = org.admin.audit(&org.id).await.unwrap();
            assert_eq!(events[0].action, "domain.mode_changed");
            assert_eq!(events[0].note, format!("{}: {before} → {name}", domain.domain));
            assert_ne!(events[0].note, events[1].note);
            before = name;
        }
        let failure = org.admin.set_mode(&domain, own::DomainMode::Unspecified).await.unwrap_err();
        assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["mode".to_owned()]));
    }
}
