//! A NIC that its PE does without, as the monitor's commands tell of it.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails, fails the test")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use railtop::counters::{
    NicBlock, NicCounts, NicIdentity, PageDir, PageSpec, PageWriter, RxSource, monotonic_ns,
};
use railtop::monitor::model::Model;
use railtop::monitor::record::Recording;
use serde_json::Value;

#[path = "support/look.rs"]
#[expect(dead_code, reason = "other files use the rest")]
mod look;

use look::{AHEAD_NS, look, reads_pages_of};

/// PE 3 with three NICs, of which the last can fail.
struct Pe {
    dir: tempfile::TempDir,
    writer: PageWriter,
    blocks: Vec<NicBlock>,
    /// What has been moved over each.
    moved: [u64; 3],
}

/// What the PE shall do: bit 0, nic2 is down; bit 1, end. Above that, how often nic2 has failed.
const DOWN: u64 = 1;
const END: u64 = 2;
const FAILURE: u64 = 4;

impl Pe {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let spec = PageSpec {
            node: "node0".to_owned(),
            job: "job1".to_owned(),
            rank: 3,
            world: 4,
            threads: 1,
            rx_source: RxSource::CqeLen,
            nics: (0..3)
                .map(|i| NicIdentity { netdev: format!("nic{i}"), ..NicIdentity::default() })
                .collect(),
            ..PageSpec::default()
        };
        let mut writer =
            PageWriter::create(&PageDir::create(&dir.path().join("pages")).unwrap(), &spec).unwrap();
        let blocks = (0..3).map(|nic| writer.nic_block(0, nic).unwrap()).collect();
        Self { dir, writer, blocks, moved: [0; 3] }
    }

    fn railtop(&self, args: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("railtop"));
        command
            .env("RAILTOP_PAGE_DIR", self.dir.path().join("pages"))
            .env(
                "RAILTOP_SYSFS_ROOT",
                Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys/no-module"),
            )
            .stdin(Stdio::null())
            .args(args);
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes the page one of version 1.0: its schema has no line for later fields.
    fn forget_later_fields(&self) {
        let path = self.writer.path().to_owned();
        let mut page = fs::read(&path).unwrap();
        for field in NicCounts::FIELDS.iter().filter(|field| field.since_minor > 0) {
            let mut name = field.name.as_bytes().to_vec();
            name.resize(32, 0);
            let at = page.windows(32).position(|part| part == name).unwrap();
            // A line of the schema for a section that nobody knows.
            page[at - 32] = 99;
        }
        page[10] = 0;
        // In place: the file is the writer's, and it is mapped.
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &page, 0).unwrap();
    }
}

/// Moves 1 MB a millisecond over each NIC that works, as `orders` say; `turns` counts.
fn work(blocks: &mut [NicBlock], moved: &mut [u64; 3], orders: &AtomicU64, turns: &AtomicU64) {
    loop {
        let order = orders.load(Ordering::Acquire);
        if order & END != 0 {
            return;
        }
        for (i, (block, moved)) in blocks.iter_mut().zip(&mut *moved).enumerate() {
            let down = u64::from(i == 2 && order & DOWN != 0);
            *moved += (1 - down) * 1_000_000;
            let counts = NicCounts {
                tx_posted_bytes: *moved,
                tx_done_bytes: *moved,
                tx_posted_ops: *moved / 10_000,
                tx_done_ops: *moved / 10_000,
                rx_bytes: *moved,
                rx_ops: *moved / 10_000,
                down,
                failures: if i == 2 { order / FAILURE } else { 0 },
                resent_bytes: if i == 2 { 0 } else { 5_000 * (order / FAILURE) },
                ..NicCounts::default()
            };
            block.publish(monotonic_ns() + AHEAD_NS, &counts);
        }
        turns.fetch_add(1, Ordering::Release);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a command says while the PE works, with nic2 down or not.
fn said(pe: &mut Pe, order: u64, args: &[&str]) -> Output {
    let mut command = pe.railtop(args);
    while_it_works(pe, order, |_| command.output().unwrap())
}

/// What `check` says after 200 turns of the PE: those that come between two reads of NICs are next to nothing then.
fn checked(pe: &mut Pe, order: u64, args: &[&str]) -> Output {
    let mut command = pe.railtop(&["check"]);
    command.args(args);
    let pages = pe.path("pages");
    while_it_works(pe, order, |turns| look(&mut command, |id| reads_pages_of(id, &pages), turns))
}

/// Does something while the PE works, once it has had its first turn.
fn while_it_works<T>(pe: &mut Pe, order: u64, something: impl FnOnce(&AtomicU64) -> T) -> T {
    let (orders, turns) = (AtomicU64::new(order), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| work(&mut pe.blocks, &mut pe.moved, &orders, &turns));
        let begun = std::time::Instant::now();
        while turns.load(Ordering::Acquire) == 0 && begun.elapsed() < Duration::from_secs(60) {
            std::thread::yield_now();
        }
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| something(&turns)));
        orders.store(END, Ordering::Release);
        done.unwrap()
    })
}

fn stdout(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn check_says_why_the_others_carry_more() {
    let mut pe = Pe::new();
    let text = stdout(&checked(&mut pe, DOWN | FAILURE, &[]), 1);
    let line = "job1/node0/3: nic2 is down, its work goes over the others\n";
    assert_eq!(text.matches(line).count(), 1, "once for both directions: {text}");
    assert!(!text.contains("far less than the others"), "one that is down is not slow: {text}");
    let json = ["--format", "json"];
    let report: Value = serde_json::from_str(&stdout(&checked(&mut pe, DOWN | FAILURE, &json), 1)).unwrap();
    assert_eq!(report["groups"][0]["down"], serde_json::json!(["nic2"]));
    assert_eq!((report["groups"][0].get("was_down"), report["groups"][0].get("slow")), (None, None));
    let report: Value = serde_json::from_str(&stdout(&checked(&mut pe, FAILURE, &json), 0)).unwrap();
    assert_eq!(report["groups"][0].get("down"), None, "it works again");
}

#[test]
fn list_names_it_and_knows_nothing_of_a_page_of_version_1_0() {
    let mut pe = Pe::new();
    let text = stdout(&said(&mut pe, DOWN | FAILURE, &["list"]), 0);
    assert!(text.contains("nic2 of PE 3 of job job1 is down, its work goes over the others\n"), "{text}");
    let json = ["list", "--format", "json"];
    let list =
        |pe: &mut Pe, order| -> Value { serde_json::from_str(&stdout(&said(pe, order, &json), 0)).unwrap() };
    let now = list(&mut pe, DOWN | FAILURE);
    let down: Vec<_> = now["nics"].as_array().unwrap().iter().map(|nic| nic.get("down").cloned()).collect();
    assert_eq!(down, [Some(false.into()), Some(false.into()), Some(true.into())]);
    assert_eq!(now["pes"][0]["down"], serde_json::json!(["nic2"]));
    assert_eq!(list(&mut pe, 0)["pes"][0].get("down"), None);
    pe.forget_later_fields();
    let old = list(&mut pe, DOWN | FAILURE);
    assert_eq!((old["nics"][2].get("down"), old["pes"][0].get("down")), (None, None), "{old}");
    assert_eq!(old["nics"].as_array().unwrap().len(), 3);
}

#[test]
fn log_has_the_flag_the_key_and_the_fields_and_none_of_them_for_a_page_of_version_1_0() {
    let mut pe = Pe::new();
    let last = |text: &str| -> Value { serde_json::from_str(text.lines().last().unwrap()).unwrap() };
    let log = ["log", "-n", "2", "-i", "50ms"];
    let record = last(&stdout(&said(&mut pe, DOWN | FAILURE, &log), 0));
    assert_eq!((&record["dev"], &record["down"]), (&"nic2".into(), &true.into()));
    assert_eq!(record["flags"], serde_json::json!(["down"]));
    assert_eq!((&record["counters"]["down"], &record["counters"]["failures"]), (&1.into(), &1.into()));
    let record = last(&stdout(&said(&mut pe, FAILURE, &log), 0));
    assert_eq!(
        (&record["down"], record.get("flags"), &record["counters"]["failures"]),
        (&false.into(), None, &1.into())
    );
    let table =
        stdout(&said(&mut pe, DOWN | FAILURE, &["log", "-n", "2", "-i", "50ms", "--format", "table"]), 0);
    assert!(table.lines().last().unwrap().ends_with(" down"), "{table}");
    let csv = stdout(&said(&mut pe, DOWN | FAILURE, &["log", "-n", "2", "-i", "50ms", "--format", "csv"]), 0);
    // The column before the last.
    let down = |line: &str| line.rsplit(',').nth(1).unwrap_or_default().to_owned();
    let downs: Vec<String> = csv.lines().map(down).collect();
    assert_eq!((downs[0].as_str(), downs.last().unwrap().as_str()), ("down", "true"), "{csv}");
    assert!(downs.iter().any(|down| down == "false"), "{csv}");

    pe.forget_later_fields();
    let record = last(&stdout(&said(&mut pe, DOWN | FAILURE, &log), 0));
    assert_eq!((&record["dev"], record.get("down"), record.get("flags")), (&"nic2".into(), None, None));
    assert!(record["tx_bytes"].is_u64(), "{record}");
    for field in NicCounts::FIELDS {
        assert_eq!(record["counters"].get(field.name).is_none(), field.since_minor > 0, "{}", field.name);
    }
    let csv = stdout(&said(&mut pe, DOWN | FAILURE, &["log", "-n", "2", "-i", "50ms", "--format", "csv"]), 0);
    assert_eq!(down(csv.lines().last().unwrap()), "", "{csv}");
}

#[test]
fn failing_and_being_used_again_are_events_and_a_replay_tells_the_same() {
    let mut pe = Pe::new();
    let (file, config) = (pe.path("a.rec"), pe.path("config.toml"));
    fs::write(&config, "[thresholds]\nnic-used-hold = \"100ms\"\n").unwrap();
    let config = config.to_str().unwrap();
    let mut log =
        pe.railtop(&["--config", config, "log", "-n", "100000", "-i", "20ms", "--events", "--record"]);
    log.arg(&file);
    let (orders, turns) = (AtomicU64::new(0), AtomicU64::new(0));
    let lines = std::thread::scope(|scope| {
        scope.spawn(|| work(&mut pe.blocks, &mut pe.moved, &orders, &turns));
        let told = (|| {
            let mut log = log.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
            let mut lines = Vec::new();
            for line in BufReader::new(log.stdout.take()?).lines() {
                let line = line.ok()?;
                // The second tick has been written: the NIC was known to work.
                let wanted = match lines.len() {
                    6 => Some(DOWN | FAILURE),
                    _ if line.contains("nic_failed") => Some(FAILURE),
                    _ => None,
                };
                if let Some(order) = wanted {
                    orders.store(order, Ordering::Release);
                }
                if line.contains("nic_used_again") {
                    nix::sys::signal::kill(
                        nix::unistd::Pid::from_raw(i32::try_from(log.id()).ok()?),
                        nix::sys::signal::Signal::SIGINT,
                    )
                    .ok()?;
                }
                lines.push(line);
            }
            log.wait().ok()?.success().then_some(lines)
        })();
        orders.store(END, Ordering::Release);
        told.unwrap()
    });
    let events: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["type"] == "event")
        .collect();
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["nic_failed", "nic_used_again"], "{events:?}");
    assert_eq!(events[0]["subject"], "node0 PE 3");
    assert_eq!(events[0]["text"], "PE 3: nic2 failed; its work goes over the others.");
    assert_eq!(events[0]["severity"], "bad");
    let again = events[1]["text"].as_str().unwrap();
    assert!(
        again.starts_with("PE 3: nic2 is used again; it was not for ") && again.ends_with(" s."),
        "{again}"
    );

    let records: Vec<&String> = lines.iter().filter(|line| !line.contains("\"type\":\"event\"")).collect();
    let replayed = stdout(&pe.railtop(&["replay", "--format", "jsonl"]).arg(&file).output().unwrap(), 0);
    assert_eq!(replayed.lines().collect::<Vec<_>>(), records);
    assert!(replayed.contains("\"down\":true") && replayed.contains("\"flags\":[\"down\"]"));
    assert_eq!(events_of(&file), ["PE 3: nic2 failed; its work goes over the others."]);
}

/// What a recording tells with the usual thresholds, under which nothing is used again so soon.
fn events_of(file: &Path) -> Vec<String> {
    let mut recording = Recording::open(file).unwrap();
    let mut model = Model::new("host".to_owned());
    let mut events = Vec::new();
    for tick in 0..recording.len() {
        let sample = recording.read(tick).unwrap().sample;
        events = model.update(&sample, Duration::from_millis(20)).view.events.to_vec();
    }
    events.into_iter().map(|event| event.text).collect()
}
