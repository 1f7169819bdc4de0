//! What lines of code look at outside of the repository: variables, the clock, chance, installed modules.
//!
//! *Method*: the words by which the languages' standard libraries ask for these things. It only decides which
//! experiments are worth their time and which culprits are open to doubt, so that words in a comment cost a few runs
//! and nothing else.

use std::collections::BTreeSet;

use prunella_core::diagnose::hunks::{CommitDiff, HunkId};
use prunella_core::diagnose::paths::{PathKind, path_kind};

/// Words of programs that read a variable of the environment.
const VARIABLES: &[&str] = &[
    "environ",
    "getenv",
    "Getenv",
    "LookupEnv",
    "process.env",
    "env::var",
    "ENV[",
    "getProperty",
];
/// Words of programs that read the clock.
const CLOCK: &[&str] = &[
    "datetime.now",
    "utcnow",
    ".today(",
    "time.time",
    "localtime",
    "gmtime",
    "Date.now",
    "new Date(",
    "SystemTime",
    "time.Now",
    "LocalDate.now",
    "LocalDateTime.now",
    "Instant.now",
    "currentTimeMillis",
    "time(NULL)",
    "gettimeofday",
    "clock_gettime",
    "Utc::now",
    "Local::now",
    "timezone.now",
];
/// Words of programs whose order or values are left to chance.
const CHANCE: &[&str] = &[
    "random",
    "Random",
    "rand::",
    "rand.",
    "rand(",
    "shuffle",
    "uuid",
    "secrets.",
    "thread",
    "Thread",
    "asyncio",
    "setTimeout",
    "sleep",
    "perf_counter",
    "monotonic",
    "_ns(",
    "performance.now",
    "Instant::now",
    "hrtime",
    "go func",
    "getpid",
    "hash(",
    "HashMap",
    "HashSet",
    "listdir",
    "readdir",
    "multiprocessing",
];
/// Values and names that are kept of one commit.
const MAX_KEPT: usize = 12;

/// What some lines look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Looks {
    /// Variables of the environment, by name.
    pub(super) variables: BTreeSet<String>,
    /// Whether they read the clock.
    pub(super) clock: bool,
    /// Whether they leave something to chance.
    pub(super) chance: bool,
    /// Literals that stand beside: what a variable may have to be.
    pub(super) literals: BTreeSet<String>,
}

impl Looks {
    /// Of these lines.
    #[must_use]
    pub(super) fn of<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut looks = Self::default();
        for line in lines {
            let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
            if has(VARIABLES) && looks.variables.len() < MAX_KEPT {
                looks.variables.extend(names_of_variables(line));
            }
            looks.clock |= has(CLOCK);
            looks.chance |= has(CHANCE);
            let short = quoted(line).into_iter().filter(|text| text.len() <= 40);
            let room = MAX_KEPT.saturating_sub(looks.literals.len());
            looks.literals.extend(short.take(room).map(str::to_owned));
        }
        looks
    }
}

/// Capitals beside the reading word, or what stands in quotes there.
fn names_of_variables(line: &str) -> Vec<String> {
    let is_name = |word: &str| {
        word.len() > 1
            && word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let is_capital = |word: &&str| is_name(word) && !word.contains(|c: char| c.is_ascii_lowercase());
    let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let capitals: Vec<String> = words.filter(is_capital).map(str::to_owned).collect();
    if capitals.is_empty() {
        let named = quoted(line).into_iter().filter(|text| is_name(text));
        return named.take(1).map(str::to_owned).collect();
    }
    capitals
}

/// What stands in quotes.
fn quoted(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(open) = rest.find(['"', '\'']) {
        let quote = rest.as_bytes()[open];
        let after = &rest[open + 1..];
        let Some(close) = after.bytes().position(|byte| byte == quote) else {
            break;
        };
        found.push(&after[..close]);
        rest = &after[close + 1..];
    }
    found
}

/// A module and the names by which a source calls it.
type Import = (String, Vec<String>);

/// The modules that a source imports, each with the names by which the source then calls it. Python and JavaScript:
/// the languages whose installed modules are not tied to the commit by a lock file that every build obeys.
#[must_use]
pub(super) fn imports(path: &str, text: &str) -> Vec<Import> {
    let ending = path.rsplit('.').next().unwrap_or_default();
    let read: fn(&str) -> Option<Import> = match ending {
        "py" | "pyi" => python_import,
        "js" | "mjs" | "cjs" | "ts" | "tsx" | "jsx" => script_import,
        _ => return Vec::new(),
    };
    text.lines().filter_map(|line| read(line.trim())).collect()
}

fn python_import(line: &str) -> Option<Import> {
    let root = |module: &str| module.split('.').next().unwrap_or_default().trim().to_owned();
    let names = |list: &str| -> Vec<String> {
        let list = list.split('#').next().unwrap_or_default();
        let name = |part: &str| part.split_whitespace().next_back().map(root);
        let list = list.trim_matches(|c: char| "() \\".contains(c)).to_owned();
        list.split(',')
            .filter_map(name)
            .filter(|name| !name.is_empty())
            .collect()
    };
    if let Some(rest) = line.strip_prefix("from ") {
        let (module, list) = rest.split_once(" import ")?;
        let module = root(module);
        return (!module.is_empty()).then(|| (module, names(list)));
    }
    let rest = line.strip_prefix("import ")?;
    let module = root(rest.split([',', ' ']).next()?);
    (!module.is_empty()).then(|| (module, names(rest)))
}

fn script_import(line: &str) -> Option<Import> {
    let asks = line.contains("require(") || line.starts_with("import ") || line.starts_with("} from ");
    if !asks {
        return None;
    }
    let module = quoted(line)
        .into_iter()
        .next_back()
        .filter(|m| !m.starts_with(['.', '/']))?;
    let mut parts = module.split('/');
    let root = match (parts.next()?, parts.next()) {
        (scope, Some(name)) if scope.starts_with('@') => format!("{scope}/{name}"),
        (name, _) => name.to_owned(),
    };
    let bound = line.split(['=', '"', '\'']).next().unwrap_or_default();
    let words = bound.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
    let keywords = ["", "import", "from", "const", "let", "var", "as", "type", "require"];
    let names = words
        .filter(|word| !keywords.contains(word))
        .map(str::to_owned)
        .collect();
    Some((root, names))
}

/// The lines that hunks add to sources; all hunks where none is named.
#[must_use]
pub(super) fn added(diff: &CommitDiff, hunks: Option<&BTreeSet<HunkId>>) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for id in diff
        .hunk_ids()
        .filter(|id| hunks.is_none_or(|hunks| hunks.contains(id)))
    {
        let Some((change, hunk)) = diff.hunk(id) else { continue };
        if path_kind(change.path()) != PathKind::Source {
            continue;
        }
        let whole = change.old().is_none().then(|| change.new_state()).flatten();
        match whole {
            Some(state) => lines.extend(
                String::from_utf8_lossy(&state.content)
                    .lines()
                    .map(|line| (change.path().to_owned(), line.to_owned())),
            ),
            None => {
                let (_, new) = change.lines_of(hunk);
                lines.extend(new.into_iter().map(|line| {
                    (
                        change.path().to_owned(),
                        String::from_utf8_lossy(line).trim_end().to_owned(),
                    )
                }));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(line: &str, expected: &[&str]) {
        let looks = Looks::of([line]);
        assert_eq!(
            looks.variables.iter().map(String::as_str).collect::<Vec<_>>(),
            expected,
            "{line}"
        );
    }

    #[test]
    fn variables_are_read_in_many_languages() {
        variables("mode = os.environ.get('APP_MODE', 'plain')", &["APP_MODE"]);
        variables("if (process.env.NO_COLOR) {", &["NO_COLOR"]);
        variables("let home = env::var(\"APP_HOME\")?;", &["APP_HOME"]);
        variables("level := os.Getenv(\"LEVEL\")", &["LEVEL"]);
        variables("x = os.getenv('lower')", &["lower"]);
        variables("mode = 'APP_MODE'", &[]);
    }

    #[test]
    fn clock_and_chance_are_told_apart() {
        let clock = Looks::of(["return datetime.date.today().year"]);
        assert!(clock.clock && !clock.chance);
        let chance = Looks::of(["return random.choice(['a', \"b\"])"]);
        assert!(chance.chance && !chance.clock);
        assert_eq!(chance.literals.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(Looks::of(["return total + 1"]), Looks::default());
    }

    fn import(path: &str, line: &str, expected: Option<(&str, &[&str])>) {
        let got = imports(path, line);
        let expected: Vec<Import> = expected
            .into_iter()
            .map(|(module, names)| (module.to_owned(), names.iter().map(ToString::to_string).collect()))
            .collect();
        assert_eq!(got, expected, "{line}");
    }

    #[test]
    fn imports_bind_names() {
        import("a.py", "import yaml", Some(("yaml", &["yaml"])));
        import("a.py", "    import numpy as np", Some(("numpy", &["np"])));
        import(
            "a.py",
            "from dateutil.parser import parse as p, isoparse",
            Some(("dateutil", &["p", "isoparse"])),
        );
        import("a.py", "from . import local", None);
        import("a.py", "important = 1", None);
        import(
            "a.js",
            "const { a, b: c } = require('left-pad')",
            Some(("left-pad", &["a", "b", "c"])),
        );
        import(
            "a.ts",
            "import Ajv from \"@scope/ajv/dist\";",
            Some(("@scope/ajv", &["Ajv"])),
        );
        import("a.js", "const x = require('./x')", None);
        import("a.go", "import \"fmt\"", None);
    }
}
