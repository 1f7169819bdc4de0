use proptest::prelude::*;

use super::*;
use crate::diagnose::testing::{Dice, cases, commit};

/// A history: number 0 is the last-known-good release, the last number is the head.
#[derive(Clone, Debug)]
struct History {
    parents: Vec<Vec<usize>>,
}

impl History {
    fn line(length: usize) -> Self {
        Self {
            parents: (0..=length)
                .map(|n| if n == 0 { vec![] } else { vec![n - 1] })
                .collect(),
        }
    }

    /// Branches and merges at random; the last commit merges all that is open.
    fn random(dice: &mut Dice, length: usize) -> Self {
        let mut history = Self { parents: vec![vec![]] };
        for number in 1..length {
            let near = |dice: &mut Dice| number - 1 - dice.below(number.min(4));
            let mut parents = vec![near(dice)];
            if dice.chance(0.3) {
                parents.push(near(dice));
            }
            parents.sort_unstable();
            parents.dedup();
            history.parents.push(parents);
        }
        let open = (0..length)
            .filter(|n| !history.parents.iter().any(|parents| parents.contains(n)))
            .collect();
        history.parents.push(open);
        history
    }

    fn head(&self) -> usize {
        self.parents.len() - 1
    }

    fn has(&self, of: usize, ancestor: usize) -> bool {
        of == ancestor || self.parents[of].iter().any(|parent| self.has(*parent, ancestor))
    }

    fn nodes(&self, prior: impl Fn(usize) -> f64) -> Vec<Node> {
        let node = |n: usize| Node {
            commit: commit(n),
            parents: self.parents[n].iter().map(|parent| commit(*parent)).collect(),
            prior: prior(n),
            cost: 1.0,
        };
        (1..self.parents.len()).map(node).collect()
    }

    fn bisection(&self, prior: impl Fn(usize) -> f64) -> Bisection {
        self.with_config(prior, Config::default())
    }

    fn with_config(&self, prior: impl Fn(usize) -> f64, config: Config) -> Bisection {
        Bisection::new(&self.nodes(prior), &[commit(0)].into(), &commit(self.head()), config).expect("a range")
    }
}

fn number(commit: &CommitId) -> usize {
    usize::from_str_radix(&commit.as_str()[..8], 16).expect("a number")
}

/// Runs the machine; the oracle gives the outcome of so many runs on a commit.
fn run(bisection: &mut Bisection, mut oracle: impl FnMut(usize, u32) -> Outcome) -> Step {
    loop {
        match bisection.next() {
            Step::Test { commit, runs } => {
                let outcome = oracle(number(&commit), runs);
                bisection.record(commit, outcome);
                assert!(bisection.runs() < 5000, "it never ends");
            }
            step => return step,
        }
    }
}

fn steady(history: &History, guilty: usize) -> impl FnMut(usize, u32) -> Outcome {
    move |at, _| {
        if history.has(at, guilty) {
            Outcome::Fails
        } else {
            Outcome::Passes
        }
    }
}

fn guilty(step: &Step) -> Option<usize> {
    match step {
        Step::Guilty { commit, .. } => Some(number(commit)),
        _ => None,
    }
}

#[test]
fn a_line_takes_a_logarithm() {
    let history = History::line(64);
    for bad in 1..=64 {
        let mut bisection = history.bisection(|_| 0.0);
        let step = run(&mut bisection, steady(&history, bad));
        assert_eq!(
            step,
            Step::Guilty {
                commit: commit(bad),
                passing_parents: vec![commit(bad - 1)],
                confidence: 1.0
            }
        );
        assert!(bisection.runs() <= 2 + 6 + 1, "{} runs for {bad}", bisection.runs());
    }
}

#[test]
fn a_strong_suspect_is_tested_first_with_its_parent() {
    let history = History::line(100);
    let mut bisection = history.bisection(|n| if n == 30 { 100.0 } else { 1.0 });
    let mut tested = vec![];
    let mut oracle = steady(&history, 30);
    let step = run(&mut bisection, |at, runs| {
        tested.push(at);
        oracle(at, runs)
    });
    assert_eq!(guilty(&step), Some(30));
    tested.sort_unstable();
    assert_eq!(tested, [0, 29, 30, 100]);
}

#[test]
fn a_wrong_ranking_costs_little() {
    let history = History::line(100);
    let mut bisection = history.bisection(|n| if n == 30 { 100.0 } else { 0.0 });
    assert_eq!(guilty(&run(&mut bisection, steady(&history, 77))), Some(77));
    assert!(bisection.runs() <= 13, "{} runs", bisection.runs());
}

#[test]
fn costs_are_weighed() {
    let history = History::line(9);
    let mut nodes = history.nodes(|_| 0.0);
    nodes
        .iter_mut()
        .filter(|node| node.commit != commit(3))
        .for_each(|node| node.cost = 10.0);
    let mut bisection = Bisection::new(&nodes, &BTreeSet::new(), &commit(9), Config::default()).expect("a range");
    bisection.record(commit(9), Outcome::Fails);
    assert_eq!(
        bisection.next(),
        Step::Test {
            commit: commit(3),
            runs: 1
        }
    );
}

#[test]
fn histories_with_merges_take_little_more_than_a_logarithm() {
    let mut over = 0.0;
    for seed in 0..100 {
        let mut dice = Dice(seed);
        let history = History::random(&mut dice, 64);
        let bad = 1 + dice.below(history.head());
        let mut bisection = history.bisection(|_| 0.0);
        assert_eq!(guilty(&run(&mut bisection, steady(&history, bad))), Some(bad));
        let search = f64::from(bisection.runs()) - 2.0 - history.parents[bad].len() as f64;
        over += search - (history.head() as f64).log2();
    }
    assert!(over / 100.0 <= 1.0, "{} more on average", over / 100.0);
}

/// Two branches that are each fine and break each other.
fn broken_merge() -> History {
    History {
        parents: vec![vec![], vec![0], vec![1], vec![0], vec![2, 3], vec![4]],
    }
}

#[test]
fn a_regression_born_in_a_merge_is_the_merge() {
    let history = broken_merge();
    let mut bisection = history.bisection(|_| 0.0);
    let Step::Guilty {
        commit: found,
        passing_parents,
        ..
    } = run(&mut bisection, steady(&history, 4))
    else {
        panic!()
    };
    assert_eq!((found, passing_parents), (commit(4), vec![commit(2), commit(3)]));
}

#[test]
fn ends_that_do_not_differ_are_named() {
    let history = History::line(8);
    assert_eq!(
        run(&mut history.bisection(|_| 0.0), |_, _| Outcome::Passes),
        Step::NotReproducible
    );
    assert_eq!(
        run(&mut history.bisection(|_| 0.0), |_, _| Outcome::Different),
        Step::NotReproducible
    );
    assert_eq!(
        run(&mut history.bisection(|_| 0.0), |_, _| Outcome::Fails),
        Step::AlreadyBad { commit: commit(0) }
    );
}

#[test]
fn a_parent_outside_of_the_range_must_pass_too() {
    let mut history = broken_merge();
    history.parents[3] = vec![];
    let outside = commit(999);
    let mut nodes = history.nodes(|_| 0.0);
    nodes[2].parents = vec![outside.clone()];
    let mut bisection = Bisection::new(&nodes, &[commit(0)].into(), &commit(5), Config::default()).expect("a range");
    let mut oracle = steady(&history, 3);
    let step = run(&mut bisection, |at, runs| {
        if at == 999 { Outcome::Fails } else { oracle(at, runs) }
    });
    assert_eq!(step, Step::AlreadyBad { commit: outside });
}

#[test]
fn commits_that_cannot_be_tested_end_in_a_set() {
    let history = History::line(20);
    let mut oracle = steady(&history, 10);
    let step = run(&mut history.bisection(|_| 0.0), |at, runs| match at {
        9..=11 => Outcome::Unbuildable,
        _ => oracle(at, runs),
    });
    assert_eq!(
        step,
        Step::Narrowed {
            commits: (9..=12).map(commit).collect()
        }
    );
}

#[test]
fn an_untestable_parent_is_no_proof() {
    let history = History::line(1);
    let step = run(&mut history.bisection(|_| 0.0), |at, _| {
        if at == 0 { Outcome::Unbuildable } else { Outcome::Fails }
    });
    assert_eq!(
        step,
        Step::Narrowed {
            commits: vec![commit(1)]
        }
    );
}

#[test]
fn contradictions_are_reported_and_the_newest_boundary_is_found() {
    let history = History::line(20);
    let mut bisection = history.bisection(|_| 0.0);
    // Broken in 3, mended in 5, broken again in 14.
    bisection.record(commit(3), Outcome::Fails);
    bisection.record(commit(8), Outcome::Passes);
    let step = run(&mut bisection, |at, _| {
        if matches!(at, 3..5 | 14..) {
            Outcome::Fails
        } else {
            Outcome::Passes
        }
    });
    assert_eq!(guilty(&step), Some(14));
    assert!(
        bisection
            .violations()
            .iter()
            .all(|violation| violation.fails == commit(3))
    );
    assert!(!bisection.violations().is_empty());
}

#[test]
fn a_failure_mended_on_another_branch_is_still_found() {
    // 1 breaks; 2 mends it on one branch; 3 is built on 1; 4 merges them wrongly.
    let history = History {
        parents: vec![vec![], vec![0], vec![1], vec![1], vec![2, 3]],
    };
    let mut bisection = history.bisection(|_| 0.0);
    [2, 3]
        .into_iter()
        .zip([Outcome::Passes, Outcome::Fails])
        .for_each(|(at, o)| bisection.record(commit(at), o));
    let step = run(&mut bisection, |at, _| {
        if matches!(at, 1 | 3 | 4) {
            Outcome::Fails
        } else {
            Outcome::Passes
        }
    });
    assert_eq!(guilty(&step), Some(1));
    assert_eq!(
        bisection.violations(),
        [Violation {
            fails: commit(1),
            passes: commit(2)
        }]
    );
}

#[test]
fn the_budget_ends_the_search_with_what_is_left() {
    let history = History::line(64);
    let config = Config {
        budget: 4,
        ..Config::default()
    };
    let mut bisection = history.with_config(|_| 0.0, config);
    let Step::Exhausted { remaining } = run(&mut bisection, steady(&history, 5)) else {
        panic!()
    };
    assert_eq!(bisection.runs(), 4);
    assert_eq!(remaining.len(), 10);
    assert!(remaining.iter().all(|(commit, p)| number(commit) <= 16 && *p > 0.0));
}

#[test]
fn broken_ranges_are_refused() {
    let refused = |nodes: Vec<Node>, good: usize| {
        Bisection::new(&nodes, &[commit(good)].into(), &commit(3), Config::default())
            .map(|_| ())
            .expect_err("refused")
    };
    let nodes = History::line(3).nodes(|_| 0.0);
    assert_eq!(refused(nodes[..2].to_vec(), 0), InvalidRange::NoHead(commit(3)));
    assert_eq!(refused(nodes.clone(), 2), InvalidRange::GoodInRange(commit(2)));
    assert_eq!(
        refused([nodes.clone(), nodes.clone()].concat(), 0),
        InvalidRange::Twice(commit(1))
    );
    let mut cycle = nodes;
    cycle[0].parents = vec![commit(3)];
    assert_eq!(refused(cycle, 0), InvalidRange::Cycle(commit(3)));
}

/// A machine of its own probability: fails so often where the commit is bad.
fn flaky<'a>(
    history: &'a History,
    guilty: usize,
    rate: f64,
    dice: &'a mut Dice,
) -> impl FnMut(usize, u32) -> Outcome + 'a {
    move |at, runs| {
        let bad = history.has(at, guilty);
        let fails = (0..runs).filter(|_| bad && dice.chance(rate)).count() as u32;
        Outcome::Flaky { fails, runs }
    }
}

#[test]
fn failures_that_come_and_go_are_found_by_repetition() {
    let mut wrong = 0;
    let mut found = 0;
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let history = History::random(&mut dice, 24);
        let bad = 1 + dice.below(history.head());
        let mut bisection = history.with_config(
            |_| 0.0,
            Config {
                budget: 1500,
                ..Config::default()
            },
        );
        bisection.record(commit(history.head()), Outcome::Flaky { fails: 4, runs: 8 });
        let step = run(&mut bisection, flaky(&history, bad, 0.5, &mut dice));
        match guilty(&step) {
            Some(commit) if commit == bad => found += 1,
            Some(_) => wrong += 1,
            None => {}
        }
    }
    assert!(found >= 57 && wrong <= 1, "{found} found, {wrong} wrong of 60");
}

#[test]
fn a_flake_that_is_older_than_the_range_accuses_nobody() {
    let mut named = 0;
    for seed in 0..30 {
        let mut dice = Dice(seed);
        let history = History::line(16);
        let mut bisection = history.with_config(
            |_| 0.0,
            Config {
                budget: 1500,
                ..Config::default()
            },
        );
        bisection.record(commit(16), Outcome::Flaky { fails: 3, runs: 8 });
        let step = run(&mut bisection, flaky(&history, 0, 0.4, &mut dice));
        assert_eq!(guilty(&step), None, "seed {seed}");
        named += u32::from(step == Step::AlreadyBad { commit: commit(0) });
    }
    assert!(named >= 29, "{named} of 30");
}

#[test]
fn no_posterior_replaces_the_runs_on_the_parents() {
    let history = History::line(1);
    let mut bisection = history.with_config(
        |_| 0.0,
        Config {
            older: 0.0,
            ..Config::default()
        },
    );
    bisection.record(commit(1), Outcome::Flaky { fails: 5, runs: 10 });
    let Step::Test { commit: parent, runs } = bisection.next() else {
        panic!("{:?}", bisection.next())
    };
    assert_eq!(parent, commit(0));
    assert!((6..=8).contains(&runs), "{runs}");
    bisection.record(
        commit(0),
        Outcome::Flaky {
            fails: 0,
            runs: runs - 1,
        },
    );
    assert_eq!(
        bisection.next(),
        Step::Test {
            commit: commit(0),
            runs: 1
        }
    );
    bisection.record(commit(0), Outcome::Passes);
    assert_eq!(guilty(&bisection.next()), Some(1));
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn finds_the_guilty_commit_of_any_history(seed in any::<u64>(), length in 2usize..40) {
        let mut dice = Dice(seed);
        let history = History::random(&mut dice, length);
        let bad = 1 + dice.below(history.head());
        let priors: Vec<f64> = (0..=history.head()).map(|_| dice.below(5) as f64).collect();
        let mut bisection = history.bisection(|n| priors[n]);
        let step = run(&mut bisection, steady(&history, bad));
        let Step::Guilty { commit: found, passing_parents, confidence } = step else { panic!("{step:?}") };
        prop_assert_eq!(number(&found), bad);
        prop_assert_eq!(confidence, 1.0);
        let parents: Vec<usize> = passing_parents.iter().map(number).collect();
        prop_assert_eq!(&parents, &history.parents[bad]);
        prop_assert!(bisection.violations().is_empty());
        // Both ends, the search, and the parents of the guilty commit; a wide history does not split in halves.
        let most = 5.0 + 2.0 * (history.head() as f64).log2() + parents.len() as f64;
        prop_assert!(f64::from(bisection.runs()) <= most, "{} runs of {}", bisection.runs(), most);
    }

    #[test]
    fn never_names_a_wrong_commit_where_some_cannot_be_tested(seed in any::<u64>(), length in 2usize..30) {
        let mut dice = Dice(seed);
        let history = History::random(&mut dice, length);
        let bad = 1 + dice.below(history.head());
        let untestable: Vec<bool> = (0..history.head()).map(|_| dice.chance(0.35)).chain([false]).collect();
        let mut oracle = steady(&history, bad);
        let step = run(&mut history.bisection(|_| 0.0), |at, runs| match untestable[at] {
            true if at % 2 == 0 => Outcome::Different,
            true => Outcome::Unbuildable,
            false => oracle(at, runs),
        });
        match step {
            Step::Guilty { commit, .. } => prop_assert_eq!(number(&commit), bad),
            Step::Narrowed { commits } => prop_assert!(commits.contains(&commit(bad))),
            other => panic!("{other:?}"),
        }
    }
}
