use std::sync::atomic::AtomicU64;

use vignette_templates::blob::Blob;
use vignette_templates::generate::{Hole, Phrase, Recording, SpokenWord, Viewer};
use vignette_templates::time::Time;

use super::*;
use crate::models::{Model, Models};

/// A provider that counts how often it is asked, waits, and then answers as told.
struct Fake {
    name: &'static str,
    asked: AtomicU64,
    wait: Duration,
    answer: Result<&'static str, &'static str>,
}

impl Fake {
    fn new(name: &'static str, wait_ms: u64, answer: Result<&'static str, &'static str>) -> Arc<Self> {
        Arc::new(Fake { name, asked: AtomicU64::new(0), wait: Duration::from_millis(wait_ms), answer })
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl TextProvider for Fake {
    fn name(&self) -> &str {
        self.name
    }
    fn model(&self) -> String {
        "fake".into()
    }
    fn generate(&self, _: &TextRequest, _: &Context) -> Result<String, GenerateError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(self.wait);
        match self.answer {
            Ok("panic") => panic!("on purpose"),
            Ok(text) => Ok(text.to_owned()),
            Err(reason) => {
                Err(GenerateError::Provider { provider: self.name.to_owned(), reason: reason.to_owned() })
            }
        }
    }
}

fn engine(deadline_ms: u64, providers: &[&Arc<Fake>]) -> Engine {
    let options = Options { deadline: Duration::from_millis(deadline_ms), threads: 8, cache_bytes: 1 << 20 };
    let providers = providers.iter().map(|fake| Arc::clone(fake) as Arc<dyn TextProvider>).collect();
    Engine::new(options).with_text(providers)
}

fn text(name: &str, seed: u64, fallback: Option<&str>) -> Request {
    let kind = RequestKind::Text(TextRequest {
        prompt: "greet Maria".into(),
        max_chars: 40,
        fallback: fallback.map(str::to_owned),
        ..TextRequest::default()
    });
    asked(name, "en", seed, kind)
}

fn asked(name: &str, locale: &str, seed: u64, kind: RequestKind) -> Request {
    Request { name: name.into(), locale: locale.into(), seed, kind, viewer: Viewer::default() }
}

fn words(generated: &Generated) -> &str {
    match &generated.value {
        GeneratedValue::Text(text) => text,
        other => panic!("expected text, got {other:?}"),
    }
}

#[test]
fn providers_are_tried_in_order() {
    let down = Fake::new("down", 0, Err("service is down"));
    let wild = Fake::new("wild", 0, Ok("Hi {{first_name}}"));
    let boom = Fake::new("boom", 0, Ok("panic"));
    let good = Fake::new("good", 0, Ok("Hello, Maria!"));
    let generated =
        engine(5_000, &[&down, &wild, &boom, &good]).generate_one(&text("hook", 1, None)).unwrap();
    assert_eq!(words(&generated), "Hello, Maria!");
    assert_eq!(generated.provenance.provider, "good");
    assert_eq!(generated.provenance.fallback, None);
    assert_eq!((down.asked(), wild.asked(), boom.asked(), good.asked()), (1, 1, 1, 1));
}

#[test]
fn the_declared_fallback_stands_in_and_says_why() {
    let down = Fake::new("down", 0, Err("service is down"));
    let engine = engine(1_000, &[&down]);
    let generated = engine.generate_one(&text("hook", 1, Some("Good to see you"))).unwrap();
    assert_eq!(words(&generated), "Good to see you");
    assert_eq!(generated.provenance.provider, "fallback");
    assert!(generated.provenance.fallback.unwrap().contains("down: service is down"));
    // A fallback is not remembered: the provider may be up again.
    engine.generate_one(&text("hook", 1, Some("Good to see you"))).unwrap();
    assert_eq!(down.asked(), 2);
    let error = engine.generate_one(&text("hook", 1, None)).unwrap_err().to_string();
    assert!(error.contains("generate.hook: no text provider"), "{error}");
}

#[test]
fn a_slow_provider_is_left_behind() {
    let slow = Fake::new("slow", 5_000, Ok("It is late."));
    let good = Fake::new("good", 0, Ok("It is in time."));
    let started = Instant::now();
    let engine = engine(400, &[&slow, &good]);
    assert_eq!(words(&engine.generate_one(&text("hook", 1, None)).unwrap()), "It is in time.");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let only_slow = self::engine(200, &[&slow]);
    let error = only_slow.generate_one(&text("hook", 1, None)).unwrap_err().to_string();
    assert!(error.contains("slow: no answer within"), "{error}");
}

#[test]
fn calls_left_behind_are_bounded_and_forgotten_when_they_return() {
    let slow = Fake::new("slow", 1_200, Ok("It is late."));
    let engine = engine(1, &[&slow]);
    let requests: Vec<_> = (0..60).map(|seed| text("hook", seed, None)).collect();
    let results = engine.generate(&requests);
    assert!(results.iter().all(Result::is_err));
    let refused =
        results.iter().filter(|r| r.as_ref().unwrap_err().to_string().contains("not asked")).count();
    assert!(slow.asked() < 60 && refused > 0, "{} asked, {refused} refused", slow.asked());
    let started = Instant::now();
    while engine.abandoned.load(Ordering::Relaxed) != 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "calls that returned still count");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_same_request_is_asked_once() {
    let good = Fake::new("good", 50, Ok("Hello there."));
    let engine = engine(5_000, &[&good]);
    // Names differ, the request does not.
    let requests: Vec<_> = (0..40).map(|n| text(&format!("hook{n}"), n % 2, None)).collect();
    let results = engine.generate(&requests);
    assert_eq!(results.len(), 40);
    assert!(results.iter().all(|result| words(result.as_ref().unwrap()) == "Hello there."));
    assert_eq!(good.asked(), 2, "one for each seed");
    let mut other = text("hook", 0, None);
    other.locale = "de".into();
    engine.generate_one(&other).unwrap();
    assert_eq!(good.asked(), 3, "another language is another request");
}

#[test]
fn errors_of_a_shared_call_name_the_asker() {
    let down = Fake::new("down", 100, Err("service is down"));
    let results = engine(5_000, &[&down]).generate(&[text("a", 1, None), text("b", 1, None)]);
    let messages: Vec<String> = results.into_iter().map(|result| result.unwrap_err().to_string()).collect();
    assert!(messages[0].contains("generate.a") && messages[1].contains("generate.b"), "{messages:?}");
}

#[test]
fn memory_is_bounded() {
    let good = Fake::new("good", 0, Ok("Hello there."));
    let options = Options { cache_bytes: 10_000, ..Options::default() };
    let engine = Engine::new(options).with_text(vec![Arc::clone(&good) as _]);
    for seed in 0..200 {
        engine.generate_one(&text("hook", seed, None)).unwrap();
        assert!(engine.cached_bytes() <= 10_000);
    }
    assert!(engine.cached_bytes() > 5_000);
    engine.generate_one(&text("hook", 199, None)).unwrap();
    assert_eq!(good.asked(), 200, "the newest is remembered");
    engine.generate_one(&text("hook", 0, None)).unwrap();
    assert_eq!(good.asked(), 201, "the oldest is forgotten");
}

#[test]
fn what_is_off_says_what_to_do() {
    let engine = Engine::offline().without(Kind::Voice).without(Kind::Image).without(Kind::Text);
    let voice = RequestKind::Voice(VoiceRequest { say: "Hello".into(), ..Default::default() });
    let image = RequestKind::Image(ImageRequest { width: 8, height: 8, ..ImageRequest::default() });
    for (name, kind, expected) in
        [("narration", voice, "apt install flite espeak-ng"), ("backdrop", image, "`procedural`")]
    {
        let request = asked(name, "en", 0, kind);
        let message = engine.generate_one(&request).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains(expected), "{message}");
    }
    let generated = engine.generate_one(&text("hook", 0, Some("Hi"))).unwrap();
    assert!(generated.provenance.fallback.unwrap().contains("switched off"));
}

#[test]
fn missing_voices_name_every_package() {
    let engine = Engine::offline().with_voice(vec![
        Arc::new(Flite::at("/nowhere/flite")),
        Arc::new(EspeakNg::at("/nowhere/espeak-ng")),
    ]);
    let kind = RequestKind::Voice(VoiceRequest { say: "Hello Maria".into(), ..Default::default() });
    let request = asked("narration", "en", 0, kind);
    let message = engine.generate_one(&request).unwrap_err().to_string();
    assert!(
        message.contains("apt install flite`") && message.contains("apt install espeak-ng`"),
        "{message}"
    );
    assert!(!message.contains("Maria"), "{message}");
}

#[test]
fn offline_serves_all_three() {
    let grammar = [("start".to_owned(), vec![Phrase { say: "Welcome, Maria!".into(), weight: 1.0 }])];
    let kinds = [
        RequestKind::Text(TextRequest {
            grammar: grammar.into_iter().collect(),
            max_chars: 40,
            ..TextRequest::default()
        }),
        RequestKind::Voice(VoiceRequest { say: "Welcome, Maria!".into(), ..Default::default() }),
        RequestKind::Voice(VoiceRequest { say: "Willkommen!".into(), ..Default::default() }),
        RequestKind::Image(ImageRequest {
            prompt: "calm waves".into(),
            width: 64,
            height: 36,
            ..ImageRequest::default()
        }),
    ];
    let requests: Vec<_> = kinds
        .into_iter()
        .zip(["en", "en", "de", "en"])
        .map(|(kind, locale)| asked("it", locale, 3, kind))
        .collect();
    let providers: Vec<String> = Engine::offline()
        .generate(&requests)
        .into_iter()
        .map(|result| {
            result.expect("offline providers need nothing but the installed voices").provenance.provider
        })
        .collect();
    // The neural voice is a model, which may be installed or not.
    let english =
        if Models::default().is_installed(Model::find("hibari").unwrap()) { "hibari" } else { "flite" };
    assert_eq!(providers, ["grammar", english, "espeak-ng", "procedural"]);
}

#[test]
fn keys_are_stable_and_tell_nothing() {
    let request = text("hook", 1, None);
    let grammar = |model: &str| [Asked::new("grammar", model.to_owned(), false, &request)];
    let models = grammar("1");
    let before = key(&request, &request.kind, Some(1), &models);
    assert_eq!(
        before,
        key(&Request { name: "other".into(), ..request.clone() }, &request.kind, Some(1), &models)
    );
    assert_ne!(before, key(&request, &request.kind, Some(2), &models));
    assert_ne!(before, key(&request, &request.kind, Some(1), &grammar("2")));
    assert_eq!(before.to_string().len(), 64);
    // A provider outside the house that may not be told is as good as none; that it may is another thing.
    let private = Request {
        viewer: Viewer { fields: vec!["/first_name".into()], ..Viewer::default() },
        ..request.clone()
    };
    let open = Request { viewer: Viewer { may_be_sent: true, ..private.viewer.clone() }, ..private.clone() };
    let far = |request: &Request| {
        key(request, &request.kind, Some(1), &[Asked::new("far", "1".into(), true, request)])
    };
    assert_ne!(far(&private), far(&open));
    assert_eq!(far(&open), far(&request));
}

/// Speaks a tone of a quarter of a second for each word at speed 1, and remembers what it was asked.
#[derive(Default)]
struct Speaker {
    asked: Mutex<Vec<(String, f64)>>,
    fails: AtomicBool,
}

impl VoiceProvider for Speaker {
    fn name(&self) -> &str {
        "speaker"
    }
    fn model(&self, _: &VoiceRequest, _: &str) -> String {
        "one".into()
    }
    fn generate(
        &self,
        request: &VoiceRequest,
        _: &Context,
    ) -> Result<vignette_templates::generate::Voice, GenerateError> {
        self.asked.lock().unwrap().push((request.say.clone(), request.speed));
        if self.fails.load(Ordering::SeqCst) {
            return Err(GenerateError::Provider { provider: "speaker".into(), reason: "is hoarse".into() });
        }
        let words: Vec<&str> = request.say.split(' ').collect();
        let length = 0.25 / request.speed;
        let at = |index: usize| Time::from_samples((length * index as f64 * 16_000.0) as u64, 16_000);
        let words: Vec<_> = words
            .iter()
            .enumerate()
            .map(|(index, word)| SpokenWord { text: (*word).into(), start: at(index), end: at(index + 1) })
            .collect();
        let duration = at(words.len());
        let audio = wav((0..duration.to_samples(16_000)).map(|n| (n as f64 * 0.3).sin()));
        Ok(vignette_templates::generate::Voice { audio, duration, words, phonemes: Vec::new() })
    }
}

fn wav(samples: impl Iterator<Item = f64>) -> Blob {
    let data: Vec<u8> = samples.flat_map(|value| ((value * 9000.0) as i16).to_le_bytes()).collect();
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    bytes.extend(16_000u32.to_le_bytes());
    bytes.extend(32_000u32.to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    Blob::new(bytes)
}

/// Four seconds of a person who takes half a second for each word.
fn recorded(name: &str, optional: bool) -> Request {
    let seconds = |value: f64| Time::from_ticks((value * Time::TICKS_PER_SECOND as f64) as i64);
    let word = |text: &str, from: f64, to: f64| SpokenWord {
        text: text.into(),
        start: seconds(from),
        end: seconds(to),
    };
    let hole = Hole { from: seconds(1.0), to: seconds(1.5), say: name.into(), optional };
    let recording = Recording {
        audio: wav((0..64_000).map(|n| (n as f64 * 0.05).sin() * 0.5)),
        holes: vec![hole],
        words: vec![word("Hello there,", 0.0, 1.0), word("and welcome to all", 1.5, 3.5)],
    };
    let kind = RequestKind::Voice(VoiceRequest {
        say: name.into(),
        recording: Some(recording),
        ..VoiceRequest::default()
    });
    asked("narration", "en", name.len() as u64, kind)
}

#[test]
fn a_recording_is_spoken_at_its_own_pace_and_remembered() {
    let speaker = Arc::new(Speaker::default());
    let engine = Engine::new(Options::default()).with_voice(vec![speaker.clone()]);
    let made = engine.generate_one(&recorded("Maria", false)).unwrap();
    let GeneratedValue::Voice(voice) = &made.value else { panic!("no voice") };
    let words: Vec<&str> = voice.words.iter().map(|word| word.text.as_str()).collect();
    assert_eq!(words, ["Hello", "there,", "Maria", "and", "welcome", "to", "all"]);
    assert_eq!(made.provenance.model, "one, in a recording");
    // The person is half as fast, which is more than a voice is slowed down.
    let said = |index: usize| speaker.asked.lock().unwrap().get(index).cloned();
    assert_eq!(said(0), Some(("Hello there, and welcome to all".into(), 1.0)));
    assert_eq!(said(1), Some(("Maria".into(), 0.7)));
    // Another viewer costs her name alone, the same viewer nothing.
    engine.generate_one(&recorded("Jo", false)).unwrap();
    assert_eq!((said(2), said(3)), (Some(("Jo".into(), 0.7)), None));
    let again = engine.generate_one(&recorded("Maria", false)).unwrap();
    let GeneratedValue::Voice(again) = &again.value else { panic!("no voice") };
    assert_eq!((again.audio.digest(), said(3)), (voice.audio.digest(), None));
    // Whoever may not be told the words is told nothing of the pace either.
    assert_eq!(engine.explain(&recorded("Maria", false))[0].words, "Hello there, and welcome to all Maria");
    // An empty hole asks nobody.
    let closed = engine.generate_one(&recorded(" ", false)).unwrap();
    assert_eq!((closed.provenance.provider.as_str(), closed.provenance.fallback), ("recording", None));
    assert_eq!(said(3), None);
}

#[test]
fn a_recording_that_nobody_can_complete_is_closed_where_that_is_allowed() {
    let speaker = Arc::new(Speaker::default());
    speaker.fails.store(true, Ordering::SeqCst);
    let engine = Engine::new(Options::default()).with_voice(vec![speaker.clone()]);
    assert!(engine.generate_one(&recorded("Maria", false)).unwrap_err().to_string().contains("is hoarse"));
    let made = engine.generate_one(&recorded("Maria", true)).unwrap();
    let why = made.provenance.fallback.unwrap();
    assert!(why.contains("closed") && why.contains("is hoarse") && !why.contains("Maria"), "{why}");
    // What failed in passing is asked again.
    speaker.fails.store(false, Ordering::SeqCst);
    assert_eq!(engine.generate_one(&recorded("Maria", true)).unwrap().provenance.fallback, None);
    // Nobody speaks at all.
    let off = engine.without(Kind::Voice);
    assert!(off.generate_one(&recorded("Maria", false)).is_err());
    assert!(
        off.generate_one(&recorded("Maria", true))
            .unwrap()
            .provenance
            .fallback
            .unwrap()
            .contains("switched off")
    );
}

#[test]
fn an_audience_has_a_lexicon_of_its_own() {
    /// Remembers the lexicon it was asked with.
    #[derive(Default)]
    struct Listener(Mutex<Vec<Vec<(String, String)>>>);
    impl VoiceProvider for Listener {
        fn name(&self) -> &str {
            "listener"
        }
        fn model(&self, _: &VoiceRequest, _: &str) -> String {
            "one".into()
        }
        fn generate(
            &self,
            request: &VoiceRequest,
            _: &Context,
        ) -> Result<vignette_templates::generate::Voice, GenerateError> {
            self.0.lock().unwrap().push(request.lexicon.clone().into_iter().collect());
            Err(GenerateError::Rejected { provider: "listener".into(), reason: "only listens".into() })
        }
    }
    let listener = Arc::new(Listener::default());
    let pair = |word: &str, say: &str| (word.to_owned(), say.to_owned());
    let engine = Engine::new(Options::default()).with_voice(vec![listener.clone()]).with_lexicon([
        pair("Siobhán", "shi-VAWN"),
        pair("Nguyen", "nuh-WIN"),
        pair("Jo", "YOH"),
    ]);
    for (say, own, expected) in [
        ("Hello SIOBHÁN, you.", vec![], vec![pair("siobhán", "shi-VAWN")]),
        (
            "Nguyen's, and Siobhán-Marie's",
            vec![],
            vec![pair("nguyen", "nuh-WIN"), pair("siobhán", "shi-VAWN")],
        ),
        ("Hello Siobhán", vec![pair("Siobhán", "SHEE-vawn")], vec![pair("Siobhán", "SHEE-vawn")]),
        ("John and Joan", vec![], vec![]),
    ] {
        let voice =
            VoiceRequest { say: say.into(), lexicon: own.into_iter().collect(), ..VoiceRequest::default() };
        let _ = engine.generate_one(&asked("n", "en", 1, RequestKind::Voice(voice)));
        assert_eq!(listener.0.lock().unwrap().pop(), Some(expected), "{say}");
    }
}
