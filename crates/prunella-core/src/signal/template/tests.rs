//! The templates of small logs of different kinds, and the promises about limits, order and state.

use super::*;
use proptest::prelude::*;

fn learn<S: AsRef<str>>(lines: &[S]) -> Templates {
    let mut templates = Templates::default();
    for line in lines {
        templates.observe(line.as_ref());
    }
    templates
}

/// The texts after a final refinement, sorted.
fn texts<S: AsRef<str>>(lines: &[S]) -> Vec<String> {
    let mut templates = learn(lines);
    templates.refine();
    let mut texts: Vec<String> = templates.templates().iter().map(Template::text).collect();
    texts.sort();
    texts
}

fn check<S: AsRef<str>>(lines: &[S], expected: &[&str]) {
    assert_eq!(texts(lines), expected);
}

#[test]
fn numbers_addresses_and_paths_are_variables() {
    check(
        &[
            "request 17 from 10.0.0.1:443 served /var/www/index.html in 12ms",
            "request 18 from 192.168.7.20:80 served /srv/a/b.html in 7ms",
        ],
        &["request <*> from <*>:<*> served <*> in <*>"],
    );
}

#[test]
fn a_list_of_any_length_is_one_template() {
    check(
        &[
            "evicted keys 1, 2, 3 from shard",
            "evicted keys 4 from shard",
            "evicted keys 5, 6 from shard",
        ],
        &["evicted keys <*> from shard"],
    );
}

#[test]
fn a_unit_goes_with_its_number() {
    check(
        &["took 5 ms in total", "took 1.2 sec in total", "took <1 sec in total"],
        &["took <*> in total"],
    );
    check(
        &["took 5 ms in total", "took 17 ms in total"],
        &["took <*> ms in total"],
    );
}

#[test]
fn empty_values_are_values() {
    check(
        &["peer 10.1.1.1 () joined", "peer 10.1.1.2 (a7.example.org) joined"],
        &["peer <*> (<*>) joined"],
    );
    check(&["zone= id=7", "zone=9 id=8"], &["zone=<*> id=<*>"]);
}

#[test]
fn names_keep_their_digits() {
    check(
        &["init2() opened r12=5 over ssh2", "init2() opened r12=9 over ssh2"],
        &["init2() opened r12=<*> over ssh2"],
    );
}

#[test]
fn dots_and_quotes_hold_values() {
    check(
        &["wait state enable......0", "wait state enable...1"],
        &["wait state enable......<*>"],
    );
    check(
        &["opened 'a-17:3/x' for reading", "opened 'b9' for reading"],
        &["opened '<*>' for reading"],
    );
}

#[test]
fn names_of_fields_are_not_variables() {
    let lines: Vec<String> = NAMES
        .iter()
        .map(|n| format!("server property {n}=on was set"))
        .collect();
    assert_eq!(texts(&lines).len(), NAMES.len());
}

#[test]
fn identifiers_of_different_kinds_are_one_variable() {
    check(
        &[
            "stored block rdd_1_2 in memory",
            "stored block shuffle_7 in memory",
            "stored block rdd_3_4 in memory",
        ],
        &["stored block <*> in memory"],
    );
}

const NAMES: [&str; 12] = [
    "ada", "bela", "chuck", "dora", "emil", "fritz", "gus", "hanna", "ida", "jo", "kim", "lea",
];

#[test]
fn a_word_with_many_values_is_a_variable() {
    let lines: Vec<String> = NAMES
        .iter()
        .map(|n| format!("user {n} logged in from 10.0.0.1"))
        .collect();
    check(&lines, &["user <*> logged in from <*>"]);
}

#[test]
fn two_independent_words_are_two_variables() {
    let pairs = NAMES
        .iter()
        .enumerate()
        .map(|(i, a)| (a, NAMES[(i * 5 + 3) % NAMES.len()]));
    let lines: Vec<String> = pairs
        .map(|(a, b)| format!("message from {a} to {b} was delivered"))
        .collect();
    check(&lines, &["message from <*> to <*> was delivered"]);
}

#[test]
fn a_few_well_supported_words_are_different_templates() {
    let mut lines = Vec::new();
    for i in 0..40 {
        for state in ["Started", "Paused", "Resumed", "Stopped"] {
            lines.push(format!("[instance {i}] VM {state} (lifecycle event)"));
        }
    }
    assert_eq!(texts(&lines).len(), 4);
}

#[test]
fn different_statements_of_one_layout_stay_apart() {
    check(
        &[
            "cache is warm",
            "queue was empty",
            "disk gets full",
            "leader has changed",
            "lock seems stale",
        ],
        &[
            "cache is warm",
            "disk gets full",
            "leader has changed",
            "lock seems stale",
            "queue was empty",
        ],
    );
}

#[test]
fn values_found_variable_elsewhere_are_variable_after_the_same_word() {
    let mut lines: Vec<String> = NAMES.iter().map(|n| format!("session opened for user {n}")).collect();
    lines.extend(
        NAMES[..3]
            .iter()
            .map(|n| format!("session of type tty closed for user {n} by root")),
    );
    check(
        &lines,
        &[
            "session of type tty closed for user <*> by root",
            "session opened for user <*>",
        ],
    );
}

#[test]
fn identifiers_survive_merges() {
    let mut templates = Templates::default();
    let ids: Vec<TemplateId> = NAMES
        .iter()
        .map(|n| templates.observe(&format!("user {n} logged in")).template)
        .collect();
    templates.refine();
    let resolved: Vec<TemplateId> = ids.iter().map(|&i| templates.resolve(i)).collect();
    assert!(resolved.iter().all(|&i| i == resolved[0]), "{resolved:?}");
    let template = templates.template(ids[0]).unwrap();
    assert_eq!(template.lines(), NAMES.len() as u64);
    assert_eq!(template.literal_pattern(), ["user", "logged in"]);
    assert!(template.examples().count() >= 2);
    let m = templates.observe("user mallory logged in");
    assert_eq!((m.template, m.is_new), (resolved[0], false));
    assert_eq!(m.variables().collect::<Vec<_>>(), ["mallory"]);
}

#[test]
fn variables_are_those_of_the_line() {
    let mut templates = Templates::default();
    let m = templates.observe("copied blk_-17 to 10.1.1.2:50, 10.1.1.3:50 in 3 ms");
    assert!(m.is_new);
    assert_eq!(
        m.variables().collect::<Vec<_>>(),
        ["-17", "10.1.1.2:50, 10.1.1.3:50", "3 ms"]
    );
    assert!(!templates.observe("copied blk_4 to 10.1.1.2:51 in 11 ms").is_new);
}

/// Lines of words alone, all different, in layouts of up to `layouts` words.
fn explode(limits: Limits, layouts: u64) -> Stats {
    let mut templates = Templates::new(limits);
    let word = |n: u64| -> String { (0..6).map(|i| char::from(b'a' + (n >> (4 * i) & 15) as u8)).collect() };
    for n in 0..6_000u64 {
        let line: Vec<String> = (0..n % layouts)
            .map(|i| word(n.wrapping_mul(2_654_435_761) >> i))
            .collect();
        templates.observe(&line.join(" "));
        assert!(templates.store.len() <= limits.signatures);
        assert!(templates.bytes() <= limits.bytes + 64 * 1024);
    }
    assert!(templates.redirects.len() <= limits.redirects);
    let mut crowds = templates.store.buckets.values().map(|b| b.members.len());
    assert!(crowds.all(|n| n <= limits.of_one_layout));
    templates.stats()
}

#[test]
fn a_label_explosion_stays_within_the_limits() {
    let limits = Limits {
        signatures: 600,
        bytes: 2 << 20,
        of_one_layout: 32,
        redirects: 50,
    };
    assert!(explode(limits, 12).collapsed > 0, "one layout's limit");
    assert!(explode(limits, 40).forgotten > 0, "the limit of signatures");
    let small = Limits {
        bytes: 32 * 1024,
        ..limits
    };
    assert!(explode(small, 12).forgotten > 0, "the limit of bytes");
}

#[test]
fn a_frequent_template_survives_an_explosion() {
    let mut templates = Templates::new(Limits {
        signatures: 64,
        ..Limits::default()
    });
    let id = (0..100)
        .map(|i| templates.observe(&format!("ready after {i} probes")).template)
        .last()
        .unwrap();
    for n in 0..5_000u32 {
        templates.observe(&format!(
            "{}{}",
            "x ".repeat(n as usize % 50),
            "y; ".repeat(n as usize / 50)
        ));
    }
    assert_eq!(templates.observe("ready after 5 probes").template, id);
}

#[test]
fn a_saved_state_goes_on_as_if_nothing_had_happened() {
    let lines: Vec<String> = NAMES
        .iter()
        .map(|n| format!("user {n} logged in from 10.0.0.1"))
        .collect();
    let mut templates = learn(&lines);
    let mut restored: Templates =
        serde_json::from_str(&serde_json::to_string(&templates).unwrap()).expect("what was saved can be read");
    for line in ["user zoe logged in from 10.0.0.2", "something else", &lines[0]] {
        let (a, b) = (templates.observe(line).template, restored.observe(line).template);
        assert_eq!(a, b, "{line}");
    }
    assert_eq!(
        serde_json::to_value(&templates).unwrap(),
        serde_json::to_value(&restored).unwrap()
    );
}

#[test]
fn a_damaged_state_is_refused() {
    let templates = learn(&["a b c", "d 5"]);
    let mut state = serde_json::to_value(&templates).unwrap();
    state["entries"][0]["wild"] = serde_json::json!(1u64 << 40);
    assert!(serde_json::from_value::<Templates>(state.clone()).is_err());
    state["entries"][0]["examples"] = serde_json::json!([]);
    assert!(serde_json::from_value::<Templates>(state).is_err());
}

/// A traceback is one long line, with values far beyond the sixty-fourth piece.
#[test]
fn a_long_line_with_many_values_is_saved_as_any_value() {
    let mut templates = Templates::new(Limits::default());
    for round in 0..9 {
        let words: Vec<String> = (0..100).map(|n| format!("at {}", 1_000 * round + n)).collect();
        templates.observe(&words.join(" "));
    }
    let saved = serde_json::to_value(&templates).unwrap();
    assert!(saved["entries"][0]["wild"].as_str().unwrap().len() > 16, "{saved}");
    let restored: Templates = serde_json::from_value(saved.clone()).unwrap();
    assert_eq!(serde_json::to_value(&restored).unwrap(), saved);
}

/// Lines of hostile and of ordinary parts.
fn line() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-d]{1,3}",
        "[0-9]{1,4}",
        "[=:,;(){}<>|'\"\\[\\]./@#_-]{1,3}",
        Just(" ".to_owned()),
        Just("\u{e4}\u{1f33f}".to_owned()),
        "\\PC{0,6}",
    ];
    proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_panics_and_every_line_has_a_template(lines in proptest::collection::vec(line(), 1..60)) {
        let mut templates = Templates::new(Limits { signatures: 24, of_one_layout: 6, ..Limits::default() });
        for line in &lines {
            let m = templates.observe(line);
            let taken: usize = m.variables().map(str::len).sum();
            prop_assert!(taken <= line.len());
        }
        templates.refine();
        for template in templates.templates() {
            prop_assert!(!template.text().is_empty() || template.examples().any(|e| e.trim().is_empty()));
            prop_assert!(template.literal_pattern().iter().all(|p| !p.is_empty()));
        }
    }

    #[test]
    fn any_bytes_at_all(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        let mut templates = Templates::default();
        let text = String::from_utf8_lossy(&bytes);
        let first = templates.observe(&text).template;
        let second = templates.observe(&text);
        prop_assert_eq!(first, second.template);
        prop_assert!(!second.is_new);
    }

    #[test]
    fn refining_twice_changes_nothing(lines in proptest::collection::vec(line(), 1..80)) {
        let mut templates = learn(&lines);
        templates.refine();
        let once = serde_json::to_string(&templates).unwrap();
        prop_assert_eq!(templates.refine(), 0);
        prop_assert_eq!(once, serde_json::to_string(&templates).unwrap());
    }

    #[test]
    fn the_same_lines_give_the_same_templates(lines in proptest::collection::vec(line(), 1..60)) {
        let state = |t: &Templates| serde_json::to_string(t).unwrap();
        prop_assert_eq!(state(&learn(&lines)), state(&learn(&lines)));
    }

    #[test]
    fn the_literal_pattern_is_found_in_the_examples(lines in proptest::collection::vec(line(), 1..40)) {
        let mut templates = learn(&lines);
        templates.refine();
        for template in templates.templates() {
            let example = template.examples().next().unwrap();
            let mut rest = example;
            for literal in template.literal_pattern() {
                let at = rest.find(literal);
                prop_assert!(at.is_some(), "{literal:?} in {example:?}");
                rest = &rest[at.unwrap_or(0) + literal.len()..];
            }
        }
    }
}
