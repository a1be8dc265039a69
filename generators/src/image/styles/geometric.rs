//! `geometric`: a pattern of tiles with circles, quarters, leaves and wedges.

use super::super::canvas::Canvas;
use super::super::palette::{Ramp, Rgb, mix};
use super::Alive;
use crate::error::GenerateError;
use crate::random::SplitMix64;

#[derive(Clone, Copy)]
enum Motif {
    Plain,
    Quarter,
    Arcs,
    Circle,
    Half,
    Leaf,
    Wedge,
    Ring,
}

#[derive(Clone, Copy)]
struct Tile {
    motif: Motif,
    turns: usize,
    ground: usize,
    figure: usize,
    accent: usize,
}

pub(super) fn draw(
    canvas: &mut Canvas,
    ramp: &Ramp,
    random: &mut SplitMix64,
    alive: Alive<'_>,
) -> Result<(), GenerateError> {
    let unit = canvas.unit();
    let (width, height) = (canvas.width as f64 / unit, canvas.height as f64 / unit);
    let across = 4 + random.below(2);
    let size = 1.0 / across as f64;
    let (columns, rows) = ((width / size).ceil() as usize, (height / size).ceil() as usize);
    // The pattern is centred: cut tiles are cut alike on both sides.
    let offset = [(columns as f64 * size - width) / 2.0, (rows as f64 * size - height) / 2.0];
    let colors: &[Rgb] = &ramp.colors;
    let mut tiles: Vec<Tile> = Vec::with_capacity(columns * rows);
    for index in 0..columns * rows {
        let motif = match random.below(14) {
            0 => Motif::Plain,
            1..=3 => Motif::Quarter,
            4 | 5 => Motif::Arcs,
            6 => Motif::Circle,
            7 | 8 => Motif::Half,
            9 | 10 => Motif::Leaf,
            11 | 12 => Motif::Wedge,
            _ => Motif::Ring,
        };
        // Neighbours never share their ground, or the grid would melt.
        let taken = [
            (index % columns > 0).then(|| tiles[index - 1].ground),
            (index >= columns).then(|| tiles[index - columns].ground),
        ];
        let free: Vec<usize> = (0..colors.len()).filter(|color| !taken.contains(&Some(*color))).collect();
        let ground = free.get(random.below(free.len())).copied().unwrap_or(0);
        // The figure stands at least two steps of lightness off its ground where there are that many.
        let far: Vec<usize> = (0..colors.len()).filter(|color| color.abs_diff(ground) >= 2).collect();
        let figure = far.get(random.below(far.len())).copied().unwrap_or((ground + 1) % colors.len());
        let accent = (0..colors.len()).find(|color| *color != ground && *color != figure).unwrap_or(ground);
        tiles.push(Tile { motif, turns: random.below(4), ground, figure, accent });
    }
    let pixel = 1.0 / (unit * size);
    canvas.fill(alive, |x, y| {
        let (x, y) = ((x + offset[0]) / size, (y + offset[1]) / size);
        let (column, row) = ((x as usize).min(columns - 1), (y as usize).min(rows - 1));
        let tile = tiles[row * columns + column];
        let (mut u, mut v) = (x - column as f64, y - row as f64);
        for _ in 0..tile.turns {
            (u, v) = (v, 1.0 - u);
        }
        paint(tile, u, v, pixel, colors)
    })
}

/// The tile's colour at `u`, `v` in 0..1; `pixel` is the size of a pixel in the same measure.
fn paint(tile: Tile, u: f64, v: f64, pixel: f64, colors: &[Rgb]) -> Rgb {
    let from = |x: f64, y: f64| ((u - x) * (u - x) + (v - y) * (v - y)).sqrt();
    // How much of the pixel lies inside, from the distance to the outline (negative is inside).
    let inside = |distance: f64| (0.5 - distance / pixel).clamp(0.0, 1.0);
    let (ground, figure, accent) = (colors[tile.ground], colors[tile.figure], colors[tile.accent]);
    match tile.motif {
        Motif::Plain => ground,
        Motif::Quarter => mix(ground, figure, inside(from(0.0, 0.0) - 1.0)),
        Motif::Arcs => {
            let distance = from(0.0, 0.0);
            let outer = mix(ground, figure, inside(distance - 0.9));
            let middle = mix(outer, ground, inside(distance - 0.62));
            mix(middle, accent, inside(distance - 0.34))
        }
        Motif::Circle => mix(ground, figure, inside(from(0.5, 0.5) - 0.36)),
        Motif::Half => mix(ground, figure, inside((from(0.5, 0.0) - 0.5).max(-v))),
        Motif::Leaf => mix(ground, figure, inside((from(0.0, 1.0) - 1.0).max(from(1.0, 0.0) - 1.0))),
        Motif::Wedge => mix(ground, figure, inside((u + v - 1.0) / std::f64::consts::SQRT_2)),
        Motif::Ring => {
            let distance = from(0.5, 0.5);
            let ring = mix(ground, figure, inside(distance - 0.38));
            mix(ring, accent, inside(distance - 0.17))
        }
    }
}
