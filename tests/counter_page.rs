//! The counter page from both ends: what a writer publishes is what a reader sees.

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use railtop::counters::{
    Liveness, NicCounts, NicIdentity, PageDir, PageError, PageReader, PageSpec, PageState,
    PageWriter, PeCounts, ReadError, RxSource, STALL_AFTER, monotonic_ns,
};
use tempfile::TempDir;

fn spec(nics: usize, threads: u16) -> PageSpec {
    PageSpec {
        host: "host-a".into(),
        node: "n0".into(),
        job: "42".into(),
        command: "bench alltoall".into(),
        provider: "tcp;ofi_rxm".into(),
        library_version: "1.17".into(),
        rank: 3,
        world: 8,
        local_rank: 1,
        policy: "pair-seq".into(),
        rx_source: RxSource::Ledger,
        gpu: "0000:4e:00.0".into(),
        nics: (0..nics)
            .map(|i| NicIdentity {
                domain: format!("rdmap{i}s0-rdm"),
                device: format!("rdmap{i}s0"),
                netdev: String::new(),
                pci: format!("0000:4f:0{i}.0"),
                numa: (i > 0).then_some(1),
                port: 1,
                link_bits_per_s: (i > 0).then_some(200_000_000_000),
                rail: u16::try_from(i).unwrap(),
            })
            .collect(),
        threads,
    }
}

/// A directory of pages for one test. The temporary directory has mode 0700.
fn page_dir() -> (TempDir, PageDir) {
    let tmp = tempfile::tempdir_in("/dev/shm").unwrap();
    let dir = PageDir::create(&tmp.path().join("pages")).unwrap();
    (tmp, dir)
}

#[test]
fn a_reader_sees_what_the_writer_published() {
    let (_tmp, dir) = page_dir();
    let mut writer = PageWriter::create(&dir, &spec(2, 2)).unwrap();
    let mut reader = PageReader::open(writer.path()).unwrap();

    let id = reader.identity().clone();
    assert_eq!((id.rank, id.world, id.local_rank, id.threads), (3, 8, 1, 2));
    assert_eq!(
        (id.host.as_str(), id.command.as_str()),
        ("host-a", "bench alltoall")
    );
    assert_eq!(
        (id.gpu.as_str(), id.provider.as_str()),
        ("0000:4e:00.0", "tcp;ofi_rxm")
    );
    assert_eq!(id.nics, spec(2, 2).nics);
    assert_eq!(id.pid, std::process::id());
    assert!(id.start_ticks.is_some() && id.boot_id.is_some() && id.net_ns.is_some());

    let first = reader.read().unwrap();
    assert_eq!(
        (first.state, first.liveness),
        (PageState::Init, Liveness::Live)
    );
    assert_eq!((first.policy.as_str(), first.policy_epoch), ("pair-seq", 0));
    assert_eq!(first.nics[1].published_ns, 0);

    let mut block = writer.nic_block(0, 1).unwrap();
    let mut other = writer.nic_block(1, 1).unwrap();
    let mut process = writer.process_block().unwrap();
    assert!(writer.nic_block(0, 1).is_none() && writer.nic_block(0, 2).is_none());
    assert!(writer.nic_block(2, 0).is_none() && writer.process_block().is_none());
    let counts = NicCounts::from_array(std::array::from_fn(|i| i as u64 + 1));
    block.publish(monotonic_ns(), &counts);
    other.publish(77, &counts);
    process.publish(
        monotonic_ns(),
        &PeCounts {
            barriers: 5,
            ..PeCounts::default()
        },
    );
    writer.set_state(PageState::Running);
    writer.set_rx_source(RxSource::ImmLen);
    writer.set_policy("round-robin");

    let now = reader.read().unwrap();
    assert_eq!(now.nics[0].counts, NicCounts::default());
    assert_eq!(now.nics[1].counts, counts + counts);
    assert!(!now.nics[1].torn && !now.process_torn && now.nics[1].extras.is_empty());
    assert_eq!(
        (now.state, now.rx_source),
        (PageState::Running, RxSource::ImmLen)
    );
    assert_eq!((now.policy.as_str(), now.policy_epoch), ("round-robin", 1));
    assert_eq!(now.process.barriers, 5);
}

#[test]
fn closing_says_so_and_removes_the_name() {
    let (_tmp, dir) = page_dir();
    let mut writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    let mut block = writer.nic_block(0, 0).unwrap();
    let mut reader = PageReader::open(writer.path()).unwrap();
    block.publish(
        1,
        &NicCounts {
            rx_bytes: 9,
            ..NicCounts::default()
        },
    );
    drop(writer);
    assert!(dir.scan().unwrap().is_empty());
    let last = reader.read().unwrap();
    assert_eq!(
        (last.state, last.liveness),
        (PageState::Closed, Liveness::Closed)
    );
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
    assert_eq!(
        (snapshot.state, snapshot.liveness),
        (PageState::Aborted, Liveness::Dead)
    );
    assert_eq!(
        dir.reap(Duration::from_hours(1), monotonic_ns())
            .unwrap()
            .len(),
        0
    );
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
    assert_eq!(
        (snapshot.state, snapshot.liveness),
        (PageState::Aborted, Liveness::Dead)
    );
}

#[test]
fn pages_of_one_process_and_rank_get_different_names() {
    let (_tmp, dir) = page_dir();
    let a = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    let b = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    assert_ne!(a.path(), b.path());
    assert_eq!(dir.scan().unwrap().len(), 2);
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
    let stalled = Liveness::Stalled {
        age: STALL_AFTER + Duration::from_nanos(1),
    };
    assert_eq!(reader.read_at(late).unwrap().liveness, stalled);
    // A clock of another time namespace: far behind ours, but it moves.
    process.publish(now + 2, &PeCounts::default());
    assert_eq!(reader.read_at(late).unwrap().liveness, Liveness::Live);
    assert_eq!(
        dir.reap(Duration::ZERO, late).unwrap().len(),
        0,
        "never a live page"
    );
}

#[test]
fn long_and_hostile_texts_are_cut_and_cleaned() {
    let (_tmp, dir) = page_dir();
    let mut spec = spec(1, 1);
    spec.host = "é".repeat(100);
    spec.command = "\u{1b}]0;title\u{7}ls\n".into();
    let mut writer = PageWriter::create(&dir, &spec).unwrap();
    writer.set_policy(&"p".repeat(1000));
    let mut reader = PageReader::open(writer.path()).unwrap();
    assert_eq!(reader.identity().host, "é".repeat(32));
    assert_eq!(reader.identity().command, "]0;titlels");
    assert_eq!(reader.read().unwrap().policy, "p".repeat(32));
}

#[test]
fn a_spec_without_or_with_too_many_nics_is_refused() {
    let (_tmp, dir) = page_dir();
    for (nics, threads) in [(0, 1), (65, 1), (1, 0), (1, 65)] {
        let error = PageWriter::create(&dir, &spec(nics, threads)).unwrap_err();
        assert!(matches!(error, PageError::TooMany { .. }), "{error}");
    }
    assert!(PageWriter::create(&dir, &spec(64, 64)).is_ok());
}

#[test]
fn directories_of_others_links_and_shared_ones_are_refused() {
    let tmp = tempfile::tempdir_in("/dev/shm").unwrap();
    let link = tmp.path().join("link");
    symlink(tmp.path(), &link).unwrap();
    assert!(matches!(
        PageDir::create(&link),
        Err(PageError::NotADirectory { .. })
    ));
    let file = tmp.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(
        PageDir::open(&file),
        Err(PageError::NotADirectory { .. })
    ));
    let shared = tmp.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let error = PageDir::create(&shared).unwrap_err();
    assert!(
        matches!(error, PageError::SharedDirectory { .. }),
        "{error}"
    );
    assert!(
        PageDir::open(&tmp.path().join("none"))
            .unwrap_err()
            .is_not_found()
    );

    let made = PageDir::create(&tmp.path().join("made")).unwrap();
    assert_eq!(
        fs::metadata(made.path()).unwrap().permissions().mode() & 0o777,
        0o700
    );

    let foreign = tmp.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    if std::os::unix::fs::chown(&foreign, Some(4711), None).is_ok() {
        let error = PageDir::create(&foreign).unwrap_err();
        assert!(
            matches!(error, PageError::ForeignDirectory { owner: 4711, .. }),
            "{error}"
        );
        assert!(PageDir::open(&foreign).is_ok(), "root reads everybody's");
    } else {
        eprintln!("skipped: a foreign directory needs root");
    }
}

#[test]
fn a_page_directory_is_chosen_by_the_environment() {
    // In a child: the environment of this process belongs to all its threads.
    let (tmp, dir) = page_dir();
    let _writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    let output = helper("helper_scans_all", dir.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("found 1 page and 0 problems"), "{text}");
    let shared = tmp.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let output = helper("helper_scans_all", &shared).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("found 0 page and 1 problems"), "{text}");
}

#[test]
fn helper_scans_all() {
    if std::env::var_os(HELPER).is_some() {
        let scan = PageDir::scan_all();
        println!(
            "found {} page and {} problems",
            scan.entries.len(),
            scan.problems.len()
        );
    }
}

#[test]
fn files_that_are_no_pages_are_refused_and_never_reaped() {
    let (_tmp, dir) = page_dir();
    let at = |name: &str| dir.path().join(name);
    let open = |name: &str| PageReader::open(&at(name)).unwrap_err();

    fs::write(at("text"), "this is not a counter page").unwrap();
    assert!(matches!(open("text"), ReadError::NotAPage));
    fs::write(at("empty"), "").unwrap();
    assert!(matches!(open("empty"), ReadError::Truncated { .. }));
    fs::write(at("zero"), vec![0; 8192]).unwrap();
    assert!(matches!(open("zero"), ReadError::NotReady));
    let writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    symlink(writer.path(), at("link")).unwrap();
    assert!(matches!(open("link"), ReadError::NotRegular));
    fs::create_dir(at("dir")).unwrap();
    assert!(matches!(open("dir"), ReadError::NotRegular));
    // Without O_NONBLOCK this would wait for a writer for ever.
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(open("fifo"), ReadError::NotRegular));
    let large = fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(at("large"))
        .unwrap();
    large.set_len((16 << 20) + 1).unwrap();
    assert!(matches!(open("large"), ReadError::TooLarge { .. }));
    assert!(open("nothing").is_gone());

    let before = dir.scan().unwrap();
    assert_eq!(
        dir.reap(Duration::ZERO, u64::MAX).unwrap(),
        Vec::<std::path::PathBuf>::new()
    );
    assert_eq!(dir.scan().unwrap(), before);
}

#[test]
fn pages_of_others_are_refused() {
    let (_tmp, dir) = page_dir();
    let writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    if std::os::unix::fs::chown(writer.path(), Some(4711), None).is_err() {
        eprintln!("skipped: a foreign file needs root");
        return;
    }
    let error = PageReader::open(writer.path()).unwrap_err();
    assert!(
        matches!(error, ReadError::WrongOwner { owner: 4711 }),
        "{error}"
    );
    std::os::unix::fs::chown(dir.path(), Some(4711), None).unwrap();
    assert!(
        PageReader::open(writer.path()).is_ok(),
        "the directory's owner may"
    );
    assert_eq!(
        PageReader::open(writer.path()).unwrap().identity().uid,
        4711
    );
}

/// Tells a test of this binary, run as a child, that it is a helper and where its directory is.
const HELPER: &str = "RAILTOP_TEST_HELPER";

fn helper(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]);
    command
        .env(HELPER, dir)
        .env(railtop::counters::PAGE_DIR_ENV, dir)
        .stderr(Stdio::null());
    command
}

/// Publishes, starts a child that outlives it, and waits to be killed.
#[test]
fn helper_publishes_and_waits() {
    use std::io::Read;
    let Some(dir) = std::env::var_os(HELPER) else {
        return;
    };
    let dir = PageDir::create(Path::new(&dir)).unwrap();
    let mut writer = PageWriter::create(&dir, &spec(1, 1)).unwrap();
    let mut block = writer.nic_block(0, 0).unwrap();
    block.publish(
        monotonic_ns(),
        &NicCounts {
            tx_posted_ops: 11,
            ..NicCounts::default()
        },
    );
    writer.set_state(PageState::Running);
    // `cat` lives until this test's standard input, which it shares, is closed by the parent.
    let _child = Command::new("cat").stdout(Stdio::null()).spawn().unwrap();
    println!("ready");
    let _ = std::io::stdin().read(&mut [0; 1]);
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_writer_is_dead_though_its_child_lives_and_is_reaped_later() {
    use std::io::{BufRead, BufReader};
    let (_tmp, dir) = page_dir();
    let mut child = helper("helper_publishes_and_waits", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take();
    let out = BufReader::new(child.stdout.take().unwrap());
    assert!(
        out.lines()
            .map_while(Result::ok)
            .any(|line| line.ends_with("ready"))
    );

    let path = dir.scan().unwrap()[0].path.clone();
    let mut reader = PageReader::open(&path).unwrap();
    assert_eq!(reader.identity().pid, child.id());
    let now = monotonic_ns();
    assert_eq!(reader.read().unwrap().liveness, Liveness::Live);
    assert!(
        dir.reap(Duration::ZERO, u64::MAX).unwrap().is_empty(),
        "never a live page"
    );

    child.kill().unwrap();
    child.wait().unwrap();
    let snapshot = reader.read().unwrap();
    assert_eq!(
        (snapshot.state, snapshot.liveness),
        (PageState::Running, Liveness::Dead)
    );
    assert_eq!(snapshot.nics[0].counts.tx_posted_ops, 11);
    assert_eq!(
        PageReader::open(&path).unwrap().read().unwrap().liveness,
        Liveness::Dead
    );

    let ttl = Duration::from_secs(30);
    assert!(
        dir.reap(ttl, now).unwrap().is_empty(),
        "readable for a while"
    );
    let later = snapshot.heartbeat_ns + 31_000_000_000;
    assert_eq!(dir.reap(ttl, later).unwrap(), [path]);
    assert_eq!(
        reader.read().unwrap().nics[0].counts.tx_posted_ops,
        11,
        "an open page stays"
    );
    drop(stdin);
}

#[test]
fn a_busy_writer_never_shows_more_done_than_posted() {
    let (_tmp, dir) = page_dir();
    let mut writer = PageWriter::create(&dir, &spec(2, 1)).unwrap();
    let mut reader = PageReader::open(writer.path()).unwrap();
    let mut fast = writer.nic_block(0, 0).unwrap();
    let mut slow = writer.nic_block(0, 1).unwrap();
    let stop = AtomicBool::new(false);
    let mut last = [NicCounts::default(); 2];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut i = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                i += 1;
                // Every field follows from i, and in flight swings between 0 and 63.
                let done = i * 64 + (i % 64);
                let mut values = [i; NicCounts::LEN];
                values[..4].copy_from_slice(&[i * 64 + 63, done, done, i * 64]);
                fast.publish(i, &NicCounts::from_array(values));
                if i.is_multiple_of(4096) {
                    slow.publish(i, &NicCounts::from_array(values));
                }
            }
        });
        for _ in 0..2000 {
            let snapshot = reader.read().unwrap();
            for (nic, before) in snapshot.nics.iter().zip(&mut last) {
                let now = nic.counts;
                assert!(now.tx_posted_ops >= now.tx_done_ops, "{nic:?}");
                assert!(now.tx_posted_bytes >= now.tx_done_bytes, "{nic:?}");
                for (was, is) in before.to_array().into_iter().zip(now.to_array()) {
                    assert!(is >= was, "a counter went back: {was} to {is}");
                }
                if !nic.torn && now.rx_ops > 0 {
                    assert_eq!(now.tx_posted_ops, now.rx_ops * 64 + 63, "{nic:?}");
                    assert_eq!(nic.published_ns, now.rx_ops);
                    assert!(
                        now.to_array()[4..].iter().all(|&v| v == now.rx_ops),
                        "{nic:?}"
                    );
                }
                *before = now;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(reader.read().unwrap().nics.iter().all(|nic| !nic.torn));
}
