//! What a frozen incident is made of, as parsed: every text in it is hostile input.

use std::collections::BTreeSet;

/// A frozen incident: what was seen, what changed, and which parts could not be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bundle {
    /// What called for help.
    pub alert: Alert,
    /// Log records.
    pub logs: Vec<LogLine>,
    /// Log patterns with counts, as log services give them.
    pub patterns: Vec<Pattern>,
    /// Metric series, each sorted by time.
    pub metrics: Vec<Series>,
    /// Spans of exemplar traces.
    pub spans: Vec<Span>,
    /// Commits that may have done it.
    pub commits: Vec<Commit>,
    /// What was deployed when.
    pub deploys: Vec<Deploy>,
    /// Feature flags that were changed.
    pub flags: Vec<FlagChange>,
    /// Anything else: status feeds, cluster events, scaling activities, run books.
    pub notes: Vec<Note>,
    /// What was not looked at, in words.
    pub unread: Vec<String>,
}

/// The alert.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alert {
    /// The service that it is about.
    pub service: String,
    /// The metric that breached.
    pub metric: String,
    /// When it fired, milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// What it says: summary, monitor's name, detail.
    pub text: String,
}

/// One log record.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// Who wrote it.
    pub service: String,
    /// Whether it is a warning or worse.
    pub bad: bool,
    /// The message.
    pub text: String,
    /// Attributes, without identifiers of traces and spans.
    pub attributes: Vec<(String, String)>,
}

/// One log pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// Who wrote it.
    pub service: String,
    /// The pattern.
    pub text: String,
    /// How often it came in the window.
    pub count: f64,
    /// How much oftener than before.
    pub delta: f64,
}

/// One metric of one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// A service, a node, a resource.
    pub subject: String,
    /// The metric's name.
    pub metric: String,
    /// Milliseconds since 1970 and value, sorted.
    pub points: Vec<(i64, f64)>,
}

/// One span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its trace.
    pub trace: String,
    /// Its name within the trace.
    pub id: String,
    /// Who called.
    pub parent: Option<String>,
    /// Whose it is.
    pub service: String,
    /// What was done.
    pub name: String,
    /// When it began, milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// How long it took, milliseconds.
    pub duration_ms: f64,
    /// Whether it failed.
    pub failed: bool,
    /// What it says of the failure, and its other attributes.
    pub attributes: Vec<(String, String)>,
}

/// One commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// Its name, as given.
    pub sha: String,
    /// Who wrote it. Never evidence.
    pub author: String,
    /// When, milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// The message.
    pub message: String,
    /// Paths that it changed.
    pub files: Vec<String>,
    /// The change; `None` where it was not given: an unread diff is never blamed.
    pub diff: Option<String>,
}

/// One deploy.
#[derive(Clone, Debug, PartialEq)]
pub struct Deploy {
    /// Milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// What was replaced.
    pub service: String,
    /// The commit that it was built from.
    pub sha: String,
}

/// One change of a feature flag.
#[derive(Clone, Debug, PartialEq)]
pub struct FlagChange {
    /// Milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// The flag.
    pub flag: String,
    /// Who reads it.
    pub service: String,
}

/// A piece of other context.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Which document.
    pub source: String,
    /// Milliseconds since 1970, if it says when.
    pub at_ms: Option<i64>,
    /// Whom it is about, if it says so.
    pub service: String,
    /// What it says.
    pub text: String,
}

impl Bundle {
    /// All names of services, nodes and resources that the bundle gives as such.
    #[must_use]
    pub fn subjects(&self) -> BTreeSet<&str> {
        let logs = self.logs.iter().map(|log| log.service.as_str());
        let patterns = self.patterns.iter().map(|pattern| pattern.service.as_str());
        let series = self.metrics.iter().map(|series| series.subject.as_str());
        let spans = self.spans.iter().map(|span| span.service.as_str());
        let deploys = self.deploys.iter().map(|deploy| deploy.service.as_str());
        let flags = self.flags.iter().map(|flag| flag.service.as_str());
        logs.chain(patterns)
            .chain(series)
            .chain(spans)
            .chain(deploys)
            .chain(flags)
            .chain([self.alert.service.as_str()])
            .filter(|name| !name.is_empty())
            .collect()
    }
}
