//! The stable stand-in for the fuzzer: any bytes, and seeds of which some bytes are others, into every target.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use test_case::test_case;

use super::{TARGETS, Target};

/// Inputs that are right, so that what lies behind the first checks is reached.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = match target {
        "netlink" => root.join("tests/fixtures/netlink"),
        _ => root.join("fuzz/seeds").join(target),
    };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| target != "netlink" || file.extension().is_some_and(|ending| ending == "bin"));
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn parser(target: &str) -> Target {
    TARGETS.iter().find(|(name, _)| *name == target).unwrap().1
}

#[test_case("netlink")]
#[test_case("counter_page")]
#[test_case("recording")]
#[test_case("sysfs")]
#[test_case("config")]
#[test_case("frame")]
#[test_case("report")]
#[test_case("exporter")]
fn no_bytes_break(target: &str) {
    let (parse, seeds) = (parser(target), seeds(target));
    assert!(!seeds.is_empty());
    for seed in &seeds {
        parse(seed);
    }
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    let damaged = (prop::sample::select(seeds), edits, any::<prop::sample::Index>(), any::<bool>());
    let damaged = damaged.prop_map(|(mut bytes, edits, end, cut)| {
        if cut {
            bytes.truncate(end.index(bytes.len() + 1));
        }
        for (at, value) in edits {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        bytes
    });
    let any_bytes = prop::collection::vec(any::<u8>(), 0..300);
    let mut runner = TestRunner::default();
    runner
        .run(&prop_oneof![3 => damaged, 1 => any_bytes], |bytes| {
            parse(&bytes);
            Ok(())
        })
        .unwrap();
}

/// `fuzz/` is a workspace of its own, which this one does not build: its list must not fall behind.
#[test]
fn every_target_has_a_file_that_calls_it() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let text = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(text.contains(&format!("railtop::fuzzing::{name}(")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
    let files = std::fs::read_dir(fuzz.join("fuzz_targets")).unwrap().count();
    assert_eq!((files, manifest.matches("[[bin]]").count()), (TARGETS.len(), TARGETS.len()));
}
