//! Captions: written in the template, or made of what a voice says.

use std::ops::Range;

use super::Shown;
use super::scope::Filler;
use super::sound::Moment;
use crate::generate::{SpokenWord, Voice};
use crate::template::document::{Caption, CaptionSource};
use crate::template::read::Either;
use crate::template::scalar::VoiceName;
use crate::template::written::Form;
use crate::time::Time;
use crate::video::{AudioClip, Cue};

/// The widest line, in columns; a Chinese, Japanese or Korean character takes two.
const LINE: usize = 42;
/// A cue that is shorter stays until it can be read, where there is room.
const SHORTEST: Time = Time::from_ticks(Time::TICKS_PER_SECOND * 5 / 6);

impl Filler<'_> {
    /// Every caption, in order of time, none over another.
    pub(super) fn captions(&mut self, shown: &Shown, audio: &[AudioClip]) -> Vec<Cue> {
        let document = self.template.document();
        let mut cues = match &document.captions {
            None => return Vec::new(),
            Some(Either::Short(list)) => {
                list.iter().filter_map(|caption| self.caption(caption, shown)).collect()
            }
            Some(Either::Full(source)) => self.spoken(source, audio),
        };
        let end = self.rate.time_of(shown.frames);
        cues.sort_by_key(|cue| cue.start);
        for index in 0..cues.len() {
            let next = cues.get(index + 1).map_or(end, |next| next.start.min(end));
            let cue = &mut cues[index];
            cue.end = cue.end.max(cue.start + SHORTEST).min(next);
        }
        cues.retain(|cue| cue.start < cue.end && !cue.text.trim().is_empty());
        cues
    }

    fn caption(&mut self, caption: &Caption, shown: &Shown) -> Option<Cue> {
        if self.opt(&caption.when).is_some_and(|when| !when.0) {
            return None;
        }
        let start = match &caption.at {
            Either::Short(start) => self.start(start, shown)?,
            Either::Full(after) => self.after(after, shown)?,
        };
        let Moment::At(start) = start else { return None };
        let length = self.get(&caption.r#for)?;
        let text = self.get(&caption.text)?.0;
        Some(Cue { start, end: start + self.time(length.0), text })
    }

    /// What the voice says, wherever it is heard.
    fn spoken(&mut self, source: &CaptionSource, audio: &[AudioClip]) -> Vec<Cue> {
        let Some(VoiceName(name)) = self.get(&source.from) else { return Vec::new() };
        let Some(voice) = self.voice_of(&name) else { return Vec::new() };
        let digest = voice.audio.digest();
        let said = self.said(&name).unwrap_or_default();
        let mut cues = Vec::new();
        for clip in audio.iter().filter(|clip| clip.asset == digest) {
            let heard_until =
                clip.duration.map_or(voice.duration, |length| length + clip.skip).min(voice.duration);
            for (start, end, text) in phrases(voice, &said) {
                if start >= clip.skip && start < heard_until {
                    let moved = clip.start - clip.skip;
                    cues.push(Cue { start: moved + start, end: moved + end.min(heard_until), text });
                }
            }
        }
        cues
    }

    /// The words that the voice was asked to speak.
    pub(super) fn said(&mut self, name: &str) -> Option<String> {
        let document = self.template.document();
        // Of a recording only the words are known, not what stands between them.
        let say = document.generate.get(name)?.voice.as_ref()?.say.as_ref()?;
        match &say.form {
            Form::Plain(text) => Some(text.0.clone()),
            Form::Expression { .. } => self.get(say).map(|text| text.0),
        }
    }
}

/// What is said, in pieces that fit on two lines, each with its time in the voice.
fn phrases(voice: &Voice, said: &str) -> Vec<(Time, Time, String)> {
    if voice.words.is_empty() {
        return by_length(voice.duration, said);
    }
    let spaced = with_spaces(&voice.words, said);
    together(&spaced, &fits)
        .into_iter()
        .map(|words| {
            let (first, last) = (&voice.words[words.start], &voice.words[words.end - 1]);
            (first.start, last.end.max(first.start), lines(spaced[words].concat().trim()))
        })
        .collect()
}

/// Which words show together: up to the end of a sentence, or as many as fit; none is empty.
pub(super) fn together(spaced: &[String], fits: &dyn Fn(&str) -> bool) -> Vec<Range<usize>> {
    let mut phrases = Vec::new();
    let mut from = 0;
    for until in 1..=spaced.len() {
        let ends = until == spaced.len()
            || ends_sentence(&spaced[until - 1])
            || !fits(spaced[from..=until].concat().trim());
        if ends {
            phrases.push(from..until);
            from = until;
        }
    }
    phrases
}

/// Each word with the space before it, as the text has it: there is none in Japanese.
pub(super) fn with_spaces(words: &[SpokenWord], said: &str) -> Vec<String> {
    let mut rest = said;
    let mut spaced = Vec::with_capacity(words.len());
    for (index, word) in words.iter().enumerate() {
        let gap = match rest.find(word.text.as_str()) {
            // A word found far away is another one of the same spelling.
            Some(place) if rest[..place].chars().count() <= 8 => {
                let gap = &rest[..place];
                rest = &rest[place + word.text.len()..];
                gap.to_owned()
            }
            _ => " ".to_owned(),
        };
        let gap = if index == 0 { String::new() } else { gap };
        spaced.push(format!("{gap}{}", word.text));
    }
    spaced
}

/// Splits what is said by sentence and length, and gives each piece its share of the time.
pub(super) fn by_length(duration: Time, said: &str) -> Vec<(Time, Time, String)> {
    let mut pieces: Vec<String> = Vec::new();
    let mut piece = String::new();
    for unit in units(said) {
        if !piece.trim().is_empty() && !fits(format!("{piece}{unit}").trim()) {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.push_str(&unit);
        if ends_sentence(&unit) {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| !piece.trim().is_empty());
    let total: usize = pieces.iter().map(|piece| columns(piece.trim())).sum();
    let at = |before: usize| {
        Time::from_ticks((i128::from(duration.ticks()) * before as i128 / total.max(1) as i128) as i64)
    };
    let mut before = 0;
    let mut phrases = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let after = before + columns(piece.trim());
        phrases.push((at(before), at(after), lines(piece.trim())));
        before = after;
    }
    phrases
}

/// The smallest pieces that a line may break between: words with the space after them, and single wide characters.
fn units(text: &str) -> Vec<String> {
    let mut units: Vec<String> = Vec::new();
    let mut open = false;
    for character in text.chars() {
        let joins = open && !is_wide(character) || is_closing(character);
        match units.last_mut() {
            Some(unit) if joins => unit.push(character),
            _ => units.push(character.to_string()),
        }
        open = !character.is_whitespace() && !is_wide(character);
        if character.is_whitespace() {
            open = false;
        }
    }
    units
}

fn is_closing(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '。' | '、' | '！' | '？' | '，' | '」' | '』' | '）' | '.' | ',' | '!' | '?')
}

fn is_wide(character: char) -> bool {
    matches!(character, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ff60}' | '\u{20000}'..='\u{3fffd}')
}

pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|character| if is_wide(character) { 2 } else { 1 }).sum()
}

fn ends_sentence(text: &str) -> bool {
    let text = text.trim_end().trim_end_matches(['"', '\'', '”', '’', '»', ')', '」', '』', '）']);
    text.ends_with(['.', '!', '?', '…', '。', '！', '？', '؟', '।', '۔', '։'])
}

/// Whether `text` finds room on two lines.
fn fits(text: &str) -> bool {
    // Longer than two lines with the space between them cannot fit, which also bounds the search for a split.
    columns(text) <= 2 * LINE + 1 && lines(text).lines().all(|line| columns(line) <= LINE)
}

/// `text` on one line, or on two that are about as long as each other.
fn lines(text: &str) -> String {
    if columns(text) <= LINE {
        return text.to_owned();
    }
    let units = units(text);
    let mut best: Option<(usize, usize)> = None;
    for split in 1..units.len() {
        let (first, second) = (units[..split].concat(), units[split..].concat());
        let longer = columns(first.trim_end()).max(columns(second.trim()));
        if best.is_none_or(|(least, _)| longer < least) {
            best = Some((longer, split));
        }
    }
    match best {
        Some((_, split)) => {
            format!("{}\n{}", units[..split].concat().trim_end(), units[split..].concat().trim())
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Blob;

    fn voice(words: &[(&str, i64, i64)], seconds: i64) -> Voice {
        let words = words.iter().map(|(text, start, end)| SpokenWord {
            text: (*text).into(),
            start: Time::from_seconds(*start),
            end: Time::from_seconds(*end),
        });
        Voice {
            audio: Blob::new(&b"RIFF"[..]),
            duration: Time::from_seconds(seconds),
            words: words.collect(),
            phonemes: Vec::new(),
        }
    }

    #[test]
    fn words_become_sentences_on_at_most_two_lines() {
        let voice = voice(&[("Hello", 0, 1), ("Maria.", 1, 2), ("Good", 3, 4), ("day!", 4, 5)], 6);
        let found = phrases(&voice, "Hello Maria. Good day!");
        let expected = [(0, 2, "Hello Maria."), (3, 5, "Good day!")];
        let expected =
            expected.map(|(a, b, text)| (Time::from_seconds(a), Time::from_seconds(b), text.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn speech_without_word_times_is_split_by_length() {
        let voice = voice(&[], 10);
        let found = phrases(&voice, "One two three. Four five six.");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].0, found[1].1), (Time::ZERO, Time::from_seconds(10)));
        assert_eq!(found[0].1, found[1].0);
        let long = "word ".repeat(60);
        for (_, _, text) in phrases(&voice, &long) {
            assert!(text.lines().count() <= 2 && text.lines().all(|line| columns(line) <= LINE), "{text}");
        }
        let japanese =
            "今日は田中さんの学習の進み具合を一緒に見ていきましょう。とてもよくできました。".repeat(4);
        let found = phrases(&voice, &japanese);
        assert!(
            found.iter().all(|(_, _, text)| text.lines().all(|line| columns(line) <= LINE + 2)),
            "{found:?}"
        );
        let joined: String = found.iter().map(|(_, _, text)| text.replace('\n', "")).collect();
        assert_eq!(joined, japanese);
    }

    #[test]
    fn words_without_spaces_stay_without() {
        let voice = voice(&[("こんにちは", 0, 1), ("田中さん。", 1, 2)], 2);
        assert_eq!(phrases(&voice, "こんにちは田中さん。")[0].2, "こんにちは田中さん。");
    }
}
