//! Advice from made-up results: each branch of the verdict, and the same verdict in the report's page.

mod refusals;

use super::model::{Model, Wish};
use super::verdict::{Choice, Rank, Verdict};
use super::words::sentences;
use super::{Range, Rate};
use crate::results::made_up::{row, run};
use crate::results::{Row, Run};

/// The made-up figures of one transport: latency at each rate, bytes of a lone message, processor time and memory.
struct Made {
    subject: &'static str,
    latency_ms: [f64; 2],
    bytes: f64,
    delivery_us: f64,
    process_kib: f64,
}

const SAME: [Made; 3] = [made("websocket"), made("sse"), made("longpoll")];

const fn made(subject: &'static str) -> Made {
    Made { subject, latency_ms: [50.0, 50.0], bytes: 204.0, delivery_us: 10.0, process_kib: 8.0 }
}

/// The rates and round trips of the made-up grid.
const RATES: [f64; 2] = [1.0, 100.0];
const TRIPS: [f64; 2] = [0.0, 200.0];

/// Five samples around a value, at most a hundredth away from it.
fn around(value: f64) -> [f64; 5] {
    [0.99, 0.995, 1.0, 1.005, 1.01].map(|factor| value * factor)
}

fn results(transports: &[Made]) -> Run {
    run(transports.iter().flat_map(rows).collect())
}

fn rows(made: &Made) -> Vec<Row> {
    let Made { subject, latency_ms, bytes, delivery_us, process_kib } = made;
    let mut rows = Vec::new();
    let mut add = |scenario, conditions: &[(&str, f64)], figures: &[(&str, f64)]| {
        let mut first = row(scenario, subject, conditions, figures[0].0, &around(figures[0].1));
        for (name, value) in &figures[1..] {
            first.figures.extend(row(scenario, subject, conditions, name, &around(*value)).figures);
        }
        rows.push(first);
    };
    for (rate, latency) in RATES.into_iter().zip(latency_ms) {
        for trip in TRIPS {
            let conditions = [("rate_per_s", rate), ("rtt_ms", trip), ("burst", 1.0)];
            add("crossover", &conditions, &[("p50_ms", latency + trip / 2.0), ("total_bytes", *bytes)]);
        }
    }
    add(
        "bytes",
        &[("burst", 1.0)],
        &[("total_bytes", *bytes), ("payload_bytes", 200.0), ("framing_bytes", 4.0)],
    );
    add(
        "idle_bytes",
        &[("shortened", 1.0)],
        &[("hourly_up_bytes", 0.0), ("hourly_down_bytes", 3_600.0), ("hourly_cpu_ms", 3.6)],
    );
    add("cpu", &[("clients", 1_000.0), ("rate_per_s", 4.0)], &[("delivery_us", 1e9), ("publishing_us", 1e9)]);
    add(
        "cpu",
        &[("clients", 100.0), ("rate_per_s", 20.0)],
        &[("delivery_us", *delivery_us), ("publishing_us", 500.0)],
    );
    add("idle", &[("clients", 500.0)], &[("process_kib", *process_kib), ("kernel_kib", 2.0)]);
    rows
}

const WISH: Wish = Wish { rate_per_s: 1.0, rtt_ms: 100.0, clients: 1_000.0, send_rate_per_s: 0.01 };

fn ask(run: &Run, wish: &Wish) -> (Verdict, String) {
    let model = Model::of(run);
    let estimates = model.estimates(wish);
    let verdict = Verdict::of(&model, &estimates);
    let sentences = sentences(run, &model, wish, &estimates, &verdict);
    assert!((2..=6).contains(&sentences.len()), "{sentences:?}");
    (verdict, sentences.join(" "))
}

#[test]
fn transports_not_clearly_apart_are_level() {
    let [one, other, third] = SAME;
    let nearly = Made { latency_ms: [50.1, 50.1], delivery_us: 10.1, ..other };
    let (verdict, words) = ask(&results(&[one, nearly, third]), &WISH);
    assert_eq!(verdict.choice, Choice::Fit(vec!["websocket", "sse", "longpoll"]));
    assert!(
        verdict
            .criteria
            .iter()
            .flat_map(|one| &one.standings)
            .all(|one| one.rank != Rank::Behind && one.rank != Rank::Close)
    );
    assert!(words.starts_with("It does not matter"), "{words}");
    assert!(words.contains("Not clearly apart: latency of WebSocket, SSE and long polling"), "{words}");
}

#[test]
fn a_transport_behind_by_what_people_notice_does_not_fit_and_the_reason_is_given() {
    let slow = Made { latency_ms: [1_050.0, 1_050.0], ..made("longpoll") };
    let (verdict, words) = ask(&results(&[made("websocket"), made("sse"), slow]), &WISH);
    assert_eq!(verdict.choice, Choice::Fit(vec!["websocket", "sse"]));
    assert!(words.contains("WebSocket and SSE fit"), "{words}");
    for reason in
        ["Long polling needs 1,100 (", "ms where WebSocket needs 100 (", ") ms, and 100 ms is where"]
    {
        assert!(words.contains(reason), "{words}");
    }
}

#[test]
fn one_alone_may_fit() {
    let heavy = |subject| Made { bytes: 2_000.0, ..made(subject) };
    let (verdict, words) = ask(&results(&[made("websocket"), heavy("sse"), heavy("longpoll")]), &WISH);
    assert_eq!(verdict.choice, Choice::Fit(vec!["websocket"]));
    assert!(words.starts_with("WebSocket fits"), "{words}");
    assert!(words.contains("SSE needs 7.20 (7.13–7.28) MB an hour"), "{words}");
}

#[test]
fn differences_too_small_to_notice_are_shown_and_decide_nothing() {
    let (verdict, words) =
        ask(&results(&[made("websocket"), Made { latency_ms: [60.0, 60.0], ..made("sse") }]), &WISH);
    assert_eq!(verdict.choice, Choice::Fit(vec!["websocket", "sse"]));
    assert!(
        words.contains(
            "What differs too little to matter: latency (10 ms between the least and the most, below 100 ms)"
        ),
        "{words}"
    );
}

#[test]
fn a_trade_off_is_shown_with_its_price() {
    let fast = Made { latency_ms: [20.0, 20.0], delivery_us: 100.0, ..made("websocket") };
    let slow = Made { latency_ms: [500.0, 500.0], ..made("longpoll") };
    let (verdict, words) = ask(&results(&[fast, slow]), &WISH);
    assert_eq!(verdict.choice, Choice::Trade(vec!["websocket"]));
    assert!(words.contains("The price of this choice: WebSocket needs 0.106"), "{words}");
}

#[test]
fn cores_bytes_and_memory_add_up() {
    let wish = Wish { rate_per_s: 2.0, clients: 2_000.0, send_rate_per_s: 0.02, ..WISH };
    let estimate = Model::of(&results(&SAME)).estimates(&wish).remove(0);
    let is = |range: Option<Range>, expected: f64| {
        let value = range.unwrap().median;
        assert!((value / expected - 1.0).abs() < 1e-9, "{value} is not {expected}");
    };
    // Each second: a thousandth of 1 ms of heartbeats, twice 10 µs of deliveries, 0.02 times 500 µs of publishing.
    is(estimate.cores, 2_000.0 * (1e-6 + 20e-6 + 10e-6));
    is(estimate.hourly_bytes, 3_600.0 + 2.0 * 3_600.0 * 204.0);
    is(estimate.memory_mib, 2_000.0 * 10.0 / 1_024.0);
}

#[test]
fn a_rate_has_a_unit() {
    assert_eq!("0.2/s".parse(), Ok(Rate(0.2)));
    assert_eq!("6/min".parse(), Ok(Rate(0.1)));
    assert_eq!("36/h".parse(), Ok(Rate(0.01)));
    for text in ["", "fast", "0/s", "-1/s", "1/d", "inf"] {
        assert!(text.parse::<Rate>().is_err(), "{text:?}");
    }
}

/// The page calculates its advice itself. If Node.js is installed, both must give the same advice.
#[test]
fn the_page_gives_the_same_advice() {
    let slow = Made { latency_ms: [40.0, 400.0], bytes: 2_000.0, delivery_us: 30.0, ..made("longpoll") };
    let paced = Made { latency_ms: [1_050.0, 1_000.0], bytes: 900.0, process_kib: 2.0, ..made("shortpoll") };
    // Its median differs, but its runs overlap with the others.
    let level = Made { delivery_us: 10.1, ..made("sse") };
    let model = Model::of(&results(&[made("websocket"), level, slow, paced]));
    let wishes: Vec<Wish> = [
        (0.1, 80.0, 10.0),
        (1.0, 0.0, 5_000.0),
        (7.0, 130.0, 300.0),
        (500.0, 300.0, 20_000.0),
        (90.0, 10.0, 500.0),
    ]
    .map(|(rate_per_s, rtt_ms, clients)| Wish {
        rate_per_s,
        rtt_ms,
        clients,
        send_rate_per_s: rate_per_s / 50.0,
    })
    .to_vec();
    let script = format!(
        "{}\nconst [model, wishes] = {};\nconsole.log(JSON.stringify(wishes.map((wish) => advise(model, wish))));",
        super::ADVICE,
        serde_json::to_string(&(&model, &wishes)).unwrap()
    );
    let node = std::process::Command::new("node").args(["--input-type=module", "--eval", &script]).output();
    let Ok(output) = node else {
        eprintln!("Node.js is not installed: not compared");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (index, wish) in wishes.iter().enumerate() {
        assert_eq!(theirs[index]["choice"] == "cannot_tell", index == 3, "{wish:?}");
        let estimates = model.estimates(wish);
        let verdict = Verdict::of(&model, &estimates);
        let ours = serde_json::to_value(&verdict.choice).unwrap();
        assert_eq!(theirs[index]["choice"], ours, "{wish:?}");
        for (column, estimate) in estimates.iter().enumerate() {
            same(&theirs[index]["estimates"][column], &serde_json::to_value(estimate).unwrap());
        }
        for (column, criterion) in verdict.criteria.iter().enumerate() {
            same(
                &theirs[index]["criteria"][column]["standings"],
                &serde_json::to_value(&criterion.standings).unwrap(),
            );
        }
    }
}

/// Compares two values. Numbers may differ in their last digits.
fn same(one: &serde_json::Value, other: &serde_json::Value) {
    use serde_json::Value::{Array, Number, Object};
    match (one, other) {
        (Number(one), Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            assert!((one - other).abs() <= 1e-9 * one.abs().max(1.0), "{one} is not {other}");
        }
        (Array(one), Array(other)) => {
            assert_eq!(one.len(), other.len());
            one.iter().zip(other).for_each(|(one, other)| same(one, other));
        }
        (Object(one), Object(other)) => {
            assert!(one.keys().eq(other.keys()), "{one:?} and {other:?}");
            one.values().zip(other.values()).for_each(|(one, other)| same(one, other));
        }
        _ => assert_eq!(one, other),
    }
}
