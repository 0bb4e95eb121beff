//! A PE's way into the job: connecting to PE 0, and the handshake.

use std::io::{self, Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use super::message::{self, MAX_REASON, Message};
use super::{BootstrapError, Rendezvous, hub, secret};
use crate::transport::wire;

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How a handshake can fail.
enum Failure {
    /// The connection was lost before PE 0 had shown itself: it may have had to make room. Worth another try.
    Early(io::Error),
    /// For good.
    Final(BootstrapError),
}

impl From<BootstrapError> for Failure {
    fn from(error: BootstrapError) -> Self {
        Self::Final(error)
    }
}

impl Rendezvous {
    /// Connects and proves itself until PE 0 welcomes everybody; returns the connection and the job's limit on silence.
    pub(super) fn enter(&self, deadline: Instant) -> Result<(TcpStream, Duration), BootstrapError> {
        let mut pause = Duration::from_millis(5);
        loop {
            let mut stream = self.connect(deadline)?;
            match self.prove(&mut stream, deadline) {
                Ok(pe_timeout) => return Ok((stream, pe_timeout)),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Early(error)) if Instant::now() + pause >= deadline => {
                    let why = format!("it ends every connection at once ({error})");
                    return Err(BootstrapError::NotOurs { addr: self.place(), why });
                }
                Err(Failure::Early(_)) => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn connect(&self, deadline: Instant) -> Result<TcpStream, BootstrapError> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(5);
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let attempt = (self.addr.as_str(), self.port).to_socket_addrs().and_then(|addrs| {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                for addr in addrs {
                    match TcpStream::connect_timeout(&addr, remaining) {
                        Ok(stream) => return Ok(stream),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            });
            match attempt {
                Ok(stream) => return Ok(stream),
                Err(source) if Instant::now() + pause >= deadline => {
                    return Err(BootstrapError::Connect {
                        addr: self.place(),
                        seconds: begun.elapsed().as_secs_f32(),
                        source,
                    });
                }
                // PE 0 may not be listening yet.
                Err(_) => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The PE's side of the handshake, up to the welcome; returns the job's limit on silence.
    fn prove(&self, stream: &mut TcpStream, deadline: Instant) -> Result<Duration, Failure> {
        let not_ours = |why: String| BootstrapError::NotOurs { addr: self.place(), why };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Failure::Early(error)
            }
            _ => Failure::Final(not_ours(error.to_string())),
        };
        let ours = secret::nonce().map_err(|error| not_ours(error.to_string()))?;
        stream.set_nodelay(true).map_err(failed)?;
        stream
            .write_all(&Message::Hello { version: message::VERSION, nonce: ours }.encode())
            .map_err(failed)?;
        let mut timely = Timely { stream, deadline };
        let (nonce, proof) = match receive(&mut timely, message::MAX_UNPROVEN + MAX_REASON).map_err(failed)? {
            Message::Challenge { nonce, proof } => (nonce, proof),
            Message::Abort(reason) => return Err(BootstrapError::Aborted(reason).into()),
            _ => return Err(not_ours("it does not answer a hello with a challenge".into()).into()),
        };
        if !self.secret.verify(&[b"rendezvous", &ours, &nonce], &proof) {
            return Err(not_ours(format!("it does not hold this PE's {}", secret::VARIABLE)).into());
        }
        let (rank, world) = (self.rank, self.world);
        let proof =
            self.secret.prove(&hub::join_parts(&nonce, &ours, &rank.to_le_bytes(), &world.to_le_bytes()));
        timely
            .stream
            .write_all(&Message::Join { proof, rank, world, wire: wire::VERSION }.encode())
            .map_err(failed)?;
        match receive(&mut timely, message::MAX_UNPROVEN + MAX_REASON) {
            Ok(Message::Welcome { pe_timeout_ms }) => Ok(Duration::from_millis(pe_timeout_ms.into())),
            Ok(Message::Abort(reason)) => Err(BootstrapError::Aborted(reason).into()),
            Ok(_) => Err(not_ours("it does not keep to the protocol".into()).into()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let reason = "PE 0 hangs or is cut off: it has not said whether all PEs have joined";
                Err(BootstrapError::Aborted(reason.into()).into())
            }
            Err(error) => {
                let reason = format!("PE 0 gave up before all PEs had joined: {error}");
                Err(BootstrapError::Aborted(reason).into())
            }
        }
    }
}

/// A stream all of whose reads together end at a deadline, however slowly the other side drips.
struct Timely<'a> {
    stream: &'a mut TcpStream,
    deadline: Instant,
}

impl Read for Timely<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

/// Reads one message of at most `limit` bytes.
pub(super) fn receive(stream: &mut impl Read, limit: usize) -> io::Result<Message> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let mut body = vec![0; message::check_len(len, limit)?];
    stream.read_exact(&mut body)?;
    Message::decode(&body)
}
