//! What a frame costs, learnt from a few segments that are rendered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::tally::Sample;
use super::{Forecast, ForecastOptions, Watch};
use crate::audience::{Row, assign};
use crate::renderer::audio;
use crate::renderer::compose::Composition;
use crate::renderer::encode::{EncoderId, SegmentEncoder, VideoProfile};
use crate::renderer::error::{Place, RenderError};
use crate::renderer::plan::{Segment, plan};
use crate::templates::video::Video;
use crate::{Engine, Error, Template};

/// A figure that was measured several times.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// The least.
    pub low: f64,
    /// All together, each weighted by what it measured.
    pub mean: f64,
    /// The greatest.
    pub high: f64,
}

/// What a batch would cost, by the segments that were rendered.
///
/// CPU times are those of this machine, all threads together. Segments that are rendered alone cost a little more than one after
/// another. Sums are over all viewers, with their lowest and highest by the lowest and highest that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// How many segments and viewers were measured.
    pub measured: (usize, usize),
    /// Seconds of CPU that a frame of a segment that is watched more than once takes to compose and encode.
    pub shared_frame: Range,
    /// The same of a segment that is watched once.
    pub single_frame: Range,
    /// Seconds of CPU that each viewer takes besides: filling, speech, opening files, sound.
    pub viewer: Range,
    /// Bytes that a frame of a segment that is watched more than once takes.
    pub shared_frame_bytes: Range,
    /// The same of a segment that is watched once.
    pub single_frame_bytes: Range,
    /// Bytes that a second of sound takes.
    pub sound_bytes: Range,
    /// Seconds of CPU when each segment is encoded once.
    pub cpu: Range,
    /// Bytes of all distinct segments and of every viewer's sound.
    pub bytes_kept: Range,
    /// Bytes of a file for each viewer.
    pub bytes_as_files: Range,
}

/// What is measured on.
pub(super) struct Subject<'a> {
    pub engine: &'a Engine,
    pub template: &'a Template,
    pub options: &'a ForecastOptions,
    pub watch: &'a dyn Watch,
}

/// One measurement: what it took, and of how much.
#[derive(Clone, Copy)]
struct Measured {
    amount: f64,
    of: f64,
}

/// One of two figures that were measured together.
type Pick = fn(&(Measured, Measured)) -> Measured;

/// A segment that takes less CPU than this is rendered again, since the system counts in ticks of 10 ms.
const SHORTEST: Duration = Duration::from_millis(300);
/// A segment is rendered so many times at most.
const MOST_TURNS: u32 = 30;

impl Subject<'_> {
    /// What the forecast's batch would cost by these samples, and why some of them could not be rendered, if so.
    pub(super) fn cost(&self, forecast: &Forecast, samples: &[Sample]) -> (Option<Cost>, Option<String>) {
        let mut frames: [Vec<(Measured, Measured)>; 2] = Default::default();
        let (mut viewers, mut sounds) = (Vec::new(), Vec::new());
        let mut trouble = None;
        let mut rows: Vec<&Arc<Row>> = Vec::new();
        for sample in samples {
            if !rows.iter().any(|row| row.number() == sample.row.number()) {
                rows.push(&sample.row);
            }
        }
        for row in rows {
            if self.watch.cancelled() {
                return (None, None);
            }
            let outcome = self.viewer(row, |video, composition, segments| {
                for sample in samples.iter().filter(|sample| sample.row.number() == row.number()) {
                    // Where lengths were estimated, the real video may have fewer segments.
                    let Some(segment) = segments.get(sample.index) else { continue };
                    let (time, bytes) = self.segment(video, composition, segment)?;
                    let of = f64::from(segment.range.len());
                    let kind = &mut frames[usize::from(sample.shared)];
                    kind.push((Measured { amount: time, of }, Measured { amount: bytes as f64, of }));
                }
                Ok(())
            });
            match outcome {
                Ok((time, sound)) => {
                    viewers.push(Measured { amount: time, of: 1.0 });
                    sounds.push(sound);
                }
                Err(error) => {
                    trouble.get_or_insert_with(|| format!("row {}: {}", row.number(), error.with_causes()));
                }
            }
        }
        if viewers.len() > 1 {
            // The first one speaks what all viewers hear, and opens what all see.
            viewers.remove(0);
        }
        let [single, shared] = frames;
        let measured = (shared.len() + single.len(), viewers.len());
        let needed = [(forecast.shared.frames, &shared), (forecast.single.frames, &single)];
        if needed.iter().any(|(frames, measured)| *frames > 0 && measured.is_empty()) || viewers.is_empty() {
            return (None, trouble.or_else(|| Some("no segment could be rendered".to_owned())));
        }
        let range = |list: &[(Measured, Measured)], pick: fn(&(Measured, Measured)) -> Measured| {
            Range::of(&list.iter().map(pick).collect::<Vec<_>>())
        };
        let (time, size): (Pick, Pick) = (|both| both.0, |both| both.1);
        let (shared_frame, single_frame) = (range(&shared, time), range(&single, time));
        let (shared_frame_bytes, single_frame_bytes) = (range(&shared, size), range(&single, size));
        let (viewer, sound_bytes) = (Range::of(&viewers), Range::of(&sounds));
        let sound = sound_bytes.times(forecast.seconds_watched);
        let frames = |shared: u64, single: u64, of: [Range; 2]| {
            of[0].times(shared as f64).plus(of[1].times(single as f64))
        };
        let Forecast { shared, single, .. } = forecast;
        let bytes = [shared_frame_bytes, single_frame_bytes];
        let cost = Cost {
            measured,
            shared_frame,
            single_frame,
            viewer,
            shared_frame_bytes,
            single_frame_bytes,
            sound_bytes,
            cpu: frames(shared.frames, single.frames, [shared_frame, single_frame])
                .plus(viewer.times(forecast.viewers as f64)),
            bytes_kept: frames(shared.frames, single.frames, bytes).plus(sound),
            bytes_as_files: frames(shared.frames_watched, single.frames_watched, bytes).plus(sound),
        };
        (Some(cost), trouble)
    }

    /// Makes one viewer's video as far as it is made for this viewer alone: what that takes, and the sound. `then` gets it to go
    /// on with, whose time does not count.
    fn viewer(
        &self,
        row: &Row,
        then: impl FnOnce(&Video, &Arc<Composition>, &[Segment]) -> Result<(), Error>,
    ) -> Result<(f64, Measured), Error> {
        let clock = Clock::start();
        let schema = self.template.data_schema();
        let value = assign(row.value(schema).map_err(Error::Input)?, &self.options.set, schema);
        let data = self.template.data("the row", value)?;
        let rendition = self.options.rendition.as_deref();
        let video = self.engine.personalise(self.template, &data, rendition)?.value;
        let fonts = self.engine.fonts_of(self.template, &video)?;
        let segments = plan(&video, &fonts, self.options.quality).segments;
        let (composition, _) = Composition::prepare(&video, &self.template.media, &fonts)?;
        let cancelled = || self.watch.cancelled();
        let programme = audio::programme(&video, &cancelled).map_err(RenderError::from)?;
        let track = audio::encode_aac(&programme)
            .map_err(|source| RenderError::Media { place: Place::asset("audio"), source })?;
        let time = clock.seconds();
        let bytes: usize = track.samples.iter().map(|sample| sample.len()).sum();
        then(&video, &Arc::new(composition), &segments)?;
        Ok((time, Measured { amount: bytes as f64, of: video.duration().as_seconds() }))
    }

    /// Renders one segment: seconds of CPU and bytes.
    fn segment(
        &self,
        video: &Video,
        composition: &Arc<Composition>,
        segment: &Segment,
    ) -> Result<(f64, usize), Error> {
        let canvas = video.canvas;
        let profile = VideoProfile {
            width: canvas.width,
            height: canvas.height,
            frame_rate: canvas.frame_rate,
            quality: self.options.quality,
            encoder: EncoderId::default(),
        };
        let clock = Clock::start();
        let (mut turns, mut bytes) = (0, 0);
        while turns == 0 || (turns < MOST_TURNS && clock.seconds() < SHORTEST.as_secs_f64()) {
            let mut composer = composition.composer();
            let mut encoder =
                SegmentEncoder::start(profile, segment.range.len()).map_err(RenderError::from)?;
            for frame in segment.range.start..segment.range.end {
                if self.watch.cancelled() {
                    return Err(RenderError::Cancelled.into());
                }
                encoder.push(&*composer.frame(segment.scene, frame)?).map_err(RenderError::from)?;
            }
            let encoded = encoder.finish().map_err(RenderError::from)?;
            bytes = encoded.units.iter().map(|unit| unit.data.len()).sum();
            turns += 1;
        }
        Ok((clock.seconds() / f64::from(turns), bytes))
    }
}

impl Range {
    fn of(measured: &[Measured]) -> Range {
        let each = || measured.iter().filter(|one| one.of > 0.0).map(|one| one.amount / one.of);
        let (amount, of) = measured.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.amount, sum.1 + one.of));
        if of <= 0.0 {
            return Range::default();
        }
        Range {
            low: each().fold(f64::INFINITY, f64::min),
            mean: amount / of,
            high: each().fold(0.0, f64::max),
        }
    }

    fn times(self, factor: f64) -> Range {
        Range { low: self.low * factor, mean: self.mean * factor, high: self.high * factor }
    }

    fn plus(self, other: Range) -> Range {
        Range { low: self.low + other.low, mean: self.mean + other.mean, high: self.high + other.high }
    }
}

/// Counts CPU time of this process and of the programs that it ran to their end; time as it passes where the system does not
/// tell.
struct Clock {
    cpu: Option<Duration>,
    wall: Instant,
}

impl Clock {
    fn start() -> Self {
        Clock { cpu: cpu_time(), wall: Instant::now() }
    }

    fn seconds(&self) -> f64 {
        match (self.cpu, cpu_time()) {
            (Some(start), Some(now)) => now.saturating_sub(start).as_secs_f64(),
            _ => self.wall.elapsed().as_secs_f64(),
        }
    }
}

/// proc(5), fields 14 to 17 of `stat`, which counts in ticks of 1/100 s on every Linux that this runs on.
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: Option<Vec<u64>> = fields.get(11..15)?.iter().map(|field| field.parse().ok()).collect();
    Some(Duration::from_millis(ticks?.iter().sum::<u64>() * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_weigh_by_what_was_measured() {
        let measured = [Measured { amount: 10.0, of: 10.0 }, Measured { amount: 90.0, of: 30.0 }];
        let range = Range::of(&measured);
        assert_eq!(range, Range { low: 1.0, mean: 2.5, high: 3.0 });
        assert_eq!(range.times(2.0).plus(Range::of(&[])), Range { low: 2.0, mean: 5.0, high: 6.0 });
    }

    #[test]
    fn cpu_time_goes_on() {
        let start = cpu_time();
        if start.is_some() {
            let mut x = 1u64;
            while cpu_time() == start {
                x = std::hint::black_box(x.wrapping_mul(31));
            }
        }
        assert!(Clock::start().seconds() >= 0.0);
    }
}
