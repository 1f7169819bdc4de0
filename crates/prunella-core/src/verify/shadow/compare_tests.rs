use proptest::prelude::*;

use super::*;
use crate::verify::shadow::{Grade, Reply, gate_of};
use crate::verify::{GateResult, GateStatus};

fn answer(body: &str) -> Answer {
    let reply = Reply::Response {
        status: 200,
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.as_bytes().to_vec(),
        digest: None,
    };
    Answer::of(&reply, 1_000)
}

fn asked(number: usize) -> Asked {
    Asked {
        route: "GET /x".into(),
        label: format!("GET /x?{number}"),
        expected: false,
        whole: None,
    }
}

fn trio(bodies: [&str; 3]) -> Answers {
    let [primary, candidate, secondary] = bodies.map(answer);
    Answers {
        primary,
        candidate,
        secondary,
        base: None,
    }
}

/// Asks as the product does: all requests once, and then what seems changed twice of further trios.
fn run(requests: usize, mut of: impl FnMut(usize) -> [String; 3]) -> Shadow {
    let mut comparison = Comparison::default();
    let mut ask: Vec<usize> = (0..requests).collect();
    for _ in 0..super::super::TRIOS {
        let seen: Vec<(usize, Asked, Answers)> = ask
            .iter()
            .map(|n| {
                let bodies = of(*n);
                (*n, asked(*n), trio([&bodies[0], &bodies[1], &bodies[2]]))
            })
            .collect();
        comparison.add_trio(&seen);
        let again = comparison.suspects().unwrap();
        if again.is_empty() {
            break;
        }
        ask = again.iter().chain(&again).copied().collect();
    }
    comparison.report("good", "candidate")
}

fn changed(shadow: &Shadow) -> Vec<(String, Way)> {
    shadow
        .against(Grade::Changed)
        .map(|f| (f.place.clone(), f.way))
        .collect()
}

#[test]
fn a_change_in_one_answer_of_many_is_found() {
    let shadow = run(300, |n| {
        let right = format!("{{\"a\":{n},\"b\":[1,2]}}");
        let wrong = if n == 117 {
            right.replace("[1,2]", "[1]")
        } else {
            right.clone()
        };
        [right.clone(), wrong, right]
    });
    assert_eq!(
        changed(&shadow),
        [("body b".to_owned(), Way::Count), ("body b/[]".to_owned(), Way::Value)]
    );
    let GateResult { status, why, .. } = gate_of(Some(&shadow));
    assert_eq!(status, GateStatus::Failed);
    assert!(
        why.contains("GET /x?117: body b has another number of items (2 items before, 1 items now)"),
        "{why}"
    );
}

#[test]
fn identifiers_times_and_random_keys_are_learnt_and_what_is_beside_them_is_seen() {
    let mut tick = 0_u64;
    let mut body = |wrong: bool| {
        tick += 1;
        let price = if wrong { "null" } else { "7" };
        let hash = tick.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{{\"at\":{tick},\"id\":\"{hash:016x}\",\"by\":{{\"k{hash:x}\":{{\"price\":{price}}}}}}}")
    };
    let mut same = || [body(false), body(false), body(false)];
    let shadow = run(200, |_| same());
    assert!(shadow.findings.is_empty(), "{:?}", shadow.findings);
    assert_eq!(gate_of(Some(&shadow)).status, GateStatus::Passed);
    let shadow = run(200, |_| [body(false), body(true), body(false)]);
    let places: BTreeSet<String> = changed(&shadow).into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, BTreeSet::from(["body by/*/price".to_owned()]));
}

#[test]
fn one_that_stood_out_once_is_noise() {
    let mut looks = 0;
    let shadow = run(100, |n| {
        looks += 1;
        let odd = if n == 7 && looks <= 100 {
            "{\"a\":2}"
        } else {
            "{\"a\":1}"
        };
        ["{\"a\":1}", odd, "{\"a\":1}"].map(ToOwned::to_owned)
    });
    assert!(shadow.findings.is_empty(), "{:?}", shadow.findings);
    assert!(shadow.trios > 1);
}

#[test]
fn what_only_one_trio_could_show_is_too_thin() {
    let mut comparison = Comparison::default();
    comparison.add_trio(&[(0, asked(0), trio(["[1]", "[2]", "[1]"]))]);
    let shadow = comparison.report("good", "candidate");
    assert_eq!(shadow.against(Grade::Suspected).count(), 1);
    assert_eq!(gate_of(Some(&shadow)).status, GateStatus::NotRun);
}

#[test]
fn expected_and_carried_differences_do_not_count() {
    let mut comparison = Comparison::default();
    for _ in 0..4 {
        let mut carried = trio(["[1]", "[2]", "[1]"]);
        carried.base = Some(answer("[2]"));
        let expected = Asked {
            expected: true,
            ..asked(1)
        };
        comparison.add_trio(&[(0, asked(0), carried), (1, expected, trio(["[1]", "[3]", "[1]"]))]);
    }
    assert!(comparison.suspects().unwrap().is_empty());
    let shadow = comparison.report("good", "candidate");
    let kinds: BTreeSet<(bool, bool)> = shadow.findings.iter().map(|f| (f.carried, f.expected)).collect();
    assert_eq!(kinds, BTreeSet::from([(true, false), (false, true)]));
    assert_eq!(gate_of(Some(&shadow)).status, GateStatus::Passed);
}

#[test]
fn a_slower_route_is_found_by_what_most_requests_show() {
    let timed = |us: u64| Answer::of(&Reply::Nothing { what: "x".into() }, us);
    let run = |base: Option<u64>| {
        let mut comparison = Comparison::default();
        for _ in 0..4 {
            let of = |n: usize| Answers {
                primary: timed(10_000 + n as u64),
                candidate: timed(30_000),
                secondary: timed(10_010 - n as u64),
                base: base.map(timed),
            };
            let seen: Vec<_> = (0..12).map(|n| (n, asked(n), of(n))).collect();
            comparison.add_trio(&seen);
        }
        changed(&comparison.report("good", "candidate"))
    };
    let slower = [("latency".to_owned(), Way::Latency)];
    assert_eq!(run(None), slower);
    assert_eq!(run(Some(10_000)), slower);
    assert!(run(Some(28_000)).is_empty(), "the base is as slow");
}

#[test]
fn nothing_compared_is_not_a_pass() {
    assert_eq!(gate_of(Some(&Shadow::default())).status, GateStatus::NotRun);
    assert_eq!(
        gate_of(Some(&Shadow::not_run("a", "b", "no"))).status,
        GateStatus::NotRun
    );
    assert_eq!(gate_of(None).status, GateStatus::NotApplicable);
}

/// JSON of any form.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        "[a-z0-9 -]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..5)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever the answers are: equal ones differ nowhere, and any change of a steady answer is found.
    #[test]
    fn a_steady_answer_changes_exactly_if_it_is_changed(one in any_json(), other in any_json()) {
        let (one_text, other_text) = (one.to_string(), other.to_string());
        let shadow = run(3, |_| [one_text.clone(), one_text.clone(), one_text.clone()]);
        prop_assert!(shadow.findings.is_empty());
        let shadow = run(3, |_| [one_text.clone(), other_text.clone(), one_text.clone()]);
        prop_assert_eq!(changed(&shadow).is_empty(), one == other);
    }

    /// Instances that draw their answers alike: who is called the candidate does not matter, and nothing is found.
    #[test]
    fn random_answers_of_equal_instances_are_seldom_taken_for_changes(seed in any::<u64>()) {
        let mut state = seed | 1;
        let mut draw = move |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % n
        };
        let shadow = run(150, |_| {
            std::array::from_fn(|_| format!(r#"{{"coin":{},"rare":{},"list":[{},1]}}"#, draw(2), draw(40) / 39, draw(3)))
        });
        prop_assert!(changed(&shadow).is_empty(), "{:?}", shadow.findings);
    }
}
