//! An encoded sound track as bytes, for a store.

use std::fmt;

use super::{AacTrack, OpusTrack};

const MAGIC: &[u8; 4] = b"VSN1";
const OPUS_MAGIC: &[u8; 4] = b"VSO1";

/// How sound is coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SoundCodec {
    /// AAC-LC (ISO/IEC 14496-3), for MP4 and HLS.
    #[default]
    Aac,
    /// Opus (RFC 6716), for WebM.
    Opus,
}

impl SoundCodec {
    /// `aac` or `opus`.
    pub fn as_str(self) -> &'static str {
        match self {
            SoundCodec::Aac => "aac",
            SoundCodec::Opus => "opus",
        }
    }
}

impl fmt::Display for SoundCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The sound of a video, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SoundTrack {
    /// As AAC-LC.
    Aac(AacTrack),
    /// As Opus.
    Opus(OpusTrack),
}

impl SoundTrack {
    /// How it is coded.
    pub fn codec(&self) -> SoundCodec {
        match self {
            SoundTrack::Aac(_) => SoundCodec::Aac,
            SoundTrack::Opus(_) => SoundCodec::Opus,
        }
    }

    /// Samples per channel of the programme.
    pub fn length(&self) -> u64 {
        match self {
            SoundTrack::Aac(track) => track.length,
            SoundTrack::Opus(track) => track.length,
        }
    }

    /// The track, if it is AAC.
    pub fn aac(&self) -> Option<&AacTrack> {
        match self {
            SoundTrack::Aac(track) => Some(track),
            SoundTrack::Opus(_) => None,
        }
    }

    /// The track, if it is Opus.
    pub fn opus(&self) -> Option<&OpusTrack> {
        match self {
            SoundTrack::Aac(_) => None,
            SoundTrack::Opus(track) => Some(track),
        }
    }

    /// The track as bytes; see [`SoundTrack::from_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            SoundTrack::Aac(track) => track.to_bytes(),
            SoundTrack::Opus(track) => track.to_bytes(),
        }
    }

    /// Reads what [`SoundTrack::to_bytes`] wrote; `None` when it is anything else, or coded otherwise.
    pub fn from_bytes(codec: SoundCodec, bytes: &[u8]) -> Option<Self> {
        match codec {
            SoundCodec::Aac => AacTrack::from_bytes(bytes).map(SoundTrack::Aac),
            SoundCodec::Opus => OpusTrack::from_bytes(bytes).map(SoundTrack::Opus),
        }
    }
}

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
        put_units(&mut bytes, &self.samples);
        bytes
    }

    /// Reads what [`AacTrack::to_bytes`] wrote; `None` when it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes.strip_prefix(MAGIC)?);
        let priming = reader.word()?;
        let length = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
        let [frame_length, sample_rate, channels, bitrate] =
            [reader.word()?, reader.word()?, reader.word()?, reader.word()?];
        let config = reader.word()? as usize;
        let config = reader.take(config)?.to_vec();
        let channels = u16::try_from(channels).ok()?;
        let samples = reader.units()?;
        Some(AacTrack { samples, config, priming, length, frame_length, sample_rate, channels, bitrate })
    }
}

impl OpusTrack {
    /// The track as bytes. Little-endian; see [`OpusTrack::from_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let size: usize = self.packets.iter().map(|packet| packet.len() + 4).sum();
        let mut bytes = Vec::with_capacity(size + 40);
        bytes.extend_from_slice(OPUS_MAGIC);
        bytes.extend(self.pre_skip.to_le_bytes());
        bytes.extend(self.length.to_le_bytes());
        for word in [self.packet_length, self.sample_rate, u32::from(self.channels), self.bitrate] {
            bytes.extend(word.to_le_bytes());
        }
        put_units(&mut bytes, &self.packets);
        bytes
    }

    /// Reads what [`OpusTrack::to_bytes`] wrote; `None` when it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes.strip_prefix(OPUS_MAGIC)?);
        let pre_skip = reader.word()?;
        let length = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
        let [packet_length, sample_rate, channels, bitrate] =
            [reader.word()?, reader.word()?, reader.word()?, reader.word()?];
        let channels = u16::try_from(channels).ok()?;
        let packets = reader.units()?;
        Some(OpusTrack { packets, pre_skip, length, packet_length, sample_rate, channels, bitrate })
    }
}

/// How many there are, the length of each, then all of them.
fn put_units(bytes: &mut Vec<u8>, units: &[Vec<u8>]) {
    bytes.extend((units.len() as u32).to_le_bytes());
    for unit in units {
        bytes.extend((unit.len() as u32).to_le_bytes());
    }
    for unit in units {
        bytes.extend_from_slice(unit);
    }
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, after) = self.0.split_at_checked(length)?;
        self.0 = after;
        Some(taken)
    }

    fn word(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// What [`put_units`] wrote, if nothing comes after it.
    fn units(mut self) -> Option<Vec<Vec<u8>>> {
        let count = self.word()?;
        let lengths: Option<Vec<usize>> = (0..count).map(|_| Some(self.word()? as usize)).collect();
        let units: Option<Vec<Vec<u8>>> =
            lengths?.into_iter().map(|length| Some(self.take(length)?.to_vec())).collect();
        units.filter(|_| self.0.is_empty())
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

    #[test]
    fn opus_as_bytes_and_back() {
        let track = SoundTrack::Opus(OpusTrack {
            packets: vec![vec![9; 300], Vec::new(), vec![4]],
            pre_skip: 312,
            length: 2_000,
            packet_length: 960,
            sample_rate: 48_000,
            channels: 2,
            bitrate: 128_000,
        });
        let bytes = track.to_bytes();
        assert_eq!(SoundTrack::from_bytes(SoundCodec::Opus, &bytes), Some(track));
        assert_eq!(SoundTrack::from_bytes(SoundCodec::Aac, &bytes), None);
        for cut in 0..bytes.len() {
            assert_eq!(OpusTrack::from_bytes(&bytes[..cut]), None, "cut at {cut}");
        }
    }
}
