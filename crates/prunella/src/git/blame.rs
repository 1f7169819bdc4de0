//! Who last changed which line.

use prunella_core::id::CommitId;

use super::error::GitError;
use super::repo::Repo;

/// A line's origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlamedLine {
    /// Its number in the file that was asked about, from 1.
    pub line: u32,
    /// The commit that last changed it.
    pub commit: CommitId,
    /// The file's name at that commit.
    pub origin_path: String,
    /// The line's number at that commit, from 1.
    pub origin_line: u32,
}

impl Repo {
    /// The origin of the lines `first..=last` of `path` as of `commit`; renames are followed and changes of white space
    /// alone are not changes.
    ///
    /// # Errors
    /// If the file or the lines do not exist.
    pub fn blame_lines(
        &self,
        commit: &CommitId,
        path: &str,
        first: u32,
        last: u32,
    ) -> Result<Vec<BlamedLine>, GitError> {
        let range = format!("-L{},{}", first.max(1), last.max(first).max(1));
        let output = self
            .git([
                "blame",
                "--line-porcelain",
                "-w",
                "-M",
                &range,
                commit.as_str(),
                "--",
                path,
            ])
            .run()?;
        parse(&output)
    }
}

/// A header `<id> <origin line> <line> [<count>]`, named fields, then the line itself behind a tab.
fn parse(output: &[u8]) -> Result<Vec<BlamedLine>, GitError> {
    let text = String::from_utf8_lossy(output);
    let mut found = Vec::new();
    let mut header: Option<(CommitId, u32, u32)> = None;
    let mut path = String::new();
    for row in text.lines() {
        if row.starts_with('\t') {
            let (commit, origin_line, line) = header.take().ok_or_else(|| GitError::protocol("blame", row))?;
            found.push(BlamedLine {
                line,
                commit,
                origin_path: path.clone(),
                origin_line,
            });
        } else if let Some(name) = row.strip_prefix("filename ") {
            name.clone_into(&mut path);
        } else if header.is_none() {
            let fields: Vec<&str> = row.split(' ').collect();
            let number = |index: usize| fields.get(index).and_then(|text| text.parse::<u32>().ok());
            let id = CommitId::parse(fields[0]).ok();
            header = id
                .zip(number(1))
                .zip(number(2))
                .map(|((id, origin), line)| (id, origin, line));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_testkit::repo::RepoBuilder;

    #[test]
    fn lines_are_followed_through_renames_and_reformatting() {
        let mut builder = RepoBuilder::new();
        let first = builder.commit(&[("old.py", "def f():\n  return 1\n\ndef g():\n  return 2\n")], "One");
        builder.git(&["mv", "old.py", "new.py"]);
        builder.commit(&[], "Rename");
        builder.commit(
            &[("new.py", "def f():\n    return 1\n\ndef g():\n    return 2\n")],
            "Reformat",
        );
        let last = builder.commit(
            &[("new.py", "def f():\n    return 1\n\ndef g():\n    return 3\n")],
            "Break g",
        );
        let repo = Repo::open(builder.path()).unwrap();
        let lines = repo.blame_lines(&last, "new.py", 2, 5).unwrap();
        let origins: Vec<(u32, &CommitId, u32)> = lines.iter().map(|l| (l.line, &l.commit, l.origin_line)).collect();
        assert_eq!(origins, [(2, &first, 2), (3, &first, 3), (4, &first, 4), (5, &last, 5)]);
        assert_eq!(lines[0].origin_path, "old.py");
        assert!(repo.blame_lines(&last, "new.py", 50, 60).is_err());
    }
}
