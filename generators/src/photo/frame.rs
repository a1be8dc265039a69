//! Which part of a photo is shown.

use super::faces::Face;

/// A part of a picture, in pixels of that picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// The smallest share of a crop's height that the largest face should have.
const FACE_SHARE: f64 = 0.3;
/// Where the middle of the heads is in a crop, from its top.
const EYE_LEVEL: f64 = 0.44;
/// How tall another face is at least, beside the largest, to be shown with it.
const COMPANION: f64 = 0.5;

impl Part {
    /// The largest part of this shape in the middle of the picture, `down` (0 to 1) of the way from top to bottom.
    pub(super) fn largest(picture: (u32, u32), shape: (u32, u32), down: f64) -> Self {
        let (width, height) = largest(picture, shape);
        Part {
            x: (f64::from(picture.0) - width) / 2.0,
            y: (f64::from(picture.1) - height) * down,
            width,
            height,
        }
    }

    /// The largest part of this shape, where `across` and `down` (0 to 1) of the room that it leaves are before it.
    pub(super) fn placed(picture: (u32, u32), shape: (u32, u32), (across, down): (f64, f64)) -> Self {
        let (width, height) = largest(picture, shape);
        let (x, y) = (f64::from(picture.0) - width, f64::from(picture.1) - height);
        Part { x: x * across, y: y * down, width, height }
    }

    /// Where the largest part of this shape is that shows what [`Part::around`] shows, for [`Part::placed`].
    pub(super) fn place_around(faces: &[Face], picture: (u32, u32), shape: (u32, u32)) -> (f64, f64) {
        let near = Part::around(faces, picture, shape);
        let (width, height) = largest(picture, shape);
        let x = near.x + near.width / 2.0 - width / 2.0;
        let y = near.y + (near.height - height) * EYE_LEVEL;
        let share = |at: f64, room: f64| if room > 0.5 { (at / room).clamp(0.0, 1.0) } else { 0.5 };
        (share(x, f64::from(picture.0) - width), share(y, f64::from(picture.1) - height))
    }

    /// The part of this shape around the faces; `shape` is also the size in which it is shown. Small faces are brought nearer, as
    /// long as there are pixels for it. Without a face it is the part above the middle, where photos of people have theirs.
    pub(super) fn around(faces: &[Face], picture: (u32, u32), shape: (u32, u32)) -> Self {
        let Some(largest_face) = faces.iter().max_by(|a, b| a.height.total_cmp(&b.height)) else {
            return Part::largest(picture, shape, 1.0 / 3.0);
        };
        let heads: Vec<Part> = faces
            .iter()
            .filter(|face| face.height >= largest_face.height * COMPANION)
            .map(|face| face.head(picture))
            .collect();
        let (most_width, most_height) = largest(picture, shape);
        let all = heads.iter().skip(1).fold(heads[0], |all, head| all.with(head));
        // Where not all of them fit, the largest is what it is about.
        let subject = match all.width <= most_width && all.height <= most_height {
            true => all,
            false => largest_face.head(picture),
        };
        let ratio = f64::from(shape.0) / f64::from(shape.1);
        let wanted = (largest_face.height / FACE_SHARE)
            .max(subject.height * 1.25)
            .max(subject.width * 1.25 / ratio)
            // No nearer than the photo has pixels for.
            .max(f64::from(shape.1));
        let height = wanted.min(most_height);
        let width = (height * ratio).min(most_width);
        let x = subject.x + subject.width / 2.0 - width / 2.0;
        let y = subject.y + subject.height / 2.0 - height * EYE_LEVEL;
        Part {
            x: x.clamp(0.0, (f64::from(picture.0) - width).max(0.0)),
            y: y.clamp(0.0, (f64::from(picture.1) - height).max(0.0)),
            width,
            height,
        }
    }

    /// The smallest part that holds both.
    fn with(self, other: &Part) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = (self.x + self.width).max(other.x + other.width);
        let bottom = (self.y + self.height).max(other.y + other.height);
        Part { x, y, width: right - x, height: bottom - y }
    }
}

impl Face {
    /// The head that the face belongs to, hair included, as far as it is in the picture.
    fn head(&self, picture: (u32, u32)) -> Part {
        let left = (self.x - 0.2 * self.width).max(0.0);
        let top = (self.y - 0.5 * self.height).max(0.0);
        let right = (self.x + 1.2 * self.width).min(f64::from(picture.0));
        let bottom = (self.y + 1.15 * self.height).min(f64::from(picture.1));
        Part { x: left, y: top, width: (right - left).max(1.0), height: (bottom - top).max(1.0) }
    }
}

/// Width and height of the largest part of this shape.
fn largest(picture: (u32, u32), shape: (u32, u32)) -> (f64, f64) {
    let (width, height) = (f64::from(picture.0), f64::from(picture.1));
    let ratio = f64::from(shape.0.max(1)) / f64::from(shape.1.max(1));
    // At least one pixel, whatever the shape.
    ((height * ratio).min(width).max(1.0), (width / ratio).min(height).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f64, y: f64, side: f64) -> Face {
        Face { x, y, width: side, height: side, score: 0.9 }
    }

    fn holds(part: &Part, face: &Face) -> bool {
        part.x <= face.x
            && part.y <= face.y
            && part.x + part.width >= face.x + face.width
            && part.y + part.height >= face.y + face.height
    }

    #[test]
    fn faces_stay_in_the_crop() {
        for picture in [(4000, 3000), (3000, 4000), (640, 480), (500, 500)] {
            for shape in [(512, 512), (960, 540), (540, 960), (64, 64), (1920, 300)] {
                for (u, v, share) in
                    [(0.5, 0.5, 0.3), (0.0, 0.0, 0.1), (0.9, 0.9, 0.1), (0.5, 0.05, 0.15), (0.1, 0.8, 0.02)]
                {
                    let (width, height) = (f64::from(picture.0), f64::from(picture.1));
                    let side = width.min(height) * share;
                    let face = face(u * (width - side), v * (height - side), side);
                    let part = Part::around(std::slice::from_ref(&face), picture, shape);
                    let case = format!("{picture:?} {shape:?} {face:?}: {part:?}");
                    assert!(part.x >= 0.0 && part.y >= 0.0, "{case}");
                    assert!(part.x + part.width <= width + 1e-6, "{case}");
                    assert!(part.y + part.height <= height + 1e-6, "{case}");
                    let ratio = part.width / part.height * f64::from(shape.1) / f64::from(shape.0);
                    assert!((ratio - 1.0).abs() < 1e-6, "{case}");
                    // A shape that is flatter than the face can be cannot hold it.
                    if largest(picture, shape).1 >= side * 1.7 {
                        assert!(holds(&part, &face), "{case}");
                    }
                    // The largest part shows what the nearer one shows.
                    let place = Part::place_around(std::slice::from_ref(&face), picture, shape);
                    let wide = Part::placed(picture, shape, place);
                    assert!(wide.x >= 0.0 && wide.x + wide.width <= width + 1e-6, "{case}: {wide:?}");
                    assert!(wide.y >= 0.0 && wide.y + wide.height <= height + 1e-6, "{case}: {wide:?}");
                    let near = Face {
                        x: part.x + 0.5,
                        y: part.y + 0.5,
                        width: part.width - 1.0,
                        height: part.height - 1.0,
                        score: 1.0,
                    };
                    assert!(holds(&wide, &near), "{case}: {wide:?}");
                }
            }
        }
    }

    #[test]
    fn small_faces_come_nearer_and_groups_stay_together() {
        let far = Part::around(&[face(1900.0, 1000.0, 150.0)], (4000, 3000), (400, 400));
        assert!((far.height - 500.0).abs() < 1e-6, "{far:?}");
        // Nearer than the pixels last it does not go.
        let large = Part::around(&[face(1900.0, 1000.0, 150.0)], (4000, 3000), (1600, 1600));
        assert!((large.height - 1600.0).abs() < 1e-6, "{large:?}");
        let group = [face(500.0, 800.0, 300.0), face(1400.0, 700.0, 280.0), face(3800.0, 100.0, 60.0)];
        let part = Part::around(&group, (4000, 3000), (960, 540));
        assert!(holds(&part, &group[0]) && holds(&part, &group[1]), "{part:?}");
        // A stranger far behind is none of the group.
        assert!(!holds(&part, &group[2]), "{part:?}");
    }
}
