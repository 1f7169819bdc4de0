//! Which TCP ports a process tree listens on: the answer to "it runs, but not where it should".

use std::collections::{BTreeSet, HashSet};
use std::fs;

use super::procfs::{self, Stat};

/// State LISTEN in `/proc/net/tcp`.
const LISTEN: &str = "0A";

pub(super) fn ports(tree: &[Stat]) -> Vec<u16> {
    let sockets: HashSet<u64> = tree
        .iter()
        .flat_map(|stat| procfs::descriptors(stat.pid).unwrap_or_default())
        .filter_map(|(_, target)| {
            target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?
                .parse()
                .ok()
        })
        .collect();
    let mut found = BTreeSet::new();
    // The tables of the tree's own network namespace.
    let Some(first) = tree.first() else { return Vec::new() };
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{}/net/{table}", first.pid)).unwrap_or_default();
        found.extend(
            text.lines()
                .filter_map(listener)
                .filter(|(_, inode)| sockets.contains(inode))
                .map(|(port, _)| port),
        );
    }
    found.into_iter().collect()
}

/// The port and the socket's inode of a listening row.
fn listener(row: &str) -> Option<(u16, u64)> {
    let fields: Vec<&str> = row.split_ascii_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let port = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
    Some((port, fields.get(9)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_rows_count() {
        let row = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 54321 1 0 100";
        assert_eq!(listener(row), Some((8080, 54321)));
        assert_eq!(listener(&row.replace(" 0A ", " 01 ")), None);
        assert_eq!(listener("  sl  local_address rem_address   st"), None);
    }
}
