//! The numbers that threads count in.
//!
//! A thread adds to a block of its own: a load and a store, no locked instruction, about a nanosecond. The block outlives the
//! thread and goes, with what is in it, to the next one, so the sum over all blocks only grows. There can be any number of
//! threads: the page sees the sum alone.

#![expect(unsafe_code, reason = "a thread's block is reached through a plain pointer")]

use std::alloc::{Layout, alloc_zeroed};
use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicU64};

use counters::MAX_NICS;
use libfabric_sys::cq::fid_cq;

use crate::guard::{guarded, stopped};
use crate::lock::Lock;
use crate::{fork, publisher, rest};

/// What is counted per NIC. Operations are *awaited* if their completion will be seen, else they are *over* when posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
#[expect(missing_docs, reason = "the names say it, with the type's documentation")]
pub enum Word {
    // What most programs count in is one line of the processor's cache.
    Polls,
    EmptyPolls,
    TxAwaitedOps,
    TxAwaitedBytes,
    TxOverOps,
    TxOverBytes,
    RxOps,
    RxBytes,
    TxCompletions,
    ReadAwaitedOps,
    ReadAwaitedBytes,
    ReadOverOps,
    ReadOverBytes,
    ReadCompletions,
    TxErrors,
    TxAgain,
    RxErrors,
    AtomicOps,
}

/// Words per NIC: a multiple of 128 bytes, so that two NICs never share a line.
pub const WORDS: usize = 32;

/// The numbers of one thread on one NIC.
#[derive(Debug)]
#[repr(align(128))]
pub struct Counts([AtomicU64; WORDS]);

impl Counts {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }

    /// The value of a word.
    #[must_use]
    #[inline]
    pub fn get(&self, word: Word) -> u64 {
        self.0.get(word as usize).map_or(0, |word| word.load(Relaxed))
    }
}

/// The numbers of one thread.
#[derive(Debug)]
pub struct Block {
    nics: [Counts; MAX_NICS],
    /// The block that was made before; null behind the first.
    before: AtomicPtr<Block>,
}

impl Block {
    const fn new() -> Self {
        Self { nics: [const { Counts::new() }; MAX_NICS], before: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// Of a NIC; a number that is none (there are no such) is taken modulo.
    #[must_use]
    #[inline]
    pub fn nic(&self, nic: usize) -> &Counts {
        const { assert!(MAX_NICS.is_power_of_two()) };
        #[expect(clippy::indexing_slicing, reason = "masked to the length")]
        &self.nics[nic & (MAX_NICS - 1)]
    }
}

/// For who gets no block: a thread that is ending and has given its own back, or one for which there is no memory.
static SHARED: Block = Block::new();

/// All blocks but that one, from the newest on. They are never freed, and so can be looked at without a lock.
static NEWEST: AtomicPtr<Block> = AtomicPtr::new(std::ptr::null_mut());

/// All blocks that have ever been in use.
pub(crate) fn all() -> impl Iterator<Item = &'static Block> {
    // SAFETY: null or a block, and blocks are never freed.
    let at = |place: &AtomicPtr<Block>| unsafe { place.load(Acquire).cast_const().as_ref() };
    std::iter::successors(at(&NEWEST), move |block| at(&block.before)).chain([&SHARED])
}

/// Blocks whose threads have ended.
#[derive(Debug)]
pub(crate) struct Registry {
    free: Vec<&'static Block>,
}

static REGISTRY: Lock<Registry> = Lock::new(Registry { free: Vec::new() });

pub(crate) fn registry() -> &'static Lock<Registry> {
    &REGISTRY
}

impl Registry {
    /// A block, and what is in it. `None` without memory.
    fn take(&mut self) -> Option<&'static Block> {
        if let Some(block) = self.free.pop() {
            return Some(block);
        }
        // Never freed: the sums need it. Zeroed memory from the system costs nothing until it is used.
        #[expect(clippy::cast_ptr_alignment, reason = "allocated as a block is aligned")]
        // SAFETY: the layout is not empty; a block is made of atomic integers and a null pointer, for which zero is a value.
        let block: &'static Block = unsafe { alloc_zeroed(Layout::new::<Block>()).cast::<Block>().as_ref()? };
        // Whoever has the registry is the only one that adds to the list.
        block.before.store(NEWEST.load(Relaxed), Relaxed);
        NEWEST.store(std::ptr::from_ref(block).cast_mut(), Release);
        Some(block)
    }

    /// In a forked child, where only the calling thread is left: everything from zero. `own` is that thread's block.
    pub(crate) fn restart(&mut self, own: Option<&'static Block>) {
        self.free.clear();
        for block in all() {
            block
                .nics
                .iter()
                .flat_map(|counts| &counts.0)
                .filter(|word| word.load(Relaxed) != 0)
                .for_each(|word| word.store(0, Relaxed));
            let is_own = own.is_some_and(|own| std::ptr::eq(block, own));
            if !is_own && !std::ptr::eq(block, &raw const SHARED) {
                self.free.push(block);
            }
        }
    }
}

/// A thread's block, given back when the thread ends.
struct Own(Cell<Option<&'static Block>>);

impl Drop for Own {
    fn drop(&mut self) {
        THREAD.with(|thread| thread.block.set(std::ptr::null()));
        // Once counting has stopped nobody needs it, and in a forked child the lock may be held for ever then.
        if let Some(block) = self.0.take().filter(|_| stopped().is_none()) {
            registry().lock().free.push(block);
        }
    }
}

/// What is known of the calling thread. One structure, because looking for it costs more than anything else here.
pub(crate) struct Thread {
    /// Null until the thread's first operation, and again at its end and in a forked child.
    block: Cell<*const Block>,
    /// How many of our functions are on the stack. What a provider does in a call of the program's (it opens endpoints of its own,
    /// sends through them, calls itself through the tables) is its own affair, and not counted.
    depth: Cell<u32>,
    /// The queue that this thread is reading, the innermost one.
    pub(crate) reading: Cell<*const fid_cq>,
}

thread_local! {
    static THREAD: Thread = const {
        Thread { block: Cell::new(std::ptr::null()), depth: Cell::new(0), reading: Cell::new(std::ptr::null()) }
    };
    static OWN: Own = const { Own(Cell::new(None)) };
}

impl Thread {
    /// The calling thread. It has nothing to drop, so it is there to the thread's very end.
    #[inline]
    pub(crate) fn with<T>(work: impl FnOnce(&Self) -> T) -> T {
        THREAD.with(work)
    }

    /// Whether one of our functions is on the stack.
    #[inline]
    pub(crate) fn is_inside(&self) -> bool {
        self.depth.get() > 0
    }

    #[inline]
    pub(crate) fn enter(&self) {
        self.depth.set(self.depth.get().wrapping_add(1));
    }

    #[inline]
    pub(crate) fn leave(&self) {
        self.depth.set(self.depth.get().wrapping_sub(1));
    }

    /// Where the thread counts what it does on a NIC.
    #[inline]
    pub(crate) fn tally(&self, nic: usize) -> Tally {
        // SAFETY: null or a block, and blocks are never freed.
        match unsafe { self.block.get().as_ref() } {
            Some(block) => Tally { counts: block.nic(nic), shared: false },
            None => Tally::first(nic),
        }
    }
}

/// In a forked child: the next operation starts the page anew.
pub(crate) fn forget_thread() -> Option<&'static Block> {
    THREAD.with(|thread| thread.block.set(std::ptr::null()));
    OWN.try_with(|own| own.0.get()).ok().flatten()
}

/// Where the calling thread counts what it does on a NIC.
#[derive(Clone, Copy)]
pub(crate) struct Tally {
    counts: &'static Counts,
    shared: bool,
}

impl Tally {
    /// A thread's first operation: it gets a block, and the process a page.
    #[cold]
    #[inline(never)]
    fn first(nic: usize) -> Self {
        let block = guarded(|| {
            if fork::is_forking() {
                // Neither block nor page would be the child's. The next operation gets both.
                return None;
            }
            let block = OWN.try_with(|own| {
                if own.0.get().is_none() {
                    own.0.set(registry().lock().take());
                }
                own.0.get()
            });
            let block = block.ok().flatten();
            if let Some(block) = block {
                THREAD.with(|thread| thread.block.set(block));
            }
            publisher::start();
            block
        });
        match block.flatten() {
            Some(block) => Self { counts: block.nic(nic), shared: false },
            None => Self { counts: SHARED.nic(nic), shared: true },
        }
    }

    /// Counts a look for what has come. It changes nothing that a reader waits for.
    #[inline]
    pub(crate) fn poll(self, empty: bool) {
        self.put(Word::Polls, 1);
        if empty {
            self.put(Word::EmptyPolls, 1);
        }
    }

    /// Adds to numbers.
    #[inline]
    pub(crate) fn add<const N: usize>(self, what: [(Word, u64); N]) {
        for (word, n) in what {
            self.put(word, n);
        }
        rest::stir();
    }

    #[inline]
    fn put(self, word: Word, n: u64) {
        let Some(number) = self.counts.0.get(word as usize) else { return };
        if self.shared {
            number.fetch_add(n, Relaxed);
        } else {
            // Only this thread writes here.
            number.store(number.load(Relaxed).wrapping_add(n), Relaxed);
        }
    }
}
