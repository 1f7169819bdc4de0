//! Upstreams as a worker sees them: their connection pools, and the choice among them.

use super::body_in::UpBody;
use super::choose::Dealer;
use crate::capture::Redactor;
use crate::control::{Protocol, Role, RouteConfig, Upstream};
use crate::stats::Release;
use hyper::client::conn::{http1, http2};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};
use std::rc::Rc;

/// Connections that were idle for longer than this are not used for requests that must not be
/// sent twice: the upstream may be closing them at this moment.
const FRESH_MS: u64 = 1_000;

/// An HTTP/1.1 connection without a request on it.
struct Idle {
    sender: http1::SendRequest<UpBody>,
    fd: RawFd,
    since_ms: u64,
}

/// One upstream and the connections of this worker to it.
pub(crate) struct Target {
    pub(crate) release: Release,
    pub(crate) addr: SocketAddr,
    pub(crate) protocol: Protocol,
    idle: RefCell<Vec<Idle>>,
    max_idle: Cell<usize>,
    /// The shared HTTP/2 connection, for `h2c`.
    pub(super) h2: RefCell<Option<http2::SendRequest<UpBody>>>,
}

/// A connection that carries a request; it returns to the pool when dropped.
pub(crate) struct Lease {
    target: Rc<Target>,
    sender: Option<http1::SendRequest<UpBody>>,
    fd: RawFd,
    clock: std::sync::Arc<crate::clock::CoarseClock>,
}

impl Lease {
    pub(super) fn new(
        target: Rc<Target>,
        sender: http1::SendRequest<UpBody>,
        fd: RawFd,
        clock: std::sync::Arc<crate::clock::CoarseClock>,
    ) -> Self {
        Self {
            target,
            sender: Some(sender),
            fd,
            clock,
        }
    }

    pub(super) fn sender(&mut self) -> &mut http1::SendRequest<UpBody> {
        self.sender.as_mut().expect("the sender leaves only in drop")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(sender) = self.sender.take() else { return };
        let mut idle = self.target.idle.borrow_mut();
        if !sender.is_closed() && idle.len() < self.target.max_idle.get() {
            idle.push(Idle {
                sender,
                fd: self.fd,
                since_ms: self.clock.now_ms(),
            });
        }
    }
}

impl Target {
    /// Takes an idle connection that can carry a request. `resendable` says that the request may be
    /// sent again should the connection turn out to be stale.
    pub(super) fn checkout(&self, now_ms: u64, resendable: bool) -> Option<(http1::SendRequest<UpBody>, RawFd)> {
        let mut idle = self.idle.borrow_mut();
        let mut i = idle.len();
        while i > 0 {
            i -= 1;
            if idle[i].sender.is_closed() {
                idle.swap_remove(i);
                continue;
            }
            // Not ready: its last response has just ended and its driver has not run since.
            if !idle[i].sender.is_ready() {
                continue;
            }
            let fresh = now_ms.saturating_sub(idle[i].since_ms) <= FRESH_MS;
            let usable = resendable || (fresh && is_quiet(idle[i].fd));
            if !usable {
                continue;
            }
            let c = idle.swap_remove(i);
            return Some((c.sender, c.fd));
        }
        None
    }

    /// Closes connections that have been idle since before `since_ms`.
    pub(crate) fn prune(&self, since_ms: u64) {
        self.idle
            .borrow_mut()
            .retain(|c| c.since_ms >= since_ms && !c.sender.is_closed());
    }
}

/// Whether nothing, not even a FIN, waits on an idle connection. One system call.
fn is_quiet(fd: RawFd) -> bool {
    // SAFETY: the caller has just seen that the sender is not closed, so its connection's driver,
    // which lives on this thread and cannot run meanwhile, still owns the open descriptor.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
    matches!(
        rustix::net::recv(fd, &mut [0_u8; 1], flags),
        Err(rustix::io::Errno::AGAIN)
    )
}

/// A configuration made ready for a worker.
pub(crate) struct Routing {
    pub(crate) config: RouteConfig,
    pub(crate) redactor: Redactor,
    pub(crate) primary: Option<Rc<Target>>,
    pub(crate) fallback: Option<Rc<Target>>,
    pub(crate) canary: Option<(Rc<Target>, Dealer)>,
}

impl Routing {
    /// Prepares `config`, taking over the connections of upstreams that stay.
    pub(crate) fn new(config: RouteConfig, before: Option<&Self>, next_uid: &Cell<u32>) -> Self {
        let mut pool: Vec<Rc<Target>> = before.map(Self::targets).unwrap_or_default();
        let max_idle = config.limits.idle_upstream;
        let mut target = |u: &Upstream| {
            let known = pool
                .iter()
                .find(|t| *t.release.name == *u.release && t.addr == u.addr && t.protocol == u.protocol);
            let t = known.cloned().unwrap_or_else(|| {
                next_uid.set(next_uid.get().wrapping_add(1));
                Rc::new(Target {
                    release: Release {
                        uid: next_uid.get(),
                        name: u.release.as_str().into(),
                    },
                    addr: u.addr,
                    protocol: u.protocol,
                    idle: RefCell::default(),
                    max_idle: Cell::new(max_idle),
                    h2: RefCell::default(),
                })
            });
            t.max_idle.set(max_idle);
            pool.push(t.clone());
            t
        };
        Self {
            primary: config.primary.as_ref().map(&mut target),
            fallback: config.fallback.as_ref().map(&mut target),
            canary: config
                .canary
                .as_ref()
                .map(|c| (target(&c.upstream), Dealer::new(c.share, c.sticky.clone()))),
            redactor: Redactor::new(&config.capture.keep_headers),
            config,
        }
    }

    /// The upstreams in use, each once or more.
    pub(crate) fn targets(&self) -> Vec<Rc<Target>> {
        let canary = self.canary.as_ref().map(|(t, _)| t);
        [self.primary.as_ref(), self.fallback.as_ref(), canary]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Who answers instead when `failed` did not: the last-known-good release, or for a canary that
    /// is not backed by one, the primary. Never the same release again.
    pub(crate) fn second(&self, failed: &Target, role: Role) -> Option<Rc<Target>> {
        let other = |t: &&Rc<Target>| t.release.name != failed.release.name;
        let primary = self.primary.as_ref().filter(|_| role == Role::Canary);
        self.fallback.as_ref().filter(other).or(primary.filter(other)).cloned()
    }
}
