//! The checkout: where results are kept, and which of them are the newest.

use std::fs::read_dir;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::results::Run;

/// The directory of the kept results, relative to the root of the checkout.
pub(crate) const RESULTS: &str = "benches/results";

/// The JSON Schema of the results, in the same directory.
pub(crate) const SCHEMA: &str = "benches/results/schema.json";

/// A file of results that was read.
pub(crate) struct Source {
    pub(crate) run: Run,
    /// Its path; relative to the root of the checkout if it is inside.
    pub(crate) file: String,
}

/// The root of the checkout that holds the current directory.
pub(crate) fn checkout() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir()?;
    let root = here.ancestors().find(|directory| directory.join("benches/measure/Cargo.toml").is_file());
    root.map(Path::to_owned)
        .context("the current directory is not in a checkout of Switchboard; name one with --into")
}

impl Source {
    /// Reads this file, or the newest results of the checkout.
    pub(crate) fn open(root: &Path, path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Self::newest(root) };
        let inside =
            || Some(path.canonicalize().ok()?.strip_prefix(root.canonicalize().ok()?).ok()?.to_owned());
        let file = inside().unwrap_or_else(|| path.to_owned()).display().to_string();
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

/// All files of results in a checkout, relative to its root.
pub(crate) fn results(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = names(&root.join(RESULTS), ".json").with_context(|| format!("cannot list {RESULTS}"))?;
    files.iter_mut().for_each(|name| *name = format!("{RESULTS}/{name}"));
    files.retain(|file| file != SCHEMA);
    Ok(files)
}

/// The names in a directory that have this ending, sorted.
pub(crate) fn names(directory: &Path, ending: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in read_dir(directory)? {
        names.extend(entry?.file_name().to_str().filter(|name| name.ends_with(ending)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}
