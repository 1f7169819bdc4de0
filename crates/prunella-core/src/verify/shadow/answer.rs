//! What an instance answered, as it is compared.

use super::flat::{At, Collections, Flat, flatten};
use super::tree::{Leaf, Node, of_body};

/// Header fields that belong to the connection or follow from the body.
const OF_THE_CONNECTION: &[&str] = &[
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "trailer",
    "upgrade",
    "proxy-connection",
];

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A response.
    Response {
        /// Its status.
        status: u16,
        /// Its header fields, in order.
        headers: Vec<(String, String)>,
        /// Its body, or the beginning of it.
        body: Vec<u8>,
        /// The digest of the whole body, if not all of it is here.
        digest: Option<String>,
    },
    /// None: it broke off or did not come in time.
    Nothing {
        /// What was seen.
        what: String,
    },
}

/// A reply as a tree, with how long it took.
#[derive(Clone, Debug)]
pub struct Answer {
    status: Option<u16>,
    head: Flat,
    body: Node,
    /// From the first byte sent to the last received, in microseconds.
    latency_us: u64,
}

impl Answer {
    /// Reads a reply.
    #[must_use]
    pub fn of(reply: &Reply, latency_us: u64) -> Self {
        let mut head = Flat::new();
        let (status, body) = match reply {
            Reply::Nothing { what } => {
                put(&mut head, "status", Leaf::Text(format!("no answer: {what}")));
                (None, Node::Map(Vec::new()))
            }
            Reply::Response {
                status,
                headers,
                body,
                digest,
            } => {
                put(
                    &mut head,
                    "status",
                    Leaf::Number(status.to_string(), f64::from(*status)),
                );
                let mut media = "";
                for (name, value) in headers {
                    let name = name.to_ascii_lowercase();
                    if name == "content-type" {
                        media = value.split(';').next().unwrap_or("").trim();
                    }
                    if !OF_THE_CONNECTION.contains(&name.as_str()) {
                        put(&mut head, &format!("header {name}"), Leaf::Text(value.clone()));
                    }
                }
                let tree = match digest {
                    Some(digest) => Node::Leaf(Leaf::Opaque(digest.clone(), body.len())),
                    None => of_body(media, body),
                };
                (Some(*status), tree)
            }
        };
        Self {
            status,
            head,
            body,
            latency_us,
        }
    }

    /// A text that is compared as a whole, such as what was written to the output.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        Self::of_tree(super::text::parse(text).unwrap_or_else(|| super::tree::opaque(text.as_bytes())))
    }

    /// A JSON value that is compared as a whole, such as the rows of a database.
    #[must_use]
    pub fn of_json(value: &serde_json::Value) -> Self {
        Self::of_tree(of_body("application/json", value.to_string().as_bytes()))
    }

    fn of_tree(body: Node) -> Self {
        Self {
            status: None,
            head: Flat::new(),
            body,
            latency_us: 0,
        }
    }

    /// The status, if there was a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    pub(super) fn latency_us(&self) -> u64 {
        self.latency_us
    }

    pub(super) fn body(&self) -> &Node {
        &self.body
    }

    /// All of it by path.
    pub(super) fn flat(&self, collections: &Collections) -> Flat {
        let mut flat = self.head.clone();
        for (path, at) in flatten(&self.body, collections) {
            let place = if path.is_empty() {
                "body".to_owned()
            } else {
                format!("body {path}")
            };
            flat.insert(place, at);
        }
        flat
    }
}

fn put(flat: &mut Flat, path: &str, leaf: Leaf) {
    let at: &mut At = flat.entry(path.to_owned()).or_default();
    at.leaves.push(leaf);
}
