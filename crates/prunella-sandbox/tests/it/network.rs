//! The jail's own loopback works; the way out is tried in the escape suite.

use crate::common::{backends, inside, run, run_on, shell, tree};
use prunella_sandbox::{Exit, Network, Tier};

#[test]
fn own_loopback_and_local_sockets_work_with_namespaces() {
    let work = tree();
    for (name, backend) in backends() {
        let report = run_on(&*backend, &inside(work.path(), &["loopback"]));
        let expected = if report.tier <= Tier::B {
            Exit::Exited(0)
        } else {
            Exit::Exited(101)
        };
        assert_eq!(report.exit, expected, "{name}: {}", report.stderr.text());
    }
}

#[test]
fn the_hosts_network_is_there_only_when_asked_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let work = tree();
    let address = listener.local_addr().unwrap().to_string();
    let mut spec = inside(work.path(), &["attack", "tcp", &address]);
    assert_eq!(run(&spec).exit, Exit::Exited(42), "the default is its own loopback");
    spec.network = Network::Host;
    assert_eq!(
        run(&spec).exit,
        Exit::Exited(66),
        "a dependency step reaches the network"
    );
}

#[test]
fn only_loopback_exists() {
    let report = run(&shell("cat /proc/net/dev"));
    let names: Vec<String> = report
        .stdout
        .text()
        .lines()
        .skip(2)
        .map(|l| l.trim().to_owned())
        .collect();
    assert!(names.len() == 1 && names[0].starts_with("lo:"), "{names:?}");
}
