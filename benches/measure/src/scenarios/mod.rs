//! The scenarios. Each measures one subject once; a run calls them again for each repetition.

mod bytes;
mod catch_up;
mod connecting;
mod distance;
mod durable;
mod fan_out;
mod idle;
mod latency;
mod loss;
mod max_rate;
mod nagle;
mod proxy;
mod quiet;
mod sending;
mod slow_reader;
mod start_up;

use std::fmt;

use clap::ValueEnum;

use crate::recorder::Recorder;
use crate::settings::{Scope, Settings};
use crate::subject::Subject;

/// A scenario. Runs measure them in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Scenario {
    /// Delivery latency, at different rates
    Latency,
    /// The highest rate at which messages still arrive in time
    MaxRate,
    /// Bytes on the wire for each delivered message, by layer
    Bytes,
    /// Bytes and requests of an idle client in an hour
    IdleBytes,
    /// The server's processor time for each delivery, beside the floor
    Cpu,
    /// Memory for each idle connection, in the process and in the kernel
    Idle,
    /// Time until the first event, and clients connected in a second
    Connecting,
    /// How fast returning clients read the messages that they missed
    CatchUp,
    /// Delivery latency with lost packets (needs root and iptables)
    Loss,
    /// Delivery latency of bursts, over links of different delay
    RoundTrip,
    /// What a slow reader costs the server and the other readers
    SlowReader,
    /// Time from a request until its reply
    Sending,
    /// Whether messages arrive in time through nginx (needs nginx)
    Proxy,
    /// Latency and bytes by rate and delay: which transport is ahead where
    Crossover,
    /// Acknowledged messages in a second, by number of clients
    Durable,
    /// What Nagle's algorithm costs a request in one write and in two
    Nagle,
    /// How long the server takes to start with a long log
    StartUp,
}

impl Scenario {
    pub(crate) const ALL: [Self; 17] = [
        Self::Latency,
        Self::MaxRate,
        Self::Bytes,
        Self::IdleBytes,
        Self::Cpu,
        Self::Idle,
        Self::Connecting,
        Self::CatchUp,
        Self::Loss,
        Self::RoundTrip,
        Self::SlowReader,
        Self::Sending,
        Self::Proxy,
        Self::Crossover,
        Self::Durable,
        Self::Nagle,
        Self::StartUp,
    ];

    /// Its name on the command line, and in results.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::MaxRate => "max_rate",
            Self::Bytes => "bytes",
            Self::IdleBytes => "idle_bytes",
            Self::Cpu => "cpu",
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::CatchUp => "catch_up",
            Self::Loss => "loss",
            Self::RoundTrip => "round_trip",
            Self::SlowReader => "slow_reader",
            Self::Sending => "sending",
            Self::Proxy => "proxy",
            Self::Crossover => "crossover",
            Self::Durable => "durable",
            Self::Nagle => "nagle",
            Self::StartUp => "start_up",
        }
    }

    /// The subjects that it measures: transports, and the floor where it is useful.
    pub(crate) fn subjects(self, settings: &Settings) -> Vec<Subject> {
        let by_post = settings.transports.iter().copied().find(|subject| !subject.is_duplex());
        let is_measured = |subject: &Subject| match self {
            // A client that polls every two seconds cannot receive messages within 100 ms.
            Self::MaxRate => !subject.polls_at_intervals(),
            // Of the transports that send by POST, one is enough.
            Self::Durable => subject.is_duplex() || Some(*subject) == by_post,
            Self::Nagle | Self::StartUp => false,
            Self::Latency
            | Self::Bytes
            | Self::IdleBytes
            | Self::Cpu
            | Self::Idle
            | Self::Connecting
            | Self::CatchUp
            | Self::Loss
            | Self::RoundTrip
            | Self::SlowReader
            | Self::Sending
            | Self::Proxy
            | Self::Crossover => true,
        };
        let beside = match self {
            Self::Latency | Self::MaxRate | Self::Cpu | Self::Nagle => Some(Subject::Tcp),
            Self::StartUp if settings.scope == Scope::Comparison => Some(Subject::Server),
            _ => None,
        };
        settings.transports.iter().copied().filter(is_measured).chain(beside).collect()
    }

    /// Whether it mostly waits, so that other scenarios can be measured at the same time.
    ///
    /// Short polling also waits in scenarios that keep the other transports busy. Memory is always measured alone,
    /// because it is read for the whole machine.
    pub(crate) fn is_patient(self, subject: Subject) -> bool {
        match self {
            Self::Bytes | Self::IdleBytes | Self::Loss | Self::RoundTrip | Self::Proxy | Self::Crossover => {
                true
            }
            Self::Latency | Self::Cpu | Self::SlowReader | Self::Connecting => subject.polls_at_intervals(),
            Self::MaxRate
            | Self::Idle
            | Self::CatchUp
            | Self::Sending
            | Self::Durable
            | Self::Nagle
            | Self::StartUp => false,
        }
    }

    /// What the scenario needs and this machine does not have.
    pub(crate) fn missing(self) -> Option<&'static str> {
        match self {
            Self::Loss => loss::missing(),
            Self::Proxy => proxy::missing(),
            Self::Latency
            | Self::MaxRate
            | Self::Bytes
            | Self::IdleBytes
            | Self::Cpu
            | Self::Idle
            | Self::Connecting
            | Self::CatchUp
            | Self::RoundTrip
            | Self::SlowReader
            | Self::Sending
            | Self::Crossover
            | Self::Durable
            | Self::Nagle
            | Self::StartUp => None,
        }
    }

    /// Measures one subject once.
    pub(crate) async fn measure(
        self,
        subject: Subject,
        settings: &Settings,
        recorder: &mut Recorder,
    ) -> anyhow::Result<()> {
        match self {
            Self::Latency => latency::measure(subject, settings, recorder).await,
            Self::MaxRate => max_rate::measure(subject, settings, recorder).await,
            Self::Bytes => bytes::measure(subject, settings, recorder).await,
            Self::IdleBytes => quiet::measure(subject, settings, recorder).await,
            Self::Cpu => fan_out::measure(subject, settings, recorder).await,
            Self::Idle => idle::measure(subject, settings, recorder).await,
            Self::Connecting => connecting::measure(subject, settings, recorder).await,
            Self::CatchUp => catch_up::measure(subject, settings, recorder).await,
            Self::Loss => loss::measure(subject, settings, recorder).await,
            Self::RoundTrip => distance::bursts(subject, settings, recorder).await,
            Self::SlowReader => slow_reader::measure(subject, settings, recorder).await,
            Self::Sending => sending::measure(subject, settings, recorder).await,
            Self::Proxy => proxy::measure(subject, settings, recorder).await,
            Self::Crossover => distance::crossover(subject, settings, recorder).await,
            Self::Durable => durable::measure(subject, settings, recorder).await,
            Self::Nagle => nagle::measure(settings, recorder).await,
            Self::StartUp => start_up::measure(settings, recorder).await,
        }
    }
}

/// How many readers of one message add a latency to a row.
pub(crate) fn readers(scenario: &str) -> u64 {
    match scenario {
        "latency" => latency::READERS as u64,
        "loss" => loss::READERS as u64,
        "slow_reader" => slow_reader::OTHERS as u64,
        _ => 1,
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
