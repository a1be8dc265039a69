//! Speech that is streamed with the time of each character: `POST …/text-to-speech/{voice}/stream/with-timestamps`, as in the
//! API reference of ElevenLabs ("Stream speech with timing"), and as other services and local servers follow it.
//!
//! The answer is a line of JSON for each chunk: `audio_base64`, and `alignment` with `characters`, `character_start_times_seconds`
//! and `character_end_times_seconds`, or `words` with `word_start_times_seconds` and `word_end_times_seconds`. Lines may stand in
//! server-sent events.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use vignette_templates::generate::{Cost, Voice, VoiceRequest};

use super::client::{Client, Expected, Sent, Sink};
use super::own_voice;
use crate::error::GenerateError;
use crate::gate::Usage;
use crate::guard;
use crate::provider::{Answer, Context, VoiceProvider};
use crate::voice::{Aligned, from_outside, longest_seconds};

/// The longest answer that is read: 32 MiB of sound as base64, and what is said about it.
const MAX_ANSWER: u64 = 56 << 20;
/// The longest sound.
const MAX_SOUND: usize = 32 << 20;
/// What a service may be silent for around the words, in seconds.
const SILENCE: f64 = 10.0;
/// More pieces than this are told of no text that is spoken at once.
const MAX_PIECES: usize = 40_000;
/// A chunk that begins so many seconds before the end of the last one counts its time from its own beginning.
const OWN_TIME: f64 = 0.05;

const TYPES: &[&str] = &[
    "application/json",
    "application/x-ndjson",
    "application/jsonl",
    "application/stream+json",
    "text/event-stream",
];

/// The rates of raw samples that can be asked for, in Hz.
pub(crate) const RATES: [u32; 6] = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000];

/// How a voice is asked for.
#[derive(Clone, Debug)]
pub(crate) struct SpeechStreamOptions {
    pub model: String,
    /// The service's identifier of the voice when the template names none.
    pub voice: String,
    /// The service's voices by the names that templates use.
    pub voices: BTreeMap<String, String>,
    /// The rate of the samples that are asked for, one of [`RATES`].
    pub rate: u32,
    /// How long the first chunk with sound in it may take.
    pub first_chunk: Duration,
    /// Fields that are added to each request as they are.
    pub extra: Map<String, Value>,
    /// Millionths of the currency for a request, and for a million characters.
    pub price_request: f64,
    pub price_million: f64,
}

/// A service that streams speech.
pub(crate) struct SpeechStream {
    client: Client,
    options: SpeechStreamOptions,
}

impl SpeechStream {
    pub(crate) fn new(client: Client, options: SpeechStreamOptions) -> Self {
        SpeechStream { client, options }
    }

    fn voice<'a>(&'a self, request: &'a VoiceRequest) -> &'a str {
        own_voice(&self.options.voices, &self.options.voice, request)
    }
}

impl VoiceProvider for SpeechStream {
    fn name(&self) -> &str {
        self.client.provider()
    }

    fn model(&self, request: &VoiceRequest, _: &str) -> String {
        format!("{} {} at {} Hz", self.options.model, self.voice(request), self.options.rate)
    }

    fn generate(&self, request: &VoiceRequest, context: &Context) -> Result<Voice, GenerateError> {
        Ok(self.answer(request, context)?.value)
    }

    fn answer(&self, request: &VoiceRequest, context: &Context) -> Result<Answer<Voice>, GenerateError> {
        let voice = self.voice(request);
        // It becomes a part of the path.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if voice.is_empty() || voice.len() > 128 || !voice.bytes().all(plain) {
            return Err(GenerateError::Invalid(format!(
                "{}: a voice's identifier has letters, digits, `-` and `_`; set others up with `voices`",
                self.name()
            )));
        }
        let say = guard::clean_data(&request.say);
        let characters = say.chars().count() as u64;
        let mut body = json!({ "text": say, "model_id": self.options.model });
        if let Some(fields) = body.as_object_mut() {
            if request.speed != 1.0 {
                fields.insert("voice_settings".to_owned(), json!({ "speed": request.speed }));
            }
            for (name, value) in &self.options.extra {
                match (fields.get_mut(name), value) {
                    // The voice's own settings stay beside its speed.
                    (Some(Value::Object(there)), Value::Object(more)) => {
                        for (name, value) in more {
                            there.entry(name).or_insert_with(|| value.clone());
                        }
                    }
                    _ => {
                        fields.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        let money = self.options.price_request + self.options.price_million * characters as f64 / 1e6;
        let cost = Cost { characters, micros: money.ceil() as u64, ..Cost::default() };
        let expected =
            Expected { types: TYPES, max_bytes: MAX_ANSWER, first: Some(self.options.first_chunk) };
        let rate = self.options.rate;
        // Longer than it can be is known to be wrong before it ends.
        let longest = longest_seconds(request) + SILENCE;
        let path = format!("/text-to-speech/{voice}/stream/with-timestamps?output_format=pcm_{rate}");
        self.client
            .post_into(
                &path,
                &Sent::Json(&body),
                cost,
                &expected,
                context,
                || Chunks::new(rate, longest),
                |chunks| {
                    let (sound, aligned) = chunks.finish()?;
                    Ok((
                        from_outside(&sound, Some(rate), &aligned, request, self.name()),
                        cost,
                        String::new(),
                    ))
                },
            )
            .and_then(|answer| {
                Ok(Answer {
                    value: answer.value?,
                    version: answer.version,
                    cost: answer.cost,
                    made_at: answer.made_at,
                })
            })
    }

    fn remote(&self) -> bool {
        self.client.is_remote()
    }

    fn usage(&self) -> Option<Usage> {
        Some(self.client.gate.usage())
    }
}

/// A line of the answer.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    audio_base64: Option<String>,
    #[serde(default)]
    alignment: Option<Alignment>,
    /// What services send when they fail in the middle.
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    detail: Option<Value>,
}

#[derive(Deserialize)]
struct Alignment {
    #[serde(alias = "words")]
    characters: Vec<String>,
    #[serde(alias = "word_start_times_seconds")]
    character_start_times_seconds: Vec<f64>,
    #[serde(alias = "word_end_times_seconds")]
    character_end_times_seconds: Vec<f64>,
}

/// What came of a stream so far: the sound of its chunks, samples of 16 bits, and when each piece of the text sounds in it. Each line
/// is read once it is whole.
struct Chunks {
    rate: u32,
    /// The longest sound that can be right, in seconds.
    longest: f64,
    /// The bytes of a line that is not whole.
    line: Vec<u8>,
    sound: Vec<u8>,
    aligned: Vec<Aligned>,
}

impl Sink for Chunks {
    fn take(&mut self, mut bytes: &[u8]) -> Result<bool, String> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (rest, after) = bytes.split_at(end);
            bytes = &after[1..];
            self.line.extend_from_slice(rest);
            let line = std::mem::take(&mut self.line);
            self.read(&line)?;
        }
        self.line.extend_from_slice(bytes);
        Ok(!self.sound.is_empty())
    }
}

impl Chunks {
    fn new(rate: u32, longest: f64) -> Self {
        Chunks { rate, longest, line: Vec::new(), sound: Vec::new(), aligned: Vec::new() }
    }

    /// The length of the sound so far, in seconds.
    fn seconds(&self) -> f64 {
        self.sound.len() as f64 / (2.0 * f64::from(self.rate))
    }

    fn read(&mut self, line: &[u8]) -> Result<(), String> {
        let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?.trim();
        let line = line.strip_prefix("data:").map_or(line, str::trim_start);
        if line.is_empty()
            || line == "[DONE]"
            || [":", "event:", "id:", "retry:"].iter().any(|sign| line.starts_with(sign))
        {
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_str(line)
            .map_err(|_| "a line of it is not the JSON of a chunk of speech".to_owned())?;
        if chunk.error.is_some() || chunk.detail.is_some() {
            return Err("it breaks off with an error".to_owned());
        }
        let before = self.seconds();
        if let Some(coded) = &chunk.audio_base64 {
            let decoded = STANDARD.decode(coded).map_err(|_| "its sound is not base64".to_owned())?;
            if self.sound.len() + decoded.len() > MAX_SOUND {
                return Err(format!("its sound is longer than the {MAX_SOUND} bytes that are read"));
            }
            self.sound.extend(decoded);
            if self.seconds() > self.longest {
                return Err(format!(
                    "it goes on for more than {:.0} s, which is implausible for its words",
                    self.longest
                ));
            }
        }
        match chunk.alignment {
            Some(alignment) => pieces(alignment, before, &mut self.aligned),
            None => Ok(()),
        }
    }

    /// All of the sound and its pieces, at the end of the answer.
    ///
    /// # Errors
    /// What is wrong with the last line, which may lack its end; no sound.
    fn finish(mut self) -> Result<(Vec<u8>, Vec<Aligned>), String> {
        let line = std::mem::take(&mut self.line);
        self.read(&line)?;
        match self.sound.is_empty() {
            true => Err("it holds no sound".to_owned()),
            false => Ok((self.sound, self.aligned)),
        }
    }
}

/// Adds the pieces of a chunk that begins `before` seconds into the sound. Some services count time from the beginning of the
/// speech, some from that of the chunk.
fn pieces(alignment: Alignment, before: f64, aligned: &mut Vec<Aligned>) -> Result<(), String> {
    let Alignment { characters, character_start_times_seconds: starts, character_end_times_seconds: ends } =
        alignment;
    if characters.len() != starts.len() || characters.len() != ends.len() {
        return Err("its alignment has lists of different lengths".to_owned());
    }
    if aligned.len() + characters.len() > MAX_PIECES {
        return Err(format!("its alignment has more than {MAX_PIECES} pieces"));
    }
    let times = starts.iter().zip(&ends);
    if times.clone().any(|(start, end)| !(0.0..=3600.0).contains(start) || !(*start..=3600.0).contains(end)) {
        return Err("its alignment has times that are none".to_owned());
    }
    let moved = match starts.first() {
        Some(first) if aligned.last().is_some_and(|last| *first < last.end - OWN_TIME) => before,
        _ => 0.0,
    };
    aligned.extend(characters.into_iter().zip(times).map(|(text, (start, end))| Aligned {
        text,
        start: start + moved,
        end: end + moved,
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(samples: usize, characters: &[&str], starts: &[f64], ends: &[f64]) -> String {
        let sound = STANDARD.encode(vec![1; 2 * samples]);
        json!({
            "audio_base64": sound,
            "alignment": { "characters": characters, "character_start_times_seconds": starts, "character_end_times_seconds": ends },
            "normalized_alignment": null,
        })
        .to_string()
    }

    /// What comes of `bytes`, in pieces of that length.
    fn chunks(bytes: &[u8], rate: u32, length: usize) -> Result<(Vec<u8>, Vec<Aligned>), String> {
        let mut chunks = Chunks::new(rate, 60.0);
        for piece in bytes.chunks(length) {
            chunks.take(piece)?;
        }
        chunks.finish()
    }

    #[test]
    fn chunks_add_up_however_their_time_is_counted() {
        let first = line(1000, &["H", "i", " "], &[0.1, 0.2, 0.4], &[0.2, 0.4, 0.5]);
        let whole = line(1000, &["y", "o", "u"], &[1.1, 1.2, 1.3], &[1.2, 1.3, 1.4]);
        let own = line(1000, &["y", "o", "u"], &[0.1, 0.2, 0.3], &[0.2, 0.3, 0.4]);
        let last = "{\"audio_base64\": null, \"alignment\": null}";
        for (name, text) in [
            ("from the beginning", format!("{first}\n\n{whole}\n{last}")),
            ("from the chunk's", format!("{first}\n{own}\n")),
            ("in events", format!(": hello\nevent: message\ndata: {first}\n\ndata: {own}\n\ndata: [DONE]\n")),
        ] {
            let (sound, aligned) = chunks(text.as_bytes(), 1000, 1 << 20).unwrap();
            assert_eq!(sound.len(), 4000, "{name}");
            // However it is cut on the way, in the middle of a character too.
            for length in [1, 7, 100] {
                let cut = chunks(text.as_bytes(), 1000, length).unwrap();
                assert_eq!(cut, (sound.clone(), aligned.clone()), "{name}, by {length}");
            }
            let starts: Vec<f64> = aligned.iter().map(|piece| (piece.start * 10.0).round()).collect();
            assert_eq!(starts, [1.0, 2.0, 4.0, 11.0, 12.0, 13.0], "{name}");
        }
        let words = r#"{"audio_base64":"AAAA","alignment":{"words":["Hi","you"],"word_start_times_seconds":[0,1],"word_end_times_seconds":[1,2]}}"#;
        assert_eq!(
            chunks(words.as_bytes(), 1000, 9).unwrap().1[1],
            Aligned { text: "you".into(), start: 1.0, end: 2.0 }
        );
    }

    #[test]
    fn answers_at_fault_are_refused() {
        for (text, expected) in [
            ("", "no sound"),
            ("{}", "no sound"),
            ("[1,", "not the JSON"),
            (r#"{"audio_base64":"%%"}"#, "not base64"),
            (
                r#"{"audio_base64":"AAAA"}
{"error":{"message":"about Maria"}}"#,
                "breaks off",
            ),
            (
                r#"{"audio_base64":"AAAA","alignment":{"characters":["a"],"character_start_times_seconds":[],"character_end_times_seconds":[]}}"#,
                "different lengths",
            ),
            (
                r#"{"audio_base64":"AAAA","alignment":{"characters":["a"],"character_start_times_seconds":[-1],"character_end_times_seconds":[1]}}"#,
                "times that are none",
            ),
            (
                r#"{"audio_base64":"AAAA","alignment":{"characters":["a"],"character_start_times_seconds":[2],"character_end_times_seconds":[1]}}"#,
                "times that are none",
            ),
        ] {
            let error = chunks(text.as_bytes(), 1000, 9).unwrap_err();
            assert!(error.contains(expected) && !error.contains("Maria"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_is_known_as_soon_as_it_comes() {
        let mut chunks = Chunks::new(1000, 3.0);
        let second = line(1000, &[], &[], &[]) + "\n";
        assert_eq!(chunks.take(&second.as_bytes()[..40]), Ok(false), "no sound yet");
        assert_eq!(chunks.take(&second.as_bytes()[40..]), Ok(true));
        chunks.take(second.as_bytes()).unwrap();
        chunks.take(second.as_bytes()).unwrap();
        let error = chunks.take(second.as_bytes()).unwrap_err();
        assert!(error.contains("more than 3 s"), "{error}");
        assert!(Chunks::new(1000, 3.0).take(b"<html>\n").is_err());
    }
}
