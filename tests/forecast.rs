//! `vignette forecast` against what a batch then comes to.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use common::{package, run, succeed, vignette};
use serde_json::Value;
use vignette::Engine;
use vignette::audience::Audience;
use vignette::renderer::encode::VideoProfile;

/// A second that all share, a greeting, and a scene for some.
const TEMPLATE: &str = r##"
vignette: 1
name: small
canvas: { width: 96, height: 64, fps: 20, background: "#101828" }
data:
  required: [first_name]
  properties:
    first_name: { type: string, maxLength: 30 }
    plan: { type: string, enum: [basic, pro], default: basic }
generate:
  hello: { voice: { say: "Hello {{first_name}}." } }
  picture: { image: { prompt: waves, style: gradient, width: 32, height: 32, seed: "{{plan}}" } }
scenes:
  - { name: all, duration: 1s, layers: [{ rect: { fill: "#ff8800" } }] }
  - name: one
    duration: 12f
    layers:
      - { image: picture, box: { x: 0, y: 0, width: 20px, height: 20px } }
      - text: "Hi {{first_name}}"
        style: { size: 16px, color: white, fit: shrink, min_size: 25% }
        box: { x: 5%, y: 30%, width: 90%, height: 40% }
  - { name: some, when: "{{eq plan 'pro'}}", duration: 8f, layers: [{ text: Pro, style: { size: 16px } }] }
audio: [{ voice: hello, at: one }]
"##;

const PEOPLE: &str = "first_name,plan\nMaria,\nLi,pro\nMaria,basic\nMaria,pro\n,basic\nAna,gold\nBo,gold\n\u{10FFFD},\nMaximiliana Augusta Theodora,\n";

fn status(command: &mut Command) -> (i32, String, String) {
    let output = run(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn forecast(package: &Path, more: &[&str]) -> Value {
    let mut command = vignette();
    command.arg("forecast").arg(package).arg("--audience").arg(package.join("people.csv")).arg("--json");
    serde_json::from_str(&succeed(command.args(more))).unwrap()
}

/// What a batch makes of it: how many are done, how many fail, frames of all files, bytes of all files.
fn batch(package: &Path) -> (u64, u64, u64, u64) {
    let out = tempfile::tempdir().unwrap();
    let mut command = vignette();
    command.arg("batch").arg(package).arg("--audience").arg(package.join("people.csv"));
    let (code, _, error) = status(command.arg("-o").arg(out.path()));
    assert!(matches!(code, 0 | 1), "{error}");
    let mut reader = csv::Reader::from_path(out.path().join("results.csv")).unwrap();
    let (mut done, mut failed, mut frames, mut bytes) = (0, 0, 0, 0);
    for row in reader.deserialize::<BTreeMap<String, String>>() {
        let row = row.unwrap();
        match row["status"].as_str() {
            "done" => {
                done += 1;
                let file = out.path().join(&row["file"]);
                frames += common::probe(&file).frames;
                bytes += fs::metadata(&file).unwrap().len();
            }
            _ => failed += 1,
        }
    }
    (done, failed, frames, bytes)
}

/// The distinct segments and their frames, of videos that were really made ready.
fn distinct(package: &Path) -> (u64, u64) {
    let engine = Engine::new().unwrap();
    let template = engine.open(package, &[]).unwrap().value;
    let audience = Audience::open(&package.join("people.csv")).unwrap();
    let mut keys = BTreeSet::new();
    let mut frames = 0;
    for row in audience.rows().unwrap() {
        let Ok(value) = row.unwrap().value(template.data_schema()) else { continue };
        let Ok(data) = template.data("row", value) else { continue };
        let video = engine.personalise(&template, &data, None).unwrap().value;
        let prepared = engine.prepare(&template, &video).unwrap();
        for segment in prepared.plan(VideoProfile::DEFAULT_QUALITY).segments {
            if keys.insert(segment.key) {
                frames += u64::from(segment.range.len());
            }
        }
    }
    (keys.len() as u64, frames)
}

#[test]
fn a_forecast_says_what_a_batch_then_makes() {
    let folder = package(TEMPLATE, &[("people.csv", PEOPLE.as_bytes())]);
    let found = forecast(folder.path(), &[]);
    let (done, failed, frames, bytes) = batch(folder.path());
    assert_eq!((done, failed), (6, 3));
    assert_eq!((&found["viewers"], &found["failed"], &found["rows"]), (&6.into(), &3.into(), &9.into()));
    assert_eq!(found["frames_watched"], frames);
    assert_eq!(found["seconds_watched"].as_f64().unwrap(), frames as f64 / 20.0);
    assert_eq!(found["voices"], "not needed", "it is only heard");
    let (segments, to_encode) = distinct(folder.path());
    assert_eq!(found["frames_to_encode"], to_encode);
    assert_eq!(
        found["shared"]["distinct"].as_u64().unwrap() + found["single"]["distinct"].as_u64().unwrap(),
        segments
    );
    assert_eq!(found["distinct_segments"], segments);
    assert!((found["reuse"].as_f64().unwrap() - frames as f64 / to_encode as f64).abs() < 1e-9);
    let cost = &found["cost"];
    for figure in [
        "cpu_seconds",
        "bytes_kept",
        "bytes_as_files",
        "bytes_per_shared_frame",
        "bytes_per_single_frame",
        "bytes_per_second_of_sound",
    ] {
        let [low, mean, high] = ["low", "mean", "high"].map(|name| cost[figure][name].as_f64().unwrap());
        assert!(0.0 < low && low <= mean && mean <= high, "{figure}: {}", cost[figure]);
    }
    // Every file has an index besides, which in files this small weighs as much as the rest.
    let expected = cost["bytes_as_files"]["mean"].as_f64().unwrap();
    assert!((bytes as f64 * 0.3..bytes as f64 * 1.5).contains(&expected), "{expected} for {bytes}");
    // The same whatever the number of workers.
    let mut alone = forecast(folder.path(), &["--workers", "1", "--samples", "0"]);
    let mut many = forecast(folder.path(), &["--workers", "3", "--samples", "0"]);
    for forecast in [&mut alone, &mut many] {
        forecast["took_seconds"] = Value::Null;
    }
    assert_eq!(alone, many);
    assert_eq!(alone["cost"], Value::Null);
    assert_eq!(alone["distinct_segments"], segments);
}

#[test]
fn what_fails_is_grouped_and_what_fits_badly_is_named() {
    let folder = package(TEMPLATE, &[("people.csv", PEOPLE.as_bytes())]);
    let found = forecast(folder.path(), &["--samples", "0"]);
    let faults: Vec<(String, u64, Value)> = found["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            (
                group["pattern"].as_str().unwrap().to_owned(),
                group["rows"].as_u64().unwrap(),
                group["first"].clone(),
            )
        })
        .collect();
    assert_eq!(
        faults,
        [
            ("plan: expected one of [\"basic\",\"pro\"]".to_owned(), 2, serde_json::json!([6, 7])),
            ("the field `first_name` is missing".to_owned(), 1, serde_json::json!([5])),
        ]
    );
    let worst = found["worst"].as_array().unwrap();
    assert_eq!((&worst[0]["row"], &worst[0]["missing"][0]), (&8.into(), &"U+10FFFD".into()));
    assert_eq!((&worst[1]["row"], &worst[1]["path"]), (&9.into(), &"scenes[1].layers[1]".into()));
    assert!(worst[1]["size_share"].as_f64().unwrap() < 0.7, "{}", worst[1]);
    assert_eq!(worst.len(), 6);
    let mut command = vignette();
    command.arg("forecast").arg(folder.path()).arg("--audience").arg(folder.path().join("people.csv"));
    let (code, text, error) = status(command.args(["--samples", "1"]));
    assert_eq!((code, error.as_str()), (0, ""), "rows that fail are part of the answer");
    for said in ["viewers", "6, and 3 rows that fail", "CPU time", "estimated from", "row 6, 7", "U+10FFFD"] {
        assert!(text.contains(said), "{said} is missing in\n{text}");
    }
    assert!(!text.contains("Augusta") && !text.contains("gold"), "no viewer's data: {text}");
}

#[test]
fn scenes_as_long_as_a_voice_are_spoken_or_estimated() {
    let fitted = TEMPLATE.replace("duration: 12f", "duration: { fit: hello, min: 500ms }");
    assert_ne!(fitted, TEMPLATE);
    let people = "first_name\nMaria\nMaximiliana Augusta\n";
    let folder = package(&fitted, &[("people.csv", people.as_bytes())]);
    let spoken = forecast(folder.path(), &["--samples", "0"]);
    let (done, _, frames, _) = batch(folder.path());
    assert_eq!((&spoken["voices"], done), (&"spoken".into(), 2));
    assert_eq!(spoken["frames_watched"], frames);
    assert_eq!(spoken["distinct_segments"], distinct(folder.path()).0);
    let estimated = forecast(folder.path(), &["--samples", "0", "--estimate-voices"]);
    assert_eq!(estimated["voices"], "estimated");
    let share = estimated["frames_watched"].as_f64().unwrap() / frames as f64;
    assert!((0.6..1.6).contains(&share), "{share}");
    let mut command = vignette();
    command.arg("forecast").arg(folder.path()).arg("--audience").arg(folder.path().join("people.csv"));
    let text = succeed(command.args(["--samples", "0", "--estimate-voices"]));
    assert!(text.contains("about") && text.contains("estimates"), "{text}");
}

#[test]
fn only_so_many_rows_are_looked_at() {
    let folder = package(TEMPLATE, &[("people.csv", PEOPLE.as_bytes())]);
    let found = forecast(folder.path(), &["--samples", "0", "--limit", "2"]);
    assert_eq!((&found["rows"], &found["viewers"]), (&2.into(), &2.into()));
    let mut command = vignette();
    command.arg("forecast").arg(folder.path()).arg("--audience").arg(folder.path().join("people.csv"));
    let (code, _, error) = status(command.args(["--rendition", "wide"]));
    assert_eq!(code, 1);
    assert!(error.contains("`wide`"), "{error}");
}
