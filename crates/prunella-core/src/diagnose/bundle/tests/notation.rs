//! Small incidents of many kinds, in several languages, with decoys. See `incidents.txt` for the notation: minutes are
//! relative to the onset. Knows nothing of the crate, so that the benchmark can read them as well.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// The first minute, milliseconds since 1970.
pub(super) const START: i64 = 1_790_000_000_000;
/// In milliseconds.
pub(super) const MINUTE: i64 = 60_000;
/// Minutes before the onset.
pub(super) const ONSET: i64 = 120;

/// The guilty commit of every incident that has one.
pub(super) const GUILTY: &str = "c0ffee0000000000";

/// One incident of `incidents.txt`. What the ranking does not answer yet is marked `missed` behind what is expected.
#[derive(Clone, Debug, Default)]
pub(super) struct Incident {
    pub(super) name: String,
    pub(super) guilty: bool,
    /// Whether the ranking is known to miss it: `culprit, missed`.
    pub(super) missed: bool,
    pub(super) alert: Value,
    pub(super) rows: String,
    pub(super) logs: String,
    pub(super) notes: Vec<(String, String)>,
    pub(super) commits: Vec<Value>,
    pub(super) deploys: Vec<Value>,
    pub(super) flags: Vec<Value>,
}

/// A minute relative to the onset, milliseconds since 1970.
#[must_use]
pub(super) fn at(minute: i64) -> i64 {
    START + (ONSET + minute) * MINUTE
}

impl Incident {
    fn series(&mut self, service: &str, metric: &str, value: impl Fn(i64) -> f64) {
        for minute in -ONSET..30 {
            let noise = 1.0 + 0.02 * ((minute * 7).rem_euclid(5) - 2) as f64;
            let _ = writeln!(self.rows, "{},{service},{metric},{}", at(minute), value(minute) * noise);
        }
    }

    fn log(&mut self, service: &str, level: &str, text: &str) {
        for repeat in 0..6 {
            let line = json!({"timestamp": at(repeat), "service": service, "level": level, "message": text});
            let _ = writeln!(self.logs, "{line}");
        }
    }

    fn commit(&mut self, sha: &str, service: &str, minute: i64, file: &str, diff: &str) {
        let (file, message) = file.split_once(" | ").unwrap_or((file, "refactor: tidy up"));
        self.commits.push(json!({"sha": sha, "author": "someone", "timestamp": at(minute - 4), "message": message, "files_changed": [file], "diff": diff}));
        if !matches!(service, "" | "-") {
            self.deploys
                .push(json!({"timestamp": at(minute), "service": service, "commit_sha": sha}));
        }
    }

    /// What every incident has: a harmless deploy after the onset, documents, tests, an unread diff.
    fn usual(&mut self, service: &str) {
        self.commit(
            "feedfacefeed0001",
            service,
            3,
            "x/late.py",
            "@@ x @@\n-timeout = 30\n+timeout = 3\n",
        );
        self.commit(
            "feedfacefeed0002",
            "",
            -30,
            "docs/readme.md",
            "@@ x @@\n-timeout 30\n+timeout 3\n",
        );
        self.commits
            .push(json!({"sha": "feedfacefeed0003", "timestamp": at(-20), "files_changed": ["a/b.py"], "diff": null}));
        self.commit(
            "feedfacefeed0004",
            "bystander",
            -10,
            "bystander/pool.py",
            "@@ x @@\n-pool_size = 30\n+pool_size = 3\n",
        );
        for minute in -110..-2 {
            let line = json!({"timestamp": at(minute), "service": service, "level": "INFO", "message": "request served in 12 ms"});
            let _ = writeln!(self.logs, "{line}");
        }
    }
}

/// The incidents of a text.
#[must_use]
pub(super) fn read(text: &str) -> Vec<Incident> {
    let parts = text.split("\n== ").map(|part| part.trim_start_matches("== "));
    parts.filter(|part| !part.trim().is_empty()).map(incident).collect()
}

fn incident(text: &str) -> Incident {
    let (title, rest) = text.split_once('\n').expect("a title");
    let (name, expected) = title.split_once(" | ").expect("what is expected");
    let mut incident = Incident {
        name: name.to_owned(),
        guilty: expected.starts_with("culprit"),
        missed: expected.trim().ends_with(", missed"),
        ..Incident::default()
    };
    let mut decoys = 0;
    let mut lines = rest.lines().peekable();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<f64>().expect("a number");
        match words[0] {
            "alert" => {
                let summary = match words[3..].join(" ") {
                    none if none.is_empty() => format!("{} is too high or too low", words[2]),
                    told => told,
                };
                incident.alert =
                    json!({"service": words[1], "metric": words[2], "fired_at": at(8), "summary": summary});
                incident.usual(words[1]);
            }
            "metric" => incident.series(words[1], words[2], |minute| {
                if minute >= number(5) as i64 {
                    number(4)
                } else {
                    number(3)
                }
            }),
            "ramp" => incident.series(words[1], words[2], |minute| {
                let share = (minute as f64 - number(5)) / (10.0 - number(5));
                number(3) + (number(4) - number(3)) * share.clamp(0.0, 1.0)
            }),
            "calm" => incident.series(words[1], words[2], |_| number(3)),
            "log" => incident.log(words[1], words[2], &words[3..].join(" ")),
            "note" => incident.notes.push((
                words[1].to_owned(),
                json!({"timestamp": at(number(2) as i64), "update": words[3..].join(" ")}).to_string(),
            )),
            "flag" => incident
                .flags
                .push(json!({"timestamp": at(number(2) as i64), "service": words[1], "flag": words[3]})),
            "commit" => {
                let mut diff = String::new();
                while let Some(line) = lines.next_if(|line| line.starts_with(['@', '+', '-', ' '])) {
                    let _ = writeln!(diff, "{line}");
                }
                decoys += usize::from(words[1] == "decoy");
                let sha = if words[1] == "culprit" {
                    GUILTY.to_owned()
                } else {
                    format!("dec0dec0de{decoys:06}")
                };
                incident.commit(&sha, words[2], number(3) as i64, &words[4..].join(" "), &diff);
            }
            other => panic!("{name}: {other}"),
        }
    }
    incident
}
