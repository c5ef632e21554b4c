//! The measured servers in a process of their own, so that its processor time and memory are theirs alone.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use axum::Router;
use chat_core::chat::Chat;
use chat_http::Site;
use chat_http::run::{ChatOptions, stopped};
use chat_http::server::start;
use clap::Args;
use longpoll_server::LongPollServer;
use serde::{Deserialize, Serialize};
use sse_server::SseServer;
use tokio::net::TcpListener;
use ws_server::WsServer;

use crate::floor;

/// The options of the measured servers.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    chat: ChatOptions,
}

/// Where each server listens: the first line that the process prints.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) websocket: SocketAddr,
    pub(crate) sse: SocketAddr,
    pub(crate) longpoll: SocketAddr,
    pub(crate) tcp: SocketAddr,
}

/// Serves one chat over every transport, and the floor, on free ports until it is stopped.
pub(crate) async fn serve(options: Options) -> anyhow::Result<()> {
    let chat = Chat::open(&options.chat.database, options.chat.limits.into())?;
    let listener = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let websocket = start::<WsServer>(listener().await?, &chat, Site::default(), Router::new())?;
    let sse = start::<SseServer>(listener().await?, &chat, Site::default(), Router::new())?;
    let longpoll = start::<LongPollServer>(listener().await?, &chat, Site::default(), Router::new())?;
    let bare = listener().await?;
    let addresses = Addresses {
        websocket: websocket.address(),
        sse: sse.address(),
        longpoll: longpoll.address(),
        tcp: bare.local_addr()?,
    };
    tokio::spawn(floor::broadcast(bare));
    let stopped = stopped()?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&addresses)?)
        .context("cannot print the addresses")?;
    stopped.await;
    chat.end_sessions();
    tokio::join!(websocket.stop(), sse.stop(), longpoll.stop());
    chat.close().await;
    Ok(())
}
