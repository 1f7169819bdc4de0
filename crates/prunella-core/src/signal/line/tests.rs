//! Lines as the world writes them.

use proptest::prelude::*;

use super::time::leading;
use super::*;

fn check_time(line: &str, seconds: f64, body: &str) {
    let read = parse_in(line, 2024);
    let time = read.time_ns.map(|ns| ns as f64 / 1e9);
    assert!(time.is_some_and(|t| (t - seconds).abs() < 1e-3), "{line}: {time:?}");
    assert_eq!(read.body, body, "{line}");
}

#[test]
fn times_that_lines_begin_with() {
    check_time("2024-01-02T03:04:05.678Z INFO up", 1_704_164_645.678, "INFO up");
    check_time("2024-01-02 03:04:05,678 - root - up", 1_704_164_645.678, "root - up");
    check_time("[2024-01-02T05:04:05+02:00] up", 1_704_164_645.0, "up");
    check_time(
        "2024/01/02 03:04:05 [error] 7#7: up",
        1_704_164_645.0,
        "[error] 7#7: up",
    );
    check_time("Jan  2 03:04:05 host sshd[7]: up", 1_704_164_645.0, "host sshd[7]: up");
    check_time("[Sun Dec 04 04:47:44 2005] [notice] up", 1_133_671_664.0, "[notice] up");
    check_time("081109 203615 148 INFO up", 1_226_262_975.0, "148 INFO up");
    check_time("20171223-22:15:29:606|Step|up", 1_514_067_329.606, "Step|up");
    check_time("17/06/09 20:10:40 INFO up", 1_497_039_040.0, "INFO up");
    check_time("I0102 03:04:05.000001 7 a.go:1] up", 1_704_164_645.0, "7 a.go:1] up");
    check_time("- 1117838570 2005.06.03 R02 up", 1_117_838_570.0, "2005.06.03 R02 up");
    check_time("1117838570.123 up", 1_117_838_570.123, "up");
    let access = "10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 1";
    check_time(access, 971_211_336.0, access);
}

#[test]
fn what_is_no_time_is_text() {
    for line in [
        "12 monkeys",
        "2024-13-01T00:00:00Z x",
        "2024-01-02T25:00:00Z x",
        "12345678901 x",
        "Jan is here",
        "",
    ] {
        let read = parse(line);
        assert_eq!((read.time_ns, read.body.as_ref()), (None, line));
    }
}

#[test]
fn json_lines() {
    let line = parse(
        r#"{"level":30,"time":1704164645678,"pid":7,"msg":"request\ndone","err":{"a":1},"trace_id":"5b8efff798038103d269b633813fc60c"}"#,
    );
    assert_eq!(
        (line.severity, line.time_ns),
        (Some(Severity::Info), Some(1_704_164_645_678_000_000))
    );
    assert_eq!(line.body, "request\ndone");
    assert!(line.trace_id.is_some());
    let keys: Vec<&str> = line.attributes.iter().map(|(key, _)| key.as_ref()).collect();
    assert_eq!(keys, ["pid", "err"]);
    let docker = parse(r#"{"log":"hello\n","stream":"stdout","time":"2024-01-02T03:04:05.678901234Z"}"#);
    assert_eq!(
        (docker.body.as_ref(), docker.time_ns),
        ("hello", Some(1_704_164_645_678_901_234))
    );
    let journald = parse(
        r#"{"__REALTIME_TIMESTAMP":"1704164645678901","PRIORITY":"3","MESSAGE":"failed","SYSLOG_IDENTIFIER":"sshd"}"#,
    );
    assert_eq!(
        (journald.severity, journald.time_ns),
        (Some(Severity::Error), Some(1_704_164_645_678_901_000))
    );
    assert_eq!((journald.body.as_ref(), journald.logger.as_ref()), ("failed", "sshd"));
    let coloured = parse(r#"{"PRIORITY":"4","MESSAGE":[27,91,51,49,109,110,111,255]}"#);
    assert_eq!(
        (coloured.severity, coloured.body.as_ref()),
        (Some(Severity::Warn), "\u{1b}[31mno\u{fffd}")
    );
    assert_eq!(parse(r#"{"PRIORITY":"4","MESSAGE":[27,256]}"#).body, "");
    assert_eq!(parse("{not json").body, "{not json");
}

#[test]
fn logfmt_lines() {
    let line =
        parse(r#"ts=2024-01-02T03:04:05Z level=warn msg="a \"quoted\" word" n=3 ratio=0.5 ok=true bare logger=db"#);
    assert_eq!(
        (line.severity, line.body.as_ref()),
        (Some(Severity::Warn), "a \"quoted\" word")
    );
    assert_eq!(line.time_ns, Some(1_704_164_645_000_000_000));
    assert_eq!(line.logger, "db");
    let expected = [
        ("n", Scalar::Int(3)),
        ("ratio", Scalar::Double(0.5)),
        ("ok", Scalar::Bool(true)),
        ("bare", Scalar::Bool(true)),
    ];
    let expected: Vec<(Cow<'_, str>, Scalar<'_>)> = expected.map(|(k, v)| (Cow::Borrowed(k), v)).into();
    assert_eq!(line.attributes, expected);
    for plain in [
        "a=1 b=2",
        "level=",
        "see x=1 for level=2",
        "level=info broken \"quote",
        "msg=\"no end",
    ] {
        assert_eq!(parse(plain).body, plain, "{plain}");
    }
}

#[test]
fn a_view_has_what_the_line_says_before_what_is_known_otherwise() {
    let line = parse("level=error msg=x k=v");
    let mut attributes = Vec::new();
    let view = line.view(5, Some(Severity::Info), &mut attributes);
    assert_eq!(
        (view.time_ns, view.severity, view.body),
        (5, Some(Severity::Error), "x")
    );
    assert_eq!(view.attributes, [("k", Value::Str("v"))]);
}

proptest! {
    #[test]
    fn hostile_lines_do_not_panic(line in "\\PC{0,80}", year in 1900_i64..2300) {
        let _ = parse_in(&line, year);
    }

    #[test]
    fn near_times_do_not_panic(line in "[\\[ ]?[0-9A-Z]{1,6}[-/:. ][0-9A-Za-z]{1,4}[-/:. ][0-9]{1,4}[T :][0-9:.,+Z é-]{0,20}", year in 1900_i64..2300) {
        if let Some((_, end)) = leading(&line, year) {
            prop_assert!(line.is_char_boundary(end));
        }
        let _ = parse_in(&line, year);
    }

    #[test]
    fn hostile_logfmt_does_not_panic(line in "level=[a-z\"\\\\= é]{0,60}") {
        let _ = parse(&line);
    }
}
