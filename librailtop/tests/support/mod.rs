//! The library as it was built for these tests, and programs that use it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Of this package.
pub fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A tree of `tests/fixtures/sys`.
pub fn fixture(name: &str) -> PathBuf {
    manifest_dir().join("../tests/fixtures/sys").join(name).canonicalize().unwrap()
}

/// The shared library, which lies beside the tests.
pub fn library() -> PathBuf {
    let file = std::env::current_exe().unwrap().with_file_name("librailtop_c.so");
    assert!(file.is_file(), "{} is not there", file.display());
    file
}

/// Whether there is such a program.
pub fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// What a program that ends well printed.
pub fn output_of(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// A program in C, built for a test.
pub struct Program {
    dir: TempDir,
}

impl Program {
    /// `tests/c/NAME.c`; `None` where there is no compiler, which is said.
    pub fn of_file(name: &str) -> Option<Self> {
        Self::build(&source(name), false)
    }

    /// The same with the library within.
    pub fn with_static_library(name: &str) -> Option<Self> {
        Self::build(&source(name), true)
    }

    /// A program that the test wrote.
    pub fn of_text(name: &str, text: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join(name).with_extension("c");
        std::fs::write(&source, text).unwrap();
        Self::build(&source, false)
    }

    fn build(source: &Path, within: bool) -> Option<Self> {
        if !has("cc") {
            eprintln!("skipped: no C compiler here");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("cc");
        command.args(["-std=gnu99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-pthread"]);
        command.arg("-I").arg(manifest_dir().join("include")).arg(source);
        if within {
            command.arg(library().with_extension("a"));
        } else {
            // As it is installed: found under the first name when it is linked, and under that of its soname when it runs.
            for name in ["librailtop.so", "librailtop.so.0"] {
                std::os::unix::fs::symlink(library(), dir.path().join(name)).unwrap();
            }
            command.arg("-L").arg(dir.path()).arg("-lrailtop");
        }
        command.args(["-ldl", "-lm", "-o"]).arg(dir.path().join("program"));
        output_of(&mut command);
        Some(Self { dir })
    }

    /// To run it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.dir.path().join("program"));
        command.env("LD_LIBRARY_PATH", self.dir.path()).env("RAILTOP_PAGE_DIR", self.dir.path().join("no-pages"));
        command
    }
}

fn source(name: &str) -> PathBuf {
    manifest_dir().join("tests/c").join(name).with_extension("c")
}
