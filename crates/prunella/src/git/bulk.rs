//! What many commits changed, by a few processes for all of them instead of three for each.

use std::collections::HashMap;

use prunella_core::id::CommitId;

use super::blobs::{self, Blob};
use super::changes::{Base, ContentLimits, DIFF_TREE, FileChange, GITLINK, PLAIN, Raw, fill, parse_raw};
use super::error::GitError;
use super::repo::Repo;

/// Commits whose contents are in memory at a time.
const CHUNK: usize = 32;

/// The files that differ, by commit, and contents by their names.
type Chunk = (HashMap<String, Vec<Raw>>, HashMap<String, Blob>);

/// The place of a commit and what it changed, or why that cannot be read.
type Told<'a> = &'a mut dyn FnMut(usize, Result<Vec<FileChange>, GitError>);

impl Repo {
    /// What each commit changed against its base, as [`Repo::changes`] says it, told in turn with the commit's place in
    /// the list. Contents are held for a few commits at a time.
    ///
    /// What is wrong with one commit is told for that commit.
    pub fn changes_of_many(&self, commits: &[(CommitId, Base)], limits: ContentLimits, told: Told<'_>) {
        for (chunk, commits) in commits.chunks(CHUNK).enumerate() {
            let (mut raws, blobs) = self.read_chunk(commits, limits).unwrap_or_default();
            for (place, (commit, base)) in commits.iter().enumerate() {
                let is_left_out = |raw: &Raw| {
                    let left_out = |id: &String| matches!(blobs.get(id), Some(Blob::TooLarge));
                    left_out(&raw.old_id) || left_out(&raw.new_id)
                };
                let changes = match raws.remove(commit.as_str()) {
                    Some(raws) if raws.len() <= limits.files && !raws.iter().any(is_left_out) => Ok(fill(raws, &blobs)),
                    // What did not fit beside the other commits may fit alone; what is wrong is said of this commit.
                    _ => self.changes(commit, base, limits),
                };
                told(chunk * CHUNK + place, changes);
            }
        }
    }

    fn read_chunk(&self, commits: &[(CommitId, Base)], limits: ContentLimits) -> Result<Chunk, GitError> {
        let raws = self.raw_of_many(commits)?;
        let all: Vec<&Raw> = raws.values().flatten().collect();
        let blobs = blobs::many(self, &wanted(&all), limits.per_file, limits.total)?;
        Ok((raws, blobs))
    }

    /// The files that differ, by commit; git says nothing of a commit that it does not have.
    fn raw_of_many(&self, commits: &[(CommitId, Base)]) -> Result<HashMap<String, Vec<Raw>>, GitError> {
        let mut question = String::new();
        for (commit, base) in commits {
            question.push_str(commit.as_str());
            if let Base::Commit(parent) = base {
                question.push(' ');
                question.push_str(parent.as_str());
            }
            question.push('\n');
        }
        let ask = ["--stdin", "--root", "--always"];
        let output = self
            .git(DIFF_TREE.iter().chain(&ask).chain(PLAIN))
            .input(question.as_bytes())
            .run()?;
        let mut found = HashMap::new();
        for (commit, fields) in by_commit(&output) {
            found.insert(commit, parse_raw(fields)?);
        }
        Ok(found)
    }
}

/// The names of contents to read.
fn wanted<'a>(raws: &[&'a Raw]) -> Vec<&'a str> {
    let sides = raws
        .iter()
        .flat_map(|raw| [(&raw.old_id, raw.change.old_mode), (&raw.new_id, raw.change.new_mode)]);
    sides
        .filter(|(_, mode)| *mode != 0 && *mode != GITLINK)
        .map(|(id, _)| id.as_str())
        .collect()
}

/// `<commit>NUL` and its changes, again and again. A field that begins with a colon is followed by one path or two, which
/// may look like anything.
fn by_commit(output: &[u8]) -> Vec<(String, &[u8])> {
    let mut parts: Vec<(String, usize, usize)> = Vec::new();
    let mut at = 0;
    while at < output.len() {
        let end = |from: usize| output[from..].iter().position(|byte| *byte == 0).map(|n| from + n);
        let Some(stop) = end(at) else { break };
        let field = &output[at..stop];
        let mut next = stop + 1;
        if field.first() == Some(&b':') {
            let letters = field.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
            let paths = if matches!(letters.first(), Some(b'R' | b'C')) {
                2
            } else {
                1
            };
            for _ in 0..paths {
                next = end(next).map_or(output.len(), |stop| stop + 1);
            }
        } else {
            parts.push((String::from_utf8_lossy(field).into_owned(), next, next));
        }
        if let Some(last) = parts.last_mut() {
            last.2 = next;
        }
        at = next;
    }
    parts
        .into_iter()
        .map(|(commit, from, to)| (commit, &output[from..to]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_testkit::repo::RepoBuilder;

    /// One by one and all at once say the same, over more commits than a chunk holds.
    fn check(repo: &Repo, commits: &[(CommitId, Base)], limits: ContentLimits) {
        let mut many: Vec<Vec<FileChange>> = Vec::new();
        let mut take = |place: usize, changes: Result<Vec<FileChange>, GitError>| {
            assert_eq!(place, many.len());
            many.push(changes.unwrap());
        };
        repo.changes_of_many(commits, limits, &mut take);
        let one = |(commit, base): &(CommitId, Base)| repo.changes(commit, base, limits).unwrap();
        assert_eq!(many, commits.iter().map(one).collect::<Vec<_>>());
    }

    #[test]
    fn many_commits_are_read_as_one_by_one() {
        let mut builder = RepoBuilder::new();
        let long = (0..40).map(|n| format!("line {n}\n")).collect::<String>();
        builder.commit(&[("a", "1\n"), (":odd name", &long), ("big", &"y".repeat(900))], "Root");
        builder.git(&["mv", ":odd name", "R100 moved"]);
        builder.commit(&[("a", "2\n"), ("big", &"z".repeat(900))], "Move");
        builder.git(&["commit", "--allow-empty", "-m", "Nothing"]);
        for n in 0..CHUNK {
            builder.commit(&[("a", format!("{n} more\n").as_str())], "More");
        }
        let repo = Repo::open(builder.path()).unwrap();
        let last = CHUNK + 2;
        let mut commits: Vec<(CommitId, Base)> = (0..last)
            .map(|n| {
                let commit = repo.resolve(&format!("HEAD~{n}")).unwrap();
                (commit, Base::Commit(repo.resolve(&format!("HEAD~{}", n + 1)).unwrap()))
            })
            .collect();
        commits.push((repo.resolve(&format!("HEAD~{last}")).unwrap(), Base::Root));
        check(&repo, &commits, ContentLimits::default());
        let tight = ContentLimits {
            total: 2000,
            ..ContentLimits::default()
        };
        check(&repo, &commits, tight);
    }

    #[test]
    fn a_commit_that_is_not_there_is_an_error_of_its_own() {
        let mut builder = RepoBuilder::new();
        builder.commit(&[("a", "1\n")], "Root");
        let repo = Repo::open(builder.path()).unwrap();
        let head = repo.resolve("HEAD").unwrap();
        let mut seen = Vec::new();
        let mut count = |_: usize, changes: Result<Vec<FileChange>, GitError>| seen.push(changes.is_ok());
        let commits = [(CommitId::null(), Base::Root), (head, Base::Root)];
        repo.changes_of_many(&commits, ContentLimits::default(), &mut count);
        assert_eq!(seen, [false, true]);
    }
}
