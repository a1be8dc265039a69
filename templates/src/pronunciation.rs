//! How a name is said, as a person writes it down.
//!
//! Either a respelling, as newspapers give it: `shi-VAWN`, `uh-LEE-shuh`, with hyphens between syllables and the stressed
//! one in capitals; or phonemes between slashes: `/ʃɪˈvɔːn/`, in the International Phonetic Alphabet. Both come out in the
//! notation that voices for English use (see [`phonemes`]).

/// The longest pronunciation that is read, in characters.
pub const MAX_CHARS: usize = 120;

/// The phonemes of American English that `written` stands for, one character each: `b d f h j k l m n p s t v w z ɡ ŋ ɹ ʃ ʒ ð θ
/// ʧ ʤ ɾ`, the vowels `i ɪ ɛ æ ɑ ɔ ʊ u ʌ ə ᵊ ᵻ ɜ`, the diphthongs `A I O W Y` of *day, my, go, now, boy*, and before a
/// stressed vowel `ˈ` or `ˌ`. Several words are apart by spaces.
///
/// # Errors
/// What cannot be read, and what could be.
pub fn phonemes(written: &str) -> Result<String, String> {
    let written = written.trim();
    if written.chars().count() > MAX_CHARS {
        return Err(format!("a pronunciation has at most {MAX_CHARS} characters"));
    }
    let sound = match written.strip_prefix('/') {
        Some(rest) => {
            from_ipa(rest.strip_suffix('/').ok_or("phonemes stand between two slashes: /ʃɪˈvɔːn/")?)?
        }
        None => from_respelling(written)?,
    };
    let vowels = sound.chars().filter(|c| VOWELS.contains(*c)).count();
    if vowels == 0 {
        return Err("a pronunciation has at least one vowel".to_owned());
    }
    Ok(if sound.contains('ˈ') { sound } else { stressed(&sound, vowels) })
}

/// Each of the words in `words` with its part of `written`, as it is written; [`phonemes`] reads each of these parts.
///
/// # Errors
/// As [`phonemes`], and when there are not as many pronunciations as words.
pub fn of_words(words: &str, written: &str) -> Result<Vec<(String, String)>, String> {
    let is_ipa = written.starts_with('/');
    let inner = if is_ipa { written.trim_matches('/') } else { written };
    let parts: Vec<&str> = inner.split_whitespace().collect();
    let words: Vec<&str> = words.split_whitespace().collect();
    phonemes(written)?;
    if words.len() == 1 {
        return Ok(vec![(words[0].to_owned(), written.to_owned())]);
    }
    if words.len() != parts.len() {
        return Err(format!(
            "{} words are to be said, and {} pronunciations are given; give one for each word",
            words.len(),
            parts.len()
        ));
    }
    let said = |part: &str| if is_ipa { format!("/{part}/") } else { part.to_owned() };
    words
        .iter()
        .zip(parts)
        .map(|(word, part)| phonemes(&said(part)).map(|_| ((*word).to_owned(), said(part))))
        .collect()
}

const VOWELS: &str = "AIOWYiuæɑɔəɛɜɪʊʌᵊᵻ";
const CONSONANTS: &str = "bdfhjklmnpstvwzŋɡɹʃʒðθʧʤɾ";

/// A word that nobody gave a stress has it on its last vowel but one, as most names do.
fn stressed(sound: &str, vowels: usize) -> String {
    let mut stressed = String::with_capacity(sound.len() + 2);
    let mut seen = 0;
    for c in sound.chars() {
        if VOWELS.contains(c) {
            seen += 1;
            if seen + 1 == vowels.max(2) {
                stressed.push('ˈ');
            }
        }
        stressed.push(c);
    }
    stressed
}

/// Letters of the International Phonetic Alphabet, longest first, and what an American voice has for them.
const IPA: &[(&str, &str)] = &[
    ("t͡ʃ", "ʧ"),
    ("d͡ʒ", "ʤ"),
    ("t͡s", "ts"),
    ("tʃ", "ʧ"),
    ("dʒ", "ʤ"),
    ("eɪ", "A"),
    ("aɪ", "I"),
    ("oʊ", "O"),
    ("əʊ", "O"),
    ("aʊ", "W"),
    ("ɔɪ", "Y"),
    ("ɛɪ", "A"),
    ("ɑɪ", "I"),
    ("ei", "A"),
    ("ai", "I"),
    ("ou", "O"),
    ("au", "W"),
    ("oi", "Y"),
    ("ɔi", "Y"),
    ("ɜː", "ɜɹ"),
    ("ɜɹ", "ɜɹ"),
    ("ɜr", "ɜɹ"),
    ("ɝ", "ɜɹ"),
    ("ɚ", "əɹ"),
    ("ɐ", "ə"),
    ("ɨ", "ᵻ"),
    ("ɒ", "ɑ"),
    ("a", "ɑ"),
    ("e", "ɛ"),
    ("o", "O"),
    ("y", "u"),
    ("ø", "ɜ"),
    ("œ", "ɜ"),
    ("ɯ", "u"),
    ("ɤ", "ʌ"),
    ("r", "ɹ"),
    ("ʁ", "ɹ"),
    ("ʀ", "ɹ"),
    ("ɻ", "ɹ"),
    ("ɽ", "ɾ"),
    ("g", "ɡ"),
    ("ɣ", "ɡ"),
    ("x", "h"),
    ("χ", "h"),
    ("ħ", "h"),
    ("ɦ", "h"),
    ("ç", "h"),
    ("c", "k"),
    ("q", "k"),
    ("ɟ", "ʤ"),
    ("ɲ", "nj"),
    ("ɳ", "n"),
    ("ʎ", "lj"),
    ("ɭ", "l"),
    ("ɫ", "l"),
    ("ʂ", "ʃ"),
    ("ɕ", "ʃ"),
    ("ʐ", "ʒ"),
    ("ʑ", "ʒ"),
    ("ʈ", "t"),
    ("ɖ", "d"),
    ("β", "v"),
    ("ʋ", "v"),
    ("ɸ", "f"),
    ("ɥ", "w"),
    ("ʍ", "w"),
    ("ʤ", "ʤ"),
    ("ʧ", "ʧ"),
    ("'", "ˈ"),
    ("’", "ˈ"),
    (",", "ˌ"),
    (" ", " "),
    // Length, syllables, aspiration, nasality, glottal stops and ties are not told apart.
    ("ː", ""),
    (":", ""),
    (".", ""),
    ("-", ""),
    ("ʰ", ""),
    ("ʲ", "j"),
    ("ʔ", ""),
    ("ʕ", ""),
    ("\u{303}", "n"),
    ("\u{361}", ""),
    ("\u{329}", ""),
    ("\u{32F}", ""),
];

fn from_ipa(ipa: &str) -> Result<String, String> {
    let mut sound = String::new();
    let mut rest = ipa;
    while let Some(c) = rest.chars().next() {
        if let Some((letters, phonemes)) = IPA.iter().find(|(letters, _)| rest.starts_with(letters)) {
            sound.push_str(phonemes);
            rest = &rest[letters.len()..];
        } else if VOWELS.contains(c) || CONSONANTS.contains(c) || matches!(c, 'ˈ' | 'ˌ') {
            sound.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            return Err(format!("`{c}` is no phoneme that an English voice has"));
        }
    }
    Ok(stress_before_vowels(&sound))
}

/// The International Phonetic Alphabet marks a stressed syllable, the voices a stressed vowel.
fn stress_before_vowels(sound: &str) -> String {
    let mut moved = String::with_capacity(sound.len());
    let mut waiting = None;
    for c in sound.chars() {
        match c {
            'ˈ' | 'ˌ' => waiting = Some(c),
            c => {
                if VOWELS.contains(c) {
                    moved.extend(waiting.take());
                }
                moved.push(c);
            }
        }
    }
    moved
}

/// Letters of a respelling, longest first.
const RESPELT: &[(&str, &str)] = &[
    ("air", "ɛɹ"),
    ("eer", "ɪɹ"),
    ("ear", "ɪɹ"),
    ("oor", "ʊɹ"),
    ("our", "Wɹ"),
    ("ire", "Iɹ"),
    ("igh", "I"),
    ("eye", "I"),
    ("tch", "ʧ"),
    ("ahr", "ɑɹ"),
    ("uhr", "əɹ"),
    ("ar", "ɑɹ"),
    ("or", "ɔɹ"),
    ("ur", "ɜɹ"),
    ("er", "əɹ"),
    ("ir", "ɪɹ"),
    ("ah", "ɑ"),
    ("aw", "ɔ"),
    ("au", "ɔ"),
    ("ay", "A"),
    ("ai", "A"),
    ("ee", "i"),
    ("ea", "i"),
    ("ey", "A"),
    ("eh", "ɛ"),
    ("ih", "ɪ"),
    ("ie", "I"),
    ("iy", "i"),
    ("oo", "u"),
    ("uu", "ʊ"),
    ("oh", "O"),
    ("oa", "O"),
    ("ow", "W"),
    ("ou", "W"),
    ("oy", "Y"),
    ("oi", "Y"),
    ("uh", "ə"),
    ("ch", "ʧ"),
    ("sh", "ʃ"),
    ("th", "θ"),
    ("dh", "ð"),
    ("zh", "ʒ"),
    ("ng", "ŋ"),
    ("kh", "k"),
    ("gh", "ɡ"),
    ("ph", "f"),
    ("wh", "w"),
    ("ck", "k"),
    ("qu", "kw"),
    ("a", "æ"),
    ("e", "ɛ"),
    ("i", "ɪ"),
    ("o", "ɑ"),
    ("u", "ʌ"),
    ("b", "b"),
    ("c", "k"),
    ("d", "d"),
    ("f", "f"),
    ("g", "ɡ"),
    ("h", "h"),
    ("j", "ʤ"),
    ("k", "k"),
    ("l", "l"),
    ("m", "m"),
    ("n", "n"),
    ("p", "p"),
    ("q", "k"),
    ("r", "ɹ"),
    ("s", "s"),
    ("t", "t"),
    ("v", "v"),
    ("w", "w"),
    ("x", "ks"),
    ("z", "z"),
];

fn from_respelling(written: &str) -> Result<String, String> {
    let mut sound = String::new();
    for (index, word) in written.split_whitespace().enumerate() {
        if index > 0 {
            sound.push(' ');
        }
        let syllables: Vec<&str> = word.split(['-', '·']).filter(|syllable| !syllable.is_empty()).collect();
        for syllable in &syllables {
            let loud = syllable.chars().count() > 1 && !syllable.chars().any(char::is_lowercase);
            let mut phonemes = syllable_sound(&syllable.to_lowercase())?;
            // A word of one syllable is stressed in any case.
            if (loud || syllables.len() == 1)
                && let Some(at) = phonemes.find(|c| VOWELS.contains(c))
            {
                phonemes.insert(at, 'ˈ');
            }
            sound.push_str(&phonemes);
        }
    }
    // Small words of several stand back: `van der BERG`.
    if written.split_whitespace().count() > 1 && written.chars().any(char::is_uppercase) {
        let words: Vec<String> = written
            .split_whitespace()
            .zip(sound.split(' '))
            .map(|(word, sound)| {
                if word.chars().any(char::is_uppercase) { sound.to_owned() } else { sound.replace('ˈ', "") }
            })
            .collect();
        return Ok(words.join(" "));
    }
    Ok(sound)
}

fn syllable_sound(syllable: &str) -> Result<String, String> {
    let mut sound = String::new();
    let mut rest = syllable;
    while let Some(c) = rest.chars().next() {
        // *y* is a consonant before a vowel, and the sound of *my* or *happy* elsewhere.
        if c == 'y' {
            rest = &rest[1..];
            // *rye*
            if rest == "e" {
                sound.push('I');
                break;
            }
            sound.push_str(match rest.chars().next() {
                Some(next) if "aeiou".contains(next) => "j",
                _ if sound.is_empty() || rest.is_empty() && !sound.contains(|c| VOWELS.contains(c)) => "I",
                _ => "i",
            });
            continue;
        }
        // A single *e* at the end, after a vowel and a consonant, lengthens the vowel in English; a respelling has `ay`, `eye`.
        let Some((letters, phonemes)) = RESPELT.iter().find(|(letters, _)| rest.starts_with(letters)) else {
            return Err(format!(
                "`{c}` cannot be read in a respelling; write plain letters and hyphens, as in shi-VAWN, \
                 or phonemes between slashes"
            ));
        };
        sound.push_str(phonemes);
        rest = &rest[letters.len()..];
    }
    Ok(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn respellings() {
        for (written, sound) in [
            ("shi-VAWN", "ʃɪvˈɔn"),
            ("muh-REE-uh", "məɹˈiə"),
            ("nguh-oh-ZEE", "ŋəOzˈi"),
            ("yoo-KEE", "jukˈi"),
            ("YAHN", "jˈɑn"),
            ("neev", "nˈiv"),
            ("wy", "wˈI"),
            ("muh-RYE-uh", "məɹˈIə"),
            ("zhoh-ZAY", "ʒOzˈA"),
            ("van der BERG", "væn dəɹ bˈəɹɡ"),
            ("ah-nah", "ˈɑnɑ"),
            ("tor-sten-sun", "tɔɹstˈɛnsʌn"),
            ("AN-jee", "ˈænʤi"),
        ] {
            assert_eq!(phonemes(written).as_deref(), Ok(sound), "{written}");
        }
    }

    #[test]
    fn the_phonetic_alphabet() {
        for (written, sound) in [
            ("/ʃɪˈvɔːn/", "ʃɪvˈɔn"),
            ("/ʃəvˈɔn/", "ʃəvˈɔn"),
            ("/məˈriːə/", "məɹˈiə"),
            ("/ˈdʒoʊsɛf/", "ʤˈOsɛf"),
            ("/ˌaɪdəˈlaɪd/", "ˌIdəlˈId"),
            ("/niːv/", "nˈiv"),
            ("/fɾɑ̃ˈswa/", "fɾɑnswˈɑ"),
        ] {
            assert_eq!(phonemes(written).as_deref(), Ok(sound), "{written}");
        }
    }

    #[test]
    fn each_word_has_its_own() {
        let pairs = |pairs: &[(&str, &str)]| -> Result<Vec<(String, String)>, String> {
            Ok(pairs.iter().map(|(word, say)| ((*word).to_owned(), (*say).to_owned())).collect())
        };
        for (words, written, expected) in [
            ("Siobhan", "shi-VAWN", pairs(&[("Siobhan", "shi-VAWN")])),
            ("Mary Siobhan", "MAIR-ee shi-VAWN", pairs(&[("Mary", "MAIR-ee"), ("Siobhan", "shi-VAWN")])),
            ("Li Wei", "/liː weɪ/", pairs(&[("Li", "/liː/"), ("Wei", "/weɪ/")])),
            ("Bergh", "van der BERG", pairs(&[("Bergh", "van der BERG")])),
        ] {
            assert_eq!(of_words(words, written), expected, "{words}");
        }
        let message = of_words("Li Wei Ming", "lee way").unwrap_err();
        assert!(message.contains("3 words are to be said, and 2 pronunciations"), "{message}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (written, reason) in [
            ("", "at least one vowel"),
            ("//", "at least one vowel"),
            ("/ʃɪ", "two slashes"),
            ("/ʃ№/", "`№`"),
            ("Мария", "`м`"),
            ("a1", "`1`"),
            ("tsk", "at least one vowel"),
            (&"ah-".repeat(50), "at most 120"),
        ] {
            let message = phonemes(written).expect_err(written);
            assert!(message.contains(reason), "{written}: {message}");
        }
    }
}
