//! What services print and use.

use prunella::supervise::{LogLimits, LogTail, TailEvent, TailOffsets};

use super::world::{GRACE, World, output, python, said};

pub(crate) async fn lines_arrive_and_reading_resumes() {
    let world = World::new();
    let process = world.shell("a", "echo out; echo err >&2; sleep 1000").await;
    let mut tail = LogTail::open(process.run_dir(), TailOffsets::default()).unwrap();
    let mut lines = Vec::new();
    for _ in 0..2 {
        let Some(TailEvent::Line(line)) = tail.next().await.unwrap() else {
            panic!("a line")
        };
        lines.push(format!("{}: {}", line.stream, line.line));
    }
    lines.sort();
    assert_eq!(lines, ["stderr: err", "stdout: out"]);
    assert_eq!(tail.offsets(), TailOffsets { stdout: 4, stderr: 4 });
    process.stop(GRACE).await.unwrap();
}

pub(crate) async fn nothing_is_lost_at_a_high_rate() {
    let world = World::new();
    let code = "
import sys
for number in range(200_000):
    print('line', number, 'x' * (number % 80))
";
    let process = world
        .supervisor
        .start(world.spec("a", python_buffered(code)))
        .await
        .unwrap();
    assert_eq!(process.wait().await.unwrap().dropped_log_bytes, 0);
    let lines = output(&process).await;
    assert_eq!(lines.len(), 200_000);
    for (number, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("line {number} ")), "{number}: {line}");
    }
}

pub(crate) async fn output_is_bounded_without_a_daemon() {
    let world = World::new();
    let mut spec = world.spec("a", python_buffered("for n in range(300_000): print('line', n)"));
    spec.logs = LogLimits {
        segment_bytes: 64 << 10,
        segments: 3,
    };
    let process = world.supervisor.start(spec).await.unwrap();
    process.wait().await.unwrap();
    let kept: u64 = std::fs::read_dir(process.run_dir())
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("stdout"))
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    // Each segment may run over by what is read at once.
    assert!(kept <= 3 * 2 * (64 << 10), "{kept}");
    let mut tail = LogTail::open(process.run_dir(), TailOffsets::default()).unwrap();
    tail.finish();
    let first = tail.next().await.unwrap();
    assert!(
        matches!(first, Some(TailEvent::Lost { bytes, .. }) if bytes > 0),
        "{first:?}"
    );
    let mut last = String::new();
    while let Some(TailEvent::Line(line)) = tail.next().await.unwrap() {
        last = line.line;
    }
    assert_eq!(last, "line 299999");
}

fn python_buffered(code: &str) -> prunella::supervise::CommandLine {
    prunella::supervise::CommandLine::Argv(vec!["python3".into(), "-c".into(), code.into()])
}

pub(crate) async fn samples_count_the_whole_tree() {
    let world = World::new();
    let code = "
import os, threading, time
block = bytearray(64 << 20)
for _ in range(3): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
end = time.process_time() + 0.2
while time.process_time() < end: pass
if os.fork() == 0:
    os.setsid()
    time.sleep(1000)
print('up')
time.sleep(1000)
";
    let process = world.supervisor.start(world.spec("a", python(code))).await.unwrap();
    said(&process, "up").await;
    let sample = process.sample_with_pss().unwrap();
    assert_eq!((sample.processes, sample.threads), (2, 5));
    assert!(sample.rss_bytes >= 128 << 20, "both hold the block: {sample:?}");
    let pss = sample.pss_bytes.unwrap();
    assert!(
        pss >= 64 << 20 && pss < sample.rss_bytes,
        "the block is shared: {sample:?}"
    );
    assert!(sample.cpu_ms >= 190, "{sample:?}");
    assert!(sample.fds >= 6, "{sample:?}");
    process.stop(GRACE).await.unwrap();
    assert_eq!(process.sample().unwrap().processes, 0);
}

pub(crate) async fn open_databases_are_found() {
    let world = World::new();
    std::fs::create_dir(world.path("data")).unwrap();
    std::fs::write(world.path("data/read.txt"), "x").unwrap();
    let code = "
import sqlite3, time
database = sqlite3.connect('data/shop.db')
database.execute('create table t (a)')
database.commit()
log = open('data/app.log', 'w')
elsewhere = open('elsewhere', 'w')
reader = open('data/read.txt')
print('up')
time.sleep(1000)
";
    let process = world.supervisor.start(world.spec("a", python(code))).await.unwrap();
    said(&process, "up").await;
    let root = world.path("data");
    let found = process.open_state_files(&[&root]).unwrap();
    let root = root.canonicalize().unwrap();
    assert_eq!(found, [root.join("app.log"), root.join("shop.db")]);
    process.stop(GRACE).await.unwrap();
}
