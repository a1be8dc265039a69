//! Why an asset could not be used.

use std::fmt;
use std::path::PathBuf;

use vignette_templates::blob::Blob;

/// A file that could not be used, and why.
#[derive(Debug)]
pub struct MediaError {
    /// The file, when the bytes came from one.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub fault: MediaFault,
}

impl MediaError {
    /// `fault` found in `blob`.
    pub fn new(blob: &Blob, fault: MediaFault) -> Self {
        MediaError { file: blob.path().cloned(), fault }
    }

    /// Whether this machine is at fault, not the file: a plug-in is missing or GStreamer does not start.
    pub fn is_machine(&self) -> bool {
        matches!(self.fault, MediaFault::MissingPlugin { .. } | MediaFault::NoGStreamer { .. })
    }
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: {}", file.display(), self.fault),
            None => self.fault.fmt(f),
        }
    }
}

impl std::error::Error for MediaError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.fault.source()
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaFault {
    /// The first bytes are of no format that is read here.
    #[error("not {expected}: it begins with {found}")]
    Unknown {
        /// The formats that would have been right.
        expected: &'static str,
        /// The first bytes, for people to read.
        found: String,
    },
    /// More pixels, bytes, seconds or parts than are accepted.
    #[error("{what} is over the limit of {limit}")]
    TooLarge {
        /// What was found, with its amount.
        what: String,
        /// What is accepted.
        limit: String,
    },
    /// The file stops before its own headers say.
    #[error("the file ends early: {0}")]
    Truncated(String),
    /// A picture that its decoder refuses.
    #[error("the picture does not decode")]
    Picture(#[source] ::image::ImageError),
    /// An SVG that is not well-formed, or asks for what is not allowed.
    #[error("the SVG cannot be used: {0}")]
    Svg(String),
    /// GStreamer reported an error.
    #[error("{element}: {message} ({debug})")]
    Decoder {
        /// The element that reported it.
        element: String,
        /// What it said.
        message: String,
        /// GStreamer's debug text.
        debug: String,
    },
    /// The file holds no track of the wanted kind.
    #[error("the file has no {0} track")]
    NoTrack(&'static str),
    /// The track's coding is not on the list of those that are decoded.
    #[error("the {kind} coding {coding} is not supported")]
    UnsupportedCodec {
        /// `video` or `audio`.
        kind: &'static str,
        /// GStreamer's name of the coding.
        coding: String,
    },
    /// A GStreamer element is not installed.
    #[error("the GStreamer element {element} is missing: install the Debian package {package}")]
    MissingPlugin {
        /// The element.
        element: String,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// GStreamer does not start.
    #[error("GStreamer does not start: {0}")]
    NoGStreamer(String),
    /// Nothing came for too long.
    #[error("{element} made no progress for {seconds} s")]
    Stalled {
        /// The element that was waited for.
        element: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A part of the video that does not decode.
    #[error("the frame at {seconds:.3} s does not decode")]
    MissingFrame {
        /// The frame's time in the file.
        seconds: f64,
    },
}

/// The first bytes of a file, for an error message.
pub(crate) fn first_bytes(bytes: &[u8]) -> String {
    match bytes {
        [] => "nothing (the file is empty)".into(),
        _ => format!("\"{}\"", bytes[..bytes.len().min(12)].escape_ascii()),
    }
}
