//! The disk is full while the server is under load. The server rejects changes that it cannot
//! write and stores nothing of them. It needs no restart once there is free space (P35, P38).

use rustix::process::Signal;

use super::disk::{Disk, with_small_disk};
use super::killed::{process_of, until_it_is_back};
use super::round::Moment;
use super::{HANG, RECOVERY_LIMIT, World};
use crate::support::cluster::{Cluster, kill};
use crate::support::{Database, Engine, Installation, Server, own, run_installed_on};

/// How many times the disk is filled.
const TIMES: usize = 3;

/// The free space that is left is too small for more acknowledged calls than this.
const MAX_CALLS: usize = 5000;

/// The ends of rounds with free space and without.
const SOME: Moment =
    Moment { acknowledged: 200, failed: 0, unanswered: 0, at_a_call: false, most: MAX_CALLS };
const FULL: Moment = Moment { acknowledged: 0, failed: 200, ..SOME };

mod p35_p38_what_a_full_disk_did_not_take_is_never_acknowledged {
    use super::*;

    #[test]
    fn sqlite() {
        with_small_disk(concat!(module_path!(), "::sqlite"), 64, |disk| {
            let database = Database::on_disk(disk.path());
            run_installed_on(database, HANG, async |at| filled(at, &disk).await);
        });
    }

    #[test]
    fn postgres() {
        with_small_disk(concat!(module_path!(), "::postgres"), 256, |disk| {
            let cluster = Cluster::start(disk.path());
            let database = Database::on_server(cluster.url.clone());
            run_installed_on(database, HANG, async |at| filled(at, &disk).await);
        });
    }
}

/// Fills the disk several times. The last time, kills the server while the disk is full.
async fn filled(at: &Installation, disk: &Disk) {
    let mut world = World::new(at).await;
    let server = world.serve();
    world.round(server.addr, SOME, || ()).await;
    for _ in 0..TIMES {
        disk.fill_up_to(64 << 10);
        refused(&mut world, &server).await;
        disk.make_room();
        back(&mut world, &server).await;
    }

    disk.fill_up_to(64 << 10);
    refused(&mut world, &server).await;
    let process = process_of(&server);
    world.round(server.addr, FULL, move || kill(process, Signal::KILL)).await;
    server.kill();
    let server = match at.database.engine {
        Engine::Sqlite => {
            let server = world.serve();
            refused(&mut world, &server).await;
            disk.make_room();
            server
        }
        Engine::Postgres => {
            disk.make_room();
            until_it_is_back(at).await;
            world.serve()
        }
    };
    back(&mut world, &server).await;
    assert_eq!(server.stop().code, Some(0));
    println!("seed {}\n{}", world.seed, world.told());
}

/// The server rejects calls because the disk is full, and stores nothing of them.
async fn refused(world: &mut World<'_>, server: &Server) {
    let round = world.round(server.addr, FULL, || ()).await;
    if world.at.database.engine == Engine::Sqlite {
        // Reads still succeed. PostgreSQL stops itself if there is no space for its log.
        let caller = server.person(&world.key).get_caller(own::GetCallerRequest {}).await;
        assert!(caller.is_ok(), "{caller:?}");
        world.check().await;
    }
    assert!(round.failed() >= FULL.failed, "the disk is full, but calls are acknowledged");
}

/// There is free space, and the server acknowledges calls again within `RECOVERY_LIMIT` (P35).
async fn back(world: &mut World<'_>, server: &Server) {
    let round = world.round(server.addr, SOME, || ()).await;
    let back = round.first().expect("a call was acknowledged");
    assert!(back < RECOVERY_LIMIT, "it was back after {back:?}");
    world.check().await;
}
