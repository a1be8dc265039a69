//! How text looks, and what shapes are painted with.

use super::read::Either;
use super::record::record;
use super::scalar::{
    Angle, Case, Count, Extent, Flag, FontName, Fraction, LineHeight, Paintable, Position, Reach, StyleName,
    TextFitKind, Thickness, Weight,
};
use super::written::{Fixed, Written};
use crate::video::{Align, VerticalAlign};

record! {
    /// How text looks. What is not given comes from the style it extends, then from the defaults.
    pub struct Style called "a text style" {
        /// The style that this one changes.
        pub extends: Option<Fixed<StyleName>>,
        /// Font assets or families to try, first to last. Default: the engine's own.
        pub font: Option<Either<Written<FontName>, Vec<Written<FontName>>>>,
        /// Text size. Default: 5vmin.
        pub size: Option<Written<Extent>>,
        /// 1 to 1000; 400 is regular, 700 bold. Default: 400.
        pub weight: Option<Written<Weight>>,
        /// Slanted. Default: false.
        pub italic: Option<Written<Flag>>,
        /// Colour or gradient of the letters. Default: white.
        pub color: Option<Either<Written<Paintable>, Gradient>>,
        /// Outline under the letters.
        pub stroke: Option<Outline>,
        /// Added between characters. Default: 0px.
        pub letter_spacing: Option<Written<Position>>,
        /// Distance of baselines as a multiple of the size. Default: the font's own.
        pub line_height: Option<Written<LineHeight>>,
        /// Where lines stand in the box's width. Default: start.
        pub align: Option<Written<Align>>,
        /// Where the lines stand in the box's height. Default: top.
        pub valign: Option<Written<VerticalAlign>>,
        /// What happens to text that is larger than its box. Default: wrap.
        pub fit: Option<Written<TextFitKind>>,
        /// The most lines for `shrink` and `ellipsis`. Default: 1.
        pub max_lines: Option<Written<Count>>,
        /// The smallest size for `shrink`; a percentage is of `size`. Default: 50%.
        pub min_size: Option<Written<Extent>>,
        /// A filled shape behind the lines.
        pub pill: Option<Backdrop>,
        /// Changes the letters. Default: none.
        pub case: Option<Written<Case>>,
    }
}

impl Style {
    /// This style where it says something, `base` elsewhere.
    pub fn over(&self, base: &Style) -> Style {
        // Taken apart in full, so that a new field cannot be forgotten here.
        let Style {
            here,
            extends,
            font,
            size,
            weight,
            italic,
            color,
            stroke,
            letter_spacing,
            line_height,
            align,
            valign,
            fit,
            max_lines,
            min_size,
            pill,
            case,
        } = self.clone();
        let base = base.clone();
        Style {
            here,
            extends: extends.or(base.extends),
            font: font.or(base.font),
            size: size.or(base.size),
            weight: weight.or(base.weight),
            italic: italic.or(base.italic),
            color: color.or(base.color),
            stroke: stroke.or(base.stroke),
            letter_spacing: letter_spacing.or(base.letter_spacing),
            line_height: line_height.or(base.line_height),
            align: align.or(base.align),
            valign: valign.or(base.valign),
            fit: fit.or(base.fit),
            max_lines: max_lines.or(base.max_lines),
            min_size: min_size.or(base.min_size),
            pill: pill.or(base.pill),
            case: case.or(base.case),
        }
    }
}

record! {
    /// A filled shape behind lines of text.
    pub struct Backdrop called "a pill" {
        /// Its colour.
        pub color: Written<Paintable>,
        /// Room around the text: one length, or [horizontal, vertical]. Default: [0.5em, 0.25em].
        pub padding: Option<Either<Written<Thickness>, [Written<Thickness>; 2]>>,
        /// Corner radius. Default: 0px.
        pub radius: Option<Written<Thickness>>,
    }
}

record! {
    /// An outline.
    pub struct Outline called "a stroke" {
        /// Its colour.
        pub color: Written<Paintable>,
        /// Its width.
        pub width: Written<Extent>,
    }
}

record! {
    /// Colours that flow into one another.
    pub struct Gradient called "a gradient", exactly one of [linear, radial] {
        /// Along a line.
        pub linear: Option<Linear>,
        /// From a point outwards.
        pub radial: Option<Radial>,
    }
}

record! {
    /// Colours along a line.
    pub struct Linear called "a linear gradient" {
        /// Direction: 0deg to the top, 90deg to the right. Default: 180deg.
        pub angle: Option<Written<Angle>>,
        /// The colours, at least two.
        pub stops: Vec<Either<Written<Paintable>, Stop>>,
    }
}

record! {
    /// Colours from a point outwards.
    pub struct Radial called "a radial gradient" {
        /// The point, as fractions of the box. Default: [50%, 50%].
        pub center: Option<[Written<Fraction>; 2]>,
        /// The radius, as a share of half the box's longer side. Default: 100%.
        pub radius: Option<Written<Reach>>,
        /// The colours, at least two.
        pub stops: Vec<Either<Written<Paintable>, Stop>>,
    }
}

record! {
    /// A colour of a gradient and its place.
    pub struct Stop called "a colour stop" {
        /// Where, 0 to 1 or in percent. Default: evenly between its neighbours.
        pub at: Option<Written<Fraction>>,
        /// Which colour.
        pub color: Written<Paintable>,
    }
}
