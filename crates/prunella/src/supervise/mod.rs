//! Runs releases as supervised process trees that outlive the daemon.
//!
//! ```text
//! daemon ──spawns──▶ shim (own session, subreaper) ──forks──▶ service ──▶ its children
//!    ▲                 │ pumps stdout and stderr into rotating files, reaps every descendant,
//!    └── pidfd, run ◀──┘ writes state.json and exit.json, holds the lock file while it lives
//!        directory
//! ```
//!
//! The run directory is the whole contract between the two, so a killed or upgraded daemon finds everything again:
//!
//! | file | written by | meaning |
//! |---|---|---|
//! | `lock` | daemon | `flock`ed by the shim for as long as it lives: immune to process-id reuse |
//! | `state.json` | shim | who runs: identities (pid and start ticks), boot, port, cgroup |
//! | `exit.json` | shim | how the service ended, written and synced before the shim does anything else |
//! | `stop.json` | daemon | how long the service may take to stop |
//! | `stdout.<offset>.log`, `stderr.<offset>.log` | shim | output, in bounded segments named by stream offset |
//! | `shim.log` | shim | its own complaints, normally empty |

mod adopt;
mod cgroup;
mod error;
mod http_probe;
mod listening;
mod log_files;
mod orphans;
mod port;
mod process;
mod procfs;
mod readable;
mod ready;
mod record;
mod sample;
mod shim;
mod shim_child;
mod shim_pump;
mod signals;
mod spec;
mod start;
mod state_files;
mod tail;
mod wire;

pub use adopt::Adopted;
pub use error::SuperviseError;
pub use log_files::{LogLimits, Stream};
pub use orphans::{Swept, sweep_orphans};
pub use port::{PortLease, free_port};
pub use process::Process;
pub use ready::{NotReady, Readiness, Ready, StatusExpect, wait_ready};
pub use record::{Exit, ExitCause, Ident, RunState};
pub use sample::ResourceSample;
pub use shim::shim_main;
pub use spec::{BASE_ENV_NAMES, CommandLine, Launcher, RunName, StartSpec, Telemetry, base_env, percent_encode};
pub use start::Supervisor;
pub use tail::{LogLine, LogTail, TailEvent, TailOffsets};
