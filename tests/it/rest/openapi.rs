//! The served OpenAPI document, which tools read.

use serde_json::Value;

use super::client::{Answer, Rest, send};
use crate::support::{Engine, Protocol, TestApp, run};

async fn document(app: &TestApp) -> Answer {
    send(&app.without_credential(), "GET", "/openapi.json").await
}

/// Collects each `$ref` in a value.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("$ref", Value::String(to)) => found.push(to),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn anyone_can_read_the_openapi_document_and_its_references_resolve() {
    run(Engine::Sqlite, Protocol::Grpc, async |app| {
        let answer = document(app).await;
        let document = answer.json(200);
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["title"], "Guestlist");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a reference within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let head = send(&app.without_credential(), "HEAD", "/openapi.json").await;
        head.empty(200);
        assert_eq!(send(&app.without_credential(), "POST", "/openapi.json").await.status, 405);
        let broken = Rest::new(&app.without_credential(), "GET", "/openapi.json");
        broken.with("authorization", "Bearer nonsense").send().await.json(200);
    });
}

#[test]
fn every_operation_documents_its_errors_and_credentials() {
    run(Engine::Sqlite, Protocol::Grpc, async |app| {
        let document = document(app).await.json(200);
        let schemes = document["components"]["securitySchemes"].as_object().unwrap();
        let required_schemes: Vec<&String> = document["security"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|one| one.as_object().unwrap().keys())
            .collect();
        assert_eq!(required_schemes, ["basic", "bearer"]);
        assert!(required_schemes.iter().all(|name| schemes.contains_key(*name)));
        let mut ids = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let responses = operation["responses"].as_object().unwrap();
                for status in ["400", "401", "403", "404", "429", "500", "503", "504"] {
                    assert!(responses.contains_key(status), "{method} {path} {status}");
                }
                let has_body = operation["requestBody"].is_object();
                for status in ["413", "415"] {
                    assert_eq!(
                        responses.contains_key(status),
                        has_body,
                        "{method} {path} {status}"
                    );
                }
                assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
                ids.push(operation["operationId"].as_str().unwrap().to_owned());
                // The described path parameters are exactly those in the path.
                let in_path: Vec<&str> = path
                    .split('/')
                    .filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'))
                    .collect();
                let described: Vec<&str> = operation["parameters"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|one| one["in"] == "path")
                    .map(|one| one["name"].as_str().unwrap())
                    .collect();
                assert_eq!(described, in_path, "{method} {path}");
            }
        }
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), count), (17, 17));
    });
}
