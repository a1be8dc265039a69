//! Tiles: rasterised content in the encoder's own colour space, and how they are laid over a frame.
//!
//! A layer is rasterised once to RGBA and converted once to premultiplied Y′CbCr with alpha. From then on a
//! frame costs one multiply-add per covered sample: no RGBA round trip of the whole frame. Chroma is
//! averaged over the 2 × 2 samples that share it, alpha included, which gives exactly what blending at full
//! resolution and then subsampling would give.

use std::sync::OnceLock;

use tiny_skia::Pixmap;

use crate::frame::I420Frame;
use crate::wide::on_wide_registers;

/// Rasterised content: premultiplied Y′CbCr (BT.709, limited range) with alpha, 4:4:4, 8 bits.
///
/// # Guarantees
/// All planes hold `width` × `height` samples. Where alpha is 0 all samples are 0.
#[derive(Debug)]
pub(crate) struct Tile {
    pub width: usize,
    pub height: usize,
    /// Where the upper left sample lies on the canvas at rest.
    pub x: i32,
    pub y: i32,
    luma: Vec<u8>,
    cb: Vec<u8>,
    cr: Vec<u8>,
    alpha: Vec<u8>,
    /// Per row: first and one past the last sample whose alpha is not 0.
    spans: Vec<(u32, u32)>,
    /// Subsampled chroma for each of the four ways in which the tile can lie on the chroma grid; made when first needed.
    chroma: [OnceLock<Chroma>; 4],
}

/// Chroma of a tile at half size, for one parity of its position.
#[derive(Debug)]
struct Chroma {
    width: usize,
    height: usize,
    cb: Vec<u8>,
    cr: Vec<u8>,
    alpha: Vec<u8>,
}

/// A rectangle of whole pixels, right and bottom excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PixelRect {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

impl PixelRect {
    pub(crate) fn intersect(self, other: PixelRect) -> Option<PixelRect> {
        let cut = PixelRect {
            left: self.left.max(other.left),
            top: self.top.max(other.top),
            right: self.right.min(other.right),
            bottom: self.bottom.min(other.bottom),
        };
        (cut.left < cut.right && cut.top < cut.bottom).then_some(cut)
    }
}

/// BT.709 luma weights (ITU-R BT.709-6, item 3.2) in 16-bit fixed point, scaled to limited range (item 3.4).
const Y_R: i32 = 11_966;
const Y_G: i32 = 40_254;
const Y_B: i32 = 4_064;
const U_R: i32 = -6_596;
const U_G: i32 = -22_189;
const U_B: i32 = 28_784;
const V_R: i32 = 28_784;
const V_G: i32 = -26_145;
const V_B: i32 = -2_639;

impl Tile {
    /// Converts a premultiplied sRGB picture whose upper left pixel lies at (`x`, `y`) of the canvas.
    /// Clear margins are cut away.
    pub(crate) fn from_pixmap(pixmap: &Pixmap, x: i32, y: i32) -> Tile {
        let (full_width, data) = (pixmap.width() as usize, pixmap.data());
        let row_span = |row: usize| -> Option<(usize, usize)> {
            let line = &data[row * full_width * 4..(row + 1) * full_width * 4];
            let first = line.chunks_exact(4).position(|pixel| pixel[3] != 0)?;
            let last = line.chunks_exact(4).rposition(|pixel| pixel[3] != 0)?;
            Some((first, last + 1))
        };
        let rows: Vec<Option<(usize, usize)>> = (0..pixmap.height() as usize).map(row_span).collect();
        let Some(top) = rows.iter().position(Option::is_some) else { return Tile::empty() };
        let bottom = rows.iter().rposition(Option::is_some).map_or(top, |row| row + 1);
        let left = rows.iter().flatten().map(|span| span.0).min().unwrap_or(0);
        let right = rows.iter().flatten().map(|span| span.1).max().unwrap_or(0);
        let (width, height) = (right - left, bottom - top);
        let mut tile = Tile {
            width,
            height,
            x: x + left as i32,
            y: y + top as i32,
            luma: vec![0; width * height],
            cb: vec![0; width * height],
            cr: vec![0; width * height],
            alpha: vec![0; width * height],
            spans: Vec::with_capacity(height),
            chroma: Default::default(),
        };
        for (row, span) in rows[top..bottom].iter().enumerate() {
            let (first, end) = span.map_or((0, 0), |(first, end)| (first - left, end - left));
            tile.spans.push((first as u32, end as u32));
            let source = ((row + top) * full_width + left) * 4;
            let pixels = data[source + first * 4..source + end * 4].chunks_exact(4);
            let target = row * width + first..row * width + end;
            let planes = tile.luma[target.clone()]
                .iter_mut()
                .zip(&mut tile.cb[target.clone()])
                .zip(&mut tile.cr[target.clone()])
                .zip(&mut tile.alpha[target]);
            for (pixel, (((luma, cb), cr), alpha)) in pixels.zip(planes) {
                let (r, g, b) = (i32::from(pixel[0]), i32::from(pixel[1]), i32::from(pixel[2]));
                let a = i32::from(pixel[3]);
                // The offsets 16 and 128 are premultiplied too: they count as much as the pixel does.
                let round = 1 << 15;
                let y_offset = a * (16 << 16) / 255 + round;
                let c_offset = a * (128 << 16) / 255 + round;
                *luma = ((Y_R * r + Y_G * g + Y_B * b + y_offset) >> 16) as u8;
                *cb = ((U_R * r + U_G * g + U_B * b + c_offset) >> 16).clamp(0, 255) as u8;
                *cr = ((V_R * r + V_G * g + V_B * b + c_offset) >> 16).clamp(0, 255) as u8;
                *alpha = pixel[3];
            }
        }
        tile
    }

    fn empty() -> Tile {
        Tile {
            width: 0,
            height: 0,
            x: 0,
            y: 0,
            luma: Vec::new(),
            cb: Vec::new(),
            cr: Vec::new(),
            alpha: Vec::new(),
            spans: Vec::new(),
            chroma: Default::default(),
        }
    }

    /// Bytes held, for cache bounds.
    pub(crate) fn bytes(&self) -> usize {
        // Four planes, and as much again in the worst case for the four chroma versions.
        self.width * self.height * 7 + self.height * 8
    }

    /// The tile moved right and down by `shift` of a pixel, each 0..256 in 1/256, by bilinear interpolation.
    pub(crate) fn shifted(&self, shift: [u32; 2]) -> Tile {
        if shift == [0, 0] || self.width == 0 {
            return self.copy();
        }
        let (width, height) = (self.width + 1, self.height + 1);
        let plane = |source: &[u8]| -> Vec<u8> {
            let mut target = vec![0u8; width * height];
            // Weights of the four neighbours, in 1/65536.
            let (fx, fy) = (shift[0], shift[1]);
            let weights = [(256 - fx) * (256 - fy), fx * (256 - fy), (256 - fx) * fy, fx * fy];
            let clear = vec![0u8; self.width];
            for row in 0..height {
                let here = if row < self.height { &source[row * self.width..][..self.width] } else { &clear };
                let above = if row > 0 { &source[(row - 1) * self.width..][..self.width] } else { &clear };
                let out = &mut target[row * width..(row + 1) * width];
                let mix = |here: u8, left: u8, above: u8, above_left: u8| {
                    let sum = u32::from(here) * weights[0]
                        + u32::from(left) * weights[1]
                        + u32::from(above) * weights[2]
                        + u32::from(above_left) * weights[3];
                    ((sum + (1 << 15)) >> 16) as u8
                };
                out[0] = mix(here[0], 0, above[0], 0);
                out[width - 1] = mix(0, here[self.width - 1], 0, above[self.width - 1]);
                let pairs = here.windows(2).zip(above.windows(2));
                for (out, (here, above)) in out[1..width - 1].iter_mut().zip(pairs) {
                    *out = mix(here[1], here[0], above[1], above[0]);
                }
            }
            target
        };
        let spans = (0..height)
            .map(|row| {
                let here = self.spans.get(row).copied().filter(|span| span.0 < span.1);
                let above = row.checked_sub(1).and_then(|row| self.spans.get(row)).copied();
                match (here, above.filter(|span| span.0 < span.1)) {
                    (Some(a), Some(b)) => (a.0.min(b.0), a.1.max(b.1) + 1),
                    (Some(span), None) | (None, Some(span)) => (span.0, span.1 + 1),
                    (None, None) => (0, 0),
                }
            })
            .collect();
        Tile {
            width,
            height,
            x: self.x,
            y: self.y,
            luma: plane(&self.luma),
            cb: plane(&self.cb),
            cr: plane(&self.cr),
            alpha: plane(&self.alpha),
            spans,
            chroma: Default::default(),
        }
    }

    fn copy(&self) -> Tile {
        Tile {
            width: self.width,
            height: self.height,
            x: self.x,
            y: self.y,
            luma: self.luma.clone(),
            cb: self.cb.clone(),
            cr: self.cr.clone(),
            alpha: self.alpha.clone(),
            spans: self.spans.clone(),
            chroma: Default::default(),
        }
    }

    /// Lays the tile over `frame`, moved by `by` whole pixels from where it rests, at `opacity` of 255, and only
    /// inside `clip` (pixels of the canvas) where given.
    pub(crate) fn blend_onto(
        &self,
        frame: &mut I420Frame,
        by: [i32; 2],
        opacity: u8,
        clip: Option<PixelRect>,
    ) {
        if self.width == 0 || opacity == 0 {
            return;
        }
        let (left, top) = (self.x.saturating_add(by[0]), self.y.saturating_add(by[1]));
        let canvas =
            PixelRect { left: 0, top: 0, right: frame.width() as i32, bottom: frame.height() as i32 };
        let own = PixelRect {
            left,
            top,
            right: left.saturating_add(self.width as i32),
            bottom: top.saturating_add(self.height as i32),
        };
        let Some(mut area) = canvas.intersect(own) else { return };
        if let Some(clip) = clip {
            let Some(cut) = area.intersect(clip) else { return };
            area = cut;
        }
        let stride = frame.width() as usize;
        for row in area.top..area.bottom {
            let source_row = (row - top) as usize;
            let span = self.spans[source_row];
            let first = ((area.left - left) as usize).max(span.0 as usize);
            let end = ((area.right - left) as usize).min(span.1 as usize);
            if first >= end {
                continue;
            }
            let source = source_row * self.width + first..source_row * self.width + end;
            let start = row as usize * stride + (left + first as i32) as usize;
            blend_row(
                &mut frame.y[start..start + source.len()],
                &self.luma[source.clone()],
                &self.alpha[source],
                opacity,
            );
        }
        let chroma = self.chroma_for(left, top);
        let (chroma_left, chroma_top) = (left.div_euclid(2), top.div_euclid(2));
        let chroma_stride = frame.chroma_width() as usize;
        let rows = area.top.div_euclid(2)..(area.bottom + 1).div_euclid(2);
        let columns = area.left.div_euclid(2)..(area.right + 1).div_euclid(2);
        for row in rows {
            let source_row = (row - chroma_top) as usize;
            if source_row >= chroma.height {
                continue;
            }
            let first = (columns.start - chroma_left) as usize;
            let end = ((columns.end - chroma_left) as usize).min(chroma.width);
            // Rows of a tile are often clear at both ends; chroma rows cover two of them.
            let (first, end) = self.chroma_span(source_row, left, top, first, end);
            if first >= end {
                continue;
            }
            let source = source_row * chroma.width + first..source_row * chroma.width + end;
            let start = row as usize * chroma_stride + (chroma_left + first as i32) as usize;
            let target = start..start + source.len();
            let alpha = &chroma.alpha[source.clone()];
            blend_row(&mut frame.u[target.clone()], &chroma.cb[source.clone()], alpha, opacity);
            blend_row(&mut frame.v[target], &chroma.cr[source], alpha, opacity);
        }
    }

    fn chroma_span(&self, row: usize, left: i32, top: i32, first: usize, end: usize) -> (usize, usize) {
        let (odd_x, odd_y) = (left.rem_euclid(2) as usize, top.rem_euclid(2) as usize);
        let rows = [(row * 2).checked_sub(odd_y), (row * 2 + 1).checked_sub(odd_y)];
        let spans = rows.into_iter().flatten().filter_map(|row| self.spans.get(row));
        let joined = spans
            .filter(|span| span.0 < span.1)
            .map(|span| ((span.0 as usize + odd_x) / 2, (span.1 as usize + odd_x).div_ceil(2)))
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        joined.map_or((0, 0), |(low, high)| (first.max(low), end.min(high)))
    }

    fn chroma_for(&self, left: i32, top: i32) -> &Chroma {
        let (odd_x, odd_y) = (left.rem_euclid(2) as usize, top.rem_euclid(2) as usize);
        self.chroma[odd_y * 2 + odd_x].get_or_init(|| self.subsample(odd_x, odd_y))
    }

    fn subsample(&self, odd_x: usize, odd_y: usize) -> Chroma {
        let width = (self.width + odd_x).div_ceil(2);
        let height = (self.height + odd_y).div_ceil(2);
        let plane = |source: &[u8]| -> Vec<u8> {
            let mut target = vec![0u8; width * height];
            // One row of column sums, with a clear column before the first when the tile starts on an odd one.
            let mut sums = vec![0u16; width * 2];
            for (row, out) in target.chunks_exact_mut(width).enumerate() {
                sums.fill(0);
                for tile_row in [(row * 2).checked_sub(odd_y), (row * 2 + 1).checked_sub(odd_y)] {
                    let Some(tile_row) = tile_row.filter(|row| *row < self.height) else { continue };
                    let line = &source[tile_row * self.width..][..self.width];
                    for (sum, sample) in sums[odd_x..].iter_mut().zip(line) {
                        *sum += u16::from(*sample);
                    }
                }
                for (out, pair) in out.iter_mut().zip(sums.chunks_exact(2)) {
                    *out = ((pair[0] + pair[1] + 2) >> 2) as u8;
                }
            }
            target
        };
        Chroma { width, height, cb: plane(&self.cb), cr: plane(&self.cr), alpha: plane(&self.alpha) }
    }
}

on_wide_registers! {
    /// `target = source × opacity + target × (1 − alpha × opacity)`, all of 255, rounded.
    fn blend_row(target: &mut [u8], source: &[u8], alpha: &[u8], opacity: u8) = blend_row_plain
}

/// Written on u16 without branches so that the compiler turns it into SIMD on every target.
#[inline(always)]
fn blend_row_plain(target: &mut [u8], source: &[u8], alpha: &[u8], opacity: u8) {
    if opacity == 255 {
        for ((target, source), alpha) in target.iter_mut().zip(source).zip(alpha) {
            let rest = div255(u16::from(*target) * (255 - u16::from(*alpha)));
            *target = (u16::from(*source) + rest).min(255) as u8;
        }
        return;
    }
    let opacity = u16::from(opacity);
    for ((target, source), alpha) in target.iter_mut().zip(source).zip(alpha) {
        let source = div255(u16::from(*source) * opacity);
        let alpha = div255(u16::from(*alpha) * opacity);
        let rest = div255(u16::from(*target) * (255 - alpha));
        *target = (source + rest).min(255) as u8;
    }
}

/// `value / 255` rounded to nearest, exact for every product of two bytes (Jim Blinn, "Three Wrongs Make a
/// Right", IEEE Computer Graphics and Applications 15(6), 1995).
#[inline(always)]
fn div255(value: u16) -> u16 {
    let value = value + 128;
    (value + (value >> 8)) >> 8
}

/// Mixes `over` into `frame`: all of `frame` at 0, all of `over` at 256.
pub(crate) fn crossfade(frame: &mut I420Frame, over: &I420Frame, share: u16) {
    let share = share.min(256);
    let planes = [(&mut frame.y, &over.y), (&mut frame.u, &over.u), (&mut frame.v, &over.v)];
    for (target, source) in planes {
        mix_plane(target, source, share);
    }
}

on_wide_registers! {
    /// `target` with `share` of 256 of `source` in it, rounded.
    fn mix_plane(target: &mut [u8], source: &[u8], share: u16) = mix_plane_plain
}

#[inline(always)]
fn mix_plane_plain(target: &mut [u8], source: &[u8], share: u16) {
    for (target, source) in target.iter_mut().zip(source) {
        let mixed = u16::from(*target) * (256 - share) + u16::from(*source) * share;
        *target = ((mixed + 128) >> 8) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiny_skia::Color;

    fn gray_frame(width: u32, height: u32) -> I420Frame {
        let mut frame = I420Frame::new(width, height);
        frame.y.fill(100);
        frame.u.fill(90);
        frame.v.fill(160);
        frame
    }

    fn solid(width: u32, height: u32, color: Color) -> Pixmap {
        let mut pixmap = Pixmap::new(width, height).unwrap();
        pixmap.fill(color);
        pixmap
    }

    #[test]
    fn division_is_exact() {
        for value in 0..=255u32 * 255 {
            assert_eq!(u32::from(div255(value as u16)), (value + 127) / 255, "{value}");
        }
    }

    #[test]
    fn primaries_land_on_their_bt709_codes() {
        // ITU-R BT.709 limited range, computed from the standard's equations.
        let rows = [
            ("white", Color::WHITE, [235, 128, 128]),
            ("black", Color::BLACK, [16, 128, 128]),
            ("red", Color::from_rgba8(255, 0, 0, 255), [63, 102, 240]),
            ("green", Color::from_rgba8(0, 255, 0, 255), [173, 42, 26]),
            ("blue", Color::from_rgba8(0, 0, 255, 255), [32, 240, 118]),
        ];
        for (name, color, expected) in rows {
            let mut frame = gray_frame(4, 4);
            Tile::from_pixmap(&solid(4, 4, color), 0, 0).blend_onto(&mut frame, [0, 0], 255, None);
            assert_eq!([frame.y[5], frame.u[0], frame.v[0]], expected, "{name}");
        }
    }

    #[test]
    fn half_covered_chroma_mixes_half() {
        // One opaque blue pixel of the four that share a chroma sample.
        let blue = Color::from_rgba8(0, 0, 255, 255);
        for (x, y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let mut frame = gray_frame(2, 2);
            Tile::from_pixmap(&solid(1, 1, blue), x, y).blend_onto(&mut frame, [0, 0], 255, None);
            let expected = (240.0 + 3.0 * 90.0) / 4.0;
            assert!((f64::from(frame.u[0]) - expected).abs() <= 1.0, "{} at {x},{y}", frame.u[0]);
        }
    }

    #[test]
    fn what_lies_outside_is_cut() {
        let white = solid(3, 3, Color::WHITE);
        let far = [(-3, 0), (4, 0), (0, 4), (0, -3), (i32::MAX - 5, 0), (i32::MIN + 5, 7)];
        for (x, y) in far {
            let mut frame = gray_frame(4, 4);
            Tile::from_pixmap(&white, x, y).blend_onto(&mut frame, [0, 0], 255, None);
            assert_eq!(frame.y, gray_frame(4, 4).y, "{x},{y}");
            assert_eq!(frame.u, gray_frame(4, 4).u, "{x},{y}");
        }
        let mut frame = gray_frame(4, 4);
        Tile::from_pixmap(&white, -2, -2).blend_onto(&mut frame, [0, 0], 255, None);
        assert_eq!((frame.y[0], frame.y[1], frame.y[4]), (235, 100, 100));
    }

    #[test]
    fn clear_margins_are_cut_and_rows_keep_their_place() {
        let mut pixmap = Pixmap::new(20, 20).unwrap();
        pixmap.fill_rect(
            tiny_skia::Rect::from_xywh(5.0, 6.0, 2.0, 3.0).unwrap(),
            &tiny_skia::Paint::default(),
            tiny_skia::Transform::identity(),
            None,
        );
        let tile = Tile::from_pixmap(&pixmap, 100, 200);
        assert_eq!((tile.x, tile.y, tile.width, tile.height), (105, 206, 2, 3));
        assert_eq!(Tile::from_pixmap(&Pixmap::new(3, 3).unwrap(), 0, 0).width, 0);
    }

    #[test]
    fn a_shift_by_half_spreads_evenly() {
        let tile = Tile::from_pixmap(&solid(2, 2, Color::WHITE), 0, 0).shifted([128, 0]);
        assert_eq!((tile.width, tile.height), (3, 3));
        assert_eq!(&tile.alpha[..3], &[128, 255, 128]);
        assert_eq!(&tile.alpha[6..], &[0, 0, 0]);
    }

    #[test]
    fn opacity_is_the_same_as_alpha() {
        let (mut by_opacity, mut by_alpha) = (gray_frame(4, 4), gray_frame(4, 4));
        Tile::from_pixmap(&solid(4, 4, Color::WHITE), 0, 0).blend_onto(&mut by_opacity, [0, 0], 51, None);
        let faint = Color::from_rgba8(255, 255, 255, 51);
        Tile::from_pixmap(&solid(4, 4, faint), 0, 0).blend_onto(&mut by_alpha, [0, 0], 255, None);
        for (a, b) in by_opacity.y.iter().zip(&by_alpha.y) {
            assert!(a.abs_diff(*b) <= 1);
        }
    }
}
