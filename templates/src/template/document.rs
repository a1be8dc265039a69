//! The top of a template: canvas, data, assets, scenes, sound and captions.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::generate::Generator;
use super::layer::{Layer, Repeat};
use super::read::{Either, Named, Read, Reader, Visit};
use super::record::record;
use super::scalar::{
    Any, Condition, Cut, Ease, FileName, Flag, Gain, Label, Loudness, Moment, Opaque, Pause, Rate, SceneName,
    Side, Softening, SoundName, Span, Start, Tag, Text, TruePeak, Under, Version, VoiceName,
};
use super::style::Style;
use super::written::{Fixed, Written};
use crate::fault::{At, Fault};
use crate::source::{Kind, Node};

record! {
    /// A template: what a video shows and says, with gaps that one viewer's data fills.
    pub struct Document called "a template" {
        /// Version of the template language.
        pub vignette: Fixed<Version>,
        /// Name of the template.
        pub name: Fixed<Label>,
        /// The viewer's language as a BCP 47 tag; decides formats, line breaks, speech and the entries of `strings`. Default: en.
        pub locale: Option<Written<Tag>>,
        /// Size, rate and background of the video.
        pub canvas: Canvas,
        /// Other sizes that the template can be rendered in, by name.
        pub renditions: Named<Rendition>,
        /// JSON Schema of one viewer's data; `x-pii: true` marks personal data.
        pub data: Option<RawSchema>,
        /// Named values, used as `{{vars.name}}`.
        pub vars: Named<Written<Any>>,
        /// Words by language, used as `{{t.name}}`.
        pub strings: Named<Named<Written<Text>>>,
        /// The files that the video uses, by name.
        pub assets: Named<Asset>,
        /// What is generated for each viewer, by name.
        pub generate: Named<Generator>,
        /// Text styles, by name.
        pub styles: Named<Style>,
        /// The scenes in order of showing.
        pub scenes: Vec<Scene>,
        /// Everything that is heard: a list of sounds, or how loud they are together and the list.
        pub audio: Option<Either<Vec<Sound>, Programme>>,
        /// What is read along with the video.
        pub captions: Option<Either<Vec<Caption>, CaptionSource>>,
    }
}

record! {
    /// Size, rate and background of the video.
    pub struct Canvas called "a canvas" {
        /// Width in pixels, even.
        pub width: Fixed<Side>,
        /// Height in pixels, even.
        pub height: Fixed<Side>,
        /// Frames per second: 24, 25, 30, 60, "30000/1001"; 29.97 and kin stand for the 1000/1001 rates. Default: 30.
        pub fps: Option<Fixed<Rate>>,
        /// Colour that shows where no layer paints. Default: black.
        pub background: Option<Written<Opaque>>,
    }
}

record! {
    /// Another size that the template can be rendered in.
    pub struct Rendition called "a rendition" {
        /// Width in pixels, even.
        pub width: Fixed<Side>,
        /// Height in pixels, even.
        pub height: Fixed<Side>,
    }
}

record! {
    /// A file that the video uses.
    pub struct Asset called "an asset", exactly one of [image, video, audio, font] {
        /// A PNG, JPEG, WebP or SVG file.
        pub image: Option<Written<FileName>>,
        /// An MP4, MOV, WebM, Matroska, AVI or Ogg file.
        pub video: Option<Written<FileName>>,
        /// A WAV, MP3, Ogg, FLAC or M4A file.
        pub audio: Option<Written<FileName>>,
        /// A TrueType or OpenType font.
        pub font: Option<Fixed<FileName>>,
        /// The file that is taken when the first is missing, empty or not what it says.
        pub fallback: Option<Fixed<FileName>>,
    }
}

record! {
    /// A run of layers that are shown together.
    pub struct Scene called "a scene", repeated by repeat {
        /// Name of the scene, for `at` of sounds and captions.
        pub name: Option<Fixed<Label>>,
        /// Shown when this is neither empty, `false`, `0` nor `null`. Default: shown.
        pub when: Option<Written<Condition>>,
        /// Shows the scene once for each entry of a list.
        pub repeat: Option<Repeat>,
        /// How long it lasts: a duration, or as long as a voice speaks.
        pub duration: Either<Written<Span>, Fitted>,
        /// Painted under its layers instead of the canvas' background.
        pub background: Option<Written<Opaque>>,
        /// How it takes over from the scene before it. Default: cut.
        pub transition: Option<Either<Written<Cut>, Crossfade>>,
        /// The layers from the bottom to the top.
        pub layers: Option<Vec<Layer>>,
    }
}

record! {
    /// As long as a voice speaks.
    pub struct Fitted called "a fitted duration" {
        /// The voice.
        pub fit: Written<VoiceName>,
        /// Shortest duration.
        pub min: Option<Written<Span>>,
        /// Longest duration.
        pub max: Option<Written<Span>>,
        /// Silence after the speech. Default: 0s.
        pub pad: Option<Written<Pause>>,
    }
}

record! {
    /// The incoming scene fades in over the outgoing one.
    pub struct Crossfade called "a transition" {
        /// How long it takes.
        pub crossfade: Written<Span>,
        /// How the mix grows. Default: ease-in-out.
        pub ease: Option<Written<Ease>>,
    }
}

impl Document {
    /// Everything that is heard.
    pub fn sounds(&self) -> &[Sound] {
        match &self.audio {
            None => &[],
            Some(Either::Short(sounds)) => sounds,
            Some(Either::Full(programme)) => &programme.sounds,
        }
    }
}

record! {
    /// All that is heard, and how loud it is.
    pub struct Programme called "a sound programme" {
        /// Integrated loudness of the whole, in LUFS. Default: speech alone is brought to -16LUFS.
        pub loudness: Option<Written<Loudness>>,
        /// What no peak exceeds, in dBTP. Default: -1dBTP.
        pub true_peak: Option<Written<TruePeak>>,
        /// The sounds.
        pub sounds: Vec<Sound>,
    }
}

record! {
    /// A sound of the programme.
    pub struct Sound called "a sound", exactly one of [voice, asset] {
        /// A generated voice.
        pub voice: Option<Written<VoiceName>>,
        /// An audio asset, or a video for its sound.
        pub asset: Option<Written<SoundName>>,
        /// Heard when this is neither empty, `false`, `0` nor `null`. Default: heard.
        pub when: Option<Written<Condition>>,
        /// When it starts: a time, a scene, or a time after a scene's start. Default: 0s.
        pub at: Option<Either<Written<Start>, AfterScene>>,
        /// Gain in dB. Default: 0dB.
        pub gain: Option<Written<Gain>>,
        /// Length of the fade at its beginning. Default: 0s.
        pub fade_in: Option<Written<Pause>>,
        /// Length of the fade at its end. Default: 0s.
        pub fade_out: Option<Written<Pause>>,
        /// Starts again when the file ends. Default: false.
        pub r#loop: Option<Written<Flag>>,
        /// How much of the file is skipped at its beginning. Default: 0s.
        pub skip: Option<Written<Pause>>,
        /// How long it sounds at most. Default: to its end.
        pub r#for: Option<Written<Span>>,
        /// Makes it softer while a voice speaks.
        pub duck: Option<Duck>,
    }
}

record! {
    /// Makes a sound softer while a voice speaks.
    pub struct Duck called "a ducking" {
        /// `voices` for any voice, or one voice.
        pub under: Written<Under>,
        /// By how many decibels. Default: 9dB.
        pub by: Option<Written<Softening>>,
        /// How long it takes to become softer, before speech begins. Default: 50ms.
        pub attack: Option<Written<Pause>>,
        /// How long it takes to come back, after speech and a short pause. Default: 400ms.
        pub release: Option<Written<Pause>>,
    }
}

record! {
    /// A time after the start of a scene.
    pub struct AfterScene called "a time after a scene" {
        /// The scene.
        pub scene: Written<SceneName>,
        /// How long after its start; negative is before it. Default: 0s.
        pub after: Option<Written<Moment>>,
    }
}

record! {
    /// Captions that a voice gives.
    pub struct CaptionSource called "the source of captions" {
        /// The voice.
        pub from: Written<VoiceName>,
    }
}

record! {
    /// A caption.
    pub struct Caption called "a caption" {
        /// When it appears.
        pub at: Either<Written<Start>, AfterScene>,
        /// How long it stays.
        pub r#for: Written<Span>,
        /// What it says.
        pub text: Written<Text>,
        /// Shown when this is neither empty, `false`, `0` nor `null`. Default: shown.
        pub when: Option<Written<Condition>>,
    }
}

/// The JSON Schema of a viewer's data, as written.
#[derive(Clone, Debug)]
pub struct RawSchema {
    /// Where it stands.
    pub at: At,
    /// The schema.
    pub value: serde_json::Value,
    /// The same with places.
    pub node: Node,
}

impl RawSchema {
    /// The place of what a JSON pointer into the schema points to, or of the closest thing above it.
    pub fn place_of(&self, pointer: &str) -> At {
        let mut at = self.at.clone();
        let mut node = &self.node;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let below = match &node.kind {
                Kind::Map(fields) => fields.iter().find(|(key, _)| key.name == step).map(|(_, value)| value),
                Kind::Seq(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            let Some(below) = below else { break };
            at = match &node.kind {
                Kind::Seq(_) => At { path: format!("{}[{step}]", at.path).into(), ..at },
                _ => at.within(&crate::fault::shortened(&step)),
            };
            (at.line, at.column) = (below.place.line, below.place.column);
            node = below;
        }
        at
    }
}

impl Read for RawSchema {
    fn fits(node: &Node) -> bool {
        matches!(node.kind, Kind::Map(_))
    }
    fn expected() -> String {
        "a JSON Schema of one viewer's data".into()
    }
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if !Self::fits(node) {
            reader.mismatch(
                node,
                &Self::expected(),
                Some("it has the fields `required`, `properties`, …".into()),
            );
            return None;
        }
        let at = reader.at(node.place);
        match node.to_json() {
            Ok(value) => Some(RawSchema { at, value, node: node.clone() }),
            Err(place) => {
                let at = At { line: place.line, column: place.column, ..at };
                reader.faults.push(Fault::new(&at, "expected a finite number"));
                None
            }
        }
    }
    fn visit(&self, _: &mut dyn Visit) {}
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "type": { "const": "object" },
                "properties": { "type": "object", "additionalProperties": { "type": ["object", "boolean"] } },
                "required": { "type": "array", "items": { "type": "string" } },
                "additionalProperties": { "type": ["object", "boolean"] }
            }
        })
    }
}
