//! What can go wrong while rendering, and whose fault it is.

use std::fmt;

use crate::audio::AudioError;
use crate::media::MediaError;

/// Where in the template a fault lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    /// The asset named `name`, e.g. `assets.office`.
    pub fn asset(name: &str) -> Self {
        Place(name.to_owned())
    }

    /// The layer at `path`, e.g. `scenes[0].layers[2]`.
    pub fn layer(path: &str) -> Self {
        Place(path.to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a render did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// An asset cannot be decoded: the input is at fault.
    #[error("{place}: {source}")]
    Media {
        /// The asset.
        place: Place,
        /// What was wrong with it.
        source: MediaError,
    },
    /// A sound cannot be decoded: the input is at fault.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// A layer cannot be drawn: the input is at fault.
    #[error("{place}: {message}")]
    Layer {
        /// The layer.
        place: Place,
        /// What was wrong with it.
        message: String,
    },
    /// The encoder, or what it needs, is missing or failed: this machine is at fault.
    #[error(transparent)]
    Encode(#[from] crate::encode::EncodeError),
    /// A file could not be read or written: this machine is at fault.
    #[error("{operation}: {source}")]
    Io {
        /// What was tried, with the file's name.
        operation: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file that was written does not hold what it should: a fault of this program.
    #[error("the finished file failed its check: {0}")]
    Check(String),
    /// The render was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl RenderError {
    /// An asset that cannot be decoded.
    pub(crate) fn media(place: Place, source: MediaError) -> Self {
        RenderError::Media { place, source }
    }

    /// That this machine lacks what it takes to read an asset.
    pub fn machine(source: MediaError) -> Self {
        RenderError::Media { place: Place::asset("assets"), source }
    }

    /// A layer that cannot be drawn.
    pub(crate) fn layer(place: Place, message: String) -> Self {
        RenderError::Layer { place, message }
    }

    /// A file operation that failed.
    pub(crate) fn io(operation: impl Into<String>, source: std::io::Error) -> Self {
        RenderError::Io { operation: operation.into(), source }
    }

    /// Whether the template or data could be changed to avoid it; otherwise this machine is at fault.
    pub fn is_input_fault(&self) -> bool {
        match self {
            RenderError::Media { source, .. } => !source.is_machine(),
            RenderError::Audio(error) => !error.source.is_machine(),
            RenderError::Layer { .. } => true,
            RenderError::Encode(_)
            | RenderError::Io { .. }
            | RenderError::Check(_)
            | RenderError::Cancelled => false,
        }
    }
}

/// Something that was drawn, but perhaps not as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where in the template, e.g. `scenes[0].layers[2]`.
    pub path: String,
    /// What, in words.
    pub message: String,
    /// Whether text would be unreadable: `--strict` makes it an error.
    pub severe: bool,
}

impl Warning {
    pub(crate) fn missing_glyphs(path: &str, missing: &[char]) -> Self {
        let list: Vec<String> =
            missing.iter().take(12).map(|c| format!("{c} (U+{:04X})", u32::from(*c))).collect();
        let more = missing.len().saturating_sub(12);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Warning {
            path: path.to_owned(),
            message: format!("no font has {}{more}", list.join(", ")),
            severe: true,
        }
    }

    pub(crate) fn overflow(path: &str) -> Self {
        Warning {
            path: path.to_owned(),
            message: "the text does not fit its box, even at its smallest size".to_owned(),
            severe: false,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}
