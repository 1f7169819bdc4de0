//! Whole stories of one service: what is claimed, what is not, limits and saved state.

use super::testing::{origin, quiet};
use super::*;
use crate::detect::{AnomalyKind, Severity as Weight};
use crate::signal::Severity;

struct World {
    watch: LogTemplates,
    now_ms: i64,
    n: u64,
    release: u32,
}

impl World {
    fn new() -> Self {
        Self {
            watch: LogTemplates::new(8 << 20),
            now_ms: 1_000_000,
            n: 10_000,
            release: 0,
        }
    }

    /// Some seconds of a healthy service, and what `more` says besides.
    fn live(&mut self, seconds: i64, more: impl Fn(i64) -> Option<(Severity, String)>) -> Vec<Anomaly> {
        let mut out = Vec::new();
        for second in 0..seconds {
            self.now_ms += 1_000;
            self.watch.tick(self.now_ms, &mut out);
            self.n += 1;
            self.say(Severity::Info, &format!("request req-{} started", self.n));
            self.say(
                Severity::Info,
                &format!("request req-{} finished in {} ms", self.n, self.n % 90),
            );
            if second % 30 == 0 {
                self.say(Severity::Info, "heartbeat of the worker");
            }
            if let Some((severity, line)) = more(second) {
                self.say(severity, &line);
            }
        }
        out
    }

    fn say(&mut self, severity: Severity, line: &str) {
        let severity = Some(severity);
        let record = LogView {
            severity,
            ..quiet(line, self.now_ms)
        };
        self.watch.log(&origin(self.release), &record, &mut Vec::new());
    }

    fn deploy(&mut self) {
        self.release += 1;
        self.watch.deployed(&origin(self.release), self.now_ms);
    }
}

fn kinds(found: &[Anomaly]) -> Vec<(AnomalyKind, Weight)> {
    found.iter().map(|a| (a.kind, a.severity)).collect()
}

fn error(n: i64) -> Option<(Severity, String)> {
    (n % 20 == 0).then(|| (Severity::Error, format!("cannot price item {n}: no rate")))
}

#[test]
fn the_first_hours_are_quiet_and_a_release_that_says_a_new_error_is_a_page() {
    let mut world = World::new();
    assert_eq!(world.live(7_200, |_| None), []);
    world.deploy();
    let found = world.live(180, error);
    assert_eq!(
        kinds(&found).last(),
        Some(&(AnomalyKind::NewTemplate, Weight::Page)),
        "{found:?}"
    );
    let page = found.last().unwrap();
    assert!(page.evidence[0].contains("cannot price item <*>: no rate"), "{page:?}");
    assert!(page.evidence[1].contains("variables: 0"), "{page:?}");
    assert_eq!(page.release, origin(1).release);
}

#[test]
fn statements_are_named_where_the_source_is_known() {
    struct One;
    impl Sources for One {
        fn locate(&self, _: &ServiceName, _: &crate::id::ReleaseId, literals: &[&str]) -> Vec<Statement> {
            let found = literals.first() == Some(&"cannot price item");
            found
                .then(|| Statement {
                    file: "shop/price.py".into(),
                    line: 7,
                    score: 1.0,
                })
                .into_iter()
                .collect()
        }
    }
    let mut world = World::new();
    world.watch.sources(&(Arc::new(One) as Arc<dyn Sources>));
    world.live(3_600, |_| None);
    world.deploy();
    let found = world.live(180, error);
    assert!(
        found
            .iter()
            .any(|a| a.evidence.iter().any(|e| e.contains("shop/price.py:7"))),
        "{found:?}"
    );
}

#[test]
fn users_are_no_news_and_start_up_chatter_is_none_either() {
    let mut world = World::new();
    world.live(3_600, |_| None);
    world.deploy();
    world.say(Severity::Info, "feature wave beta enabled");
    let names = ["ada", "bela", "chuck", "dora", "emil", "fritz", "gus", "hanna", "ida"];
    let found = world.live(1_800, |n| {
        (n % 40 == 0).then(|| {
            (
                Severity::Info,
                format!("session opened for user {} by sshd", names[n as usize / 40 % 9]),
            )
        })
    });
    let pages: Vec<&Anomaly> = found.iter().filter(|a| a.severity == Weight::Page).collect();
    assert!(pages.is_empty() && found.len() <= 1, "{found:?}");
}

#[test]
fn a_start_without_its_end_is_an_order_that_is_broken() {
    let mut world = World::new();
    world.live(7_200, |_| None);
    let mut out = Vec::new();
    for _ in 0..600 {
        world.now_ms += 1_000;
        world.watch.tick(world.now_ms, &mut out);
        world.n += 1;
        world.say(Severity::Info, &format!("request req-{} started", world.n));
    }
    let broken: Vec<&Anomaly> = out.iter().filter(|a| a.kind == AnomalyKind::Order).collect();
    assert_eq!(broken.len(), 1, "{out:?}");
    assert!(broken[0].evidence[0].contains("finished in <*>"), "{broken:?}");
    assert_eq!(broken[0].severity, Weight::Page);
}

#[test]
fn a_restart_of_the_watcher_forgets_nothing() {
    let mut world = World::new();
    world.live(7_200, |_| None);
    let saved = serde_json::to_string(&world.watch.snapshot().unwrap()).unwrap();
    world.watch = LogTemplates::new(8 << 20);
    world.watch.restore(&serde_json::from_str(&saved).unwrap()).unwrap();
    assert_eq!(world.live(600, |_| None), []);
    let found = world.live(300, |n| {
        (n % 5 == 0).then(|| (Severity::Error, "pool exhausted while waiting".to_owned()))
    });
    assert!(
        kinds(&found).contains(&(AnomalyKind::NewTemplate, Weight::Page)),
        "{found:?}"
    );
    assert!(world.watch.restore(&serde_json::json!({"shop": 1})).is_err());
}

#[test]
fn memory_stays_within_the_budget_and_what_did_not_fit_is_counted() {
    let budget = 4 << 20;
    let mut watch = LogTemplates::new(budget);
    let mut out = Vec::new();
    for n in 0..40_000_u64 {
        let words: String = (0..12).map(|i| if n >> i & 1 == 1 { "go; " } else { "go " }).collect();
        let line = format!("{words}id-{n}");
        let mut origin = origin(0);
        origin.service_key = (n % 9) as u32;
        watch.log(&origin, &quiet(&line, 1_000_000), &mut out);
        if n % 1_000 == 0 {
            watch.tick(1_000_000 + n as i64 * 60, &mut out);
        }
    }
    assert!(watch.bytes() <= budget + budget / 2, "{} of {budget}", watch.bytes());
    let hit: Vec<&str> = watch
        .overflows()
        .iter()
        .filter(|o| o.count > 0)
        .map(|o| o.limit)
        .collect();
    assert!(hit.contains(&"services") && hit.contains(&"templates"), "{hit:?}");
}

impl World {
    /// Two releases emit for some seconds; each line of theirs is an error by these chances in a thousand.
    fn side_by_side(&mut self, seconds: i64, errors: [u64; 2]) -> Vec<Anomaly> {
        let mut out = Vec::new();
        let mut prng = crate::detect::testing::Prng::new(17);
        for _ in 0..seconds {
            self.now_ms += 1_000;
            self.watch.tick(self.now_ms, &mut out);
            for (release, errors) in [0, 1].into_iter().zip(errors) {
                for _ in 0..10 {
                    let error = prng.next() % 1_000 < errors;
                    let line = if error { "the pool is empty" } else { "order taken" };
                    let severity = Some(if error { Severity::Error } else { Severity::Info });
                    let record = LogView {
                        severity,
                        ..quiet(line, self.now_ms)
                    };
                    self.watch.log(&origin(release), &record, &mut Vec::new());
                }
            }
        }
        out
    }
}

#[test]
fn a_release_that_says_more_errors_than_another_at_the_same_time() {
    let beside = |errors| {
        let mut world = World::new();
        let found = world.side_by_side(900, errors);
        let is = |a: &Anomaly| a.baseline.contains("at the same time");
        found.into_iter().filter(is).collect::<Vec<Anomaly>>()
    };
    let found = beside([5, 150]);
    assert_eq!(kinds(&found), [(AnomalyKind::LogRate, Weight::Page)], "{found:?}");
    assert_eq!(found[0].release.as_str(), "r1");
    assert!(found[0].evidence[0].contains("errors in release r1"), "{found:?}");
    // What hurts both, or the older one alone, is not the new one's fault.
    for errors in [[5, 5], [150, 150], [150, 5]] {
        assert_eq!(beside(errors), [], "{errors:?}");
    }
}

#[test]
fn a_claim_is_about_the_release_that_said_it() {
    let mut world = World::new();
    world.live(7_200, |_| None);
    world.deploy();
    let (old, new) = (origin(0), origin(1));
    let mut found = Vec::new();
    for second in 0..240_i64 {
        world.now_ms += 1_000;
        world.watch.tick(world.now_ms, &mut found);
        let mut say = |from: &Origin, severity: Severity, line: &str| {
            let record = LogView {
                severity: Some(severity),
                ..quiet(line, world.now_ms)
            };
            world.watch.log(from, &record, &mut Vec::new());
        };
        if second % 20 == 0 {
            say(&new, Severity::Error, &format!("cannot price item {second}: no rate"));
        }
        // The old release goes on and has the last word.
        say(&old, Severity::Info, &format!("request req-{second} started"));
        say(
            &old,
            Severity::Info,
            &format!("request req-{second} finished in {second} ms"),
        );
    }
    let page = found
        .iter()
        .find(|a| a.kind == AnomalyKind::NewTemplate && a.severity == Weight::Page);
    let page = page.unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(page.release.as_str(), "r1");
    assert!(page.evidence.iter().any(|e| e.contains("Release r1 says")), "{page:?}");
}

#[test]
fn what_is_said_once_while_starting_makes_no_chatterbox() {
    let mut world = World::new();
    for n in 0..60 {
        let word = char::from(b'a' + u8::try_from(n % 26).unwrap())
            .to_string()
            .repeat(3 + n / 26);
        world.say(Severity::Info, &format!("setting {word} is what it was"));
        world.say(Severity::Info, &format!("{word} {word} loaded by {word}"));
    }
    world.live(7_200, |_| None);
    let warned = |n: i64| (n == 10).then(|| (Severity::Warn, "request body is no calendar".to_owned()));
    let found = world.live(180, warned);
    assert_eq!(kinds(&found), [(AnomalyKind::NewTemplate, Weight::Odd)], "{found:?}");
}
