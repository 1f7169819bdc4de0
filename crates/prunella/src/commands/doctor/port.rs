//! Whether the address that clients use is free, and who has it otherwise.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};

use super::{Check, fail, ok, warn};
use crate::config::Config;
use crate::home::Home;

/// State LISTEN in `/proc/net/tcp`.
const LISTEN: &str = "0A";
/// Processes that are looked at.
const MAX_PROCESSES: usize = 100_000;

pub(super) fn listen(config: &Config, home: &Home) -> Check {
    let name = "listen port";
    let addr = config.service.listen;
    if !config.service.http {
        return ok(name, "not needed: the service serves no HTTP");
    }
    match TcpListener::bind(addr) {
        Ok(_) if addr.ip().is_loopback() => ok(name, format!("{addr} is free")),
        Ok(_) => warn(
            name,
            format!("{addr} is free, and other machines can reach it"),
            "set service.listen to 127.0.0.1 if only this machine should",
        ),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => in_use(addr, home),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => fail(
            name,
            format!("{addr} may not be used by this user: {error}"),
            "choose a port above 1023 in service.listen",
        ),
        Err(error) => fail(
            name,
            format!("{addr} cannot be used: {error}"),
            "set service.listen to an address of this machine",
        ),
    }
}

fn in_use(addr: SocketAddr, home: &Home) -> Check {
    let name = "listen port";
    match holder(addr.port()) {
        Some((pid, command)) if is_ours(pid) => ok(
            name,
            match home.daemon() {
                Some(_) => format!("{addr} is held by the gateway (process {pid})"),
                None => format!(
                    "{addr} is held by a gateway that serves on (process {pid}); `prunella run` adopts it: {command}"
                ),
            },
        ),
        Some((pid, command)) => fail(
            name,
            format!("{addr} is held by process {pid}: {command}"),
            "stop that process, or choose another port in service.listen",
        ),
        None => fail(
            name,
            format!("{addr} is in use by a process that this user may not see"),
            "choose another port in service.listen; `ss -ltnp` as root says whose it is",
        ),
    }
}

/// Whether a process is Prunella's gateway.
fn is_ours(pid: u32) -> bool {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = arguments.split(|b| *b == 0).skip(1);
    let same_program = || {
        let name = |link: io::Result<std::path::PathBuf>| link.ok()?.file_name().map(ToOwned::to_owned);
        let other = name(fs::read_link(format!("/proc/{pid}/exe")));
        other.is_some() && other == name(fs::read_link("/proc/self/exe"))
    };
    arguments.next() == Some(b"gateway") && same_program()
}

/// The process that listens on this port, and its command line, if this user may see it.
fn holder(port: u16) -> Option<(u32, String)> {
    let inodes = listening(port);
    let pids = fs::read_dir("/proc").ok()?.flatten().take(MAX_PROCESSES);
    let pid = pids
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| holds(*pid, &inodes))?;
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    Some((pid, prunella_core::diagnose::plain(&command, 80)))
}

fn holds(pid: u32, inodes: &BTreeSet<u64>) -> bool {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    fds.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|target| {
        let inode = target
            .to_str()
            .and_then(|t| t.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        inode.is_some_and(|inode: u64| inodes.contains(&inode))
    })
}

/// The sockets that listen on this port.
fn listening(port: u16) -> BTreeSet<u64> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines());
    rows.filter_map(|row| {
        let fields: Vec<&str> = row.split_ascii_whitespace().collect();
        let found = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
        (*fields.get(3)? == LISTEN && found == port).then(|| fields.get(9)?.parse().ok())?
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(holder(port).map(|(pid, _)| pid), Some(std::process::id()));
        assert!(!is_ours(std::process::id()));
        drop(listener);
        assert_eq!(holder(port), None);
    }
}
