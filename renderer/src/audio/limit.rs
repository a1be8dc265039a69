//! A limiter that sees peaks coming.

use std::collections::VecDeque;

use super::SAMPLE_RATE;

/// How far it looks ahead, in frames: 5 ms.
const LOOK_AHEAD: usize = SAMPLE_RATE as usize / 200;
/// How long the gain takes to come most of the way back, in seconds: slow enough not to be heard as pumping.
const RELEASE: f32 = 0.15;

/// Turns interleaved stereo down around its peaks so that no sample exceeds `ceiling`. What stays below it all along
/// is left as it is, bit by bit.
pub(super) fn limit(samples: &mut [f32], ceiling: f32) {
    let frames = samples.len() / 2;
    let peak = |samples: &[f32], frame: usize| samples[2 * frame].abs().max(samples[2 * frame + 1].abs());
    if (0..frames).all(|frame| peak(samples, frame) <= ceiling) {
        return;
    }
    let release = (-1.0 / (RELEASE * SAMPLE_RATE as f32)).exp();
    // Frames ahead whose gain is lower than of all that follow them: the front has the least.
    let mut coming: VecDeque<(usize, f32)> = VecDeque::new();
    let mut next = 0;
    let mut held = 1.0f32;
    let mut recent: VecDeque<f32> = VecDeque::from(vec![1.0; LOOK_AHEAD]);
    for frame in 0..frames {
        while next < frames && next < frame + LOOK_AHEAD {
            let gain = (ceiling / peak(samples, next).max(ceiling)).min(1.0);
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
