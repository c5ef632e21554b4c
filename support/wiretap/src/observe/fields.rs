//! What the head of an HTTP/1 message says about the bytes that follow it ([RFC 9112 §6]).
//!
//! [RFC 9112 §6]: https://www.rfc-editor.org/rfc/rfc9112#section-6

use httparse::{EMPTY_HEADER, Header};

use super::unit::{Scribe, Unit};
use crate::counts::Direction;
use crate::what::{Opaque, What};

/// The most header fields, the same number as in hyper.
const MOST_FIELDS: usize = 100;

/// The most characters of a target or of a reason that a summary shows.
const SHOWN_CHARS: usize = 200;

/// The parts of a head that decide how the following bytes are read.
#[derive(Debug)]
pub(super) enum Head {
    Request { asks: Asks, body: Extent },
    Response { status: u16, to_websocket: bool, body: Extent, is_event_stream: bool },
}

/// The parts of a request that decide how its response is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// A response with its body.
    Content,
    /// HEAD: a response without the body that its head describes.
    NoContent,
    /// CONNECT: a tunnel.
    Tunnel,
    /// A switch to WebSocket.
    WebSocket,
}

/// Where a body ends ([RFC 9112 §6.3]).
///
/// [RFC 9112 §6.3]: https://www.rfc-editor.org/rfc/rfc9112#section-6.3
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// The head does not say: none in a request, to the end of the connection in a response.
    Unsaid,
    Length(u64),
    Chunked,
    /// In some other coding, to the end of the connection.
    UntilClose,
}

/// Reads a whole head, and makes a note of it.
pub(super) fn parse(head: &[u8], unit: &mut Unit, scribe: &mut Scribe<'_>) -> Result<Head, Opaque> {
    let mut fields = [EMPTY_HEADER; MOST_FIELDS];
    let parsed = match scribe.direction {
        Direction::ToServer => parse_request(head, &mut fields, unit, scribe),
        Direction::ToClient => parse_response(head, &mut fields, unit, scribe),
    };
    if parsed.is_err() {
        scribe.finish_head(unit, || What::Unfinished("head"));
    }
    parsed
}

fn parse_request<'a>(
    head: &'a [u8],
    fields: &mut [Header<'a>],
    unit: &mut Unit,
    scribe: &mut Scribe<'_>,
) -> Result<Head, Opaque> {
    let mut request = httparse::Request::new(fields);
    request.parse(head).map_err(|_| Opaque::BadHead)?;
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let minor = request.version.unwrap_or_default();
    let fields = Fields(request.headers);
    let body = match fields.extent()? {
        // A body to the end of the connection would leave no way to answer (RFC 9112 §6.3).
        Extent::UntilClose => return Err(Opaque::BadLength),
        extent => extent,
    };
    let asks = match method {
        "HEAD" => Asks::NoContent,
        "CONNECT" => Asks::Tunnel,
        _ if fields.lists("upgrade", "websocket") => Asks::WebSocket,
        _ => Asks::Content,
    };
    scribe.flow.heads += 1;
    scribe.finish_head(unit, || What::Request { method: shown(method), target: shown(target), minor });
    Ok(Head::Request { asks, body })
}

fn parse_response<'a>(
    head: &'a [u8],
    fields: &mut [Header<'a>],
    unit: &mut Unit,
    scribe: &mut Scribe<'_>,
) -> Result<Head, Opaque> {
    let mut response = httparse::Response::new(fields);
    response.parse(head).map_err(|_| Opaque::BadHead)?;
    let status = response.code.unwrap_or_default();
    let (reason, minor) = (response.reason.unwrap_or_default(), response.version.unwrap_or_default());
    let fields = Fields(response.headers);
    let body = fields.extent()?;
    let interim = (100..200).contains(&status) && status != 101;
    *(if interim { &mut scribe.flow.interim_heads } else { &mut scribe.flow.heads }) += 1;
    scribe.finish_head(unit, || What::Response { status, reason: shown(reason), minor });
    let to_websocket = fields.lists("upgrade", "websocket");
    Ok(Head::Response { status, to_websocket, body, is_event_stream: fields.is_event_stream() })
}

/// Text from the wire as one line: nothing in it moves the cursor of a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// The header fields of one head.
struct Fields<'a>(&'a [Header<'a>]);

impl<'a> Fields<'a> {
    fn values(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// The members of a field that is a list, over all its lines.
    fn members(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        self.values(name).flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
    }

    fn lists(&self, name: &'static str, member: &str) -> bool {
        self.members(name).any(|found| found.eq_ignore_ascii_case(member.as_bytes()))
    }

    fn extent(&self) -> Result<Extent, Opaque> {
        if let Some(last) = self.members("transfer-encoding").last() {
            let chunked = last.eq_ignore_ascii_case(b"chunked");
            return Ok(if chunked { Extent::Chunked } else { Extent::UntilClose });
        }
        let mut extent = Extent::Unsaid;
        for member in self.members("content-length") {
            let plain = !member.is_empty() && member.iter().all(u8::is_ascii_digit);
            let length =
                std::str::from_utf8(member).ok().filter(|_| plain).and_then(|text| text.parse().ok());
            let said = Extent::Length(length.ok_or(Opaque::BadLength)?);
            if extent != Extent::Unsaid && extent != said {
                return Err(Opaque::BadLength);
            }
            extent = said;
        }
        Ok(extent)
    }

    /// Whether the content can be read as events. Compressed content cannot.
    fn is_event_stream(&self) -> bool {
        let of_type = self.values("content-type").any(|value| {
            let essence = value.split(|&byte| byte == b';').next().unwrap_or_default();
            essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
        });
        of_type && self.members("content-encoding").all(|coding| coding.eq_ignore_ascii_case(b"identity"))
    }
}
