//! Observers: they find out what the bytes of one connection mean, and do not change, delay or keep them.
//!
//! They do no input and no output. Bytes go in as they come, and the same bytes give the same notes and counts however
//! they are cut. What observers remember is bounded: a head, 512 bytes to show, a queue of requests. When they do not
//! understand a byte, they count it and all bytes after it as opaque, and say why.

mod body;
mod chunked;
mod content;
mod event_stream;
mod fields;
mod frames;
mod head;
mod unit;

use std::collections::VecDeque;

use self::body::Body;
use self::fields::{Asks, Extent, Head};
use self::frames::FrameReader;
use self::head::HeadReader;
use self::unit::{Scribe, Unit};
use crate::counts::{Direction, Flow, Layer};
use crate::event::Note;
use crate::what::{Opaque, What};

/// The most requests that wait for their responses at once: far more than any client pipelines.
const MOST_REQUESTS: usize = 256;

/// How closely a tap looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Observe {
    /// It counts bytes, and all of them are opaque.
    Bytes,
    /// It counts bytes by layer, requests, responses, frames and events.
    #[default]
    Counts,
    /// It also publishes each of them, as a [`WireEvent`](crate::WireEvent).
    Events,
}

/// Looks at both directions of one connection.
#[derive(Debug)]
pub struct Observer {
    to_server: Side,
    to_client: Side,
    /// What the requests ask for that still wait for a response, oldest first.
    asked: VecDeque<Asks>,
    /// Kept only with [`Observe::Events`].
    notes: Option<Vec<Note>>,
}

/// One direction.
#[derive(Debug)]
struct Side {
    /// The bytes seen so far.
    offset: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    Body(Body),
    Frames(FrameReader),
    Opaque(Unit),
}

impl Observer {
    /// For a connection that has carried nothing yet.
    #[must_use]
    pub fn new(observe: Observe) -> Self {
        let side = || Side {
            offset: 0,
            state: match observe {
                Observe::Bytes => State::Opaque(Unit::default()),
                Observe::Counts | Observe::Events => State::Head(HeadReader::default()),
            },
        };
        let notes = (observe == Observe::Events).then(Vec::new);
        Self { to_server: side(), to_client: side(), asked: VecDeque::new(), notes }
    }

    /// Looks at the next bytes of one direction, and gives what they add to the counts.
    pub fn feed(&mut self, direction: Direction, bytes: &[u8]) -> Flow {
        let mut left = bytes;
        let mut notes = self.notes.take();
        let offset = self.side(direction).offset;
        let flow = Flow { bytes: bytes.len() as u64, reads: 1, ..Flow::default() };
        let mut scribe = Scribe { direction, offset, flow, notes: notes.as_mut() };
        while !left.is_empty() {
            if let Err(why) = self.step(&mut left, &mut scribe) {
                self.give_up(why, &mut scribe);
            }
        }
        self.side(direction).offset = scribe.offset;
        let flow = scribe.flow;
        self.notes = notes;
        flow
    }

    /// Ends one direction. What had begun there is noted as far as it came.
    pub fn end(&mut self, direction: Direction) {
        let mut notes = self.notes.take();
        let offset = self.side(direction).offset;
        let mut scribe = Scribe { direction, offset, flow: Flow::default(), notes: notes.as_mut() };
        self.side(direction).end_of_stream(&mut scribe);
        self.notes = notes;
    }

    /// What was noticed since the last call, in order.
    pub fn take_notes(&mut self) -> impl Iterator<Item = Note> {
        self.notes.iter_mut().flat_map(|notes| notes.drain(..))
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// Takes at least one byte, or gives a reason why none can be understood any more.
    fn step(&mut self, left: &mut &[u8], scribe: &mut Scribe<'_>) -> Result<(), Opaque> {
        let lost = self.asked.is_empty() && matches!(self.to_server.state, State::Opaque(_));
        let side = self.side(scribe.direction);
        match &mut side.state {
            State::Head(reader) => {
                if scribe.direction == Direction::ToClient && lost && reader.is_empty() {
                    return Err(Opaque::UnknownRequest);
                }
                match reader.feed(left, scribe)? {
                    None => {}
                    Some(Head::Request { asks, body }) => self.request(asks, body)?,
                    Some(Head::Response { status, to_websocket, body, is_event_stream }) => {
                        self.response(status, to_websocket, body, is_event_stream, scribe)?;
                    }
                }
            }
            State::Body(body) => {
                if body.feed(left, scribe)? {
                    side.state = State::Head(HeadReader::default());
                }
            }
            State::Frames(reader) => reader.feed(left, scribe)?,
            State::Opaque(unit) => scribe.take(unit, std::mem::take(left), Layer::Opaque),
        }
        Ok(())
    }

    /// A request's head has passed.
    fn request(&mut self, asks: Asks, body: Extent) -> Result<(), Opaque> {
        // Once responses are not understood, it does not matter which requests they answer.
        if !matches!(self.to_client.state, State::Opaque(_)) {
            if self.asked.len() == MOST_REQUESTS {
                return Err(Opaque::ManyRequests);
            }
            self.asked.push_back(asks);
        }
        self.to_server.state = match body {
            Extent::Unsaid | Extent::UntilClose | Extent::Length(0) => State::Head(HeadReader::default()),
            Extent::Length(bytes) => State::Body(Body::with_length(bytes, false)),
            Extent::Chunked => State::Body(Body::chunked(false)),
        };
        Ok(())
    }

    /// A response's head has passed. The request that it answers decides what follows ([RFC 9112 §6.3]).
    ///
    /// [RFC 9112 §6.3]: https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    fn response(
        &mut self,
        status: u16,
        to_websocket: bool,
        body: Extent,
        is_event_stream: bool,
        scribe: &mut Scribe<'_>,
    ) -> Result<(), Opaque> {
        if (100..200).contains(&status) && status != 101 {
            return Ok(());
        }
        // A response such as 408 may come without a request. It has a body like any other.
        let asked = self.asked.pop_front().unwrap_or(Asks::Content);
        self.to_client.state = match (asked, status, body) {
            (Asks::WebSocket, 101, _) if to_websocket => return self.switch(scribe),
            (_, 101, _) | (Asks::Tunnel, 200..300, _) => {
                self.give_up_client(Opaque::OtherProtocol, scribe);
                return Err(Opaque::OtherProtocol);
            }
            (Asks::NoContent, ..) | (_, 204 | 304, _) | (_, _, Extent::Length(0)) => {
                State::Head(HeadReader::default())
            }
            (_, _, Extent::Length(bytes)) => State::Body(Body::with_length(bytes, is_event_stream)),
            (_, _, Extent::Chunked) => State::Body(Body::chunked(is_event_stream)),
            (_, _, Extent::Unsaid | Extent::UntilClose) => State::Body(Body::until_close(is_event_stream)),
        };
        Ok(())
    }

    /// From here on both directions speak WebSocket ([RFC 6455 §4.2.2]).
    ///
    /// [RFC 6455 §4.2.2]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
    fn switch(&mut self, scribe: &mut Scribe<'_>) -> Result<(), Opaque> {
        self.to_client.state = State::Frames(FrameReader::default());
        match &self.to_server.state {
            // Otherwise the client has already sent something else, which cannot be a frame yet.
            State::Head(reader) if reader.is_empty() && self.asked.is_empty() => {
                self.to_server.state = State::Frames(FrameReader::default());
            }
            _ => self.give_up_client(Opaque::EarlyBytes, scribe),
        }
        Ok(())
    }

    /// Notes that this direction is not understood from here on.
    fn give_up(&mut self, why: Opaque, scribe: &mut Scribe<'_>) {
        let side = self.side(scribe.direction);
        side.end_of_stream(scribe);
        side.state = State::Opaque(Unit::default());
        scribe.finish(&mut Unit::default(), || What::OpaqueFrom(why));
    }

    /// Notes that the client's direction is not understood from here on, because of what the server sent.
    fn give_up_client(&mut self, why: Opaque, scribe: &mut Scribe<'_>) {
        if matches!(self.to_server.state, State::Opaque(_)) {
            return;
        }
        let offset = self.to_server.offset;
        let (notes, flow) = (scribe.notes.as_deref_mut(), Flow::default());
        let mut of_client = Scribe { direction: Direction::ToServer, offset, flow, notes };
        self.give_up(why, &mut of_client);
    }
}

impl Side {
    fn end_of_stream(&mut self, scribe: &mut Scribe<'_>) {
        match &mut self.state {
            State::Head(reader) => reader.end_of_stream(scribe),
            State::Body(body) => body.end_of_stream(scribe),
            State::Frames(reader) => reader.end_of_stream(scribe),
            State::Opaque(unit) if !unit.is_empty() => {
                let bytes = unit.len();
                scribe.finish(unit, || What::Opaque(bytes));
            }
            State::Opaque(_) => {}
        }
    }
}
