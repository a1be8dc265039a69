//! More than a hundred languages through the program `espeak-ng`.

use std::path::PathBuf;

use vignette_templates::generate::{Voice, VoiceRequest};

use super::flite::{self, bare, by_length};
use super::process::Program;
use super::wav::Sound;
use super::{Script, align, finish, kokoro};
use crate::error::{GenerateError, did_you_mean};
use crate::provider::{Context, ModelFile, VoiceProvider};

/// The provider `espeak-ng`: a formant synthesiser, 22.05 kHz, intelligible rather than pleasant.
///
/// Voices: `f1` to `f5`, `m1` to `m7`, `female`, `male`; the names of [`Flite`](super::Flite)'s voices stand for the one of
/// these that is closest. A language that the program does not have is an error, never English by accident. Word times are
/// shared out: phrases follow the pauses in the sound (within 0.08 s, which a test holds), and words within a phrase their
/// number of phonemes, which is an estimate.
#[derive(Clone, Debug)]
pub struct EspeakNg {
    program: Program,
}

impl Default for EspeakNg {
    /// Finds `espeak-ng` in `PATH`.
    fn default() -> Self {
        EspeakNg::at("espeak-ng")
    }
}

/// Words a minute at speed 1: a little slower than the program's own 175, which is hard to follow.
const WORDS_PER_MINUTE: f64 = 160.0;

/// Language subtags (ISO 639) and the program's voice, where no region decides; from its list of version 1.51. Tags are
/// also given for what people write instead of the registered one.
const LANGUAGES: &[(&str, &str)] = &[
    ("af", "af"),
    ("am", "am"),
    ("an", "an"),
    ("ar", "ar"),
    ("as", "as"),
    ("az", "az"),
    ("ba", "ba"),
    ("be", "be"),
    ("bg", "bg"),
    ("bn", "bn"),
    ("bpy", "bpy"),
    ("bs", "bs"),
    ("ca", "ca"),
    ("chr", "chr-US-Qaaa-x-west"),
    ("cmn", "cmn"),
    ("cs", "cs"),
    ("cv", "cv"),
    ("cy", "cy"),
    ("da", "da"),
    ("de", "de"),
    ("el", "el"),
    ("en", "en-us"),
    ("eo", "eo"),
    ("es", "es"),
    ("et", "et"),
    ("eu", "eu"),
    ("fa", "fa"),
    ("fi", "fi"),
    ("fr", "fr-fr"),
    ("ga", "ga"),
    ("gd", "gd"),
    ("gn", "gn"),
    ("grc", "grc"),
    ("gu", "gu"),
    ("hak", "hak"),
    ("haw", "haw"),
    ("he", "he"),
    ("hi", "hi"),
    ("hr", "hr"),
    ("ht", "ht"),
    ("hu", "hu"),
    ("hy", "hy"),
    ("hyw", "hyw"),
    ("ia", "ia"),
    ("id", "id"),
    ("in", "id"),
    ("io", "io"),
    ("is", "is"),
    ("it", "it"),
    ("iw", "he"),
    ("ja", "ja"),
    ("jbo", "jbo"),
    ("ka", "ka"),
    ("kk", "kk"),
    ("kl", "kl"),
    ("kn", "kn"),
    ("ko", "ko"),
    ("kok", "kok"),
    ("ku", "ku"),
    ("ky", "ky"),
    ("la", "la"),
    ("lb", "lb"),
    ("lfn", "lfn"),
    ("lt", "lt"),
    ("ltg", "ltg"),
    ("lv", "lv"),
    ("mi", "mi"),
    ("mk", "mk"),
    ("ml", "ml"),
    ("mr", "mr"),
    ("ms", "ms"),
    ("mt", "mt"),
    ("my", "my"),
    ("nb", "nb"),
    ("nci", "nci"),
    ("ne", "ne"),
    ("nl", "nl"),
    ("no", "nb"),
    ("nog", "nog"),
    ("om", "om"),
    ("or", "or"),
    ("pa", "pa"),
    ("pap", "pap"),
    ("pl", "pl"),
    ("pt", "pt-br"),
    ("py", "py"),
    ("qu", "qu"),
    ("quc", "quc"),
    ("ro", "ro"),
    ("ru", "ru"),
    ("sd", "sd"),
    ("shn", "shn"),
    ("si", "si"),
    ("sk", "sk"),
    ("sl", "sl"),
    ("smj", "smj"),
    ("sq", "sq"),
    ("sr", "sr"),
    ("sv", "sv"),
    ("sw", "sw"),
    ("ta", "ta"),
    ("te", "te"),
    ("th", "th"),
    ("tk", "tk"),
    ("tn", "tn"),
    ("tr", "tr"),
    ("tt", "tt"),
    ("ug", "ug"),
    ("uk", "uk"),
    ("ur", "ur"),
    ("uz", "uz"),
    ("vi", "vi"),
    ("yue", "yue"),
    ("zh", "cmn"),
];

/// Where the region changes the voice.
const REGIONS: &[(&str, &[&str], &str)] = &[
    ("en", &["GB", "AU", "NZ", "IE", "ZA", "IN", "SG", "HK", "MT", "KE", "NG"], "en-gb"),
    ("en", &["029", "JM", "TT", "BB", "BS"], "en-029"),
    (
        "es",
        &[
            "419", "MX", "AR", "BO", "CL", "CO", "CR", "CU", "DO", "EC", "GT", "HN", "NI", "PA", "PE", "PR",
            "PY", "SV", "US", "UY", "VE",
        ],
        "es-419",
    ),
    ("fr", &["BE"], "fr-be"),
    ("fr", &["CH"], "fr-ch"),
    ("pt", &["PT", "AO", "MZ", "CV", "GW", "ST", "TL"], "pt"),
    ("zh", &["HK", "MO"], "yue"),
];

impl EspeakNg {
    /// Runs the program at this path, or of this name in `PATH`.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        EspeakNg { program: Program { provider: "espeak-ng", path: program.into(), package: "espeak-ng" } }
    }

    /// How long each word is relative to the others: its phonemes, each vowel counting half as much again.
    fn weights(
        &self,
        voice: &str,
        words: &[String],
        context: &Context,
    ) -> Result<Option<Vec<f64>>, GenerateError> {
        let list: String = words.iter().map(|word| format!("{}\n\n", bare(word))).collect();
        let arguments = ["-q", "-b", "1", "-v", voice, "--ipa", "--sep=_", "--stdin"];
        let output = self.program.run(&arguments, list.as_bytes(), context)?;
        let output = String::from_utf8_lossy(&output);
        let weights: Vec<f64> = output.lines().map(weight).collect();
        Ok((weights.len() == words.len()).then_some(weights))
    }
}

impl VoiceProvider for EspeakNg {
    fn files(&self) -> Vec<ModelFile> {
        self.program.file().into_iter().collect()
    }

    fn name(&self) -> &str {
        "espeak-ng"
    }

    fn model(&self, request: &VoiceRequest, locale: &str) -> String {
        let voice = voice_of(request, locale).unwrap_or_default();
        format!("{voice} (espeak-ng 1)")
    }

    fn generate(&self, request: &VoiceRequest, context: &Context) -> Result<Voice, GenerateError> {
        let voice = voice_of(request, &context.locale)?;
        let script = Script::read(request)?;
        let chinese = ["cmn", "yue", "hak"].iter().any(|language| voice.starts_with(language));
        if !chinese && request.say.chars().any(is_han) {
            return Err(GenerateError::Language {
                provider: "espeak-ng".to_owned(),
                locale: context.locale.clone(),
                remedy: "the text holds Chinese characters, which this voice only announces as such; \
                         write Japanese in kana, or set up another voice provider"
                    .to_owned(),
            });
        }
        let words: Vec<String> = script.words.iter().map(|word| plain(word)).collect();
        let speed = format!("{:.0}", (WORDS_PER_MINUTE * script.speed).clamp(80.0, 450.0));
        let arguments = ["-b", "1", "-v", &voice, "-s", &speed, "--stdin", "--stdout"];
        let text = format!("{}\n", words.join(" "));
        let bytes = self.program.run(&arguments, text.as_bytes(), context)?;
        let sound = Sound::from_wav(&bytes)
            .map_err(|reason| GenerateError::Rejected { provider: "espeak-ng".to_owned(), reason })?;
        let times = match self.weights(&voice, &words, context)? {
            Some(weights) => {
                let pauses: Vec<bool> = script.words.iter().map(|word| super::ends_phrase(word)).collect();
                align::share(&sound.spans(100), &weights, &pauses)
            }
            None => by_length(&sound, &words),
        };
        finish(&sound, &script.words, &times, "espeak-ng")
    }
}

/// The program's name of the voice that speaks this language, with its variant.
fn voice_of(request: &VoiceRequest, locale: &str) -> Result<String, GenerateError> {
    let language = language_voice(locale)?;
    let Some(wanted) = request.voice.as_deref() else { return Ok(language.to_owned()) };
    const VARIANTS: [&str; 12] = ["f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7"];
    let variant = match wanted {
        "female" | "slt" | "heart" => "f3",
        "male" => return Ok(language.to_owned()),
        // Those of a voice that is not installed.
        other if kokoro::voice_named(other) == Some(true) => "f3",
        other if kokoro::voice_named(other) == Some(false) => return Ok(language.to_owned()),
        other if flite::VOICES.iter().any(|(name, _)| *name == other) => return Ok(language.to_owned()),
        other => VARIANTS.into_iter().find(|variant| *variant == other).ok_or_else(|| {
            let hint = did_you_mean(other, VARIANTS.into_iter().chain(["female", "male"]));
            GenerateError::Invalid(format!(
                "espeak-ng: no voice `{other}`; it has f1 to f5, m1 to m7, female, male{hint}"
            ))
        })?,
    };
    Ok(format!("{language}+{variant}"))
}

/// The voice for a BCP 47 tag.
pub(super) fn language_voice(locale: &str) -> Result<&'static str, GenerateError> {
    let mut subtags = locale.split(['-', '_']);
    let language = subtags.next().unwrap_or_default().to_ascii_lowercase();
    // A region is two letters or three digits; anything else (scripts, variants, extensions) decides nothing here, save
    // that an extension ends the regions.
    let region = subtags
        .take_while(|subtag| subtag.len() > 1)
        .find(|subtag| {
            (subtag.len() == 2 && subtag.bytes().all(|b| b.is_ascii_alphabetic()))
                || (subtag.len() == 3 && subtag.bytes().all(|b| b.is_ascii_digit()))
        })
        .map(str::to_ascii_uppercase);
    let by_region = region.and_then(|region| {
        REGIONS
            .iter()
            .find(|(tag, regions, _)| *tag == language && regions.contains(&region.as_str()))
            .map(|(_, _, voice)| *voice)
    });
    by_region
        .or_else(|| LANGUAGES.iter().find(|(tag, _)| *tag == language).map(|(_, voice)| *voice))
        .ok_or_else(|| GenerateError::Language {
            provider: "espeak-ng".to_owned(),
            locale: locale.chars().filter(|c| c.is_ascii_graphic()).take(35).collect(),
            remedy: format!(
                "`espeak-ng --voices` lists the {} it has; set up another voice provider, \
                 or use a recorded narration",
                LANGUAGES.len()
            ),
        })
}

/// The word without what the program would take for markup: `[[` starts phonemes, and `<` a tag.
pub(super) fn plain(word: &str) -> String {
    word.chars()
        .map(|c| if matches!(c, '<' | '>' | '[' | ']' | '{' | '}' | '|' | '_') { ' ' } else { c })
        .collect()
}

fn weight(phonemes: &str) -> f64 {
    phonemes
        .split(['_', ' '])
        .filter(|phoneme| !phoneme.is_empty())
        .map(|phoneme| {
            let vowel = phoneme.chars().any(|c| "aeiouyɑɐɒæɔəɚɛɜɝɪʊʌøœɨʉɯɤɵɘ".contains(c));
            let long = phoneme.contains('ː');
            1.0 + f64::from(u8::from(vowel)) * 0.5 + f64::from(u8::from(long)) * 0.5
        })
        .sum()
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3134F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_find_their_voice() {
        let table = [
            ("en", "en-us"),
            ("en-US", "en-us"),
            ("en-GB", "en-gb"),
            ("EN_gb", "en-gb"),
            ("en-Latn-AU", "en-gb"),
            ("es-MX", "es-419"),
            ("es-ES", "es"),
            ("pt", "pt-br"),
            ("pt-PT", "pt"),
            ("fr-CH", "fr-ch"),
            ("fr", "fr-fr"),
            ("zh-Hant-HK", "yue"),
            ("zh-CN", "cmn"),
            ("de-AT", "de"),
            ("no", "nb"),
            ("nb-NO", "nb"),
            ("iw", "he"),
            ("en-u-hc-h12", "en-us"),
        ];
        for (tag, voice) in table {
            assert_eq!(language_voice(tag).unwrap(), voice, "{tag}");
        }
        for tag in ["zu", "xx", "", "-", "klingon", "e n"] {
            let message = language_voice(tag).unwrap_err().to_string();
            assert!(message.contains("no voice for language"), "{tag}: {message}");
        }
    }

    #[test]
    fn voices_find_their_variant() {
        let with = |voice: &str| {
            let request =
                VoiceRequest { say: String::new(), voice: Some(voice.to_owned()), ..Default::default() };
            voice_of(&request, "de").map_err(|error| error.to_string())
        };
        assert_eq!(with("female").as_deref(), Ok("de+f3"));
        assert_eq!(with("rms").as_deref(), Ok("de"));
        assert_eq!(with("m3").as_deref(), Ok("de+m3"));
        assert!(with("femal").unwrap_err().contains("did you mean `female`"));
        assert!(with("../../etc/passwd").is_err());
    }
}
