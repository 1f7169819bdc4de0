//! How a build reaches the network on this machine: certificates, proxies, package indexes.
//!
//! A machine behind a proxy that opens TLS, or with a mirror of its own, says so by variables that every installer
//! knows. Without them a build fails there although the owner's own shell can install. Certificates are files and no
//! secret. An address is passed on only without a user name in it: a build runs code from the network. The settings
//! are no part of an entry's key, for they say where packages come from and not which.

use std::path::{Path, PathBuf};

/// Variables whose value is a file or a list of directories with public certificates.
const CERTIFICATES: &[&str] = &[
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "npm_config_cafile",
    "CARGO_HTTP_CAINFO",
    "GIT_SSL_CAINFO",
];

/// Variables whose value is one address, or several with spaces between them.
const ADDRESSES: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "npm_config_registry",
    "YARN_NPM_REGISTRY_SERVER",
    "GOPROXY",
];

/// Variables that hold neither files nor secrets.
const PLAIN: &[&str] = &[
    "NO_PROXY",
    "no_proxy",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_RETRIES",
    "PIP_TRUSTED_HOST",
    "GOSUMDB",
];

/// The settings that the caller's environment has, found by `get`.
#[must_use]
pub fn settings(get: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let names = CERTIFICATES.iter().chain(ADDRESSES).chain(PLAIN);
    names
        .filter_map(|name| Some(((*name).to_owned(), get(name)?)))
        .filter(|(name, value)| may_pass(name, value))
        .collect()
}

/// Whether a build may see this variable.
pub(super) fn may_pass(name: &str, value: &str) -> bool {
    if ADDRESSES.contains(&name) {
        // A password can stand in the part before `@` only.
        return !value.contains('@');
    }
    CERTIFICATES.contains(&name) || PLAIN.contains(&name)
}

/// The files and directories that the settings name and that exist.
#[must_use]
pub fn certificates(settings: &[(String, String)]) -> Vec<PathBuf> {
    let named = settings
        .iter()
        .filter(|(name, _)| CERTIFICATES.contains(&name.as_str()));
    let mut paths: Vec<PathBuf> = named
        .flat_map(|(_, value)| std::env::split_paths(value))
        .filter(|path| path.is_absolute() && path.exists() && !is_shown_anyway(path))
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The sandbox has the system's certificates at their usual place.
fn is_shown_anyway(path: &Path) -> bool {
    [
        "/etc/ssl/certs",
        "/etc/pki/tls/certs",
        "/etc/pki/ca-trust/extracted",
        "/usr",
    ]
    .iter()
    .any(|dir| path.starts_with(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_and_mirrors_pass_and_passwords_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own.pem");
        std::fs::write(&own, "x").unwrap();
        let have = [
            ("PIP_CERT", own.to_string_lossy().into_owned()),
            ("SSL_CERT_DIR", "/etc/ssl/certs:relative:/not/there".to_owned()),
            ("HTTPS_PROXY", "http://proxy.example:3128".to_owned()),
            ("PIP_INDEX_URL", "https://me:secret@mirror.example/simple".to_owned()),
            ("NO_PROXY", "localhost".to_owned()),
            ("NPM_TOKEN", "secret".to_owned()),
        ];
        let get = |name: &str| have.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
        let settings = settings(get);
        let mut names: Vec<&str> = settings.iter().map(|(n, _)| n.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["HTTPS_PROXY", "NO_PROXY", "PIP_CERT", "SSL_CERT_DIR"]);
        assert_eq!(certificates(&settings), [own]);
    }
}
