//! Makes one thread of the real program panic, from outside: `fault.c` says how.
//!
//! The alternatives were worse. A hook in the program, even one that a feature of Cargo takes away, is code that runs
//! nowhere but in tests, and a program with it is another one than people run. Sources that are made to panic, handed to
//! the library by an example, would each need a way in, and would not be the real ones. So the program is the very one
//! that was built, with its threads, sources and panic hook, and what goes wrong is what it stands on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A fault that strikes once a file is there.
pub(crate) struct Fault {
    kind: &'static str,
    place: String,
    dir: TempDir,
}

impl Fault {
    /// A fault of this kind (`fault.c` lists them) in the thread with this name, or in the files with this in their path.
    ///
    /// `None`, and said, without a C compiler, or where the C library is not the one whose functions `fault.c` replaces.
    pub(crate) fn new(kind: &'static str, place: &str) -> Option<Self> {
        if !cfg!(target_env = "gnu") {
            eprintln!("skipped: fault.c is made for glibc");
            return None;
        }
        library()?;
        let dir = tempfile::tempdir().expect("a directory");
        Some(Self { kind, place: place.to_owned(), dir })
    }

    /// The environment of the program.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("LD_PRELOAD", library().map(Path::to_owned).unwrap_or_default()),
            ("RAILTOP_FAULT", self.kind.into()),
            ("RAILTOP_FAULT_WHERE", self.place.clone().into()),
            ("RAILTOP_FAULT_WHEN", self.when()),
        ]
    }

    /// The file: from when on it is there, it goes wrong.
    pub(crate) fn when(&self) -> PathBuf {
        self.dir.path().join("now")
    }
}

/// The C file as a library, made once.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = LIBRARY.get_or_init(|| {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        // Moved to its place, since other tests may be using the one that is there.
        let (library, new) = (dir.join("fault.so"), dir.join(format!("fault-{}.so", std::process::id())));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/fault.c");
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o"]).arg(&new).arg(source);
        match compile.status() {
            Ok(status) => {
                assert!(status.success(), "{source} does not compile");
                std::fs::rename(new, &library).expect("a library");
                Some(library)
            }
            Err(e) => {
                eprintln!("skipped: no C compiler: {e}");
                None
            }
        }
    });
    made.as_deref()
}
