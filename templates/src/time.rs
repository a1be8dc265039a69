//! Time as the field counts it: exact, never a float.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// A point in time or a length of time, in ticks of 1/705 600 000 s.
///
/// # Guarantees
/// Exact for one frame of every rate in use (24, 25, 30, 48, 50, 60, 90, 100, 120 fps and the
/// 1000/1001 rates) and for one sample of every usual audio rate (8 to 192 kHz): the tick is the
/// "flick" that the film industry settled on for that reason, so times add up without drift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

impl Time {
    /// Ticks in one second.
    pub const TICKS_PER_SECOND: i64 = 705_600_000;
    /// No time at all.
    pub const ZERO: Time = Time(0);

    /// The time that lasts `ticks` of 1/705 600 000 s.
    pub const fn from_ticks(ticks: i64) -> Self {
        Time(ticks)
    }

    /// The time of `seconds` whole seconds.
    pub const fn from_seconds(seconds: i64) -> Self {
        Time(seconds * Self::TICKS_PER_SECOND)
    }

    /// The time of `samples` audio samples at `rate` Hz, rounded down to a tick.
    pub const fn from_samples(samples: u64, rate: u32) -> Self {
        Time((samples as i128 * Self::TICKS_PER_SECOND as i128 / rate as i128) as i64)
    }

    /// Ticks of 1/705 600 000 s.
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// Seconds, for people to read and for easing curves; not for arithmetic on positions.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / Self::TICKS_PER_SECOND as f64
    }

    /// The audio sample at `rate` Hz that sounds at this time, rounded to the nearest.
    pub const fn to_samples(self, rate: u32) -> i64 {
        let ticks = self.0 as i128 * rate as i128;
        let half = Self::TICKS_PER_SECOND as i128 / 2;
        (ticks + half).div_euclid(Self::TICKS_PER_SECOND as i128) as i64
    }
}

impl std::ops::Add for Time {
    type Output = Time;
    fn add(self, other: Time) -> Time {
        Time(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Time {
    type Output = Time;
    fn sub(self, other: Time) -> Time {
        Time(self.0.saturating_sub(other.0))
    }
}

/// Frames per second as a reduced fraction, never a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRate {
    num: NonZeroU32,
    den: NonZeroU32,
}

impl FrameRate {
    /// `num / den` frames per second, reduced; `None` when either is zero.
    pub fn new(num: u32, den: u32) -> Option<Self> {
        let divisor = gcd(num, den);
        Some(FrameRate {
            num: NonZeroU32::new(num.checked_div(divisor)?)?,
            den: NonZeroU32::new(den.checked_div(divisor)?)?,
        })
    }

    /// The numerator of the reduced fraction.
    pub fn num(self) -> u32 {
        self.num.get()
    }

    /// The denominator of the reduced fraction.
    pub fn den(self) -> u32 {
        self.den.get()
    }

    /// When frame `index` is shown, in ticks, rounded to the nearest once (never summed).
    pub fn time_of(self, index: u64) -> Time {
        let ticks = index as i128 * self.den() as i128 * Time::TICKS_PER_SECOND as i128;
        let num = self.num() as i128;
        Time(((ticks + num / 2) / num) as i64)
    }

    /// How many frames `time` lasts, rounded to the nearest (a tie goes up), at least 0.
    pub fn frames_in(self, time: Time) -> u64 {
        let scaled = time.0.max(0) as i128 * self.num() as i128;
        let unit = self.den() as i128 * Time::TICKS_PER_SECOND as i128;
        ((scaled + unit / 2) / unit) as u64
    }

    /// How many whole frames are needed to cover `time`.
    pub fn frames_covering(self, time: Time) -> u64 {
        let scaled = time.0.max(0) as i128 * self.num() as i128;
        let unit = self.den() as i128 * Time::TICKS_PER_SECOND as i128;
        ((scaled + unit - 1) / unit) as u64
    }

    /// Frames per second as a float, for people to read.
    pub fn as_f64(self) -> f64 {
        f64::from(self.num()) / f64::from(self.den())
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.den() {
            1 => write!(f, "{}", self.num),
            den => write!(f, "{}/{den}", self.num),
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A run of frames, counted from the start of its scene (or of the video, where said so).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRange {
    /// The first frame of the run.
    pub start: u32,
    /// One past the last frame.
    pub end: u32,
}

impl FrameRange {
    /// Number of frames in the run.
    pub fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// Whether the run holds no frame.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether `frame` is in the run.
    pub fn contains(self, frame: u32) -> bool {
        (self.start..self.end).contains(&frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_never_drift() {
        for (num, den) in [(24, 1), (25, 1), (30, 1), (60, 1), (30000, 1001), (24000, 1001)] {
            let rate = FrameRate::new(num, den).unwrap();
            for index in [0, 1, 99, 1_000_003] {
                assert_eq!(rate.frames_in(rate.time_of(index)), index, "{rate}");
            }
        }
        assert_eq!(FrameRate::new(60, 2), FrameRate::new(30, 1));
        assert_eq!(FrameRate::new(30, 0), None);
        assert_eq!(FrameRate::new(0, 1), None);
    }

    #[test]
    fn a_second_of_ntsc_is_exact() {
        let rate = FrameRate::new(30000, 1001).unwrap();
        assert_eq!(rate.time_of(30000), Time::from_seconds(1001));
        assert_eq!(Time::from_seconds(1).to_samples(48_000), 48_000);
        assert_eq!(Time::from_samples(1, 44_100).ticks(), 16_000);
    }
}
