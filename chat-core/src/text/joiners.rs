//! The places in a name where an invisible character has a meaning: it joins letters, or it joins emoji.
//!
//! Persian, Hindi and other languages write with U+200C and U+200D ([RFC 5892, appendices A.1 and A.2]). A family, a
//! skin tone and a red heart are sequences of emoji ([UTS #51 §1.4.9]). Elsewhere, two names that look alike would
//! differ by such a character.
//!
//! [RFC 5892, appendices A.1 and A.2]: https://www.rfc-editor.org/rfc/rfc5892#appendix-A
//! [UTS #51 §1.4.9]: https://www.unicode.org/reports/tr51/#EBNF_and_Regex

use icu_properties::props::{
    CanonicalCombiningClass, Emoji, EmojiModifier, ExtendedPictographic, JoiningType,
};
use icu_properties::{CodePointMapData, CodePointSetData};

const NON_JOINER: char = '\u{200C}';
const JOINER: char = '\u{200D}';
/// Shows the character before it as an emoji.
const AS_EMOJI: char = '\u{FE0F}';
/// The frame of a key.
const KEYCAP: char = '\u{20E3}';

/// Whether the invisible character at `place` means something there.
pub(super) fn may_stand(characters: &[char], place: usize) -> bool {
    let (before, after) = (&characters[..place], &characters[place + 1..]);
    match characters[place] {
        NON_JOINER => follows_virama(before) || separates_joining_letters(before, after),
        JOINER => follows_virama(before) || joins_emoji(before, after),
        AS_EMOJI => shows_emoji(before, after),
        _ => false,
    }
}

/// Whether `place` ends an emoji whose characters are no symbols by themselves: `#` as a key, `!!` in red.
pub(super) fn ends_emoji(characters: &[char], place: usize) -> bool {
    match (&characters[..place], characters[place]) {
        ([.., base, AS_EMOJI] | [.., base], KEYCAP) => is_on_keypad(*base),
        (_, AS_EMOJI) => may_stand(characters, place),
        _ => false,
    }
}

fn is_on_keypad(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '#' | '*')
}

/// The condition that both joiners share.
fn follows_virama(before: &[char]) -> bool {
    let classes = CodePointMapData::<CanonicalCombiningClass>::new();
    before.last().is_some_and(|&c| classes.get(c) == CanonicalCombiningClass::Virama)
}

/// `(Joining_Type:{L,D})(Joining_Type:T)*\u200C(Joining_Type:T)*(Joining_Type:{R,D})`
fn separates_joining_letters(before: &[char], after: &[char]) -> bool {
    let types = CodePointMapData::<JoiningType>::new();
    let joining = |&c: &char| types.get(c);
    let is_seen = |joining: &JoiningType| *joining != JoiningType::Transparent;
    let left = before.iter().rev().map(joining).find(is_seen);
    let right = after.iter().map(joining).find(is_seen);
    matches!(left, Some(JoiningType::LeftJoining | JoiningType::DualJoining))
        && matches!(right, Some(JoiningType::RightJoining | JoiningType::DualJoining))
}

/// Allowed between two emoji; the first may have a skin tone or be shown as an emoji by U+FE0F.
fn joins_emoji(before: &[char], after: &[char]) -> bool {
    let pictures = CodePointSetData::new::<ExtendedPictographic>();
    let tones = CodePointSetData::new::<EmojiModifier>();
    let first = match before {
        [.., first, AS_EMOJI] => Some(first),
        [.., first, tone] if tones.contains(*tone) => Some(first),
        [.., first] => Some(first),
        [] => None,
    };
    let is_picture = |c: Option<&char>| c.is_some_and(|&c| pictures.contains(c));
    is_picture(first) && is_picture(after.first())
}

/// Allowed after an emoji; after a digit, `#` or `*` only within a key, because it shows nothing elsewhere.
fn shows_emoji(before: &[char], after: &[char]) -> bool {
    match before.last() {
        Some(c) if c.is_ascii() => is_on_keypad(*c) && after.first() == Some(&KEYCAP),
        Some(&c) => CodePointSetData::new::<Emoji>().contains(c),
        None => false,
    }
}
