//! Runs the probe in a sandbox: hands it its specification and reads what it saw.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use prunella_sandbox::{CancelToken, ExtraFd, JailSpec, Mount, Report};

use super::cell::PROBE;
use super::probe_wire::{ProbeResult, ProbeSpec};

/// Descriptors of the probe inside: its specification, its result, and the socket on which it is given its turns.
const SPEC_FD: i32 = 3;
const RESULT_FD: i32 = 4;
pub(crate) const TURNS_FD: i32 = 5;
/// The largest result that is read, in bytes.
const MAX_RESULT: u64 = 64 << 20;

/// This program as a file that can be shown in a sandbox. After an upgrade in place the running program has no name any
/// more; its content is still there.
fn own_program(scratch: &Path) -> Result<PathBuf, String> {
    if let Ok(path) = std::env::current_exe()
        && path.is_file()
    {
        return Ok(path);
    }
    let copy = scratch.join("prunella");
    if !copy.is_file() {
        let half = scratch.join("prunella.half");
        fs::copy("/proc/self/exe", &half)
            .and_then(|_| fs::rename(&half, &copy))
            .map_err(|e| e.to_string())?;
    }
    Ok(copy)
}

/// Runs the probe in this jail, whose command it replaces. `turns` is passed on to it, if there is one.
///
/// # Errors
/// If the sandbox cannot be used or the probe does not report.
pub(crate) fn run_probe(
    mut jail: JailSpec,
    spec: &ProbeSpec,
    turns: Option<i32>,
    scratch: &Path,
    cancel: &CancelToken,
) -> Result<(Report, ProbeResult), String> {
    jail.argv = [PROBE, "probe", "--spec-fd", "3", "--result-fd", "4"]
        .iter()
        .map(ToString::to_string)
        .collect();
    jail.mounts.push(Mount::read_only(own_program(scratch)?, PROBE));
    let mut told = memory_file("probe-spec").map_err(|e| e.to_string())?;
    let mut result = memory_file("probe-result").map_err(|e| e.to_string())?;
    told.write_all(&serde_json::to_vec(spec).map_err(|e| e.to_string())?)
        .map_err(|e| e.to_string())?;
    told.seek(SeekFrom::Start(0)).map_err(|e| e.to_string())?;
    let passed = [
        (told.as_raw_fd(), SPEC_FD),
        (result.as_raw_fd(), RESULT_FD),
        (turns.unwrap_or(-1), TURNS_FD),
    ];
    jail.extra_fds = passed
        .into_iter()
        .filter(|(outer, _)| *outer >= 0)
        .map(|(outer, inner)| ExtraFd { outer, inner })
        .collect();
    let report = prunella_sandbox::run(&jail, cancel).map_err(|e| e.to_string())?;
    let mut text = Vec::new();
    result.seek(SeekFrom::Start(0)).map_err(|e| e.to_string())?;
    result
        .take(MAX_RESULT)
        .read_to_end(&mut text)
        .map_err(|e| e.to_string())?;
    let seen = serde_json::from_slice(&text).map_err(|_| {
        let said = report.stderr.text();
        let last = said.trim().lines().last().unwrap_or_default();
        format!("the probe did not report ({:?}) {last}", report.exit)
    })?;
    Ok((report, seen))
}

/// A file without a name, in memory.
fn memory_file(name: &str) -> std::io::Result<File> {
    Ok(File::from(rustix::fs::memfd_create(
        name,
        rustix::fs::MemfdFlags::CLOEXEC,
    )?))
}
