//! Users and their sign-ins.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Chat, SignIn};
use crate::auth::{Network, Token, Verdict};
use crate::model::User;
use crate::refusal::{Close, Code, Refusal};
use crate::store::{Account, TokenHash};
use crate::text::{Name, Password};

impl Chat {
    /// Makes a new user and signs them in. `address` is where the request came from.
    ///
    /// # Errors
    /// `invalid_name`, `invalid_password`, `name_taken`, `rate_limited`, `busy`, `storage_unavailable`,
    /// `storage_damaged`.
    pub async fn register(
        &self,
        name: String,
        password: Password,
        address: IpAddr,
    ) -> Result<(User, Token), Refusal> {
        let name = Name::try_from(name)?;
        password.check()?;
        let from = Network::from(address);
        let mut disk = self.disk_time();
        self.0.auth.registrations.check(&from)?;
        // Hashing is expensive, so a name that is already taken is refused before it. The commit decides.
        if self.read(disk.spend(self.0.store.account(name.as_str())).await)?.is_some() {
            return Err(Refusal::new(Code::NameTaken, "somebody has this name already; choose another one"));
        }
        let password = self.0.auth.hash(password, from).await?;
        let (token, expires) = self.new_token();
        let hash = token.hash();
        let work = self
            .0
            .store
            .submit_within(disk.left, move |append| append.register(name, &password, hash, expires));
        let user = work.await.await?;
        Ok((user, token))
    }

    /// Signs a user in. `address` is where the request came from.
    ///
    /// # Errors
    /// `wrong_credentials`, `rate_limited`, `busy`, `storage_unavailable`, `storage_damaged`.
    pub async fn sign_in(
        &self,
        name: String,
        password: Password,
        address: IpAddr,
    ) -> Result<(User, Token), Refusal> {
        let (auth, from) = (&self.0.auth, Network::from(address));
        auth.check_sign_in(&name, from)?;
        let mut disk = self.disk_time();
        let account = self.read(disk.spend(self.0.store.account(&name)).await)?;
        let verdict = auth.verify(account.as_ref(), password, from).await?;
        let (Some(account), Verdict::Right { renewed }) = (account, verdict) else {
            auth.failures.count(from);
            return Err(Refusal::new(
                Code::WrongCredentials,
                "this name and this password do not belong together",
            ));
        };
        let Account { user, password } = account;
        let (token, expires) = self.new_token();
        let (id, hash) = (user.id, token.hash());
        let signed_in = self.0.store.submit_within(disk.left, move |append| {
            if let Some(renewed) = renewed {
                append.renew_password(id, &password, &renewed)?;
            }
            append.sign_in(id, hash, expires)
        });
        signed_in.await.await?;
        Ok((user, token))
    }

    fn new_token(&self) -> (Token, Duration) {
        (Token::random(), self.0.store.age() + self.0.limits.sign_in_lifetime)
    }

    /// Ends a sign-in, and all sessions that rest on it within a second.
    ///
    /// # Errors
    /// `storage_unavailable`: the sign-in goes on, or ends when the disk answers.
    pub async fn sign_out(&self, sign_in: SignIn) -> Result<(), Refusal> {
        let written = self.0.store.submit(move |append| append.sign_out(sign_in.token)).await;
        let (answer, answered) = oneshot::channel();
        let chat = self.clone();
        // What memory holds of the sign-in must follow the commit, however late the disk answers.
        tokio::spawn(async move {
            let ended = written.in_the_end().await;
            if ended.is_ok() {
                chat.0.auth.forget(&sign_in.token);
                for handle in chat.0.publisher.sessions_of(sign_in.user, &sign_in.token) {
                    handle.end(Close::Revoked);
                }
            }
            let _ = answer.send(ended);
        });
        match timeout(self.0.limits.storage_timeout, answered).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) | Err(_) => Err(Refusal::unknown_outcome()),
        }
    }

    /// The time that one request may wait for the disk.
    fn disk_time(&self) -> DiskTime {
        DiskTime { left: self.0.limits.storage_timeout }
    }

    /// The sign-in that this token proves.
    ///
    /// # Errors
    /// `unauthenticated`: it is unknown, expired or ended.
    pub async fn authenticate(&self, token: &Token) -> Result<SignIn, Refusal> {
        self.signed_in(token.hash()).await
    }

    /// The sign-in with this hash of its token.
    ///
    /// # Errors
    /// `unauthenticated`: it is unknown, expired or ended.
    pub async fn signed_in(&self, hash: TokenHash) -> Result<SignIn, Refusal> {
        let sign_in = match self.0.auth.known(&hash) {
            Ok(known) => Some(known),
            Err(moment) => {
                let row = self.read(self.0.store.sign_in(hash).await)?;
                let sign_in = row.map(|row| SignIn { user: row.user, token: hash, expires: row.expires });
                if let Some(sign_in) = sign_in {
                    self.0.auth.remember(sign_in, moment);
                }
                sign_in
            }
        };
        sign_in.filter(|sign_in| !self.time_left(sign_in).is_zero()).ok_or_else(Refusal::unauthenticated)
    }

    /// Whether a sign-in has been ended since it was last checked.
    pub(super) async fn was_ended(&self, sign_in: &SignIn) -> bool {
        // `sign_out` first forgets the sign-in and then looks for its sessions. So either it finds a session that
        // begins at the same time, or this check finds the sign-in ended.
        self.0.auth.known(&sign_in.token).is_err()
            && matches!(self.0.store.sign_in(sign_in.token).await, Ok(None))
    }

    /// How long a sign-in still lasts.
    pub(crate) fn time_left(&self, sign_in: &SignIn) -> Duration {
        let expires = Duration::from_secs(u64::try_from(sign_in.expires).unwrap_or(0));
        expires.saturating_sub(self.0.store.age())
    }
}

/// How long a request may still wait for the disk. The time for hashing a password does not count.
struct DiskTime {
    left: Duration,
}

impl DiskTime {
    /// Waits for a read of the disk, and subtracts the time that it took.
    async fn spend<T>(&mut self, reading: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let read = reading.await;
        self.left = self.left.saturating_sub(started.elapsed());
        read
    }
}
