//! The reader against pages that are wrong in every way: an error or a snapshot, never a panic.
//!
//! Offsets are written out, from `docs/counter-page.md`: they hold the code to the document.

use std::{fs, path::PathBuf};

use proptest::prelude::*;
use railtop::counters::{
    Field, FieldKind, Liveness, NicCounts, NicIdentity, PageDir, PageReader, PageSpec, PageWriter, PeCounts,
    ReadError,
};
use tempfile::TempDir;

/// A directory and a file in it for one test to write pages into.
struct Bench {
    _tmp: TempDir,
    path: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let tmp = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = tmp.path().join("page");
        Self { _tmp: tmp, path }
    }

    /// Opens and reads `bytes` as a page.
    fn read(&self, bytes: &[u8]) -> Result<railtop::counters::PageSnapshot, ReadError> {
        fs::write(&self.path, bytes).unwrap();
        PageReader::open(&self.path)?.read()
    }
}

/// The bytes of a page with two NICs and two threads; thread 0 has published on NIC 0.
fn valid_page() -> Vec<u8> {
    let tmp = tempfile::tempdir_in("/dev/shm").unwrap();
    let dir = PageDir::create(&tmp.path().join("pages")).unwrap();
    let spec = PageSpec {
        nics: vec![NicIdentity::default(), NicIdentity::default()],
        threads: 2,
        policy: "single".into(),
        ..PageSpec::default()
    };
    let mut writer = PageWriter::create(&dir, &spec).unwrap();
    let mut block = writer.nic_block(0, 0).unwrap();
    block.publish(5, &NicCounts::from_array(std::array::from_fn(|i| 100 - i as u64)));
    fs::read(writer.path()).unwrap()
}

fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    bytes[at..at + part.len()].copy_from_slice(part);
}

fn u64_at(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Place of the entry for section `kind` in the table.
fn entry(bytes: &[u8], kind: usize) -> usize {
    let count = u32_at(bytes, 112);
    (0..count).map(|i| 1024 + i * 32).find(|&at| u32_at(bytes, at) == kind).unwrap()
}

#[test]
fn a_copy_of_a_page_reads_as_dead() {
    let snapshot = Bench::new().read(&valid_page()).unwrap();
    assert_eq!(snapshot.liveness, Liveness::Dead);
    assert_eq!(snapshot.nics[0].counts.tx_posted_ops, 100);
    assert_eq!(snapshot.nics[1].counts, NicCounts::default());
    assert_eq!(snapshot.policy, "single");
}

#[test]
fn another_major_version_is_refused_with_both_numbers() {
    let mut page = valid_page();
    put(&mut page, 8, &2_u16.to_le_bytes());
    put(&mut page, 10, &3_u16.to_le_bytes());
    let error = Bench::new().read(&page).unwrap_err();
    assert!(matches!(error, ReadError::ForeignVersion { has_major: 2, has_minor: 3, wants_major: 1 }));
    assert!(error.to_string().contains("2.3"), "{error}");
}

#[test]
fn a_newer_minor_version_keeps_its_new_fields_by_name() {
    let mut page = valid_page();
    put(&mut page, 10, &9_u16.to_le_bytes());
    // The schema moves to the end, where there is room for two more fields.
    let at = entry(&page, 5);
    let (count, offset) = (u32_at(&page, at + 8), u64_at(&page, at + 16));
    let mut schema = page[offset..offset + count * 64].to_vec();
    for (kind, name) in [(0_u32, "gpu_\u{1b}stalls"), (2, "deepest_ring")] {
        let mut row = [0; 64];
        put(&mut row, 0, &4_u32.to_le_bytes());
        put(&mut row, 4, &(if kind == 0 { 240_u32 } else { 248 }).to_le_bytes());
        put(&mut row, 8, &kind.to_le_bytes());
        put(&mut row, 16, b"events");
        put(&mut row, 32, name.as_bytes());
        schema.extend(row);
    }
    let end = page.len() as u64;
    put(&mut page, at + 8, &(u32::try_from(count).unwrap() + 2).to_le_bytes());
    put(&mut page, at + 16, &end.to_le_bytes());
    page.extend(schema);
    page.resize(page.len().next_multiple_of(4096), 0);
    let total = page.len() as u64;
    put(&mut page, 16, &total.to_le_bytes());
    // A section of a kind that 1.0 does not know.
    let sections = u32_at(&page, 112);
    put(&mut page, 112, &(u32::try_from(sections).unwrap() + 1).to_le_bytes());
    put(&mut page, 1024 + sections * 32, &99_u32.to_le_bytes());
    put(&mut page, 1024 + sections * 32 + 16, &4096_u64.to_le_bytes());
    // Values of NIC 0 for both threads: records 0 and 2, 256 bytes each.
    let counters = u64_at(&page, entry(&page, 4) + 16);
    for (thread, value) in [(0, 7_u64), (1, 5)] {
        put(&mut page, counters + thread * 512 + 240, &value.to_le_bytes());
        put(&mut page, counters + thread * 512 + 248, &value.to_le_bytes());
    }

    let nic = &Bench::new().read(&page).unwrap().nics[0];
    assert_eq!(nic.counts.tx_posted_ops, 100);
    let extras: Vec<_> = nic.extras.iter().map(|e| (&*e.name, &*e.unit, e.kind, e.value)).collect();
    assert_eq!(
        extras,
        [
            ("gpu_stalls", "events", FieldKind::Counter, 12),
            ("deepest_ring", "events", FieldKind::HighWater, 7)
        ]
    );
}

/// The page as a writer of an older minor version made it: without the lines of the schema for later fields.
fn older_page(minor: u16) -> Vec<u8> {
    let mut page = valid_page();
    put(&mut page, 10, &minor.to_le_bytes());
    let at = entry(&page, 5);
    let (count, offset) = (u32_at(&page, at + 8), u64_at(&page, at + 16));
    let of = |section: usize, fields: &[Field]| -> Vec<(usize, Vec<u8>)> {
        let later = fields.iter().filter(|field| field.since_minor > minor);
        later.map(|field| (section, field.name.as_bytes().to_vec())).collect()
    };
    let later = [of(2, &PeCounts::FIELDS), of(4, &NicCounts::FIELDS)].concat();
    let (mut left, mut kept) = (0, Vec::new());
    for row in page[offset..offset + count * 64].chunks_exact(64) {
        let name = row[32..].split(|&b| b == 0).next().unwrap();
        if later.contains(&(u32_at(row, 0), name.to_vec())) {
            left += 1;
        } else {
            kept.extend_from_slice(row);
        }
    }
    assert_eq!(left, later.len(), "the page has the fields of its own version");
    put(&mut page, offset, &kept);
    put(&mut page, at + 8, &u32::try_from(count - left).unwrap().to_le_bytes());
    page
}

#[test]
fn what_a_writer_does_not_count_is_missing_and_not_0() {
    let tmp = tempfile::tempdir_in("/dev/shm").unwrap();
    let dir = PageDir::create(&tmp.path().join("pages")).unwrap();
    // One of 1.0 in each table, which older readers want to find, and one of a later version.
    let uncounted = ["control_tx_bytes", "failures", "barriers", "gpu_posts"];
    let spec = PageSpec { uncounted: uncounted.to_vec(), onlooker: true, ..super::spec(1, 1) };
    let mut writer = PageWriter::create(&dir, &spec).unwrap();
    let counts = NicCounts { control_tx_bytes: 7, failures: 7, tx_errors: 7, ..NicCounts::default() };
    writer.nic_block(0, 0).unwrap().publish(1, &counts);
    let mut reader = PageReader::open(writer.path()).unwrap();
    assert!(reader.identity().onlooker);
    let snapshot = reader.read().unwrap();
    assert_eq!(snapshot.nics[0].counts.tx_errors, 7);
    assert!(snapshot.nics[0].extras.is_empty() && snapshot.process_extras.is_empty());
    let nic = NicCounts::FIELDS.iter().zip(snapshot.nics[0].there);
    for (field, there) in nic.chain(PeCounts::FIELDS.iter().zip(snapshot.process_there)) {
        assert_eq!(there, !uncounted.contains(&field.name), "{}", field.name);
    }
    // Who knows nothing of marks finds what it insists on.
    let page = std::fs::read(writer.path()).unwrap();
    let has = |name: &str| page.windows(name.len()).any(|bytes| bytes == name.as_bytes());
    assert!(has("control_tx_bytes") && has("barriers") && !has("failures") && !has("gpu_posts"));
}

#[test]
fn a_page_of_version_1_0_is_read_and_its_missing_fields_are_missing() {
    let missing = [
        "down",
        "failures",
        "fences",
        "resent_ops",
        "resent_bytes",
        "read_posted_ops",
        "read_done_ops",
        "read_done_bytes",
        "atomic_ops",
        "seen_rx_bytes",
        "setup_tx_bytes",
    ];
    let older = Bench::new().read(&older_page(0)).unwrap();
    let nic = &older.nics[0];
    assert_eq!((nic.counts.tx_posted_ops, nic.counts.max_in_flight_ops, nic.extras.len()), (100, 85, 0));
    for (field, there) in NicCounts::FIELDS.iter().zip(nic.there) {
        assert_eq!(there, !missing.contains(&field.name), "{}", field.name);
    }
    assert_eq!((nic.counts.down, nic.counts.failures), (0, 0), "whatever lies where they would be");
    for (field, there) in PeCounts::FIELDS.iter().zip(older.process_there) {
        assert_eq!(there, !field.name.starts_with("gpu_"), "{}", field.name);
    }
    assert_eq!(older.process.gpu_ring_size, 0, "whatever lies where it would be");
    let current = Bench::new().read(&valid_page()).unwrap();
    assert!(current.nics[0].there.iter().chain(&current.process_there).all(|&there| there));
    assert_eq!(current.nics[0].counts.down, 84);
}

#[test]
fn a_page_without_a_field_of_1_0_is_refused_whatever_version_it_says() {
    for minor in [0_u16, 1, 7] {
        let mut page = valid_page();
        put(&mut page, 10, &minor.to_le_bytes());
        let schema = u64_at(&page, entry(&page, 5) + 16);
        let rows = u32_at(&page, entry(&page, 5) + 8);
        let of_nic = (0..rows).map(|i| schema + i * 64).find(|&row| u32_at(&page, row) == 4).unwrap();
        put(&mut page, of_nic + 32, b"x");
        let error = Bench::new().read(&page).unwrap_err();
        assert!(error.to_string().contains("1.0"), "{error}");
    }
}

#[test]
fn a_writer_that_died_while_it_published_is_torn_but_readable() {
    let mut page = valid_page();
    let counters = u64_at(&page, entry(&page, 4) + 16);
    put(&mut page, counters, &3_u64.to_le_bytes());
    let snapshot = Bench::new().read(&page).unwrap();
    assert!(snapshot.nics[0].torn && !snapshot.nics[1].torn);
    assert_eq!(snapshot.nics[0].counts.tx_done_ops, 98);
}

#[test]
fn values_add_up_without_overflow() {
    let mut page = valid_page();
    let counters = u64_at(&page, entry(&page, 4) + 16);
    for record in 0..4 {
        put(&mut page, counters + record * 256 + 16, &u64::MAX.to_le_bytes());
    }
    assert_eq!(Bench::new().read(&page).unwrap().nics[0].counts.tx_posted_ops, u64::MAX);
}

#[test]
fn wrong_sections_are_refused_by_name() {
    let bench = Bench::new();
    let refuse = |at: fn(&[u8]) -> usize, value: &[u8], what: &str| {
        let mut page = valid_page();
        let at = at(&page);
        put(&mut page, at, value);
        let error = bench.read(&page).unwrap_err();
        assert!(matches!(error, ReadError::BadSection { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    refuse(|p| entry(p, 4) + 16, &(u64::MAX - 8).to_le_bytes(), "outside");
    refuse(|p| entry(p, 4) + 16, &0_u64.to_le_bytes(), "outside");
    refuse(|p| entry(p, 4) + 16, &4097_u64.to_le_bytes(), "offset");
    refuse(|p| entry(p, 4) + 4, &u32::MAX.to_le_bytes(), "outside");
    refuse(|p| entry(p, 4) + 4, &8_u32.to_le_bytes(), "too small");
    refuse(|p| entry(p, 4) + 8, &1_u32.to_le_bytes(), "number of records");
    refuse(|p| entry(p, 4), &77_u32.to_le_bytes(), "NIC counters: it is missing");
    refuse(|p| entry(p, 2), &1_u32.to_le_bytes(), "twice");
    refuse(|_| 112, &65_u32.to_le_bytes(), "too many");
    refuse(|_| 16, &u64::MAX.to_le_bytes(), "size");
    refuse(|_| 12, &4095_u32.to_le_bytes(), "size");
    refuse(|_| 110, &0_u16.to_le_bytes(), "NICs");
    refuse(|_| 108, &65_u16.to_le_bytes(), "threads");
    // The first row of the schema describes a process-wide field.
    refuse(|p| u64_at(p, entry(p, 5) + 16) + 4, &124_u32.to_le_bytes(), "outside of its record");
    refuse(|p| u64_at(p, entry(p, 5) + 16) + 32, b"other_name\0", "missing from the schema");
}

#[test]
fn every_truncation_is_an_error() {
    let bench = Bench::new();
    let page = valid_page();
    for len in (0..page.len()).step_by(509) {
        let error = bench.read(&page[..len]).unwrap_err();
        assert!(matches!(error, ReadError::Truncated { .. }), "{len}: {error}");
    }
}

#[test]
fn a_page_cut_while_open_is_an_error_not_a_signal() {
    let bench = Bench::new();
    let page = valid_page();
    fs::write(&bench.path, &page).unwrap();
    let mut reader = PageReader::open(&bench.path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&bench.path).unwrap();
    file.set_len(4096).unwrap();
    assert!(matches!(reader.read(), Err(ReadError::Truncated { .. })));
    file.set_len(page.len() as u64).unwrap();
    assert!(reader.read().is_ok(), "it reads again when the file has grown back");
}

/// Bytes that pass the first checks more often than blind ones: a header, then anything.
fn almost_a_page() -> impl Strategy<Value = Vec<u8>> {
    (any::<u16>(), prop::collection::vec(any::<u8>(), 0..6000)).prop_map(|(minor, mut bytes)| {
        if bytes.len() >= 24 {
            let len = bytes.len() as u64;
            put(&mut bytes, 0, b"RAILTOP\0");
            put(&mut bytes, 8, &1_u16.to_le_bytes());
            put(&mut bytes, 10, &minor.to_le_bytes());
            put(&mut bytes, 12, &4096_u32.to_le_bytes());
            put(&mut bytes, 16, &len.to_le_bytes());
        }
        bytes
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        prop_assert!(Bench::new().read(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_behind_a_good_start_never_panic(bytes in almost_a_page()) {
        let _ = Bench::new().read(&bytes);
    }

    #[test]
    fn mutations_never_panic_and_never_show_control_characters(
        changes in prop::collection::vec((0_usize..12288, any::<u8>()), 1..40),
        words in prop::collection::vec((0_usize..1536, prop_oneof![Just(0_u64), Just(u64::MAX), any::<u64>()]), 0..6),
        cut in prop::option::of(0_usize..12288),
    ) {
        let mut page = valid_page();
        for (at, value) in words {
            if at * 8 + 8 <= page.len() { put(&mut page, at * 8, &value.to_le_bytes()); }
        }
        for (at, value) in changes {
            if let Some(byte) = page.get_mut(at) { *byte = value; }
        }
        page.truncate(cut.unwrap_or(page.len()));
        let bench = Bench::new();
        fs::write(&bench.path, &page).unwrap();
        if let Ok(mut reader) = PageReader::open(&bench.path) {
            let text = format!("{:?}", reader.identity().host) + &reader.identity().command;
            prop_assert!(!text.contains(|c: char| c.is_control()));
            if let Ok(snapshot) = reader.read() {
                prop_assert_eq!(snapshot.nics.len(), reader.identity().nics.len());
                prop_assert!(!snapshot.policy.contains(|c: char| c.is_control()));
            }
        }
    }

    #[test]
    fn mutated_tables_never_panic(
        // Only the counts, the section table and the schema: where offsets come from.
        changes in prop::collection::vec((prop_oneof![108_usize..128, 1024_usize..1184], any::<u8>()), 1..6),
    ) {
        let mut page = valid_page();
        for (at, value) in changes { page[at] = value; }
        let _ = Bench::new().read(&page);
    }
}
