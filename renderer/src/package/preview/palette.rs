//! Few colours that stand for many: a palette for all frames of an animation.

use image::RgbImage;

/// How much a difference in red, green and blue is seen, roughly as the eye weighs them.
const WEIGHTS: [f32; 3] = [2.0, 4.0, 1.5];

/// Bits of each channel by which colours are gathered before any is chosen.
const GATHERED_BITS: u32 = 5;
/// Bits of each channel by which the nearest colour is remembered.
const REMEMBERED_BITS: u32 = 6;

/// Colours that are alike, as one.
#[derive(Clone, Copy)]
struct Bin {
    color: [f32; 3],
    weight: f32,
}

/// Chooses at most `most` colours for `frames`: the region of colours that spreads widest is cut where both parts spread least, until
/// there are enough (Wu, "Color Quantization by Dynamic Programming and Principal Analysis", 1992, simplified to the axes); then each
/// colour moves to the middle of those that are nearest to it, a few times (Lloyd's algorithm).
pub(super) fn choose<'a>(frames: impl Iterator<Item = &'a RgbImage>, most: usize) -> Vec<[u8; 3]> {
    let bins = gather(frames);
    if bins.is_empty() {
        return vec![[0; 3]];
    }
    let mut regions = vec![Region::new(bins.clone())];
    while regions.len() < most.max(1) {
        let widest = (0..regions.len()).max_by(|a, b| regions[*a].spread.total_cmp(&regions[*b].spread));
        let Some(index) = widest.filter(|index| regions[*index].spread > 0.0) else { break };
        let (low, high) = regions.swap_remove(index).cut();
        regions.extend([Region::new(low), Region::new(high)]);
    }
    let mut colors: Vec<[f32; 3]> = regions.iter().map(|part| mean(&part.bins)).collect();
    for _ in 0..4 {
        let mut sums = vec![([0.0f64; 3], 0.0f64); colors.len()];
        for bin in &bins {
            let (sum, weight) = &mut sums[nearest(&colors, bin.color)];
            for (sum, value) in sum.iter_mut().zip(bin.color) {
                *sum += f64::from(value) * f64::from(bin.weight);
            }
            *weight += f64::from(bin.weight);
        }
        for (color, (sum, weight)) in colors.iter_mut().zip(sums) {
            if weight > 0.0 {
                *color = sum.map(|sum| (sum / weight) as f32);
            }
        }
    }
    let mut palette: Vec<[u8; 3]> =
        colors.iter().map(|color| color.map(|value| value.round().clamp(0.0, 255.0) as u8)).collect();
    palette.sort_unstable();
    palette.dedup();
    palette
}

fn gather<'a>(frames: impl Iterator<Item = &'a RgbImage>) -> Vec<Bin> {
    let mut sums = vec![[0u64; 4]; 1 << (3 * GATHERED_BITS)];
    for frame in frames {
        for pixel in frame.pixels() {
            let sum = &mut sums[key(pixel.0, GATHERED_BITS)];
            for (sum, value) in sum.iter_mut().zip(pixel.0) {
                *sum += u64::from(value);
            }
            sum[3] += 1;
        }
    }
    let filled = sums.into_iter().filter(|sum| sum[3] > 0);
    filled
        .map(|[r, g, b, count]| Bin {
            color: [r, g, b].map(|sum| (sum as f64 / count as f64) as f32),
            // A small mark in a colour of its own counts for more than its area.
            weight: (count as f32).sqrt(),
        })
        .collect()
}

fn key(color: [u8; 3], bits: u32) -> usize {
    color.iter().fold(0, |key, value| key << bits | usize::from(value >> (8 - bits)))
}

fn mean(bins: &[Bin]) -> [f32; 3] {
    let weight: f64 = bins.iter().map(|bin| f64::from(bin.weight)).sum();
    let sum =
        |axis: usize| bins.iter().map(|bin| f64::from(bin.color[axis]) * f64::from(bin.weight)).sum::<f64>();
    [0, 1, 2].map(|axis| (sum(axis) / weight.max(f64::MIN_POSITIVE)) as f32)
}

fn distance(a: [f32; 3], b: [f32; 3]) -> f32 {
    (0..3).map(|axis| WEIGHTS[axis] * (a[axis] - b[axis]).powi(2)).sum()
}

fn nearest(colors: &[[f32; 3]], wanted: [f32; 3]) -> usize {
    let mut best = (0, f32::INFINITY);
    for (index, color) in colors.iter().enumerate() {
        let far = distance(*color, wanted);
        if far < best.1 {
            best = (index, far);
        }
    }
    best.0
}

struct Region {
    bins: Vec<Bin>,
    /// The weighted squares of the distances to the middle, along the axis where they are most.
    spread: f64,
    axis: usize,
}

impl Region {
    fn new(bins: Vec<Bin>) -> Self {
        let middle = mean(&bins);
        let spread = |axis: usize| -> f64 {
            let squares =
                bins.iter().map(|bin| f64::from(bin.weight * (bin.color[axis] - middle[axis]).powi(2)));
            squares.sum::<f64>() * f64::from(WEIGHTS[axis])
        };
        let spreads = [0, 1, 2].map(spread);
        let axis = (0..3).max_by(|a, b| spreads[*a].total_cmp(&spreads[*b])).unwrap_or(0);
        let spread = if bins.len() > 1 { spreads[axis] } else { 0.0 };
        Region { bins, spread, axis }
    }

    /// Both parts have colours, if there are two.
    fn cut(self) -> (Vec<Bin>, Vec<Bin>) {
        let Region { mut bins, axis, .. } = self;
        bins.sort_by(|a, b| a.color[axis].total_cmp(&b.color[axis]));
        let total: (f64, f64) = bins.iter().fold((0.0, 0.0), |(weight, sum), bin| {
            (weight + f64::from(bin.weight), sum + f64::from(bin.weight * bin.color[axis]))
        });
        // Least spread in both parts is most of the squares of their sums, each by its weight.
        let (mut weight, mut sum, mut best) = (0.0, 0.0, (1, f64::NEG_INFINITY));
        for (index, bin) in bins.iter().enumerate().take(bins.len().saturating_sub(1)) {
            weight += f64::from(bin.weight);
            sum += f64::from(bin.weight * bin.color[axis]);
            let apart =
                sum * sum / weight + (total.1 - sum).powi(2) / (total.0 - weight).max(f64::MIN_POSITIVE);
            if apart > best.1 {
                best = (index + 1, apart);
            }
        }
        let high = bins.split_off(best.0.min(bins.len()));
        (bins, high)
    }
}

/// Finds the palette's colour for each pixel.
pub(super) struct Mapper<'a> {
    palette: &'a [[u8; 3]],
    colors: Vec<[f32; 3]>,
    remembered: Vec<Option<u8>>,
    /// How far dots are moved apart to mix colours; 0 mixes none.
    amplitude: f32,
}

/// Dither thresholds of 8 x 8 pixels (Bayer, "An optimum method for two-level rendition of continuous-tone pictures", 1973).
const BAYER: [[u8; 8]; 8] = [
    [0, 32, 8, 40, 2, 34, 10, 42],
    [48, 16, 56, 24, 50, 18, 58, 26],
    [12, 44, 4, 36, 14, 46, 6, 38],
    [60, 28, 52, 20, 62, 30, 54, 22],
    [3, 35, 11, 43, 1, 33, 9, 41],
    [51, 19, 59, 27, 49, 17, 57, 25],
    [15, 47, 7, 39, 13, 45, 5, 37],
    [63, 31, 55, 23, 61, 29, 53, 21],
];

impl<'a> Mapper<'a> {
    /// `palette` has 1 to 256 colours.
    pub(super) fn new(palette: &'a [[u8; 3]], dither: bool) -> Self {
        let colors: Vec<[f32; 3]> = palette.iter().map(|color| color.map(f32::from)).collect();
        let amplitude = if dither { spacing(&colors) } else { 0.0 };
        Mapper { palette, colors, remembered: vec![None; 1 << (3 * REMEMBERED_BITS)], amplitude }
    }

    /// The index of the colour for a pixel. The pattern of mixed colours depends on its place alone, so what stands still does not flicker.
    pub(super) fn index(&mut self, color: [u8; 3], x: u32, y: u32) -> u8 {
        let plain = self.remember(color);
        let held = self.palette[usize::from(plain)];
        // A colour that is there, or nearly, is not mixed.
        if self.amplitude == 0.0 || !super::differs(color, held, 2) {
            return plain;
        }
        let threshold = f32::from(BAYER[(y % 8) as usize][(x % 8) as usize]);
        let shift = ((threshold + 0.5) / 64.0 - 0.5) * self.amplitude;
        self.remember(color.map(|value| (f32::from(value) + shift).round().clamp(0.0, 255.0) as u8))
    }

    fn remember(&mut self, color: [u8; 3]) -> u8 {
        let key = key(color, REMEMBERED_BITS);
        if let Some(known) = self.remembered[key] {
            return known;
        }
        let middle =
            color.map(|value| f32::from(value >> (8 - REMEMBERED_BITS) << (8 - REMEMBERED_BITS)) + 1.5);
        let found = nearest(&self.colors, middle) as u8;
        self.remembered[key] = Some(found);
        found
    }
}

/// How far colours of a palette lie from their nearest neighbours, on average.
fn spacing(colors: &[[f32; 3]]) -> f32 {
    let weight: f32 = WEIGHTS.iter().sum();
    let nearest = colors.iter().enumerate().map(|(index, color)| {
        let others = colors.iter().enumerate().filter(|(other, _)| *other != index);
        others.map(|(_, other)| (distance(*color, *other) / weight).sqrt()).fold(f32::INFINITY, f32::min)
    });
    let (sum, count) =
        nearest.filter(|far| far.is_finite()).fold((0.0, 0), |(sum, count), far| (sum + far, count + 1));
    (sum / count.max(1) as f32).clamp(4.0, 32.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_colours_are_kept_as_they_are() {
        let colors = [[0, 0, 0], [255, 0, 0], [18, 52, 86], [255, 255, 255], [19, 200, 7]];
        let picture = RgbImage::from_fn(50, 40, |x, y| image::Rgb(colors[((x / 10 + y / 20) % 5) as usize]));
        let palette = choose(std::iter::once(&picture), 255);
        assert_eq!(palette.len(), 5);
        let mut mapper = Mapper::new(&palette, true);
        for (x, y, pixel) in picture.enumerate_pixels() {
            let index = mapper.index(pixel.0, x, y);
            assert_eq!(palette[usize::from(index)], pixel.0);
        }
        assert_eq!(choose(std::iter::empty(), 8), [[0; 3]]);
    }

    #[test]
    fn a_small_mark_keeps_its_colour_beside_a_gradient() {
        let picture = RgbImage::from_fn(256, 128, |x, y| match (x, y) {
            (100..104, 60..64) => image::Rgb([240, 20, 30]),
            _ => image::Rgb([x as u8 / 2, x as u8, 200 - y as u8]),
        });
        let palette = choose(std::iter::once(&picture), 64);
        assert!(palette.len() <= 64);
        let mut mapper = Mapper::new(&palette, false);
        let held = palette[usize::from(mapper.index([240, 20, 30], 0, 0))];
        assert!(!super::super::differs(held, [240, 20, 30], 8), "{held:?}");
        let error: f64 = picture
            .enumerate_pixels()
            .map(|(x, y, pixel)| {
                let held = palette[usize::from(mapper.index(pixel.0, x, y))];
                held.iter().zip(pixel.0).map(|(a, b)| f64::from(a.abs_diff(b)).powi(2)).sum::<f64>() / 3.0
            })
            .sum::<f64>()
            / f64::from(256 * 128);
        // 64 colours for a plane of 256 by 128 steps are some 23 apart: a mean square of at most that squared by 12.
        assert!(error < 60.0, "{error}");
    }

    #[test]
    fn dots_of_two_colours_mix_to_the_one_between() {
        let palette = [[100, 100, 100], [130, 130, 130]];
        let mut mapper = Mapper::new(&palette, true);
        let sum: u32 = (0..64)
            .map(|at| u32::from(palette[usize::from(mapper.index([115, 115, 115], at % 8, at / 8))][0]))
            .sum();
        assert!(sum.abs_diff(64 * 115) < 64 * 5, "{}", sum / 64);
        // The same place, the same dot.
        assert_eq!(mapper.index([110, 110, 110], 3, 5), mapper.index([110, 110, 110], 11, 13));
    }
}
