//! From a template and one viewer's data to a video: plain typed values, no expression left.

mod assets;
mod captions;
mod layer;
mod motion;
mod paint;
mod requests;
mod scope;
mod sound;
mod spoken;
mod text;

use std::collections::BTreeMap;

use crate::data::Data;
use crate::fault::{Fault, Faults, Warned};
use crate::generate::{Generated, Request};
use crate::package::Template;
use crate::template::document::{Crossfade, Scene as WrittenScene};
use crate::template::read::Either;
use crate::template::scalar::MAX_SECONDS;
use crate::time::{FrameRange, Time};
use crate::units::Duration;
use crate::video::{Canvas, Color, Easing, Scene, Transition, TransitionKind, Video};
use crate::world::World;
use layer::Stage;
use scope::Filler;

/// The most layers of one video, groups and repeats included.
pub const MAX_LAYERS: usize = 10_000;
/// The most turns that all repeats of one video take together.
pub const MAX_TURNS: usize = 50_000;

/// How a template is filled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fill<'a> {
    /// The rendition to fill for. Default: the canvas itself.
    pub rendition: Option<&'a str>,
}

/// The filled video, and what its maker should know about it.
///
/// # Errors
/// Every value that is wrong once it is filled, each with its place, its expression and what it became.
pub fn fill(
    template: &Template,
    data: &Data,
    generated: &BTreeMap<String, Generated>,
    options: Fill<'_>,
    world: &dyn World,
) -> Result<Warned<Video>, Faults> {
    let mut filler = Filler::new(template, data, generated, options, world)?;
    filler.settle(false);
    let document = template.document();
    let background = document.canvas.background.as_ref().and_then(|color| filler.get(color));
    let canvas = Canvas {
        width: filler.width,
        height: filler.height,
        frame_rate: filler.rate,
        background: background.map_or(Color { r: 0, g: 0, b: 0, a: 255 }, |color| color.0),
    };
    let mut shown = Shown::default();
    for scene in &document.scenes {
        filler.scenes(scene, &mut shown);
    }
    if shown.scenes.is_empty() && filler.faults.is_empty() {
        let fault = Fault::new(&document.here.within("scenes"), "no scene is shown to this viewer");
        filler.faults.push(fault.hint("let at least one scene do without `when`"));
    }
    let audio = filler.sounds(&shown);
    let mastering = filler.mastering();
    let captions = filler.captions(&shown, &audio);
    let video = Video {
        name: document.name.value.0.clone(),
        canvas,
        locale: filler.locale.as_str().to_owned(),
        scenes: shown.scenes,
        audio,
        captions,
        mastering,
        assets: filler.assets,
        generated: filler.provenance,
    };
    let mut warnings = filler.warnings;
    warnings.sort();
    warnings.dedup();
    filler.faults.into_result(Warned { value: video, warnings })
}

/// What can be generated now: every request whose inputs are known and that `generated` does not answer yet.
///
/// Called again with the answers until it gives none, because speech may say a text that is generated first. Of `world` only the
/// recordings are read whose holes are to be spoken, and the photos that a request works on; where such a photo cannot be used and something stands
/// in for it, there is no request.
///
/// # Errors
/// Every value of a request that is wrong once it is filled.
pub fn ask(
    template: &Template,
    data: &Data,
    generated: &BTreeMap<String, Generated>,
    world: &dyn World,
) -> Result<Vec<Request>, Faults> {
    let mut filler = Filler::new(template, data, generated, Fill::default(), world)?;
    filler.settle(true);
    let mut requests = std::mem::take(&mut filler.requests);
    // In the order they are written, whatever the order they were settled in.
    let written: Vec<&str> = template.document().generate.names().collect();
    requests.sort_by_key(|request| written.iter().position(|name| *name == request.name));
    filler.faults.into_result(requests)
}

/// The scenes that are shown, and where those with a name start.
#[derive(Default)]
struct Shown {
    scenes: Vec<Scene>,
    frames: u64,
    starts: BTreeMap<String, Time>,
}

impl Filler<'_> {
    /// Adds `scene` as often as it is shown.
    fn scenes(&mut self, scene: &WrittenScene, shown: &mut Shown) {
        self.each_turn(scene.repeat.as_ref(), |filler, index| {
            if scene.when.as_ref().and_then(|when| filler.get(when)).is_some_and(|when| !when.0) {
                return;
            }
            let Some(mut filled) = filler.scene(scene, shown.scenes.is_empty()) else { return };
            let start = filler.rate.time_of(shown.frames);
            if let Some(name) = &scene.name {
                shown.starts.entry(name.value.0.clone()).or_insert(start);
            }
            if let Some(index) = index {
                filled.name = format!("{}[{index}]", filled.name);
            }
            shown.frames += u64::from(filled.frames);
            if shown.frames > filler.rate.frames_in(Time::from_seconds(MAX_SECONDS)) {
                filler.stop(&scene.here, "the video becomes longer than one hour");
                return;
            }
            shown.scenes.push(filled);
        });
    }

    fn scene(&mut self, scene: &WrittenScene, first: bool) -> Option<Scene> {
        let frames = self.scene_frames(scene)?;
        let background = self.opt(&scene.background).map(|color| color.0);
        let transition = match &scene.transition {
            Some(Either::Full(crossfade)) if !first => self.transition(crossfade, frames),
            _ => None,
        };
        let span = FrameRange { start: 0, end: frames };
        let stage =
            Stage { width: self.width as f32, height: self.height as f32, scene_frames: frames, span };
        let mut layers = Vec::new();
        for layer in scene.layers.as_deref().unwrap_or_default() {
            self.layers(layer, &stage, &mut layers);
        }
        let name =
            scene.name.as_ref().map_or_else(|| scene.here.path.to_string(), |name| name.value.0.clone());
        Some(Scene { name, frames, background, layers, transition })
    }

    /// A fixed duration is the nearest number of frames; a fitted one covers what is said.
    fn scene_frames(&mut self, scene: &WrittenScene) -> Option<u32> {
        let (at, frames) = match &scene.duration {
            Either::Short(duration) => {
                let frames = match self.get(duration)?.0 {
                    Duration::Frames(frames) => frames.max(0) as u64,
                    Duration::Time(time) => self.rate.frames_in(time),
                };
                (&duration.at, frames)
            }
            Either::Full(fitted) => {
                let voice = self.get(&fitted.fit)?.0;
                let spoken = self.voice(&fitted.fit.at, &voice)?.duration;
                let pad = self.opt(&fitted.pad).map_or(Time::ZERO, |pad| self.time(pad.0));
                let min = self.opt(&fitted.min).map(|min| self.time(min.0));
                let max = self.opt(&fitted.max).map(|max| self.time(max.0));
                if let (Some(min), Some(max)) = (min, max)
                    && min > max
                {
                    self.faults.push(Fault::new(&fitted.here, "`max` is shorter than `min`"));
                    return None;
                }
                if let Some(max) = max
                    && spoken > max
                {
                    let message = format!(
                        "the voice `{voice}` speaks for {:.1} s, longer than the {:.1} s of `max`",
                        spoken.as_seconds(),
                        max.as_seconds()
                    );
                    self.warnings
                        .push(Fault::new(&fitted.here, message).hint("let it say less, or raise `max`"));
                }
                let length = min.map_or(spoken + pad, |min| min.max(spoken + pad));
                let length = max.map_or(length, |max| max.min(length));
                (&fitted.here, self.rate.frames_covering(length))
            }
        };
        let most = self.rate.frames_in(Time::from_seconds(MAX_SECONDS));
        match u32::try_from(frames) {
            Ok(frames) if frames >= 1 && u64::from(frames) <= most => Some(frames),
            _ => {
                let message = if frames == 0 {
                    "the scene is shorter than one frame"
                } else {
                    "the scene is longer than one hour"
                };
                self.faults.push(Fault::new(at, message));
                None
            }
        }
    }

    fn transition(&mut self, crossfade: &Crossfade, scene_frames: u32) -> Option<Transition> {
        let length = self.get(&crossfade.crossfade)?.0;
        let frames = self.rate.frames_in(self.time(length)).max(1);
        if frames > u64::from(scene_frames) {
            let fault = Fault::new(&crossfade.here, "the transition is longer than the scene that comes in");
            self.warnings.push(fault.hint("it ends with the scene"));
        }
        let easing =
            self.opt(&crossfade.ease).map_or(Easing::CubicBezier([0.42, 0.0, 0.58, 1.0]), |ease| ease.0);
        let frames = frames.min(u64::from(scene_frames)) as u32;
        Some(Transition { kind: TransitionKind::Crossfade, frames, easing })
    }
}
