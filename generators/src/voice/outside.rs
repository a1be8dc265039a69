//! Sound that a service outside sent, as speech.

use vignette_templates::generate::{Voice, VoiceRequest};

use super::wav::Sound;
use super::{Script, align, ends_phrase, finish};
use crate::error::GenerateError;

/// The speech in `bytes`: a WAVE file, or raw 16-bit little-endian samples of one channel at the rate `raw`. When its words
/// sound is estimated from their length and from where it is silent.
///
/// # Errors
/// Bytes that are no such sound, and silence.
pub(crate) fn from_outside(
    bytes: &[u8],
    raw: Option<u32>,
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
    let weights: Vec<f64> = script
        .words
        .iter()
        .map(|word| word.chars().filter(|c| c.is_alphanumeric()).count().max(1) as f64 + 1.0)
        .collect();
    let pauses: Vec<bool> = script.words.iter().map(|word| ends_phrase(word)).collect();
    let times = align::share(&sound.spans(100), &weights, &pauses);
    finish(&sound, &script.words, &times, provider)
}

/// Whether bytes begin like an MP3, Ogg, FLAC, MP4 or WebM file.
fn is_coded(bytes: &[u8]) -> bool {
    bytes.starts_with(b"ID3")
        || bytes.starts_with(b"OggS")
        || bytes.starts_with(b"fLaC")
        || bytes.starts_with(&[0x1a, 0x45, 0xdf, 0xa3])
        || bytes.get(4..8) == Some(b"ftyp")
}
