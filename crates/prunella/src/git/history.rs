//! Commits and how they follow each other.

use std::collections::BTreeMap;

use prunella_core::id::CommitId;

use super::error::GitError;
use super::repo::Repo;

/// The most commits that one question may return.
const MAX_COMMITS: usize = 20_000;

/// A commit without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its name.
    pub id: CommitId,
    /// Its parents, the first one being the branch that it was made on.
    pub parents: Vec<CommitId>,
    /// The author's name.
    pub author: String,
    /// The author's address.
    pub email: String,
    /// When it was written, in milliseconds since the epoch.
    pub authored_ms: i64,
    /// When it was committed, in milliseconds since the epoch.
    pub time_ms: i64,
    /// The first line of its message.
    pub subject: String,
}

/// What the work tree holds that no commit holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    /// Files changed in the index.
    pub staged: usize,
    /// Files changed in the work tree only.
    pub modified: usize,
    /// Files that git does not know and does not ignore.
    pub untracked: usize,
    /// Files with unresolved conflicts.
    pub conflicted: usize,
    /// Some of the paths.
    pub examples: Vec<String>,
}

impl Dirty {
    /// Whether a release of HEAD would differ from what the work tree shows. Untracked files count: code may use them.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.staged + self.modified + self.untracked + self.conflicted > 0
    }
}

impl Repo {
    /// What the work tree holds that no commit holds.
    ///
    /// # Errors
    /// If git fails.
    pub fn is_dirty(&self) -> Result<Dirty, GitError> {
        const EXAMPLES: usize = 10;
        let status = self
            .git([
                "status",
                "--porcelain=v1",
                "-z",
                "--untracked-files=normal",
                "--no-renames",
            ])
            .run()?;
        let mut dirty = Dirty::default();
        for entry in status.split(|byte| *byte == 0).filter(|entry| entry.len() > 3) {
            match (entry[0], entry[1]) {
                (b'?', _) => dirty.untracked += 1,
                (b'U', _) | (_, b'U') | (b'A', b'A') | (b'D', b'D') => dirty.conflicted += 1,
                (b' ', _) => dirty.modified += 1,
                _ => dirty.staged += 1,
            }
            if dirty.examples.len() < EXAMPLES {
                dirty.examples.push(String::from_utf8_lossy(&entry[3..]).into_owned());
            }
        }
        Ok(dirty)
    }

    /// The commits that `bad` contains and `good` does not, parents after children: the suspects. Merges included.
    ///
    /// # Errors
    /// [`GitError::TooLarge`] beyond 20 000 commits.
    pub fn commits_between(&self, good: &CommitId, bad: &CommitId) -> Result<Vec<CommitInfo>, GitError> {
        self.log(&[bad.as_str(), &format!("^{good}")])
    }

    /// One commit.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn commit_info(&self, commit: &CommitId) -> Result<CommitInfo, GitError> {
        let found = self.log(&["--max-count=1", commit.as_str()])?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| GitError::UnknownRevision(commit.to_string()))
    }

    /// The last `count` commits of the first-parent line that ends at `commit`, newest first.
    ///
    /// # Errors
    /// If git fails.
    pub fn recent(&self, commit: &CommitId, count: usize) -> Result<Vec<CommitInfo>, GitError> {
        self.log(&[
            "--first-parent",
            &format!("--max-count={}", count.min(MAX_COMMITS)),
            commit.as_str(),
        ])
    }

    /// Commits that changed a file, newest first, at most `count`; with `words`, only those that brought or took lines
    /// with these words.
    ///
    /// # Errors
    /// If git fails.
    pub fn touching(
        &self,
        commit: &CommitId,
        path: &str,
        words: Option<&str>,
        count: usize,
    ) -> Result<Vec<CommitId>, GitError> {
        let limit = format!("--max-count={count}");
        let mut args = vec![
            "log".to_owned(),
            "--format=%H".to_owned(),
            "--no-color".to_owned(),
            limit,
        ];
        args.extend(words.map(|words| format!("-S{words}")));
        args.extend([commit.to_string(), "--".to_owned(), path.to_owned()]);
        let names = self.git(args).run()?;
        let names = String::from_utf8_lossy(&names).into_owned();
        let parse = |name: &str| CommitId::parse(name).map_err(|e| GitError::protocol("log", e.to_string()));
        names.lines().map(parse).collect()
    }

    /// The commits that are contained in `bad` and not in `good`, each with the paths that it changed; merges have none.
    ///
    /// # Errors
    /// If git fails.
    pub fn touched(&self, good: &CommitId, bad: &CommitId) -> Result<Vec<(CommitId, Vec<String>)>, GitError> {
        let range = format!("{good}..{bad}");
        let args = [
            "log",
            "--format=%x01%H",
            "--name-only",
            "--no-color",
            range.as_str(),
            "--",
        ];
        let output = self.git(args).run()?;
        let mut found: Vec<(CommitId, Vec<String>)> = Vec::new();
        for line in String::from_utf8_lossy(&output).lines() {
            if let Some(name) = line.strip_prefix('\u{1}') {
                let commit = CommitId::parse(name).map_err(|e| GitError::protocol("log", e.to_string()))?;
                found.push((commit, Vec::new()));
            } else if let Some((_, paths)) = found.last_mut()
                && !line.is_empty()
            {
                paths.push(line.to_owned());
            }
        }
        Ok(found)
    }

    /// Where files of `old` are at `new`, if they were moved: by their old path.
    ///
    /// # Errors
    /// If git fails.
    pub fn moved(&self, old: &CommitId, new: &CommitId) -> Result<BTreeMap<String, String>, GitError> {
        let args = [
            "diff",
            "-z",
            "-M",
            "--name-status",
            "--diff-filter=R",
            old.as_str(),
            new.as_str(),
            "--",
        ];
        let output = self.git(args).run()?;
        let fields: Vec<&str> = output
            .split(|byte| *byte == 0)
            .filter_map(|field| std::str::from_utf8(field).ok())
            .collect();
        let pairs = fields
            .chunks_exact(3)
            .map(|field| (field[1].to_owned(), field[2].to_owned()));
        Ok(pairs.collect())
    }

    /// Whether a file of a commit has these words.
    ///
    /// # Errors
    /// If git fails.
    pub fn mentions(&self, commit: &CommitId, words: &str) -> Result<bool, GitError> {
        let args = ["grep", "-q", "-I", "-F", "-w", "-e", words, commit.as_str()];
        match self.git(args).run_any()? {
            output if output.code == 0 => Ok(true),
            output if output.code == 1 => Ok(false),
            output => Err(GitError::Failed {
                command: "grep".to_owned(),
                code: output.code,
                stderr: output.stderr,
            }),
        }
    }

    fn log(&self, what: &[&str]) -> Result<Vec<CommitInfo>, GitError> {
        const FIELDS: usize = 7;
        let limit = format!("--max-count={}", MAX_COMMITS + 1);
        let mut args = vec!["log", "-z", "--topo-order", "--no-show-signature", "--no-color", &limit];
        args.push("--format=tformat:%H%x00%P%x00%an%x00%ae%x00%at%x00%ct%x00%s");
        args.extend(what);
        args.push("--");
        let output = self.git(args).run()?;
        let fields: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
        let commits = fields
            .chunks_exact(FIELDS)
            .map(parse_commit)
            .collect::<Result<Vec<_>, _>>()?;
        if commits.len() > MAX_COMMITS {
            return Err(GitError::TooLarge {
                what: "the number of commits".to_owned(),
                limit: MAX_COMMITS,
            });
        }
        Ok(commits)
    }

    /// Whether `ancestor` is contained in `descendant` (a commit contains itself).
    ///
    /// # Errors
    /// If one of them does not exist.
    pub fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, GitError> {
        let output = self
            .git(["merge-base", "--is-ancestor", ancestor.as_str(), descendant.as_str()])
            .run_any()?;
        match output.code {
            0 => Ok(true),
            1 => Ok(false),
            code => Err(GitError::Failed {
                command: "merge-base".to_owned(),
                code,
                stderr: output.stderr,
            }),
        }
    }

    /// The best common ancestor; `None` if the histories are unrelated.
    ///
    /// # Errors
    /// If one of them does not exist.
    pub fn merge_base(&self, a: &CommitId, b: &CommitId) -> Result<Option<CommitId>, GitError> {
        let output = self.git(["merge-base", a.as_str(), b.as_str()]).run_any()?;
        match output.code {
            0 => {
                let text = String::from_utf8_lossy(&output.stdout);
                let first = text.lines().next().unwrap_or_default();
                CommitId::parse(first)
                    .map(Some)
                    .map_err(|error| GitError::protocol("merge-base", error.to_string()))
            }
            1 => Ok(None),
            code => Err(GitError::Failed {
                command: "merge-base".to_owned(),
                code,
                stderr: output.stderr,
            }),
        }
    }
}

fn parse_commit(fields: &[&[u8]]) -> Result<CommitInfo, GitError> {
    let text = |index: usize| String::from_utf8_lossy(fields[index]).into_owned();
    let broken = || GitError::protocol("log", text(0));
    let id = |name: &str| CommitId::parse(name).map_err(|_| broken());
    let seconds = |index: usize| text(index).parse::<i64>().map_err(|_| broken());
    Ok(CommitInfo {
        id: id(&text(0))?,
        parents: text(1).split_ascii_whitespace().map(id).collect::<Result<_, _>>()?,
        author: text(2),
        email: text(3),
        authored_ms: seconds(4)?.saturating_mul(1000),
        time_ms: seconds(5)?.saturating_mul(1000),
        subject: text(6),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_testkit::repo::RepoBuilder;

    #[test]
    fn commits_that_touched_a_file_and_its_words() {
        let mut builder = RepoBuilder::new();
        builder.commit(&[("t", "one\n"), ("a", "1\n")], "One");
        let two = builder.commit(&[("t", "one\ntwo\n")], "Two");
        let head = builder.commit(&[("a", "2\n")], "Three");
        let repo = Repo::open(builder.path()).unwrap();
        assert_eq!(repo.touching(&head, "t", None, 9).unwrap().len(), 2);
        assert_eq!(repo.touching(&head, "t", Some("two"), 9).unwrap(), [two]);
        assert!(repo.touching(&head, "none", Some("-x"), 9).unwrap().is_empty());
    }

    #[test]
    fn the_range_holds_both_sides_of_a_merge() {
        let mut builder = RepoBuilder::new();
        let base = builder.commit(&[("a", "1\n")], "Base");
        builder.branch("side");
        let side = builder
            .author("Zoë", "zoe@example.org")
            .commit(&[("b", "1\n")], "Side, \u{1f} odd");
        builder.checkout("main");
        let main = builder.commit(&[("c", "1\n")], "Main");
        let merge = builder.merge("side", "Merge side");
        let repo = Repo::open(builder.path()).unwrap();

        let between = repo.commits_between(&base, &merge).unwrap();
        let ids: Vec<&CommitId> = between.iter().map(|commit| &commit.id).collect();
        assert_eq!(ids.len(), 3);
        assert_eq!(ids[0], &merge);
        assert!(ids.contains(&&side) && ids.contains(&&main));
        assert_eq!(between[0].parents, [main.clone(), side.clone()]);
        let found = repo.commit_info(&side).unwrap();
        assert_eq!(
            (found.author.as_str(), found.email.as_str()),
            ("Zoë", "zoe@example.org")
        );
        assert_eq!(found.subject, "Side, \u{1f} odd");
        assert!(found.time_ms > repo.commit_info(&base).unwrap().time_ms);

        assert!(repo.commits_between(&merge, &merge).unwrap().is_empty());
        let recent: Vec<CommitId> = repo
            .recent(&merge, 2)
            .unwrap()
            .into_iter()
            .map(|commit| commit.id)
            .collect();
        assert_eq!(recent, [merge.clone(), main.clone()]);
        assert!(repo.is_ancestor(&base, &merge).unwrap());
        assert!(!repo.is_ancestor(&side, &main).unwrap());
        assert_eq!(repo.merge_base(&side, &main).unwrap(), Some(base));
        builder.git(&["checkout", "-q", "--orphan", "other"]);
        let other = builder.commit(&[], "Other");
        assert_eq!(repo.merge_base(&other, &main).unwrap(), None);
    }

    #[test]
    fn a_dirty_tree_is_described() {
        let mut builder = RepoBuilder::new();
        builder.commit(&[("a", "1\n"), ("b", "1\n"), (".gitignore", "junk\n")], "Base");
        let repo = Repo::open(builder.path()).unwrap();
        builder.write("junk", "ignored");
        assert!(!repo.is_dirty().unwrap().is_dirty());
        builder.write("a", "2\n").write("b", "2\n").write("new file", "x");
        builder.git(&["add", "b"]);
        let dirty = repo.is_dirty().unwrap();
        assert_eq!(
            (dirty.staged, dirty.modified, dirty.untracked, dirty.conflicted),
            (1, 1, 1, 0)
        );
        assert!(dirty.examples.contains(&"new file".to_owned()));
    }
}
