//! The ring that a GPU posts into, with threads that do what `rt_post` of `kernels/railtop.cuh` does.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use railtop_models::gpu_ring::{Memory, Taker, taken_at, words_for};
use railtop_models::mark::{mark_of, marked};
use railtop_models::sync::{OwnedWord, fence};

use crate::check;

/// Descriptors of a ring, and words of each: as few as show everything.
const DEPTH: usize = 2;
const WIDTH: usize = 2;

/// What the host pins.
struct Ring {
    words: Vec<AtomicU64>,
    /// Who posts next: in the GPU's memory.
    next: AtomicU64,
    /// What descriptors speak of: nobody looks before the descriptor has come.
    data: Vec<OwnedWord>,
}

#[derive(Clone)]
struct Shared(Arc<Ring>);

impl Memory for Shared {
    fn words(&self) -> &[AtomicU64] {
        &self.0.words
    }
}

impl Shared {
    fn new(posts: usize) -> Self {
        let words = (0..words_for(DEPTH, WIDTH)).map(|_| AtomicU64::new(0)).collect();
        let data = (0..posts).map(|_| OwnedWord::new(0)).collect();
        Self(Arc::new(Ring { words, next: AtomicU64::new(0), data }))
    }

    /// `rt_post`, in the order that lets a reader see the last word first.
    fn post(&self, number: u64) {
        let ring = &self.0;
        ring.data[usize::try_from(number).unwrap()].store(number + 100, Ordering::Relaxed);
        let index = ring.next.fetch_add(1, Ordering::Relaxed);
        let depth = DEPTH as u64;
        while index - ring.words[taken_at(DEPTH, WIDTH)].load(Ordering::Relaxed) >= depth {
            thread::yield_now();
        }
        fence(Ordering::AcqRel);
        let slot = usize::try_from(index % depth).unwrap() * WIDTH;
        let mark = mark_of(index / depth);
        for word in (0..WIDTH).rev() {
            ring.words[slot + word].store(marked(number * 10 + word as u64, mark), Ordering::Relaxed);
        }
    }
}

/// Takes `count` descriptors; returns their numbers.
fn take(taker: &mut Taker<Shared, WIDTH>, shared: &Shared, count: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    while (numbers.len() as u64) < count {
        let Some([first, second]) = taker.pop() else {
            thread::yield_now();
            continue;
        };
        assert_eq!(first + 1, second, "the words of one descriptor");
        let number = first / 10;
        let data = shared.0.data[usize::try_from(number).unwrap()].load(Ordering::Relaxed);
        assert_eq!(data, number + 100, "what was written before it was posted");
        numbers.push(number);
    }
    numbers
}

#[test]
fn descriptors_come_whole_once_and_after_their_data() {
    check(Some(2), || {
        let shared = Shared::new(3);
        let (posting, taking) = (shared.clone(), shared);
        let poster = thread::spawn(move || (0..3).for_each(|number| posting.post(number)));
        let reader = thread::spawn(move || {
            let mut taker = Taker::new(taking.clone(), DEPTH);
            // More than fit: places are used again.
            assert_eq!(take(&mut taker, &taking, 3), [0, 1, 2]);
            assert!(taker.is_empty() && taker.pop().is_none());
        });
        poster.join().unwrap();
        reader.join().unwrap();
    });
}

#[test]
fn two_that_post_get_places_of_their_own() {
    check(Some(2), || {
        let shared = Shared::new(2);
        let posters = [0, 1].map(|number| {
            let shared = shared.clone();
            thread::spawn(move || shared.post(number))
        });
        let taking = shared.clone();
        let reader = thread::spawn(move || {
            let mut taker = Taker::new(taking.clone(), DEPTH);
            let mut numbers = take(&mut taker, &taking, 2);
            numbers.sort_unstable();
            assert_eq!(numbers, [0, 1]);
        });
        for poster in posters {
            poster.join().unwrap();
        }
        reader.join().unwrap();
    });
}
