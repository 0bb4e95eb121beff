//! `traffic.c`: what it posts is on its command line.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use counters::{Liveness, RxSource};

use crate::support::{HOOK, Stage, Way, libfabric2, library, run, traffic};

/// Operations and bytes of `OP:COUNT:BYTES` words, of those whose OP is in `which`.
fn sum(words: &[&str], which: &[&str]) -> (u64, u64) {
    let mut sum = (0, 0);
    for word in words {
        let parts: Vec<_> = word.split(':').collect();
        let (count, bytes): (u64, u64) = (parts[1].parse().unwrap(), parts[2].parse().unwrap());
        if which.contains(&parts[0]) {
            sum = (sum.0 + count, sum.1 + count * bytes);
        }
    }
    sum
}

const MESSAGES: [&str; 6] = ["send", "sendv", "sendmsg", "inject", "tsend", "tinject"];
const SOME: [&str; 6] =
    ["send:100:1024", "sendv:10:100", "sendmsg:7:64", "inject:10:32", "tsend:20:2000", "tinject:3:8"];

/// What `threads` times those words are, sent and received.
fn messages(words: &[&str], threads: u64) -> [(u64, u64); 2] {
    let (ops, bytes) = sum(words, &MESSAGES);
    [(ops * threads, bytes * threads); 2]
}

fn check(way: Way, options: &[&str], words: &[&str], threads: u64) {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    run(stage.command(program, way).args(options).args(words));
    let page = stage.page();
    assert_eq!(page.totals(), messages(words, threads), "{way:?} {options:?} {words:?}");
    assert_eq!(page.snapshot.rx_source, RxSource::CqeLen);
    assert_eq!(page.identity.nics[0].netdev, "lo");
    assert_eq!(page.identity.provider, options.get(1).copied().unwrap_or("tcp;ofi_rxm"));
}

#[test]
fn messages_of_every_form_are_counted() {
    for provider in ["tcp;ofi_rxm", "net"] {
        for way in [HOOK, Way::Preload] {
            check(way, &["-p", provider], &SOME, 1);
        }
    }
}

#[test]
fn with_other_hooks_around_everything_is_counted_once() {
    for hooks in ["noop;railtop", "railtop;noop", "railtop;railtop", "railtop;perf", "perf;noop;railtop"] {
        check(Way::Hook(hooks), &["-p", "tcp;ofi_rxm"], &SOME, 1);
    }
}

#[test]
fn every_format_of_completions_is_read() {
    for format in ["context", "msg", "data", "tagged"] {
        check(HOOK, &["-p", "net", "-F", format], &SOME, 1);
    }
}

#[test]
fn completions_in_no_known_format_make_rx_unknown() {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    run(stage.command(program, HOOK).args(["-p", "net", "-F", "unspec", "send:20:10"]));
    let page = stage.page();
    assert_eq!(page.snapshot.rx_source, RxSource::None);
    assert_eq!(page.totals()[0], (20, 200));
}

#[test]
fn operations_without_a_completion_are_over_when_posted() {
    check(HOOK, &["-p", "tcp;ofi_rxm", "-e", "4"], &["sendmsg:101:64", "inject:5:16"], 1);
}

#[test]
fn more_threads_than_a_page_has_room_for_are_counted() {
    check(HOOK, &["-p", "net", "-t", "100"], &["send:20:10"], 100);
}

#[test]
fn endpoints_that_threads_open_at_the_same_time_are_all_counted() {
    for _ in 0..5 {
        check(HOOK, &["-p", "net", "-o", "-t", "16"], &["send:20:10"], 16);
    }
}

#[test]
fn threads_with_queues_of_their_own_are_counted() {
    for provider in ["tcp;ofi_rxm", "net"] {
        for threading in ["completion", "domain"] {
            let threads = if threading == "domain" { "1" } else { "4" };
            check(
                HOOK,
                &["-p", provider, "-T", threading, "-t", threads],
                &["send:300:100"],
                threads.parse().unwrap(),
            );
        }
    }
}

#[test]
fn one_sided_operations_are_counted_where_they_start() {
    let Some(program) = traffic(true) else { return };
    let words = [
        "write:100:4096",
        "writev:10:100",
        "writemsg:5:64",
        "writedata:7:1000",
        "inject_write:3:16",
        "read:20:2048",
        "atomic:4:64",
    ];
    let stage = Stage::new();
    run(stage.command(program, HOOK).args(words));
    let page = stage.page();
    let counts = page.nic().counts;
    let writes = ["write", "writev", "writemsg", "writedata", "inject_write", "atomic"];
    assert_eq!((counts.tx_done_ops, counts.tx_done_bytes), sum(&words, &writes));
    assert_eq!((counts.tx_posted_ops, counts.tx_posted_bytes), sum(&words, &writes));
    assert_eq!((counts.read_done_ops, counts.read_done_bytes), sum(&words, &["read"]));
    assert_eq!(counts.read_posted_ops, counts.read_done_ops);
    assert_eq!(counts.atomic_ops, 4);
    // Only a write with an immediate tells its target anything. The rest is not 0, but unknown.
    assert_eq!(counts.rx_ops, 7);
    assert_eq!(page.snapshot.rx_source, RxSource::None);
}

#[test]
fn a_program_that_opens_libfabric_itself_is_hooked() {
    let Some(program) = traffic(false) else { return };
    let stage = Stage::new();
    run(stage.command(program, HOOK).args(["-p", "net"]).args(SOME));
    assert_eq!(stage.page().totals(), messages(&SOME, 1));
}

#[test]
fn libfabric_2_is_hooked() {
    let (Some(program), Some(library)) = (traffic(false), libfabric2()) else { return };
    for provider in ["tcp", "tcp;ofi_rxm", "shm"] {
        let stage = Stage::new();
        let command = &mut stage.command(&program, HOOK);
        run(command.arg("-l").arg(&library).args(["-p", provider, "-F", "context"]).args(SOME));
        let page = stage.page();
        assert_eq!(page.totals(), messages(&SOME, 1), "{provider}");
        assert_eq!(page.identity.library_version, "2.5");
    }
    let stage = Stage::new();
    let command = &mut stage.command(&program, HOOK);
    run(command.arg("-l").arg(&library).args(["-p", "tcp", "-T", "completion", "-t", "3", "send:300:100"]));
    assert_eq!(stage.page().totals(), messages(&["send:300:100"], 3));
}

#[test]
fn a_forked_child_has_a_page_of_its_own() {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    run(stage.command(program, HOOK).args(["-f", "send:50:100"]).env("RANK", "3").env("WORLD_SIZE", "8"));
    let pages = stage.pages();
    assert_eq!(pages.len(), 2, "{pages:?}");
    for page in &pages {
        assert_eq!(page.totals(), messages(&["send:50:100"], 1));
    }
    let mut ranks: Vec<_> = pages.iter().map(|page| (page.identity.rank, page.identity.world)).collect();
    ranks.sort_unstable();
    // The child has its parent's environment, but not its place in the job.
    assert_eq!(ranks[0], (3, 8));
    assert!(pages.iter().any(|page| page.identity.rank == page.identity.pid));
}

#[test]
fn children_of_a_program_with_many_threads_end() {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    // Forked while other threads post, read and open: no lock of ours stays held in a child, which ends as programs do.
    run(stage.command(program, HOOK).args(["-m", "-o", "-p", "net", "-t", "8", "send:300:100"]));
    let pages = stage.pages();
    assert_eq!(pages.len(), 1, "children that do not communicate have no page: {pages:?}");
    assert_eq!(pages[0].totals(), messages(&["send:300:100"], 8));
}

#[test]
fn two_libfabrics_in_a_process_are_each_given_their_own() {
    let (Some(program), Some(library)) = (traffic(false), libfabric2()) else { return };
    let run = |way| {
        let stage = Stage::new();
        let mut command = stage.command(&program, way);
        run(command.arg("-2").arg(&library).args(["-p", "tcp;ofi_rxm", "send:50:100"]));
        stage.page()
    };
    assert_eq!(run(HOOK).totals(), [(100, 10_000); 2]);
    // Of what is loaded privately nothing but the inner layers is seen. What matters is that each library opens its own of these.
    let page = run(Way::Preload);
    let counts = page.nic().counts;
    assert_eq!(page.identity.provider, "tcp");
    assert!(counts.tx_done_ops >= 100 && counts.tx_done_bytes > 10_000, "{counts:?}");
}

#[test]
fn a_killed_program_leaves_its_last_values() {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    let output = stage.command(program, HOOK).args(["-k", "send:50:100"]).output().unwrap();
    assert!(!output.status.success());
    let page = stage.page();
    assert_eq!(page.snapshot.liveness, Liveness::Dead);
    let counts = page.nic().counts;
    assert_eq!((counts.tx_done_ops, counts.tx_done_bytes, counts.rx_bytes), (50, 5000, 5000));
}

/// With a thread that would not look again within the test: what happens after a pause wakes it.
#[test]
fn the_first_operation_after_a_pause_is_seen_at_once() {
    let Some(program) = traffic(true) else { return };
    for way in [HOOK, Way::Preload] {
        let stage = Stage::new();
        let mut command = stage.command(&program, way);
        command.args(["-p", "net", "send:50:100", "wait:1:0", "inject:1:7", "wait:1:0"]);
        let mut child = command.env("RAILTOP_HOOK_IDLE_MS", "3600000").stdin(Stdio::piped()).spawn().unwrap();
        let sent = || stage.pages().first().map_or(0, |page| page.nic().counts.tx_done_ops);
        let until = |ops: u64| {
            (0..6000).any(|_| {
                std::thread::sleep(Duration::from_millis(10));
                sent() == ops
            })
        };
        assert!(until(50), "{way:?}");
        let pid = stage.pages()[0].identity.pid;
        let thread = until_some("a thread of the hook's", || thread_of(pid));
        until_it_rests(&thread);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b".").unwrap();
        assert!(until(51), "{way:?}");
        drop(stdin);
        assert!(child.wait().unwrap().success());
        assert_eq!(stage.page().totals(), messages(&["send:50:100", "inject:1:7"], 1));
    }
}

/// Asks until there is an answer, for a minute at most.
fn until_some<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the hook's thread has gone to rest: it waits for a futex then, and between two turns for the time to pass.
fn until_it_rests(thread: &Path) {
    let call = || std::fs::read_to_string(thread.join("syscall"));
    if let Err(error) = call() {
        println!("not seen, but taken to rest after 500 ms: {error}");
        return std::thread::sleep(Duration::from_millis(500));
    }
    let futex = libc::SYS_futex.to_string();
    until_some("the thread rests", || {
        (call().unwrap().split_whitespace().next() == Some(futex.as_str())).then_some(())
    });
}

#[test]
fn a_program_of_one_thread_stays_one_for_the_c_library() {
    let Some(program) = traffic(true) else { return };
    let says = |command: &mut Command| String::from_utf8(run(command).stdout).unwrap();
    for way in [HOOK, Way::Preload] {
        let stage = Stage::new();
        let mut command = stage.command(&program, way);
        let said = says(command.args(["-1", "-p", "net", "send:50:100"]));
        if said == "unknown\n" {
            return println!("skipped: this C library does not tell (glibc does since 2.32)");
        }
        assert_eq!(said, "single\n", "{way:?}");
        assert_eq!(stage.page().totals(), messages(&["send:50:100"], 1));
    }
    // And it can be told.
    let stage = Stage::new();
    assert_eq!(
        says(stage.command(&program, HOOK).args(["-1", "-p", "net", "-t", "2", "send:5:10"])),
        "threads\n"
    );
}

#[test]
fn the_thread_of_the_hook_keeps_nothing_of_the_program() {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    let allowed = status_field(Path::new("/proc/self"), "Cpus_allowed_list:");
    let processor = allowed.split([',', '-']).next().unwrap();
    let mut command = stage.command("taskset", HOOK);
    command.args(["-c", processor]).arg(program).args(["-p", "net", "send:50:100", "wait:1:0"]);
    // Waits until its stdin ends.
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let thread = until_some("a thread of the hook's", || {
        assert!(child.try_wait().unwrap().is_none(), "it has ended, and no thread was seen");
        stage.pages().first().and_then(|page| thread_of(page.identity.pid))
    });
    let field = |name: &str| status_field(&thread, name);
    assert_eq!(u64::from_str_radix(&field("CapEff:"), 16), Ok(0));
    assert_eq!(field("NoNewPrivs:"), "1");
    if std::thread::available_parallelism().unwrap().get() > 1 {
        assert_ne!(field("Cpus_allowed_list:"), processor, "not where the program has bound itself to");
    }
    assert_eq!(
        std::fs::read_dir(thread.join("fd")).unwrap().count(),
        0,
        "it holds none of the program's files"
    );
    let stat = std::fs::read_to_string(thread.join("stat")).unwrap();
    let words: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // proc_pid_stat(5): nice is the 19th, the policy the 41st; the state is the third.
    assert_eq!((words[19 - 3], words[41 - 3]), ("19", libc::SCHED_BATCH.to_string().as_str()));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// A field of the `status` of a process or thread, by its directory in /proc.
fn status_field(directory: &Path, name: &str) -> String {
    let status = std::fs::read_to_string(directory.join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.rsplit('\t').next().unwrap().to_owned()
}

/// Its directory in /proc, once it has settled: the last thing that it gives up are its privileges.
fn thread_of(pid: u32) -> Option<PathBuf> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    tasks.flatten().map(|task| task.path()).find(|path| {
        let text = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
        text("comm") == "railtop-hook\n" && text("status").contains("NoNewPrivs:\t1")
    })
}

#[test]
fn a_page_goes_with_its_process() {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    run(stage.command(program, HOOK).args(["send:50:100"]).env_remove("RAILTOP_HOOK_KEEP"));
    assert!(stage.pages().is_empty());
}

#[test]
fn the_library_brings_two_functions_and_is_never_unloaded() {
    let tool = |program: &str, flags: &[&str]| {
        let output = Command::new(program).args(flags).arg(library()).output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    let (Some(symbols), Some(dynamic)) =
        (tool("nm", &["--dynamic", "--defined-only"]), tool("readelf", &["--dynamic"]))
    else {
        return println!("skipped: no nm and readelf (package binutils)");
    };
    let mut names: Vec<_> = symbols.lines().filter_map(|line| line.split_whitespace().last()).collect();
    names.sort_unstable();
    assert_eq!(names, ["fi_fabric", "fi_prov_ini"]);
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    // Nothing but the C library: not even libfabric.
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    for line in needed {
        assert!(
            ["libc.so", "libgcc_s.so", "ld-linux", "libdl.so", "libpthread.so"]
                .iter()
                .any(|name| line.contains(name)),
            "{line}"
        );
    }
}

#[test]
fn turned_off_it_does_nothing() {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    run(stage.command(program, HOOK).args(["send:50:100"]).env("RAILTOP_HOOK_OFF", "1"));
    assert!(stage.pages().is_empty());
}

#[test]
fn the_inner_layer_is_counted_instead_when_asked_for() {
    let Some(program) = traffic(true) else { return };
    let stage = Stage::new();
    run(stage.command(program, HOOK).args(["send:50:1000"]).env("RAILTOP_HOOK_LAYER", "inner"));
    let page = stage.page();
    let counts = page.nic().counts;
    // The same messages, each with a header of the layer above.
    assert!(counts.tx_done_ops >= 50 && counts.tx_done_bytes > 50_000, "{counts:?}");
    assert_eq!(page.identity.provider, "tcp");
}
