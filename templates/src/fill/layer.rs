//! Layers: which show, when, and where.

use super::MAX_LAYERS;
use super::scope::Filler;
use crate::fault::Fault;
use crate::template::layer::{self as written, Placement as WrittenPlacement};
use crate::template::read::Either;
use crate::template::scalar::{Clip, Fraction, NameKind};
use crate::template::written::Written;
use crate::time::{FrameRange, Time};
use crate::units::Duration;
use crate::video::{Fit, Layer, LayerKind, Placement, Shadow};

/// Where and when layers can be: a scene, or a group inside it.
pub(super) struct Stage {
    /// Width in pixels of the canvas or the group.
    pub width: f32,
    /// Height in pixels of the canvas or the group.
    pub height: f32,
    pub scene_frames: u32,
    /// The frames of the scene on which the scene or group shows.
    pub span: FrameRange,
}

impl Stage {
    fn shorter(&self) -> f32 {
        self.width.min(self.height)
    }
}

impl Filler<'_> {
    /// Adds `layer` to `out` as often as it shows.
    pub(super) fn layers(&mut self, layer: &written::Layer, stage: &Stage, out: &mut Vec<Layer>) {
        let rendition = self.rendition.clone();
        let layer = layer.on(&rendition);
        self.each_turn(layer.repeat.as_ref(), |filler, _| {
            if filler.is_stopped() {
                return;
            }
            let outer = std::mem::take(&mut filler.personal);
            // Inside a repeat, how often it turns has taken part already.
            filler.personal = outer && layer.repeat.is_some();
            let shown = layer.when.as_ref().and_then(|when| filler.get(when)).is_none_or(|when| when.0);
            match &layer.spoken {
                _ if !shown => {}
                Some(spoken) => filler.spoken_layers(&layer, spoken, stage, out),
                None => out.extend(filler.layer(&layer, stage)),
            }
            filler.personal |= outer;
        });
    }

    fn layer(&mut self, layer: &written::Layer, stage: &Stage) -> Option<Layer> {
        if !self.has_room(layer) {
            return None;
        }
        let span = self.span(layer, stage)?;
        let mut placement = self.placement(layer, stage)?;
        let kind = self.kind(layer, stage, span, &mut placement)?;
        let clip = self.clip(layer, &placement, stage);
        let shadow = layer.shadow.as_ref().and_then(|shadow| self.shadow(shadow, stage));
        let motion = self.motion(layer, &placement, stage);
        let enter = layer.enter.as_ref().and_then(|enter| self.passage(enter, stage, true));
        let exit = layer.exit.as_ref().and_then(|exit| self.passage(exit, stage, false));
        Some(Layer {
            path: layer.here.path.to_string(),
            personal: self.personal,
            kind,
            span,
            placement,
            motion,
            enter,
            exit,
            clip,
            shadow,
        })
    }

    /// Counts one more layer; `false` when there are too many.
    pub(super) fn has_room(&mut self, layer: &written::Layer) -> bool {
        self.layers += 1;
        if self.layers > MAX_LAYERS {
            self.stop(&layer.here, &format!("the video has more than {MAX_LAYERS} layers"));
            return false;
        }
        true
    }

    pub(super) fn clip(
        &mut self,
        layer: &written::Layer,
        placement: &Placement,
        stage: &Stage,
    ) -> Option<f32> {
        match self.opt(&layer.clip)? {
            // Half the shorter side is already a circle; this is more than half of any side.
            Clip::Circle => Some(crate::template::scalar::MAX_LENGTH as f32),
            Clip::Radius(radius) => {
                let at = layer.clip.as_ref().map_or(&layer.here, |clip| &clip.at);
                self.px(at, radius, box_side(placement, stage), None)
            }
        }
    }

    /// The frames on which a layer shows, inside those of what holds it.
    fn span(&mut self, layer: &written::Layer, stage: &Stage) -> Option<FrameRange> {
        let start = self.first_frame(layer, stage)?;
        let end = match &layer.r#for {
            Some(length) => {
                let length = self.get(length)?.0;
                // Rounded once, at its end, so that a layer that follows at `at + for` starts on that very frame.
                let end = match (layer.at.as_ref().and_then(|at| self.get(at)).map(|at| at.0), length) {
                    (Some(Duration::Time(at)), Duration::Time(length)) if at >= Time::ZERO => {
                        self.frames(Duration::Time(at + length))
                    }
                    _ => start + self.frames(length),
                };
                end.max(start + 1)
            }
            None => i64::from(stage.span.end),
        };
        let inside = |frame: i64| frame.clamp(i64::from(stage.span.start), i64::from(stage.span.end)) as u32;
        let span = FrameRange { start: inside(start), end: inside(end) };
        if span.is_empty() {
            let at = layer.at.as_ref().map_or(&layer.here, |at| &at.at);
            let fault =
                Fault::new(at, "the layer is never seen: it starts when its scene or group has ended");
            self.warnings.push(fault.hint("let it start earlier, or the scene last longer"));
            return None;
        }
        Some(span)
    }

    /// The frame of the scene at which a layer comes, which may lie outside of it; `None` after a fault.
    pub(super) fn first_frame(&mut self, layer: &written::Layer, stage: &Stage) -> Option<i64> {
        Some(match &layer.at {
            Some(at) => match self.get(at)?.0 {
                // From the end, so that a negative time is as far from it as a positive one from the start.
                moment if is_negative(moment) => i64::from(stage.scene_frames) - self.frames(negated(moment)),
                moment => self.frames(moment),
            },
            None => i64::from(stage.span.start),
        })
    }

    pub(super) fn frames(&self, duration: Duration) -> i64 {
        match duration {
            Duration::Frames(frames) => frames,
            Duration::Time(time) => self.rate.frames_in(time) as i64,
        }
    }

    pub(super) fn placement(&mut self, layer: &written::Layer, stage: &Stage) -> Option<Placement> {
        let Some(written) = &layer.r#box else {
            let (width, height) = (Some(stage.width), Some(stage.height));
            return Some(Placement { x: 0.0, y: 0.0, width, height, anchor: [0.0, 0.0] });
        };
        let WrittenPlacement { here: _, x, y, width, height, anchor } = written;
        let anchor = match anchor {
            Some(Either::Short(anchor)) => self.get(anchor)?.0,
            Some(Either::Full(point)) => self.point(point)?,
            None => [0.0, 0.0],
        };
        let x = match x {
            Some(x) => self.get(x).and_then(|length| self.px(&x.at, length.0, stage.width, None))?,
            None => anchor[0] * stage.width,
        };
        let y = match y {
            Some(y) => self.get(y).and_then(|length| self.px(&y.at, length.0, stage.height, None))?,
            None => anchor[1] * stage.height,
        };
        let width = match width {
            Some(width) => {
                Some(self.get(width).and_then(|length| self.px(&width.at, length.0, stage.width, None))?)
            }
            None => None,
        };
        let height = match height {
            Some(height) => {
                Some(self.get(height).and_then(|length| self.px(&height.at, length.0, stage.height, None))?)
            }
            None => None,
        };
        // A bar that is empty has no width: nothing to draw, and no fault.
        if [width, height].contains(&Some(0.0)) {
            return None;
        }
        Some(Placement { x, y, width, height, anchor })
    }

    /// Two fractions.
    pub(super) fn point(&mut self, point: &[Written<Fraction>; 2]) -> Option<[f32; 2]> {
        let (x, y) = (self.get(&point[0]), self.get(&point[1]));
        Some([x?.0, y?.0])
    }

    fn kind(
        &mut self,
        layer: &written::Layer,
        stage: &Stage,
        span: FrameRange,
        placement: &mut Placement,
    ) -> Option<LayerKind> {
        if let Some(text) = &layer.text {
            return self.text(layer, text, stage, placement).map(LayerKind::Text);
        }
        if let Some(name) = &layer.image {
            let image = self.get(name)?;
            let asset = self.asset(&name.at, NameKind::Image, &image.0)?;
            return Some(LayerKind::Image { asset, fit: self.fit(layer), focus: self.focus(layer)? });
        }
        if let Some(name) = &layer.video {
            let video = self.get(name)?;
            let asset = self.asset(&name.at, NameKind::Video, &video.0)?;
            let start = self.opt(&layer.start).map_or(Time::ZERO, |start| self.time(start.0));
            let repeat = self.opt(&layer.r#loop).is_some_and(|repeat| repeat.0);
            return Some(LayerKind::Video {
                asset,
                fit: self.fit(layer),
                focus: self.focus(layer)?,
                start,
                repeat,
            });
        }
        if let Some(path) = &layer.path {
            let data = self.get(&path.data)?.0;
            let view_box = match &path.view_box {
                Some(view_box) => Some(self.view_box(view_box)?),
                None => None,
            };
            if view_box.is_none() && layer.r#box.is_none() {
                (placement.width, placement.height) = (None, None);
            }
            let fill = path.fill.as_ref().and_then(|fill| self.paint(fill));
            let stroke = path.stroke.as_ref().and_then(|stroke| self.stroke(stroke, stage.shorter(), None));
            return Some(LayerKind::Path { data, view_box, fill, stroke });
        }
        // What has no size of its own takes that of what holds it.
        placement.width.get_or_insert(stage.width);
        placement.height.get_or_insert(stage.height);
        if let Some(rect) = &layer.rect {
            let radius = match &rect.radius {
                Some(written) => {
                    let radius = self.get(written)?.0;
                    self.px(&written.at, radius, box_side(placement, stage), None)?
                }
                None => 0.0,
            };
            let fill = rect.fill.as_ref().and_then(|fill| self.paint(fill));
            let stroke = rect.stroke.as_ref().and_then(|stroke| self.stroke(stroke, stage.shorter(), None));
            return Some(LayerKind::Rect { fill, stroke, radius });
        }
        if let Some(ellipse) = &layer.ellipse {
            let fill = ellipse.fill.as_ref().and_then(|fill| self.paint(fill));
            let stroke =
                ellipse.stroke.as_ref().and_then(|stroke| self.stroke(stroke, stage.shorter(), None));
            return Some(LayerKind::Ellipse { fill, stroke });
        }
        let inner = Stage {
            width: placement.width.unwrap_or(stage.width),
            height: placement.height.unwrap_or(stage.height),
            scene_frames: stage.scene_frames,
            span,
        };
        let mut layers = Vec::new();
        for below in layer.group.as_deref().unwrap_or_default() {
            self.layers(below, &inner, &mut layers);
        }
        Some(LayerKind::Group { layers })
    }

    fn view_box(&mut self, written: &[Written<crate::template::scalar::Coordinate>; 4]) -> Option<[f32; 4]> {
        let mut view_box = [0.0; 4];
        for (value, written) in view_box.iter_mut().zip(written) {
            *value = self.get(written)?.0;
        }
        for (index, side) in [(2, "width"), (3, "height")] {
            if view_box[index] <= 0.0 {
                let fault =
                    Fault::new(&written[index].at, format!("the {side} of a view box is greater than 0"));
                self.faults.push(fault.hint("write [x, y, width, height]"));
                return None;
            }
        }
        Some(view_box)
    }

    fn fit(&mut self, layer: &written::Layer) -> Fit {
        self.opt(&layer.fit).unwrap_or_default()
    }

    fn focus(&mut self, layer: &written::Layer) -> Option<[f32; 2]> {
        layer.focus.as_ref().map_or(Some([0.5, 0.5]), |focus| self.point(focus))
    }

    pub(super) fn shadow(&mut self, shadow: &written::Shadow, stage: &Stage) -> Option<Shadow> {
        let color = self
            .opt(&shadow.color)
            .map_or(crate::video::Color { r: 0, g: 0, b: 0, a: 0x88 }, |color| color.0);
        let x = self.offset(&shadow.x, stage.width)?;
        let y = self.offset(&shadow.y, stage.height)?;
        let blur = match &shadow.blur {
            Some(written) => {
                let blur = self.get(written)?.0;
                self.px(&written.at, blur, stage.shorter(), None)?
            }
            None => 0.0,
        };
        Some(Shadow { color, offset: [x, y], blur })
    }

    fn offset(
        &mut self,
        written: &Option<Written<crate::template::scalar::Position>>,
        whole: f32,
    ) -> Option<f32> {
        match written {
            Some(written) => {
                let length = self.get(written)?.0;
                self.px(&written.at, length, whole, None)
            }
            None => Some(0.0),
        }
    }
}

/// The shorter side of a box, as far as it is known.
fn box_side(placement: &Placement, stage: &Stage) -> f32 {
    let known = [placement.width, placement.height].into_iter().flatten();
    known.reduce(f32::min).unwrap_or_else(|| stage.shorter())
}

fn is_negative(duration: Duration) -> bool {
    match duration {
        Duration::Time(time) => time < Time::ZERO,
        Duration::Frames(frames) => frames < 0,
    }
}

fn negated(duration: Duration) -> Duration {
    match duration {
        Duration::Time(time) => Duration::Time(Time::ZERO - time),
        Duration::Frames(frames) => Duration::Frames(frames.saturating_neg()),
    }
}
