//! From an actor and its pose to a tile on the canvas.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tiny_skia::{FilterQuality, Pixmap, PixmapPaint, Transform};
use vignette_templates::video::{Color, Paint};

use super::raster;
use super::stage::{Actor, Content, Stage};
use super::tile::{PixelRect, Tile};
use super::timeline::{self, Pose};
use super::{Composer, TileKey, UprightKey};
use crate::error::RenderError;

/// An actor that shows on a frame, with its pose.
#[derive(Clone, Copy)]
pub(crate) struct Draw<'a> {
    pub actor: &'a Actor,
    pub pose: Pose,
    /// The upper left corner of the space in which the actor is placed: that of its open groups.
    pub origin: [f32; 2],
    /// That corner while nothing moves.
    pub resting: [f32; 2],
    /// Which of the scene's layers it is, or is part of.
    pub top: usize,
}

/// What decides how a draw comes out: two equal values paint the same pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shown {
    actor: u32,
    pose: Pose,
    /// What changes inside: poses of a group's layers, the frame of a video.
    state: u64,
}

/// How a draw gets onto the frame.
pub(crate) struct Plan {
    /// The tile's name in the cache; `None` when it is of use on this frame only.
    pub key: Option<TileKey>,
    /// Whole pixels that the tile moves from where it was rasterised.
    pub by: [i32; 2],
    /// Fractions of a pixel that it moves besides, in 1/256.
    pub shift: [u32; 2],
    /// What is uncovered, in pixels of the canvas.
    pub clip: Option<PixelRect>,
    /// Whether the pose turns or scales, so that the tile is made for this frame.
    posed: bool,
}

/// Everything of `stage` that shows on `frame`, from the bottom to the top. Groups that only gather are opened.
pub(crate) fn list(stage: &Stage, frame: u32) -> Vec<Draw<'_>> {
    let mut draws = Vec::with_capacity(stage.actors.len());
    for (top, actor) in stage.actors.iter().enumerate() {
        gather(stage, std::slice::from_ref(actor), top, frame, [[0.0; 2]; 2], &mut draws);
    }
    draws
}

fn gather<'a>(
    stage: &'a Stage,
    actors: &'a [Actor],
    top: usize,
    frame: u32,
    [origin, resting]: [[f32; 2]; 2],
    draws: &mut Vec<Draw<'a>>,
) {
    for actor in actors {
        let Some(pose) = timeline::pose_at(&actor.layer, frame, stage.rate, stage.frames) else { continue };
        match &actor.content {
            // A group that is neither faded, turned nor cut is its layers, each moved as it is.
            Content::Group(children)
                if pose.is_unscaled()
                    && pose.opacity >= 1.0
                    && pose.reveal.is_none()
                    && actor.layer.clip.is_none()
                    && actor.layer.shadow.is_none() =>
            {
                let corner = add(resting, actor.corner());
                let moved = add(add(origin, actor.corner()), pose.offset);
                gather(stage, children, top, frame, [moved, corner], draws);
            }
            _ => draws.push(Draw { actor, pose, origin, resting, top }),
        }
    }
}

fn add(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// A number for what changes inside an actor, and whether it may come again on another frame.
fn state(actor: &Actor, stage: &Stage, frame: u32) -> (u64, bool) {
    match &actor.content {
        Content::Shape(_) | Content::Text(_) | Content::Picture { .. } => (0, true),
        Content::Clip { .. } => (u64::from(frame), false),
        Content::Group(children) => {
            let mut hasher = DefaultHasher::new();
            let mut comes_again = true;
            for child in children {
                let pose = timeline::pose_at(&child.layer, frame, stage.rate, stage.frames);
                pose.map(|pose| pose.to_bits()).hash(&mut hasher);
                if pose.is_some() {
                    let (inner, again) = state(child, stage, frame);
                    inner.hash(&mut hasher);
                    comes_again &= again;
                }
            }
            (hasher.finish(), comes_again)
        }
    }
}

/// The largest raster that is kept whole, as a multiple of the canvas' area; larger ones are cut to the canvas.
const LARGEST_RASTER: i64 = 4;

impl Draw<'_> {
    /// What decides how this draw comes out on `frame`.
    pub(crate) fn shown(&self, stage: &Stage, frame: u32) -> Shown {
        let pose = Pose { offset: add(self.pose.offset, self.origin), ..self.pose };
        Shown { actor: self.actor.id, pose, state: state(self.actor, stage, frame).0 }
    }

    /// Whether it is a video that fills the canvas exactly, unturned and uncut.
    pub(crate) fn is_plain_fill(&self, stage: &Stage) -> bool {
        let actor = self.actor;
        let corner = self.corner();
        let fills = corner[0].abs() < 0.01
            && corner[1].abs() < 0.01
            && (actor.size[0] - stage.width as f32).abs() < 0.01
            && (actor.size[1] - stage.height as f32).abs() < 0.01;
        let Content::Clip { clip, fit, .. } = &actor.content else { return false };
        let (width, height) = (clip.info().width, clip.info().height);
        // `contain` leaves bars clear, unless the proportions agree.
        let full = *fit != vignette_templates::video::Fit::Contain
            || u64::from(width) * u64::from(stage.height) == u64::from(height) * u64::from(stage.width);
        fills
            && full
            && self.pose.is_unscaled()
            && self.pose.reveal.is_none()
            && actor.layer.clip.is_none_or(|radius| radius <= 0.0)
            && actor.layer.shadow.is_none()
    }

    /// Whether nothing below it can be seen.
    pub(crate) fn covers(&self, stage: &Stage) -> bool {
        self.pose.opacity >= 1.0 && self.is_plain_fill(stage)
    }

    /// Where the box's upper left corner lies on the canvas, unturned.
    fn corner(&self) -> [f32; 2] {
        add(add(self.actor.corner(), self.origin), self.pose.offset)
    }

    /// How this draw gets onto the frame.
    pub(crate) fn plan(&self, stage: &Stage, frame: u32) -> Plan {
        let actor = self.actor;
        let clip = self.pose.reveal.map(|reveal| self.revealed(reveal));
        if !self.pose.is_unscaled() {
            return Plan { key: None, by: [0, 0], shift: [0, 0], clip: None, posed: true };
        }
        let [dx, dy] = self.travel();
        let (by, shift) = if self.snaps() {
            ([dx.round() as i32, dy.round() as i32], [0, 0])
        } else {
            // Rounded to 1/256 first, so that 0.999 does not become a shift by 256/256.
            let (fx, fy) = ((dx * 256.0).round() as i64, (dy * 256.0).round() as i64);
            (
                [fx.div_euclid(256) as i32, fy.div_euclid(256) as i32],
                [fx.rem_euclid(256) as u32, fy.rem_euclid(256) as u32],
            )
        };
        let (state, keeps) = state(actor, stage, frame);
        let part = self.part(stage, by);
        let key = TileKey {
            actor: actor.id,
            color: self.pose.color,
            state,
            part: part.map(|part| [part.left, part.top, part.right, part.bottom]),
        };
        Plan { key: keeps.then_some(key), by, shift, clip, posed: false }
    }

    /// How far it has moved from where its tile is rasterised: at rest, in an unmoved group.
    fn travel(&self) -> [f32; 2] {
        let moved = add(self.pose.offset, self.origin);
        [moved[0] - self.resting[0], moved[1] - self.resting[1]]
    }

    /// Pictures stand on whole pixels, where they are as sharp as their file.
    fn snaps(&self) -> bool {
        matches!(self.actor.content, Content::Clip { .. }) && self.pose.offset == [0.0, 0.0]
    }

    /// The uncovered part of the box on the canvas, to whole pairs of pixels so that chroma is cut where luma is.
    fn revealed(&self, [left, top, right, bottom]: [f32; 4]) -> PixelRect {
        let corner = self.corner();
        let bounds = self.actor.bounds;
        let at = |axis: usize, share: f32| {
            let (low, high) = (bounds[axis], bounds[axis + 2]);
            let place = corner[axis] + low + (high - low) * share;
            ((place / 2.0).round() * 2.0) as i32
        };
        // Where nothing is covered the edge is beyond all that it paints.
        PixelRect {
            left: if left <= 0.0 { i32::MIN / 2 } else { at(0, left) },
            top: if top <= 0.0 { i32::MIN / 2 } else { at(1, top) },
            right: if right >= 1.0 { i32::MAX / 2 } else { at(0, right) },
            bottom: if bottom >= 1.0 { i32::MAX / 2 } else { at(1, bottom) },
        }
    }

    fn resting_corner(&self) -> [f32; 2] {
        add(self.actor.corner(), self.resting)
    }

    /// The pixels of the canvas that the actor covers at rest.
    fn resting_region(&self) -> PixelRect {
        let corner = self.resting_corner();
        region(self.actor.bounds.map(f64::from), corner.map(f64::from))
    }

    /// The part to rasterise, when the whole would take much more than the canvas.
    fn part(&self, stage: &Stage, by: [i32; 2]) -> Option<PixelRect> {
        let whole = self.resting_region();
        let area = i64::from(whole.right - whole.left) * i64::from(whole.bottom - whole.top);
        if area <= LARGEST_RASTER * i64::from(stage.width) * i64::from(stage.height) {
            return None;
        }
        // One pixel more on every side for the shift by fractions.
        let canvas = PixelRect {
            left: -by[0] - 1,
            top: -by[1] - 1,
            right: stage.width as i32 - by[0] + 1,
            bottom: stage.height as i32 - by[1] + 1,
        };
        Some(whole.intersect(canvas).unwrap_or(PixelRect { left: 0, top: 0, right: 0, bottom: 0 }))
    }

    /// Makes the tile.
    pub(crate) fn rasterise(
        &self,
        plan: &Plan,
        stage: &Stage,
        frame: u32,
        composer: &mut Composer<'_>,
    ) -> Result<Tile, RenderError> {
        if plan.posed {
            return self.rasterise_posed(stage, frame, composer);
        }
        let area = self.part(stage, plan.by).unwrap_or_else(|| self.resting_region());
        let corner = self.resting_corner();
        let Some(mut pixmap) = raster::pixmap_for(area) else {
            return Ok(Tile::from_pixmap(&one_clear_pixel(), 0, 0));
        };
        let origin = [corner[0] - area.left as f32, corner[1] - area.top as f32];
        paint_upright(self.actor, &mut pixmap, origin, 1.0, self.pose.color, stage, frame, composer)?;
        Ok(composer.composition.tile(&pixmap, area.left, area.top))
    }

    /// Turned or scaled: drawn upright at the largest scale of its way, then laid slanted.
    fn rasterise_posed(
        &self,
        stage: &Stage,
        frame: u32,
        composer: &mut Composer<'_>,
    ) -> Result<Tile, RenderError> {
        let mut canvas = match raster::pixmap_for(self.posed_region(stage)) {
            Some(canvas) => canvas,
            None => return Ok(Tile::from_pixmap(&one_clear_pixel(), 0, 0)),
        };
        let area = self.posed_region(stage);
        let to_canvas =
            Transform::from_translate(self.origin[0] - area.left as f32, self.origin[1] - area.top as f32);
        let plain = Draw { pose: Pose { opacity: 1.0, ..self.pose }, origin: [0.0; 2], ..*self };
        paint_posed(&plain, &mut canvas, to_canvas, stage, frame, composer)?;
        Ok(composer.composition.tile(&canvas, area.left, area.top))
    }

    /// The pixels of the canvas that it covers as posed.
    fn posed_region(&self, stage: &Stage) -> PixelRect {
        let transform = pose_transform(self.actor, &self.pose);
        let transform = transform.post_translate(self.origin[0], self.origin[1]);
        let [left, top, right, bottom] = self.actor.bounds;
        let mut corners = [(left, top), (right, top), (left, bottom), (right, bottom)]
            .map(|(x, y)| tiny_skia::Point::from_xy(x, y));
        transform.map_points(&mut corners);
        let fold = |pick: fn(&tiny_skia::Point) -> f32, choose: fn(f32, f32) -> f32| {
            corners.iter().map(pick).reduce(choose).unwrap_or(0.0)
        };
        let bounds = [
            fold(|p| p.x, f32::min) - 1.0,
            fold(|p| p.y, f32::min) - 1.0,
            fold(|p| p.x, f32::max) + 1.0,
            fold(|p| p.y, f32::max) + 1.0,
        ];
        let canvas = PixelRect { left: 0, top: 0, right: stage.width as i32, bottom: stage.height as i32 };
        let empty = PixelRect { left: 0, top: 0, right: 0, bottom: 0 };
        region(bounds.map(f64::from), [0.0, 0.0]).intersect(canvas).unwrap_or(empty)
    }
}

/// Whole pixels around `bounds` placed at `corner`, kept within what fits an i32 with room to add.
fn region(bounds: [f64; 4], corner: [f64; 2]) -> PixelRect {
    let limit = f64::from(1 << 28);
    let low = |value: f64| value.floor().clamp(-limit, limit) as i32;
    let high = |value: f64| value.ceil().clamp(-limit, limit) as i32;
    PixelRect {
        left: low(bounds[0] + corner[0]),
        top: low(bounds[1] + corner[1]),
        right: high(bounds[2] + corner[0]),
        bottom: high(bounds[3] + corner[1]),
    }
}

/// From the actor's box to its parent's space, pose included.
fn pose_transform(actor: &Actor, pose: &Pose) -> Transform {
    let placement = &actor.layer.placement;
    let anchor = [placement.anchor[0] * actor.size[0], placement.anchor[1] * actor.size[1]];
    let (sin, cos) = raster::sin_cos_degrees(pose.rotation);
    Transform::from_translate(-anchor[0], -anchor[1])
        .post_scale(pose.scale[0], pose.scale[1])
        .post_concat(Transform::from_row(cos, sin, -sin, cos, 0.0, 0.0))
        .post_translate(placement.x + pose.offset[0], placement.y + pose.offset[1])
}

/// Paints an actor in its pose into `canvas`, where `to_canvas` leads from the actor's parent to the canvas.
fn paint_posed(
    draw: &Draw<'_>,
    canvas: &mut Pixmap,
    to_canvas: Transform,
    stage: &Stage,
    frame: u32,
    composer: &mut Composer<'_>,
) -> Result<(), RenderError> {
    let (actor, pose) = (draw.actor, &draw.pose);
    let whole = pose_transform(actor, pose).post_concat(to_canvas);
    let upright = whole.kx == 0.0 && whole.ky == 0.0 && whole.sx == whole.sy && whole.sx > 0.0;
    // What has edges is drawn anew at each size, to stay sharp; soft or costly pictures are made once and resampled.
    let edged = match &actor.content {
        Content::Shape(shape) => matches!(shape.fill, None | Some(Paint::Solid(_))),
        Content::Text(_) => true,
        Content::Picture { .. } | Content::Clip { .. } | Content::Group(_) => false,
    };
    let outline = edged && actor.layer.shadow.is_none();
    if upright && (whole.sx == 1.0 || outline) {
        return paint_in_place(draw, canvas, whole, stage, frame, composer);
    }
    let outer = (to_canvas.sx * to_canvas.sx + to_canvas.ky * to_canvas.ky).sqrt();
    let mut scale = if pose.is_unscaled() { outer } else { actor.largest_scale * outer };
    // Upright pictures beyond four canvases are drawn smaller and enlarged: blurred, but within bounds.
    let [left, top, right, bottom] = actor.bounds;
    let limit = (LARGEST_RASTER as f32) * stage.width as f32 * stage.height as f32;
    let area = (right - left).max(1.0) * (bottom - top).max(1.0) * scale * scale;
    if area > limit {
        scale *= (limit / area).sqrt();
    }
    // One clear pixel all around keeps slanted edges smooth.
    let covered = region(
        [left * scale - 1.0, top * scale - 1.0, right * scale + 1.0, bottom * scale + 1.0].map(f64::from),
        [0.0, 0.0],
    );
    let origin = [-covered.left as f32, -covered.top as f32];
    let (state, comes_again) = state(actor, stage, frame);
    let key = UprightKey { actor: actor.id, scale: scale.to_bits(), color: pose.color, state };
    let kept = comes_again.then(|| composer.composition.uprights.get(&key)).flatten();
    let mut picture = match kept {
        Some(picture) => picture,
        None => {
            let Some(mut picture) = raster::pixmap_for(covered) else { return Ok(()) };
            paint_upright(actor, &mut picture, origin, scale, pose.color, stage, frame, composer)?;
            let picture = Arc::new(picture);
            if comes_again {
                composer.composition.uprights.put(key, picture.clone(), picture.data().len());
            }
            picture
        }
    };
    if let Some(reveal) = pose.reveal {
        uncover(Arc::make_mut(&mut picture), actor, reveal, origin, scale);
    }
    let place = Transform::from_translate(covered.left as f32, covered.top as f32)
        .post_scale(1.0 / scale, 1.0 / scale)
        .post_concat(whole);
    let paint = PixmapPaint { opacity: pose.opacity, quality: FilterQuality::Bilinear, ..Default::default() };
    canvas.draw_pixmap(0, 0, (*picture).as_ref(), &paint, place, None);
    Ok(())
}

/// Paints what is neither turned nor stretched where it stands, at its exact fraction of a pixel.
fn paint_in_place(
    draw: &Draw<'_>,
    canvas: &mut Pixmap,
    whole: Transform,
    stage: &Stage,
    frame: u32,
    composer: &mut Composer<'_>,
) -> Result<(), RenderError> {
    let (actor, pose) = (draw.actor, &draw.pose);
    let (scale, corner) = (whole.sx, [whole.tx, whole.ty]);
    // A shadow may come from what lies a little outside of the canvas.
    let margin = if actor.layer.shadow.is_some() { 256 } else { 0 };
    let seen = PixelRect {
        left: -margin,
        top: -margin,
        right: canvas.width() as i32 + margin,
        bottom: canvas.height() as i32 + margin,
    };
    let covered = region(actor.bounds.map(|edge| f64::from(edge * scale)), corner.map(f64::from));
    let Some(area) = covered.intersect(seen) else { return Ok(()) };
    let Some(mut picture) = raster::pixmap_for(area) else { return Ok(()) };
    let origin = [corner[0] - area.left as f32, corner[1] - area.top as f32];
    paint_upright(actor, &mut picture, origin, scale, pose.color, stage, frame, composer)?;
    if let Some(reveal) = pose.reveal {
        uncover(&mut picture, actor, reveal, origin, scale);
    }
    let paint = PixmapPaint { opacity: pose.opacity, ..Default::default() };
    canvas.draw_pixmap(area.left, area.top, picture.as_ref(), &paint, Transform::identity(), None);
    Ok(())
}

/// Keeps only the uncovered part of what an actor paints.
fn uncover(picture: &mut Pixmap, actor: &Actor, [l, t, r, b]: [f32; 4], origin: [f32; 2], scale: f32) {
    let [left, top, right, bottom] = actor.bounds;
    let (width, height) = (right - left, bottom - top);
    let part = [left + width * l, top + height * t, width * (r - l), height * (b - t)].map(|v| v * scale);
    raster::clip_to_rounded(picture, [origin[0] + part[0], origin[1] + part[1]], [part[2], part[3]], 0.0);
}

/// Paints an actor's content, shadow and cut, `scale` times as large, its box's upper left corner at `origin`.
#[expect(clippy::too_many_arguments, reason = "one call tree, and a struct would only rename them")]
fn paint_upright(
    actor: &Actor,
    pixmap: &mut Pixmap,
    origin: [f32; 2],
    scale: f32,
    color: Option<Color>,
    stage: &Stage,
    frame: u32,
    composer: &mut Composer<'_>,
) -> Result<(), RenderError> {
    let pixels = |length: f32| (length * scale).round().max(1.0) as u32;
    match &actor.content {
        Content::Shape(shape) => shape.draw(pixmap, origin, scale, color),
        Content::Text(layout) => layout.draw(&mut pixmap.as_mut(), origin[0], origin[1], scale, color),
        Content::Picture { picture, fit, focus } => {
            let rendered = picture
                .render(pixels(actor.size[0]), pixels(actor.size[1]), *fit, *focus)
                .map_err(|error| RenderError::media(crate::error::Place::layer(&actor.layer.path), error))?;
            lay_picture(pixmap, &rendered, origin);
        }
        Content::Clip { .. } => {
            let (source, [x, y]) = composer.clip_frame(stage, actor, frame)?;
            // `contain` leaves bars free around the picture.
            let origin = [origin[0] + x as f32 * scale, origin[1] + y as f32 * scale];
            let rendered = Arc::new(to_pixmap(&source));
            if scale == 1.0 {
                lay_picture(pixmap, &rendered, origin);
            } else {
                let paint = PixmapPaint { quality: FilterQuality::Bilinear, ..Default::default() };
                let place = Transform::from_row(scale, 0.0, 0.0, scale, origin[0], origin[1]);
                pixmap.draw_pixmap(0, 0, (*rendered).as_ref(), &paint, place, None);
            }
        }
        Content::Group(children) => {
            let inside = Transform::from_row(scale, 0.0, 0.0, scale, origin[0], origin[1]);
            for child in children {
                let Some(pose) = timeline::pose_at(&child.layer, frame, stage.rate, stage.frames) else {
                    continue;
                };
                let draw = Draw { actor: child, pose, origin: [0.0; 2], resting: [0.0; 2], top: 0 };
                paint_posed(&draw, pixmap, inside, stage, frame, composer)?;
            }
        }
    }
    if let Some(radius) = actor.layer.clip {
        let size = actor.size.map(|length| length * scale);
        raster::clip_to_rounded(pixmap, origin, size, radius * scale);
    }
    if let Some(shadow) = &actor.layer.shadow {
        raster::draw_shadow(pixmap, shadow, scale);
    }
    Ok(())
}

/// Lays a picture on the whole pixel nearest to `origin`, where it stays as sharp as it is.
fn lay_picture(pixmap: &mut Pixmap, picture: &Pixmap, origin: [f32; 2]) {
    let (x, y) = (origin[0].round() as i32, origin[1].round() as i32);
    pixmap.draw_pixmap(x, y, picture.as_ref(), &PixmapPaint::default(), Transform::identity(), None);
}

fn to_pixmap(frame: &crate::frame::I420Frame) -> Pixmap {
    let rgb = frame.to_rgb();
    let Some(mut pixmap) = Pixmap::new(frame.width().max(1), frame.height().max(1)) else {
        return one_clear_pixel();
    };
    for (target, source) in pixmap.data_mut().chunks_exact_mut(4).zip(rgb.as_raw().chunks_exact(3)) {
        target[..3].copy_from_slice(source);
        target[3] = 255;
    }
    pixmap
}

fn one_clear_pixel() -> Pixmap {
    Pixmap::new(1, 1).expect("a pixmap of one pixel is always possible")
}
