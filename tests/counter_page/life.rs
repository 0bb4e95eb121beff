//! From creation to the end: closed, aborted, stalled, killed, reaped.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use railtop::counters::{
    Liveness, NicCounts, PageDir, PageReader, PageState, PageWriter, PeCounts, STALL_AFTER, monotonic_ns,
};

use crate::{HELPER, helper, page_dir, spec};

#[test]
fn closing_says_so_and_removes_the_name() {
    let (_tmp, dir) = page_dir();
    let mut writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    let mut block = writer.nic_block(0, 0).unwrap();
    let mut reader = PageReader::open(writer.path()).unwrap();
    block.publish(1, &NicCounts { rx_bytes: 9, ..NicCounts::default() });
    drop(writer);
    assert!(dir.scan().unwrap().is_empty());
    let last = reader.read().unwrap();
    assert_eq!((last.state, last.liveness), (PageState::Closed, Liveness::Closed));
    assert_eq!(last.nics[0].counts.rx_bytes, 9);
    block.publish(2, &NicCounts::default()); // The block outlives the writer.
}

#[test]
fn an_aborted_page_stays_until_it_is_reaped() {
    let (_tmp, dir) = page_dir();
    let mut writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    writer.set_state(PageState::Aborted);
    drop(writer);
    let entries = dir.scan().unwrap();
    let snapshot = PageReader::open(&entries[0].path).unwrap().read().unwrap();
    assert_eq!((snapshot.state, snapshot.liveness), (PageState::Aborted, Liveness::Dead));
    assert_eq!(dir.reap(Duration::from_hours(1), monotonic_ns()).unwrap().len(), 0);
    assert_eq!(dir.reap(Duration::ZERO, monotonic_ns()).unwrap().len(), 1);
    assert!(dir.scan().unwrap().is_empty());
}

#[test]
fn a_panic_leaves_an_aborted_page() {
    let (_tmp, dir) = page_dir();
    let writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    let path = writer.path().to_path_buf();
    let thread = std::thread::spawn(move || {
        let _writer = writer;
        std::panic::resume_unwind(Box::new("as a panic does, without the message"));
    });
    assert!(thread.join().is_err());
    let snapshot = PageReader::open(&path).unwrap().read().unwrap();
    assert_eq!((snapshot.state, snapshot.liveness), (PageState::Aborted, Liveness::Dead));
}

#[test]
fn a_writer_that_stops_publishing_is_stalled_until_it_moves() {
    let (_tmp, dir) = page_dir();
    let mut writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    let mut process = writer.process_block().unwrap();
    let mut reader = PageReader::open(writer.path()).unwrap();
    let now = monotonic_ns();
    process.publish(now, &PeCounts::default());
    assert_eq!(reader.read_at(now + 1).unwrap().liveness, Liveness::Live);
    let late = now + 1 + u64::try_from(STALL_AFTER.as_nanos()).unwrap();
    let stalled = Liveness::Stalled { age: STALL_AFTER + Duration::from_nanos(1) };
    assert_eq!(reader.read_at(late).unwrap().liveness, stalled);
    // A clock of another time namespace: far behind ours, but it moves.
    process.publish(now + 2, &PeCounts::default());
    assert_eq!(reader.read_at(late).unwrap().liveness, Liveness::Live);
    assert_eq!(dir.reap(Duration::ZERO, late).unwrap().len(), 0, "never a live page");
}

/// Publishes, starts a child that outlives it, and waits: to be killed, or for the end of its input.
#[test]
fn helper_publishes_and_waits() {
    let Some(dir) = std::env::var_os(HELPER) else {
        return;
    };
    let dir = PageDir::create(Path::new(&dir)).unwrap();
    let mut writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    let mut block = writer.nic_block(0, 0).unwrap();
    block.publish(monotonic_ns(), &NicCounts { tx_posted_ops: 11, ..NicCounts::default() });
    writer.set_state(PageState::Running);
    // `cat` lives until this test's standard input, which it shares, is closed by the parent.
    let mut child = Command::new("cat").stdout(Stdio::null()).spawn().unwrap();
    println!("ready");
    child.wait().unwrap();
}

#[test]
fn a_killed_writer_is_dead_though_its_child_lives_and_is_reaped_later() {
    use std::io::{BufRead, BufReader};
    let (_tmp, dir) = page_dir();
    let mut child = helper("life::helper_publishes_and_waits", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take();
    let out = BufReader::new(child.stdout.take().unwrap());
    assert!(out.lines().map_while(Result::ok).any(|line| line.ends_with("ready")));

    let path = dir.scan().unwrap()[0].path.clone();
    let mut reader = PageReader::open(&path).unwrap();
    assert_eq!(reader.identity().pid, child.id());
    let now = monotonic_ns();
    // As of when it published: it may be longer ago than makes a page stalled.
    let published = reader.read().unwrap().heartbeat_ns;
    assert_eq!(reader.read_at(published).unwrap().liveness, Liveness::Live);
    assert!(dir.reap(Duration::ZERO, u64::MAX).unwrap().is_empty(), "never a live page");

    child.kill().unwrap();
    child.wait().unwrap();
    // The writer's child holds a copy of the lock until it has become `cat`: spawning it returns a little earlier, since
    // the kernel wakes the parent before it closes what is to be closed on exec.
    let begun = Instant::now();
    let snapshot = loop {
        let snapshot = reader.read().unwrap();
        if snapshot.liveness == Liveness::Dead || begun.elapsed() > Duration::from_secs(120) {
            break snapshot;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!((snapshot.state, snapshot.liveness), (PageState::Running, Liveness::Dead));
    assert_eq!(snapshot.nics[0].counts.tx_posted_ops, 11);
    assert_eq!(PageReader::open(&path).unwrap().read().unwrap().liveness, Liveness::Dead);

    let ttl = Duration::from_secs(30);
    assert!(dir.reap(ttl, now).unwrap().is_empty(), "readable for a while");
    let later = snapshot.heartbeat_ns + 31_000_000_000;
    assert_eq!(dir.reap(ttl, later).unwrap(), [path]);
    assert_eq!(reader.read().unwrap().nics[0].counts.tx_posted_ops, 11, "an open page stays");
    drop(stdin);
}
