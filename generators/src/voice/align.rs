//! When each word sounds.

/// A phoneme and its samples in the sound.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phone {
    pub(super) name: String,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Costs of the alignment: the same phoneme, another vowel for a vowel (vowels weaken in context), anything else,
/// and a phoneme on one side only.
const OTHER_VOWEL: u32 = 2;
const OTHER: u32 = 5;
const GAP: u32 = 3;

/// Each word's span, found by lining up the phonemes of the spoken text with those of each word spoken by itself.
///
/// Words said in a row differ a little from words said alone (reduced vowels, numbers read with their unit), so the two
/// sequences are aligned with least edits (Wagner and Fischer 1974) inside a band around the diagonal. `spoken` holds no
/// pauses, ascending. The result has one span for each of `words`, ascending; a word that left no phoneme gets an
/// empty span where the next begins.
pub(super) fn align(spoken: &[Phone], words: &[Vec<String>]) -> Vec<(usize, usize)> {
    let expected: Vec<(usize, &str)> = words
        .iter()
        .enumerate()
        .flat_map(|(word, phones)| phones.iter().map(move |phone| (word, phone.as_str())))
        .collect();
    let owners = owners(spoken, &expected);
    let end = spoken.last().map_or(0, |phone| phone.end);
    let mut spans: Vec<Option<(usize, usize)>> = vec![None; words.len()];
    for (phone, word) in spoken.iter().zip(owners) {
        if let Some(span) = spans.get_mut(word) {
            *span = Some(span.map_or((phone.start, phone.end), |(start, _)| (start, phone.end)));
        }
    }
    // From the back, so that a word without a sound knows where its successor begins.
    let mut next = end;
    let mut filled: Vec<(usize, usize)> = spans
        .into_iter()
        .rev()
        .map(|span| {
            let span = span.unwrap_or((next, next));
            next = span.0;
            span
        })
        .collect();
    filled.reverse();
    filled
}

/// For each spoken phoneme, the word it belongs to; never descending.
fn owners(spoken: &[Phone], expected: &[(usize, &str)]) -> Vec<usize> {
    let (rows, columns) = (spoken.len(), expected.len());
    let Some((last_word, _)) = expected.last() else { return vec![0; rows] };
    if rows == 0 {
        return Vec::new();
    }
    // The band: expected phonemes that may match a row lie around its share of the length. Wide enough for a sentence
    // to be read quite differently, narrow enough for a text of thousands of phonemes.
    let half = rows.abs_diff(columns) + 96;
    let band = |row: usize| {
        let middle = row * columns / rows;
        (middle.saturating_sub(half), (middle + half).min(columns))
    };
    let width = 2 * half + 2;
    let mut steps = vec![Step::Stop; (rows + 1) * width];
    let mut before: Vec<u32> = Vec::new();
    let mut before_from = 0;
    for row in 0..=rows {
        let (from, to) = band(row);
        let mut costs = Vec::with_capacity(to - from + 1);
        for column in from..=to {
            let above = |column: usize| {
                (row > 0 && column >= before_from)
                    .then(|| before.get(column - before_from))
                    .flatten()
                    .copied()
            };
            let mut best = if row == 0 && column == 0 { (0, Step::Stop) } else { (u32::MAX, Step::Stop) };
            if column > 0
                && let Some(cost) = above(column - 1)
            {
                let cost = cost.saturating_add(difference(&spoken[row - 1].name, expected[column - 1].1));
                best = best.min((cost, Step::Both));
            }
            if let Some(cost) = above(column) {
                best = best.min((cost.saturating_add(GAP), Step::Spoken));
            }
            if column > from
                && let Some(cost) = costs.last()
            {
                best = best.min((u32::saturating_add(*cost, GAP), Step::Expected));
            }
            steps[row * width + column - from] = best.1;
            costs.push(best.0);
        }
        (before, before_from) = (costs, from);
    }
    let mut owners = vec![0; rows];
    let (mut row, mut column) = (rows, columns);
    while row > 0 {
        let step = steps[row * width + column - band(row).0];
        // A phoneme that only the sentence has belongs to the word it follows, or to the first.
        let word = expected.get(column.saturating_sub(1)).map_or(*last_word, |(word, _)| *word);
        match step {
            Step::Both => {
                owners[row - 1] = word;
                (row, column) = (row - 1, column - 1);
            }
            Step::Expected => column -= 1,
            Step::Spoken | Step::Stop => {
                owners[row - 1] = word;
                row -= 1;
                column = column.clamp(band(row).0, band(row).1);
            }
        }
    }
    owners
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Both,
    Spoken,
    Expected,
    Stop,
}

fn difference(spoken: &str, expected: &str) -> u32 {
    let vowel = |phone: &str| phone.starts_with(['a', 'e', 'i', 'o', 'u']);
    if spoken == expected {
        0
    } else if vowel(spoken) && vowel(expected) {
        OTHER_VOWEL
    } else {
        OTHER
    }
}

/// Each word's span when no phoneme times are known: words share the stretches of sound by weight.
///
/// `spans` are the stretches, `weights` how long each word is relative to the others, and `pause_after` says which words
/// end with punctuation. Where the number of stretches is that of the phrases, each phrase keeps to its stretch;
/// otherwise the words flow through all stretches in turn.
pub(super) fn share(spans: &[(usize, usize)], weights: &[f64], pause_after: &[bool]) -> Vec<(usize, usize)> {
    let mut phrases: Vec<(usize, usize)> = Vec::new();
    let mut from = 0;
    for (index, pause) in pause_after.iter().enumerate() {
        if *pause || index + 1 == pause_after.len() {
            phrases.push((from, index + 1));
            from = index + 1;
        }
    }
    if phrases.len() == spans.len() {
        return phrases
            .iter()
            .zip(spans)
            .flat_map(|((from, to), span)| flow(&[*span], &weights[*from..*to]))
            .collect();
    }
    flow(spans, weights)
}

fn flow(spans: &[(usize, usize)], weights: &[f64]) -> Vec<(usize, usize)> {
    let sounding: usize = spans.iter().map(|(start, end)| end - start).sum();
    let total: f64 = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    // The sample at which `sounded` samples of sound have gone by; `opening` says whether a position between two
    // stretches is the start of the later one.
    let at = |sounded: usize, opening: bool| {
        let mut left = sounded;
        for (index, (start, end)) in spans.iter().enumerate() {
            let length = end - start;
            if left < length || (left == length && (!opening || index + 1 == spans.len())) {
                return start + left;
            }
            left -= length;
        }
        spans.last().map_or(0, |(_, end)| *end)
    };
    let mut gone = 0.0;
    weights
        .iter()
        .map(|weight| {
            let from = (gone / total * sounding as f64).round() as usize;
            gone += weight;
            let to = ((gone / total * sounding as f64).round() as usize).min(sounding);
            (at(from.min(sounding), true), at(to, false))
        })
        .map(|(start, end)| (start, end.max(start)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, what is spoken, each word alone, the spans that come out.
    type Row = (&'static str, &'static str, &'static str, &'static [(usize, usize)]);

    fn phones(text: &str) -> Vec<Phone> {
        text.split(' ')
            .enumerate()
            .map(|(n, name)| Phone { name: name.into(), start: n * 10, end: n * 10 + 10 })
            .collect()
    }

    fn words(text: &str) -> Vec<Vec<String>> {
        text.split('|').map(|word| word.split_whitespace().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn words_line_up() {
        let table: [Row; 6] = [
            ("the same", "hh ax l ow m er iy", "hh ax l ow|m er iy", &[(0, 40), (40, 70)]),
            ("a vowel weakened", "dh ax k ae t", "dh iy|k ae t", &[(0, 20), (20, 50)]),
            ("a sound more", "n ay n t iy n ay n s", "n ay n t iy|n ay n", &[(0, 50), (50, 90)]),
            ("a sound less", "w eh n t uw", "w eh n t|t uw", &[(0, 30), (30, 50)]),
            ("a silent word", "m ae p", "m ae p||", &[(0, 30), (30, 30), (30, 30)]),
            ("nothing spoken", "x", "", &[(0, 10)]),
        ];
        for (name, spoken, expected, spans) in table {
            assert_eq!(align(&phones(spoken), &words(expected)), *spans, "{name}");
        }
    }

    #[test]
    fn long_and_odd_input_stays_in_order() {
        let spoken = phones(&vec!["a b c d"; 1500].join(" "));
        let table = [
            ("equal", vec!["a b c d"; 1500].join("|")),
            ("other", vec!["x y"; 1500].join("|")),
            ("far less", "a b".to_owned()),
            ("far more", vec!["a b c d e f g"; 2000].join("|")),
        ];
        for (name, text) in table {
            let words = words(&text);
            let spans = align(&spoken, &words);
            assert_eq!(spans.len(), words.len(), "{name}");
            assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{name}");
            assert!(spans.iter().all(|(start, end)| start <= end), "{name}");
        }
    }

    #[test]
    fn sound_is_shared_by_weight() {
        let spans = [(100, 200), (300, 500)];
        let by_phrase = share(&spans, &[1.0, 1.0, 1.0, 3.0], &[false, true, false, true]);
        assert_eq!(by_phrase, vec![(100, 150), (150, 200), (300, 350), (350, 500)]);
        let flowing = share(&spans, &[1.0, 1.0, 1.0], &[false, false, true]);
        assert_eq!(flowing, vec![(100, 200), (300, 400), (400, 500)]);
        assert_eq!(share(&[], &[1.0], &[true]), vec![(0, 0)]);
        assert_eq!(share(&spans, &[], &[]), vec![]);
    }
}
