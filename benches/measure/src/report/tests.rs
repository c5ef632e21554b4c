//! Rendering gives the same files again; a changed file is stale; a ranking is shown only if there is one.

mod withdrawn;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::folklore::{fill, slug};
use super::{Options, markdown, render, report};
use crate::checkout::{RESULTS, SCHEMA, Source, results};
use crate::results::made_up::{row, run};
use crate::results::{Row, Run};

const README: &str = "# Switchboard\n\n<!-- results:begin -->\nold\n<!-- results:end -->\n\nThe end.\n";

fn source(rows: Vec<Row>) -> Source {
    Source { run: run(rows), file: "benches/results/made-up.json".to_owned() }
}

/// A checkout with one file of results, and everything rendered.
fn rendered(run: &Run) -> (TempDir, Options) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join(RESULTS)).unwrap();
    std::fs::write(directory.path().join("README.md"), README).unwrap();
    write(directory.path(), "made-up", run);
    let options = Options { results: None, check: false, into: Some(directory.path().to_owned()) };
    report(&options).unwrap();
    (directory, Options { check: true, ..options })
}

fn write(root: &Path, name: &str, run: &Run) {
    std::fs::write(root.join(format!("{RESULTS}/{name}.json")), serde_json::to_string(run).unwrap()).unwrap();
}

fn some_rows() -> Vec<Row> {
    let idle = |subject, kib: [f64; 3]| row("idle", subject, &[("clients", 500.0)], "process_kib", &kib);
    vec![
        idle("websocket", [5.0, 5.5, 6.0]),
        idle("sse", [9.0, 9.5, 10.0]),
        idle("longpoll", [9.2, 9.6, 11.0]),
    ]
}

#[test]
fn what_was_just_rendered_is_fresh_and_any_change_makes_it_stale() {
    let (directory, check) = rendered(&run(some_rows()));
    report(&check).unwrap();
    let files = render(directory.path(), &Source::open(directory.path(), None).unwrap()).unwrap();
    assert!(files.iter().any(|one| one.file == "docs/charts/memory.svg"));
    for file in files {
        let path = directory.path().join(&file.file);
        // Text around the README's table may change.
        let changed = match file.file.as_str() {
            "README.md" => file.text.replace("<!-- results:end -->", "mine\n<!-- results:end -->"),
            _ => format!("{}mine", file.text),
        };
        std::fs::write(&path, changed).unwrap();
        let complaint = report(&check).unwrap_err().to_string();
        assert!(complaint.starts_with(&format!("{} does not say what", file.file)), "{complaint}");
        assert!(complaint.contains("run: cargo measure report"), "{complaint}");
        std::fs::write(&path, file.text).unwrap();
        report(&check).unwrap();
    }
}

#[test]
fn newer_results_make_it_stale_and_their_charts_replace_the_old() {
    let (directory, check) = rendered(&run(some_rows()));
    let mut newer = run(vec![row("skew", "sse", &[("clients", 10.0)], "p50_ms", &[5.0; 3])]);
    newer.made = "2026-02-01T00:00:00Z".to_owned();
    // The date in the file counts, not its name.
    write(directory.path(), "a", &newer);
    let complaint = report(&check).unwrap_err().to_string();
    assert!(
        complaint.contains("docs/results.md") && complaint.contains("docs/charts/memory.svg"),
        "{complaint}"
    );
    report(&Options { check: false, ..check }).unwrap();
    assert!(!directory.path().join("docs/charts/memory.svg").exists());
}

#[test]
fn the_readme_keeps_what_is_around_its_table() {
    let (directory, _) = rendered(&run(some_rows()));
    let readme = std::fs::read_to_string(directory.path().join("README.md")).unwrap();
    assert!(
        readme.starts_with(
            "# Switchboard\n\n<!-- results:begin -->\nMeasured 2026-01-02 at commit `0123456789ab`"
        ),
        "{readme}"
    );
    assert!(readme.ends_with("<!-- results:end -->\n\nThe end.\n"));
    assert!(
        readme.contains(
            "| server process memory for each idle connection | **5.50 (5–6) KiB, ahead** | 9.50 (9–10) KiB, *behind* |"
        ),
        "{readme}"
    );
}

#[test]
fn runs_that_overlap_are_never_called_equal_or_ranked() {
    let idle = |subject, kib: [f64; 3]| row("idle", subject, &[], "process_kib", &kib);
    let overlapping = vec![idle("websocket", [5.0, 5.5, 9.0]), idle("sse", [9.0, 9.5, 10.0])];
    let page = markdown::page(&source(overlapping), &[]);
    assert!(page.contains("| 5.50 (5–9) | 9.50 (9–10) | 3 | not clearly apart |"), "{page}");
    let page = markdown::page(&source(some_rows()), &[]);
    assert!(page.contains("| 3 | ahead: WebSocket; behind: SSE, long polling |"), "{page}");
    let few = vec![
        row("idle", "sse", &[], "process_kib", &[9.0; 2]),
        row("idle", "websocket", &[], "process_kib", &[1.0; 2]),
    ];
    assert!(markdown::page(&source(few), &[]).contains("| 1 | 9 | 2 | – |"));
}

#[test]
fn invalid_rows_show_no_figure_but_the_reason() {
    let mut rows = some_rows();
    rows[0].invalid.push("of 10 deliveries 1 were lost".to_owned());
    let page = markdown::page(&source(rows), &[]);
    assert!(
        page.contains("| invalid |")
            && page.contains("- WebSocket (clients 500): of 10 deliveries 1 were lost"),
        "{page}"
    );
    assert!(!page.contains("5.50"), "{page}");
    assert!(page.contains("## Not measured in this run"), "{page}");
}

#[test]
fn unlisted_figures_are_shown_and_not_ranked() {
    let rows = vec![
        row("riddle", "smoke", &[("moons", 2.0)], "sighs", &[1.0; 5]),
        row("riddle", "sse", &[("moons", 2.0)], "sighs", &[9.0; 5]),
    ];
    let page = markdown::page(&source(rows), &[]);
    assert!(
        page.contains("## riddle") && page.contains("(moons: 2)") && page.contains("| SSE | smoke | n |"),
        "{page}"
    );
}

/// One cell of the crossover, and what its chart says.
fn crossover(latencies: &[(&str, [f64; 3])]) -> String {
    let rows = latencies.iter().flat_map(|(subject, samples)| {
        [1.0, 10.0].map(|rate| {
            [0.0, 100.0].map(|trip| {
                row("crossover", subject, &[("rate_per_s", rate), ("rtt_ms", trip)], "p50_ms", samples)
            })
        })
    });
    let charts = super::charts::all(&run(rows.flatten().collect())).unwrap();
    charts.into_iter().find(|chart| chart.name == "crossover").unwrap().svg
}

#[test]
fn the_crossover_names_all_that_are_not_clearly_apart() {
    let far = ("longpoll", [900.0, 910.0, 920.0]);
    let tie = crossover(&[("websocket", [5.0, 6.0, 7.0]), ("sse", [6.0, 6.5, 8.0]), far]);
    assert_eq!(tie.matches(">W, S</text>").count(), 4, "{tie}");
    assert_eq!(tie.matches("class=\"websocket tint\"").count(), tie.matches("class=\"sse tint\"").count());
    let alone = crossover(&[("websocket", [5.0, 6.0, 7.0]), ("sse", [7.5, 7.6, 8.0]), far]);
    assert_eq!(alone.matches(">W</text>").count(), 4, "{alone}");
    assert_eq!(alone.matches("class=\"sse tint\"").count(), 0);
    let none = crossover(&[("websocket", [5.0, 6.0, 7.0]), ("sse", [6.0, 6.5, 8.0])]);
    assert_eq!((none.matches(">all</text>").count(), none.matches(" tint\"").count()), (4, 0), "{none}");
}

#[test]
fn a_chart_says_the_same_in_light_in_dark_and_in_words() {
    let charts = super::charts::all(&run(some_rows())).unwrap();
    let [memory] = &charts[..] else { panic!("one chart") };
    assert!(memory.svg.contains("@media (prefers-color-scheme: dark)"));
    let (_, words) = memory.svg.split_once("<desc id=\"description\">").unwrap();
    assert!(
        words.contains(
            "clients: 500: WebSocket 5.50 (5–6) KiB in the process, SSE 9.50 (9–10) KiB in the process"
        ),
        "{words}"
    );
    assert!(
        memory.svg.contains("role=\"img\"")
            && memory.svg.contains("<title id=\"title\">Memory for each idle connection</title>")
    );
    for tag in ["svg", "g", "text", "title", "desc", "style", "defs", "pattern"] {
        let opened =
            memory.svg.matches(&format!("<{tag} ")).count() + memory.svg.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, memory.svg.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn a_verdict_is_computed_from_intervals() {
    let idle = |subject, kib: [f64; 3]| row("idle", subject, &[], "process_kib", &kib);
    let source = source(vec![
        idle("websocket", [5.0, 5.5, 6.0]),
        idle("sse", [9.0, 9.5, 10.0]),
        idle("longpoll", [9.2, 9.6, 11.0]),
        row("idle", "shortpoll", &[], "process_kib", &[1.0, 1.0]),
        row("cpu", "shortpoll", &[], "cpu_us", &[1.0; 3]),
        row("crossover", "shortpoll", &[], "p50_ms", &[900.0; 3]),
    ]);
    let verdict = |tests: &str| {
        fill(&format!("{{{{verdict {tests}}}}}"), &source)
            .map(|text| text.split('.').next().unwrap().to_owned())
    };
    let cases = [
        ("idle/websocket process_kib < /sse", "**Supported"),
        ("idle/websocket process_kib > /sse", "**Refuted"),
        ("idle/sse process_kib < /longpoll", "**Not clearly apart"),
        ("idle/sse process_kib < 1.01 * /longpoll", "**Cannot tell"),
        ("idle/sse process_kib < 2 * /longpoll", "**Supported"),
        ("idle/sse process_kib > 100", "**Refuted"),
        ("idle/websocket process_kib < /sse; idle/sse process_kib < /longpoll", "**It depends"),
        ("idle/websocket process_kib < /sse; idle/websocket process_kib > /sse", "**It depends"),
        ("idle/websocket process_kib < /sse; cpu/websocket cpu_us < /sse", "**Supported"),
        ("idle/shortpoll process_kib < /sse", "**Cannot tell: too few runs"),
        ("cpu/websocket cpu_us < /sse", "**Not measured"),
        ("cpu/shortpoll cpu_us < 100", "**Not judged"),
        ("idle/websocket process_kib < /sse; crossover/shortpoll p50_ms > 5", "**Not judged"),
    ];
    for (tests, word) in cases {
        assert_eq!(verdict(tests).unwrap(), word, "{tests}");
    }
    for wrong in [
        "idle/websocket process_kib",
        "idle/websocket proces_kib < /sse",
        "idle/websocket process_kib < /sees",
        "< /sse",
    ] {
        assert!(verdict(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_figure_is_filled_in_with_its_unit_or_fails() {
    let source = source(some_rows());
    let filled = |text: &str| fill(text, &source);
    assert_eq!(filled("a {{idle/websocket process_kib}} b").unwrap(), "a 5.50 (5–6) KiB b");
    assert_eq!(filled("{{times 10000 idle/websocket process_kib}}").unwrap(), "53.7 (48.8–58.6) MiB");
    assert_eq!(filled("{{ratio idle/sse process_kib by /websocket}}").unwrap(), "1.73 (1.50–2)×");
    assert_eq!(filled("{{cpu/sse clients=100 cpu_us}}").unwrap(), "not measured");
    assert_eq!(
        filled("{{see idle}}").unwrap(),
        "[Memory for each idle connection](results.md#memory-for-each-idle-connection)"
    );
    for wrong in [
        "{{idle/sse proces_kib}}",
        "{{idle/sse clients=7 process_kib}}",
        "{{see ilde}}",
        "{{idle/sse process_kib",
    ] {
        assert!(filled(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_links_of_folklore_lead_to_headings() {
    let source = source(some_rows());
    let page = super::folklore::page(&source).unwrap();
    let headings: Vec<String> =
        markdown::page(&source, &[]).lines().filter_map(|line| line.strip_prefix("## ")).map(slug).collect();
    let links = page.split("(results.md#").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned());
    let mut count = 0;
    for link in links {
        assert!(headings.contains(&link), "{link}");
        count += 1;
    }
    assert!(count >= 10);
}

#[test]
fn nothing_breaks_out_of_a_page() {
    let mut run = run(some_rows());
    run.machine.processor = "</script><b> & {{style}}".to_owned();
    run.rows[0].subject = "<i>".to_owned();
    let source = Source { run, file: "benches/results/made-up.json".to_owned() };
    let page = super::html::page(&source).unwrap();
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("<b>") && !page.contains("<i>"));
    assert!(page.contains("{{style}}"));
    for asks in ["http://", "https://", "src=", "import ", "url("] {
        let found = page.replace("http://www.w3.org/2000/svg", "").contains(asks);
        assert!(!found, "the page asks for something: {asks}");
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

#[test]
fn the_schema_says_what_the_types_say() {
    let file = workspace().join(SCHEMA);
    let schema = format!("{}\n", serde_json::to_string_pretty(&schemars::schema_for!(Run)).unwrap());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&file, &schema).unwrap();
    }
    let known = std::fs::read_to_string(&file).unwrap();
    assert!(known == schema, "{SCHEMA} is stale; run this test with UPDATE_SCHEMA=1");
}

#[test]
fn all_results_that_are_kept_have_the_form() {
    for file in results(&workspace()).unwrap() {
        Run::read(&workspace().join(&file)).unwrap_or_else(|error| panic!("{error:#}"));
    }
}

#[test]
fn the_pages_that_are_kept_say_what_the_newest_results_say() {
    report(&Options { results: None, check: true, into: Some(workspace()) }).unwrap();
}
