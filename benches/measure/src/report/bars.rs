//! Horizontal bars: one for each subject, in groups, with one part or several layers.

use super::svg::{Anchor, Svg, width};
use crate::number::plain;

/// Heights in pixels.
const BAR: f64 = 20.0;
const STEP: f64 = 27.0;
const GROUP: f64 = 30.0;

/// Room for names on the left.
const LEFT: f64 = 108.0;

/// A picture of bars.
pub(super) struct Bars {
    pub(super) title: &'static str,
    pub(super) description: String,
    pub(super) unit: &'static str,
    /// The layers by name, if bars have several parts.
    pub(super) layers: &'static [&'static str],
    pub(super) groups: Vec<Group>,
}

/// Bars under a title, with a line at the floor, if it is known.
pub(super) struct Group {
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
    pub(super) floor: Option<f64>,
}

pub(super) struct Bar {
    pub(super) subject: &'static str,
    pub(super) name: String,
    /// The lengths of its parts.
    pub(super) parts: Vec<f64>,
    pub(super) interval: Option<(f64, f64)>,
    /// The label behind the bar.
    pub(super) words: String,
}

impl Bar {
    fn end(&self) -> f64 {
        let sum: f64 = self.parts.iter().sum();
        self.interval.map_or(sum, |(_, most)| most.max(sum))
    }
}

impl Bars {
    pub(super) fn draw(&self, picture_width: f64) -> String {
        let heights = self.groups.iter().map(|group| GROUP + STEP * group.bars.len() as f64);
        let legend = if self.layers.is_empty() { 0.0 } else { 26.0 };
        let height = 44.0 + legend + heights.sum::<f64>() + 44.0;
        let mut svg = Svg::new(picture_width, height, self.title, &self.description);
        self.legend(&mut svg);
        let most = self.groups.iter().flat_map(|group| &group.bars).map(Bar::end).fold(0.0, f64::max);
        let step = step(most);
        let words = self.groups.iter().flat_map(|group| &group.bars).map(|bar| width(&bar.words));
        let (left, right) = (LEFT, picture_width - words.fold(0.0, f64::max) - 20.0);
        let place = |value: f64| left + value / most.max(f64::MIN_POSITIVE) * (right - left);
        let (top, bottom) = (44.0 + legend, height - 40.0);
        let mut tick = 0.0;
        while tick <= most {
            svg.line("grid", (place(tick), top), (place(tick), bottom));
            svg.text(place(tick), bottom + 15.0, Anchor::Middle, "soft small", &plain(tick));
            tick += step;
        }
        svg.text(left, bottom + 31.0, Anchor::Start, "soft", self.unit);
        let mut y = top;
        for group in &self.groups {
            svg.text(left, y + 20.0, Anchor::Start, "strong", &group.title);
            y += GROUP;
            let first = y;
            for bar in &group.bars {
                self.bar(&mut svg, bar, y, &place);
                y += STEP;
            }
            if let Some(floor) = group.floor {
                svg.line("floor", (place(floor), first - 4.0), (place(floor), y - 3.0));
            }
            for (index, bar) in group.bars.iter().enumerate() {
                let beside = (place(bar.end()) + 8.0, first + index as f64 * STEP + 14.5);
                svg.text(beside.0, beside.1, Anchor::Start, "above", &bar.words);
            }
        }
        svg.finish()
    }

    fn bar(&self, svg: &mut Svg, bar: &Bar, y: f64, place: &impl Fn(f64) -> f64) {
        svg.text(LEFT - 8.0, y + 14.5, Anchor::End, "", &bar.name);
        let mut from = 0.0;
        for (layer, part) in bar.parts.iter().enumerate() {
            let class = if self.layers.is_empty() {
                format!("{} solid", bar.subject)
            } else {
                format!("fill{layer}")
            };
            svg.rectangle(&class, (place(from), y), (place(from + part) - place(from), BAR));
            from += part;
        }
        if let Some((least, most)) = bar.interval.filter(|(least, most)| place(*most) - place(*least) > 1.0) {
            let middle = y + BAR / 2.0;
            svg.line("whisker", (place(least), middle), (place(most), middle));
            for end in [least, most] {
                svg.line("whisker", (place(end), middle - 5.0), (place(end), middle + 5.0));
            }
        }
    }

    fn legend(&self, svg: &mut Svg) {
        let mut x = LEFT;
        for (layer, name) in self.layers.iter().enumerate() {
            svg.rectangle(&format!("fill{layer}"), (x, 44.0), (18.0, 14.0));
            svg.text(x + 24.0, 55.5, Anchor::Start, "", name);
            x += 24.0 + width(name) + 20.0;
        }
    }
}

/// The distance between two ticks: 1, 2 or 5 times a power of ten, so that there are three to eight ticks.
fn step(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf((most / 4.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    steps.into_iter().find(|step| most / step <= 6.0).unwrap_or(steps[3])
}
