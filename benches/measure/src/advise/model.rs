//! A model of the reader's own chat: latency is looked up in the measured figures, the rest is calculated from them.
//!
//! The report's page holds the same model as JSON, and calculates by the same rules (`advice.js`).

use std::collections::BTreeMap;

use serde::Serialize;

use super::range::Range;
use crate::catalogue::{FLOOR, PLAIN, SUBJECTS};
use crate::number::{joined, plain};
use crate::quote::{Quote, Reason, quote};
use crate::results::{Figure, Row, Run};
use crate::subject::Subject;

/// Processor time is taken from the rows whose number of readers is nearest to this.
const READERS: f64 = 100.0;

/// Why latency is unknown if a transport needs more than the measured machine has.
const TOO_MUCH: &str = "unknown: it needs more than the measured machine has";

/// Why latency and bytes are unknown at a rate or a round trip that was not measured.
const OUTSIDE: &str = "unknown outside of what was measured";

/// Everything that advice needs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Model {
    /// Memory of the machine, in MiB.
    pub(crate) memory_mib: u64,
    /// Its cores.
    pub(crate) cores: usize,
    /// The text of the measured messages, in bytes.
    pub(crate) text_bytes: usize,
    pub(crate) transports: Vec<Transport>,
}

/// The figures of one transport. A figure that was not measured is `None`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Transport {
    pub(crate) subject: &'static str,
    /// Whether it polls at constant intervals, with or without messages.
    pub(crate) paced: bool,
    pub(crate) p50_ms: Grid,
    /// All bytes of a delivered message, by rate and round trip.
    pub(crate) total_bytes: Grid,
    /// All bytes of a lone message.
    pub(crate) lone_bytes: Option<Range>,
    /// The bytes that a message adds to a poll's response that is sent anyway.
    pub(crate) added_bytes: Option<Range>,
    pub(crate) hourly_bytes: Option<Range>,
    pub(crate) hourly_cpu_ms: Option<Range>,
    pub(crate) send_bytes: Option<Range>,
    pub(crate) delivery_us: Option<Range>,
    pub(crate) publishing_us: Option<Range>,
    pub(crate) connection_kib: Option<Range>,
    /// For each criterion, why a figure that it needs is withdrawn.
    pub(crate) withdrawn: BTreeMap<&'static str, Reason>,
}

/// A figure by rate and round trip.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Grid {
    /// Rate, round trip in milliseconds, and the figure measured there.
    pub(crate) points: Vec<(f64, f64, Range)>,
}

/// A chat, as its owner describes it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Wish {
    /// Messages that each client receives in a second.
    pub(crate) rate_per_s: f64,
    pub(crate) rtt_ms: f64,
    pub(crate) clients: f64,
    /// Messages that each client sends in a second.
    pub(crate) send_rate_per_s: f64,
}

/// What a transport would do in such a chat.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Estimate {
    pub(crate) subject: &'static str,
    /// At least half of the round trip and the transport's own time.
    pub(crate) p50_ms: Option<Range>,
    /// For each client, in both directions.
    pub(crate) hourly_bytes: Option<Range>,
    pub(crate) cores: Option<Range>,
    pub(crate) memory_mib: Option<Range>,
    /// For each criterion, why there is no estimate.
    pub(crate) lacking: BTreeMap<&'static str, String>,
}

impl Model {
    pub(crate) fn of(run: &Run) -> Self {
        let transports = SUBJECTS.iter().filter(|name| name.subject != FLOOR && run.measures(name.subject));
        Self {
            memory_mib: run.machine.memory_mib,
            cores: run.machine.cores,
            text_bytes: run.method.text_bytes,
            transports: transports.map(|name| Transport::of(run, name.subject)).collect(),
        }
    }

    /// An estimate for each transport.
    pub(crate) fn estimates(&self, wish: &Wish) -> Vec<Estimate> {
        let is_outside = !self.beyond(wish).is_empty();
        self.transports.iter().map(|transport| transport.estimate(self, wish, is_outside)).collect()
    }

    /// Why there is no advice: in which way a wish lies outside of what was measured. Empty if it lies inside.
    pub(crate) fn beyond(&self, wish: &Wish) -> Vec<String> {
        let Some([rates, trips]) = self.edges() else { return Vec::new() };
        // Already at the lowest measured rate each message is sent alone, so a lower rate changes nothing.
        let rates = (0.0, rates.1);
        let mut beyond = Vec::new();
        for (what, value, (least, most), unit) in
            [("rate", wish.rate_per_s, rates, "/s"), ("round trip", wish.rtt_ms, trips, "ms")]
        {
            if !(least..=most).contains(&value) {
                let [value, least, most] = [value, least, most].map(|number| joined(&plain(number), unit));
                beyond.push(format!("the {what} of {value} lies outside of the measured {least} to {most}"));
            }
        }
        beyond
    }

    /// The lowest and the highest rate and round trip that were measured.
    pub(crate) fn edges(&self) -> Option<[(f64, f64); 2]> {
        let points = || self.transports.iter().flat_map(|transport| &transport.p50_ms.points);
        let edges = |value: fn(&(f64, f64, Range)) -> f64| {
            let values = || points().map(value);
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
        };
        points().next().map(|_| [edges(|point| point.0), edges(|point| point.1)])
    }
}

impl Transport {
    fn of(run: &Run, subject: &'static str) -> Self {
        // Advice is for servers as they run by default.
        let is_default = move |row: &&Row| row.subject == subject && row.condition(PLAIN).is_none();
        let rows = |scenario: &'static str| run.rows(scenario).filter(is_default);
        let range = |row: &Row, figure: &str| quote(row, figure).figure().and_then(Range::of);
        let first = |scenario, condition: (&str, f64), figure: &str| {
            rows(scenario)
                .find(|row| row.condition(condition.0) == Some(condition.1))
                .and_then(|row| range(row, figure))
        };
        let crowd = rows("cpu")
            .filter(|row| row.invalid.is_empty())
            .min_by(|one, other| distance(one).total_cmp(&distance(other)));
        let of_crowd = |figure: &str| crowd.and_then(|row| range(row, figure)).map(Range::not_negative);
        let quiet = |figure: &str| rows("idle_bytes").find_map(|row| range(row, figure));
        let idle = |figure: &str| {
            let most = rows("idle").max_by(|one, other| clients(one).total_cmp(&clients(other)));
            most.and_then(|row| range(row, figure)).map(Range::not_negative)
        };
        let lone = |figure| first("bytes", ("burst", 1.0), figure);
        let sum = |one: Option<Range>, other: Option<Range>| Some(one? + other?);
        let latency = rows("crossover").find_map(|row| quote(row, "p50_ms").reason());
        let processor = crowd.and_then(|row| quote(row, "delivery_us").reason());
        let withdrawn = [("latency", latency), ("processor", processor)];
        Self {
            subject,
            paced: Subject::named(subject).is_some_and(Subject::polls_at_intervals),
            p50_ms: Grid::of(rows("crossover"), "p50_ms"),
            total_bytes: Grid::of(rows("crossover"), "total_bytes"),
            lone_bytes: lone("total_bytes"),
            added_bytes: sum(lone("payload_bytes"), lone("framing_bytes")),
            hourly_bytes: sum(quiet("hourly_up_bytes"), quiet("hourly_down_bytes")),
            hourly_cpu_ms: quiet("hourly_cpu_ms").map(Range::not_negative),
            send_bytes: first("sending", ("committed", 0.0), "total_bytes"),
            delivery_us: of_crowd("delivery_us"),
            publishing_us: of_crowd("publishing_us"),
            connection_kib: sum(idle("process_kib"), idle("kernel_kib")),
            withdrawn: withdrawn.into_iter().filter_map(|(name, reason)| Some((name, reason?))).collect(),
        }
    }

    fn estimate(&self, model: &Model, wish: &Wish, is_outside: bool) -> Estimate {
        let cores = self.cores(wish);
        let memory_mib = self.connection_kib.map(|each| each * (wish.clients / 1024.0));
        let hourly_bytes = if is_outside { None } else { self.hourly_bytes(wish) };
        let needs = |need: Option<Range>, has: f64| need.is_some_and(|need| need.median > has);
        let is_too_much = needs(cores, model.cores as f64) || needs(memory_mib, model.memory_mib as f64);
        let p50_ms = if is_too_much || is_outside { None } else { self.latency(wish) };
        let estimates =
            [("latency", p50_ms), ("bytes", hourly_bytes), ("processor", cores), ("memory", memory_mib)];
        let why = |name| match self.withdrawn.get(name) {
            Some(reason) => Quote::Withdrawn(*reason).words(""),
            None if is_outside && matches!(name, "latency" | "bytes") => OUTSIDE.to_owned(),
            None if is_too_much && name == "latency" => TOO_MUCH.to_owned(),
            None => Quote::NotMeasured.words(""),
        };
        let lacking = estimates.into_iter().filter(|(_, estimate)| estimate.is_none());
        let lacking = lacking.map(|(name, _)| (name, why(name))).collect();
        Estimate { subject: self.subject, p50_ms, hourly_bytes, cores, memory_mib, lacking }
    }

    /// The latency measured nearest, but at least half a round trip plus the latency without a round trip.
    fn latency(&self, wish: &Wish) -> Option<Range> {
        let own = self.p50_ms.at(wish.rate_per_s, 0.0)?;
        Some(self.p50_ms.at(wish.rate_per_s, wish.rtt_ms)?.at_least(own.plus(wish.rtt_ms / 2.0)))
    }

    /// The bytes of an hour: heartbeats, deliveries and sends. A transport that polls at constant intervals also polls
    /// when there is no message, so a delivery adds no HTTP head.
    fn hourly_bytes(&self, wish: &Wish) -> Option<Range> {
        let each = if self.paced {
            self.added_bytes?
        } else {
            self.total_bytes.at(wish.rate_per_s, wish.rtt_ms).or(self.lone_bytes)?
        };
        let sends = self.send_bytes.map_or(Range::NOTHING, |each| each * (wish.send_rate_per_s * 3_600.0));
        Some(self.hourly_bytes? + each * (wish.rate_per_s * 3_600.0) + sends)
    }

    /// How many cores are busy with heartbeats, deliveries and publishing.
    fn cores(&self, wish: &Wish) -> Option<Range> {
        let idle = self.hourly_cpu_ms? * (1.0 / 3_600e3);
        let delivering = self.delivery_us? * (wish.rate_per_s / 1e6);
        let publishing = self.publishing_us? * (wish.send_rate_per_s / 1e6);
        Some((idle + delivering + publishing) * wish.clients)
    }
}

impl Grid {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>, figure: &str) -> Self {
        let point = |row: &Row| {
            let range = quote(row, figure).figure().and_then(Range::of)?;
            Some((row.condition("rate_per_s")?, row.condition("rtt_ms")?, range))
        };
        Self { points: rows.filter_map(point).collect() }
    }

    /// The figure at a rate and a round trip, interpolated between the four nearest points: by the logarithm of the
    /// rate, and by the round trip. Beyond the edges it is the nearest value. `None` if a point was not measured.
    pub(crate) fn at(&self, rate: f64, rtt_ms: f64) -> Option<Range> {
        let rates = self.points.iter().map(|(rate, ..)| rate.ln()).collect();
        let (slow, fast, along) = between(rates, rate.ln())?;
        let (near, far, down) = between(self.points.iter().map(|(_, trip, _)| *trip).collect(), rtt_ms)?;
        let mut sum = Range::NOTHING;
        for (rate, trip, share) in [
            (slow, near, (1.0 - along) * (1.0 - down)),
            (fast, near, along * (1.0 - down)),
            (slow, far, (1.0 - along) * down),
            (fast, far, along * down),
        ] {
            if share > 0.0 {
                let known = self.points.iter().find(|point| point.0.ln() == rate && point.1 == trip);
                sum = sum + known?.2 * share;
            }
        }
        Some(sum)
    }
}

/// The nearest values below and above a value, and the position of the value between them, from 0 to 1.
fn between(mut values: Vec<f64>, value: f64) -> Option<(f64, f64, f64)> {
    values.sort_by(f64::total_cmp);
    let value = value.clamp(*values.first()?, *values.last()?);
    let above = values.iter().copied().find(|known| *known >= value)?;
    let below = values.iter().copied().rfind(|known| *known <= value)?;
    let share = if above > below { (value - below) / (above - below) } else { 0.0 };
    Some((below, above, share))
}

fn clients(row: &Row) -> f64 {
    row.condition("clients").unwrap_or(0.0)
}

/// How far the number of readers is from [`READERS`]. A crowd without readers delivers nothing.
fn distance(row: &Row) -> f64 {
    match clients(row) {
        0.0 => f64::INFINITY,
        clients => (clients / READERS).ln().abs(),
    }
}

impl Range {
    fn of(figure: &Figure) -> Option<Self> {
        let ((least, most), median) = (figure.interval(), figure.median());
        median.is_finite().then_some(Self { median, least, most, samples: figure.samples.len() })
    }
}
