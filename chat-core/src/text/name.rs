//! Names of users and groups: which new ones are allowed, and which two count as the same.
//!
//! The rules hold for *new* names. A name that is stored already was new under earlier rules, and is read as it is.

use std::fmt;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizer, DecomposingNormalizer};
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};
use serde::{Deserialize, Serialize};

use super::TextError;
use super::joiners::{ends_emoji, may_stand};

/// Characters that look empty, although Unicode does not call them ignorable. They are blanks of Braille, music and
/// hieroglyphs, the place of an object, a filler, a joiner.
const BLANKS: [char; 7] =
    ['\u{2800}', '\u{1D159}', '\u{13441}', '\u{13442}', '\u{FFFC}', '\u{16FE4}', '\u{2D7F}'];

/// The longest text that is looked up as a name, in bytes: 32 characters, each of which may be written as up to four
/// characters of four bytes.
const MAX_TYPED_BYTES: usize = 512;

/// The name of a user or of a group. Making one of a `String` checks the rules for new names; reading JSON does not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// The longest name, in characters of its composed form (NFC): fits one line of a list on a phone.
    pub const MAX_CHARS: usize = 32;

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that was stored under the rules of its time.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The key of the name: two names count as the same if their keys are equal.
    pub(crate) fn key(&self) -> String {
        key(&self.0)
    }

    /// Whether a new user or group may have this name.
    pub(crate) fn check_new(&self) -> Result<(), TextError> {
        check(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        check(&text)?;
        Ok(Self(text))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether two texts count as one name, whatever their case and their form in Unicode.
#[must_use]
pub fn is_same_name(one: &str, other: &str) -> bool {
    one == other || key(one) == key(other)
}

/// The key of a text that was typed as a name. `None`: it is longer than any name, so there is no such name.
pub(crate) fn typed_key(text: &str) -> Option<String> {
    (text.len() <= MAX_TYPED_BYTES).then(|| key(text))
}

/// `toNFKC_Casefold(NFD(text))`, as [Unicode §3.13.5] matches identifiers. Then each run of spaces becomes one space,
/// and spaces at the ends are removed.
///
/// [Unicode §3.13.5]: https://www.unicode.org/versions/latest/core-spec/chapter-3/#G53253
fn key(text: &str) -> String {
    let folded: String = DecomposingNormalizer::new_nfd().normalize(text).chars().map(fold).collect();
    let composed = ComposingNormalizer::new_nfc().normalize(&folded);
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The property `NFKC_CF` of a character: decomposed, case folded, composed, without ignorable characters; repeated
/// until nothing changes.
///
/// See its derivation in [DerivedNormalizationProps.txt].
///
/// [DerivedNormalizationProps.txt]: https://www.unicode.org/Public/UCD/latest/ucd/DerivedNormalizationProps.txt
fn fold(c: char) -> String {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let mut text = c.to_string();
    loop {
        let shown: String = text.chars().filter(|&c| !ignorable.contains(c)).collect();
        let decomposed = DecomposingNormalizer::new_nfd().normalize(&shown).into_owned();
        let folded = CaseMapper::new().fold_string(&decomposed).into_owned();
        let next = ComposingNormalizer::new_nfkc().normalize(&folded).into_owned();
        if next == text {
            return next;
        }
        text = next;
    }
}

fn check(text: &str) -> Result<(), TextError> {
    let refuse = |rule: String| Err(TextError { code: "invalid_name", rule: rule.into() });
    match ComposingNormalizer::new_nfc().normalize(text).chars().count() {
        0 => return refuse("a name needs at least one character".to_owned()),
        1..=Name::MAX_CHARS => {}
        _ => return refuse(format!("a name has at most {} characters", Name::MAX_CHARS)),
    }
    if text.trim_matches(' ') != text {
        return refuse("a name does not begin or end with a space".to_owned());
    }
    let characters: Vec<char> = text.chars().collect();
    for (place, &c) in characters.iter().enumerate() {
        if let Some(what) = fault(&characters, place) {
            let (code, number) = (u32::from(c), place + 1);
            return refuse(format!("a name has no {what}: character {number} is U+{code:04X}"));
        }
    }
    let categories = CodePointMapData::<GeneralCategory>::new();
    let shows =
        GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Number).union(GeneralCategoryGroup::Symbol);
    let is_shown =
        |place: usize| shows.contains(categories.get(characters[place])) || ends_emoji(&characters, place);
    if !(0..characters.len()).any(is_shown) {
        return refuse("a name needs a letter, a number or a symbol".to_owned());
    }
    Ok(())
}

/// What is wrong with the character at `place` in a new name, if anything is.
fn fault(characters: &[char], place: usize) -> Option<&'static str> {
    let c = characters[place];
    match CodePointMapData::<GeneralCategory>::new().get(c) {
        _ if c == ' ' => None,
        GeneralCategory::Control => Some("control characters"),
        GeneralCategory::SpaceSeparator
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator => Some("spaces or line breaks but the plain space"),
        GeneralCategory::PrivateUse | GeneralCategory::Surrogate => Some("private-use characters"),
        GeneralCategory::Unassigned => Some("characters that Unicode has not assigned"),
        category => {
            let is_format = category == GeneralCategory::Format;
            let is_ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c);
            let is_invisible = (is_format || is_ignorable) && !may_stand(characters, place);
            (is_invisible || BLANKS.contains(&c)).then_some("invisible characters here")
        }
    }
}

#[cfg(test)]
mod tests;
