//! The checkout: where results are kept, and which of them are the newest.

use std::fs::read_dir;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::results::Run;

/// Where results are kept, seen from the root of the checkout.
pub(crate) const RESULTS: &str = "benches/results";

/// Where the JSON Schema of results is. It lies among them, and is none.
pub(crate) const SCHEMA: &str = "benches/results/schema.json";

/// Results, and where they lie.
pub(crate) struct Source {
    pub(crate) run: Run,
    /// The file's path, seen from the root of the checkout if it lies there.
    pub(crate) file: String,
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

/// All files of results in a checkout, seen from its root.
pub(crate) fn results(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = names(&root.join(RESULTS), ".json").with_context(|| format!("cannot list {RESULTS}"))?;
    files.iter_mut().for_each(|name| *name = format!("{RESULTS}/{name}"));
    files.retain(|file| file != SCHEMA);
    Ok(files)
}

/// The files of a directory whose names end so, in order.
pub(crate) fn names(directory: &Path, ending: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in read_dir(directory)? {
        names.extend(entry?.file_name().to_str().filter(|name| name.ends_with(ending)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}
