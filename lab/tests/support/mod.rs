//! The launcher as its users meet it: a process with sockets, started on free ports and killed when a test is over.

#![allow(dead_code, reason = "every test file uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use chat_http::run::Program;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use transports::Transport;

/// Longer than anything that works takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The password of every user.
pub(crate) const PASSWORD: &str = "correct horse";

/// The launcher with these flags, on free ports unless they say otherwise, with cheap passwords.
pub(crate) fn lab(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    arrange(&mut command);
    command.args(flags);
    command
}

/// What the flags leave open. The environment is weaker than a flag, so a test can say something else.
pub(crate) fn arrange(command: &mut Command) {
    let variables = transports::programs().map(Program::variable);
    for variable in variables.chain(["CHAT_LISTEN".to_owned()]) {
        command.env(variable, "127.0.0.1:0");
    }
    command.env("CHAT_HASH_MEMORY", "8").env("CHAT_LOG", "off");
    command.stdin(Stdio::null()).kill_on_drop(true);
}

/// Runs a program that is expected to end by itself.
pub(crate) async fn outcome(mut command: Command) -> Output {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
    timeout(PATIENCE, output).await.expect("the program ends").unwrap()
}

/// The launcher, running.
pub(crate) struct Lab {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    /// Where each transport is, by its title.
    transports: Vec<(String, SocketAddr)>,
    pub(crate) page: SocketAddr,
    pub(crate) websocket: SocketAddr,
    pub(crate) sse: SocketAddr,
    pub(crate) longpoll: SocketAddr,
    /// Where the counts are, if they have an address of their own.
    pub(crate) metrics: Option<SocketAddr>,
}

impl Lab {
    /// Starts it with a database and further flags, and waits until it listens.
    pub(crate) async fn start(database: &Path, flags: &[&str]) -> Self {
        let mut command = lab(flags);
        command.arg("--database").arg(database);
        Self::run(command).await
    }

    /// Starts it with a database that is deleted at exit.
    pub(crate) async fn start_temporary(flags: &[&str]) -> Self {
        Self::start(Path::new(":memory:"), flags).await
    }

    /// Starts it by a command that the caller has made.
    pub(crate) async fn run(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut rows, mut metrics) = (Vec::new(), None);
        let introduction = async {
            loop {
                let line = stdout.next_line().await.unwrap().expect("the launcher tells its addresses");
                if line.contains("Ctrl-C") {
                    return;
                }
                if let Some((_, rest)) = line.split_once("The counts are at http://") {
                    metrics = Some(rest.split('/').next().unwrap().parse().unwrap());
                }
                // The table, indented: a label and a URL.
                if let Some((label, url)) = line.strip_prefix("  ").and_then(|row| row.split_once("http://"))
                {
                    rows.push((label.trim().to_owned(), url.split('/').next().unwrap().parse().unwrap()));
                }
            }
        };
        timeout(PATIENCE, introduction).await.expect("the launcher starts in time");
        let (_, page) = rows.remove(0);
        let at = |title: &str| rows.iter().find(|(label, _)| label == title).unwrap().1;
        let (websocket, sse, longpoll) = (at("WebSocket"), at("Server-Sent Events"), at("long polling"));
        Self { child, stdout, transports: rows, page, websocket, sse, longpoll, metrics }
    }

    /// Where a transport is served.
    pub(crate) fn at(&self, transport: Transport) -> SocketAddr {
        let row = self.transports.iter().find(|(title, _)| title == transport.title);
        row.unwrap_or_else(|| panic!("the launcher does not serve {transport:?}")).1
    }

    /// Every server, each once: first the page's.
    pub(crate) fn servers(&self) -> Vec<SocketAddr> {
        let mut servers = vec![self.page];
        servers.extend(self.transports.iter().map(|(_, address)| *address));
        servers.dedup();
        servers
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("the launcher runs")
    }

    /// Sends it a signal, such as `INT`.
    pub(crate) async fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.id());
        assert!(Command::new("sh").arg("-c").arg(kill).status().await.unwrap().success());
    }

    /// Ends it by SIGKILL, and waits until it has ended.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits until it has ended. Returns its status, and what it still printed.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let ending = async {
            let mut printed = String::new();
            while let Some(line) = self.stdout.next_line().await.unwrap() {
                printed += &format!("{line}\n");
            }
            (self.child.wait().await.unwrap(), printed)
        };
        timeout(PATIENCE, ending).await.expect("the launcher ends in time")
    }

    /// Waits until a metric, summed over the transports, has a value.
    pub(crate) async fn eventually(&self, metric: &str, value: u64) {
        let looking = async {
            while self.metric(metric).await != value {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(
            timeout(PATIENCE, looking).await.is_ok(),
            "{metric} is not {value} but {}",
            self.metric(metric).await
        );
    }

    /// All counts, as text.
    pub(crate) async fn metrics(&self) -> String {
        let answer = get(self.metrics.unwrap_or(self.page), "/metrics", "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        String::from_utf8(answer.body).unwrap()
    }

    /// How many connections ended for a reason, whatever their transport.
    pub(crate) async fn closed(&self, reason: &str) -> u64 {
        let label = format!("{{reason=\"{reason}\",");
        let text = self.metrics().await;
        let series = text.lines().filter(|line| line.starts_with("chat_closed_total{"));
        series.filter_map(|line| line.split_once(&label)?.1.split_once("} ")?.1.parse::<u64>().ok()).sum()
    }

    /// The value of a metric, summed over the transports.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.metrics().await;
        let series = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        series.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Makes a new user.
    pub(crate) async fn register(&self, name: &str) -> User {
        let answer = post(self.page, "/api/register", "", &json!({"name": name, "password": PASSWORD})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let body = answer.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        User { id: text(&body["user"]["id"]), token: text(&body["token"]), cookie }
    }
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) token: String,
    /// `name=value`, as a browser sends it back.
    pub(crate) cookie: String,
}

impl User {
    /// The header of a program that acts for this user.
    pub(crate) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.token)
    }

    /// The header of this user's browser.
    pub(crate) fn cookie(&self) -> String {
        format!("Cookie: {}\r\n", self.cookie)
    }

    /// Asks for one thing, over HTTP.
    pub(crate) async fn command(&self, server: SocketAddr, command: Value) -> Answer {
        post(server, "/api/commands", &self.bearer(), &json!({"request_id": "r1", "command": command})).await
    }

    /// Sends a direct message.
    pub(crate) async fn send(&self, server: SocketAddr, to: &Self, cid: &str, text: &str) -> Answer {
        self.try_send(server, to, cid, text).await.unwrap()
    }

    /// Sends a direct message to a server that may have stopped. After an error, the outcome is unknown.
    pub(crate) async fn try_send(
        &self,
        server: SocketAddr,
        to: &Self,
        cid: &str,
        text: &str,
    ) -> io::Result<Answer> {
        let command = json!({"type": "send", "to": {"user": to.id}, "cid": cid, "text": text});
        let headers = format!("Content-Type: application/json\r\n{}", self.bearer());
        let body = json!({"command": command}).to_string();
        try_ask(server, &post_request(server, "/api/commands", &headers, body.as_bytes())).await
    }

    /// The cids of all messages of a conversation, in rising `seq`, which is checked to have no gap.
    pub(crate) async fn cids(&self, server: SocketAddr, conversation: &str) -> Vec<String> {
        let mut messages: Vec<Value> = Vec::new();
        loop {
            let before =
                messages.first().map(|first| format!("&before={}", first["seq"])).unwrap_or_default();
            let path = format!("/api/conversations/{conversation}/messages?limit=200{before}");
            let page = self.get(server, &path).await;
            // A conversation begins with its first message.
            if page.status == 404 {
                return Vec::new();
            }
            let page = page.json();
            messages.splice(0..0, page["messages"].as_array().unwrap().iter().cloned());
            if page["more"] == false {
                break;
            }
        }
        let seqs = messages.iter().map(|message| message["seq"].as_u64().unwrap());
        assert!(seqs.eq(1..=messages.len() as u64), "the numbers have a gap");
        messages.iter().map(|message| message["cid"].as_str().unwrap().to_owned()).collect()
    }

    /// Reads something of the API.
    pub(crate) async fn get(&self, server: SocketAddr, path: &str) -> Answer {
        get(server, path, &self.bearer()).await
    }
}

/// The answer to a request, headers in the order in which they came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The code of a problem document, which this must be.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status, "{body}");
        body["code"].as_str().unwrap().to_owned()
    }
}

/// One GET on a connection of its own. `headers` are whole lines.
pub(crate) async fn get(server: SocketAddr, path: &str, headers: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n{headers}\r\n");
    ask(server, request.as_bytes()).await
}

/// One POST of JSON on a connection of its own. `headers` are whole lines.
pub(crate) async fn post(server: SocketAddr, path: &str, headers: &str, body: &Value) -> Answer {
    let headers = format!("Content-Type: application/json\r\n{headers}");
    post_bytes(server, path, &headers, body.to_string().as_bytes()).await
}

/// One POST of anything on a connection of its own. `headers` are whole lines.
pub(crate) async fn post_bytes(server: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Answer {
    ask(server, &post_request(server, path, headers, body)).await
}

fn post_request(server: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Writes a request unchanged and reads the answer, up to its end.
pub(crate) async fn ask(server: SocketAddr, request: &[u8]) -> Answer {
    try_ask(server, request).await.unwrap()
}

/// The same, for a server that may have stopped.
pub(crate) async fn try_ask(server: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(request).await?;
    try_read_answer(&mut stream).await
}

/// Reads one answer, which ends by its length or by a last chunk.
pub(crate) async fn read_answer(stream: &mut TcpStream) -> Answer {
    try_read_answer(stream).await.unwrap()
}

async fn try_read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
    timeout(PATIENCE, read(&mut BufReader::new(stream))).await.expect("the server answers in time")
}

/// The head of the answer to a request. The body of a stream has no end to wait for.
pub(crate) async fn head(server: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut stream = BufReader::new(&mut stream);
    timeout(PATIENCE, read_head(&mut stream)).await.expect("the server answers in time").unwrap()
}

async fn read(stream: &mut BufReader<&mut TcpStream>) -> io::Result<Answer> {
    let mut answer = read_head(stream).await?;
    if let Some(length) = answer.header("content-length") {
        answer.body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut answer.body).await?;
    } else if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let length = usize::from_str_radix(&line(stream).await?, 16).unwrap();
            let mut chunk = vec![0; length + 2];
            stream.read_exact(&mut chunk).await?;
            if length == 0 {
                break;
            }
            answer.body.extend(&chunk[..length]);
        }
    }
    Ok(answer)
}

async fn read_head(stream: &mut BufReader<&mut TcpStream>) -> io::Result<Answer> {
    let status_line = line(stream).await?;
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{status_line:?} is no status line"));
    let mut headers = Vec::new();
    while let Some((name, value)) = line(stream).await?.split_once(": ") {
        headers.push((name.to_owned(), value.to_owned()));
    }
    Ok(Answer { status, headers, body: Vec::new() })
}

/// One line, without its end.
async fn line(stream: &mut BufReader<&mut TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let whole = line.strip_suffix("\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(whole.to_owned())
}

/// Waits until the other end has closed the connection, whatever it still sends.
pub(crate) async fn gone(stream: &mut TcpStream) {
    let mut rest = [0; 4_096];
    // A reset is an end too.
    let reading = async { while let Ok(1..) = stream.read(&mut rest).await {} };
    timeout(PATIENCE, reading).await.expect("the server ends the connection in time");
}
