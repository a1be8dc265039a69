//! The network: phonemes and a voice's style to sound.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ort::session::Session;
use ort::value::Tensor;

use super::super::hibari::network::{MAX_PHONEMES, Spoken, further_output, read, spans_of};
use crate::models::Models;
use crate::runtime;

/// Samples a second.
pub(super) const RATE: u32 = 24_000;
/// The value inside the graph that says how long each phoneme lasts.
const DURATIONS: &str = "/encoder/Clip_output_0";
/// Samples in a unit of those durations: 25 ms.
const UNIT: usize = 600;
/// A voice is so many rows, one for each number of phonemes from 0 up, of so many numbers, 32-bit floats, low byte first.
const ROWS: usize = 510;
const STYLE: usize = 256;

/// The network's numbers of phonemes and marks, in runs that count up; those of Kokoro v1.0.
const NUMBERS: [(i64, &str); 30] = [
    (1, ";:,.!?"),
    (9, "—…\"()“” \u{303}ʣʥʦʨᵝꭧAI"),
    (31, "O"),
    (33, "Q"),
    (35, "ST"),
    (39, "W"),
    (41, "Yᵊabcdef"),
    (50, "hijklmnopqrstuvwxyzɑɐɒæ"),
    (75, "βɔɕç"),
    (80, "ɖðʤə"),
    (85, "ɚɛɜ"),
    (90, "ɟ"),
    (92, "ɡ"),
    (99, "ɥ"),
    (101, "ɨɪʝ"),
    (110, "ɯɰŋɳɲɴø"),
    (118, "ɸθœ"),
    (123, "ɹ"),
    (125, "ɾɻ"),
    (128, "ʁɽʂʃʈʧ"),
    (135, "ʊʋ"),
    (138, "ʌɣɤ"),
    (142, "χʎ"),
    (147, "ʒʔ"),
    (156, "ˈˌː"),
    (162, "ʰ"),
    (164, "ʲ"),
    (169, "↓"),
    (171, "→↗↘"),
    (177, "ᵻ"),
];

/// Speaks phonemes.
pub(super) struct Speaker {
    session: Mutex<Session>,
    numbers: HashMap<char, i64>,
    styles: BTreeMap<String, Vec<f32>>,
}

impl Speaker {
    pub(super) fn load(models: &Models, folder: &Path, voices: &[&str]) -> Result<Self, String> {
        let mut styles = BTreeMap::new();
        for voice in voices {
            let name = format!("{voice}.bin");
            let bytes = read(&folder.join(&name))?;
            let numbers: Vec<f32> = bytes
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect();
            if numbers.len() != ROWS * STYLE || numbers.iter().any(|number| !number.is_finite()) {
                return Err(format!("{name} does not hold a voice"));
            }
            styles.insert((*voice).to_owned(), numbers);
        }
        let mut graph = read(&folder.join("kokoro.onnx"))?;
        graph.extend(further_output(DURATIONS));
        let session = Mutex::new(runtime::session(models, &graph)?);
        let run = |(first, phonemes): &(i64, &'static str)| phonemes.chars().zip(*first..);
        Ok(Speaker { session, numbers: NUMBERS.iter().flat_map(run).collect(), styles })
    }

    /// Whether the network has this phoneme or mark.
    pub(super) fn knows(&self, phoneme: char) -> bool {
        self.numbers.contains_key(&phoneme)
    }

    /// The sound of at most [`MAX_PHONEMES`] phonemes.
    pub(super) fn speak(&self, voice: &str, phonemes: &[char], speed: f64) -> Result<Spoken, String> {
        let known: Vec<Option<i64>> =
            phonemes.iter().map(|phoneme| self.numbers.get(phoneme).copied()).collect();
        // Number 0 stands for the silence before and after.
        let mut ids = vec![0];
        ids.extend(known.iter().flatten());
        ids.push(0);
        let length = ids.len();
        if length > MAX_PHONEMES + 2 {
            return Err(format!("{} phonemes are too many at once", length - 2));
        }
        let row = (length - 2).min(ROWS - 1) * STYLE;
        let style = self
            .styles
            .get(voice)
            .and_then(|style| style.get(row..row + STYLE))
            .ok_or_else(|| format!("it has no voice {voice}"))?;
        let failed = |error: ort::Error| format!("the network failed: {error}");
        let tokens = Tensor::from_array(([1usize, length], ids)).map_err(failed)?;
        let style = Tensor::from_array(([1usize, STYLE], style.to_vec())).map_err(failed)?;
        let speed = Tensor::from_array(([1usize], vec![speed as f32])).map_err(failed)?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session
            .run(ort::inputs!["tokens" => tokens, "style" => style, "speed" => speed])
            .map_err(failed)?;
        let output = |name: &str| -> Result<&[f32], String> {
            let value = outputs.get(name).ok_or_else(|| format!("the network gave no {name}"))?;
            value.try_extract_tensor::<f32>().map(|(_, values)| values).map_err(failed)
        };
        let samples = output("audio")?.to_vec();
        let spans = spans_of(output(DURATIONS)?, &known, UNIT, samples.len())?;
        Ok(Spoken { samples, spans })
    }
}
