//! How content of one size fills a box of another.

use vignette_templates::video::Fit;

/// Which part of the content shows, and where in the box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fitted {
    /// The part of the content that shows: left, top, width and height in its own pixels, inside it.
    pub crop: [f64; 4],
    /// Left edge in the box, in pixels.
    pub x: u32,
    /// Upper edge in the box, in pixels.
    pub y: u32,
    /// Width in the box in pixels, at least 1.
    pub width: u32,
    /// Height in the box in pixels, at least 1.
    pub height: u32,
}

/// Places content of `content` pixels in a box of `width` x `height` pixels, both at least 1. `focus` is the point of the
/// content, as fractions, that is kept as near to the middle as it can be when `Fit::Cover` cuts.
pub fn fit(kind: Fit, content: (f64, f64), (width, height): (u32, u32), focus: [f32; 2]) -> Fitted {
    let (content_width, content_height) = content;
    let (scale_x, scale_y) = (f64::from(width) / content_width, f64::from(height) / content_height);
    let whole = [0.0, 0.0, content_width, content_height];
    match kind {
        Fit::Fill => Fitted { crop: whole, x: 0, y: 0, width, height },
        Fit::Contain => {
            let scale = scale_x.min(scale_y);
            let inside = |length: f64, most: u32| ((length * scale).round() as u32).clamp(1, most);
            let (w, h) = (inside(content_width, width), inside(content_height, height));
            Fitted { crop: whole, x: (width - w) / 2, y: (height - h) / 2, width: w, height: h }
        }
        Fit::Cover => {
            let scale = scale_x.max(scale_y);
            let w = (f64::from(width) / scale).min(content_width);
            let h = (f64::from(height) / scale).min(content_height);
            let start = |focus: f32, whole: f64, part: f64| {
                let focus = if focus.is_finite() { f64::from(focus) } else { 0.5 };
                (focus * whole - part / 2.0).clamp(0.0, whole - part)
            };
            let crop = [start(focus[0], content_width, w), start(focus[1], content_height, h), w, h];
            Fitted { crop, x: 0, y: 0, width, height }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_placed() {
        let whole = [0.0, 0.0, 200.0, 100.0];
        for (name, kind, boxed, focus, crop, place) in [
            ("fill", Fit::Fill, (50, 70), [0.5, 0.5], whole, (0, 0, 50, 70)),
            ("contain, bars above", Fit::Contain, (100, 100), [0.5, 0.5], whole, (0, 25, 100, 50)),
            ("contain, bars beside", Fit::Contain, (300, 100), [0.0, 0.0], whole, (50, 0, 200, 100)),
            (
                "cover, middle",
                Fit::Cover,
                (100, 100),
                [0.5, 0.5],
                [50.0, 0.0, 100.0, 100.0],
                (0, 0, 100, 100),
            ),
            ("cover, left", Fit::Cover, (100, 100), [0.1, 0.5], [0.0, 0.0, 100.0, 100.0], (0, 0, 100, 100)),
            ("cover, right", Fit::Cover, (50, 50), [1.0, 0.5], [100.0, 0.0, 100.0, 100.0], (0, 0, 50, 50)),
            (
                "cover, not a number",
                Fit::Cover,
                (100, 100),
                [f32::NAN, 0.5],
                [50.0, 0.0, 100.0, 100.0],
                (0, 0, 100, 100),
            ),
        ] {
            let (x, y, width, height) = place;
            assert_eq!(
                fit(kind, (200.0, 100.0), boxed, focus),
                Fitted { crop, x, y, width, height },
                "{name}"
            );
        }
    }
}
