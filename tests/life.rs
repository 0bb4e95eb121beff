//! Who waits for a PE of its node that gets on without any NIC goes on waiting, however long that takes.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[expect(dead_code, reason = "other files use the rest")]
mod support;

use std::time::{Duration, Instant};

use railtop::transport::error::TransportError;
use railtop::transport::pe::Pe;
use support::{Job, providers};

/// How long is waited without a sign of life: several times what a thread of a busy machine is kept from its turn.
const LIMIT: Duration = Duration::from_secs(4);

/// What PE 0 is at, twice `LIMIT` and more.
type Work = fn(&mut Pe, u64) -> Result<(), TransportError>;

/// PE 1 waits in a barrier while PE 0 works; how that ends for both.
fn waiting(work: Work) -> [Result<(), TransportError>; 2] {
    let provider = providers().pop().unwrap();
    let job = Job { pes_per_node: 2, wait_limit: LIMIT, ..Job::new(&provider) };
    let ends = job.run_each(move |mut pe| {
        let place = pe.allocate(1 << 20).unwrap();
        pe.barrier().unwrap();
        let end = if pe.rank() == 0 { work(&mut pe, place) } else { Ok(()) };
        end.and_then(|()| pe.barrier()).and_then(|()| pe.finish())
    });
    ends.try_into().unwrap()
}

#[test]
fn a_kernel_that_stores_by_itself_keeps_its_receiver_waiting() {
    let stores: Work = |pe, _| {
        let begun = Instant::now();
        // As a kernel that says so every tenth of a second.
        let beat = || u64::try_from(begun.elapsed().as_millis() / 100).unwrap();
        pe.run_while("a kernel", || (begun.elapsed() < 2 * LIMIT).then(beat))
    };
    waiting(stores).into_iter().for_each(Result::unwrap);
}

#[test]
fn puts_of_the_host_keep_their_receiver_waiting() {
    let puts: Work = |pe, place| {
        let begun = Instant::now();
        while begun.elapsed() < 2 * LIMIT {
            pe.put(1, place, place, 1 << 20)?;
            std::thread::sleep(LIMIT / 40);
        }
        Ok(())
    };
    waiting(puts).into_iter().for_each(Result::unwrap);
}

#[test]
fn one_that_does_nothing_does_not() {
    let [_, receiver] = waiting(|_, _| {
        // Until the other has given up, which takes it little more than the limit.
        std::thread::sleep(3 * LIMIT);
        Ok(())
    });
    assert!(matches!(receiver, Err(TransportError::Timeout { .. })), "{receiver:?}");
}

#[test]
fn a_kernel_that_hangs_ends_the_job() {
    let ends = waiting(|pe, _| {
        let begun = Instant::now();
        pe.run_while("a kernel that hangs", || (begun.elapsed() < 20 * LIMIT).then_some(7))
    });
    let timeout = |end: &Result<(), TransportError>| matches!(end, Err(TransportError::Timeout { .. }));
    assert!(ends.iter().all(Result::is_err) && ends.iter().any(timeout), "{ends:?}");
}
