//! Exit codes, signals, output, descriptors and environment arrive as they were.

use std::io::Read;
use std::os::fd::AsRawFd;

use crate::common::{backends, inside, launcher, run, run_on, shell, tree};
use prunella_sandbox::{Backend, CancelToken, Exit, ExtraFd, Native, SandboxError, Tier};

#[test]
fn exit_codes_and_signals_are_reported() {
    for (name, backend) in backends() {
        let cases = [
            ("exit 0", Exit::Exited(0)),
            ("exit 3", Exit::Exited(3)),
            ("kill -SEGV $$", Exit::Signaled(libc::SIGSEGV)),
            ("kill -KILL $$", Exit::Signaled(libc::SIGKILL)),
        ];
        for (script, expected) in cases {
            assert_eq!(run_on(&*backend, &shell(script)).exit, expected, "{name}: {script}");
        }
    }
}

#[test]
fn outputs_are_kept_apart() {
    let report = run(&shell("echo out; echo err >&2"));
    assert_eq!(
        (report.stdout.text().as_str(), report.stderr.text().as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn the_environment_is_exactly_the_given_one() {
    let mut spec = shell("env");
    spec.argv = vec!["env".into()];
    spec.env.insert("A".into(), "b c=d".into());
    spec.env.remove("LANG");
    spec.env.remove("TMPDIR");
    let text = run(&spec).stdout.text();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines[..2], ["A=b c=d", "HOME=/home/jail"]);
    assert!(lines.len() == 3 && lines[2].starts_with("PATH="), "{lines:?}");
}

#[test]
fn passed_descriptors_arrive_and_no_other() {
    let work = tree();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut spec = inside(work.path(), &["say", "9"]);
    spec.extra_fds.push(ExtraFd {
        outer: writer.as_raw_fd(),
        inner: 9,
    });
    let report = run(&spec);
    assert!(report.success(), "{}", report.stderr.text());
    drop(writer);
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert_eq!(said, "passed");
}

#[test]
fn standard_input_is_empty_or_passed() {
    assert_eq!(run(&shell("cat; echo end")).stdout.text(), "end\n");
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, b"typed\n").unwrap();
    drop(writer);
    let mut spec = shell("cat");
    spec.extra_fds.push(ExtraFd {
        outer: reader.as_raw_fd(),
        inner: 0,
    });
    assert_eq!(run(&spec).stdout.text(), "typed\n");
}

#[test]
fn a_command_that_is_not_there_is_an_error_with_its_name() {
    let native = Native::new(launcher());
    for program in ["/no/such/program", "no-such-program", "/etc/passwd"] {
        let mut spec = shell("");
        spec.argv = vec![program.into()];
        match native.run(&spec, &CancelToken::new()) {
            Err(SandboxError::Start { program: named, .. }) => assert_eq!(named, program),
            other => panic!("{program}: {other:?}"),
        }
    }
}

#[test]
fn a_source_that_is_not_there_is_an_error_with_its_path() {
    let mut spec = shell("true");
    spec.mounts
        .push(prunella_sandbox::Mount::read_only("/no/such/source", "/tree"));
    let error = Native::new(launcher()).run(&spec, &CancelToken::new()).unwrap_err();
    assert!(
        matches!(error, SandboxError::Setup { .. }) && error.to_string().contains("/no/such/source"),
        "{error}"
    );
}

#[test]
fn a_tier_below_the_demanded_one_is_refused_by_name() {
    let native = Native::new(launcher()).at_most(Tier::C);
    let mut spec = shell("true");
    spec.minimum_tier = Tier::A;
    match native.run(&spec, &CancelToken::new()) {
        Err(SandboxError::TierTooLow {
            wanted: Tier::A, found, ..
        }) => assert!(found >= Tier::C),
        other => panic!("{other:?}"),
    }
}

#[test]
fn figures_are_plausible_and_the_report_is_json() {
    let work = tree();
    let mut spec = inside(work.path(), &[]);
    spec.argv = ["/bin/sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]
        .map(String::from)
        .to_vec();
    let report = run(&spec);
    assert!(
        report.cpu_user > std::time::Duration::ZERO && report.max_rss_bytes > 100_000,
        "{report:?}"
    );
    assert!(report.wall >= report.cpu_user / 4);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["backend"], "native");
    assert!(["A", "B", "C"].contains(&json["tier"].as_str().unwrap()));
}

#[test]
fn a_process_left_behind_is_counted_and_killed() {
    let marker = format!("left-{}", std::process::id());
    let report = run(&shell(&format!(
        "setsid sh -c 'sleep 100; : {marker}' >/dev/null 2>&1 & exit 0"
    )));
    assert_eq!(report.exit, Exit::Exited(0));
    assert!(report.processes_killed_at_end >= 1);
    assert_eq!(crate::common::marked(&marker), [] as [u32; 0]);
}
