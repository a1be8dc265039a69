//! Where the faces are.

use image::RgbImage;

use super::nets::{Form, Lack, Net};
use super::{planes, scale};
use crate::models::Models;

/// BlazeFace for photos that were taken with the camera on a phone's back (Bazarevsky et al. 2019).
const NET: Net = Net { model: "blazeface", file: "face_detection_back.tflite", form: Form::TfLite };
/// The side of the square that the network sees.
const SIDE: u32 = 256;
/// The network answers for two faces at each place of a grid of 16 x 16, and for six at each of one of 8 x 8.
const GRIDS: [(usize, usize); 2] = [(16, 2), (8, 6)];
/// How sure it must be of a face in the whole photo, and of one in a part of it, of which there are many.
const SURE: [f32; 2] = [0.6, 0.75];
/// Two boxes with a larger share in common are one face.
const SAME: f64 = 0.3;

/// A face, in pixels of the picture: from above the eyebrows to the chin.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Face {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// How sure the network is, 0 to 1.
    pub(super) score: f32,
}

/// The faces in the picture, the surest first.
pub(super) fn find(models: &Models, picture: &RgbImage) -> Result<Vec<Face>, Lack> {
    let (width, height) = picture.dimensions();
    let whole = Window { x: 0, y: 0, side: width.max(height) };
    let faces = look(models, picture, &[whole], SURE[0])?;
    if !faces.is_empty() {
        return Ok(faces);
    }
    // Seen as a whole a far face has too few pixels.
    look(models, picture, &windows(width, height), SURE[1])
}

/// A square part of the picture; what of it is outside is black.
struct Window {
    x: u32,
    y: u32,
    side: u32,
}

/// Squares that overlap by half and cover the picture: of its shorter side, and of half of that.
fn windows(width: u32, height: u32) -> Vec<Window> {
    let short = width.min(height);
    let mut windows = Vec::new();
    for side in [short, short / 2] {
        if side < SIDE / 2 {
            continue;
        }
        // At most six in a row: a panorama is searched more coarsely.
        let steps = |length: u32| ((length - side).div_ceil(side.div_ceil(2))).min(5);
        let place = |step: u32, steps: u32, length: u32| match steps {
            0 => 0,
            steps => (u64::from(length - side) * u64::from(step) / u64::from(steps)) as u32,
        };
        let (columns, rows) = (steps(width), steps(height));
        for row in 0..=rows {
            for column in 0..=columns {
                windows.push(Window { x: place(column, columns, width), y: place(row, rows, height), side });
            }
        }
    }
    windows
}

fn look(models: &Models, picture: &RgbImage, windows: &[Window], sure: f32) -> Result<Vec<Face>, Lack> {
    let network = NET.load(models)?;
    let failed = |reason: String| Lack::Broken(NET.model, reason);
    let mut faces: Vec<Face> = Vec::new();
    for window in windows {
        let width = window.side.min(picture.width() - window.x);
        let height = window.side.min(picture.height() - window.y);
        let scaled = |length: u32| (length as f32 / window.side as f32 * SIDE as f32).round().max(1.0) as u32;
        let view = image::imageops::crop_imm(picture, window.x, window.y, width, height).to_image();
        let view = scale::to(&view, scaled(width), scaled(height)).map_err(failed)?;
        let mut square = RgbImage::new(SIDE, SIDE);
        image::imageops::replace(&mut square, &view, 0, 0);
        let shape = vec![1, 3, SIDE as usize, SIDE as usize];
        let input = planes(&square, |value, _| f32::from(value) / 127.5 - 1.0);
        let [boxes, scores] = network.run(vec![("input", shape, input)], ["regressors", "classificators"])?;
        let count: usize = GRIDS.iter().map(|(side, each)| side * side * each).sum();
        network.expect(&boxes, count * 16)?;
        network.expect(&scores, count)?;
        let found = anchors().zip(scores.iter().zip(boxes.as_chunks::<16>().0));
        for ((x, y), (score, numbers)) in found {
            let score = 1.0 / (1.0 + (-score.clamp(-80.0, 80.0)).exp());
            // What is no number is no face.
            if score < sure || score.is_nan() {
                continue;
            }
            // In pixels of what the network saw, from the anchor.
            let per = f64::from(window.side) / f64::from(SIDE);
            let [dx, dy, width, height] = [numbers[0], numbers[1], numbers[2], numbers[3]].map(f64::from);
            let side = f64::from(SIDE);
            let face = Face {
                x: f64::from(window.x) + (x * side + dx - width / 2.0) * per,
                y: f64::from(window.y) + (y * side + dy - height / 2.0) * per,
                width: width * per,
                height: height * per,
                score,
            };
            let middle = (face.x + face.width / 2.0, face.y + face.height / 2.0);
            let inside = |at: f64, length: u32| (0.0..f64::from(length)).contains(&at);
            if face.width > 1.0
                && face.height > 1.0
                && inside(middle.0, picture.width())
                && inside(middle.1, picture.height())
            {
                faces.push(face);
            }
        }
    }
    Ok(each_once(faces))
}

/// The middle of each place that the network answers for, in its order, as shares of the square.
fn anchors() -> impl Iterator<Item = (f64, f64)> {
    GRIDS.into_iter().flat_map(|(side, each)| {
        let middle = move |index: usize| (index as f64 + 0.5) / side as f64;
        (0..side * side).flat_map(move |at| std::iter::repeat_n((middle(at % side), middle(at / side)), each))
    })
}

/// Boxes of the same face become their mean, weighed by how sure the network was.
fn each_once(mut faces: Vec<Face>) -> Vec<Face> {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut once = Vec::new();
    while let Some(best) = faces.first().cloned() {
        let (same, others): (Vec<Face>, Vec<Face>) =
            faces.into_iter().partition(|face| in_common(&best, face) > SAME);
        faces = others;
        let weight: f64 = same.iter().map(|face| f64::from(face.score)).sum();
        let mean = |value: fn(&Face) -> f64| {
            same.iter().map(|face| value(face) * f64::from(face.score)).sum::<f64>() / weight
        };
        once.push(Face {
            x: mean(|face| face.x),
            y: mean(|face| face.y),
            width: mean(|face| face.width),
            height: mean(|face| face.height),
            score: best.score,
        });
        // A box that has nothing in common with itself would be found for ever.
        faces.retain(|face| *face != best);
    }
    once
}

/// The share of both boxes together that they have in common.
fn in_common(a: &Face, b: &Face) -> f64 {
    let width = (a.x + a.width).min(b.x + b.width) - a.x.max(b.x);
    let height = (a.y + a.height).min(b.y + b.height) - a.y.max(b.y);
    let common = width.max(0.0) * height.max(0.0);
    common / (a.width * a.height + b.width * b.height - common).max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_the_picture() {
        for (width, height) in [(640, 480), (480, 640), (4000, 300), (300, 300), (40, 40), (4000, 3000)] {
            for window in windows(width, height) {
                assert!(window.x + window.side <= width && window.y + window.side <= height);
            }
        }
        assert!(windows(16384, 400).len() < 40);
    }

    #[test]
    fn a_face_counts_once() {
        let face = |x: f64, score: f32| Face { x, y: 0.0, width: 10.0, height: 10.0, score };
        let once = each_once(vec![face(0.0, 0.6), face(1.0, 0.9), face(40.0, 0.7)]);
        assert_eq!(once.len(), 2);
        assert!((once[0].x - 0.6).abs() < 1e-6 && once[0].score == 0.9, "{once:?}");
        assert_eq!(anchors().count(), 896);
        assert_eq!(anchors().nth(2), Some((1.5 / 16.0, 0.5 / 16.0)));
    }
}
