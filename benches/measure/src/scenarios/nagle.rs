//! Nagle's algorithm: a request and its reply over bare TCP, with it and without, in one write and in two.
//!
//! With the algorithm, a small write waits until the write before it is acknowledged ([RFC 9293 §3.7.4]). A receiver
//! that has nothing to send delays its acknowledgement ([RFC 9293 §3.8.6.3]), so each side waits for the other. The
//! loop is closed: the next request leaves after the reply to the one before. Both ends are in this process.
//!
//! [RFC 9293 §3.7.4]: https://www.rfc-editor.org/rfc/rfc9293#section-3.7.4
//! [RFC 9293 §3.8.6.3]: https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.3

use std::net::Ipv4Addr;
use std::time::Instant;

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::latencies::Latencies;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::Subject;

/// A request in bytes: half for a head, half for a body.
const REQUEST_BYTES: usize = 256;
const REPLY_BYTES: usize = 64;

/// Exchanges before the first that is counted: on a new connection, the kernel acknowledges at once.
const WARM_UP: usize = 30;

pub(super) async fn measure(settings: &Settings, recorder: &mut Recorder) -> anyhow::Result<()> {
    for nodelay in [false, true] {
        for writes in [1, 2] {
            let round_trips = exchange(nodelay, writes, settings.full_or_quick(100, 10)).await?;
            let conditions = [("nodelay", f64::from(u8::from(nodelay))), ("writes", writes as f64)];
            recorder.row("nagle", Subject::Tcp, &conditions).add_latencies(&Latencies(round_trips))?;
        }
    }
    Ok(())
}

/// Sends requests one after the other, each in this number of writes.
async fn exchange(nodelay: bool, writes: usize, exchanges: usize) -> anyhow::Result<Histogram<u64>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    client.set_nodelay(nodelay)?;
    let answering = tokio::spawn(answer(server));
    let request = [b'x'; REQUEST_BYTES];
    let mut reply = [0; REPLY_BYTES];
    let mut round_trips = Histogram::new(3)?;
    for number in 0..WARM_UP + exchanges {
        let begun = Instant::now();
        for part in request.chunks(REQUEST_BYTES / writes) {
            client.write_all(part).await?;
        }
        client.read_exact(&mut reply).await?;
        if number >= WARM_UP {
            round_trips.record(u64::try_from(begun.elapsed().as_micros())?)?;
        }
    }
    drop(client);
    answering.await?;
    Ok(round_trips)
}

/// Replies to each complete request, in one write, until the client disconnects.
async fn answer(mut server: TcpStream) {
    let mut request = [0; REQUEST_BYTES];
    while server.read_exact(&mut request).await.is_ok() {
        if server.write_all(&[b'y'; REPLY_BYTES]).await.is_err() {
            return;
        }
    }
}
