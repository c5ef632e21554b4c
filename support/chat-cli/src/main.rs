//! The chat on a command line: what a page does in a browser, for terminals and for scripts.

mod accounts;
mod asker;
mod backoff;
mod caller;
mod failure;
mod hex;
mod lists;
mod names;
mod output;
mod raw;
mod send;
mod server;
mod sign_in;
mod stdin;
mod tail;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use chat_http::run::stopped;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use tokio::time::timeout;
use transports::Transport;

use crate::caller::Caller;
use crate::output::Output;
use crate::server::Address;

/// How long an interrupted command may take to clean up: the prompt for a password turns the terminal's echo on again.
const TIDYING: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  cargo chat register Ann
      asks for a password, or takes it from CHAT_PASSWORD
  cargo chat send Bob 'hello, Bob'
      to a user; to a group: cargo chat send '#rust' hello
  cargo chat --as Ann tail --transport sse
      what happens, as it happens, over Server-Sent Events";

const MORE: &str = "
  cargo chat tail --count 1 --for 10s --json
      for scripts: fails if no message comes in time
  cargo chat --transport websocket --hex send Bob hi
      every byte on the wire, on stderr
  cargo chat raw '{\"command\":{\"type\":\"join_group\",\"conversation\":\"c1\"}}'
      a request as you type it

Sign-ins are kept in ${XDG_STATE_HOME:-~/.local/state}/switchboard, where only you can read them.
If CHAT_TOKEN is set, it is used instead.

Exit codes:
  0    done
  1    failed or refused
  2    wrong usage
  130  interrupted";

/// The chat on a command line, over any transport.
#[derive(Debug, Parser)]
#[command(name = "chat", bin_name = "cargo chat", version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}{MORE}"))]
struct Options {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command can be told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The launcher's page, or a server that runs alone
    #[arg(
        long,
        global = true,
        env = "CHAT_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:4000"
    )]
    server: Address,
    /// The transport to use; the first that the server names, unless given
    #[arg(long, global = true, env = "CHAT_TRANSPORT")]
    transport: Option<Transport>,
    /// Whose sign-in to use; the one that signed in last, unless given
    #[arg(long = "as", id = "as", global = true, env = "CHAT_AS", value_name = "NAME")]
    name: Option<String>,
    /// Print JSON, one value on a line, and nothing else on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Show every byte on the wire, on stderr; secrets are hidden
    #[arg(long, global = true)]
    hex: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    #[command(flatten)]
    Chat(Chat),
    /// Print a completion script, such as for `source <(chat completions bash)`
    Completions {
        /// For which shell
        shell: Shell,
    },
}

/// What needs a server.
#[derive(Debug, Clone, Subcommand)]
enum Chat {
    /// Make a new user, and sign in
    Register(accounts::Who),
    /// Sign in; the password comes from CHAT_PASSWORD, the terminal, or a line of stdin
    Login(accounts::Who),
    /// End the sign-in
    Logout,
    /// List everybody
    People,
    /// List groups, or found, join or leave one
    Groups {
        #[command(subcommand)]
        what: Option<lists::Groups>,
    },
    /// Send a message, or one for each line of stdin
    Send(send::Send),
    /// Print what was written earlier
    History(lists::History),
    /// Print what happens, as it happens
    Tail(tail::Tail),
    /// Send requests as they are typed, and print the replies
    Raw(raw::Raw),
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::tell(&error.into(), &options.global),
    };
    let global = options.global.clone();
    let ended = runtime.block_on(until_stopped(options));
    // A thread may still wait for a line of stdin, so the runtime does not wait for its threads.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::tell(&error, &global),
    }
}

/// Runs the command in a task of its own, so that Ctrl-C ends it even while it cannot write to a full pipe.
async fn until_stopped(options: Options) -> anyhow::Result<()> {
    let stopped = stopped()?;
    let mut command = tokio::spawn(run(options));
    tokio::select! {
        ended = &mut command => ended.context("the command broke off")?,
        () = stopped => {
            command.abort();
            // A command that does not end in time ends with the process.
            let _ = timeout(TIDYING, command).await;
            Err(failure::Interrupted.into())
        }
    }
}

async fn run(Options { global, command }: Options) -> anyhow::Result<()> {
    let command = match command {
        Command::Chat(command) => command,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Options::command(), "chat", &mut script);
            return Ok(Output::new(false).bytes(&script)?);
        }
    };
    let caller = Caller::new(&global).await?;
    let ended = match command {
        Chat::Register(who) => accounts::register(&caller, who).await,
        Chat::Login(who) => accounts::login(&caller, who).await,
        Chat::Logout => accounts::logout(&caller).await,
        Chat::People => lists::people(&caller).await,
        Chat::Groups { what } => lists::groups(&caller, what).await,
        Chat::Send(what) => send::send(&caller, what).await,
        Chat::History(which) => lists::history(&caller, which).await,
        Chat::Tail(how) => tail::tail(&caller, how).await,
        Chat::Raw(what) => raw::raw(&caller, what).await,
    };
    caller.close().await;
    ended
}
