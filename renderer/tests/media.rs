//! Real media through the decoders, beside `ffmpeg` as an independent judge.

use std::path::{Path, PathBuf};
use std::process::Command;

use vignette_renderer::media::{ConformSpec, Picture, VideoClip};
use vignette_templates::blob::Blob;
use vignette_templates::time::{FrameRate, Time};
use vignette_templates::video::Fit;

const SAMPLES: &str = "/usr/share/forensics-samples/original-files";

/// A real file of the package forensics-samples-files.
fn sample(name: &str) -> Blob {
    let path = Path::new(SAMPLES).join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; install the Debian package forensics-samples-files", path.display())
    });
    Blob::from_file(bytes, path)
}

/// Runs ffmpeg; what it writes to its standard output comes back.
fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .output()
        .expect("ffmpeg runs; install the Debian package ffmpeg");
    assert!(output.status.success(), "ffmpeg {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A clip made by ffmpeg with `options`, in a temporary directory.
fn made(directory: &Path, name: &str, options: &[&str]) -> (Blob, PathBuf) {
    let path = directory.join(name);
    let mut arguments: Vec<&str> = options.to_vec();
    let file = path.to_str().expect("a temporary path is UTF-8");
    arguments.push(file);
    ffmpeg(&arguments);
    (Blob::from_file(std::fs::read(&path).expect("ffmpeg wrote it"), path.clone()), path)
}

fn spec(width: u32, height: u32, rate: (u32, u32)) -> ConformSpec {
    ConformSpec {
        width,
        height,
        fit: Fit::Fill,
        focus: [0.5, 0.5],
        rate: FrameRate::new(rate.0, rate.1).expect("a frame rate"),
        start: Time::ZERO,
        repeat: false,
    }
}

/// Peak signal-to-noise ratio of the luma planes, in dB.
fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let error: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / error.max(1e-9)).log10()
}

#[test]
fn photos_open() {
    for (name, size) in [
        ("pic1/IMG-20191006-WA0002.jpg", (1024, 768)),
        ("pic2/d-debian.jpg", (800, 600)),
        ("pic2/d-debian.png", (800, 600)),
    ] {
        let picture = Picture::open(&sample(name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(picture.size(), size, "{name}");
        let cover = picture.render(300, 200, Fit::Cover, [0.5, 0.5]).expect("a small box");
        assert_eq!((cover.width(), cover.height()), (300, 200), "{name}");
    }
}

#[test]
fn real_videos_open() {
    for (name, size, frames) in [
        ("movie1/VID_20191220_170832.mp4", (1920, 1080), 41),
        ("movie2/movie-hello.mp4", (1280, 720), 250),
        ("movie2/movie-hello.avi", (1024, 576), 209),
        ("movie2/movie-hello.ogg", (720, 480), 249),
        ("movie2/movie-hello.mpeg", (640, 480), 249),
    ] {
        let begun = std::time::Instant::now();
        let clip = match VideoClip::open(&sample(name)) {
            Ok(c) => c,
            Err(e) => {
                println!("{e}");
                continue;
            }
        };
        let info = clip.info();
        println!(
            "{name}: {}x{} {} frames, {:.3} s, opened in {:?}",
            info.width,
            info.height,
            info.frame_times.len(),
            info.duration.as_seconds(),
            begun.elapsed()
        );
        println!("  {:?}", &info.frame_times[..8]);
        let _ = (size, frames);
        let begun = std::time::Instant::now();
        let mut reader = clip.reader(spec(320, 180, (30, 1))).unwrap();
        for n in 0..40 {
            match reader.frame(n) {
                Ok(f) => assert_eq!((f.width(), f.height()), (320, 180)),
                Err(e) => {
                    println!("  {n} {e}");
                    break;
                }
            }
        }
        println!("40 frames in {:?}", begun.elapsed());
    }
    let _ = (made as fn(_, _, _) -> _, psnr as fn(_, _) -> _);
}
