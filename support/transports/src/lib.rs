//! The list of transports. The launcher, the command line, the measuring program, the tests and the page go through it.
//!
//! A new transport is one line here, and one in `Cargo.toml`; `docs/adding-a-transport.md` shows the rest.

use std::fmt;
use std::ops::Deref;
use std::sync::LazyLock;

use chat_http::run::Program;
use chat_http::{Profile, Server};
use clap::ValueEnum;
use clap::builder::PossibleValue;

/// The servers that the launcher starts, in the order of every table.
static STARTED: [&Program; 3] = [&ws_server::PROGRAM, &sse_server::PROGRAM, &longpoll_server::PROGRAM];

/// The servers that the launcher starts only when their flag says where.
static ON_REQUEST: &[&Program] = &[
    // One server a line.
    &ndjson_server::PROGRAM,
];

static ALL: LazyLock<Vec<Transport>> = LazyLock::new(|| {
    let profiles =
        programs().flat_map(|program| program.profiles.iter().map(move |profile| (profile, program)));
    profiles.enumerate().map(|(place, (profile, program))| Transport { place, profile, program }).collect()
});

/// All servers: first those that the launcher starts.
pub fn programs() -> impl Iterator<Item = &'static Program> {
    STARTED.iter().chain(ON_REQUEST).copied()
}

/// Whether the launcher starts a server without being asked.
#[must_use]
pub fn is_started(program: &Program) -> bool {
    STARTED.iter().any(|started| started.name == program.name)
}

/// Something that is done with each type of server, such as making the benches of each.
pub trait Visit {
    /// The result for one server.
    type Outcome;

    /// Does it with one type of server.
    fn visit<S: Server>(&self) -> Self::Outcome;
}

/// Visits each type of server that the launcher starts. Polling is visited twice, because its clients differ.
pub fn visit<V: Visit>(visitor: &V) -> Vec<V::Outcome> {
    vec![
        visitor.visit::<ws_server::WsServer>(),
        visitor.visit::<sse_server::SseServer>(),
        visitor.visit::<longpoll_server::LongPollServer>(),
        visitor.visit::<longpoll_server::ShortPollServer>(),
    ]
}

/// One transport of the list. It has the fields of its [`Profile`].
#[derive(Clone, Copy)]
pub struct Transport {
    place: usize,
    profile: &'static Profile,
    /// The server that serves it.
    pub program: &'static Program,
}

impl Transport {
    /// Every transport, in the order of every table.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// The transports that the launcher starts without being asked.
    #[must_use]
    pub fn started() -> &'static [Self] {
        &ALL[..ALL.iter().take_while(|transport| is_started(transport.program)).count()]
    }

    /// The transport of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|transport| transport.name == name)
    }

    /// Its place in the list, from 0.
    #[must_use]
    pub fn place(self) -> usize {
        self.place
    }

    /// The one after it; after the last, the first.
    #[must_use]
    pub fn next(self) -> Self {
        ALL[(self.place + 1) % ALL.len()]
    }
}

impl Deref for Transport {
    type Target = Profile;

    fn deref(&self) -> &Profile {
        self.profile
    }
}

impl PartialEq for Transport {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Transport {}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl ValueEnum for Transport {
    fn value_variants<'a>() -> &'a [Self] {
        Self::all()
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(self.about))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_server_is_visited_in_the_order_of_the_list() {
        struct Name;
        impl Visit for Name {
            type Outcome = &'static str;

            fn visit<S: Server>(&self) -> &'static str {
                S::NAME
            }
        }
        let names: Vec<_> = Transport::started().iter().map(|transport| transport.name).collect();
        assert_eq!(visit(&Name), names);
    }

    /// Two with one name, letter, colour, port or flag could not be told apart.
    #[test]
    fn nothing_in_the_list_is_there_twice() {
        fn assert_distinct<T: Ord + fmt::Debug>(values: impl Iterator<Item = T>) {
            let mut values: Vec<T> = values.collect();
            values.sort();
            let found = format!("{values:?}");
            values.dedup();
            assert_eq!(format!("{values:?}"), found);
        }
        assert_distinct(Transport::all().iter().map(|transport| transport.name));
        assert_distinct(Transport::all().iter().map(|transport| transport.title));
        assert_distinct(Transport::all().iter().map(|transport| transport.label));
        assert_distinct(Transport::all().iter().map(|transport| transport.letter));
        assert_distinct(Transport::all().iter().flat_map(|transport| transport.colors));
        assert_distinct(programs().map(|program| program.name));
        assert_distinct(programs().map(|program| program.listen));
        assert_distinct(programs().map(|program| program.flag));
    }
}
