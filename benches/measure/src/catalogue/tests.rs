//! The catalogue and the scenarios name the same figures and conditions.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::results::Run;
use crate::scenarios::Scenario;

/// The sources in which figures and conditions get their names.
fn sources() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let scenarios = std::fs::read_dir(directory.join("scenarios")).unwrap();
    let others = ["latencies.rs", "link.rs", "load.rs", "subject.rs"].map(|name| directory.join(name));
    let files = scenarios.map(|entry| entry.unwrap().path()).chain(others);
    files.map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

fn figures() -> BTreeSet<&'static str> {
    TOPICS.iter().flat_map(|topic| topic.measures).map(|measure| measure.name).collect()
}

#[test]
fn every_scenario_has_a_topic() {
    let topics: BTreeSet<&str> = TOPICS.iter().map(|topic| topic.scenario).collect();
    let measured = Scenario::ALL.iter().map(|scenario| scenario.name()).chain([FIRST_TO_LAST]);
    assert_eq!(topics, measured.collect());
}

#[test]
fn every_listed_name_is_written_by_a_scenario() {
    let sources = sources().concat();
    let conditions = CONDITIONS.iter().map(|condition| condition.name).chain([INCIDENTAL]);
    for name in figures().into_iter().chain(conditions) {
        assert!(sources.contains(&format!("\"{name}\"")), "no scenario writes {name}");
    }
}

#[test]
fn every_figure_that_a_scenario_writes_is_listed() {
    let figures = figures();
    let sources = sources().concat();
    let written: Vec<&str> =
        sources.split(".add(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(written.len() > 20, "{written:?}");
    for name in written {
        assert!(figures.contains(name), "{name} has no title");
    }
}

#[test]
fn every_name_in_the_kept_results_has_a_title() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    for file in crate::checkout::results(root).unwrap() {
        for row in Run::read(&root.join(file)).unwrap().rows {
            for name in row.figures.keys() {
                assert!(find(&row.scenario, name).is_some(), "{} {name} has no title", row.scenario);
            }
            for name in row.conditions.keys().filter(|name| *name != INCIDENTAL) {
                assert_ne!(condition_column(name), CONDITIONS.len(), "{name} has no title");
            }
        }
    }
}
