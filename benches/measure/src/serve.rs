//! The measured servers in a process of their own, so that its processor time and memory include nothing else.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use axum::Router;
use chat_core::chat::Chat;
use chat_http::Site;
use chat_http::run::{ChatOptions, stopped};
use chat_http::server::Running;
use clap::Args;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::floor;

/// The server for requests that belong to no transport.
pub(crate) const API: &str = "longpoll-server";

/// The options of the measured servers.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    chat: ChatOptions,
}

/// Where the servers listen: the first line that the process prints.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Addresses {
    /// Each server of the list, by its name.
    pub(crate) servers: BTreeMap<String, SocketAddr>,
    /// The floor.
    pub(crate) tcp: SocketAddr,
}

/// Serves one chat over every transport, and the floor, on free ports until it is stopped.
pub(crate) async fn serve(options: Options) -> anyhow::Result<()> {
    let way = options.chat.way();
    let chat = Chat::open(&options.chat.database, options.chat.limits.into())?;
    let listener = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (mut servers, mut running) = (BTreeMap::new(), Vec::new());
    for program in transports::programs() {
        let server = (program.start)(way, listener().await?, &chat, Site::default(), Router::new())?;
        servers.insert(program.name.to_owned(), server.address());
        running.push(server);
    }
    let bare = listener().await?;
    let addresses = Addresses { servers, tcp: bare.local_addr()? };
    tokio::spawn(floor::broadcast(bare));
    let stopped = stopped()?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&addresses)?)
        .context("cannot print the addresses")?;
    stopped.await;
    chat.end_sessions();
    join_all(running.into_iter().map(Running::stop)).await;
    chat.close().await;
    Ok(())
}
