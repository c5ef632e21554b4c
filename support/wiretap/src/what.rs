//! The things that pass on a wire, each with its one-line summary.

use std::fmt;

/// One thing that passed; it prints as a summary of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A connection was accepted, and the server has taken it too.
    Opened,
    /// The server did not take the connection, for this reason; the client was reset.
    Refused(String),
    /// The tap has as many connections as it may have; the client was reset.
    TurnedAway,
    /// The sender has nothing more to send (FIN).
    Finished,
    /// The sender broke the connection off (RST), or could no longer be reached.
    Reset,
    /// A request line and its header fields.
    Request {
        /// Its method.
        method: String,
        /// Its target, cut to a readable length.
        target: String,
        /// The digit after `HTTP/1.`.
        minor: u8,
    },
    /// A status line and its header fields.
    Response {
        /// The status code.
        status: u16,
        /// What the server calls it, cut to a readable length.
        reason: String,
        /// The digit after `HTTP/1.`.
        minor: u8,
    },
    /// The content of a body, or of one chunk of it, in bytes.
    Body(u64),
    /// The size line of a chunk; the size in bytes.
    Chunk(u64),
    /// The line end after a chunk's content.
    ChunkEnd,
    /// The empty chunk that ends a body, with the trailers.
    LastChunk,
    /// A block of an event stream, up to and with the empty line that ends it.
    Block(Block),
    /// A WebSocket frame.
    Frame(Frame),
    /// The stream ended, or could not be followed, in the middle of this.
    Unfinished(&'static str),
    /// What follows is not understood, and only counted.
    OpaqueFrom(Opaque),
    /// What was not understood, shown when the stream ends; in bytes.
    Opaque(u64),
}

/// What one block of an event stream holds ([HTML §9.2.6]).
///
/// [HTML §9.2.6]: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// The value of `id:`, cut to a readable length.
    pub id: Option<String>,
    /// The value of `event:`, cut to a readable length.
    pub name: Option<String>,
    /// The value of `retry:`, as it was sent, cut to a readable length.
    pub retry: Option<String>,
    /// How many `data:` fields; an event is dispatched if there is any.
    pub data_fields: u64,
    /// The bytes of their values.
    pub data_bytes: u64,
    /// How many comments.
    pub comments: u64,
}

/// The head of a WebSocket frame ([RFC 6455 §5.2]).
///
/// [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Whether it is the last of its message.
    pub fin: bool,
    /// RSV1 to RSV3, as the bits 4, 2 and 1.
    pub rsv: u8,
    /// Four bits: 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    /// The key that the payload is masked with. Clients have to mask it.
    pub mask: Option<[u8; 4]>,
    /// The length of its head in bytes, the mask included: 2 to 14.
    pub head_bytes: usize,
    /// The length of the payload in bytes.
    pub payload_bytes: u64,
}

/// Why a stream is no longer understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opaque {
    /// The tap only counts bytes, and does not observe.
    NotObserved,
    /// Where a request or status line should be, there is something else.
    NotHttp,
    /// The head of a request or response breaks a rule.
    BadHead,
    /// The head of a request or response is longer than is kept.
    LongHead,
    /// The length of a body is not clear.
    BadLength,
    /// A chunk is not framed as it should be.
    BadChunk,
    /// More requests wait for their answers than are kept.
    ManyRequests,
    /// A response whose request was not understood.
    UnknownRequest,
    /// A switch to a protocol that is not observed, or a tunnel.
    OtherProtocol,
    /// The client had sent something before it could know of the switch.
    EarlyBytes,
    /// A WebSocket frame claims to be longer than 2⁶³−1 bytes.
    BadFrame,
}

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotObserved => "nothing is observed",
            Self::NotHttp => "not HTTP/1",
            Self::BadHead => "a malformed head",
            Self::LongHead => "a head that is too long",
            Self::BadLength => "a body of unknown length",
            Self::BadChunk => "a malformed chunk",
            Self::ManyRequests => "too many requests at once",
            Self::UnknownRequest => "an answer to who knows what",
            Self::OtherProtocol => "a switch to another protocol",
            Self::EarlyBytes => "bytes ahead of the switch",
            Self::BadFrame => "a malformed frame",
        })
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened => f.write_str("opened"),
            Self::Refused(why) => write!(f, "refused by the server: {why}"),
            Self::TurnedAway => f.write_str("turned away: too many connections"),
            Self::Finished => f.write_str("finished (FIN)"),
            Self::Reset => f.write_str("reset (RST)"),
            Self::Request { method, target, minor } => write!(f, "{method} {target} HTTP/1.{minor}"),
            Self::Response { status, reason, minor } => {
                write!(f, "HTTP/1.{minor} {status}{}{reason}", if reason.is_empty() { "" } else { " " })
            }
            Self::Body(bytes) => write!(f, "body {bytes} B"),
            Self::Chunk(bytes) => write!(f, "chunk {bytes:#x}"),
            Self::ChunkEnd => f.write_str("end of chunk"),
            Self::LastChunk => f.write_str("last chunk"),
            Self::Block(block) => block.fmt(f),
            Self::Frame(frame) => frame.fmt(f),
            Self::Unfinished(what) => write!(f, "unfinished {what}"),
            Self::OpaqueFrom(why) => write!(f, "opaque from here: {why}"),
            Self::Opaque(bytes) => write!(f, "opaque {bytes} B"),
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.data_fields > 0 {
            parts.push(format!("event data {} B", self.data_bytes));
        }
        let fields = [("id", &self.id), ("event", &self.name), ("retry", &self.retry)];
        parts.extend(
            fields.into_iter().filter_map(|(field, value)| Some(format!("{field} {}", value.as_ref()?))),
        );
        match self.comments {
            0 => {}
            1 => parts.push("comment".to_owned()),
            many => parts.push(format!("{many} comments")),
        }
        f.write_str(if parts.is_empty() { "empty line" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.opcode {
            0x0 => f.write_str("continuation")?,
            0x1 => f.write_str("text")?,
            0x2 => f.write_str("binary")?,
            0x8 => f.write_str("close")?,
            0x9 => f.write_str("ping")?,
            0xA => f.write_str("pong")?,
            reserved => write!(f, "opcode {reserved:#x}")?,
        }
        f.write_str(if self.fin { " FIN" } else { "" })?;
        for (bit, name) in [(4, " RSV1"), (2, " RSV2"), (1, " RSV3")] {
            f.write_str(if self.rsv & bit == 0 { "" } else { name })?;
        }
        f.write_str(if self.mask.is_some() { " MASK" } else { "" })?;
        write!(f, " {} B", self.payload_bytes)
    }
}
