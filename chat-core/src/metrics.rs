//! Counts for operators, in the [Prometheus text format].
//!
//! The recorder belongs to the chat, not to the process: two chats in one process, as tests have them,
//! do not count into each other.
//!
//! [Prometheus text format]: https://prometheus.io/docs/instrumenting/exposition_formats/

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::ending::{End, Ending};
use crate::refusal::Code;

/// The upper bounds for the time of a commit, in seconds: from a disk with a cache to one that hangs.
const COMMIT_SECONDS: [f64; 11] = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The counts of one chat.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// Guards the transports met so far: a handful.
    wires: Mutex<HashMap<&'static str, Arc<WireMetrics>>>,
}

/// The counts of one transport.
pub(crate) struct WireMetrics {
    transport: &'static str,
    /// Connections open now.
    pub(crate) connections: Gauge,
    /// Sessions open now.
    pub(crate) sessions: Gauge,
    /// Frames handed to the transport.
    pub(crate) frames: Counter,
    /// Their JSON, without any framing.
    pub(crate) bytes: Counter,
    /// Requests taken from the transport.
    pub(crate) requests: Counter,
    /// Requests for a sign-in with a wrong name or password.
    failed_sign_ins: Counter,
    ends: Vec<(End, Counter)>,
    refusals: Vec<(Code, Counter)>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let buckets = PrometheusBuilder::new().set_buckets(&COMMIT_SECONDS);
        let recorder = buckets.expect("there are buckets").build_recorder();
        let handle = recorder.handle();
        Self { recorder, handle, wires: Mutex::default() }
    }

    /// The counts of the transport with this name.
    pub(crate) fn wire(&self, transport: &'static str) -> Arc<WireMetrics> {
        let mut wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        let wire =
            wires.entry(transport).or_insert_with(|| Arc::new(WireMetrics::new(&self.recorder, transport)));
        Arc::clone(wire)
    }

    /// The counts of the storage, with one for each kind of fault.
    pub(crate) fn storage(&self, faults: impl Iterator<Item = &'static str>) -> StorageMetrics {
        StorageMetrics::new(&self.recorder, faults)
    }

    /// All counts as text.
    pub(crate) fn render(&self) -> String {
        self.upkeep();
        self.handle.render()
    }

    /// Sums up what was measured. Until then each measured value takes memory, so this is done every second.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

/// The counts of the storage.
pub(crate) struct StorageMetrics {
    /// Commands that wait for the writer.
    pub(crate) queued: Gauge,
    /// How long a commit took, in seconds.
    pub(crate) commit: Histogram,
    errors: Vec<(&'static str, Counter)>,
}

impl StorageMetrics {
    fn new(recorder: &PrometheusRecorder, faults: impl Iterator<Item = &'static str>) -> Self {
        let metadata = Metadata::new(module_path!(), Level::INFO, None);
        let failed = |fault| {
            let key = Key::from_parts("chat_storage_errors_total", vec![Label::new("kind", fault)]);
            (fault, recorder.register_counter(&key, &metadata))
        };
        Self {
            queued: recorder.register_gauge(&Key::from_name("chat_queue_depth"), &metadata),
            commit: recorder.register_histogram(&Key::from_name("chat_commit_seconds"), &metadata),
            errors: faults.map(failed).collect(),
        }
    }

    /// Counts an error with this kind of fault behind it.
    pub(crate) fn error(&self, kind: &str) {
        if let Some((_, counter)) = self.errors.iter().find(|(fault, _)| *fault == kind) {
            counter.increment(1);
        }
    }
}

impl WireMetrics {
    fn new(recorder: &PrometheusRecorder, transport: &'static str) -> Self {
        let metadata = Metadata::new(module_path!(), Level::INFO, None);
        let key = |name: &'static str| Key::from_parts(name, vec![Label::new("transport", transport)]);
        let counter = |name| recorder.register_counter(&key(name), &metadata);
        let gauge = |name| recorder.register_gauge(&key(name), &metadata);
        let labelled = |name: &'static str, label: &'static str, value: &'static str| {
            let labels = vec![Label::new("transport", transport), Label::new(label, value)];
            recorder.register_counter(&Key::from_parts(name, labels), &metadata)
        };
        Self {
            transport,
            connections: gauge("chat_connections"),
            sessions: gauge("chat_sessions"),
            frames: counter("chat_frames_total"),
            bytes: counter("chat_frame_bytes_total"),
            requests: counter("chat_requests_total"),
            failed_sign_ins: counter("chat_failed_sign_ins_total"),
            ends: End::all().map(|end| (end, labelled("chat_closed_total", "reason", end.name()))).collect(),
            refusals: (Code::ALL.iter())
                .map(|&code| (code, labelled("chat_refusals_total", "code", code.as_str())))
                .collect(),
        }
    }

    /// Counts the end of a connection, or of the stream on it, for the first reason that is told. Every end is
    /// counted here.
    pub(crate) fn ended(&self, ending: &Ending, why: End) {
        if !ending.is_news() {
            return;
        }
        tracing::debug!(transport = self.transport, reason = why.name(), "a connection ended");
        if let Some((_, counter)) = self.ends.iter().find(|(end, _)| *end == why) {
            counter.increment(1);
        }
    }

    /// Counts a refusal, as an answer, a reply or a close code says it.
    pub(crate) fn refused(&self, code: Code) {
        if code == Code::WrongCredentials {
            self.failed_sign_ins.increment(1);
        }
        if let Some((_, counter)) = self.refusals.iter().find(|(known, _)| *known == code) {
            counter.increment(1);
        }
    }
}
