//! The numbers in a text, so that two texts can be held against each other.

use std::collections::BTreeSet;

/// Every number in `text`, by its value written in one way: `1,250.50`, `1.250,50` and `1 250.5` are all `1250.5`.
///
/// A single sign before three digits groups (`1,250` and `1.250` are 1250), any other single sign is a decimal one. Digits of
/// other scripts count as theirs. Words for numbers are found in English and, as far as [`ELSEWHERE`] has it, in the language of
/// `locale`.
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
    let language = locale.split(['-', '_']).next().unwrap_or_default().to_lowercase();
    let own = ELSEWHERE.iter().find(|(tag, _)| *tag == language).map_or(&[][..], |(_, words)| *words);
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        let values = WORDS.iter().chain(own).filter(|(name, _)| *name == word);
        found.extend(values.map(|(_, value)| (*value).to_owned()));
    }
    found
}

/// Words for numbers by language. Left out is what mostly means something else: `neuf` (new), `sei` (you are), `mille` and `mil` (of
/// thanks), `once` in an English text.
const ELSEWHERE: &[(&str, &[(&str, &str)])] = &[
    (
        "de",
        &[
            ("zwei", "2"),
            ("drei", "3"),
            ("vier", "4"),
            ("fünf", "5"),
            ("sechs", "6"),
            ("sieben", "7"),
            ("acht", "8"),
            ("neun", "9"),
            ("zehn", "10"),
            ("elf", "11"),
            ("zwölf", "12"),
            ("dutzend", "12"),
            ("zwanzig", "20"),
            ("dreißig", "30"),
            ("vierzig", "40"),
            ("fünfzig", "50"),
            ("hundert", "100"),
            ("hunderte", "100"),
            ("tausende", "1000"),
        ],
    ),
    (
        "fr",
        &[
            ("deux", "2"),
            ("trois", "3"),
            ("quatre", "4"),
            ("cinq", "5"),
            ("six", "6"),
            ("sept", "7"),
            ("huit", "8"),
            ("dix", "10"),
            ("onze", "11"),
            ("douze", "12"),
            ("douzaine", "12"),
            ("quinze", "15"),
            ("vingt", "20"),
            ("trente", "30"),
            ("quarante", "40"),
            ("cinquante", "50"),
            ("cent", "100"),
            ("centaines", "100"),
            ("milliers", "1000"),
        ],
    ),
    (
        "es",
        &[
            ("dos", "2"),
            ("tres", "3"),
            ("cuatro", "4"),
            ("cinco", "5"),
            ("seis", "6"),
            ("siete", "7"),
            ("ocho", "8"),
            ("nueve", "9"),
            ("diez", "10"),
            ("doce", "12"),
            ("docena", "12"),
            ("quince", "15"),
            ("veinte", "20"),
            ("treinta", "30"),
            ("cuarenta", "40"),
            ("cincuenta", "50"),
            ("cien", "100"),
            ("cientos", "100"),
            ("miles", "1000"),
        ],
    ),
    (
        "it",
        &[
            ("due", "2"),
            ("tre", "3"),
            ("quattro", "4"),
            ("cinque", "5"),
            ("sette", "7"),
            ("otto", "8"),
            ("nove", "9"),
            ("dieci", "10"),
            ("dodici", "12"),
            ("dozzina", "12"),
            ("quindici", "15"),
            ("venti", "20"),
            ("trenta", "30"),
            ("quaranta", "40"),
            ("cinquanta", "50"),
            ("cento", "100"),
            ("centinaia", "100"),
            ("migliaia", "1000"),
        ],
    ),
    (
        "pt",
        &[
            ("dois", "2"),
            ("duas", "2"),
            ("três", "3"),
            ("quatro", "4"),
            ("cinco", "5"),
            ("seis", "6"),
            ("sete", "7"),
            ("oito", "8"),
            ("nove", "9"),
            ("dez", "10"),
            ("doze", "12"),
            ("dúzia", "12"),
            ("quinze", "15"),
            ("vinte", "20"),
            ("trinta", "30"),
            ("quarenta", "40"),
            ("cinquenta", "50"),
            ("cem", "100"),
            ("centenas", "100"),
            ("milhares", "1000"),
        ],
    ),
    (
        "nl",
        &[
            ("twee", "2"),
            ("drie", "3"),
            ("vier", "4"),
            ("vijf", "5"),
            ("zes", "6"),
            ("zeven", "7"),
            ("acht", "8"),
            ("negen", "9"),
            ("tien", "10"),
            ("elf", "11"),
            ("twaalf", "12"),
            ("dozijn", "12"),
            ("twintig", "20"),
            ("dertig", "30"),
            ("veertig", "40"),
            ("vijftig", "50"),
            ("honderd", "100"),
            ("honderden", "100"),
            ("duizenden", "1000"),
        ],
    ),
];

/// Words that say how many; `one` and `a` say it too seldom to be told apart.
const WORDS: &[(&str, &str)] = &[
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("dozen", "12"),
    ("fifteen", "15"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("sixty", "60"),
    ("seventy", "70"),
    ("eighty", "80"),
    ("ninety", "90"),
    ("hundred", "100"),
    ("hundreds", "100"),
    ("thousand", "1000"),
    ("thousands", "1000"),
    ("million", "1000000"),
    ("millions", "1000000"),
];

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
