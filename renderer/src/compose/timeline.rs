//! What a layer looks like at one moment: its tracks, its way in and its way out, evaluated.

use vignette_templates::time::{FrameRate, Time};
use vignette_templates::video::{Color, Direction, Easing, Layer, Passage, Track};

/// A layer's changing properties at one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pose {
    /// Added to the placement, in pixels.
    pub offset: [f32; 2],
    /// Scale about the anchor.
    pub scale: [f32; 2],
    /// Clockwise degrees about the anchor.
    pub rotation: f32,
    /// 0 to 1.
    pub opacity: f32,
    /// Replaces the solid fill.
    pub color: Option<Color>,
    /// The part of the box that is uncovered, `[left, top, right, bottom]` as fractions; `None` is all of it.
    pub reveal: Option<[f32; 4]>,
}

impl Pose {
    /// The pose of a layer that nothing moves.
    #[cfg(test)]
    pub(crate) const REST: Pose =
        Pose { offset: [0.0; 2], scale: [1.0; 2], rotation: 0.0, opacity: 1.0, color: None, reveal: None };

    /// All of it as bits, for hashing.
    pub(crate) fn to_bits(self) -> [u32; 12] {
        let color = self.color.map_or([0, 0], |c| [1, u32::from_be_bytes([c.r, c.g, c.b, c.a])]);
        let reveal = self.reveal.unwrap_or([-1.0; 4]).map(f32::to_bits);
        [
            self.offset[0].to_bits(),
            self.offset[1].to_bits(),
            self.scale[0].to_bits(),
            self.scale[1].to_bits(),
            self.rotation.to_bits(),
            self.opacity.to_bits(),
            color[0],
            color[1],
            reveal[0],
            reveal[1],
            reveal[2],
            reveal[3],
        ]
    }

    /// Whether only position, opacity and reveal differ from rest, so that the resting picture can be reused as it is.
    pub(crate) fn is_unscaled(&self) -> bool {
        self.scale == [1.0; 2] && self.rotation == 0.0
    }
}

/// The pose of `layer` at `frame` of its scene, or `None` when nothing of it shows.
///
/// `scene_frames` is the scene's length: a layer that ends with its scene runs on past that end while a
/// transition needs it.
pub(crate) fn pose_at(layer: &Layer, frame: u32, rate: FrameRate, scene_frames: u32) -> Option<Pose> {
    let runs_on = layer.span.end >= scene_frames && frame >= scene_frames;
    if frame < layer.span.start || (frame >= layer.span.end && !runs_on) {
        return None;
    }
    let local = elapsed(layer, frame, rate);
    let motion = &layer.motion;
    let mut pose = Pose {
        offset: sample(&motion.offset, local).unwrap_or([0.0; 2]),
        scale: sample(&motion.scale, local).unwrap_or([1.0; 2]),
        rotation: sample(&motion.rotation, local).unwrap_or(0.0),
        opacity: sample(&motion.opacity, local).unwrap_or(1.0).clamp(0.0, 1.0),
        color: sample(&motion.color, local),
        reveal: None,
    };
    if let Some(enter) = &layer.enter {
        apply_passage(&mut pose, enter, local, false);
    }
    if let Some(exit) = &layer.exit {
        let remaining = rate.time_of(u64::from(layer.span.end)) - rate.time_of(u64::from(frame));
        apply_passage(&mut pose, exit, remaining, true);
    }
    let hidden = pose.opacity <= 0.0
        || pose.scale[0] == 0.0
        || pose.scale[1] == 0.0
        || pose.reveal.is_some_and(|[l, t, r, b]| r <= l || b <= t);
    (!hidden).then_some(pose)
}

/// Time since the layer's first frame.
pub(crate) fn elapsed(layer: &Layer, frame: u32, rate: FrameRate) -> Time {
    rate.time_of(u64::from(frame)) - rate.time_of(u64::from(layer.span.start))
}

/// Moves the pose towards "away": `time` is how long ago the way in began, or how soon the way out is over.
fn apply_passage(pose: &mut Pose, passage: &Passage, time: Time, leaving: bool) {
    if time >= passage.duration {
        return;
    }
    let share = (time.ticks().max(0) as f64 / passage.duration.ticks().max(1) as f64) as f32;
    let place = if leaving { 1.0 - ease(passage.easing, 1.0 - share) } else { ease(passage.easing, share) };
    let away = 1.0 - place;
    if passage.fade {
        pose.opacity *= place.clamp(0.0, 1.0);
    }
    if let Some([dx, dy]) = passage.slide {
        pose.offset[0] += dx * away;
        pose.offset[1] += dy * away;
    }
    if let Some(from) = passage.scale {
        let factor = from + (1.0 - from) * place;
        pose.scale[0] *= factor.max(0.0);
        pose.scale[1] *= factor.max(0.0);
    }
    if let Some(direction) = passage.wipe {
        let shown = place.clamp(0.0, 1.0);
        // Going in, the edge travels in the direction and leaves what it passed uncovered; going out it
        // travels on in the same direction and covers what it passes.
        let whole = [0.0, 0.0, 1.0, 1.0];
        let mut reveal = whole;
        match (direction, leaving) {
            (Direction::Right, false) | (Direction::Left, true) => reveal[2] = shown,
            (Direction::Left, false) | (Direction::Right, true) => reveal[0] = 1.0 - shown,
            (Direction::Down, false) | (Direction::Up, true) => reveal[3] = shown,
            (Direction::Up, false) | (Direction::Down, true) => reveal[1] = 1.0 - shown,
        }
        let old = pose.reveal.unwrap_or(whole);
        pose.reveal = Some([
            old[0].max(reveal[0]),
            old[1].max(reveal[1]),
            old[2].min(reveal[2]),
            old[3].min(reveal[3]),
        ]);
    }
}

/// A value that can be mixed with another of its kind.
pub(crate) trait Mix: Copy {
    /// `self` at 0, `other` at 1; beyond both ends it goes on.
    fn mix(self, other: Self, share: f32) -> Self;
}

impl Mix for f32 {
    fn mix(self, other: f32, share: f32) -> f32 {
        self + (other - self) * share
    }
}

impl Mix for [f32; 2] {
    fn mix(self, other: [f32; 2], share: f32) -> [f32; 2] {
        [self[0].mix(other[0], share), self[1].mix(other[1], share)]
    }
}

impl Mix for Color {
    /// Mixed with premultiplied alpha, as CSS Color 4 section 12.3 does, so that fading to a clear colour does not turn grey.
    fn mix(self, other: Color, share: f32) -> Color {
        let share = share.clamp(0.0, 1.0);
        let (a, b) = (f32::from(self.a) / 255.0, f32::from(other.a) / 255.0);
        let alpha = a.mix(b, share);
        if alpha <= 0.0 {
            return Color { a: 0, ..self };
        }
        let channel = |x: u8, y: u8| {
            let mixed = (f32::from(x) * a).mix(f32::from(y) * b, share) / alpha;
            mixed.round().clamp(0.0, 255.0) as u8
        };
        Color {
            r: channel(self.r, other.r),
            g: channel(self.g, other.g),
            b: channel(self.b, other.b),
            a: (alpha * 255.0).round() as u8,
        }
    }
}

/// The value of `track` at `time`; `None` for an empty track.
pub(crate) fn sample<T: Mix>(track: &Track<T>, time: Time) -> Option<T> {
    let keys = &track.keys;
    let next = keys.partition_point(|key| key.at <= time);
    match (next.checked_sub(1).map(|index| &keys[index]), keys.get(next)) {
        (None, first) => first.map(|key| key.value),
        (Some(last), None) => Some(last.value),
        (Some(from), Some(to)) => {
            let share = (time - from.at).ticks() as f64 / (to.at - from.at).ticks() as f64;
            Some(from.value.mix(to.value, ease(from.easing, share as f32)))
        }
    }
}

/// The least and the greatest value that an easing takes on its way: beyond 0 and 1 where it overshoots.
pub(crate) fn extremes(easing: Easing) -> [f32; 2] {
    let Easing::CubicBezier(_) = easing else { return [0.0, 1.0] };
    let mut extremes = [0.0f32, 1.0];
    for step in 0..=32 {
        let value = ease(easing, step as f32 / 32.0);
        // A little more than the samples show, for what lies between them.
        extremes = [extremes[0].min(value * 1.02), extremes[1].max(value * 1.02 - 0.02)];
    }
    extremes
}

/// The values that a track reaches at its ends and, where an easing overshoots, beyond its keyframes.
pub(crate) fn reached<T: Mix>(track: &Track<T>) -> impl Iterator<Item = T> {
    let ends = track.keys.iter().map(|key| key.value);
    let between = track
        .keys
        .windows(2)
        .flat_map(|pair| extremes(pair[0].easing).map(|share| pair[0].value.mix(pair[1].value, share)));
    ends.chain(between)
}

/// Progress 0..=1 through an easing curve.
pub(crate) fn ease(easing: Easing, share: f32) -> f32 {
    match easing {
        Easing::Linear => share,
        Easing::CubicBezier(points) => cubic_bezier(points, share),
        Easing::Steps(count) => {
            if share >= 1.0 {
                1.0
            } else {
                (share * count as f32).floor() / count.max(1) as f32
            }
        }
    }
}

/// CSS `cubic-bezier()`: the curve's y where its x is `share`.
///
/// x grows steadily with the parameter because x1 and x2 are in 0..=1, so bisection always converges; only
/// additions and multiplications take part, so that every machine gets the same bits.
fn cubic_bezier([x1, y1, x2, y2]: [f32; 4], share: f32) -> f32 {
    if share <= 0.0 {
        return 0.0;
    }
    if share >= 1.0 {
        return 1.0;
    }
    let (x1, y1, x2, y2, x) = (f64::from(x1), f64::from(y1), f64::from(x2), f64::from(y2), f64::from(share));
    let curve = |a: f64, b: f64, t: f64| {
        let s = 1.0 - t;
        3.0 * s * s * t * a + 3.0 * s * t * t * b + t * t * t
    };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..40 {
        let middle = (low + high) * 0.5;
        if curve(x1, x2, middle) < x {
            low = middle;
        } else {
            high = middle;
        }
    }
    curve(y1, y2, (low + high) * 0.5) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use vignette_templates::time::FrameRange;
    use vignette_templates::video::{Keyframe, LayerKind, Motion, Placement};

    fn layer() -> Layer {
        Layer {
            path: String::new(),
            personal: false,
            kind: LayerKind::Group { layers: Vec::new() },
            span: FrameRange { start: 10, end: 40 },
            placement: Placement { x: 0.0, y: 0.0, width: None, height: None, anchor: [0.0; 2] },
            motion: Motion::default(),
            enter: None,
            exit: None,
            clip: None,
            shadow: None,
        }
    }

    fn rate() -> FrameRate {
        FrameRate::new(30, 1).unwrap()
    }

    #[test]
    fn css_curves_have_their_known_values() {
        // Reference values of CSS `ease` and `ease-in-out` at a quarter, half and three quarters.
        let css_ease = Easing::CubicBezier([0.25, 0.1, 0.25, 1.0]);
        for (share, value) in [(0.0, 0.0), (0.25, 0.4085), (0.5, 0.8024), (0.75, 0.9605), (1.0, 1.0)] {
            assert!(
                (ease(css_ease, share) - value).abs() < 1e-3,
                "ease({share}) = {}",
                ease(css_ease, share)
            );
        }
        let in_out = Easing::CubicBezier([0.42, 0.0, 0.58, 1.0]);
        assert!((ease(in_out, 0.5) - 0.5).abs() < 1e-6);
        let back = Easing::CubicBezier([0.34, 1.56, 0.64, 1.0]);
        assert!(extremes(back)[1] > 1.09 && extremes(css_ease)[1] < 1.001, "{:?}", extremes(back));
        assert_eq!(ease(Easing::Steps(4), 0.49), 0.25);
        assert_eq!(ease(Easing::Steps(4), 1.0), 1.0);
    }

    #[test]
    fn tracks_hold_before_and_after() {
        let key = |ms: i64, value: f32| Keyframe {
            at: Time::from_ticks(ms * Time::TICKS_PER_SECOND / 1000),
            value,
            easing: Easing::Linear,
        };
        let track = Track { keys: vec![key(1000, 10.0), key(2000, 20.0)] };
        let at = |ms: i64| sample(&track, Time::from_ticks(ms * Time::TICKS_PER_SECOND / 1000)).unwrap();
        assert_eq!((at(0), at(1000), at(1500), at(2000), at(9000)), (10.0, 10.0, 15.0, 20.0, 20.0));
        assert_eq!(sample(&Track::<f32>::default(), Time::ZERO), None);
    }

    #[test]
    fn a_layer_shows_in_its_span_only() {
        let layer = layer();
        assert!(pose_at(&layer, 9, rate(), 60).is_none());
        assert_eq!(pose_at(&layer, 10, rate(), 60), Some(Pose::REST));
        assert!(pose_at(&layer, 39, rate(), 60).is_some());
        assert!(pose_at(&layer, 40, rate(), 60).is_none());
        // A layer that ends with its scene runs on into the transition; one that ends before does not.
        assert!(pose_at(&layer, 45, rate(), 40).is_some());
    }

    #[test]
    fn passages_start_away_and_end_in_place() {
        let mut layer = layer();
        let passage = Passage {
            duration: Time::from_ticks(Time::TICKS_PER_SECOND / 3),
            easing: Easing::Linear,
            fade: true,
            slide: Some([0.0, 50.0]),
            scale: None,
            wipe: None,
        };
        layer.enter = Some(passage);
        layer.exit = Some(passage);
        assert!(pose_at(&layer, 10, rate(), 60).is_none(), "fully faded at its first frame");
        let half = pose_at(&layer, 15, rate(), 60).unwrap();
        assert!((half.opacity - 0.5).abs() < 1e-6 && (half.offset[1] - 25.0).abs() < 1e-4, "{half:?}");
        assert_eq!(pose_at(&layer, 20, rate(), 60), Some(Pose::REST));
        assert!((pose_at(&layer, 39, rate(), 60).unwrap().opacity - 0.1).abs() < 1e-6);
        assert!(
            pose_at(&layer, 45, rate(), 40).is_none(),
            "what has left stays away while the scene runs on"
        );
    }

    #[test]
    fn colours_fade_without_grey() {
        let red = Color { r: 255, g: 0, b: 0, a: 255 };
        let clear = Color { r: 0, g: 0, b: 0, a: 0 };
        assert_eq!(red.mix(clear, 0.5), Color { a: 128, ..red });
    }
}
