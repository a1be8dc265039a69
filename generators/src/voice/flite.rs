//! English through the program `flite`.

use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use vignette_templates::generate::{Voice, VoiceRequest};

use super::align::{self, Phone};
use super::process::{MAX_OUTPUT, Program};
use super::wav::Sound;
use super::{Script, finish};
use crate::error::{GenerateError, did_you_mean};
use crate::provider::{Context, ModelFile, VoiceProvider};

/// The provider `flite`: English, 16 kHz, small and fast (a hundredth of real time on one core).
///
/// Voices: `slt` (default, female), `rms`, `awb`, `kal16`, `kal` (male), and `female` and `male`. Word times come from the
/// program's own phoneme times and are as exact as those; a sound that two words share
/// belongs to one of them.
#[derive(Clone, Debug)]
pub struct Flite {
    program: Program,
}

impl Default for Flite {
    /// Finds `flite` in `PATH`.
    fn default() -> Self {
        Flite::at("flite")
    }
}

/// Names that a template may use, and the program's names.
pub(super) const VOICES: [(&str, &str); 10] = [
    ("slt", "slt"),
    ("rms", "rms"),
    ("awb", "awb"),
    ("kal16", "kal16"),
    ("kal", "kal"),
    ("female", "slt"),
    ("male", "rms"),
    // Voices of `hibari` and `kokoro`, for which these stand in.
    ("heart", "slt"),
    ("af_heart", "slt"),
    ("am_michael", "rms"),
];

impl Flite {
    /// Runs the program at this path, or of this name in `PATH`.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Flite { program: Program { provider: "flite", path: program.into(), package: "flite" } }
    }

    /// The phonemes of each word spoken by itself; nothing when the program cuts the words otherwise.
    fn word_phones(
        &self,
        words: &[String],
        context: &Context,
    ) -> Result<Option<Vec<Vec<String>>>, GenerateError> {
        // A paragraph each, so that the program prints a line each. The small voice `kal` has the same lexicon and
        // phoneme set as the others, and the sound is not wanted here.
        let list: String = words.iter().map(|word| format!("{}\n\n", bare(word))).collect();
        let arguments = ["-voice", "kal", "-ps", "-f", "/dev/stdin", "none"];
        let output = self.program.run(&arguments, list.as_bytes(), context)?;
        let lines: Vec<Vec<String>> = String::from_utf8_lossy(&output)
            .lines()
            .map(|line| line.split_whitespace().filter(|p| *p != "pau").map(str::to_owned).collect())
            .collect();
        Ok((lines.len() == words.len()).then_some(lines))
    }
}

impl VoiceProvider for Flite {
    fn files(&self) -> Vec<ModelFile> {
        self.program.file().into_iter().collect()
    }

    fn name(&self) -> &str {
        "flite"
    }

    fn model(&self, request: &VoiceRequest, _locale: &str) -> String {
        let voice = voice_of(request).unwrap_or("slt");
        format!("cmu_us_{voice} (flite 2)")
    }

    fn generate(&self, request: &VoiceRequest, context: &Context) -> Result<Voice, GenerateError> {
        let language = context.locale.split(['-', '_']).next().unwrap_or_default();
        if !language.eq_ignore_ascii_case("en") {
            return Err(GenerateError::Language {
                provider: "flite".to_owned(),
                locale: context.locale.clone(),
                remedy: "it speaks English only; `espeak-ng` speaks many languages".to_owned(),
            });
        }
        let voice = voice_of(request)?;
        let script = Script::read(request)?;
        let words: Vec<String> = script.words.iter().map(|word| to_ascii(word)).collect::<Result<_, _>>()?;
        // The program cannot write to a pipe, since it goes back to complete the header. A file without a name leaves
        // no speech behind, whenever this process ends.
        let mut file =
            tempfile::tempfile().map_err(|error| self.program.io("make a temporary file for", error))?;
        let own = file.try_clone().map_err(|error| self.program.io("make a temporary file for", error))?;
        let stretch = format!("duration_stretch={:.4}", 1.0 / script.speed);
        let arguments =
            ["-voice", voice, "--setf", &stretch, "-psdur", "-f", "/dev/stdin", "-o", "/dev/stderr"];
        let text = format!("{}\n", words.join(" "));
        let printed = self.program.run_beside(&arguments, text.as_bytes(), own.into(), context)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.take(MAX_OUTPUT).read_to_end(&mut bytes))
            .map_err(|error| self.program.io("read the speech written by", error))?;
        let sound = Sound::from_wav(&bytes)
            .map_err(|reason| GenerateError::Rejected { provider: "flite".to_owned(), reason })?;
        let spoken = phones(&String::from_utf8_lossy(&printed), sound.rate);
        let times = match self.word_phones(&words, context)? {
            Some(alone) if !spoken.is_empty() => align::align(&spoken, &alone),
            _ => by_length(&sound, &words),
        };
        finish(&sound, &script.words, &times, "flite")
    }
}

/// The words' spans when all that is known is how long they are.
pub(super) fn by_length(sound: &Sound, words: &[String]) -> Vec<(usize, usize)> {
    let weights: Vec<f64> =
        words.iter().map(|word| 1.0 + word.chars().filter(|c| c.is_alphanumeric()).count() as f64).collect();
    let pauses: Vec<bool> = words.iter().map(|word| super::ends_phrase(word)).collect();
    align::share(&sound.spans(100), &weights, &pauses)
}

fn voice_of(request: &VoiceRequest) -> Result<&'static str, GenerateError> {
    let Some(wanted) = request.voice.as_deref() else { return Ok("slt") };
    VOICES.iter().find(|(name, _)| *name == wanted).map(|(_, voice)| *voice).ok_or_else(|| {
        let known = VOICES.map(|(name, _)| name);
        let hint = did_you_mean(wanted, known);
        GenerateError::Invalid(format!("flite: no voice `{wanted}`; it has {}{hint}", known.join(", ")))
    })
}

/// The phonemes with their samples, from lines of `name:end` in seconds, one line for each utterance, each counted from its
/// own start. Pauses are left out.
fn phones(printed: &str, rate: u32) -> Vec<Phone> {
    let mut phones = Vec::new();
    let mut utterance = 0.0;
    for line in printed.lines() {
        let mut before = 0.0;
        for item in line.split_whitespace() {
            let Some((name, end)) = item.rsplit_once(':') else { continue };
            let Some(end) = end.parse::<f64>().ok().filter(|end| end.is_finite() && *end >= before) else {
                continue;
            };
            let sample = |seconds: f64| ((utterance + seconds) * f64::from(rate)).round() as usize;
            if name != "pau" {
                phones.push(Phone { name: name.to_owned(), start: sample(before), end: sample(end) });
            }
            before = end;
        }
        utterance += before;
    }
    phones
}

/// A word without the punctuation around it, which would end an utterance.
pub(super) fn bare(word: &str) -> &str {
    let spoken =
        |c: char| c.is_alphanumeric() || matches!(c, '$' | '%' | '&' | '+' | '=' | '€' | '£' | '#' | '@');
    word.trim_matches(|c| !spoken(c))
}

/// The word in ASCII, which is all the program reads: accents are dropped, typographic punctuation made plain, and what
/// is no word left out.
///
/// # Errors
/// When a letter or a currency sign would be lost: another provider can read it.
fn to_ascii(word: &str) -> Result<String, GenerateError> {
    let mut ascii = String::with_capacity(word.len());
    for c in word.chars() {
        match c {
            // Nothing is markup to the program, but angle brackets are read out by name.
            '<' | '>' | '{' | '}' | '[' | ']' | '|' | '\\' | '^' | '~' | '`' | '*' | '_' => ascii.push(' '),
            c if c.is_ascii() => ascii.push(c),
            '‘' | '’' | '‛' | 'ʼ' => ascii.push('\''),
            '“' | '”' | '„' | '«' | '»' => ascii.push('"'),
            '–' | '—' | '―' => ascii.push(','),
            '…' => ascii.push_str("..."),
            c => match fold(c) {
                Some(letters) => ascii.push_str(letters),
                None if c.is_alphanumeric() || matches!(c, '€' | '£' | '¥' | '₹' | '°' | '½' | '¼' | '¾') =>
                {
                    return Err(GenerateError::Rejected {
                        provider: "flite".to_owned(),
                        reason: "the text holds letters or signs that it cannot read".to_owned(),
                    });
                }
                // Emoji, marks and joiners.
                None => {}
            },
        }
    }
    Ok(ascii)
}

/// Latin letters as English writes them.
pub(super) fn fold(c: char) -> Option<&'static str> {
    const TABLE: [(&str, &str); 36] = [
        ("ÀÁÂÃÅĀĂĄ", "A"),
        ("àáâãåāăą", "a"),
        ("ÇĆČĈĊ", "C"),
        ("çćčĉċ", "c"),
        ("ĎĐÐ", "D"),
        ("ďđð", "d"),
        ("ÈÉÊËĒĔĖĘĚ", "E"),
        ("èéêëēĕėęě", "e"),
        ("ĜĞĠĢ", "G"),
        ("ĝğġģ", "g"),
        ("ÌÍÎÏĨĪĬĮİ", "I"),
        ("ìíîïĩīĭįı", "i"),
        ("ŁĹĻĽ", "L"),
        ("łĺļľ", "l"),
        ("Ķķ", "k"),
        ("ŃŅŇ", "N"),
        ("ńņň", "n"),
        ("Ñ", "Ny"),
        ("ñ", "ny"),
        ("ÒÓÔÕØŌŎŐ", "O"),
        ("òóôõøōŏő", "o"),
        ("ŔŖŘ", "R"),
        ("ŕŗř", "r"),
        ("ŚŜŞȘ", "S"),
        ("śŝşș", "s"),
        ("Šš", "sh"),
        ("ŢŤŦȚţťŧț", "t"),
        ("ÙÚÛŨŪŬŮŰŲ", "U"),
        ("ùúûũūŭůűų", "u"),
        ("ÝŶŸýÿŷ", "y"),
        ("ŹŻŽźżž", "z"),
        ("ß", "ss"),
        ("ÄÆäæ", "ae"),
        ("ÖŒöœ", "oe"),
        ("Üü", "ue"),
        ("Þþ", "th"),
    ];
    TABLE.iter().find(|(letters, _)| letters.contains(c)).map(|(_, ascii)| *ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phoneme_times_add_up_over_utterances() {
        let read = phones("pau:0.1 hh:0.2 ay:0.5 pau:0.6 \nm:0.1 pau:0.2\nx y:z q:NaN \n", 1000);
        let expected = [("hh", 100, 200), ("ay", 200, 500), ("m", 600, 700)];
        let read: Vec<_> = read.iter().map(|p| (p.name.as_str(), p.start, p.end)).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn words_become_ascii() {
        let table = [
            ("María", "Maria"),
            ("Łukasz", "Lukasz"),
            ("Zoë’s", "Zoe's"),
            ("<b>", " b "),
            ("☕", ""),
            ("Nuñez—", "Nunyez,"),
        ];
        for (word, expected) in table {
            assert_eq!(to_ascii(word).unwrap(), expected, "{word}");
        }
        for word in ["日本", "Мария", "€5"] {
            assert!(to_ascii(word).is_err(), "{word}");
        }
    }
}
