//! The kinds of scalars a field can hold, each with its reader and its JSON Schema.
//!
//! Ranges are part of the kind, so that an absurd value is refused by the same rule whether it is written in the
//! template or comes out of an expression.

use schemars::{Schema, json_schema};
use serde_json::Value;

use crate::expr::Locale;
use crate::fault::did_you_mean;
use crate::generate::{Crop, Enlarge};
use crate::source::Node;
use crate::time::{FrameRate, Time};
use crate::units::{self, Duration, Length, LengthUnit};
use crate::video::{Align, Color, Direction, Easing, Fit, VerticalAlign};

/// Largest distance, width, height or coordinate, in the unit it is written in.
pub const MAX_LENGTH: f64 = 100_000.0;
/// Longest time in a template, in seconds.
pub const MAX_SECONDS: i64 = 3600;

/// A value that stands in one field as text, a number or a truth value.
pub trait Scalar: Clone + std::fmt::Debug + 'static {
    /// What is expected, with its article.
    fn expected() -> String;

    /// Reads it from text.
    ///
    /// # Errors
    /// What should stand there instead.
    fn parse(text: &str) -> Result<Self, Mismatch>;

    /// Reads it from a node of the template.
    ///
    /// # Errors
    /// As [`Scalar::parse`].
    fn from_node(node: &Node) -> Result<Self, Mismatch> {
        Self::parse(node.text().unwrap_or_default())
    }

    /// Whether it is read from what an expression gave with its type kept ([`Scalar::from_value`]), not from text.
    const TYPED: bool = false;

    /// What it names, if it is a name.
    const KIND: Option<NameKind> = None;

    /// Reads it from what an expression gave, its type kept.
    ///
    /// # Errors
    /// As [`Scalar::parse`].
    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        Self::parse(value.as_str().unwrap_or_default())
    }

    /// The names of other things in the template that it holds.
    fn names(&self) -> Vec<(NameKind, &str)> {
        Vec::new()
    }

    /// Its JSON Schema.
    fn schema() -> Schema;
}

/// What should stand where something else does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What is expected, with its article and its range.
    pub expected: String,
    /// How to write it.
    pub hint: Option<String>,
}

/// What a name in a template names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// A picture: an asset or something generated.
    Image,
    /// An image asset, as what is worked on.
    Picture,
    /// A video asset.
    Video,
    /// An asset that can be heard.
    Sound,
    /// A generated voice.
    Voice,
    /// A scene.
    Scene,
    /// A text style.
    Style,
    /// A font asset, or a family of the engine's library.
    Font,
}

fn mismatch(expected: impl Into<String>, hint: &str) -> Mismatch {
    Mismatch { expected: expected.into(), hint: Some(hint.to_owned()) }
}

/// The units' readers say `expected …, found "…"; remedy`: the place shows what was found, so the rest is taken apart.
fn unit<T>(text: &str, read: Result<T, String>) -> Result<T, Mismatch> {
    read.map_err(|message| {
        let (expected, hint) = match message.split_once(&format!(", found {}; ", units::quoted(text))) {
            Some((expected, hint)) => (expected, Some(hint.to_owned())),
            None => (message.as_str(), None),
        };
        Mismatch { expected: expected.strip_prefix("expected ").unwrap_or(expected).to_owned(), hint }
    })
}

fn number_between(text: &str, low: f64, high: f64, hint: &str) -> Result<f64, Mismatch> {
    match units::parse_number(text) {
        Ok(value) if (low..=high).contains(&value) => Ok(value),
        _ => Err(mismatch(format!("a number from {low} to {high}"), hint)),
    }
}

fn whole_between(text: &str, low: u32, high: u32) -> Result<u32, Mismatch> {
    match units::parse_number(text) {
        Ok(value) if value.fract() == 0.0 && (f64::from(low)..=f64::from(high)).contains(&value) => {
            Ok(value as u32)
        }
        _ => Err(Mismatch { expected: format!("a whole number from {low} to {high}"), hint: None }),
    }
}

fn length(text: &str, expected: &str, allowed: impl Fn(f64) -> bool) -> Result<Length, Mismatch> {
    let length = unit(text, units::parse_length(text))?;
    if length.value.abs() > MAX_LENGTH {
        return Err(mismatch(
            format!("{expected} of at most {MAX_LENGTH}"),
            "write a length such as 96px, 5% or 8vmin",
        ));
    }
    if !allowed(length.value) {
        return Err(mismatch(expected, "write a length such as 96px, 5% or 8vmin"));
    }
    Ok(length)
}

fn duration(text: &str, expected: &str, allowed: impl Fn(i64) -> bool) -> Result<Duration, Mismatch> {
    let duration = unit(text, units::parse_duration(text))?;
    // Frames are bounded as if they were shown at the highest rate; the fill checks the real one.
    let (amount, limit) = match duration {
        Duration::Time(time) => (time.ticks(), Time::from_seconds(MAX_SECONDS).ticks()),
        Duration::Frames(frames) => (frames, MAX_SECONDS * 240),
    };
    if amount.unsigned_abs() > limit.unsigned_abs() {
        return Err(mismatch(
            format!("{expected} of at most one hour"),
            "write a duration such as 3s, 450ms or 12f",
        ));
    }
    if !allowed(amount) {
        return Err(mismatch(expected, "write a duration such as 3s, 450ms or 12f"));
    }
    Ok(duration)
}

const NUMBER: &str = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$";

fn number_schema(low: f64, high: f64) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "number", "minimum": low, "maximum": high }, { "type": "string", "pattern": NUMBER }
    ] })
}

fn whole_schema(low: u32, high: u32) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "integer", "minimum": low, "maximum": high }, { "type": "string", "pattern": r"^\s*\d+\s*$" }
    ] })
}

fn length_schema(low: f64) -> Schema {
    let sign = if low < 0.0 { "[+-]?" } else { r"\+?" };
    json_schema!({ "anyOf": [
        { "type": "number", "minimum": low, "maximum": MAX_LENGTH },
        { "type": "string", "pattern": format!(r"^\s*{sign}(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*([pP][xX]|%|[vV]([mM][iI][nN]|[wW]|[hH])|[eE][mM])?\s*$") }
    ] })
}

fn duration_schema(signed: bool) -> Schema {
    let sign = if signed { "[+-]?" } else { r"\+?" };
    json_schema!({ "anyOf": [
        { "type": "number", "const": 0 },
        { "type": "string", "pattern": format!(r"^\s*{sign}(0|(\d+\.?\d*|\.\d+)\s*([sS]|[mM][sS]|[fF])|(\d+:)?\d+:\d\d(\.\d*)?)\s*$") }
    ] })
}

fn any_text() -> Schema {
    json_schema!({ "type": ["string", "number", "boolean"] })
}

fn name_schema() -> Schema {
    json_schema!({ "type": "string", "minLength": 1 })
}

/// Defines scalars: a type around a plain value, what is expected of it, how it is read, and its schema.
macro_rules! scalars {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident($inner:ty), $expected:expr, |$text:ident| $parse:expr, $schema:expr;
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name(pub $inner);

        impl Scalar for $name {
            fn expected() -> String {
                $expected.into()
            }
            fn parse($text: &str) -> Result<Self, Mismatch> {
                let parsed: Result<$inner, Mismatch> = $parse;
                parsed.map($name)
            }
            fn schema() -> Schema {
                $schema
            }
        }
    )+};
}

scalars! {
    /// Words, exactly as written.
    Text(String), "a text", |text| Ok(text.to_owned()), any_text();
    /// A yes or no.
    Flag(bool), "true or false", |text| unit(text, units::parse_bool(text)),
        json_schema!({ "anyOf": [{ "type": "boolean" }, { "type": "string", "pattern": "^(?i:true|false|yes|no|1|0)$" }] });
    /// How many times the natural size.
    Factor(f32), "a number", |text| number_between(text, 0.0, 100.0, "1 is the natural size").map(|n| n as f32),
        number_schema(0.0, 100.0);
    /// A coordinate without a unit.
    Coordinate(f32), "a number", |text| number_between(text, -MAX_LENGTH, MAX_LENGTH, "write digits").map(|n| n as f32),
        number_schema(-MAX_LENGTH, MAX_LENGTH);
    /// A share, 0 to 1 or in percent.
    Fraction(f32), "a number from 0 to 1 or a percentage",
        |text| unit(text, units::parse_fraction(text)).map(|n| n as f32),
        json_schema!({ "anyOf": [
            { "type": "number", "minimum": 0, "maximum": 1 },
            { "type": "string", "pattern": r"^\s*\+?(\d+\.?\d*|\.\d+)\s*%?\s*$" }
        ] });
    /// The radius of a radial gradient as a share of half the longer side.
    Reach(f32), "a share greater than 0", |text| reach(text),
        json_schema!({ "anyOf": [
            { "type": "number", "exclusiveMinimum": 0, "maximum": 100 },
            { "type": "string", "pattern": r"^\s*\+?(\d+\.?\d*|\.\d+)\s*%?\s*$" }
        ] });
    /// How many lines.
    Count(u32), "a whole number", |text| whole_between(text, 1, 1000), whole_schema(1, 1000);
    /// How many characters.
    Characters(u32), "a whole number", |text| whole_between(text, 1, 10_000), whole_schema(1, 10_000);
    /// How bold: 400 is regular, 700 is bold.
    Weight(u16), "a weight from 1 to 1000", |text| whole_between(text, 1, 1000).map(|n| n as u16),
        whole_schema(1, 1000);
    /// A side of the canvas in pixels.
    Side(u32), "an even number of pixels", |text| side(text), json_schema!({
        "type": "integer", "minimum": 16, "maximum": 7680, "multipleOf": 2
    });
    /// A side of a generated picture in pixels.
    Pixels(u32), "a number of pixels", |text| whole_between(text, 1, 4096), whole_schema(1, 4096);
    /// Frames per second.
    Rate(FrameRate), "a frame rate", |text| unit(text, units::parse_frame_rate(text)), json_schema!({ "anyOf": [
        { "type": "number", "minimum": 1, "maximum": 240 },
        { "type": "string", "pattern": r"^\s*\d+(\.\d+|\s*/\s*\d+)?\s*$" }
    ] });
    /// A colour.
    Paintable(Color), "a colour", |text| unit(text, units::parse_color(text)), color_schema();
    /// A colour that lets nothing shine through.
    Opaque(Color), "an opaque colour", |text| opaque(text), color_schema();
    /// A position or an offset, either way.
    Position(Length), "a length", |text| length(text, "a length", |_| true), length_schema(-MAX_LENGTH);
    /// A size.
    Extent(Length), "a length greater than 0", |text| length(text, "a length greater than 0", |v| v > 0.0),
        length_schema(0.0);
    /// A size that may be nothing.
    Thickness(Length), "a length of 0 or more", |text| length(text, "a length of 0 or more", |v| v >= 0.0),
        length_schema(0.0);
    /// How long something lasts.
    Span(Duration), "a duration greater than 0", |text| duration(text, "a duration greater than 0", |v| v > 0),
        duration_schema(false);
    /// How long something waits; may be nothing.
    Pause(Duration), "a duration of 0 or more", |text| duration(text, "a duration of 0 or more", |v| v >= 0),
        duration_schema(false);
    /// A point in time; a negative one counts back from the end.
    Moment(Duration), "a time", |text| duration(text, "a time", |_| true), duration_schema(true);
    /// How a value moves.
    Ease(Easing), "an easing", |text| unit(text, units::parse_easing(text)), json_schema!({ "type": "string", "minLength": 1 });
    /// A clockwise turn in degrees.
    Angle(f32), "an angle", |text| unit(text, units::parse_angle(text)).map(|n| n as f32), json_schema!({ "anyOf": [
        { "type": "number" },
        { "type": "string", "pattern": r"^\s*[+-]?(\d+\.?\d*|\.\d+)\s*(deg|°|turn|rad|grad)?\s*$" }
    ] });
    /// A gain in decibels.
    Gain(f32), "a gain in decibels", |text| unit(text, units::parse_gain_db(text)), json_schema!({ "anyOf": [
        { "type": "number", "minimum": -120, "maximum": 24 },
        { "type": "string", "pattern": r"^\s*[+-]?(\d+\.?\d*|\.\d+)\s*([dD][bB])?\s*$" }
    ] });
    /// How many decibels softer.
    Softening(f32), "decibels from 0 to 60", |text| match units::parse_gain_db(text.trim_start_matches('-')) {
            Ok(gain) => Ok(gain),
            Err(_) => number_between(text.trim_end_matches(|c: char| c.is_alphabetic()).trim(), 0.0, 60.0, "write e.g. 9dB")
                .map(|n| n as f32),
        }, json_schema!({ "anyOf": [
            { "type": "number", "minimum": 0, "maximum": 60 },
            { "type": "string", "pattern": r"^\s*-?(\d+\.?\d*|\.\d+)\s*([dD][bB])?\s*$" }
        ] });
    /// A loudness in LUFS.
    Loudness(f32), "a loudness from -40LUFS to -5LUFS", |text| level(text, "lufs", -40.0, -5.0, "write e.g. -16LUFS"),
        level_schema("[lL][uU][fF][sS]", -40.0, -5.0);
    /// The highest peak in dBTP.
    TruePeak(f32), "a peak from -20dBTP to 0dBTP", |text| level(text, "dbtp", -20.0, 0.0, "write e.g. -1dBTP"),
        level_schema("[dD][bB][tT][pP]", -20.0, 0.0);
    /// The point of a box that stands at its position.
    AnchorPoint([f32; 2]), "an anchor", |text| unit(text, units::parse_anchor(text)),
        json_schema!({ "type": "string", "minLength": 1 });
    /// How fast a voice speaks.
    Speed(f64), "a speed from 0.5 to 2", |text| number_between(text, 0.5, 2.0, "1 is the voice's own speed"),
        number_schema(0.5, 2.0);
    /// How often a phrase is chosen.
    Frequency(f64), "a weight greater than 0", |text| number_between(text, 1e-6, 1e6, "1 is the usual weight"),
        number_schema(1e-6, 1e6);
    /// Distance of baselines as a multiple of the text size.
    LineHeight(f32), "a number", |text| number_between(text, 0.1, 10.0, "1.2 is usual").map(|n| n as f32),
        number_schema(0.1, 10.0);
    /// SVG path data.
    PathData(String), "SVG path data", |text| unit(text, units::check_path_data(text)).map(|_| text.to_owned()),
        json_schema!({ "type": "string", "minLength": 1 });
    /// The file of an asset, relative to the package.
    FileName(String), "a file in the package", |text| Ok(text.trim().to_owned()), json_schema!({ "type": "string" });
    /// A name that others use.
    Label(String), "a name", |text| label(text), json_schema!({
        "type": "string", "minLength": 1, "maxLength": 64
    });
    /// The name of a loop's variable.
    Variable(String), "a variable's name", |text| match super::read::is_name(text) && !text.contains('-') {
            true => Ok(text.to_owned()),
            false => Err(mismatch("a variable's name", "it has letters, digits or `_`, and starts with a letter")),
        }, json_schema!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$" });
    /// The language version.
    Version(u32), "the language version 1", |text| match text {
            "1" => Ok(1),
            _ => Err(mismatch("the language version 1", "this engine reads version 1")),
        }, json_schema!({ "const": 1 });
    /// A language tag.
    Tag(Locale), "a language tag", |text| unit(text, Locale::parse(text)), json_schema!({ "type": "string", "minLength": 2 });
}

/// A number with or without its unit, which is given in small letters.
fn level(text: &str, unit: &str, low: f64, high: f64, hint: &str) -> Result<f32, Mismatch> {
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.strip_suffix(unit).unwrap_or(&lower).trim();
    number_between(number, low, high, hint).map(|value| value as f32)
}

fn level_schema(unit: &str, low: f64, high: f64) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "number", "minimum": low, "maximum": high },
        { "type": "string", "pattern": format!(r"^\s*[+-]?(\d+\.?\d*|\.\d+)\s*({unit})?\s*$") }
    ] })
}

fn reach(text: &str) -> Result<f32, Mismatch> {
    let trimmed = text.trim();
    let (number, scale) = trimmed.strip_suffix('%').map_or((trimmed, 1.0), |number| (number, 100.0));
    match units::parse_number(number) {
        Ok(value) if value > 0.0 && value / scale <= 100.0 => Ok((value / scale) as f32),
        _ => Err(mismatch("a share greater than 0", "write e.g. 100% or 0.5")),
    }
}

fn side(text: &str) -> Result<u32, Mismatch> {
    match whole_between(text.trim().trim_end_matches("px"), 16, 7680) {
        Ok(side) if side % 2 == 0 => Ok(side),
        _ => Err(mismatch("an even number of pixels from 16 to 7680", "write e.g. 1920")),
    }
}

fn color_schema() -> Schema {
    json_schema!({ "type": "string", "pattern": r"^\s*(#([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})|[A-Za-z]+|[A-Za-z]+\(.*\))\s*$" })
}

fn opaque(text: &str) -> Result<Color, Mismatch> {
    match unit(text, units::parse_color(text))? {
        color if color.a == 255 => Ok(color),
        _ => Err(mismatch(
            "an opaque colour",
            "nothing lies below a background, so write it without transparency",
        )),
    }
}

fn label(text: &str) -> Result<String, Mismatch> {
    let ok = !text.trim().is_empty() && text.chars().count() <= 64 && !text.chars().any(char::is_control);
    if ok { Ok(text.to_owned()) } else { Err(mismatch("a name", "a name has 1 to 64 characters")) }
}

/// Defines scalars that are one of a few words.
macro_rules! keywords {
    ($( $type:ty, $expected:literal { $($word:literal => $value:expr),+ $(,)? } )+) => {$(
        impl Scalar for $type {
            fn expected() -> String {
                $expected.into()
            }
            fn parse(text: &str) -> Result<Self, Mismatch> {
                match text.trim() {
                    $( $word => Ok($value), )+
                    other => Err(Mismatch { expected: $expected.into(), hint: did_you_mean(other, [$($word),+]) }),
                }
            }
            fn schema() -> Schema {
                json_schema!({ "type": "string", "enum": [$($word),+] })
            }
        }
    )+};
}

/// Which end of its span a layer fades at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fade {
    /// It appears.
    In,
    /// It disappears.
    Out,
}

/// What happens to text that is larger than its box, without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFitKind {
    /// Nothing.
    None,
    /// Lines are broken.
    Wrap,
    /// It is made smaller.
    Shrink,
    /// It is cut.
    Ellipsis,
}

/// How the letters of a text are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// To capitals.
    Upper,
    /// To small letters.
    Lower,
    /// Each word's first letter to a capital.
    Title,
    /// Not at all.
    None,
}

/// The transition without a mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut;

keywords! {
    Fit, "how a picture fills its box" { "cover" => Fit::Cover, "contain" => Fit::Contain, "fill" => Fit::Fill }
    Align, "an alignment" {
        "start" => Align::Start, "center" => Align::Center, "end" => Align::End,
        "left" => Align::Left, "right" => Align::Right, "justify" => Align::Justify,
    }
    VerticalAlign, "a vertical alignment" {
        "top" => VerticalAlign::Top, "middle" => VerticalAlign::Middle, "bottom" => VerticalAlign::Bottom,
    }
    Direction, "a direction" {
        "up" => Direction::Up, "down" => Direction::Down, "left" => Direction::Left, "right" => Direction::Right,
    }
    Fade, "`in` or `out`" { "in" => Fade::In, "out" => Fade::Out }
    TextFitKind, "how text fits its box" {
        "wrap" => TextFitKind::Wrap, "none" => TextFitKind::None,
        "shrink" => TextFitKind::Shrink, "ellipsis" => TextFitKind::Ellipsis,
    }
    Case, "a case" { "upper" => Case::Upper, "lower" => Case::Lower, "title" => Case::Title, "none" => Case::None }
    Cut, "`cut`" { "cut" => Cut }
    Crop, "which part of a photo is shown" {
        "face" => Crop::Face, "centre" => Crop::Centre, "center" => Crop::Centre, "none" => Crop::None,
    }
    Enlarge, "`auto` or `off`" { "auto" => Enlarge::Auto, "off" => Enlarge::Off }
}

/// Defines scalars that name something else in the template.
macro_rules! names {
    ($( $(#[doc = $doc:literal])+ $name:ident, $expected:literal, $kind:expr; )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub String);

        impl Scalar for $name {
            fn expected() -> String {
                $expected.into()
            }
            fn parse(text: &str) -> Result<Self, Mismatch> {
                Ok($name(text.trim().to_owned()))
            }
            const KIND: Option<NameKind> = Some($kind);
            fn names(&self) -> Vec<(NameKind, &str)> {
                vec![($kind, &self.0)]
            }
            fn schema() -> Schema {
                name_schema()
            }
        }
    )+};
}

names! {
    /// Names a picture.
    ImageName, "the name of an image", NameKind::Image;
    /// Names an image asset that is worked on.
    PictureName, "the name of an image asset", NameKind::Picture;
    /// Names a video.
    VideoName, "the name of a video", NameKind::Video;
    /// Names a sound, or a video for its sound.
    SoundName, "the name of a sound", NameKind::Sound;
    /// Names a generated voice.
    VoiceName, "the name of a voice", NameKind::Voice;
    /// Names a text style.
    StyleName, "the name of a style", NameKind::Style;
    /// Names a font or a font family.
    FontName, "the name of a font", NameKind::Font;
    /// Names a scene.
    SceneName, "the name of a scene", NameKind::Scene;
}

/// Under what a sound becomes softer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Under {
    /// Any voice.
    Voices,
    /// This one.
    Voice(String),
}

impl Scalar for Under {
    fn expected() -> String {
        "`voices` or the name of a voice".into()
    }
    fn parse(text: &str) -> Result<Self, Mismatch> {
        Ok(if text == "voices" { Under::Voices } else { Under::Voice(text.trim().to_owned()) })
    }
    fn names(&self) -> Vec<(NameKind, &str)> {
        match self {
            Under::Voices => Vec::new(),
            Under::Voice(name) => vec![(NameKind::Voice, name)],
        }
    }
    fn schema() -> Schema {
        name_schema()
    }
}

/// When something is heard or read: a time in the video, or the start of a scene.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// From the video's start; negative from its end.
    Time(Duration),
    /// When this scene starts.
    Scene(String),
}

impl Scalar for Start {
    fn expected() -> String {
        "a time or the name of a scene".into()
    }
    fn parse(text: &str) -> Result<Self, Mismatch> {
        let text = text.trim();
        if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
            return duration(text, "a time", |_| true).map(Start::Time);
        }
        Ok(Start::Scene(text.to_owned()))
    }
    fn names(&self) -> Vec<(NameKind, &str)> {
        match self {
            Start::Time(_) => Vec::new(),
            Start::Scene(name) => vec![(NameKind::Scene, name)],
        }
    }
    fn schema() -> Schema {
        json_schema!({ "anyOf": [{ "const": 0 }, { "type": "string", "minLength": 1 }] })
    }
}

/// How a layer is cut to its box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// To a circle, or to a pill when the box is no square.
    Circle,
    /// With round corners.
    Radius(Length),
}

impl Scalar for Clip {
    fn expected() -> String {
        "`circle`, `box` or a corner radius".into()
    }
    fn parse(text: &str) -> Result<Self, Mismatch> {
        match text.trim() {
            "circle" | "pill" => Ok(Clip::Circle),
            "box" => Ok(Clip::Radius(Length { value: 0.0, unit: LengthUnit::Px })),
            _ => length(text, "a length of 0 or more", |value| value >= 0.0)
                .map(Clip::Radius)
                .map_err(|_| mismatch(Clip::expected(), "write circle, pill, box, or a length such as 24px")),
        }
    }
    fn schema() -> Schema {
        let radius = length_schema(0.0);
        json_schema!({ "anyOf": [{ "enum": ["circle", "pill", "box"] }, radius] })
    }
}

/// A side of a box. Written as a number it is greater than 0; an expression may give 0, as for a bar that is empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxSide(pub Length);

impl Scalar for BoxSide {
    fn expected() -> String {
        "a length greater than 0".into()
    }
    fn parse(text: &str) -> Result<Self, Mismatch> {
        length(text, "a length of 0 or more", |value| value >= 0.0).map(BoxSide)
    }
    fn from_node(node: &Node) -> Result<Self, Mismatch> {
        length(node.text().unwrap_or_default(), "a length greater than 0", |value| value > 0.0).map(BoxSide)
    }
    fn schema() -> Schema {
        length_schema(0.0)
    }
}

/// Whether something is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition(pub bool);

impl Scalar for Condition {
    fn expected() -> String {
        "a condition".into()
    }
    fn parse(text: &str) -> Result<Self, Mismatch> {
        let text = text.trim().to_ascii_lowercase();
        Ok(Condition(!matches!(text.as_str(), "" | "false" | "0" | "null" | "no" | "off")))
    }
    const TYPED: bool = true;
    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        match value {
            Value::Null => Ok(Condition(false)),
            Value::Bool(value) => Ok(Condition(*value)),
            Value::Number(number) => Ok(Condition(number.as_f64() != Some(0.0))),
            Value::String(text) => Self::parse(text),
            Value::Array(items) => Ok(Condition(!items.is_empty())),
            Value::Object(_) => Ok(Condition(true)),
        }
    }
    fn schema() -> Schema {
        any_text()
    }
}

/// A list that something is repeated for.
#[derive(Clone, Debug, PartialEq)]
pub struct List(pub Vec<Value>);

impl Scalar for List {
    fn expected() -> String {
        "a list of the data".into()
    }
    fn parse(_: &str) -> Result<Self, Mismatch> {
        Err(mismatch("a list of the data", "write one variable, e.g. \"{{modules}}\""))
    }
    const TYPED: bool = true;
    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        match value {
            Value::Array(items) => Ok(List(items.clone())),
            // What is optional and absent repeats nothing.
            Value::Null => Ok(List(Vec::new())),
            _ => List::parse(""),
        }
    }
    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": r"^\s*\{\{[^{}]+\}\}\s*$" })
    }
}

/// A named value of any kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Any(pub Value);

impl Scalar for Any {
    fn expected() -> String {
        "a value".into()
    }
    fn parse(text: &str) -> Result<Self, Mismatch> {
        Ok(Any(text.into()))
    }
    fn from_node(node: &Node) -> Result<Self, Mismatch> {
        node.to_json().map(Any).map_err(|_| mismatch("a value", "this number is not finite"))
    }
    const TYPED: bool = true;
    fn from_value(value: &Value) -> Result<Self, Mismatch> {
        Ok(Any(value.clone()))
    }
    fn schema() -> Schema {
        any_text()
    }
}
