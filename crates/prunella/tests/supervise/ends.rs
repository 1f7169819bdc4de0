//! How services end.

use std::time::Duration;

use prunella::supervise::{CommandLine, ExitCause, SuperviseError};

use super::world::{GRACE, World, alive, eventually, output, python, said, signal};

/// A parent that prints the id of a grandchild which left session and process group.
const WITH_GRANDCHILD: &str = "
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print('grandchild', os.getpid())
        time.sleep(1000)
    os._exit(0)
os.wait()
";

pub(crate) async fn an_exit_code_is_reported() {
    let world = World::new();
    let process = world.shell("a", "echo bye; exit 7").await;
    let exit = process.wait().await.unwrap();
    assert_eq!((exit.cause, exit.requested), (ExitCause::Code(7), false));
    assert!(exit.at_ms >= process.state().started_at_ms);
    assert_eq!(output(&process).await, ["bye"]);
}

pub(crate) async fn a_signal_is_reported() {
    let world = World::new();
    let process = world.shell("a", "sleep 1000").await;
    signal(process.pid().unwrap(), "SEGV");
    process.died().await;
    let exit = process.wait().await.unwrap();
    assert!(matches!(exit.cause, ExitCause::Signal { signal: 11, .. }), "{exit:?}");
    assert!(!exit.requested);
}

pub(crate) async fn a_graceful_stop_is_a_request() {
    let world = World::new();
    let code = "
import signal, sys, time
def stop(*_):
    print('closing')
    sys.exit(3)
signal.signal(signal.SIGTERM, stop)
print('up')
while True: time.sleep(100)
";
    let process = world.python("a", code).await;
    said(&process, "up").await;
    let exit = process.stop(GRACE).await.unwrap();
    assert_eq!((exit.cause, exit.requested), (ExitCause::Code(3), true));
    assert_eq!(output(&process).await, ["up", "closing"]);
    assert_eq!(process.stop(GRACE).await.unwrap(), exit, "stopping twice is harmless");
}

pub(crate) async fn a_deaf_service_is_killed_after_its_grace() {
    let world = World::new();
    let process = world
        .shell("a", "trap '' TERM; echo up; while :; do sleep 1000; done")
        .await;
    said(&process, "up").await;
    let exit = process.stop(Duration::from_millis(50)).await.unwrap();
    assert_eq!(exit.cause, ExitCause::Signal { signal: 9, core: false });
    assert!(exit.requested);
}

pub(crate) async fn a_detached_grandchild_dies_at_stop() {
    let world = World::new();
    let process = world.python("a", &format!("{WITH_GRANDCHILD}\ntime.sleep(1000)")).await;
    let grandchild: i32 = said(&process, "grandchild ").await.parse().unwrap();
    assert!(alive(grandchild));
    process.stop(GRACE).await.unwrap();
    assert!(!alive(grandchild));
}

pub(crate) async fn a_detached_grandchild_dies_with_a_crashed_service() {
    let world = World::new();
    let code = format!("{WITH_GRANDCHILD}\nos.kill(os.getpid(), 6)");
    let process = world.python("a", &code).await;
    let exit = process.wait().await.unwrap();
    assert!(matches!(exit.cause, ExitCause::Signal { signal: 6, .. }), "{exit:?}");
    // The line may have come after the crash: it is part of the output all the same, or the child died before.
    for line in output(&process).await {
        if let Some(pid) = line.strip_prefix("grandchild ") {
            assert!(!alive(pid.parse().unwrap()));
        }
    }
}

pub(crate) async fn a_program_that_does_not_exist_leaves_nothing() {
    let world = World::new();
    let spec = world.spec("a", CommandLine::Argv(vec!["no-such-program-anywhere".into()]));
    let error = world.supervisor.start(spec).await.unwrap_err();
    assert!(matches!(error, SuperviseError::Exec { .. }), "{error}");
    assert!(error.to_string().contains("`no-such-program-anywhere`"), "{error}");
    assert!(world.supervisor.runs().unwrap().is_empty());

    let mut spec = world.spec("b", CommandLine::Argv(vec!["true".into()]));
    spec.cwd = world.path("missing");
    let error = world.supervisor.start(spec).await.unwrap_err();
    assert!(
        error.to_string().contains("working directory does not exist"),
        "{error}"
    );
}

pub(crate) async fn a_run_is_started_once() {
    let world = World::new();
    let process = world.shell("a", "exit 0").await;
    let again = world
        .supervisor
        .start(world.spec("a", CommandLine::Shell("exit 0".into())))
        .await;
    assert!(matches!(again.unwrap_err(), SuperviseError::RunExists { .. }));
    assert!(process.wait().await.unwrap().cause.is_success());
}

pub(crate) async fn the_environment_is_exact() {
    let world = World::new();
    let mut spec = world.spec("a", CommandLine::Argv(vec!["/usr/bin/env".into()]));
    spec.base_env = vec![("LANG".into(), "C".into())];
    spec.env = vec![("GREETING".into(), "hello world".into())];
    spec.port = Some(4711);
    let instance = world.supervisor.instance().to_owned();
    let process = world.supervisor.start(spec).await.unwrap();
    process.wait().await.unwrap();
    let mut lines = output(&process).await;
    lines.sort();
    let expected = [
        "GREETING=hello world".to_owned(),
        "LANG=C".to_owned(),
        "OTEL_RESOURCE_ATTRIBUTES=service.version=0123abcd,service.instance.id=a".to_owned(),
        "OTEL_SERVICE_NAME=shop".to_owned(),
        "PORT=4711".to_owned(),
        format!("PRUNELLA_INSTANCE={instance}"),
        "PRUNELLA_RELEASE=r1".to_owned(),
        "PRUNELLA_RUN=a".to_owned(),
    ];
    assert_eq!(lines, expected);
}

pub(crate) async fn a_passed_socket_is_served() {
    use tokio::io::AsyncReadExt as _;
    let world = World::new();
    let code = "
import os, socket
assert os.environ['LISTEN_FDS'] == '1' and int(os.environ['LISTEN_PID']) == os.getpid()
server = socket.socket(fileno=3)
connection, _ = server.accept()
connection.sendall(b'served')
connection.close()
print('descriptors', sorted(int(fd) for fd in os.listdir('/proc/self/fd'))[:4])
";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let mut spec = world.spec("a", python(code));
    spec.listener = Some(listener);
    let process = world.supervisor.start(spec).await.unwrap();
    let mut text = String::new();
    tokio::net::TcpStream::connect(addr)
        .await
        .unwrap()
        .read_to_string(&mut text)
        .await
        .unwrap();
    assert_eq!(text, "served");
    assert!(
        process.wait().await.unwrap().cause.is_success(),
        "{:?}",
        output(&process).await
    );
    assert_eq!(output(&process).await, ["descriptors [0, 1, 2, 3]"]);
}

pub(crate) async fn a_killed_shim_takes_everything_along() {
    let world = World::new();
    let process = world.python("a", &format!("{WITH_GRANDCHILD}\ntime.sleep(1000)")).await;
    let grandchild: i32 = said(&process, "grandchild ").await.parse().unwrap();
    signal(process.shim_pid().unwrap(), "KILL");
    process.died().await;
    let exit = process.wait().await.unwrap();
    assert_eq!(exit.cause, ExitCause::Unknown);
    let pid = process.pid().unwrap();
    eventually("service and grandchild are gone", || !alive(pid) && !alive(grandchild)).await;
}

pub(crate) async fn a_stopped_shim_cannot_prevent_the_stop() {
    let world = World::new();
    let process = world.shell("a", "sleep 1000").await;
    let (shim, pid) = (process.shim_pid().unwrap(), process.pid().unwrap());
    signal(shim, "STOP");
    // Somebody loses patience before the shim's own limit is over.
    let stop = tokio::time::timeout(Duration::from_millis(50), process.stop(Duration::ZERO)).await;
    assert!(stop.is_err());
    signal(shim, "KILL");
    process.wait().await.unwrap();
    eventually("the service is gone", || !alive(pid)).await;
}
