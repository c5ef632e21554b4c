//! What every command starts from: a transport that was found, who asks, and where the answer goes.

use chat_client::Target;
use chat_core::auth::Token;
use transports::Transport;

use crate::Global;
use crate::hex::Hex;
use crate::output::Output;
use crate::server::{Address, find};
use crate::sign_in;

/// Somebody who is about to ask something of a server.
pub(crate) struct Caller {
    /// The server as it was given: what sign-ins are kept for.
    pub(crate) server: Address,
    pub(crate) transport: Transport,
    /// The server of this transport.
    pub(crate) address: Address,
    /// The same server, as clients name it; it has the API, too. With `--hex`, what they name is the tap before it.
    pub(crate) target: Target,
    /// How answers are printed.
    pub(crate) output: Output,
    name: Option<String>,
    hex: Option<Hex>,
}

impl Caller {
    /// Finds the server, and taps the way to it if its bytes are to be seen.
    pub(crate) async fn new(global: &Global) -> anyhow::Result<Self> {
        let found = find(&global.server, global.transport).await?;
        let (host, port) = found.address.host_and_port();
        let hex = if global.hex { Some(Hex::open(host, port).await?) } else { None };
        let base = match &hex {
            Some(hex) => format!("http://{}", hex.address()),
            None => found.address.to_string(),
        };
        Ok(Self {
            server: global.server.clone(),
            transport: found.transport,
            address: found.address,
            target: Target::new(&base),
            output: Output::new(global.json),
            name: global.name.clone(),
            hex,
        })
    }

    /// Shows what is left to be shown.
    pub(crate) async fn close(self) {
        if let Some(hex) = self.hex {
            hex.close().await;
        }
    }

    /// The token to act with.
    pub(crate) fn token(&self) -> anyhow::Result<Token> {
        sign_in::token(&self.server, self.name.as_deref())
    }
}
