use super::*;
use crate::diagnose::hunks::FileState;
use crate::diagnose::testing::{Dice, change, diff};

/// Facts in the form `+def name`, `-def name`, `+use name`, `-use name`, one hunk a line, in a file of its own.
fn facts(hunks: &[&str]) -> (CommitDiff, BTreeMap<HunkId, HunkFacts>) {
    let files = (0..hunks.len())
        .map(|n| change(&format!("f{n}.py"), "old\n", &format!("new {n}\n")))
        .collect();
    let all = hunks
        .iter()
        .zip(0..)
        .map(|(line, file)| (HunkId { file, hunk: 0 }, parse(line)))
        .collect();
    (diff(files), all)
}

fn parse(line: &str) -> HunkFacts {
    let mut facts = HunkFacts::default();
    let words: Vec<&str> = line.split_whitespace().collect();
    for pair in words.chunks_exact(2) {
        let names = match pair[0] {
            "+def" => &mut facts.defs_added,
            "-def" => &mut facts.defs_removed,
            "+use" => &mut facts.uses_added,
            "-use" => &mut facts.uses_removed,
            other => panic!("{other}"),
        };
        names.insert(pair[1].to_owned());
    }
    facts
}

/// Groups as the numbers of their hunks, and needs as pairs of groups.
fn shape(coupling: &Coupling) -> (Vec<Vec<u32>>, Vec<(u32, u32)>) {
    let groups = coupling
        .groups
        .iter()
        .map(|group| group.hunks.iter().map(|id| id.file + id.hunk).collect())
        .collect();
    let needs = coupling
        .needs
        .iter()
        .flat_map(|(from, to)| to.iter().map(|to| (from.0, to.0)));
    (groups, needs.collect())
}

fn check(hunks: &[&str], groups: &[&[u32]], needs: &[(u32, u32)]) {
    let (diff, facts) = facts(hunks);
    let coupling = couple(&diff, &facts, &BTreeSet::new());
    let expected = (groups.iter().map(|group| group.to_vec()).collect(), needs.to_vec());
    assert_eq!(shape(&coupling), expected, "{hunks:?}");
}

#[test]
fn a_definition_needs_its_new_users() {
    check(&["+def tax", "+use tax", "+use other"], &[&[0], &[1], &[2]], &[(0, 1)]);
}

#[test]
fn users_of_a_removed_definition_need_it_back() {
    check(&["-def tax", "-use tax"], &[&[0], &[1]], &[(1, 0)]);
}

#[test]
fn a_rename_is_one_group_with_its_uses() {
    check(
        &[
            "-def tax +def vat",
            "-use tax +use vat",
            "-use tax +use vat",
            "+use sum",
        ],
        &[&[0, 1, 2], &[3]],
        &[],
    );
}

#[test]
fn a_signature_and_its_calls_are_one_group() {
    check(&["-def tax +def tax", "-use tax +use tax"], &[&[0, 1]], &[]);
    check(&["-def tax +def tax", "+use tax"], &[&[0], &[1]], &[(0, 1)]);
    check(&["-def tax +def tax", "-use tax"], &[&[0], &[1]], &[(1, 0)]);
}

#[test]
fn moved_definitions_are_one_group() {
    check(&["-def tax", "+def tax"], &[&[0, 1]], &[]);
}

#[test]
fn common_names_couple_only_inside_a_file() {
    let common = ["+def i +use x", "+def i", "+def i", "+use i"];
    check(&common, &[&[0], &[1], &[2], &[3]], &[]);
    let file = change("f.py", "1\n2\n3\n", "i\n2\nuse\n");
    let ids: Vec<HunkId> = diff(vec![file.clone()]).hunk_ids().collect();
    let mut all = BTreeMap::from([(ids[0], parse("+def i")), (ids[1], parse("+use i"))]);
    let others = (1..4).map(|n| change(&format!("g{n}.py"), "1\n", "i\n"));
    let files: Vec<FileChange> = std::iter::once(file).chain(others).collect();
    all.extend((1..4).map(|file| (HunkId { file, hunk: 0 }, parse("+def i"))));
    assert_eq!(
        couple(&diff(files), &all, &BTreeSet::new()).needs,
        BTreeMap::from([(GroupId(0), [GroupId(1)].into())])
    );
}

#[test]
fn an_added_module_needs_its_imports_gone() {
    let added = FileChange::between(None, Some(FileState::regular("shop/vat/__init__.py", "x = 1\n")));
    let files = vec![added, change("a.py", "1\n", "from shop import vat\n")];
    let facts = BTreeMap::from([(HunkId { file: 1, hunk: 0 }, parse("+use vat"))]);
    assert_eq!(
        shape(&couple(&diff(files), &facts, &BTreeSet::new())),
        (vec![vec![0], vec![1]], vec![(0, 1)])
    );
}

#[test]
fn a_moved_module_is_one_group_with_its_imports() {
    let text = "x = 1\n";
    let moved = FileChange::between(
        Some(FileState::regular("tax.py", text)),
        Some(FileState::regular("vat.py", text)),
    );
    let files = vec![moved, change("a.py", "import tax\n", "import vat\n")];
    let facts = BTreeMap::from([(HunkId { file: 1, hunk: 0 }, parse("-use tax +use vat"))]);
    assert_eq!(
        shape(&couple(&diff(files), &facts, &BTreeSet::new())),
        (vec![vec![0, 1]], vec![])
    );
}

#[test]
fn moved_lines_are_one_group_whatever_their_indentation() {
    let block = "a = 1\nb = 2\n\nc = 3\n";
    let indented = "  a = 1\n  b = 2\n  c = 3\n";
    let files = vec![
        change("a.py", &format!("{block}keep\n"), "keep\n"),
        change("b.py", "keep\n", &format!("keep\n{indented}")),
        change("c.py", "keep\n", "keep\na = 1\n"),
    ];
    let coupling = couple(&diff(files), &BTreeMap::new(), &BTreeSet::new());
    assert_eq!(shape(&coupling), (vec![vec![0, 1], vec![2]], vec![]));
    assert_eq!(coupling.groups[0].why, ["3 lines moved from one to the other"]);
}

#[test]
fn what_is_left_alone_couples_nothing() {
    let (diff, facts) = facts(&["+def tax", "+use tax", "-def vat"]);
    let coupling = couple(&diff, &facts, &BTreeSet::from([HunkId { file: 1, hunk: 0 }]));
    assert_eq!(shape(&coupling), (vec![vec![0], vec![2]], vec![]));
}

#[test]
fn closures_follow_needs() {
    let (diff, facts) = facts(&["+def a", "+use a +def b", "+use b", "+use c"]);
    let coupling = couple(&diff, &facts, &BTreeSet::new());
    assert_eq!(
        coupling.closure(&[GroupId(0)].into()),
        [GroupId(0), GroupId(1), GroupId(2)].into()
    );
    assert_eq!(coupling.hunks_of(&coupling.closure(&[GroupId(1)].into())).len(), 2);
}

/// Whatever the facts, each hunk is in one group and the needs have no cycle.
#[test]
fn groups_part_the_hunks_and_needs_have_no_cycle() {
    let mut dice = Dice(7);
    for _ in 0..60 {
        let hunk = |dice: &mut Dice| -> String {
            let fact = |dice: &mut Dice| {
                let kind = ["+def", "-def", "+use", "-use"][dice.below(4)];
                format!("{kind} n{} ", dice.below(6))
            };
            (0..dice.below(4)).map(|_| fact(dice)).collect()
        };
        let lines: Vec<String> = (0..10).map(|_| hunk(&mut dice)).collect();
        let (diff, facts) = facts(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let coupling = couple(&diff, &facts, &BTreeSet::new());
        let mut members: Vec<HunkId> = coupling.groups.iter().flat_map(|group| group.hunks.clone()).collect();
        members.sort();
        assert_eq!(members, diff.hunk_ids().collect::<Vec<_>>());
        for id in coupling.ids() {
            let next = coupling.needs.get(&id).cloned().unwrap_or_default();
            assert!(!coupling.closure(&next).contains(&id), "{lines:?}");
        }
    }
}

#[test]
fn manifests_and_lock_files_go_together() {
    let (diff, facts) = facts(&["+use a", "", "+use b", "", ""]);
    let id = |file| HunkId { file, hunk: 0 };
    let left_alone = BTreeSet::from([id(4)]);
    let decide = BTreeSet::from([id(1), id(3), id(4)]);
    let coupling = couple_with(&diff, &facts, &left_alone, &decide);
    assert_eq!(shape(&coupling), (vec![vec![0], vec![1, 3], vec![2]], vec![]));
    assert_eq!(
        coupling.groups[1].why,
        ["they decide together which dependencies are built"]
    );
}
