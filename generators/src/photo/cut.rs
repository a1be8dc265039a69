//! People and things without what is behind them.

use image::{GrayImage, RgbImage};

use super::nets::{Form, Lack, Net};
use super::{planes, scale};
use crate::models::Models;

/// U2-Net in its small form (Qin et al. 2020).
const NET: Net = Net { model: "u2netp", file: "u2netp.onnx", form: Form::Onnx };
/// The side of the square that the network sees.
const SIDE: u32 = 320;
/// Means and deviations of what the network was trained with.
const MEANS: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATIONS: [f32; 3] = [0.229, 0.224, 0.225];
/// With less than this, or without a place where it is surer than that, there is nothing to cut out.
const LEAST_SHARE: f32 = 0.01;
const LEAST_SURE: f32 = 0.5;
/// How much lightness must change, as a variance, for an edge of the photo to be taken for one of the mask.
const EDGE: f32 = 4e-4;

/// How opaque each pixel is of what stands in front; `None` when nothing does.
pub(super) fn mask(models: &Models, picture: &RgbImage) -> Result<Option<GrayImage>, Lack> {
    let network = NET.load(models)?;
    let failed = |reason: String| Lack::Broken(NET.model, reason);
    let (width, height) = picture.dimensions();
    let square = scale::to(picture, SIDE, SIDE).map_err(failed)?;
    let most = f32::from(square.as_raw().iter().copied().max().unwrap_or(0).max(1));
    let input =
        planes(&square, |value, channel| (f32::from(value) / most - MEANS[channel]) / DEVIATIONS[channel]);
    let side = SIDE as usize;
    let [mask] = network.run(vec![("input.1", vec![1, 3, side, side], input)], ["1959"])?;
    network.expect(&mask, side * side)?;
    let (low, high) =
        mask.iter().fold((1f32, 0f32), |(low, high), value| (low.min(*value), high.max(*value)));
    if high < LEAST_SURE || high - low < 0.25 {
        return Ok(None);
    }
    let stretched = mask.iter().map(|value| ((value - low) / (high - low) * 255.0 + 0.5) as u8).collect();
    let small = GrayImage::from_raw(SIDE, SIDE, stretched).ok_or_else(|| failed("no mask".to_owned()))?;
    let mask = scale::plane_to(&small, width, height).map_err(failed)?;
    let alpha = along_edges(picture, &mask);
    if alpha.iter().sum::<f32>() < LEAST_SHARE * alpha.len() as f32 {
        return Ok(None);
    }
    let opaque = alpha.iter().map(|value| (value * 255.0 + 0.5) as u8).collect();
    GrayImage::from_raw(width, height, opaque).ok_or_else(|| failed("no mask".to_owned())).map(Some)
}

/// The mask with the photo's own edges instead of the network's coarse ones: a guided filter (He et al. 2010), and then what is
/// nearly clear or nearly opaque wholly so.
fn along_edges(picture: &RgbImage, mask: &GrayImage) -> Vec<f32> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    // As far as a pixel of the network's reaches.
    let radius = (width.max(height) / SIDE as usize + 1) * 2;
    let light: Vec<f32> = picture
        .pixels()
        .map(|pixel| {
            let [red, green, blue] = pixel.0.map(f32::from);
            (0.299 * red + 0.587 * green + 0.114 * blue) / 255.0
        })
        .collect();
    let mask: Vec<f32> = mask.as_raw().iter().map(|value| f32::from(*value) / 255.0).collect();
    let mean = |plane: &[f32]| box_mean(plane, width, height, radius);
    let product = |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
    let (mean_light, mean_mask) = (mean(&light), mean(&mask));
    let (squares, both) = (mean(&product(&light, &light)), mean(&product(&light, &mask)));
    let mut slopes = Vec::with_capacity(light.len());
    let mut offsets = Vec::with_capacity(light.len());
    for index in 0..light.len() {
        let variance = squares[index] - mean_light[index] * mean_light[index];
        let slope = (both[index] - mean_light[index] * mean_mask[index]) / (variance.max(0.0) + EDGE);
        slopes.push(slope);
        offsets.push(mean_mask[index] - slope * mean_light[index]);
    }
    let (slopes, offsets) = (mean(&slopes), mean(&offsets));
    let sharpened = |value: f32| {
        let value = ((value - 0.12) / 0.76).clamp(0.0, 1.0);
        value * value * (3.0 - 2.0 * value)
    };
    (0..light.len()).map(|index| sharpened(slopes[index] * light[index] + offsets[index])).collect()
}

/// The picture in which pixels at the edge of what is in front lose the colour of what is behind: a coarse and then a fine
/// estimate from the neighbourhood (Forte 2021, approximate fast foreground colour estimation).
pub(super) fn in_front(picture: &RgbImage, mask: &GrayImage) -> RgbImage {
    let alpha: Vec<f32> = mask.as_raw().iter().map(|value| f32::from(*value) / 255.0).collect();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut result = picture.clone();
    for channel in 0..3 {
        let own: Vec<f32> = picture.pixels().map(|pixel| f32::from(pixel.0[channel])).collect();
        let (mut front, mut behind) = (own.clone(), own.clone());
        for radius in [width.max(height) / 12 + 1, 6] {
            let weighed: Vec<f32> = front.iter().zip(&alpha).map(|(value, alpha)| value * alpha).collect();
            let rest: Vec<f32> =
                behind.iter().zip(&alpha).map(|(value, alpha)| value * (1.0 - alpha)).collect();
            let (weighed, rest) =
                (box_mean(&weighed, width, height, radius), box_mean(&rest, width, height, radius));
            let share = box_mean(&alpha, width, height, radius);
            for index in 0..own.len() {
                let alpha = alpha[index];
                let near = weighed[index] / (share[index] + 1e-5);
                let far = rest[index] / (1.0 - share[index] + 1e-5);
                let left = own[index] - alpha * near - (1.0 - alpha) * far;
                front[index] = (near + alpha * left).clamp(0.0, 255.0);
                behind[index] = far;
            }
        }
        for ((pixel, value), alpha) in result.pixels_mut().zip(&front).zip(&alpha) {
            // What is wholly in front is as it was; what is clear keeps nothing of what it showed.
            pixel.0[channel] = match *alpha {
                alpha if alpha >= 1.0 => pixel.0[channel],
                alpha if alpha <= 0.0 => 0,
                _ => (value + 0.5) as u8,
            };
        }
    }
    result
}

/// The mean of each pixel's neighbourhood, as far as it is in the picture.
fn box_mean(plane: &[f32], width: usize, height: usize, radius: usize) -> Vec<f32> {
    let mut rows = vec![0f32; plane.len()];
    for (from, to) in plane.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
        let mut sum: f64 = from.iter().take(radius).map(|value| f64::from(*value)).sum();
        for x in 0..width {
            if let Some(next) = from.get(x + radius) {
                sum += f64::from(*next);
            }
            if x > radius {
                sum -= f64::from(from[x - radius - 1]);
            }
            let count = (x + radius + 1).min(width) - x.saturating_sub(radius);
            to[x] = (sum / count as f64) as f32;
        }
    }
    let mut means = vec![0f32; plane.len()];
    let mut sums = vec![0f64; width];
    let row = |y: usize| &rows[y * width..(y + 1) * width];
    for y in 0..radius.min(height) {
        sums.iter_mut().zip(row(y)).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    for y in 0..height {
        if y + radius < height {
            sums.iter_mut().zip(row(y + radius)).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        if y > radius {
            sums.iter_mut().zip(row(y - radius - 1)).for_each(|(sum, value)| *sum -= f64::from(*value));
        }
        let count = ((y + radius + 1).min(height) - y.saturating_sub(radius)) as f64;
        let means = &mut means[y * width..(y + 1) * width];
        means.iter_mut().zip(&sums).for_each(|(mean, sum)| *mean = (sum / count) as f32);
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_those_of_the_neighbourhood() {
        let (width, height) = (7, 5);
        let plane: Vec<f32> = (0..width * height).map(|n| (n * n % 11) as f32).collect();
        for radius in [0, 1, 2, 4, 9] {
            let means = box_mean(&plane, width, height, radius);
            for y in 0..height {
                for x in 0..width {
                    let mut near = Vec::new();
                    for v in y.saturating_sub(radius)..(y + radius + 1).min(height) {
                        for u in x.saturating_sub(radius)..(x + radius + 1).min(width) {
                            near.push(plane[v * width + u]);
                        }
                    }
                    let expected = near.iter().sum::<f32>() / near.len() as f32;
                    assert!((means[y * width + x] - expected).abs() < 1e-4, "{x} {y} {radius}");
                }
            }
        }
    }

    #[test]
    fn edges_lose_the_colour_behind_them() {
        // Red in front of green, mixed where they meet.
        let (width, height) = (40, 40);
        let alpha: Vec<f32> = (0..width * height)
            .map(|n| ((n % width) as f32 - 17.0) / 5.0)
            .map(|a| a.clamp(0.0, 1.0))
            .collect();
        let picture = RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let alpha = alpha[y as usize * width + x as usize];
            image::Rgb([(200.0 * alpha) as u8, (200.0 * (1.0 - alpha)) as u8, 0])
        });
        let opaque = alpha.iter().map(|value| (value * 255.0 + 0.5) as u8).collect();
        let mask = GrayImage::from_raw(width as u32, height as u32, opaque).unwrap();
        let front = in_front(&picture, &mask);
        for x in 18..22 {
            let [red, green, _] = front.get_pixel(x, 20).0;
            assert!(red > 170 && green < 30, "{x}: {red} {green}");
        }
        assert_eq!(front.get_pixel(30, 20), picture.get_pixel(30, 20));
        assert_eq!(front.get_pixel(2, 20).0, [0; 3]);
    }
}
