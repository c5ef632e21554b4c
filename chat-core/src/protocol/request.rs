//! What clients ask, and the outcome.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ids::{ConversationId, Cursor, UserId};
use crate::model::Timestamp;
use crate::refusal::{Code, Refusal};
use crate::text::{Cid, Name, RequestId, Text};

/// What a client asks the chat to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Write a message.
    Send {
        /// The user or the conversation that it goes to.
        to: To,
        /// The client's id for it: a repeated request with the same id writes nothing new.
        cid: Cid,
        /// What is written.
        text: Text,
    },
    /// Create a group; its creator is its first member.
    CreateGroup {
        /// What to call it. The rules for names are checked only if the group is new.
        name: Name,
        /// The client's id for it: a repeated request with the same id creates nothing new.
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
    /// Say how far the user has read, for the user's other sessions.
    MarkRead {
        /// Where.
        conversation: ConversationId,
        /// The newest message read.
        seq: u64,
    },
    /// Tell the other members that the user is typing.
    Typing {
        /// Where.
        conversation: ConversationId,
    },
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// To one user; the direct conversation begins with the first message.
    User(UserId),
    /// Into a conversation that the user is a member of.
    Conversation(ConversationId),
}

/// A command with the id that its reply will carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with a command and perhaps a request_id")]
pub struct Request {
    /// The client's id for this attempt.
    #[serde(default)]
    pub request_id: Option<RequestId>,
    /// What is asked.
    pub command: Command,
}

/// Something that a client sent and that is JSON, but not a request.
#[derive(Debug, Clone)]
pub struct BadRequest {
    /// Its id, if it has one, so that the refusal can carry it.
    pub request_id: Option<RequestId>,
    /// What is wrong with it.
    pub refusal: Refusal,
}

impl Request {
    /// Reads one request.
    ///
    /// # Errors
    /// The outer error: it is not JSON. The inner error: it is JSON but not a request, and can be answered with a
    /// refusal.
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

/// What a command has done.
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
        /// Whether an earlier attempt had created it.
        duplicate: bool,
    },
    /// The user is a member.
    Joined {
        /// The group's conversation.
        conversation: ConversationId,
        /// The cursor of the event with which they became one.
        id: Cursor,
    },
    /// The user is no longer a member.
    Left {
        /// The group's conversation.
        conversation: ConversationId,
        /// The cursor of the event with which they left.
        id: Cursor,
    },
    /// The read mark is there, or further on.
    Read,
    /// The other members get a notice.
    Typing,
}

/// The outcome of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "reply")]
pub struct Reply {
    /// The id of the request.
    pub request_id: Option<RequestId>,
    /// Its outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Done, or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done. What it wrote is durable: it survives any crash.
    Ok(Done),
    /// Refused: nothing was changed.
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
    fn a_reply_is_written_as_the_contract_writes_it() {
        let refusal = Refusal::new(Code::NotAMember, "no");
        let reply = Reply::new(Some(RequestId::try_from("r1".to_owned()).unwrap()), Err(refusal));
        assert_eq!(
            serde_json::to_string(&reply).unwrap(),
            r#"{"type":"reply","request_id":"r1","refusal":{"code":"not_a_member","message":"no","retry_after_ms":null}}"#
        );
    }
}
