//! Combine, posted by the host: every answer goes back to where its token came from, and is added up there by weight; over
//! when every token of this PE is.

use super::batch::rows_of_chunk;
use super::case::Case;
use super::incoming::{Group, Incoming};
use super::sums::Sums;
use super::token;
use super::traffic::Traffic;
use crate::transport::heap::Heap;
use crate::transport::pe::Pe;
use crate::transport::signal::{Signal, SignalOp, Until};
use crate::workload::WorkloadError;

/// One combine.
pub fn combine(
    pe: &mut Pe,
    case: &Case,
    incoming: &Incoming,
    sums: &mut Sums,
    traffic: &mut Traffic,
) -> Result<(), WorkloadError> {
    let groups: Vec<_> = incoming.groups().filter(|group| group.count > 0).collect();
    for src in case.ring() {
        if case.is_together(src) {
            let of_src: Vec<_> = groups.iter().filter(|group| group.src == src).copied().collect();
            send_together(pe, case, src, &of_src, traffic)?;
        }
    }
    send_each(pe, case, &groups, traffic)?;
    for from in case.ring() {
        let answers = case.itinerary.answers_of(from);
        if answers > 0 {
            let sum = sums.returned(from, answers);
            pe.wait_until(case.at.words.returned(from), Until::AtLeast(sum))?;
        }
    }
    add_up(pe.heap(), case)
}

/// A put for each answer, expert by expert, the sources in ring order.
fn send_each(pe: &mut Pe, case: &Case, groups: &[Group], traffic: &mut Traffic) -> Result<(), WorkloadError> {
    let (at, len) = (&case.at, case.at.shape.expert_row_bytes());
    let signal = Signal { offset: at.words.returned(case.me), op: SignalOp::Add, value: 1 };
    for groups in groups.chunk_by(|a, b| a.expert == b.expert) {
        let behind = groups.partition_point(|group| group.src < case.me);
        let (before, after) = groups.split_at(behind);
        for group in after.iter().chain(before) {
            if case.is_together(group.src) {
                continue;
            }
            for nth in 0..group.count {
                let answer = at.answer(group.first + u64::from(nth));
                pe.put_signal(group.src, answer, at.returned(group.back + nth), len, signal)?;
                traffic.count(pe, group.src, len);
            }
        }
    }
    Ok(())
}

/// All answers for one source in a few puts. They go to slots that lie side by side, but lie apart here.
fn send_together(
    pe: &mut Pe,
    case: &Case,
    src: u32,
    groups: &[Group],
    traffic: &mut Traffic,
) -> Result<(), WorkloadError> {
    let Some(first) = groups.first() else { return Ok(()) };
    let (at, heap) = (&case.at, pe.heap().clone());
    let row = at.shape.expert_row_bytes();
    let (stage, target) = (at.answers_stage(src), at.returned(first.back));
    let rows: u64 = groups.iter().map(|group| u64::from(group.count)).sum();
    let chunk = rows_of_chunk(row, rows, pe.nics().len() as u64);
    let (mut begin, mut end) = (0, 0);
    for group in groups {
        let mut taken = 0;
        while taken < u64::from(group.count) {
            let some = (u64::from(group.count) - taken).min(begin + chunk - end);
            heap.copy_to(at.answer(group.first + taken), &heap, stage + end * row, some * row)?;
            (taken, end) = (taken + some, end + some);
            if end - begin == chunk || end == rows {
                let (from, len) = (begin * row, (end - begin) * row);
                let signal =
                    Signal { offset: at.words.returned(case.me), op: SignalOp::Add, value: end - begin };
                pe.put_signal(src, stage + from, target + from, len, signal)?;
                traffic.count(pe, src, len);
                begin = end;
            }
        }
    }
    Ok(())
}

/// What every token of this PE comes to.
pub(super) fn add_up(heap: &Heap, case: &Case) -> Result<(), WorkloadError> {
    let shape = case.at.shape;
    let mut answer = vec![0; 2 * shape.dim as usize];
    let mut sum = vec![0.0; shape.dim as usize];
    let mut result = answer.clone();
    let tokens = case.routing.tokens().zip(case.itinerary.tokens());
    for (number, (choices, trips)) in (0..).zip(tokens) {
        sum.fill(0.0);
        for (choice, trip) in choices.iter().zip(trips) {
            heap.read(case.at.returned(trip.back), &mut answer)?;
            token::add(&mut sum, choice.weight, &answer);
        }
        token::round(&sum, &mut result);
        heap.write(case.at.result(number), &result)?;
    }
    Ok(())
}
