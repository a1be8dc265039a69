//! The programme as AAC-LC.

use gst::prelude::*;

use super::{Programme, SAMPLE_RATE};
use crate::media::demux::{
    Pipeline, add, app_sink, element, fault_of, link, next_sample, pipeline_fault, start,
};
use crate::media::{MediaError, MediaFault};

/// Bits per second of the track.
pub const BITRATE: u32 = 160_000;
/// Samples per channel in one access unit of AAC-LC.
pub(crate) const FRAME_LENGTH: u32 = 1024;
/// Samples per channel that avenc_aac puts before the first one it is given. A test measures it.
pub(crate) const PRIMING: u32 = 1024;

/// An encoded sound track.
///
/// # Guarantees
/// `samples.len() * frame_length >= priming + length`, with less than one access unit too many. A player that drops the first `priming`
/// samples per channel and stops after `length` more plays the programme, to the sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AacTrack {
    /// Raw AAC-LC access units (ISO/IEC 14496-3), without ADTS headers, in order; each one decodes after the one before it.
    pub samples: Vec<Vec<u8>>,
    /// The AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) for the `esds` box.
    pub config: Vec<u8>,
    /// Samples per channel that come out before the programme's first one; the edit list's media time.
    pub priming: u32,
    /// Samples per channel of the programme itself.
    pub length: u64,
    /// Samples per channel in each access unit.
    pub frame_length: u32,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u16,
    /// Bits per second, nominal.
    pub bitrate: u32,
}

/// Encodes `programme` as AAC-LC, stereo, 48 kHz, at `BITRATE`.
///
/// # Errors
/// When the encoder is missing or fails, which is this machine's fault.
pub fn encode_aac(programme: &Programme) -> Result<AacTrack, MediaError> {
    encode(programme).map_err(|fault| MediaError { file: None, fault })
}

fn encode(programme: &Programme) -> Result<AacTrack, MediaFault> {
    let unit = FRAME_LENGTH as usize;
    let length = programme.frames();
    let units = (PRIMING as usize + length).div_ceil(unit);

    let source = element("appsrc")?;
    let source = source.downcast::<gst_app::AppSrc>().map_err(|other| fault_of(&other, &"not an AppSrc"))?;
    source.set_format(gst::Format::Time);
    source.set_max_bytes(0);
    source.set_caps(Some(
        &gst::Caps::builder("audio/x-raw")
            .field("format", "F32LE")
            .field("layout", "interleaved")
            .field("rate", SAMPLE_RATE as i32)
            .field("channels", 2i32)
            .field("channel-mask", gst::Bitmask(3))
            .build(),
    ));
    let convert = element("audioconvert")?;
    let encoder = element("avenc_aac")?;
    encoder.set_property("bitrate", BITRATE as i32);
    let sink = app_sink(64)?;
    let pipeline = Pipeline(gst::Pipeline::new());
    add(&pipeline.0, &[source.upcast_ref(), &convert, &encoder, sink.upcast_ref()])?;
    link(source.upcast_ref(), &convert)?;
    link(&convert, &encoder)?;
    link(&encoder, sink.upcast_ref())?;
    start(&pipeline.0)?;

    // Silence up to the last whole unit, and one more that pushes the last one out of the encoder.
    let padded = units * unit + unit;
    let block = 16 * unit;
    let (mut fed, mut ended) = (0usize, false);
    let mut track = AacTrack {
        samples: Vec::with_capacity(units),
        config: Vec::new(),
        priming: PRIMING,
        length: length as u64,
        frame_length: FRAME_LENGTH,
        sample_rate: SAMPLE_RATE,
        channels: 2,
        bitrate: BITRATE,
    };
    loop {
        let next = next_sample(&pipeline.0, &sink, "avenc_aac", &mut || {
            while source.current_level_buffers() < 4 && fed < padded {
                let end = (fed + block).min(padded);
                let mut bytes: Vec<u8> = programme.samples[2 * fed.min(length)..2 * end.min(length)]
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect();
                bytes.resize((end - fed) * 8, 0);
                let at = |frame: usize| {
                    gst::ClockTime::from_nseconds(frame as u64 * 1_000_000_000 / u64::from(SAMPLE_RATE))
                };
                let mut buffer = gst::Buffer::from_mut_slice(bytes);
                if let Some(buffer) = buffer.get_mut() {
                    buffer.set_pts(at(fed));
                    buffer.set_duration(at(end) - at(fed));
                }
                source.push_buffer(buffer).map_err(|error| {
                    pipeline_fault(&pipeline.0).unwrap_or_else(|| fault_of(&source, &error))
                })?;
                fed = end;
            }
            if fed == padded && !ended {
                ended = true;
                source.end_of_stream().map_err(|error| fault_of(&source, &error))?;
            }
            Ok(())
        })?;
        let Some(sample) = next else { break };
        if track.config.is_empty() {
            let caps = sample.caps().and_then(|caps| caps.structure(0));
            let config = caps.and_then(|caps| caps.get::<gst::Buffer>("codec_data").ok());
            let config = config.and_then(|config| config.into_mapped_buffer_readable().ok());
            track.config = config.map(|config| config.to_vec()).unwrap_or_default();
        }
        let bytes = sample.buffer().and_then(|buffer| buffer.map_readable().ok());
        track.samples.extend(bytes.map(|bytes| bytes.to_vec()));
    }
    if track.samples.len() < units || track.config.is_empty() {
        return Err(fault_of(&encoder, &format!("{} access units instead of {units}", track.samples.len())));
    }
    track.samples.truncate(units);
    Ok(track)
}
