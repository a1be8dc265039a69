//! Photos without noise: non-local means (Buades et al. 2005), with the settings of Buades et al. 2011 (Image Processing On Line 1)
//! and a search that is as wide as there is time for.

use image::RgbImage;

/// Below this deviation of the noise, in steps of 256, a photo is clean.
const CLEAN: f32 = 1.2;
/// The strongest noise that is believed; beyond, it is taken for structure.
const STRONGEST: f32 = 40.0;
/// How alike two places must be, in deviations of the noise.
const ALIKE: f32 = 0.55;
/// How far alike places are looked for, in pixels, and the most pixels for which it is that far.
const FAR: (i32, usize) = (5, 2 << 20);
const NEAR: i32 = 3;

/// The photo with less noise; `None` when there is hardly any. `alive` is asked before each part of the work.
///
/// # Errors
/// What `alive` says.
pub(super) fn denoise<E>(
    picture: &RgbImage,
    alive: &mut dyn FnMut() -> Result<(), E>,
) -> Result<Option<RgbImage>, E> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let channels: [Vec<f32>; 3] =
        [0, 1, 2].map(|channel| picture.pixels().map(|pixel| f32::from(pixel.0[channel])).collect());
    let noise = channels.iter().map(|plane| deviation(plane, width, height)).sum::<f32>() / 3.0;
    if noise < CLEAN {
        return Ok(None);
    }
    let noise = noise.min(STRONGEST);
    let reach = if width * height <= FAR.1 { FAR.0 } else { NEAR };
    // Weights by distance, up to where they vanish.
    const STEPS: usize = 1024;
    let (free, width_of) = (2.0 * noise * noise, (ALIKE * noise) * (ALIKE * noise));
    let last = free + 8.0 * width_of;
    let weights: Vec<f32> = (0..=STEPS)
        .map(|step| {
            let distance = last * step as f32 / STEPS as f32;
            if step == STEPS { 0.0 } else { (-(distance - free).max(0.0) / width_of).exp() }
        })
        .collect();
    let per = STEPS as f32 / last;
    let mut total = vec![1f32; width * height];
    let mut sums = channels.clone();
    let mut rows = vec![0f32; width * height];
    for dy in 0..=reach {
        alive()?;
        for dx in -reach..=reach {
            // Each pair of places is compared once.
            if dy == 0 && dx <= 0 {
                continue;
            }
            let down = dy as usize;
            let (left, right) = ((-dx).max(0) as usize, width.saturating_sub(dx.max(0) as usize));
            if left >= right || down >= height {
                continue;
            }
            let other = |at: usize| (at + down * width).wrapping_add_signed(dx as isize);
            let count = right - left;
            // Squared differences, summed over three columns.
            let mut line = vec![0f32; count];
            for y in 0..height - down {
                let (here, there) = (y * width + left, other(y * width + left));
                line.fill(0.0);
                for plane in &channels {
                    let pairs = plane[here..here + count].iter().zip(&plane[there..there + count]);
                    for (value, (a, b)) in line.iter_mut().zip(pairs) {
                        *value += (a - b) * (a - b);
                    }
                }
                let into = &mut rows[here..here + count];
                for x in 0..count {
                    let (before, after) = (line[x.saturating_sub(1)], line[(x + 1).min(count - 1)]);
                    into[x] = before + line[x] + after;
                }
            }
            for y in 0..height - down {
                let (here, there) = (y * width + left, other(y * width + left));
                let above = y.saturating_sub(1) * width + left;
                let below = (y + 1).min(height - down - 1) * width + left;
                for (x, weight) in line.iter_mut().enumerate() {
                    // The mean of 3 x 3 places and three channels.
                    let distance = (rows[above + x] + rows[here + x] + rows[below + x]) / 27.0;
                    *weight = weights[((distance * per) as usize).min(STEPS)];
                }
                for (sum, plane) in sums.iter_mut().zip(&channels) {
                    for (x, weight) in line.iter().enumerate() {
                        sum[here + x] += weight * plane[there + x];
                        sum[there + x] += weight * plane[here + x];
                    }
                }
                for (x, weight) in line.iter().enumerate() {
                    total[here + x] += weight;
                    total[there + x] += weight;
                }
            }
        }
    }
    let mut result = RgbImage::new(picture.width(), picture.height());
    for (index, pixel) in result.pixels_mut().enumerate() {
        pixel.0 = [0, 1, 2].map(|channel| (sums[channel][index] / total[index] + 0.5) as u8);
    }
    Ok(Some(result))
}

/// The deviation of the noise: the median of the answers of a mask that flat and evenly changing places do not answer
/// (Immerkær 1996), so that edges do not count.
fn deviation(plane: &[f32], width: usize, height: usize) -> f32 {
    if width < 3 || height < 3 {
        return 0.0;
    }
    let mut histogram = vec![0usize; 4096];
    let mut count = 0;
    for y in 1..height - 1 {
        let row = |dy: usize| &plane[(y + dy - 1) * width..(y + dy) * width];
        let (above, here, below) = (row(0), row(1), row(2));
        for x in 1..width - 1 {
            let across = |row: &[f32]| row[x - 1] - 2.0 * row[x] + row[x + 1];
            let answer = (across(above) - 2.0 * across(here) + across(below)).abs();
            // Burnt out and black places have no noise left.
            if here[x] > 2.0 && here[x] < 253.0 {
                histogram[(answer as usize).min(4095)] += 1;
                count += 1;
            }
        }
    }
    let mut below = 0;
    let half = count / 2;
    for (answer, found) in histogram.iter().enumerate() {
        if below + found > half {
            // Within the step the answers are taken to be spread evenly.
            let median = answer as f32 + (half - below) as f32 / *found as f32;
            // The mask's answer to noise has six times its deviation, of which the median is 0.6745.
            return median / 0.6745 / 6.0;
        }
        below += found;
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    /// Soft shapes with an edge.
    fn clean() -> RgbImage {
        RgbImage::from_fn(96, 80, |x, y| {
            let edge = if x > 48 { 90.0 } else { 0.0 };
            let wave = (f64::from(y) / 14.0).sin() * 30.0;
            image::Rgb([60.0 + edge + wave, 80.0 + edge, 120.0 - wave].map(|value| value as u8))
        })
    }

    fn noisy(picture: &RgbImage, deviation: f64) -> RgbImage {
        let mut random = SplitMix64::new(7);
        let mut noisy = picture.clone();
        for value in noisy.as_mut().iter_mut() {
            // Twelve even numbers have nearly a normal sum.
            let normal: f64 =
                (0..12).map(|_| random.below(1 << 20) as f64 / f64::from(1 << 20)).sum::<f64>() - 6.0;
            *value = (f64::from(*value) + normal * deviation).round().clamp(0.0, 255.0) as u8;
        }
        noisy
    }

    fn error(a: &RgbImage, b: &RgbImage) -> f64 {
        let squares = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
        (squares.sum::<f64>() / a.as_raw().len() as f64).sqrt()
    }

    #[test]
    fn noise_goes_and_edges_stay() {
        let clean = clean();
        for deviation in [5.0, 10.0, 20.0] {
            let noisy = noisy(&clean, deviation);
            let result = denoise(&noisy, &mut || Ok::<_, ()>(())).unwrap().expect("there is noise");
            let (before, after) = (error(&noisy, &clean), error(&result, &clean));
            assert!(after < before * 0.55, "{deviation}: {before} became {after}");
            let step = |picture: &RgbImage| {
                let mean =
                    |x: u32| (0..80).map(|y| f64::from(picture.get_pixel(x, y).0[1])).sum::<f64>() / 80.0;
                mean(50) - mean(47)
            };
            assert!(step(&result) > 80.0, "{deviation}: {}", step(&result));
        }
        assert!(denoise(&clean, &mut || Ok::<_, ()>(())).unwrap().is_none());
    }

    #[test]
    fn it_stops_when_told() {
        let noisy = noisy(&clean(), 10.0);
        assert_eq!(denoise(&noisy, &mut || Err("late")).unwrap_err(), "late");
    }
}
