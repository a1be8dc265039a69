//! H.264 and H.265: NAL units, and the decoder configuration that stands beside them.

use super::EncodeError;
use super::bits::Bits;

fn output(message: impl Into<String>) -> EncodeError {
    EncodeError::Output(message.into())
}

/// The NAL units of a byte stream (ITU-T H.264 and H.265, annex B), without start codes and the zeros behind them.
fn split(stream: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(found) = stream.get(at..).and_then(|rest| rest.windows(3).position(|w| w == [0, 0, 1])) {
        starts.push(at + found + 3);
        at += found + 3;
    }
    let ends = starts.iter().skip(1).map(|next| next - 3).chain([stream.len()]);
    let units = starts.iter().zip(ends).map(|(start, end)| {
        let unit = stream.get(*start..end).unwrap_or_default();
        let zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
        &unit[..unit.len() - zeros]
    });
    units.filter(|unit| !unit.is_empty()).collect()
}

/// Writes a NAL unit behind its length in four bytes (ISO/IEC 14496-15, section 4.3.2).
fn put_unit(kept: &mut Vec<u8>, nal: &[u8]) {
    kept.extend_from_slice(&(nal.len() as u32).to_be_bytes());
    kept.extend_from_slice(nal);
}

/// The content of a NAL unit behind its header, without the bytes that only keep start codes from appearing in it.
fn payload(nal: &[u8], header: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for byte in nal.iter().skip(header) {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        bytes.push(*byte);
    }
    bytes
}

/// Parameter sets of one stream, which must stay the same all along: they are written beside the pictures, once.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    /// Kind and content, in order of appearance.
    sets: Vec<(u8, Vec<u8>)>,
}

impl ParameterSets {
    /// Notes one. An encoder may repeat it, but not change it.
    fn add(&mut self, kind: u8, nal: &[u8]) -> Result<(), EncodeError> {
        if self.sets.iter().any(|(known, set)| *known == kind && set == nal) {
            return Ok(());
        }
        if self.sets.iter().any(|(known, _)| *known == kind) {
            return Err(output("its parameter sets change within a segment"));
        }
        self.sets.push((kind, nal.to_vec()));
        Ok(())
    }

    fn get(&self, kind: u8) -> Result<&[u8], EncodeError> {
        let found = self.sets.iter().find(|(known, _)| *known == kind);
        found.map(|(_, set)| set.as_slice()).ok_or_else(|| output("the stream has no parameter sets"))
    }
}

/// Completes an `avcC` record (ISO/IEC 14496-15, section 5.3.3.1.2): profiles from High on carry the chroma
/// format and bit depths behind the parameter sets, which GStreamer 1.22 leaves out.
pub(super) fn complete_avcc(config: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let broken = || output("its decoder configuration is cut short");
    let mut at = 5;
    let sets = usize::from(config.get(at).ok_or_else(broken)? & 0x1f);
    at += 1;
    for count in [Some(sets), None] {
        let count = match count {
            Some(count) => count,
            None => {
                let count = usize::from(*config.get(at).ok_or_else(broken)?);
                at += 1;
                count
            }
        };
        for _ in 0..count {
            let length = config.get(at..at + 2).ok_or_else(broken)?;
            at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        }
    }
    let mut complete = config.get(..at).ok_or_else(broken)?.to_vec();
    if complete[1] >= 100 {
        // 4:2:0, 8 bits of luma, 8 bits of chroma, no extended parameter sets; reserved bits are ones.
        complete.extend([0xfc | 1, 0xf8, 0xf8, 0]);
    }
    Ok(complete)
}

/// Keeps what a decoder needs of an H.264 access unit whose NAL units stand behind their lengths: no parameter sets (they
/// are in the configuration), no delimiter, and not the encoder's note about itself, which would come again with every
/// segment.
pub(super) fn h264_picture_nals(unit: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut kept = Vec::with_capacity(unit.len());
    let mut rest = unit;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let nal = after.get(..length).ok_or_else(|| output("a NAL unit is cut short"))?;
        if !is_h264_overhead(nal) {
            put_unit(&mut kept, nal);
        }
        rest = &after[length..];
    }
    Ok(kept)
}

/// ITU-T H.264, table 7-1: 6 SEI, 7 and 8 parameter sets, 9 delimiter, 10 and 11 ends, 12 filler; annex D: SEI 5 is free text.
fn is_h264_overhead(nal: &[u8]) -> bool {
    match nal.first().map(|byte| byte & 0x1f) {
        Some(7..=12) | None => true,
        Some(6) => nal.get(1) == Some(&5),
        Some(_) => false,
    }
}

/// One access unit of an H.264 byte stream: whether it is an IDR picture, and its NAL units behind their lengths.
pub(super) fn h264_unit(stream: &[u8], sets: &mut ParameterSets) -> Result<(bool, Vec<u8>), EncodeError> {
    let (mut key, mut kept) = (false, Vec::with_capacity(stream.len()));
    for nal in split(stream) {
        let kind = nal[0] & 0x1f;
        if matches!(kind, 7 | 8) {
            sets.add(kind, nal)?;
        }
        key |= kind == 5;
        if !is_h264_overhead(nal) {
            put_unit(&mut kept, nal);
        }
    }
    Ok((key, kept))
}

/// The `avcC` record (ISO/IEC 14496-15, section 5.3.3.1) of a byte stream with these parameter sets.
pub(super) fn avcc(sets: &ParameterSets) -> Result<Vec<u8>, EncodeError> {
    let (sequence, picture) = (sets.get(7)?, sets.get(8)?);
    let head = sequence.get(1..4).ok_or_else(|| output("its parameter sets are cut short"))?;
    let mut record = vec![1];
    record.extend_from_slice(head);
    // Lengths of four bytes; one set of each kind; reserved bits are ones.
    record.extend([0xff, 0xe0 | 1]);
    record.extend((sequence.len() as u16).to_be_bytes());
    record.extend_from_slice(sequence);
    record.push(1);
    record.extend((picture.len() as u16).to_be_bytes());
    record.extend_from_slice(picture);
    complete_avcc(&record)
}

/// Kinds of H.265 NAL units (ITU-T H.265, table 7-1).
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;

/// One access unit of an H.265 byte stream: whether it is an IDR picture, and its NAL units behind their lengths, without
/// what [`h264_picture_nals`] leaves out too.
pub(super) fn h265_unit(stream: &[u8], sets: &mut ParameterSets) -> Result<(bool, Vec<u8>), EncodeError> {
    let (mut key, mut kept) = (false, Vec::with_capacity(stream.len()));
    for nal in split(stream) {
        let kind = nal[0] >> 1 & 0x3f;
        match kind {
            VPS | SPS | PPS => sets.add(kind, nal)?,
            // Delimiter, ends, filler.
            35..=38 => {}
            // A prefix SEI message of free text.
            39 if nal.get(2) == Some(&5) => {}
            _ => {
                // 19 and 20 are IDR pictures, with and without leading ones.
                key |= matches!(kind, 19 | 20);
                put_unit(&mut kept, nal);
            }
        }
    }
    Ok((key, kept))
}

/// The `hvcC` record (ISO/IEC 14496-15, section 8.3.2.1) of a byte stream with these parameter sets. All of them stand in it
/// and none in the pictures, as the sample entry `hvc1` asks.
pub(super) fn hvcc(sets: &ParameterSets) -> Result<Vec<u8>, EncodeError> {
    let sequence = payload(sets.get(SPS)?, 2);
    let facts = SequenceFacts::read(&sequence).ok_or_else(|| output("its parameter sets are cut short"))?;
    let mut record = vec![1];
    // Profile, tier and level stand in both records in the same order (ITU-T H.265, section 7.3.3).
    record.extend_from_slice(&sequence[1..13]);
    // No least division into parts, no hint on parallel decoding; reserved bits are ones.
    record.extend([0xf0, 0, 0xfc]);
    record.extend([0xfc | facts.chroma_format, 0xf8 | facts.luma_depth, 0xf8 | facts.chroma_depth]);
    // Frame rate not given; temporal layers; lengths of four bytes.
    record.extend([0, 0, facts.temporal_layers << 3 | u8::from(facts.nested) << 2 | 3]);
    record.push(3);
    for kind in [VPS, SPS, PPS] {
        let set = sets.get(kind)?;
        // Complete: there is no other set of this kind.
        record.push(0x80 | kind);
        record.extend(1u16.to_be_bytes());
        record.extend((set.len() as u16).to_be_bytes());
        record.extend_from_slice(set);
    }
    Ok(record)
}

/// What an `hvcC` record repeats of a sequence parameter set.
struct SequenceFacts {
    temporal_layers: u8,
    nested: bool,
    chroma_format: u8,
    luma_depth: u8,
    chroma_depth: u8,
}

impl SequenceFacts {
    /// ITU-T H.265, sections 7.3.2.2.1 and 7.3.3.
    fn read(sequence: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(sequence);
        bits.skip(4)?;
        let layers = bits.take(3)?;
        let nested = bits.flag()?;
        bits.skip(96)?;
        let mut present = Vec::new();
        for _ in 0..layers {
            present.push([bits.flag()?, bits.flag()?]);
        }
        if layers > 0 {
            bits.skip(2 * (8 - layers as usize))?;
        }
        for [profile, level] in present {
            bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
        }
        bits.exp_golomb()?;
        let chroma_format = bits.exp_golomb()?;
        if chroma_format == 3 {
            bits.skip(1)?;
        }
        bits.exp_golomb()?;
        bits.exp_golomb()?;
        if bits.flag()? {
            for _ in 0..4 {
                bits.exp_golomb()?;
            }
        }
        let (luma_depth, chroma_depth) = (bits.exp_golomb()?, bits.exp_golomb()?);
        (chroma_format <= 3 && luma_depth <= 7 && chroma_depth <= 7).then_some(SequenceFacts {
            temporal_layers: layers as u8 + 1,
            nested,
            chroma_format: chroma_format as u8,
            luma_depth: luma_depth as u8,
            chroma_depth: chroma_depth as u8,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_streams_are_split_at_start_codes() {
        let stream = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 0, 0, 3, 1, 0, 0];
        assert_eq!(split(&stream), [&[0x67u8, 1, 2][..], &[0x68, 3], &[0x65, 0, 0, 3, 1]]);
        assert!(split(&[1, 2, 3]).is_empty());
        assert!(split(&[0, 0, 1]).is_empty());
        assert_eq!(payload(&[0x65, 9, 0, 0, 3, 1, 0, 0, 3], 1), [9, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_byte_stream_becomes_the_same_as_lengths() {
        let stream =
            [0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x67, 100, 0, 40, 0xac, 0, 0, 1, 0x68, 0xeb, 0, 0, 1, 6, 5, 1, 0];
        let picture = [0, 0, 1, 6, 1, 1, 0x80, 0, 0, 1, 0x65, 0x88];
        let mut sets = ParameterSets::default();
        let (key, unit) = h264_unit(&[&stream[..], &picture].concat(), &mut sets).unwrap();
        assert!(key);
        assert_eq!(unit, [0, 0, 0, 4, 6, 1, 1, 0x80, 0, 0, 0, 2, 0x65, 0x88]);
        let record = avcc(&sets).unwrap();
        assert_eq!(
            record,
            [
                1, 100, 0, 40, 0xff, 0xe1, 0, 5, 0x67, 100, 0, 40, 0xac, 1, 0, 2, 0x68, 0xeb, 0xfd, 0xf8,
                0xf8, 0
            ]
        );
        let (key, _) = h264_unit(&[0, 0, 1, 0x41, 0x9a], &mut sets).unwrap();
        assert!(!key);
        let changed = h264_unit(&[0, 0, 1, 0x67, 100, 0, 41, 0xac], &mut sets);
        assert!(matches!(changed, Err(EncodeError::Output(_))), "{changed:?}");
        assert!(matches!(avcc(&ParameterSets::default()), Err(EncodeError::Output(_))));
    }

    #[test]
    fn a_configuration_that_is_cut_short_is_refused() {
        for record in [&[][..], &[1, 100, 0, 40, 0xff], &[1, 100, 0, 40, 0xff, 0xe1, 0, 9, 1]] {
            assert!(complete_avcc(record).is_err(), "{record:?}");
        }
        let mut sets = ParameterSets::default();
        for (kind, bytes) in [(VPS, &[0x40, 1][..]), (SPS, &[0x42, 1, 1, 1, 0x60]), (PPS, &[0x44, 1])] {
            sets.add(kind, bytes).unwrap();
        }
        assert!(hvcc(&sets).is_err());
    }
}
