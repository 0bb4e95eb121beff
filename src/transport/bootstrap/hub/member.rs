//! The rendezvous' end of one PE's connection: passes on what the PE says and what it is told, and notices when
//! nothing comes any more.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::{Event, Joining};
use crate::transport::bootstrap::message::{self, Message};
use crate::transport::silence::Silence;

/// An encoded message, for one PE or for many.
pub(super) type Bytes = Arc<Vec<u8>>;

/// What holds for every connection of the job.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// Silence after which a PE counts as hung; zero: never.
    pub(super) pe_timeout: Duration,
    /// Set with the welcome: from then on PEs send signs of life.
    pub(super) begun: Arc<AtomicBool>,
    /// The rendezvous' own sign of life, now and then a new one.
    pub(super) pulse: watch::Receiver<Bytes>,
}

/// Why nothing more comes from a PE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Loss {
    /// Its connection closed.
    Closed,
    /// Nothing came for this long.
    Silent(Duration),
    /// It does not keep to the protocol, or the connection broke.
    Broken(String),
}

impl From<io::Error> for Loss {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// A connection that has proved to hold the secret.
pub(super) struct Member {
    pub(super) stream: TcpStream,
    pub(super) rank: u32,
    pub(super) world: u32,
    pub(super) wire: u16,
}

impl Member {
    /// Registers with the hub, then passes on what the PE says until it leaves.
    pub(super) async fn serve(
        self,
        connection: u64,
        from: SocketAddr,
        events: mpsc::Sender<Event>,
        terms: Terms,
    ) {
        let Self { stream, rank, world, wire } = self;
        let (reader, writer) = stream.into_split();
        let (outbox, queue) = mpsc::unbounded_channel();
        let joining = Joining { connection, rank, world, wire, from, outbox };
        if events.send(Event::Joined(joining)).await.is_err() {
            return;
        }
        let writing = tokio::spawn(write(writer, queue, terms.pulse.clone()));
        let mut ear = Ear::new(reader, &terms);
        loop {
            let event = match ear.message().await {
                // That it came is what counts.
                Ok(Message::Pulse(_)) => continue,
                Ok(message) => Event::Said { connection, rank, message },
                Err(loss) => {
                    let _ = events.send(Event::Lost { connection, rank, loss }).await;
                    break;
                }
            };
            if events.send(event).await.is_err() {
                break;
            }
        }
        let _ = writing.await;
    }
}

/// Writes what the hub has for the PE and, once it has been welcomed, signs of life.
async fn write(
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    mut pulse: watch::Receiver<Bytes>,
) {
    let mut welcomed = false;
    loop {
        let bytes = tokio::select! {
            biased;
            message = queue.recv() => match message {
                Some(bytes) => bytes,
                None => break,
            },
            Ok(()) = pulse.changed(), if welcomed => Arc::clone(&pulse.borrow_and_update()),
        };
        // The first word is the welcome, or the last.
        welcomed = true;
        if writer.write_all(&bytes).await.is_err() {
            break;
        }
    }
    let _ = writer.shutdown().await;
}

/// Reads a PE's messages, and minds how long nothing comes.
struct Ear {
    reader: OwnedReadHalf,
    silence: Silence,
    beat: Duration,
    begun: Arc<AtomicBool>,
}

impl Ear {
    fn new(reader: OwnedReadHalf, terms: &Terms) -> Self {
        Self {
            reader,
            silence: Silence::new(terms.pe_timeout, Instant::now()),
            beat: Silence::beat(terms.pe_timeout),
            begun: Arc::clone(&terms.begun),
        }
    }

    async fn message(&mut self) -> Result<Message, Loss> {
        let mut len = [0; 4];
        self.fill(&mut len).await?;
        let mut body = vec![0; message::check_len(len, message::MAX_CONTRIBUTION + 1)?];
        self.fill(&mut body).await?;
        Ok(Message::decode(&body)?)
    }

    /// As `read_exact`; every byte that comes is a sign of life.
    async fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), Loss> {
        while !buffer.is_empty() {
            match timeout(self.beat, self.reader.read(buffer)).await {
                Ok(Ok(0)) => return Err(Loss::Closed),
                Ok(Ok(read)) => {
                    self.silence.broken(Instant::now());
                    buffer = buffer.get_mut(read..).unwrap_or_default();
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) if !self.begun.load(Ordering::Relaxed) => self.silence.broken(Instant::now()),
                Err(_) => {
                    if let Some(silent) = self.silence.look(Instant::now()) {
                        return Err(Loss::Silent(silent));
                    }
                }
            }
        }
        Ok(())
    }
}
