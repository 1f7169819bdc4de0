//! The repository's files as the rules see them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::lexer::{TestModule, blank, without_tests};

/// One Rust file.
pub(crate) struct Source {
    /// Below the repository's root, with slashes.
    pub(crate) path: String,
    /// As it was written.
    pub(crate) text: String,
    /// Without comments and the contents of literals.
    pub(crate) code: String,
    /// Without tests as well; empty for a file that only tests compile.
    pub(crate) product: String,
    modules: Vec<TestModule>,
}

impl Source {
    /// `path:line` of a byte offset.
    pub(crate) fn at(&self, offset: usize) -> String {
        let line = 1 + self.text[..offset].matches('\n').count();
        format!("{}:{line}", self.path)
    }

    /// Where a word stands in the product's code, not as a part of a longer word.
    pub(crate) fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        self.product.match_indices(word).map(|(at, _)| at).filter(move |at| {
            let before = self.product[..*at].chars().next_back();
            let after = self.product[at + word.len()..].chars().next();
            let goes_on_before = word.starts_with(is_word) && before.is_some_and(is_word);
            let goes_on_after = word.ends_with(is_word) && after.is_some_and(is_word);
            !goes_on_before && !goes_on_after
        })
    }

    pub(crate) fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("the crate lies two folders below the root")
        .to_owned()
}

/// Every tracked file, below the root; every file that is not a build's in an export without git.
pub(crate) static FILES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut files = tracked().unwrap_or_else(|| {
        let mut found = Vec::new();
        walk(&root(), "", &mut found);
        found
    });
    files.retain(|file| root().join(file).is_file());
    files.sort();
    assert!(
        files.iter().any(|file| file == "Cargo.toml"),
        "no Cargo.toml among {} files",
        files.len()
    );
    files
});

/// Every Rust file of the workspace.
pub(crate) static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let is_ours = |file: &&String| file.ends_with(".rs") && (file.starts_with("crates/") || file.starts_with("bench/"));
    let mut sources: Vec<Source> = FILES.iter().filter(is_ours).map(|file| read_source(file)).collect();
    let mut tests = BTreeSet::new();
    for source in &sources {
        tests.extend(source.modules.iter().flat_map(|module| files_of(&source.path, module)));
    }
    for source in &mut sources {
        let below = |folder: &String| folder.ends_with('/') && source.path.starts_with(folder);
        if source.path.contains("/tests/") || tests.contains(&source.path) || tests.iter().any(below) {
            source.product.clear();
        }
    }
    assert!(sources.len() > 200, "only {} Rust files were found", sources.len());
    sources
});

/// Product code only.
pub(crate) fn product() -> impl Iterator<Item = &'static Source> {
    SOURCES.iter().filter(|source| !source.product.is_empty())
}

/// A file's text.
pub(crate) fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn read_source(file: &str) -> Source {
    let text = read(file);
    let code = blank(&text);
    let (product, modules) = without_tests(&code, &text);
    Source {
        path: file.to_owned(),
        text,
        code,
        product,
        modules,
    }
}

/// Where a test module can lie: two files, and the folder of its own modules (with a slash at the end).
fn files_of(parent: &str, module: &TestModule) -> Vec<String> {
    let (folder, file) = parent.rsplit_once('/').expect("a Rust file lies in a folder");
    if let Some(path) = &module.path {
        return vec![format!("{folder}/{path}")];
    }
    let base = match file {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        _ => format!("{folder}/{}", file.trim_end_matches(".rs")),
    };
    let name = &module.name;
    vec![format!("{base}/{name}.rs"), format!("{base}/{name}/")]
}

#[allow(clippy::disallowed_methods, reason = "asks git which files are tracked")]
fn tracked() -> Option<Vec<String>> {
    let mut command = Command::new("git");
    command.args(["ls-files", "-z"]).current_dir(root());
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(variable);
    }
    let output = command.output().ok().filter(|output| output.status.success())?;
    let names = String::from_utf8(output.stdout).ok()?;
    let files: Vec<String> = names.split_terminator('\0').map(ToOwned::to_owned).collect();
    // An export inside another repository is not tracked by it.
    files.iter().any(|file| file == "Cargo.toml").then_some(files)
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the repository can be read").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && (name == ".git" || name == ".prunella" || name.starts_with("target")) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if is_dir {
            walk(&entry.path(), &format!("{path}/"), found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn product_and_tests_are_told_apart() {
    let is_product = |path: &str| product().any(|source| source.path == path);
    assert!(is_product("crates/prunella-core/src/verify/judge.rs"));
    assert!(!is_product("crates/prunella-core/src/diagnose/hunks_tests.rs"));
    assert!(!is_product("crates/prunella-lang/src/stacktrace/tests/python.rs"));
    assert!(!is_product("crates/prunella/tests/tidy/sources.rs"));
}

#[test]
fn an_export_without_git_is_walked() {
    let mut found = Vec::new();
    walk(&root(), "", &mut found);
    assert!(found.iter().any(|file| file == "crates/prunella-core/src/lib.rs"));
    assert!(
        !found
            .iter()
            .any(|file| file.starts_with(".git/") || file.starts_with("target"))
    );
}
