//! What TCP/IP adds, estimated: segments as the kernel counted them, each with its two headers.
//!
//! A relay sees a stream of bytes and no packets. The kernel counts the packets, and can be asked.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::ops::{RangeInclusive, Sub};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::net::TcpStream;

use crate::counts::{Counts, Direction};
use crate::diagnosis::Diagnosis;

/// What the estimate is based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Segments that arrived at the tap, counted by the kernel as each sender made them, with its bare
    /// acknowledgements. Some are missing: the SYN, segments after the tap's own FIN, and segments between the last
    /// question to the kernel and a reset.
    ///
    /// On loopback one segment carries up to 64 KiB; on Ethernet the same bytes need one for each 1,448.
    Kernel,
    /// The kernel gives no numbers. Every read counts as one segment that was acknowledged by another.
    Reads,
}

/// Segments by direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Segments {
    /// Sent by clients.
    pub to_server: u64,
    /// Sent by the server.
    pub to_client: u64,
}

/// What TCP/IP added to the bytes of the streams: an estimate, to be labelled as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TcpIp {
    /// What it is based on.
    pub basis: Basis,
    /// Segments, with or without bytes of the stream in them.
    pub segments: Segments,
}

impl TcpIp {
    /// The headers of one segment: 20 bytes of IPv4 and 20 to 40 of TCP. Linux usually adds 12 of timestamps,
    /// which makes 52; IPv6 has 20 bytes more.
    pub const HEADER_BYTES: RangeInclusive<u64> = 40..=60;

    /// The bytes of headers that went one way: at least, and at most.
    #[must_use]
    pub fn bytes(&self, direction: Direction) -> RangeInclusive<u64> {
        let segments = match direction {
            Direction::ToServer => self.segments.to_server,
            Direction::ToClient => self.segments.to_client,
        };
        segments * Self::HEADER_BYTES.start()..=segments * Self::HEADER_BYTES.end()
    }
}

impl Sub for TcpIp {
    type Output = Self;

    /// What was added since an earlier estimate of the same tap.
    fn sub(self, earlier: Self) -> Self {
        let segments = Segments {
            to_server: self.segments.to_server.saturating_sub(earlier.segments.to_server),
            to_client: self.segments.to_client.saturating_sub(earlier.segments.to_client),
        };
        Self { basis: self.basis, segments }
    }
}

/// The connections whose segments are counted.
#[derive(Default)]
pub(crate) struct Kernel {
    /// Guards the socket for questions, which is opened when it is first needed, and the answers.
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    diagnosis: Option<Diagnosis>,
    /// Whether the kernel ever answered.
    answers: bool,
    open: HashMap<u64, Sockets>,
    closed: Segments,
}

/// The two sockets of one connection, and their latest counts.
#[derive(Clone, Copy)]
struct Sockets {
    /// The tap's address and the client's.
    client: (SocketAddr, SocketAddr),
    /// The tap's address and the server's.
    server: (SocketAddr, SocketAddr),
    latest: Segments,
}

/// A connection whose segments are counted until this is dropped.
pub(crate) struct Watched {
    kernel: Arc<Kernel>,
    number: u64,
}

impl Kernel {
    /// Counts the segments of a connection from now on.
    pub(crate) fn watch(self: &Arc<Self>, number: u64, client: &TcpStream, server: &TcpStream) -> Watched {
        let ends = |stream: &TcpStream| Ok::<_, io::Error>((stream.local_addr()?, stream.peer_addr()?));
        // A socket without a peer is broken already, and has nothing to count.
        if let (Ok(client), Ok(server)) = (ends(client), ends(server)) {
            let sockets = Sockets { client, server, latest: Segments::default() };
            self.with(|books| books.open.insert(number, sockets));
        }
        Watched { kernel: Arc::clone(self), number }
    }

    /// Asks about one connection now, before the kernel forgets it.
    pub(crate) fn look(&self, watched: &Watched) {
        self.with(|books| books.look(watched.number));
    }

    pub(crate) fn tcp_ip(&self, counts: &Counts) -> TcpIp {
        self.with(|books| {
            let numbers: Vec<u64> = books.open.keys().copied().collect();
            for number in numbers {
                books.look(number);
            }
            if !books.answers {
                let both = counts.to_server.reads + counts.to_client.reads;
                return TcpIp {
                    basis: Basis::Reads,
                    segments: Segments { to_server: both, to_client: both },
                };
            }
            let mut segments = books.closed;
            for Sockets { latest, .. } in books.open.values() {
                segments.to_server += latest.to_server;
                segments.to_client += latest.to_client;
            }
            TcpIp { basis: Basis::Kernel, segments }
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Books) -> T) -> T {
        work(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Books {
    fn look(&mut self, number: u64) {
        let Some(sockets) = self.open.get_mut(&number) else { return };
        if self.diagnosis.is_none() {
            self.diagnosis = Diagnosis::open().ok();
        }
        let Some(diagnosis) = &mut self.diagnosis else { return };
        // The kernel forgets a socket that is closed both ways. Then the last answer stays.
        if let Some(segments) = diagnosis.segments_in(sockets.client) {
            sockets.latest.to_server = sockets.latest.to_server.max(segments.into());
            self.answers = true;
        }
        if let Some(segments) = diagnosis.segments_in(sockets.server) {
            sockets.latest.to_client = sockets.latest.to_client.max(segments.into());
            self.answers = true;
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.kernel.with(|books| {
            if let Some(Sockets { latest, .. }) = books.open.remove(&self.number) {
                books.closed.to_server += latest.to_server;
                books.closed.to_client += latest.to_client;
            }
        });
    }
}
