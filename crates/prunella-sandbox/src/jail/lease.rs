//! Names for what must be removed after a supervisor, also by the next one if it was killed.

use std::fs;
use std::io;

/// Names are this, the pid namespace, the supervisor's pid and its start time.
const PREFIX: &str = "prunella-jail-";

/// Whether a directory name is that of a supervisor in this pid namespace that is no more. Others, also those of
/// other pid namespaces, are left alone.
pub(super) fn is_stale(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let parts: Vec<&str> = rest.split('-').collect();
    let [namespace, pid, start] = parts[..] else {
        return false;
    };
    let Ok(pid) = pid.parse::<u32>() else { return false };
    own_namespace().is_ok_and(|own| own == namespace)
        && start_time(&pid.to_string()).map_or(true, |started| started != start)
}

/// A name for this supervisor's things.
pub(super) fn own_name() -> io::Result<String> {
    Ok(format!(
        "{PREFIX}{}-{}-{}",
        own_namespace()?,
        std::process::id(),
        start_time("self")?
    ))
}

/// Number of this process's pid namespace.
fn own_namespace() -> io::Result<String> {
    let link = fs::read_link("/proc/self/ns/pid")?;
    Ok(link.to_string_lossy().chars().filter(char::is_ascii_digit).collect())
}

/// When a process started, in clock ticks since boot: field 22 of proc_pid_stat(5).
fn start_time(pid: &str) -> io::Result<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after_name
        .split(' ')
        .nth(19)
        .map(ToOwned::to_owned)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_things_of_dead_supervisors_are_stale() {
        let own = own_name().unwrap();
        assert!(!is_stale(&own), "this process lives");
        let namespace = own_namespace().unwrap();
        assert!(
            is_stale(&format!("{PREFIX}{namespace}-{}-1", std::process::id())),
            "another start time"
        );
        assert!(
            !is_stale(&format!("{PREFIX}1-{}-1", std::process::id())),
            "another namespace"
        );
        assert!(!is_stale("system.slice") && !is_stale(PREFIX));
    }
}
