//! HTTP basic authentication against a file of bcrypt hashes, as `htpasswd -B` makes it.
//!
//! A hash takes tens of milliseconds on purpose. So it is computed on a thread apart, one at a time, and what was found
//! right once is remembered (as a keyed digest, not as it was sent): from then on a scraper's request costs no hash and
//! waits for nobody. Somebody who guesses passwords delays only the first request of others, and where too many wait
//! for a hash already, all further ones are turned away at once.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::Semaphore;

/// The longest file of users.
const MAX_FILE: u64 = 1 << 20;
/// Most users.
const MAX_USERS: usize = 1000;
/// The longest header that is looked at.
const MAX_HEADER: usize = 1024;
/// Most requests that wait for their hash, beside the one whose hash is computed.
const MAX_WAITING: usize = 16;
/// The range of costs that is taken: `2^cost` rounds.
const COSTS: std::ops::RangeInclusive<u32> = 4..=16;

/// Why a file of users cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// It cannot be read.
    #[error("cannot read it")]
    Read(#[from] std::io::Error),
    /// It is no text, or far too long.
    #[error("it is longer than 1 MiB or no text")]
    NoText,
    /// A line is not what it should be. It is not shown: it may hold a password.
    #[error("line {line}: {reason}; `htpasswd -nB USER` makes such a line")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// Nobody could log in.
    #[error("it has no user; `htpasswd -nB USER` makes a line for one")]
    Empty,
    /// There is no randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// What comes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is from somebody in the file.
    Allowed,
    /// It is from nobody who is there.
    Denied,
    /// Not known: too many wait already.
    Busy,
}

/// Who may read the page.
pub struct Auth {
    /// By name.
    hashes: HashMap<String, String>,
    /// The hash that unknown users are held against, so that they take as long as known ones where all hashes have
    /// the same cost.
    decoy: String,
    key: [u8; 32],
    /// Digests of headers that were right.
    known: Mutex<HashSet<[u8; 32]>>,
    /// One hash at a time.
    turn: Arc<Semaphore>,
    /// Those who wait for their turn.
    waiting: Semaphore,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("users", &self.hashes.len()).finish_non_exhaustive()
    }
}

impl Auth {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or a line is not `USER:HASH`.
    pub fn load(path: &Path) -> Result<Self, AuthError> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        let text = String::from_utf8(bytes).ok().filter(|t| t.len() as u64 <= MAX_FILE);
        Self::parse(&text.ok_or(AuthError::NoText)?)
    }

    fn parse(text: &str) -> Result<Self, AuthError> {
        let mut hashes = HashMap::new();
        for (line, content) in (1..).zip(text.lines().map(str::trim)) {
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let wrong = |reason| AuthError::Line { line, reason };
            let (user, hash) = content.split_once(':').ok_or_else(|| wrong("not USER:HASH"))?;
            let parts: bcrypt::HashParts = hash.parse().map_err(|_| wrong("the hash is none of bcrypt's"))?;
            if !COSTS.contains(&parts.get_cost()) {
                return Err(wrong("the hash's cost is not between 4 and 16"));
            }
            if hashes.insert(user.to_owned(), hash.to_owned()).is_some() {
                return Err(wrong("the user is there twice"));
            }
            if hashes.len() > MAX_USERS {
                return Err(wrong("more than 1000 users"));
            }
        }
        let decoy = hashes.values().next().cloned().ok_or(AuthError::Empty)?;
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(AuthError::Random)?;
        let (turn, waiting) = (Arc::new(Semaphore::new(1)), Semaphore::new(MAX_WAITING));
        Ok(Self { hashes, decoy, key, known: Mutex::default(), turn, waiting })
    }

    /// Whether the value of an `Authorization` header is that of somebody in the file.
    pub(super) async fn judge(this: &Arc<Self>, header: &[u8]) -> Verdict {
        let Some(digest) = this.digest(header) else { return Verdict::Denied };
        if this.known().contains(&digest) {
            return Verdict::Allowed;
        }
        let Some((user, password)) = credentials(header) else { return Verdict::Denied };
        let Ok(place) = this.waiting.try_acquire() else { return Verdict::Busy };
        let Ok(turn) = Arc::clone(&this.turn).acquire_owned().await else { return Verdict::Busy };
        drop(place);
        let ours = Arc::clone(this);
        let checked = tokio::task::spawn_blocking(move || {
            // Here and not in the request, which ends when its client goes: the hash goes on, and so does the turn.
            let _turn = turn;
            ours.is_right(&user, &password)
        });
        let right = checked.await.unwrap_or(false);
        if right {
            let mut known = this.known();
            // As many as there are users, or somebody changes the case of `Basic` to fill memory.
            if known.len() >= 2 * MAX_USERS {
                known.clear();
            }
            known.insert(digest);
        }
        if right { Verdict::Allowed } else { Verdict::Denied }
    }

    fn is_right(&self, user: &str, password: &[u8]) -> bool {
        let (hash, is_user) = self.hashes.get(user).map_or((&self.decoy, false), |hash| (hash, true));
        bcrypt::verify(password, hash).unwrap_or(false) && is_user
    }

    fn digest(&self, header: &[u8]) -> Option<[u8; 32]> {
        if header.is_empty() || header.len() > MAX_HEADER {
            return None;
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(header);
        Some(mac.finalize().into_bytes().into())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// User and password of a header (RFC 7617).
fn credentials(header: &[u8]) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = std::str::from_utf8(header).ok()?.trim().split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    let colon = decoded.iter().position(|&b| b == b':')?;
    let (user, password) = decoded.split_at(colon);
    Some((std::str::from_utf8(user).ok()?.to_owned(), password.get(1..)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(text)).into_bytes()
    }

    #[tokio::test]
    async fn who_is_in_the_file_may_and_nobody_else() {
        let (ana, bo) = (bcrypt::hash("s3cret:x", 4).unwrap(), bcrypt::hash("b", 4).unwrap());
        let auth = Arc::new(Auth::parse(&format!("# users\n\nana:{ana}\nbo:{bo}\n")).unwrap());
        for _ in 0..2 {
            for (sent, right) in [
                (header("ana:s3cret:x"), true),
                (header("bo:b"), true),
                (header("ana:b"), false),
                (header("ana:"), false),
                (header("eve:b"), false),
                (header("ana"), false),
                (b"Basic !!!".to_vec(), false),
                (b"Bearer x".to_vec(), false),
                (Vec::new(), false),
                (vec![b'x'; 100_000], false),
                ([b"bAsIc ".as_slice(), STANDARD.encode("bo:b").as_bytes()].concat(), true),
            ] {
                let expected = if right { Verdict::Allowed } else { Verdict::Denied };
                assert_eq!(Auth::judge(&auth, &sent).await, expected, "{}", String::from_utf8_lossy(&sent));
            }
        }
        assert_eq!(auth.known().len(), 3);
    }

    fn of_ana() -> Arc<Auth> {
        Arc::new(Auth::parse(&format!("ana:{}", bcrypt::hash("a", 4).unwrap())).unwrap())
    }

    #[tokio::test]
    async fn only_so_many_wait_and_who_is_known_does_not() {
        let auth = of_ana();
        assert_eq!(Auth::judge(&auth, &header("ana:a")).await, Verdict::Allowed);
        let turn = auth.turn.clone().acquire_owned().await.unwrap();
        let guess = |n: usize| {
            let auth = Arc::clone(&auth);
            tokio::spawn(async move { Auth::judge(&auth, &header(&format!("ana:{n}"))).await })
        };
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(guess).collect();
        while auth.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(Auth::judge(&auth, &header("ana:b")).await, Verdict::Busy);
        assert_eq!(Auth::judge(&auth, &header("ana:a")).await, Verdict::Allowed);
        // One whose client goes makes room.
        let gone = waiting.pop().unwrap();
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        assert_eq!(auth.waiting.available_permits(), 1);
        drop(turn);
        for guess in waiting {
            assert_eq!(guess.await.unwrap(), Verdict::Denied);
        }
        assert_eq!((auth.waiting.available_permits(), auth.turn.available_permits()), (MAX_WAITING, 1));
    }

    #[test]
    fn a_client_that_goes_does_not_let_a_second_hash_begin() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let auth = of_ana();
            // Keeps the only thread, so that the hash waits behind it.
            let (go_on, told) = std::sync::mpsc::channel::<()>();
            let other = tokio::task::spawn_blocking(move || told.recv().unwrap());
            let ours = Arc::clone(&auth);
            let request = tokio::spawn(async move { Auth::judge(&ours, &header("ana:b")).await });
            while auth.turn.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            request.abort();
            assert!(request.await.unwrap_err().is_cancelled());
            assert_eq!(auth.turn.available_permits(), 0, "its hash is still to be computed");
            go_on.send(()).unwrap();
            other.await.unwrap();
            let _freed = auth.turn.acquire().await.unwrap();
        });
    }

    #[test]
    fn a_wrong_file_says_where_and_shows_no_password() {
        let hash = bcrypt::hash("x", 4).unwrap();
        for (text, expected) in [
            (String::new(), "it has no user"),
            ("\nana".to_owned(), "line 2: not USER:HASH"),
            ("ana:geheim".to_owned(), "line 1: the hash is none of bcrypt's"),
            (format!("ana:{hash}\nana:{hash}"), "line 2: the user is there twice"),
            (format!("ana:{}", hash.replacen("$04$", "$31$", 1)), "cost is not between 4 and 16"),
        ] {
            let told = Auth::parse(&text).unwrap_err().to_string();
            assert!(told.contains(expected) && !told.contains("geheim"), "{told}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_somebody_or_nobody(any in proptest::collection::vec(0_u8.., 0..100), user in "[^:]{0,20}", password in ".{0,20}") {
            let _nobody = credentials(&any);
            let sent = header(&format!("{user}:{password}"));
            proptest::prop_assert_eq!(credentials(&sent), Some((user, password.into_bytes())));
        }

        #[test]
        fn any_file_is_users_or_an_error(text in ".{0,200}") {
            proptest::prop_assert!(Auth::parse(&text).is_err());
        }
    }
}
