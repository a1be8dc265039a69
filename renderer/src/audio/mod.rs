//! Everything that is heard: files decoded to PCM, mixed to one programme, encoded once.
//!
//! [`programme`] decodes the sounds of a filled video and mixes them; [`encode_aac`] and [`encode_opus`] make the track that is packaged.

mod decode;
mod encode;
mod limit;
mod loudness;
mod mix;
mod track;

pub use self::decode::{Pcm, decode, decode_heard, probe};
pub use self::encode::{AacTrack, OpusTrack, encode_aac, encode_opus};
pub(crate) use self::encode::{BITRATE, FRAME_LENGTH, PRIMING};
pub use self::loudness::integrated_loudness;
pub use self::mix::{Programme, mix};
pub use self::track::{SoundCodec, SoundTrack};

use std::collections::BTreeMap;
use std::sync::Arc;

use vignette_templates::blob::Digest;
use vignette_templates::time::Time;
use vignette_templates::video::{AudioClip, Video};

use crate::media::{MediaError, MediaFault};

/// Samples per second and channel of everything in this module.
pub const SAMPLE_RATE: u32 = 48_000;
/// The most decoded sound of one video, all files together, in bytes.
const MAX_BYTES: usize = 1 << 30;
/// The same in frames.
const MAX_FRAMES: usize = MAX_BYTES / (2 * size_of::<f32>());

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

/// Decodes of each sound that `video` uses what is heard, once, and mixes them. Once `cancelled` says so, which is asked often, the
/// rest is left undone and the programme is empty.
///
/// # Errors
/// When a file is missing, does not decode or has no sound, also where it is never heard; when all sounds together are too long.
pub fn programme(video: &Video, cancelled: &(dyn Fn() -> bool + Sync)) -> Result<Programme, AudioError> {
    let length = video.duration();
    let mut needed: BTreeMap<Digest, Time> = BTreeMap::new();
    for clip in &video.audio {
        let most = needed.entry(clip.asset).or_insert(Time::ZERO);
        *most = heard(clip, length).max(*most);
    }
    let mut sounds: BTreeMap<Digest, Arc<Pcm>> = BTreeMap::new();
    let mut left = MAX_FRAMES;
    for clip in &video.audio {
        if sounds.contains_key(&clip.asset) {
            continue;
        }
        // A filled video holds every asset that it names.
        let Some(asset) = video.assets.get(&clip.asset) else { continue };
        let failed = |source: MediaError| AudioError {
            path: clip.path.clone(),
            asset: asset.name.clone(),
            source: Box::new(source),
        };
        let needed = needed.get(&clip.asset).copied().unwrap_or(Time::ZERO);
        // A little more than what is left shows that it is not enough.
        let most = Time::from_samples(left as u64 + 1, SAMPLE_RATE);
        let pcm = decode_heard(&asset.blob, needed.min(most), cancelled).map_err(failed)?;
        if cancelled() {
            return Ok(Programme::default());
        }
        let frames = usize::try_from(needed.to_samples(SAMPLE_RATE)).unwrap_or(0).min(pcm.frames());
        if frames > left {
            return Err(failed(MediaError::new(
                &asset.blob,
                MediaFault::TooLarge {
                    what: "the sound of all files together".into(),
                    limit: format!(
                        "{} MiB decoded ({} minutes)",
                        MAX_BYTES >> 20,
                        MAX_FRAMES / (60 * SAMPLE_RATE as usize)
                    ),
                },
            )));
        }
        left -= frames;
        sounds.insert(clip.asset, Arc::new(pcm));
    }
    if cancelled() {
        return Ok(Programme::default());
    }
    Ok(mix(video, &sounds))
}

/// How much of its file `clip` plays at most in a video of that `length`, from the file's beginning: no repeat plays more either, for
/// a file that ends later is not begun again. Never less than shows whether the file can be used.
fn heard(clip: &AudioClip, length: Time) -> Time {
    let least = Time::from_ticks(Time::TICKS_PER_SECOND / 10);
    // A clip that starts before the video has used up some of its file by then.
    let rest = length - clip.start;
    let rest = clip.duration.map_or(rest, |duration| duration.min(rest));
    if clip.start >= length || rest <= Time::ZERO {
        return least;
    }
    (clip.skip.max(Time::ZERO) + rest).max(least)
}

#[cfg(test)]
mod tests {
    use vignette_templates::video::AudioRole;

    use super::*;

    #[test]
    fn no_more_is_decoded_than_is_heard() {
        let clip = AudioClip {
            path: "audio[0]".into(),
            asset: Digest::of(b"a file"),
            role: AudioRole::Sound,
            start: Time::ZERO,
            skip: Time::ZERO,
            duration: None,
            repeat: false,
            gain_db: 0.0,
            fade_in: Time::ZERO,
            fade_out: Time::ZERO,
            duck: None,
        };
        let seconds = Time::from_seconds;
        let least = Time::from_ticks(Time::TICKS_PER_SECOND / 10);
        for (label, clip, expected) in [
            ("all along", clip.clone(), seconds(10)),
            ("repeated", AudioClip { repeat: true, ..clip.clone() }, seconds(10)),
            ("begun later", AudioClip { start: seconds(4), ..clip.clone() }, seconds(6)),
            ("begun earlier", AudioClip { start: seconds(-4), ..clip.clone() }, seconds(14)),
            ("skipping", AudioClip { skip: seconds(3), start: seconds(4), ..clip.clone() }, seconds(9)),
            (
                "for a time",
                AudioClip { skip: seconds(3), duration: Some(seconds(2)), ..clip.clone() },
                seconds(5),
            ),
            (
                "for a time, repeated",
                AudioClip { repeat: true, duration: Some(seconds(2)), ..clip.clone() },
                seconds(2),
            ),
            ("for too long", AudioClip { duration: Some(seconds(99)), ..clip.clone() }, seconds(10)),
            ("after the end", AudioClip { start: seconds(10), skip: seconds(3), ..clip.clone() }, least),
            ("not at all", AudioClip { duration: Some(Time::ZERO), ..clip.clone() }, least),
        ] {
            assert_eq!(heard(&clip, seconds(10)), expected, "{label}");
        }
    }
}
