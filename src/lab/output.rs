//! Where the output of the PEs goes, and the thread that carries it there.
//!
//! It is a thread of its own so that a reader who has stopped reading (a pager) stops the PEs that
//! write, as in any pipe, but not the supervision of the run.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::address::Pe;
use super::lines::{LineBuffer, prefixed};
use super::stop::{Request, StopHandle};

/// Takes one line of a PE.
pub type LineFunction = Box<dyn FnMut(Pe, &[u8]) + Send>;

/// What to do with one of the two output streams of the PEs.
#[derive(Default)]
pub enum Output {
    /// To this process's own stream, line by line, unchanged.
    #[default]
    Passthrough,
    /// To this process's own stream, each line after `[pe 3 node1] `.
    Prefixed,
    /// Each line, without its newline, to a function; it is called from another thread.
    Lines(LineFunction),
    /// Away.
    Null,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passthrough => "Passthrough",
            Self::Prefixed => "Prefixed",
            Self::Lines(_) => "Lines",
            Self::Null => "Null",
        })
    }
}

/// Which of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// One stream of one PE.
pub(super) struct Source {
    pe: Pe,
    stream: Stream,
    file: File,
    buffer: LineBuffer,
}

impl Source {
    pub(super) fn new(pe: Pe, stream: Stream, fd: OwnedFd) -> Self {
        Self { pe, stream, file: File::from(fd), buffer: LineBuffer::default() }
    }
}

/// The thread.
pub(super) struct Pump {
    done: Receiver<()>,
}

impl Pump {
    /// Starts to carry the output of `sources`.
    pub(super) fn start(
        sources: Vec<Source>,
        stdout: Output,
        stderr: Output,
        stop: StopHandle,
    ) -> io::Result<Self> {
        let (sender, done) = mpsc::channel();
        let mut carrier = Carrier { sources, stdout, stderr, stop };
        std::thread::Builder::new().name("lab-output".to_owned()).spawn(move || {
            carrier.carry();
            // Nobody may be waiting any more.
            let _ = sender.send(());
        })?;
        Ok(Self { done })
    }

    /// Waits until everything is carried, but no longer than `limit`: a process that escaped the lab
    /// may hold a pipe open, or the reader of our output may have stopped.
    pub(super) fn finish(self, limit: Duration) {
        let _ = self.done.recv_timeout(limit);
    }
}

struct Carrier {
    sources: Vec<Source>,
    stdout: Output,
    stderr: Output,
    stop: StopHandle,
}

impl Carrier {
    fn carry(&mut self) {
        let mut bytes = vec![0; 64 << 10];
        while !self.sources.is_empty() {
            let mut polled: Vec<_> = self
                .sources
                .iter()
                .map(|source| PollFd::new(source.file.as_fd(), PollFlags::POLLIN))
                .collect();
            if poll(&mut polled, PollTimeout::NONE).is_err() {
                continue;
            }
            let ready: Vec<bool> = polled.iter().map(|p| p.any().unwrap_or(true)).collect();
            let mut ready = ready.into_iter();
            let (stdout, stderr, stop) = (&mut self.stdout, &mut self.stderr, &self.stop);
            self.sources.retain_mut(|source| {
                if !ready.next().unwrap_or(false) {
                    return true;
                }
                let output = if source.stream == Stream::Stdout { &mut *stdout } else { &mut *stderr };
                let (pe, stream) = (source.pe, source.stream);
                let emit = |lines: &[u8]| {
                    if deliver(output, stream, pe, lines).is_err() {
                        *output = Output::Null;
                        if stream == Stream::Stdout {
                            stop.request(Request::OutputClosed);
                        }
                    }
                };
                match source.file.read(&mut bytes) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
                    Ok(0) | Err(_) => {
                        source.buffer.finish(emit);
                        false
                    }
                    Ok(length) => {
                        source.buffer.feed(&bytes[..length], emit);
                        true
                    }
                }
            });
        }
    }
}

/// Writes whole lines of one PE.
fn deliver(output: &mut Output, stream: Stream, pe: Pe, lines: &[u8]) -> io::Result<()> {
    match output {
        Output::Passthrough => write(stream, lines),
        Output::Prefixed => write(stream, &prefixed(&format!("[pe {} node{}] ", pe.rank, pe.node), lines)),
        Output::Lines(function) => {
            let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
            lines.split(|&byte| byte == b'\n').for_each(|line| function(pe, line));
            Ok(())
        }
        Output::Null => Ok(()),
    }
}

fn write(stream: Stream, bytes: &[u8]) -> io::Result<()> {
    match stream {
        Stream::Stdout => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes).and_then(|()| stdout.flush())
        }
        Stream::Stderr => io::stderr().lock().write_all(bytes),
    }
}
