//! One viewer's video, filled and planned: what its playlists tell, before anything is rendered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use vignette_renderer::encode::{EncoderId, VideoProfile};
use vignette_renderer::package::cmaf::{
    AudioTiming, audio_name, init_audio_name, init_video_name, video_name,
};
use vignette_renderer::package::hls::{BitRates, Captions, Presentation, Rung, Sound, Variant, ladder};
use vignette_renderer::package::webvtt::to_webvtt;
use vignette_renderer::plan::{Plan, Segment};
use vignette_templates::blob::Digest;
use vignette_templates::fault::Fault;
use vignette_templates::video::Video;

use crate::catalog::Version;
use crate::workshop::{Filled, Opened, Remembered};

/// Where players find media, whoever's link they follow.
pub const MEDIA_BASE: &str = "/s/";

/// A filled video with its plans and playlists.
pub struct Viewing {
    /// Names it in this process; tells nothing of the viewer.
    pub id: Digest,
    /// The template that it was filled from.
    pub template: Arc<dyn Opened>,
    /// Which version that was, where versions are kept: those of the gallery are not.
    pub version: Option<String>,
    /// The video.
    pub video: Video,
    /// What its maker should know.
    pub warnings: Vec<Fault>,
    /// Its sizes, smallest first, each with its plan.
    pub sizes: Vec<Size>,
    /// Playlists and captions by their path below the link.
    pub files: BTreeMap<String, Bytes>,
    /// The captions as WebVTT.
    pub captions: Bytes,
    /// What was generated for it.
    pub generated: Vec<Remembered>,
    /// The store's names for what was found out about its files.
    pub findings: Vec<Digest>,
    over: AtomicBool,
    /// Whether what a player needs first is there.
    open: AtomicBool,
    clock: Mutex<Clock>,
}

/// The clock of the player that is farthest, as far as its requests tell.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// When the first frame was shown, or would have been by a player that began later in the video.
    from: Option<Instant>,
    /// The size that was last asked for.
    size: usize,
    /// When its player was let in.
    entered: Option<Instant>,
    /// How much later than at once it is to begin.
    late: Duration,
}

/// A player asks for segments at most so long before it shows them; a request for a later one is a jump.
const BUFFER: Duration = Duration::from_secs(40);
/// A segment of the smallest size takes about as long to make.
const SOON: Duration = Duration::from_millis(400);
/// A player that was let in asks for its first segment within that time.
const BEGINNING: Duration = Duration::from_secs(2);
/// Who is later than this has paused, or is another player.
const LATE: Duration = Duration::from_secs(3);

/// One size of a video.
pub struct Size {
    /// Its name, e.g. `v720`.
    pub name: String,
    /// Its segments.
    pub plan: Plan,
}

/// What a media file's name stands for in a viewing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The header of this size's pictures.
    PictureHeader(usize),
    /// A segment: size, and its number in the plan.
    Picture(usize, usize),
    /// The header of the sound.
    SoundHeader,
    /// A part of the sound: its first and last access unit, and one past it.
    Sound(usize, usize),
}

impl Viewing {
    /// Plans `filled` in the sizes that its canvas is large enough for, and writes its playlists.
    pub fn plan(id: Digest, from: Version, filled: Filled) -> Viewing {
        let (template, video) = (from.opened, filled.video.value);
        let version = Some(from.version).filter(|_| !from.gallery);
        let canvas = video.canvas;
        let mut rungs = ladder(canvas.width, canvas.height, VideoProfile::DEFAULT_QUALITY);
        // Players begin with the first size they read of: the smallest starts soonest.
        rungs.reverse();
        let size = |rung: Rung| {
            let Rung { name, width, height, quality } = rung;
            let profile = VideoProfile {
                width,
                height,
                frame_rate: canvas.frame_rate,
                quality,
                encoder: EncoderId::default(),
            };
            Size { name, plan: template.plan(&video, profile) }
        };
        let sizes: Vec<Size> = rungs.into_iter().map(size).collect();
        let variants =
            sizes.iter().map(|size| Variant::planned(&size.name, &size.plan, estimate(&size.plan.profile)));
        let audio = sizes.first().map(|size| size.plan.audio);
        let presentation = Presentation {
            variants: variants.collect(),
            sound: audio.map(|key| Sound::planned(key, video.duration(), &video.locale)),
            captions: Captions::new(&video.captions, &video.locale, video.duration()),
        };
        let files = presentation.files(Some(MEDIA_BASE)).into_iter();
        let files = files.map(|(path, text)| (path, Bytes::from(text))).collect();
        let captions = to_webvtt(&video.captions).into();
        Viewing {
            id,
            template,
            version,
            warnings: filled.video.warnings,
            sizes,
            files,
            captions,
            video,
            generated: filled.generated,
            findings: filled.findings,
            over: AtomicBool::new(false),
            open: AtomicBool::new(false),
            clock: Mutex::default(),
        }
    }

    /// When the player that asks for this segment stands still unless it comes: now, for the first one and after a jump.
    pub fn due(&self, size: usize, number: usize) -> Instant {
        let (now, offset) = (Instant::now(), self.offset(size, number));
        let from = self.clock().from.filter(|_| number > 0);
        from.map(|from| from + offset).filter(|due| is_near(*due, now)).unwrap_or(now)
    }

    /// Its player may begin with this size, that much later than at once.
    pub fn enter(&self, size: usize, late: Duration) {
        let mut clock = self.clock();
        (clock.entered, clock.size, clock.late) = (Some(Instant::now()), size, late);
    }

    /// Whether its player was let in, and may still be playing.
    pub fn is_in(&self) -> bool {
        let length = self.length();
        self.clock().entered.is_some_and(|entered| entered.elapsed() < length + LATE)
    }

    /// Segments of the first size, behind its first one, that a player needs so soon after it began that asking for them then is too late.
    pub fn opening(&self) -> impl Iterator<Item = usize> {
        let count = self.sizes.first().map_or(0, |size| size.plan.segments.len());
        let soon = SOON + self.clock().late;
        (1..count).take_while(move |number| self.offset(0, *number) < soon)
    }

    /// They were made, or waited for long enough.
    pub fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// Whether a player was let in just now that needs such segments, and they are not known to be there.
    pub fn is_beginning(&self) -> bool {
        let lately = |entered: Instant| entered.elapsed() < BEGINNING;
        !self.open.load(Ordering::Relaxed)
            && self.clock().entered.is_some_and(lately)
            && self.opening().next().is_some()
    }

    /// A playlist was asked for: a player is about to begin.
    pub fn begins(&self) {
        let mut clock = self.clock();
        let (now, length) = (Instant::now(), self.length());
        if clock.from.is_none_or(|from| from + length + LATE < now) {
            clock.from = Some(now);
        }
    }

    /// A player has this segment now. What comes too late moves all that follows, as the player stood still meanwhile.
    pub fn delivered(&self, size: usize, number: usize) {
        let (now, offset) = (Instant::now(), self.offset(size, number));
        let mut clock = self.clock();
        let due = clock.from.map(|from| from + offset);
        if due.is_none_or(|due| due < now || !is_near(due, now)) {
            clock.from = now.checked_sub(offset);
        }
        clock.size = size;
    }

    /// Every segment that a player of this viewing will soon need in the size it plays, with the moment at which it shows it.
    pub fn ahead_of_player(&self, now: Instant) -> impl Iterator<Item = (Instant, VideoProfile, &Segment)> {
        let clock = *self.clock();
        self.played_from(clock.size, clock.from.unwrap_or(now)).filter(move |(due, ..)| is_near(*due, now))
    }

    /// Every segment of a size, with the moment at which a player shows it that shows the first frame at `begins`.
    pub fn played_from(
        &self,
        size: usize,
        begins: Instant,
    ) -> impl Iterator<Item = (Instant, VideoProfile, &Segment)> {
        self.sizes.get(size).into_iter().flat_map(move |known| {
            let segments = known.plan.segments.iter();
            segments
                .map(move |segment| (begins + self.time_of(segment.first_frame), known.plan.profile, segment))
        })
    }

    /// Width and height of the frames that are composed, whatever they are encoded in.
    pub fn canvas(&self) -> [u32; 2] {
        [self.video.canvas.width, self.video.canvas.height]
    }

    /// How long after the first frame a segment begins.
    fn offset(&self, size: usize, number: usize) -> Duration {
        let segment = self.sizes.get(size).and_then(|size| size.plan.segments.get(number));
        self.time_of(segment.map_or(0, |segment| segment.first_frame))
    }

    fn length(&self) -> Duration {
        self.time_of(self.video.frames())
    }

    fn time_of(&self, frames: u32) -> Duration {
        let rate = self.video.canvas.frame_rate;
        Duration::from_secs(1) * frames * rate.den() / rate.num()
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing more is made of it.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether nothing more is made of it.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Every media file that the playlists name, with what it stands for.
    pub fn names(&self) -> Vec<(String, Place)> {
        let mut names = Vec::new();
        for (number, size) in self.sizes.iter().enumerate() {
            names.push((init_video_name(&size.plan.profile), Place::PictureHeader(number)));
            for segment in &size.plan.segments {
                let name = video_name(segment.key, segment.first_frame);
                names.push((name, Place::Picture(number, segment.index)));
            }
        }
        if let Some(key) = self.sound() {
            names.push((init_audio_name(key), Place::SoundHeader));
            for units in AudioTiming::planned(self.video.duration()).segments() {
                names.push((audio_name(key, units.start), Place::Sound(units.start, units.end)));
            }
        }
        names
    }

    /// Names the sound, which all sizes share.
    pub fn sound(&self) -> Option<Digest> {
        self.sizes.first().map(|size| size.plan.audio)
    }

    /// The number of the largest size, which files are made in.
    pub fn largest(&self) -> usize {
        self.sizes.len().saturating_sub(1)
    }

    /// Names a file of this size by everything that it is put together from.
    pub fn file_name(&self, size: usize, kind: &str) -> Option<String> {
        let plan = &self.sizes.get(size)?.plan;
        let mut hasher = blake3::Hasher::new_derive_key("vignette file v1");
        hasher.update(kind.as_bytes()).update(&[0]).update(self.video.locale.as_bytes()).update(&[0]);
        hasher.update(init_video_name(&plan.profile).as_bytes()).update(&plan.audio.0);
        for segment in &plan.segments {
            hasher.update(&segment.key.digest().0);
        }
        Some(format!("{}.{kind}", Digest(*hasher.finalize().as_bytes())))
    }
}

/// Whether a player that goes on as it did may show at `due` what it asks for now.
fn is_near(due: Instant, now: Instant) -> bool {
    due + LATE >= now && due <= now + BUFFER
}

/// What pictures of this profile come to, before they are encoded: a twentieth of a bit for each pixel, more where much moves.
fn estimate(profile: &VideoProfile) -> BitRates {
    let pixels = f64::from(profile.width) * f64::from(profile.height) * profile.frame_rate.as_f64();
    BitRates { peak: (pixels * 0.125) as u64 + 1000, average: (pixels * 0.05) as u64 + 500 }
}
