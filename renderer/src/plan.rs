//! Planning: cutting a filled video into segments, each named by its content.

use std::fmt;

use serde::Serialize;
use vignette_templates::blob::Digest;
use vignette_templates::time::FrameRange;
use vignette_templates::video::{Canvas, Color, Layer, LayerKind, Scene, Transition, Video};

use crate::encode::{EncoderId, VideoProfile};
use crate::text::FontLibrary;

/// Changes whenever the same filled video would give other pixels or other bytes.
pub const ENGINE_VERSION: u32 = 1;

/// Names an encoded segment by all that decides its bytes. Tells nothing of the viewer to who does not know it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentKey(Digest);

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
    /// Its name.
    pub key: SegmentKey,
    /// Whether a layer that shows in it depends on the viewer's data.
    pub personal: bool,
}

/// A video as segments, in order and without gaps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What the pictures are encoded with.
    pub profile: VideoProfile,
    /// The segments in order of showing; never empty.
    pub segments: Vec<Segment>,
}

/// No segment is longer than this many seconds.
const LONGEST_SECONDS: u64 = 2;

/// The video's first segment is this part of a second long at most, so that play starts early.
const FIRST_SEGMENT_PART: u64 = 2;

/// A cut that would leave a piece shorter than this many frames is not made: a key frame costs more than sharing it saves.
const SHORTEST_FRAMES: u32 = 6;

/// Cuts `video` into segments and names them.
pub fn plan(video: &Video, fonts: &FontLibrary, quality: u8) -> Plan {
    let canvas = video.canvas;
    let profile = VideoProfile {
        width: canvas.width,
        height: canvas.height,
        frame_rate: canvas.frame_rate,
        quality,
        encoder: EncoderId::default(),
    };
    let rate = canvas.frame_rate;
    let longest =
        rate.frames_in(vignette_templates::time::Time::from_seconds(LONGEST_SECONDS as i64)).max(1) as u32;
    let first = (longest / (LONGEST_SECONDS * FIRST_SEGMENT_PART) as u32).max(1);
    let mut segments: Vec<Segment> = Vec::new();
    let mut scene_start = 0;
    for (index, scene) in video.scenes.iter().enumerate() {
        let transition = scene.transition.filter(|_| index > 0);
        for range in cut(scene, transition, longest, (index == 0).then_some(first)) {
            let before = index.checked_sub(1).map(|before| &video.scenes[before]);
            let mixed = transition.filter(|transition| range.start < transition.frames).zip(before);
            let parts = Parts { canvas, profile, locale: &video.locale, fonts: fonts.identity() };
            segments.push(Segment {
                index: segments.len(),
                scene: index,
                range,
                first_frame: scene_start + range.start,
                key: parts.name(scene, range, mixed),
                personal: is_personal(scene, range)
                    || mixed.is_some_and(|(_, before)| {
                        is_personal(
                            before,
                            FrameRange { start: before.frames, end: before.frames + range.end },
                        )
                    }),
            });
        }
        scene_start += scene.frames;
    }
    Plan { profile, segments }
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

fn shows_in(layer: &Layer, range: FrameRange, scene_frames: u32) -> bool {
    let runs_on = layer.span.end >= scene_frames && range.end > scene_frames;
    layer.span.start < range.end && (layer.span.end > range.start || runs_on)
}

fn is_personal(scene: &Scene, range: FrameRange) -> bool {
    fn any(layers: &[Layer], range: FrameRange, frames: u32) -> bool {
        layers.iter().filter(|layer| shows_in(layer, range, frames)).any(|layer| {
            layer.personal || matches!(&layer.kind, LayerKind::Group { layers } if any(layers, range, frames))
        })
    }
    any(&scene.layers, range, scene.frames)
}

/// What is part of every key of a video.
struct Parts<'a> {
    canvas: Canvas,
    profile: VideoProfile,
    locale: &'a str,
    fonts: Digest,
}

/// The canonical form of a segment: serialised as compact JSON, whose fields stand in the order of their types.
#[derive(Serialize)]
struct Canonical<'a> {
    engine: u32,
    profile: VideoProfile,
    range: FrameRange,
    background: Color,
    texts: Option<TextParts<'a>>,
    layers: Vec<Layer>,
    outgoing: Option<Outgoing>,
}

/// What decides how text looks, besides the layers; left out where there is none.
#[derive(Serialize)]
struct TextParts<'a> {
    locale: &'a str,
    fonts: Digest,
}

#[derive(Serialize)]
struct Outgoing {
    transition: Transition,
    frames: u32,
    background: Color,
    layers: Vec<Layer>,
}

impl Parts<'_> {
    fn name(&self, scene: &Scene, range: FrameRange, mixed: Option<(Transition, &Scene)>) -> SegmentKey {
        let layers = visible(&scene.layers, range, scene.frames);
        let outgoing = mixed.map(|(transition, before)| {
            let tail = FrameRange { start: before.frames + range.start, end: before.frames + range.end };
            Outgoing {
                transition,
                frames: before.frames,
                background: before.background.unwrap_or(self.canvas.background),
                layers: visible(&before.layers, tail, before.frames),
            }
        });
        let has_text =
            has_text(&layers) || outgoing.as_ref().is_some_and(|outgoing| has_text(&outgoing.layers));
        let canonical = Canonical {
            engine: ENGINE_VERSION,
            profile: self.profile,
            range,
            background: scene.background.unwrap_or(self.canvas.background),
            texts: has_text.then_some(TextParts { locale: self.locale, fonts: self.fonts }),
            layers,
            outgoing,
        };
        let mut hasher = blake3::Hasher::new_derive_key("vignette segment key v1");
        serde_json::to_writer(&mut hasher, &canonical)
            .expect("the filled video is plain data, and a hasher takes every byte");
        SegmentKey(Digest(*hasher.finalize().as_bytes()))
    }
}

fn visible(layers: &[Layer], range: FrameRange, scene_frames: u32) -> Vec<Layer> {
    layers
        .iter()
        .filter(|layer| shows_in(layer, range, scene_frames))
        .map(|layer| match &layer.kind {
            LayerKind::Group { layers } => Layer {
                kind: LayerKind::Group { layers: visible(layers, range, scene_frames) },
                ..layer.clone()
            },
            _ => layer.clone(),
        })
        .collect()
}

fn has_text(layers: &[Layer]) -> bool {
    layers.iter().any(|layer| match &layer.kind {
        LayerKind::Text(_) => true,
        LayerKind::Group { layers } => has_text(layers),
        _ => false,
    })
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

    #[test]
    fn only_what_shows_counts() {
        let range = FrameRange { start: 10, end: 20 };
        for (start, end, expected) in [(0, 10, false), (0, 11, true), (19, 30, true), (20, 30, false)] {
            assert_eq!(shows_in(&layer(start, end, false), range, 60), expected, "{start}..{end}");
        }
        let beyond = FrameRange { start: 60, end: 70 };
        assert!(shows_in(&layer(0, 60, false), beyond, 60), "a layer that ends with its scene runs on");
        assert!(!shows_in(&layer(0, 59, false), beyond, 60));
    }
}
