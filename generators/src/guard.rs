//! The last look at generated copy before a viewer may see it.
//!
//! A person's own words ([`check_text`]) are only cleaned and measured. What a machine wrote ([`judge`]) has to prove itself:
//! it says every fact that was asked for, no number and no name that nobody gave it, in the right language, decently.

mod judge;
mod language;
mod names;
mod numbers;
mod words;

pub(crate) use judge::{Measure, judge};
pub(crate) use names::Others;
pub use words::WordLists;

/// The text as it may be shown: control characters and direction overrides gone, white space single.
///
/// # Errors
/// Why it must not be shown: empty, longer than `max_chars`, or with the marks of a template that was not
/// filled.
pub(crate) fn check_text(text: &str, max_chars: usize) -> Result<String, String> {
    let clean = clean(text);
    if clean.is_empty() {
        return Err("it is empty".to_owned());
    }
    if let Some(mark) = leftover(&clean) {
        return Err(format!("it holds `{mark}`, which looks like a value that was never filled in"));
    }
    let length = count_chars(&clean);
    if length > max_chars {
        return Err(format!("it has {length} characters, and at most {max_chars} fit"));
    }
    Ok(clean)
}

/// `text` without control characters and without characters that change the direction of what follows;
/// runs of white space become one space, ends are trimmed.
pub(crate) fn clean(text: &str) -> String {
    let visible: String = text
        .chars()
        .filter_map(|c| match c {
            c if c.is_whitespace() => Some(' '),
            c if c.is_control() => None,
            // Overrides, embeddings and isolates would reorder the words around them; byte order marks and
            // interlinear marks have no place in a line. Joiners (U+200C, U+200D) stay: scripts need them.
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' => None,
            c => Some(c),
        })
        .collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// [`clean`] for what goes to a model: invisible characters go, too, in which a text can be hidden from people.
pub(crate) fn clean_data(text: &str) -> String {
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    clean(&visible)
}

/// Whether nobody sees this character, though a machine reads it. Joiners are none: scripts need them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}' | '\u{2029}'
        | '\u{2060}'..='\u{2064}' | '\u{206A}'..='\u{206F}' | '\u{E000}'..='\u{F8FF}' | '\u{E0000}'..='\u{E0FFF}'
        | '\u{F0000}'..)
}

/// Whether a text holds characters that change the direction of what follows.
fn overrides_direction(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'))
}

/// User-perceived characters, approximately: code points that do not combine with the one before.
///
/// Combining marks of the common blocks, variation selectors, emoji modifiers, joined emoji and pairs of
/// regional indicators count as part of the character they belong to.
pub(crate) fn count_chars(text: &str) -> usize {
    let mut count = 0;
    let mut joined = false;
    let mut flag_open = false;
    for c in text.chars() {
        let extends = matches!(c,
            '\u{0300}'..='\u{036F}' | '\u{0483}'..='\u{0489}' | '\u{0591}'..='\u{05BD}'
            | '\u{064B}'..='\u{065F}' | '\u{0670}' | '\u{093C}' | '\u{093E}'..='\u{094D}'
            | '\u{0E31}' | '\u{0E34}'..='\u{0E3A}' | '\u{0E47}'..='\u{0E4E}'
            | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{200C}' | '\u{200D}'
            | '\u{20D0}'..='\u{20FF}' | '\u{FE00}'..='\u{FE0F}' | '\u{1F3FB}'..='\u{1F3FF}');
        let flag = matches!(c, '\u{1F1E6}'..='\u{1F1FF}');
        let second_of_flag = flag && flag_open;
        if !extends && !joined && !second_of_flag {
            count += 1;
        }
        flag_open = flag && !second_of_flag;
        joined = c == '\u{200D}';
    }
    count
}

/// A piece of `text` that shows that it was not filled in, if there is one.
fn leftover(text: &str) -> Option<String> {
    // The last two stand around data in what models are told.
    for mark in ["{{", "}}", "${", "<%", "%>", "[object Object]", "<|", "|>", "{0}", "{}", "__", "⟦", "⟧"]
    {
        if text.contains(mark) {
            return Some(mark.to_owned());
        }
    }
    // As programs fill in; `50%discount` is none.
    for mark in ["%s", "%d"] {
        let stands_alone = |at: usize| {
            let after = text[at + mark.len()..].chars().next();
            !text[..at].ends_with(|c: char| c.is_numeric()) && !after.is_some_and(char::is_alphanumeric)
        };
        if text.match_indices(mark).any(|(at, _)| stands_alone(at)) {
            return Some(mark.to_owned());
        }
    }
    // `[name]`, `[FIRST NAME]`, `<name>`, `{name}`: brackets around words.
    for (open, close) in [('[', ']'), ('<', '>'), ('{', '}')] {
        let mut rest = text;
        while let Some(start) = rest.find(open) {
            rest = &rest[start + open.len_utf8()..];
            let Some(end) = rest.find(close) else { break };
            let inside = &rest[..end];
            // `3 < 5 and 7 > 2` is a comparison, `<name>` is not.
            let inside = if open == '[' { inside.trim() } else { inside };
            let wordy = inside.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.'));
            if wordy && inside.starts_with(char::is_alphabetic) {
                return Some(format!("{open}…{close}"));
            }
        }
    }
    // As whole words only, and in the case that programs write them: someone may be called Null.
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .find(|word| matches!(*word, "undefined" | "null" | "NaN"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_copy_is_refused() {
        let table = [
            ("handlebars", "Hi {{first_name}}!"),
            ("square placeholder", "Hi [NAME]!"),
            ("square placeholder with space", "Hi [first name]!"),
            ("angle placeholder", "Hi <name>!"),
            ("curly placeholder", "Hi {name}!"),
            ("printf", "Hi %s!"),
            ("blank to fill in", "Hi ____!"),
            ("marks of data", "Hi ⟦Maria"),
            ("undefined", "Hi undefined!"),
            ("null", "Your plan: null"),
            ("NaN", "You saved NaN%"),
            ("script object", "Hi [object Object]"),
            ("empty", ""),
            ("only control characters", "\u{0}\u{7}\u{202E}"),
            ("too long", "This line is much too long to fit into its box"),
        ];
        for (name, text) in table {
            assert!(check_text(text, 30).is_err(), "{name}");
        }
    }

    #[test]
    fn usable_copy_passes() {
        let table = [
            ("plain", "Hello, Maria!", "Hello, Maria!"),
            ("a person called Null", "Hello, Jennifer Null!", "Hello, Jennifer Null!"),
            ("annulled is no null", "annulled, nullify", "annulled, nullify"),
            ("comparison", "3 < 5 and 7 > 2", "3 < 5 and 7 > 2"),
            ("numbers in brackets", "See [1]", "See [1]"),
            ("control characters go", "He\u{0}l\u{8}lo\u{202E} you", "Hello you"),
            ("white space is single", "  a\n\t b  ", "a b"),
            ("arabic", "مرحبا يا ماريا", "مرحبا يا ماريا"),
        ];
        for (name, text, expected) in table {
            assert_eq!(check_text(text, 30).as_deref(), Ok(expected), "{name}");
        }
    }

    #[test]
    fn characters_are_counted_as_people_see_them() {
        let table = [
            ("ascii", "abc", 3),
            ("combining accent", "e\u{301}a", 2),
            ("family emoji", "👨‍👩‍👧", 1),
            ("flags", "🇩🇪🇫🇷", 2),
            ("skin tone", "👍🏽", 1),
            ("devanagari", "नमस्ते", 4),
        ];
        for (name, text, expected) in table {
            // Devanagari's conjunct सते counts its parts: the estimate never comes out too low by it.
            assert_eq!(count_chars(text), expected, "{name}");
        }
    }
}
