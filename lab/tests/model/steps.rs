//! Random histories: what may happen, and how often.

use chat_core::protocol::{Command, To};
use chat_core::text::{Cid, Name, Text};
use proptest::prelude::*;
use transports::Transport;

use crate::sequential::{conversation_id, user_id};

/// Users by name. The first `FIRST` are registered from the beginning, the others may come later.
pub(crate) const NAMES: [&str; 4] = ["Ann", "Bob", "Cid", "Dan"];
pub(crate) const FIRST: usize = 3;

/// How many sessions a user has, each with a cursor of its own.
pub(crate) const TABS: usize = 2;

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A user registers, under a name that may be taken.
    Register(usize),
    /// These commands run at the same time, and one tab may change its transport meanwhile.
    Ask(Vec<Act>, Option<(usize, usize, Transport)>),
    /// A user repeats an earlier command, from all tabs at once, word for word or with another text.
    Again { which: usize, reworded: bool },
    /// A tab disconnects.
    Disconnect(usize, usize),
    /// A tab comes back, or changes its transport, and reads on from its cursor.
    Connect(usize, usize, Transport),
    /// A client starts anew.
    Snapshot(usize),
}

/// A user's command, from one of their tabs.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) user: usize,
    pub(crate) tab: usize,
    pub(crate) command: Command,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let user = || 0..NAMES.len();
    let tab = || 0..TABS;
    let switch = || (user(), tab(), transport());
    prop_oneof![
        1 => user().prop_map(Step::Register),
        10 => act(any_command().boxed()).prop_map(|act| Step::Ask(vec![act], None)),
        8 => (prop::collection::vec(act(visible_command().boxed()), 2..=4), prop::option::of(switch()))
            .prop_map(|(acts, switch)| Step::Ask(acts, switch)),
        3 => (any::<usize>(), prop::bool::weighted(0.3))
            .prop_map(|(which, reworded)| Step::Again { which, reworded }),
        2 => (user(), tab()).prop_map(|(user, tab)| Step::Disconnect(user, tab)),
        4 => switch().prop_map(|(user, tab, transport)| Step::Connect(user, tab, transport)),
        1 => user().prop_map(Step::Snapshot),
    ]
}

fn act(command: BoxedStrategy<Command>) -> impl Strategy<Value = Act> {
    (0..NAMES.len(), 0..TABS, command).prop_map(|(user, tab, command)| Act { user, tab, command })
}

fn transport() -> impl Strategy<Value = Transport> {
    prop::sample::select(Transport::all())
}

/// A command whose reply shows its place among those that run at the same time, or that changes nothing.
fn visible_command() -> impl Strategy<Value = Command> {
    // Some people and conversations do not exist, or not yet, and some cids are taken.
    let conversation = || (1_usize..=6).prop_map(conversation_id);
    let cid = || (0..30).prop_map(|number| Cid::try_from(format!("cid-{number}")).unwrap());
    let to = prop_oneof![
        (1..=NAMES.len() + 1).prop_map(|number| To::User(user_id(number))),
        conversation().prop_map(To::Conversation),
        conversation().prop_map(To::Conversation),
    ];
    let text = prop::sample::select(vec!["hi", "data: é\r\n\u{0}\u{2028}"]);
    prop_oneof![
        12 => (to, cid(), text).prop_map(|(to, cid, words)| Command::Send { to, cid, text: text_of(words) }),
        2 => (prop::sample::select(vec!["rust", "sql"]), cid())
            .prop_map(|(name, cid)| Command::CreateGroup { name: name_of(name), cid }),
        5 => conversation().prop_map(|conversation| Command::JoinGroup { conversation }),
        3 => conversation().prop_map(|conversation| Command::LeaveGroup { conversation }),
    ]
}

fn any_command() -> impl Strategy<Value = Command> {
    let conversation = || (1_usize..=6).prop_map(conversation_id);
    // The replies to the last two do not show their place, so these commands run alone.
    prop_oneof![
        6 => visible_command(),
        2 => (conversation(), 0_u64..5).prop_map(|(conversation, seq)| Command::MarkRead { conversation, seq }),
        1 => conversation().prop_map(|conversation| Command::Typing { conversation }),
    ]
}

pub(crate) fn name_of(text: &str) -> Name {
    Name::try_from(text.to_owned()).unwrap()
}

pub(crate) fn text_of(text: &str) -> Text {
    Text::try_from(text.to_owned()).unwrap()
}
