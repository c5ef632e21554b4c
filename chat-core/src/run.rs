//! A server as a program: flags, one server, Ctrl-C.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use axum::Router;
use clap::{Args, CommandFactory, FromArgMatches, Parser};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::chat::Chat;
use crate::client::Server;
use crate::http::{Listing, Origins, Site};
use crate::limits::Limits;
use crate::server::start;
use crate::settings::{Origin, listen_address};
use crate::store::Location;

/// What every program that opens a chat can be told.
#[derive(Debug, Clone, Args)]
pub struct ChatOptions {
    /// The database file, created if need be; `:memory:` for one that is gone at exit
    #[arg(long, env = "CHAT_DATABASE", value_name = "PATH")]
    pub database: Location,
    /// Another origin whose pages may use the servers, such as `https://chat.example.org`
    #[arg(long = "origin", env = "CHAT_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub origins: Vec<Origin>,
    /// The limits.
    #[command(flatten)]
    pub limits: Limits,
}

/// One server of Switchboard: the same chat over one kind of wire.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Where to listen: an address and a port, or a port of this machine alone
    #[arg(long, env = "CHAT_LISTEN", value_name = "ADDRESS:PORT", value_parser = listen_address)]
    listen: SocketAddr,
    #[command(flatten)]
    chat: ChatOptions,
}

/// How a program of one server introduces itself.
pub struct Program {
    /// What it is called.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Where it listens unless told otherwise.
    pub listen: &'static str,
    /// The file that it keeps the chat in unless told otherwise.
    pub database: &'static str,
    /// The transports that it serves, for the page's switcher.
    pub transports: &'static [&'static str],
    /// The pages for people, given the ports that they may connect to.
    pub pages: fn(&[u16]) -> Router<Chat>,
}

impl Program {
    /// Runs one server until Ctrl-C, and says what went wrong if it cannot.
    #[must_use]
    pub fn run<S: Server>(&self) -> ExitCode {
        let command = Options::command()
            .name(self.name)
            .about(self.about)
            .mut_arg("listen", |arg| arg.default_value(self.listen).required(false))
            .mut_arg("database", |arg| arg.default_value(self.database).required(false));
        let options = match Options::from_arg_matches(&command.get_matches()) {
            Ok(options) => options,
            Err(error) => error.exit(),
        };
        execute(self.serve::<S>(options))
    }

    async fn serve<S: Server>(&self, options: Options) -> anyhow::Result<()> {
        let listener = bind(options.listen, "--listen").await?;
        let address = listener.local_addr()?;
        let chat = Chat::open(&options.chat.database, options.chat.limits)?;
        let listings = self.transports.iter().map(|&name| Listing { name, port: address.port() });
        let site =
            Site { origins: Origins::new([address], options.chat.origins), transports: listings.collect() };
        let server = start::<S>(listener, &chat, site, (self.pages)(&[address.port()]))?;
        let stopped = stopped()?;
        say(&format!("{} listens on http://{address}. Ctrl-C stops it.", self.name));
        stopped.await;
        chat.end_sessions();
        server.stop().await;
        chat.close().await;
        Ok(())
    }
}

/// A wrong use of the command line, such as a port that another program uses.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

/// An error and its causes, each of them once: many errors have their cause in their own text already.
#[must_use]
pub fn explain(error: &anyhow::Error) -> String {
    let mut causes = error.chain().map(ToString::to_string);
    let mut said = causes.next().unwrap_or_default();
    for cause in causes {
        // SQLite's errors repeat the reason behind a code, as in `Error code 26: file is not a database`.
        let reason = cause.rsplit(": ").next().unwrap_or(&cause);
        if !said.contains(reason) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

/// Runs a program's future, says on stderr what went wrong, and gives the exit code: 1 failed, 2 usage.
pub fn execute(program: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let ended = log_filter().and_then(|filter| {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.context("the async runtime cannot start")?.block_on(program)
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", explain(&error));
            ExitCode::from(if error.is::<UsageError>() { 2 } else { 1 })
        }
    }
}

/// What is logged: warnings, unless `CHAT_LOG` says otherwise.
fn log_filter() -> anyhow::Result<EnvFilter> {
    let wanted = std::env::var("CHAT_LOG").unwrap_or_default();
    let wanted = if wanted.is_empty() { "warn" } else { &wanted };
    EnvFilter::try_new(wanted).map_err(|error| {
        let example = "write it like info, or chat_core=debug,warn";
        UsageError(format!("CHAT_LOG={wanted} is not understood: {error}; {example}")).into()
    })
}

/// Tells whoever started the program. Nobody may be listening any more; the servers go on all the same.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Listens on an address that was given with `flag`.
///
/// # Errors
/// Another program listens there, or the address is not this machine's.
pub async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let (host, port) = (host(address), address.port());
        let why = match error.kind() {
            ErrorKind::AddrInUse => format!(
                "port {port} of {host} is in use by another program.\n\
                 Stop it, or choose another port with {flag} {host}:PORT (0 takes any free one)."
            ),
            ErrorKind::PermissionDenied => format!(
                "this user may not listen on port {port} of {host}.\n\
                 Choose a port above 1023 with {flag} {host}:PORT."
            ),
            ErrorKind::AddrNotAvailable => format!(
                "{host} is no address of this machine.\n\
                 Choose one that it has with {flag}, such as {flag} 127.0.0.1:{port}."
            ),
            _ => format!(
                "cannot listen on {address}: {error}.\n\
                 Choose another address with {flag}, such as {flag} 127.0.0.1:{port}."
            ),
        };
        UsageError(why).into()
    })
}

/// Listens on several addresses, each given with its own flag.
///
/// # Errors
/// As [`bind`]; two flags with one port are both named.
pub async fn bind_all<const N: usize>(wanted: [(&str, SocketAddr); N]) -> anyhow::Result<[TcpListener; N]> {
    let mut listeners = Vec::with_capacity(N);
    for (place, &(flag, address)) in wanted.iter().enumerate() {
        match bind(address, flag).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => {
                // The ports of the flags before are open: one of them may be what is in the way.
                let (host, port) = (host(address), address.port());
                let earlier = wanted[..place].iter().find(|(_, earlier)| earlier.port() == port && port != 0);
                let Some((other, _)) = earlier else { return Err(error) };
                let why = format!(
                    "{other} and {flag} have the same port, {port}.\n\
                     Give each its own, such as {flag} {host}:{} (0 takes any free one).",
                    spare(&wanted)
                );
                return Err(UsageError(why).into());
            }
        }
    }
    Ok(listeners.try_into().expect("there is a listener for each address"))
}

/// A port that no flag has, as an example.
fn spare(wanted: &[(&str, SocketAddr)]) -> u16 {
    let highest = wanted.iter().map(|(_, address)| address.port()).max().unwrap_or_default();
    highest.checked_add(1).unwrap_or_default()
}

/// An address as it stands before a port.
fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

/// Waits for Ctrl-C, or for the signal that service managers send. From the call on, neither ends the process by
/// itself, so call it before anybody is told that there is something to end.
///
/// # Errors
/// The system does not let this process listen for signals.
pub fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot use x.db: {source}.\nChoose another file.")]
    struct Unwritable {
        source: std::io::Error,
    }

    #[test]
    fn an_error_says_each_cause_once() {
        let denied = || std::io::Error::from(ErrorKind::PermissionDenied);
        let sqlite = || {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB);
            rusqlite::Error::SqliteFailure(code, Some("file is not a database".to_owned()))
        };
        let table: [(anyhow::Error, &str); 6] = [
            (
                Unwritable { source: denied() }.into(),
                "cannot use x.db: permission denied.\nChoose another file.",
            ),
            (anyhow::Error::new(denied()).context("cannot read y"), "cannot read y: permission denied"),
            (
                anyhow::Error::new(Unwritable { source: denied() }).context("it does not start"),
                "it does not start: cannot use x.db: permission denied.\nChoose another file.",
            ),
            (anyhow::anyhow!("a").context("b").context("c"), "c: b: a"),
            (
                crate::OpenError::Sqlite(sqlite()).into(),
                "SQLite cannot open the database: file is not a database.\n\
                 If the file is damaged, restore a copy or move it away; choose another file with --database PATH.",
            ),
            (anyhow::anyhow!("alone"), "alone"),
        ];
        for (error, said) in table {
            assert_eq!(explain(&error), said);
        }
    }

    #[test]
    fn a_server_alone_reads_its_settings_like_the_launcher() {
        let given = |flags: &[&str]| {
            let given = [&["server", "--database", "x.db"], flags].concat();
            Options::command().try_get_matches_from(given).and_then(|given| Options::from_arg_matches(&given))
        };
        let flags = ["--listen", "localhost:5430", "--origin", "https://a.example/,HTTP://B.example:80"];
        let options = given(&flags).unwrap();
        assert_eq!(options.listen, SocketAddr::from(([127, 0, 0, 1], 5430)));
        let origins: Vec<_> = options.chat.origins.iter().map(ToString::to_string).collect();
        assert_eq!(origins, ["https://a.example", "http://b.example"]);
        for flag in ["--listen=99999", "--origin=*", "--connections=0", "--database="] {
            let said = given(&["--listen", "1", flag]).unwrap_err().to_string();
            assert!(said.contains(flag.split('=').next().unwrap()), "{said}");
        }
    }

    #[tokio::test]
    async fn two_flags_with_one_port_name_each_other() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let everywhere = SocketAddr::from(([0, 0, 0, 0], free.port()));
        for other in [free, everywhere] {
            let error =
                bind_all([("--listen", free), ("--sse", any), ("--websocket", other)]).await.unwrap_err();
            let said = error.to_string();
            let both = format!("--listen and --websocket have the same port, {}.", free.port());
            assert!(said.starts_with(&both) && said.contains("such as --websocket "), "{said}");
            assert!(error.is::<UsageError>());
        }
        assert!(bind_all([("--listen", any), ("--sse", any)]).await.is_ok(), "0 is any free port");
    }
}
