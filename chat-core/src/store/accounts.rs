//! Users and sign-ins inside the transaction.

use std::time::Duration;

use super::task::refused;
use super::{Append, Audience, TokenHash, WriteError};
use crate::ids::UserId;
use crate::model::User;
use crate::protocol::Event;
use crate::refusal::{Code, Refusal};
use crate::text::Name;

impl Append<'_> {
    /// Adds a user who is signed in at once.
    pub(crate) fn register(
        &mut self,
        name: Name,
        password: &str,
        token: TokenHash,
        expires: Duration,
    ) -> Result<User, WriteError> {
        let added = self
            .conn
            .prepare_cached(
                "INSERT INTO users (name, name_key, password) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute((name.as_str(), name.key(), password))?;
        if added == 0 {
            return Err(refused(Code::NameTaken, "somebody has this name already; choose another one"));
        }
        let user = User { id: UserId(self.conn.last_insert_rowid()), name };
        self.log(Audience::Everyone, |id| Event::UserRegistered { id, user: user.clone() })?;
        self.sign_in(user.id, token, expires)?;
        Ok(user)
    }

    /// Puts a new hash of a user's password in the place of an old one, unless it has been replaced already.
    pub(crate) fn renew_password(&mut self, user: UserId, old: &str, new: &str) -> Result<(), WriteError> {
        self.conn
            .prepare_cached("UPDATE users SET password = ?3 WHERE id = ?1 AND password = ?2")?
            .execute((user.0, old, new))?;
        Ok(())
    }

    /// Stores the hash of a token; `expires` is in the age of the database.
    pub(crate) fn sign_in(
        &mut self,
        user: UserId,
        token: TokenHash,
        expires: Duration,
    ) -> Result<(), WriteError> {
        self.conn
            .prepare_cached("INSERT INTO sign_ins (token_hash, user, expires) VALUES (?1, ?2, ?3)")?
            .execute((token, user.0, expires.as_secs()))?;
        Ok(())
    }

    /// Refuses a command if its sign-in has ended meanwhile.
    pub(crate) fn still_signed_in(&self, token: TokenHash) -> Result<(), WriteError> {
        let mut known = self.conn.prepare_cached("SELECT 1 FROM sign_ins WHERE token_hash = ?1")?;
        if known.exists([token])? { Ok(()) } else { Err(Refusal::unauthenticated().into()) }
    }

    /// Removes the hash of a token.
    pub(crate) fn sign_out(&mut self, token: TokenHash) -> Result<(), WriteError> {
        self.conn.prepare_cached("DELETE FROM sign_ins WHERE token_hash = ?1")?.execute([token])?;
        Ok(())
    }
}
