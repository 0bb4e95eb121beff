//! Programs in C that use the library.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{library, manifest_dir, output_of};

/// Whether there is such a program.
pub fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// A program in C, built for a test.
pub struct Program {
    dir: TempDir,
}

impl Program {
    /// `tests/c/NAME.c`; `None` where there is no compiler, which is said.
    pub fn of_file(name: &str) -> Option<Self> {
        Self::build(&source(name))
    }

    /// A program that the test wrote.
    pub fn of_text(name: &str, text: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join(name).with_extension("c");
        std::fs::write(&source, text).unwrap();
        Self::build(&source)
    }

    fn build(source: &Path) -> Option<Self> {
        if !has("cc") {
            eprintln!("skipped: no C compiler here");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("cc");
        command.args(["-std=gnu99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-pthread"]);
        command.arg("-I").arg(manifest_dir().join("include")).arg(source);
        // As it is installed: found under the first name when it is linked, and under that of its soname when it runs.
        for name in ["librailtop.so", "librailtop.so.0"] {
            std::os::unix::fs::symlink(library(), dir.path().join(name)).unwrap();
        }
        command.arg("-L").arg(dir.path()).args(["-lrailtop", "-ldl", "-o"]).arg(dir.path().join("program"));
        output_of(&mut command);
        Some(Self { dir })
    }

    /// To run it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.dir.path().join("program"));
        command
            .env("LD_LIBRARY_PATH", self.dir.path())
            .env("RAILTOP_PAGE_DIR", self.dir.path().join("no-pages"));
        command
    }
}

fn source(name: &str) -> PathBuf {
    manifest_dir().join("tests/c").join(name).with_extension("c")
}
