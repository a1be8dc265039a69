//! Fragments of a movie (ISO/IEC 14496-12, section 8.8) as CMAF wants them (ISO/IEC 23000-19, section 7): one header for
//! each track, then media segments that stand on their own.
//!
//! A media segment of pictures is made of an encoded segment and the number of its first frame alone, for its decode
//! time counts from the start of the video. So its bytes follow from its [name](video_name), and every viewer for whom the same
//! pictures start at the same frame gets the same file.

use std::ops::Range;

use vignette_templates::blob::Digest;
use vignette_templates::time::Time;

use super::boxes::{boxed, dinf, edts, full, hdlr, mdhd, put_matrix, put16, put32, put64, tkhd};
use super::mp4::{MOVIE_TIMESCALE, mp4a, video_entry};
use crate::audio::{AacTrack, FRAME_LENGTH, PRIMING, SAMPLE_RATE};
use crate::encode::VideoProfile;
use crate::plan::{ENGINE_VERSION, SegmentKey};
use crate::segment::EncodedSegment;

/// The track of pictures in every file made here.
pub(super) const VIDEO_TRACK: u32 = 1;
/// The track of sound in every file made here.
pub(super) const AUDIO_TRACK: u32 = 2;

/// Sound is cut as near as access units allow to multiples of this many seconds.
const AUDIO_SEGMENT_SECONDS: u64 = 2;

/// Why something cannot be put into a fragment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CmafError {
    /// An encoded segment is not one closed run of pictures: it was damaged on its way.
    #[error("an encoded segment is damaged: {0}")]
    Segment(&'static str),
    /// The segments were not encoded alike.
    #[error("segment {0} has another decoder configuration than the first")]
    Configuration(usize),
    /// More or fewer frames than the header promised.
    #[error("{given} frames instead of {promised}")]
    Frames {
        /// Frames given.
        given: u64,
        /// Frames that the header tells of.
        promised: u64,
    },
    /// A range of access units that the track does not have.
    #[error("access units {0} to {1} are not in the sound track")]
    Units(usize, usize),
    /// A fragment would be larger than its 32-bit lengths can say.
    #[error("a fragment of more than 2 GiB")]
    TooLarge,
}

/// The name of the media segment that shows the frames of `key` from `first_frame` of the video on: `{key}-{first_frame}.m4s`.
pub fn video_name(key: SegmentKey, first_frame: u32) -> String {
    format!("{key}-{first_frame}.m4s")
}

/// The name of the header for pictures of this profile. It tells nothing of the video: all videos of a profile share it.
pub fn init_video_name(profile: &VideoProfile) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("vignette video header v1");
    hasher.update(&ENGINE_VERSION.to_le_bytes());
    for number in [profile.width, profile.height, profile.frame_rate.num(), profile.frame_rate.den()] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(&[profile.quality]);
    hasher.update(profile.encoder.element().as_bytes());
    if let Some(build) = profile.encoder.build() {
        hasher.update(&build.0);
    }
    format!("{}.mp4", Digest(*hasher.finalize().as_bytes()))
}

/// The name of the media segment that starts with access unit `first_unit` of the sound named `key`.
pub fn audio_name(key: Digest, first_unit: usize) -> String {
    format!("{key}-{first_unit}.m4s")
}

/// The name of the header of the sound named `key`.
pub fn init_audio_name(key: Digest) -> String {
    format!("{}.mp4", Digest(blake3::derive_key("vignette sound header v2", &key.0)))
}

/// Names a sound track by its bytes. A caller that knows what the sound is made of may name it by that instead, before it is encoded.
pub fn audio_key(track: &AacTrack) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("vignette sound track v1");
    hasher.update(&track.priming.to_le_bytes()).update(&track.length.to_le_bytes());
    hasher.update(&track.config);
    for unit in &track.samples {
        hasher.update(&(unit.len() as u64).to_le_bytes()).update(unit);
    }
    Digest(*hasher.finalize().as_bytes())
}

/// How a sound track lies in time; known before it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioTiming {
    /// Samples per second.
    pub sample_rate: u32,
    /// Samples per channel in each access unit.
    pub frame_length: u32,
    /// Samples per channel before the programme's first one.
    pub priming: u32,
    /// Samples per channel of the programme itself.
    pub length: u64,
}

impl AudioTiming {
    /// The timing of an encoded track.
    pub fn of(track: &AacTrack) -> Self {
        AudioTiming {
            sample_rate: track.sample_rate,
            frame_length: track.frame_length,
            priming: track.priming,
            length: track.length,
        }
    }

    /// The timing that the sound of a video of that `length` will have.
    pub fn planned(length: Time) -> Self {
        AudioTiming {
            sample_rate: SAMPLE_RATE,
            frame_length: FRAME_LENGTH,
            priming: PRIMING,
            length: u64::try_from(length.to_samples(SAMPLE_RATE)).unwrap_or(0),
        }
    }

    /// Access units of the whole track.
    pub fn units(&self) -> usize {
        (u64::from(self.priming) + self.length).div_ceil(u64::from(self.frame_length.max(1))) as usize
    }

    /// The access units of each media segment, in order, without gaps; each segment ends as near as units allow to a multiple of two
    /// seconds of the programme. A rest of less than an eighth of that joins the segment before it.
    pub fn segments(&self) -> Vec<Range<usize>> {
        let (unit, units) = (u64::from(self.frame_length.max(1)), self.units());
        let step = u64::from(self.sample_rate) * AUDIO_SEGMENT_SECONDS;
        let mut ranges = Vec::new();
        let mut start = 0;
        for number in 1.. {
            let sample = number * step + u64::from(self.priming);
            let end = ((sample + unit / 2) / unit) as usize;
            if step == 0 || number * step + step / 8 > self.length || end >= units {
                break;
            }
            ranges.push(start..end);
            start = end;
        }
        if start < units {
            ranges.push(start..units);
        }
        ranges
    }

    /// How many samples of the programme these access units play.
    pub fn played(&self, units: &Range<usize>) -> u64 {
        self.played_until(units.end) - self.played_until(units.start)
    }

    fn played_until(&self, unit: usize) -> u64 {
        let samples = unit as u64 * u64::from(self.frame_length);
        samples.saturating_sub(u64::from(self.priming)).min(self.length)
    }

    /// How many access units start before `time` of the programme.
    pub(super) fn units_before(&self, time: Time) -> usize {
        let samples = u64::try_from(time.to_samples(self.sample_rate)).unwrap_or(0);
        let units = (samples + u64::from(self.priming)).div_ceil(u64::from(self.frame_length.max(1)));
        (units as usize).min(self.units())
    }
}

/// The header of a CMAF track of pictures. `config` is the `avcC` record of its segments.
///
/// Its edit list starts at the composition time of the first frame, as that of the sound skips the priming. Signed composition offsets
/// would do without (brand `cmf2`), but libavformat then shows every frame late by the reordering.
pub fn init_video(profile: &VideoProfile, config: &[u8]) -> Vec<u8> {
    let mut bytes = file_type(b"iso6", &[b"iso6", b"cmfc"]);
    bytes.extend(movie(&[(VIDEO_TRACK, video_track(profile, config))], None));
    bytes
}

/// The header of a CMAF track of sound. It does not tell how long the sound is.
///
/// Its edit list skips the encoder's priming, so that the programme's first sample sounds at 0. The edit lasts 0, which stands for all
/// fragments to come (ISO/IEC 14496-12, section 8.6.6.1).
///
/// It names no language (`und`, ISO 639-2): the playlist does, and the same sound may serve several, as music without words does.
pub fn init_audio(track: &AacTrack) -> Vec<u8> {
    let mut bytes = file_type(b"iso6", &[b"iso6", b"cmfc"]);
    bytes.extend(movie(&[(AUDIO_TRACK, audio_track(track, "und"))], None));
    bytes
}

/// The header of a file with both tracks, for fragments that hold pictures and sound together.
pub(super) fn init_both(
    profile: &VideoProfile,
    config: &[u8],
    audio: Option<&AacTrack>,
    locale: &str,
    frames: u32,
) -> Vec<u8> {
    let rate = profile.frame_rate;
    let length =
        u64::from(frames) * u64::from(rate.den()) * u64::from(MOVIE_TIMESCALE) / u64::from(rate.num());
    let mut tracks = vec![(VIDEO_TRACK, video_track(profile, config))];
    tracks.extend(audio.map(|audio| (AUDIO_TRACK, audio_track(audio, locale))));
    let mut bytes = file_type(b"iso6", &[b"iso6", b"mp41"]);
    bytes.extend(movie(&tracks, Some(length)));
    bytes
}

/// A media segment of pictures whose first frame is frame `first_frame` of the video: it is decoded and shown at exactly that time.
///
/// Decoding runs ahead of showing: all composition offsets are larger by the reordering, which the header's edit list takes off again.
/// The fragment's sequence number is `first_frame + 1`: it grows along a video, as it must, and follows from the name.
///
/// # Errors
/// A segment that is not one closed run of pictures.
pub fn video_segment(
    segment: &EncodedSegment,
    profile: &VideoProfile,
    first_frame: u32,
) -> Result<Vec<u8>, CmafError> {
    let mut bytes = segment_type();
    bytes.extend(fragment(first_frame.saturating_add(1), &[video_run(segment, profile, first_frame)?])?);
    Ok(bytes)
}

/// A media segment of sound: these access units. The last of the track lasts only as long as the programme does.
///
/// # Errors
/// Units that the track does not have.
pub fn audio_segment(track: &AacTrack, units: Range<usize>) -> Result<Vec<u8>, CmafError> {
    let mut bytes = segment_type();
    let sequence = u32::try_from(units.start).unwrap_or(u32::MAX).saturating_add(1);
    bytes.extend(fragment(sequence, &[audio_run(track, units)?])?);
    Ok(bytes)
}

/// The name of a codec as RFC 6381 has it, for AAC with this AudioSpecificConfig (ISO/IEC 14496-3, section 1.6.2.1), e.g. `mp4a.40.2`;
/// `None` when it is cut short.
pub fn aac_codec(config: &[u8]) -> Option<String> {
    let kind = match config.first()? >> 3 {
        31 => 32 + ((config.first()? & 7) << 3 | config.get(1)? >> 5),
        kind => kind,
    };
    Some(format!("mp4a.40.{kind}"))
}

/// One sample of a fragment.
pub(super) struct Sample<'a> {
    data: &'a [u8],
    duration: u32,
    flags: u32,
    offset: i32,
}

/// The samples of one track in one fragment.
pub(super) struct Run<'a> {
    track: u32,
    decode_time: u64,
    samples: Vec<Sample<'a>>,
}

/// Sample flags (ISO/IEC 14496-12, section 8.8.3.1): depends on no other sample.
const SYNC: u32 = 0x0200_0000;
/// Sample flags: depends on others, and decoding cannot start at it.
const DEPENDENT: u32 = 0x0101_0000;

/// The pictures of a segment as a run.
pub(super) fn video_run<'a>(
    segment: &'a EncodedSegment,
    profile: &VideoProfile,
    first_frame: u32,
) -> Result<Run<'a>, CmafError> {
    let damaged = |what| Err(CmafError::Segment(what));
    if !segment.units.first().is_some_and(|unit| unit.key && unit.shown_at == 0) {
        return damaged("it does not start with a key frame");
    }
    let mut shown = vec![false; segment.units.len()];
    let tick = profile.frame_rate.den();
    let mut samples = Vec::with_capacity(segment.units.len());
    for (decoded, unit) in segment.units.iter().enumerate() {
        match shown.get_mut(unit.shown_at as usize) {
            Some(seen) if !*seen => *seen = true,
            _ => return damaged("its frames are not each shown once"),
        }
        let ahead = i64::from(unit.shown_at) + i64::from(profile.reorder_frames()) - decoded as i64;
        if ahead < 0 {
            return damaged("a frame is shown before it is decoded");
        }
        let offset = ahead * i64::from(tick);
        let Ok(offset) = i32::try_from(offset) else {
            return damaged("a frame is shown too far from its decoding");
        };
        let flags = if unit.key { SYNC } else { DEPENDENT };
        samples.push(Sample { data: &unit.data, duration: tick, flags, offset });
    }
    Ok(Run { track: VIDEO_TRACK, decode_time: u64::from(first_frame) * u64::from(tick), samples })
}

/// Access units of sound as a run.
pub(super) fn audio_run(track: &AacTrack, units: Range<usize>) -> Result<Run<'_>, CmafError> {
    let unit = u64::from(track.frame_length);
    let chosen =
        track.samples.get(units.clone()).ok_or(CmafError::Units(units.start, units.end.saturating_sub(1)))?;
    let end = u64::from(track.priming) + track.length;
    let samples = (units.start..).zip(chosen).map(|(index, data)| {
        let left = end.saturating_sub(index as u64 * unit);
        Sample { data, duration: left.min(unit) as u32, flags: SYNC, offset: 0 }
    });
    Ok(Run { track: AUDIO_TRACK, decode_time: units.start as u64 * unit, samples: samples.collect() })
}

/// A `moof` and its `mdat`. Runs without samples are left out.
pub(super) fn fragment(sequence: u32, runs: &[Run<'_>]) -> Result<Vec<u8>, CmafError> {
    let runs: Vec<&Run<'_>> = runs.iter().filter(|run| !run.samples.is_empty()).collect();
    let lengths: Vec<usize> =
        runs.iter().map(|run| run.samples.iter().map(|sample| sample.data.len()).sum()).collect();
    let media: usize = lengths.iter().sum();
    let moof = |base: usize| {
        let mut at = base;
        boxed(b"moof", |moof| {
            moof.extend(full(b"mfhd", 0, 0, |bytes| put32(bytes, sequence)));
            for (run, length) in runs.iter().zip(&lengths) {
                moof.extend(track_fragment(run, at as u32));
                at += length;
            }
        })
    };
    // Offsets count from the first byte of the `moof`, whose length does not depend on them.
    let head = moof(0).len() + 8;
    if head + media > i32::MAX as usize {
        return Err(CmafError::TooLarge);
    }
    let mut bytes = moof(head);
    bytes.reserve(8 + media);
    put32(&mut bytes, (8 + media) as u32);
    bytes.extend_from_slice(b"mdat");
    for sample in runs.iter().flat_map(|run| &run.samples) {
        bytes.extend_from_slice(sample.data);
    }
    Ok(bytes)
}

fn track_fragment(run: &Run<'_>, data_offset: u32) -> Vec<u8> {
    let first = run.samples.first();
    let default_duration = first.map_or(0, |sample| sample.duration);
    let default_flags = run.samples.get(1).or(first).map_or(0, |sample| sample.flags);
    let unlike = |flags: u32| flags != default_flags;
    let own_durations = run.samples.iter().any(|sample| sample.duration != default_duration);
    let own_flags = run.samples.iter().skip(1).any(|sample| unlike(sample.flags));
    let first_flags = first.map(|sample| sample.flags).filter(|flags| !own_flags && unlike(*flags));
    let offsets = run.track == VIDEO_TRACK;
    boxed(b"traf", |traf| {
        // Flags: offsets count from the `moof`; defaults of duration and flags are given.
        traf.extend(full(b"tfhd", 0, 0x02_0028, |bytes| {
            put32(bytes, run.track);
            put32(bytes, default_duration);
            put32(bytes, default_flags);
        }));
        traf.extend(full(b"tfdt", 1, 0, |bytes| put64(bytes, run.decode_time)));
        // Flags: offset of the data, sizes, and what differs from the defaults.
        let present = 0x201
            | if first_flags.is_some() { 0x4 } else { 0 }
            | if own_durations { 0x100 } else { 0 }
            | if own_flags { 0x400 } else { 0 }
            | if offsets { 0x800 } else { 0 };
        traf.extend(full(b"trun", 1, present, |bytes| {
            put32(bytes, run.samples.len() as u32);
            put32(bytes, data_offset);
            first_flags.into_iter().for_each(|flags| put32(bytes, flags));
            for sample in &run.samples {
                if own_durations {
                    put32(bytes, sample.duration);
                }
                put32(bytes, sample.data.len() as u32);
                if own_flags {
                    put32(bytes, sample.flags);
                }
                if offsets {
                    put32(bytes, sample.offset as u32);
                }
            }
        }));
        if run.track == AUDIO_TRACK {
            // Every unit belongs to the roll group that the header describes.
            traf.extend(full(b"sbgp", 0, 0, |bytes| {
                bytes.extend_from_slice(b"roll");
                put32(bytes, 1);
                put32(bytes, run.samples.len() as u32);
                put32(bytes, 1);
            }));
        }
    })
}

fn file_type(major: &[u8; 4], compatible: &[&[u8; 4]]) -> Vec<u8> {
    boxed(b"ftyp", |bytes| {
        bytes.extend_from_slice(major);
        put32(bytes, 0);
        compatible.iter().for_each(|brand| bytes.extend_from_slice(*brand));
    })
}

/// A media segment (`msdh`) that is one CMAF segment (`cmfs`) of one fragment (`cmff`).
fn segment_type() -> Vec<u8> {
    boxed(b"styp", |bytes| {
        bytes.extend_from_slice(b"msdh");
        put32(bytes, 0);
        for brand in [b"msdh", b"cmfs", b"cmff"] {
            bytes.extend_from_slice(brand);
        }
    })
}

/// The index of a movie that has nothing but fragments. `length`, of the clock of the movie, is told where it is known.
fn movie(tracks: &[(u32, Vec<u8>)], length: Option<u64>) -> Vec<u8> {
    boxed(b"moov", |moov| {
        moov.extend(full(b"mvhd", 0, 0, |bytes| {
            put32(bytes, 0);
            put32(bytes, 0);
            put32(bytes, MOVIE_TIMESCALE);
            put32(bytes, 0);
            put32(bytes, 0x1_0000);
            put16(bytes, 0x100);
            bytes.extend([0; 10]);
            put_matrix(bytes);
            bytes.extend([0; 24]);
            put32(bytes, AUDIO_TRACK + 1);
        }));
        tracks.iter().for_each(|(_, track)| moov.extend_from_slice(track));
        moov.extend(boxed(b"mvex", |mvex| {
            if let Some(length) = length {
                mvex.extend(full(b"mehd", 1, 0, |bytes| put64(bytes, length)));
            }
            for (id, _) in tracks {
                mvex.extend(full(b"trex", 0, 0, |bytes| {
                    put32(bytes, *id);
                    put32(bytes, 1);
                    bytes.extend([0; 12]);
                }));
            }
        }));
    })
}

/// Tables that say that the index itself holds no samples.
fn put_no_samples(stbl: &mut Vec<u8>) {
    stbl.extend(full(b"stts", 0, 0, |bytes| put32(bytes, 0)));
    stbl.extend(full(b"stsc", 0, 0, |bytes| put32(bytes, 0)));
    stbl.extend(full(b"stsz", 0, 0, |bytes| put64(bytes, 0)));
    stbl.extend(full(b"stco", 0, 0, |bytes| put32(bytes, 0)));
}

fn video_track(profile: &VideoProfile, config: &[u8]) -> Vec<u8> {
    boxed(b"trak", |trak| {
        trak.extend(tkhd(VIDEO_TRACK, 0, [profile.width, profile.height], 0, 0));
        trak.extend(edts(0, profile.reorder_frames() * profile.frame_rate.den()));
        trak.extend(boxed(b"mdia", |mdia| {
            mdia.extend(mdhd(profile.frame_rate.num(), 0, "und"));
            mdia.extend(hdlr(b"vide", "Video"));
            mdia.extend(boxed(b"minf", |minf| {
                minf.extend(full(b"vmhd", 0, 1, |bytes| bytes.extend([0; 8])));
                minf.extend(dinf());
                minf.extend(boxed(b"stbl", |stbl| {
                    stbl.extend(full(b"stsd", 0, 0, |bytes| {
                        put32(bytes, 1);
                        bytes.extend(video_entry(profile, config));
                    }));
                    put_no_samples(stbl);
                }));
            }));
        }));
    })
}

fn audio_track(track: &AacTrack, locale: &str) -> Vec<u8> {
    boxed(b"trak", |trak| {
        trak.extend(tkhd(AUDIO_TRACK, 0, [0, 0], 0x100, 1));
        trak.extend(edts(0, track.priming));
        trak.extend(boxed(b"mdia", |mdia| {
            mdia.extend(mdhd(track.sample_rate, 0, locale));
            mdia.extend(hdlr(b"soun", "Audio"));
            mdia.extend(boxed(b"minf", |minf| {
                minf.extend(full(b"smhd", 0, 0, |bytes| put32(bytes, 0)));
                minf.extend(dinf());
                minf.extend(boxed(b"stbl", |stbl| {
                    stbl.extend(full(b"stsd", 0, 0, |bytes| {
                        put32(bytes, 1);
                        bytes.extend(mp4a(track));
                    }));
                    put_no_samples(stbl);
                    // ISO/IEC 14496-12, section 10.1: to start anywhere, one unit before is decoded too (roll distance -1).
                    stbl.extend(full(b"sgpd", 1, 0, |bytes| {
                        bytes.extend_from_slice(b"roll");
                        put32(bytes, 2);
                        put32(bytes, 1);
                        bytes.extend((-1i16).to_be_bytes());
                    }));
                }));
            }));
        }));
    })
}

#[cfg(test)]
pub(super) mod tests {
    use vignette_templates::time::FrameRate;

    use super::*;
    use crate::encode::EncoderId;
    use crate::package::facts::{FragmentReader, Kind};
    use crate::segment::AccessUnit;

    pub(crate) fn profile() -> VideoProfile {
        let frame_rate = FrameRate::new(30000, 1001).unwrap();
        VideoProfile { width: 64, height: 48, frame_rate, quality: 23, encoder: EncoderId::X264 }
    }

    /// A segment whose access units show these frames, in order of decoding.
    pub(crate) fn segment(order: &[u32]) -> EncodedSegment {
        let units = order.iter().map(|shown_at| AccessUnit {
            shown_at: *shown_at,
            key: *shown_at == 0,
            data: vec![*shown_at as u8; 10 + *shown_at as usize],
        });
        EncodedSegment { config: vec![1, 100, 0, 40, 0xff, 0xe0, 0], units: units.collect() }
    }

    /// A track of `length` samples of no sound in particular.
    pub(crate) fn track(length: u64) -> AacTrack {
        let units = (1024 + length).div_ceil(1024);
        AacTrack {
            samples: (0..units).map(|unit| vec![unit as u8; 20 + unit as usize % 7]).collect(),
            config: vec![0x11, 0x90],
            priming: 1024,
            length,
            frame_length: 1024,
            sample_rate: 48_000,
            channels: 2,
            bitrate: 160_000,
        }
    }

    #[test]
    fn segments_follow_one_another() {
        let (a, b) = (segment(&[0, 4, 2, 1, 3]), segment(&[0, 1, 2]));
        let mut reader = FragmentReader::new(&init_video(&profile(), &a.config)).unwrap();
        reader.segment(&video_segment(&a, &profile(), 0).unwrap()).unwrap();
        reader.segment(&video_segment(&b, &profile(), 5).unwrap()).unwrap();
        let facts = reader.finish();
        assert_eq!(facts.len(), 1);
        assert_eq!((facts[0].kind, facts[0].timescale, facts[0].skipped), (Kind::Video, 30000, 2002));
        assert_eq!((facts[0].samples, facts[0].ticks), (8, 8 * 1001));
    }

    #[test]
    fn bytes_follow_from_segment_and_first_frame() {
        let one = segment(&[0, 2, 1]);
        let at = |first| video_segment(&one, &profile(), first).unwrap();
        assert_eq!(at(7), at(7));
        let (a, b) = (at(7), at(8));
        assert_eq!(a.len(), b.len());
        // The last byte of the sequence number and of the decode time: 8 and 9, 7 * 1001 and 8 * 1001.
        assert_eq!(a.iter().zip(&b).filter(|(a, b)| a != b).count(), 3);
    }

    #[test]
    fn damaged_segments_are_refused() {
        let mut keyless = segment(&[0, 1]);
        keyless.units[0].key = false;
        for (name, damaged) in [
            ("empty", segment(&[])),
            ("no key frame", keyless),
            ("starts late", segment(&[1, 0])),
            ("twice", segment(&[0, 1, 1])),
            ("beyond", segment(&[0, 1, 3])),
            ("far beyond", segment(&[0, 200])),
        ] {
            let refused = video_segment(&damaged, &profile(), 0);
            assert!(matches!(refused, Err(CmafError::Segment(_))), "{name}: {refused:?}");
        }
        let units = audio_segment(&track(3000), 3..6);
        assert_eq!(units, Err(CmafError::Units(3, 5)));
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
        let reversed = audio_segment(&track(3000), 2..1);
        assert!(matches!(reversed, Err(CmafError::Units(2, 0))), "{reversed:?}");
    }

    #[test]
    fn sound_is_cut_near_two_seconds() {
        for length in [0, 1, 1023, 1024, 95_000, 96_000, 107_000, 109_000, 480_000, 5_000_003] {
            let track = track(length);
            let timing = AudioTiming::of(&track);
            assert_eq!(timing.units(), track.samples.len(), "{length}");
            assert_eq!(timing, AudioTiming::planned(Time::from_samples(length, 48_000)), "{length}");
            let ranges = timing.segments();
            assert_eq!(ranges.first().map(|range| range.start), Some(0), "{length}");
            assert_eq!(ranges.last().map(|range| range.end), Some(track.samples.len()), "{length}");
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start), "{length}");
            assert_eq!(ranges.iter().map(|range| timing.played(range)).sum::<u64>(), length);
            for (number, range) in (1u64..).zip(&ranges[..ranges.len() - 1]) {
                let end = range.end as u64 * 1024 - 1024;
                assert!(end.abs_diff(number * 96_000) <= 512, "{length}: {range:?}");
            }
            let last = ranges.last().map_or(0, |range| timing.played(range));
            assert!(last <= 96_000 + 12_000 + 512, "{length}: {last}");
            let mut reader = FragmentReader::new(&init_audio(&track)).unwrap();
            for range in ranges {
                reader.segment(&audio_segment(&track, range).unwrap()).unwrap();
            }
            let facts = reader.finish();
            assert_eq!((facts[0].kind, facts[0].played()), (Kind::Audio, length));
            assert_eq!(facts[0].samples, track.samples.len() as u64);
        }
    }

    #[test]
    fn codecs_have_their_names() {
        for (config, name) in [
            (&[0x11, 0x90][..], Some("mp4a.40.2")),
            (&[0x2b, 0x92], Some("mp4a.40.5")),
            (&[0xf8, 0x40], Some("mp4a.40.34")),
            (&[0xf8], None),
            (&[], None),
        ] {
            assert_eq!(aac_codec(config).as_deref(), name, "{config:x?}");
        }
    }
}
