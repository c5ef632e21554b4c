//! Arrows run one way: no module of the core uses a later one, and no crate one that it must not know.
//!
//! The order is the one that the tour in `chat-core/src/lib.rs` states, so page and test cannot differ.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::path::{Path, PathBuf};

/// The servers and the page of one launch are nobody's business but the launcher's.
const TRANSPORTS: [&str; 3] = ["ws-server", "sse-server", "longpoll-server"];

/// Which crates of this workspace each crate may use.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("chat-core", &[]),
    ("web-client", &[]),
    ("wiretap", &[]),
    ("ws-server", &["chat-core", "web-client"]),
    ("sse-server", &["chat-core", "web-client"]),
    ("longpoll-server", &["chat-core", "web-client"]),
    ("ndjson-server", &["chat-core"]),
    ("lab", &["chat-core", "web-client", "wiretap", "ws-server", "sse-server", "longpoll-server"]),
    ("chat-cli", &["chat-core", "wiretap", "ws-server", "sse-server", "longpoll-server"]),
    ("benches", &["chat-core", "ws-server", "sse-server", "longpoll-server"]),
    ("measure", &["chat-core", "wiretap", "ws-server", "sse-server", "longpoll-server"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The core's modules in the order of the tour: `//! 3. `limits`, `metrics`: what …`.
fn layers() -> Vec<String> {
    let tour = read("chat-core/src/lib.rs");
    let steps = tour.lines().filter_map(|line| {
        let (number, rest) = line.strip_prefix("//! ")?.split_once(". ")?;
        number.parse::<u32>().ok()?;
        Some(rest.split_once("]: ").or_else(|| rest.split_once("`: "))?.0.to_owned())
    });
    let names = steps.flat_map(|step| step.split(", ").map(plain).collect::<Vec<_>>());
    // The laws rest on everything and nothing rests on them; they are not part of the tour.
    names.chain(["conformance".to_owned()]).collect()
}

/// A module's name without what marks it as code or as a link.
fn plain(name: &str) -> String {
    name.trim_matches(['[', ']', '`']).to_owned()
}

/// All source files below a directory.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The core's files: the path of their module, and their code without comments. `lib.rs` is the root itself.
fn core() -> Vec<(Vec<String>, String)> {
    let directory = root().join("chat-core/src");
    let mut core = Vec::new();
    for file in sources(&directory) {
        let inside = file.strip_prefix(&directory).unwrap().with_extension("");
        let mut module: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        module.pop_if(|last| last == "mod");
        if module != ["lib"] {
            let source = read(&file);
            // Unit tests are no part of the crate: they may set a scene with whatever they need.
            let shipped = source.split("#[cfg(test)]\nmod tests").next().unwrap();
            core.push((module, without_comments(shipped)));
        }
    }
    core
}

fn without_comments(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The modules of the core that some code names, by paths from the crate's root or up to it.
fn used(code: &str, depth: usize) -> Vec<String> {
    let mut used = Vec::new();
    for (place, _) in code.match_indices("crate::") {
        // `$crate` is for the macro's users.
        if !code[..place].ends_with('$') {
            used.extend(heads(&code[place + "crate::".len()..]));
        }
    }
    for (place, _) in code.match_indices("super::") {
        let climbs = code[place..].split("super::").take_while(|between| between.is_empty()).count();
        // Counted once, from the first of several.
        if !code[..place].ends_with("super::") && climbs >= depth {
            used.extend(heads(&code[place + climbs * "super::".len()..]));
        }
    }
    used
}

/// The first names of what follows a `::`: one, or those of a group in braces.
fn heads(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut heads = vec![name(group)];
    let mut depth = 1;
    for (place, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(name(&group[place + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

#[test]
fn no_module_of_the_core_uses_a_later_one() {
    let layers = layers();
    let place = |module: &str| layers.iter().position(|layer| layer == module);
    let mut backwards = Vec::new();
    for (module, code) in core() {
        let here = place(&module[0])
            .unwrap_or_else(|| panic!("{} has no place in the tour of chat-core/src/lib.rs", module[0]));
        for other in used(&code, module.len()) {
            if place(&other).is_some_and(|there| there > here) {
                backwards.push(format!("{} uses {other}", module.join("::")));
            }
        }
    }
    backwards.sort();
    backwards.dedup();
    assert!(backwards.is_empty(), "arrows that run back: {backwards:#?}\nthe order: {}", layers.join(" → "));
}

#[test]
fn nothing_below_http_names_axum() {
    let layers = layers();
    let below = layers.iter().take_while(|layer| *layer != "http").collect::<Vec<_>>();
    assert!(below.len() > 10 && below.len() < layers.len(), "{layers:?}");
    for (module, code) in core() {
        if below.contains(&&module[0]) {
            assert!(!code.contains("axum"), "{} names axum", module.join("::"));
        }
    }
}

#[test]
fn the_core_names_no_transport() {
    for (module, code) in core() {
        for transport in TRANSPORTS {
            let name = transport.replace('-', "_");
            assert!(!code.contains(&name), "{} names {name}", module.join("::"));
        }
    }
}

/// The workspace's packages: the name of each, and what its manifest says.
fn packages() -> Vec<(String, String)> {
    let workspace = read("Cargo.toml");
    let members = workspace.lines().find_map(|line| line.strip_prefix("members = [")).unwrap();
    let folders = members.trim_end_matches(']').split(", ").map(|folder| folder.trim_matches('"'));
    let package = |folder: &str| {
        let manifest = read(format!("{folder}/Cargo.toml"));
        let name = manifest.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
        (name.trim_matches('"').to_owned(), manifest)
    };
    folders.map(package).collect()
}

#[test]
fn no_crate_uses_one_that_it_must_not_know() {
    let packages = packages();
    let is_ours = |name: &str| packages.iter().any(|(package, _)| package == name);
    assert!(is_ours("chat-core") && is_ours("measure"), "{packages:?}");
    for (package, manifest) in &packages {
        let (_, may_use) = MAY_USE
            .iter()
            .find(|(name, _)| name == package)
            .unwrap_or_else(|| panic!("{package} is new: say here which crates it may use"));
        for line in manifest.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            // A crate may be its own dependency, with other features, for its tests.
            if is_ours(name) && name != package {
                assert!(may_use.contains(&name), "{package} uses {name}");
            }
        }
    }
}

#[test]
fn paths_are_found_however_they_are_written() {
    let code = "use crate::ids::Cursor;\npub use crate::{chat::{Chat, SignIn}, http};\n\
                let x = crate::text::Name::try_from(y); $crate::conformance::laws(); use super::super::store::Page;";
    assert_eq!(used(code, 2), ["ids", "chat", "http", "text", "store"]);
    assert_eq!(used("use super::Problem;", 2), [""; 0]);
    assert_eq!(used("use super::Problem;", 1), ["Problem"]);
}
