//! A rule such as `p99 > 50ms`: a run fails if a median is above that, or below it with `<`.

use std::str::FromStr;

use crate::quote::{Quote, quote};
use crate::results::{Row, Run};

/// `[SCENARIO[/SUBJECT]] FIGURE > VALUE[UNIT]`, or `<`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Threshold {
    scenario: Option<String>,
    subject: Option<String>,
    figure: String,
    above: bool,
    value: f64,
    text: String,
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form =
            || format!("{text:?} is not a rule; write it like 'p99 > 50ms' or 'cpu/websocket cpu_us > 12'");
        let (left, value, above) = match (text.split_once('>'), text.split_once('<')) {
            (Some((left, value)), None) => (left, value, true),
            (None, Some((left, value))) => (left, value, false),
            _ => return Err(form()),
        };
        let mut words = left.split_whitespace().rev();
        let figure = words.next().ok_or_else(form)?;
        let (scenario, subject) = match words.next().map(|row| row.split_once('/').unwrap_or((row, ""))) {
            None => (None, None),
            Some((scenario, "")) => (Some(scenario.to_owned()), None),
            Some((scenario, subject)) => (Some(scenario.to_owned()), Some(subject.to_owned())),
        };
        let value = value.trim();
        let digits = value.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(value.len());
        let (number, unit) = value.split_at(digits);
        let value: f64 = number.trim().parse().map_err(|_| form())?;
        // `p99 > 50ms` has the unit after the value; a figure has it at the end of its name.
        let figure = match unit.is_empty() || figure.ends_with(&format!("_{unit}")) {
            true => figure.to_owned(),
            false => format!("{figure}_{unit}"),
        };
        if words.next().is_some() {
            return Err(form());
        }
        Ok(Self { scenario, subject, figure, above, value, text: text.to_owned() })
    }
}

impl Threshold {
    /// A message for each row whose median breaks the rule. One message if no row has a figure that may be quoted.
    pub(crate) fn broken_by(&self, run: &Run) -> Vec<String> {
        let (mut known, mut withdrawn) = (false, None);
        let mut lines = Vec::new();
        for row in run.rows.iter().filter(|row| self.is_about(row)) {
            let figure = match quote(row, &self.figure) {
                Quote::Figure(figure) => figure,
                Quote::Withdrawn(reason) => {
                    withdrawn = Some(reason);
                    continue;
                }
                Quote::Invalid | Quote::NotMeasured => continue,
            };
            known = true;
            let median = figure.median();
            if if self.above { median > self.value } else { median < self.value } {
                let Row { scenario, subject, conditions, .. } = row;
                lines.push(format!(
                    "{}: {scenario} of {subject} {conditions:?} has a median of {median:.3} {}",
                    self.text, figure.unit
                ));
            }
        }
        if !known {
            let why = withdrawn.map_or_else(
                || format!("nothing was measured that has the figure {}", self.figure),
                |reason| format!("cannot tell. {}", reason.note()),
            );
            lines.push(format!("{}: {why}", self.text));
        }
        lines
    }

    fn is_about(&self, row: &Row) -> bool {
        self.scenario.as_ref().is_none_or(|name| *name == row.scenario)
            && self.subject.as_ref().is_none_or(|name| *name == row.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::made_up::{row, run, with_messages};

    #[test]
    fn a_rule_names_a_figure_with_or_without_its_row() {
        let rule: Threshold = "p99 > 50ms".parse().unwrap();
        assert_eq!((rule.scenario.as_deref(), rule.figure.as_str(), rule.value), (None, "p99_ms", 50.0));
        let rule: Threshold = "cpu/websocket cpu_us > 12.5".parse().unwrap();
        assert_eq!((rule.scenario.as_deref(), rule.subject.as_deref()), (Some("cpu"), Some("websocket")));
        assert_eq!((rule.figure.as_str(), rule.value, rule.above), ("cpu_us", 12.5, true));
        let rule: Threshold =
            "durable acknowledged_per_s < 1e3".parse::<Threshold>().unwrap_or_else(|error| panic!("{error}"));
        assert!(!rule.above);
    }

    #[test]
    fn a_rule_cannot_be_checked_with_too_few_messages() {
        let rule: Threshold = "p99 > 50ms".parse().unwrap();
        let slow = row("latency", "sse", &[], "p99_ms", &[90.0; 5]);
        assert!(rule.broken_by(&run(vec![slow.clone()]))[0].contains("has a median of 90"));
        let complaint = rule.broken_by(&run(vec![with_messages(slow, 500)])).join("\n");
        assert!(complaint.contains("cannot tell. There are too few messages"), "{complaint}");
        assert!(rule.broken_by(&run(Vec::new()))[0].contains("nothing was measured"));
    }

    #[test]
    fn a_wrong_rule_is_refused_with_an_example() {
        for text in ["", "p99", "p99 > fast", "p99 > 1 < 2", "a b c > 1", "> 5"] {
            assert!(text.parse::<Threshold>().unwrap_err().contains("write it like"), "{text:?}");
        }
    }
}
