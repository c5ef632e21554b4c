//! The tour's commands, run as they stand on the page: `docs/tour.md` against a launcher of our own.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use support::{Lab, PATIENCE};

const TOUR: &str = include_str!("../../docs/tour.md");

/// What the shell prints after every command; no output contains it.
const DONE: &str = "=== done ===";

/// Stands in an output for what differs from run to run; alone on a line, for any lines.
const ANYTHING: char = '…';

/// How the page says that the servers are started.
const START: &str = "cargo run --release -- ";

/// One block of commands of the page, and the lines that should follow it.
struct Step {
    /// Where the page has it, for the message of a failure.
    line: usize,
    commands: String,
    expected: Vec<String>,
}

/// How a reader goes through the page.
struct Walk {
    /// The flags of the servers, besides the page's own.
    flags: &'static [&'static str],
    /// How long the reader takes between two blocks.
    pause: Duration,
    /// How many users, conversations and events there were before.
    before: [u64; 3],
}

#[tokio::test]
async fn every_command_of_the_tour_prints_what_the_page_says() {
    // With a long grace, a user does not count as offline between two steps, however slow the machine.
    let walk = Walk { flags: &["--grace", "10m"], pause: Duration::ZERO, before: [0, 0, 0] };
    let Some(directory) = prepared().await else { return };
    let lab = Lab::start_temporary(&[&flags_of_the_page()[2..], walk.flags].concat()).await;
    walk.go(&lab, directory.path()).await;
}

/// Steps of 0.7 s at a header timeout of a tenth of its default are a person's steps of 7 s.
#[tokio::test]
async fn the_tour_works_at_a_persons_pace_on_a_database_that_was_used() {
    let walk = Walk {
        flags: &[
            "--header-timeout",
            "500ms",
            "--grace",
            "500ms",
            "--ping-after",
            "7s",
            "--pong-timeout",
            "1s",
        ],
        pause: Duration::from_millis(700),
        before: [2, 1, 3],
    };
    let Some(directory) = prepared().await else { return };
    let database = directory.path().join("used.db");
    let lab = Lab::start(&database, &[&flags_of_the_page()[2..], walk.flags].concat()).await;
    let (ann, bob) = (lab.register("Ann").await, lab.register("Bob").await);
    let command = serde_json::json!({"type": "create_group", "name": "rust", "cid": "tour-1"});
    assert_eq!(ann.command(lab.page, command).await.status, 200);
    assert_eq!((ann.id.as_str(), bob.id.as_str()), ("u1", "u2"));
    walk.go(&lab, directory.path()).await;
}

/// The flags of the page's own start, the database first.
fn flags_of_the_page() -> Vec<&'static str> {
    let start = TOUR.lines().find_map(|line| line.strip_prefix(START)).unwrap();
    let flags: Vec<_> = start.split(' ').collect();
    assert_eq!(flags[..2], ["--database", ":memory:"], "{start}");
    flags
}

/// A directory for the commands' files, if this machine has the tools that the page asks for.
async fn prepared() -> Option<tempfile::TempDir> {
    for tool in ["bash", "curl", "timeout"] {
        let found = Command::new(tool).arg("--version").stdout(Stdio::null()).status().await;
        if found.is_ok_and(|status| status.success()) {
            continue;
        }
        // The tests ask for Rust and a C compiler only. In CI, a check of a change needs these tools, too.
        assert!(std::env::var_os("CI").is_none(), "the tour needs {tool}: install it and run again");
        eprintln!("the tour was not run, because there is no {tool} here");
        return None;
    }
    Some(tempfile::tempdir().unwrap())
}

/// The reader's shell.
struct Shell {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    _bash: Child,
}

impl Shell {
    async fn start(directory: &Path) -> Self {
        let mut bash = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .env("TMPDIR", directory)
            .env("NO_PROXY", "*")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = bash.stdin.take().unwrap();
        let stdout = BufReader::new(bash.stdout.take().unwrap());
        stdin.write_all(b"exec 2>&1\n").await.unwrap();
        Self { stdin, stdout, _bash: bash }
    }

    /// Types commands, and reads what they print; or says why there is nothing to read.
    async fn print(&mut self, commands: &str) -> Result<Vec<String>, &'static str> {
        let typed = format!("{commands}\nprintf '\\n{DONE}\\n'\n");
        self.stdin.write_all(typed.as_bytes()).await.map_err(|_| "the shell is dead before")?;
        let reading = async {
            let mut printed = Vec::new();
            loop {
                let mut bytes = Vec::new();
                if self.stdout.read_until(b'\n', &mut bytes).await.unwrap() == 0 {
                    return Err("the shell is dead after");
                }
                let text = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
                if text == DONE {
                    // The line feed before the mark ends the last line, or is an empty line of its own.
                    printed.pop_if(|last: &mut String| last.is_empty());
                    return Ok(printed);
                }
                printed.push(text);
            }
        };
        timeout(PATIENCE, reading).await.unwrap_or(Err("this does not end:"))
    }
}

impl Walk {
    /// Types the page into one shell, block by block, and compares what comes out.
    async fn go(&self, lab: &Lab, directory: &Path) {
        let ours: Vec<u16> = lab.servers().iter().map(|server| server.port()).collect();
        let mut shell = Shell::start(directory).await;
        let steps = steps(TOUR);
        assert!(steps.len() > 15, "only {} blocks of commands were found", steps.len());
        for Step { line, commands, expected } in steps {
            tokio::time::sleep(self.pause).await;
            let expected: Vec<String> =
                expected.iter().map(|line| on_our_ports(&self.with_what_was_before(line), &ours)).collect();
            // A busy machine may need longer than the page gives a WebSocket.
            let commands = commands.replace("timeout 2 ", "timeout 5 ");
            // It may also answer only after the time for a stream is over. Reading the stream again changes nothing.
            let mut attempts = if commands.contains("--max-time") { 5 } else { 1 };
            let printed = loop {
                let printed = shell.print(&on_our_ports(&commands, &ours)).await;
                let printed = printed.unwrap_or_else(|why| panic!("docs/tour.md:{line}: {why}\n{commands}"));
                attempts -= 1;
                if attempts == 0 || matches(&expected, &printed) {
                    break printed;
                }
            };
            assert!(
                matches(&expected, &printed),
                "docs/tour.md:{line}: the page says that\n\n{commands}\n\nprints\n\n{}\n\nbut it prints\n\n{}\n",
                expected.join("\n"),
                printed.join("\n")
            );
        }
    }

    /// A line of the page, with the ids of a database that was used before.
    fn with_what_was_before(&self, line: &str) -> String {
        let [users, conversations, events] = self.before;
        let raised = ["u", "c", "…."].into_iter().zip([users, conversations, events]);
        raised.fold(line.to_owned(), |line, (kind, by)| raise(&line, kind, by))
    }
}

/// Raises the number behind a prefix that begins a word.
fn raise(line: &str, prefix: &str, by: u64) -> String {
    let mut raised = String::new();
    let mut rest = line;
    while let Some(place) = rest.find(prefix) {
        let (before, after) = rest.split_at(place + prefix.len());
        let is_word = !before[..place].ends_with(|c: char| c.is_alphanumeric());
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        raised += before;
        match after[..digits].parse::<u64>() {
            Ok(number) if is_word => raised += &(number + by).to_string(),
            _ => raised += &after[..digits],
        }
        rest = &after[digits..];
    }
    raised + rest
}

/// The steps of the page: a block of commands (`sh`), and the block of output (`text`) that may follow it.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block = None;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), block) {
            (Some("sh"), None) => {
                block = Some("sh");
                steps.push(Step { line: number + 1, commands: String::new(), expected: Vec::new() });
            }
            (Some(kind), None) => block = Some(kind),
            (Some(_), Some(_)) => block = None,
            (None, Some("sh")) => {
                let commands = &mut steps.last_mut().unwrap().commands;
                *commands = format!("{commands}{line}\n");
            }
            (None, Some("text")) => steps.last_mut().unwrap().expected.push(line.to_owned()),
            (None, _) => {}
        }
    }
    // The servers run already.
    steps.retain(|step| !step.commands.starts_with(START));
    steps
}

/// The page's addresses, replaced by those of the launcher that this test has started. Each is replaced once: a port of
/// ours may begin with the digits of one of theirs.
fn on_our_ports(text: &str, ours: &[u16]) -> String {
    let mut parts = text.split("127.0.0.1");
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let theirs = (4_000..).zip(ours).find(|(theirs, _)| {
            let rest = part.strip_prefix([':', '/']).and_then(|rest| rest.strip_prefix(&theirs.to_string()));
            rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
        });
        replaced += "127.0.0.1";
        replaced += &match theirs {
            Some((theirs, our)) => part.replacen(&theirs.to_string(), &our.to_string(), 1),
            None => part.to_owned(),
        };
    }
    replaced
}

#[test]
fn an_address_is_replaced_once_and_as_a_whole() {
    let ours = [40_010, 40_020, 50_000];
    let replaced =
        on_our_ports("127.0.0.1:4000 127.0.0.1/4001, http://127.0.0.1:4002/x 127.0.0.1:40011 4000", &ours);
    assert_eq!(replaced, "127.0.0.1:40010 127.0.0.1/40020, http://127.0.0.1:50000/x 127.0.0.1:40011 4000");
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
    assert_eq!(raise("u1, \"u2\", tour1, u", "u", 2), "u3, \"u4\", tour1, u");
    assert_eq!(raise("id: ….5 ….6.…", "….", 3), "id: ….8 ….9.…");
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    assert!(matches(&lines("a\n…\nd"), &lines("a\nb\nc\nd")));
    assert!(matches(&lines("a\n…\nd"), &lines("a\nd")));
    assert!(!matches(&lines("a\n…\nd"), &lines("a\nb")));
    assert!(!matches(&lines("a"), &lines("a\nb")));
}
