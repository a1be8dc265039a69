//! Frames in a smaller size, for the lower rungs of a ladder.
//!
//! Each plane is resampled by a triangle filter as wide as the scale asks for, so that fine lines do not flicker. Weights come from
//! additions, multiplications and divisions of `f64`, which are the same on every machine, and are then whole numbers;
//! sums of whole numbers do not depend on their order, so that plain code, SSE 4.1 and AVX2 give the same bytes. A test holds
//! that for what the machine has. NEON code does the same whole-number arithmetic, but no test of ours has run there.
//!
//! Half the width and half the height, the size that players begin in, has a loop of its own: the same filter in the same places, rounded once
//! instead of once each way, and several times as fast.

use vignette_signals::{fir, resize};

use crate::frame::I420Frame;
use crate::wide::on_wide_registers;

/// Why a frame cannot be scaled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    /// The size asked for is not one that is smaller.
    #[error("{}x{} cannot be scaled down to {}x{}: sizes must be even, at least 2, and no larger", .from[0], .from[1], .to[0], .to[1])]
    Size {
        /// Width and height of the frames.
        from: [u32; 2],
        /// Width and height asked for.
        to: [u32; 2],
    },
    /// A frame has another size than was said.
    #[error("a frame of {}x{} instead of {}x{}", .found[0], .found[1], .expected[0], .expected[1])]
    Frame {
        /// Width and height of the frame.
        found: [u32; 2],
        /// Width and height that were said.
        expected: [u32; 2],
    },
    /// The resampler refused.
    #[error("a plane cannot be scaled: {0}")]
    Plane(String),
}

/// Scales frames of one size down to another. One for each thread; it keeps its buffers.
#[derive(Debug)]
pub struct Scaler {
    from: [u32; 2],
    to: [u32; 2],
    resizer: fir::Resizer,
    padded: Vec<u8>,
    sums: Vec<u16>,
}

impl Scaler {
    /// Makes ready to scale frames of `from` (width, height) to `to`.
    ///
    /// # Errors
    /// Sizes that are odd, empty, or larger than what they are made of.
    pub fn new(from: [u32; 2], to: [u32; 2]) -> Result<Self, ScaleError> {
        let good =
            |from: u32, to: u32| to >= 2 && to <= from && to.is_multiple_of(2) && from.is_multiple_of(2);
        if !good(from[0], to[0]) || !good(from[1], to[1]) {
            return Err(ScaleError::Size { from, to });
        }
        Ok(Scaler { from, to, resizer: fir::Resizer::new(), padded: Vec::new(), sums: Vec::new() })
    }

    /// The frame in the smaller size.
    ///
    /// # Errors
    /// A frame of another size than was said.
    pub fn scale(&mut self, frame: &I420Frame) -> Result<I420Frame, ScaleError> {
        let found = [frame.width(), frame.height()];
        if found != self.from {
            return Err(ScaleError::Frame { found, expected: self.from });
        }
        let [width, height] = self.to;
        let mut scaled = I420Frame::new(width, height);
        if self.to == self.from {
            scaled.clone_from(frame);
            return Ok(scaled);
        }
        if self.from == [2 * width, 2 * height] {
            halve(&frame.y, self.from[0] as usize, LUMA_TAPS, &mut self.sums, &mut scaled.y);
            for (from, to) in [(&frame.u, &mut scaled.u), (&frame.v, &mut scaled.v)] {
                halve(from, frame.chroma_width() as usize, CHROMA_TAPS, &mut self.sums, to);
            }
            return Ok(scaled);
        }
        let whole = [0.0, f64::from(self.from[0])];
        self.plane(&frame.y, self.from, whole, &mut scaled.y, self.to)?;
        // A chroma sample stands level with the left one of its two luma samples, in both sizes. With planes laid edge on edge it would
        // move; so the stretch that is scaled is moved instead, by a quarter of what the scale adds, and a column is added
        // on the left for it to lie in.
        let chroma_from = [frame.chroma_width(), frame.chroma_height()];
        let chroma_to = [scaled.chroma_width(), scaled.chroma_height()];
        let scale = f64::from(self.from[0]) / f64::from(width);
        let shifted = [1.0 + (1.0 - scale) / 4.0, f64::from(chroma_from[0])];
        for (from, to) in [(&frame.u, &mut scaled.u), (&frame.v, &mut scaled.v)] {
            let mut padded = std::mem::take(&mut self.padded);
            padded.clear();
            // The stretch reaches past the left edge by more than one sample when the scale is more than five.
            let margin = ((scale - 1.0) / 4.0).ceil() as usize;
            for row in from.chunks_exact(chroma_from[0] as usize) {
                padded.extend(std::iter::repeat_n(row[0], margin));
                padded.extend_from_slice(row);
            }
            let stretch = [shifted[0] - 1.0 + margin as f64, shifted[1]];
            let size = [chroma_from[0] + margin as u32, chroma_from[1]];
            let outcome = self.plane(&padded, size, stretch, to, chroma_to);
            self.padded = padded;
            outcome?;
        }
        Ok(scaled)
    }

    /// Scales the columns of `from` that `stretch` (left edge, width) tells of, and all rows.
    fn plane(
        &mut self,
        from: &[u8],
        [width, height]: [u32; 2],
        stretch: [f64; 2],
        to: &mut [u8],
        size: [u32; 2],
    ) -> Result<(), ScaleError> {
        let refused = |error: &dyn std::fmt::Display| ScaleError::Plane(error.to_string());
        let source = fir::images::ImageRef::new(width, height, from, fir::PixelType::U8)
            .map_err(|error| refused(&error))?;
        let mut target = fir::images::Image::from_slice_u8(size[0], size[1], to, fir::PixelType::U8)
            .map_err(|error| refused(&error))?;
        let options = fir::ResizeOptions::new()
            .resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear))
            .crop(stretch[0], 0.0, stretch[1], f64::from(height))
            .use_alpha(false);
        resize(&mut self.resizer, &source, &mut target, &options).map_err(|error| refused(&error))
    }
}

/// What four neighbours in a row count, in eighths: a triangle two samples wide on each side, whose middle lies between the inner two.
const LUMA_TAPS: [u16; 4] = [1, 3, 3, 1];
/// The same for chroma, which stands level with the left one of its two luma samples: the middle lies a quarter past the second.
const CHROMA_TAPS: [u16; 4] = [3, 7, 5, 1];

/// Halves a plane of `width` columns both ways. Past its edges lie its outermost samples.
fn halve(from: &[u8], width: usize, taps: [u16; 4], sums: &mut Vec<u16>, to: &mut [u8]) {
    let rows: Vec<&[u8]> = from.chunks_exact(width).collect();
    let Some(last) = rows.len().checked_sub(1) else { return };
    sums.resize(width + 2, 0);
    for (row, out) in to.chunks_exact_mut(width / 2).enumerate() {
        let row = |offset: usize| rows[(2 * row + offset).saturating_sub(1).min(last)];
        sum_rows(&mut sums[1..=width], row(0), row(1), row(2), row(3));
        sums[0] = sums[1];
        sums[width + 1] = sums[width];
        halve_row(out, sums, taps);
    }
}

on_wide_registers! {
    /// `sums = a + 3 b + 3 c + d`
    fn sum_rows(sums: &mut [u16], a: &[u8], b: &[u8], c: &[u8], d: &[u8]) = sum_rows_plain
}

#[inline(always)]
fn sum_rows_plain(sums: &mut [u16], a: &[u8], b: &[u8], c: &[u8], d: &[u8]) {
    for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *sum = u16::from(*a) + u16::from(*d) + 3 * (u16::from(*b) + u16::from(*c));
    }
}

on_wide_registers! {
    /// Each sample of `out` from four of `sums`, two of which it shares with the next, by `taps` of eighths or sixteenths.
    fn halve_row(out: &mut [u8], sums: &[u16], taps: [u16; 4]) = halve_row_plain
}

#[inline(always)]
fn halve_row_plain(out: &mut [u8], sums: &[u16], taps: [u16; 4]) {
    // Sums of rows are eight times a sample, so that everything stays below 2 to the 15th.
    let shift = 3 + taps.iter().sum::<u16>().trailing_zeros();
    let round = 1 << (shift - 1);
    let (pairs, _) = sums.as_chunks::<2>();
    for (out, (left, right)) in out.iter_mut().zip(pairs.iter().zip(&pairs[1..])) {
        let sum = taps[0] * left[0] + taps[1] * left[1] + taps[2] * right[0] + taps[3] * right[1];
        *out = ((sum + round) >> shift) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaler(from: [u32; 2], to: [u32; 2]) -> Scaler {
        Scaler::new(from, to).unwrap()
    }

    /// A frame without any regularity.
    fn noise(width: u32, height: u32) -> I420Frame {
        let mut frame = I420Frame::new(width, height);
        let mut state = 1u32;
        let planes = [&mut frame.y, &mut frame.u, &mut frame.v];
        for sample in planes.into_iter().flatten() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = (state >> 24) as u8;
        }
        frame
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        for (from, to) in [
            ([64, 36], [66, 36]),
            ([64, 36], [32, 38]),
            ([64, 36], [31, 18]),
            ([64, 36], [0, 18]),
            ([65, 36], [32, 18]),
        ] {
            assert_eq!(Scaler::new(from, to).err(), Some(ScaleError::Size { from, to }));
        }
        let odd = I420Frame::new(62, 36);
        assert!(matches!(scaler([64, 36], [32, 18]).scale(&odd), Err(ScaleError::Frame { .. })));
    }

    #[test]
    fn even_areas_stay_as_they_are() {
        for to in [[1280, 720], [960, 540], [2, 2], [1920, 1080]] {
            let mut frame = I420Frame::new(1920, 1080);
            frame.y.fill(201);
            frame.u.fill(60);
            frame.v.fill(177);
            let scaled = scaler([1920, 1080], to).scale(&frame).unwrap();
            assert_eq!([scaled.width(), scaled.height()], to);
            assert!(scaled.y.iter().all(|sample| *sample == 201), "{to:?}");
            assert!(scaled.u.iter().all(|sample| *sample == 60), "{to:?}");
            assert!(scaled.v.iter().all(|sample| *sample == 177), "{to:?}");
        }
    }

    /// A ramp of chroma that is drawn at its true place stays at its place: chroma sample `i` stands at luma 2 i.
    #[test]
    fn chroma_keeps_its_place() {
        for (to, scale) in [([160, 90], 2.0), ([216, 122], 320.0 / 216.0), ([40, 24], 8.0)] {
            let mut frame = I420Frame::new(320, 180);
            let columns = frame.chroma_width() as usize;
            for (at, sample) in frame.u.iter_mut().enumerate() {
                *sample = 20 + (at % columns) as u8;
            }
            let scaled = scaler([320, 180], to).scale(&frame).unwrap();
            let columns = scaled.chroma_width() as usize;
            for column in 4..columns - 4 {
                // Places in luma samples of the large frame, from its left edge: its own chroma stands at 2 i + 1/2.
                let place = (2.0 * column as f64 + 0.5) * scale;
                let expected = 20.0 + (place - 0.5) / 2.0;
                let found = f64::from(scaled.u[columns + column]);
                assert!((found - expected).abs() < 0.55, "{to:?}, column {column}: {found}, {expected}");
            }
        }
    }

    #[test]
    fn every_kind_of_code_gives_the_same_bytes() {
        let frame = noise(318, 182);
        let kinds = [
            fir::CpuExtensions::None,
            #[cfg(target_arch = "x86_64")]
            fir::CpuExtensions::Sse4_1,
            #[cfg(target_arch = "x86_64")]
            fir::CpuExtensions::Avx2,
            #[cfg(target_arch = "aarch64")]
            fir::CpuExtensions::Neon,
        ];
        for to in [[212, 120], [158, 90], [34, 22], [318, 90]] {
            let mut plain = None;
            for kind in kinds.into_iter().filter(fir::CpuExtensions::is_supported) {
                let mut scaler = scaler([318, 182], to);
                // SAFETY: only what this machine supports is left.
                unsafe { scaler.resizer.set_cpu_extensions(kind) };
                let scaled = scaler.scale(&frame).unwrap();
                let first = plain.get_or_insert_with(|| scaled.clone());
                assert!(*first == scaled, "{kind:?} differs at {to:?}");
            }
        }
    }

    /// The filter as it is written in books: weights that fall to nought two samples away, with the outermost samples past the edges.
    #[test]
    fn halves_are_what_the_filter_says() {
        let frame = noise(68, 36);
        let scaled = scaler([68, 36], [34, 18]).scale(&frame).unwrap();
        let planes = [
            (&frame.y, 68, &scaled.y, 0.5),
            (&frame.u, 34, &scaled.u, 0.25),
            (&frame.v, 34, &scaled.v, 0.25),
        ];
        for (from, width, to, middle) in planes {
            let height = from.len() / width;
            let axis = |at: usize, middle: f64, most: usize| {
                let taps = (-1i32..=2).map(move |tap| {
                    let weight = (2.0 - (f64::from(tap) - middle).abs()).max(0.0) / 4.0;
                    ((2 * at as i32 + tap).clamp(0, most as i32 - 1) as usize, weight)
                });
                taps.collect::<Vec<_>>()
            };
            for (at, found) in to.iter().enumerate() {
                let (x, y) = (at % (width / 2), at / (width / 2));
                let mut sum = 0.0;
                for (row, down) in axis(y, 0.5, height) {
                    for (column, along) in axis(x, middle, width) {
                        sum += down * along * f64::from(from[row * width + column]);
                    }
                }
                assert!((sum - f64::from(*found)).abs() <= 0.5, "{x}, {y}: {found} instead of {sum}");
            }
        }
    }

    #[test]
    fn halves_are_the_same_with_and_without_wide_registers() {
        let frame = noise(318, 182);
        let rows: Vec<&[u8]> = frame.y.chunks_exact(318).collect();
        let (mut wide, mut plain) = (vec![0; 318], vec![0; 318]);
        sum_rows(&mut wide, rows[0], rows[1], rows[2], rows[3]);
        sum_rows_plain(&mut plain, rows[0], rows[1], rows[2], rows[3]);
        assert_eq!(wide, plain);
        for taps in [LUMA_TAPS, CHROMA_TAPS] {
            let (mut fast, mut slow) = (vec![0; 158], vec![0; 158]);
            halve_row(&mut fast, &wide, taps);
            halve_row_plain(&mut slow, &wide, taps);
            assert_eq!(fast, slow);
        }
    }

    #[test]
    fn fine_lines_become_their_mean() {
        let mut frame = I420Frame::new(64, 64);
        for (at, sample) in frame.y.iter_mut().enumerate() {
            *sample = if at % 2 == 0 { 40 } else { 200 };
        }
        let scaled = scaler([64, 64], [32, 64]).scale(&frame).unwrap();
        let inner = scaled.y.chunks(32).flat_map(|row| &row[2..30]);
        assert!(inner.clone().all(|sample| (119..=121).contains(sample)), "{:?}", inner.max());
    }
}
