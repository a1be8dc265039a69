//! English text to phonemes, in the notation of the voice `hibari` (see [`Phonemes`]).
//!
//! ```text
//! written words ── reading ──► spoken words and marks ── tagger ──► parts of speech ── dictionary ──► phonemes
//! ```
//!
//! The lexicon, the tagger's weights and the network for unknown words are data of the installed model; what is done
//! with them is here.

mod dictionary;
mod numbers;
mod reading;
mod tagger;

use std::borrow::Cow;

pub(super) use dictionary::Dictionary;
pub(super) use reading::{Manner, Spoken, SpokenKind, read};
pub(super) use tagger::Tagger;

use dictionary::Next;

/// Phonemes of a text, one character each, every one with the written word that it belongs to.
///
/// The notation is that of misaki: the letters of the International Phonetic Alphabet for American English, with
/// `A I O W Y` for the diphthongs of *day, my, go, now, boy*, `ʤ ʧ` for those of *joy, chin*, `T` for the tapped t of *city*,
/// `ᵊ` for the vowel that is hardly there (*button*), `ᵻ` for that of *boxes*, `ˈ` and `ˌ` before a stressed vowel.
pub(super) type Phonemes = Vec<(char, usize)>;

/// Everything that is needed to pronounce a word.
pub(super) struct Pronouncer<'a> {
    pub(super) dictionary: &'a Dictionary,
    pub(super) tagger: &'a Tagger,
    /// The pronunciation of a word that somebody wrote down: of a template, of an audience, of common names.
    pub(super) lexicon: &'a dyn Fn(&str) -> Option<String>,
    /// The pronunciation of a word that nobody wrote down.
    pub(super) guess: &'a dyn Fn(&str) -> Result<String, String>,
}

impl Pronouncer<'_> {
    /// The phonemes of `spoken`: words apart by spaces, marks after the words that they follow.
    ///
    /// # Errors
    /// Those of `guess`.
    pub(super) fn phonemes(&self, spoken: &[Spoken]) -> Result<Phonemes, String> {
        let tags = self.tags(spoken);
        let mut sounds: Vec<String> = vec![String::new(); spoken.len()];
        // From the end: how a word sounds depends on how the next one begins ("the end", "the start").
        let mut next = Next::Pause;
        for (index, item) in spoken.iter().enumerate().rev() {
            let sound = match &item.kind {
                SpokenKind::Mark(mark) => mark.to_string(),
                SpokenKind::Letters => self.dictionary.letters(&item.text).unwrap_or_default(),
                SpokenKind::Word => {
                    let leads_to =
                        spoken.get(index + 1).is_some_and(|item| item.text.eq_ignore_ascii_case("to"));
                    self.word(&item.text, tags[index], next, leads_to)?
                }
            };
            next = Next::before(&sound, next);
            sounds[index] = sound;
        }
        let mut phonemes = Phonemes::new();
        for (item, sound) in spoken.iter().zip(&sounds) {
            if sound.is_empty() {
                continue;
            }
            let opening = matches!(item.kind, SpokenKind::Mark('“' | '('));
            let mark = matches!(item.kind, SpokenKind::Mark(_)) && !opening;
            let apart = phonemes.last().is_some_and(|(last, _)| !matches!(last, '“' | '('));
            if apart && !mark {
                phonemes.push((' ', item.written));
            }
            // A tapped t and a glottal stop have other letters in the voice's alphabet.
            phonemes.extend(sound.chars().map(|c| match c {
                'ɾ' => ('T', item.written),
                'ʔ' => ('t', item.written),
                c => (c, item.written),
            }));
        }
        Ok(phonemes)
    }

    fn word(&self, word: &str, tag: &str, next: Next, leads_to: bool) -> Result<String, String> {
        if let Some(sound) = (self.lexicon)(word) {
            return Ok(sound);
        }
        // A name of somebody's lexicon with an ending.
        if let Some(owner) = word.strip_suffix("'s").or_else(|| word.strip_suffix("'S"))
            && let Some(sound) = (self.lexicon)(owner)
        {
            return Ok(dictionary::with_s(&sound));
        }
        if let Some(sound) = self.dictionary.word(word, tag, next, leads_to) {
            return Ok(sound);
        }
        let folded = reading::fold(word);
        if folded != word
            && let Some(sound) =
                (self.lexicon)(&folded).or_else(|| self.dictionary.word(&folded, tag, next, false))
        {
            return Ok(sound);
        }
        if let Some(sound) = self.compound(word, tag, next)? {
            return Ok(sound);
        }
        // A name in capitals is no abbreviation: ABENA as Abena.
        let plain = if word.chars().any(char::is_lowercase) { word.to_owned() } else { capitalised(word) };
        if let Some(owner) = plain.strip_suffix("'s") {
            return Ok(dictionary::with_s(&(self.guess)(owner)?));
        }
        (self.guess)(&plain)
    }

    /// The pronunciation of words that are joined: `sign-up`, `PayPal`.
    fn compound(&self, word: &str, tag: &str, next: Next) -> Result<Option<String>, String> {
        let parts = reading::parts(word);
        if parts.len() < 2 {
            return Ok(None);
        }
        let mut sounds = Vec::with_capacity(parts.len());
        let mut after = next;
        for part in parts.iter().rev() {
            let sound = self.word(part, tag, after, false)?;
            after = Next::before(&sound, after);
            sounds.push(sound);
        }
        sounds.reverse();
        Ok(Some(dictionary::joined(&sounds)))
    }

    /// The part of speech of each item; marks count as context.
    fn tags(&self, spoken: &[Spoken]) -> Vec<&str> {
        let mut words: Vec<Cow<'_, str>> = Vec::new();
        let mut first_of = Vec::with_capacity(spoken.len());
        for item in spoken {
            first_of.push(words.len());
            match &item.kind {
                SpokenKind::Mark(mark) => words.push(Cow::Owned(mark.to_string())),
                _ => words.extend(reading::clitics(&item.text).map(Cow::Borrowed)),
            }
        }
        let tags = self.tagger.tags(&words);
        first_of.into_iter().map(|first| tags.get(first).copied().unwrap_or("NN")).collect()
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().into_iter().chain(chars.flat_map(char::to_lowercase)).collect()
}

#[cfg(test)]
mod tests;
