//! A file's first sound track as PCM.

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
    demux(blob, Track::Audio)
        .and_then(|demuxed| decode_track(&demuxed))
        .map_err(|fault| MediaError::new(blob, fault))
}

fn decode_track(demuxed: &Demuxed) -> Result<Pcm, MediaFault> {
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
    let pipeline = Pipeline(gst::Pipeline::new());
    add(&pipeline.0, &[source.upcast_ref(), &convert, &resample, sink.upcast_ref()])?;
    match demuxed.decoder {
        None => link(source.upcast_ref(), &convert)?,
        Some(name) => {
            let decoder = element(name)?;
            add(&pipeline.0, &[&decoder])?;
            link(source.upcast_ref(), &decoder)?;
            link(&decoder, &convert)?;
        }
    }
    link(&convert, &resample)?;
    link(&resample, sink.upcast_ref())?;
    start(&pipeline.0)?;

    let (mut fed, mut ended) = (0, false);
    let mut pcm = Pcm::default();
    loop {
        let next = next_sample(&pipeline.0, &sink, demuxed.decoder.unwrap_or("appsrc"), &mut || {
            if source.current_level_buffers() < 64 {
                for _ in 0..128 {
                    if let Some(packet) = demuxed.packets.get(fed) {
                        source.push_sample(packet).map_err(|error| {
                            pipeline_fault(&pipeline.0).unwrap_or_else(|| fault_of(&source, &error))
                        })?;
                        fed += 1;
                    } else if !ended {
                        ended = true;
                        source.end_of_stream().map_err(|error| fault_of(&source, &error))?;
                    }
                }
            }
            Ok(())
        })?;
        let Some(sample) = next else { break };
        append(&mut pcm, &sample)?;
    }
    if pcm.samples.is_empty() {
        return Err(MediaFault::NoTrack("audio"));
    }
    Ok(pcm)
}

/// Puts a decoded buffer where its timestamp says.
fn append(pcm: &mut Pcm, sample: &gst::Sample) -> Result<(), MediaFault> {
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
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        check_length(wanted)?;
        let have = pcm.frames();
        if have == 0 || wanted > have + MAX_JITTER {
            pcm.samples.resize(wanted * 2, 0.0);
        } else if wanted + MAX_JITTER < have {
            skip = have - wanted;
        }
    }
    pcm.samples.extend(values.skip(skip * 2));
    check_length(pcm.frames())
}

fn check_length(frames: usize) -> Result<(), MediaFault> {
    match frames > MAX_SECONDS * SAMPLE_RATE as usize {
        true => Err(MediaFault::TooLarge {
            what: format!("a sound of {} s", frames / SAMPLE_RATE as usize),
            limit: format!("{MAX_SECONDS} s"),
        }),
        false => Ok(()),
    }
}
