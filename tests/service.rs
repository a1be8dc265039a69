//! The service over real HTTP: links that play, renders that outlast the process, and strangers who send anything.

mod common;

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::devtools::Page;
use common::place::{Place, all_media};
use common::service::{Answer, Receiver, Service, answer, ask, path_of};
use common::{complaints, probe, root};
use serde_json::{Value, json};

/// Segments of one size of that video: 0.5 s, then at most 2 s each.
const SEGMENTS: usize = 5;
const FRAMES: u64 = 120;

fn write(folder: &Path, name: &str, parts: &[Answer]) -> PathBuf {
    let path = folder.join(name);
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.body.clone()).collect();
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_link_plays_to_the_end_in_a_browser() {
    let place = Place::new();
    let player = root().join(".cache/hls.js/1.7.4/hls.min.js");
    assert!(player.is_file(), "{} is missing: run scripts/setup.sh --tests", player.display());
    let service = place.start(&format!("player = {:?}", player.display().to_string()));
    let link = service.link("hello", json!({ "first_name": "Maria" }));
    let mut page = Page::open(&format!("http://127.0.0.1:{}{link}?autoplay", service.port));
    // Notes what happens from here on; the page itself reports nothing.
    let listen = "(() => { const v = document.getElementById('video'); if (!v || window.seen) return !!window.seen; \
        window.seen = { ended: false, errors: [] }; \
        v.addEventListener('ended', () => { seen.ended = true; }); \
        v.addEventListener('error', () => seen.errors.push('media ' + v.error.message)); \
        document.addEventListener('player-error', (e) => { if (e.detail.fatal) seen.errors.push(e.detail.details); }); \
        return true; })()";
    while page.evaluate(listen) != true {
        std::thread::sleep(Duration::from_millis(20));
    }
    // The keyboard turns captions on.
    let press = "document.dispatchEvent(new KeyboardEvent('keydown', { key: 'c', bubbles: true })); 1";
    let tell = "JSON.stringify({ ...seen, time: document.getElementById('video').currentTime, \
        paused: document.getElementById('video').paused, \
        duration: document.getElementById('video').duration, \
        shown: document.getElementById('video').getVideoPlaybackQuality().totalVideoFrames, \
        modes: [...document.getElementById('video').textTracks].map((t) => t.mode), \
        cues: [...document.getElementById('video').textTracks].flatMap((t) => [...(t.cues || [])].map((c) => c.text)) })";
    let (mut last, mut changed, mut pressed) = (Value::Null, Instant::now(), false);
    let seen = loop {
        let seen: Value = serde_json::from_str(page.evaluate(tell).as_str().unwrap()).unwrap();
        if !pressed && seen["modes"].as_array().is_some_and(|modes| !modes.is_empty()) {
            // On body, as `closest` wants an element.
            page.evaluate(&press.replace("document.dispatch", "document.body.dispatch"));
            pressed = true;
        }
        if seen["ended"] == true || seen["errors"] != json!([]) {
            break seen;
        }
        if seen["time"] != last["time"] {
            changed = Instant::now();
        }
        assert!(changed.elapsed() < Duration::from_secs(120), "it hangs: {seen}");
        last = seen;
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(seen["errors"], json!([]), "{seen}");
    assert!((seen["duration"].as_f64().unwrap() - 6.0).abs() < 0.05, "{seen}");
    assert!(seen["shown"].as_u64().unwrap() > 60, "{seen}");
    assert!(seen["modes"].as_array().unwrap().contains(&json!("showing")), "{seen}");
    let cues = seen["cues"].to_string();
    assert!(cues.contains("Welcome, Maria"), "the captions show the viewer's name: {seen}");
}

#[test]
fn playlists_render_nothing_and_fifty_viewers_share_each_segment() {
    let place = Place::new();
    let service = place.start("");
    let names = ["Maria", "Priya", "Yusuf", "Zoë", "Leo"];
    let links: Vec<String> =
        names.iter().map(|name| service.link("hello", json!({ "first_name": name }))).collect();
    let media: Vec<Vec<Vec<String>>> = links.iter().map(|link| all_media(&service, link)).collect();
    assert_eq!(service.metric("vignette_pieces_made_total"), 0.0, "playlists alone render nothing");
    let smallest: Vec<&Vec<String>> = media.iter().map(|lists| &lists[0]).collect();
    assert!(smallest.iter().all(|list| list.len() == 1 + SEGMENTS), "{smallest:?}");
    // By what they show: the same stillness later on has the same key and another first frame.
    let key = |name: &str| name.trim_start_matches("/s/").split('-').next().unwrap_or_default().to_owned();
    let distinct: HashSet<String> =
        smallest.iter().flat_map(|list| &list[1..]).map(|name| key(name)).collect();
    // The second scene is personal; what comes before and after is shared.
    assert!(distinct.len() < names.len() * SEGMENTS && distinct.len() > SEGMENTS, "{distinct:?}");
    // Fifty players at once, ten with each link, in order of showing.
    std::thread::scope(|scope| {
        for viewer in 0..50 {
            let list = smallest[viewer % names.len()];
            let sound = &media[viewer % names.len()][2];
            let service = &service;
            scope.spawn(move || {
                for name in list.iter().chain(sound) {
                    let got = service.get(name);
                    assert_eq!(got.status, 200, "{name}: {}", got.text());
                    assert!(got.header("cache-control").unwrap().contains("immutable"));
                }
            });
        }
    });
    let made = service.metric("vignette_pieces_made_total");
    assert_eq!(made, (distinct.len() + 1) as f64, "each distinct segment once, and the sound");
    assert_eq!(service.metric("vignette_videos_filled_total"), names.len() as f64);

    // What came is a video, by an independent decoder.
    let fetch = |list: &[String]| -> Vec<Answer> { list.iter().map(|name| service.get(name)).collect() };
    let pictures = write(place.path(), "pictures.mp4", &fetch(smallest[0]));
    assert_eq!(complaints(&pictures), "");
    assert_eq!(common::frame_times(&pictures).len() as u64, FRAMES);
    assert_eq!(common::decoded_frame(&pictures, 50).height(), 540);
    let sound = write(place.path(), "sound.mp4", &fetch(&media[0][2]));
    assert_eq!(complaints(&sound), "");

    // A name that nobody announced is not made, however well it is formed.
    let other = smallest[0][1].replace("-0.m4s", "-1.m4s");
    for name in [other.as_str(), "/s/x", "/s/..%2fvignette.db", &format!("/s/{}-0.m4s", "0".repeat(64))] {
        assert_eq!(service.get(name).code(), "segment-unknown", "{name}");
    }
    let again = service.ask(
        "GET",
        &smallest[0][1],
        &[("if-none-match", service.get(&smallest[0][1]).header("etag").unwrap())],
        b"",
    );
    assert_eq!(again.status, 304);

    // After a restart players go on where they are, without loading a playlist. What tells how a segment was encoded is written down behind
    // the answer, so the last one may still be on its way.
    std::thread::sleep(Duration::from_secs(1));
    service.kill();
    let service = place.start("");
    for name in smallest[0].iter().chain(&media[0][2]) {
        assert_eq!(service.get(name).status, 200, "{name}");
    }
    assert_eq!(service.metric("vignette_pieces_made_total"), 0.0);
}

/// So large that one core does not keep up with one viewer: two seconds that all share, and half a minute of a name.
const LARGE: &str = r##"
vignette: 1
name: large
canvas: { width: 3840, height: 2160, fps: 60, background: "#101828" }
data: { required: [first_name], properties: { first_name: { type: string, maxLength: 40, x-pii: true } } }
scenes:
  - { duration: 2s, layers: [{ rect: { fill: "#7c3aed" }, box: { x: 0, y: 0, width: 60%, height: 100% }, enter: { slide: left, for: 2s } }] }
  - { duration: 30s, layers: [{ text: "Hi {{first_name}}", style: { size: 300px, color: white } }] }
"##;

#[test]
fn players_are_let_in_while_nobody_stands_still_for_it() {
    let place = Place::with("large", LARGE);
    let service = place.start("cores = 1\n");
    let [one, two] = ["Maria", "Priya"].map(|name| service.link("large", json!({ "first_name": name })));
    // Alone, it is let in whatever it takes.
    let media = all_media(&service, &one);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| service.get(&media[0][1]));
        while service.metric("vignette_sittings") < 1.0 {
            std::thread::yield_now();
        }
        for path in ["master.m3u8", "video.mp4"] {
            let refused = service.get(&format!("{two}{path}"));
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (503, "busy"),
                "{path}: {}",
                refused.text()
            );
            let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds), "{path}: {seconds}");
        }
        // It shares the first segment with the one who was let in, and who is served therefore.
        assert_eq!(service.get(&media[1][1]).status, 200);
        assert_eq!(first.join().unwrap().status, 200);
    });
    // Nobody watches any more.
    while service.get(&format!("{two}master.m3u8")).status == 503 {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(service.get(&format!("{two}master.m3u8")).status, 200);
}

#[test]
fn a_link_has_video_stills_captions_and_page() {
    let place = Place::new();
    let service = place.start("");
    let link = service.link("hello", json!({ "first_name": "Maria" }));
    let page = service.get(&link);
    assert!(page.text().contains("<video") && !page.text().contains("Maria"), "{}", page.text());
    let entered = service.get(link.trim_end_matches('/'));
    assert_eq!((entered.status, entered.header("location")), (308, Some(link.as_str())));
    let oembed = service.get(&format!("/oembed?url=http://127.0.0.1{link}&maxwidth=640")).json();
    assert_eq!((oembed["width"].as_u64(), oembed["height"].as_u64()), (Some(640), Some(360)));
    assert!(service.get(&format!("{link}captions.vtt")).text().contains("Welcome, Maria"));
    let poster = service.get(&format!("{link}poster.jpg"));
    assert!(poster.body.starts_with(&[0xff, 0xd8]), "{poster:?}");
    let frame = service.get(&format!("{link}frame.png?at=3s"));
    let picture = image::load_from_memory(&frame.body).unwrap();
    assert_eq!((picture.width(), picture.height()), (1280, 720));
    for at in ["6s", "-1s", "x", "", "99999999999999999999s", "1e9s"] {
        assert_eq!(service.get(&format!("{link}frame.png?at={at}")).code(), "moment-invalid", "{at}");
    }
    assert_eq!(service.get(&format!("{link}other")).code(), "file-unknown");

    // In fragments while it is made, then whole and in ranges.
    let path = format!("{link}video.mp4");
    let streamed = service.get(&path);
    assert_eq!(streamed.header("transfer-encoding"), Some("chunked"));
    let first = write(place.path(), "streamed.mp4", &[streamed]);
    assert_eq!((complaints(&first).as_str(), probe(&first).frames), ("", FRAMES));
    let whole = service.get(&path);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let length = whole.body.len();
    let second = write(place.path(), "whole.mp4", std::slice::from_ref(&whole));
    assert_eq!((complaints(&second).as_str(), probe(&second).frames), ("", FRAMES));
    let part = service.ask("GET", &path, &[("range", "bytes=100-199")], b"");
    assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[100..200]));
    assert_eq!(part.header("content-range"), Some(format!("bytes 100-199/{length}").as_str()));
    let outside = service.ask("GET", &path, &[("range", &format!("bytes={length}-"))], b"");
    assert_eq!(outside.code(), "range-outside");
    let head = service.ask("HEAD", &path, &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some(length.to_string().as_str())));
}

#[test]
fn tokens_that_are_not_good_lead_nowhere() {
    let place = Place::new();
    let service = place.start("");
    let link = service.link("hello", json!({ "first_name": "Maria" }));
    let token = link.trim_start_matches("/w/").trim_end_matches('/').to_owned();
    for length in [0, 1, 8, 40, token.len() - 1] {
        let answer = service.get(&format!("/w/{}/master.m3u8", &token[..length]));
        assert_eq!(answer.status, 404, "cut at {length}");
    }
    for at in (0..token.len()).step_by(7) {
        let mut forged = token.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert_eq!(service.get(&format!("/w/{forged}/master.m3u8")).code(), "link-unknown", "at {at}");
    }
    for strange in ["%00", "~", "~AAAA", "..%2f..%2fx", &"A".repeat(3000), "%ff%fe"] {
        let answer = service.get(&format!("/w/{strange}/master.m3u8"));
        assert!(answer.status == 404 || answer.status == 400, "{strange}: {}", answer.status);
    }
    let header = service.get("/w/x%0d%0aset-cookie:a=b");
    assert_eq!(header.header("set-cookie"), None);
    assert_eq!(header.header("location"), Some("/w/xset-cookieab/"));
    // One that expires.
    let wish = json!({ "template": "hello", "data": { "first_name": "Maria" }, "expires_in": 1 });
    let short = path_of(service.post("/v1/links", &wish).json()["url"].as_str().unwrap());
    while service.get(&format!("{short}master.m3u8")).status == 200 {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(service.get(&format!("{short}master.m3u8")).code(), "link-expired");
    // Another service's keys open nothing.
    let elsewhere = Place::new();
    let other = elsewhere.start("");
    assert_eq!(other.get(&format!("{link}master.m3u8")).code(), "link-unknown");
    // After rotation links that were sent still open, and new ones are sealed with the new key.
    service.kill();
    let mut command = common::vignette();
    command.args(["serve", "--bind", "127.0.0.1:0", "--rotate-keys", "--data-dir"]).arg(place.data());
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut told = [0; 9];
    child.stdout.take().unwrap().read_exact(&mut told).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let service = place.start("");
    assert_eq!(service.get(&format!("{link}master.m3u8")).status, 200);
    let later = service.link("hello", json!({ "first_name": "Maria" }));
    assert_ne!(&later[3..9], &link[3..9], "the key's id stands at the front");
}

#[test]
fn data_too_long_for_a_url_are_kept_sealed_and_named() {
    let place = Place::new();
    let service = place.start("");
    // Digits that repeat nothing, so that deflating them helps little.
    let mut state = 1u64;
    let story: String = (0..500)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{:08x}", state >> 32)
        })
        .collect();
    let link = service.link("hello", json!({ "first_name": "Maria", "story": story }));
    assert!(link.starts_with("/w/~") && link.len() < 60, "{link}");
    assert_eq!(service.get(&format!("{link}master.m3u8")).status, 200);
    let short = service.link("hello", json!({ "first_name": "Maria", "story": "again ".repeat(900) }));
    assert!(!short.contains('~') && short.len() < 300, "deflated, it goes into the link: {short}");
    service.kill();
    let service = place.start("");
    assert_eq!(service.get(&format!("{link}master.m3u8")).status, 200);
    let none = service.get(&format!("/w/~{}/master.m3u8", "A".repeat(43)));
    assert_eq!(none.code(), "link-unknown");
    let kept = place.records();
    assert!(kept.len() > 4000 && !kept.windows(16).any(|window| window == &story.as_bytes()[..16]));
}

#[test]
fn strangers_bodies_are_bounded() {
    let place = Place::new();
    let service = place
        .start("[limits]\nbody_bytes = 65536\nheader_seconds = 1\nbody_seconds = 2\nvideo_seconds = 60\n");
    let post = |body: &[u8]| service.ask("POST", "/v1/links", &[], body);
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for (what, body, status) in [
        ("nothing", String::new(), 400),
        ("no JSON", "hello".into(), 400),
        ("cut short", "{\"template\":".into(), 400),
        ("an unknown field", "{\"template\":\"hello\",\"data\":{},\"evil\":1}".into(), 400),
        ("too deep", format!("{{\"template\":\"hello\",\"data\":{deep}}}"), 400),
        ("another type", "{\"template\":7,\"data\":{}}".into(), 400),
        (
            "a huge number",
            "{\"template\":\"hello\",\"data\":{\"first_name\":\"x\",\"age\":1e999}}".into(),
            400,
        ),
        (
            "a large number",
            format!(
                "{{\"template\":\"hello\",\"data\":{{\"first_name\":\"x\",\"age\":{}}}}}",
                "9".repeat(400)
            ),
            422,
        ),
        ("data that lack a value", "{\"template\":\"hello\",\"data\":{}}".into(), 422),
        ("no template", "{\"template\":\"other\",\"data\":{}}".into(), 404),
        ("a path as template", "{\"template\":\"../hello\",\"data\":{}}".into(), 404),
        (
            "no rendition",
            "{\"template\":\"hello\",\"rendition\":\"x\",\"data\":{\"first_name\":\"x\"}}".into(),
            422,
        ),
    ] {
        let answer = post(body.as_bytes());
        assert!(
            answer.status == status || (what == "a large number" && answer.status == 400),
            "{what}: {}",
            answer.text()
        );
        answer.code();
    }
    assert_eq!(post(&vec![b' '; 70_000]).code(), "body-too-large");
    // 100 MB that are announced, or that just come, are answered before they are there, and kept nowhere.
    let before = service.memory();
    for head in ["content-length: 100000000", "transfer-encoding: chunked"] {
        let mut stream = TcpStream::connect(("127.0.0.1", service.port)).unwrap();
        write!(stream, "POST /v1/links HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n").unwrap();
        let chunk = [b"8000\r\n".as_slice(), &[b' '; 0x8000], b"\r\n"].concat();
        for _ in 0..8 {
            stream.write_all(&chunk).unwrap();
        }
        assert_eq!(answer(stream.try_clone().unwrap(), false).unwrap().code(), "body-too-large", "{head}");
        // It may hear the rest out, or not.
        let _ = (0..3000).try_for_each(|_| stream.write_all(&chunk));
    }
    let grown = service.memory() - before;
    assert!(grown < 20 << 20, "{grown} bytes more");
    // One who sends a letter now and then is not waited for.
    let mut slow = TcpStream::connect(("127.0.0.1", service.port)).unwrap();
    slow.write_all(b"GET /healthz HT").unwrap();
    let mut heard = Vec::new();
    // It ends because the service ends it.
    let _ = slow.read_to_end(&mut heard);
    let mut slow = TcpStream::connect(("127.0.0.1", service.port)).unwrap();
    slow.write_all(b"POST /v1/links HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").unwrap();
    assert_eq!(answer(slow, false).unwrap().code(), "body-late");
    // Headers without end.
    let long = "x".repeat(200_000);
    let refused = ask(service.port, "GET", "/healthz", &[("x-long", &long)], b"");
    assert!(refused.map_or(true, |answer| answer.status >= 400));
    assert_eq!(service.get("/v1/nothing").code(), "path-unknown");
    assert_eq!(service.ask("DELETE", "/v1/links", &[], b"").code(), "method-unknown");
    assert_eq!(service.get("/healthz").status, 200);
    assert_eq!(service.get("/readyz").status, 200, "{}", service.get("/readyz").text());
}

#[test]
fn every_accepted_render_ends_once_however_often_the_service_is_killed() {
    let place = Place::new();
    let receiver = Receiver::new(204);
    let config = "private_webhook_hosts = ['127.0.0.1']\n[limits]\njobs = 2\n";
    let mut service = place.start(config);
    let hook = format!("http://127.0.0.1:{}/", receiver.port);
    let ids: Vec<String> = (0..8)
        .map(|number| {
            let job = json!({
                "template": "hello", "data": { "first_name": format!("Viewer {number}") }, "webhook": hook,
                "metadata": { "number": number },
            });
            let made = service.post("/v1/renders", &job);
            assert_eq!(made.status, 202, "{}", made.text());
            assert_eq!(
                made.header("location"),
                Some(format!("/v1/renders/{}", made.json()["id"].as_str().unwrap()).as_str())
            );
            made.json()["id"].as_str().unwrap().to_owned()
        })
        .collect();
    for _ in 0..3 {
        // Killed in the middle of whatever it does then.
        while service.metric("vignette_frames_encoded_total") < 1.0
            && service.metric("vignette_queue_depth") > 0.0
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        service.kill();
        service = place.start(config);
    }
    for id in &ids {
        let job = service.ended(id);
        assert_eq!(job["state"], "done", "{job}");
        assert_eq!(job["progress"]["done"], FRAMES, "{job}");
        let file = service.get(&format!("/v1/renders/{id}/file"));
        let path = write(place.path(), "job.mp4", &[file]);
        assert_eq!((complaints(&path).as_str(), probe(&path).frames), ("", FRAMES));
    }
    while ids
        .iter()
        .any(|id| service.get(&format!("/v1/renders/{id}")).json()["webhook"]["state"] != "delivered")
    {
        std::thread::sleep(Duration::from_millis(50));
    }
    let heard = receiver.heard();
    // Who answered just as the service was killed hears the same message again: that is what its id is for.
    let told: HashSet<(&str, &str)> = heard
        .iter()
        .filter_map(|(message, body)| Some((message.as_str(), body["data"]["id"].as_str()?)))
        .collect();
    assert_eq!(told.len(), ids.len(), "one message for each: {heard:?}");
    assert!(heard.len() <= ids.len() + 3, "{heard:?}");
    assert!(heard.iter().all(|(_, body)| body["type"] == "render.done"));
    assert!(service.terminate(), "it ends well when asked to");
}

#[test]
fn renders_are_idempotent_listed_watched_and_cancelled() {
    let place = Place::new();
    let service = place.start("[limits]\njobs = 1\n");
    let body = json!({ "template": "hello", "data": { "first_name": "Maria" } }).to_string();
    let key = [("idempotency-key", "abc")];
    let first = service.ask("POST", "/v1/renders", &key, body.as_bytes()).json();
    let again = service.ask("POST", "/v1/renders", &key, body.as_bytes()).json();
    assert_eq!(first["id"], again["id"]);
    let other = body.replace("Maria", "Priya");
    assert_eq!(service.ask("POST", "/v1/renders", &key, other.as_bytes()).code(), "idempotency-conflict");
    // Behind it, one that is cancelled before or while it is made, and one whose time is up.
    let second = service
        .post("/v1/renders", &json!({ "template": "hello", "data": { "first_name": "Leo" }, "priority": -5 }))
        .json();
    let path = format!("/v1/renders/{}", second["id"].as_str().unwrap());
    assert_eq!(service.ask("DELETE", &path, &[], b"").json()["state"], "cancelled");
    assert_eq!(service.ask("DELETE", &path, &[], b"").code(), "render-over");
    assert_eq!(service.get(&format!("{path}/file")).code(), "render-not-done");
    let id = first["id"].as_str().unwrap();
    let events = service.get(&format!("/v1/renders/{id}/events")).text();
    assert!(events.contains("event: progress") || events.starts_with("event: end"), "{events}");
    assert!(events.trim_end().ends_with("\"done\":120}") && events.contains("event: end"), "{events}");
    assert_eq!(service.ended(id)["state"], "done");
    assert_eq!(service.ended(second["id"].as_str().unwrap())["state"], "cancelled");
    // With `wait` the answer is the file.
    let waited = service
        .post("/v1/renders", &json!({ "template": "hello", "data": { "first_name": "Maria" }, "wait": 60 }));
    assert_eq!((waited.status, waited.header("content-type")), (200, Some("video/mp4")));
    let list = service.get("/v1/renders?limit=2").json();
    assert_eq!(list["renders"].as_array().unwrap().len(), 2);
    let rest = service.get(&format!("/v1/renders?limit=2&cursor={}", list["next"].as_str().unwrap())).json();
    assert_eq!(rest["renders"].as_array().unwrap().len(), 1, "{rest}");
    assert_eq!(service.get("/v1/renders?state=cancelled").json()["renders"].as_array().unwrap().len(), 1);
    assert_eq!(service.get("/v1/renders?state=x").code(), "state-unknown");
    assert_eq!(service.get("/v1/renders?evil=x").code(), "query-invalid");
    for (field, value) in [
        ("webhook", json!("http://169.254.169.254/")),
        ("webhook", json!("https://[::1]/")),
        ("priority", json!(1000)),
    ] {
        let mut body = json!({ "template": "hello", "data": { "first_name": "x" } });
        body[field] = value;
        let refused = service.post("/v1/renders", &body);
        assert_eq!(
            (refused.status, refused.json()["field"].as_str()),
            (422, Some(field)),
            "{}",
            refused.text()
        );
    }
}

/// A template package as zip.
fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn templates_are_uploaded_published_and_rolled_back_by_their_tenant_alone() {
    let place = Place::new();
    let (ours, theirs) = (place.key("ours", &[]), place.key("theirs", &[]));
    let reader = place.key("ours", &["read"]);
    let service = place.start("[limits]\nrequests_per_second = 5\n");
    let bearer = |key: &str| format!("Bearer {key}");
    let ask = |key: &str, method: &str, path: &str, body: &[u8]| {
        service.ask(method, path, &[("authorization", &bearer(key))], body)
    };
    let zip = |color: &str| pack(&[("template.yaml", common::SMALL.replace("#101828", color).as_bytes())]);
    let upload = |key: &str, bytes: &[u8]| ask(key, "POST", "/v1/templates/mine", bytes);
    assert_eq!(service.get("/v1/templates").code(), "key-unknown");
    assert_eq!(ask("vgn_wrong", "GET", "/v1/templates", b"").code(), "key-unknown");
    assert_eq!(upload(&reader, &zip("#101828")).code(), "scope-missing");
    let first = upload(&ours, &zip("#101828"));
    assert_eq!((first.status, first.json()["version"].as_str()), (201, Some("1")), "{}", first.text());
    assert_eq!(upload(&ours, &zip("#101828")).status, 200, "the same again is the same version");
    assert_eq!(upload(&ours, &zip("#ffffff")).json()["version"], "2");
    let wrong = upload(&ours, &pack(&[("template.yaml", b"vignette: 1\nname: x\nscnes: []\n")]));
    assert_eq!(wrong.status, 422);
    assert!(!wrong.json()["faults"].as_array().unwrap().is_empty(), "{}", wrong.text());
    assert!(
        !wrong.text().contains(place.path().to_str().unwrap()),
        "no path of this machine: {}",
        wrong.text()
    );
    assert_eq!(upload(&ours, &pack(&[("../template.yaml", b"x")])).code(), "package-invalid");
    let form = |body: &str| {
        let headers =
            [("authorization", bearer(&ours)), ("content-type", "multipart/form-data; boundary=x".into())];
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        service.ask("POST", "/v1/templates/mine", &headers, body.as_bytes())
    };
    let part = |head: &str| format!("--x\r\n{head}\r\n\r\nvignette: 1\r\n--x--\r\n");
    for (what, body) in [
        ("nothing", String::new()),
        ("no end", "--x\r\ncontent-disposition: form-data; name=\"template.yaml\"\r\n\r\nvign".into()),
        ("no name", part("content-disposition: form-data")),
        ("outside", part("content-disposition: form-data; name=\"../template.yaml\"")),
        ("absolute", part("content-disposition: form-data; name=\"/etc/x\"")),
    ] {
        let refused = form(&body);
        assert_eq!((refused.status, refused.code().as_str()), (422, "package-invalid"), "{what}");
    }
    assert_eq!(ask(&ours, "POST", "/v1/templates/..%2fx", b"").status, 422);

    let link = |key: &str, version: Value| {
        let wish = json!({ "template": "mine", "version": version, "data": { "first_name": "Maria" } });
        ask(key, "POST", "/v1/links", wish.to_string().as_bytes())
    };
    let list = |made: &Answer| {
        let path = path_of(made.json()["url"].as_str().unwrap());
        service.get(&format!("{path}v96/index.m3u8")).text()
    };
    let before = link(&ours, Value::Null);
    let publish = |version: &str| {
        let wish = json!({ "version": version }).to_string();
        ask(&ours, "PUT", "/v1/templates/mine/published", wish.as_bytes())
    };
    assert_eq!(publish("2").status, 200);
    let after = link(&ours, Value::Null);
    assert_ne!(list(&before), list(&after), "a link keeps the version that it was made with");
    assert_eq!(publish("1").status, 200);
    assert_eq!(list(&link(&ours, Value::Null)), list(&before), "rolled back");
    assert_eq!(publish("3").code(), "template-unknown");

    // Another tenant sees none of it, whatever it guesses.
    assert_eq!(link(&theirs, Value::Null).code(), "template-unknown");
    assert_eq!(link(&theirs, json!("1")).code(), "template-unknown");
    assert_eq!(ask(&theirs, "GET", "/v1/templates/mine", b"").code(), "template-unknown");
    let job = json!({ "template": "mine", "data": { "first_name": "x" } }).to_string();
    let job = ask(&ours, "POST", "/v1/renders", job.as_bytes()).json();
    for path in ["", "/file", "/events"] {
        let path = format!("/v1/renders/{}{path}", job["id"].as_str().unwrap());
        assert_eq!(ask(&theirs, "GET", &path, b"").code(), "render-unknown", "{path}");
    }
    assert_eq!(ask(&theirs, "GET", "/v1/renders", b"").json()["renders"], json!([]));
    // Too many requests of one key are told so; another key is not held up.
    let limited = (0..200)
        .map(|_| ask(&reader, "GET", "/v1/templates", b""))
        .find(|answer| answer.status != 200)
        .unwrap();
    assert_eq!((limited.code().as_str(), limited.header("retry-after")), ("rate-limited", Some("1")));
    assert_eq!(ask(&theirs, "GET", "/v1/templates", b"").status, 200);
}

#[test]
fn nothing_personal_is_written_anywhere() {
    /// Not to be found anywhere, in any form that is likely.
    const MARKS: [&str; 3] = ["Xantippe-7f3a", "Wxyz-Secret-Meta", "hook-mark-55aa"];
    let place = Place::new();
    let receiver = Receiver::new(500);
    let service = place.start("private_webhook_hosts = ['127.0.0.1']\n");
    let data = json!({ "first_name": MARKS[0] });
    let link = service.link("hello", data.clone());
    for lists in all_media(&service, &link) {
        for name in &lists {
            assert!(!name.contains(MARKS[0]));
            service.get(name);
        }
    }
    for file in ["", "captions.vtt", "poster.jpg", "frame.png?at=2s", "video.mp4", "video.mp4"] {
        assert_eq!(service.get(&format!("{link}{file}")).status, 200, "{file}");
    }
    let job = json!({
        "template": "hello", "data": data, "metadata": { "who": MARKS[1] },
        "webhook": format!("http://127.0.0.1:{}/{}", receiver.port, MARKS[2]),
    });
    let made =
        service.ask("POST", "/v1/renders", &[("idempotency-key", MARKS[0])], job.to_string().as_bytes());
    service.ended(made.json()["id"].as_str().unwrap());
    while receiver.heard().is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    // What is wrong is told to who asked, and written nowhere.
    let wrong = service.post(
        "/v1/links",
        &json!({ "template": "hello", "data": { "first_name": MARKS[0], "age": MARKS[0] } }),
    );
    assert_eq!(wrong.status, 422);
    service.get(&format!("/w/{}/x", MARKS[0]));
    service.get(&format!("/v1/renders?state={}", MARKS[0]));
    let metrics = service.get("/metrics").text();
    assert!(MARKS.iter().all(|mark| !metrics.contains(mark)));
    let token = link.trim_start_matches("/w/").trim_end_matches('/').to_owned();
    service.kill();
    let mut files = 0;
    for (path, bytes) in place.files().into_iter().chain([("the database".into(), place.records())]) {
        files += 1;
        let name = path.to_string_lossy().into_owned();
        assert!(MARKS.iter().all(|mark| !name.contains(mark)), "{name}");
        for mark in MARKS.iter().copied().chain([token.as_str()]) {
            let found = bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
            assert!(!found, "{name} holds {mark}");
        }
    }
    assert!(files > 10, "database, log, store and files were looked at: {files}");
    // The mark can be found: what the viewer sees does hold it.
    assert!(receiver.heard().iter().any(|(_, body)| body.to_string().contains(MARKS[1])));
}

/// The fenced blocks of this language in the README, from `heading` on.
fn blocks(heading: &str, language: &str) -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let from = readme.find(heading).unwrap_or_else(|| panic!("no {heading} in the README"));
    let fence = format!("```{language}\n");
    readme[from..].split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_readme_s_lines_do_what_they_say() {
    let place = Place::new();
    let service = Service::start(&place.data(), &root().join("templates/gallery"), "");
    let folder = place.path();
    fs::write(folder.join("hello.yaml"), &blocks("## A template", "yaml")[0]).unwrap();
    let script = &blocks("## Over HTTP", "sh")[0];
    let lines: Vec<&str> = script.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 5, "{script}");
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            assert!(line.starts_with("curl ") && line.contains("127.0.0.1:8080"), "{line}");
            let line = line.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", service.port));
            let mut command = std::process::Command::new("bash");
            command
                .args(["-c", &format!("exec {line} --silent --show-error --fail-with-body --noproxy '*'")]);
            common::succeed(command.current_dir(folder))
        })
        .collect();
    let told: Vec<Value> =
        told.iter().map(|text| serde_json::from_str(text).unwrap_or_else(|_| json!(text))).collect();
    assert_eq!(
        (told[0]["name"].as_str(), told[0]["version"].as_str()),
        (Some("hello"), Some("1")),
        "{told:?}"
    );
    let playlist = service.get(&path_of(told[1]["playlist"].as_str().unwrap()));
    assert!(playlist.text().starts_with("#EXTM3U"), "{playlist:?}");
    let video = folder.join("maria.mp4");
    assert_eq!((complaints(&video).as_str(), probe(&video).frames), ("", 90));
    assert!(matches!(told[3]["state"].as_str(), Some("queued" | "rendering")), "{told:?}");
    let listed = told[4]["renders"].as_array().unwrap();
    assert_eq!(listed.len(), 2, "{told:?}");
    assert_eq!((&listed[0]["id"], &listed[1]["state"]), (&told[3]["id"], &json!("done")), "newest first");
    // A still of it, before anybody is sent a link.
    let still =
        service.post("/v1/templates/hello/still", &json!({ "data": { "first_name": "Maria" }, "at": "2s" }));
    let still = image::load_from_memory(&still.body).unwrap();
    assert_eq!((still.width(), still.height()), (1280, 720));
}

#[test]
fn the_documentation_has_every_route_and_the_configuration_is_checked() {
    let place = Place::new();
    let service = place.start("");
    let api = service.get("/openapi.json").json();
    assert_eq!(api["openapi"], "3.1.0");
    let routes = fs::read_to_string(root().join("server/src/routes.rs")).unwrap();
    let named: Vec<&str> =
        routes.split("resource(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(named.len() > 15, "{named:?}");
    for route in named {
        // The page's own files, and what is listed by its parts.
        if route.starts_with("/player/")
            || route == "/docs/docs.js"
            || route == "/favicon.ico"
            || route == "/w/{token}"
            || route.contains(":.*")
        {
            continue;
        }
        assert!(api["paths"].get(route).is_some(), "{route} is not documented");
    }
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in
            item.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters")
        {
            assert!(
                operation["responses"].as_object().is_some_and(|known| !known.is_empty()),
                "{method} {path}"
            );
            assert!(operation["operationId"].is_string(), "{method} {path}");
        }
    }
    assert_eq!(service.get("/docs").status, 200);
    let metrics = service.get("/metrics");
    assert!(
        metrics.text().contains("vignette_first_segment_seconds_bucket{le=\"+Inf\"} 0"),
        "{}",
        metrics.text()
    );

    assert_eq!(place.run(&["--check-config"]).trim(), "the configuration is right");
    let wrong = place.path().join("wrong.toml");
    for (text, told) in
        [("bnid = 'x'", "unknown field"), ("[limits]\njobs = 0", "limits.jobs"), ("bind = 'x'", "bind")]
    {
        fs::write(&wrong, text).unwrap();
        let mut command = common::vignette();
        let output = common::run(command.args(["serve", "--check-config", "--config"]).arg(&wrong));
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(told), "{text}: {output:?}");
    }
    // Open to other machines only with keys.
    let mut command = common::vignette();
    command.args(["serve", "--bind", "0.0.0.0:0", "--data-dir"]).arg(place.path().join("fresh"));
    let output = common::run(&mut command);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--add-key"), "{output:?}");
}
