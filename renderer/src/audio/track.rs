//! An encoded sound track as bytes, for a store.

use super::AacTrack;

const MAGIC: &[u8; 4] = b"VSN1";

impl AacTrack {
    /// The track as bytes. Little-endian; see [`AacTrack::from_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let size: usize = self.samples.iter().map(|unit| unit.len() + 4).sum();
        let mut bytes = Vec::with_capacity(size + self.config.len() + 48);
        bytes.extend_from_slice(MAGIC);
        bytes.extend(self.priming.to_le_bytes());
        bytes.extend(self.length.to_le_bytes());
        for word in [self.frame_length, self.sample_rate, u32::from(self.channels), self.bitrate] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend((self.config.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.config);
        bytes.extend((self.samples.len() as u32).to_le_bytes());
        for unit in &self.samples {
            bytes.extend((unit.len() as u32).to_le_bytes());
        }
        for unit in &self.samples {
            bytes.extend_from_slice(unit);
        }
        bytes
    }

    /// Reads what [`AacTrack::to_bytes`] wrote; `None` when it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let mut take = |length: usize| -> Option<&[u8]> {
            let (taken, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(taken)
        };
        let word = |bytes: &[u8]| -> Option<u32> { Some(u32::from_le_bytes(bytes.try_into().ok()?)) };
        let priming = word(take(4)?)?;
        let length = u64::from_le_bytes(take(8)?.try_into().ok()?);
        let frame_length = word(take(4)?)?;
        let sample_rate = word(take(4)?)?;
        let channels = u16::try_from(word(take(4)?)?).ok()?;
        let bitrate = word(take(4)?)?;
        let config = word(take(4)?)? as usize;
        let config = take(config)?.to_vec();
        let count = word(take(4)?)?;
        let lengths: Option<Vec<usize>> = (0..count).map(|_| Some(word(take(4)?)? as usize)).collect();
        let samples: Option<Vec<Vec<u8>>> =
            lengths?.into_iter().map(|length| Some(take(length)?.to_vec())).collect();
        let samples = samples?;
        rest.is_empty().then_some(AacTrack {
            samples,
            config,
            priming,
            length,
            frame_length,
            sample_rate,
            channels,
            bitrate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_back() {
        let track = AacTrack {
            samples: vec![vec![1, 2, 3], Vec::new(), vec![4]],
            config: vec![0x11, 0x90],
            priming: 1024,
            length: 2_500,
            frame_length: 1024,
            sample_rate: 48_000,
            channels: 2,
            bitrate: 160_000,
        };
        let bytes = track.to_bytes();
        assert_eq!(AacTrack::from_bytes(&bytes), Some(track));
        for cut in 0..bytes.len() {
            assert_eq!(AacTrack::from_bytes(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(AacTrack::from_bytes(&[bytes.as_slice(), &[0]].concat()), None);
    }
}
