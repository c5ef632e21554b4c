//! Results as a table for a terminal.

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use crate::quote::{Quote, quote, withdrawn};
use crate::results::{Figure, Run};

/// Figures that are in the file, but are too many for the screen.
const DETAILS: [&str; 4] = ["p90_ms", "p999_ms", "max_ms", "client_late_p99_ms"];

/// Prints the figures of every row.
pub(crate) fn print(run: &Run) {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["scenario", "conditions", "subject", "figure", "median (least–most)", "n"]);
    for row in &run.rows {
        let conditions: Vec<String> =
            row.conditions.iter().map(|(name, value)| format!("{name}={value}")).collect();
        for (name, figure) in row.figures.iter().filter(|(name, _)| !DETAILS.contains(&name.as_str())) {
            table.add_row([
                row.scenario.clone(),
                conditions.join(" "),
                row.subject.clone(),
                name.clone(),
                match quote(row, name) {
                    Quote::Withdrawn(reason) => Quote::Withdrawn(reason).words(""),
                    Quote::Figure(_) | Quote::Invalid | Quote::NotMeasured => spread(figure),
                },
                figure.samples.len().to_string(),
            ]);
        }
        for why in &row.invalid {
            let (scenario, subject) = (row.scenario.clone(), row.subject.clone());
            table.add_row([scenario, conditions.join(" "), subject, "INVALID".to_owned(), why.clone()]);
        }
    }
    println!("{table}");
    for reason in withdrawn(&run.rows) {
        println!("Withdrawn ({}): {}", reason.name(), reason.note());
    }
    for warning in &run.warnings {
        println!("Warning: {warning}.");
    }
}

/// `12.3 (11.9–14.0)`.
pub(crate) fn spread(figure: &Figure) -> String {
    let (least, most) = figure.interval();
    format!("{} ({}–{})", short(figure.median()), short(least), short(most))
}

/// A number with three significant digits.
pub(crate) fn short(number: f64) -> String {
    let digits = match number.abs() {
        0.0 => 0,
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.digits$}")
}
