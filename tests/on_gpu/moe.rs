//! Dispatch and combine by kernels: alone on a GPU every row and result to the bit, and to a PE that is elsewhere exactly the
//! descriptors that the routing says.

use std::collections::BTreeMap;

use railtop::skew::Skew;
use railtop::transport::gpu::{
    DeviceMemory, KernelHeap, Launched, Moe, MoeKernels, RingMemory, Rings, Visible,
};
use railtop::transport::ring::Command;
use railtop::transport::ring::Put;
use railtop::transport::signal::{Signal, SignalOp};
use railtop::workload::moe::Shape;
use railtop::workload::moe::itinerary::Itinerary;
use railtop::workload::moe::route::Routing;
use railtop::workload::moe::token::{self, Token};

use super::{Alone, FIRST, memory};

const SHAPE: Shape = Shape { experts: 8, topk: 3, dim: 144 };
const TOKENS: u32 = 21;
const LEAST: u64 = 5 << 36;

/// Where everything lies in the heap, one part behind the other.
struct Parts {
    moe: Moe,
    end: u64,
}

fn parts(local: u32) -> Parts {
    let mut end = FIRST;
    let mut part = |len: u64| {
        let start = end;
        end += len.next_multiple_of(128);
        start
    };
    let (slot, answer) = (SHAPE.slot_bytes(), SHAPE.expert_row_bytes());
    let rows = u64::from(TOKENS * SHAPE.topk);
    let moe = Moe {
        tokens: part(u64::from(TOKENS) * slot),
        slots: part(u64::from(SHAPE.experts * TOKENS) * slot),
        answers: part(2 * rows * answer),
        returned: part(rows * answer),
        results: part(u64::from(TOKENS) * answer),
        counts: part(64),
        arrived: part(64),
        back: part(16),
        slot_bytes: slot,
        answer_bytes: answer,
        least: LEAST,
        token_count: TOKENS,
        topk: SHAPE.topk,
        local,
        experts: SHAPE.experts,
        dim: SHAPE.dim,
        ..Moe::default()
    };
    Parts { moe, end }
}

/// Writes tables behind each other; returns the address of each.
fn tables(memory: &DeviceMemory, tables: &[Vec<u8>]) -> Vec<u64> {
    let mut at = 0;
    let place = |table: &Vec<u8>| {
        memory.write(at, table).unwrap();
        let address = memory.address() + at;
        at += (table.len() as u64).next_multiple_of(16);
        address
    };
    tables.iter().map(place).collect()
}

fn bytes<const N: usize>(numbers: impl IntoIterator<Item = [u32; N]>) -> Vec<u8> {
    numbers.into_iter().flatten().flat_map(u32::to_le_bytes).collect()
}

fn words(words: impl IntoIterator<Item = u64>) -> Vec<u8> {
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// What the kernels are told of a routing.
fn told(itinerary: &Itinerary, routing: &Routing, world: u32, memory: &DeviceMemory, moe: Moe) -> Moe {
    let all = (0..world).flat_map(|pe| itinerary.to(pe));
    let announced = words(all.map(|&(count, back)| LEAST | u64::from(back) << 16 | u64::from(count)));
    let trips = bytes(itinerary.trips().iter().map(|trip| [trip.token, trip.pe, trip.expert, trip.nth]));
    let parts = itinerary.trips().iter().zip(routing.choices());
    let parts = bytes(parts.map(|(trip, choice)| [trip.back, choice.weight.to_bits()]));
    // Every answer is in the slot of its number; only the first PE's rows come here.
    let own = itinerary.trips().iter().filter(|trip| trip.pe == 0);
    let ways = bytes(own.map(|trip| [0, trip.back, trip.back, 0]));
    let before = words((0..SHAPE.experts).map(|_| 0));
    let due = words((0..world).map(|pe| itinerary.answers_of(pe)));
    let answer_count = u32::try_from(ways.len() / 16).unwrap();
    let at = tables(memory, &[announced, trips, parts, ways, before, due]);
    Moe {
        announced: at[0],
        trips: at[1],
        parts: at[2],
        ways: at[3],
        before: at[4],
        due: at[5],
        trip_count: TOKENS * SHAPE.topk,
        answer_count,
        ..moe
    }
}

fn row(token: u32) -> Vec<u8> {
    let mut row = Vec::new();
    Token { seed: 3, pe: 0, token, round: 5 }.write(SHAPE, &mut row);
    row
}

fn read(memory: &DeviceMemory, at: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    memory.read(at, &mut bytes).unwrap();
    bytes
}

fn fill(memory: &DeviceMemory, moe: &Moe) {
    for token in 0..TOKENS {
        let at = moe.tokens + u64::from(token) * moe.slot_bytes;
        memory.write(at, &[row(token), token.to_le_bytes().to_vec()].concat()).unwrap();
    }
}

#[test]
fn rows_and_results_are_the_host_s_to_the_bit() {
    for (blocks, threads) in [(1, 32), (3, 96), (16, 256)] {
        let Parts { moe, end } = parts(SHAPE.experts);
        let Some(alone) = Alone::new(end, 1, 8) else { return };
        let kernels = MoeKernels::load(&alone.gpu).unwrap();
        let extra = DeviceMemory::take(&alone.gpu, 1 << 16).unwrap();
        let routing = Routing::of(SHAPE, TOKENS, Skew::Zipf(1.0), 3, 0);
        let itinerary = Itinerary::of(&routing, SHAPE, 1);
        let moe = told(&itinerary, &routing, 1, &extra, moe);
        let heap = alone.memory();
        fill(heap, &moe);
        kernels.dispatch(&alone.gpu, alone.view(), moe, (blocks, threads)).unwrap();
        alone.synchronize();
        for trip in itinerary.trips() {
            let slot = u64::from(trip.expert * TOKENS + trip.nth);
            let got = read(heap, moe.slots + slot * moe.slot_bytes, SHAPE.row_bytes() + 4);
            assert!(got == [row(trip.token), trip.token.to_le_bytes().to_vec()].concat(), "{trip:?}");
            let mut answer = Vec::new();
            token::answer(SHAPE, trip.expert, &row(trip.token), &mut answer);
            heap.write(moe.answers + u64::from(trip.back) * moe.answer_bytes, &answer).unwrap();
        }
        kernels.combine(&alone.gpu, alone.view(), moe, (blocks, threads)).unwrap();
        alone.synchronize();
        for (number, choices) in (0..).zip(routing.tokens()) {
            let mut sum = vec![0.0; SHAPE.dim as usize];
            for choice in choices {
                let mut answer = Vec::new();
                token::answer(SHAPE, choice.expert, &row(number), &mut answer);
                token::add(&mut sum, choice.weight, &answer);
            }
            let mut want = vec![0; 2 * sum.len()];
            token::round(&sum, &mut want);
            let got = read(heap, moe.results + u64::from(number) * moe.answer_bytes, moe.answer_bytes);
            assert!(got == want, "token {number}, {blocks} blocks of {threads} threads");
        }
    }
}

#[test]
fn what_goes_elsewhere_is_posted_row_by_row() {
    let local = SHAPE.experts / 2;
    let Parts { moe, end } = parts(local);
    let Some(alone) = Alone::new(FIRST, 1, 8) else { return };
    let rings = RingMemory::create(2, 256).unwrap();
    // PE 1 is nowhere: what goes there is posted.
    let heap = KernelHeap::alone(&alone.gpu, end).unwrap();
    let visible = Visible::new(&alone.gpu, 0, 2, heap, &rings).unwrap();
    let mut taker = Rings::new(&rings, Vec::new());
    let kernels = MoeKernels::load(&alone.gpu).unwrap();
    let extra = DeviceMemory::take(&alone.gpu, 1 << 16).unwrap();
    let routing = Routing::of(SHAPE, TOKENS, Skew::Uniform, 3, 0);
    let itinerary = Itinerary::of(&routing, SHAPE, 2);
    let moe = told(&itinerary, &routing, 2, &extra, moe);
    fill(memory(&visible), &moe);
    // PE 1 has nothing for the experts here, and has answered all: while kernels run nobody writes into the heap.
    memory(&visible).write(moe.counts + 8 * u64::from(local), &words((0..local).map(|_| LEAST))).unwrap();
    memory(&visible).write(moe.back + 8, &itinerary.answers_of(1).to_le_bytes()).unwrap();

    let launched = kernels.dispatch(&alone.gpu, visible.view(), moe, (2, 64)).unwrap();
    let mut wanted = BTreeMap::new();
    for trip in itinerary.trips().iter().filter(|trip| trip.pe == 1) {
        let group = u64::from(trip.expert);
        let signal = Signal { offset: moe.arrived + 8 * group, op: SignalOp::Add, value: 1 };
        let local = moe.tokens + u64::from(trip.token) * moe.slot_bytes;
        let remote = moe.slots + (group * u64::from(TOKENS) + u64::from(trip.nth)) * moe.slot_bytes;
        let put = Put { dst: 1, local, remote, len: moe.slot_bytes, signal: Some(signal) };
        wanted.insert(remote, put);
    }
    let mut signals = BTreeMap::new();
    serve(&mut taker, &launched, |command| match command {
        Command::Put(put) => {
            assert_eq!(wanted.remove(&put.remote), Some(put), "a row that is none, or came twice");
        }
        Command::Signal { dst: 1, signal } => {
            assert_eq!(signal.op, SignalOp::Set);
            assert_eq!(signals.insert(signal.offset, signal.value), None, "a count comes once");
        }
        other => unreachable!("{other:?} of a dispatch"),
    });
    assert!(wanted.is_empty(), "{} rows have not come", wanted.len());
    let counts = (0..).zip(itinerary.to(1));
    let counts: BTreeMap<_, _> = counts
        .map(|(expert, &(count, back))| {
            (moe.counts + 8 * expert, LEAST | u64::from(back) << 16 | u64::from(count))
        })
        .collect();
    assert_eq!(signals, counts);

    // Its own answers need no one, and PE 1's are there.
    let launched = kernels.combine(&alone.gpu, visible.view(), moe, (2, 64)).unwrap();
    serve(&mut taker, &launched, |command| unreachable!("{command:?}: nothing of it goes elsewhere"));
}

/// Takes what is posted until everything of a launch is over; its quiets, behind each launch, are answered.
fn serve(taker: &mut Rings, launched: &Launched, mut take: impl FnMut(Command)) {
    let mut over = false;
    while !over {
        over = launched.done.try_is_complete().unwrap();
        while let Some(command) = taker.pop().unwrap() {
            match command {
                Command::RingQuiet { ring, posted } => taker.quiet_done(ring, posted),
                other => take(other),
            }
        }
    }
}
