//! PEs that hang: nothing closes, and nothing comes any more.

use super::*;

/// What the others wait for while one hangs; the test waits as long as it takes.
const WAIT: Duration = Duration::from_secs(60);

/// Short, and long enough for threads that share a busy machine.
const PE_TIMEOUT: Duration = Duration::from_millis(1500);

/// Reads what PE 0 has said, up to the end of the connection, and returns the last word.
fn last_word(mut stream: TcpStream) -> Message {
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let mut last = None;
    while let Ok(message) = client::receive(&mut stream, message::MAX_RESULT) {
        last = Some(message);
    }
    last.unwrap()
}

#[test]
fn a_pe_that_hangs_is_named_to_the_others_and_told_when_it_wakes_up() {
    let results = job(4, |mut place| {
        // Only PE 0's counts.
        place.pe_timeout = if place.rank == 0 { PE_TIMEOUT } else { WAIT };
        if place.rank == 2 {
            // What a process that stands still does: everything stays open.
            let (stream, pe_timeout) = place.enter(Instant::now() + LIMIT).unwrap();
            assert_eq!(pe_timeout, PE_TIMEOUT, "PE 0's holds");
            let Message::Abort(reason) = last_word(stream) else { panic!("no reason") };
            return reason;
        }
        let session = place.join(&Fault::default()).unwrap();
        session.allgather(b"", WAIT).unwrap_err().to_string()
    });
    for rank in [0, 1, 3] {
        let error = &results[rank];
        assert!(error.contains("PE 2 hangs or is cut off: PE 0 heard nothing from it for"), "{error}");
        assert!(error.contains("--pe-timeout is 1.5 s"), "{error}");
    }
    assert!(results[2].contains("the job has ended without it"), "{}", results[2]);
}

/// A rendezvous that welcomes two PEs and then says nothing more.
fn stopped_rendezvous(listener: &TcpListener) -> Vec<TcpStream> {
    let secret = Secret::from_hex(SECRET).unwrap();
    let mut streams = Vec::new();
    for _ in 0..2 {
        let (mut stream, _) = listener.accept().unwrap();
        let Ok(Message::Hello { nonce, .. }) = client::receive(&mut stream, 1000) else { panic!() };
        let ours = secret::nonce().unwrap();
        let proof = secret.prove(&[b"rendezvous", &nonce, &ours]);
        stream.write_all(&Message::Challenge { nonce: ours, proof }.encode()).unwrap();
        assert!(matches!(client::receive(&mut stream, 1000), Ok(Message::Join { .. })));
        streams.push(stream);
    }
    let pe_timeout_ms = u32::try_from(PE_TIMEOUT.as_millis()).unwrap();
    for stream in &mut streams {
        stream.write_all(&Message::Welcome { pe_timeout_ms }.encode()).unwrap();
    }
    streams
}

#[test]
fn a_pe_0_that_hangs_is_named_by_every_other() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let threads: Vec<_> = [1, 2]
        .into_iter()
        .map(|rank| {
            let place = rendezvous(rank, 3, port, SECRET);
            std::thread::spawn(move || {
                let session = place.join(&Fault::default()).unwrap();
                // More than the connection holds: nobody waits for a hung PE 0 to take it.
                let large = vec![7; message::MAX_CONTRIBUTION];
                session.allgather(&large, WAIT).unwrap_err().to_string()
            })
        })
        .collect();
    let open = stopped_rendezvous(&listener);
    for (rank, thread) in [1, 2].into_iter().zip(threads) {
        let error = thread.join().unwrap();
        let expected = format!("PE 0 hangs or is cut off: PE {rank} heard nothing from it for");
        assert!(error.contains(&expected), "{error}");
    }
    drop(open);
}

#[test]
fn pes_that_live_and_have_nothing_to_say_are_left_alone() {
    let results = job(3, |mut place| {
        place.pe_timeout = PE_TIMEOUT;
        let fault = Fault::default();
        let session = place.join(&fault).unwrap();
        fault.await_reason(PE_TIMEOUT * 2);
        assert_eq!(fault.reason(), None);
        session.allgather(b"x", WAIT).unwrap().len()
    });
    assert_eq!(results, [3, 3, 3]);
}

#[test]
fn without_a_limit_a_pe_may_stand_still() {
    let results = job(2, |mut place| {
        place.pe_timeout = Duration::ZERO;
        if place.rank == 1 {
            let (mut stream, pe_timeout) = place.enter(Instant::now() + LIMIT).unwrap();
            assert_eq!(pe_timeout, Duration::ZERO);
            std::thread::sleep(PE_TIMEOUT * 2);
            let part = Message::Contribution { audience: Audience::All, bytes: b"late".to_vec() };
            stream.write_all(&part.encode()).unwrap();
            loop {
                match client::receive(&mut stream, message::MAX_RESULT).unwrap() {
                    Message::Result(parts) => break stream.write_all(&Message::Bye.encode()).map(|()| parts),
                    other => assert!(matches!(other, Message::Pulse(_)), "{other:?}"),
                }
            }
            .unwrap()
        } else {
            place.join(&Fault::default()).unwrap().allgather(b"soon", WAIT).unwrap()
        }
    });
    assert!(results.iter().all(|parts| parts == &[b"soon", b"late"]), "{results:?}");
}
