//! What a tap has counted: bytes by direction and layer, and how many of each thing passed.

use std::ops::{AddAssign, Sub};

use serde::Serialize;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Direction {
    /// `↑` to the server, `↓` to the client.
    #[must_use]
    pub fn arrow(self) -> char {
        match self {
            Self::ToServer => '↑',
            Self::ToClient => '↓',
        }
    }
}

/// What a byte is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// What an application asked to be carried: the payload of text, binary and continuation frames, the
    /// values of `data:` fields, the content of every other HTTP body.
    Payload,
    /// What a transport adds to each message: WebSocket frame heads with their masks and whole control frames; in an
    /// event stream all but the values of `data:`; chunk heads, chunk ends and trailers.
    Framing,
    /// Request lines, status lines, header fields, and the empty line after them.
    HttpHead,
    /// Everything after a place that was not understood, and everything if the tap does not observe.
    Opaque,
}

/// Makes a struct of counters, which can be added and subtracted field by field.
macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)+
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, more: Self) {
                $(self.$field += more.$field;)+
            }
        }

        impl Sub for $name {
            type Output = Self;

            /// What was counted since an earlier reading of the same counters.
            fn sub(self, earlier: Self) -> Self {
                Self { $($field: self.$field - earlier.$field,)+ }
            }
        }
    };
}

counters! {
    /// Bytes by layer.
    Layers {
        /// Bytes of [`Layer::Payload`].
        payload: u64,
        /// Bytes of [`Layer::Framing`].
        framing: u64,
        /// Bytes of [`Layer::HttpHead`].
        http_head: u64,
        /// Bytes of [`Layer::Opaque`].
        opaque: u64,
    }
}

impl Layers {
    /// The bytes of all layers.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.payload + self.framing + self.http_head + self.opaque
    }

    pub(crate) fn add(&mut self, layer: Layer, bytes: u64) {
        match layer {
            Layer::Payload => self.payload += bytes,
            Layer::Framing => self.framing += bytes,
            Layer::HttpHead => self.http_head += bytes,
            Layer::Opaque => self.opaque += bytes,
        }
    }
}

counters! {
    /// Whole WebSocket frames by opcode ([RFC 6455 §5.2]).
    ///
    /// [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2
    Frames {
        /// The second and later frames of a fragmented message.
        continuation: u64,
        /// Text messages, or the first frame of one.
        text: u64,
        /// Binary messages, or the first frame of one.
        binary: u64,
        /// Close.
        close: u64,
        /// Ping.
        ping: u64,
        /// Pong.
        pong: u64,
        /// Opcodes that the RFC reserves.
        reserved: u64,
    }
}

counters! {
    /// What went one way, over all connections of a tap.
    Flow {
        /// All bytes, counted by the relay as it reads them: the sum of `layers`.
        bytes: u64,
        /// The same bytes by layer, as the observers tell them apart.
        layers: Layers,
        /// Reads that gave bytes. They show how the kernel cut the stream, not how the sender wrote it.
        reads: u64,
        /// Heads of requests, or of responses other than interim ones (1xx but 101).
        heads: u64,
        /// Heads of interim responses, such as 100 Continue.
        interim_heads: u64,
        /// Chunks of chunked bodies, the last and empty one included.
        chunks: u64,
        /// Events of event streams: blocks with at least one `data:` field.
        events: u64,
        /// Comments of event streams.
        comments: u64,
        /// WebSocket frames by opcode.
        frames: Frames,
    }
}

counters! {
    /// Everything that a tap has counted since it began to listen.
    Counts {
        /// Connections that were accepted and had their upstream connection.
        connections: u64,
        /// Those of them that have ended.
        ended: u64,
        /// Connections that the upstream server did not take.
        refused: u64,
        /// Connections turned away because the tap had as many as it may have.
        turned_away: u64,
        /// From clients to the server.
        to_server: Flow,
        /// From the server to clients.
        to_client: Flow,
    }
}

impl Counts {
    /// Requests that passed.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.to_server.heads
    }

    /// Responses that passed, without interim ones.
    #[must_use]
    pub fn responses(&self) -> u64 {
        self.to_client.heads
    }

    /// What went one way.
    #[must_use]
    pub fn flow(&self, direction: Direction) -> &Flow {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    pub(crate) fn flow_mut(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}
