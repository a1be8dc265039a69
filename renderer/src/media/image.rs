//! Pictures: PNG, JPEG, WebP and SVG.

use std::io::Cursor;
use std::sync::Arc;

use ::image::{ImageDecoder, ImageFormat, ImageReader, Limits};
use resvg::usvg::fontdb;
use tiny_skia::{IntSize, Pixmap, PixmapPaint, Transform};
use vignette_signals::{fir, resize};
use vignette_templates::blob::Blob;
use vignette_templates::container;
use vignette_templates::video::Fit;

use super::error::{MediaError, MediaFault, first_bytes};
use super::fit::fit;
use super::svg::Drawing;

/// The most pixels that a picture may have: 64 million.
pub const MAX_PIXELS: u64 = 64 << 20;
/// The longest side that a picture may have, in pixels.
pub const MAX_SIDE: u32 = 16384;
/// The most memory that decoding one picture may take, beside the result.
const MAX_DECODER_BYTES: u64 = 512 << 20;

/// How pictures are opened.
#[derive(Clone, Debug, Default)]
pub struct PictureOptions {
    /// Fonts for the text of SVGs. Default: none, and an SVG with text is refused, since its text would be missing.
    pub fonts: Option<Arc<fontdb::Database>>,
}

/// A decoded picture. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Picture {
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Bitmap(Arc<Pixmap>),
    Drawing(Arc<Drawing>),
}

impl Picture {
    /// Decodes a PNG, JPEG, WebP or SVG; of an animation the first frame. The orientation in EXIF is applied.
    ///
    /// # Errors
    /// When `blob` is of another format, does not decode, is larger than [`MAX_PIXELS`] or [`MAX_SIDE`], or is an SVG that
    /// names other files, holds text or would take too long to draw.
    pub fn open(blob: &Blob) -> Result<Self, MediaError> {
        Self::open_with(blob, &PictureOptions::default())
    }

    /// As [`Picture::open`], with options.
    ///
    /// # Errors
    /// As [`Picture::open`].
    pub fn open_with(blob: &Blob, options: &PictureOptions) -> Result<Self, MediaError> {
        let bytes = blob.bytes();
        let content = match ::image::guess_format(bytes) {
            Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => {
                decode(bytes, format).map(|pixmap| Content::Bitmap(Arc::new(pixmap)))
            }
            _ if looks_like_svg(bytes) => Drawing::parse(bytes, options.fonts.clone())
                .map(|drawing| Content::Drawing(Arc::new(drawing))),
            _ => Err(MediaFault::Unknown {
                expected: "a PNG, JPEG, WebP or SVG picture",
                found: first_bytes(bytes),
            }),
        };
        content.map(|content| Picture { content }).map_err(|fault| MediaError::new(blob, fault))
    }

    /// The picture's own width and height in pixels, each 1 to [`MAX_SIDE`].
    pub fn size(&self) -> (u32, u32) {
        match &self.content {
            Content::Bitmap(pixmap) => (pixmap.width(), pixmap.height()),
            Content::Drawing(drawing) => drawing.pixel_size(),
        }
    }

    /// The picture in a box of `width` x `height` pixels, premultiplied sRGB; what `Fit::Contain` leaves free is clear.
    /// An SVG is drawn at that size, a bitmap is resampled.
    ///
    /// # Errors
    /// When the box is empty or larger than a picture may be, or the SVG would take too long to draw at this size.
    pub fn render(
        &self,
        width: u32,
        height: u32,
        kind: Fit,
        focus: [f32; 2],
    ) -> Result<Arc<Pixmap>, MediaError> {
        let fault = |fault| MediaError { file: None, fault };
        check_size(width, height).map_err(fault)?;
        match &self.content {
            Content::Drawing(drawing) => {
                let place = fit(kind, drawing.size(), (width, height), focus);
                drawing.render(width, height, &place).map(Arc::new).map_err(fault)
            }
            Content::Bitmap(pixmap) => {
                let (own_width, own_height) = (pixmap.width(), pixmap.height());
                if (own_width, own_height) == (width, height) {
                    return Ok(pixmap.clone());
                }
                let place = fit(kind, (f64::from(own_width), f64::from(own_height)), (width, height), focus);
                let part = resample(pixmap, place.crop, place.width, place.height).map_err(fault)?;
                if (place.width, place.height) == (width, height) {
                    return Ok(Arc::new(part));
                }
                let mut whole = new_pixmap(width, height).map_err(fault)?;
                let (x, y) = (place.x as i32, place.y as i32);
                whole.draw_pixmap(x, y, part.as_ref(), &PixmapPaint::default(), Transform::identity(), None);
                Ok(Arc::new(whole))
            }
        }
    }
}

/// Refuses a size that is empty or larger than a picture may be.
pub(super) fn check_size(width: u32, height: u32) -> Result<(), MediaFault> {
    let pixels = u64::from(width) * u64::from(height);
    if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS || pixels == 0 {
        return Err(MediaFault::TooLarge {
            what: format!("a picture of {width} x {height} pixels"),
            limit: format!("{MAX_SIDE} pixels a side and {} million in all, at least 1", MAX_PIXELS >> 20),
        });
    }
    Ok(())
}

/// A clear pixmap.
pub(super) fn new_pixmap(width: u32, height: u32) -> Result<Pixmap, MediaFault> {
    check_size(width, height)?;
    Pixmap::new(width, height).ok_or_else(|| MediaFault::TooLarge {
        what: format!("a picture of {width} x {height} pixels"),
        limit: "the memory of this machine".into(),
    })
}

/// The size in the header of a PNG, JPEG or WebP, without decoding it.
pub(super) fn bitmap_size(bytes: &[u8]) -> Result<(u32, u32), MediaFault> {
    let format = ::image::guess_format(bytes).map_err(MediaFault::Picture)?;
    let decoder =
        ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(MediaFault::Picture)?;
    Ok(decoder.dimensions())
}

fn decode(bytes: &[u8], format: ImageFormat) -> Result<Pixmap, MediaFault> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let bytes = container::with_end(bytes);
    let mut reader = ImageReader::with_format(Cursor::new(&*bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(MediaFault::Picture)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let orientation = decoder.orientation().map_err(MediaFault::Picture)?;
    let mut picture = ::image::DynamicImage::from_decoder(decoder).map_err(MediaFault::Picture)?;
    picture.apply_orientation(orientation);
    let (width, height) = (picture.width(), picture.height());
    let opaque = !picture.color().has_alpha();
    let mut pixels = picture.into_rgba8().into_raw();
    if !opaque {
        for pixel in pixels.chunks_exact_mut(4) {
            let alpha = u32::from(pixel[3]);
            for value in &mut pixel[..3] {
                *value = ((u32::from(*value) * alpha + 127) / 255) as u8;
            }
        }
    }
    let size = IntSize::from_wh(width, height);
    size.and_then(|size| Pixmap::from_vec(pixels, size)).ok_or_else(|| MediaFault::TooLarge {
        what: format!("a picture of {width} x {height} pixels"),
        limit: "the memory of this machine".into(),
    })
}

/// `crop` (left, top, width, height) of `source` at another size. Premultiplied in, premultiplied out: filtering straight
/// colours would let the colour of clear pixels bleed in.
fn resample(source: &Pixmap, crop: [f64; 4], width: u32, height: u32) -> Result<Pixmap, MediaFault> {
    let broken = |error: &dyn std::fmt::Display| MediaFault::TooLarge {
        what: format!("resampling to {width} x {height} pixels ({error})"),
        limit: format!("{MAX_SIDE} pixels a side"),
    };
    let view =
        fir::images::ImageRef::new(source.width(), source.height(), source.data(), fir::PixelType::U8x4)
            .map_err(|error| broken(&error))?;
    let mut scaled = fir::images::Image::new(width, height, fir::PixelType::U8x4);
    let shrinks = crop[2] > f64::from(width) || crop[3] > f64::from(height);
    let filter = if shrinks { fir::FilterType::Lanczos3 } else { fir::FilterType::CatmullRom };
    let options = fir::ResizeOptions::new()
        .resize_alg(fir::ResizeAlg::Convolution(filter))
        .crop(crop[0], crop[1], crop[2], crop[3])
        .use_alpha(false);
    resize(&mut fir::Resizer::new(), &view, &mut scaled, &options).map_err(|error| broken(&error))?;
    let mut pixels = scaled.into_vec();
    // Both filters overshoot at edges; a premultiplied colour must not exceed its alpha.
    for pixel in pixels.chunks_exact_mut(4) {
        let alpha = pixel[3];
        for value in &mut pixel[..3] {
            *value = (*value).min(alpha);
        }
    }
    let size = IntSize::from_wh(width, height);
    size.and_then(|size| Pixmap::from_vec(pixels, size)).ok_or_else(|| broken(&"no such size"))
}

/// Whether the first tag of a text is `<svg`, after a byte order mark, an XML declaration, comments and white space.
fn looks_like_svg(bytes: &[u8]) -> bool {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    loop {
        rest = rest.trim_ascii_start();
        let end: &[u8] = match rest {
            [b'<', b'?', ..] => b"?>",
            [b'<', b'!', b'-', b'-', ..] => b"-->",
            // Refused later, by name.
            [b'<', b'!', ..] => return rest.starts_with(b"<!DOCTYPE svg"),
            _ => break,
        };
        match rest.windows(end.len()).position(|window| window == end) {
            Some(at) => rest = &rest[at + end.len()..],
            None => return false,
        }
        if bytes.len() - rest.len() > 1 << 20 {
            return false;
        }
    }
    let name = rest.strip_prefix(b"<").unwrap_or_default();
    let name = &name[..name.iter().position(|b| b" \t\r\n/>".contains(b)).unwrap_or(name.len())];
    name == b"svg" || name.ends_with(b":svg")
}
