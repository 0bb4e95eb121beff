//! Connections that were turned away: each kind is said once, the rest is counted and summed up at the end.

use std::fmt;
use std::net::SocketAddr;

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// What it sent is not a handshake of ours.
    Stranger,
    /// It speaks another version of the rendezvous.
    Version,
    /// Its proof is wrong.
    Secret,
    /// It did not prove itself in time.
    Slow,
    /// It closed in mid-handshake.
    Vanished,
    /// It had to make room: too many that prove nothing, most of them from its address.
    Crowd,
}

impl Refusal {
    const ALL: [Self; 6] =
        [Self::Stranger, Self::Version, Self::Secret, Self::Slow, Self::Vanished, Self::Crowd];
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stranger => "not a handshake of railtop",
            Self::Version => "another version of railtop",
            Self::Secret => "wrong secret",
            Self::Slow => "no proof of the secret in time",
            Self::Vanished => "closed in mid-handshake: another secret, or no PE",
            Self::Crowd => "too many at once that prove nothing",
        })
    }
}

/// How many of each kind there were.
#[derive(Debug, Default)]
pub(super) struct Refusals([u64; Refusal::ALL.len()]);

impl Refusals {
    /// Counts one; what to say, if it is the first of its kind.
    pub(super) fn note(&mut self, refusal: Refusal, from: SocketAddr) -> Option<String> {
        let count = self.0.get_mut(refusal as usize)?;
        *count += 1;
        (*count == 1).then(|| {
            format!("rendezvous: refused a connection from {from}: {refusal} (further ones are only counted)")
        })
    }

    /// What to say at the end, if more were refused than have been told.
    pub(super) fn sum(&self) -> Option<String> {
        let kinds: Vec<_> = Refusal::ALL.iter().zip(self.0).filter(|(_, count)| *count > 0).collect();
        let total: u64 = self.0.iter().sum();
        (total > kinds.len() as u64).then(|| {
            let parts: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            format!("rendezvous: refused {total} connections in all: {}", parts.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_said_once_and_all_are_counted() {
        let from = "10.0.0.9:4711".parse().unwrap();
        let mut refusals = Refusals::default();
        let said: Vec<_> =
            (0..1000).flat_map(|_| Refusal::ALL).filter_map(|refusal| refusals.note(refusal, from)).collect();
        assert_eq!(said.len(), Refusal::ALL.len(), "{said:#?}");
        assert!(said.iter().all(|line| line.contains("10.0.0.9:4711")));
        let sum = refusals.sum().unwrap();
        assert!(
            sum.contains("refused 6000 connections in all") && sum.contains("1000 wrong secret"),
            "{sum}"
        );
    }

    #[test]
    fn what_has_been_said_already_needs_no_sum() {
        let from = "[::1]:1".parse().unwrap();
        let mut refusals = Refusals::default();
        assert_eq!(refusals.sum(), None);
        assert!(refusals.note(Refusal::Secret, from).is_some());
        assert!(refusals.note(Refusal::Slow, from).is_some());
        assert_eq!(refusals.sum(), None);
        assert!(refusals.note(Refusal::Slow, from).is_none());
        assert!(refusals.sum().is_some());
    }
}
