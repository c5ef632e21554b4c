//! A frame with two axes and lines in it, for the charts of latency.

use super::svg::{Anchor, Svg};
use crate::number::plain;

/// Room for the labels of the axes, in pixels.
const LEFT: f64 = 58.0;
const BELOW: f64 = 40.0;
const ABOVE: f64 = 22.0;

/// One frame.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) across: Axis,
    pub(super) up: Axis,
    pub(super) series: Vec<Series>,
    /// A vertical line, and its label.
    pub(super) knee: Option<(f64, String)>,
}

/// One axis: its first and last value, and its labels.
#[derive(Clone)]
pub(super) struct Axis {
    pub(super) title: &'static str,
    scale: Scale,
    from: f64,
    to: f64,
    ticks: Vec<(f64, String)>,
}

#[derive(Clone, Copy)]
enum Scale {
    Log,
    /// Shares below one. Each further nine is the same distance away: 0, 90 %, 99 % …
    Nines,
}

/// One subject's line.
pub(super) struct Series {
    pub(super) subject: &'static str,
    pub(super) line: Vec<(f64, f64)>,
    pub(super) points: Vec<Point>,
}

/// A measured point, with its vertical interval and the text that a pointer shows.
pub(super) struct Point {
    pub(super) at: (f64, f64),
    pub(super) interval: (f64, f64),
    pub(super) words: String,
}

impl Axis {
    /// An axis over whole powers of ten. If there are at most two, it also labels twice and five times a power.
    pub(super) fn log(title: &'static str, values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.filter(|value| *value > 0.0 && value.is_finite()).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min).log10();
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max).log10();
        let (from, to) = if values.is_empty() {
            (0.0, 1.0)
        } else {
            (least.floor(), most.ceil().max(least.floor() + 1.0))
        };
        let steps: &[f64] = if to - from > 2.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let decades = (from as i32..=to as i32)
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
        let ticks =
            decades.filter(|value| value.log10() <= to + 1e-9).map(|value| (value, plain(value))).collect();
        Self { title, scale: Scale::Log, from: 10f64.powf(from), to: 10f64.powf(to), ticks }
    }

    /// An axis for shares, up to this number of nines.
    pub(super) fn nines(title: &'static str, nines: u32) -> Self {
        let to = 1.0 - 10f64.powi(-(nines as i32));
        let labels = [
            (0.0, "0 %"),
            (0.5, "50 %"),
            (0.9, "90 %"),
            (0.99, "99 %"),
            (0.999, "99.9 %"),
            (0.9999, "99.99 %"),
        ];
        let ticks = labels
            .into_iter()
            .filter(|(share, _)| *share <= to + 1e-9)
            .map(|(share, text)| (share, text.to_owned()));
        Self { title, scale: Scale::Nines, from: 0.0, to, ticks: ticks.collect() }
    }

    /// The position of a value on the axis, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let bend = |value: f64| match self.scale {
            Scale::Log => value.max(self.from).log10(),
            Scale::Nines => -(1.0 - value.min(self.to)).log10(),
        };
        ((bend(value) - bend(self.from)) / (bend(self.to) - bend(self.from))).clamp(0.0, 1.0)
    }
}

impl Panel {
    /// Draws it into a box.
    pub(super) fn draw(&self, svg: &mut Svg, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let (left, right, top, bottom) = (x + LEFT, x + width - 22.0, y + ABOVE, y + height - BELOW);
        let place = |(across, up): (f64, f64)| {
            (left + self.across.place(across) * (right - left), bottom - self.up.place(up) * (bottom - top))
        };
        svg.text(left, y + 12.0, Anchor::Start, "strong", &self.title);
        for (value, label) in &self.up.ticks {
            let (_, y) = place((self.across.from, *value));
            svg.line("grid", (left, y), (right, y));
            svg.text(left - 6.0, y + 4.0, Anchor::End, "soft small", label);
        }
        for (value, label) in &self.across.ticks {
            let (x, _) = place((*value, self.up.from));
            svg.line("grid", (x, top), (x, bottom));
            svg.text(x, bottom + 15.0, Anchor::Middle, "soft small", label);
        }
        svg.line("axis", (left, bottom), (right, bottom));
        svg.text((left + right) / 2.0, bottom + 31.0, Anchor::Middle, "soft", self.across.title);
        svg.text(right, y + 12.0, Anchor::End, "soft", &format!("↑ {}", self.up.title));
        if let Some((value, words)) = &self.knee {
            let (x, _) = place((*value, self.up.from));
            svg.line("knee", (x, top), (x, bottom));
            svg.text(x + 4.0, top + 11.0, Anchor::Start, "soft small", words);
        }
        for Series { subject, line, points } in &self.series {
            let curve: Vec<(f64, f64)> = line.iter().map(|&point| place(point)).collect();
            if curve.len() > 1 {
                svg.polyline(&format!("{subject} curve"), &curve);
            }
            for Point { at, interval, words } in points {
                let (low, high) = (place((at.0, interval.0)), place((at.0, interval.1)));
                if (low.1 - high.1).abs() > 1.0 {
                    svg.line("whisker", low, high);
                }
                svg.marker(subject, place(*at), words);
            }
        }
    }
}
