//! Words that must not stay in the repository.

use crate::check;
use crate::sources::{FILES, SOURCES, product, root};

/// Tests that are not run by themselves, and why.
const IGNORED: &[(&str, &str)] = &[(
    "crates/prunella-gateway/tests/it/process.rs",
    "the body of child processes that other tests start",
)];

/// Home directories of people who do not exist, as real stack traces would show them.
const FICTIONAL: &[&str] = &["dev", "jail", "user"];

#[test]
fn nothing_is_left_to_do() {
    let mut violations = Vec::new();
    for source in SOURCES.iter() {
        for word in ["todo!(", "unimplemented!(", "dbg!("] {
            violations.extend(
                source
                    .code
                    .match_indices(word)
                    .map(|(at, _)| format!("{}: {word})", source.at(at))),
            );
        }
    }
    check(
        &violations,
        "Do it now, or return a named outcome that says it cannot be done.",
    );
}

#[test]
fn every_test_runs() {
    let mut violations = Vec::new();
    for source in SOURCES
        .iter()
        .filter(|source| !IGNORED.iter().any(|(path, _)| source.path == *path))
    {
        violations.extend(source.code.match_indices("#[ignore").map(|(at, _)| source.at(at)));
    }
    check(
        &violations,
        "Make it run everywhere, or remove it; a benchmark belongs to bench/.",
    );
}

#[test]
fn the_product_does_not_unwrap() {
    let mut violations = Vec::new();
    for source in product() {
        violations.extend(source.words(".unwrap()").map(|at| source.at(at)));
    }
    check(&violations, "Handle the error, or `expect(\"why it cannot happen\")`.");
}

#[test]
fn no_home_directory_is_named() {
    let mut violations = Vec::new();
    for file in FILES.iter() {
        let bytes = std::fs::read(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let text = String::from_utf8_lossy(&bytes);
        for (number, line) in text.lines().enumerate() {
            if let Some(found) = home(line) {
                violations.push(format!("{file}:{}: {found}", number + 1));
            }
        }
    }
    check(
        &violations,
        "Use a path below the repository, a temporary directory, or /home/dev in an example.",
    );
}

/// The home directory of a real person or of root that a line names.
fn home(line: &str) -> Option<String> {
    let is_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    for prefix in ["/home/", "/Users/"] {
        for (at, _) in line.match_indices(prefix) {
            let name: String = line[at + prefix.len()..].chars().take_while(|c| is_name(*c)).collect();
            let is_path = line[at + prefix.len() + name.len()..].starts_with('/');
            if is_path && !name.is_empty() && !FICTIONAL.contains(&name.as_str()) && is_absolute(line, at) {
                return Some(format!("{prefix}{name}"));
            }
        }
    }
    let root = concat!("/ro", "ot/");
    line.match_indices(root)
        .find(|(at, _)| is_absolute(line, *at))
        .map(|_| root.to_owned())
}

/// Whether the slash at this offset begins a path.
fn is_absolute(line: &str, at: usize) -> bool {
    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "-_.}".contains(c))
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut violations = Vec::new();
    for page in FILES.iter().filter(|file| file.ends_with(".md")) {
        let text = std::fs::read_to_string(root().join(page)).unwrap_or_else(|e| panic!("{page}: {e}"));
        let folder = root().join(page).parent().expect("a file lies in a folder").to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if !link.contains("://") && !path.is_empty() && !folder.join(path).exists() {
                violations.push(format!("{page}: {link}"));
            }
        }
    }
    check(&violations, "Mend the link, or write the page.");
}

#[test]
fn the_readme_begins_with_two_commands() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README.md");
    for command in ["cargo run --release -- demo", "./scripts/test"] {
        assert!(
            readme.lines().any(|line| line == command),
            "README.md must have a line `{command}`"
        );
    }
    for script in ["scripts/test", ".ci/run", "crates/prunella/demo/build-history.sh"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(root().join(script))
            .unwrap_or_else(|e| panic!("{script}: {e}"))
            .permissions()
            .mode();
        assert!(
            mode & 0o111 != 0,
            "{script} must be executable: git update-index --chmod=+x {script}"
        );
    }
}

#[test]
fn home_directories_are_recognised() {
    let check = |line: &str, expected: Option<&str>| assert_eq!(home(line).as_deref(), expected, "{line}");
    check(concat!("at /ro", "ot/.cargo/bin"), Some(concat!("/ro", "ot/")));
    check(concat!("\"/ho", "me/ada/x\""), Some(concat!("/ho", "me/ada")));
    check("/home/dev/.pyenv", None);
    check(concat!("https://x.example/Us", "ers/ada/"), None);
    check("/proc/1/root", None);
}
