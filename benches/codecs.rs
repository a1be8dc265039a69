//! What each codec costs: milliseconds of CPU a frame, bytes and likeness to the original, at the same quality setting.
//!
//! `cargo bench --bench codecs` runs it, and with `-- --quality 28` at another quality. Two seconds each of three gallery templates are composed once and
//! encoded by every codec's own encoder as a render does it. Machines are shared and noisy, so the ratios say more than
//! the milliseconds. With `--test` (as `cargo test --benches` calls it) a few frames show that it still runs.
//!
//! Likeness is the structural similarity of luma (Wang et al., "Image Quality Assessment: From Error Visibility to
//! Structural Similarity", 2004) as ffmpeg's filter `ssim` measures it, in dB, after decoding what was encoded from an MP4 file.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use vignette::Engine;
use vignette::renderer::encode::{Codec, Encoder, SegmentEncoder, VideoProfile, resolve};
use vignette::renderer::frame::I420Frame;
use vignette::renderer::package::mp4::{self, Movie};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let quick = arguments.iter().any(|argument| argument == "--test");
    let quality = arguments
        .iter()
        .position(|argument| argument == "--quality")
        .and_then(|at| arguments.get(at + 1)?.parse().ok())
        .unwrap_or(VideoProfile::DEFAULT_QUALITY);
    if let Err(error) = run(quick, quality) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

/// CPU time that all threads of this process have used (proc(5), fields 14 and 15 of `stat`).
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    // `stat` counts in ticks of 1/100 s on every Linux that this runs on.
    let ticks = fields.get(11).unwrap_or(&0) + fields.get(12).unwrap_or(&0);
    Duration::from_millis(ticks * 10)
}

/// Template, viewer, and the frame where the two seconds begin.
const CLIPS: [(&str, &str, u32); 3] =
    [("welcome", "maria", 90), ("offer", "jonas", 90), ("progress", "zoe", 90)];

fn run(quick: bool, quality: u8) -> Result<(), Box<dyn std::error::Error>> {
    let count = if quick { 3 } else { 60 };
    let folder = std::env::temp_dir().join(format!("vignette-codecs-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = measure(&folder, count, quality, quick);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn measure(folder: &Path, count: u32, quality: u8, quick: bool) -> Result<(), Box<dyn std::error::Error>> {
    println!("{count} frames each at quality {quality}: ms of CPU a frame; KiB; dB of likeness");
    let engine = Engine::new()?;
    for (name, viewer, first) in CLIPS {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/gallery").join(name);
        let template = engine.open(&package, &[])?.value;
        let file = format!("{viewer}.json");
        let data = template.parse_data(&file, &std::fs::read(package.join("viewers").join(&file))?)?;
        let video = engine.personalise(&template, &data, None)?.value;
        let prepared = engine.prepare(&template, &video)?;
        let frames: Vec<Arc<I420Frame>> =
            (first..first + count).map(|index| prepared.frame(index)).collect::<Result<_, _>>()?;
        let original = folder.join("original.yuv");
        let planes: Vec<u8> =
            frames.iter().flat_map(|frame| [&frame.y, &frame.u, &frame.v]).flatten().copied().collect();
        std::fs::write(&original, planes)?;
        for codec in Codec::ALL {
            let (encoder, notes) = resolve(codec, Encoder::Software)?;
            notes.iter().for_each(|note| println!("note: {note}"));
            let canvas = video.canvas;
            let profile = VideoProfile {
                width: canvas.width,
                height: canvas.height,
                frame_rate: canvas.frame_rate,
                quality,
                encoder,
            };
            let start = cpu();
            let mut segment = SegmentEncoder::start(profile, frames.len() as u32)?;
            for frame in &frames {
                segment.push(frame)?;
            }
            let segment = segment.finish()?;
            let spent = (cpu() - start).as_secs_f64() * 1e3 / f64::from(count);
            let bytes: usize = segment.units.iter().map(|unit| unit.data.len()).sum();
            let movie = Movie { profile, segments: &[&segment], audio: None, locale: "en" };
            let mut file = Vec::new();
            mp4::write(&movie, &mut file)?;
            let path = folder.join("encoded.mp4");
            std::fs::write(&path, file)?;
            let likeness = if quick { String::new() } else { likeness(&path, &original, &profile)? };
            println!(
                "  {name:<9} {:<9} {spent:>7.1} ms {:>8.0} KiB  {likeness}",
                encoder.element(),
                bytes as f64 / 1024.0
            );
        }
    }
    Ok(())
}

fn likeness(
    encoded: &Path,
    original: &Path,
    profile: &VideoProfile,
) -> Result<String, Box<dyn std::error::Error>> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i"])
        .arg(encoded)
        .args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s"])
        .arg(format!("{}x{}", profile.width, profile.height))
        .args(["-r", &profile.frame_rate.to_string(), "-i"])
        .arg(original)
        .args(["-lavfi", "[0:v]setpts=N/TB/30[a];[1:v]setpts=N/TB/30[b];[a][b]ssim", "-f", "null", "-"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let luma = said.rsplit_once("SSIM Y:").and_then(|(_, rest)| rest.split_once('(')?.1.split_once(')'));
    Ok(luma.map(|(decibels, _)| format!("{decibels} dB")).ok_or("ffmpeg measured nothing")?)
}
