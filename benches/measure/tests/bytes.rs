//! What a delivery costs on the wire, to the byte. No other figure is exact enough for a test.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::process::Command;

use serde_json::Value;
use tempfile::tempdir;

/// The rows of one scenario, measured once.
fn rows(scenario: &str) -> Vec<Value> {
    let directory = tempdir().unwrap();
    let output = directory.path().join("results.json");
    let run = Command::new(env!("CARGO_BIN_EXE_measure"))
        .args(["run", "--quick", "--repetitions", "1", "--scenario", scenario, "--json", "--output"])
        .arg(&output)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let printed: Value = serde_json::from_slice(&run.stdout).expect("stdout is JSON and nothing else");
    let written: Value = serde_json::from_slice(&std::fs::read(output).unwrap()).unwrap();
    assert_eq!(printed, written);
    written["rows"].as_array().unwrap().clone()
}

fn figure(rows: &[Value], subject: &str, burst: f64, name: &str) -> f64 {
    let row =
        rows.iter().find(|row| row["subject"] == subject && row["conditions"]["burst"] == burst).unwrap();
    row["figures"][name]["samples"][0].as_f64().unwrap()
}

#[test]
fn a_delivery_takes_the_bytes_that_its_transport_needs() {
    let rows = rows("bytes");
    let lone = |subject: &str, name: &str| figure(&rows, subject, 1.0, name);
    let burst = |subject: &str, name: &str| figure(&rows, subject, 20.0, name);

    // A message between 126 and 65,535 bytes: two bytes of head and two of length, no mask from the server.
    assert_eq!(lone("websocket", "framing_bytes"), 4.0);
    assert_eq!(lone("websocket", "up_bytes"), 0.0);
    assert_eq!(burst("websocket", "framing_bytes"), 4.0);

    // The head and the end of a chunk, `id: `, `data: `, their line ends, the empty line, and the cursor again.
    let sse = lone("sse", "framing_bytes");
    assert!((20.0..45.0).contains(&sse), "{sse}");
    assert_eq!(lone("sse", "up_bytes"), 0.0);
    assert!(burst("sse", "framing_bytes") < sse, "twenty share a chunk");

    // One request for each response; the messages of a burst share one.
    for subject in ["longpoll", "shortpoll"] {
        assert_eq!(lone(subject, "requests"), 1.0, "{subject}");
        assert_eq!(burst(subject, "requests"), 1.0 / 20.0, "{subject}");
        let heads = lone(subject, "http_head_bytes");
        assert!((100.0..600.0).contains(&heads), "{subject}: {heads}");
    }
}
