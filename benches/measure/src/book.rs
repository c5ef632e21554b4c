//! What is noted while a run is under way: a sample at a time, row by row.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::latencies::Latencies;
use crate::results::{Deliveries, Row, encode};
use crate::subject::Subject;

/// The rows of a run that is under way, in the order in which they were first noted.
#[derive(Default)]
pub(crate) struct Book {
    rows: Vec<Open>,
}

/// One row that still grows.
pub(crate) struct Open {
    row: Row,
    latencies_us: Option<Histogram<u64>>,
}

impl Book {
    /// The row of a subject under some conditions: the one that is there, or a new one.
    pub(crate) fn row(&mut self, scenario: &str, subject: Subject, conditions: &[(&str, f64)]) -> &mut Open {
        let conditions: BTreeMap<String, f64> =
            conditions.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        let known = self.rows.iter().position(|Open { row, .. }| {
            row.scenario == scenario && row.subject == subject.name() && row.conditions == conditions
        });
        let index = known.unwrap_or_else(|| {
            let row = Row {
                scenario: scenario.to_owned(),
                subject: subject.name().to_owned(),
                conditions,
                figures: BTreeMap::new(),
                latencies_us: None,
                deliveries: None,
                invalid: Vec::new(),
            };
            self.rows.push(Open { row, latencies_us: None });
            self.rows.len() - 1
        });
        &mut self.rows[index]
    }

    /// Adds what was noted in another book.
    pub(crate) fn merge(&mut self, other: Self) -> anyhow::Result<()> {
        for Open { row, latencies_us } in other.rows {
            let known = self.rows.iter_mut().find(|Open { row: known, .. }| {
                known.scenario == row.scenario
                    && known.subject == row.subject
                    && known.conditions == row.conditions
            });
            match known {
                Some(known) => known.merge(row, latencies_us)?,
                None => self.rows.push(Open { row, latencies_us }),
            }
        }
        Ok(())
    }

    /// All rows, finished.
    pub(crate) fn close(self) -> anyhow::Result<Vec<Row>> {
        let close = |Open { mut row, latencies_us }: Open| {
            row.latencies_us = latencies_us.as_ref().map(encode).transpose()?;
            Ok(row)
        };
        self.rows.into_iter().map(close).collect()
    }
}

impl Open {
    /// Adds this repetition's sample of a figure. Its name ends in its unit: `p99_ms`, `cpu_us`, `total_bytes`.
    pub(crate) fn add(&mut self, name: &str, sample: f64) {
        let figure = self.row.figures.entry(name.to_owned()).or_default();
        name.rsplit('_').next().unwrap_or_default().clone_into(&mut figure.unit);
        figure.samples.push(sample);
    }

    /// Adds latencies: percentiles as figures, and all of them for charts.
    pub(crate) fn add_latencies(&mut self, latencies: &Latencies) -> anyhow::Result<()> {
        for (name, sample) in latencies.percentiles() {
            self.add(name, sample);
        }
        self.merge_latencies(latencies.0.clone())
    }

    fn merge_latencies(&mut self, latencies_us: Histogram<u64>) -> anyhow::Result<()> {
        match &mut self.latencies_us {
            Some(known) => known.add(&latencies_us)?,
            None => self.latencies_us = Some(latencies_us),
        }
        Ok(())
    }

    /// Adds the samples of the same row in another book.
    fn merge(&mut self, row: Row, latencies_us: Option<Histogram<u64>>) -> anyhow::Result<()> {
        for (name, figure) in row.figures {
            figure.samples.into_iter().for_each(|sample| self.add(&name, sample));
        }
        latencies_us.map_or(Ok(()), |latencies| self.merge_latencies(latencies))?;
        if let Some(deliveries) = row.deliveries {
            self.row.deliveries.get_or_insert_default().add(deliveries);
        }
        row.invalid.into_iter().for_each(|why| self.invalidate(why));
        Ok(())
    }

    /// Adds what became of some messages. Anything lost, duplicated or reordered makes the row invalid.
    pub(crate) fn add_deliveries(&mut self, deliveries: Deliveries) {
        self.row.deliveries.get_or_insert_default().add(deliveries);
        if let Some(fault) = deliveries.fault() {
            self.invalidate(fault);
        }
    }

    /// Says why nobody should quote this row.
    pub(crate) fn invalidate(&mut self, why: String) {
        if !self.row.invalid.contains(&why) {
            self.row.invalid.push(why);
        }
    }
}
