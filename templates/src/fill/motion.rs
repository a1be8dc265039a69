//! Ways in and out, and keyframes.

use super::layer::Stage;
use super::scope::Filler;
use crate::fault::Fault;
use crate::template::layer::{self as written, Keyed};
use crate::template::read::Either;
use crate::template::scalar::{Factor, Fade};
use crate::template::written::Written;
use crate::time::Time;
use crate::units::{Length, LengthUnit};
use crate::video::{Color, Direction, Easing, Keyframe, Motion, Passage, Placement, Track};

/// How long a way in or out takes when the template does not say.
const PASSAGE: Time = Time::from_ticks(Time::TICKS_PER_SECOND / 2);
/// How far a slide goes when the template does not say.
const SLIDE: Length = Length { value: 8.0, unit: LengthUnit::Vmin };
/// `out-cubic`: arrives gently.
const ARRIVE: Easing = Easing::CubicBezier([0.33, 1.0, 0.68, 1.0]);
/// How a way out goes when the template does not say: the same, backwards.
const LEAVE: Easing = Easing::CubicBezier([0.32, 0.0, 0.67, 0.0]);

impl Filler<'_> {
    /// A way in, or a way out.
    pub(super) fn passage(
        &mut self,
        passage: &written::Passage,
        stage: &Stage,
        enters: bool,
    ) -> Option<Passage> {
        let duration = self.opt(&passage.r#for).map_or(PASSAGE, |length| self.time(length.0));
        let easing = match self.opt(&passage.ease) {
            Some(ease) => ease.0,
            None if enters => ARRIVE,
            None => LEAVE,
        };
        let fade = match (&passage.fade, self.opt(&passage.fade)) {
            (Some(written), Some(fade)) => {
                let right = if enters { Fade::In } else { Fade::Out };
                if fade != right {
                    let word = if enters { "in" } else { "out" };
                    self.faults.push(Fault::new(&written.at, format!("expected `{word}` here")));
                }
                true
            }
            _ => false,
        };
        let slide = match self.opt(&passage.slide) {
            Some(direction) => Some(self.slide(passage, direction, stage, enters)?),
            None => None,
        };
        let scale = self.opt(&passage.scale).map(|scale| scale.0);
        let wipe = self.opt(&passage.wipe);
        Some(Passage { duration, easing, fade, slide, scale, wipe })
    }

    /// Where a slide comes from, or goes to, as pixels away from its place.
    fn slide(
        &mut self,
        passage: &written::Passage,
        direction: Direction,
        stage: &Stage,
        enters: bool,
    ) -> Option<[f32; 2]> {
        let whole = match direction {
            Direction::Up | Direction::Down => stage.height,
            Direction::Left | Direction::Right => stage.width,
        };
        let (at, by) = match &passage.by {
            Some(by) => (&by.at, self.get(by)?.0),
            None => (&passage.here, SLIDE),
        };
        let by = self.px(at, by, whole, None)?;
        let [x, y] = match direction {
            Direction::Up => [0.0, -by],
            Direction::Down => [0.0, by],
            Direction::Left => [-by, 0.0],
            Direction::Right => [by, 0.0],
        };
        // What moves upwards into its place comes from below it.
        Some(if enters { [0.0 - x, 0.0 - y] } else { [x, y] })
    }

    /// What changes while a layer shows; keyframes take the place of the constant value of their property.
    pub(super) fn motion(&mut self, layer: &written::Layer, placement: &Placement, stage: &Stage) -> Motion {
        let mut motion = Motion::default();
        if let Some(opacity) = self.opt(&layer.opacity) {
            motion.opacity = Track::constant(opacity.0);
        }
        if let Some(angle) = self.opt(&layer.rotate) {
            motion.rotation = Track::constant(angle.0);
        }
        if let Some(scale) = layer.scale.as_ref().and_then(|scale| self.scale(scale)) {
            motion.scale = Track::constant(scale);
        }
        let Some(keyframes) = &layer.keyframes else { return motion };
        let written::Keyframes { here: _, position, scale, rotation, opacity, color } = keyframes;
        if let Some(keys) = position {
            motion.offset = self.track(keys, |filler, key| {
                let x = match &key.x {
                    Some(x) => {
                        filler.get(x).and_then(|length| filler.px(&x.at, length.0, stage.width, None))?
                    }
                    None => placement.x,
                };
                let y = match &key.y {
                    Some(y) => {
                        filler.get(y).and_then(|length| filler.px(&y.at, length.0, stage.height, None))?
                    }
                    None => placement.y,
                };
                Some([x - placement.x, y - placement.y])
            });
        }
        if let Some(keys) = scale {
            motion.scale = self.track(keys, |filler, key| filler.scale(&key.value));
        }
        if let Some(keys) = rotation {
            motion.rotation = self.track(keys, |filler, key| filler.get(&key.value).map(|angle| angle.0));
        }
        if let Some(keys) = opacity {
            motion.opacity = self.track(keys, |filler, key| filler.get(&key.value).map(|opacity| opacity.0));
        }
        if let Some(keys) = color {
            motion.color =
                self.track::<_, Color>(keys, |filler, key| filler.get(&key.value).map(|color| color.0));
        }
        motion
    }

    fn scale(&mut self, scale: &Either<Written<Factor>, [Written<Factor>; 2]>) -> Option<[f32; 2]> {
        match scale {
            Either::Short(scale) => self.get(scale).map(|scale| [scale.0, scale.0]),
            Either::Full([x, y]) => {
                let (x, y) = (self.get(x), self.get(y));
                Some([x?.0, y?.0])
            }
        }
    }

    fn track<K: Keyed, T>(
        &mut self,
        keys: &[K],
        mut value: impl FnMut(&mut Self, &K) -> Option<T>,
    ) -> Track<T> {
        let mut track: Track<T> = Track { keys: Vec::with_capacity(keys.len()) };
        for key in keys {
            let (at, ease, here) = key.time();
            let time = self.get(at).map(|at| self.time(at.0));
            let easing = match ease {
                Some(ease) => self.get(ease).map_or(Easing::Linear, |ease| ease.0),
                None => Easing::Linear,
            };
            let (Some(at), Some(value)) = (time, value(self, key)) else { continue };
            if track.keys.last().is_some_and(|last| last.at >= at) {
                self.faults.push(Fault::new(here, "keyframes must follow one another in time"));
                continue;
            }
            track.keys.push(Keyframe { at, value, easing });
        }
        track
    }
}
