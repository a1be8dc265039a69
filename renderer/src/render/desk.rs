//! One piece of a video at a time, for a caller who decides itself which comes next: a service whose viewers ask for segments.

use super::Prepared;
use crate::audio::{AacTrack, SoundCodec, SoundTrack};
use crate::compose::Composer;
use crate::encode::{SegmentEncoder, VideoProfile};
use crate::error::RenderError;
use crate::plan::Segment;
use crate::plates::Plates;
use crate::scale::Scaler;

/// Where one worker makes segments of a video. Keeps decoders and the last frame, so it is fastest when segments come in order.
pub struct Desk<'p> {
    composer: Composer<'p>,
    canvas: [u32; 2],
    /// The segment that goes on where the last one ended.
    next: Option<usize>,
}

impl Prepared<'_> {
    /// A desk for one worker; any number may be at work.
    pub fn desk(&self) -> Desk<'_> {
        let canvas = self.video.canvas;
        Desk { composer: self.composition.composer(), canvas: [canvas.width, canvas.height], next: None }
    }

    /// The whole programme of sound, mixed and encoded. Nothing is looked up or kept.
    ///
    /// # Errors
    /// A sound that cannot be decoded; [`RenderError::Cancelled`] once `cancelled` says so, which is asked often.
    pub fn programme(&self, cancelled: &(dyn Fn() -> bool + Sync)) -> Result<AacTrack, RenderError> {
        let codec = SoundCodec::Aac;
        match self.sound(codec, cancelled)? {
            SoundTrack::Aac(track) => Ok(track),
            SoundTrack::Opus(_) => Err(RenderError::Check("AAC was asked for, and Opus was made".into())),
        }
    }
}

impl Desk<'_> {
    /// Composes the frames of `segment` and encodes them with `profile`: the same bytes as a render of the whole gives. Nothing but
    /// `plates` is looked up or kept.
    ///
    /// # Errors
    /// What stops composing or encoding; [`RenderError::Cancelled`] once `cancelled` says so, which is asked before each frame.
    pub fn encode(
        &mut self,
        profile: VideoProfile,
        segment: &Segment,
        plates: &Plates,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<crate::segment::EncodedSegment, RenderError> {
        if self.next != Some(segment.index) {
            self.composer.forget();
        }
        // Where it stops half-way there is nothing to go on from.
        self.next = None;
        let size = [profile.width, profile.height];
        let scaler = (size != self.canvas).then(|| Scaler::new(self.canvas, size)).transpose();
        let mut scaler = scaler.map_err(|error| RenderError::Check(error.to_string()))?;
        let mut encoder = SegmentEncoder::start(profile, segment.range.len())?;
        self.composer.begin(plates, &segment.plates);
        for frame in segment.range.start..segment.range.end {
            if cancelled() {
                return Err(RenderError::Cancelled);
            }
            let picture = self.composer.frame(segment.scene, frame)?;
            match &mut scaler {
                None => encoder.push_shared(&picture)?,
                Some(scaler) => {
                    let scaled =
                        scaler.scale(&picture).map_err(|error| RenderError::Check(error.to_string()))?;
                    encoder.push(&scaled)?;
                }
            }
        }
        self.composer.end();
        self.next = Some(segment.index + 1);
        Ok(encoder.finish()?)
    }
}
