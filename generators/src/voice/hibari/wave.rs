//! From the network's five spectra and pitch to a waveform.
//!
//! The network describes each 12.5 ms by how a train of glottal pulses is to be filtered, how much noise is added
//! and what is left over:
//!
//! ```text
//! S = exp(harmonic) · e^(iπ·tanh(rotation)) · STFT(pulses) + exp(noise) · Z + exp(rest) · e^(i·phase)
//! ```
//!
//! with `Z` complex Gaussian noise. The inverse short-time Fourier transform of `S` is the sound (Griffin and Lim, "Signal
//! estimation from modified short-time Fourier transform", 1984, for the overlap-add with a squared window).

use std::f32::consts::{PI, TAU};
use std::sync::Arc;

use vignette_signals::{Complex32, ComplexToReal, FftError, RealToComplex};

use crate::random::SplitMix64;

/// Samples a second.
pub(super) const RATE: u32 = 24_000;
/// Samples from one frame to the next.
pub(super) const HOP: usize = 300;
const SIZE: usize = 1200;
/// Frequencies of a frame.
pub(super) const BINS: usize = SIZE / 2 + 1;

/// Below this pitch in Hz a frame has no voice.
const VOICED: f32 = 40.0;
/// The highest harmonic of a pulse, in Hz.
const BRIGHTEST: f32 = 11_000.0;
/// Louder than this (as a natural logarithm) no component gets; the network never says so for speech.
const LOUDEST: f32 = 7.0;

/// What the network says, each of `BINS` rows of `frames` values, and the pitch in Hz of each frame.
pub(super) struct Spectra<'a> {
    pub(super) harmonic: &'a [f32],
    pub(super) rotation: &'a [f32],
    pub(super) noise: &'a [f32],
    pub(super) rest: &'a [f32],
    pub(super) phase: &'a [f32],
    pub(super) pitch: &'a [f32],
}

/// Transforms that are set up once.
pub(super) struct Synthesis {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// A periodic Hann window.
    window: Vec<f32>,
}

impl Synthesis {
    pub(super) fn new() -> Self {
        Synthesis {
            forward: vignette_signals::forward(SIZE),
            inverse: vignette_signals::inverse(SIZE),
            window: (0..SIZE).map(|n| 0.5 - 0.5 * (TAU * n as f32 / SIZE as f32).cos()).collect(),
        }
    }

    /// The sound: `HOP` samples for each frame, full scale being 1. The noise is that of `seed`.
    ///
    /// # Errors
    /// When the spectra differ in size.
    pub(super) fn sound(&self, spectra: &Spectra<'_>, seed: u64) -> Result<Vec<f32>, String> {
        let frames = spectra.pitch.len();
        let rows = [spectra.harmonic, spectra.rotation, spectra.noise, spectra.rest, spectra.phase]
            .map(<[f32]>::len);
        if frames == 0 || rows.iter().any(|length| *length != BINS * frames) {
            return Err(format!("the network gave {rows:?} values for {frames} frames"));
        }
        let pulses = pulses(spectra.pitch);
        let mut random = SplitMix64::new(seed);
        let mut real = self.forward.make_input_vec();
        let mut bins = self.forward.make_output_vec();
        let mut forward_scratch = self.forward.make_scratch_vec();
        let mut inverse_scratch = self.inverse.make_scratch_vec();
        let wrong = |error: FftError| error.to_string();

        // The frame's middle is at its start in time: half a window lies before it.
        let half = SIZE / 2;
        let mut sum = vec![0.0_f32; frames * HOP + SIZE];
        let mut weight = vec![0.0_f32; frames * HOP + SIZE];
        // A unit cosine then peaks at 1.
        let scale = 4.0 / SIZE as f32;
        for frame in 0..frames {
            for (n, (sample, window)) in real.iter_mut().zip(&self.window).enumerate() {
                let at = mirrored(frame * HOP + n, half, pulses.len());
                *sample = pulses[at] * window * scale;
            }
            self.forward.process_with_scratch(&mut real, &mut bins, &mut forward_scratch).map_err(wrong)?;
            for (bin, value) in bins.iter_mut().enumerate() {
                let at = bin * frames + frame;
                let (z_re, z_im) = gaussian(&mut random);
                let noise = loudness(spectra.noise[at]);
                *value = *value
                    * Complex32::from_polar(loudness(spectra.harmonic[at]), PI * spectra.rotation[at].tanh())
                    + Complex32::new(z_re, z_im) * noise
                    + Complex32::from_polar(loudness(spectra.rest[at]), spectra.phase[at]);
            }
            // Real signals have real values at zero and at half the sampling frequency.
            bins[0].im = 0.0;
            bins[BINS - 1].im = 0.0;
            self.inverse.process_with_scratch(&mut bins, &mut real, &mut inverse_scratch).map_err(wrong)?;
            for (n, (sample, window)) in real.iter().zip(&self.window).enumerate() {
                sum[frame * HOP + n] += sample * window / SIZE as f32;
                weight[frame * HOP + n] += window * window;
            }
        }
        Ok(sum
            .iter()
            .zip(&weight)
            .skip(half)
            .take(frames * HOP)
            .map(|(sum, weight)| sum / weight.max(1e-11))
            .collect())
    }
}

fn loudness(logarithm: f32) -> f32 {
    logarithm.min(LOUDEST).exp()
}

/// Where sample `at` of a signal is that is continued by `half` mirrored samples at both ends.
fn mirrored(at: usize, half: usize, length: usize) -> usize {
    let last = length.saturating_sub(1);
    let at = at.abs_diff(half);
    if at <= last { at } else { last.saturating_sub(at - last) }
}

/// Two independent values of a normal distribution (Box and Muller 1958).
fn gaussian(random: &mut SplitMix64) -> (f32, f32) {
    let bits = random.next_u64();
    // The first in (0, 1], of which there is a logarithm.
    let first = ((bits >> 40) + 1) as f32 / (1 << 24) as f32;
    let second = (bits & 0xFF_FFFF) as f32 / (1 << 24) as f32;
    let radius = (-2.0 * first.ln()).sqrt();
    let (sin, cos) = (TAU * second).sin_cos();
    (radius * cos, radius * sin)
}

/// The glottal pulses: all harmonics of the pitch up to [`BRIGHTEST`] at amplitude 1, in closed form
/// (`Σ cos(h·t) = sin((H + ½)·t) / (2·sin(t/2)) − ½`, the Dirichlet kernel). Silent where there is no voice.
fn pulses(pitch: &[f32]) -> Vec<f32> {
    let last = pitch.len().saturating_sub(1);
    let mut turns = 0.0_f64;
    (0..pitch.len() * HOP)
        .map(|sample| {
            // Between the middles of two frames the pitch goes in a straight line.
            let at = (sample as f32 + 0.5) / HOP as f32 - 0.5;
            let before = at.floor();
            let part = at - before;
            let value = |frame: f32| pitch[(frame.max(0.0) as usize).min(last)];
            let pitch = value(before) * (1.0 - part) + value(before + 1.0) * part;
            let frequency = pitch.max(VOICED);
            turns = (turns + f64::from(frequency) / f64::from(RATE)).fract();
            if pitch <= VOICED {
                return 0.0;
            }
            let angle = turns as f32 * TAU;
            let harmonics = (BRIGHTEST / frequency).floor() + 0.5;
            let below = 2.0 * (angle * 0.5).sin();
            let kernel = if below.abs() <= 2e-3 { harmonics } else { (harmonics * angle).sin() / below };
            kernel - 0.5
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulses_have_the_pitch_and_are_silent_without_voice() {
        let mut pitch = vec![200.0; 40];
        pitch.extend([0.0; 40]);
        let sound = pulses(&pitch);
        assert_eq!(sound.len(), 80 * HOP);
        // Away from the edge between the two, where the pitch falls.
        let peaks: Vec<usize> = (1..39 * HOP - 1)
            .filter(|n| sound[*n] > 30.0 && sound[*n] >= sound[n - 1] && sound[*n] > sound[n + 1])
            .collect();
        let expected = 39 * HOP * 200 / RATE as usize;
        assert!(peaks.len().abs_diff(expected) <= 1, "{} peaks, not {expected}", peaks.len());
        assert!(peaks.windows(2).all(|pair| (pair[1] - pair[0]).abs_diff(120) <= 1));
        assert!(sound[41 * HOP..].iter().all(|sample| *sample == 0.0));
    }

    #[test]
    fn a_filter_that_lets_all_through_gives_the_pulses_back() {
        let frames = 60;
        let (quiet, open, still) = (
            vec![-60.0; BINS * frames],
            vec![(SIZE as f32 / 4.0).ln(); BINS * frames],
            vec![0.0; BINS * frames],
        );
        let pitch = vec![150.0; frames];
        let spectra = Spectra {
            harmonic: &open,
            rotation: &still,
            noise: &quiet,
            rest: &quiet,
            phase: &still,
            pitch: &pitch,
        };
        let sound = Synthesis::new().sound(&spectra, 1).unwrap();
        let pulses = pulses(&pitch);
        assert_eq!(sound.len(), pulses.len());
        let inside = SIZE..sound.len() - SIZE;
        let error =
            sound[inside.clone()].iter().zip(&pulses[inside]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error < 0.02, "{error}");
    }

    #[test]
    fn spectra_of_other_sizes_are_refused() {
        let row = vec![0.0; BINS];
        let spectra = Spectra {
            harmonic: &row,
            rotation: &row,
            noise: &row,
            rest: &row[1..],
            phase: &row,
            pitch: &[0.0],
        };
        assert!(Synthesis::new().sound(&spectra, 1).is_err());
        assert!(Synthesis::new().sound(&Spectra { pitch: &[], ..spectra }, 1).is_err());
    }
}
