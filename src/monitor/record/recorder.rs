//! Writing a recording: one `write` a tick, so that whatever ends the process leaves whole ticks behind.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::encode::{Encoder, Tick, TooLong};
use super::{frame, names, wire};
use crate::monitor::log::{Header, timestamp};
use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::Sample;
use crate::monitor::{Config, clock, host};
use crate::text::shown_path;

/// Ticks of a part. A reader that jumps reads the definitions of one part, and damage costs no more than the rest of it.
const PART_TICKS: u64 = 600;
/// Bytes of definitions after which a part ends: they are kept in memory.
const PART_DEFINED: usize = 1 << 20;

/// Why there is no recording, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be opened or looked at.
    #[error("cannot open {path}: {source}")]
    Open {
        /// Which file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is something that cannot be recorded to.
    #[error("{path} is {what}; name a new file, or a recording to append to")]
    NotOurs {
        /// Which file.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// It cannot be written any more.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The tick does not fit.
    #[error("cannot write {path}: {source}")]
    TooLong {
        /// Which file.
        path: String,
        /// How long it would be.
        source: TooLong,
    },
}

/// How a recording is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The file.
    pub path: PathBuf,
    /// Bytes written by this recording.
    pub bytes: u64,
    /// Ticks written.
    pub ticks: u64,
    /// Why it has ended, if it was not asked to.
    pub error: Option<String>,
}

/// What is recorded, for the header of every part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// What a log of the same ticks says first.
    pub log: Header,
    /// The only source that was asked for.
    pub source: Option<SourceKind>,
    /// The glob that devices had to match.
    pub device: Option<String>,
    /// The moment of `log.started_ns` on the monotonic clock, and on the one that counts while the machine sleeps.
    pub mono_ns: (u64, u64),
}

impl About {
    /// What a monitor of `config` records, beginning now.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let log = Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: config.host.clone(),
            boot_id: host::boot_id(),
            interval_ms: u64::try_from(config.interval.as_millis()).unwrap_or(u64::MAX),
            started_ns: clock::realtime_ns(),
        };
        let mono_ns = (clock::mono_ns(), clock::boottime_ns());
        Self { log, mono_ns, source: config.source, device: config.device.as_ref().map(ToString::to_string) }
    }
}

/// The name of a recording that was given none: `railtop-HOST-20261118T110640Z.rec`.
#[must_use]
pub fn default_name(host: &str, realtime_ns: i128) -> PathBuf {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' };
    let host: String = host.chars().map(safe).take(64).collect();
    let time = timestamp(realtime_ns);
    let time: String =
        time.split('.').next().unwrap_or_default().chars().filter(|c| !"-:".contains(*c)).collect();
    PathBuf::from(format!("railtop-{host}-{time}Z.rec"))
}

/// An open recording. Dropping it leaves a good file.
#[derive(Debug)]
pub struct Recorder {
    file: File,
    path: PathBuf,
    header: wire::Header,
    encoder: Encoder,
    buffer: Vec<u8>,
    in_part: u64,
    bytes: u64,
    ticks: u64,
}

impl Recorder {
    /// Opens `path`, which is new, empty, or a recording: then this one is added behind it. The header is written with
    /// the first tick, so a recording of nothing is an empty file.
    ///
    /// # Errors
    /// When the file cannot be opened, is no regular file, or holds something else.
    pub fn open(path: &Path, about: &About) -> Result<Self, RecordError> {
        let shown = shown_path(path);
        let failed = |source: io::Error| match source.raw_os_error() {
            Some(libc::ELOOP) => RecordError::NotOurs { path: shown.clone(), what: "a symbolic link" },
            // A FIFO that nobody reads.
            Some(libc::ENXIO) => RecordError::NotOurs { path: shown.clone(), what: "no regular file" },
            Some(libc::EISDIR) => RecordError::NotOurs { path: shown.clone(), what: "a directory" },
            _ => RecordError::Open { path: shown.clone(), source },
        };
        let open = |create: bool, read: bool| {
            File::options()
                .read(read)
                .append(true)
                .create_new(create)
                .mode(0o644)
                .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
                .open(path)
        };
        let file = match open(true, false) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let mut file = open(false, false).map_err(failed)?;
                if !file.metadata().map_err(failed)?.is_file() {
                    return Err(RecordError::NotOurs { path: shown, what: "no regular file" });
                }
                file = open(false, true).map_err(failed)?;
                if !continues(&mut file).map_err(failed)? {
                    return Err(RecordError::NotOurs { path: shown, what: "another kind of file" });
                }
                file
            }
            other => other.map_err(failed)?,
        };
        let Header { version, host, boot_id, interval_ms, started_ns } = &about.log;
        let header = wire::Header {
            tool_version: version.clone(),
            host: host.clone(),
            boot_id: boot_id.clone(),
            recording: number()?,
            part: 0,
            realtime_ns: i64::try_from(*started_ns).unwrap_or(i64::MAX),
            mono_ns: about.mono_ns.0,
            boottime_ns: about.mono_ns.1,
            interval_ns: interval_ms.saturating_mul(1_000_000),
            page_size: host::page_size(),
            source: about.source.map(names::of_source),
            device: about.device.clone(),
        };
        Ok(Self {
            file,
            path: path.to_owned(),
            header,
            encoder: Encoder::default(),
            buffer: Vec::new(),
            in_part: 0,
            bytes: 0,
            ticks: 0,
        })
    }

    /// Adds a tick. Until this returns an error, everything that was added is in the file.
    ///
    /// # Errors
    /// When the file cannot be written, as on a full disk. The recording has then ended.
    pub fn add(
        &mut self,
        sample: Sample,
        interval: std::time::Duration,
        missed: u64,
    ) -> Result<(), RecordError> {
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        self.encode(&Tick { sample, interval_ns, missed })
            .map_err(|source| RecordError::TooLong { path: shown_path(&self.path), source })?;
        self.file
            .write_all(&self.buffer)
            .map_err(|source| RecordError::Write { path: shown_path(&self.path), source })?;
        self.bytes += self.buffer.len() as u64;
        self.ticks += 1;
        self.in_part += 1;
        Ok(())
    }

    fn encode(&mut self, tick: &Tick) -> Result<(), TooLong> {
        self.buffer.clear();
        let full = self.in_part >= PART_TICKS || self.encoder.defined() > PART_DEFINED;
        if self.ticks == 0 || full {
            if self.ticks > 0 {
                self.header.part += 1;
            }
            self.in_part = 0;
            self.encoder.begin(&mut self.buffer, &self.header)?;
        }
        self.encoder.tick(&mut self.buffer, tick)
    }

    #[cfg(test)]
    pub(super) fn redirect(&mut self, file: File) {
        self.file = file;
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        Status { path: self.path.clone(), bytes: self.bytes, ticks: self.ticks, error: None }
    }

    /// The open file, to tell whether another one is the same.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// Whether something may be appended: the file is empty, or begins as a recording of this major version does.
fn continues(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(frame::START as u64).read_to_end(&mut start)?;
    let mut wanted = Vec::new();
    frame::put_start(&mut wanted);
    // What was killed in its first write may have left less than that.
    Ok(wanted.starts_with(&start))
}

/// A number that no other recording has.
fn number() -> Result<u64, RecordError> {
    getrandom::u64().map_err(|e| RecordError::Open {
        path: "the system's random numbers".to_owned(),
        source: io::Error::other(e),
    })
}
