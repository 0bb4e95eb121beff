//! What publishing costs the data path, against what else one might do, and what a reader pays.
//!
//! `cargo bench --bench counter_page`. The budget is 10 ns per update of one NIC's block.

#![expect(clippy::unwrap_used, reason = "a benchmark without its page is none")]

use std::{
    hint::black_box,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use criterion::{Criterion, criterion_group, criterion_main};
use railtop::counters::{NicCounts, NicIdentity, PageDir, PageReader, PageSpec, PageWriter, monotonic_ns};

const NICS: usize = 4;

fn page() -> (tempfile::TempDir, PageWriter) {
    let tmp = tempfile::tempdir_in("/dev/shm").unwrap();
    let dir = PageDir::create(&tmp.path().join("pages")).unwrap();
    let spec = PageSpec { nics: vec![NicIdentity::default(); NICS], threads: 1, ..PageSpec::default() };
    let writer = PageWriter::create(&dir, &spec).unwrap();
    (tmp, writer)
}

/// One more put posted and done: what changes between two updates. Through `black_box`, so that the
/// counts are in memory for every variant, as a proxy's are, and not in registers for some.
fn advance(counts: &mut NicCounts) {
    let counts = black_box(counts);
    counts.tx_posted_ops += 1;
    counts.tx_posted_bytes += 64;
    counts.tx_done_ops += 1;
    counts.tx_done_bytes += 64;
    counts.cq_polls += 1;
}

fn writers(c: &mut Criterion) {
    let mut group = c.benchmark_group("publish 16 counters");
    let mut counts = NicCounts::default();

    group.bench_function("only count, publish nothing", |b| {
        b.iter(|| {
            advance(&mut counts);
        });
    });
    let plain: [AtomicU64; NicCounts::LEN + 1] = Default::default();
    group.bench_function("plain stores", |b| {
        b.iter(|| {
            advance(&mut counts);
            plain[0].store(black_box(1), Relaxed);
            for (word, value) in plain[1..].iter().zip(counts.to_array()) {
                word.store(value, Relaxed);
            }
        });
    });
    let (_tmp, mut writer) = page();
    let mut block = writer.nic_block(0, 0).unwrap();
    group.bench_function("NicBlock::publish", |b| {
        b.iter(|| {
            advance(&mut counts);
            block.publish(black_box(1), &counts);
        });
    });
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut reader = PageReader::open(writer.path()).unwrap();
        scope.spawn(|| {
            let mut reads = move || reader.read().unwrap();
            while !stop.load(Relaxed) {
                black_box(reads());
            }
        });
        group.bench_function("NicBlock::publish, a reader that never rests", |b| {
            b.iter(|| {
                advance(&mut counts);
                block.publish(black_box(1), &counts);
            });
        });
        stop.store(true, Relaxed);
    });
    let mutex = Mutex::new((0, NicCounts::default()));
    group.bench_function("mutex, never contended", |b| {
        b.iter(|| {
            advance(&mut counts);
            *mutex.lock().unwrap() = (black_box(1), counts);
        });
    });
    let adds: [AtomicU64; 5] = Default::default();
    group.bench_function("five atomic adds", |b| {
        b.iter(|| {
            for word in &adds {
                word.fetch_add(black_box(1), Relaxed);
            }
        });
    });
    group.bench_function("monotonic_ns", |b| b.iter(|| black_box(monotonic_ns())));
    group.finish();
}

fn readers(c: &mut Criterion) {
    let mut group = c.benchmark_group("read a page of 4 NICs");
    let (tmp, writer) = page();
    let dir = PageDir::open(&tmp.path().join("pages")).unwrap();
    let mut reader = PageReader::open(writer.path()).unwrap();
    group.bench_function("read", |b| b.iter(|| reader.read().unwrap()));
    group.bench_function("open and read", |b| {
        b.iter(|| PageReader::open(writer.path()).unwrap().read().unwrap());
    });
    group.bench_function("scan", |b| b.iter(|| dir.scan().unwrap()));
    group.finish();
}

criterion_group!(benches, writers, readers);
criterion_main!(benches);
