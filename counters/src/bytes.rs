//! Bounded reads and writes of integers and texts in a byte slice: out of range is zero, not a panic.
//!
//! Callers check sizes once, up front, and report an error there; the fallbacks here only make sure
//! that a slip in such a check cannot become a crash.

/// Copies `N` bytes from `at`.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    at.checked_add(N)
        .and_then(|end| bytes.get(at..end))
        .and_then(|part| part.try_into().ok())
        .unwrap_or([0; N])
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

/// Text of a fixed field: up to the first NUL, invalid UTF-8 replaced, nothing a terminal would obey.
pub(super) fn text_at(bytes: &[u8], (at, len): (usize, usize)) -> String {
    let field = at.checked_add(len).and_then(|end| bytes.get(at..end)).unwrap_or_default();
    let text = field.split(|&b| b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).chars().filter(|&c| is_printable(c)).collect()
}

/// Copies `part` to `at`, or nothing if it does not fit.
pub(super) fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(target) = at.checked_add(part.len()).and_then(|end| bytes.get_mut(at..end)) {
        target.copy_from_slice(part);
    }
}

/// Writes `text` into a fixed field, cut at a character, without control characters; NUL-padded.
pub(super) fn put_text(bytes: &mut [u8], (at, len): (usize, usize), text: &str) {
    let mut field = Vec::with_capacity(len);
    for c in text.chars().filter(|&c| is_printable(c)) {
        if field.len() + c.len_utf8() > len {
            break;
        }
        field.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    field.resize(len, 0);
    put(bytes, at, &field);
}

/// No control characters, and none of the invisible ones that reorder text (Unicode TR 36, 2.10).
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_is_zero() {
        assert_eq!(u64_at(&[1; 4], 0), 0);
        assert_eq!(u64_at(&[1; 16], usize::MAX - 3), 0);
        assert_eq!(text_at(b"abc", (usize::MAX, 2)), "");
    }

    #[test]
    fn texts_are_cut_at_a_character_and_cleaned() {
        let mut bytes = [0xff; 8];
        put_text(&mut bytes, (0, 5), "ab\u{1b}cdé");
        assert_eq!(&bytes[..5], b"abcd\0");
        assert_eq!(text_at(b"\x1b[31mred\xff\0rest", (0, 14)), "[31mred\u{fffd}");
        assert_eq!(text_at("a\u{202e}b\u{9b}c".as_bytes(), (0, 8)), "abc");
    }
}
