//! What the tap itself costs: throughput and round-trip time, without it and at each level of observing.
//!
//! `cargo run --release -p wiretap --example cost`. Everything is in one process on loopback, so both ends share the
//! processors with the tap. Compare only rows of one run, and name the machine when you quote a number.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wiretap::{Observe, Settings, Wiretap};

/// Over how many bytes a throughput is measured, and how many times.
const STREAM_BYTES: usize = 512 * 1024 * 1024;
const REPETITIONS: usize = 5;

/// How many round trips are measured for a median.
const ROUND_TRIPS: usize = 20_000;

/// What a stream consists of, again and again.
#[derive(Clone, Copy)]
enum Content {
    /// One body to the end of the connection.
    Body,
    /// WebSocket messages of 200 bytes.
    Frames,
    /// Events of 200 bytes, each in a chunk.
    Events,
}

impl Content {
    /// The request, the response's head, and what follows it.
    fn wire(self) -> (&'static str, &'static str, Vec<u8>) {
        let get = "GET / HTTP/1.1\r\n\r\n";
        let upgrade = "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n";
        match self {
            Self::Body => (get, "HTTP/1.1 200 OK\r\n\r\n", vec![b'x'; 65_536]),
            Self::Frames => {
                let frame = [&[0x81, 126, 0, 200][..], &[b'x'; 200]].concat();
                (upgrade, "HTTP/1.1 101 \r\nUpgrade: websocket\r\n\r\n", frame.repeat(300))
            }
            Self::Events => {
                let event = format!("D1\r\nid: 7\ndata: {}\n\n\r\n", "x".repeat(195));
                (get, chunked, event.into_bytes().repeat(300))
            }
        }
    }
}

/// A server that sends a stream to every client, with a tap in front of it or without.
async fn serve(content: Content, observe: Option<Observe>) -> std::io::Result<(SocketAddr, Option<Wiretap>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = listener.local_addr()?;
    tokio::spawn(async move {
        let (_, head, unit) = content.wire();
        while let Ok((mut stream, _)) = listener.accept().await {
            let (unit, mut request) = (unit.clone(), vec![0; content.wire().0.len()]);
            tokio::spawn(async move {
                stream.read_exact(&mut request).await?;
                stream.write_all(head.as_bytes()).await?;
                let mut left = STREAM_BYTES;
                while left > 0 {
                    stream.write_all(&unit).await?;
                    left = left.saturating_sub(unit.len());
                }
                Ok::<_, std::io::Error>(())
            });
        }
    });
    let Some(observe) = observe else { return Ok((server, None)) };
    let settings = Settings { observe, ..Settings::default() };
    let tap = Wiretap::listen(SocketAddr::from(([127, 0, 0, 1], 0)), server, settings).await?;
    Ok((tap.address(), Some(tap)))
}

/// Megabytes (10⁶) a second, the median of some runs.
async fn throughput(content: Content, observe: Option<Observe>) -> std::io::Result<f64> {
    let (address, _tap) = serve(content, observe).await?;
    let (mut rates, mut into) = (Vec::new(), vec![0; 256 * 1024]);
    for _ in 0..REPETITIONS {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(content.wire().0.as_bytes()).await?;
        let (began, mut got) = (Instant::now(), 0);
        loop {
            match stream.read(&mut into).await? {
                0 => break,
                read => got += read,
            }
        }
        rates.push(got as f64 / 1e6 / began.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[REPETITIONS / 2])
}

/// The median and the 99th percentile of the time for a masked frame there and a plain one back.
async fn round_trip(observe: Option<Observe>) -> std::io::Result<(Duration, Duration)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = listener.local_addr()?;
    let tap = match observe {
        None => None,
        Some(observe) => {
            let settings = Settings { observe, ..Settings::default() };
            Some(Wiretap::listen(SocketAddr::from(([127, 0, 0, 1], 0)), server, settings).await?)
        }
    };
    let mut client = TcpStream::connect(tap.as_ref().map_or(server, Wiretap::address)).await?;
    let (mut server, _) = listener.accept().await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (request, response, _) = Content::Frames.wire();
    let (up, down) =
        ([&[0x81, 0x80 | 100, 1, 2, 3, 4][..], &[0; 100]].concat(), [&[0x81, 100][..], &[0; 100]].concat());
    let mut into = [0; 1_024];
    client.write_all(request.as_bytes()).await?;
    server.read_exact(&mut into[..request.len()]).await?;
    server.write_all(response.as_bytes()).await?;
    client.read_exact(&mut into[..response.len()]).await?;
    tokio::spawn(async move {
        let mut into = [0; 106];
        while server.read_exact(&mut into).await.is_ok() {
            if server.write_all(&down).await.is_err() {
                break;
            }
        }
    });
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let began = Instant::now();
        client.write_all(&up).await?;
        client.read_exact(&mut into[..102]).await?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok((times[ROUND_TRIPS / 2], times[ROUND_TRIPS * 99 / 100]))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let depths = [None, Some(Observe::Bytes), Some(Observe::Counts), Some(Observe::Events)];
    println!("{:<14} {:>10} {:>10} {:>10}   round trip p50, p99", "", "body", "frames", "events");
    for observe in depths {
        let name = observe.map_or("without a tap".to_owned(), |observe| format!("{observe:?}"));
        let mut row = format!("{name:<14}");
        for content in [Content::Body, Content::Frames, Content::Events] {
            row += &format!(" {:>5.0} MB/s", throughput(content, observe).await?);
        }
        let (p50, p99) = round_trip(observe).await?;
        println!("{row}   {p50:.1?}, {p99:.1?}");
    }
    Ok(())
}
