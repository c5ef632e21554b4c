//! Every limit of the chat in one value: flags for operators, short ones for the laws.

use std::time::Duration;

use clap::{Args, Command, FromArgMatches};

/// Every limit, with its default in its flag.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// How long the event log reaches back; message history stays for ever
    #[arg(long, env = "CHAT_RETENTION", default_value = "7d", value_parser = duration, value_name = "TIME")]
    pub retention: Duration,
    /// How long a sign-in lasts
    #[arg(long, env = "CHAT_SIGN_IN_LIFETIME", default_value = "30d", value_parser = duration, value_name = "TIME")]
    pub sign_in_lifetime: Duration,
    /// Events kept in memory for each user who is here
    #[arg(long, env = "CHAT_INBOX_EVENTS", default_value_t = 1_024, value_name = "N")]
    pub inbox_events: usize,
    /// Bytes of events kept in memory for each user who is here
    #[arg(long, env = "CHAT_INBOX_BYTES", default_value_t = 1_048_576, value_name = "N")]
    pub inbox_bytes: usize,
    /// How long presence and inbox outlive a user's last connection
    #[arg(long, env = "CHAT_GRACE", default_value = "30s", value_parser = duration, value_name = "TIME")]
    pub grace: Duration,
    /// How long presence changes are gathered before they are told
    #[arg(long, env = "CHAT_PRESENCE_INTERVAL", default_value = "1s", value_parser = duration, value_name = "TIME")]
    pub presence_interval: Duration,
    /// The most people one presence event lists
    #[arg(long, env = "CHAT_PRESENCE_LIST", default_value_t = 256, value_name = "N")]
    pub presence_list: usize,
    /// Connections of one user
    #[arg(long, env = "CHAT_CONNECTIONS_PER_USER", default_value_t = 20, value_name = "N")]
    pub connections_per_user: usize,
    /// Connections of one server
    #[arg(long, env = "CHAT_CONNECTIONS", default_value_t = 15_000, value_name = "N")]
    pub connections: usize,
    /// Messages and group commands a second, for each user
    #[arg(long, env = "CHAT_MESSAGES_PER_SECOND", default_value_t = 10, value_name = "N", value_parser = at_least_one)]
    pub messages_per_second: u32,
    /// Messages and group commands at once, for each user
    #[arg(long, env = "CHAT_MESSAGE_BURST", default_value_t = 50, value_name = "N", value_parser = at_least_one)]
    pub message_burst: u32,
    /// Sign-ins a minute, for each name and address
    #[arg(long, env = "CHAT_SIGN_INS_PER_MINUTE", default_value_t = 5, value_name = "N", value_parser = at_least_one)]
    pub sign_ins_per_minute: u32,
    /// Failed sign-ins a minute, for each address; those that succeed do not count
    #[arg(long, env = "CHAT_FAILED_SIGN_INS_PER_MINUTE", default_value_t = 60, value_name = "N", value_parser = at_least_one)]
    pub failed_sign_ins_per_minute: u32,
    /// Registrations a minute, for each address
    #[arg(long, env = "CHAT_REGISTRATIONS_PER_MINUTE", default_value_t = 60, value_name = "N", value_parser = at_least_one)]
    pub registrations_per_minute: u32,
    /// Memory that hashing a password takes, in KiB; the default meets OWASP's advice with one pass
    #[arg(long, env = "CHAT_HASH_MEMORY", default_value_t = 47_104, value_name = "KIB", value_parser = clap::value_parser!(u32).range(8..))]
    pub hash_memory: u32,
    /// Passwords that may wait to be hashed
    #[arg(long, env = "CHAT_HASH_QUEUE", default_value_t = 64, value_name = "N")]
    pub hash_queue: usize,
    /// How long a connection may take for the head of a request, and stay unused
    #[arg(long, env = "CHAT_HEADER_TIMEOUT", default_value = "5s", value_parser = duration, value_name = "TIME")]
    pub header_timeout: Duration,
    /// How long the body of a request may take
    #[arg(long, env = "CHAT_BODY_TIMEOUT", default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub body_timeout: Duration,
    /// How long a client may take no byte of what waits for it
    #[arg(long, env = "CHAT_WRITE_TIMEOUT", default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub write_timeout: Duration,
    /// Bytes that the kernel takes for a client before they can be sent
    #[arg(long, env = "CHAT_UNSENT_BYTES", default_value_t = 131_072, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub unsent_bytes: u32,
    /// Silence after which a WebSocket client is pinged
    #[arg(long, env = "CHAT_PING_AFTER", default_value = "20s", value_parser = duration, value_name = "TIME")]
    pub ping_after: Duration,
    /// How long a WebSocket client may take to answer a ping
    #[arg(long, env = "CHAT_PONG_TIMEOUT", default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub pong_timeout: Duration,
    /// Time between the signs of life on an event stream
    #[arg(long, env = "CHAT_KEEP_ALIVE", default_value = "15s", value_parser = duration, value_name = "TIME")]
    pub keep_alive: Duration,
    /// How long a poll is held that does not say how long to wait
    #[arg(long, env = "CHAT_POLL_WAIT", default_value = "25s", value_parser = duration, value_name = "TIME")]
    pub poll_wait: Duration,
    /// How long a poll is held at most, whatever it asks for: proxies often cut after 50 or 60 s
    #[arg(long, env = "CHAT_LONGEST_POLL", default_value = "45s", value_parser = duration, value_name = "TIME")]
    pub longest_poll: Duration,
    /// How long the disk may take for a command or a read before the client gets an answer
    #[arg(long, env = "CHAT_STORAGE_TIMEOUT", default_value = "5s", value_parser = duration, value_name = "TIME")]
    pub storage_timeout: Duration,
    /// Bytes of a database that is looked through for damage before it is served; a longer one is while it is served
    #[arg(long, env = "CHAT_CHECK_FIRST_BYTES", default_value_t = 268_435_456, value_name = "N")]
    pub check_first_bytes: u64,
    /// How long connections may take to end at shutdown
    #[arg(long, env = "CHAT_SHUTDOWN_TIMEOUT", default_value = "5s", value_parser = duration, value_name = "TIME")]
    pub shutdown_timeout: Duration,
}

impl Limits {
    /// The longest frame up or down, and the longest body, in bytes.
    pub const FRAME_BYTES: usize = 65_536;
    /// The longest head of a request, in bytes.
    pub const HEAD_BYTES: usize = 16_384;
    /// Frames handed to a transport at once.
    pub const BATCH_FRAMES: usize = 256;
    /// Bytes handed to a transport at once, unless a single frame is longer.
    pub const BATCH_BYTES: usize = 65_536;
    /// Requests of one connection that may await their commit; beyond it the server stops reading.
    pub const REQUESTS_IN_FLIGHT: usize = 64;
    /// Refusals for haste, one after the other, after which a connection ends.
    pub const HASTY_REFUSALS: u32 = 256;
    /// How long a session has to end by itself once it is told to, before its connection is cut.
    pub const ENDING: Duration = Duration::from_millis(500);
}

/// What the flags say when none is given.
impl Default for Limits {
    fn default() -> Self {
        let flags = Self::augment_args(Command::new("limits")).get_matches_from(["limits"]);
        Self::from_arg_matches(&flags).expect("every limit has a default")
    }
}

/// `10s`, `500ms`, `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 500ms, 10s or 7d"))
}

fn at_least_one(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let limits = Limits::default();
        assert_eq!(limits.retention, Duration::from_secs(7 * 24 * 3_600));
        assert_eq!((limits.messages_per_second, limits.message_burst), (10, 50));
        assert_eq!(limits.connections_per_user, 20);
        // Below the 50 or 60 s after which common proxies end a request.
        assert_eq!(limits.longest_poll, Duration::from_secs(45));
        assert_eq!(limits.ping_after + limits.pong_timeout, Duration::from_secs(30));
    }
}
