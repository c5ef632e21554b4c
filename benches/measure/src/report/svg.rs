//! A picture as SVG: text stays text, and colours follow the reader's light or dark scheme.
//!
//! Colour is never the only difference: each subject has a dash and a marker, and each layer has a pattern.

use std::fmt::{Display, Write};

use crate::catalogue::{FLOOR, Name, SUBJECTS, column, title};

/// The dashes of the lines and the markers on them, by a subject's place in the list. After the last one the first
/// follows again.
const DASHES: [&str; 5] = ["none", "8 4", "2 3", "9 3 2 3", "12 2 4 2"];
const MARKERS: [&str; 5] = [
    "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0-4 0Z",
    "M-3.6-3.6H3.6V3.6H-3.6Z",
    "M0-4.6 4.4 3.4H-4.4Z",
    "M0-5 5 0 0 5-5 0Z",
    "M0 4.6-4.4-3.4H4.4Z",
];

/// The floor's dash and marker.
const FLOOR_DASH: &str = "4 5";
const FLOOR_MARKER: &str = "M-4-4 4 4M4-4-4 4";

/// Background, text, softer text and lines, in light and in dark.
const LIGHT: [&str; 4] = ["#ffffff", "#1f2328", "#59636e", "#d1d9e0"];
const DARK: [&str; 4] = ["#0d1117", "#f0f6fc", "#9aa4ae", "#3d444d"];

/// The layers' patterns, in their order: how each is drawn on its colour.
const PATTERNS: [&str; 4] = [
    "",
    r#"<path d="M0 8 8 0M-2 2 2-2M6 10 10 6" class="hatch"/>"#,
    r#"<circle cx="2" cy="2" r="1.3" class="dot"/><circle cx="6" cy="6" r="1.3" class="dot"/>"#,
    r#"<path d="M0 2H8M0 6H8" class="hatch"/>"#,
];

/// A picture under construction.
pub(super) struct Svg {
    height: f64,
    width: f64,
    title: String,
    description: String,
    body: String,
}

/// Which part of a text is at its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64, title: &str, description: &str) -> Self {
        let mut svg = Self {
            width,
            height,
            title: title.to_owned(),
            description: description.to_owned(),
            body: String::new(),
        };
        svg.text(16.0, 26.0, Anchor::Start, "heading", title);
        svg
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.push(format!(
            r#"<path class="{class}" d="M{} {}L{} {}"/>"#,
            short(from.0),
            short(from.1),
            short(to.0),
            short(to.1)
        ));
    }

    /// A line through all these points.
    pub(super) fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> =
            points.iter().map(|(x, y)| format!("{},{}", short(*x), short(*y))).collect();
        self.push(format!(r#"<polyline class="{class}" points="{}"/>"#, points.join(" ")));
    }

    pub(super) fn rectangle(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        self.push(format!(
            r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}"/>"#,
            short(x),
            short(y),
            short(width.max(0.0)),
            short(height)
        ));
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let class = if class.is_empty() { String::new() } else { format!(r#" class="{class}""#) };
        self.push(format!(
            r#"<text{class} x="{}" y="{}" text-anchor="{anchor}">{}</text>"#,
            short(x),
            short(y),
            escaped(text)
        ));
    }

    /// A subject's marker at a point, with a text that a pointer shows.
    pub(super) fn marker(&mut self, subject: &str, (x, y): (f64, f64), words: &str) {
        let path = own(subject, MARKERS, FLOOR_MARKER);
        self.push(format!(
            r#"<path class="{subject} mark" d="{path}" transform="translate({} {})">{}</path>"#,
            short(x),
            short(y),
            if words.is_empty() { String::new() } else { format!("<title>{}</title>", escaped(words)) }
        ));
    }

    /// A legend in one row: the line and the marker of each subject.
    pub(super) fn legend(&mut self, (x, y): (f64, f64), subjects: &[&str]) {
        let mut x = x;
        for subject in subjects {
            self.line(&format!("{subject} curve"), (x, y - 4.0), (x + 34.0, y - 4.0));
            self.marker(subject, (x + 17.0, y - 4.0), "");
            self.text(x + 41.0, y, Anchor::Start, "", title(subject));
            x += 41.0 + width(title(subject)) + 20.0;
        }
    }

    fn push(&mut self, element: impl Display) {
        let _ = writeln!(self.body, "{element}");
    }

    /// The finished file.
    pub(super) fn finish(self) -> String {
        let Self { width, height, title, description, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" aria-labelledby=\"title description\">\n\
             <title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n<style>\n{}</style>\n{}\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n{body}</svg>\n",
            escaped(&title),
            escaped(&description),
            style(&body),
            patterns()
        )
    }
}

/// The approximate width of a text.
pub(super) fn width(text: &str) -> f64 {
    text.chars().count() as f64 * 6.6
}

/// A coordinate, rounded to a tenth of a pixel, so that every machine writes the same.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Text with the special characters of XML and HTML escaped.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn patterns() -> String {
    let mut text = "<defs>\n".to_owned();
    for (index, shape) in PATTERNS.iter().enumerate() {
        let _ = writeln!(
            text,
            r#"<pattern id="layer{index}" width="8" height="8" patternUnits="userSpaceOnUse"><rect width="8" height="8" class="layer{index}"/>{shape}</pattern>"#
        );
    }
    text + "</defs>\n"
}

/// The style sheet, with the subjects that are in the picture.
fn style(body: &str) -> String {
    let mut text = "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}\n\
         .heading{font-size:16px;font-weight:600}.strong{font-weight:600}.small{font-size:11px}\n\
         .curve{fill:none;stroke-width:2;stroke-linejoin:round}.mark{stroke-width:1.5}.whisker{stroke-width:1.5;fill:none}\n\
         .axis,.grid,.floor,.knee{fill:none;stroke-width:1}.floor{stroke-width:2;stroke-dasharray:4 3}.knee{stroke-dasharray:2 4}\n\
         rect.tint{fill-opacity:.16;stroke:none}rect.solid{stroke:none}.above{paint-order:stroke;stroke-width:4;stroke-linejoin:round}.cell{stroke-width:1}\n"
        .to_owned();
    let shown: Vec<&Name> =
        SUBJECTS.iter().filter(|name| body.contains(&format!("\"{} ", name.subject))).collect();
    for name in &shown {
        let dash = own(name.subject, DASHES, FLOOR_DASH);
        let _ = writeln!(text, ".{}.curve{{stroke-dasharray:{dash}}}", name.subject);
    }
    (0..PATTERNS.len()).for_each(|index| text += &format!(".fill{index}{{fill:url(#layer{index})}}"));
    text.push('\n');
    text += &scheme(LIGHT, 0, &shown);
    text += &format!("@media (prefers-color-scheme: dark) {{\n{}}}\n", scheme(DARK, 1, &shown));
    text
}

/// A subject's own dash or marker, by its place in the list.
fn own(subject: &str, each: [&'static str; 5], floor: &'static str) -> &'static str {
    if subject == FLOOR { floor } else { each[column(subject) % each.len()] }
}

/// The colours on this background: 0 is light, 1 is dark.
fn scheme([paper, ink, soft, line]: [&str; 4], ground: usize, shown: &[&Name]) -> String {
    let mut text = format!(
        ".paper{{fill:{paper}}}text{{fill:{ink}}}text.soft{{fill:{soft}}}.grid,.cell{{stroke:{line}}}.cell{{fill:{paper}}}\
         .axis,.knee{{stroke:{soft}}}.floor,.whisker{{stroke:{ink}}}.above{{stroke:{paper}}}.hatch{{stroke:{paper};stroke-width:1.6}}.dot{{fill:{paper}}}\n"
    );
    for name in shown {
        let (subject, colour) = (name.subject, name.colors[ground]);
        let _ = writeln!(text, ".{subject}{{stroke:{colour};fill:{colour}}}.{subject}.curve{{fill:none}}");
    }
    // Four layers have the colours of four subjects; no chart shows both.
    for (index, name) in SUBJECTS.iter().enumerate().take(PATTERNS.len()) {
        let _ = write!(text, ".layer{index}{{fill:{}}}", name.colors[ground]);
    }
    text + "\n"
}

/// The subjects among these, in the order of every legend.
pub(super) fn known<'a>(subjects: impl IntoIterator<Item = &'a str>) -> Vec<&'static str> {
    let there: Vec<&str> = subjects.into_iter().collect();
    SUBJECTS.iter().map(|name| name.subject).filter(|subject| there.contains(subject)).collect()
}
