//! The state directory: its permissions, the lock, and the stored configuration.

use crate::args::GatewayError;
use crate::control::{CONFIG_NAME, RouteConfig};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A configuration file above this is not ours.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// The state directory, held by this process alone as long as the value lives.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    _lock: File,
}

/// What was found in `gateway.json`.
#[derive(Debug)]
pub(crate) enum Stored {
    Missing,
    Config(Box<RouteConfig>),
    /// Unreadable; the file was set aside under this name.
    Corrupt {
        kept_as: PathBuf,
        reason: String,
    },
}

impl StateDir {
    /// Creates or tightens the directory and takes its lock.
    pub(crate) fn open(path: &Path) -> Result<Self, GatewayError> {
        let bad = |reason: String| GatewayError::StateDir {
            path: path.to_owned(),
            reason,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|e| bad(e.to_string()))?;
        let meta = fs::metadata(path).map_err(|e| bad(e.to_string()))?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(bad("it belongs to another user".into()));
        }
        if meta.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(|e| bad(e.to_string()))?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("gateway.lock"))
            .map_err(|e| bad(e.to_string()))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|e| match e {
            rustix::io::Errno::WOULDBLOCK => GatewayError::AlreadyRunning(path.to_owned()),
            e => bad(e.to_string()),
        })?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes the configuration so that a crash leaves the old one or the new one, never a part.
    pub(crate) fn save(&self, config: &RouteConfig) -> io::Result<()> {
        let temp = self.join("gateway.json.tmp");
        let mut f = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&temp)?;
        f.write_all(&serde_json::to_vec_pretty(config)?)?;
        f.sync_all()?;
        fs::rename(&temp, self.join(CONFIG_NAME))?;
        File::open(&self.path)?.sync_all()
    }

    /// Reads the last configuration. A file that cannot be understood is set aside, not deleted.
    pub(crate) fn load(&self) -> io::Result<Stored> {
        let path = self.join(CONFIG_NAME);
        let file = match File::open(&path) {
            Ok(f) => f,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Stored::Missing),
            Err(e) => return Err(e),
        };
        let mut text = Vec::new();
        file.take(MAX_CONFIG_BYTES + 1).read_to_end(&mut text)?;
        match parse(&text) {
            Ok(config) => Ok(Stored::Config(config)),
            Err(reason) => {
                let kept_as = self.join("gateway.json.corrupt");
                fs::rename(&path, &kept_as)?;
                Ok(Stored::Corrupt { kept_as, reason })
            }
        }
    }
}

fn parse(text: &[u8]) -> Result<Box<RouteConfig>, String> {
    if text.len() as u64 > MAX_CONFIG_BYTES {
        return Err(format!("longer than {MAX_CONFIG_BYTES} bytes"));
    }
    let config: RouteConfig = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    config.validate().map_err(|e| e.to_string())?;
    Ok(Box::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_survives() {
        let dir = tempfile::tempdir().unwrap();
        let s = StateDir::open(&dir.path().join("new/state")).unwrap();
        assert!(matches!(s.load().unwrap(), Stored::Missing));
        let config = RouteConfig {
            epoch: 7,
            ..RouteConfig::default()
        };
        s.save(&config).unwrap();
        assert!(matches!(s.load().unwrap(), Stored::Config(c) if *c == config));
        let mode = |p: PathBuf| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(s.path.clone()), mode(s.join(CONFIG_NAME))), (0o700, 0o600));
    }

    #[test]
    fn a_corrupt_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let s = StateDir::open(dir.path()).unwrap();
        for text in [&b"{\"epoch\":"[..], b"{\"hold_ms\":99999999999}", b"\xff\xfe"] {
            fs::write(s.join(CONFIG_NAME), text).unwrap();
            let Stored::Corrupt { kept_as, .. } = s.load().unwrap() else {
                panic!("accepted {text:?}")
            };
            assert_eq!(fs::read(kept_as).unwrap(), text);
            assert!(matches!(s.load().unwrap(), Stored::Missing));
        }
    }

    #[test]
    fn a_wide_directory_is_tightened_and_held_by_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let held = StateDir::open(dir.path()).unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(
            StateDir::open(dir.path()),
            Err(GatewayError::AlreadyRunning(_))
        ));
        drop(held);
        StateDir::open(dir.path()).unwrap();
    }
}
