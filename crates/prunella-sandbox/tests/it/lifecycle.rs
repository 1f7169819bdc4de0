//! Cancelling, and deaths of those who watch: nothing may live on.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{backends, helper, marked, shell};
use prunella_sandbox::{CancelToken, Exit, ExtraFd, JailSpec};

/// Waits until `condition` holds; a machine that never gets there fails the test.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn cancel_ends_the_tree_at_once() {
    for (name, backend) in backends() {
        let marker = format!("cancel-{}-{}", std::process::id(), name.replace(' ', "-"));
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut spec = shell(&format!(
            "setsid sh -c 'sleep 100; : {marker}' & echo up >&9; sleep 100"
        ));
        spec.extra_fds.push(ExtraFd {
            outer: writer.as_raw_fd(),
            inner: 9,
        });
        let cancel = CancelToken::new();
        let report = std::thread::scope(|scope| {
            let run = scope.spawn(|| backend.run(&spec, &cancel));
            let mut byte = [0];
            reader.read_exact(&mut byte).unwrap();
            cancel.cancel();
            run.join().unwrap()
        });
        let report = report.unwrap();
        assert_eq!(report.exit, Exit::Cancelled, "{name}");
        assert!(report.wall < Duration::from_secs(20), "{name}");
        assert_eq!(marked(&marker), [] as [u32; 0], "{name}");
        assert_eq!(
            backend.run(&shell("true"), &cancel).unwrap().exit,
            Exit::Cancelled,
            "{name}: it stays cancelled"
        );
    }
}

#[test]
fn kill_9_of_the_caller_leaves_no_process() {
    let (mut caller, marker) = launch("caller");
    caller.kill().unwrap();
    caller.wait().unwrap();
    eventually("the jail outlives its caller", || marked(&marker).is_empty());
}

#[test]
fn kill_9_of_the_supervisor_leaves_no_process() {
    let (mut caller, marker) = launch("supervisor");
    let supervisor = children(caller.id());
    assert_eq!(supervisor.len(), 1);
    let pid = rustix::process::Pid::from_raw(supervisor[0]).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    eventually("the jail outlives its supervisor", || marked(&marker).len() <= 1);
    let status = caller.wait().unwrap();
    assert!(!status.success(), "the caller is told");
    eventually("the jail outlives its supervisor", || marked(&marker).is_empty());
}

/// A process of its own that runs a jail with two marked processes, one of them in a session of its own.
#[allow(
    clippy::disallowed_methods,
    reason = "a caller that can be killed must be another process"
)]
fn launch(name: &str) -> (Child, String) {
    let marker = format!("{name}-dies-{}", std::process::id());
    let spec: JailSpec = shell(&format!("setsid sh -c 'sleep 100; : {marker}' & sleep 100; : {marker}"));
    let child = Command::new(helper())
        .args(["launch", &serde_json::to_string(&spec).unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The caller's own command line has the marker as well.
    eventually("the jail starts", || marked(&marker).len() >= 3);
    (child, marker)
}

fn children(pid: u32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace().map(|n| n.parse().unwrap()).collect()
}
