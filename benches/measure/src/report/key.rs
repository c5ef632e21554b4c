//! A key to one figure: `bytes/websocket burst=1 total_bytes`. Pages name figures by keys.

use std::fmt;

use anyhow::{Context, bail};

use crate::catalogue::{CONDITIONS, PLAIN, SUBJECTS, find, topic};
use crate::quote::{Quote, quote};
use crate::results::{Row, Run};

/// The names of one figure. Conditions that are not named can have any value, but only one row may match.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) scenario: String,
    pub(crate) subject: String,
    pub(crate) conditions: Vec<(String, f64)>,
    pub(crate) figure: String,
}

impl Key {
    /// Reads a key. Every name in it must be in the catalogue, so that a typing error is found at once.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut words = text.split_whitespace();
        let row = words.next().context("a key begins with SCENARIO/SUBJECT")?;
        let (scenario, subject) =
            row.split_once('/').with_context(|| format!("{text:?} names no subject"))?;
        let mut words: Vec<&str> = words.collect();
        let figure = words.pop().with_context(|| format!("{text:?} names no figure"))?;
        topic(scenario).with_context(|| format!("{text:?}: there is no scenario {scenario}"))?;
        find(scenario, figure).with_context(|| format!("{text:?}: {scenario} has no figure {figure}"))?;
        if !SUBJECTS.iter().any(|name| name.subject == subject) {
            bail!("{text:?}: there is no subject {subject}");
        }
        let condition = |word: &str| {
            let (name, value) =
                word.split_once('=').with_context(|| format!("{text:?}: {word} has no value"))?;
            if !CONDITIONS.iter().any(|condition| condition.name == name) {
                bail!("{text:?}: there is no condition {name}");
            }
            let value = value.parse().with_context(|| format!("{text:?}: {value} is no number"))?;
            Ok((name.to_owned(), value))
        };
        Ok(Self {
            scenario: scenario.to_owned(),
            subject: subject.to_owned(),
            conditions: words.into_iter().map(condition).collect::<anyhow::Result<_>>()?,
            figure: figure.to_owned(),
        })
    }

    /// The same figure of another subject.
    pub(crate) fn of(&self, subject: &str) -> Self {
        Self { subject: subject.to_owned(), ..self.clone() }
    }

    /// Looks the figure up. It is not measured if the run left out the scenario, the subject or the figure. A quick run
    /// also leaves out conditions.
    ///
    /// # Errors
    ///
    /// The key is wrong: several rows match, or none matches in a full run that measured this figure of this subject.
    pub(crate) fn find<'a>(&self, run: &'a Run) -> anyhow::Result<Quote<'a>> {
        let measured = || run.rows.iter().filter(|row| self.is_of(row));
        if !measured().any(|row| row.figures.contains_key(&self.figure) || !row.invalid.is_empty()) {
            return Ok(Quote::NotMeasured);
        }
        let mut fitting = measured().filter(|row| self.fits(row));
        let Some(row) = fitting.next() else {
            // A scenario that failed leaves a row without conditions.
            let stopped = measured().any(|row| row.figures.is_empty());
            if run.method.quick || stopped {
                return Ok(Quote::NotMeasured);
            }
            bail!("no row matches the key {self}: nothing was measured under these conditions");
        };
        if let Some(other) = fitting.next() {
            bail!("the key {self} matches several rows: {:?} and {:?}", row.conditions, other.conditions);
        }
        Ok(quote(row, &self.figure))
    }

    fn is_of(&self, row: &Row) -> bool {
        row.scenario == self.scenario && row.subject == self.subject
    }

    /// Whether a row has this figure under these conditions. An invalid row may lack the figure.
    fn fits(&self, row: &Row) -> bool {
        let conditions = self.conditions.iter().all(|(name, value)| row.condition(name) == Some(*value));
        // A key that does not say so means connections that were taken over.
        let says_plain = self.conditions.iter().any(|(name, _)| name == PLAIN);
        let same_way = says_plain || row.condition(PLAIN).is_none();
        conditions && same_way && (row.figures.contains_key(&self.figure) || !row.invalid.is_empty())
    }

    /// The unit of the figure.
    pub(crate) fn unit(&self) -> &'static str {
        find(&self.scenario, &self.figure).map_or("", |measure| measure.unit)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.scenario, self.subject)?;
        for (name, value) in &self.conditions {
            write!(f, " {name}={value}")?;
        }
        write!(f, " {}", self.figure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::made_up::{row, run};

    #[test]
    fn every_name_in_a_key_must_be_known() {
        Key::parse("bytes/websocket burst=1 total_bytes").unwrap();
        for text in [
            "",
            "bytes burst=1 total_bytes",
            "bites/websocket total_bytes",
            "bytes/websockets total_bytes",
            "bytes/websocket brust=1 total_bytes",
            "bytes/websocket burst=one total_bytes",
            "bytes/websocket burst total_bytes",
            "bytes/websocket burst=1 totl_bytes",
        ] {
            assert!(Key::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_key_leads_to_one_row_or_to_an_error() {
        let mut run = run(vec![
            row("bytes", "sse", &[("burst", 1.0)], "total_bytes", &[90.0; 5]),
            row("bytes", "sse", &[("burst", 20.0)], "total_bytes", &[80.0; 5]),
        ]);
        let find = |run: &Run, text: &str| anyhow::Ok(Key::parse(text).unwrap().find(run)?.words(""));
        assert_eq!(find(&run, "bytes/sse burst=20 total_bytes").unwrap(), "80");
        assert_eq!(find(&run, "cpu/sse clients=10 cpu_us").unwrap(), "not measured");
        assert!(find(&run, "bytes/sse total_bytes").unwrap_err().to_string().contains("several rows"));
        assert!(
            find(&run, "bytes/sse burst=2 total_bytes")
                .unwrap_err()
                .to_string()
                .contains("nothing was measured")
        );
        run.method.quick = true;
        assert_eq!(find(&run, "bytes/sse burst=2 total_bytes").unwrap(), "not measured");
        run.rows[1].invalid.push("something was lost".to_owned());
        assert_eq!(find(&run, "bytes/sse burst=20 total_bytes").unwrap(), "invalid");
    }
}
