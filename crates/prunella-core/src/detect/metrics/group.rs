//! A group: all series of a metric of one service (a *family*), or those of them with the same attributes (a *slice*),
//! whatever instance and release they come from. Pods come and go; a group stays.

use super::super::side::Sides;
use super::apart::Apart;
use super::facet::{Facet, Measure};
use super::nature::{Kind, Nature};
use super::sketch::Sketch;

/// Observations that a mean and a percentile need to mean something.
const ENOUGH: f64 = 5.0;

/// What points told since the last look.
#[derive(Default)]
pub(super) struct Window {
    pub(super) points: u32,
    pub(super) count: f64,
    pub(super) failures: f64,
    pub(super) sum: f64,
    /// Sum and number of quantiles that were made elsewhere.
    pub(super) high: (f64, u32),
    pub(super) sketch: Option<Box<Sketch>>,
}

/// What a pass over all cells found of a group.
#[derive(Clone, Copy, Default)]
pub(super) struct Live {
    /// Series that report.
    pub(super) series: u32,
    /// The sum of their latest readings.
    pub(super) sum: f64,
    /// Their usual time between two points, ms: the longest.
    pub(super) cadence_ms: u32,
}

/// How long nothing has come.
#[derive(Clone, Copy, Default)]
pub(super) struct Silence {
    pub(super) looks: u32,
    pub(super) longest: u32,
    pub(super) told: bool,
}

/// A family or a slice.
pub(super) struct Group {
    /// The index of its service.
    pub(super) service: u32,
    /// The metric's name, made harmless.
    pub(super) metric: Box<str>,
    /// The attributes, made harmless.
    pub(super) labels: Box<str>,
    pub(super) unit: Box<str>,
    /// Its name over restarts.
    pub(super) name: u64,
    pub(super) kind: Kind,
    pub(super) nature: Nature,
    pub(super) window: Window,
    pub(super) live: Live,
    pub(super) silence: Silence,
    pub(super) facets: Vec<Facet>,
    /// Whether any of its series counts failures.
    pub(super) has_failures: bool,
    /// The family of a slice.
    pub(super) family: Option<u32>,
    /// A slice of this family that is gone: its place is free.
    pub(super) vacant: Option<u32>,
    /// Slices of this family.
    pub(super) slices: u32,
    /// Looks at which it had series.
    pub(super) looks: u32,
    /// Failures and slow ones by release, where several emit.
    pub(super) sides: Sides,
    /// Series that left the others.
    pub(super) apart: Apart,
}

impl Group {
    pub(super) fn new(service: u32, metric: Box<str>, labels: Box<str>, name: u64, kind: Kind, nature: Nature) -> Self {
        Self {
            service,
            metric,
            labels,
            unit: Box::default(),
            name,
            kind,
            nature,
            window: Window::default(),
            live: Live::default(),
            silence: Silence::default(),
            facets: Vec::new(),
            has_failures: false,
            family: None,
            vacant: None,
            slices: 0,
            looks: 0,
            sides: Sides::default(),
            apart: Apart::default(),
        }
    }

    pub(super) fn is_family(&self) -> bool {
        self.family.is_none()
    }

    /// Metric and labels.
    pub(super) fn title(&self) -> String {
        if self.is_family() {
            format!("`{}`", self.metric)
        } else {
            format!("`{}` {{{}}}", self.metric, self.labels)
        }
    }

    /// What to measure at this look, with the events behind each value; empties the window.
    pub(super) fn measure(&mut self) -> Vec<(Measure, f64, f64)> {
        let window = &mut self.window;
        let mut found = Vec::with_capacity(4);
        let live = self.live;
        if live.series == 0 {
            self.empty();
            return found;
        }
        match self.kind {
            Kind::Level => found.push((
                Measure::Level,
                live.sum / f64::from(live.series),
                f64::from(window.points),
            )),
            Kind::Counter | Kind::Distribution => found.push((Measure::Rate, live.sum, window.count)),
        }
        if self.kind == Kind::Distribution && window.count >= ENOUGH {
            if window.sum != 0.0 {
                found.push((Measure::Mean, window.sum / window.count, window.count));
            }
            let sketched = window
                .sketch
                .as_ref()
                .filter(|s| s.total() >= ENOUGH)
                .and_then(|s| s.quantile(0.95));
            let given = (window.high.1 > 0).then(|| window.high.0 / f64::from(window.high.1));
            found.extend(sketched.or(given).map(|high| (Measure::High, high, window.count)));
        }
        if self.has_failures && window.count > 0.0 {
            let share = (window.failures / window.count).clamp(0.0, 1.0);
            found.push((Measure::Failures, share, window.count));
        }
        self.empty();
        found
    }

    fn empty(&mut self) {
        let sketch = self.window.sketch.take().map(|mut sketch| {
            sketch.clear();
            sketch
        });
        self.window = Window {
            sketch,
            ..Window::default()
        };
    }

    /// The facet of a measure, made if it is new.
    pub(super) fn facet(&mut self, measure: Measure) -> &mut Facet {
        let known = self.facets.iter().position(|facet| facet.measure == measure);
        let at = known.unwrap_or_else(|| {
            self.facets.push(Facet::new(measure));
            self.facets.len() - 1
        });
        &mut self.facets[at]
    }

    pub(super) fn bytes(&self) -> usize {
        let text = self.metric.len() + self.labels.len() + self.unit.len();
        let facets: usize = self.facets.iter().map(Facet::bytes).sum();
        let sketch = self.window.sketch.as_ref().map_or(0, |_| size_of::<Sketch>());
        size_of::<Self>() + text + facets + sketch + self.sides.bytes()
    }
}
