//! Anybody's message as a frame. See [`crate::fuzzing`].

use super::{Frame, MAX_FRAME_BYTES, Record, read_frame};

/// Reads a frame, and writes what was in it into another, which must read the same.
pub(crate) fn frame(bytes: &[u8]) {
    let Ok((src, nic, records)) = read_frame(bytes) else { return };
    let records: Vec<Record<'_>> = records.map_while(Result::ok).collect();
    let mut again = Frame::new(src, nic);
    for record in &records {
        assert!(again.push(record), "what came in one frame fits one");
    }
    assert!(again.as_slice().len() <= MAX_FRAME_BYTES);
    let Ok((_, _, read)) = read_frame(again.as_slice()) else { unreachable!("it was just written") };
    assert!(read.eq(records.into_iter().map(Ok)), "read as it was written");
}
