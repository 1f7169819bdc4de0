//! The identity of a failure: what makes two failing runs the same failure.
//!
//! *Method*: class + normalised message + top in-app frames + route or test; never the class alone. Line numbers are
//! left out, so that an identity survives edits elsewhere in the file, and recursion is collapsed, so that it
//! survives a different depth; functions that call each other in turn are put in order. Where only a response or an exit
//! was seen, status and body class take the place of the exception.
//! *Source*: measured in our own delta-debugging runs (matching by class alone ended on a spurious hunk); the frame
//! rule follows the crash-bucketing literature (Dhaliwal et al., ICSM 2011).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::normalise::{MAX_MESSAGE, truncate};
pub use super::normalise::{normalise_message, normalise_message_of};
use crate::id::short_hash;
use crate::signal::{Exception, Frame};

/// How many in-app frames belong to an identity.
pub const TOP_FRAMES: usize = 3;
const MAX_NAME: usize = 256;
/// Different frames that are looked at to see who calls whom in turn.
const LOOKED_AT: usize = 32;

/// One frame without its line: it survives edits above it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FrameKey {
    /// Repository-relative where one of the given roots was a prefix, with `/` as separator.
    pub file: String,
    /// The function without closure hashes and `async`; empty at module level.
    pub function: String,
}

/// Where a failure shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// A route of the service.
    Route {
        /// The HTTP method, in capitals.
        method: String,
        /// The path with its variable parts replaced, as the router or the gateway knows it.
        template: String,
    },
    /// A test, by its runner's name for it.
    Test(String),
    /// The process as a whole: start, crash, exit; or nothing more precise is known.
    Process,
    /// A command that `heal` was given.
    Command(String),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route { method, template } => write!(f, "{method} {template}"),
            Self::Test(name) => write!(f, "test {name}"),
            Self::Process => f.write_str("the process"),
            Self::Command(command) => write!(f, "`{command}`"),
        }
    }
}

/// What the identity was read from, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// An exception with class and message, and usually frames.
    Exception,
    /// Only an HTTP status and body.
    Response,
    /// Only an exit code or signal.
    Exit,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// Killed by this signal's number.
    Signal(i32),
    /// Stopped by us because it ran longer than it may.
    TimedOut,
}

/// The identity of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FailureIdentity {
    /// What it was read from.
    pub seen: Seen,
    /// The exception's class, `HTTP 500`, `exit 1`, `signal 11` or `timeout`.
    pub class: String,
    /// The normalised message, or the body's class where only a response was seen.
    pub message: String,
    /// The top in-app frames, innermost first, at most [`TOP_FRAMES`], each once.
    pub frames: Vec<FrameKey>,
    /// Where it shows.
    pub location: Location,
    /// The response's status, where there was a response.
    pub status: Option<u16>,
}

/// What differs between two failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// Another route, test or command.
    Location,
    /// Another HTTP status.
    Status,
    /// Another exception class, exit code or signal.
    Class,
    /// Another message after normalisation.
    Message,
    /// Another innermost in-app frame.
    Frames,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Location => "it shows elsewhere",
            Self::Status => "the status differs",
            Self::Class => "the class differs",
            Self::Message => "the message differs",
            Self::Frames => "the innermost frame differs",
        })
    }
}

/// The answer of [`FailureIdentity::matches`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// The same failure.
    Same,
    /// Certainly not the same failure.
    Different(Difference),
    /// Nothing contradicts, but one of the two shows too little to be sure (no exception, no frames, no location).
    /// Not good enough for a proof.
    Weaker,
}

impl FailureIdentity {
    /// From an exception. `roots` are the directories of checkouts: they are cut off the frames' files. `status` is
    /// that of the response that the request ended with, if one was seen.
    #[must_use]
    pub fn from_exception(exception: &Exception, location: Location, status: Option<u16>, roots: &[&str]) -> Self {
        let class = truncate(exception.class.trim(), MAX_NAME).to_owned();
        let message = normalise_message_of(&class, &exception.message);
        Self {
            seen: Seen::Exception,
            class,
            message,
            frames: top_frames(exception, roots),
            location,
            status,
        }
    }

    /// From a response alone: no exception was seen.
    #[must_use]
    pub fn from_response(location: Location, status: u16, body: &[u8]) -> Self {
        Self {
            seen: Seen::Response,
            class: format!("HTTP {status}"),
            message: body_class(body),
            frames: Vec::new(),
            location,
            status: Some(status),
        }
    }

    /// From an exit alone. `last_line` is the last line of standard error, or empty.
    #[must_use]
    pub fn from_exit(location: Location, exit: Exit, last_line: &str) -> Self {
        let class = match exit {
            Exit::Code(code) => format!("exit {code}"),
            Exit::Signal(signal) => format!("signal {signal}"),
            Exit::TimedOut => "timeout".to_owned(),
        };
        let message = normalise_message(last_line);
        Self {
            seen: Seen::Exit,
            class,
            message,
            frames: Vec::new(),
            location,
            status: None,
        }
    }

    /// Whether `other` is the same failure. Symmetric.
    #[must_use]
    pub fn matches(&self, other: &Self) -> Match {
        let known = |identity: &Self| identity.location != Location::Process;
        if known(self) && known(other) && self.location != other.location {
            return Match::Different(Difference::Location);
        }
        if let (Some(one), Some(two)) = (self.status, other.status)
            && one != two
        {
            return Match::Different(Difference::Status);
        }
        if self.seen != other.seen {
            return Match::Weaker;
        }
        if self.class != other.class {
            return Match::Different(Difference::Class);
        }
        if self.message != other.message {
            return Match::Different(Difference::Message);
        }
        match compare_frames(&self.frames, &other.frames) {
            Match::Same if self.location != other.location => Match::Weaker,
            answer => answer,
        }
    }

    /// A short stable name of this identity: 16 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let status = self.status.map(|status| status.to_string()).unwrap_or_default();
        let location = self.location.to_string();
        // The message of a key error is a key: data as often as a name of the code. Where frames tell where it was looked
        // up, occurrences with different keys are one group; whether two runs fail alike is for `matches` to say.
        let keyed = self.class.ends_with("KeyError") && !self.frames.is_empty();
        let message = if keyed {
            normalise_message(&self.message)
        } else {
            self.message.clone()
        };
        let mut parts = vec![self.class.as_str(), &message, &location, &status];
        for frame in &self.frames {
            parts.push(&frame.file);
            parts.push(&frame.function);
        }
        short_hash(&parts, 16)
    }

    /// One line for people. The message is hostile input: escape it where it is shown.
    #[must_use]
    pub fn headline(&self) -> String {
        let text = if self.message.is_empty() {
            self.class.clone()
        } else {
            format!("{}: {}", self.class, self.message)
        };
        truncate(&text, 200).to_owned()
    }
}

fn compare_frames(one: &[FrameKey], two: &[FrameKey]) -> Match {
    let (Some(first), Some(second)) = (one.first(), two.first()) else {
        return if one.is_empty() && two.is_empty() {
            Match::Same
        } else {
            Match::Weaker
        };
    };
    if !same_frame(first, second) {
        return Match::Different(Difference::Frames);
    }
    let shared = one.iter().zip(two).take_while(|(a, b)| same_frame(a, b)).count();
    if shared == one.len().min(two.len()) {
        Match::Same
    } else {
        Match::Weaker
    }
}

fn same_frame(one: &FrameKey, two: &FrameKey) -> bool {
    one.function == two.function && same_file(&one.file, &two.file)
}

/// Whether two files are the same in the repository. Where one is absolute (no root was known for it), the other may
/// be its tail; two repository-relative paths must be equal.
#[must_use]
pub fn same_file(one: &str, two: &str) -> bool {
    let tail = |long: &str, short: &str| {
        is_absolute(long)
            && long
                .strip_suffix(short)
                .is_some_and(|head| !short.is_empty() && head.ends_with('/'))
    };
    one == two || tail(one, two) || tail(two, one)
}

fn is_absolute(path: &str) -> bool {
    path.starts_with('/') || path.as_bytes().get(1) == Some(&b':')
}

/// The file with `/` as separator, without a URL scheme, `./` and the longest matching root.
#[must_use]
pub fn repository_path(file: &str, roots: &[&str]) -> String {
    let file = file
        .trim()
        .strip_prefix("file://")
        .unwrap_or(file.trim())
        .replace('\\', "/");
    let file = truncate(&file, 4 * MAX_NAME);
    let longest = roots
        .iter()
        .filter_map(|root| file.strip_prefix(root.trim_end_matches('/'))?.strip_prefix('/'))
        .min_by_key(|rest| rest.len());
    let mut rest = longest.unwrap_or(file);
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter;
    }
    rest.to_owned()
}

/// The innermost different frames. Functions that call each other in turn stand in the order of their names: which of
/// them was innermost depends on how deep it went.
fn top_frames(exception: &Exception, roots: &[&str]) -> Vec<FrameKey> {
    let mut seen: Vec<(FrameKey, bool)> = Vec::new();
    for frame in exception.in_app_frames() {
        let key = frame_key(frame, roots);
        let known = seen.iter().position(|(known, _)| *known == key);
        match known {
            Some(at) => seen[at].1 = true,
            None if seen.len() < LOOKED_AT => seen.push((key, false)),
            None => {}
        }
    }
    for cycle in seen.chunk_by_mut(|a, b| a.1 == b.1).filter(|run| run[0].1) {
        cycle.sort();
    }
    seen.truncate(TOP_FRAMES);
    seen.into_iter().map(|(key, _)| key).collect()
}

fn frame_key(frame: &Frame, roots: &[&str]) -> FrameKey {
    FrameKey {
        file: repository_path(&frame.file, roots),
        function: function_name(&frame.function),
    }
}

/// Without what differs between builds and call kinds: Rust's `::h<hash>` suffix, `async` and `new`.
fn function_name(function: &str) -> String {
    let mut name = truncate(function.trim(), MAX_NAME);
    for prefix in ["async ", "new "] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    if let Some((head, hash)) = name.rsplit_once("::h")
        && hash.len() == 16
        && hash.bytes().all(|b| b.is_ascii_hexdigit())
    {
        name = head;
    }
    name.to_owned()
}

/// The body without its values: for a JSON object its keys and the normalised text of its error fields, else the
/// beginning of the text, normalised.
fn body_class(body: &[u8]) -> String {
    const ERROR_FIELDS: &[&str] = &["error", "message", "detail", "code", "title", "type"];
    let body = &body[..body.len().min(64 * 1024)];
    if let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice::<serde_json::Value>(body) {
        let mut parts: Vec<String> = fields
            .iter()
            .map(|(key, value)| match value.as_str() {
                Some(text) if ERROR_FIELDS.contains(&key.to_ascii_lowercase().as_str()) => {
                    format!("{key}={}", normalise_message(text))
                }
                _ => key.clone(),
            })
            .collect();
        parts.sort();
        return truncate(&format!("{{{}}}", parts.join(",")), MAX_MESSAGE).to_owned();
    }
    normalise_message(&String::from_utf8_lossy(&body[..body.len().min(2048)]))
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
