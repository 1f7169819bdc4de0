//! The listening socket: bound here or inherited from the supervisor, who owns it.

use crate::args::{GatewayArgs, GatewayError};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::SocketFlags;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Connections that the system completes while nobody accepts, as during a restart of the gateway.
const BACKLOG: i32 = 4096;

/// A listening socket registered with the control thread's runtime.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: AsyncFd<TcpListener>,
    addr: SocketAddr,
}

/// Takes the inherited socket, or binds one.
pub(crate) fn obtain(args: &GatewayArgs) -> Result<TcpListener, GatewayError> {
    let socket = match (args.listen_fd, args.listen) {
        (Some(fd), _) => inherited(fd)?,
        (None, Some(addr)) => bind(addr).map_err(|source| GatewayError::Bind { addr, source })?,
        (None, None) => return Err(GatewayError::NoListener),
    };
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    // The standard library sets SO_REUSEADDR; a second listen only widens the backlog.
    let socket = TcpListener::bind(addr)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn inherited(fd: RawFd) -> Result<TcpListener, GatewayError> {
    let bad = |reason: String| GatewayError::BadDescriptor { fd, reason };
    if fd < 3 {
        return Err(bad("it is one of the standard streams".into()));
    }
    // SAFETY: only read by system calls that check the number; `fcntl` reports one that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let flags = fcntl_getfd(borrowed).map_err(|e| bad(e.to_string()))?;
    let listens = rustix::net::sockopt::socket_acceptconn(borrowed).map_err(|e| bad(e.to_string()))?;
    if !listens {
        return Err(bad("it does not listen".into()));
    }
    fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC).map_err(|e| bad(e.to_string()))?;
    // SAFETY: the descriptor is open, and whoever starts the gateway passes its ownership along
    // with the number: nothing else in this process uses it.
    let socket = TcpListener::from(unsafe { OwnedFd::from_raw_fd(fd) });
    socket.local_addr().map_err(|e| GatewayError::BadDescriptor {
        fd,
        reason: e.to_string(),
    })?;
    Ok(socket)
}

impl Listener {
    /// Must be called within a runtime.
    pub(crate) fn register(socket: TcpListener) -> io::Result<Self> {
        let addr = socket.local_addr()?;
        // SAFETY: a `TcpListener` owns its descriptor, reports the same one for as long as it lives
        // and closes it only when dropped, which `AsyncFd` does after it has deregistered it.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Self { socket, addr })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }

    /// The next connection, not blocking and not registered with this thread's runtime.
    pub(crate) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let mut ready = self.socket.readable().await?;
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let accepted = ready.try_io(|s| Ok(rustix::net::accept_with(s.get_ref(), flags)?));
            let Ok(accepted) = accepted else { continue };
            let stream = TcpStream::from(accepted?);
            // A client that is gone already has no address any more.
            if let Ok(peer) = stream.peer_addr() {
                return Ok((stream, peer));
            }
        }
    }
}
