use std::path::Path;

use proptest::prelude::*;

use super::super::wire::{self, messages};
use super::*;

/// A recording: see tests/fixtures/netlink/README.md.
fn recorded(name: &str) -> Option<Vec<u8>> {
    if cfg!(target_endian = "big") {
        eprintln!("skipped: the recordings are of a little-endian machine");
        return None;
    }
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/netlink");
    Some(std::fs::read(dir.join(format!("{name}.bin"))).unwrap())
}

/// The bodies of the answers to `command`; all else must be well formed.
fn bodies(bytes: &[u8], command: Command) -> Vec<&[u8]> {
    let all: Vec<_> = messages(bytes).collect::<Result<_, _>>().unwrap();
    all.iter().filter(|m| m.kind == command.reply_type()).map(|m| m.body).collect()
}

fn all_counters(bytes: &[u8]) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for body in bodies(bytes, Command::StatGet) {
        counters(body, |name, value| all.push((name.to_owned(), value))).unwrap();
    }
    all
}

fn all_owners(bytes: &[u8]) -> Vec<Owner> {
    let mut all = Vec::new();
    for body in bodies(bytes, Command::QpGet) {
        owners(body, |owner| all.push(owner)).unwrap();
    }
    all
}

#[test]
fn devices_have_numbers_names_and_ports() {
    let Some(bytes) = recorded("devices") else { return };
    let all: Vec<Device> =
        bodies(&bytes, Command::Get).into_iter().map(|body| device(body).unwrap().unwrap()).collect();
    let names: Vec<&str> = all.iter().map(|d| d.name.as_str()).collect();
    for name in ["rxe0", "rdmap16s27", "mlx5_0", "plain0"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(all.iter().all(|d| d.ports == 1));
    let last = messages(&bytes).last().unwrap().unwrap();
    assert_eq!((last.kind, last.errno()), (wire::DONE, None));
}

#[test]
fn ports_have_a_state_and_the_interface_they_have() {
    let (Some(rxe), Some(efa)) = (recorded("port-rxe0"), recorded("port-rdmap16s27")) else { return };
    let read = |bytes: &[u8]| port(bodies(bytes, Command::PortGet)[0]).unwrap();
    let expected = Port { state: Some("ACTIVE"), phys_state: Some("LinkUp"), netdev: Some("v0a".to_owned()) };
    assert_eq!(read(&rxe), expected);
    assert_eq!(read(&efa), Port { netdev: None, ..expected });
}

#[test]
fn counters_have_the_drivers_names() {
    let (Some(efa), Some(mlx5), Some(rxe)) =
        (recorded("counters-rdmap16s27"), recorded("counters-mlx5_0"), recorded("counters-rxe0"))
    else {
        return;
    };
    let efa = all_counters(&efa);
    assert_eq!(
        (efa.len(), efa[0].0.as_str(), efa[21].0.as_str()),
        (22, "tx_bytes", "impaired_remote_conn_events")
    );
    let mlx5 = all_counters(&mlx5);
    assert!(
        mlx5.len() == 29 && mlx5.iter().all(|(name, _)| !name.contains("bytes") && !name.contains("data"))
    );
    assert!(all_counters(&rxe).iter().any(|(name, _)| name == "sent_pkts"));
}

#[test]
fn a_refusal_is_an_errno() {
    let (Some(absent), Some(plain)) = (recorded("no-such-device"), recorded("counters-plain0")) else {
        return;
    };
    let errno = |bytes: &[u8]| {
        let message = messages(bytes).next().unwrap().unwrap();
        (message.kind, message.errno())
    };
    assert_eq!(errno(&absent), (wire::ERROR, Some(libc::EINVAL)));
    assert_eq!(errno(&plain), (wire::ERROR, Some(libc::EINVAL)));
}

#[test]
fn queue_pairs_have_owners_and_a_pid_namespace_hides_them() {
    let (Some(own), Some(other)) =
        (recorded("queue-pairs-rxe0"), recorded("queue-pairs-rxe0-other-pid-namespace"))
    else {
        return;
    };
    let mut all = all_owners(&own);
    all.sort_by_key(|owner| format!("{owner:?}"));
    assert_eq!(all, [Owner::Kernel, Owner::Process(195), Owner::Process(196)]);
    assert_eq!(all_owners(&other).iter().filter(|&&o| o == Owner::Hidden).count(), 2);
}

#[test]
fn the_system_says_its_mode() {
    let Some(bytes) = recorded("system") else { return };
    let system = system(bodies(&bytes, Command::SysGet)[0]).unwrap();
    assert_eq!(system, System { shared: Some(true), tells_changes: true });
}

#[test]
fn events_tell_what_came_and_went() {
    let Some(bytes) = recorded("events") else { return };
    let all: Vec<(EventKind, String)> = bodies(&bytes, Command::Monitor)
        .into_iter()
        .filter_map(|body| event(body).unwrap())
        .map(|event| (event.kind, event.name))
        .filter(|(kind, _)| *kind != EventKind::Other)
        .collect();
    // This kernel does not tell of the rename itself.
    let expected =
        [(EventKind::Unregistered, "rdmap32s27".to_owned()), (EventKind::Registered, "rxe1".to_owned())];
    assert_eq!(all, expected);
}

#[test]
fn states_that_no_kernel_has_are_unknown() {
    assert_eq!((state_word(9), phys_state_word(0)), (None, None));
}

/// Everything that reads an answer, on any bytes.
fn read_all(bytes: &[u8]) -> usize {
    let mut read = 0;
    for message in messages(bytes).flatten() {
        let body = message.body;
        let _any = (device(body), port(body), system(body), event(body));
        let _counters = counters(body, |name, _| {
            assert!(is_plain(name));
            read += 1;
        });
        let _owners = owners(body, |_| read += 1);
    }
    read
}

#[test]
fn no_recording_breaks_it_whichever_bytes_are_changed() {
    // A small generator of its own: thirty thousand mutations, the same in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };
    for name in ["devices", "port-rxe0", "counters-rdmap16s27", "queue-pairs-rxe0", "system", "events"] {
        let Some(original) = recorded(name) else { return };
        for _ in 0..5_000 {
            let mut bytes = original.clone();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                // Lengths stand in small even numbers; these values hit their limits more often than chance.
                let values = [0, 1, 3, 4, 8, 16, 127, 128, 255, u8::try_from(random(256)).unwrap()];
                bytes[at] = values[random(values.len())];
            }
            bytes.truncate(bytes.len() - random(bytes.len() / 4));
            assert!(read_all(&bytes) <= bytes.len());
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_break_it(
        kind in prop_oneof![Just(2_u16), Just(3), Just(5121), Just(5137), any::<u16>()],
        body in proptest::collection::vec(prop_oneof![Just(0_u8), Just(4), Just(8), Just(80), Just(81), any::<u8>()], 0..400),
    ) {
        let mut bytes = Vec::new();
        wire::request(&mut bytes, kind, 0, 1, &[]);
        bytes.extend(&body);
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        prop_assert!(read_all(&bytes) <= bytes.len());
    }

    #[test]
    fn names_that_are_no_names_are_dropped(name in "\\PC{0,80}|[\\x00-\\x1f/.]{0,10}") {
        let mut bytes = Vec::new();
        for (kind, value) in [(attr::DEV_INDEX, 7_u32.to_ne_bytes().to_vec()), (attr::DEV_NAME, [name.as_bytes(), b"\0"].concat())] {
            bytes.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(&value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        if let Some(device) = device(&bytes).unwrap() {
            prop_assert!(device.name.bytes().all(|b| b.is_ascii_graphic()) && !device.name.contains('/'));
            prop_assert_eq!(device.name, name);
        }
    }
}
