//! What all clients share, what they wrote down, and whether the chat agrees with it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use chat_client::{PostSender, Sender, Target};
use chat_core::auth::Token;
use chat_core::ids::{ConversationId, Cursor, UserId};
use chat_core::model::Message;
use chat_core::protocol::{Command, Done, Event, Request, To};
use chat_core::text::{Cid, Name, Text};
use tokio::sync::watch;
use tokio::time::timeout;
use transports::Transport;

use crate::cursor::position;
use crate::support::{Lab, PASSWORD, PATIENCE};

/// Where the servers of all transports listen, in the order of the list.
type Addresses = Vec<SocketAddr>;

pub(crate) fn addresses(lab: &Lab) -> Addresses {
    Transport::all().iter().map(|transport| lab.at(*transport)).collect()
}

/// A user, signed in for as long as the database lives.
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) token: Token,
}

/// What all clients share, and what they wrote down.
pub(crate) struct World {
    pub(crate) users: Vec<User>,
    pub(crate) group: ConversationId,
    /// The cursor at which all streams begin.
    pub(crate) start: Cursor,
    /// Where the servers are, while there are any.
    pub(crate) addresses: watch::Sender<Option<Addresses>>,
    /// How many messages have been acknowledged.
    pub(crate) acknowledged: watch::Sender<u64>,
    /// Whether writers stop once they have finished what they have begun.
    pub(crate) finishing: watch::Sender<bool>,
    pub(crate) book: Mutex<Book>,
}

#[derive(Default)]
pub(crate) struct Book {
    /// Noted before the first attempt.
    pub(crate) submitted: HashMap<Cid, Submission>,
    /// Noted when the acknowledgement has come.
    pub(crate) acknowledged: HashMap<Cid, Done>,
    /// Attempts that ended without an answer.
    pub(crate) unknown: u64,
    /// Attempts whose answer said that an earlier one had succeeded.
    pub(crate) duplicates: u64,
}

pub(crate) struct Submission {
    pub(crate) from: UserId,
    pub(crate) to: To,
    pub(crate) text: Text,
}

impl World {
    /// One user for each transport, all in one group.
    pub(crate) async fn new(lab: &Lab) -> Arc<Self> {
        let target = Target::new(&format!("http://{}", lab.page));
        let mut users = Vec::new();
        // One user for each transport.
        for transport in Transport::all() {
            let (user, token) = target.register(transport.name, PASSWORD).await.unwrap();
            users.push(User { id: user.id, token });
        }
        let create =
            Command::CreateGroup { name: Name::try_from("all".to_owned()).unwrap(), cid: cid("group") };
        let reply = ask_by_post(&target, &users[0].token, create).await;
        let Done::GroupCreated { conversation: group, .. } = reply else { panic!("{reply:?}") };
        for user in &users[1..] {
            ask_by_post(&target, &user.token, Command::JoinGroup { conversation: group }).await;
        }
        let start = target.snapshot(&users[0].token).await.unwrap().cursor;
        Arc::new(Self {
            users,
            group,
            start,
            addresses: watch::Sender::new(None),
            acknowledged: watch::Sender::new(0),
            finishing: watch::Sender::new(false),
            book: Mutex::default(),
        })
    }

    pub(crate) async fn wait_for_acknowledgements(&self, more: u64) {
        let goal = *self.acknowledged.borrow() + more;
        let mut acknowledged = self.acknowledged.subscribe();
        let waiting = acknowledged.wait_for(|so_far| *so_far >= goal);
        timeout(PATIENCE, waiting).await.expect("messages are acknowledged after a restart").unwrap();
    }

    /// The server of a transport, as soon as there is one.
    pub(crate) async fn server(&self, transport: Transport) -> Target {
        let mut addresses = self.addresses.subscribe();
        let there =
            timeout(PATIENCE, addresses.wait_for(Option::is_some)).await.expect("the server comes back");
        let address = there.unwrap().as_ref().expect("waited for")[transport.place()];
        Target::new(&format!("http://{address}"))
    }

    /// Prints what happened, and returns the number of attempts with an unknown outcome.
    pub(crate) fn tell_counts(&self) -> u64 {
        let book = self.book.lock().unwrap();
        let Book { submitted, unknown, duplicates, .. } = &*book;
        println!("{} messages, {unknown} outcomes unknown, {duplicates} of them stored", submitted.len());
        *unknown
    }

    /// All conversations, read page by page. Every member must read the same.
    pub(crate) async fn histories(&self) -> HashMap<ConversationId, Vec<Message>> {
        let target = self.server(Transport::all()[0]).await;
        let mut histories = HashMap::new();
        for user in &self.users {
            for conversation in target.snapshot(&user.token).await.unwrap().conversations {
                let mut messages = Vec::new();
                let mut before = None;
                loop {
                    let page = target.history(&user.token, conversation.id, before, 200).await.unwrap();
                    before = page.messages.first().map(|message| message.seq);
                    messages.splice(0..0, page.messages);
                    if !page.more {
                        break;
                    }
                }
                assert_eq!(messages.len() as u64, conversation.last_seq, "in {}", conversation.id);
                let seen = histories.entry(conversation.id).or_insert_with(|| messages.clone());
                assert_eq!(*seen, messages, "{} reads another {}", user.id, conversation.id);
            }
        }
        histories
    }

    /// I1 to I4 and I9: what is stored was submitted, and is stored once, densely numbered, as it was acknowledged.
    pub(crate) fn check_histories(&self, histories: &HashMap<ConversationId, Vec<Message>>) {
        let book = self.book.lock().unwrap();
        let mut stored = HashMap::new();
        for (conversation, messages) in histories {
            let mut last = HashMap::new();
            for (seq, message) in (1..).zip(messages) {
                assert_eq!(message.seq, seq, "the seqs of {conversation} are not dense");
                assert!(stored.insert(&message.cid, message).is_none(), "stored twice: {message:?}");
                let submission = book.submitted.get(&message.cid);
                let submission = submission.unwrap_or_else(|| panic!("nobody submitted {message:?}"));
                assert_eq!((submission.from, &submission.text), (message.from, &message.text));
                match submission.to {
                    To::Conversation(to) => assert_eq!(to, *conversation),
                    To::User(_) => assert_ne!(self.group, *conversation),
                }
                // The text is `writer number`. A writer has one message under way, so its numbers rise.
                if let Some((writer, number)) = message.text.as_str().split_once(' ')
                    && let Ok(number) = number.parse::<u64>()
                {
                    let before = last.insert((message.from, writer), number);
                    assert!(before < Some(number), "{message:?} overtook {before:?}");
                }
            }
        }
        assert_eq!(stored.len(), book.acknowledged.len(), "every message is acknowledged in the end");
        for (cid, done) in &book.acknowledged {
            let message =
                stored.get(cid).unwrap_or_else(|| panic!("acknowledged and gone: {cid:?} {done:?}"));
            let Done::Sent { conversation, seq, id, at, .. } = *done else { panic!("{done:?}") };
            assert_eq!(
                (message.conversation, message.seq, message.id, message.at),
                (conversation, seq, id, at)
            );
        }
    }

    /// I4, I7, I8 and I12: a stream, over all its connections, brings every stored message that its user may see, once,
    /// in the order of the log.
    pub(crate) fn check_stream(
        &self,
        user: usize,
        stream: &[Event],
        histories: &HashMap<ConversationId, Vec<Message>>,
        whose: &str,
    ) {
        let ids: Vec<u64> = stream.iter().filter_map(Event::id).map(position).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "the ids of {whose} do not rise: {ids:?}");
        let told: Vec<&Message> = stream
            .iter()
            .filter_map(|event| if let Event::Message(m) = event { Some(m) } else { None })
            .collect();
        let mut visible: Vec<&Message> = histories
            .values()
            .filter(|messages| {
                messages[0].conversation == self.group
                    || messages.iter().any(|message| message.from == self.users[user].id)
                    || self.talks_with(user, &messages[0])
            })
            .flatten()
            .collect();
        visible.sort_by_key(|message| position(message.id));
        for (told, stored) in told.iter().zip(&visible) {
            assert_eq!(told, stored, "told {whose}, and stored");
        }
        assert_eq!(told.len(), visible.len(), "messages told {whose}");
    }

    /// Whether a direct message is for this user.
    fn talks_with(&self, user: usize, message: &Message) -> bool {
        let book = self.book.lock().unwrap();
        book.submitted.get(&message.cid).is_some_and(|found| found.to == To::User(self.users[user].id))
    }
}

pub(crate) async fn ask_by_post(target: &Target, token: &Token, command: Command) -> Done {
    let reply = PostSender::new(target, token).send(Request { request_id: None, command }).await.unwrap();
    reply.into_result().unwrap()
}

pub(crate) fn cid(text: &str) -> Cid {
    Cid::try_from(text.replace(' ', "-")).unwrap()
}

pub(crate) fn text(text: &str) -> Text {
    Text::try_from(text.to_owned()).unwrap()
}
