//! Commands on their way to the writer, and their replies on the way back.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Chat, SignIn};
use crate::ids::{ConversationId, UserId};
use crate::protocol::{Command, Done, Outcome, Reply, Request};
use crate::refusal::{Code, Refusal};
use crate::store::{TokenHash, Written};
use crate::text::RequestId;

impl Chat {
    /// Runs one request to its end. The caller guarantees that it is the user's.
    pub async fn execute(&self, user: UserId, request: Request) -> Reply {
        let mut answer = self.submit_request(user, None, request).await;
        std::future::poll_fn(|cx| answer.poll(cx)).await
    }

    /// Takes in a request as a transport received it. When this returns, its place in the order of commits is settled.
    ///
    /// It is refused if the sign-in ends before the commit, however long ago the connection was opened.
    ///
    /// # Errors
    /// It is not JSON.
    pub async fn submit(&self, by: &SignIn, json: &[u8]) -> Result<Answer, serde_json::Error> {
        match Request::parse(json)? {
            Ok(request) => Ok(self.submit_request(by.user, Some(by.token), request).await),
            Err(bad) => match self.0.messages.check(&by.user) {
                Ok(()) => Ok(Answer::ready(bad.reply())),
                Err(refusal) => Ok(Answer::ready(Reply::new(bad.request_id, Err(refusal)))),
            },
        }
    }

    async fn submit_request(&self, user: UserId, token: Option<TokenHash>, request: Request) -> Answer {
        let Request { request_id, command } = request;
        let refused = match &command {
            Command::Typing { .. } | Command::MarkRead { .. } => self.0.notices.check(&user),
            _ => self.0.messages.check(&user),
        };
        if let Err(refusal) = refused {
            return Answer::ready(Reply::new(request_id, Err(refusal)));
        }
        if let Command::Typing { conversation } = command {
            return Answer::ready(Reply::new(request_id, self.typing(user, conversation).await));
        }
        let work = self.0.store.submit(move |append| {
            if let Some(token) = token {
                append.still_signed_in(token)?;
            }
            append.execute(user, command)
        });
        let written = work.await;
        Answer(State::Waiting(request_id, written))
    }

    /// Membership is known in memory, so typing needs no read of the database.
    async fn typing(&self, user: UserId, conversation: ConversationId) -> Result<Done, Refusal> {
        if self.0.publisher.tell_typing(conversation, user) {
            return Ok(Done::Typing);
        }
        // For this user, a direct conversation between others does not exist. Only the store knows whether it is one.
        self.history(user, conversation, None, 0).await?;
        Err(Refusal::new(Code::NotAMember, "only members may do that; join the group first"))
    }
}

/// The reply to a request: there already, or waiting for its commit.
pub struct Answer(State);

enum State {
    Ready(Reply),
    Waiting(Option<RequestId>, Written<Done>),
}

impl Answer {
    fn ready(reply: Reply) -> Self {
        Self(State::Ready(reply))
    }

    /// Ready with the reply once it is there.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Reply> {
        match &mut self.0 {
            State::Ready(reply) => Poll::Ready(reply.clone()),
            State::Waiting(request_id, written) => {
                let request_id = request_id.clone();
                Pin::new(written).poll(cx).map(|result| Reply::new(request_id, result))
            }
        }
    }

    /// Why it was refused, if it was refused at once.
    #[must_use]
    pub fn refusal(&self) -> Option<Code> {
        match &self.0 {
            State::Ready(Reply { outcome: Outcome::Refusal(refusal), .. }) => Some(refusal.code),
            State::Ready(_) | State::Waiting(..) => None,
        }
    }
}
