//! Whether one more viewer can be served without any standing still: those whom this machine cannot keep up with are told to come again
//! before they see anything, instead of stuttering along with all others.
//!
//! Each segment that somebody will need and that is not there yet is work with a deadline. As work is done in the order of
//! deadlines ([`permits`](crate::permits)), all of it is in time exactly if, for each deadline, the work due until then fits into the time until
//! then (Liu and Layland, "Scheduling Algorithms for Multiprogramming in a Hard-Real-Time Environment", 1973, for one core; for several
//! it is taken as evenly spread).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use vignette_renderer::encode::VideoProfile;

/// What a segment of a kind takes, as measured so far.
#[derive(Default)]
pub struct Costs(Mutex<Known>);

struct Known {
    /// Seconds of a core for a frame, by the pixels of canvas and size.
    kinds: HashMap<[u64; 2], f64>,
    /// How much more than was guessed things took here, whatever their kind.
    pace: f64,
}

impl Default for Known {
    fn default() -> Self {
        Known { kinds: HashMap::new(), pace: CAUTION }
    }
}

/// How much the newest measurement counts.
const NEWEST: f64 = 0.2;
/// Kinds that are told apart, at most.
const MOST: usize = 256;
/// Seconds for a pixel of the canvas (composed), and of the size (encoded).
const GUESS: [f64; 2] = [4e-9, 15e-9];
/// A machine may be that much slower than the one that was guessed from.
const CAUTION: f64 = 1.3;
/// Frames differ in what they take, and two threads of one core take longer side by side; so much is set aside for what takes 1.
const MARGIN: f64 = 1.5;

impl Costs {
    /// A segment of that many frames took so long.
    pub fn observe(&self, canvas: [u32; 2], profile: &VideoProfile, frames: u32, took: Duration) {
        if frames == 0 {
            return;
        }
        let one = took.as_secs_f64() / f64::from(frames);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kind(canvas, profile);
        known.pace += NEWEST * (one / guess(kind) - known.pace);
        if known.kinds.len() >= MOST && !known.kinds.contains_key(&kind) {
            known.kinds.clear();
        }
        let before = known.kinds.entry(kind).or_insert(one);
        *before += NEWEST * (one - *before);
    }

    /// What a segment of that many frames will take, with a margin.
    pub fn of(&self, canvas: [u32; 2], profile: &VideoProfile, frames: u32) -> Duration {
        let kind = kind(canvas, profile);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = known.kinds.get(&kind).copied().unwrap_or_else(|| known.pace * guess(kind));
        Duration::from_secs_f64(one * f64::from(frames) * MARGIN)
    }
}

/// Seconds for a frame of a kind of which nothing was measured yet.
fn guess(kind: [u64; 2]) -> f64 {
    kind.iter().zip(GUESS).map(|(pixels, each)| *pixels as f64 * each).sum::<f64>().max(f64::MIN_POSITIVE)
}

fn kind(canvas: [u32; 2], profile: &VideoProfile) -> [u64; 2] {
    [canvas, [profile.width, profile.height]].map(|[width, height]| u64::from(width) * u64::from(height))
}

/// How far the work that is due by some moment exceeds what `cores` do until then, at its worst; nought when all of it is in time. `work` is
/// deadlines, and what one core takes for it.
pub fn overrun(mut work: Vec<(Instant, Duration)>, cores: usize, now: Instant) -> Duration {
    work.sort();
    let (mut sum, mut worst) = (Duration::ZERO, Duration::ZERO);
    for (due, cost) in work {
        sum += cost / u32::try_from(cores).unwrap_or(u32::MAX).max(1);
        worst = worst.max(sum.saturating_sub(due.saturating_duration_since(now)));
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;
    use vignette_renderer::encode::EncoderId;
    use vignette_templates::time::FrameRate;

    #[test]
    fn work_fits_or_runs_over_by_what_is_too_much() {
        let now = Instant::now();
        let row = |rows: &[(u64, u64)], cores| {
            let work = rows
                .iter()
                .map(|(due, cost)| (now + Duration::from_millis(*due), Duration::from_millis(*cost)));
            overrun(work.collect(), cores, now).as_millis()
        };
        assert_eq!(row(&[], 2), 0);
        assert_eq!(row(&[(1000, 900), (2000, 1000)], 1), 0);
        assert_eq!(row(&[(2000, 1000), (1000, 900)], 1), 0, "in any order");
        assert_eq!(row(&[(1000, 900), (2000, 1300)], 1), 200);
        assert_eq!(row(&[(1000, 900), (2000, 1300)], 2), 0);
        assert_eq!(row(&[(1000, 1500), (9000, 10)], 1), 500, "what comes later does not make up for it");
    }

    #[test]
    fn costs_are_learned_by_kind() {
        let profile = |width, height| VideoProfile {
            width,
            height,
            frame_rate: FrameRate::new(30, 1).unwrap(),
            quality: 23,
            encoder: EncoderId::default(),
        };
        let (costs, canvas) = (Costs::default(), [1920, 1080]);
        let (large, small) = (profile(1920, 1080), profile(960, 540));
        let guessed = |profile| guess(kind(canvas, profile)) * 60.0 * MARGIN;
        let near = |told: Duration, expected: f64| {
            assert!((told.as_secs_f64() / expected - 1.0).abs() < 1e-3, "{told:?}, not {expected}")
        };
        near(costs.of(canvas, &small, 60), CAUTION * guessed(&small));
        near(costs.of(canvas, &large, 60), CAUTION * guessed(&large));
        for _ in 0..40 {
            costs.observe(canvas, &large, 30, Duration::from_millis(600));
        }
        let told = costs.of(canvas, &large, 60).as_secs_f64();
        assert!((told - 1.2 * MARGIN).abs() < 1e-6, "{told}");
        // Another kind is taken to be off by as much.
        near(costs.of(canvas, &small, 60), 1.2 * MARGIN * guessed(&small) / guessed(&large));
        costs.observe(canvas, &large, 0, Duration::from_secs(9));
        assert_eq!(costs.of(canvas, &large, 0), Duration::ZERO);
    }
}
