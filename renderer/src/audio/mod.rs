//! Everything that is heard: files decoded to PCM, mixed to one programme, encoded once.
//!
//! [`programme`] decodes the sounds of a filled video and mixes them; [`encode_aac`] makes the track that is packaged.

mod decode;
mod encode;
mod limit;
mod loudness;
mod mix;

pub use self::decode::{Pcm, decode};
pub use self::encode::{AacTrack, encode_aac};
pub use self::loudness::integrated_loudness;
pub use self::mix::{Programme, mix};

use std::collections::BTreeMap;
use std::sync::Arc;

use vignette_templates::blob::Digest;
use vignette_templates::video::Video;

use crate::encode::EncodeError;
use crate::error::{Place, RenderError};
use crate::media::{MediaError, MediaFault};

/// Samples per second and channel of everything in this module.
pub const SAMPLE_RATE: u32 = 48_000;

/// Why there is no sound track.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// A file that cannot be used: the input is at fault.
    #[error("{path}: {asset}: {source}")]
    Asset {
        /// Where the template asks for it, e.g. `audio[0]`.
        path: String,
        /// How the template names the file.
        asset: String,
        /// What is wrong with the file.
        source: Box<MediaError>,
    },
    /// The encoder is missing or failed: this machine is at fault.
    #[error("encoding the sound: {0}")]
    Encode(MediaFault),
}

impl AudioError {
    /// The same as an error of a render.
    pub(crate) fn into_render_error(self) -> RenderError {
        match self {
            AudioError::Asset { path, asset, source } => {
                RenderError::media(Place::asset(&format!("{path}: {asset}")), *source)
            }
            AudioError::Encode(MediaFault::MissingPlugin { element, package }) => {
                RenderError::Encode(EncodeError::MissingElement { element, package })
            }
            AudioError::Encode(MediaFault::Decoder { element, message, debug }) => {
                RenderError::Encode(EncodeError::Element { element, message, debug })
            }
            AudioError::Encode(fault) => RenderError::Encode(EncodeError::Output(fault.to_string())),
        }
    }
}

/// Decodes each sound that `video` uses, once, and mixes them.
///
/// # Errors
/// When a file is missing, does not decode or has no sound.
pub fn programme(video: &Video) -> Result<Programme, AudioError> {
    let mut sounds: BTreeMap<Digest, Arc<Pcm>> = BTreeMap::new();
    for clip in &video.audio {
        if sounds.contains_key(&clip.asset) {
            continue;
        }
        // A filled video holds every asset that it names.
        let Some(asset) = video.assets.get(&clip.asset) else { continue };
        let pcm = decode(&asset.blob).map_err(|source| AudioError::Asset {
            path: clip.path.clone(),
            asset: asset.name.clone(),
            source: Box::new(source),
        })?;
        sounds.insert(clip.asset, Arc::new(pcm));
    }
    Ok(mix(video, &sounds))
}
