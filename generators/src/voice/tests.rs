use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::*;
use crate::provider::{Context, VoiceProvider};

fn context(locale: &str) -> Context {
    let deadline = Instant::now() + Duration::from_secs(60);
    Context { name: "narration".into(), locale: locale.into(), seed: 1, deadline }
}

fn say(text: &str) -> VoiceRequest {
    VoiceRequest { say: text.to_owned(), ..Default::default() }
}

/// The programs are installed wherever this is built; where one is not, these tests fail and say which.
fn both() -> [(&'static str, Box<dyn VoiceProvider>); 2] {
    [("flite", Box::new(Flite::default())), ("espeak-ng", Box::new(EspeakNg::default()))]
}

const SENTENCE: &str = "Hello Maria, welcome to your new account. It costs $5.99; you save 20% by March 3rd.";

#[test]
fn speaks_words_in_order() {
    for (name, provider) in both() {
        let request = say(SENTENCE);
        let voice = provider.generate(&request, &context("en-US")).expect(name);
        check_speech(&voice, &request).expect(name);
        assert!((4.0..11.0).contains(&voice.duration.as_seconds()), "{name}: {:?}", voice.duration);
        let words: Vec<&str> = voice.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(words, SENTENCE.split(' ').collect::<Vec<_>>(), "{name}");
        // Every word lasts, and none is longer than the longest here ("$5.99": five dollars ninety-nine cents).
        for word in &voice.words {
            let length = (word.end - word.start).as_seconds();
            assert!((0.02..2.5).contains(&length), "{name}: {word:?} lasts {length} s");
        }
        // Silence around the speech is trimmed.
        let sound = Sound::from_wav(voice.audio.bytes()).unwrap();
        let (first, last) = sound.sounding().unwrap();
        let milliseconds = |samples: usize| samples as f64 * 1000.0 / f64::from(sound.rate);
        assert!(milliseconds(first) <= 66.0, "{name}: {}", milliseconds(first));
        assert!(milliseconds(sound.samples.len() - last) <= 126.0, "{name}");
        // The first word starts with the sound, and the second sentence after the pause.
        assert!((voice.words[0].start.as_seconds() - milliseconds(first) / 1000.0).abs() < 0.08, "{name}");
        let again = provider.generate(&request, &context("en-US")).expect(name);
        assert_eq!(again.audio.digest(), voice.audio.digest(), "{name}: not the same twice");
        assert_eq!(again.words, voice.words, "{name}");
    }
}

#[test]
fn speed_changes_the_length() {
    for (name, provider) in both() {
        let lasts = |speed: f64| {
            let request = VoiceRequest { speed, ..say(SENTENCE) };
            provider.generate(&request, &context("en")).expect(name).duration.as_seconds()
        };
        let (slow, normal, fast) = (lasts(0.7), lasts(1.0), lasts(1.6));
        assert!(slow > normal * 1.15 && normal > fast * 1.2, "{name}: {slow} {normal} {fast}");
    }
}

#[test]
fn strange_text_is_spoken_or_refused_but_never_run() {
    let long = "All good things take a while to say. ".repeat(135);
    let table: &[(&str, &str)] = &[
        ("shell", "$(touch /tmp/vignette-was-here); `id` | cat && echo \"x\" > y; rm -rf ~"),
        ("option", "--help -v none -w /tmp/vignette-was-here"),
        ("markup", "<speak><voice name=\"x\">Hello</voice></speak> &amp; <break time=\"9s\"/>"),
        ("phonemes", "Say [[h@l'oU]] now"),
        ("control characters", "Hel\u{0}lo \u{1}+10S you\u{1b}[31m"),
        ("direction override", "Hello \u{202E}airaM"),
        ("emoji", "Good morning ☕👍🏽!"),
        ("five thousand characters", &long),
        ("one letter", "a"),
        ("quotes and breaks", "He said \"no\"\r\n\r\nand 'yes'.\n\n\nThen — nothing…"),
        ("dots", "e.g. A.B.C. www.example.com/x?y=1 3.14 a.m."),
    ];
    for (name, provider) in both() {
        for (case, text) in table {
            let request = say(text);
            let voice = provider
                .generate(&request, &context("en"))
                .unwrap_or_else(|error| panic!("{name}, {case}: {error}"));
            check_speech(&voice, &request).unwrap_or_else(|error| panic!("{name}, {case}: {error}"));
            assert!(voice.words.windows(2).all(|pair| pair[0].start <= pair[1].start), "{name}, {case}");
            assert!(!voice.words.is_empty(), "{name}, {case}");
        }
        for (case, text) in [("empty", ""), ("punctuation", "... — !"), ("too long", &"word ".repeat(3_000))]
        {
            let error = provider.generate(&say(text), &context("en")).expect_err(case);
            assert!(matches!(error, GenerateError::Invalid(_)), "{name}, {case}: {error}");
        }
    }
    assert!(!std::path::Path::new("/tmp/vignette-was-here").exists());
}

#[test]
fn markup_does_not_change_what_is_said() {
    for (name, provider) in both() {
        let spoken = provider.generate(&say("Say hello now"), &context("en")).expect(name);
        let marked = provider.generate(&say("Say [[hello]] now"), &context("en")).expect(name);
        let (plain, marked) = (spoken.duration.as_seconds(), marked.duration.as_seconds());
        assert!((plain - marked).abs() < 0.6, "{name}: {plain} {marked}");
    }
}

#[test]
fn languages() {
    let espeak = EspeakNg::default();
    for (locale, text) in [
        ("de", "Guten Tag, Frau Müller! Ihr Konto ist jetzt bereit."),
        ("es-MX", "¡Hola María! Tu cuenta está lista."),
        ("fr", "Bonjour Zoë, votre compte est prêt."),
        ("ar", "مرحبا يا ماريا، حسابك جاهز."),
        ("he", "שלום מריה, החשבון שלך מוכן."),
        ("hi", "नमस्ते मारिया, आपका खाता तैयार है।"),
        ("ru", "Здравствуйте, Мария! Ваш счёт готов."),
        ("zh-CN", "你好，玛丽亚，欢迎使用您的新账户。"),
        ("ko", "안녕하세요 마리아, 계정이 준비되었습니다."),
        ("ja", "こんにちは まりあさん。"),
        ("tr", "Merhaba Şule, hesabın hazır."),
    ] {
        let request = say(text);
        let voice = espeak.generate(&request, &context(locale)).unwrap_or_else(|e| panic!("{locale}: {e}"));
        check_speech(&voice, &request).unwrap_or_else(|error| panic!("{locale}: {error}"));
        assert_eq!(voice.words.len(), text.split_whitespace().count(), "{locale}");
    }
    let table: [(&str, &dyn VoiceProvider, &str, &str, &str); 5] = [
        ("flite speaks English only", &Flite::default(), "de", "Guten Tag", "English only"),
        ("no such language", &espeak, "zu", "Sawubona", "no voice for language \"zu\""),
        ("kanji", &espeak, "ja", "日本語", "kana"),
        ("cyrillic for flite", &Flite::default(), "en", "Hello Мария", "cannot read"),
        ("han in English", &espeak, "en", "Hello 玛丽亚", "Chinese characters"),
    ];
    for (name, provider, locale, text, expected) in table {
        let message = provider.generate(&say(text), &context(locale)).expect_err(name).to_string();
        assert!(message.contains(expected), "{name}: {message}");
    }
}

#[test]
fn a_missing_program_names_its_package() {
    let table: [(&dyn VoiceProvider, &str); 2] = [
        (&Flite::at("/nowhere/flite"), "apt install flite"),
        (&EspeakNg::at("/nowhere/espeak-ng"), "apt install espeak-ng"),
    ];
    for (provider, expected) in table {
        let message = provider.generate(&say("Hello"), &context("en")).expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("/nowhere"), "{message}");
    }
}

#[test]
fn a_program_that_misbehaves_is_ended_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, body: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let pid = folder.path().join("pid");
    let table = [
        ("slow", format!("echo $$ > {}; exec sleep 30", pid.display()), "no answer within"),
        ("slow child that keeps the pipe", "sleep 3 & exit 0".to_owned(), "no answer within"),
        ("never reads", "exec sleep 30 <&-".to_owned(), "no answer within"),
        ("endless", "exec cat /dev/zero".to_owned(), "without end"),
        ("fails", "cat >/dev/null; echo secret >&2; exit 3".to_owned(), "exit status: 3"),
        ("writes text", "cat >/dev/null; echo hello".to_owned(), "no RIFF WAVE"),
        ("writes nothing", "cat >/dev/null".to_owned(), "no RIFF WAVE"),
    ];
    for (name, body, expected) in table {
        let provider = EspeakNg::at(script(&name.replace(' ', "-"), &body));
        let started = Instant::now();
        // The endless one is stopped by its size, if it is given the time.
        let given = if name == "endless" { 10_000 } else { 300 };
        let context = Context { deadline: started + Duration::from_millis(given), ..context("en") };
        let request = say(&"Hello there. ".repeat(700));
        let message = provider.generate(&request, &context).expect_err(name).to_string();
        assert!(message.contains(expected), "{name}: {message}");
        assert!(!message.contains("secret") && !message.contains("Hello"), "{name}: {message}");
        assert!(started.elapsed() < Duration::from_secs(5), "{name}: {:?}", started.elapsed());
    }
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists(), "the slow program still runs");
}

#[test]
fn implausible_speech_is_refused() {
    let voice = |samples: Vec<i16>| {
        let sound = Sound { rate: 16_000, samples };
        let duration = Time::from_samples(sound.samples.len() as u64, sound.rate);
        Voice { audio: Blob::new(sound.to_wav()), duration, words: Vec::new(), phonemes: Vec::new() }
    };
    let loud =
        |seconds: usize| (0..16_000 * seconds).map(|n| if n % 40 < 20 { 9_000 } else { -9_000 }).collect();
    let request = say("Welcome to your new account, dear Maria");
    assert_eq!(check_speech(&voice(loud(3)), &request), Ok(()));
    for (name, voice) in [
        ("empty", voice(vec![])),
        ("silent", voice(vec![0; 48_000])),
        ("much too short", voice(loud(3)[..1_600].to_vec())),
        ("much too long", voice(loud(300))),
        ("wrong duration", Voice { duration: Time::from_seconds(9), ..voice(loud(3)) }),
        ("no sound file", Voice { audio: Blob::new(b"ID3 not a wave".to_vec()), ..voice(loud(3)) }),
    ] {
        assert!(check_speech(&voice, &request).is_err(), "{name}");
    }
}

/// Pauses are heard where the text has them: the word after a full stop starts where sound starts again.
#[test]
fn word_starts_agree_with_the_sound() {
    let text = "Good morning. Maria is here. Please open the report. Thank you.";
    for (name, provider) in both() {
        let voice = provider.generate(&say(text), &context("en")).expect(name);
        let sound = Sound::from_wav(voice.audio.bytes()).unwrap();
        let spans = sound.spans(100);
        let starts = ["Good", "Maria", "Please", "Thank"];
        assert_eq!(spans.len(), starts.len(), "{name}: {spans:?}");
        for (word, (from, _)) in starts.iter().zip(spans) {
            let heard = from as f64 / f64::from(sound.rate);
            let said = voice.words.iter().find(|w| w.text == *word).expect(name).start.as_seconds();
            assert!(
                (heard - said).abs() < 0.08,
                "{name}: {word} is heard at {heard:.3}, said to be at {said:.3}"
            );
        }
        if let Some(folder) = std::env::var_os("VIGNETTE_SPEECH") {
            let stem = std::path::PathBuf::from(folder).join(name);
            std::fs::write(stem.with_extension("wav"), voice.audio.bytes()).unwrap();
            let times: String = voice
                .words
                .iter()
                .map(|w| format!("{:.3} {:.3} {}\n", w.start.as_seconds(), w.end.as_seconds(), w.text))
                .collect();
            std::fs::write(stem.with_extension("words"), times).unwrap();
        }
    }
}
