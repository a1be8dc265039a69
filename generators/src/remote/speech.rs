//! Speech by `POST …/audio/speech`, as in OpenAI's API reference (Audio, "Create speech") and in local servers that follow it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use vignette_templates::generate::{Cost, Voice, VoiceRequest};

use super::client::{Client, Expected, Sent};
use super::own_voice;
use crate::error::GenerateError;
use crate::gate::{Gate, Usage};
use crate::guard;
use crate::provider::{Answer, Context, VoiceProvider};
use crate::voice::{check_script, from_outside};

/// The longest sound that is read: eleven minutes at 24 kHz.
const MAX_ANSWER: u64 = 32 << 20;

/// The rate of raw samples, which carry none themselves.
const RAW_RATE: u32 = 24_000;

/// How a voice is asked for.
#[derive(Clone, Debug)]
pub(crate) struct SpeechOptions {
    pub model: String,
    /// The voice when the template names none.
    pub voice: String,
    /// The service's voices by the names that templates use.
    pub voices: BTreeMap<String, String>,
    /// Whether raw 16-bit samples at 24 kHz are asked for instead of a WAVE file.
    pub raw: bool,
    /// Fields that are added to each request as they are.
    pub extra: Map<String, Value>,
    /// Millionths of the currency for a request, and for a million characters.
    pub price_request: f64,
    pub price_million: f64,
}

/// A service that speaks.
pub(crate) struct Speech {
    client: Client,
    options: SpeechOptions,
}

impl Speech {
    pub(crate) fn new(client: Client, options: SpeechOptions) -> Self {
        Speech { client, options }
    }

    fn voice<'a>(&'a self, request: &'a VoiceRequest) -> &'a str {
        own_voice(&self.options.voices, &self.options.voice, request)
    }
}

impl VoiceProvider for Speech {
    fn name(&self) -> &str {
        self.client.provider()
    }

    fn model(&self, request: &VoiceRequest, _: &str) -> String {
        format!("{} {}", self.options.model, self.voice(request))
    }

    fn generate(&self, request: &VoiceRequest, context: &Context) -> Result<Voice, GenerateError> {
        Ok(self.answer(request, context)?.value)
    }

    fn answer(&self, request: &VoiceRequest, context: &Context) -> Result<Answer<Voice>, GenerateError> {
        // What cannot be spoken is refused before it is paid for.
        check_script(request)?;
        let say = guard::clean_data(&request.say);
        let characters = say.chars().count() as u64;
        let mut body = json!({
            "model": self.options.model,
            "input": say,
            "voice": self.voice(request),
            "response_format": if self.options.raw { "pcm" } else { "wav" },
            "speed": request.speed,
        });
        if let Some(fields) = body.as_object_mut() {
            fields.extend(self.options.extra.clone());
        }
        let money = self.options.price_request + self.options.price_million * characters as f64 / 1e6;
        let cost = Cost { characters, micros: money.ceil() as u64, ..Cost::default() };
        let types: &'static [&'static str] = &["audio/", "application/octet-stream"];
        let expected = Expected { types, max_bytes: MAX_ANSWER, first: None };
        let raw = self.options.raw.then_some(RAW_RATE);
        self.client
            .post("/audio/speech", &Sent::Json(&body), cost, &expected, context, |bytes| {
                // The characters were spoken and count, whatever the sound is.
                Ok((from_outside(bytes, raw, &[], request, self.name()), cost, String::new()))
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

    fn gate(&self) -> Option<&Gate> {
        Some(&self.client.gate)
    }

    fn usage(&self) -> Option<Usage> {
        Some(self.client.gate.usage())
    }
}
