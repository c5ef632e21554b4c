//! Accounts and sign-ins: `register`, `login`, `logout`.

use chat_core::auth::Token;
use chat_core::model::User;
use clap::Args;

use crate::caller::Caller;
use crate::names::trimmed;
use crate::output::{harmless, note};
use crate::sign_in::{Kept, Keyring, password};

/// A user by name.
#[derive(Debug, Clone, Args)]
pub(crate) struct Who {
    /// What the others call you: 1 to 32 characters
    #[arg(value_parser = trimmed)]
    name: String,
}

/// Makes a user, and signs the user in.
pub(crate) async fn register(caller: &Caller, Who { name }: Who) -> anyhow::Result<()> {
    let password = password(&name, true).await?;
    let (user, token) = caller.target.register(&name, &password).await?;
    keep(caller, user, token)
}

/// Signs a user in.
pub(crate) async fn login(caller: &Caller, Who { name }: Who) -> anyhow::Result<()> {
    let password = password(&name, false).await?;
    let (user, token) = caller.target.sign_in(&name, &password).await?;
    keep(caller, user, token)
}

/// Keeps a sign-in. The token is not printed, because terminals and logs keep what is printed.
fn keep(caller: &Caller, user: User, token: Token) -> anyhow::Result<()> {
    Keyring::of(&caller.server)?.keep(Kept { user: user.clone(), token })?;
    let name = harmless(user.name.as_str());
    Ok(caller.output.value(&user, || Some(format!("signed in as {name} ({})", user.id)))?)
}

/// Ends a sign-in, at the server and here.
pub(crate) async fn logout(caller: &Caller) -> anyhow::Result<()> {
    let token = caller.token()?;
    let ended = caller.target.sign_out(&token).await;
    // The token is forgotten even after an error: if the server does not know it any more, it is useless here too.
    if std::env::var_os("CHAT_TOKEN").is_none() {
        Keyring::of(&caller.server)?.forget(&token)?;
    }
    ended?;
    note("signed out");
    Ok(())
}
