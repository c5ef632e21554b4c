//! Withdrawn figures: in no page and no chart, never bold, and with a note that says why.

use super::super::Rendered;
use super::*;

type Conditions<'a> = &'a [(&'a str, f64)];

/// Some valid figures, and beside each a figure of short polling that is withdrawn.
fn withdrawn_rows(value: f64) -> Vec<Row> {
    let far = [("rate_per_s", 50.0), ("rtt_ms", 100.0)];
    let near = [("rate_per_s", 100.0), ("clients", 10.0)];
    let (crowd, trickle) = ([("clients", 100.0)], [("bytes_per_s", 0.0)]);
    let scenarios: [(&str, Conditions<'_>, &str); 6] = [
        ("crossover", &far, "p50_ms"),
        ("latency", &near, "p50_ms"),
        ("cpu", &crowd, "delivery_us"),
        ("skew", &crowd, "p50_ms"),
        ("loss", &far, "p50_ms"),
        ("slow_reader", &trickle, "others_p99_ms"),
    ];
    let subjects = [
        ("websocket", [52.0, 52.4, 52.8]),
        ("sse", [51.8, 52.6, 52.8]),
        ("longpoll", [106.0, 107.0, 107.0]),
        ("shortpoll", [value; 3]),
    ];
    let rows = scenarios.iter().flat_map(|(scenario, conditions, name)| {
        subjects.map(|(subject, samples)| row(scenario, subject, conditions, name, &samples))
    });
    // A high percentile that was measured while other servers ran.
    rows.chain([row(
        "crossover",
        "websocket",
        &[("rate_per_s", 2.0), ("rtt_ms", 0.0)],
        "p99_ms",
        &[value; 3],
    )])
    .collect()
}

#[test]
fn the_readme_marks_winners_and_losers_and_withdraws_what_is_wrong() {
    let mut run = run(withdrawn_rows(1.0));
    run.method.quick = true;
    let source = Source { run, file: "benches/results/made-up.json".to_owned() };
    let readme = super::super::readme::with_table(README, &source).unwrap();
    let line =
        |words: &str| readme.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{readme}"));
    assert!(
        line("50 messages/s").ends_with(
            "| 52.4 (52–52.8) ms | 52.6 (51.8–52.8) ms | 107 (106–107) ms, *behind* | withdrawn (phase) |"
        ),
        "{readme}"
    );
    // Short polling has the least value of all, but it is neither ahead nor bold.
    assert!(line("processor time").ends_with("*behind* | withdrawn (shared poll) |"), "{readme}");
    assert!(!readme.contains("no difference") && !readme.contains("**"), "{readme}");
    assert!(
        readme.contains("- A figure without a mark is neither. It may still differ from the others"),
        "{readme}"
    );
    for note in [
        "- *withdrawn (phase)*: Messages came at constant intervals",
        "- *withdrawn (shared poll)*: ",
        "measured anew",
    ] {
        assert!(readme.contains(note), "{readme}");
    }
}

#[test]
fn a_withdrawn_figure_is_in_no_page_and_no_chart() {
    let mut run = run(withdrawn_rows(31_337.0));
    run.method.quick = true;
    let (directory, check) = rendered(&run);
    report(&check).unwrap();
    for Rendered { file, text } in
        render(directory.path(), &Source::open(directory.path(), None).unwrap()).unwrap()
    {
        assert!(!text.contains("31337") && !text.contains("31,337"), "{file}");
        if file.ends_with(".svg") {
            assert!(!text.contains("class=\"shortpoll"), "{file}");
        }
    }
    let page = std::fs::read_to_string(directory.path().join("docs/results.md")).unwrap();
    assert!(
        page.contains("Withdrawn for all: p99 (crowd).") && page.contains("## What is withdrawn, and why"),
        "{page}"
    );
}
