use std::sync::atomic::AtomicU64;

use vignette_templates::generate::{Phrase, Viewer};

use super::*;

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
    let slow = Fake::new("slow", 5_000, Ok("late"));
    let good = Fake::new("good", 0, Ok("in time"));
    let started = Instant::now();
    let engine = engine(400, &[&slow, &good]);
    assert_eq!(words(&engine.generate_one(&text("hook", 1, None)).unwrap()), "in time");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let only_slow = self::engine(200, &[&slow]);
    let error = only_slow.generate_one(&text("hook", 1, None)).unwrap_err().to_string();
    assert!(error.contains("slow: no answer within"), "{error}");
}

#[test]
fn calls_left_behind_are_bounded_and_forgotten_when_they_return() {
    let slow = Fake::new("slow", 1_200, Ok("late"));
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
    let good = Fake::new("good", 50, Ok("Hello"));
    let engine = engine(5_000, &[&good]);
    // Names differ, the request does not.
    let requests: Vec<_> = (0..40).map(|n| text(&format!("hook{n}"), n % 2, None)).collect();
    let results = engine.generate(&requests);
    assert_eq!(results.len(), 40);
    assert!(results.iter().all(|result| words(result.as_ref().unwrap()) == "Hello"));
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
    let good = Fake::new("good", 0, Ok("Hello"));
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
    assert_eq!(providers, ["grammar", "flite", "espeak-ng", "procedural"]);
}

#[test]
fn keys_are_stable_and_tell_nothing() {
    let request = text("hook", 1, None);
    let grammar = |model: &str| [Asked::new("grammar", model.to_owned(), false, &request)];
    let models = grammar("1");
    let before = key(&request, Some(1), &models);
    assert_eq!(before, key(&Request { name: "other".into(), ..request.clone() }, Some(1), &models));
    assert_ne!(before, key(&request, Some(2), &models));
    assert_ne!(before, key(&request, Some(1), &grammar("2")));
    assert_eq!(before.to_string().len(), 64);
    // A provider outside the house that may not be told is as good as none; that it may is another thing.
    let private = Request {
        viewer: Viewer { fields: vec!["/first_name".into()], ..Viewer::default() },
        ..request.clone()
    };
    let open = Request { viewer: Viewer { may_be_sent: true, ..private.viewer.clone() }, ..private.clone() };
    let far = |request: &Request| key(request, Some(1), &[Asked::new("far", "1".into(), true, request)]);
    assert_ne!(far(&private), far(&open));
    assert_eq!(far(&open), far(&request));
}
