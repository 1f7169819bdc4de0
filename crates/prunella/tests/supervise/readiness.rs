//! When a service counts as ready.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use prunella::supervise::{ExitCause, NotReady, Process, Readiness, StatusExpect, free_port, wait_ready};

use super::world::{GRACE, World, python};

const LONG: Duration = Duration::from_secs(30);

const SERVER: &str = "
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204 if self.path == '/healthz' else 503)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT']) + OFFSET), Handler)
print('listening now')
server.serve_forever()
";

fn http(path: &str) -> Readiness {
    Readiness::Http {
        path: path.to_owned(),
        expect: StatusExpect::default(),
    }
}

async fn serve(world: &World, port: u16, offset: i32) -> (Process, SocketAddr) {
    let mut spec = world.spec("a", python(&SERVER.replace("OFFSET", &offset.to_string())));
    spec.port = Some(port);
    let process = world.supervisor.start(spec).await.unwrap();
    (process, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

pub(crate) async fn http_tcp_and_log_lines() {
    let world = World::new();
    let lease = free_port().unwrap();
    let (process, addr) = serve(&world, lease.port(), 0).await;
    wait_ready(&http("/healthz"), addr, LONG, &process).await.unwrap();
    wait_ready(&Readiness::Tcp, addr, LONG, &process).await.unwrap();
    let line = Readiness::LogLine(regex::Regex::new("^listening").unwrap());
    wait_ready(&line, addr, LONG, &process).await.unwrap();
    wait_ready(&Readiness::Settle(Duration::ZERO), addr, LONG, &process)
        .await
        .unwrap();
    process.stop(GRACE).await.unwrap();
}

pub(crate) async fn a_wrong_port_is_named() {
    let world = World::new();
    let (lease, other) = (free_port().unwrap(), free_port().unwrap());
    let offset = i32::from(other.port()) - i32::from(lease.port());
    let (process, addr) = serve(&world, lease.port(), offset).await;
    let line = Readiness::LogLine(regex::Regex::new("^listening").unwrap());
    wait_ready(&line, addr, LONG, &process).await.unwrap();
    let error = wait_ready(&Readiness::Tcp, addr, Duration::from_millis(100), &process)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("the service listens on port {}", other.port())),
        "{text}"
    );
    process.stop(GRACE).await.unwrap();
}

pub(crate) async fn a_service_that_ends_is_not_ready() {
    let world = World::new();
    let lease = free_port().unwrap();
    let process = world.shell("a", "echo broken >&2; exit 4").await;
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, lease.port()));
    for readiness in [http("/"), Readiness::Tcp, Readiness::Settle(LONG)] {
        let error = wait_ready(&readiness, addr, LONG, &process).await.unwrap_err();
        let NotReady::Exited(exit) = error else {
            panic!("{error}")
        };
        assert_eq!(exit.cause, ExitCause::Code(4));
    }
}

pub(crate) async fn a_failing_check_is_not_ready() {
    let world = World::new();
    let lease = free_port().unwrap();
    let (process, addr) = serve(&world, lease.port(), 0).await;
    wait_ready(&Readiness::Tcp, addr, LONG, &process).await.unwrap();
    let error = wait_ready(&http("/broken"), addr, Duration::from_millis(300), &process)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("GET /broken answered 503"), "{error}");
    process.stop(GRACE).await.unwrap();
}
