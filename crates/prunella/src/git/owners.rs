//! Who owns a path, by the repository's CODEOWNERS file.
//!
//! Source: the documentation of GitHub and GitLab: the last matching pattern wins; patterns are those of gitignore
//! without negation and character classes. The file is read from the commit, so a change cannot appoint its own owner.

use prunella_core::id::CommitId;

use super::error::GitError;
use super::repo::Repo;

/// Where the file may be, in the order in which it is looked for.
const PLACES: [&str; 4] = [
    ".github/CODEOWNERS",
    "CODEOWNERS",
    "docs/CODEOWNERS",
    ".gitlab/CODEOWNERS",
];
/// The most lines that are read.
const MAX_LINES: usize = 10_000;

impl Repo {
    /// The owners of a path as of a commit, as they are written in the file; empty if nobody is named.
    ///
    /// # Errors
    /// If git fails.
    pub fn codeowners(&self, commit: &CommitId, path: &str) -> Result<Vec<String>, GitError> {
        for place in PLACES {
            if let Some(file) = self.file_at(commit, place)? {
                return Ok(owners_of(&String::from_utf8_lossy(&file.content), path));
            }
        }
        Ok(Vec::new())
    }
}

fn owners_of(file: &str, path: &str) -> Vec<String> {
    let mut owners = Vec::new();
    for line in file.lines().take(MAX_LINES) {
        let line = line.trim();
        // GitLab's section headings stand in brackets.
        if line.is_empty() || line.starts_with(['#', '[', '^']) {
            continue;
        }
        let line = line.split(" #").next().unwrap_or(line);
        let (pattern, names) = split_pattern(line);
        if matches(&pattern, path) {
            owners = names.split_ascii_whitespace().map(str::to_owned).collect();
        }
    }
    owners
}

/// The pattern ends at the first space that is not escaped.
fn split_pattern(line: &str) -> (String, &str) {
    let mut pattern = String::new();
    let mut chars = line.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => pattern.extend(chars.next().map(|(_, escaped)| escaped)),
            ' ' | '\t' => return (pattern, &line[at..]),
            _ => pattern.push(char),
        }
    }
    (pattern, "")
}

fn matches(pattern: &str, path: &str) -> bool {
    let directory = pattern.ends_with('/');
    let trimmed = pattern.trim_end_matches('/');
    // A slash that is not the last character ties the pattern to the root.
    let anchored = trimmed.contains('/');
    let wanted: Vec<&str> = trimmed.trim_start_matches('/').split('/').collect();
    let parts: Vec<&str> = path.split('/').collect();
    let starts = if anchored { 0..1 } else { 0..parts.len() };
    starts.into_iter().any(|start| {
        // The pattern names the path itself or a directory above it; `dir/*` names only what is directly in it.
        let ends = if pattern.ends_with("/*") {
            parts.len()..=parts.len()
        } else {
            start + 1..=parts.len()
        };
        ends.into_iter().any(|end| {
            let named_directory = end < parts.len();
            (!directory || named_directory) && match_parts(&wanted, &parts[start..end])
        })
    })
}

fn match_parts(wanted: &[&str], parts: &[&str]) -> bool {
    match (wanted.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => (0..=parts.len()).any(|skip| match_parts(rest, &parts[skip..])),
        (Some((want, more)), Some((part, left))) => {
            match_part(want.as_bytes(), part.as_bytes()) && match_parts(more, left)
        }
        _ => false,
    }
}

/// Whether a name matches a pattern with `*` and `?`.
#[must_use]
pub fn matches_pattern(pattern: &str, name: &str) -> bool {
    match_part(pattern.as_bytes(), name.as_bytes())
}

/// `*` and `?` within one part, greedy with one point of return: linear for each star.
fn match_part(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut back) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((after, from)) => {
                    back = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_testkit::repo::RepoBuilder;

    const FILE: &str = "\
# everything
*            @global
*.js         @js-team dev@example.org
/build/logs/ @ops
docs/*       @writers
apps/        @apps
/scripts/**/run.sh @scripts
with\\ space.txt @spaces # comment
/apps/github
";

    fn check(path: &str, expected: &[&str]) {
        assert_eq!(owners_of(FILE, path), expected, "{path}");
    }

    #[test]
    fn the_documented_examples() {
        check("README", &["@global"]);
        check("src/app.js", &["@js-team", "dev@example.org"]);
        check("build/logs/x/y.log", &["@ops"]);
        check("other/build/logs/x", &["@global"]);
        check("docs/getting-started.md", &["@writers"]);
        check("docs/build-app/trouble.md", &["@global"]);
        check("a/b/apps/x", &["@apps"]);
        check("scripts/a/b/run.sh", &["@scripts"]);
        check("scripts/run.sh", &["@scripts"]);
        check("with space.txt", &["@spaces"]);
        check("apps/github", &[]);
    }

    #[test]
    fn stars_do_not_explode() {
        let pattern = "*a".repeat(200);
        assert!(!match_part(pattern.as_bytes(), "a".repeat(150).as_bytes()));
        assert!(match_part(b"a*b?d", b"axxbcd"));
    }

    #[test]
    fn the_file_is_read_from_the_commit() {
        let mut builder = RepoBuilder::new();
        let first = builder.commit(&[(".github/CODEOWNERS", "* @one\n")], "One");
        let second = builder.commit(&[(".github/CODEOWNERS", "* @two\n")], "Two");
        let repo = Repo::open(builder.path()).unwrap();
        assert_eq!(repo.codeowners(&first, "x").unwrap(), ["@one"]);
        assert_eq!(repo.codeowners(&second, "x").unwrap(), ["@two"]);
    }
}
