//! The transaction of a batch, as a command sees it.

use rusqlite::Connection;

use super::task::{Work, WriteError};
use super::terms::Terms;
use super::{Audience, Logged, set_meta};
use crate::ids::{Cursor, Position};
use crate::model::Timestamp;
use crate::protocol::{Event, Frame};

/// The transaction of a batch, as a command sees it.
pub(crate) struct Append<'a> {
    pub(super) conn: &'a Connection,
    /// When this batch is written.
    pub(super) now: Timestamp,
    pub(super) terms: &'a Terms,
    pub(super) head: Position,
    pub(super) events: Vec<Logged>,
}

impl Append<'_> {
    /// Appends an event to the log, at the next position.
    pub(super) fn log(
        &mut self,
        audience: Audience,
        event: impl FnOnce(Cursor) -> Event,
    ) -> Result<Position, rusqlite::Error> {
        let position = self.next_position();
        let event = event(self.cursor(position));
        let body = match &event {
            Event::Message(_) => None,
            event => Some(serde_json::to_string(event).expect("an event always has JSON")),
        };
        self.conn
            .prepare_cached("INSERT INTO events (position, audience, body) VALUES (?1, ?2, ?3)")?
            .execute((position.to_sql(), audience.to_sql(), body))?;
        self.head = position;
        let frame = Frame::of_event(&event);
        self.events.push(Logged { position, audience, event, frame });
        Ok(position)
    }

    /// The position that the next event will get.
    pub(super) fn next_position(&self) -> Position {
        Position(self.head.0 + 1)
    }

    pub(super) fn cursor(&self, position: Position) -> Cursor {
        self.terms.cursor(position)
    }

    /// Runs one command in a savepoint of its own: if it is refused, nothing of it stays.
    pub(super) fn run(&mut self, work: &mut dyn Work) -> Result<(), rusqlite::Error> {
        let (head, events) = (self.head, self.events.len());
        self.conn.prepare_cached("SAVEPOINT command")?.execute([])?;
        if !work.run(self)? {
            self.conn.prepare_cached("ROLLBACK TO command")?.execute([])?;
            self.events.truncate(events);
            self.head = head;
        }
        self.conn.prepare_cached("RELEASE command")?.execute([])?;
        Ok(())
    }

    /// Removes all events so far, as retention does with old ones.
    pub(super) fn forget_all(&mut self) -> Result<Position, WriteError> {
        let head = self.head.to_sql();
        self.conn.execute("DELETE FROM events WHERE position <= ?1", [head])?;
        set_meta(self.conn, "trimmed", &head.to_string())?;
        Ok(self.head)
    }
}
