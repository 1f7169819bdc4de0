//! `[intake]`: where telemetry comes in, and what it may cost.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use prunella_core::id::ServiceName;
use serde::{Deserialize, Serialize};

use super::units::{Size, Span};

/// `[intake]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Intake {
    /// Whether telemetry is received at all. The service's output is watched anyway.
    pub enabled: bool,
    /// Where OTLP/gRPC is listened for.
    pub grpc: SocketAddr,
    /// Where OTLP/HTTP is listened for.
    pub http: SocketAddr,
    /// PEM file with the certificate chain; with `tls_key` it turns TLS on.
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key.
    pub tls_key: Option<PathBuf>,
    /// A file with the token that senders must show (`Authorization: Bearer …`).
    pub token_file: Option<PathBuf>,
    /// The largest request as it is sent.
    pub max_request: Size,
    /// The largest request unpacked.
    pub max_unpacked: Size,
    /// Requests at a time.
    pub concurrency: usize,
    /// What may wait for the analyzers.
    pub queue: Size,
    /// What is kept of acknowledged requests until the analyzers' state is saved.
    pub spool: Size,
    /// How often the spool is put on the disk; `0s`: before each answer.
    pub sync: Span,
    /// How often the analyzers' state is saved, at most.
    pub save: Span,
    /// What the analyzers may keep together.
    pub memory: Size,
    /// After how long without a claim an incident of a service that is only observed is over.
    pub over_after: Span,
    /// Log files that are followed.
    pub files: Vec<LogFile>,
    /// Units whose journal is followed.
    pub journald: Vec<Journald>,
    /// Prometheus exporters that are asked.
    pub scrape: Vec<Scrape>,
}

/// `[[intake.files]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// The file; it may rotate.
    pub path: PathBuf,
    /// The service that writes it.
    pub service: String,
}

/// `[[intake.journald]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journald {
    /// The systemd unit; the whole journal if it is not given.
    #[serde(default)]
    pub unit: Option<String>,
    /// The service that it is.
    pub service: String,
}

/// `[[intake.scrape]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scrape {
    /// Where the exporter answers, without TLS: `http://127.0.0.1:9100/metrics`.
    pub url: String,
    /// The service that it exports; the address if it is not given.
    #[serde(default)]
    pub service: Option<String>,
    /// How often it is asked.
    #[serde(default = "default_every")]
    pub every: Span,
}

fn default_every() -> Span {
    Span::ms(15_000)
}

impl Default for Intake {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            enabled: true,
            grpc: loopback(4317),
            http: loopback(4318),
            tls_cert: None,
            tls_key: None,
            token_file: None,
            max_request: Size(16 << 20),
            max_unpacked: Size(64 << 20),
            concurrency: 32,
            queue: Size(64 << 20),
            spool: Size(256 << 20),
            sync: Span::ms(1_000),
            save: Span::ms(30_000),
            memory: Size(256 << 20),
            over_after: Span::ms(600_000),
            files: Vec::new(),
            journald: Vec::new(),
            scrape: Vec::new(),
        }
    }
}

/// What cannot be right, by key.
pub(super) fn check(intake: &Intake) -> Result<(), (&'static str, String)> {
    if intake.tls_cert.is_some() != intake.tls_key.is_some() {
        return Err((
            "intake.tls_cert",
            "and `intake.tls_key` belong together; give both or none".to_owned(),
        ));
    }
    let exposed = [intake.grpc, intake.http].iter().any(|addr| !addr.ip().is_loopback());
    if exposed && intake.token_file.is_none() {
        return Err((
            "intake.token_file",
            "is needed where others than this machine can send: put a long random word into a file of its own"
                .to_owned(),
        ));
    }
    for file in &intake.files {
        ServiceName::parse(file.service.clone())
            .map_err(|e| ("intake.files", format!("has a wrong `service`: {e}")))?;
        if !file.path.is_absolute() {
            return Err((
                "intake.files",
                format!("has `{}`; give an absolute path", file.path.display()),
            ));
        }
    }
    for unit in &intake.journald {
        ServiceName::parse(unit.service.clone())
            .map_err(|e| ("intake.journald", format!("has a wrong `service`: {e}")))?;
    }
    for target in &intake.scrape {
        if !target.url.starts_with("http://") || target.url.parse::<http::Uri>().is_err() {
            return Err((
                "intake.scrape",
                format!("has `{}`; give an address that begins with http://", target.url),
            ));
        }
    }
    if !(1..=4096).contains(&intake.concurrency) {
        return Err(("intake.concurrency", "must be from 1 to 4096".to_owned()));
    }
    if intake.max_request.0 == 0 || intake.max_unpacked.0 < intake.max_request.0 {
        return Err((
            "intake.max_unpacked",
            "must be at least `intake.max_request`, which must not be 0".to_owned(),
        ));
    }
    if intake.spool.0 < intake.max_unpacked.0.saturating_mul(2) {
        return Err((
            "intake.spool",
            "must be at least twice `intake.max_unpacked`, or one request could fill it".to_owned(),
        ));
    }
    Ok(())
}
