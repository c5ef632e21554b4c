//! Terms: which run of a server wrote which part of the log.
//!
//! A cursor names the term in which its position was written. A database goes back when a copy is put in its place or
//! its write-ahead log is lost. It then goes on in a new term, and so does a copy that is served elsewhere. So a cursor
//! from another history is recognised by its term, however far the log has grown since. Nothing outside the database is
//! needed.

use rusqlite::{Connection, OptionalExtension};

use super::fault::unreadable;
use super::random;
use crate::ids::{Cursor, Position, Term};
use crate::protocol::ResetReason;

/// The terms of one log, as one run of the server sees them.
///
/// Fixed for the whole run: only this process writes, so its own term begins right after the head that it found.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Each term with the position of its first event, in rising order; the last one is this run's own.
    list: Vec<(Position, Term)>,
}

impl Terms {
    /// The terms of a log that ends at `head`, and a new one for this run.
    pub(super) fn load(conn: &Connection, head: Position) -> Result<Self, rusqlite::Error> {
        let earlier = conn
            .prepare("SELECT first, term FROM terms ORDER BY first")?
            .query_map([], |row| {
                let term: String = row.get(1)?;
                let term = Term::parse(&term).map_err(|error| unreadable(1, error))?;
                Ok((Position::from_sql(row.get(0)?), term))
            })?
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::new(earlier, head, || Term(random())))
    }

    fn new(earlier: Vec<(Position, Term)>, head: Position, mut draw: impl FnMut() -> Term) -> Self {
        let mut own = draw();
        while earlier.iter().any(|(_, term)| *term == own) {
            own = draw();
        }
        let mut list = earlier;
        list.push((Position(head.0 + 1), own));
        Self { list }
    }

    /// Terms as they are given, the last one this run's own.
    #[cfg(test)]
    pub(super) fn of_test(list: &[(u64, u32)]) -> Self {
        Self { list: list.iter().map(|&(first, term)| (Position(first), Term(term))).collect() }
    }

    /// Stores this run's own term. Call in the transaction of its first event.
    pub(super) fn begin(&self, conn: &Connection) -> Result<(), rusqlite::Error> {
        let (first, own) = self.list[self.list.len() - 1];
        conn.execute("INSERT INTO terms (first, term) VALUES (?1, ?2)", (first.to_sql(), own.to_string()))?;
        Ok(())
    }

    /// The newest term in the table. `own`: whether this run's own term is there.
    pub(super) fn newest(&self, own: bool) -> Option<Term> {
        self.list.iter().rev().nth(usize::from(!own)).map(|(_, term)| *term)
    }

    /// The term in which a position was written or, beyond the head, will be. Position 0 is before the first one.
    pub(super) fn of(&self, position: Position) -> Option<Term> {
        let until = self.list.partition_point(|(first, _)| *first <= position);
        self.list[..until].last().map(|(_, term)| *term)
    }

    /// The cursor of a position.
    pub(crate) fn cursor(&self, position: Position) -> Cursor {
        // No event is at position 0, so a cursor there would be unknown with any term.
        Cursor::of_event(self.of(position).unwrap_or(self.list[0].1), position)
    }

    /// Where a term begins, and where the next one begins. It searches the terms one by one.
    pub(super) fn range(&self, term: Term) -> Option<(Position, Option<Position>)> {
        let index = self.list.iter().rposition(|(_, known)| *known == term)?;
        Some((self.list[index].0, self.list.get(index + 1).map(|(first, _)| *first)))
    }

    /// Why a cursor cannot be used with a log that begins after `trimmed` and ends at `head`.
    pub(crate) fn judge(&self, cursor: Cursor, trimmed: Position, head: Position) -> Option<ResetReason> {
        if cursor.position < trimmed {
            return Some(ResetReason::Expired);
        }
        // This finds both a term that is not in this log and a position that is not in its term.
        let is_ours = cursor.position <= head && self.of(cursor.position) == Some(cursor.term);
        (!is_ours).then_some(ResetReason::Unknown)
    }
}

/// The newest term in the table.
pub(super) fn newest(conn: &Connection) -> Result<Option<Term>, rusqlite::Error> {
    let text: Option<String> = conn
        .prepare_cached("SELECT term FROM terms ORDER BY first DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    text.map(|text| Term::parse(&text).map_err(|error| unreadable(0, error))).transpose()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::{Append, Audience, Location, Store, WriteError};
    use super::*;
    use crate::ids::ConversationId;
    use crate::limits::Limits;
    use crate::metrics::Metrics;
    use crate::protocol::Event;
    use crate::refusal::Refusal;

    /// A database: its log as the runs of servers wrote it. Every event is unique.
    #[derive(Debug, Clone, Default)]
    struct Database {
        events: Vec<u64>,
        terms: Vec<(Position, Term)>,
        trimmed: usize,
    }

    impl Database {
        fn head(&self) -> Position {
            Position(self.events.len() as u64)
        }
    }

    /// What happens to a database.
    #[derive(Debug, Clone)]
    enum Step {
        /// A server starts and writes so many events. The log is copied before it writes one of them.
        Run(usize, usize),
        /// One of the copies takes its place.
        PutBack(usize),
        /// Retention removes some events.
        Trim(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..5_usize, 0..8_usize).prop_map(|(count, copied)| Step::Run(count, copied)),
            2 => (0..8_usize).prop_map(Step::PutBack),
            1 => (0..4_usize).prop_map(Step::Trim),
        ];
        prop::collection::vec(step, 0..24)
    }

    /// Some databases with a common past, and what clients were given by the servers that ran on them.
    #[derive(Default)]
    struct World {
        database: Database,
        copies: Vec<Database>,
        /// Events and terms that were written.
        written: u64,
        /// Each cursor, and the events that it stands for.
        given: HashMap<(u32, u64), Vec<u64>>,
    }

    impl World {
        fn next(&mut self) -> u64 {
            self.written += 1;
            self.written
        }

        fn run(&mut self, count: usize, copied: usize) {
            let own = Term(u32::try_from(self.next()).unwrap());
            let terms = Terms::new(self.database.terms.clone(), self.database.head(), || own);
            for number in 0..=count {
                let (cursor, events) = (terms.cursor(self.database.head()), self.database.events.clone());
                if cursor.position > Position(0) {
                    let place = (cursor.term.0, cursor.position.0);
                    let seen = self.given.entry(place).or_insert_with(|| events.clone());
                    assert_eq!(*seen, events, "one cursor stands for two histories");
                }
                if number == copied {
                    self.copies.push(self.database.clone());
                }
                if number < count {
                    let event = self.next();
                    self.database.events.push(event);
                    self.database.terms.clone_from(&terms.list);
                }
            }
        }

        fn put_back(&mut self, which: usize) {
            if let Some(copy) = self.copies.get(which % self.copies.len().max(1)) {
                self.database = copy.clone();
            }
        }
    }

    proptest! {
        /// A cursor is accepted if and only if the log still begins with the events that it stands for.
        #[test]
        fn a_cursor_is_accepted_by_its_own_history_alone(steps in steps()) {
            let mut world = World::default();
            for step in steps {
                match step {
                    Step::Run(count, copied) => world.run(count, copied),
                    Step::PutBack(which) => world.put_back(which),
                    Step::Trim(count) => {
                        let database = &mut world.database;
                        database.trimmed = (database.trimmed + count).min(database.events.len());
                    }
                }
                let database = &world.database;
                let terms = Terms::new(database.terms.clone(), database.head(), || Term(u32::MAX));
                let trimmed = Position(database.trimmed as u64);
                for (&(term, position), seen) in &world.given {
                    let cursor = Cursor::of_event(Term(term), Position(position));
                    let expected = if position < trimmed.0 {
                        Some(ResetReason::Expired)
                    } else if database.events.starts_with(seen) {
                        None
                    } else {
                        Some(ResetReason::Unknown)
                    };
                    prop_assert_eq!(terms.judge(cursor, trimmed, database.head()), expected, "{}", cursor);
                }
            }
        }
    }

    /// Terms 1 (positions 1 to 4) and 2 (from 5), and a run that has not written yet, in term 3.
    fn terms() -> Terms {
        Terms::of_test(&[(1, 1), (5, 2), (8, 3)])
    }

    #[test]
    fn a_cursor_is_judged_in_the_order_of_the_protocol() {
        use ResetReason::{Expired, Unknown};
        for (term, position, trimmed, head, expected) in [
            // Inside its term, up to both of its ends.
            (1, 1, 0, 7, None),
            (1, 4, 0, 7, None),
            (2, 5, 0, 7, None),
            (2, 7, 0, 7, None),
            // The end of the log, before this run has written.
            (3, 8, 0, 7, Some(Unknown)),
            (3, 8, 0, 8, None),
            (3, 7, 0, 8, Some(Unknown)),
            (3, 9, 0, 8, Some(Unknown)),
            // Outside its term.
            (1, 0, 0, 7, Some(Unknown)),
            (1, 5, 0, 7, Some(Unknown)),
            (2, 4, 0, 7, Some(Unknown)),
            (2, 8, 0, 8, Some(Unknown)),
            // No term of this log.
            (9, 3, 0, 7, Some(Unknown)),
            // Before the retained log, whatever the term says. The last removed position is still a valid cursor.
            (1, 2, 3, 7, Some(Expired)),
            (9, 2, 3, 7, Some(Expired)),
            (1, 3, 3, 7, None),
            (9, 3, 3, 7, Some(Unknown)),
            // Everything was removed.
            (2, 7, 7, 7, None),
            (2, 6, 7, 7, Some(Expired)),
        ] {
            let cursor = Cursor::of_event(Term(term), Position(position));
            let judged = terms().judge(cursor, Position(trimmed), Position(head));
            assert_eq!(judged, expected, "{cursor} after {trimmed}, up to {head}");
        }
    }

    #[test]
    fn a_position_has_the_term_in_which_it_was_written() {
        let of: Vec<_> =
            (0..10).map(|position| terms().of(Position(position)).map_or(0, |term| term.0)).collect();
        assert_eq!(of, [0, 1, 1, 1, 1, 2, 2, 2, 3, 3]);
    }

    /// A refused command and a failed batch leave no term behind, and the next event begins it.
    #[tokio::test]
    async fn a_term_is_stored_with_its_first_event() {
        let publish = |_: &[_]| {};
        let (limits, metrics) = (Limits::default(), Metrics::default());
        let opened = Store::open(&Location::Temporary, &limits, false, &metrics, publish).unwrap();
        let store = opened.store;
        let stored = async || store.read(newest).await.unwrap();
        let own = store.terms().newest(true);

        fn log(append: &mut Append<'_>) -> Result<Position, WriteError> {
            let event = |id| Event::Read { id, conversation: ConversationId(1), seq: 1 };
            Ok(append.log(Audience::Everyone, event)?)
        }
        let refused = store.submit(|append| {
            log(append)?;
            Err::<(), _>(Refusal::unauthenticated().into())
        });
        refused.await.await.unwrap_err();
        assert_eq!(stored().await, None, "after a refused command");
        let failed = store.submit(|append| {
            log(append)?;
            Err::<(), _>(rusqlite::Error::InvalidQuery.into())
        });
        failed.await.await.unwrap_err();
        assert_eq!(stored().await, None, "after a failed batch");
        for position in 1..3 {
            assert_eq!(store.submit(log).await.await.unwrap(), Position(position));
            assert_eq!(stored().await, own);
        }
        store.close().await;
    }

    #[test]
    fn a_new_term_is_unlike_all_others() {
        let mut drawn = [1, 2, 1, 3].into_iter().map(Term);
        let earlier = vec![(Position(1), Term(1)), (Position(5), Term(2))];
        let terms = Terms::new(earlier, Position(7), || drawn.next().unwrap());
        assert_eq!(terms.newest(true), Some(Term(3)));
        assert_eq!(terms.newest(false), Some(Term(2)));
    }
}
