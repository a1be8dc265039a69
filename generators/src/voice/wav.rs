//! RIFF WAVE files of PCM, as speech programs write them and as people record them; written is 16-bit PCM.

/// Mono sound.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sound {
    /// Samples a second.
    pub(super) rate: u32,
    pub(super) samples: Vec<i16>,
}

/// The format tags of integer and of floating-point PCM, and of a format that names one of them in its sub-format (Microsoft,
/// "Multiple channel audio data and WAVE files", 2001).
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xFFFE;

/// Bytes of a sample, and how they are read.
#[derive(Clone, Copy)]
enum Coding {
    Int16,
    Int24,
    Int32,
    Float32,
}

impl Coding {
    fn bytes(self) -> usize {
        match self {
            Coding::Int16 => 2,
            Coding::Int24 => 3,
            Coding::Int32 | Coding::Float32 => 4,
        }
    }

    /// A sample of this many bytes as one of 16 bits.
    fn read(self, bytes: &[u8]) -> i32 {
        match (self, bytes) {
            (Coding::Int16, [low, high]) => i32::from(i16::from_le_bytes([*low, *high])),
            // What is below 16 bits lies below the noise of any room.
            (Coding::Int24, [_, low, high]) | (Coding::Int32, [_, _, low, high]) => {
                i32::from(i16::from_le_bytes([*low, *high]))
            }
            (Coding::Float32, [a, b, c, d]) => {
                (f32::from_le_bytes([*a, *b, *c, *d]) * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i32
            }
            _ => 0,
        }
    }
}

impl Sound {
    /// Reads a file; several channels are mixed to one. A data chunk that claims more than there is (programs that
    /// write to a pipe do not know its size) ends where the file ends.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn from_wav(bytes: &[u8]) -> Result<Self, String> {
        if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
            return Err("it is no RIFF WAVE file".to_owned());
        }
        let mut format = None;
        let mut rest = &bytes[12..];
        while let Some((header, body)) = rest.split_at_checked(8) {
            let size = u32_at(header, 4).map_or(0, |size| size as usize);
            let chunk = &body[..size.min(body.len())];
            match &header[..4] {
                b"fmt " => {
                    let (tag, channels) = (u16_at(chunk, 0), u16_at(chunk, 2));
                    let (rate, bits) = (u32_at(chunk, 4), u16_at(chunk, 14));
                    let tag = match tag {
                        Some(EXTENSIBLE) => u16_at(chunk, 24).or(Some(PCM)),
                        tag => tag,
                    };
                    let coding = match (tag, bits) {
                        (Some(PCM), Some(16)) => Some(Coding::Int16),
                        (Some(PCM), Some(24)) => Some(Coding::Int24),
                        (Some(PCM), Some(32)) => Some(Coding::Int32),
                        (Some(FLOAT), Some(32)) => Some(Coding::Float32),
                        _ => None,
                    };
                    match (coding, channels, rate) {
                        (Some(coding), Some(channels @ 1..=8), Some(rate @ 8_000..=192_000)) => {
                            format = Some((coding, usize::from(channels), rate));
                        }
                        _ => {
                            return Err(format!(
                                "it is not PCM of 16, 24 or 32 bits at 8 to 192 kHz \
                                 (format {tag:?}, channels {channels:?}, rate {rate:?}, bits {bits:?})"
                            ));
                        }
                    }
                }
                b"data" => {
                    let (coding, channels, rate) = format.ok_or("its data come before its format")?;
                    let samples = chunk
                        .chunks_exact(coding.bytes() * channels)
                        .map(|frame| {
                            let sum: i32 =
                                frame.chunks_exact(coding.bytes()).map(|bytes| coding.read(bytes)).sum();
                            // The mean of up to eight 16-bit values is one again.
                            (sum / channels as i32) as i16
                        })
                        .collect();
                    return Ok(Sound { rate, samples });
                }
                _ => {}
            }
            // Chunks start at even offsets.
            let next = size.saturating_add(size % 2).min(body.len());
            rest = &body[next..];
        }
        Err("it has no sound data".to_owned())
    }

    /// The file: a 44-byte header, then the samples.
    pub(super) fn to_wav(&self) -> Vec<u8> {
        let size = (self.samples.len() * 2) as u32;
        let mut bytes = Vec::with_capacity(44 + self.samples.len() * 2);
        bytes.extend_from_slice(b"RIFF");
        bytes.extend_from_slice(&(36 + size).to_le_bytes());
        bytes.extend_from_slice(b"WAVEfmt ");
        bytes.extend_from_slice(&16_u32.to_le_bytes());
        bytes.extend_from_slice(&PCM.to_le_bytes());
        bytes.extend_from_slice(&1_u16.to_le_bytes());
        bytes.extend_from_slice(&self.rate.to_le_bytes());
        bytes.extend_from_slice(&(self.rate * 2).to_le_bytes());
        bytes.extend_from_slice(&2_u16.to_le_bytes());
        bytes.extend_from_slice(&16_u16.to_le_bytes());
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&size.to_le_bytes());
        for sample in &self.samples {
            bytes.extend_from_slice(&sample.to_le_bytes());
        }
        bytes
    }

    /// Root mean square of all samples, full scale being 1; 0 when there is none.
    pub(super) fn rms(&self) -> f64 {
        rms(&self.samples)
    }

    /// Samples in 5 ms, the grain in which silence is looked for.
    fn grain(&self) -> usize {
        (self.rate / 200) as usize
    }

    /// For each 5 ms whether something sounds: more than a fiftieth of the loudest, and more than dither.
    fn activity(&self) -> Vec<bool> {
        let levels: Vec<f64> = self.samples.chunks(self.grain()).map(rms).collect();
        let loudest = levels.iter().copied().fold(0.0, f64::max);
        let floor = (loudest * 0.02).max(0.001);
        levels.into_iter().map(|level| level > floor).collect()
    }

    /// First sample that sounds and one past the last; `None` when all is silent.
    pub(super) fn sounding(&self) -> Option<(usize, usize)> {
        let activity = self.activity();
        let first = activity.iter().position(|sounds| *sounds)?;
        let last = activity.iter().rposition(|sounds| *sounds)?;
        Some((first * self.grain(), ((last + 1) * self.grain()).min(self.samples.len())))
    }

    /// Runs of sound, in samples, that are parted by at least `pause_ms` of silence.
    pub(super) fn spans(&self, pause_ms: u32) -> Vec<(usize, usize)> {
        let pause = (pause_ms / 5) as usize;
        let grain = self.grain();
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for (index, _) in self.activity().iter().enumerate().filter(|(_, sounds)| **sounds) {
            let end = ((index + 1) * grain).min(self.samples.len());
            match spans.last_mut() {
                Some(span) if index * grain <= span.1 + pause * grain => span.1 = end,
                _ => spans.push((index * grain, end)),
            }
        }
        spans
    }

    /// Fades the first and last `samples` in and out, so that a cut makes no click.
    pub(super) fn soften_edges(&mut self, samples: usize) {
        let count = samples.min(self.samples.len() / 2);
        for index in 0..count {
            let scale = |sample: i16| (i64::from(sample) * index as i64 / count as i64) as i16;
            let mirrored = self.samples.len() - 1 - index;
            self.samples[index] = scale(self.samples[index]);
            self.samples[mirrored] = scale(self.samples[mirrored]);
        }
    }
}

fn rms(samples: &[i16]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: f64 = samples.iter().map(|sample| (f64::from(*sample) / 32_768.0).powi(2)).sum();
    (sum / samples.len() as f64).sqrt()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone() -> Sound {
        let mut samples = vec![0; 1600];
        samples.extend((0..1600).map(|n| if n / 20 % 2 == 0 { 8000 } else { -8000 }));
        samples.extend([0; 3200]);
        samples.extend((0..800).map(|n| if n / 20 % 2 == 0 { 8000 } else { -8000 }));
        samples.extend([0; 800]);
        Sound { rate: 16_000, samples }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        assert_eq!(Sound::from_wav(&tone().to_wav()), Ok(tone()));
    }

    #[test]
    fn spans_and_silence() {
        assert_eq!(tone().sounding(), Some((1600, 7200)));
        assert_eq!(tone().spans(100), vec![(1600, 3200), (6400, 7200)]);
        assert_eq!(tone().spans(250), vec![(1600, 7200)]);
        assert_eq!(Sound { rate: 16_000, samples: vec![0; 999] }.sounding(), None);
        assert_eq!(Sound { rate: 16_000, samples: vec![] }.spans(100), vec![]);
    }

    #[test]
    fn any_cut_or_flipped_file_is_an_error_or_a_sound() {
        let whole = tone().to_wav();
        for end in 0..60 {
            let _ = Sound::from_wav(&whole[..end]);
        }
        for at in 0..44 {
            for flip in [0x01, 0x80, 0xFF] {
                let mut broken = whole.clone();
                broken[at] ^= flip;
                let _ = Sound::from_wav(&broken);
            }
        }
        // A pipe's header: the size is unknown and stated as huge.
        let mut streamed = whole.clone();
        streamed[40..44].copy_from_slice(&0x7FFF_F000_u32.to_le_bytes());
        assert_eq!(Sound::from_wav(&streamed), Ok(tone()));
    }
}
