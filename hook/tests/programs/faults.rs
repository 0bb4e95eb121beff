//! Whatever goes wrong, the program does not notice.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use counters::{Liveness, PageState};

use crate::support::{HOOK, Stage, Way, libfabric2, run, traffic};

const WORK: [&str; 3] = ["-p", "net", "send:50:100"];

/// Runs to its good end, and says nothing of its own.
fn undisturbed(command: &mut Command) {
    let output = run(command);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_directory_that_cannot_be_used_costs_the_page_alone() {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    for place in ["/proc/nowhere/pages", "/dev/null", "/proc"] {
        undisturbed(stage.command(&program, HOOK).args(WORK).env("RAILTOP_PAGE_DIR", place));
    }
    // Writable for everybody: refused, because others could plant pages there.
    std::fs::set_permissions(stage.pages_dir(), PermissionsExt::from_mode(0o777)).unwrap();
    undisturbed(stage.command(&program, HOOK).args(WORK));
    std::fs::set_permissions(stage.pages_dir(), PermissionsExt::from_mode(0o700)).unwrap();
    assert!(stage.pages().is_empty());
}

/// Operations, each of which waits for a byte.
const MORE: usize = 120;

/// What was in the way is gone: who goes on has a page with all that was counted, though it opens nothing any more.
#[test]
fn a_page_that_could_not_be_made_is_made_later() {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    let allow = |mode| std::fs::set_permissions(stage.pages_dir(), PermissionsExt::from_mode(mode)).unwrap();
    allow(0o777);
    let mut command = stage.command(program, HOOK);
    command.args(["-p", "net", "send:50:100"]);
    command.args(["wait:1:0", "send:1:100"].repeat(MORE));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let there = (0..MORE).any(|_| {
        std::thread::sleep(Duration::from_millis(500));
        stdin.write_all(b".").unwrap();
        allow(0o700);
        !stage.pages().is_empty()
    });
    assert!(there, "no page in a minute");
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let all = (50 + MORE) as u64;
    assert_eq!(stage.page().totals(), [(all, 100 * all); 2]);
}

#[test]
fn a_full_shared_memory_costs_the_page_alone() {
    let Some(program) = traffic(true) else { return };
    // A file system of one page of memory, in a mount namespace that ends with the command.
    let script = "mount -t tmpfs -o size=4k,mode=700 tmpfs \"$RAILTOP_PAGE_DIR\" && exec \"$@\"";
    let stage = Stage::new();
    let works =
        Command::new("unshare").args(["-rm", "true"]).output().is_ok_and(|output| output.status.success());
    if !works {
        return println!("skipped: no mount namespace for a small tmpfs");
    }
    let mut command = stage.command("unshare", HOOK);
    undisturbed(command.args(["-rm", "sh", "-c", script, "sh"]).arg(program).args(WORK));
    assert!(stage.pages().is_empty());
}

#[test]
fn a_limit_on_files_costs_the_page_alone() {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    // The page's file is larger than this process may write, which would end it.
    let mut command = stage.command("sh", HOOK);
    undisturbed(command.args(["-c", "ulimit -f 1; exec \"$@\"", "sh"]).arg(program).args(WORK));
    assert!(stage.pages().is_empty());
}

#[test]
fn descriptors_that_the_program_has_taken_over_are_left_alone() {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    undisturbed(stage.command(program, HOOK).arg("-x").args(WORK));
    // Its lock went with the descriptor, so the page is one of a process that is no more.
    assert_eq!(stage.page().snapshot.liveness, Liveness::Dead);
}

#[test]
fn a_panic_anywhere_ends_the_counting_and_not_the_program() {
    let Some(program) = traffic(true) else { return };
    let (mut said, mut finished) = (0, 0);
    // The Nth piece of work that is not the program's own panics: hooking, making the page, publishing, ending.
    for fault in 1..=40 {
        let way = if fault % 2 == 0 { HOOK } else { Way::Preload };
        let stage = Stage::new();
        undisturbed(
            stage
                .command(&program, way)
                .args(["-t", "2"])
                .args(WORK)
                .env("RAILTOP_HOOK_FAULT", fault.to_string()),
        );
        for page in stage.pages() {
            match page.snapshot.state {
                PageState::Aborted => {
                    assert_eq!(page.snapshot.policy, "hook stopped: a fault of its own");
                    said += 1;
                }
                // It ended before the thread that says so had its turn; or there was no fault.
                PageState::Closed | PageState::Running => finished += 1,
                other => panic!("{other:?}"),
            }
            assert_ne!(page.snapshot.liveness, Liveness::Live);
        }
    }
    assert!(said > 0, "no page says that the hook has stopped; {finished} end well");
}

#[test]
fn tables_are_put_back_also_after_a_panic() {
    let (Some(program), Some(library)) = (traffic(false), libfabric2()) else { return };
    // Here tcp of 2.x looks at the domain's table: left in place, ours made it crash.
    for fault in 1..=30 {
        let stage = Stage::new();
        let mut command = stage.command(&program, HOOK);
        command.arg("-l").arg(&library).args([
            "-p",
            "tcp",
            "-T",
            "completion",
            "-t",
            "2",
            "-F",
            "context",
            "send:20:100",
        ]);
        undisturbed(command.env("RAILTOP_HOOK_FAULT", fault.to_string()));
    }
}

#[test]
fn a_long_program_says_in_its_page_that_counting_has_stopped() {
    let Some(program) = traffic(true) else { return };
    // It waits a second at its end, and is killed.
    let program = &program;
    let said = std::thread::scope(|scope| {
        let runs: Vec<_> = (1..=16)
            .map(|n| {
                scope.spawn(move || {
                    let stage = Stage::new();
                    let mut command = stage.command(program, HOOK);
                    command.arg("-k").args(WORK).env("RAILTOP_HOOK_FAULT", (2 * n).to_string());
                    let output = command.output().unwrap();
                    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
                    let pages = stage.pages();
                    let aborted = pages.iter().filter(|page| page.snapshot.state == PageState::Aborted);
                    aborted
                        .inspect(|page| assert_eq!(page.snapshot.policy, "hook stopped: a fault of its own"))
                        .count()
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).sum::<usize>()
    });
    // The others stop before there is a page, or not at all.
    assert!(said > 0, "no page says that the hook has stopped");
}
