//! The processes of the comparison: the upstream, nginx as a proxy, the gateway, and wrk.

use super::CHILD;
use crate::exec::{self, Process};
use crate::report::{BenchError, say};
use prunella_gateway::GatewayArgs;
use prunella_gateway::control::{Protocol, RouteConfig, Upstream};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The processor that a proxy has to itself; the load and the upstream have the last one.
pub(super) const PROXY_CPU: usize = 0;
const INSTALL: &str = "on Debian or Ubuntu `apt-get install nginx-light wrk`, on Fedora `dnf install nginx wrk`, on Alpine `apk add nginx wrk`";

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gateway = 0,
    Nginx = 1,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Nginx => "nginx",
        }
    }
}

/// A running proxy.
pub(super) struct Proxy {
    pub(super) addr: SocketAddr,
    pub(super) process: Process,
}

/// Everything that runs.
pub(super) struct Setup {
    pub(super) load_cpu: usize,
    wrk: PathBuf,
    proxies: [Proxy; 2],
    _upstream: Process,
    _dir: TempDir,
}

impl Setup {
    pub(super) fn start() -> Result<Self, BenchError> {
        let need = |program| {
            exec::find(program).ok_or(BenchError::Missing {
                program,
                install: INSTALL,
            })
        };
        let (nginx, wrk) = (need("nginx")?, need("wrk")?);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if cores < 2 {
            return Err(BenchError::Unfit("the proxy and the load need a processor each".into()));
        }
        let load_cpu = cores - 1;
        let temp = tempfile::tempdir().map_err(BenchError::io("no temporary directory"))?;
        let dir = temp.path();
        write(
            &dir.join("www/small.json"),
            br#"{"id":7,"name":"self-heal","price":"4.20","stock":12,"tags":["herb","blue"]}"#,
        )?;
        let big: Vec<u8> = (0..1_u32 << 20)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        write(&dir.join("www/big.bin"), &big)?;
        let [upstream, by_nginx, by_gateway] = free_ports()?;
        write(
            &dir.join("upstream/nginx.conf"),
            upstream_conf(dir, upstream).as_bytes(),
        )?;
        write(
            &dir.join("proxy/nginx.conf"),
            proxy_conf(dir, by_nginx, upstream).as_bytes(),
        )?;
        let config = RouteConfig {
            epoch: 1,
            service: "bench".into(),
            primary: Some(Upstream {
                release: "bench".into(),
                addr: upstream,
                protocol: Protocol::Http1,
            }),
            ..RouteConfig::default()
        };
        let config = serde_json::to_vec(&config).map_err(|e| BenchError::Unexpected(e.to_string()))?;
        write(&dir.join("gateway/gateway.json"), &config)?;
        let text = |p: PathBuf| p.display().to_string();
        let start_nginx = |name: &str, cpu| {
            exec::start_on(
                cpu,
                &nginx,
                &[
                    "-p",
                    &text(dir.join(name)),
                    "-c",
                    &text(dir.join(name).join("nginx.conf")),
                ],
            )
        };
        let _upstream = start_nginx("upstream", load_cpu)?;
        let nginx_process = start_nginx("proxy", PROXY_CPU)?;
        let own = std::env::current_exe().map_err(BenchError::io("cannot find this program"))?;
        let gateway = exec::start_on(
            PROXY_CPU,
            &own,
            &[CHILD, &text(dir.join("gateway")), &by_gateway.to_string()],
        )?;
        let proxies = [
            Proxy {
                addr: by_gateway,
                process: gateway,
            },
            Proxy {
                addr: by_nginx,
                process: nginx_process,
            },
        ];
        for addr in [upstream, by_nginx, by_gateway] {
            wait_for(addr)?;
        }
        say(&format!(
            "proxies on processor {PROXY_CPU}, load and upstream on processor {load_cpu}"
        ));
        Ok(Self {
            load_cpu,
            wrk,
            proxies,
            _upstream,
            _dir: temp,
        })
    }

    pub(super) fn proxy(&self, kind: Kind) -> &Proxy {
        &self.proxies[kind as usize]
    }

    /// Requests done in `seconds` and requests per second, as fast as wrk can.
    pub(super) fn saturate(&self, proxy: &Proxy, path: &str, seconds: u64) -> Result<(f64, f64), BenchError> {
        let url = format!("http://{}{path}", proxy.addr);
        let duration = format!("-d{seconds}s");
        let out = exec::output_on(self.load_cpu, &self.wrk, &["-t1", "-c32", &duration, &url])?;
        parse_wrk(&out).ok_or_else(|| BenchError::Unexpected(format!("wrk failed or saw errors:\n{out}")))
    }
}

/// The count and the rate in wrk's report; `None` when anything went wrong in the run.
fn parse_wrk(out: &str) -> Option<(f64, f64)> {
    if out.contains("Socket errors") || out.contains("Non-2xx") {
        return None;
    }
    let requests = out
        .lines()
        .find_map(|l| l.trim().split_once(" requests in "))?
        .0
        .parse()
        .ok()?;
    let rate = out
        .lines()
        .find_map(|l| l.trim().strip_prefix("Requests/sec:"))?
        .trim()
        .parse()
        .ok()?;
    Some((requests, rate))
}

/// The hidden mode: the gateway with one worker, configured by the file in its state directory.
pub(super) fn run_gateway(args: &[String]) -> ExitCode {
    let [dir, addr] = args else { return ExitCode::from(2) };
    let Ok(addr) = addr.parse() else {
        return ExitCode::from(2);
    };
    let args = GatewayArgs {
        state_dir: dir.into(),
        listen: Some(addr),
        listen_fd: None,
        tls: None,
        worker_threads: 1,
    };
    match prunella_gateway::main(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            say(&e.to_string());
            ExitCode::FAILURE
        }
    }
}

fn write(path: &Path, data: &[u8]) -> Result<(), BenchError> {
    let what = || format!("cannot write {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(BenchError::io(what()))?;
    }
    fs::write(path, data).map_err(BenchError::io(what()))
}

/// Ports that are free now; held all at once so that they differ.
fn free_ports() -> Result<[SocketAddr; 3], BenchError> {
    let bind = || TcpListener::bind("127.0.0.1:0").map_err(BenchError::io("no free port"));
    let held = [bind()?, bind()?, bind()?];
    let mut ports = [SocketAddr::from(([127, 0, 0, 1], 0)); 3];
    for (port, socket) in ports.iter_mut().zip(&held) {
        *port = socket.local_addr().map_err(BenchError::io("no free port"))?;
    }
    Ok(ports)
}

fn wait_for(addr: SocketAddr) -> Result<(), BenchError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect(addr) {
            Ok(_) => return Ok(()),
            Err(e) if Instant::now() > deadline => {
                return Err(BenchError::Io {
                    what: format!("{addr} did not come up"),
                    source: e,
                });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// One worker, no logs, connections kept for as long as anyone wants them.
fn common_conf(dir: &Path) -> String {
    // As root, nginx's worker would change to a user who cannot read the directory.
    let user = if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    format!(
        "daemon off; worker_processes 1; {user} pid {0}/pid; error_log {0}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 3600s;\n\
         client_body_temp_path {0}/body; proxy_temp_path {0}/temp; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n",
        dir.display()
    )
}

fn upstream_conf(dir: &Path, listen: SocketAddr) -> String {
    let www = dir.join("www").display().to_string();
    let common = common_conf(&dir.join("upstream"));
    format!("{common} sendfile on; open_file_cache max=10; server {{ listen {listen}; root {www}; }} }}\n")
}

/// As one would set it up for this: kept upstream connections, buffers that fit, no temporary
/// files, and the forwarding fields that the gateway sends as well.
fn proxy_conf(dir: &Path, listen: SocketAddr, upstream: SocketAddr) -> String {
    let common = common_conf(&dir.join("proxy"));
    format!(
        "{common} upstream u {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; keepalive_timeout 3600s; }}\n\
         server {{ listen {listen}; location / {{ proxy_pass http://u; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_set_header Host $http_host; proxy_set_header Via \"1.1 nginx\";\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;\n\
         proxy_buffer_size 16k; proxy_buffers 16 64k; proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0; }} }} }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrks_report_is_read_and_errors_are_not_ignored() {
        let good = "Running 3s test\n  90000 requests in 3.00s, 20MB read\nRequests/sec:  30000.5\n";
        assert_eq!(parse_wrk(good), Some((90000.0, 30000.5)));
        assert_eq!(parse_wrk(&format!("{good}  Non-2xx or 3xx responses: 7\n")), None);
        assert_eq!(parse_wrk("connection refused"), None);
    }
}
