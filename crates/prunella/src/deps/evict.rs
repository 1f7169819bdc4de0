//! Keeps the cache within its limits.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use super::entry::Entry;
use super::error::DepsError;

/// How large the cache may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// All entries together, in bytes.
    pub bytes: u64,
    /// Entries.
    pub entries: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            bytes: 20 << 30,
            entries: 30,
        }
    }
}

/// What was removed, and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// The keys of entries that were removed.
    pub removed: Vec<String>,
    /// How much the cache is beyond its limits all the same, because releases use it.
    pub bytes_over: u64,
}

pub(super) fn evict(root: &Path, limits: CacheLimits) -> Result<Evicted, DepsError> {
    let mut evicted = Evicted::default();
    let mut entries = Vec::new();
    let (mut bytes, mut count) = (0_u64, 0_usize);
    for key in keys(root)? {
        // An entry that somebody has right now is in use.
        let Some(entry) = Entry::try_lock(root, &key)? else {
            continue;
        };
        match entry.complete()? {
            Some(complete) => {
                bytes += complete.bytes;
                count += 1;
                if !entry.is_in_use() {
                    entries.push((entry.used_ms(), complete.bytes, key));
                }
            }
            None => {
                entry.remove()?;
                evicted.removed.push(key);
            }
        }
    }
    entries.sort();
    for (used, size, key) in entries {
        if bytes <= limits.bytes && count <= limits.entries {
            break;
        }
        // Somebody may have taken it since.
        let Some(entry) = Entry::try_lock(root, &key)? else {
            continue;
        };
        if entry.used_ms() == used && !entry.is_in_use() {
            entry.remove()?;
            bytes -= size;
            count -= 1;
            evicted.removed.push(key);
        }
    }
    evicted.bytes_over = bytes.saturating_sub(limits.bytes);
    Ok(evicted)
}

fn keys(root: &Path) -> Result<HashSet<String>, DepsError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
        Err(error) => return Err(DepsError::io("read", root)(error)),
    };
    let is_key = |name: &String| name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(is_key)
        .collect())
}
