//! The charts of a run: each from the rows of one scenario, if it was measured.

use super::CHARTS;
use super::bars::{Bar, Bars, Group};
use super::crossover;
use super::curves;
use super::sheet::{Sheet, TableLine, sheets};
use super::svg::known;
use crate::catalogue::{FLOOR, condition_title, condition_value, title};
use crate::number::{joined, number, spread, with_unit};
use crate::results::{Figure, Run};

/// The width of pictures of bars.
const BARS: f64 = 760.0;

/// A finished chart.
pub(super) struct Chart {
    /// The name of its file, without the extension.
    pub(super) name: &'static str,
    pub(super) scenario: &'static str,
    /// The text for readers who cannot see it.
    pub(super) alternative: &'static str,
    pub(super) svg: String,
}

impl Chart {
    /// The path of its file, relative to the root of the checkout.
    pub(super) fn file(&self) -> String {
        format!("{CHARTS}/{}.svg", self.name)
    }
}

/// All charts that these results have figures for.
pub(super) fn all(run: &Run) -> anyhow::Result<Vec<Chart>> {
    let chart = |name, scenario, alternative, svg: Option<String>| {
        svg.map(|svg| Chart { name, scenario, alternative, svg })
    };
    let charts = [
        chart(
            "latency",
            "latency",
            "The distribution of latencies, on a logarithmic axis",
            curves::latencies(run)?,
        ),
        chart("bytes", "bytes", "Bytes for each delivered message, by layer", bytes(run)),
        chart("cpu", "cpu", "The server's processor time for each delivery, beside the floor", cpu(run)),
        chart(
            "memory",
            "idle",
            "Memory for each idle connection, in the process and in the kernel",
            memory(run),
        ),
        chart("crossover", "crossover", "Which transport is ahead, by rate and round trip", crossover(run)),
        chart(
            "knee",
            "crossover",
            "Latency against the rate, with one message per round trip marked",
            curves::knee(run),
        ),
    ];
    Ok(charts.into_iter().flatten().collect())
}

/// Bytes by layer: a group for single messages, and one for bursts.
fn bytes(run: &Run) -> Option<String> {
    const LAYERS: [&str; 4] = ["payload_bytes", "framing_bytes", "http_head_bytes", "tcp_ip_estimated_bytes"];
    let all = sheets(run, "bytes");
    let layers = LAYERS.map(|name| all.iter().find(|sheet| sheet.name == name));
    let bar = |line: usize, subject: &'static str| {
        let parts = layers
            .map(|layer| layer.and_then(|sheet| sheet.figure(line, subject)).map_or(0.0, Figure::median));
        let sum: f64 = parts.iter().sum();
        Bar {
            subject,
            name: title(subject).to_owned(),
            parts: parts.to_vec(),
            interval: None,
            words: with_unit(sum, "B"),
        }
    };
    let groups = grouped(layers[0]?, bar, |_| None);
    let bars = Bars {
        title: "Bytes for each delivered message",
        description: format!("Both directions together, by layer. {}", told(&groups)),
        unit: "bytes; TCP and IP are estimated",
        layers: &["payload", "framing", "HTTP heads", "TCP and IP"],
        groups,
    };
    Some(bars.draw(BARS))
}

/// Processor time for each delivery: a group for each size of the crowd, with the floor as a line.
fn cpu(run: &Run) -> Option<String> {
    let all = sheets(run, "cpu");
    let sheet = all.iter().find(|sheet| sheet.name == "delivery_us")?;
    let floor = |line: usize| sheet.figure(line, FLOOR).map(Figure::median);
    let bar = |line: usize, subject: &'static str| {
        let figure = sheet.figure(line, subject);
        let times = match (figure, floor(line)) {
            (Some(figure), Some(floor)) if subject != FLOOR && floor > 0.0 => {
                format!(" · {}× floor", number(figure.median() / floor))
            }
            _ => String::new(),
        };
        Bar {
            subject,
            name: title(subject).to_owned(),
            parts: vec![figure.map_or(0.0, Figure::median).max(0.0)],
            interval: figure.map(Figure::interval),
            words: figure.map_or_else(
                || "not measured".to_owned(),
                |figure| joined(&number(figure.median()), "µs") + &times,
            ),
        }
    };
    let groups = grouped(sheet, bar, floor);
    let bars = Bars {
        title: "The server's processor time for each delivery",
        description: format!(
            "Median and interval; the broken line is a bare TCP broadcast. {}",
            told(&groups)
        ),
        unit: "µs of the server's processor, without publishing; the broken line is the floor",
        layers: &[],
        groups,
    };
    Some(bars.draw(BARS))
}

/// Memory for each connection, of the process and of the kernel.
fn memory(run: &Run) -> Option<String> {
    let all = sheets(run, "idle");
    let [process, kernel] =
        ["process_kib", "kernel_kib"].map(|name| all.iter().find(|sheet| sheet.name == name));
    let process = process?;
    let bar = |line: usize, subject: &'static str| {
        let [own, kernels] = [Some(process), kernel].map(|sheet| sheet?.figure(line, subject));
        let part = |figure: Option<&Figure>| figure.map_or(0.0, Figure::median).max(0.0);
        let words = own.map_or_else(
            || "not measured".to_owned(),
            |figure| format!("{} KiB in the process", spread(figure)),
        );
        Bar {
            subject,
            name: title(subject).to_owned(),
            parts: vec![part(own), part(kernels)],
            interval: None,
            words,
        }
    };
    let groups = grouped(process, bar, |_| None);
    let bars = Bars {
        title: "Memory for each idle connection",
        description: format!("Of the server's process and of the kernel. {}", told(&groups)),
        unit: "KiB",
        layers: &["process", "kernel"],
        groups,
    };
    Some(bars.draw(BARS))
}

fn crossover(run: &Run) -> Option<String> {
    crossover::draw(&sheets(run, "crossover"))
}

/// A group for each line of a table, and in it a bar for each subject that was measured.
fn grouped(
    sheet: &Sheet<'_>,
    bar: impl Fn(usize, &'static str) -> Bar,
    floor: impl Fn(usize) -> Option<f64>,
) -> Vec<Group> {
    let group = |(index, line): (usize, &TableLine<'_>)| {
        let conditions =
            sheet.varied.iter().copied().zip(line.values.iter().copied()).chain(sheet.fixed.iter().copied());
        let words: Vec<String> = conditions
            .map(|(name, value)| format!("{}: {}", condition_title(name), condition_value(name, value)))
            .collect();
        let there = known(line.figures(&sheet.subjects).map(|(subject, _)| subject));
        Group {
            title: words.join(", "),
            bars: there.into_iter().map(|subject| bar(index, subject)).collect(),
            floor: floor(index),
        }
    };
    sheet.lines.iter().enumerate().map(group).collect()
}

/// The bars in words, for readers who cannot see them.
fn told(groups: &[Group]) -> String {
    let words = groups.iter().map(|group| {
        let bars: Vec<String> = group.bars.iter().map(|bar| format!("{} {}", bar.name, bar.words)).collect();
        format!("{}: {}.", group.title, bars.join(", "))
    });
    words.collect::<Vec<_>>().join(" ")
}
