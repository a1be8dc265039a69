//! A stranger's font, drawn whole: every character that it has, so that nothing in it is read for the first time later.

use std::sync::Arc;

use skrifa::MetadataProvider;
use skrifa::raw::FileRef;
use tiny_skia::Pixmap;
use vignette_templates::blob::{Blob, Digest};
use vignette_templates::video::{Align, Color, FontSource, Paint, Stroke, TextBlock, TextFit, VerticalAlign};

use super::{FontLibrary, layout};

/// Characters that are laid out together, in lines of [`LINE`].
const STEP: usize = 2048;
const LINE: usize = 64;
/// The longest side of what is drawn, in pixels: a font may claim that its glyphs are huge.
const MOST_SIDE: f32 = 4096.0;

/// Lays out and draws every character of the font in `blob`, upright, bold, slanted and outlined; `base` is the library that it is put into.
/// Gives how many characters there are.
///
/// # Errors
/// Why the font cannot be used, in words.
pub fn draw_whole(base: &FontLibrary, blob: &Blob) -> Result<usize, String> {
    let digest = blob.digest();
    let library = base
        .with_assets(std::iter::once((digest, Arc::clone(blob.bytes()))))
        .map_err(|error| error.to_string())?;
    let mut characters: Vec<char> = Vec::new();
    let faces = FileRef::new(blob.bytes()).map_err(|error| error.to_string())?;
    for face in faces.fonts().flatten() {
        let mapped = face.charmap().mappings().filter_map(|(code, _)| char::from_u32(code));
        characters.extend(mapped.filter(|sign| !sign.is_control()));
    }
    characters.sort_unstable();
    characters.dedup();
    for part in characters.chunks(STEP) {
        let lines: Vec<String> = part.chunks(LINE).map(|line| line.iter().collect()).collect();
        let text = lines.join("\n");
        let outline = Stroke { color: Color { r: 255, g: 255, b: 255, a: 255 }, width: 1.0 };
        for (weight, italic, stroke) in [(400, false, None), (800, false, None), (400, true, Some(outline))] {
            draw(&library, digest, &text, weight, italic, stroke)?;
        }
    }
    Ok(characters.len())
}

fn draw(
    library: &FontLibrary,
    font: Digest,
    text: &str,
    weight: u16,
    italic: bool,
    stroke: Option<Stroke>,
) -> Result<(), String> {
    let block = TextBlock {
        text: text.to_owned(),
        fonts: vec![FontSource::Asset(font)],
        size: 24.0,
        weight,
        italic,
        fill: Paint::Solid(Color { r: 0, g: 0, b: 0, a: 255 }),
        stroke,
        letter_spacing: 0.0,
        line_height: None,
        align: Align::Start,
        vertical: VerticalAlign::Top,
        fit: TextFit::None,
        pill: None,
        marked: None,
    };
    let laid = layout(library, &block, None, None, "en").map_err(|error| error.to_string())?;
    let side = |length: f32| length.clamp(1.0, MOST_SIDE) as u32;
    let [width, height] = laid.box_size();
    let mut pixmap = Pixmap::new(side(width), side(height)).ok_or("there is no memory to draw it")?;
    laid.draw(&mut pixmap.as_mut(), 0.0, 0.0, 1.0, None);
    Ok(())
}
