//! Whatever a process prints, no line is lost and nothing panics.

use proptest::prelude::*;

use super::*;

/// Lines that traces are made of, and lines that are nearly that.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "Traceback (most recent call last):", "  File \"/srv/shop/a.py\", line 3, in f", "    x = y", "    ~~^^^",
            "KeyError: 'a'", "KeyError", "", "  ", "  + Exception Group Traceback (most recent call last):", "  | a",
            "  +-+---------------- 1 ----------------", "    +------------------------------------",
            "The above exception was the direct cause of the following exception:",
            "During handling of the above exception, another exception occurred:", "Fatal Python error: Aborted",
            "2026-11-24 06:02:04,201 ERROR shop: no", "INFO:     ok", "ERROR:    Exception in ASGI application",
            "thread 'main' panicked at src/main.rs:3:5:", "thread 'x' panicked at 'old", "it', src/a.rs:1:2",
            "note: run with", "stack backtrace:", "   0: std::panicking", "             at /rustc/1/a.rs:1:2",
            "Error: loading", "Caused by:", "    0: no", "Stack backtrace:", "/srv/shop/a.js:3", "  foo()", "  ^^^",
            "TypeError: no", "    at f (/srv/shop/a.js:1:2)", "    at f (/srv/shop/a.js:1:2) {", "}", "  [cause]: Error: x",
            "[AggregateError: All] {", "    ... 5 lines matching cause stack trace ...", "Node.js v20.20.2", "plain text",
            "web-1  | Traceback (most recent call last):", "web-1  |   File \"a.py\", line 3, in f", "web-1  | KeyError: 1",
            "{\"level\":50,\"err\":{\"stack\":\"Error: x\\n    at f (a.js:1:2)\"}}", "\u{1b}[31mred\u{1b}[0m",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,40}",
    ]
}

fn assemble(lines: &[(String, i64)], limits: Limits) -> Vec<LogRecord> {
    let mut assembler = Assembler::new(PathMapper::new(["/srv/shop"]), limits);
    let mut records = Vec::new();
    let mut now = 0_i64;
    for (line, wait) in lines {
        now += wait;
        records.extend(assembler.feed(line, now));
        if wait % 7 == 0 {
            records.extend(assembler.flush(now + wait));
        }
    }
    records.extend(assembler.finish());
    assert!(assembler.finish().is_empty());
    records
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.filter(|line| !line.trim().is_empty()).collect();
    lines.sort();
    lines
}

proptest! {
    #[test]
    fn every_line_comes_out_once(lines in prop::collection::vec((line(), -50_i64..300), 0..80)) {
        let records = assemble(&lines, Limits::DEFAULT);
        let got = sorted(records.iter().flat_map(|record| record.text.split('\n')).map(str::to_owned));
        let fed = sorted(lines.iter().map(|(line, _)| strip_ansi(line).into_owned()));
        prop_assert_eq!(got, fed);
        prop_assert!(records.iter().all(|record| record.omitted_lines == 0));
    }

    #[test]
    fn what_limits_leave_out_is_counted(lines in prop::collection::vec((line(), 0_i64..2), 0..200)) {
        let limits = Limits { max_lines: 8, max_bytes: 300, max_line_bytes: 20, ..Limits::DEFAULT };
        let records = assemble(&lines, limits);
        let kept: usize = records.iter().map(|record| record.text.split('\n').count()).sum();
        let omitted: usize = records.iter().map(|record| record.omitted_lines as usize).sum();
        let not_blank = lines.iter().filter(|(line, _)| !strip_ansi(line).trim().is_empty()).count();
        // A line whose kept part is blank counts as blank.
        prop_assert!(kept + omitted <= lines.len());
        prop_assert!(kept + omitted + 4 >= not_blank || records.iter().any(|record| record.omitted_bytes > 0));
        for record in &records {
            prop_assert!(record.text.split('\n').count() <= limits.max_lines + 1);
            prop_assert!(record.text.len() <= limits.max_bytes + 2 * (limits.max_line_bytes + 1));
        }
    }

    #[test]
    fn parse_trace_never_panics(lines in prop::collection::vec(line(), 0..40)) {
        parse_trace(&lines.join("\n"), &PathMapper::default());
    }
}

#[test]
fn a_long_trace_keeps_its_head_and_its_name() {
    let mut text = String::from("Traceback (most recent call last):\n");
    for at in 0..10_000 {
        text.push_str(&format!(
            "  File \"/srv/shop/a.py\", line {at}, in f{}\n    call()\n",
            at % 2
        ));
    }
    text.push_str("RecursionError: maximum recursion depth exceeded\n");
    let lines: Vec<(String, i64)> = text.lines().map(|line| (line.to_owned(), 0)).collect();
    let records = assemble(&lines, Limits::DEFAULT);
    assert_eq!(records.len(), 1);
    let exception = records[0].exception.as_ref().expect("the name is in the tail");
    assert_eq!(exception.class, "RecursionError");
    assert_eq!(exception.frames.len(), MAX_FRAMES);
    assert_eq!(
        records[0].omitted_lines as usize,
        lines.len() - Limits::DEFAULT.max_lines
    );
}

#[test]
fn silence_gives_an_open_trace_out() {
    let mut assembler = Assembler::new(PathMapper::default(), Limits::DEFAULT);
    assert!(assembler.feed("Traceback (most recent call last):", 1_000).is_empty());
    assert!(assembler.feed("  File \"a.py\", line 3, in f", 1_001).is_empty());
    assert!(assembler.feed("KeyError: 'a'", 1_002).is_empty());
    assert!(assembler.flush(1_100).is_empty());
    let records = assembler.flush(1_300);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].at_ms, 1_000);
}

#[test]
fn a_clock_going_back_does_not_hold_a_trace_for_ever() {
    let mut assembler = Assembler::new(PathMapper::default(), Limits::DEFAULT);
    assert!(assembler.feed("TypeError: no", 1_000_000).is_empty());
    assert_eq!(assembler.flush(5).len(), 1);
}

#[test]
fn plain_lines_are_given_out_at_once() {
    let mut assembler = Assembler::new(PathMapper::default(), Limits::DEFAULT);
    assert_eq!(assembler.feed("shop listening on port 3000", 0).len(), 1);
    assert_eq!(assembler.feed("2026-11-24 06:02:04,201 INFO shop: ok", 0).len(), 1);
}
