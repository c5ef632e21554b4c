//! Delay, jitter and bandwidth: never too early, never out of order, and not later than they have to be.
//!
//! The clock is paused. It stands still while something runs, and jumps when everything waits, so these tests take no
//! time. It jumps to the next timer even if the kernel has just made a socket ready. So each test first waits until the
//! tap has read what was sent, and then lets time go on.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::num::NonZeroU64;
use std::time::Duration;

use support::{Bench, under};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, advance};
use wiretap::{Conditions, Link, Reader};

const MS: Duration = Duration::from_millis(1);

/// The resolution of tokio's timer.
const GRAIN: Duration = MS;

fn delayed(delay: Duration, jitter: Duration) -> Conditions {
    Conditions::both_ways(Link { delay, jitter, ..Link::default() })
}

fn rate(bytes: u64) -> NonZeroU64 {
    NonZeroU64::new(bytes).unwrap()
}

/// Lets the tap read everything that was sent to the client or to the server, while time stands still.
async fn until_read(bench: &Bench, to_server: u64, to_client: u64) {
    while bench.tap.counts().to_server.bytes < to_server || bench.tap.counts().to_client.bytes < to_client {
        tokio::task::yield_now().await;
    }
}

/// Reads one byte, and says when it came.
async fn arrival(stream: &mut TcpStream) -> (u8, Instant) {
    (stream.read_u8().await.unwrap(), Instant::now())
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_added_each_way_and_never_falls_short() {
    let bench = Bench::new(under(delayed(50 * MS, Duration::ZERO))).await;
    let (mut client, mut server) = bench.connect().await;
    let began = Instant::now();
    client.write_all(b"?").await.unwrap();
    until_read(&bench, 1, 0).await;
    let (_, asked) = arrival(&mut server).await;
    server.write_all(b"!").await.unwrap();
    until_read(&bench, 1, 1).await;
    let (_, answered) = arrival(&mut client).await;
    for (way, took) in [("up", asked - began), ("down", answered - asked)] {
        assert!((50 * MS..=50 * MS + GRAIN).contains(&took), "{way}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_does_not_hold_up_what_follows() {
    let bench = Bench::new(under(delayed(100 * MS, Duration::ZERO))).await;
    let (mut client, mut server) = bench.connect().await;
    let mut sent = Vec::new();
    for number in 0..10 {
        client.write_all(&[number]).await.unwrap();
        until_read(&bench, u64::from(number) + 1, 0).await;
        sent.push(Instant::now());
        advance(5 * MS).await;
    }
    for (number, sent) in sent.into_iter().enumerate() {
        let (byte, came) = arrival(&mut server).await;
        assert_eq!(usize::from(byte), number);
        // If each byte waited for the one before, it would take a second in all.
        assert!((100 * MS..=100 * MS + GRAIN).contains(&(came - sent)), "{number}: {:?}", came - sent);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fin_takes_as_long_as_a_byte() {
    let bench = Bench::new(under(delayed(50 * MS, Duration::ZERO))).await;
    let (mut client, mut server) = bench.connect().await;
    let began = Instant::now();
    client.shutdown().await.unwrap();
    // No timer but the tap's is set, so time cannot go further than to that one.
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    assert!(began.elapsed() >= 50 * MS, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_within_its_bounds_and_keeps_the_order() {
    let bench = Bench::new(under(delayed(20 * MS, 30 * MS))).await;
    let (mut client, mut server) = bench.connect().await;
    let mut times = Vec::new();
    for number in 0..40 {
        // The bytes are far enough apart, so none waits for another.
        client.write_all(&[number]).await.unwrap();
        until_read(&bench, u64::from(number) + 1, 0).await;
        let sent = Instant::now();
        let (byte, came) = arrival(&mut server).await;
        assert_eq!(byte, number);
        times.push(came - sent);
    }
    let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(*least >= 20 * MS && *most <= 50 * MS + GRAIN, "{least:?} to {most:?}");
    assert!(*most - *least > 15 * MS, "{least:?} to {most:?} is no jitter");
    // Now the bytes are so close that many would overtake others.
    for number in 40..200 {
        client.write_all(&[number]).await.unwrap();
        until_read(&bench, u64::from(number) + 1, 0).await;
        advance(MS / 4).await;
    }
    for number in 40..200 {
        assert_eq!(arrival(&mut server).await.0, number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_conditions_keeps_the_order() {
    let bench = Bench::new(under(delayed(50 * MS, Duration::ZERO))).await;
    let (mut client, mut server) = bench.connect().await;
    client.write_all(b"1").await.unwrap();
    until_read(&bench, 1, 0).await;
    let sent = Instant::now();
    bench.tap.set_conditions(Conditions::default());
    client.write_all(b"2").await.unwrap();
    let (first, came) = arrival(&mut server).await;
    assert_eq!((first, arrival(&mut server).await.0), (b'1', b'2'));
    assert!(came - sent >= 50 * MS, "what is held keeps its time");
    client.write_all(b"3").await.unwrap();
    let sent = Instant::now();
    assert_eq!(arrival(&mut server).await, (b'3', sent));
}

/// Reads everything that comes, and checks at each byte that the link could have carried what came so far.
async fn no_faster_than(rate: u64, began: Instant, mut end: TcpStream, expected: usize) -> Duration {
    let (mut got, mut into) = (0, vec![0; 65_536]);
    loop {
        let read = end.read(&mut into).await.unwrap();
        if read == 0 {
            assert_eq!(got, expected);
            return began.elapsed();
        }
        got += read;
        let allowed = rate as f64 * (began.elapsed() + Link::BURST).as_secs_f64();
        assert!(got as f64 <= allowed + 1.0, "{got} bytes after {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_carries_no_more_than_its_bandwidth_and_nearly_that() {
    for bytes in [20_000, 1_000_000, 50_000_000] {
        let link = Link { bandwidth: Some(rate(bytes)), ..Link::default() };
        for conditions in [
            Conditions { to_client: link, ..Conditions::default() },
            Conditions { reader: Reader::Slow(rate(bytes)), ..Conditions::default() },
            Conditions {
                reader: Reader::Slow(rate(bytes)),
                ..Conditions::both_ways(Link { bandwidth: Some(rate(bytes * 2)), ..link })
            },
        ] {
            let bench = Bench::new(under(conditions)).await;
            let (client, mut server) = bench.connect().await;
            while bench.tap.counts().connections == 0 {
                tokio::task::yield_now().await;
            }
            // What an idle link saves up is limited too.
            advance(Duration::from_secs(1)).await;
            let began = Instant::now();
            let sending = tokio::spawn(async move {
                server.write_all(&vec![0; bytes as usize]).await.unwrap();
            });
            let took = no_faster_than(bytes, began, client, bytes as usize).await;
            sending.await.unwrap();
            // A second's worth.
            assert!(
                took >= Duration::from_secs(1) - Link::BURST && took < Duration::from_millis(1_200),
                "{took:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_message_takes_as_long_as_a_slow_link_needs_for_it() {
    let link = Link { bandwidth: Some(rate(1_000)), delay: 30 * MS, ..Link::default() };
    let bench = Bench::new(under(Conditions::both_ways(link))).await;
    let (mut client, mut server) = bench.connect().await;
    client.write_all(&[7; 95]).await.unwrap();
    until_read(&bench, 95, 0).await;
    let sent = Instant::now();
    let (_, came) = arrival(&mut server).await;
    let exact = 95 * MS + 30 * MS;
    assert!((exact - Link::BURST..=exact + GRAIN).contains(&(came - sent)), "{:?}", came - sent);
}
