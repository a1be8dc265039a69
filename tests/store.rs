//! The store behind `vignette render`: what was made once is found, and trouble with it never costs a video.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{run, succeed, vignette};

/// A video of 4 s, cheap to render: a name over stillness, a moving shape that everyone sees, a tone.
fn template(folder: &Path) -> PathBuf {
    let text = r##"
vignette: 1
name: small
canvas: { width: 320, height: 180, fps: 30, background: "#101828" }
data: { properties: { name: { type: string, default: Maria } } }
scenes:
  - name: hello
    duration: 2s
    layers:
      - { text: "Hello {{name}}", style: { font: Inter, size: 28px, color: white }, enter: { slide: up, fade: in, for: 1s } }
  - name: rest
    duration: 2s
    layers:
      - rect: { fill: "#ffb020" }
        box: { x: 20px, y: 20px, width: 40px, height: 40px }
        keyframes: { position: [{ at: 0s }, { at: 2s, x: 220px }] }
"##;
    let package = folder.join("small");
    fs::create_dir_all(&package).unwrap();
    fs::write(package.join("template.yaml"), text).unwrap();
    package
}

/// Renders with JSON progress; what the last line says, and all lines.
fn render(package: &Path, store: &[&str], name: &str, out: &Path) -> (serde_json::Value, String) {
    let output = run(vignette()
        .arg("render")
        .arg(package)
        .args(["--set", &format!("name={name}"), "--progress", "json"])
        .args(store)
        .arg("-o")
        .arg(out));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    let done =
        text.lines().rev().find(|line| line.contains("\"done\"") && line.contains("\"file\"")).unwrap();
    (serde_json::from_str(done).unwrap(), text)
}

fn counts(done: &serde_json::Value) -> (u64, u64) {
    (done["segments_new"].as_u64().unwrap(), done["segments_reused"].as_u64().unwrap())
}

/// Every entry of a store, whatever its folders are called.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else if entry.metadata().unwrap().len() > 0 {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

#[test]
fn what_was_made_once_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let package = template(folder.path());
    let store = folder.path().join("store");
    let store = ["--store", store.to_str().unwrap()];
    let out = |name: &str| folder.path().join(name);
    let (none, _) = render(&package, &["--no-store"], "Maria", &out("none.mp4"));
    let (new, reused) = counts(&none);
    assert!(new >= 3 && reused == 0, "{none}");
    let (first, _) = render(&package, &store, "Maria", &out("first.mp4"));
    assert_eq!(counts(&first), (new, 0));
    let (again, _) = render(&package, &store, "Maria", &out("again.mp4"));
    assert_eq!(counts(&again), (0, new));
    let (other, _) = render(&package, &store, "Zoë", &out("other.mp4"));
    let (personal, shared) = counts(&other);
    assert!(personal >= 1 && shared >= 1 && personal + shared == new, "{other}");
    let whole = fs::read(out("none.mp4")).unwrap();
    assert!(whole == fs::read(out("first.mp4")).unwrap(), "a store changes no byte");
    assert!(whole == fs::read(out("again.mp4")).unwrap(), "nor does finding everything in it");
    assert!(whole != fs::read(out("other.mp4")).unwrap());

    let plan =
        succeed(vignette().arg("plan").arg(&package).args(["--set", "name=Maria", "--json"]).args(store));
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let segments = plan["segments"].as_array().unwrap();
    assert_eq!(segments.len() as u64, new);
    assert!(segments.iter().all(|segment| segment["stored"] == true), "{plan}");
    assert_eq!(plan["audio"]["stored"], true);
    let frames: u64 = segments.iter().map(|segment| segment["frames"].as_u64().unwrap()).sum();
    assert_eq!((frames, plan["frames"].as_u64().unwrap()), (120, 120));
    let table = succeed(vignette().arg("plan").arg(&package).args(["--set", "name=Lea"]).args(store));
    assert!(table.contains("viewer") && table.contains("everyone") && table.contains("60 of 120"), "{table}");

    // All sizes of a presentation count; the one that was rendered is there.
    let hls = ["--set", "name=Maria", "--format", "hls", "--ladder", "180,90"];
    let plan = succeed(vignette().arg("plan").arg(&package).args(hls).arg("--json").args(store));
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let sizes = plan["sizes"].as_array().unwrap();
    let heights: Vec<u64> = sizes.iter().map(|size| size["profile"]["height"].as_u64().unwrap()).collect();
    assert_eq!(heights, [180, 90]);
    for (size, stored) in sizes.iter().zip([true, false]) {
        let segments = size["segments"].as_array().unwrap();
        assert_eq!(segments.len() as u64, new, "{size}");
        assert!(segments.iter().all(|segment| segment["stored"] == stored), "{size}");
    }
    let table = succeed(vignette().arg("plan").arg(&package).args(hls).args(store));
    assert!(table.contains("320 x 180") && table.contains("160 x 90"), "{table}");
    assert!(table.contains("120 of 240 frames to encode, in 2 sizes"), "{table}");

    let stats = succeed(vignette().args(["store", "stats", "--json"]).args(store));
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert!(stats["entries"].as_u64().unwrap() > new, "{stats}");
    succeed(vignette().args(["store", "verify"]).args(store));
    succeed(vignette().args(["store", "prune"]).args(store));
    let (pruned, _) = render(&package, &store, "Maria", &out("pruned.mp4"));
    assert_eq!(counts(&pruned), (new, 0));
}

#[test]
fn damaged_entries_are_found_and_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let package = template(folder.path());
    let store = folder.path().join("store");
    let options = ["--store", store.to_str().unwrap()];
    let out = folder.path().join("out.mp4");
    let (first, _) = render(&package, &options, "Maria", &out);
    let whole = fs::read(&out).unwrap();
    let mut seed = 7u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for round in 0..12 {
        let entries = files(&store);
        for path in &entries {
            let mut bytes = fs::read(path).unwrap();
            match round % 3 {
                0 => {
                    let at = random(bytes.len());
                    bytes[at] ^= 1 << random(8);
                }
                1 => bytes.truncate(random(bytes.len())),
                _ => bytes.push(random(256) as u8),
            }
            fs::write(path, bytes).unwrap();
        }
        let (done, text) = render(&package, &options, "Maria", &out);
        assert!(fs::read(&out).unwrap() == whole, "round {round}: other bytes");
        assert!(text.contains("\"warning\""), "round {round}: nothing was said\n{text}");
        assert_eq!(counts(&done), counts(&first), "round {round}: all were made again");
        succeed(vignette().args(["store", "verify"]).args(options));
    }
    let entry = files(&store).into_iter().rfind(|path| path.file_name().unwrap().len() == 64).unwrap();
    fs::write(&entry, b"not what was put here").unwrap();
    let verify = run(vignette().args(["store", "verify"]).args(options));
    assert_eq!(verify.status.code(), Some(1), "{}", String::from_utf8_lossy(&verify.stdout));
    succeed(vignette().args(["store", "verify"]).args(options));
}

#[test]
fn a_store_that_cannot_be_used_costs_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let package = template(folder.path());
    let file = folder.path().join("file");
    fs::write(&file, b"in the way").unwrap();
    let unreachable = "s3://nowhere/at-all";
    for place in [file.to_str().unwrap(), "/proc/no-folder-here", unreachable] {
        let out = folder.path().join("out.mp4");
        let output = run(vignette()
            .arg("render")
            .arg(&package)
            .args(["--store", place, "-o"])
            .arg(&out)
            .env("XDG_CACHE_HOME", folder.path())
            .env("AWS_ENDPOINT", "http://127.0.0.1:9")
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_ACCESS_KEY_ID", "x")
            .env("AWS_SECRET_ACCESS_KEY", "x"));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{place}: {text}");
        assert!(text.contains("warning"), "{place}: {text}");
        assert!(fs::metadata(&out).unwrap().len() > 0);
    }
    assert_eq!(fs::read(&file).unwrap(), b"in the way");
}

/// No process may write a file larger than this many KiB: a disk that is full, for whoever writes to it.
#[test]
fn a_full_disk_costs_a_warning_and_nothing_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let package = template(folder.path());
    let store = folder.path().join("store");
    let out = folder.path().join("out.mp4");
    let program = env!("CARGO_BIN_EXE_vignette");
    // The signal that comes with the limit is ignored, so that writing fails as on a full disk.
    let script = format!(
        "trap '' XFSZ; ulimit -f 8; exec '{program}' render '{}' --store '{}' --progress json -o '{}'",
        package.display(),
        store.display(),
        out.display()
    );
    let output = run(Command::new("bash").args(["-c", &script]));
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "the video itself does not fit either: {text}");
    assert!(text.contains("cannot write"), "{text}");
    assert!(!out.exists());
    let left: Vec<PathBuf> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    succeed(vignette().args(["store", "verify", "--store"]).arg(&store));
    let (done, _) = render(&package, &["--store", store.to_str().unwrap()], "Maria", &out);
    assert!(counts(&done).0 + counts(&done).1 >= 3);
}

#[test]
fn two_processes_make_each_segment_once() {
    let folder = tempfile::tempdir().unwrap();
    let package = template(folder.path());
    let store = folder.path().join("store");
    let start = |out: &Path| {
        vignette()
            .arg("render")
            .arg(&package)
            .args(["--progress", "json", "--store"])
            .arg(&store)
            .arg("-o")
            .arg(out)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let outs = [folder.path().join("a.mp4"), folder.path().join("b.mp4")];
    let children: Vec<_> = outs.iter().map(|out| start(out)).collect();
    let mut new = 0;
    let mut all = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}");
        let done = text.lines().rev().find(|line| line.contains("segments_new")).unwrap();
        let (made, found) = counts(&serde_json::from_str(done).unwrap());
        new += made;
        all = made + found;
    }
    assert_eq!(new, all, "each once, by one or the other");
    assert!(fs::read(&outs[0]).unwrap() == fs::read(&outs[1]).unwrap());
}
