//! Reads and checks `prunella.toml`.

use std::io;
use std::path::{Component, Path, PathBuf};

use prunella_core::id::ServiceName;

use super::{Config, Standby};

/// The file's name, in the root of the repository.
pub const FILE_NAME: &str = "prunella.toml";

/// What can be wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no file.
    #[error("there is no {0}\n  `prunella init` writes one from what it finds in the repository.")]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML of the right form.
    #[error("{path}: {what}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and what, by the parser.
        what: String,
    },
    /// A value cannot be right.
    #[error("{path}: `{key}` {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What is wrong and what would be right.
        what: String,
    },
}

/// Reads `prunella.toml` from a repository's root.
///
/// # Errors
/// If it is missing, unreadable, malformed or holds a value that cannot be right.
pub fn load(root: &Path) -> Result<Config, ConfigError> {
    let path = root.join(FILE_NAME);
    let text = std::fs::read_to_string(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ConfigError::Missing(path.clone()),
        _ => ConfigError::Unreadable {
            path: path.clone(),
            source,
        },
    })?;
    parse(&text, &path)
}

/// Parses and checks the text of a `prunella.toml`; `path` is for messages.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let config: Config = toml::from_str(text).map_err(|e| ConfigError::Malformed {
        path: path.to_owned(),
        what: e.to_string().trim_end().to_owned(),
    })?;
    check(&config).map_err(|(key, what)| ConfigError::Invalid {
        path: path.to_owned(),
        key,
        what,
    })?;
    Ok(config)
}

fn check(config: &Config) -> Result<(), (&'static str, String)> {
    let service = &config.service;
    ServiceName::parse(service.name.clone()).map_err(|e| ("service.name", format!("is wrong: {e}")))?;
    if service.start.is_empty() {
        return Err((
            "service.start",
            "is empty; give the command that starts the service".to_owned(),
        ));
    }
    if !(config.canary.share > 0.0 && config.canary.share < 1.0) {
        return Err((
            "canary.share",
            format!("is {}; it must be between 0 and 1", config.canary.share),
        ));
    }
    if config.canary.deadline < config.canary.min_time {
        return Err(("canary.deadline", "is shorter than canary.min_time".to_owned()));
    }
    if config.gateway.tls_cert.is_some() != config.gateway.tls_key.is_some() {
        return Err((
            "gateway.tls_cert",
            "and `gateway.tls_key` belong together; give both or none".to_owned(),
        ));
    }
    super::intake::check(&config.intake)?;
    super::maintenance::check(&config.maintenance)?;
    if !(1..=64).contains(&config.gateway.workers) {
        return Err(("gateway.workers", "must be from 1 to 64".to_owned()));
    }
    if let Some(path) = &config.ready.path
        && !path.starts_with('/')
    {
        return Err(("ready.path", format!("is `{path}`; it must begin with `/`")));
    }
    if service.socket_activation && service.standby == Standby::Warm {
        return Err((
            "service.socket_activation",
            "needs `standby = \"cold\"`: one socket serves one release".to_owned(),
        ));
    }
    for path in config.state.paths.iter().map(PathBuf::as_path) {
        stays_inside(path).map_err(|what| ("state.paths", what))?;
    }
    for path in config
        .build
        .outputs
        .iter()
        .chain(&config.build.lockfiles)
        .chain(&config.build.reuse)
    {
        stays_inside(Path::new(path)).map_err(|what| ("build", what))?;
    }
    let deps_need = config.build.deps.is_some() && config.build.outputs.is_empty();
    if deps_need {
        return Err((
            "build.outputs",
            "is empty; name the directories that `build.deps` makes".to_owned(),
        ));
    }
    Ok(())
}

/// A path that a release links to must stay inside of it.
fn stays_inside(path: &Path) -> Result<(), String> {
    let is_plain = path
        .components()
        .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if is_plain && path.components().next().is_some() {
        Ok(())
    } else {
        Err(format!(
            "has `{}`; it must be relative and stay inside the repository",
            path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[service]\nname = \"shop\"\nstart = \"python3 -m shop\"\n";

    fn check(more: &str, expected: &str) {
        let error = parse(&format!("{SMALL}{more}"), Path::new("prunella.toml"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn the_smallest_file_is_enough() {
        let config = parse(SMALL, Path::new("prunella.toml")).unwrap();
        assert_eq!(
            config,
            Config::minimal("shop", super::super::Command::Shell("python3 -m shop".into()))
        );
        assert!(config.service.listen.ip().is_loopback());
    }

    #[test]
    fn what_cannot_be_right_is_named() {
        check("[canary]\nshare = 1.5\n", "`canary.share` is 1.5");
        check("[ready]\npath = \"healthz\"\n", "`ready.path`");
        check("[state]\npaths = [\"../db\"]\n", "`../db`");
        check("[state]\npaths = [\"/var/db\"]\n", "`/var/db`");
        check("[gateway]\ntls_cert = \"x\"\n", "belong together");
        check("[build]\ndeps = \"npm ci\"\n", "`build.outputs` is empty");
        check("[heal]\nautonomy = \"yolo\"\n", "unknown variant `yolo`");
        check("[ready]\ntimeout = \"soon\"\n", "`soon` is not a duration");
        check("[intake]\nhttp = \"0.0.0.0:4318\"\n", "`intake.token_file` is needed");
        check("[intake]\ntls_key = \"x\"\n", "belong together");
        check("[intake]\nspool = \"1MiB\"\n", "`intake.spool` must be");
        check("[[intake.files]]\npath = \"x.log\"\nservice = \"x\"\n", "absolute path");
        check("[[intake.scrape]]\nurl = \"https://x\"\n", "begins with http://");
        check("[sevice]\n", "unknown field `sevice`");
    }
}
