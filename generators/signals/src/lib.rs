//! Fourier transforms, and resampling of samples and of pictures.
//!
//! A crate of its own for the sake of compile time: the libraries behind it are generic over the kind of number or pixel, so whoever calls one compiles
//! all their algorithms for every kind of processor, which takes minutes. Here that happens once, and seldom again.

use std::sync::Arc;

pub use fast_image_resize as fir;
use realfft::RealFftPlanner;
pub use realfft::num_complex::Complex32;
pub use realfft::{ComplexToReal, FftError, RealToComplex};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

/// A Fourier transform of `size` real samples to `size / 2 + 1` bins, not scaled.
pub fn forward(size: usize) -> Arc<dyn RealToComplex<f32>> {
    RealFftPlanner::new().plan_fft_forward(size)
}

/// The way back, not scaled: there and back multiplies by `size`.
pub fn inverse(size: usize) -> Arc<dyn ComplexToReal<f32>> {
    RealFftPlanner::new().plan_fft_inverse(size)
}

/// Mono samples taken `from` times a second as if they had been taken `to` times, band-limited.
///
/// # Errors
/// Rates that cannot be, in words.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("cannot resample from {from} to {to} Hz: {error}");
    let mut resampler = Fft::<f32>::new(from as usize, to as usize, 1024, 1, FixedSync::Input)
        .map_err(|error| wrong(&error))?;
    let input = InterleavedSlice::new(samples, 1, samples.len()).map_err(|error| wrong(&error))?;
    let output = resampler.process_all(&input, samples.len(), None).map_err(|error| wrong(&error))?;
    Ok(output.take_data())
}

/// A picture in another size: `source`, or the part of it that `options` names, into all of `target`.
///
/// # Errors
/// Pictures of two kinds of pixels; a part that lies outside.
pub fn resize(
    resizer: &mut fir::Resizer,
    source: &fir::images::ImageRef<'_>,
    target: &mut fir::images::Image<'_>,
    options: &fir::ResizeOptions,
) -> Result<(), fir::ResizeError> {
    resizer.resize(source, target, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_same() {
        let signal: Vec<f32> = (0..64).map(|at| ((at * at) as f32 * 0.1).sin()).collect();
        let (there, back) = (forward(64), inverse(64));
        let (mut input, mut bins, mut output) =
            (signal.clone(), there.make_output_vec(), back.make_output_vec());
        there.process(&mut input, &mut bins).unwrap();
        assert_eq!(bins.len(), 33);
        back.process(&mut bins, &mut output).unwrap();
        assert!(signal.iter().zip(&output).all(|(a, b)| (a - b / 64.0).abs() < 1e-5));
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_length() {
        let tone = |rate: u32| -> Vec<f32> {
            (0..rate).map(|at| (at as f32 * 440.0 * std::f32::consts::TAU / rate as f32).sin()).collect()
        };
        let made = resample(&tone(16_000), 16_000, 48_000).unwrap();
        let expected = tone(48_000);
        assert_eq!(made.len(), expected.len());
        // Its ends ring, as there is nothing beyond them.
        let middle = 4_800..43_200;
        assert!(middle.into_iter().all(|at| (made[at] - expected[at]).abs() < 0.01));
    }
}
