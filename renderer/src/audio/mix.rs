//! Clips to one programme.

use std::collections::BTreeMap;
use std::sync::Arc;

use vignette_templates::blob::Digest;
use vignette_templates::time::Time;
use vignette_templates::video::{AudioClip, AudioRole, Duck, Mastering, Video};

use super::limit::limit;
use super::loudness::integrated_loudness;
use super::{Pcm, SAMPLE_RATE};

/// The most that speech is turned up or down for it, in dB.
const MOST_CORRECTION: f64 = 20.0;
/// The most that the whole programme is turned up or down to its loudness, in dB.
const MOST_MASTERING: f64 = 30.0;
/// The programme's loudness is right within this, in LU. Limiting peaks makes it softer, which takes some tries to make up for.
const NEAR: f64 = 0.1;
const TRIES: usize = 4;
/// Frames per step of the ducking envelope: 1 ms.
const STEP: usize = SAMPLE_RATE as usize / 1000;
/// How long a pause in speech keeps others down, in steps.
const HOLD: usize = 300;
/// Speech sounds when its level over 10 ms is above this: -45 dBFS.
const SPEECH: f32 = 0.005_6;

/// Everything that is heard, from the first frame of the video to its last: 48 kHz, stereo, interleaved.
///
/// # Guarantees
/// Exactly as long as the video, rounded to a sample; no true peak is above that of its mastering.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Programme {
    /// Left and right in turn.
    pub samples: Vec<f32>,
}

impl Programme {
    /// Length in samples per channel.
    pub fn frames(&self) -> usize {
        self.samples.len() / 2
    }
}

/// Mixes the clips of `video` into one programme; `sounds` holds the decoded files by digest. A clip whose file is not there is
/// left out. Without clips the programme is silence of the video's length.
pub fn mix(video: &Video, sounds: &BTreeMap<Digest, Arc<Pcm>>) -> Programme {
    let total = usize::try_from(video.duration().to_samples(SAMPLE_RATE)).unwrap_or(0);
    let mut samples = vec![0.0f32; total * 2];
    let with_sound = |role: AudioRole| {
        let clips = video.audio.iter().filter(move |clip| clip.role == role);
        clips.filter_map(|clip| Some((clip, sounds.get(&clip.asset)?)))
    };
    let Mastering { loudness, true_peak } = video.mastering;
    let speech = f64::from(loudness.unwrap_or(Mastering::SPEECH));
    let speak = |under: Option<Digest>, samples: &mut [f32]| {
        for (clip, pcm) in with_sound(AudioRole::Voice) {
            if under.is_some_and(|under| under != clip.asset) {
                continue;
            }
            let placed = Placed::new(clip, pcm, total);
            let correction = integrated_loudness(placed.heard(pcm))
                .map_or(0.0, |loudness| (speech - loudness).clamp(-MOST_CORRECTION, MOST_CORRECTION));
            placed.add(clip, pcm, correction as f32, None, samples);
        }
    };
    speak(None, &mut samples);
    let mut envelopes: Vec<(Duck, Vec<f32>)> = Vec::new();
    let ducks = with_sound(AudioRole::Sound).filter_map(|(clip, _)| clip.duck);
    for duck in ducks.filter(|duck| duck.by_db > 0.0) {
        if envelopes.iter().any(|(known, _)| same_envelope(known, &duck)) {
            continue;
        }
        let envelope = match duck.under {
            None => ducking(&samples, &duck),
            under => {
                let mut voice = vec![0.0f32; total * 2];
                speak(under, &mut voice);
                ducking(&voice, &duck)
            }
        };
        envelopes.push((duck, envelope));
    }
    for (clip, pcm) in with_sound(AudioRole::Sound) {
        let ducking = clip.duck.and_then(|duck| {
            let known = envelopes.iter().find(|(known, _)| same_envelope(known, &duck))?;
            Some((duck.by_db, known.1.as_slice()))
        });
        Placed::new(clip, pcm, total).add(clip, pcm, 0.0, ducking, &mut samples);
    }
    let ceiling = from_db(true_peak.clamp(-60.0, 0.0));
    match loudness {
        None => limit(&mut samples, ceiling),
        Some(loudness) => samples = mastered(samples, f64::from(loudness), ceiling),
    }
    Programme { samples }
}

/// The whole brought to a loudness, its peaks limited.
fn mastered(samples: Vec<f32>, loudness: f64, ceiling: f32) -> Vec<f32> {
    let Some(own) = integrated_loudness(&samples) else { return samples };
    let mut gain = (loudness - own).clamp(-MOST_MASTERING, MOST_MASTERING);
    let mut mastered = Vec::new();
    for _ in 0..TRIES {
        let factor = from_db(gain as f32);
        mastered = samples.iter().map(|sample| sample * factor).collect();
        limit(&mut mastered, ceiling);
        let missing = integrated_loudness(&mastered).map_or(0.0, |reached| loudness - reached);
        if missing.abs() <= NEAR {
            break;
        }
        gain = (gain + missing).clamp(-MOST_MASTERING, MOST_MASTERING);
    }
    mastered
}

/// Whether two sounds go down and come back at the same times, by however much.
fn same_envelope(one: &Duck, other: &Duck) -> bool {
    (one.under, one.attack, one.release) == (other.under, other.attack, other.release)
}

/// Where a clip lies, in frames.
struct Placed {
    /// Its first frame in the programme.
    start: usize,
    /// How many frames of the programme it sounds.
    length: usize,
    /// Where in the file it begins, and where each repeat does.
    from: usize,
    /// How far its first frame lies before the programme's.
    lost: usize,
}

impl Placed {
    fn new(clip: &AudioClip, pcm: &Pcm, total: usize) -> Self {
        let frames = |time: Time| time.to_samples(SAMPLE_RATE);
        let from = (frames(clip.skip).max(0) as usize).min(pcm.frames());
        let available = pcm.frames() - from;
        let start = frames(clip.start);
        let (start, lost) = match start >= 0 {
            true => (usize::try_from(start).unwrap_or(usize::MAX).min(total), 0),
            false => (0, start.unsigned_abs() as usize),
        };
        let mut length = match (clip.repeat, available) {
            (_, 0) => 0,
            (true, _) => usize::MAX,
            (false, available) => available,
        };
        if let Some(duration) = clip.duration {
            length = length.min(frames(duration).max(0) as usize);
        }
        let length = length.saturating_sub(lost).min(total - start);
        Placed { start, length, from, lost }
    }

    /// The part of the file that is heard the first time through.
    fn heard<'a>(&self, pcm: &'a Pcm) -> &'a [f32] {
        let end = self.from.saturating_add(self.lost).saturating_add(self.length).min(pcm.frames());
        &pcm.samples[2 * self.from..2 * end]
    }

    fn add(
        &self,
        clip: &AudioClip,
        pcm: &Pcm,
        correction_db: f32,
        ducking: Option<(f32, &[f32])>,
        samples: &mut [f32],
    ) {
        if self.length == 0 {
            return;
        }
        let finite = |value: f32| if value.is_finite() { value } else { 0.0 };
        let gain = from_db((finite(clip.gain_db) + correction_db).clamp(-120.0, 40.0));
        let fade_in = clip.fade_in.to_samples(SAMPLE_RATE).max(0) as usize;
        let fade_out = clip.fade_out.to_samples(SAMPLE_RATE).max(0) as usize;
        let whole = self.lost + self.length;
        let source = &pcm.samples[2 * self.from..];
        let loop_length = source.len() / 2;
        let target = &mut samples[2 * self.start..2 * (self.start + self.length)];
        let mut ducked = (usize::MAX, 1.0);
        for (n, frame) in target.chunks_exact_mut(2).enumerate() {
            let at = self.lost + n;
            let mut level = gain;
            if at < fade_in {
                level *= raised_cosine((at as f32 + 0.5) / fade_in as f32);
            }
            if whole - at <= fade_out {
                level *= raised_cosine(((whole - at) as f32 - 0.5) / fade_out as f32);
            }
            if let Some((duck_db, envelope)) = ducking {
                let duck_db = finite(duck_db).clamp(0.0, 120.0);
                let step = (self.start + n) / STEP;
                // The envelope moves so little in a step that its gain is taken once, and on the way between two steps.
                let part = ((self.start + n) % STEP) as f32 / STEP as f32;
                let amount = |step: usize| envelope.get(step).or(envelope.last()).copied().unwrap_or(0.0);
                if ducked.0 != step {
                    ducked = (step, from_db(-duck_db * smooth(amount(step))));
                }
                let next = amount(step + 1);
                level *= match next == amount(step) {
                    true => ducked.1,
                    false => ducked.1 + (from_db(-duck_db * smooth(next)) - ducked.1) * part,
                };
            }
            let from = 2 * (at % loop_length);
            frame[0] += source[from] * level;
            frame[1] += source[from + 1] * level;
        }
    }
}

fn from_db(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

/// From 0 to 1 with level ends.
fn raised_cosine(part: f32) -> f32 {
    0.5 - 0.5 * (std::f32::consts::PI * part.clamp(0.0, 1.0)).cos()
}

fn smooth(amount: f32) -> f32 {
    amount * amount * (3.0 - 2.0 * amount)
}

/// How far other sounds are turned down for the speech in `voice`, 0 to 1, for each millisecond. It begins before speech does,
/// so that no first syllable is drowned, and stays through short pauses.
fn ducking(voice: &[f32], duck: &Duck) -> Vec<f32> {
    let in_steps = |time: Time| (time.to_samples(SAMPLE_RATE).max(0) as usize / STEP).max(1);
    let (attack, release) = (in_steps(duck.attack), in_steps(duck.release));
    let steps = voice.len().div_ceil(2 * STEP);
    let energy: Vec<f32> = voice
        .chunks(2 * STEP)
        .map(|part| part.iter().map(|value| value * value).sum::<f32>() / part.len() as f32)
        .collect();
    let mut speaks = vec![false; steps];
    for step in 0..steps {
        let around = &energy[step.saturating_sub(5)..(step + 5).min(steps)];
        let level = (around.iter().sum::<f32>() / around.len() as f32).sqrt();
        if level > SPEECH {
            // Early by the attack, so that it is over when speech begins; late by the hold.
            speaks[step] = true;
        }
    }
    let mut wanted = vec![false; steps];
    let mut until = 0;
    for (step, speaks) in speaks.iter().enumerate() {
        if *speaks {
            let from = step.saturating_sub(attack).max(until);
            until = (step + HOLD).min(steps);
            if from < until {
                wanted[from..until].fill(true);
            }
        }
    }
    let mut amount = if wanted.first() == Some(&true) { 1.0f32 } else { 0.0 };
    wanted
        .into_iter()
        .map(|wanted| {
            amount = match wanted {
                true => (amount + 1.0 / attack as f32).min(1.0),
                false => (amount - 1.0 / release as f32).max(0.0),
            };
            amount
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use vignette_templates::time::FrameRate;
    use vignette_templates::video::{Canvas, Color, Scene};

    use super::*;

    fn clip(asset: Digest, role: AudioRole) -> AudioClip {
        AudioClip {
            path: "audio[0]".into(),
            asset,
            role,
            start: Time::ZERO,
            skip: Time::ZERO,
            duration: None,
            repeat: false,
            gain_db: 0.0,
            fade_in: Time::ZERO,
            fade_out: Time::ZERO,
            duck: None,
        }
    }

    fn duck(under: Option<Digest>, by_db: f32) -> Duck {
        let milliseconds = |count: i64| Time::from_ticks(Time::TICKS_PER_SECOND / 1000 * count);
        Duck { under, by_db, attack: milliseconds(50), release: milliseconds(400) }
    }

    fn video(seconds: u32, audio: Vec<AudioClip>) -> Video {
        let black = Color { r: 0, g: 0, b: 0, a: 255 };
        let frame_rate = FrameRate::new(30, 1).expect("a rate");
        Video {
            name: "test".into(),
            canvas: Canvas { width: 64, height: 64, frame_rate, background: black },
            locale: "en".into(),
            scenes: vec![Scene {
                name: "only".into(),
                frames: 30 * seconds,
                background: None,
                layers: Vec::new(),
                transition: None,
            }],
            audio,
            captions: Vec::new(),
            mastering: Default::default(),
            assets: BTreeMap::new(),
            generated: BTreeMap::new(),
        }
    }

    fn tone(amplitude: f32, frames: usize) -> Pcm {
        Pcm { samples: (0..frames).flat_map(|n| [amplitude * (n as f32 * 0.13).sin(); 2]).collect() }
    }

    fn rms(samples: &[f32]) -> f32 {
        (samples.iter().map(|value| value * value).sum::<f32>() / samples.len() as f32).sqrt()
    }

    fn part(programme: &Programme, from_ms: usize, to_ms: usize) -> &[f32] {
        &programme.samples[from_ms * 96..to_ms * 96]
    }

    #[test]
    fn clips_are_placed_to_the_sample() {
        let name = Digest::of(b"steps");
        let file = Pcm { samples: (0..1000).flat_map(|n| [n as f32 / 2000.0; 2]).collect() };
        let sounds = BTreeMap::from([(name, Arc::new(file))]);
        let samples = |count: i64| Time::from_ticks(count * Time::TICKS_PER_SECOND / 48_000);
        let base = clip(name, AudioRole::Sound);
        for (label, clip, expected) in [
            (
                "at its start",
                AudioClip { start: samples(10), ..base.clone() },
                vec![(9, 0), (11, 1), (1009, 999), (1010, 0)],
            ),
            (
                "skipping",
                AudioClip { skip: samples(100), ..base.clone() },
                vec![(0, 100), (899, 999), (900, 0)],
            ),
            (
                "for a time",
                AudioClip { duration: Some(samples(50)), ..base.clone() },
                vec![(49, 49), (50, 0)],
            ),
            (
                "repeated",
                AudioClip { repeat: true, ..base.clone() },
                vec![(999, 999), (1000, 0), (47_999, 999)],
            ),
            (
                "begun earlier",
                AudioClip { start: samples(-10), ..base.clone() },
                vec![(0, 10), (989, 999), (990, 0)],
            ),
            (
                "after the end",
                AudioClip { start: Time::from_seconds(9), ..base.clone() },
                vec![(0, 0), (47_999, 0)],
            ),
            (
                "nothing left",
                AudioClip { skip: Time::from_seconds(9), repeat: true, ..base.clone() },
                vec![(0, 0)],
            ),
        ] {
            let programme = mix(&video(1, vec![clip]), &sounds);
            assert_eq!(programme.frames(), 48_000, "{label}");
            for (at, step) in expected {
                assert_eq!(programme.samples[2 * at], step as f32 / 2000.0, "{label}, frame {at}");
            }
        }
        assert_eq!(mix(&video(2, Vec::new()), &sounds).samples, vec![0.0; 192_000]);
    }

    #[test]
    fn sounds_fade_duck_and_stay_below_full_scale() {
        let (voice, music) = (Digest::of(b"voice"), Digest::of(b"music"));
        let sounds =
            BTreeMap::from([(voice, Arc::new(tone(0.02, 48_000))), (music, Arc::new(tone(0.1, 48_000)))]);
        let spoken = AudioClip { start: Time::from_seconds(2), ..clip(voice, AudioRole::Voice) };
        let under = AudioClip { repeat: true, duck: Some(duck(None, 12.0)), ..clip(music, AudioRole::Sound) };

        let alone = mix(&video(6, vec![spoken.clone()]), &sounds);
        let loudness = integrated_loudness(part(&alone, 2000, 3000)).unwrap_or(f64::NAN);
        assert!((loudness + 16.0).abs() < 0.5, "speech at {loudness} LUFS");

        let both = mix(&video(6, vec![spoken, under.clone()]), &sounds);
        let rest: Vec<f32> =
            both.samples.iter().zip(&alone.samples).map(|(both, voice)| both - voice).collect();
        let rest = Programme { samples: rest };
        let (before, during, after) =
            (rms(part(&rest, 500, 1500)), rms(part(&rest, 2050, 2950)), rms(part(&rest, 4500, 5500)));
        let down = 20.0 * (during / before).log10();
        assert!((down + 12.0).abs() < 0.5, "music went {down} dB");
        assert!((after / before - 1.0).abs() < 0.01, "music comes back: {before} {after}");
        assert!(rms(part(&rest, 2000, 2010)) < before * 0.3, "music is down when speech begins");

        let fading =
            AudioClip { fade_in: Time::from_seconds(1), fade_out: Time::from_seconds(1), ..under.clone() };
        let faded = mix(&video(4, vec![fading]), &sounds);
        let (start, middle, end) =
            (rms(part(&faded, 0, 20)), rms(part(&faded, 1500, 2500)), rms(part(&faded, 3980, 4000)));
        assert!(start < middle * 0.01 && end < middle * 0.01, "{start} {middle} {end}");
        assert!((rms(part(&faded, 490, 510)) / middle - 0.5).abs() < 0.02, "half way at half the time");

        let loud = mix(&video(2, vec![AudioClip { gain_db: 40.0, ..under }]), &sounds);
        let most = loud.samples.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        // Peaks between samples count, so the samples themselves stay a little lower.
        assert!(most <= 0.8913 && most > 0.75, "{most}");
    }

    #[test]
    fn a_sound_ducks_under_its_own_voice_at_its_own_pace() {
        let (one, other, music) = (Digest::of(b"one"), Digest::of(b"other"), Digest::of(b"music"));
        let sounds = BTreeMap::from([
            (one, Arc::new(tone(0.02, 48_000))),
            (other, Arc::new(tone(0.03, 48_000))),
            (music, Arc::new(tone(0.1, 48_000))),
        ]);
        let voice =
            |name, start| AudioClip { start: Time::from_seconds(start), ..clip(name, AudioRole::Voice) };
        let voices = vec![voice(one, 2), voice(other, 6)];
        let alone = mix(&video(10, voices.clone()), &sounds);
        let level = |duck: Duck| {
            let under = AudioClip { repeat: true, duck: Some(duck), ..clip(music, AudioRole::Sound) };
            let both = mix(&video(10, [voices.clone(), vec![under]].concat()), &sounds);
            let rest = both.samples.iter().zip(&alone.samples).map(|(both, voice)| both - voice);
            let rest = Programme { samples: rest.collect() };
            move |from: usize, to: usize| rms(part(&rest, from, to))
        };
        let under_one = level(duck(Some(one), 12.0));
        let (free, first, second) = (under_one(200, 1200), under_one(2100, 2900), under_one(6100, 6900));
        assert!(first < free * 0.3 && (second / free - 1.0).abs() < 0.02, "{free} {first} {second}");
        let under_any = level(duck(None, 12.0));
        assert!(under_any(2100, 2900) < free * 0.3 && under_any(6100, 6900) < free * 0.3);
        // A slow way down begins earlier, a slow way back takes longer.
        let slow =
            Duck { attack: Time::from_seconds(1), release: Time::from_seconds(2), ..duck(Some(one), 12.0) };
        let slow = level(slow);
        assert!(slow(1450, 1550) < free * 0.9 && under_one(1450, 1550) > free * 0.98);
        assert!(slow(2000, 2010) < free * 0.3, "it is down when speech begins");
        assert!(slow(4000, 4100) < free * 0.95 && under_one(4000, 4100) > free * 0.98);
    }

    #[test]
    fn the_whole_has_the_loudness_that_is_asked_for() {
        let (voice, music) = (Digest::of(b"voice"), Digest::of(b"music"));
        let sounds =
            BTreeMap::from([(voice, Arc::new(tone(0.02, 96_000))), (music, Arc::new(tone(0.1, 48_000)))]);
        for (name, loudness, true_peak) in [
            ("soft", -23.0, -1.0),
            ("usual", -16.0, -1.0),
            ("loud", -9.0, -2.0),
            ("beyond what peaks allow", -5.0, -6.0),
        ] {
            let clips = vec![
                AudioClip { start: Time::from_seconds(2), ..clip(voice, AudioRole::Voice) },
                AudioClip { repeat: true, gain_db: -6.0, ..clip(music, AudioRole::Sound) },
            ];
            let mastering = Mastering { loudness: Some(loudness), true_peak };
            let whole = mix(&Video { mastering, ..video(6, clips) }, &sounds);
            let own = integrated_loudness(&whole.samples).unwrap_or(f64::NAN);
            let peak = 20.0 * crate::audio::limit::true_peak(&whole.samples).log10();
            assert!(peak <= true_peak + 0.01, "{name}: {peak} dBTP");
            if name.starts_with("beyond") {
                assert!(own < f64::from(loudness), "{name}: {own} LUFS");
            } else {
                assert!((own - f64::from(loudness)).abs() < 0.2, "{name}: {own} LUFS");
            }
        }
        // Silence stays silence.
        let quiet =
            Video { mastering: Mastering { loudness: Some(-16.0), true_peak: -1.0 }, ..video(1, Vec::new()) };
        assert!(mix(&quiet, &sounds).samples.iter().all(|sample| *sample == 0.0));
    }
}
