//! How a lab ends: with the right code, and with nothing left of it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use railtop::lab::{Ended, LabError, LabMode, PeExit, StopHandle};

use crate::role::{SKIPPED, lab_process};
use crate::support::{LONG, Lines, eventually, is_in_use, lives, loopback, one_at_a_time, shell, spec, up};

#[test]
fn the_first_failure_is_the_lab_s_and_ends_the_others() {
    let _alone = one_at_a_time();
    let Some(mut lab) = up(spec(2, 2, 1)) else {
        return;
    };
    let lines = Lines::default();
    let outcome = lab.run(&shell("[ $RANK = 2 ] && exit 7; exec sleep 1000"), lines.options()).unwrap();
    assert_eq!(outcome.exit_code(), 7);
    assert!(matches!(outcome.ended, Ended::Failed(pe, PeExit::Code(7)) if pe.rank == 2 && pe.node == 1));
    let others: Vec<_> = outcome.exits.iter().filter(|(pe, _)| pe.rank != 2).map(|(_, exit)| *exit).collect();
    assert_eq!(others, [PeExit::Signal(15); 3]);
}

#[test]
fn a_killed_pe_ends_the_run() {
    let _alone = one_at_a_time();
    let mut lab = up(loopback(2, 1, 1)).unwrap();
    let outcome =
        lab.run(&shell("[ $RANK = 1 ] && kill -9 $$; exec sleep 1000"), Lines::default().options()).unwrap();
    assert_eq!(outcome.exit_code(), 137);
}

#[test]
fn a_signal_reaches_every_pe() {
    let _alone = one_at_a_time();
    let Some(mut lab) = up(spec(2, 1, 1)) else {
        return;
    };
    let lines = Lines::default();
    let stop = StopHandle::new().unwrap();
    let options = railtop::lab::RunOptions { stop: Some(stop.clone()), ..lines.options() };
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually("both ready", || lines.len() == 2);
            stop.signal(libc::SIGTERM);
        });
        lab.run(&shell("trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.1; done"), options)
            .unwrap()
    });
    assert_eq!((outcome.ended, outcome.exit_code()), (Ended::Signalled(15), 143));
    let told = lines.sorted().iter().filter(|(_, line)| line == "told").count();
    assert_eq!(told, 2);
    assert!(outcome.exits.iter().all(|(_, exit)| *exit == PeExit::Code(0)));
}

#[test]
fn who_ignores_signals_is_killed() {
    let _alone = one_at_a_time();
    let mut lab = up(loopback(1, 2, 1)).unwrap();
    let lines = Lines::default();
    let stop = StopHandle::new().unwrap();
    let options = railtop::lab::RunOptions { stop: Some(stop.clone()), ..lines.options() };
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually("both ready", || lines.len() == 2);
            stop.signal(libc::SIGINT);
            stop.signal(libc::SIGINT);
        });
        lab.run(&shell("trap '' INT TERM; echo ready; while :; do sleep 1000; done"), options).unwrap()
    });
    assert_eq!(outcome.exit_code(), 130);
    assert!(outcome.exits.iter().all(|(_, exit)| *exit == PeExit::Signal(9)));
}

#[test]
fn a_stopped_handle_lets_nothing_begin() {
    let _alone = one_at_a_time();
    let mut lab = up(loopback(1, 1, 1)).unwrap();
    let stop = StopHandle::new().unwrap();
    stop.stop();
    let lines = Lines::default();
    let options = railtop::lab::RunOptions { stop: Some(stop), ..lines.options() };
    let outcome = lab.run(&shell("echo ran"), options).unwrap();
    assert_eq!((outcome.ended, outcome.exits.len(), lines.len()), (Ended::Stopped, 0, 0));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let _alone = one_at_a_time();
    let mut lab = up(loopback(1, 1, 1)).unwrap();
    let mut command = shell("");
    command.program = "no-such-program-anywhere".into();
    let error = lab.run(&command, Lines::default().options()).unwrap_err();
    assert!(
        matches!(&error, LabError::Spawn { .. }) && error.to_string().contains("no-such-program"),
        "{error}"
    );
}

/// Who fails first counts; only a SIGKILL counts before those who have left because of it.
#[test]
fn the_first_failure_counts_and_a_kill_before_its_echo() {
    let _alone = one_at_a_time();
    let mut lab = up(loopback(1, 2, 1)).unwrap();
    let mut code = |second: &str| {
        let dir = tempfile::tempdir().unwrap();
        let first = dir.path().join("first").display().to_string();
        // The second fails when the first has: not by time, and with what the shell does by itself, so that it is shortly after.
        let script = format!(
            "if [ $RANK = 0 ]; then echo $$ >{first}.new; mv {first}.new {first}; exit 3; fi
            until [ -e {first} ]; do :; done
            read -r pid <{first}
            until read -r number name state rest </proc/$pid/stat && [ $state = Z ]; do :; done
            {second}"
        );
        let options = railtop::lab::RunOptions { last_words: LONG, ..Lines::default().options() };
        lab.run(&shell(&script), options).unwrap().exit_code()
    };
    assert_eq!(code("kill -SEGV $$"), 3);
    // A lab that had no turn meanwhile has found it later than shortly after, and takes it for an echo.
    let codes: Vec<_> =
        (0..20).map_while(|_| Some(code("kill -KILL $$")).filter(|code| *code != 137)).collect();
    assert!(codes.len() < 20 && codes.iter().all(|code| *code == 3), "{codes:?}");
}

#[test]
fn what_a_pe_leaves_behind_is_ended_with_the_run() {
    let _alone = one_at_a_time();
    let Some(mut lab) = up(spec(2, 1, 1)) else {
        return;
    };
    let lines = Lines::default();
    // One in the PE's group, one in a session of its own that ignores SIGTERM; the PE ends once that one has said who it is.
    let dir = tempfile::tempdir().unwrap();
    let said = dir.path().join("said").display().to_string();
    let script = format!(
        "sleep 1000 & echo $!; trap '' TERM; setsid sh -c 'echo $$; : >{said}.$RANK; exec sleep 1000' &
        until [ -e {said}.$RANK ]; do sleep 0.01; done"
    );
    // It has to be killed, so that there is nothing to wait for.
    let terminate = std::time::Duration::from_millis(500);
    let options = railtop::lab::RunOptions { terminate, ..lines.options() };
    let outcome = lab.run(&shell(&script), options).unwrap();
    assert_eq!(outcome.exit_code(), 0);
    let pids: Vec<_> = lines.sorted().into_iter().map(|(_, pid)| pid).collect();
    assert_eq!(pids.len(), 4);
    assert!(!pids.iter().any(|pid| lives(pid)));
}

/// Each PE says its namespace, itself, a child, and a child in a session of its own; then all wait.
const FAMILY: &str = "readlink /proc/self/ns/net; echo pid $$; sleep 1000 & echo pid $!;
    setsid sh -c 'echo pid $$; exec sleep 1000' & wait";

struct Family {
    lab: Child,
    stdout: BufReader<ChildStdout>,
    namespaces: Vec<String>,
    pids: Vec<String>,
}

impl Family {
    /// Starts the process of a lab and waits for its PEs; `None` where no lab is possible.
    fn start(mut command: std::process::Command) -> Option<Self> {
        let mut lab = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(lab.stdout.take().unwrap());
        let (mut namespaces, mut pids) = (Vec::new(), Vec::new());
        while pids.len() < 6 {
            let mut line = String::new();
            if stdout.read_line(&mut line).unwrap() == 0 {
                assert_eq!(lab.wait().unwrap().code(), Some(SKIPPED));
                eprintln!("skipped: no namespaces here");
                return None;
            }
            if let Some(pid) = line.trim().strip_prefix("pid ") {
                pids.push(pid.to_owned());
            } else if line.starts_with("net:[") {
                namespaces.push(line.trim().to_owned());
            }
        }
        assert!(pids.iter().all(|pid| lives(pid)));
        Some(Self { lab, stdout, namespaces, pids })
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.lab.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits until the lab's output ends, which takes the end of everybody who could write to it.
    fn assert_gone(mut self) {
        self.lab.wait().unwrap();
        self.stdout.read_to_end(&mut Vec::new()).unwrap();
        eventually("every process has ended", || !self.pids.iter().any(|pid| lives(pid)));
        eventually("nobody holds the namespaces", || !self.namespaces.iter().any(|link| is_in_use(link)));
    }
}

#[test]
fn nothing_is_left_after_sigkill() {
    let _alone = one_at_a_time();
    let program = std::env::current_exe().unwrap();
    let Some(family) = Family::start(lab_process(&program, LabMode::Namespaces, FAMILY)) else {
        return;
    };
    assert!(family.namespaces.iter().all(|link| is_in_use(link)));
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert!(family.namespaces.iter().all(|link| own.as_os_str() != link.as_str()));
    family.signal(Signal::SIGKILL);
    family.assert_gone();
}

#[test]
fn nothing_is_left_after_sigkill_without_root() {
    let _alone = one_at_a_time();
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: not root, so the other tests have shown this");
        return;
    }
    // Where user 65534 (nobody) can run it, which it may not where it was built.
    let directory = tempfile::Builder::new().permissions(mode(0o755)).tempdir().unwrap();
    let program = directory.path().join("lab");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, mode(0o755)).unwrap();
    let mut command = lab_process(&program, LabMode::Namespaces, FAMILY);
    command.uid(65534).gid(65534).current_dir("/");
    let Some(family) = Family::start(command) else {
        return;
    };
    family.signal(Signal::SIGKILL);
    family.assert_gone();
}

fn mode(bits: u32) -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(bits)
}

#[test]
fn on_loopback_the_pes_groups_are_ended_after_sigkill() {
    let _alone = one_at_a_time();
    let script = "echo pid $$; sleep 1000 & echo pid $!; sleep 1000 & echo pid $!; wait";
    let program = std::env::current_exe().unwrap();
    let family = Family::start(lab_process(&program, LabMode::Loopback, script)).unwrap();
    family.signal(Signal::SIGKILL);
    family.assert_gone();
}

#[test]
fn nobody_reading_ends_the_lab() {
    let _alone = one_at_a_time();
    let program = std::env::current_exe().unwrap();
    let mut lab = lab_process(&program, LabMode::Loopback, "while echo y; do :; done")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 64];
    lab.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert_eq!(lab.wait().unwrap().code(), Some(0));
}
