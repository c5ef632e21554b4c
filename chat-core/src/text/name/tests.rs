use super::*;

/// Unicode's own examples of texts that differ only in form: see the README beside the file.
const NORMALIZATION: &str = include_str!("../../../tests/data/unicode/NormalizationTest.txt");

fn name(text: &str) -> Result<Name, TextError> {
    Name::try_from(text.to_owned())
}

/// Two names, and whether they count as one.
const PAIRS: &[(&str, &str, bool)] = &[
    // Case.
    ("Ann", "ann", true),
    ("Ann", "ANN", true),
    ("Ann", "Anna", false),
    ("Straße", "STRASSE", true),
    ("Straße", "STRAẞE", true),
    ("Straße", "Strase", false),
    ("ΟΔΥΣΣΕΥΣ", "Οδυσσεύς", false),
    ("ΟΔΥΣΣΕΎΣ", "Οδυσσεύς", true),
    ("σίσυφος", "ΣΊΣΥΦΟΣ", true),
    ("Σίσυφοσ", "Σίσυφος", true),
    ("Ǆ", "ǆ", true),
    ("ǅ", "dž", true),
    ("Ivan", "İvan", false),
    ("İvan", "i\u{307}van", true),
    ("ıvan", "ivan", false),
    ("ŉame", "ʼname", true),
    ("Ὀδυσσεύς", "ὀδυσσεύσ", true),
    ("ᾳ", "ΑΙ", true),
    ("ᾳ", "αι", true),
    ("ԱՐԱՄ", "արամ", true),
    ("և", "եւ", true),
    ("Ꭰ", "ꭰ", true),
    ("𐐀", "𐐨", true),
    // Composed and decomposed.
    ("José", "Jose\u{301}", true),
    ("José", "JOSE\u{301}", true),
    ("José", "Jose", false),
    ("José", "Josè", false),
    ("Ångström", "A\u{30A}ngstro\u{308}m", true),
    ("Ångström", "\u{212B}ngström", true),
    ("Ω", "\u{2126}", true),
    ("Kelvin", "\u{212A}elvin", true),
    ("Việt", "Vie\u{323}\u{302}t", true),
    ("Việt", "Vie\u{302}\u{323}t", true),
    ("Việt", "Viêt", false),
    ("한글", "\u{1112}\u{1161}\u{11AB}\u{1100}\u{1173}\u{11AF}", true),
    ("が", "か\u{3099}", true),
    ("が", "か", false),
    ("ё", "е\u{308}", true),
    ("क़", "क\u{93C}", true),
    // Compatibility forms.
    ("Ａｎｎ", "Ann", true),
    ("ＡＮＮ１２", "ann12", true),
    ("ﬁn", "fin", true),
    ("ﬃ", "FFI", true),
    ("ﬆ", "ſt", true),
    ("ſ", "s", true),
    ("ｶﾞ", "ガ", true),
    ("ﾊﾝ", "ハン", true),
    ("①", "1", true),
    ("²", "2", true),
    ("Ⅳ", "iv", true),
    ("½", "1⁄2", true),
    ("𝐀𝐧𝐧", "Ann", true),
    ("ℵ", "א", true),
    ("㎏", "kg", true),
    ("ﷺ", "صلى الله عليه وسلم", true),
    ("…", "...", true),
    // Spaces.
    ("Ann Lee", "Ann\u{A0}Lee", true),
    ("Ann Lee", "Ann  Lee", true),
    ("Ann Lee", "Ann \u{2003}\u{3000} Lee", true),
    ("Ann Lee", "Ann\u{1680}Lee", true),
    ("Ann Lee", "AnnLee", false),
    ("Ann", " Ann ", true),
    ("Ann", "Ann\u{A0}", true),
    ("Ann", "Ann\n", true),
    // Invisible characters.
    ("Ann", "An\u{AD}n", true),
    ("Ann", "Ann\u{200B}", true),
    ("Ann", "\u{202E}Ann\u{202C}", true),
    ("Ann", "A\u{34F}nn\u{FEFF}", true),
    ("Ann", "Ann\u{3164}", true),
    ("نامه\u{200C}ای", "نامهای", true),
    ("👩\u{200D}👧", "👩👧", true),
    ("❤\u{FE0F}", "❤", true),
    ("❤", "♥", false),
    ("👍🏽", "👍🏿", false),
    ("👍🏽", "👍", false),
    ("辻\u{E0100}", "辻", true),
    // Other scripts' look-alikes are other names.
    ("Ann", "Аnn", false),
    ("pay", "рау", false),
    ("l", "I", false),
    ("0", "O", false),
];

#[test]
fn names_are_one_if_their_keys_are() {
    assert!(PAIRS.len() >= 60, "only {} pairs", PAIRS.len());
    for &(one, other, same) in PAIRS {
        assert_eq!(is_same_name(one, other), same, "{one:?} and {other:?}: {:?} {:?}", key(one), key(other));
        assert_eq!(is_same_name(other, one), same, "{other:?} and {one:?}");
    }
}

#[test]
fn a_key_is_its_own_key() {
    for text in PAIRS.iter().flat_map(|(one, other, _)| [one, other]) {
        assert_eq!(key(&key(text)), key(text), "{text:?}");
    }
}

/// Source, NFC, NFD, NFKC and NFKD of each line: five spellings of one name.
#[test]
fn unicodes_own_examples_of_one_text_are_one_name() {
    let points = |field: &str| -> String {
        let numbers = field.split(' ').map(|point| u32::from_str_radix(point, 16).unwrap());
        numbers.map(|number| char::from_u32(number).unwrap()).collect()
    };
    let mut lines = 0;
    for line in NORMALIZATION.lines().filter(|line| !line.starts_with(['#', '@'])) {
        let forms: Vec<String> = line.split(';').take(5).map(points).collect();
        for form in &forms {
            assert_eq!(key(form), key(&forms[0]), "{line}");
        }
        lines += 1;
    }
    assert!(lines > 300, "only {lines} lines");
}

#[test]
fn names_that_people_have_are_allowed() {
    for right in [
        "Ann",
        "Ann Lee",
        "Ann  Lee",
        "José",
        "Jose\u{301}",
        "O'Neill-Smith, Jr.",
        "Ｊａｎ",
        "李小龍",
        "Αλέξανδρος",
        "Нина",
        "محمد",
        "7",
        "²",
        "+",
        "€",
        "ↈ",
        "user.name@example.org",
        // Zero width non-joiner in Persian, after a virama, and both joiners in Indic scripts.
        "نامه\u{200C}ای",
        "می\u{200C}خواهم",
        "بِ\u{200C}بِ",
        "क्\u{200C}ष",
        "क्\u{200D}ष",
        "ශ්\u{200D}රී",
        "ക്\u{200D}",
        // Emoji: alone, shown as one, with tones, joined, flags, keys.
        "😀",
        "❤\u{FE0F}",
        "Ann ❤\u{FE0F}",
        "👍🏽",
        "👩\u{200D}👩\u{200D}👧\u{200D}👦",
        "👩🏽\u{200D}🚀",
        "❤\u{FE0F}\u{200D}🔥",
        "🏳\u{FE0F}\u{200D}🌈",
        "🏴\u{200D}☠\u{FE0F}",
        "🙂\u{200D}↔\u{FE0F}",
        "🧑🏻\u{200D}❤\u{FE0F}\u{200D}💋\u{200D}🧑🏿",
        "🇮🇷",
        "1\u{FE0F}\u{20E3}",
        "#\u{FE0F}\u{20E3}",
        "#\u{20E3}",
        "\u{203C}\u{FE0F}",
        "\u{3030}\u{FE0F}",
        "©\u{FE0F}",
    ] {
        assert!(name(right).is_ok(), "{right:?}: {:?}", name(right));
    }
}

#[test]
fn names_that_are_invisible_or_look_alike_are_refused() {
    for wrong in [
        "",
        // Spaces.
        " ",
        " Ann",
        "Ann ",
        "Ann\u{A0}Lee",
        "Ann\u{2003}Lee",
        "Ann\u{3000}Lee",
        "Ann\u{1680}Lee",
        "Ann\u{2028}Lee",
        "Ann\u{2029}",
        "Ann\tLee",
        "Ann\n",
        "Ann\u{85}",
        "A\0nn",
        "Ann\u{7F}",
        // Format characters and others that are ignored.
        "Ann\u{200B}",
        "An\u{AD}n",
        "\u{202E}nnA",
        "\u{2066}Ann\u{2069}",
        "\u{FEFF}Ann",
        "Ann\u{2060}",
        "A\u{34F}nn",
        "Ann\u{180E}",
        "Ann\u{180B}",
        "\u{600}1",
        "Ann\u{FFF9}",
        "Ann\u{E0041}",
        "辻\u{E0100}",
        "Ann\u{E0FFF}",
        // Joiners and selectors where they join nothing.
        "\u{200C}",
        "\u{200D}",
        "\u{FE0F}",
        "An\u{200C}n",
        "An\u{200D}n",
        "\u{200D}Ann",
        "Ann\u{200D}",
        "نامه\u{200C}",
        "\u{200C}نامه",
        "ن\u{200D}م",
        "ا\u{200C}ن",
        "د\u{200C}ر",
        "Ann\u{FE0F}",
        "1\u{FE0F}",
        "1\u{200D}2",
        "❤\u{FE0E}",
        "❤\u{FE0F}\u{FE0F}",
        "👩\u{200D}",
        "👩\u{200D}\u{200D}👧",
        "\u{200D}👩",
        "👩\u{200D}A",
        "A\u{200D}👩",
        // Blanks.
        "\u{3164}",
        "\u{115F}",
        "\u{1160}",
        "\u{FFA0}",
        "\u{2800}",
        "Ann\u{2800}",
        "\u{17B4}",
        "\u{1D159}",
        "\u{FFFC}",
        "\u{13441}",
        // Nothing that is a letter, a number or a symbol.
        "\u{301}",
        "\u{301}\u{302}",
        "\u{20E3}",
        "!\u{20E3}",
        "...",
        "-",
        "!?",
        "#",
        "﹏",
        // Private use, not assigned, or not a character.
        "\u{E000}",
        "Ann\u{F8FF}",
        "\u{10FFFD}",
        "Ann\u{378}",
        "\u{FFFE}",
        "Ann\u{FDD0}",
        "\u{10FFFF}",
    ] {
        let refused = name(wrong).expect_err(&format!("{wrong:?} was allowed"));
        assert_eq!(refused.code, "invalid_name", "{wrong:?}");
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_where() {
    let rule = |text: &str| name(text).unwrap_err().rule;
    assert_eq!(rule("An\u{200B}n"), "a name has no invisible characters here: character 3 is U+200B");
    assert_eq!(rule("Ann\u{E000}"), "a name has no private-use characters: character 4 is U+E000");
    assert_eq!(rule("Ann "), "a name does not begin or end with a space");
    assert_eq!(rule("..."), "a name needs a letter, a number or a symbol");
}

#[test]
fn a_name_is_measured_in_characters_of_its_composed_form() {
    for (character, count, right) in
        [("é", 32, true), ("e\u{301}", 32, true), ("e", 33, false), ("e\u{301}", 33, false)]
    {
        assert_eq!(name(&character.repeat(count)).is_ok(), right, "{count} of {character:?}");
    }
}

#[test]
fn a_name_is_read_as_it_was_stored() {
    for old in ["\u{3164}", "Ann\u{2800}", "Ann\u{A0}Lee", "", &"é".repeat(40)] {
        let json = serde_json::to_string(old).unwrap();
        let read: Name = serde_json::from_str(&json).unwrap();
        assert_eq!((read.as_str(), serde_json::to_string(&read).unwrap()), (old, json));
    }
}

#[test]
fn what_is_longer_than_any_name_has_no_key() {
    assert!(typed_key(&"\u{1F82}".repeat(32)).is_some());
    assert_eq!(typed_key(&"x".repeat(513)), None);
}
