//! The escape suite: hostile programs on every back end. A new attempt is one line here and one function in the helper.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use crate::common::{backends, inside, run_on, tree};
use prunella_sandbox::{Exit, JailSpec};

/// What an attempt is told.
enum Told<'a> {
    Nothing,
    Secret,
    Tcp,
    Udp,
    Abstract,
    Outside,
    Text(&'a str),
}
use Told::{Abstract, Nothing, Outside, Secret, Tcp, Text, Udp};

/// The attempts and what they aim at.
const ATTEMPTS: &[(&str, Told<'static>)] = &[
    ("read-file", Secret),
    ("write-file", Secret),
    ("write-system", Nothing),
    ("write-root", Nothing),
    ("write-etc", Nothing),
    ("read-shadow", Nothing),
    ("link-out", Secret),
    ("hard-link-out", Secret),
    ("dot-dot", Secret),
    ("proc-root", Secret),
    ("proc-fd", Nothing),
    ("proc-mem", Nothing),
    ("proc-environ", Nothing),
    ("sysctl", Nothing),
    ("sysrq", Nothing),
    ("kernel-memory", Nothing),
    ("foreign-process", Nothing),
    ("signal-everyone", Outside),
    ("mount", Nothing),
    ("remount-root", Nothing),
    ("unmount", Nothing),
    ("new-mount-api", Nothing),
    ("pivot-root", Nothing),
    ("chroot", Nothing),
    ("unshare-user", Nothing),
    ("clone-user", Nothing),
    ("clone3-user", Nothing),
    ("setns", Nothing),
    ("ptrace", Nothing),
    ("vm-read", Nothing),
    ("keyctl", Nothing),
    ("add-key", Nothing),
    ("bpf", Nothing),
    ("perf", Nothing),
    ("userfaultfd", Nothing),
    ("io-uring", Nothing),
    ("open-by-handle", Nothing),
    ("module", Nothing),
    ("kexec", Nothing),
    ("reboot", Nothing),
    ("set-clock", Nothing),
    ("host-name", Nothing),
    ("become-root", Nothing),
    ("set-user-id", Nothing),
    ("make-device", Nothing),
    ("host-device", Nothing),
    ("type-into-terminal", Nothing),
    ("tcp", Tcp),
    ("udp", Udp),
    ("host-abstract-socket", Abstract),
    ("docker-socket", Nothing),
    ("raw-socket", Nothing),
    ("packet-socket", Nothing),
    ("vsock", Nothing),
    ("inherited-descriptors", Nothing),
    ("environment", Text("HOME,LANG,PATH,TMPDIR")),
    ("raise-limits", Nothing),
    ("git-hook", Nothing),
    ("leave-cgroup", Nothing),
    ("x32", Nothing),
];

/// Exit codes of the helper.
const STOPPED: Exit = Exit::Exited(42);
const ESCAPED: Exit = Exit::Exited(66);

#[test]
fn no_attempt_escapes_from_any_back_end() {
    let home = tree();
    let secret = home.path().join(".ssh");
    std::fs::create_dir(&secret).unwrap();
    let secret = secret.join("id_ed25519");
    std::fs::write(&secret, "PRIVATE KEY").unwrap();
    let outside = Outsiders::start();
    let mut failures = Vec::new();
    for (name, backend) in backends() {
        let mut stopped = 0;
        for (attack, told) in ATTEMPTS {
            let work = tree();
            let argument = match told {
                Nothing => String::new(),
                Secret => secret.display().to_string(),
                Tcp => outside.tcp.local_addr().unwrap().to_string(),
                Udp => outside.udp.local_addr().unwrap().to_string(),
                Abstract => outside.name.clone(),
                Outside => std::process::id().to_string(),
                // Bubblewrap always adds the working directory to the environment.
                Text(text) if name == "bubblewrap" => text.replace(",TMPDIR", ",PWD,TMPDIR"),
                Text(text) => (*text).to_owned(),
            };
            let report = run_on(&*backend, &inside(work.path(), &["attack", attack, &argument]));
            match report.exit {
                STOPPED if unharmed(work.path(), &secret) => stopped += 1,
                ESCAPED => failures.push(format!(
                    "{name}: {} {}",
                    report.stdout.text().trim(),
                    report.stderr.text()
                )),
                exit => failures.push(format!(
                    "{name}: {attack} ended with {exit:?}: {}",
                    report.stderr.text()
                )),
            }
        }
        println!("{name}: {stopped} of {} attempts stopped", ATTEMPTS.len());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(outside.heard_nothing());
}

#[test]
fn the_suite_can_tell_an_escape() {
    let work = tree();
    let mut spec: JailSpec = inside(work.path(), &["attack", "read-file", "/tree/file"]);
    let report = crate::common::run(&spec);
    assert_eq!(report.exit, ESCAPED, "a file that is visible is reported as got");
    spec.argv = vec![spec.argv[0].clone(), "attack".into(), "no-such-attack".into()];
    assert_eq!(
        crate::common::run(&spec).exit,
        Exit::Exited(2),
        "an attempt that does not exist is no success"
    );
}

/// The host's own files are as they were.
fn unharmed(work: &Path, secret: &Path) -> bool {
    std::fs::read_to_string(work.join("file")).is_ok_and(|text| text == "before")
        && !work.join(".git").exists()
        && std::fs::read_to_string(secret).is_ok_and(|text| text == "PRIVATE KEY")
        && !Path::new("/usr/owned").exists()
        && !Path::new("/owned").exists()
}

/// Listeners outside that nothing inside may reach.
struct Outsiders {
    tcp: TcpListener,
    udp: UdpSocket,
    name: String,
    local: UnixListener,
}

impl Outsiders {
    fn start() -> Self {
        let name = format!("prunella-it-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let outside = Self {
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            local: UnixListener::bind_addr(&address).unwrap(),
            name,
        };
        outside.tcp.set_nonblocking(true).unwrap();
        outside.udp.set_nonblocking(true).unwrap();
        outside.local.set_nonblocking(true).unwrap();
        outside
    }

    fn heard_nothing(&self) -> bool {
        self.tcp.accept().is_err() && self.udp.recv(&mut [0; 16]).is_err() && self.local.accept().is_err()
    }
}
