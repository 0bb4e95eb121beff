//! Reading a recording: an index of where things are, made in one pass, and ticks by their number after that.

use std::fs::File;
use std::io::{self, BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use prost::Message as _;

use super::decode::{Dictionary, Nonsense};
use super::encode::Tick;
use super::frame::{self, Fault, HEAD, Piece, START};
use super::names;
use super::wire::{self, kind};
use crate::monitor::log::Header;
use crate::monitor::model::view::SourceKind;
use crate::text::{shown_path, without_controls as text};

/// Why a recording, or a tick of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system says no.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Something else than a recording.
    #[error("{path} is {what}, not a recording of railtop")]
    NotARecording {
        /// Which file.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// A format that this version cannot read.
    #[error(
        "{path} is a recording in format {major}, made by a newer railtop; this one reads format {}. Use that version",
        frame::MAJOR
    )]
    Newer {
        /// Which file.
        path: String,
        /// Its format.
        major: u8,
    },
    /// Not one whole tick.
    #[error("{path} holds no tick{}", .damage.as_ref().map_or(String::new(), |d| format!(": {d}")))]
    Empty {
        /// Which file.
        path: String,
        /// What is there instead.
        damage: Option<Damage>,
    },
    /// A tick that is there makes no sense.
    #[error("tick {number} of {path}, at byte {offset}: {source}")]
    Tick {
        /// Which file.
        path: String,
        /// Counted from 1.
        number: usize,
        /// Where.
        offset: u64,
        /// Why.
        source: Nonsense,
    },
}

/// Bytes of the file that are not readable, and are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes at byte {offset} are left out, for {fault}")]
pub struct Damage {
    /// Where they begin.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    /// What is wrong with the first of them.
    pub fault: Fault,
}

/// One run of a recorder: what its first record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What its log would have said first.
    pub log: Header,
    /// The moment of `log.started_ns` on the monotonic clock.
    pub mono_ns: u64,
    /// The same on the clock that counts while the machine sleeps.
    pub boottime_ns: u64,
    /// The only source that was asked for.
    pub source: Option<SourceKind>,
    number: u64,
}

#[cfg(test)]
impl Session {
    pub(crate) fn new_for_test(host: &str, realtime_ns: i64, mono_ns: u64) -> Self {
        session(&wire::Header { host: host.to_owned(), realtime_ns, mono_ns, ..wire::Header::default() })
    }
}

/// A stretch of the file with definitions of its own.
#[derive(Debug)]
struct Part {
    session: usize,
    /// Where its definitions are: offset of the frame.
    definitions: Vec<u64>,
}

/// Where a tick is.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    realtime_ns: i64,
    part: u32,
}

/// A recording that can be read from any tick. Takes 24 bytes of memory per tick, whatever is in them.
#[derive(Debug)]
pub struct Recording {
    file: File,
    path: PathBuf,
    sessions: Vec<Session>,
    parts: Vec<Part>,
    ticks: Vec<Place>,
    damage: Vec<Damage>,
    /// Definitions of the part that was read last, as far as they lie before the tick.
    dictionary: Option<(u32, Dictionary)>,
}

/// Most stretches of damage that are told; of more, only the file's last part is worth anything anyway.
const MAX_DAMAGE: usize = 1000;

impl Recording {
    /// Opens a recording and finds its ticks. Damage is left out and told by [`damage`](Self::damage).
    ///
    /// # Errors
    /// When it cannot be read, is none, is of a newer format, or holds no tick.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let shown = shown_path(path);
        let failed = |source| ReadError::Io { path: shown.clone(), source };
        // Without O_NONBLOCK, opening a FIFO waits for somebody to write into it.
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)
            .map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        let not = |what| ReadError::NotARecording { path: shown.clone(), what };
        if meta.is_dir() {
            return Err(not("a directory"));
        }
        if !meta.is_file() {
            return Err(not("no regular file"));
        }
        if meta.len() == 0 {
            return Err(ReadError::Empty { path: shown, damage: None });
        }
        let mut recording = Self {
            file,
            path: path.to_owned(),
            sessions: Vec::new(),
            parts: Vec::new(),
            ticks: Vec::new(),
            damage: Vec::new(),
            dictionary: None,
        };
        let begins = recording.begins().map_err(failed)?;
        if !begins {
            return Err(not("another kind of file"));
        }
        if let Some(major) = recording.index(meta.len()).map_err(failed)? {
            return Err(ReadError::Newer { path: shown, major });
        }
        if recording.ticks.is_empty() {
            return Err(ReadError::Empty { path: shown, damage: recording.damage.first().copied() });
        }
        Ok(recording)
    }

    fn begins(&self) -> io::Result<bool> {
        let mut start = [0; frame::MAGIC.len()];
        let mut got = 0;
        while got < start.len() {
            match self.file.read_at(&mut start[got..], got as u64)? {
                0 => break,
                n => got += n,
            }
        }
        // A first write that was cut short still shows what it was.
        Ok(got > 0 && start[..got] == frame::MAGIC[..got])
    }

    /// Finds everything up to `length`, the file's when it was opened: it may still grow. Returns the version of a newer format.
    fn index(&mut self, length: u64) -> io::Result<Option<u8>> {
        let mut input = BufReader::with_capacity(1 << 16, self.file.try_clone()?);
        input.seek(SeekFrom::Start(0))?;
        let mut payload = Vec::new();
        let mut offset = 0;
        // Whether what comes belongs to the last of `parts`.
        let mut in_part = false;
        while offset < length {
            let fault = match frame::next(&mut input, &mut payload)? {
                Ok(Piece::End) => break,
                Ok(Piece::Start(major)) if major > frame::MAJOR => return Ok(Some(major)),
                Ok(Piece::Start(_)) => {
                    in_part = false;
                    offset += START as u64;
                    continue;
                }
                Ok(Piece::Frame(record)) => {
                    let taken = self.take(record, &payload, offset, &mut in_part);
                    offset += (HEAD + payload.len()) as u64;
                    if taken {
                        continue;
                    }
                    Fault::NoHeader
                }
                Err(fault) => fault,
            };
            // Go on at the next part, which needs nothing of what is damaged.
            let from = if fault == Fault::NoHeader { offset } else { offset + 1 };
            input.seek(SeekFrom::Start(from))?;
            let next = frame::skip_to_start(&mut input)?.map(|skipped| from + skipped);
            let begin =
                if fault == Fault::NoHeader { offset - (HEAD + payload.len()) as u64 } else { offset };
            let end = next.unwrap_or(length).max(begin);
            if self.damage.len() < MAX_DAMAGE {
                self.damage.push(Damage { offset: begin, bytes: end - begin, fault });
            }
            let Some(next) = next else { break };
            input.seek(SeekFrom::Start(next))?;
            offset = next;
            in_part = false;
        }
        Ok(None)
    }

    /// Notes a good frame; false when it cannot stand where it does.
    fn take(&mut self, record: u32, payload: &[u8], offset: u64, in_part: &mut bool) -> bool {
        if record == kind::HEADER && !*in_part {
            let Ok(header) = wire::Header::decode(payload) else { return false };
            let session = session(&header);
            if self.sessions.last().is_none_or(|last| last.number != session.number) {
                self.sessions.push(session);
            }
            self.parts.push(Part { session: self.sessions.len() - 1, definitions: Vec::new() });
            *in_part = true;
            return true;
        }
        let (Some(part), true) = (self.parts.last_mut(), *in_part) else { return false };
        match record {
            kind::TICK => {
                let Ok(time) = wire::TickTime::decode(payload) else { return false };
                let part = u32::try_from(self.parts.len() - 1).unwrap_or(u32::MAX);
                self.ticks.push(Place { offset, realtime_ns: time.realtime_ns, part });
            }
            kind::DESC.. => part.definitions.push(offset),
            _ => {}
        }
        true
    }

    /// Number of ticks; at least 1.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a recording without a tick is an error when it is opened"
    )]
    #[must_use]
    pub fn len(&self) -> usize {
        self.ticks.len()
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, to tell whether another one is the same.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What is left out since it cannot be read.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Wall clock of a tick in nanoseconds since 1970; that of the last one beyond the end.
    #[must_use]
    pub fn realtime_ns(&self, tick: usize) -> i128 {
        self.ticks.get(tick).or(self.ticks.last()).map_or(0, |place| place.realtime_ns.into())
    }

    /// Wall clock of every tick, nanoseconds since 1970.
    pub fn times(&self) -> impl Iterator<Item = i64> + '_ {
        self.ticks.iter().map(|place| place.realtime_ns)
    }

    /// Position of the run that a tick belongs to: rates go over no boundary between two.
    #[must_use]
    pub fn session_of(&self, tick: usize) -> usize {
        self.ticks
            .get(tick)
            .and_then(|place| self.parts.get(place.part as usize))
            .map_or(0, |part| part.session)
    }

    /// The runs that the file holds, in the order of the file.
    #[must_use]
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// Reads a tick.
    ///
    /// # Errors
    /// When the file cannot be read or has changed, or when the tick makes no sense.
    pub fn read(&mut self, tick: usize) -> Result<Tick, ReadError> {
        let gone = || io::Error::new(io::ErrorKind::UnexpectedEof, "there is no such tick");
        let place = *self.ticks.get(tick).ok_or_else(|| self.failed(gone()))?;
        let nonsense = |source| ReadError::Tick {
            path: shown_path(&self.path),
            number: tick + 1,
            offset: place.offset,
            source,
        };
        if self.dictionary.as_ref().is_none_or(|(part, _)| *part != place.part) {
            let mut dictionary = Dictionary::default();
            for &offset in self.parts.get(place.part as usize).map_or(&[][..], |p| &p.definitions) {
                let (record, payload) = self.frame(offset).map_err(|e| self.failed(e))?;
                dictionary.define(record, &payload).map_err(nonsense)?;
            }
            self.dictionary = Some((place.part, dictionary));
        }
        let (_, payload) = self.frame(place.offset).map_err(|e| self.failed(e))?;
        let Some((_, dictionary)) = &self.dictionary else { return Err(self.failed(gone())) };
        dictionary.tick(&payload).map_err(nonsense)
    }

    /// The frame at `offset`, which was good when the index was made.
    fn frame(&self, offset: u64) -> io::Result<(u32, Vec<u8>)> {
        let changed = || io::Error::new(io::ErrorKind::InvalidData, "the file has changed meanwhile");
        let mut head = [0; HEAD];
        self.file.read_exact_at(&mut head, offset)?;
        let [a, b, c, d, ..] = head;
        let size = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if size > frame::MAX_PAYLOAD {
            return Err(changed());
        }
        let mut bytes = vec![0; HEAD + size];
        self.file.read_exact_at(&mut bytes, offset)?;
        let mut payload = Vec::new();
        match frame::next(&mut bytes.as_slice(), &mut payload)? {
            Ok(Piece::Frame(record)) => Ok((record, payload)),
            _ => Err(changed()),
        }
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError::Io { path: shown_path(&self.path), source }
    }
}

fn session(header: &wire::Header) -> Session {
    Session {
        log: Header {
            version: text(&header.tool_version),
            host: text(&header.host),
            boot_id: header.boot_id.as_deref().map(text),
            interval_ms: header.interval_ns / 1_000_000,
            started_ns: header.realtime_ns.into(),
        },
        mono_ns: header.mono_ns,
        boottime_ns: header.boottime_ns,
        source: header.source.and_then(names::source),
        number: header.recording,
    }
}
