//! Animated GIF (GIF89a): one palette for all frames, and of each frame only what changed.

use std::borrow::Cow;

use gif::{DisposalMethod, Encoder, Frame, Repeat};

use super::palette::{Mapper, choose};
use super::{Part, PreviewError, Shown, differs, ends, size_of};

/// How hard an animation is pressed.
pub(super) struct Level {
    /// Colours, beside the one that means "as before".
    pub(super) colours: usize,
    /// Changes of a channel up to this much are left out where it is bright, a third of it where it is dark.
    pub(super) tolerance: u8,
    /// Whether colours may be mixed from dots.
    dither: bool,
}

/// From the best on. Fewer colours and less change make longer runs of equal pixels, which is what GIF packs.
pub(super) const LEVELS: [Level; 7] = [
    Level { colours: 255, tolerance: 2, dither: true },
    Level { colours: 255, tolerance: 6, dither: true },
    Level { colours: 191, tolerance: 6, dither: false },
    Level { colours: 127, tolerance: 9, dither: false },
    Level { colours: 95, tolerance: 12, dither: false },
    Level { colours: 63, tolerance: 14, dither: false },
    Level { colours: 47, tolerance: 16, dither: false },
];

/// Whether a change is seen. In the dark the eye is keener.
fn is_seen(was: [u8; 3], is: [u8; 3], tolerance: u8) -> bool {
    let brightest = was.into_iter().chain(is).max().unwrap_or_default();
    let least = u32::from(tolerance) * (128 + u32::from(brightest)) / 383;
    differs(was, is, least as u8)
}

/// The file, and how many frames are in it.
pub(super) fn encode(frames: &[Shown], level: &Level, dither: bool) -> Result<(Vec<u8>, u32), PreviewError> {
    let broken = |error: gif::EncodingError| PreviewError::Picture(error.to_string());
    let [width, height] = size_of(frames);
    let palette = choose(frames.iter().map(|frame| &frame.picture), level.colours);
    let mut mapper = Mapper::new(&palette, dither && level.dither);
    let transparent = palette.len() as u8;
    // Its entry's colour is never seen.
    let table: Vec<u8> = palette.iter().flatten().copied().chain([0; 3]).collect();
    let mut encoder = Encoder::new(Vec::new(), width as u16, height as u16, &table).map_err(broken)?;
    encoder.set_repeat(Repeat::Infinite).map_err(broken)?;

    let pixels = width as usize * height as usize;
    // What each pixel shows, and which colour it stood for when it was last written.
    let (mut held, mut meant) = (vec![transparent; pixels], vec![[0; 3]; pixels]);
    let mut waiting: Option<Frame<'static>> = None;
    let (mut count, mut begun, mut ended) = (0, 0, 0);
    for (frame, end) in frames.iter().zip(ends(frames, 100)) {
        let mut wanted = vec![transparent; pixels];
        // Another scene is written whole: what is left out of it would show the scene before.
        let colors = frame.picture.pixels().map(|pixel| pixel.0);
        let changed = colors.zip(&meant).filter(|(is, was)| is_seen(**was, *is, level.tolerance)).count();
        let tolerance = if changed > pixels / 2 { 0 } else { level.tolerance };
        for ((x, y, pixel), at) in frame.picture.enumerate_pixels().zip(0..) {
            if held[at] == transparent || is_seen(meant[at], pixel.0, tolerance) {
                let index = mapper.index(pixel.0, x, y);
                meant[at] = pixel.0;
                if held[at] != index {
                    wanted[at] = index;
                    held[at] = index;
                }
            }
        }
        if let Some(part) = Part::around(width, height, |at| wanted[at] != transparent) {
            if let Some(mut done) = waiting.take() {
                done.delay = delay(begun, ended);
                encoder.write_frame(&done).map_err(broken)?;
                count += 1;
            }
            begun = ended;
            waiting = Some(Frame {
                left: part.left as u16,
                top: part.top as u16,
                width: part.width as u16,
                height: part.height as u16,
                dispose: DisposalMethod::Keep,
                transparent: Some(transparent),
                buffer: Cow::Owned(cut(&wanted, width, part)),
                ..Frame::default()
            });
        }
        ended = end;
    }
    if let Some(mut done) = waiting {
        done.delay = delay(begun, ended);
        encoder.write_frame(&done).map_err(broken)?;
        count += 1;
    }
    let bytes = encoder.into_inner().map_err(|error| PreviewError::Picture(error.to_string()))?;
    Ok((bytes, count))
}

/// Hundredths of a second; a preview is too short for more than there can be.
fn delay(begun: u64, ended: u64) -> u16 {
    u16::try_from(ended.saturating_sub(begun)).unwrap_or(u16::MAX)
}

fn cut(pixels: &[u8], width: u32, part: Part) -> Vec<u8> {
    let rows = pixels.chunks_exact(width as usize).skip(part.top as usize).take(part.height as usize);
    rows.flat_map(|row| &row[part.left as usize..][..part.width as usize]).copied().collect()
}
