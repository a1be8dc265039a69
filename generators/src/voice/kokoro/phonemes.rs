//! Words of five languages to phonemes, by the program `espeak-ng`, each with the word that it belongs to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::align::{self, Phone};
use super::super::espeak::{language_voice, plain};
use super::super::flite::bare;
use super::super::hibari::is_sound;
use super::super::process::Program;
use crate::error::GenerateError;
use crate::provider::Context;

/// Has `espeak-ng` write what is said in the International Phonetic Alphabet. It runs as a program of its own, by whose licence
/// (GPL-3.0-or-later) Vignette's is not touched.
#[derive(Clone, Debug)]
pub(super) struct Phonemizer {
    program: Program,
}

impl Default for Phonemizer {
    fn default() -> Self {
        let path = PathBuf::from("espeak-ng");
        Phonemizer { program: Program { provider: super::NAME, path, package: "espeak-ng" } }
    }
}

/// What the network's alphabet has one letter for, as the program writes it with a tie between two.
const TIED: [(&str, char); 11] = [
    ("a^ɪ", 'I'),
    ("a^ʊ", 'W'),
    ("d^z", 'ʣ'),
    ("d^ʒ", 'ʤ'),
    ("e^ɪ", 'A'),
    ("o^ʊ", 'O'),
    ("ə^ʊ", 'Q'),
    ("s^s", 'S'),
    ("t^s", 'ʦ'),
    ("t^ʃ", 'ʧ'),
    ("ɔ^ɪ", 'Y'),
];

impl Phonemizer {
    /// The phonemes of `words` in the language of the call: words apart by spaces, marks after the words that they follow.
    /// `lexicon` has the sounds of words in small letters.
    ///
    /// # Errors
    /// Those of the program, and a language that it does not have.
    pub(super) fn phonemes(
        &self,
        words: &[String],
        lexicon: &BTreeMap<String, String>,
        context: &Context,
    ) -> Result<Vec<(char, usize)>, GenerateError> {
        let voice = language_voice(&context.locale)?;
        let mut phonemes: Vec<(char, usize)> = Vec::new();
        let mut first = 0;
        while first < words.len() {
            // A clause at a time: the program drops the marks between them.
            let marked = words[first..].iter().position(|word| mark(word).is_some());
            let end = marked.map_or(words.len(), |at| first + at + 1);
            let clause = &words[first..end];
            if !phonemes.is_empty() {
                phonemes.push((' ', first));
            }
            let spoken = self.clause(voice, clause, context)?;
            phonemes.extend(said_otherwise(&spoken, clause, lexicon).map(|(c, word)| (c, first + word)));
            if let Some(mark) = mark(&clause[clause.len() - 1]) {
                phonemes.push((mark, end - 1));
            }
            first = end;
        }
        Ok(phonemes)
    }

    /// The phonemes of words without a mark between them.
    fn clause(
        &self,
        voice: &str,
        words: &[String],
        context: &Context,
    ) -> Result<Vec<(char, usize)>, GenerateError> {
        let bare: Vec<String> = words.iter().map(|word| plain(bare(word))).collect();
        let spoken = self.written(voice, &bare.join(" "), context)?.join(" ");
        let spoken = in_letters(&spoken);
        if let [_] = words {
            return Ok(spoken.chars().map(|c| (c, 0)).collect());
        }
        // Words in a row join and change, and numbers become several: each word by itself tells which is which.
        let list: String = bare.iter().map(|word| format!("{word}\n\n")).collect();
        let mut alone = self.written(voice, &list, context)?;
        if alone.len() != words.len() {
            alone = Vec::with_capacity(words.len());
            for word in &bare {
                alone.push(self.written(voice, word, context)?.join(" "));
            }
        }
        let sounds = |text: &str| text.chars().filter(|c| is_sound(*c)).map(String::from).collect::<Vec<_>>();
        let alone: Vec<Vec<String>> = alone.iter().map(|text| sounds(&in_letters(text))).collect();
        let phones: Vec<Phone> = sounds(&spoken)
            .into_iter()
            .enumerate()
            .map(|(at, name)| Phone { name, start: at, end: at + 1 })
            .collect();
        let spans = align::align(&phones, &alone);
        let owner = |sound: usize| spans.iter().rposition(|(start, _)| *start <= sound).unwrap_or(0);
        let mut seen = 0;
        Ok(spoken
            .chars()
            .map(|c| {
                // A stress belongs to the vowel that follows; a length, a nasal tilde and a space to the sound before.
                let ahead = is_sound(c) || matches!(c, 'ˈ' | 'ˌ');
                let sound = if ahead { seen } else { seen.max(1) - 1 };
                seen += usize::from(is_sound(c));
                (c, owner(sound.min(phones.len().saturating_sub(1))))
            })
            .collect())
    }

    /// What the program writes for each of a text's clauses.
    fn written(&self, voice: &str, text: &str, context: &Context) -> Result<Vec<String>, GenerateError> {
        let arguments = ["-q", "-b", "1", "-v", voice, "--ipa", "--tie=^", "--stdin"];
        let output = self.program.run(&arguments, format!("{text}\n").as_bytes(), context)?;
        let output = String::from_utf8_lossy(&output);
        Ok(output.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
    }
}

/// What the program writes, in the letters of the network. Where it changes its language it says so in brackets.
fn in_letters(written: &str) -> String {
    let mut text = String::with_capacity(written.len());
    let mut depth = 0;
    for c in written.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = i32::max(0, depth - 1),
            _ if depth > 0 => {}
            // Hyphens and underscores are no sounds.
            '-' | '_' => {}
            'g' => text.push('ɡ'),
            c => text.push(c),
        }
    }
    for (tied, letter) in TIED {
        text = text.replace(tied, letter.encode_utf8(&mut [0; 4]));
    }
    text.replace('^', "")
}

/// The phonemes with those of the lexicon in place of the words that it has.
fn said_otherwise<'a>(
    spoken: &'a [(char, usize)],
    words: &'a [String],
    lexicon: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = (char, usize)> + 'a {
    let sound = |word: usize| lexicon.get(&bare(words.get(word)?).to_lowercase());
    spoken.iter().enumerate().flat_map(move |(at, (c, word))| {
        let starts = at == 0 || spoken[at - 1].1 != *word;
        match sound(*word) {
            Some(sound) if starts => sound.chars().map(|c| (c, *word)).collect::<Vec<_>>(),
            // The space after it stays.
            Some(_) if *c != ' ' || spoken.get(at + 1).is_some_and(|next| next.1 == *word) => Vec::new(),
            _ => vec![(*c, *word)],
        }
    })
}

/// The mark after a word, as the network has it.
fn mark(word: &str) -> Option<char> {
    let closing = |c| matches!(c, '"' | '\'' | '”' | '’' | '»' | ')' | ']' | ' ');
    match word.trim_end_matches(closing).chars().next_back()? {
        c @ ('.' | ',' | ';' | ':' | '!' | '?' | '…' | '—') => Some(c),
        '–' => Some('—'),
        '।' | '॥' => Some('.'),
        _ => None,
    }
}

/// The languages of a list of voices, for a message.
pub(super) fn languages_of(voices: &[(&str, &str, bool)]) -> String {
    let mut languages: Vec<&str> = voices.iter().map(|(_, language, _)| *language).collect();
    languages.dedup();
    languages.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_the_networks() {
        for (written, expected) in [
            ("ˈola maɾˈia", "ˈola maɾˈia"),
            ("t^ʃˈao ventit^ʃˈinkwe", "ʧˈao ventiʧˈinkwe"),
            ("(^e^n)ˈə^ʊla(^h^i)", "ˈQla"),
            ("bˌie^ɪŋ", "bˌiAŋ"),
            ("a-b_c", "abc"),
        ] {
            assert_eq!(in_letters(written), expected, "{written}");
        }
    }

    #[test]
    fn a_lexicon_takes_a_words_place() {
        let words = ["hola".to_owned(), "Ana,".to_owned(), "sí".to_owned()];
        let spoken: Vec<(char, usize)> =
            [('o', 0), ('l', 0), ('a', 0), (' ', 0), ('a', 1), ('n', 1), (' ', 1), ('s', 2), ('i', 2)].into();
        let said = |entries: &[(&str, &str)]| {
            let lexicon =
                entries.iter().map(|(word, sound)| ((*word).to_owned(), (*sound).to_owned())).collect();
            said_otherwise(&spoken, &words, &lexicon).map(|(c, _)| c).collect::<String>()
        };
        assert_eq!(said(&[]), "ola an si");
        assert_eq!(said(&[("ana", "xy")]), "ola xy si");
        assert_eq!(said(&[("hola", "xy"), ("sí", "z")]), "xy an z");
    }

    #[test]
    fn marks_are_kept() {
        for (word, expected) in [
            ("Hola,", Some(',')),
            ("¿qué?»", Some('?')),
            ("है।", Some('.')),
            ("and –", Some('—')),
            ("a", None),
        ] {
            assert_eq!(mark(word), expected, "{word}");
        }
    }
}
