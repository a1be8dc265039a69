//! Frames to access units: one closed run of pictures, encoded through GStreamer.
//!
//! Every segment is encoded alone, by one thread, with the same settings, and starts with a key frame that
//! nothing before it refers to and nothing behind it refers past. So the same frames give the same bytes whoever
//! encodes them, and segments follow one another in a file without being encoded again.
//!
//! [`resolve`] chooses the encoder, a [`VideoProfile`] holds it with all else that decides the bytes, and a
//! [`SegmentEncoder`] runs it.

mod bits;
mod choose;
mod level;
mod nal;
mod obu;
mod run;
mod settings;
mod vp9;

use std::time::Duration;

use vignette_templates::time::FrameRate;

pub use self::choose::{Codec, Encoder, EncoderId, gstreamer_version, resolve};
pub use self::run::SegmentEncoder;

/// What pictures are encoded with. Everything here decides the bytes of a segment, so it is part of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct VideoProfile {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Frames per second.
    pub frame_rate: FrameRate,
    /// Quality on the scale of x264's constant rate factor, 1 (best) to 50, whatever the codec: the same value is meant to
    /// look the same. Default: [`VideoProfile::DEFAULT_QUALITY`].
    pub quality: u8,
    /// What encodes, from [`resolve`]; it implies the [codec](VideoProfile::codec). Default: [`EncoderId::X264`].
    pub encoder: EncoderId,
}

impl VideoProfile {
    /// The usual trade of size and quality for x264.
    pub const DEFAULT_QUALITY: u8 = 23;

    /// How pictures are coded.
    pub fn codec(&self) -> Codec {
        self.encoder.codec()
    }

    /// Frames by which decoding runs ahead of showing, at most: B-frames of x264 and x265 may refer to one another
    /// (`b-pyramid`), so two; the others show frames in the order of decoding.
    pub fn reorder_frames(&self) -> u32 {
        match self.encoder {
            EncoderId::X264 | EncoderId::X265 => 2,
            _ => 0,
        }
    }
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
    /// The encoder cannot take pictures this small.
    #[error("{encoder} takes no picture of {width} x {height}: its shorter side is at least {least} pixels")]
    TooSmall {
        /// The encoder.
        encoder: EncoderId,
        /// Width of the picture.
        width: u32,
        /// Height of the picture.
        height: u32,
        /// The shorter side that it takes.
        least: u32,
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

impl EncodeError {
    /// That GStreamer lacks an element.
    pub(crate) fn missing(element: &str) -> Self {
        EncodeError::MissingElement { element: element.to_owned(), package: package_of(element) }
    }
}

/// The Debian package that brings a GStreamer element used here.
fn package_of(element: &str) -> &'static str {
    match element {
        "x264enc" => "gstreamer1.0-plugins-ugly",
        "vp9enc" => "gstreamer1.0-plugins-good",
        "x265enc" | "av1enc" | "svtav1enc" | "webpenc" => "gstreamer1.0-plugins-bad",
        _ => "gstreamer1.0-plugins-base",
    }
}

pub(crate) fn make(element: &str) -> Result<gst::Element, EncodeError> {
    gst::ElementFactory::make(element).build().map_err(|_| EncodeError::missing(element))
}
