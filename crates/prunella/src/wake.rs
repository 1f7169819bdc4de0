//! Wakes the daemon after something was appended to the ledger. A wake-up carries no data and may be lost: the daemon
//! looks at the ledger from time to time anyway.

use std::io;
use std::path::Path;

use tokio::net::UnixDatagram;

/// The daemon's end.
#[derive(Debug)]
pub struct Wake {
    socket: UnixDatagram,
}

impl Wake {
    /// Listens at this path, in a directory that only the owner can enter.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self {
            socket: UnixDatagram::bind(path)?,
        })
    }

    /// Waits for the next wake-up. Several that came in the meantime count as one.
    pub async fn wait(&self) {
        let mut byte = [0_u8; 1];
        if self.socket.recv(&mut byte).await.is_err() {
            // A broken socket must not become a busy loop; the periodic look goes on.
            std::future::pending::<()>().await;
        }
        while self.socket.try_recv(&mut byte).is_ok() {}
    }
}

/// Wakes the daemon, if there is one.
pub fn wake(path: &Path) {
    let Ok(socket) = std::os::unix::net::UnixDatagram::unbound() else {
        return;
    };
    let _ = socket.set_nonblocking(true);
    let _ = socket.send_to(&[1], path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wake_ups_are_merged_and_never_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wake.sock");
        wake(&path); // nobody there
        let daemon = Wake::listen(&path).unwrap();
        for _ in 0..10_000 {
            wake(&path);
        }
        daemon.wait().await;
        wake(&path);
        daemon.wait().await;
        drop(daemon);
        Wake::listen(&path).unwrap();
    }
}
