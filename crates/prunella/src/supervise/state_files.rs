//! Finds the files that a service keeps its state in, by watching what it has open.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::procfs::{self, Stat};

/// The most files that are reported: more is not state but data, and is declared rather than found.
const MAX_FILES: usize = 1000;

/// Regular files below `roots` that one of the processes has open for writing, each once, by name.
pub(super) fn open_for_writing(tree: &[Stat], roots: &[&Path]) -> Vec<PathBuf> {
    let roots: Vec<PathBuf> = roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
    let mut found = BTreeSet::new();
    for stat in tree {
        for (fd, path) in procfs::descriptors(stat.pid).unwrap_or_default() {
            if found.len() < MAX_FILES
                && roots.iter().any(|root| path.starts_with(root))
                && is_writable(stat.pid, fd)
                && fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file())
            {
                found.insert(path);
            }
        }
    }
    found.into_iter().collect()
}

/// The access mode is in the last octal digit of `flags` in fdinfo (proc(5)): 1 write-only, 2 read and write.
fn is_writable(pid: i32, fd: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).is_ok_and(|text| {
        text.lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
            .is_some_and(|flags| flags & 0o3 != 0)
    })
}
