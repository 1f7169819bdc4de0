//! The journal of systemd, by `journalctl`, which knows its files and who may read them.

use std::process::Stdio;
use std::time::Duration;

use prunella_core::id::ServiceName;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::observer::Door;
use crate::clock;
use crate::config::Journald;

/// How long to wait before `journalctl` is started again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// The longest entry; what is beyond is cut off.
const MAX_ENTRY: u64 = 256 << 10;

/// Follows the journal of a unit for ever, from now on.
pub(super) async fn follow(source: Journald, door: Door) {
    let Ok(service) = ServiceName::parse(source.service.clone()) else {
        return;
    };
    loop {
        match start(source.unit.as_deref()) {
            Ok(child) => read(child, &service, &door).await,
            Err(error) => tracing::warn!("cannot follow the journal: `journalctl` does not start: {error}"),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

#[allow(clippy::disallowed_methods, reason = "this module starts journalctl")]
fn start(unit: Option<&str>) -> std::io::Result<Child> {
    let mut command = Command::new("journalctl");
    command.args(["--output=json", "--follow", "--lines=0", "--no-pager"]);
    if let Some(unit) = unit {
        command.arg(format!("--unit={unit}"));
    }
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/local/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

async fn read(mut child: Child, service: &ServiceName, door: &Door) {
    let Some(out) = child.stdout.take() else { return };
    let mut reader = BufReader::new(out);
    loop {
        let mut entry = Vec::new();
        let mut limited = (&mut reader).take(MAX_ENTRY);
        match limited.read_until(b'\n', &mut entry).await {
            Ok(count) if count > 0 => {
                let text = String::from_utf8_lossy(&entry);
                door.line(service, text.trim_end(), clock::now_ms());
            }
            _ => return,
        }
    }
}
