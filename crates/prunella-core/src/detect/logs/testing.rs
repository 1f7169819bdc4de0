//! What tests of telemetry share.

use crate::id::{ReleaseId, ServiceName};
use crate::signal::Severity;
use crate::signal::telemetry::{LogView, Origin};

/// A release of the one service.
pub(in crate::detect) fn origin(release_key: u32) -> Origin {
    Origin {
        service_key: 0,
        service: ServiceName::parse("shop").unwrap(),
        release_key,
        release: ReleaseId::parse(format!("r{release_key}")).unwrap(),
        instance: String::new(),
        compare_with: None,
    }
}

/// A record without anything but its text.
pub(in crate::detect) fn quiet(body: &str, now_ms: i64) -> LogView<'_> {
    LogView {
        time_ns: now_ms.unsigned_abs() * 1_000_000,
        severity: Some(Severity::Info),
        body,
        event_name: None,
        scope: "",
        attributes: &[],
        trace_id: None,
        span_id: None,
    }
}
