//! Where the rows of a PE go, and where their answers come back to. Slots are fixed by source, expert and count, so that
//! nobody has to ask for one.

use super::route::Routing;
use super::shape::Shape;

/// One token on its way to one expert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trip {
    /// Its number at the source.
    pub token: u32,
    /// The PE that has the expert.
    pub pe: u32,
    /// The expert, counted on that PE.
    pub expert: u32,
    /// How many tokens of this source go to that expert before it.
    pub nth: u32,
    /// The slot at the source for the answer.
    pub back: u32,
}

/// All trips of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Itinerary {
    trips: Vec<Trip>,
    /// By expert, over all PEs: tokens that go there, and the slot of the first one's answer.
    experts: Vec<(u32, u32)>,
    local: u32,
    topk: usize,
}

impl Itinerary {
    /// Of a routing in a job of `world` PEs.
    ///
    /// Answers come back ordered by expert: those of one PE lie side by side, and so do those of each of its experts.
    #[must_use]
    pub fn of(routing: &Routing, shape: Shape, world: u32) -> Self {
        let local = shape.local(world).max(1);
        let mut experts = vec![(0_u32, 0_u32); shape.experts as usize];
        for choice in routing.choices() {
            if let Some((count, _)) = experts.get_mut(choice.expert as usize) {
                *count += 1;
            }
        }
        let mut next = 0;
        for (count, back) in &mut experts {
            *back = next;
            next += *count;
        }
        let mut seen = vec![0_u32; experts.len()];
        let trip = |(token, choice): (u32, &super::route::Choice)| {
            let expert = choice.expert as usize;
            let nth = seen.get_mut(expert).map_or(0, |seen| std::mem::replace(seen, *seen + 1));
            let back = experts.get(expert).map_or(0, |(_, first)| first + nth);
            Trip { token, pe: choice.expert / local, expert: choice.expert % local, nth, back }
        };
        let each =
            (0..).zip(routing.tokens()).flat_map(|(token, chosen)| chosen.iter().map(move |c| (token, c)));
        let trips = each.map(trip).collect();
        Self { trips, experts, local, topk: shape.topk as usize }
    }

    /// All trips, token by token.
    #[must_use]
    pub fn trips(&self) -> &[Trip] {
        &self.trips
    }

    /// The trips of each token in turn, in the order of its choices.
    pub fn tokens(&self) -> impl Iterator<Item = &[Trip]> {
        self.trips.chunks(self.topk.max(1))
    }

    /// By expert of `pe`: how many tokens go there, and the slot of the first one's answer.
    #[must_use]
    pub fn to(&self, pe: u32) -> &[(u32, u32)] {
        let first = pe as usize * self.local as usize;
        self.experts.get(first..first + self.local as usize).unwrap_or_default()
    }

    /// Answers that come back from `pe`.
    #[must_use]
    pub fn answers_of(&self, pe: u32) -> u64 {
        self.to(pe).iter().map(|(count, _)| u64::from(*count)).sum()
    }

    /// Tokens that go to at least one expert of `pe`, each with its trips there.
    pub fn travellers(&self, pe: u32) -> impl Iterator<Item = Vec<Trip>> {
        let there =
            move |trips: &[Trip]| trips.iter().filter(|trip| trip.pe == pe).copied().collect::<Vec<_>>();
        self.tokens().map(there).filter(|trips| !trips.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::skew::Skew;

    proptest! {
        #[test]
        fn no_two_rows_share_a_slot(world in 1..9_u32, local in 1..9_u32, topk in 1..9_u32, tokens in 0..40_u32, seed: u64) {
            let shape = Shape { experts: world * local, topk: topk.min(world * local), dim: 16 };
            for skew in [Skew::Uniform, Skew::Zipf(1.5)] {
                let routing = Routing::of(shape, tokens, skew, seed, 0);
                let itinerary = Itinerary::of(&routing, shape, world);
                let rows = tokens * shape.topk;
                prop_assert_eq!(itinerary.trips().len(), rows as usize);
                let there: BTreeSet<_> = itinerary.trips().iter().map(|t| (t.pe, t.expert, t.nth)).collect();
                prop_assert_eq!(there.len(), rows as usize, "a slot there is one row's");
                let back: BTreeSet<_> = itinerary.trips().iter().map(|t| t.back).collect();
                prop_assert_eq!(back, (0..rows).collect::<BTreeSet<_>>(), "and the slots here are used up");
                for pe in 0..world {
                    prop_assert_eq!(itinerary.to(pe).len(), local as usize);
                    for (expert, &(count, first)) in (0..).zip(itinerary.to(pe)) {
                        let rows = itinerary.trips().iter().filter(|t| (t.pe, t.expert) == (pe, expert));
                        let seen: Vec<_> = rows.map(|t| (t.nth, t.back)).collect();
                        prop_assert_eq!(seen, (0..count).map(|nth| (nth, first + nth)).collect::<Vec<_>>());
                    }
                    let travellers: Vec<_> = itinerary.travellers(pe).collect();
                    let tokens: BTreeSet<_> = travellers.iter().map(|trips| trips[0].token).collect();
                    prop_assert_eq!(tokens.len(), travellers.len(), "a token travels once to a PE");
                    prop_assert_eq!(travellers.iter().flatten().count() as u64, itinerary.answers_of(pe));
                }
                for (trip, choice) in itinerary.trips().iter().zip(routing.choices()) {
                    prop_assert_eq!(trip.pe * local + trip.expert, choice.expert);
                }
            }
        }
    }
}
