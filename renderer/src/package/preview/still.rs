//! Single pictures: posters, and the frames of animated WebP.

use std::io::Cursor;

use gst::prelude::*;
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use super::{PreviewError, SHORTEST_SIDE, scaled};
use crate::encode::{EncodeError, make};
use crate::patience::{self, Standing};

/// The file format of a poster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PosterFormat {
    /// JPEG, with its quality from 1 to 100.
    Jpeg(u8),
    /// PNG: exact, and large.
    Png,
    /// WebP with losses, with its quality from 1 to 100.
    WebP(u8),
}

/// One picture as a file, at most `width` pixels wide if that is given; it is never enlarged.
///
/// # Errors
/// A quality that does not exist; a picture of no or too many pixels for its format; an encoder that is missing.
pub fn poster(picture: &RgbImage, format: PosterFormat, width: Option<u32>) -> Result<Vec<u8>, PreviewError> {
    if let PosterFormat::Jpeg(quality) | PosterFormat::WebP(quality) = format
        && !(1..=100).contains(&quality)
    {
        return Err(PreviewError::Options(format!("a poster's quality is 1 to 100, not {quality}")));
    }
    let width = width.unwrap_or(u32::MAX).min(picture.width());
    if width == 0 || picture.height() == 0 {
        return Err(PreviewError::Options("a poster has at least one pixel".into()));
    }
    let picture = scaled(picture, width)?;
    let broken = |error: image::ImageError| PreviewError::Picture(error.to_string());
    let mut file = Cursor::new(Vec::new());
    let (wide, high) = picture.dimensions();
    match format {
        PosterFormat::Jpeg(quality) => image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, quality)
            .write_image(&picture, wide, high, ExtendedColorType::Rgb8)
            .map_err(broken)?,
        PosterFormat::Png => image::codecs::png::PngEncoder::new(&mut file)
            .write_image(&picture, wide, high, ExtendedColorType::Rgb8)
            .map_err(broken)?,
        PosterFormat::WebP(quality) => return webp(&picture, quality),
    }
    Ok(file.into_inner())
}

/// A WebP file with losses.
pub(super) fn webp(picture: &RgbImage, quality: u8) -> Result<Vec<u8>, PreviewError> {
    gst::init().map_err(|error| EncodeError::Init(error.to_string()))?;
    let (width, height) = picture.dimensions();
    if width.min(height) < SHORTEST_SIDE || width.max(height) > 16_383 {
        return Err(PreviewError::Picture(format!(
            "WebP's encoder takes {SHORTEST_SIDE} to 16383 pixels a side, not {width} x {height}"
        )));
    }
    let failed = |message: &str| {
        PreviewError::Encode(EncodeError::Element {
            element: "webpenc".into(),
            message: message.to_owned(),
            debug: String::new(),
        })
    };
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "RGB")
        .field("width", width as i32)
        .field("height", height as i32)
        .field("framerate", gst::Fraction::new(0, 1))
        .build();
    let source = gst_app::AppSrc::builder().caps(&caps).format(gst::Format::Time).max_bytes(0).build();
    let encoder = make("webpenc")?;
    encoder.set_property("quality", f32::from(quality));
    encoder.set_property("lossless", false);
    encoder.set_property_from_str("preset", "picture");
    encoder.set_property("speed", 4u32);
    let sink = gst_app::AppSink::builder().sync(false).build();
    let pipeline = gst::Pipeline::new();
    let chain = [source.upcast_ref(), &encoder, sink.upcast_ref()];
    pipeline
        .add_many(chain)
        .and_then(|()| gst::Element::link_many(chain))
        .map_err(|error| failed(&error.to_string()))?;
    // GStreamer's rows start at multiples of four bytes.
    let row = width as usize * 3;
    let mut bytes = Vec::with_capacity(row.next_multiple_of(4) * height as usize);
    for pixels in picture.as_raw().chunks_exact(row) {
        bytes.extend_from_slice(pixels);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::ZERO);
    }
    let mut standing = Standing::Running;
    let outcome = (|| {
        pipeline.set_state(gst::State::Playing).map_err(|error| failed(&error.to_string()))?;
        source.push_buffer(buffer).map_err(|error| failed(&error.to_string()))?;
        source.end_of_stream().map_err(|error| failed(&error.to_string()))?;
        let longest = u64::try_from(patience::get().as_millis()).unwrap_or(u64::MAX / 1_000_000);
        let sample = sink.try_pull_sample(gst::ClockTime::from_mseconds(longest));
        if sample.is_none() && !sink.is_eos() {
            standing = Standing::Hangs;
        }
        let bytes = sample.and_then(|sample| Some(sample.buffer()?.map_readable().ok()?.to_vec()));
        bytes.ok_or_else(|| {
            let message = pipeline.bus().and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
            match message.as_ref().map(|message| message.view()) {
                Some(gst::MessageView::Error(error)) => failed(&error.error().to_string()),
                _ => failed("it gave no picture"),
            }
        })
    })();
    patience::stop(&pipeline, standing);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let square = if (x / 9 + y / 9) % 2 == 0 { 20 } else { 90 };
            image::Rgb([square + (x * 150 / width) as u8, square + (y * 150 / height) as u8, square])
        })
    }

    #[test]
    fn posters_are_read_back() {
        for (format, kind, bound) in [
            (PosterFormat::Jpeg(90), image::ImageFormat::Jpeg, 4.0),
            (PosterFormat::Png, image::ImageFormat::Png, 0.0),
            (PosterFormat::WebP(90), image::ImageFormat::WebP, 4.0),
        ] {
            // Rows whose bytes are no multiple of four.
            let original = picture(75, 41);
            let bytes = poster(&original, format, None).unwrap();
            assert_eq!(image::guess_format(&bytes).unwrap(), kind);
            let read = image::load_from_memory(&bytes).unwrap().to_rgb8();
            assert_eq!(read.dimensions(), (75, 41));
            let error = read
                .as_raw()
                .iter()
                .zip(original.as_raw())
                .map(|(a, b)| f64::from(a.abs_diff(*b)))
                .sum::<f64>()
                / read.as_raw().len() as f64;
            assert!(error <= bound, "{format:?}: {error}");
            assert_eq!(bytes, poster(&original, format, None).unwrap(), "{format:?}: the same bytes");
        }
    }

    #[test]
    fn posters_shrink_but_do_not_grow() {
        let size = |width| {
            let bytes = poster(&picture(80, 60), PosterFormat::Png, width).unwrap();
            image::load_from_memory(&bytes).unwrap().to_rgb8().dimensions()
        };
        assert_eq!(size(Some(40)), (40, 30));
        assert_eq!(size(Some(500)), (80, 60));
        assert_eq!(size(None), (80, 60));
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (picture, format, part) in [
            (picture(20, 20), PosterFormat::Jpeg(0), "quality is 1 to 100"),
            (picture(20, 20), PosterFormat::WebP(101), "quality is 1 to 100"),
            (RgbImage::new(0, 0), PosterFormat::Png, "at least one pixel"),
            (picture(20, 9), PosterFormat::WebP(80), "16 to 16383"),
        ] {
            let error = poster(&picture, format, None).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
