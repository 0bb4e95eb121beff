//! Fences whose order loom explores.

use loom::sync::atomic::{self, AtomicU32, Ordering};

loom::lazy_static! {
    static ref FENCES: AtomicU32 = AtomicU32::new(0);
}

/// As the standard library's.
///
/// To loom a fence is a part of the step before it, so it would never let another thread go on between the two. Writing to a word
/// that all `SeqCst` fences have in common makes each a step of its own, and adds nothing to the order that they have anyway.
pub fn fence(order: Ordering) {
    if order == Ordering::SeqCst {
        FENCES.fetch_add(1, Ordering::Relaxed);
    }
    atomic::fence(order);
}
