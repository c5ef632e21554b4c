//! The tap as a program: a line for each thing that passes, and the counts at the end.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::json;
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use wiretap::{
    Conditions, Counts, Direction, Flow, Link, Observe, Settings, TcpIp, WireEvent, Wiretap, hexdump,
};

/// Listens, relays to a server, and tells what passes. It alters no byte.
#[derive(Debug, Parser)]
#[command(name = "wiretap", version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
struct Options {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_address)]
    listen: SocketAddr,
    /// The server that it leads to
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_address)]
    to: SocketAddr,
    /// How long every byte is held, each way, such as 50ms
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    delay: Duration,
    /// The most that is added to the delay, such as 5ms
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    jitter: Duration,
    /// Bytes a second of one connection, each way, such as 1MB/s (B, kB, MB, GB, KiB, MiB or GiB)
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    bandwidth: Option<NonZeroU64>,
    /// Also show the bytes, 512 of each event at most
    #[arg(long, conflicts_with = "json")]
    hex: bool,
    /// Print JSON, one value to a line
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  wiretap --listen 127.0.0.1:5001 --to 127.0.0.1:4001 --hex
  wiretap --listen 127.0.0.1:5002 --to 127.0.0.1:4002 --delay 50ms --jitter 5ms --bandwidth 1MB/s";

const EXIT_CODES: &str = "\
Exit codes:
  0  stopped by Ctrl-C or by the system
  1  failed: the message says why
  2  wrong usage";

/// An address and a port, or a port of this machine alone. A name is looked up.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // The name `localhost` may lead to an IPv6 address first, where the servers do not listen.
    let port = if is_number { Some(text) } else { text.strip_prefix("localhost:") };
    let address = port.map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    let found = address.to_socket_addrs().map(|mut found| found.next());
    match found {
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err("no address is known for it; write it like 127.0.0.1:4001".to_owned()),
        Err(error) => Err(format!("{error}; write it like 127.0.0.1:4001")),
    }
}

/// Checks the two addresses together.
fn check(options: &Options) -> Result<(), String> {
    match options {
        Options { to, .. } if to.port() == 0 => {
            Err("--to names no port; write it like --to 127.0.0.1:4001".to_owned())
        }
        Options { listen, to, .. } if listen == to => Err(format!(
            "--listen and --to are the same address, {to}: the tap would connect to itself.\n\
             Choose another port with --listen, such as --listen {}:0, which takes any free one.",
            to.ip()
        )),
        Options { .. } => Ok(()),
    }
}

/// A rate in bytes a second: a whole number, a unit, and an optional `/s`.
fn parse_rate(text: &str) -> Result<NonZeroU64, String> {
    let amount = text.strip_suffix("/s").unwrap_or(text).trim();
    let digits = amount.find(|c: char| !c.is_ascii_digit()).unwrap_or(amount.len());
    let (number, unit) = amount.split_at(digits);
    let factor = match unit.trim() {
        "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("it is a whole number and a unit, such as 64kB/s or 1MB/s".to_owned()),
    };
    let rate = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    rate.and_then(NonZeroU64::new).ok_or_else(|| "it is more than nothing and below 2⁶⁴ bytes".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    if let Err(why) = check(&options) {
        eprintln!("error: {why}");
        return ExitCode::from(2);
    }
    let link = Link { delay: options.delay, jitter: options.jitter, bandwidth: options.bandwidth };
    let settings =
        Settings { conditions: Conditions::both_ways(link), observe: Observe::Events, ..Settings::default() };
    let tap = match Wiretap::listen(options.listen, options.to, settings).await {
        Ok(tap) => tap,
        Err(error) => {
            eprintln!("error: {}", cannot_listen(options.listen, &error));
            return ExitCode::from(2);
        }
    };
    match watch(tap, &options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> String {
    let (ip, port) = (address.ip(), address.port());
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "port {port} of {ip} is in use by another program.\n\
             Stop it, or choose another port with --listen {ip}:PORT (0 takes any free one)."
        ),
        _ => format!("cannot listen on {address}: {error}. Choose another address with --listen."),
    }
}

/// Prints what passes until Ctrl-C, or until stdout is closed.
async fn watch(tap: Wiretap, options: &Options) -> anyhow::Result<()> {
    let mut viewer = tap.viewer();
    let mut stopped = std::pin::pin!(stopped()?);
    // On stderr, because a program may read the events from stdout.
    eprintln!("wiretap listens on {} for {}. Ctrl-C stops it.", tap.address(), options.to);
    loop {
        let event = tokio::select! {
            () = &mut stopped => break,
            event = viewer.next() => event,
        };
        let Some(event) = event else { break };
        if say(&line(&event, options)?).is_err() {
            return Ok(());
        }
    }
    let (tcp_ip, counts) = (tap.tcp_ip(), tap.close().await);
    // Prints the events that came before the end.
    while let Some(event) = viewer.next().await {
        say(&line(&event, options)?)?;
    }
    let end = match options.json {
        true => json!({"counts": counts, "tcp_ip_estimate": tcp_ip, "events_dropped": viewer.dropped()})
            .to_string(),
        false => report(&counts, &tcp_ip, viewer.dropped()),
    };
    // If stdout is closed, the report is not wanted.
    let _ = say(&end);
    Ok(())
}

fn line(event: &WireEvent, options: &Options) -> anyhow::Result<String> {
    Ok(match (options.json, options.hex) {
        (true, _) => serde_json::to_string(event)?,
        (false, true) => hexdump(event).trim_end().to_owned(),
        (false, false) => event.to_string(),
    })
}

fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}

/// The counts as a table.
fn report(counts: &Counts, tcp_ip: &TcpIp, dropped: u64) -> String {
    let mut rows = vec![format!("{:<22} {:>14} {:>14}", "", "↑ to server", "↓ to client")];
    let mut row = |name: &str, value: &dyn Fn(&Flow) -> u64| {
        let (up, down) = (value(&counts.to_server), value(&counts.to_client));
        rows.push(format!("{name:<22} {up:>14} {down:>14}"));
    };
    row("bytes", &|flow| flow.bytes);
    row("  payload", &|flow| flow.layers.payload);
    row("  framing", &|flow| flow.layers.framing);
    row("  HTTP heads", &|flow| flow.layers.http_head);
    row("  opaque", &|flow| flow.layers.opaque);
    row("requests, responses", &|flow| flow.heads);
    row("chunks", &|flow| flow.chunks);
    row("events of streams", &|flow| flow.events);
    row("WebSocket messages", &|flow| flow.frames.text + flow.frames.binary);
    row("WebSocket ping, pong", &|flow| flow.frames.ping + flow.frames.pong);
    let at_least = |direction| *tcp_ip.bytes(direction).start();
    let (up, down) = (at_least(Direction::ToServer), at_least(Direction::ToClient));
    rows.push(format!("{:<22} {:>14} {:>14}  (estimate, at least)", "TCP/IP headers", up, down));
    rows.push(format!(
        "{} connections, {} refused by the server, {} turned away; {dropped} events not shown",
        counts.connections, counts.refused, counts.turned_away
    ));
    rows.join("\n")
}

/// Waits for Ctrl-C, or for the signal that service managers send. From the call on, neither ends the process by
/// itself. So call it before the program says that it is running.
fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    #[cfg(not(unix))]
    let interrupted = tokio::signal::ctrl_c();
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = interrupted.await;
    })
}
