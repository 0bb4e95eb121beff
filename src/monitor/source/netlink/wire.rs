//! Netlink's framing: messages in a datagram, attributes in a message. Pure, and every length is checked.
//!
//! Format: netlink(7) and the kernel's include/uapi/linux/netlink.h. Numbers are in the machine's own byte order.

/// Length of a message's header.
pub(super) const HEADER: usize = 16;
/// Length of an attribute's header.
const ATTRIBUTE_HEADER: usize = 4;
/// What the two highest bits of an attribute's type say (nested, network byte order) is no part of the type.
const TYPE_MASK: u16 = 0x3fff;

/// `NLM_F_REQUEST`: every request has it.
pub(super) const REQUEST: u16 = 1;
/// `NLM_F_ROOT | NLM_F_MATCH`: all objects instead of one.
pub(super) const DUMP: u16 = 0x300;
/// `NLM_F_DUMP_INTR`: something changed during the dump, so it may be inconsistent.
pub(super) const DUMP_INTERRUPTED: u16 = 0x10;
/// `NLMSG_ERROR`: an errno, or 0 for an acknowledgement.
pub(super) const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
pub(super) const DONE: u16 = 3;

/// Bytes that are no netlink message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed {part}: it says {said} bytes, {there} are there")]
pub struct Malformed {
    /// What it should be.
    pub part: &'static str,
    /// The length in its header.
    pub said: usize,
    /// How many bytes are left.
    pub there: usize,
}

/// A message, as far as netlink itself knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// Type: a command's, [`ERROR`] or [`DONE`].
    pub(super) kind: u16,
    /// `NLM_F_*`.
    pub(super) flags: u16,
    /// The request's number.
    pub(super) sequence: u32,
    /// What follows the header.
    pub(super) body: &'a [u8],
}

impl Message<'_> {
    /// The errno of an [`ERROR`] or [`DONE`] message; `None` when all is well.
    pub(super) fn errno(&self) -> Option<i32> {
        let code = i32::from_ne_bytes(self.body.first_chunk().copied()?);
        (code != 0).then(|| code.saturating_neg())
    }
}

/// The messages of a datagram. Ends after the first that is malformed.
pub(super) fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let there = rest.len();
        let next = message(rest).ok_or_else(|| Malformed {
            part: "netlink message",
            said: rest.first_chunk().map_or(0, |&l| length(u32::from_ne_bytes(l))),
            there,
        });
        rest = match &next {
            Ok((_, rest)) => rest,
            Err(_) => &[],
        };
        Some(next.map(|(message, _)| message))
    })
}

fn message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let u16_at = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?));
    let u32_at = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?));
    let length = length(u32_at(0)?);
    let message = Message {
        kind: u16_at(4)?,
        flags: u16_at(6)?,
        sequence: u32_at(8)?,
        body: bytes.get(HEADER..length)?,
    };
    Some((message, after(bytes, length)))
}

/// An attribute of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    /// Its type.
    pub(super) kind: u16,
    /// Its value; of a nested one, attributes.
    pub(super) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// A number of 8 bits.
    pub(super) fn u8(&self) -> Option<u8> {
        (self.value.len() == 1).then(|| self.value[0])
    }

    /// A number of 32 bits.
    pub(super) fn u32(&self) -> Option<u32> {
        self.value.try_into().ok().map(u32::from_ne_bytes)
    }

    /// A number of 64 bits.
    pub(super) fn u64(&self) -> Option<u64> {
        self.value.try_into().ok().map(u64::from_ne_bytes)
    }

    /// A text that ends with a zero byte.
    pub(super) fn text(&self) -> Option<&'a str> {
        let end = self.value.iter().position(|&b| b == 0)?;
        std::str::from_utf8(&self.value[..end]).ok()
    }
}

/// The attributes in a message's body or in a nested attribute. Ends after the first that is malformed.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, Malformed>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let said = rest.first_chunk().map_or(0, |&l| usize::from(u16::from_ne_bytes(l)));
        let next = attribute(rest, said);
        let there = rest.len();
        rest = if next.is_some() { after(rest, said) } else { &[] };
        Some(next.ok_or(Malformed { part: "netlink attribute", said, there }))
    })
}

fn attribute(bytes: &[u8], length: usize) -> Option<Attribute<'_>> {
    let kind = u16::from_ne_bytes(bytes.get(2..)?.first_chunk().copied()?) & TYPE_MASK;
    Some(Attribute { kind, value: bytes.get(ATTRIBUTE_HEADER..length)? })
}

/// What follows `length` bytes and the padding after them.
fn after(bytes: &[u8], length: usize) -> &[u8] {
    bytes.get(length.next_multiple_of(4)..).unwrap_or_default()
}

fn length(said: u32) -> usize {
    // The padded length must not overflow where a pointer has 32 bits.
    usize::try_from(said).unwrap_or(usize::MAX).min(usize::MAX - 3)
}

/// Appends a request whose attributes are 32-bit numbers, which is all that is ever asked with.
pub(super) fn request(out: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, attributes: &[(u16, u32)]) {
    const ATTRIBUTE: u16 = 8;
    let length = HEADER + usize::from(ATTRIBUTE) * attributes.len();
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend((REQUEST | flags).to_ne_bytes());
    out.extend(sequence.to_ne_bytes());
    // The sender's port: the kernel knows it.
    out.extend(0_u32.to_ne_bytes());
    for (kind, value) in attributes {
        out.extend(ATTRIBUTE.to_ne_bytes());
        out.extend(kind.to_ne_bytes());
        out.extend(value.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_reads_back() {
        let mut bytes = Vec::new();
        request(&mut bytes, 7, DUMP, 42, &[(1, 5), (3, 9)]);
        request(&mut bytes, 8, 0, 43, &[]);
        let all: Vec<_> = messages(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!((all[0].kind, all[0].flags, all[0].sequence), (7, REQUEST | DUMP, 42));
        assert_eq!((all[1].kind, all[1].body), (8, &[][..]));
        let values: Vec<_> = attributes(all[0].body).map(|a| a.unwrap()).map(|a| (a.kind, a.u32())).collect();
        assert_eq!(values, [(1, Some(5)), (3, Some(9))]);
    }

    #[test]
    fn lengths_that_lie_are_told() {
        let mut bytes = Vec::new();
        request(&mut bytes, 7, 0, 1, &[(1, 5)]);
        bytes[0] = 200;
        let problem = messages(&bytes).next().unwrap().unwrap_err();
        assert_eq!(problem.to_string(), "malformed netlink message: it says 200 bytes, 24 are there");
        // Shorter than its own header, which would otherwise never end.
        bytes[0] = 3;
        assert_eq!(messages(&bytes).flatten().count(), 0);
        assert_eq!(attributes(&[0, 0, 1, 0, 9, 9, 9, 9]).flatten().count(), 0);
        assert_eq!(attributes(&[4]).flatten().count(), 0);
    }

    #[test]
    fn the_last_attribute_needs_no_padding_and_flags_are_no_type() {
        let bytes = [5, 0, 102, 0x80, 3];
        let all: Vec<_> = attributes(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!((all.len(), all[0].kind, all[0].u8()), (1, 102, Some(3)));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut seen = 0;
            for message in messages(&bytes).flatten() {
                seen += 1;
                prop_assert!(message.body.len() + HEADER <= bytes.len());
                for attribute in attributes(message.body).flatten() {
                    let (_, _, _, _) = (attribute.u8(), attribute.u32(), attribute.u64(), attribute.text());
                }
                let _code = message.errno();
            }
            prop_assert!(seen <= bytes.len() / HEADER);
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4 + 1);
        }
    }
}
