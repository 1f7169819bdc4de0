//! The verbs by which Prunella starts itself again as another process. Their arguments are written by Prunella, not by
//! people; a mistake in them is a defect.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use prunella_gateway::{GatewayArgs, TlsFiles};

use crate::ui::{Exit, Fault, Problem, show_error};

#[derive(Debug, Parser)]
#[command(name = "prunella probe", no_binary_name = true)]
struct ProbeArgs {
    #[arg(long)]
    spec_fd: RawFd,
    #[arg(long)]
    result_fd: RawFd,
}

/// Runs as the probe inside a sandbox: starts the service and sends it the recorded requests.
#[must_use]
pub fn probe(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match ProbeArgs::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return Exit::Usage.into();
        }
    };
    let passed = [args.spec_fd, args.result_fd].map(is_open).iter().all(|open| *open);
    let ran = if passed && args.spec_fd != args.result_fd {
        crate::experiment::probe::main(args.spec_fd, args.result_fd)
    } else {
        Err(std::io::Error::other("its descriptors were not passed"))
    };
    match ran {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            let problem = Problem::new(
                Fault::Defect,
                format!("the probe failed: {error}"),
                "The experiment counts as not run.",
            );
            show_error(&problem.into());
            Exit::Internal.into()
        }
    }
}

/// Whether this is an open descriptor beyond the standard ones: a person who types the verb passes none.
fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD reads a flag of whatever the number names and fails where it names nothing.
    fd > 2 && unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0
}

#[derive(Debug, Parser)]
#[command(name = "prunella gateway", no_binary_name = true)]
struct GatewayVerb {
    #[arg(long)]
    state_dir: PathBuf,
    #[arg(long)]
    listen: Option<SocketAddr>,
    #[arg(long)]
    listen_fd: Option<RawFd>,
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

impl From<GatewayVerb> for GatewayArgs {
    fn from(verb: GatewayVerb) -> Self {
        let tls = verb.tls_cert.zip(verb.tls_key);
        Self {
            state_dir: verb.state_dir,
            listen: verb.listen,
            listen_fd: verb.listen_fd,
            tls: tls.map(|(cert, key)| TlsFiles { cert, key }),
            worker_threads: verb.workers,
        }
    }
}

/// Runs as the gateway until it is told to end.
#[must_use]
pub fn gateway(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let verb = match GatewayVerb::try_parse_from(args) {
        Ok(verb) => verb,
        Err(error) => {
            let _ = error.print();
            return Exit::Usage.into();
        }
    };
    match prunella_gateway::main(verb.into()) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            show_error(&Problem::from(error).into());
            Exit::Machine.into()
        }
    }
}
