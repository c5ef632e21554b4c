//! Passwords, tokens and sign-ins.
//!
//! Passwords are hashed with Argon2id, as [OWASP] advises. A token is 256 random bits; only its SHA-256 is stored, so a
//! stolen database does not let a thief sign in.
//!
//! [OWASP]: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html

mod rate;
mod turns;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::turns::Turns;
use crate::ids::UserId;
use crate::limits::Limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Account, TokenHash};
use crate::text::{Password, typed_key};

pub(crate) use self::rate::{Failures, Network, Rate};

/// Sign-ins kept in memory; others are looked up in the store.
const CACHED: usize = 20_000;

/// The secret that proves who a user is. It is never printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// A new one that cannot be guessed.
    pub(crate) fn random() -> Self {
        let mut bits = [0_u8; 32];
        getrandom::fill(&mut bits).expect("the operating system gives random bits");
        Self(bits.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The text that goes over the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> TokenHash {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A user who has proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignIn {
    /// Who.
    pub user: UserId,
    /// The hash of the token; only this is stored.
    pub token: TokenHash,
    /// When it ends, in seconds of the database's age.
    pub(crate) expires: i64,
}

/// Who may sign in, how often, and who is signed in.
pub(crate) struct Auth {
    hasher: Argon2<'static>,
    /// The hash that is verified when there is no such user, so that the answer takes the same time.
    nobody: String,
    /// What hashes with the current algorithm and parameters begin with.
    today: String,
    /// Hashing is expensive, so few run at a time, a bounded number waits, and the networks take turns.
    turns: Arc<Turns>,
    /// Limits all sign-ins, by the name's key and the network. Only a hash of the key is kept, because a client chooses
    /// how long the key is.
    pub(crate) sign_ins: Rate<([u8; 32], Network)>,
    pub(crate) failures: Failures,
    pub(crate) registrations: Rate<Network>,
    /// How many hashes were compared, for the test that counts them.
    #[cfg(test)]
    compared: Arc<std::sync::atomic::AtomicU32>,
    /// Guards the sign-ins seen lately. Only this process writes to the database, so they stay valid.
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    known: HashMap<TokenHash, SignIn>,
    /// How many sign-ins were forgotten so far.
    forgotten: u64,
}

impl Auth {
    pub(crate) fn new(limits: &Limits) -> Self {
        let params = Params::new(limits.hash_memory, 1, 1, None).expect("the flag's range is Argon2's");
        let today = format!("$argon2id$v=19$m={},t=1,p=1$", limits.hash_memory);
        // The hash of no password: 32 zero bytes.
        let nobody = format!("{today}c3dpdGNoYm9hcmQhISEhIQ${}", "A".repeat(43));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            hasher: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            nobody,
            today,
            turns: Turns::new(cores.div_ceil(2), limits.hash_queue),
            sign_ins: Rate::per_minute(limits.sign_ins_per_minute, "sign-ins"),
            failures: Failures::per_minute(limits.failed_sign_ins_per_minute),
            registrations: Rate::per_minute(
                limits.registrations_per_minute,
                "registrations from this address",
            ),
            #[cfg(test)]
            compared: Arc::default(),
            cache: Mutex::default(),
        }
    }

    /// Counts one more sign-in, or says when to come back.
    pub(crate) fn check_sign_in(&self, name: &str, from: Network) -> Result<(), Refusal> {
        self.failures.check(from)?;
        let key = typed_key(name).unwrap_or_default();
        self.sign_ins.check(&(Sha256::digest(key.as_bytes()).into(), from))
    }

    /// The hash of a new password, as a [PHC string](https://github.com/P-H-C/phc-string-format).
    pub(crate) async fn hash(&self, password: Password, from: Network) -> Result<String, Refusal> {
        let hasher = self.hasher.clone();
        self.in_turn(from, move || hash(&hasher, &password)).await?.ok_or_else(|| {
            Refusal::new(Code::Internal, "the password could not be stored; the server's log says why")
        })
    }

    /// Whether this is the account's password.
    ///
    /// How many hashes that takes depends on the typed text alone: one, and one more if its normalised form differs. So
    /// an unknown name takes the same time. An old hash of text that was not normalised still matches.
    pub(crate) async fn verify(
        &self,
        account: Option<&Account>,
        password: Password,
        from: Network,
    ) -> Result<Verdict, Refusal> {
        let (hasher, today) = (self.hasher.clone(), self.today.clone());
        let stored = account.map_or_else(|| self.nobody.clone(), |account| account.password.clone());
        #[cfg(test)]
        let compared = Arc::clone(&self.compared);
        self.in_turn(from, move || {
            let opens = |text: &str| {
                #[cfg(test)]
                compared.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                match PasswordHash::new(&stored) {
                    Ok(hash) => hasher.verify_password(text.as_bytes(), &hash).is_ok(),
                    Err(error) => {
                        tracing::error!(%error, "a stored password hash cannot be read");
                        false
                    }
                }
            };
            let is_normal = opens(&password.normalized());
            let is_as_typed = password.as_typed().is_some_and(opens);
            if !is_normal && !is_as_typed {
                return Verdict::Wrong;
            }
            let is_of_today = is_normal && stored.starts_with(&today);
            Verdict::Right { renewed: if is_of_today { None } else { hash(&hasher, &password) } }
        })
        .await
    }

    /// Runs expensive work off the async threads, in turn.
    async fn in_turn<T: Send + 'static>(
        &self,
        from: Network,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let busy = || {
            let wait = Duration::from_secs(1);
            Refusal::retry_after(Code::Busy, wait, "too many people are signing in at this moment; try again")
        };
        let turn = self.turns.next(from).await.ok_or_else(busy)?;
        let working = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        working.await.map_err(|_| busy())
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sign-in seen lately, or the moment from which it is looked up in the store.
    pub(crate) fn known(&self, token: &TokenHash) -> Result<SignIn, Moment> {
        let cache = self.cache();
        cache.known.get(token).copied().ok_or(Moment(cache.forgotten))
    }

    /// Remembers a sign-in that was looked up since `moment`. A full cache is emptied first, so the others are looked
    /// up anew.
    ///
    /// If a sign-in was forgotten since then, nothing is remembered, because it may have been this one.
    pub(crate) fn remember(&self, sign_in: SignIn, moment: Moment) {
        let mut cache = self.cache();
        if cache.forgotten != moment.0 {
            return;
        }
        if cache.known.len() >= CACHED {
            cache.known.clear();
        }
        cache.known.insert(sign_in.token, sign_in);
    }

    pub(crate) fn forget(&self, token: &TokenHash) {
        let mut cache = self.cache();
        cache.known.remove(token);
        cache.forgotten += 1;
    }
}

/// The result of checking a password.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is not the account's, or there is no account.
    Wrong,
    /// It is the account's.
    Right {
        /// Its hash as this server makes it now, if the stored one was made in another way.
        renewed: Option<String>,
    },
}

/// `None`: it cannot be hashed, which is logged.
fn hash(hasher: &Argon2<'_>, password: &Password) -> Option<String> {
    match hasher.hash_password(password.normalized().as_bytes()) {
        Ok(hash) => Some(hash.to_string()),
        Err(error) => {
            tracing::error!(%error, "a password could not be hashed");
            None
        }
    }
}

/// A moment in the life of the cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(u64);

#[cfg(test)]
mod tests;
