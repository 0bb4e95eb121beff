//! Records come back as they were sent, and nothing else does harm.

use proptest::prelude::*;

use super::released::RELEASED_WORDS;
use super::*;
use crate::transport::atomic::{AtomicOp, Width};
use crate::transport::group::WINDOW;
use crate::transport::wire::{Frame, MAX_INLINE, MAX_NICS, read_frame};

fn any_atomic() -> impl Strategy<Value = Atomic> {
    let op = prop::sample::select(AtomicOp::ALL.to_vec());
    (any::<u64>(), any::<bool>(), op, any::<u64>(), any::<u64>()).prop_map(
        |(offset, half, op, operand, compare)| {
            let width = if half { Width::Half } else { Width::Word };
            let compare = if op == AtomicOp::CompareSwap { compare } else { 0 };
            Atomic { offset, width, op, operand, compare }
        },
    )
}

fn any_action() -> impl Strategy<Value = Option<Action>> {
    prop::option::of(prop_oneof![
        any_atomic().prop_map(Action::Change),
        (any_atomic(), any::<u32>()).prop_map(|(atomic, tag)| Action::Fetch { atomic, tag }),
        (any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>())
            .prop_map(|(remote, local, len, tag)| Action::Get { remote, local, len, tag }),
        (any::<u32>(), any::<u64>()).prop_map(|(tag, value)| Action::Answer { tag, value }),
    ])
}

fn any_released() -> impl Strategy<Value = Released> {
    (any::<u64>(), any::<[u64; RELEASED_WORDS]>())
        .prop_map(|(low, above)| Released { low, above: Box::new(above) })
}

fn any_close() -> impl Strategy<Value = Close> {
    let ledger = prop::collection::vec(any::<u64>(), 0..=MAX_NICS);
    (any::<u64>(), any::<u32>(), any_action(), any::<bool>(), any::<bool>(), ledger).prop_map(
        |(seq, pieces, action, flush, again, ledger)| Close { seq, pieces, action, flush, again, ledger },
    )
}

/// Whether a record comes back, alone and behind another in a frame.
fn comes_back(record: &Record<'_>) -> Result<(), TestCaseError> {
    let mut frame = Frame::new(7, 3);
    let first = Record::Ack { low: 1 };
    prop_assert!(frame.push(&first));
    prop_assert!(frame.push(record), "every record fits");
    let (src, nic, records) = read_frame(frame.as_slice()).unwrap();
    let all: Vec<_> = records.collect::<Result<_, _>>().unwrap();
    prop_assert_eq!((src, nic), (7, 3));
    prop_assert_eq!(&all[..], &[first, record.clone()][..]);
    Ok(())
}

proptest! {
    #[test]
    fn closes_come_back(close in any_close()) {
        comes_back(&Record::Close(close))?;
    }

    #[test]
    fn data_come_back(
        seq: u64, remote: u64, action in any_action(), again: bool,
        bytes in prop::collection::vec(any::<u8>(), 0..=MAX_INLINE),
    ) {
        comes_back(&Record::Data(Data { seq, remote, action, again, bytes: &bytes }))?;
    }

    #[test]
    fn the_others_come_back(
        number: u64, nic: u16, incarnation: u32, released in any_released(),
        card in prop::collection::vec(any::<u8>(), 0..=MAX_CARD_BYTES),
        landed in prop::collection::vec(any::<[u32; 2]>(), 0..=MAX_NICS),
    ) {
        let progress = landed.iter().map(|&[through, by]| Progress { through, by }).collect();
        for record in [
            Record::Ack { low: number },
            Record::Ask { nonce: number },
            Record::State { nonce: number, released: released.clone(), progress },
            Record::Fence { nic, incarnation },
            Record::Card { nic, incarnation, released, card: &card },
            Record::CardSeen { nic, incarnation },
            Record::Probe { nonce: number },
            Record::Echo { nonce: number },
        ] {
            comes_back(&record)?;
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_loop(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
        if let Ok((_, _, records)) = read_frame(&bytes) {
            prop_assert!(records.count() <= bytes.len() / 8);
        }
    }

    /// Plausible bytes get deeper into the decoder than noise does.
    #[test]
    fn damaged_frames_never_panic(close in any_close(), at in 0_usize..400, bit in 0_u8..8, cut in 0_usize..400) {
        let mut frame = Frame::new(1, 0);
        let _ = frame.push(&Record::Close(close));
        let mut bytes = frame.as_slice().to_vec();
        let len = bytes.len();
        bytes[at % len] ^= 1 << bit;
        bytes.truncate(len - cut % len);
        if let Ok((_, _, records)) = read_frame(&bytes) {
            prop_assert!(records.count() <= len / 8);
        }
    }

    #[test]
    fn released_groups_are_remembered(low in 0_u64..u64::MAX / 2, offsets in prop::collection::btree_set(0_u64..WINDOW, 0..50)) {
        let mut released = Released::below(low);
        for offset in &offsets {
            released.insert(low + offset);
        }
        for offset in 0..WINDOW + 10 {
            prop_assert_eq!(released.contains(low + offset), offsets.contains(&offset));
        }
        prop_assert!(low == 0 || released.contains(low - 1));
    }
}

#[test]
fn a_full_frame_says_so() {
    let mut frame = Frame::new(0, 0);
    let bytes = [0; MAX_INLINE];
    let record = Record::Data(Data { seq: 0, remote: 0, action: None, again: false, bytes: &bytes });
    assert_eq!((0..10).take_while(|_| frame.push(&record)).count(), 3);
    frame.clear();
    assert!(frame.is_empty());
    assert!(frame.push(&record));
}
