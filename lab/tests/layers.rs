//! Arrows run one way: no module uses a later one, no modules use each other in a circle, and no crate uses one that it
//! must not know.
//!
//! The order of a crate's modules is the one that its `lib.rs` or `main.rs` states, so page and test cannot differ.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A module's path from the root of its crate.
type Name = Vec<String>;

/// A module, and its code without comments and without unit tests.
type Module = (Name, String);

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

/// All source files below a directory; none if it does not exist.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The modules of a crate, without its root and without tests. Tests may use any module.
fn modules(directory: impl AsRef<Path>) -> Vec<Module> {
    let directory = root().join(directory);
    let mut modules = Vec::new();
    for file in sources(&directory) {
        let inside = file.strip_prefix(&directory).unwrap().with_extension("");
        let mut name: Name = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        name.pop_if(|last| last == "mod");
        if name != ["lib"] && name != ["main"] && !name.contains(&"tests".to_owned()) {
            let source = read(&file);
            let shipped = source.split("#[cfg(test)]\nmod tests").next().unwrap();
            modules.push((name, without_comments(shipped)));
        }
    }
    modules
}

fn core() -> Vec<Module> {
    modules("chat-core/src")
}

fn without_comments(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The paths in a module that begin with `crate` or `super`, as paths from the root of its crate.
fn used(module: &[String], code: &str) -> Vec<Name> {
    let mut used = Vec::new();
    for (place, start) in code.match_indices("crate::") {
        // `$crate` is for the macro's users.
        if !code[..place].ends_with('$') {
            used.extend(branches(&code[place + start.len()..]));
        }
    }
    for (place, start) in code.match_indices("super::") {
        // Several in a row are counted once, from the first.
        if code[..place].ends_with(start) {
            continue;
        }
        let climbs = code[place..].split(start).take_while(|between| between.is_empty()).count();
        let parent = &module[..module.len().saturating_sub(climbs)];
        let paths = branches(&code[place + climbs * start.len()..]);
        used.extend(paths.into_iter().map(|path| [parent, &path].concat()));
    }
    used
}

/// The paths that begin here: one, or one for each branch of a group in braces.
fn branches(text: &str) -> Vec<Name> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        return members(group).into_iter().flat_map(branches).collect();
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let tails = rest.strip_prefix("::").map_or_else(|| vec![Vec::new()], branches);
    tails.into_iter().map(|tail| [vec![name.to_owned()], tail].concat()).collect()
}

/// The members of a group in braces, in the text that follows its opening brace.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut members) = (1, 0, Vec::new());
    for (place, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            members.push(&group[begin..place]);
            begin = place + 1;
        }
        if depth == 0 {
            break;
        }
    }
    members
}

/// One module uses another that has the same parent; what lies below a module counts as the module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    parent: Name,
    from: String,
    to: String,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parent, from, to } = self;
        let parent = parent.iter().map(|name| format!("{name}::")).collect::<String>();
        write!(f, "{parent}{from} → {parent}{to}")
    }
}

/// All arrows between the modules of a crate, on every level.
fn arrows(modules: &[Module]) -> BTreeSet<Arrow> {
    let names: BTreeSet<&[String]> = modules.iter().map(|(name, _)| &name[..]).collect();
    let mut arrows = BTreeSet::new();
    for (name, code) in modules {
        for path in used(name, code) {
            let shared = name.iter().zip(&path).take_while(|(one, other)| one == other).count();
            // A parent and what is below it are one module.
            if shared < name.len() && shared < path.len() && names.contains(&path[..=shared]) {
                let (from, to) = (name[shared].clone(), path[shared].clone());
                arrows.insert(Arrow { parent: name[..shared].to_vec(), from, to });
            }
        }
    }
    arrows
}

/// The arrows that are part of a circle, or lead from one circle to another.
fn circles(mut arrows: BTreeSet<Arrow>) -> BTreeSet<Arrow> {
    loop {
        let goes_on = |arrow: &Arrow| {
            let mut others = arrows.iter().filter(|other| other.parent == arrow.parent);
            others.clone().any(|other| other.from == arrow.to) && others.any(|other| other.to == arrow.from)
        };
        let left: BTreeSet<Arrow> = arrows.iter().filter(|arrow| goes_on(arrow)).cloned().collect();
        if left.len() == arrows.len() {
            return left;
        }
        arrows = left;
    }
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

#[test]
fn paths_are_found_however_they_are_written() {
    let found = |module: &str, code: &str| -> Vec<String> {
        let module: Name = module.split("::").map(str::to_owned).collect();
        used(&module, code).into_iter().map(|path| path.join("::")).collect()
    };
    let code = "use crate::ids::Cursor;\npub use crate::{chat::{Chat, SignIn}, http};\n\
                let x = crate::text::Name::try_from(y); $crate::conformance::laws(); use super::super::store::Page;";
    assert_eq!(
        found("http::origin", code),
        ["ids::Cursor", "chat::Chat", "chat::SignIn", "http", "text::Name::try_from", "store::Page"]
    );
    assert_eq!(found("http::origin", "use super::Problem;"), ["http::Problem"]);
    assert_eq!(found("http", "use super::Problem;"), ["Problem"]);
}

#[test]
fn circles_are_found_on_every_level() {
    let module = |name: &str, code: &str| -> Module {
        (name.split("::").map(str::to_owned).collect(), code.to_owned())
    };
    let found = |modules: &[Module]| -> Vec<String> {
        circles(arrows(modules)).iter().map(ToString::to_string).collect()
    };
    let line = [
        module("a", "use crate::b::B;"),
        module("b", "crate::c::d::C;"),
        module("c", ""),
        module("c::d", ""),
    ];
    assert_eq!(found(&line), [""; 0]);
    // A part of `c` counts as `c`.
    let round = [&line[..], &[module("c::e", "use crate::{a::A, x};")]].concat();
    assert_eq!(found(&round), ["a → b", "b → c", "c → a"]);
    // A parent may use its parts, and they may use it.
    let below = [
        module("c", "use self::d::D; use crate::c::e;"),
        module("c::d", "use super::{C, e::E};"),
        module("c::e", "use super::d;"),
    ];
    assert_eq!(found(&below), ["c::d → c::e", "c::e → c::d"]);
}
