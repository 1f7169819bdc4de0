//! What can go wrong with the made-up service, by what it does to it; and what must be said of it.

/// What a fault does, beside what is healthy.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Effect {
    /// Share of requests that fail beside the usual.
    pub(super) failing: f64,
    /// Times the usual latency, and traffic.
    pub(super) latency: f64,
    pub(super) traffic: f64,
    /// Failures and latency are those of the first route only.
    pub(super) one_route: bool,
    pub(super) peer_failing: f64,
    pub(super) peer_latency: f64,
    pub(super) cache_misses: f64,
    /// Times the usual orders per request.
    pub(super) business: f64,
    pub(super) cpu: f64,
    pub(super) no_batch: bool,
    /// Leaked by each instance each minute.
    pub(super) leak_mib: f64,
    pub(super) leak_fds: f64,
    pub(super) backlog: bool,
    /// Of one gauge: shift and drift in parts of its level, noise, and being stuck.
    pub(super) shift: f64,
    pub(super) drift: f64,
    pub(super) noisier: f64,
    pub(super) stuck: bool,
    /// A metric that is no longer reported, and all of them.
    pub(super) mute: Option<&'static str>,
    pub(super) silent: bool,
    /// A deploy brings it.
    pub(super) deployed: bool,
}

impl Effect {
    pub(super) const NONE: Self = Self {
        failing: 0.0,
        latency: 1.0,
        traffic: 1.0,
        one_route: false,
        peer_failing: 0.0,
        peer_latency: 1.0,
        cache_misses: 0.0,
        business: 1.0,
        cpu: 1.0,
        no_batch: false,
        leak_mib: 0.0,
        leak_fds: 0.0,
        backlog: false,
        shift: 0.0,
        drift: 0.0,
        noisier: 1.0,
        stuck: false,
        mute: None,
        silent: false,
        deployed: false,
    };

    pub(super) fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// A fault.
pub(super) struct Fault {
    pub(super) name: &'static str,
    /// Whether users are hurt, so that it must page; else it must be said.
    pub(super) page: bool,
    /// How long it is watched, minutes.
    pub(super) minutes: i64,
    /// Words of the metrics that it changes: an odd claim counts if it names one.
    pub(super) about: &'static [&'static str],
    pub(super) effect: Effect,
}

const NONE: Effect = Effect::NONE;
const USERS: &[&str] = &["http.server", "/route"];
const GAUGE: &[&str] = &["app.gauge_1`"];

/// Every fault, one after the other.
pub(super) const FAULTS: &[Fault] = &[
    fault("error rate +5 %", true, 180, USERS, Effect { failing: 0.05, ..NONE }),
    fault("error rate +1.5 %", true, 180, USERS, Effect { failing: 0.015, ..NONE }),
    fault(
        "one route fails by half",
        true,
        180,
        USERS,
        Effect {
            failing: 0.5,
            one_route: true,
            ..NONE
        },
    ),
    fault("latency x3", true, 180, USERS, Effect { latency: 3.0, ..NONE }),
    fault(
        "latency x1.7",
        true,
        180,
        USERS,
        Effect {
            latency: 1.7,
            cpu: 1.5,
            ..NONE
        },
    ),
    fault(
        "one route x6 slower",
        true,
        180,
        USERS,
        Effect {
            latency: 6.0,
            one_route: true,
            ..NONE
        },
    ),
    fault("no traffic", true, 180, USERS, Effect { traffic: 0.01, ..NONE }),
    fault("traffic -70 %", true, 180, USERS, Effect { traffic: 0.3, ..NONE }),
    fault(
        "dependency fails by 30 %",
        true,
        180,
        &["http.client", "http.server", "/route"],
        Effect {
            peer_failing: 0.3,
            failing: 0.1,
            ..NONE
        },
    ),
    fault(
        "dependency slow x5",
        true,
        180,
        &["http.client", "http.server", "/route"],
        Effect {
            peer_latency: 5.0,
            latency: 1.6,
            ..NONE
        },
    ),
    fault(
        "cache misses",
        false,
        180,
        &["cache", "db."],
        Effect {
            cache_misses: 0.7,
            latency: 1.2,
            ..NONE
        },
    ),
    fault(
        "orders -60 %",
        false,
        180,
        &["orders", "payments"],
        Effect { business: 0.4, ..NONE },
    ),
    fault(
        "batch job does not run",
        false,
        DAY,
        &["batch"],
        Effect { no_batch: true, ..NONE },
    ),
    fault(
        "backlog grows",
        false,
        180,
        &["queue"],
        Effect { backlog: true, ..NONE },
    ),
    fault(
        "level shift of a gauge",
        false,
        180,
        GAUGE,
        Effect { shift: 0.5, ..NONE },
    ),
    fault("drift of a gauge", false, 720, GAUGE, Effect { drift: 1.0, ..NONE }),
    fault(
        "variance of a gauge x5",
        false,
        180,
        GAUGE,
        Effect { noisier: 5.0, ..NONE },
    ),
    fault(
        "flat gauge",
        false,
        360,
        &["app.gauge_2`"],
        Effect { stuck: true, ..NONE },
    ),
    fault(
        "a metric is missing",
        false,
        180,
        &["queue"],
        Effect {
            mute: Some("mail.queue.depth"),
            ..NONE
        },
    ),
    fault(
        "a service is silent",
        true,
        60,
        &["No metric"],
        Effect { silent: true, ..NONE },
    ),
    fault(
        "bad deploy, +4 % errors",
        true,
        180,
        USERS,
        Effect {
            failing: 0.04,
            deployed: true,
            ..NONE
        },
    ),
    fault(
        "bad deploy, latency x3",
        true,
        180,
        USERS,
        Effect {
            latency: 3.0,
            deployed: true,
            ..NONE
        },
    ),
    fault(
        "memory leak",
        true,
        2 * DAY,
        &["memory"],
        Effect {
            leak_mib: 0.8,
            deployed: true,
            ..NONE
        },
    ),
    fault(
        "descriptor leak",
        true,
        2 * DAY,
        &["descriptors"],
        Effect {
            leak_fds: 0.6,
            deployed: true,
            ..NONE
        },
    ),
];

const DAY: i64 = super::world::DAY;

const fn fault(name: &'static str, page: bool, minutes: i64, about: &'static [&'static str], effect: Effect) -> Fault {
    Fault {
        name,
        page,
        minutes,
        about,
        effect,
    }
}
