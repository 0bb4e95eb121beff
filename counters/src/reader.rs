//! Opens pages, reads them at every tick, and tells the living from the dead.
//!
//! With `pread` and not through a mapping: a file that somebody truncates is an error to report, not
//! a SIGBUS, which matters most to root, who reads everybody's pages.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::{Duration, SystemTime},
};

use nix::{libc, unistd::geteuid};

use super::{
    bytes::{text_at, u32_at, u64_at},
    column::Column,
    counts::{NicCounts, PeCounts},
    error::ReadError,
    fields::FieldMap,
    identity::{PageIdentity, PageState, RxSource},
    layout::{
        CONTROL_POLICY, CONTROL_POLICY_EPOCH, CONTROL_RX_SOURCE, CONTROL_STATE, HEADER_SIZE, MAX_PAGE_BYTES,
        PUBLISHED_NS,
    },
    parse::{check_version, parse_header, parse_nics, parse_schema},
    pread::read_exact_at,
    process_facts::{boot_id, monotonic_ns},
    snapshot::{Liveness, NicSnapshot, PageSnapshot, STALL_AFTER},
    window::Window,
};

/// Magic number, version and header size: what it takes to recognise a page of any version.
const VERSIONED: usize = 16;

/// An open page. Reads never write to it; all that its writer can notice is a cache miss after each.
#[derive(Debug)]
pub struct PageReader {
    file: File,
    identity: PageIdentity,
    control: Window,
    process: Window,
    process_fields: FieldMap<{ PeCounts::LEN }>,
    nics: Window,
    nic_fields: FieldMap<{ NicCounts::LEN }>,
    /// Heartbeat at the last read, to see it move whatever the clocks say.
    last_heartbeat_ns: Option<u64>,
}

impl PageReader {
    /// Opens and checks a page. Follows no link, waits for nothing, accepts only files of the
    /// directory's owner, the reader or root.
    ///
    /// # Errors
    /// Everything that can be wrong with a page: see [`ReadError`].
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let (file, meta) = open_checked(path)?;
        Self::from_file(file, &meta)
    }

    /// Takes a file that is known to be a regular one.
    pub(super) fn from_file(file: File, meta: &fs::Metadata) -> Result<Self, ReadError> {
        let head = read_head(&file, meta.len())?;
        let (mut identity, plan) = parse_header(&head, meta.len(), meta.uid())?;

        let mut info = vec![0; plan.nic_info.bytes()];
        read_exact_at(&file, &mut info, plan.nic_info.offset)?;
        identity.nics = parse_nics(&info, plan.nic_info.stride);
        let mut schema = vec![0; plan.schema.bytes()];
        read_exact_at(&file, &mut schema, plan.schema.offset)?;
        let schema = parse_schema(&schema, plan.schema.stride);

        let process_fields = FieldMap::new(plan.process, "process counters", &PeCounts::FIELDS, &schema)?;
        let nic_fields = FieldMap::new(plan.nic_counters, "NIC counters", &NicCounts::FIELDS, &schema)?;
        let early = NicCounts::FIELDS.iter().enumerate().filter(|(_, f)| f.name.starts_with("tx_done_"));
        let early = early.map(|(i, _)| nic_fields.offset(i)).collect();
        Ok(Self {
            file,
            identity,
            control: Window::new(plan.control, Vec::new()),
            process: Window::new(plan.process, Vec::new()),
            process_fields,
            nics: Window::new(plan.nic_counters, early),
            nic_fields,
            last_heartbeat_ns: None,
        })
    }

    /// Who writes the page.
    #[must_use]
    pub fn identity(&self) -> &PageIdentity {
        &self.identity
    }

    /// The received bytes of every NIC alone, for looks that are too frequent to copy everything.
    ///
    /// # Errors
    /// When the system has no file descriptor left.
    pub fn rx_column(&self) -> io::Result<Column> {
        let index = NicCounts::FIELDS.iter().position(|field| field.name == "rx_bytes");
        let offset = index.map_or(usize::MAX, |index| self.nic_fields.offset(index));
        Column::new(&self.file, self.nics.section(), offset, self.identity.nics.len())
    }

    /// Reads the page as of now.
    ///
    /// # Errors
    /// [`ReadError::Truncated`] when somebody cut the file, [`ReadError::Io`] from the system.
    pub fn read(&mut self) -> Result<PageSnapshot, ReadError> {
        self.read_at(monotonic_ns())
    }

    /// [`Self::read`] with the caller's clock, which decides what counts as stalled.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_at(&mut self, now_ns: u64) -> Result<PageSnapshot, ReadError> {
        // The lock first: if it is free, what is read after it is final.
        let held = is_locked(&self.file)?;
        self.nics.sample_file(&self.file)?;
        self.process.sample_file(&self.file)?;
        self.control.sample_file(&self.file)?;

        let nics: Vec<_> = (0..self.identity.nics.len()).map(|nic| self.nic(nic)).collect();
        let record = self.process.records().next().unwrap_or_default();
        let published = nics.iter().map(|nic| nic.published_ns).max().unwrap_or(0);
        let heartbeat_ns = u64_at(record, PUBLISHED_NS).max(published);
        let moved = self.last_heartbeat_ns.is_some_and(|last| last != heartbeat_ns);
        self.last_heartbeat_ns = Some(heartbeat_ns);

        let control = self.control.records().next().unwrap_or_default();
        let state = PageState::from_code(u32_at(control, CONTROL_STATE));
        let age = Duration::from_nanos(now_ns.saturating_sub(heartbeat_ns));
        let liveness = match (state, held) {
            (PageState::Closed, _) => Liveness::Closed,
            (_, false) => Liveness::Dead,
            (_, true) if age > STALL_AFTER && !moved => Liveness::Stalled { age },
            (_, true) => Liveness::Live,
        };
        Ok(PageSnapshot {
            read_ns: now_ns,
            state,
            liveness,
            heartbeat_ns,
            policy: text_at(control, CONTROL_POLICY),
            policy_epoch: u64_at(control, CONTROL_POLICY_EPOCH),
            rx_source: RxSource::from_code(u32_at(control, CONTROL_RX_SOURCE)),
            process: PeCounts::from_array(self.process_fields.values(record)),
            process_there: self.process_fields.there(),
            process_extras: self.process_fields.extras(&self.process.records()),
            process_torn: self.process.is_torn(0) || self.control.is_torn(0),
            nics,
        })
    }

    /// One NIC, its threads added up.
    fn nic(&self, nic: usize) -> NicSnapshot {
        let step = self.identity.nics.len();
        let records = self.nics.records().skip(nic).step_by(step);
        let threads = usize::from(self.identity.threads);
        NicSnapshot {
            counts: records.clone().map(|r| NicCounts::from_array(self.nic_fields.values(r))).sum(),
            there: self.nic_fields.there(),
            extras: self.nic_fields.extras(&records),
            published_ns: records.map(|r| u64_at(r, PUBLISHED_NS)).max().unwrap_or(0),
            torn: (0..threads).any(|thread| self.nics.is_torn(thread * step + nic)),
        }
    }
}

/// Opens a file as hostile as it may be, and checks what can be known without its content.
fn open_checked(path: &Path) -> Result<(File, fs::Metadata), ReadError> {
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP | libc::ENXIO) => ReadError::NotRegular,
            _ => error.into(),
        })?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(ReadError::NotRegular);
    }
    let owner = meta.uid();
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if owner != 0 && owner != geteuid().as_raw() && owner != fs::metadata(dir)?.uid() {
        return Err(ReadError::WrongOwner { owner });
    }
    if meta.len() > MAX_PAGE_BYTES {
        return Err(ReadError::TooLarge { size: meta.len(), max: MAX_PAGE_BYTES });
    }
    Ok((file, meta))
}

/// Reads the header. A file too short for one is "not a page" if its first bytes say so.
fn read_head(file: &File, size: u64) -> Result<Vec<u8>, ReadError> {
    let mut head = vec![0; usize::try_from(size).unwrap_or(HEADER_SIZE).min(HEADER_SIZE)];
    read_exact_at(file, &mut head, 0)?;
    if head.len() >= VERSIONED {
        check_version(&head)?;
    }
    if head.len() < HEADER_SIZE {
        return Err(ReadError::Truncated { expected: HEADER_SIZE as u64, actual: size });
    }
    Ok(head)
}

/// Whether the writer lives: a lock that cannot be had is held, and the kernel releases it on any
/// death. `flock(2)`, taken shared and given back at once; it cannot block a writer, who takes it
/// only once, before the file has a name.
fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether the file is a page whose writer died more than `ttl` ago, and ours to remove.
pub(super) fn is_reapable(path: &Path, ttl: Duration, now_ns: u64) -> bool {
    age_of_dead(path, now_ns).is_ok_and(|age| age.is_some_and(|age| age > ttl))
}

/// How long ago the writer of a dead page was last heard of; `None` while it lives.
fn age_of_dead(path: &Path, now_ns: u64) -> Result<Option<Duration>, ReadError> {
    let (file, meta) = open_checked(path)?;
    let euid = geteuid().as_raw();
    if euid != 0 && meta.uid() != euid {
        return Ok(None);
    }
    match read_head(&file, meta.len()) {
        // Lock and magic number mean the same in every version, damaged or not.
        Ok(_) | Err(ReadError::ForeignVersion { .. }) => {}
        Err(ReadError::Truncated { actual, .. }) if actual >= VERSIONED as u64 => {}
        Err(error) => return Err(error),
    }
    if is_locked(&file)? {
        return Ok(None);
    }
    // A tmpfs does not update the time of modification for stores through a mapping, so that time is
    // when the page was made. The heartbeat is better, where it is of this boot and not in the future.
    let modified = meta.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
    let heartbeat = PageReader::from_file(file, &meta)
        .ok()
        .filter(|page| page.identity.boot_id.is_some() && page.identity.boot_id == boot_id())
        .and_then(|mut page| page.read_at(now_ns).ok())
        .and_then(|snapshot| now_ns.checked_sub(snapshot.heartbeat_ns))
        .map(Duration::from_nanos);
    Ok(heartbeat.or(modified))
}
