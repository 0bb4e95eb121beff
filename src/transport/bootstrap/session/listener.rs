//! What a PE hears from PE 0: results, bad news, signs of life, and for how long nothing at all.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::transport::absent::Absent;
use crate::transport::bootstrap::client::receive;
use crate::transport::bootstrap::message::{self, Message};
use crate::transport::fault::Fault;
use crate::transport::silence::Silence;

/// Listens on a connection whose reads end after a beat.
pub(super) struct Listener {
    pub(super) stream: TcpStream,
    pub(super) silence: Silence,
    pub(super) rank: u32,
    pub(super) world: u32,
    pub(super) pe_timeout: Duration,
    pub(super) results: Sender<Vec<Vec<u8>>>,
    pub(super) awaited: Arc<Mutex<Absent>>,
    pub(super) leaving: Arc<AtomicBool>,
    pub(super) fault: Fault,
}

impl Listener {
    /// Listens until the job has failed or this PE leaves.
    pub(super) fn run(mut self) {
        let reason = self.listen();
        if !self.leaving.load(Ordering::Acquire) {
            self.fault.raise(reason);
        }
    }

    /// Returns why there is nothing more to hear.
    fn listen(&mut self) -> String {
        loop {
            match receive(self, message::MAX_RESULT) {
                // PE 0 alone gets the parts of some exchanges.
                Ok(Message::Result(parts))
                    if parts.len() == self.world as usize || (parts.is_empty() && self.rank != 0) =>
                {
                    let _ = self.results.send(parts);
                }
                Ok(Message::Pulse(awaited)) => {
                    *self.awaited.lock().unwrap_or_else(PoisonError::into_inner) = awaited;
                }
                Ok(Message::Abort(text)) => return text,
                Ok(_) => return "PE 0 does not keep to the rendezvous' protocol".into(),
                Err(error) => match error.kind() {
                    io::ErrorKind::UnexpectedEof => return "PE 0 left the job: its connection closed".into(),
                    io::ErrorKind::TimedOut => return error.to_string(),
                    _ => return format!("lost PE 0: {error}"),
                },
            }
        }
    }
}

impl Read for Listener {
    /// Waits for bytes for as long as PE 0 may be silent; every byte that comes is a sign of life.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Ok(read) => {
                    self.silence.broken(Instant::now());
                    return Ok(read);
                }
                // Linux says WouldBlock when the time of a read is over; ETIMEDOUT is the connection's end.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(io::Error::other(error.to_string()));
                }
                Err(error) => return Err(error),
            }
            if let Some(silent) = self.silence.look(Instant::now()) {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!(
                        "PE 0 hangs or is cut off: PE {} heard nothing from it for {:.1} s (--pe-timeout is {} s)",
                        self.rank,
                        silent.as_secs_f32(),
                        self.pe_timeout.as_secs_f32()
                    ),
                ));
            }
        }
    }
}
