//! What the gateway process is started with, and how it can fail to start.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;

/// Certificate chain and private key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub cert: PathBuf,
    /// The private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

/// The gateway's arguments. The caller decides whether `listen` is a loopback address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayArgs {
    /// Holds `gateway.sock` (control), `gateway.json` (last configuration) and `gateway.lock`.
    /// Created with mode 0700 when missing, tightened to 0700 when it is ours and wider.
    pub state_dir: PathBuf,
    /// Address to bind when no descriptor was passed. One of `listen` and `listen_fd` is needed.
    pub listen: Option<SocketAddr>,
    /// An inherited listening TCP socket, owned by the supervisor: the gateway's own copy of the
    /// descriptor is closed at its end, the supervisor's stays.
    pub listen_fd: Option<RawFd>,
    /// Serve TLS (ALPN `h2`, `http/1.1`) when given; plain HTTP/1.1 and prior-knowledge HTTP/2 if not.
    pub tls: Option<TlsFiles>,
    /// Worker threads, each with its own runtime and upstream pool. 0 means one per available core.
    pub worker_threads: usize,
}

/// Why the gateway process could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Neither an address nor a descriptor was given.
    #[error("no listening socket: give the gateway an address to listen on or an inherited descriptor")]
    NoListener,
    /// The address could not be bound.
    #[error(
        "cannot listen on {addr}: {source}. Another program may hold the port; choose another one or stop it, then retry"
    )]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The inherited descriptor is not a listening TCP socket.
    #[error("descriptor {fd} is not a listening TCP socket: {reason}. This is a fault of whoever started the gateway")]
    BadDescriptor {
        /// The number passed.
        fd: RawFd,
        /// What is wrong with it.
        reason: String,
    },
    /// Another gateway runs on the same state directory.
    #[error("a gateway already runs on {}: use it, or stop it first", .0.display())]
    AlreadyRunning(PathBuf),
    /// The state directory cannot be used.
    #[error("cannot use the state directory {}: {reason}. Check its owner and permissions", path.display())]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Certificate or key cannot be used.
    #[error("cannot use the TLS files: {0}. Check the paths in the configuration")]
    Tls(String),
    /// The system refused a runtime, a thread or a signal handler.
    #[error("the system refused a resource the gateway needs: {0}. A retry may help")]
    System(#[from] std::io::Error),
}
