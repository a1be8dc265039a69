//! Sounds: which are heard, and when.

use super::Shown;
use super::scope::Filler;
use crate::fault::Fault;
use crate::generate::Voice;
use crate::template::document::{AfterScene, Duck as WrittenDuck, Sound};
use crate::template::read::Either;
use crate::template::scalar::{NameKind, SceneName, Start, Under};
use crate::template::written::Written;
use crate::time::Time;
use crate::video::{AudioClip, AudioRole, Duck, Mastering};

/// By how many decibels a sound ducks when the template does not say, and how fast.
const DUCK_DB: f32 = 9.0;
const ATTACK: Time = Time::from_ticks(Time::TICKS_PER_SECOND / 20);
const RELEASE: Time = Time::from_ticks(Time::TICKS_PER_SECOND * 2 / 5);

/// When something starts.
pub(super) enum Moment {
    /// At this time of the video.
    At(Time),
    /// Never: its scene is not shown to this viewer.
    Never,
}

impl<'a> Filler<'a> {
    /// Every sound that is heard.
    pub(super) fn sounds(&mut self, shown: &Shown) -> Vec<AudioClip> {
        let document = self.template.document();
        document.sounds().iter().filter_map(|sound| self.sound(sound, shown)).collect()
    }

    /// How loud they are together.
    pub(super) fn mastering(&mut self) -> Mastering {
        let document = self.template.document();
        let Some(Either::Full(programme)) = &document.audio else { return Mastering::default() };
        let usual = Mastering::default();
        Mastering {
            loudness: self.opt(&programme.loudness).map(|loudness| loudness.0),
            true_peak: self.opt(&programme.true_peak).map_or(usual.true_peak, |peak| peak.0),
        }
    }

    fn sound(&mut self, sound: &'a Sound, shown: &Shown) -> Option<AudioClip> {
        if self.opt(&sound.when).is_some_and(|when| !when.0) {
            return None;
        }
        let start = match &sound.at {
            None => Moment::At(Time::ZERO),
            Some(Either::Short(start)) => self.start(start, shown)?,
            Some(Either::Full(after)) => self.after(after, shown)?,
        };
        let Moment::At(start) = start else { return None };
        let (asset, role) = match (&sound.voice, &sound.asset) {
            (Some(written), _) => {
                let name = self.get(written)?.0;
                (self.voice_file(&written.at, &name)?.0, AudioRole::Voice)
            }
            (None, Some(written)) => {
                let name = self.get(written)?.0;
                (self.asset(&written.at, NameKind::Sound, &name)?, AudioRole::Sound)
            }
            (None, None) => return None,
        };
        let end = self.rate.time_of(shown.frames);
        if start >= end {
            self.warnings
                .push(Fault::new(&sound.here, "the sound is never heard: the video ends before it starts"));
            return None;
        }
        let duration = self.opt(&sound.r#for).map(|length| self.time(length.0));
        let pause = |filler: &mut Self, written| {
            filler
                .opt(written)
                .map_or(Time::ZERO, |pause: crate::template::scalar::Pause| filler.time(pause.0))
        };
        let (fade_in, fade_out, skip) =
            (pause(self, &sound.fade_in), pause(self, &sound.fade_out), pause(self, &sound.skip));
        let duck = sound.duck.as_ref().and_then(|duck| self.duck(duck));
        Some(AudioClip {
            path: sound.here.path.to_string(),
            asset,
            role,
            start,
            skip,
            duration,
            repeat: self.opt(&sound.r#loop).is_some_and(|repeat| repeat.0),
            gain_db: self.opt(&sound.gain).map_or(0.0, |gain| gain.0),
            fade_in,
            fade_out,
            duck,
        })
    }

    /// How a sound becomes softer; `None` after a fault.
    fn duck(&mut self, duck: &WrittenDuck) -> Option<Duck> {
        let under = match self.get(&duck.under)? {
            Under::Voices => None,
            Under::Voice(name) => Some(self.voice(&duck.under.at, &name)?.audio.digest()),
        };
        let by_db = self.opt(&duck.by).map_or(DUCK_DB, |by| by.0);
        let attack = self.opt(&duck.attack).map_or(ATTACK, |attack| self.time(attack.0));
        let release = self.opt(&duck.release).map_or(RELEASE, |release| self.time(release.0));
        (by_db > 0.0).then_some(Duck { under, by_db, attack, release })
    }

    /// A time in the video, or the start of a scene; `None` after a fault.
    pub(super) fn start(&mut self, start: &Written<Start>, shown: &Shown) -> Option<Moment> {
        match self.get(start)? {
            Start::Time(duration) => {
                let time = self.time(duration);
                let end = self.rate.time_of(shown.frames);
                let time = if time < Time::ZERO { end + time } else { time };
                Some(Moment::At(time.max(Time::ZERO)))
            }
            Start::Scene(name) => self.scene_start(&start.at, &name, shown),
        }
    }

    /// A time after the start of a scene; `None` after a fault.
    pub(super) fn after(&mut self, after: &AfterScene, shown: &Shown) -> Option<Moment> {
        let SceneName(name) = self.get(&after.scene)?;
        let offset = self.opt(&after.after).map_or(Time::ZERO, |offset| self.time(offset.0));
        Some(match self.scene_start(&after.scene.at, &name, shown)? {
            Moment::At(time) => Moment::At((time + offset).max(Time::ZERO)),
            Moment::Never => Moment::Never,
        })
    }

    fn scene_start(&mut self, at: &crate::fault::At, name: &str, shown: &Shown) -> Option<Moment> {
        if let Some(time) = shown.starts.get(name) {
            return Some(Moment::At(*time));
        }
        match crate::check::name_of(self.template.document(), self.world, NameKind::Scene, name) {
            Ok(()) => Some(Moment::Never),
            Err((message, hint)) => {
                self.faults.push(Fault::new(at, message).hint_if(hint));
                None
            }
        }
    }

    /// The generated voice whose sound `clip` is, with its name.
    pub(super) fn voice_of(&self, name: &str) -> Option<&'a Voice> {
        match &self.generated.get(name)?.value {
            crate::generate::GeneratedValue::Voice(voice) => Some(voice),
            _ => None,
        }
    }
}
