//! Each kind of layer, each way in and each kind of motion, drawn exactly as before.

#[path = "common/golden.rs"]
mod golden;

use std::collections::BTreeMap;

use golden::Golden;
use tiny_skia::Pixmap;
use vignette_renderer::compose::Media;
use vignette_renderer::render::prepare;
use vignette_renderer::text::FontLibrary;
use vignette_templates::blob::{Blob, Digest};
use vignette_templates::time::{FrameRange, FrameRate, Time};
use vignette_templates::video::{
    Align, Asset, AssetKind, Canvas, Color, Direction, Easing, Fit, FontSource, Keyframe, Layer, LayerKind,
    Marked, Motion, Paint, Passage, Placement, Scene, Shadow, Stop, Stroke, TextBlock, TextFit, Track,
    Transition, TransitionKind, VerticalAlign, Video,
};

const WIDTH: u32 = 160;
const HEIGHT: u32 = 96;
const NAVY: Color = Color { r: 16, g: 24, b: 48, a: 255 };
const WHITE: Color = Color { r: 255, g: 255, b: 255, a: 255 };
const CORAL: Color = Color { r: 255, g: 107, b: 87, a: 255 };
const TEAL: Color = Color { r: 20, g: 184, b: 166, a: 255 };
const CLEAR: Color = Color { r: 255, g: 255, b: 255, a: 0 };

const DRAWING: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 40">
  <rect width="80" height="40" fill="#1d4ed8"/><circle cx="20" cy="20" r="14" fill="#facc15"/>
  <path d="M44 32 L58 8 L72 32 Z" fill="#f472b6"/></svg>"##;

fn seconds(tenths: i64) -> Time {
    Time::from_ticks(Time::TICKS_PER_SECOND / 10 * tenths)
}

fn boxed(x: f32, y: f32, width: f32, height: f32) -> Placement {
    Placement { x, y, width: Some(width), height: Some(height), anchor: [0.0, 0.0] }
}

fn centred(width: f32, height: f32) -> Placement {
    Placement {
        x: WIDTH as f32 / 2.0,
        y: HEIGHT as f32 / 2.0,
        width: Some(width),
        height: Some(height),
        anchor: [0.5, 0.5],
    }
}

fn layer(kind: LayerKind, placement: Placement) -> Layer {
    Layer {
        path: "scenes[0].layers[0]".into(),
        personal: false,
        kind,
        span: FrameRange { start: 0, end: 20 },
        placement,
        motion: Motion::default(),
        enter: None,
        exit: None,
        clip: None,
        shadow: None,
    }
}

fn rect(color: Color) -> LayerKind {
    LayerKind::Rect { fill: Some(Paint::Solid(color)), stroke: None, radius: 0.0 }
}

fn round_rect() -> LayerKind {
    LayerKind::Rect {
        fill: Some(Paint::Linear {
            angle: 135.0,
            stops: vec![Stop { offset: 0.0, color: CORAL }, Stop { offset: 1.0, color: TEAL }],
        }),
        stroke: Some(Stroke { color: WHITE, width: 3.0 }),
        radius: 14.0,
    }
}

fn image(fit: Fit) -> LayerKind {
    LayerKind::Image { asset: Digest::of(DRAWING.as_bytes()), fit, focus: [0.0, 0.5] }
}

fn text(words: &str) -> LayerKind {
    LayerKind::Text(TextBlock {
        text: words.into(),
        fonts: vec![FontSource::Family("Inter".into())],
        size: 28.0,
        weight: 700,
        italic: false,
        fill: Paint::Solid(WHITE),
        stroke: None,
        letter_spacing: 0.0,
        line_height: None,
        align: Align::Center,
        vertical: VerticalAlign::Middle,
        fit: TextFit::None,
        pill: None,
        marked: None,
    })
}

fn passage(change: impl FnOnce(&mut Passage)) -> Option<Passage> {
    let mut passage = Passage {
        duration: seconds(10),
        easing: Easing::Linear,
        fade: false,
        slide: None,
        scale: None,
        wipe: None,
    };
    change(&mut passage);
    Some(passage)
}

fn track<T>(from: T, to: T) -> Track<T> {
    Track {
        keys: vec![
            Keyframe { at: Time::ZERO, value: from, easing: Easing::Linear },
            Keyframe { at: seconds(20), value: to, easing: Easing::Linear },
        ],
    }
}

fn with(mut layer: Layer, change: impl FnOnce(&mut Layer)) -> Layer {
    change(&mut layer);
    layer
}

fn video(scenes: Vec<Scene>) -> Video {
    let blob = Blob::new(DRAWING.as_bytes());
    let asset = Asset { name: "assets.drawing".into(), kind: AssetKind::Image, blob: blob.clone() };
    Video {
        name: "golden".into(),
        canvas: Canvas {
            width: WIDTH,
            height: HEIGHT,
            frame_rate: FrameRate::new(10, 1).unwrap(),
            background: NAVY,
        },
        locale: "en".into(),
        scenes,
        audio: Vec::new(),
        captions: Vec::new(),
        mastering: Default::default(),
        assets: BTreeMap::from([(blob.digest(), asset)]),
        generated: BTreeMap::new(),
    }
}

fn scene(layers: Vec<Layer>) -> Scene {
    Scene { name: "one".into(), frames: 20, background: None, layers, transition: None }
}

/// A name, what is drawn, and the frame that is looked at.
fn cases() -> Vec<(&'static str, Vec<Layer>, u32)> {
    let card = || layer(round_rect(), boxed(30.0, 20.0, 100.0, 56.0));
    let words = || layer(text("Maria"), boxed(10.0, 20.0, 140.0, 56.0));
    vec![
        ("rect", vec![layer(rect(CORAL), boxed(20.5, 10.0, 60.0, 40.0))], 0),
        ("rounded_gradient_stroke", vec![card()], 0),
        (
            "ellipse_radial",
            vec![layer(
                LayerKind::Ellipse {
                    fill: Some(Paint::Radial {
                        center: [0.35, 0.35],
                        radius: 1.0,
                        stops: vec![Stop { offset: 0.0, color: WHITE }, Stop { offset: 1.0, color: CORAL }],
                    }),
                    stroke: None,
                },
                centred(80.0, 64.0),
            )],
            0,
        ),
        (
            "path",
            vec![layer(
                LayerKind::Path {
                    data: "M12 2 L15 9 L22 9 L16.5 13.5 L18.5 21 L12 16.5 L5.5 21 L7.5 13.5 L2 9 L9 9 Z"
                        .into(),
                    view_box: Some([0.0, 0.0, 24.0, 24.0]),
                    fill: Some(Paint::Solid(TEAL)),
                    stroke: Some(Stroke { color: WHITE, width: 2.0 }),
                },
                centred(120.0, 80.0),
            )],
            0,
        ),
        ("image_cover", vec![layer(image(Fit::Cover), boxed(40.0, 16.0, 64.0, 64.0))], 0),
        ("image_contain", vec![layer(image(Fit::Contain), boxed(40.0, 16.0, 64.0, 64.0))], 0),
        ("image_fill", vec![layer(image(Fit::Fill), boxed(40.0, 16.0, 64.0, 64.0))], 0),
        (
            "image_round",
            vec![with(layer(image(Fit::Cover), centred(72.0, 72.0)), |layer| layer.clip = Some(1e6))],
            0,
        ),
        (
            "shadow",
            vec![with(layer(rect(WHITE), centred(70.0, 40.0)), |layer| {
                layer.shadow = Some(Shadow {
                    color: Color { r: 0, g: 0, b: 0, a: 160 },
                    offset: [0.0, 6.0],
                    blur: 14.0,
                });
            })],
            0,
        ),
        ("text", vec![words()], 0),
        (
            "spoken_word",
            vec![with(layer(text("Good day,\nMaria!"), boxed(4.0, 8.0, 152.0, 80.0)), |layer| {
                if let LayerKind::Text(text) = &mut layer.kind {
                    text.marked = Some(Marked { from: 8, to: 14, fill: CORAL });
                    text.stroke = Some(Stroke { color: TEAL, width: 3.0 });
                }
            })],
            0,
        ),
        ("fade_half", vec![with(card(), |layer| layer.enter = passage(|p| p.fade = true))], 5),
        (
            "slide_by_fractions",
            vec![with(words(), |layer| layer.enter = passage(|p| p.slide = Some([-33.3, 7.7])))],
            3,
        ),
        ("scale_in", vec![with(card(), |layer| layer.enter = passage(|p| p.scale = Some(0.5)))], 5),
        (
            "wipe_right",
            vec![with(card(), |layer| layer.enter = passage(|p| p.wipe = Some(Direction::Right)))],
            5,
        ),
        (
            "exit_wipe_up",
            vec![with(card(), |layer| layer.exit = passage(|p| p.wipe = Some(Direction::Up)))],
            15,
        ),
        ("turned", vec![with(card(), |layer| layer.motion.rotation = Track::constant(20.0))], 0),
        ("stretched", vec![with(words(), |layer| layer.motion.scale = track([1.0, 1.0], [1.4, 0.6]))], 15),
        ("moved", vec![with(words(), |layer| layer.motion.offset = track([0.0, 0.0], [-30.0, 20.0]))], 13),
        (
            "recoloured",
            vec![with(layer(rect(CORAL), centred(80.0, 50.0)), |layer| {
                layer.motion.color = track(CORAL, TEAL)
            })],
            10,
        ),
        (
            "fading_to_clear",
            vec![with(layer(rect(WHITE), centred(80.0, 50.0)), |layer| {
                layer.motion.color = track(WHITE, CLEAR)
            })],
            10,
        ),
        (
            "group_faded_as_one",
            vec![with(
                layer(
                    LayerKind::Group {
                        layers: vec![
                            layer(rect(WHITE), boxed(0.0, 0.0, 50.0, 40.0)),
                            layer(rect(CORAL), boxed(30.0, 20.0, 50.0, 40.0)),
                        ],
                    },
                    boxed(40.0, 18.0, 80.0, 60.0),
                ),
                |group| group.motion.opacity = Track::constant(0.5),
            )],
            0,
        ),
        (
            "group_cut_and_turned",
            vec![with(
                layer(
                    LayerKind::Group {
                        layers: vec![
                            layer(image(Fit::Cover), boxed(0.0, 0.0, 80.0, 60.0)),
                            with(layer(rect(CORAL), boxed(-20.0, 24.0, 40.0, 12.0)), |bar| {
                                bar.motion.offset = track([0.0, 0.0], [80.0, 0.0]);
                            }),
                        ],
                    },
                    centred(80.0, 60.0),
                ),
                |group| {
                    group.clip = Some(16.0);
                    group.motion.rotation = track(0.0, 30.0);
                },
            )],
            10,
        ),
        ("larger_than_the_canvas", vec![layer(rect(TEAL), boxed(-50_000.0, 40.0, 100_000.0, 100_000.0))], 0),
        ("emoji_and_scripts", vec![layer(text("👋🏽 محمد 田中"), boxed(0.0, 20.0, 160.0, 56.0))], 0),
    ]
}

fn to_pixmap(picture: &image::RgbImage) -> Pixmap {
    let mut pixmap = Pixmap::new(picture.width(), picture.height()).unwrap();
    for (target, source) in pixmap.data_mut().chunks_exact_mut(4).zip(picture.as_raw().chunks_exact(3)) {
        target[..3].copy_from_slice(source);
        target[3] = 255;
    }
    pixmap
}

#[test]
fn layers() {
    let fonts = FontLibrary::system().unwrap();
    let mut golden = Golden::new("layers");
    for (name, layers, frame) in cases() {
        let video = video(vec![scene(layers)]);
        let media = Media::default();
        let prepared = prepare(&video, &media, &fonts).unwrap();
        golden.check(name, &to_pixmap(&prepared.frame(frame).unwrap().to_rgb()));
    }
    golden.finish();
}

#[test]
fn a_crossfade_shows_both_scenes() {
    let fonts = FontLibrary::system().unwrap();
    let mut golden = Golden::new("layers");
    let mut second = scene(vec![layer(rect(CORAL), boxed(80.0, 0.0, 80.0, 96.0))]);
    second.transition =
        Some(Transition { kind: TransitionKind::Crossfade, frames: 9, easing: Easing::Linear });
    let first = scene(vec![layer(rect(WHITE), boxed(0.0, 0.0, 100.0, 96.0))]);
    let video = video(vec![first, second]);
    assert_eq!(video.frames(), 40, "a transition adds and takes no time");
    let media = Media::default();
    let prepared = prepare(&video, &media, &fonts).unwrap();
    golden.check("crossfade", &to_pixmap(&prepared.frame(24).unwrap().to_rgb()));
    golden.finish();
}

/// A frame is a pure function: asking in another order, or alone, gives the same pixels.
#[test]
fn frames_do_not_depend_on_the_way_there() {
    let fonts = FontLibrary::system().unwrap();
    for (name, layers, _) in cases() {
        let mut second = scene(layers.clone());
        second.transition =
            Some(Transition { kind: TransitionKind::Crossfade, frames: 5, easing: Easing::Linear });
        let video = video(vec![scene(layers), second]);
        let media = Media::default();
        let prepared = prepare(&video, &media, &fonts).unwrap();
        let in_order: Vec<_> = prepared.frames().collect::<Result<_, _>>().unwrap();
        for index in (0..video.frames()).rev() {
            assert!(*prepared.frame(index).unwrap() == *in_order[index as usize], "{name}, frame {index}");
        }
    }
}
