//! Copies a file that may be written to meanwhile.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::find::Reason;
use crate::copy::{copy_open_file, open_regular};

/// How often a changing file is tried.
const ATTEMPTS: u32 = 6;
/// The first pause between two attempts; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(5);

/// What shows that a file was written to.
#[derive(PartialEq, Eq)]
pub(super) struct Stamp(u64, u64, u64, i64, i64);

pub(super) fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::symlink_metadata(path)?;
    Ok(Stamp(
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ))
}

/// Copies `from` to the new file `to` so that the copy is what the file was at one moment. Returns its size in bytes.
pub(super) fn copy(from: &Path, to: &Path, limit: u64) -> Result<u64, Reason> {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            thread::sleep(PAUSE * 2_u32.pow(attempt - 1));
        }
        let before = stamp(from).map_err(refused)?;
        if before.2 > limit {
            return Err(Reason::OverLimit("bytes"));
        }
        let copied = open_regular(from).and_then(|file| copy_open_file(&file, to));
        let unchanged = stamp(from).is_ok_and(|after| after == before);
        match copied {
            Ok(bytes) if unchanged => return Ok(bytes),
            // Also a file that was replaced between the two looks.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let _ = fs::remove_file(to);
                return Err(refused(error));
            }
        }
        let _ = fs::remove_file(to);
    }
    Err(Reason::KeptChanging)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "errors are handed over where they are mapped"
)]
pub(super) fn refused(error: io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::NotFound => Reason::Absent,
        _ => Reason::Refused(error.to_string()),
    }
}
