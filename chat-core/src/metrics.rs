//! Counts for operators, in the [Prometheus text format].
//!
//! The registry belongs to the chat, not to the process. So two chats in one process, as in tests, do not change each
//! other's counts.
//!
//! [Prometheus text format]: https://prometheus.io/docs/instrumenting/exposition_formats/

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::ending::{End, Ending};
use crate::refusal::Code;

/// The upper bounds for the time of a commit, in seconds: from a disk with a cache to one that hangs.
const COMMIT_SECONDS: [f64; 11] = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The counts of one chat.
pub struct Metrics {
    registry: Registry,
    families: Families,
    /// Guards the transports seen so far: a handful.
    transports: Mutex<HashMap<&'static str, Arc<TransportMetrics>>>,
}

/// The counts that each transport has.
struct Families {
    connections: IntGaugeVec,
    sessions: IntGaugeVec,
    frames: IntCounterVec,
    bytes: IntCounterVec,
    requests: IntCounterVec,
    failed_sign_ins: IntCounterVec,
    ends: IntCounterVec,
    refusals: IntCounterVec,
}

/// The counts of one transport.
pub struct TransportMetrics {
    transport: &'static str,
    /// Connections open now.
    pub connections: IntGauge,
    /// Sessions open now.
    pub sessions: IntGauge,
    /// Frames handed to the transport.
    pub frames: IntCounter,
    /// Bytes of their JSON, without any framing.
    pub bytes: IntCounter,
    /// Requests taken from the transport.
    pub requests: IntCounter,
    /// Requests for a sign-in with a wrong name or password.
    failed_sign_ins: IntCounter,
    ends: Vec<(End, IntCounter)>,
    refusals: Vec<(Code, IntCounter)>,
}

impl Default for Metrics {
    /// Counts that begin at zero.
    fn default() -> Self {
        let registry = Registry::new();
        let families = Families::new(&registry);
        Self { registry, families, transports: Mutex::default() }
    }
}

impl Metrics {
    /// The counts of the transport with this name.
    pub fn transport(&self, transport: &'static str) -> Arc<TransportMetrics> {
        let mut transports = self.transports.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = transports
            .entry(transport)
            .or_insert_with(|| Arc::new(TransportMetrics::new(&self.families, transport)));
        Arc::clone(metrics)
    }

    /// The counts of the storage, with one for each kind of fault. Call it once.
    pub fn storage(&self, faults: impl Iterator<Item = &'static str>) -> StorageMetrics {
        StorageMetrics::new(&self.registry, faults)
    }

    /// All counts as text.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).expect("counts can always be written")
    }
}

/// Enters a metric into the registry.
fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<C>) -> C {
    let metric = metric.expect("its name and labels are valid");
    registry.register(Box::new(metric.clone())).expect("no other metric has its name");
    metric
}

impl Families {
    fn new(registry: &Registry) -> Self {
        let gauge = |name, help| register(registry, IntGaugeVec::new(Opts::new(name, help), &["transport"]));
        let counter = |name, help, more: &[&str]| {
            let labels = [&["transport"], more].concat();
            register(registry, IntCounterVec::new(Opts::new(name, help), &labels))
        };
        Self {
            connections: gauge("chat_connections", "Connections that are open"),
            sessions: gauge("chat_sessions", "Sessions that are open"),
            frames: counter("chat_frames_total", "Frames handed to the transport", &[]),
            bytes: counter("chat_frame_bytes_total", "Bytes of JSON in these frames", &[]),
            requests: counter("chat_requests_total", "Requests taken from the transport", &[]),
            failed_sign_ins: counter(
                "chat_failed_sign_ins_total",
                "Sign-ins with a wrong name or password",
                &[],
            ),
            ends: counter("chat_closed_total", "Ends of connections and streams", &["reason"]),
            refusals: counter("chat_refusals_total", "Requests that were refused", &["code"]),
        }
    }
}

/// The counts of the storage.
pub struct StorageMetrics {
    /// Commands that wait for the writer.
    pub queued: IntGauge,
    /// How long a commit took, in seconds.
    pub commit: Histogram,
    errors: Vec<(&'static str, IntCounter)>,
}

impl StorageMetrics {
    fn new(registry: &Registry, faults: impl Iterator<Item = &'static str>) -> Self {
        let help = "Failed commits, reads and looks at the database files";
        let errors = Opts::new("chat_storage_errors_total", help);
        let errors = register(registry, IntCounterVec::new(errors, &["kind"]));
        let commit = HistogramOpts::new("chat_commit_seconds", "How long a commit took");
        Self {
            queued: register(
                registry,
                IntGauge::new("chat_queue_depth", "Commands that wait for the writer"),
            ),
            commit: register(registry, Histogram::with_opts(commit.buckets(COMMIT_SECONDS.to_vec()))),
            errors: faults.map(|fault| (fault, errors.with_label_values(&[fault]))).collect(),
        }
    }

    /// Counts an error with this kind of fault behind it.
    pub fn error(&self, kind: &str) {
        if let Some((_, counter)) = self.errors.iter().find(|(fault, _)| *fault == kind) {
            counter.inc();
        }
    }
}

impl TransportMetrics {
    fn new(families: &Families, transport: &'static str) -> Self {
        let own = |family: &IntCounterVec| family.with_label_values(&[transport]);
        let labelled = |family: &IntCounterVec, value| family.with_label_values(&[transport, value]);
        Self {
            transport,
            connections: families.connections.with_label_values(&[transport]),
            sessions: families.sessions.with_label_values(&[transport]),
            frames: own(&families.frames),
            bytes: own(&families.bytes),
            requests: own(&families.requests),
            failed_sign_ins: own(&families.failed_sign_ins),
            ends: End::all().map(|end| (end, labelled(&families.ends, end.name()))).collect(),
            refusals: (Code::ALL.iter())
                .map(|&code| (code, labelled(&families.refusals, code.as_str())))
                .collect(),
        }
    }

    /// Counts the end of a connection, or of the stream on it, once: under the reason that is reported first. Every end
    /// is counted here.
    pub fn ended(&self, ending: &Ending, why: End) {
        if !ending.is_news() {
            return;
        }
        tracing::debug!(transport = self.transport, reason = why.name(), "a connection ended");
        if let Some((_, counter)) = self.ends.iter().find(|(end, _)| *end == why) {
            counter.inc();
        }
    }

    /// Counts a refusal, whether an HTTP answer, a reply or a close code carries it.
    pub fn refused(&self, code: Code) {
        if code == Code::WrongCredentials {
            self.failed_sign_ins.inc();
        }
        if let Some((_, counter)) = self.refusals.iter().find(|(known, _)| *known == code) {
            counter.inc();
        }
    }
}
