//! What was measured, as a model of a chat of the reader's own: latency looked up, and the rest added up.
//!
//! The report's page holds the same model as JSON, and reckons with it by the same rules (`report/advice.js`).

use serde::Serialize;

use super::range::Range;
use crate::catalogue::{FLOOR, SUBJECTS};
use crate::number::{joined, plain};
use crate::results::{Figure, Row, Run};

/// Readers of one message in the rows that processor time is taken from: as near to this as there are.
const READERS: f64 = 100.0;

/// All that advice needs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Model {
    /// Memory of the machine, in MiB.
    pub(crate) memory_mib: u64,
    /// The text of the measured messages, in bytes.
    pub(crate) text_bytes: usize,
    pub(crate) transports: Vec<Transport>,
}

/// What is known of one transport. What was not measured is none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Transport {
    pub(crate) subject: &'static str,
    /// Whether it asks at its own pace, however many messages there are.
    pub(crate) paced: bool,
    pub(crate) p50_ms: Grid,
    pub(crate) p99_ms: Grid,
    /// All bytes of a delivered message, by rate and round trip.
    pub(crate) total_bytes: Grid,
    /// All bytes of a lone message.
    pub(crate) lone_bytes: Option<Range>,
    /// What a message adds to an answer that goes out anyway.
    pub(crate) added_bytes: Option<Range>,
    pub(crate) hourly_bytes: Option<Range>,
    pub(crate) hourly_cpu_ms: Option<Range>,
    pub(crate) send_bytes: Option<Range>,
    pub(crate) delivery_us: Option<Range>,
    pub(crate) publishing_us: Option<Range>,
    pub(crate) connection_kib: Option<Range>,
}

/// A figure by rate and round trip.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Grid {
    /// Rate, round trip in milliseconds, and what was found there.
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
    pub(crate) p50_ms: Option<Range>,
    pub(crate) p99_ms: Option<Range>,
    /// For each client, both ways.
    pub(crate) hourly_bytes: Option<Range>,
    pub(crate) cores: Option<Range>,
    pub(crate) memory_mib: Option<Range>,
}

impl Model {
    pub(crate) fn of(run: &Run) -> Self {
        let transports = SUBJECTS.iter().filter(|name| name.subject != FLOOR);
        Self {
            memory_mib: run.machine.memory_mib,
            text_bytes: run.method.text_bytes,
            transports: transports.map(|name| Transport::of(run, name.subject)).collect(),
        }
    }

    /// What each transport would do.
    pub(crate) fn estimates(&self, wish: &Wish) -> Vec<Estimate> {
        self.transports.iter().map(|transport| transport.estimate(wish)).collect()
    }

    /// Where a wish lies outside of what was measured, so that the nearest measured edge stands in for it.
    pub(crate) fn beyond(&self, wish: &Wish) -> Vec<String> {
        let points = self.transports.iter().flat_map(|transport| &transport.p50_ms.points);
        let (rates, trips): (Vec<f64>, Vec<f64>) = points.map(|(rate, trip, _)| (*rate, *trip)).unzip();
        let mut beyond = Vec::new();
        for (what, value, known, unit) in
            [("rate", wish.rate_per_s, rates, "/s"), ("round trip", wish.rtt_ms, trips, "ms")]
        {
            let least = known.iter().copied().fold(f64::INFINITY, f64::min);
            let most = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if least <= most && !(least..=most).contains(&value) {
                let [value, least, most] = [value, least, most].map(|number| joined(&plain(number), unit));
                beyond.push(format!("the {what} of {value} lies outside of the measured {least} to {most}"));
            }
        }
        beyond
    }
}

impl Transport {
    fn of(run: &Run, subject: &'static str) -> Self {
        let rows = |scenario: &'static str| run.rows(scenario).filter(move |row| row.subject == subject);
        let first = |scenario, condition: (&str, f64), figure: &str| {
            let row = rows(scenario).find(|row| row.condition(condition.0) == Some(condition.1))?;
            row.figure(figure).and_then(Range::of)
        };
        let crowd = rows("cpu")
            .filter(|row| row.invalid.is_empty())
            .min_by(|one, other| distance(one).total_cmp(&distance(other)));
        let crowd = |figure: &str| {
            crowd.and_then(|row| row.figure(figure)).and_then(Range::of).map(Range::not_negative)
        };
        let quiet = |figure: &str| rows("idle_bytes").find_map(|row| row.figure(figure)).and_then(Range::of);
        let idle = |figure: &str| {
            let most = rows("idle").max_by(|one, other| clients(one).total_cmp(&clients(other)));
            most.and_then(|row| row.figure(figure)).and_then(Range::of).map(Range::not_negative)
        };
        let lone = |figure| first("bytes", ("burst", 1.0), figure);
        let sum = |one: Option<Range>, other: Option<Range>| Some(one? + other?);
        Self {
            subject,
            paced: subject == "shortpoll",
            p50_ms: Grid::of(rows("crossover"), "p50_ms"),
            p99_ms: Grid::of(rows("crossover"), "p99_ms"),
            total_bytes: Grid::of(rows("crossover"), "total_bytes"),
            lone_bytes: lone("total_bytes"),
            added_bytes: sum(lone("payload_bytes"), lone("framing_bytes")),
            hourly_bytes: sum(quiet("hourly_up_bytes"), quiet("hourly_down_bytes")),
            hourly_cpu_ms: quiet("hourly_cpu_ms").map(Range::not_negative),
            send_bytes: first("sending", ("committed", 0.0), "total_bytes"),
            delivery_us: crowd("delivery_us"),
            publishing_us: crowd("publishing_us"),
            connection_kib: sum(idle("process_kib"), idle("kernel_kib")),
        }
    }

    fn estimate(&self, wish: &Wish) -> Estimate {
        Estimate {
            subject: self.subject,
            p50_ms: self.p50_ms.at(wish.rate_per_s, wish.rtt_ms),
            p99_ms: self.p99_ms.at(wish.rate_per_s, wish.rtt_ms),
            hourly_bytes: self.hourly_bytes(wish),
            cores: self.cores(wish),
            memory_mib: self.connection_kib.map(|each| each * (wish.clients / 1024.0)),
        }
    }

    /// Heartbeats, deliveries and sends of an hour. Who asks at a pace of its own asks as often without messages:
    /// there a delivery adds itself alone, and no head.
    fn hourly_bytes(&self, wish: &Wish) -> Option<Range> {
        let each = if self.paced {
            self.added_bytes?
        } else {
            self.total_bytes.at(wish.rate_per_s, wish.rtt_ms).or(self.lone_bytes)?
        };
        let sends = self.send_bytes.map_or(Range::NOTHING, |each| each * (wish.send_rate_per_s * 3_600.0));
        Some(self.hourly_bytes? + each * (wish.rate_per_s * 3_600.0) + sends)
    }

    /// Processors busy with heartbeats, deliveries and publishing.
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
            let range = row.figure(figure).and_then(Range::of)?;
            Some((row.condition("rate_per_s")?, row.condition("rtt_ms")?, range))
        };
        Self { points: rows.filter_map(point).collect() }
    }

    /// Between the four nearest points, by the logarithm of the rate and by the round trip. Beyond the edges their
    /// nearest value; none if one of the points was not measured.
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

/// The two values around another, and how far it is from the first to the second.
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

/// How far a crowd is from the one that is asked for; one without readers delivers nothing.
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
