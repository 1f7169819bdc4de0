//! Which files each commit of a history edited, without their contents.

use prunella_core::id::CommitId;

use super::error::GitError;
use super::repo::Repo;

/// The most output that is read, in bytes.
const MAX_LOG: usize = 256 << 20;

/// A commit with the files that it edited in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// Its name.
    pub commit: CommitId,
    /// When it was written, in milliseconds since the epoch.
    pub authored_ms: i64,
    /// The first line of its message.
    pub subject: String,
    /// The files, new and removed ones left out.
    pub files: Vec<EditedFile>,
}

/// A file before and after a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditedFile {
    /// Its path.
    pub path: String,
    /// The name of its content before.
    pub old: String,
    /// The name of its content after.
    pub new: String,
}

impl Repo {
    /// The newest `count` commits before and at `commit` that are no merges, newest first, with the files that they
    /// edited.
    ///
    /// # Errors
    /// If git fails, or says more than 256 MiB.
    pub fn edited(&self, commit: &CommitId, count: usize) -> Result<Vec<Edited>, GitError> {
        let limit = format!("--max-count={count}");
        let args = [
            "log",
            "-z",
            "--no-merges",
            "--no-show-signature",
            "--no-color",
            "--raw",
            "--no-abbrev",
            "--no-renames",
            "--diff-filter=M",
            "--format=tformat:%x01%H%x00%at%x00%s",
            &limit,
            commit.as_str(),
            "--",
        ];
        let output = self.git(args).max_stdout(MAX_LOG).run()?;
        let mut found: Vec<Edited> = Vec::new();
        let mut fields = output.split(|byte| *byte == 0);
        while let Some(field) = fields.next() {
            let text = String::from_utf8_lossy(field);
            let text = text.trim_start_matches('\n');
            let broken = || GitError::protocol("log", text.chars().take(100).collect::<String>());
            if let Some(name) = text.strip_prefix('\u{1}') {
                let seconds = fields.next().map(String::from_utf8_lossy).ok_or_else(broken)?;
                let subject = fields.next().map(String::from_utf8_lossy).ok_or_else(broken)?;
                found.push(Edited {
                    commit: CommitId::parse(name).map_err(|_| broken())?,
                    authored_ms: seconds.parse::<i64>().map_err(|_| broken())?.saturating_mul(1000),
                    subject: subject.into_owned(),
                    files: Vec::new(),
                });
            } else if let Some(meta) = text.strip_prefix(':') {
                let path = fields.next().ok_or_else(broken)?;
                let parts: Vec<&str> = meta.split(' ').collect();
                let [old_mode, new_mode, old, new, _] = parts[..] else {
                    return Err(broken());
                };
                let is_file = |mode: &str| mode.starts_with("100");
                if let (Ok(path), Some(last)) = (std::str::from_utf8(path), found.last_mut())
                    && is_file(old_mode)
                    && is_file(new_mode)
                {
                    last.files.push(EditedFile {
                        path: path.to_owned(),
                        old: old.to_owned(),
                        new: new.to_owned(),
                    });
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use prunella_testkit::repo::RepoBuilder;

    use super::*;

    #[test]
    fn edits_are_listed_newest_first() {
        let mut builder = RepoBuilder::new();
        let first = builder.commit(&[("a", "1\n"), ("b", "1\n")], "Add");
        let second = builder.commit(&[("a", "2\n"), ("c d", "1\n")], "Fix \u{1} odd");
        let third = builder.commit(&[("a", "3\n"), ("c d", "2\n")], "Both");
        let found = Repo::open(builder.path()).unwrap().edited(&third, 9).unwrap();
        let ids: Vec<&CommitId> = found.iter().map(|e| &e.commit).collect();
        // The first commit edited nothing; git may leave it out.
        assert_eq!(&ids[..2], [&third, &second]);
        assert!(found.iter().all(|e| e.commit != first || e.files.is_empty()));
        assert_eq!(found[1].subject, "Fix \u{1} odd");
        let paths = |e: &Edited| e.files.iter().map(|f| f.path.clone()).collect::<Vec<_>>();
        assert_eq!(
            (paths(&found[0]), paths(&found[1])),
            (vec!["a".into(), "c d".into()], vec!["a".into()])
        );
        assert_eq!(found[0].files[0].old, found[1].files[0].new);
    }
}
