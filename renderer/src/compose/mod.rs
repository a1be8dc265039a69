//! Composing: one frame of one scene, as a pure function of the filled video.
//!
//! A frame starts as the scene's background or as a frame of a video that covers the canvas, and stays in
//! the encoder's own format (I420, BT.709 limited range) throughout. Layers are rasterised once into
//! tiles and laid over it; what did not change since the frame before is not laid again.
//! The result never depends on which frames were composed before, or on which thread: caches only keep
//! what would come out the same.

mod draw;
mod lru;
mod raster;
mod stage;
pub(crate) mod tile;
mod timeline;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tiny_skia::Pixmap;
use vignette_templates::blob::Digest;
use vignette_templates::video::Video;

use self::draw::{Draw, Shown};
use self::lru::Lru;
pub use self::stage::Media;
use self::stage::{Content, Stage};
use self::tile::Tile;
use crate::error::{Place, RenderError, Warning};
use crate::frame::I420Frame;
use crate::media::{ConformSpec, Reader};
use crate::plan::Plate;
use crate::plates::{PlateReader, PlateWriter, Plates};
use crate::text::{FontLibrary, TextLayout};

/// A video whose texts are laid out; its scenes are made ready when they are first drawn. Shared by all workers.
pub struct Composition<'a> {
    video: &'a Video,
    media: &'a Media,
    /// The texts of each scene.
    texts: Vec<Vec<Arc<TextLayout>>>,
    stages: Vec<Mutex<Option<Arc<Stage>>>>,
    tiles: Lru<TileKey, Tile>,
    uprights: Lru<UprightKey, Pixmap>,
    costs: Costs,
}

/// Where composing spends its time, in nanoseconds of all workers together; for benchmarks.
#[derive(Debug, Default)]
pub struct Costs {
    /// From premultiplied RGBA to tiles in Y′CbCr.
    pub convert: AtomicU64,
}

impl<'a> Composition<'a> {
    /// Lays out every text of `video`. No picture or video is opened before a frame shows it, so that a scene whose
    /// segments are all at hand costs nothing.
    ///
    /// # Errors
    /// A text that cannot be laid out, by its place in the template.
    pub fn prepare(
        video: &'a Video,
        media: &'a Media,
        fonts: &FontLibrary,
    ) -> Result<(Composition<'a>, Vec<Warning>), RenderError> {
        let mut warnings = Vec::new();
        let mut texts = Vec::with_capacity(video.scenes.len());
        for scene in &video.scenes {
            let mut laid = Vec::new();
            stage::lay_out(&scene.layers, &video.locale, fonts, &mut laid, &mut warnings)?;
            texts.push(laid);
        }
        // A repeated layer gives the same warning each time.
        let mut told = HashSet::new();
        warnings.retain(|warning: &Warning| told.insert((warning.path.clone(), warning.message.clone())));
        let composition = Composition {
            video,
            media,
            texts,
            stages: video.scenes.iter().map(|_| Mutex::new(None)).collect(),
            tiles: Lru::new(TILE_BUDGET),
            uprights: Lru::new(UPRIGHT_BUDGET),
            costs: Costs::default(),
        };
        Ok((composition, warnings))
    }

    /// Scene `index`, ready to draw.
    fn stage(&self, index: usize) -> Result<Arc<Stage>, RenderError> {
        // What is kept behind this lock is whole at every moment, so a panic elsewhere does not spoil it.
        let mut stage = self.stages[index].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stage) = &*stage {
            return Ok(stage.clone());
        }
        let ready = Arc::new(stage::prepare(self.video, index, self.media, &self.texts[index])?);
        *stage = Some(ready.clone());
        Ok(ready)
    }

    /// The engine's own font files that the texts take glyphs from, with their names.
    pub fn own_fonts(&self) -> BTreeMap<Digest, String> {
        let texts = self.texts.iter().flatten();
        texts.flat_map(|text| text.own_fonts()).map(|(digest, name)| (digest, name.to_owned())).collect()
    }

    /// Where the time went so far.
    pub fn costs(&self) -> &Costs {
        &self.costs
    }

    /// Converts a picture whose upper left pixel lies at (`x`, `y`) of the canvas.
    fn tile(&self, pixmap: &Pixmap, x: i32, y: i32) -> Tile {
        let started = Instant::now();
        let tile = Tile::from_pixmap(pixmap, x, y);
        self.costs.convert.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        tile
    }

    /// A composer of its own for one worker; it keeps decoders and the last frame between calls.
    pub fn composer(&self) -> Composer<'_> {
        Composer { composition: self, readers: HashMap::new(), scenes: BTreeMap::new(), plates: Vec::new() }
    }
}

/// Composes frames for one worker. Fastest when asked for frames in order.
pub struct Composer<'a> {
    composition: &'a Composition<'a>,
    /// Open decoders, by actor, with the scene that they are for.
    readers: HashMap<u32, (usize, Reader)>,
    scenes: BTreeMap<usize, SceneMemory>,
    /// The plates of the segment that is composed.
    plates: Vec<(Plate, Access)>,
}

/// A plate that is there, or that is being made.
enum Access {
    Read(PlateReader),
    Write(PlateWriter),
}

/// What is kept of a scene from one frame to the next.
#[derive(Default)]
struct SceneMemory {
    /// What the last frame showed, and the frame itself.
    last: Option<(Vec<Shown>, Arc<I420Frame>)>,
    /// The lowest layers that were the same on the last two frames, laid once.
    backdrop: Option<(Vec<Shown>, Arc<I420Frame>)>,
}

impl Composer<'_> {
    /// Opens the plates of a segment, or begins those that are not there. To be called before its first frame, which must be
    /// followed by the others in order.
    pub fn begin(&mut self, plates: &Plates, wanted: &[Plate]) {
        let size = [self.composition.video.canvas.width, self.composition.video.canvas.height];
        self.plates.clear();
        for plate in wanted {
            // Two scenes that show the same: the second would wait for what this composer itself makes.
            if self.plates.iter().any(|(known, _)| known.key == plate.key) {
                continue;
            }
            let access = match plates.read(&plate.key, plate.range.len(), size) {
                Some(reader) => Some(Access::Read(reader)),
                None => plates.write(&plate.key, plate.range.len(), size).map(Access::Write),
            };
            self.plates.extend(access.map(|access| (*plate, access)));
        }
    }

    /// Keeps the plates that were made since [`Composer::begin`], if the segment was composed to its end.
    pub fn end(&mut self) {
        for (_, access) in self.plates.drain(..) {
            if let Access::Write(writer) = access {
                writer.finish();
            }
        }
    }

    /// The frame that is `frame` frames into scene `scene`, transition included.
    ///
    /// # Errors
    /// An asset that cannot be decoded; a layer whose box is beyond the limits.
    pub fn frame(&mut self, scene: usize, frame: u32) -> Result<Arc<I420Frame>, RenderError> {
        let scenes = &self.composition.video.scenes;
        let transition = scenes[scene].transition.filter(|transition| scene > 0 && frame < transition.frames);
        let incoming = self.scene_frame(scene, frame)?;
        let Some(transition) = transition else {
            // The outgoing scene will not be asked for again.
            self.scenes.retain(|index, _| *index >= scene);
            self.readers.retain(|_, (index, _)| *index >= scene);
            return Ok(incoming);
        };
        let outgoing = self.scene_frame(scene - 1, scenes[scene - 1].frames + frame)?;
        // Both ends are left out: the first mixed frame already shows some of the incoming scene.
        let share = (frame + 1) as f32 / (transition.frames + 1) as f32;
        let share = timeline::ease(transition.easing, share).clamp(0.0, 1.0);
        let mut mixed = (*outgoing).clone();
        tile::crossfade(&mut mixed, &incoming, (share * 256.0).round() as u16);
        Ok(Arc::new(mixed))
    }

    /// Lets go of decoders and frames that are not needed before `scene`.
    pub fn forget(&mut self) {
        self.readers.clear();
        self.scenes.clear();
    }

    fn scene_frame(&mut self, scene: usize, frame: u32) -> Result<Arc<I420Frame>, RenderError> {
        let stage = self.composition.stage(scene)?;
        let stage = &*stage;
        let draws = draw::list(stage, frame);
        let of = |(plate, _): &(Plate, Access)| plate.scene == scene && plate.range.contains(frame);
        if let Some(at) = self.plates.iter().position(of) {
            let (plate, mut access) = self.plates.swap_remove(at);
            let picture = self.on_plate(stage, &draws, frame, &plate, &mut access);
            if picture.as_ref().is_ok_and(Option::is_some) {
                self.plates.push((plate, access));
            }
            if let Some(picture) = picture? {
                return Ok(Arc::new(picture));
            }
        }
        let shown: Vec<Shown> = draws.iter().map(|draw| draw.shown(stage, frame)).collect();
        let mut memory = self.scenes.remove(&scene).unwrap_or_default();
        if let Some((last, picture)) = &memory.last
            && *last == shown
        {
            let picture = picture.clone();
            self.scenes.insert(scene, memory);
            return Ok(picture);
        }
        let same = memory
            .last
            .as_ref()
            .map_or(0, |(last, _)| last.iter().zip(&shown).take_while(|(before, now)| before == now).count());
        if memory.backdrop.as_ref().is_some_and(|(laid, _)| !shown.starts_with(laid)) {
            memory.backdrop = None;
        }
        let mut laid = memory.backdrop.as_ref().map_or(0, |(laid, _)| laid.len());
        if same > laid {
            let mut base = self.base(stage, &memory, &draws)?;
            for draw in &draws[laid..same] {
                self.lay(stage, draw, frame, &mut base)?;
            }
            memory.backdrop = Some((shown[..same].to_vec(), Arc::new(base)));
            laid = same;
        }
        let mut picture = self.base(stage, &memory, &draws)?;
        for draw in &draws[laid..] {
            self.lay(stage, draw, frame, &mut picture)?;
        }
        let picture = Arc::new(picture);
        memory.last = Some((shown, picture.clone()));
        self.scenes.insert(scene, memory);
        Ok(picture)
    }

    /// The frame, laid over its plate: that of another viewer, or one that is made with it. `None` when the plate turns out to
    /// be damaged.
    fn on_plate(
        &mut self,
        stage: &Stage,
        draws: &[Draw<'_>],
        frame: u32,
        plate: &Plate,
        access: &mut Access,
    ) -> Result<Option<I420Frame>, RenderError> {
        let own = draws.partition_point(|draw| draw.top < plate.layers);
        let mut picture = match access {
            Access::Read(reader) => match reader.frame(frame - plate.range.start) {
                Some(picture) => picture,
                None => return Ok(None),
            },
            Access::Write(writer) => {
                let mut below = self.base(stage, &SceneMemory::default(), &draws[..own])?;
                for draw in &draws[..own] {
                    self.lay(stage, draw, frame, &mut below)?;
                }
                writer.push(&below);
                below
            }
        };
        for draw in &draws[own..] {
            self.lay(stage, draw, frame, &mut picture)?;
        }
        Ok(Some(picture))
    }

    /// What the layers that are still to be laid go on top of.
    fn base(
        &self,
        stage: &Stage,
        memory: &SceneMemory,
        draws: &[Draw<'_>],
    ) -> Result<I420Frame, RenderError> {
        Ok(match &memory.backdrop {
            Some((_, picture)) => (**picture).clone(),
            // A video that covers everything is copied over in full: nothing below it needs painting.
            None if draws.first().is_some_and(|draw| draw.covers(stage)) => {
                I420Frame::of_any(stage.width, stage.height)
            }
            None => I420Frame::filled(stage.width, stage.height, stage.background),
        })
    }

    fn lay(
        &mut self,
        stage: &Stage,
        draw: &Draw<'_>,
        frame: u32,
        picture: &mut I420Frame,
    ) -> Result<(), RenderError> {
        if let Content::Clip { .. } = draw.actor.content
            && draw.is_plain_fill(stage)
        {
            let (source, _) = self.clip_frame(stage, draw.actor, frame)?;
            let share = (draw.pose.opacity * 256.0).round() as u16;
            if share >= 256 {
                picture.y.copy_from_slice(&source.y);
                picture.u.copy_from_slice(&source.u);
                picture.v.copy_from_slice(&source.v);
            } else {
                tile::crossfade(picture, &source, share);
            }
            return Ok(());
        }
        let plan = draw.plan(stage, frame);
        let kept = plan.key.and_then(|key| self.composition.tiles.get(&key));
        let tile = match kept {
            Some(tile) => tile,
            None => {
                let tile = Arc::new(draw.rasterise(&plan, stage, frame, self)?);
                if let Some(key) = plan.key {
                    self.composition.tiles.put(key, tile.clone(), tile.bytes());
                }
                tile
            }
        };
        let opacity = (draw.pose.opacity * 255.0).round() as u8;
        if plan.shift == [0, 0] {
            tile.blend_onto(picture, plan.by, opacity, plan.clip);
        } else {
            tile.shifted(plan.shift).blend_onto(picture, plan.by, opacity, plan.clip);
        }
        Ok(())
    }

    /// The frame that a video actor shows at `frame` of its scene, and where it stands in the actor's box.
    fn clip_frame(
        &mut self,
        stage: &Stage,
        actor: &stage::Actor,
        frame: u32,
    ) -> Result<(Arc<I420Frame>, [u32; 2]), RenderError> {
        let Content::Clip { clip, fit, focus } = &actor.content else {
            return Err(RenderError::layer(Place::layer(&actor.layer.path), "it is not a video".into()));
        };
        let vignette_templates::video::LayerKind::Video { start, repeat, .. } = &actor.layer.kind else {
            return Err(RenderError::layer(Place::layer(&actor.layer.path), "it is not a video".into()));
        };
        let media = |error| RenderError::media(Place::layer(&actor.layer.path), error);
        let reader = match self.readers.entry(actor.id) {
            std::collections::hash_map::Entry::Occupied(entry) => &mut entry.into_mut().1,
            std::collections::hash_map::Entry::Vacant(entry) => {
                let spec = ConformSpec {
                    width: actor.size[0].round().max(1.0) as u32,
                    height: actor.size[1].round().max(1.0) as u32,
                    fit: *fit,
                    focus: *focus,
                    rate: stage.rate,
                    start: *start,
                    repeat: *repeat,
                };
                &mut entry.insert((stage.index, clip.reader(spec).map_err(media)?)).1
            }
        };
        let place = [reader.place().x, reader.place().y];
        let picture = reader.frame(frame.saturating_sub(actor.layer.span.start)).map_err(media)?;
        Ok((picture, place))
    }
}

/// Names a tile: which actor, at which fraction of a pixel, in which colour and part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TileKey {
    actor: u32,
    color: Option<vignette_templates::video::Color>,
    /// Distinguishes pictures of groups whose layers change.
    state: u64,
    /// The part that was rasterised when the whole would be too large: left, top, right, bottom.
    part: Option<[i32; 4]>,
}

/// Names an upright picture: which actor, how large, in which colour and state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UprightKey {
    actor: u32,
    scale: u32,
    color: Option<vignette_templates::video::Color>,
    state: u64,
}

/// What all tiles that are kept of a composition may take together.
const TILE_BUDGET: usize = 192 << 20;

/// What all upright pictures that are kept, to be laid turned or scaled, may take together.
const UPRIGHT_BUDGET: usize = 96 << 20;
