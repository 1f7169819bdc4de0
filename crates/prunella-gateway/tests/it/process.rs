//! The gateway as a process: signals, sudden death, and the listening socket that outlives it.

use crate::support::*;
use prunella_gateway::GatewayArgs;
use prunella_gateway::control::{Client, Reply, Request as Ask, RouteConfig};
use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener as StdListener;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::process::{Child, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const STATE_DIR: &str = "PRUNELLA_TEST_GATEWAY_DIR";
const LISTEN_FD: &str = "PRUNELLA_TEST_GATEWAY_FD";

#[allow(
    clippy::disallowed_methods,
    reason = "how a test tells its own child process what to do"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Not a test: what the child processes run.
#[test]
#[ignore = "the body of child processes"]
fn child() {
    let Some(dir) = environment(STATE_DIR) else { return };
    let fd: RawFd = environment(LISTEN_FD).unwrap().parse().unwrap();
    let args = GatewayArgs {
        state_dir: dir.into(),
        listen: None,
        listen_fd: Some(fd),
        tls: None,
        worker_threads: 2,
    };
    prunella_gateway::main(args).unwrap();
}

/// A gateway in a process of its own; killed when dropped.
struct Process(Child);

impl Process {
    /// Starts it on a socket that this process goes on owning.
    #[allow(clippy::disallowed_methods, reason = "the test is about a process of its own")]
    fn start(dir: &Path, socket: &StdListener) -> Self {
        rustix::io::fcntl_setfd(socket, FdFlags::empty()).unwrap();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::child", "--ignored", "--nocapture"])
            .env(STATE_DIR, dir)
            .env(LISTEN_FD, socket.as_raw_fd().to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        rustix::io::fcntl_setfd(socket, FdFlags::CLOEXEC).unwrap();
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn listening() -> StdListener {
    StdListener::bind("127.0.0.1:0").unwrap()
}

async fn configure(dir: &Path, epoch: u64, upstream: &Upstream) {
    let config = RouteConfig {
        epoch,
        primary: upstream.release("r"),
        ..RouteConfig::default()
    };
    let mut c = connect(&dir.join("gateway.sock")).await;
    assert_eq!(
        c.call(&Ask::Configure(Box::new(config))).await.unwrap(),
        Reply::Configured { epoch }
    );
}

#[test]
fn a_killed_gateway_comes_back_with_its_socket_and_its_configuration() {
    run(async {
        let (dir, socket) = (tempfile::tempdir().unwrap(), listening());
        let addr = socket.local_addr().unwrap();
        let u = Upstream::fixed(200, "x").await;
        let mut first = Process::start(dir.path(), &socket);
        configure(dir.path(), 5, &u).await;
        assert_eq!(Http1::connect(addr).await.send(get("/")).await.status, 200);
        first.0.kill().unwrap();
        first.0.wait().unwrap();
        // Nobody accepts now, but the socket is still there: this client waits and is served.
        let waiting = async { Http1::connect(addr).await.send(get("/")).await };
        let restart = async { Process::start(dir.path(), &socket) };
        let (answer, _second) = tokio::join!(waiting, restart);
        assert_eq!(answer.status, 200);
        let mut c = connect(&dir.path().join("gateway.sock")).await;
        let Reply::Hello(hello) = c.call(&Ask::Hello).await.unwrap() else {
            panic!("no hello")
        };
        assert_eq!((hello.epoch, hello.listen), (Some(5), addr));
    });
}

#[test]
fn a_termination_waits_for_open_requests_and_closes_idle_connections() {
    run(async {
        let (dir, socket) = (tempfile::tempdir().unwrap(), listening());
        let addr = socket.local_addr().unwrap();
        let slow = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut gateway = Process::start(dir.path(), &socket);
        let config = RouteConfig {
            epoch: 1,
            primary: release_at("r", slow.local_addr().unwrap()),
            ..RouteConfig::default()
        };
        connect(&dir.path().join("gateway.sock"))
            .await
            .call(&Ask::Configure(Box::new(config)))
            .await
            .unwrap();
        let mut idle = TcpStream::connect(addr).await.unwrap();
        let mut open = TcpStream::connect(addr).await.unwrap();
        open.write_all(b"GET /slow HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        let (mut upstream, _) = slow.accept().await.unwrap();
        assert!(upstream.read(&mut [0; 1024]).await.unwrap() > 0);
        for ignored in [Signal::INT, Signal::HUP] {
            gateway.signal(ignored);
        }
        gateway.signal(Signal::TERM);
        assert_eq!(
            idle.read(&mut [0; 16]).await.unwrap(),
            0,
            "an idle connection was not closed"
        );
        upstream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")
            .await
            .unwrap();
        let mut answer = String::new();
        open.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"),
            "{answer}"
        );
        assert!(gateway.0.wait().unwrap().success());
        assert!(!dir.path().join("gateway.sock").exists());
    });
}

#[test]
fn a_restarted_supervisor_gets_the_listening_socket() {
    run(async {
        let (dir, socket) = (tempfile::tempdir().unwrap(), listening());
        let addr = socket.local_addr().unwrap();
        let u = Upstream::fixed(200, "x").await;
        let mut first = Process::start(dir.path(), &socket);
        configure(dir.path(), 1, &u).await;
        // The supervisor dies, and its copy of the socket with it.
        drop(socket);
        let mut c: Client = connect(&dir.path().join("gateway.sock")).await;
        let regained = c.listener().await.unwrap();
        assert_eq!(regained.local_addr().unwrap(), addr);
        first.0.kill().unwrap();
        first.0.wait().unwrap();
        let _second = Process::start(dir.path(), &regained);
        assert_eq!(Http1::connect(addr).await.send(get("/")).await.status, 200);
    });
}

#[test]
fn a_second_gateway_on_one_directory_gives_up() {
    run(async {
        let g = Gateway::start(RouteConfig::default()).await;
        let args = GatewayArgs {
            state_dir: g.dir.path().to_owned(),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            listen_fd: None,
            tls: None,
            worker_threads: 1,
        };
        let error = tokio::task::spawn_blocking(move || prunella_gateway::main(args))
            .await
            .unwrap()
            .unwrap_err();
        assert!(error.to_string().contains("already runs"), "{error}");
    });
}

#[test]
fn what_cannot_be_listened_on_is_named() {
    let taken = listening();
    let file = tempfile::tempfile().unwrap();
    let base = || GatewayArgs {
        state_dir: tempfile::tempdir().unwrap().keep(),
        listen: None,
        listen_fd: None,
        tls: None,
        worker_threads: 1,
    };
    let cases = [
        (
            GatewayArgs {
                listen: Some(taken.local_addr().unwrap()),
                ..base()
            },
            "cannot listen on",
        ),
        (
            GatewayArgs {
                listen_fd: Some(file.as_raw_fd()),
                ..base()
            },
            "not a listening",
        ),
        (
            GatewayArgs {
                listen_fd: Some(1),
                ..base()
            },
            "standard streams",
        ),
        (base(), "no listening socket"),
    ];
    for (args, expected) in cases {
        let dir = args.state_dir.clone();
        let error = prunella_gateway::main(args).unwrap_err().to_string();
        std::fs::remove_dir_all(dir).unwrap();
        assert!(error.contains(expected), "{error}");
    }
}
