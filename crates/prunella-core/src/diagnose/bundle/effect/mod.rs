//! What a diff does, read without knowing its language.
//!
//! *Signals*: removed and added lines.
//! *Method*: each reader below looks for one family of changes and says what it found, how risky such a change is by
//! itself, and in which direction it points. What no reader finds is compared as multisets of tokens: code that was
//! only moved, renamed, formatted, logged or measured behaves as before. Messages of commits are never read for this:
//! they say what their authors believed.
//! *Source*: change types after Fluri et al., "Change Distilling" (TSE 2007), and the causes of outages that public
//! post-mortems name (Gunawi et al., "Why does the cloud stop computing?", SoCC 2016).

mod access;
mod asking;
mod behaviour;
mod calls;
mod connections;
mod conversions;
mod data;
mod guards;
mod keys;
mod knobs;
mod lasting;
mod order;
mod patterns;
mod renames;
mod schedule;
mod settings;

use super::diff::{self, Hunk};
use super::model::Commit;
pub(super) use behaviour::Behaviour;

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Effect {
    TimeoutLowered,
    TimeoutRaised,
    LifetimeLowered,
    LifetimeRaised,
    CapacityLowered,
    CapacityRaised,
    RateLowered,
    RateRaised,
    BatchChanged,
    RetryRaised,
    RetryLowered,
    IntervalLowered,
    IntervalRaised,
    MemoryLowered,
    CacheShrunk,
    CacheGrown,
    ToleranceLowered,
    ThresholdChanged,
    NumberChanged,
    SwitchFlipped,
    ConditionChanged,
    GuardRemoved,
    HandlerRemoved,
    ErrorSwallowed,
    Stricter,
    CallInLoop,
    BatchingRemoved,
    CacheRemoved,
    CleanupRemoved,
    Accumulates,
    Spawns,
    BackoffRemoved,
    RetryAdded,
    LockAdded,
    CallAdded,
    CallRemoved,
    HeavyWork,
    QueryChanged,
    SchemaChanged,
    IndexRemoved,
    FieldRenamed,
    TypeChanged,
    FormatChanged,
    DependencyMajor,
    DependencyMinor,
    DependencyPatch,
    KeyRenamed,
    EndpointChanged,
    TextChanged,
    TlsChanged,
    AuthChanged,
    PermissionChanged,
    TimeHandling,
    StartupChanged,
    ConnectionEachCall,
    Narrowed,
    IdentityChanged,
    LogsMore,
    OrderChanged,
    ProbeChanged,
    LockRemoved,
    ValueConverted,
    ConstantChanged,
    OtherCall,
    PatternChanged,
    GraceRemoved,
    WritesFiles,
}

/// One thing that a change does.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) effect: Effect,
    /// How likely such a change is to break something, from 0 to 1.
    pub(super) risk: f64,
    /// For people. Names in it are hostile input.
    pub(super) sentence: String,
}

impl Finding {
    fn new(effect: Effect, risk: f64, sentence: impl Into<String>) -> Self {
        Self {
            effect,
            risk: risk.clamp(0.0, 1.0),
            sentence: sentence.into(),
        }
    }
}

/// What a commit does, and its changed lines.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) hunks: Vec<Hunk>,
    pub(super) findings: Vec<Finding>,
    pub(super) behaviour: Behaviour,
}

type Reader = fn(&Hunk, &mut Vec<Finding>);

/// Every reader, one line each.
static READERS: &[Reader] = &[
    knobs::read,
    guards::read,
    calls::read,
    connections::read,
    data::read,
    settings::read,
    access::read,
    asking::read,
    schedule::read,
    keys::read,
    order::read,
    conversions::read,
    lasting::read,
    patterns::read,
];

pub(super) use data::is_data;
pub(super) use settings::{dependency, is_manifest};

/// A hunk without what is only told to people.
fn without_messages(hunk: &Hunk) -> Hunk {
    let keep = |lines: &[diff::Line]| {
        lines
            .iter()
            .filter(|line| !settings::is_message(line))
            .cloned()
            .collect()
    };
    let mut kept = Hunk {
        removed: keep(&hunk.removed),
        added: keep(&hunk.added),
        pairs: vec![],
        ..hunk.clone()
    };
    diff::pair(&mut kept);
    kept
}

/// Reads a commit.
pub(super) fn read(commit: &Commit) -> Change {
    let hunks = diff::hunks(commit);
    let mut findings: Vec<Finding> = Vec::new();
    for hunk in &hunks {
        let mut found = Vec::new();
        let doing = without_messages(hunk);
        if settings::is_manifest(&hunk.file) {
            settings::read(hunk, &mut found);
        } else {
            READERS.iter().for_each(|read| read(&doing, &mut found));
        }
        for finding in found {
            match findings.iter_mut().find(|known| known.effect == finding.effect) {
                Some(known) if known.risk < finding.risk => *known = finding,
                Some(_) => {}
                None => findings.push(finding),
            }
        }
    }
    calls::cancel(&hunks, &mut findings);
    findings.sort_by(|one, two| two.risk.total_cmp(&one.risk));
    let behaviour = behaviour::judge(commit, &hunks, &findings);
    Change {
        hunks,
        findings,
        behaviour,
    }
}
