//! Animated WebP (WebP Container Specification): stills with losses in one file, and of each frame only the part that changed.

use image::RgbImage;
use image::imageops::crop_imm;

use super::{Part, PreviewError, SHORTEST_SIDE, Shown, differs, ends, size_of, still};

/// Changes of a channel up to this much are left out: losses are larger.
const TOLERANCE: u8 = 3;

/// The file, and how many frames are in it.
pub(super) fn encode(frames: &[Shown], quality: u8) -> Result<(Vec<u8>, u32), PreviewError> {
    let [width, height] = size_of(frames);
    let mut body = b"WEBP".to_vec();
    let mut extended = vec![ANIMATED, 0, 0, 0];
    put24(&mut extended, width.saturating_sub(1));
    put24(&mut extended, height.saturating_sub(1));
    put_chunk(&mut body, b"VP8X", &extended);
    // An opaque black ground, repeated for ever.
    put_chunk(&mut body, b"ANIM", &[0, 0, 0, 255, 0, 0]);

    // The picture as it was when each part was last written.
    let mut held: Option<RgbImage> = None;
    let mut waiting: Option<(Part, Vec<u8>)> = None;
    let (mut count, mut begun, mut ended) = (0, 0, 0);
    for (frame, end) in frames.iter().zip(ends(frames, 1000)) {
        let picture = &frame.picture;
        let part = match &held {
            None => Some(Part::whole(picture)),
            Some(held) => Part::around(width, height, |at| {
                let pixel = |picture: &RgbImage| {
                    let channels = &picture.as_raw()[3 * at..3 * at + 3];
                    [channels[0], channels[1], channels[2]]
                };
                differs(pixel(held), pixel(picture), TOLERANCE)
            })
            .map(|part| widened(part, width, height)),
        };
        if let Some(part) = part {
            if let Some((part, data)) = waiting.take() {
                put_frame(&mut body, part, ended - begun, &data);
                count += 1;
            }
            begun = ended;
            let cut = crop_imm(picture, part.left, part.top, part.width, part.height).to_image();
            waiting = Some((part, bitstream(&still::webp(&cut, quality)?)?));
            let held = held.get_or_insert_with(|| picture.clone());
            image::imageops::replace(held, &cut, i64::from(part.left), i64::from(part.top));
        }
        ended = end;
    }
    if let Some((part, data)) = waiting {
        put_frame(&mut body, part, ended - begun, &data);
        count += 1;
    }
    let mut file = b"RIFF".to_vec();
    file.extend((body.len() as u32).to_le_bytes());
    file.extend(body);
    Ok((file, count))
}

/// The flag of animations among those of `VP8X`.
const ANIMATED: u8 = 2;

/// Frames start at even places, and the encoder takes no side that is too short.
fn widened(part: Part, width: u32, height: u32) -> Part {
    let along = |start: u32, length: u32, whole: u32| {
        let end = start + length;
        let start = start.min(whole.saturating_sub(SHORTEST_SIDE)) & !1;
        (start, (end - start).max(SHORTEST_SIDE).min(whole - start))
    };
    let (left, width) = along(part.left, part.width, width);
    let (top, height) = along(part.top, part.height, height);
    Part { left, top, width, height }
}

fn put24(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend(&value.to_le_bytes()[..3]);
}

/// A chunk, made even.
fn put_chunk(bytes: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) {
    bytes.extend_from_slice(name);
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes.extend_from_slice(content);
    if !content.len().is_multiple_of(2) {
        bytes.push(0);
    }
}

/// One frame of so many milliseconds, which stays and covers what lies under it.
fn put_frame(bytes: &mut Vec<u8>, part: Part, duration: u64, data: &[u8]) {
    let mut content = Vec::with_capacity(data.len() + 24);
    for value in [part.left / 2, part.top / 2, part.width - 1, part.height - 1] {
        put24(&mut content, value);
    }
    put24(&mut content, duration.min(0xff_ffff) as u32);
    // Not blended with what lies under it.
    content.push(2);
    put_chunk(&mut content, b"VP8 ", data);
    put_chunk(bytes, b"ANMF", &content);
}

/// The bit stream in a file of one picture.
fn bitstream(file: &[u8]) -> Result<Vec<u8>, PreviewError> {
    let mut rest = file.get(12..).unwrap_or_default();
    while let (Some(name), Some(length)) = (rest.get(..4), rest.get(4..8)) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let content = rest.get(8..8 + length);
        if let (b"VP8 ", Some(content)) = (name, content) {
            return Ok(content.to_vec());
        }
        rest = rest.get(8 + length.next_multiple_of(2)..).unwrap_or_default();
    }
    Err(PreviewError::Picture("WebP's encoder gave no VP8 picture".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_even_and_not_too_small() {
        for (part, whole, expected) in [
            ((5, 7, 2, 3), (100, 80), (4, 6, 16, 16)),
            ((98, 79, 2, 1), (100, 80), (84, 64, 16, 16)),
            ((99, 3, 2, 70), (101, 80), (84, 2, 17, 71)),
            ((0, 0, 16, 16), (16, 16), (0, 0, 16, 16)),
            ((3, 0, 97, 80), (100, 80), (2, 0, 98, 80)),
        ] {
            let (left, top, width, height) = part;
            let found = widened(Part { left, top, width, height }, whole.0, whole.1);
            assert_eq!((found.left, found.top, found.width, found.height), expected, "{part:?} of {whole:?}");
            assert!(found.left <= left && found.left + found.width >= left + width);
            assert!(found.left + found.width <= whole.0 && found.top + found.height <= whole.1);
        }
    }

    #[test]
    fn the_bit_stream_is_found_behind_other_chunks() {
        let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
        put_chunk(&mut file, b"ICCP", &[1, 2, 3]);
        put_chunk(&mut file, b"VP8 ", &[4, 5]);
        assert_eq!(bitstream(&file).unwrap(), [4, 5]);
        assert!(bitstream(&file[..file.len() - 1]).is_err());
        assert!(bitstream(b"RIFF").is_err());
    }
}
