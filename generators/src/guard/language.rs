//! Whether a short text is in the language that was asked for.
//!
//! A line of copy is too short for statistics over letters. Its script tells most languages apart; among those that share one, the
//! small words do that every sentence is held together with.

/// The scripts that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Hebrew,
    Arabic,
    Devanagari,
    Bengali,
    Tamil,
    Thai,
    Georgian,
    Kana,
    Han,
    Hangul,
}

fn script_of(c: char) -> Option<Script> {
    Some(match c {
        'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' => Script::Latin,
        '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' => Script::Greek,
        '\u{400}'..='\u{52F}' => Script::Cyrillic,
        '\u{530}'..='\u{58F}' => Script::Armenian,
        '\u{590}'..='\u{5FF}' => Script::Hebrew,
        '\u{600}'..='\u{6FF}' | '\u{750}'..='\u{77F}' | '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}' => {
            Script::Arabic
        }
        '\u{900}'..='\u{97F}' => Script::Devanagari,
        '\u{980}'..='\u{9FF}' => Script::Bengali,
        '\u{B80}'..='\u{BFF}' => Script::Tamil,
        '\u{E00}'..='\u{E7F}' => Script::Thai,
        '\u{10A0}'..='\u{10FF}' => Script::Georgian,
        '\u{3040}'..='\u{30FF}' => Script::Kana,
        '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' => Script::Han,
        '\u{1100}'..='\u{11FF}' | '\u{AC00}'..='\u{D7AF}' => Script::Hangul,
        _ => return None,
    })
}

/// The scripts that a language is written in; empty when it is not known here.
fn scripts_of(tag: &str) -> &'static [Script] {
    let mut parts = tag.split(['-', '_']);
    let language = parts.next().unwrap_or_default().to_ascii_lowercase();
    // A script of its own in the tag decides.
    for part in parts {
        match part.to_ascii_lowercase().as_str() {
            "latn" => return &[Script::Latin],
            "cyrl" => return &[Script::Cyrillic],
            "arab" => return &[Script::Arabic],
            "deva" => return &[Script::Devanagari],
            _ => {}
        }
    }
    match language.as_str() {
        "en" | "de" | "fr" | "es" | "it" | "pt" | "nl" | "sv" | "da" | "nb" | "no" | "nn" | "fi" | "pl"
        | "cs" | "sk" | "sl" | "hr" | "hu" | "ro" | "tr" | "id" | "ms" | "vi" | "et" | "lv" | "lt" | "is"
        | "ga" | "cy" | "ca" | "eu" | "gl" | "sq" | "sw" | "af" | "tl" | "fil" => &[Script::Latin],
        "el" => &[Script::Greek],
        "ru" | "uk" | "bg" | "mk" | "be" => &[Script::Cyrillic],
        "sr" => &[Script::Cyrillic, Script::Latin],
        "hy" => &[Script::Armenian],
        "he" | "yi" => &[Script::Hebrew],
        "ar" | "fa" | "ur" => &[Script::Arabic],
        "hi" | "mr" | "ne" => &[Script::Devanagari],
        "bn" => &[Script::Bengali],
        "ta" => &[Script::Tamil],
        "th" => &[Script::Thai],
        "ka" => &[Script::Georgian],
        "ja" => &[Script::Kana, Script::Han],
        "zh" | "cmn" | "yue" => &[Script::Han],
        "ko" => &[Script::Hangul],
        _ => &[],
    }
}

/// Small words by language. A word may serve several: what counts is which language most of them speak for.
const SMALL: &[(&str, &[&str])] = &[
    (
        "en",
        &[
            "the", "and", "of", "to", "you", "your", "is", "are", "we", "with", "for", "this", "that", "it",
            "have", "has", "from", "our", "welcome", "hello", "what", "here", "now", "back", "new", "let",
            "let's", "be", "can", "will",
        ],
    ),
    (
        "de",
        &[
            "der",
            "die",
            "das",
            "und",
            "ist",
            "sind",
            "du",
            "dein",
            "deine",
            "sie",
            "ihr",
            "ihre",
            "wir",
            "mit",
            "für",
            "ein",
            "eine",
            "zu",
            "von",
            "auf",
            "nicht",
            "willkommen",
            "schön",
            "dass",
            "hallo",
            "dich",
            "dir",
            "im",
            "jetzt",
        ],
    ),
    (
        "fr",
        &[
            "le",
            "la",
            "les",
            "et",
            "est",
            "vous",
            "votre",
            "vos",
            "tu",
            "ton",
            "nous",
            "avec",
            "pour",
            "un",
            "une",
            "des",
            "du",
            "dans",
            "bienvenue",
            "bonjour",
            "ce",
            "cette",
            "voici",
            "que",
            "qui",
            "plus",
            "sur",
            "au",
            "merci",
        ],
    ),
    (
        "es",
        &[
            "el",
            "los",
            "las",
            "y",
            "es",
            "son",
            "tú",
            "tu",
            "su",
            "con",
            "para",
            "una",
            "un",
            "del",
            "en",
            "que",
            "por",
            "bienvenido",
            "bienvenida",
            "hola",
            "este",
            "esta",
            "más",
            "gracias",
            "aquí",
            "está",
            "te",
            "nuestro",
        ],
    ),
    (
        "it",
        &[
            "il",
            "lo",
            "gli",
            "e",
            "è",
            "sono",
            "tu",
            "tuo",
            "tua",
            "con",
            "per",
            "una",
            "un",
            "del",
            "della",
            "che",
            "di",
            "benvenuto",
            "benvenuta",
            "ciao",
            "questo",
            "questa",
            "più",
            "grazie",
            "ecco",
            "nel",
            "ti",
        ],
    ),
    (
        "pt",
        &[
            "o",
            "os",
            "as",
            "e",
            "é",
            "são",
            "você",
            "seu",
            "sua",
            "com",
            "para",
            "uma",
            "um",
            "do",
            "da",
            "que",
            "por",
            "bem-vindo",
            "bem-vinda",
            "olá",
            "este",
            "esta",
            "mais",
            "obrigado",
            "obrigada",
            "não",
            "nosso",
        ],
    ),
    (
        "nl",
        &[
            "de", "het", "een", "en", "is", "zijn", "jij", "je", "jouw", "u", "uw", "wij", "we", "met",
            "voor", "van", "op", "niet", "welkom", "hallo", "dit", "deze", "nu", "meer", "dank", "bij",
            "naar",
        ],
    ),
    (
        "sv",
        &[
            "och",
            "är",
            "du",
            "din",
            "ditt",
            "vi",
            "med",
            "för",
            "en",
            "ett",
            "av",
            "på",
            "inte",
            "välkommen",
            "hej",
            "det",
            "den",
            "här",
            "nu",
            "mer",
            "tack",
            "till",
            "från",
            "som",
        ],
    ),
    (
        "da",
        &[
            "og",
            "er",
            "du",
            "din",
            "dit",
            "vi",
            "med",
            "for",
            "en",
            "et",
            "af",
            "på",
            "ikke",
            "velkommen",
            "hej",
            "det",
            "den",
            "her",
            "nu",
            "mere",
            "tak",
            "til",
            "fra",
            "som",
        ],
    ),
    (
        "pl",
        &[
            "i",
            "w",
            "na",
            "z",
            "do",
            "jest",
            "są",
            "ty",
            "twój",
            "twoja",
            "my",
            "dla",
            "nie",
            "witaj",
            "witamy",
            "cześć",
            "to",
            "ten",
            "ta",
            "więcej",
            "dziękujemy",
            "się",
            "że",
            "o",
        ],
    ),
];

/// Nothing unless `text` is clearly in another language than that of `tag`; `names` are words that belong to no language.
///
/// # Errors
/// What gives it away.
pub(super) fn check(text: &str, tag: &str, names: &dyn Fn(&str) -> bool) -> Result<(), String> {
    let words: Vec<String> = text
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’' | '-')))
        .map(|word| word.replace('’', "'").to_lowercase())
        .filter(|word| !word.is_empty() && !names(word))
        .collect();
    let expected = scripts_of(tag);
    let (mut right, mut wrong) = (0, 0);
    for script in words.iter().flat_map(|word| word.chars()).filter_map(script_of) {
        match expected.contains(&script) {
            true => right += 1,
            false => wrong += 1,
        }
    }
    // A brand's name in Latin letters is at home in every script.
    if !expected.is_empty() && wrong > right + 3 {
        return Err(format!("it is not in the script of the language {tag:?}"));
    }
    let language = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let language = if matches!(language.as_str(), "nb" | "no" | "nn") { "da".to_owned() } else { language };
    let count = |small: &[&str]| words.iter().filter(|word| small.contains(&word.as_str())).count();
    let Some((_, own)) = SMALL.iter().find(|(name, _)| *name == language) else {
        return Ok(());
    };
    let own = count(own);
    let strongest =
        SMALL.iter().filter(|(name, _)| *name != language).map(|(name, small)| (count(small), *name)).max();
    match strongest {
        // Two small words more than its own language has are no accident.
        Some((others, name)) if others >= own + 2 => {
            Err(format!("it reads like {name:?}, and {tag:?} is asked for"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart() {
        let table = [
            ("Welcome back, Maria! It is good to see you.", "en", true),
            ("Welcome back, Maria! It is good to see you.", "de", false),
            ("Welcome back, Maria! It is good to see you.", "fr-CA", false),
            ("Willkommen zurück, Maria! Schön, dass du da bist.", "de-AT", true),
            ("Willkommen zurück, Maria! Schön, dass du da bist.", "en", false),
            ("Bonjour Maria, voici votre offre pour cette semaine.", "fr", true),
            ("Bonjour Maria, voici votre offre pour cette semaine.", "it", false),
            ("Hola María, gracias por estar con nosotros.", "es", true),
            ("Hola María, gracias por estar con nosotros.", "en", false),
            ("Привет, Мария!", "ru", true),
            ("Привет, Мария!", "en", false),
            ("Hello, how are you today", "ja", false),
            ("マリアさん、ようこそ", "ja", true),
            ("مرحبا يا ماريا", "ar", true),
            ("مرحبا يا ماريا", "en", false),
            // Too little to tell, and languages without a list: nothing is refused.
            ("Maria!", "de", true),
            ("Super!", "fr", true),
            ("Kaixo Maria, ongi etorri.", "eu", true),
            ("Något helt annat", "da", true),
        ];
        for (text, tag, expected) in table {
            assert_eq!(check(text, tag, &|_| false).is_ok(), expected, "{text} as {tag}");
        }
    }
}
