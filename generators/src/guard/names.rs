//! That nobody is shown what is about somebody else.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

/// What is remembered of viewers, at most; some 4 MB.
const MOST: usize = 1 << 18;

/// The personal words of the viewers that an engine has worked for, as numbers from which no word can be had back: they are made
/// with a key that is drawn anew for each engine.
#[derive(Default)]
pub(crate) struct Others {
    key: RandomState,
    words: Mutex<HashSet<u64>>,
}

impl Others {
    /// Remembers the words in the personal values of one viewer.
    pub(crate) fn note(&self, values: &[String]) {
        if values.is_empty() {
            return;
        }
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        for word in values.iter().flat_map(|value| personal_words(value)) {
            if words.len() >= MOST {
                words.clear();
            }
            words.insert(self.key.hash_one(word.to_lowercase()));
        }
    }

    /// Whether a viewer is known by this word.
    fn knows(&self, word: &str) -> bool {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.contains(&self.key.hash_one(word.to_lowercase()))
    }
}

/// The words of a value by which somebody could be known: names, addresses, identifiers.
fn personal_words(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| !is_word(c)).filter(|word| word.chars().count() >= 2)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\'' | '’' | '-' | '@' | '_')
}

/// A word of a text, and how it stands there.
struct Word<'a> {
    text: &'a str,
    /// Whether a sentence begins with it.
    first: bool,
    /// The sign right after it, if it is one that parts whom is spoken to from the rest.
    after: Option<char>,
    /// Whether a comma stands right before it.
    after_comma: bool,
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let (mut first, mut comma) = (true, false);
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        for sign in rest[..start].chars() {
            first |= matches!(sign, '.' | '!' | '?' | ':' | '…' | '。' | '"' | '“');
            comma |= matches!(sign, ',' | '、' | '،');
        }
        rest = &rest[start..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = rest[..end].trim_end_matches(['\'', '’']);
        let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
        let after =
            rest[end..].chars().next().filter(|c| matches!(c, ',' | '!' | '.' | '?' | '、' | '،' | '…'));
        words.push(Word { text: word, first, after, after_comma: comma });
        (first, comma) = (false, false);
        rest = &rest[end..];
    }
    words
}

fn is_capitalised(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(char::is_uppercase) && chars.any(char::is_alphabetic)
}

/// Words after which somebody is named.
const GREETINGS: &[&str] = &[
    "hi",
    "hello",
    "hey",
    "dear",
    "welcome",
    "thanks",
    "congratulations",
    "goodbye",
    "mr",
    "mrs",
    "ms",
    "dr",
    "hallo",
    "liebe",
    "lieber",
    "willkommen",
    "danke",
    "bonjour",
    "bienvenue",
    "merci",
    "cher",
    "chère",
    "salut",
    "hola",
    "bienvenido",
    "bienvenida",
    "gracias",
    "querido",
    "querida",
    "ciao",
    "benvenuto",
    "benvenuta",
    "olá",
    "hej",
];
/// Words with a capital after a greeting that name nobody.
const NOBODY: &[&str] = &[
    "back",
    "aboard",
    "home",
    "again",
    "there",
    "everyone",
    "everybody",
    "friend",
    "friends",
    "to",
    "and",
    "you",
    "your",
    "team",
    "all",
    "world",
    "the",
    "our",
    "for",
    "new",
    "on",
    "in",
    "at",
    "sir",
    "madam",
    "i",
    "we",
    "it",
    "this",
    "that",
    "here",
    "today",
    "zurück",
    "mr",
];

/// Nothing when `text` names nobody but its viewer; `told` says whether a word was given to whoever wrote the text.
///
/// # Errors
/// What kind of name it is, without repeating it.
pub(super) fn check(text: &str, told: &dyn Fn(&str) -> bool, others: &Others) -> Result<(), String> {
    let words = words(text);
    for (index, word) in words.iter().enumerate() {
        if told(word.text) || word.text.chars().count() < 2 {
            continue;
        }
        let spoken_to = word.after_comma && word.after.is_some() || word.first && word.after == Some(',');
        // A name that is also a word ("Will", "Grace") is a name where it is written like one.
        let like_a_name = is_capitalised(word.text) && (!word.first || spoken_to);
        let is_identifier = word.text.chars().any(|c| c.is_numeric() || matches!(c, '@' | '_'));
        let caseless = word.text.chars().all(|c| !c.is_uppercase() && !c.is_lowercase());
        if (like_a_name || is_identifier || caseless) && others.knows(word.text) {
            return Err("it holds what is personal to another viewer".to_owned());
        }
        let greeted = index.checked_sub(1).is_some_and(|before| {
            GREETINGS.contains(&words[before].text.to_lowercase().as_str()) && !word.first
        });
        let nobody = NOBODY.contains(&word.text.to_lowercase().as_str());
        if greeted && is_capitalised(word.text) && !nobody {
            return Err("it greets somebody by a name that was not given".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_elses_name_is_shown() {
        let others = Others::default();
        for values in [&["Jonas Müller"][..], &["Will", "will.t@example.com"], &["V-1042"], &["美咲"]] {
            others.note(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        }
        let table = [
            ("her own name", "Hello Maria!", true),
            ("another's name", "Good to see you, Jonas!", false),
            ("another's family name", "The Müller family sends greetings", false),
            ("a possessive", "It is in Jonas's garden", false),
            ("a name that is a word", "You will love it. Will you come?", true),
            ("a name that is a word, as a name", "Good to see you, Will!", false),
            ("an identifier", "Your number is V-1042", false),
            ("a name without capitals", "ようこそ、美咲。", false),
            ("an unknown name that is greeted", "Hello Jennifer, good to see you", false),
            ("a known word that is greeted", "Welcome Back, Maria!", true),
            ("German nouns", "Schön, dass du im Kurs bist", true),
            ("a new sentence after a greeting", "Welcome! Your class begins", true),
        ];
        for (name, text, expected) in table {
            let told = |word: &str| word == "Maria";
            assert_eq!(check(text, &told, &others).is_ok(), expected, "{name}: {text}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let others = Others::default();
        let values: Vec<String> = (0..1000).map(|n| format!("Name{n}")).collect();
        for _ in 0..400 {
            others.note(&values);
        }
        assert!(others.words.lock().unwrap().len() <= MOST);
        assert!(others.knows("name7"));
    }
}
