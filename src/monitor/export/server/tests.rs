//! The server alone, on loopback: TLS, passwords, and how it ends.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::mpsc;

use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};

use super::*;

/// A server that answers with its format's name.
fn server(tls: Option<Tls>, auth: Option<Auth>) -> (Server, mpsc::Receiver<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (tell, ended) = mpsc::channel();
    let config = Config { listener, tls, auth, max_connections: 8 };
    let ask = |scrape: Scrape| drop(scrape.answer.send(Bytes::from(format!("{:?}", scrape.format))));
    let server = Server::start(config, ask, move || tell.send(()).unwrap()).unwrap();
    (server, ended)
}

fn stream(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// What comes back for `/metrics` with these fields.
fn get(mut stream: impl std::io::Read + std::io::Write, fields: &str) -> std::io::Result<String> {
    stream.write_all(format!("GET /metrics HTTP/1.0\r\n{fields}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    // Who closes a TLS connection without saying so is an error here, and none of these do.
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8(answer).unwrap())
}

/// A new certificate for 127.0.0.1 and its key, in the files.
fn certify(cert: &Path, key: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(key, made.signing_key.serialize_pem()).unwrap();
    fs::write(cert, made.cert.pem()).unwrap();
    made.cert.der().clone()
}

fn trusting(server: &Server, cert: CertificateDer<'static>) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(cert).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream(server))
}

fn stop(server: Server, ended: &mpsc::Receiver<()>) {
    server.stop();
    ended.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(server.join());
}

#[test]
fn tls_serves_who_trusts_it_and_takes_a_renewed_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let first = certify(&cert, &key);
    let (tell, told) = mpsc::channel();
    let tls =
        Tls::load(cert.clone(), key.clone()).unwrap().on_error(move |e| tell.send(e.to_string()).unwrap());
    let (server, ended) = server(Some(tls), None);
    assert!(get(trusting(&server, first.clone()), "").unwrap().ends_with("\r\n\r\nPrometheus"));
    // Plain HTTP is no handshake, and gets an alert or an end.
    assert!(!get(stream(&server), "").is_ok_and(|answer| answer.contains("200")));
    // Half a renewal changes nothing.
    let half = fs::read(&key).unwrap();
    certify(&cert, &key);
    fs::write(&key, &half[..half.len() / 2]).unwrap();
    for _ in 0..3 {
        assert!(get(trusting(&server, first.clone()), "").is_ok());
    }
    let told: Vec<_> = told.try_iter().collect();
    assert!(matches!(&told[..], [once] if once.contains("cannot read the key")), "{told:?}");
    let second = certify(&cert, &key);
    assert!(get(trusting(&server, second), "").unwrap().ends_with("\r\n\r\nPrometheus"));
    assert!(get(trusting(&server, first), "").is_err(), "the old one is not served any more");
    stop(server, &ended);
}

#[test]
fn a_certificate_that_cannot_be_used_is_said_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key, other) =
        (dir.path().join("cert.pem"), dir.path().join("key.pem"), dir.path().join("other.pem"));
    certify(&dir.path().join("other-cert.pem"), &other);
    certify(&cert, &key);
    let told = |cert: &Path, key: &Path| Tls::load(cert.to_owned(), key.to_owned()).unwrap_err().to_string();
    assert!(told(&dir.path().join("absent"), &key).contains("cannot read the certificate"));
    assert!(told(&cert, &cert).contains("cannot read the key"));
    assert!(told(&cert, &other).contains("cannot use certificate and key"));
}

#[test]
fn a_password_is_asked_for_and_healthz_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    fs::write(&users, format!("ana:{}\n", bcrypt::hash("secret", 4).unwrap())).unwrap();
    let (server, ended) = server(None, Some(Auth::load(&users).unwrap()));
    let with = |fields: &str| get(stream(&server), fields).unwrap();
    let refused = with("");
    assert!(refused.starts_with("HTTP/1.0 401") && refused.contains("www-authenticate: Basic"), "{refused}");
    // Who was not let in keeps no connection.
    assert!(with("Connection: keep-alive\r\n").contains("connection: close"));
    // ana:wrong, ana:secret
    assert!(with("Authorization: Basic YW5hOndyb25n\r\n").starts_with("HTTP/1.0 401"));
    assert!(with("Authorization: Basic YW5hOnNlY3JldA==\r\n").starts_with("HTTP/1.0 200"));
    let mut health = stream(&server);
    health.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    health.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
    stop(server, &ended);
}

#[test]
fn an_end_waits_for_nobody_who_is_silent() {
    let (server, ended) = server(None, None);
    let mut silent = stream(&server);
    silent.write_all(b"GET /metr").unwrap();
    let mut idle = stream(&server);
    idle.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 8]).unwrap();
    stop(server, &ended);
}

#[test]
fn formats_are_negotiated_and_long_heads_refused() {
    let (server, ended) = server(None, None);
    let open = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let answer = get(stream(&server), open).unwrap();
    assert!(
        answer.contains("application/openmetrics-text; version=1.0.0") && answer.ends_with("OpenMetrics")
    );
    let long = format!("X: {}\r\n", "x".repeat(100_000));
    assert!(!get(stream(&server), &long).is_ok_and(|answer| answer.starts_with("HTTP/1.0 200")));
    let many = "X: y\r\n".repeat(1000);
    assert!(!get(stream(&server), &many).is_ok_and(|answer| answer.starts_with("HTTP/1.0 200")));
    stop(server, &ended);
}
