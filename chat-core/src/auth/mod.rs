//! Passwords, tokens and sign-ins.
//!
//! Passwords are hashed with Argon2id, as [OWASP] advises. A token is 256 random bits; only its SHA-256 is stored,
//! so a stolen database signs nobody in.
//!
//! [OWASP]: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::ids::UserId;
use crate::limits::Limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Account, TokenHash};
use crate::text::Password;

/// Sign-ins kept in memory; others are looked up in the store.
const CACHED: usize = 20_000;

/// What proves who somebody is. It is never printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// A new one that nobody can guess.
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
    /// What of the token is stored.
    pub(crate) token: TokenHash,
    /// When it ends, in seconds of the database's age.
    pub(crate) expires: i64,
}

/// How often something may happen, for each key.
pub(crate) struct Rate<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    what: &'static str,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    /// `burst` at once, and then one each `every`.
    pub(crate) fn new(every: Duration, burst: u32, what: &'static str) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(every).unwrap_or(Quota::per_second(burst)).allow_burst(burst);
        Self { limiter: DefaultKeyedRateLimiter::keyed(quota), what }
    }

    /// Counts one more, or says when to come back.
    pub(crate) fn check(&self, key: &K) -> Result<(), Refusal> {
        self.limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            Refusal::retry_after(Code::RateLimited, wait, format!("too many {}; slow down", self.what))
        })
    }

    /// Forgets keys that have not been seen lately.
    pub(crate) fn forget_idle(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// Who may sign in, how often, and who is signed in.
pub(crate) struct Auth {
    hasher: Argon2<'static>,
    /// Verified when there is no such user, so that the answer takes the same time.
    nobody: String,
    /// Hashing is heavy: few at a time, and not too many waiting.
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    pub(crate) sign_ins: Rate<(String, IpAddr)>,
    pub(crate) registrations: Rate<IpAddr>,
    /// Guards the sign-ins seen lately. Only this process writes to the database, so they stay true.
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    known: HashMap<TokenHash, SignIn>,
    /// How often something was forgotten.
    forgotten: u64,
}

impl Auth {
    pub(crate) fn new(limits: &Limits) -> Self {
        let params = Params::new(limits.hash_memory, 1, 1, None).expect("the flag's range is Argon2's");
        // The hash of no password at all: 32 zero bytes.
        let nobody = format!(
            "$argon2id$v=19$m={},t=1,p=1$c3dpdGNoYm9hcmQhISEhIQ${}",
            limits.hash_memory,
            "A".repeat(43)
        );
        let minute = |per_minute: u32| Duration::from_secs(60) / per_minute.max(1);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            hasher: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            nobody,
            turns: Arc::new(Semaphore::new(cores.div_ceil(2))),
            waiting: Arc::new(Semaphore::new(limits.hash_queue + cores.div_ceil(2))),
            sign_ins: Rate::new(minute(limits.sign_ins_per_minute), limits.sign_ins_per_minute, "sign-ins"),
            registrations: Rate::new(
                minute(limits.registrations_per_minute),
                limits.registrations_per_minute,
                "registrations from this address",
            ),
            cache: Mutex::default(),
        }
    }

    /// The hash of a new password, as a [PHC string](https://github.com/P-H-C/phc-string-format).
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Refusal> {
        let hasher = self.hasher.clone();
        self.in_turn(move || hasher.hash_password(password.as_bytes()).map(|hash| hash.to_string()))
            .await?
            .map_err(|error| {
                tracing::error!(%error, "a password could not be hashed");
                Refusal::new(Code::Internal, "the password could not be stored")
            })
    }

    /// Whether this is the account's password. Takes the same time when there is no account.
    pub(crate) async fn verify(
        &self,
        account: Option<&Account>,
        password: Password,
    ) -> Result<bool, Refusal> {
        let hasher = self.hasher.clone();
        let stored = account.map_or_else(|| self.nobody.clone(), |account| account.password.clone());
        self.in_turn(move || match PasswordHash::new(&stored) {
            Ok(hash) => hasher.verify_password(password.as_bytes(), &hash).is_ok(),
            Err(error) => {
                tracing::error!(%error, "a stored password hash cannot be read");
                false
            }
        })
        .await
    }

    /// Runs heavy work off the async threads, a few at a time.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let busy = || {
            let wait = Duration::from_secs(1);
            Refusal::retry_after(Code::Busy, wait, "too many people are signing in at this moment; try again")
        };
        let _place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| busy())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| busy())?;
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

    /// Remembers a sign-in that was looked up since `moment`; when there are too many, all are looked up anew.
    ///
    /// Whatever was forgotten meanwhile may be this very one, so then nothing is remembered.
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

/// A moment in the life of the cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_has_a_hash_that_can_be_read() {
        let limits = Limits { hash_memory: 64, ..Limits::default() };
        let auth = Auth::new(&limits);
        assert!(PasswordHash::new(&auth.nobody).is_ok());
        assert!(!auth.verify(None, Password::from("whatever it is")).await.unwrap());
    }

    #[tokio::test]
    async fn a_password_opens_its_own_hash_only() {
        let limits = Limits { hash_memory: 64, ..Limits::default() };
        let auth = Auth::new(&limits);
        let password = auth.hash(Password::from("correct horse")).await.unwrap();
        assert!(password.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        let name = crate::text::Name::try_from("Ann".to_owned()).unwrap();
        let account = Account { user: crate::model::User { id: UserId(1), name }, password };
        assert!(auth.verify(Some(&account), Password::from("correct horse")).await.unwrap());
        assert!(!auth.verify(Some(&account), Password::from("correct house")).await.unwrap());
    }

    #[test]
    fn a_sign_in_that_ends_while_it_is_looked_up_is_not_remembered() {
        let auth = Auth::new(&Limits { hash_memory: 64, ..Limits::default() });
        let sign_in = SignIn { user: UserId(1), token: [7; 32], expires: 9 };
        let moment = auth.known(&sign_in.token).unwrap_err();
        auth.forget(&sign_in.token);
        auth.remember(sign_in, moment);
        let moment = auth.known(&sign_in.token).unwrap_err();
        auth.remember(sign_in, moment);
        assert_eq!(auth.known(&sign_in.token).unwrap(), sign_in);
    }

    #[tokio::test]
    async fn a_full_queue_says_so() {
        let limits = Limits { hash_memory: 64, hash_queue: 0, ..Limits::default() };
        let auth = Auth::new(&limits);
        let held = auth.waiting.available_permits();
        let _all = auth.waiting.acquire_many(u32::try_from(held).unwrap()).await.unwrap();
        let refusal = auth.hash(Password::from("correct horse")).await.unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after_ms), (Code::Busy, Some(1_000)));
    }
}
