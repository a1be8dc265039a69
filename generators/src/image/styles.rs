//! The styles. Each draws in units (see [`Canvas::unit`]), from the ramp's dark end to its light end.

mod bokeh;
mod cppn;
mod flow;
mod geometric;
mod gradient;
mod waves;

use super::canvas::Canvas;
use super::palette::Ramp;
use crate::error::GenerateError;
use crate::random::SplitMix64;

/// Fails once the picture is no longer wanted.
type Alive<'a> = &'a mut dyn FnMut() -> Result<(), GenerateError>;

type Draw = fn(&mut Canvas, &Ramp, &mut SplitMix64, Alive<'_>) -> Result<(), GenerateError>;

/// A way of drawing.
pub(super) struct Style {
    pub(super) name: &'static str,
    /// Words of a prompt that call for it.
    pub(super) words: &'static [&'static str],
    pub(super) draw: Draw,
}

pub(super) const STYLES: [Style; 6] = [
    Style {
        name: "waves",
        words: &[
            "waves",
            "wave",
            "sea",
            "ocean",
            "hills",
            "hill",
            "mountains",
            "mountain",
            "landscape",
            "dunes",
            "desert",
            "horizon",
            "water",
            "beach",
        ],
        draw: waves::draw,
    },
    Style {
        name: "gradient",
        words: &[
            "gradient",
            "gradients",
            "mesh",
            "soft",
            "blur",
            "blurred",
            "sky",
            "aurora",
            "abstract",
            "smooth",
            "minimal",
        ],
        draw: gradient::draw,
    },
    Style {
        name: "flow",
        words: &[
            "flow",
            "flowing",
            "wind",
            "silk",
            "motion",
            "energy",
            "energetic",
            "strokes",
            "brush",
            "painting",
            "river",
        ],
        draw: flow::draw,
    },
    Style {
        name: "bokeh",
        words: &[
            "bokeh",
            "lights",
            "light",
            "night",
            "city",
            "sparkle",
            "party",
            "festive",
            "celebration",
            "stars",
            "glow",
        ],
        draw: bokeh::draw,
    },
    Style {
        name: "geometric",
        words: &[
            "geometric",
            "geometry",
            "pattern",
            "tiles",
            "shapes",
            "modern",
            "grid",
            "mosaic",
            "bauhaus",
            "business",
        ],
        draw: geometric::draw,
    },
    Style {
        name: "cppn",
        words: &[
            "organic",
            "liquid",
            "fluid",
            "marble",
            "surreal",
            "dream",
            "folds",
            "fabric",
            "smoke",
            "glass",
            "futuristic",
        ],
        draw: cppn::draw,
    },
];
