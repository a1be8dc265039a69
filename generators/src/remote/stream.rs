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

use super::client::{Client, Expected};
use super::own_voice;
use crate::error::GenerateError;
use crate::gate::Usage;
use crate::guard;
use crate::provider::{Answer, Context, VoiceProvider};
use crate::voice::{Aligned, from_outside};

/// The longest answer that is read: 32 MiB of sound as base64, and what is said about it.
const MAX_ANSWER: u64 = 56 << 20;
/// The longest sound.
const MAX_SOUND: usize = 32 << 20;
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
    /// How long the first chunk may take.
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
            Expected { types: TYPES, max_bytes: MAX_ANSWER, first_byte: Some(self.options.first_chunk) };
        let rate = self.options.rate;
        let path = format!("/text-to-speech/{voice}/stream/with-timestamps?output_format=pcm_{rate}");
        self.client
            .post(&path, &body, cost, &expected, context, |bytes| {
                let (sound, aligned) = chunks(bytes, rate)?;
                Ok((from_outside(&sound, Some(rate), &aligned, request, self.name()), cost, String::new()))
            })
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

/// The sound of all chunks, samples of 16 bits at `rate`, and when each piece of the text sounds in it.
///
/// # Errors
/// What is wrong with the answer.
fn chunks(bytes: &[u8], rate: u32) -> Result<(Vec<u8>, Vec<Aligned>), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut sound: Vec<u8> = Vec::new();
    let mut aligned: Vec<Aligned> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("data:").map_or(line, str::trim_start);
        if line.is_empty()
            || line == "[DONE]"
            || [":", "event:", "id:", "retry:"].iter().any(|sign| line.starts_with(sign))
        {
            continue;
        }
        let chunk: Chunk = serde_json::from_str(line)
            .map_err(|_| "a line of it is not the JSON of a chunk of speech".to_owned())?;
        if chunk.error.is_some() || chunk.detail.is_some() {
            return Err("it breaks off with an error".to_owned());
        }
        let before = sound.len() as f64 / (2.0 * f64::from(rate));
        if let Some(coded) = &chunk.audio_base64 {
            let decoded = STANDARD.decode(coded).map_err(|_| "its sound is not base64".to_owned())?;
            if sound.len() + decoded.len() > MAX_SOUND {
                return Err(format!("its sound is longer than the {MAX_SOUND} bytes that are read"));
            }
            sound.extend(decoded);
        }
        if let Some(alignment) = chunk.alignment {
            pieces(alignment, before, &mut aligned)?;
        }
    }
    match sound.is_empty() {
        true => Err("it holds no sound".to_owned()),
        false => Ok((sound, aligned)),
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
            let (sound, aligned) = chunks(text.as_bytes(), 1000).unwrap();
            assert_eq!(sound.len(), 4000, "{name}");
            let starts: Vec<f64> = aligned.iter().map(|piece| (piece.start * 10.0).round()).collect();
            assert_eq!(starts, [1.0, 2.0, 4.0, 11.0, 12.0, 13.0], "{name}");
        }
        let words = r#"{"audio_base64":"AAAA","alignment":{"words":["Hi","you"],"word_start_times_seconds":[0,1],"word_end_times_seconds":[1,2]}}"#;
        assert_eq!(
            chunks(words.as_bytes(), 1000).unwrap().1[1],
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
            let error = chunks(text.as_bytes(), 1000).unwrap_err();
            assert!(error.contains(expected) && !error.contains("Maria"), "{text}: {error}");
        }
    }
}
