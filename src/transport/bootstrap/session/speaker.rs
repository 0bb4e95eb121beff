//! What a PE tells PE 0: the words it is given, and a sign of life whenever there have been none for a beat.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::transport::absent::Absent;
use crate::transport::bootstrap::message::Message;

/// Speaks until nobody can give it words any more, or the connection is gone: why, the listener will tell.
pub(super) fn run(mut stream: TcpStream, words: &Receiver<Message>, beat: Duration) {
    loop {
        let message = match words.recv_timeout(beat) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => Message::Pulse(Absent::default()),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if stream.write_all(&message.encode()).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}
