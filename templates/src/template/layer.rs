//! Layers: what is drawn, where, when, and how it moves.

use super::read::{Either, Named};
use super::record::record;
use super::scalar::{
    AnchorPoint, Angle, BoxSide, Characters, Clip, Condition, Coordinate, Ease, Factor, Fade, Flag, Fraction,
    ImageName, Label, List, Moment, Paintable, PathData, Pause, Position, Span, StyleName, Text, Thickness,
    Variable, VideoName, VoiceName,
};
use super::style::{Gradient, Outline, Style};
use super::written::{Fixed, Written};
use crate::fault::At;
use crate::video::{Direction, Fit};

record! {
    /// Something that is drawn.
    pub struct Layer called "a layer",
        exactly one of [text, spoken, image, video, rect, ellipse, path, group],
        repeated by repeat
    {
        /// Words.
        pub text: Option<Written<Text>>,
        /// What a voice says while it says it, a few words at a time; `at` is when the voice begins.
        pub spoken: Option<Spoken>,
        /// A picture: the name of an image asset or of a generated image.
        pub image: Option<Written<ImageName>>,
        /// A video: the name of a video asset.
        pub video: Option<Written<VideoName>>,
        /// A rectangle that fills the box.
        pub rect: Option<Rect>,
        /// The ellipse inscribed in the box.
        pub ellipse: Option<Ellipse>,
        /// An SVG path.
        pub path: Option<Path>,
        /// Layers that are drawn, moved, faded and cut as one; percentages inside are of the group's box.
        pub group: Option<Vec<Layer>>,

        /// Name of the layer, for people.
        pub name: Option<Fixed<Label>>,
        /// Shown when this is neither empty, `false`, `0` nor `null`. Default: shown.
        pub when: Option<Written<Condition>>,
        /// Draws the layer once for each entry of a list.
        pub repeat: Option<Repeat>,
        /// When it appears, from the scene's start; negative counts back from the scene's end. Default: 0s.
        pub at: Option<Written<Moment>>,
        /// How long it shows. Default: to the scene's end.
        pub r#for: Option<Written<Span>>,
        /// Where it is drawn. Default: all of the canvas or group.
        pub r#box: Option<Placement>,
        /// 0 to 1. Default: 1.
        pub opacity: Option<Written<Fraction>>,
        /// Clockwise turn about the anchor. Default: 0deg.
        pub rotate: Option<Written<Angle>>,
        /// Scale about the anchor: a number, or [horizontal, vertical]. Default: 1.
        pub scale: Option<Either<Written<Factor>, [Written<Factor>; 2]>>,
        /// Cuts it to its box: `circle`, `pill`, `box` or a corner radius. Default: not cut.
        pub clip: Option<Written<Clip>>,
        /// A soft shadow below it.
        pub shadow: Option<Shadow>,
        /// How it comes in.
        pub enter: Option<Passage>,
        /// How it leaves.
        pub exit: Option<Passage>,
        /// How it moves.
        pub keyframes: Option<Keyframes>,
        /// What is different in a rendition, by its name.
        pub on: Named<Override>,

        /// How text looks: the name of a style, or a style.
        pub style: Option<Either<Written<StyleName>, Style>>,
        /// How a picture fills its box. Default: cover.
        pub fit: Option<Written<Fit>>,
        /// The point of a picture that is kept in view, as fractions. Default: [50%, 50%].
        pub focus: Option<[Written<Fraction>; 2]>,
        /// The video's own time that shows first. Default: 0s.
        pub start: Option<Written<Pause>>,
        /// Whether a video starts again when it ends. Default: false.
        pub r#loop: Option<Written<Flag>>,
    }
}

record! {
    /// What a voice says while it says it, a few words at a time.
    pub struct Spoken called "the words of a voice" {
        /// The voice.
        pub voice: Written<VoiceName>,
        /// The colour of the word that is being said. Default: that of all words.
        pub color: Option<Written<Paintable>>,
        /// The most characters that show at a time, where a word is not longer. Default: 42.
        pub max_chars: Option<Written<Characters>>,
        /// How much of the voice was heard before `at`. Default: 0s.
        pub skip: Option<Written<Pause>>,
    }
}

record! {
    /// What is different about a layer in one rendition.
    pub struct Override called "an override" {
        /// Whether it is shown.
        pub when: Option<Written<Condition>>,
        /// Other words.
        pub text: Option<Written<Text>>,
        /// Another picture.
        pub image: Option<Written<ImageName>>,
        /// Another video.
        pub video: Option<Written<VideoName>>,
        /// When it appears.
        pub at: Option<Written<Moment>>,
        /// How long it shows.
        pub r#for: Option<Written<Span>>,
        /// Where it is drawn; fields that are not given stay.
        pub r#box: Option<Placement>,
        /// 0 to 1.
        pub opacity: Option<Written<Fraction>>,
        /// Clockwise turn about the anchor.
        pub rotate: Option<Written<Angle>>,
        /// Scale about the anchor.
        pub scale: Option<Either<Written<Factor>, [Written<Factor>; 2]>>,
        /// Cuts it to its box.
        pub clip: Option<Written<Clip>>,
        /// A soft shadow below it.
        pub shadow: Option<Shadow>,
        /// How it comes in.
        pub enter: Option<Passage>,
        /// How it leaves.
        pub exit: Option<Passage>,
        /// How it moves.
        pub keyframes: Option<Keyframes>,
        /// How text looks; fields that are not given stay.
        pub style: Option<Either<Written<StyleName>, Style>>,
        /// How a picture fills its box.
        pub fit: Option<Written<Fit>>,
        /// The point of a picture that is kept in view.
        pub focus: Option<[Written<Fraction>; 2]>,
        /// The video's own time that shows first.
        pub start: Option<Written<Pause>>,
    }
}

record! {
    /// Repeats something for each entry of a list.
    pub struct Repeat called "a repeat" {
        /// The list: one variable, e.g. "{{modules}}".
        pub r#for: Written<List>,
        /// What one entry is called. Gives `name`, `name_index`, `name_number`, `name_first`, `name_last` and
        /// `name_count`. Default: item.
        pub r#as: Option<Fixed<Variable>>,
    }
}

impl Repeat {
    /// What one entry is called.
    pub fn variable(&self) -> &str {
        self.r#as.as_ref().map_or("item", |name| &name.value.0)
    }
}

/// What a loop tells about its turn, as endings of the variable's name.
pub const LOOP_FACTS: [&str; 5] = ["_index", "_number", "_first", "_last", "_count"];

record! {
    /// A box. Without x and y its anchor stands at the same point of the canvas or group.
    pub struct Placement called "a box" {
        /// Where the anchor is, from the left. Percentages are of the canvas' (or group's) width.
        pub x: Option<Written<Position>>,
        /// Where the anchor is, from the top. Percentages are of the canvas' (or group's) height.
        pub y: Option<Written<Position>>,
        /// Width; a layer whose width comes out as 0 is not drawn. Percentages are of the canvas' (or group's) width.
        pub width: Option<Written<BoxSide>>,
        /// Height; a layer whose height comes out as 0 is not drawn. Percentages are of the canvas' (or group's) height.
        pub height: Option<Written<BoxSide>>,
        /// The point of the box that stands at (x, y): top-left, center, …, or [50%, 100%]. Default: top-left.
        pub anchor: Option<Either<Written<AnchorPoint>, [Written<Fraction>; 2]>>,
    }
}

impl Placement {
    /// This box where it says something, `base` elsewhere.
    pub fn over(&self, base: &Placement) -> Placement {
        let Placement { here, x, y, width, height, anchor } = self.clone();
        let base = base.clone();
        Placement {
            here,
            x: x.or(base.x),
            y: y.or(base.y),
            width: width.or(base.width),
            height: height.or(base.height),
            anchor: anchor.or(base.anchor),
        }
    }
}

record! {
    /// A rectangle.
    pub struct Rect called "a rectangle" {
        /// Colour or gradient inside.
        pub fill: Option<Either<Written<Paintable>, Gradient>>,
        /// Outline, centred on the edge.
        pub stroke: Option<Outline>,
        /// Corner radius. Default: 0px.
        pub radius: Option<Written<Thickness>>,
    }
}

record! {
    /// An ellipse.
    pub struct Ellipse called "an ellipse" {
        /// Colour or gradient inside.
        pub fill: Option<Either<Written<Paintable>, Gradient>>,
        /// Outline, centred on the edge.
        pub stroke: Option<Outline>,
    }
}

record! {
    /// An SVG path.
    pub struct Path called "a path" {
        /// SVG path data, e.g. "M0 0 L10 10".
        pub data: Written<PathData>,
        /// The path's own coordinates [x, y, width, height], stretched to the box keeping proportions. Default: pixels.
        pub view_box: Option<[Written<Coordinate>; 4]>,
        /// Colour or gradient inside.
        pub fill: Option<Either<Written<Paintable>, Gradient>>,
        /// Outline.
        pub stroke: Option<Outline>,
    }
}

record! {
    /// A soft shadow.
    pub struct Shadow called "a shadow" {
        /// Its colour and strength. Default: #0008.
        pub color: Option<Written<Paintable>>,
        /// To the right. Default: 0px.
        pub x: Option<Written<Position>>,
        /// Down. Default: 0px.
        pub y: Option<Written<Position>>,
        /// Blur radius. Default: 0px.
        pub blur: Option<Written<Thickness>>,
    }
}

record! {
    /// A way in or out. The parts run together.
    pub struct Passage called "a way in or out" {
        /// `in` for enter, `out` for exit.
        pub fade: Option<Written<Fade>>,
        /// Moves in this direction.
        pub slide: Option<Written<Direction>>,
        /// How far it slides. Default: 8vmin.
        pub by: Option<Written<Thickness>>,
        /// Grows from, or shrinks to, this scale.
        pub scale: Option<Written<Factor>>,
        /// Uncovered, or covered, in this direction.
        pub wipe: Option<Written<Direction>>,
        /// How long it takes. Default: 500ms.
        pub r#for: Option<Written<Span>>,
        /// How it moves. Default: out-cubic in, in-cubic out.
        pub ease: Option<Written<Ease>>,
    }
}

record! {
    /// How a layer moves; times are from the layer's first frame.
    pub struct Keyframes called "keyframes" {
        /// Where the anchor is.
        pub position: Option<Vec<PositionKey>>,
        /// Scale about the anchor.
        pub scale: Option<Vec<ScaleKey>>,
        /// Clockwise turn about the anchor.
        pub rotation: Option<Vec<RotationKey>>,
        /// Opacity.
        pub opacity: Option<Vec<OpacityKey>>,
        /// The solid fill of a shape or a text.
        pub color: Option<Vec<ColorKey>>,
    }
}

/// Defines the keyframes of one property.
macro_rules! keyframe {
    ($(#[doc = $doc:literal])+ $name:ident, $called:literal { $($(#[doc = $value_doc:literal])+ $value:ident: $type:ty),+ $(,)? }) => {
        record! {
            $(#[doc = $doc])+
            pub struct $name called $called {
                /// When, from the layer's first frame.
                pub at: Written<Pause>,
                $( $(#[doc = $value_doc])+ pub $value: $type, )+
                /// How the value moves on from here. Default: linear.
                pub ease: Option<Written<Ease>>,
            }
        }
        impl Keyed for $name {
            fn time(&self) -> (&Written<Pause>, Option<&Written<Ease>>, &At) {
                (&self.at, self.ease.as_ref(), &self.here)
            }
        }
    };
}

/// A keyframe of any property.
pub trait Keyed {
    /// When it is, how the value moves on from it, and where it stands in the template.
    fn time(&self) -> (&Written<Pause>, Option<&Written<Ease>>, &At);
}

keyframe! {
    /// A place at a time.
    PositionKey, "a position keyframe" {
        /// From the left. Default: the box's.
        x: Option<Written<Position>>,
        /// From the top. Default: the box's.
        y: Option<Written<Position>>,
    }
}
keyframe! {
    /// A scale at a time.
    ScaleKey, "a scale keyframe" {
        /// A number, or [horizontal, vertical].
        value: Either<Written<Factor>, [Written<Factor>; 2]>,
    }
}
keyframe! {
    /// A turn at a time.
    RotationKey, "a rotation keyframe" {
        /// The turn.
        value: Written<Angle>,
    }
}
keyframe! {
    /// An opacity at a time.
    OpacityKey, "an opacity keyframe" {
        /// 0 to 1.
        value: Written<Fraction>,
    }
}
keyframe! {
    /// A colour at a time.
    ColorKey, "a colour keyframe" {
        /// The colour.
        value: Written<Paintable>,
    }
}

impl Layer {
    /// The field that says what this layer draws.
    pub fn kind(&self) -> &'static str {
        match self {
            Layer { text: Some(_), .. } => "text",
            Layer { spoken: Some(_), .. } => "spoken",
            Layer { image: Some(_), .. } => "image",
            Layer { video: Some(_), .. } => "video",
            Layer { rect: Some(_), .. } => "rect",
            Layer { ellipse: Some(_), .. } => "ellipse",
            Layer { path: Some(_), .. } => "path",
            _ => "group",
        }
    }

    /// This layer as it is in the rendition called `rendition`.
    pub fn on(&self, rendition: &str) -> std::borrow::Cow<'_, Layer> {
        let Some(change) = self.on.get(rendition) else { return std::borrow::Cow::Borrowed(self) };
        // Taken apart in full, so that a new field cannot be forgotten here.
        let Override {
            here: _,
            when,
            text,
            image,
            video,
            at,
            r#for,
            r#box,
            opacity,
            rotate,
            scale,
            clip,
            shadow,
            enter,
            exit,
            keyframes,
            style,
            fit,
            focus,
            start,
        } = change.clone();
        let mut layer = self.clone();
        fn replace<T>(field: &mut Option<T>, change: Option<T>) {
            if change.is_some() {
                *field = change;
            }
        }
        replace(&mut layer.when, when);
        replace(&mut layer.text, text);
        replace(&mut layer.image, image);
        replace(&mut layer.video, video);
        replace(&mut layer.at, at);
        replace(&mut layer.r#for, r#for);
        replace(&mut layer.opacity, opacity);
        replace(&mut layer.rotate, rotate);
        replace(&mut layer.scale, scale);
        replace(&mut layer.clip, clip);
        replace(&mut layer.shadow, shadow);
        replace(&mut layer.enter, enter);
        replace(&mut layer.exit, exit);
        replace(&mut layer.keyframes, keyframes);
        replace(&mut layer.fit, fit);
        replace(&mut layer.focus, focus);
        replace(&mut layer.start, start);
        layer.r#box = match (r#box, layer.r#box.take()) {
            (Some(change), Some(base)) => Some(change.over(&base)),
            (change, base) => change.or(base),
        };
        layer.style = match (style, layer.style.take()) {
            (Some(Either::Full(change)), Some(Either::Full(base))) => Some(Either::Full(change.over(&base))),
            (Some(Either::Full(change)), Some(Either::Short(base))) if change.extends.is_none() => {
                let extends = base.plain().map(|name| Fixed { at: base.at.clone(), value: name.clone() });
                Some(Either::Full(Style { extends, ..change }))
            }
            (change, base) => change.or(base),
        };
        std::borrow::Cow::Owned(layer)
    }
}
