//! The picture that decoders hand out, the compositor paints on and the encoder takes.

use std::sync::{Mutex, PoisonError};

use vignette_templates::video::Color;

/// One opaque picture: Y′CbCr 4:2:0, 8 bits, BT.709 matrix (ITU-R BT.709-6, item 3), limited range.
///
/// Chroma stands as H.264 has it by default: level with every second luma sample across, half way between
/// two luma rows down (ITU-T H.264, figure E-1, type 0).
///
/// # Guarantees
/// The planes are tightly packed: `y` holds `width * height` samples, `u` and `v` hold
/// `chroma_width() * chroma_height()` each.
#[derive(Debug, PartialEq, Eq)]
pub struct I420Frame {
    width: u32,
    height: u32,
    /// Luma, row by row; 16 is black, 235 white.
    pub y: Vec<u8>,
    /// Blue difference (Cb), row by row; 128 is none.
    pub u: Vec<u8>,
    /// Red difference (Cr), row by row; 128 is none.
    pub v: Vec<u8>,
}

impl I420Frame {
    /// A black picture of `width` x `height` pixels. Odd sizes round their chroma planes up.
    pub fn new(width: u32, height: u32) -> Self {
        Self::of_sample(width, height, [16, 128, 128])
    }

    /// A picture of `width` x `height` pixels of one colour; its opacity is not looked at.
    pub fn filled(width: u32, height: u32, color: Color) -> Self {
        Self::of_sample(width, height, rgb_to_yuv(color))
    }

    fn of_sample(width: u32, height: u32, [y, u, v]: [u8; 3]) -> Self {
        let mut frame = Self::of_any(width, height);
        frame.y.fill(y);
        frame.u.fill(u);
        frame.v.fill(v);
        frame
    }

    /// A picture whose samples are to be written, all of them, by the caller.
    pub(crate) fn of_any(width: u32, height: u32) -> Self {
        let luma = width as usize * height as usize;
        let chroma = width.div_ceil(2) as usize * height.div_ceil(2) as usize;
        I420Frame { width, height, y: pooled(luma), u: pooled(chroma), v: pooled(chroma) }
    }

    /// Width in luma pixels, which is also the luma plane's stride.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in luma pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Width of either chroma plane in samples, which is also its stride.
    pub fn chroma_width(&self) -> u32 {
        self.width.div_ceil(2)
    }

    /// Height of either chroma plane in samples.
    pub fn chroma_height(&self) -> u32 {
        self.height.div_ceil(2)
    }

    /// Bytes of all three planes.
    pub fn byte_len(&self) -> usize {
        self.y.len() + self.u.len() + self.v.len()
    }

    /// The picture as R′G′B′, chroma interpolated bilinearly at its true position.
    pub fn to_rgb(&self) -> image::RgbImage {
        let mut picture = image::RgbImage::new(self.width, self.height);
        let (chroma_width, chroma_height) = (self.chroma_width() as usize, self.chroma_height() as usize);
        let stride = self.width as usize;
        let rows = picture.as_flat_samples_mut().samples.chunks_exact_mut((stride * 3).max(1));
        for (row, pixels) in rows.enumerate() {
            // A luma row lies a quarter of a chroma row from its own chroma row, and three quarters
            // from the neighbour above (even rows) or below (odd rows).
            let near = row / 2;
            let far = match row % 2 {
                0 => near.saturating_sub(1),
                _ => (near + 1).min(chroma_height - 1),
            };
            let (near, far) = (near * chroma_width, far * chroma_width);
            let at = |plane: &[u8], x: usize| 3 * i32::from(plane[near + x]) + i32::from(plane[far + x]);
            for (x, pixel) in pixels.chunks_exact_mut(3).enumerate() {
                let left = x / 2;
                let right = if x % 2 == 0 { left } else { (left + 1).min(chroma_width - 1) };
                let u = (at(&self.u, left) + at(&self.u, right)) as f32 / 8.0;
                let v = (at(&self.v, left) + at(&self.v, right)) as f32 / 8.0;
                pixel.copy_from_slice(&to_rgb_sample(f32::from(self.y[row * stride + x]), u, v));
            }
        }
        picture
    }
}

impl Clone for I420Frame {
    fn clone(&self) -> Self {
        let mut frame = Self::of_any(self.width, self.height);
        frame.y.copy_from_slice(&self.y);
        frame.u.copy_from_slice(&self.u);
        frame.v.copy_from_slice(&self.v);
        frame
    }
}

impl Drop for I420Frame {
    fn drop(&mut self) {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        for plane in [&mut self.y, &mut self.u, &mut self.v] {
            if plane.len() >= SMALLEST_POOLED && pool.bytes + plane.len() <= POOL_BUDGET {
                pool.bytes += plane.len();
                pool.planes.push(std::mem::take(plane));
            }
        }
    }
}

/// Planes that were let go, for the next frames: fresh memory of this size has to be cleared by the system, page by page,
/// which costs about as much as copying a frame.
struct Pool {
    planes: Vec<Vec<u8>>,
    bytes: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { planes: Vec::new(), bytes: 0 });

/// What the pool may hold: ten frames of 1920 × 1080.
const POOL_BUDGET: usize = 32 << 20;

/// Smaller planes come from memory that the process has already.
const SMALLEST_POOLED: usize = 128 << 10;

/// A plane of `length` samples of any value.
fn pooled(length: usize) -> Vec<u8> {
    if length >= SMALLEST_POOLED {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = pool.planes.iter().rposition(|plane| plane.len() == length) {
            pool.bytes -= length;
            return pool.planes.swap_remove(at);
        }
        // Planes of a size that is no longer asked for make room.
        if pool.bytes > POOL_BUDGET / 2 && pool.planes.iter().all(|plane| plane.len() != length) {
            pool.planes.clear();
            pool.bytes = 0;
        }
    }
    vec![0; length]
}

/// The Y′, Cb and Cr of `color` in BT.709 limited range, each rounded to the nearest; opacity is not looked at.
pub fn rgb_to_yuv(color: Color) -> [u8; 3] {
    let [r, g, b] = [color.r, color.g, color.b].map(|value| f32::from(value) / 255.0);
    let luma = KR * r + KG * g + KB * b;
    let quantise = |value: f32| value.round().clamp(0.0, 255.0) as u8;
    [
        quantise(16.0 + 219.0 * luma),
        quantise(128.0 + 112.0 * (b - luma) / (1.0 - KB)),
        quantise(128.0 + 112.0 * (r - luma) / (1.0 - KR)),
    ]
}

/// The colour of a Y′CbCr sample in BT.709 limited range, opaque; what lies outside R′G′B′ is clipped.
pub fn yuv_to_rgb([y, u, v]: [u8; 3]) -> Color {
    let [r, g, b] = to_rgb_sample(f32::from(y), f32::from(u), f32::from(v));
    Color { r, g, b, a: 255 }
}

/// The weights of R′, G′ and B′ in Y′ (ITU-R BT.709-6, item 3.2).
const KR: f32 = 0.2126;
const KG: f32 = 0.7152;
const KB: f32 = 0.0722;

fn to_rgb_sample(y: f32, u: f32, v: f32) -> [u8; 3] {
    let luma = (y - 16.0) * (255.0 / 219.0);
    let (u, v) = ((u - 128.0) * (255.0 / 112.0), (v - 128.0) * (255.0 / 112.0));
    let r = luma + (1.0 - KR) * v;
    let b = luma + (1.0 - KB) * u;
    let g = (luma - KR * r - KB * b) / KG;
    [r, g, b].map(|value| value.round().clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(r: u8, g: u8, b: u8) -> Color {
        Color { r, g, b, a: 255 }
    }

    #[test]
    fn colours_are_bt709_limited() {
        // The 75 % and 100 % bars of ITU-R BT.709 in 8 bits.
        for (name, color, yuv) in [
            ("black", rgb(0, 0, 0), [16, 128, 128]),
            ("white", rgb(255, 255, 255), [235, 128, 128]),
            ("red", rgb(255, 0, 0), [63, 102, 240]),
            ("green", rgb(0, 255, 0), [173, 42, 26]),
            ("blue", rgb(0, 0, 255), [32, 240, 118]),
        ] {
            assert_eq!(rgb_to_yuv(color), yuv, "{name}");
            let back = yuv_to_rgb(yuv);
            for (was, is) in [(color.r, back.r), (color.g, back.g), (color.b, back.b)] {
                assert!(was.abs_diff(is) <= 2, "{name}: {color:?} became {back:?}");
            }
        }
    }

    #[test]
    fn odd_sizes_round_chroma_up() {
        let frame = I420Frame::filled(5, 3, rgb(200, 30, 90));
        assert_eq!((frame.y.len(), frame.u.len(), frame.v.len()), (15, 6, 6));
        let picture = frame.to_rgb();
        assert_eq!(picture.dimensions(), (5, 3));
        for pixel in picture.pixels() {
            for (was, is) in [200, 30, 90].into_iter().zip(pixel.0) {
                assert!(is.abs_diff(was) <= 2, "{pixel:?}");
            }
        }
    }

    #[test]
    fn chroma_is_interpolated() {
        let mut frame = I420Frame::new(8, 2);
        frame.u = vec![0, 64, 128, 192];
        frame.y.fill(128);
        let blues: Vec<u8> =
            frame.to_rgb().rows().next().into_iter().flatten().map(|pixel| pixel.0[2]).collect();
        assert!(blues.windows(2).all(|pair| pair[0] <= pair[1]), "{blues:?}");
        assert!(blues[3] > blues[2] && blues[3] < blues[4], "{blues:?}");
    }
}
