//! Video clips: any rate, size, rotation and frame timing, conformed to the frames of an output.

use std::sync::Arc;

use gst::prelude::*;
use gst_video::prelude::*;
use vignette_templates::blob::Blob;
use vignette_templates::time::{FrameRate, Time};
use vignette_templates::video::Fit;

use super::demux::{
    Container, Demuxed, Pipeline, Track, add, app_sink, demux, element, fault_of, link, next_sample,
    pipeline_fault, start,
};
use super::error::{MediaError, MediaFault};
use super::fit::{Fitted, fit};
use crate::frame::I420Frame;

/// The most pixels of a video's frame: 8192 x 4320.
const MAX_FRAME_PIXELS: u64 = 8192 * 4320;
/// The longest video, in seconds.
const MAX_SECONDS: u64 = 6 * 3600;
/// Containers round their timestamps, WebM as coarsely as to 1 ms, so that a frame may seem to come later than the output's
/// frame at the same place of its rate. A frame therefore counts from this many nanoseconds before its timestamp on.
const TIMESTAMP_ROUNDING: i64 = 1_000_000;

/// What a video is.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoInfo {
    /// Width as shown, in square pixels: after rotation and pixel aspect ratio.
    pub width: u32,
    /// Height as shown, in square pixels.
    pub height: u32,
    /// From the container's time 0 to the end of the last frame.
    pub duration: Time,
    /// When each frame is shown, in nanoseconds of the container's presentation time, ascending.
    pub frame_times: Vec<i64>,
}

/// An opened video, whose coded frames stay in memory (sharing the file's bytes). Cheap to clone; clones and their
/// readers may be used on many threads at once.
#[derive(Clone, Debug)]
pub struct VideoClip {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    blob: Blob,
    demuxed: Demuxed,
    runs: Vec<Run>,
    frames: Vec<FrameEntry>,
    info: VideoInfo,
    length: i64,
    orientation: Orientation,
    /// Frames are known by their number from the start of the run, not by a timestamp.
    numbered: bool,
}

/// Packets that belong to one entry of the edit list: one stream for a decoder.
#[derive(Debug)]
struct Run {
    start: usize,
    end: usize,
    /// Packets at which decoding can start, with their timestamps.
    keyframes: Vec<(usize, u64)>,
}

/// One frame that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FrameEntry {
    /// From when on, in nanoseconds of presentation time.
    shown: i64,
    /// The run that it is in.
    run: usize,
    /// Its timestamp in the run's stream, or its number there.
    pts: u64,
}

/// What an output wants of a video.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConformSpec {
    /// Width of the box in pixels, at least 1.
    pub width: u32,
    /// Height of the box in pixels, at least 1.
    pub height: u32,
    /// How the video fills the box.
    pub fit: Fit,
    /// The point of the picture that is kept in view when `fit` cuts, as fractions.
    pub focus: [f32; 2],
    /// The output's frames per second.
    pub rate: FrameRate,
    /// The video's own time at the output's frame 0.
    pub start: Time,
    /// Starts again when it ends; otherwise the last frame stays.
    pub repeat: bool,
}

impl VideoClip {
    /// Reads the index of a video and decodes its first frame.
    ///
    /// # Errors
    /// When `blob` is no video in a container and coding that are supported, ends early, or its first frame does not decode;
    /// when a GStreamer element is missing ([`MediaError::is_machine`]).
    pub fn open(blob: &Blob) -> Result<Self, MediaError> {
        Shared::open(blob)
            .map(|shared| VideoClip { shared: Arc::new(shared) })
            .map_err(|fault| MediaError::new(blob, fault))
    }

    /// What the video is.
    pub fn info(&self) -> &VideoInfo {
        &self.shared.info
    }

    /// Frames of this video as `spec` wants them.
    ///
    /// # Errors
    /// When the box is empty or has more than 8192 x 4320 pixels.
    pub fn reader(&self, spec: ConformSpec) -> Result<Reader, MediaError> {
        let pixels = u64::from(spec.width) * u64::from(spec.height);
        if pixels == 0 || pixels > MAX_FRAME_PIXELS || spec.width.max(spec.height) > 16384 {
            return Err(MediaError::new(&self.shared.blob, too_many_pixels(spec.width, spec.height)));
        }
        let info = &self.shared.info;
        let content = (f64::from(info.width), f64::from(info.height));
        let place = fit(spec.fit, content, (spec.width, spec.height), spec.focus);
        Ok(Reader { shared: self.shared.clone(), spec, place, session: None, current: None, converter: None })
    }
}

fn too_many_pixels(width: u32, height: u32) -> MediaFault {
    MediaFault::TooLarge {
        what: format!("a video frame of {width} x {height} pixels"),
        limit: "8192 x 4320 pixels, at least 1".into(),
    }
}

impl Shared {
    fn open(blob: &Blob) -> Result<Self, MediaFault> {
        let demuxed = demux(blob, Track::Video)?;
        let coded = demuxed.caps.structure(0);
        let side =
            |name| coded.and_then(|caps| caps.get::<i32>(name).ok()).map_or(0, |side| side.max(0) as u32);
        let (coded_width, coded_height) = (side("width"), side("height"));
        if u64::from(coded_width) * u64::from(coded_height) > MAX_FRAME_PIXELS {
            return Err(too_many_pixels(coded_width, coded_height));
        }
        let orientation = demuxed
            .tags
            .get::<gst::tags::ImageOrientation>()
            .map_or(Orientation::default(), |tag| Orientation::from_tag(tag.get()));

        let (mut runs, mut frames) = (Vec::<Run>::new(), Vec::new());
        let mut before: Option<&gst::Segment> = None;
        let mut timed = true;
        let mut last_duration = 0;
        for (index, sample) in demuxed.packets.iter().enumerate() {
            let (Some(buffer), Some(segment)) = (sample.buffer(), sample.segment()) else { continue };
            let same = before.is_some_and(|before| {
                (before.start(), before.stop(), before.base())
                    == (segment.start(), segment.stop(), segment.base())
            });
            before = Some(segment);
            if !same {
                runs.push(Run { start: index, end: index, keyframes: Vec::new() });
            }
            let run_index = runs.len() - 1;
            let run = &mut runs[run_index];
            run.end = index + 1;
            if buffer.flags().contains(gst::BufferFlags::HEADER) && buffer.pts().is_none() {
                continue;
            }
            let Some(pts) = buffer.pts() else {
                timed = false;
                continue;
            };
            if !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT)
                && (run.keyframes.is_empty() || starts_afresh(&demuxed.caps, buffer))
            {
                run.keyframes.push((index, pts.nseconds()));
            }
            if run.keyframes.first().is_none_or(|(_, first)| pts.nseconds() < *first) {
                // Frames before the first keyframe refer to what is not there.
                continue;
            }
            if let Some(shown) = presented(segment, pts) {
                frames.push(FrameEntry { shown, run: run_index, pts: pts.nseconds() });
                last_duration =
                    buffer.duration().map_or(last_duration, |duration| duration.nseconds() as i64);
            }
        }
        let mut shared = Shared {
            blob: blob.clone(),
            demuxed,
            runs,
            frames,
            info: VideoInfo { width: 0, height: 0, duration: Time::ZERO, frame_times: Vec::new() },
            length: 0,
            orientation,
            numbered: false,
        };
        if !timed {
            shared.numbered = true;
            shared.runs.iter_mut().for_each(|run| run.keyframes.clear());
            shared.frames = shared.timed_by_decoding()?;
        }
        shared.frames.sort();
        shared.frames.dedup_by_key(|entry| entry.shown);
        let last = match shared.frames.as_slice() {
            [] => return Err(MediaFault::NoTrack("video")),
            [only] => only.shown + last_duration.max(1),
            [.., previous, last] => {
                last.shown + if last_duration > 0 { last_duration } else { last.shown - previous.shown }
            }
        };
        if last as u64 > MAX_SECONDS * 1_000_000_000 {
            return Err(MediaFault::TooLarge {
                what: format!("a video of {} s", last / 1_000_000_000),
                limit: format!("{MAX_SECONDS} s"),
            });
        }
        shared.length = last;
        shared.info.duration =
            Time::from_ticks((i128::from(last) * i128::from(Time::TICKS_PER_SECOND) / 1_000_000_000) as i64);
        shared.info.frame_times = shared.frames.iter().map(|entry| entry.shown).collect();

        let first = shared.frames[0];
        let mut session = Session::open(&shared, first)?;
        let sample = session.frame(&shared, first.pts)?.ok_or(MediaFault::MissingFrame { seconds: 0.0 })?;
        let info = video_info(&sample)?;
        let par = info.par();
        let ratio = match (par.numer(), par.denom()) {
            (num, den) if num > 0 && den > 0 => f64::from(num) / f64::from(den),
            _ => 1.0,
        };
        let (width, height) = match ratio >= 1.0 {
            true => ((f64::from(info.width()) * ratio).round() as u32, info.height()),
            false => (info.width(), (f64::from(info.height()) / ratio).round() as u32),
        };
        if u64::from(width) * u64::from(height) > MAX_FRAME_PIXELS * 4 {
            return Err(too_many_pixels(width, height));
        }
        let (width, height) = shared.orientation.turned(width.max(1), height.max(1));
        (shared.info.width, shared.info.height) = (width, height);
        Ok(shared)
    }

    /// The frames as the decoder counts them, for containers that do not say when each one is shown (AVI with reordered
    /// frames, MPEG program streams). Such a stream is always decoded from its start, and `pts` is the frame's number.
    fn timed_by_decoding(&self) -> Result<Vec<FrameEntry>, MediaFault> {
        let rate =
            self.demuxed.caps.structure(0).and_then(|caps| caps.get::<gst::Fraction>("framerate").ok());
        let steady = rate.filter(|rate| self.demuxed.container == Container::MpegPs && rate.numer() > 0);
        let mut frames = Vec::new();
        for run in 0..self.runs.len() {
            let mut session = Session::at_packet(self, run, self.runs[run].start)?;
            while let Some((number, sample)) = session.next(self)? {
                let time = sample.buffer().and_then(|buffer| buffer.pts());
                let shown = match (steady, time, sample.segment()) {
                    // Few of its packets have timestamps, and its clock starts anywhere.
                    (Some(rate), ..) => {
                        let frames = number as i128 * i128::from(rate.denom()) * 1_000_000_000;
                        (frames / i128::from(rate.numer())) as i64
                    }
                    (None, Some(time), Some(segment)) => {
                        presented(segment, time).unwrap_or(time.nseconds() as i64)
                    }
                    _ => continue,
                };
                frames.push(FrameEntry { shown, run, pts: number });
            }
        }
        Ok(frames)
    }

    /// The packet to start at for the frame with timestamp `pts`.
    fn keyframe_for(&self, entry: FrameEntry) -> usize {
        let run = &self.runs[entry.run];
        let before = run.keyframes.iter().filter(|(_, pts)| *pts <= entry.pts);
        before.map(|(index, _)| *index).max().unwrap_or(run.start)
    }
}

/// Whether nothing that is shown after this packet refers to what came before it.
///
/// H.264 files mark recovery points of open GOPs as sync samples too. From there libavcodec decodes other pixels than it
/// does in passing, so that only IDR pictures (ITU-T H.264, 7.4.1.2.4) are taken. In other codings a keyframe is one.
fn starts_afresh(caps: &gst::CapsRef, packet: &gst::BufferRef) -> bool {
    let Some(coded) = caps.structure(0).filter(|coded| coded.name() == "video/x-h264") else { return true };
    let Ok(bytes) = packet.map_readable() else { return false };
    let is_idr = |header: &u8| header & 0x1f == 5;
    if coded.get::<&str>("stream-format").is_ok_and(|format| format == "byte-stream") {
        let mut starts = bytes.windows(4).filter(|four| four.starts_with(&[0, 0, 1]));
        return starts.any(|four| is_idr(&four[3]));
    }
    // NAL units behind their length, in as many bytes as the avcC says (ISO/IEC 14496-15, 5.3.3.1.2).
    let config = coded.get::<gst::Buffer>("codec_data").ok();
    let config = config.and_then(|config| config.into_mapped_buffer_readable().ok());
    let length_bytes =
        config.and_then(|config| config.get(4).copied()).map_or(4, |byte| usize::from(byte & 3) + 1);
    let mut rest = bytes.as_slice();
    while let Some((length, behind)) = rest.split_at_checked(length_bytes) {
        if behind.first().is_some_and(is_idr) {
            return true;
        }
        let length = length.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte));
        rest = behind.get(length..).unwrap_or_default();
    }
    false
}

/// When a frame with this timestamp is shown, in nanoseconds from the container's time 0; `None` when the edit list
/// leaves it out.
fn presented(segment: &gst::Segment, pts: gst::ClockTime) -> Option<i64> {
    let segment = segment.downcast_ref::<gst::ClockTime>()?;
    if segment.stop().is_some_and(|stop| pts >= stop) || segment.start().is_some_and(|start| pts < start) {
        return None;
    }
    segment.to_running_time(pts).map(|time| time.nseconds() as i64)
}

fn video_info(sample: &gst::Sample) -> Result<gst_video::VideoInfo, MediaFault> {
    let broken = |message: String| MediaFault::Decoder {
        element: "the decoder".into(),
        message,
        debug: "no further information".into(),
    };
    let caps = sample.caps().ok_or_else(|| broken("a frame without a format".into()))?;
    let info = gst_video::VideoInfo::from_caps(caps).map_err(|error| broken(error.to_string()))?;
    match u64::from(info.width()) * u64::from(info.height()) <= MAX_FRAME_PIXELS {
        true => Ok(info),
        false => Err(too_many_pixels(info.width(), info.height())),
    }
}

/// A decoder that is somewhere in the clip.
struct Session {
    pipeline: Pipeline,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
    name: &'static str,
    run: usize,
    /// The next packet to hand to the decoder.
    fed: usize,
    ended: bool,
    /// How many frames came out.
    decoded: u64,
    /// The latest frame that was taken, and one that came after it and was not wanted yet.
    held: Option<(u64, gst::Sample)>,
    ahead: Option<(u64, gst::Sample)>,
}

impl Session {
    /// A decoder that starts at the last keyframe at or before `entry`.
    fn open(shared: &Shared, entry: FrameEntry) -> Result<Self, MediaFault> {
        Self::at_packet(shared, entry.run, shared.keyframe_for(entry))
    }

    fn at_packet(shared: &Shared, run: usize, packet: usize) -> Result<Self, MediaFault> {
        let source = element("appsrc")?;
        let source =
            source.downcast::<gst_app::AppSrc>().map_err(|other| fault_of(&other, &"not an AppSrc"))?;
        source.set_format(gst::Format::Time);
        source.set_max_bytes(0);
        source.set_caps(Some(&shared.demuxed.caps));
        let sink = app_sink(3)?;
        let pipeline = Pipeline::new();
        add(&pipeline, &[source.upcast_ref(), sink.upcast_ref()])?;
        let name = shared.demuxed.decoder.unwrap_or("appsrc");
        match shared.demuxed.decoder {
            None => link(source.upcast_ref(), sink.upcast_ref())?,
            Some(name) => {
                let decoder = element(name)?;
                add(&pipeline, &[&decoder])?;
                link(source.upcast_ref(), &decoder)?;
                link(&decoder, sink.upcast_ref())?;
            }
        }
        start(&pipeline)?;
        let session = Session {
            pipeline,
            source,
            sink,
            name,
            run,
            fed: packet,
            ended: false,
            decoded: 0,
            held: None,
            ahead: None,
        };
        for sample in &shared.demuxed.packets[shared.runs[run].start..packet] {
            match sample.buffer_owned() {
                Some(buffer)
                    if buffer.flags().contains(gst::BufferFlags::HEADER) && buffer.pts().is_none() =>
                {
                    session.push(buffer)?;
                }
                _ => {}
            }
        }
        Ok(session)
    }

    fn push(&self, buffer: gst::Buffer) -> Result<(), MediaFault> {
        match self.source.push_buffer(buffer) {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(pipeline_fault(&self.pipeline).unwrap_or_else(|| fault_of(&self.source, &error)))
            }
        }
    }

    /// The next decoded frame in order of showing, `None` at the end of the run.
    fn next(&mut self, shared: &Shared) -> Result<Option<(u64, gst::Sample)>, MediaFault> {
        let end = shared.runs[self.run].end;
        let (mut fed, mut ended) = (self.fed, self.ended);
        let outcome = next_sample(&self.pipeline, &self.sink, self.name, &mut || {
            if self.source.current_level_buffers() < 16 {
                for _ in 0..32 {
                    if fed < end {
                        if let Some(buffer) = shared.demuxed.packets[fed].buffer_owned() {
                            self.push(buffer)?;
                        }
                        fed += 1;
                    } else if !ended {
                        ended = true;
                        self.source.end_of_stream().map_err(|error| fault_of(&self.source, &error))?;
                    }
                }
            }
            Ok(())
        });
        (self.fed, self.ended) = (fed, ended);
        let Some(sample) = outcome? else { return Ok(None) };
        let pts = match shared.numbered {
            true => self.decoded,
            false => sample.buffer().and_then(|buffer| buffer.pts()).map_or(0, |pts| pts.nseconds()),
        };
        self.decoded += 1;
        Ok(Some((pts, sample)))
    }

    /// The frame with timestamp `pts`, or the one that is still seen when the decoder leaves that one out (VP8 has frames that
    /// are never shown). `None` when nothing up to then decodes.
    fn frame(&mut self, shared: &Shared, pts: u64) -> Result<Option<gst::Sample>, MediaFault> {
        loop {
            if let Some((held, sample)) = &self.held
                && *held == pts
            {
                return Ok(Some(sample.clone()));
            }
            if self.ahead.is_none() {
                self.ahead = self.next(shared)?;
            }
            match self.ahead.take() {
                Some(next) if next.0 <= pts => self.held = Some(next),
                later => {
                    self.ahead = later;
                    return Ok(self.held.as_ref().map(|(_, sample)| sample.clone()));
                }
            }
        }
    }

    /// Whether going on from here is the way to `entry`, rather than starting again at a keyframe.
    fn reaches(&self, shared: &Shared, entry: FrameEntry) -> bool {
        let passed = self.held.as_ref().is_some_and(|(held, _)| *held > entry.pts);
        self.run == entry.run && !passed && shared.keyframe_for(entry) < self.fed + 32
    }
}

/// Frames of a video as one output wants them. Reading them in order is fast; any other order gives the same pixels.
pub struct Reader {
    shared: Arc<Shared>,
    spec: ConformSpec,
    place: Fitted,
    session: Option<Session>,
    current: Option<(usize, Arc<I420Frame>)>,
    converter: Option<(gst_video::VideoInfo, gst_video::VideoConverter)>,
}

impl Reader {
    /// Where the frames stand in the box. Their size is the box's, except that `Fit::Contain` leaves out the bars.
    pub fn place(&self) -> &Fitted {
        &self.place
    }

    /// Which of [`VideoInfo::frame_times`] is on screen at output frame `n`: the last one that is not later than
    /// `start + n / rate`, in exact arithmetic; before the first one, the first.
    pub fn source_frame(&self, n: u32) -> usize {
        let (num, den) = (i128::from(self.spec.rate.num()), i128::from(self.spec.rate.den()));
        // Both sides of the comparison in units of 1 / (num * ticks * 10^9) s.
        let unit = num * i128::from(Time::TICKS_PER_SECOND);
        let ticks = i128::from(self.spec.start.ticks()) * num
            + i128::from(n) * den * i128::from(Time::TICKS_PER_SECOND);
        let mut at = ticks * 1_000_000_000;
        if self.spec.repeat {
            at = at.rem_euclid(i128::from(self.shared.length.max(1)) * unit);
        }
        let shown = |entry: &FrameEntry| i128::from(entry.shown - TIMESTAMP_ROUNDING) * unit <= at;
        self.shared.frames.partition_point(shown).saturating_sub(1)
    }

    /// The picture at output frame `n`: turned upright, cut and scaled as asked, BT.709 limited range.
    ///
    /// # Errors
    /// When this part of the video does not decode.
    pub fn frame(&mut self, n: u32) -> Result<Arc<I420Frame>, MediaError> {
        let index = self.source_frame(n);
        if let Some((current, frame)) = &self.current
            && *current == index
        {
            return Ok(frame.clone());
        }
        let outcome = self.decode(index).map(Arc::new);
        match outcome {
            Ok(frame) => {
                self.current = Some((index, frame.clone()));
                Ok(frame)
            }
            Err(fault) => {
                self.session = None;
                Err(MediaError::new(&self.shared.blob, fault))
            }
        }
    }

    fn decode(&mut self, index: usize) -> Result<I420Frame, MediaFault> {
        let shared = self.shared.clone();
        let entry = shared.frames[index];
        let session = match self.session.take() {
            Some(session) if session.reaches(&shared, entry) => self.session.insert(session),
            _ => self.session.insert(Session::open(&shared, entry)?),
        };
        let sample = session
            .frame(&shared, entry.pts)?
            .ok_or(MediaFault::MissingFrame { seconds: entry.shown as f64 / 1e9 })?;
        self.convert(&sample)
    }

    fn convert(&mut self, sample: &gst::Sample) -> Result<I420Frame, MediaFault> {
        let broken = |message: &dyn std::fmt::Display| MediaFault::Decoder {
            element: "the converter".into(),
            message: message.to_string(),
            debug: "no further information".into(),
        };
        let info = video_info(sample)?;
        let buffer = sample.buffer().ok_or_else(|| broken(&"a frame without pixels"))?;
        let turn = self.shared.orientation;
        let (width, height) = turn.turned(self.place.width, self.place.height);
        let crop = turn.untouched(self.place.crop, &self.shared.info, &info);
        if is_as_wanted(&info, width, height) && crop == [0, 0, width as i32, height as i32] {
            let source = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)
                .map_err(|error| broken(&error))?;
            let frame = packed(|plane| source.plane_data(plane).ok(), source.plane_stride(), width, height);
            return Ok(turn.apply(frame.ok_or_else(|| broken(&"a plane that cannot be read"))?));
        }
        let converter = match self.converter.take() {
            Some((known, converter)) if known == info => &mut self.converter.insert((known, converter)).1,
            _ => {
                let output = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, height)
                    .fps(info.fps())
                    .interlace_mode(info.interlace_mode())
                    .colorimetry(&gst_video::VideoColorimetry::new(
                        gst_video::VideoColorRange::Range16_235,
                        gst_video::VideoColorMatrix::Bt709,
                        info.colorimetry().transfer(),
                        info.colorimetry().primaries(),
                    ))
                    .build()
                    .map_err(|error| broken(&error))?;
                let mut config = gst_video::VideoConverterConfig::new();
                config.set_threads(1);
                config.set_resampler_method(gst_video::VideoResamplerMethod::Cubic);
                config.set_src_x(crop[0]);
                config.set_src_y(crop[1]);
                config.set_src_width(Some(crop[2]));
                config.set_src_height(Some(crop[3]));
                let converter = gst_video::VideoConverter::new(&info, &output, Some(config))
                    .map_err(|error| broken(&error))?;
                &mut self.converter.insert((info.clone(), converter)).1
            }
        };
        let source = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)
            .map_err(|error| broken(&error))?;
        let output = converter.out_info().clone();
        let target = gst::Buffer::with_size(output.size()).map_err(|error| broken(&error))?;
        let mut target = gst_video::VideoFrame::from_buffer_writable(target, &output)
            .map_err(|_| broken(&"no room for the frame"))?;
        converter.frame_ref(&source, &mut target.as_mut_video_frame_ref());
        let frame = packed(|plane| target.plane_data(plane).ok(), target.plane_stride(), width, height);
        let frame = frame.ok_or_else(|| broken(&"a plane that cannot be read"))?;
        Ok(turn.apply(frame))
    }
}

/// Whether decoded frames are what the compositor takes, so that nothing need be converted.
fn is_as_wanted(info: &gst_video::VideoInfo, width: u32, height: u32) -> bool {
    let colorimetry = info.colorimetry();
    info.format() == gst_video::VideoFormat::I420
        && (info.width(), info.height()) == (width, height)
        && info.interlace_mode() == gst_video::VideoInterlaceMode::Progressive
        && colorimetry.range() == gst_video::VideoColorRange::Range16_235
        && colorimetry.matrix() == gst_video::VideoColorMatrix::Bt709
}

/// Three planes with rows of any stride as a frame whose rows are packed.
fn packed<'a>(
    plane: impl Fn(u32) -> Option<&'a [u8]>,
    strides: &[i32],
    width: u32,
    height: u32,
) -> Option<I420Frame> {
    let mut frame = I420Frame::of_any(width, height);
    for (index, packed) in [&mut frame.y, &mut frame.u, &mut frame.v].into_iter().enumerate() {
        let stride = usize::try_from(*strides.get(index)?).ok()?;
        let row_length = if index == 0 { width } else { width.div_ceil(2) } as usize;
        let data = plane(index as u32)?;
        if stride == row_length {
            let whole = data.get(..packed.len())?;
            packed.copy_from_slice(whole);
            continue;
        }
        for (row, packed) in data.chunks(stride).zip(packed.chunks_exact_mut(row_length)) {
            packed.copy_from_slice(row.get(..row_length)?);
        }
    }
    Some(frame)
}

/// How a stored picture is turned to stand upright: mirrored left to right first, then turned clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Orientation {
    mirrored: bool,
    /// Quarter turns clockwise, 0 to 3.
    quarters: u8,
}

impl Orientation {
    /// From GStreamer's `image-orientation` tag; anything unknown is upright.
    fn from_tag(tag: &str) -> Self {
        let (mirrored, angle) = match tag.strip_prefix("flip-") {
            Some(angle) => (true, angle),
            None => (false, tag),
        };
        let quarters = match angle {
            "rotate-90" => 1,
            "rotate-180" => 2,
            "rotate-270" => 3,
            _ => 0,
        };
        Orientation { mirrored, quarters }
    }

    /// A size after turning; turning back is the same.
    fn turned(self, width: u32, height: u32) -> (u32, u32) {
        if self.quarters.is_multiple_of(2) { (width, height) } else { (height, width) }
    }

    /// Where a part of the upright picture `shown` lies in the picture as `stored`: left, top, width, height, on even pixels
    /// where chroma needs it.
    fn untouched(self, part: [f64; 4], shown: &VideoInfo, stored: &gst_video::VideoInfo) -> [i32; 4] {
        // As fractions of the upright picture.
        let (whole_width, whole_height) = (f64::from(shown.width), f64::from(shown.height));
        let [x, y, w, h] =
            [part[0] / whole_width, part[1] / whole_height, part[2] / whole_width, part[3] / whole_height];
        let [x, y, w, h] = match self.quarters {
            0 => [x, y, w, h],
            1 => [y, 1.0 - x - w, h, w],
            2 => [1.0 - x - w, 1.0 - y - h, w, h],
            _ => [1.0 - y - h, x, h, w],
        };
        let x = if self.mirrored { 1.0 - x - w } else { x };
        let side = |start: f64, length: f64, whole: u32| {
            let start = ((start * f64::from(whole) / 2.0).round() as i32 * 2).clamp(0, whole as i32 - 1);
            let length = ((length * f64::from(whole)).round() as i32).clamp(1, whole as i32 - start);
            (start, length)
        };
        let (left, width) = side(x, w, stored.width());
        let (top, height) = side(y, h, stored.height());
        [left, top, width, height]
    }

    fn apply(self, frame: I420Frame) -> I420Frame {
        if self == Orientation::default() {
            return frame;
        }
        let (width, height) = self.turned(frame.width(), frame.height());
        let mut upright = I420Frame::new(width, height);
        let (chroma_width, chroma_height) = (frame.chroma_width(), frame.chroma_height());
        for (from, to, width, height) in [
            (&frame.y, &mut upright.y, frame.width(), frame.height()),
            (&frame.u, &mut upright.u, chroma_width, chroma_height),
            (&frame.v, &mut upright.v, chroma_width, chroma_height),
        ] {
            self.turn_plane(from, to, width as usize, height as usize);
        }
        upright
    }

    fn turn_plane(self, from: &[u8], to: &mut [u8], width: usize, height: usize) {
        let new_width = if self.quarters.is_multiple_of(2) { width } else { height };
        for (row, pixels) in to.chunks_exact_mut(new_width).enumerate() {
            for (column, pixel) in pixels.iter_mut().enumerate() {
                let (x, y) = match self.quarters {
                    0 => (column, row),
                    1 => (row, height - 1 - column),
                    2 => (width - 1 - column, height - 1 - row),
                    _ => (width - 1 - row, column),
                };
                let x = if self.mirrored { width - 1 - x } else { x };
                *pixel = from[y * width + x];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_turned_upright() {
        // Stored:  0 1 2      Upright, a quarter turn clockwise:  3 0
        //          3 4 5                                          4 1
        //                                                         5 2
        for (tag, upright) in [
            ("rotate-0", [0, 1, 2, 3, 4, 5]),
            ("rotate-90", [3, 0, 4, 1, 5, 2]),
            ("rotate-180", [5, 4, 3, 2, 1, 0]),
            ("rotate-270", [2, 5, 1, 4, 0, 3]),
            ("flip-rotate-0", [2, 1, 0, 5, 4, 3]),
            ("flip-rotate-90", [5, 2, 4, 1, 3, 0]),
        ] {
            let mut turned = [0; 6];
            Orientation::from_tag(tag).turn_plane(&[0, 1, 2, 3, 4, 5], &mut turned, 3, 2);
            assert_eq!(turned, upright, "{tag}");
        }
    }
}
