//! Pictures at other sizes.

use image::{GrayImage, RgbImage, RgbaImage};
use vignette_signals::{fir, resize};

use super::frame::Part;

/// `part` of a picture in another size, by Lanczos' filter; clear pixels do not colour their neighbours.
///
/// # Errors
/// A size or part that is empty or outside the picture.
pub(super) fn part_of(
    picture: &RgbaImage,
    part: &Part,
    width: u32,
    height: u32,
) -> Result<RgbaImage, String> {
    let pixels = resample(
        picture.as_raw(),
        (picture.width(), picture.height()),
        fir::PixelType::U8x4,
        Some(part),
        (width, height),
    )?;
    RgbaImage::from_raw(width, height, pixels).ok_or_else(no_size)
}

/// A picture in another size.
pub(super) fn to(picture: &RgbImage, width: u32, height: u32) -> Result<RgbImage, String> {
    if picture.dimensions() == (width, height) {
        return Ok(picture.clone());
    }
    let size = picture.dimensions();
    let pixels = resample(picture.as_raw(), size, fir::PixelType::U8x3, None, (width, height))?;
    RgbImage::from_raw(width, height, pixels).ok_or_else(no_size)
}

/// A picture in another size, by a triangle as wide as a pixel of the smaller one: what many networks were trained with.
pub(super) fn bilinear(picture: &RgbImage, width: u32, height: u32) -> Result<RgbImage, String> {
    let (pixels, kind) = (picture.as_raw(), fir::PixelType::U8x3);
    let triangle = fir::FilterType::Bilinear;
    let pixels = resample_by(triangle, pixels, picture.dimensions(), kind, None, (width, height))?;
    RgbImage::from_raw(width, height, pixels).ok_or_else(no_size)
}

/// A plane in another size.
pub(super) fn plane_to(plane: &GrayImage, width: u32, height: u32) -> Result<GrayImage, String> {
    let pixels = resample(plane.as_raw(), plane.dimensions(), fir::PixelType::U8, None, (width, height))?;
    GrayImage::from_raw(width, height, pixels).ok_or_else(no_size)
}

fn resample(
    pixels: &[u8],
    size: (u32, u32),
    kind: fir::PixelType,
    part: Option<&Part>,
    new_size: (u32, u32),
) -> Result<Vec<u8>, String> {
    resample_by(fir::FilterType::Lanczos3, pixels, size, kind, part, new_size)
}

fn resample_by(
    filter: fir::FilterType,
    pixels: &[u8],
    (width, height): (u32, u32),
    kind: fir::PixelType,
    part: Option<&Part>,
    (new_width, new_height): (u32, u32),
) -> Result<Vec<u8>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("it cannot be resampled: {error}");
    if new_width == 0 || new_height == 0 {
        return Err(no_size());
    }
    let view = fir::images::ImageRef::new(width, height, pixels, kind).map_err(|error| failed(&error))?;
    let mut scaled = fir::images::Image::new(new_width, new_height, kind);
    let mut options =
        fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(filter)).use_alpha(true);
    if let Some(part) = part {
        options = options.crop(part.x, part.y, part.width, part.height);
    }
    resize(&mut fir::Resizer::new(), &view, &mut scaled, &options).map_err(|error| failed(&error))?;
    Ok(scaled.into_vec())
}

fn no_size() -> String {
    "it cannot be resampled: there is no such size".to_owned()
}
