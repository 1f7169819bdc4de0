//! What a run may use; reaching a limit has a named outcome in [`crate::Exit`].

use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::SandboxError;

/// Bounds of one run. Every field is a hard limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wall clock from the start of the jail to its end. Outcome: `TimedOut`.
    pub wall: Duration,
    /// Processor time of the whole tree (and `RLIMIT_CPU` of each process). Outcome: `CpuLimit`.
    pub cpu: Duration,
    /// Memory of the whole tree in bytes: a cgroup limit in tier A; in lower tiers a watchdog that sums anonymous
    /// memory, with `RLIMIT_DATA` per process behind it. Outcome: `OutOfMemory`.
    pub memory_bytes: u64,
    /// Processes and threads alive at once. Reached: `fork` fails with `EAGAIN` inside.
    pub processes: u32,
    /// Largest file that may be written, in bytes. Reached: `SIGXFSZ` or `EFBIG` inside.
    pub file_size_bytes: u64,
    /// Open descriptors per process. Reached: `EMFILE` inside.
    pub open_files: u64,
    /// Size of the memory file system that takes the writes to overlays, to `/tmp` and to the home directory, in
    /// bytes, each. Reached: `ENOSPC` inside. Not applied to an overlay with a scratch directory of the caller's.
    pub scratch_bytes: u64,
    /// Bytes of stdout and of stderr that are kept, half of them from the head and half from the tail.
    pub output_bytes: u64,
    /// Bytes of stdout or stderr at which the run is stopped. Outcome: `OutputLimit`.
    pub output_stop_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(60),
            cpu: Duration::from_secs(120),
            memory_bytes: 1 << 30,
            processes: 256,
            file_size_bytes: 256 << 20,
            open_files: 1024,
            scratch_bytes: 512 << 20,
            output_bytes: 1 << 20,
            output_stop_bytes: 256 << 20,
        }
    }
}

impl Limits {
    /// Refuses values with which no program could start or which no machine could keep.
    ///
    /// # Errors
    /// [`SandboxError::InvalidSpec`] naming the field.
    pub(crate) fn check(&self) -> Result<(), SandboxError> {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let bounded = |name: &str, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(SandboxError::InvalidSpec(format!(
                    "limits.{name} is {value}, allowed is {low} to {high}"
                )))
            }
        };
        if self.wall.is_zero() || self.wall > DAY || self.cpu.is_zero() || self.cpu > DAY * 64 {
            return Err(SandboxError::InvalidSpec(
                "limits.wall and limits.cpu must be positive, at most days".into(),
            ));
        }
        bounded("memory_bytes", self.memory_bytes, 4 << 20, 1 << 44)?;
        bounded("processes", u64::from(self.processes), 1, 1 << 20)?;
        bounded("file_size_bytes", self.file_size_bytes, 0, 1 << 44)?;
        bounded("open_files", self.open_files, 8, 1 << 20)?;
        bounded("scratch_bytes", self.scratch_bytes, 64 << 10, 1 << 44)?;
        bounded("output_bytes", self.output_bytes, 0, 64 << 20)?;
        bounded("output_stop_bytes", self.output_stop_bytes, 1, 1 << 44)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_accepted_and_nonsense_is_not() {
        assert!(Limits::default().check().is_ok());
        let no_time = Limits {
            wall: Duration::ZERO,
            ..Limits::default()
        };
        assert!(matches!(no_time.check(), Err(SandboxError::InvalidSpec(_))));
        let no_memory = Limits {
            memory_bytes: 1,
            ..Limits::default()
        };
        assert!(no_memory.check().unwrap_err().to_string().contains("memory_bytes"));
    }
}
