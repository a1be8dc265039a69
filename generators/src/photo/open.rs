//! From a file to pixels, upright; what cannot be a photo is refused.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbaImage};
use vignette_templates::container;
use vignette_templates::video::AssetKind;

/// The most pixels that a photo may have: 64 million.
const MAX_PIXELS: u64 = 64 << 20;
/// The longest side that a photo may have, in pixels.
const MAX_SIDE: u32 = 16384;
/// The shortest side that a photo may have, in pixels: nobody is known on less.
const MIN_SIDE: u32 = 32;
/// The most memory that decoding may take.
const MAX_DECODER_BYTES: u64 = 512 << 20;

/// The photo in a PNG, JPEG or WebP file, straight sRGB, turned upright as its EXIF data say (CIPA DC-008, tag 274).
///
/// # Errors
/// Why it is no photo that can be used.
pub(super) fn open(bytes: &[u8]) -> Result<RgbaImage, String> {
    let broken = |error: image::ImageError| format!("it cannot be decoded: {error}");
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => format,
        _ => return Err("a photo is a PNG, JPEG or WebP file".to_owned()),
    };
    container::verify(AssetKind::Image, bytes).map_err(|found| format!("it is {found}"))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let bytes = &*container::with_end(bytes);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if width.min(height) < MIN_SIDE {
        return Err(format!("it has {width} x {height} pixels, and needs {MIN_SIDE} on each side"));
    }
    // Before anything is decoded: a small file can claim to be a huge picture.
    if width.max(height) > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!(
            "it has {width} x {height} pixels, more than the {MAX_SIDE} on a side or {} million in all that are allowed",
            MAX_PIXELS >> 20
        ));
    }
    if format == ImageFormat::Png && !is_whole_png(bytes) {
        return Err("it cannot be decoded: a checksum in it is wrong".to_owned());
    }
    let orientation = decoder.orientation().map_err(broken)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgba8())
}

/// Whether every chunk of a PNG file that is there in full has the checksum it says (PNG, third edition, section 5.3). The decoder does not
/// look, and would show a torn file as noise.
fn is_whole_png(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        // The type counts with the data.
        let Some((data, after)) = length.checked_add(4).and_then(|length| after.split_at_checked(length))
        else {
            return true;
        };
        let Some((sum, after)) = after.split_first_chunk::<4>() else { return true };
        let mut crc = flate2::Crc::new();
        crc.update(data);
        if crc.sum() != u32::from_be_bytes(*sum) {
            return false;
        }
        rest = after;
    }
    true
}
