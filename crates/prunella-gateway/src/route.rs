//! Route templates: the method and the path with its variable segments collapsed.
//!
//! The number of templates is bounded. Further ones share [`OVERFLOW`], and a path that was never
//! answered with anything but "not found" shares [`UNMATCHED`], so that a scanner cannot use up
//! the templates of real routes.

use std::collections::HashMap;
use std::sync::Arc;

/// The route of everything beyond the bound.
pub(crate) const OVERFLOW: &str = "{overflow}";
/// The route of paths that no release knows.
pub(crate) const UNMATCHED: &str = "{unmatched}";

const MAX_SEGMENTS: usize = 16;
const MAX_SEGMENT_LEN: usize = 40;
const MAX_TEMPLATE_LEN: usize = 512;

/// Index of a route in its worker's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RouteId(pub(crate) u32);

impl RouteId {
    pub(crate) const OVERFLOW: Self = Self(0);
    pub(crate) const UNMATCHED: Self = Self(1);
}

/// Where a request belongs: a known route, or a template that becomes one if a release answers.
#[derive(Debug)]
pub(crate) enum RouteKey {
    Known(RouteId),
    New(String),
}

/// The interned templates of one worker.
#[derive(Debug)]
pub(crate) struct RouteTable {
    ids: HashMap<Arc<str>, RouteId>,
    names: Vec<Arc<str>>,
    scratch: String,
    max: usize,
}

impl RouteTable {
    pub(crate) fn new(max: usize) -> Self {
        let names: Vec<Arc<str>> = vec![OVERFLOW.into(), UNMATCHED.into()];
        Self {
            ids: HashMap::new(),
            names,
            scratch: String::with_capacity(128),
            max,
        }
    }

    /// Changes the bound; routes beyond a lower one stay.
    pub(crate) fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    pub(crate) fn name(&self, id: RouteId) -> &Arc<str> {
        &self.names[id.0 as usize]
    }

    pub(crate) fn find(&mut self, method: &str, path: &str) -> RouteKey {
        self.scratch.clear();
        template_into(method, path, &mut self.scratch);
        match self.ids.get(self.scratch.as_str()) {
            Some(id) => RouteKey::Known(*id),
            None => RouteKey::New(self.scratch.clone()),
        }
    }

    /// Makes a route of `template`, or gives the shared one when the table is full.
    pub(crate) fn intern(&mut self, template: String) -> RouteId {
        if let Some(id) = self.ids.get(template.as_str()) {
            return *id;
        }
        if self.ids.len() >= self.max {
            return RouteId::OVERFLOW;
        }
        let id = RouteId(self.names.len() as u32);
        let name: Arc<str> = template.into();
        self.names.push(name.clone());
        self.ids.insert(name, id);
        id
    }
}

/// `METHOD /path/{}` for a path without its query: the name of a route, by its form alone.
#[must_use]
pub fn route_template(method: &str, path: &str) -> String {
    let mut out = String::new();
    template_into(method, path, &mut out);
    out
}

/// Writes `METHOD /path/{}` for a path without its query.
fn template_into(method: &str, path: &str, out: &mut String) {
    out.push_str(if method.len() <= 32 { method } else { "{}" });
    out.push(' ');
    if !path.starts_with('/') {
        // `OPTIONS *`, or a path that no origin server would take.
        out.push_str(if path == "*" { "*" } else { "/" });
        return;
    }
    for (i, segment) in path.split('/').skip(1).enumerate() {
        out.push('/');
        if i >= MAX_SEGMENTS || out.len() > MAX_TEMPLATE_LEN {
            out.push_str("{…}");
            return;
        }
        out.push_str(if is_variable(segment) { "{}" } else { segment });
    }
}

/// Whether a path segment looks like a value rather than a name.
pub(crate) fn is_variable(segment: &str) -> bool {
    let b = segment.as_bytes();
    if b.iter().all(|c| c.is_ascii_lowercase() || *c == b'-' || *c == b'_') {
        return b.len() > MAX_SEGMENT_LEN;
    }
    if b.len() > MAX_SEGMENT_LEN || b.iter().any(|c| *c == b'%' || *c >= 0x80) || at_sign_inside(b) {
        return true;
    }
    let digits = b.iter().filter(|c| c.is_ascii_digit()).count();
    let number = digits > 0 && b.iter().all(|c| c.is_ascii_digit() || b"-_.,:".contains(c));
    number || longest_digit_run(b) >= 4 || is_hexadecimal(b, digits) || is_token(b, digits)
}

fn at_sign_inside(b: &[u8]) -> bool {
    b.iter().skip(1).any(|c| *c == b'@')
}

fn longest_digit_run(b: &[u8]) -> usize {
    b.split(|c| !c.is_ascii_digit()).map(<[u8]>::len).max().unwrap_or(0)
}

/// Eight or more hexadecimal digits (dashes as in a UUID allowed), one of them a decimal digit.
fn is_hexadecimal(b: &[u8], digits: usize) -> bool {
    digits > 0 && b.len() >= 8 && b.iter().all(|c| c.is_ascii_hexdigit() || *c == b'-')
}

/// Base64-like: long, of one piece, with both cases and digits.
fn is_token(b: &[u8], digits: usize) -> bool {
    b.len() >= 16
        && digits > 0
        && b.iter().any(u8::is_ascii_uppercase)
        && b.iter().any(u8::is_ascii_lowercase)
        && b.iter().all(|c| c.is_ascii_alphanumeric() || b"-_=+~.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let mut out = String::new();
        template_into("GET", path, &mut out);
        assert_eq!(out, format!("GET {expected}"));
    }

    #[test]
    fn values_collapse_and_names_stay() {
        check("/", "/");
        check("/users/42", "/users/{}");
        check("/api/v2/users", "/api/v2/users");
        check("/users/42/orders/A-1234", "/users/{}/orders/{}");
        check("/d/2024-01-31", "/d/{}");
        check("/o/550e8400-e29b-41d4-a716-446655440000", "/o/{}");
        check("/blob/deadbeef01", "/blob/{}");
        check("/facade/feedback", "/facade/feedback");
        check("/t/eyJhbGciOiJIUzI1NiJ9", "/t/{}");
        check("/u/ann@example.org", "/u/{}");
        check("/@scope/pkg", "/@scope/pkg");
        check("/q/caf%C3%A9", "/q/{}");
        check("/static/app.css", "/static/app.css");
        check("*", "*");
        check("/a/", "/a/");
    }

    #[test]
    fn templates_are_bounded() {
        let long = format!("/{}", "x".repeat(300));
        check(&long, "/{}");
        let deep = "/a".repeat(40);
        check(&deep, &format!("{}/{{…}}", "/a".repeat(MAX_SEGMENTS)));
    }

    #[test]
    fn the_table_overflows_by_name() {
        let mut t = RouteTable::new(2);
        let a = t.intern("GET /a".into());
        let b = t.intern("GET /b".into());
        let c = t.intern("GET /c".into());
        assert_eq!(
            (t.name(a).as_ref(), t.name(b).as_ref(), t.name(c).as_ref()),
            ("GET /a", "GET /b", OVERFLOW)
        );
        assert!(matches!(t.find("GET", "/a"), RouteKey::Known(id) if id == a));
        assert!(matches!(t.find("GET", "/c"), RouteKey::New(_)));
    }
}
