//! Six languages from one neural network, in this process.

mod network;
mod phonemes;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use vignette_templates::generate::{Voice, VoiceRequest};

use self::network::Speaker;
use self::phonemes::{Phonemizer, languages_of};
use super::hibari::{self, Hibari, SoundSpan, is_sound, sentences, word_times};
use super::wav::Sound;
use super::{Script, finish_with, names};
use crate::error::{GenerateError, did_you_mean};
use crate::models::{Model, Models};
use crate::provider::{Context, ModelFile, VoiceProvider};

/// The provider `kokoro`: American English, Spanish, French, Italian, Brazilian Portuguese and Hindi, 24 kHz, from the model of that
/// name, which `vignette models install kokoro` installs.
///
/// It computes about as long as it speaks, so [`Engine::offline`](crate::Engine::offline) asks it only where a template names one of
/// its voices ([`Kokoro::when_named`]). Phonemes are those of `espeak-ng`, which has to be installed, and for English those of
/// [`Hibari`]; times of words and phonemes are the network's own, in steps of 25 ms. The same request gives the same sound on
/// the same machine.
#[derive(Clone, Debug, Default)]
pub struct Kokoro {
    models: Models,
    phonemizer: Phonemizer,
    only_named: bool,
}

const NAME: &str = "kokoro";

/// The voices: name, language (ISO 639), whether it is a woman's. The first of a language is that language's own.
const VOICES: [(&str, &str, bool); 11] = [
    ("af_heart", "en", true),
    ("am_michael", "en", false),
    ("ef_dora", "es", true),
    ("em_alex", "es", false),
    ("ff_siwis", "fr", true),
    ("hf_alpha", "hi", true),
    ("hm_omega", "hi", false),
    ("if_sara", "it", true),
    ("im_nicola", "it", false),
    ("pf_dora", "pt", true),
    ("pm_alex", "pt", false),
];

/// Whether a voice of this name is one of the model's, and then whether it is a woman's.
pub(super) fn voice_named(name: &str) -> Option<bool> {
    VOICES.iter().find(|(voice, ..)| *voice == name).map(|(_, _, female)| *female)
}

impl Kokoro {
    /// Uses the model in this folder of models.
    pub fn with(models: Models) -> Self {
        Kokoro { models, ..Kokoro::default() }
    }

    /// Speaks only what asks for one of its voices by name, and leaves everything else to the next provider.
    pub fn when_named(mut self) -> Self {
        self.only_named = true;
        self
    }

    /// The model, loaded; once for all providers of the process that use the same folder.
    fn loaded(&self) -> Result<Arc<Speaker>, GenerateError> {
        static LOADED: Mutex<Option<(PathBuf, Arc<Speaker>)>> = Mutex::new(None);
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
        let voices = VOICES.map(|(voice, ..)| voice);
        let made = Arc::new(Speaker::load(&self.models, &folder, &voices).map_err(failed)?);
        *loaded = Some((folder, Arc::clone(&made)));
        Ok(made)
    }

    /// The voice that speaks a request.
    fn voice_of(&self, request: &VoiceRequest, locale: &str) -> Result<&'static str, GenerateError> {
        let language = locale.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let invalid = |message: String| GenerateError::Invalid(format!("{NAME}: {message}"));
        let wanted = request.voice.as_deref();
        let named = wanted.and_then(|wanted| VOICES.iter().find(|(voice, ..)| *voice == wanted));
        if self.only_named && named.is_none() {
            return Err(invalid(
                "it speaks where a template names one of its voices, or `voice.use` the provider".to_owned(),
            ));
        }
        let own: Vec<_> = VOICES.iter().filter(|(_, own, _)| *own == language).collect();
        if own.is_empty() {
            return Err(GenerateError::Language {
                provider: NAME.to_owned(),
                locale: locale.chars().filter(|c| c.is_ascii_graphic()).take(35).collect(),
                remedy: format!("it speaks {}; `espeak-ng` speaks many languages", languages_of(&VOICES)),
            });
        }
        let found = match (wanted, named) {
            (None, _) => own.first().copied(),
            (_, Some(named)) if named.1 == language => Some(named),
            (Some(sex @ ("female" | "male")), _) => {
                own.iter().find(|(.., female)| *female == (sex == "female")).copied()
            }
            // Voices of other providers, for which it stands in.
            (Some("heart" | "slt"), _) => own.iter().find(|(.., female)| *female).copied(),
            _ => None,
        };
        found.map(|(voice, ..)| *voice).ok_or_else(|| {
            let names = own.iter().map(|(voice, ..)| *voice);
            let hint = did_you_mean(wanted.unwrap_or_default(), names.clone());
            let list: Vec<&str> = names.collect();
            invalid(format!(
                "no voice `{}` for this language; it has {}{hint}",
                wanted.unwrap_or_default(),
                list.join(", ")
            ))
        })
    }
}

impl VoiceProvider for Kokoro {
    fn files(&self) -> Vec<ModelFile> {
        Model::find(NAME).map_or_else(Vec::new, |model| self.models.files(model))
    }

    fn name(&self) -> &str {
        NAME
    }

    fn model(&self, request: &VoiceRequest, locale: &str) -> String {
        let Ok(voice) = self.voice_of(request, locale) else { return "not asked".to_owned() };
        // What is not installed now may be later: its results are other ones.
        match Model::find(NAME).filter(|model| self.models.is_installed(model)) {
            Some(model) => format!("{voice} (kokoro {}, names {})", model.version, names::VERSION),
            None => "not installed".to_owned(),
        }
    }

    fn generate(&self, request: &VoiceRequest, context: &Context) -> Result<Voice, GenerateError> {
        let voice = self.voice_of(request, &context.locale)?;
        let script = Script::read(request)?;
        let speaker = self.loaded()?;
        let phonemes = if voice.starts_with('a') {
            Hibari::with(self.models.clone()).phonemes(&script.words, &request.lexicon, &context.locale)?
        } else {
            let lexicon = hibari::sounds_of(&request.lexicon)?;
            self.phonemizer.phonemes(&script.words, &lexicon, context)?
        };
        let phonemes: Vec<(char, usize)> =
            phonemes.into_iter().filter(|(phoneme, _)| speaker.knows(*phoneme)).collect();
        if !phonemes.iter().any(|(phoneme, _)| is_sound(*phoneme)) {
            return Err(failed("the text holds nothing that it can say".to_owned()));
        }
        let started = Instant::now();
        let mut samples: Vec<f32> = Vec::new();
        let mut sounds: Vec<SoundSpan> = Vec::new();
        for sentence in sentences(&phonemes) {
            context.check(NAME, started)?;
            let letters: Vec<char> = sentence.iter().map(|(c, _)| *c).collect();
            let spoken = speaker.speak(voice, &letters, script.speed).map_err(failed)?;
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
            rate: network::RATE,
            samples: samples.iter().map(|s| (s.clamp(-1.0, 1.0) * 32_767.0).round() as i16).collect(),
        };
        let times = word_times(&sounds, script.words.len());
        let phonemes: Vec<_> = sounds.iter().map(|sound| (sound.phoneme, sound.start, sound.end)).collect();
        finish_with(&sound, &script.words, &times, &phonemes, NAME)
    }
}

fn failed(reason: String) -> GenerateError {
    GenerateError::Provider { provider: NAME.to_owned(), reason }
}

#[cfg(test)]
mod tests;
