//! The report: everything that is rendered from results, and whether what lies there still says the same.
//!
//! `sheet` turns rows into tables, `charts` into pictures; `markdown`, `html`, `readme` and `folklore` are the pages.
//! All of them are functions of the results alone, so that the same results always give the same files.

mod bars;
mod charts;
mod crossover;
mod curves;
mod folklore;
mod html;
mod key;
#[cfg(test)]
pub(crate) mod made_up;
mod markdown;
mod plot;
mod readme;
mod sheet;
mod svg;
#[cfg(test)]
mod tests;

use std::fs::{create_dir_all, read_dir, read_to_string, remove_file, write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

#[cfg(test)]
pub(crate) use html::ADVICE;

use crate::results::Run;

/// Where results are kept, seen from the root of the checkout.
const RESULTS: &str = "benches/results";

/// Where the JSON Schema of results is. It lies among them, and is none.
const SCHEMA: &str = "benches/results/schema.json";

/// Where charts are.
const CHARTS: &str = "docs/charts";

/// What makes everything again.
const COMMAND: &str = "cargo measure report";

/// What to render.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The results [default: the newest in benches/results]
    results: Option<PathBuf>,
    /// Writes nothing, and fails if a rendered file does not say what the results say
    #[arg(long)]
    check: bool,
    /// The checkout whose README and docs are rendered [default: the one around the current directory]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

/// Results, and where they lie.
pub(crate) struct Source {
    pub(crate) run: Run,
    /// The file's place, seen from the root of the checkout if it lies there.
    pub(crate) file: String,
}

/// A file that is rendered.
pub(crate) struct Rendered {
    /// Its place, seen from the root of the checkout.
    pub(crate) file: String,
    pub(crate) text: String,
}

/// Renders the report, or checks that nothing would change.
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
            eprintln!("{} files say what {} says", rendered.len(), source.file);
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
    eprintln!("rendered {} files from {}, {} of them changed", rendered.len(), source.file, stale.len());
    Ok(())
}

/// The checkout around the current directory.
pub(crate) fn checkout() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir()?;
    let root = here.ancestors().find(|directory| directory.join("benches/measure/Cargo.toml").is_file());
    root.map(Path::to_owned).context("this is no checkout of Switchboard; name one with --into")
}

impl Source {
    /// Reads these results, or else the newest of the checkout.
    pub(crate) fn open(root: &Path, path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Self::newest(root) };
        let place =
            || Some(path.canonicalize().ok()?.strip_prefix(root.canonicalize().ok()?).ok()?.to_owned());
        let file = place().unwrap_or_else(|| path.to_owned()).display().to_string();
        Ok(Self { run: Run::read(path)?, file })
    }

    fn newest(root: &Path) -> anyhow::Result<Self> {
        let mut sources = Vec::new();
        for file in results(root)? {
            sources.push(Self { run: Run::read(&root.join(&file))?, file });
        }
        let newest = sources
            .into_iter()
            .max_by(|one, other| (&one.run.made, &one.file).cmp(&(&other.run.made, &other.file)));
        newest.with_context(|| {
            format!(
                "{RESULTS} holds no results; make some with: cargo measure run --output {RESULTS}/NAME.json"
            )
        })
    }
}

/// All files of results in a checkout, seen from its root.
pub(crate) fn results(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = names(&root.join(RESULTS), ".json").with_context(|| format!("cannot list {RESULTS}"))?;
    files.iter_mut().for_each(|name| *name = format!("{RESULTS}/{name}"));
    files.retain(|file| file != SCHEMA);
    Ok(files)
}

fn names(directory: &Path, ending: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in read_dir(directory)? {
        names.extend(entry?.file_name().to_str().filter(|name| name.ends_with(ending)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Everything that is made from results.
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

/// Charts that were rendered from other results, and that these have no figures for.
fn superfluous(root: &Path, rendered: &[Rendered]) -> Vec<String> {
    let there = names(&root.join(CHARTS), ".svg").unwrap_or_default();
    let files = there.into_iter().map(|name| format!("{CHARTS}/{name}"));
    files.filter(|file| !rendered.iter().any(|one| one.file == *file)).collect()
}
