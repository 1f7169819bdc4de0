//! The log of one service: its templates, and what is learned of each.
//!
//! *Signals*: the service's log records.
//!
//! *Method*: a record costs a template look-up, a few counters and, where it has an identifier, a step of a trail. At the end
//! of each minute the templates are judged: [`super::fresh`], [`super::rate`], [`super::regular`], [`super::pairs`]. The e-values of
//! all rates go to e-BH together, so that at most [`RATE`] of what it claims is expected to be false, however the
//! templates depend on each other. Page-worthy is what tells of failure (errors that are new or more frequent, a regular
//! line that stopped, a start without its end); the rest is odd.

use serde::{Deserialize, Serialize};

use super::beside::{Beside, besides};
use super::claim::Teller;
use super::fresh::{self, Facts, Stage};
use super::pairs::{Learned, Pairs};
use super::rate::{Direction, Look, Rate, slot};
use super::regular::Gaps;
use super::trail::{self, Trails};
use crate::detect::series::fdr::e_bh;
use crate::detect::{Anomaly, Severity as Weight};
use crate::id::ReleaseId;
use crate::signal::Severity;
use crate::signal::telemetry::{LogView, Origin};
use crate::signal::template::hash::HashIndex;
use crate::signal::template::{Limits, TemplateId, Templates};

/// The false discovery rate of rate shifts, at each look.
pub(super) const RATE: f64 = 0.02;
/// What stands for all lines, and for the lines of errors.
pub(super) const ALL: u32 = u32::MAX;
pub(super) const ERRORS: u32 = u32::MAX - 1;
/// Silence of the whole service after which its templates' gaps say nothing.
const QUIET_MS: i64 = 60_000;
/// After a deploy, nothing is missing for so long.
const SETTLING_MS: i64 = 2 * 60_000;
/// Claims of one minute. More are counted.
const MAX_CLAIMS: usize = 10;
/// Releases of a service that are told apart at a time.
const MAX_RELEASES: usize = 4;
/// Lines of a template at one severity before another is odd.
const SETTLED: u64 = 100;
const DRIFTED: u64 = 3;

/// Hands a teller that knows these templates to what is to be told.
pub(super) type Tell<'a> = dyn Fn(&Templates, &mut dyn FnMut(&Teller<'_>)) + 'a;

/// What is known of one template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kind {
    id: u32,
    lines: u64,
    errors: u64,
    severity: Option<Severity>,
    minute: u32,
    first_ms: i64,
    facts: (i64, i64, u64),
    stage: Stage,
    rate: Rate,
    gaps: Gaps,
    drifted: u64,
    /// Who said it last: a place among the service's releases. Not saved, for these are those of this process.
    #[serde(skip, default = "nobody")]
    by: u8,
}

fn nobody() -> u8 {
    u8::MAX
}

/// The log of one service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    templates: Templates,
    kinds: HashIndex<Kind>,
    /// Kinds at which those of templates that are gone are swept out.
    most_kinds: usize,
    trails: Trails,
    pairs: Pairs,
    errors: Rate,
    all: Gaps,
    last_ms: i64,
    first_ms: i64,
    deployed_ms: i64,
    deploys: u32,
    /// The last template before the deploy.
    newest: u32,
    release: Option<ReleaseId>,
    /// The releases that emit, by the keys of their origins; few.
    releases: Vec<(u32, ReleaseId)>,
    beside: Beside,
    minute: (u32, u32),
    merged: u64,
    forgotten: u64,
    pub(super) unclaimed: u64,
}

/// The saved form.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved {
    templates: Templates,
    kinds: Vec<Kind>,
    pairs: Learned,
    errors: Rate,
    all: Gaps,
    last_ms: i64,
    first_ms: i64,
    deployed_ms: i64,
    deploys: u32,
    newest: u32,
    release: Option<ReleaseId>,
}

impl Service {
    pub(super) fn new(budget: usize) -> Self {
        let limits = Limits {
            signatures: (budget / 3_000).clamp(64, 16 * 1024),
            bytes: budget / 2,
            ..Limits::default()
        };
        Self::of(Templates::new(limits), budget)
    }

    fn of(templates: Templates, budget: usize) -> Self {
        Self {
            templates,
            most_kinds: (budget / 1_500).clamp(128, 32 * 1024),
            kinds: HashIndex::default(),
            trails: Trails::default(),
            pairs: Pairs::default(),
            errors: Rate::default(),
            all: Gaps::default(),
            last_ms: 0,
            first_ms: 0,
            deployed_ms: 0,
            deploys: 0,
            newest: u32::MAX,
            release: None,
            releases: Vec::new(),
            beside: Beside::default(),
            minute: (0, 0),
            merged: 0,
            forgotten: 0,
            unclaimed: 0,
        }
    }

    /// Looks at a record.
    pub(super) fn record(&mut self, origin: &Origin, record: &LogView<'_>, now_ms: i64) {
        if self.first_ms == 0 {
            (self.first_ms, self.deployed_ms) = (now_ms, now_ms);
        }
        if self.release.as_ref() != Some(&origin.release) {
            self.release = Some(origin.release.clone());
        }
        self.alive(now_ms);
        if self.kinds.len() >= self.most_kinds {
            self.follow_merges();
        }
        let lines = self.templates.stats().lines;
        let found = self.templates.observe(record.body);
        let id = found.template.get();
        let keys = trail::keys(record.trace_id, found.variables());
        let error = record.severity >= Some(Severity::Error);
        self.minute = (
            self.minute.0.saturating_add(1),
            self.minute.1.saturating_add(u32::from(error)),
        );
        self.beside.line(origin, error, now_ms);
        let by = self.emitter(origin);
        let facts = (now_ms - self.deployed_ms, now_ms - self.first_ms, lines);
        let kind = self
            .kinds
            .entry(u64::from(id))
            .or_insert_with(|| Kind::new(id, now_ms, facts));
        kind.by = by;
        kind.line(record.severity, error, now_ms);
        for key in keys.into_iter().filter(|&k| k != 0) {
            if self.trails.step(key, id, now_ms) {
                self.pairs.line(key, id, &self.trails, now_ms, self.newest);
            }
        }
    }

    /// The place of a release among those that emit; the oldest makes room.
    fn emitter(&mut self, origin: &Origin) -> u8 {
        let key = origin.release_key;
        let at = self.releases.iter().position(|(known, _)| *known == key);
        let at = at.unwrap_or_else(|| {
            let release = (key, origin.release.clone());
            if self.releases.len() < MAX_RELEASES {
                self.releases.push(release);
                return self.releases.len() - 1;
            }
            let oldest = (0..MAX_RELEASES).min_by_key(|at| self.releases[*at].0).unwrap_or(0);
            self.releases[oldest] = release;
            oldest
        });
        u8::try_from(at).unwrap_or(u8::MAX)
    }

    /// The whole service was silent: no template's gap counts.
    fn alive(&mut self, now_ms: i64) {
        if now_ms.saturating_sub(self.last_ms) > QUIET_MS {
            self.kinds.values_mut().for_each(|kind| kind.gaps.excuse(now_ms));
        }
        self.last_ms = now_ms;
        self.all.line(now_ms, true);
    }

    /// Another release emits.
    pub(super) fn deployed(&mut self, now_ms: i64) {
        self.deploys = self.deploys.saturating_add(1);
        self.deployed_ms = now_ms;
        self.newest = self.templates.newest().get();
        self.trails.clear();
        self.pairs.excuse();
        for kind in self.kinds.values_mut() {
            kind.gaps.excuse(now_ms);
            kind.rate.afresh();
        }
        self.errors.afresh();
    }

    /// A second passed.
    pub(super) fn second(&mut self, now_ms: i64) {
        self.pairs.check(&self.trails, now_ms, self.newest);
        while let Some(trail) = self.trails.expire(now_ms) {
            self.pairs.learn(&trail, now_ms);
        }
    }

    /// A minute ended: every template is judged.
    pub(super) fn minute(&mut self, teller: &Tell<'_>, now_ms: i64, out: &mut Vec<Anomaly>) {
        self.follow_merges();
        let mut claims = Claims::default();
        self.judge_rates(now_ms, &mut claims);
        self.judge_kinds(now_ms, &mut claims);
        if now_ms.saturating_sub(self.deployed_ms) >= SETTLING_MS {
            claims.broken = self.pairs.minute(now_ms);
        } else {
            self.pairs.excuse();
        }
        claims.worse = self.beside.minute(now_ms);
        let before = out.len();
        if !claims.is_empty() {
            let said_by = |id: u32| {
                let kind = self.kinds.get(&u64::from(id))?;
                self.releases.get(usize::from(kind.by)).map(|(_, release)| release)
            };
            teller(&self.templates, &mut |teller| claims.tell(teller, &said_by, out));
        }
        self.unclaimed += out.len().saturating_sub(before + MAX_CLAIMS) as u64;
        out.truncate(before + MAX_CLAIMS);
        self.minute = (0, 0);
    }

    fn judge_rates(&mut self, now_ms: i64, claims: &mut Claims) {
        let (slot, (total, errors)) = (slot(now_ms), self.minute);
        let mut looks: Vec<(u32, Look)> = Vec::new();
        let mut tested = 0;
        for kind in self.kinds.values_mut() {
            tested += usize::from(kind.rate.is_tested());
            looks.extend(kind.rate.minute(kind.minute, total, slot).map(|look| (kind.id, look)));
            kind.minute = 0;
        }
        looks.extend(self.errors.minute(errors, total, slot).map(|look| (ERRORS, look)));
        looks.sort_unstable_by_key(|l| l.0);
        // e-BH over all that is tested: what has no look has an e-value below 1, which is never a discovery.
        let mut e: Vec<f64> = looks.iter().map(|l| l.1.e).collect();
        e.resize(tested.max(looks.len()) + 1, 0.0);
        let found: Vec<(u32, Look)> = e_bh(&e, RATE)
            .into_iter()
            .filter_map(|i| looks.get(i).copied())
            .collect();
        for (id, look) in found {
            let error = id == ERRORS || self.kinds.get(&u64::from(id)).is_some_and(Kind::is_error);
            let page = error && look.direction == Direction::Up && look.lines >= 10.0;
            match self.kinds.get_mut(&u64::from(id)) {
                Some(kind) => kind.rate.told(),
                None => self.errors.told(),
            }
            if self.kinds.get(&u64::from(id)).is_some_and(|kind| !kind.is_spoken()) {
                continue;
            }
            claims
                .rates
                .push((id, look, if page { Weight::Page } else { Weight::Odd }));
        }
        // The sum of the errors says nothing beside the one that rises.
        if claims.rates.iter().any(|r| r.0 != ERRORS && r.2 == Weight::Page) {
            claims.rates.retain(|r| r.0 != ERRORS);
        }
    }

    fn judge_kinds(&mut self, now_ms: i64, claims: &mut Claims) {
        let alive = now_ms.saturating_sub(self.last_ms) < QUIET_MS;
        let settled = now_ms.saturating_sub(self.deployed_ms) >= SETTLING_MS;
        let once = self
            .kinds
            .values()
            .filter(|k| k.lines == 1 && now_ms - k.first_ms < 86_400_000 && k.facts.0 >= fresh::STARTING_MS)
            .count();
        let singletons = once as f64 / self.kinds.len().max(20) as f64;
        let mut ids: Vec<u32> = self.kinds.values().map(|k| k.id).collect();
        ids.sort_unstable();
        for id in ids {
            let Some(kind) = self.kinds.get_mut(&u64::from(id)) else {
                continue;
            };
            let silence = if alive && settled {
                kind.gaps.stopped(now_ms)
            } else {
                None
            };
            if let Some(silence) = silence.filter(|_| kind.is_spoken()) {
                let weight = if id <= self.newest { Weight::Page } else { Weight::Odd };
                claims.stopped.push((id, silence, weight));
            }
            if kind.drifted >= DRIFTED && kind.severity < Some(Severity::Warn) {
                claims.severer.push((id, kind.drifted, kind.lines));
                kind.severity = Some(Severity::Error);
            }
            if kind.stage == Stage::Known {
                continue;
            }
            let variant = self.templates.kin(TemplateId::of(id)).is_some_and(|kin| {
                let known = self.kinds.get(&u64::from(kin.get()));
                known.is_some_and(|k| k.severity >= self.kinds[&u64::from(id)].severity)
            });
            let Some(kind) = self.kinds.get_mut(&u64::from(id)) else {
                continue;
            };
            let facts = kind.facts(now_ms, self.deploys > 0, variant, singletons);
            let (stage, weight) = fresh::judge(kind.stage, &facts);
            kind.stage = stage;
            if let Some(weight) = weight {
                claims
                    .fresh
                    .push((id, kind.lines, kind.first_ms, weight, kind.severity));
            }
        }
        if settled && let Some(silence) = self.all.stopped(now_ms) {
            claims.stopped.push((ALL, silence, Weight::Page));
        }
    }

    /// What was learned of templates that became part of others goes to these; what was forgotten goes.
    fn follow_merges(&mut self) {
        let stats = self.templates.stats();
        if (stats.merged, stats.forgotten) == (self.merged, self.forgotten) {
            return;
        }
        (self.merged, self.forgotten) = (stats.merged, stats.forgotten);
        let templates = &self.templates;
        let known = templates.known();
        let stale = |id: u32| !known.contains(&id);
        let moved: Vec<u32> = self.kinds.values().map(|k| k.id).filter(|&id| stale(id)).collect();
        for id in moved {
            let to = templates.resolve(TemplateId::of(id)).get();
            let Some(kind) = self.kinds.remove(&u64::from(id)) else {
                continue;
            };
            if to != id && known.contains(&to) {
                match self.kinds.get_mut(&u64::from(to)) {
                    Some(other) => other.absorb(&kind),
                    None => drop(self.kinds.insert(u64::from(to), Kind { id: to, ..kind })),
                }
            }
        }
        self.pairs.forget(stale);
    }

    pub(super) fn bytes(&self) -> usize {
        let kinds: usize = self
            .kinds
            .values()
            .map(|k| size_of::<Kind>() + 16 + k.rate.bytes())
            .sum();
        self.templates.bytes() + kinds + self.trails.bytes() + self.pairs.bytes()
    }

    /// Named limits and how often each was hit.
    pub(super) fn limits(&self) -> [(&'static str, u64); 4] {
        let stats = self.templates.stats();
        [
            ("templates", stats.forgotten + stats.collapsed + stats.overflowed),
            ("trails", self.trails.unfollowed),
            ("pairs", self.pairs.forgotten),
            ("claims_per_minute", self.unclaimed),
        ]
    }

    pub(super) fn save(&self) -> Saved {
        let mut kinds: Vec<Kind> = self.kinds.values().cloned().collect();
        kinds.sort_by_key(|k| k.id);
        Saved {
            templates: self.templates.clone(),
            kinds,
            pairs: self.pairs.save(),
            errors: self.errors.clone(),
            all: self.all,
            last_ms: self.last_ms,
            first_ms: self.first_ms,
            deployed_ms: self.deployed_ms,
            deploys: self.deploys,
            newest: self.newest,
            release: self.release.clone(),
        }
    }

    pub(super) fn restore(saved: Saved, budget: usize) -> Self {
        let stats = saved.templates.stats();
        let mut service = Self::of(saved.templates, budget);
        service.kinds = saved.kinds.into_iter().map(|k| (u64::from(k.id), k)).collect();
        service.pairs = Pairs::restore(saved.pairs);
        (service.errors, service.all) = (saved.errors, saved.all);
        (service.last_ms, service.first_ms) = (saved.last_ms, saved.first_ms);
        (service.deployed_ms, service.deploys, service.newest) = (saved.deployed_ms, saved.deploys, saved.newest);
        (service.merged, service.forgotten) = (stats.merged, stats.forgotten);
        service.release = saved.release;
        service
    }

    /// The release that emitted last.
    pub(super) fn release(&self) -> Option<&ReleaseId> {
        self.release.as_ref()
    }
}

impl Kind {
    fn new(id: u32, now_ms: i64, facts: (i64, i64, u64)) -> Self {
        Self {
            id,
            lines: 0,
            errors: 0,
            severity: None,
            minute: 0,
            first_ms: now_ms,
            facts,
            stage: if id == TemplateId::OVERFLOW.get() {
                Stage::Known
            } else {
                Stage::Unseen
            },
            rate: Rate::default(),
            gaps: Gaps::default(),
            drifted: 0,
            by: nobody(),
        }
    }

    fn line(&mut self, severity: Option<Severity>, error: bool, now_ms: i64) {
        self.lines += 1;
        self.minute = self.minute.saturating_add(1);
        self.gaps.line(now_ms, true);
        if error {
            self.errors += 1;
            self.drifted += u64::from(self.lines > SETTLED && self.severity < Some(Severity::Warn));
        }
        // What it is said as is settled by its first lines; a later, higher one drifts.
        if self.lines <= SETTLED && severity > self.severity {
            self.severity = severity;
        }
    }

    /// Whether it is said to people: that debug logging was turned on or off is no news.
    fn is_spoken(&self) -> bool {
        self.severity.is_none_or(|severity| severity >= Severity::Info)
    }

    fn is_error(&self) -> bool {
        self.severity >= Some(Severity::Error)
    }

    fn facts(&self, now_ms: i64, has_predecessor: bool, variant: bool, singletons: f64) -> Facts {
        Facts {
            lines: self.lines,
            severity: self.severity,
            age_ms: now_ms - self.first_ms,
            started_ms: self.facts.0,
            watched_ms: self.facts.1,
            watched_lines: self.facts.2,
            has_predecessor,
            variant,
            singletons,
        }
    }

    fn absorb(&mut self, other: &Self) {
        self.lines += other.lines;
        self.errors += other.errors;
        self.minute = self.minute.saturating_add(other.minute);
        self.severity = self.severity.max(other.severity);
        self.first_ms = self.first_ms.min(other.first_ms);
        // Values, not news.
        self.stage = Stage::Known;
        self.rate.afresh();
    }
}

/// What is to be told of a minute.
#[derive(Default)]
struct Claims {
    rates: Vec<(u32, Look, Weight)>,
    stopped: Vec<(u32, super::regular::Silence, Weight)>,
    severer: Vec<(u32, u64, u64)>,
    fresh: Vec<(u32, u64, i64, Weight, Option<Severity>)>,
    broken: Vec<super::pairs::Broken>,
    worse: Vec<crate::detect::side::Worse>,
}

impl Claims {
    fn is_empty(&self) -> bool {
        self.rates.is_empty()
            && self.stopped.is_empty()
            && self.severer.is_empty()
            && self.fresh.is_empty()
            && self.broken.is_empty()
            && self.worse.is_empty()
    }

    /// Says it all. A claim is about the release that said the template last, where that is known.
    fn tell<'b>(&self, teller: &Teller<'_>, said_by: &dyn Fn(u32) -> Option<&'b ReleaseId>, out: &mut Vec<Anomaly>) {
        let from = out.len();
        let of = |id: u32| Teller {
            release: said_by(id).unwrap_or(teller.release),
            ..*teller
        };
        out.extend(self.worse.iter().map(|worse| besides(teller, worse)));
        for (id, lines, first, weight, severity) in &self.fresh {
            let said = severity.map_or_else(String::new, |s| format!(", as {s:?}").to_lowercase());
            out.push(of(*id).fresh(*id, *lines, *first, *weight, &said));
        }
        for broken in &self.broken {
            let many = broken.lacking * 10 >= broken.lines && broken.lacking >= 5;
            out.push(of(broken.of).broken(broken, if many { Weight::Page } else { Weight::Odd }));
        }
        out.extend(
            self.stopped
                .iter()
                .map(|(id, silence, weight)| of(*id).stopped(*id, silence, *weight)),
        );
        out.extend(
            self.rates
                .iter()
                .map(|(id, look, weight)| of(*id).rate(*id, look, *weight)),
        );
        out.extend(
            self.severer
                .iter()
                .map(|(id, lines, all)| of(*id).severer(*id, *lines, *all)),
        );
        // Pages first: the limit of a minute cuts what is merely odd.
        out[from..].sort_by_key(|a| std::cmp::Reverse(a.severity));
    }
}
