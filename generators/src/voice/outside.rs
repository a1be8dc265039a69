//! Sound that a service outside sent, as speech.

use vignette_templates::generate::{Voice, VoiceRequest};

use super::wav::Sound;
use super::{Script, align, ends_phrase, finish};
use crate::error::GenerateError;

/// A piece of the text that was spoken, a character or a word, and when, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aligned {
    pub text: String,
    pub start: f64,
    pub end: f64,
}

/// The speech in `bytes`: a WAVE file, or raw 16-bit little-endian samples of one channel at the rate `raw`. When its words
/// sound is taken from `aligned`, which tells of the whole text in order; where that is empty or tells of another text, it is
/// estimated from the words' length and from where the sound is silent.
///
/// # Errors
/// Bytes that are no such sound, and silence.
pub(crate) fn from_outside(
    bytes: &[u8],
    raw: Option<u32>,
    aligned: &[Aligned],
    request: &VoiceRequest,
    provider: &str,
) -> Result<Voice, GenerateError> {
    let script = Script::read(request)?;
    let rejected = |reason: String| GenerateError::Rejected { provider: provider.to_owned(), reason };
    let sound = match raw {
        // What looks like a file is none of raw samples, whatever was asked for.
        Some(rate) if !bytes.starts_with(b"RIFF") => {
            if is_coded(bytes) {
                return Err(rejected("it is a coded sound, and raw samples were asked for".to_owned()));
            }
            let samples = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
            Sound { rate, samples }
        }
        // Without a tag in front, MP3 begins with its frame's sync word (ISO/IEC 11172-3, 2.4.1.3); raw samples may, too.
        _ if is_coded(bytes) || matches!(bytes, [0xff, second, ..] if second & 0xe6 == 0xe2) => {
            let reason = "it is a coded sound (MP3, Ogg, FLAC or MP4); only 16-bit WAVE is read, so set the server to `wav`";
            return Err(rejected(reason.to_owned()));
        }
        _ => Sound::from_wav(bytes).map_err(rejected)?,
    };
    if let Some(times) = times_of(&script.words, aligned, &sound) {
        return finish(&sound, &script.words, &times, provider);
    }
    let weights: Vec<f64> = script
        .words
        .iter()
        .map(|word| word.chars().filter(|c| c.is_alphanumeric()).count().max(1) as f64 + 1.0)
        .collect();
    let pauses: Vec<bool> = script.words.iter().map(|word| ends_phrase(word)).collect();
    let times = align::share(&sound.spans(100), &weights, &pauses);
    finish(&sound, &script.words, &times, provider)
}

/// When each word sounds in samples, by the characters that it has in common with `aligned`; `None` when that is another text.
fn times_of(words: &[String], aligned: &[Aligned], sound: &Sound) -> Option<Vec<(usize, usize)>> {
    let sample =
        |seconds: f64| ((seconds.max(0.0) * f64::from(sound.rate)).round() as usize).min(sound.samples.len());
    let letters = |text: &str| {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<Vec<_>>()
    };
    // Every letter with the piece it is of; a piece may be a whole word.
    let told: Vec<(char, usize)> = aligned
        .iter()
        .enumerate()
        .flat_map(|(index, piece)| letters(&piece.text).into_iter().map(move |c| (c, index)))
        .collect();
    let mut rest = told.as_slice();
    let mut times: Vec<(usize, usize)> = Vec::with_capacity(words.len());
    for word in words {
        let own = letters(word);
        let (part, after) = rest.split_at_checked(own.len())?;
        if part.iter().map(|(c, _)| c).ne(&own) {
            return None;
        }
        let least = times.last().map_or(0, |(_, end)| *end);
        let time = match (part.first(), part.last()) {
            (Some((_, first)), Some((_, last))) => {
                let start = sample(aligned[*first].start).max(least);
                (start, sample(aligned[*last].end).max(start))
            }
            // Signs such as `&` have no letter.
            _ => (least, least),
        };
        times.push(time);
        rest = after;
    }
    (rest.is_empty() && !times.is_empty()).then_some(times)
}

/// Whether bytes begin like an MP3, Ogg, FLAC, MP4 or WebM file.
fn is_coded(bytes: &[u8]) -> bool {
    bytes.starts_with(b"ID3")
        || bytes.starts_with(b"OggS")
        || bytes.starts_with(b"fLaC")
        || bytes.starts_with(&[0x1a, 0x45, 0xdf, 0xa3])
        || bytes.get(4..8) == Some(b"ftyp")
}
