//! A server as a program: flags, one server, Ctrl-C.

mod listen;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use clap::{Args, Command, CommandFactory, FromArgMatches, Parser};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::LimitFlags;
use crate::server::{Running, start_metrics};
use crate::settings::{Origin, listen_address};
use crate::{HostName, Listing, Origins, Profile, Site, TrustedProxy, Way};
use chat_core::chat::Chat;
use chat_core::{Location, OpenError};

/// How long the program waits at its end for threads that read the disk. They end at once, or they hang.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What every program that opens a chat can be told.
#[derive(Debug, Clone, Args)]
pub struct ChatOptions {
    /// The database file, which is created if it does not exist; `:memory:` keeps nothing
    #[arg(long, env = "CHAT_DATABASE", value_name = "PATH")]
    pub database: Location,
    /// Another website whose pages may use the servers, such as `https://chat.example.org`
    #[arg(long = "origin", env = "CHAT_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub origins: Vec<Origin>,
    /// Another name of this machine, such as `chat.example.org`; requests for unknown names are refused
    #[arg(long = "host", env = "CHAT_HOSTS", value_name = "NAME", value_delimiter = ',')]
    pub hosts: Vec<HostName>,
    /// The address or range of a proxy in front of the servers; its headers name the client
    #[arg(long = "trusted-proxy", env = "CHAT_TRUSTED_PROXIES", value_name = "CIDR", value_delimiter = ',')]
    pub proxies: Vec<TrustedProxy>,
    /// Serve a damaged database: what can be read is read, and nothing is written
    #[arg(long, env = "CHAT_ACCEPT_DAMAGE")]
    pub accept_damage: bool,
    /// Serve `/metrics` here, and not at the public addresses
    #[arg(long, env = "CHAT_METRICS", value_name = "ADDRESS:PORT", value_parser = listen_address)]
    pub metrics: Option<SocketAddr>,
    /// Leave every connection to the HTTP library; streams and polls then take more memory and processor time
    #[arg(long, env = "CHAT_PLAIN")]
    pub plain: bool,
    /// The limits.
    #[command(flatten)]
    pub limits: LimitFlags,
}

impl ChatOptions {
    /// Opens the chat. Call within a tokio runtime.
    ///
    /// # Errors
    /// The database cannot be used; the message says what to do.
    pub fn open(&self) -> Result<Chat, OpenError> {
        match self.accept_damage {
            true => Chat::open_damaged(&self.database, self.limits.clone().into()),
            false => Chat::open(&self.database, self.limits.clone().into()),
        }
    }

    /// What the servers of this launch know of each other.
    #[must_use]
    pub fn site(
        &self,
        addresses: impl IntoIterator<Item = SocketAddr>,
        transports: Vec<Listing>,
        metrics_apart: bool,
    ) -> Site {
        Site {
            origins: Origins::new(addresses, self.origins.clone()),
            hosts: self.hosts.clone(),
            proxies: self.proxies.clone(),
            transports,
            metrics_apart,
        }
    }

    /// How the servers' transports get their connections.
    #[must_use]
    pub fn way(&self) -> Way {
        if self.plain { Way::Plain } else { Way::Takeover }
    }

    /// Listens at the servers' addresses, each given with the name of its flag. If `/metrics` has an address of its
    /// own, listens there too.
    ///
    /// # Errors
    /// Another program listens there, or an address is not this machine's. Two flags with one port are both named.
    pub async fn bind(
        &self,
        servers: &[(&str, SocketAddr)],
    ) -> anyhow::Result<(Vec<TcpListener>, Option<TcpListener>)> {
        let metrics = self.metrics.map(|address| ("metrics", address));
        let wanted: Vec<_> = servers.iter().copied().chain(metrics).collect();
        let mut listeners = listen::bind_all(&wanted).await?;
        let metrics = metrics.and_then(|_| listeners.pop());
        Ok((listeners, metrics))
    }
}

/// The exit codes of every server, for `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  stopped by Ctrl-C or by the system
  1  failed: the message says why
  2  wrong usage, such as a port that another program uses";

/// What a newcomer needs, for `-h`; `--help` shows every flag.
///
/// Limits and settings for operators are left out.
#[must_use]
pub fn short_help(command: Command) -> Command {
    command.mut_args(|arg| {
        let is_for_newcomers = matches!(arg.get_long(), Some("listen" | "database"));
        arg.hide_short_help(!is_for_newcomers).hide_env_values(true)
    })
}

/// One server of Switchboard: the chat over one transport.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Where to listen: an address and a port, or a port of this machine alone
    #[arg(long, env = "CHAT_LISTEN", value_name = "ADDRESS:PORT", value_parser = listen_address)]
    listen: SocketAddr,
    #[command(flatten)]
    chat: ChatOptions,
}

/// One server as a program.
#[derive(Debug)]
pub struct Program {
    /// Its name, which is also its package's.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Where it listens unless a flag says otherwise.
    pub listen: &'static str,
    /// The launcher's flag that says where it listens, without the dashes.
    pub flag: &'static str,
    /// The transports that it serves.
    pub profiles: &'static [Profile],
    /// How it is started: [`start_by`](crate::server::start_by) for its kind of server.
    pub start: fn(Way, TcpListener, &Chat, Site, Router<Chat>) -> std::io::Result<Running>,
}

impl Program {
    /// The environment variable that says the same as its flag.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("CHAT_{}", self.flag.to_uppercase())
    }

    /// Runs the server until Ctrl-C, and says what went wrong if it cannot. `pages` makes the pages for people, given
    /// the ports that they may connect to.
    #[must_use]
    pub fn run(&self, pages: fn(&[u16]) -> Router<Chat>) -> ExitCode {
        let examples = format!(
            "Examples:\n  cargo run --release -p {0}                        as the defaults say\n  \
             cargo run --release -p {0} -- --listen 5000       at another port",
            self.name
        );
        let command = short_help(Options::command())
            .name(self.name)
            .about(self.about)
            .after_long_help(format!("{examples}\n\n{EXIT_CODES}"))
            .after_help(examples)
            .mut_arg("listen", |arg| arg.default_value(self.listen).required(false))
            .mut_arg("database", |arg| arg.default_value(format!("{}.db", self.name)).required(false));
        let options = match Options::from_arg_matches(&command.get_matches()) {
            Ok(options) => options,
            Err(error) => error.exit(),
        };
        execute(self.serve(options, pages))
    }

    /// Its transports, as a server that listens on this port lists them.
    pub fn listings(&self, port: u16) -> impl Iterator<Item = Listing> {
        self.profiles.iter().map(move |profile| Listing {
            name: profile.name,
            port,
            title: profile.title,
            label: profile.label,
            about: profile.about,
            server: self.name,
        })
    }

    async fn serve(&self, options: Options, pages: fn(&[u16]) -> Router<Chat>) -> anyhow::Result<()> {
        let (mut listeners, metrics) = options.chat.bind(&[("listen", options.listen)]).await?;
        let listener = listeners.pop().expect("there is a listener for each address");
        let address = listener.local_addr()?;
        let chat = options.chat.open()?;
        let site = options.chat.site([address], self.listings(address.port()).collect(), metrics.is_some());
        let pages = pages(&[address.port()]);
        let server = (self.start)(options.chat.way(), listener, &chat, site, pages)?;
        let metrics = metrics.map(|listener| start_metrics(listener, &chat)).transpose()?;
        let stopped = stopped()?;
        if let Some(metrics) = &metrics {
            say(&format!("The counts are at http://{}/metrics.", metrics.address()));
        }
        say(&format!("{} listens on http://{address}. Ctrl-C stops it.", self.name));
        let ended = ended(&chat, stopped).await;
        chat.end_sessions();
        server.stop().await;
        if let Some(metrics) = metrics {
            metrics.stop().await;
        }
        chat.close().await;
        ended
    }
}

/// A wrong use of the command line, such as a port that another program uses.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

/// An error and its causes, each of them once, because many errors already have their cause in their own text.
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
    let ended = log_levels().and_then(|levels| {
        let output = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        tracing_subscriber::registry().with(output.with_filter(levels)).init();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.context("the async runtime cannot start")?;
        let ended = runtime.block_on(program);
        runtime.shutdown_timeout(LAST_WAIT);
        ended
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
fn log_levels() -> anyhow::Result<Targets> {
    let wanted = std::env::var("CHAT_LOG").unwrap_or_default();
    if wanted.is_empty() {
        return Ok(Targets::new().with_default(LevelFilter::WARN));
    }
    wanted.parse().map_err(|error| {
        let example = "write it like info, or chat_core=debug,warn";
        UsageError(format!("CHAT_LOG={wanted} is not understood: {error}; {example}")).into()
    })
}

/// Prints a line on stdout. If stdout is closed, the servers go on without it.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Waits until the program is stopped, or its chat cannot go on.
///
/// # Errors
/// Why the chat cannot go on.
pub async fn ended(chat: &Chat, stopped: impl Future<Output = ()>) -> anyhow::Result<()> {
    tokio::select! {
        () = stopped => Ok(()),
        why = chat.failed() => Err(why.into()),
    }
}

/// Waits for Ctrl-C, or for the signal that service managers send. From the call on, neither ends the process by
/// itself. So call it before the program says that it is running.
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
    use std::io::ErrorKind;

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
                chat_core::OpenError::Sqlite(sqlite()).into(),
                "SQLite cannot open the database: file is not a database.\n\
                 The disk must be readable and writable; choose another file with --database PATH.",
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
}
