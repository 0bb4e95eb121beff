//! The program as it was built for these tests.

use std::path::Path;
use std::process::{Command, Stdio};

/// The program, with nothing of the machine it runs on: no counter pages, no sysfs but `root`.
pub fn railtop(root: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("railtop"));
    command
        .env("RAILTOP_PAGE_DIR", root.join("no-pages"))
        .env("RAILTOP_SYSFS_ROOT", root)
        // A panic's message is what tests read.
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null());
    command
}
