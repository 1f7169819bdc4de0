//! Real processes: small programs in Python and Node, sampled through `/proc` while they work.

use super::watch::{Case, Sample};
use crate::exec::{self, Process};
use crate::report::{BenchError, say};
use std::path::Path;
use std::time::{Duration, Instant};

/// Samples of each process, the time between two, and how long that is to the detector.
const SAMPLES: usize = 1_800;
const EVERY: Duration = Duration::from_millis(50);
const STANDS_FOR_MS: i64 = 6_000;
/// Samples at the start that are not counted: the interpreter loads.
const STARTING: usize = 40;

struct Program {
    name: &'static str,
    language: &'static str,
    leaks: Option<&'static str>,
    /// The body of a loop that runs a hundred times a second, and what comes before it.
    before: &'static str,
    each: &'static str,
}

const PROGRAMS: &[Program] = &[
    python(
        "list that grows",
        Some("memory"),
        "kept = []",
        "kept.append(bytearray(20000))",
    ),
    python(
        "dict keyed by request",
        Some("memory"),
        "seen = {}",
        "seen[i] = 'x' * 15000 + str(i)",
    ),
    python(
        "listeners that stay",
        Some("memory"),
        "class H: pass\nbus = []",
        "h = H(); h.data = list(range(i, i + 600)); bus.append(h.__init__); bus.append(h)",
    ),
    python(
        "files that stay open",
        Some("file descriptors"),
        "kept = []",
        "kept.append(open('/dev/null')) if i % 5 == 0 else None",
    ),
    python(
        "sockets that stay open",
        Some("file descriptors"),
        "import socket\nkept = []",
        "kept.append(socket.socket()) if i % 7 == 0 else None",
    ),
    python(
        "threads that wait",
        Some("threads"),
        "import threading\ngate = threading.Event()",
        "threading.Thread(target=gate.wait, daemon=True).start() if i % 25 == 0 else None",
    ),
    python("nothing kept", None, "", "x = bytearray(20000)"),
    python(
        "bounded cache",
        None,
        "from collections import OrderedDict\nc = OrderedDict()",
        "c[i] = bytearray(30000)\n    if len(c) > 1500: c.popitem(last=False)",
    ),
    python(
        "buffer that is flushed",
        None,
        "b = []",
        "b.append(bytearray(40000))\n    if len(b) > 400: b.clear()",
    ),
    python(
        "cycles for the collector",
        None,
        "class N: pass",
        "a = N(); b = N(); a.b = b; b.a = a; a.d = list(range(2000))",
    ),
    python("files closed", None, "", "f = open('/dev/null'); f.close()"),
    node(
        "array that grows",
        Some("memory"),
        "const kept = [];",
        "kept.push(Buffer.alloc(20000, i % 250));",
    ),
    node(
        "map keyed by request",
        Some("memory"),
        "const seen = new Map();",
        "seen.set(i, 'x'.repeat(9000) + i + Math.random());seen.get(i).charCodeAt(5);kept2.push(new Array(900).fill(i));",
    ),
    node(
        "files that stay open",
        Some("file descriptors"),
        "const fs = require('fs');",
        "if (i % 5 === 0) fs.openSync('/dev/null');",
    ),
    node("nothing kept", None, "", "Buffer.alloc(20000, 1);"),
    node(
        "bounded cache",
        None,
        "const c = new Map();",
        "c.set(i, Buffer.alloc(30000, 1)); if (c.size > 1500) c.delete(c.keys().next().value);",
    ),
    node(
        "garbage objects",
        None,
        "",
        "let a = []; for (let k = 0; k < 300; k++) a.push({k, s: 'v' + k});",
    ),
];

const fn python(name: &'static str, leaks: Option<&'static str>, before: &'static str, each: &'static str) -> Program {
    Program {
        name,
        language: "python3",
        leaks,
        before,
        each,
    }
}

const fn node(name: &'static str, leaks: Option<&'static str>, before: &'static str, each: &'static str) -> Program {
    Program {
        name,
        language: "node",
        leaks,
        before,
        each,
    }
}

impl Program {
    fn source(&self) -> String {
        let Self { before, each, .. } = self;
        if self.language == "python3" {
            format!("import time\n{before}\ni = 0\nwhile True:\n    i += 1\n    {each}\n    time.sleep(0.01)\n")
        } else {
            format!("const kept2 = [];\n{before}\nlet i = 0;\nsetInterval(() => {{ i++; {each} }}, 10);\n")
        }
    }
}

/// Runs all programs at the same time and samples them; programs of a language that is not installed are left out.
pub(super) fn cases() -> Result<Vec<Case>, BenchError> {
    let folder = tempfile::tempdir().map_err(BenchError::io("a temporary folder"))?;
    let mut running: Vec<(Process, Case)> = Vec::new();
    for (n, program) in PROGRAMS.iter().enumerate() {
        let Some(interpreter) = exec::find(program.language) else {
            say(&format!(
                "{} is not installed: `{}` is left out",
                program.language, program.name
            ));
            continue;
        };
        let path = folder.path().join(format!("{n}.txt"));
        std::fs::write(&path, program.source()).map_err(BenchError::io(path.display().to_string()))?;
        let process = exec::start(&interpreter, &[&path.display().to_string()])?;
        let case = Case {
            name: format!("{} {}", program.language, program.name),
            kind: program.name,
            real: true,
            metric: None,
            leaks: program.leaks,
            samples: Vec::with_capacity(SAMPLES),
            works: true,
        };
        running.push((process, case));
    }
    say(&format!(
        "{} programs run for {} s",
        running.len(),
        SAMPLES as f64 * EVERY.as_secs_f64()
    ));
    let start = Instant::now();
    for n in 0..SAMPLES {
        let due = start + EVERY * u32::try_from(n).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for (process, case) in running.iter_mut().filter(|_| n >= STARTING) {
            let taken = sample(process.pid());
            case.samples.extend(taken.map(|sample| Sample {
                at_ms: n as i64 * STANDS_FOR_MS,
                requests: 5,
                ..sample
            }));
        }
    }
    let short = running.iter().find(|(_, case)| case.samples.len() < SAMPLES / 2);
    if let Some((_, case)) = short {
        return Err(BenchError::Unexpected(format!("`{}` ended early", case.name)));
    }
    Ok(running.into_iter().map(|(_, case)| case).collect())
}

fn sample(id: u32) -> Option<Sample> {
    let folder = Path::new("/proc").join(id.to_string());
    let status = std::fs::read_to_string(folder.join("status")).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Sample {
        memory: field("VmRSS:")? * 1_024,
        threads: field("Threads:")?,
        fds: std::fs::read_dir(folder.join("fd")).ok()?.count() as u64,
        ..Sample::default()
    })
}
