//! The canonical form: all that decides a segment's bytes, written down in one way, and nothing else.
//!
//! Every time is counted from the segment's own first frame, and what is over by then (a way in, keyframes that
//! were passed) or comes after it (a way out, the layer's end) is left out. So a segment keeps its name when its
//! scene starts later or lasts longer, and two stretches in which nothing moves have one name.

use serde::Serialize;
use vignette_templates::blob::Digest;
use vignette_templates::time::{FrameRange, FrameRate, Time};
use vignette_templates::video::{
    AudioClip, Canvas, Color, Keyframe, Layer, LayerKind, Mastering, Passage, Placement, Scene, Shadow,
    Track, Transition, Video,
};

use super::{ENGINE_VERSION, shows_personally};
use crate::encode::VideoProfile;

/// What is part of every name in a video.
pub(super) struct Naming<'a> {
    pub canvas: Canvas,
    pub profile: VideoProfile,
    pub locale: &'a str,
    /// The engine's own fonts; those of a template stand in the texts that use them.
    pub fonts: Digest,
}

#[derive(Serialize)]
struct SegmentForm<'a> {
    engine: u32,
    /// The size at which frames are composed; the profile's is that at which they are encoded.
    canvas: [u32; 2],
    profile: VideoProfile,
    /// Of several builds of the encoder, this one.
    build: Option<Digest>,
    frames: u32,
    texts: Option<TextForm<'a>>,
    scene: SceneForm<'a>,
    outgoing: Option<(MixForm, SceneForm<'a>)>,
}

/// How two scenes are mixed, and how far the mix has come at the segment's first frame.
#[derive(Serialize)]
struct MixForm {
    transition: Transition,
    passed: u32,
}

/// Pixels without a codec.
#[derive(Serialize)]
struct PlateForm<'a> {
    engine: u32,
    size: [u32; 2],
    rate: FrameRate,
    frames: u32,
    texts: Option<TextForm<'a>>,
    scene: SceneForm<'a>,
}

/// What decides how text looks, besides the layers; left out where there is none.
#[derive(Serialize)]
struct TextForm<'a> {
    locale: &'a str,
    fonts: Digest,
}

/// A scene over a range of its frames.
#[derive(Serialize)]
struct SceneForm<'a> {
    /// Where the range starts, if that matters: where a frame does not last a whole number of ticks.
    start: Option<u32>,
    background: Color,
    layers: Vec<LayerForm<'a>>,
}

/// A layer over a range of frames, all times from the range's first frame.
#[derive(Serialize)]
struct LayerForm<'a> {
    kind: KindForm<'a>,
    begins: i64,
    until: u32,
    placement: Placement,
    offset: TrackForm<'a, [f32; 2]>,
    scale: TrackForm<'a, [f32; 2]>,
    rotation: TrackForm<'a, f32>,
    opacity: TrackForm<'a, f32>,
    color: TrackForm<'a, Color>,
    enter: Option<Passage>,
    /// With the frame at which it is over.
    exit: Option<(Passage, i64)>,
    clip: Option<f32>,
    shadow: Option<Shadow>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum KindForm<'a> {
    Leaf(&'a LayerKind),
    Group { group: Vec<LayerForm<'a>> },
}

#[derive(Serialize)]
#[serde(untagged)]
enum TrackForm<'a, T> {
    Holds(Option<T>),
    Moves(&'a [Keyframe<T>]),
}

impl Naming<'_> {
    /// The name of the frames `range` of `scene`, encoded; `mixed` is the scene before it, while it is still seen.
    pub(super) fn segment(
        &self,
        scene: &Scene,
        range: FrameRange,
        mixed: Option<(Transition, &Scene)>,
    ) -> Digest {
        let outgoing = mixed.map(|(transition, before)| {
            let tail = FrameRange { start: before.frames + range.start, end: before.frames + range.end };
            (MixForm { transition, passed: range.start }, self.scene(before, before.layers.len(), tail))
        });
        let scene = self.scene(scene, scene.layers.len(), range);
        let written = has_text(&scene.layers) || outgoing.as_ref().is_some_and(|(_, s)| has_text(&s.layers));
        name(
            "vignette segment key v2",
            &SegmentForm {
                engine: ENGINE_VERSION,
                canvas: [self.canvas.width, self.canvas.height],
                profile: self.profile,
                build: self.profile.encoder.build(),
                frames: range.len(),
                texts: self.texts(written),
                scene,
                outgoing,
            },
        )
    }

    /// What lies below the first personal layer of `scene` over `range`; `None` without a video there, since the rest is
    /// as quickly drawn again as it is read.
    pub(super) fn plate(&self, index: usize, scene: &Scene, range: FrameRange) -> Option<super::Plate> {
        let layers = scene
            .layers
            .iter()
            .position(|layer| shows_personally(layer, range, scene.frames))
            .unwrap_or(scene.layers.len());
        let below = scene.layers[..layers].iter();
        below.clone().any(|layer| shows_in(layer, range, scene.frames) && has_video(layer)).then(|| {
            let form = self.scene(scene, layers, range);
            let key = name(
                "vignette plate key v1",
                &PlateForm {
                    engine: ENGINE_VERSION,
                    size: [self.canvas.width, self.canvas.height],
                    rate: self.canvas.frame_rate,
                    frames: range.len(),
                    texts: self.texts(has_text(&form.layers)),
                    scene: form,
                },
            );
            super::Plate { scene: index, range, layers, key }
        })
    }

    fn texts(&self, written: bool) -> Option<TextForm<'_>> {
        written.then_some(TextForm { locale: self.locale, fonts: self.fonts })
    }

    /// The lowest `count` layers of `scene` over `range`.
    fn scene<'s>(&self, scene: &'s Scene, count: usize, range: FrameRange) -> SceneForm<'s> {
        let rate = self.canvas.frame_rate;
        // Elsewhere times are rounded to ticks, and differently so at each place in the scene.
        let exact =
            (i128::from(Time::TICKS_PER_SECOND) * i128::from(rate.den())) % i128::from(rate.num()) == 0;
        SceneForm {
            start: (!exact).then_some(range.start),
            background: scene.background.unwrap_or(self.canvas.background),
            layers: layers(&scene.layers[..count], Window { range, scene_frames: scene.frames, rate }),
        }
    }
}

/// The frames that are named.
#[derive(Clone, Copy)]
struct Window {
    range: FrameRange,
    scene_frames: u32,
    rate: FrameRate,
}

/// Whether `layer` is on screen on a frame of `range`. A layer that ends with its scene runs on past that end.
pub(super) fn shows_in(layer: &Layer, range: FrameRange, scene_frames: u32) -> bool {
    let runs_on = layer.span.end >= scene_frames && range.end > scene_frames;
    layer.span.start < range.end && (layer.span.end > range.start || runs_on)
}

fn layers(layers: &[Layer], window: Window) -> Vec<LayerForm<'_>> {
    layers
        .iter()
        .filter(|layer| shows_in(layer, window.range, window.scene_frames))
        .map(|layer| form(layer, window))
        .collect()
}

fn form(layer: &Layer, window: Window) -> LayerForm<'_> {
    let Window { range, scene_frames, rate } = window;
    let at = |frame: u32| rate.time_of(u64::from(frame));
    let (start, end) = (layer.span.start, layer.span.end);
    let relative = |frame: u32| i64::from(frame) - i64::from(range.start);
    // How long the layer has been there on the first frame that it shows in the range, and how soon it is over on the last.
    let passed = at(range.start.max(start)) - at(start);
    let left = at(end) - at(range.end - 1);
    let motion = &layer.motion;
    let enter = layer.enter.filter(|enter| passed < enter.duration);
    let exit = layer.exit.filter(|exit| left < exit.duration).map(|exit| (exit, relative(end)));
    let still = |keys: usize, last: Option<Time>| keys <= 1 || last.is_none_or(|last| last <= passed);
    let moves = enter.is_some()
        || !still(motion.offset.keys.len(), last(&motion.offset))
        || !still(motion.scale.keys.len(), last(&motion.scale))
        || !still(motion.rotation.keys.len(), last(&motion.rotation))
        || !still(motion.opacity.keys.len(), last(&motion.opacity))
        || !still(motion.color.keys.len(), last(&motion.color))
        || matches!(layer.kind, LayerKind::Video { .. });
    // When it came matters only for what is still on its way.
    let begins = if moves { relative(start) } else { relative(start).max(0) };
    let runs_on = end >= scene_frames && range.end > scene_frames;
    LayerForm {
        kind: match &layer.kind {
            LayerKind::Group { layers: inner } => KindForm::Group { group: layers(inner, window) },
            leaf => KindForm::Leaf(leaf),
        },
        begins,
        until: if runs_on { range.len() } else { end.min(range.end) - range.start },
        placement: layer.placement,
        offset: track(&motion.offset, passed),
        scale: track(&motion.scale, passed),
        rotation: track(&motion.rotation, passed),
        opacity: track(&motion.opacity, passed),
        color: track(&motion.color, passed),
        enter,
        exit,
        clip: layer.clip,
        shadow: layer.shadow,
    }
}

fn last<T>(track: &Track<T>) -> Option<Time> {
    track.keys.last().map(|key| key.at)
}

/// A track from `passed` on: one value where it moves no more.
fn track<T: Copy>(track: &Track<T>, passed: Time) -> TrackForm<'_, T> {
    match track.keys.as_slice() {
        [] => TrackForm::Holds(None),
        [only] => TrackForm::Holds(Some(only.value)),
        [.., last] if last.at <= passed => TrackForm::Holds(Some(last.value)),
        keys => TrackForm::Moves(keys),
    }
}

fn has_text(layers: &[LayerForm<'_>]) -> bool {
    layers.iter().any(|layer| match &layer.kind {
        KindForm::Leaf(kind) => matches!(kind, LayerKind::Text(_)),
        KindForm::Group { group } => has_text(group),
    })
}

fn has_video(layer: &Layer) -> bool {
    match &layer.kind {
        LayerKind::Video { .. } => true,
        LayerKind::Group { layers } => layers.iter().any(has_video),
        _ => false,
    }
}

/// Changes whenever the same clips would give another sound.
const SOUND_VERSION: u32 = 2;

#[derive(Serialize)]
struct SoundForm<'a> {
    sound: u32,
    samples: i64,
    clips: &'a [AudioClip],
    mastering: Mastering,
}

/// The name of the video's sound, mixed and encoded.
pub(super) fn sound(video: &Video) -> Digest {
    let samples = video.duration().to_samples(crate::audio::SAMPLE_RATE);
    name(
        "vignette sound key v1",
        &SoundForm { sound: SOUND_VERSION, samples, clips: &video.audio, mastering: video.mastering },
    )
}

/// The digest of `form` as compact JSON, whose fields stand in the order of their types; `context` keeps names of
/// different things apart.
fn name(context: &str, form: &impl Serialize) -> Digest {
    let bytes = serde_json::to_vec(form).expect("the filled video is plain data");
    Digest(*blake3::Hasher::new_derive_key(context).update(&bytes).finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vignette_templates::video::{Easing, Motion};

    fn layer(start: u32, end: u32) -> Layer {
        Layer {
            path: String::new(),
            personal: false,
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

    #[test]
    fn only_what_shows_counts() {
        let range = FrameRange { start: 10, end: 20 };
        for (start, end, expected) in [(0, 10, false), (0, 11, true), (19, 30, true), (20, 30, false)] {
            assert_eq!(shows_in(&layer(start, end), range, 60), expected, "{start}..{end}");
        }
        let beyond = FrameRange { start: 60, end: 70 };
        assert!(shows_in(&layer(0, 60), beyond, 60), "a layer that ends with its scene runs on");
        assert!(!shows_in(&layer(0, 59), beyond, 60));
    }

    #[test]
    fn what_is_over_or_still_to_come_is_left_out() {
        let fade = |frames: i64| Passage {
            duration: Time::from_ticks(frames * Time::TICKS_PER_SECOND / 30),
            easing: Easing::Linear,
            fade: true,
            slide: None,
            scale: None,
            wipe: None,
        };
        let keys = |at: &[i64]| Track {
            keys: at
                .iter()
                .map(|frames| Keyframe {
                    at: Time::from_ticks(frames * Time::TICKS_PER_SECOND / 30),
                    value: 1.0 / (1 + frames) as f32,
                    easing: Easing::Linear,
                })
                .collect(),
        };
        let with = |change: &dyn Fn(&mut Layer)| {
            let mut layer = layer(0, 90);
            change(&mut layer);
            layer
        };
        /// Name, a layer, another one, the frames, and whether both give the same name there.
        type Row<'a> = (&'a str, Layer, Layer, FrameRange, bool);
        let range = |start, end| FrameRange { start, end };
        let rows: [Row<'_>; 9] = [
            ("a way in that is over", with(&|l| l.enter = Some(fade(20))), layer(0, 90), range(20, 40), true),
            ("a way in under way", with(&|l| l.enter = Some(fade(21))), layer(0, 90), range(20, 40), false),
            ("a way out to come", with(&|l| l.exit = Some(fade(10))), layer(0, 90), range(20, 81), true),
            ("a way out begun", with(&|l| l.exit = Some(fade(10))), layer(0, 90), range(20, 82), false),
            ("a later end", layer(0, 70), layer(0, 90), range(20, 70), true),
            ("an end inside", layer(0, 69), layer(0, 90), range(20, 70), false),
            ("an earlier start", layer(3, 90), layer(0, 90), range(20, 70), true),
            (
                "keyframes passed",
                with(&|l| l.motion.opacity = keys(&[0, 20])),
                with(&|l| l.motion.opacity = keys(&[5, 10, 20])),
                range(20, 40),
                true,
            ),
            (
                "keyframes to come",
                with(&|l| l.motion.opacity = keys(&[0, 21])),
                with(&|l| l.motion.opacity = keys(&[5, 10, 21])),
                range(20, 40),
                false,
            ),
        ];
        for (name, one, other, range, same) in rows {
            let window = Window { range, scene_frames: 90, rate: FrameRate::new(30, 1).unwrap() };
            let json = |layer: &Layer| serde_json::to_string(&form(layer, window)).unwrap();
            assert_eq!(json(&one) == json(&other), same, "{name}");
        }
    }

    #[test]
    fn stillness_has_one_name_wherever_it_is() {
        let rate = FrameRate::new(30, 1).unwrap();
        let json = |layer: &Layer, start| {
            let window = Window { range: FrameRange { start, end: start + 30 }, scene_frames: 90, rate };
            serde_json::to_string(&form(layer, window)).unwrap()
        };
        assert_eq!(json(&layer(0, 90), 0), json(&layer(0, 90), 60));
        let moving = Layer {
            motion: Motion {
                rotation: Track {
                    keys: [0, 3]
                        .map(|s| Keyframe {
                            at: Time::from_seconds(s),
                            value: s as f32,
                            easing: Easing::Linear,
                        })
                        .to_vec(),
                },
                ..Motion::default()
            },
            ..layer(0, 90)
        };
        assert_ne!(json(&moving, 0), json(&moving, 60));
    }
}
