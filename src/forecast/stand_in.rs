//! What a forecast takes instead of speech and pictures: making them would cost more than all the rest.

use std::sync::OnceLock;

use super::Voices;
use crate::generators::GenerateError;
use crate::templates::blob::Blob;
use crate::templates::generate::{
    Generated, GeneratedValue, Provenance, Request, RequestKind, Voice, VoiceRequest,
};
use crate::templates::time::Time;
use crate::{Engine, Template};

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
        StandIns { engine, voices, has_pictures: entries().any(|generator| generator.image.is_some()) }
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
            RequestKind::Image(_) => {
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

/// Speech that was not spoken: as long as `flite` and `espeak-ng` take on the average, some 14 letters a second and a pause
/// for each sign, and silent.
fn estimated(request: &VoiceRequest) -> Voice {
    static SILENCE: OnceLock<Blob> = OnceLock::new();
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
    let ticks = seconds / request.speed.clamp(0.5, 2.0) * Time::TICKS_PER_SECOND as f64;
    Voice {
        audio: SILENCE.get_or_init(|| Blob::new(&b"a forecast's silence"[..])).clone(),
        duration: Time::from_ticks(ticks as i64),
        words: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_words_take_longer() {
        let voice = |say: &str, speed| {
            estimated(&VoiceRequest { say: say.into(), voice: None, speed }).duration.as_seconds()
        };
        assert!((1.5..2.5).contains(&voice("Hello Maria, and welcome.", 1.0)));
        assert!(voice("Hello Maximiliana, and welcome.", 1.0) > voice("Hello Maria, and welcome.", 1.0));
        assert!((voice("Hello", 0.5) / voice("Hello", 1.0) - 2.0).abs() < 1e-6);
        assert!(voice("今日は田中さん", 1.0) > 1.0);
        assert!(voice("", 1.0) > 0.0);
    }
}
