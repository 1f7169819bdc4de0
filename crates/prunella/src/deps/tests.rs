//! The cache with a back end that runs commands as they are: what is tested here is what happens around them. The real
//! jail builds in `tests/supervise/deps.rs`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prunella_sandbox::{Backend, CancelToken, Capabilities, Exit, JailSpec, Output, Report, SandboxError, Tier};

use super::*;

/// Runs the command without a jail and counts.
#[derive(Default)]
struct Plain {
    runs: AtomicUsize,
}

impl Backend for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn probe(&self) -> &Capabilities {
        unreachable!("nothing asks for it")
    }

    #[allow(clippy::disallowed_methods, reason = "a test double runs the command under test")]
    fn run(&self, spec: &JailSpec, _: &CancelToken) -> Result<Report, SandboxError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        assert_eq!(spec.network, prunella_sandbox::Network::Host);
        let output = std::process::Command::new(&spec.argv[0])
            .args(&spec.argv[1..])
            .env_clear()
            .envs(&spec.env)
            .current_dir(&spec.cwd)
            .output()
            .unwrap();
        let keep = |bytes: Vec<u8>| Output {
            head: bytes,
            ..Output::default()
        };
        Ok(Report {
            backend: "plain".into(),
            tier: Tier::C,
            exit: output.status.code().map_or(Exit::Signaled(0), Exit::Exited),
            stdout: keep(output.stdout),
            stderr: keep(output.stderr),
            wall: Duration::ZERO,
            cpu_user: Duration::ZERO,
            cpu_sys: Duration::ZERO,
            max_rss_bytes: 0,
            processes_killed_at_end: 0,
            notes: Vec::new(),
        })
    }
}

struct World {
    dir: tempfile::TempDir,
    backend: Plain,
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            backend: Plain::default(),
        }
    }

    fn deps(&self, limits: CacheLimits) -> Deps<'_> {
        let path = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        Deps::new(self.dir.path().join("cache"), &self.backend, path, limits)
    }

    fn release(&self, name: &str, lock: &str) -> PathBuf {
        let dir = self.dir.path().join("releases").join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("deps.lock"), lock).unwrap();
        fs::write(dir.join("app"), "code").unwrap();
        dir
    }

    fn prepare(&self, release: &Path, config: &DepsConfig) -> Result<Prepared, DepsError> {
        self.deps(CacheLimits::default())
            .prepare(release, config, &CancelToken::new())
    }

    fn runs(&self) -> usize {
        self.backend.runs.load(Ordering::SeqCst)
    }
}

fn config(command: &str, strategy: Strategy) -> DepsConfig {
    DepsConfig {
        command: CommandLine::Shell(command.to_owned()),
        outputs: vec!["web/modules".to_owned()],
        lockfiles: vec!["deps.lock".to_owned()],
        strategy,
        env: Vec::new(),
        timeout: Duration::from_secs(60),
        limits: BuildLimits::default(),
    }
}

const BUILD: &str = "mkdir -p web/modules && cp deps.lock web/modules/made && pwd > web/modules/place && touch junk";

#[test]
fn releases_with_the_same_lock_file_share_one_build() {
    let world = World::new();
    let (one, two) = (world.release("one", "v1"), world.release("two", "v1"));
    let first = world.prepare(&one, &config(BUILD, Strategy::Link)).unwrap();
    let second = world.prepare(&two, &config(BUILD, Strategy::Link)).unwrap();
    assert_eq!((first.cached, second.cached, world.runs()), (false, true, 1));
    assert_eq!(fs::read_to_string(two.join("web/modules/made")).unwrap(), "v1");
    assert_eq!(first.cache_dir, second.cache_dir);
    let place = fs::read_to_string(one.join("web/modules/place")).unwrap();
    assert_eq!(
        Path::new(place.trim()),
        first.cache_dir.join("tree"),
        "absolute paths stay true"
    );
    assert!(!first.cache_dir.join("tree/junk").exists() && !first.cache_dir.join("tree/app").exists());
    assert!(
        world.prepare(&one, &config(BUILD, Strategy::Link)).unwrap().cached,
        "twice is harmless"
    );

    let three = world.release("three", "v2");
    assert!(!world.prepare(&three, &config(BUILD, Strategy::Link)).unwrap().cached);
    assert_eq!(fs::read_to_string(three.join("web/modules/made")).unwrap(), "v2");
}

#[test]
fn a_copy_belongs_to_its_release() {
    let world = World::new();
    let (one, two) = (world.release("one", "v1"), world.release("two", "v1"));
    for release in [&one, &two] {
        world.prepare(release, &config(BUILD, Strategy::Copy)).unwrap();
    }
    fs::write(one.join("web/modules/made"), "changed").unwrap();
    assert_eq!(fs::read_to_string(two.join("web/modules/made")).unwrap(), "v1");
    world.prepare(&one, &config(BUILD, Strategy::Copy)).unwrap();
    assert_eq!(
        fs::read_to_string(one.join("web/modules/made")).unwrap(),
        "changed",
        "twice is harmless"
    );
    assert_eq!(world.runs(), 1);
}

#[test]
fn links_to_the_tree_make_a_link_a_copy() {
    let world = World::new();
    let release = world.release("one", "v1");
    let command = "mkdir -p web/modules && ln -s ../pkg web/modules/pkg";
    let prepared = world.prepare(&release, &config(command, Strategy::Link)).unwrap();
    assert_eq!(prepared.notes.len(), 1);
    fs::create_dir(release.join("web/pkg")).unwrap();
    assert!(
        release.join("web/modules/pkg").is_dir(),
        "the link means the release's own directory"
    );
}

#[test]
fn a_failed_build_shows_its_output_and_leaves_nothing() {
    let world = World::new();
    let release = world.release("one", "v1");
    let command = "mkdir -p web/modules; echo from stdout; echo no such package >&2; exit 3";
    let error = world.prepare(&release, &config(command, Strategy::Link)).unwrap_err();
    let DepsError::Failed { how, output, log, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(how, "exited with code 3");
    assert!(
        output.contains("from stdout") && output.contains("no such package"),
        "{output}"
    );
    assert!(fs::read_to_string(log).unwrap().contains("no such package"));
    assert!(!release.join("web").exists());
    world.prepare(&release, &config(command, Strategy::Link)).unwrap_err();
    assert_eq!(world.runs(), 2, "a failure is not cached");

    let error = world.prepare(&release, &config("true", Strategy::Link)).unwrap_err();
    assert!(matches!(error, DepsError::OutputMissing { .. }), "{error}");
}

#[test]
fn what_a_killed_build_left_is_not_taken_for_whole() {
    let world = World::new();
    let release = world.release("one", "v1");
    let whole = world.prepare(&release, &config(BUILD, Strategy::Link)).unwrap();
    // As after `kill -9` in the middle: outputs there, marker not.
    fs::remove_file(whole.cache_dir.join("complete.json")).unwrap();
    fs::write(whole.cache_dir.join("tree/web/modules/made"), "half").unwrap();
    let again = world.prepare(&release, &config(BUILD, Strategy::Link)).unwrap();
    assert!(!again.cached);
    assert_eq!(fs::read_to_string(release.join("web/modules/made")).unwrap(), "v1");
    // A damaged marker, and an output that somebody removed.
    fs::write(whole.cache_dir.join("complete.json"), "{").unwrap();
    assert!(!world.prepare(&release, &config(BUILD, Strategy::Link)).unwrap().cached);
    fs::remove_dir_all(whole.cache_dir.join("tree/web/modules")).unwrap();
    assert!(!world.prepare(&release, &config(BUILD, Strategy::Link)).unwrap().cached);
}

#[test]
fn one_key_is_built_once_at_a_time() {
    let world = World::new();
    let releases: Vec<PathBuf> = (0..4).map(|n| world.release(&format!("r{n}"), "v1")).collect();
    let barrier = Barrier::new(releases.len());
    std::thread::scope(|scope| {
        for release in &releases {
            scope.spawn(|| {
                barrier.wait();
                world.prepare(release, &config(BUILD, Strategy::Link)).unwrap();
            });
        }
    });
    assert_eq!(world.runs(), 1);
    assert!(releases.iter().all(|release| release.join("web/modules/made").exists()));
}

#[test]
fn unused_entries_go_first_and_used_ones_stay() {
    let world = World::new();
    let names = ["a", "b", "c"];
    let dirs: Vec<PathBuf> = names
        .iter()
        .map(|name| {
            world
                .prepare(&world.release(name, name), &config(BUILD, Strategy::Link))
                .unwrap()
                .cache_dir
        })
        .collect();
    let one = CacheLimits {
        entries: 1,
        ..CacheLimits::default()
    };
    assert!(
        world.deps(one).evict().unwrap().removed.is_empty(),
        "every entry has a release"
    );
    for name in ["a", "b"] {
        fs::remove_dir_all(world.dir.path().join("releases").join(name)).unwrap();
    }
    fs::write(dirs[0].join("used"), "2000").unwrap();
    fs::write(dirs[1].join("used"), "1000").unwrap();
    let two = CacheLimits {
        entries: 2,
        ..CacheLimits::default()
    };
    let evicted = world.deps(two).evict().unwrap();
    assert_eq!(evicted.removed.len(), 1);
    assert!(
        dirs[0].exists() && !dirs[1].exists() && dirs[2].exists(),
        "the one used longest ago went"
    );
    let nothing = CacheLimits { bytes: 0, entries: 0 };
    let evicted = world.deps(nothing).evict().unwrap();
    assert!(!dirs[0].exists() && dirs[2].exists());
    assert!(evicted.bytes_over > 0, "what is in use is beyond the limit and says so");
}

#[test]
fn nonsense_is_refused_and_nothing_is_overwritten() {
    let world = World::new();
    let release = world.release("one", "v1");
    for bad in ["", "/abs", "../up", "a/../b"] {
        let config = DepsConfig {
            outputs: vec![bad.to_owned()],
            ..config(BUILD, Strategy::Link)
        };
        assert!(
            matches!(world.prepare(&release, &config), Err(DepsError::BadConfig(_))),
            "{bad:?}"
        );
    }
    let nested = DepsConfig {
        outputs: vec!["a".into(), "a/b".into()],
        ..config(BUILD, Strategy::Link)
    };
    assert!(matches!(world.prepare(&release, &nested), Err(DepsError::BadConfig(_))));
    fs::create_dir(release.join("web")).unwrap();
    symlink("/etc", release.join("web/modules")).unwrap();
    let error = world.prepare(&release, &config(BUILD, Strategy::Link)).unwrap_err();
    assert!(matches!(error, DepsError::InTheWay(_)), "{error}");
}
