//! The messages of the rendezvous and their framing: a 32-bit little-endian length, a kind byte, a body.

use std::io;

use super::secret::{LEN, Nonce, Proof};
use crate::transport::absent::Absent;

/// First bytes of a hello: a stray client is told apart before anything else is read.
pub const MAGIC: [u8; 8] = *b"railtop\0";

/// Version of these messages; other versions are refused with a sentence.
pub const VERSION: u16 = 2;

/// Longest message from a connection that has not proved itself.
pub const MAX_UNPROVEN: usize = 256;

/// Longest contribution of one PE to an exchange.
pub const MAX_CONTRIBUTION: usize = 4 << 20;

/// Longest message of the rendezvous to a PE, and so all parts of an exchange together with 4 bytes each.
pub const MAX_RESULT: usize = 512 << 20;

/// Longest reason that is passed on.
pub const MAX_REASON: usize = 1024;

/// One message, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// PE: here I am, with a nonce.
    Hello {
        /// Message version the PE speaks.
        version: u16,
        /// The PE's nonce.
        nonce: Nonce,
    },
    /// Rendezvous: prove it; and proof that this is the right rendezvous.
    Challenge {
        /// The rendezvous' nonce.
        nonce: Nonce,
        /// Its proof over both nonces.
        proof: Proof,
    },
    /// PE: the proof, and who I am.
    Join {
        /// Proof over both nonces and the numbers.
        proof: Proof,
        /// The PE's number.
        rank: u32,
        /// The size it believes the job has.
        world: u32,
        /// Version of the transport's wire format.
        wire: u16,
    },
    /// Rendezvous: all PEs are there.
    Welcome {
        /// Milliseconds of silence after which a PE counts as hung, on both sides; 0: never.
        pe_timeout_ms: u32,
    },
    /// Either side: the job cannot go on, because.
    Abort(String),
    /// PE: my part of the next exchange.
    Contribution {
        /// Who is to have it.
        audience: Audience,
        /// The part.
        bytes: Vec<u8>,
    },
    /// Rendezvous: everyone's parts, by rank; none at all for a PE that is not to have them.
    Result(Vec<Vec<u8>>),
    /// PE: I leave in good order.
    Bye,
    /// Either side: I live. From the rendezvous also: whom the present exchange waits for.
    Pulse(Absent),
}

/// Who gets the parts of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Every PE.
    All,
    /// PE 0 alone; the others hear that it has them.
    First,
}

impl Message {
    /// The message with its length in front.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = vec![0; 4];
        match self {
            Self::Hello { version, nonce } => {
                body.push(1);
                body.extend(MAGIC);
                body.extend(version.to_le_bytes());
                body.extend(nonce);
            }
            Self::Challenge { nonce, proof } => {
                body.push(2);
                body.extend(nonce);
                body.extend(proof);
            }
            Self::Join { proof, rank, world, wire } => {
                body.push(3);
                body.extend(proof);
                body.extend(rank.to_le_bytes());
                body.extend(world.to_le_bytes());
                body.extend(wire.to_le_bytes());
            }
            Self::Welcome { pe_timeout_ms } => {
                body.push(4);
                body.extend(pe_timeout_ms.to_le_bytes());
            }
            Self::Abort(reason) => {
                body.push(5);
                body.extend(reason.bytes().take(MAX_REASON));
            }
            Self::Contribution { audience, bytes } => {
                body.push(match audience {
                    Audience::All => 6,
                    Audience::First => 9,
                });
                body.extend(bytes);
            }
            Self::Result(parts) => {
                body.push(7);
                for part in parts {
                    body.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
                    body.extend(part);
                }
            }
            Self::Bye => body.push(8),
            Self::Pulse(absent) => {
                body.push(10);
                body.extend(u32::try_from(absent.total()).unwrap_or(u32::MAX).to_le_bytes());
                body.extend(absent.first().iter().take(Absent::KEPT).flat_map(|pe| pe.to_le_bytes()));
            }
        }
        let len = u32::try_from(body.len() - 4).unwrap_or(u32::MAX);
        body[..4].copy_from_slice(&len.to_le_bytes());
        body
    }

    /// Reads a message without its length. Everything is hostile until parsed.
    ///
    /// # Errors
    /// When the bytes are no message.
    pub fn decode(bytes: &[u8]) -> io::Result<Self> {
        Self::parse(bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a message of this rendezvous"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (&kind, body) = bytes.split_first()?;
        Some(match kind {
            1 => {
                let (magic, rest) = body.split_first_chunk::<8>()?;
                let (version, nonce) = rest.split_first_chunk::<2>()?;
                (*magic == MAGIC).then_some(())?;
                Self::Hello { version: u16::from_le_bytes(*version), nonce: nonce.try_into().ok()? }
            }
            2 => {
                let (nonce, proof) = body.split_first_chunk::<LEN>()?;
                Self::Challenge { nonce: *nonce, proof: proof.try_into().ok()? }
            }
            3 => {
                let (proof, rest) = body.split_first_chunk::<LEN>()?;
                let (rank, rest) = rest.split_first_chunk::<4>()?;
                let (world, wire) = rest.split_first_chunk::<4>()?;
                Self::Join {
                    proof: *proof,
                    rank: u32::from_le_bytes(*rank),
                    world: u32::from_le_bytes(*world),
                    wire: u16::from_le_bytes(wire.try_into().ok()?),
                }
            }
            4 => Self::Welcome { pe_timeout_ms: u32::from_le_bytes(body.try_into().ok()?) },
            5 => Self::Abort(crate::text::printable(&String::from_utf8_lossy(
                body.get(..MAX_REASON).unwrap_or(body),
            ))),
            6 => Self::Contribution { audience: Audience::All, bytes: body.to_vec() },
            9 => Self::Contribution { audience: Audience::First, bytes: body.to_vec() },
            7 => {
                let (mut parts, mut rest) = (Vec::new(), body);
                while !rest.is_empty() {
                    let (len, tail) = rest.split_first_chunk::<4>()?;
                    let (part, tail) =
                        tail.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
                    parts.push(part.to_vec());
                    rest = tail;
                }
                Self::Result(parts)
            }
            8 if body.is_empty() => Self::Bye,
            10 => {
                let (total, rest) = body.split_first_chunk::<4>()?;
                let (pes, []) = rest.as_chunks::<4>() else { return None };
                let total = usize::try_from(u32::from_le_bytes(*total)).ok()?;
                (pes.len() <= Absent::KEPT && pes.len() <= total).then_some(())?;
                Self::Pulse(Absent::of(pes.iter().map(|pe| u32::from_le_bytes(*pe)).collect(), total))
            }
            _ => return None,
        })
    }
}

/// Checks an announced length against the limit that applies.
///
/// # Errors
/// When it is zero or above the limit.
pub fn check_len(len: [u8; 4], limit: usize) -> io::Result<usize> {
    let len = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
    if len == 0 || len > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {len} bytes, at most {limit} are taken"),
        ));
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message() -> impl Strategy<Value = Message> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..200);
        let audience = prop_oneof![Just(Audience::All), Just(Audience::First)];
        let pes = prop::collection::vec(any::<u32>(), 0..=Absent::KEPT);
        prop_oneof![
            (any::<u16>(), any::<Nonce>()).prop_map(|(version, nonce)| Message::Hello { version, nonce }),
            (any::<Nonce>(), any::<Proof>()).prop_map(|(nonce, proof)| Message::Challenge { nonce, proof }),
            (any::<Proof>(), any::<u32>(), any::<u32>(), any::<u16>())
                .prop_map(|(proof, rank, world, wire)| Message::Join { proof, rank, world, wire }),
            any::<u32>().prop_map(|pe_timeout_ms| Message::Welcome { pe_timeout_ms }),
            "[a-zA-Z0-9 äß:]{0,100}".prop_map(Message::Abort),
            (audience, bytes()).prop_map(|(audience, bytes)| Message::Contribution { audience, bytes }),
            prop::collection::vec(bytes(), 0..6).prop_map(Message::Result),
            Just(Message::Bye),
            (pes, 0_usize..100_000).prop_map(|(pes, total)| Message::Pulse(Absent::of(pes, total))),
        ]
    }

    /// Never panics and never makes more of bytes than they are: what is read is written as the same bytes again.
    fn hold(bytes: &[u8]) -> Result<(), TestCaseError> {
        let Ok(read) = Message::decode(bytes) else { return Ok(()) };
        if let Message::Abort(reason) = &read {
            prop_assert!(!reason.chars().any(char::is_control));
            prop_assert!(reason.chars().count() <= MAX_REASON);
        } else {
            prop_assert_eq!(&read.encode()[4..], bytes);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn messages_come_back(message in message()) {
            let bytes = message.encode();
            let len = check_len([bytes[0], bytes[1], bytes[2], bytes[3]], 1 << 20).unwrap();
            prop_assert_eq!(len, bytes.len() - 4);
            prop_assert_eq!(Message::decode(&bytes[4..]).unwrap(), message);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            hold(&bytes)?;
        }

        #[test]
        fn arbitrary_bodies_of_every_kind(kind in 0_u8..12, body in prop::collection::vec(any::<u8>(), 0..300)) {
            hold(&[&[kind], &body[..]].concat())?;
        }

        /// A real message with bytes changed, cut off or added.
        #[test]
        fn damaged_messages(
            message in message(), at in any::<prop::sample::Index>(), value in any::<u8>(),
            keep in any::<prop::sample::Index>(), tail in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut bytes = message.encode().split_off(4);
            let at = at.index(bytes.len());
            bytes[at] = value;
            hold(&bytes)?;
            hold(&bytes[..keep.index(bytes.len())])?;
            bytes.extend(tail);
            hold(&bytes)?;
        }

        #[test]
        fn no_length_beyond_the_limit_is_taken(len in any::<u32>(), limit in 1_usize..1000) {
            let taken = check_len(len.to_le_bytes(), limit);
            prop_assert_eq!(taken.is_ok(), len > 0 && len as usize <= limit);
        }
    }
}
