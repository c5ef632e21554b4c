//! The catalogue: for each scenario, figure and condition a title, a unit, and whether less or more is better.
//!
//! A figure that is not listed is shown under its name in results, and never ranked.

use std::sync::LazyLock;

use Better::{Higher, Lower, Neither};
use transports::Transport;

use crate::number::{joined, plain};

/// Whether a lower or a higher figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
    /// Neither: it explains another figure.
    Neither,
}

/// One figure of a scenario.
#[derive(Debug)]
pub(crate) struct Measure {
    /// Its name in results.
    pub(crate) name: &'static str,
    /// Its name in words.
    pub(crate) title: &'static str,
    /// Its unit, as people write it; empty for a plain count.
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

/// One scenario.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Its name in results.
    pub(crate) scenario: &'static str,
    pub(crate) title: &'static str,
    /// What is measured and how, in one or two sentences.
    pub(crate) method: &'static str,
    pub(crate) measures: &'static [Measure],
}

/// The names of a subject in tables and charts.
#[derive(Debug)]
pub(crate) struct Name {
    /// Its name in results.
    pub(crate) subject: &'static str,
    pub(crate) title: &'static str,
    /// One letter, for small cells.
    pub(crate) letter: char,
    /// Its colour on a light and on a dark background.
    pub(crate) colors: [&'static str; 2],
}

/// The floor's name in results. Tables show it beside the transports, and never rank it.
pub(crate) const FLOOR: &str = "tcp";

/// The subjects of every table, in the order of its columns: the transports of the list, and the floor.
pub(crate) static SUBJECTS: LazyLock<Vec<Name>> = LazyLock::new(|| {
    let transports = Transport::all().iter().map(|transport| Name {
        subject: transport.name,
        title: transport.label,
        letter: transport.letter,
        colors: transport.colors,
    });
    let floor = Name { subject: FLOOR, title: "bare TCP", letter: 'T', colors: ["#6e7781", "#9aa4ae"] };
    transports.chain([floor]).collect()
});

/// A condition that scenarios vary.
#[derive(Debug)]
pub(crate) struct Condition {
    /// Its name in results.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) values: Values,
}

/// How a condition's values are written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values {
    /// With this unit.
    Number(&'static str),
    /// Yes or no: 1 or 0 in results.
    YesNo,
}

/// All conditions, in the order of the columns of a table, without [`INCIDENTAL`].
pub(crate) const CONDITIONS: [Condition; 20] = [
    condition("clients", "clients", Values::Number("")),
    condition("rate_per_s", "messages a second", Values::Number("")),
    condition("rtt_ms", "round trip", Values::Number("ms")),
    condition("burst", "messages at once", Values::Number("")),
    condition("missed", "messages missed", Values::Number("")),
    condition("messages", "messages in the log", Values::Number("")),
    condition("objective_ms", "objective for p99", Values::Number("ms")),
    condition("bytes_per_s", "one reader's bandwidth (0: no limit)", Values::Number("B/s")),
    condition("loss_percent", "packets lost", Values::Number("%")),
    condition("in_bursts", "lost in bursts", Values::YesNo),
    condition("http_1_0", "HTTP/1.0", Values::YesNo),
    condition("http_1_0_ignoring_header", "HTTP/1.0, X-Accel-Buffering ignored", Values::YesNo),
    condition("http_1_1", "HTTP/1.1", Values::YesNo),
    condition("http_1_1_ignoring_header", "HTTP/1.1, X-Accel-Buffering ignored", Values::YesNo),
    condition("gzip", "gzip on", Values::YesNo),
    condition("idle_timeout_s", "nginx's idle timeout", Values::Number("s")),
    condition("committed", "waits for the disk", Values::YesNo),
    condition("nodelay", "TCP_NODELAY", Values::YesNo),
    condition("writes", "writes for one request", Values::Number("")),
    condition(PLAIN, "--plain", Values::YesNo),
];

/// The condition of rows whose connections were left to the HTTP library. Without it, the transport took them over.
pub(crate) const PLAIN: &str = "plain";

/// The table that comes from the same measurement as `cpu`.
pub(crate) const FIRST_TO_LAST: &str = "skew";

/// How many times shorter the heartbeat periods of a quick run are. Tables leave it out, because it differs between
/// subjects.
pub(crate) const INCIDENTAL: &str = "shortened";

const fn condition(name: &'static str, title: &'static str, values: Values) -> Condition {
    Condition { name, title, values }
}

const fn measure(name: &'static str, title: &'static str, unit: &'static str, better: Better) -> Measure {
    Measure { name, title, unit, better }
}

const P50: Measure = measure("p50_ms", "median (p50)", "ms", Lower);
const P90: Measure = measure("p90_ms", "p90", "ms", Lower);
const P99: Measure = measure("p99_ms", "p99", "ms", Lower);
const P999: Measure = measure("p999_ms", "p99.9", "ms", Lower);
const MAX: Measure = measure("max_ms", "longest", "ms", Lower);
const LATE: Measure = measure("client_late_p99_ms", "the client's own lateness, p99", "ms", Neither);
const TOTAL: Measure = measure("total_bytes", "all bytes, both ways", "B", Lower);
const REQUESTS: Measure = measure("requests", "requests", "", Lower);
const PAYLOAD: Measure = measure("payload_bytes", "payload", "B", Neither);
const FRAMING: Measure = measure("framing_bytes", "framing", "B", Lower);
const HEADS: Measure = measure("http_head_bytes", "HTTP heads", "B", Lower);
const TCP_IP: Measure = measure("tcp_ip_estimated_bytes", "TCP and IP, estimated", "B", Lower);
const UP: Measure = measure("up_bytes", "up", "B", Lower);
const DOWN: Measure = measure("down_bytes", "down", "B", Lower);
const CONNECTIONS: Measure = measure("connections", "TCP connections opened", "", Lower);
const SERVER_CPU: Measure = measure("cpu_us", "server's processor time, all in", "µs", Lower);

/// All scenarios, in the order of the report.
pub(crate) const TOPICS: [Topic; 18] = [
    Topic {
        scenario: "latency",
        title: "Delivery latency",
        method: "The time from when a message was due until each reader has it, at different rates. The load is an \
                 open loop: it does not wait for a slow server, so a late message counts as late.",
        measures: &[P50, P99, P90, P999, MAX, LATE],
    },
    Topic {
        scenario: "max_rate",
        title: "Highest rate in time",
        method: "The highest rate at which 99 of 100 deliveries arrive within the objective.",
        measures: &[measure("rate_per_s", "messages a second", "/s", Higher)],
    },
    Topic {
        scenario: "bytes",
        title: "Bytes for each delivered message",
        method: "The bytes between one client and the server, in both directions, for each delivered message: sent \
                 alone, or many at once. A relay counts them; TCP and IP are estimated from the segments.",
        measures: &[TOTAL, REQUESTS, PAYLOAD, FRAMING, HEADS, TCP_IP, UP, DOWN, CONNECTIONS],
    },
    Topic {
        scenario: "idle_bytes",
        title: "A quiet hour",
        method: "The bytes and requests of an idle client in an hour, and the server's processor time for it.",
        measures: &[
            measure("hourly_up_bytes", "up in an hour", "B", Lower),
            measure("hourly_down_bytes", "down in an hour", "B", Lower),
            measure("hourly_requests", "requests in an hour", "", Lower),
            measure("hourly_cpu_ms", "server's processor time in an hour", "ms", Lower),
        ],
    },
    Topic {
        scenario: "cpu",
        title: "The server's processor time for each delivery",
        method: "The processor time of the server's process, user and system, for each delivery of single messages to \
                 a growing number of readers. The readers are bare sockets. The floor is a bare TCP broadcast of the \
                 same text. With --plain the connections are left to the HTTP library; otherwise the transport takes \
                 them over.",
        measures: &[
            measure("delivery_us", "delivery alone, without publishing", "µs", Lower),
            SERVER_CPU,
            measure("context_switches", "context switches", "", Lower),
            measure("publishing_us", "publishing one message", "µs", Neither),
            measure("client_cpu_us", "the clients' processor time", "µs", Lower),
            LATE,
        ],
    },
    Topic {
        scenario: FIRST_TO_LAST,
        title: "From the first reader to the last",
        method: "The time from the first reader that has a message to the last.",
        measures: &[P50, P99, P90, P999, MAX, LATE],
    },
    Topic {
        scenario: "idle",
        title: "Memory for each idle connection",
        method: "The memory that the server's process and the kernel hold for each idle connection, and what the \
                 process keeps after all have closed. With --plain the connections are left to the HTTP library; \
                 otherwise the transport takes them over.",
        measures: &[
            measure("process_kib", "in the process", "KiB", Lower),
            measure("kernel_kib", "in the kernel", "KiB", Lower),
            measure("kept_kib", "kept in the process afterwards", "KiB", Lower),
        ],
    },
    Topic {
        scenario: "connecting",
        title: "Connecting",
        method: "The time until the first event, which is ready before the client connects, and how many clients get \
                 that far in a second.",
        measures: &[
            measure("round_trips", "round trips until the first event", "", Lower),
            measure("connects_per_s", "connected in a second", "/s", Higher),
            P50,
            P99,
            P90,
            P999,
            MAX,
        ],
    },
    Topic {
        scenario: "catch_up",
        title: "Catching up",
        method: "Clients that were away reconnect all at once and read what they missed. They are bare sockets.",
        measures: &[
            measure("catch_up_ms", "until the last has all", "ms", Lower),
            measure("events_per_s", "events a second, together", "/s", Higher),
            SERVER_CPU,
        ],
    },
    Topic {
        scenario: "round_trip",
        title: "Bursts over a distance",
        method: "Delivery latency over links of different delay, when many messages are sent at once.",
        measures: &[
            P50,
            P99,
            TOTAL,
            REQUESTS,
            SERVER_CPU,
            P90,
            P999,
            MAX,
            PAYLOAD,
            FRAMING,
            HEADS,
            TCP_IP,
            UP,
            DOWN,
            CONNECTIONS,
            LATE,
        ],
    },
    Topic {
        scenario: "crossover",
        title: "Rate against round trip",
        method: "Latency and cost of single messages, at different rates, to readers over links of different delay.",
        measures: &[
            P50,
            P99,
            TOTAL,
            REQUESTS,
            SERVER_CPU,
            P90,
            P999,
            MAX,
            PAYLOAD,
            FRAMING,
            HEADS,
            TCP_IP,
            UP,
            DOWN,
            CONNECTIONS,
            LATE,
        ],
    },
    Topic {
        scenario: "slow_reader",
        title: "A slow reader",
        method: "What one slow reader costs: the server's memory, and the latency of the other readers.",
        measures: &[
            measure("server_kib", "growth of the server's memory", "KiB", Lower),
            measure("others_p99_ms", "the others' p99", "ms", Lower),
            LATE,
        ],
    },
    Topic {
        scenario: "sending",
        title: "Sending",
        method: "The time from a request until its reply: a WebSocket message against a POST. The loop is closed: the \
                 next request leaves after the reply to the one before.",
        measures: &[
            P50,
            P99,
            TOTAL,
            REQUESTS,
            P90,
            P999,
            MAX,
            PAYLOAD,
            FRAMING,
            HEADS,
            TCP_IP,
            UP,
            DOWN,
            CONNECTIONS,
        ],
    },
    Topic {
        scenario: "durable",
        title: "Durable sends",
        method: "Acknowledged messages per second. Each is on the disk before its reply leaves. The loop is closed.",
        measures: &[measure("acknowledged_per_s", "acknowledged in a second", "/s", Higher)],
    },
    Topic {
        scenario: "nagle",
        title: "Nagle's algorithm",
        method: "The time from a request over bare TCP until its reply, when the request is written in one piece or \
                 in two. The loop is closed.",
        measures: &[P50, P99, P90, P999, MAX],
    },
    Topic {
        scenario: "start_up",
        title: "Starting with a long log",
        method: "The time from starting the process until it listens, after an orderly end and after a kill.",
        measures: &[
            measure("ready_ms", "ready after an orderly end", "ms", Lower),
            measure("after_kill_ready_ms", "ready after a kill", "ms", Lower),
        ],
    },
    Topic {
        scenario: "loss",
        title: "Lost packets",
        method: "Delivery latency while the kernel drops packets on purpose, at random or in bursts. It needs root \
                 and iptables.",
        measures: &[
            P50,
            P99,
            P90,
            P999,
            MAX,
            measure("observed_percent", "packets really lost", "%", Neither),
            LATE,
        ],
    },
    Topic {
        scenario: "proxy",
        title: "Behind nginx",
        method: "Whether messages arrive within a second through nginx with different settings, and whether \
                 connections survive nginx's idle timeout. For short polling the second starts after its pause. It \
                 needs nginx.",
        measures: &[
            measure("in_time_percent", "messages that arrived within a second", "%", Higher),
            measure("survived_percent", "connections that survived nginx's idle timeout", "%", Higher),
        ],
    },
];

/// A scenario by its name in results.
pub(crate) fn topic(scenario: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.scenario == scenario)
}

/// A figure by its names in results.
pub(crate) fn find(scenario: &str, figure: &str) -> Option<&'static Measure> {
    topic(scenario)?.measures.iter().find(|measure| measure.name == figure)
}

/// A condition's title; its name if it is not listed.
pub(crate) fn condition_title(name: &str) -> &str {
    CONDITIONS.iter().find(|condition| condition.name == name).map_or(name, |condition| condition.title)
}

/// A condition's value in words.
pub(crate) fn condition_value(name: &str, value: f64) -> String {
    let known = CONDITIONS.iter().find(|condition| condition.name == name);
    match known.map_or(Values::Number(""), |condition| condition.values) {
        Values::YesNo if !value.is_finite() => "no".to_owned(),
        _ if !value.is_finite() => "–".to_owned(),
        Values::Number(unit) => joined(&plain(value), unit),
        Values::YesNo => if value == 0.0 { "no" } else { "yes" }.to_owned(),
    }
}

/// A condition's column among the others; unknown ones come last.
pub(crate) fn condition_column(name: &str) -> usize {
    CONDITIONS.iter().position(|condition| condition.name == name).unwrap_or(CONDITIONS.len())
}

/// A subject's title; its name if it is not listed.
pub(crate) fn title(subject: &str) -> &str {
    SUBJECTS.iter().find(|name| name.subject == subject).map_or(subject, |name| name.title)
}

/// A subject's letter.
pub(crate) fn letter(subject: &str) -> char {
    SUBJECTS.iter().find(|name| name.subject == subject).map_or('?', |name| name.letter)
}

/// A subject's column in every table; unknown ones come last.
pub(crate) fn column(subject: &str) -> usize {
    SUBJECTS.iter().position(|name| name.subject == subject).unwrap_or(SUBJECTS.len())
}

#[cfg(test)]
mod tests;
