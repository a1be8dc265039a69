//! An encoded segment, and how it is kept.

/// One closed run of encoded pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedSegment {
    /// The decoder configuration, an `avcC` record (ISO/IEC 14496-15, section 5.3.3.1); the same for every
    /// segment of one [profile](crate::encode::VideoProfile).
    pub config: Vec<u8>,
    /// The pictures in decoding order; the first is an IDR picture and is shown first.
    pub units: Vec<AccessUnit>,
}

/// One encoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// Which frame of the segment it shows, from 0.
    pub shown_at: u32,
    /// Whether decoding can start here.
    pub key: bool,
    /// NAL units, each behind its length in four bytes, big-endian.
    pub data: Vec<u8>,
}

const MAGIC: &[u8; 4] = b"VSG1";

impl EncodedSegment {
    /// Number of frames.
    pub fn frames(&self) -> u32 {
        self.units.len() as u32
    }

    /// The segment as bytes, for a store. Little-endian; see [`EncodedSegment::from_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let size: usize = self.units.iter().map(|unit| unit.data.len() + 9).sum();
        let mut bytes = Vec::with_capacity(size + self.config.len() + 12);
        bytes.extend_from_slice(MAGIC);
        bytes.extend((self.config.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.config);
        bytes.extend((self.units.len() as u32).to_le_bytes());
        for unit in &self.units {
            bytes.extend(unit.shown_at.to_le_bytes());
            bytes.push(u8::from(unit.key));
            bytes.extend((unit.data.len() as u32).to_le_bytes());
        }
        for unit in &self.units {
            bytes.extend_from_slice(&unit.data);
        }
        bytes
    }

    /// Reads what [`EncodedSegment::to_bytes`] wrote; `None` when it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let mut take = |length: usize| -> Option<&[u8]> {
            let (taken, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(taken)
        };
        let word = |bytes: &[u8]| -> Option<u32> { Some(u32::from_le_bytes(bytes.try_into().ok()?)) };
        let length = word(take(4)?)? as usize;
        let config = take(length)?.to_vec();
        let count = word(take(4)?)?;
        let heads: Option<Vec<(u32, bool, usize)>> = (0..count)
            .map(|_| Some((word(take(4)?)?, *take(1)?.first()? != 0, word(take(4)?)? as usize)))
            .collect();
        let units: Option<Vec<AccessUnit>> = heads?
            .into_iter()
            .map(|(shown_at, key, length)| Some(AccessUnit { shown_at, key, data: take(length)?.to_vec() }))
            .collect();
        let segment = EncodedSegment { config, units: units? };
        rest.is_empty().then_some(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_back() {
        let segment = EncodedSegment {
            config: vec![1, 100, 0, 40],
            units: vec![
                AccessUnit { shown_at: 0, key: true, data: vec![0, 0, 0, 1, 0x65] },
                AccessUnit { shown_at: 2, key: false, data: vec![0, 0, 0, 1, 0x41] },
                AccessUnit { shown_at: 1, key: false, data: Vec::new() },
            ],
        };
        let bytes = segment.to_bytes();
        assert_eq!(EncodedSegment::from_bytes(&bytes), Some(segment));
        for cut in 0..bytes.len() {
            assert_eq!(EncodedSegment::from_bytes(&bytes[..cut]), None, "cut at {cut}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(EncodedSegment::from_bytes(&longer), None);
        assert_eq!(EncodedSegment::from_bytes(b"VSG1\xff\xff\xff\xff"), None);
    }
}
