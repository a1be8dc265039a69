//! A file's first sound track as PCM.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use vignette_templates::blob::Blob;
use vignette_templates::time::Time;

use super::SAMPLE_RATE;
use crate::media::demux::{
    Demuxed, Pipeline, Track, add, app_sink, demux, element, fault_of, link, next_sample, pipeline_fault,
    start,
};
use crate::media::{MediaError, MediaFault};

/// The longest sound, in seconds.
const MAX_SECONDS: usize = 3600;
/// How much more is decoded than is heard, in frames, so that no rounding of times is ever missing some.
const MARGIN: usize = SAMPLE_RATE as usize / 10;
/// How much of a file [`probe`] decodes: 100 ms.
const PROBED: Time = Time::from_ticks(Time::TICKS_PER_SECOND / 10);
/// The sample rates that are read, in Hz. Below, a small file becomes very much sound.
const RATES: RangeInclusive<i32> = 4_000..=384_000;
/// The most channels.
const MAX_CHANNELS: i32 = 8;
/// Timestamps that jump by less than this many frames are rounding; more is a hole in the track.
const MAX_JITTER: usize = SAMPLE_RATE as usize / 50;

/// Sound: 48 kHz, two channels, interleaved, full scale is -1 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pcm {
    /// Left and right in turn.
    pub samples: Vec<f32>,
}

impl Pcm {
    /// Length in samples per channel.
    pub fn frames(&self) -> usize {
        self.samples.len() / 2
    }

    /// How long it sounds.
    pub fn duration(&self) -> Time {
        Time::from_samples(self.frames() as u64, SAMPLE_RATE)
    }
}

/// Decodes the first sound track of `blob` to 48 kHz stereo, its first sample at the container's time 0. What the edit list
/// leaves out (encoder priming) is not there.
///
/// # Errors
/// When `blob` is no sound in a container and coding that are supported, ends early, is longer than an hour, or does not decode;
/// when a GStreamer element is missing ([`MediaError::is_machine`]).
pub fn decode(blob: &Blob) -> Result<Pcm, MediaError> {
    // Past the longest, so that what is longer is not taken for what is not heard.
    decode_heard(blob, Time::from_seconds(MAX_SECONDS as i64 + 1), &|| false)
}

/// As [`decode`], but stops soon after `heard` is there, counted from the container's time 0: what lies behind it may be longer than
/// an hour, or broken. Stops as well once `cancelled` says so, and then gives what it has, which may be nothing.
///
/// # Errors
/// As [`decode`].
pub fn decode_heard(
    blob: &Blob,
    heard: Time,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Pcm, MediaError> {
    if cancelled() {
        return Ok(Pcm::default());
    }
    let longest = MAX_SECONDS * SAMPLE_RATE as usize;
    let heard = usize::try_from(heard.to_samples(SAMPLE_RATE).max(0)).unwrap_or(usize::MAX);
    let enough = match heard <= longest {
        true => (heard + MARGIN).min(longest),
        // The one frame too many shows that it is too long.
        false => longest + 1,
    };
    demux(blob, Track::Audio)
        .and_then(|demuxed| decode_track(&demuxed, enough, cancelled))
        .map_err(|fault| MediaError::new(blob, fault))
}

/// Whether `blob` has sound that decodes, by its first tenth of a second.
///
/// # Errors
/// As [`decode`], for what shows up that early.
pub fn probe(blob: &Blob) -> Result<(), MediaError> {
    decode_heard(blob, PROBED, &|| false).map(|_| ())
}

/// Refuses rates and channels that would make too much of a file. What `caps` do not say is not refused.
fn check_caps(caps: &gst::CapsRef) -> Result<(), MediaFault> {
    let Some(found) = caps.structure(0) else { return Ok(()) };
    let unsupported = |what: String| {
        Err(MediaFault::UnsupportedCodec {
            kind: "audio",
            coding: format!("{} {what}", found.name().as_str()),
        })
    };
    match (found.get::<i32>("rate"), found.get::<i32>("channels")) {
        (Ok(rate), _) if !RATES.contains(&rate) => {
            unsupported(format!("at {rate} Hz (outside {} to {} Hz)", RATES.start(), RATES.end()))
        }
        (_, Ok(channels)) if channels > MAX_CHANNELS => {
            unsupported(format!("with {channels} channels (more than {MAX_CHANNELS})"))
        }
        _ => Ok(()),
    }
}

/// How many bytes of a packet are a second; `None` when it is compressed, so that it cannot be cut.
fn second_of(demuxed: &Demuxed) -> Option<usize> {
    let found = demuxed.caps.structure(0)?;
    let rate = usize::try_from(found.get::<i32>("rate").ok()?).ok()?;
    let frame = match demuxed.decoder {
        None => gst_audio::AudioInfo::from_caps(&demuxed.caps).ok()?.bpf() as usize,
        Some("mulawdec" | "alawdec") => usize::try_from(found.get::<i32>("channels").ok()?).ok()?,
        Some(_) => return None,
    };
    Some(rate * frame).filter(|bytes| *bytes > 0)
}

/// Pushes `packet`, in pieces of `second` bytes when it is longer: one packet may hold hours.
fn push(
    source: &gst_app::AppSrc,
    packet: &gst::Sample,
    second: Option<usize>,
) -> Result<gst::FlowSuccess, gst::FlowError> {
    let (Some(buffer), Some(second)) = (packet.buffer(), second) else { return source.push_sample(packet) };
    if buffer.size() <= second {
        return source.push_sample(packet);
    }
    for (index, start) in (0..buffer.size()).step_by(second).enumerate() {
        let end = (start + second).min(buffer.size());
        let mut piece = buffer
            .copy_region(gst::BufferCopyFlags::MEMORY, start..end)
            .map_err(|_| gst::FlowError::Error)?;
        if let (Some(piece), Some(at)) = (piece.get_mut(), buffer.pts()) {
            piece.set_pts(at.saturating_add(gst::ClockTime::from_seconds(index as u64)));
        }
        let mut sample = packet.clone();
        sample.make_mut().set_buffer(Some(&piece));
        source.push_sample(&sample)?;
    }
    Ok(gst::FlowSuccess::Ok)
}

fn decode_track(
    demuxed: &Demuxed,
    enough: usize,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Pcm, MediaFault> {
    check_caps(&demuxed.caps)?;
    let source = element("appsrc")?;
    let source = source.downcast::<gst_app::AppSrc>().map_err(|other| fault_of(&other, &"not an AppSrc"))?;
    source.set_format(gst::Format::Time);
    source.set_max_bytes(0);
    // The segments of the edit list go along, so that the decoder cuts priming off.
    source.set_handle_segment_change(true);
    source.set_caps(Some(&demuxed.caps));
    let convert = element("audioconvert")?;
    let resample = element("audioresample")?;
    resample.set_property("quality", 8i32);
    let sink = app_sink(16)?;
    sink.set_caps(Some(
        &gst::Caps::builder("audio/x-raw")
            .field("format", "F32LE")
            .field("layout", "interleaved")
            .field("rate", SAMPLE_RATE as i32)
            .field("channels", 2i32)
            .build(),
    ));
    let pipeline = Pipeline::new();
    add(&pipeline, &[source.upcast_ref(), &convert, &resample, sink.upcast_ref()])?;
    match demuxed.decoder {
        None => link(source.upcast_ref(), &convert)?,
        Some(name) => {
            let decoder = element(name)?;
            add(&pipeline, &[&decoder])?;
            link(source.upcast_ref(), &decoder)?;
            link(&decoder, &convert)?;
        }
    }
    link(&convert, &resample)?;
    link(&resample, sink.upcast_ref())?;
    // What comes out of the decoder counts, whatever the container says of it. Caps that are refused go no further.
    let refused: Arc<Mutex<Option<MediaFault>>> = Arc::default();
    let pad = convert.static_pad("sink").ok_or_else(|| fault_of(&convert, &"no sink pad"))?;
    let seen = refused.clone();
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let Some(event) = info.event() else { return gst::PadProbeReturn::Ok };
        let gst::EventView::Caps(event) = event.view() else { return gst::PadProbeReturn::Ok };
        match check_caps(event.caps()) {
            Ok(()) => gst::PadProbeReturn::Ok,
            Err(fault) => {
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                gst::PadProbeReturn::Drop
            }
        }
    });
    start(&pipeline)?;

    let second = second_of(demuxed);
    let (mut fed, mut ended, mut stopped) = (0, false, false);
    let mut pcm = Pcm::default();
    loop {
        let next = next_sample(&pipeline, &sink, demuxed.decoder.unwrap_or("appsrc"), &mut || {
            if let Some(fault) = refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(fault);
            }
            if cancelled() {
                stopped = true;
                // Any fault stops the wait; this one is not looked at.
                return Err(MediaFault::NoTrack("audio"));
            }
            if source.current_level_buffers() < 64 {
                for _ in 0..128 {
                    if let Some(packet) = demuxed.packets.get(fed) {
                        push(&source, packet, second).map_err(|error| {
                            pipeline_fault(&pipeline).unwrap_or_else(|| fault_of(&source, &error))
                        })?;
                        fed += 1;
                    } else if !ended {
                        ended = true;
                        source.end_of_stream().map_err(|error| fault_of(&source, &error))?;
                    }
                }
            }
            Ok(())
        });
        if stopped {
            return Ok(pcm);
        }
        let Some(sample) = next? else { break };
        append(&mut pcm, &sample, enough)?;
        if pcm.frames() >= enough {
            break;
        }
    }
    if pcm.samples.is_empty() {
        return Err(MediaFault::NoTrack("audio"));
    }
    Ok(pcm)
}

/// Puts a decoded buffer where its timestamp says; what lies `enough` frames from the start or later is left out.
fn append(pcm: &mut Pcm, sample: &gst::Sample, enough: usize) -> Result<(), MediaFault> {
    let Some(buffer) = sample.buffer() else { return Ok(()) };
    let broken = |error: &dyn std::fmt::Display| MediaFault::Decoder {
        element: "audioresample".into(),
        message: error.to_string(),
        debug: "no further information".into(),
    };
    let bytes = buffer.map_readable().map_err(|error| broken(&error))?;
    let values = bytes.chunks_exact(4).map(|bytes| {
        let value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        // A decoder fed with nonsense may hand out anything.
        if value.is_finite() { value.clamp(-8.0, 8.0) } else { 0.0 }
    });
    let segment = sample.segment().and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
    let at = match (segment, buffer.pts()) {
        (Some(segment), Some(pts)) => segment.to_running_time(pts),
        _ => None,
    };
    let mut skip = 0;
    if let Some(at) = at {
        let wanted = (u128::from(at.nseconds()) * u128::from(SAMPLE_RATE) + 500_000_000) / 1_000_000_000;
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(enough);
        check_length(wanted)?;
        let have = pcm.frames();
        if have == 0 || wanted > have + MAX_JITTER {
            pcm.samples.resize(wanted * 2, 0.0);
        } else if wanted + MAX_JITTER < have {
            skip = have - wanted;
        }
    }
    let missing = enough.saturating_sub(pcm.frames());
    pcm.samples.extend(values.skip(skip * 2).take(missing * 2));
    check_length(pcm.frames())
}

fn check_length(frames: usize) -> Result<(), MediaFault> {
    match frames > MAX_SECONDS * SAMPLE_RATE as usize {
        true => Err(MediaFault::TooLarge {
            what: "the length of the sound".into(),
            limit: format!("{MAX_SECONDS} s"),
        }),
        false => Ok(()),
    }
}
