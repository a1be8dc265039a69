//! How likely a picture is not safe to show.

use image::RgbImage;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};

use super::nets::{Form, Lack, Net};
use super::scale;
use crate::models::Models;

/// Open NSFW, trained by Yahoo (2016).
const NET: Net = Net { model: "open-nsfw", file: "open_nsfw.onnx", form: Form::Onnx };
/// The photo is squeezed into a square of this side, of whose middle the network sees another.
const SIDES: (u32, u32) = (256, 224);
/// It was trained with JPEG files of that square: what their compression does is part of what it knows. The encoder here keeps all
/// colours, that of the reference every second one; where the network wavers, scores differ from the reference's by 0.1 for it.
const QUALITY: u8 = 75;
/// Means of what the network was trained with, of blue, green and red.
const MEANS: [f32; 3] = [104.0, 117.0, 123.0];

/// Loads the network, if it is not loaded.
pub(super) fn load(models: &Models) -> Result<(), Lack> {
    NET.load(models).map(drop)
}

/// The score of unsafe content, 0 to 1: its authors take what is below 0.2 for safe and above 0.8 for unsafe.
pub(super) fn score(models: &Models, picture: &RgbImage) -> Result<f32, Lack> {
    let network = NET.load(models)?;
    let failed = |reason: String| Lack::Broken(NET.model, reason);
    let (outer, inner) = SIDES;
    let square = scale::bilinear(picture, outer, outer).map_err(failed)?;
    let square = through_jpeg(&square).map_err(|error| failed(error.to_string()))?;
    let edge = (outer - inner) / 2;
    let square = image::imageops::crop_imm(&square, edge, edge, inner, inner).to_image();
    let input = square
        .pixels()
        .flat_map(|pixel| {
            let [red, green, blue] = pixel.0.map(f32::from);
            [blue - MEANS[0], green - MEANS[1], red - MEANS[2]]
        })
        .collect();
    let shape = vec![1, inner as usize, inner as usize, 3];
    // The output has no better name.
    let [scores] = network.run(vec![("input_0", shape, input)], ["4195"])?;
    network.expect(&scores, 2)?;
    match scores[1] {
        score if (0.0..=1.0).contains(&score) => Ok(score),
        score => Err(failed(format!("it gave the score {score}"))),
    }
}

fn through_jpeg(picture: &RgbImage) -> image::ImageResult<RgbImage> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(picture)?;
    let decoder = JpegDecoder::new(std::io::Cursor::new(bytes))?;
    Ok(image::DynamicImage::from_decoder(decoder)?.into_rgb8())
}
