//! Who is not of the job, or does not behave: kept out in bounded time, and the job comes together.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// A connection to PE 0, once it listens.
fn knock(port: u16) -> TcpStream {
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            return stream;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A job of three whose PEs 1 and 2 come only after `attack` has had its time with PE 0's port; every PE must get
/// through one exchange. What the attack returns is held until then.
fn under_attack<T: Send + 'static>(attack: impl FnOnce(u16) -> T + Send + 'static) -> T {
    let port = free_port();
    let first = std::thread::spawn(move || {
        let session = rendezvous(0, 3, port, SECRET).join(&Fault::default()).unwrap();
        session.allgather(b"x", LIMIT).unwrap().len()
    });
    let attacked = std::thread::spawn(move || attack(port)).join().unwrap();
    let others: Vec<_> = [1, 2]
        .into_iter()
        .map(|rank| {
            std::thread::spawn(move || {
                let session = rendezvous(rank, 3, port, SECRET).join(&Fault::default()).unwrap();
                session.allgather(b"x", LIMIT).unwrap().len()
            })
        })
        .collect();
    let came = others.into_iter().map(|thread| thread.join().unwrap());
    assert_eq!(came.chain([first.join().unwrap()]).collect::<Vec<_>>(), [3, 3, 3]);
    attacked
}

/// Whether PE 0 has closed this connection, within a generous time.
fn is_closed(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                return !matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                );
            }
        }
    }
}

/// Up to the proof of PE 0; returns its challenge.
fn challenge(stream: &mut TcpStream) -> (secret::Nonce, secret::Nonce) {
    let ours = secret::nonce().unwrap();
    stream.write_all(&Message::Hello { version: message::VERSION, nonce: ours }.encode()).unwrap();
    let Ok(Message::Challenge { nonce, .. }) = client::receive(stream, 1000) else { panic!("no challenge") };
    (ours, nonce)
}

/// The join a PE would send.
fn join(ours: secret::Nonce, theirs: secret::Nonce, rank: u32, world: u32) -> Message {
    let secret = Secret::from_hex(SECRET).unwrap();
    let parts =
        hub::join_parts(&theirs, &ours, &rank.to_le_bytes(), &world.to_le_bytes()).map(<[u8]>::to_vec);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Message::Join { proof: secret.prove(&parts), rank, world, wire: crate::transport::wire::VERSION }
}

#[test]
fn a_million_bytes_of_header_are_not_read() {
    under_attack(|port| {
        for len in [u32::MAX, 1_000_000, 257, 0] {
            let mut stream = knock(port);
            stream.write_all(&len.to_le_bytes()).unwrap();
            // How much of it is taken is the kernel's affair; PE 0 hangs up.
            let _ = stream.write_all(&vec![b'A'; 1_000_000]);
            assert!(is_closed(stream), "{len}");
        }
    });
}

#[test]
fn what_is_none_of_the_handshake_is_refused() {
    under_attack(|port| {
        let other_version = Message::Hello { version: message::VERSION + 1, nonce: [0; secret::LEN] };
        let early = Message::Contribution { audience: Audience::All, bytes: vec![1; 100] };
        let mut wrong_magic = Message::Hello { version: message::VERSION, nonce: [0; secret::LEN] }.encode();
        wrong_magic[7] ^= 1;
        for bytes in [
            b"GET / HTTP/1.1\r\nHost: pe0\r\n\r\n".to_vec(),
            other_version.encode(),
            early.encode(),
            Message::Bye.encode(),
            Message::Abort("all is lost".into()).encode(),
            wrong_magic,
        ] {
            let mut stream = knock(port);
            stream.write_all(&bytes).unwrap();
            assert!(is_closed(stream), "{bytes:?}");
        }
        // A second hello in place of the join.
        let mut stream = knock(port);
        challenge(&mut stream);
        stream.write_all(&other_version.encode()).unwrap();
        assert!(is_closed(stream));
    });
}

#[test]
fn a_recorded_handshake_is_worth_nothing() {
    under_attack(|port| {
        let mut stream = knock(port);
        let (ours, theirs) = challenge(&mut stream);
        // A PE's good join for the challenge of another connection, as somebody on the way would have recorded it.
        let recorded = join(ours, theirs, 1, 3).encode();
        drop(stream);
        let mut stream = knock(port);
        stream.write_all(&Message::Hello { version: message::VERSION, nonce: ours }.encode()).unwrap();
        assert!(matches!(client::receive(&mut stream, 1000), Ok(Message::Challenge { .. })));
        stream.write_all(&recorded).unwrap();
        assert!(matches!(client::receive(&mut stream, 2000), Ok(Message::Abort(_))));
        assert!(is_closed(stream));
    });
}

#[test]
fn a_proof_for_another_rank_or_size_is_none() {
    under_attack(|port| {
        for (rank, world) in [(2, 3), (1, 4)] {
            let mut stream = knock(port);
            let (ours, theirs) = challenge(&mut stream);
            let Message::Join { proof, wire, .. } = join(ours, theirs, 1, 3) else { panic!() };
            stream.write_all(&Message::Join { proof, rank, world, wire }.encode()).unwrap();
            assert!(matches!(client::receive(&mut stream, 2000), Ok(Message::Abort(_))));
        }
    });
}

#[test]
fn peers_that_vanish_in_mid_handshake_leave_no_trace() {
    under_attack(|port| {
        let hello = Message::Hello { version: message::VERSION, nonce: [3; secret::LEN] }.encode();
        for cut in (0..hello.len()).step_by(3) {
            knock(port).write_all(&hello[..cut]).unwrap();
        }
        for _ in 0..10 {
            let mut stream = knock(port);
            let (ours, theirs) = challenge(&mut stream);
            let bytes = join(ours, theirs, 1, 3).encode();
            stream.write_all(&bytes[..bytes.len() / 2]).unwrap();
        }
    });
}

#[test]
fn half_open_connections_by_the_hundred_do_not_keep_the_pes_out() {
    // More than there are places, and all of them stay open until the job has come together.
    let open = under_attack(|port| (0..320).map(|_| knock(port)).collect::<Vec<_>>());
    assert_eq!(open.len(), 320);
}

#[test]
fn one_byte_a_while_is_too_slow() {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let (dripping, idle) = under_attack(move |port| {
        let hello = Message::Hello { version: message::VERSION, nonce: [3; secret::LEN] }.encode();
        let mut stream = knock(port);
        let idle = knock(port);
        let dripping = std::thread::spawn(move || {
            // At this pace a hello takes a minute.
            for byte in hello {
                if stopped.load(Ordering::Acquire) || stream.write_all(&[byte]).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        (dripping, idle)
    });
    assert!(is_closed(idle));
    stop.store(true, Ordering::Release);
    dripping.join().unwrap();
}

/// Joins as PE 2 of a job of three, then does what `behave` does; returns the others' errors.
fn with_a_member_that(behave: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Vec<String> {
    let mut results = job(3, move |place| {
        if place.rank == 2 {
            let (mut stream, _) = place.enter(Instant::now() + LIMIT).unwrap();
            behave(&mut stream);
            assert!(is_closed(stream));
            return String::new();
        }
        let session = place.join(&Fault::default()).unwrap();
        // What it sends first may pass for its part.
        loop {
            if let Err(error) = session.allgather(b"", LIMIT) {
                return error.to_string();
            }
        }
    });
    results.truncate(2);
    results
}

#[test]
fn a_member_that_floods_is_named_and_ends_the_job() {
    let errors = with_a_member_that(|stream| {
        let part = Message::Contribution { audience: Audience::All, bytes: vec![0; 1 << 20] }.encode();
        // Until it is stopped.
        while stream.write_all(&part).is_ok() {}
    });
    assert!(errors.iter().all(|error| error.contains("PE 2 contributed twice")), "{errors:?}");
    let errors = with_a_member_that(|stream| {
        let _ = stream.write_all(&u32::MAX.to_le_bytes());
    });
    assert!(errors.iter().all(|error| error.contains("PE 2 left the job: a message of")), "{errors:?}");
    let errors = with_a_member_that(|stream| {
        let _ = stream.write_all(&Message::Welcome { pe_timeout_ms: 0 }.encode());
    });
    assert!(errors.iter().all(|error| error.contains("PE 2 does not keep to")), "{errors:?}");
}

#[test]
fn a_flood_of_signs_of_life_holds_nobody_up() {
    let results = job(3, |place| {
        if place.rank == 2 {
            let (mut stream, _) = place.enter(Instant::now() + LIMIT).unwrap();
            let beats = Message::Pulse(crate::transport::absent::Absent::default()).encode().repeat(10_000);
            for _ in 0..20 {
                stream.write_all(&beats).unwrap();
            }
            let part = Message::Contribution { audience: Audience::All, bytes: b"x".to_vec() };
            stream.write_all(&[part.encode(), Message::Bye.encode()].concat()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            assert!(is_closed(stream));
            return 3;
        }
        let session = place.join(&Fault::default()).unwrap();
        session.allgather(b"x", LIMIT).unwrap().len()
    });
    assert_eq!(results, [3, 3, 3]);
}

#[test]
fn a_member_that_speaks_before_the_welcome_ends_the_job() {
    let port = free_port();
    let first = std::thread::spawn(move || {
        rendezvous(0, 2, port, SECRET).join(&Fault::default()).unwrap_err().to_string()
    });
    // Two messages at once; the second PE never comes, so no welcome can have been there before.
    let mut stream = knock(port);
    let (ours, theirs) = challenge(&mut stream);
    let early = Message::Contribution { audience: Audience::All, bytes: vec![0; 100] };
    let bytes = [join(ours, theirs, 0, 2).encode(), early.encode()].concat();
    stream.write_all(&bytes).unwrap();
    let error = first.join().unwrap();
    assert!(error.contains("PE 0 does not keep to") || error.contains("say they are PE 0"), "{error}");
}
