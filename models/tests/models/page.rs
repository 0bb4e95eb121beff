//! The counter page: what a reader gets is one update, or is called torn, and even then nothing goes back or is done before it
//! was posted.

use loom::thread;
use railtop_models::page::{Copy, Page, Reader};
use railtop_models::sync::Arc;

use crate::check;

/// Update `number`: all its values say which it is.
fn publish(page: &Page, number: u64) {
    page.publish(number, [number; 3]);
}

fn judge(copy: Copy) {
    let [posted_ops, posted_bytes, done] = copy.counters;
    assert!(done <= posted_ops && done <= posted_bytes, "{copy:?}");
    assert!(copy.torn || copy.counters == [copy.published_ns; 3], "{copy:?}");
}

fn watch(page: &Page, looks: usize, reads: usize) {
    let mut reader = Reader::default();
    let mut last: Option<Copy> = None;
    for _ in 0..looks {
        let copy = reader.look(page, reads);
        judge(copy);
        if let Some(last) = last {
            let back = last.counters.iter().zip(copy.counters).any(|(&was, is)| is < was);
            assert!(!back, "{last:?}, then {copy:?}");
        }
        last = Some(copy);
    }
}

/// A reader that looks `looks` times with `reads` reads at most, while a writer publishes `updates` times.
fn model(updates: u64, looks: usize, reads: usize, preemptions: Option<usize>) {
    check(preemptions, move || {
        let page = Arc::new(Page::default());
        let writer = thread::spawn({
            let page = Arc::clone(&page);
            move || (1..=updates).for_each(|number| publish(&page, number))
        });
        let watcher = thread::spawn({
            let page = Arc::clone(&page);
            move || watch(&page, looks, reads)
        });
        writer.join().unwrap();
        watcher.join().unwrap();
        let copy = Reader::default().look(&page, 3);
        assert!(!copy.torn && copy.published_ns == updates, "{copy:?}");
    });
}

#[test]
fn a_copy_is_of_one_update_or_torn() {
    model(1, 1, 3, Some(1));
}

#[test]
fn a_reader_that_gives_up_sees_nothing_done_before_it_was_posted() {
    model(1, 1, 2, Some(2));
}

#[test]
fn nothing_goes_back_between_two_looks() {
    model(1, 2, 2, Some(1));
}
