//! Answers that were recorded: the same question gets the same answer again without a call.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Question;

/// A recorded answer. Placeholders stay in it, so that it holds no secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Recorded {
    question_sha256: String,
    answer: String,
}

/// A file of recorded answers, one JSON object a line.
#[derive(Debug)]
pub struct Cassette {
    path: PathBuf,
    answers: HashMap<String, String>,
}

/// The largest cassette that is read, in bytes.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Why a cassette cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the cassette {path}: {why}", path = path.display())]
pub struct CassetteError {
    path: PathBuf,
    why: String,
}

impl Cassette {
    /// Reads a cassette; one that is not there yet is empty.
    ///
    /// # Errors
    /// If it cannot be read, is too large, or holds something else.
    pub fn open(path: &Path) -> Result<Self, CassetteError> {
        let wrong = |why: String| CassetteError {
            path: path.to_owned(),
            why,
        };
        let text = match fs::metadata(path) {
            Ok(meta) if meta.len() > MOST_BYTES => return Err(wrong(format!("it is larger than {MOST_BYTES} bytes"))),
            Ok(_) => fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let mut answers = HashMap::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let recorded: Recorded =
                serde_json::from_str(line).map_err(|error| wrong(format!("line {}: {error}", at + 1)))?;
            answers.insert(recorded.question_sha256, recorded.answer);
        }
        Ok(Self {
            path: path.to_owned(),
            answers,
        })
    }

    /// What was answered to this question before.
    #[must_use]
    pub fn answer(&self, question: &Question, temperature: f64) -> Option<String> {
        self.answers.get(&key(question, temperature)).cloned()
    }

    /// Records an answer.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn remember(&mut self, question: &Question, temperature: f64, answer: &str) -> Result<(), CassetteError> {
        let recorded = Recorded {
            question_sha256: key(question, temperature),
            answer: answer.to_owned(),
        };
        let write = || -> io::Result<()> {
            let mut line = serde_json::to_vec(&recorded).map_err(io::Error::other)?;
            line.push(b'\n');
            let mut file = OpenOptions::new().append(true).create(true).open(&self.path)?;
            file.write_all(&line)
        };
        write().map_err(|error| CassetteError {
            path: self.path.clone(),
            why: error.to_string(),
        })?;
        self.answers.insert(recorded.question_sha256, recorded.answer);
        Ok(())
    }
}

fn key(question: &Question, temperature: f64) -> String {
    let mut hash = Sha256::new();
    hash.update(question.system.as_str());
    hash.update([0]);
    hash.update(question.user.as_str());
    hash.update([0]);
    hash.update(format!("{temperature:.2}"));
    format!("{:x}", hash.finalize())
}
