//! Counts for operators, labelled by transport, in the [Prometheus text format].
//!
//! The recorder belongs to the chat, not to the process: two chats in one process, as tests have them,
//! do not count into each other.
//!
//! [Prometheus text format]: https://prometheus.io/docs/instrumenting/exposition_formats/

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::ending::{End, Ending};
use crate::refusal::Code;

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
        let recorder = PrometheusBuilder::new().build_recorder();
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

    /// All counts as text.
    pub(crate) fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
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
