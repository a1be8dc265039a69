//! What is asked of generators, and what stands in for what they did not give.

use std::collections::BTreeMap;

use super::scope::Filler;
use crate::check::layers::rules_in;
use crate::expr::Expression;
use crate::fault::{At, Fault};
use crate::generate::{
    GeneratedValue, ImageRequest, Phrase, Provenance, Request, RequestKind, TextRequest, VoiceRequest,
};
use crate::template::generate::{Generator, ImageGenerator, TextGenerator, VoiceGenerator};
use crate::template::layer::Repeat;
use crate::template::read::{Either, Read, Visit};
use crate::template::scalar::{Label, NameKind, Text};
use crate::template::written::{Form, Written};

/// The longest text that is asked for when the template sets no bound, in characters.
const MAX_CHARS: u32 = 120;
/// The size of a generated picture when the template sets none, in pixels.
const IMAGE_SIZE: (u32, u32) = (960, 540);

impl Filler<'_> {
    /// Asks for `generator`, unless it uses something that is still to come.
    pub(super) fn request(&mut self, name: &str, generator: &Generator) {
        self.wait_for(name);
        if self.uses_pending(generator) {
            return;
        }
        let (kind, seed) = match generator {
            Generator { text: Some(text), .. } => {
                (self.text_request(text).map(RequestKind::Text), &text.seed)
            }
            Generator { voice: Some(voice), .. } => {
                (self.voice_request(voice).map(RequestKind::Voice), &voice.seed)
            }
            Generator { image: Some(image), .. } => {
                (self.image_request(image).map(RequestKind::Image), &image.seed)
            }
            _ => return,
        };
        let seed = match seed {
            Some(seed) => self.get(seed).map(|text| text.0),
            None => None,
        };
        let Some(kind) = kind else { return };
        let locale = self.locale.as_str().to_owned();
        let seed = self.seed(name, &locale, &kind, seed);
        self.requests.push(Request { name: name.to_owned(), locale, seed, kind });
    }

    fn uses_pending(&self, generator: &Generator) -> bool {
        struct Waits<'a, 'b>(&'a Filler<'b>, bool);
        impl Visit for Waits<'_, '_> {
            fn expression(&mut self, _: &At, _: &str, expression: &Expression, _: Option<NameKind>) {
                self.1 |= self.0.waits_on(expression);
            }
            fn name(&mut self, _: &At, _: NameKind, _: &str) {}
            fn enter(&mut self, _: Option<&Repeat>) {}
            fn leave(&mut self) {}
        }
        let mut waits = Waits(self, false);
        generator.visit(&mut waits);
        waits.1
    }

    /// The template's own seed, or everything that is asked for: the same viewer sees the same every time.
    fn seed(&self, name: &str, locale: &str, kind: &RequestKind, given: Option<String>) -> u64 {
        let mut hasher = blake3::Hasher::new();
        let mut part = |text: &str| {
            // Each part with its length, so that no two lists of parts run together to the same bytes.
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        part(self.template.name());
        part(name);
        match given {
            Some(seed) => part(&seed),
            None => {
                part(locale);
                part(&serde_json::to_string(kind).unwrap_or_default());
            }
        }
        let digest = hasher.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        u64::from_le_bytes(first)
    }

    fn text_request(&mut self, text: &TextGenerator) -> Option<TextRequest> {
        let prompt = match &text.prompt {
            Some(prompt) => self.get(prompt)?.0,
            None => String::new(),
        };
        let mut grammar = BTreeMap::new();
        for (rule, _, phrases) in &text.grammar.entries {
            let mut filled = Vec::new();
            for phrase in phrases {
                let (say, weight) = match phrase {
                    Either::Short(say) => (say, None),
                    Either::Full(phrase) => (&phrase.say, phrase.weight.as_ref()),
                };
                let weight = match weight {
                    Some(weight) => self.get(weight)?.0,
                    None => 1.0,
                };
                filled.push(Phrase { say: self.phrase(say)?, weight });
            }
            grammar.insert(rule.clone(), filled);
        }
        let fallback = match &text.fallback {
            Some(fallback) => Some(self.get(fallback)?.0),
            None => None,
        };
        let max_chars = text.max_chars.as_ref().map_or(MAX_CHARS, |most| most.value.0) as usize;
        Some(TextRequest { prompt, grammar, max_chars, fallback })
    }

    /// A phrase with its expressions filled. What looks like a rule only because a viewer's data says so is none.
    fn phrase(&mut self, say: &Written<Text>) -> Option<String> {
        let filled = self.get(say)?.0;
        let Form::Expression { source, .. } = &say.form else { return Some(filled) };
        let written = rules_in(source);
        let mut safe = filled.clone();
        for rule in rules_in(&filled) {
            if !written.contains(&rule) {
                safe = safe.replace(&format!("[{rule}]"), &format!("({rule})"));
            }
        }
        Some(safe)
    }

    fn voice_request(&mut self, voice: &VoiceGenerator) -> Option<VoiceRequest> {
        Some(VoiceRequest {
            say: self.get(&voice.say)?.0,
            voice: self.opt(&voice.voice).map(|Label(name)| name),
            speed: self.opt(&voice.speed).map_or(1.0, |speed| speed.0),
        })
    }

    fn image_request(&mut self, image: &ImageGenerator) -> Option<ImageRequest> {
        let palette = image.palette.as_deref().unwrap_or_default();
        Some(ImageRequest {
            prompt: self.get(&image.prompt)?.0,
            width: self.opt(&image.width).map_or(IMAGE_SIZE.0, |width| width.0),
            height: self.opt(&image.height).map_or(IMAGE_SIZE.1, |height| height.0),
            style: self.opt(&image.style).map(|Label(name)| name),
            palette: palette.iter().filter_map(|color| self.get(color)).map(|color| color.0).collect(),
        })
    }

    /// Takes the declared fallback of something that was not generated.
    pub(super) fn stand_in(&mut self, name: &str, at: &At, generator: &Generator) {
        let fallback = match generator {
            Generator { text: Some(text), .. } => match &text.fallback {
                Some(fallback) => self.get(fallback).map(|text| text.0),
                None => None,
            },
            Generator { image: Some(image), .. } if image.fallback.is_some() => Some(String::new()),
            _ => None,
        };
        let Some(fallback) = fallback else {
            let fault = Fault::new(at, format!("`{name}` was not generated"));
            self.faults.push(fault.hint("give it a `fallback`, or a provider that can make it"));
            // Whatever uses it would only repeat this fault.
            self.admit(name, &GeneratedValue::Text(String::new()));
            return;
        };
        if generator.text.is_some() {
            self.admit(name, &GeneratedValue::Text(fallback));
        }
        let why = "it was not generated".to_owned();
        self.warnings.push(Fault::new(at, format!("the fallback stands in for `{name}`: {why}")));
        let provenance = Provenance {
            provider: "fallback".into(),
            model: String::new(),
            fallback: Some(why),
            synthetic: false,
        };
        self.provenance.insert(name.to_owned(), provenance);
    }
}
