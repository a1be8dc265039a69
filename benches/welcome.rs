//! Where the time of a template goes, in milliseconds of CPU a frame: of the gallery's `welcome`, or of another one.
//!
//! `make bench` runs it for `welcome` and for R1 (`cargo bench --bench welcome -- --template FOLDER --data FILE`). Every figure comes from one run on one thread of work (the encoder's own thread counts with
//! the rest), measured as CPU time of this process: machines are shared and noisy, so the ratios say more than the
//! milliseconds. With `--test` (as `cargo test --benches` calls it) a few frames show that it still runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use vignette::Engine;
use vignette::renderer::encode::{SegmentEncoder, VideoProfile};
use vignette::renderer::frame::I420Frame;
use vignette::renderer::media::{ConformSpec, VideoClip};
use vignette::templates::time::Time;
use vignette::templates::video::{AssetKind, Fit};

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    if let Err(error) = run(quick) {
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

fn run(quick: bool) -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let told = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(PathBuf::from)
    };
    let package = told("--template")
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/gallery/welcome"));
    let viewer = told("--data").unwrap_or_else(|| package.join("viewers/maria.json"));
    let engine = Engine::new()?;
    let template = engine.open(&package, &[])?.value;
    let data = template.parse_data("viewer", &std::fs::read(viewer)?)?;
    let video = engine.personalise(&template, &data, None)?.value;
    let prepared = engine.prepare(&template, &video)?;
    let plan = prepared.plan(VideoProfile::DEFAULT_QUALITY);
    let segments = if quick { &plan.segments[..1] } else { &plan.segments[..] };

    // Composed segment by segment, and each segment encoded from ready frames, so that memory stays small and the
    // two never run at once.
    let (mut compose, mut ready_encode, mut frames) = (Duration::ZERO, Duration::ZERO, 0u32);
    let mut composed = prepared.frames();
    for segment in segments {
        let start = cpu();
        let pictures: Vec<Arc<I420Frame>> =
            composed.by_ref().take(segment.range.len() as usize).collect::<Result<_, _>>()?;
        compose += cpu() - start;
        let start = cpu();
        let mut encoder = SegmentEncoder::start(plan.profile, segment.range.len())?;
        for picture in &pictures {
            encoder.push(picture)?;
        }
        encoder.finish()?;
        ready_encode += cpu() - start;
        frames += segment.range.len();
    }
    // The background alone, as often as it was shown.
    let start = cpu();
    for asset in video.assets.values().filter(|asset| asset.kind == AssetKind::Video) {
        let mut reader = VideoClip::open(&asset.blob)?.reader(ConformSpec {
            width: video.canvas.width,
            height: video.canvas.height,
            fit: Fit::Cover,
            focus: [0.5, 0.5],
            rate: video.canvas.frame_rate,
            start: Time::ZERO,
            repeat: true,
        })?;
        for index in 0..frames {
            reader.frame(index)?;
        }
    }
    let decode = cpu() - start;
    let convert = Duration::from_nanos(prepared.costs().convert.load(Ordering::Relaxed));

    // The same work as a render does it: composing and encoding at once.
    let fresh = engine.prepare(&template, &video)?;
    let mut composed = fresh.frames();
    let start = cpu();
    for segment in segments {
        let mut encoder = SegmentEncoder::start(plan.profile, segment.range.len())?;
        for picture in composed.by_ref().take(segment.range.len() as usize) {
            encoder.push(&*picture?)?;
        }
        encoder.finish()?;
    }
    let together = cpu() - start;

    let per_frame = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(frames.max(1));
    let share = |time: Duration| time.as_secs_f64() / ready_encode.as_secs_f64().max(1e-9);
    let layers = compose.saturating_sub(decode).saturating_sub(convert);
    let canvas = video.canvas;
    println!(
        "{}, {} frames of {} x {}, ms of CPU a frame and as a share of encoding",
        video.name, frames, canvas.width, canvas.height
    );
    for (name, time) in [
        ("decode the background video", decode),
        ("compose: rasterise and lay layers", layers),
        ("convert: RGBA tiles to Y'CbCr", convert),
        ("encode, fed with ready frames", ready_encode),
        ("compose and encode at once", together),
    ] {
        println!("  {name:<36} {:>8.2} ms  {:>6.3}", per_frame(time), share(time));
    }
    Ok(())
}
