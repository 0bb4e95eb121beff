//! A NIC of a PE that fails and comes back, as a counter page tells of it: the screen says so.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use railtop::counters::{
    NicCounts, NicIdentity, PageDir, PageSpec, PageState, PageWriter, PeCounts, monotonic_ns,
};

use crate::session::{Session, railtop_in};

/// A page whose PE writes it all the time; what it says of its second NIC is set here.
fn write(mut writer: PageWriter, down: &AtomicBool, ended: &AtomicBool) {
    writer.set_state(PageState::Running);
    let mut blocks: Vec<_> = (0..2).filter_map(|nic| writer.nic_block(0, nic)).collect();
    let mut process = writer.process_block().expect("a new page's block");
    let (mut counts, mut failures, mut was_down) = ([0; 2], 0, false);
    while !ended.load(Ordering::Relaxed) {
        let down = down.load(Ordering::Relaxed);
        failures += u64::from(down && !was_down);
        was_down = down;
        for (nic, (block, bytes)) in blocks.iter_mut().zip(&mut counts).enumerate() {
            let down = down && nic == 1;
            *bytes += if down { 0 } else { 1000 };
            let counts = NicCounts {
                tx_posted_bytes: *bytes,
                tx_done_bytes: *bytes,
                down: u64::from(down),
                failures: if nic == 1 { failures } else { 0 },
                ..NicCounts::default()
            };
            block.publish(monotonic_ns(), &counts);
        }
        process.publish(monotonic_ns(), &PeCounts::default());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_nic_that_goes_down_is_marked_until_it_comes_back_and_both_are_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let pages = dir.path().join("pages");
    let spec = PageSpec {
        node: "node1".to_owned(),
        job: "train".to_owned(),
        rank: 3,
        nics: (0..2).map(|i| NicIdentity { device: format!("rail{i}"), ..NicIdentity::default() }).collect(),
        threads: 1,
        ..PageSpec::default()
    };
    let pages_dir = PageDir::create(&pages).expect("a directory for pages");
    let writer = PageWriter::create(&pages_dir, &spec).expect("a page");
    let (down, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| write(writer, &down, &ended));
        let looked = std::panic::catch_unwind(|| look(dir.path(), &down));
        ended.store(true, Ordering::Relaxed);
        looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn look(dir: &Path, down: &AtomicBool) {
    let config = dir.join("config.toml");
    std::fs::write(&config, "[thresholds]\nnic-used-hold = \"100ms\"\n").expect("a configuration file");
    let mut command = railtop_in(dir);
    command.env("RAILTOP_CONFIG", config);
    command.env("RAILTOP_PAGE_DIR", dir.join("pages"));
    // No device but the page's.
    command.env(
        "RAILTOP_SYSFS_ROOT",
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys/no-module"),
    );
    let mut session = Session::start_command(command);
    let says = |screen: &vt100::Screen, what: &str| screen.contents().contains(what);
    session.wait_for("two NICs at work", |screen| says(screen, "2/2") && !says(screen, "down"));

    down.store(true, Ordering::Relaxed);
    session.wait_for("a NIC marked as down", |screen| {
        let row = screen.contents().lines().any(|row| row.contains("rail1") && row.contains("✗ NIC down"));
        row && says(screen, "2 NICs (1 down)") && says(screen, "1/2")
    });

    down.store(false, Ordering::Relaxed);
    session.wait_for("two NICs again", |screen| says(screen, "2/2") && !says(screen, "down"));

    session.type_keys(b"4");
    session.wait_for_text("PE 3: rail1 failed; its work goes");
    session.wait_for_text("PE 3: rail1 is used again");
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
}
