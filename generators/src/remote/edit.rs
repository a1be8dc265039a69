//! A picture on its way to a service that changes pictures, and back.
//!
//! Services make pictures of a few shapes only. A picture of another shape is sent inside a frame of a shape that the service makes, and what
//! comes back is cut out of that frame again: so nothing of the picture is stretched, and nothing of what was changed is cut off.

use std::io::Cursor;

use image::imageops::{crop_imm, replace};
use image::{ImageFormat, Rgba, RgbaImage};
use vignette_templates::blob::Blob;

/// The longest side of a picture that is sent.
const MAX_SIDE: u64 = 8192;

/// What is drawn around a picture.
#[derive(Clone, Copy)]
pub(super) enum Around {
    /// Its own outermost pixels, which give a model the least to make something of.
    Edges,
    /// Opaque black: in a mask, what is to be left alone.
    Opaque,
}

/// A frame around a picture that lies in its middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The size of the whole, in pixels of the picture.
    pub(super) size: (u32, u32),
    /// Where the picture lies in it.
    corner: (u32, u32),
    picture: (u32, u32),
}

impl Frame {
    /// No more than a picture of this size.
    pub(super) fn none(picture: (u32, u32)) -> Self {
        Frame { size: picture, corner: (0, 0), picture }
    }

    /// The smallest frame of this shape; `None` where it would be too large to be sent.
    pub(super) fn around(picture: (u32, u32), shape: (u32, u32)) -> Option<Self> {
        let (width, height) = (u64::from(picture.0), u64::from(picture.1));
        let (across, down) = (u64::from(shape.0.max(1)), u64::from(shape.1.max(1)));
        let rounded = |number: u64, parts: u64| (number + parts / 2) / parts;
        let wide = rounded(height * across, down).max(width);
        // Where it has to be wider it is as high as the picture, and the other way round.
        let high = if wide > width { height } else { rounded(width * down, across).max(height) };
        let side = |length: u64| u32::try_from(length).ok().filter(|_| length <= MAX_SIDE);
        let size = (side(wide)?, side(high)?);
        Some(Frame { size, corner: ((size.0 - picture.0) / 2, (size.1 - picture.1) / 2), picture })
    }

    /// The frame with the picture in it; the file itself where the frame adds nothing to it.
    ///
    /// # Errors
    /// A file that is no PNG file of the picture's size.
    pub(super) fn with(&self, png: &Blob, around: Around) -> Result<Blob, String> {
        if self.size == self.picture {
            return Ok(png.clone());
        }
        let picture = decoded(png, self.picture)?;
        let (width, height) = self.size;
        let (left, top) = self.corner;
        let framed = match around {
            Around::Edges => RgbaImage::from_fn(width, height, |x, y| {
                let inside = |at: u32, start: u32, length: u32| at.saturating_sub(start).min(length - 1);
                *picture.get_pixel(inside(x, left, self.picture.0), inside(y, top, self.picture.1))
            }),
            Around::Opaque => {
                let mut framed = RgbaImage::from_pixel(width, height, Rgba([0, 0, 0, 255]));
                replace(&mut framed, &picture, i64::from(left), i64::from(top));
                framed
            }
        };
        let mut png = Cursor::new(Vec::new());
        framed
            .write_to(&mut png, ImageFormat::Png)
            .map_err(|_| "the picture cannot be written as PNG".to_owned())?;
        Ok(Blob::new(png.into_inner()))
    }

    /// The picture out of a frame of this size.
    pub(super) fn without(&self, framed: &RgbaImage) -> RgbaImage {
        crop_imm(framed, self.corner.0, self.corner.1, self.picture.0, self.picture.1).to_image()
    }
}

/// A PNG file that was made here, of this size.
pub(super) fn decoded(png: &Blob, size: (u32, u32)) -> Result<RgbaImage, String> {
    let picture = image::load_from_memory_with_format(png.bytes(), ImageFormat::Png)
        .map_err(|_| "the picture to change is no PNG file".to_owned())?
        .to_rgba8();
    match picture.dimensions() == size {
        true => Ok(picture),
        false => Err("the picture to change has another size than was asked for".to_owned()),
    }
}

/// `changed` where the mask is clear and `original` where it is opaque; all three of one size. A model that was given a mask may
/// draw anew what it was told to leave alone.
pub(super) fn within(changed: &mut RgbaImage, original: &RgbaImage, mask: &RgbaImage) {
    for ((new, old), mask) in changed.pixels_mut().zip(original.pixels()).zip(mask.pixels()) {
        let share = u32::from(mask.0[3]);
        let (kept, drawn) = (share * u32::from(old.0[3]), (255 - share) * u32::from(new.0[3]));
        let alpha = kept + drawn;
        // Colours count by how much of them is there, so that what is clear colours nothing.
        for (new, old) in new.0.iter_mut().zip(old.0).take(3) {
            let sum = kept * u32::from(old) + drawn * u32::from(*new);
            *new = (sum + alpha / 2).checked_div(alpha).unwrap_or(0).min(255) as u8;
        }
        new.0[3] = ((alpha + 127) / 255) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_small_as_their_shape_allows() {
        for (picture, shape, expected) in [
            ((480, 480), (1024, 1024), Some((480, 480))),
            ((960, 540), (1536, 1024), Some((960, 640))),
            ((960, 540), (1024, 1536), Some((960, 1440))),
            ((540, 960), (1024, 1024), Some((960, 960))),
            ((333, 500), (1024, 1536), Some((333, 500))),
            ((1, 4096), (1024, 1024), Some((4096, 4096))),
            ((4096, 4096), (16, 8192), None),
        ] {
            let frame = Frame::around(picture, shape);
            assert_eq!(frame.map(|frame| frame.size), expected, "{picture:?} in {shape:?}");
        }
    }

    #[test]
    fn what_is_framed_comes_out_as_it_was() {
        let picture = RgbaImage::from_fn(7, 4, |x, y| Rgba([x as u8 * 30, y as u8 * 60, 9, 255]));
        let mut png = Cursor::new(Vec::new());
        picture.write_to(&mut png, ImageFormat::Png).unwrap();
        let png = Blob::new(png.into_inner());
        let frame = Frame::around((7, 4), (1, 1)).unwrap();
        for around in [Around::Edges, Around::Opaque] {
            let framed = decoded(&frame.with(&png, around).unwrap(), (7, 7)).unwrap();
            assert_eq!(frame.without(&framed), picture);
            let corner = framed.get_pixel(6, 6).0;
            match around {
                Around::Edges => assert_eq!(corner, picture.get_pixel(6, 3).0),
                Around::Opaque => assert_eq!(corner, [0, 0, 0, 255]),
            }
        }
        // Nothing is made anew where there is nothing to add.
        assert_eq!(Frame::around((7, 4), (14, 8)).unwrap().with(&png, Around::Edges).unwrap(), png);
        assert!(frame.with(&Blob::new(b"no picture".to_vec()), Around::Edges).is_err());
    }

    #[test]
    fn what_the_mask_covers_stays() {
        let one = |pixel: [u8; 4]| RgbaImage::from_pixel(1, 1, Rgba(pixel));
        let (red, green) = ([255, 0, 0, 255], [0, 200, 0, 255]);
        for (original, mask, expected) in [
            (red, 255, red),
            (red, 0, green),
            (red, 51, [51, 160, 0, 255]),
            // Half of nothing and half of a colour is that colour, half of it.
            ([9, 9, 9, 0], 128, [0, 200, 0, 127]),
            ([9, 9, 9, 0], 255, [0, 0, 0, 0]),
        ] {
            let mut changed = one(green);
            within(&mut changed, &one(original), &one([0, 0, 0, mask]));
            assert_eq!(changed.get_pixel(0, 0).0, expected, "{original:?} under {mask}");
        }
    }
}
