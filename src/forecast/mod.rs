//! What a batch would come to, before anything is rendered.
//!
//! ```text
//! rows ── plan (all cores) ──► segment keys, faults, texts ──► tally ──► calibrate (a few segments) ──► Forecast
//! ```
//!
//! Every row is filled and planned: its segments are counted by their names, so that what many viewers share is counted
//! once. Nothing is decoded, composed or encoded for that. Then a few segments, drawn at random, are rendered to learn what a
//! frame costs.

mod calibrate;
mod stand_in;
mod tally;
mod texts;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::audience::{Audience, AudienceError, Row, assign};
use crate::renderer::encode::VideoProfile;
use crate::renderer::render::RenderOptions;
use crate::{Engine, Error, Template, Unspoken};

use self::stand_in::StandIns;
use self::tally::{Outcome, Planned, Tally};
use self::texts::Texts;

pub use self::calibrate::{Cost, Range};
pub use self::tally::{FaultGroup, WorstRow};

/// How many distinct segments are told apart before the forecast ends: their names take up to 4 GB then.
pub const MAX_SEGMENTS: u64 = 50_000_000;

/// Rows that go to a worker together.
const CHUNK: usize = 64;

/// What is forecast.
#[derive(Clone, Debug)]
pub struct ForecastOptions {
    /// The rendition of all videos. Default: the canvas itself.
    pub rendition: Option<String>,
    /// Constant rate factor of x264, which is part of a segment's name. Default: [`VideoProfile::DEFAULT_QUALITY`].
    pub quality: u8,
    /// Values that are put over those of every row, as [`assign`] reads them. Default: none.
    pub set: Vec<(String, String)>,
    /// Only so many rows from the first. Default: all.
    pub limit: Option<u64>,
    /// Rows that are planned at a time. Default: one for each core.
    pub workers: usize,
    /// How many segments that are watched once, and how many that are watched more often, are rendered to learn what they
    /// cost; 0 renders nothing. Default: 3.
    pub samples: usize,
    /// Takes the estimated length of what is spoken even where it decides what is seen; otherwise it is spoken then.
    /// Default: false.
    pub estimate_voices: bool,
    /// How many distinct segments are told apart before the forecast ends. Default: [`MAX_SEGMENTS`].
    pub max_segments: u64,
}

impl Default for ForecastOptions {
    fn default() -> Self {
        ForecastOptions {
            rendition: None,
            quality: VideoProfile::DEFAULT_QUALITY,
            set: Vec::new(),
            limit: None,
            workers: RenderOptions::default().workers,
            samples: 3,
            estimate_voices: false,
            max_segments: MAX_SEGMENTS,
        }
    }
}

/// What a caller may watch and decide while a forecast is made. Called from several threads.
pub trait Watch: Sync {
    /// So many rows were planned.
    fn progress(&self, _rows: u64) {}
    /// Segments are rendered to learn what they cost.
    fn calibrating(&self) {}
    /// Whether to stop.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing and never stops.
impl Watch for () {}

/// What takes the place of speech and pictures that a forecast does not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voices {
    /// The template has none.
    None,
    /// They were not spoken: what is seen does not depend on them.
    NotNeeded,
    /// They were not spoken although what is seen depends on their length, which was estimated by their letters: all
    /// figures are estimates.
    Estimated,
    /// They were spoken, since what is seen depends on their length.
    Spoken,
}

/// Segments of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// How many that differ.
    pub distinct: u64,
    /// How many frames those have.
    pub frames: u64,
    /// How many frames of this kind are watched by all viewers together.
    pub frames_watched: u64,
}

/// What a batch would come to.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// Rows that were looked at.
    pub rows: u64,
    /// Viewers whose video can be planned.
    pub viewers: u64,
    /// Rows that fail.
    pub failed: u64,
    /// Whether there were more rows, but [`ForecastOptions::max_segments`] was reached.
    pub cut_short: bool,
    /// What all viewers watch together, in seconds.
    pub seconds_watched: f64,
    /// Segments that are watched more than once: by several viewers, or twice in one video.
    pub shared: Segments,
    /// Segments that are watched once.
    pub single: Segments,
    /// What became of the voices.
    pub voices: Voices,
    /// Whether generated pictures were counted by what is asked for: two that are asked for in other words or with another seed
    /// count as different.
    pub pictures_by_request: bool,
    /// What it would cost; `None` where nothing was rendered.
    pub cost: Option<Cost>,
    /// Why nothing could be rendered, or not all that was to be.
    pub uncalibrated: Option<String>,
    /// Why rows fail, the most frequent reason first.
    pub faults: Vec<FaultGroup>,
    /// The rows whose texts fit worst, the worst first, ten at most.
    pub worst: Vec<WorstRow>,
    /// How long planning took.
    pub took: Duration,
}

impl Forecast {
    /// Segments that differ.
    pub fn distinct(&self) -> u64 {
        self.shared.distinct + self.single.distinct
    }

    /// Frames that are encoded when each segment is encoded once.
    pub fn frames_to_encode(&self) -> u64 {
        self.shared.frames + self.single.frames
    }

    /// Frames that all viewers watch together.
    pub fn frames_watched(&self) -> u64 {
        self.shared.frames_watched + self.single.frames_watched
    }

    /// How many times a frame is watched for each time it is encoded; 1 when there is none.
    pub fn reuse(&self) -> f64 {
        match self.frames_to_encode() {
            0 => 1.0,
            frames => self.frames_watched() as f64 / frames as f64,
        }
    }
}

/// Plans every row of `audience` and renders a few segments of them.
///
/// Memory grows with the number of distinct segments only, by some 45 to 85 bytes for each. `None` when the watcher wanted it
/// to stop.
///
/// # Errors
/// An audience that cannot be read; a rendition that there is not.
pub fn forecast(
    engine: &Engine,
    template: &Template,
    audience: &Audience,
    options: &ForecastOptions,
    watch: &dyn Watch,
) -> Result<Option<Forecast>, Error> {
    template.check_rendition(options.rendition.as_deref())?;
    let begun = Instant::now();
    let stand_ins = StandIns::new(engine, template, options.estimate_voices);
    let planning = Planning {
        engine,
        template,
        options,
        watch,
        stand_ins: &stand_ins,
        texts: Texts::default(),
        tally: Mutex::new(Tally::new(options)),
    };
    planning.plan_all(audience)?;
    let took = begun.elapsed();
    let tally = planning.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    if watch.cancelled() {
        return Ok(None);
    }
    let mut forecast = tally.forecast(stand_ins.voices(), stand_ins.pictures_by_request(), took);
    let samples = tally.into_samples();
    if !samples.is_empty() {
        watch.calibrating();
        let subject = calibrate::Subject { engine, template, options, watch };
        (forecast.cost, forecast.uncalibrated) = subject.cost(&forecast, &samples);
    }
    Ok((!watch.cancelled()).then_some(forecast))
}

/// A forecast under way.
struct Planning<'a> {
    engine: &'a Engine,
    template: &'a Template,
    options: &'a ForecastOptions,
    watch: &'a dyn Watch,
    stand_ins: &'a StandIns<'a>,
    texts: Texts,
    tally: Mutex<Tally>,
}

impl Planning<'_> {
    /// Plans all rows: one thread reads them, the others plan them chunk by chunk.
    fn plan_all(&self, audience: &Audience) -> Result<(), AudienceError> {
        let workers = self.options.workers.max(1);
        std::thread::scope(|scope| {
            let (sender, chunks) = sync_channel(workers * 2);
            let chunks = Arc::new(Mutex::new(chunks));
            for _ in 0..workers {
                let chunks = chunks.clone();
                scope.spawn(move || self.work(&chunks));
            }
            // Held by the workers alone, so that sending fails once they are gone.
            drop(chunks);
            self.read(audience, &sender)
        })
    }

    fn read(&self, audience: &Audience, chunks: &SyncSender<Vec<Row>>) -> Result<(), AudienceError> {
        let limit =
            self.options.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut rows = audience.rows()?.take(limit);
        loop {
            let chunk: Vec<Row> = rows.by_ref().take(CHUNK).collect::<Result<_, _>>()?;
            if chunk.is_empty() || self.watch.cancelled() {
                return Ok(());
            }
            let mut tally = self.lock();
            if tally.is_full() {
                tally.cut_short = true;
                return Ok(());
            }
            drop(tally);
            if chunks.send(chunk).is_err() {
                return Ok(());
            }
        }
    }

    fn work(&self, chunks: &Mutex<Receiver<Vec<Row>>>) {
        let mut seen = texts::Seen::default();
        loop {
            let chunk = chunks.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(chunk) = chunk else { return };
            let rows = chunk.into_iter().map(|row| {
                let outcome = catch_unwind(AssertUnwindSafe(|| self.plan(&row, &mut seen)))
                    .unwrap_or_else(|_| Outcome::Failed(vec!["planning the row panicked".to_owned()]));
                (row, outcome)
            });
            let rows: Vec<(Row, Outcome)> = rows.collect();
            let mut tally = self.lock();
            rows.into_iter().for_each(|(row, outcome)| tally.add(row, outcome));
            let done = tally.rows();
            drop(tally);
            self.watch.progress(done);
        }
    }

    fn plan(&self, row: &Row, seen: &mut texts::Seen) -> Outcome {
        match self.planned(row, seen) {
            Ok(planned) => Outcome::Planned(planned),
            Err(error) => Outcome::Failed(tally::patterns(&error)),
        }
    }

    fn planned(&self, row: &Row, seen: &mut texts::Seen) -> Result<Planned, Error> {
        let schema = self.template.data_schema();
        let value = row.value(schema).map_err(Error::Input)?;
        let data = self.template.data("the row", assign(value, &self.options.set, schema))?;
        let rendition = self.options.rendition.as_deref();
        let answer = |requests: &[_]| self.stand_ins.answer(requests);
        let video = self
            .engine
            .personalise_by(self.template, &data, rendition, Unspoken::Refused, &answer)?
            .value
            .video;
        let fonts = self.engine.fonts_of(self.template, &video)?;
        let plan = crate::renderer::plan::plan(&video, &fonts, self.options.quality);
        let worst = self.texts.worst_of(&video, &fonts, seen);
        Ok(Planned { seconds: video.duration().as_seconds(), segments: plan.segments, worst })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tally> {
        // Every row is added whole or not at all as far as anyone sees: adding does not panic.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
