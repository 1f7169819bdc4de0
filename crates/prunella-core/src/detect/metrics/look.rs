//! Once a minute: what every group is now, what its detectors say, and what has stopped.

use super::cells::{Cell, NONE};
use super::facet::REMEMBERED;
use super::group::Live;
use super::judge;
use super::nature::Nature;
use super::{LOOK_MS, Metrics, digest, say};
use crate::detect::key::mix;
use crate::detect::{Anomaly, AnomalyKind, Severity};

/// Looks after which a silent series is dropped.
const DROP: u32 = 240;
/// A slice that was silent for this many looks gives its place to another: no cell points to it any more.
const GONE: u32 = 6 * DROP;
/// Odd claims of one look that are told; the rest is counted.
const MAX_CLAIMS: usize = 50;
/// Looks before a group's silence means anything, and the least silence that is told.
const KNOWN: u32 = 120;
const SILENT: u32 = 5;
/// Looks of silence of all of a service's metrics that are a page: what collects them may be upgraded in the meantime.
const ALL_SILENT: u32 = 15;
/// Looks (a day) before a service's silence is worth a page.
const SETTLED: u32 = 1_440;

impl Metrics {
    pub(super) fn look(&mut self, now_ms: i64, out: &mut Vec<Anomaly>) {
        self.look = self.look.saturating_add(1);
        self.count_live();
        let claims = self.measure(now_ms);
        let room = claims.len().min(MAX_CLAIMS);
        self.lost.claims += (claims.len() - room) as u64;
        out.extend(claims.into_iter().take(room));
        self.find_silent(now_ms, out);
        for (index, service) in (0..).zip(&mut self.services) {
            judge::judge(index, service, &mut self.groups, self.look, now_ms, out);
        }
    }

    /// One pass over all cells: the sums of the latest readings. Sums that are kept up to date instead would collect
    /// rounding errors, and one absurd value would stay in them for ever.
    fn count_live(&mut self) {
        let look = self.look;
        for group in &mut self.groups {
            group.live = Live::default();
        }
        let mut dead = 0_usize;
        for cell in self.cells.each() {
            let silent = look.saturating_sub(cell.seen);
            dead += usize::from(silent > DROP);
            if !cell.read || cell.absent || silent > patience(cell) {
                continue;
            }
            for at in [cell.family, cell.slice] {
                if at != NONE {
                    let live = &mut self.groups[at as usize].live;
                    live.series += 1;
                    live.sum += f64::from(cell.reading);
                    live.cadence_ms = live.cadence_ms.max(cell.cadence_ms);
                }
            }
        }
        if dead > 1_024.max(self.cells.len() / 16) || look.is_multiple_of(DROP) && dead > 0 {
            self.cells.retain(|cell| look.saturating_sub(cell.seen) <= DROP);
            self.streams.retain(|key| self.cells.find(key).is_some());
        }
    }

    /// Every group's values go to its detectors.
    fn measure(&mut self, now_ms: i64) -> Vec<Anomaly> {
        let look = self.look;
        let mut found = Vec::new();
        for at in 0..self.groups.len() {
            let group = &mut self.groups[at];
            group.looks += u32::from(group.live.series > 0);
            let nature = group.nature;
            let mut claimed = Vec::new();
            for (measure, value, amount) in group.measure() {
                let facet = group.facet(measure);
                if let Some(claim) = facet.look(now_ms, look, value, nature, amount) {
                    claimed.push((measure, claim));
                }
            }
            if !self.family_speaks(at) {
                let group = &self.groups[at];
                let service = &mut self.services[group.service as usize];
                let index = u32::try_from(at).expect("groups are counted by 32 bits");
                for (measure, claim) in claimed {
                    let thing = mix(group.name, 2 + 2 * measure as u64 + u64::from(claim.alarm.upwards));
                    if service.habits.recurs(thing, now_ms) {
                        self.lost.passing += 1;
                    } else {
                        self.lost.claims += u64::from(!service.digest.wait(index, measure, claim));
                    }
                }
            }
        }
        for service in &mut self.services {
            let told = service.digest.look(&self.groups, look, &mut self.lost.passing);
            found.extend(digest::anomaly(service, &self.groups, &told, now_ms));
        }
        self.tell_apart(now_ms, &mut found);
        found
    }

    /// Whether the family of this slice has claimed lately: one claim for one metric is enough.
    fn family_speaks(&self, at: usize) -> bool {
        let family = self.groups[at].family.map(|family| &self.groups[family as usize]);
        let lately = |claim: &super::facet::Claim| self.look.saturating_sub(claim.look) < REMEMBERED;
        family.is_some_and(|family| family.facets.iter().any(|f| f.claim.as_ref().is_some_and(lately)))
    }

    fn find_silent(&mut self, now_ms: i64, out: &mut Vec<Anomaly>) {
        let mut silent = Vec::new();
        for (at, group) in self.groups.iter_mut().enumerate() {
            let silence = &mut group.silence;
            if group.live.series > 0 {
                if silence.looks > 0 {
                    silence.longest = silence.longest.max(silence.looks);
                }
                (silence.looks, silence.told) = (0, false);
                continue;
            }
            silence.looks = silence.looks.saturating_add(1);
            if silence.looks > GONE
                && let Some(family) = group.family
            {
                self.names.remove(&group.name);
                silent.push((Silent::Gone(family), at));
                continue;
            }
            let known = group.looks >= KNOWN && !group.facets.is_empty();
            if known && !silence.told && silence.looks > SILENT.max(2 * silence.longest) {
                silence.told = true;
                if group.is_family() {
                    silent.push((Silent::Stopped, at));
                }
            }
        }
        for (what, at) in &silent {
            if let Silent::Gone(family) = what {
                self.groups[*family as usize].vacant = u32::try_from(*at).ok();
            }
        }
        let stopped: Vec<usize> = silent
            .iter()
            .filter(|(what, _)| matches!(what, Silent::Stopped))
            .map(|(_, at)| *at)
            .collect();
        self.services_silent(now_ms, out);
        for at in stopped.into_iter().take(MAX_CLAIMS) {
            self.tell_stopped(at, now_ms, out);
        }
    }

    /// A service of which nothing comes any more. When most services fall silent together, the way to here is to blame.
    fn services_silent(&mut self, now_ms: i64, out: &mut Vec<Anomaly>) {
        let mut all = Vec::new();
        for service in &mut self.services {
            service.looks = service.looks.saturating_add(1);
            let families = || service.families.iter().map(|&at| &self.groups[at as usize]);
            let known = families().filter(|group| group.looks >= KNOWN);
            let speaks = families().any(|group| group.live.series > 0);
            let told = known.clone().count() > 0
                && known
                    .clone()
                    .all(|group| group.silence.told && group.silence.looks >= ALL_SILENT);
            if speaks {
                service.silent = false;
            }
            all.push(!speaks && told);
        }
        let silent = all.iter().filter(|silent| **silent).count();
        let ours = all.len() > 2 && 2 * silent > all.len();
        for (service, _) in self
            .services
            .iter_mut()
            .zip(all)
            .filter(|(s, silent)| *silent && !s.silent)
        {
            service.silent = true;
            let severity = if ours || service.looks < SETTLED {
                Severity::Odd
            } else {
                Severity::Page
            };
            let mut anomaly = say::anomaly(service, now_ms, AnomalyKind::Missing, severity);
            anomaly.evidence.push(if ours {
                "No metric comes any more, as of most services: what collects them may be at fault.".to_owned()
            } else {
                "No metric comes any more from this service.".to_owned()
            });
            out.push(anomaly);
        }
    }

    fn tell_stopped(&self, at: usize, now_ms: i64, out: &mut Vec<Anomaly>) {
        let group = &self.groups[at];
        let service = &self.services[group.service as usize];
        let families = || service.families.iter().map(|&at| &self.groups[at as usize]);
        if families().all(|family| family.live.series == 0) {
            return;
        }
        let expected = group.facets.first().map_or(0.0, |facet| 60.0 * facet.seen.expected);
        let hurts = group.nature == Nature::Traffic && expected >= 30.0 && service.looks >= SETTLED;
        let severity = if hurts { Severity::Page } else { Severity::Odd };
        let mut anomaly = say::anomaly(service, now_ms, AnomalyKind::Missing, severity);
        anomaly.onset_ms = now_ms - i64::from(group.silence.looks) * LOOK_MS;
        anomaly.evidence.push(format!(
            "{} has not come for {} minutes; other metrics of the service do.",
            group.title(),
            i64::from(group.silence.looks) * LOOK_MS / 60_000
        ));
        out.push(anomaly);
    }
}

enum Silent {
    Stopped,
    Gone(u32),
}

/// Looks for which a series may say nothing and still counts.
fn patience(cell: &Cell) -> u32 {
    let usual = f64::from(cell.cadence_ms) / LOOK_MS as f64;
    (2.5 * usual).ceil().clamp(2.0, 30.0) as u32
}
