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

use crate::refusal::Close;

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
    closes: Vec<(Close, Counter)>,
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
        let closed = |close: &Close| {
            let labels = vec![Label::new("transport", transport), Label::new("reason", close.name())];
            (*close, recorder.register_counter(&Key::from_parts("chat_closed_total", labels), &metadata))
        };
        Self {
            transport,
            connections: gauge("chat_connections"),
            sessions: gauge("chat_sessions"),
            frames: counter("chat_frames_total"),
            bytes: counter("chat_frame_bytes_total"),
            requests: counter("chat_requests_total"),
            closes: Close::ALL.iter().map(closed).collect(),
        }
    }

    /// Counts a connection that the server ended.
    pub(crate) fn closed(&self, why: Close) {
        tracing::debug!(transport = self.transport, reason = why.name(), "a connection was ended");
        if let Some((_, counter)) = self.closes.iter().find(|(close, _)| *close == why) {
            counter.increment(1);
        }
    }
}
