//! TLS towards clients: rustls with the ring provider, ALPN for HTTP/2 and HTTP/1.1.

use crate::args::{GatewayError, TlsFiles};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Reads certificate and key. No part of the key gets into an error.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, GatewayError> {
    let bad = |what: &str, reason: String| GatewayError::Tls(format!("{what}: {reason}"));
    let (cert, key) = (files.cert.display().to_string(), files.key.display().to_string());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .map_err(|e| bad(&cert, e.to_string()))?;
    if chain.is_empty() {
        return Err(bad(&cert, "holds no certificate".into()));
    }
    let key_der = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| bad(&key, e.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|b| b.with_no_client_auth().with_single_cert(chain, key_der))
        .map_err(|e| bad("certificate and key", e.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
