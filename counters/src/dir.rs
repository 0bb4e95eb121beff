//! The directory the pages of one user live in.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, DirEntryExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    libc,
    unistd::{UnlinkatFlags, geteuid, unlinkat},
};

use super::{error::PageError, process_facts::outer_euid, reader};

/// Names the directory to use instead of the default one.
pub const PAGE_DIR_ENV: &str = "RAILTOP_PAGE_DIR";
const SHM: &str = "/dev/shm";
const PREFIX: &str = "railtop-";
/// Most entries one scan looks at: a directory with more is not ours, or somebody plays.
const MAX_ENTRIES: usize = 4096;
/// How long the page of a killed writer stays readable before [`PageDir::reap`] may remove it.
pub const DEAD_PAGE_TTL: Duration = Duration::from_secs(30);

/// A directory of counter pages that has been found safe: a real directory, owned by the right user,
/// writable for nobody else.
#[derive(Debug)]
pub struct PageDir {
    path: PathBuf,
    dir: fs::File,
}

/// A file that may be a counter page. The name is not to be trusted; open it to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageEntry {
    /// Where it is.
    pub path: PathBuf,
    /// Inode number. A page that is still open is the same one while path and inode are the same.
    pub inode: u64,
}

/// What [`PageDir::scan_all`] found.
#[derive(Debug, Default)]
pub struct Scan {
    /// Candidates, sorted by path.
    pub entries: Vec<PageEntry>,
    /// Directories that were refused or could not be read, each with the reason.
    pub problems: Vec<PageError>,
}

impl PageDir {
    /// `$RAILTOP_PAGE_DIR`, else `/dev/shm/railtop-<euid>`, with the uid as it is known outside of an
    /// unprivileged user namespace.
    #[must_use]
    pub fn default_path() -> PathBuf {
        explicit_path().unwrap_or_else(|| Path::new(SHM).join(format!("{PREFIX}{}", outer_euid())))
    }

    /// Whether `RAILTOP_PAGE_DIR` names [`Self::default_path`].
    #[must_use]
    pub fn is_explicit() -> bool {
        explicit_path().is_some()
    }

    /// Opens the directory to publish in, making it (mode 0700) where it is missing.
    ///
    /// # Errors
    /// When it cannot be made, is no directory of its own, or others own it or may write in it.
    pub fn create(path: &Path) -> Result<Self, PageError> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                Err(PageError::Io { what: "cannot create page directory", path: path.into(), source })
            }
            _ => Self::open_owned(path, Some(geteuid().as_raw())),
        }
    }

    /// Opens an existing directory to read from. It must belong to the reader or to root; root reads
    /// everybody's.
    ///
    /// # Errors
    /// When it is missing ([`PageError::is_not_found`]), or not safe as for [`Self::create`].
    pub fn open(path: &Path) -> Result<Self, PageError> {
        let euid = geteuid().as_raw();
        Self::open_owned(path, (euid != 0).then_some(euid))
    }

    /// The directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &fs::File {
        &self.dir
    }

    fn open_owned(path: &Path, owner: Option<u32>) -> Result<Self, PageError> {
        let dir = fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .open(path)
            .map_err(|source| match source.raw_os_error() {
                Some(libc::ENOTDIR | libc::ELOOP) => PageError::NotADirectory { path: path.into() },
                _ => PageError::Io { what: "cannot open page directory", path: path.into(), source },
            })?;
        let meta = dir.metadata().map_err(|source| PageError::Io {
            what: "cannot examine page directory",
            path: path.into(),
            source,
        })?;
        if let Some(expected) = owner
            && meta.uid() != expected
            && meta.uid() != 0
        {
            return Err(PageError::ForeignDirectory { path: path.into(), owner: meta.uid(), expected });
        }
        if meta.mode() & 0o022 != 0 {
            return Err(PageError::SharedDirectory { path: path.into(), mode: meta.mode() & 0o7777 });
        }
        Ok(Self { path: path.into(), dir })
    }

    /// Lists the candidates, sorted by path. One `readdir`, nothing is opened; files may come and go
    /// meanwhile.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn scan(&self) -> Result<Vec<PageEntry>, PageError> {
        let listing = fs::read_dir(&self.path).map_err(|source| PageError::Io {
            what: "cannot list page directory",
            path: self.path.clone(),
            source,
        })?;
        let mut entries: Vec<_> = listing
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().as_encoded_bytes().first() != Some(&b'.'))
            .take(MAX_ENTRIES)
            .map(|entry| PageEntry { path: entry.path(), inode: entry.ino() })
            .collect();
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// Lists the candidates of the `own` directory ([`Self::default_path`]) and, for root without `RAILTOP_PAGE_DIR`, of every
    /// `/dev/shm/railtop-*`. A directory that is missing is no problem: nobody has published yet.
    #[must_use]
    pub fn scan_all(own: &Path) -> Scan {
        Self::scan_for(own, Self::is_explicit())
    }

    /// The same with what [`Self::is_explicit`] said before: for threads of somebody else's process, whose environment may
    /// change under them.
    #[must_use]
    pub fn scan_for(own: &Path, explicit: bool) -> Scan {
        let mut scan = Scan::default();
        for path in all_paths(own, explicit) {
            match Self::open(&path).and_then(|dir| dir.scan()) {
                Ok(entries) => scan.entries.extend(entries),
                Err(error) if error.is_not_found() => {}
                // Root of a user namespace looks for everybody's, too, but may not read them.
                Err(error) if error.is_permission_denied() && path != own => {}
                Err(error) => scan.problems.push(error),
            }
        }
        scan
    }

    /// Removes pages whose writer is dead (the lock is free) and was last heard of more than `ttl`
    /// before `now_ns` ([`super::monotonic_ns`]). Removes only the reader's own files, or anybody's
    /// as root, and nothing that is not a counter page. Returns what was removed.
    ///
    /// # Errors
    /// When the directory cannot be listed. Files that vanish or cannot be removed are left out.
    pub fn reap(&self, ttl: Duration, now_ns: u64) -> Result<Vec<PathBuf>, PageError> {
        let mut removed = Vec::new();
        for entry in self.scan()? {
            let Some(name) = entry.path.file_name() else {
                continue;
            };
            if reader::is_reapable(&entry.path, ttl, now_ns)
                && unlinkat(&self.dir, name, UnlinkatFlags::NoRemoveDir).is_ok()
            {
                removed.push(entry.path);
            }
        }
        Ok(removed)
    }
}

fn explicit_path() -> Option<PathBuf> {
    env::var_os(PAGE_DIR_ENV).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn all_paths(own: &Path, explicit: bool) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if geteuid().is_root() && !explicit {
        let all = fs::read_dir(SHM).into_iter().flatten().filter_map(Result::ok);
        paths.extend(
            all.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()))
                .map(|entry| entry.path())
                .filter(|path| path != own)
                .take(MAX_ENTRIES),
        );
    }
    paths.push(own.to_path_buf());
    paths.sort_unstable();
    paths
}
