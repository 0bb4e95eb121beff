//! Creates a page, owns its lock and its name, and hands out the blocks to publish into.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{FileExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, Release},
    },
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, OFlag, openat},
    sys::stat::Mode,
    unistd::{UnlinkatFlags, linkat, unlinkat},
};

use super::{
    block::{CONTROL_WORDS, NicBlock, ProcessBlock},
    bytes::{array, put_text},
    dir::PageDir,
    error::PageError,
    identity::{PageSpec, PageState, RxSource},
    image::Image,
    layout::{CONTROL_POLICY, CONTROL_POLICY_EPOCH, CONTROL_STATE, MAGIC, Section},
    mapping::{Mapping, Record},
    process_facts::{monotonic_ns, start_ticks},
    sequence::update,
};

/// Pages of the same process, start and rank that one directory can hold at a time.
const MAX_NAME_ATTEMPTS: u32 = 64;

/// The writing end of a page. Dropping it is the clean end: state CLOSED, name removed, lock
/// released. After [`PageState::Aborted`], or while its thread panics, the page stays for readers to
/// see and is reaped later.
///
/// # Forking
/// The lock belongs to the open file, which a forked child shares: such a child that does not `exec`
/// keeps the page alive after its parent. (`exec` closes the file.) Dropping the writer in a forked
/// child changes nothing in the page.
#[derive(Debug)]
pub struct PageWriter {
    /// Holds the lock for as long as it is open.
    file: File,
    dir: File,
    /// Once it can be seen.
    name: Option<OsString>,
    /// What its name begins with.
    base: String,
    /// The directory's, as long as it has no name.
    path: PathBuf,
    mapping: Arc<Mapping>,
    control: Record<CONTROL_WORDS>,
    state: PageState,
    rx_source: RxSource,
    policy_epoch: u64,
    pid: u32,
    process: Section,
    process_taken: bool,
    nic_counters: Section,
    nics: usize,
    nic_taken: Vec<bool>,
    keep: bool,
    /// Device and inode of the file and the directory.
    own: [(u64, u64); 2],
}

impl PageWriter {
    /// Makes a page in `dir`. It becomes visible at the very end: complete, and with the lock held.
    ///
    /// # Errors
    /// When `spec` asks for no or too many NICs or threads, or a system call fails: no space, or a
    /// file system without `O_TMPFILE` (use a tmpfs such as `/dev/shm`).
    pub fn create(dir: &PageDir, spec: &PageSpec) -> Result<Self, PageError> {
        let mut writer = Self::prepare(dir, spec)?;
        writer.show()?;
        Ok(writer)
    }

    /// Makes a page that nobody sees before [`Self::show`]: for who has counted already, and wants no reader to see zeros.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn prepare(dir: &PageDir, spec: &PageSpec) -> Result<Self, PageError> {
        let image = Image::new(spec)?;
        let fail = |what| move |source| PageError::Io { what, path: dir.path().into(), source };

        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let file = openat(dir.file(), ".", flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(|errno| fail("cannot create a page (is it a tmpfs?) in")(errno.into()))?;
        let file = File::from(file);
        file.try_lock().map_err(|error| fail("cannot lock a new page in")(error.into()))?;
        // Written, not just sized: every page of memory exists, and running out of it is an error
        // here instead of a SIGBUS at some later store.
        file.write_all_at(&image.bytes, 0).map_err(fail("cannot write a new page in"))?;
        let mapping =
            Arc::new(Mapping::new(&file, image.bytes.len()).map_err(fail("cannot map a new page in"))?);
        let missing = || fail("cannot map a new page in")(io::ErrorKind::InvalidData.into());
        let control = mapping.record(image.control.offset).ok_or_else(missing)?;
        let magic: Record<1> = mapping.record(0).ok_or_else(missing)?;
        magic[0].store(MAGIC.to_le(), Release);

        let own = dir.file().try_clone().map_err(fail("cannot keep open"))?;
        let own_files = [identity(&file), identity(&own)];
        Ok(Self {
            file,
            dir: own,
            path: dir.path().to_path_buf(),
            name: None,
            base: format!("{}.{}.{}", std::process::id(), start_ticks().unwrap_or(0), spec.rank),
            mapping,
            control,
            state: PageState::Init,
            rx_source: spec.rx_source,
            policy_epoch: 0,
            pid: std::process::id(),
            process: image.process,
            process_taken: false,
            nic_counters: image.nic_counters,
            nics: spec.nics.len(),
            nic_taken: vec![false; image.nic_counters.count],
            keep: false,
            own: own_files,
        })
    }

    /// Gives the page its name, by which readers find it. Does nothing the second time.
    ///
    /// # Errors
    /// When the system cannot.
    pub fn show(&mut self) -> Result<(), PageError> {
        if self.name.is_none() {
            let fail =
                |source| PageError::Io { what: "cannot name a new page in", path: self.path.clone(), source };
            let name = link(&self.file, &self.dir, &self.base).map_err(fail)?;
            self.path.push(&name);
            self.name = Some(name);
        }
        Ok(())
    }

    /// The block of `thread` on `nic`, both counted from 0. `None` if there is no such block or it
    /// has been handed out before.
    pub fn nic_block(&mut self, thread: u16, nic: u16) -> Option<NicBlock> {
        if usize::from(nic) >= self.nics {
            return None;
        }
        let index = usize::from(thread) * self.nics + usize::from(nic);
        let taken = self.nic_taken.get_mut(index)?;
        if std::mem::replace(taken, true) {
            return None;
        }
        let record = self.mapping.record(self.nic_counters.offset + index * self.nic_counters.stride)?;
        Some(NicBlock { record })
    }

    /// The process-wide block. `None` if it has been handed out before.
    pub fn process_block(&mut self) -> Option<ProcessBlock> {
        if std::mem::replace(&mut self.process_taken, true) {
            return None;
        }
        self.mapping.record(self.process.offset).map(|record| ProcessBlock { record })
    }

    /// Says where the PE is in its life.
    pub fn set_state(&mut self, state: PageState) {
        self.state = state;
        self.store_state();
    }

    /// Says how Rx bytes are known, once the self-test has shown it.
    pub fn set_rx_source(&mut self, rx_source: RxSource) {
        self.rx_source = rx_source;
        self.store_state();
    }

    /// Names the NIC selection policy in use from now on, cut at 32 bytes, and counts the change, so
    /// that readers see it even if the name is the same.
    pub fn set_policy(&mut self, policy: &str) {
        self.policy_epoch += 1;
        let epoch = self.policy_epoch;
        let (at, len) = CONTROL_POLICY;
        let mut bytes = [0; CONTROL_POLICY.1];
        put_text(&mut bytes, (0, len), policy);
        update(&self.control, monotonic_ns(), |record| {
            record[CONTROL_POLICY_EPOCH / 8].store(epoch.to_le(), Relaxed);
            for word in 0..len / 8 {
                let value = u64::from_ne_bytes(array(&bytes, word * 8));
                record[at / 8 + word].store(value, Relaxed);
            }
        });
    }

    /// Lets the name stay after a clean end, so that who comes later finds the final values: state CLOSED, the lock free,
    /// reaped like a dead page.
    pub fn keep_name(&mut self) {
        self.keep = true;
    }

    /// Whether the descriptors are still what they were. In a program that closes all that it finds open they may be another's by now: forget such
    /// a writer (`std::mem::forget`), for dropping it would close what is not its own.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        [identity(&self.file), identity(&self.dir)] == self.own
    }

    /// Where the page is; its directory, as long as nobody sees it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn store_state(&self) {
        // State in the low half of the word, Rx source in the high half.
        let word = u64::from(self.state.code()) | u64::from(self.rx_source.code()) << 32;
        update(&self.control, monotonic_ns(), |record| {
            record[CONTROL_STATE / 8].store(word.to_le(), Relaxed);
        });
    }
}

impl Drop for PageWriter {
    fn drop(&mut self) {
        if std::process::id() != self.pid {
            return; // A forked child: page and lock are the parent's.
        }
        if std::thread::panicking() {
            self.set_state(PageState::Aborted);
        }
        if self.state != PageState::Aborted {
            self.set_state(PageState::Closed);
            if let Some(name) = self.name.as_deref().filter(|_| !self.keep) {
                // Gone already is as good; any other failure leaves a dead page, which readers reap.
                let _ = unlinkat(&self.dir, name, UnlinkatFlags::NoRemoveDir);
            }
        }
        // By hand, because a forked child may have the file open still.
        let _ = self.file.unlock();
    }
}

/// Device and inode; zero of what is not open.
fn identity(file: &File) -> (u64, u64) {
    file.metadata().map_or((0, 0), |meta| (meta.dev(), meta.ino()))
}

/// Gives the anonymous file its name: `<pid>.<start_ticks>.<rank>`, with a number behind it if a
/// process of another PID namespace, or an earlier page of this one, has that name.
fn link(file: &File, dir: &File, base: &str) -> io::Result<OsString> {
    // AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH; this is the way open(2) documents without it.
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    for attempt in 0..MAX_NAME_ATTEMPTS {
        let name = if attempt == 0 { base.to_owned() } else { format!("{base}.{attempt}") };
        match linkat(AT_FDCWD, source.as_str(), dir, name.as_str(), AtFlags::AT_SYMLINK_FOLLOW) {
            Ok(()) => return Ok(name.into()),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
