//! The report: renders pages and charts from results, or checks that they are up to date.
//!
//! `sheet` turns rows into tables, `charts` into pictures; `markdown`, `html`, `readme` and `folklore` are the pages.
//! They depend on the results alone, so the same results always give the same files.

mod bars;
mod charts;
mod crossover;
mod curves;
mod folklore;
mod html;
mod key;
mod markdown;
mod plot;
mod readme;
mod sheet;
mod svg;
#[cfg(test)]
mod tests;

use std::fs::{create_dir_all, read_to_string, remove_file, write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use crate::checkout::{Source, checkout, names};

/// The directory of the charts.
const CHARTS: &str = "docs/charts";

/// The command that renders everything.
const COMMAND: &str = "cargo measure report";

const EXAMPLES: &str = "\
Examples:
  Render the pages and charts from the newest results:
    cargo measure report
  Check that they are up to date, and write nothing:
    cargo measure report --check
  Render the pages from your own results:
    cargo measure report mine.json";

const EXIT_CODES: &str = "\
Exit codes:
  0    rendered; with --check: everything is up to date
  1    failed; with --check: something is stale, and the message names it
  2    wrong usage";

/// What to render.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Options {
    /// The results to render [default: the newest in benches/results]
    results: Option<PathBuf>,
    /// Write nothing; fail if a page or chart differs from what the results give
    #[arg(long)]
    check: bool,
    /// The checkout whose README and docs to render [default: the one around the current directory]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

/// A file that is rendered.
pub(crate) struct Rendered {
    /// Its path, relative to the root of the checkout.
    pub(crate) file: String,
    pub(crate) text: String,
}

/// Renders the report, or checks that rendering would change nothing.
pub(crate) fn report(options: &Options) -> anyhow::Result<()> {
    let root = match &options.into {
        Some(root) => root.clone(),
        None => checkout()?,
    };
    let source = Source::open(&root, options.results.as_deref())?;
    let rendered = render(&root, &source)?;
    let stale = stale(&root, &rendered);
    if options.check {
        if stale.is_empty() {
            eprintln!("{}", checked(&rendered, &source.file));
            return Ok(());
        }
        bail!("{} does not say what {} says; run: {COMMAND}", stale.join(", "), source.file);
    }
    for name in superfluous(&root, &rendered) {
        remove_file(root.join(&name)).with_context(|| format!("cannot remove {name}"))?;
    }
    for Rendered { file, text } in &rendered {
        let path = root.join(file);
        create_dir_all(path.parent().context("a file is in a directory")?)?;
        write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    eprintln!("Rendered {} files from {}; {} of them changed.", rendered.len(), source.file, stale.len());
    Ok(())
}

/// What a check has compared, for the person who ran it.
fn checked(rendered: &[Rendered], source: &str) -> String {
    let (charts, pages): (Vec<&str>, Vec<&str>) =
        rendered.iter().map(|one| one.file.as_str()).partition(|file| file.starts_with(CHARTS));
    format!(
        "Checked {} and {} charts in {CHARTS}: each is what `{COMMAND}` makes from {source}.",
        pages.join(", "),
        charts.len()
    )
}

/// All files that are rendered from results.
fn render(root: &Path, source: &Source) -> anyhow::Result<Vec<Rendered>> {
    let charts = charts::all(&source.run)?;
    let mut rendered = vec![
        Rendered { file: "docs/results.md".to_owned(), text: markdown::page(source, &charts) },
        Rendered { file: "docs/results.html".to_owned(), text: html::page(source)? },
        Rendered { file: "docs/folklore.md".to_owned(), text: folklore::page(source)? },
    ];
    if let Ok(text) = read_to_string(root.join("README.md")) {
        rendered.push(Rendered { file: "README.md".to_owned(), text: readme::with_table(&text, source)? });
    }
    rendered.extend(charts.into_iter().map(|chart| Rendered { file: chart.file(), text: chart.svg }));
    Ok(rendered)
}

/// The files that would change.
fn stale(root: &Path, rendered: &[Rendered]) -> Vec<String> {
    let differs = |one: &&Rendered| read_to_string(root.join(&one.file)).ok().as_ref() != Some(&one.text);
    let mut stale: Vec<String> = rendered.iter().filter(differs).map(|one| one.file.clone()).collect();
    stale.extend(superfluous(root, rendered));
    stale
}

/// Old charts, for which these results have no figures.
fn superfluous(root: &Path, rendered: &[Rendered]) -> Vec<String> {
    let there = names(&root.join(CHARTS), ".svg").unwrap_or_default();
    let files = there.into_iter().map(|name| format!("{CHARTS}/{name}"));
    files.filter(|file| !rendered.iter().any(|one| one.file == *file)).collect()
}
