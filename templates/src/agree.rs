//! Words in a phrase that agree with the viewer: `[gender: f=Liebe | m=Lieber | other=Hallo]`.
//!
//! A choice names what it agrees with (an entry of `agree`) and gives one wording for each value that matters. A number is
//! met by itself, then by its plural category in the viewer's language (CLDR: `zero`, `one`, `two`, `few`, `many`), then by `other`.

use serde_json::json;

use crate::expr::{Expression, Locale};
use crate::template::read::is_name;

/// A phrase, cut at its choices.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part<'a> {
    /// Words, and whatever else the phrase may hold.
    Words(&'a str),
    /// One of several wordings.
    Choice { name: &'a str, options: Vec<(&'a str, &'a str)> },
}

/// The phrase cut at its choices.
///
/// # Errors
/// What is wrong with a choice, and what would be right.
pub(crate) fn parts(phrase: &str) -> Result<Vec<Part<'_>>, (String, String)> {
    let mut parts = Vec::new();
    let (mut rest, mut from) = (phrase, 0);
    while let Some(open) = rest[from..].find('[').map(|at| from + at) {
        if rest[open..].starts_with("[[") {
            from = open + 2;
            continue;
        }
        let inside = &rest[open + 1..];
        let named = inside.split_once(':').filter(|(name, _)| is_name(name.trim()));
        let Some((name, after)) = named else {
            from = open + 1;
            continue;
        };
        let name = name.trim();
        let Some(close) = after.find(']') else {
            return Err((format!("`[{name}:` has no end"), "close it with `]`".into()));
        };
        let mut options = Vec::new();
        for option in after[..close].split('|') {
            let Some((key, words)) = option.split_once('=') else {
                let hint = format!("write [{name}: one=… | other=…]");
                return Err((format!("a choice in `[{name}: …]` has no `=`"), hint));
            };
            options.push((key.trim(), words.trim()));
        }
        if !options.iter().any(|(key, _)| *key == "other") {
            let hint = "what is shown when nothing else fits is written `other=…`".to_owned();
            return Err((format!("`[{name}: …]` has no `other`"), hint));
        }
        parts.push(Part::Words(&rest[..open]));
        parts.push(Part::Choice { name, options });
        rest = &after[close + 1..];
        from = 0;
    }
    parts.push(Part::Words(rest));
    Ok(parts)
}

/// The wording for `value`.
pub(crate) fn choose<'a>(options: &[(&str, &'a str)], value: &str, locale: &Locale) -> &'a str {
    let find = |wanted: &str| {
        options.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, words)| *words)
    };
    let value = value.trim();
    find(value).or_else(|| find(&category(value, locale)?)).or_else(|| find("other")).unwrap_or_default()
}

/// The plural category of a number.
fn category(value: &str, locale: &Locale) -> Option<String> {
    let number: f64 = value.parse().ok().filter(|number: &f64| number.is_finite())?;
    // The helper of the language knows the rules, so that both always say the same.
    const ASK: &str =
        "{{plural n zero=\"zero\" one=\"one\" two=\"two\" few=\"few\" many=\"many\" other=\"other\"}}";
    let number =
        if number.fract() == 0.0 && number.abs() < 1e15 { json!(number as i64) } else { json!(number) };
    Expression::parse(ASK).ok()?.render(&json!({ "n": number }), locale).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(phrase: &str, value: &str, locale: &str) -> String {
        let locale = Locale::parse(locale).unwrap();
        let parts = parts(phrase).unwrap();
        let words = parts.iter().map(|part| match part {
            Part::Words(words) => *words,
            Part::Choice { options, .. } => choose(options, value, &locale),
        });
        words.collect()
    }

    #[test]
    fn words_agree() {
        let dear = "[g: f=Liebe | m=Lieber | other=Hallo] du";
        let seats = "[n: 0=no seat | one=one seat | other=seats] left";
        let russian = "[n: one=место | few=места | many=мест | other=места]";
        for (phrase, value, locale, expected) in [
            (dear, "f", "de", "Liebe du"),
            (dear, "M", "de", "Lieber du"),
            (dear, "", "de", "Hallo du"),
            (seats, "0", "en", "no seat left"),
            (seats, "1", "en", "one seat left"),
            (seats, "5", "en", "seats left"),
            (russian, "1", "ru", "место"),
            (russian, "3", "ru", "места"),
            (russian, "5", "ru", "мест"),
            (russian, "21", "ru", "место"),
            ("[rule] and [[x: y]]", "f", "en", "[rule] and [[x: y]]"),
        ] {
            assert_eq!(filled(phrase, value, locale), expected, "{phrase} with {value:?}");
        }
    }

    #[test]
    fn faults_say_what_would_be_right() {
        for (phrase, expected) in
            [("[g: f=a", "has no end"), ("[g: f=a | m=b]", "has no `other`"), ("[g: f=a | b]", "has no `=`")]
        {
            let (message, _) = parts(phrase).unwrap_err();
            assert!(message.contains(expected), "{phrase}: {message}");
        }
    }
}
