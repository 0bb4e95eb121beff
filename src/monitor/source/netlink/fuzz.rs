//! A datagram of anybody's through every parser of replies. See [`crate::fuzzing`].

use super::reply;
use super::wire::messages;
use crate::text::printable;

/// Reads the messages of a datagram, each as a reply to every command.
pub(crate) fn datagram(bytes: &[u8]) {
    // A body alone, too: of many datagrams nothing is left but the header's complaint.
    let bodies = messages(bytes).map_while(Result::ok).map(|message| {
        let _ = message.errno();
        message.body
    });
    for body in bodies.chain([bytes]) {
        if let Ok(Some(device)) = reply::device(body) {
            assert_shown(&device.name);
            assert!(u8::try_from(device.ports).is_ok());
            device.fw_ver.iter().for_each(|text| assert_shown(text));
        }
        if let Ok(port) = reply::port(body) {
            port.netdev.iter().for_each(|text| assert_shown(text));
        }
        let (mut names, mut owners) = (0, 0);
        let _ = reply::counters(body, |name, _| {
            assert_shown(name);
            names += 1;
        });
        let _ = reply::owners(body, |_| owners += 1);
        // The smallest of each takes more than this.
        assert!(names + owners <= body.len() / 4);
        let _ = reply::system(body);
        if let Ok(Some(event)) = reply::event(body) {
            assert_shown(&event.name);
        }
    }
}

fn assert_shown(text: &str) {
    assert_eq!(printable(text), text, "goes to terminals");
}
