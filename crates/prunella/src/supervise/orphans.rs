//! Ends processes that nobody owns any more.
//!
//! A shim that is killed takes its service along, but not the service's children. Each of them carries the marker of
//! its run in its environment (and sits in the run's cgroup where there is one), so they can be found.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::adopt::is_locked;
use super::record::{Ident, RunState, STATE_FILE, read_record};
use super::spec::{INSTANCE_VARIABLE, RUN_VARIABLE};
use super::start::run_dirs;
use super::{cgroup, procfs};

/// How long killed processes may take to disappear.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most rounds: each finds what was forked during the one before.
const ROUNDS: usize = 50;

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The process ids that were killed.
    pub killed: Vec<i32>,
    /// Those that could not be killed, with the reason.
    pub refused: Vec<(i32, String)>,
}

/// Kills every process that carries this installation's marker (or sits in the cgroup of a dead run) and that no living
/// shim below `run_root` and none of `known` (shims or other owners) has among its descendants. Safe beside concurrent
/// starts.
///
/// # Errors
/// If `/proc` or the run root cannot be read.
pub fn sweep_orphans(run_root: &Path, instance: &str, known: &[i32]) -> io::Result<Swept> {
    let mut swept = Swept::default();
    for _ in 0..ROUNDS {
        // In this order: whoever is seen here has an owner that has written its record before.
        let all = procfs::all()?;
        let marked: Vec<&procfs::Stat> = all
            .iter()
            .filter(|stat| !stat.is_zombie() && procfs::has_variable(stat.pid, INSTANCE_VARIABLE, instance))
            .collect();
        let mut owners = living_shims(run_root)?;
        owners.extend(known);
        let orphans: Vec<Ident> = without_owner(&marked, &all, &owners)
            .into_iter()
            .filter(|ident| !swept.refused.iter().any(|(pid, _)| *pid == ident.pid))
            .collect();
        if orphans.is_empty() {
            break;
        }
        for orphan in orphans {
            match orphan.signal(Signal::KILL) {
                Ok(true) if !swept.killed.contains(&orphan.pid) => swept.killed.push(orphan.pid),
                Ok(_) => {}
                Err(error) => swept.refused.push((orphan.pid, error.to_string())),
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
    empty_groups(run_root)?;
    Ok(swept)
}

/// Ends and removes the cgroups of runs whose shim was killed: they also hold processes that cleared their environment.
fn empty_groups(run_root: &Path) -> io::Result<()> {
    for dir in run_dirs(run_root).map_err(io::Error::other)? {
        if !is_locked(&dir).unwrap_or(true)
            && let Ok(Some(state)) = read_record::<RunState>(&dir, STATE_FILE)
            && state.cgroup.as_deref().is_some_and(Path::exists)
        {
            kill_remains(&state);
        }
    }
    Ok(())
}

fn living_shims(run_root: &Path) -> io::Result<HashSet<i32>> {
    let mut shims = HashSet::new();
    for dir in run_dirs(run_root).map_err(io::Error::other)? {
        if is_locked(&dir).unwrap_or(true)
            && let Ok(Some(state)) = read_record::<RunState>(&dir, STATE_FILE)
        {
            shims.extend(state.shim.map(|ident| ident.pid));
        }
    }
    Ok(shims)
}

fn without_owner(marked: &[&procfs::Stat], all: &[procfs::Stat], owners: &HashSet<i32>) -> Vec<Ident> {
    let parents: HashMap<i32, i32> = all.iter().map(|stat| (stat.pid, stat.ppid)).collect();
    let mine = i32::try_from(std::process::id()).unwrap_or(0);
    // A daemon that was itself started by a service of this installation does not end itself or its ancestors.
    let mut spared = vec![mine];
    while let Some(parent) = parents
        .get(spared.last().unwrap_or(&0))
        .filter(|parent| !spared.contains(parent))
    {
        spared.push(*parent);
    }
    let owned = |stat: &procfs::Stat| {
        let mut pid = stat.pid;
        // A chain of parents is no longer than there are processes.
        for _ in 0..all.len() {
            if owners.contains(&pid) {
                return true;
            }
            match parents.get(&pid) {
                Some(parent) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    marked
        .iter()
        .filter(|stat| !spared.contains(&stat.pid) && !owned(stat))
        .map(|stat| Ident {
            pid: stat.pid,
            start_ticks: stat.start_ticks,
        })
        .collect()
}

/// Kills what a run has left after its shim has ended, and waits until it is gone.
pub(super) fn kill_remains(state: &RunState) {
    if procfs::boot_id().is_ok_and(|boot| boot != state.boot_id) {
        return;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = remains(state);
        if left.is_empty() || Instant::now() > deadline {
            break;
        }
        if let Some(group) = &state.cgroup {
            let _ = cgroup::kill(group);
        }
        for ident in left {
            let _ = ident.signal(Signal::KILL);
        }
        thread::sleep(Duration::from_millis(2));
    }
    if let Some(group) = &state.cgroup {
        cgroup::remove(group);
    }
}

fn remains(state: &RunState) -> Vec<Ident> {
    let in_group: HashSet<i32> = state
        .cgroup
        .as_deref()
        .and_then(|group| cgroup::members(group).ok())
        .unwrap_or_default()
        .into_iter()
        .collect();
    procfs::all()
        .unwrap_or_default()
        .iter()
        .filter(|stat| !stat.is_zombie())
        .map(|stat| Ident {
            pid: stat.pid,
            start_ticks: stat.start_ticks,
        })
        .filter(|ident| {
            state.service == Some(*ident)
                || in_group.contains(&ident.pid)
                || (procfs::has_variable(ident.pid, RUN_VARIABLE, &state.run)
                    && procfs::has_variable(ident.pid, INSTANCE_VARIABLE, &state.instance))
        })
        .collect()
}
