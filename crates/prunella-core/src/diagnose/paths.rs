//! What a file is for, by its path: code, tests, documentation, lockfiles, CI, policy.
//!
//! *Method*: conventions of the common toolchains, matched on whole path components without regard to case. A path
//! that is not plainly repository-relative is [`PathKind::Unsafe`], never anything else.

use serde::{Deserialize, Serialize};

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// Anything not below: code, data, configuration of the service.
    Source,
    /// Tests and what only they use.
    Test,
    /// Documentation.
    Docs,
    /// What a package manager wrote.
    Lockfile,
    /// What CI runs.
    Ci,
    /// Who may do what: Prunella's configuration and policies, code owners.
    Policy,
    /// Absolute, with `..`, inside `.git`, or with characters that no path of a repository should have.
    Unsafe,
}

impl PathKind {
    /// Whether no repair may touch it: the judge's evidence, the machinery that runs it, and the rules.
    #[must_use]
    pub fn is_protected(self) -> bool {
        matches!(self, Self::Test | Self::Ci | Self::Policy | Self::Unsafe)
    }

    /// The word for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Test => "test",
            Self::Docs => "documentation",
            Self::Lockfile => "lockfile",
            Self::Ci => "CI",
            Self::Policy => "policy",
            Self::Unsafe => "unsafe path",
        }
    }
}

const CI_FOLDERS: &[&str] = &[
    ".circleci",
    ".buildkite",
    ".gitlab",
    ".ci",
    ".woodpecker",
    ".gitea",
    ".forgejo",
];
const CI_FILES: &[&str] = &[
    "jenkinsfile",
    "azure-pipelines.yml",
    "azure-pipelines.yaml",
    "bitbucket-pipelines.yml",
    "bitbucket-pipelines.yaml",
    "appveyor.yml",
    ".gitlab-ci.yml",
    ".gitlab-ci.yaml",
    ".travis.yml",
    ".drone.yml",
    ".cirrus.yml",
    ".woodpecker.yml",
    "cloudbuild.yaml",
    "cloudbuild.yml",
    "buildspec.yml",
];
const POLICY_FILES: &[&str] = &[
    "prunella.toml",
    "codeowners",
    ".git-blame-ignore-revs",
    ".gitattributes",
    ".gitmodules",
];
const TEST_FOLDERS: &[&str] = &[
    "test",
    "tests",
    "__tests__",
    "spec",
    "specs",
    "testing",
    "testdata",
    "__snapshots__",
    "e2e",
];
const LOCKFILES: &[&str] = &[
    "cargo.lock",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "poetry.lock",
    "uv.lock",
    "pdm.lock",
    "pipfile.lock",
    "go.sum",
    "gemfile.lock",
    "composer.lock",
    "gradle.lockfile",
];
const DOC_ENDINGS: &[&str] = &[".md", ".rst", ".adoc", ".markdown"];
const DOC_FOLDERS: &[&str] = &["doc", "docs"];
const DOC_FILES: &[&str] = &[
    "license",
    "license.txt",
    "authors",
    "changelog",
    "changes",
    "changes.txt",
    "news",
    "readme",
    "readme.txt",
];

/// What the file at this path is for. The strictest kind wins: a policy file inside `tests/` is policy.
#[must_use]
pub fn path_kind(path: &str) -> PathKind {
    if is_unsafe(path) {
        return PathKind::Unsafe;
    }
    let lower = path.to_lowercase();
    let parts: Vec<&str> = lower.split('/').collect();
    let (folders, file) = (&parts[..parts.len() - 1], parts[parts.len() - 1]);
    let within = |names: &[&str]| folders.iter().any(|folder| names.contains(folder));
    if POLICY_FILES.contains(&file) || within(&[".prunella"]) || file.ends_with(".cedar") {
        PathKind::Policy
    } else if is_ci(folders, file) || within(CI_FOLDERS) {
        PathKind::Ci
    } else if within(TEST_FOLDERS) || is_test_file(file) {
        PathKind::Test
    } else if LOCKFILES.contains(&file) {
        PathKind::Lockfile
    } else if within(DOC_FOLDERS)
        || DOC_FILES.contains(&file)
        || DOC_ENDINGS.iter().any(|ending| file.ends_with(ending))
    {
        PathKind::Docs
    } else {
        PathKind::Source
    }
}

fn is_unsafe(path: &str) -> bool {
    path.is_empty()
        || path.len() > 4096
        || path.contains('\\')
        || path.chars().any(char::is_control)
        || path.as_bytes().get(1) == Some(&b':')
        || path
            .split('/')
            .any(|part| matches!(part, "" | "." | "..") || is_git_folder(part))
}

/// `.git` as file systems may read it: without regard to case, trailing dots and spaces, or as `git~1`.
fn is_git_folder(part: &str) -> bool {
    let part = part.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    matches!(part.as_str(), ".git" | "git~1")
}

fn is_ci(folders: &[&str], file: &str) -> bool {
    CI_FILES.contains(&file)
        || folders
            .windows(2)
            .any(|pair| pair[0] == ".github" && matches!(pair[1], "workflows" | "actions"))
        || (folders == [".github"] && matches!(file, "dependabot.yml" | "dependabot.yaml"))
}

fn is_test_file(file: &str) -> bool {
    let stem = file.split('.').next().unwrap_or(file);
    let middle = file.split('.').rev().nth(1).unwrap_or("");
    file == "conftest.py"
        || (stem.starts_with("test_") || stem.ends_with("_test") || stem.ends_with("_tests") || stem == "tests")
        || (matches!(middle, "test" | "spec") && file.split('.').count() > 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_conventions() {
        for (path, kind) in [
            ("shop/price.py", PathKind::Source),
            ("src/contest.py", PathKind::Source),
            ("src/attest/spectrum.rs", PathKind::Source),
            ("src/testimony.py", PathKind::Source),
            ("tests/unit/price.py", PathKind::Test),
            ("shop/test_price.py", PathKind::Test),
            ("shop/price_test.go", PathKind::Test),
            ("web/cart.spec.ts", PathKind::Test),
            ("web/test.js", PathKind::Source),
            ("conftest.py", PathKind::Test),
            (".github/workflows/ci.yml", PathKind::Ci),
            (".GitLab-CI.yml", PathKind::Ci),
            ("deploy/Jenkinsfile", PathKind::Ci),
            ("prunella.toml", PathKind::Policy),
            ("tests/Prunella.TOML", PathKind::Policy),
            (".github/CODEOWNERS", PathKind::Policy),
            ("package-lock.json", PathKind::Lockfile),
            ("docs/conf.py", PathKind::Docs),
            ("README.md", PathKind::Docs),
        ] {
            assert_eq!(path_kind(path), kind, "{path}");
        }
    }

    #[test]
    fn paths_that_leave_the_repository_are_unsafe() {
        for path in [
            "",
            "/etc/passwd",
            "a/../b",
            "./a",
            "a//b",
            ".git/config",
            "sub/.GIT/hooks/x",
            "git~1/x",
            ".git./x",
            "a\\b",
            "C:x",
            "a\nb",
        ] {
            assert_eq!(path_kind(path), PathKind::Unsafe, "{path:?}");
            assert!(path_kind(path).is_protected());
        }
    }
}
