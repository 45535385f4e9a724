//! Paging as the JSON SDKs do it: the query of the next POST selects the page, and the body stays
//! the same.

use serde_json::{Value, json};

use super::super::fixture::Fixture;
use super::super::request::TestRequest;
use super::super::transport::{Form, Transport};
use super::super::{rpc, with_app};
use crate::support::TestApp;

async fn list(
    app: &TestApp,
    fixture: &Fixture<'_>,
    transport: Transport,
    query: &str,
    page: &Value,
) -> Value {
    let request = json!({"organizationId": fixture.org.id, "pagination": page});
    let path = format!("{}{query}", rpc::LIST_MEMBERS);
    let call =
        TestRequest::new(transport, rpc::LIST_MEMBERS, &request).path(&path).by(&fixture.org.admin);
    transport.read(rpc::LIST_MEMBERS, &call.once(app).await).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    let members = list["members"].as_array().unwrap();
    members.iter().map(|member| member["fullName"].as_str().unwrap()).collect()
}

#[test]
fn the_query_selects_the_page() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        app.person("cid").await.join(&fixture.token).await.unwrap();
        app.person("dan").await.join(&fixture.token).await.unwrap();
        for transport in Transport::of(Form::Json) {
            // All pages are requested with the same body.
            let body = json!({"pageSize": 3});
            let first = list(app, &fixture, transport, "", &body).await;
            assert_eq!(names(&first), ["ana", "ben", "cid"]);
            let token = first["pagination"]["nextToken"].as_str().unwrap();
            let query = format!("?token={token}&pageSize=3");
            let second = list(app, &fixture, transport, &query, &body).await;
            assert_eq!(names(&second), ["dan"]);
            assert_eq!(second["pagination"]["nextToken"], "");

            // Each parameter of the query replaces its field of the body; the other field stays.
            for (query, body, expected) in [
                ("?pageSize=1", json!({"pageSize": 2}), 1),
                ("?pageSize=2", json!({}), 2),
                ("?pageSize=2", Value::Null, 2),
                ("?token=", json!({"pageSize": 2, "token": "broken"}), 2),
                ("?page_size=1&limit=1", json!({"pageSize": 2}), 2),
                ("?x", json!({"pageSize": 2}), 2),
            ] {
                let listed = list(app, &fixture, transport, query, &body).await;
                assert_eq!(names(&listed).len(), expected, "{query} {body}");
            }
        }
        // With other encodings the query is ignored.
        for transport in Transport::ALL.into_iter().filter(|transport| transport.form != Form::Json)
        {
            let query = "?token=broken&pageSize=x";
            let listed = list(app, &fixture, transport, query, &json!({"pageSize": 2})).await;
            assert_eq!(names(&listed), ["ana", "ben"], "{transport:?}");
        }
    });
}

#[test]
fn invalid_page_parameters_are_rejected() {
    with_app(async |app| {
        let fixture = Fixture::new(app).await;
        let request = json!({"organizationId": fixture.org.id});
        let token = &fixture.token;
        for transport in Transport::of(Form::Json) {
            let mut connection = transport.connect(app).await;
            for (query, field) in [
                ("pageSize=".to_owned(), "pageSize"),
                ("pageSize=ten".to_owned(), "pageSize"),
                ("pageSize=1.5".to_owned(), "pageSize"),
                ("pageSize=99999999999".to_owned(), "pageSize"),
                (format!("pageSize={token}"), "pageSize"),
                ("token=%FF".to_owned(), "token"),
                ("pageSize=101".to_owned(), "pagination.page_size"),
                ("pageSize=-1".to_owned(), "pagination.page_size"),
                ("token=broken".to_owned(), "pagination.token"),
                (format!("token={token}"), "pagination.token"),
            ] {
                let path = format!("{}?{query}", rpc::LIST_MEMBERS);
                let bad = TestRequest::new(transport, rpc::LIST_MEMBERS, &request).path(&path);
                fixture
                    .expect_invalid_argument(&mut connection, bad.by(&fixture.org.admin), &[field])
                    .await;
            }
        }
        fixture.assert_unchanged().await;
    });
}
