//! Each limit, on every back end that promises it.

use std::time::Duration;

use crate::common::{backends, inside, marked, run_on, shell, tree};
use prunella_sandbox::Exit;

#[test]
fn memory_is_bounded() {
    let work = tree();
    for (name, backend) in backends() {
        let mut spec = inside(work.path(), &["eat"]);
        spec.limits.memory_bytes = 96 << 20;
        let report = run_on(&*backend, &spec);
        assert_eq!(report.exit, Exit::OutOfMemory, "{name}: {}", report.stderr.text());
    }
}

#[test]
fn processor_time_is_bounded_over_the_tree() {
    let work = tree();
    for (name, backend) in backends() {
        let mut spec = inside(work.path(), &[]);
        spec.argv = ["/bin/sh", "-c", "$0 spin & $0 spin & $0 spin", &spec.argv[0].clone()]
            .map(String::from)
            .to_vec();
        spec.limits.cpu = Duration::from_millis(600);
        let report = run_on(&*backend, &spec);
        assert_eq!(report.exit, Exit::CpuLimit, "{name}");
        assert!(
            report.cpu_user < Duration::from_secs(5),
            "{name}: {:?}",
            report.cpu_user
        );
    }
}

#[test]
fn a_fork_bomb_is_bounded_and_ended() {
    let marker = format!("bomb-{}", std::process::id());
    for (name, backend) in backends() {
        let script = format!(": {marker}; bomb() {{ bomb | bomb & }}; bomb; sleep 100");
        let mut spec = shell(&script);
        spec.limits.processes = 32;
        spec.limits.wall = Duration::from_millis(500);
        let report = run_on(&*backend, &spec);
        assert!(
            matches!(report.exit, Exit::TimedOut | Exit::Exited(_)),
            "{name}: {:?}",
            report.exit
        );
        // Without a namespace to end at once, those that are forked between two rounds of killing count too.
        let bound = if report.tier == prunella_sandbox::Tier::C {
            256
        } else {
            // The limit holds for each user of a namespace; pid 1 of the jail and the first shell may belong to another.
            32 + 2
        };
        let killed = report.processes_killed_at_end;
        assert!(killed <= bound, "{name}: {killed}");
        assert_eq!(marked(&marker), [] as [u32; 0], "{name}");
    }
}

#[test]
fn file_size_disk_and_descriptors_are_bounded() {
    for (name, backend) in backends() {
        let mut spec = shell("head -c 2000000 /dev/zero > $HOME/big; ulimit -n; ulimit -c");
        spec.limits.file_size_bytes = 1_000_000;
        spec.limits.open_files = 77;
        let report = run_on(&*backend, &spec);
        assert_eq!(report.stdout.text(), "77\n0\n", "{name}: {}", report.stderr.text());
    }
}

#[test]
fn scratch_space_and_inodes_are_bounded() {
    let work = tree();
    let mut spec = inside(work.path(), &[]);
    let script = "head -c 4000000 /dev/zero > big 2>/dev/null && echo filled; rm -f big; \
                  i=0; while [ $i -lt 2000 ] && : > f$i; do i=$((i+1)); done 2>/dev/null; [ $i -lt 2000 ] && echo stopped";
    spec.argv = ["/bin/sh", "-c", script].map(String::from).to_vec();
    spec.limits.scratch_bytes = 1 << 20;
    let report = crate::common::run(&spec);
    assert_eq!(report.stdout.text(), "", "an inode-less shell ends at the redirection");
    assert_ne!(report.exit, Exit::Exited(0));
}

#[test]
fn a_flood_of_output_is_bounded_and_stopped() {
    let work = tree();
    for (name, backend) in backends() {
        let mut spec = inside(work.path(), &["flood"]);
        spec.limits.output_bytes = 1000;
        spec.limits.output_stop_bytes = 8 << 20;
        let report = run_on(&*backend, &spec);
        assert_eq!(report.exit, Exit::OutputLimit, "{name}");
        assert_eq!(
            (report.stdout.head.len(), report.stdout.tail.len()),
            (500, 500),
            "{name}"
        );
        assert!(report.stdout.dropped > 1 << 20, "{name}");
    }
}

#[test]
fn the_wall_clock_ends_grandchildren_in_sessions_of_their_own() {
    for (name, backend) in backends() {
        let marker = format!("wall-{}-{}", std::process::id(), name.replace(' ', "-"));
        let mut spec = shell(&format!("setsid sh -c 'sleep 100; : {marker}' & sleep 100; : {marker}"));
        spec.limits.wall = Duration::from_millis(300);
        let report = run_on(&*backend, &spec);
        assert_eq!(report.exit, Exit::TimedOut, "{name}");
        assert!(
            report.processes_killed_at_end >= 3,
            "{name}: {}",
            report.processes_killed_at_end
        );
        assert_eq!(marked(&marker), [] as [u32; 0], "{name}");
    }
}
