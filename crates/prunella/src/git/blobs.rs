//! Contents by `git cat-file`, many at once and bounded.

use std::collections::HashMap;

use super::error::GitError;
use super::repo::Repo;

/// A blob's content, if it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Blob {
    Content(Vec<u8>),
    TooLarge,
    Missing,
}

/// One blob.
pub(super) fn one(repo: &Repo, id: &str, max: usize) -> Result<Vec<u8>, GitError> {
    repo.git(["cat-file", "blob", id]).max_stdout(max).run()
}

/// Many blobs: sizes first, then the contents of those that fit. `per_file` and `total` are in bytes.
pub(super) fn many(
    repo: &Repo,
    ids: &[&str],
    per_file: usize,
    total: usize,
) -> Result<HashMap<String, Blob>, GitError> {
    let mut found = HashMap::new();
    let mut wanted = String::new();
    let mut sum = 0_usize;
    let question: String = ids.iter().flat_map(|id| [id, "\n"]).collect();
    let sizes = repo
        .git(["cat-file", "--batch-check"])
        .input(question.as_bytes())
        .run()?;
    for line in String::from_utf8_lossy(&sizes).lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (id, blob) = match fields[..] {
            [id, "blob", size] => {
                let size = size
                    .parse::<usize>()
                    .map_err(|_| GitError::protocol("cat-file", line))?;
                if size > per_file || sum + size > total {
                    (id, Blob::TooLarge)
                } else if found.contains_key(id) {
                    continue;
                } else {
                    sum += size;
                    wanted.push_str(id);
                    wanted.push('\n');
                    // Replaced below.
                    (id, Blob::Missing)
                }
            }
            [id, ..] => (id, Blob::Missing),
            [] => continue,
        };
        found.insert(id.to_owned(), blob);
    }
    if !wanted.is_empty() {
        // A header line and a newline go with each content.
        let max = sum + (wanted.len() + 64) * 4;
        let contents = repo
            .git(["cat-file", "--batch"])
            .input(wanted.as_bytes())
            .max_stdout(max)
            .run()?;
        parse_batch(&contents, &mut found)?;
    }
    Ok(found)
}

impl Repo {
    /// Reads contents by their names, a batch of at most `batch` bytes at a time, so that a whole repository need not be
    /// in memory. `None` stands for one that is longer than `per_file` bytes or missing.
    ///
    /// # Errors
    /// If git fails.
    pub fn contents(
        &self,
        ids: &[&str],
        per_file: usize,
        batch: usize,
        take: &mut dyn FnMut(HashMap<String, Option<Vec<u8>>>),
    ) -> Result<(), GitError> {
        /// Names in one question.
        const NAMES: usize = 5000;
        for ids in ids.chunks(NAMES) {
            let mut left: Vec<&str> = ids.to_vec();
            while !left.is_empty() {
                let found = many(self, &left, per_file, batch.max(per_file))?;
                // What did not fit beside the others comes next; where nothing fits, what is left is too long.
                let is_late = |id: &&str| matches!(found.get(*id), Some(Blob::TooLarge));
                let late: Vec<&str> = left.iter().copied().filter(is_late).collect();
                let progress = late.len() < left.len();
                let whole = found
                    .into_iter()
                    .filter(|(_, blob)| !progress || !matches!(blob, Blob::TooLarge));
                take(
                    whole
                        .map(|(id, blob)| match blob {
                            Blob::Content(content) => (id, Some(content)),
                            Blob::TooLarge | Blob::Missing => (id, None),
                        })
                        .collect(),
                );
                left = if progress { late } else { Vec::new() };
            }
        }
        Ok(())
    }
}

/// `<id> blob <size>\n<content>\n`, again and again.
fn parse_batch(mut bytes: &[u8], found: &mut HashMap<String, Blob>) -> Result<(), GitError> {
    let broken = || GitError::protocol("cat-file", "a broken batch");
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(broken)?;
        let header = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let fields: Vec<&str> = header.split(' ').collect();
        let [id, "blob", size] = fields[..] else {
            return Err(broken());
        };
        let size: usize = size.parse().map_err(|_| broken())?;
        let content = bytes.get(end + 1..end + 1 + size).ok_or_else(broken)?;
        found.insert(id.to_owned(), Blob::Content(content.to_vec()));
        bytes = bytes.get(end + size + 2..).ok_or_else(broken)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prunella_testkit::repo::RepoBuilder;

    use super::*;

    #[test]
    fn contents_come_in_batches() {
        let mut builder = RepoBuilder::new();
        let long = "x".repeat(100);
        let head = builder.commit(&[("a", "aaaa"), ("b", "bbbb"), ("c", "cccc"), ("long", &long)], "One");
        let repo = Repo::open(builder.path()).unwrap();
        let listed = repo.listing(&head).unwrap();
        let ids: Vec<&str> = listed.iter().map(|file| file.id.as_str()).collect();
        let (mut all, mut batches) = (HashMap::new(), 0);
        repo.contents(&ids, 10, 10, &mut |found| {
            batches += 1;
            all.extend(found);
        })
        .unwrap();
        let sizes: Vec<Option<usize>> = ids.iter().map(|id| all[*id].as_ref().map(Vec::len)).collect();
        assert_eq!(sizes, [Some(4), Some(4), Some(4), None]);
        assert!(batches > 1);
    }
}
