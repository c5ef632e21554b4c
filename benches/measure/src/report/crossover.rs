//! The crossover: for each rate and each round trip, which transport is ahead.
//!
//! Transports that are not clearly apart share a cell.

use super::sheet::{Sheet, TableLine};
use super::svg::{Anchor, Svg, known};
use crate::catalogue::{condition_value, letter};
use crate::number::{joined, plain, with_unit};
use crate::ranking::Ranking;
use crate::results::Figure;

/// A cell's size in pixels, and the room beside and above the cells.
const CELL: (f64, f64) = (74.0, 38.0);
const LEFT: f64 = 64.0;
const ABOVE: f64 = 46.0;

/// The figures of the grids: name and title.
pub(super) const DECIDING: [(&str, &str); 4] = [
    ("p50_ms", "latency, median"),
    ("p99_ms", "latency, p99"),
    ("total_bytes", "bytes for each delivery"),
    ("cpu_us", "server's processor time"),
];

/// The whole picture: a grid for each of these figures that was measured.
pub(super) fn draw(sheets: &[Sheet<'_>]) -> Option<String> {
    let deciding = |(name, title)| Some((sheets.iter().find(|sheet| sheet.name == name)?, title));
    let grids: Vec<(&Sheet<'_>, &str)> = DECIDING
        .into_iter()
        .filter_map(deciding)
        .filter(|(sheet, _)| sheet.varied == ["rate_per_s", "rtt_ms"] && sheet.withdrawn().is_none())
        .collect();
    let rates = grids.iter().map(|(sheet, _)| values(sheet, 0).len()).max()?;
    let trips = grids.iter().map(|(sheet, _)| values(sheet, 1).len()).max()?;
    let size = (LEFT + rates as f64 * CELL.0 + 20.0, ABOVE + trips as f64 * CELL.1 + 46.0);
    let rows = grids.len().div_ceil(2);
    let columns = grids.len().min(2);
    let lines =
        grids.iter().flat_map(|(sheet, _)| sheet.lines.iter().map(|line| line.figures(&sheet.subjects)));
    let subjects = known(lines.flatten().map(|(subject, _)| subject));
    let height = 112.0 + rows as f64 * size.1;
    let description =
        grids.iter().map(|(sheet, title)| format!("{title}: {}", told(sheet))).collect::<Vec<_>>().join(". ");
    let mut svg = Svg::new(
        (columns as f64 * size.0 + 16.0).max(600.0),
        height,
        "Which transport is ahead",
        &description,
    );
    svg.legend((16.0, 54.0), &subjects);
    svg.text(
        16.0,
        76.0,
        Anchor::Start,
        "soft",
        "A cell names all that are not clearly apart from the best, and the best median among them.",
    );
    svg.text(
        16.0,
        93.0,
        Anchor::Start,
        "soft",
        "all: none is clearly apart from the others · –: too few runs to compare",
    );
    for (index, (sheet, title)) in grids.iter().enumerate() {
        let at = (8.0 + (index % 2) as f64 * size.0, 104.0 + (index / 2) as f64 * size.1);
        grid(&mut svg, sheet, title, at);
    }
    Some(svg.finish())
}

fn grid(svg: &mut Svg, sheet: &Sheet<'_>, title: &str, (x, y): (f64, f64)) {
    let (rates, trips) = (values(sheet, 0), values(sheet, 1));
    svg.text(x + LEFT, y + 14.0, Anchor::Start, "strong", title);
    for (column, rate) in rates.iter().enumerate() {
        let middle = x + LEFT + (column as f64 + 0.5) * CELL.0;
        svg.text(middle, y + ABOVE - 8.0, Anchor::Middle, "soft small", &joined(&plain(*rate), "/s"));
    }
    for (row, trip) in trips.iter().enumerate() {
        let top = y + ABOVE + row as f64 * CELL.1;
        svg.text(
            x + LEFT - 8.0,
            top + CELL.1 / 2.0 + 4.0,
            Anchor::End,
            "soft small",
            &condition_value("rtt_ms", *trip),
        );
        for (column, rate) in rates.iter().enumerate() {
            let at = (x + LEFT + column as f64 * CELL.0, top);
            if let Some(line) = sheet.lines.iter().find(|line| line.values == [*rate, *trip]) {
                cell(svg, sheet, line, at);
            }
        }
    }
    let below = y + ABOVE + trips.len() as f64 * CELL.1 + 16.0;
    svg.text(x + LEFT, below, Anchor::Start, "soft small", "→ messages a second · ↓ round trip");
}

fn cell(svg: &mut Svg, sheet: &Sheet<'_>, line: &TableLine<'_>, (x, y): (f64, f64)) {
    let size = (CELL.0 - 3.0, CELL.1 - 3.0);
    svg.rectangle("cell", (x, y), size);
    let ranking = sheet.rank(line);
    let ahead = ranking.first();
    // A band of colour for each transport in the cell, side by side.
    for (index, subject) in ahead.iter().enumerate() {
        let band = size.0 / ahead.len() as f64;
        let left = x + index as f64 * band;
        svg.rectangle(&format!("{subject} tint"), (left, y), (band, size.1));
        svg.rectangle(&format!("{subject} solid"), (left, y), (band, 4.0));
    }
    let middle = x + size.0 / 2.0;
    svg.text(middle, y + 18.0, Anchor::Middle, "strong", &letters(&ranking));
    if let Some(best) = best(sheet, line, ahead) {
        svg.text(middle, y + 31.0, Anchor::Middle, "soft small", &with_unit(best, sheet.unit));
    }
}

fn letters(ranking: &Ranking<'_>) -> String {
    match ranking.first() {
        [] if ranking.is_known() => "all".to_owned(),
        [] => "–".to_owned(),
        first => first.iter().map(|subject| letter(subject).to_string()).collect::<Vec<_>>().join(", "),
    }
}

/// The best median among the transports in the cell.
fn best(sheet: &Sheet<'_>, line: &TableLine<'_>, ahead: &[&str]) -> Option<f64> {
    let medians =
        line.figures(&sheet.subjects).filter(|(subject, _)| ahead.is_empty() || ahead.contains(subject));
    medians.map(|(_, figure)| Figure::median(figure)).min_by(f64::total_cmp)
}

/// The values of one condition, each once.
fn values(sheet: &Sheet<'_>, condition: usize) -> Vec<f64> {
    let mut values: Vec<f64> = sheet.lines.iter().map(|line| line.values[condition]).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// The grid in words, for readers who cannot see it.
fn told(sheet: &Sheet<'_>) -> String {
    let lines = sheet.lines.iter().filter(|line| line.cells.iter().any(|cell| cell.figure().is_some()));
    let told = lines.map(|line| {
        let at: Vec<String> =
            [joined(&plain(line.values[0]), "/s"), condition_value("rtt_ms", line.values[1])].into();
        format!("{} {}", at.join(" at "), sheet.rank(line).words())
    });
    told.collect::<Vec<_>>().join("; ")
}
