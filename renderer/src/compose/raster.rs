//! Rasterising one layer's content, upright, to premultiplied RGBA.

use tiny_skia::{
    FillRule, GradientStop, LinearGradient, Mask, Path, PathBuilder, Pixmap, PixmapPaint, Point,
    RadialGradient, Rect, Shader, SpreadMode, Transform,
};
use vignette_templates::video::{Color, Paint, Shadow, Stroke};

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
            if let Some(paint) = to_paint(recoloured.as_ref().unwrap_or(fill), self.size) {
                pixmap.fill_path(&self.path, &paint, FillRule::Winding, transform, None);
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

/// A paint over a box of `size` whose upper left corner is the origin; `None` when the gradient is degenerate.
pub(crate) fn to_paint(paint: &Paint, size: [f32; 2]) -> Option<tiny_skia::Paint<'static>> {
    let [width, height] = size;
    let shader = match paint {
        Paint::Solid(color) => Shader::SolidColor(to_color(*color)),
        Paint::Linear { angle, stops } => {
            // CSS Images Level 3, section 3.1.1: the gradient line's length is |w sin a| + |h cos a|.
            let (sin, cos) = sin_cos_degrees(*angle);
            let half = ((width * sin).abs() + (height * cos).abs()) / 2.0;
            let (cx, cy) = (width / 2.0, height / 2.0);
            let start = Point::from_xy(cx - sin * half, cy + cos * half);
            let end = Point::from_xy(cx + sin * half, cy - cos * half);
            LinearGradient::new(start, end, to_stops(stops), SpreadMode::Pad, Transform::identity())?
        }
        Paint::Radial { center, radius, stops } => {
            let middle = Point::from_xy(center[0] * width, center[1] * height);
            let reach = radius * width.max(height) / 2.0;
            RadialGradient::new(
                middle,
                0.0,
                middle,
                reach,
                to_stops(stops),
                SpreadMode::Pad,
                Transform::identity(),
            )?
        }
    };
    Some(tiny_skia::Paint { shader, anti_alias: true, ..Default::default() })
}

fn to_stops(stops: &[vignette_templates::video::Stop]) -> Vec<GradientStop> {
    stops.iter().map(|stop| GradientStop::new(stop.offset, to_color(stop.color))).collect()
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
}
