//! Planning: cutting a filled video into segments, each named by its content.
//!
//! A plan is a pure function of the filled video: nothing is opened, decoded or laid out for it.

mod canonical;

use std::fmt;

use serde::Serialize;
use vignette_templates::blob::Digest;
use vignette_templates::time::FrameRange;
use vignette_templates::video::{Canvas, Layer, LayerKind, Scene, Transition, Video};

use self::canonical::{Naming, shows_in};
use crate::audio::SoundCodec;
use crate::encode::{EncoderId, VideoProfile};
use crate::text::FontLibrary;

/// Changes whenever the same filled video would give other pixels or other bytes.
pub const ENGINE_VERSION: u32 = 5;

/// Names an encoded segment by all that decides its bytes. Tells nothing of the viewer to who does not know it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentKey(Digest);

impl SegmentKey {
    /// The name as a digest, which stores take.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentKey({self})")
    }
}

impl Serialize for SegmentKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A run of frames of one scene that is encoded on its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Its place in the video, from 0.
    pub index: usize,
    /// Which scene of the video.
    pub scene: usize,
    /// The frames, counted from the start of the scene.
    pub range: FrameRange,
    /// Its first frame, counted from the start of the video.
    pub first_frame: u32,
    /// Its name. Two segments of one video that show the same pixels have the same one.
    pub key: SegmentKey,
    /// Whether a layer that shows in it depends on the viewer's data.
    pub personal: bool,
    /// What other viewers see below the first personal layer, for each scene that shows in a personal segment
    /// (the outgoing one of a transition first) and has a video there.
    pub plates: Vec<Plate>,
}

/// The lowest layers of one scene over the frames of a segment: those below the first personal one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Plate {
    /// Which scene of the video.
    pub scene: usize,
    /// The frames, counted from the start of that scene; past its end during a transition.
    pub range: FrameRange,
    /// How many of the scene's layers belong to it.
    pub layers: usize,
    /// Names the pixels by all that decides them.
    pub key: Digest,
}

/// A video as segments, in order and without gaps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What the pictures are encoded with.
    pub profile: VideoProfile,
    /// The segments in order of showing; never empty.
    pub segments: Vec<Segment>,
    /// Names the encoded sound by all that decides its bytes.
    pub audio: Digest,
    /// How the sound is coded.
    pub sound: SoundCodec,
}

impl Plan {
    /// The same pictures with their sound coded otherwise, and so under another name.
    pub fn with_sound(mut self, sound: SoundCodec) -> Plan {
        if self.sound != sound {
            let mut hasher = blake3::Hasher::new_derive_key("vignette sound codec v1");
            hasher.update(sound.as_str().as_bytes()).update(&self.audio.0);
            self.audio = Digest(*hasher.finalize().as_bytes());
            self.sound = sound;
        }
        self
    }
}

/// No segment is longer than this many seconds.
const LONGEST_SECONDS: u64 = 2;

/// The video's first segment is this part of a second long at most, so that play starts early.
const FIRST_SEGMENT_PART: u64 = 2;

/// A cut that would leave a piece shorter than this many frames is not made: a key frame costs more than sharing it saves.
const SHORTEST_FRAMES: u32 = 6;

/// Cuts `video` into segments and names them, at the canvas' own size.
pub fn plan(video: &Video, fonts: &FontLibrary, quality: u8) -> Plan {
    let Canvas { width, height, frame_rate, .. } = video.canvas;
    plan_for(video, fonts, VideoProfile { width, height, frame_rate, quality, encoder: EncoderId::default() })
}

/// Cuts `video` into segments, as for every profile, and names them; a `profile` of another size has the frames scaled.
pub fn plan_for(video: &Video, fonts: &FontLibrary, profile: VideoProfile) -> Plan {
    let canvas = video.canvas;
    let rate = canvas.frame_rate;
    let longest =
        rate.frames_in(vignette_templates::time::Time::from_seconds(LONGEST_SECONDS as i64)).max(1) as u32;
    let first = (longest / (LONGEST_SECONDS * FIRST_SEGMENT_PART) as u32).max(1);
    let naming = Naming { canvas, profile, locale: &video.locale, fonts: fonts.own_identity() };
    let mut segments: Vec<Segment> = Vec::new();
    let mut scene_start = 0;
    for (index, scene) in video.scenes.iter().enumerate() {
        let transition = scene.transition.filter(|_| index > 0);
        for range in cut(scene, transition, longest, (index == 0).then_some(first)) {
            let before = index.checked_sub(1).map(|before| &video.scenes[before]);
            let mixed = transition.filter(|transition| range.start < transition.frames).zip(before);
            let tail = mixed.map(|(_, before)| FrameRange {
                start: before.frames + range.start,
                end: before.frames + range.end,
            });
            let personal = is_personal(scene, range)
                || mixed.zip(tail).is_some_and(|((_, before), tail)| is_personal(before, tail));
            let mut plates = Vec::new();
            if personal {
                let outgoing = mixed.zip(tail).map(|((_, before), tail)| (index - 1, before, tail));
                plates.extend(
                    outgoing
                        .into_iter()
                        .chain([(index, scene, range)])
                        .filter_map(|(index, scene, range)| naming.plate(index, scene, range)),
                );
            }
            segments.push(Segment {
                index: segments.len(),
                scene: index,
                range,
                first_frame: scene_start + range.start,
                key: SegmentKey(naming.segment(scene, range, mixed)),
                personal,
                plates,
            });
        }
        scene_start += scene.frames;
    }
    Plan { profile, segments, audio: canonical::sound(video), sound: SoundCodec::default() }
}

/// Cuts a scene at the end of its transition, where personal layers come and go, and wherever a piece would be too long.
fn cut(scene: &Scene, transition: Option<Transition>, longest: u32, first: Option<u32>) -> Vec<FrameRange> {
    let mut edges = vec![0, scene.frames];
    edges.extend(transition.map(|transition| transition.frames));
    edges.extend(first.filter(|first| first + SHORTEST_FRAMES <= scene.frames));
    for layer in scene.layers.iter().filter(|layer| layer.personal) {
        edges.extend([layer.span.start, layer.span.end].map(|edge| edge.min(scene.frames)));
    }
    edges.sort_unstable();
    edges.dedup();
    // The transition's end must be kept: only its segment holds both scenes.
    let needed =
        |edge: u32| edge == 0 || edge == scene.frames || transition.is_some_and(|t| t.frames == edge);
    let mut kept: Vec<u32> = Vec::new();
    for edge in edges {
        match kept.last() {
            Some(last) if edge - last < SHORTEST_FRAMES && !needed(edge) => {}
            Some(last) if edge - last < SHORTEST_FRAMES && !needed(*last) => {
                kept.pop();
                kept.push(edge);
            }
            _ => kept.push(edge),
        }
    }
    let mut ranges = Vec::new();
    for pair in kept.windows(2) {
        let (start, end) = (pair[0], pair[1]);
        // Pieces of equal length (but for one frame) rather than a short rest at the end.
        let pieces = (end - start).div_ceil(longest).max(1);
        for piece in 0..pieces {
            let at =
                |piece: u32| start + (u64::from(end - start) * u64::from(piece) / u64::from(pieces)) as u32;
            ranges.push(FrameRange { start: at(piece), end: at(piece + 1) });
        }
    }
    ranges
}

fn is_personal(scene: &Scene, range: FrameRange) -> bool {
    scene.layers.iter().any(|layer| shows_personally(layer, range, scene.frames))
}

/// Whether `layer`, or a layer inside it, depends on the viewer's data and shows in `range`.
fn shows_personally(layer: &Layer, range: FrameRange, scene_frames: u32) -> bool {
    shows_in(layer, range, scene_frames)
        && (layer.personal
            || matches!(&layer.kind, LayerKind::Group { layers }
                if layers.iter().any(|layer| shows_personally(layer, range, scene_frames))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vignette_templates::video::{Easing, Motion, Placement, TransitionKind};

    fn layer(start: u32, end: u32, personal: bool) -> Layer {
        Layer {
            path: String::new(),
            personal,
            kind: LayerKind::Rect { fill: None, stroke: None, radius: 0.0 },
            span: FrameRange { start, end },
            placement: Placement { x: 0.0, y: 0.0, width: None, height: None, anchor: [0.0; 2] },
            motion: Motion::default(),
            enter: None,
            exit: None,
            clip: None,
            shadow: None,
        }
    }

    fn scene(frames: u32, layers: Vec<Layer>) -> Scene {
        Scene { name: "s".into(), frames, background: None, layers, transition: None }
    }

    fn lengths(ranges: &[FrameRange]) -> Vec<u32> {
        ranges.iter().map(|range| range.len()).collect()
    }

    #[test]
    fn cuts() {
        let fade = Transition { kind: TransitionKind::Crossfade, frames: 15, easing: Easing::Linear };
        let personal = |start, end| vec![layer(start, end, true)];
        /// Name, scene, its transition, the video's first segment's length, and the expected lengths.
        type Row = (&'static str, Scene, Option<Transition>, Option<u32>, &'static [u32]);
        let rows: [Row; 8] = [
            ("short scene", scene(20, vec![]), None, None, &[20]),
            ("two seconds", scene(60, vec![]), None, None, &[60]),
            ("nine seconds in equal parts", scene(270, vec![]), None, None, &[54, 54, 54, 54, 54]),
            ("first segment is short", scene(90, vec![]), None, Some(15), &[15, 37, 38]),
            ("shared before and after a name", scene(90, personal(30, 60)), None, None, &[30, 30, 30]),
            ("an edge too close to the start", scene(60, personal(3, 60)), None, None, &[60]),
            ("an edge too close to the end", scene(60, personal(0, 57)), None, None, &[60]),
            ("a transition apart", scene(60, personal(17, 60)), Some(fade), None, &[15, 45]),
        ];
        for (name, scene, transition, first, expected) in rows {
            let ranges = cut(&scene, transition, 60, first);
            assert_eq!(lengths(&ranges), expected, "{name}");
            assert_eq!(ranges.first().map(|range| range.start), Some(0), "{name}");
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start), "{name}");
        }
    }
}
