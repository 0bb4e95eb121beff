//! A network namespace whose TCP does not pace.
//!
//! Many machines have bbr as TCP's congestion control. It paces also on loopback, by a rate that it has guessed: of the same
//! loop of `fi_writedata` 64 KiB took 12 to 40 us from run to run, with reno 10 to 12.

use std::ffi::OsStr;
use std::process::Command;

/// Said to the program inside.
const INSIDE: &str = "RAILTOP_BENCH_INSIDE";

/// Makes one and brings its loopback up.
const ENTER: &str =
    "ip link set lo up && echo reno >/proc/sys/net/ipv4/tcp_congestion_control && exec \"$@\"";

/// TCP's congestion control here.
pub fn congestion_control() -> String {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
    text.map_or_else(|_| "unknown".into(), |name| name.trim().to_owned())
}

/// A program in such a namespace.
fn there(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "sh", "-c", ENTER, "sh"]).arg(program).env(INSIDE, "1");
    command
}

/// Runs this program with `arg` in such a namespace, and waits for it; `false` when it is in one, needs none, or cannot have one.
pub fn run_there(arg: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() || congestion_control() == "reno" {
        return false;
    }
    let can = there("true").output().is_ok_and(|output| output.status.success());
    if can {
        let status = there(std::env::current_exe().unwrap()).arg(arg).status().unwrap();
        if !status.success() {
            println!("{arg} ended with {status}");
            std::process::exit(status.code().unwrap_or(1));
        }
    }
    can
}
