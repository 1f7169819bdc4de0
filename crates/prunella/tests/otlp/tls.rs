//! The intake behind TLS: certificates of this moment, clients that trust them or others, both ports, the token inside.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioExecutor;
use prunella::config;
use prunella::ingest::Intake;
use prunella_core::id::ServiceName;

use crate::intake::{LOGS, client, request, settings, start_in};

/// A certificate of this moment, and the settings of an intake that shows it.
fn certified(dir: &Path) -> (rustls_pki_types::CertificateDer<'static>, config::Intake) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let settings = config::Intake {
        tls_cert: Some("cert.pem".into()),
        tls_key: Some("key.pem".into()),
        token_file: Some("token".into()),
        ..settings()
    };
    (made.cert.der().clone(), settings)
}

/// A request over TLS, by a client that trusts this certificate alone; what it was answered, with the trailers.
async fn secured(
    addr: SocketAddr,
    trusted: &rustls_pki_types::CertificateDer<'static>,
    version: Version,
    request: Request<Full<Bytes>>,
) -> Result<(u16, http::HeaderMap), String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut settings = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let is_two = version == Version::HTTP_2;
    settings.alpn_protocols = vec![if is_two { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(std::sync::Arc::new(settings))
        .connect(name, stream)
        .await
        .map_err(|e| e.to_string())?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let mut tasks = tokio::task::JoinSet::new();
    let response = if is_two {
        let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
        let (mut sender, connection) = shaken.map_err(|e| e.to_string())?;
        tasks.spawn(async move { drop(connection.await) });
        sender.send_request(request).await
    } else {
        let shaken = hyper::client::conn::http1::handshake(io).await;
        let (mut sender, connection) = shaken.map_err(|e| e.to_string())?;
        tasks.spawn(async move { drop(connection.await) });
        sender.send_request(request).await
    };
    let response = response.map_err(|e| e.to_string())?;
    let (status, mut head) = (response.status().as_u16(), response.headers().clone());
    let all = response.into_body().collect().await.map_err(|e| e.to_string())?;
    head.extend(all.trailers().cloned().unwrap_or_default());
    Ok((status, head))
}

#[tokio::test]
async fn tls_with_a_token_on_both_ports() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "secret-word\n").unwrap();
    let (cert, settings) = certified(dir.path());
    let (intake, _found) = start_in(dir.path(), &settings).await;
    let (grpc, http) = (intake.listens()[0], intake.listens()[1]);
    let over_http = |token: &str| {
        Request::post("/v1/logs")
            .header("host", "localhost")
            .header("content-type", "application/x-protobuf")
            .header("authorization", token)
            .body(Full::new(Bytes::from(request(2))))
            .unwrap()
    };
    let right = "Bearer secret-word";
    let ok = secured(http, &cert, Version::HTTP_11, over_http(right)).await.unwrap();
    assert_eq!(ok.0, 200);
    let no = secured(http, &cert, Version::HTTP_11, over_http("Bearer other")).await;
    assert_eq!(no.unwrap().0, 401);
    let message = request(3);
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(&message);
    let call = Request::post(format!("https://localhost{LOGS}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", right)
        .body(Full::new(Bytes::from(framed)))
        .unwrap();
    let (status, head) = secured(grpc, &cert, Version::HTTP_2, call).await.unwrap();
    assert_eq!((status, head["grpc-status"].to_str().unwrap()), (200, "0"));
    assert_eq!(intake.status().logs, 5);

    // Who trusts another certificate says nothing, and who speaks without TLS is not understood.
    let (other, _) = certified(tempfile::tempdir().unwrap().path());
    let refused = secured(http, &other, Version::HTTP_11, over_http(right)).await;
    assert!(refused.unwrap_err().contains("certificate"));
    let plain = Request::post(format!("http://{http}/v1/logs")).body(Full::new(Bytes::from(request(1))));
    assert!(client(Version::HTTP_11).request(plain.unwrap()).await.is_err());
    assert_eq!(intake.status().logs, 5);

    let endpoint = intake.endpoint().unwrap();
    assert_eq!(endpoint.url, format!("https://localhost:{}", http.port()));
    assert_eq!(
        endpoint.certificate.as_deref(),
        Some(dir.path().join("cert.pem").as_path())
    );
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named_and_its_key_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (_, settings) = certified(dir.path());
    std::fs::write(dir.path().join("token"), "secret-word\n").unwrap();
    let key = std::fs::read_to_string(dir.path().join("key.pem")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let service = || ServiceName::parse("shop").unwrap();
    let broken = [
        ("cert.pem", String::new(), "`intake.tls_cert`"),
        ("key.pem", key.replace("PRIVATE", "PUBLIC"), "`intake.tls_key`"),
        ("key.pem", key.replacen("MI", "!!", 1), "`intake.tls_key`"),
    ];
    for (file, text, named) in broken {
        let before = std::fs::read(dir.path().join(file)).unwrap();
        std::fs::write(dir.path().join(file), text).unwrap();
        let started = Intake::start(&dir.path().join("intake"), service(), &settings, dir.path()).await;
        let error = started.expect_err("it cannot start").to_string();
        assert!(error.contains(named) && error.contains(file), "{error}");
        assert!(!error.contains(secret), "{error}");
        std::fs::write(dir.path().join(file), before).unwrap();
    }
}
