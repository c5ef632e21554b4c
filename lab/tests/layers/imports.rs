//! The arrows between modules, found in their sources: what uses what, and where that makes a circle.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A module's path from the root of its crate.
pub(crate) type Name = Vec<String>;

/// A module, and its code without comments and without unit tests.
pub(crate) type Module = (Name, String);

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
pub(crate) fn modules(directory: impl AsRef<Path>) -> Vec<Module> {
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

pub(crate) fn without_comments(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The paths in a module that begin with `crate` or `super`, as paths from the root of its crate.
pub(crate) fn used(module: &[String], code: &str) -> Vec<Name> {
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
pub(crate) struct Arrow {
    pub(crate) parent: Name,
    pub(crate) from: String,
    pub(crate) to: String,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parent, from, to } = self;
        let parent = parent.iter().map(|name| format!("{name}::")).collect::<String>();
        write!(f, "{parent}{from} → {parent}{to}")
    }
}

/// All arrows between the modules of a crate, on every level.
pub(crate) fn arrows(modules: &[Module]) -> BTreeSet<Arrow> {
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
pub(crate) fn circles(mut arrows: BTreeSet<Arrow>) -> BTreeSet<Arrow> {
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
