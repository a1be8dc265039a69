//! Placed glyphs to pixels.

use tiny_skia::{
    FillRule, FilterQuality, GradientStop, LinearGradient, Mask, Paint as SkPaint, PathBuilder, Pixmap,
    PixmapMut, PixmapPaint, PixmapRef, Point, RadialGradient, Rect, Shader, SpreadMode, Transform,
};
use vignette_templates::video::{Color, Paint, Pill, Stop};

use super::glyphs::{MAX_KEPT_EM, Picture, Raster, SUBPIXELS, place, unite};
use super::shape::{Run, TextLayout, empty};

/// From this many pixels per em on, glyphs that stand for themselves are put on whole pixels: the error of
/// their distances is too small to see.
const WHOLE_PIXEL_EM: f32 = 32.0;

impl TextLayout {
    /// Draws the text into a premultiplied RGBA8 sRGB pixmap, with the upper left corner of its box at
    /// (`x`, `y`) and everything `scale` times as large. `color` replaces the fill.
    ///
    /// Coverage is blended in sRGB, as browsers do. From the bottom to the top: pill, outline, fill, emoji.
    pub fn draw(&self, pixmap: &mut PixmapMut<'_>, x: f32, y: f32, scale: f32, color: Option<Color>) {
        if !(x.is_finite() && y.is_finite() && scale.is_finite() && scale > 0.0) {
            return;
        }
        let canvas = Canvas { x, y, scale };
        if let Some(pill) = &self.block.pill {
            self.draw_pill(pixmap, canvas, pill);
        }
        let Some(region) = Region::of(pixmap, canvas, self.glyph_bounds()) else { return };
        if let Some(stroke) = &self.block.stroke
            && stroke.width > 0.0
            && let Some(mask) = self.mask(canvas, region, stroke.width * scale, None)
        {
            composite_solid(pixmap, region, &mask, stroke.color);
        }
        let override_paint = color.map(Paint::Solid);
        let fill = override_paint.as_ref().unwrap_or(&self.block.fill);
        // Glyphs of the part that is marked are drawn by themselves, at the places that they have anyhow.
        let rest = self.block.marked.map(|_| false);
        if let Some(mask) = self.mask(canvas, region, 0.0, rest) {
            match fill {
                Paint::Solid(color) => composite_solid(pixmap, region, &mask, *color),
                gradient => {
                    if let Some(shader) = shader(gradient, self.size, canvas, region) {
                        composite_shader(pixmap, region, &mask, shader);
                    }
                }
            }
        }
        if let Some(marked) = self.block.marked
            && let Some(mask) = self.mask(canvas, region, 0.0, Some(true))
        {
            composite_solid(pixmap, region, &mask, marked.fill);
        }
        let opacity = if let Paint::Solid(color) = fill { color.a } else { 255 };
        self.draw_pictures(pixmap, canvas, opacity);
    }

    /// What drawing at `scale` touches, in pixels from the box's upper left corner: glyphs, outline and pill.
    pub fn ink_bounds(&self, scale: f32) -> Rect {
        let glyphs = self.glyph_bounds();
        let all = match (self.block.pill, glyphs.width() > 0.0) {
            (Some(pill), _) if self.lines.width() > 0.0 => {
                let pill = pill_bounds(self.lines, &pill).unwrap_or(self.lines);
                if glyphs.width() > 0.0 { unite(glyphs, pill) } else { pill }
            }
            (_, true) => glyphs,
            _ => return empty(),
        };
        // A pixel more on each side holds what smoothing and rounding of places add.
        Rect::from_ltrb(
            (all.left() * scale).floor() - 1.0,
            (all.top() * scale).floor() - 1.0,
            (all.right() * scale).ceil() + 1.0,
            (all.bottom() * scale).ceil() + 1.0,
        )
        .unwrap_or(empty())
    }

    /// Glyphs with their outline, at scale 1.
    fn glyph_bounds(&self) -> Rect {
        let grow = self.block.stroke.map_or(0.0, |stroke| stroke.width / 2.0);
        if self.ink.width() > 0.0 || self.ink.height() > 0.0 {
            self.ink.outset(grow, grow).unwrap_or(self.ink)
        } else {
            empty()
        }
    }

    fn draw_pill(&self, pixmap: &mut PixmapMut<'_>, canvas: Canvas, pill: &Pill) {
        if self.lines.width() <= 0.0 {
            return;
        }
        let Some(bounds) = pill_bounds(self.lines, pill) else { return };
        let Some(path) = rounded(bounds, pill.radius) else { return };
        let mut paint = SkPaint { anti_alias: true, ..SkPaint::default() };
        paint.set_color_rgba8(pill.color.r, pill.color.g, pill.color.b, pill.color.a);
        pixmap.fill_path(&path, &paint, FillRule::Winding, canvas.transform(), None);
    }

    /// Coverage of all glyphs together, or of those that are marked or not, so that glyphs that overlap do not show through each other.
    fn mask(&self, canvas: Canvas, region: Region, stroke: f32, marked: Option<bool>) -> Option<Mask> {
        let mut mask = Mask::new(region.width, region.height)?;
        let em = self.size_used * canvas.scale;
        for run in self.runs.iter() {
            let whole = canvas.is_whole() && em >= WHOLE_PIXEL_EM && !run.connected;
            let fontdue = whole
                && stroke == 0.0
                && run.face.simple
                && run.variant.coords.is_empty()
                && !run.variant.embolden
                && !run.variant.slant;
            for glyph in run.glyphs.iter().filter(|glyph| marked.is_none_or(|marked| glyph.marked == marked))
            {
                let at = canvas.place(run, glyph.x, glyph.y);
                if em > MAX_KEPT_EM {
                    let outline = self.library.glyphs().outline(&run.face, glyph.id, &run.variant.coords);
                    let at = [at[0] - region.left as f32, at[1] - region.top as f32];
                    for path in place(&run.face, &outline, &run.variant, em, stroke, at) {
                        mask.fill_path(&path, FillRule::Winding, true, Transform::identity());
                    }
                    continue;
                }
                let at = if fontdue { at.map(f32::round) } else { at };
                let (left, x) = split(at[0]);
                let (top, y) = split(at[1]);
                let raster = Raster { em, subpixel: [x, y], stroke, fontdue };
                let coverage = self.library.glyphs().coverage(&run.face, glyph.id, &run.variant, raster);
                region.add(&mut mask, left + coverage.left, top + coverage.top, &coverage);
            }
        }
        Some(mask)
    }

    fn draw_pictures(&self, pixmap: &mut PixmapMut<'_>, canvas: Canvas, opacity: u8) {
        let em = self.size_used * canvas.scale;
        for run in self.runs.iter().filter(|run| run.face.color) {
            for glyph in &run.glyphs {
                let picture = self.library.glyphs().picture(&run.face, glyph.id, em);
                let Some(picture) = picture.as_ref() else { continue };
                let at = canvas.place(run, glyph.x, glyph.y);
                draw_picture(pixmap, picture, at, em, opacity, canvas.is_whole());
            }
        }
    }
}

/// Where and how large the box is drawn.
#[derive(Clone, Copy)]
struct Canvas {
    x: f32,
    y: f32,
    scale: f32,
}

impl Canvas {
    fn transform(self) -> Transform {
        Transform::from_row(self.scale, 0.0, 0.0, self.scale, self.x, self.y)
    }

    /// The text stands still on whole pixels, as most text does most of the time.
    fn is_whole(self) -> bool {
        self.scale == 1.0 && self.x.fract() == 0.0 && self.y.fract() == 0.0
    }

    /// Where a glyph's origin is. At natural scale baselines stand on whole pixels of the box, so that
    /// horizontal strokes are crisp; while text grows they do not, or it would tremble.
    fn place(self, run: &Run, x: f32, y: f32) -> [f32; 2] {
        let baseline = if self.scale == 1.0 { run.baseline.round() } else { run.baseline * self.scale };
        [self.x + x * self.scale, self.y + baseline + y * self.scale]
    }
}

/// Whole pixels, and the rest in parts of [`SUBPIXELS`].
fn split(position: f32) -> (i32, u8) {
    let parts = (position.clamp(-1e6, 1e6) * SUBPIXELS as f32).round() as i32;
    (parts.div_euclid(SUBPIXELS), parts.rem_euclid(SUBPIXELS) as u8)
}

/// A rectangle of whole pixels inside the pixmap.
#[derive(Clone, Copy)]
struct Region {
    left: i32,
    top: i32,
    width: u32,
    height: u32,
}

impl Region {
    /// The pixels that `bounds`, given in the box at scale 1, may touch.
    fn of(pixmap: &PixmapMut<'_>, canvas: Canvas, bounds: Rect) -> Option<Region> {
        let bounds = bounds.transform(canvas.transform())?;
        let clamp = |value: f32, limit: u32| value.clamp(0.0, limit as f32) as i32;
        let left = clamp(bounds.left().floor() - 2.0, pixmap.width());
        let top = clamp(bounds.top().floor() - 2.0, pixmap.height());
        let right = clamp(bounds.right().ceil() + 2.0, pixmap.width());
        let bottom = clamp(bounds.bottom().ceil() + 2.0, pixmap.height());
        (right > left && bottom > top && (bounds.width() > 0.0 || bounds.height() > 0.0)).then(|| Region {
            left,
            top,
            width: (right - left) as u32,
            height: (bottom - top) as u32,
        })
    }

    /// Adds coverage with its upper left corner at (`left`, `top`) of the pixmap.
    fn add(self, mask: &mut Mask, left: i32, top: i32, coverage: &super::glyphs::Coverage) {
        let (x, y) = (left - self.left, top - self.top);
        let first = 0.max(-x).min(coverage.width as i32) as usize;
        let last = (self.width as i32 - x).clamp(0, coverage.width as i32) as usize;
        if first >= last {
            return;
        }
        let stride = self.width as usize;
        for (row, line) in coverage.data.chunks_exact(coverage.width as usize).enumerate() {
            let to = y + row as i32;
            if to < 0 || to >= self.height as i32 {
                continue;
            }
            let start = to as usize * stride + (x + first as i32) as usize;
            let target = &mut mask.data_mut()[start..start + (last - first)];
            for (target, source) in target.iter_mut().zip(&line[first..last]) {
                *target = *target + scale_255(*source, 255 - *target);
            }
        }
    }
}

/// `a * b / 255`, rounded.
fn scale_255(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

fn rows<'a>(
    pixmap: &'a mut PixmapMut<'_>,
    region: Region,
    mask: &'a Mask,
) -> impl Iterator<Item = (&'a mut [u8], &'a [u8])> {
    let stride = pixmap.width() as usize * 4;
    let (left, width) = (region.left as usize * 4, region.width as usize * 4);
    pixmap
        .data_mut()
        .chunks_exact_mut(stride)
        .skip(region.top as usize)
        .zip(mask.data().chunks_exact(region.width as usize))
        .map(move |(row, coverage)| (&mut row[left..left + width], coverage))
}

fn composite_solid(pixmap: &mut PixmapMut<'_>, region: Region, mask: &Mask, color: Color) {
    for (row, coverage) in rows(pixmap, region, mask) {
        for (pixel, coverage) in row.chunks_exact_mut(4).zip(coverage) {
            if *coverage == 0 {
                continue;
            }
            let alpha = scale_255(color.a, *coverage);
            for (channel, value) in pixel.iter_mut().zip([color.r, color.g, color.b, 255]) {
                *channel = scale_255(value, alpha).saturating_add(scale_255(*channel, 255 - alpha));
            }
        }
    }
}

fn composite_shader(pixmap: &mut PixmapMut<'_>, region: Region, mask: &Mask, shader: Shader<'_>) {
    let Some(mut colors) = Pixmap::new(region.width, region.height) else { return };
    let Some(all) = Rect::from_xywh(0.0, 0.0, region.width as f32, region.height as f32) else { return };
    let paint = SkPaint { shader, anti_alias: false, ..SkPaint::default() };
    colors.fill_rect(all, &paint, Transform::identity(), None);
    let colors = colors.data().chunks_exact(region.width as usize * 4);
    for ((row, coverage), colors) in rows(pixmap, region, mask).zip(colors) {
        let pixels = row.chunks_exact_mut(4).zip(colors.chunks_exact(4));
        for ((pixel, color), coverage) in pixels.zip(coverage) {
            let alpha = scale_255(color[3], *coverage);
            for (channel, value) in pixel.iter_mut().zip(color) {
                let source = scale_255(*value, *coverage);
                *channel = source.saturating_add(scale_255(*channel, 255 - alpha));
            }
        }
    }
}

/// The colours of a gradient over a box of `size`, in pixels of the region.
fn shader(paint: &Paint, size: [f32; 2], canvas: Canvas, region: Region) -> Option<Shader<'static>> {
    let transform = canvas.transform().post_translate(-(region.left as f32), -(region.top as f32));
    let [width, height] = size;
    match paint {
        Paint::Solid(color) => Some(Shader::SolidColor(sk_color(*color))),
        Paint::Linear { angle, stops } => {
            // CSS Images Level 3, section 3.1.1: the line is as long as makes the corners pure.
            let (sin, cos) = f64::from(*angle).to_radians().sin_cos();
            let (sin, cos) = (sin as f32, cos as f32);
            let half = ((width * sin).abs() + (height * cos).abs()) / 2.0;
            let (x, y) = (width / 2.0, height / 2.0);
            let start = Point::from_xy(x - sin * half, y + cos * half);
            let end = Point::from_xy(x + sin * half, y - cos * half);
            LinearGradient::new(start, end, sk_stops(stops), SpreadMode::Pad, transform)
        }
        Paint::Radial { center, radius, stops } => {
            let center = Point::from_xy(center[0] * width, center[1] * height);
            let radius = radius * width.max(height) / 2.0;
            RadialGradient::new(center, 0.0, center, radius, sk_stops(stops), SpreadMode::Pad, transform)
        }
    }
    .or_else(|| match paint {
        // A gradient without extent, such as over a box without height, is its last colour.
        Paint::Linear { stops, .. } | Paint::Radial { stops, .. } => {
            stops.last().map(|stop| Shader::SolidColor(sk_color(stop.color)))
        }
        Paint::Solid(_) => None,
    })
}

fn sk_stops(stops: &[Stop]) -> Vec<GradientStop> {
    stops.iter().map(|stop| GradientStop::new(stop.offset, sk_color(stop.color))).collect()
}

fn sk_color(color: Color) -> tiny_skia::Color {
    tiny_skia::Color::from_rgba8(color.r, color.g, color.b, color.a)
}

fn draw_picture(
    pixmap: &mut PixmapMut<'_>,
    picture: &Picture,
    at: [f32; 2],
    em: f32,
    opacity: u8,
    whole: bool,
) {
    let Some(image) = PixmapRef::from_bytes(&picture.data, picture.width, picture.height) else { return };
    let scale = em / picture.em;
    let (left, top) = (at[0] + picture.left as f32 * scale, at[1] + picture.top as f32 * scale);
    let exact = whole && scale == 1.0;
    let (left, top) = if exact { (left.round(), top.round()) } else { (left, top) };
    let paint = PixmapPaint {
        opacity: f32::from(opacity) / 255.0,
        quality: if exact { FilterQuality::Nearest } else { FilterQuality::Bicubic },
        ..PixmapPaint::default()
    };
    pixmap.draw_pixmap(0, 0, image, &paint, Transform::from_row(scale, 0.0, 0.0, scale, left, top), None);
}

fn pill_bounds(lines: Rect, pill: &Pill) -> Option<Rect> {
    let [x, y] = pill.padding;
    Rect::from_ltrb(lines.left() - x, lines.top() - y, lines.right() + x, lines.bottom() + y)
}

/// A rectangle with round corners; a circle's quarter as one cubic is off by less than 1/3600 of the radius.
fn rounded(bounds: Rect, radius: f32) -> Option<tiny_skia::Path> {
    let r = radius.max(0.0).min(bounds.width() / 2.0).min(bounds.height() / 2.0);
    if r == 0.0 {
        return Some(PathBuilder::from_rect(bounds));
    }
    let k = r * (1.0 - 0.552_284_8);
    let (l, t, right, b) = (bounds.left(), bounds.top(), bounds.right(), bounds.bottom());
    let mut path = PathBuilder::new();
    path.move_to(l + r, t);
    path.line_to(right - r, t);
    path.cubic_to(right - k, t, right, t + k, right, t + r);
    path.line_to(right, b - r);
    path.cubic_to(right, b - k, right - k, b, right - r, b);
    path.line_to(l + r, b);
    path.cubic_to(l + k, b, l, b - k, l, b - r);
    path.line_to(l, t + r);
    path.cubic_to(l, t + k, l + k, t, l + r, t);
    path.close();
    path.finish()
}
