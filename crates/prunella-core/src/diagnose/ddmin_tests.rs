use proptest::prelude::*;

use super::*;
use crate::diagnose::couple::HunkGroup;
use crate::diagnose::testing::{Dice, cases};

fn set(ids: &[u32]) -> GroupSet {
    ids.iter().copied().map(GroupId).collect()
}

fn coupling(groups: usize, needs: &[(u32, u32)]) -> Coupling {
    let mut coupling = Coupling {
        groups: vec![
            HunkGroup {
                hunks: vec![],
                why: vec![]
            };
            groups
        ],
        needs: BTreeMap::new(),
    };
    for (from, to) in needs {
        coupling.needs.entry(GroupId(*from)).or_default().insert(GroupId(*to));
    }
    coupling
}

/// Runs the machine against an oracle; every set asked for is closed and asked for once.
fn run(mut shrink: Shrink, coupling: &Coupling, oracle: impl Fn(&GroupSet) -> Outcome) -> (Step, Shrink) {
    let mut asked = BTreeSet::new();
    loop {
        match shrink.next() {
            Step::Try(tried) => {
                assert_eq!(coupling.closure(&tried), tried, "not closed");
                assert!(asked.insert(tried.clone()), "asked twice");
                let outcome = oracle(&tried);
                shrink.record(tried, outcome);
            }
            step => return (step, shrink),
        }
    }
}

fn gone_with(target: &GroupSet) -> impl Fn(&GroupSet) -> Outcome {
    |tried| {
        if target.is_subset(tried) {
            Outcome::Gone
        } else {
            Outcome::StillFails
        }
    }
}

fn check(
    groups: usize,
    needs: &[(u32, u32)],
    suspicion: &[(u32, f64)],
    target: &[u32],
    expected: &[u32],
    most_runs: u32,
) {
    let coupling = coupling(groups, needs);
    let suspicion = suspicion.iter().map(|(id, weight)| (GroupId(*id), *weight)).collect();
    let shrink = Shrink::new(&coupling, &suspicion, 1000).parent_passes();
    let (step, shrink) = run(shrink, &coupling, gone_with(&set(target)));
    let runs = shrink.runs();
    assert_eq!(
        step,
        Step::Done {
            minimal: set(expected),
            proven_minimal: true,
            runs
        }
    );
    assert!(runs <= most_runs, "{runs} runs");
}

#[test]
fn a_strong_suspect_takes_one_run() {
    check(40, &[], &[(17, 8.0), (3, 1.0)], &[17], &[17], 1);
}

#[test]
fn without_suspicion_one_group_takes_a_logarithm() {
    check(64, &[], &[], &[41], &[41], 12);
}

#[test]
fn weak_suspicion_does_not_try_every_group() {
    let equal: Vec<(u32, f64)> = (0..64).map(|id| (id, 1.0)).collect();
    check(64, &[], &equal, &[41], &[41], 12);
}

#[test]
fn two_groups_far_from_each_other_are_both_found() {
    check(32, &[], &[], &[3, 30], &[3, 30], 40);
}

#[test]
fn what_a_group_needs_goes_with_it() {
    check(8, &[(2, 5), (5, 6)], &[(2, 1.0)], &[2], &[2, 5, 6], 6);
    check(8, &[(2, 5), (5, 6)], &[], &[6], &[6], 12);
}

#[test]
fn a_commit_of_one_group_needs_no_run() {
    check(1, &[], &[], &[0], &[0], 0);
}

#[test]
fn failures_that_stay_without_the_commit_are_not_of_it() {
    let coupling = coupling(4, &[]);
    let outcome = |outcome| {
        run(Shrink::new(&coupling, &BTreeMap::new(), 50), &coupling, move |_| {
            outcome
        })
        .0
    };
    assert_eq!(
        outcome(Outcome::StillFails),
        Step::NotFound {
            why: NotFound::FailsWithoutAll,
            runs: 1
        }
    );
    assert_eq!(
        outcome(Outcome::Unresolved),
        Step::NotFound {
            why: NotFound::UnresolvedWithoutAll,
            runs: 1
        }
    );
    let empty = Shrink::new(&self::coupling(0, &[]), &BTreeMap::new(), 50);
    assert_eq!(
        empty.next(),
        Step::NotFound {
            why: NotFound::NoHunks,
            runs: 0
        }
    );
}

#[test]
fn the_budget_ends_the_search_with_the_best_so_far() {
    let coupling = coupling(32, &[]);
    let budget = |budget| {
        run(
            Shrink::new(&coupling, &BTreeMap::new(), budget),
            &coupling,
            gone_with(&set(&[3])),
        )
        .0
    };
    assert_eq!(
        budget(0),
        Step::NotFound {
            why: NotFound::Budget,
            runs: 0
        }
    );
    let Step::Done {
        minimal,
        proven_minimal: false,
        runs: 3,
    } = budget(3)
    else {
        panic!("{:?}", budget(3))
    };
    assert_eq!(minimal.len(), 8);
}

#[test]
fn the_search_goes_on_from_recorded_outcomes() {
    let coupling = coupling(16, &[]);
    let fresh = || Shrink::new(&coupling, &BTreeMap::new(), 100);
    let (done, finished) = run(fresh(), &coupling, gone_with(&set(&[2, 9])));
    let mut resumed = fresh();
    finished
        .outcomes
        .iter()
        .for_each(|(set, outcome)| resumed.record(set.clone(), *outcome));
    assert_eq!(resumed.next(), done);
}

/// Random needs from lower to higher groups, so without a cycle.
fn random_coupling(dice: &mut Dice) -> Coupling {
    let groups = 1 + dice.below(12);
    let pairs = (0..groups as u32).flat_map(|from| (from + 1..groups as u32).map(move |to| (from, to)));
    let needs: Vec<(u32, u32)> = pairs.filter(|_| dice.chance(0.12)).collect();
    coupling(groups, &needs)
}

proptest! {
    #![proptest_config(cases(96))]

    /// Where more reverted never hurts there is one minimal set, and it is found.
    #[test]
    fn finds_the_one_minimal_set(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let coupling = random_coupling(&mut dice);
        let target: GroupSet = coupling.ids().filter(|_| dice.chance(0.2)).collect();
        prop_assume!(!target.is_empty());
        let suspicion = coupling.ids().map(|id| (id, dice.below(10) as f64)).collect();
        let (step, shrink) = run(Shrink::new(&coupling, &suspicion, 10_000), &coupling, gone_with(&target));
        let runs = shrink.runs();
        let groups = coupling.groups.len() as u32;
        prop_assert_eq!(step, Step::Done { minimal: coupling.closure(&target), proven_minimal: true, runs });
        prop_assert!(runs <= groups * groups + 3 * groups + 1, "{} runs for {} groups", runs, groups);
    }

    /// Whatever the outcomes, a set that is named worked, and none of its parts can be left out.
    #[test]
    fn the_result_works_and_is_one_minimal(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let coupling = random_coupling(&mut dice);
        let all: GroupSet = coupling.ids().collect();
        let oracle = |tried: &GroupSet| {
            let number = tried.iter().fold(0u64, |number, id| number | 1 << id.0);
            match Dice(seed ^ number.wrapping_mul(0x9e37_79b9)).below(3) {
                _ if *tried == all => Outcome::Gone,
                0 => Outcome::Gone,
                1 => Outcome::StillFails,
                _ => Outcome::Unresolved,
            }
        };
        let (step, shrink) = run(Shrink::new(&coupling, &BTreeMap::new(), 10_000), &coupling, oracle);
        let Step::Done { minimal, proven_minimal: true, .. } = step else { panic!("{step:?}") };
        prop_assert_eq!(oracle(&minimal), Outcome::Gone);
        for id in &minimal {
            let smaller = shrink.without_part(&minimal, &GroupSet::from([*id]));
            prop_assert!(smaller.is_empty() || oracle(&smaller) != Outcome::Gone);
        }
    }
}
