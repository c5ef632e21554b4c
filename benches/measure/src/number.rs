//! Numbers as people read them: three significant digits, thousands separated, an interval in brackets.

use crate::results::Figure;

/// Three significant digits, and all digits before the point: `0.0123`, `1.23`, `12,346`.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let size = value.abs();
    let digits = if size == 0.0 { 0 } else { (2 - size.log10().floor() as i32).clamp(0, 6) as usize };
    let digits = if (value - value.round()).abs() < 1e-9 { 0 } else { digits };
    let text = format!("{size:.digits$}");
    if !text.contains(|digit| ('1'..='9').contains(&digit)) {
        return "0".to_owned();
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 { "−" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{fraction}")
}

/// The same without trailing zeros, for numbers that were chosen, not measured: `0.5`, `20`.
pub(crate) fn plain(value: f64) -> String {
    let text = number(value);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A number with its unit: `12.3 ms`, `200/s`, `3`.
pub(crate) fn with_unit(value: f64, unit: &str) -> String {
    joined(&number(value), unit)
}

/// The median and, in brackets, the least and the most: `12.3 (11.9–14.0)`. No brackets if all samples are equal.
pub(crate) fn spread(figure: &Figure) -> String {
    let (least, most) = figure.interval();
    between(figure.median(), least, most)
}

/// `12.3 (11.9–14.0)`, or `12.3` if the bounds are equal.
pub(crate) fn between(median: f64, least: f64, most: f64) -> String {
    let (least, most) = (number(least), number(most));
    let median = number(median);
    if least == most { median } else { format!("{median} ({least}–{most})") }
}

/// Appends a unit.
pub(crate) fn joined(text: &str, unit: &str) -> String {
    match unit {
        "" => text.to_owned(),
        unit if unit.starts_with(['/', ' ', '%', '×']) => format!("{text}{unit}"),
        unit => format!("{text} {unit}"),
    }
}

/// A number of bytes in the unit that fits: `1.44 kB`, `12.0 MB`. Each unit is a thousand of the one before.
pub(crate) fn bytes(value: f64) -> (f64, &'static str) {
    match value.abs() {
        size if size >= 1e9 => (value / 1e9, "GB"),
        size if size >= 1e6 => (value / 1e6, "MB"),
        size if size >= 1e3 => (value / 1e3, "kB"),
        _ => (value, "B"),
    }
}

/// The text with a capital first letter.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_significant() {
        let cases = [
            (0.0, "0"),
            (0.012_345, "0.0123"),
            (0.5, "0.500"),
            (2.0, "2"),
            (1.234_56, "1.23"),
            (99.96, "100.0"),
            (123.4, "123"),
            (1_234_567.8, "1,234,568"),
            (-12.34, "−12.3"),
            (-0.000_000_01, "0"),
            (f64::NAN, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text, "{value}");
        }
    }

    #[test]
    fn an_interval_is_shown_where_there_is_one() {
        let figure = |samples: &[f64]| Figure { unit: "ms".to_owned(), samples: samples.to_vec() };
        assert_eq!(spread(&figure(&[3.0, 1.5, 2.0])), "2 (1.50–3)");
        assert_eq!(spread(&figure(&[7.0, 7.0])), "7");
        assert_eq!(joined("2 (1.50–3)", "ms"), "2 (1.50–3) ms");
        assert_eq!(with_unit(200.0, "/s"), "200/s");
        assert_eq!([plain(0.5), plain(20.0), plain(1_200.0)], ["0.5", "20", "1,200"]);
    }
}
