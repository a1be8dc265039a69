//! Recordings whose holes are spoken: each hole is a request of its own, which is remembered like any other.

use std::time::Instant;

use vignette_templates::generate::{
    Generated, GeneratedValue, Provenance, Recording, Request, RequestKind, Voice, VoiceRequest,
};
use vignette_templates::time::Time;

use super::{Engine, voice_key};
use crate::cache::Made;
use crate::error::GenerateError;
use crate::gate::sum;
use crate::voice::{splice, words_of};

/// So many characters of what the person says are spoken to compare the pace.
const MEASURED: usize = 240;
/// How much slower or faster than its own speed a voice may be made for a recording.
const PACES: (f64, f64) = (0.7, 1.4);

impl Engine {
    /// The recording with its holes spoken.
    pub(super) fn recorded(
        &self,
        request: &Request,
        voice: &VoiceRequest,
        recording: &Recording,
    ) -> Result<Generated, GenerateError> {
        let providers = self.voice.as_deref().unwrap_or_default();
        let key = voice_key(request, voice, providers);
        self.remembered(key, &Some, || self.join(request, voice, recording))
    }

    fn join(
        &self,
        request: &Request,
        voice: &VoiceRequest,
        recording: &Recording,
    ) -> Result<Made, GenerateError> {
        let started = Instant::now();
        let mut made: Option<Provenance> = None;
        let mut include = |part: Provenance| match &mut made {
            None => made = Some(part),
            Some(whole) if whole.provider.is_empty() => {
                let before = std::mem::replace(whole, part).instead_of;
                whole.instead_of.splice(0..0, before);
            }
            Some(whole) => {
                whole.cost = sum(whole.cost, part.cost);
                whole.instead_of.extend(part.instead_of);
                whole.made_at = whole.made_at.max(part.made_at);
                if (&whole.provider, &whole.model) != (&part.provider, &part.model) {
                    whole.model = format!("{}; {}: {}", whole.model, part.provider, part.model);
                }
            }
        };
        let pace = if recording.holes.iter().all(|hole| hole.say.trim().is_empty()) {
            1.0
        } else {
            self.pace(request, voice, recording, &mut include)
        };
        let mut spoken: Vec<Option<Voice>> = Vec::with_capacity(recording.holes.len());
        let mut closed: Vec<String> = Vec::new();
        for hole in &recording.holes {
            if hole.say.trim().is_empty() {
                spoken.push(None);
                continue;
            }
            let speed = (voice.speed * pace).clamp(0.5, 2.0);
            let late = started.elapsed() > self.options.deadline;
            let answer = match late {
                true => Err(GenerateError::Deadline {
                    provider: "recording".to_owned(),
                    after: self.options.deadline,
                }),
                false => self.voice_of(request, voice, &hole.say, speed, request.seed),
            };
            match answer {
                Ok((value, part)) => {
                    include(part);
                    spoken.push(Some(value));
                }
                Err(error) if hole.optional && !error.is_invalid() => {
                    closed.push(error.to_string());
                    spoken.push(None);
                }
                Err(error) => return Err(error),
            }
        }
        let value = splice(recording, &spoken)
            .map_err(|reason| GenerateError::Invalid(format!("generate.{}: {reason}", request.name)))?;
        let mut provenance =
            made.unwrap_or_else(|| Provenance { provider: "recording".to_owned(), ..Provenance::default() });
        if !provenance.model.is_empty() {
            provenance.model.push_str(", in a recording");
        }
        if !closed.is_empty() {
            provenance.fallback = Some(format!("a hole of the recording is closed: {}", closed.join("; ")));
        }
        // As with any other speech, what stood in for another is asked again.
        let lasts = provenance.instead_of.is_empty() && closed.is_empty();
        Ok(Made { generated: Generated { value: GeneratedValue::Voice(value), provenance }, lasts })
    }

    /// How fast the person speaks relative to the voice: the voice speaks some of the recorded words once, for all viewers.
    fn pace(
        &self,
        request: &Request,
        voice: &VoiceRequest,
        recording: &Recording,
        include: &mut impl FnMut(Provenance),
    ) -> f64 {
        let measured = measured(recording);
        let text = measured.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return 1.0;
        }
        let (own, part) = match self.voice_of(request, voice, &text, 1.0, 0) {
            Ok(answer) => answer,
            // The holes are still spoken, at the voice's own speed.
            Err(error) => {
                let instead_of = vec![format!("the pace of the recording is not known: {error}")];
                include(Provenance { instead_of, ..Provenance::default() });
                return 1.0;
            }
        };
        include(part);
        let recorded: f64 = measured.iter().map(|(_, length)| length.as_seconds()).sum();
        let mut own_words = own.words.iter();
        let mut spoken = 0.0;
        for (text, _) in &measured {
            let part: Vec<_> = own_words.by_ref().take(words_of(text).len()).collect();
            if let (Some(first), Some(last)) = (part.first(), part.last()) {
                spoken += (last.end - first.start).as_seconds();
            }
        }
        if recorded <= 0.0 || spoken <= 0.0 {
            return 1.0;
        }
        // Rounded, so that a difference that nobody hears makes no other sound.
        ((spoken / recorded).clamp(PACES.0, PACES.1) * 50.0).round() / 50.0
    }

    /// Speech for `say` in the voice of a recording's request.
    fn voice_of(
        &self,
        request: &Request,
        voice: &VoiceRequest,
        say: &str,
        speed: f64,
        seed: u64,
    ) -> Result<(Voice, Provenance), GenerateError> {
        let wanted = VoiceRequest {
            say: say.trim().to_owned(),
            voice: voice.voice.clone(),
            speed,
            lexicon: voice.lexicon.clone(),
            recording: None,
        };
        let part = Request { seed, kind: RequestKind::Voice(wanted), ..request.clone() };
        let made = self.generate_one(&part)?;
        match made.value {
            GeneratedValue::Voice(voice) => Ok((voice, made.provenance)),
            _ => Err(GenerateError::Invalid("what was spoken is no speech".to_owned())),
        }
    }
}

/// The recorded words that are compared, outside all holes, with how long each takes.
fn measured(recording: &Recording) -> Vec<(String, Time)> {
    let mut measured = Vec::new();
    let mut length = 0;
    for word in &recording.words {
        let cut = recording.holes.iter().any(|hole| hole.from < word.end && word.start < hole.to);
        if cut || word.end <= word.start || words_of(&word.text).is_empty() {
            continue;
        }
        length += word.text.chars().count() + 1;
        if length > MEASURED && !measured.is_empty() {
            break;
        }
        measured.push((word.text.clone(), word.end - word.start));
    }
    measured
}

/// All that a provider is told for a request: of a recording the words that are compared, too.
pub(super) fn told(voice: &VoiceRequest) -> String {
    let compared = voice.recording.iter().flat_map(measured).map(|(text, _)| text);
    compared.chain([voice.say.clone()]).collect::<Vec<_>>().join(" ")
}
