//! Resources → origins: who emits, as small numbers and checked names, within a limit.
//!
//! *Source.* OpenTelemetry semantic conventions, "Service" and "Process" resources.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::super::telemetry::{Attributes, Origin, Value, attribute};
use crate::id::{ReleaseId, ServiceName, short_hash};

/// The name of all services, or releases of a service, beyond the limit.
const OTHER: &str = "other";
/// The release of a service that does not say its version.
const UNVERSIONED: &str = "unversioned";
/// The service of a resource that does not say it.
const UNKNOWN: &str = "unknown_service";
/// What an identifier keeps of a longer name; the rest becomes a hash.
const KEPT: usize = 52;
/// What is kept of an instance's name, in characters.
const MAX_INSTANCE: usize = 64;

/// How many of each there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginLimits {
    /// Services; further ones are one service called `other`.
    pub services: usize,
    /// Releases of all services; further ones are one release called `other` of each service.
    pub releases: usize,
    /// Instances that are remembered at a time; when there are more, all are looked up anew.
    pub instances: usize,
}

impl Default for OriginLimits {
    fn default() -> Self {
        Self {
            services: 1_024,
            releases: 8_192,
            instances: 16_384,
        }
    }
}

/// A release that Prunella knows by what it reports as its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The service.
    pub service: ServiceName,
    /// `service.version`.
    pub version: String,
    /// The release.
    pub release: ReleaseId,
}

/// All origins so far.
#[derive(Debug, Default)]
pub struct Origins {
    limits: OriginLimits,
    services: BTreeMap<ServiceName, u32>,
    releases: BTreeMap<(u32, ReleaseId), u32>,
    known: Vec<Known>,
    compare: BTreeMap<ServiceName, ReleaseId>,
    /// By service, version and instance as they were said.
    made: BTreeMap<String, Arc<Origin>>,
    /// The releases that Prunella watches.
    watched: BTreeMap<(ServiceName, ReleaseId), Arc<Origin>>,
    /// The key that is being looked up.
    key: String,
    overflow: u64,
}

impl Origins {
    /// None yet.
    #[must_use]
    pub fn new(limits: OriginLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Says which releases are known and which one of each service is the last-known-good. Keys stay as they are.
    pub fn know(&mut self, known: Vec<Known>, good: BTreeMap<ServiceName, ReleaseId>) {
        if (&known, &good) != (&self.known, &self.compare) {
            (self.known, self.compare) = (known, good);
            self.made.clear();
            self.watched.clear();
        }
    }

    /// The origin of a resource. Says whether its release had not been seen before.
    pub fn of(&mut self, resource: &Attributes<'_>) -> (Arc<Origin>, bool) {
        let text = |name| attribute(resource, name).and_then(Value::as_str).unwrap_or("");
        let (service, version) = (text("service.name"), text("service.version"));
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        write!(key, "{service}\0{version}\0").expect("writing to a String cannot fail");
        instance(resource, &mut key);
        let found = self.made.get(&key).cloned();
        let answer = match found {
            Some(origin) => (origin, false),
            None => {
                let instance: String = key[service.len() + version.len() + 2..]
                    .chars()
                    .take(MAX_INSTANCE)
                    .collect();
                let (origin, new) = self.make(service, version, instance);
                if self.made.len() >= self.limits.instances {
                    self.made.clear();
                }
                self.made.insert(key.clone(), origin.clone());
                (origin, new)
            }
        };
        self.key = key;
        answer
    }

    /// The origin of a release that Prunella itself watches. Says whether it had not been seen before.
    pub fn of_release(&mut self, service: &ServiceName, release: &ReleaseId) -> (Arc<Origin>, bool) {
        let key = (service.clone(), release.clone());
        if let Some(origin) = self.watched.get(&key) {
            return (origin.clone(), false);
        }
        let (origin, new) = self.place(service.clone(), release.clone(), String::new());
        if self.watched.len() >= self.limits.instances {
            self.watched.clear();
        }
        self.watched.insert(key, origin.clone());
        (origin, new)
    }

    fn make(&mut self, service: &str, version: &str, instance: String) -> (Arc<Origin>, bool) {
        let name = slug(if service.is_empty() { UNKNOWN } else { service });
        let service = ServiceName::parse(name).expect("a slug is a service name");
        let known = self.known.iter().find(|k| k.service == service && k.version == version);
        let release = known.map_or_else(
            || {
                let name = slug(if version.is_empty() { UNVERSIONED } else { version });
                ReleaseId::parse(name).expect("a slug is a release")
            },
            |k| k.release.clone(),
        );
        self.place(service, release, instance)
    }

    fn place(&mut self, service: ServiceName, release: ReleaseId, instance: String) -> (Arc<Origin>, bool) {
        let service = self.bounded_service(service);
        let service_key = self.services[&service];
        let (release, release_key, new) = self.bounded_release(service_key, release);
        let compare_with = self.compare.get(&service).filter(|good| **good != release).cloned();
        let origin = Origin {
            service_key,
            service,
            release_key,
            release,
            instance,
            compare_with,
        };
        (Arc::new(origin), new)
    }

    fn bounded_service(&mut self, service: ServiceName) -> ServiceName {
        let ours = self.known.iter().any(|k| k.service == service);
        let fits = self.services.len() < self.limits.services || self.services.contains_key(&service) || ours;
        let service = if fits {
            service
        } else {
            self.overflow += 1;
            ServiceName::parse(OTHER).expect("a service name")
        };
        let next = u32::try_from(self.services.len()).expect("services have a limit");
        self.services.entry(service.clone()).or_insert(next);
        service
    }

    fn bounded_release(&mut self, service_key: u32, release: ReleaseId) -> (ReleaseId, u32, bool) {
        let ours = self.known.iter().any(|k| k.release == release);
        let key = (service_key, release);
        let fits = self.releases.len() < self.limits.releases || self.releases.contains_key(&key) || ours;
        let key = if fits {
            key
        } else {
            self.overflow += 1;
            (service_key, ReleaseId::parse(OTHER).expect("a release"))
        };
        let next = u32::try_from(self.releases.len()).expect("releases have a limit");
        let new = !self.releases.contains_key(&key);
        let number = *self.releases.entry(key.clone()).or_insert(next);
        (key.1, number, new)
    }

    /// Resources whose service or release was beyond the limit.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Services and releases so far.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.services.len(), self.releases.len())
    }

    /// Whether nothing was seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }
}

/// Adds what distinguishes the instance: `service.instance.id`, else the host or pod and the process.
fn instance(resource: &Attributes<'_>, key: &mut String) {
    let text = |name| {
        attribute(resource, name)
            .and_then(Value::as_str)
            .filter(|t| !t.is_empty())
    };
    if let Some(id) = text("service.instance.id") {
        key.push_str(id);
        return;
    }
    if let Some(place) = text("k8s.pod.name")
        .or_else(|| text("host.name"))
        .or_else(|| text("container.id"))
    {
        key.push_str(place);
    }
    match attribute(resource, "process.pid") {
        Some(Value::Int(pid)) => write!(key, ":{pid}").expect("writing to a String cannot fail"),
        Some(Value::Str(pid)) => write!(key, ":{pid}").expect("writing to a String cannot fail"),
        _ => {}
    }
}

/// A name that is safe anywhere: other characters become `-`, and what is too long ends in a hash of the whole.
fn slug(name: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let text: String = name
        .chars()
        .take(KEPT + 13)
        .map(|c| if safe(c) { c } else { '-' })
        .collect();
    let text = text.trim_start_matches(['-', '.']);
    if text.is_empty() || text.len() > KEPT {
        let kept = &text[..text.len().min(KEPT)];
        return format!(
            "{}_{}",
            if kept.is_empty() { "x" } else { kept },
            short_hash(&[name], 10)
        );
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(origins: &mut Origins, pairs: &[(&str, &str)]) -> (Arc<Origin>, bool) {
        let resource: Vec<(&str, Value<'_>)> = pairs.iter().map(|(k, v)| (*k, Value::Str(v))).collect();
        origins.of(&resource)
    }

    #[test]
    fn keys_are_dense_and_stay() {
        let mut all = Origins::default();
        let of = |all: &mut Origins, service, version| {
            let (origin, new) = origin(all, &[("service.name", service), ("service.version", version)]);
            (origin.service_key, origin.release_key, new)
        };
        assert_eq!(of(&mut all, "a", "1"), (0, 0, true));
        assert_eq!(of(&mut all, "b", "1"), (1, 1, true));
        assert_eq!(of(&mut all, "a", "2"), (0, 2, true));
        assert_eq!(of(&mut all, "a", "1"), (0, 0, false));
        assert_eq!(all.len(), (2, 3));
    }

    #[test]
    fn hostile_names_become_safe_and_stay_apart() {
        for hostile in [
            "",
            "../../etc",
            "-rf",
            "a b\n",
            "é",
            "\0",
            &"x".repeat(10_000),
            "unknown_service:python3",
        ] {
            let slug = slug(if hostile.is_empty() { UNKNOWN } else { hostile });
            assert!(ServiceName::parse(slug.clone()).is_ok(), "{slug}");
        }
        assert_ne!(slug(&"x".repeat(100)), slug(&"x".repeat(101)));
        assert_ne!(slug("--"), slug("---"));
    }

    #[test]
    fn what_is_beyond_the_limits_is_other_and_counted() {
        let mut all = Origins::new(OriginLimits {
            services: 2,
            releases: 3,
            instances: 2,
        });
        for n in 0..10 {
            let version = n.to_string();
            let (found, _) = origin(&mut all, &[("service.name", "a"), ("service.version", &version)]);
            assert_eq!(found.release.as_str() == OTHER, n >= 3, "{n}");
        }
        assert_eq!(origin(&mut all, &[("service.name", "b")]).0.service.as_str(), "b");
        assert_eq!(origin(&mut all, &[("service.name", "c")]).0.service.as_str(), OTHER);
        assert!(all.overflow() >= 8);
        assert!(all.len().0 <= 3 && all.len().1 <= 6, "{:?}", all.len());
    }

    #[test]
    fn a_known_version_is_its_release_and_the_good_one_is_to_compare_with() {
        let (service, release) = (ServiceName::parse("shop").unwrap(), ReleaseId::parse("r2").unwrap());
        let known = Known {
            service: service.clone(),
            version: "c0ffee".to_owned(),
            release: release.clone(),
        };
        let good = ReleaseId::parse("r1").unwrap();
        let mut all = Origins::default();
        let pairs = [("service.name", "shop"), ("service.version", "c0ffee")];
        assert_eq!(origin(&mut all, &pairs).0.release.as_str(), "c0ffee");
        all.know(vec![known], BTreeMap::from([(service.clone(), good.clone())]));
        let (found, _) = origin(&mut all, &pairs);
        assert_eq!((&found.release, &found.compare_with), (&release, &Some(good)));
        assert_eq!(all.of_release(&service, &release).0.release_key, found.release_key);
    }

    #[test]
    fn instances_are_told_apart() {
        let mut all = Origins::default();
        let host = [("service.name", "a"), ("host.name", "h")];
        assert_eq!(origin(&mut all, &host).0.instance, "h");
        let id = [("service.name", "a"), ("service.instance.id", "i"), ("host.name", "h")];
        assert_eq!(origin(&mut all, &id).0.instance, "i");
    }
}
