//! What a forecast takes instead of speech and pictures: making them would cost more than all the rest.

use std::sync::OnceLock;

use super::Voices;
use crate::generators::GenerateError;
use crate::templates::blob::Blob;
use crate::templates::generate::{
    Generated, GeneratedValue, Provenance, Request, RequestKind, Voice, VoiceRequest,
};
use crate::{Engine, Template, silence};

/// Answers what a template asks to be generated.
pub(super) struct StandIns<'a> {
    engine: &'a Engine,
    voices: Voices,
    has_pictures: bool,
}

impl<'a> StandIns<'a> {
    pub(super) fn new(engine: &'a Engine, template: &Template, estimate: bool) -> Self {
        let template = &template.package.template;
        let entries = || template.document().generate.entries.iter().map(|(_, _, generator)| generator);
        let voices = match entries().any(|generator| generator.voice.is_some()) {
            false => Voices::None,
            true if !template.voices_time_frames() => Voices::NotNeeded,
            true if estimate => Voices::Estimated,
            true => Voices::Spoken,
        };
        StandIns {
            engine,
            voices,
            has_pictures: entries().any(|made| made.image.is_some() || made.photo.is_some()),
        }
    }

    pub(super) fn voices(&self) -> Voices {
        self.voices
    }

    pub(super) fn pictures_by_request(&self) -> bool {
        self.has_pictures
    }

    /// The answers in the order of the requests. Copy is written as for a video: it is seen.
    pub(super) fn answer(&self, requests: &[Request]) -> Vec<Result<Generated, GenerateError>> {
        let answers = requests.iter().map(|request| match &request.kind {
            RequestKind::Voice(voice) if self.voices != Voices::Spoken => {
                Ok(stands_in(GeneratedValue::Voice(estimated(voice))))
            }
            RequestKind::Image(_) | RequestKind::Photo(_) => {
                // The same request gives the same picture, so that what names the request may name the picture.
                let asked = serde_json::to_vec(&(&request.locale, request.seed, &request.kind));
                Ok(stands_in(GeneratedValue::Image(Blob::new(asked.unwrap_or_default()))))
            }
            RequestKind::Voice(_) | RequestKind::Text(_) => self.engine.generators.generate_one(request),
        });
        answers.collect()
    }
}

fn stands_in(value: GeneratedValue) -> Generated {
    let provenance = Provenance { provider: "forecast".to_owned(), ..Provenance::default() };
    Generated { value, provenance }
}

/// Speech that was not spoken: as long as it would take, about, and silent. Nobody hears it, so all share one file.
fn estimated(request: &VoiceRequest) -> Voice {
    static SILENCE: OnceLock<Blob> = OnceLock::new();
    Voice {
        audio: SILENCE.get_or_init(|| Blob::new(&b"a forecast's silence"[..])).clone(),
        duration: silence::estimated(request),
        words: Vec::new(),
        phonemes: Vec::new(),
    }
}
