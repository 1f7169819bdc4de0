//! Runs untrusted code without credentials or network: specification and jail.
//!
//! A caller describes a run by a [`JailSpec`] and hands it to a [`Backend`], which blocks until the run is over
//! and answers with a [`Report`]. The native back end ([`native`]) needs no helper program and works as root and
//! not as root: a fresh single-threaded *supervisor* (this program re-executed, see [`Launcher`]) makes the
//! namespaces, watches the limits from outside of them and kills the whole process tree at the end.
//!
//! ```text
//! caller ──socket──▶ supervisor ──clone──▶ pid 1 (init, ours) ──fork──▶ the command and whatever it starts
//!   closing the socket     │  dies with the supervisor │  dies with pid 1
//!   ends the supervisor ───┘                           └─ no capabilities, no_new_privs, Landlock, seccomp
//! ```
//!
//! What a host can offer differs; [`Backend::probe`] finds out by trying and every report says the [`Tier`].
//! This crate holds no credentials and opens no connection.

mod backend;
mod bwrap;
mod capabilities;
mod changes;
mod error;
mod jail;
mod limits;
mod native;
mod report;
mod spec;
mod toolchain;
mod wire;

pub use backend::{Backend, CancelToken, native, run};
pub use bwrap::Bubblewrap;
pub use capabilities::{Capabilities, Layer, Tier};
pub use changes::{Change, ChangeKind, scratch_changes};
pub use error::SandboxError;
pub use jail::jail_main;
pub use limits::Limits;
pub use native::{Launcher, Native};
pub use report::{Exit, Output, Report};
pub use spec::{ExtraFd, JailSpec, Mount, MountKind, Network, Priority, System};
pub use toolchain::find_toolchain;
