//! The disk is full while the server is under load. The server rejects changes that it cannot
//! write and stores nothing of them. It needs no restart once there is free space (P35, P38).

use rustix::process::Signal;

use super::disk::{Disk, with_small_disk};
use super::killed::{process_of, wait_for_database};
use super::round::Moment;
use super::{Fixture, HANG, RECOVERY_LIMIT};
use crate::support::cluster::{Cluster, kill};
use crate::support::{Database, Engine, Installation, Server, own, run_installed_on};

/// How many times the disk is filled.
const TIMES: usize = 3;

/// The free space that is left is too small for more acknowledged calls than this.
const MAX_CALLS: usize = 5000;

/// The ends of rounds with free space and without.
const WITH_SPACE: Moment = Moment {
    acknowledged: 200,
    failed: 0,
    unanswered: 0,
    checked_on_send: false,
    max_acknowledged: MAX_CALLS,
};
const WITHOUT_SPACE: Moment = Moment { acknowledged: 0, failed: 200, ..WITH_SPACE };

mod p35_p38_a_change_is_not_acknowledged_when_the_disk_is_full {
    use super::*;

    #[test]
    fn sqlite() {
        with_small_disk(concat!(module_path!(), "::sqlite"), 64, |disk| {
            let database = Database::on_disk(disk.path());
            run_installed_on(database, HANG, async |at| fill_repeatedly(at, &disk).await);
        });
    }

    #[test]
    fn postgres() {
        with_small_disk(concat!(module_path!(), "::postgres"), 256, |disk| {
            let cluster = Cluster::start(disk.path());
            let database = Database::on_server(cluster.url.clone());
            run_installed_on(database, HANG, async |at| fill_repeatedly(at, &disk).await);
        });
    }
}

/// Fills the disk several times. The last time, kills the server while the disk is full.
async fn fill_repeatedly(at: &Installation, disk: &Disk) {
    let mut fixture = Fixture::new(at).await;
    let server = fixture.serve();
    fixture.round(server.addr, WITH_SPACE, || ()).await;
    for _ in 0..TIMES {
        disk.fill_up_to(64 << 10);
        check_rejected(&mut fixture, &server).await;
        disk.make_room();
        check_recovered(&mut fixture, &server).await;
    }

    disk.fill_up_to(64 << 10);
    check_rejected(&mut fixture, &server).await;
    let process = process_of(&server);
    fixture.round(server.addr, WITHOUT_SPACE, move || kill(process, Signal::KILL)).await;
    server.kill();
    let server = match at.database.engine {
        Engine::Sqlite => {
            let server = fixture.serve();
            check_rejected(&mut fixture, &server).await;
            disk.make_room();
            server
        }
        Engine::Postgres => {
            disk.make_room();
            wait_for_database(at).await;
            fixture.serve()
        }
    };
    check_recovered(&mut fixture, &server).await;
    assert_eq!(server.stop().code, Some(0));
    println!("seed {}\n{}", fixture.seed, fixture.summary());
}

/// The server rejects calls because the disk is full, and stores nothing of them.
async fn check_rejected(fixture: &mut Fixture<'_>, server: &Server) {
    let round = fixture.round(server.addr, WITHOUT_SPACE, || ()).await;
    if fixture.at.database.engine == Engine::Sqlite {
        // Reads still succeed. PostgreSQL stops itself if there is no space for its log.
        let caller = server.person(&fixture.key).get_caller(own::GetCallerRequest {}).await;
        assert!(caller.is_ok(), "{caller:?}");
        fixture.check().await;
    }
    assert!(round.failed() >= WITHOUT_SPACE.failed, "the disk is full, but calls are acknowledged");
}

/// There is free space, and the server acknowledges calls again within `RECOVERY_LIMIT` (P35).
async fn check_recovered(fixture: &mut Fixture<'_>, server: &Server) {
    let round = fixture.round(server.addr, WITH_SPACE, || ()).await;
    let recovered_after = round.first().expect("a call was acknowledged");
    assert!(recovered_after < RECOVERY_LIMIT, "it was back after {recovered_after:?}");
    fixture.check().await;
}
