//! Pictures drawn by formula: seeded, in the template's colours, the same on every machine.

mod canvas;
mod maths;
mod palette;
mod styles;

use std::time::Instant;

use vignette_templates::blob::Blob;
use vignette_templates::generate::ImageRequest;

use crate::error::{GenerateError, did_you_mean};
use crate::provider::{Context, ImageProvider};
use crate::random::{SplitMix64, mix};
use canvas::Canvas;
use palette::Ramp;
use styles::{STYLES, Style};

/// The longest side of a picture in pixels.
const MAX_SIDE: u32 = 4096;

/// The provider `procedural`: art by formula, good enough to ship as a backdrop.
///
/// Styles: `waves` (ridges in the haze), `gradient` (a mesh of soft colour), `flow` (strokes along a wind), `bokeh` (lights out
/// of focus), `geometric` (a pattern of tiles), `cppn` (folds, painted by a random network). Without a style it takes one that the prompt's words suggest, else the seed's;
/// without a palette likewise. Only additions, multiplications, divisions and square roots of doubles decide a pixel, which
/// IEEE 754 defines to the bit, so that the picture does not depend on the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Procedural;

impl ImageProvider for Procedural {
    fn name(&self) -> &str {
        "procedural"
    }

    fn model(&self) -> String {
        "vignette art 2".to_owned()
    }

    fn is_judged(&self) -> bool {
        // It draws patterns and nothing else.
        false
    }

    fn generate(&self, request: &ImageRequest, context: &Context) -> Result<Blob, GenerateError> {
        let started = Instant::now();
        for (side, length) in [("width", request.width), ("height", request.height)] {
            if !(1..=MAX_SIDE).contains(&length) {
                return Err(GenerateError::Invalid(format!(
                    "{side} is {length}, and must be 1 to {MAX_SIDE}"
                )));
            }
        }
        let style = style_of(request, context.seed)?;
        // Each choice has its own sequence, so that naming a style does not change the colours.
        let ramp = Ramp::of(request, &mut SplitMix64::new(mix(context.seed) ^ 0x70616c65747465));
        let mut random = SplitMix64::new(mix(context.seed) ^ 0x7374796c65);
        let mut canvas = Canvas::new(request.width as usize, request.height as usize);
        let mut alive = || context.check("procedural", started);
        (style.draw)(&mut canvas, &ramp, &mut random, &mut alive)?;
        let png = canvas
            .to_png(context.seed)
            .map_err(|reason| GenerateError::Provider { provider: "procedural".to_owned(), reason })?;
        Ok(Blob::new(png))
    }
}

fn style_of(request: &ImageRequest, seed: u64) -> Result<&'static Style, GenerateError> {
    if let Some(wanted) = &request.style {
        return STYLES.iter().find(|style| style.name == wanted).ok_or_else(|| {
            let names = || STYLES.iter().map(|style| style.name);
            GenerateError::Invalid(format!(
                "procedural: no style `{wanted}`; it has {}{}",
                names().collect::<Vec<_>>().join(", "),
                did_you_mean(wanted, names())
            ))
        });
    }
    let words = palette::words(&request.prompt);
    let suggested =
        words.iter().find_map(|word| STYLES.iter().find(|style| style.words.contains(&word.as_str())));
    Ok(suggested.unwrap_or_else(|| &STYLES[SplitMix64::new(mix(seed)).below(STYLES.len())]))
}

/// Nothing when the picture is a PNG file of the size that was asked for.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_picture(picture: &Blob, request: &ImageRequest) -> Result<(), String> {
    let format = image::guess_format(picture.bytes()).map_err(|_| "it is no picture".to_owned())?;
    if format != image::ImageFormat::Png {
        return Err("it is no PNG file".to_owned());
    }
    let reader = image::ImageReader::with_format(std::io::Cursor::new(picture.bytes()), format);
    let size = reader.into_dimensions().map_err(|_| "it is a broken PNG file".to_owned())?;
    if size != (request.width, request.height) {
        return Err(format!(
            "it is {}x{}, and {}x{} was asked for",
            size.0, size.1, request.width, request.height
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
