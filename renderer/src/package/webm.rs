//! WebM files: VP9 or AV1 with Opus in a part of Matroska (RFC 8794, RFC 9559, WebM Container Guidelines), with the index first.
//!
//! Times are whole milliseconds, as players expect of WebM. A frame stands at its exact time rounded to the nearest, so it is at most half
//! a millisecond off and errors never add up; the track's default duration says the exact rate. Sound stands at whole 20 ms.

use std::io::{self, Write};

use super::boxes::packed_language;
use crate::audio::OpusTrack;
use crate::encode::{Codec, VideoProfile};
use crate::segment::EncodedSegment;

/// What goes into one file.
pub struct Movie<'a> {
    /// What the pictures were encoded with; to VP9 or AV1.
    pub profile: VideoProfile,
    /// The segments in order of showing; at least one.
    pub segments: &'a [&'a EncodedSegment],
    /// The sound, as long as the pictures, if there is any.
    pub audio: Option<&'a OpusTrack>,
    /// BCP 47 tag of the sound's language.
    pub locale: &'a str,
}

/// Why segments cannot be put into one file.
#[derive(Debug, thiserror::Error)]
pub enum WebmError {
    /// The segments were not encoded alike.
    #[error("segment {0} has another decoder configuration than the first")]
    Configuration(usize),
    /// WebM holds VP9 and AV1 alone.
    #[error("WebM holds no {0}: encode as vp9 or av1, or write MP4")]
    Codec(Codec),
    /// A segment is too long for the times inside a cluster.
    #[error("segment {0} is longer than 32 s, which a cluster cannot hold")]
    TooLong(usize),
    /// Writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Element IDs (RFC 8794, section 11.3; RFC 9559, section 5.1).
mod id {
    pub const EBML: u32 = 0x1a45_dfa3;
    pub const EBML_VERSION: u32 = 0x4286;
    pub const EBML_READ_VERSION: u32 = 0x42f7;
    pub const EBML_MAX_ID_LENGTH: u32 = 0x42f2;
    pub const EBML_MAX_SIZE_LENGTH: u32 = 0x42f3;
    pub const DOC_TYPE: u32 = 0x4282;
    pub const DOC_TYPE_VERSION: u32 = 0x4287;
    pub const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub const SEGMENT: u32 = 0x1853_8067;
    pub const SEEK_HEAD: u32 = 0x114d_9b74;
    pub const SEEK: u32 = 0x4dbb;
    pub const SEEK_ID: u32 = 0x53ab;
    pub const SEEK_POSITION: u32 = 0x53ac;
    pub const INFO: u32 = 0x1549_a966;
    pub const TIMESTAMP_SCALE: u32 = 0x2a_d7b1;
    pub const DURATION: u32 = 0x4489;
    pub const MUXING_APP: u32 = 0x4d80;
    pub const WRITING_APP: u32 = 0x5741;
    pub const TRACKS: u32 = 0x1654_ae6b;
    pub const TRACK_ENTRY: u32 = 0xae;
    pub const TRACK_NUMBER: u32 = 0xd7;
    pub const TRACK_UID: u32 = 0x73c5;
    pub const TRACK_TYPE: u32 = 0x83;
    pub const FLAG_LACING: u32 = 0x9c;
    pub const LANGUAGE: u32 = 0x22_b59c;
    pub const LANGUAGE_BCP47: u32 = 0x22_b59d;
    pub const CODEC_ID: u32 = 0x86;
    pub const CODEC_PRIVATE: u32 = 0x63a2;
    pub const CODEC_DELAY: u32 = 0x56aa;
    pub const SEEK_PRE_ROLL: u32 = 0x56bb;
    pub const DEFAULT_DURATION: u32 = 0x23_e383;
    pub const VIDEO: u32 = 0xe0;
    pub const FLAG_INTERLACED: u32 = 0x9a;
    pub const PIXEL_WIDTH: u32 = 0xb0;
    pub const PIXEL_HEIGHT: u32 = 0xba;
    pub const COLOUR: u32 = 0x55b0;
    pub const MATRIX: u32 = 0x55b1;
    pub const BITS_PER_CHANNEL: u32 = 0x55b2;
    pub const CHROMA_SITING_HORZ: u32 = 0x55b7;
    pub const CHROMA_SITING_VERT: u32 = 0x55b8;
    pub const RANGE: u32 = 0x55b9;
    pub const TRANSFER: u32 = 0x55ba;
    pub const PRIMARIES: u32 = 0x55bb;
    pub const AUDIO: u32 = 0xe1;
    pub const SAMPLING_FREQUENCY: u32 = 0xb5;
    pub const CHANNELS: u32 = 0x9f;
    pub const CUES: u32 = 0x1c53_bb6b;
    pub const CUE_POINT: u32 = 0xbb;
    pub const CUE_TIME: u32 = 0xb3;
    pub const CUE_TRACK_POSITIONS: u32 = 0xb7;
    pub const CUE_TRACK: u32 = 0xf7;
    pub const CUE_CLUSTER_POSITION: u32 = 0xf1;
    pub const CLUSTER: u32 = 0x1f43_b675;
    pub const TIMESTAMP: u32 = 0xe7;
    pub const SIMPLE_BLOCK: u32 = 0xa3;
    pub const BLOCK_GROUP: u32 = 0xa0;
    pub const BLOCK: u32 = 0xa1;
    pub const DISCARD_PADDING: u32 = 0x75a2;
}

const VIDEO_TRACK: u8 = 1;
const AUDIO_TRACK: u8 = 2;

/// How long Opus is decoded before a place that was jumped to, so that it sounds right there (RFC 7845, section 4.6): 80 ms.
const OPUS_PRE_ROLL: u64 = 80_000_000;

/// Writes the whole file. The same input gives the same bytes: there are no dates and no random numbers in it.
///
/// # Errors
/// Segments that do not belong together or into WebM; what the writer reports.
pub fn write(movie: &Movie<'_>, out: &mut impl Write) -> Result<(), WebmError> {
    let codec = movie.profile.codec();
    if !matches!(codec, Codec::Vp9 | Codec::Av1) {
        return Err(WebmError::Codec(codec));
    }
    let config = movie.segments.first().map(|segment| segment.config.as_slice()).unwrap_or_default();
    if let Some(odd) = movie.segments.iter().position(|segment| segment.config != config) {
        return Err(WebmError::Configuration(odd));
    }
    let clusters = clusters(movie)?;
    let header = master(id::EBML, |bytes| {
        for (element, value) in [
            (id::EBML_VERSION, 1),
            (id::EBML_READ_VERSION, 1),
            (id::EBML_MAX_ID_LENGTH, 4),
            (id::EBML_MAX_SIZE_LENGTH, 8),
        ] {
            put_number(bytes, element, value);
        }
        put(bytes, id::DOC_TYPE, b"webm");
        put_number(bytes, id::DOC_TYPE_VERSION, 4);
        put_number(bytes, id::DOC_TYPE_READ_VERSION, 2);
    });
    let info = master(id::INFO, |bytes| {
        put_number(bytes, id::TIMESTAMP_SCALE, 1_000_000);
        let frames = movie.segments.iter().map(|segment| u64::from(segment.frames())).sum();
        put(bytes, id::DURATION, &exact_milliseconds(movie, frames).to_be_bytes());
        put(bytes, id::MUXING_APP, b"vignette");
        put(bytes, id::WRITING_APP, b"vignette");
    });
    let tracks = tracks(movie, config);
    // The index stands in front of what it points to. Its numbers all take eight bytes, so its length does not depend on them.
    let seek_length = seek_head([0; 3]).len() as u64;
    let cues_at = seek_length + (info.len() + tracks.len()) as u64;
    let seek = seek_head([seek_length, seek_length + info.len() as u64, cues_at]);
    let clusters_at = cues_at + cues(&clusters, 0).len() as u64;
    let cues = cues(&clusters, clusters_at);
    let media: u64 = clusters.iter().map(|cluster| cluster.file_length()).sum();
    out.write_all(&header)?;
    out.write_all(&id_bytes(id::SEGMENT))?;
    out.write_all(&long_size(clusters_at + media))?;
    for part in [seek, info, tracks, cues] {
        out.write_all(&part)?;
    }
    for cluster in &clusters {
        cluster.write(out)?;
    }
    Ok(())
}

/// One block of a cluster.
struct Block<'a> {
    track: u8,
    /// Milliseconds from the cluster's start.
    time: i16,
    key: bool,
    data: &'a [u8],
    /// Nanoseconds at its end that are not played.
    discarded: u64,
}

impl Block<'_> {
    /// Track number, time, flags (RFC 9559, sections 10.1 and 10.2).
    fn head(&self, simple: bool) -> [u8; 4] {
        let time = self.time.to_be_bytes();
        [0x80 | self.track, time[0], time[1], if simple && self.key { 0x80 } else { 0 }]
    }

    /// What stands before the data, when the element is written.
    fn prefix(&self) -> Vec<u8> {
        let content = self.data.len() as u64 + 4;
        let mut bytes = Vec::with_capacity(24);
        if self.discarded > 0 {
            bytes.extend(id_bytes(id::BLOCK_GROUP));
            let inner = 1 + size_bytes(content).len() as u64 + content + self.suffix().len() as u64;
            bytes.extend(size_bytes(inner));
            bytes.extend(id_bytes(id::BLOCK));
        } else {
            bytes.extend(id_bytes(id::SIMPLE_BLOCK));
        }
        bytes.extend(size_bytes(content));
        bytes.extend(self.head(self.discarded == 0));
        bytes
    }

    /// What stands behind the data: how much of it is not played (RFC 9559, section 5.1.3.5.7).
    fn suffix(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.discarded > 0 {
            put(&mut bytes, id::DISCARD_PADDING, &(self.discarded as i64).to_be_bytes());
        }
        bytes
    }

    fn length(&self) -> u64 {
        (self.prefix().len() + self.data.len() + self.suffix().len()) as u64
    }
}

/// One segment of pictures and the sound that starts while it shows.
struct Cluster<'a> {
    /// Milliseconds from the start of the file.
    start: u64,
    blocks: Vec<Block<'a>>,
}

impl Cluster<'_> {
    fn timestamp(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(&mut bytes, id::TIMESTAMP, self.start);
        bytes
    }

    fn content_length(&self) -> u64 {
        self.timestamp().len() as u64 + self.blocks.iter().map(Block::length).sum::<u64>()
    }

    fn file_length(&self) -> u64 {
        4 + 8 + self.content_length()
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&id_bytes(id::CLUSTER))?;
        out.write_all(&long_size(self.content_length()))?;
        out.write_all(&self.timestamp())?;
        for block in &self.blocks {
            out.write_all(&block.prefix())?;
            out.write_all(block.data)?;
            out.write_all(&block.suffix())?;
        }
        Ok(())
    }
}

/// When frame `index` shows, in milliseconds, not rounded.
fn exact_milliseconds(movie: &Movie<'_>, index: u64) -> f64 {
    let rate = movie.profile.frame_rate;
    (u128::from(index) * u128::from(rate.den()) * 1000) as f64 / f64::from(rate.num())
}

/// When frame `index` shows, rounded to the nearest millisecond.
fn milliseconds(movie: &Movie<'_>, index: u64) -> u64 {
    let rate = movie.profile.frame_rate;
    let (scaled, num) = (u128::from(index) * u128::from(rate.den()) * 1000, u128::from(rate.num()));
    ((scaled + num / 2) / num) as u64
}

fn clusters<'a>(movie: &Movie<'a>) -> Result<Vec<Cluster<'a>>, WebmError> {
    let mut clusters: Vec<Cluster<'a>> = Vec::with_capacity(movie.segments.len());
    let mut first_frame = 0u64;
    for (index, segment) in movie.segments.iter().enumerate() {
        let start = milliseconds(movie, first_frame);
        let mut blocks = Vec::with_capacity(segment.units.len() + 128);
        for unit in &segment.units {
            // VP9 and AV1 come in order of showing.
            let time = milliseconds(movie, first_frame + u64::from(unit.shown_at)) - start;
            blocks.push(Block {
                track: VIDEO_TRACK,
                time: i16::try_from(time).map_err(|_| WebmError::TooLong(index))?,
                key: unit.key,
                data: &unit.data,
                discarded: 0,
            });
        }
        clusters.push(Cluster { start, blocks });
        first_frame += u64::from(segment.frames());
    }
    if let Some(audio) = movie.audio {
        let ends: Vec<u64> = clusters.iter().skip(1).map(|cluster| cluster.start).chain([u64::MAX]).collect();
        let mut packets = audio.packets.iter().enumerate().peekable();
        for (index, (cluster, end)) in clusters.iter_mut().zip(ends).enumerate() {
            while let Some((number, packet)) =
                packets.next_if(|(number, _)| packet_milliseconds(audio, *number) < end)
            {
                let time = packet_milliseconds(audio, number) - cluster.start;
                let last = number + 1 == audio.packets.len();
                let discarded = if last { u64::from(audio.discarded()) } else { 0 };
                cluster.blocks.push(Block {
                    track: AUDIO_TRACK,
                    time: i16::try_from(time).map_err(|_| WebmError::TooLong(index))?,
                    key: true,
                    data: packet,
                    discarded: nanoseconds(discarded, audio.sample_rate),
                });
            }
            // In order of time, pictures first: a stable sort keeps each track's own order.
            cluster.blocks.sort_by_key(|block| (block.time, block.track));
        }
    }
    Ok(clusters)
}

/// When a packet is decoded. It sounds earlier by the codec's delay, so the programme begins with the pictures.
fn packet_milliseconds(audio: &OpusTrack, number: usize) -> u64 {
    number as u64 * u64::from(audio.packet_length) * 1000 / u64::from(audio.sample_rate)
}

/// The length of `samples`, rounded to the nearest nanosecond.
fn nanoseconds(samples: u64, rate: u32) -> u64 {
    (samples * 1_000_000_000 + u64::from(rate) / 2) / u64::from(rate)
}

fn seek_head(positions: [u64; 3]) -> Vec<u8> {
    master(id::SEEK_HEAD, |bytes| {
        for (element, position) in [id::INFO, id::TRACKS, id::CUES].into_iter().zip(positions) {
            bytes.extend(master(id::SEEK, |bytes| {
                put(bytes, id::SEEK_ID, &id_bytes(element));
                put(bytes, id::SEEK_POSITION, &position.to_be_bytes());
            }));
        }
    })
}

/// One entry for each cluster, all of which start with a key frame; `clusters_at` counts from the start of the segment's content.
fn cues(clusters: &[Cluster<'_>], clusters_at: u64) -> Vec<u8> {
    let mut position = clusters_at;
    master(id::CUES, |bytes| {
        for cluster in clusters {
            bytes.extend(master(id::CUE_POINT, |bytes| {
                put_number(bytes, id::CUE_TIME, cluster.start);
                bytes.extend(master(id::CUE_TRACK_POSITIONS, |bytes| {
                    put_number(bytes, id::CUE_TRACK, u64::from(VIDEO_TRACK));
                    put(bytes, id::CUE_CLUSTER_POSITION, &position.to_be_bytes());
                }));
            }));
            position += cluster.file_length();
        }
    })
}

fn tracks(movie: &Movie<'_>, config: &[u8]) -> Vec<u8> {
    let profile = &movie.profile;
    master(id::TRACKS, |tracks| {
        tracks.extend(master(id::TRACK_ENTRY, |bytes| {
            put_track(bytes, movie, VIDEO_TRACK, 1);
            let (codec, private) = match profile.codec() {
                Codec::Av1 => ("V_AV1", config.to_vec()),
                _ => ("V_VP9", vp9_private(config)),
            };
            put(bytes, id::CODEC_ID, codec.as_bytes());
            put(bytes, id::CODEC_PRIVATE, &private);
            let rate = profile.frame_rate;
            let nanoseconds = u64::from(rate.den()) * 1_000_000_000;
            put_number(
                bytes,
                id::DEFAULT_DURATION,
                (nanoseconds + u64::from(rate.num()) / 2) / u64::from(rate.num()),
            );
            bytes.extend(master(id::VIDEO, |bytes| {
                // Progressive.
                put_number(bytes, id::FLAG_INTERLACED, 2);
                put_number(bytes, id::PIXEL_WIDTH, u64::from(profile.width));
                put_number(bytes, id::PIXEL_HEIGHT, u64::from(profile.height));
                bytes.extend(master(id::COLOUR, |bytes| {
                    // ITU-T H.273: BT.709 is 1; chroma level with the left column and half way between rows; limited range.
                    for (element, value) in [
                        (id::MATRIX, 1),
                        (id::BITS_PER_CHANNEL, 8),
                        (id::CHROMA_SITING_HORZ, 1),
                        (id::CHROMA_SITING_VERT, 2),
                        (id::RANGE, 1),
                        (id::TRANSFER, 1),
                        (id::PRIMARIES, 1),
                    ] {
                        put_number(bytes, element, value);
                    }
                }));
            }));
        }));
        let Some(audio) = movie.audio else { return };
        tracks.extend(master(id::TRACK_ENTRY, |bytes| {
            put_track(bytes, movie, AUDIO_TRACK, 2);
            put(bytes, id::CODEC_ID, b"A_OPUS");
            put(bytes, id::CODEC_PRIVATE, &audio.head());
            put_number(bytes, id::CODEC_DELAY, nanoseconds(u64::from(audio.pre_skip), audio.sample_rate));
            put_number(bytes, id::SEEK_PRE_ROLL, OPUS_PRE_ROLL);
            bytes.extend(master(id::AUDIO, |bytes| {
                put(bytes, id::SAMPLING_FREQUENCY, &f64::from(audio.sample_rate).to_be_bytes());
                put_number(bytes, id::CHANNELS, u64::from(audio.channels));
            }));
        }));
    })
}

/// What both kinds of tracks have.
fn put_track(bytes: &mut Vec<u8>, movie: &Movie<'_>, number: u8, kind: u64) {
    put_number(bytes, id::TRACK_NUMBER, u64::from(number));
    put(bytes, id::TRACK_UID, &track_uid(movie, number));
    put_number(bytes, id::TRACK_TYPE, kind);
    put_number(bytes, id::FLAG_LACING, 0);
    // Old readers know the code of three letters, new ones the tag.
    let packed = packed_language(movie.locale);
    let letters = [10, 5, 0].map(|shift| 0x60 + (packed >> shift & 0x1f) as u8);
    put(bytes, id::LANGUAGE, &letters);
    if number == AUDIO_TRACK {
        put(bytes, id::LANGUAGE_BCP47, movie.locale.as_bytes());
    }
}

/// A number that other tracks hardly have, never 0, from what the track holds.
fn track_uid(movie: &Movie<'_>, number: u8) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"vignette webm track");
    hasher.update(&[number]);
    for segment in movie.segments {
        hasher.update(&segment.config);
        segment.units.iter().for_each(|unit| {
            hasher.update(&(unit.data.len() as u64).to_le_bytes());
            hasher.update(&unit.data);
        });
    }
    let mut uid = [0; 8];
    uid.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    uid[7] |= 1;
    uid
}

/// What WebM keeps of a VPCodecConfigurationRecord: profile, level, bits and chroma, each behind its number and length (WebM Container
/// Guidelines, "VP9 Codec Feature Metadata").
fn vp9_private(config: &[u8]) -> Vec<u8> {
    let [profile, level, third, ..] = config else { return Vec::new() };
    vec![1, 1, *profile, 2, 1, *level, 3, 1, third >> 4, 4, 1, third >> 1 & 7]
}

fn id_bytes(element: u32) -> Vec<u8> {
    let bytes = element.to_be_bytes();
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

/// A length in as few bytes as hold it (RFC 8794, section 4). All ones would mean that it is unknown.
fn size_bytes(size: u64) -> Vec<u8> {
    let length = (1..8).find(|length| size < (1 << (7 * length)) - 1).unwrap_or(8);
    (size | 1 << (7 * length)).to_be_bytes()[8 - length..].to_vec()
}

/// A length in eight bytes.
fn long_size(size: u64) -> [u8; 8] {
    (size | 1 << 56).to_be_bytes()
}

fn put(bytes: &mut Vec<u8>, element: u32, content: &[u8]) {
    bytes.extend(id_bytes(element));
    bytes.extend(size_bytes(content.len() as u64));
    bytes.extend_from_slice(content);
}

fn put_number(bytes: &mut Vec<u8>, element: u32, value: u64) {
    let digits = value.to_be_bytes();
    let zeros = digits.iter().take(7).take_while(|byte| **byte == 0).count();
    put(bytes, element, &digits[zeros..]);
}

fn master(element: u32, content: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut inner = Vec::new();
    content(&mut inner);
    let mut bytes = Vec::with_capacity(inner.len() + 12);
    put(&mut bytes, element, &inner);
    bytes
}

/// What a file says of itself, read back from all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Pictures.
    pub frames: u64,
    /// Pictures that decoding can start with, all of which the index points to.
    pub key_frames: u64,
    /// Length in milliseconds, as the header has it.
    pub duration: f64,
    /// When the last picture shows, in milliseconds.
    pub last_frame: u64,
    /// Samples per channel that are heard, if there is sound.
    pub audio_samples: Option<u64>,
    /// Bytes of pictures and sound.
    pub media_bytes: u64,
}

/// Reads a file that [`write()`] made; `None` when it is damaged: an element that is cut, an index that points astray, times that go back.
pub fn read_facts(file: &[u8]) -> Option<Facts> {
    let mut top = Elements(file);
    let (header, _) = top.next()??;
    let (segment, content) = top.next()??;
    if (header, segment) != (id::EBML, id::SEGMENT) || !top.0.is_empty() {
        return None;
    }
    let info = find(content, id::INFO)?;
    let duration = f64::from_be_bytes(find(info, id::DURATION)?.try_into().ok()?);
    let mut facts =
        Facts { frames: 0, key_frames: 0, duration, last_frame: 0, audio_samples: None, media_bytes: 0 };
    let (mut starts, mut packets, mut discarded) = (Vec::new(), 0u64, 0u64);
    let mut elements = Elements(content);
    loop {
        let at = (content.len() - elements.0.len()) as u64;
        let Some(element) = elements.next() else { break };
        let (element, cluster) = element?;
        if element != id::CLUSTER {
            continue;
        }
        let start = number(find(cluster, id::TIMESTAMP)?)?;
        starts.push((start, at));
        let mut blocks = 0;
        for element in Elements(cluster) {
            let (element, inner) = element?;
            let (block, key) = match element {
                id::SIMPLE_BLOCK => (inner, inner.get(3)? & 0x80 != 0),
                id::BLOCK_GROUP => {
                    discarded += number(find(inner, id::DISCARD_PADDING)?)?;
                    (find(inner, id::BLOCK)?, true)
                }
                _ => continue,
            };
            let [track, high, low, _] = block.get(..4)?.try_into().ok()?;
            let time = start.checked_add_signed(i64::from(i16::from_be_bytes([high, low])))?;
            facts.media_bytes += block.len() as u64 - 4;
            if track == 0x80 | VIDEO_TRACK {
                if (facts.frames > 0 && time <= facts.last_frame) || (blocks == 0 && !key) {
                    return None;
                }
                facts.frames += 1;
                facts.key_frames += u64::from(key);
                facts.last_frame = time;
            } else {
                packets += 1;
            }
            blocks += 1;
        }
    }
    let mut pointed = Vec::new();
    for cue in Elements(find(content, id::CUES)?) {
        let (_, cue) = cue?;
        let position = find(find(cue, id::CUE_TRACK_POSITIONS)?, id::CUE_CLUSTER_POSITION)?;
        pointed.push((number(find(cue, id::CUE_TIME)?)?, number(position)?));
    }
    if pointed != starts {
        return None;
    }
    for track in Elements(find(content, id::TRACKS)?) {
        let (_, track) = track?;
        if number(find(track, id::TRACK_TYPE)?)? == 2 {
            let rate = u64::from(crate::audio::SAMPLE_RATE);
            let samples = |nanoseconds: u64| (nanoseconds * rate + 500_000_000) / 1_000_000_000;
            let delay = samples(number(find(track, id::CODEC_DELAY)?)?);
            facts.audio_samples = (packets * rate / 50).checked_sub(delay + samples(discarded));
            facts.audio_samples?;
        }
    }
    Some(facts)
}

/// The elements that lie in some bytes, one after the other; `None` for one that is cut, and then no more.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = Option<(u32, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.0.first()?;
        let read = |bytes: &'a [u8]| {
            let width = first.leading_zeros() as usize + 1;
            let element = bytes.get(..width).filter(|_| width <= 4)?;
            let element = element.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
            let bytes = &bytes[width..];
            let width = bytes.first()?.leading_zeros() as usize + 1;
            let digits = bytes.get(..width).filter(|_| width <= 8)?;
            let size = number(digits)? & !(1 << (7 * width));
            let (content, rest) = bytes[width..].split_at_checked(usize::try_from(size).ok()?)?;
            Some((element, content, rest))
        };
        match read(self.0) {
            Some((element, content, rest)) => {
                self.0 = rest;
                Some(Some((element, content)))
            }
            None => {
                self.0 = &[];
                Some(None)
            }
        }
    }
}

fn find(bytes: &[u8], wanted: u32) -> Option<&[u8]> {
    Elements(bytes).flatten().find(|(element, _)| *element == wanted).map(|(_, content)| content)
}

fn number(digits: &[u8]) -> Option<u64> {
    (digits.len() <= 8).then(|| digits.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use vignette_templates::time::FrameRate;

    use super::*;
    use crate::audio::{Programme, encode_opus};
    use crate::encode::{EncoderId, SegmentEncoder};
    use crate::frame::I420Frame;
    use crate::segment::AccessUnit;

    fn profile(encoder: EncoderId, num: u32, den: u32) -> VideoProfile {
        VideoProfile {
            width: 64,
            height: 48,
            frame_rate: FrameRate::new(num, den).unwrap(),
            quality: 23,
            encoder,
        }
    }

    fn plain(frames: u32) -> EncodedSegment {
        let unit =
            |shown_at| AccessUnit { shown_at, key: shown_at == 0, data: vec![7; 10 + shown_at as usize] };
        EncodedSegment { config: vec![0, 10, 0x80, 1, 1, 1, 0, 0], units: (0..frames).map(unit).collect() }
    }

    fn track(packets: usize, pre_skip: u32, discarded: u32) -> OpusTrack {
        OpusTrack {
            packets: vec![vec![0xfc, 1, 2]; packets],
            pre_skip,
            length: packets as u64 * 960 - u64::from(pre_skip + discarded),
            packet_length: 960,
            sample_rate: 48_000,
            channels: 2,
            bitrate: 128_000,
        }
    }

    fn written(movie: &Movie<'_>) -> Vec<u8> {
        let mut file = Vec::new();
        write(movie, &mut file).unwrap();
        file
    }

    #[test]
    fn numbers_are_as_long_as_they_need() {
        for (size, bytes) in [
            (0, &[0x80][..]),
            (126, &[0xfe]),
            (127, &[0x40, 0x7f]),
            (16_382, &[0x7f, 0xfe]),
            (16_383, &[0x20, 0x3f, 0xff]),
        ] {
            assert_eq!(size_bytes(size), bytes);
        }
        let mut bytes = Vec::new();
        put_number(&mut bytes, id::CUE_TIME, 0);
        put_number(&mut bytes, id::TIMESTAMP_SCALE, 1_000_000);
        assert_eq!(bytes, [0xb3, 0x81, 0, 0x2a, 0xd7, 0xb1, 0x83, 0x0f, 0x42, 0x40]);
    }

    #[test]
    fn facts_are_read_back_and_damage_is_seen() {
        let (a, b) = (plain(30), plain(7));
        let audio = track(62, 312, 100);
        let movie = Movie {
            profile: profile(EncoderId::Vpx, 30, 1),
            segments: &[&a, &b, &b],
            audio: Some(&audio),
            locale: "de-CH",
        };
        let file = written(&movie);
        assert_eq!(file, written(&movie), "the same bytes each time");
        let facts = read_facts(&file).unwrap();
        let expected = Facts {
            frames: 44,
            key_frames: 3,
            duration: 44_000.0 / 30.0,
            last_frame: 1433,
            audio_samples: Some(audio.length),
            media_bytes: 62 * 3 + (30 + 14) * 10 + 29 * 15 + 6 * 7,
        };
        assert_eq!(facts, expected);
        for cut in (0..file.len()).step_by(7) {
            assert_eq!(read_facts(&file[..cut]), None, "cut at {cut}");
        }
        let silent = Movie { audio: None, ..movie };
        assert_eq!(read_facts(&written(&silent)).unwrap().audio_samples, None);
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let (a, mut b, long) = (plain(2), plain(2), plain(33 * 30));
        b.config[1] = 11;
        fn movie<'a>(encoder: EncoderId, segments: &'a [&'a EncodedSegment]) -> Movie<'a> {
            Movie { profile: profile(encoder, 30, 1), segments, audio: None, locale: "en" }
        }
        let fails = |movie: &Movie<'_>| write(movie, &mut Vec::new()).unwrap_err().to_string();
        assert!(fails(&movie(EncoderId::Vpx, &[&a, &b])).contains("segment 1 has another"));
        assert!(fails(&movie(EncoderId::X264, &[&a])).contains("no h264"));
        assert!(fails(&movie(EncoderId::Vpx, &[&a, &long])).contains("segment 1 is longer"));
    }

    /// Brightness that tells a frame from its neighbours.
    fn brightness(index: u32) -> u8 {
        40 + 7 * (index % 25) as u8
    }

    fn noise(frames: u64) -> Programme {
        let mut state = 7u32;
        let mut smooth = [0.0f32; 2];
        let samples = (0..2 * frames as usize)
            .map(|at| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                smooth[at % 2] += 0.3 * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0 - smooth[at % 2]);
                0.5 * smooth[at % 2]
            })
            .collect();
        Programme { samples }
    }

    fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(program)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("{program} (scripts/setup.sh --tests): {error}"));
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && complaint.is_empty(), "{program} {arguments:?}: {complaint}");
        output.stdout
    }

    /// Two independent readers take a file of 23 segments apart, at a rate whose times are not whole milliseconds.
    #[test]
    fn players_find_every_frame_and_every_sample() {
        for encoder in [EncoderId::Vpx, EncoderId::Aom] {
            let profile = profile(encoder, 30_000, 1_001);
            let lengths: Vec<u32> = (0..23).map(|index| 6 + index % 5).collect();
            let mut next = 0;
            let segments: Vec<EncodedSegment> = lengths
                .iter()
                .map(|length| {
                    let mut encoder = SegmentEncoder::start(profile, *length).unwrap();
                    for index in next..next + length {
                        let mut frame = I420Frame::new(profile.width, profile.height);
                        frame.y.fill(brightness(index));
                        encoder.push(&frame).unwrap();
                    }
                    next += length;
                    encoder.finish().unwrap()
                })
                .collect();
            let frames = next;
            let length = profile.frame_rate.time_of(u64::from(frames)).to_samples(48_000) as u64;
            let programme = noise(length);
            let audio = encode_opus(&programme).unwrap();
            let segments: Vec<&EncodedSegment> = segments.iter().collect();
            let bytes = written(&Movie { profile, segments: &segments, audio: Some(&audio), locale: "en" });
            let facts = read_facts(&bytes).unwrap();
            assert_eq!((facts.frames, facts.key_frames), (u64::from(frames), 23));
            assert_eq!(facts.audio_samples, Some(length));
            let file = tempfile::NamedTempFile::with_suffix(".webm").unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            let path = file.path().to_str().unwrap();

            // Times: in order, each within half a millisecond of its own.
            let times = run(
                "ffprobe",
                &[
                    "-v",
                    "warning",
                    "-select_streams",
                    "v",
                    "-show_entries",
                    "frame=pts_time,key_frame",
                    "-of",
                    "csv=p=0",
                    path,
                ],
            );
            let times = String::from_utf8(times).unwrap();
            let lines: Vec<&str> = times.lines().collect();
            assert_eq!(lines.len(), frames as usize);
            for (index, line) in lines.iter().enumerate() {
                let time: f64 = line.split(',').nth(1).unwrap().parse().unwrap();
                let exact = index as f64 * 1001.0 / 30_000.0;
                assert!((time - exact).abs() <= 0.000_501, "frame {index} at {time}, not {exact}");
            }
            assert_eq!(lines.iter().filter(|line| line.starts_with('1')).count(), 23);

            let check_pictures = |reader: &str, pixels: &[u8], size: usize| {
                assert_eq!(pixels.len(), frames as usize * size, "{reader}");
                for (index, frame) in (0u32..).zip(pixels.chunks_exact(size)) {
                    let luma = &frame[..64 * 48];
                    let mean = luma.iter().map(|value| f64::from(*value)).sum::<f64>() / luma.len() as f64;
                    let expected = f64::from(brightness(index));
                    assert!(
                        (mean - expected).abs() < 2.0,
                        "{reader}: frame {index} is {mean}, not {expected}"
                    );
                }
            };
            let size = 64 * 48 * 3 / 2;
            let pixels = run(
                "ffmpeg",
                &["-v", "warning", "-i", path, "-map", "0:v", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"],
            );
            check_pictures("ffmpeg", &pixels, size);
            let out = tempfile::NamedTempFile::new().unwrap();
            let sink = format!("filesink location={}", out.path().display());
            let launch = |decode: &str| {
                let pipeline = format!("-q filesrc location={path} ! matroskademux ! {decode} ! {sink}");
                run("gst-launch-1.0", &pipeline.split_whitespace().collect::<Vec<_>>());
                std::fs::read(out.path()).unwrap()
            };
            let pixels = match encoder {
                EncoderId::Aom => launch("av1parse ! av1dec ! video/x-raw,format=I420"),
                _ => launch("vp9dec ! video/x-raw,format=I420"),
            };
            check_pictures("GStreamer", &pixels, size);

            // The sound: its length to the sample, and in its place.
            let check_sound = |reader: &str, bytes: &[u8]| {
                let heard: Vec<f32> = bytes
                    .chunks_exact(2)
                    .map(|value| f32::from(i16::from_le_bytes([value[0], value[1]])) / 32768.0)
                    .collect();
                assert_eq!(heard.len() as u64, 2 * length, "{reader}");
                let likeness = |shift: i64| -> f32 {
                    let range = 2_000..60_000usize;
                    let pairs =
                        range.map(|at| (programme.samples[at], heard[(at as i64 + 2 * shift) as usize]));
                    pairs.map(|(a, b)| a * b).sum()
                };
                let best = (-24..24).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b)));
                assert_eq!(best, Some(0), "{reader}");
            };
            let sound = run(
                "ffmpeg",
                &["-v", "warning", "-i", path, "-map", "0:a", "-c:a", "pcm_s16le", "-f", "s16le", "-"],
            );
            check_sound("ffmpeg", &sound);
            let sound = launch("opusdec ! audio/x-raw,format=S16LE");
            check_sound("GStreamer", &sound);
        }
    }
}
