//! The driver: from a filled video to a finished file. The one place that owns threads.

mod desk;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use vignette_templates::blob::Digest;
use vignette_templates::video::{AssetKind, Cue, Video};

use crate::audio::{self, AacTrack, SoundCodec, SoundTrack};
use crate::compose::{Composer, Composition, Costs, Media};
use crate::encode::{SegmentEncoder, VideoProfile};
use crate::error::{Place, RenderError, Warning};
use crate::frame::I420Frame;
use crate::package::facts::{self, Kind};
use crate::package::folder::{self, HlsMovie, HlsRung};
use crate::package::fragmented::Fragmented;
use crate::package::mp4::{self, Movie, Mp4Error};
use crate::package::webm::{self, WebmError};
use crate::plan::{self, Plan, Segment};
use crate::plates::Plates;
use crate::scale::Scaler;
use crate::segment::EncodedSegment;
use crate::store::{Lookup, Vault, Waiting};
use crate::text::FontLibrary;

pub use self::desk::Desk;

/// How to render.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// Segments that are composed and encoded at a time. Default: one for each core.
    pub workers: usize,
    /// Constant rate factor of x264, 1 (best) to 50. Default: [`VideoProfile::DEFAULT_QUALITY`].
    pub quality: u8,
}

impl Default for RenderOptions {
    fn default() -> Self {
        RenderOptions {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            quality: VideoProfile::DEFAULT_QUALITY,
        }
    }
}

/// Where a render finds what was made before, and keeps what it makes. Cheap to clone; shared by all renders of a process.
#[derive(Clone)]
pub struct Stores {
    /// Encoded segments and sound.
    pub vault: Arc<Vault>,
    /// Raw frames below the personal layers.
    pub plates: Plates,
}

impl Stores {
    /// Keeps nothing beyond the render.
    pub fn none() -> Stores {
        Stores { vault: Arc::new(Vault::none()), plates: Plates::none() }
    }
}

/// How far a render has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Frames that are encoded, or were found.
    pub done: u32,
    /// Those of them that were found, encoded before.
    pub found: u32,
    /// Frames of the whole video.
    pub total: u32,
}

/// What a caller may watch and decide while a render runs. Called from several threads.
pub trait Observer: Sync {
    /// A frame was done.
    fn progress(&self, progress: Progress);
    /// Whether to stop; asked before each frame.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing and never stops.
impl Observer for () {
    fn progress(&self, _: Progress) {}
}

/// A video whose texts are laid out, ready to give frames.
pub struct Prepared<'a> {
    video: &'a Video,
    composition: Composition<'a>,
    fonts: FontLibrary,
    /// What could not be drawn as meant.
    pub warnings: Vec<Warning>,
}

/// Loads the fonts of `video` and lays out its texts. Its pictures and videos are opened when a frame first shows them, unless
/// `media` holds them already.
///
/// # Errors
/// A font that cannot be used, or a text that cannot be laid out, by its place in the template.
pub fn prepare<'a>(
    video: &'a Video,
    media: &'a Media,
    fonts: &FontLibrary,
) -> Result<Prepared<'a>, RenderError> {
    let mut fonts = fonts.clone();
    let own_fonts = video.assets.iter().filter(|(_, asset)| asset.kind == AssetKind::Font);
    for (digest, asset) in own_fonts {
        let font = (*digest, asset.blob.bytes().clone());
        fonts = fonts
            .with_assets(std::iter::once(font))
            .map_err(|error| RenderError::layer(Place::asset(&asset.name), error.to_string()))?;
    }
    let (composition, warnings) = Composition::prepare(video, media, &fonts)?;
    Ok(Prepared { video, composition, fonts, warnings })
}

impl Prepared<'_> {
    /// The video's segments.
    pub fn plan(&self, quality: u8) -> Plan {
        plan::plan(self.video, &self.fonts, quality)
    }

    /// The engine's own font files that the texts take glyphs from: their digests, with their names. A digest is computed when it is
    /// first asked for.
    pub fn own_fonts(&self) -> BTreeMap<Digest, String> {
        self.composition.own_fonts()
    }

    /// Where composing spent its time so far; for benchmarks.
    pub fn costs(&self) -> &Costs {
        self.composition.costs()
    }

    /// One frame, counted from the start of the video; past the end it is the last one.
    ///
    /// # Errors
    /// A video asset that stops decoding.
    pub fn frame(&self, index: u32) -> Result<Arc<I420Frame>, RenderError> {
        let (scene, frame) = self.locate(index);
        self.composition.composer().frame(scene, frame)
    }

    /// Every frame in order, on this thread.
    ///
    /// # Errors
    /// A video asset that stops decoding.
    pub fn frames(&self) -> impl Iterator<Item = Result<Arc<I420Frame>, RenderError>> + '_ {
        let mut composer = self.composition.composer();
        (0..self.video.frames()).map(move |index| {
            let (scene, frame) = self.locate(index);
            composer.frame(scene, frame)
        })
    }

    /// The scene that shows at frame `index`, and the frame inside it.
    fn locate(&self, index: u32) -> (usize, u32) {
        let mut left = index.min(self.video.frames().saturating_sub(1));
        for (scene, length) in self.video.scenes.iter().map(|scene| scene.frames).enumerate() {
            if left < length {
                return (scene, left);
            }
            left -= length;
        }
        (0, 0)
    }

    /// The whole programme, mixed and encoded.
    fn sound(
        &self,
        codec: SoundCodec,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<SoundTrack, RenderError> {
        let programme = audio::programme(self.video, cancelled)?;
        if cancelled() {
            return Err(RenderError::Cancelled);
        }
        match codec {
            SoundCodec::Aac => audio::encode_aac(&programme).map(SoundTrack::Aac),
            SoundCodec::Opus => audio::encode_opus(&programme).map(SoundTrack::Opus),
        }
        .map_err(|error| RenderError::media(Place::asset("audio"), error))
    }

    /// The same, unless it was made before.
    fn kept_sound(
        &self,
        key: &Digest,
        codec: SoundCodec,
        vault: &Vault,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<SoundTrack, RenderError> {
        let mut lookup = vault.begin(key);
        loop {
            match lookup {
                Lookup::Found(bytes) => match SoundTrack::from_bytes(codec, &bytes) {
                    Some(track) => return Ok(track),
                    None => {
                        vault.distrust(key);
                        lookup = vault.begin(key);
                    }
                },
                Lookup::Mine(turn) => {
                    let track = self.sound(codec, cancelled)?;
                    turn.keep(track.to_bytes().into());
                    return Ok(track);
                }
                Lookup::Busy(waiting) => {
                    if cancelled() {
                        return Err(RenderError::Cancelled);
                    }
                    lookup = waiting.wait(PAUSE);
                }
            }
        }
    }

    /// Finds in `stores` what was encoded before, and composes and encodes the rest.
    ///
    /// Segments are shared among workers, sound is made beside them. The result is the same for any number of workers,
    /// and whatever was found.
    ///
    /// # Errors
    /// The first failure of any part; [`RenderError::Cancelled`] when the observer says so.
    pub fn render(
        &self,
        options: &RenderOptions,
        stores: &Stores,
        observer: &dyn Observer,
    ) -> Result<Rendered, RenderError> {
        let plans = [self.plan(options.quality)];
        let [rendered] =
            <[Rendered; 1]>::try_from(self.render_plans(&plans, options.workers, stores, observer)?)
                .map_err(|_| RenderError::Check("one plan gave more than one video".into()))?;
        Ok(rendered)
    }

    /// The same for several sizes or qualities of the video at once, each frame composed once for all of them. A plan whose size is
    /// not the canvas' has the frames scaled down.
    ///
    /// # Errors
    /// As [`Prepared::render`]; plans that are not of this video.
    pub fn render_plans(
        &self,
        plans: &[Plan],
        workers: usize,
        stores: &Stores,
        observer: &dyn Observer,
    ) -> Result<Vec<Rendered>, RenderError> {
        let Some(first) = plans.first() else { return Ok(Vec::new()) };
        let same = |plan: &Plan| {
            (plan.audio, plan.sound) == (first.audio, first.sound)
                && plan.segments.len() == first.segments.len()
                && plan
                    .segments
                    .iter()
                    .zip(&first.segments)
                    .all(|(a, b)| (a.scene, a.range) == (b.scene, b.range))
        };
        if !plans.iter().all(same) {
            return Err(RenderError::Check("the plans are not of one video".into()));
        }
        let mut distinct: HashMap<Digest, usize> = HashMap::new();
        let mut items: Vec<Item> = Vec::new();
        let mut places = Vec::with_capacity(first.segments.len());
        for (index, segment) in first.segments.iter().enumerate() {
            let place = *distinct.entry(*segment.key.digest()).or_insert_with(|| {
                items.push(Item {
                    index,
                    frames: 0,
                    settled: AtomicU32::new(0),
                    made: AtomicBool::new(false),
                });
                items.len() - 1
            });
            items[place].frames += segment.range.len();
            places.push(place);
        }
        let canvas = self.video.canvas;
        let work = Work {
            plans,
            canvas: [canvas.width, canvas.height],
            stores,
            observer,
            claims: Mutex::new(vec![Claim::Open; items.len()]),
            results: Mutex::new(plans.iter().map(|_| items.iter().map(|_| None).collect()).collect()),
            items,
            failure: Mutex::new(None),
            stop: AtomicBool::new(false),
            done: AtomicU32::new(0),
            found: AtomicU32::new(0),
            total: self.video.frames(),
        };
        let workers = workers.clamp(1, work.items.len().max(1));
        let sound = std::thread::scope(|scope| {
            let sound = scope.spawn(|| {
                let stopped = || work.stopped();
                self.kept_sound(&first.audio, first.sound, &stores.vault, &stopped)
                    .map_err(|error| work.fail(error))
                    .ok()
            });
            for _ in 0..workers {
                scope.spawn(|| work.run(self.composition.composer()));
            }
            sound.join()
        });
        let failure = work.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = failure {
            return Err(error);
        }
        let Ok(Some(sound)) = sound else {
            return Err(RenderError::Check("mixing the sound panicked".into()));
        };
        let sound = Arc::new(sound);
        let results = work.results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::with_capacity(plans.len());
        for (plan, made) in plans.iter().zip(results) {
            let made: Option<Vec<Outcome>> = made.into_iter().collect();
            let made = made.ok_or_else(|| RenderError::Check("a segment is missing".into()))?;
            all.push(Rendered {
                plan: plan.clone(),
                segments: places.iter().map(|place| made[*place].segment.clone()).collect(),
                distinct: made.len(),
                new: made.iter().filter(|outcome| !outcome.found).count(),
                sound: sound.clone(),
                locale: self.video.locale.clone(),
                frames: self.video.frames(),
            });
        }
        Ok(all)
    }
}

/// How long is waited at a time for what others make, before it is asked whether to go on.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    Open,
    Taken,
}

/// An encoded segment, and whether it was there before.
struct Outcome {
    segment: Arc<EncodedSegment>,
    found: bool,
}

/// A distinct segment.
struct Item {
    /// The first of its places among the plan's segments.
    index: usize,
    /// Frames that it shows in all its places.
    frames: u32,
    /// For how many plans it is there.
    settled: AtomicU32,
    /// Whether its frames were counted while they were made.
    made: AtomicBool,
}

/// A wait for someone else who makes item and plan of these numbers.
struct Deferred<'a> {
    item: usize,
    plan: usize,
    waiting: Waiting<'a>,
}

/// What the workers of one render share.
struct Work<'a> {
    /// The same segments for each size.
    plans: &'a [Plan],
    canvas: [u32; 2],
    stores: &'a Stores,
    observer: &'a dyn Observer,
    /// In order of showing.
    items: Vec<Item>,
    claims: Mutex<Vec<Claim>>,
    /// By plan, then by item.
    results: Mutex<Vec<Vec<Option<Outcome>>>>,
    failure: Mutex<Option<RenderError>>,
    stop: AtomicBool,
    done: AtomicU32,
    found: AtomicU32,
    total: u32,
}

impl<'a> Work<'a> {
    fn run(&self, mut composer: Composer<'_>) {
        let (mut last, mut composed) = (None, None);
        let mut deferred: Vec<Deferred<'a>> = Vec::new();
        while let Some(item) = self.claim(last) {
            last = Some(item);
            let lookups = (0..self.plans.len())
                .map(|plan| (plan, self.stores.vault.begin(self.segment(plan, item).key.digest())));
            // What someone else makes is left for the end: there is other work meanwhile.
            deferred.extend(self.take(item, lookups.collect(), &mut composer, &mut composed));
        }
        while let Some(Deferred { item, plan, waiting }) = deferred.pop() {
            if self.stopped() {
                self.fail(RenderError::Cancelled);
                return;
            }
            let lookup = waiting.wait(PAUSE);
            deferred.extend(self.take(item, vec![(plan, lookup)], &mut composer, &mut composed));
        }
    }

    fn segment(&self, plan: usize, item: usize) -> &'a Segment {
        &self.plans[plan].segments[self.items[item].index]
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.observer.cancelled()
    }

    /// Takes what was found of an item and makes what is to be made, each plan by its lookup; gives back what someone else is
    /// making.
    fn take(
        &self,
        item: usize,
        lookups: Vec<(usize, Lookup<'a>)>,
        composer: &mut Composer<'_>,
        composed: &mut Option<usize>,
    ) -> Vec<Deferred<'a>> {
        let vault = &self.stores.vault;
        let (mut turns, mut deferred) = (Vec::new(), Vec::new());
        for (plan, mut lookup) in lookups {
            let segment = self.segment(plan, item);
            let key = segment.key.digest();
            loop {
                match lookup {
                    Lookup::Busy(waiting) => deferred.push(Deferred { item, plan, waiting }),
                    Lookup::Mine(turn) => turns.push((plan, turn)),
                    Lookup::Found(bytes) => {
                        let known = EncodedSegment::from_bytes(&bytes)
                            .filter(|known| known.frames() == segment.range.len());
                        match known {
                            Some(known) => self.settle(plan, item, Arc::new(known), true),
                            None => {
                                vault.distrust(key);
                                lookup = vault.begin(key);
                                continue;
                            }
                        }
                    }
                }
                break;
            }
        }
        if turns.is_empty() {
            return deferred;
        }
        if composed.is_none_or(|before| before + 1 != item) {
            composer.forget();
        }
        *composed = Some(item);
        let wanted: Vec<usize> = turns.iter().map(|(plan, _)| *plan).collect();
        // A panic in one segment must not leave the others working for nothing.
        let made = catch_unwind(AssertUnwindSafe(|| self.make(item, &wanted, composer)))
            .unwrap_or_else(|_| Err(RenderError::Check(format!("segment {item} panicked"))));
        match made {
            Ok(made) => {
                for ((plan, turn), made) in turns.into_iter().zip(made) {
                    turn.keep(made.to_bytes().into());
                    self.settle(plan, item, Arc::new(made), false);
                }
            }
            Err(error) => self.fail(error),
        }
        deferred
    }

    fn settle(&self, plan: usize, item: usize, segment: Arc<EncodedSegment>, found: bool) {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)[plan][item] =
            Some(Outcome { segment, found });
        let state = &self.items[item];
        let settled = state.settled.fetch_add(1, Ordering::AcqRel) + 1;
        if settled as usize == self.plans.len() && !state.made.load(Ordering::Acquire) {
            self.found.fetch_add(state.frames, Ordering::Relaxed);
            self.advance(state.frames);
        }
    }

    fn advance(&self, frames: u32) {
        let done = self.done.fetch_add(frames, Ordering::Relaxed) + frames;
        let found = self.found.load(Ordering::Relaxed);
        self.observer.progress(Progress { done, found, total: self.total });
    }

    /// Ends the render. Of several failures the first is told, but "cancelled" only when there is no other.
    fn fail(&self, error: RenderError) {
        if let Ok(mut failure) = self.failure.lock()
            && failure.as_ref().is_none_or(|known| matches!(known, RenderError::Cancelled))
        {
            *failure = Some(error);
        }
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The next item for a worker that just did `last`: the one after it, so that its decoders run on, or else the
    /// middle of the longest stretch that is still open, so that workers stay out of each other's way.
    fn claim(&self, last: Option<usize>) -> Option<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let mut claims = self.claims.lock().ok()?;
        let next = last.map(|last| last + 1).filter(|next| claims.get(*next) == Some(&Claim::Open));
        let index = next.or_else(|| {
            let (mut best, mut start) = (None::<(usize, usize)>, 0);
            for run in claims.chunk_by(|a, b| a == b) {
                if run[0] == Claim::Open && best.is_none_or(|(_, length)| run.len() > length) {
                    best = Some((start, run.len()));
                }
                start += run.len();
            }
            // A stretch that nobody works towards is begun at its start.
            best.map(|(start, length)| {
                let approached = start > 0 && last.is_none_or(|last| last + 1 != start);
                if approached { start + length / 2 } else { start }
            })
        })?;
        claims[index] = Claim::Taken;
        Some(index)
    }

    /// Composes the frames of an item once, and encodes them for each of `plans`, in that order.
    fn make(
        &self,
        item: usize,
        plans: &[usize],
        composer: &mut Composer<'_>,
    ) -> Result<Vec<EncodedSegment>, RenderError> {
        let state = &self.items[item];
        let first = !state.made.swap(true, Ordering::AcqRel);
        let segment = self.segment(plans.first().copied().unwrap_or(0), item);
        let mut encoders = Vec::with_capacity(plans.len());
        for plan in plans {
            let profile = self.plans[*plan].profile;
            let size = [profile.width, profile.height];
            let scaler = (size != self.canvas).then(|| Scaler::new(self.canvas, size)).transpose();
            let scaler = scaler.map_err(|error| RenderError::Check(error.to_string()))?;
            encoders.push((SegmentEncoder::start(profile, segment.range.len())?, scaler));
        }
        composer.begin(&self.stores.plates, &segment.plates);
        for frame in segment.range.start..segment.range.end {
            if self.stopped() {
                return Err(RenderError::Cancelled);
            }
            let picture = composer.frame(segment.scene, frame)?;
            for (encoder, scaler) in &mut encoders {
                match scaler {
                    None => encoder.push_shared(&picture)?,
                    Some(scaler) => {
                        let scaled =
                            scaler.scale(&picture).map_err(|error| RenderError::Check(error.to_string()))?;
                        encoder.push(&scaled)?;
                    }
                }
            }
            if first {
                self.advance(1);
            }
        }
        composer.end();
        let made = encoders.into_iter().map(|(encoder, _)| Ok(encoder.finish()?)).collect();
        if first {
            // Its other places need no work.
            self.advance(state.frames - segment.range.len());
        }
        made
    }
}

/// A video, encoded: everything that a file needs.
#[derive(Debug)]
pub struct Rendered {
    /// What was rendered.
    pub plan: Plan,
    /// The segments in order of showing.
    pub segments: Vec<Arc<EncodedSegment>>,
    /// How many distinct segments there are.
    pub distinct: usize,
    /// How many of them had to be encoded; the others were found.
    pub new: usize,
    /// The sound, coded as the plan says.
    pub sound: Arc<SoundTrack>,
    /// BCP 47 tag of the sound's language.
    pub locale: String,
    /// Frames of the whole video.
    pub frames: u32,
}

impl Rendered {
    /// How many distinct segments were found, encoded before.
    pub fn reused(&self) -> usize {
        self.distinct - self.new
    }

    /// Writes an MP4 file with its index first, and reads back that it holds what it should.
    ///
    /// The file is written under another name in the same folder and takes its own only when it is complete, so
    /// that nothing half-written ever stands under `path`. Returns the file's length in bytes.
    ///
    /// # Errors
    /// A file system that refuses; a check that fails.
    pub fn write_mp4(&self, path: &Path) -> Result<u64, RenderError> {
        let segments: Vec<&EncodedSegment> = self.segments.iter().map(Arc::as_ref).collect();
        let movie = Movie {
            profile: self.plan.profile,
            segments: &segments,
            audio: Some(self.aac()?),
            locale: &self.locale,
        };
        write_whole(
            path,
            |out| match mp4::write(&movie, out) {
                Ok(()) => Ok(()),
                Err(Mp4Error::Io(error)) => {
                    Err(RenderError::io(format!("cannot write {}", path.display()), error))
                }
                Err(error) => Err(RenderError::Check(error.to_string())),
            },
            |bytes| self.check(bytes),
        )
    }

    /// Writes an MP4 file of fragments, one for each segment, and reads back that it holds what it should; otherwise as
    /// [`write_mp4`](Self::write_mp4). Who sends a video while it is still being made uses [`Fragmented`] itself.
    ///
    /// # Errors
    /// A file system that refuses; a check that fails.
    pub fn write_fragmented(&self, path: &Path) -> Result<u64, RenderError> {
        let config = self.segments.first().map(|segment| segment.config.as_slice()).unwrap_or_default();
        let aac = self.aac()?;
        let put = |out: &mut BufWriter<fs::File>, bytes: &[u8]| {
            out.write_all(bytes)
                .map_err(|error| RenderError::io(format!("cannot write {}", path.display()), error))
        };
        write_whole(
            path,
            |out| {
                let (mut file, header) =
                    Fragmented::begin(self.plan.profile, config, Some(aac), &self.locale, self.frames);
                put(out, &header)?;
                for segment in &self.segments {
                    put(out, &file.segment(segment).map_err(folder::fault)?)?;
                }
                put(out, &file.end().map_err(folder::fault)?)
            },
            |bytes| self.check_fragments(bytes),
        )
    }

    /// Writes a WebM file with its index first, and reads back that it holds what it should; otherwise as
    /// [`write_mp4`](Self::write_mp4).
    ///
    /// # Errors
    /// Pictures that are neither VP9 nor AV1, sound that is not Opus; a file system that refuses; a check that fails.
    pub fn write_webm(&self, path: &Path) -> Result<u64, RenderError> {
        let segments: Vec<&EncodedSegment> = self.segments.iter().map(Arc::as_ref).collect();
        let opus = self.sound.opus().ok_or_else(|| {
            RenderError::Check("WebM holds sound as Opus, and this was planned as AAC".into())
        })?;
        let movie = webm::Movie {
            profile: self.plan.profile,
            segments: &segments,
            audio: Some(opus),
            locale: &self.locale,
        };
        write_whole(
            path,
            |out| match webm::write(&movie, out) {
                Ok(()) => Ok(()),
                Err(WebmError::Io(error)) => {
                    Err(RenderError::io(format!("cannot write {}", path.display()), error))
                }
                Err(error) => Err(RenderError::Check(error.to_string())),
            },
            |bytes| self.check_webm(bytes),
        )
    }

    /// The sound for MP4 and HLS.
    fn aac(&self) -> Result<&AacTrack, RenderError> {
        self.sound.aac().ok_or_else(|| {
            RenderError::Check("MP4 and HLS hold sound as AAC, and this was planned as Opus".into())
        })
    }

    /// Writes an HLS presentation of this one size into `folder`, with `captions` if there are any; see
    /// [`write_hls`](folder::write_hls), which also takes several sizes. Returns the bytes of all its files.
    ///
    /// # Errors
    /// A file system that refuses; a check that fails.
    pub fn write_hls(&self, folder: &Path, captions: &[Cue]) -> Result<u64, RenderError> {
        let profile = self.plan.profile;
        let name = format!("v{}", profile.width.min(profile.height));
        write_hls(folder, &[(name, self)], captions)
    }

    /// Whether a file of fragments adds up to what was rendered.
    fn check_fragments(&self, file: &[u8]) -> Result<(), RenderError> {
        let tracks = facts::read_facts(file).map_err(|damage| RenderError::Check(damage.to_string()))?;
        let rate = self.plan.profile.frame_rate;
        let (mut pictures, mut sound) = (None, None);
        for track in &tracks {
            match track.kind {
                Kind::Video => pictures = Some((track.samples, track.ticks)),
                Kind::Audio => sound = Some(track.played()),
            }
        }
        let expected = (u64::from(self.frames), u64::from(self.frames) * u64::from(rate.den()));
        if pictures != Some(expected) {
            return Err(RenderError::Check(format!(
                "frames and ticks of pictures are {pictures:?} instead of {expected:?}"
            )));
        }
        if sound != Some(self.sound.length()) {
            return Err(RenderError::Check(format!(
                "{sound:?} samples of sound instead of {}",
                self.sound.length()
            )));
        }
        Ok(())
    }

    /// Whether a WebM file's own index agrees with what was rendered. Its times are whole milliseconds.
    fn check_webm(&self, file: &[u8]) -> Result<(), RenderError> {
        let facts = webm::read_facts(file)
            .ok_or_else(|| RenderError::Check("its index cannot be read, or blocks are missing".into()))?;
        let rate = self.plan.profile.frame_rate;
        let milliseconds = f64::from(self.frames) * 1000.0 * f64::from(rate.den()) / f64::from(rate.num());
        if facts.frames != u64::from(self.frames) {
            return Err(RenderError::Check(format!("{} frames instead of {}", facts.frames, self.frames)));
        }
        if facts.audio_samples != Some(self.sound.length()) {
            return Err(RenderError::Check(format!(
                "{:?} samples of sound instead of {}",
                facts.audio_samples,
                self.sound.length()
            )));
        }
        if (facts.duration - milliseconds).abs() > 1.0 {
            return Err(RenderError::Check(format!("{} ms instead of {milliseconds:.3}", facts.duration)));
        }
        Ok(())
    }

    /// Whether a file's own index agrees with what was rendered.
    fn check(&self, file: &[u8]) -> Result<(), RenderError> {
        let facts = mp4::read_facts(file)
            .ok_or_else(|| RenderError::Check("its index cannot be read, or samples are missing".into()))?;
        let rate = self.plan.profile.frame_rate;
        let timescale = u64::from(mp4::MOVIE_TIMESCALE);
        let expected = u64::from(self.frames) * u64::from(rate.den()) * timescale / u64::from(rate.num());
        if facts.frames != u64::from(self.frames) {
            return Err(RenderError::Check(format!("{} frames instead of {}", facts.frames, self.frames)));
        }
        if facts.video_ticks != expected {
            return Err(RenderError::Check(format!(
                "{} ticks of pictures instead of {expected}",
                facts.video_ticks
            )));
        }
        let frame = timescale * u64::from(rate.den()) / u64::from(rate.num());
        if facts.audio_ticks.is_some_and(|ticks| ticks.abs_diff(expected) > frame) {
            return Err(RenderError::Check(
                "sound and pictures differ in length by more than a frame".into(),
            ));
        }
        Ok(())
    }
}

/// Writes an HLS presentation of several sizes of one video, each with the name of its folder, into `folder`; players begin with the
/// first. Returns the bytes of all its files.
///
/// # Errors
/// A file system that refuses; a check that fails.
pub fn write_hls(folder: &Path, sizes: &[(String, &Rendered)], captions: &[Cue]) -> Result<u64, RenderError> {
    let Some((_, first)) = sizes.first() else { return Ok(0) };
    let rungs: Vec<HlsRung<'_>> = sizes
        .iter()
        .map(|(name, size)| HlsRung { name, plan: &size.plan, segments: &size.segments })
        .collect();
    let movie = HlsMovie { rungs: &rungs, audio: Some(first.aac()?), captions, locale: &first.locale };
    folder::write_hls(folder, &movie)
}

/// Writes a file as a whole or not at all: under a name of its own beside `path`, checked, then renamed.
/// Returns its length in bytes.
///
/// # Errors
/// What the file system, `fill` or `check` says; then nothing is left behind.
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<fs::File>) -> Result<(), RenderError>,
    check: impl FnOnce(&[u8]) -> Result<(), RenderError>,
) -> Result<u64, RenderError> {
    let io =
        |operation: &str, source| RenderError::io(format!("cannot {operation} {}", path.display()), source);
    let (partial, file) = Partial::create(path)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    fill(&mut out)?;
    out.flush().map_err(|error| io("write", error))?;
    let file = out.into_inner().map_err(|error| io("write", error.into_error()))?;
    // The name is given only to bytes that are on the disk.
    file.sync_all().map_err(|error| io("write", error))?;
    drop(file);
    let written = fs::read(&partial.0).map_err(|error| io("read back", error))?;
    check(&written)?;
    fs::rename(&partial.0, path).map_err(|error| io("name", error))?;
    Ok(written.len() as u64)
}

/// The files that are being written, for [`discard_partial`]; nothing once it was called.
static PARTIALS: Mutex<Option<BTreeSet<PathBuf>>> = Mutex::new(Some(BTreeSet::new()));

/// Removes every file that is being written and lets no other be begun: for a process that ends at once,
/// without coming back to where these files are removed otherwise.
pub fn discard_partial() {
    let mut partials = PARTIALS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for path in partials.take().into_iter().flatten() {
        let _ = fs::remove_file(path);
    }
}

/// A file that is removed unless it was renamed.
struct Partial(PathBuf);

impl Partial {
    /// A new file beside `path`. Its name does not hold that of `path`, which may be as long as names can be.
    fn create(path: &Path) -> Result<(Self, fs::File), RenderError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let own = path.with_file_name(format!(".vignette-{}-{number}.part", std::process::id()));
        // Locked until the file is there, so that it is either removed or not begun.
        let mut partials = PARTIALS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Some(open) = partials.as_mut() else { return Err(RenderError::Cancelled) };
        let file = fs::File::create(&own)
            .map_err(|error| RenderError::io(format!("cannot create {}", path.display()), error))?;
        open.insert(own.clone());
        Ok((Partial(own), file))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.0);
        if let Some(open) = PARTIALS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).as_mut() {
            open.remove(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("video.mp4");
        let refused = write_whole(&path, |_| Ok(()), |_| Err(RenderError::Check("no".into())));
        assert!(refused.is_err());
        let failed = write_whole(&path, |_| Err(RenderError::Cancelled), |_| Ok(()));
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let fill = |out: &mut BufWriter<fs::File>| {
            out.write_all(b"abc").map_err(|error| RenderError::io("write", error))
        };
        assert_eq!(write_whole(&path, fill, |_| Ok(())).unwrap(), 3);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // The longest name that file systems know.
        let long = folder.path().join("x".repeat(255));
        assert_eq!(write_whole(&long, fill, |_| Ok(())).unwrap(), 3);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
