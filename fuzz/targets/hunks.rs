//! Files of the parent, the guilty commit and the newest commit, parted by NUL NUL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_core::diagnose::hunks::{CommitDiff, FileChange, FileState};
use prunella_core::diagnose::merge3::{HeadFiles, merge_lines, revert_onto};

fn parts(bytes: &[u8]) -> [&[u8]; 3] {
    let mut parts = [&[][..]; 3];
    let mut rest = bytes;
    for part in &mut parts {
        let end = rest.windows(2).position(|pair| pair == [0, 0]);
        *part = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or(&[], |end| &rest[end + 2..]);
    }
    parts
}

fn file(content: &[u8]) -> FileState {
    FileState::regular("f.py", content)
}

fuzz_target!(|bytes: &[u8]| {
    let [old, new, head] = parts(bytes);
    let diff = CommitDiff::new(vec![FileChange::between(Some(file(old)), Some(file(new)))]);
    let all = diff.hunk_ids().collect();
    let edits = diff.revert(&all).expect("its own hunks");
    match edits.as_slice() {
        [] => assert_eq!(old, new),
        [edit] => assert_eq!(edit.after, Some(file(old)), "all hunks give the parent"),
        more => panic!("{} edits of one file", more.len()),
    }
    for id in diff.hunk_ids() {
        let one = diff.revert(&[id].into()).expect("its own hunk");
        let _ = revert_onto(&one, &HeadFiles::from([("f.py".to_owned(), file(head))]));
    }
    assert_eq!(merge_lines(old, old, head).as_deref(), Ok(head), "ours changed nothing");
    assert_eq!(merge_lines(old, new, old).as_deref(), Ok(new), "theirs changed nothing");
    if let (Ok(one), Ok(other)) = (merge_lines(old, new, head), merge_lines(old, head, new)) {
        assert_eq!(one, other, "merging has no direction");
    }
});
