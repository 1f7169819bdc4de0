//! Free ports on the loopback interface.
//!
//! A port that was probed can be taken by somebody else before the service binds it. Two things make that rare: ports
//! are chosen below the range from which the system hands out ports by itself, and this process never hands out a port
//! twice while a lease on it lives.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::ops::Range;
use std::sync::{LazyLock, Mutex, PoisonError};

static LEASED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
static RANGE: LazyLock<Range<u16>> = LazyLock::new(range);

/// A port that was free, reserved within this process until this is dropped. Keep it until the service listens.
#[derive(Debug)]
pub struct PortLease(u16);

impl PortLease {
    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        LEASED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// A port that nothing listens on, neither on the loopback interface nor on all interfaces.
///
/// # Errors
/// `AddrInUse` if no port of the range is free.
pub fn free_port() -> io::Result<PortLease> {
    let mut leased = LEASED.lock().unwrap_or_else(PoisonError::into_inner);
    let width = RANGE.len();
    // Different daemons begin at different places.
    let first = (std::process::id() as usize).wrapping_mul(7919) % width;
    for step in 0..width {
        let offset = u16::try_from((first + step) % width).map_err(io::Error::other)?;
        let port = RANGE.start + offset;
        if !leased.contains(&port) && is_free(port) {
            leased.insert(port);
            return Ok(PortLease(port));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        "no free port is left on this machine",
    ))
}

fn is_free(port: u16) -> bool {
    let free_v6 = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::AddrInUse,
    };
    free_v6
        && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
        && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Registered and well-known ports are avoided below, the system's own choices above.
fn range() -> Range<u16> {
    const FIRST: u16 = 20_000;
    let ephemeral = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().next()?.parse::<u16>().ok())
        .unwrap_or(32_768);
    if ephemeral > FIRST + 1000 {
        FIRST..ephemeral
    } else {
        FIRST..60_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leased_ports_differ_and_listening_ones_are_not_free() {
        let a = free_port().unwrap();
        let b = free_port().unwrap();
        assert_ne!(a.port(), b.port());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, a.port())).unwrap();
        assert!(!is_free(a.port()));
        drop(listener);
        assert!(is_free(a.port()));
    }
}
