//! The protocol's promises under any order of arrival.

use proptest::prelude::*;

use super::*;
use crate::transport::signal::SignalOp;

/// What travels from one sender to one receiver.
#[derive(Debug, Clone)]
enum Message {
    Piece(u16),
    Close(Close),
}

#[expect(clippy::cast_possible_truncation, reason = "the wire carries 16 bits")]
fn piece(seq: u64) -> Message {
    Message::Piece(seq as u16)
}

fn signalled(out: &mut Outbound, pieces: u32, value: u64) -> Vec<Message> {
    let seq = out.start().unwrap();
    let signal = Some(Signal { offset: 0, op: SignalOp::Add, value });
    let mut messages: Vec<_> = (0..pieces).map(|_| piece(seq)).collect();
    messages.push(Message::Close(Close { seq, pieces, signal, flush: false, ledger: Vec::new() }));
    messages
}

fn deliver(inbound: &mut Inbound, message: Message) -> Result<Option<Release>, Violation> {
    match message {
        Message::Piece(wire) => inbound.landed(wire),
        Message::Close(close) => inbound.closed(close),
    }
}

proptest! {
    /// Each signal is applied once, after its own pieces, in whatever order everything arrives.
    #[test]
    fn signals_follow_their_data(sizes in prop::collection::vec(0_u32..5, 1..80), seed in any::<u64>()) {
        let mut out = Outbound::default();
        let mut messages = Vec::new();
        for (value, &pieces) in sizes.iter().enumerate() {
            messages.extend(signalled(&mut out, pieces, value as u64).into_iter().map(|message| (value, message)));
        }
        // A cheap seeded shuffle: the order is what is under test, not its quality.
        let mut state = seed | 1;
        for i in (1..messages.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            messages.swap(i, usize::try_from(state >> 33).unwrap() % (i + 1));
        }
        let mut inbound = Inbound::default();
        let mut seen = vec![0_u32; sizes.len()];
        let mut applied = vec![0; sizes.len()];
        for (group, message) in messages {
            if matches!(message, Message::Piece(_)) {
                seen[group] += 1;
            }
            if let Some(release) = deliver(&mut inbound, message).unwrap() {
                let value = usize::try_from(release.signal.unwrap().value).unwrap();
                prop_assert_eq!(seen[value], sizes[value], "signal before its data");
                applied[value] += 1;
            }
        }
        prop_assert!(applied.iter().all(|&times| times == 1));
        prop_assert_eq!(inbound.low, sizes.len() as u64);
    }

    /// Arbitrary messages give violations, never a panic and never unbounded memory.
    #[test]
    fn a_hostile_peer_is_refused(messages in prop::collection::vec((any::<bool>(), any::<u64>(), any::<u32>()), 0..200)) {
        let mut inbound = Inbound::default();
        for (is_piece, seq, pieces) in messages {
            let message = if is_piece { piece(seq) } else {
                Message::Close(Close { seq, pieces, signal: None, flush: true, ledger: Vec::new() })
            };
            let _ = deliver(&mut inbound, message);
            let _ = inbound.take_ack();
            prop_assert!(inbound.groups.len() as u64 <= WINDOW);
        }
    }
}

#[test]
fn a_flush_is_acknowledged_only_when_everything_before_it_landed() {
    let (mut out, mut inbound) = (Outbound::default(), Inbound::default());
    let early = signalled(&mut out, 1, 1);
    let seq = out.add_pieces(1, 0, 100, false).unwrap();
    let close = out.close_open(true).unwrap();
    assert!(deliver(&mut inbound, Message::Close(close)).unwrap().is_none());
    assert!(deliver(&mut inbound, piece(seq)).unwrap().is_some(), "the plain group is complete");
    assert_eq!(inbound.take_ack(), None, "but the earlier one is not");
    assert_eq!(inbound.take_ack(), None, "however long it takes");
    for message in early {
        deliver(&mut inbound, message).unwrap();
    }
    let low = inbound.take_ack().expect("now all have landed");
    out.acknowledged(low).unwrap();
    assert!(out.is_settled());
    assert_eq!(out.close_open(true), None, "nothing is left to flush");
}

#[test]
fn the_end_of_a_burst_is_acknowledged_without_being_asked() {
    let (mut out, mut inbound) = (Outbound::default(), Inbound::default());
    for value in 0..3 {
        for message in signalled(&mut out, 1, value) {
            deliver(&mut inbound, message).unwrap();
        }
        assert_eq!(inbound.take_ack(), None, "more may follow in the next turn");
    }
    assert_eq!(inbound.take_ack(), Some(3));
    assert_eq!(inbound.take_ack(), None, "once is enough");
}

#[test]
fn the_window_stops_a_sender_and_acknowledgements_reopen_it() {
    let (mut out, mut inbound) = (Outbound::default(), Inbound::default());
    let mut queued = Vec::new();
    for value in 0..WINDOW {
        queued.extend(signalled(&mut out, 1, value));
    }
    assert_eq!(out.start(), Err(WindowFull));
    for message in queued {
        deliver(&mut inbound, message).unwrap();
        if let Some(low) = inbound.take_ack() {
            out.acknowledged(low).unwrap();
        }
    }
    assert!(out.has_room_for(false), "acknowledgements come without a flush");
}

#[test]
fn sequence_numbers_run_past_sixteen_bits() {
    let (mut out, mut inbound) = (Outbound::default(), Inbound::default());
    for value in 0..200_000 {
        let mut releases = 0;
        for message in signalled(&mut out, 1, value) {
            releases += usize::from(deliver(&mut inbound, message).unwrap().is_some());
        }
        assert_eq!(releases, 1, "group {value}");
        if let Some(low) = inbound.take_ack() {
            out.acknowledged(low).unwrap();
        }
    }
}

#[test]
fn violations_are_named() {
    let mut inbound = Inbound::default();
    let close = Close { seq: 0, pieces: 1, signal: None, flush: false, ledger: Vec::new() };
    assert_eq!(inbound.closed(close.clone()), Ok(None));
    assert_eq!(inbound.closed(close.clone()), Err(Violation::AlreadyClosed { seq: 0 }));
    assert!(inbound.landed(0).unwrap().is_some());
    assert_eq!(inbound.closed(close), Err(Violation::AlreadyClosed { seq: 0 }));
    assert!(matches!(inbound.landed(60_000), Err(Violation::OutsideWindow { .. })));
    assert_eq!(Outbound::default().acknowledged(1), Err(Violation::WrongAck { low: 1, sent: 0 }));
}

#[test]
fn the_ledger_reaches_the_receiver_with_the_close() {
    let (mut out, mut inbound) = (Outbound::default(), Inbound::default());
    let seq = out.add_pieces(1, 2, 64, true).unwrap();
    assert_eq!(out.add_pieces(1, 0, 16, true), Ok(seq));
    let close = out.close_open(true).unwrap();
    deliver(&mut inbound, piece(seq)).unwrap();
    deliver(&mut inbound, piece(seq)).unwrap();
    let release = deliver(&mut inbound, Message::Close(close)).unwrap().unwrap();
    assert_eq!(release.ledger, [16, 0, 64]);
}
