//! Work grows with the number of puts, and with nothing else; and the same seed has the same result.

use test_case::test_case;

use super::go;
use crate::sim::costs::Preset;
use crate::sim::made::scene;
use crate::sim::report::{Json, Reporter as _, Row, Work};
use crate::sim::scene::Slow;
use crate::sim::traffic::AllToAll;
use crate::transport::select::PolicyKind;

#[test_case(64, 32 << 20; "small puts")]
#[test_case(16, 1 << 30; "large puts")]
#[test_case(4, 1 << 36; "huge puts")]
fn a_put_takes_a_bounded_number_of_events(nodes: u32, size: u64) {
    let scene = scene(Preset::EfaP5, nodes);
    let traffic = AllToAll::new(&scene, size).unwrap();
    for policy in PolicyKind::ALL {
        let outcome = go(&scene, &traffic, policy);
        let world = u64::from(scene.pes());
        assert_eq!(outcome.puts, world * (world - 8));
        // One of its PE and one of its NIC for each of at most 32 segments; a split put has some more of less than a segment.
        let most = outcome.puts * 40 + world;
        assert!(outcome.events <= most, "{policy}: {} events for {} puts", outcome.events, outcome.puts);
    }
}

#[test]
fn where_nics_keep_up_a_put_is_one_event() {
    let scene = scene(Preset::EfaP5, 32);
    let traffic = AllToAll::new(&scene, 1 << 20).unwrap();
    let outcome = go(&scene, &traffic, PolicyKind::PairSeq);
    let turns = outcome.puts + u64::from(scene.pes());
    assert!((turns..turns + turns / 20).contains(&outcome.events), "{} for {}", outcome.events, outcome.puts);
}

/// The bytes of a run: what other machines must print, too. Rounds overlap; puts crowd at a NIC under `efa-p5`.
#[test_case(Preset::EfaP5, "json_of_a_small_run")]
#[test_case(Preset::Lab, "json_of_a_small_run_in_the_lab")]
fn a_small_run_prints_the_same_bytes_everywhere(preset: Preset, name: &str) {
    let mut scene = scene(preset, 10);
    (scene.pes_per_node, scene.nics_per_pe, scene.iters, scene.seed, scene.jitter_ppm) =
        (4, 2, 2, 7, 100_000);
    scene.slow = Some(Slow { count: 3, rate_ppm: 500_000 });
    let traffic = AllToAll::new(&scene, 4 << 20).unwrap();
    let mut out = Vec::new();
    for policy in PolicyKind::ALL {
        let outcome = go(&scene, &traffic, policy);
        let row = Row { scene: &scene, work: Work::AllToAll, size: traffic.bytes(), outcome: &outcome };
        Json::new(&mut out).row(&row).unwrap();
    }
    // The parameters and the version are no results.
    let text = String::from_utf8(out).unwrap();
    let results: Vec<&str> = text.lines().filter(|line| !line.contains("\"type\":\"run\"")).collect();
    assert_eq!(text.lines().count() - results.len(), 6, "a header for each policy");
    insta::assert_snapshot!(name, results.join("\n"));
}
