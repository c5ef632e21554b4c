//! The launcher: every server side by side around one chat, and one page to use them all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use axum::Router;
use chat_core::chat::Chat;
use chat_http::memory::MemoryClient;
use chat_http::run::{ChatOptions, ended, execute, say, stopped};
use chat_http::server::{Running, start_metrics};
use chat_http::settings::listen_address;
use chat_http::{Listing, Server};
use clap::{CommandFactory, FromArgMatches, Parser};
use longpoll_server::{LongPollServer, ShortPollServer};
use sse_server::SseServer;
use ws_server::WsServer;

/// Switchboard: one chat on every real-time wire, all servers side by side.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, after_help = EXAMPLES)]
struct Options {
    /// Where the page is
    #[arg(long, env = "CHAT_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4000", value_parser = listen_address)]
    listen: SocketAddr,
    /// Where the WebSocket server listens
    #[arg(long, env = "CHAT_WEBSOCKET", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4001", value_parser = listen_address)]
    websocket: SocketAddr,
    /// Where the server for Server-Sent Events listens
    #[arg(long, env = "CHAT_SSE", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4002", value_parser = listen_address)]
    sse: SocketAddr,
    /// Where the server for long and short polling listens
    #[arg(long, env = "CHAT_LONGPOLL", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4003", value_parser = listen_address)]
    longpoll: SocketAddr,
    #[command(flatten)]
    chat: ChatOptions,
}

const EXAMPLES: &str = "\
Examples:
  cargo run --release                                    everything, kept in switchboard.db
  cargo run --release -- --database :memory:             nothing is kept
  cargo run --release -- --listen 5000                   the page on another port";

fn main() -> ExitCode {
    let command =
        Options::command().mut_arg("database", |arg| arg.default_value("switchboard.db").required(false));
    match Options::from_arg_matches(&command.get_matches()) {
        Ok(options) => execute(launch(options)),
        Err(error) => error.exit(),
    }
}

/// The page's own server: the shared API and the page, no wire of its own.
struct PageServer;

impl Server for PageServer {
    const NAME: &'static str = "page";
    const PATH: Option<&'static str> = None;
    type Client = MemoryClient;

    fn routes() -> Router<Chat> {
        Router::new()
    }
}

async fn launch(options: Options) -> anyhow::Result<()> {
    // All ports first: a database is not touched when the servers cannot run.
    let servers = [
        ("--listen", options.listen),
        ("--websocket", options.websocket),
        ("--sse", options.sse),
        ("--longpoll", options.longpoll),
    ];
    let ([page, websocket, sse, longpoll], metrics) = options.chat.bind(servers).await?;
    let addresses = [page.local_addr()?, websocket.local_addr()?, sse.local_addr()?, longpoll.local_addr()?];
    let [_, at_websocket, at_sse, at_longpoll] = addresses;

    let chat = options.chat.open()?;
    let transports = vec![
        Listing { name: WsServer::NAME, port: at_websocket.port() },
        Listing { name: SseServer::NAME, port: at_sse.port() },
        Listing { name: LongPollServer::NAME, port: at_longpoll.port() },
        Listing { name: ShortPollServer::NAME, port: at_longpoll.port() },
    ];
    let site = options.chat.site(addresses, transports, metrics.is_some());
    let ports = addresses.map(|address| address.port());
    let pages = || web_client::router(&ports);
    let servers = [
        options.chat.start::<PageServer>(page, &chat, site.clone(), pages())?,
        options.chat.start::<WsServer>(websocket, &chat, site.clone(), pages())?,
        options.chat.start::<SseServer>(sse, &chat, site.clone(), pages())?,
        options.chat.start::<LongPollServer>(longpoll, &chat, site, pages())?,
    ];
    let metrics = metrics.map(|listener| start_metrics(listener, &chat)).transpose()?;
    let stopped = stopped()?;
    if let Some(metrics) = &metrics {
        say(&format!("The counts are at http://{}/metrics.", metrics.address()));
    }
    say(&introduction(&addresses));
    let ended = ended(&chat, stopped).await;
    if ended.is_ok() {
        say("\nStopping: streams are told, polls are answered, what was acknowledged is on disk.");
    }
    stop(&chat, servers, metrics).await;
    ended
}

fn introduction(addresses: &[SocketAddr; 4]) -> String {
    let [page, websocket, sse, longpoll] = addresses.map(reached);
    let others = others(addresses);
    format!(
        "Switchboard: one chat on every wire. Open http://{page} in two browsers.

  page                   http://{page}
  WebSocket              http://{websocket}/ws
  Server-Sent Events     http://{sse}/events
  long polling           http://{longpoll}/poll
  short polling          http://{longpoll}/poll?wait=0

{others}Ctrl-C stops it."
    )
}

/// Where this machine reaches a server. `0.0.0.0` means every address, and is none itself.
fn reached(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address
}

/// How other machines reach the page, if they do, and what is missing for them.
fn others([page, transports @ ..]: &[SocketAddr; 4]) -> String {
    if page.ip().is_loopback() {
        return String::new();
    }
    if transports.iter().any(|address| address.ip().is_loopback()) {
        let wanted = page.ip();
        return format!(
            "Other machines reach the page, but not every transport: listen on {wanted} with --websocket, --sse and \
             --longpoll, too.\n"
        );
    }
    let port = page.port();
    format!("Other machines open http://ADDRESS:{port}, with an address of this machine.\n")
}

/// Sessions first, so that every wire says goodbye in its own way; then connections; the database last.
async fn stop(chat: &Chat, servers: [Running; 4], metrics: Option<Running>) {
    chat.end_sessions();
    let [page, websocket, sse, longpoll] = servers.map(Running::stop);
    tokio::join!(page, websocket, sse, longpoll);
    if let Some(metrics) = metrics {
        metrics.stop().await;
    }
    chat.close().await;
}
