//! A client as small as can be: one request, one answer, over a connection of its own.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Only a test that has failed waits so long.
const LIMIT: Duration = Duration::from_secs(180);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// Header fields as they came.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Reads what was sent until the end of the connection.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        Self { code, head: head.to_owned(), body: body.to_owned() }
    }

    /// The value of the series that is written like this.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        let lines = self.body.lines();
        lines.filter_map(|line| line.rsplit_once(' ')).find(|(name, _)| *name == series)?.1.parse().ok()
    }
}

/// A connection, with time limits.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
    stream.set_write_timeout(Some(LIMIT)).expect("a time limit");
    stream
}

/// Sends this and reads until the other side closes.
pub(crate) fn exchange(address: SocketAddr, request: &str) -> io::Result<Answer> {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(Answer::parse(&answer))
}

/// GET with these header fields, each ended by CRLF. As HTTP/1.0: no server sends it chunks, and it closes after it.
pub(crate) fn get_with(address: SocketAddr, target: &str, fields: &str) -> Answer {
    exchange(address, &format!("GET {target} HTTP/1.0\r\n{fields}\r\n")).expect("an answer")
}

/// GET.
pub(crate) fn get(address: SocketAddr, target: &str) -> Answer {
    get_with(address, target, "")
}
