//! Dependencies built in the real jail.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use prunella::deps::{BuildLimits, CacheLimits, Deps, DepsConfig, Prepared, Strategy};
use prunella::experiment::cell::Cell;
use prunella::supervise::{CommandLine, base_env};
use prunella_sandbox::{CancelToken, Launcher, Native};

use super::world::eventually;

fn prepare(cache: &Path, release: &Path, config: &DepsConfig) -> Prepared {
    let jail = Native::new(Launcher {
        program: std::env::current_exe().unwrap(),
        args: vec!["jail".into()],
    });
    let deps = Deps::new(cache.to_owned(), &jail, base_env(), CacheLimits::default());
    deps.prepare(release, config, &CancelToken::new()).unwrap()
}

fn config(command: &str, output: &str) -> DepsConfig {
    DepsConfig {
        command: CommandLine::Shell(command.to_owned()),
        outputs: vec![output.to_owned()],
        lockfiles: vec!["lock".to_owned()],
        strategy: Strategy::Link,
        env: Vec::new(),
        timeout: Duration::from_secs(50),
        limits: BuildLimits::default(),
    }
}

fn release(root: &Path, name: &str) -> PathBuf {
    let dir = root.join(name);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("lock"), "1").unwrap();
    dir
}

#[allow(
    clippy::disallowed_methods,
    reason = "the test uses what was built as a service would"
)]
pub(crate) async fn a_virtual_environment_works_from_every_release() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    // A module and a script in the environment, as an installer would put them there.
    let command = "python3 -m venv --without-pip .venv && . .venv/bin/activate \
        && site=$(python -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))') \
        && echo 'answer = 42' > $site/installed.py \
        && printf '#!%s\\nimport installed\\nprint(installed.answer)\\n' $(command -v python) > .venv/bin/tool \
        && chmod +x .venv/bin/tool";
    let config = config(command, ".venv");
    let (one, two) = (release(dir.path(), "one"), release(dir.path(), "two"));
    assert!(!prepare(&cache, &one, &config).cached);
    let prepared = prepare(&cache, &two, &config);
    assert!(prepared.cached);
    works_in_an_experiment(&two, &prepared);
    fs::remove_dir_all(&one).unwrap();
    let output = Command::new(two.join(".venv/bin/tool"))
        .current_dir(&two)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "42\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The cache is private to its owner; the jail is another user where its owner is root.
fn works_in_an_experiment(release: &Path, prepared: &Prepared) {
    let command = |text: &str| prunella::config::Command::Shell(text.to_owned());
    let config = prunella::config::Config::minimal("tool", command("true"));
    let mut cell = Cell::new(&config, release, Duration::from_secs(30));
    cell.linked.push(prepared.cache_dir.clone());
    let report = cell
        .run(&command(".venv/bin/tool"), &BTreeMap::new(), &CancelToken::new())
        .unwrap();
    assert_eq!(report.stdout.text(), "42\n", "{}", report.stderr.text());
}

const SLOW: &str =
    "mkdir out && echo half > out/state && while [ -e slow ]; do sleep 0.05; done && echo whole > out/state";

#[allow(clippy::disallowed_methods, reason = "the builder under test is another process")]
pub(crate) async fn a_killed_build_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, release) = (dir.path().join("cache"), release(dir.path(), "one"));
    fs::write(release.join("slow"), "").unwrap();
    let mut builder = Command::new(std::env::current_exe().unwrap())
        .args([Path::new("builder"), &cache, &release])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let half = || {
        let entries = fs::read_dir(&cache).into_iter().flatten().flatten();
        entries
            .into_iter()
            .any(|entry| fs::read_to_string(entry.path().join("tree/out/state")).is_ok_and(|s| s == "half\n"))
    };
    eventually("the build is in the middle", half).await;
    builder.kill().unwrap();
    builder.wait().unwrap();
    assert!(half(), "it was killed in the middle");
    fs::remove_file(release.join("slow")).unwrap();
    assert!(!prepare(&cache, &release, &config(SLOW, "out")).cached);
    assert_eq!(fs::read_to_string(release.join("out/state")).unwrap(), "whole\n");
}

/// The process that is killed: `builder <cache> <release>`.
pub(crate) fn builder_main() -> ExitCode {
    let args: Vec<PathBuf> = std::env::args_os().skip(2).map(PathBuf::from).collect();
    let [cache, release] = args.as_slice() else {
        return ExitCode::FAILURE;
    };
    prepare(cache, release, &config(SLOW, "out"));
    ExitCode::SUCCESS
}
