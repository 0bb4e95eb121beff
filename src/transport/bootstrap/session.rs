//! A PE's place in a job that has come together: exchanges, bad news, and signs of life in both directions.
//!
//! Two threads serve the connection to PE 0, whatever the calling thread does: one speaks (what it is given, and a sign
//! of life when there is nothing), one listens. So a PE whose program computes for an hour is alive to the others, and
//! one whose process or node stands still is not.

mod listener;
mod speaker;

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::BootstrapError;
use super::message::{Audience, MAX_CONTRIBUTION, Message};
use crate::transport::absent::Absent;
use crate::transport::fault::Fault;
use crate::transport::silence::Silence;
use listener::Listener;

/// How long PE 0 waits for the others to leave.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// How long the last word may take.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);

/// Longest sleep of a waiter before it looks whether the job has failed.
const SLICE: Duration = Duration::from_millis(50);

/// A PE's place in a job that has come together.
#[derive(Debug)]
pub struct Session {
    rank: u32,
    world: u32,
    link: Option<Link>,
    fault: Fault,
}

/// The connection to PE 0.
#[derive(Debug)]
struct Link {
    stream: TcpStream,
    /// To the speaker; `None` only while leaving.
    outgoing: Option<mpsc::Sender<Message>>,
    results: Mutex<mpsc::Receiver<Vec<Vec<u8>>>>,
    /// Whom the present exchange waits for, as PE 0 said last.
    awaited: Arc<Mutex<Absent>>,
    leaving: Arc<AtomicBool>,
    speaker: Option<JoinHandle<()>>,
    listener: Option<JoinHandle<()>>,
    hub: Option<JoinHandle<()>>,
}

impl Session {
    /// A job of one PE.
    #[must_use]
    pub fn alone(fault: Fault) -> Self {
        Self { rank: 0, world: 1, link: None, fault }
    }

    pub(super) fn start(
        stream: TcpStream,
        rank: u32,
        world: u32,
        pe_timeout: Duration,
        fault: Fault,
        hub: Option<JoinHandle<()>>,
    ) -> io::Result<Self> {
        let beat = Silence::beat(pe_timeout);
        stream.set_read_timeout(Some(beat))?;
        let (reading, writing) = (stream.try_clone()?, stream.try_clone()?);
        let (outgoing, words) = mpsc::channel();
        let (sender, results) = mpsc::channel();
        let (leaving, awaited) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
        let listener = Listener {
            stream: reading,
            silence: Silence::new(pe_timeout, Instant::now()),
            rank,
            world,
            pe_timeout,
            results: sender,
            awaited: Arc::clone(&awaited),
            leaving: Arc::clone(&leaving),
            fault: fault.clone(),
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        let speaker = thread("rendezvous-out").spawn(move || speaker::run(writing, &words, beat))?;
        let listener = thread("rendezvous-in").spawn(move || listener.run())?;
        let link = Link {
            stream,
            outgoing: Some(outgoing),
            results: Mutex::new(results),
            awaited,
            leaving,
            speaker: Some(speaker),
            listener: Some(listener),
            hub,
        };
        Ok(Self { rank, world, link: Some(link), fault })
    }

    /// This PE's number.
    #[must_use]
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// PEs in the job.
    #[must_use]
    pub fn world(&self) -> u32 {
        self.world
    }

    /// Gives everyone everyone's bytes, by rank. Every PE must call it the same number of times.
    ///
    /// # Errors
    /// When they are too long to be sent, the job was given up, or an exchange takes longer than `limit`.
    pub fn allgather(&self, bytes: &[u8], limit: Duration) -> Result<Vec<Vec<u8>>, BootstrapError> {
        self.exchange(bytes, Audience::All, limit)
    }

    /// Gives PE 0 everyone's bytes, by rank; the others get `None` once it has been sent them. Every PE must call it
    /// the same number of times.
    ///
    /// # Errors
    /// As [`Self::allgather`].
    pub fn gather(&self, bytes: &[u8], limit: Duration) -> Result<Option<Vec<Vec<u8>>>, BootstrapError> {
        let parts = self.exchange(bytes, Audience::First, limit)?;
        Ok((self.rank == 0).then_some(parts))
    }

    fn exchange(
        &self,
        bytes: &[u8],
        audience: Audience,
        limit: Duration,
    ) -> Result<Vec<Vec<u8>>, BootstrapError> {
        // PE 0 would take one that says more for a PE that keeps to no protocol.
        if bytes.len() > MAX_CONTRIBUTION {
            return Err(BootstrapError::TooLong { bytes: bytes.len(), most: MAX_CONTRIBUTION });
        }
        let Some(link) = &self.link else {
            return Ok(vec![bytes.to_vec()]);
        };
        self.say(link, Message::Contribution { audience, bytes: bytes.to_vec() })?;
        let results = link.results.lock().unwrap_or_else(PoisonError::into_inner);
        let mut silence = Silence::new(limit, Instant::now());
        loop {
            // A result that has arrived counts, whatever has gone wrong since.
            if let Ok(parts) = results.try_recv() {
                return Ok(parts);
            }
            if let Some(reason) = self.fault.reason() {
                return Err(BootstrapError::Aborted(reason.to_owned()));
            }
            match results.recv_timeout(SLICE.min(Silence::beat(limit))) {
                Ok(parts) => return Ok(parts),
                Err(RecvTimeoutError::Timeout) => {
                    if silence.look(Instant::now()).is_some() {
                        let waiting_for = link.awaited.lock().unwrap_or_else(PoisonError::into_inner).clone();
                        return Err(BootstrapError::Timeout { limit, waiting_for });
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.lost()),
            }
        }
    }

    fn say(&self, link: &Link, message: Message) -> Result<(), BootstrapError> {
        let outgoing = link.outgoing.as_ref().ok_or_else(|| self.lost())?;
        outgoing.send(message).map_err(|_| self.lost())
    }

    fn lost(&self) -> BootstrapError {
        // The listener knows why, or will in a moment.
        self.fault.await_reason(FAREWELL_LIMIT);
        BootstrapError::Aborted(self.fault.reason().unwrap_or("lost PE 0").to_owned())
    }

    /// Tells every PE that the job cannot go on.
    pub fn abort(&self, reason: &str) {
        self.fault.raise(reason);
        if let Some(link) = &self.link {
            let _ = self.say(link, Message::Abort(reason.to_owned()));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        link.leaving.store(true, Ordering::Release);
        // A PE that leaves because the job failed says so, lest the others take it for a good end.
        let farewell = self.fault.reason().map_or(Message::Bye, |reason| Message::Abort(reason.to_owned()));
        if let Some(outgoing) = link.outgoing.take() {
            let _ = outgoing.send(farewell);
        }
        // With nobody left to give it words, the speaker says its last one, closes its side and ends.
        if let Some(speaker) = link.speaker.take() {
            join_within(speaker, FAREWELL_LIMIT);
        }
        // The hub of a job that hangs may never answer; a listener must not hold us.
        if self.rank != 0 {
            let _ = link.stream.shutdown(Shutdown::Read);
        }
        if let Some(hub) = link.hub.take() {
            // The others leave at about the same time. One that hangs must not hold us; the hub's thread ends with us.
            join_within(hub, LEAVE_LIMIT);
        }
        let _ = link.stream.shutdown(Shutdown::Both);
        if let Some(listener) = link.listener.take() {
            let _ = listener.join();
        }
    }
}

/// Waits for a thread, but not for ever.
fn join_within(thread: JoinHandle<()>, limit: Duration) {
    let deadline = Instant::now() + limit;
    while !thread.is_finished() {
        if Instant::now() >= deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = thread.join();
}
