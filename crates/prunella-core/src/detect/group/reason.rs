//! Why an anomaly makes no incident.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::IncidentId;

/// Why an anomaly makes no incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum SuppressReason {
    /// It is odd, not page-worthy, and belongs to no open incident.
    Odd,
    /// It began before this incident of the same release was resolved.
    Echo {
        /// The incident.
        of: IncidentId,
    },
    /// As many incidents are open as may be.
    OpenIncidentsLimit,
    /// As many claims wait for the ledger as may.
    QueueLimit,
    /// It names no service.
    NoService,
    /// Its service is under maintenance.
    Maintenance {
        /// The window's name.
        window: String,
    },
    /// A person knows of its cause.
    Acknowledged {
        /// The incident that was acknowledged.
        of: IncidentId,
        /// Who did.
        by: String,
    },
    /// Its cause comes and goes: it has opened enough incidents lately.
    Flapping {
        /// The last of them.
        last: IncidentId,
    },
}

impl fmt::Display for SuppressReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Odd => f.write_str("it is odd, not page-worthy"),
            Self::Echo { of } => write!(f, "it began before {of} was resolved"),
            Self::OpenIncidentsLimit => f.write_str("as many incidents are open as may be"),
            Self::QueueLimit => f.write_str("as many claims wait as may"),
            Self::NoService => f.write_str("it names no service"),
            Self::Maintenance { window } => write!(f, "maintenance: {window}"),
            Self::Acknowledged { of, by } => write!(f, "{by} acknowledged {of}"),
            Self::Flapping { last } => write!(f, "it flaps; the last incident was {last}"),
        }
    }
}
