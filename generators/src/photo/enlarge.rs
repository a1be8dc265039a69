//! Larger pictures, drawn by a network.

use image::RgbImage;

use super::nets::{Form, Lack, Net};
use super::{from_planes, planes};
use crate::models::Models;

/// SPAN, twice the size (Wan et al. 2023).
const NET: Net = Net { model: "span", file: "spanx2_ch48.param", form: Form::Ncnn };
/// The side of the squares that are enlarged one by one, so that memory does not grow with the picture.
const TILE: u32 = 192;
/// What is seen around each square but not used of it: further away nothing changes a pixel noticeably.
const EDGE: u32 = 12;
/// The most pixels that are enlarged: beyond, it takes too long for someone who waits.
pub(super) const MOST_PIXELS: u32 = 640 * 640;

/// The picture at twice its size. `alive` is asked before each part of the work.
pub(super) fn twice<E: From<Lack>>(
    models: &Models,
    picture: &RgbImage,
    alive: &mut dyn FnMut() -> Result<(), E>,
) -> Result<RgbImage, E> {
    let network = NET.load(models)?;
    let (width, height) = picture.dimensions();
    let mut larger = RgbImage::new(width * 2, height * 2);
    for y in (0..height).step_by(TILE as usize) {
        for x in (0..width).step_by(TILE as usize) {
            alive()?;
            let (left, top) = (x.saturating_sub(EDGE), y.saturating_sub(EDGE));
            let (right, bottom) = ((x + TILE + EDGE).min(width), (y + TILE + EDGE).min(height));
            let seen = image::imageops::crop_imm(picture, left, top, right - left, bottom - top).to_image();
            let shape = vec![1, 3, seen.height() as usize, seen.width() as usize];
            let input = planes(&seen, |value, _| f32::from(value) / 255.0);
            let [output] = network.run(vec![("data", shape, input)], ["output"])?;
            network.expect(&output, seen.as_raw().len() * 4)?;
            let drawn = from_planes(&output, seen.width() * 2, seen.height() * 2, |value| value * 255.0);
            let used = image::imageops::crop_imm(
                &drawn,
                (x - left) * 2,
                (y - top) * 2,
                TILE.min(width - x) * 2,
                TILE.min(height - y) * 2,
            );
            image::imageops::replace(&mut larger, &used.to_image(), i64::from(x) * 2, i64::from(y) * 2);
        }
    }
    Ok(larger)
}
