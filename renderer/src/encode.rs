//! Frames to access units: one closed run of pictures, encoded by x264 through GStreamer.
//!
//! Every segment is encoded alone, by one thread, with the same settings, and starts with an IDR picture that
//! nothing before it refers to. So the same frames give the same bytes whoever encodes them, and segments
//! follow one another in a file without being encoded again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gst::prelude::*;
use vignette_templates::time::FrameRate;

use crate::frame::I420Frame;
use crate::segment::{AccessUnit, EncodedSegment};

/// What pictures are encoded with. Everything here decides the bytes of a segment, so it is part of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct VideoProfile {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Frames per second.
    pub frame_rate: FrameRate,
    /// Constant rate factor, 1 (best) to 50. Default: [`VideoProfile::DEFAULT_QUALITY`].
    pub quality: u8,
}

impl VideoProfile {
    /// The usual trade of size and quality for x264.
    pub const DEFAULT_QUALITY: u8 = 23;

    /// Frames by which decoding runs ahead of showing: B-frames may refer to one another (`b-pyramid`), so two.
    pub const REORDER_FRAMES: u32 = 2;
}

/// Why encoding did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A GStreamer element is not installed.
    #[error("GStreamer has no element `{element}`; install the package {package}")]
    MissingElement {
        /// The element.
        element: String,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// GStreamer itself does not start.
    #[error("GStreamer does not start: {0}")]
    Init(String),
    /// An element reported an error.
    #[error("the GStreamer element `{element}` failed: {message} ({debug})")]
    Element {
        /// The element.
        element: String,
        /// What it said.
        message: String,
        /// What it said to developers.
        debug: String,
    },
    /// Nothing came out for too long.
    #[error("the encoder made no progress for {} s", .0.as_secs())]
    Stalled(Duration),
    /// What came out is not what was asked for.
    #[error("the encoder's output is not as it should be: {0}")]
    Output(String),
}

/// How long an encoder may take for a single frame before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// Frames that wait in front of the encoder, at most.
const QUEUED_FRAMES: u64 = 4;

/// The Debian package that brings a GStreamer element used here.
fn package_of(element: &str) -> &'static str {
    match element {
        "x264enc" => "gstreamer1.0-plugins-ugly",
        "h264parse" => "gstreamer1.0-plugins-bad",
        _ => "gstreamer1.0-plugins-base",
    }
}

fn make(element: &str) -> Result<gst::Element, EncodeError> {
    gst::ElementFactory::make(element).build().map_err(|_| EncodeError::MissingElement {
        element: element.to_owned(),
        package: package_of(element),
    })
}

/// Encodes the frames of one segment.
///
/// Dropping it unfinished stops the encoder and throws its output away.
pub struct SegmentEncoder {
    profile: VideoProfile,
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
    bus: gst::Bus,
    pushed: u32,
}

impl SegmentEncoder {
    /// Starts an encoder.
    ///
    /// # Errors
    /// A missing plug-in, by name, with the package that brings it; settings that the encoder refuses.
    pub fn start(profile: VideoProfile) -> Result<Self, EncodeError> {
        gst::init().map_err(|error| EncodeError::Init(error.to_string()))?;
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
        let encoder = make("x264enc")?;
        configure(&encoder, &profile);
        let out = gst::Caps::builder("video/x-h264")
            .field("stream-format", "avc")
            .field("alignment", "au")
            .field("profile", "high")
            .build();
        let sink = gst_app::AppSink::builder().caps(&out).sync(false).build();
        let failed = |what: &str| EncodeError::Element {
            element: "x264enc".into(),
            message: what.to_owned(),
            debug: String::new(),
        };
        pipeline
            .add_many([source.upcast_ref(), &encoder, sink.upcast_ref()])
            .and_then(|()| gst::Element::link_many([source.upcast_ref(), &encoder, sink.upcast_ref()]))
            .map_err(|error| failed(&error.to_string()))?;
        let bus = pipeline.bus().ok_or_else(|| failed("the pipeline has no bus"))?;
        pipeline.set_state(gst::State::Playing).map_err(|error| failed(&error.to_string()))?;
        Ok(SegmentEncoder { profile, pipeline, source, sink, bus, pushed: 0 })
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
    fn wait(&self) -> Result<(), EncodeError> {
        let mut waited = Instant::now();
        let mut level = self.source.current_level_buffers();
        while level >= QUEUED_FRAMES {
            self.check_bus()?;
            std::thread::sleep(Duration::from_micros(500));
            let now = self.source.current_level_buffers();
            if now != level {
                waited = Instant::now();
            }
            if waited.elapsed() > PATIENCE {
                return Err(EncodeError::Stalled(PATIENCE));
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
    /// What the encoder reported, that it hangs, or that it did not give as many pictures as it took.
    pub fn finish(self) -> Result<EncodedSegment, EncodeError> {
        self.source.end_of_stream().map_err(|_| self.fault())?;
        let patience = gst::ClockTime::from_seconds(PATIENCE.as_secs());
        let mut samples = Vec::with_capacity(self.pushed as usize);
        while let Some(sample) = self.sink.try_pull_sample(patience) {
            samples.push(sample);
        }
        self.check_bus()?;
        if !self.sink.is_eos() {
            return Err(EncodeError::Stalled(PATIENCE));
        }
        let caps = samples
            .first()
            .and_then(|sample| sample.caps())
            .ok_or_else(|| EncodeError::Output("no picture came out".into()))?;
        let config = caps
            .structure(0)
            .and_then(|structure| structure.get::<gst::Buffer>("codec_data").ok())
            .and_then(|buffer| Some(buffer.map_readable().ok()?.to_vec()))
            .ok_or_else(|| EncodeError::Output("the stream has no decoder configuration".into()))?;
        let config = complete_avcc(&config)?;
        // x264enc shifts all times to make room for negative DTS, so only their order counts.
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
            units.push(AccessUnit {
                shown_at: index as u32,
                key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
                data: keep_picture_nals(&map)?,
            });
        }
        if !units.first().is_some_and(|unit| unit.key && unit.shown_at == 0) {
            return Err(EncodeError::Output("the run does not start with a key frame".into()));
        }
        Ok(EncodedSegment { config, units })
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
        // Stopping can only fail for a pipeline that already stands still.
        let _ = self.pipeline.set_state(gst::State::Null);
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

/// Every setting is named, because the element puts its own defaults over those of a preset.
/// They are x264's `veryfast` at constant quality.
fn configure(encoder: &gst::Element, profile: &VideoProfile) {
    encoder.set_property_from_str("speed-preset", "veryfast");
    encoder.set_property_from_str("pass", "qual");
    encoder.set_property("quantizer", u32::from(profile.quality.clamp(1, 50)));
    // With `pass=qual` the element caps the bitrate unless its buffer is 0 long.
    encoder.set_property("vbv-buf-capacity", 0u32);
    encoder.set_property("threads", 1u32);
    encoder.set_property("sliced-threads", false);
    encoder.set_property("sync-lookahead", 0i32);
    // One IDR picture a segment, at its start.
    encoder.set_property("key-int-max", 100_000u32);
    encoder.set_property("bframes", 3u32);
    encoder.set_property("b-adapt", true);
    encoder.set_property("b-pyramid", true);
    encoder.set_property("weightb", true);
    encoder.set_property("cabac", true);
    encoder.set_property("dct8x8", true);
    encoder.set_property("ref", 1u32);
    encoder.set_property_from_str("me", "hex");
    encoder.set_property("subme", 2u32);
    encoder.set_property("trellis", false);
    encoder.set_property("mb-tree", true);
    encoder.set_property("rc-lookahead", 10i32);
    encoder.set_property("aud", false);
    encoder.set_property("insert-vui", true);
    encoder
        .set_property_from_str("option-string", "scenecut=0:open-gop=0:weightp=1:mixed-refs=0:force-cfr=1");
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

/// Completes an `avcC` record (ISO/IEC 14496-15, section 5.3.3.1.2): profiles from High on carry the chroma
/// format and bit depths behind the parameter sets, which GStreamer 1.22 leaves out.
fn complete_avcc(config: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let broken = || EncodeError::Output("its decoder configuration is cut short".into());
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

/// Keeps what a decoder needs of an access unit: no parameter sets (they are in the configuration), no delimiter, and not
/// the encoder's note about itself, which would come again with every segment.
fn keep_picture_nals(unit: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut kept = Vec::with_capacity(unit.len());
    let mut rest = unit;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let nal = after.get(..length).ok_or_else(|| EncodeError::Output("a NAL unit is cut short".into()))?;
        // ITU-T H.264, table 7-1: 6 SEI, 7 and 8 parameter sets, 9 delimiter; annex D: SEI 5 is free text.
        let dropped = match nal.first().map(|byte| byte & 0x1f) {
            Some(7..=9) | None => true,
            Some(6) => nal.get(1) == Some(&5),
            Some(_) => false,
        };
        if !dropped {
            kept.extend_from_slice(&(length as u32).to_be_bytes());
            kept.extend_from_slice(nal);
        }
        rest = &after[length..];
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> VideoProfile {
        VideoProfile {
            width: 66,
            height: 48,
            frame_rate: FrameRate::new(30000, 1001).unwrap(),
            quality: VideoProfile::DEFAULT_QUALITY,
        }
    }

    fn encode(frames: u32) -> EncodedSegment {
        let profile = profile();
        let mut encoder = SegmentEncoder::start(profile).unwrap();
        for index in 0..frames {
            let mut frame = I420Frame::new(profile.width, profile.height);
            for (at, sample) in frame.y.iter_mut().enumerate() {
                *sample = 16 + ((at as u32 * 7 + index * 11) % 200) as u8;
            }
            encoder.push(&frame).unwrap();
        }
        encoder.finish().unwrap()
    }

    #[test]
    fn every_frame_comes_out_once_and_the_first_is_the_only_key() {
        let segment = encode(37);
        let mut shown: Vec<u32> = segment.units.iter().map(|unit| unit.shown_at).collect();
        assert_ne!(shown, (0..37).collect::<Vec<_>>(), "B-frames are in use");
        shown.sort_unstable();
        assert_eq!(shown, (0..37).collect::<Vec<_>>());
        assert_eq!(segment.units.iter().filter(|unit| unit.key).count(), 1);
        let late = segment.units.iter().enumerate();
        let reorder = late.map(|(decoded, unit)| decoded as i64 - i64::from(unit.shown_at)).max().unwrap();
        assert!(reorder <= i64::from(VideoProfile::REORDER_FRAMES), "{reorder}");
    }

    #[test]
    fn the_same_frames_give_the_same_bytes() {
        assert_eq!(encode(20), encode(20));
        assert_eq!(encode(1).units.len(), 1);
        assert_eq!(encode(5).config, encode(40).config, "one decoder configuration for all segments");
    }

    #[test]
    fn a_shared_frame_is_encoded_as_a_copied_one() {
        for (width, height) in [(66, 48), (128, 64)] {
            let profile = VideoProfile { width, height, ..profile() };
            let encode = |shared: bool| {
                let mut encoder = SegmentEncoder::start(profile).unwrap();
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
        let config = encode(1).config;
        assert_eq!(config[1], 100, "High");
        assert_eq!(&config[config.len() - 4..], &[0xfd, 0xf8, 0xf8, 0]);
    }
}
