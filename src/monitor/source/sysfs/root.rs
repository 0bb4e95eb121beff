//! A sysfs tree that may lie elsewhere: paths and links never leave it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use nix::sys::statfs::{SYSFS_MAGIC, statfs};

use super::file::{ReadError, read_bounded};

/// Links followed in one path before it counts as a loop, as in the kernel.
const MAX_LINKS: usize = 40;
/// Directory entries read before the rest is ignored: no sysfs directory of interest comes near.
const MAX_ENTRIES: usize = 4096;

/// A file of this name at the top of a copied tree says that no file is ever replaced under its name: files are then
/// kept open as on the kernel's own sysfs, and cost as much to read.
pub(super) const STABLE: &str = ".stable";
/// Only the first network namespace has this setting (`net/core/sysctl_net_core.c`).
const ONLY_IN_THE_FIRST_NETNS: &str = "/proc/sys/net/core/netdev_budget";

/// The root of a sysfs tree.
///
/// The kernel's links are relative, but a host's `/sys` seen from a container, or a copied tree, may hold absolute ones:
/// those to `/sys/…` are taken as links into this tree, and `..` stops at its top.
#[derive(Debug)]
pub struct Root {
    dir: PathBuf,
    /// It is the kernel's own sysfs.
    kernels: bool,
    /// Files stay what they are under their name.
    stable: bool,
    /// What was opened or listed, for tests about what must not be.
    #[cfg(test)]
    pub(super) touched: std::sync::Mutex<Vec<PathBuf>>,
}

impl Root {
    /// A tree at `dir`, which need not exist.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        let kernels = statfs(&dir).is_ok_and(|fs| fs.filesystem_type() == SYSFS_MAGIC);
        let stable = kernels || dir.join(STABLE).is_file();
        Self {
            dir,
            kernels,
            stable,
            #[cfg(test)]
            touched: std::sync::Mutex::default(),
        }
    }

    /// Whether it is the running kernel's own sysfs, and no copy.
    #[must_use]
    pub fn is_kernels(&self) -> bool {
        self.kernels
    }

    /// Whether an open file goes on to be the one of its name, so that it can be kept open.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        self.stable
    }

    /// Whether a device's directory may be the stand-in that the kernel makes for network namespaces other than the
    /// first. Opening the `hw_counters` of one crashes Linux 5.14 to 6.14.
    #[must_use]
    pub fn may_be_stand_in(&self, device: &Path) -> bool {
        // Looked at where it lies: parts of the kernel's sysfs may be mounted into another tree.
        let place = self.resolve(device).map_or_else(|_| self.dir.clone(), |path| self.full(path));
        let copied = statfs(&place).is_ok_and(|fs| fs.filesystem_type() != SYSFS_MAGIC);
        // A mounted sysfs shows the namespace of whoever mounted it; only of `/sys` it is fair to say that it is ours.
        let ours = self.dir == Path::new("/sys") && Path::new(ONLY_IN_THE_FIRST_NETNS).exists();
        !copied && !ours
    }

    #[cfg(test)]
    fn touch(&self, path: &Path) {
        self.touched.lock().unwrap().push(path.to_owned());
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "only tests look")]
    fn touch(&self, _path: &Path) {}

    /// The path of `relative` in the file system, links not resolved.
    pub fn full(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.dir.join(relative)
    }

    /// Follows all links of `path`; the answer is relative to the root and free of links.
    ///
    /// # Errors
    /// When something on the way does not exist or cannot be read, or links go in a circle.
    pub fn resolve(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        let mut pending: VecDeque<OsString> = steps(path.as_ref());
        let mut done = PathBuf::new();
        let mut links = 0;
        while let Some(step) = pending.pop_front() {
            if step == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&step);
            let full = self.full(&next);
            if !full.symlink_metadata()?.file_type().is_symlink() {
                done = next;
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::from_raw_os_error(libc::ELOOP));
            }
            let target = full.read_link()?;
            if target.is_absolute() {
                done = PathBuf::new();
            }
            let target = target.strip_prefix("/sys").unwrap_or(&target);
            for step in steps(target).into_iter().rev() {
                pending.push_front(step);
            }
        }
        Ok(done)
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// When it cannot be opened or is no regular file.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<File, ReadError> {
        self.touch(path.as_ref());
        let full = self.full(self.resolve(path)?);
        // O_NONBLOCK: a pipe in place of a file must not hold us.
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(full)?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(ReadError::NotAFile) }
    }

    /// The text of a small file, without the white space around it; `None` when it is empty, missing or unreadable.
    ///
    /// For facts. Counters have their own type, which says why.
    pub fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = read_bounded(&self.open(path).ok()?).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The names in a directory, in no order. Names that are not UTF-8 are left out: the kernel makes none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn list(&self, path: impl AsRef<Path>) -> io::Result<Vec<String>> {
        self.touch(path.as_ref());
        let entries = self.full(self.resolve(path)?).read_dir()?;
        Ok(entries
            .take(MAX_ENTRIES)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect())
    }

    /// The last component of what a link says, whether or not that exists (`device/driver` -> `mlx5_core`).
    pub fn link_name(&self, path: impl AsRef<Path>) -> Option<String> {
        let path = path.as_ref();
        let parent = self.resolve(path.parent()?).ok()?;
        let target = self.full(parent.join(path.file_name()?)).read_link().ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }
}

/// The components of a path that mean something: names and `..`.
fn steps(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("class/net/eth0")).unwrap();
        std::fs::write(dir.path().join("class/net/eth0/mtu"), "1500\n").unwrap();
        let root = Root::new(dir.path().to_owned());
        (dir, root)
    }

    #[test]
    fn follows_relative_links() {
        let (dir, root) = tree();
        symlink("class/../class/net/eth0", dir.path().join("a")).unwrap();
        assert_eq!(root.text("a/mtu").as_deref(), Some("1500"));
    }

    #[test]
    fn absolute_links_stay_inside() {
        let (dir, root) = tree();
        symlink("/sys/class/net/eth0", dir.path().join("sys_link")).unwrap();
        symlink("/class/net/eth0", dir.path().join("abs_link")).unwrap();
        symlink("../../../../../../etc/passwd", dir.path().join("escape")).unwrap();
        symlink("/etc/passwd", dir.path().join("escape_abs")).unwrap();
        assert_eq!(root.text("sys_link/mtu").as_deref(), Some("1500"));
        assert_eq!(root.text("abs_link/mtu").as_deref(), Some("1500"));
        assert_eq!(root.text("escape"), None);
        assert_eq!(root.text("escape_abs"), None);
    }

    #[test]
    fn circles_end() {
        let (dir, root) = tree();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert_eq!(root.resolve("a").unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }

    #[test]
    fn a_dangling_link_still_has_a_name() {
        let (dir, root) = tree();
        symlink("../../../bus/pci/drivers/efa", dir.path().join("class/net/eth0/driver")).unwrap();
        assert_eq!(root.link_name("class/net/eth0/driver").as_deref(), Some("efa"));
    }
}
