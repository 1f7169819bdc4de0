//! How to make a test runner say more, start faster and run less, without changing what it tests.
//!
//! Nothing here is trusted: whoever uses it runs the changed command once where the plain one fails, and goes back to
//! the plain one unless the same test fails in the same way.

/// Variables that make the known runners name every test and print whole stack traces. Runners that do not know them
/// ignore them. pytest runs what it can collect where a module cannot be imported: by default one such module, of an
/// extra that is not installed, keeps it from running any test. It reads its options from `PYTEST_ADDOPTS` before those
/// of the command line, so that what a person wrote there wins.
pub const TELLING: &[(&str, &str)] = &[
    (
        "PYTEST_ADDOPTS",
        "-rA --tb=native -p no:cacheprovider --continue-on-collection-errors",
    ),
    ("PYTHONFAULTHANDLER", "1"),
    ("RUST_BACKTRACE", "1"),
];

/// As [`TELLING`], and without what costs time at each start or ties a run to today's plugins: pytest's plugins that
/// load themselves (1.6 s against 0.3 s with a few of them) and the options of the repository's own configuration,
/// which name plugins and coverage thresholds that older commits do not have.
pub const QUICK: &[(&str, &str)] = &[
    (
        "PYTEST_ADDOPTS",
        "-rA --tb=native -p no:cacheprovider --continue-on-collection-errors -o addopts=",
    ),
    ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"),
    ("PYTHONFAULTHANDLER", "1"),
    ("RUST_BACKTRACE", "1"),
];

/// The most tests that a narrowed command names.
const MAX_NAMED: usize = 8;

/// The command with only the failing tests, for a runner whose command line is known; `None` if it is not, or there is
/// nothing to leave out. `is_file` tells the arguments that are paths.
#[must_use]
pub fn narrowed(argv: &[String], failing: &[String], is_file: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let first = pytest_arguments(argv)?;
    if failing.is_empty() || failing.len() > MAX_NAMED || failing.iter().any(|name| name.starts_with('-')) {
        return None;
    }
    let names_a_test = |arg: &String| !arg.starts_with('-') && is_file(arg.split("::").next().unwrap_or_default());
    let mut narrow: Vec<String> = argv[..first].to_vec();
    narrow.extend(argv[first..].iter().filter(|arg| !names_a_test(arg)).cloned());
    narrow.extend(failing.iter().cloned());
    (narrow != argv).then_some(narrow)
}

/// The command that runs all tests with the same runner and interpreter; `None` if the runner is not known.
#[must_use]
pub fn whole_suite(argv: &[String]) -> Option<Vec<String>> {
    let first = pytest_arguments(argv)?;
    Some(argv[..first].to_vec())
}

/// Where the arguments of pytest begin: after `pytest`, `py.test` or `-m pytest`.
fn pytest_arguments(argv: &[String]) -> Option<usize> {
    let name = |arg: &String| arg.rsplit('/').next().unwrap_or_default().to_owned();
    let program = name(argv.first()?);
    if program == "pytest" || program == "py.test" {
        return Some(1);
    }
    if !program.starts_with("python") && !program.starts_with("pypy") {
        return None;
    }
    let module = argv
        .windows(2)
        .position(|pair| pair[0] == "-m" && pair[1] == "pytest")?;
    // An argument of a script that happens to be `-m pytest` does not count.
    argv[1..module]
        .iter()
        .all(|arg| arg.starts_with('-'))
        .then_some(module + 2)
}

/// The file of a test's name, where the runner puts it there: `tests/test_a.py::TestB::test_c[1]`.
#[must_use]
pub fn file_of(test: &str) -> Option<&str> {
    let (file, rest) = test.split_once("::")?;
    (!rest.is_empty() && file.contains('.')).then_some(file)
}

/// The innermost name of a test, without parameters: the function that a stack trace shows.
#[must_use]
pub fn function_of(test: &str) -> &str {
    let plain = test.split('[').next().unwrap_or(test);
    let last = plain.rsplit("::").next().unwrap_or(plain);
    // unittest: `test_x (tests.test_a.TestA.test_x)`.
    last.split_whitespace().next().unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn check(command: &str, failing: &[&str], expected: Option<&str>) {
        let failing: Vec<String> = failing.iter().map(ToString::to_string).collect();
        let is_file = |arg: &str| arg.starts_with("tests");
        let narrow = narrowed(&argv(command), &failing, is_file).map(|argv| argv.join(" "));
        assert_eq!(narrow.as_deref(), expected, "{command}");
    }

    #[test]
    fn pytest_runs_only_what_fails() {
        let one = &["tests/test_a.py::test_b[x y]"];
        check("pytest", one, Some("pytest tests/test_a.py::test_b[x y]"));
        check(
            ".venv/bin/python -m pytest -q tests",
            one,
            Some(".venv/bin/python -m pytest -q tests/test_a.py::test_b[x y]"),
        );
        check(
            "python3 -W error -m pytest -k slow tests/a.py tests/b.py",
            one,
            // `error` is an argument of an option of the interpreter: not surely pytest's.
            None,
        );
        check(
            "python3 -m pytest tests/test_a.py::test_b",
            &["tests/test_a.py::test_b"],
            None,
        );
    }

    #[test]
    fn what_is_not_known_is_left_alone() {
        let one = &["tests/test_a.py::test_b"];
        for command in ["npm test", "python run.py -m pytest", "make", "cargo test"] {
            check(command, one, None);
        }
        check("pytest", &[], None);
        check("pytest", &["-x"], None);
    }

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(file_of("tests/test_a.py::T::test_b[1::2]"), Some("tests/test_a.py"));
        assert_eq!(file_of("parser::tests::it_works"), None);
        assert_eq!(function_of("tests/test_a.py::T::test_b[1::2]"), "test_b");
        assert_eq!(function_of("test_x (tests.test_a.TestA.test_x)"), "test_x");
        assert_eq!(function_of("parser::tests::it_works"), "it_works");
    }
}
