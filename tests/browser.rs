//! A browser plays what was packaged, from its first frame to its last.
//!
//! Headless Chromium plays a page that reports in its title; the title is read through the browser's own list of pages
//! (`/json/list` of its remote debugging port). Everything is served on the loopback address.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use common::{gallery, package, root, tone};
use serde_json::{Value, json};
use vignette::Engine;
use vignette::output::{Format, Output, OutputOptions};
use vignette::renderer::encode::{Codec, SegmentEncoder};
use vignette::renderer::package::folder::{HlsMovie, HlsRung, write_hls};
use vignette::renderer::plan::plan;
use vignette::renderer::render::RenderOptions;
use vignette::renderer::scale::Scaler;
use vignette::renderer::text::FontLibrary;
use vignette::templates::time::FrameRate;

const TEMPLATE: &str = r##"
vignette: 1
name: played
canvas: { width: 320, height: 180, fps: 29.97, background: "#101828" }
data: { required: [first_name], properties: { first_name: { type: string, maxLength: 40 } } }
assets: { tone: { audio: tone.wav } }
scenes:
  - name: one
    duration: 1500ms
    layers:
      - { rect: { fill: "#7c3aed" }, box: { x: 0, y: 0, width: 30%, height: 100% }, enter: { slide: left, for: 1s } }
  - name: two
    duration: 2500ms
    transition: { crossfade: 400ms }
    layers:
      - text: "Hi {{first_name}}"
        style: { size: 40px, color: white, fit: shrink }
        box: { x: 5%, y: 30%, width: 90%, height: 40% }
  - { name: three, duration: 2s, background: "#f97316" }
audio: [{ asset: tone, gain: -12dB }]
captions: [{ at: one, for: 2s, text: "Welcome, {{first_name}}" }, { at: two, for: 2s, text: Have fun }]
"##;

/// Everything that is played, in one folder: `video.mp4`, `fragmented.mp4`, `hls/`, the page and the player.
static SITE: LazyLock<Site> = LazyLock::new(Site::make);

struct Site {
    folder: tempfile::TempDir,
    port: u16,
    frames: u32,
    rate: FrameRate,
    samples: u64,
}

impl Site {
    /// Length of the pictures in seconds.
    fn length(&self) -> f64 {
        self.rate.time_of(self.frames.into()).as_seconds()
    }
}

/// A folder with the page and the player, and its port.
fn site_folder() -> (tempfile::TempDir, u16) {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(root().join("tests/browser/page.html"), folder.path().join("page.html")).unwrap();
    let player = root().join(".cache/hls.js/1.7.4/hls.min.js");
    fs::copy(&player, folder.path().join("hls.min.js"))
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/setup.sh --tests", player.display()));
    let port = serve(folder.path().to_owned());
    (folder, port)
}

impl Site {
    fn make() -> Self {
        let template = package(TEMPLATE, &[("tone.wav", &tone(7 * 48_000))]);
        let engine = Engine::new().unwrap();
        let template = engine.open(template.path(), &[]).unwrap().value;
        let data = template.data("data", json!({ "first_name": "Maria" })).unwrap();
        let video = engine.personalise(&template, &data, None).unwrap().value;
        let prepared = engine.prepare(&template, &video).unwrap();
        let rendered = prepared.render(&RenderOptions::default(), engine.stores(), &()).unwrap();

        // The same frames at half the size.
        let mut smaller = video.clone();
        (smaller.canvas.width, smaller.canvas.height) = (160, 90);
        let small_plan = plan(&smaller, &FontLibrary::system().unwrap(), rendered.plan.profile.quality);
        let mut scaler = Scaler::new([320, 180], [160, 90]).unwrap();
        let mut frames = prepared.frames();
        let encode = |length: u32| {
            let mut encoder = SegmentEncoder::start(small_plan.profile, length).unwrap();
            for frame in frames.by_ref().take(length as usize) {
                encoder.push(&scaler.scale(&frame.unwrap()).unwrap()).unwrap();
            }
            Arc::new(encoder.finish().unwrap())
        };
        let small_segments: Vec<_> =
            small_plan.segments.iter().map(|segment| segment.range.len()).map(encode).collect();

        let (folder, port) = site_folder();
        let path = |name: &str| folder.path().join(name);
        rendered.write_mp4(&path("video.mp4")).unwrap();
        rendered.write_fragmented(&path("fragmented.mp4")).unwrap();
        let rungs = [
            HlsRung { name: "v180", plan: &rendered.plan, segments: &rendered.segments },
            HlsRung { name: "v90", plan: &small_plan, segments: &small_segments },
        ];
        let movie = HlsMovie {
            rungs: &rungs,
            audio: rendered.sound.aac(),
            captions: &video.captions,
            locale: &video.locale,
        };
        write_hls(&path("hls"), &movie).unwrap();
        for (file, codec) in
            [("vp9.webm", None), ("av1.webm", Some(Codec::Av1)), ("av1.mp4", Some(Codec::Av1))]
        {
            let format = if file.ends_with("webm") { Format::Webm } else { Format::Mp4 };
            let options = OutputOptions { format, codec, ..OutputOptions::default() };
            let output = Output::resolve(options).unwrap();
            output.write(&engine, &video, &prepared, &path(file), &()).unwrap();
        }
        let rate = video.canvas.frame_rate;
        Site { folder, port, frames: rendered.frames, rate, samples: rendered.sound.length() }
    }
}

/// Serves the files of a folder on a free port for as long as the test program lives.
fn serve(folder: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            // A browser that goes away in the middle is no fault.
            std::thread::spawn(move || answer(&stream, &folder));
        }
    });
    port
}

/// Answers one GET, with the part that `Range` asks for (RFC 9110, section 14.2).
fn answer(stream: &TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut range = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        range = range.or(line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let name = path.split('?').next().unwrap_or_default().trim_start_matches('/');
    let found = fs::File::open(folder.join(name)).and_then(|file| Ok((file.metadata()?.len(), file)));
    let mut stream = stream;
    let Ok((length, mut file)) = found.as_ref().map(|(length, file)| (*length, file)) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        Some("m3u8") => "application/vnd.apple.mpegurl",
        Some("vtt") => "text/vtt",
        Some("webm") => "video/webm",
        _ => "video/mp4",
    };
    let (first, last) = match range.as_deref().and_then(|range| range.split_once('-')) {
        Some((first, last)) => {
            let first = first.parse().unwrap_or(0).min(length);
            (first, last.parse().map_or(length, |last: u64| last + 1).min(length))
        }
        None => (0, length),
    };
    let status = match range {
        Some(_) => {
            format!("206 Partial Content\r\nContent-Range: bytes {first}-{}/{length}", last.saturating_sub(1))
        }
        None => "200 OK".into(),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nAccept-Ranges: bytes\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        last - first
    )?;
    file.seek(SeekFrom::Start(first))?;
    std::io::copy(&mut file.take(last - first), &mut stream)?;
    Ok(())
}

/// A browser of its own, with a profile of its own, that ends with this value.
struct Browser {
    child: Child,
    profile: tempfile::TempDir,
}

impl Browser {
    fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let log = fs::File::create(profile.path().join("log")).unwrap();
        let mut command = Command::new("chromium");
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(proxy);
        }
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--mute-audio", "--no-proxy-server"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
            .args(["--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .arg(url)
            .stdout(Stdio::null())
            .stderr(log);
        let child =
            command.spawn().unwrap_or_else(|error| panic!("chromium: {error}; run scripts/setup.sh --tests"));
        Browser { child, profile }
    }

    fn check_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            let log = fs::read_to_string(self.profile.path().join("log")).unwrap_or_default();
            panic!("chromium ended with {status}:\n{log}");
        }
    }

    /// The port of its debugging server, as soon as it is there.
    fn port(&mut self) -> u16 {
        let path = self.profile.path().join("profile/DevToolsActivePort");
        loop {
            self.check_alive();
            let text = fs::read_to_string(&path).unwrap_or_default();
            if let Some(port) = text.split_once('\n').and_then(|(port, _)| port.parse().ok()) {
                return port;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the page says that it is done, and gives what it saw.
    fn report(mut self) -> Value {
        /// A page that does not come on for this long hangs, however slow the machine.
        const PATIENCE: Duration = Duration::from_secs(180);
        let port = self.port();
        let (mut last, mut changed) = (String::new(), Instant::now());
        loop {
            self.check_alive();
            let pages = get(port, "/json/list").and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            let pages = pages.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let page = pages.iter().find(|page| page["type"] == "page");
            // The list escapes titles as if they stood in HTML.
            let title = page.and_then(|page| page["title"].as_str()).unwrap_or_default();
            let title =
                title.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            if let Ok(report) = serde_json::from_str::<Value>(&title)
                && report["done"] == true
            {
                return report;
            }
            if title != last {
                (last, changed) = (title, Instant::now());
            }
            assert!(changed.elapsed() < PATIENCE, "the page hangs: {last}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a small page of the browser's own server; `None` while there is none.
fn get(port: u16, path: &str) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").ok()?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// Plays `file` and checks what every way of packaging must give.
fn play(site: &Site, file: &str) -> Value {
    assert!(site.folder.path().join(file).is_file(), "{file}");
    let rate = format!("{}/{}", site.rate.num(), site.rate.den());
    let page = format!("http://127.0.0.1:{}/page.html?rate={rate}&file=/{file}", site.port);
    let report = Browser::open(&page).report();
    println!("{file}: {report}");
    assert_eq!(report["errors"], json!([]), "{file}");
    assert_eq!(report["ended"], true, "{file}");
    let number = |field: &Value| field.as_f64().unwrap_or(f64::NAN);
    let length = site.length();
    // The last access unit of sound may reach beyond the last frame; WebM counts in milliseconds.
    let slack = 1024.0 / 48_000.0;
    let regular = if file.ends_with(".webm") { 0.6e-3 } else { 1e-4 };
    for field in ["time", "duration"] {
        let found = number(&report[field]);
        assert!((found - length).abs() <= slack, "{file}: {field} is {found} instead of {length}");
    }
    // What was shown was shown at the times of frames; how many a busy machine drops is its own affair.
    assert!(number(&report["irregular"]) < regular, "{file}: {report}");
    assert!(number(&report["shown"]) > 0.0, "{file}: {report}");
    let total = number(&report["total"]);
    assert!(total <= f64::from(site.frames), "{file}: {report}");
    // One stretch without holes, from the beginning to the end.
    let buffered = report["buffered"].as_array().map(Vec::len);
    assert_eq!(buffered, Some(1), "{file}: {report}");
    assert!(number(&report["buffered"][0][0]).abs() < 1e-6, "{file}: {report}");
    assert!((number(&report["buffered"][0][1]) - length).abs() <= slack, "{file}: {report}");
    report
}

#[test]
fn an_mp4_file_plays_to_its_end() {
    play(&SITE, "video.mp4");
}

#[test]
fn a_file_of_fragments_plays_to_its_end() {
    play(&SITE, "fragmented.mp4");
}

#[test]
fn webm_plays_to_its_end() {
    play(&SITE, "vp9.webm");
    play(&SITE, "av1.webm");
}

#[test]
fn av1_in_mp4_plays_to_its_end() {
    play(&SITE, "av1.mp4");
}

/// A viewer of each gallery template, as one file at its own size and as HLS.
#[test]
fn the_gallery_plays_to_its_end() {
    let engine = Engine::new().unwrap();
    for (template, viewer) in [("welcome", "yusuf"), ("offer", "nour"), ("progress", "amara")] {
        let opened = engine.open(&gallery(template), &[]).unwrap().value;
        let data = fs::read(gallery(template).join(format!("viewers/{viewer}.json"))).unwrap();
        let data = opened.parse_data("viewer", &data).unwrap();
        let video = engine.personalise(&opened, &data, None).unwrap().value;
        let prepared = engine.prepare(&opened, &video).unwrap();
        let (folder, port) = site_folder();
        let write = |options: OutputOptions, name: &str| {
            let output = Output::resolve(options).unwrap();
            output.write(&engine, &video, &prepared, &folder.path().join(name), &()).unwrap();
        };
        write(OutputOptions::default(), "video.mp4");
        fs::create_dir(folder.path().join("hls")).unwrap();
        let ladder = vec![360];
        write(OutputOptions { format: Format::Hls, ladder, ..OutputOptions::default() }, "hls");
        let samples = video.duration().to_samples(48_000) as u64;
        let site = Site { folder, port, frames: video.frames(), rate: video.canvas.frame_rate, samples };
        play(&site, "video.mp4");
        check_tracks(&site, &play(&site, "hls/master.m3u8"), video.captions.len());
    }
}

/// What hls.js handed to the browser: both tracks whole, from 0 on, the sound without its priming.
fn check_tracks(site: &Site, report: &Value, captions: usize) {
    let length = site.length();
    let sound = site.samples as f64 / 48_000.0;
    for (kind, length) in [("video", length), ("audio", sound)] {
        let [ranges, start, end] =
            [0, 1, 2].map(|at| report["tracks"][kind][at].as_f64().unwrap_or(f64::NAN));
        assert_eq!(ranges, 1.0, "{kind}: {report}");
        assert!(start.abs() < 1e-6, "{kind} starts at {start}");
        // The browser counts in microseconds.
        assert!((end - length).abs() < 1e-5, "{kind} ends at {end} instead of {length}");
    }
    assert_eq!(report["captions"], captions, "{report}");
}

/// hls.js begins with the smallest size and goes on with the largest that the line is good for: here, it changes on the way.
#[test]
fn hls_plays_to_its_end_and_sizes_change_without_a_gap() {
    let report = play(&SITE, "hls/master.m3u8");
    check_tracks(&SITE, &report, 2);
    assert_eq!(report["levels"], json!([90, 180]), "{report}");
}
