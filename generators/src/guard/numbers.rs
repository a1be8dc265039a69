//! The numbers in a text, so that two texts can be held against each other.

mod words;

use std::collections::BTreeSet;

/// Every number in `text`, by its value written in one way: `1,250.50`, `1.250,50` and `1 250.5` are all `1250.5`.
///
/// A single sign before three digits groups (`1,250` and `1.250` are 1250), any other single sign is a decimal one. Digits of
/// other scripts count as theirs. Words for numbers are found in English and in the language of `locale`, if it is one of those of
/// [`words`].
pub(super) fn numbers(text: &str, locale: &str) -> BTreeSet<String> {
    let chars: Vec<char> = text.chars().map(|c| digit(c).unwrap_or(c)).collect();
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at < chars.len() {
        if !chars[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < chars.len()
            && (chars[at].is_ascii_digit()
                || (is_separator(chars[at])
                    && chars.get(at + 1).is_some_and(char::is_ascii_digit)
                    && (!chars[at].is_whitespace() || groups_after(&chars, at))))
        {
            at += 1;
        }
        found.insert(value(&chars[start..at]));
    }
    found.extend(words::spoken(text, locale).into_iter().map(|value| value.to_string()));
    found
}

/// Whether `fact` is a number in digits and nothing else.
pub(super) fn is_number(fact: &str) -> bool {
    let fact = fact.trim();
    fact.chars().any(|c| c.is_ascii_digit()) && fact.chars().all(|c| c.is_ascii_digit() || is_separator(c))
}

/// ASCII's digit for one of another script.
fn digit(c: char) -> Option<char> {
    // Zeros of Unicode's decimal digits in scripts that are written with them today.
    const ZEROS: &[u32] = &[
        0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66,
        0x0E50, 0x0ED0, 0x1040, 0xFF10,
    ];
    let code = u32::from(c);
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}

fn is_separator(c: char) -> bool {
    matches!(c, '.' | ',' | '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\u{066b}' | '\u{066c}')
}

/// Whether the space at `at` stands before exactly three digits: `1 250`, but not `2 30`.
fn groups_after(chars: &[char], at: usize) -> bool {
    let digits = chars[at + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
    digits == 3
}

fn value(written: &[char]) -> String {
    let separators: Vec<usize> =
        (0..written.len()).filter(|index| !written[*index].is_ascii_digit()).collect();
    let decimal = separators.last().copied().filter(|last| {
        let after = written.len() - last - 1;
        let repeated = separators.iter().filter(|index| written[**index] == written[*last]).count() > 1;
        let only = separators.len() == 1;
        let thousands = repeated || (only && after == 3) || written[*last].is_whitespace();
        !thousands
    });
    let digits = |range: &[char]| range.iter().filter(|c| c.is_ascii_digit()).collect::<String>();
    let (whole, fraction) = match decimal {
        Some(at) => (digits(&written[..at]), digits(&written[at..])),
        None => (digits(written), String::new()),
    };
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_value() {
        let table: &[(&str, &[&str])] = &[
            ("no number", &[]),
            ("for $1,250.50 or 1.250,50 € or 1 250.5", &["1250.5"]),
            ("1,250 and 1.250 and 1'250", &["1250"]),
            ("$1.50 is not $150", &["1.5", "150"]),
            ("1,234,567", &["1234567"]),
            ("from 2 to 30", &["2", "30"]),
            ("50% off, 24/7", &["24", "50", "7"]),
            ("007 and 7.0", &["7"]),
            ("٣ and ３ and ३", &["3"]),
            ("two of a dozen", &["12", "2"]),
            ("often, tension, weight", &[]),
            ("at 19:30.", &["19", "30"]),
            ("v2.", &["2"]),
        ];
        for (text, expected) in table {
            assert_eq!(
                numbers(text, "en").iter().map(String::as_str).collect::<Vec<_>>(),
                *expected,
                "{text}"
            );
        }
    }

    #[test]
    fn words_count_in_their_language() {
        for (text, locale, expected) in [
            ("Noch ZWEI Kurse", "de-AT", &["2"][..]),
            ("Noch zwei Kurse", "fr", &[]),
            ("Plus que trois jours", "fr", &["3"]),
            ("Tu formation est neuf", "fr", &[]),
            ("Te quedan dos cursos", "es_MX", &["2"]),
            ("Ti restano dieci corsi: sei pronta?", "it", &["10"]),
            ("Faltam três cursos", "pt-BR", &["3"]),
            ("Nog twee cursussen", "nl", &["2"]),
            ("Two courses, kurz", "de", &["2"]),
        ] {
            assert_eq!(
                numbers(text, locale).iter().map(String::as_str).collect::<Vec<_>>(),
                expected,
                "{text}"
            );
        }
    }
}
