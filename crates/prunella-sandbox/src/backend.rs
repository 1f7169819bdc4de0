//! The door that every back end stands behind.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::{Bubblewrap, Capabilities, JailSpec, Native, Report, SandboxError, Tier};

/// Something that can run untrusted code.
pub trait Backend: Send + Sync {
    /// A short fixed name, for reports.
    fn name(&self) -> &'static str;

    /// What works here, by trial; cached after the first call.
    fn probe(&self) -> &Capabilities;

    /// Runs and blocks until every process of the run is dead.
    ///
    /// # Errors
    /// A [`SandboxError`] where the run did not take place.
    fn run(&self, spec: &JailSpec, cancel: &CancelToken) -> Result<Report, SandboxError>;
}

/// Ends runs from another thread, at once and with their whole process trees. Clones share one state; a cancelled
/// token stays cancelled.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<Mutex<Cancel>>);

#[derive(Debug, Default)]
struct Cancel {
    cancelled: bool,
    next: u64,
    lifelines: Vec<(u64, UnixStream)>,
}

impl CancelToken {
    /// A token that nothing has cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every run that holds this token and every later one.
    pub fn cancel(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.cancelled = true;
        for (_, lifeline) in state.lifelines.drain(..) {
            // The supervisor takes the end of file as the order to kill. It may be gone already.
            let _ = lifeline.shutdown(Shutdown::Write);
        }
    }

    /// Whether [`Self::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).cancelled
    }

    /// Registers a supervisor's socket until the guard is dropped.
    pub(crate) fn watch(&self, lifeline: &UnixStream) -> std::io::Result<Watch<'_>> {
        let copy = lifeline.try_clone()?;
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.next += 1;
        let id = state.next;
        if state.cancelled {
            let _ = copy.shutdown(Shutdown::Write);
        } else {
            state.lifelines.push((id, copy));
        }
        Ok(Watch { token: self, id })
    }
}

/// A registered run; see [`CancelToken::watch`].
pub(crate) struct Watch<'a> {
    token: &'a CancelToken,
    id: u64,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut state = self.token.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.lifelines.retain(|(id, _)| *id != self.id);
    }
}

/// The native back end, which re-executes this program as `<program> jail`.
#[must_use]
pub fn native() -> &'static Native {
    static NATIVE: OnceLock<Native> = OnceLock::new();
    NATIVE.get_or_init(Native::default)
}

/// Runs on the best back end of this host: the native one, or bubblewrap where that reaches a better tier.
///
/// # Errors
/// As [`Backend::run`]; [`SandboxError::TierTooLow`] where no back end reaches the specification's tier.
pub fn run(spec: &JailSpec, cancel: &CancelToken) -> Result<Report, SandboxError> {
    static BUBBLEWRAP: OnceLock<Bubblewrap> = OnceLock::new();
    let first = native();
    let tier = first.probe().tier;
    if tier <= Tier::B {
        return first.run(spec, cancel);
    }
    let second = BUBBLEWRAP.get_or_init(Bubblewrap::default);
    if second.probe().tier < tier {
        second.run(spec, cancel)
    } else {
        first.run(spec, cancel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn cancelling_closes_every_watched_socket_and_later_ones() {
        let token = CancelToken::new();
        let (near, mut far) = UnixStream::pair().unwrap();
        let _watch = token.watch(&near).unwrap();
        token.clone().cancel();
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
        let (near, mut far) = UnixStream::pair().unwrap();
        let _watch = token.watch(&near).unwrap();
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
        assert!(token.is_cancelled());
    }

    #[test]
    fn a_run_that_ended_is_forgotten() {
        let token = CancelToken::new();
        let (near, _far) = UnixStream::pair().unwrap();
        drop(token.watch(&near).unwrap());
        assert!(token.0.lock().unwrap().lifelines.is_empty());
    }
}
