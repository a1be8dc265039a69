//! `waves`: ridge behind ridge, paler with distance, below a sky with a low sun.

use super::super::canvas::Canvas;
use super::super::maths::{Noise, lerp, sin, smoothstep};
use super::super::palette::{Ramp, mix};
use super::Alive;
use crate::error::GenerateError;
use crate::random::SplitMix64;

struct Ridge {
    base: f64,
    swell: f64,
    /// Waves a unit, phase in turns, and height of each sine.
    sines: [(f64, f64, f64); 3],
    noise: Noise,
    tone: f64,
}

impl Ridge {
    /// The ridge's line at `x`, from the top.
    fn line(&self, x: f64) -> f64 {
        let sines: f64 = self.sines.iter().map(|(rate, phase, height)| height * sin(x * rate + phase)).sum();
        let grain = self.noise.fractal(x * 1.7, 0.5, 3) - 0.5;
        self.base - self.swell * (sines + 0.55 * grain)
    }
}

pub(super) fn draw(
    canvas: &mut Canvas,
    ramp: &Ramp,
    random: &mut SplitMix64,
    alive: Alive<'_>,
) -> Result<(), GenerateError> {
    let unit = canvas.unit();
    let (width, height) = (canvas.width as f64 / unit, canvas.height as f64 / unit);
    let count = 6 + random.below(3);
    let horizon = height * random.range(0.3, 0.42);
    let sun = [width * random.range(0.2, 0.8), horizon * random.range(0.55, 0.9)];
    let radius = random.range(0.07, 0.11);
    let ridges: Vec<Ridge> = (0..count)
        .map(|index| {
            // 0 is the farthest; near ones stand farther apart, as in perspective.
            let near = index as f64 / (count - 1) as f64;
            let depth = near * (0.65 + 0.35 * near);
            let mut sine = |slow: f64, height: f64| {
                (random.range(0.8, 1.25) * slow, random.unit(), height * random.range(0.8, 1.2))
            };
            let sines = [sine(0.55, 0.62), sine(1.15, 0.3), sine(2.3, 0.1)];
            Ridge {
                base: lerp(horizon, height * 0.93, depth),
                swell: lerp(0.05, 0.13, near),
                sines,
                noise: Noise(random.next_u64()),
                tone: lerp(0.7, 0.03, smoothstep(-0.1, 1.0, near)),
            }
        })
        .collect();
    canvas.fill_smoothly(alive, |x, y| {
        let sky = ramp.at(lerp(0.62, 0.97, smoothstep(-0.15, 1.0, y / horizon)));
        let (dx, dy) = (x - sun[0], y - sun[1]);
        let glow = 1.0 / (1.0 + (dx * dx + dy * dy) * 14.0);
        mix(sky, ramp.at(1.0), glow * 0.75)
    })?;
    canvas.touch(
        [sun[0] - radius * 1.1, sun[1] - radius * 1.1],
        [sun[0] + radius * 1.1, sun[1] + radius * 1.1],
        |x, y, below| {
            let distance = ((x - sun[0]) * (x - sun[0]) + (y - sun[1]) * (y - sun[1])).sqrt();
            let cover = ((radius - distance) * unit + 0.5).clamp(0.0, 1.0);
            mix(below, mix(ramp.at(1.0), [1.0; 3], 0.55), cover * 0.9)
        },
    );
    for (index, ridge) in ridges.iter().enumerate() {
        alive()?;
        let haze = ramp.at((ridge.tone + 0.26).min(0.9));
        let body = ramp.at(ridge.tone);
        // Light catches the crest on the sun's side.
        let lit = ramp.at((ridge.tone + 0.12).min(0.95));
        let reach = lerp(0.16, 0.34, index as f64 / count as f64);
        for column in 0..canvas.width {
            let x = (column as f64 + 0.5) / unit;
            let line = ridge.line(x);
            let slope = (ridge.line(x + 0.002) - ridge.line(x - 0.002)) / 0.004;
            let flatten = (1.0 + slope * slope).sqrt();
            let facing = 1.0 / (1.0 + (x - sun[0]) * (x - sun[0]) * 5.0);
            let left = column as f64 / unit;
            canvas.touch(
                [left + 0.25 / unit, line - 1.5 / unit],
                [left + 0.75 / unit, height + 1.0],
                |_, y, below| {
                    let depth = y - line;
                    let cover = (depth * unit / flatten + 0.5).clamp(0.0, 1.0);
                    // Mist gathers at the foot, where the next ridge will rise.
                    let shade = mix(body, haze, smoothstep(0.02, reach, depth) * 0.85);
                    let crest = smoothstep(0.05, 0.0, depth) * (0.25 + 0.6 * facing);
                    mix(below, mix(shade, lit, crest), cover)
                },
            );
        }
    }
    Ok(())
}
