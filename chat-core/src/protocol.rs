//! What travels on every wire: requests up, replies and events down, each one JSON value, encoded once.

use std::any::TypeId;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ids::{ConversationId, Cursor, Epoch, Position, UserId};
use crate::model::{Message, Timestamp, User};
use crate::refusal::{Close, Code, Refusal};
use crate::text::{Cid, Name, RequestId, Text};

/// What a client asks the chat to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Write a message.
    Send {
        /// To whom, or where.
        to: To,
        /// The client's id for it: asking again with the same one writes nothing new.
        cid: Cid,
        /// What is written.
        text: Text,
    },
    /// Found a group; its creator is its first member.
    CreateGroup {
        /// What to call it.
        name: Name,
        /// The client's id for it: asking again with the same one founds nothing new.
        cid: Cid,
    },
    /// Become a member.
    JoinGroup {
        /// The group's conversation.
        conversation: ConversationId,
    },
    /// Stop being a member.
    LeaveGroup {
        /// The group's conversation.
        conversation: ConversationId,
    },
    /// Say how far one has read, for one's other sessions.
    MarkRead {
        /// Where.
        conversation: ConversationId,
        /// The newest message read.
        seq: u64,
    },
    /// Tell the others that one is typing.
    Typing {
        /// Where.
        conversation: ConversationId,
    },
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// To one person; their direct conversation begins with the first message.
    User(UserId),
    /// Into a conversation one is in.
    Conversation(ConversationId),
}

/// A command with the id that its reply will carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The client's id for this attempt.
    #[serde(default)]
    pub request_id: Option<RequestId>,
    /// What is asked.
    pub command: Command,
}

/// Something a client sent that is JSON but no request.
#[derive(Debug, Clone)]
pub struct BadRequest {
    /// Its id, where it has one, so that the refusal finds its way back.
    pub request_id: Option<RequestId>,
    /// What is wrong with it.
    pub refusal: Refusal,
}

impl Request {
    /// Reads one request.
    ///
    /// # Errors
    /// The outer error: not JSON at all. The inner one: JSON, but no request; it can be answered.
    pub fn parse(json: &[u8]) -> Result<Result<Self, BadRequest>, serde_json::Error> {
        let error = match serde_json::from_slice(json) {
            Ok(request) => return Ok(Ok(request)),
            Err(error) => error,
        };
        #[derive(Deserialize)]
        struct Addressed {
            request_id: Option<RequestId>,
        }
        let _: &RawValue = serde_json::from_slice(json)?;
        let request_id = serde_json::from_slice::<Addressed>(json).ok().and_then(|found| found.request_id);
        Ok(Err(BadRequest { request_id, refusal: Refusal::of_json(&error) }))
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Done {
    /// The message is stored.
    Sent {
        /// Where it was written.
        conversation: ConversationId,
        /// Its number there.
        seq: u64,
        /// The cursor of its event.
        id: Cursor,
        /// When it was committed.
        at: Timestamp,
        /// Whether an earlier attempt had stored it.
        duplicate: bool,
    },
    /// The group exists.
    GroupCreated {
        /// Its conversation.
        conversation: ConversationId,
        /// The cursor of its event.
        id: Cursor,
        /// Whether an earlier attempt had founded it.
        duplicate: bool,
    },
    /// One is a member.
    Joined {
        /// The group's conversation.
        conversation: ConversationId,
        /// The cursor of the event with which one became one.
        id: Cursor,
    },
    /// One is no longer a member.
    Left {
        /// The group's conversation.
        conversation: ConversationId,
        /// The cursor of the event with which one left.
        id: Cursor,
    },
    /// The mark stands there, or further on.
    Read,
    /// The others will be told.
    Typing,
}

/// The outcome of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "reply")]
pub struct Reply {
    /// The id of the request.
    pub request_id: Option<RequestId>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Done, or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Durable: it outlives any crash.
    Ok(Done),
    /// Nothing happened.
    Refusal(Refusal),
}

impl Reply {
    /// The reply to a request with this id.
    pub(crate) fn new(request_id: Option<RequestId>, result: Result<Done, Refusal>) -> Self {
        let outcome = match result {
            Ok(done) => Outcome::Ok(done),
            Err(refusal) => Outcome::Refusal(refusal),
        };
        Self { request_id, outcome }
    }

    /// The outcome as a result.
    ///
    /// # Errors
    /// The refusal, if it is one.
    pub fn into_result(self) -> Result<Done, Refusal> {
        match self.outcome {
            Outcome::Ok(done) => Ok(done),
            Outcome::Refusal(refusal) => Err(refusal),
        }
    }
}

/// Something that happened, or that a client should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Somebody wrote.
    Message(Message),
    /// Two people begin to talk; comes before their first message.
    DirectStarted {
        /// Its cursor.
        id: Cursor,
        /// Where they will talk.
        conversation: ConversationId,
        /// The two, the one who wrote first.
        members: Vec<UserId>,
    },
    /// Somebody is new here.
    UserRegistered {
        /// Its cursor.
        id: Cursor,
        /// Who.
        user: User,
    },
    /// Somebody founded a group, and is its first member.
    GroupCreated {
        /// Its cursor.
        id: Cursor,
        /// Where its members talk.
        conversation: ConversationId,
        /// What it is called.
        name: Name,
        /// Who founded it.
        by: UserId,
    },
    /// What a new member needs to know of the group; comes before their own `member_joined`, and to them alone.
    GroupJoined {
        /// Its cursor.
        id: Cursor,
        /// The group's conversation.
        conversation: ConversationId,
        /// What it is called.
        name: Name,
        /// Who is in it, the new member included.
        members: Vec<UserId>,
    },
    /// A group has a new member.
    MemberJoined {
        /// Its cursor.
        id: Cursor,
        /// The group's conversation.
        conversation: ConversationId,
        /// Who.
        user: UserId,
    },
    /// A group has lost a member; the last event of the group that the leaver gets.
    MemberLeft {
        /// Its cursor.
        id: Cursor,
        /// The group's conversation.
        conversation: ConversationId,
        /// Who.
        user: UserId,
    },
    /// One has read on, in another session perhaps.
    Read {
        /// Its cursor.
        id: Cursor,
        /// Where.
        conversation: ConversationId,
        /// The newest message read.
        seq: u64,
    },
    /// People came or went. Not logged.
    Presence {
        /// Who is here now and was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        online: Option<Vec<UserId>>,
        /// Who was here and is not now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offline: Option<Vec<UserId>>,
        /// Too many to list, so there are no lists: read `/api/users` again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refetch: bool,
    },
    /// Somebody is typing. Not logged.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
    },
    /// The server is there, and this is how far the client is. Not logged.
    Tick {
        /// A cursor to resume from.
        cursor: Cursor,
    },
    /// The cursor cannot be used: start again from a snapshot. Not logged.
    Reset {
        /// Why.
        reason: ResetReason,
    },
    /// The server ends the connection, on a wire that has no other way to say so. Not logged.
    Close {
        /// The number of the reason.
        code: u16,
        /// Its name.
        name: String,
        /// Whether coming back may help.
        reconnect: bool,
    },
}

/// Why a cursor cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// Older than what is kept.
    Expired,
    /// Of another epoch, or ahead of the log.
    Unknown,
}

impl ResetReason {
    /// The reason with which the connection ends after the reset.
    pub(crate) fn close(self) -> Close {
        match self {
            Self::Expired => Close::CursorExpired,
            Self::Unknown => Close::CursorUnknown,
        }
    }
}

impl Event {
    /// The cursor of a logged event.
    #[must_use]
    pub fn id(&self) -> Option<Cursor> {
        match self {
            Self::Message(Message { id, .. })
            | Self::DirectStarted { id, .. }
            | Self::UserRegistered { id, .. }
            | Self::GroupCreated { id, .. }
            | Self::GroupJoined { id, .. }
            | Self::MemberJoined { id, .. }
            | Self::MemberLeft { id, .. }
            | Self::Read { id, .. } => Some(*id),
            Self::Presence { .. }
            | Self::Typing { .. }
            | Self::Tick { .. }
            | Self::Reset { .. }
            | Self::Close { .. } => None,
        }
    }

    /// The same event in the log's present history: its cursor may have been written in an earlier one.
    pub(crate) fn in_epoch(mut self, epoch: Epoch) -> Self {
        match &mut self {
            Self::Message(Message { id, .. })
            | Self::DirectStarted { id, .. }
            | Self::UserRegistered { id, .. }
            | Self::GroupCreated { id, .. }
            | Self::GroupJoined { id, .. }
            | Self::MemberJoined { id, .. }
            | Self::MemberLeft { id, .. }
            | Self::Read { id, .. } => id.epoch = epoch,
            Self::Presence { .. }
            | Self::Typing { .. }
            | Self::Tick { .. }
            | Self::Reset { .. }
            | Self::Close { .. } => {}
        }
        self
    }

    /// What a wire without close codes of its own sends last.
    pub(crate) fn of_close(close: Close) -> Self {
        Self::Close { code: close.code(), name: close.name().to_owned(), reconnect: close.reconnect() }
    }
}

/// How one wire writes a frame. The type stands for the wire; the core need not know which wires there are.
pub trait Encoding: 'static {
    /// The frame's bytes with this wire's framing around them.
    fn encode(frame: &Frame) -> Bytes;
}

/// One unit on our wire: a reply or an event, encoded once and shared by everybody who gets it.
#[derive(Debug)]
pub struct Frame {
    id: Option<Cursor>,
    json: Bytes,
    is_reply: bool,
    /// Guards the wires' own encodings: few, so a list is searched faster than a map.
    encodings: Mutex<Vec<(TypeId, Bytes)>>,
}

impl Frame {
    /// The frame of an event.
    #[must_use]
    pub fn of_event(event: &Event) -> Arc<Self> {
        let id = match event {
            Event::Tick { cursor } => Some(*cursor),
            event => event.id(),
        };
        Arc::new(Self { id, json: to_json(event), is_reply: false, encodings: Mutex::default() })
    }

    /// The frame of a reply.
    #[must_use]
    pub fn of_reply(reply: &Reply) -> Arc<Self> {
        Arc::new(Self { id: None, json: to_json(reply), is_reply: true, encodings: Mutex::default() })
    }

    /// The frame that says that the server is there.
    #[must_use]
    pub fn tick(cursor: &Cursor) -> Arc<Self> {
        Self::of_event(&Event::Tick { cursor: *cursor })
    }

    /// The frame that says why the connection ends.
    #[must_use]
    pub fn close(close: Close) -> Arc<Self> {
        Self::of_event(&Event::of_close(close))
    }

    /// The cursor that a client has reached with this frame, if it carries one.
    #[must_use]
    pub fn id(&self) -> Option<Cursor> {
        self.id
    }

    /// Where in the log its event is.
    pub(crate) fn position(&self) -> Option<Position> {
        self.id.map(|id| id.position)
    }

    /// The JSON value, in UTF-8 and without a line break.
    #[must_use]
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// Whether this answers a request of the very client that gets it.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        self.is_reply
    }

    /// The bytes as wire `E` writes them: made at the first call, shared from then on.
    pub fn encoded<E: Encoding>(&self) -> Bytes {
        let mut encodings = self.encodings.lock().unwrap_or_else(PoisonError::into_inner);
        let wire = TypeId::of::<E>();
        if let Some((_, bytes)) = encodings.iter().find(|(known, _)| *known == wire) {
            return bytes.clone();
        }
        let bytes = E::encode(self);
        encodings.push((wire, bytes.clone()));
        bytes
    }
}

fn to_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("plain structs and enums always have JSON").into()
}

impl BadRequest {
    /// The refusal as a reply.
    pub(crate) fn reply(self) -> Reply {
        Reply::new(self.request_id, Err(self.refusal))
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::new(Code::BadRequest, format!("this is not JSON: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Request, BadRequest> {
        Request::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_request_is_read_as_the_contract_writes_it() {
        let request = parse(
            r#"{"request_id": "r1", "command": {"type": "send", "to": {"user": "u2"}, "cid": "9f", "text": "hi"}}"#,
        );
        let Command::Send { to, .. } = request.unwrap().command else { panic!("not a send") };
        assert_eq!(to, To::User(UserId(2)));
        assert!(parse(r#"{"command": {"type": "join_group", "conversation": "c5"}}"#).is_ok());
    }

    #[test]
    fn a_bad_request_keeps_its_id() {
        for (json, code) in [
            (
                r#"{"request_id": "r1", "command": {"type": "typing", "conversation": "c5", "x": 1}}"#,
                Code::BadRequest,
            ),
            (r#"{"request_id": "r1", "command": {"type": "typing", "conversation": 5}}"#, Code::BadRequest),
            (r#"{"request_id": "r1", "command": {"type": "dance"}}"#, Code::BadRequest),
            (r#"{"request_id": "r1", "command": {"type": "typing"}}"#, Code::BadRequest),
            (
                r#"{"request_id": "r1", "extra": 1, "command": {"type": "typing", "conversation": "c5"}}"#,
                Code::BadRequest,
            ),
            (
                r#"{"request_id": "r1", "command": {"type": "send", "to": {"user": "u2"}, "cid": "9f", "text": ""}}"#,
                Code::InvalidText,
            ),
        ] {
            let bad = parse(json).unwrap_err();
            assert_eq!(bad.request_id.as_ref().map(RequestId::as_str), Some("r1"), "{json}");
            assert_eq!(bad.refusal.code, code, "{json}");
        }
        assert!(Request::parse(b"{").is_err());
    }

    #[test]
    fn replies_and_events_are_written_as_the_contract_writes_them() {
        let refusal = Refusal::new(Code::NotAMember, "no");
        let reply = Reply::new(Some(RequestId::try_from("r1".to_owned()).unwrap()), Err(refusal));
        assert_eq!(
            serde_json::to_string(&reply).unwrap(),
            r#"{"type":"reply","request_id":"r1","refusal":{"code":"not_a_member","message":"no","retry_after_ms":null}}"#
        );
        let event = Event::Presence { online: Some(vec![UserId(2)]), offline: Some(vec![]), refetch: false };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"type":"presence","online":["u2"],"offline":[]}"#
        );
        let event = Event::Presence { online: None, offline: None, refetch: true };
        assert_eq!(serde_json::to_string(&event).unwrap(), r#"{"type":"presence","refetch":true}"#);
        assert_eq!(
            serde_json::to_string(&Event::of_close(Close::Shutdown)).unwrap(),
            r#"{"type":"close","code":4001,"name":"shutdown","reconnect":true}"#
        );
    }

    #[test]
    fn every_wire_encodes_a_frame_once() {
        struct Shouting;
        impl Encoding for Shouting {
            fn encode(frame: &Frame) -> Bytes {
                frame.json().to_ascii_uppercase().into()
            }
        }
        let frame = Frame::close(Close::Shutdown);
        let first = frame.encoded::<Shouting>();
        assert_eq!(first.as_ptr(), frame.encoded::<Shouting>().as_ptr());
        assert!(first.starts_with(b"{\"TYPE\""));
    }
}
