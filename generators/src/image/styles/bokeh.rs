//! `bokeh`: lights out of focus at night.

use super::super::canvas::Canvas;
use super::super::maths::{Noise, lerp, smoothstep};
use super::super::palette::Ramp;
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
    let mist = Noise(random.next_u64());
    let band = height * random.range(0.4, 0.65);
    let tilt = random.range(-0.25, 0.25);
    canvas.fill_smoothly(alive, |x, y| {
        let off = (y - band - tilt * (x - width / 2.0)) / height;
        let glow = 1.0 / (1.0 + off * off * 12.0);
        ramp.at(0.03 + 0.2 * glow * (0.5 + mist.fractal(x * 1.4, y * 1.4, 3)))
    })?;
    let lights = (38.0 * width * height) as usize + 8;
    for index in 0..lights {
        alive()?;
        // Far lights first: small and sharp ones come last, as if nearer to focus.
        let focus = index as f64 / lights as f64;
        let radius = lerp(0.17, 0.022, focus.sqrt()) * random.range(0.7, 1.3);
        let x = random.range(-0.05, width + 0.05);
        // Three draws averaged gather around the band.
        let spread = (random.unit() + random.unit() + random.unit()) / 1.5 - 1.0;
        let y = band + tilt * (x - width / 2.0) + spread * height * 0.75;
        let color = ramp.at(random.range(0.45, 1.0));
        let alpha = lerp(0.13, 0.5, focus) * random.range(0.5, 1.0);
        let blur = lerp(0.35, 0.06, focus) * radius + 1.0 / unit;
        let reach = radius + blur;
        canvas.touch([x - reach, y - reach], [x + reach, y + reach], |px, py, below| {
            let distance = ((px - x) * (px - x) + (py - y) * (py - y)).sqrt();
            let disc = smoothstep(radius + blur, radius - blur, distance);
            // A lens leaves a brighter rim.
            let rim = smoothstep(radius * 0.72, radius, distance) * 0.55;
            let light = disc * alpha * (0.75 + rim);
            // Light adds up in linear light, for which the square is near enough; what is too much turns white as on film.
            [0, 1, 2].map(|c| {
                let sum = below[c] * below[c] + color[c] * color[c] * light * 1.25;
                if sum > 0.7 { (0.7 + (sum - 0.7) * 0.5).min(1.0).sqrt() } else { sum.sqrt() }
            })
        });
    }
    Ok(())
}
