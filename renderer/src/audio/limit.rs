//! A limiter that sees peaks coming.

use std::collections::VecDeque;

use super::SAMPLE_RATE;

/// How far it looks ahead, in frames: 5 ms.
const LOOK_AHEAD: usize = SAMPLE_RATE as usize / 200;
/// How long the gain takes to come most of the way back, in seconds: slow enough not to be heard as pumping.
const RELEASE: f32 = 0.15;

/// Samples on each side that a point between two of them is made of.
const REACH: usize = 6;
/// Points that are looked at for each sample: what BS.1770-5 asks for at 48 kHz.
const OVERSAMPLING: usize = 4;
/// How much a peak may miss the ceiling by, as a factor: 0.004 dB.
const TOLERANCE: f32 = 1.000_5;
/// A gain that changes leaves traces of peaks, which are limited again.
const TRIES: usize = 4;

/// Turns interleaved stereo down around its peaks so that no true peak exceeds `ceiling`: neither a sample nor what a converter
/// makes between two of them. What stays below it all along is left as it is, bit by bit.
pub(super) fn limit(samples: &mut [f32], ceiling: f32) {
    for _ in 0..TRIES {
        let peaks = peaks(samples, ceiling);
        if peaks.iter().all(|peak| *peak <= ceiling * TOLERANCE) {
            return;
        }
        limit_by(samples, &peaks, ceiling);
    }
    // What is left is a hair; a gain for all of it is not heard.
    let scale = (ceiling / highest_of(samples, ceiling).max(ceiling)).min(1.0);
    samples.iter_mut().for_each(|value| *value *= scale);
}

/// The highest true peak of interleaved stereo, full scale being 1 (ITU-R BS.1770-5, annex 2).
#[cfg(test)]
pub(super) fn true_peak(samples: &[f32]) -> f32 {
    highest_of(samples, 0.0)
}

fn highest_of(samples: &[f32], least: f32) -> f32 {
    peaks(samples, least).into_iter().fold(0.0, f32::max)
}

/// For each frame the highest true peak of both channels between the frames beside it; where that is below `least` it may come
/// out too small.
fn peaks(samples: &[f32], least: f32) -> Vec<f32> {
    let frames = samples.len() / 2;
    let mut peaks: Vec<f32> =
        samples.chunks_exact(2).map(|frame| frame[0].abs().max(frame[1].abs())).collect();
    let taps = taps();
    for frame in 0..frames {
        // Between samples that are all small nothing is large: the taps of a filter add up to less than 2.
        let near = &samples[2 * frame.saturating_sub(REACH)..(2 * (frame + REACH + 1)).min(samples.len())];
        if near.iter().all(|value| value.abs() * 2.0 < least) {
            continue;
        }
        for taps in &taps {
            let mut sums = [0.0f32; 2];
            for (index, tap) in taps.iter().enumerate() {
                // From five samples before to six after.
                let Some(at) = (frame + index + 1).checked_sub(REACH).filter(|at| *at < frames) else {
                    continue;
                };
                sums[0] += samples[2 * at] * tap;
                sums[1] += samples[2 * at + 1] * tap;
            }
            let peak = sums[0].abs().max(sums[1].abs());
            peaks[frame] = peaks[frame].max(peak);
            if let Some(next) = peaks.get_mut(frame + 1) {
                *next = next.max(peak);
            }
        }
    }
    peaks
}

/// For each point between two samples the filter that makes it: a sinc under a Hann window.
fn taps() -> [[f32; 2 * REACH]; OVERSAMPLING - 1] {
    let mut taps = [[0.0; 2 * REACH]; OVERSAMPLING - 1];
    for (phase, taps) in taps.iter_mut().enumerate() {
        let offset = (phase + 1) as f64 / OVERSAMPLING as f64;
        for (index, tap) in taps.iter_mut().enumerate() {
            let distance = offset + (REACH - 1) as f64 - index as f64;
            let angle = std::f64::consts::PI * distance;
            let window = 0.5 + 0.5 * (angle / REACH as f64).cos();
            *tap = (angle.sin() / angle * window) as f32;
        }
    }
    taps
}

/// One pass: turns down what `peaks` has above `ceiling`.
fn limit_by(samples: &mut [f32], peaks: &[f32], ceiling: f32) {
    let frames = samples.len() / 2;
    let release = (-1.0 / (RELEASE * SAMPLE_RATE as f32)).exp();
    // Frames ahead whose gain is lower than of all that follow them: the front has the least.
    let mut coming: VecDeque<(usize, f32)> = VecDeque::new();
    let mut next = 0;
    // As if all before had been as loud as the beginning: a gain that falls from 1 on would come too late for its first peaks.
    let gain_at = |frame: usize| (ceiling / peaks[frame].max(ceiling)).min(1.0);
    let mut held = (0..LOOK_AHEAD.min(frames)).map(gain_at).fold(1.0, f32::min);
    let mut recent: VecDeque<f32> = VecDeque::from(vec![held; LOOK_AHEAD]);
    for frame in 0..frames {
        while next < frames && next < frame + LOOK_AHEAD {
            let gain = gain_at(next);
            while coming.back().is_some_and(|(_, other)| *other >= gain) {
                coming.pop_back();
            }
            coming.push_back((next, gain));
            next += 1;
        }
        while coming.front().is_some_and(|(at, _)| *at < frame) {
            coming.pop_front();
        }
        let least = coming.front().map_or(1.0, |(_, gain)| *gain);
        held = least.min(1.0 - (1.0 - held) * release);
        recent.pop_front();
        recent.push_back(held);
        // Every value in this mean is at most what the frame needs, since each saw it coming.
        let gain = recent.iter().sum::<f32>() / LOOK_AHEAD as f32;
        for value in &mut samples[2 * frame..2 * frame + 2] {
            *value = (*value * gain).clamp(-ceiling, ceiling);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between its samples, which are all at 45 degrees, this tone has peaks that are 3 dB higher.
    #[test]
    fn peaks_between_samples_count() {
        let tone: Vec<f32> = (0..48_000)
            .flat_map(|n| {
                [0.7 * (std::f32::consts::FRAC_PI_2 * (n % 4) as f32 + std::f32::consts::FRAC_PI_4).sin(); 2]
            })
            .collect();
        let highest = tone.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        assert!((highest - 0.495).abs() < 0.001, "{highest}");
        assert!((true_peak(&tone) - 0.7).abs() < 0.02, "{}", true_peak(&tone));
        let mut limited = tone.clone();
        limit(&mut limited, 0.5);
        assert!(true_peak(&limited) <= 0.5 * TOLERANCE, "{}", true_peak(&limited));
        assert!(
            limited[40_000..41_000].iter().any(|value| value.abs() > 0.33),
            "no more is taken away than needed"
        );
        let mut below = tone.clone();
        limit(&mut below, 0.75);
        assert_eq!(below, tone);
    }

    #[test]
    fn peaks_stay_below_the_ceiling() {
        let tone = |amplitude: f32, n: usize| amplitude * (n as f32 * 0.05).sin();
        let quiet: Vec<f32> = (0..96_000).map(|n| tone(0.5, n / 2)).collect();
        let mut same = quiet.clone();
        limit(&mut same, 0.89);
        assert_eq!(same, quiet, "what is soft enough is not touched");

        let mut loud = quiet.clone();
        for (n, value) in loud.iter_mut().enumerate().skip(48_000).take(2_000) {
            *value = tone(3.0, n / 2);
        }
        limit(&mut loud, 0.89);
        assert!(loud.iter().all(|value| value.abs() <= 0.89));
        assert_eq!(loud[..47_000], quiet[..47_000], "nothing happens long before a peak");
        let end = 95_000;
        assert!((loud[end] - quiet[end]).abs() < 0.2, "the gain comes back");
        let hot = loud[48_000..50_000].iter().fold(0.0f32, |most, value| most.max(value.abs()));
        assert!(hot > 0.8, "no more is taken away than needed: {hot}");
    }
}
