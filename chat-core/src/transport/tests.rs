//! The wake rule: a session sleeps only where every wake source holds its task's waker.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::task::{Context, Waker};

use tokio::time::timeout;

use super::*;
use crate::ids::UserId;
use crate::store::Location;
use crate::text::Password;

/// Longer than any step takes that works.
const PATIENCE: Duration = Duration::from_secs(10);

/// A transport whose writes never wait, so a session may sleep after each. It ends after enough frames.
struct Writer {
    patience: Duration,
    /// Requests of the client that the session has not taken yet.
    requests: Arc<Mutex<VecDeque<Bytes>>>,
    frames: usize,
    enough: usize,
}

impl Transport for Writer {
    type Error = Infallible;

    fn patience(&self) -> Duration {
        self.patience
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<ControlFlow<()>, Infallible> {
        self.frames += batch.frames.len();
        Ok(if self.frames >= self.enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    async fn keep_alive(&mut self, _: &Cursor) -> Result<ControlFlow<Option<Close>>, Infallible> {
        Ok(ControlFlow::Break(None))
    }

    async fn receive(&mut self) -> Result<Received, Infallible> {
        let request = self.requests.lock().unwrap().pop_front();
        match request {
            Some(request) => Ok(Received::Request(request)),
            None => pending().await,
        }
    }

    async fn close(&mut self, _: Close, _: Option<&Cursor>) -> Result<(), Infallible> {
        Ok(())
    }
}

fn send(to: UserId, number: usize) -> Bytes {
    let command = format!(r#"{{"type":"send","to":{{"user":"{to}"}},"cid":"{number}","text":"hi"}}"#);
    format!(r#"{{"request_id":"{number}","command":{command}}}"#).into()
}

/// A chat in which Bob, user 2, has sent Ann some messages; with her sign-in, and the cursor before the messages.
async fn chat_with(messages: usize) -> (Chat, SignIn, Cursor) {
    let limits = Limits { hash_memory: 8, message_burst: 100_000, ..Limits::default() };
    let chat = Chat::open(&Location::Temporary, limits).unwrap();
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (_, token) = chat.register("Ann".to_owned(), Password::from("correct horse"), here).await.unwrap();
    let (_, bob) = chat.register("Bob".to_owned(), Password::from("correct horse"), here).await.unwrap();
    let (ann, bob) = (chat.authenticate(&token).await.unwrap(), chat.authenticate(&bob).await.unwrap());
    let start = chat.snapshot(ann.user).await.unwrap().cursor;
    for number in 0..messages {
        let mut answer = chat.submit(&bob, &send(ann.user, number)).await.unwrap();
        poll_fn(|cx| answer.poll(cx)).await.into_result().unwrap();
    }
    (chat, ann, start)
}

async fn ends(chat: &Chat, ann: SignIn, start: Cursor, mut writer: Writer) {
    let metrics = chat.metrics().transport("test");
    let session = Session::open(chat, ann, Some(start), metrics, None).await.unwrap();
    let Ok(()) = timeout(PATIENCE, session.serve(&mut writer)).await.expect("the session sleeps for ever");
}

#[tokio::test]
async fn a_session_goes_on_while_its_subscription_has_more() {
    let messages = 3 * Limits::BATCH_FRAMES;
    let (chat, ann, start) = chat_with(messages).await;
    let hour = Duration::from_secs(3_600);
    ends(&chat, ann, start, Writer { patience: hour, requests: Arc::default(), frames: 0, enough: messages })
        .await;
}

#[tokio::test]
async fn a_session_goes_on_until_its_timer_is_armed() {
    let (chat, ann, start) = chat_with(1).await;
    let soon = Duration::from_millis(20);
    ends(
        &chat,
        ann,
        start,
        Writer { patience: soon, requests: Arc::default(), frames: 0, enough: usize::MAX },
    )
    .await;
}

/// While too many requests await their commit, the session reads no more. All replies may then be sent at once.
#[tokio::test]
async fn a_session_reads_from_its_client_again_after_the_last_reply() {
    let (chat, ann, start) = chat_with(0).await;
    let requests = Arc::new(Mutex::new(VecDeque::new()));
    let left = || requests.lock().unwrap().len();
    let hour = Duration::from_secs(3_600);
    let mut writer =
        Writer { patience: hour, requests: Arc::clone(&requests), frames: 0, enough: usize::MAX };
    let metrics = chat.metrics().transport("test");
    let session = Session::open(&chat, ann, Some(start), metrics, None).await.unwrap();
    let mut serving = pin!(session.serve(&mut writer));
    let mut context = Context::from_waker(Waker::noop());
    let mut disk = chat.hold_writer().await;
    disk.begun().await;
    // The session is polled by hand, so it cannot run before all replies are there. At first it only arms its timer.
    assert!(serving.as_mut().poll(&mut context).is_pending());
    let all = 2 * Limits::REQUESTS_IN_FLIGHT;
    requests.lock().unwrap().extend((0..all).map(|number| send(UserId(2), number)));
    while left() > all - Limits::REQUESTS_IN_FLIGHT {
        assert!(serving.as_mut().poll(&mut context).is_pending());
        tokio::task::yield_now().await;
    }
    assert!(serving.as_mut().poll(&mut context).is_pending());
    assert_eq!(left(), all - Limits::REQUESTS_IN_FLIGHT, "too many requests await their commit");
    drop(disk);
    // When this returns, the writer has answered every command before it.
    chat.trim().await.unwrap();
    assert!(serving.as_mut().poll(&mut context).is_pending());
    assert!(left() < all - Limits::REQUESTS_IN_FLIGHT, "the client is not heard any more");
}
