//! `railtop run` and `railtop list --hook`; and our own transport, whose page of its own the hook's page must equal.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use railtop::counters::{
    NicCounts, NicIdentity, PageDir, PageReader, PageSpec, PageState, PageWriter, RxSource, monotonic_ns,
};

/// The hook's library of this very build, which is a development dependency for this.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let library = test.parent().unwrap().join("librailtop_hook.so");
    assert!(library.is_file(), "{} has not been built", library.display());
    library
}

struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("railtop-hook-").tempdir_in("/dev/shm").unwrap() }
    }

    fn pages(&self) -> PathBuf {
        self.dir.path().join("pages")
    }

    fn railtop(&self, args: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("railtop"));
        command.args(args).stdin(Stdio::null()).env("RAILTOP_HOOK", library());
        command.env("RAILTOP_PAGE_DIR", self.pages());
        for name in ["FI_HOOK", "FI_PROVIDER", "FI_PROVIDER_PATH", "LD_PRELOAD", "RANK", "WORLD_SIZE"] {
            command.env_remove(name);
        }
        for name in ["OFF", "LAYER", "FAULT", "KEEP", "IDLE_MS"] {
            command.env_remove(format!("RAILTOP_HOOK_{name}"));
        }
        command
    }
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn run_sets_what_libfabric_looks_at_and_becomes_the_command() {
    let stage = Stage::new();
    let show = r#"echo "$FI_HOOK|${FI_PROVIDER_PATH%%:*}|$LD_PRELOAD""#;
    let text = stdout(&mut stage.railtop(&["run", "--", "sh", "-c", show]));
    let dir = stage.pages().join(".hook");
    assert_eq!(text.trim(), format!("railtop|{}|", dir.display()));
    // cargo's name for the file is none that libfabric would load, so there is a link that is.
    assert_eq!(std::fs::read_link(dir.join("librailtop_hook-fi.so")).unwrap(), library());

    let text = stdout(
        stage.railtop(&["run", "sh", "-c", show]).env("FI_HOOK", "perf").env("FI_PROVIDER_PATH", "/mine"),
    );
    assert_eq!(text.trim(), format!("railtop;perf|{}|", dir.display()));
    let text = stdout(
        stage
            .railtop(&["run", "--", "sh", "-c", "echo ${FI_PROVIDER_PATH#*:}"])
            .env("FI_PROVIDER_PATH", "/mine"),
    );
    assert_eq!(text.trim(), "/mine");

    let text = stdout(&mut stage.railtop(&["run", "--preload", "--", "sh", "-c", show]));
    assert_eq!(text.trim(), format!("||{}", library().display()));

    let output = stage.railtop(&["run", "--", "sh", "-c", "exit 7"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn run_says_what_is_wrong() {
    let stage = Stage::new();
    let run = |args: &[&str], hook: &str| {
        let output = stage.railtop(args).env("RAILTOP_HOOK", hook).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = run(&["run", "--", "true"], "/nowhere/librailtop_hook-fi.so");
    assert_eq!(code, Some(2));
    assert!(text.contains("RAILTOP_HOOK=/nowhere/librailtop_hook-fi.so is not a file"), "{text}");
    let there = library();
    let (code, text) = run(&["run", "--", "/nowhere/program"], there.to_str().unwrap());
    assert_eq!(code, Some(1));
    assert!(text.contains("cannot run /nowhere/program"), "{text}");
    assert_eq!(run(&["run"], there.to_str().unwrap()).0, Some(2));
    assert_eq!(run(&["run", "--hook", "--preload", "true"], there.to_str().unwrap()).0, Some(2));
}

#[test]
fn list_says_whether_programs_can_be_hooked() {
    let stage = Stage::new();
    let output = stage.railtop(&["list", "--hook", "--format", "json"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() && text.contains("libfabric") {
        return println!("skipped: no libfabric");
    }
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["file"], library().to_str().unwrap());
    assert_eq!(object["way"], "hook");
    assert!(object["provider_dir"].as_str().unwrap().starts_with('/'));

    let mut command = stage.railtop(&["list", "--hook"]);
    let output = command.env("RAILTOP_LIBFABRIC", "/nowhere/libfabric.so.1").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("cannot be hooked"));
}

#[test]
fn the_monitor_shows_what_a_hooked_program_cannot_know_as_missing() {
    let stage = Stage::new();
    let spec = PageSpec {
        node: "node0".to_owned(),
        rank: 7,
        nics: vec![NicIdentity { netdev: "nic0".to_owned(), ..NicIdentity::default() }],
        threads: 1,
        uncounted: vec!["down", "signal_tx_ops"],
        onlooker: true,
        ..PageSpec::default()
    };
    let mut writer = PageWriter::create(&PageDir::create(&stage.pages()).unwrap(), &spec).unwrap();
    let counts = NicCounts { tx_done_bytes: 5, rx_ops: 2, seen_rx_bytes: 700, ..NicCounts::default() };
    writer.nic_block(0, 0).unwrap().publish(monotonic_ns(), &counts);
    let show = ["log", "-n", "1", "--source", "page", "--format", "jsonl"];
    let row = || -> serde_json::Value {
        let text = stdout(&mut stage.railtop(&show));
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    };
    let unknown = row();
    assert_eq!((&unknown["pe"], &unknown["tx_bytes"]), (&7.into(), &5.into()));
    assert!(unknown.get("rx_bytes").is_none() && unknown.get("rx_ops").is_none(), "{unknown}");
    let counters = &unknown["counters"];
    assert_eq!(counters["seen_rx_bytes"], 700);
    assert!(counters.get("rx_ops").is_none() && counters.get("down").is_none(), "{counters}");
    assert!(counters.get("signal_tx_ops").is_none() && counters["signal_rx_ops"] == 0, "{counters}");
    assert!(unknown["reason"].as_str().unwrap().contains("peers write into its memory"), "{unknown}");
    // A program whose every arrival has a completion.
    writer.set_rx_source(RxSource::CqeLen);
    assert_eq!(row()["rx_ops"], 2);
}

/// A PE's own counts and the hook's, by rank.
type Pairs = HashMap<u32, [Option<(NicCounts, RxSource)>; 2]>;

/// A full pipe for a program's stdout: it goes no further than its first line until somebody reads.
struct Gate(File);

impl Gate {
    fn closed(path: &Path) -> Self {
        mkfifo(path, Mode::S_IRWXU).unwrap();
        // Open for both, so that nobody waits for the other end and there always is one.
        let both = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path);
        let mut gate = Self(both.unwrap());
        while Self::moved(gate.0.write(&[0; 4096])) {}
        gate
    }

    /// Takes out all that is in it by now.
    fn open(&mut self) {
        while Self::moved(self.0.read(&mut [0; 4096])) {}
    }

    fn moved(result: std::io::Result<usize>) -> bool {
        match result {
            Ok(bytes) => bytes > 0,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        }
    }
}

/// Keeps open whatever appears, lets the child go on once that are `pages`, and reads them when it has ended.
fn watch(dir: &Path, child: &mut Child, gate: &mut Gate, pages: usize) -> Pairs {
    let mut readers: HashMap<PathBuf, PageReader> = HashMap::new();
    // Without them it goes on as well, so that it ends and what is missing can be said.
    let in_time = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if readers.len() >= pages || Instant::now() > in_time {
            gate.open();
        }
        let entries = PageDir::open(dir).and_then(|dir| dir.scan()).unwrap_or_default();
        for entry in entries {
            if !readers.contains_key(&entry.path)
                && let Ok(reader) = PageReader::open(&entry.path)
            {
                readers.insert(entry.path, reader);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut pairs = Pairs::new();
    for mut reader in readers.into_values() {
        let snapshot = reader.read().unwrap();
        assert_eq!(snapshot.state, PageState::Closed);
        assert_eq!(snapshot.nics.len(), 1);
        // The transport says its policy; the hook knows of none.
        let hook = usize::from(snapshot.policy.is_empty());
        let place = &mut pairs.entry(reader.identity().rank).or_default()[hook];
        assert!(
            place.replace((snapshot.nics[0].counts, snapshot.rx_source)).is_none(),
            "two pages of a kind"
        );
    }
    pairs
}

#[test]
fn the_hook_counts_what_our_own_transport_counts() {
    let stage = Stage::new();
    let list = stage.railtop(&["list", "--hook"]).output().unwrap();
    if list.status.code() == Some(3) && String::from_utf8_lossy(&list.stderr).contains("libfabric") {
        return println!("skipped: no libfabric");
    }
    let program = assert_cmd::cargo::cargo_bin!("railtop").to_str().unwrap();
    let lab = ["lab", "--loopback", "--nodes", "2", "--pes-per-node", "1", "--nics-per-pe", "1", "--"];
    // 64 KiB travel as they are, 64 B within frames.
    let bench = ["bench", "alltoall", "-b", "64", "-e", "64K", "-f", "32", "-n", "300", "-w", "5"];
    // PE 0 says what it is about to do when the pages are there, and no PE does anything without it.
    let path = stage.dir.path().join("gate");
    let mut gate = Gate::closed(&path);
    let to_gate = ["sh", "-c", r#"exec "$@" >"$0""#, path.to_str().unwrap()];
    let args = [&lab[..], &to_gate, &[program, "run", "--", program], &bench].concat();
    let mut child = stage.railtop(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pairs = watch(&stage.pages(), &mut child, &mut gate, 4);
    assert!(child.wait().unwrap().success());
    assert_eq!(pairs.len(), 2, "{pairs:?}");
    for (rank, [own, hook]) in pairs {
        let (own, _) = own.expect("a page of its own");
        let (hook, rx_source) = hook.expect("a page of the hook's");
        // All that a PE has sent: its puts, its protocol's own messages, and what it has tried its NIC out with before it counted.
        let sent = own.tx_done_bytes + own.control_tx_bytes + own.setup_tx_bytes;
        assert_eq!(hook.tx_done_bytes, sent, "PE {rank}: {own:?} {hook:?}");
        assert!(
            own.setup_tx_bytes >= 64,
            "PE {rank}: a put of 64 bytes, the frame that closes it, an acknowledgement"
        );
        assert_eq!(hook.tx_done_bytes, hook.tx_posted_bytes);
        assert_eq!(hook.tx_done_ops, hook.tx_posted_ops);
        // Peers write into its memory, and not all that do need say so.
        assert_eq!(rx_source, RxSource::None);
    }
}
