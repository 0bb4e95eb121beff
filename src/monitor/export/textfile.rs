//! A page in a file, for `node_exporter`'s textfile collector: there is always a whole page under the file's name.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A file that is replaced at each write.
#[derive(Debug)]
pub struct Textfile {
    path: PathBuf,
    /// In the same directory, since only there it can be renamed to `path`; not `*.prom`, which collectors read.
    new: PathBuf,
}

impl Textfile {
    /// Makes nothing yet.
    ///
    /// # Errors
    /// When what is there is no file: a device or a link (`/dev/stdout` is one) must not be replaced.
    pub fn new(path: &Path) -> io::Result<Self> {
        let no_file =
            || io::Error::new(io::ErrorKind::InvalidInput, "this is no file's name, or of something else");
        let name = path.file_name().ok_or_else(no_file)?;
        if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(no_file());
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".railtop-new");
        Ok(Self { path: path.to_owned(), new: path.with_file_name(hidden) })
    }

    /// Replaces the file's content, readable by everybody. Not synced: after a crash the next write brings it back.
    ///
    /// # Errors
    /// When the directory cannot be written or is full; the file is then as it was.
    pub fn write(&self, page: &[u8]) -> io::Result<()> {
        let written = self.put(page).and_then(|()| fs::rename(&self.new, &self.path));
        if written.is_err() {
            let _gone = fs::remove_file(&self.new);
        }
        written
    }

    fn put(&self, page: &[u8]) -> io::Result<()> {
        // What a killed run has left, or somebody has put there: removed, never followed or written to.
        match fs::remove_file(&self.new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file: File = File::options()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .custom_flags(libc::O_CLOEXEC)
            .open(&self.new)?;
        // Whatever the umask: the collector is another user.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.write_all(page)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_is_replaced_and_nothing_stays_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rdma.prom");
        let file = Textfile::new(&path).unwrap();
        file.write(b"one\n").unwrap();
        let mut reader = File::open(&path).unwrap();
        let before = reader.metadata().unwrap().ino();
        file.write(b"two\n").unwrap();
        // Who has it open goes on with the old page.
        assert_eq!(io::read_to_string(&mut reader).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_ne!(fs::metadata(&path).unwrap().ino(), before);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
        assert_eq!(names(dir.path()), ["rdma.prom"]);
    }

    #[test]
    fn what_lies_in_the_way_is_neither_followed_nor_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("rdma.prom"), dir.path().join("other"));
        fs::write(&other, "mine").unwrap();
        let file = Textfile::new(&path).unwrap();
        symlink(&other, &file.new).unwrap();
        file.write(b"page\n").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
        assert_eq!(fs::read_to_string(&path).unwrap(), "page\n");
        assert_eq!(names(dir.path()), ["other", "rdma.prom"]);
        let link = dir.path().join("link.prom");
        symlink(&other, &link).unwrap();
        assert!(Textfile::new(&link).is_err() && Textfile::new(Path::new("/dev/null")).is_err());
        assert!(Textfile::new(dir.path()).is_err() && Textfile::new(Path::new("/")).is_err());
    }

    #[test]
    fn a_failed_write_leaves_the_page_that_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("rdma.prom");
        let file = Textfile::new(&target).unwrap();
        // A directory that is not empty cannot be replaced by a file.
        fs::create_dir_all(target.join("below")).unwrap();
        assert!(file.write(b"page\n").is_err());
        assert_eq!(names(dir.path()), ["rdma.prom"]);
        assert!(Textfile::new(&dir.path().join("absent/rdma.prom")).unwrap().write(b"").is_err());
    }
}
