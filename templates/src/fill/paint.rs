//! Colours, gradients and outlines.

use super::scope::Filler;
use crate::fault::{At, Fault};
use crate::template::read::Either;
use crate::template::scalar::Paintable;
use crate::template::style::{Gradient, Outline, Stop as WrittenStop};
use crate::template::written::Written;
use crate::video::{Color, Paint, Stop, Stroke};

impl Filler<'_> {
    /// A colour or a gradient.
    pub(super) fn paint(&mut self, paint: &Either<Written<Paintable>, Gradient>) -> Option<Paint> {
        match paint {
            Either::Short(color) => self.get(color).map(|color| Paint::Solid(color.0)),
            Either::Full(Gradient { linear: Some(linear), .. }) => {
                let angle = self.opt(&linear.angle).map_or(180.0, |angle| angle.0);
                let stops = self.stops(&linear.here, &linear.stops)?;
                Some(Paint::Linear { angle, stops })
            }
            Either::Full(Gradient { radial: Some(radial), .. }) => {
                let center = match &radial.center {
                    Some(center) => self.point(center)?,
                    None => [0.5, 0.5],
                };
                let radius = self.opt(&radial.radius).map_or(1.0, |radius| radius.0);
                let stops = self.stops(&radial.here, &radial.stops)?;
                Some(Paint::Radial { center, radius, stops })
            }
            Either::Full(_) => None,
        }
    }

    fn stops(&mut self, here: &At, stops: &[Either<Written<Paintable>, WrittenStop>]) -> Option<Vec<Stop>> {
        let mut placed: Vec<(Option<f32>, Color)> = Vec::with_capacity(stops.len());
        for stop in stops {
            match stop {
                Either::Short(color) => placed.push((None, self.get(color)?.0)),
                Either::Full(stop) => {
                    let at = match &stop.at {
                        Some(at) => Some(self.get(at)?.0),
                        None => None,
                    };
                    placed.push((at, self.get(&stop.color)?.0));
                }
            }
        }
        if placed.len() < 2 {
            self.faults.push(Fault::new(here, "a gradient needs at least two colours"));
            return None;
        }
        Some(spread(&placed))
    }

    /// An outline; a percentage of its width is of `whole`.
    pub(super) fn stroke(&mut self, outline: &Outline, whole: f32, em: Option<f32>) -> Option<Stroke> {
        let color = self.get(&outline.color)?.0;
        let width = self.get(&outline.width)?.0;
        let width = self.px(&outline.width.at, width, whole, em)?;
        Some(Stroke { color, width })
    }
}

/// Gives every colour a place, as CSS does (CSS Images Level 3, section 3.5.3): the first and the last stand at the ends,
/// those between places are spread evenly, and none stands before the one it follows.
fn spread(placed: &[(Option<f32>, Color)]) -> Vec<Stop> {
    let last = placed.len() - 1;
    let mut offsets: Vec<Option<f32>> = placed.iter().map(|(at, _)| *at).collect();
    offsets[0].get_or_insert(0.0);
    offsets[last].get_or_insert(1.0);
    let mut highest = 0.0_f32;
    for offset in offsets.iter_mut().flatten() {
        *offset = offset.max(highest);
        highest = *offset;
    }
    let mut stops = Vec::with_capacity(placed.len());
    let mut before = (0, offsets[0].unwrap_or(0.0));
    for (index, (_, color)) in placed.iter().enumerate() {
        let offset = match offsets[index] {
            Some(offset) => {
                before = (index, offset);
                offset
            }
            None => {
                let next = (index..=last).find_map(|next| offsets[next].map(|offset| (next, offset)));
                let (next, end) = next.unwrap_or((last, 1.0));
                let share = (index - before.0) as f32 / (next - before.0) as f32;
                before.1 + (end - before.1) * share
            }
        };
        stops.push(Stop { offset, color: *color });
    }
    stops
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_without_a_place_are_spread_evenly() {
        let color = Color { r: 1, g: 2, b: 3, a: 255 };
        let cases: &[(&[Option<f32>], &[f32])] = &[
            (&[None, None], &[0.0, 1.0]),
            (&[None, None, None], &[0.0, 0.5, 1.0]),
            (&[Some(0.2), None, None, Some(0.8)], &[0.2, 0.4, 0.6, 0.8]),
            (&[None, Some(0.9), Some(0.5), None], &[0.0, 0.9, 0.9, 1.0]),
        ];
        for (places, expected) in cases {
            let placed: Vec<_> = places.iter().map(|place| (*place, color)).collect();
            let offsets: Vec<f32> = spread(&placed).iter().map(|stop| stop.offset).collect();
            for (offset, expected) in offsets.iter().zip(*expected) {
                assert!((offset - expected).abs() < 1e-6, "{places:?}: {offsets:?}");
            }
        }
    }
}
