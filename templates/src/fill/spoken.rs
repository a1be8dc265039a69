//! Words on screen while a voice says them, the one that it says marked.

use super::captions::{by_length, columns, together, with_spaces};
use super::layer::Stage;
use super::scope::Filler;
use crate::template::layer::{Layer as WrittenLayer, Spoken};
use crate::template::scalar::VoiceName;
use crate::time::{FrameRange, Time};
use crate::units::Duration;
use crate::video::{Layer, LayerKind, Marked, Placement, TextBlock};

/// The most columns that show at a time when the template does not say.
const COLUMNS: u32 = 42;
/// How long words stay after they are said, unless others come.
const STAY: Time = Time::from_ticks(Time::TICKS_PER_SECOND / 2);

/// Words that show together, and when each is said, in time of the voice.
struct Phrase {
    /// Each with the space before it.
    words: Vec<(String, Time)>,
    start: Time,
    end: Time,
}

/// A phrase as it is drawn.
struct Drawn {
    placement: Placement,
    block: TextBlock,
    /// For each of its words the first and one past the last of its characters, white space aside.
    places: Vec<(u32, u32)>,
}

impl Filler<'_> {
    /// Adds a still text for each word that is said: nothing moves within it, so that equal ones share their picture.
    pub(super) fn spoken_layers(
        &mut self,
        layer: &WrittenLayer,
        spoken: &Spoken,
        stage: &Stage,
        out: &mut Vec<Layer>,
    ) {
        let (Some(VoiceName(name)), Some(first)) = (self.get(&spoken.voice), self.first_frame(layer, stage))
        else {
            return;
        };
        let Some(voice) = self.voice(&spoken.voice.at, &name) else { return };
        let most = self.opt(&spoken.max_chars).map_or(COLUMNS, |most| most.0) as usize;
        let color = self.opt(&spoken.color).map(|color| color.0);
        let skip = self.opt(&spoken.skip).map_or(Time::ZERO, |skip| self.time(skip.0));
        let said = self.said(&name).unwrap_or_default();
        let phrases: Vec<Phrase> = if voice.words.is_empty() {
            let pieces = by_length(voice.duration, &said);
            pieces
                .into_iter()
                .map(|(start, end, text)| Phrase { words: vec![(text, start)], start, end })
                .collect()
        } else {
            let spaced = with_spaces(&voice.words, &said);
            let range = together(&spaced, &|text| columns(text) <= most);
            range
                .into_iter()
                .map(|range| Phrase {
                    start: voice.words[range.start].start,
                    end: voice.words[range.end - 1].end,
                    words: range.map(|index| (spaced[index].clone(), voice.words[index].start)).collect(),
                })
                .collect()
        };
        // Without times of words none is marked.
        let color = color.filter(|_| !voice.words.is_empty());
        let frame = |filler: &Self, time: Time| {
            let passed = time - skip;
            let frames = filler.frames(Duration::Time(passed.max(Time::ZERO)));
            first + frames
        };
        for (index, phrase) in phrases.iter().enumerate() {
            if phrase.end <= skip {
                continue;
            }
            let until =
                phrases.get(index + 1).map_or(phrase.end + STAY, |next| next.start.min(phrase.end + STAY));
            let Some(Drawn { placement, block, places }) = self.drawn_phrase(layer, phrase, stage) else {
                return;
            };
            // Without a colour the words do not change while they show.
            let turns = if color.is_some() { phrase.words.len() } else { 1 };
            for (turn, (from, to)) in places.iter().copied().enumerate().take(turns) {
                let start = if turn == 0 { phrase.start } else { phrase.words[turn].1 };
                let end = match phrase.words.get(turn + 1) {
                    Some((_, next)) if color.is_some() => (*next).min(until),
                    _ => until,
                };
                let inside =
                    |frame: i64| frame.clamp(i64::from(stage.span.start), i64::from(stage.span.end)) as u32;
                let span = FrameRange { start: inside(frame(self, start)), end: inside(frame(self, end)) };
                if span.is_empty() {
                    continue;
                }
                if !self.has_room(layer) {
                    return;
                }
                let marked = color.map(|fill| Marked { from, to, fill });
                let kind = LayerKind::Text(TextBlock { marked, ..block.clone() });
                let clip = self.clip(layer, &placement, stage);
                let shadow = layer.shadow.as_ref().and_then(|shadow| self.shadow(shadow, stage));
                let motion = self.motion(layer, &placement, stage);
                out.push(Layer {
                    path: layer.here.path.to_string(),
                    personal: self.personal,
                    kind,
                    span,
                    placement,
                    motion,
                    enter: None,
                    exit: None,
                    clip,
                    shadow,
                });
            }
        }
    }

    /// A phrase as a text in its box.
    fn drawn_phrase(&mut self, layer: &WrittenLayer, phrase: &Phrase, stage: &Stage) -> Option<Drawn> {
        let mut placement = self.placement(layer, stage)?;
        let parts: Vec<String> = phrase.words.iter().map(|(word, _)| word.clone()).collect();
        let at = &layer.spoken.as_ref()?.here;
        let mut block = self.block(layer, at, &parts, stage, &mut placement)?;
        block.text = block.text.trim().to_owned();
        // As many characters as each word has once its case was changed.
        let style_changes = |filler: &mut Self, part: &String| {
            let mut aside = placement;
            filler.block(layer, at, std::slice::from_ref(part), stage, &mut aside).map(|block| block.text)
        };
        let mut passed = 0;
        let mut places = Vec::with_capacity(parts.len());
        for part in &parts {
            let letters = style_changes(self, part)?.chars().filter(|c| !c.is_whitespace()).count() as u32;
            places.push((passed, passed + letters));
            passed += letters;
        }
        Some(Drawn { placement, block, places })
    }
}
