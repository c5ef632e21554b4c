//! The client's end: what a client of any transport can do, and the HTTP that all of them share.

pub mod any;
pub mod duplex;

use std::error::Error;
use std::time::Duration;

use chat_core::auth::Token;
use chat_core::chat::Chat;
use chat_core::ids::{ConversationId, Cursor};
use chat_core::model::{Group, History, Person, Snapshot, User};
use chat_core::protocol::{Event, Reply, Request};
use chat_core::refusal::Refusal;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How long a client waits for an answer that does not depend on other users.
const PATIENCE: Duration = Duration::from_secs(30);

/// One client of one user; its two halves work at the same time.
pub trait Client: Sized + Send {
    /// The half that sends requests.
    type Sender: Sender;
    /// The half that receives events.
    type Events: Events;

    /// Connects, to read what comes after a cursor, or from now on.
    ///
    /// # Errors
    /// No server answers, or it refuses.
    fn connect(
        target: &Target,
        token: &Token,
        after: Option<Cursor>,
    ) -> impl Future<Output = Result<(Self::Sender, Self::Events), ClientError>> + Send;
}

/// The half of a client that sends requests.
pub trait Sender: Clone + Send + Sync + 'static {
    /// Whether requests keep their order without waiting for each other's replies.
    const IN_ORDER: bool;

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// The outcome is unknown: send it again with the same `cid`.
    fn send(&self, request: Request) -> impl Future<Output = Result<Reply, ClientError>> + Send;
}

/// The half of a client that receives events.
pub trait Events: Send + 'static {
    /// The next event, ticks, resets and the close included. Cancel safe.
    ///
    /// # Errors
    /// The connection has ended: connect again after [`cursor`](Self::cursor).
    fn next(&mut self) -> impl Future<Output = Result<Event, ClientError>> + Send;

    /// The cursor that has been reached: what to connect with next time.
    fn cursor(&self) -> Option<Cursor>;
}

/// What can go wrong for a client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server said no.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The connection has ended. Whether requests under way had an effect is unknown.
    #[error("the connection is gone: {0}")]
    Disconnected(String),
    /// The server sent what this client does not understand.
    #[error("not understood: {0}")]
    NotUnderstood(#[from] serde_json::Error),
}

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        // The error itself says only that a request failed. The reason is the last of its causes.
        let mut cause = error.source();
        while let Some(deeper) = cause.and_then(Error::source) {
            cause = Some(deeper);
        }
        Self::Disconnected(cause.map_or_else(|| error.to_string(), ToString::to_string))
    }
}

/// One transport of a server, as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Offer {
    /// Its name.
    pub name: String,
    /// Its port, on the same host.
    pub port: u16,
}

/// A server to talk to.
#[derive(Clone)]
pub struct Target {
    base: String,
    chat: Option<Chat>,
    http: reqwest::Client,
}

impl Target {
    /// A server at a URL such as `http://127.0.0.1:4001`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let http = reqwest::Client::builder()
            .pool_idle_timeout(Duration::from_secs(3))
            .tcp_nodelay(true)
            // No proxy: the server's own connections are what these programs look at.
            .no_proxy()
            .build()
            .expect("a client without TLS needs nothing that could fail");
        Self { base: base.trim_end_matches('/').to_owned(), chat: None, http }
    }

    /// The same server, whose chat is in this process: what the memory transport connects to.
    #[must_use]
    pub fn with_chat(self, chat: &Chat) -> Self {
        Self { chat: Some(chat.clone()), ..self }
    }

    /// The same server over connections of its own, as another program would have them.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { chat: self.chat.clone(), ..Self::new(&self.base) }
    }

    /// The server's address, without a path.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The chat, if it is in this process.
    #[must_use]
    pub fn chat(&self) -> Option<&Chat> {
        self.chat.as_ref()
    }

    /// A request to a path of this server, signed in with a token.
    pub fn request(&self, method: Method, path: &str, token: &Token) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(token.as_str())
    }

    /// Makes a new user.
    ///
    /// # Errors
    /// See [`Chat::register`].
    pub async fn register(&self, name: &str, password: &str) -> Result<(User, Token), ClientError> {
        self.credentials("/api/register", name, password).await
    }

    /// Signs a user in.
    ///
    /// # Errors
    /// See [`Chat::sign_in`].
    pub async fn sign_in(&self, name: &str, password: &str) -> Result<(User, Token), ClientError> {
        self.credentials("/api/login", name, password).await
    }

    async fn credentials(
        &self,
        path: &str,
        name: &str,
        password: &str,
    ) -> Result<(User, Token), ClientError> {
        #[derive(Deserialize)]
        struct SignedIn {
            user: User,
            token: Token,
        }
        let request = self.http.post(format!("{}{path}", self.base));
        let answer =
            request.json(&json!({"name": name, "password": password})).timeout(PATIENCE).send().await?;
        let SignedIn { user, token } = read(answer).await?;
        Ok((user, token))
    }

    /// Ends a sign-in.
    ///
    /// # Errors
    /// `unauthenticated`, `storage_unavailable`.
    pub async fn sign_out(&self, token: &Token) -> Result<(), ClientError> {
        let answer = self.request(Method::POST, "/api/logout", token).timeout(PATIENCE).send().await?;
        match answer.status() {
            StatusCode::NO_CONTENT => Ok(()),
            _ => read(answer).await,
        }
    }

    /// Where each transport is, in the server's order. Needs no sign-in.
    ///
    /// # Errors
    /// No server answers, or it is no server of this chat.
    pub async fn transports(&self) -> Result<Vec<Offer>, ClientError> {
        #[derive(Deserialize)]
        struct Transports {
            transports: Vec<Offer>,
        }
        let request = self.http.get(format!("{}/api/transports", self.base)).timeout(PATIENCE);
        Ok(read::<Transports>(request.send().await?).await?.transports)
    }

    /// Everything that a user sees, and the cursor from which events carry on.
    ///
    /// # Errors
    /// `unauthenticated`, `storage_unavailable`.
    pub async fn snapshot(&self, token: &Token) -> Result<Snapshot, ClientError> {
        self.get("/api/snapshot", token).await
    }

    /// All users.
    ///
    /// # Errors
    /// `unauthenticated`, `storage_unavailable`.
    pub async fn users(&self, token: &Token) -> Result<Vec<Person>, ClientError> {
        #[derive(Deserialize)]
        struct Users {
            users: Vec<Person>,
        }
        Ok(self.get::<Users>("/api/users", token).await?.users)
    }

    /// All groups.
    ///
    /// # Errors
    /// `unauthenticated`, `storage_unavailable`.
    pub async fn groups(&self, token: &Token) -> Result<Vec<Group>, ClientError> {
        #[derive(Deserialize)]
        struct Groups {
            groups: Vec<Group>,
        }
        Ok(self.get::<Groups>("/api/groups", token).await?.groups)
    }

    /// A page of a conversation: the last `limit` messages before `before`.
    ///
    /// # Errors
    /// `not_a_member`, `unknown_conversation`, `storage_unavailable`.
    pub async fn history(
        &self,
        token: &Token,
        conversation: ConversationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<History, ClientError> {
        let before = before.map(|seq| format!("&before={seq}")).unwrap_or_default();
        self.get(&format!("/api/conversations/{conversation}/messages?limit={limit}{before}"), token).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, token: &Token) -> Result<T, ClientError> {
        read(self.request(Method::GET, path, token).timeout(PATIENCE).send().await?).await
    }
}

/// The sending half for every transport whose connection carries only events: each request is a POST.
#[derive(Clone)]
pub struct PostSender {
    target: Target,
    token: Token,
}

impl PostSender {
    /// Posts to a server as the user of a token.
    #[must_use]
    pub fn new(target: &Target, token: &Token) -> Self {
        Self { target: target.clone(), token: token.clone() }
    }
}

impl Sender for PostSender {
    /// Two POSTs may overtake each other; an array of requests in one POST keeps its order.
    const IN_ORDER: bool = false;

    async fn send(&self, request: Request) -> Result<Reply, ClientError> {
        let post = self.target.request(Method::POST, "/api/commands", &self.token);
        let body = post.json(&request).timeout(PATIENCE).send().await?.bytes().await?;
        let value: Value = serde_json::from_slice(&body)?;
        // A refusal of the command is a reply too. Only a problem document refuses the whole request.
        match value["type"] == "reply" {
            true => Ok(serde_json::from_value(value)?),
            false => Err(ClientError::Refused(problem(value)?)),
        }
    }
}

/// The value of an answer, or the refusal in it.
///
/// # Errors
/// The answer is a problem document, or not what was expected.
pub async fn read<T: DeserializeOwned>(answer: reqwest::Response) -> Result<T, ClientError> {
    let ok = answer.status().is_success();
    let body = answer.bytes().await?;
    if ok {
        return Ok(serde_json::from_slice(&body)?);
    }
    Err(ClientError::Refused(problem(serde_json::from_slice(&body)?)?))
}

fn problem(document: Value) -> Result<Refusal, serde_json::Error> {
    #[derive(Deserialize)]
    struct Document {
        code: chat_core::refusal::Code,
        detail: String,
        retry_after_ms: Option<u64>,
    }
    let Document { code, detail, retry_after_ms } = serde_json::from_value(document)?;
    Ok(Refusal { code, message: detail.into(), retry_after_ms })
}
