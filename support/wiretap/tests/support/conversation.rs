//! A conversation between two ends, fed to an observer in any pieces. The fuzz target uses it too.

use wiretap::{Direction, Flow, Note, Observe, Observer};

/// Bytes of one direction, or its end.
pub(crate) type Turn = (Direction, Option<Vec<u8>>);

/// Everything that an observer saw in a conversation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) notes: Vec<Note>,
    pub(crate) to_server: Flow,
    pub(crate) to_client: Flow,
}

/// Feeds a conversation to an observer, the turns in their order, each in pieces as long as `piece` says.
pub(crate) fn observe(turns: &[Turn], observe: Observe, mut piece: impl FnMut() -> usize) -> Seen {
    let mut observer = Observer::new(observe);
    let mut seen = Seen { notes: Vec::new(), to_server: Flow::default(), to_client: Flow::default() };
    for (direction, bytes) in turns {
        let flow = match direction {
            Direction::ToServer => &mut seen.to_server,
            Direction::ToClient => &mut seen.to_client,
        };
        match bytes.as_deref() {
            None => observer.end(*direction),
            Some(mut left) => {
                while !left.is_empty() {
                    let (now, later) = left.split_at(piece().clamp(1, left.len()));
                    // The number of reads depends on the pieces, so it is not compared.
                    *flow += Flow { reads: 0, ..observer.feed(*direction, now) };
                    left = later;
                }
            }
        }
        seen.notes.extend(observer.take_notes());
    }
    seen
}

/// Checks what must hold for any conversation, and returns what was seen.
pub(crate) fn check(turns: &[Turn], mut piece: impl FnMut() -> usize) -> Seen {
    let whole = observe(turns, Observe::Events, || usize::MAX);
    let cut = observe(turns, Observe::Events, &mut piece);
    assert_eq!(whole, cut, "it makes a difference how the stream is cut");
    let counts = observe(turns, Observe::Counts, piece);
    assert_eq!((counts.to_server, counts.to_client), (whole.to_server, whole.to_client));
    assert!(counts.notes.is_empty());

    for (direction, flow) in [(Direction::ToServer, whole.to_server), (Direction::ToClient, whole.to_client)]
    {
        let said =
            turns.iter().filter(|(turn, _)| *turn == direction).filter_map(|(_, bytes)| bytes.as_ref());
        let said = said.map(Vec::len).sum::<usize>() as u64;
        assert_eq!((flow.bytes, flow.layers.total()), (said, said), "the layers do not add up");
        let notes = || whole.notes.iter().filter(|note| note.direction == direction);
        for note in notes() {
            assert!(note.raw.len() as u64 == note.layers.total().min(wiretap::RAW_BYTES as u64));
            assert!(note.layers.total() <= note.bytes.end - note.bytes.start);
        }
        // Everything in a stream is noted only once the stream has ended.
        if turns.contains(&(direction, None)) {
            assert_eq!(notes().map(|note| note.layers.total()).sum::<u64>(), said, "not every byte is shown");
            let last = notes().map(|note| note.bytes.end).max();
            assert_eq!(last.unwrap_or(0), said);
        }
    }
    whole
}
