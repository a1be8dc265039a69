//! Shapes of the mouth for what is spoken.

use crate::generate::SpokenPhoneme;
use crate::time::Time;

/// The fifteen shapes that face rigs know since the Oculus lip-sync reference: silence, and the shape of the lips and tongue for the
/// sounds that look alike.
pub const VISEMES: [&str; 15] =
    ["sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U"];

/// A shape of the mouth and when it shows, from the start of its clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpokenViseme {
    /// One of [`VISEMES`].
    pub viseme: &'static str,
    /// When it begins.
    pub start: Time,
    /// When the next one does.
    pub end: Time,
}

/// A pause that is shorter keeps the shape before it: a mouth does not close between two words.
const PAUSE: Time = Time::from_ticks(Time::TICKS_PER_SECOND / 10);
/// What is shorter is not seen, and goes to the shape before it.
const SHORTEST: Time = Time::from_ticks(Time::TICKS_PER_SECOND / 50);

/// The shapes of a mouth that speaks `phonemes` for `duration`: without gaps from 0 to its end, no two alike in a row. Empty when
/// no phoneme is known.
///
/// Phonemes are those of [`crate::pronunciation`] and other letters of the International Phonetic Alphabet; what is
/// neither keeps the shape before it. A diphthong is two shapes of half its time each.
pub fn visemes(phonemes: &[SpokenPhoneme], duration: Time) -> Vec<SpokenViseme> {
    let mut shapes: Vec<SpokenViseme> = Vec::new();
    let mut add = |viseme: &'static str, start: Time, end: Time| {
        let start = start.max(Time::ZERO).min(duration);
        let end = end.min(duration);
        let seen = end - start >= SHORTEST;
        match shapes.last_mut() {
            _ if end <= start => {}
            // Nothing is left between two shapes, whoever measured them.
            Some(last) if last.viseme == viseme || !seen => last.end = end.max(last.end),
            Some(last) => {
                let start = start.max(last.start + SHORTEST);
                if start < end {
                    last.end = start;
                    shapes.push(SpokenViseme { viseme, start, end });
                } else {
                    last.end = end.max(last.end);
                }
            }
            None => shapes.push(SpokenViseme { viseme, start, end }),
        }
    };
    let mut passed = Time::ZERO;
    for sound in phonemes {
        let [first, second] = shapes_of(&sound.phoneme);
        if sound.start - passed >= PAUSE {
            add("sil", passed, sound.start);
        }
        let middle = sound.start + Time::from_ticks((sound.end - sound.start).ticks() / 2);
        match (first, second) {
            (Some(first), Some(second)) => {
                add(first, sound.start, middle);
                add(second, middle, sound.end);
            }
            (Some(only), None) => add(only, sound.start, sound.end),
            (None, _) => {}
        }
        passed = passed.max(sound.end);
    }
    if shapes.is_empty() {
        return Vec::new();
    }
    if duration - passed >= SHORTEST {
        let from = passed.max(shapes.last().map_or(Time::ZERO, |last| last.start));
        if let Some(last) = shapes.last_mut() {
            last.end = from;
        }
        shapes.push(SpokenViseme { viseme: "sil", start: from, end: duration });
    } else if let Some(last) = shapes.last_mut() {
        last.end = duration;
    }
    match shapes.first().map(|first| first.start) {
        Some(start) if start >= SHORTEST => {
            shapes.insert(0, SpokenViseme { viseme: "sil", start: Time::ZERO, end: start });
        }
        _ => {
            if let Some(first) = shapes.first_mut() {
                first.start = Time::ZERO;
            }
        }
    }
    // What was made longer by a short sound may now touch its like.
    shapes.dedup_by(|next, before| {
        let same = next.viseme == before.viseme;
        if same {
            before.end = next.end;
        }
        same
    });
    shapes
}

/// The one or two shapes of a phoneme.
fn shapes_of(phoneme: &str) -> [Option<&'static str>; 2] {
    let mut letters = phoneme.chars().filter_map(shape_of);
    match (phoneme, letters.next()) {
        // Voices for English write a diphthong as one capital.
        ("A", _) => [Some("E"), Some("I")],
        ("I", _) => [Some("aa"), Some("I")],
        ("O", _) => [Some("O"), Some("U")],
        ("W", _) => [Some("aa"), Some("U")],
        ("Y", _) => [Some("O"), Some("I")],
        (_, first) => [first, letters.next().filter(|second| Some(*second) != first)],
    }
}

fn shape_of(letter: char) -> Option<&'static str> {
    Some(match letter {
        'p' | 'b' | 'm' => "PP",
        'f' | 'v' => "FF",
        'θ' | 'ð' => "TH",
        't' | 'd' | 'ɾ' | 'ʈ' | 'ɖ' => "DD",
        'k' | 'g' | 'ɡ' | 'ŋ' | 'h' | 'x' | 'q' | 'ɣ' | 'ç' | 'χ' | 'ħ' | 'ɦ' => "kk",
        'ʧ' | 'ʤ' | 'ʃ' | 'ʒ' | 'ɕ' | 'ʂ' | 'ʐ' => "CH",
        's' | 'z' => "SS",
        'n' | 'l' | 'ɲ' | 'ɫ' | 'ʎ' => "nn",
        'ɹ' | 'r' | 'ɜ' | 'ɝ' | 'ɚ' | 'ʁ' | 'ʀ' => "RR",
        'æ' | 'ɑ' | 'a' | 'ʌ' | 'ə' | 'ᵊ' | 'ɐ' => "aa",
        'ɛ' | 'e' => "E",
        'i' | 'ɪ' | 'ᵻ' | 'j' | 'ɨ' | 'y' => "I",
        'ɔ' | 'o' | 'ɒ' | 'ø' | 'œ' => "O",
        'u' | 'ʊ' | 'w' | 'ɯ' => "U",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pronunciation;

    fn at(milliseconds: i64) -> Time {
        Time::from_ticks(Time::TICKS_PER_SECOND / 1000 * milliseconds)
    }

    fn spoken(phonemes: &[(&str, i64, i64)], duration: i64) -> Vec<(&'static str, i64, i64)> {
        let phonemes: Vec<SpokenPhoneme> = phonemes
            .iter()
            .map(|(phoneme, start, end)| SpokenPhoneme {
                phoneme: (*phoneme).into(),
                start: at(*start),
                end: at(*end),
            })
            .collect();
        let milliseconds = |time: Time| time.ticks() * 1000 / Time::TICKS_PER_SECOND;
        visemes(&phonemes, at(duration))
            .into_iter()
            .map(|shape| (shape.viseme, milliseconds(shape.start), milliseconds(shape.end)))
            .collect()
    }

    #[test]
    fn shapes_follow_the_sounds() {
        // "my pal": a diphthong, a short gap, a long pause.
        let sounds = [("m", 100, 200), ("I", 200, 400), ("p", 430, 500), ("æ", 500, 600), ("l", 900, 1000)];
        assert_eq!(
            spoken(&sounds, 1200),
            [
                ("sil", 0, 100),
                ("PP", 100, 200),
                ("aa", 200, 300),
                ("I", 300, 430),
                ("PP", 430, 500),
                ("aa", 500, 600),
                ("sil", 600, 900),
                ("nn", 900, 1000),
                ("sil", 1000, 1200),
            ]
        );
        assert_eq!(spoken(&[], 1000), []);
        assert_eq!(spoken(&[("ˈ", 0, 500)], 1000), []);
        // Sounds that look alike are one shape; what nobody sees is none.
        assert_eq!(
            spoken(&[("t", 0, 100), ("d", 100, 200), ("s", 200, 210), ("i", 210, 400)], 405),
            [("DD", 0, 210), ("I", 210, 405)]
        );
    }

    #[test]
    fn shapes_lie_side_by_side_whatever_the_sounds() {
        let mut state = 7u64;
        let mut next = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % most) as i64
        };
        let letters = ["m", "A", "ʃ", "W", "ˈ", "ɹ", "iː", "tʃ"];
        for _ in 0..300 {
            let mut from = 0;
            let sounds: Vec<(&str, i64, i64)> = (0..next(12))
                .map(|_| {
                    from += next(150);
                    let sound = (letters[next(8) as usize], from, from + next(120));
                    from += next(60);
                    sound
                })
                .collect();
            let shapes = spoken(&sounds, 900);
            assert!(
                shapes.windows(2).all(|pair| pair[0].2 == pair[1].1 && pair[0].0 != pair[1].0),
                "{shapes:?}"
            );
            assert!(shapes.iter().all(|(_, start, end)| start < end), "{shapes:?}");
            if let (Some(first), Some(last)) = (shapes.first(), shapes.last()) {
                assert_eq!((first.1, last.2), (0, 900), "{shapes:?}");
            }
        }
    }

    #[test]
    fn every_phoneme_of_english_has_a_shape() {
        let all = pronunciation::phonemes("/bdfhjklmnpstvwzɡŋɹʃʒðθʧʤɾiɪɛæɑɔʊuʌəᵊᵻɜ/").unwrap();
        for c in all.chars().chain("AIOWY".chars()).filter(|c| !"ˈˌ ".contains(*c)) {
            let [first, _] = shapes_of(&c.to_string());
            assert!(first.is_some_and(|shape| VISEMES.contains(&shape) && shape != "sil"), "{c}");
        }
    }
}
