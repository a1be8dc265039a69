//! The two networks: phonemes to spectra, and letters to phonemes for words that no lexicon has.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ort::session::Session;
use ort::value::Tensor;
use serde::Deserialize;

use super::wave::{HOP, Spectra, Synthesis};
use crate::models::Models;
use crate::runtime;

/// The value inside the graph that says how long each phoneme lasts.
const DURATIONS: &str = "/Clip_output_0";
/// Samples in a unit of those durations: 25 ms.
const UNIT: usize = 2 * HOP;
/// How many units earlier a phoneme is heard than the lengths before it add up to. The network learnt them from an alignment that
/// lags, as its teacher Kokoro did, whose own code takes off as many; measured in docs/voices.md.
const LAG: usize = 3;
/// The most phonemes that the network sees at once.
pub(in crate::voice) const MAX_PHONEMES: usize = 400;

/// Speaks phonemes.
pub(super) struct Speaker {
    session: Mutex<Session>,
    /// The network's number of each phoneme.
    numbers: HashMap<char, i64>,
    synthesis: Synthesis,
}

/// A sound and, for each phoneme that was given, its samples.
pub(in crate::voice) struct Spoken {
    pub(in crate::voice) samples: Vec<f32>,
    pub(in crate::voice) spans: Vec<(usize, usize)>,
}

impl Speaker {
    pub(super) fn load(models: &Models, folder: &Path) -> Result<Self, String> {
        let mut graph = read(&folder.join("hibari.onnx"))?;
        graph.extend(further_output(DURATIONS));
        let vocabulary = read(&folder.join("vocab.json"))?;
        let numbers: HashMap<char, i64> =
            serde_json::from_slice(&vocabulary).map_err(|error| format!("vocab.json: {error}"))?;
        Ok(Speaker {
            session: Mutex::new(runtime::session(models, &graph)?),
            numbers,
            synthesis: Synthesis::new(),
        })
    }

    /// Whether the network has this phoneme or mark; it leaves out what it does not have.
    pub(super) fn knows(&self, phoneme: char) -> bool {
        self.numbers.contains_key(&phoneme)
    }

    /// The sound of at most [`MAX_PHONEMES`] phonemes.
    pub(super) fn speak(&self, phonemes: &[char], speed: f64, seed: u64) -> Result<Spoken, String> {
        // Number 0 stands for the silence before and after.
        let known: Vec<Option<i64>> =
            phonemes.iter().map(|phoneme| self.numbers.get(phoneme).copied()).collect();
        let mut ids = vec![0];
        ids.extend(known.iter().flatten());
        ids.push(0);
        let length = ids.len();
        let failed = |error: ort::Error| format!("the network failed: {error}");
        let ids = Tensor::from_array(([1usize, length], ids)).map_err(failed)?;
        let speed = Tensor::from_array(([1usize], vec![speed as f32])).map_err(failed)?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(ort::inputs!["ids" => ids, "speed" => speed]).map_err(failed)?;
        let output = |name: &str| -> Result<&[f32], String> {
            let value = outputs.get(name).ok_or_else(|| format!("the network gave no {name}"))?;
            value.try_extract_tensor::<f32>().map(|(_, values)| values).map_err(failed)
        };
        let spectra = Spectra {
            harmonic: output("lh")?,
            rotation: output("theta")?,
            noise: output("ln")?,
            rest: output("lr")?,
            phase: output("phi")?,
            pitch: output("f0")?,
        };
        let samples = self.synthesis.sound(&spectra, seed)?;
        let spans = spans_of(output(DURATIONS)?, &known, UNIT, samples.len())?;
        Ok(Spoken { samples, spans })
    }
}

/// The samples in which each phoneme is heard, from the network's `lengths` in units of so many samples: one for each phoneme
/// that it knows (`known`), and one each for the silence before and after.
pub(in crate::voice) fn spans_of(
    lengths: &[f32],
    known: &[Option<i64>],
    unit: usize,
    samples: usize,
) -> Result<Vec<(usize, usize)>, String> {
    let expected = known.iter().flatten().count() + 2;
    if lengths.len() != expected {
        return Err(format!("the network gave {} lengths for {expected} phonemes", lengths.len()));
    }
    let mut ends = Vec::with_capacity(expected);
    let mut at = 0;
    for units in lengths {
        at += units.clamp(0.0, 1e4).round() as usize * unit;
        ends.push(at);
    }
    if at != samples {
        return Err(format!("the phonemes last {at} samples, and the sound {samples}"));
    }
    let heard = |at: usize| ends[at].saturating_sub(LAG * unit);
    let mut next = 0;
    Ok(known
        .iter()
        .map(|known| {
            let start = heard(next);
            if known.is_some() {
                next += 1;
            }
            (start, heard(next))
        })
        .collect())
}

/// Bytes which, put after those of an ONNX graph, make `name` one of its outputs.
///
/// A file of Protocol Buffers may give a message in several pieces, which a reader merges. The piece here is a
/// `ModelProto` (onnx.proto3) whose field 7, `graph`, has one entry in field 12, `output`, whose field 1 is the name.
pub(in crate::voice) fn further_output(name: &str) -> Vec<u8> {
    let field = |number: u8, content: Vec<u8>| {
        // Lengths below 128 take one byte; the name here is short.
        let mut bytes = vec![number << 3 | 2, content.len() as u8];
        bytes.extend(content);
        bytes
    };
    field(7, field(12, field(1, name.as_bytes().to_vec())))
}

/// Reads words that no lexicon has.
pub(super) struct Speller {
    session: Mutex<Session>,
    letters: HashMap<char, i64>,
    phonemes: Vec<char>,
    longest: usize,
}

#[derive(Deserialize)]
struct SpellerFile {
    #[serde(rename = "in")]
    letters: Vec<char>,
    #[serde(rename = "out")]
    phonemes: Vec<char>,
    #[serde(rename = "maxlen")]
    longest: usize,
}

impl Speller {
    pub(super) fn load(models: &Models, folder: &Path) -> Result<Self, String> {
        let file: SpellerFile = serde_json::from_slice(&read(&folder.join("oov.json"))?)
            .map_err(|error| format!("oov.json: {error}"))?;
        Ok(Speller {
            session: Mutex::new(runtime::session(models, &read(&folder.join("oov.onnx"))?)?),
            letters: file.letters.into_iter().zip(1..).collect(),
            phonemes: file.phonemes,
            longest: file.longest,
        })
    }

    /// The phonemes of a word; empty when it holds no letter that the network knows.
    ///
    /// The network labels slots, several for each letter: runs of one label are one phoneme, and label 0 is none
    /// (connectionist temporal classification, Graves et al. 2006).
    pub(super) fn read(&self, word: &str) -> Result<String, String> {
        let ids: Vec<i64> =
            word.chars().filter_map(|c| self.letters.get(&c).copied()).take(self.longest).collect();
        if ids.is_empty() {
            return Ok(String::new());
        }
        let failed = |error: ort::Error| format!("the network for unknown words failed: {error}");
        let chars = Tensor::from_array(([1usize, ids.len()], ids)).map_err(failed)?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(ort::inputs!["chars" => chars]).map_err(failed)?;
        let labels = outputs
            .get("ids")
            .ok_or("the network for unknown words gave nothing")?
            .try_extract_tensor::<i64>()
            .map_err(failed)?
            .1;
        let mut before = 0;
        let mut phonemes = String::new();
        for label in labels {
            if *label != before
                && let Some(phoneme) = usize::try_from(label - 1).ok().and_then(|n| self.phonemes.get(n))
            {
                phonemes.push(*phoneme);
            }
            before = *label;
        }
        Ok(phonemes)
    }
}

pub(in crate::voice) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let name = path.file_name().unwrap_or_default().display();
    fs::read(path).map_err(|error| format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phonemes_are_heard_three_units_earlier() {
        // Silence, three phonemes of which one is not known, silence.
        let known = [Some(1), None, Some(2)];
        let spans = spans_of(&[10.0, 2.0, 4.0, 5.0], &known, 100, 2100).unwrap();
        assert_eq!(spans, [(700, 900), (900, 900), (900, 1300)]);
        // None before the sound begins.
        assert_eq!(spans_of(&[1.0, 4.0, 1.0], &[Some(1)], 100, 600).unwrap(), [(0, 200)]);
        assert!(spans_of(&[1.0, 4.0], &[Some(1)], 100, 500).unwrap_err().contains("2 lengths for 3"));
        assert!(spans_of(&[1.0, 4.0, 1.0], &[Some(1)], 100, 700).unwrap_err().contains("last 600 samples"));
    }

    #[test]
    fn a_further_output_is_a_piece_of_a_model() {
        let bytes = further_output("/x");
        // graph (7, length-delimited), output (12), name (1).
        assert_eq!(bytes, [0x3A, 6, 0x62, 4, 0x0A, 2, b'/', b'x']);
    }
}
