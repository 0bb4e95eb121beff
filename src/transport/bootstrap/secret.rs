//! The job's secret, and proving that one holds it without sending it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Environment variable that holds the secret; the launcher makes it.
pub const VARIABLE: &str = "RAILTOP_JOB_SECRET";

/// Bytes of a nonce and of a proof.
pub const LEN: usize = 32;

/// A random number used once.
pub type Nonce = [u8; LEN];

/// Proof of holding the secret for one exchange of nonces.
pub type Proof = [u8; LEN];

/// The secret that all PEs of a job share.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{VARIABLE} must be at least 32 hexadecimal digits, the same on every PE; make one with `openssl rand -hex 32`"
)]
pub struct BadSecret;

impl Secret {
    /// Reads the hexadecimal form.
    ///
    /// # Errors
    /// When it is not hexadecimal or shorter than 16 bytes.
    pub fn from_hex(text: &str) -> Result<Self, BadSecret> {
        let text = text.trim().as_bytes();
        if text.len() < 32 || !text.len().is_multiple_of(2) || text.len() > 1024 {
            return Err(BadSecret);
        }
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or(BadSecret);
        text.chunks_exact(2)
            .map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// A fresh secret in hexadecimal form, for a launcher.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate_hex() -> Result<String, getrandom::Error> {
        use std::fmt::Write;
        Ok(nonce()?.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    fn mac(&self, parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        for part in parts {
            // Lengths first, so that two splits of the same bytes differ.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        Some(mac)
    }

    /// The proof over `parts`.
    #[must_use]
    pub fn prove(&self, parts: &[&[u8]]) -> Proof {
        self.mac(parts).map_or([0; LEN], |mac| mac.finalize().into_bytes().into())
    }

    /// Whether `proof` was made over `parts` with this secret; takes the same time wherever it differs.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], proof: &[u8]) -> bool {
        self.mac(parts).is_some_and(|mac| mac.verify_slice(proof).is_ok())
    }
}

/// A fresh nonce.
///
/// # Errors
/// When the system has no randomness to give.
pub fn nonce() -> Result<Nonce, getrandom::Error> {
    let mut nonce = [0; LEN];
    getrandom::fill(&mut nonce)?;
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_holder_can_prove() {
        let text = Secret::generate_hex().unwrap();
        let (ours, same) = (Secret::from_hex(&text).unwrap(), Secret::from_hex(&text).unwrap());
        let other = Secret::from_hex(&Secret::generate_hex().unwrap()).unwrap();
        let proof = ours.prove(&[b"client", b"nonce"]);
        assert!(same.verify(&[b"client", b"nonce"], &proof));
        assert!(!other.verify(&[b"client", b"nonce"], &proof));
        assert!(!same.verify(&[b"clien", b"tnonce"], &proof));
        assert!(!same.verify(&[b"client", b"nonce"], &proof[..31]));
    }

    #[test]
    fn weak_or_garbled_secrets_are_refused() {
        for text in ["", "abcd", "zz00000000000000000000000000000000", &"0".repeat(33), &"0".repeat(2000)] {
            assert!(Secret::from_hex(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::from_hex(&"ab".repeat(16)).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
