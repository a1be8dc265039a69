//! The gallery, rendered by the program and read back by an independent decoder.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{complaints, decoded_frame, frame_times, gallery, probe, psnr, succeed, vignette};

/// One video of the gallery.
struct Case {
    template: &'static str,
    viewer: &'static str,
    rendition: Option<&'static str>,
    size: (u32, u32),
    /// A moment at which the viewer's own name shows.
    name_at: &'static str,
    /// Frame number of that moment.
    name_frame: u32,
}

fn data(case: &Case) -> PathBuf {
    gallery(case.template).join("viewers").join(format!("{}.json", case.viewer))
}

fn render(case: &Case, folder: &Path) -> PathBuf {
    let out =
        folder.join(format!("{}-{}-{}.mp4", case.template, case.viewer, case.rendition.unwrap_or("default")));
    let mut command = vignette();
    command.arg("render").arg(gallery(case.template)).arg("--data").arg(data(case)).arg("-o").arg(&out);
    if let Some(rendition) = case.rendition {
        command.args(["--rendition", rendition]);
    }
    succeed(&mut command);
    out
}

fn still(case: &Case, name: Option<&str>, folder: &Path) -> image::RgbImage {
    let out = folder.join("still.png");
    let mut command = vignette();
    command.arg("still").arg(gallery(case.template)).arg("--data").arg(data(case));
    command.args(["--at", case.name_at]).arg("-o").arg(&out);
    if let Some(rendition) = case.rendition {
        command.args(["--rendition", rendition]);
    }
    if let Some(name) = name {
        command.arg("--set").arg(format!("first_name={name}"));
    }
    succeed(&mut command);
    image::open(&out).unwrap().to_rgb8()
}

/// What holds for every file: all frames, regular times, equal lengths, the index first, nothing to complain of.
fn check_file(file: &Path, case: &Case) {
    let name = file.display();
    let probed = probe(file);
    assert_eq!((probed.width, probed.height), case.size, "{name}");
    assert_eq!(probed.frame_rate, "30/1", "{name}");
    let expected = (probed.video_seconds * 30.0).round();
    assert!((probed.video_seconds * 30.0 - expected).abs() < 1e-3, "{name}: {} s", probed.video_seconds);
    assert_eq!(probed.frames, expected as u64, "{name}");
    assert!(
        (probed.video_seconds - probed.audio_seconds).abs() < 1.0 / 30.0,
        "{name}: {} s of pictures, {} s of sound",
        probed.video_seconds,
        probed.audio_seconds
    );
    for (key, value) in [
        ("color_range", "tv"),
        ("color_space", "bt709"),
        ("color_primaries", "bt709"),
        ("pix_fmt", "yuv420p"),
    ] {
        assert_eq!(probed.video[key], value, "{name}: {key}");
    }
    assert_eq!(probed.audio["codec_name"], "aac", "{name}");
    assert_eq!(
        (&probed.audio["sample_rate"], &probed.audio["channels"]),
        (&"48000".into(), &2.into()),
        "{name}"
    );
    for (index, time) in frame_times(file).into_iter().enumerate() {
        assert!((time - index as f64 / 30.0).abs() < 1e-4, "{name}: frame {index} at {time} s");
    }
    assert_eq!(complaints(file), "", "{name}");
    let bytes = fs::read(file).unwrap();
    let at = |tag: &[u8]| bytes.windows(4).position(|window| window == tag).unwrap();
    assert!(at(b"moov") < at(b"mdat"), "{name}: the index comes first");
}

/// The frame in the file is the viewer's own: near to the still with her name, far from the one with another.
fn check_name(file: &Path, case: &Case, folder: &Path) {
    let shown = decoded_frame(file, case.name_frame);
    let (own, other) = (still(case, None, folder), still(case, Some("Bartholomew"), folder));
    let (near, far) = (psnr(&shown, &own), psnr(&shown, &other));
    assert!(near > 34.0, "{}: {near:.1} dB from its own still", file.display());
    assert!(near > far + 6.0, "{}: {near:.1} dB from its own name, {far:.1} dB from another", file.display());
}

#[test]
fn welcome_greets_three_viewers() {
    let folder = tempfile::tempdir().unwrap();
    let cases = ["maria", "yusuf", "priya"].map(|viewer| Case {
        template: "welcome",
        viewer,
        rendition: None,
        size: (1920, 1080),
        name_at: "2s",
        name_frame: 60,
    });
    let files: Vec<PathBuf> = cases.iter().map(|case| render(case, folder.path())).collect();
    for (case, file) in cases.iter().zip(&files) {
        check_file(file, case);
        check_name(file, case, folder.path());
        assert_eq!(probe(file).frames, 450, "welcome lasts 15 s");
    }
}

#[test]
fn offer_lasts_fifteen_seconds_in_three_shapes() {
    let folder = tempfile::tempdir().unwrap();
    for (viewer, rendition, size) in [
        ("ella", None, (1920, 1080)),
        ("sakura", Some("story"), (1080, 1920)),
        ("jonas", Some("square"), (1080, 1080)),
    ] {
        let case = Case { template: "offer", viewer, rendition, size, name_at: "2s", name_frame: 60 };
        let file = render(&case, folder.path());
        check_file(&file, &case);
        let probed = probe(&file);
        assert_eq!((probed.frames, probed.video["duration"].as_str()), (450, Some("15.000000")), "{viewer}");
    }
}

#[test]
fn progress_shows_as_many_modules_as_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case {
        template: "progress",
        viewer: "zoe",
        rendition: None,
        size: (1920, 1080),
        name_at: "2s",
        name_frame: 60,
    };
    let file = render(&case, folder.path());
    check_file(&file, &case);
    check_name(&file, &case, folder.path());
}

/// The same input gives the same file, whatever the number of workers.
#[test]
fn one_worker_and_many_write_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let render = |workers: &str| {
        let out = folder.path().join(format!("{workers}.mp4"));
        succeed(
            vignette()
                .arg("render")
                .arg(gallery("progress"))
                .arg("--data")
                .arg(gallery("progress").join("viewers/leo.json"))
                .args(["--workers", workers, "-o"])
                .arg(&out),
        );
        fs::read(out).unwrap()
    };
    assert!(render("1") == render("3"), "the bytes differ");
}
