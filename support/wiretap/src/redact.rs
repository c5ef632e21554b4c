//! What is hidden in events: credentials in header fields, and secrets in JSON. The counts are not affected.

/// What each hidden byte is shown as. The number of bytes stays the same, so that offsets are right.
pub(crate) const HIDDEN: u8 = b'*';

/// Header fields whose whole value is a secret.
const SECRET_FIELDS: [&[u8]; 3] = [b"cookie", b"authorization", b"proxy-authorization"];

/// A field whose value is a secret up to the first semicolon; what follows are attributes worth reading.
const SET_COOKIE: &[u8] = b"set-cookie";

/// JSON members whose values are secrets.
const SECRET_MEMBERS: [&[u8]; 2] = [b"password", b"token"];

/// Hides the secret values in the beginning of a head.
pub(crate) fn hide_in_head(head: &mut [u8]) {
    let mut hiding = None;
    for line in head.split_inclusive_mut(|&byte| byte == b'\n') {
        let mut value = 0;
        // A line that begins with a space goes on with the value of the line before (RFC 9112 §5.2).
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            let colon = line.iter().position(|&byte| byte == b':');
            let name = &line[..colon.unwrap_or(0)];
            value = colon.map_or(0, |colon| colon + 1);
            hiding = match name {
                _ if SECRET_FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field)) => Some(false),
                _ if name.eq_ignore_ascii_case(SET_COOKIE) => Some(true),
                _ => None,
            };
        }
        let Some(to_semicolon) = hiding else { continue };
        for byte in &mut line[value..] {
            match byte {
                b';' if to_semicolon => {
                    hiding = None;
                    break;
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                secret => *secret = HIDDEN,
            }
        }
    }
}

/// Finds secrets in JSON that comes byte by byte, however it is cut.
///
/// It finds a member only by its plain spelling, and not if its name is written with escapes.
#[derive(Debug, Default)]
pub(crate) struct JsonSecrets {
    state: State,
    /// Whether the byte before was a backslash inside a string.
    escaped: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Outside,
    /// In a string: which secret members' names begin with its `length` bytes so far.
    Text { length: usize, candidates: [bool; SECRET_MEMBERS.len()] },
    /// After a string that is a secret member's name.
    AfterName,
    /// After the colon that follows such a name.
    BeforeValue,
    /// In a secret string.
    Secret,
    /// In a secret that is no string, such as a number.
    Bare,
}

impl JsonSecrets {
    /// Whether this byte, the next one of the text, is to be hidden.
    pub(crate) fn hides(&mut self, byte: u8) -> bool {
        let escaped = std::mem::replace(&mut self.escaped, false);
        let in_string = matches!(self.state, State::Text { .. } | State::Secret);
        self.escaped = in_string && byte == b'\\' && !escaped;
        let closes = byte == b'"' && !escaped;
        let space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let ends_value = matches!(byte, b',' | b'}' | b']') || space;
        let (state, hidden) = match self.state {
            State::Text { length, candidates } if closes => {
                let is_name = |(index, &fits): (usize, &bool)| fits && SECRET_MEMBERS[index].len() == length;
                let secret = candidates.iter().enumerate().any(is_name);
                (if secret { State::AfterName } else { State::Outside }, false)
            }
            State::Text { length, mut candidates } => {
                for (fits, member) in candidates.iter_mut().zip(SECRET_MEMBERS) {
                    *fits &= member.get(length).is_some_and(|letter| letter.eq_ignore_ascii_case(&byte));
                }
                (State::Text { length: length.saturating_add(1), candidates }, false)
            }
            State::AfterName | State::BeforeValue if space => (self.state, false),
            State::AfterName if byte == b':' => (State::BeforeValue, false),
            State::BeforeValue if closes => (State::Secret, false),
            State::BeforeValue if !matches!(byte, b'{' | b'[') => (State::Bare, true),
            State::Secret => (if closes { State::Outside } else { State::Secret }, !closes),
            State::Bare if !ends_value => (State::Bare, true),
            State::Outside | State::AfterName | State::BeforeValue | State::Bare if closes => {
                (State::Text { length: 0, candidates: [true; SECRET_MEMBERS.len()] }, false)
            }
            State::Outside | State::AfterName | State::BeforeValue | State::Bare => (State::Outside, false),
        };
        self.state = state;
        hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> String {
        let mut secrets = JsonSecrets::default();
        json.chars().map(|c| if secrets.hides(c as u8) { '*' } else { c }).collect()
    }

    #[test]
    fn secrets_in_json_are_hidden_whole() {
        for (json, expected) in [
            (r#"{"name":"Ann","password":"hunter2"}"#, r#"{"name":"Ann","password":"*******"}"#),
            (r#"{"token" : "abc", "user":1}"#, r#"{"token" : "***", "user":1}"#),
            (r#"{"Password":"a\"b\\","x":"y"}"#, r#"{"Password":"******","x":"y"}"#),
            (r#"{"token":123,"token":null}"#, r#"{"token":***,"token":****}"#),
            (r#"{"token":{"token":"a"}}"#, r#"{"token":{"token":"*"}}"#),
            (r#"["token","a"]"#, r#"["token","a"]"#),
            (
                r#"{"tokens":"a","xtoken":"b","text":"token"}"#,
                r#"{"tokens":"a","xtoken":"b","text":"token"}"#,
            ),
        ] {
            assert_eq!(shown(json), expected);
        }
    }

    #[test]
    fn credentials_in_heads_are_hidden_and_nothing_else() {
        let mut head =
            *b"GET / HTTP/1.1\r\nHost: a\r\ncOOkie: a=b; c=d\r\n e\r\nAuthorization: Bearer xyz\r\n\
            Set-Cookie: s=t; HttpOnly\r\nAccept: *\r\n\r\n";
        hide_in_head(&mut head);
        assert_eq!(
            std::str::from_utf8(&head).unwrap(),
            "GET / HTTP/1.1\r\nHost: a\r\ncOOkie: **** ***\r\n *\r\nAuthorization: ****** ***\r\n\
             Set-Cookie: ***; HttpOnly\r\nAccept: *\r\n\r\n"
        );
    }
}
