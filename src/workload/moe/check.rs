//! Comparing what has come with what must have: from the seed, without the transport.

use half::bf16;

use super::case::Case;
use super::fp8;
use super::incoming::{Incoming, Received};
use super::itinerary::{Itinerary, Trip};
use super::memory::Memory;
use super::route::{Choice, Routing};
use super::shape::{Shape, VALUES_PER_SCALE};
use super::token::{Token, factor};
use crate::workload::WorkloadError;

/// Every PE's rows, as the seed says.
#[derive(Debug, Clone)]
pub struct Reference {
    seed: u64,
    sources: Vec<Itinerary>,
}

impl Reference {
    /// For a case; `routing` gives another PE's.
    #[must_use]
    pub fn of(case: &Case, seed: u64, routing: impl Fn(u32) -> Routing) -> Self {
        let at = &case.at;
        let sources = (0..at.world).map(|src| Itinerary::of(&routing(src), at.shape, at.world)).collect();
        Self { seed, sources }
    }

    /// Holds every row that has come in a round against what its source has sent: counts, slots, and every byte.
    ///
    /// # Errors
    /// With the first that is wrong.
    pub fn check_rows(
        &self,
        case: &Case,
        memory: Memory<'_>,
        incoming: &Incoming,
        rows: &[Received],
        round: u64,
    ) -> Result<(), WorkloadError> {
        let (at, me) = (&case.at, case.me);
        for (src, itinerary) in (0..).zip(&self.sources) {
            for (expert, &(count, back)) in (0..).zip(itinerary.to(me)) {
                let got = incoming.of(src, expert);
                if (got.count, got.back) != (count, back) {
                    return Err(WorkloadError::Corrupt(format!(
                        "PE {src} announced {} rows for expert {expert} of PE {me}, with answers to slot {}; it has {count}, for slot {back}",
                        got.count, got.back
                    )));
                }
            }
        }
        let own = |src: u32| {
            let itinerary = self.sources.get(src as usize);
            itinerary.into_iter().flat_map(Itinerary::trips).filter(|trip| trip.pe == me)
        };
        for src in 0..at.world {
            let mut trips: Vec<&Trip> = own(src).collect();
            trips.sort_by_key(|trip| (trip.expert, trip.nth));
            let mut bytes = vec![0; row_and_number(at.shape)];
            for (row, trip) in rows.iter().filter(|row| row.src == src).zip(trips) {
                memory.read(row.row, &mut bytes)?;
                let token = Token { seed: self.seed, pe: src, token: trip.token, round };
                check_row(at.shape, token, &bytes).map_err(|what| {
                    let Trip { token, expert, .. } = trip;
                    let expert = me * at.local() + expert;
                    WorkloadError::Corrupt(format!(
                        "round {round}: token {token} of PE {src} at expert {expert} of PE {me}: {what}"
                    ))
                })?;
            }
        }
        Ok(())
    }

    /// Holds what each token of this PE has come to against the reference, bit for bit.
    ///
    /// # Errors
    /// With the first that is wrong.
    pub fn check_results(&self, case: &Case, memory: Memory<'_>, round: u64) -> Result<(), WorkloadError> {
        let shape = case.at.shape;
        let mut bytes = vec![0; 2 * shape.dim as usize];
        for (number, choices) in (0..).zip(case.routing.tokens()) {
            memory.read(case.at.result(number), &mut bytes)?;
            let token = Token { seed: self.seed, pe: case.me, token: number, round };
            check_result(shape, token, choices, &bytes).map_err(|what| {
                let experts: Vec<_> = choices.iter().map(|choice| choice.expert).collect();
                WorkloadError::Corrupt(format!(
                    "round {round}: token {number} of PE {}, back from experts {experts:?}: {what}",
                    case.me
                ))
            })?;
        }
        Ok(())
    }
}

/// Bytes of a row and its token's number.
fn row_and_number(shape: Shape) -> usize {
    usize::try_from(shape.row_bytes()).unwrap_or(usize::MAX) + 4
}

/// Compares a row, and the number behind it.
fn check_row(shape: Shape, token: Token, got: &[u8]) -> Result<(), String> {
    let mut want = Vec::with_capacity(got.len());
    token.write(shape, &mut want);
    want.extend(token.token.to_le_bytes());
    let wrong = got.iter().zip(&want).position(|(got, want)| got != want);
    let Some(at) = wrong.or((got.len() != want.len()).then_some(got.len().min(want.len()))) else {
        return Ok(());
    };
    let byte =
        |bytes: &[u8]| bytes.get(at).map_or_else(|| "missing".to_owned(), |byte| format!("{byte:#04x}"));
    Err(format!("byte {at} of {} is {}, should be {}", want.len(), byte(got), byte(&want)))
}

/// What a token must come to: each expert's answer is the value with its scale times the expert's factor, in bf16, and the sum
/// of the answers by weight is bf16 again.
fn check_result(shape: Shape, token: Token, choices: &[Choice], got: &[u8]) -> Result<(), String> {
    let mut row = Vec::new();
    token.write(shape, &mut row);
    let (values, scales) = row.split_at_checked(shape.dim as usize).unwrap_or_default();
    let scale = |value: usize| {
        let scale = scales.chunks_exact(4).nth(value / VALUES_PER_SCALE as usize);
        f32::from_le_bytes(scale.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default())
    };
    for (at, (&code, got)) in values.iter().zip(got.chunks_exact(2)).enumerate() {
        let value = fp8::decode(code) * scale(at);
        let mut sum = 0.0_f32;
        for Choice { expert, weight } in choices {
            sum += weight * bf16::from_f32(value * factor(*expert)).to_f32();
        }
        let want = bf16::from_f32(sum);
        let got = bf16::from_le_bytes(got.try_into().unwrap_or_default());
        if got.to_bits() != want.to_bits() {
            return Err(format!(
                "value {at} of {} is {got} ({:#06x}), should be {want} ({:#06x})",
                shape.dim,
                got.to_bits(),
                want.to_bits()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
