//! From a file to the coded packets of one track.
//!
//! The container is decided by the first bytes and its demuxer pinned; the track's parser is taken from [`CODINGS`]. GStreamer's own
//! type finding is never asked: it would follow a playlist that calls itself `clip.mp4` to other files.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use gst::prelude::*;
use vignette_templates::blob::Blob;

use super::error::{MediaFault, first_bytes};
use super::source::{bytes_source, shared_buffer};
use crate::patience::{self, Standing};

/// The most packets of one track.
const MAX_PACKETS: usize = 2_000_000;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// MP4, M4A, MOV: ISO/IEC 14496-12.
    Mp4,
    /// Matroska and WebM: RFC 9559.
    Matroska,
    /// Audio Video Interleave.
    Avi,
    /// Ogg: RFC 3533.
    Ogg,
    /// MPEG program stream: ISO/IEC 13818-1.
    MpegPs,
    /// RIFF WAVE.
    Wav,
    /// A bare FLAC stream: RFC 9639.
    Flac,
    /// A bare MPEG-1/2 audio stream, with or without tags.
    Mp3,
    /// A bare AAC stream with ADTS headers.
    Adts,
}

impl Container {
    /// Decides by the magic bytes; the second value is how many bytes of tags stand before the content.
    pub fn of(bytes: &[u8]) -> Option<(Self, usize)> {
        let at = |start: usize, length: usize| bytes.get(start..start + length).unwrap_or_default();
        let boxes: [&[u8]; 6] = [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"];
        if boxes.contains(&at(4, 4)) {
            return Some((Container::Mp4, 0));
        }
        match (at(0, 4), at(8, 4)) {
            (b"\x1a\x45\xdf\xa3", _) => return Some((Container::Matroska, 0)),
            (b"RIFF", b"AVI ") => return Some((Container::Avi, 0)),
            (b"RIFF", b"WAVE") => return Some((Container::Wav, 0)),
            (b"OggS", _) => return Some((Container::Ogg, 0)),
            (b"\x00\x00\x01\xba", _) => return Some((Container::MpegPs, 0)),
            (b"fLaC", _) => return Some((Container::Flac, 0)),
            _ => {}
        }
        // ID3v2 tags (id3.org, ID3v2.4 section 3.1) may stand before MPEG audio and FLAC, more than one.
        let mut start = 0;
        for _ in 0..8 {
            if at(start, 3) != b"ID3" {
                break;
            }
            let size =
                at(start + 6, 4).iter().fold(0usize, |size, byte| size << 7 | usize::from(byte & 0x7f));
            let footer = if at(start + 5, 1).first().is_some_and(|flags| flags & 0x10 != 0) { 10 } else { 0 };
            start += 10 + size + footer;
        }
        match at(start, 4) {
            b"fLaC" => Some((Container::Flac, start)),
            // Frame sync, then layer: 00 is ADTS, anything else MPEG audio with a valid rate and bit rate.
            [0xff, second, ..] if second & 0xf6 == 0xf0 => Some((Container::Adts, start)),
            [0xff, second, third, _]
                if second & 0xe0 == 0xe0
                    && second & 0x18 != 0x08
                    && third & 0x0c != 0x0c
                    && third & 0xf0 != 0xf0 =>
            {
                Some((Container::Mp3, start))
            }
            _ => None,
        }
    }

    fn demuxer(self) -> &'static str {
        match self {
            Container::Mp4 => "qtdemux",
            Container::Matroska => "matroskademux",
            Container::Avi => "avidemux",
            Container::Ogg => "oggdemux",
            Container::MpegPs => "mpegpsdemux",
            Container::Wav => "wavparse",
            Container::Flac => "flacparse",
            Container::Mp3 => "mpegaudioparse",
            Container::Adts => "aacparse",
        }
    }

    /// Says where the file should have gone on, when its own headers promise more than there is.
    fn check_length(self, bytes: &[u8]) -> Result<(), MediaFault> {
        let have = bytes.len() as u64;
        let number = |start: usize, length: usize| -> u64 {
            let digits = bytes.get(start..start + length).unwrap_or_default();
            digits.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        match self {
            Container::Mp4 => {
                let mut at = 0u64;
                let mut kinds = Vec::new();
                while at < have {
                    if have - at < 8 {
                        // Some writers leave a few zeros behind the last box.
                        return match bytes[at as usize..].iter().all(|byte| *byte == 0) {
                            true => break,
                            false => Err(MediaFault::Truncated(format!("a box header at byte {at} is cut"))),
                        };
                    }
                    let start = at as usize;
                    let kind = bytes[start + 4..start + 8].escape_ascii().to_string();
                    let size = match number(start, 4) {
                        0 => have - at,
                        1 => number(start + 8, 8),
                        size => size,
                    };
                    if size < 8 || size > have - at {
                        return Err(MediaFault::Truncated(format!(
                            "box {kind} at byte {at} wants {size} bytes, {} are there",
                            have - at
                        )));
                    }
                    kinds.push(kind);
                    at += size;
                }
                match kinds.iter().any(|kind| kind == "moov") {
                    true => Ok(()),
                    false => Err(MediaFault::Truncated("its index (box moov) is missing".into())),
                }
            }
            Container::Avi | Container::Wav => {
                let size = bytes.get(4..8).map_or(0, |size| {
                    size.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
                });
                // 0 and the largest value are written by programs that do not know the length yet.
                match size != 0 && size < 0xffff_ff00 && size > have {
                    true => Err(MediaFault::Truncated(format!("RIFF wants {size} bytes, {have} are there"))),
                    false => Ok(()),
                }
            }
            Container::Matroska => {
                // EBML header, then the segment: an element ID, then its size with the length in leading zero bits.
                let size_at = |start: usize| -> Option<(u64, usize)> {
                    let first = *bytes.get(start)?;
                    let length = first.leading_zeros() as usize + 1;
                    if length > 8 {
                        return None;
                    }
                    let mask = (1u64 << (7 * length)) - 1;
                    let value = number(start, length) & mask;
                    Some((if value == mask { u64::MAX } else { value }, length))
                };
                let Some((header, length)) = size_at(4) else { return Ok(()) };
                let segment = 4 + length as u64 + header;
                let Ok(segment) = usize::try_from(segment) else {
                    return Err(MediaFault::Truncated("its header is cut".into()));
                };
                match size_at(segment.saturating_add(4)) {
                    Some((size, length)) if size != u64::MAX => {
                        let wants = (segment + 4 + length) as u64 + size;
                        match wants > have {
                            true => Err(MediaFault::Truncated(format!(
                                "its segment wants {wants} bytes, {have} are there"
                            ))),
                            false => Ok(()),
                        }
                    }
                    Some(_) => Ok(()),
                    None => Err(MediaFault::Truncated("its header is cut".into())),
                }
            }
            Container::Ogg => {
                let mut at = 0usize;
                while at < bytes.len() {
                    let segments = number(at + 26, 1) as usize;
                    let table = bytes.get(at + 27..at + 27 + segments);
                    let body =
                        table.map(|table| table.iter().map(|length| usize::from(*length)).sum::<usize>());
                    match body {
                        Some(body)
                            if bytes[at..].starts_with(b"OggS")
                                && at + 27 + segments + body <= bytes.len() =>
                        {
                            at += 27 + segments + body;
                        }
                        _ => return Err(MediaFault::Truncated(format!("the page at byte {at} is cut"))),
                    }
                }
                Ok(())
            }
            Container::MpegPs | Container::Flac | Container::Mp3 | Container::Adts => Ok(()),
        }
    }
}

/// Which track of a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Track {
    /// The first with pictures.
    Video,
    /// The first with sound.
    Audio,
}

impl Track {
    fn name(self) -> &'static str {
        match self {
            Track::Video => "video",
            Track::Audio => "audio",
        }
    }

    fn matches(self, caps: &gst::StructureRef) -> bool {
        let name = caps.name();
        match self {
            Track::Video => name.starts_with("video/") || name.starts_with("image/"),
            Track::Audio => name.starts_with("audio/"),
        }
    }
}

/// A coding that is decoded: GStreamer's name, a field that must have one of these values, and the elements for it.
struct Coding {
    caps: &'static str,
    mpegversion: Option<&'static [i32]>,
    parser: Option<&'static str>,
    decoder: Option<&'static str>,
}

const fn coding(caps: &'static str, parser: Option<&'static str>, decoder: &'static str) -> Coding {
    Coding { caps, mpegversion: None, parser, decoder: Some(decoder) }
}

/// Everything that is decoded, and by what. What is not here is refused.
const CODINGS: &[Coding] = &[
    coding("video/x-h264", Some("h264parse"), "avdec_h264"),
    coding("video/x-h265", Some("h265parse"), "avdec_h265"),
    coding("video/x-vp8", None, "vp8dec"),
    coding("video/x-vp9", None, "vp9dec"),
    coding("video/x-av1", Some("av1parse"), "av1dec"),
    Coding {
        caps: "video/mpeg",
        mpegversion: Some(&[4]),
        parser: Some("mpeg4videoparse"),
        decoder: Some("avdec_mpeg4"),
    },
    Coding {
        caps: "video/mpeg",
        mpegversion: Some(&[1, 2]),
        parser: Some("mpegvideoparse"),
        decoder: Some("avdec_mpeg2video"),
    },
    // Ogg packets are whole frames already; theoraparse 1.22 crashes on real files.
    coding("video/x-theora", None, "theoradec"),
    coding("video/x-prores", None, "avdec_prores"),
    coding("image/jpeg", None, "jpegdec"),
    Coding { caps: "video/x-raw", mpegversion: None, parser: None, decoder: None },
    Coding {
        caps: "audio/mpeg",
        mpegversion: Some(&[1]),
        parser: Some("mpegaudioparse"),
        decoder: Some("mpg123audiodec"),
    },
    Coding {
        caps: "audio/mpeg",
        mpegversion: Some(&[2, 4]),
        parser: Some("aacparse"),
        decoder: Some("avdec_aac"),
    },
    coding("audio/x-vorbis", None, "vorbisdec"),
    coding("audio/x-opus", None, "opusdec"),
    coding("audio/x-flac", Some("flacparse"), "flacdec"),
    coding("audio/x-alac", None, "avdec_alac"),
    coding("audio/x-ac3", Some("ac3parse"), "avdec_ac3"),
    coding("audio/x-mulaw", None, "mulawdec"),
    coding("audio/x-alaw", None, "alawdec"),
    Coding { caps: "audio/x-raw", mpegversion: None, parser: None, decoder: None },
];

fn coding_of(track: Track, caps: &gst::CapsRef) -> Result<&'static Coding, MediaFault> {
    let unsupported = || MediaFault::UnsupportedCodec {
        kind: track.name(),
        coding: caps.structure(0).map_or("unknown", |found| found.name().as_str()).into(),
    };
    let found = caps.structure(0).ok_or_else(unsupported)?;
    CODINGS
        .iter()
        .find(|coding| {
            coding.caps == found.name().as_str()
                && coding.mpegversion.is_none_or(|versions| {
                    found.get::<i32>("mpegversion").is_ok_and(|version| versions.contains(&version))
                })
        })
        .ok_or_else(unsupported)
}

/// The coded packets of one track.
#[derive(Debug)]
pub(crate) struct Demuxed {
    /// What they came in.
    pub(crate) container: Container,
    /// How they are coded.
    pub(crate) caps: gst::Caps,
    /// The packets in decoding order, each with its segment.
    pub(crate) packets: Vec<gst::Sample>,
    /// What the file says about itself.
    pub(crate) tags: gst::TagList,
    /// The element that decodes them; `None` when they are not coded.
    pub(crate) decoder: Option<&'static str>,
}

/// Reads all packets of the first `track` of `blob`.
pub(crate) fn demux(blob: &Blob, track: Track) -> Result<Demuxed, MediaFault> {
    let bytes = blob.bytes();
    let known = Container::of(bytes).filter(|(container, _)| {
        let sound_only =
            matches!(container, Container::Wav | Container::Flac | Container::Mp3 | Container::Adts);
        track == Track::Audio || !sound_only
    });
    let Some((container, skip)) = known else {
        return Err(MediaFault::Unknown {
            expected: match track {
                Track::Video => "an MP4, MOV, WebM, Matroska, AVI, Ogg or MPEG video",
                Track::Audio => "a WAV, MP3, Ogg, FLAC, AAC, M4A, MP4, WebM, AVI or MPEG sound",
            },
            found: first_bytes(bytes),
        });
    };
    container.check_length(bytes)?;
    initialise()?;

    let pipeline = Pipeline::new();
    let source = bytes_source(shared_buffer(bytes, skip));
    let demuxer = element(container.demuxer())?;
    let sink = app_sink(64)?;
    add(&pipeline, &[source.upcast_ref(), &demuxer, sink.upcast_ref()])?;
    link(source.upcast_ref(), &demuxer)?;

    let chosen: Arc<Mutex<Option<Result<(), MediaFault>>>> = Arc::default();
    let choose = {
        let (bin, sink, chosen) = (pipeline.downgrade(), sink.downgrade(), chosen.clone());
        move |pad: &gst::Pad| {
            let (Some(bin), Some(sink)) = (bin.upgrade(), sink.upgrade()) else { return };
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            let mut chosen = chosen.lock().unwrap_or_else(PoisonError::into_inner);
            if chosen.is_none() && caps.structure(0).is_some_and(|caps| track.matches(caps)) {
                *chosen = Some(connect(&bin, pad, &caps, track, sink.upcast_ref()));
            }
        }
    };
    match demuxer.static_pad("src") {
        Some(pad) => {
            link(&demuxer, sink.upcast_ref())?;
            drop(pad);
            *chosen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ok(()));
        }
        None => {
            demuxer.connect_pad_added(move |_, pad| choose(pad));
        }
    }

    start(&pipeline)?;
    let mut demuxed = Demuxed {
        container,
        caps: gst::Caps::new_empty(),
        packets: Vec::new(),
        tags: gst::TagList::new(),
        decoder: None,
    };
    let mut size = 0usize;
    // Packets share the file's bytes, except where a parser rewrites them.
    let most_bytes = bytes.len().saturating_mul(4).saturating_add(16 << 20);
    loop {
        let next = next_sample(&pipeline, &sink, "the demuxer", &mut || {
            let mut chosen = chosen.lock().unwrap_or_else(PoisonError::into_inner);
            match chosen.take() {
                Some(Err(fault)) => Err(fault),
                other => {
                    *chosen = other;
                    Ok(())
                }
            }
        });
        let sample = match next {
            Ok(Some(sample)) => sample,
            Ok(None) => break,
            // With no pad taken, the demuxer's complaint is that nobody listens.
            Err(fault @ MediaFault::Decoder { .. }) => {
                let seen = chosen.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                let unlinked =
                    matches!(&fault, MediaFault::Decoder { debug, .. } if debug.contains("not-linked"));
                return Err(if !seen && unlinked { MediaFault::NoTrack(track.name()) } else { fault });
            }
            Err(fault) => return Err(fault),
        };
        size += sample.buffer().map_or(0, |buffer| buffer.size());
        demuxed.packets.push(sample);
        if demuxed.packets.len() > MAX_PACKETS || size > most_bytes {
            return Err(MediaFault::TooLarge {
                what: format!(
                    "a {} track of {} packets and {size} bytes",
                    track.name(),
                    demuxed.packets.len()
                ),
                limit: format!("{MAX_PACKETS} packets, {most_bytes} bytes"),
            });
        }
    }
    if chosen.lock().unwrap_or_else(PoisonError::into_inner).is_none() || demuxed.packets.is_empty() {
        return Err(MediaFault::NoTrack(track.name()));
    }
    if let Some(pad) = sink.static_pad("sink") {
        // Two kinds of tags may come, of the track and of the file; the first to name a thing wins.
        let mut index = 0;
        while let Some(event) = pad.sticky_event::<gst::event::Tag>(index) {
            demuxed.tags = demuxed.tags.merge(event.tag(), gst::TagMergeMode::Keep);
            index += 1;
        }
        demuxed.caps = pad.current_caps().unwrap_or(demuxed.caps);
    }
    demuxed.decoder = coding_of(track, &demuxed.caps)?.decoder;
    Ok(demuxed)
}

/// Puts the parser for `caps` between the demuxer's `pad` and `sink`.
fn connect(
    bin: &gst::Pipeline,
    pad: &gst::Pad,
    caps: &gst::Caps,
    track: Track,
    sink: &gst::Element,
) -> Result<(), MediaFault> {
    let coding = coding_of(track, caps)?;
    // What the decoder takes, so that the parser brings the packets into that form.
    if let Some(decoder) = coding.decoder {
        let wanted = element(decoder)?.static_pad("sink").map(|pad| pad.pad_template_caps());
        sink.set_property("caps", wanted);
    }
    let target = match coding.parser {
        None => sink.clone(),
        Some(name) => {
            let parser = element(name)?;
            add(bin, &[&parser])?;
            link(&parser, sink)?;
            parser.sync_state_with_parent().map_err(|error| fault_of(&parser, &error))?;
            parser
        }
    };
    let target_pad = target.static_pad("sink").ok_or_else(|| fault_of(&target, &"no sink pad"))?;
    pad.link(&target_pad).map_err(|error| fault_of(&target, &error))?;
    Ok(())
}

/// A pipeline that is stopped when it is let go.
pub(crate) struct Pipeline {
    bin: gst::Pipeline,
    /// How long it may make no progress.
    patience: Duration,
    /// One of its elements made no progress, so that stopping it may take for ever.
    hangs: AtomicBool,
}

impl Pipeline {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Pipeline { bin: gst::Pipeline::new(), patience: patience::get(), hangs: AtomicBool::new(false) }
    }
}

impl std::ops::Deref for Pipeline {
    type Target = gst::Pipeline;

    fn deref(&self) -> &gst::Pipeline {
        &self.bin
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let standing = if *self.hangs.get_mut() { Standing::Hangs } else { Standing::Running };
        patience::stop(&self.bin, standing);
    }
}

/// Starts GStreamer, once.
pub(crate) fn initialise() -> Result<(), MediaFault> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    let started = STARTED.get_or_init(|| gst::init().map_err(|error| error.to_string()));
    started.clone().map_err(MediaFault::NoGStreamer)
}

/// A new element of the kind `name`, single-threaded where it can be told so: segments are rendered in parallel, and
/// decoders with many threads hand out frames in other batches.
pub(crate) fn element(name: &str) -> Result<gst::Element, MediaFault> {
    initialise()?;
    let element = gst::ElementFactory::make(name)
        .build()
        .map_err(|_| MediaFault::MissingPlugin { element: name.into(), package: package_of(name) })?;
    for property in ["max-threads", "threads", "n-threads"] {
        if element.find_property(property).is_some() {
            element.set_property_from_str(property, "1");
        }
    }
    Ok(element)
}

/// Loads the plug-ins that decode what is decoded here, so that the first file need not wait for them. One that is missing is told when a
/// file needs it.
///
/// # Errors
/// GStreamer does not start.
pub fn warm_up() -> Result<(), super::MediaError> {
    initialise().map_err(|fault| super::MediaError { file: None, fault })?;
    let demuxers = ["qtdemux", "matroskademux", "avidemux", "oggdemux", "wavparse"];
    let codings = CODINGS.iter().flat_map(|coding| [coding.parser, coding.decoder]).flatten();
    let others = ["appsrc", "appsink", "audioconvert", "audioresample"];
    for name in demuxers.into_iter().chain(codings).chain(others) {
        drop(element(name));
    }
    Ok(())
}

/// The Debian package that brings an element.
fn package_of(element: &str) -> &'static str {
    match element {
        name if name.starts_with("av") && name.contains('_') => "gstreamer1.0-libav",
        "h264parse" | "h265parse" | "av1parse" | "mpeg4videoparse" | "mpegvideoparse" | "av1dec"
        | "mpegpsdemux" | "voaacenc" => "gstreamer1.0-plugins-bad",
        "oggdemux" | "theoradec" | "vorbisdec" | "opusdec" | "appsrc" | "appsink" | "audioconvert"
        | "audioresample" => "gstreamer1.0-plugins-base",
        _ => "gstreamer1.0-plugins-good",
    }
}

/// A sink that hands out samples as fast as they come, at most `ahead` before they are taken.
pub(crate) fn app_sink(ahead: u32) -> Result<gst_app::AppSink, MediaFault> {
    let sink = element("appsink")?
        .downcast::<gst_app::AppSink>()
        .map_err(|other| fault_of(&other, &"not an AppSink"))?;
    sink.set_sync(false);
    sink.set_qos(false);
    sink.set_enable_last_sample(false);
    sink.set_max_buffers(ahead);
    sink.set_wait_on_eos(false);
    Ok(sink)
}

/// Adds `elements` to `bin`.
pub(crate) fn add(bin: &gst::Pipeline, elements: &[&gst::Element]) -> Result<(), MediaFault> {
    bin.add_many(elements).map_err(|error| fault_of(bin, &error))
}

/// Links `from` to `to`.
pub(crate) fn link(from: &gst::Element, to: &gst::Element) -> Result<(), MediaFault> {
    from.link(to).map_err(|error| fault_of(from, &error))
}

/// Sets `pipeline` running.
pub(crate) fn start(pipeline: &gst::Pipeline) -> Result<(), MediaFault> {
    match pipeline.set_state(gst::State::Playing) {
        Ok(_) => Ok(()),
        Err(error) => Err(pipeline_fault(pipeline).unwrap_or_else(|| fault_of(pipeline, &error))),
    }
}

/// `message` said by `element`.
pub(crate) fn fault_of(element: &impl IsA<gst::Object>, message: &dyn std::fmt::Display) -> MediaFault {
    MediaFault::Decoder {
        element: element.name().into(),
        message: message.to_string(),
        debug: "no further information".into(),
    }
}

/// The first error that an element of `pipeline` has reported, if any.
pub(crate) fn pipeline_fault(pipeline: &gst::Pipeline) -> Option<MediaFault> {
    let message = pipeline.bus()?.pop_filtered(&[gst::MessageType::Error])?;
    let gst::MessageView::Error(error) = message.view() else { return None };
    let factory =
        error.src().and_then(|source| source.downcast_ref::<gst::Element>()).and_then(|e| e.factory());
    Some(MediaFault::Decoder {
        element: factory.map_or_else(|| "pipeline".into(), |factory| factory.name().into()),
        message: error.error().to_string(),
        // The first line names GStreamer's own source file; what follows is the reason.
        debug: error.debug().map_or_else(
            || "no further information".into(),
            |debug| debug.lines().skip(1).collect::<Vec<_>>().join(" "),
        ),
    })
}

/// The next sample of `sink`, `None` at the end. `step` runs every now and then and feeds the pipeline, or stops it.
pub(crate) fn next_sample(
    pipeline: &Pipeline,
    sink: &gst_app::AppSink,
    waiting_for: &str,
    step: &mut dyn FnMut() -> Result<(), MediaFault>,
) -> Result<Option<gst::Sample>, MediaFault> {
    let begun = Instant::now();
    loop {
        step()?;
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(20)) {
            return Ok(Some(sample));
        }
        step()?;
        if let Some(fault) = pipeline_fault(pipeline) {
            return Err(fault);
        }
        if sink.is_eos() {
            return Ok(None);
        }
        let patience = pipeline.patience;
        if begun.elapsed() > patience {
            pipeline.hangs.store(true, Ordering::Relaxed);
            return Err(MediaFault::Stalled { element: waiting_for.into(), seconds: patience.as_secs() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A valve that is shut swallows what comes, its end too, as an element does that hangs.
    #[test]
    fn what_never_comes_is_an_error() {
        initialise().unwrap();
        let mut pipeline = Pipeline::new();
        pipeline.patience = Duration::from_millis(200);
        let (source, valve) = (element("audiotestsrc").unwrap(), element("valve").unwrap());
        valve.set_property("drop", true);
        let sink = app_sink(4).unwrap();
        add(&pipeline, &[&source, &valve, sink.upcast_ref()]).unwrap();
        link(&source, &valve).unwrap();
        link(&valve, sink.upcast_ref()).unwrap();
        start(&pipeline).unwrap();
        let found = next_sample(&pipeline, &sink, "valve", &mut || Ok(()));
        assert!(
            matches!(found, Err(MediaFault::Stalled { ref element, .. }) if element == "valve"),
            "{found:?}"
        );
        assert!(pipeline.hangs.load(Ordering::Relaxed), "so that nobody waits for its end");
    }
}
