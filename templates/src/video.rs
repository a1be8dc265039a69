//! The filled video: plain typed values, no expression left, every asset by digest.
//!
//! What is settled by then: conditions and repeats are resolved, lengths are pixels of the chosen
//! rendition, times are ticks or frames, colours are numbers, defaults are applied, text is final,
//! and each asset's bytes are at hand. Composing cannot fail for a reason that the template's author
//! could have been told earlier.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::blob::{Blob, Digest};
use crate::generate::Provenance;
use crate::time::{FrameRange, FrameRate, Time};

/// One viewer's video, ready to plan and compose.
#[derive(Clone, Debug, Serialize)]
pub struct Video {
    /// The template's name.
    pub name: String,
    /// Size, rate and background of every frame.
    pub canvas: Canvas,
    /// BCP 47 tag of the viewer's language; decides line breaks, Han glyph forms and digits' shapes.
    pub locale: String,
    /// The scenes in order of showing; never empty, each at least one frame long.
    pub scenes: Vec<Scene>,
    /// Everything that is heard, mixed into one programme.
    pub audio: Vec<AudioClip>,
    /// The captions in order of time.
    pub captions: Vec<Cue>,
    /// How loud all of it is.
    #[serde(default)]
    pub mastering: Mastering,
    /// Every asset that a layer, a text style or an audio clip names.
    pub assets: BTreeMap<Digest, Asset>,
    /// Where each generated value came from, by its name in the template.
    pub generated: BTreeMap<String, Provenance>,
}

impl Video {
    /// Length of the whole video in frames: scenes follow one another, transitions add nothing.
    pub fn frames(&self) -> u32 {
        self.scenes.iter().map(|scene| scene.frames).sum()
    }

    /// Length of the whole video.
    pub fn duration(&self) -> Time {
        self.canvas.frame_rate.time_of(u64::from(self.frames()))
    }
}

/// Size, rate and background of every frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Canvas {
    /// Width in pixels: even, 16 to 7680.
    pub width: u32,
    /// Height in pixels: even, 16 to 7680.
    pub height: u32,
    /// Frames per second.
    pub frame_rate: FrameRate,
    /// What shows where no layer paints; opaque.
    pub background: Color,
}

/// A run of frames with layers of its own; its content does not depend on when it starts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scene {
    /// Its name in the template, with `[n]` behind it when it is one of a repeat.
    pub name: String,
    /// Length in frames, at least 1.
    pub frames: u32,
    /// Painted under its layers instead of the canvas' background; opaque.
    pub background: Option<Color>,
    /// From the bottom to the top.
    pub layers: Vec<Layer>,
    /// How it takes over from the scene before it; `None` is a cut, and so is the first scene.
    pub transition: Option<Transition>,
}

/// The first frames of a scene, during which the scene before it is still seen.
///
/// The outgoing scene runs on past its end for as long: its videos keep moving, what has left stays away,
/// animations hold their last value. So a transition neither shortens nor lengthens the video.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// How the two scenes are mixed.
    pub kind: TransitionKind,
    /// Length in frames, at least 1, at most the incoming scene's length.
    pub frames: u32,
    /// How the mix grows from 0 to 1.
    pub easing: Easing,
}

/// How two scenes are mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransitionKind {
    /// The incoming scene fades in over the outgoing one.
    Crossfade,
}

/// Something that is drawn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// Where it stands in the template, e.g. `scenes[0].layers[2]`; for messages only.
    #[serde(skip)]
    pub path: String,
    /// Whether viewer data took part in any of its fields; for cutting segments only.
    #[serde(skip)]
    pub personal: bool,
    /// What is drawn.
    pub kind: LayerKind,
    /// The frames of the scene on which it shows. Ends at or before the scene's end; a layer that
    /// ends with its scene also shows while a transition lets the scene run on.
    pub span: FrameRange,
    /// Where it is drawn, in pixels of the canvas (inside a group: of the group's box).
    pub placement: Placement,
    /// Movement, from the layer's first frame on.
    pub motion: Motion,
    /// How it comes in.
    pub enter: Option<Passage>,
    /// How it leaves.
    pub exit: Option<Passage>,
    /// Cuts the layer to its box with corners of this radius in pixels (half the shorter side or more gives
    /// a pill or a circle). `None` does not cut.
    pub clip: Option<f32>,
    /// A soft shadow below the layer.
    pub shadow: Option<Shadow>,
}

/// A box, and the point of it that stays where it is when the layer turns or grows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// Where the anchor is, in pixels from the left.
    pub x: f32,
    /// Where the anchor is, in pixels from the top.
    pub y: f32,
    /// Width in pixels, greater than 0; `None` is the content's own, keeping an image's or video's proportions.
    pub width: Option<f32>,
    /// Height in pixels, greater than 0; `None` is the content's own, keeping an image's or video's proportions.
    pub height: Option<f32>,
    /// The point of the box that stands at (`x`, `y`), as fractions of width and height: `[0, 0]` is the upper left corner.
    pub anchor: [f32; 2],
}

/// What changes while a layer shows. Every track is absolute, evaluated at the time since the layer's first frame.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Motion {
    /// Added to the placement, in pixels. Empty: none.
    pub offset: Track<[f32; 2]>,
    /// Horizontal and vertical scale about the anchor, 1 is natural size. Empty: 1.
    pub scale: Track<[f32; 2]>,
    /// Clockwise turn about the anchor in degrees. Empty: 0.
    pub rotation: Track<f32>,
    /// 0 to 1. Empty: 1.
    pub opacity: Track<f32>,
    /// Replaces the solid fill of a shape or text. Empty: the fill as given.
    pub color: Track<Color>,
}

/// Keyframes of one property, in order of time, no two at the same time. Before the first and after the last the value holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Track<T> {
    /// The keyframes.
    pub keys: Vec<Keyframe<T>>,
}

impl<T> Default for Track<T> {
    fn default() -> Self {
        Track { keys: Vec::new() }
    }
}

impl<T> Track<T> {
    /// A track that always has `value`.
    pub fn constant(value: T) -> Self {
        Track { keys: vec![Keyframe { at: Time::ZERO, value, easing: Easing::Linear }] }
    }
}

/// The value of a property at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Keyframe<T> {
    /// Time since the layer's first frame.
    pub at: Time,
    /// The value then.
    pub value: T,
    /// How the value moves on from here to the next keyframe.
    pub easing: Easing,
}

/// How a value moves between two keyframes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Easing {
    /// At a steady pace.
    Linear,
    /// CSS `cubic-bezier(x1, y1, x2, y2)` (CSS Easing Functions Level 1, section 2.2); x1 and x2 in 0..=1.
    CubicBezier([f32; 4]),
    /// CSS `steps(count, jump-end)` (CSS Easing Functions Level 1, section 2.3); at least 1.
    Steps(u32),
}

/// A ready-made way in or out. The parts run together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// How long it takes, greater than 0. It begins at the layer's first frame, or ends with its last.
    pub duration: Time,
    /// Shape of the way: for an enter from away (0) to in place (1), for an exit from in place (0) to away (1),
    /// both with time running forward, so that `ease-out` arrives gently and `ease-in` leaves gently.
    pub easing: Easing,
    /// Opacity goes from 0 to 1.
    pub fade: bool,
    /// Comes from, or leaves to, the place this many pixels away, `[right, down]`.
    pub slide: Option<[f32; 2]>,
    /// Grows from this scale to 1, or shrinks to it for an exit; at least 0.
    pub scale: Option<f32>,
    /// The edge that uncovers the layer (or covers it, for an exit) travels in this direction.
    pub wipe: Option<Direction>,
}

/// A direction of movement on the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Towards the top.
    Up,
    /// Towards the bottom.
    Down,
    /// Towards the left.
    Left,
    /// Towards the right.
    Right,
}

/// What a layer draws.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerKind {
    /// A rectangle that fills the box.
    Rect {
        /// Inside.
        fill: Option<Paint>,
        /// Outline, centred on the edge.
        stroke: Option<Stroke>,
        /// Corner radius in pixels.
        radius: f32,
    },
    /// The ellipse inscribed in the box.
    Ellipse {
        /// Inside.
        fill: Option<Paint>,
        /// Outline, centred on the edge.
        stroke: Option<Stroke>,
    },
    /// An SVG path (SVG 2, section 9.3), drawn from the box's upper left corner.
    Path {
        /// The path data, already known to parse.
        data: String,
        /// The path's own coordinate box `[x, y, width, height]`, stretched to the layer's box keeping proportions
        /// (`xMidYMid meet`); `None` takes path units as pixels.
        view_box: Option<[f32; 4]>,
        /// Inside, non-zero winding rule.
        fill: Option<Paint>,
        /// Outline, width in pixels of the canvas.
        stroke: Option<Stroke>,
    },
    /// Text.
    Text(TextBlock),
    /// A picture: PNG, JPEG, WebP or SVG.
    Image {
        /// The file.
        asset: Digest,
        /// How it fills the box.
        fit: Fit,
        /// The point of the picture that is kept in view when `fit` cuts, as fractions.
        focus: [f32; 2],
    },
    /// A video, silent; its sound is an audio clip.
    Video {
        /// The file.
        asset: Digest,
        /// How it fills the box.
        fit: Fit,
        /// The point of the picture that is kept in view when `fit` cuts, as fractions.
        focus: [f32; 2],
        /// The video's own time that shows on the layer's first frame.
        start: Time,
        /// Starts again when it ends; otherwise its last frame stays.
        repeat: bool,
    },
    /// Layers that are drawn together, then moved, faded and cut as one.
    Group {
        /// From the bottom to the top, spans counted in frames of the scene.
        layers: Vec<Layer>,
    },
}

/// How a picture fills a box of other proportions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Fills the box, cutting what is over.
    #[default]
    Cover,
    /// Shows all of it, leaving bars clear.
    Contain,
    /// Stretches it.
    Fill,
}

/// An sRGB colour (IEC 61966-2-1) with straight alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Color {
    /// Red, 0 to 255.
    pub r: u8,
    /// Green, 0 to 255.
    pub g: u8,
    /// Blue, 0 to 255.
    pub b: u8,
    /// Opacity, 0 to 255.
    pub a: u8,
}

/// What a shape or text is filled with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paint {
    /// One colour.
    Solid(Color),
    /// Colours along a line through the middle of the box, corner to corner as in CSS `linear-gradient`
    /// (CSS Images Level 3, section 3.1).
    Linear {
        /// Direction in degrees: 0 to the top, 90 to the right.
        angle: f32,
        /// At least two, offsets ascending in 0..=1.
        stops: Vec<Stop>,
    },
    /// Colours from a point outwards.
    Radial {
        /// The point, as fractions of the box.
        center: [f32; 2],
        /// The radius, as a fraction of half the box's longer side; greater than 0.
        radius: f32,
        /// At least two, offsets ascending in 0..=1.
        stops: Vec<Stop>,
    },
}

/// A colour of a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// Where, 0 to 1.
    pub offset: f32,
    /// Which colour.
    pub color: Color,
}

/// An outline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stroke {
    /// Its colour.
    pub color: Color,
    /// Its width in pixels, greater than 0.
    pub width: f32,
}

/// A soft copy of a layer's outline below it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shadow {
    /// Its colour and strength.
    pub color: Color,
    /// Pixels to the right and down.
    pub offset: [f32; 2],
    /// Blur radius in pixels as in CSS `box-shadow`: the standard deviation is half of it.
    pub blur: f32,
}

/// Text with one style.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextBlock {
    /// What it says; `\n` starts a new line.
    pub text: String,
    /// Fonts to try, first to last, before the built-in fallbacks of each script.
    pub fonts: Vec<FontSource>,
    /// Size of the em in pixels, greater than 0.
    pub size: f32,
    /// 1 to 1000; 400 is regular, 700 bold.
    pub weight: u16,
    /// Slanted.
    pub italic: bool,
    /// The inside of the glyphs. Colour emoji keep their own colours.
    pub fill: Paint,
    /// Outline drawn under the fill, centred on the edge.
    pub stroke: Option<Stroke>,
    /// Pixels added between characters.
    pub letter_spacing: f32,
    /// Distance of baselines as a multiple of the size; `None` is the font's own.
    pub line_height: Option<f32>,
    /// Where lines stand in the box's width. `Start` and `End` follow the text's own direction.
    pub align: Align,
    /// Where the lines stand in the box's height.
    pub vertical: VerticalAlign,
    /// What happens to text that is larger than its box.
    pub fit: TextFit,
    /// A filled shape behind the lines.
    pub pill: Option<Pill>,
    /// A part of the text in another colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<Marked>,
}

/// A part of a text in a colour of its own, such as the word that is being spoken. Its glyphs stand where they would without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    /// The first character of it, counted from 0 among those that are not white space.
    pub from: u32,
    /// One past its last character, counted in the same way.
    pub to: u32,
    /// The inside of its glyphs.
    pub fill: Color,
}

/// Where a font comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FontSource {
    /// A font file of the template package.
    Asset(Digest),
    /// A family of the engine's own font library.
    Family(String),
}

/// Where lines stand in a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Align {
    /// Where the text's direction starts: left for Latin, right for Arabic.
    #[default]
    Start,
    /// In the middle.
    Center,
    /// Where the text's direction ends.
    End,
    /// At the left.
    Left,
    /// At the right.
    Right,
    /// Both edges, except the last line.
    Justify,
}

/// Where lines stand in the height of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerticalAlign {
    /// At the top.
    #[default]
    Top,
    /// In the middle.
    Middle,
    /// At the bottom.
    Bottom,
}

/// What happens to text that is larger than its box.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextFit {
    /// Lines break only at `\n`; what is over runs out of the box.
    None,
    /// Lines break at the box's width; a box without height grows.
    Wrap,
    /// Broken into at most `max_lines` lines, made smaller until it fits width and height.
    Shrink {
        /// At least 1.
        max_lines: u32,
        /// The smallest em in pixels; what still does not fit is cut with an ellipsis, and a warning is given.
        min_size: f32,
    },
    /// Broken into at most `max_lines` lines, the last one cut with `…`.
    Ellipsis {
        /// At least 1.
        max_lines: u32,
    },
}

/// A filled shape behind lines of text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pill {
    /// Its colour.
    pub color: Color,
    /// Pixels beyond the text, `[horizontal, vertical]`.
    pub padding: [f32; 2],
    /// Corner radius in pixels.
    pub radius: f32,
}

/// How loud the whole programme is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mastering {
    /// The integrated loudness of all that is heard, in LUFS (EBU R 128); `None` brings speech alone to
    /// [`Mastering::SPEECH`], and leaves other sounds beside it as they are.
    pub loudness: Option<f32>,
    /// No peak exceeds this, in dBTP (ITU-R BS.1770-5, annex 2).
    pub true_peak: f32,
}

impl Mastering {
    /// What platforms play speech at, in LUFS.
    pub const SPEECH: f32 = -16.0;
}

impl Default for Mastering {
    /// Speech at -16 LUFS, peaks at -1 dBTP.
    fn default() -> Self {
        Mastering { loudness: None, true_peak: -1.0 }
    }
}

/// How a sound becomes softer while a voice speaks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Duck {
    /// The voice's sound; `None` is any voice.
    pub under: Option<Digest>,
    /// By how many decibels, 0 or more.
    pub by_db: f32,
    /// How long it takes to become softer; it is over when speech begins.
    pub attack: Time,
    /// How long it takes to come back.
    pub release: Time,
}

/// One sound of the programme.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AudioClip {
    /// Where it stands in the template, e.g. `audio[0]`; for messages only.
    #[serde(skip)]
    pub path: String,
    /// The file: anything with an audio track.
    pub asset: Digest,
    /// What it is, for ducking.
    pub role: AudioRole,
    /// When it starts in the video.
    pub start: Time,
    /// How much of the file is skipped at its beginning.
    pub skip: Time,
    /// How long it sounds at most; `None` is to the end of the file (or, repeated, of the video).
    pub duration: Option<Time>,
    /// Starts again when the file ends.
    pub repeat: bool,
    /// Gain in dB.
    pub gain_db: f32,
    /// Length of the fade at its beginning.
    pub fade_in: Time,
    /// Length of the fade at its end.
    pub fade_out: Time,
    /// How it becomes softer while a voice speaks; `None` when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duck: Option<Duck>,
}

/// What a sound is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioRole {
    /// Speech: others duck under it.
    Voice,
    /// Anything else.
    Sound,
}

/// A caption.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cue {
    /// When it appears in the video.
    pub start: Time,
    /// When it goes.
    pub end: Time,
    /// What it says.
    pub text: String,
}

/// A file that the video uses.
#[derive(Clone, Debug, Serialize)]
pub struct Asset {
    /// How the template names it, e.g. `assets.office`; for messages only.
    pub name: String,
    /// What the template says it is.
    pub kind: AssetKind,
    /// Its bytes.
    #[serde(skip)]
    pub blob: Blob,
}

/// What a file is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetKind {
    /// A picture.
    Image,
    /// A video.
    Video,
    /// A sound.
    Audio,
    /// A font.
    Font,
}
