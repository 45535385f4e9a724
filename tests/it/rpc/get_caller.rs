use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;

use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn the_response_has_the_account_and_the_key_of_the_caller(app: TestApp) {
        let ana = app.person("ana").await;
        let caller = ana.get_caller(own::GetCallerRequest {}).await.unwrap();
        let account = caller.account.unwrap();
        assert_eq!((account.issuer.as_str(), account.subject.as_str()), ("guestlist", "ana@example.com"));
        assert_eq!((account.email.as_str(), account.email_verified), ("ana@example.com", true));
        assert_eq!(account.name, "ana");
        assert!(ana.key.unwrap().starts_with(&format!("gl_{}_", caller.key_id)));
        assert_eq!((caller.scope.as_str(), caller.actor), ("", None));

        let operator = app.key(Owner::Account(account.id.parse().unwrap()), Some(KeyScope::Operator), None);
        let caller = operator.await.get_caller(own::GetCallerRequest {}).await.unwrap();
        assert_eq!(caller.scope, "operator");
        assert_eq!(caller.account.unwrap(), account);

        let failure = app.without_credential().get_caller(own::GetCallerRequest {}).await.unwrap_err();
        assert_eq!(failure.code, Code::Unauthenticated);
    }
}
