//! Arrows run one way: no module uses a later one, no modules use each other in a circle, and no crate uses one that it
//! must not know.
//!
//! The order of a crate's modules is the one that its `lib.rs` or `main.rs` states, so page and test cannot differ.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod imports;

use std::collections::BTreeSet;
use std::path::Path;

use imports::{Module, arrows, circles, modules, read, used, without_comments};

/// The files that state an order of their crate's modules.
const ORDERS: [&str; 2] = ["chat-core/src/lib.rs", "benches/measure/src/main.rs"];

/// Libraries that only carry the chat: the core does not depend on them directly.
const NOT_FOR_THE_CORE: [&str; 7] =
    ["axum", "hyper", "hyper-util", "reqwest", "clap", "socket2", "tower-http"];

/// Which crates of this workspace each crate may use.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("chat-core", &[]),
    ("web-client", &[]),
    ("wiretap", &[]),
    ("chat-client", &["chat-core"]),
    ("chat-http", &["chat-core", "chat-client"]),
    ("laws", &["chat-core", "chat-client", "chat-http"]),
    ("transports", &["chat-http", A_TRANSPORT]),
    ("lab", &["chat-core", "chat-client", "chat-http", "transports", "web-client", "wiretap", A_TRANSPORT]),
    ("chat-cli", &["chat-core", "chat-client", "chat-http", "transports", "wiretap", A_TRANSPORT]),
    ("benches", &["chat-core", "chat-client", "chat-http", "laws", "transports", A_TRANSPORT]),
    ("measure", &["chat-core", "chat-client", "chat-http", "transports", "wiretap", A_TRANSPORT]),
];

/// Stands for every package of the list of transports.
const A_TRANSPORT: &str = "a transport";

/// What every package of the list of transports may use.
const TRANSPORTS_MAY_USE: [&str; 5] = ["chat-core", "chat-client", "chat-http", "laws", "web-client"];

fn is_transport(package: &str) -> bool {
    transports::programs().any(|program| program.name == package)
}

/// The modules of a crate in the order that its root states: `//! 3. `limits`, `metrics`: what …`.
fn order(file: &str) -> Vec<String> {
    let page = read(file);
    let steps = page.lines().filter_map(|line| {
        let (number, rest) = line.strip_prefix("//! ")?.split_once(". ")?;
        number.parse::<u32>().ok()?;
        Some(rest.split_once("]: ").or_else(|| rest.split_once("`: "))?.0.to_owned())
    });
    let names = steps.flat_map(|step| step.split(", ").map(plain).collect::<Vec<_>>());
    names.collect()
}

/// A module's name without the marks of code and links.
fn plain(name: &str) -> String {
    name.trim_matches(['[', ']', '`']).to_owned()
}

fn core() -> Vec<Module> {
    modules("chat-core/src")
}

#[test]
fn no_module_uses_a_later_one() {
    for file in ORDERS {
        let (directory, crate_root) = file.rsplit_once('/').unwrap();
        let order = order(file);
        let place = |module: &str| order.iter().position(|known| known == module);
        let mut backwards = BTreeSet::new();
        for (module, code) in modules(directory) {
            let here = place(&module[0]).unwrap_or_else(|| panic!("{} has no place in {file}", module[0]));
            for path in used(&module, &code) {
                match place(&path[0]) {
                    Some(there) if there > here => {
                        backwards.insert(format!("{} uses {}", module.join("::"), path.join("::")));
                    }
                    // A library's root re-exports what its users need; a program's root is the last of all.
                    None if crate_root == "main.rs" => {
                        backwards.insert(format!("{} uses {} of {file}", module.join("::"), path[0]));
                    }
                    Some(_) | None => {}
                }
            }
        }
        let order = order.join(" → ");
        assert!(backwards.is_empty(), "arrows that run back: {backwards:#?}\nthe order in {file}: {order}");
    }
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let mut found = Vec::new();
    for (package, folder, _) in packages() {
        let modules = modules(Path::new(&folder).join("src"));
        let circles = circles(arrows(&modules)).into_iter();
        found.extend(circles.map(|arrow| format!("{package}: {arrow}")));
    }
    assert!(found.is_empty(), "circles: {found:#?}");
}

#[test]
fn the_core_knows_no_http() {
    let dependencies = dependencies("chat-core");
    assert!(dependencies.contains(&"rusqlite".to_owned()), "{dependencies:?}");
    for name in NOT_FOR_THE_CORE {
        assert!(!dependencies.contains(&name.to_owned()), "chat-core depends on {name}");
    }
}

/// What a package's manifest names, one name a line.
fn dependencies(folder: &str) -> Vec<String> {
    let manifest = read(format!("{folder}/Cargo.toml"));
    manifest.lines().map(|line| line.split(['.', ' ', '=']).next().unwrap().to_owned()).collect()
}

/// Three files that are read side by side: the same items in the same order, and little that is the same otherwise.
#[test]
fn the_transport_files_are_short_and_differ() {
    const MOST_LINES: usize = 115;
    /// In hundredths of the lines of a file.
    const MOST_EQUAL: usize = 20;
    let files = ["ws-server", "sse-server", "longpoll-server"].map(|name| {
        let source = read(format!("{name}/src/transport.rs"));
        assert!(source.lines().count() <= MOST_LINES, "{name}: {} lines", source.lines().count());
        (name, source)
    });
    // What the traits prescribe is the same everywhere: signatures, and what is around items.
    let code = |source: &str| -> Vec<String> {
        let lines = without_comments(source);
        let is_code = |line: &&str| line.len() > 2 && !line.starts_with("use ");
        lines.lines().map(str::trim).filter(is_code).map(str::to_owned).collect()
    };
    let is_prescribed =
        |line: &str| ["fn ", "async fn ", "type "].iter().any(|start| line.starts_with(start));
    for (one, source) in &files {
        for (other, beside) in files.iter().filter(|(other, _)| other != one) {
            let (lines, beside) = (code(source), code(beside));
            let equal: Vec<&String> =
                lines.iter().filter(|line| !is_prescribed(line) && beside.contains(line)).collect();
            let all = lines.len();
            assert!(equal.len() * 100 < all * MOST_EQUAL, "{one}, {all} lines, and {other}: {equal:#?}");
        }
    }
    let items = |source: &str| -> Vec<String> {
        let starts =
            |line: &&str| line.trim_start().starts_with("fn ") || line.trim_start().starts_with("async fn ");
        let name =
            |line: &str| line.split("fn ").nth(1).unwrap().split(['(', '<']).next().unwrap().to_owned();
        let traits = source.split("impl Endpoint for").nth(1).unwrap().split("\n/// ").next().unwrap();
        traits.lines().filter(starts).map(name).collect()
    };
    let expected = ["head", "begin", "finish", "patience", "deliver", "keep_alive", "receive", "close"];
    for (name, source) in &files {
        let found: Vec<String> =
            items(source).into_iter().filter(|item| expected.contains(&&**item)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn the_core_names_no_transport() {
    for (module, code) in core() {
        for program in transports::programs() {
            let name = program.name.replace('-', "_");
            assert!(!code.contains(&name), "{} names {name}", module.join("::"));
        }
    }
}

/// The workspace's packages: the name of each, its folder, and what its manifest says.
fn packages() -> Vec<(String, String, String)> {
    let workspace = read("Cargo.toml");
    let members = workspace.lines().find_map(|line| line.strip_prefix("members = [")).unwrap();
    let folders = members.trim_end_matches(']').split(", ").map(|folder| folder.trim_matches('"'));
    let package = |folder: &str| {
        let manifest = read(format!("{folder}/Cargo.toml"));
        let name = manifest.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
        (name.trim_matches('"').to_owned(), folder.to_owned(), manifest)
    };
    folders.map(package).collect()
}

#[test]
fn no_crate_uses_one_that_it_must_not_know() {
    let packages = packages();
    let is_ours = |name: &str| packages.iter().any(|(package, ..)| package == name);
    assert!(is_ours("chat-core") && is_ours("measure"), "{packages:?}");
    for (package, _, manifest) in &packages {
        let may_use = match MAY_USE.iter().find(|(name, _)| name == package) {
            Some((_, may_use)) => may_use,
            None if is_transport(package) => &TRANSPORTS_MAY_USE[..],
            None => panic!("{package} is new: say here which crates it may use"),
        };
        for line in manifest.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            // A crate may be its own dependency, with other features, for its tests.
            if is_ours(name) && name != package {
                let is_allowed =
                    may_use.contains(&name) || (may_use.contains(&A_TRANSPORT) && is_transport(name));
                assert!(is_allowed, "{package} uses {name}");
            }
        }
    }
}
