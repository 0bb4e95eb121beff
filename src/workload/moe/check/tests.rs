//! What must be found: played on one heap, the transport's part done by hand.

use std::sync::atomic::Ordering;

use super::*;
use crate::transport::heap::{Allocator, Heap};
use crate::workload::moe::announce::Announced;
use crate::workload::moe::case::Addresses;
use crate::workload::moe::combine::add_up;
use crate::workload::moe::layout::{Layout, Words};
use crate::workload::moe::options::MoeOptions;
use crate::workload::moe::options::tests::options;
use crate::workload::moe::token;

const SHAPE: Shape = Shape { experts: 8, topk: 3, dim: 144 };
const TOKENS: u32 = 5;
const WORLD: u32 = 2;
const ROUND: u64 = 9;

/// PE 1 of two after a round in which nothing went wrong.
struct Played {
    heap: Heap,
    case: Case,
    reference: Reference,
    incoming: Incoming,
    rows: Vec<Received>,
}

impl Played {
    fn new() -> Self {
        let options = MoeOptions { shapes: vec![SHAPE], tokens: vec![TOKENS], ..options() };
        let layout = Layout::of(&options, WORLD);
        let heap = Heap::create(layout.heap_bytes()).unwrap();
        let mut allocator = Allocator::new(heap.len());
        let places = layout.places(|_, len| Ok(allocator.allocate(len)?)).unwrap();
        let words = Words { at: places.words, experts: SHAPE.experts, pes: WORLD };
        let at = Addresses { shape: SHAPE, tokens: TOKENS, world: WORLD, places, words };
        let case = Case::of(&options, at, 1, |_| true);
        let routing = |src| Routing::of(SHAPE, TOKENS, options.skew, options.seed, src);
        let reference = Reference::of(&case, options.seed, routing);
        let mut incoming = Incoming::new(&case);
        let content = |src, token| {
            let mut row = Vec::new();
            Token { seed: options.seed, pe: src, token, round: ROUND }.write(SHAPE, &mut row);
            row
        };
        for src in 0..WORLD {
            let itinerary = Itinerary::of(&routing(src), SHAPE, WORLD);
            for (expert, &(count, back)) in (0..).zip(itinerary.to(1)) {
                incoming.announce(src, expert, Announced { count, back });
            }
            for trip in itinerary.trips().iter().filter(|trip| trip.pe == 1) {
                let row = [content(src, trip.token), trip.token.to_le_bytes().to_vec()].concat();
                heap.write(at.slot(src, trip.expert, trip.nth), &row).unwrap();
            }
        }
        for trip in case.itinerary.trips() {
            let mut answer = Vec::new();
            token::answer(SHAPE, trip.pe * at.local() + trip.expert, &content(1, trip.token), &mut answer);
            heap.write(at.returned(trip.back), &answer).unwrap();
        }
        add_up(&heap, &case).unwrap();
        let rows = incoming.rows(&case, Memory::Host(&heap)).unwrap();
        Self { heap, case, reference, incoming, rows }
    }

    fn rows(&self, round: u64) -> Result<(), String> {
        let memory = Memory::Host(&self.heap);
        let checked = self.reference.check_rows(&self.case, memory, &self.incoming, &self.rows, round);
        checked.map_err(|error| error.to_string())
    }

    fn results(&self, round: u64) -> Result<(), String> {
        let checked = self.reference.check_results(&self.case, Memory::Host(&self.heap), round);
        checked.map_err(|error| error.to_string())
    }

    /// Flips a bit of the byte at an offset.
    fn flip(&self, offset: u64) {
        let word = self.heap.word(offset / 8 * 8).unwrap();
        word.fetch_xor(1 << (offset % 8 * 8), Ordering::Relaxed);
    }
}

#[test]
fn a_round_in_which_all_went_well_passes_and_an_older_one_does_not() {
    let played = Played::new();
    assert!(played.rows.len() > 10, "{} rows are too few to say anything", played.rows.len());
    played.rows(ROUND).unwrap();
    played.results(ROUND).unwrap();
    assert!(played.rows(ROUND + 1).is_err() && played.results(ROUND + 1).is_err());
}

#[test]
fn a_changed_bit_of_any_row_is_found_and_named() {
    let played = Played::new();
    for row in played.rows.clone() {
        // A value, a scale, the token's number.
        for byte in [0, 143, SHAPE.row_bytes() - 1, SHAPE.row_bytes() + 1] {
            played.flip(row.row + byte);
            let error = played.rows(ROUND).unwrap_err();
            let names = format!("of PE {} at expert {} of PE 1: byte {byte} ", row.src, 4 + row.expert);
            assert!(error.contains(&names) && error.contains("round 9: token "), "{error}");
            played.flip(row.row + byte);
        }
    }
    played.rows(ROUND).unwrap();
}

#[test]
fn rows_in_each_others_slots_are_found() {
    let played = Played::new();
    let of_one = |pair: &[Received]| pair[0].src == pair[1].src && pair[0].expert == pair[1].expert;
    let pair = played.rows.windows(2).find(|pair| of_one(pair)).unwrap().to_vec();
    let (a, b) = (pair[0].row, pair[1].row);
    let len = SHAPE.slot_bytes();
    let read = |at| {
        let mut bytes = vec![0; usize::try_from(len).unwrap()];
        played.heap.read(at, &mut bytes).unwrap();
        bytes
    };
    let (first, second) = (read(a), read(b));
    assert_ne!(first, second, "of different tokens");
    played.heap.write(a, &second).unwrap();
    played.heap.write(b, &first).unwrap();
    assert!(played.rows(ROUND).is_err());
}

#[test]
fn a_row_too_many_or_too_few_is_found() {
    let mut played = Played::new();
    for change in [1, -1] {
        let group = played.incoming.groups().find(|group| group.count > 0).unwrap();
        let count = group.count.checked_add_signed(change).unwrap();
        played.incoming.announce(group.src, group.expert, Announced { count, back: group.back });
        let error = played.rows(ROUND).unwrap_err();
        assert!(error.contains(&format!("announced {count} rows for expert {}", group.expert)), "{error}");
        let right = Announced { count: group.count, back: group.back };
        played.incoming.announce(group.src, group.expert, right);
    }
    played.rows(ROUND).unwrap();
}

#[test]
fn a_result_that_is_off_by_its_last_bit_is_found() {
    let played = Played::new();
    for token in 0..TOKENS {
        for value in [0, 77, 143] {
            let at = played.case.at.result(token) + 2 * value;
            played.flip(at);
            let error = played.results(ROUND).unwrap_err();
            assert!(error.contains(&format!("token {token} of PE 1")), "{error}");
            assert!(error.contains(&format!("value {value} of 144 is ")), "{error}");
            played.flip(at);
        }
    }
    // As if one answer had not come.
    let trip = played.case.itinerary.trips()[0];
    let nothing = vec![0; 2 * SHAPE.dim as usize];
    played.heap.write(played.case.at.returned(trip.back), &nothing).unwrap();
    add_up(&played.heap, &played.case).unwrap();
    assert!(played.results(ROUND).unwrap_err().contains("token 0 of PE 1"));
}
