//! Every format that a video is written as, through the program, read back by other programs.

mod common;

use std::path::Path;
use std::process::Command;

use common::{complaints, frame_times, package, probe, run, succeed, tone, vignette};
use serde_json::Value;

const TEMPLATE: &str = r##"
vignette: 1
name: outputs
canvas: { width: 320, height: 180, fps: 30, background: "#101828" }
data: { required: [first_name], properties: { first_name: { type: string, maxLength: 40 } } }
assets: { tone: { audio: tone.wav } }
scenes:
  - name: one
    duration: 1500ms
    layers:
      - { rect: { fill: "#7c3aed" }, box: { x: 0, y: 0, width: 30%, height: 100% }, enter: { slide: left, for: 1s } }
  - name: two
    duration: 2500ms
    layers:
      - text: "Hi {{first_name}}"
        style: { size: 40px, color: white, fit: shrink }
        box: { x: 5%, y: 30%, width: 90%, height: 40% }
audio: [{ asset: tone, gain: -12dB }]
captions: [{ at: one, for: 2s, text: "Welcome, {{first_name}}" }]
"##;

/// The program's words about the result, on standard error as JSON lines.
fn told(error: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(error).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn render(template: &Path, out: &Path, more: &[&str]) -> Vec<Value> {
    let mut command = vignette();
    command.arg("render").arg(template).args(["--set", "first_name=Maria", "--progress", "json", "-o"]);
    let output = run(command.arg(out).args(more));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{more:?}: {error}");
    told(&output.stderr)
}

#[test]
fn every_film_holds_all_frames_and_the_sound() {
    let template = package(TEMPLATE, &[("tone.wav", &tone(24_000))]);
    let folder = tempfile::tempdir().unwrap();
    for (name, more, codec, sound, encoder) in [
        ("a.mp4", &[][..], "h264", "aac", "x264enc"),
        ("b.mp4", &["--format", "fmp4", "--codec", "h265"], "hevc", "aac", "x265enc"),
        ("c.mp4", &["--codec", "h265"], "hevc", "aac", "x265enc"),
        ("d.mp4", &["--codec", "av1"], "av1", "aac", "av1enc"),
        ("e.mp4", &["--codec", "vp9"], "vp9", "aac", "vp9enc"),
        ("f.webm", &[], "vp9", "opus", "vp9enc"),
        ("g.webm", &["--codec", "av1"], "av1", "opus", "av1enc"),
        ("hls/master.m3u8", &["--codec", "h265", "--ladder", "180,90"], "hevc", "aac", "x265enc"),
    ] {
        let out = folder.path().join(name);
        let lines = render(template.path(), &out, more);
        let done = lines.iter().find(|line| line["event"] == "done").unwrap_or_else(|| panic!("{lines:?}"));
        assert_eq!(done["encoder"], encoder, "{name}");
        // ffmpeg has no captions of a playlist.
        let complaints = complaints(&out);
        let others: Vec<&str> =
            complaints.lines().filter(|line| !line.contains("the subtitle(uri")).collect();
        assert_eq!(others, [""; 0], "{name}");
        let probed = probe(&out);
        assert_eq!(
            (&probed.video["codec_name"], &probed.audio["codec_name"]),
            (&Value::from(codec), &Value::from(sound)),
            "{name}"
        );
        if name.ends_with("m3u8") {
            continue;
        }
        assert_eq!((probed.width, probed.height, probed.frames), (320, 180, 120), "{name}");
        // WebM's times are whole milliseconds.
        let slack = if name.ends_with("webm") { 0.51e-3 } else { 1e-5 };
        for (index, time) in frame_times(&out).into_iter().enumerate() {
            assert!((time - index as f64 / 30.0).abs() < slack, "{name}: frame {index} at {time}");
        }
        let decoded = run(Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&out)
            .args(["-f", "f32le", "-ac", "1", "-ar", "48000", "-"]));
        let samples = decoded.stdout.len() / 4;
        // ffmpeg decodes the priming of a file of fragments, too, and gives it a time before 0.
        let more = if more.contains(&"fmp4") { 2048 } else { 1024 };
        assert!((4 * 48_000..4 * 48_000 + more).contains(&samples), "{name}: {samples} samples");
    }
}

#[test]
fn the_second_time_everything_is_found() {
    let template = package(TEMPLATE, &[("tone.wav", &tone(24_000))]);
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let store = store.to_str().unwrap();
    for (name, more) in [("a.webm", &["--codec", "av1"][..]), ("b.mp4", &["--codec", "h265"])] {
        let mut bytes = Vec::new();
        for reused in [false, true] {
            let out = folder.path().join(name);
            let lines = render(template.path(), &out, &[more, &["--store", store]].concat());
            let done = lines.iter().find(|line| line["event"] == "done").unwrap();
            assert_eq!(done["segments_new"] == 0, reused, "{done}");
            bytes.push(std::fs::read(&out).unwrap());
        }
        assert!(bytes[0] == bytes[1], "{name}");
    }
}

#[test]
fn hardware_that_is_asked_for_is_used_or_missed_aloud() {
    let template = package(TEMPLATE, &[("tone.wav", &tone(24_000))]);
    let folder = tempfile::tempdir().unwrap();
    let lines = render(template.path(), &folder.path().join("a.mp4"), &["--hardware"]);
    let warned = lines.iter().any(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        line["event"] == "warning"
            && (message.contains("software encodes instead") || message.contains("hardware"))
    });
    assert!(warned, "{lines:?}");
}

#[test]
fn previews_and_posters() {
    let template = package(TEMPLATE, &[("tone.wav", &tone(24_000))]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // A GIF of two seconds at ten frames a second.
    let part = ["--from", "0s", "--to", "2s", "--fps", "10", "--width", "160"];
    render(template.path(), &path("a.gif"), &part);
    let text = succeed(
        Command::new("ffprobe")
            .args(["-v", "error", "-count_frames", "-show_streams", "-of", "json"])
            .arg(path("a.gif")),
    );
    let stream: Value = serde_json::from_str(&text).unwrap();
    let stream = &stream["streams"][0];
    assert_eq!(
        (&stream["codec_name"], &stream["width"], &stream["height"]),
        (&"gif".into(), &160.into(), &90.into())
    );
    let seconds: f64 = stream["duration"].as_str().unwrap().parse().unwrap();
    assert!((seconds - 2.0).abs() < 0.02, "{seconds}");
    // Frames that do not differ are not stored, so at most twenty.
    let frames: u32 = stream["nb_read_frames"].as_str().unwrap().parse().unwrap();
    assert!((8..=20).contains(&frames), "{frames}");

    // The same as WebP, and with a bound that makes it give something up.
    render(template.path(), &path("b.webp"), &part);
    let bytes = std::fs::read(path("b.webp")).unwrap();
    let decoder = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(&bytes)).unwrap();
    assert!(decoder.has_animation());
    let shown = image::AnimationDecoder::into_frames(decoder).collect_frames().unwrap();
    assert!((8..=20).contains(&shown.len()), "{}", shown.len());
    let whole: u32 = shown.iter().map(|frame| frame.delay().numer_denom_ms().0).sum();
    assert!(whole.abs_diff(2000) <= 20, "{whole} ms");

    let free = std::fs::metadata(path("a.gif")).unwrap().len();
    let bound = free * 6 / 10;
    let lines =
        render(template.path(), &path("c.gif"), &[&part[..], &["--max-size", &bound.to_string()]].concat());
    assert!(std::fs::metadata(path("c.gif")).unwrap().len() <= bound);
    assert!(lines.iter().any(|line| line["event"] == "warning"), "what was given up is told: {lines:?}");

    for (name, more, format) in [
        ("d.jpg", &["--at", "3s", "--width", "200"][..], image::ImageFormat::Jpeg),
        ("e.png", &["--at", "3s", "--width", "200"], image::ImageFormat::Png),
        ("f.webp", &["--format", "webp-poster", "--at", "3s", "--width", "200"], image::ImageFormat::WebP),
    ] {
        render(template.path(), &path(name), more);
        let bytes = std::fs::read(path(name)).unwrap();
        assert_eq!(image::guess_format(&bytes).unwrap(), format, "{name}");
        let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (200, 113), "{name}");
        // The name is there, white on dark.
        assert!(picture.pixels().filter(|pixel| pixel.0[0] > 200).count() > 100, "{name}");
    }
}

#[test]
fn what_does_not_go_together_is_wrong_usage() {
    let template = package(TEMPLATE, &[("tone.wav", &tone(24_000))]);
    let folder = tempfile::tempdir().unwrap();
    for (name, more, word) in [
        ("a.webm", &["--codec", "h264"][..], "vp9"),
        ("a.mp4", &["--from", "1s"], "--from"),
        ("hls/master.m3u8", &["--codec", "h265", "--ladder", "32"], "64 pixels"),
        ("a.gif", &["--ladder", "90"], "--ladder"),
        ("a.gif", &["--from", "3s", "--to", "2s"], "end after it begins"),
        ("a.mp4", &["--codec", "mpeg2"], "av1"),
        ("a.avi", &[], ".webm"),
        ("a.mp4", &["--format", "webm"], ".webm"),
    ] {
        let mut command = vignette();
        command.arg("render").arg(template.path()).args(["--set", "first_name=Maria", "-o"]);
        let output = run(command.arg(folder.path().join(name)).args(more));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name} {more:?}: {error}");
        assert!(error.contains(word), "{name} {more:?}: {error}");
        assert!(!folder.path().join(name).exists());
    }
    // Whether a size can be kept to depends on the viewer's pictures.
    let mut command = vignette();
    command.arg("render").arg(template.path()).args(["--set", "first_name=Maria", "--max-size", "100", "-o"]);
    let output = run(command.arg(folder.path().join("a.gif")));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && error.contains("smallest"), "{error}");
}
