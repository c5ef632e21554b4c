//! Requests as they are typed, right or wrong, and the replies as they come. The other clients send no wrong requests.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, bail};
use chat_client::ClientError;
use chat_core::auth::Token;
use chat_http::{Framing, Reads};
use clap::Args;
use futures_util::{SinkExt, StreamExt};
use reqwest::{Method, header};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::caller::Caller;
use crate::failure::Ended;
use crate::output::note;
use crate::stdin::{STDIN, lines};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to send.
#[derive(Debug, Clone, Args)]
pub(crate) struct Raw {
    /// Each one a message of its own, or the body of a POST; without any, or with -, the lines of stdin
    requests: Vec<String>,
}

/// Sends one request after the other and prints the replies.
///
/// # Errors
/// At least one of them was refused.
pub(crate) async fn raw(caller: &Caller, Raw { requests }: Raw) -> anyhow::Result<()> {
    let mut wire = Wire::open(caller, caller.token()?).await?;
    let mut count = Count::default();
    if !requests.is_empty() && requests != [STDIN] {
        for request in requests {
            count.add(exchange(caller, &mut wire, request).await?);
        }
    } else {
        if std::io::stdin().is_terminal() {
            note("each line is a request; Ctrl-D ends");
        }
        let mut lines = lines();
        while let Some(line) = lines.next().await? {
            if !line.is_empty() {
                count.add(exchange(caller, &mut wire, line).await?);
            }
        }
    }
    wire.close().await;
    match count.refused {
        0 => Ok(()),
        refused => bail!("{refused} of {} requests refused", count.all),
    }
}

/// How many requests were sent, and how many of them refused.
#[derive(Default)]
struct Count {
    all: u64,
    refused: u64,
}

impl Count {
    fn add(&mut self, is_refused: bool) {
        self.all += 1;
        self.refused += u64::from(is_refused);
    }
}

/// Sends a request and prints the reply; says whether it is a refusal.
async fn exchange(caller: &Caller, wire: &mut Wire<'_>, request: String) -> anyhow::Result<bool> {
    let late = "no reply came in time";
    let reply = timeout(PATIENCE, wire.exchange(request)).await.context(late)??;
    let value: Value = serde_json::from_str(&reply).map_err(ClientError::from)?;
    caller.output.json(&reply)?;
    Ok(is_refusal(&value))
}

/// Whether this is a refusal, a problem document, or an array with a refusal in it.
fn is_refusal(value: &Value) -> bool {
    match value {
        Value::Array(replies) => replies.iter().any(is_refusal),
        value => value.get("refusal").or_else(|| value.get("code")).is_some(),
    }
}

/// The connection over which unchecked requests are sent.
enum Wire<'a> {
    Socket(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
    Post(&'a Caller, Token),
}

impl<'a> Wire<'a> {
    async fn open(caller: &'a Caller, token: Token) -> anyhow::Result<Self> {
        if caller.transport.reads != Reads::Stream(Framing::WebSocket) {
            return Ok(Self::Post(caller, token));
        }
        let url = format!("{}/ws", caller.target.base().replacen("http", "ws", 1));
        let mut request = url.into_client_request()?;
        request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {}", token.as_str()).parse()?);
        let no_delay = true;
        let (socket, _) = connect_async_with_config(request, None, no_delay).await.map_err(gone)?;
        Ok(Self::Socket(Box::new(socket)))
    }

    /// Sends a text as it is, and reads up to its reply.
    async fn exchange(&mut self, request: String) -> anyhow::Result<String> {
        match self {
            Self::Post(caller, token) => {
                let post = caller.target.request(Method::POST, "/api/commands", token);
                let post = post.header(header::CONTENT_TYPE, "application/json").body(request);
                let body =
                    post.send().await.map_err(ClientError::from)?.bytes().await.map_err(ClientError::from)?;
                Ok(String::from_utf8_lossy(&body).into_owned())
            }
            Self::Socket(socket) => {
                socket.send(Message::text(request)).await.map_err(gone)?;
                while let Some(message) = socket.next().await {
                    match message.map_err(gone)? {
                        // Events come on the same socket.
                        Message::Text(text) if is_reply(&text) => return Ok(text.to_string()),
                        Message::Close(Some(frame)) => {
                            let (code, name) = (u16::from(frame.code), frame.reason.to_string());
                            bail!(Ended { code, name, reconnect: false });
                        }
                        _ => {}
                    }
                }
                bail!(ClientError::Disconnected("no reply came before the end".to_owned()))
            }
        }
    }

    /// Closes a WebSocket in order. A POST needs nothing.
    async fn close(self) {
        if let Self::Socket(mut socket) = self {
            // The server may have closed the connection first.
            let _ = socket.close().await;
        }
    }
}

fn gone(error: tungstenite::Error) -> ClientError {
    ClientError::Disconnected(error.to_string())
}

fn is_reply(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|value| value["type"] == "reply")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_in_every_shape() {
        for refusal in [
            r#"{"type":"reply","request_id":null,"refusal":{"code":"bad_request"}}"#,
            r#"{"code":"bad_request","status":400}"#,
            r#"[{"type":"reply","ok":{}},{"type":"reply","refusal":{}}]"#,
        ] {
            assert!(is_refusal(&serde_json::from_str(refusal).unwrap()), "{refusal}");
        }
        for done in [r#"{"type":"reply","ok":{"type":"read"}}"#, r#"[{"type":"reply","ok":{}}]"#, "[]"] {
            assert!(!is_refusal(&serde_json::from_str(done).unwrap()), "{done}");
        }
    }
}
