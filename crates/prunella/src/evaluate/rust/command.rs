//! What a `cargo test` command builds and runs, and what cargo says about it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Options of `cargo test` whose value is the next argument.
const WITH_VALUE: &[&str] = &[
    "-p",
    "--package",
    "--exclude",
    "--test",
    "--bin",
    "--example",
    "--bench",
    "-F",
    "--features",
    "--manifest-path",
    "--target",
    "--profile",
    "-j",
    "--jobs",
    "--color",
    "--target-dir",
    "--config",
    "-Z",
    "--message-format",
    "--cargo-profile",
    "-E",
    "--filter-expr",
    "--retries",
    "--test-threads",
    "-P",
    "--lockfile-path",
    "--partition",
];
/// Options that say how to report, or where to build.
const LEFT_OUT: &[&str] = &[
    "-q",
    "--quiet",
    "--no-fail-fast",
    "--no-run",
    "--message-format",
    "--target-dir",
    "--no-capture",
];
/// What `cargo test` knows of the options of nextest.
const SHARED: &[&str] = &[
    "-p",
    "--package",
    "--exclude",
    "--test",
    "--bin",
    "--example",
    "--bench",
    "-F",
    "--features",
    "--manifest-path",
    "--target",
    "-Z",
    "--config",
    "--all-features",
    "--no-default-features",
    "--workspace",
    "--all",
    "--release",
    "-r",
    "--lib",
    "--tests",
    "--bins",
    "--locked",
    "--offline",
    "--frozen",
];

/// A `cargo test` or `cargo nextest run` command, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CargoTest {
    /// The command that only builds, and says so as JSON.
    pub(super) build: Vec<String>,
    /// What every test program is given.
    pub(super) harness: Vec<String>,
}

impl CargoTest {
    /// Takes a command apart; `None` if it is none of these, or runs documentation.
    pub(super) fn of(argv: &[String]) -> Option<Self> {
        let program = argv.first()?;
        if program.rsplit('/').next()? != "cargo" {
            return None;
        }
        let mut head = vec![program.clone()];
        let mut rest = argv[1..].iter().peekable();
        if let Some(toolchain) = rest.next_if(|word| word.starts_with('+')) {
            head.push(toolchain.clone());
        }
        let is_next = match rest.next()?.as_str() {
            "test" | "t" => false,
            "nextest" if rest.next()?.as_str() == "run" => true,
            _ => return None,
        };
        head.push("test".to_owned());
        let (mut build, mut harness) = (head, Vec::new());
        while let Some(word) = rest.next() {
            if word == "--" {
                harness.extend(rest.by_ref().cloned());
                break;
            }
            if word == "--doc" {
                return None;
            }
            let name = word.split('=').next().unwrap_or_default();
            let has_value = WITH_VALUE.contains(&word.as_str());
            let value = if has_value { rest.next() } else { None };
            if !word.starts_with('-') {
                harness.insert(0, word.clone());
            } else if !LEFT_OUT.contains(&name) && (!is_next || SHARED.contains(&name)) {
                build.push(word.clone());
                build.extend(value.cloned());
            }
        }
        build.extend(["--no-run", "--message-format=json-diagnostic-short"].map(str::to_owned));
        Some(Self { build, harness })
    }
}

/// A built test program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Program {
    /// Where it is inside of the sandbox.
    pub(super) path: String,
    /// The folder of its package, in which cargo starts it.
    pub(super) package: PathBuf,
    /// The target's name.
    pub(super) name: String,
}

/// An error of the compiler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fault {
    /// What it says.
    pub(super) message: String,
    /// Files with the bytes that it is about, as the compiler names them; macros by where they are called.
    pub(super) places: Vec<(String, std::ops::Range<usize>)>,
    /// What the compiler would write instead: each is a set of replacements, and whether it is sure.
    pub(super) advice: Vec<Advice>,
}

/// A change that the compiler proposes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Advice {
    /// File, bytes, text.
    pub(super) edits: Vec<(String, std::ops::Range<usize>, String)>,
    /// Whether it says that this can be applied by a machine.
    pub(super) is_sure: bool,
}

/// What a build said.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) programs: Vec<Program>,
    pub(super) faults: Vec<Fault>,
}

#[derive(Deserialize)]
struct Line {
    reason: String,
    #[serde(default)]
    executable: Option<String>,
    #[serde(default)]
    manifest_path: Option<String>,
    #[serde(default)]
    target: Option<Target>,
    #[serde(default)]
    profile: Option<Profile>,
    #[serde(default)]
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    #[serde(default)]
    test: bool,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    message: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    spans: Vec<Span>,
    #[serde(default)]
    children: Vec<Message>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    #[serde(default)]
    is_primary: bool,
    #[serde(default)]
    suggested_replacement: Option<String>,
    #[serde(default)]
    suggestion_applicability: Option<String>,
    #[serde(default)]
    expansion: Option<Box<Expansion>>,
}

#[derive(Deserialize)]
struct Expansion {
    span: Span,
}

/// The deepest chain of macros that is followed.
const MAX_EXPANSIONS: usize = 32;
/// The most errors that are read.
const MAX_FAULTS: usize = 5000;

/// Reads the lines that cargo wrote. They come out of the sandbox: what does not parse is left out.
pub(super) fn read(output: &str) -> Said {
    let mut said = Said::default();
    let mut seen = BTreeSet::new();
    for line in output.lines().filter(|line| line.starts_with('{')) {
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            continue;
        };
        if line.reason == "compiler-artifact" && line.profile.as_ref().is_some_and(|profile| profile.test) {
            let package = line
                .manifest_path
                .as_deref()
                .and_then(|path| Path::new(path).parent())
                .map(Path::to_owned);
            if let (Some(path), Some(package)) = (line.executable, package)
                && seen.insert(path.clone())
            {
                let name = line.target.map(|target| target.name).unwrap_or_default();
                said.programs.push(Program { path, package, name });
            }
        } else if line.reason == "compiler-message"
            && said.faults.len() < MAX_FAULTS
            && let Some(message) = line.message.filter(|message| message.level == "error")
        {
            said.faults.push(fault(&message));
        }
    }
    said
}

fn fault(message: &Message) -> Fault {
    let mut places: Vec<(bool, String, std::ops::Range<usize>)> = Vec::new();
    for span in &message.spans {
        let mut at = Some(span);
        for _ in 0..MAX_EXPANSIONS {
            let Some(span) = at else { break };
            places.push((!span.is_primary, span.file_name.clone(), span.byte_start..span.byte_end));
            at = span.expansion.as_ref().map(|expansion| &expansion.span);
        }
    }
    places.sort_by_key(|(is_secondary, ..)| *is_secondary);
    let advice = message.children.iter().filter_map(advice).collect();
    Fault {
        message: message.message.clone(),
        places: places.into_iter().map(|(_, file, span)| (file, span)).collect(),
        advice,
    }
}

fn advice(child: &Message) -> Option<Advice> {
    let usable = |of: &str| matches!(of, "MachineApplicable" | "MaybeIncorrect");
    let mut edits = Vec::new();
    let mut is_sure = true;
    for span in &child.spans {
        let text = span.suggested_replacement.clone()?;
        let how = span.suggestion_applicability.as_deref()?;
        if !usable(how) {
            return None;
        }
        is_sure &= how == "MachineApplicable";
        edits.push((span.file_name.clone(), span.byte_start..span.byte_end, text));
    }
    (!edits.is_empty()).then_some(Advice { edits, is_sure })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &str, build: &str, harness: &str) {
        let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let found = CargoTest::of(&argv).unwrap();
        assert_eq!(
            found.build.join(" "),
            format!("{build} --no-run --message-format=json-diagnostic-short")
        );
        assert_eq!(found.harness.join(" "), harness);
    }

    #[test]
    fn commands_are_taken_apart() {
        check("cargo test", "cargo test", "");
        check(
            "cargo +1.80 t -q -p a name -- --nocapture",
            "cargo +1.80 test -p a",
            "name --nocapture",
        );
        check(
            "/usr/bin/cargo test --features x,y --no-fail-fast",
            "/usr/bin/cargo test --features x,y",
            "",
        );
        check("cargo nextest run -p a --retries 2 -E all() b", "cargo test -p a", "b");
        for other in ["cargo run", "cargo test --doc", "make test", "cargo nextest list"] {
            let argv: Vec<String> = other.split(' ').map(str::to_owned).collect();
            assert!(CargoTest::of(&argv).is_none(), "{other}");
        }
    }

    #[test]
    fn what_cargo_says_is_read() {
        let output = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"a"},"profile":{"test":true},"executable":"/t/a-1"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"a"},"profile":{"test":false},"executable":null}"#,
            "\n",
            "not json\n",
            r#"{"reason":"compiler-message","message":{"message":"mismatched types","level":"error","spans":[{"file_name":"src/lib.rs","byte_start":3,"byte_end":5,"is_primary":true}],"children":[{"message":"try","level":"help","spans":[{"file_name":"src/lib.rs","byte_start":5,"byte_end":5,"suggested_replacement":"?","suggestion_applicability":"MachineApplicable"}]}]}}"#,
            "\n",
            r#"{"reason":"compiler-message","message":{"message":"unused","level":"warning","spans":[]}}"#,
            "\n",
        );
        let said = read(output);
        assert_eq!(
            said.programs,
            [Program {
                path: "/t/a-1".into(),
                package: "/w/a".into(),
                name: "a".into()
            }]
        );
        assert_eq!(said.faults.len(), 1);
        assert_eq!(said.faults[0].places, [("src/lib.rs".to_owned(), 3..5)]);
        assert_eq!(
            said.faults[0].advice,
            [Advice {
                edits: vec![("src/lib.rs".to_owned(), 5..5, "?".to_owned())],
                is_sure: true
            }]
        );
    }
}
