//! Bug fixes from the history as training data: what is wrong and where, and what people did about it.
//!
//! *Method*: each small fix of one source file is a pair. The question is the commit's message and the lines around what
//! changed; the answer is the change as search/replace blocks, the form in which answers of models are applied here. The
//! newest fixes are for testing, all older ones for training, so that nothing of the future is learnt. Whatever looks like
//! a secret or structured personal data ([`prunella_core::privacy`]) is replaced before anything is written.
//! *Source*: splits by time: Raychev et al. and later work on leaks between random splits; the formats are those of the
//! common fine-tuning tools (`messages` and `prompt`/`completion` as JSON lines).

mod pair;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use prunella_core::id::CommitId;
use prunella_core::privacy::Vault;
use serde::Serialize;
use serde_json::{Value, json};

use super::history::{Fix, fixes};
use crate::git::{GitError, Repo};
use pair::{Pair, pair};

/// The share of the newest pairs that is kept for testing, in percent.
const TESTED: usize = 15;
/// The most bytes of all pairs.
const MAX_BYTES: usize = 512 << 20;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Where.
    pub dir: PathBuf,
    /// Pairs for training.
    pub train: usize,
    /// Pairs for testing: all newer than those for training.
    pub test: usize,
    /// Fixes that gave no pair, by the reason.
    pub left_out: BTreeMap<String, usize>,
    /// Values that were replaced, by what they are.
    pub redacted: BTreeMap<String, usize>,
    /// The files.
    pub files: Vec<String>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum NotExported {
    /// Git fails.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The directory cannot be written.
    #[error("{0} cannot be written: {1}")]
    Io(PathBuf, io::Error),
    /// There is something else.
    #[error("{0} is there and holds files: give a new directory")]
    NotEmpty(PathBuf),
    /// The history has no small fixes.
    #[error("the history has no small fixes of source files")]
    NoFixes,
}

/// Writes the pairs of a history to `dir`.
///
/// # Errors
/// If the directory is not empty, git fails, or there is nothing to write.
pub fn export(repo: &Repo, head: &CommitId, dir: &Path) -> Result<Exported, NotExported> {
    let failed = |error| NotExported::Io(dir.to_owned(), error);
    fs::create_dir_all(dir).map_err(failed)?;
    if fs::read_dir(dir).map_err(failed)?.next().is_some() {
        return Err(NotExported::NotEmpty(dir.to_owned()));
    }
    let (mut pairs, mut bytes, mut vault) = (Vec::new(), 0, Vault::new());
    let mut exported = Exported {
        dir: dir.to_owned(),
        ..Exported::default()
    };
    fixes(repo, head, &mut |fix: Fix| {
        let made = pair(&fix).and_then(|pair| {
            if bytes < MAX_BYTES {
                Ok(pair)
            } else {
                Err("over the limit")
            }
        });
        match made {
            Ok(pair) => {
                let pair = pair.redacted(&mut vault);
                bytes += pair.size();
                pairs.push(pair);
            }
            Err(why) => *exported.left_out.entry(why.to_owned()).or_default() += 1,
        }
    })?;
    if pairs.is_empty() {
        return Err(NotExported::NoFixes);
    }
    pairs.sort_by(|a, b| (a.authored_ms, &a.commit).cmp(&(b.authored_ms, &b.commit)));
    exported.test = pairs.len() * TESTED / 100;
    exported.train = pairs.len() - exported.test;
    let (train, test) = pairs.split_at(exported.train);
    for (split, pairs) in [("train", train), ("test", test)] {
        for (form, row) in FORMS {
            let name = format!("{split}.{form}.jsonl");
            write(&dir.join(&name), pairs, row).map_err(failed)?;
            exported.files.push(name);
        }
    }
    let counts = vault.counts().iter();
    exported.redacted = counts
        .map(|(kind, count)| (kind.word().to_lowercase(), *count))
        .collect();
    fs::write(dir.join("README.md"), readme(&exported)).map_err(failed)?;
    exported.files.push("README.md".to_owned());
    Ok(exported)
}

fn write(path: &Path, pairs: &[Pair], row: Row) -> io::Result<()> {
    let mut file = BufWriter::new(fs::File::create_new(path)?);
    for pair in pairs {
        serde_json::to_writer(&mut file, &row(pair))?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// How a pair is written in one form.
type Row = fn(&Pair) -> Value;

/// All forms, by the word in the file's name.
const FORMS: [(&str, Row); 3] = [("chat", chat), ("completion", completion), ("pairs", plain)];

const SYSTEM: &str = "You repair code of this repository. Answer with search/replace blocks only.";

fn chat(pair: &Pair) -> Value {
    json!({"messages": [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": pair.question()},
        {"role": "assistant", "content": pair.answer()},
    ]})
}

fn completion(pair: &Pair) -> Value {
    json!({"prompt": format!("{SYSTEM}\n\n{}\n", pair.question()), "completion": pair.answer()})
}

fn plain(pair: &Pair) -> Value {
    serde_json::to_value(pair).expect("text and numbers")
}

fn readme(exported: &Exported) -> String {
    format!(
        "# Bug fixes of this repository\n\nWritten by `prunella learn --export` from the history, on this machine. \
         {} pairs for training and {} newer ones for testing.\n\n\
         | file | form |\n|---|---|\n\
         | `*.chat.jsonl` | `{{\"messages\": [system, user, assistant]}}` |\n\
         | `*.completion.jsonl` | `{{\"prompt\", \"completion\"}}` |\n\
         | `*.pairs.jsonl` | all fields: commit, time, path, diagnosis, context, before, after |\n\n\
         Secrets and addresses were replaced by rules where they were recognised; names of people in comments were not. \
         Look through it before it leaves the machine.\n",
        exported.train, exported.test
    )
}

#[cfg(test)]
mod tests {
    use prunella_testkit::repo::RepoBuilder;

    use super::*;

    #[test]
    fn pairs_are_split_by_time_and_hold_no_secret() {
        let mut builder = RepoBuilder::new();
        let token = format!("ghp_{}", "a1B2c3D4e5".repeat(4));
        let file = |n: usize| format!("KEY = '{token}'\n\n\ndef f(x):\n    return x + {n}\n");
        builder.commit(&[("a.py", &file(0))], "Add");
        for n in 1..=20 {
            builder.commit(&[("a.py", &file(n))], &format!("Fix sum {n} for zoe@shop.example.de"));
        }
        let repo = Repo::open(builder.path()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("data");
        let exported = export(&repo, &repo.head().unwrap(), &out).unwrap();
        assert_eq!((exported.train, exported.test), (17, 3));
        let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
        let all: String = exported.files.iter().map(|name| read(name)).collect();
        assert!(!all.contains(&token) && !all.contains("zoe@shop.example.de"));
        assert!(all.contains("PRUNELLA_SECRET_1_"));
        let rows: Vec<Value> = read("test.chat.jsonl")
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        let answer = rows[2]["messages"][2]["content"].as_str().unwrap();
        assert_eq!(
            answer,
            "a.py\n<<<<<<< SEARCH\ndef f(x):\n    return x + 19\n=======\ndef f(x):\n    return x + 20\n>>>>>>> REPLACE\n"
        );
        assert!(
            rows[0]["messages"][1]["content"]
                .as_str()
                .unwrap()
                .contains("Fix sum 18")
        );
        assert!(matches!(
            export(&repo, &repo.head().unwrap(), &out),
            Err(NotExported::NotEmpty(_))
        ));
    }
}
