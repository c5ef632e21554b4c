//! The watermark: a file beside the database that says how long the log was.
//!
//! It only lets a start log how many acknowledged events are missing. Cursors are judged by terms, so an old, empty or
//! deleted watermark costs that message and nothing else.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::ownership::beside;
use super::terms::Terms;
use crate::ids::{Position, Term};

/// The watermark of one database.
pub(super) struct Watermark {
    path: PathBuf,
    /// The head that the file holds.
    noted: Option<Position>,
}

impl Watermark {
    pub(super) fn of(database: &Path) -> Self {
        Self { path: beside(database, "watermark"), noted: None }
    }

    /// Logs an error if the log that ends at `head` lacks events that were acknowledged.
    pub(super) fn compare(&self, terms: &Terms, head: Position) {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let missing = missing(&text, terms, head);
        if missing > 0 {
            tracing::error!(
                head = head.0,
                missing,
                "the log is shorter than it was: at least {missing} acknowledged events are missing, as after an \
                 older copy was put back or the file that ends in -wal was lost; cursors from them will be reset"
            );
        }
    }

    /// Notes how long the log is. Call only with a head that is committed.
    ///
    /// The file is replaced, never rewritten: half a watermark would be worse than an old one.
    pub(super) fn note(&mut self, terms: &Terms, head: Position) -> std::io::Result<()> {
        if self.noted == Some(head) {
            return Ok(());
        }
        // An empty log has no term, and nothing that could get lost.
        let Some(term) = terms.of(head) else { return Ok(()) };
        let first = terms.range(term).map_or(head, |(first, _)| first);
        let fresh = self.path.with_extension("watermark-new");
        let mut file = File::create(&fresh)?;
        writeln!(file, "{term} {} {}", head.0, first.0)?;
        file.sync_data()?;
        std::fs::rename(&fresh, &self.path)?;
        self.noted = Some(head);
        Ok(())
    }
}

/// How many of the events that a watermark knows of are not in a log that ends at `head`.
fn missing(text: &str, terms: &Terms, head: Position) -> u64 {
    let mut words = text.split_whitespace();
    let mut next = || words.next();
    let Some(term) = next().and_then(|term| Term::parse(term).ok()) else { return 0 };
    let mut number = || next()?.parse::<u64>().ok();
    let Some(noted) = number() else { return 0 };
    // Version 1 wrote no first position. Of a term that is not in the log, at least the last event is missing.
    let first = number().unwrap_or(noted);
    let last_kept = match terms.range(term) {
        Some((_, next)) => next.map_or(head.0, |next| (next.0 - 1).min(head.0)),
        None => head.0.min(first.saturating_sub(1)),
    };
    noted.saturating_sub(last_kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_shows_how_many_events_are_missing() {
        // Terms 1 (positions 1 to 4) and 2 (5 to 7), and this run's own from 8 on.
        let terms = Terms::of_test(&[(1, 1), (5, 2), (8, 3)]);
        for (text, expected) in [
            // All is there.
            ("00000002 7 5", 0),
            ("00000002 6 5", 0),
            ("00000001 4 1", 0),
            // The end of the newest term is missing, as after a lost write-ahead log.
            ("00000002 10 5", 3),
            // The end of an earlier term is missing: the log went on after position 4 without it.
            ("00000001 6 1", 2),
            // A whole term is missing, and the log may have grown past it.
            ("00000009 12 8", 5),
            ("00000009 6 5", 2),
            // Version 1.
            ("00000002 9", 2),
            ("00000002 7", 0),
            ("00000009 9", 2),
            ("00000009 3", 1),
            // No watermark.
            ("", 0),
            ("\n", 0),
            ("00000002", 0),
            ("00000002 x", 0),
            ("not a watermark", 0),
        ] {
            assert_eq!(missing(text, &terms, Position(7)), expected, "{text:?}");
        }
    }
}
