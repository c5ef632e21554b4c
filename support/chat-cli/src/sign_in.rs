//! Sign-ins, kept from one command to the next in a file that only its owner can read; and passwords, never kept.
//!
//! A password is not an argument, because other programs that list processes could read it there.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use chat_core::auth::Token;
use chat_core::model::User;
use chat_core::text::is_same_name;
use serde::{Deserialize, Serialize};

use crate::failure::Usage;
use crate::output::harmless;
use crate::server::Address;
use crate::stdin::{lines, unmarked};

/// A user who has signed in, and the token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The user.
    pub(crate) user: User,
    /// The token of the sign-in.
    pub(crate) token: Token,
}

/// The sign-ins at one server, the newest first.
pub(crate) struct Keyring {
    path: PathBuf,
}

impl Keyring {
    /// The sign-ins at this server.
    pub(crate) fn of(server: &Address) -> anyhow::Result<Self> {
        let path = directory()?.join(format!("{}.json", server.file_stem()));
        Ok(Self { path })
    }

    /// The sign-in of the user with this name, or the latest sign-in.
    pub(crate) fn find(&self, name: Option<&str>) -> anyhow::Result<Kept> {
        let all = self.read()?;
        let exact = |kept: &&Kept| name.is_none_or(|name| kept.user.name.as_str() == name);
        let same = |kept: &&Kept| name.is_none_or(|name| is_same_name(kept.user.name.as_str(), name));
        if let Some(kept) = all.iter().find(exact).or_else(|| all.iter().find(same)) {
            return Ok(kept.clone());
        }
        let who = name.unwrap_or("NAME");
        let others: Vec<String> = all.iter().map(|kept| harmless(kept.user.name.as_str())).collect();
        let others = if others.is_empty() { "nobody".to_owned() } else { others.join(", ") };
        bail!(
            "sign in first: cargo chat login {who}, or cargo chat register {who}. Signed in at this server: {others}."
        )
    }

    /// Keeps a sign-in as the newest, in place of an earlier one of the same name or user.
    pub(crate) fn keep(&self, kept: Kept) -> anyhow::Result<()> {
        let _lock = self.lock()?;
        // If the file cannot be read, it is replaced, because it must not prevent a new sign-in.
        let mut all = self.read().unwrap_or_default();
        // Two users from before the present rules may have names that count as the same. Their exact names differ.
        all.retain(|other| other.user.name != kept.user.name && other.user.id != kept.user.id);
        all.insert(0, kept);
        self.write(&all)
    }

    /// Forgets a sign-in.
    pub(crate) fn forget(&self, token: &Token) -> anyhow::Result<()> {
        let _lock = self.lock()?;
        let mut all = self.read()?;
        all.retain(|kept| kept.token.as_str() != token.as_str());
        self.write(&all)
    }

    /// Until it is dropped, no other command can change the sign-ins between a read and a write.
    fn lock(&self) -> anyhow::Result<File> {
        let lock = || -> std::io::Result<File> {
            std::fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
            let file = File::create(self.path.with_extension("lock"))?;
            file.lock()?;
            Ok(file)
        };
        lock().with_context(|| self.nowhere())
    }

    fn read(&self) -> anyhow::Result<Vec<Kept>> {
        let shown = self.path.display();
        match std::fs::read(&self.path) {
            Ok(json) => serde_json::from_slice(unmarked(&json)).with_context(|| {
                format!("{shown} does not hold sign-ins; sign in again: cargo chat login NAME")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).with_context(|| format!("cannot read the sign-ins in {shown}")),
        }
    }

    /// Replaces the whole file. A temporary file can be read only by its owner (mode 0600) from the beginning.
    fn write(&self, all: &[Kept]) -> anyhow::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let replace = || -> anyhow::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(&serde_json::to_vec(all)?)?;
            file.persist(&self.path)?;
            Ok(())
        };
        replace().with_context(|| self.nowhere())
    }

    fn nowhere(&self) -> String {
        let shown = self.path.display();
        format!("cannot keep the sign-in in {shown}; name another directory with XDG_STATE_HOME")
    }
}

/// Where programs keep their state ([XDG Base Directory Specification]).
///
/// [XDG Base Directory Specification]: https://specifications.freedesktop.org/basedir-spec/latest/
fn directory() -> anyhow::Result<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    let nowhere =
        "there is no place to keep sign-ins: set HOME or XDG_STATE_HOME, or give a token in CHAT_TOKEN";
    Ok(state.context(nowhere)?.join("switchboard"))
}

/// The token to act with: from the environment, or the one that was kept.
pub(crate) fn token(server: &Address, name: Option<&str>) -> anyhow::Result<Token> {
    match std::env::var("CHAT_TOKEN") {
        Ok(token) if token.is_empty() => {}
        Ok(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => return Ok(token.as_str().into()),
        Err(std::env::VarError::NotPresent) => {}
        // The message does not quote it, because it may be a real token with a typing error.
        Ok(_) | Err(_) => bail!(Usage("CHAT_TOKEN has characters that no token has".to_owned())),
    }
    Ok(Keyring::of(server)?.find(name)?.token)
}

/// A password: from the environment, typed without echo, or a line of stdin.
///
/// At a terminal this blocks. Nothing else is under way, and a prompt that is dropped would leave the echo off.
pub(crate) async fn password(user: &str, is_new: bool) -> anyhow::Result<String> {
    if let Ok(password) = std::env::var("CHAT_PASSWORD") {
        return Ok(password);
    }
    if !std::io::stdin().is_terminal() {
        let none = || Usage("no password: set CHAT_PASSWORD, or give it as a line of stdin".to_owned());
        return Ok(lines().next().await?.ok_or_else(none)?);
    }
    let password = rpassword::prompt_password(format!("Password of {user}: "))?;
    if is_new && rpassword::prompt_password("The same again: ")? != password {
        bail!("the two passwords differ; nothing was done");
    }
    Ok(password)
}
