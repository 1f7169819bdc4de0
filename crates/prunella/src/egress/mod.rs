//! The one gate through which text leaves this machine.
//!
//! What goes out is [`Redacted`] by type, to a host that the owner allowed *outside of the repository* (a repository may
//! be hostile: it never chooses where text or a key goes), over TLS unless the host is this machine, with a row in the
//! log that is on disk before the first byte leaves. No redirect is followed and no proxy is asked.

mod hosts;
mod log;

use std::collections::BTreeMap;
use std::sync::Once;
use std::time::{Duration, Instant};

use prunella_core::privacy::{Redacted, Vault};

pub use hosts::{Hosts, NotAllowed, Target};
pub use log::{Log, LogError, Row, Stage};

use crate::clock::now_ms;

/// What one call sends, for the log.
#[derive(Clone, Debug)]
pub struct Sending<'a> {
    /// What for: `repair`.
    pub purpose: &'static str,
    /// Whose protocol.
    pub provider: &'a str,
    /// Which model, or another name of what is asked.
    pub model: &'a str,
    /// Everything that is sent beside fixed fields.
    pub texts: &'a [&'a Redacted],
}

/// Why nothing was sent, or nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The host was not allowed.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// What cannot be written down is not sent.
    #[error("nothing was sent, because the log of what leaves cannot be written: {0}")]
    Log(#[from] LogError),
    /// The call failed.
    #[error("{host}: {why}")]
    Call {
        /// The host that was called.
        host: String,
        /// What came instead of an answer, without secrets.
        why: String,
    },
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    hosts: Hosts,
    log: Log,
}

/// A call that was allowed and written down.
#[derive(Debug)]
pub struct Pass<'a> {
    gate: &'a Gate,
    row: Row,
    began: Instant,
}

impl Gate {
    /// A gate to these hosts, which writes to this log.
    #[must_use]
    pub fn new(hosts: Hosts, log: Log) -> Self {
        Self { hosts, log }
    }

    /// Whether text may go there.
    ///
    /// # Errors
    /// If the address is none, or was not allowed.
    pub fn admit(&self, url: &str) -> Result<Target, NotAllowed> {
        self.hosts.admit(url)
    }

    /// Writes down that a call begins. Nothing may be sent before it returns.
    ///
    /// # Errors
    /// If the row cannot be made durable.
    pub fn begin(&self, target: &Target, vault: &Vault, sending: &Sending<'_>) -> Result<Pass<'_>, EgressError> {
        let row = Row::call(now_ms(), target, sending, taken_out(vault));
        self.log.append(&row)?;
        Ok(Pass {
            gate: self,
            row,
            began: Instant::now(),
        })
    }

    /// The HTTP client for what was admitted: it goes nowhere else, whatever the answer says.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn client(timeout: Duration) -> Result<reqwest::Client, EgressError> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Another part of the process may have chosen it already: it is the same one.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(timeout)
            .user_agent("prunella")
            .build()
            .map_err(|error| EgressError::Call {
                host: "TLS".to_owned(),
                why: error.to_string(),
            })
    }
}

impl Pass<'_> {
    /// Writes down how the call ended.
    ///
    /// # Errors
    /// If the row cannot be written.
    pub fn end(self, received: u64, tokens: (u64, u64), outcome: &str) -> Result<(), EgressError> {
        let row = self
            .row
            .answered(now_ms(), self.began.elapsed(), received, tokens, outcome);
        Ok(self.gate.log.append(&row)?)
    }
}

fn taken_out(vault: &Vault) -> BTreeMap<String, usize> {
    let counts = vault.counts().iter();
    counts
        .map(|(kind, count)| (kind.word().to_ascii_lowercase(), *count))
        .collect()
}
