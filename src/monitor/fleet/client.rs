//! One node's exporter over HTTP: a connection that is kept, a page at a time.
//!
//! What answers is not trusted: how long it may take and how much it may send is bounded, redirects are not followed, and
//! nothing of its text is shown but through [`printable`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::lookup::{Failed, Lookup};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::target::Target;
use crate::text::printable;

/// The longest page. That of 64 PEs with 32 NICs each is 4 MB.
pub const MAX_PAGE: usize = 8 << 20;
/// The largest head of an answer, and most header fields in it.
const MAX_HEAD: usize = 16 << 10;
const MAX_FIELDS: usize = 64;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The name stands for no address.
    #[error("no such host: {0}")]
    Name(String),
    /// Nobody has said yet what the name stands for.
    #[error("its name was not looked up within {0:?}")]
    LookUp(Duration),
    /// Nobody listens there, or there is no way there.
    #[error("{0}")]
    Connect(String),
    /// TLS failed.
    #[error("TLS: {0}")]
    Tls(String),
    /// It is no HTTP, or broke off.
    #[error("no HTTP: {0}")]
    Http(String),
    /// The exporter wants a password, or another one.
    #[error("it wants user and password, or others than those given: --remote-auth FILE")]
    Unauthorized,
    /// Another status.
    #[error("HTTP status {0}")]
    Status(u16),
    /// A page that does not end.
    #[error("the page is longer than {} MiB", MAX_PAGE >> 20)]
    TooLong,
    /// Bytes that are no text.
    #[error("the page is no text")]
    NoText,
    /// It took too long, headers and body together.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The password would be readable on the way.
    #[error("a password is sent over https only, or to this machine; write https://{0}")]
    PlainPassword(String),
}

/// How all nodes are asked.
#[derive(Clone, Default)]
pub struct Access {
    /// For `https`.
    pub tls: Option<TlsConnector>,
    /// The header of basic authentication.
    pub authorization: Option<HeaderValue>,
}

impl std::fmt::Debug for Access {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("authorization", &self.authorization.is_some()).finish_non_exhaustive()
    }
}

/// A node's connection, where there is one.
#[derive(Debug)]
pub struct Client {
    target: Arc<Target>,
    access: Arc<Access>,
    open: Option<Open>,
    lookup: Lookup,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<Empty<Bytes>>,
    /// Moves the connection on.
    driver: AbortHandle,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(target: Arc<Target>, access: Arc<Access>) -> Self {
        let lookup = Lookup::new(&target.host, target.port);
        Self { target, access, open: None, lookup }
    }

    /// Gets the page, within `limit`.
    ///
    /// Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn fetch(&mut self, limit: Duration) -> Result<String, FetchError> {
        let got = tokio::time::timeout(limit, self.get()).await.unwrap_or_else(|_| {
            Err(if self.lookup.is_open() { FetchError::LookUp(limit) } else { FetchError::Late(limit) })
        });
        if got.is_err() {
            // In what state it is nobody knows.
            self.open = None;
        }
        got
    }

    async fn get(&mut self) -> Result<String, FetchError> {
        if self.access.authorization.is_some() && !self.target.tls && !self.target.is_local() {
            return Err(FetchError::PlainPassword(self.target.authority()));
        }
        // One that the exporter has closed since is no failure.
        if self.open.as_ref().is_some_and(|open| open.sender.is_closed()) {
            self.open = None;
        }
        let kept = self.open.is_some();
        match self.ask().await {
            Err(FetchError::Http(_)) if kept => {
                self.open = None;
                self.ask().await
            }
            answer => answer,
        }
    }

    async fn ask(&mut self) -> Result<String, FetchError> {
        if self.open.is_none() {
            self.open = Some(self.connect().await?);
        }
        let Some(open) = &mut self.open else { return Err(FetchError::Http("no connection".to_owned())) };
        let http = |error: hyper::Error| FetchError::Http(chain(&error));
        open.sender.ready().await.map_err(http)?;
        let mut request = Request::get(self.target.path.as_str())
            .header(HOST, self.target.authority())
            .header(ACCEPT, "text/plain;version=0.0.4")
            .header(USER_AGENT, concat!("railtop/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.access.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::new()).map_err(|error| FetchError::Http(error.to_string()))?;
        let answer = open.sender.send_request(request).await.map_err(http)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(FetchError::Unauthorized),
            status => return Err(FetchError::Status(status.as_u16())),
        }
        let mut body = answer.into_body();
        let mut page = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(http)?.into_data() else { continue };
            if page.len() + data.len() > MAX_PAGE {
                return Err(FetchError::TooLong);
            }
            page.extend_from_slice(&data);
        }
        String::from_utf8(page).map_err(|_| FetchError::NoText)
    }

    async fn connect(&mut self) -> Result<Open, FetchError> {
        let stream = self.dial().await?;
        // A name, be it this machine's own, stands for what somebody else says.
        let stays_here = stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
        if self.access.authorization.is_some() && !self.target.tls && !stays_here {
            return Err(FetchError::PlainPassword(self.target.authority()));
        }
        let _slower = stream.set_nodelay(true);
        if !self.target.tls {
            return handshake(stream).await;
        }
        let wrong = |error: &dyn std::fmt::Display| FetchError::Tls(printable(&error.to_string()));
        let Some(tls) = &self.access.tls else { return Err(wrong(&"it is not set up")) };
        let name = ServerName::try_from(self.target.host.clone()).map_err(|error| wrong(&error))?;
        handshake(tls.connect(name, stream).await.map_err(|error| wrong(&error))?).await
    }

    async fn dial(&mut self) -> Result<TcpStream, FetchError> {
        let (addresses, is_old) = self.lookup.addresses().await?;
        match connect_to(&addresses).await {
            // What the name stood for may be somebody else's by now.
            Err(_) if is_old && self.lookup.forget() => {
                let (addresses, _) = self.lookup.addresses().await?;
                connect_to(&addresses).await
            }
            stream => stream,
        }
    }
}

async fn connect_to(addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    TcpStream::connect(addresses).await.map_err(|error| FetchError::Connect(reason(&error)))
}

impl From<Failed> for FetchError {
    fn from(Failed(why): Failed) -> Self {
        // What the standard library puts before the C library's words.
        let why = why.strip_prefix("failed to lookup address information: ").unwrap_or(&why);
        Self::Name(printable(why))
    }
}

/// What a connection's error means, without the system's number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        io::ErrorKind::InvalidInput => "the name stands for no address".to_owned(),
        _ => printable(&error.to_string()),
    }
}

async fn handshake<S>(stream: S) -> Result<Open, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD.max(8192)).max_headers(MAX_FIELDS);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| FetchError::Http(chain(&error)))?;
    // Its errors are those of the request.
    let driver = tokio::task::spawn_local(async move { drop(connection.await) }).abort_handle();
    Ok(Open { sender, driver })
}

/// The error with its cause: hyper tells the kind alone.
fn chain(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    printable(&format!("{error}{cause}"))
}

#[cfg(test)]
mod tests {
    use super::super::target::{Via, parse};
    use super::*;

    #[test]
    fn a_slow_name_server_is_said_and_its_late_answer_used() {
        let target = Arc::new(parse("slow.example:1", &Via::Http).unwrap().remove(0));
        let mut client = Client::new(target, Arc::default());
        let (answer, answers) = std::sync::mpsc::channel::<()>();
        let answers = std::sync::Mutex::new(answers);
        client.lookup = Lookup::with(
            "slow.example",
            1,
            Arc::new(move |_, port| {
                let _answered = answers.lock().unwrap().recv();
                Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
            }),
        );
        let runtime = super::super::runtime().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let limit = Duration::from_millis(30);
            for _ in 0..3 {
                let error = client.fetch(limit).await.unwrap_err().to_string();
                assert_eq!(error, "its name was not looked up within 30ms");
            }
            answer.send(()).unwrap();
            // Nobody listens at port 1.
            let error = client.fetch(Duration::from_secs(20)).await.unwrap_err().to_string();
            assert_eq!(error, "connection refused");
        });
        drop(answer);
    }
}
