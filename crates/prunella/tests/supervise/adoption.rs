//! What the next daemon finds.

use prunella::supervise::{Adopted, ExitCause, LogTail, Supervisor, TailEvent, TailOffsets, sweep_orphans};

use super::world::{Daemon, GRACE, World, alive, eventually, launcher, record, said, signal};

pub(crate) async fn a_service_survives_its_killed_daemon() {
    let world = World::new();
    let line = "echo one; read line < go; echo two; exit 9";
    make_fifo(&world);
    let daemon = Daemon::start(&world, "a", line);
    let run_dir = world.supervisor.runs().unwrap().remove(0);
    let adopted = world.supervisor.adopt(&run_dir).await.unwrap();
    let Adopted::Running(before) = adopted else {
        panic!("{adopted:?}")
    };
    daemon.kill();

    let next = Supervisor::new(world.path("run"), launcher(), world.supervisor.instance().to_owned());
    let adopted = next.adopt(&run_dir).await.unwrap();
    let Adopted::Running(process) = adopted else {
        panic!("{adopted:?}")
    };
    assert_eq!(process.state(), before.state());
    assert!(alive(process.pid().unwrap()));
    let mut tail = LogTail::open(&run_dir, TailOffsets::default()).unwrap();
    assert_eq!(next_line(&mut tail).await, "one");
    // Output and exit status are not lost although nobody was there when the service was started.
    std::fs::write(world.path("go"), "go\n").unwrap();
    assert_eq!(next_line(&mut tail).await, "two");
    let exit = process.wait().await.unwrap();
    assert_eq!((exit.cause, exit.requested), (ExitCause::Code(9), false));
}

pub(crate) async fn an_exit_while_nobody_looked_is_found() {
    let world = World::new();
    make_fifo(&world);
    let daemon = Daemon::start(&world, "a", "read line < go; exit 5");
    daemon.kill();
    let run_dir = world.supervisor.runs().unwrap().remove(0);
    std::fs::write(world.path("go"), "go\n").unwrap();
    let pid = i32::try_from(record(&run_dir, "state.json")["shim"]["pid"].as_i64().unwrap()).unwrap();
    eventually("the shim has ended", || !alive(pid)).await;
    let adopted = world.supervisor.adopt(&run_dir).await.unwrap();
    let Adopted::Exited(exit) = adopted else {
        panic!("{adopted:?}")
    };
    assert_eq!(exit.cause, ExitCause::Code(5));
}

pub(crate) async fn a_run_killed_with_its_shim_is_lost() {
    let world = World::new();
    let daemon = Daemon::start(&world, "a", "setsid sleep 1000 & echo child $!; sleep 1000");
    let run_dir = world.supervisor.runs().unwrap().remove(0);
    let Adopted::Running(process) = world.supervisor.adopt(&run_dir).await.unwrap() else {
        panic!("it runs")
    };
    let child: i32 = said(&process, "child ").await.parse().unwrap();
    daemon.kill();
    let (shim, pid) = (process.shim_pid().unwrap(), process.pid().unwrap());
    drop(process);
    signal(shim, "KILL");
    eventually("the shim is gone", || !alive(shim)).await;
    let adopted = world.supervisor.adopt(&run_dir).await.unwrap();
    let Adopted::Lost { reason, state } = adopted else {
        panic!("{adopted:?}")
    };
    assert!(reason.contains("killed"), "{reason}");
    assert_eq!(state.unwrap().run, "a");
    assert!(!alive(pid) && !alive(child), "what was left of the tree is ended");
}

pub(crate) async fn a_damaged_record_is_named() {
    let world = World::new();
    let process = world.shell("a", "sleep 1000").await;
    let state = process.run_dir().join("state.json");
    let good = std::fs::read(&state).unwrap();
    std::fs::write(&state, b"{").unwrap();
    let error = world.supervisor.adopt(process.run_dir()).await.unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    std::fs::write(&state, good).unwrap();
    process.stop(GRACE).await.unwrap();
}

pub(crate) async fn orphans_are_swept_and_owned_processes_are_not() {
    let world = World::new();
    let line = "setsid sleep 1000 & echo child $!; sleep 1000";
    let owned = world.shell("owned", line).await;
    let killed = world.shell("killed", line).await;
    let owned_child: i32 = said(&owned, "child ").await.parse().unwrap();
    let orphan: i32 = said(&killed, "child ").await.parse().unwrap();
    signal(killed.shim_pid().unwrap(), "KILL");
    killed.died().await;
    let swept = sweep_orphans(world.supervisor.run_root(), world.supervisor.instance(), &[]).unwrap();
    assert!(swept.killed.contains(&orphan), "{swept:?}");
    assert!(swept.refused.is_empty(), "{swept:?}");
    eventually("the orphan is gone", || !alive(orphan)).await;
    assert!(alive(owned_child) && alive(owned.pid().unwrap()));
    let other = sweep_orphans(world.supervisor.run_root(), "another installation", &[]).unwrap();
    assert!(other.killed.is_empty());
    owned.stop(GRACE).await.unwrap();
    assert!(!alive(owned_child));
}

async fn next_line(tail: &mut LogTail) -> String {
    match tail.next().await.unwrap() {
        Some(TailEvent::Line(line)) => line.line,
        other => panic!("{other:?}"),
    }
}

fn make_fifo(world: &World) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, world.path("go"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}
