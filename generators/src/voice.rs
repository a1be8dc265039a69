//! Speech: from a neural network in this process, and from programs that are installed with the system's package manager.
//!
//! A provider of the second kind runs its program as a child process without a shell. What is spoken goes in by standard
//! input: on a command line every user of the machine could read it.

mod align;
mod english;
mod espeak;
mod flite;
mod hibari;
mod kokoro;
mod names;
mod outside;
mod process;
mod splice;
mod wav;

pub use espeak::EspeakNg;
pub use flite::Flite;
pub use hibari::{Coverage, Hibari};
pub use kokoro::Kokoro;
pub(crate) use outside::{Aligned, from_outside};
pub(crate) use splice::splice;

use vignette_templates::blob::Blob;
use vignette_templates::generate::{SpokenPhoneme, SpokenWord, Voice, VoiceRequest};
use vignette_templates::time::Time;

use crate::error::GenerateError;
use crate::guard;
use wav::Sound;

/// The longest text that is spoken at once, in characters: some ten minutes.
pub(crate) const MAX_SAY: usize = 10_000;

/// Silence that is left before the first sound and after the last, in milliseconds.
const LEAD_MS: u32 = 60;
const TAIL_MS: u32 = 120;

/// What a provider speaks, checked.
struct Script {
    /// Words as written, each with the punctuation that follows; never empty.
    words: Vec<String>,
    speed: f64,
}

/// Nothing when the words of `request` can be spoken.
///
/// # Errors
/// [`GenerateError::Invalid`].
pub(crate) fn check_script(request: &VoiceRequest) -> Result<(), GenerateError> {
    Script::read(request).map(drop)
}

impl Script {
    fn read(request: &VoiceRequest) -> Result<Self, GenerateError> {
        let invalid = |message: String| Err(GenerateError::Invalid(message));
        if !(0.5..=2.0).contains(&request.speed) {
            return invalid(format!("speed is {}, and must be 0.5 to 2", request.speed));
        }
        let length = request.say.chars().count();
        if length > MAX_SAY {
            return invalid(format!(
                "the text to speak has {length} characters, and at most {MAX_SAY} are spoken at once; \
                 split it into several voices"
            ));
        }
        let words = words_of(&request.say);
        if words.is_empty() {
            return invalid("there is nothing to speak: the text holds no letter and no digit".to_owned());
        }
        Ok(Script { words, speed: request.speed })
    }
}

/// The words of a text, each with the punctuation that follows.
pub(crate) fn words_of(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in guard::clean(text).split(' ') {
        // A dash between words is not a word: it belongs to the one before it.
        let spoken = word.chars().any(|c| c.is_alphanumeric() || matches!(c, '&' | '%' | '$' | '+' | '='));
        match words.last_mut() {
            Some(last) if !spoken => {
                last.push(' ');
                last.push_str(word);
            }
            _ if !spoken => {}
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// Whether a voice pauses after this word.
fn ends_phrase(word: &str) -> bool {
    word.trim_end_matches(['"', '\'', '”', '’', '»', ')', ']']).ends_with([
        '.', ',', ';', ':', '!', '?', '…', '—', '–', '。', '、', '，', '！', '？', '：', '；', '।', '،', '؛',
        '؟', '۔',
    ])
}

/// The sound without the silence around it, as the voice with its word times.
///
/// `times` are the words' spans in samples of `sound`, ascending, one for each of `words`, or nothing.
fn finish(
    sound: &Sound,
    words: &[String],
    times: &[(usize, usize)],
    provider: &str,
) -> Result<Voice, GenerateError> {
    finish_with(sound, words, times, &[], provider)
}

/// [`finish`] with the phonemes, each with its samples, ascending.
fn finish_with(
    sound: &Sound,
    words: &[String],
    times: &[(usize, usize)],
    phonemes: &[(char, usize, usize)],
    provider: &str,
) -> Result<Voice, GenerateError> {
    let rejected =
        |reason: &str| GenerateError::Rejected { provider: provider.to_owned(), reason: reason.to_owned() };
    let (first, last) = sound.sounding().ok_or_else(|| rejected("the speech is silent"))?;
    let samples_in = |milliseconds: u32| (sound.rate / 1000 * milliseconds) as usize;
    let start = first.saturating_sub(samples_in(LEAD_MS));
    let end = (last + samples_in(TAIL_MS)).min(sound.samples.len());
    let mut kept = Sound { rate: sound.rate, samples: sound.samples[start..end].to_vec() };
    kept.soften_edges(samples_in(5));
    let at = |sample: usize| Time::from_samples((sample.clamp(start, end) - start) as u64, sound.rate);
    let words = words
        .iter()
        .zip(times)
        .map(|(word, (from, to))| SpokenWord { text: word.clone(), start: at(*from), end: at(*to) })
        .collect();
    let phonemes = phonemes
        .iter()
        .map(|(phoneme, from, to)| SpokenPhoneme {
            phoneme: phoneme.to_string(),
            start: at(*from),
            end: at(*to),
        })
        .collect();
    Ok(Voice {
        duration: Time::from_samples(kept.samples.len() as u64, kept.rate),
        audio: Blob::new(kept.to_wav()),
        words,
        phonemes,
    })
}

/// Letters and digits of what is to be said.
fn letters(request: &VoiceRequest) -> f64 {
    request.say.chars().filter(|c| c.is_alphanumeric()).count() as f64
}

/// How many seconds the words may take at the natural speed: the slowest text to read is digits ("1,000,000"), at up to a second
/// each.
fn longest_natural(letters: f64) -> f64 {
    3.0 + letters * 1.2
}

/// How many seconds speech may last to be plausible for its words.
pub(crate) fn longest_seconds(request: &VoiceRequest) -> f64 {
    longest_natural(letters(request)) / request.speed
}

/// Nothing when the speech is plausible for its words.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_speech(voice: &Voice, request: &VoiceRequest) -> Result<(), String> {
    let sound = Sound::from_wav(voice.audio.bytes())?;
    let seconds = sound.samples.len() as f64 / f64::from(sound.rate);
    let loudness = sound.rms();
    // Speech measures 0.03 to 0.2; a tenth of the softest is no longer speech.
    if loudness < 0.003 {
        return Err(format!("it is all but silent (RMS {loudness:.4})"));
    }
    let letters = letters(request);
    // The fastest voices read 30 letters a second. Far outside of that, something else was said, or nothing.
    let (shortest, longest) = (letters / 60.0, longest_natural(letters));
    let natural = seconds * request.speed;
    if !(shortest..=longest).contains(&natural) {
        return Err(format!("it lasts {seconds:.1} s, which is implausible for {letters} letters"));
    }
    if voice.duration != Time::from_samples(sound.samples.len() as u64, sound.rate) {
        return Err("its stated duration is not that of its sound".to_owned());
    }
    let mut before = Time::ZERO;
    for word in &voice.words {
        if word.start < before || word.end < word.start || word.end > voice.duration {
            return Err("its word times are out of order".to_owned());
        }
        before = word.start;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
