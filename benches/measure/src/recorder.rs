//! The recorder: it collects the samples of a run, row by row.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::latencies::Latencies;
use crate::results::{Deliveries, Row, encode};
use crate::subject::Subject;

/// The rows of a run that is under way, in the order in which their first samples were added.
#[derive(Default)]
pub(crate) struct Recorder {
    rows: Vec<RowBuilder>,
}

/// One row, to which samples are still added.
pub(crate) struct RowBuilder {
    row: Row,
    latencies_us: Option<Histogram<u64>>,
}

impl Recorder {
    /// The row of a subject under these conditions. The first call makes it.
    pub(crate) fn row(
        &mut self,
        scenario: &str,
        subject: Subject,
        conditions: &[(&str, f64)],
    ) -> &mut RowBuilder {
        let conditions: BTreeMap<String, f64> =
            conditions.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        let known = self.rows.iter().position(|RowBuilder { row, .. }| {
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
            self.rows.push(RowBuilder { row, latencies_us: None });
            self.rows.len() - 1
        });
        &mut self.rows[index]
    }

    /// Adds the samples of another recorder.
    pub(crate) fn merge(&mut self, other: Self) -> anyhow::Result<()> {
        for RowBuilder { row, latencies_us } in other.rows {
            let known = self.rows.iter_mut().find(|RowBuilder { row: known, .. }| {
                known.scenario == row.scenario
                    && known.subject == row.subject
                    && known.conditions == row.conditions
            });
            match known {
                Some(known) => known.merge(row, latencies_us)?,
                None => self.rows.push(RowBuilder { row, latencies_us }),
            }
        }
        Ok(())
    }

    /// All rows, with their histograms encoded.
    pub(crate) fn finish(self) -> anyhow::Result<Vec<Row>> {
        let finish = |RowBuilder { mut row, latencies_us }: RowBuilder| {
            row.latencies_us = latencies_us.as_ref().map(encode).transpose()?;
            Ok(row)
        };
        self.rows.into_iter().map(finish).collect()
    }
}

impl RowBuilder {
    /// Adds this repetition's sample of a figure. Its name ends in its unit: `p99_ms`, `cpu_us`, `total_bytes`.
    pub(crate) fn add(&mut self, name: &str, sample: f64) {
        let figure = self.row.figures.entry(name.to_owned()).or_default();
        name.rsplit('_').next().unwrap_or_default().clone_into(&mut figure.unit);
        figure.samples.push(sample);
    }

    /// Adds latencies: their percentiles as figures, and the whole histogram for charts.
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

    /// Adds the samples of the same row in another recorder.
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

    /// Adds counts of deliveries. A lost, duplicated or reordered message makes the row invalid.
    pub(crate) fn add_deliveries(&mut self, deliveries: Deliveries) {
        self.row.deliveries.get_or_insert_default().add(deliveries);
        if let Some(fault) = deliveries.fault() {
            self.invalidate(fault);
        }
    }

    /// Makes the row invalid, for this reason.
    pub(crate) fn invalidate(&mut self, why: String) {
        if !self.row.invalid.contains(&why) {
            self.row.invalid.push(why);
        }
    }
}
