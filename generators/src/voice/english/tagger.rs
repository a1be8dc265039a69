//! Parts of speech, by which *live*, *read* and *use* are told apart.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// An averaged perceptron (Collins, "Discriminative training methods for hidden Markov models", 2002) over the tags of
/// the Penn Treebank. The weights are the installed model's; what the features are is decided by their names in there.
#[derive(Deserialize)]
pub(in crate::voice) struct Tagger {
    /// Words with one tag.
    #[serde(rename = "tagdict")]
    certain: HashMap<Box<str>, Box<str>>,
    tags: Vec<Box<str>>,
    /// Words that stand in features as they are; others by their shape.
    vocab: HashSet<Box<str>>,
    weights: HashMap<Box<str>, Weights>,
}

/// What one feature adds to which tags. There are a million of these, so that tags are kept as numbers.
struct Weights(Box<[(u64, f32)]>);

/// A tag's letters as one number; tags have at most five.
fn packed(tag: &str) -> u64 {
    tag.bytes().take(8).fold(0, |packed, byte| packed << 8 | u64::from(byte))
}

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Weights;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from tags to weights")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Weights, A::Error> {
                let mut weights = Vec::new();
                while let Some((tag, weight)) = map.next_entry::<Cow<'de, str>, f32>()? {
                    weights.push((packed(&tag), weight));
                }
                Ok(Weights(weights.into()))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl Tagger {
    /// The tag of each word of a sentence, marks being words.
    pub(in crate::voice) fn tags(&self, words: &[Cow<'_, str>]) -> Vec<&str> {
        let seen: Vec<Cow<'_, str>> = words.iter().map(|word| self.seen(word)).collect();
        let around = |index: usize, offset: isize| -> &str {
            match index.checked_add_signed(offset) {
                None if index == 0 && offset == -2 => "-START2-",
                None => "-START-",
                Some(at) => match seen.get(at) {
                    Some(word) => word,
                    None if at == seen.len() => "-END-",
                    None => "-END2-",
                },
            }
        };
        let mut tags: Vec<&str> = Vec::with_capacity(words.len());
        for (index, word) in words.iter().enumerate() {
            if let Some(tag) = self.certain.get(&**word) {
                tags.push(tag);
                continue;
            }
            let before = tags.last().copied().unwrap_or("-START-");
            let before_that = match index {
                0 => "-START2-",
                1 => "-START-",
                _ => tags[index - 2],
            };
            let first = word.chars().next().map(String::from).unwrap_or_default();
            let features = [
                "b".to_owned(),
                format!("s3={}", last_three(word)),
                format!("p1={first}"),
                format!("w={}", around(index, 0)),
                format!("sh={}", shape(word)),
                if index == 0 { "i0".to_owned() } else { "i+".to_owned() },
                format!("t-1={before}"),
                format!("t-2={before_that}"),
                format!("t-12={before},{before_that}"),
                format!("w-1={}", around(index, -1)),
                format!("s3-1={}", last_three(around(index, -1))),
                format!("w-2={}", around(index, -2)),
                format!("w+1={}", around(index, 1)),
                format!("s3+1={}", last_three(around(index, 1))),
                format!("w+2={}", around(index, 2)),
            ];
            let known: Vec<_> =
                features.iter().filter_map(|feature| self.weights.get(feature.as_str())).collect();
            let mut scores: HashMap<u64, f32> = HashMap::new();
            for (tag, weight) in known.iter().flat_map(|weights| &weights.0) {
                *scores.entry(*tag).or_default() += weight;
            }
            let best = self
                .tags
                .iter()
                .map(|tag| (scores.get(&packed(tag)).copied().unwrap_or(0.0), tag))
                .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
            tags.push(best.map_or("NN", |(_, tag)| &**tag));
        }
        tags
    }

    /// How a word stands in features.
    fn seen<'a>(&self, word: &'a str) -> Cow<'a, str> {
        let all_digits = word.bytes().all(|b| b.is_ascii_digit());
        let normal = if word.contains('-') && !word.starts_with('-') {
            Cow::Borrowed("!HYPHEN")
        } else if all_digits && word.len() == 4 {
            Cow::Borrowed("!YEAR")
        } else if word.starts_with(|c: char| c.is_ascii_digit()) {
            Cow::Borrowed("!DIGITS")
        } else {
            Cow::Owned(word.to_lowercase())
        };
        if self.vocab.contains(&*normal) { normal } else { Cow::Owned(format!("<{}>", shape(word))) }
    }
}

fn last_three(word: &str) -> &str {
    word.char_indices().rev().nth(2).map_or(word, |(at, _)| &word[at..])
}

fn shape(word: &str) -> Cow<'static, str> {
    let lower = |word: &str| word.chars().all(char::is_lowercase);
    let upper = |word: &str| word.chars().all(char::is_uppercase);
    if word.chars().all(char::is_alphabetic) {
        let first = word.chars().next().map_or(0, char::len_utf8);
        Cow::Borrowed(match word {
            _ if lower(word) => "x",
            _ if upper(word) => {
                if word.len() > first {
                    "XX"
                } else {
                    "X1"
                }
            }
            _ if upper(&word[..first]) && lower(&word[first..]) => "Xx",
            _ => "xX",
        })
    } else if word.bytes().all(|b| b.is_ascii_digit()) {
        Cow::Borrowed("d")
    } else {
        let kind = |c: char| match c {
            c if c.is_numeric() => 'd',
            c if c.is_alphabetic() => 'x',
            c => c,
        };
        Cow::Owned(word.chars().take(4).map(kind).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagger(json: &str) -> Tagger {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn context_decides() {
        let tagger = tagger(
            r#"{"tags": ["NN", "VB"], "tagdict": {"the": "DT", "to": "TO"}, "vocab": ["the", "to"],
                "weights": {"t-1=DT": {"NN": 2.0}, "t-1=TO": {"VB": 2.0}, "b": {"NN": 0.5}}}"#,
        );
        let tags = |words: &[&str]| -> Vec<String> {
            let words: Vec<Cow<'_, str>> = words.iter().map(|word| Cow::Borrowed(*word)).collect();
            tagger.tags(&words).into_iter().map(str::to_owned).collect()
        };
        assert_eq!(tags(&["the", "use"]), ["DT", "NN"]);
        assert_eq!(tags(&["to", "use"]), ["TO", "VB"]);
        assert_eq!(tags(&["use"]), ["NN"]);
        assert!(tags(&[]).is_empty());
    }

    #[test]
    fn shapes() {
        for (word, expected) in [
            ("maria", "x"),
            ("Maria", "Xx"),
            ("USA", "XX"),
            ("A", "X1"),
            ("iPad", "xX"),
            ("42", "d"),
            ("it's-a", "xx'x"),
        ] {
            assert_eq!(shape(word), expected, "{word}");
        }
        assert_eq!((last_three("ab"), last_three("abcd"), last_three("Zoë")), ("ab", "bcd", "Zoë"));
    }
}
