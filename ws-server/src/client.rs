//! The client's end of a WebSocket: one connection carries requests up, and replies and events down.

use bytes::Bytes;
use chat_client::duplex::{Abandoned, Demultiplexer, DuplexEvents, DuplexSender, duplex};
use chat_client::{Client, ClientError, Target};
use chat_core::auth::Token;
use chat_core::ids::Cursor;
use chat_core::protocol::Event;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Requests that may wait to be written.
const WAITING_REQUESTS: usize = 64;

/// One WebSocket client.
pub struct WsClient;

impl Client for WsClient {
    type Sender = DuplexSender;
    type Events = DuplexEvents;

    async fn connect(
        target: &Target,
        token: &Token,
        after: Option<Cursor>,
    ) -> Result<(DuplexSender, DuplexEvents), ClientError> {
        let base = target.base().replacen("http", "ws", 1);
        let after_query = after.map(|cursor| format!("?after={cursor}")).unwrap_or_default();
        let mut request = format!("{base}/ws{after_query}").into_client_request().map_err(gone)?;
        let bearer = format!("Bearer {}", token.as_str()).parse().map_err(|_| invalid_token())?;
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let no_delay = true;
        let (socket, _) = connect_async_with_config(request, None, no_delay).await.map_err(gone)?;

        let (up, requests) = mpsc::channel(WAITING_REQUESTS);
        let (sender, events, demultiplexer, abandoned) = duplex(up, after);
        let (sink, stream) = socket.split();
        tokio::spawn(write(requests, sink, abandoned));
        tokio::spawn(read(stream, demultiplexer));
        Ok((sender, events))
    }
}

/// Writes requests, and closes the connection once both halves of the client are dropped.
async fn write(
    mut requests: mpsc::Receiver<Bytes>,
    mut sink: SplitSink<Socket, Message>,
    mut abandoned: Abandoned,
) {
    while let Some(json) = requests.recv().await {
        let text = Utf8Bytes::try_from(json).expect("JSON is UTF-8");
        if sink.send(Message::Text(text)).await.is_err() {
            return;
        }
    }
    abandoned.wait().await;
    // The server may have closed the connection first.
    let _ = sink.close().await;
}

/// Reads until the connection is closed.
async fn read(mut stream: SplitStream<Socket>, demultiplexer: Demultiplexer) {
    while let Some(message) = stream.next().await {
        match message {
            Ok(Message::Text(text)) => demultiplexer.dispatch(text.as_bytes()).await,
            Ok(Message::Binary(json)) => demultiplexer.dispatch(&json).await,
            Ok(Message::Close(Some(frame))) => {
                let code = u16::from(frame.code);
                let reconnect = !(4_500..5_000).contains(&code);
                demultiplexer
                    .tell(Ok(Event::Close { code, name: frame.reason.to_string(), reconnect }))
                    .await;
            }
            Ok(_) => {}
            Err(error) => demultiplexer.tell(Err(gone(error))).await,
        }
    }
}

fn gone(error: Error) -> ClientError {
    ClientError::Disconnected(error.to_string())
}

fn invalid_token() -> ClientError {
    ClientError::Disconnected("the token has characters that no header may have".to_owned())
}
