//! Two runs side by side: which figures became better or worse, and which are not clearly apart.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use crate::catalogue::{Better, find, title};
use crate::number::between;
use crate::quote::{quote, withdrawn};
use crate::ranking::LEAST_SAMPLES;
use crate::results::{Figure, Row, Run};
use crate::say::say;

const EXAMPLES: &str = "\
Examples:
  Compare the results before and after a change in the code:
    cargo measure compare before.json after.json
  Do the same in a script:
    cargo measure compare before.json after.json --json";

const EXIT_CODES: &str = "\
Exit codes:
  0    compared, whatever was found
  1    failed, or the two results have no figure in common
  2    wrong usage";

/// Which runs to compare.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Options {
    /// The results before
    before: PathBuf,
    /// The results after
    after: PathBuf,
    /// Print the comparison as JSON on stdout, and nothing else there
    #[arg(long)]
    json: bool,
}

/// How many changes of a kind the summary names.
const NAMED: usize = 5;

/// Two runs, figure by figure.
#[derive(Debug, Serialize)]
struct Comparison {
    /// Other differences between the runs, which may explain a change.
    warnings: Vec<String>,
    changes: Vec<Change>,
}

/// One figure that both runs have, before and after.
#[derive(Debug, Serialize)]
struct Change {
    scenario: String,
    subject: String,
    conditions: BTreeMap<String, f64>,
    figure: String,
    before: Spread,
    after: Spread,
    /// After divided by before; `None` if before was zero.
    ratio: Option<Spread>,
    finding: Finding,
}

/// A median, with the least and the greatest sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
    samples: usize,
}

/// What the samples say about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Finding {
    Better,
    Worse,
    /// Clearly apart, but neither direction is better.
    Higher,
    Lower,
    NotApart,
    /// One run has fewer than three samples.
    TooFewSamples,
}

/// Compares two files of results.
pub(crate) fn compare(options: &Options) -> anyhow::Result<()> {
    let (before, after) = (Run::read(&options.before)?, Run::read(&options.after)?);
    let comparison = Comparison::of(&before, &after);
    if options.json {
        return say(serde_json::to_string_pretty(&comparison)?);
    }
    if comparison.changes.is_empty() {
        bail!("the two runs have no figure in common");
    }
    say(comparison.summary())?;
    comparison.warnings.iter().try_for_each(|warning| say(format_args!("Warning: {warning}.")))?;
    say(format_args!("\n{}", comparison.table()))?;
    say("Ratio: after divided by before, with the bounds of the extremes. n: the samples of each side.")
}

impl Comparison {
    fn of(before: &Run, after: &Run) -> Self {
        let mut warnings = differences(before, after);
        let mut changes = Vec::new();
        let mut alone = 0;
        for old in &before.rows {
            let Some(new) = after.rows.iter().find(|new| is_same(old, new)) else {
                alone += 1;
                continue;
            };
            if !(old.invalid.is_empty() && new.invalid.is_empty()) {
                warnings.push(format!(
                    "{} of {} is invalid in one of the runs",
                    old.scenario,
                    title(&old.subject)
                ));
                continue;
            }
            let change = |name: &String| {
                Some(Change::of(old, name, quote(old, name).figure()?, quote(new, name).figure()?))
            };
            changes.extend(old.figures.keys().filter_map(change));
        }
        alone += after.rows.iter().filter(|new| !before.rows.iter().any(|old| is_same(old, new))).count();
        if alone > 0 {
            warnings.push(format!("{alone} rows are in one of the runs only"));
        }
        let reasons = withdrawn(before.rows.iter().chain(&after.rows));
        warnings.extend(reasons.into_iter().map(|one| format!("figures are withdrawn ({})", one.name())));
        warnings.dedup();
        Self { warnings, changes }
    }

    /// The number of figures for each finding, and the greatest changes by name.
    fn summary(&self) -> String {
        let count = |finding| self.changes.iter().filter(|change| change.finding == finding).count();
        let counts = Finding::ALL.map(|finding| (finding.words(), count(finding)));
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        let counts: Vec<String> = counts.map(|(words, count)| format!("{count} {words}")).collect();
        let mut summary = format!("Compared {} figures: {}.", self.changes.len(), counts.join(", "));
        for (title, finding) in [("Worse", Finding::Worse), ("Better", Finding::Better)] {
            let mut changes: Vec<&Change> =
                self.changes.iter().filter(|change| change.finding == finding).collect();
            changes.sort_by(|one, other| other.size().total_cmp(&one.size()));
            let named: Vec<String> = changes.iter().take(NAMED).map(|change| change.words()).collect();
            if !named.is_empty() {
                let greatest = if changes.len() > NAMED {
                    format!(" (the {NAMED} greatest changes)")
                } else {
                    String::new()
                };
                summary += &format!("\n{title}{greatest}:\n  {}", named.join("\n  "));
            }
        }
        summary
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header([
            "scenario",
            "conditions",
            "subject",
            "figure",
            "before",
            "after",
            "ratio",
            "n",
            "finding",
        ]);
        for change in &self.changes {
            let ratio = change.ratio.map_or_else(|| "–".to_owned(), |ratio| ratio.words());
            let (before, after) = (change.before, change.after);
            table.add_row([
                change.scenario.clone(),
                change.conditions(),
                title(&change.subject).to_owned(),
                change.figure.clone(),
                before.words(),
                after.words(),
                ratio,
                format!("{}, {}", before.samples, after.samples),
                change.finding.words().to_owned(),
            ]);
        }
        table
    }
}

impl Change {
    fn of(row: &Row, name: &str, before: &Figure, after: &Figure) -> Self {
        let (old, new) = (Spread::of(before), Spread::of(after));
        // The extremes bound the ratio only if all samples of the first run are above zero.
        let ratio = (old.least > 0.0).then(|| Spread {
            median: new.median / old.median,
            least: new.least / old.most,
            most: new.most / old.least,
            samples: old.samples.min(new.samples),
        });
        let better = find(&row.scenario, name).map_or(Better::Neither, |measure| measure.better);
        let finding = match (before.apart_from(after), better, new.median > old.median) {
            (false, ..) if old.samples.min(new.samples) < LEAST_SAMPLES => Finding::TooFewSamples,
            (false, ..) => Finding::NotApart,
            (true, Better::Neither, true) => Finding::Higher,
            (true, Better::Neither, false) => Finding::Lower,
            (true, Better::Higher, true) | (true, Better::Lower, false) => Finding::Better,
            (true, Better::Higher, false) | (true, Better::Lower, true) => Finding::Worse,
        };
        let (scenario, subject) = (row.scenario.clone(), row.subject.clone());
        let (conditions, figure) = (row.conditions.clone(), name.to_owned());
        Self { scenario, subject, conditions, figure, before: old, after: new, ratio, finding }
    }
}

impl Change {
    /// How great the change is: half and twice count the same.
    fn size(&self) -> f64 {
        self.ratio.map_or(f64::INFINITY, |ratio| ratio.median.ln().abs())
    }

    /// `cpu of SSE, clients=100, cpu_us: 12.3 before, 15.1 after`.
    fn words(&self) -> String {
        let conditions = self.conditions();
        let conditions = if conditions.is_empty() { conditions } else { format!(", {conditions}") };
        let (subject, before, after) = (title(&self.subject), self.before.words(), self.after.words());
        format!("{} of {subject}{conditions}, {}: {before} before, {after} after", self.scenario, self.figure)
    }

    fn conditions(&self) -> String {
        let conditions = self.conditions.iter().map(|(name, value)| format!("{name}={value}"));
        conditions.collect::<Vec<_>>().join(" ")
    }
}

impl Spread {
    fn of(figure: &Figure) -> Self {
        let (least, most) = figure.interval();
        Self { median: figure.median(), least, most, samples: figure.samples.len() }
    }

    fn words(self) -> String {
        between(self.median, self.least, self.most)
    }
}

impl Finding {
    const ALL: [Self; 6] =
        [Self::Worse, Self::Better, Self::Higher, Self::Lower, Self::NotApart, Self::TooFewSamples];

    const fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::NotApart => "not clearly apart",
            Self::TooFewSamples => "too few samples",
        }
    }
}

fn is_same(one: &Row, other: &Row) -> bool {
    one.scenario == other.scenario && one.subject == other.subject && one.conditions == other.conditions
}

/// Differences of machine and method, which may explain a change.
fn differences(before: &Run, after: &Run) -> Vec<String> {
    let (old, new) = (&before.machine, &after.machine);
    let (was, is) = (&before.method, &after.method);
    let length = |quick: bool| if quick { "quick" } else { "full" }.to_owned();
    let compared = [
        ("the processor", old.processor.clone(), new.processor.clone()),
        ("the number of cores", old.cores.to_string(), new.cores.to_string()),
        ("the memory in MiB", old.memory_mib.to_string(), new.memory_mib.to_string()),
        ("the kernel", old.kernel.clone(), new.kernel.clone()),
        ("the servers' flags", was.flags.join(" "), is.flags.join(" ")),
        ("the network", was.network.clone(), is.network.clone()),
        ("the text's length in bytes", was.text_bytes.to_string(), is.text_bytes.to_string()),
        (
            "short polling's pause in ms",
            was.short_poll_pause_ms.to_string(),
            is.short_poll_pause_ms.to_string(),
        ),
        ("the length of the run", length(was.quick), length(is.quick)),
    ];
    let differing = compared.into_iter().filter(|(_, before, after)| before != after);
    differing
        .map(|(what, before, after)| format!("{what} differs: {before:?} before, {after:?} after"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::made_up::{row, run};

    fn change(figure: &str, before: &[f64], after: &[f64]) -> Change {
        let of = |samples: &[f64]| run(vec![row("cpu", "sse", &[("clients", 10.0)], figure, samples)]);
        Comparison::of(&of(before), &of(after)).changes.pop().unwrap()
    }

    #[test]
    fn only_intervals_that_are_apart_are_a_finding() {
        assert_eq!(change("cpu_us", &[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0]).finding, Finding::Better);
        assert_eq!(change("cpu_us", &[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]).finding, Finding::Worse);
        assert_eq!(change("cpu_us", &[1.0, 2.0, 4.0], &[4.0, 5.0, 6.0]).finding, Finding::NotApart);
        assert_eq!(change("cpu_us", &[1.0, 2.0], &[4.0, 5.0]).finding, Finding::TooFewSamples);
        assert_eq!(change("publishing_us", &[1.0; 3], &[4.0; 3]).finding, Finding::Higher);
    }

    #[test]
    fn a_summary_counts_all_changes_and_names_the_greatest() {
        let rows = |values: [f64; 8]| {
            let row = |(clients, value): (usize, f64)| {
                row("cpu", "sse", &[("clients", clients as f64)], "cpu_us", &[value; 3])
            };
            run(values.into_iter().enumerate().map(row).collect())
        };
        let comparison =
            Comparison::of(&rows([10.0; 8]), &rows([10.0, 5.0, 11.0, 80.0, 12.0, 13.0, 14.0, 15.0]));
        let summary = comparison.summary();
        let lines: Vec<&str> = summary.lines().collect();
        assert_eq!(lines[0], "Compared 8 figures: 6 worse, 1 better, 1 not clearly apart.");
        assert_eq!(lines[1], "Worse (the 5 greatest changes):");
        assert_eq!(lines[2], "  cpu of SSE, clients=3, cpu_us: 10 before, 80 after");
        assert_eq!(
            lines[7..],
            ["Better:", "  cpu of SSE, clients=1, cpu_us: 10 before, 5 after"],
            "{summary}"
        );
    }

    #[test]
    fn a_ratio_is_bounded_by_the_extremes() {
        let ratio = change("cpu_us", &[1.0, 2.0, 4.0], &[4.0, 6.0, 8.0]).ratio.unwrap();
        assert_eq!((ratio.median, ratio.least, ratio.most), (3.0, 1.0, 8.0));
        assert_eq!(change("cpu_us", &[0.0, 2.0, 4.0], &[4.0, 6.0, 8.0]).ratio, None);
    }

    #[test]
    fn other_differences_are_named_and_invalid_rows_are_left_out() {
        let before = run(vec![
            row("cpu", "sse", &[], "cpu_us", &[1.0; 3]),
            row("idle", "sse", &[], "kept_kib", &[1.0]),
        ]);
        let mut after = before.clone();
        after.machine.kernel = "Linux 7.0".to_owned();
        after.rows[0].invalid.push("something was lost".to_owned());
        after.rows.pop();
        let comparison = Comparison::of(&before, &after);
        assert!(comparison.changes.is_empty());
        for told in ["the kernel differs", "cpu of SSE is invalid", "1 rows are in one of the runs only"] {
            assert!(comparison.warnings.iter().any(|warning| warning.contains(told)), "{told}");
        }
    }
}
