//! Words that are never shown, and names that only look like them.

use std::collections::BTreeSet;

use rustrict::{Censor, Type};
use vignette_templates::blob::Digest;

/// Names of people and places that word filters take for something else. They are always allowed, in any case.
const NAMES: &[&str] = &[
    "Dick",
    "Dicks",
    "Dickens",
    "Dickinson",
    "Dickson",
    "Fanny",
    "Hancock",
    "Hitchcock",
    "Babcock",
    "Alcock",
    "Adcock",
    "Cockburn",
    "Cocker",
    "Cox",
    "Peacock",
    "Middlesex",
    "Essex",
    "Sussex",
    "Wessex",
    "Scunthorpe",
    "Penistone",
    "Lightwater",
    "Clitheroe",
    "Cummings",
    "Cumming",
    "Cumberland",
    "Randy",
    "Willy",
    "Gaylord",
    "Gay",
    "Gaye",
    "Assis",
    "Bassett",
    "Glasscock",
    "Kuntz",
    "Kunta",
    "Titus",
    "Tit",
    "Titia",
    "Wang",
    "Dong",
    "Phuc",
    "Phuoc",
    "Bich",
    "Suk",
    "Shitake",
    "Moby-Dick",
];

/// Those of them that are also words for something else: they are allowed only where they are written as names are.
const ALSO_WORDS: &[&str] =
    &["Dick", "Dicks", "Fanny", "Willy", "Randy", "Tit", "Cumming", "Wang", "Dong", "Suk", "Cocker"];

/// Words that the filter, which knows English best, lets pass in other languages.
const ELSEWHERE: &[&str] = &[
    "arschloch",
    "hurensohn",
    "wichser",
    "fotze",
    "scheiße",
    "scheisse",
    "putain",
    "connard",
    "connasse",
    "salope",
    "enculé",
    "merde",
    "puta",
    "puto",
    "mierda",
    "cabrón",
    "coño",
    "gilipollas",
    "hijo de puta",
    "cazzo",
    "stronzo",
    "puttana",
    "vaffanculo",
    "caralho",
    "foda-se",
    "klootzak",
    "kurwa",
    "chuj",
    "блядь",
    "сука",
    "хуй",
    "fitta",
    "kusse",
];

/// Words of one's own besides those of the built-in filter.
#[derive(Clone, Debug, Default)]
pub struct WordLists {
    block: BTreeSet<String>,
    allow: BTreeSet<String>,
}

impl WordLists {
    /// `block` are never shown, whatever else allows them; `allow` always pass. Both mean whole words or phrases, in any case.
    pub fn new(block: &[String], allow: &[String]) -> Self {
        let normal = |words: &[String]| {
            words
                .iter()
                .map(|word| super::clean(word).to_lowercase())
                .filter(|word| !word.is_empty())
                .collect()
        };
        WordLists { block: normal(block), allow: normal(allow) }
    }

    /// Names the lists by what stands in them.
    pub(crate) fn digest(&self) -> Digest {
        let mut form = String::new();
        for (list, words) in [("block", &self.block), ("allow", &self.allow)] {
            form.push_str(&format!("{list} {}\n", words.len()));
            words.iter().for_each(|word| form.push_str(&format!("{} {word}\n", word.len())));
        }
        Digest::of(form.as_bytes())
    }

    /// Nothing when `text` can be shown to anybody; `own` are names of the viewer herself, which she may be called by.
    ///
    /// # Errors
    /// What it holds, without repeating it.
    pub(super) fn check(&self, text: &str, own: &[String]) -> Result<(), String> {
        let lower = format!(" {} ", spaced(text));
        if self.block.iter().any(|word| lower.contains(&format!(" {} ", spaced(word)))) {
            return Err("it holds a word of the configuration's block list".to_owned());
        }
        let allowed = |word: &str| self.allow.contains(word);
        if ELSEWHERE.iter().any(|word| !allowed(word) && lower.contains(&format!(" {} ", spaced(word)))) {
            return Err("the word filter finds profanity in it".to_owned());
        }
        // What is allowed is taken out before the filter looks.
        let mut seen = text.to_owned();
        let own = own.iter().flat_map(|name| name.split_whitespace());
        for word in NAMES {
            seen = without_word(&seen, word, ALSO_WORDS.contains(word));
        }
        for word in self.allow.iter().map(String::as_str).chain(own) {
            seen = without_word(&seen, word, false);
        }
        let found = Censor::from_str(&seen).analyze();
        let kind = [
            (Type::PROFANE, "profanity"),
            (Type::OFFENSIVE, "an offence"),
            (Type::SEXUAL, "something sexual"),
            (Type::MEAN & Type::MODERATE_OR_HIGHER, "an insult"),
        ];
        match kind.into_iter().find(|(kind, _)| found.is(*kind & Type::MODERATE_OR_HIGHER)) {
            Some((_, name)) => Err(format!("the word filter finds {name} in it")),
            None => Ok(()),
        }
    }
}

/// Lower-case words with one space between them.
fn spaced(text: &str) -> String {
    let words = text.to_lowercase();
    let words: Vec<&str> =
        words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// `text` with every whole word that is `word`, in any case, replaced by a harmless one; with `as_name` only where it has a capital
/// letter first and small ones after it.
fn without_word(text: &str, word: &str, as_name: bool) -> String {
    if word.is_empty() {
        return text.to_owned();
    }
    let (lower, word) = (text.to_lowercase(), word.to_lowercase());
    // Lower-casing may change lengths in a few scripts; then nothing is taken out, and the filter sees all.
    if lower.len() != text.len() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in lower.match_indices(&word) {
        let end = at + word.len();
        let before = lower[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        let after = lower[end..].chars().next().is_some_and(char::is_alphanumeric);
        if at < from || before || after || !text.is_char_boundary(at) || !text.is_char_boundary(end) {
            continue;
        }
        if as_name && !is_written_as_name(&text[at..end]) {
            continue;
        }
        out.push_str(&text[from..at]);
        out.push_str("it");
        from = end;
    }
    out.push_str(&text[from..]);
    out
}

/// Whether a word begins with a capital letter and has small ones, too: an insult is not made a name by shouting it.
fn is_written_as_name(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase) && word.chars().any(char::is_lowercase)
}

/// What a model says that will not or cannot write, or that talks about its task instead of doing it.
pub(super) fn refusal(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase().replace('’', "'");
    const ABOUT_ITSELF: &[&str] = &[
        "as an ai",
        "as a language model",
        "language model",
        "i am an ai",
        "i'm an ai",
        "als ki",
        "als sprachmodell",
        "en tant qu'ia",
        "modèle de langage",
        "como modelo de lenguaje",
        "como ia",
        "come modello linguistico",
        "openai",
        "knowledge cutoff",
    ];
    if ABOUT_ITSELF.iter().any(|phrase| lower.contains(phrase)) {
        return Some("the model speaks of itself");
    }
    const CANNOT: &[&str] = &[
        "i cannot",
        "i can't",
        "i can not",
        "i'm unable to",
        "i am unable to",
        "i'm not able to",
        "i won't",
        "i'm sorry, but",
        "i am sorry, but",
        "ich kann nicht",
        "je ne peux pas",
        "no puedo",
    ];
    const TASKS: &[&str] = &[
        "help",
        "assist",
        "do that",
        "provide",
        "write",
        "create",
        "generate",
        "comply",
        "fulfill",
        "fulfil",
        "answer",
        "continue",
        "that request",
    ];
    if let Some(at) = CANNOT.iter().find_map(|phrase| lower.find(phrase))
        && (TASKS.iter().any(|task| lower[at..].contains(task)) || lower.contains("sorry, but i"))
    {
        return Some("the model refuses to write it");
    }
    const ABOUT_THE_TASK: &[&str] = &[
        "here is a ",
        "here's a ",
        "here are ",
        "sure, here",
        "sure! here",
        "certainly!",
        "version 1",
        "option 1",
        "{\"",
        "```",
        "ignore previous",
        "system prompt",
    ];
    let talks = ABOUT_THE_TASK.iter().find(|phrase| lower.contains(**phrase))?;
    // `Here is a gift` is copy; `Here is a line:` is not.
    let only_with_colon = talks.starts_with("here");
    (!only_with_colon || lower.contains(':')).then_some("the model talks about its task")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indecent_words_are_found() {
        let lists = WordLists::default();
        for text in [
            "What the fuck, Maria",
            "You are a stupid bitch",
            "sh1t happens",
            "Go f u c k yourself",
            "Eres una puta",
            "Du Arschloch",
            "Do not be a dick, Maria",
            "SUCK MY DICK",
        ] {
            assert!(lists.check(text, &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn names_and_copy_pass() {
        let lists = WordLists::default();
        for text in [
            "Welcome, Dick!",
            "Fanny, your seat is saved.",
            "Herbie Hancock plays in Middlesex",
            "Good news for Scunthorpe",
            "Dear Ms Cockburn, welcome to Essex",
            "Your class starts at nine, Randy",
            "An assessment of your assets",
            "Cocktails at the Peacock, Mr Dickens",
            "Your therapist will see you",
            "WELCOME TO MIDDLESEX, MR HANCOCK",
            "For all of sussex",
            "Welcome back, Maria! Your plan is ready.",
            "Schön, dass du da bist, Fanny.",
            "Ta formation commence lundi, Dick.",
        ] {
            assert_eq!(lists.check(text, &[]), Ok(()), "{text}");
        }
    }

    #[test]
    fn lists_of_ones_own() {
        let lists = WordLists::new(&["Acme Corp".into(), "cheap".into()], &["Shitterton".into()]);
        assert!(lists.check("Better than ACME  corp!", &[]).is_err());
        assert!(lists.check("It is cheap.", &[]).is_err());
        assert_eq!(lists.check("Cheapside is a street", &[]), Ok(()));
        assert_eq!(lists.check("A house in Shitterton", &[]), Ok(()));
        assert_eq!(lists.check("Hello Shitterton-Smythe", &[]), Ok(()));
        let own = ["Semen Fuchs".to_owned(), "Dick".to_owned()];
        assert_eq!(lists.check("Hello, Semen!", &own), Ok(()));
        // A name that was given may be shouted.
        assert_eq!(lists.check("WELCOME, DICK", &own), Ok(()));
    }

    #[test]
    fn refusals_are_told_from_copy() {
        for text in [
            "I'm sorry, but I can't help with that.",
            "As an AI, I do not know Maria.",
            "I cannot write this line.",
            "Here is a line for Maria: Welcome!",
            "Sure! Here you go",
            "Als Sprachmodell weiß ich das nicht.",
        ] {
            assert!(refusal(text).is_some(), "{text}");
        }
        for text in [
            "I can't wait to see you, Maria!",
            "Here is a gift for you, Maria.",
            "We cannot thank you enough.",
            "Sure thing, Maria.",
        ] {
            assert_eq!(refusal(text), None, "{text}");
        }
    }
}
