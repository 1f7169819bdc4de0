//! Back ends under test and small helpers.

use std::path::{Path, PathBuf};

use prunella_sandbox::{Backend, Bubblewrap, CancelToken, JailSpec, Launcher, Mount, Native, Report, Tier};

/// The tests' own program, which acts as supervisor and as hostile code.
pub(crate) fn helper() -> PathBuf {
    env!("CARGO_BIN_EXE_prunella-jail").into()
}

pub(crate) fn launcher() -> Launcher {
    Launcher {
        program: helper(),
        args: vec!["jail".into()],
    }
}

/// Every back end and tier that this machine offers, by name. Says what it found: a machine that offers little must
/// not look like one where everything was tested.
pub(crate) fn backends() -> Vec<(String, Box<dyn Backend>)> {
    let mut found: Vec<(String, Box<dyn Backend>)> = Vec::new();
    let best = Native::new(launcher()).probe().clone();
    println!("native offers tier {}; {}", best.tier, best.missing());
    for tier in [Tier::A, Tier::B, Tier::C] {
        if tier >= best.tier {
            found.push((
                format!("native {tier}"),
                Box::new(Native::new(launcher()).at_most(tier)),
            ));
        }
    }
    let bubblewrap = Bubblewrap::new(launcher());
    println!(
        "bubblewrap offers tier {}; {}",
        bubblewrap.probe().tier,
        bubblewrap.probe().missing()
    );
    if bubblewrap.probe().tier < Tier::D {
        found.push(("bubblewrap".into(), Box::new(bubblewrap)));
    }
    assert!(
        !found.is_empty(),
        "this machine offers no isolation at all: {}",
        best.missing()
    );
    found
}

/// Runs on the best native tier.
pub(crate) fn run(spec: &JailSpec) -> Report {
    run_on(&Native::new(launcher()), spec)
}

pub(crate) fn run_on(backend: &dyn Backend, spec: &JailSpec) -> Report {
    backend
        .run(spec, &CancelToken::new())
        .unwrap_or_else(|error| panic!("{:?}: {error}", spec.argv))
}

/// The helper program inside, with these arguments, in a private copy of `tree`.
pub(crate) fn inside(tree: &Path, arguments: &[&str]) -> JailSpec {
    let program = "/opt/helper/prunella-jail";
    let mut spec = JailSpec::new([program].iter().chain(arguments).copied());
    spec.mounts.push(Mount::read_only(helper(), program));
    spec.mounts.push(Mount::overlay(tree, "/tree"));
    spec.cwd = "/tree".into();
    spec
}

pub(crate) fn shell(script: &str) -> JailSpec {
    JailSpec::new(["/bin/sh", "-c", script])
}

/// A directory that the jail's user may reach, removed at the end.
pub(crate) fn tree() -> tempfile::TempDir {
    let dir = tempfile::Builder::new()
        .prefix("prunella-it-")
        .tempdir()
        .expect("a temporary directory");
    std::fs::write(dir.path().join("file"), "before").expect("a file");
    dir
}

/// Processes of this machine whose command line contains `marker`, this one excepted.
pub(crate) fn marked(marker: &str) -> Vec<u32> {
    let own = std::process::id();
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(marker)
    };
    pids.filter(|pid| *pid != own && has(pid)).collect()
}

/// Runs on the best native tier where an error is expected.
pub(crate) fn try_run(spec: &JailSpec) -> Result<Report, prunella_sandbox::SandboxError> {
    Native::new(launcher()).run(spec, &CancelToken::new())
}
