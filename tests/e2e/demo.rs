//! `railtop demo`: the story it tells, and that it ends clean at any moment.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::kill::records;
use crate::support::{SECONDS, Site, eventually, lab_machine, processes_with};

/// The ratios of the article, in one run.
#[test]
fn the_story_without_a_screen() {
    let Some(_machine) = lab_machine() else { return };
    let site = Site::new();
    // As slow that the NICs are what is waited for, also where others need the processor.
    let words = "demo --headless --format json --duration 8s --nic-rate 10mbit --size 1M";
    let scenes = site.run(site.railtop().args(words.split(' '))).code(0).lines();
    let names: Vec<_> = scenes.iter().map(|scene| scene["policy"].as_str().unwrap()).collect();
    assert_eq!(names, ["single", "round-robin", "round-robin-offset", "pair-seq"]);
    let rate = |index: usize| scenes[index]["gbit_per_s"].as_f64().unwrap();
    let ratio = |index: usize, side: &str| scenes[index][side]["max_over_mean"].as_f64().unwrap();
    let active = |index: usize, side: &str| scenes[index][side]["active_nics"].as_u64().unwrap();
    assert_eq!((active(0, "tx"), active(0, "rx")), (1, 1), "single");
    assert_eq!((active(1, "tx"), active(1, "rx")), (4, 1), "round-robin");
    assert!(ratio(1, "tx") <= 1.05 && ratio(1, "rx") >= 3.5, "{}", scenes[1]);
    for fair in [2, 3] {
        assert_eq!((active(fair, "tx"), active(fair, "rx")), (4, 4));
        assert!(ratio(fair, "tx") <= 1.05 && ratio(fair, "rx") <= 1.05, "{}", scenes[fair]);
        assert!(rate(fair) >= 2.5 * rate(1), "{} against {}", scenes[fair], scenes[1]);
    }
}

/// A signal ends it at any moment: while it builds, connects, runs.
#[test]
fn it_ends_clean_at_any_moment() {
    let Some(_machine) = lab_machine() else { return };
    for (signal, after_ms) in
        [(Signal::SIGTERM, Some(30)), (Signal::SIGINT, Some(400)), (Signal::SIGTERM, None)]
    {
        let site = Site::new();
        let demo = site.start(site.railtop().args(["demo", "--headless", "--duration", "600s"]));
        if let Some(ms) = after_ms {
            std::thread::sleep(Duration::from_millis(ms));
        } else {
            eventually("every PE has received something", || {
                let lines = records(&site);
                let busy = lines.iter().filter(|line| line["rx_bytes"].as_u64() > Some(0));
                let pes: BTreeSet<_> = busy.map(|line| line["pe"].as_u64()).collect();
                (pes.len() == 8).then_some(())
            });
        }
        demo.signal(signal);
        let outcome = demo.finish(SECONDS);
        let pages = std::fs::read_dir(site.pages()).unwrap().count();
        if after_ms.is_none() {
            // Well under way: it ends in good order, and no PE leaves its page behind.
            assert_eq!((outcome.status.code(), pages), (Some(0), 0), "{outcome:#?}");
        }
        let mine = site.pages().display().to_string();
        let pes = || processes_with("RAILTOP_PAGE_DIR").into_iter().filter(|(_, dir)| *dir == mine).count();
        eventually("the PEs have ended", || (pes() == 0).then_some(()));
    }
}
