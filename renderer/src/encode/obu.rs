//! AV1: open bitstream units, and the decoder configuration (AV1 Bitstream & Decoding Process Specification; AV1 Codec ISO Media
//! File Format Binding).

use super::EncodeError;
use super::bits::{BitWriter, Bits};

fn output(message: &str) -> EncodeError {
    EncodeError::Output(message.to_owned())
}

/// Kinds of units (AV1 specification, section 6.2.2).
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;

/// One temporal unit as files hold it: whether it starts with a key frame, and its units without delimiters and padding.
///
/// `config` holds the `av1C` record of the stream once a sequence header has been seen; it must not change.
pub(super) fn unit(stream: &[u8], config: &mut Option<Vec<u8>>) -> Result<(bool, Vec<u8>), EncodeError> {
    let cut = || output("an AV1 unit is cut short");
    let (mut key, mut shown, mut kept) = (false, 0, Vec::with_capacity(stream.len() + 8));
    let mut rest = stream;
    while let Some(header) = rest.first() {
        let (kind, extended, sized) = (header >> 3 & 15, header & 4 != 0, header & 2 != 0);
        let extension = rest.get(1).copied().filter(|_| extended);
        let behind = rest.get(if extended { 2 } else { 1 }..).ok_or_else(cut)?;
        let (length, digits) = match sized {
            true => leb128(behind).ok_or_else(cut)?,
            false => (behind.len(), 0),
        };
        let content = behind.get(digits..digits + length).ok_or_else(cut)?;
        rest = &behind[digits + length..];
        match kind {
            TEMPORAL_DELIMITER | TILE_LIST | PADDING => continue,
            SEQUENCE_HEADER => {
                let described = describe(content)
                    .ok_or_else(|| output("its sequence header is not that of 4:2:0 video with 8 bits"))?;
                let mut header = Vec::new();
                put_unit(&mut header, SEQUENCE_HEADER << 3, None, &described.bytes);
                let record = described.record(&header);
                if config.as_ref().is_some_and(|known| *known != record) {
                    return Err(output("its sequence header changes within a segment"));
                }
                *config = Some(record);
                kept.extend_from_slice(&header);
                continue;
            }
            FRAME | FRAME_HEADER => {
                // Section 5.9.2: show_existing_frame, frame_type (0 is a key frame), show_frame.
                let first = *content.first().ok_or_else(cut)?;
                let existing = first & 0x80 != 0;
                let visible = existing || first & 0x10 != 0;
                key |= !existing && first & 0x60 == 0 && visible && shown == 0;
                shown += usize::from(visible);
            }
            _ => {}
        }
        put_unit(&mut kept, *header, extension, content);
    }
    if shown != 1 {
        return Err(output("a temporal unit does not show exactly one frame"));
    }
    Ok((key, kept))
}

/// Writes a unit with its size.
fn put_unit(bytes: &mut Vec<u8>, header: u8, extension: Option<u8>, content: &[u8]) {
    bytes.push(header | 2);
    bytes.extend(extension);
    let mut left = content.len();
    loop {
        let digit = (left & 0x7f) as u8;
        left >>= 7;
        if left == 0 {
            bytes.push(digit);
            break;
        }
        bytes.push(digit | 0x80);
    }
    bytes.extend_from_slice(content);
}

/// A number in little-endian base 128 (section 4.10.5), and how many bytes it takes.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0usize;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value |= usize::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// A sequence header that says which colours are meant.
struct Described {
    /// The content of its unit.
    bytes: Vec<u8>,
    profile: u8,
    level: u8,
    high_tier: bool,
}

impl Described {
    /// The `av1C` record (AV1-ISOBMFF, section 2.3.3), with `header` as its only unit.
    fn record(&self, header: &[u8]) -> Vec<u8> {
        // Marker and version; then 8 bits, in colour, 4:2:0, and chroma level with the left column.
        let mut record = vec![0x81, self.profile << 5 | self.level, u8::from(self.high_tier) << 7 | 0x0d, 0];
        record.extend_from_slice(header);
        record
    }
}

/// Reads a sequence header (section 5.5) of 8-bit 4:2:0 video and writes it again with its colours named: BT.709 in limited
/// range, chroma half way between two rows and level with the left column, as [`I420Frame`](crate::frame::I420Frame) has
/// it. Encoders leave them open, and players then guess by the size of the picture.
fn describe(content: &[u8]) -> Option<Described> {
    let mut bits = Bits::new(content);
    let profile = bits.take(3)?;
    let _still = bits.flag()?;
    let reduced = bits.flag()?;
    let (level, mut high_tier) = match reduced {
        true => (bits.take(5)?, false),
        false => operating_points(&mut bits)?,
    };
    high_tier &= level > 7;
    let [width_bits, height_bits] = [bits.take(4)? + 1, bits.take(4)? + 1];
    bits.take(width_bits)?;
    bits.take(height_bits)?;
    if !reduced && bits.flag()? {
        bits.skip(7)?;
    }
    // 128 x 128 superblocks, filter_intra, intra edges.
    bits.skip(3)?;
    if !reduced {
        // Interintra, masked, warped, dual filter.
        bits.skip(4)?;
        let order_hint = bits.flag()?;
        if order_hint {
            bits.skip(2)?;
        }
        let screen_content = if bits.flag()? { 2 } else { bits.take(1)? };
        if screen_content > 0 && !bits.flag()? {
            bits.skip(1)?;
        }
        if order_hint {
            bits.skip(3)?;
        }
    }
    // Super-resolution, CDEF, loop restoration.
    bits.skip(3)?;
    // Colours (section 5.5.2): bits a sample, black and white, whether the colours are named.
    let (high_depth, grey) = (bits.flag()?, bits.flag()?);
    if profile != 0 || high_depth || grey {
        return None;
    }
    let named_at = bits.at;
    if bits.flag()? {
        bits.skip(24)?;
    }
    let (full_range, _chroma_place) = (bits.flag()?, bits.take(2)?);
    let (separate_delta_q, film_grain) = (bits.take(1)?, bits.take(1)?);
    if full_range {
        return None;
    }
    let mut writer = BitWriter::default();
    writer.copy(&mut Bits::new(content), named_at)?;
    writer.put(1, 1);
    // ITU-T H.273: BT.709 is 1 for primaries, transfer and matrix.
    for _ in 0..3 {
        writer.put(1, 8);
    }
    // Limited range; CSP_VERTICAL.
    writer.put(0, 1);
    writer.put(1, 2);
    writer.put(separate_delta_q, 1);
    writer.put(film_grain, 1);
    // The trailing bit, then zeros up to a whole byte (section 5.3.4).
    writer.put(1, 1);
    Some(Described { bytes: writer.finish(), profile: profile as u8, level: level as u8, high_tier })
}

/// Level and tier of the first operating point (section 5.5.1).
fn operating_points(bits: &mut Bits<'_>) -> Option<(u32, bool)> {
    let (mut decoder_model, mut delay_bits) = (false, 0);
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            bits.exp_golomb()?;
        }
        decoder_model = bits.flag()?;
        if decoder_model {
            delay_bits = bits.take(5)? as usize + 1;
            bits.skip(42)?;
        }
    }
    let display_delay = bits.flag()?;
    let points = bits.take(5)? + 1;
    let mut first = None;
    for _ in 0..points {
        bits.skip(12)?;
        let level = bits.take(5)?;
        let high_tier = level > 7 && bits.flag()?;
        first = first.or(Some((level, high_tier)));
        if decoder_model && bits.flag()? {
            bits.skip(2 * delay_bits + 1)?;
        }
        if display_delay && bits.flag()? {
            bits.skip(4)?;
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sequence header that libaom 3.6 writes for 1920 x 1080 at 30 fps.
    const HEADER: [u8; 12] = [0, 0, 0, 0x42, 0xab, 0xbf, 0xc3, 0x7e, 0x0e, 0xd7, 0xc8, 0x02];

    fn temporal_unit(header: &[u8], frame: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x12, 0];
        put_unit(&mut bytes, SEQUENCE_HEADER << 3, None, header);
        put_unit(&mut bytes, FRAME << 3, None, frame);
        bytes
    }

    #[test]
    fn a_temporal_unit_keeps_what_a_file_needs() {
        let mut config = None;
        let (key, kept) = unit(&temporal_unit(&HEADER, &[0x10, 7, 7]), &mut config).unwrap();
        assert!(key);
        let config_bytes = config.clone().unwrap();
        assert_eq!(config_bytes[..4], [0x81, 8, 0x0d, 0], "Main, level 4.0, Main tier, 4:2:0 to the left");
        assert_eq!(kept[..kept.len() - 5], config_bytes[4..], "the header stands in both");
        assert_eq!(kept[kept.len() - 5..], [0x32, 3, 0x10, 7, 7]);
        // A header that is described already stays as it is.
        let again = describe(&describe(&HEADER).unwrap().bytes).unwrap();
        assert_eq!(again.bytes, describe(&HEADER).unwrap().bytes);

        // A frame between others: not a key, no header.
        let mut between = vec![0x12, 0];
        put_unit(&mut between, FRAME << 3, None, &[0x30, 1]);
        assert_eq!(unit(&between, &mut config).unwrap(), (false, vec![0x32, 2, 0x30, 1]));
        assert_eq!(config.unwrap(), config_bytes);
    }

    #[test]
    fn units_that_cannot_be_used_are_refused() {
        let mut other = HEADER;
        other[2] = 0x01;
        let whole = temporal_unit(&HEADER, &[0x10, 7]);
        let hidden = temporal_unit(&HEADER, &[0x00, 7]);
        let twice = [whole.as_slice(), &[0x32, 1, 0x30]].concat();
        for (name, bytes) in [
            ("cut", &whole[..whole.len() - 1]),
            ("no frame", &whole[..16]),
            ("hidden", &hidden),
            ("two shown", &twice),
            ("bad header", &temporal_unit(&HEADER[..6], &[0x10])),
            (
                "10 bits",
                &temporal_unit(&[0, 0, 0, 0x42, 0xab, 0xbf, 0xc3, 0x7e, 0x0e, 0xd7, 0xca, 2], &[0x10]),
            ),
        ] {
            assert!(unit(bytes, &mut None).is_err(), "{name}");
        }
        let mut config = None;
        unit(&whole, &mut config).unwrap();
        assert!(unit(&temporal_unit(&other, &[0x10]), &mut config).is_err(), "another header");
        assert_eq!(leb128(&[0x80, 0x01]), Some((128, 2)));
        assert_eq!(leb128(&[0x80; 9]), None);
    }

    #[test]
    fn sizes_and_extensions_come_back() {
        let mut bytes = Vec::new();
        put_unit(&mut bytes, FRAME << 3 | 4, Some(0x28), &[0x30; 200]);
        let (_, kept) = unit(&bytes, &mut None).unwrap();
        assert_eq!(kept, bytes);
        // The last unit of a stream may come without its size.
        let (_, sized) = unit(&[0x30, 0x30, 5], &mut None).unwrap();
        assert_eq!(sized, [0x32, 2, 0x30, 5]);
    }
}
