//! One MP4 file of fragments, written in order while later segments are still being made.

use std::borrow::Borrow;

use super::boxes::{boxed, full, put32, put64};
use super::cmaf::{AudioTiming, CmafError, VIDEO_TRACK, audio_run, fragment, init_both, video_run};
use crate::audio::AacTrack;
use crate::encode::VideoProfile;
use crate::segment::EncodedSegment;

/// A file in the making: a header, then a fragment for each segment with its pictures and the sound of the same time, then an index
/// for players that jump.
///
/// It gives bytes and writes nothing itself, so the same code fills a file and answers a request. Bytes that were given never change.
#[derive(Debug)]
pub struct Fragmented<A> {
    profile: VideoProfile,
    config: Vec<u8>,
    audio: Option<A>,
    frames: u32,
    segments: usize,
    next_frame: u32,
    next_unit: usize,
    written: u64,
    /// Decode time of each fragment's pictures, and where its `moof` stands in the file.
    index: Vec<(u64, u64)>,
}

impl<A: Borrow<AacTrack>> Fragmented<A> {
    /// Begins a file of `frames` frames whose segments all have the decoder configuration `config`. Gives the header too.
    pub fn begin(
        profile: VideoProfile,
        config: &[u8],
        audio: Option<A>,
        locale: &str,
        frames: u32,
    ) -> (Self, Vec<u8>) {
        let header = init_both(&profile, config, audio.as_ref().map(Borrow::borrow), locale, frames);
        let file = Fragmented {
            profile,
            config: config.to_vec(),
            audio,
            frames,
            segments: 0,
            next_frame: 0,
            next_unit: 0,
            written: header.len() as u64,
            index: Vec::new(),
        };
        (file, header)
    }

    /// The bytes of the next segment, in order of showing. All sound that is left goes along with the last.
    ///
    /// # Errors
    /// A segment that was encoded otherwise or is damaged, or frames beyond the number that was promised.
    pub fn segment(&mut self, segment: &EncodedSegment) -> Result<Vec<u8>, CmafError> {
        if segment.config != self.config {
            return Err(CmafError::Configuration(self.segments));
        }
        let pictures = video_run(segment, &self.profile, self.next_frame)?;
        let given = u64::from(self.next_frame) + segment.units.len() as u64;
        let end = u32::try_from(given).ok().filter(|end| *end <= self.frames);
        let end = end.ok_or(CmafError::Frames { given, promised: u64::from(self.frames) })?;
        let mut runs = vec![pictures];
        let mut units_end = self.next_unit;
        if let Some(audio) = self.audio.as_ref().map(Borrow::borrow) {
            let timing = AudioTiming::of(audio);
            units_end = match end == self.frames {
                true => audio.samples.len(),
                false => timing.units_before(self.profile.frame_rate.time_of(u64::from(end))),
            };
            units_end = units_end.max(self.next_unit);
            runs.push(audio_run(audio, self.next_unit..units_end)?);
        }
        let bytes = fragment(self.next_frame.saturating_add(1), &runs)?;
        let decode_time = u64::from(self.next_frame) * u64::from(self.profile.frame_rate.den());
        self.index.push((decode_time, self.written));
        self.written += bytes.len() as u64;
        self.segments += 1;
        self.next_frame = end;
        self.next_unit = units_end;
        Ok(bytes)
    }

    /// Ends the file: the bytes of its index by time (`mfra`; ISO/IEC 14496-12, section 8.8.9).
    ///
    /// # Errors
    /// When frames are missing.
    pub fn end(self) -> Result<Vec<u8>, CmafError> {
        if self.next_frame != self.frames {
            return Err(CmafError::Frames {
                given: u64::from(self.next_frame),
                promised: u64::from(self.frames),
            });
        }
        Ok(boxed(b"mfra", |mfra| {
            mfra.extend(full(b"tfra", 1, 0, |bytes| {
                put32(bytes, VIDEO_TRACK);
                // The numbers of track fragment, run and sample take a byte each, and are 1.
                put32(bytes, 0);
                put32(bytes, self.index.len() as u32);
                for (time, offset) in &self.index {
                    put64(bytes, *time);
                    put64(bytes, *offset);
                    bytes.extend([1, 1, 1]);
                }
            }));
            // The length of the whole `mfra`, at its very end: its own header, what is there, and this box.
            let length = (mfra.len() + 16) as u32;
            mfra.extend(full(b"mfro", 0, 0, |bytes| put32(bytes, length)));
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::boxes::{long, whole, word};
    use crate::package::cmaf::tests::{profile, segment, track};

    #[test]
    fn the_index_at_the_end_finds_every_fragment() {
        let track = track(20_000);
        let parts = [segment(&[0, 2, 1]), segment(&[0, 1])];
        let (mut writer, mut file) = Fragmented::begin(profile(), &parts[0].config, Some(&track), "en", 5);
        let mut starts = Vec::new();
        for part in &parts {
            starts.push(file.len() as u64);
            file.extend(writer.segment(part).unwrap());
        }
        let end = file.len();
        file.extend(writer.end().unwrap());
        // The last four bytes tell how long the index is.
        assert_eq!(word(&file, file.len() - 4).map(|length| length as usize), Some(file.len() - end));
        let boxes = whole(&file[end + 8..]).unwrap();
        let tfra = boxes[0].content;
        let entry = |index: usize| (long(tfra, 16 + index * 19), long(tfra, 24 + index * 19));
        assert_eq!(word(tfra, 12), Some(2));
        assert_eq!(entry(0), (Some(0), Some(starts[0])));
        assert_eq!(entry(1), (Some(3 * 1001), Some(starts[1])));
    }

    #[test]
    fn frames_are_counted_and_segments_alike() {
        let one = segment(&[0, 2, 1]);
        let begin = |frames| Fragmented::<&AacTrack>::begin(profile(), &one.config, None, "en", frames).0;
        let missing = begin(4);
        assert_eq!(missing.end(), Err(CmafError::Frames { given: 0, promised: 4 }));
        let mut many = begin(4);
        many.segment(&one).unwrap();
        assert_eq!(many.segment(&one), Err(CmafError::Frames { given: 6, promised: 4 }));
        let mut other = one.clone();
        other.config[3] = 41;
        assert_eq!(many.segment(&other), Err(CmafError::Configuration(1)));
    }
}
