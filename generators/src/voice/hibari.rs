//! English from a neural network, in this process.

pub(super) mod network;
mod wave;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use flate2::read::GzDecoder;
use vignette_templates::generate::{Voice, VoiceRequest};
use vignette_templates::pronunciation;

use self::network::{MAX_PHONEMES, Speaker, Speller};
use super::english::{Dictionary, Manner, Pronouncer, Tagger, read};
use super::wav::Sound;
use super::{Script, finish_with, names};
use crate::error::{GenerateError, did_you_mean};
use crate::models::{Model, Models};
use crate::provider::{Context, ModelFile, VoiceProvider};

/// The provider `hibari`: American English, 24 kHz, from the model of that name, which `vignette models install hibari`
/// installs.
///
/// Voices: `heart` (default) and `female`, which are one. Times of words and phonemes are the network's own, in steps of
/// 25 ms. The same request gives the same sound on the same machine. Without the model each call fails at once and names the
/// command, so that the next provider speaks.
#[derive(Clone, Debug, Default)]
pub struct Hibari {
    models: Models,
}

const NAME: &str = "hibari";
const VOICES: [&str; 2] = ["heart", "female"];

impl Hibari {
    /// Uses the model in this folder of models.
    pub fn with(models: Models) -> Self {
        Hibari { models }
    }

    /// The model, loaded; once for all providers of the process that use the same folder.
    fn loaded(&self) -> Result<Arc<Loaded>, GenerateError> {
        static LOADED: Mutex<Option<(PathBuf, Arc<Loaded>)>> = Mutex::new(None);
        let missing = || GenerateError::ModelMissing { provider: NAME.to_owned(), model: NAME.to_owned() };
        let model = Model::find(NAME).ok_or_else(missing)?;
        let folder = self.models.folder(model).ok_or_else(missing)?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((from, loaded)) = &*loaded
            && *from == folder
        {
            return Ok(Arc::clone(loaded));
        }
        if !self.models.is_installed(model) {
            return Err(missing());
        }
        let made = Arc::new(Loaded::from(&self.models, &folder).map_err(failed)?);
        *loaded = Some((folder, Arc::clone(&made)));
        Ok(made)
    }
}

/// How a voice knows what a name sounds like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// A lexicon has it: that of common names or that of English.
    Listed,
    /// It is guessed by its letters, to be these phonemes.
    Guessed(String),
    /// It holds letters that the voice cannot read.
    Foreign,
}

impl Hibari {
    /// How this voice knows what `name` sounds like, a single word.
    ///
    /// # Errors
    /// [`GenerateError::ModelMissing`], and a model that fails.
    pub fn coverage(&self, name: &str) -> Result<Coverage, GenerateError> {
        if name.chars().any(is_foreign) {
            return Ok(Coverage::Foreign);
        }
        let loaded = self.loaded()?;
        let words = [name.to_owned()];
        let spoken = read(&words, Manner::of("en-US"), &|_| false);
        let guessed = Cell::new(false);
        let guess = |word: &str| {
            guessed.set(true);
            loaded.speller.read(word)
        };
        let known = |word: &str| names::find(word).map(str::to_owned);
        let pronouncer = Pronouncer {
            dictionary: &loaded.dictionary,
            tagger: &loaded.tagger,
            lexicon: &known,
            guess: &guess,
        };
        let sound = pronouncer.phonemes(&spoken).map_err(failed)?;
        Ok(match guessed.get() {
            true => Coverage::Guessed(sound.iter().map(|(c, _)| *c).collect()),
            false => Coverage::Listed,
        })
    }
}

impl Hibari {
    /// What is said for words, as phonemes, each with the word that it belongs to; `lexicon` is a request's.
    pub(super) fn phonemes(
        &self,
        words: &[String],
        lexicon: &BTreeMap<String, String>,
        locale: &str,
    ) -> Result<Vec<(char, usize)>, GenerateError> {
        if words.iter().flat_map(|word| word.chars()).any(is_foreign) {
            return Err(GenerateError::Rejected {
                provider: NAME.to_owned(),
                reason: "the text holds letters that it cannot read".to_owned(),
            });
        }
        let lexicon = sounds_of(lexicon)?;
        self.loaded()?.phonemes(words, &lexicon, locale).map_err(failed)
    }
}

impl VoiceProvider for Hibari {
    fn files(&self) -> Vec<ModelFile> {
        Model::find(NAME).map_or_else(Vec::new, |model| self.models.files(model))
    }

    fn name(&self) -> &str {
        NAME
    }

    fn model(&self, _request: &VoiceRequest, _locale: &str) -> String {
        // What is not installed now may be later: its results are other ones.
        match Model::find(NAME).filter(|model| self.models.is_installed(model)) {
            Some(model) => format!("heart (hibari-tts {}, names {})", model.version, names::VERSION),
            None => "not installed".to_owned(),
        }
    }

    fn generate(&self, request: &VoiceRequest, context: &Context) -> Result<Voice, GenerateError> {
        let language = context.locale.split(['-', '_']).next().unwrap_or_default();
        if !language.eq_ignore_ascii_case("en") {
            return Err(GenerateError::Language {
                provider: NAME.to_owned(),
                locale: context.locale.clone(),
                remedy: "it speaks English only; `espeak-ng` speaks many languages".to_owned(),
            });
        }
        if let Some(wanted) = request.voice.as_deref()
            && !VOICES.contains(&wanted)
        {
            let hint = did_you_mean(wanted, VOICES);
            return Err(GenerateError::Invalid(format!(
                "hibari: no voice `{wanted}`; it has {}{hint}",
                VOICES.join(", ")
            )));
        }
        let script = Script::read(request)?;
        let phonemes = self.phonemes(&script.words, &request.lexicon, &context.locale)?;
        let loaded = self.loaded()?;

        let started = Instant::now();
        let mut samples: Vec<f32> = Vec::new();
        let mut sounds: Vec<SoundSpan> = Vec::new();
        for sentence in sentences(&phonemes) {
            context.check(NAME, started)?;
            let letters: Vec<char> = sentence.iter().map(|(c, _)| *c).collect();
            let spoken = loaded.speaker.speak(&letters, script.speed, NOISE).map_err(failed)?;
            let from = samples.len();
            sounds.extend(sentence.iter().zip(spoken.spans).filter(|((c, _), _)| is_sound(*c)).map(
                |((c, word), (start, end))| SoundSpan {
                    phoneme: *c,
                    word: *word,
                    start: from + start,
                    end: from + end,
                },
            ));
            samples.extend(spoken.samples);
        }
        let sound = Sound {
            rate: wave::RATE,
            samples: samples.iter().map(|s| (s.clamp(-1.0, 1.0) * 32_767.0).round() as i16).collect(),
        };
        let times = word_times(&sounds, script.words.len());
        let phonemes: Vec<_> = sounds.iter().map(|sound| (sound.phoneme, sound.start, sound.end)).collect();
        finish_with(&sound, &script.words, &times, &phonemes, NAME)
    }
}

/// The seed of the noise in the voice. It is the same for all, so that viewers who hear the same words share their sound.
const NOISE: u64 = 1;

/// A phoneme of a word, and its samples in the sound.
pub(super) struct SoundSpan {
    pub(super) phoneme: char,
    pub(super) word: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

fn failed(reason: String) -> GenerateError {
    GenerateError::Provider { provider: NAME.to_owned(), reason }
}

/// The model's parts.
struct Loaded {
    speaker: Speaker,
    speller: Speller,
    dictionary: Dictionary,
    tagger: Tagger,
}

/// No file of the model is as long when unpacked.
const MAX_UNPACKED: u64 = 64 << 20;

impl Loaded {
    fn from(models: &Models, folder: &Path) -> Result<Self, String> {
        let unpacked = |name: &str| -> Result<Vec<u8>, String> {
            let packed = network::read(&folder.join(name))?;
            let mut bytes = Vec::new();
            GzDecoder::new(packed.as_slice())
                .take(MAX_UNPACKED)
                .read_to_end(&mut bytes)
                .map_err(|error| format!("{name}: {error}"))?;
            Ok(bytes)
        };
        Ok(Loaded {
            speaker: Speaker::load(models, folder)?,
            speller: Speller::load(models, folder)?,
            dictionary: Dictionary::read(
                &unpacked("lexicon_us_gold.json.gz")?,
                &unpacked("lexicon_us_silver.json.gz")?,
            )?,
            tagger: serde_json::from_slice(&unpacked("tagger.json.gz")?)
                .map_err(|error| format!("tagger.json.gz: {error}"))?,
        })
    }

    /// What is said for these words, as phonemes that the network has.
    fn phonemes(
        &self,
        words: &[String],
        lexicon: &BTreeMap<String, String>,
        locale: &str,
    ) -> Result<Vec<(char, usize)>, String> {
        let given = |word: &str| lexicon.get(&word.to_lowercase());
        let is_listed = |word: &str| given(word).is_some();
        let spoken = read(words, Manner::of(locale), &is_listed);
        let known = |word: &str| given(word).cloned().or_else(|| names::find(word).map(str::to_owned));
        let guess = |word: &str| self.speller.read(word);
        let pronouncer =
            Pronouncer { dictionary: &self.dictionary, tagger: &self.tagger, lexicon: &known, guess: &guess };
        let mut phonemes = pronouncer.phonemes(&spoken)?;
        phonemes.retain(|(phoneme, _)| self.speaker.knows(*phoneme));
        if !phonemes.iter().any(|(phoneme, _)| is_sound(*phoneme)) {
            return Err("the text holds nothing that it can say".to_owned());
        }
        Ok(phonemes)
    }
}

/// The sounds that a request's lexicon gives words, by the words in small letters.
pub(super) fn sounds_of(
    lexicon: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, GenerateError> {
    lexicon
        .iter()
        .map(|(word, written)| {
            let sound = pronunciation::phonemes(written).map_err(|reason| {
                GenerateError::Invalid(format!("a pronunciation in `lexicon`: {reason}"))
            })?;
            Ok((word.to_lowercase().replace(['’', '‘', 'ʼ'], "'"), sound))
        })
        .collect()
}

/// Whether a character is a phoneme, and not a mark, a stress or a space.
pub(super) fn is_sound(c: char) -> bool {
    c.is_alphabetic() && !matches!(c, 'ˈ' | 'ˌ' | 'ː')
}

/// Letters of other writing systems, which the model would leave out without a word.
fn is_foreign(c: char) -> bool {
    c.is_alphabetic()
        && !matches!(c, '\u{0}'..='\u{24F}' | '\u{2B0}'..='\u{2FF}' | '\u{1E00}'..='\u{1EFF}' | 'ﬀ'..='ﬆ' | '℃' | '℉')
}

/// The phonemes in pieces that the network takes: sentences, and where one is too long, clauses, then words.
pub(super) fn sentences(phonemes: &[(char, usize)]) -> Vec<&[(char, usize)]> {
    let mut pieces = Vec::new();
    let mut rest = phonemes;
    while !rest.is_empty() {
        let space_after = |marks: &str| {
            let window = &rest[..rest.len().min(MAX_PHONEMES)];
            let last = |at: &usize| {
                let before = window[..*at].iter().rev().find(|(c, _)| !matches!(c, '”' | ')'));
                window[*at].0 == ' ' && before.is_some_and(|(before, _)| marks.contains(*before))
            };
            if marks == SENTENCE { (1..window.len()).find(last) } else { (1..window.len()).rev().find(last) }
        };
        let end = space_after(SENTENCE).unwrap_or_else(|| {
            if rest.len() <= MAX_PHONEMES {
                return rest.len();
            }
            let any_space = || rest[..MAX_PHONEMES].iter().rposition(|(c, _)| *c == ' ').filter(|at| *at > 0);
            space_after(CLAUSE).or_else(any_space).unwrap_or(MAX_PHONEMES)
        });
        let (piece, after) = rest.split_at(end);
        if piece.iter().any(|(c, _)| is_sound(*c)) {
            pieces.push(piece);
        }
        let spaces = after.iter().take_while(|(c, _)| *c == ' ').count();
        rest = &after[spaces..];
    }
    pieces
}

const SENTENCE: &str = ".!?…";
const CLAUSE: &str = ",;:—";

/// Each word's span: from its first sound to its last; a word without a sound lasts no time, where the next begins.
pub(super) fn word_times(sounds: &[SoundSpan], words: usize) -> Vec<(usize, usize)> {
    let mut spans: Vec<Option<(usize, usize)>> = vec![None; words];
    for sound in sounds {
        if let Some(span) = spans.get_mut(sound.word) {
            *span = Some(span.map_or((sound.start, sound.end), |(start, _)| (start, sound.end)));
        }
    }
    let mut next = sounds.last().map_or(0, |sound| sound.end);
    let mut filled: Vec<(usize, usize)> = spans
        .into_iter()
        .rev()
        .map(|span| {
            let span = span.unwrap_or((next, next));
            next = span.0;
            span
        })
        .collect();
    filled.reverse();
    filled
}

#[cfg(test)]
mod tests;
