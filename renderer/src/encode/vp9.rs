//! VP9: what its frames say of themselves, and the decoder configuration (VP9 Bitstream & Decoding Process Specification; VP Codec
//! ISO Media File Format Binding).

use super::bits::Bits;
use super::level;
use super::{EncodeError, VideoProfile};

fn output(message: &str) -> EncodeError {
    EncodeError::Output(message.to_owned())
}

/// One frame as files hold it: whether it is a key frame. It must show exactly one picture; pictures that are only referred to may come
/// before it in the same superframe.
///
/// `config` holds the configuration record of the stream once a key frame has been seen; it must not change.
pub(super) fn unit(
    stream: &[u8],
    profile: &VideoProfile,
    config: &mut Option<Vec<u8>>,
) -> Result<(bool, Vec<u8>), EncodeError> {
    let (mut key, mut shown) = (false, 0);
    for (index, frame) in frames(stream).into_iter().enumerate() {
        let head =
            Head::read(frame).ok_or_else(|| output("its frame header is not that of 8-bit 4:2:0 BT.709"))?;
        shown += usize::from(head.shown);
        if let Some(size) = head.key {
            key |= index == 0;
            if size != [profile.width, profile.height] {
                return Err(output("its frames have another size than those that went in"));
            }
            let record = record(profile);
            if config.as_ref().is_some_and(|known| *known != record) {
                return Err(output("its configuration changes within a segment"));
            }
            *config = Some(record);
        }
    }
    if shown != 1 {
        return Err(output("a buffer does not show exactly one frame"));
    }
    Ok((key, stream.to_vec()))
}

/// The VPCodecConfigurationRecord (VP Codec ISO Media File Format Binding, section 2.2) of pictures as they are always made here: profile 0,
/// 8 bits, 4:2:0 with chroma to the left, BT.709 in limited range.
fn record(profile: &VideoProfile) -> Vec<u8> {
    vec![0, level::vp9(profile), 8 << 4, 1, 1, 1, 0, 0]
}

/// The frames of a superframe (VP9 specification, annex B), or the one frame that `stream` is.
fn frames(stream: &[u8]) -> Vec<&[u8]> {
    let alone = vec![stream];
    let Some(marker) = stream.last().filter(|marker| **marker & 0xe0 == 0xc0) else { return alone };
    let (width, count) = (usize::from(*marker >> 3 & 3) + 1, usize::from(*marker & 7) + 1);
    let Some(start) = stream.len().checked_sub(2 + width * count) else { return alone };
    let index = &stream[start..];
    if index[0] != *marker {
        return alone;
    }
    let mut found = Vec::new();
    let mut at = 0usize;
    for size in index[1..=width * count].chunks_exact(width) {
        let size = size.iter().rev().fold(0usize, |size, byte| size << 8 | usize::from(*byte));
        let Some(frame) = stream[..start].get(at..at.saturating_add(size)) else { return alone };
        if size > 0 {
            found.push(frame);
        }
        at += size;
    }
    found
}

/// The start of an uncompressed header (section 6.2).
struct Head {
    shown: bool,
    /// Width and height of a key frame.
    key: Option<[u32; 2]>,
}

impl Head {
    fn read(frame: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(frame);
        if bits.take(2)? != 2 || bits.take(2)? != 0 {
            return None;
        }
        if bits.flag()? {
            return Some(Head { shown: true, key: None });
        }
        let (inter, shown, _resilient) = (bits.flag()?, bits.flag()?, bits.flag()?);
        if inter {
            return Some(Head { shown, key: None });
        }
        // The sync code, BT.709 (2), limited range.
        if bits.take(24)? != 0x49_83_42 || bits.take(3)? != 2 || bits.flag()? {
            return None;
        }
        Some(Head { shown, key: Some([bits.take(16)? + 1, bits.take(16)? + 1]) })
    }
}

#[cfg(test)]
mod tests {
    use vignette_templates::time::FrameRate;

    use super::super::EncoderId;
    use super::super::bits::BitWriter;
    use super::*;

    fn profile() -> VideoProfile {
        let frame_rate = FrameRate::new(30, 1).unwrap();
        VideoProfile { width: 1920, height: 1080, frame_rate, quality: 23, encoder: EncoderId::Vpx }
    }

    fn key_frame(shown: u32, color_space: u32, width: u32) -> Vec<u8> {
        let mut bits = BitWriter::default();
        for (value, count) in
            [(2, 2), (0, 2), (0, 1), (0, 1), (shown, 1), (0, 1), (0x49_83_42, 24), (color_space, 3), (0, 1)]
        {
            bits.put(value, count);
        }
        bits.put(width - 1, 16);
        bits.put(1079, 16);
        bits.finish()
    }

    #[test]
    fn key_frames_carry_the_configuration() {
        let mut config = None;
        let frame = key_frame(1, 2, 1920);
        assert_eq!(unit(&frame, &profile(), &mut config).unwrap(), (true, frame));
        assert_eq!(config.as_deref(), Some(&[0, 40, 0x80, 1, 1, 1, 0, 0][..]), "level 4.0");
        // A frame that refers to others, shown.
        assert!(!unit(&[0b1000_0110, 0], &profile(), &mut config).unwrap().0);
        for (name, frame) in [
            ("hidden", key_frame(0, 2, 1920)),
            ("BT.601", key_frame(1, 1, 1920)),
            ("another size", key_frame(1, 2, 1280)),
            ("not VP9", vec![0x12, 0]),
            ("empty", Vec::new()),
        ] {
            assert!(unit(&frame, &profile(), &mut None).is_err(), "{name}");
        }
    }

    #[test]
    fn superframes_show_one_picture() {
        let (hidden, shown) = ([0b1000_0100u8, 1, 2], [0b1000_0110u8, 3]);
        let joined = |frames: &[&[u8]]| {
            let mut bytes = frames.concat();
            let marker = 0xc0 | (frames.len() as u8 - 1);
            bytes.push(marker);
            bytes.extend(frames.iter().map(|frame| frame.len() as u8));
            bytes.push(marker);
            bytes
        };
        let one = joined(&[&hidden, &shown]);
        assert_eq!(unit(&one, &profile(), &mut None).unwrap(), (false, one));
        assert!(unit(&joined(&[&shown, &shown]), &profile(), &mut None).is_err());
        assert!(unit(&joined(&[&hidden]), &profile(), &mut None).is_err());
    }
}
