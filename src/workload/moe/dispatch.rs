//! Dispatch, posted by the host: counts first, then every token to each of its experts, each with a signal; over when every
//! row for this PE's experts is here. Rows stay where they land.

use super::announce::{Announced, least};
use super::batch::rows_of_chunk;
use super::case::Case;
use super::incoming::Incoming;
use super::memory::Memory;
use super::sums::Sums;
use super::traffic::Traffic;
use crate::transport::pe::Pe;
use crate::transport::signal::{Signal, SignalOp, Until};
use crate::workload::WorkloadError;

/// One dispatch in a round.
pub fn dispatch(
    pe: &mut Pe,
    case: &Case,
    round: u64,
    sums: &mut Sums,
    traffic: &mut Traffic,
) -> Result<Incoming, WorkloadError> {
    for dst in case.ring() {
        if !case.is_together(dst) {
            announce(pe, case, round, dst)?;
        }
    }
    // What takes longest first.
    for dst in case.ring() {
        if case.is_together(dst) {
            send_together(pe, case, round, dst, traffic)?;
        }
    }
    send_each(pe, case, traffic)?;
    let mut incoming = Incoming::new(case);
    for src in case.ring() {
        if case.is_together(src) {
            await_together(pe, case, round, src, sums)?;
        } else {
            await_each(pe, case, round, src, sums, &mut incoming)?;
        }
    }
    incoming.read(case, Memory::Host(pe.heap()), false)?;
    Ok(incoming)
}

/// Tells every expert of `dst` how many rows come.
fn announce(pe: &mut Pe, case: &Case, round: u64, dst: u32) -> Result<(), WorkloadError> {
    let local = case.at.local();
    for (expert, &(count, back)) in (0..).zip(case.itinerary.to(dst)) {
        let offset = case.at.words.count(case.me, expert, local);
        let value = Announced { count, back }.word(round);
        pe.signal(dst, Signal { offset, op: SignalOp::Set, value })?;
    }
    Ok(())
}

/// A put for each token and expert, in the order of tokens.
fn send_each(pe: &mut Pe, case: &Case, traffic: &mut Traffic) -> Result<(), WorkloadError> {
    let (at, local, len) = (&case.at, case.at.local(), case.at.shape.slot_bytes());
    for trip in case.itinerary.trips() {
        if case.is_together(trip.pe) {
            continue;
        }
        let offset = at.words.arrived(case.me, trip.expert, local);
        let signal = Signal { offset, op: SignalOp::Add, value: 1 };
        pe.put_signal(trip.pe, at.token(trip.token), at.slot(case.me, trip.expert, trip.nth), len, signal)?;
        traffic.count(pe, trip.pe, len);
    }
    Ok(())
}

/// All rows for `dst` in a few puts: the first brings the counts, too, and says how many rows follow it.
fn send_together(
    pe: &mut Pe,
    case: &Case,
    round: u64,
    dst: u32,
    traffic: &mut Traffic,
) -> Result<(), WorkloadError> {
    let (at, heap) = (&case.at, pe.heap().clone());
    let (row, record) = (at.shape.row_bytes(), at.shape.record_bytes(at.world));
    let (stage, landing) = (at.stage(dst), at.landing(case.me));
    let travellers = case.travellers.get(dst as usize).map_or(&[][..], Vec::as_slice);
    let rows = travellers.len() as u64;
    let words = case.itinerary.to(dst).iter().map(|&(count, back)| Announced { count, back }.word(round));
    heap.write(stage, &words.flat_map(u64::to_le_bytes).collect::<Vec<u8>>())?;
    let chunk = rows_of_chunk(record, rows, pe.nics().len() as u64);
    let first = chunk.min(rows);
    let (mut begin, mut end, mut trailer) = (0, 0, Vec::new());
    loop {
        let upto = (end + chunk).min(rows);
        for trips in travellers.get(at_usize(end)..at_usize(upto)).unwrap_or_default() {
            let to = at.record(stage, end);
            let token = trips.first().map_or(0, |trip| trip.token);
            heap.copy_to(at.token(token), &heap, to, row)?;
            at.trailer(trips, &mut trailer);
            heap.write(to + row, &trailer)?;
            end += 1;
        }
        let signal = if begin == 0 {
            let announced = Announced { count: small(rows - first), back: small(first) };
            Signal { offset: at.words.head(case.me), op: SignalOp::Set, value: announced.word(round) }
        } else {
            Signal { offset: at.words.followed(case.me), op: SignalOp::Add, value: upto - begin }
        };
        let from = if begin == 0 { 0 } else { at.record(stage, begin) - stage };
        let len = at.record(stage, upto) - stage - from;
        pe.put_signal(dst, stage + from, landing + from, len, signal)?;
        traffic.count(pe, dst, len);
        begin = upto;
        if upto == rows {
            return Ok(());
        }
    }
}

/// Waits for what a source sends row by row.
fn await_each(
    pe: &Pe,
    case: &Case,
    round: u64,
    src: u32,
    sums: &mut Sums,
    incoming: &mut Incoming,
) -> Result<(), WorkloadError> {
    let (words, local) = (&case.at.words, case.at.local());
    for expert in 0..local {
        let word = pe.wait_until(words.count(src, expert, local), Until::AtLeast(least(round)))?;
        let announced = Announced::of(word);
        incoming.announce(src, expert, announced);
        if announced.count > 0 {
            let sum = sums.arrived(words.by_expert(src, expert, local), u64::from(announced.count));
            pe.wait_until(words.arrived(src, expert, local), Until::AtLeast(sum))?;
        }
    }
    Ok(())
}

/// Waits for what a source sends together.
fn await_together(pe: &Pe, case: &Case, round: u64, src: u32, sums: &mut Sums) -> Result<(), WorkloadError> {
    let words = &case.at.words;
    let head = Announced::of(pe.wait_until(words.head(src), Until::AtLeast(least(round)))?);
    if head.count > 0 {
        let sum = sums.followed(src, u64::from(head.count));
        pe.wait_until(words.followed(src), Until::AtLeast(sum))?;
    }
    Ok(())
}

/// Rows of a PE are few.
fn small(rows: u64) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

fn at_usize(row: u64) -> usize {
    usize::try_from(row).unwrap_or(usize::MAX)
}
