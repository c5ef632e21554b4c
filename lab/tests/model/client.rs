//! A client's state: a snapshot, kept up to date by events, as in any client (invariant I6).

use std::collections::BTreeMap;

use chat_core::ids::{ConversationId, UserId};
use chat_core::model::{Conversation, Group, Kind, Message, Snapshot, User};
use chat_core::protocol::Event;
use chat_core::text::Name;

/// What a client shows, without who is online, which is not logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    me: UserId,
    users: Vec<User>,
    groups: BTreeMap<ConversationId, (Name, Members)>,
    conversations: BTreeMap<ConversationId, Conversation>,
}

/// How many members a group has, as far as events tell.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Members {
    /// This user is a member, and the group has this many.
    Joined(usize),
    /// This user is not a member, and events do not tell the number.
    NotJoined,
}

impl State {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let people = snapshot.users.iter();
        Self {
            me: snapshot.me.id,
            users: people.map(|person| User { id: person.id, name: person.name.clone() }).collect(),
            groups: snapshot.groups.iter().map(|group| (group.conversation, group_entry(group))).collect(),
            conversations: snapshot.conversations.iter().map(|known| (known.id, known.clone())).collect(),
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::UserRegistered { user, .. } => self.users.push(user.clone()),
            Event::GroupCreated { conversation, name, by, .. } => {
                self.groups.insert(*conversation, (name.clone(), Members::NotJoined));
                if *by == self.me {
                    self.enter(*conversation, Kind::Group { name: name.clone() }, vec![*by], 0);
                }
            }
            Event::GroupJoined { conversation, name, members, joined_seq, .. } => {
                self.enter(*conversation, Kind::Group { name: name.clone() }, members.clone(), *joined_seq);
            }
            Event::DirectStarted { conversation, members, .. } => {
                let with = *members.iter().find(|&&member| member != self.me).expect("two people");
                let mut members = members.clone();
                members.sort_unstable();
                self.enter(*conversation, Kind::Direct { with }, members, 0);
            }
            Event::MemberJoined { conversation, user, .. } => self.change_members(*conversation, |members| {
                if !members.contains(user) {
                    members.push(*user);
                    members.sort_unstable();
                }
            }),
            Event::MemberLeft { conversation, user, .. } => {
                self.change_members(*conversation, |members| members.retain(|member| member != user));
                if *user == self.me {
                    self.conversation(*conversation).joined = false;
                    self.groups.get_mut(conversation).expect("a group").1 = Members::NotJoined;
                }
            }
            Event::Message(Message { conversation, seq, from, .. }) => {
                let (is_own, conversation) = (*from == self.me, self.conversation(*conversation));
                conversation.last_seq = *seq;
                if is_own {
                    conversation.read_seq = *seq;
                }
            }
            Event::Read { conversation, seq, .. } => self.conversation(*conversation).read_seq = *seq,
            Event::Presence { .. } | Event::Typing { .. } | Event::Tick { .. } => {}
            Event::Reset { .. } | Event::Close { .. } => panic!("{event:?} is not for the state"),
        }
    }

    fn conversation(&mut self, id: ConversationId) -> &mut Conversation {
        self.conversations.get_mut(&id).unwrap_or_else(|| panic!("an event of {id}, which nobody told of"))
    }

    /// Enters a new conversation, or one that was left.
    fn enter(&mut self, id: ConversationId, kind: Kind, members: Vec<UserId>, joined_seq: u64) {
        let (last_seq, read_seq) =
            self.conversations.get(&id).map_or((0, 0), |left| (left.last_seq, left.read_seq));
        let entered = Conversation { id, kind, members, last_seq, read_seq, joined: true, joined_seq };
        self.conversations.insert(id, entered);
        self.change_members(id, |_| {});
    }

    fn change_members(&mut self, id: ConversationId, change: impl FnOnce(&mut Vec<UserId>)) {
        let members = &mut self.conversation(id).members;
        change(members);
        let count = members.len();
        if let Some((_, members)) = self.groups.get_mut(&id) {
            *members = Members::Joined(count);
        }
    }
}

fn group_entry(group: &Group) -> (Name, Members) {
    let members = if group.joined { Members::Joined(group.members) } else { Members::NotJoined };
    (group.name.clone(), members)
}
