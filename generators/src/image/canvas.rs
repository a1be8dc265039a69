//! The picture while it is drawn, and its file.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::palette::{Rgb, mix};
use crate::random;

/// Opaque pixels in fractions of full sRGB. Kept as `f32`: finer than what a file holds, at half the memory of `f64`.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pixels: Vec<[f32; 3]>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Canvas { width, height, pixels: vec![[0.0; 3]; width * height] }
    }

    /// The length in which styles measure, in pixels, so that a picture looks the same at every size: the shorter side, but
    /// not less than a quarter of the longer, so that a thin strip is not thousands of units of work.
    pub(super) fn unit(&self) -> f64 {
        let (shorter, longer) = (self.width.min(self.height), self.width.max(self.height));
        (shorter as f64).max(longer as f64 / 4.0)
    }

    /// Paints every pixel by its centre, in units.
    pub(super) fn fill<E>(
        &mut self,
        alive: &mut dyn FnMut() -> Result<(), E>,
        mut color: impl FnMut(f64, f64) -> Rgb,
    ) -> Result<(), E> {
        let unit = self.unit();
        for (row, line) in self.pixels.chunks_mut(self.width).enumerate() {
            if row % 16 == 0 {
                alive()?;
            }
            let y = (row as f64 + 0.5) / unit;
            for (column, pixel) in line.iter_mut().enumerate() {
                *pixel = color((column as f64 + 0.5) / unit, y).map(|channel| channel as f32);
            }
        }
        Ok(())
    }

    /// As [`Canvas::fill`], for colours that change slowly: worked out on every eighth pixel and blended between.
    pub(super) fn fill_smoothly<E>(
        &mut self,
        alive: &mut dyn FnMut() -> Result<(), E>,
        mut color: impl FnMut(f64, f64) -> Rgb,
    ) -> Result<(), E> {
        const STEP: usize = 8;
        let unit = self.unit();
        let columns = self.width / STEP + 2;
        let rows = self.height / STEP + 2;
        let mut coarse = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            alive()?;
            for column in 0..columns {
                coarse.push(color((column * STEP) as f64 / unit, (row * STEP) as f64 / unit));
            }
        }
        for (y, line) in self.pixels.chunks_mut(self.width).enumerate() {
            let v = (y % STEP) as f64 / STEP as f64 + 0.5 / STEP as f64;
            let above = &coarse[y / STEP * columns..];
            let below = &coarse[(y / STEP + 1) * columns..];
            for (x, pixel) in line.iter_mut().enumerate() {
                let u = (x % STEP) as f64 / STEP as f64 + 0.5 / STEP as f64;
                let left = mix(above[x / STEP], below[x / STEP], v);
                let right = mix(above[x / STEP + 1], below[x / STEP + 1], v);
                *pixel = mix(left, right, u).map(|channel| channel as f32);
            }
        }
        Ok(())
    }

    /// Changes the pixels of a rectangle (in units; clipped to the picture) by position and present colour.
    pub(super) fn touch(
        &mut self,
        from: [f64; 2],
        to: [f64; 2],
        mut change: impl FnMut(f64, f64, Rgb) -> Rgb,
    ) {
        let unit = self.unit();
        // Casts of floats saturate, so that far or odd corners are clipped too.
        let (left, top) =
            ((from[0] * unit).floor().max(0.0) as usize, (from[1] * unit).floor().max(0.0) as usize);
        let right = ((to[0] * unit).ceil().max(0.0) as usize).min(self.width);
        let bottom = ((to[1] * unit).ceil().max(0.0) as usize).min(self.height);
        for row in top..bottom {
            for column in left..right {
                let pixel = &mut self.pixels[row * self.width + column];
                let (x, y) = ((column as f64 + 0.5) / unit, (row as f64 + 0.5) / unit);
                *pixel = change(x, y, pixel.map(f64::from)).map(|channel| channel as f32);
            }
        }
    }

    /// The PNG file. Each channel is rounded with triangular noise of one step, without which slow gradients show bands on
    /// a screen and worse ones after video compression.
    pub(super) fn to_png(&self, seed: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::with_capacity(self.pixels.len() * 3);
        for (index, pixel) in self.pixels.iter().enumerate() {
            // One draw serves all three channels: its 64 bits are cut into six numbers of ten bits. The same noise in all
            // channels would only change lightness; here it is independent, which is less visible.
            let mut bits = random::mix(seed ^ random::mix(index as u64));
            for channel in pixel {
                let (a, b) = ((bits & 1023) as f32, (bits >> 10 & 1023) as f32);
                bits >>= 20;
                let noise = (a + b) / 1024.0 - 1.0;
                let level = channel.clamp(0.0, 1.0) * 255.0;
                // Pure black and white stay pure.
                let level = if level <= 0.0 || level >= 255.0 { level } else { level + noise * 0.75 };
                bytes.push((level + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
        let mut png = Vec::new();
        PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
            .write_image(&bytes, self.width as u32, self.height as u32, ExtendedColorType::Rgb8)
            .map_err(|error| format!("cannot write the PNG file: {error}"))?;
        Ok(png)
    }
}
