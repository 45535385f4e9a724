//! SQLite's files are moved away while the server has them open. A write would go to a file that is
//! no longer at the store's path, so it would be lost. Therefore the server acknowledges no change
//! (P33), and reports that it is not ready, so that it gets no requests (P42).

use crate::support::{Code, Engine, Installation, run_installed};

use super::{create, get, until};

#[test]
fn p33_p42_a_moved_database_file_accepts_no_changes() {
    run_installed(Engine::Sqlite, moved);
}

async fn moved(at: &Installation) {
    let server = at.serve();
    let ana = server.person(&at.new_key("ana@acme.com"));
    create(&ana, "Before").await.unwrap();
    let is_ready = async |ready: bool| (get(&server, "/readyz").await.0 == 200) == ready;
    until("it is ready", async || is_ready(true).await).await;

    let file = at.directory().join("guestlist.db");
    let away = at.directory().join("away.db");
    std::fs::rename(&file, &away).unwrap();
    let refused = create(&ana, "Lost").await.unwrap_err();
    assert_eq!(refused.code, Code::Unavailable, "{refused:?}");
    until("it is not ready", async || is_ready(false).await).await;
    // A copy with that name is another file, so changes are still rejected.
    std::fs::copy(&away, &file).unwrap();
    assert_eq!(create(&ana, "Lost").await.unwrap_err().code, Code::Unavailable);

    std::fs::rename(&away, &file).unwrap();
    until("it is ready again", async || is_ready(true).await).await;
    create(&ana, "After").await.unwrap();
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let warnings = ended.err.lines().filter(|line| line.contains("not ready")).collect::<Vec<_>>();
    assert_eq!(warnings.len(), 1, "at most one warning a minute: {}", ended.err);
    assert!(warnings[0].contains("was moved, deleted or replaced"), "{warnings:?}");
    assert!(warnings[0].contains("WARN"), "{warnings:?}");
    assert_eq!(super::organizations(at).await, ["After", "Before"]);
}
