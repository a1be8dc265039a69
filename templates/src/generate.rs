//! What a template asks to be generated, and what it gets back: both are data.
//!
//! Fill asks ([`Request`]), the engine of `vignette-generators` answers ([`Generated`]), fill resolves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::blob::{Blob, Digest};
use crate::time::Time;
use crate::video::Color;

/// One thing to generate, with every expression already filled from the viewer's data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// Its name under `generate:` in the template.
    pub name: String,
    /// BCP 47 tag of the language to write or speak in.
    pub locale: String,
    /// Decides every random choice: the same request with the same seed gives the same result.
    pub seed: u64,
    /// What is asked for.
    pub kind: RequestKind,
    /// What of it is about the viewer. No part of what is asked for.
    pub viewer: Viewer,
}

/// What of a request is about its viewer, for those who decide where it may go and what may come back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Viewer {
    /// JSON pointers to the personal fields (`x-pii`) that take part in what a provider would be told, with `*` for any entry
    /// of a list.
    pub fields: Vec<String>,
    /// The texts in all of this viewer's personal fields: what no other viewer may be shown.
    pub values: Vec<String>,
    /// Whether the template lets personal fields leave this machine (`send_personal`).
    pub may_be_sent: bool,
}

/// A piece of a filled text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// As the template's author wrote it.
    Written(String),
    /// A value that an expression put in: data, whatever it says.
    Value(String),
}

/// The four kinds of things that can be generated.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// A line of copy.
    Text(TextRequest),
    /// Speech.
    Voice(VoiceRequest),
    /// A picture.
    Image(ImageRequest),
    /// A photo of the viewer's own, prepared to be shown.
    Photo(PhotoRequest),
}

/// Asks for a line of copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextRequest {
    /// What to write, in words, for providers that follow instructions. May be empty.
    pub prompt: String,
    /// The prompt in pieces, so that what a viewer's data say is never taken for an instruction. Empty when it is not known:
    /// then all of it is an instruction.
    #[serde(skip)]
    pub pieces: Vec<Piece>,
    /// What the copy must say, letter for letter but for capitals: names, numbers, prices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// A weighted phrase grammar for the offline provider: rule name to its alternatives.
    /// Writing starts at rule `start`; `[rule]` inside a phrase expands another rule.
    /// Empty when the template gives none.
    pub grammar: BTreeMap<String, Vec<Phrase>>,
    /// The longest text that fits, in user-perceived characters.
    pub max_chars: usize,
    /// What is shown when no provider gives a usable text.
    pub fallback: Option<String>,
}

/// One alternative of a grammar rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phrase {
    /// The words, with `[rule]` where another rule expands.
    pub say: String,
    /// How often it is chosen relative to its siblings, greater than 0. Default: 1.
    pub weight: f64,
}

/// Asks for speech.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VoiceRequest {
    /// The words to speak, as plain text; for a recording those of its holes, one after the other.
    pub say: String,
    /// The provider's voice, or `None` for its default in the language.
    pub voice: Option<String>,
    /// Speed relative to the voice's own, 0.5 to 2. Default: 1.
    pub speed: f64,
    /// How words are said that a voice may not know, as [`crate::pronunciation`] reads it; by the word, in any case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lexicon: BTreeMap<String, String>,
    /// The recording whose holes are spoken; `None` when all of it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,
}

impl Default for VoiceRequest {
    /// Nothing to say, in the provider's own voice at its own speed.
    fn default() -> Self {
        VoiceRequest {
            say: String::new(),
            voice: None,
            speed: 1.0,
            lexicon: BTreeMap::new(),
            recording: None,
        }
    }
}

/// A narration recorded by a person, with holes that are spoken for one viewer.
///
/// # Guarantees
/// Made by [`fill`](crate::fill()): holes and words are ascending, none reaches into the next, and none ends before it begins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recording {
    /// The file: it is written as its digest.
    #[serde(serialize_with = "as_digest")]
    pub audio: Blob,
    /// What is cut out and spoken anew; at least one.
    pub holes: Vec<Hole>,
    /// What the person says outside the holes, as far as it is known.
    pub words: Vec<SpokenWord>,
}

/// A stretch of a recording that is spoken anew.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hole {
    /// Where it begins in the recording.
    pub from: Time,
    /// Where the recording goes on.
    pub to: Time,
    /// The words to speak; blank closes the hole.
    pub say: String,
    /// Whether the hole is closed when nobody can speak it.
    pub optional: bool,
}

fn as_digest<S: serde::Serializer>(blob: &Blob, serializer: S) -> Result<S::Ok, S::Error> {
    blob.digest().serialize(serializer)
}

/// Asks for a picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageRequest {
    /// What it shows, in words, for providers that follow instructions.
    pub prompt: String,
    /// The prompt in pieces, as in [`TextRequest::pieces`].
    #[serde(skip)]
    pub pieces: Vec<Piece>,
    /// Width in pixels, 1 to 4096.
    pub width: u32,
    /// Height in pixels, 1 to 4096.
    pub height: u32,
    /// The procedural style for the offline provider (`waves`, `gradient`, …); `None` lets it choose by the prompt.
    pub style: Option<String>,
    /// The colours to use, or empty for the provider's own choice.
    pub palette: Vec<Color>,
    /// The picture that is changed as the prompt says; `None` draws a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Edit>,
}

/// A picture that is changed instead of drawing a new one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// The picture: a PNG, JPEG or WebP file. What does not fit the shape that is asked for is cut off evenly.
    pub picture: Source,
    /// A picture of the same shape that is clear where the picture may be changed; `None` lets all of it be changed.
    pub mask: Option<Source>,
    /// Whether the picture is shown as it is when nobody changed it; otherwise that is an error.
    pub or_unchanged: bool,
}

/// Asks for a photo to be prepared: turned upright, judged, cropped, enlarged, cut out, restyled. It never leaves this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhotoRequest {
    /// The photo: a PNG, JPEG or WebP file.
    pub source: Source,
    /// Width in pixels, 1 to 4096; with [`Crop::None`] the most that it may be.
    pub width: u32,
    /// Height in pixels, 1 to 4096; with [`Crop::None`] the most that it may be.
    pub height: u32,
    /// Which part is shown. Default: [`Crop::Face`].
    pub crop: Crop,
    /// Whether the background is made transparent. Default: no.
    pub cut_out: bool,
    /// What is done when the photo has fewer pixels than are asked for. Default: [`Enlarge::Auto`].
    pub enlarge: Enlarge,
    /// Whether noise is taken out. Default: no.
    pub denoise: bool,
    /// The style it is painted in. Default: none.
    pub style: Option<PhotoStyle>,
    /// How much of the style is seen, 0 to 1. Default: 1.
    pub strength: f32,
    /// The score of unsafe content, 0 to 1, from which on the photo is refused. Default: it is not judged.
    pub refuse: Option<f32>,
}

impl PhotoRequest {
    /// The face of `source` in a picture of `width` x `height` pixels, and nothing else done to it.
    pub fn new(source: Blob, width: u32, height: u32) -> Self {
        PhotoRequest {
            source: source.into(),
            width,
            height,
            crop: Crop::default(),
            cut_out: false,
            enlarge: Enlarge::default(),
            denoise: false,
            style: None,
            strength: 1.0,
            refuse: None,
        }
    }
}

/// A file that a request works on, known by its digest. Its bytes travel with it but are no part of what names the request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// The digest of the file.
    pub digest: Digest,
    /// The file; `None` in a request that was written down and read again.
    #[serde(skip)]
    pub file: Option<Blob>,
}

impl From<Blob> for Source {
    fn from(blob: Blob) -> Self {
        Source { digest: blob.digest(), file: Some(blob) }
    }
}

impl PartialEq for Source {
    /// Whether both are the same file.
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// Which part of a photo is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crop {
    /// The part around the faces.
    #[default]
    Face,
    /// The middle.
    Centre,
    /// All of it, in its own shape.
    None,
}

/// What is done with a photo that has fewer pixels than are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enlarge {
    /// A model draws it larger.
    #[default]
    Auto,
    /// It is only resampled.
    Off,
}

/// The style that a photo is painted in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhotoStyle {
    /// One that the engine knows by this name.
    Named(String),
    /// That of this picture.
    Like(Source),
}

/// One generated value, with where it came from.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The value itself.
    pub value: GeneratedValue,
    /// Who made it, and how.
    pub provenance: Provenance,
}

/// The value of something generated.
#[derive(Clone, Debug)]
pub enum GeneratedValue {
    /// A line of copy.
    Text(String),
    /// Speech.
    Voice(Voice),
    /// A PNG file.
    Image(Blob),
}

/// Recorded or synthesised speech.
#[derive(Clone, Debug)]
pub struct Voice {
    /// A RIFF WAVE file, 16-bit PCM, any sample rate, mono or stereo.
    pub audio: Blob,
    /// How long it sounds.
    pub duration: Time,
    /// The words that are spoken and when, in order; empty when the provider does not know.
    pub words: Vec<SpokenWord>,
    /// The phonemes that are spoken and when, in order; empty when the provider does not know.
    pub phonemes: Vec<SpokenPhoneme>,
}

/// A word and the time at which it sounds, from the start of its clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpokenWord {
    /// The word as written, with its punctuation.
    pub text: String,
    /// When it starts.
    pub start: Time,
    /// When it ends.
    pub end: Time,
}

/// A phoneme and the time at which it sounds, from the start of its clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpokenPhoneme {
    /// The phoneme in the voice's own notation.
    pub phoneme: String,
    /// When it starts.
    pub start: Time,
    /// When it ends.
    pub end: Time,
}

/// Where a generated value came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The provider, e.g. `grammar`, `flite`, `procedural`, `fallback`.
    pub provider: String,
    /// The model or voice and its version, as the provider names it.
    pub model: String,
    /// Why the declared fallback was used; `None` when it was not.
    pub fallback: Option<String>,
    /// Whether a machine made it.
    pub synthetic: bool,
    /// What was asked for and not done, or done in a plainer way, each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    /// By which model and bound a picture was judged to be safe to show, e.g. `open-nsfw 1.0.0 below 0.6`; empty when it was not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub judged: String,
    /// Why each provider that comes before this one in the configuration gave nothing, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instead_of: Vec<String>,
    /// The model's version as the provider's answer names it; empty when it names none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The seed it was made with; `None` when it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// When a provider outside this machine answered, in seconds since 1970-01-01T00:00Z. What is made on this machine depends
    /// on no clock, and has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<u64>,
    /// What it took of a provider's budget.
    #[serde(default, skip_serializing_if = "Cost::is_nothing")]
    pub cost: Cost,
}

/// What a generated value took of a provider's budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// Requests that were sent, retries included.
    #[serde(skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// Tokens read and written.
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Characters spoken.
    #[serde(skip_serializing_if = "is_zero")]
    pub characters: u64,
    /// Money, in millionths of the configuration's currency.
    #[serde(skip_serializing_if = "is_zero")]
    pub micros: u64,
}

impl Cost {
    /// Whether it cost nothing at all.
    pub fn is_nothing(&self) -> bool {
        *self == Cost::default()
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
