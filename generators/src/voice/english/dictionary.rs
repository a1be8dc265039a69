//! What a word sounds like, by the model's lexicon and the endings of English.

use std::collections::HashMap;

use serde::Deserialize;

const PRIMARY: char = 'ˈ';
const SECONDARY: char = 'ˌ';
const VOWELS: &str = "AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻ";
const CONSONANTS: &str = "bdfhjklmnpstvwzðŋɡɹɾʃʒʤʧθ";
/// Counted twice when the weight of a word is compared.
const LONG: &str = "AIOQWYʤʧ";
/// After these an American *t* before a vowel is tapped.
const BEFORE_TAP: &str = "AIOWYiuæɑəɛɪɹʊʌ";

/// What comes after a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The end, or a mark at which the voice stops.
    Pause,
    Vowel,
    Consonant,
}

impl Next {
    /// What `sound` is to the word before it; `after` if it says nothing.
    pub(super) fn before(sound: &str, after: Next) -> Next {
        sound
            .chars()
            .find_map(|c| {
                if VOWELS.contains(c) {
                    Some(Next::Vowel)
                } else if CONSONANTS.contains(c) {
                    Some(Next::Consonant)
                } else {
                    ";:,.!?—…".contains(c).then_some(Next::Pause)
                }
            })
            .unwrap_or(after)
    }
}

/// How much a word stands out as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Emphasis {
    None,
    /// Begins with a capital.
    Name,
    /// All in capitals.
    Shouted,
}

/// A lexicon with parts of speech.
pub(in crate::voice) struct Dictionary {
    /// Checked by people; with the sounds of a word's parts of speech.
    checked: HashMap<Box<str>, Entry>,
    /// Made by rules from other lexicons.
    derived: HashMap<Box<str>, Entry>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Same(Box<str>),
    ByTag(HashMap<Box<str>, Option<Box<str>>>),
}

impl Entry {
    fn sound(&self, tag: &str, next: Next) -> Option<&str> {
        match self {
            Entry::Same(sound) => Some(sound),
            Entry::ByTag(sounds) => {
                let by = |tag: &str| sounds.get(tag).map(Option::as_deref);
                // "None" stands for: nothing follows.
                (next == Next::Pause)
                    .then(|| by("None"))
                    .flatten()
                    .or_else(|| by(tag))
                    .or_else(|| by(general(tag)))
                    .or_else(|| by("DEFAULT"))
                    .flatten()
            }
        }
    }
}

/// The part of speech that a tag of the Penn Treebank is a kind of.
fn general(tag: &str) -> &str {
    match tag {
        tag if tag.starts_with("VB") => "VERB",
        tag if tag.starts_with("NN") => "NOUN",
        tag if tag.starts_with("RB") => "ADV",
        tag if tag.starts_with("JJ") => "ADJ",
        tag => tag,
    }
}

impl Dictionary {
    /// The lexicon of two JSON objects from word to sound, or to sounds by part of speech.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(in crate::voice) fn read(checked: &[u8], derived: &[u8]) -> Result<Self, String> {
        let parse =
            |bytes: &[u8]| serde_json::from_slice(bytes).map_err(|error| format!("the lexicon: {error}"));
        Ok(Dictionary { checked: parse(checked)?, derived: parse(derived)? })
    }

    /// The names of the letters, the last one stressed.
    pub(super) fn letters(&self, letters: &str) -> Option<String> {
        let sounds: Vec<&str> = letters
            .chars()
            .filter(|c| c.is_alphabetic())
            .map(|c| {
                let capital: String = c.to_uppercase().collect();
                self.checked.get(capital.as_str()).and_then(|entry| entry.sound("", Next::Consonant))
            })
            .collect::<Option<_>>()?;
        let (last, others) = sounds.split_last()?;
        let weak: String = others.iter().map(|sound| weaker(sound)).collect();
        Some(weak + last)
    }

    /// What `word` sounds like; `None` for a word that only a guess can be made for.
    pub(super) fn word(&self, word: &str, tag: &str, next: Next, leads_to: bool) -> Option<String> {
        if let Some(sound) = self.function_word(word, tag, next, leads_to) {
            return Some(sound);
        }
        let lower = word.to_lowercase();
        let emphasis = match word {
            _ if word == lower => Emphasis::None,
            _ if word == word.to_uppercase() => Emphasis::Shouted,
            _ => Emphasis::Name,
        };
        self.with_endings(word, tag, next, emphasis).or_else(|| {
            if emphasis == Emphasis::None {
                return None;
            }
            self.with_endings(&lower, tag, next, emphasis).or_else(|| self.initialism(word))
        })
    }

    /// Words whose sound depends on what follows.
    fn function_word(&self, word: &str, tag: &str, next: Next, leads_to: bool) -> Option<String> {
        let sound = match word {
            "a" | "A" => {
                if tag == "DT" || word == "a" {
                    "ɐ"
                } else {
                    "ˈA"
                }
            }
            "an" | "An" => "ɐn",
            "am" | "Am" if next != Next::Pause && word == "am" => "ɐm",
            "I" if tag == "PRP" => "ˌI",
            "the" | "The" => {
                if next == Next::Vowel {
                    "ði"
                } else {
                    "ðə"
                }
            }
            "THE" if tag == "DT" => "ðə",
            "to" | "To" => match next {
                Next::Pause => return None,
                Next::Vowel => "tʊ",
                Next::Consonant => "tə",
            },
            "in" | "In" if next == Next::Pause || tag != "IN" => "ˈɪn",
            "in" | "In" => "ɪn",
            "used" | "Used" => {
                let Entry::ByTag(sounds) = self.checked.get("used")? else { return None };
                let by = if leads_to && matches!(tag, "VBD" | "JJ") { "VBD" } else { "DEFAULT" };
                return sounds.get(by)?.as_deref().map(str::to_owned);
            }
            "vs" | "vs." => return self.word("versus", "IN", next, false),
            _ => return None,
        };
        Some(sound.to_owned())
    }

    /// The word itself, or a word that it is made of with an ending.
    fn with_endings(&self, word: &str, tag: &str, next: Next, emphasis: Emphasis) -> Option<String> {
        if let Some(sound) = self.listed(word, tag, next, emphasis) {
            return Some(sound);
        }
        let stem = |stem: &str| self.listed(stem, tag, next, emphasis);
        let ends = |ending: &str| word.strip_suffix(ending).filter(|stem| stem.len() > 1);
        if let Some(owner) = ends("s'") {
            return stem(&format!("{owner}'s"))
                .or_else(|| stem(&format!("{owner}s")))
                .or_else(|| self.with_endings(&format!("{owner}s"), tag, next, emphasis));
        }
        if let Some(owner) = ends("'s") {
            return self.with_endings(owner, tag, next, emphasis).map(|sound| with_s(&sound));
        }
        if let Some(bare) = ends("'") {
            return stem(bare);
        }
        if let Some(bare) = ends("s").filter(|bare| !bare.ends_with('s')) {
            let sound = stem(bare)
                .or_else(|| stem(ends("es").filter(|stem| stem.len() > 2)?))
                .or_else(|| stem(&format!("{}y", ends("ies").filter(|stem| stem.len() > 1)?)));
            if let Some(sound) = sound {
                return Some(with_s(&sound));
            }
        }
        if let Some(bare) = ends("d").filter(|bare| !bare.ends_with('d')) {
            let sound = stem(bare)
                .filter(|_| bare.ends_with('e'))
                .or_else(|| stem(ends("ed").filter(|stem| stem.len() > 2 && !stem.ends_with('e'))?))
                .or_else(|| stem(&format!("{}y", ends("ied")?)))
                .or_else(|| stem(undoubled(ends("ed")?)?));
            if let Some(sound) = sound {
                return Some(with_ed(&sound));
            }
        }
        if let Some(bare) = ends("ing").filter(|bare| bare.len() > 2) {
            let sound = stem(bare).or_else(|| stem(&format!("{bare}e"))).or_else(|| stem(undoubled(bare)?));
            if let Some(sound) = sound {
                return Some(with_ing(&sound));
            }
        }
        None
    }

    fn listed(&self, word: &str, tag: &str, next: Next, emphasis: Emphasis) -> Option<String> {
        let sound = entry(&self.checked, word)
            .and_then(|entry| entry.sound(tag, next))
            .or_else(|| entry(&self.derived, word)?.sound(tag, next))?;
        Some(stressed(sound, emphasis))
    }

    /// A short word in capitals that is no word: its letters.
    fn initialism(&self, word: &str) -> Option<String> {
        let (stem, ending) = match word.strip_suffix("'s").or_else(|| word.strip_suffix('s')) {
            Some(stem) => (stem, true),
            None => (word, false),
        };
        let letters = stem.chars().count();
        if !stem.chars().all(char::is_uppercase) || letters == 0 {
            return None;
        }
        // A long one with vowels among its letters is a name in capitals.
        let vowels = stem.chars().filter(|c| "AEIOUY".contains(*c)).count();
        if letters > 5 || (letters > 3 && vowels >= 2) {
            return None;
        }
        let sound = self.letters(stem)?;
        Some(if ending { with_s(&sound) } else { sound })
    }
}

/// The entry of a word, whichever case its first letter has.
fn entry<'a>(words: &'a HashMap<Box<str>, Entry>, word: &str) -> Option<&'a Entry> {
    words.get(word).or_else(|| {
        let mut chars = word.chars();
        let first = chars.next()?;
        let rest = chars.as_str();
        if rest.is_empty() || rest.chars().any(char::is_uppercase) {
            return None;
        }
        let other: String = if first.is_lowercase() {
            first.to_uppercase().collect()
        } else {
            first.to_lowercase().collect()
        };
        words.get((other + rest).as_str())
    })
}

/// `stopp` without one of its last two letters.
fn undoubled(stem: &str) -> Option<&str> {
    let mut ends = stem.chars().rev();
    let (last, before) = (ends.next()?, ends.next()?);
    let doubled = last == before && "bcdgklmnprstvxz".contains(last) || (before, last) == ('c', 'k');
    (doubled && stem.len() > 2).then(|| &stem[..stem.len() - last.len_utf8()])
}

/// The plural, the third person, the possessive.
pub(super) fn with_s(sound: &str) -> String {
    match sound.chars().next_back() {
        Some('p' | 't' | 'k' | 'f' | 'θ') => format!("{sound}s"),
        Some('s' | 'z' | 'ʃ' | 'ʒ' | 'ʧ' | 'ʤ') => format!("{sound}ᵻz"),
        _ => format!("{sound}z"),
    }
}

fn with_ed(sound: &str) -> String {
    match sound.chars().next_back() {
        Some('p' | 'k' | 'f' | 'θ' | 'ʃ' | 's' | 'ʧ') => format!("{sound}t"),
        Some('d') => format!("{sound}ᵻd"),
        Some('t') => tapped(sound).map_or_else(|| format!("{sound}ᵻd"), |stem| format!("{stem}ᵻd")),
        _ => format!("{sound}d"),
    }
}

fn with_ing(sound: &str) -> String {
    tapped(sound).map_or_else(|| format!("{sound}ɪŋ"), |stem| format!("{stem}ɪŋ"))
}

/// The sound with its last t tapped, where it would be before a vowel.
fn tapped(sound: &str) -> Option<String> {
    let stem = sound.strip_suffix('t')?;
    stem.chars().next_back().is_some_and(|c| BEFORE_TAP.contains(c)).then(|| format!("{stem}ɾ"))
}

/// Without secondary stress, and primary stress made secondary.
fn weaker(sound: &str) -> String {
    sound.chars().filter(|c| *c != SECONDARY).map(|c| if c == PRIMARY { SECONDARY } else { c }).collect()
}

/// A word that stands out has a stress.
fn stressed(sound: &str, emphasis: Emphasis) -> String {
    let mark = match emphasis {
        Emphasis::None => return sound.to_owned(),
        Emphasis::Name => SECONDARY,
        Emphasis::Shouted => PRIMARY,
    };
    if sound.contains(PRIMARY) {
        return sound.to_owned();
    }
    if sound.contains(SECONDARY) {
        return if mark == PRIMARY { sound.replace(SECONDARY, "ˈ") } else { sound.to_owned() };
    }
    match sound.find(|c| VOWELS.contains(c)) {
        Some(at) => format!("{}{mark}{}", &sound[..at], &sound[at..]),
        None => sound.to_owned(),
    }
}

/// The parts of one word: the lighter half of them yields its primary stress.
pub(super) fn joined(sounds: &[String]) -> String {
    let weight = |sound: &str| -> usize { sound.chars().map(|c| if LONG.contains(c) { 2 } else { 1 }).sum() };
    let stresses = sounds.iter().filter(|sound| sound.contains(PRIMARY)).count();
    if stresses < 2 {
        return sounds.concat();
    }
    let mut order: Vec<usize> = (0..sounds.len()).filter(|index| !sounds[*index].is_empty()).collect();
    order.sort_by_key(|index| (sounds[*index].contains(PRIMARY), weight(&sounds[*index]), *index));
    let yielding = &order[..order.len() / 2];
    sounds
        .iter()
        .enumerate()
        .map(|(index, sound)| if yielding.contains(&index) { weaker(sound) } else { sound.clone() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary() -> Dictionary {
        let checked = r#"{"A": "ˈA", "B": "bˈi", "C": "sˈi", "stop": "stˈɑp", "want": "wˈɑnt", "box": "bˈɑks",
            "make": "mˈAk", "city": "sˈɪɾi", "wait": "wˈAt", "and": "ænd", "live": {"DEFAULT": "lˈIv", "VERB": "lˈɪv"},
            "will": {"DEFAULT": "wɪl", "None": "wˈɪl"}, "used": {"DEFAULT": "jˈuzd", "VBD": "jˈust"},
            "Maria": "məɹˈiə"}"#;
        Dictionary::read(checked.as_bytes(), r#"{"maple": "mˈApəl"}"#.as_bytes()).unwrap()
    }

    #[test]
    fn words_and_their_endings() {
        let dictionary = dictionary();
        for (word, tag, sound) in [
            ("stops", "NNS", "stˈɑps"),
            ("stopped", "VBD", "stˈɑpt"),
            ("stopping", "VBG", "stˈɑpɪŋ"),
            ("wanted", "VBD", "wˈɑntᵻd"),
            ("boxes", "NNS", "bˈɑksᵻz"),
            ("making", "VBG", "mˈAkɪŋ"),
            ("cities", "NNS", "sˈɪɾiz"),
            ("waiting", "VBG", "wˈAɾɪŋ"),
            ("live", "VB", "lˈɪv"),
            ("lived", "VBD", "lˈɪvd"),
            ("live", "JJ", "lˈIv"),
            ("Maple", "NNP", "mˈApəl"),
            ("Maria's", "NNP", "məɹˈiəz"),
            ("maria", "NN", "məɹˈiə"),
            ("MARIA", "NNP", "məɹˈiə"),
            ("And", "CC", "ˌænd"),
            ("AND", "CC", "ˈænd"),
            ("CAB", "NNP", "sˌiˌAbˈi"),
            ("ABCs", "NNS", "ˌAbˌisˈiz"),
        ] {
            assert_eq!(
                dictionary.word(word, tag, Next::Consonant, false).as_deref(),
                Some(sound),
                "{word} {tag}"
            );
        }
        for word in ["Ngozi", "CABACABA", "zzz", "'", ""] {
            assert_eq!(dictionary.word(word, "NN", Next::Consonant, false), None, "{word}");
        }
    }

    #[test]
    fn what_follows_changes_small_words() {
        let dictionary = dictionary();
        for (word, tag, next, leads_to, sound) in [
            ("the", "DT", Next::Vowel, false, "ði"),
            ("the", "DT", Next::Consonant, false, "ðə"),
            ("to", "TO", Next::Vowel, false, "tʊ"),
            ("will", "MD", Next::Pause, false, "wˈɪl"),
            ("will", "MD", Next::Consonant, false, "wɪl"),
            ("used", "VBD", Next::Consonant, true, "jˈust"),
            ("used", "VBD", Next::Consonant, false, "jˈuzd"),
            ("in", "IN", Next::Consonant, false, "ɪn"),
            ("in", "RP", Next::Consonant, false, "ˈɪn"),
        ] {
            assert_eq!(dictionary.word(word, tag, next, leads_to).as_deref(), Some(sound), "{word} {next:?}");
        }
        assert_eq!(Next::before("ˈɛnd", Next::Pause), Next::Vowel);
        assert_eq!(Next::before(", ", Next::Vowel), Next::Pause);
        assert_eq!(Next::before("”", Next::Vowel), Next::Vowel);
    }

    #[test]
    fn joined_words_have_one_strong_stress() {
        assert_eq!(joined(&["sˈIn".into(), "ˈʌp".into()]), "sˈInˌʌp");
        assert_eq!(joined(&["ən".into(), "dˈu".into()]), "əndˈu");
    }
}
