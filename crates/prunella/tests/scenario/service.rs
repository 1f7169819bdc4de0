//! The service that the tests break: a small shop in Python, in several files, with a test suite.

use prunella_core::id::CommitId;
use prunella_testkit::repo::RepoBuilder;

/// The server. It tells which commit it runs, and logs what it does not catch.
pub(crate) const APP: &str = r#"import os
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import catalog
import pricing

ATTRIBUTES = dict(a.split("=", 1) for a in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",") if "=" in a)
COMMIT = ATTRIBUTES.get("service.version", "")


def answer(path):
    name, _, rest = path.strip("/").partition("/")
    if name == "healthz":
        return 200, "ok"
    if name == "who":
        return 200, str(os.getpid())
    if name == "price":
        return 200, str(pricing.price(int(rest)))
    if name == "total":
        return 200, str(pricing.total(int(rest)))
    if name == "title":
        return 200, catalog.title(int(rest))
    return 404, "nothing here"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        try:
            status, body = answer(self.path)
        except Exception:
            traceback.print_exc()
            status, body = 500, "it broke"
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Commit", COMMIT)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

pub(crate) const PRICING: &str = r#""""Prices in cents."""

RATES = {"tea": 10, "cup": 20}


def label(item):
    return f"item {item}"


def price(item):
    return 100 + item % 7


def kind(item):
    """Every fourth item is a cup."""
    return "tea" if item % 4 else "cup"


def discount(item):
    return RATES.get(kind(item), 0)


def total(item):
    return price(item) - discount(item)
"#;

pub(crate) const CATALOG: &str = r#"def title(item):
    return f"Item {item}"
"#;

pub(crate) const TESTS: &str = r#"import unittest

import catalog
import pricing


class Prices(unittest.TestCase):
    def test_price(self):
        self.assertEqual(pricing.price(8), 101)

    def test_total(self):
        self.assertEqual(pricing.total(1), 91)

    def test_title(self):
        self.assertEqual(catalog.title(1), "Item 1")


if __name__ == "__main__":
    unittest.main()
"#;

/// The configuration: everything as short as it can honestly be.
pub(crate) const CONFIG: &str = r#"[service]
name = "shop"
start = ["python3", "app.py", "{port}"]
listen = "127.0.0.1:0"
stop_grace = "3s"

[ready]
path = "/healthz"
timeout = "20s"

[test]
command = "python3 -m unittest -v"

[heal]
autonomy = "promote"

[canary]
share = 0.3
min_time = "300ms"
min_requests = 50
probation = "500ms"
"#;

/// What healthy and unhealthy traffic asks for; every fourth `/total` hits what [`guilty`] breaks.
pub(crate) const PATHS: &[&str] = &["/price/{n}", "/total/{n}", "/title/{n}"];
/// What [`guilty`] leaves whole.
pub(crate) const HEALTHY: &[&str] = &["/price/{n}", "/title/{n}"];

/// The first commit: the whole shop.
pub(crate) fn begin(repo: &mut RepoBuilder, config: &str) -> CommitId {
    with(repo, config, &[])
}

/// The first commit with some files otherwise.
pub(crate) fn with(repo: &mut RepoBuilder, config: &str, otherwise: &[(&str, &str)]) -> CommitId {
    for (path, content) in [
        ("prunella.toml", config),
        (".gitignore", ".prunella\n__pycache__\n"),
        ("app.py", APP),
        ("pricing.py", PRICING),
        ("catalog.py", CATALOG),
        ("test_shop.py", TESTS),
    ] {
        repo.write(path, content);
    }
    repo.commit(otherwise, "Begin")
}

/// A commit that harms nobody; each number another one.
pub(crate) fn innocent(repo: &mut RepoBuilder, number: u32) -> CommitId {
    let text = format!("{CATALOG}\n\ndef shelf_{number}(item):\n    return item % {number}\n");
    repo.commit(&[("catalog.py", &text)], &format!("Add shelf {number}"))
}

/// Three hunks in one file, one of them wrong: cups become mugs, and mugs have no rate.
pub(crate) fn guilty(repo: &mut RepoBuilder) -> CommitId {
    let text = PRICING.replace("f\"item {item}\"", "f\"item no. {item}\"").replace(
        "return RATES.get(kind(item), 0)",
        "return RATES[kind(item).replace(\"cup\", \"mug\")]",
    ) + "\n\ndef points(item):\n    return total(item) // 10\n";
    repo.commit(&[("pricing.py", &text)], "Tidy prices and add points")
}

/// The line that a fix of [`guilty`] brings back.
pub(crate) const CURE: &str = "return RATES.get(kind(item), 0)";
