use super::*;
use crate::detect::Severity;
use crate::detect::testing::{Prng, World, release};
use crate::signal::Place;

/// An answer in a small notation: `{a:n,b:s5,c:l3,d:0,e:null,f:-,g:n.2}` are a number, a text of five bytes, a list of
/// three numbers, a zero, null, a negative number, and a number with a fraction.
pub(super) fn shape(release_name: &str, route: &str, body: &str) -> ResponseShape {
    let inner = body.trim_start_matches('{').trim_end_matches('}');
    let fields: Vec<(&str, &str)> = inner.split(',').filter_map(|f| f.split_once(':')).collect();
    let mut places = vec![Place {
        objects: 1,
        size: fields.len() as u64,
        ..Place::default()
    }];
    for (name, value) in fields {
        places.extend(place(name, value));
    }
    ResponseShape {
        at_ms: 0,
        release: release(release_name),
        route: route.to_owned(),
        role: Role::Primary,
        status: 200,
        media: "application/json".to_owned(),
        target: 1,
        bytes: 100 + body.len() as u64,
        complete: true,
        sound: true,
        hash: 0,
        places,
    }
}

fn place(name: &str, value: &str) -> Vec<Place> {
    let mut p = Place {
        at: name.to_owned(),
        ..Place::default()
    };
    let (kind, rest) = value.split_at(1);
    let n: u64 = rest.parse().unwrap_or(0);
    match kind {
        _ if value == "null" => p.nulls = 1,
        "n" => {
            p.numbers = 1;
            p.exponents = 5;
            p.fractions = u32::from(rest.starts_with('.'));
        }
        "0" => (p.numbers, p.zeros) = (1, 1),
        "-" => (p.numbers, p.negatives, p.exponents, p.fractions) = (1, 1, 5, 1),
        "s" => (p.strings, p.size, p.empty) = (1, n, u32::from(n == 0)),
        "l" => {
            (p.arrays, p.size, p.empty) = (1, n, u32::from(n == 0));
            let elements = Place {
                at: format!("{name}[]"),
                numbers: u32::try_from(n).unwrap(),
                exponents: 3 * i64::try_from(n).unwrap(),
                ..Place::default()
            };
            return if n > 0 { vec![p, elements] } else { vec![p] };
        }
        other => panic!("{other}"),
    }
    vec![p]
}

struct Case {
    world: World<Shape>,
    now_ms: i64,
    target: u32,
    rng: Prng,
}

impl Case {
    fn new(seed: u64) -> Self {
        Self {
            world: World::new(Shape::default()),
            now_ms: 0,
            target: 0,
            rng: Prng::new(seed),
        }
    }

    fn answer(&mut self, release_name: &str, body: &str) -> Vec<Anomaly> {
        self.now_ms += 50;
        self.target += 1;
        let mut shape = shape(release_name, "GET /a", body);
        shape.at_ms = self.now_ms;
        shape.target = self.target % 40;
        shape.hash = self.target;
        self.world.see(shape)
    }

    /// Answers of the good release, one of ten without `b` and lists of three to six.
    fn healthy(&mut self, release_name: &str, n: u32) -> Vec<Anomaly> {
        (0..n)
            .flat_map(|_| {
                let b = if self.rng.chance(0.1) {
                    "null".to_owned()
                } else {
                    format!("s{}", 3 + self.rng.next() % 9)
                };
                let body = format!("{{a:n.2,b:{b},c:l{}}}", 3 + self.rng.next() % 4);
                self.answer(release_name, &body)
            })
            .collect()
    }

    /// The answers until the first page, and its first sentence.
    fn pages(&mut self, release_name: &str, bodies: &[&str], most: usize) -> Option<(usize, String)> {
        (0..most).find_map(|i| {
            let found = self.answer(release_name, bodies[i % bodies.len()]);
            let page = found.into_iter().find(|a| a.severity == Severity::Page)?;
            Some((i + 1, page.evidence[0].clone()))
        })
    }
}

/// What a new release answers, and what is said of it within how many answers.
fn check(bodies: &[&str], said: &str, within: usize) {
    let mut case = Case::new(3);
    assert!(case.healthy("lkg", 600).is_empty());
    let (after, sentence) = case
        .pages("new", bodies, 400)
        .unwrap_or_else(|| panic!("{bodies:?}: nothing was said"));
    assert!(sentence.contains(said), "{sentence}");
    assert!(after <= within, "{bodies:?} after {after}");
}

#[test]
fn a_new_release_that_answers_otherwise() {
    check(&["{a:n.2,b:s5}"], "`c` is missing", 8);
    check(&["{a:n.2,b:s5,c:l0}"], "`c`", 8);
    check(&["{a:s4,b:s5,c:l4}"], "`a` is a text", 8);
    check(&["{a:null,b:s5,c:l4}"], "`a` is null", 8);
    check(&["{a:0,b:s5,c:l4}"], "`a` is", 8);
    check(&["{a:n,b:s5,c:l4}"], "`a` has no fraction", 8);
    check(&["{a:-,b:s5,c:l4}"], "`a` is below zero", 8);
    check(&["{a:n.2,b:s5,c:l1}"], "`c` is smaller", 8);
    check(
        &["{a:n.2,b:s5,c:l4}", "{a:n.2,b:s5,c:l4}", "{a:n.2,b:s5,c:l0}"],
        "`c` is",
        40,
    );
    check(&["{a:n.2,b:null,c:l4}", "{a:n.2,b:s5,c:l4}"], "`b` is null", 130);
    let whole = "{a:n.2,b:s5,c:l4}";
    check(&[whole, whole, whole, "{a:n.2,b:s5}"], "`c` is missing", 48);
    check(&["{a:n.2,b:s5,c:l12}"], "`c` is larger", 16);
}

#[test]
fn a_healthy_release_with_a_field_more_pages_nobody() {
    for seed in 0..40 {
        let mut case = Case::new(seed);
        assert!(case.healthy("lkg", 400).is_empty(), "{seed}");
        let found = case.healthy("new", 600);
        assert!(found.is_empty(), "{seed}: {found:?}");
    }
    let mut case = Case::new(1);
    case.healthy("lkg", 600);
    assert_eq!(
        case.pages("new", &["{a:n.2,b:s5,c:l4,d:n}", "{a:n.2,b:s5,c:l6,d:n}"], 400),
        None
    );
}

#[test]
fn the_good_release_is_compared_with_its_own_past() {
    let mut case = Case::new(5);
    case.healthy("lkg", 3_000);
    let (after, sentence) = case.pages("lkg", &["{a:n.2,b:s5,c:l0}"], 200).unwrap();
    assert!(
        sentence.contains("`c` is empty") && sentence.contains("before"),
        "{sentence}"
    );
    assert!(after <= 60, "{after}");
    // Longer lists and smaller numbers are for the data to decide.
    let mut case = Case::new(6);
    case.healthy("lkg", 3_000);
    assert_eq!(case.pages("lkg", &["{a:n,b:s50,c:l20}"], 200), None);
}

#[test]
fn one_odd_resource_asked_again_and_again_is_no_odd_release() {
    let mut case = Case::new(9);
    case.healthy("lkg", 600);
    for _ in 0..200 {
        case.target = 39;
        let found = case.answer("new", "{a:n.2,b:s5,c:l0}");
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn stale_answers_no_longer_follow_the_data() {
    let mut case = Case::new(11);
    let mut ask = |release_name: &str, hash: u32| {
        case.now_ms += 50;
        let mut shape = shape(release_name, "GET /today", "{a:n}");
        (shape.at_ms, shape.hash) = (case.now_ms, hash);
        case.world.see(shape)
    };
    assert!((0..400).all(|i| ask("lkg", i).is_empty()));
    let found: Vec<Anomaly> = (0..40).flat_map(|_| ask("new", 7)).collect();
    assert!(
        found[0].evidence[0].contains("the same as the time before"),
        "{found:?}"
    );
    assert_eq!(found[0].severity, Severity::Page);
    assert_eq!(claim_of(&found[0]), Some((String::new(), Trait::Unchanged)));
}

#[test]
fn accepted_is_normal_and_state_survives_a_restart() {
    let mut case = Case::new(13);
    case.healthy("lkg", 300);
    let other = "{a:n.2,b:s5}";
    assert!(case.pages("new", &[other], 100).is_some());
    (0..60).for_each(|_| drop(case.answer("new", other)));
    case.world.ctx.lkg = Some(release("new"));
    let saved = serde_json::to_string(&case.world.detector.snapshot().unwrap()).unwrap();
    let mut restored = Shape::default();
    restored.restore(&serde_json::from_str(&saved).unwrap()).unwrap();
    assert_eq!(restored.0, case.world.detector.0);
    case.world.detector = restored;
    assert_eq!(case.pages("new", &[other], 200), None);
}
