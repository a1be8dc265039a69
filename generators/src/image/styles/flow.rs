//! `flow`: thousands of fine strokes along a wind.

use super::super::canvas::Canvas;
use super::super::maths::{Noise, cos, lerp, sin, smoothstep};
use super::super::palette::{Ramp, mix};
use super::Alive;
use crate::error::GenerateError;
use crate::random::SplitMix64;

pub(super) fn draw(
    canvas: &mut Canvas,
    ramp: &Ramp,
    random: &mut SplitMix64,
    alive: Alive<'_>,
) -> Result<(), GenerateError> {
    let unit = canvas.unit();
    let (width, height) = (canvas.width as f64 / unit, canvas.height as f64 / unit);
    let (wind, tint) = (Noise(random.next_u64()), Noise(random.next_u64()));
    let heading = random.unit();
    let turns = random.range(0.9, 1.3);
    canvas.fill_smoothly(alive, |x, y| ramp.at(0.02 + 0.14 * tint.fractal(x * 0.9, y * 0.9, 2)))?;
    let strokes = (1_500.0 * width * height) as usize;
    let step = 0.004;
    for stroke in 0..strokes {
        if stroke % 32 == 0 {
            alive()?;
        }
        // Later strokes lie on top: finer and lighter.
        let age = stroke as f64 / strokes as f64;
        let (mut x, mut y) = (random.range(-0.1, width + 0.1), random.range(-0.1, height + 0.1));
        let length = random.range(0.18, 0.5);
        let thickness = lerp(0.0075, 0.0022, age) * random.range(0.6, 1.3);
        let region = smoothstep(0.25, 0.75, tint.fractal(x * 1.1 + 3.0, y * 1.1, 2));
        let tone = (0.12 + 0.62 * region + 0.2 * age + random.range(-0.13, 0.13)).clamp(0.05, 1.0);
        let color = ramp.at(tone);
        let alpha = random.range(0.45, 0.85);
        let steps = (length / step) as usize;
        for index in 0..steps {
            let angle = heading + turns * (wind.fractal(x * 0.85, y * 0.85, 2) - 0.5);
            let (dx, dy) = (cos(angle) * step, sin(angle) * step);
            // Thin ends, as a brush leaves.
            let along = index as f64 / steps as f64;
            let radius = thickness * smoothstep(0.0, 0.25, along) * smoothstep(1.0, 0.55, along);
            segment(canvas, [x, y], [x + dx, y + dy], radius, unit, |below| mix(below, color, alpha));
            (x, y) = (x + dx, y + dy);
        }
    }
    Ok(())
}

/// Paints the slice of a stroke that lies between the two cross-sections through its ends, so that slices neither overlap
/// nor leave gaps.
fn segment(
    canvas: &mut Canvas,
    from: [f64; 2],
    to: [f64; 2],
    radius: f64,
    unit: f64,
    paint: impl Fn([f64; 3]) -> [f64; 3],
) {
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let square = dx * dx + dy * dy;
    let length = square.sqrt();
    let reach = radius + 1.0 / unit;
    canvas.touch(
        [from[0].min(to[0]) - reach, from[1].min(to[1]) - reach],
        [from[0].max(to[0]) + reach, from[1].max(to[1]) + reach],
        |x, y, below| {
            let along = ((x - from[0]) * dx + (y - from[1]) * dy) / square;
            if !(0.0..1.0).contains(&along) {
                return below;
            }
            let across = (((x - from[0]) * dy - (y - from[1]) * dx) / length).abs();
            // A stroke thinner than a pixel covers a part of it.
            let cover = ((radius - across) * unit + 0.5).clamp(0.0, 1.0).min(radius * unit * 2.0);
            mix(below, paint(below), cover)
        },
    );
}
