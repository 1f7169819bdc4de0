//! What outlives the call: slots that an early way out keeps, work that an abrupt end cuts off, files that stay.
//!
//! *Signals*: added ways out between the lines that take and give back; words about ending well; calls that write files
//! or force them to the disk.
//! *Method*: by the position of the lines in the hunk and by the names of what is called.
//! *Source*: resource leaks on exceptional paths (Weimer and Necula, OOPSLA 2004); graceful termination as the
//! Kubernetes documentation describes it for pods.

use super::super::diff::{Hunk, Line};
use super::super::lexis::{norm, says_any};
use super::{Effect, Finding, calls};

const TAKES: &[&str] = &[
    "acquire",
    "lock_",
    "open_",
    "begin_",
    "take_",
    "reserve",
    "checkout",
    "borrow",
    "get connection",
    "start_",
    "enter_",
];
const GIVES: &[&str] = &[
    "release",
    "unlock",
    "close",
    "commit",
    "rollback",
    "put_",
    "give",
    "return_ to",
    "exit_",
    "free_",
    "done_",
    "stop_",
    "dispose",
];
const WAYS_OUT: &[&str] = &["return", "throw", "raise", "continue", "break", "bail"];
const GRACE: &[&str] = &[
    "shutdown",
    "shut down",
    "drain",
    "graceful",
    "sigterm",
    "pre stop",
    "prestop",
    "termination grace",
    "deregister",
    "wait group",
    "in flight",
    "linger",
    "grace period",
];
const WRITERS: &[&str] = &[
    "write file",
    "writefile",
    "write bytes",
    "write text",
    "write file sync",
    "append file",
    "write all bytes",
    "write string to file",
    "file put contents",
    "fwrite",
    "dump_",
    "heap dump",
    "save to file",
];
const FORCES: &[&str] = &["fsync", "fdatasync", "sync all", "sync data", "msync", "force_"];

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    leaves(hunk, found);
    ends(hunk, found);
    files(hunk, found);
}

fn calls_any(line: &Line, names: &[&str]) -> bool {
    calls::called(line).any(|name| says_any(&norm(&name), names))
}

/// A new way out between taking and giving back.
fn leaves(hunk: &Hunk, found: &mut Vec<Finding>) {
    let kept = || hunk.context.iter().chain(&hunk.added);
    let first = |line: &Line| {
        line.text
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .trim_end_matches(';')
            .to_owned()
    };
    let out = hunk.fresh().find(|line| {
        let leaves = WAYS_OUT.contains(&first(line).as_str());
        leaves
            && kept().any(|other| other.at < line.at && calls_any(other, TAKES) && !other.text.contains("defer "))
            && kept().any(|other| other.at > line.at && calls_any(other, GIVES))
            && !kept().any(|other| other.at < line.at && calls_any(other, GIVES))
    });
    if let Some(line) = out {
        let told = format!("leaves by `{}` without giving back what it took", line.text.trim());
        found.push(Finding::new(Effect::CleanupRemoved, 0.9, told));
    }
}

/// An end that no longer waits for what is under way.
fn ends(hunk: &Hunk, found: &mut Vec<Finding>) {
    let about = |line: &Line| !line.tokens.is_empty() && says_any(&norm(&line.text), GRACE);
    let count = |lines: &[Line]| lines.iter().filter(|line| about(line)).count();
    if count(&hunk.removed) > count(&hunk.added) {
        found.push(Finding::new(
            Effect::GraceRemoved,
            0.8,
            "no longer waits at its end for what is under way",
        ));
    }
}

fn files(hunk: &Hunk, found: &mut Vec<Finding>) {
    for (names, risk, what) in [
        (WRITERS, 0.7, "writes files that it did not write"),
        (FORCES, 0.8, "forces each write to the disk"),
    ] {
        let does = |lines: &[Line]| lines.iter().any(|line| calls_any(line, names));
        if does(&hunk.added) && !does(&hunk.removed) {
            found.push(Finding::new(Effect::WritesFiles, risk, what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::model::Commit;
    use super::*;

    fn check(diff: &str, effect: Effect, expected: bool) {
        let commit = Commit {
            files: vec!["a/b.x".to_owned()],
            diff: Some(format!("@@ run @@\n{diff}\n")),
            ..Commit::default()
        };
        let found = super::super::read(&commit).findings;
        assert_eq!(
            found.iter().any(|finding| finding.effect == effect),
            expected,
            "{diff} {found:?}"
        );
    }

    #[test]
    fn a_way_out_between_taking_and_giving_back_leaks() {
        let between = " slots.acquire();\n+if bad {\n+    return None;\n+}\n work();\n slots.release();";
        check(between, Effect::CleanupRemoved, true);
        let before = "+if bad {\n+    return None;\n+}\n slots.acquire();\n work();\n slots.release();";
        check(before, Effect::CleanupRemoved, false);
    }

    #[test]
    fn ends_and_files_are_seen() {
        check("-server.shutdown(30)\n+server.close()", Effect::GraceRemoved, true);
        check("+path.write_bytes(payload)", Effect::WritesFiles, true);
        check("-file.flush()\n+file.sync_all()", Effect::WritesFiles, true);
        check("+writer.write(payload)", Effect::WritesFiles, false);
    }
}
