//! `cppn`: folded forms, painted by a small network with random weights that is asked for the tone at each point (a compositional
//! pattern-producing network: Stanley, "Compositional pattern producing networks", 2007).

use super::super::canvas::Canvas;
use super::super::maths::{sin, smoothstep};
use super::super::palette::Ramp;
use super::Alive;
use crate::error::GenerateError;
use crate::random::SplitMix64;

/// What the network is told of a point: both coordinates, the distance from a centre, and a constant.
const INPUTS: usize = 4;
const WIDTH: usize = 8;
/// Layers between the first and the two outputs.
const LAYERS: usize = 2;

/// What a neuron makes of the sum of what it is told.
#[derive(Clone, Copy)]
enum Bend {
    Wave,
    Bump,
    Step,
}

impl Bend {
    fn of(self, x: f64) -> f64 {
        match self {
            Bend::Wave => sin(x * 0.25),
            Bend::Bump => 2.0 / (1.0 + x * x) - 1.0,
            Bend::Step => x / (1.0 + x.abs()),
        }
    }
}

/// The weights of neurons by what they are told, and their bends.
struct Layer<const FROM: usize> {
    weights: [[f64; FROM]; WIDTH],
    bends: [Bend; WIDTH],
}

impl<const FROM: usize> Layer<FROM> {
    fn new(random: &mut SplitMix64, strength: f64) -> Self {
        // Nearly a normal distribution: most weights are small, a few are not.
        let mut weight = || (random.unit() + random.unit() + random.unit() - 1.5) * 2.0 * strength;
        let weights = std::array::from_fn(|_| std::array::from_fn(|_| weight()));
        let bends = [Bend::Wave, Bend::Wave, Bend::Bump, Bend::Step];
        Layer { weights, bends: std::array::from_fn(|_| bends[random.below(bends.len())]) }
    }

    fn of(&self, told: &[f64; FROM]) -> [f64; WIDTH] {
        std::array::from_fn(|neuron| {
            let sum = self.weights[neuron].iter().zip(told).map(|(weight, value)| weight * value).sum();
            self.bends[neuron].of(sum)
        })
    }
}

struct Network {
    first: Layer<INPUTS>,
    inner: [Layer<WIDTH>; LAYERS],
    /// The weights of the tone and of the light on it.
    last: [[f64; WIDTH]; 2],
    centre: (f64, f64),
}

impl Network {
    fn new(random: &mut SplitMix64, centre: (f64, f64)) -> Self {
        let first = Layer::new(random, 2.1);
        let inner = std::array::from_fn(|_| Layer::new(random, 1.0));
        let mut weight = || random.range(-1.0, 1.0);
        let last = std::array::from_fn(|_| std::array::from_fn(|_| weight()));
        Network { first, inner, last, centre }
    }

    /// Tone and light at a point, each of no particular range.
    fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let (x, y) = (x - self.centre.0, y - self.centre.1);
        let mut values = self.first.of(&[x, y, (x * x + y * y).sqrt(), 0.7]);
        for layer in &self.inner {
            values = layer.of(&values);
        }
        self.last.map(|weights| weights.iter().zip(values).map(|(weight, value)| weight * value).sum())
    }
}

/// The least and the most of some values.
type Range = (f64, f64);

fn spread(values: &[f64]) -> Range {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    values.iter().fold(start, |(least, most), value| (value.min(least), value.max(most)))
}

pub(super) fn draw(
    canvas: &mut Canvas,
    ramp: &Ramp,
    random: &mut SplitMix64,
    alive: Alive<'_>,
) -> Result<(), GenerateError> {
    const GRID: usize = 24;
    let unit = canvas.unit();
    let (width, height) = (canvas.width as f64 / unit, canvas.height as f64 / unit);
    // Many networks paint next to nothing: of a few the one is taken whose tones go up and down most between near points, and not so
    // much that nothing of it is seen.
    let mut best: Option<(f64, Network, [Range; 2])> = None;
    for _ in 0..8 {
        alive()?;
        let centre = (random.range(0.2, 0.8) * width, random.range(0.2, 0.8) * height);
        let network = Network::new(random, centre);
        let at = |n: usize| (n as f64 + 0.5) / GRID as f64;
        let points: Vec<[f64; 2]> =
            (0..GRID * GRID).map(|n| network.at(at(n % GRID) * width, at(n / GRID) * height)).collect();
        let ranges =
            [0, 1].map(|output| spread(&points.iter().map(|point| point[output]).collect::<Vec<_>>()));
        let range = (ranges[0].1 - ranges[0].0).max(1e-9);
        let steps = (0..points.len() - GRID).filter(|n| n % GRID != GRID - 1).map(|n| {
            let (right, below) = (points[n + 1][0] - points[n][0], points[n + GRID][0] - points[n][0]);
            (right.abs() + below.abs()) / range
        });
        let rough = steps.sum::<f64>() / points.len() as f64;
        let score = -(rough - 0.16).abs() - if range < 0.2 { 1.0 } else { 0.0 };
        if best.as_ref().is_none_or(|(before, ..)| score > *before) {
            best = Some((score, network, ranges));
        }
    }
    let Some((_, network, [tones, lights])) = best else { return Ok(()) };
    let share = |value: f64, (from, to): (f64, f64)| ((value - from) / (to - from).max(1e-9)).clamp(0.0, 1.0);
    canvas.fill(alive, |x, y| {
        let [tone, light] = network.at(x, y);
        let tone = share(tone, tones);
        // What is light lies on top, like the sheen on a fold.
        let sheen = smoothstep(0.55, 1.0, share(light, lights));
        // Along the palette: white mixed into a dark colour would be grey.
        ramp.at(0.04 + 0.74 * tone + 0.2 * sheen)
    })
}
