//! Silence in the place of speech that cannot be had: as long as the words would take, so that scenes and captions keep their times.

use crate::templates::blob::Blob;
use crate::templates::generate::{SpokenWord, Voice, VoiceRequest};
use crate::templates::time::Time;

/// Samples per second of the silence; nothing is in it that would need more.
const SAMPLE_RATE: u32 = 8_000;

/// Silence for the words of a request, each with the part of the time that its letters would take.
pub(crate) fn of(request: &VoiceRequest) -> Voice {
    let duration = estimated(request);
    let words: Vec<&str> = request.say.split_whitespace().collect();
    let letters = |word: &str| word.chars().count() as i64 + 1;
    let all = words.iter().map(|word| letters(word)).sum::<i64>().max(1);
    let mut passed = 0;
    let at = |passed: i64| {
        Time::from_ticks((i128::from(duration.ticks()) * i128::from(passed) / i128::from(all)) as i64)
    };
    let words = words.into_iter().map(|word| {
        let start = at(passed);
        passed += letters(word);
        SpokenWord { text: word.to_owned(), start, end: at(passed) }
    });
    Voice { words: words.collect(), audio: Blob::new(wav(duration)), duration, phonemes: Vec::new() }
}

/// How long words take: what `flite` and `espeak-ng` need on the average, some 14 letters a second and a pause for each sign.
pub(crate) fn estimated(request: &VoiceRequest) -> Time {
    let (mut letters, mut pauses) = (0u32, 0u32);
    for c in request.say.chars() {
        match c {
            '.' | ',' | ';' | ':' | '!' | '?' | '…' | '。' | '、' | '।' | '؟' | '،' => pauses += 1,
            // A syllable or a word in one sign.
            '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => letters += 3,
            c if c.is_alphanumeric() => letters += 1,
            _ => {}
        }
    }
    let seconds = 0.2 + f64::from(letters) / 14.0 + f64::from(pauses) * 0.12;
    let spoken =
        Time::from_ticks((seconds / request.speed.clamp(0.5, 2.0) * Time::TICKS_PER_SECOND as f64) as i64);
    // Of a recording so much is known without a look into its file.
    let recorded = request.recording.as_ref().map_or(Time::ZERO, |recording| {
        let words = recording.words.iter().fold(Time::ZERO, |sum, word| sum + (word.end - word.start));
        let outside = recording.holes.last().map_or(Time::ZERO, |hole| hole.from);
        words.max(outside)
    });
    recorded + spoken
}

/// A WAV of 16 bits and one channel (RIFF 1.0, WAVE format 1) in which every sample is 0.
fn wav(duration: Time) -> Vec<u8> {
    let length = u32::try_from(duration.to_samples(SAMPLE_RATE)).unwrap_or(0).max(1) * 2;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + length).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(SAMPLE_RATE.to_le_bytes());
    wav.extend((2 * SAMPLE_RATE).to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(length.to_le_bytes());
    wav.resize(wav.len() + length as usize, 0);
    wav
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(say: &str, speed: f64) -> VoiceRequest {
        VoiceRequest { say: say.into(), speed, ..VoiceRequest::default() }
    }

    #[test]
    fn longer_words_take_longer() {
        let seconds = |say: &str, speed| estimated(&asked(say, speed)).as_seconds();
        assert!((1.5..2.5).contains(&seconds("Hello Maria, and welcome.", 1.0)));
        assert!(seconds("Hello Maximiliana, and welcome.", 1.0) > seconds("Hello Maria, and welcome.", 1.0));
        assert!((seconds("Hello", 0.5) / seconds("Hello", 1.0) - 2.0).abs() < 1e-6);
        assert!(seconds("今日は田中さん", 1.0) > 1.0);
        assert!(seconds("", 1.0) > 0.0);
    }

    #[test]
    fn silence_is_as_long_as_its_words() {
        let voice = of(&asked("Hello Maria, and welcome.", 1.0));
        let texts: Vec<&str> = voice.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, ["Hello", "Maria,", "and", "welcome."]);
        assert_eq!(voice.words[0].start, Time::ZERO);
        assert!(voice.words.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(voice.words[3].end, voice.duration);
        let samples = voice.duration.to_samples(SAMPLE_RATE) as usize;
        assert_eq!(voice.audio.bytes().len(), 44 + 2 * samples);
        assert!(of(&asked("", 1.0)).words.is_empty());
    }
}
