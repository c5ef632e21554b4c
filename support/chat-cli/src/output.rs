//! What is printed: results on stdout, everything else on stderr.

use std::io::{self, Write};

use serde::Serialize;

/// How results are printed. Every line is flushed, so that a reader sees it at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Results as JSON, one value on a line, or as text for people.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a value as JSON, or as text for people; nothing if there is no text.
    pub(crate) fn value(
        self,
        value: &impl Serialize,
        text: impl FnOnce() -> Option<String>,
    ) -> io::Result<()> {
        match self.json {
            true => self.json(&serde_json::to_string(value)?),
            false => text().map_or(Ok(()), |line| self.bytes(format!("{line}\n").as_bytes())),
        }
    }

    /// Prints JSON. Characters that a terminal would obey are escaped, which changes no value.
    pub(crate) fn json(self, json: &str) -> io::Result<()> {
        self.bytes(format!("{}\n", escaped(json, |c| format!("\\u{:04x}", u32::from(c)))).as_bytes())
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }
}

/// Prints a line on stderr. If stderr is closed, the line is lost.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Waits until the reader of stdout has closed it, as `head` does. Cancel safe.
///
/// A write would notice it too, but in a quiet chat the next write may be hours away.
#[cfg(unix)]
pub(crate) async fn unread() {
    use std::os::fd::AsFd;

    use tokio::io::Interest;
    use tokio::net::unix::pipe::Sender;

    // This copy is only watched. The checked function to make it would change how stdout itself writes.
    let copy = io::stdout().as_fd().try_clone_to_owned().and_then(Sender::from_owned_fd_unchecked);
    // If stdout is a file, it cannot be watched, and need not be.
    if let Ok(stdout) = copy {
        while let Ok(ready) = stdout.ready(Interest::ERROR).await {
            if ready.is_error() {
                return;
            }
        }
    }
    std::future::pending().await
}

/// Waits for ever, because this system does not report it.
#[cfg(not(unix))]
pub(crate) async fn unread() {
    std::future::pending().await
}

/// Another user's text on one line, without characters that a terminal would obey or that change the reading order.
pub(crate) fn harmless(text: &str) -> String {
    escaped(text, |c| c.escape_default().to_string())
}

/// The same for several lines, whose line breaks are kept.
pub(crate) fn harmless_lines(text: &str) -> String {
    text.lines().map(harmless).collect::<Vec<_>>().join("\n")
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() || is_reordering(c) {
            true => harmless += &escape(c),
            false => harmless.push(c),
        }
    }
    harmless
}

/// Characters that end a line or turn the direction of what follows ([UAX #9]). With them, a text could seem to come
/// from another user.
///
/// [UAX #9]: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_on_its_line_and_commands_no_terminal() {
        assert_eq!(harmless("a\nb\tc\u{1b}[2J\u{9b}1m\u{7f}"), r"a\nb\tc\u{1b}[2J\u{9b}1m\u{7f}");
        assert_eq!(harmless("x\u{202e}y\u{2028}"), r"x\u{202e}y\u{2028}");
        assert_eq!(harmless("naïve 👩\u{200d}🚀 \\n"), "naïve 👩\u{200d}🚀 \\n");
    }
}
