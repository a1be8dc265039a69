//! What the generators cost that need no account: how long each takes, and what generating for one viewer of each gallery template
//! takes beside rendering her new segments.
//!
//! `cargo bench --bench generators` prints the tables of docs/generators.md; `VIGNETTE_MODELS` names the folder of models. Machines are
//! shared and noisy, so CPU time of this process and of the programs that it ran counts beside wall time. A provider that
//! is not installed has a row that says so. Services are measured against a server in this process, on loopback, that answers at
//! once: what remains is what the client itself takes. With `--test` (as `cargo test --benches` calls it) one turn shows that it
//! still runs.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vignette::Engine;
use vignette::generators::models::{Models, catalog};
use vignette::generators::{
    Engine as Generators, EspeakNg, Flite, Grammar, Hibari, Options, Procedural, Settings,
};
use vignette::generators::{ImageProvider, TextProvider, VoiceProvider};
use vignette::renderer::render::{RenderOptions, Stores};
use vignette::renderer::store::{Memory, Vault};
use vignette::templates::generate::{
    GeneratedValue, ImageRequest, Phrase, Request, RequestKind, TextRequest, Viewer, VoiceRequest,
};

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    if let Err(error) = alone(quick).and_then(|()| services(quick)).and_then(|()| gallery(quick)) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

/// CPU time of this process and of the programs that it ran and waited for (getrusage(2)).
fn cpu() -> Duration {
    let of = |who| {
        // SAFETY: a `rusage` is plain numbers, for which zero is valid, and the call writes one.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(who, &raw mut usage);
            usage
        };
        let time = |time: libc::timeval| {
            Duration::from_secs(time.tv_sec.unsigned_abs())
                + Duration::from_micros(time.tv_usec.unsigned_abs())
        };
        time(usage.ru_utime) + time(usage.ru_stime)
    };
    of(libc::RUSAGE_SELF) + of(libc::RUSAGE_CHILDREN)
}

/// Wall and CPU time of some work, with what came of it.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration, Duration) {
    let (cpu_before, start) = (cpu(), Instant::now());
    let result = work();
    (result, start.elapsed(), cpu().saturating_sub(cpu_before))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn request(seed: u64, kind: RequestKind) -> Request {
    Request { name: "x".into(), locale: "en".into(), seed, kind, viewer: Viewer::default() }
}

fn copy(seed: u64) -> Request {
    let phrase = |say: &str| Phrase { say: say.into(), weight: 1.0 };
    let grammar = [
        ("start", vec![phrase("[hello], Maria. [cheer]"), phrase("[hello] again! [cheer]")]),
        ("hello", vec![phrase("Welcome back"), phrase("Good to see you"), phrase("Hello")]),
        (
            "cheer",
            vec![phrase("Three courses to go."), phrase("You are well on your way."), phrase("[hello]!")],
        ),
    ];
    request(
        seed,
        RequestKind::Text(TextRequest {
            prompt: "One warm sentence for Maria".into(),
            grammar: grammar.map(|(rule, phrases)| (rule.to_owned(), phrases)).into(),
            max_chars: 80,
            fallback: Some("Hello".into()),
            ..TextRequest::default()
        }),
    )
}

/// Twelve sentences as narrations have them.
const SENTENCES: [&str; 12] = [
    "Hello Maria, and welcome to your new workspace.",
    "In the next minute I will show you the three things that matter most.",
    "Your plan includes up to twenty five projects.",
    "Everything you write is saved as you go, on every device.",
    "Invite your colleagues with one link, and decide who may change what.",
    "On Friday at half past nine we will send you a short summary.",
    "You have finished four of six modules, which is well ahead of most.",
    "The price for you is nineteen euros and ninety cents a month.",
    "If you ever get stuck, the question mark in the corner is a person.",
    "Take your time, look around, and try the examples first.",
    "There is nothing here that you could break.",
    "See you soon, Maria, and have a good start.",
];

fn spoken(sentence: usize, round: usize) -> Request {
    // Another speed is another sound, so that nothing is found in the memory.
    let speed = 1.0 + round as f64 / 1000.0;
    let say = SENTENCES[sentence % SENTENCES.len()].to_owned();
    request(0, RequestKind::Voice(VoiceRequest { say, speed, ..VoiceRequest::default() }))
}

fn drawn(seed: u64) -> Request {
    request(
        seed,
        RequestKind::Image(ImageRequest {
            prompt: format!("calm picture {seed}"),
            width: 960,
            height: 540,
            ..ImageRequest::default()
        }),
    )
}

/// What is made by one provider for `requests`: how many answers, seconds of sound in them, wall and CPU time.
fn answers(engine: &Generators, requests: &[Request]) -> Result<(f64, Duration, Duration), Box<dyn Error>> {
    let (results, wall, cpu) = timed(|| requests.iter().map(|r| engine.generate_one(r)).collect::<Vec<_>>());
    let mut seconds = 0.0;
    for result in results {
        let made = result?;
        if let Some(why) = made.provenance.fallback {
            return Err(why.into());
        }
        if let GeneratedValue::Voice(voice) = made.value {
            seconds += voice.duration.as_seconds();
        }
    }
    Ok((seconds, wall, cpu))
}

/// What Debian's packages take on disk, as dpkg knows it.
fn packages(names: &[&str]) -> String {
    let output = Command::new("dpkg-query").args(["-W", "-f=${Installed-Size}\n"]).args(names).output();
    let kib: u64 = output
        .map(|output| {
            String::from_utf8_lossy(&output.stdout).lines().filter_map(|l| l.parse::<u64>().ok()).sum()
        })
        .unwrap_or(0);
    if kib == 0 { "not known".to_owned() } else { format!("{:.1} MB", kib as f64 * 1024.0 / 1e6) }
}

fn model(name: &str) -> String {
    let found = catalog().iter().find(|model| model.name == name);
    let bytes =
        found.map_or(0, |model| model.bytes() + model.needs().map(|needed| needed.bytes()).sum::<u64>());
    format!("{:.1} MB with its runtime", bytes as f64 / 1e6)
}

fn languages_of_espeak() -> String {
    let output = Command::new("espeak-ng").arg("--voices").output();
    let lines = output.map_or(0, |output| String::from_utf8_lossy(&output.stdout).lines().count());
    format!("{} voices of as many languages and dialects", lines.saturating_sub(1))
}

/// Each provider that needs no account.
fn alone(quick: bool) -> Result<(), Box<dyn Error>> {
    let options = || Options { deadline: Duration::from_secs(120), ..Options::default() };
    let rounds = if quick { 1 } else { 5 };
    println!(
        "| provider | licence | size | languages | latency, wall | CPU | real-time factor, wall | CPU |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let row = |name: &str,
               about: [&str; 3],
               made: Result<(f64, Duration, Duration), Box<dyn Error>>,
               count: usize| {
        let [licence, size, languages] = about;
        match made {
            Err(error) => println!("| {name} | {licence} | {size} | {languages} | {error} | | | |"),
            Ok((seconds, wall, cpu)) => {
                let each = |time: Duration| format!("{:.2} ms", ms(time) / count as f64);
                let factor = |time: Duration| match seconds > 0.0 {
                    true => format!("{:.4}", time.as_secs_f64() / seconds),
                    false => "–".to_owned(),
                };
                println!(
                    "| {name} | {licence} | {size} | {languages} | {} | {} | {} | {} |",
                    each(wall),
                    each(cpu),
                    factor(wall),
                    factor(cpu)
                );
            }
        }
    };
    let own = "part of Vignette";
    let engine = Generators::new(options()).with_text(vec![Arc::new(Grammar) as Arc<dyn TextProvider>]);
    let requests: Vec<Request> = (0..if quick { 10 } else { 2000 }).map(copy).collect();
    row("`grammar`", [own, "–", "any"], answers(&engine, &requests), requests.len());

    let speech: Vec<Request> =
        (0..rounds).flat_map(|round| (0..SENTENCES.len()).map(move |n| spoken(n, round))).collect();
    let speech = if quick { &speech[..2] } else { &speech[..] };
    let espeak = languages_of_espeak();
    let hibari = model("hibari");
    let voices: [(&str, Arc<dyn VoiceProvider>, [&str; 3]); 3] = [
        ("`hibari`", Arc::new(Hibari::default()), ["Apache-2.0", &hibari, "English"]),
        ("`flite`", Arc::new(Flite::default()), ["BSD-like", &packages(&["flite", "libflite1"]), "English"]),
        (
            "`espeak-ng`",
            Arc::new(EspeakNg::default()),
            ["GPL-3.0", &packages(&["espeak-ng", "libespeak-ng1", "espeak-ng-data"]), &espeak],
        ),
    ];
    for (name, voice, about) in voices {
        let engine = Generators::new(options()).with_voice(vec![voice]);
        // The first call loads the model.
        let first = answers(&engine, &[spoken(0, 999)]);
        let made = first.and_then(|first| Ok((first, answers(&engine, speech)?)));
        let loading = made.as_ref().map(|(first, _)| first.1).ok();
        row(name, about, made.map(|(_, made)| made), speech.len());
        if let Some(loading) = loading {
            eprintln!("{name}: the first call, with all that is loaded once, {:.0} ms", ms(loading));
        }
    }
    let engine = Generators::new(options()).with_image(vec![Arc::new(Procedural) as Arc<dyn ImageProvider>]);
    let requests: Vec<Request> = (0..if quick { 1 } else { 20 }).map(drawn).collect();
    row("`procedural`, 960 × 540", [own, "–", "–"], answers(&engine, &requests), requests.len());
    eprintln!("models: {}", Models::default().dir().map_or("none".into(), |dir| dir.display().to_string()));
    Ok(())
}

/// Answers every call at once, one connection each.
fn serve(listener: TcpListener) {
    for stream in listener.incoming().map_while(Result::ok) {
        std::thread::spawn(move || drop(answer(stream)));
    }
}

fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length, mut path) = (String::new(), 0, String::new());
    while reader.read_line(&mut line)? > 2 {
        if path.is_empty() {
            path = line.clone();
        }
        if let Some(("content-length", value)) = line.to_ascii_lowercase().trim().split_once(": ") {
            length = value.parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (kind, body) = if path.contains("speech") {
        ("audio/wav", tone())
    } else if path.contains("images") {
        ("application/json", picture())
    } else {
        let lines = "{\\\"lines\\\":[\\\"Welcome back, Maria!\\\"]}";
        let text =
            format!("{{\"model\":\"fake\",\"choices\":[{{\"message\":{{\"content\":\"{lines}\"}}}}]}}");
        ("application/json", text.into_bytes())
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (&stream).write_all(head.as_bytes())?;
    (&stream).write_all(&body)
}

/// Three seconds of a tone as a WAVE file, 24 kHz.
fn tone() -> Vec<u8> {
    let samples: Vec<i16> = (0..72_000).map(|n| ((f64::from(n) * 0.05).sin() * 9000.0) as i16).collect();
    let bytes = samples.len() as u32 * 2;
    let mut file = b"RIFF".to_vec();
    file.extend((bytes + 36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(24_000u32.to_le_bytes());
    file.extend(48_000u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(bytes.to_le_bytes());
    samples.iter().for_each(|sample| file.extend(sample.to_le_bytes()));
    file
}

/// A grey picture of 960 × 540 as an answer of an image service.
fn picture() -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    let grey = image::RgbImage::from_pixel(960, 540, image::Rgb([90, 90, 90]));
    // A plain picture in memory always encodes.
    let _ = grey.write_to(&mut png, image::ImageFormat::Png);
    format!("{{\"data\":[{{\"b64_json\":\"{}\"}}]}}", base64(png.get_ref())).into_bytes()
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * n)) as usize & 63];
            text.push(if n > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

/// What the clients of services take themselves.
fn services(quick: bool) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    std::thread::spawn(move || serve(listener));
    let provider = |name: &str| {
        format!("[providers.{name}]\nkind = \"openai-{name}\"\nurl = \"{url}\"\nmodel = \"m\"\n")
    };
    let text = format!(
        "[text]\nuse = [\"chat\"]\n[voice]\nuse = [\"speech\"]\n[image]\nuse = [\"image\"]\n[guard]\nrefuse = 1\n{}{}{}",
        provider("chat"),
        provider("speech"),
        provider("image")
    );
    let engine = Settings::parse("bench.toml", &text)?.engine(&|_| None)?;
    println!(
        "\n| client, a server on loopback that answers at once | latency, wall | CPU, the server's with it |"
    );
    println!("|---|---|---|");
    let count: u64 = if quick { 2 } else { 50 };
    let chat = |n: u64| {
        let mut request = copy(n);
        if let RequestKind::Text(text) = &mut request.kind {
            text.grammar.clear();
        }
        request
    };
    let all: [(&str, Vec<Request>); 3] = [
        ("`openai-chat`, a line", (0..count).map(chat).collect()),
        ("`openai-speech`, 3 s", (0..count).map(|n| spoken(0, n as usize)).collect()),
        ("`openai-image`, 960 × 540", (0..count).map(drawn).collect()),
    ];
    for (name, requests) in all {
        let (_, wall, cpu) = answers(&engine, &requests)?;
        let each = |time| ms(time) / requests.len() as f64;
        println!("| {name} | {:.2} ms | {:.2} ms |", each(wall), each(cpu));
    }
    Ok(())
}

/// Generating for one viewer beside rendering her new segments, where another viewer has been.
fn gallery(quick: bool) -> Result<(), Box<dyn Error>> {
    println!(
        "\n| template | viewer | generated | generating, CPU | wall | rendering her new segments, CPU | share |"
    );
    println!("|---|---|---|---|---|---|---|");
    let viewers = [("welcome", "maria", "priya"), ("offer", "ella", "jonas"), ("progress", "leo", "amara")];
    let viewers = if quick { &viewers[2..] } else { &viewers[..] };
    for (name, first, second) in viewers {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/gallery").join(name);
        let stores = Stores { vault: Arc::new(Vault::new(Arc::new(Memory::new(1 << 30)))), ..Stores::none() };
        let engine = Engine::new()?.with_stores(stores);
        let template = engine.open(&package, &[])?.value;
        let data = |viewer: &str| -> Result<_, Box<dyn Error>> {
            let file = package.join(format!("viewers/{viewer}.json"));
            Ok(template.parse_data(viewer, &std::fs::read(file)?)?)
        };
        let options = RenderOptions { workers: 1, ..RenderOptions::default() };
        let options = if quick { RenderOptions { quality: 50, ..options } } else { options };
        let render = |viewer: &str| -> Result<_, Box<dyn Error>> {
            let data = data(viewer)?;
            let (video, wall, cpu_first) = timed(|| engine.personalise(&template, &data, None));
            // The same again finds what was generated: the difference is generating.
            let (_, wall_again, cpu_again) = timed(|| engine.personalise(&template, &data, None));
            let video = video?.value;
            let prepared = engine.prepare(&template, &video)?;
            let (rendered, _, cpu_render) = timed(|| prepared.render(&options, engine.stores(), &()));
            let generating = cpu_first.saturating_sub(cpu_again);
            Ok((video, generating, wall.saturating_sub(wall_again), cpu_render, rendered?.new))
        };
        render(first)?;
        let (video, generating, wall, rendering, new) = render(second)?;
        let made: Vec<String> =
            video.generated.iter().map(|(name, made)| format!("{name} by {}", made.provider)).collect();
        println!(
            "| `{name}` | {second} | {} | {:.0} ms | {:.0} ms | {:.0} ms for {new} | {:.3} |",
            if made.is_empty() { "nothing".to_owned() } else { made.join(", ") },
            ms(generating),
            ms(wall),
            ms(rendering),
            generating.as_secs_f64() / rendering.as_secs_f64().max(1e-9),
        );
    }
    Ok(())
}
