//! What advice refuses: chats outside of what was measured, withdrawn figures, and latencies below half a round trip.

use super::*;
use crate::quote::quote;
use crate::results::made_up::with_messages;

/// A chat, the results for it, and the advice: transports that fit, or none if the figures do not tell.
struct Case {
    what: &'static str,
    wish: Wish,
    spoil: fn(&mut Run),
    fit: &'static [&'static str],
    says: &'static str,
}

#[test]
fn advice_is_refused_with_a_reason_if_the_figures_do_not_tell() {
    const ALL: &[&str] = &["websocket", "sse", "longpoll"];
    let cases = [
        Case {
            what: "people talk, and short polling's figures are withdrawn",
            wish: WISH,
            spoil: |_| {},
            fit: ALL,
            says: "Cannot tell about the others: latency of short polling is withdrawn (phase); the server's processor \
                   time of short polling is withdrawn (shared poll).",
        },
        Case {
            what: "the other side of the world",
            wish: Wish { rtt_ms: 300.0, ..WISH },
            spoil: |_| {},
            fit: &[],
            says: "the round trip of 300 ms lies outside of the measured 0 ms to 200 ms",
        },
        Case {
            what: "a ticker faster than any that was measured",
            wish: Wish { rate_per_s: 500.0, ..WISH },
            spoil: |_| {},
            fit: &[],
            says: "the rate of 500/s lies outside of the measured 0/s to 100/s",
        },
        Case {
            what: "one message an hour, each as alone as at the lowest rate",
            wish: Wish { rate_per_s: 1.0 / 3_600.0, ..WISH },
            spoil: |_| {},
            fit: ALL,
            says: "latency is that of single messages, measured at 1/s",
        },
        Case {
            what: "more than one such machine can do",
            wish: Wish { clients: 1e6, ..WISH },
            spoil: |_| {},
            fit: &[],
            says: "latency of WebSocket, SSE and long polling is unknown: it needs more than the measured machine has",
        },
        Case {
            what: "latencies of too few messages",
            wish: WISH,
            spoil: |run| run.rows.iter_mut().for_each(|row| *row = with_messages(row.clone(), 19)),
            fit: &[],
            says: "latency of WebSocket, SSE and long polling is withdrawn (samples)",
        },
        Case {
            what: "no latencies at all",
            wish: WISH,
            spoil: |run| run.rows.retain(|row| row.scenario != "crossover"),
            fit: &[],
            says: "latency of WebSocket, SSE, long polling and short polling is not measured",
        },
        Case {
            what: "invalid latencies of one, and no memory of it",
            wish: WISH,
            spoil: |run| {
                run.rows.retain(|row| !(row.scenario == "idle" && row.subject == "sse"));
                let lost =
                    run.rows.iter_mut().filter(|row| row.scenario == "crossover" && row.subject == "sse");
                lost.for_each(|row| row.invalid.push("lost".to_owned()));
            },
            fit: &["websocket", "longpoll"],
            says: "latency of SSE is not measured; latency of short polling is withdrawn (phase); the server's memory of \
                   SSE is not measured",
        },
        Case {
            what: "too few runs",
            wish: WISH,
            spoil: |run| {
                let figures = run.rows.iter_mut().flat_map(|row| row.figures.values_mut());
                figures.for_each(|figure| figure.samples.truncate(2));
                run.rows.retain(|row| row.subject != "shortpoll");
            },
            fit: &[],
            says: "fewer than three runs",
        },
        Case {
            what: "one that is known to be behind, and one of which too little is known",
            wish: WISH,
            spoil: |run| run.rows.retain(|row| !(row.scenario == "crossover" && row.subject != "longpoll")),
            fit: &[],
            says: "Cannot tell which transport fits",
        },
    ];
    for Case { what, wish, spoil, fit, says } in cases {
        let [one, other, third] = SAME;
        let mut run = results(&[one, other, third, made("shortpoll")]);
        spoil(&mut run);
        let (verdict, words) = ask(&run, &wish);
        let expected = if fit.is_empty() { Choice::CannotTell } else { Choice::Fit(fit.to_vec()) };
        assert_eq!(verdict.choice, expected, "{what}: {words}");
        assert!(words.contains(says), "{what}: {words}");
        assert_eq!(
            words.starts_with("Cannot tell which transport fits: "),
            fit.is_empty(),
            "{what}: {words}"
        );
    }
}

#[test]
fn no_latency_is_below_half_of_the_round_trip_and_the_transports_own_time() {
    let rising = Made { latency_ms: [50.0, 90.0], ..made("websocket") };
    let mut run = results(&[rising, made("sse")]);
    let at = |run: &Run, rate_per_s, rtt_ms| {
        let estimates = Model::of(run).estimates(&Wish { rate_per_s, rtt_ms, ..WISH });
        estimates[0].p50_ms.unwrap().median
    };
    let is =
        |value: f64, expected: f64| assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
    is(at(&run, 1.0, 0.0), 50.0);
    // Half-way between the logarithms of one and a hundred.
    is(at(&run, 10.0, 0.0), 70.0);
    is(at(&run, 10.0, 100.0), 120.0);
    // Latencies below half a round trip are impossible.
    for row in run.rows.iter_mut().filter(|row| row.condition("rtt_ms") == Some(200.0)) {
        row.figures.get_mut("p50_ms").unwrap().samples = vec![3.0; 5];
    }
    is(at(&run, 1.0, 200.0), 150.0);
    is(at(&run, 10.0, 100.0), 120.0);
}

#[test]
fn no_advice_from_the_kept_results_rests_on_a_withdrawn_figure() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    for file in crate::checkout::results(root).unwrap() {
        let kept = Run::read(&root.join(file)).unwrap();
        // The raw data, without a single figure that may not be quoted.
        let mut quotable = kept.clone();
        for row in &mut quotable.rows {
            let withdrawn: Vec<String> =
                row.figures.keys().filter(|name| quote(row, name).figure().is_none()).cloned().collect();
            withdrawn.iter().for_each(|name| drop(row.figures.remove(name)));
        }
        for (rate_per_s, rtt_ms, clients) in
            [(0.2, 80.0, 5_000.0), (50.0, 120.0, 200.0), (0.001, 40.0, 100_000.0)]
        {
            let wish = Wish { rate_per_s, rtt_ms, clients, send_rate_per_s: rate_per_s / 100.0 };
            let (verdict, words) = ask(&kept, &wish);
            assert_eq!(verdict.choice, ask(&quotable, &wish).0.choice, "{words}");
            let estimates = Model::of(&kept).estimates(&wish);
            assert!(
                estimates.iter().filter_map(|one| one.p50_ms).all(|latency| latency.least >= rtt_ms / 2.0)
            );
        }
    }
}
