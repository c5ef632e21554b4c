//! The documents say what the code does: laws, codes, limits and links, each looked up where it is declared.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use chat_core::limits::Limits;
use chat_core::refusal::{Close, Code};
use chat_http::LimitFlags;
use clap::{Args, Command};
use transports::Transport;

const PROTOCOL: &str = include_str!("../../docs/protocol.md");
const LAWS: &str = include_str!("../../support/laws/src/lib.rs");

/// How paths begin that exist on one person's machine only.
const MACHINE_PATHS: [&str; 4] = ["/home/", "/Users/", "/mnt/", "C:\\"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The files of the repository, without those that a build makes and those of others.
fn files() -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !path.is_dir() {
                found.push(path);
            } else if ![".git", "target", "node_modules", "vendor"].contains(&&*name) {
                walk(&path, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found
}

/// Every Markdown file of the repository, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let pages = files().into_iter().filter(is_page);
    pages.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

/// The folders at the top, and those of all packages.
fn folders() -> Vec<PathBuf> {
    let top = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        path.is_dir() && !name.starts_with('.') && name != "target"
    };
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).unwrap();
    let members = members.trim_end_matches(']').split(", ").map(|name| root().join(name.trim_matches('"')));
    top.filter(is_ours).chain(members).collect()
}

#[test]
fn the_reading_path_is_as_long_as_it_says() {
    let page = std::fs::read_to_string(root().join("README.md")).unwrap();
    let path = page.split("## Read the code in an hour").nth(1).unwrap().split("\n## ").next().unwrap();
    let files = path.split("](").skip(1).map(|link| link.split(')').next().unwrap());
    let lines = |file: &str| {
        let code = std::fs::read_to_string(root().join(file)).unwrap();
        code.lines().take_while(|line| !line.contains("#[cfg(test)]")).count()
    };
    let lines: usize = files.map(lines).sum();
    assert!((1_400..1_600).contains(&lines), "{lines} lines");
}

#[test]
fn every_folder_says_what_it_is() {
    for folder in folders() {
        let page = std::fs::read_to_string(folder.join("README.md"));
        let page = page.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        assert!(page.starts_with("# "), "{}", folder.display());
    }
}

#[test]
fn a_new_transport_touches_few_files() {
    const MOST: usize = 15;
    let names_it = |path: &PathBuf| {
        let is_in_its_folder = path.to_string_lossy().contains("ndjson");
        is_in_its_folder
            || std::fs::read_to_string(path).is_ok_and(|text| text.to_lowercase().contains("ndjson"))
    };
    let this = root().join("lab/tests/docs.rs");
    let found: Vec<PathBuf> = files().into_iter().filter(|path| names_it(path) && *path != this).collect();
    assert!((10..=MOST).contains(&found.len()), "{} files name the example: {found:#?}", found.len());
}

#[test]
fn the_page_has_a_class_for_each_transport() {
    let classes = std::fs::read_to_string(root().join("web-client/static/transports/all.js")).unwrap();
    for transport in Transport::all() {
        let is_there = classes.contains(&format!("\n  {}: async () => (await import(", transport.name));
        assert!(is_there, "web-client/static/transports/all.js does not say where {transport:?} is");
    }
}

/// Code on a page whose fence names a file, such as ```` ```rust lab/src/main.rs ````, is a part of that file.
#[test]
fn code_that_is_said_to_be_from_a_file_is_in_it() {
    let mut excerpts = 0;
    for (page, text) in pages() {
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(info) = line.strip_prefix("```").filter(|info| !info.is_empty()) else { continue };
            let code: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let Some((_, file)) = info.split_once(' ') else { continue };
            let source = std::fs::read_to_string(root().join(file))
                .unwrap_or_else(|error| panic!("{}: {file}: {error}", page.display()));
            let source: Vec<&str> = source.lines().collect();
            let is_there = source.windows(code.len()).any(|part| part == code);
            assert!(is_there, "{}: this is not in {file}:\n{}", page.display(), code.join("\n"));
            excerpts += 1;
        }
    }
    assert!(excerpts > 5, "only {excerpts} were found");
}

/// The lines of a page that are not in a fenced block.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The lines of one section of the protocol, up to the next heading of the same level.
fn section(heading: &str) -> impl Iterator<Item = &'static str> {
    let lines = PROTOCOL.lines().skip_while(move |line| *line != heading).skip(1);
    lines.take_while(|line| !line.starts_with("## "))
}

/// The rows of a section's table whose first cell is code or a number, as cells without backticks.
fn rows(heading: &str) -> Vec<Vec<String>> {
    section(heading)
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|row| row.split(" | ").map(|cell| cell.trim().trim_matches('`').to_owned()).collect())
        .skip(1)
        .collect()
}

#[test]
fn every_law_is_a_requirement_with_a_number_of_its_own() {
    let group_and_name = |line: &str| -> Option<String> {
        let (group, name) = line.trim().strip_suffix(';')?.split_once(": ")?;
        let plain =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase());
        (plain(group) && plain(name)).then(|| format!("{group}::{name}"))
    };
    let laws: Vec<String> = LAWS.lines().filter_map(group_and_name).collect();
    assert!(laws.len() >= 50, "only {} laws were found", laws.len());

    // Numbers and laws alternate: a requirement without a law, or with two laws, breaks the order.
    let mut named = Vec::new();
    let mut open = false;
    for line in section("## Requirements") {
        if let Some(title) = line.strip_prefix("#### R") {
            assert!(!open, "R{} names no law", named.len() + 1);
            let number = title.split_once(". ").unwrap_or_else(|| panic!("{line:?} has no title")).0;
            assert_eq!(number, (named.len() + 1).to_string(), "{line:?} is out of order");
            open = true;
        }
        if let Some(law) = line.strip_prefix("Law: `").and_then(|rest| rest.strip_suffix('`')) {
            assert!(open, "{law} has no number of its own");
            named.push(law.to_owned());
            open = false;
        }
    }
    assert!(!open, "R{} names no law", named.len() + 1);
    assert_eq!(named, laws, "the requirements are the laws, in their order");
    assert!(PROTOCOL.contains(&format!("R1 to R{}", laws.len())), "the page says how many there are");
}

#[test]
fn every_refusal_is_listed_with_its_status() {
    let listed: Vec<_> =
        rows("## Refusals").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let known: Vec<_> =
        Code::ALL.iter().map(|code| (code.as_str().to_owned(), code.status().to_string())).collect();
    assert_eq!(listed, known);
}

#[test]
fn every_close_code_is_listed() {
    let listed: Vec<_> = rows("## Closing")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone(), row[2].starts_with("yes")))
        .collect();
    let known: Vec<_> = Close::ALL
        .iter()
        .map(|close| (close.code().to_string(), close.name().to_owned(), close.reconnect()))
        .collect();
    assert_eq!(listed, known);
}

#[test]
fn every_limit_is_listed_with_its_default() {
    let listed: Vec<_> = rows("## Limits").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let command = LimitFlags::augment_args(Command::new("limits"));
    let default = |flag: &clap::Arg| flag.get_default_values().join(" ".as_ref()).into_string().unwrap();
    let known: Vec<_> = command
        .get_arguments()
        .filter_map(|flag| Some((format!("--{}", flag.get_long()?), default(flag))))
        .collect();
    assert_eq!(listed, known);
    for flag in command.get_arguments() {
        let variable = format!("CHAT_{}", flag.get_long().unwrap().replace('-', "_").to_uppercase());
        assert_eq!(flag.get_env().unwrap().to_str(), Some(&*variable), "the page gives a rule for the name");
    }
    for number in [Limits::FRAME_BYTES, Limits::HEAD_BYTES] {
        let written = format!("{},{:03}", number / 1_000, number % 1_000);
        assert!(section("## Limits").any(|line| line.contains(&written)), "{written} is not on the page");
    }
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    for (path, page) in pages() {
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        for link in prose(&page).flat_map(|line| line.split("](").skip(1)) {
            let link = link.split(')').next().unwrap();
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{shown}: {link} leads nowhere");
            if !fragment.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                let anchors: HashSet<String> = prose(&text)
                    .filter(|line| line.starts_with('#'))
                    .map(|line| anchor(line.trim_start_matches('#').trim()))
                    .collect();
                assert!(anchors.contains(fragment), "{shown}: {link} names no heading");
            }
        }
    }
}

#[test]
fn no_page_names_a_path_of_one_machine() {
    for (path, page) in pages() {
        for (number, line) in page.lines().enumerate() {
            for machine in MACHINE_PATHS {
                assert!(!line.contains(machine), "{}:{}: {line}", path.display(), number + 1);
            }
        }
    }
}
