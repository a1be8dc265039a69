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

use crate::media::MediaError;

/// Samples per second and channel of everything in this module.
pub const SAMPLE_RATE: u32 = 48_000;

/// A sound that could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {asset}")]
pub struct AudioError {
    /// Where the template asks for it, e.g. `audio[0]`.
    pub path: String,
    /// How the template names the file.
    pub asset: String,
    /// What is wrong with the file.
    #[source]
    pub source: Box<MediaError>,
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
        let pcm = decode(&asset.blob).map_err(|source| AudioError {
            path: clip.path.clone(),
            asset: asset.name.clone(),
            source: Box::new(source),
        })?;
        sounds.insert(clip.asset, Arc::new(pcm));
    }
    Ok(mix(video, &sounds))
}
