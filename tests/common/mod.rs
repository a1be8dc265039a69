//! What the end-to-end tests share: the program, an independent decoder, small templates.

#![allow(dead_code, reason = "each test file uses a part")]

pub mod devtools;
pub mod place;
pub mod postgres;
pub mod s3;
pub mod service;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The root of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A template of the gallery.
pub fn gallery(name: &str) -> PathBuf {
    root().join("templates/gallery").join(name)
}

/// The program under test, ready to take arguments. It finds nothing that another run made, unless told with `--store`.
pub fn vignette() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vignette"));
    command.env("VIGNETTE_STORE", "memory:");
    command
}

/// Runs a command that must succeed and gives what it printed.
pub fn succeed(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("the output is UTF-8")
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            panic!(
                "{:?} is missing: install the package ffmpeg (scripts/setup.sh --tests)",
                command.get_program()
            )
        }
        _ => panic!("{command:?}: {error}"),
    })
}

/// What ffprobe says of a file's streams.
#[derive(Debug)]
pub struct Probed {
    pub frames: u64,
    pub frame_rate: String,
    pub width: u32,
    pub height: u32,
    pub video_seconds: f64,
    pub audio_seconds: f64,
    pub video: serde_json::Value,
    pub audio: serde_json::Value,
}

/// Decodes every frame with ffprobe and tells what it found.
pub fn probe(file: &Path) -> Probed {
    let text = succeed(
        Command::new("ffprobe")
            .args(["-v", "error", "-count_frames", "-show_streams", "-of", "json"])
            .arg(file),
    );
    let json: serde_json::Value = serde_json::from_str(&text).expect("ffprobe prints JSON");
    let stream = |kind: &str| {
        json["streams"]
            .as_array()
            .and_then(|streams| streams.iter().find(|stream| stream["codec_type"] == kind))
            .unwrap_or_else(|| panic!("{}: no {kind} stream", file.display()))
            .clone()
    };
    let seconds =
        |stream: &serde_json::Value| stream["duration"].as_str().and_then(|s| s.parse().ok()).unwrap_or(0.0);
    let (video, audio) = (stream("video"), stream("audio"));
    Probed {
        frames: video["nb_read_frames"].as_str().and_then(|s| s.parse().ok()).unwrap_or(0),
        frame_rate: video["r_frame_rate"].as_str().unwrap_or_default().to_owned(),
        width: video["width"].as_u64().unwrap_or(0) as u32,
        height: video["height"].as_u64().unwrap_or(0) as u32,
        video_seconds: seconds(&video),
        audio_seconds: seconds(&audio),
        video,
        audio,
    }
}

/// Presentation times of all frames in seconds, in order of showing.
pub fn frame_times(file: &Path) -> Vec<f64> {
    let text = succeed(
        Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-select_streams",
                "v",
                "-show_entries",
                "frame=pts_time",
                "-of",
                "csv=p=0",
            ])
            .arg(file),
    );
    text.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}

/// Everything that ffmpeg complains of while it decodes the whole file.
pub fn complaints(file: &Path) -> String {
    let output =
        run(Command::new("ffmpeg").args(["-v", "warning", "-i"]).arg(file).args(["-f", "null", "-"]));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Frame `index` of a file, decoded by ffmpeg.
pub fn decoded_frame(file: &Path, index: u32) -> image::RgbImage {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("frame.png");
    succeed(
        Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(file)
            .args(["-vf", &format!("select=eq(n\\,{index})"), "-frames:v", "1"])
            .arg(&out),
    );
    image::open(&out).expect("ffmpeg writes a PNG").to_rgb8()
}

/// Peak signal-to-noise ratio of two pictures of one size in dB, over all channels; infinite when they are equal.
pub fn psnr(a: &image::RgbImage, b: &image::RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let squares: f64 =
        a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    10.0 * (255.0f64.powi(2) * a.as_raw().len() as f64 / squares).log10()
}

/// Writes a template package into a folder of its own: `template.yaml` and other files.
pub fn package(template: &str, files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder can be made");
        std::fs::write(path, bytes).expect("a file can be written");
    };
    write("template.yaml", template.as_bytes());
    for (name, bytes) in files {
        write(name, bytes);
    }
    folder
}

/// A template of half a second that shows a name.
pub const SMALL: &str = r##"
vignette: 1
name: small
canvas: { width: 160, height: 96, fps: 20, background: "#101828" }
data: { required: [first_name], properties: { first_name: { type: string, maxLength: 40 }, age: { type: integer, default: 1 } } }
scenes:
  - name: one
    duration: 500ms
    layers:
      - text: "Hi {{first_name}}"
        style: { size: 24px, color: white, fit: shrink }
        box: { x: 5%, y: 30%, width: 90%, height: 40% }
"##;

/// A WAV of so many samples of a tone, 16 bits, mono, 48 kHz (RIFF 1.0, WAVE format 1).
pub fn tone(samples: u32) -> Vec<u8> {
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + samples * 2).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(48_000u32.to_le_bytes());
    wav.extend(96_000u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend((samples * 2).to_le_bytes());
    let value = |sample: u32| (8000.0 * (sample as f32 * 0.0576).sin()) as i16;
    wav.extend((0..samples).flat_map(|sample| value(sample).to_le_bytes()));
    wav
}
