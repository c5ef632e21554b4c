//! The limits as flags: names, defaults, and the values that are accepted.

use std::ops::RangeInclusive;
use std::time::Duration;

use chat_core::limits::Limits;
use clap::Args;

/// Every limit as a flag.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitFlags {
    /// How long events are kept for clients that resume; messages are kept for ever
    #[arg(long, env = "CHAT_RETENTION", default_value = "7d", value_parser = a_second, value_name = "TIME")]
    retention: Duration,
    /// How long a sign-in lasts
    #[arg(long, env = "CHAT_SIGN_IN_LIFETIME", default_value = "30d", value_parser = a_second, value_name = "TIME")]
    sign_in_lifetime: Duration,
    /// Events kept in memory for each user who is online
    #[arg(long, env = "CHAT_INBOX_EVENTS", default_value_t = 1_024, value_name = "N", value_parser = some)]
    inbox_events: usize,
    /// Bytes of events kept in memory for each user who is online
    #[arg(long, env = "CHAT_INBOX_BYTES", default_value_t = 1_048_576, value_name = "N", value_parser = some)]
    inbox_bytes: usize,
    /// How long a user stays online after the last connection has ended
    #[arg(long, env = "CHAT_GRACE", default_value = "30s", value_parser = duration, value_name = "TIME")]
    grace: Duration,
    /// How long presence changes are collected before they are sent
    #[arg(long, env = "CHAT_PRESENCE_INTERVAL", default_value = "1s", value_parser = some_time, value_name = "TIME")]
    presence_interval: Duration,
    /// The most users in one presence event
    #[arg(long, env = "CHAT_PRESENCE_LIST", default_value_t = 256, value_name = "N", value_parser = or_none)]
    presence_list: usize,
    /// The most connections of one user
    #[arg(long, env = "CHAT_CONNECTIONS_PER_USER", default_value_t = 20, value_name = "N", value_parser = some)]
    connections_per_user: usize,
    /// The most connections of one server
    #[arg(long, env = "CHAT_CONNECTIONS", default_value_t = 15_000, value_name = "N", value_parser = some)]
    connections: usize,
    /// Messages and group commands of one user in a second
    #[arg(long, env = "CHAT_MESSAGES_PER_SECOND", default_value_t = 10, value_name = "N", value_parser = at_least_one)]
    messages_per_second: u32,
    /// Messages and group commands of one user at once
    #[arg(long, env = "CHAT_MESSAGE_BURST", default_value_t = 50, value_name = "N", value_parser = at_least_one)]
    message_burst: u32,
    /// Sign-ins in a minute, for each name and address
    #[arg(long, env = "CHAT_SIGN_INS_PER_MINUTE", default_value_t = 5, value_name = "N", value_parser = at_least_one)]
    sign_ins_per_minute: u32,
    /// Failed sign-ins in a minute, for each address; successful ones do not count
    #[arg(long, env = "CHAT_FAILED_SIGN_INS_PER_MINUTE", default_value_t = 60, value_name = "N", value_parser = at_least_one)]
    failed_sign_ins_per_minute: u32,
    /// Registrations in a minute, for each address
    #[arg(long, env = "CHAT_REGISTRATIONS_PER_MINUTE", default_value_t = 60, value_name = "N", value_parser = at_least_one)]
    registrations_per_minute: u32,
    /// Memory for hashing one password, in KiB; the default follows OWASP's advice for one pass
    #[arg(long, env = "CHAT_HASH_MEMORY", default_value_t = 47_104, value_name = "KIB", value_parser = hash_memory)]
    hash_memory: u32,
    /// Passwords that may wait to be hashed
    #[arg(long, env = "CHAT_HASH_QUEUE", default_value_t = 64, value_name = "N", value_parser = or_none)]
    hash_queue: usize,
    /// How long a connection may stay unused, or take to send the head of a request
    #[arg(long, env = "CHAT_HEADER_TIMEOUT", default_value = "5s", value_parser = some_time, value_name = "TIME")]
    header_timeout: Duration,
    /// How long the body of a request may take
    #[arg(long, env = "CHAT_BODY_TIMEOUT", default_value = "10s", value_parser = some_time, value_name = "TIME")]
    body_timeout: Duration,
    /// How long a client may accept no byte before it is disconnected
    #[arg(long, env = "CHAT_WRITE_TIMEOUT", default_value = "10s", value_parser = some_time, value_name = "TIME")]
    write_timeout: Duration,
    /// Bytes that the kernel stores for one client until they can be sent
    #[arg(long, env = "CHAT_UNSENT_BYTES", default_value_t = 131_072, value_name = "N", value_parser = bytes)]
    unsent_bytes: u32,
    /// How long a WebSocket client may be silent before the server sends a Ping
    #[arg(long, env = "CHAT_PING_AFTER", default_value = "20s", value_parser = some_time, value_name = "TIME")]
    ping_after: Duration,
    /// How long a WebSocket client may take to answer a Ping
    #[arg(long, env = "CHAT_PONG_TIMEOUT", default_value = "10s", value_parser = some_time, value_name = "TIME")]
    pong_timeout: Duration,
    /// Time between two keep-alives on an event stream
    #[arg(long, env = "CHAT_KEEP_ALIVE", default_value = "15s", value_parser = some_time, value_name = "TIME")]
    keep_alive: Duration,
    /// How long a poll waits if the client does not say how long
    #[arg(long, env = "CHAT_POLL_WAIT", default_value = "25s", value_parser = duration, value_name = "TIME")]
    poll_wait: Duration,
    /// The longest that a poll may wait; proxies often cut after 50 or 60 s
    #[arg(long, env = "CHAT_LONGEST_POLL", default_value = "45s", value_parser = some_time, value_name = "TIME")]
    longest_poll: Duration,
    /// How long the disk may take for a command or a read before it is refused
    #[arg(long, env = "CHAT_STORAGE_TIMEOUT", default_value = "5s", value_parser = some_time, value_name = "TIME")]
    storage_timeout: Duration,
    /// A database up to this size is checked for damage before it is served; a longer one while it is served
    #[arg(long, env = "CHAT_CHECK_FIRST_BYTES", default_value_t = 268_435_456, value_name = "N", value_parser = any)]
    check_first_bytes: u64,
    /// How long connections may take to end at shutdown
    #[arg(long, env = "CHAT_SHUTDOWN_TIMEOUT", default_value = "5s", value_parser = duration, value_name = "TIME")]
    shutdown_timeout: Duration,
}

impl From<LimitFlags> for Limits {
    fn from(flags: LimitFlags) -> Self {
        Self {
            retention: flags.retention,
            sign_in_lifetime: flags.sign_in_lifetime,
            inbox_events: flags.inbox_events,
            inbox_bytes: flags.inbox_bytes,
            grace: flags.grace,
            presence_interval: flags.presence_interval,
            presence_list: flags.presence_list,
            connections_per_user: flags.connections_per_user,
            connections: flags.connections,
            messages_per_second: flags.messages_per_second,
            message_burst: flags.message_burst,
            sign_ins_per_minute: flags.sign_ins_per_minute,
            failed_sign_ins_per_minute: flags.failed_sign_ins_per_minute,
            registrations_per_minute: flags.registrations_per_minute,
            hash_memory: flags.hash_memory,
            hash_queue: flags.hash_queue,
            header_timeout: flags.header_timeout,
            body_timeout: flags.body_timeout,
            write_timeout: flags.write_timeout,
            unsent_bytes: flags.unsent_bytes,
            ping_after: flags.ping_after,
            pong_timeout: flags.pong_timeout,
            keep_alive: flags.keep_alive,
            poll_wait: flags.poll_wait,
            longest_poll: flags.longest_poll,
            storage_timeout: flags.storage_timeout,
            check_first_bytes: flags.check_first_bytes,
            shutdown_timeout: flags.shutdown_timeout,
        }
    }
}

/// The longest time that a limit may be. A much longer one could not be added to the time of a clock.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// The most that a rate or a queue may be.
const MOST: u64 = 1_000_000;

/// A time that may be zero: `10s`, `500ms`, `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    time(text, Duration::ZERO)
}

/// A time of at least a millisecond, which is the resolution of timers.
fn some_time(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_millis(1))
}

/// A time after which something expires and is removed: at least a second.
fn a_second(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_secs(1))
}

fn time(text: &str, least: Duration) -> Result<Duration, String> {
    const EXAMPLE: &str = "write it like 500ms, 10s or 7d";
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}; {EXAMPLE}"))?;
    match time {
        _ if time < least => {
            Err(format!("it must be at least {}; {EXAMPLE}", humantime::format_duration(least)))
        }
        _ if time > LONGEST => Err(format!("it must be at most 100 years; {EXAMPLE}")),
        time => Ok(time),
    }
}

/// A rate or a burst.
fn at_least_one(text: &str) -> Result<u32, String> {
    whole(text, 1..=MOST, "10")
}

/// A number that is not zero, because with zero nothing would work.
fn some(text: &str) -> Result<usize, String> {
    whole(text, 1..=u64::MAX, "1000")
}

/// A number that may be zero.
fn or_none(text: &str) -> Result<usize, String> {
    whole(text, 0..=MOST, "100")
}

/// A number of bytes that a system call accepts.
fn bytes(text: &str) -> Result<u32, String> {
    whole(text, 1..=i32::MAX as u64, "131072")
}

/// Any number of bytes of a file.
fn any(text: &str) -> Result<u64, String> {
    whole(text, 0..=u64::MAX, "268435456")
}

/// What Argon2 can work with, up to 4 GiB.
fn hash_memory(text: &str) -> Result<u32, String> {
    whole(text, 8..=4_194_304, "47104")
}

fn whole<T: TryFrom<u64>>(text: &str, range: RangeInclusive<u64>, example: &str) -> Result<T, String> {
    let (least, most) = (range.start(), range.end());
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match text.parse::<u64>() {
        Ok(number) if number < *least => format!("it must be at least {least}, such as {example}"),
        Ok(number) if number > *most => format!("it must be at most {most}, such as {example}"),
        _ => format!("it must be a whole number, such as {example}"),
    })
}

#[cfg(test)]
mod tests {
    use chat_core::Location;
    use chat_core::chat::Chat;
    use clap::{Command, FromArgMatches};

    use super::*;

    #[test]
    fn a_flag_that_is_not_given_is_the_default() {
        let flags = LimitFlags::augment_args(Command::new("limits")).get_matches_from(["limits"]);
        assert_eq!(Limits::from(LimitFlags::from_arg_matches(&flags).unwrap()), Limits::default());
    }

    /// For every limit, the least value that is accepted, and values that are refused.
    const BOUNDS: [(&str, &str, &[&str]); 28] = [
        ("retention", "1s", &["0s", "999ms", "", "7", "seven days", "-7d", "1000000000y"]),
        ("sign-in-lifetime", "1s", &["0s", "30"]),
        ("inbox-events", "1", &["0", "-1", "1.5", "many"]),
        ("inbox-bytes", "1", &["0", "1MiB"]),
        ("grace", "0s", &["30", "500000000000y"]),
        ("presence-interval", "1ms", &["0s", "1us"]),
        ("presence-list", "0", &["-1", "all"]),
        ("connections-per-user", "1", &["0"]),
        ("connections", "1", &["0", "-1", ""]),
        ("messages-per-second", "1", &["0", "4000000000", "0.5"]),
        ("message-burst", "1", &["0"]),
        ("sign-ins-per-minute", "1", &["0"]),
        ("failed-sign-ins-per-minute", "1", &["0"]),
        ("registrations-per-minute", "1", &["0"]),
        ("hash-memory", "8", &["0", "7", "4294967295"]),
        ("hash-queue", "0", &["-1", "18446744073709551615"]),
        ("header-timeout", "1ms", &["0s", "1ns"]),
        ("body-timeout", "1ms", &["0s"]),
        ("write-timeout", "1ms", &["0s"]),
        ("unsent-bytes", "1", &["0", "4294967295"]),
        ("ping-after", "1ms", &["0s"]),
        ("pong-timeout", "1ms", &["0s"]),
        ("keep-alive", "1ms", &["0s"]),
        ("poll-wait", "0s", &["25"]),
        ("longest-poll", "1ms", &["0s", "45"]),
        ("storage-timeout", "1ms", &["0s", "5"]),
        ("check-first-bytes", "0", &["-1", "all"]),
        ("shutdown-timeout", "0s", &["5", "10000y"]),
    ];

    #[test]
    fn a_limit_that_cannot_work_is_refused_with_its_flag_and_an_example() {
        let command = LimitFlags::augment_args(Command::new("limits"));
        let flags: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        assert_eq!(flags, BOUNDS.map(|(flag, ..)| flag), "every limit has a row");
        let given = |flag: &str, value: &str| {
            command.clone().try_get_matches_from(["limits".to_owned(), format!("--{flag}={value}")])
        };
        for (flag, least, refused) in BOUNDS {
            let taken = given(flag, least).unwrap_or_else(|error| panic!("--{flag} {least}: {error}"));
            assert!(LimitFlags::from_arg_matches(&taken).is_ok(), "--{flag} {least}");
            for value in refused {
                let said = given(flag, value).err().unwrap_or_else(|| panic!("--{flag} {value} is taken"));
                let said = said.to_string();
                assert!(said.contains(&format!("--{flag}")), "{said}");
                // clap itself refuses a value that looks like a flag, or is missing.
                let example = ["write it like ", "such as ", "a value is required"];
                assert!(example.iter().any(|example| said.contains(example)), "--{flag} {value}: {said}");
            }
        }
    }

    #[tokio::test]
    async fn a_chat_opens_with_every_least_limit() {
        for (flag, least, _) in BOUNDS {
            let limits = Command::new("limits").no_binary_name(true);
            let limits = LimitFlags::augment_args(limits).get_matches_from([format!("--{flag}={least}")]);
            let limits = LimitFlags::from_arg_matches(&limits).unwrap().into();
            let chat = Chat::open(&Location::Temporary, limits).unwrap();
            chat.close().await;
        }
    }
}
