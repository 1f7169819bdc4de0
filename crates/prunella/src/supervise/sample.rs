//! What a service's process tree uses.

use std::fs;
use std::io;

use super::procfs::{self, Stat};
use super::record::RunState;

/// The resources of a whole process tree at one moment, the shim not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceSample {
    /// Living processes.
    pub processes: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub fds: u64,
    /// Resident set size in bytes. Shared pages count once for each process.
    pub rss_bytes: u64,
    /// Proportional set size in bytes, if it was asked for and may be read. Shared pages are divided up.
    pub pss_bytes: Option<u64>,
    /// Processor time since the start in milliseconds, of processes that have ended included.
    pub cpu_ms: u64,
}

/// The living processes of a run.
pub(super) fn tree(state: &RunState) -> io::Result<Vec<Stat>> {
    let Some(shim) = state.shim else { return Ok(Vec::new()) };
    // A reused process id is not our tree.
    if !matches!(procfs::stat(shim.pid), Ok(stat) if stat.start_ticks == shim.start_ticks) {
        return Ok(Vec::new());
    }
    let mut tree = procfs::descendants(shim.pid, &procfs::all()?);
    tree.retain(|stat| !stat.is_zombie());
    Ok(tree)
}

pub(super) fn sample(state: &RunState, with_pss: bool) -> io::Result<ResourceSample> {
    let tree = tree(state)?;
    let page = rustix::param::page_size() as u64;
    // The shim reaps the orphans of the tree: their time is found with it.
    let shim = state
        .shim
        .filter(|_| !tree.is_empty())
        .and_then(|ident| procfs::stat(ident.pid).ok());
    let mut ticks = shim.map_or(0, |stat| stat.reaped_ticks);
    let mut sample = ResourceSample {
        pss_bytes: with_pss.then_some(0),
        ..ResourceSample::default()
    };
    for stat in &tree {
        sample.processes += 1;
        sample.threads += stat.threads;
        sample.rss_bytes += stat.rss_pages * page;
        sample.fds += fs::read_dir(format!("/proc/{}/fd", stat.pid)).map_or(0, |entries| entries.count() as u64);
        ticks += stat.own_ticks + stat.reaped_ticks;
        if with_pss {
            sample.pss_bytes = sample.pss_bytes.zip(pss(stat.pid)).map(|(sum, pss)| sum + pss);
        }
    }
    sample.cpu_ms = ticks * 1000 / rustix::param::clock_ticks_per_second().max(1);
    Ok(sample)
}

/// The `Pss:` line of smaps_rollup, in bytes.
fn pss(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}
