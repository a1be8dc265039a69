//! MP4 files (ISO/IEC 14496-12, -14 and -15) with the index first.

use std::io::{self, Write};

use vignette_templates::time::FrameRate;

use super::boxes::{
    boxed, children, descend, dinf, edts, full, hdlr, mdhd, put_matrix, put16, put32, put64, tkhd, word,
};
use crate::audio::AacTrack;
use crate::encode::{Codec, VideoProfile};
use crate::segment::EncodedSegment;

/// What goes into one file.
pub struct Movie<'a> {
    /// What the pictures were encoded with.
    pub profile: VideoProfile,
    /// The segments in order of showing; at least one.
    pub segments: &'a [&'a EncodedSegment],
    /// The sound, as long as the pictures, if there is any.
    pub audio: Option<&'a AacTrack>,
    /// BCP 47 tag of the sound's language.
    pub locale: &'a str,
}

/// Why segments cannot be put into one file.
#[derive(Debug, thiserror::Error)]
pub enum Mp4Error {
    /// The segments were not encoded alike.
    #[error("segment {0} has another decoder configuration than the first")]
    Configuration(usize),
    /// Writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Ticks per second of the movie's own clock: a whole number of them for a frame of every usual rate (the 1000/1001
/// rates too) and for a sample at 48 kHz, so that lengths in it are exact.
pub const MOVIE_TIMESCALE: u32 = 240_000;

/// One chunk of a track: samples that lie side by side in the file.
struct Chunk {
    first: usize,
    count: usize,
}

/// Writes the whole file.
///
/// # Errors
/// Segments that do not belong together; what the writer reports.
pub fn write(movie: &Movie<'_>, out: &mut impl Write) -> Result<(), Mp4Error> {
    let config = movie.segments.first().map(|segment| segment.config.as_slice()).unwrap_or_default();
    if let Some(odd) = movie.segments.iter().position(|segment| segment.config != config) {
        return Err(Mp4Error::Configuration(odd));
    }
    let video = VideoSamples::gather(movie);
    // About half a second of pictures, then the sound for it, and so on: a player never has to seek far.
    let video_chunks = video_chunks(&video, movie.profile.frame_rate);
    let audio_chunks = movie.audio.map(|audio| audio_chunks(audio, &video_chunks, movie.profile.frame_rate));
    let ftyp = ftyp(movie.profile.codec());
    // Offsets are written as 32 bits or 64, and the index comes first: its length must be known before its content.
    let mut base = 0u64;
    let mut wide = false;
    let media_length = video.bytes() + movie.audio.map_or(0, |audio| total(&audio.samples));
    let moov = loop {
        let moov = moov(movie, config, &video, &video_chunks, audio_chunks.as_deref(), base, wide);
        let start = (ftyp.len() + moov.len() + 16) as u64;
        if start == base {
            break moov;
        }
        wide = start + media_length > u64::from(u32::MAX);
        base = start;
    };
    out.write_all(&ftyp)?;
    out.write_all(&moov)?;
    // A 64-bit length, always: so the header has one size (ISO/IEC 14496-12, section 4.2).
    out.write_all(&1u32.to_be_bytes())?;
    out.write_all(b"mdat")?;
    out.write_all(&(media_length + 16).to_be_bytes())?;
    for (index, chunk) in video_chunks.iter().enumerate() {
        for sample in &video.samples[chunk.first..chunk.first + chunk.count] {
            out.write_all(sample.data)?;
        }
        if let (Some(audio), Some(chunks)) = (movie.audio, &audio_chunks) {
            for unit in &audio.samples[chunks[index].first..chunks[index].first + chunks[index].count] {
                out.write_all(unit)?;
            }
        }
    }
    Ok(())
}

struct VideoSample<'a> {
    data: &'a [u8],
    key: bool,
    /// Composition offset in frames, from its place in decoding order, 0 to twice the reordering.
    offset: u32,
}

struct VideoSamples<'a> {
    samples: Vec<VideoSample<'a>>,
}

impl<'a> VideoSamples<'a> {
    fn gather(movie: &Movie<'a>) -> Self {
        let mut samples = Vec::new();
        let reorder = movie.profile.reorder_frames();
        for segment in movie.segments {
            for (decoded, unit) in segment.units.iter().enumerate() {
                let offset = (unit.shown_at + reorder).saturating_sub(decoded as u32);
                samples.push(VideoSample { data: &unit.data, key: unit.key, offset });
            }
        }
        VideoSamples { samples }
    }

    fn bytes(&self) -> u64 {
        self.samples.iter().map(|sample| sample.data.len() as u64).sum()
    }
}

fn video_chunks(video: &VideoSamples<'_>, rate: FrameRate) -> Vec<Chunk> {
    let per_chunk = ((rate.as_f64() / 2.0).round() as usize).max(1);
    let total = video.samples.len();
    (0..total).step_by(per_chunk).map(|first| Chunk { first, count: per_chunk.min(total - first) }).collect()
}

/// The access units of sound that start while each chunk of pictures shows; the last chunk takes all that remain.
fn audio_chunks(audio: &AacTrack, video: &[Chunk], rate: FrameRate) -> Vec<Chunk> {
    let mut first = 0;
    let last = video.len().saturating_sub(1);
    video
        .iter()
        .enumerate()
        .map(|(index, chunk)| {
            let end_time =
                rate.time_of((chunk.first + chunk.count) as u64).to_samples(audio.sample_rate) as usize;
            let end = match index == last {
                true => audio.samples.len(),
                false => {
                    let units = (end_time + audio.priming as usize).div_ceil(audio.frame_length as usize);
                    units.clamp(first, audio.samples.len())
                }
            };
            let chunk = Chunk { first, count: end - first };
            first = end;
            chunk
        })
        .collect()
}

fn total(units: &[Vec<u8>]) -> u64 {
    units.iter().map(|unit| unit.len() as u64).sum()
}

fn ftyp(codec: Codec) -> Vec<u8> {
    boxed(b"ftyp", |bytes| {
        bytes.extend_from_slice(b"isom");
        put32(bytes, 0x200);
        // AVC and AV1 have brands of their own (ISO/IEC 14496-15, section 5; AV1-ISOBMFF, section 2.1).
        let brands: &[&[u8; 4]] = match codec {
            Codec::H264 => &[b"isom", b"iso2", b"avc1", b"mp41"],
            Codec::Av1 => &[b"isom", b"iso2", b"av01", b"mp41"],
            Codec::H265 | Codec::Vp9 => &[b"isom", b"iso2", b"mp41"],
        };
        for brand in brands {
            bytes.extend_from_slice(*brand);
        }
    })
}

fn moov(
    movie: &Movie<'_>,
    config: &[u8],
    video: &VideoSamples<'_>,
    video_chunks: &[Chunk],
    audio_chunks: Option<&[Chunk]>,
    base: u64,
    wide: bool,
) -> Vec<u8> {
    let frames = video.samples.len() as u64;
    let rate = movie.profile.frame_rate;
    let duration = frames * u64::from(rate.den()) * u64::from(MOVIE_TIMESCALE) / u64::from(rate.num());
    // Where each chunk starts: pictures and sound by turns.
    let mut at = base;
    let (mut video_offsets, mut audio_offsets) = (Vec::new(), Vec::new());
    for (index, chunk) in video_chunks.iter().enumerate() {
        video_offsets.push(at);
        at += video.samples[chunk.first..chunk.first + chunk.count]
            .iter()
            .map(|sample| sample.data.len() as u64)
            .sum::<u64>();
        if let (Some(audio), Some(chunks)) = (movie.audio, audio_chunks) {
            audio_offsets.push(at);
            let chunk = &chunks[index];
            at += total(&audio.samples[chunk.first..chunk.first + chunk.count]);
        }
    }
    boxed(b"moov", |moov| {
        moov.extend(full(b"mvhd", 0, 0, |bytes| {
            // No times of making: the same video is the same file on every day.
            put32(bytes, 0);
            put32(bytes, 0);
            put32(bytes, MOVIE_TIMESCALE);
            put32(bytes, duration as u32);
            put32(bytes, 0x1_0000);
            put16(bytes, 0x100);
            bytes.extend([0; 10]);
            put_matrix(bytes);
            bytes.extend([0; 24]);
            put32(bytes, if movie.audio.is_some() { 3 } else { 2 });
        }));
        moov.extend(video_track(movie, config, video, video_chunks, &video_offsets, duration, wide));
        if let (Some(audio), Some(chunks)) = (movie.audio, audio_chunks) {
            moov.extend(audio_track(movie, audio, chunks, &audio_offsets, wide));
        }
    })
}

/// Run-length pairs of equal values.
fn runs(values: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some((count, last)) if *last == value => *count += 1,
            _ => runs.push((1, value)),
        }
    }
    runs
}

fn put_pairs(bytes: &mut Vec<u8>, pairs: &[(u32, u32)]) {
    put32(bytes, pairs.len() as u32);
    for (count, value) in pairs {
        put32(bytes, *count);
        put32(bytes, *value);
    }
}

fn stsc(chunks: &[Chunk]) -> Vec<u8> {
    full(b"stsc", 0, 0, |bytes| {
        let mut entries: Vec<(u32, u32)> = Vec::new();
        for (index, chunk) in chunks.iter().enumerate() {
            if entries.last().is_none_or(|(_, count)| *count != chunk.count as u32) {
                entries.push((index as u32 + 1, chunk.count as u32));
            }
        }
        put32(bytes, entries.len() as u32);
        for (first, count) in entries {
            put32(bytes, first);
            put32(bytes, count);
            put32(bytes, 1);
        }
    })
}

fn stsz(sizes: impl ExactSizeIterator<Item = usize>) -> Vec<u8> {
    full(b"stsz", 0, 0, |bytes| {
        put32(bytes, 0);
        put32(bytes, sizes.len() as u32);
        for size in sizes {
            put32(bytes, size as u32);
        }
    })
}

fn chunk_offsets(offsets: &[u64], wide: bool) -> Vec<u8> {
    let name = if wide { b"co64" } else { b"stco" };
    full(name, 0, 0, |bytes| {
        put32(bytes, offsets.len() as u32);
        for offset in offsets {
            if wide {
                put64(bytes, *offset);
            } else {
                put32(bytes, *offset as u32);
            }
        }
    })
}

fn video_track(
    movie: &Movie<'_>,
    config: &[u8],
    video: &VideoSamples<'_>,
    chunks: &[Chunk],
    offsets: &[u64],
    duration: u64,
    wide: bool,
) -> Vec<u8> {
    let profile = movie.profile;
    let (timescale, tick) = (profile.frame_rate.num(), profile.frame_rate.den());
    let frames = video.samples.len() as u64;
    boxed(b"trak", |trak| {
        trak.extend(tkhd(1, duration, [profile.width, profile.height], 0, 0));
        // Decoding runs ahead of showing by the reordering: the first frame's composition time, which is time 0.
        trak.extend(edts(duration, movie.profile.reorder_frames() * tick));
        trak.extend(boxed(b"mdia", |mdia| {
            mdia.extend(mdhd(timescale, frames * u64::from(tick), "und"));
            mdia.extend(hdlr(b"vide", "Video"));
            mdia.extend(boxed(b"minf", |minf| {
                minf.extend(full(b"vmhd", 0, 1, |bytes| bytes.extend([0; 8])));
                minf.extend(dinf());
                minf.extend(boxed(b"stbl", |stbl| {
                    stbl.extend(full(b"stsd", 0, 0, |bytes| {
                        put32(bytes, 1);
                        bytes.extend(video_entry(&profile, config));
                    }));
                    stbl.extend(full(b"stts", 0, 0, |bytes| put_pairs(bytes, &[(frames as u32, tick)])));
                    stbl.extend(full(b"ctts", 0, 0, |bytes| {
                        put_pairs(bytes, &runs(video.samples.iter().map(|sample| sample.offset * tick)));
                    }));
                    stbl.extend(full(b"stss", 0, 0, |bytes| {
                        let keys: Vec<u32> = (1..)
                            .zip(&video.samples)
                            .filter(|(_, sample)| sample.key)
                            .map(|(number, _)| number)
                            .collect();
                        put32(bytes, keys.len() as u32);
                        keys.iter().for_each(|number| put32(bytes, *number));
                    }));
                    stbl.extend(stsc(chunks));
                    stbl.extend(stsz(video.samples.iter().map(|sample| sample.data.len())));
                    stbl.extend(chunk_offsets(offsets, wide));
                }));
            }));
        }));
    })
}

/// The sample entry of pictures, with the decoder configuration, colour and pixel shape: H.264 (ISO/IEC 14496-15, section
/// 5.4.2.1), H.265 (the same, section 8.4.1), AV1 (AV1-ISOBMFF, section 2.2) or VP9 (VP Codec ISO Media File Format Binding,
/// section 2.1).
pub(super) fn video_entry(profile: &VideoProfile, config: &[u8]) -> Vec<u8> {
    let (entry, record) = match profile.codec() {
        Codec::H264 => (b"avc1", boxed(b"avcC", |bytes| bytes.extend_from_slice(config))),
        Codec::H265 => (b"hvc1", boxed(b"hvcC", |bytes| bytes.extend_from_slice(config))),
        Codec::Av1 => (b"av01", boxed(b"av1C", |bytes| bytes.extend_from_slice(config))),
        Codec::Vp9 => (b"vp09", full(b"vpcC", 1, 0, |bytes| bytes.extend_from_slice(config))),
    };
    boxed(entry, |bytes| {
        bytes.extend([0; 6]);
        put16(bytes, 1);
        bytes.extend([0; 16]);
        put16(bytes, profile.width as u16);
        put16(bytes, profile.height as u16);
        put32(bytes, 0x48_0000);
        put32(bytes, 0x48_0000);
        put32(bytes, 0);
        put16(bytes, 1);
        bytes.extend([0; 32]);
        put16(bytes, 0x18);
        put16(bytes, 0xffff);
        bytes.extend(record);
        bytes.extend(boxed(b"colr", |bytes| {
            // ITU-T H.273: BT.709 primaries, transfer and matrix are code point 1; limited range.
            bytes.extend_from_slice(b"nclx");
            put16(bytes, 1);
            put16(bytes, 1);
            put16(bytes, 1);
            bytes.push(0);
        }));
        bytes.extend(boxed(b"pasp", |bytes| {
            put32(bytes, 1);
            put32(bytes, 1);
        }));
    })
}

fn audio_track(
    movie: &Movie<'_>,
    audio: &AacTrack,
    chunks: &[Chunk],
    offsets: &[u64],
    wide: bool,
) -> Vec<u8> {
    let rate = audio.sample_rate;
    let units = audio.samples.len() as u64;
    let media = units * u64::from(audio.frame_length);
    let duration = audio.length * u64::from(MOVIE_TIMESCALE) / u64::from(rate);
    boxed(b"trak", |trak| {
        trak.extend(tkhd(2, duration, [0, 0], 0x100, 1));
        // The encoder's priming is skipped, and its padding at the end is not played.
        trak.extend(edts(duration, audio.priming));
        trak.extend(boxed(b"mdia", |mdia| {
            mdia.extend(mdhd(rate, media, movie.locale));
            mdia.extend(hdlr(b"soun", "Audio"));
            mdia.extend(boxed(b"minf", |minf| {
                minf.extend(full(b"smhd", 0, 0, |bytes| put32(bytes, 0)));
                minf.extend(dinf());
                minf.extend(boxed(b"stbl", |stbl| {
                    stbl.extend(full(b"stsd", 0, 0, |bytes| {
                        put32(bytes, 1);
                        bytes.extend(mp4a(audio));
                    }));
                    stbl.extend(full(b"stts", 0, 0, |bytes| {
                        put_pairs(bytes, &[(units as u32, audio.frame_length)]);
                    }));
                    stbl.extend(stsc(chunks));
                    stbl.extend(stsz(audio.samples.iter().map(Vec::len)));
                    stbl.extend(chunk_offsets(offsets, wide));
                    // ISO/IEC 14496-12, section 10.1: to start anywhere, one unit before is decoded too (roll distance -1).
                    stbl.extend(full(b"sgpd", 1, 0, |bytes| {
                        bytes.extend_from_slice(b"roll");
                        put32(bytes, 2);
                        put32(bytes, 1);
                        bytes.extend((-1i16).to_be_bytes());
                    }));
                    stbl.extend(full(b"sbgp", 0, 0, |bytes| {
                        bytes.extend_from_slice(b"roll");
                        put_pairs(bytes, &[(units as u32, 1)]);
                    }));
                }));
            }));
        }));
    })
}

/// The sample entry of AAC (ISO/IEC 14496-14, section 5.6), with its elementary stream descriptor (14496-1, section 7.2.6.5).
pub(super) fn mp4a(audio: &AacTrack) -> Vec<u8> {
    boxed(b"mp4a", |bytes| {
        bytes.extend([0; 6]);
        put16(bytes, 1);
        bytes.extend([0; 8]);
        put16(bytes, 2);
        put16(bytes, 16);
        put32(bytes, 0);
        put32(bytes, audio.sample_rate << 16);
        bytes.extend(full(b"esds", 0, 0, |bytes| {
            let specific = descriptor(5, &audio.config);
            let largest = audio.samples.iter().map(Vec::len).max().unwrap_or(0) as u32;
            let mut decoder = vec![0x40, 0x15];
            decoder.extend(&largest.to_be_bytes()[1..]);
            put32(&mut decoder, audio.bitrate);
            put32(&mut decoder, audio.bitrate);
            decoder.extend(specific);
            let mut stream = vec![0, 2, 0];
            stream.extend(descriptor(4, &decoder));
            stream.extend(descriptor(6, &[2]));
            bytes.extend(descriptor(3, &stream));
        }));
    })
}

fn descriptor(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    let length = content.len();
    bytes.extend(
        [0x80, 0x80, 0x80]
            .iter()
            .zip([21, 14, 7])
            .map(|(more, shift)| more | ((length >> shift) & 0x7f) as u8),
    );
    bytes.push((length & 0x7f) as u8);
    bytes.extend_from_slice(content);
    bytes
}

/// What a file says of itself, read back from its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Pictures.
    pub frames: u64,
    /// Length of the pictures' track in ticks of [`MOVIE_TIMESCALE`].
    pub video_ticks: u64,
    /// Length of the sound's track in ticks of [`MOVIE_TIMESCALE`], if there is one.
    pub audio_ticks: Option<u64>,
    /// Bytes that the samples take together.
    pub media_bytes: u64,
}

/// Reads the index of a file that [`write()`] made; `None` when it is damaged.
pub fn read_facts(file: &[u8]) -> Option<Facts> {
    let moov = children(file).find(|(name, _)| name == b"moov")?.1;
    let mdat = children(file).find(|(name, _)| name == b"mdat")?.1;
    let (mut frames, mut video_ticks, mut audio_ticks, mut media_bytes) = (0, None, None, 0);
    for (_, trak) in children(moov).filter(|(name, _)| name == b"trak") {
        let path = |names: &[&[u8; 4]]| descend(trak, names);
        let handler = path(&[b"mdia", b"hdlr"])?.get(8..12)?;
        let sizes = path(&[b"mdia", b"minf", b"stbl", b"stsz"])?;
        let count = u64::from(word(sizes, 8)?);
        for index in 0..count as usize {
            media_bytes += u64::from(word(sizes, 12 + index * 4)?);
        }
        let ticks = u64::from(word(path(&[b"edts", b"elst"])?, 8)?);
        match handler {
            b"vide" => (frames, video_ticks) = (count, Some(ticks)),
            b"soun" => audio_ticks = Some(ticks),
            _ => {}
        }
    }
    (mdat.len() as u64 == media_bytes).then_some(())?;
    Some(Facts { frames, video_ticks: video_ticks?, audio_ticks, media_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{EncoderId, SegmentEncoder};
    use crate::frame::I420Frame;
    use crate::segment::AccessUnit;

    fn profile(encoder: EncoderId) -> VideoProfile {
        VideoProfile {
            width: 64,
            height: 64,
            frame_rate: FrameRate::new(30, 1).unwrap(),
            quality: 23,
            encoder,
        }
    }

    fn segment(order: &[u32]) -> EncodedSegment {
        let units = order
            .iter()
            .map(|shown_at| AccessUnit {
                shown_at: *shown_at,
                key: *shown_at == 0,
                data: vec![7; 10 + *shown_at as usize],
            })
            .collect();
        EncodedSegment { config: vec![1, 100, 0, 40, 0xff, 0xe0, 0], units }
    }

    #[test]
    fn facts_are_read_back() {
        let profile = profile(EncoderId::X264);
        let (a, b) = (segment(&[0, 4, 2, 1, 3]), segment(&[0, 1, 2]));
        let movie = Movie { profile, segments: &[&a, &b], audio: None, locale: "en" };
        let mut file = Vec::new();
        write(&movie, &mut file).unwrap();
        let facts = read_facts(&file).unwrap();
        assert_eq!((facts.frames, facts.video_ticks, facts.audio_ticks), (8, 64_000, None));
        for cut in [0, 8, 100, file.len() - 1] {
            assert_eq!(read_facts(&file[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn every_codec_has_its_sample_entry() {
        for (encoder, entry, record) in [
            (EncoderId::X264, b"avc1", b"avcC"),
            (EncoderId::X265, b"hvc1", b"hvcC"),
            (EncoderId::Aom, b"av01", b"av1C"),
            (EncoderId::Vpx, b"vp09", b"vpcC"),
        ] {
            let bytes = video_entry(&profile(encoder), &[1, 2, 3]);
            let inner: Vec<[u8; 4]> = children(&bytes[86..]).map(|(name, _)| name).collect();
            assert_eq!((&bytes[4..8], &inner[..]), (&entry[..], &[*record, *b"colr", *b"pasp"][..]));
        }
    }

    /// An independent reader finds every frame of three segments, each as bright as it was made.
    #[test]
    fn files_of_every_codec_are_decoded() {
        let brightness = |index: u32| 40 + 5 * index as u8;
        for (encoder, name) in [
            (EncoderId::X264, "h264"),
            (EncoderId::X265, "hevc"),
            (EncoderId::Aom, "av1"),
            (EncoderId::Vpx, "vp9"),
        ] {
            let profile = profile(encoder);
            let segments: Vec<EncodedSegment> = [0..9, 9..10, 10..31]
                .into_iter()
                .map(|frames| {
                    let mut run = SegmentEncoder::start(profile, frames.len() as u32).unwrap();
                    for index in frames {
                        let mut frame = I420Frame::new(profile.width, profile.height);
                        frame.y.fill(brightness(index));
                        run.push(&frame).unwrap();
                    }
                    run.finish().unwrap()
                })
                .collect();
            let segments: Vec<&EncodedSegment> = segments.iter().collect();
            let movie = Movie { profile, segments: &segments, audio: None, locale: "en" };
            let mut bytes = Vec::new();
            write(&movie, &mut bytes).unwrap();
            let file = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            let run = |program: &str, before: &[&str], after: &[&str]| {
                let output = std::process::Command::new(program)
                    .args(before)
                    .arg(file.path())
                    .args(after)
                    .output()
                    .unwrap_or_else(|error| panic!("{program} (package ffmpeg): {error}"));
                assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}: {program} complains");
                output.stdout
            };
            let probed = run(
                "ffprobe",
                &[
                    "-v",
                    "warning",
                    "-show_entries",
                    "stream=codec_name,color_space,color_range:frame=pts_time",
                    "-of",
                    "flat",
                ],
                &[],
            );
            let probed = String::from_utf8(probed).unwrap();
            for part in [
                format!("codec_name=\"{name}\""),
                "color_space=\"bt709\"".into(),
                "color_range=\"tv\"".into(),
            ] {
                assert!(probed.contains(&part), "{part} is not in {probed}");
            }
            for index in [0u32, 9, 10, 30] {
                let time = format!("frame.{index}.pts_time=\"{:.6}\"", f64::from(index) / 30.0);
                assert!(probed.contains(&time), "{time} is not in {probed}");
            }
            let pixels =
                run("ffmpeg", &["-v", "warning", "-i"], &["-f", "rawvideo", "-pix_fmt", "gray", "-"]);
            // ffmpeg stretches limited range when it makes grey pictures.
            let size = (profile.width * profile.height) as usize;
            assert_eq!(pixels.len(), 31 * size, "{name}");
            for (index, frame) in (0u32..).zip(pixels.chunks_exact(size)) {
                let mean = frame.iter().map(|value| f64::from(*value)).sum::<f64>() / size as f64;
                let expected = (f64::from(brightness(index)) - 16.0) * 255.0 / 219.0;
                assert!((mean - expected).abs() < 2.0, "{name}: frame {index} is {mean}, not {expected}");
            }
        }
    }

    #[test]
    fn segments_of_other_settings_are_refused() {
        let profile = profile(EncoderId::X264);
        let (a, mut b) = (segment(&[0]), segment(&[0]));
        b.config[3] = 41;
        let movie = Movie { profile, segments: &[&a, &b], audio: None, locale: "en" };
        assert!(matches!(write(&movie, &mut Vec::new()), Err(Mp4Error::Configuration(1))));
    }
}
