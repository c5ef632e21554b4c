//! What every command starts with: the server, the transport, the user, and how results are printed.

use chat_client::Target;
use chat_core::auth::Token;
use transports::Transport;

use crate::Global;
use crate::hex::Hex;
use crate::output::Output;
use crate::server::{Address, find};
use crate::sign_in;

/// The user and the server of a command.
pub(crate) struct Caller {
    /// The server as it was given. Sign-ins are kept for this address.
    pub(crate) server: Address,
    pub(crate) transport: Transport,
    /// The server of this transport.
    pub(crate) address: Address,
    /// The same server, as clients connect to it. It has the API, too. With `--hex`, it is the tap in front of it.
    pub(crate) target: Target,
    /// How results are printed.
    pub(crate) output: Output,
    name: Option<String>,
    hex: Option<Hex>,
}

impl Caller {
    /// Finds the server, and starts a tap in front of it if its bytes are to be shown.
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

    /// Prints the bytes that are still to be shown.
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
