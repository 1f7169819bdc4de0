//! Verdicts as signed statements: an in-toto statement of a test result in a DSSE envelope, beside the report it is about.
//!
//! *Method*: the report is a blob under its SHA-256; the statement names the blob, the commit and the tree that was tried;
//! Ed25519 with a key that stays in the state directory. The signature says which machine measured; what the report is
//! worth is judged anew whenever it is read.
//! *Source*: in-toto Attestation Framework v1, predicate `test-result/v0.1`; DSSE v1.0.0 (PAE); RFC 8032.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prunella_core::id::BlobId;
use prunella_core::verify::{Decision, GateStatus, RunReport, Verdict, judge};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::home::Home;
use crate::store::{Blobs, StoreError, write_durably};

const PAYLOAD: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// The largest envelope that is read, in bytes.
const MAX_ENVELOPE: u64 = 1 << 20;
/// The shortest beginning of a name that is taken for it.
const MIN_PREFIX: usize = 4;

/// What can go wrong with stored verdicts.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the state directory.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The signing key is not one.
    #[error("{0} is no signing key of 32 bytes that only its owner can read")]
    Key(PathBuf),
    /// The stored report cannot be read as one.
    #[error("the report {id} cannot be read: {why}")]
    Report {
        /// Its name.
        id: String,
        /// Why.
        why: String,
    },
    /// No verdict has a name that begins so.
    #[error("there is no stored verdict whose name begins with `{0}`")]
    Unknown(String),
    /// Several have.
    #[error("`{prefix}` is the beginning of {count} stored verdicts")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// How many there are.
        count: usize,
    },
}

/// A DSSE envelope.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signed>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Signed {
    keyid: String,
    sig: String,
}

/// Whether a stored envelope is what this state directory's key signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seal {
    /// It is, and it names this report.
    Valid,
    /// The signature is not of this key, or the statement is about another report.
    Broken,
}

/// A verdict that was read back and judged again.
#[derive(Debug)]
pub struct Replayed {
    /// The report's content address.
    pub id: BlobId,
    /// The report.
    pub report: RunReport,
    /// What the judge says of it now.
    pub verdict: Verdict,
    /// What was said when it was stored.
    pub stored: Option<Decision>,
    /// Whether the envelope holds.
    pub seal: Seal,
    /// What was run, to run it again; only if the envelope holds.
    pub made_from: Option<MadeFrom>,
}

/// What a verdict was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeFrom {
    /// The patch.
    pub patch: Vec<u8>,
    /// The failing command.
    pub argv: Vec<String>,
}

/// The verdicts of one state directory.
pub struct Verdicts {
    blobs: Blobs,
    dir: PathBuf,
    key: Ed25519KeyPair,
}

impl Verdicts {
    /// Opens them; the first time a key is made.
    ///
    /// # Errors
    /// If the state directory cannot be written, or its key is damaged or open to others.
    pub fn open(home: &Home) -> Result<Self, AttestError> {
        let path = home.dir().join("verdict.key");
        Ok(Self {
            blobs: Blobs::open(&home.blobs())?,
            dir: home.dir().join("verdicts"),
            key: key(&path)?,
        })
    }

    /// Stores a report with its signed verdict; gives the report's name.
    ///
    /// # Errors
    /// If the state directory cannot be written.
    pub fn store(
        &self,
        stored: &[u8],
        report: &RunReport,
        verdict: &Verdict,
        from: &MadeFrom,
    ) -> Result<BlobId, AttestError> {
        let (id, patch) = (self.blobs.put(stored)?, self.blobs.put(&from.patch)?);
        let mut statement = statement(&id, report, verdict);
        if let Some(configuration) = statement["predicate"]["configuration"].as_array_mut() {
            configuration.push(json!({"name": "patch", "digest": {"sha256": patch.as_str()}}));
            configuration.push(json!({"name": "command", "annotations": {"argv": from.argv}}));
        }
        let statement = statement.to_string();
        let signature = self.key.sign(&pae(PAYLOAD, statement.as_bytes()));
        let envelope = Envelope {
            payload_type: PAYLOAD.to_owned(),
            payload: STANDARD.encode(&statement),
            signatures: vec![Signed {
                keyid: self.key_id(),
                sig: STANDARD.encode(signature.as_ref()),
            }],
        };
        let path = self.path(id.as_str());
        let text = serde_json::to_vec(&envelope).map_err(|e| report_error(&id, &e))?;
        write_durably(&path, &text).map_err(|source| AttestError::File { path, source })?;
        Ok(id)
    }

    /// Reads a stored report by the beginning of its name and judges it again.
    ///
    /// # Errors
    /// If there is not exactly one, or the report is missing or was changed.
    pub fn replay(&self, prefix: &str) -> Result<Replayed, AttestError> {
        let id = self.find(prefix)?;
        let stored = self.blobs.get(&id)?;
        let report: RunReport = serde_json::from_slice(&stored).map_err(|e| report_error(&id, &e))?;
        let (verdict, _) = judge(&stored).map_err(|e| report_error(&id, &e))?;
        let path = self.path(id.as_str());
        let text = read(&path).map_err(|source| AttestError::File { path, source })?;
        let said = self.opened(&text).filter(|said| is_about(said, &id));
        let decision = said
            .as_ref()
            .and_then(|said| said["predicate"]["result"].as_str().map(str::to_owned));
        Ok(Replayed {
            id,
            report,
            verdict,
            stored: decision.as_deref().and_then(decision_of),
            seal: if said.is_some() { Seal::Valid } else { Seal::Broken },
            made_from: said.as_ref().and_then(|said| self.made_from(said)),
        })
    }

    fn made_from(&self, said: &Value) -> Option<MadeFrom> {
        let all = said["predicate"]["configuration"].as_array()?;
        let named = |name: &str| all.iter().find(|one| one["name"] == name);
        let patch = BlobId::parse(named("patch")?["digest"]["sha256"].as_str()?).ok()?;
        let argv = named("command")?["annotations"]["argv"].as_array()?;
        Some(MadeFrom {
            patch: self.blobs.get(&patch).ok()?,
            argv: argv
                .iter()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect(),
        })
    }

    /// The statement in an envelope that this key signed.
    fn opened(&self, text: &[u8]) -> Option<Value> {
        let envelope: Envelope = serde_json::from_slice(text).ok()?;
        let payload = STANDARD.decode(&envelope.payload).ok()?;
        let key = UnparsedPublicKey::new(&ED25519, self.key.public_key().as_ref());
        let signed = pae(&envelope.payload_type, &payload);
        let holds = |signature: &Signed| {
            let bytes = STANDARD.decode(&signature.sig).ok()?;
            key.verify(&signed, &bytes).ok()
        };
        let any = envelope.signatures.iter().any(|s| holds(s).is_some());
        (any && envelope.payload_type == PAYLOAD).then(|| serde_json::from_slice(&payload).ok())?
    }

    fn key_id(&self) -> String {
        BlobId::of(self.key.public_key().as_ref()).as_str()[..16].to_owned()
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.dsse.json"))
    }

    fn find(&self, prefix: &str) -> Result<BlobId, AttestError> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            BlobId::parse(name.strip_suffix(".dsse.json")?.to_owned()).ok()
        });
        let mut found: Vec<BlobId> = names
            .filter(|id| prefix.len() >= MIN_PREFIX && id.as_str().starts_with(prefix))
            .collect();
        match (found.pop(), found.len()) {
            (None, _) => Err(AttestError::Unknown(prefix.chars().take(80).collect())),
            (Some(id), 0) => Ok(id),
            (Some(_), more) => Err(AttestError::Ambiguous {
                prefix: prefix.to_owned(),
                count: more + 1,
            }),
        }
    }
}

fn report_error(id: &BlobId, error: &serde_json::Error) -> AttestError {
    AttestError::Report {
        id: id.to_string(),
        why: error.to_string(),
    }
}

/// DSSE's pre-authentication encoding.
fn pae(kind: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {kind} {} ", kind.len(), body.len()).into_bytes();
    out.extend(body);
    out
}

fn statement(id: &BlobId, report: &RunReport, verdict: &Verdict) -> Value {
    let of = |status: GateStatus| -> Vec<&str> {
        let gates = verdict.gates.iter().filter(|g| g.status == status);
        gates.map(|g| g.gate.as_str()).collect()
    };
    json!({
        "_type": STATEMENT,
        "subject": [{"name": "tree", "digest": {"gitTree": report.tree}}],
        "predicateType": PREDICATE,
        "predicate": {
            "result": word(verdict.decision),
            "configuration": [
                {"name": "report", "digest": {"sha256": id.as_str()}},
                {"name": "base", "digest": {"gitCommit": report.base.as_str()}},
            ],
            "passedTests": of(GateStatus::Passed),
            "warnedTests": of(GateStatus::NotRun),
            "failedTests": of(GateStatus::Failed),
        },
    })
}

fn is_about(statement: &Value, id: &BlobId) -> bool {
    let named = statement["predicate"]["configuration"].as_array();
    named.is_some_and(|all| all.iter().any(|one| one["digest"]["sha256"] == id.as_str()))
}

/// The predicate's words.
fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Passed => "PASSED",
        Decision::Failed => "FAILED",
        Decision::Inconclusive => "WARNED",
    }
}

fn decision_of(word: &str) -> Option<Decision> {
    [Decision::Passed, Decision::Failed, Decision::Inconclusive]
        .into_iter()
        .find(|decision| self::word(*decision) == word)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_ENVELOPE).read_to_end(&mut text)?;
    Ok(text)
}

/// The key of a state directory; made if there is none. Only its owner may read it.
fn key(path: &Path) -> Result<Ed25519KeyPair, AttestError> {
    use std::os::unix::fs::MetadataExt as _;
    let failed = |source| AttestError::File {
        path: path.to_owned(),
        source,
    };
    let pair = |seed: &[u8]| Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| AttestError::Key(path.to_owned()));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(mut file) => {
            let mut seed = [0_u8; 32];
            rustix::rand::getrandom(&mut seed[..], rustix::rand::GetRandomFlags::empty())
                .map_err(|e| failed(e.into()))?;
            file.write_all(&seed).and_then(|()| file.sync_all()).map_err(failed)?;
            pair(&seed)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = File::open(path).map_err(failed)?;
            let mode = file.metadata().map_err(failed)?.mode();
            let mut seed = Vec::new();
            file.take(64).read_to_end(&mut seed).map_err(failed)?;
            if mode & 0o077 == 0 {
                pair(&seed)
            } else {
                Err(AttestError::Key(path.to_owned()))
            }
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_core::id::CommitId;
    use prunella_core::verify::{Isolation, Trial};
    use std::os::unix::fs::PermissionsExt as _;

    fn report() -> RunReport {
        RunReport {
            candidate: "c".into(),
            base: CommitId::parse("a".repeat(40)).unwrap(),
            tree: "b".repeat(40),
            touched: vec!["shop.py".into()],
            protected: Vec::new(),
            isolation: Isolation::Full,
            tier: "A".into(),
            before: vec![Trial::Failed { seen: "x".into() }],
            after: vec![Trial::Passed; 3],
            suite: None,
            replay: None,
            refutation: None,
            shadow: None,
            wall_ms: 1,
        }
    }

    fn from() -> MadeFrom {
        MadeFrom {
            patch: b"--- a/x".to_vec(),
            argv: vec!["pytest".into(), "-q".into()],
        }
    }

    fn stored(home: &Home) -> (Verdicts, BlobId) {
        home.create().unwrap();
        let verdicts = Verdicts::open(home).unwrap();
        let bytes = serde_json::to_vec(&report()).unwrap();
        let (verdict, _) = judge(&bytes).unwrap();
        let id = verdicts.store(&bytes, &report(), &verdict, &from()).unwrap();
        (verdicts, id)
    }

    #[test]
    fn a_stored_verdict_is_judged_again() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::of(dir.path(), None);
        let (_, id) = stored(&home);
        // Another process, the same key.
        let again = Verdicts::open(&home).unwrap().replay(&id.as_str()[..8]).unwrap();
        assert_eq!((again.seal, again.stored), (Seal::Valid, Some(Decision::Passed)));
        assert_eq!((again.verdict.decision, again.report), (Decision::Passed, report()));
        assert_eq!(again.made_from, Some(from()));
        assert!(matches!(
            Verdicts::open(&home).unwrap().replay("abc"),
            Err(AttestError::Unknown(_))
        ));
    }

    #[test]
    fn what_was_changed_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::of(dir.path(), None);
        let (verdicts, id) = stored(&home);
        let path = verdicts.path(id.as_str());
        let mut envelope: Envelope = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let forged = String::from_utf8(STANDARD.decode(&envelope.payload).unwrap()).unwrap();
        envelope.payload = STANDARD.encode(forged.replace("PASSED", "FAILED"));
        fs::write(&path, serde_json::to_vec(&envelope).unwrap()).unwrap();
        assert_eq!(verdicts.replay(id.as_str()).unwrap().seal, Seal::Broken);
        fs::write(&path, b"no envelope").unwrap();
        assert_eq!(verdicts.replay(id.as_str()).unwrap().seal, Seal::Broken);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::of(dir.path(), None);
        let _ = stored(&home);
        let path = home.dir().join("verdict.key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Verdicts::open(&home), Err(AttestError::Key(_))));
    }

    #[test]
    fn the_encoding_is_that_of_the_specification() {
        let encoded = pae("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
