//! One layer with so many tokens, as one PE of a job sees it: who gets what, and where everything lies. Decided here, before
//! anything moves.

use super::batch::Batch;
use super::itinerary::{Itinerary, Trip};
use super::layout::{Places, Words, batch_block};
use super::options::MoeOptions;
use super::route::Routing;
use super::shape::Shape;

/// What stands for no expert in a record.
pub const NOBODY: u16 = u16::MAX;

/// A layer with so many tokens of each PE, in a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The layer.
    pub shape: Shape,
    /// Tokens of each PE.
    pub tokens: u32,
    /// PEs.
    pub world: u32,
    /// The parts of the heap.
    pub places: Places,
    /// The signal words.
    pub words: Words,
}

impl Addresses {
    /// Experts of each PE.
    #[must_use]
    pub fn local(&self) -> u32 {
        self.shape.local(self.world)
    }

    /// This PE's token `token`.
    #[must_use]
    pub fn token(&self, token: u32) -> u64 {
        self.places.tokens + u64::from(token) * self.shape.slot_bytes()
    }

    /// The `nth` row of `src` for expert `expert` of this PE.
    #[must_use]
    pub fn slot(&self, src: u32, expert: u32, nth: u32) -> u64 {
        let row = u64::from(src) * u64::from(self.local()) + u64::from(expert);
        self.places.slots + (row * u64::from(self.tokens) + u64::from(nth)) * self.shape.slot_bytes()
    }

    fn block(&self, pe: u32) -> u64 {
        u64::from(pe) * batch_block(self.shape, self.tokens, self.world)
    }

    /// Where the batch of `src` comes to.
    #[must_use]
    pub fn landing(&self, src: u32) -> u64 {
        self.places.landing + self.block(src)
    }

    /// Where the batch for `dst` is put together.
    #[must_use]
    pub fn stage(&self, dst: u32) -> u64 {
        self.places.stage + self.block(dst)
    }

    /// Record `index` of a batch at `batch`.
    #[must_use]
    pub fn record(&self, batch: u64, index: u64) -> u64 {
        batch + self.shape.header_bytes(self.world) + index * self.shape.record_bytes(self.world)
    }

    /// Where answers for `src` are put together.
    #[must_use]
    pub fn answers_stage(&self, src: u32) -> u64 {
        let most = u64::from(self.tokens) * u64::from(self.shape.most_of_one(self.world));
        self.places.stage + u64::from(src) * most * self.shape.expert_row_bytes()
    }

    /// Answer `index` of this PE's experts.
    #[must_use]
    pub fn answer(&self, index: u64) -> u64 {
        self.places.answers + index * self.shape.expert_row_bytes()
    }

    /// Slot `back` of what comes back.
    #[must_use]
    pub fn returned(&self, back: u32) -> u64 {
        self.places.returned + u64::from(back) * self.shape.expert_row_bytes()
    }

    /// What token `token` has come to.
    #[must_use]
    pub fn result(&self, token: u32) -> u64 {
        self.places.results + u64::from(token) * self.shape.expert_row_bytes()
    }

    /// What follows a row in a batch: its token's number and the target's experts that want it.
    pub fn trailer(&self, trips: &[Trip], bytes: &mut Vec<u8>) {
        bytes.clear();
        let token = trips.first().map_or(0, |trip| trip.token);
        bytes.extend(token.to_le_bytes());
        let experts = trips.iter().map(|trip| u16::try_from(trip.expert).unwrap_or(NOBODY));
        let all = experts.chain(std::iter::repeat(NOBODY)).take(self.shape.most_of_one(self.world) as usize);
        bytes.extend(all.flat_map(u16::to_le_bytes));
    }

    /// The experts that a trailer names.
    pub fn experts(trailer: &[u8]) -> impl Iterator<Item = u32> + '_ {
        let names = trailer.get(4..).unwrap_or_default().chunks_exact(2);
        let names = names.map(|name| u16::from_le_bytes(name.try_into().unwrap_or_default()));
        names.take_while(|&name| name != NOBODY).map(u32::from)
    }
}

/// What a PE does.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Where everything lies.
    pub at: Addresses,
    /// This PE.
    pub me: u32,
    /// Its tokens' experts.
    pub routing: Routing,
    /// The way of its rows.
    pub itinerary: Itinerary,
    /// By PE: its rows for that PE travel together.
    pub together: Vec<bool>,
    /// By PE whose rows do: its tokens that go there, with their trips.
    pub travellers: Vec<Vec<Vec<Trip>>>,
}

impl Case {
    /// Of PE `me`; `near` says which PEs are reached without a NIC.
    #[must_use]
    pub fn of(options: &MoeOptions, at: Addresses, me: u32, near: impl Fn(u32) -> bool) -> Self {
        let Addresses { shape, tokens, world, .. } = at;
        let routing = Routing::of(shape, tokens, options.skew, options.seed, me);
        let itinerary = Itinerary::of(&routing, shape, world);
        let together: Vec<_> = (0..world).map(|pe| !near(pe) && together(options.batch, &at)).collect();
        let travellers = (0..)
            .zip(&together)
            .map(|(pe, &together)| if together { itinerary.travellers(pe).collect() } else { Vec::new() });
        Self { me, travellers: travellers.collect(), routing, itinerary, together, at }
    }

    /// All PEs in ring order, this one last.
    pub fn ring(&self) -> impl Iterator<Item = u32> + use<> {
        let (me, world) = (self.me, self.at.world);
        (1..=world).map(move |step| (me + step) % world)
    }

    /// Whether rows for any PE, and from it, travel together.
    #[must_use]
    pub fn has_batches(&self) -> bool {
        self.together.contains(&true)
    }

    /// Whether rows for `pe`, and from it, travel together.
    #[must_use]
    pub fn is_together(&self, pe: u32) -> bool {
        self.together.get(pe as usize).copied().unwrap_or(false)
    }
}

/// Whether rows between two PEs that NICs lead to travel together.
fn together(batch: Batch, at: &Addresses) -> bool {
    // As many as there are when all experts are alike: both ends know that much.
    let rows = u64::from(at.tokens) * u64::from(at.shape.topk) / u64::from(at.world.max(1));
    batch.together(at.shape.expert_row_bytes(), rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::heap::Allocator;
    use crate::workload::moe::layout::Layout;
    use crate::workload::moe::options::tests::options;

    fn addresses(options: &MoeOptions, shape: Shape, tokens: u32, world: u32) -> Addresses {
        let mut heap = Allocator::new(u64::MAX);
        let places = Layout::of(options, world).places(|_, len| Ok(heap.allocate(len).unwrap())).unwrap();
        let words = Words { at: places.words, experts: 256, pes: world };
        Addresses { shape, tokens, world, places, words }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        for batch in [Batch::Off, Batch::Auto] {
            let options = MoeOptions { batch, ..options() };
            let layout = Layout::of(&options, 4);
            for (shape, tokens) in [(Shape::E64, 4), (Shape::E256, 1), (Shape::E256, 4)] {
                let at = addresses(&options, shape, tokens, 4);
                let (local, places) = (at.local(), at.places);
                assert!(at.token(tokens) <= places.tokens + layout.tokens);
                assert!(at.slot(3, local - 1, tokens) <= places.slots + layout.slots);
                assert!(at.returned(tokens * shape.topk) <= places.returned + layout.returned);
                assert!(at.result(tokens) <= places.results + layout.results);
                let rows = 4 * u64::from(tokens * shape.most_of_one(4));
                assert!(at.answer(rows) <= places.answers + layout.answers);
                if batch == Batch::Auto {
                    let end = at.record(at.landing(3), u64::from(tokens));
                    assert!(end <= places.landing + layout.landing);
                    assert_eq!(at.landing(3), at.record(at.landing(2), u64::from(tokens)));
                    assert!(at.answers_stage(4) <= places.stage + layout.stage);
                }
                let last = at.words.alltoall() + 16 * 4;
                assert!(last <= places.words + layout.words);
            }
        }
    }

    #[test]
    fn every_word_is_its_own() {
        let words = Words { at: 4096, experts: 64, pes: 4 };
        let by_expert =
            |pe| (0..16).flat_map(move |expert| [words.count(pe, expert, 16), words.arrived(pe, expert, 16)]);
        let by_pe = |pe: u32| {
            let alltoall = words.alltoall() + 16 * u64::from(pe);
            [words.head(pe), words.followed(pe), words.returned(pe), alltoall, alltoall + 8]
        };
        let mut all: Vec<u64> = (0..4).flat_map(|pe| by_expert(pe).chain(by_pe(pe))).collect();
        all.sort_unstable();
        assert_eq!(all, (0..2 * 64 + 5 * 4).map(|word| 4096 + 8 * word).collect::<Vec<_>>());
    }

    #[test]
    fn rows_travel_together_to_pes_that_a_nic_leads_to_only() {
        let options = MoeOptions { batch: Batch::Auto, ..options() };
        let at = addresses(&options, Shape::E256, 4, 4);
        let case = Case::of(&options, at, 1, |pe| pe < 2);
        assert_eq!(case.together, [false, false, true, true]);
        assert!(case.travellers[0].is_empty() && case.travellers[1].is_empty());
        let trips: usize = case.travellers.iter().flatten().map(Vec::len).sum();
        assert_eq!(trips as u64, case.itinerary.answers_of(2) + case.itinerary.answers_of(3));
        let mut trailer = Vec::new();
        for trips in &case.travellers[2] {
            at.trailer(trips, &mut trailer);
            assert_eq!(trailer.len(), 4 + 2 * 8);
            assert_eq!(trailer[..4], trips[0].token.to_le_bytes());
            assert!(Addresses::experts(&trailer).eq(trips.iter().map(|trip| trip.expert)));
        }
        let off = Case::of(&MoeOptions { batch: Batch::Off, ..options }, at, 1, |_| false);
        assert_eq!(off.together, [false; 4]);
    }
}
