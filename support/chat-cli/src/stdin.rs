//! Stdin as lines of text, with a byte-order mark or without, and with either line end.

use anyhow::{Context, bail};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader, Stdin};

/// As an argument, it stands for the lines of stdin.
pub(crate) const STDIN: &str = "-";

/// The byte-order mark, which some programs put before a text to show that it is UTF-8 ([Unicode, chapter 23.8]).
///
/// [Unicode, chapter 23.8]: https://www.unicode.org/versions/Unicode16.0.0/core-spec/chapter-23/#G19635
const MARK: &[u8] = "\u{FEFF}".as_bytes();

/// The longest line: far more than the server accepts, and little enough for memory.
const LINE_BYTES: u64 = 1_048_576;

/// The bytes of a text, without the mark that may stand before it.
pub(crate) fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

/// Lines of text. Make only one for stdin, because another one would miss what this one has read ahead.
pub(crate) struct Lines<R> {
    reader: R,
    /// How many lines were read.
    number: u64,
}

/// The lines of stdin.
pub(crate) fn lines() -> Lines<BufReader<Stdin>> {
    Lines { reader: BufReader::new(tokio::io::stdin()), number: 0 }
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// The next line without its end; `None` after the last one.
    ///
    /// # Errors
    /// The line is no UTF-8, longer than 1 MiB, or cannot be read.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<String>> {
        self.number += 1;
        let place = format!("line {} of stdin", self.number);
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(LINE_BYTES);
        if limited.read_until(b'\n', &mut line).await.with_context(|| place.clone())? == 0 {
            return Ok(None);
        }
        if self.number == 1 {
            if let Some(encoding) = foreign(&line) {
                bail!(
                    "stdin is {encoding}, and this program reads UTF-8.\n\
                     Convert it, such as with iconv -f {encoding} -t UTF-8."
                );
            }
            line.drain(..line.len() - unmarked(&line).len());
        }
        match line.strip_suffix(b"\n") {
            Some(text) => line.truncate(text.strip_suffix(b"\r").unwrap_or(text).len()),
            None if line.len() as u64 == LINE_BYTES => bail!("{place} is longer than 1 MiB"),
            None => {}
        }
        match String::from_utf8(line) {
            Ok(line) => Ok(Some(line)),
            Err(error) => {
                let byte = error.utf8_error().valid_up_to() + 1;
                bail!("{place} is no UTF-8 (at its byte {byte}); save the text as UTF-8")
            }
        }
    }

    /// How many lines were read, the one that failed included.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

/// The encoding of a text that is not UTF-8, by its mark, or by the zero bytes of Latin letters in UTF-16.
fn foreign(start: &[u8]) -> Option<&'static str> {
    match start {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Some("UTF-32"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("UTF-16"),
        [1..=u8::MAX, 0, ..] => Some("UTF-16LE"),
        [0, 1..=u8::MAX, ..] => Some("UTF-16BE"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line of a text, or what is wrong with it.
    async fn read(bytes: &[u8]) -> Result<Vec<String>, String> {
        let (mut lines, mut all) = (Lines { reader: bytes, number: 0 }, Vec::new());
        while let Some(line) = lines.next().await.map_err(|error| error.to_string())? {
            all.push(line);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn a_mark_and_line_ends_are_no_text() {
        let table: [(&str, &[&str]); 10] = [
            ("", &[]),
            ("hi", &["hi"]),
            ("hi\nho\n", &["hi", "ho"]),
            ("hi\r\nho\r\n", &["hi", "ho"]),
            ("\u{FEFF}hi\n", &["hi"]),
            ("\u{FEFF}hi\r\nho", &["hi", "ho"]),
            ("\u{FEFF}", &[""]),
            ("\u{FEFF}\r\nhi", &["", "hi"]),
            // Only the first one is a mark. A second one, or one elsewhere, is a character.
            ("\u{FEFF}\u{FEFF}hi\n\u{FEFF}ho", &["\u{FEFF}hi", "\u{FEFF}ho"]),
            ("a\rb\n\n\u{e9}", &["a\rb", "", "\u{e9}"]),
        ];
        for (text, lines) in table {
            assert_eq!(read(text.as_bytes()).await.unwrap(), lines, "{text:?}");
        }
    }

    #[tokio::test]
    async fn another_encoding_is_named() {
        let wide = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(order).collect()
        };
        for (bytes, said) in [
            (wide("\u{FEFF}hi\n", u16::to_le_bytes), "stdin is UTF-16, and"),
            (wide("\u{FEFF}hi\n", u16::to_be_bytes), "stdin is UTF-16, and"),
            (wide("\u{FEFF}日本", u16::to_le_bytes), "stdin is UTF-16, and"),
            (wide("hi\n", u16::to_le_bytes), "iconv -f UTF-16LE -t UTF-8"),
            (wide("hi\n", u16::to_be_bytes), "iconv -f UTF-16BE -t UTF-8"),
            (b"\xFF\xFE\0\0h\0\0\0".to_vec(), "stdin is UTF-32, and"),
            (b"caf\xE9\n".to_vec(), "line 1 of stdin is no UTF-8 (at its byte 4)"),
            (b"hi\n\xFF\n".to_vec(), "line 2 of stdin is no UTF-8 (at its byte 1)"),
        ] {
            let refusal = read(&bytes).await.unwrap_err();
            assert!(refusal.contains(said), "{bytes:?}: {refusal}");
        }
    }

    #[tokio::test]
    async fn a_line_without_an_end_does_not_fill_the_memory() {
        let longest = "x".repeat(LINE_BYTES as usize - 1) + "\n";
        assert_eq!(read(longest.as_bytes()).await.unwrap().len(), 1);
        let longer = "x".repeat(LINE_BYTES as usize + 1);
        assert_eq!(read(longer.as_bytes()).await.unwrap_err(), "line 1 of stdin is longer than 1 MiB");
    }
}
