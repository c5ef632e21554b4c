//! The relay: no byte is changed, no end is lost, and no queue grows without a limit.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::io::ErrorKind;
use std::time::Duration;

use support::{ANY_PORT, Bench, under};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use wiretap::{Basis, Conditions, Direction, Link, Observe, Reader, Settings, What, Wiretap};

/// How long a test waits for something that must come. Only a failure takes that long.
const PATIENCE: Duration = Duration::from_secs(20);

fn observing(observe: Observe) -> Settings {
    Settings { observe, ..Settings::default() }
}

/// Bytes without a pattern, the same in every run.
fn noise(bytes: usize, mut seed: u64) -> Vec<u8> {
    let next = |_| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u8
    };
    (0..bytes).map(next).collect()
}

/// Sends both ways at once until both ends are read to their end.
async fn exchange(bench: &Bench, up: &[u8], down: &[u8]) {
    let (client, server) = bench.connect().await;
    let (mut from_server, mut to_server) = client.into_split();
    let (mut from_client, mut to_client) = server.into_split();
    let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
    let all = async {
        tokio::join!(
            async { (to_server.write_all(up).await.unwrap(), to_server.shutdown().await.unwrap()) },
            async { (to_client.write_all(down).await.unwrap(), to_client.shutdown().await.unwrap()) },
            async { from_client.read_to_end(&mut got_up).await.unwrap() },
            async { from_server.read_to_end(&mut got_down).await.unwrap() },
        )
    };
    timeout(PATIENCE, all).await.expect("both streams end in time");
    assert!(got_up == up && got_down == down, "bytes were changed, lost or reordered");
}

#[tokio::test]
async fn alters_no_byte_however_it_looks() {
    let (up, down) = (noise(3_000_000, 1), noise(5_000_000, 2));
    for observe in [Observe::Bytes, Observe::Counts, Observe::Events] {
        let bench = Bench::new(observing(observe)).await;
        exchange(&bench, &up, &down).await;
        let counts = bench.tap.counts();
        assert_eq!((counts.to_server.bytes, counts.to_client.bytes), (3_000_000, 5_000_000));
        assert_eq!(counts.to_server.layers.total(), counts.to_server.bytes);
        assert_eq!(counts.to_client.layers.total(), counts.to_client.bytes);
        assert_eq!((counts.connections, counts.refused, counts.turned_away), (1, 0, 0));
    }
}

#[tokio::test]
async fn alters_no_byte_under_any_conditions() {
    let ms = Duration::from_millis;
    let rate = |bytes| std::num::NonZeroU64::new(bytes);
    let link = Link { delay: ms(3), jitter: ms(4), bandwidth: rate(20_000_000) };
    for conditions in [
        Conditions::both_ways(Link { delay: ms(5), ..Link::default() }),
        Conditions::both_ways(Link { jitter: ms(5), ..Link::default() }),
        Conditions::both_ways(Link { bandwidth: rate(20_000_000), ..Link::default() }),
        Conditions { reader: Reader::Slow(rate(20_000_000).unwrap()), ..Conditions::default() },
        Conditions::both_ways(link),
    ] {
        let bench = Bench::new(under(conditions)).await;
        exchange(&bench, &noise(3_000_000, 3), &noise(2_000_000, 4)).await;
    }
}

#[tokio::test]
async fn hands_a_half_close_on_and_keeps_the_other_half() {
    let bench = Bench::new(Settings::default()).await;
    let (mut client, mut server) = bench.connect().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = Vec::new();
    timeout(PATIENCE, server.read_to_end(&mut question)).await.expect("the FIN comes through").unwrap();
    server.write_all(b"answer").await.unwrap();
    drop(server);
    let mut answer = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut answer)).await.expect("and the other one").unwrap();
    assert_eq!((question.as_slice(), answer.as_slice()), (&b"question"[..], &b"answer"[..]));
}

#[tokio::test]
async fn hands_a_reset_on_as_a_reset_behind_what_came_before() {
    let delay = Link { delay: Duration::from_millis(20), ..Link::default() };
    for conditions in [Conditions::default(), Conditions::both_ways(delay)] {
        let bench = Bench::new(under(conditions)).await;
        let (mut client, mut server) = bench.connect().await;
        client.write_all(b"last").await.unwrap();
        // The tap has to have read it, because a reset deletes what is still unread.
        let mut word = [0; 4];
        if conditions == Conditions::default() {
            server.read_exact(&mut word).await.unwrap();
        } else {
            while bench.tap.counts().to_server.bytes < 4 {
                tokio::task::yield_now().await;
            }
        }
        client.set_zero_linger().unwrap();
        drop(client);
        if conditions != Conditions::default() {
            server.read_exact(&mut word).await.unwrap();
        }
        assert_eq!(&word, b"last");
        let ended = timeout(PATIENCE, server.read(&mut word)).await.expect("the end comes through");
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_client_that_has_left_ends_the_server_s_side_too() {
    let bench = Bench::new(Settings::default()).await;
    let (client, mut server) = bench.connect().await;
    drop(client);
    // The server sees a FIN, goes on writing, and then notices that the client has ended.
    let writing = async {
        loop {
            if server.write_all(&[0; 10_000]).await.is_err() {
                return;
            }
        }
    };
    timeout(PATIENCE, writing).await.expect("the connection is broken off");
}

#[tokio::test]
async fn resets_the_client_when_nothing_answers_upstream_and_says_so() {
    let nobody = TcpListener::bind(ANY_PORT).await.unwrap().local_addr().unwrap();
    let tap = Wiretap::listen(ANY_PORT, nobody, observing(Observe::Events)).await.unwrap();
    let mut viewer = tap.viewer();
    let mut client = TcpStream::connect(tap.address()).await.unwrap();
    let ended = timeout(PATIENCE, client.read_u8()).await.expect("it does not hang").unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::ConnectionReset);
    let event = viewer.next().await.unwrap();
    assert!(matches!(&event.note.what, What::Refused(why) if why.contains("refused")), "{event}");
    let counts = tap.counts();
    assert_eq!((counts.connections, counts.refused), (0, 1));
}

#[tokio::test]
async fn turns_away_what_is_beyond_its_cap_and_takes_others_again() {
    let bench = Bench::new(Settings { most_connections: 2, ..Settings::default() }).await;
    let first = bench.connect().await;
    let _second = bench.connect().await;
    let mut third = TcpStream::connect(bench.tap.address()).await.unwrap();
    let ended = timeout(PATIENCE, third.read_u8()).await.expect("it does not hang").unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::ConnectionReset);
    assert_eq!(bench.tap.counts().turned_away, 1);
    drop(first);
    // The tap notices the end a little later.
    let again = async {
        loop {
            let mut client = TcpStream::connect(bench.tap.address()).await.unwrap();
            tokio::select! {
                _ = client.read_u8() => {}
                accepted = bench.listener.accept() => return accepted.unwrap(),
            }
        }
    };
    timeout(PATIENCE, again).await.expect("there is room again");
}

/// How much a sender can write until no more is taken.
async fn pushed(sender: &mut TcpStream) -> u64 {
    let mut pushed = 0;
    while let Ok(written) = timeout(Duration::from_millis(300), sender.write(&[7; 65_536])).await {
        pushed += written.unwrap() as u64;
    }
    pushed
}

#[tokio::test]
async fn a_receiver_that_does_not_read_stops_the_sender() {
    let one_read = 64 * 1024;
    let delay = Link { delay: Duration::from_millis(1), ..Link::default() };
    for (conditions, most_held) in [
        (Conditions::default(), one_read),
        (Conditions::both_ways(delay), Link::IN_FLIGHT_BYTES as u64 + one_read),
        (Conditions { reader: Reader::Stopped, ..Conditions::default() }, 0),
    ] {
        let bench = Bench::new(under(conditions)).await;
        let (mut client, mut server) = bench.connect().await;
        let pushed = timeout(PATIENCE, pushed(&mut server)).await.expect("the sender is stopped");
        let read = bench.tap.close().await.to_client.bytes;
        assert!(read < pushed, "its own kernel buffers hold the rest");
        // Bytes that the tap held are lost. Bytes that it had written to the kernel still arrive.
        let mut arrived = Vec::new();
        timeout(PATIENCE, client.read_to_end(&mut arrived)).await.expect("the tap has hung up").unwrap();
        let held = read - arrived.len() as u64;
        assert!(held <= most_held, "the tap held {held} bytes under {conditions:?}");
    }
}

#[tokio::test]
async fn a_stopped_reader_reads_again_when_the_conditions_change() {
    let stopped = Conditions { reader: Reader::Stopped, ..Conditions::default() };
    let bench = Bench::new(under(stopped)).await;
    let (mut client, mut server) = bench.connect().await;
    server.write_all(b"hello").await.unwrap();
    client.write_all(b"hello").await.unwrap();
    let mut word = [0; 5];
    timeout(PATIENCE, server.read_exact(&mut word)).await.expect("the other way is not stopped").unwrap();
    assert_eq!(bench.tap.counts().to_client.bytes, 0);
    bench.tap.set_conditions(Conditions::default());
    timeout(PATIENCE, client.read_exact(&mut word)).await.expect("it reads again").unwrap();
}

#[tokio::test]
async fn ends_its_connections_with_itself() {
    let bench = Bench::new(Settings::default()).await;
    let (mut client, mut server) = bench.connect().await;
    let address = bench.tap.address();
    let counts = bench.tap.close().await;
    assert_eq!(counts.connections, 1);
    for end in [&mut client, &mut server] {
        let ended = timeout(PATIENCE, end.read(&mut [0])).await.expect("the end comes");
        assert!(matches!(ended, Ok(0) | Err(_)));
    }
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_slow_viewer_loses_the_oldest_events_and_knows_how_many() {
    let bench = Bench::new(Settings { event_backlog: 4, ..observing(Observe::Events) }).await;
    let mut viewer = bench.tap.viewer();
    let (mut client, mut server) = bench.connect().await;
    client.write_all(&[&b"GET / HTTP/1.1\r\n\r\n".repeat(9)[..], b"GET"].concat()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut all = Vec::new();
    timeout(PATIENCE, server.read_to_end(&mut all)).await.expect("nobody waits for the viewer").unwrap();
    drop(bench);
    let mut seen = Vec::new();
    while let Some(event) = viewer.next().await {
        seen.push(event.note.what.to_string());
    }
    // Twelve events: opened, nine requests, the unfinished head, the FIN. The newest four are left.
    assert_eq!(seen, ["GET / HTTP/1.1", "GET / HTTP/1.1", "unfinished head", "finished (FIN)"]);
    assert_eq!(viewer.dropped(), 8);
}

#[tokio::test]
async fn segments_are_those_that_the_kernel_counted() {
    let bench = Bench::new(Settings::default()).await;
    let (mut client, mut server) = bench.connect().await;
    let before = bench.tap.tcp_ip();
    for _ in 0..10 {
        client.write_all(b"ping").await.unwrap();
        server.read_exact(&mut [0; 4]).await.unwrap();
        server.write_all(b"pong").await.unwrap();
        client.read_exact(&mut [0; 4]).await.unwrap();
    }
    let added = bench.tap.tcp_ip() - before;
    if cfg!(target_os = "linux") {
        assert_eq!(added.basis, Basis::Kernel);
    }
    // Ten segments with bytes each way. An answer mostly carries the acknowledgement of its question.
    for segments in [added.segments.to_server, added.segments.to_client] {
        assert!((10..=21).contains(&segments), "{segments}");
    }
    let bytes = added.bytes(Direction::ToServer);
    assert_eq!(*bytes.start(), 40 * added.segments.to_server);
    // They stay counted when the connection has ended.
    let so_far = bench.tap.tcp_ip().segments.to_server;
    drop((client, server));
    let ended = async {
        while bench.tap.counts().ended < 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, ended).await.expect("the connection ends with its ends");
    assert!(bench.tap.tcp_ip().segments.to_server >= so_far);
}
