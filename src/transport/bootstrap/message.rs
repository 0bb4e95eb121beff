//! The messages of the rendezvous and their framing: a 32-bit little-endian length, a kind byte, a body.

use std::io;

use super::secret::{LEN, Nonce, Proof};

/// First bytes of a hello: a stray client is told apart before anything else is read.
pub const MAGIC: [u8; 8] = *b"railtop\0";

/// Version of these messages; other versions are refused with a sentence.
pub const VERSION: u16 = 1;

/// Longest message from a connection that has not proved itself.
pub const MAX_UNPROVEN: usize = 256;

/// Longest contribution of one PE to an exchange.
pub const MAX_CONTRIBUTION: usize = 4 << 20;

/// Longest message of the rendezvous to a PE.
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
    Welcome,
    /// Either side: the job cannot go on, because.
    Abort(String),
    /// PE: my part of the next exchange.
    Contribution(Vec<u8>),
    /// Rendezvous: everyone's parts, by rank.
    Result(Vec<Vec<u8>>),
    /// PE: I leave in good order.
    Bye,
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
            Self::Welcome => body.push(4),
            Self::Abort(reason) => {
                body.push(5);
                body.extend(reason.bytes().take(MAX_REASON));
            }
            Self::Contribution(bytes) => {
                body.push(6);
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
            4 if body.is_empty() => Self::Welcome,
            5 => Self::Abort(crate::text::printable(&String::from_utf8_lossy(
                body.get(..MAX_REASON).unwrap_or(body),
            ))),
            6 => Self::Contribution(body.to_vec()),
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

    #[test]
    fn messages_come_back() {
        for message in [
            Message::Hello { version: 7, nonce: [3; LEN] },
            Message::Challenge { nonce: [1; LEN], proof: [2; LEN] },
            Message::Join { proof: [9; LEN], rank: 5, world: 8, wire: 1 },
            Message::Welcome,
            Message::Abort("PE 3 left".into()),
            Message::Contribution(vec![1, 2, 3]),
            Message::Result(vec![vec![], vec![1], vec![2; 300]]),
            Message::Bye,
        ] {
            let bytes = message.encode();
            let len = check_len([bytes[0], bytes[1], bytes[2], bytes[3]], 1 << 20).unwrap();
            assert_eq!(len, bytes.len() - 4);
            assert_eq!(Message::decode(&bytes[4..]).unwrap(), message);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Message::decode(&bytes);
        }
    }
}
