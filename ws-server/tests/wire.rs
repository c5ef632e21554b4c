//! The bytes of the WebSocket wire, read without a WebSocket library ([RFC 6455]).
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

#[path = "wire/closing.rs"]
mod closing;
#[path = "wire/frames.rs"]
mod frames;
#[path = "wire/handshake.rs"]
mod handshake;

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;
use laws::{PATIENCE, TestServer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use ws_server::WsServer;

use frames::{BINARY, PING, PONG, TEXT, Wire, frame, handshake, quiet_server};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A request whose reply is short. The length of its id decides the length of the reply.
fn typing(request_id: &str) -> Value {
    json!({"request_id": request_id, "command": {"type": "typing", "conversation": "c1"}})
}

fn send(to: &str, cid: &str, text: &str) -> Value {
    json!({"request_id": cid, "command": {"type": "send", "to": {"user": to}, "cid": cid, "text": text}})
}

fn found_group() -> Value {
    json!({"request_id": "g", "command": {"type": "create_group", "name": "rust", "cid": "g"}})
}

/// Ann's connection, in a group with no other member, so that her typing notices reach no client.
async fn with_group(server: &TestServer<WsServer>) -> Wire {
    let ann = server.user("Ann").await;
    let mut wire = Wire::open(server, &ann).await;
    wire.send(TEXT, found_group().to_string().as_bytes()).await;
    let mut types = [wire.json().await["type"].clone(), wire.json().await["type"].clone()];
    types.sort_by_key(Value::to_string);
    assert_eq!(types, ["group_created", "reply"]);
    wire
}

#[tokio::test]
async fn answers_the_handshake_of_the_rfc() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let (_wire, head) = Wire::ask(&server, &handshake("", ann.token.as_str())).await;
    let (status, headers) = head.trim_end().split_once("\r\n").unwrap();
    assert_eq!(status, "HTTP/1.1 101 Switching Protocols");
    let mut headers: Vec<&str> = headers.lines().filter(|line| !line.starts_with("date: ")).collect();
    headers.sort_unstable();
    // The server accepts neither the extension nor the subprotocol that was offered.
    assert_eq!(
        headers,
        [
            "connection: upgrade",
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "upgrade: websocket",
            "vary: origin",
        ]
    );
}

#[tokio::test]
async fn writes_short_lengths_in_one_byte_and_longer_ones_in_three() {
    let server = quiet_server(|_| {}).await;
    let mut wire = with_group(&server).await;
    let bare = r#"{"type":"reply","request_id":"","ok":{"type":"typing"}}"#.len();
    for (length, head) in
        [(bare, vec![TEXT, bare as u8]), (125, vec![TEXT, 125]), (126, vec![TEXT, 126, 0, 126])]
    {
        // One byte of an id is one byte of the reply, or six if it needs an escape.
        let (escapes, letters) = ((length - bare) / 6, (length - bare) % 6);
        let id = "\u{1}".repeat(escapes) + &"r".repeat(letters);
        wire.send(TEXT, typing(&id).to_string().as_bytes()).await;
        let (received, payload) = wire.receive().await;
        assert_eq!((received, payload.len()), (head, length));
    }
}

#[tokio::test]
async fn writes_the_longest_message_as_one_frame() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (mut from, mut to) = (Wire::open(&server, &ann).await, Wire::open(&server, &bob).await);
    // 8,192 bytes, each of which JSON writes as six.
    from.send(TEXT, send(&bob.id().to_string(), "c", &"\u{1}".repeat(8_192)).to_string().as_bytes()).await;
    assert_eq!(to.json().await["type"], "direct_started");
    let (head, payload) = to.receive().await;
    let message: Value = serde_json::from_slice(&payload).unwrap();
    let (id, at) = (message["id"].as_str().unwrap(), message["at"].as_str().unwrap());
    let text = "\\u0001".repeat(8_192);
    let expected = format!(
        r#"{{"type":"message","id":"{id}","conversation":"c1","seq":1,"from":"u1","cid":"c","text":"{text}","at":"{at}"}}"#
    );
    assert!(payload == expected.as_bytes(), "not byte for byte what the contract says");
    let [high, low] = (expected.len() as u16).to_be_bytes();
    assert_eq!(head, [TEXT, 126, high, low]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_lengths_beyond_65_535_in_nine_bytes() {
    let server = quiet_server(|limits| (limits.presence_list, limits.hash_queue) = (10_000, 10_000)).await;
    let ann = server.user("Ann").await;
    // Only the presence of very many people makes an event so long.
    let register =
        |number: u32| server.chat.register(format!("Bob {number}"), "correct horse".into(), LOCALHOST);
    for (crowd, length, head) in [
        (0..8_324, 65_535, vec![TEXT, 126, 0xFF, 0xFF]),
        (8_324..8_325, 65_543, vec![TEXT, 127, 0, 0, 0, 0, 0, 1, 0, 7]),
    ] {
        assert!(join_all(crowd.map(register)).await.iter().all(Result::is_ok));
        // This looks like a cursor from before a restart, so the server has to send who is here.
        let cursor = ann.cursor().await.to_string();
        let (event, _) = cursor.rsplit_once('.').unwrap();
        let mut wire =
            Wire::open_after(&server, ann.token.as_str(), &format!("?after={event}.00000000-1")).await;
        let (received, payload) = wire.receive().await;
        assert_eq!((received, payload.len()), (head, length));
        assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap()["type"], "presence");
    }
}

#[tokio::test]
async fn reads_lengths_in_every_form_up_to_the_limit() {
    let server = quiet_server(|_| {}).await;
    let mut wire = with_group(&server).await;
    for length in [125, 126, 65_535, 65_536] {
        let mut request = typing(&length.to_string()).to_string();
        request += &" ".repeat(length - request.len());
        wire.send(TEXT, request.as_bytes()).await;
        let expected = format!(r#"{{"type":"reply","request_id":"{length}","ok":{{"type":"typing"}}}}"#);
        assert_eq!(wire.text().await, expected);
    }
}

#[tokio::test]
async fn answers_a_binary_request_in_binary_and_a_text_request_in_text() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let mut wire = Wire::open(&server, &ann).await;
    wire.send(TEXT, found_group().to_string().as_bytes()).await;
    let kinds = [BINARY, TEXT, TEXT, BINARY, BINARY, TEXT];
    // Some requests wait for the disk, some are refused at once. The replies keep their order, and each has the kind of
    // its request.
    let mut requests = Vec::new();
    for (number, kind) in kinds.into_iter().enumerate() {
        let request = match number % 2 {
            0 => send(&bob.id().to_string(), &number.to_string(), "hi"),
            _ => json!({"request_id": number.to_string(), "command": {"type": "dance"}}),
        };
        requests.extend(frame(kind, request.to_string().as_bytes()));
    }
    wire.0.write_all(&requests).await.unwrap();
    let mut replies = Vec::new();
    while replies.len() < kinds.len() + 1 {
        let (head, payload) = wire.receive().await;
        let json: Value = serde_json::from_slice(&payload).unwrap();
        match json["type"] == "reply" {
            true => replies.push((json["request_id"].as_str().unwrap().to_owned(), head[0])),
            // An event belongs to no request, so it is text.
            false => assert_eq!(head[0], TEXT, "{json}"),
        }
    }
    let expected = kinds.into_iter().enumerate().map(|(number, kind)| (number.to_string(), kind));
    assert_eq!(replies[1..], expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn joins_the_fragments_of_a_message_around_a_ping() {
    let server = quiet_server(|_| {}).await;
    let mut wire = with_group(&server).await;
    let request = typing("é").to_string();
    // The message is cut in the middle of a character, which is allowed.
    let (one, two) = request.as_bytes().split_at(request.find('é').unwrap() + 1);
    wire.send(0x01, one).await;
    wire.send(PING, b"are you there?").await;
    assert_eq!(wire.payload(PONG).await, b"are you there?");
    wire.send(0x00, two).await;
    wire.send(0x80, b" ").await;
    assert_eq!(wire.text().await, r#"{"type":"reply","request_id":"é","ok":{"type":"typing"}}"#);
}

#[tokio::test]
async fn reads_what_came_before_the_handshake_was_answered() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let found = frame(TEXT, found_group().to_string().as_bytes());
    let (ping, typing) = (frame(PING, b"early"), frame(TEXT, typing("r").to_string().as_bytes()));
    let said = [found, ping, typing].concat();
    let address = server.target.base().trim_start_matches("http://");
    let handshake = handshake("", ann.token.as_str());
    // The frames come together with the handshake, or are cut anywhere.
    for cut in [0, 1, 2, 7, 40, said.len()] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&[handshake.as_bytes(), &said[..cut]].concat()).await.unwrap();
        stream.write_all(&said[cut..]).await.unwrap();
        let mut wire = Wire(stream);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(wire.read(1).await);
        }
        let (mut pongs, mut replies) = (Vec::new(), 0);
        while replies < 2 || pongs.is_empty() {
            let (head, payload) = wire.receive().await;
            match head[0] {
                PONG => pongs.push(payload),
                _ => replies += u32::from(payload.starts_with(br#"{"type":"reply""#)),
            }
        }
        assert_eq!(pongs, [b"early"], "cut at {cut}");
    }
}

#[tokio::test]
async fn never_writes_a_pong_into_a_message() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let (from, mut to) = (Wire::open(&server, &ann).await, Wire::open(&server, &bob).await);
    let (mut heard, mut said) = from.0.into_split();
    let text = "x".repeat(8_000);
    let talking = async {
        for number in 0..500 {
            let request = send(&bob.id().to_string(), &number.to_string(), &text).to_string();
            said.write_all(&frame(TEXT, request.as_bytes())).await.unwrap();
        }
    };
    // Ann reads all the time. Otherwise the server would soon stop reading from her.
    let listening = tokio::spawn(async move { tokio::io::copy(&mut heard, &mut tokio::io::sink()).await });
    // Bob sends pings and reads nothing, until the buffers between the server and him are full.
    let asking = async {
        for number in 0..2_000_u32 {
            to.send(PING, &number.to_be_bytes()).await;
        }
        server
            .eventually("messages wait for Bob", |server| server.metric("chat_frames_total", "") > 1_000)
            .await;
        let (mut pongs, mut messages) = (Vec::new(), 0);
        while messages < 500 || pongs.len() < 100 {
            let (head, payload) = to.receive().await;
            match head[0] {
                PONG => pongs.push(u32::from_be_bytes(payload.try_into().unwrap())),
                TEXT => messages += u32::from(payload.windows(4).any(|text| text == b"xxxx")),
                other => panic!("no frame begins with {other:x}"),
            }
        }
        assert!(pongs.is_sorted());
        assert_eq!(messages, 500);
    };
    tokio::join!(talking, asking);
    listening.abort();
}

#[tokio::test]
async fn gives_what_was_missed_in_order_one_frame_for_each_event() {
    let server = quiet_server(|_| {}).await;
    let (ann, bob) = (server.user("Ann").await, server.user("Bob").await);
    let cursor = bob.cursor().await;
    let mut from = Wire::open(&server, &ann).await;
    for number in 0..9 {
        let text = format!("number {number}");
        from.send(TEXT, send(&bob.id().to_string(), &number.to_string(), &text).to_string().as_bytes()).await;
    }
    let mut expected = Vec::new();
    while expected.len() < 10 {
        let event = from.text().await;
        if !event.contains("reply") {
            expected.push(event);
        }
    }
    let mut to = Wire::open_after(&server, bob.token.as_str(), &format!("?after={cursor}")).await;
    for event in expected {
        assert_eq!(to.text().await, event);
    }
}

#[tokio::test]
async fn does_not_quote_a_long_mistake_at_length() {
    let server = quiet_server(|_| {}).await;
    let ann = server.user("Ann").await;
    let mut wire = Wire::open(&server, &ann).await;
    let mistake = "x".repeat(65_000);
    for request in [json!({"command": {"type": mistake}}), json!({mistake: 1})] {
        wire.send(TEXT, request.to_string().as_bytes()).await;
        let reply = wire.text().await;
        assert!(reply.contains(r#""code":"bad_request""#) && reply.len() < 1_000, "{} bytes", reply.len());
    }
}

#[tokio::test]
async fn explains_itself() {
    let help = Command::new(env!("CARGO_BIN_EXE_ws-server")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for said in
        ["WebSocket", "--listen", "127.0.0.1:4001", "--database", "ws-server.db", "--origin", "--ping-after"]
    {
        assert!(help.contains(said), "{said} is missing:\n{help}");
    }
    // No option is required.
    assert!(help.contains("Usage: ws-server [OPTIONS]\n"), "{help}");
}

/// A program that is killed when a test is over.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn serves_the_counts_at_an_address_of_their_own() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ws-server"));
    command.args(["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--database", ":memory:"]);
    let mut program = Killed(command.stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(program.0.stdout.take().unwrap()).lines();
    let addresses = lines.take(2).map(|line| {
        let line = line.unwrap();
        let address = line.split_once("http://").expect("an address").1.split(['/', ' ']).next().unwrap();
        address.trim_end_matches('.').to_owned()
    });
    for (address, status) in addresses.zip(["200", "404"]) {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}
