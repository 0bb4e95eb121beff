//! One put-signal after another, each answered by one: what stands between receiving and sending, in one thread with the caller,
//! on a NIC that answers at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use railtop::transport::heap::Heap;
use railtop::transport::nic::{Limits, Nic, NicError, PeerNic, Piece, Posted, Sink};
use railtop::transport::proxy::{Clock, Drive, Driver, Proxy, Turn};
use railtop::transport::ring::{Command, Producer, Put};
use railtop::transport::wire::{Action, Data, Frame, Record};

use crate::null::{Bench, DATA, SIGNAL, put_of};

/// Answers each frame, which has one put-signal, by the frame of a PE that does the same: its put-signal and its acknowledgement.
struct EchoNic {
    frame: Frame,
    /// Put-signals received, and sent back.
    received: u64,
    sent: u64,
}

impl Nic for EchoNic {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn limits(&self) -> Limits {
        Limits { max_piece: 8 << 20, max_in_flight: 256, ahead: u64::MAX }
    }

    fn put(&mut self, _piece: &Piece) -> Result<Posted, NicError> {
        unreachable!("a small put travels in a frame")
    }

    fn send(&mut self, _to: PeerNic, _frame: &[u8]) -> Result<Posted, NicError> {
        self.received += 1;
        Ok(Posted::Injected)
    }

    fn poll(&mut self, sink: &mut impl Sink) -> Result<usize, NicError> {
        if self.sent == self.received {
            return Ok(0);
        }
        let (seq, action) = (self.sent, put_of(8).signal.map(|signal| Action::Change(signal.into())));
        self.sent += 1;
        self.frame.clear();
        let data = Record::Data(Data { seq, remote: DATA, action, again: false, bytes: &[7; 8] });
        assert!(self.frame.push(&data) && self.frame.push(&Record::Ack { low: self.received }));
        sink.frame(self.frame.as_slice());
        Ok(1)
    }

    fn can_reopen(&self) -> bool {
        false
    }

    fn close_receiver(&mut self, _sink: &mut impl Sink) -> Result<(), NicError> {
        Err(NicError { nic: "echo".into(), what: "closing".into(), why: "it cannot".into() })
    }

    fn open_receiver(&mut self) -> Result<Vec<u8>, NicError> {
        Err(NicError { nic: "echo".into(), what: "opening".into(), why: "it never closes".into() })
    }

    fn redirect(&mut self, _peer: PeerNic, _card: &[u8]) -> Result<(), NicError> {
        Ok(())
    }
}

/// A caller that puts and waits for the answer, again and again.
pub struct Lone {
    driver: Driver<Proxy<EchoNic>>,
    heap: Arc<Heap>,
    producer: Producer,
    put: Put,
    answers: u64,
}

impl Lone {
    /// Over one NIC, with this clock.
    pub fn new(clock: Clock) -> Self {
        let nic = EchoNic { frame: Frame::new(1, 0), received: 0, sent: 0 };
        let Bench { mut proxy, producer, heap, .. } = Bench::new(8, vec![nic], clock);
        proxy.turn().unwrap();
        Self { driver: Driver::new(proxy), heap, producer, put: put_of(8), answers: 0 }
    }

    /// Puts `count` times.
    pub fn exchange(&mut self, count: u64) {
        for _ in 0..count {
            assert!(self.producer.try_push(Command::Put(self.put)));
            self.driver.asked(true);
            self.answers += 1;
            while self.heap.word(SIGNAL).unwrap().load(Ordering::Acquire) < self.answers {
                assert_ne!(Drive::turn(&self.driver), Some(Turn::Stop), "the proxy has failed");
            }
        }
    }
}

/// Nanoseconds of an exchange over one NIC, the median of several rounds.
pub fn nanoseconds() -> f64 {
    const EXCHANGES: u64 = 100_000;
    let mut lone = Lone::new(Clock::System);
    lone.exchange(EXCHANGES);
    crate::median((0..9).map(|_| {
        let start = Instant::now();
        lone.exchange(EXCHANGES);
        start.elapsed().as_secs_f64() * 1e9 / EXCHANGES as f64
    }))
}
