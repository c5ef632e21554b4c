//! The tap as a program: a process that prints what passes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

fn wiretap(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wiretap"));
    command.args(flags).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The error message for flags that are not accepted. Nothing else may be printed.
fn complaint(flags: &[&str]) -> String {
    let Output { status, stdout, stderr } = wiretap(flags).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), stdout.len()), (Some(2), 0), "{said}");
    said
}

#[test]
fn a_busy_port_is_named_with_its_flag() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let said = complaint(&["--listen", &address, "--to", "127.0.0.1:1"]);
    assert!(said.contains(&format!("port {} ", busy.local_addr().unwrap().port())), "{said}");
    assert!(said.contains("--listen 127.0.0.1:PORT"), "{said}");
}

#[test]
fn flags_that_make_no_sense_are_named_with_what_would() {
    let ends = ["--listen", "127.0.0.1:0", "--to", "127.0.0.1:1"];
    for (flags, words) in [
        (&["--bandwidth", "1MBit"][..], &["--bandwidth", "1MB/s"][..]),
        (&["--bandwidth", "0B/s"], &["--bandwidth", "more than nothing"]),
        (&["--bandwidth", "99999999999999GB/s"], &["--bandwidth", "below 2⁶⁴"]),
        (&["--delay", "50"], &["--delay", "50"]),
        (&["--hex", "--json"], &["--hex", "--json"]),
    ] {
        let said = complaint(&[&ends, flags].concat());
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    for (listen, to, words) in [
        ("localhost", "127.0.0.1:1", &["--listen", "write it like 127.0.0.1:4001"][..]),
        ("127.0.0.1:99999", "127.0.0.1:1", &["--listen", "invalid port"]),
        ("127.0.0.1:0", "99999", &["--to", "invalid port"]),
        ("127.0.0.1:0", "localhost:0", &["--to names no port"]),
        ("5430", "localhost:5430", &["--listen and --to are the same address, 127.0.0.1:5430"]),
    ] {
        let said = complaint(&["--listen", listen, "--to", to]);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

/// A tap that runs, and a server that answers one request.
struct Running {
    tap: Child,
    address: SocketAddr,
    server: TcpListener,
}

impl Running {
    fn new(flags: &[&str]) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap().to_string();
        let mut tap = wiretap(&[&["--listen", "127.0.0.1:0", "--to", &to], flags].concat()).spawn().unwrap();
        let mut introduction = String::new();
        BufReader::new(tap.stderr.as_mut().unwrap()).read_line(&mut introduction).unwrap();
        let address = introduction.strip_prefix("wiretap listens on ").unwrap();
        Self { address: address.split(' ').next().unwrap().parse().unwrap(), tap, server }
    }

    /// One request and its answer, and then the end; returns what the tap printed.
    fn session(self, answer: &[u8]) -> String {
        let mut client = TcpStream::connect(self.address).unwrap();
        let (mut server, _) = self.server.accept().unwrap();
        client.write_all(b"GET /poll HTTP/1.1\r\nCookie: secret\r\n\r\n").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        server.read_to_end(&mut Vec::new()).unwrap();
        server.write_all(answer).unwrap();
        drop(server);
        client.read_to_end(&mut Vec::new()).unwrap();
        let stop = Command::new("kill").arg(self.tap.id().to_string()).status().unwrap();
        assert!(stop.success());
        let output = self.tap.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn prints_what_passes_and_sums_it_up() {
    let printed = Running::new(&["--delay", "1ms"]).session(ANSWER);
    for said in ["#1 ↑     38  GET /poll HTTP/1.1\n", "#1 ↓      5  body 5 B\n", "finished (FIN)\n"] {
        assert!(printed.contains(said), "{said} is missing:\n{printed}");
    }
    for (name, up, down) in
        [("bytes", 38, 43), ("payload", 0, 5), ("HTTP heads", 38, 38), ("requests, responses", 1, 1)]
    {
        let row = printed.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        let numbers: Vec<u64> = row.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert_eq!(numbers, [up, down], "{row}");
    }
}

#[test]
fn shows_bytes_without_their_secrets() {
    let printed = Running::new(&["--hex"]).session(ANSWER);
    assert!(printed.contains("00000000  47 45 54 20 2f 70 6f 6c"), "{printed}");
    assert!(printed.contains("hello") && !printed.contains("secret"), "{printed}");
    assert!(printed.contains(" 2a 2a 2a"), "{printed}");
}

#[test]
fn prints_json_for_programs() {
    let printed = Running::new(&["--json"]).session(ANSWER);
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let request = lines.iter().find(|line| line["summary"] == "GET /poll HTTP/1.1").unwrap();
    let shown = (&request["connection"], &request["direction"], &request["from"], &request["to"]);
    assert_eq!(shown, (&1.into(), &"to_server".into(), &0.into(), &38.into()));
    assert_eq!((&request["layer"], &request["layers"]["http_head"]), (&"http_head".into(), &38.into()));
    assert!(request["raw"].as_str().unwrap().starts_with("474554202f706f6c6c"));
    let end = lines.last().unwrap();
    assert_eq!(end["counts"]["to_client"]["layers"]["payload"], 5);
    assert_eq!(end["events_dropped"], 0);
}

#[test]
fn ends_when_its_output_is_no_longer_read() {
    let mut running = Running::new(&[]);
    drop(running.tap.stdout.take());
    // A process that another test starts at this moment may hold the pipe until it runs: then this write succeeds, and
    // a later one fails.
    let status = loop {
        // Once the program has ended, nothing listens any more.
        drop(TcpStream::connect(running.address));
        if let Some(status) = running.tap.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success());
}
