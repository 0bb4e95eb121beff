//! What a GPU posts: through ring and proxy to a NIC that completes at once.

use std::time::{Duration, Instant};

use railtop::transport::gpu::{Gpu, GpuError, KernelHeap, Post, PostKernels, RingMemory, Rings, Visible};
use railtop::transport::proxy::{Clock, Drive, Turn};

use crate::null::{Alone, DATA, Quiets, SIGNAL};
use crate::row;

/// Posts of one measurement, about.
const POSTS: u64 = 2_000_000;

/// Descriptors of a ring.
const DEPTH: u32 = 4096;

/// Ends a hang: even at 0.1 M/s the posts of a measurement take no longer.
const LIMIT: Duration = Duration::from_secs(60);

/// Posts per second of so many blocks and threads through so many rings.
fn rate(gpu: &Gpu, kernels: &PostKernels, grid: (u32, u32), rings: u32) -> Result<f64, GpuError> {
    let (driver, heap) = Alone::new(8, 1, Quiets::OfRings, Clock::System).into_driver();
    let memory = RingMemory::create(rings, DEPTH)?;
    let visible = Visible::new(gpu, 0, 2, KernelHeap::host(gpu, &heap, &[])?, &memory)?;
    assert!(driver.attach(Rings::new(&memory, Vec::new())), "the proxy has other rings");
    let post = Post { dst: 1, local: DATA, remote: DATA, len: 8, word: SIGNAL };
    let each = POSTS / u64::from(grid.0 * grid.1);
    let mut rates = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let [_, end] = kernels.many(gpu, visible.view(), grid, post, each)?;
        loop {
            let turns = (0..64).map(|_| driver.turn());
            assert!(!turns.into_iter().any(|turn| turn == Some(Turn::Stop)), "the proxy has failed");
            let hangs = start.elapsed() > LIMIT;
            if hangs {
                // Else what the kernel uses would be waited for.
                memory.stop();
            }
            assert!(!hangs, "a kernel waits for what does not come");
            if end.try_is_complete().map_err(|source| GpuError::Driver { what: "posting".into(), source })? {
                break;
            }
        }
        rates.push((each * u64::from(grid.0 * grid.1)) as f64 / start.elapsed().as_secs_f64());
    }
    Ok(crate::median(rates))
}

fn table() -> Result<(), GpuError> {
    let gpu = Gpu::open(0)?;
    let kernels = PostKernels::load(&gpu)?;
    println!("{}, {}", gpu.name()?, gpu.arch());
    for rings in [1, 4, 8] {
        for grid in [(1, 1), (1, 32), (1, 256), (4, 256), (32, 32), (32, 256)] {
            let rate = rate(&gpu, &kernels, grid, rings)?;
            let what = format!("GPU, 8 B put-signal, {} blocks of {}, rings: {rings}", grid.0, grid.1);
            let goal = match grid {
                (1, 256) => Some(2e6),
                (32, 256) => Some(10e6),
                _ => None,
            };
            let text = goal.map_or(String::new(), |goal| format!(">= {:.0} M/s", goal / 1e6));
            row(&what, &format!("{:.2} M/s", rate / 1e6), &text, goal.map(|goal| rate >= goal));
        }
    }
    Ok(())
}

/// Prints the table, or why there is none; whether there is one.
pub fn compare() -> bool {
    let table = table();
    if let Err(error) = &table {
        println!("GPU: not measured: {error}");
    }
    table.is_ok()
}
