//! Cutting a stream of bytes into whole lines, so that the lines of many PEs do not mix.

/// A longer line is cut here: a PE that writes no newline must not fill the memory.
const MAX_LINE_BYTES: usize = 1 << 20;

/// The part of a stream after its last newline.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    rest: Vec<u8>,
}

impl LineBuffer {
    /// Adds what was read, and hands all whole lines at once to `emit`, newlines included.
    pub(super) fn feed(&mut self, bytes: &[u8], mut emit: impl FnMut(&[u8])) {
        match bytes.iter().rposition(|&byte| byte == b'\n') {
            Some(last) => {
                let (whole, rest) = bytes.split_at(last + 1);
                if self.rest.is_empty() {
                    emit(whole);
                } else {
                    self.rest.extend_from_slice(whole);
                    emit(&self.rest);
                    self.rest.clear();
                }
                self.rest.extend_from_slice(rest);
            }
            None => self.rest.extend_from_slice(bytes),
        }
        if self.rest.len() >= MAX_LINE_BYTES {
            self.finish(emit);
        }
    }

    /// Hands over a last line without its newline.
    pub(super) fn finish(&mut self, mut emit: impl FnMut(&[u8])) {
        if !self.rest.is_empty() {
            emit(&std::mem::take(&mut self.rest));
        }
    }
}

/// Puts `prefix` before every line of `lines`, and a newline after the last if it has none.
pub(super) fn prefixed(prefix: &str, lines: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(lines.len() + prefix.len());
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        text.extend_from_slice(prefix.as_bytes());
        text.extend_from_slice(line);
    }
    if text.last().is_some_and(|&byte| byte != b'\n') {
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_is_lost_and_lines_stay_whole(pieces in proptest::collection::vec("[ab\n]{0,9}", 0..20)) {
            let mut buffer = LineBuffer::default();
            let mut emitted: Vec<Vec<u8>> = Vec::new();
            for piece in &pieces {
                buffer.feed(piece.as_bytes(), |lines| emitted.push(lines.to_vec()));
            }
            prop_assert!(emitted.iter().all(|lines| lines.ends_with(b"\n")));
            buffer.finish(|lines| emitted.push(lines.to_vec()));
            prop_assert_eq!(emitted.concat(), pieces.concat().into_bytes());
        }
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut buffer = LineBuffer::default();
        let mut emitted = 0;
        for _ in 0..33 {
            buffer.feed(&b"x".repeat(64 << 10), |lines| emitted += lines.len());
        }
        assert_eq!(emitted, 2 << 20);
    }

    #[test]
    fn prefixes_every_line() {
        assert_eq!(prefixed("> ", b"a\n\nb"), b"> a\n> \n> b\n");
        assert_eq!(prefixed("> ", b""), b"");
    }
}
