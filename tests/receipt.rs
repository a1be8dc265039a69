//! Receipts: a video is made again to the byte, one change is named as that change, and nothing personal stands in them.

mod common;
#[path = "../generators/tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{run, succeed, vignette};
use serde_json::{Value, json};
use support::{Server, lines};
use tempfile::TempDir;

/// Words, speech and a picture that are generated, a picture and a font that are not, a tone.
const TEMPLATE: &str = r##"
vignette: 1
name: audited
canvas: { width: 96, height: 64, fps: 20, background: "#101828" }
data:
  required: [first_name]
  properties:
    first_name: { type: string, x-pii: true }
    badge: { type: string, default: badge.png }
assets:
  disc: { image: disc.png }
  badge: { image: "{{badge}}" }
  tone: { audio: tone.wav }
  face: { font: face.ttf }
generate:
  hook:
    text: { grammar: { start: ["Welcome, {{first_name}}", "Good to see you, {{first_name}}"] }, max_chars: 60 }
  spoken: { voice: { say: "Hello {{first_name}}" } }
  backdrop: { image: { prompt: calm waves, width: 96, height: 64 } }
scenes:
  - name: one
    duration: 500ms
    layers:
      - { image: backdrop }
      - { image: disc, box: { x: 0, y: 0, width: 16px, height: 16px } }
  - name: two
    duration: 500ms
    layers:
      - { image: badge, box: { x: 0, y: 0, width: 16px, height: 16px } }
      - text: "{{hook}}"
        style: { font: face, size: 10px, color: white, fit: shrink }
        box: { x: 5%, y: 30%, width: 90%, height: 40% }
audio: [{ voice: spoken }, { asset: tone, gain: -20dB, loop: true }]
"##;

/// A name that nothing but the data may hold.
const NAME: &str = "Xanthippe";

struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new(template: &str) -> Bench {
        let bench = Bench { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(bench.path("package")).unwrap();
        bench.package("template.yaml", template.as_bytes());
        let media = |name: &str| fs::read(common::root().join("fixtures/media").join(name)).unwrap();
        bench.package("disc.png", &media("disc.png"));
        bench.package("badge.png", &media("disc.png"));
        bench.package("tone.wav", &media("tone.wav"));
        bench.package("face.ttf", &font("NotoSans-Regular.ttf"));
        bench.write("viewer.json", json!({ "first_name": NAME }).to_string().as_bytes());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn package(&self, name: &str, bytes: &[u8]) {
        self.write(&format!("package/{name}"), bytes);
    }

    fn command(&self, name: &str) -> Command {
        let mut command = vignette();
        command.arg(name).env("VIGNETTE_RECEIPT_KEY", self.path("receipt.key"));
        command.env("VIGNETTE_STORE", self.path("store"));
        command
    }

    /// Renders the package for the viewer; gives the receipt's text.
    fn render(&self, out: &str, receipt: &str, more: &[&str]) -> String {
        let mut command = self.command("render");
        command.arg(self.path("package")).arg("--data").arg(self.path("viewer.json"));
        command.arg("-o").arg(self.path(out)).arg("--receipt").arg(self.path(receipt)).args(more);
        succeed(&mut command);
        fs::read_to_string(self.path(receipt)).unwrap()
    }

    fn verifier(&self, receipt: &str) -> Command {
        let mut command = self.command("verify");
        command.arg(self.path(receipt)).arg("--template").arg(self.path("package"));
        command.arg("--data").arg(self.path("viewer.json")).arg("--json");
        command
    }

    fn verify(&self, receipt: &str, more: &[&str]) -> (i32, Value) {
        let output = run(self.verifier(receipt).args(more));
        let told = String::from_utf8_lossy(&output.stderr);
        let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
        (output.status.code().unwrap_or(-1), said)
    }
}

fn font(name: &str) -> Vec<u8> {
    fs::read(Path::new("/usr/share/fonts/truetype/noto").join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}: install the package fonts-noto-core"))
}

/// What differs, as `part` or `part name`, without what only follows.
fn causes(said: &Value) -> Vec<String> {
    let differences = said["differences"].as_array().unwrap().iter();
    differences
        .filter(|difference| difference["follows"] == false)
        .map(|difference| {
            let part = difference["part"].as_str().unwrap();
            difference["name"].as_str().map_or(part.to_owned(), |name| format!("{part} {name}"))
        })
        .collect()
}

fn follows(said: &Value, part: &str) -> usize {
    let differences = said["differences"].as_array().unwrap().iter();
    differences.filter(|d| d["follows"] == true && d["part"] == part).count()
}

#[test]
fn what_is_made_again_is_equal() {
    let bench = Bench::new(TEMPLATE);
    let captions = bench.path("captions.vtt").display().to_string();
    let text = bench.render("video.mp4", "receipt.json", &["--captions", &captions]);
    let receipt: Value = serde_json::from_str(&text).unwrap();
    // What of it is synthetic, and by whom.
    let made: Vec<(&str, &str, bool)> = receipt["generated"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| {
            let text = |field: &str| value[field].as_str().unwrap();
            (text("name"), text("kind"), value["synthetic"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(made, [("backdrop", "image", true), ("hook", "text", false), ("spoken", "voice", true)]);
    let names: Vec<&str> =
        receipt["assets"].as_array().unwrap().iter().map(|asset| asset["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 3, "disc and badge have the same bytes: {names:?}");
    assert_eq!(receipt["files"].as_array().unwrap().len(), 2);
    assert!(!receipt["models"].as_array().unwrap().is_empty(), "{text}");
    assert_eq!(receipt["files"][0]["bytes"], fs::metadata(bench.path("video.mp4")).unwrap().len());
    // Nothing of whom it was made for or where.
    let folder = bench.folder.path().display().to_string();
    for personal in [NAME, "Welcome", "Good to see", "viewer.json", &folder, "video.mp4"] {
        assert!(!text.to_lowercase().contains(&personal.to_lowercase()), "{personal} in {text}");
    }
    let file = bench.path("video.mp4").display().to_string();
    for more in [vec![], vec!["--file", &file], vec!["--quick"]] {
        let (status, said) = bench.verify("receipt.json", &more);
        assert_eq!((status, causes(&said)), (0, vec![]), "{more:?}: {said}");
    }
    // The same bytes on one worker, without a store, and in the same receipt.
    let again = bench.render("again.mp4", "again.json", &["--no-store", "--workers", "1"]);
    let files = |text: &str| serde_json::from_str::<Value>(text).unwrap()["files"][0].clone();
    assert_eq!(files(&again), files(&text));
    // A key of one's own, which nobody else can read.
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(bench.path("receipt.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn one_change_is_named_as_that_change() {
    let bench = Bench::new(TEMPLATE);
    // The two pictures are to be told apart.
    bench.package("badge.png", &fs::read(common::root().join("fixtures/media/quadrants.png")).unwrap());
    bench.render("video.mp4", "receipt.json", &[]);
    let (off, blocked) = (bench.path("off.toml"), bench.path("blocked.toml"));
    fs::write(&off, "[image]\nuse = []\n[voice]\nuse = [\"flite\"]\n").unwrap();
    fs::write(&blocked, "[guard]\nblock = [\"Acme\"]\n").unwrap();
    let (off, blocked) = (off.display().to_string(), blocked.display().to_string());
    let original = |name: &str| fs::read(bench.path(name)).unwrap();
    let plain = |grey: u8| {
        let mut png = std::io::Cursor::new(Vec::new());
        let picture = image::RgbImage::from_pixel(16, 16, image::Rgb([grey; 3]));
        picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
        png.into_inner()
    };
    let changed_word = TEMPLATE.replace("name: two", "name: second");
    let changed_size = TEMPLATE.replace("size: 10px", "size: 11px");
    let guarded = ["--quick", "--generators", blocked.as_str()];
    type Case<'a> = (&'a str, &'a str, Vec<u8>, &'a [&'a str], &'a [&'a str]);
    let name = json!({ "first_name": "Ada" }).to_string().into_bytes();
    let other_badge = json!({ "first_name": NAME, "badge": "disc.png" }).to_string().into_bytes();
    let cases: Vec<Case> = vec![
        ("name", "viewer.json", name, &[], &["data"]),
        ("a file that the data name", "viewer.json", other_badge, &["--quick"], &["data"]),
        ("asset", "package/disc.png", plain(90), &[], &["asset assets.disc"]),
        (
            "the bytes of what the data name",
            "package/badge.png",
            plain(200),
            &["--quick"],
            &["asset assets.badge"],
        ),
        ("font", "package/face.ttf", font("NotoSans-Bold.ttf"), &["--quick"], &["font assets.face"]),
        ("template's word", "package/template.yaml", changed_word.into_bytes(), &["--quick"], &["template"]),
        ("template's size", "package/template.yaml", changed_size.into_bytes(), &["--quick"], &["template"]),
        ("guard", "viewer.json", original("viewer.json"), &guarded, &["generators guard"]),
    ];
    for (what, file, bytes, more, expected) in cases {
        let before = original(file);
        fs::write(bench.path(file), bytes).unwrap();
        let (status, said) = bench.verify("receipt.json", more);
        fs::write(bench.path(file), before).unwrap();
        assert_eq!(
            (status, causes(&said)),
            (1, expected.iter().map(|s| (*s).to_owned()).collect()),
            "{what}: {said}"
        );
        if !more.contains(&"--quick") {
            assert!(follows(&said, "segment") > 0 && follows(&said, "file") == 1, "{what}: {said}");
        }
        assert!(!said.to_string().contains(NAME), "{what}: {said}");
    }
    // Without pictures the video cannot be filled: that is told as it always is.
    let output = run(bench.verifier("receipt.json").args(["--quick", "--generators", &off]));
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    // Another quality is another receipt.
    bench.render("rough.mp4", "rough.json", &["--quality", "40"]);
    let other = bench.path("rough.json").display().to_string();
    let output =
        run(bench.command("verify").arg(bench.path("receipt.json")).args(["--json", "--against", &other]));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), causes(&said)), (Some(1), vec!["output quality".to_owned()]), "{said}");
    // A file that was cut into something else.
    let mut file = original("video.mp4");
    let last = file.len() - 1;
    file[last] ^= 1;
    bench.write("cut.mp4", &file);
    let cut = bench.path("cut.mp4").display().to_string();
    let (status, said) = bench.verify("receipt.json", &["--quick", "--file", &cut]);
    assert_eq!((status, causes(&said)), (1, vec!["file video".to_owned()]), "{said}");
    assert!(said.to_string().contains("not the one that was written"), "{said}");
}

/// Other formats: what has no segments, and what has many files.
#[test]
fn every_kind_of_output_has_its_receipt() {
    let bench = Bench::new(TEMPLATE);
    for (out, more, files) in [
        ("poster.png", &["--at", "600ms"][..], 1),
        ("video.webm", &[], 1),
        ("hls/master.m3u8", &["--ladder", "64,32"], 8),
    ] {
        let text = bench.render(out, "receipt.json", more);
        let receipt: Value = serde_json::from_str(&text).unwrap();
        assert!(receipt["files"].as_array().unwrap().len() >= files, "{out}: {text}");
        let file = bench.path(out).display().to_string();
        let (status, said) = bench.verify("receipt.json", &["--file", &file]);
        assert_eq!((status, causes(&said)), (0, vec![]), "{out}: {said}");
    }
}

#[test]
fn damage_is_told() {
    let bench = Bench::new(common::SMALL);
    let text = bench.render("video.mp4", "receipt.json", &[]);
    let (quality, seal) =
        (text.replace("\"quality\": 23", "\"quality\": 24"), text.find("\"seal\"").unwrap());
    let mut forged = text.clone();
    forged.replace_range(seal + 9..seal + 10, if &text[seal + 9..=seal + 9] == "0" { "1" } else { "0" });
    for (what, damaged, expected) in [
        ("half of it", text[..text.len() / 2].to_owned(), "no whole receipt"),
        ("nothing", String::new(), "no whole receipt"),
        ("another form", "{\"vignette_receipt\": 9}".to_owned(), "version 9"),
        ("another file", "{}".to_owned(), "no whole receipt"),
        ("one word", quality, "changed after it was written"),
        ("the seal", forged, "changed after it was written"),
        ("one more field", text.replacen('{', "{\"extra\": 1,", 1), "no whole receipt"),
    ] {
        assert_ne!(damaged, text, "{what}");
        bench.write("damaged.json", damaged.as_bytes());
        let output = run(&mut bench.verifier("damaged.json"));
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{what}: {told}");
        assert!(told.contains(expected), "{what}: {told}");
    }
    // Another key.
    let output = run(bench.verifier("receipt.json").env("VIGNETTE_RECEIPT_KEY", bench.path("none.key")));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read the receipt key"));
    assert!(!bench.path("none.key").exists(), "who verifies makes no key");
    fs::rename(bench.path("receipt.key"), bench.path("old.key")).unwrap();
    bench.render("video.mp4", "other.json", &[]);
    let output = run(&mut bench.verifier("receipt.json"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && told.contains("made under the key"), "{told}");
}

/// What a service wrote is taken from the store; where it is gone it is asked anew, and that is told.
#[test]
fn what_a_service_made_is_found_again() {
    let template = TEMPLATE.replace(
        "text: { grammar: { start: [\"Welcome, {{first_name}}\", \"Good to see you, {{first_name}}\"] }, max_chars: 60 }",
        "text: { prompt: \"Greet {{first_name}}\", facts: [\"{{first_name}}\"], max_chars: 60, fallback: Hi, send_personal: true }",
    );
    let bench = Bench::new(&template);
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 | 1 => lines(&[&format!("Welcome back, {NAME}!")]),
        _ => lines(&[&format!("So good to see you, {NAME}!")]),
    });
    let settings = format!(
        "[text]\nuse = [\"house\"]\n[providers.house]\nkind = \"openai-chat\"\nurl = \"{}\"\nmodel = \"m\"\n",
        server.url()
    );
    bench.write("generators.toml", settings.as_bytes());
    let settings = bench.path("generators.toml").display().to_string();
    let more = ["--generators", settings.as_str()];
    let text = bench.render("video.mp4", "receipt.json", &more);
    let receipt: Value = serde_json::from_str(&text).unwrap();
    let hook = &receipt["generated"].as_array().unwrap()[1];
    assert_eq!(
        (&hook["provider"], &hook["version"], &hook["cost"]["requests"]),
        (&json!("house"), &json!("fake-2026-01"), &json!(1))
    );
    assert!(hook["made_at"].is_number() && !text.contains(NAME), "{text}");
    let (status, said) = bench.verify("receipt.json", &more);
    assert_eq!((status, causes(&said), server.asked().len()), (0, vec![], 1), "{said}");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    // Asked anew, the same words are the same video; other words are named.
    let quick = [&more[..], &["--quick", "--no-store"]].concat();
    let (status, said) = bench.verify("receipt.json", &quick);
    assert_eq!((status, causes(&said), server.asked().len()), (0, vec![], 2), "{said}");
    assert!(said["notes"][0].as_str().unwrap().contains("hook: the store does not have it"), "{said}");
    let (status, said) = bench.verify("receipt.json", &quick);
    assert_eq!((status, causes(&said)), (1, vec!["generated hook".to_owned()]), "{said}");
    assert!(!said.to_string().contains(NAME), "{said}");
}

#[test]
fn a_batch_writes_one_beside_each_video() {
    let bench = Bench::new(TEMPLATE);
    bench.write("people.csv", format!("first_name\n{NAME}\nAda\n").as_bytes());
    let batch = |more: &[&str]| {
        let mut command = bench.command("batch");
        command.arg(bench.path("package")).arg("--audience").arg(bench.path("people.csv"));
        command.arg("-o").arg(bench.path("out")).arg("--receipts").args(more);
        run(&mut command)
    };
    let output = batch(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (row, file) in [("1", "0001"), ("2", "0002")] {
        let receipt = bench.path(&format!("out/{file}.receipt.json"));
        let people = bench.path("people.csv");
        let mut command = bench.command("verify");
        command.arg(&receipt).arg("--template").arg(bench.path("package")).arg("--data").arg(people);
        command.args(["--quick", "--row", row]).arg("--file").arg(bench.path(&format!("out/{file}.mp4")));
        assert!(succeed(&mut command).starts_with("equal"), "row {row}");
        assert!(!fs::read_to_string(&receipt).unwrap().contains(NAME));
    }
    // A receipt that is gone is written again with its video.
    fs::remove_file(bench.path("out/0002.receipt.json")).unwrap();
    let output = batch(&["--resume"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("2 done (1 before)"), "{output:?}");
    assert!(bench.path("out/0002.receipt.json").is_file());
}
