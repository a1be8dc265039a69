//! `gradient`: a mesh of soft colours that bleed into each other.

use super::super::canvas::Canvas;
use super::super::maths::Noise;
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
    // Points on a jittered grid, so that no colour takes all; tones are dealt rather than drawn for the same reason.
    let (columns, rows) = if width >= height { (3, 2) } else { (2, 3) };
    let mut tones: Vec<f64> =
        (0..columns * rows).map(|n| 0.12 + 0.8 * n as f64 / (columns * rows - 1) as f64).collect();
    for last in (1..tones.len()).rev() {
        tones.swap(last, random.below(last + 1));
    }
    let points: Vec<_> = tones
        .into_iter()
        .enumerate()
        .map(|(index, tone)| {
            let (column, row) = ((index % columns) as f64, (index / columns) as f64);
            let x = (column + random.range(0.1, 0.9)) / columns as f64 * width;
            let y = (row + random.range(0.1, 0.9)) / rows as f64 * height;
            (x, y, random.range(0.7, 1.4), tone)
        })
        .collect();
    let (bend_x, bend_y) = (Noise(random.next_u64()), Noise(random.next_u64()));
    let strength = random.range(0.35, 0.6);
    canvas.fill_smoothly(alive, |x, y| {
        // Bending space folds the blobs into veils.
        let u = x + strength * (bend_x.fractal(x * 1.3, y * 1.3, 2) - 0.5);
        let v = y + strength * (bend_y.fractal(x * 1.3 + 9.0, y * 1.3, 2) - 0.5);
        // Tones are blended rather than colours: the way from one to the next then runs through the palette, while colours
        // from opposite sides of the wheel would meet in grey.
        let (mut sum, mut total) = (0.0, 0.0);
        for (px, py, size, tone) in &points {
            let square = (u - px) * (u - px) + (v - py) * (v - py);
            let near = 1.0 / (0.035 + square);
            let weight = size * near * near;
            sum += weight * tone;
            total += weight;
        }
        ramp.at(sum / total)
    })
}
