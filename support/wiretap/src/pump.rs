//! One direction of one connection: reads bytes, has them observed, holds them as the conditions say, writes them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, Sleep};

use crate::conditions::{Conditions, Link, Reader};
use crate::counts::Direction;
use crate::ledger::Ledger;
use crate::pace::Pace;
use crate::what::What;

/// How much one read may take, in bytes.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    /// The buffer for reads. All connections of a thread share it, because bytes stay in it only during one read. So an
    /// idle connection needs no buffer.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// One direction of a connection.
pub(crate) struct Pump<'a> {
    direction: Direction,
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    pace: Pace,
    /// Whether the conditions forbid all reading.
    stopped: bool,
    /// What was read and not yet written, oldest first. An entry that is due waits for those before it. Empty while
    /// bytes pass at once.
    held: VecDeque<Held>,
    held_bytes: usize,
    /// The sender has finished or broken off. The last entry of `held` says which.
    ended: bool,
    /// The connection cannot go on: the sender was reset, or the receiver takes nothing more.
    doomed: bool,
    read_alarm: Alarm,
    write_alarm: Alarm,
}

/// Something that waits for its time.
struct Held {
    due: Instant,
    what: Cargo,
}

enum Cargo {
    Bytes(Bytes),
    Fin,
    Reset,
}

/// How one direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The sender's last byte and its FIN were passed on.
    Finished,
    /// The sender broke off; everything that came before was passed on.
    Reset,
    /// The receiver takes no more bytes.
    Unwritable,
}

impl<'a> Pump<'a> {
    pub(crate) fn new(direction: Direction, from: ReadHalf<'a>, to: WriteHalf<'a>, seed: u64) -> Self {
        Self {
            direction,
            from,
            to,
            pace: Pace::new(seed, Instant::now()),
            stopped: false,
            held: VecDeque::new(),
            held_bytes: 0,
            ended: false,
            doomed: false,
            read_alarm: Alarm::default(),
            write_alarm: Alarm::default(),
        }
    }

    /// Applies these conditions from now on.
    pub(crate) fn set(&mut self, conditions: &Conditions) {
        let (link, reader) = match self.direction {
            Direction::ToServer => (conditions.to_server, Reader::Eager),
            Direction::ToClient => (conditions.to_client, conditions.reader),
        };
        let slow = match reader {
            Reader::Eager | Reader::Stopped => None,
            Reader::Slow(rate) => Some(rate),
        };
        self.stopped = reader == Reader::Stopped;
        // The slower of the two; no limit only if neither has one.
        let rate = link.bandwidth.into_iter().chain(slow).min();
        self.pace.set(link, rate, Instant::now());
    }

    /// Whether the connection cannot go on. Then the tap waits only a little longer for what is held.
    pub(crate) fn is_doomed(&self) -> bool {
        self.doomed
    }

    /// The longest time for which a byte is held.
    pub(crate) fn longest_hold(&self) -> std::time::Duration {
        self.pace.longest()
    }

    /// Moves what can be moved. What is due is written first, because that makes room for reading.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, ledger: &mut Ledger) -> Poll<Ending> {
        loop {
            if let Poll::Ready(ending) = self.poll_deliver(cx) {
                self.doomed |= ending != Ending::Finished;
                return Poll::Ready(ending);
            }
            ready!(self.poll_take(cx, ledger));
        }
    }

    /// Writes what is due.
    fn poll_deliver(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        while let Some(Held { due, what }) = self.held.front_mut() {
            ready!(self.write_alarm.poll(cx, *due));
            match what {
                Cargo::Bytes(bytes) => match ready!(Pin::new(&mut self.to).poll_write(cx, bytes)) {
                    Err(_) => return Poll::Ready(Ending::Unwritable),
                    Ok(written) => {
                        self.held_bytes -= written;
                        bytes.advance(written);
                        if bytes.is_empty() {
                            self.held.pop_front();
                        }
                    }
                },
                Cargo::Fin => {
                    let closed = ready!(Pin::new(&mut self.to).poll_shutdown(cx));
                    return Poll::Ready(closed.map_or(Ending::Unwritable, |()| Ending::Finished));
                }
                Cargo::Reset => return Poll::Ready(Ending::Reset),
            }
        }
        Poll::Pending
    }

    /// Reads once, if there is room and the conditions allow it. Ready if another turn may move more.
    fn poll_take(&mut self, cx: &mut Context<'_>, ledger: &mut Ledger) -> Poll<()> {
        // Without a delay, only bytes that the receiver did not take are held. Then the sender has to wait too.
        let room = if self.pace.longest().is_zero() { 1 } else { Link::IN_FLIGHT_BYTES };
        if self.ended || self.stopped || self.held_bytes >= room {
            return Poll::Pending;
        }
        let mut most = READ_BYTES;
        if let Some((from, bytes)) = self.pace.limit() {
            ready!(self.read_alarm.poll(cx, from));
            most = most.min(bytes);
        }
        BUFFER.with_borrow_mut(|buffer| {
            let mut into = ReadBuf::new(&mut buffer[..most]);
            match ready!(Pin::new(&mut self.from).poll_read(cx, &mut into)) {
                Ok(()) if into.filled().is_empty() => self.end(Cargo::Fin, ledger),
                Ok(()) => self.pass(cx, into.filled(), ledger),
                Err(_) => self.end(Cargo::Reset, ledger),
            }
            Poll::Ready(())
        })
    }

    /// Writes bytes at once if the conditions allow it and the receiver takes them, and holds the rest.
    fn pass(&mut self, cx: &mut Context<'_>, bytes: &[u8], ledger: &mut Ledger) {
        ledger.saw(self.direction, bytes);
        let mut written = 0;
        // Nothing is held here. Otherwise there would have been no room to read.
        if self.pace.is_free() {
            // An error will come again when the rest is written.
            if let Poll::Ready(Ok(taken)) = Pin::new(&mut self.to).poll_write(cx, bytes) {
                written = taken;
            }
        }
        let rest = &bytes[written..];
        if !rest.is_empty() {
            let due = self.pace.due(rest.len(), Instant::now());
            self.held_bytes += rest.len();
            self.held.push_back(Held { due, what: Cargo::Bytes(Bytes::copy_from_slice(rest)) });
        }
    }

    fn end(&mut self, how: Cargo, ledger: &mut Ledger) {
        self.ended = true;
        self.doomed = matches!(how, Cargo::Reset);
        ledger.ended(self.direction, if self.doomed { What::Reset } else { What::Finished });
        let due = self.pace.due(0, Instant::now());
        self.held.push_back(Held { due, what: how });
    }
}

/// A timer that is made when it is first needed, and used again.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready from `at` on: never early, and late only by the timer's resolution.
    fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        if at <= Instant::now() {
            return Poll::Ready(());
        }
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }
}
