//! The programme as a track: AAC-LC for MP4 and HLS, Opus for WebM.

use gst::prelude::*;

use super::{Programme, SAMPLE_RATE};
use crate::media::demux::{
    Pipeline, add, app_sink, element, fault_of, link, next_sample, pipeline_fault, start,
};
use crate::media::{MediaError, MediaFault};

/// Bits per second of the track of AAC.
pub const BITRATE: u32 = 160_000;
/// Samples per channel in one access unit of AAC-LC.
pub(crate) const FRAME_LENGTH: u32 = 1024;
/// Samples per channel that avenc_aac puts before the first one it is given. A test measures it.
pub(crate) const PRIMING: u32 = 1024;
/// Bits per second of the track of Opus, which does with fewer than AAC.
pub const OPUS_BITRATE: u32 = 128_000;
/// Samples per channel in one packet of Opus: 20 ms.
const PACKET_LENGTH: u32 = SAMPLE_RATE / 50;

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

/// A sound track in Opus (RFC 6716).
///
/// # Guarantees
/// `packets.len() * packet_length == pre_skip + length + discarded()`, and less than one packet is discarded. A player that drops the first
/// `pre_skip` samples per channel and the last `discarded()` ones plays the programme, to the sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusTrack {
    /// The packets in order.
    pub packets: Vec<Vec<u8>>,
    /// Samples per channel that come out before the programme's first one.
    pub pre_skip: u32,
    /// Samples per channel of the programme itself.
    pub length: u64,
    /// Samples per channel in each packet.
    pub packet_length: u32,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u16,
    /// Bits per second, nominal.
    pub bitrate: u32,
}

impl OpusTrack {
    /// Samples per channel that come out after the programme's last one.
    pub fn discarded(&self) -> u32 {
        let all = self.packets.len() as u64 * u64::from(self.packet_length);
        all.saturating_sub(u64::from(self.pre_skip) + self.length) as u32
    }

    /// The identification header (RFC 7845, section 5.1), which is what WebM keeps beside the packets.
    pub fn head(&self) -> Vec<u8> {
        let mut head = b"OpusHead".to_vec();
        head.extend([1, self.channels as u8]);
        head.extend((self.pre_skip as u16).to_le_bytes());
        head.extend(self.sample_rate.to_le_bytes());
        // No gain; channels as in stereo or mono.
        head.extend([0, 0, 0]);
        head
    }
}

/// Encodes `programme` as AAC-LC, stereo, 48 kHz, at `BITRATE`.
///
/// # Errors
/// When the encoder is missing or fails, which is this machine's fault.
pub fn encode_aac(programme: &Programme) -> Result<AacTrack, MediaError> {
    aac(programme).map_err(|fault| MediaError { file: None, fault })
}

/// Encodes `programme` as Opus, stereo, 48 kHz, at 128 kbit/s, with as much variation as the sound asks for.
///
/// # Errors
/// As [`encode_aac`].
pub fn encode_opus(programme: &Programme) -> Result<OpusTrack, MediaError> {
    opus(programme).map_err(|fault| MediaError { file: None, fault })
}

fn aac(programme: &Programme) -> Result<AacTrack, MediaFault> {
    let unit = FRAME_LENGTH as usize;
    let length = programme.frames();
    let units = (PRIMING as usize + length).div_ceil(unit);
    let encoder = element("avenc_aac")?;
    encoder.set_property("bitrate", BITRATE as i32);
    let chain = [element("audioconvert")?, encoder.clone()];
    // Silence up to the last whole unit, and one more that pushes the last one out of the encoder.
    let taken = run(programme, "F32LE", &chain, 16 * unit, units * unit + unit)?;
    let caps = taken.first().and_then(|sample| sample.caps()).and_then(|caps| caps.structure(0));
    let config = caps.and_then(|caps| caps.get::<gst::Buffer>("codec_data").ok());
    let config = config.and_then(|config| config.into_mapped_buffer_readable().ok());
    let mut track = AacTrack {
        samples: bytes_of(&taken),
        config: config.map(|config| config.to_vec()).unwrap_or_default(),
        priming: PRIMING,
        length: length as u64,
        frame_length: FRAME_LENGTH,
        sample_rate: SAMPLE_RATE,
        channels: 2,
        bitrate: BITRATE,
    };
    if track.samples.len() < units || track.config.is_empty() {
        return Err(fault_of(&encoder, &format!("{} access units instead of {units}", track.samples.len())));
    }
    track.samples.truncate(units);
    Ok(track)
}

fn opus(programme: &Programme) -> Result<OpusTrack, MediaFault> {
    let unit = PACKET_LENGTH as usize;
    let length = programme.frames();
    let encoder = element("opusenc")?;
    encoder.set_property("bitrate", OPUS_BITRATE as i32);
    encoder.set_property_from_str("bitrate-type", "vbr");
    encoder.set_property_from_str("frame-size", "20");
    encoder.set_property_from_str("audio-type", "generic");
    // The pre-skip is known with the first packet; it is always much less than a packet, and all that comes after is silence.
    let padded = (length.div_ceil(unit) + 2) * unit;
    let taken = run(programme, "S16LE", std::slice::from_ref(&encoder), 16 * unit, padded)?;
    let pre_skip = taken
        .first()
        .and_then(pre_skip_of)
        .ok_or_else(|| fault_of(&encoder, &"its output has no identification header"))?;
    let mut packets = bytes_of(&taken);
    let needed = (pre_skip as usize + length).div_ceil(unit);
    if packets.len() < needed {
        return Err(fault_of(&encoder, &format!("{} packets instead of {needed}", packets.len())));
    }
    packets.truncate(needed);
    Ok(OpusTrack {
        packets,
        pre_skip,
        length: length as u64,
        packet_length: PACKET_LENGTH,
        sample_rate: SAMPLE_RATE,
        channels: 2,
        bitrate: OPUS_BITRATE,
    })
}

/// What the encoder says of its look-ahead, in the identification header (RFC 7845, section 5.1) that its caps hold.
fn pre_skip_of(sample: &gst::Sample) -> Option<u32> {
    let headers = sample.caps()?.structure(0)?.get::<gst::Array>("streamheader").ok()?;
    let head = headers.first()?.get::<gst::Buffer>().ok()?.into_mapped_buffer_readable().ok()?;
    let bytes = head.strip_prefix(b"OpusHead")?.get(2..4)?;
    Some(u32::from(u16::from_le_bytes(bytes.try_into().ok()?)))
}

fn bytes_of(samples: &[gst::Sample]) -> Vec<Vec<u8>> {
    let buffers = samples.iter().filter_map(|sample| sample.buffer()?.map_readable().ok());
    buffers.map(|bytes| bytes.to_vec()).collect()
}

/// Everything that `chain` makes of `programme` and the silence that makes it `padded` samples long, given in blocks of `block`.
fn run(
    programme: &Programme,
    format: &str,
    chain: &[gst::Element],
    block: usize,
    padded: usize,
) -> Result<Vec<gst::Sample>, MediaFault> {
    let length = programme.frames();
    let source = element("appsrc")?;
    let source = source.downcast::<gst_app::AppSrc>().map_err(|other| fault_of(&other, &"not an AppSrc"))?;
    source.set_format(gst::Format::Time);
    source.set_max_bytes(0);
    source.set_caps(Some(
        &gst::Caps::builder("audio/x-raw")
            .field("format", format)
            .field("layout", "interleaved")
            .field("rate", SAMPLE_RATE as i32)
            .field("channels", 2i32)
            .field("channel-mask", gst::Bitmask(3))
            .build(),
    ));
    let sink = app_sink(64)?;
    let pipeline = Pipeline::new();
    let mut elements: Vec<&gst::Element> = vec![source.upcast_ref()];
    elements.extend(chain);
    elements.push(sink.upcast_ref());
    add(&pipeline, &elements)?;
    for pair in elements.windows(2) {
        link(pair[0], pair[1])?;
    }
    start(&pipeline)?;
    let waiting_for = chain.last().map(|last| last.name().to_string()).unwrap_or_default();
    let (mut fed, mut ended) = (0usize, false);
    let mut taken = Vec::new();
    loop {
        let next = next_sample(&pipeline, &sink, &waiting_for, &mut || {
            while source.current_level_buffers() < 4 && fed < padded {
                let end = (fed + block).min(padded);
                let heard = &programme.samples[2 * fed.min(length)..2 * end.min(length)];
                let (mut bytes, width): (Vec<u8>, usize) = match format {
                    // Rounded here, without the noise that GStreamer would add.
                    "S16LE" => (heard.iter().flat_map(|value| to_16_bits(*value).to_le_bytes()).collect(), 4),
                    _ => (heard.iter().flat_map(|value| value.to_le_bytes()).collect(), 8),
                };
                bytes.resize((end - fed) * width, 0);
                let at = |frame: usize| {
                    gst::ClockTime::from_nseconds(frame as u64 * 1_000_000_000 / u64::from(SAMPLE_RATE))
                };
                let mut buffer = gst::Buffer::from_mut_slice(bytes);
                if let Some(buffer) = buffer.get_mut() {
                    buffer.set_pts(at(fed));
                    buffer.set_duration(at(end) - at(fed));
                }
                source.push_buffer(buffer).map_err(|error| {
                    pipeline_fault(&pipeline).unwrap_or_else(|| fault_of(&source, &error))
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
        taken.push(sample);
    }
    Ok(taken)
}

fn to_16_bits(value: f32) -> i16 {
    (value * 32768.0).round().clamp(-32768.0, 32767.0) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise that never repeats, so that only one alignment fits.
    fn noise(frames: usize) -> Programme {
        let mut state = 1u32;
        let mut smooth = [0.0f32; 2];
        let samples = (0..2 * frames)
            .map(|at| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let value = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
                // Without the highest tones, which Opus leaves out.
                smooth[at % 2] += 0.3 * (value - smooth[at % 2]);
                0.5 * smooth[at % 2]
            })
            .collect();
        Programme { samples }
    }

    /// Everything that GStreamer's decoder gives for the packets, left and right in turn.
    fn decode(track: &OpusTrack) -> Vec<f32> {
        gst::init().unwrap();
        let source = element("appsrc").unwrap().downcast::<gst_app::AppSrc>().unwrap();
        source.set_format(gst::Format::Time);
        // Without the header the decoder drops nothing.
        let caps = gst::Caps::builder("audio/x-opus")
            .field("rate", 48_000)
            .field("channels", 2)
            .field("channel-mapping-family", 0)
            .build();
        source.set_caps(Some(&caps));
        let (decoder, sink) = (element("opusdec").unwrap(), app_sink(0).unwrap());
        let pipeline = Pipeline::new();
        add(&pipeline, &[source.upcast_ref(), &decoder, sink.upcast_ref()]).unwrap();
        link(source.upcast_ref(), &decoder).unwrap();
        link(&decoder, sink.upcast_ref()).unwrap();
        start(&pipeline).unwrap();
        for (index, packet) in track.packets.iter().enumerate() {
            let mut buffer = gst::Buffer::from_slice(packet.clone());
            buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(20 * index as u64));
            source.push_buffer(buffer).unwrap();
        }
        source.end_of_stream().unwrap();
        let mut samples = Vec::new();
        while let Some(sample) = next_sample(&pipeline, &sink, "opusdec", &mut || Ok(())).unwrap() {
            for value in sample.buffer().unwrap().map_readable().unwrap().chunks_exact(2) {
                samples.push(f32::from(i16::from_le_bytes([value[0], value[1]])) / 32768.0);
            }
        }
        samples
    }

    #[test]
    fn opus_gives_the_programme_back_to_the_sample() {
        for frames in [1, 647, 648, 649, 960, 48_000, 100_001] {
            let programme = noise(frames);
            let track = encode_opus(&programme).unwrap();
            let all = track.packets.len() * 960;
            assert_eq!(all, track.pre_skip as usize + frames + track.discarded() as usize, "{frames}");
            assert!(track.discarded() < 960, "{frames}");
            let decoded = decode(&track);
            assert_eq!(decoded.len(), 2 * all, "{frames}");
            if frames < 10_000 {
                continue;
            }
            // Of all places where the programme could begin, the right one fits best, and well.
            let wanted = &programme.samples[..40_000];
            let likeness = |start: usize| -> f32 {
                wanted.iter().zip(&decoded[2 * start..]).map(|(a, b)| a * b).sum::<f32>()
                    / wanted.iter().map(|a| a * a).sum::<f32>()
            };
            let right = track.pre_skip as usize;
            let best = (right - 24..right + 24).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b)));
            assert_eq!(best, Some(right));
            assert!((0.8..1.1).contains(&likeness(right)), "{}", likeness(right));
        }
        assert_eq!(encode_opus(&noise(5_000)).unwrap(), encode_opus(&noise(5_000)).unwrap());
        let silent = encode_opus(&Programme::default()).unwrap();
        assert_eq!((silent.length, silent.packets.len()), (0, 1));
    }

    #[test]
    fn the_header_says_what_to_skip() {
        let track = encode_opus(&noise(960)).unwrap();
        let head = track.head();
        assert_eq!(head.len(), 19);
        assert_eq!(
            head[8..],
            [1, 2, (track.pre_skip & 255) as u8, (track.pre_skip >> 8) as u8, 0x80, 0xbb, 0, 0, 0, 0, 0]
        );
    }
}
