//! What is asked of generators, and what stands in for what they did not give.

use std::collections::BTreeMap;

use super::scope::Filler;
use crate::agree;
use crate::check::layers::rules_in;
use crate::expr::Expression;
use crate::fault::{At, Fault};
use crate::generate::{
    Edit, GeneratedValue, Hole, ImageRequest, PhotoRequest, PhotoStyle, Phrase, Piece, Provenance, Recording,
    Request, RequestKind, SpokenWord, TextRequest, Viewer, VoiceRequest,
};
use crate::pronunciation;
use crate::template::generate::{
    Generator, ImageGenerator, PhotoGenerator, Phrase as WrittenPhrase, Recording as WrittenRecording,
    SaidAs, TextGenerator, VoiceGenerator,
};
use crate::template::layer::Repeat;
use crate::template::read::{Either, Read, Visit};
use crate::template::scalar::{Label, NameKind, Pause, SoundName, Text};
use crate::template::written::{Form, Written};
use crate::time::Time;

/// The longest text that is asked for when the template sets no bound, in characters.
const MAX_CHARS: u32 = 120;
/// The size of a generated picture when the template sets none, in pixels.
const IMAGE_SIZE: (u32, u32) = (960, 540);

impl<'a> Filler<'a> {
    /// Asks for `generator`, unless it uses something that is still to come.
    pub(super) fn request(&mut self, name: &str, generator: &Generator) {
        self.wait_for(name);
        if self.uses_pending(generator) {
            return;
        }
        let (kind, seed, send) = match generator {
            Generator { text: Some(text), .. } => {
                (self.text_request(text).map(RequestKind::Text), &text.seed, &text.send_personal)
            }
            Generator { voice: Some(voice), .. } => {
                (self.voice_request(voice).map(RequestKind::Voice), &voice.seed, &voice.send_personal)
            }
            Generator { image: Some(image), .. } => {
                (self.image_request(image).map(RequestKind::Image), &image.seed, &image.send_personal)
            }
            Generator { photo: Some(photo), .. } => {
                (self.photo_request(photo).map(RequestKind::Photo), &None, &None)
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
        let viewer = Viewer {
            fields: self.template.personal_fields_sent(name).to_vec(),
            values: self.personal_values(),
            may_be_sent: send.as_ref().is_some_and(|flag| flag.value.0),
        };
        self.requests.push(Request { name: name.to_owned(), locale, seed, kind, viewer });
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
        // The data may name the file of an asset by way of what is generated.
        for asset in generator.assets(self.template.document()) {
            asset.visit(&mut waits);
        }
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
        let (prompt, pieces) = match &text.prompt {
            Some(prompt) => (self.get(prompt)?.0, self.pieces(prompt)),
            None => (String::new(), Vec::new()),
        };
        let facts = text.facts.as_deref().unwrap_or_default();
        let facts = facts.iter().map(|fact| Some(self.get(fact)?.0)).collect::<Option<Vec<String>>>()?;
        let mut agree = BTreeMap::new();
        for (name, _, value) in &text.agree.entries {
            agree.insert(name.as_str(), self.get(value)?.0);
        }
        let mut grammar = BTreeMap::new();
        for (rule, at, phrases) in &text.grammar.entries {
            let mut filled = Vec::new();
            for phrase in self.in_language(phrases) {
                let (say, weight) = match phrase {
                    Either::Short(say) => (say, None),
                    Either::Full(phrase) => (&phrase.say, phrase.weight.as_ref()),
                };
                let weight = match weight {
                    Some(weight) => self.get(weight)?.0,
                    None => 1.0,
                };
                filled.push(Phrase { say: self.phrase(say, &agree)?, weight });
            }
            if filled.is_empty() {
                let language = self.locale.as_str();
                let fault =
                    Fault::new(at, format!("the rule `{rule}` has no phrase in the language {language:?}"));
                self.faults.push(fault.hint("give it one without `locale`, which serves every language"));
                return None;
            }
            grammar.insert(rule.clone(), filled);
        }
        let fallback = match &text.fallback {
            Some(fallback) => Some(self.get(fallback)?.0),
            None => None,
        };
        let max_chars = text.max_chars.as_ref().map_or(MAX_CHARS, |most| most.value.0) as usize;
        Some(TextRequest { prompt, pieces, facts, grammar, max_chars, fallback })
    }

    /// The phrases of a rule that serve the viewer's language: those that are in it, or else those for any.
    fn in_language<'p>(
        &self,
        phrases: &'p [Either<Written<Text>, WrittenPhrase>],
    ) -> Vec<&'p Either<Written<Text>, WrittenPhrase>> {
        let tag_of = |phrase: &'p Either<Written<Text>, WrittenPhrase>| match phrase {
            Either::Short(_) => None,
            Either::Full(phrase) => phrase.locale.as_ref().map(|tag| tag.value.0.replace('_', "-")),
        };
        // From the whole tag to its language alone: `de-AT`, `de`.
        let mut wanted = Some(self.locale.as_str());
        while let Some(tag) = wanted {
            let fits = |phrase: &&'p Either<Written<Text>, WrittenPhrase>| {
                tag_of(phrase).is_some_and(|found| found.eq_ignore_ascii_case(tag))
            };
            let found: Vec<_> = phrases.iter().filter(fits).collect();
            if !found.is_empty() {
                return found;
            }
            wanted = tag.rsplit_once('-').map(|(shorter, _)| shorter);
        }
        phrases.iter().filter(|phrase| tag_of(phrase).is_none()).collect()
    }

    /// A phrase with its expressions filled and its choices made. What a viewer's data hold is neither a choice nor a rule.
    fn phrase(&mut self, say: &Written<Text>, agree: &BTreeMap<&str, String>) -> Option<String> {
        let filled = self.get(say)?.0;
        let pieces = match &say.form {
            Form::Plain(_) => vec![Piece::Written(filled)],
            Form::Expression { .. } => self.pieces(say),
        };
        // Values are put aside while the phrase is taken apart, by marks that Unicode never assigns to anything.
        const ASIDE: (char, char) = ('\u{FDD0}', '\u{FDD1}');
        let (mut marked, mut values) = (String::new(), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Written(words) => marked.push_str(&words.replace([ASIDE.0, ASIDE.1], "")),
                Piece::Value(value) => {
                    marked.push_str(&format!("{}{}{}", ASIDE.0, values.len(), ASIDE.1));
                    values.push(as_words(&value));
                }
            }
        }
        let parts = match agree::parts(&marked) {
            Ok(parts) => parts,
            Err((message, hint)) => {
                self.faults.push(Fault::new(&say.at, message).hint(hint));
                return None;
            }
        };
        let mut chosen = String::new();
        for part in parts {
            match part {
                agree::Part::Words(words) => chosen.push_str(words),
                agree::Part::Choice { name, options } => {
                    let value = agree.get(name).map_or("", String::as_str);
                    chosen.push_str(agree::choose(&options, value, &self.locale));
                }
            }
        }
        let mut whole = String::new();
        let mut rest = chosen.as_str();
        while let Some((before, after)) = rest.split_once(ASIDE.0) {
            whole.push_str(before);
            let (index, after) = after.split_once(ASIDE.1).unwrap_or(("", after));
            whole.push_str(
                index.parse().ok().and_then(|index: usize| values.get(index)).map_or("", String::as_str),
            );
            rest = after;
        }
        whole.push_str(rest);
        Some(whole)
    }

    fn voice_request(&mut self, voice: &VoiceGenerator) -> Option<VoiceRequest> {
        let (say, recording) = match (&voice.say, &voice.recording) {
            (Some(say), _) => (self.get(say)?.0, None),
            (None, Some(written)) => {
                let recording = self.recording(written)?;
                let holes = recording.holes.iter().map(|hole| hole.say.trim());
                let say: Vec<&str> = holes.filter(|say| !say.is_empty()).collect();
                (say.join(" "), Some(recording))
            }
            (None, None) => return None,
        };
        Some(VoiceRequest {
            say,
            voice: self.opt(&voice.voice).map(|Label(name)| name),
            speed: self.opt(&voice.speed).map_or(1.0, |speed| speed.0),
            lexicon: self.lexicon(voice.lexicon.as_deref().unwrap_or_default())?,
            recording,
        })
    }

    /// A recording with its file, holes and words in order; `None` after a fault.
    fn recording(&mut self, written: &WrittenRecording) -> Option<Recording> {
        let SoundName(name) = self.get(&written.asset)?;
        let digest = self.asset(&written.asset.at, NameKind::Sound, &name)?;
        let audio = self.assets.get(&digest)?.blob.clone();
        if written.holes.is_empty() {
            let fault = Fault::new(&written.here, "a recording without holes is the same for every viewer");
            self.faults.push(fault.hint("use its asset under `audio`, as `asset`"));
            return None;
        }
        let mut holes: Vec<Hole> = Vec::new();
        for hole in &written.holes {
            let (from, to) = self.stretch(&hole.here, &hole.from, &hole.to)?;
            if holes.last().is_some_and(|before| before.to > from) {
                let fault = Fault::new(&hole.here, "the hole begins before the one above it ends");
                self.faults.push(fault.hint("write holes in order of time, none over another"));
                return None;
            }
            let optional = hole.optional.as_ref().is_some_and(|flag| flag.value.0);
            holes.push(Hole { from, to, say: self.get(&hole.say)?.0, optional });
        }
        let mut words: Vec<SpokenWord> = Vec::new();
        for word in written.words.as_deref().unwrap_or_default() {
            let (start, end) = self.stretch(&word.here, &word.from, &word.to)?;
            if words.last().is_some_and(|before| before.end > start) {
                let fault = Fault::new(&word.here, "these words begin before those above them end");
                self.faults.push(fault.hint("write words in order of time"));
                return None;
            }
            words.push(SpokenWord { text: self.get(&word.text)?.0.trim().to_owned(), start, end });
        }
        words.retain(|word| !word.text.is_empty());
        Some(Recording { audio, holes, words })
    }

    /// Two times of a recording, in order; `None` after a fault.
    fn stretch(&mut self, at: &At, from: &Written<Pause>, to: &Written<Pause>) -> Option<(Time, Time)> {
        let (from, to) = (self.get(from)?, self.get(to)?);
        let (from, to) = (self.time(from.0), self.time(to.0));
        if from > to {
            self.faults.push(Fault::new(at, "`to` is before `from`"));
            return None;
        }
        Some((from, to))
    }

    /// How the words are said that are not empty for this viewer; `None` after a fault.
    fn lexicon(&mut self, entries: &[SaidAs]) -> Option<BTreeMap<String, String>> {
        let mut lexicon = BTreeMap::new();
        for entry in entries {
            let (word, say) = (self.get(&entry.word)?.0, self.get(&entry.say)?.0);
            let (word, say) = (word.trim(), say.trim());
            if word.is_empty() || say.is_empty() {
                continue;
            }
            match pronunciation::of_words(word, say) {
                Ok(pairs) => lexicon.extend(pairs),
                Err(reason) => {
                    self.faults.push(Fault::new(&entry.say.at, reason));
                    return None;
                }
            }
        }
        Some(lexicon)
    }

    /// `None` after a fault, and where a fallback stands in for the picture that is to be changed.
    fn image_request(&mut self, image: &ImageGenerator) -> Option<ImageRequest> {
        let edit = match &image.from {
            Some(from) => {
                let name = self.get(from)?.0;
                let picture = self.photo_file(&from.at, &name, image.fallback.is_some())?;
                let mask = match &image.mask {
                    Some(mask) => {
                        let name = self.get(mask)?.0;
                        Some(self.photo_file(&mask.at, &name, image.fallback.is_some())?.into())
                    }
                    None => None,
                };
                Some(Edit { picture: picture.into(), mask, or_unchanged: image.fallback.is_none() })
            }
            None => None,
        };
        let palette = image.palette.as_deref().unwrap_or_default();
        Some(ImageRequest {
            prompt: self.get(&image.prompt)?.0,
            pieces: self.pieces(&image.prompt),
            width: self.opt(&image.width).map_or(IMAGE_SIZE.0, |width| width.0),
            height: self.opt(&image.height).map_or(IMAGE_SIZE.1, |height| height.0),
            style: self.opt(&image.style).map(|Label(name)| name),
            palette: palette.iter().filter_map(|color| self.get(color)).map(|color| color.0).collect(),
            edit,
        })
    }

    /// `None` after a fault, and where a fallback stands in for the photo.
    fn photo_request(&mut self, photo: &PhotoGenerator) -> Option<PhotoRequest> {
        let style = match (&photo.style, &photo.like) {
            (Some(name), _) => Some(PhotoStyle::Named(self.get(name)?.0)),
            (None, Some(picture)) => {
                let name = self.get(picture)?.0;
                Some(PhotoStyle::Like(self.photo_file(&picture.at, &name, false)?.into()))
            }
            (None, None) => None,
        };
        let name = self.get(&photo.from)?.0;
        let source = self.photo_file(&photo.from.at, &name, photo.fallback.is_some())?;
        let (width, height) = (self.get(&photo.width)?.0, self.get(&photo.height)?.0);
        let request = PhotoRequest::new(source, width, height);
        Some(PhotoRequest {
            crop: self.opt(&photo.crop).unwrap_or(request.crop),
            cut_out: self.opt(&photo.cut_out).map_or(request.cut_out, |flag| flag.0),
            enlarge: self.opt(&photo.enlarge).unwrap_or(request.enlarge),
            denoise: self.opt(&photo.denoise).map_or(request.denoise, |flag| flag.0),
            style,
            strength: self.opt(&photo.strength).map_or(request.strength, |share| share.0),
            refuse: photo.refuse.as_ref().map(|score| score.value.0),
            ..request
        })
    }

    /// Takes the declared fallback of something that was not generated.
    pub(super) fn stand_in(&mut self, name: &str, at: &At, generator: &'a Generator) {
        let fallback = match generator {
            Generator { text: Some(text), .. } => match &text.fallback {
                Some(fallback) => self.get(fallback).map(|text| text.0),
                None => None,
            },
            generator if self.picture_fallback(generator).is_some() => Some(String::new()),
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
        let provenance =
            Provenance { provider: "fallback".into(), fallback: Some(why), ..Provenance::default() };
        self.provenance.insert(name.to_owned(), provenance);
    }
}

/// A value as it stands in a phrase: what looks like a rule goes between round brackets, other brackets are doubled, which is how
/// phrases write them.
fn as_words(value: &str) -> String {
    let mut words = value.to_owned();
    for rule in rules_in(value) {
        words = words.replace(&format!("[{rule}]"), &format!("({rule})"));
    }
    words.replace('[', "[[").replace(']', "]]")
}
