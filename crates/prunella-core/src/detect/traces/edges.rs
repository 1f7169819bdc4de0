//! Which service calls which, told once for each pair.
//!
//! What is called and emits nothing itself, such as a database, a broker or somebody else's service, is named by what the
//! caller's span says of it (OpenTelemetry semantic conventions: `peer.service`, `db.system.name`, `messaging.system`,
//! `server.address`; and their older names). So two services that share one are known to.

use std::collections::BTreeSet;

use crate::id::ServiceName;
use crate::signal::telemetry::{Attributes, SpanKind, SpanView, attribute};

/// Pairs that are kept.
const MAX_PAIRS: usize = 2_048;

/// The pairs that were seen, and those that nobody was told of yet.
#[derive(Default)]
pub(super) struct Edges {
    seen: BTreeSet<(ServiceName, ServiceName)>,
    new: Vec<(ServiceName, ServiceName)>,
    left_out: u64,
}

impl Edges {
    /// The one calls the other. A service's calls of itself are none.
    pub(super) fn saw(&mut self, caller: &ServiceName, callee: &ServiceName) {
        if caller == callee {
            return;
        }
        let pair = (caller.clone(), callee.clone());
        if self.seen.contains(&pair) {
            return;
        }
        if self.seen.len() >= MAX_PAIRS {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.seen.insert(pair.clone());
        self.new.push(pair);
    }

    /// What was seen since this was last asked.
    pub(super) fn take_new(&mut self) -> Vec<(ServiceName, ServiceName)> {
        std::mem::take(&mut self.new)
    }

    /// How often a pair found no room.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// What a client's or producer's span says that it called; `None` if that is nothing that others can share.
pub(super) fn peer_of(span: &SpanView<'_>) -> Option<ServiceName> {
    if !matches!(span.kind, SpanKind::Client | SpanKind::Producer) {
        return None;
    }
    let first = |names: &[&str]| text(span.attributes, names);
    if let Some(name) = first(&["peer.service"]) {
        return named(name);
    }
    let address = first(&["server.address", "net.peer.name", "net.peer.ip", "network.peer.address"]);
    let system = first(&["db.system.name", "db.system", "messaging.system"]);
    let address = address.filter(|address| !is_own(address))?;
    let port = ["server.port", "net.peer.port"]
        .iter()
        .find_map(|name| attribute(span.attributes, name)?.as_f64())
        .map_or_else(String::new, |port| format!("-{port:.0}"));
    let system = system.map_or_else(String::new, |system| format!("{system}-"));
    named(&format!("{system}{address}{port}"))
}

fn text<'a>(attributes: &Attributes<'a>, names: &[&str]) -> Option<&'a str> {
    let found = names.iter().find_map(|name| attribute(attributes, name)?.as_str());
    found.filter(|text| !text.is_empty())
}

/// Every machine has one of these: two services that call theirs share nothing.
fn is_own(address: &str) -> bool {
    ["localhost", "::1", "[::1]"].contains(&address) || address.starts_with("127.") || address.starts_with('/')
}

/// The text as a name; what no name may have is a hyphen.
fn named(text: &str) -> Option<ServiceName> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = text.chars().take(64).map(|c| if fits(c) { c } else { '-' }).collect();
    ServiceName::parse(name.trim_start_matches(['.', '-'])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::telemetry::{SpanStatus, Value};

    fn check(kind: SpanKind, attributes: &Attributes<'_>, expected: Option<&str>) {
        let span = SpanView {
            trace_id: [1; 16],
            span_id: [1; 8],
            parent_id: None,
            name: "x",
            kind,
            start_ns: 0,
            end_ns: 0,
            status: SpanStatus::Ok,
            status_message: "",
            attributes,
            exception_type: None,
            exception_message: None,
            exception_stacktrace: None,
        };
        let found = peer_of(&span);
        assert_eq!(found.as_ref().map(ServiceName::as_str), expected, "{attributes:?}");
    }

    #[test]
    fn what_is_called_is_named_by_its_caller() {
        use SpanKind::{Client, Producer, Server};
        let address = ("server.address", Value::Str("db.example.com"));
        let sql = ("db.system.name", Value::Str("postgresql"));
        let port = ("server.port", Value::Int(5432));
        check(Client, &[sql, address, port], Some("postgresql-db.example.com-5432"));
        check(Server, &[sql, address, port], None);
        check(Client, &[("net.peer.name", Value::Str("10.0.0.3"))], Some("10.0.0.3"));
        check(
            Client,
            &[("server.address", Value::Str("fd00:12::3"))],
            Some("fd00-12--3"),
        );
        check(
            Producer,
            &[("peer.service", Value::Str("../mail queue"))],
            Some("mail-queue"),
        );
        for own in ["localhost", "127.0.0.1", "::1", "/run/postgresql"] {
            check(Client, &[sql, ("server.address", Value::Str(own)), port], None);
        }
        check(Client, &[sql], None);
        check(Client, &[("peer.service", Value::Str("\u{0}"))], None);
    }

    #[test]
    fn pairs_are_told_once_and_have_a_limit() {
        let name = |n: usize| ServiceName::parse(format!("s{n}")).unwrap();
        let mut edges = Edges::default();
        for n in 0..MAX_PAIRS + 3 {
            edges.saw(&name(0), &name(n));
            edges.saw(&name(0), &name(1));
        }
        // The service's call of itself is none.
        assert_eq!((edges.take_new().len(), edges.left_out()), (MAX_PAIRS, 2));
        assert!(edges.take_new().is_empty());
    }
}
