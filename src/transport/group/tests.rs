//! The protocol's promises under any order of arrival.

use proptest::prelude::*;

use super::*;
use crate::transport::signal::{Signal, SignalOp};
use crate::transport::wire::{Action, Close, Released};

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
    let mut messages: Vec<_> = (0..pieces).map(|_| piece(seq)).collect();
    messages.push(Message::Close(close(seq, pieces, Some(value))));
    messages
}

/// A close with a signal of this value, or without one.
fn close(seq: u64, pieces: u32, value: Option<u64>) -> Close {
    let signal = |value| Action::Change(Signal { offset: 0, op: SignalOp::Add, value }.into());
    Close { seq, pieces, action: value.map(signal), flush: false, again: false, ledger: Vec::new() }
}

fn value_of(release: &Release) -> u64 {
    match release.action {
        Some(Action::Change(atomic)) => atomic.operand,
        _ => panic!("no signal"),
    }
}

fn deliver(inbound: &mut Inbound, message: Message) -> Result<Option<Release>, Violation> {
    match message {
        Message::Piece(wire) => inbound.landed(0, wire),
        Message::Close(close) => inbound.closed(close),
    }
}

proptest! {
    /// Each signal is applied once, after its own pieces, in whatever order everything arrives.
    #[test]
    fn signals_follow_their_data(sizes in prop::collection::vec(0_u32..5, 1..80), seed in any::<u64>()) {
        let mut out = Outbound::new(u64::MAX);
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
                let value = usize::try_from(value_of(&release)).unwrap();
                prop_assert_eq!(seen[value], sizes[value], "signal before its data");
                applied[value] += 1;
            }
        }
        prop_assert!(applied.iter().all(|&times| times == 1));
        prop_assert_eq!(inbound.low(), sizes.len() as u64);
    }

    /// Arbitrary messages give violations, never a panic and never unbounded memory.
    #[test]
    fn a_hostile_peer_is_refused(messages in prop::collection::vec((any::<bool>(), any::<u64>(), any::<u32>()), 0..200)) {
        let mut inbound = Inbound::default();
        for (is_piece, seq, pieces) in messages {
            let message = if is_piece { piece(seq) } else {
                Message::Close(Close { flush: true, ..close(seq, pieces, None) })
            };
            let _ = deliver(&mut inbound, message);
            let _ = inbound.take_ack(seq);
            prop_assert!(inbound.remembered() as u64 <= WINDOW);
        }
    }
}

#[test]
fn a_flush_is_acknowledged_only_when_everything_before_it_landed() {
    let (mut out, mut inbound) = (Outbound::new(u64::MAX), Inbound::default());
    let early = signalled(&mut out, 1, 1);
    let seq = out.add_pieces(1).unwrap();
    let close = out.close_open(true).unwrap();
    assert!(deliver(&mut inbound, Message::Close(close)).unwrap().is_none());
    assert!(deliver(&mut inbound, piece(seq)).unwrap().is_some(), "the plain group is complete");
    assert_eq!(inbound.take_ack(0), None, "but the earlier one is not");
    assert_eq!(inbound.take_ack(u64::MAX), None, "however long it takes");
    for message in early {
        deliver(&mut inbound, message).unwrap();
    }
    let low = inbound.take_ack(u64::MAX).expect("now all have landed");
    out.acknowledged(low).unwrap();
    assert!(out.is_settled());
    assert_eq!(out.close_open(true), None, "nothing is left to flush");
}

#[test]
fn the_end_of_a_burst_is_acknowledged_without_being_asked() {
    let (mut out, mut inbound) = (Outbound::new(u64::MAX), Inbound::default());
    for value in 0..3 {
        for message in signalled(&mut out, 1, value) {
            deliver(&mut inbound, message).unwrap();
        }
        assert_eq!(inbound.take_ack(value), None, "more may follow in the next turn");
    }
    assert_eq!(inbound.take_ack(1 + ACK_DELAY_NS), None, "it is not long since the last");
    assert_eq!(inbound.take_ack(2 + ACK_DELAY_NS), Some(3));
    assert_eq!(inbound.take_ack(u64::MAX), None, "once is enough");
}

/// A group arrives.
fn arrive(out: &mut Outbound, inbound: &mut Inbound) {
    for message in signalled(out, 1, 0) {
        deliver(inbound, message).unwrap();
    }
}

/// Groups that come one by one, each when the one before has been acknowledged; how long each waited for that.
fn lone_waits(out: &mut Outbound, inbound: &mut Inbound, now: &mut u64, count: usize) -> Vec<u64> {
    let mut wait = || {
        *now += 1_000_000;
        arrive(out, inbound);
        let (ns, low) =
            (0..=ACK_DELAY_NS).step_by(1000).find_map(|ns| Some((ns, inbound.take_ack(*now + ns)?))).unwrap();
        out.acknowledged(low).unwrap();
        ns
    };
    (0..count).map(|_| wait()).collect()
}

#[test]
fn whoever_waits_for_each_acknowledgement_soon_gets_them_at_once() {
    let (mut out, mut inbound, mut now) = (Outbound::new(u64::MAX), Inbound::default(), 0);
    let waits = lone_waits(&mut out, &mut inbound, &mut now, 1000);
    assert_eq!(waits[..4], [ACK_DELAY_NS, ACK_DELAY_NS, 0, 0]);
    let waited = waits.iter().filter(|&&ns| ns == ACK_DELAY_NS).count();
    assert!((60..=70).contains(&waited) && waits.iter().all(|&ns| ns == 0 || ns == ACK_DELAY_NS), "{waited}");

    // A put of its own takes one along.
    while lone_waits(&mut out, &mut inbound, &mut now, 1) == [0] {}
    arrive(&mut out, &mut inbound);
    assert!(inbound.owed_ack().is_some());
    inbound.acknowledge();
    assert_eq!(lone_waits(&mut out, &mut inbound, &mut now, 3), [ACK_DELAY_NS, ACK_DELAY_NS, 0]);

    // Two come while one waits.
    while lone_waits(&mut out, &mut inbound, &mut now, 1) == [0] {}
    assert_eq!(lone_waits(&mut out, &mut inbound, &mut now, 15), [0; 15]);
    for _ in 0..2 {
        arrive(&mut out, &mut inbound);
        assert_eq!(inbound.take_ack(now), None);
    }
    assert!(inbound.take_ack(now + ACK_DELAY_NS).is_some());
    assert_eq!(lone_waits(&mut out, &mut inbound, &mut now, 2), [ACK_DELAY_NS, 0]);
}

#[test]
fn a_stream_is_acknowledged_when_it_has_ended_or_its_sender_asks() {
    let (mut out, mut inbound) = (Outbound::new(u64::MAX), Inbound::default());
    let send = |out: &mut Outbound, inbound: &mut Inbound, count| {
        for value in 0..count {
            for message in signalled(out, 1, value) {
                deliver(inbound, message).unwrap();
            }
        }
    };
    send(&mut out, &mut inbound, STREAM - 1);
    assert_eq!(out.close_all(), [None, None], "so few are acknowledged soon");
    send(&mut out, &mut inbound, 1);
    assert_eq!(inbound.take_ack(0), None);
    assert_eq!(inbound.take_ack(STREAM_ACK_DELAY_NS - 1), None, "more may come");
    assert_eq!(inbound.take_ack(STREAM_ACK_DELAY_NS), Some(STREAM));
    out.acknowledged(STREAM).unwrap();
    assert_eq!(out.close_all(), [None, None], "there is nothing to ask for");

    send(&mut out, &mut inbound, STREAM);
    let [None, Some(mut close)] = out.close_all() else { panic!("nobody asks") };
    out.ask_in_time(&mut close);
    assert!(close.flush && close.pieces == 0 && close.action.is_none());
    assert_eq!(out.close_all(), [None, None], "once is enough");
    assert_eq!(inbound.take_ack(STREAM_ACK_DELAY_NS), None);
    deliver(&mut inbound, Message::Close(close)).unwrap();
    let low = inbound.take_ack(STREAM_ACK_DELAY_NS).unwrap();
    out.acknowledged(low).unwrap();
    assert!(out.is_settled());

    send(&mut out, &mut inbound, WINDOW);
    assert_eq!(out.close_all(), [None, None], "there is no room");
}

/// What plain puts share may be older than what was sent last.
#[test]
fn who_waits_asks_behind_the_last_group() {
    for (others, asks) in [(0, [Some(true), None]), (2, [Some(true), None]), (20, [Some(false), Some(true)])]
    {
        let mut out = Outbound::new(u64::MAX);
        out.add_pieces(1).unwrap();
        for _ in 0..others {
            out.start().unwrap();
        }
        assert_eq!(
            out.close_all().map(|close| close.map(|close| close.flush)),
            asks,
            "behind {others} others"
        );
    }
}

/// Before nothing more may be under way the receiver is to say what is not any more.
#[test]
fn with_half_of_its_pieces_under_way_a_sender_asks_in_time() {
    let flags = |most_pieces, pieces: &[u32]| {
        let mut out = Outbound::new(most_pieces);
        let mut send = |&pieces: &u32| {
            let seq = out.start().unwrap();
            for _ in 0..pieces {
                let span = log::Span { local: 0, remote: 0, len: 8 };
                out.remember(seq, crate::transport::select::Route::aligned(0), 0, log::What::Piece(span));
            }
            let mut close = close(seq, pieces, Some(1));
            out.ask_in_time(&mut close);
            close.flush
        };
        pieces.iter().map(&mut send).collect::<Vec<_>>()
    };
    assert_eq!(flags(4, &[0, 1, 1, 0]), [false, false, true, true]);
    let flags = flags(256, &[1; 256]);
    let asking: Vec<_> = (0..256).filter(|&seq| flags[seq]).collect();
    assert_eq!(asking, [127, 159, 191, 223, 255], "not every one where there is room for many");
}

/// Closes may come long before their pieces: what asks last must not keep the first from being answered.
#[test]
fn each_that_asks_is_answered_though_others_have_asked_since() {
    let mut inbound = Inbound::default();
    for seq in 0..4 {
        inbound.closed(Close { flush: true, ..close(seq, 1, None) }).unwrap();
    }
    let acks: Vec<_> = (0..4)
        .map(|seq| {
            deliver(&mut inbound, piece(seq)).unwrap();
            inbound.take_ack(0)
        })
        .collect();
    assert_eq!(acks, [Some(1), None, None, Some(4)]);
}

/// What is asked for is not there yet: so far as all has come it may be told meanwhile.
#[test]
fn an_acknowledgement_travels_along_until_the_one_that_is_asked_for_is_due() {
    let (mut out, mut inbound) = (Outbound::new(u64::MAX), Inbound::default());
    let [first, second] = [0, 1].map(|value| signalled(&mut out, 1, value));
    let asked = Close { flush: true, ..Close::new(out.start().unwrap(), 0, None) };
    for message in first.into_iter().chain([Message::Close(asked)]) {
        deliver(&mut inbound, message).unwrap();
    }
    assert_eq!(inbound.owed_ack(), Some(1));
    inbound.acknowledge();
    assert_eq!(inbound.owed_ack(), None);
    for message in second {
        deliver(&mut inbound, message).unwrap();
    }
    assert_eq!(inbound.owed_ack(), None, "this one goes by itself");
    assert_eq!(inbound.take_ack(0), Some(3));
}

#[test]
fn the_window_stops_a_sender_and_acknowledgements_reopen_it() {
    let (mut out, mut inbound) = (Outbound::new(u64::MAX), Inbound::default());
    let mut queued = Vec::new();
    for value in 0..WINDOW {
        queued.extend(signalled(&mut out, 1, value));
    }
    assert_eq!(out.start(), Err(WindowFull));
    for message in queued {
        deliver(&mut inbound, message).unwrap();
        if let Some(low) = inbound.take_ack(0) {
            out.acknowledged(low).unwrap();
        }
    }
    assert!(out.admits(Origin::Posted, false, 1), "acknowledgements come without a flush");
}

#[test]
fn sequence_numbers_run_past_sixteen_bits() {
    let (mut out, mut inbound) = (Outbound::new(u64::MAX), Inbound::default());
    for value in 0..200_000 {
        let mut releases = 0;
        for message in signalled(&mut out, 1, value) {
            releases += usize::from(deliver(&mut inbound, message).unwrap().is_some());
        }
        assert_eq!(releases, 1, "group {value}");
        if let Some(low) = inbound.take_ack(0) {
            out.acknowledged(low).unwrap();
        }
    }
}

#[test]
fn violations_are_named() {
    let mut inbound = Inbound::default();
    let close = close(0, 1, None);
    assert_eq!(inbound.closed(close.clone()), Ok(None));
    assert_eq!(inbound.closed(close.clone()), Err(Violation::AlreadyClosed { seq: 0 }));
    assert!(inbound.landed(0, 0).unwrap().is_some());
    assert_eq!(inbound.closed(close), Err(Violation::AlreadyClosed { seq: 0 }));
    assert!(matches!(inbound.landed(0, 60_000), Err(Violation::OutsideWindow { .. })));
    assert_eq!(Outbound::new(u64::MAX).acknowledged(1), Err(Violation::WrongAck { low: 1, sent: 0 }));
}

#[test]
fn the_ledger_reaches_the_receiver_with_the_close() {
    let (mut out, mut inbound) = (Outbound::new(u64::MAX), Inbound::default());
    let seq = out.add_pieces(1).unwrap();
    out.enter_in_ledger(2, 64);
    assert_eq!(out.add_pieces(1), Ok(seq));
    out.enter_in_ledger(0, 16);
    let close = out.close_open(true).unwrap();
    deliver(&mut inbound, piece(seq)).unwrap();
    deliver(&mut inbound, piece(seq)).unwrap();
    let release = deliver(&mut inbound, Message::Close(close)).unwrap().unwrap();
    assert_eq!(release.ledger, [16, 0, 64]);
}

#[test]
fn a_fence_stops_the_sender_until_everything_before_it_is_released() {
    let mut out = Outbound::new(u64::MAX);
    let seq = out.start().unwrap();
    assert!(out.admits(Origin::Posted, true, 1));
    out.fence();
    assert!(!out.admits(Origin::Posted, true, 1) && !out.admits(Origin::Posted, false, 1));
    out.acknowledged(seq + 1).unwrap();
    assert!(out.admits(Origin::Posted, true, 1) && out.admits(Origin::Posted, false, 1));
}

/// What landed through a fenced NIC does not count any more, what came through others does.
#[test]
fn a_fenced_nic_takes_its_pieces_along() {
    let mut inbound = Inbound::default();
    for nic in [0, 1, 1, 2] {
        assert_eq!(inbound.landed(nic, 0), Ok(None));
    }
    inbound.forget(1);
    assert_eq!(inbound.closed(close(0, 4, Some(9))), Ok(None), "two are missing now");
    assert_eq!(inbound.landed(0, 0), Ok(None));
    let release = inbound.landed(2, 0).unwrap().expect("complete");
    assert_eq!(value_of(&release), 9);
    inbound.forget(0);
    assert!(inbound.released().contains(0), "what is released stays so");
}

#[test]
fn a_close_that_comes_again_does_no_harm() {
    let mut inbound = Inbound::default();
    let again = |close: Close| Close { again: true, ..close };
    assert_eq!(inbound.closed(close(0, 1, Some(1))), Ok(None));
    assert_eq!(inbound.closed(again(close(0, 1, Some(1)))), Ok(None));
    assert!(inbound.landed(0, 0).unwrap().is_some());
    assert_eq!(inbound.closed(again(close(0, 1, Some(1)))), Ok(None), "released and below the low mark");
    assert_eq!(inbound.closed(close(2, 0, None)).unwrap().map(|release| release.action), Some(None));
    assert_eq!(inbound.closed(again(close(2, 0, None))), Ok(None), "released above the low mark");
    assert!(inbound.closed(again(close(1, 0, Some(5)))).unwrap().is_some(), "the first to arrive");
    assert_eq!(inbound.low(), 3);
}

#[test]
fn what_was_lost_is_what_went_to_the_fenced_nic_and_is_not_released() {
    let mut out = Outbound::new(u64::MAX);
    let what = |local| log::What::Piece(log::Span { local, remote: 0, len: 8 });
    for (local, nic) in [(0, 0), (1, 1), (2, 1), (3, 0)] {
        let seq = out.start().unwrap();
        out.remember(seq, crate::transport::select::Route::aligned(nic), 0, what(local));
    }
    let mut released = Released::below(0);
    released.insert(1);
    let lost: Vec<_> = out.lost(1, &released).into_iter().map(|sent| sent.seq).collect();
    assert_eq!(lost, [2]);
    assert_eq!(out.log().len(), 3);
    out.acknowledged(4).unwrap();
    assert!(out.log().is_empty());
}
