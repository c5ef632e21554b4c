//! The charts of latency: as a distribution, and against the rate.

use super::plot::{Axis, Panel, Point, Series};
use super::sheet::{Sheet, sheets};
use super::svg::{Svg, known};
use crate::catalogue::{column, condition_value, title};
use crate::number::{joined, plain, spread, with_unit};
use crate::quote::{nines, quote};
use crate::results::{Row, Run};

/// A panel's size in pixels; two stand side by side.
const PANEL: (f64, f64) = (440.0, 270.0);

/// Latencies as a cumulative distribution: a panel for each rate.
pub(super) fn latencies(run: &Run) -> anyhow::Result<Option<String>> {
    let mut rates: Vec<f64> = run.rows("latency").filter_map(|row| row.condition("rate_per_s")).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let mut panels = Vec::new();
    for rate in rates {
        let rows = run.rows("latency").filter(|row| row.condition("rate_per_s") == Some(rate));
        let mut series = Vec::new();
        for row in rows {
            series.extend(distribution(row)?);
        }
        series.sort_by_key(|one: &Series| column(one.subject));
        let values = series.iter().flat_map(|one| &one.line).map(|(latency, _)| *latency);
        let across = Axis::log("milliseconds, logarithmic", values);
        let up = Axis::nines("share delivered", 4);
        if !series.is_empty() {
            panels.push(Panel {
                title: format!("messages a second: {}", plain(rate)),
                across,
                up,
                series,
                knee: None,
            });
        }
    }
    Ok(side_by_side(
        "Delivery latency, cumulative",
        "For each rate, the share of messages delivered within a time, as far as there are messages enough to tell.",
        &panels,
    ))
}

/// One row's histogram as a line, with marks at the common percentiles.
fn distribution(row: &Row) -> anyhow::Result<Option<Series>> {
    // A percentile that may not be quoted is not drawn.
    if quote(row, "p50_ms").figure().is_none() {
        return Ok(None);
    }
    let Some(histogram) = row.latencies()? else { return Ok(None) };
    let Some(&subject) = known([row.subject.as_str()]).first() else { return Ok(None) };
    let nines = nines(row).min(4.0);
    let at = |share: f64| (histogram.value_at_quantile(share).max(1) as f64 / 1e3, share);
    let steps = (nines * 10.0).floor() as i32;
    let line: Vec<(f64, f64)> =
        (0..=steps).map(|step| at(1.0 - 10f64.powf(-f64::from(step) / 10.0))).collect();
    let marks = [(0.5_f64, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];
    let mark = |(share, name): (f64, &str)| {
        let at = at(share);
        let words = format!("{}, {name}: {}", title(subject), with_unit(at.0, "ms"));
        Point { at, interval: (at.1, at.1), words }
    };
    let points =
        marks.into_iter().filter(|(share, _)| -(1.0 - share).log10() <= nines + 1e-9).map(mark).collect();
    Ok(Some(Series { subject, line, points }))
}

/// Latency against the rate: a panel for each round trip, with the rate of one message per round trip.
pub(super) fn knee(run: &Run) -> Option<String> {
    let all = sheets(run, "crossover");
    let sheet =
        all.iter().find(|sheet| sheet.name == "p50_ms" && sheet.varied == ["rate_per_s", "rtt_ms"])?;
    let mut trips: Vec<f64> =
        sheet.lines.iter().map(|line| line.values[1]).filter(|trip| *trip > 0.0).collect();
    trips.sort_by(f64::total_cmp);
    trips.dedup();
    let values = || {
        sheet.lines.iter().flat_map(|line| line.figures(&sheet.subjects)).map(|(_, figure)| figure.median())
    };
    let rates = || sheet.lines.iter().map(|line| line.values[0]);
    let panels: Vec<Panel> = trips
        .into_iter()
        .map(|trip| Panel {
            title: format!("round trip {}", condition_value("rtt_ms", trip)),
            across: Axis::log("messages a second", rates()),
            up: Axis::log("median, ms", values()),
            series: known(sheet.subjects.iter().copied())
                .into_iter()
                .map(|subject| against_rate(sheet, trip, subject))
                .filter(|series| !series.points.is_empty())
                .collect(),
            knee: Some((1e3 / trip, "one per round trip".to_owned())),
        })
        .collect();
    side_by_side(
        "Latency against the rate",
        "For each round trip, the median latency of each transport.",
        &panels,
    )
}

fn against_rate(sheet: &Sheet<'_>, trip: f64, subject: &'static str) -> Series {
    let lines = sheet.lines.iter().enumerate().filter(|(_, line)| line.values[1] == trip);
    let points: Vec<Point> = lines
        .filter_map(|(index, line)| {
            let figure = sheet.figure(index, subject)?;
            let at = (line.values[0], figure.median());
            let words = format!("{}, {}: {} ms", title(subject), joined(&plain(at.0), "/s"), spread(figure));
            Some(Point { at, interval: figure.interval(), words })
        })
        .collect();
    Series { subject, line: points.iter().map(|point| point.at).collect(), points }
}

/// Panels in two columns under one legend; `None` without panels.
fn side_by_side(title: &str, description: &str, panels: &[Panel]) -> Option<String> {
    let subjects = known(panels.iter().flat_map(|panel| panel.series.iter().map(|one| one.subject)));
    if subjects.is_empty() {
        return None;
    }
    let columns = panels.len().min(2) as f64;
    let size = (PANEL.0 * columns.max(1.5) + 16.0, 70.0 + panels.len().div_ceil(2) as f64 * PANEL.1);
    let points = panels.iter().flat_map(|panel| panel.series.iter().map(move |one| (panel, one)));
    let told: Vec<String> = points
        .flat_map(|(panel, one)| {
            one.points.iter().map(move |point| format!("{}, {}", panel.title, point.words))
        })
        .collect();
    let mut svg = Svg::new(size.0, size.1, title, &format!("{description} {}", told.join("; ")));
    svg.legend((16.0, 54.0), &subjects);
    for (index, panel) in panels.iter().enumerate() {
        let at = (8.0 + (index % 2) as f64 * PANEL.0, 66.0 + (index / 2) as f64 * PANEL.1);
        panel.draw(&mut svg, at, PANEL);
    }
    Some(svg.finish())
}
