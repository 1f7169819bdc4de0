//! All that the engines look at, read once.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::{self, Change};
use super::lexis::{norm, words};
use super::model::{Bundle, Commit};
use super::not_code::is_inbound;
use super::phrases::Kind;
use super::symptoms::Symptoms;
use super::topology::Topology;

/// Names of services end with words that say nothing.
const GENERIC: &[&str] = &[
    "service",
    "svc",
    "server",
    "api",
    "app",
    "worker",
    "prod",
    "production",
    "the",
    "job",
    "db",
    "backend",
    "deployment",
    "internal",
];
/// Folders of what several services use.
const SHARED: &[&str] = &[
    "pkg",
    "lib",
    "libs",
    "common",
    "shared",
    "packages",
    "internal",
    "platform",
    "core",
    "util",
    "utils",
    "sdk",
    "vendor",
    "proto",
    "protos",
    "schemas",
    "clients",
    "modules",
    "framework",
];

/// A commit with what it does and how it reached production.
#[derive(Debug)]
pub(super) struct Suspect<'a> {
    pub(super) commit: &'a Commit,
    pub(super) change: Change,
    /// Deploys that were built from it: time and service.
    pub(super) deployed: Vec<(Option<i64>, &'a str)>,
    /// Deploys of later commits of a service that it may belong to.
    pub(super) carried: Vec<(Option<i64>, &'a str)>,
    /// Whether several services may use what it changes.
    pub(super) shared: bool,
}

impl<'a> Suspect<'a> {
    /// The first time when it reached production, and whether by its own deploy.
    pub(super) fn live(&self) -> Option<(i64, bool)> {
        let first = |deploys: &[(Option<i64>, &str)]| deploys.iter().filter_map(|deploy| deploy.0).min();
        first(&self.deployed)
            .map(|at| (at, true))
            .or_else(|| first(&self.carried).map(|at| (at, false)))
    }

    /// Whether it changes the shape of data, which whoever reads them feels, without a call between the two.
    pub(super) fn shapes(&self) -> bool {
        use effect::Effect::{FieldRenamed, FormatChanged, IdentityChanged, SchemaChanged, TypeChanged};
        let shape = [FieldRenamed, FormatChanged, IdentityChanged, SchemaChanged, TypeChanged];
        let findings = self.change.findings.iter();
        findings
            .filter(|finding| finding.risk >= 0.5)
            .any(|finding| shape.contains(&finding.effect))
    }

    /// Whether it makes more work for others, who hurt in its place.
    pub(super) fn asks_more(&self) -> bool {
        use effect::Effect::{BackoffRemoved, BatchingRemoved, CacheRemoved, CallInLoop, RetryAdded, RetryRaised};
        let more = [
            BackoffRemoved,
            BatchingRemoved,
            CacheRemoved,
            CallInLoop,
            RetryAdded,
            RetryRaised,
        ];
        let findings = self.change.findings.iter();
        findings
            .filter(|finding| finding.risk >= 0.5)
            .any(|finding| more.contains(&finding.effect))
    }

    /// Services that it reached.
    pub(super) fn services(&self) -> BTreeSet<&'a str> {
        let own: BTreeSet<&str> = self.deployed.iter().map(|deploy| deploy.1).collect();
        if own.is_empty() {
            self.carried.iter().map(|deploy| deploy.1).collect()
        } else {
            own
        }
    }
}

/// An incident, read.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) symptoms: Symptoms,
    pub(super) topology: Topology,
    pub(super) suspects: Vec<Suspect<'a>>,
    /// Subjects that hurt.
    pub(super) affected: BTreeSet<String>,
    /// Words of subjects' names: both the symptom and the change name them for other reasons.
    pub(super) subject_words: BTreeSet<String>,
    /// In how many commits' changed lines a word is.
    pub(super) rarity: BTreeMap<String, usize>,
}

impl<'a> Case<'a> {
    pub(super) fn new(bundle: &'a Bundle) -> Self {
        let mut symptoms = Symptoms::of(bundle);
        let topology = Topology::of(bundle);
        amplified(&mut symptoms, &topology, bundle);
        let suspects: Vec<Suspect<'a>> = bundle.commits.iter().map(|commit| suspect(commit, bundle)).collect();
        let subject_words = bundle.subjects().into_iter().flat_map(words).collect();
        let mut rarity = BTreeMap::new();
        for suspect in &suspects {
            let all: BTreeSet<String> = super::engines::shared::changed_words(suspect).into_keys().collect();
            all.into_iter().for_each(|word| *rarity.entry(word).or_default() += 1);
        }
        let affected = affected(&symptoms, bundle);
        Self {
            bundle,
            symptoms,
            topology,
            suspects,
            affected,
            subject_words,
            rarity,
        }
    }
}

impl Case<'_> {
    /// Whether a suspect runs in what hurts, or next to it.
    pub(super) fn touches(&self, suspect: &Suspect<'_>) -> bool {
        let near = |service: &str| {
            self.affected.contains(service) || self.affected.iter().any(|other| self.topology.adjacent(service, other))
        };
        let services = suspect.services();
        services.is_empty()
            || services.iter().any(|service| near(service) || self.moved(service))
            || self.is_linked(suspect)
            || suspect.shapes()
            || suspect.asks_more()
            || self.is_silent(suspect)
    }

    /// Whether any series of a subject changed, whatever it is about.
    pub(super) fn moved(&self, subject: &str) -> bool {
        self.symptoms.moves.iter().any(|moved| moved.subject == subject)
    }

    /// Whether what fails names what it changed.
    pub(super) fn is_linked(&self, suspect: &Suspect<'_>) -> bool {
        !super::engines::values::names(suspect, self).is_empty()
    }

    /// Whether the failure asks for a name that it took away.
    pub(super) fn misses(&self, suspect: &Suspect<'_>) -> bool {
        let fair = |(weight, _): &(f64, String)| *weight >= super::engines::FAIR;
        super::engines::values::names(suspect, self).iter().any(fair)
    }

    /// Whether it is configuration of something without telemetry: what it reaches is unknown.
    pub(super) fn is_silent(&self, suspect: &Suspect<'_>) -> bool {
        let speaks = |service: &str| {
            self.bundle.metrics.iter().any(|series| series.subject == service)
                || self.bundle.logs.iter().any(|log| log.service == service)
                || self.bundle.spans.iter().any(|span| span.service == service)
                || self.bundle.patterns.iter().any(|pattern| pattern.service == service)
        };
        let settings = suspect.change.hunks.iter().all(|hunk| effect::is_data(&hunk.file));
        settings && !suspect.services().into_iter().any(speaks)
    }
}

/// A service that is asked more often although its callers are not asks for an explanation inside: the fan-out grew.
fn amplified(symptoms: &mut Symptoms, topology: &Topology, bundle: &Bundle) {
    let calm = |caller: &str| {
        symptoms
            .calm
            .iter()
            .any(|(subject, metric)| subject == caller && is_inbound(metric))
    };
    let callers = |callee: &str| {
        topology
            .calls
            .iter()
            .filter(|call| call.1 == callee)
            .map(|call| call.0.clone())
            .chain([bundle.alert.service.clone()])
            .collect::<Vec<_>>()
    };
    let risen = symptoms
        .moves
        .iter()
        .filter(|moved| is_inbound(&moved.metric) && moved.shift.rises() && moved.shift.ratio() >= 1.3);
    let inner: Vec<(String, String)> = risen
        .filter(|moved| {
            callers(&moved.subject)
                .iter()
                .any(|caller| *caller != moved.subject && calm(caller))
        })
        .map(|moved| {
            (
                moved.subject.clone(),
                format!(
                    "{} of {} rose while its callers had no more to do",
                    moved.metric, moved.subject
                ),
            )
        })
        .collect();
    for (subject, text) in inner {
        symptoms.conclude(Kind::FanOut, &subject, &text);
        symptoms.inner.insert(subject);
    }
}

fn affected(symptoms: &Symptoms, bundle: &Bundle) -> BTreeSet<String> {
    let said = symptoms
        .sayings
        .iter()
        .filter(|saying| saying.bad && saying.weight >= 0.6 && saying.source != "context");
    let moved = symptoms.moves.iter().filter(|moved| moved.kind.is_some());
    said.map(|saying| saying.service.clone())
        .chain(moved.map(|moved| moved.subject.clone()))
        .chain([bundle.alert.service.clone()])
        .filter(|name| !name.is_empty())
        .collect()
}

fn suspect<'a>(commit: &'a Commit, bundle: &'a Bundle) -> Suspect<'a> {
    let same = |sha: &str| {
        !sha.is_empty()
            && sha.len() >= 6
            && (commit.sha.starts_with(sha) || (commit.sha.len() >= 6 && sha.starts_with(&commit.sha)))
    };
    let shared = commit.files.iter().any(|file| is_shared(file));
    let deployed: Vec<_> = bundle
        .deploys
        .iter()
        .filter(|deploy| same(&deploy.sha))
        .map(|deploy| (deploy.at_ms, deploy.service.as_str()))
        .collect();
    let carried = bundle.deploys.iter().filter(|deploy| {
        let later = deploy.at_ms.is_some() && commit.at_ms.is_some() && deploy.at_ms >= commit.at_ms;
        let before = bundle
            .deploys
            .iter()
            .any(|other| other.service == deploy.service && other.at_ms < deploy.at_ms && other.at_ms >= commit.at_ms);
        later && !before && (shared || commit.files.iter().any(|file| belongs(file, &deploy.service)))
    });
    let carried = carried.map(|deploy| (deploy.at_ms, deploy.service.as_str())).collect();
    Suspect {
        commit,
        change: effect::read(commit),
        deployed,
        carried,
        shared,
    }
}

/// Whether several services may use a file: no folder is named after one.
fn is_shared(path: &str) -> bool {
    let lower = path.to_lowercase();
    let mut folders = lower.rsplit('/').skip(1);
    folders.any(|folder| SHARED.contains(&folder)) && !lower.contains("services/") && !lower.contains("apps/")
}

/// Whether a path's folders and a service's name share a word that says something.
pub(super) fn belongs(path: &str, service: &str) -> bool {
    let name: Vec<String> = words(service)
        .into_iter()
        .filter(|word| !GENERIC.contains(&word.as_str()))
        .collect();
    let joined = name.concat();
    let stem = GENERIC
        .iter()
        .find_map(|end| joined.strip_suffix(end))
        .filter(|stem| stem.len() > 2)
        .unwrap_or(&joined)
        .to_owned();
    let path = norm(path);
    !stem.is_empty()
        && (path.replace(' ', "").contains(&stem)
            || name
                .iter()
                .any(|word| word.len() > 3 && path.contains(&format!(" {word}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_belong_to_services_by_their_words() {
        assert!(belongs("services/order/tax.go", "orderservice"));
        assert!(belongs("apps/order-history/main.py", "order-history-svc"));
        assert!(belongs("src/OrderHistory/Main.java", "order_history"));
        assert!(!belongs("services/cart/cart.go", "orderservice"));
        assert!(!belongs("services/cart/cart.go", "service"));
    }
}
