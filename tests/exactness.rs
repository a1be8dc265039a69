//! Each template of the gallery, cut into segments: whatever makes it, the same bytes; and beside the frames it was made of, and beside the same
//! frames encoded in one piece by another program, no worse and no larger.

mod common;

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{complaints, frame_times, gallery, run, succeed};
use vignette::Engine;
use vignette::output::{Output, OutputOptions};
use vignette::renderer::encode::{SegmentEncoder, VideoProfile};
use vignette::renderer::frame::I420Frame;
use vignette::renderer::media::VideoClip;
use vignette::renderer::render::Stores;
use vignette::templates::blob::Blob;

/// A cut video may be so much larger than in one piece.
const LARGER: f64 = 1.03;
/// And so much less like its frames, by structural similarity.
const LESS_LIKE: f64 = 0.002;

/// Luma, then both chroma planes.
fn put(frame: &I420Frame, out: &mut impl Write) {
    for plane in [&frame.y, &frame.u, &frame.v] {
        out.write_all(plane).unwrap();
    }
}

/// Mean squared difference of two pictures' samples; of every third row of 64, as all of them would take minutes.
fn error(a: &[u8], b: &[u8]) -> f64 {
    let (mut sum, mut count) = (0u64, 0u64);
    for (a, b) in a.chunks(64).zip(b.chunks(64)).step_by(3) {
        sum += a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>();
        count += a.len() as u64;
    }
    sum as f64 / count as f64
}

/// The structural similarity of a file to raw frames, over all planes, as ffmpeg's filter `ssim` has it.
fn similarity(file: &Path, raw: &Path, [width, height]: [u32; 2]) -> f64 {
    let output = run(Command::new("ffmpeg")
        .args(["-v", "info", "-nostats", "-r", "30", "-i"])
        .arg(file)
        .args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-r", "30", "-s", &format!("{width}x{height}"), "-i"])
        .arg(raw)
        .args([
            "-lavfi",
            "[0:v]setpts=N,settb=1/30[a];[1:v]setpts=N,settb=1/30[b];[a][b]ssim",
            "-f",
            "null",
            "-",
        ]));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let all = told.rsplit("All:").next().and_then(|rest| rest.split_whitespace().next());
    all.and_then(|all| all.parse().ok()).unwrap_or_else(|| panic!("ffmpeg told no similarity: {told}"))
}

fn check(template: &str, viewer: &str) {
    let engine = Engine::new().unwrap();
    let opened = engine.open(&gallery(template), &[]).unwrap().value;
    let data = fs::read(gallery(template).join(format!("viewers/{viewer}.json"))).unwrap();
    let data = opened.parse_data("viewer", &data).unwrap();
    let video = engine.personalise(&opened, &data, None).unwrap().value;
    let prepared = engine.prepare(&opened, &video).unwrap();
    let plans = Output::resolve(OutputOptions::default()).unwrap().plans(&engine, &video).unwrap();
    let size = [video.canvas.width, video.canvas.height];
    assert_eq!(video.canvas.frame_rate.num(), 30 * video.canvas.frame_rate.den(), "{template}");

    // Three workers, each from somewhere in the middle, with nothing kept in between.
    let rendered = prepared.render_plans(&plans, 3, &Stores::none(), &()).unwrap().pop().unwrap();

    let folder = tempfile::tempdir().unwrap();
    let (file, raw, whole) =
        (folder.path().join("cut.mp4"), folder.path().join("frames.yuv"), folder.path().join("whole.h264"));
    rendered.write_mp4(&file).unwrap();

    // The frames in order on one thread, and encoded there, segment by segment: the same bytes.
    let mut out = BufWriter::new(File::create(&raw).unwrap());
    let mut frames = prepared.frames();
    for (segment, made) in plans[0].segments.iter().zip(&rendered.segments) {
        let mut encoder = SegmentEncoder::start(plans[0].profile, segment.range.len()).unwrap();
        for _ in segment.range.start..segment.range.end {
            let frame = frames.next().unwrap().unwrap();
            put(&frame, &mut out);
            encoder.push_shared(&frame).unwrap();
        }
        assert!(encoder.finish().unwrap() == **made, "{template}: segment {} differs", segment.index);
    }
    assert!(frames.next().is_none(), "{template}");
    out.flush().unwrap();
    let count = video.frames() as usize;

    // Another program's encoder, told what a person would tell it.
    succeed(
        Command::new("ffmpeg")
            .args(["-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-r", "30"])
            .args(["-s", &format!("{}x{}", size[0], size[1]), "-i"])
            .arg(&raw)
            .args(["-c:v", "libx264", "-preset", "veryfast"])
            .args(["-crf", &VideoProfile::DEFAULT_QUALITY.to_string()])
            .arg(&whole),
    );
    let cut: usize =
        rendered.segments.iter().flat_map(|segment| &segment.units).map(|unit| unit.data.len()).sum();
    let ratio = cut as f64 / fs::metadata(&whole).unwrap().len() as f64;
    let (ours, theirs) = (similarity(&file, &raw, size), similarity(&whole, &raw, size));
    println!("{template}/{viewer}: {ratio:.3} of the size in one piece, similarity {ours:.5} to {theirs:.5}");
    assert!(ratio <= LARGER, "{template}: {ratio:.3} times as large as in one piece");
    assert!(ours >= theirs - LESS_LIKE, "{template}: similarity {ours:.5}, in one piece {theirs:.5}");

    // ffmpeg: not a word, all frames, regular.
    assert_eq!(complaints(&file), "", "{template}");
    let times = frame_times(&file);
    assert_eq!(times.len(), count, "{template}");
    for (index, time) in times.iter().enumerate() {
        assert!((time - index as f64 / 30.0).abs() < 1e-5, "{template}: frame {index} at {time}");
    }
    // GStreamer: the same frames at the same times.
    let clip = VideoClip::open(&Blob::new(fs::read(&file).unwrap())).unwrap();
    let found = &clip.info().frame_times;
    assert_eq!(found.len(), count, "{template}");
    for (index, time) in found.iter().enumerate() {
        assert!(time.abs_diff(index as i64 * 1_000_000_000 / 30) <= 1, "{template}: frame {index} at {time}");
    }

    // Each frame shows what it should and not its neighbour, and is no farther from it than one that was encoded in one piece is, at
    // its worst.
    let (luma, length) = ((size[0] * size[1]) as usize, (size[0] * size[1] * 3 / 2) as usize);
    let mut worst: f64 = 0.0;
    each_frame(&raw, &whole, length, |_, frame, shown, _| {
        worst = worst.max(error(&shown[..luma], &frame[..luma]))
    });
    let mut seen = 0;
    each_frame(&raw, &file, length, |index, frame, shown, before| {
        let own = error(&shown[..luma], &frame[..luma]);
        if let Some((frame_before, shown_before)) = before {
            // Clearly nearer to it than to its own, and they differ by more than an encoder may leave out (45 dB).
            let apart = error(&frame_before[..luma], &frame[..luma]);
            let swapped = apart > 2.0
                && (2.0 * error(&shown[..luma], &frame_before[..luma]) < own
                    || 2.0 * error(&shown_before[..luma], &frame[..luma]) < own);
            assert!(!swapped, "{template}: frame {index} looks like its neighbour");
        }
        assert!(
            own <= worst * 1.5 + 2.0,
            "{template}: frame {index} is off by {own:.2}, in one piece {worst:.2} at most"
        );
        seen += 1;
    });
    assert_eq!(seen, count, "{template}");
}

/// Reads raw frames of `length` bytes beside those that ffmpeg decodes from `file`, in order: the number, the frame, what is shown, and
/// the two of the frame before.
fn each_frame(
    raw: &Path,
    file: &Path,
    length: usize,
    mut look: impl FnMut(usize, &[u8], &[u8], Option<(&[u8], &[u8])>),
) {
    let mut decoder = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-fps_mode", "passthrough", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = BufReader::with_capacity(1 << 20, decoder.stdout.take().unwrap());
    let mut frames = BufReader::with_capacity(1 << 20, File::open(raw).unwrap());
    let mut now = (vec![0; length], vec![0; length]);
    let mut before: Option<(Vec<u8>, Vec<u8>)> = None;
    let mut index = 0;
    while shown.read_exact(&mut now.1).is_ok() {
        frames.read_exact(&mut now.0).expect("more is decoded than there are frames");
        let past = before.as_ref().map(|(frame, shown)| (frame.as_slice(), shown.as_slice()));
        look(index, &now.0, &now.1, past);
        let spare = before.take().unwrap_or_else(|| (vec![0; length], vec![0; length]));
        before = Some(std::mem::replace(&mut now, spare));
        index += 1;
    }
    assert!(decoder.wait().unwrap().success());
}

#[test]
fn welcome_is_exact() {
    check("welcome", "priya");
}

#[test]
fn offer_is_exact() {
    check("offer", "sakura");
}

#[test]
fn progress_is_exact() {
    check("progress", "zoe");
}
