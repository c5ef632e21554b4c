//! The chat as a plain struct: one command after the other, no disk, no transports, no clever indexes.

use std::collections::{HashMap, HashSet};

use chat_core::ids::{ConversationId, Cursor, UserId};
use chat_core::model::{Conversation, Group, Kind, Message, Timestamp, User};
use chat_core::protocol::{Command, Done, Event, To};
use chat_core::refusal::Code;
use chat_core::text::{Cid, Name, Text};

/// Who may see an event.
#[derive(Debug, Clone)]
enum Audience {
    Everyone,
    Members(usize),
    One(UserId),
}

#[derive(Debug, Clone)]
enum What {
    Direct([UserId; 2]),
    Group(Name),
}

/// What a user may see of a conversation: from the first event to the last, and the messages between.
#[derive(Debug, Clone)]
struct Membership {
    user: UserId,
    joined: u64,
    joined_seq: u64,
    ended: Option<(u64, u64)>,
}

#[derive(Debug, Clone)]
struct Talk {
    what: What,
    last_seq: u64,
    memberships: Vec<Membership>,
}

/// What a user's cid stands for.
#[derive(Debug, Clone)]
enum Known {
    Message(Message),
    Group(usize, Cursor),
}

/// The model.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// What all cursors begin with.
    epoch: String,
    pub(crate) users: Vec<User>,
    /// Conversation n is at n - 1.
    talks: Vec<Talk>,
    /// The event at position n is at n - 1.
    log: Vec<(Audience, Event)>,
    known: HashMap<(UserId, Cid), Known>,
    read: HashMap<(UserId, ConversationId), u64>,
    /// Whom a typing notice may have reached: reader, where, who typed.
    pub(crate) may_see_typing: HashSet<(UserId, ConversationId, UserId)>,
}

pub(crate) fn user_id(number: usize) -> UserId {
    format!("u{number}").parse().unwrap()
}

pub(crate) fn conversation_id(number: usize) -> ConversationId {
    format!("c{number}").parse().unwrap()
}

fn index_of(conversation: ConversationId) -> usize {
    conversation.to_string()[1..].parse::<usize>().unwrap().wrapping_sub(1)
}

impl Model {
    pub(crate) fn new(epoch: &str) -> Self {
        Self {
            epoch: epoch.to_owned(),
            users: Vec::new(),
            talks: Vec::new(),
            log: Vec::new(),
            known: HashMap::new(),
            read: HashMap::new(),
            may_see_typing: HashSet::new(),
        }
    }

    /// How long the log is.
    pub(crate) fn head(&self) -> u64 {
        self.log.len() as u64
    }

    pub(crate) fn cursor(&self, position: u64) -> Cursor {
        format!("{}.{position}", self.epoch).parse().unwrap()
    }

    fn next(&self) -> Cursor {
        self.cursor(self.head() + 1)
    }

    pub(crate) fn register(&mut self, name: &Name) -> Result<User, Code> {
        if self.users.iter().any(|user| user.name.as_str().eq_ignore_ascii_case(name.as_str())) {
            return Err(Code::NameTaken);
        }
        let user = User { id: user_id(self.users.len() + 1), name: name.clone() };
        self.users.push(user.clone());
        self.log.push((Audience::Everyone, Event::UserRegistered { id: self.next(), user: user.clone() }));
        Ok(user)
    }

    /// Runs a command. `at` is the server's wall-clock time for it, if it is known.
    pub(crate) fn run(&mut self, by: UserId, command: &Command, at: Option<Timestamp>) -> Result<Done, Code> {
        match command {
            Command::Send { to, cid, text } => self.send(by, *to, cid, text, at),
            Command::CreateGroup { name, cid } => self.create_group(by, name, cid),
            Command::JoinGroup { conversation } => self.join(by, *conversation),
            Command::LeaveGroup { conversation } => self.leave(by, *conversation),
            Command::MarkRead { conversation, seq } => self.mark_read(by, *conversation, *seq),
            Command::Typing { conversation } => self.typing(by, *conversation),
        }
    }

    fn send(
        &mut self,
        by: UserId,
        to: To,
        cid: &Cid,
        text: &Text,
        at: Option<Timestamp>,
    ) -> Result<Done, Code> {
        match self.known.get(&(by, cid.clone())) {
            Some(Known::Message(earlier)) => {
                let there = match to {
                    To::Conversation(conversation) => Some(conversation),
                    To::User(user) => self.direct_between(by, user).map(|index| conversation_id(index + 1)),
                };
                if there != Some(earlier.conversation) || earlier.text != *text {
                    return Err(Code::KeyReuse);
                }
                let Message { conversation, seq, id, at, .. } = *earlier;
                return Ok(Done::Sent { conversation, seq, id, at, duplicate: true });
            }
            Some(Known::Group(..)) => return Err(Code::KeyReuse),
            None => {}
        }
        let index = match to {
            To::User(user) if user == by => return Err(Code::InvalidRecipient),
            To::User(user) => match self.direct_between(by, user) {
                Some(index) => index,
                None if self.users.iter().any(|known| known.id == user) => self.start_direct(by, user),
                None => return Err(Code::UnknownUser),
            },
            To::Conversation(conversation) => {
                let index = self.find(by, conversation)?;
                self.talks[index].current(by).ok_or(Code::NotAMember)?;
                index
            }
        };
        let talk = &mut self.talks[index];
        talk.last_seq += 1;
        // Without a known time, the message is unlike any real one.
        let at = at.unwrap_or_else(|| serde_json::from_str("\"1970-01-01T00:00:00Z\"").unwrap());
        let (conversation, seq, id) = (conversation_id(index + 1), talk.last_seq, self.next());
        let message = Message { id, conversation, seq, from: by, cid: cid.clone(), text: text.clone(), at };
        self.known.insert((by, cid.clone()), Known::Message(message.clone()));
        // A user has read what they wrote.
        self.read.insert((by, conversation), seq);
        self.log.push((Audience::Members(index), Event::Message(message)));
        Ok(Done::Sent { conversation, seq, id, at, duplicate: false })
    }

    fn start_direct(&mut self, by: UserId, with: UserId) -> usize {
        let (index, id) = (self.talks.len(), self.next());
        let members = vec![by, with];
        let event = Event::DirectStarted { id, conversation: conversation_id(index + 1), members };
        self.log.push((Audience::Members(index), event));
        let mut talk = Talk { what: What::Direct([by, with]), last_seq: 0, memberships: Vec::new() };
        talk.admit(by, self.head());
        talk.admit(with, self.head());
        self.talks.push(talk);
        index
    }

    fn create_group(&mut self, by: UserId, name: &Name, cid: &Cid) -> Result<Done, Code> {
        match self.known.get(&(by, cid.clone())) {
            Some(Known::Group(index, id)) => {
                return match &self.talks[*index].what {
                    What::Group(earlier) if earlier == name => {
                        let conversation = conversation_id(index + 1);
                        Ok(Done::GroupCreated { conversation, id: *id, duplicate: true })
                    }
                    _ => Err(Code::KeyReuse),
                };
            }
            Some(Known::Message(_)) => return Err(Code::KeyReuse),
            None => {}
        }
        let (index, id) = (self.talks.len(), self.next());
        let conversation = conversation_id(index + 1);
        self.log.push((Audience::Everyone, Event::GroupCreated { id, conversation, name: name.clone(), by }));
        let mut talk = Talk { what: What::Group(name.clone()), last_seq: 0, memberships: Vec::new() };
        talk.admit(by, self.head());
        self.talks.push(talk);
        self.known.insert((by, cid.clone()), Known::Group(index, id));
        Ok(Done::GroupCreated { conversation, id, duplicate: false })
    }

    fn join(&mut self, by: UserId, conversation: ConversationId) -> Result<Done, Code> {
        let index = self.find_group(by, conversation)?;
        if let Some(membership) = self.talks[index].current(by) {
            return Ok(Done::Joined { conversation, id: self.cursor(membership.joined) });
        }
        let mut members = self.talks[index].members();
        members.push(by);
        members.sort_unstable();
        let What::Group(name) = self.talks[index].what.clone() else { unreachable!("found as a group") };
        let (id, joined_seq) = (self.next(), self.talks[index].last_seq);
        self.log
            .push((Audience::One(by), Event::GroupJoined { id, conversation, name, members, joined_seq }));
        // Earlier messages are not for this user, so they do not count as unread either.
        self.move_read_mark(by, conversation, self.talks[index].last_seq);
        let id = self.next();
        self.log.push((Audience::Members(index), Event::MemberJoined { id, conversation, user: by }));
        let head = self.head();
        self.talks[index].admit(by, head);
        Ok(Done::Joined { conversation, id })
    }

    fn leave(&mut self, by: UserId, conversation: ConversationId) -> Result<Done, Code> {
        let index = self.find_group(by, conversation)?;
        let (id, head) = (self.next(), self.head() + 1);
        let talk = &mut self.talks[index];
        let last_seq = talk.last_seq;
        let newest = talk.memberships.iter_mut().rev().find(|membership| membership.user == by);
        let membership = newest.ok_or(Code::NotAMember)?;
        if let Some((ended, _)) = membership.ended {
            return Ok(Done::Left { conversation, id: self.cursor(ended) });
        }
        membership.ended = Some((head, last_seq));
        self.log.push((Audience::Members(index), Event::MemberLeft { id, conversation, user: by }));
        Ok(Done::Left { conversation, id })
    }

    fn mark_read(&mut self, by: UserId, conversation: ConversationId, seq: u64) -> Result<Done, Code> {
        let index = self.find(by, conversation)?;
        if !self.talks[index].memberships.iter().any(|membership| membership.user == by) {
            return Err(Code::NotAMember);
        }
        let talk = &self.talks[index];
        let last = match talk.current(by) {
            Some(_) => talk.last_seq,
            // A user who has left may not know how much was written since.
            None => talk.last_visible(by).max(self.read_seq(by, conversation)),
        };
        if seq > last {
            return Err(Code::BadRequest);
        }
        self.move_read_mark(by, conversation, seq);
        Ok(Done::Read)
    }

    fn move_read_mark(&mut self, user: UserId, conversation: ConversationId, seq: u64) {
        if seq > self.read_seq(user, conversation) {
            self.read.insert((user, conversation), seq);
            self.log.push((Audience::One(user), Event::Read { id: self.next(), conversation, seq }));
        }
    }

    fn typing(&mut self, by: UserId, conversation: ConversationId) -> Result<Done, Code> {
        let index = self.find(by, conversation)?;
        self.talks[index].current(by).ok_or(Code::NotAMember)?;
        for other in self.talks[index].members() {
            if other != by {
                self.may_see_typing.insert((other, conversation, by));
            }
        }
        Ok(Done::Typing)
    }

    fn read_seq(&self, user: UserId, conversation: ConversationId) -> u64 {
        self.read.get(&(user, conversation)).copied().unwrap_or(0)
    }

    /// A conversation that a user may know of.
    fn find(&self, user: UserId, conversation: ConversationId) -> Result<usize, Code> {
        let index = index_of(conversation);
        match self.talks.get(index).map(|talk| &talk.what) {
            Some(What::Group(_)) => Ok(index),
            Some(What::Direct(both)) if both.contains(&user) => Ok(index),
            _ => Err(Code::UnknownConversation),
        }
    }

    fn find_group(&self, user: UserId, conversation: ConversationId) -> Result<usize, Code> {
        let index = self.find(user, conversation)?;
        match self.talks[index].what {
            What::Group(_) => Ok(index),
            What::Direct(_) => Err(Code::NotAGroup),
        }
    }

    fn direct_between(&self, a: UserId, b: UserId) -> Option<usize> {
        self.talks.iter().position(|talk| match talk.what {
            What::Direct(both) => both == [a, b] || both == [b, a],
            What::Group(_) => false,
        })
    }

    /// What a user may see after a position, in order.
    pub(crate) fn visible(&self, user: UserId, after: u64) -> Vec<Event> {
        let numbered = (1..).zip(&self.log).filter(|(position, _)| *position > after);
        let seen = numbered.filter(|(position, (audience, _))| match audience {
            Audience::Everyone => true,
            Audience::One(one) => *one == user,
            Audience::Members(index) => self.talks[*index].memberships.iter().any(|membership| {
                let until = membership.ended.map_or(u64::MAX, |(position, _)| position);
                membership.user == user && (membership.joined..=until).contains(position)
            }),
        });
        seen.map(|(_, (_, event))| event.clone()).collect()
    }

    /// All groups, as a user sees them.
    pub(crate) fn groups(&self, user: UserId) -> Vec<Group> {
        let numbered = (1..).zip(&self.talks);
        let groups = numbered.filter_map(|(number, talk)| match &talk.what {
            What::Group(name) => Some(Group {
                conversation: conversation_id(number),
                name: name.clone(),
                members: talk.members().len(),
                joined: talk.current(user).is_some(),
            }),
            What::Direct(_) => None,
        });
        groups.collect()
    }

    /// The conversations that a user is or was in.
    pub(crate) fn conversations(&self, user: UserId) -> Vec<Conversation> {
        let numbered = (1..).zip(&self.talks);
        let conversations = numbered.filter_map(|(number, talk)| {
            let id = conversation_id(number);
            let newest = talk.memberships.iter().rev().find(|membership| membership.user == user)?;
            let until = newest.ended.map_or(u64::MAX, |(position, _)| position);
            Some(Conversation {
                id,
                kind: match &talk.what {
                    What::Group(name) => Kind::Group { name: name.clone() },
                    What::Direct([a, b]) => Kind::Direct { with: if *a == user { *b } else { *a } },
                },
                members: talk.members_after(until),
                last_seq: talk.last_visible(user),
                read_seq: self.read_seq(user, id),
                joined: newest.ended.is_none(),
                joined_seq: newest.joined_seq,
            })
        });
        conversations.collect()
    }
}

impl Talk {
    fn admit(&mut self, user: UserId, joined: u64) {
        self.memberships.push(Membership { user, joined, joined_seq: self.last_seq, ended: None });
    }

    fn current(&self, user: UserId) -> Option<&Membership> {
        self.memberships.iter().find(|membership| membership.user == user && membership.ended.is_none())
    }

    /// The newest message that a user may see, 0 before the first.
    fn last_visible(&self, user: UserId) -> u64 {
        let theirs = self.memberships.iter().filter(|membership| membership.user == user);
        let seen = theirs.filter_map(|membership| {
            let last = membership.ended.map_or(self.last_seq, |(_, seq)| seq);
            (last > membership.joined_seq).then_some(last)
        });
        seen.max().unwrap_or(0)
    }

    fn members(&self) -> Vec<UserId> {
        self.members_after(u64::MAX)
    }

    /// Who was in it right after a position, by id.
    fn members_after(&self, position: u64) -> Vec<UserId> {
        let there =
            |m: &&Membership| m.joined <= position && m.ended.is_none_or(|(ended, _)| ended > position);
        let mut members: Vec<UserId> = self.memberships.iter().filter(there).map(|m| m.user).collect();
        members.sort_unstable();
        members
    }
}
