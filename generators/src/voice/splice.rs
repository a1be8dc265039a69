//! A recording whose holes are spoken: what is spoken gets the loudness of the speech around it, and is joined to it without a click.

use ebur128::{EbuR128, Mode};
use vignette_signals::resample;
use vignette_templates::blob::Blob;
use vignette_templates::generate::{Hole, Recording, SpokenPhoneme, SpokenWord, Voice};
use vignette_templates::time::Time;

use super::wav::Sound;
use super::{align, words_of};

/// The longest recording, in seconds.
const LONGEST: usize = 900;
/// Cross-fades last so long, in milliseconds.
const FADE_MS: u32 = 10;
/// A cut is moved to the next rising zero crossing within so many milliseconds.
const REACH_MS: u32 = 5;
/// Silence that is left around what is spoken, in milliseconds: the fade, and as much again for soft first sounds.
const MARGIN_MS: u32 = 20;
/// So many seconds on each side of a hole say how loud it is there: what EBU Tech 3341 calls short-term.
const NEIGHBOURHOOD: usize = 3;
/// The most that what is spoken is turned up or down, in dB.
const MOST_GAIN: f64 = 20.0;
/// No sample that was turned up exceeds this.
const CEILING: f32 = 0.98;

/// The recording with its holes spoken; `spoken` has an entry for each hole, and `None` closes it.
///
/// Of the recording's words those stay whose middle is in no hole. Words of several letters groups ("welcome to our team")
/// share their time by length. The sound is mono at the recording's rate.
///
/// # Errors
/// What is wrong with the recording or with what is spoken.
pub(crate) fn splice(recording: &Recording, spoken: &[Option<Voice>]) -> Result<Voice, String> {
    let sound =
        Sound::from_wav(recording.audio.bytes()).map_err(|reason| format!("the recording: {reason}"))?;
    let rate = sound.rate;
    let length = sound.samples.len();
    if length > LONGEST * rate as usize {
        return Err(format!("the recording is longer than {} minutes; split it", LONGEST / 60));
    }
    let samples: Vec<f32> = sound.samples.iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
    let cuts = cuts(&samples, rate, &recording.holes)?;
    let fade = (rate * FADE_MS / 1000) as usize;

    let mut joined: Vec<f32> = Vec::with_capacity(length);
    let mut kept: Vec<Kept> = Vec::new();
    let (mut words, mut phonemes) = (Vec::new(), Vec::new());
    let mut from = 0;
    for (index, (start, end)) in cuts.iter().copied().enumerate() {
        keep(&samples, from, start, fade, &mut joined, &mut kept);
        if let Some(voice) = spoken.get(index).and_then(Option::as_ref) {
            let before = from.max(start.saturating_sub(NEIGHBOURHOOD * rate as usize))..start;
            let next = cuts.get(index + 1).map_or(length, |(next, _)| *next);
            let after = end..next.min(end + NEIGHBOURHOOD * rate as usize);
            let near = [&samples[before], &samples[after]].concat();
            let around = loudness(&near, rate).or_else(|| loudness(&samples, rate));
            let piece = Piece::of(voice, rate, around)?;
            let landed = append(&mut joined, &piece.samples, fade);
            let moved = |at: Time| at - piece.skipped + Time::from_samples(landed as u64, rate);
            words.extend(voice.words.iter().map(|word| SpokenWord {
                text: word.text.clone(),
                start: moved(word.start),
                end: moved(word.end),
            }));
            phonemes.extend(voice.phonemes.iter().map(|sound| SpokenPhoneme {
                phoneme: sound.phoneme.clone(),
                start: moved(sound.start),
                end: moved(sound.end),
            }));
        }
        from = end;
    }
    keep(&samples, from, length, fade, &mut joined, &mut kept);
    if joined.is_empty() {
        return Err("nothing is left of the recording".to_owned());
    }

    for word in &recording.words {
        words.extend(recorded(word, &recording.holes, &kept, rate));
    }
    let duration = Time::from_samples(joined.len() as u64, rate);
    for word in &mut words {
        word.start = word.start.max(Time::ZERO).min(duration);
        word.end = word.end.max(word.start).min(duration);
    }
    words.sort_by_key(|word| word.start);
    let samples = joined.iter().map(|value| (value * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16);
    let whole = Sound { rate, samples: samples.collect() };
    Ok(Voice { audio: Blob::new(whole.to_wav()), duration, words, phonemes })
}

/// Where each hole is cut, in samples: at a rising zero crossing beside the time that was given, so that waves meet in step.
fn cuts(samples: &[f32], rate: u32, holes: &[Hole]) -> Result<Vec<(usize, usize)>, String> {
    let length = samples.len();
    let reach = (rate * REACH_MS / 1000) as usize;
    let mut before = 0;
    let mut cuts = Vec::with_capacity(holes.len());
    for hole in holes {
        let at = |time: Time| usize::try_from(time.to_samples(rate)).unwrap_or(0);
        let (from, to) = (at(hole.from), at(hole.to));
        // As much as a time that was rounded to a millisecond may be wrong.
        if to > length + (rate / 1000) as usize {
            return Err(format!(
                "a hole ends at {:.2} s, and the recording lasts {:.2} s",
                hole.to.as_seconds(),
                length as f64 / f64::from(rate)
            ));
        }
        let start = crossing(samples, from.min(length), reach, before);
        let end = crossing(samples, to.min(length), reach, start);
        cuts.push((start, end));
        before = end;
    }
    Ok(cuts)
}

/// The rising zero crossing closest to `at`, not before `least`; `at` itself at the ends and where there is none.
fn crossing(samples: &[f32], at: usize, reach: usize, least: usize) -> usize {
    let at = at.max(least);
    if at == 0 || at >= samples.len() {
        return at.min(samples.len());
    }
    let rises = |place: &usize| {
        *place > least && *place < samples.len() && samples[place - 1] < 0.0 && samples[*place] >= 0.0
    };
    (0..=reach).flat_map(|step| [at.checked_sub(step), Some(at + step)]).flatten().find(rises).unwrap_or(at)
}

/// A stretch of the recording that is kept, and how far it was moved, in samples.
struct Kept {
    from: usize,
    to: usize,
    moved: i64,
}

/// Adds what the recording has from `from` to `to`, with half a fade more on each side.
fn keep(samples: &[f32], from: usize, to: usize, fade: usize, joined: &mut Vec<f32>, kept: &mut Vec<Kept>) {
    if from >= to {
        return;
    }
    let half = fade / 2;
    // At the recording's own ends there is nothing to fade with.
    let start = if from == 0 { 0 } else { from.saturating_sub(half) };
    let end = if to == samples.len() { to } else { (to + half).min(samples.len()) };
    let landed = append(joined, &samples[start..end], fade);
    kept.push(Kept { from, to, moved: landed as i64 - start as i64 });
}

/// Adds `piece`, whose first `fade` samples are mixed with the last ones that are there by an equal-power cross-fade: two sounds
/// that have nothing to do with each other then keep their energy. The result is where the piece begins.
fn append(joined: &mut Vec<f32>, piece: &[f32], fade: usize) -> usize {
    let overlap = fade.min(joined.len()).min(piece.len());
    let start = joined.len() - overlap;
    for (index, value) in piece[..overlap].iter().enumerate() {
        let turn = std::f32::consts::FRAC_PI_2 * (index as f32 + 0.5) / overlap as f32;
        let old = &mut joined[start + index];
        *old = *old * turn.cos() + value * turn.sin();
    }
    joined.extend_from_slice(&piece[overlap..]);
    start
}

/// What is spoken in a hole: at the recording's rate and loudness, without the silence around it.
struct Piece {
    samples: Vec<f32>,
    /// How much of the speech's beginning was left out.
    skipped: Time,
}

impl Piece {
    fn of(voice: &Voice, rate: u32, around: Option<f64>) -> Result<Piece, String> {
        let sound =
            Sound::from_wav(voice.audio.bytes()).map_err(|reason| format!("what is spoken: {reason}"))?;
        let (first, last) = sound.sounding().ok_or("what is spoken is silent")?;
        let margin = (sound.rate * MARGIN_MS / 1000) as usize;
        let start = first.saturating_sub(margin);
        let end = (last + margin).min(sound.samples.len());
        let trimmed: Vec<f32> =
            sound.samples[start..end].iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
        let mut samples = match sound.rate == rate {
            true => trimmed,
            false => resample(&trimmed, sound.rate, rate)?,
        };
        let own = loudness(&samples, rate);
        let gain = match (around, own) {
            (Some(around), Some(own)) => (around - own).clamp(-MOST_GAIN, MOST_GAIN),
            _ => 0.0,
        };
        let peak = samples.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let factor = 10_f32.powf(gain as f32 / 20.0);
        let factor =
            if peak * factor > CEILING { (CEILING / peak).min(factor).max(factor.min(1.0)) } else { factor };
        samples.iter_mut().for_each(|value| *value *= factor);
        Ok(Piece { samples, skipped: Time::from_samples(start as u64, sound.rate) })
    }
}

/// How loud the speech in `samples` is in LUFS (ITU-R BS.1770-5, mono): the gated loudness, so that pauses do not count, or of what
/// is too short for its blocks of 400 ms the loudness of what sounds. `None` when nothing does.
fn loudness(samples: &[f32], rate: u32) -> Option<f64> {
    let quantised =
        samples.iter().map(|value| (value * 32_768.0).clamp(-32_768.0, 32_767.0) as i16).collect();
    let (first, last) = Sound { rate, samples: quantised }.sounding()?;
    let heard = &samples[first..last];
    let milliseconds = (heard.len() as u64 * 1000 / u64::from(rate)) as u32;
    let level = if milliseconds >= 1000 {
        let mut meter = EbuR128::new(1, rate, Mode::I).ok()?;
        meter.add_frames_f32(heard).ok()?;
        meter.loudness_global().ok()?
    } else {
        let mut meter = EbuR128::new(1, rate, Mode::M).ok()?;
        meter.set_max_window(milliseconds.max(400)).ok()?;
        meter.add_frames_f32(heard).ok()?;
        meter.loudness_window(milliseconds.max(1)).ok()?
    };
    level.is_finite().then_some(level)
}

/// The words of one entry of a recording where they are heard now; nothing when they were cut out.
fn recorded(entry: &SpokenWord, holes: &[Hole], kept: &[Kept], rate: u32) -> Vec<SpokenWord> {
    let middle = entry.start + Time::from_ticks((entry.end - entry.start).ticks() / 2);
    if holes.iter().any(|hole| hole.from <= middle && middle < hole.to) {
        return Vec::new();
    }
    let at = |time: Time| usize::try_from(time.to_samples(rate)).unwrap_or(0);
    let place = at(middle);
    // A cut that was moved to a zero crossing may leave the middle just outside.
    let stretch = kept
        .iter()
        .min_by_key(|kept| if place < kept.from { kept.from - place } else { place.saturating_sub(kept.to) });
    let Some(stretch) = stretch else { return Vec::new() };
    let inside =
        |time: Time| (at(time).clamp(stretch.from, stretch.to) as i64 + stretch.moved).max(0) as usize;
    let words = words_of(&entry.text);
    let weights: Vec<f64> =
        words.iter().map(|word| 1.0 + word.chars().filter(|c| c.is_alphanumeric()).count() as f64).collect();
    let last: Vec<bool> = (1..=words.len()).map(|count| count == words.len()).collect();
    let spans = align::share(&[(inside(entry.start), inside(entry.end))], &weights, &last);
    words
        .into_iter()
        .zip(spans)
        .map(|(text, (start, end))| SpokenWord {
            text,
            start: Time::from_samples(start as u64, rate),
            end: Time::from_samples(end as u64, rate),
        })
        .collect()
}

#[cfg(test)]
mod tests;
