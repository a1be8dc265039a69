//! One encoder at work on one segment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::nal::{self, ParameterSets};
use super::{Codec, EncodeError, EncoderId, VideoProfile, make, obu, settings, vp9};
use crate::frame::I420Frame;
use crate::patience::{self, Standing};
use crate::segment::{AccessUnit, EncodedSegment};

/// Frames that wait in front of the encoder, at most.
const QUEUED_FRAMES: u64 = 4;

/// Encodes the frames of one segment.
///
/// Dropping it unfinished stops the encoder and throws its output away.
pub struct SegmentEncoder {
    profile: VideoProfile,
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
    bus: gst::Bus,
    expected: u32,
    pushed: u32,
    /// How long it may make no progress.
    patience: Duration,
    standing: Standing,
}

impl SegmentEncoder {
    /// Starts an encoder for a run of that many frames. A short one, for which a player waits before it begins, is encoded by two threads; the
    /// bytes depend on the number of frames therefore, and on nothing else that `profile` does not say.
    ///
    /// # Errors
    /// A missing plug-in, by name, with the package that brings it; settings that the encoder refuses.
    pub fn start(profile: VideoProfile, frames: u32) -> Result<Self, EncodeError> {
        let VideoProfile { width, height, encoder, .. } = profile;
        let least = encoder.least_side();
        if width.min(height) < least {
            return Err(EncodeError::TooSmall { encoder, width, height, least });
        }
        gst::init().map_err(|error| EncodeError::Init(error.to_string()))?;
        let encoder = make(profile.encoder.element())?;
        // What it does not take was told by `resolve`.
        settings::apply(&encoder, &settings::of(&profile, frames));
        let mut chain = Vec::new();
        if profile.encoder.is_hardware() {
            // Devices take NV12, which holds the same samples in another order.
            chain.push(make("videoconvert")?);
        }
        chain.push(encoder);
        SegmentEncoder::around(profile, frames, chain)
    }

    /// Starts a pipeline that frames go into at the beginning of `chain`, and access units come out of at its end.
    fn around(profile: VideoProfile, frames: u32, chain: Vec<gst::Element>) -> Result<Self, EncodeError> {
        let pipeline = gst::Pipeline::new();
        let caps = gst::Caps::builder("video/x-raw")
            .field("format", "I420")
            .field("width", profile.width as i32)
            .field("height", profile.height as i32)
            .field(
                "framerate",
                gst::Fraction::new(profile.frame_rate.num() as i32, profile.frame_rate.den() as i32),
            )
            .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
            .field("interlace-mode", "progressive")
            .field("colorimetry", "bt709")
            .field("chroma-site", "mpeg2")
            .build();
        let source = gst_app::AppSrc::builder()
            .caps(&caps)
            .format(gst::Format::Time)
            .is_live(false)
            .block(false)
            .max_bytes(0)
            .build();
        let sink = gst_app::AppSink::builder().caps(&output_caps(profile.encoder)).sync(false).build();
        let failed = |what: &str| EncodeError::Element {
            element: profile.encoder.element().into(),
            message: what.to_owned(),
            debug: String::new(),
        };
        let ends = [vec![source.clone().upcast()], chain, vec![sink.clone().upcast()]];
        let chain: Vec<gst::Element> = ends.concat();
        pipeline
            .add_many(&chain)
            .and_then(|()| gst::Element::link_many(&chain))
            .map_err(|error| failed(&error.to_string()))?;
        let bus = pipeline.bus().ok_or_else(|| failed("the pipeline has no bus"))?;
        pipeline.set_state(gst::State::Playing).map_err(|error| failed(&error.to_string()))?;
        Ok(SegmentEncoder {
            profile,
            pipeline,
            source,
            sink,
            bus,
            expected: frames,
            pushed: 0,
            patience: patience::get(),
            standing: Standing::Running,
        })
    }

    /// Gives the next frame. Waits while the encoder is busy with those before it.
    ///
    /// # Errors
    /// What the encoder reported, or that it hangs.
    pub fn push(&mut self, frame: &I420Frame) -> Result<(), EncodeError> {
        self.wait()?;
        let size = padded_len(frame.width() as usize, frame.height() as usize);
        let mut buffer =
            gst::Buffer::with_size(size).map_err(|_| EncodeError::Output("no memory for a frame".into()))?;
        {
            let buffer =
                buffer.get_mut().ok_or_else(|| EncodeError::Output("a new buffer is shared".into()))?;
            let mut map = buffer
                .map_writable()
                .map_err(|_| EncodeError::Output("a new buffer cannot be written".into()))?;
            // Even widths that are not a multiple of four have padded rows in GStreamer's I420.
            copy_planes(frame, &mut map);
        }
        self.send(buffer)
    }

    /// Gives the next frame without copying it. Waits while the encoder is busy with those before it.
    ///
    /// # Errors
    /// What the encoder reported, or that it hangs.
    pub fn push_shared(&mut self, frame: &Arc<I420Frame>) -> Result<(), EncodeError> {
        self.wait()?;
        let mut buffer = gst::Buffer::new();
        {
            let buffer =
                buffer.get_mut().ok_or_else(|| EncodeError::Output("a new buffer is shared".into()))?;
            let (width, height) = (frame.width(), frame.height());
            for plane in [Plane::Y, Plane::U, Plane::V] {
                buffer.append_memory(gst::Memory::from_slice(SharedPlane(frame.clone(), plane)));
            }
            // Where the planes begin, and how long their rows are.
            let offsets = [0, frame.y.len(), frame.y.len() + frame.u.len()];
            let strides = [width as i32, frame.chroma_width() as i32, frame.chroma_width() as i32];
            gst_video::VideoMeta::add_full(
                buffer,
                gst_video::VideoFrameFlags::empty(),
                gst_video::VideoFormat::I420,
                width,
                height,
                &offsets,
                &strides,
            )
            .map_err(|error| EncodeError::Output(error.to_string()))?;
        }
        self.send(buffer)
    }

    /// Waits until few frames stand in front of the encoder.
    fn wait(&mut self) -> Result<(), EncodeError> {
        let (mut waited, patience) = (Instant::now(), self.patience);
        let mut level = self.source.current_level_buffers();
        while level >= QUEUED_FRAMES {
            self.check_bus()?;
            std::thread::sleep(Duration::from_micros(500));
            let now = self.source.current_level_buffers();
            if now != level {
                waited = Instant::now();
            }
            if waited.elapsed() > patience {
                return Err(self.stalled(patience));
            }
            level = now;
        }
        Ok(())
    }

    /// Stamps a frame with its time and hands it over.
    fn send(&mut self, mut buffer: gst::Buffer) -> Result<(), EncodeError> {
        {
            let buffer =
                buffer.get_mut().ok_or_else(|| EncodeError::Output("a new buffer is shared".into()))?;
            let index = u64::from(self.pushed);
            let nanos = |index: u64| {
                let rate = self.profile.frame_rate;
                index as u128 * u128::from(rate.den()) * 1_000_000_000 / u128::from(rate.num())
            };
            let (start, end) = (nanos(index) as u64, nanos(index + 1) as u64);
            buffer.set_pts(gst::ClockTime::from_nseconds(start));
            buffer.set_duration(gst::ClockTime::from_nseconds(end - start));
        }
        self.source.push_buffer(buffer).map_err(|_| self.fault())?;
        self.pushed += 1;
        Ok(())
    }

    /// Ends the run and gives back its access units in decoding order.
    ///
    /// # Errors
    /// What the encoder reported, that it hangs, that it did not give as many pictures as it took, or that it was not given as many frames
    /// as were said at the start.
    pub fn finish(mut self) -> Result<EncodedSegment, EncodeError> {
        if self.pushed != self.expected {
            return Err(EncodeError::Output(format!(
                "{} frames were given of the {} that were said",
                self.pushed, self.expected
            )));
        }
        self.source.end_of_stream().map_err(|_| self.fault())?;
        let patience = self.patience;
        let longest = gst::ClockTime::from_mseconds(
            u64::try_from(patience.as_millis()).unwrap_or(u64::MAX / 1_000_000),
        );
        let mut samples = Vec::with_capacity(self.pushed as usize);
        while let Some(sample) = self.sink.try_pull_sample(longest) {
            samples.push(sample);
        }
        self.check_bus()?;
        if !self.sink.is_eos() {
            return Err(self.stalled(patience));
        }
        self.standing = Standing::Ended;
        let mut reader = Reader::new(&self.profile, samples.first())?;
        // Some elements shift all times to make room for negative DTS, so only their order counts.
        let mut times: Vec<Option<gst::ClockTime>> =
            samples.iter().map(|sample| sample.buffer().and_then(|buffer| buffer.pts())).collect();
        let shown = times.clone();
        times.sort();
        times.dedup();
        if times.len() != self.pushed as usize || samples.len() != self.pushed as usize {
            return Err(EncodeError::Output(format!(
                "{} frames went in and {} came out",
                self.pushed,
                samples.len()
            )));
        }
        let mut units = Vec::with_capacity(samples.len());
        for (sample, time) in samples.iter().zip(shown) {
            let buffer =
                sample.buffer().ok_or_else(|| EncodeError::Output("a sample holds nothing".into()))?;
            let map =
                buffer.map_readable().map_err(|_| EncodeError::Output("a sample cannot be read".into()))?;
            let index = times.binary_search(&time).unwrap_or_default();
            let flagged = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            let (key, data) = reader.unit(&map, flagged)?;
            units.push(AccessUnit { shown_at: index as u32, key, data });
        }
        if !units.first().is_some_and(|unit| unit.key && unit.shown_at == 0) {
            return Err(EncodeError::Output("the run does not start with a key frame".into()));
        }
        let reorder = u64::from(self.profile.reorder_frames());
        if (0u64..).zip(&units).any(|(decoded, unit)| decoded > u64::from(unit.shown_at) + reorder) {
            return Err(EncodeError::Output(format!(
                "pictures are decoded more than {reorder} frames ahead"
            )));
        }
        Ok(EncodedSegment { config: reader.config()?, units })
    }

    /// That nothing came for so long, which stopping would wait for as well.
    fn stalled(&mut self, patience: Duration) -> EncodeError {
        self.standing = Standing::Hangs;
        EncodeError::Stalled(patience)
    }

    fn check_bus(&self) -> Result<(), EncodeError> {
        match self.bus.pop_filtered(&[gst::MessageType::Error]) {
            Some(message) => Err(to_error(&message)),
            None => Ok(()),
        }
    }

    /// The error behind a refused push.
    fn fault(&self) -> EncodeError {
        match self.bus.timed_pop_filtered(gst::ClockTime::from_mseconds(500), &[gst::MessageType::Error]) {
            Some(message) => to_error(&message),
            None => EncodeError::Output("the encoder takes no more frames".into()),
        }
    }
}

impl Drop for SegmentEncoder {
    fn drop(&mut self) {
        patience::stop(&self.pipeline, self.standing);
    }
}

fn to_error(message: &gst::Message) -> EncodeError {
    match message.view() {
        gst::MessageView::Error(error) => EncodeError::Element {
            element: error.src().map(|src| src.name().to_string()).unwrap_or_default(),
            message: error.error().to_string(),
            debug: error.debug().map(|debug| debug.to_string()).unwrap_or_default(),
        },
        _ => EncodeError::Output("an unexpected message".into()),
    }
}

/// The form in which an encoder's output is taken.
fn output_caps(encoder: EncoderId) -> gst::Caps {
    match (encoder, encoder.codec()) {
        // Lengths and configuration come from the element itself.
        (EncoderId::X264, _) => gst::Caps::builder("video/x-h264")
            .field("stream-format", "avc")
            .field("alignment", "au")
            .field("profile", "high")
            .build(),
        // Devices differ in the profiles that they offer.
        (_, Codec::H264) => gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .build(),
        (_, Codec::H265) => gst::Caps::builder("video/x-h265")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .field("profile", "main")
            .build(),
        (_, Codec::Av1) => gst::Caps::builder("video/x-av1").field("alignment", "tu").build(),
        (_, Codec::Vp9) => gst::Caps::builder("video/x-vp9").field("profile", "0").build(),
    }
}

/// Turns what an encoder gives into what files hold, and gathers the decoder configuration on the way.
enum Reader {
    /// H.264 with lengths; the configuration came beside it.
    Lengths(Vec<u8>),
    /// H.264 with start codes.
    H264(ParameterSets),
    H265(ParameterSets),
    Av1(Option<Vec<u8>>),
    Vp9(VideoProfile, Option<Vec<u8>>),
}

impl Reader {
    fn new(profile: &VideoProfile, first: Option<&gst::Sample>) -> Result<Self, EncodeError> {
        let first = first.ok_or_else(|| EncodeError::Output("no picture came out".into()))?;
        Ok(match (profile.encoder, profile.codec()) {
            (EncoderId::X264, _) => {
                let config = first
                    .caps()
                    .and_then(|caps| caps.structure(0))
                    .and_then(|structure| structure.get::<gst::Buffer>("codec_data").ok())
                    .and_then(|buffer| Some(buffer.map_readable().ok()?.to_vec()))
                    .ok_or_else(|| EncodeError::Output("the stream has no decoder configuration".into()))?;
                Reader::Lengths(nal::complete_avcc(&config)?)
            }
            (_, Codec::H264) => Reader::H264(ParameterSets::default()),
            (_, Codec::H265) => Reader::H265(ParameterSets::default()),
            (_, Codec::Av1) => Reader::Av1(None),
            (_, Codec::Vp9) => Reader::Vp9(*profile, None),
        })
    }

    /// Whether decoding can start with this access unit, and what of it a file holds.
    fn unit(&mut self, bytes: &[u8], flagged: bool) -> Result<(bool, Vec<u8>), EncodeError> {
        match self {
            Reader::Lengths(_) => Ok((flagged, nal::h264_picture_nals(bytes)?)),
            Reader::H264(sets) => nal::h264_unit(bytes, sets),
            Reader::H265(sets) => nal::h265_unit(bytes, sets),
            Reader::Av1(config) => obu::unit(bytes, config),
            Reader::Vp9(profile, config) => vp9::unit(bytes, profile, config),
        }
    }

    /// The decoder configuration, once all units were read.
    fn config(self) -> Result<Vec<u8>, EncodeError> {
        match self {
            Reader::Lengths(config) => Ok(config),
            Reader::H264(sets) => nal::avcc(&sets),
            Reader::H265(sets) => nal::hvcc(&sets),
            Reader::Av1(config) | Reader::Vp9(_, config) => {
                config.ok_or_else(|| EncodeError::Output("the stream has no decoder configuration".into()))
            }
        }
    }
}

/// One plane of a frame, as GStreamer holds it until the encoder is done with it.
struct SharedPlane(Arc<I420Frame>, Plane);

#[derive(Clone, Copy)]
enum Plane {
    Y,
    U,
    V,
}

impl AsRef<[u8]> for SharedPlane {
    fn as_ref(&self) -> &[u8] {
        match self.1 {
            Plane::Y => &self.0.y,
            Plane::U => &self.0.u,
            Plane::V => &self.0.v,
        }
    }
}

/// Copies the planes of `frame` into GStreamer's I420 layout, whose rows start at multiples of four bytes.
fn copy_planes(frame: &I420Frame, target: &mut [u8]) {
    // Widths here are even but chroma rows may not be a multiple of four; `VideoInfo`'s default strides are.
    let mut offset = 0;
    let planes = [
        (&frame.y, frame.width() as usize, frame.height() as usize),
        (&frame.u, frame.chroma_width() as usize, frame.chroma_height() as usize),
        (&frame.v, frame.chroma_width() as usize, frame.chroma_height() as usize),
    ];
    for (plane, width, height) in planes {
        let stride = width.next_multiple_of(4);
        if stride == width {
            target[offset..offset + plane.len()].copy_from_slice(plane);
        } else {
            for (row, source) in plane.chunks_exact(width).enumerate() {
                target[offset + row * stride..][..width].copy_from_slice(source);
            }
        }
        offset += stride * height;
    }
}

/// Bytes of GStreamer's I420 for a frame of this size.
fn padded_len(width: usize, height: usize) -> usize {
    width.next_multiple_of(4) * height + 2 * (width.div_ceil(2).next_multiple_of(4) * height.div_ceil(2))
}

#[cfg(test)]
mod tests {
    use vignette_templates::time::FrameRate;

    use super::*;

    fn profile(encoder: EncoderId) -> VideoProfile {
        VideoProfile {
            width: 66,
            height: 66,
            frame_rate: FrameRate::new(30000, 1001).unwrap(),
            quality: VideoProfile::DEFAULT_QUALITY,
            encoder,
        }
    }

    /// One of each codec; every one is installed by the set-up.
    const ENCODERS: [EncoderId; 4] = [EncoderId::X264, EncoderId::X265, EncoderId::Aom, EncoderId::Vpx];

    /// A pattern that moves, on a ground whose brightness is the frame's number.
    fn picture(profile: &VideoProfile, index: u32) -> I420Frame {
        let mut frame = I420Frame::new(profile.width, profile.height);
        for (at, sample) in frame.y.iter_mut().enumerate() {
            let (x, y) = (at as u32 % profile.width, at as u32 / profile.width);
            let moving = (x + index) / 8 % 2 == y / 8 % 2;
            *sample = 40 + 3 * (index % 60) as u8 / 2 + if moving && y < profile.height / 2 { 60 } else { 0 };
        }
        frame
    }

    fn encode_as(profile: VideoProfile, frames: u32) -> EncodedSegment {
        let mut encoder = SegmentEncoder::start(profile, frames).unwrap();
        for index in 0..frames {
            encoder.push(&picture(&profile, index)).unwrap();
        }
        encoder.finish().unwrap()
    }

    fn hanging(chain: Vec<gst::Element>) -> SegmentEncoder {
        let mut encoder = SegmentEncoder::around(profile(EncoderId::X264), 1, chain).unwrap();
        encoder.patience = Duration::from_millis(300);
        encoder
    }

    /// The names of this process's threads.
    fn threads() -> Vec<String> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok()).collect()
    }

    #[test]
    fn an_encoder_that_hangs_is_an_error_and_holds_up_nobody() {
        gst::init().unwrap();
        let x264 = || make("x264enc").unwrap();
        // What goes in never comes out, and neither does the end.
        let valve = make("valve").unwrap();
        valve.set_property("drop", true);
        let mut encoder = hanging(vec![valve, x264()]);
        encoder.push(&picture(&encoder.profile, 0)).unwrap();
        let found = encoder.finish();
        assert!(matches!(found, Err(EncodeError::Stalled(_))), "{:?}", found.err());
        // Three seconds for each frame: stopping it takes as long as well, but not the time of who uses it.
        let slow = make("identity").unwrap();
        slow.set_property("sleep-time", 3_000_000u32);
        slow.set_property("name", "slow");
        let mut encoder = hanging(vec![slow, x264()]);
        let pictures = (0..).map(|index| picture(&encoder.profile, index)).take(10).collect::<Vec<_>>();
        let found = pictures.iter().find_map(|picture| encoder.push(picture).err());
        assert!(matches!(found, Some(EncodeError::Stalled(_))), "{found:?}");
        let bin = encoder.pipeline.downgrade();
        drop(encoder);
        assert!(bin.upgrade().is_some(), "somebody else stops it");
        // Others encode meanwhile.
        assert_eq!(encode(EncoderId::X264, 3).units.len(), 3);
        // Once the element lets go, nothing is left of it.
        while bin.upgrade().is_some() || threads().iter().any(|name| name.trim() == "stopping") {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn encode(encoder: EncoderId, frames: u32) -> EncodedSegment {
        encode_as(profile(encoder), frames)
    }

    #[test]
    fn every_frame_comes_out_once_and_the_first_is_the_only_key() {
        for id in ENCODERS {
            let segment = encode(id, 37);
            let mut shown: Vec<u32> = segment.units.iter().map(|unit| unit.shown_at).collect();
            let in_order = shown == (0..37).collect::<Vec<_>>();
            assert_eq!(in_order, profile(id).reorder_frames() == 0, "{id}: B-frames are in use, or are not");
            shown.sort_unstable();
            assert_eq!(shown, (0..37).collect::<Vec<_>>(), "{id}");
            let keys: Vec<bool> = segment.units.iter().map(|unit| unit.key).collect();
            assert!(keys[0] && keys[1..].iter().all(|key| !key), "{id}: {keys:?}");
        }
    }

    #[test]
    fn pictures_that_would_crash_an_encoder_never_reach_it() {
        let small = VideoProfile { width: 96, height: 62, ..profile(EncoderId::X265) };
        let refused = SegmentEncoder::start(small, 1).map(|_| ());
        assert!(matches!(refused, Err(EncodeError::TooSmall { least: 64, .. })), "{refused:?}");
        let least = VideoProfile { width: 64, height: 64, ..profile(EncoderId::X265) };
        assert_eq!(encode_as(least, 30).units.len(), 30);
    }

    #[test]
    fn the_same_frames_give_the_same_bytes() {
        for id in ENCODERS {
            assert_eq!(encode(id, 20), encode(id, 20), "{id}");
            assert_eq!(encode(id, 1).units.len(), 1, "{id}");
            assert_eq!(
                encode(id, 5).config,
                encode(id, 40).config,
                "{id}: one configuration for all segments"
            );
        }
    }

    #[test]
    fn a_shared_frame_is_encoded_as_a_copied_one() {
        for (width, height) in [(66, 48), (128, 64)] {
            let profile = VideoProfile { width, height, ..profile(EncoderId::X264) };
            let encode = |shared: bool| {
                let mut encoder = SegmentEncoder::start(profile, 9).unwrap();
                for index in 0..9u32 {
                    let mut frame = I420Frame::new(width, height);
                    let samples = frame.y.iter_mut().chain(&mut frame.u).chain(&mut frame.v);
                    for (at, sample) in samples.enumerate() {
                        *sample = 16 + ((at as u32 * 7 + index * 11) % 200) as u8;
                    }
                    let frame = Arc::new(frame);
                    if shared { encoder.push_shared(&frame) } else { encoder.push(&frame) }.unwrap();
                }
                encoder.finish().unwrap()
            };
            assert_eq!(encode(true), encode(false), "{width} x {height}");
        }
    }

    #[test]
    fn a_configuration_of_high_profile_is_complete() {
        let config = encode(EncoderId::X264, 1).config;
        assert_eq!(config[1], 100, "High");
        assert_eq!(&config[config.len() - 4..], &[0xfd, 0xf8, 0xf8, 0]);
    }

    #[test]
    fn configurations_are_as_their_bindings_have_them() {
        for (id, start, tail) in [
            // Version 1, Main, compatible with Main and Main 10.
            (EncoderId::X265, &[1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0][..], None),
            // Marker and version, Main; 4:2:0 to the left; the sequence header with its size.
            (EncoderId::Aom, &[0x81, 0, 0x0d, 0, 0x0a], None),
            (EncoderId::Vpx, &[0, 10, 0x80], Some(&[1u8, 1, 1, 0, 0][..])),
        ] {
            let config = encode(id, 3).config;
            assert_eq!(&config[..start.len()], start, "{id}");
            assert!(tail.is_none_or(|tail| config.ends_with(tail)), "{id}: {config:?}");
        }
        // Lengths of four bytes; VPS, SPS and PPS, one of each, complete.
        let config = encode(EncoderId::X265, 3).config;
        assert_eq!(config[21] & 3, 3);
        let mut rest = &config[23..];
        for kind in [0xa0, 0xa1, 0xa2] {
            assert_eq!(rest[..3], [kind, 0, 1]);
            rest = &rest[5 + usize::from(u16::from_be_bytes([rest[3], rest[4]]))..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn access_units_hold_no_parameter_sets_and_no_delimiters() {
        let segment = encode(EncoderId::X265, 12);
        for unit in &segment.units {
            let mut rest = unit.data.as_slice();
            while let Some((length, after)) = rest.split_first_chunk::<4>() {
                let kind = after[0] >> 1 & 0x3f;
                assert!(kind < 32 || kind == 39, "NAL unit of kind {kind}");
                rest = &after[u32::from_be_bytes(*length) as usize..];
            }
            assert!(rest.is_empty());
        }
        let segment = encode(EncoderId::Aom, 12);
        let header = &segment.config[4..];
        for (index, unit) in segment.units.iter().enumerate() {
            assert_eq!(unit.data.starts_with(header), index == 0);
            assert_ne!(unit.data[0], 0x12, "a temporal delimiter");
        }
    }

    #[test]
    fn planned_names_are_those_of_what_is_encoded() {
        for id in ENCODERS {
            for (width, height, num, den) in [
                (66, 66, 30, 1),
                (426, 240, 25, 1),
                (854, 480, 30000, 1001),
                (1280, 720, 60, 1),
                (1080, 1920, 30, 1),
            ] {
                let frame_rate = FrameRate::new(num, den).unwrap();
                let profile = VideoProfile { width, height, frame_rate, ..profile(id) };
                let config = encode_as(profile, 2).config;
                assert_eq!(
                    profile.codec().name_of(&config),
                    Some(profile.planned_name()),
                    "{width}x{height}"
                );
            }
        }
    }

    #[test]
    fn better_quality_takes_more_bytes() {
        // Grains of four sizes that drift, as real pictures have them.
        let grain = |x: u32, y: u32, index: u32| -> u8 {
            let hash = |x: u32, y: u32| {
                (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0xc2b2_ae35) >> 27
            };
            [2, 4, 8, 16].iter().map(|size| hash((x + index) / size, y / size) as u8).sum::<u8>() + 60
        };
        for id in ENCODERS {
            let size = |quality| -> usize {
                let profile = VideoProfile { width: 320, height: 180, quality, ..profile(id) };
                let mut encoder = SegmentEncoder::start(profile, 6).unwrap();
                for index in 0..6 {
                    let mut frame = I420Frame::new(320, 180);
                    for (at, sample) in (0..).zip(frame.y.iter_mut()) {
                        *sample = grain(at % 320, at / 320, index);
                    }
                    encoder.push(&frame).unwrap();
                }
                encoder.finish().unwrap().units.iter().map(|unit| unit.data.len()).sum()
            };
            let sizes = [8, 23, 40].map(size);
            assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{id}: {sizes:?}");
        }
    }
}
