//! The test servers in this process, and `chat` as a program, as people and scripts run it.

#![allow(dead_code, reason = "every test file uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::Duration;

use axum::Router;
use chat_core::Location;
use chat_core::chat::Chat;
use chat_core::limits::Limits;
use chat_http::run::Program;
use chat_http::server::Running;
use chat_http::{Site, Way};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;
use transports::Transport;

pub(crate) use relay::Relay;

mod relay;

/// Longer than anything that works takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The password of every user.
pub(crate) const PASSWORD: &str = "correct horse";

/// Every transport, by the name that `--transport` takes.
pub(crate) fn transports() -> impl Iterator<Item = &'static str> {
    Transport::all().iter().map(|transport| transport.name)
}

/// Servers around one chat, and a directory for the sign-ins of their users.
pub(crate) struct World {
    /// The address for `--server`.
    pub(crate) address: SocketAddr,
    /// Where sign-ins are kept.
    pub(crate) state: TempDir,
    relays: Vec<Relay>,
    _servers: Vec<Running>,
}

impl World {
    /// All servers, each with the list of all of them, as the launcher starts them.
    pub(crate) async fn open() -> Self {
        Self::behind(None).await
    }

    /// The same, with relays in front. Each relay cuts the first connection over which this text comes down, before the
    /// text arrives.
    pub(crate) async fn cut_at(text: &'static str) -> Self {
        Self::behind(Some(text)).await
    }

    async fn behind(cut: Option<&'static str>) -> Self {
        let limits = Limits { hash_memory: 8, sign_ins_per_minute: 1_000, ..Limits::default() };
        let chat = Chat::open(&Location::Temporary, limits).unwrap();
        let programs: Vec<_> = transports::programs().collect();
        let (mut relays, mut listings, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
        for program in &programs {
            let listener = listener().await;
            let mut address = listener.local_addr().unwrap();
            if let Some(cut) = cut {
                relays.push(Relay::before(address, cut).await);
                address = relays.last().unwrap().address;
            }
            listings.extend(program.listings(address.port()));
            listeners.push(listener);
        }
        let address = listeners[0].local_addr().unwrap();
        let site = Site { transports: listings, ..Site::default() };
        let started = programs.iter().zip(listeners).map(|(program, listener)| {
            (program.start)(Way::Takeover, listener, &chat, site.clone(), Router::new()).unwrap()
        });
        let servers = started.collect();
        Self { address, state: tempfile::tempdir().unwrap(), relays, _servers: servers }
    }

    /// A server that runs alone, and lists only itself.
    pub(crate) async fn alone(program: &Program) -> Self {
        let chat = Chat::open(&Location::Temporary, Limits { hash_memory: 8, ..Limits::default() }).unwrap();
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let site = Site { transports: program.listings(address.port()).collect(), ..Site::default() };
        let servers = vec![(program.start)(Way::Takeover, listener, &chat, site, Router::new()).unwrap()];
        Self { address, state: tempfile::tempdir().unwrap(), relays: Vec::new(), _servers: servers }
    }

    /// The same servers with Ann and Bob registered; Bob signed in last.
    pub(crate) async fn with_ann_and_bob(self) -> Self {
        for name in ["Ann", "Bob"] {
            self.run(&["register", name]).await.succeeded();
        }
        self
    }

    /// How many connections the relays have cut.
    pub(crate) fn cuts(&self) -> usize {
        self.relays.iter().map(Relay::cuts).sum()
    }

    /// `chat` with these arguments.
    pub(crate) fn chat(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
        command.args(arguments).env("CHAT_SERVER", format!("http://{}", self.address));
        command.env("XDG_STATE_HOME", self.state.path()).env("CHAT_PASSWORD", PASSWORD);
        // The environment of the test run must not change the result. A dead proxy shows whether a proxy is used.
        command.env_remove("CHAT_TOKEN").env_remove("CHAT_AS").env_remove("CHAT_TRANSPORT");
        command.env("http_proxy", "http://127.0.0.1:1").env_remove("no_proxy").env_remove("NO_PROXY");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs `chat` to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        end(self.chat(arguments)).await
    }

    /// Runs `chat` to its end, with a text on stdin.
    pub(crate) async fn run_with(&self, arguments: &[&str], stdin: impl AsRef<[u8]>) -> Ended {
        let mut command = self.chat(arguments);
        command.env_remove("CHAT_PASSWORD").stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_ref()).await.unwrap();
        Ended(timeout(PATIENCE, child.wait_with_output()).await.expect("chat ends").unwrap())
    }

    /// Starts a `chat tail`, and waits until it misses no event any more.
    pub(crate) async fn tail(&self, arguments: &[&str]) -> Tail {
        let tail = Tail::start(self.chat(&[&["tail"], arguments].concat()));
        tail.listening().await
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Runs a program to its end.
pub(crate) async fn end(mut command: Command) -> Ended {
    Ended(timeout(PATIENCE, command.output()).await.expect("chat ends").unwrap())
}

/// A program that has ended.
pub(crate) struct Ended(Output);

impl Ended {
    /// The exit code; `None` if a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).unwrap()
    }

    pub(crate) fn stderr(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).unwrap()
    }

    /// What it printed. Fails unless the program succeeded.
    #[track_caller]
    pub(crate) fn succeeded(&self) -> &str {
        assert_eq!(self.code(), Some(0), "{}{}", self.stdout(), self.stderr());
        self.stdout()
    }

    /// What it printed on stderr. Fails unless the program ended with this code and without a panic.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code(), Some(code), "{}{}", self.stdout(), self.stderr());
        assert!(!self.stderr().contains("panicked"), "{}", self.stderr());
        self.stderr()
    }

    /// Every line of stdout as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.succeeded().lines().map(parse).collect()
    }
}

/// A running program, with both of its streams.
pub(crate) struct Tail {
    pub(crate) child: Child,
    pub(crate) stdout: Option<Lines<BufReader<ChildStdout>>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Tail {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = Some(BufReader::new(child.stdout.take().unwrap()).lines());
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, stdout, stderr }
    }

    /// Waits until it says that it listens.
    pub(crate) async fn listening(mut self) -> Self {
        let line = next_line(&mut self.stderr).await.expect("a tail says that it listens");
        assert!(line.starts_with("Listening over "), "{line}");
        self
    }

    /// The next line of stdout.
    pub(crate) async fn line(&mut self) -> String {
        next_line(self.stdout.as_mut().unwrap()).await.expect("a line of stdout")
    }

    /// The next line of stdout with a message. Lines about presence may come in between.
    pub(crate) async fn message(&mut self) -> String {
        loop {
            let line = self.line().await;
            // Only messages have a time.
            if !line.starts_with('-') {
                return line;
            }
        }
    }

    /// Waits for a line of stderr with this in it.
    pub(crate) async fn complains(&mut self, of: &str) {
        while !next_line(&mut self.stderr).await.expect("a complaint").contains(of) {}
    }

    /// Sends it a signal, such as `INT`.
    pub(crate) async fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.child.id().unwrap());
        assert!(Command::new("sh").arg("-c").arg(kill).status().await.unwrap().success());
    }

    /// Waits for its end; returns the exit code, and what was left on stderr.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let ending = async {
            let mut complaints = String::new();
            while let Some(line) = next_line(&mut self.stderr).await {
                complaints += &format!("{line}\n");
            }
            (self.child.wait().await.unwrap().code(), complaints)
        };
        timeout(PATIENCE, ending).await.expect("chat ends")
    }
}

async fn next_line(lines: &mut Lines<impl AsyncRead + AsyncBufReadExt + Unpin>) -> Option<String> {
    timeout(PATIENCE, lines.next_line()).await.expect("a line, or the end").unwrap()
}
