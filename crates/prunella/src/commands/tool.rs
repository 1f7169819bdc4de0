//! Asks another program one question: clean environment, bounded time, bounded answer.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use crate::supervise::base_env;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much is read; git lists the files of a large repository in less.
const MAX_OUTPUT: u64 = 16 << 20;

/// What the program answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether it ended by itself with code 0.
    pub(super) success: bool,
    /// Its standard output, as far as the limit goes.
    pub(super) out: Vec<u8>,
}

impl Answer {
    /// Standard output as text without white space at the end.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).trim_end().to_owned()
    }
}

/// Runs the program in a directory, with the base environment and these variables.
///
/// # Errors
/// `NotFound` if there is no such program, `TimedOut` if it takes longer than 30 seconds; it is killed then.
#[allow(
    clippy::disallowed_methods,
    reason = "the commands' one place that asks git and interpreters; the environment is cleared"
)]
pub(super) fn ask<S: AsRef<OsStr>>(
    program: &OsStr,
    args: &[S],
    dir: &Path,
    env: &[(&str, &str)],
) -> io::Result<Answer> {
    let mut child = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env_clear()
        .envs(base_env())
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let answer = collect(&mut child);
    let Ok(out) = answer.recv_timeout(PATIENCE) else {
        kill(&mut child);
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "it took longer than 30 seconds",
        ));
    };
    let success = child.wait()?.success();
    Ok(Answer { success, out })
}

/// A reader of its own, so that the answer can be waited for with a limit.
fn collect(child: &mut Child) -> Receiver<Vec<u8>> {
    let stream = child.stdout.take();
    let (send, receive) = sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            let _ = stream.take(MAX_OUTPUT).read_to_end(&mut bytes);
        }
        let _ = send.send(bytes);
    });
    receive
}

fn kill(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_with_their_code_and_a_missing_program_is_named_as_such() {
        let sh = |script: &str| ask(OsStr::new("/bin/sh"), &["-c", script], Path::new("/"), &[("X", "y")]).unwrap();
        let answer = sh("echo \"$X\"; echo oops >&2; exit 3");
        assert_eq!((answer.success, answer.text().as_str()), (false, "y"));
        assert!(sh("exit 0").success);
        let none = ask::<&str>(OsStr::new("no-such-program-at-all"), &[], Path::new("/"), &[]);
        assert_eq!(none.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_not_named_is_not_inherited() {
        let answer = ask(OsStr::new("/usr/bin/env"), &[] as &[&str], Path::new("/"), &[]).unwrap();
        assert!(!answer.text().contains("CARGO_MANIFEST_DIR"), "{}", answer.text());
    }
}
