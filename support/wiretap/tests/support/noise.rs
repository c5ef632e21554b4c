//! Conversations made of noise, for the property test and for the fuzz target.

use wiretap::Direction;

use crate::conversation::Turn;

/// A conversation made of noise, and the length of the pieces to cut it into; `None` if there is too little of it.
///
/// The first byte chooses how the conversation begins, so that noise reaches every parser. The second byte is the
/// length. Then come turns, each behind a byte that gives its direction and its length.
pub(crate) fn from_noise(noise: &[u8]) -> Option<(Vec<Turn>, usize)> {
    let (&[start, piece], mut noise) = noise.split_first_chunk()?;
    let (up, down): (&[u8], &[u8]) = match start % 6 {
        0 => (b"", b""),
        1 => (b"GET / HTTP/1.1\r\n\r\n", b""),
        2 => {
            (b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", b"HTTP/1.1 101 \r\nUpgrade: websocket\r\n\r\n")
        }
        3 => (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b""),
        4 => (
            b"GET / HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n",
        ),
        _ => (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"),
    };
    let mut turns =
        vec![(Direction::ToServer, Some(up.to_vec())), (Direction::ToClient, Some(down.to_vec()))];
    while let Some((&head, rest)) = noise.split_first() {
        let direction = if head & 0x80 == 0 { Direction::ToServer } else { Direction::ToClient };
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(head & 0x7F)));
        turns.push((direction, Some(bytes.to_vec())));
        noise = rest;
    }
    turns.extend([(Direction::ToServer, None), (Direction::ToClient, None)]);
    Some((turns, usize::from(piece % 11) + 1))
}
