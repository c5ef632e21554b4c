//! Results as tables: for one figure, a line for each set of conditions and a column for each subject.

use std::collections::BTreeSet;

use crate::catalogue::{Better, FLOOR, INCIDENTAL, Measure, Topic, column, condition_column, find, topic};
use crate::quote::{Quote, Reason, quote};
use crate::ranking::{Ranking, rank};
use crate::results::{Figure, Row, Run};

/// One figure of one scenario.
pub(super) struct Sheet<'a> {
    /// The figure's name in results.
    pub(super) name: &'a str,
    /// The figure in words.
    pub(super) title: &'a str,
    pub(super) unit: &'a str,
    pub(super) better: Better,
    /// The conditions that vary, by name.
    pub(super) varied: Vec<&'a str>,
    /// The conditions that are the same in all lines.
    pub(super) fixed: Vec<(&'a str, f64)>,
    pub(super) subjects: Vec<&'a str>,
    pub(super) lines: Vec<TableLine<'a>>,
}

/// A line of the table: one set of conditions.
pub(super) struct TableLine<'a> {
    /// The values of the varied conditions.
    pub(super) values: Vec<f64>,
    /// A cell for each subject.
    pub(super) cells: Vec<Quote<'a>>,
}

/// The scenarios that were measured, in the catalogue's order; unlisted ones come last.
pub(super) fn scenarios(run: &Run) -> Vec<(&str, Option<&'static Topic>)> {
    let names: BTreeSet<&str> = run.rows.iter().map(|row| row.scenario.as_str()).collect();
    let known =
        crate::catalogue::TOPICS.iter().map(|topic| topic.scenario).filter(|name| names.contains(name));
    let strangers = names.iter().copied().filter(|name| topic(name).is_none());
    known.chain(strangers).map(|name| (name, topic(name))).collect()
}

/// All tables of one scenario: figures in the catalogue's order; unlisted ones come last.
pub(super) fn sheets<'a>(run: &'a Run, scenario: &'a str) -> Vec<Sheet<'a>> {
    let rows: Vec<&Row> = run.rows(scenario).collect();
    let names: BTreeSet<&str> = rows.iter().flat_map(|row| row.figures.keys()).map(String::as_str).collect();
    let listed: &[Measure] = topic(scenario).map_or(&[], |topic| topic.measures);
    let known = listed.iter().map(|measure| measure.name).filter(|name| names.contains(name));
    let strangers = names.iter().copied().filter(|name| find(scenario, name).is_none());
    known.chain(strangers).map(|name| Sheet::of(&rows, scenario, name)).collect()
}

impl<'a> Sheet<'a> {
    fn of(rows: &[&'a Row], scenario: &str, name: &'a str) -> Self {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.figures.contains_key(name)).copied().collect();
        let measure = find(scenario, name);
        let mut subjects: Vec<&str> = rows.iter().map(|row| row.subject.as_str()).collect();
        subjects.sort_by_key(|subject| (column(subject), *subject));
        subjects.dedup();
        let mut conditions: Vec<&str> =
            rows.iter().flat_map(|row| row.conditions.keys()).map(String::as_str).collect();
        conditions.retain(|name| *name != INCIDENTAL);
        conditions.sort_by_key(|name| (condition_column(name), *name));
        conditions.dedup();
        let same = |name: &&str| rows.iter().all(|row| row.condition(name) == rows[0].condition(name));
        let (fixed, varied): (Vec<&str>, Vec<&str>) = conditions.into_iter().partition(same);
        let values = |row: &Row| -> Vec<f64> {
            varied.iter().map(|name| row.condition(name).unwrap_or(f64::NEG_INFINITY)).collect()
        };
        let mut sets: Vec<Vec<f64>> = rows.iter().map(|row| values(row)).collect();
        sets.sort_by(|one, other| {
            one.iter().map(|value| Order(*value)).cmp(other.iter().map(|value| Order(*value)))
        });
        sets.dedup();
        let cell = |set: &[f64], subject: &str| {
            let row = rows.iter().find(|row| row.subject == subject && values(row) == set);
            row.map_or(Quote::NotMeasured, |row| quote(row, name))
        };
        let line = |set: Vec<f64>| TableLine {
            cells: subjects.iter().map(|subject| cell(&set, subject)).collect(),
            values: set,
        };
        let lines = sets.into_iter().map(line).collect();
        Self {
            name,
            title: measure.map_or(name, |measure| measure.title),
            unit: measure.map_or_else(|| rows[0].figures[name].unit.as_str(), |measure| measure.unit),
            better: measure.map_or(Better::Neither, |measure| measure.better),
            fixed: fixed.into_iter().filter_map(|name| Some((name, rows[0].condition(name)?))).collect(),
            varied,
            subjects,
            lines,
        }
    }

    /// The reasons for which it is withdrawn, if no cell has a figure.
    pub(super) fn withdrawn(&self) -> Option<BTreeSet<Reason>> {
        let cells = || self.lines.iter().flat_map(|line| &line.cells);
        let is_silent = |cell: &Quote<'_>| matches!(cell, Quote::Withdrawn(_) | Quote::NotMeasured);
        cells().all(is_silent).then(|| cells().filter_map(|cell| cell.reason()).collect())
    }

    /// Whether it compares at least two transports, and one direction is better.
    pub(super) fn is_ranked(&self) -> bool {
        self.better != Better::Neither
            && self.subjects.iter().filter(|subject| **subject != FLOOR).count() > 1
    }

    /// A subject's figure in one line.
    pub(super) fn figure(&self, line: usize, subject: &str) -> Option<&'a Figure> {
        let column = self.subjects.iter().position(|one| *one == subject)?;
        self.lines.get(line)?.cells[column].figure()
    }

    /// Ranks the subjects of one line.
    pub(super) fn rank(&self, line: &TableLine<'a>) -> Ranking<'a> {
        let figures: Vec<(&str, &Figure)> = line.figures(&self.subjects).collect();
        rank(self.better, &figures)
    }
}

impl<'a> TableLine<'a> {
    /// The figures that can be quoted, with their subjects.
    pub(super) fn figures(&self, subjects: &[&'a str]) -> impl Iterator<Item = (&'a str, &'a Figure)> {
        subjects.iter().zip(&self.cells).filter_map(|(subject, cell)| Some((*subject, cell.figure()?)))
    }
}

/// A number that can be sorted.
#[derive(PartialEq)]
struct Order(f64);

impl Eq for Order {}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Order {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
