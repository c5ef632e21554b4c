//! The launcher: every server side by side around one chat, and one page to use them all.

mod addresses;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use axum::Router;
use chat_core::chat::Chat;
use chat_http::Server;
use chat_http::memory::MemoryClient;
use chat_http::run::{ChatOptions, EXIT_CODES, Program, ended, execute, say, short_help, stopped};
use chat_http::server::{Running, start_by, start_metrics};
use clap::{CommandFactory, FromArgMatches, Parser};
use futures_util::future::join_all;

use crate::addresses::Addresses;

/// Switchboard: one chat on every real-time transport, all servers side by side.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
struct Options {
    #[command(flatten)]
    addresses: Addresses,
    #[command(flatten)]
    chat: ChatOptions,
}

const EXAMPLES: &str = "\
Examples:
  cargo run --release                                    everything, kept in switchboard.db
  cargo run --release -- --database :memory:             nothing is kept
  cargo run --release -- --listen 5000                   the page at another port";

fn main() -> ExitCode {
    let command = short_help(Options::command())
        .mut_arg("database", |arg| arg.default_value("switchboard.db").required(false));
    match Options::from_arg_matches(&command.get_matches()) {
        Ok(options) => execute(launch(options)),
        Err(error) => error.exit(),
    }
}

/// The page's own server: the shared API and the page, without a transport.
struct PageServer;

impl Server for PageServer {
    const NAME: &'static str = "page";
    const PATH: Option<&'static str> = None;
    type Client = MemoryClient;

    fn routes() -> Router<Chat> {
        Router::new()
    }
}

/// The page's server, beside those of the transports.
static PAGE: Program = Program {
    name: PageServer::NAME,
    about: "The page.",
    listen: "127.0.0.1:4000",
    flag: "listen",
    profiles: &[],
    start: start_by::<PageServer>,
};

async fn launch(Options { addresses: Addresses(wanted), chat: options }: Options) -> anyhow::Result<()> {
    // All ports first: if a server cannot run, the database is not touched.
    let flags: Vec<_> = wanted.iter().map(|(program, address)| (program.flag, *address)).collect();
    let (listeners, metrics) = options.bind(&flags).await?;
    let mut servers = Vec::new();
    for ((program, _), listener) in wanted.iter().zip(&listeners) {
        servers.push((*program, listener.local_addr()?));
    }

    let chat = options.open()?;
    let listings = servers.iter().flat_map(|(program, address)| program.listings(address.port())).collect();
    let site = options.site(servers.iter().map(|(_, address)| *address), listings, metrics.is_some());
    let ports: Vec<u16> = servers.iter().map(|(_, address)| address.port()).collect();
    let mut running = Vec::new();
    for ((program, _), listener) in wanted.iter().zip(listeners) {
        running.push((program.start)(
            options.way(),
            listener,
            &chat,
            site.clone(),
            web_client::router(&ports),
        )?);
    }
    let metrics = metrics.map(|listener| start_metrics(listener, &chat)).transpose()?;
    let stopped = stopped()?;
    if let Some(metrics) = &metrics {
        say(&format!("The counts are at http://{}/metrics.", metrics.address()));
    }
    say(&introduction(&servers));
    let ended = ended(&chat, stopped).await;
    if ended.is_ok() {
        say("\nStopping: streams are told, polls are answered, what was acknowledged is on disk.");
    }
    // Sessions first, so that every transport closes in its own way; then connections; the database last.
    chat.end_sessions();
    join_all(running.into_iter().chain(metrics).map(Running::stop)).await;
    chat.close().await;
    ended
}

/// A server, and where it listens.
type At = (&'static Program, SocketAddr);

fn introduction(servers: &[At]) -> String {
    let page = reached(servers[0].1);
    let rows = servers.iter().flat_map(|(program, address)| {
        program.profiles.iter().map(|profile| row(profile.title, *address, profile.path))
    });
    let table: String = std::iter::once(row(PAGE.name, page, "")).chain(rows).collect();
    let others = others(servers);
    format!(
        "Switchboard: one chat on every transport. Open http://{page} in two browsers.\n\n\
         {table}\n{others}Ctrl-C stops it."
    )
}

fn row(title: &str, address: SocketAddr, path: &str) -> String {
    format!("  {title:<23}http://{}{path}\n", reached(address))
}

/// Where this machine reaches a server. `0.0.0.0` stands for every address, but is not one itself.
fn reached(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address
}

/// How other machines reach the page, if they do, and with which flags they reach every transport.
fn others(servers: &[At]) -> String {
    let page = servers[0].1;
    if page.ip().is_loopback() {
        return String::new();
    }
    let here = servers.iter().filter(|(_, address)| address.ip().is_loopback());
    let here: Vec<String> = here.map(|(program, _)| format!("--{}", program.flag)).collect();
    let (ip, port) = (page.ip(), page.port());
    match here.is_empty() {
        true => format!("Other machines open http://ADDRESS:{port}, with an address of this machine.\n"),
        false => format!(
            "Other machines reach the page, but not every transport: listen on {ip} with {}, too.\n",
            here.join(", ")
        ),
    }
}
