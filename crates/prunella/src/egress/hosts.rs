//! Where text may go: this machine, and hosts that the owner named.

use std::net::IpAddr;

use prunella_core::diagnose::plain;

/// The hosts that the owner allowed, beside this machine.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    allowed: Vec<String>,
}

/// An address that text may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: reqwest::Url,
    host: String,
    is_local: bool,
}

/// An address that text may not go to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// It is no address.
    #[error("`{url}` is no http or https address: {why}")]
    NoAddress {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Its host was not named.
    #[error(
        "nothing may be sent to {host}: it is not this machine, and nobody allowed it\n  Allow it with --egress-to {host} or PRUNELLA_EGRESS_TO={host}. A repository cannot."
    )]
    Host {
        /// The host.
        host: String,
    },
    /// It is not this machine and without TLS.
    #[error("nothing is sent to {host} without TLS: use https")]
    Plain {
        /// The host.
        host: String,
    },
}

impl Hosts {
    /// These hosts, each a name or an address without a port. What is empty is passed over.
    #[must_use]
    pub fn new(allowed: impl IntoIterator<Item = String>) -> Self {
        let lower = allowed.into_iter().map(|host| host.trim().to_ascii_lowercase());
        Self {
            allowed: lower.filter(|host| !host.is_empty()).collect(),
        }
    }

    pub(super) fn admit(&self, text: &str) -> Result<Target, NotAllowed> {
        let no_address = |why: &str| NotAllowed::NoAddress {
            url: plain(text, 200),
            why: why.to_owned(),
        };
        let url = reqwest::Url::parse(text).map_err(|error| no_address(&error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotAllowed::NoAddress {
                url: "the address".to_owned(),
                why: "keys belong into an environment variable, not into an address".to_owned(),
            });
        }
        let host = url.host_str().ok_or_else(|| no_address("it has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        // `localhost` by name could lead elsewhere; resolvers answer it with this machine (RFC 6761, section 6.3).
        let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if is_local => {}
            "http" => return Err(NotAllowed::Plain { host }),
            _ => return Err(no_address("its scheme is neither http nor https")),
        }
        if !is_local && !self.allowed.contains(&host) {
            return Err(NotAllowed::Host { host });
        }
        Ok(Target { url, host, is_local })
    }
}

impl Target {
    /// The whole address, with a slash at its end.
    #[must_use]
    pub fn base(&self) -> String {
        let text = self.url.as_str();
        if text.ends_with('/') {
            text.to_owned()
        } else {
            format!("{text}/")
        }
    }

    /// The host, for people and the log.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.is_local
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(url: &str, allowed: &[&str]) -> Result<bool, NotAllowed> {
        let hosts = Hosts::new(allowed.iter().map(|host| (*host).to_owned()));
        hosts.admit(url).map(|target| target.is_local())
    }

    #[test]
    fn this_machine_is_always_allowed_and_others_by_name() {
        for local in [
            "http://127.0.0.1:8080/v1",
            "http://localhost:11434",
            "http://[::1]:80/",
            "http://127.8.8.8/",
        ] {
            assert_eq!(admitted(local, &[]), Ok(true), "{local}");
        }
        assert_eq!(admitted("https://api.vendor.io/v1/", &["API.vendor.io "]), Ok(false));
        let refused = admitted("https://api.vendor.io/v1/", &["vendor.io", ""]).unwrap_err();
        assert!(refused.to_string().contains("--egress-to api.vendor.io"), "{refused}");
    }

    #[test]
    fn addresses_that_only_look_local_are_not() {
        for elsewhere in [
            "https://127.0.0.1.nip.io/",
            "https://localhost.vendor.io/",
            "https://0.0.0.0/",
            "https://127.0.0.1@vendor.io/",
            "https://vendor.io#@127.0.0.1/",
            "https://vendor.io\\@127.0.0.1/",
        ] {
            assert!(admitted(elsewhere, &[]).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn what_is_not_this_machine_needs_tls() {
        let refused = admitted("http://api.vendor.io/", &["api.vendor.io"]);
        assert!(matches!(refused, Err(NotAllowed::Plain { .. })));
        assert!(matches!(
            admitted("ftp://127.0.0.1/", &[]),
            Err(NotAllowed::NoAddress { .. })
        ));
        assert!(matches!(
            admitted("not an address", &[]),
            Err(NotAllowed::NoAddress { .. })
        ));
    }

    #[test]
    fn a_key_in_an_address_is_not_repeated() {
        let refused = admitted("https://user:opensesame@127.0.0.1/", &[]).unwrap_err();
        assert!(!refused.to_string().contains("opensesame"), "{refused}");
    }
}
