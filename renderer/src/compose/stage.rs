//! A scene made ready to compose: pictures opened, text laid out, boxes known.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use svgtypes::{SimplePathSegment, SimplifyingPathParser};
use tiny_skia::{Path, PathBuilder, Transform};
use vignette_templates::blob::{Blob, Digest};
use vignette_templates::time::FrameRate;
use vignette_templates::video::{AssetKind, Fit, Layer, LayerKind, TextFit, Video};

use super::raster::{self, Shape};
use super::timeline;
use crate::audio;
use crate::error::{Place, RenderError, Warning};
use crate::media::{MediaError, Picture, VideoClip};
use crate::text::{self, FontLibrary, TextLayout};

/// Decoded pictures and videos by the digest of their files. Shared by all who draw them.
#[derive(Default)]
pub struct Media {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    pictures: HashMap<Digest, Arc<Picture>>,
    clips: HashMap<Digest, VideoClip>,
    /// What the decoded pictures take; videos stay as they are in their files.
    bytes: usize,
}

/// What decoded pictures may take together; beyond it all are let go, and those in use decoded again when asked for.
const PICTURE_BUDGET: usize = 512 << 20;

impl Media {
    /// Whether `blob` can be used as what it is said to be; what was decoded for the answer is kept.
    ///
    /// # Errors
    /// Why not; or that this machine lacks what is needed to tell ([`MediaError::is_machine`]).
    pub fn probe(&self, kind: AssetKind, blob: &Blob) -> Result<(), MediaError> {
        match kind {
            AssetKind::Image => self.picture(blob).map(drop),
            AssetKind::Video => self.clip(blob).map(drop),
            AssetKind::Audio => audio::probe(blob),
            // Fonts are the font library's to judge.
            AssetKind::Font => Ok(()),
        }
    }

    pub(crate) fn picture(&self, blob: &Blob) -> Result<Arc<Picture>, MediaError> {
        let digest = blob.digest();
        if let Some(picture) = self.lock().pictures.get(&digest) {
            return Ok(picture.clone());
        }
        let picture = Arc::new(Picture::open(blob)?);
        let (width, height) = picture.size();
        let bytes = width as usize * height as usize * 4;
        let mut kept = self.lock();
        if kept.bytes + bytes > PICTURE_BUDGET {
            kept.pictures.clear();
            kept.bytes = 0;
        }
        kept.bytes += bytes;
        kept.pictures.insert(digest, picture.clone());
        Ok(picture)
    }

    pub(crate) fn clip(&self, blob: &Blob) -> Result<VideoClip, MediaError> {
        if let Some(clip) = self.lock().clips.get(&blob.digest()) {
            return Ok(clip.clone());
        }
        let clip = VideoClip::open(blob)?;
        self.lock().clips.insert(blob.digest(), clip.clone());
        Ok(clip)
    }

    /// What is kept is whole at every moment, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One scene, ready to compose.
pub(crate) struct Stage {
    /// Its place among the video's scenes.
    pub index: usize,
    pub actors: Vec<Actor>,
    pub frames: u32,
    pub background: vignette_templates::video::Color,
    pub rate: FrameRate,
    pub width: u32,
    pub height: u32,
}

/// One layer, ready to draw.
pub(crate) struct Actor {
    /// Distinguishes actors in caches; never used for two actors of one process.
    pub id: u32,
    pub layer: Layer,
    pub content: Content,
    /// Width and height of the box.
    pub size: [f32; 2],
    /// What it paints around its box's upper left corner: left, top, right, bottom.
    pub bounds: [f32; 4],
    /// The largest scale that its motion reaches, so that it is rasterised sharp enough once.
    pub largest_scale: f32,
}

/// What an actor draws.
pub(crate) enum Content {
    Shape(Shape),
    Text(Arc<TextLayout>),
    Picture { picture: Arc<Picture>, fit: Fit, focus: [f32; 2] },
    Clip { clip: VideoClip, fit: Fit, focus: [f32; 2] },
    Group(Vec<Actor>),
}

static NEXT_ACTOR: AtomicU32 = AtomicU32::new(0);

/// The largest picture or video box, in pixels: four frames of 4K UHD.
const LARGEST_BOX: f32 = 4.0 * 3840.0 * 2160.0;

/// The most video layers of one scene: each may hold a decoder of its own.
const MOST_CLIPS: usize = 32;

/// Lays out the texts of a scene, in the order in which its layers stand. What cannot be drawn as asked is told in `warnings`.
///
/// # Errors
/// A layer whose text cannot be laid out.
pub(crate) fn lay_out(
    layers: &[Layer],
    locale: &str,
    fonts: &FontLibrary,
    texts: &mut Vec<Arc<TextLayout>>,
    warnings: &mut Vec<Warning>,
) -> Result<(), RenderError> {
    for layer in layers {
        match &layer.kind {
            LayerKind::Group { layers } => lay_out(layers, locale, fonts, texts, warnings)?,
            LayerKind::Text(block) => {
                let placement = &layer.placement;
                let layout = text::layout(fonts, block, placement.width, placement.height, locale)
                    .map_err(|error| RenderError::layer(Place::layer(&layer.path), error.to_string()))?;
                if !layout.missing.is_empty() {
                    warnings.push(Warning::missing_glyphs(&layer.path, &layout.missing));
                }
                if layout.overflow && block.fit != TextFit::None {
                    warnings.push(Warning::overflow(&layer.path));
                }
                texts.push(Arc::new(layout));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes scene `index` ready: opens its pictures and videos. `texts` is what [`lay_out`] gave for it.
///
/// # Errors
/// An asset that cannot be decoded; a layer whose box is beyond the limits.
pub(crate) fn prepare(
    video: &Video,
    index: usize,
    media: &Media,
    texts: &[Arc<TextLayout>],
) -> Result<Stage, RenderError> {
    let (canvas, scene) = (&video.canvas, &video.scenes[index]);
    let mut preparation = Preparation { video, media, texts: texts.iter(), clips: 0, clip_area: 0.0 };
    let parent = [canvas.width as f32, canvas.height as f32];
    Ok(Stage {
        index,
        actors: preparation.actors(&scene.layers, parent)?,
        frames: scene.frames,
        background: scene.background.unwrap_or(canvas.background),
        rate: canvas.frame_rate,
        width: canvas.width,
        height: canvas.height,
    })
}

struct Preparation<'a> {
    video: &'a Video,
    media: &'a Media,
    texts: std::slice::Iter<'a, Arc<TextLayout>>,
    /// Video layers so far, and the area of their boxes.
    clips: usize,
    clip_area: f32,
}

impl Preparation<'_> {
    fn actors(&mut self, layers: &[Layer], parent: [f32; 2]) -> Result<Vec<Actor>, RenderError> {
        layers.iter().map(|layer| self.actor(layer, parent)).collect()
    }

    /// The decoded asset that `layer` draws.
    fn asset<T>(
        &self,
        layer: &Layer,
        digest: &Digest,
        open: impl FnOnce(&Media, &Blob) -> Result<T, MediaError>,
    ) -> Result<T, RenderError> {
        let asset = self.video.assets.get(digest).ok_or_else(|| {
            RenderError::layer(Place::layer(&layer.path), "its file is not among the video's assets".into())
        })?;
        open(self.media, &asset.blob).map_err(|error| RenderError::media(Place::asset(&asset.name), error))
    }

    fn actor(&mut self, layer: &Layer, parent: [f32; 2]) -> Result<Actor, RenderError> {
        let placement = &layer.placement;
        let place = || Place::layer(&layer.path);
        let own = |width: f32, height: f32| {
            // One side given: the other follows the content's proportions.
            match (placement.width, placement.height) {
                (Some(w), Some(h)) => [w, h],
                (Some(w), None) => [w, w * height / width.max(1.0)],
                (None, Some(h)) => [h * width / height.max(1.0), h],
                (None, None) => [width, height],
            }
        };
        let of_parent = [placement.width.unwrap_or(parent[0]), placement.height.unwrap_or(parent[1])];
        let mut size = of_parent;
        let content = match &layer.kind {
            LayerKind::Rect { fill, stroke, radius } => Content::Shape(Shape {
                path: raster::rounded_rect(size[0], size[1], *radius)
                    .ok_or_else(|| RenderError::layer(place(), "its box is empty".into()))?,
                fill: fill.clone(),
                stroke: *stroke,
                size,
            }),
            LayerKind::Ellipse { fill, stroke } => Content::Shape(Shape {
                path: raster::ellipse(size[0], size[1])
                    .ok_or_else(|| RenderError::layer(place(), "its box is empty".into()))?,
                fill: fill.clone(),
                stroke: *stroke,
                size,
            }),
            LayerKind::Path { data, view_box, fill, stroke } => {
                let path = parse_path(data).map_err(|error| RenderError::layer(place(), error))?;
                let path = match view_box {
                    Some([x, y, width, height]) => {
                        let scale = (size[0] / width).min(size[1] / height);
                        let dx = (size[0] - width * scale) / 2.0 - x * scale;
                        let dy = (size[1] - height * scale) / 2.0 - y * scale;
                        path.transform(Transform::from_row(scale, 0.0, 0.0, scale, dx, dy))
                    }
                    None => Some(path),
                };
                let path =
                    path.ok_or_else(|| RenderError::layer(place(), "its path is beyond all bounds".into()))?;
                Content::Shape(Shape { path, fill: fill.clone(), stroke: *stroke, size })
            }
            LayerKind::Text(_) => {
                let layout = self.texts.next().ok_or_else(|| {
                    RenderError::layer(place(), "its text was not laid out before it was drawn".into())
                })?;
                size = layout.box_size();
                Content::Text(layout.clone())
            }
            LayerKind::Image { asset, fit, focus } => {
                let picture = self.asset(layer, asset, |media, blob| media.picture(blob))?;
                let (width, height) = picture.size();
                size = own(width as f32, height as f32);
                check_box(size).map_err(|error| RenderError::layer(place(), error))?;
                Content::Picture { picture, fit: *fit, focus: *focus }
            }
            LayerKind::Video { asset, fit, focus, .. } => {
                let clip = self.asset(layer, asset, |media, blob| media.clip(blob))?;
                let (width, height) = (clip.info().width, clip.info().height);
                size = own(width as f32, height as f32);
                check_box(size).map_err(|error| RenderError::layer(place(), error))?;
                self.clips += 1;
                self.clip_area += size[0] * size[1];
                if self.clips > MOST_CLIPS || self.clip_area > LARGEST_BOX {
                    let message = format!(
                        "one video too many in this scene: at most {MOST_CLIPS}, of {LARGEST_BOX} pixels in all"
                    );
                    return Err(RenderError::layer(place(), message));
                }
                Content::Clip { clip, fit: *fit, focus: *focus }
            }
            LayerKind::Group { layers } => Content::Group(self.actors(layers, size)?),
        };
        let bounds = bounds(layer, &content, size);
        let largest_scale = largest_scale(layer);
        Ok(Actor {
            id: NEXT_ACTOR.fetch_add(1, Ordering::Relaxed),
            layer: layer.clone(),
            content,
            size,
            bounds,
            largest_scale,
        })
    }
}

impl Actor {
    /// Where the box's upper left corner lies at rest, in pixels of its parent.
    pub(crate) fn corner(&self) -> [f32; 2] {
        let placement = &self.layer.placement;
        [placement.x - placement.anchor[0] * self.size[0], placement.y - placement.anchor[1] * self.size[1]]
    }
}

fn check_box(size: [f32; 2]) -> Result<(), String> {
    if size[0] * size[1] > LARGEST_BOX {
        return Err(format!(
            "its box of {} × {} pixels is too large; the limit is {} pixels in all",
            size[0].round(),
            size[1].round(),
            LARGEST_BOX
        ));
    }
    Ok(())
}

fn bounds(layer: &Layer, content: &Content, size: [f32; 2]) -> [f32; 4] {
    let mut bounds = match content {
        Content::Shape(shape) => shape.bounds(),
        Content::Text(layout) => {
            let ink = layout.ink_bounds(1.0);
            [ink.left(), ink.top(), ink.right(), ink.bottom()]
        }
        Content::Picture { .. } | Content::Clip { .. } => [0.0, 0.0, size[0], size[1]],
        // Where children move to is known only frame by frame; what they paint outside of the group's box is
        // kept as far as the union of their ways reaches.
        Content::Group(actors) => actors.iter().map(reach).fold([0.0, 0.0, size[0], size[1]], union),
    };
    if layer.clip.is_some() {
        bounds = [bounds[0].max(0.0), bounds[1].max(0.0), bounds[2].min(size[0]), bounds[3].min(size[1])];
    }
    if let Some(shadow) = &layer.shadow {
        let [left, top, right, bottom] = raster::shadow_reach(shadow);
        bounds = [bounds[0] - left, bounds[1] - top, bounds[2] + right, bounds[3] + bottom];
    }
    bounds
}

fn union(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}

/// All that a child can cover in its group over its whole life.
fn reach(actor: &Actor) -> [f32; 4] {
    let corner = actor.corner();
    let [mut left, mut top, mut right, mut bottom] = actor.bounds;
    let motion = &actor.layer.motion;
    let turns = !motion.rotation.keys.is_empty();
    let scale = actor.largest_scale;
    if turns || scale > 1.0 {
        // A circle about the anchor through the farthest corner holds every turn.
        let anchor = [
            actor.layer.placement.anchor[0] * actor.size[0],
            actor.layer.placement.anchor[1] * actor.size[1],
        ];
        let dx = (anchor[0] - left).abs().max((right - anchor[0]).abs()) * scale;
        let dy = (anchor[1] - top).abs().max((bottom - anchor[1]).abs()) * scale;
        let (dx, dy) =
            if turns { ((dx * dx + dy * dy).sqrt(), (dx * dx + dy * dy).sqrt()) } else { (dx, dy) };
        (left, top, right, bottom) = (anchor[0] - dx, anchor[1] - dy, anchor[0] + dx, anchor[1] + dy);
    }
    let mut low = [0.0f32; 2];
    let mut high = [0.0f32; 2];
    let slides = [actor.layer.enter, actor.layer.exit].into_iter().flatten().filter_map(|passage| {
        // Away goes from 1 to 0 for a way in and from 0 to 1 for a way out; an easing may go beyond both ends.
        let [least, most] = timeline::extremes(passage.easing);
        passage.slide.map(|slide| {
            [least.min(1.0 - most), most.max(1.0 - least)].map(|away| slide.map(|part| part * away))
        })
    });
    for offset in timeline::reached(&motion.offset).chain(slides.flatten()) {
        for axis in 0..2 {
            low[axis] = low[axis].min(offset[axis]);
            high[axis] = high[axis].max(offset[axis]);
        }
    }
    [
        corner[0] + left + low[0],
        corner[1] + top + low[1],
        corner[0] + right + high[0],
        corner[1] + bottom + high[1],
    ]
}

fn largest_scale(layer: &Layer) -> f32 {
    let tracked = timeline::reached(&layer.motion.scale).flatten().map(f32::abs);
    let tracked = tracked.fold(if layer.motion.scale.keys.is_empty() { 1.0 } else { 0.0 }, f32::max);
    let passages = [layer.enter, layer.exit].into_iter().flatten().filter_map(|passage| {
        let [least, most] = timeline::extremes(passage.easing);
        let at = |place: f32| passage.scale.map(|from| from + (1.0 - from) * place);
        at(least).zip(at(most)).map(|(a, b)| a.max(b))
    });
    let passing = passages.fold(1.0, f32::max);
    (tracked * passing).clamp(0.01, 64.0)
}

/// SVG path data (SVG 2, section 9.3) as a path.
fn parse_path(data: &str) -> Result<Path, String> {
    let mut path = PathBuilder::new();
    for segment in SimplifyingPathParser::from(data) {
        match segment.map_err(|error| format!("its path data does not parse: {error}"))? {
            SimplePathSegment::MoveTo { x, y } => path.move_to(x as f32, y as f32),
            SimplePathSegment::LineTo { x, y } => path.line_to(x as f32, y as f32),
            SimplePathSegment::CurveTo { x1, y1, x2, y2, x, y } => {
                path.cubic_to(x1 as f32, y1 as f32, x2 as f32, y2 as f32, x as f32, y as f32);
            }
            SimplePathSegment::Quadratic { x1, y1, x, y } => {
                path.quad_to(x1 as f32, y1 as f32, x as f32, y as f32);
            }
            SimplePathSegment::ClosePath => path.close(),
        }
    }
    path.finish().ok_or_else(|| "its path data draws nothing".into())
}
