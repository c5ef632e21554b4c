//! The tour's commands, run as they stand on the page: `docs/tour.md` against a launcher of our own.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::process::Stdio;

use support::{Lab, PATIENCE};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

const TOUR: &str = include_str!("../../docs/tour.md");

/// What the shell prints after every command; no output contains it.
const DONE: &str = "=== done ===";

/// Stands in an output for what differs from run to run; alone on a line, for any lines.
const ANYTHING: char = '…';

/// One command of the page, and the lines that should follow it.
struct Step {
    /// Where the page has it, for the message of a failure.
    line: usize,
    command: String,
    expected: Vec<String>,
}

#[tokio::test]
async fn every_command_of_the_tour_prints_what_the_page_says() {
    for tool in ["bash", "curl"] {
        let found = Command::new(tool).arg("--version").stdout(Stdio::null()).status().await;
        if found.is_ok_and(|status| status.success()) {
            continue;
        }
        // Rust and a C compiler are all that the tests ask for; whoever checks a change has to have these too.
        assert!(std::env::var_os("CI").is_none(), "the tour needs {tool}: install it and run again");
        eprintln!("the tour was not run, because there is no {tool} here");
        return;
    }
    // Nobody counts as gone between two steps, however slow the machine.
    let lab = Lab::start_temporary(&["--grace", "10m"]).await;
    let ours = [lab.page, lab.websocket, lab.sse, lab.longpoll].map(|address| address.port());
    let directory = tempfile::tempdir().unwrap();
    let mut bash = Command::new("bash")
        .args(["--noprofile", "--norc"])
        .env("TMPDIR", directory.path())
        .env("NO_PROXY", "*")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = bash.stdin.take().unwrap();
    let mut stdout = BufReader::new(bash.stdout.take().unwrap());
    stdin.write_all(b"exec 2>&1\n").await.unwrap();

    let steps = steps(TOUR);
    assert!(steps.len() > 20, "only {} commands were found", steps.len());
    for Step { line, command, expected } in steps {
        let typed = format!("{}\nprintf '\\n{DONE}\\n'\n", on_our_ports(&command, ours));
        stdin.write_all(typed.as_bytes()).await.unwrap();
        let reading = async {
            let mut printed = Vec::new();
            loop {
                let mut bytes = Vec::new();
                assert_ne!(stdout.read_until(b'\n', &mut bytes).await.unwrap(), 0, "bash has ended");
                let text = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
                if text == DONE {
                    return printed;
                }
                printed.push(text);
            }
        };
        let Ok(mut printed) = timeout(PATIENCE, reading).await else {
            panic!("docs/tour.md:{line}: this does not end:\n{command}")
        };
        // The line feed before the mark ends the last line, or is an empty line of its own.
        if printed.last().is_some_and(String::is_empty) {
            printed.pop();
        }
        let expected: Vec<String> = expected.iter().map(|line| on_our_ports(line, ours)).collect();
        assert!(
            matches(&expected, &printed),
            "docs/tour.md:{line}: the page says that\n\n{command}\n\nprints\n\n{}\n\nbut it prints\n\n{}\n",
            expected.join("\n"),
            printed.join("\n")
        );
    }
}

/// The steps of the ```` ```console ```` blocks: `$ ` begins a command, and a `\` at its end continues it.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut in_console, mut continues) = (false, false);
    for (number, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(kind) => (in_console, continues) = (kind == "console", false),
            None if !in_console => {}
            None if continues => {
                continues = line.ends_with('\\');
                let step = steps.last_mut().unwrap();
                step.command = format!("{}\n{line}", step.command);
            }
            None => match line.strip_prefix("$ ") {
                Some(command) => {
                    continues = command.ends_with('\\');
                    steps.push(Step { line: number + 1, command: command.to_owned(), expected: Vec::new() });
                }
                None => steps.last_mut().unwrap().expected.push(line.to_owned()),
            },
        }
    }
    steps
}

/// The page's addresses, replaced by those of the launcher that this test has started.
fn on_our_ports(text: &str, ours: [u16; 4]) -> String {
    let ports = (4_000..).zip(ours);
    ports.fold(text.to_owned(), |text, (theirs, our)| {
        [':', '/'].iter().fold(text, |text, joint| {
            text.replace(&format!("127.0.0.1{joint}{theirs}"), &format!("127.0.0.1{joint}{our}"))
        })
    })
}

/// Whether lines are as expected, line by line; a line that is nothing but `…` stands for any number of lines.
fn matches(expected: &[String], printed: &[String]) -> bool {
    let Some((first, rest)) = expected.split_first() else { return printed.is_empty() };
    if first.chars().eq([ANYTHING]) {
        return (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]));
    }
    printed.split_first().is_some_and(|(line, others)| line_matches(first, line) && matches(rest, others))
}

/// Whether a line is as expected; `…` stands for any characters, but at least one.
fn line_matches(expected: &str, line: &str) -> bool {
    let Some((before, after)) = expected.split_once(ANYTHING) else { return expected == line };
    let Some(rest) = line.strip_prefix(before) else { return false };
    rest.char_indices().any(|(place, c)| line_matches(after, &rest[place + c.len_utf8()..]))
}

#[test]
fn an_ellipsis_stands_for_something_and_nothing_else_does() {
    assert!(line_matches("id: ….4", "id: fbb8e300.4"));
    assert!(!line_matches("id: ….4", "id: fbb8e300.5"));
    assert!(!line_matches("a…b", "ab"));
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    assert!(matches(&lines("a\n…\nd"), &lines("a\nb\nc\nd")));
    assert!(matches(&lines("a\n…\nd"), &lines("a\nd")));
    assert!(!matches(&lines("a\n…\nd"), &lines("a\nb")));
    assert!(!matches(&lines("a"), &lines("a\nb")));
}
