//! What went wrong: for people the layer, the reason and what would help, and for scripts the exit code.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use chat_client::ClientError;
use chat_core::refusal::{Code, Refusal};
use chat_http::run::explain;

use crate::Global;
use crate::output::{harmless, harmless_lines, note};

/// A wrong use of the command line that the parser cannot find.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The user pressed Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// The server has ended a connection, with its reason.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the server ended the connection: {code} {name}")]
pub(crate) struct Ended {
    /// The number of the reason.
    pub(crate) code: u16,
    /// Its name.
    pub(crate) name: String,
    /// Whether reconnecting may help.
    pub(crate) reconnect: bool,
}

/// The refusal in an error, if there is one.
pub(crate) fn refusal(error: &anyhow::Error) -> Option<&Refusal> {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Refused(refusal)) => Some(refusal),
        _ => error.downcast_ref(),
    }
}

/// How long to wait at least before another attempt; `None`: another attempt would end the same way.
pub(crate) fn another_try(error: &anyhow::Error) -> Option<Duration> {
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return ended.reconnect.then_some(Duration::ZERO);
    }
    match error.downcast_ref::<ClientError>()? {
        ClientError::Refused(refusal) => match refusal.retry_after_ms {
            Some(wait_ms) => Some(Duration::from_millis(wait_ms)),
            None => (refusal.code.status() >= 500).then_some(Duration::ZERO),
        },
        // An answer that is not understood may come from a proxy whose server is down.
        ClientError::Disconnected(_) | ClientError::NotUnderstood(_) => Some(Duration::ZERO),
    }
}

/// Says on stderr what went wrong, and gives the exit code.
pub(crate) fn tell(error: &anyhow::Error, global: &Global) -> ExitCode {
    // The reader of stdout has closed it, as `head` does. That is not a failure.
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    if is_interruption(error) {
        return ExitCode::from(130);
    }
    match refusal(error) {
        Some(Refusal { code, message, .. }) => {
            note(&format!("error: refused ({}): {}", code.as_str(), harmless(message)));
        }
        None => note(&format!("error: {}", harmless_lines(&explain(error)))),
    }
    if let Some(hint) = hint(error, global) {
        note(&hint);
    }
    ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
}

/// Whether it was Ctrl-C, seen by this program or by the prompt for a password.
fn is_interruption(error: &anyhow::Error) -> bool {
    let by_prompt = |error: &io::Error| matches!(error.kind(), io::ErrorKind::Interrupted);
    error.is::<Interrupted>() || error.downcast_ref::<io::Error>().is_some_and(by_prompt)
}

/// What would help.
fn hint(error: &anyhow::Error, global: &Global) -> Option<String> {
    let sign_in = || match std::env::var_os("CHAT_TOKEN") {
        Some(_) => "CHAT_TOKEN holds no token of this server, or one whose sign-in has ended.".to_owned(),
        None => format!("Sign in again: cargo chat login {}.", global.name.as_deref().unwrap_or("NAME")),
    };
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return matches!(ended.name.as_str(), "unauthenticated" | "revoked").then(sign_in);
    }
    match refusal(error)?.code {
        Code::Unauthenticated => Some(sign_in()),
        Code::NameTaken => Some("If it is yours, sign in: cargo chat login NAME.".to_owned()),
        Code::WrongCredentials => Some("A new user begins with: cargo chat register NAME.".to_owned()),
        Code::NotAMember => Some("Join first: cargo chat groups join GROUP.".to_owned()),
        _ => None,
    }
}
