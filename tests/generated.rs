//! Generated values on their way into a video: whatever a provider does, the video is made, and says what stands in.

mod common;
#[path = "../generators/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{gallery, run, succeed, vignette};
use serde_json::Value;
use support::{Reply, Server, json, lines, status};

const TEMPLATE: &str = "vignette: 1
name: greeting
canvas: { width: 64, height: 48, fps: 25 }
data:
  required: [first_name]
  properties: { first_name: { type: string, x-pii: true } }
generate:
  hook:
    text:
      prompt: \"One warm sentence for {{first_name}}\"
      facts: [\"{{first_name}}\"]
      max_chars: 60
      fallback: \"Good to see you\"
      send_personal: true
scenes: [{ name: s, duration: 200ms, layers: [{ text: \"{{hook}}\", style: { size: 8px } }] }]
";

/// A template and settings that ask `server`.
fn set_up(folder: &Path, server: &Server, more: &str) -> (String, String) {
    let (template, settings) = (folder.join("greeting.yaml"), folder.join("generators.toml"));
    std::fs::write(&template, TEMPLATE).unwrap();
    let text = format!(
        "[text]\nuse = [\"house\"]\n[providers.house]\nkind = \"openai-chat\"\nurl = \"{}\"\nmodel = \"m\"\n{more}\n",
        server.url()
    );
    std::fs::write(&settings, text).unwrap();
    (template.display().to_string(), settings.display().to_string())
}

#[test]
fn a_video_is_made_whatever_the_provider_does() {
    type Case = (&'static str, Box<dyn Fn() -> Reply + Send + Sync>, &'static str);
    let cases: Vec<Case> = vec![
        ("slow", Box::new(|| Reply::Silence), "no answer within"),
        ("busy", Box::new(|| status(429, &[("retry-after", "60")])), "status 429"),
        ("broken", Box::new(|| status(500, &[])), "status 500"),
        ("hung up", Box::new(|| Reply::Hangup), "house: "),
        ("wrong type", Box::new(|| Reply::Whole(200, vec![], b"hello".to_vec())), "of type"),
        ("40 MB", Box::new(|| Reply::Endless("application/json", 40 << 20)), "longer than"),
        ("wrong JSON", Box::new(|| json(Value::Null)), "not the JSON"),
        ("refuses", Box::new(|| lines(&["I cannot write this for Maria."])), "refuses"),
        ("somebody else", Box::new(|| lines(&["Hello Jonas, Maria is here!"])), "name that was not given"),
        ("profanity", Box::new(|| lines(&["Fuck yeah, Maria!"])), "word filter"),
        ("overrides", Box::new(|| lines(&["Hello \u{202e}Maria!"])), "direction of writing"),
    ];
    for (name, reply, reason) in cases {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(move |_| reply());
        let (template, settings) = set_up(
            folder.path(),
            &server,
            match name {
                "slow" => "deadline = \"2s\"\nretries = 0",
                _ => "deadline = \"14s\"\nretries = 0",
            },
        );
        let out = folder.path().join("maria.mp4");
        let started = Instant::now();
        let output = run(vignette()
            .args(["render", &template, "--set", "first_name=Maria", "--generators", &settings, "-o"])
            .arg(&out));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {told}");
        assert!(out.metadata().unwrap().len() > 0, "{name}");
        assert!(
            told.contains("generate.hook: its fallback is used") && told.contains(reason),
            "{name}: {told}"
        );
        assert!(!told.contains("Maria"), "{name}: {told}");
        assert!(started.elapsed() < Duration::from_secs(60), "{name}: {:?}", started.elapsed());
    }
}

#[test]
fn what_would_be_sent_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_| lines(&["Welcome, Maria!"]));
    let (template, settings) = set_up(folder.path(), &server, "");
    let arguments = ["fill", &template, "--set", "first_name=Maria", "--generators", &settings];
    let text = succeed(vignette().args(arguments).arg("--explain"));
    let explained: Value = serde_json::from_str(&text).unwrap();
    let told = &explained[0]["providers"][0];
    assert_eq!((&explained[0]["name"], &explained[0]["kind"]), (&"hook".into(), &"text".into()));
    assert_eq!((&told["provider"], &told["remote"]), (&"house".into(), &true.into()));
    assert_eq!(told["words"], "One warm sentence for ⟦\"Maria\"⟧");
    assert_eq!(told["personal"][0], "/first_name");
    assert!(told["withheld"].is_null(), "{told}");
    assert!(server.asked().is_empty(), "nothing is asked");
    let filled: Value = serde_json::from_str(&succeed(vignette().args(arguments))).unwrap();
    assert_eq!(filled["generated"]["hook"]["provider"], "house");
}

#[test]
fn only_approved_copy_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.json");
    let progress = gallery("progress").display().to_string();
    let data =
        std::fs::read_dir(gallery("progress").join("viewers")).unwrap().next().unwrap().unwrap().path();
    let data = data.display().to_string();
    let list = ["copy", "list", &progress, "--data", &data, "-o"];
    succeed(vignette().args(list).arg(&file));
    let mut listed: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert!(listed["copy"][0]["lines"].as_array().unwrap().len() > 1, "{listed}");
    listed["copy"][0]["lines"][0]["approved"] = true.into();
    listed["copy"][0]["lines"][0]["edited"] = "Seen by a person".into();
    std::fs::write(&file, listed.to_string()).unwrap();
    // Listing again keeps what was decided.
    succeed(vignette().args(list).arg(&file));
    let again: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(again, listed);
    let filled = succeed(vignette().args(["fill", &progress, "--data", &data, "--approved"]).arg(&file));
    assert!(filled.contains("Seen by a person"), "{filled}");
}

#[test]
fn settings_at_fault_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("generators.toml");
    std::fs::write(&settings, "[voice]\nuse = [\"flit\"]\n").unwrap();
    let output = run(vignette()
        .args(["fill"])
        .arg(gallery("offer"))
        .args(["--set", "first_name=Ella", "--generators"])
        .arg(&settings));
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("voice.use: there is no provider `flit`; did you mean `flite`?"), "{told}");
}

/// Without any voice the gallery is still made: silent where somebody would speak, and a warning says what to install.
#[test]
fn the_gallery_renders_where_nobody_can_speak() {
    let folder = tempfile::tempdir().unwrap();
    for settings in ["[voice]\nuse = []\n", "[voice]\nuse = []\n[image]\nuse = []\n[text]\nuse = []\n"] {
        let file = folder.path().join("off.toml");
        std::fs::write(&file, settings).unwrap();
        for (template, viewer) in [("welcome", "maria"), ("offer", "ella"), ("progress", "leo")] {
            let out = folder.path().join("still.png");
            let data = gallery(template).join(format!("viewers/{viewer}.json"));
            let mut command = vignette();
            command
                .arg("still")
                .arg(gallery(template))
                .arg("--data")
                .arg(data)
                .arg("--generators")
                .arg(&file);
            let output = run(command.args(["--at", "1s", "-o"]).arg(&out));
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{template} with {settings:?}: {told}");
            if template != "offer" {
                assert!(told.contains("is silent") && told.contains("switch"), "{template}: {told}");
            }
            std::fs::remove_file(&out).unwrap();
        }
        // The whole way, sound and all, where the narration times the scenes.
        let template = folder.path().join("spoken.yaml");
        std::fs::write(
            &template,
            "vignette: 1\nname: spoken\ncanvas: { width: 64, height: 48, fps: 25 }\n\
             generate: { hello: { voice: { say: \"Hello, and welcome to the tour.\" } } }\n\
             scenes: [{ duration: { fit: hello }, layers: [{ rect: { fill: red } }] }]\n\
             audio: [{ voice: hello }]\n",
        )
        .unwrap();
        let out = folder.path().join("spoken.mp4");
        let output =
            run(vignette().arg("render").arg(&template).arg("--generators").arg(&file).arg("-o").arg(&out));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        assert!(told.contains("generate.hello: it is silent"), "{told}");
        let probed = common::probe(&out);
        assert!((1.5..4.0).contains(&probed.video_seconds), "{} s", probed.video_seconds);
        std::fs::remove_file(&out).unwrap();
    }
}
