//! PEs as threads of this process, on loopback.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use super::message::{Audience, Message};
use super::*;

mod attacks;
#[path = "../../../tests/support/port.rs"]
mod port;
mod silence;

/// One that stays free until PE 0 listens there.
fn free_port() -> u16 {
    port::Port::for_good().port()
}

fn rendezvous(rank: u32, world: u32, port: u16, secret: &str) -> Rendezvous {
    Rendezvous {
        rank,
        world,
        addr: "127.0.0.1".into(),
        port,
        secret: Secret::from_hex(secret).unwrap(),
        join_time: LIMIT,
        pe_timeout: LIMIT,
    }
}

const SECRET: &str = "00112233445566778899aabbccddeeff";
/// Only a test that has failed waits so long.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs one closure per PE and collects their results by rank.
fn job<T: Send + 'static>(world: u32, work: impl Fn(Rendezvous) -> T + Send + Sync + 'static) -> Vec<T> {
    let port = free_port();
    let work = Arc::new(work);
    let threads: Vec<_> = (0..world)
        .map(|rank| {
            let work = Arc::clone(&work);
            std::thread::spawn(move || work(rendezvous(rank, world, port, SECRET)))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn a_part_that_is_too_long_is_refused_and_the_job_goes_on() {
    let results = job(2, |place| {
        let session = place.join(&Fault::default()).unwrap();
        let long = session.allgather(&vec![0; message::MAX_CONTRIBUTION + 1], LIMIT).unwrap_err();
        assert!(matches!(long, BootstrapError::TooLong { .. }), "{long}");
        session.allgather(&vec![1; message::MAX_CONTRIBUTION], LIMIT).unwrap().concat()
    });
    for parts in results {
        assert!(parts == vec![1; 2 * message::MAX_CONTRIBUTION]);
    }
}

#[test]
fn everyone_gets_everyones_bytes() {
    let results = job(5, |place| {
        let session = place.join(&Fault::default()).unwrap();
        let rank = u8::try_from(session.rank()).unwrap();
        let first = session.allgather(&[rank], LIMIT).unwrap();
        let second = session.allgather(&vec![rank; 100_000], LIMIT).unwrap();
        (first, second.iter().map(Vec::len).collect::<Vec<_>>())
    });
    for (first, second) in results {
        assert_eq!(first, [[0], [1], [2], [3], [4]]);
        assert_eq!(second, [100_000; 5]);
    }
}

#[test]
fn a_pe_that_never_comes_is_named_on_every_pe() {
    let port = free_port();
    let threads: Vec<_> = [0, 2]
        .into_iter()
        .map(|rank| {
            let mut place = rendezvous(rank, 3, port, SECRET);
            // Long enough for the two to meet.
            place.join_time = Duration::from_secs(4);
            std::thread::spawn(move || place.join(&Fault::default()).unwrap_err().to_string())
        })
        .collect();
    for thread in threads {
        let error = thread.join().unwrap();
        assert!(error.contains("PE 1 did not join"), "{error}");
    }
}

#[test]
fn different_sizes_are_an_error_on_every_pe() {
    let errors = job(3, |mut place| {
        if place.rank == 2 {
            place.world = 4;
        }
        place.join(&Fault::default()).unwrap_err().to_string()
    });
    for error in errors {
        assert!(error.contains("PE 2") && error.contains("4 PEs"), "{error}");
    }
}

#[test]
fn two_pes_of_one_rank_are_an_error_on_every_pe() {
    let errors = job(3, |mut place| {
        if place.rank == 2 {
            place.rank = 1;
        }
        place.join(&Fault::default()).unwrap_err().to_string()
    });
    for error in errors {
        assert!(error.contains("say they are PE 1"), "{error}");
    }
}

#[test]
fn a_wrong_secret_does_not_get_in_and_does_not_stop_the_others() {
    let port = free_port();
    let intruder = std::thread::spawn(move || {
        let mut place = rendezvous(1, 2, port, &"ff".repeat(16));
        place.join_time = Duration::from_secs(2);
        place.join(&Fault::default()).unwrap_err().to_string()
    });
    let threads: Vec<_> = (0..2)
        .map(|rank| {
            std::thread::spawn(move || {
                // The intruder comes first.
                std::thread::sleep(Duration::from_millis(u64::from(rank) * 300));
                rendezvous(rank, 2, port, SECRET)
                    .join(&Fault::default())
                    .map(|session| session.rank())
                    .unwrap()
            })
        })
        .collect();
    for (rank, thread) in (0..).zip(threads) {
        assert_eq!(thread.join().unwrap(), rank);
    }
    let error = intruder.join().unwrap();
    assert!(error.contains("RAILTOP_JOB_SECRET") || error.contains("cannot reach"), "{error}");
}

#[test]
fn garbage_and_half_open_connections_do_no_harm() {
    let results = job(3, |place| {
        if place.rank == 1 {
            let vandal = || loop {
                if let Ok(stream) = TcpStream::connect(("127.0.0.1", place.port)) {
                    return stream;
                }
                std::thread::sleep(Duration::from_millis(5));
            };
            let mut streams: Vec<_> = (0..40).map(|_| vandal()).collect();
            for (i, stream) in streams.iter_mut().enumerate() {
                let bytes: Vec<u8> =
                    (0..(i * 37) % 500).map(|j| u8::try_from((i * 7 + j * 13) % 256).unwrap()).collect();
                let _ = stream.write_all(&bytes);
            }
            let _ = vandal().write_all(&u32::MAX.to_le_bytes());
            let session = place.join(&Fault::default()).unwrap();
            return session.allgather(b"x", LIMIT).unwrap().len();
        }
        let session = place.join(&Fault::default()).unwrap();
        session.allgather(b"x", LIMIT).unwrap().len()
    });
    assert_eq!(results, [3, 3, 3]);
}

#[test]
fn a_pe_that_dies_is_named_to_the_others() {
    let errors = job(3, |place| {
        if place.rank == 2 {
            // What a killed process does: the connection closes without a farewell.
            drop(place.enter(Instant::now() + LIMIT).unwrap());
            return String::new();
        }
        let session = place.join(&Fault::default()).unwrap();
        session.allgather(b"", LIMIT).unwrap_err().to_string()
    });
    for error in &errors[..2] {
        // Reset, where something had come that it has not read.
        let ways =
            ["its connection closed", "Connection reset"].map(|why| format!("PE 2 left the job: {why}"));
        assert!(ways.iter().any(|way| error.contains(way)), "{error}");
    }
}

#[test]
fn what_is_for_pe_0_goes_to_nobody_else() {
    let results = job(4, |place| {
        let session = place.join(&Fault::default()).unwrap();
        let rank = u8::try_from(session.rank()).unwrap();
        let gathered = session.gather(&[rank; 3], LIMIT).unwrap();
        // The next exchange is not mixed up with it.
        assert_eq!(session.allgather(&[rank], LIMIT).unwrap(), [[0], [1], [2], [3]]);
        gathered
    });
    assert_eq!(results[0].as_deref(), Some(&[vec![0; 3], vec![1; 3], vec![2; 3], vec![3; 3]][..]));
    assert!(results[1..].iter().all(Option::is_none), "{results:?}");
    assert_eq!(Session::alone(Fault::default()).gather(b"x", LIMIT).unwrap(), Some(vec![b"x".to_vec()]));
}

#[test]
fn pes_that_make_different_exchanges_are_told_so() {
    let errors = job(3, |place| {
        let session = place.join(&Fault::default()).unwrap();
        if session.rank() == 1 {
            session.gather(b"", LIMIT).unwrap_err().to_string()
        } else {
            session.allgather(b"", LIMIT).unwrap_err().to_string()
        }
    });
    for error in errors {
        assert!(error.contains("PE 0 and PE 1 do not make the same exchanges"), "{error}");
    }
}

#[test]
fn an_exchange_that_takes_too_long_names_who_did_not_come() {
    let done = std::sync::Barrier::new(4);
    let errors = job(4, move |mut place| {
        // Longer than a thread is kept from its turn, and shorter than the wait: they are heard of all the time.
        place.pe_timeout = Duration::from_secs(3);
        let session = place.join(&Fault::default()).unwrap();
        let error = match session.rank() {
            // They live, and do something else.
            1 | 3 => String::new(),
            _ => session.allgather(b"", Duration::from_secs(5)).unwrap_err().to_string(),
        };
        done.wait();
        error
    });
    for rank in [0, 2] {
        assert!(errors[rank].contains("PE 1 and 3 did not come to it"), "{}", errors[rank]);
    }
}

#[test]
fn a_late_comer_with_a_rank_in_use_harms_nobody() {
    let results = job(2, |place| {
        let session = place.join(&Fault::default()).unwrap();
        session.allgather(b"", LIMIT).unwrap();
        if session.rank() == 0 {
            let mut late = place.clone();
            late.rank = 1;
            late.join_time = Duration::from_secs(2);
            let error = late.join(&Fault::default()).unwrap_err().to_string();
            assert!(error.contains("after the job had begun"), "{error}");
            std::thread::sleep(Duration::from_millis(100));
        }
        session.allgather(b"x", LIMIT).map(|parts| parts.len()).map_err(|error| error.to_string())
    });
    assert_eq!(results, [Ok(2), Ok(2)]);
}

#[test]
fn a_rendezvous_that_drips_does_not_hold_a_pe() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let dripping = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while stream.write_all(&[1]).is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let mut place = rendezvous(1, 2, port, SECRET);
    place.join_time = Duration::ZERO;
    let error = place.join(&Fault::default()).unwrap_err().to_string();
    assert!(error.contains("not this job's rendezvous"), "{error}");
    dripping.join().unwrap();
}

#[test]
fn an_abort_reaches_everyone_with_its_reason() {
    let results = job(3, |place| {
        let session = place.join(&Fault::default()).unwrap();
        if session.rank() == 1 {
            session.abort("heap sizes differ");
        }
        session.allgather(b"", LIMIT).unwrap_err().to_string()
    });
    for error in results {
        assert!(error.contains("heap sizes differ"), "{error}");
    }
}

#[test]
fn what_is_missing_is_said() {
    let ranks = |port| Ranks {
        rank: 0,
        world: 2,
        local_rank: None,
        local_world: None,
        master_addr: None,
        master_port: port,
        from: "flags",
    };
    let find = |port, secret: Option<&str>| {
        Rendezvous::find(&ranks(port), LIMIT, LIMIT, |name| {
            secret.filter(|_| name == secret::VARIABLE).map(ToOwned::to_owned)
        })
    };
    assert!(find(None, Some(SECRET)).unwrap_err().to_string().contains("MASTER_PORT"));
    assert!(find(Some(1), None).unwrap_err().to_string().contains("RAILTOP_JOB_SECRET"));
    assert!(find(Some(1), Some("short")).is_err());
    assert_eq!(
        find(Some(1), Some(SECRET)).unwrap().unwrap().addr,
        "127.0.0.1",
        "loopback unless told otherwise"
    );
}

#[test]
fn nodes_do_not_meet_on_the_loopback_of_one() {
    let find = |from, rank, nodes: &str, addr: &str| {
        let ranks = Ranks {
            rank,
            world: 2,
            local_rank: None,
            local_world: None,
            master_addr: Some(addr.into()),
            master_port: Some(1),
            from,
        };
        Rendezvous::find(&ranks, LIMIT, LIMIT, |name| match name {
            secret::VARIABLE => Some(SECRET.to_owned()),
            "SLURM_STEP_NUM_NODES" => Some(nodes.to_owned()),
            _ => None,
        })
    };
    let error = find(SLURM, 0, "2", "localhost").unwrap_err().to_string();
    assert!(error.contains("MASTER_ADDR") && error.contains("/etc/hosts"), "{error}");
    // One node may; what a name means to PE 0 is PE 0's to know; and a lab inside of a step has nodes of its own.
    for (from, rank, nodes, addr) in [
        (SLURM, 0, "1", "localhost"),
        (SLURM, 1, "2", "localhost"),
        (SLURM, 0, "2", "192.0.2.1"),
        (SLURM, 0, "x", "::1"),
        ("torchrun", 0, "2", "127.0.0.1"),
    ] {
        assert!(find(from, rank, nodes, addr).is_ok(), "{from} {rank} {nodes} {addr}");
    }
}
