//! Rasterising one layer's content, upright, to premultiplied RGBA.

use tiny_skia::{FillRule, Mask, Path, PathBuilder, Pixmap, PixmapPaint, Rect, Transform};
use vignette_templates::video::{Color, Paint, Shadow, Stop, Stroke};

use super::tile::PixelRect;

/// An outline to fill and stroke, in pixels from the box's upper left corner.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub path: Path,
    pub fill: Option<Paint>,
    pub stroke: Option<Stroke>,
    /// Width and height of the box that gradients span.
    pub size: [f32; 2],
}

impl Shape {
    /// Draws the shape `scale` times as large with its box's upper left corner at `origin`.
    pub(crate) fn draw(&self, pixmap: &mut Pixmap, origin: [f32; 2], scale: f32, color: Option<Color>) {
        let transform = Transform::from_row(scale, 0.0, 0.0, scale, origin[0], origin[1]);
        if let Some(fill) = &self.fill {
            let recoloured = color.map(Paint::Solid);
            match recoloured.as_ref().unwrap_or(fill) {
                Paint::Solid(color) => {
                    let mut paint = tiny_skia::Paint { anti_alias: true, ..Default::default() };
                    paint.set_color(to_color(*color));
                    pixmap.fill_path(&self.path, &paint, FillRule::Winding, transform, None);
                }
                gradient => {
                    if let Some(gradient) = Gradient::new(gradient, self.size) {
                        gradient.fill(pixmap, &self.path, origin, scale);
                    }
                }
            }
        }
        if let Some(stroke) = &self.stroke {
            let mut paint = tiny_skia::Paint { anti_alias: true, ..Default::default() };
            // A shape without a fill is its outline: there the colour track colours the outline.
            let own = if self.fill.is_none() { color.unwrap_or(stroke.color) } else { stroke.color };
            paint.set_color(to_color(own));
            let line = tiny_skia::Stroke {
                width: stroke.width,
                line_cap: tiny_skia::LineCap::Round,
                line_join: tiny_skia::LineJoin::Round,
                ..Default::default()
            };
            pixmap.stroke_path(&self.path, &paint, &line, transform, None);
        }
    }

    /// What the shape covers around its box, stroke included, `[left, top, right, bottom]`.
    pub(crate) fn bounds(&self) -> [f32; 4] {
        let bounds = self.path.bounds();
        // A round join reaches half the stroke's width beyond the outline.
        let reach = self.stroke.map_or(0.0, |stroke| stroke.width / 2.0) + 1.0;
        [bounds.left() - reach, bounds.top() - reach, bounds.right() + reach, bounds.bottom() + reach]
    }
}

/// A rectangle with rounded corners as a path; `None` when it is empty.
pub(crate) fn rounded_rect(width: f32, height: f32, radius: f32) -> Option<Path> {
    let rect = Rect::from_xywh(0.0, 0.0, width, height)?;
    let radius = radius.min(width / 2.0).min(height / 2.0);
    if radius <= 0.0 {
        return Some(PathBuilder::from_rect(rect));
    }
    // The control points of a cubic that comes closest to a quarter circle.
    let k = radius * 0.552_284_8;
    let (w, h, r) = (width, height, radius);
    let mut path = PathBuilder::new();
    path.move_to(r, 0.0);
    path.line_to(w - r, 0.0);
    path.cubic_to(w - r + k, 0.0, w, r - k, w, r);
    path.line_to(w, h - r);
    path.cubic_to(w, h - r + k, w - r + k, h, w - r, h);
    path.line_to(r, h);
    path.cubic_to(r - k, h, 0.0, h - r + k, 0.0, h - r);
    path.line_to(0.0, r);
    path.cubic_to(0.0, r - k, r - k, 0.0, r, 0.0);
    path.close();
    path.finish()
}

/// The ellipse inscribed in a box as a path; `None` when it is empty.
pub(crate) fn ellipse(width: f32, height: f32) -> Option<Path> {
    PathBuilder::from_oval(Rect::from_xywh(0.0, 0.0, width, height)?)
}

/// A colour as tiny-skia has it.
pub(crate) fn to_color(color: Color) -> tiny_skia::Color {
    tiny_skia::Color::from_rgba8(color.r, color.g, color.b, color.a)
}

/// A gradient over a box, ready to be looked up.
///
/// Drawn here and not by the path rasteriser, because eight bits show steps in a wide gradient of few colours, the more
/// so once it is encoded: every pixel is computed finer than it can be stored and rounded up or down by a fixed pattern.
struct Gradient {
    /// From the box's pixels to the place along the gradient: for a line `x * a + y * b + c`, for a circle the
    /// distance from (`a`, `b`) times `c`.
    a: f32,
    b: f32,
    c: f32,
    radial: bool,
    /// Premultiplied colours along the way, 0 to 255, red, green, blue and alpha.
    table: Vec<[f32; 4]>,
}

/// Fine enough that two neighbours never differ by more than an eighth of what can be stored.
const TABLE: usize = 2048;

impl Gradient {
    /// `None` when the box or the gradient has no extent, or the paint is one colour.
    fn new(paint: &Paint, [width, height]: [f32; 2]) -> Option<Self> {
        let (a, b, c, radial, stops) = match paint {
            Paint::Solid(_) => return None,
            Paint::Linear { angle, stops } => {
                // CSS Images Level 3, section 3.1.1: the gradient line's length is |w sin a| + |h cos a|.
                let (sin, cos) = sin_cos_degrees(*angle);
                let length = (width * sin).abs() + (height * cos).abs();
                let (a, b) = (sin / length, -cos / length);
                (a, b, 0.5 - a * width / 2.0 - b * height / 2.0, false, stops)
            }
            Paint::Radial { center, radius, stops } => {
                let reach = radius * width.max(height) / 2.0;
                (center[0] * width, center[1] * height, 1.0 / reach, true, stops)
            }
        };
        let known = [a, b, c].iter().all(|value| value.is_finite()) && !stops.is_empty();
        known.then(|| Gradient { a, b, c, radial, table: table(stops) })
    }

    /// Fills `path`, `scale` times as large with its box's upper left corner at `origin`.
    fn fill(&self, pixmap: &mut Pixmap, path: &Path, origin: [f32; 2], scale: f32) {
        let (width, height) = (pixmap.width(), pixmap.height());
        let Some(mut mask) = Mask::new(width, height) else { return };
        let transform = Transform::from_row(scale, 0.0, 0.0, scale, origin[0], origin[1]);
        mask.fill_path(path, FillRule::Winding, true, transform);
        let rows = pixmap
            .data_mut()
            .chunks_exact_mut(width as usize * 4)
            .zip(mask.data().chunks_exact(width as usize));
        for (row, (pixels, coverage)) in rows.enumerate() {
            let y = (row as f32 + 0.5 - origin[1]) / scale;
            for (column, (pixel, covered)) in pixels.chunks_exact_mut(4).zip(coverage).enumerate() {
                if *covered == 0 {
                    continue;
                }
                let x = (column as f32 + 0.5 - origin[0]) / scale;
                let along = if self.radial {
                    let (dx, dy) = (x - self.a, y - self.b);
                    (dx * dx + dy * dy).sqrt() * self.c
                } else {
                    x * self.a + y * self.b + self.c
                };
                let entry = (along.clamp(0.0, 1.0) * (TABLE - 1) as f32 + 0.5) as usize;
                let source = self.table[entry];
                let share = f32::from(*covered) / 255.0;
                let nudge = pattern(column as u32, row as u32);
                let below = 1.0 - source[3] * share / 255.0;
                let mut mixed = [0.0; 4];
                for (channel, value) in mixed.iter_mut().enumerate() {
                    *value = source[channel] * share + f32::from(pixel[channel]) * below;
                }
                let alpha = (mixed[3] + nudge).floor().clamp(0.0, 255.0);
                for (channel, value) in pixel.iter_mut().zip(mixed) {
                    // A colour is never more than its alpha.
                    *channel = (value + nudge).floor().clamp(0.0, alpha) as u8;
                }
            }
        }
    }
}

/// A fixed pattern of thresholds, 0 to 1, without visible structure: interleaved gradient noise (J. Jimenez, "Next
/// Generation Post Processing in Call of Duty: Advanced Warfare", SIGGRAPH 2014).
fn pattern(x: u32, y: u32) -> f32 {
    let inner = (x as f32 * 0.067_110_56 + y as f32 * 0.005_837_15).fract();
    (52.982_918 * inner).fract()
}

/// Colours from 0 to 1, mixed premultiplied (CSS Images Level 3, section 3.4.2), so that a clear stop fades its
/// neighbours instead of darkening them.
fn table(stops: &[Stop]) -> Vec<[f32; 4]> {
    let premultiplied = |color: Color| {
        let alpha = f32::from(color.a);
        [color.r, color.g, color.b].map(|value| f32::from(value) * alpha / 255.0)
    };
    let full = |color: Color| {
        let [r, g, b] = premultiplied(color);
        [r, g, b, f32::from(color.a)]
    };
    (0..TABLE)
        .map(|index| {
            let at = index as f32 / (TABLE - 1) as f32;
            let next = stops.partition_point(|stop| stop.offset <= at);
            match (next.checked_sub(1).and_then(|last| stops.get(last)), stops.get(next)) {
                (Some(from), Some(to)) => {
                    let share = (at - from.offset) / (to.offset - from.offset);
                    let (from, to) = (full(from.color), full(to.color));
                    std::array::from_fn(|channel| from[channel] + (to[channel] - from[channel]) * share)
                }
                (Some(only), None) | (None, Some(only)) => full(only.color),
                (None, None) => [0.0; 4],
            }
        })
        .collect()
}

/// Sine and cosine of an angle in degrees, exact at right angles.
pub(crate) fn sin_cos_degrees(angle: f32) -> (f32, f32) {
    let turned = angle.rem_euclid(360.0);
    if turned == 0.0 {
        (0.0, 1.0)
    } else if turned == 90.0 {
        (1.0, 0.0)
    } else if turned == 180.0 {
        (0.0, -1.0)
    } else if turned == 270.0 {
        (-1.0, 0.0)
    } else {
        let (sin, cos) = f64::from(turned).to_radians().sin_cos();
        (sin as f32, cos as f32)
    }
}

/// Keeps of `pixmap` only what lies in the box with rounded corners whose upper left corner is at `origin`.
pub(crate) fn clip_to_rounded(pixmap: &mut Pixmap, origin: [f32; 2], size: [f32; 2], radius: f32) {
    let Some(mut mask) = Mask::new(pixmap.width(), pixmap.height()) else { return };
    if let Some(path) = rounded_rect(size[0], size[1], radius) {
        let place = Transform::from_translate(origin[0], origin[1]);
        mask.fill_path(&path, FillRule::Winding, true, place);
    }
    pixmap.apply_mask(&mask);
}

/// How far a shadow reaches beyond its content, in pixels: left, top, right, bottom.
pub(crate) fn shadow_reach(shadow: &Shadow) -> [f32; 4] {
    // Three box blurs reach one and a half times the CSS blur radius at most.
    let blur = shadow.blur * 1.5 + 1.0;
    [
        (blur - shadow.offset[0]).max(0.0),
        (blur - shadow.offset[1]).max(0.0),
        (blur + shadow.offset[0]).max(0.0),
        (blur + shadow.offset[1]).max(0.0),
    ]
}

/// Puts a soft shadow under everything in `pixmap`. Lengths of the shadow count `scale` times.
pub(crate) fn draw_shadow(pixmap: &mut Pixmap, shadow: &Shadow, scale: f32) {
    let (width, height) = (pixmap.width() as usize, pixmap.height() as usize);
    let mut alpha: Vec<u8> = pixmap.data().chunks_exact(4).map(|pixel| pixel[3]).collect();
    blur(&mut alpha, width, height, shadow.blur * scale / 2.0);
    let Some(mut below) = Pixmap::new(pixmap.width(), pixmap.height()) else { return };
    let premultiplied = to_color(shadow.color).premultiply().to_color_u8();
    let strengths = [premultiplied.red(), premultiplied.green(), premultiplied.blue(), premultiplied.alpha()];
    for (pixel, alpha) in below.data_mut().chunks_exact_mut(4).zip(&alpha) {
        for (channel, strength) in pixel.iter_mut().zip(strengths) {
            *channel = ((u32::from(strength) * u32::from(*alpha) + 127) / 255) as u8;
        }
    }
    let mut joined = match Pixmap::new(pixmap.width(), pixmap.height()) {
        Some(joined) => joined,
        None => return,
    };
    let by = [(shadow.offset[0] * scale).round() as i32, (shadow.offset[1] * scale).round() as i32];
    let paint = PixmapPaint::default();
    joined.draw_pixmap(by[0], by[1], below.as_ref(), &paint, Transform::identity(), None);
    joined.draw_pixmap(0, 0, pixmap.as_ref(), &paint, Transform::identity(), None);
    *pixmap = joined;
}

/// Gaussian blur with standard deviation `sigma`, approximated by three box blurs
/// (SVG Filter Effects Module Level 1, section 9.14 gives the box size).
fn blur(alpha: &mut [u8], width: usize, height: usize, sigma: f32) {
    let size = (sigma * 3.0 * (std::f32::consts::TAU).sqrt() / 4.0 + 0.5).floor() as usize;
    if size < 2 {
        return;
    }
    // An odd box three times keeps the middle where it is.
    let radius = size / 2;
    let mut line = Vec::new();
    for _ in 0..3 {
        for row in alpha.chunks_exact_mut(width) {
            line.clear();
            line.extend_from_slice(row);
            box_blur(&line, radius, |index, value| row[index] = value);
        }
        // Columns, each copied out first, so that the sums run over packed memory.
        for column in 0..width {
            line.clear();
            line.extend((0..height).map(|row| alpha[row * width + column]));
            box_blur(&line, radius, |row, value| alpha[row * width + column] = value);
        }
    }
}

fn box_blur(line: &[u8], radius: usize, mut put: impl FnMut(usize, u8)) {
    let size = (radius * 2 + 1) as u32;
    let mut sum: u32 = line.iter().take(radius).map(|value| u32::from(*value)).sum();
    for index in 0..line.len() {
        if let Some(value) = line.get(index + radius) {
            sum += u32::from(*value);
        }
        put(index, ((sum + size / 2) / size) as u8);
        if let Some(out) = index.checked_sub(radius) {
            sum -= u32::from(line[out]);
        }
    }
}

/// A clear pixmap for `region`; `None` when the region is empty or beyond reason.
pub(crate) fn pixmap_for(region: PixelRect) -> Option<Pixmap> {
    let width = u32::try_from(region.right.checked_sub(region.left)?).ok()?;
    let height = u32::try_from(region.bottom.checked_sub(region.top)?).ok()?;
    Pixmap::new(width, height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_keeps_the_amount_of_ink() {
        let (width, height) = (64, 64);
        let mut alpha = vec![0u8; width * height];
        for row in 24..40 {
            alpha[row * width + 24..row * width + 40].fill(255);
        }
        let before: u32 = alpha.iter().map(|value| u32::from(*value)).sum();
        blur(&mut alpha, width, height, 4.0);
        let after: u32 = alpha.iter().map(|value| u32::from(*value)).sum();
        assert!(before.abs_diff(after) * 50 < before, "{before} became {after}");
        assert_eq!(alpha[31 * width + 20], alpha[31 * width + 43], "symmetric");
        assert!(alpha[31 * width + 22] > 0 && alpha[31 * width + 26] < 255, "soft edge");
    }

    #[test]
    fn corners_are_round() {
        let path = rounded_rect(20.0, 20.0, 1000.0).unwrap();
        let mut pixmap = Pixmap::new(20, 20).unwrap();
        let shape = Shape {
            path,
            fill: Some(Paint::Solid(Color { r: 255, g: 255, b: 255, a: 255 })),
            stroke: None,
            size: [20.0, 20.0],
        };
        shape.draw(&mut pixmap, [0.0, 0.0], 1.0, None);
        assert_eq!(pixmap.pixel(0, 0).unwrap().alpha(), 0);
        assert_eq!(pixmap.pixel(10, 10).unwrap().alpha(), 255);
        assert_eq!(pixmap.pixel(10, 0).unwrap().alpha(), 255);
    }

    #[test]
    fn gradients_have_css_colours_and_no_steps() {
        let stop = |offset, r, a| Stop { offset, color: Color { r, g: 0, b: 0, a } };
        let shape = |stops| Shape {
            path: rounded_rect(256.0, 64.0, 0.0).unwrap(),
            fill: Some(Paint::Linear { angle: 90.0, stops }),
            stroke: None,
            size: [256.0, 64.0],
        };
        let mut faded = Pixmap::new(256, 64).unwrap();
        shape(vec![stop(0.0, 255, 255), stop(1.0, 0, 0)]).draw(&mut faded, [0.0, 0.0], 1.0, None);
        let middle = faded.pixel(128, 32).unwrap();
        assert!(middle.red().abs_diff(127) <= 1 && middle.alpha() == middle.red(), "{middle:?}");
        // Four levels over 256 pixels: the mean of each column moves on all the same.
        let mut flat = Pixmap::new(256, 64).unwrap();
        shape(vec![stop(0.0, 100, 255), stop(1.0, 104, 255)]).draw(&mut flat, [0.0, 0.0], 1.0, None);
        let mean = |column: u32| {
            (0..64).map(|row| f64::from(flat.pixel(column, row).unwrap().red())).sum::<f64>() / 64.0
        };
        for (column, expected) in [(32, 100.5), (96, 101.5), (160, 102.5), (224, 103.5)] {
            assert!((mean(column) - expected).abs() < 0.15, "column {column}: {}", mean(column));
        }
    }
}
