//! Voices through the program: how an audience's names are said, and models that come from an address.

mod common;
#[path = "../generators/tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{root, run, succeed, vignette};
use support::{Reply, Server};

/// The program with the neural voice, which is installed from what `scripts/setup.sh --tests` fetched.
fn speaking() -> Command {
    let cache = root().join(".cache");
    let models = cache.join("models");
    let mut install = vignette();
    install.env("VIGNETTE_MODELS", &models).args(["models", "install", "hibari", "--from"]);
    succeed(install.arg(cache.join("wheels")));
    let mut command = vignette();
    command.env("VIGNETTE_MODELS", models);
    command
}

/// What an independent recogniser hears in a file's sound, in small letters and without marks.
fn heard(file: &Path) -> String {
    let python = root().join(".cache/speech/bin/python");
    assert!(python.is_file(), "the recogniser is not installed; run scripts/setup.sh --tests");
    let printed = succeed(Command::new(python).arg(root().join("tests/speech/recognise.py")).arg(file));
    let line: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let text = line["text"].as_str().unwrap().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || *c == ' ').collect()
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

fn template(lexicon: &str) -> String {
    format!(
        "vignette: 1
name: morning
canvas: {{ width: 64, height: 48, fps: 25 }}
data:
  required: [first_name]
  properties: {{ first_name: {{ type: string, x-pii: true }} }}
generate:
  hello:
    voice:
      say: \"Good morning {{{{first_name}}}}, thank you for your patience.\"
      {lexicon}
scenes: [{{ duration: {{ fit: hello }}, layers: [{{ rect: {{ fill: red }} }}] }}]
audio: [{{ voice: hello }}]
"
    )
}

#[test]
fn an_audience_says_how_its_names_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plain = write(folder, "plain.yaml", &template(""));
    let own = write(folder, "own.yaml", &template("lexicon: [{ word: Qzwyx, say: puh-TAY-toh }]"));
    // Nobody would read that name so, and the recogniser knows the word.
    let names = write(folder, "names.csv", "word,say\nQzwyx,buh-NAN-uh\nXhosi,/ˈzoʊsi/\n");
    // However busy the machine is, the neural voice speaks and none stands in for it.
    let patient = write(folder, "generators.toml", "deadline = \"600s\"\n[voice]\nuse = [\"hibari\"]\n");
    let render = |template: &Path, name: &str, with: bool| {
        let file = folder.join(format!("{}-{name}-{with}.mp4", template.file_stem().unwrap().display()));
        let mut command = speaking();
        command.arg("render").arg(template).args(["--set", &format!("first_name={name}")]);
        command.arg("--generators").arg(&patient);
        if with {
            command.arg("--lexicon").arg(&names);
        }
        succeed(command.arg("-o").arg(&file));
        file
    };
    let (without, with) = (render(&plain, "Qzwyx", false), render(&plain, "Qzwyx", true));
    assert!(!heard(&without).contains("banana"), "{}", heard(&without));
    assert!(heard(&with).contains("good morning banana thank you for your patience"), "{}", heard(&with));
    // What the template says about a word counts more.
    let decided = render(&own, "Qzwyx", true);
    assert!(heard(&decided).contains("potato"), "{}", heard(&decided));
    // Speech without a word of the lexicon is the same, byte for byte.
    let bytes = |file: PathBuf| std::fs::read(file).unwrap();
    assert!(bytes(render(&plain, "Maria", false)) == bytes(render(&plain, "Maria", true)));

    let people = write(folder, "people.csv", "id,first_name\n1,Qzwyx\n2,Maria\n3,Xhosi\n4,qzwyx\n");
    let out = folder.join("out");
    let mut batch = speaking();
    batch.arg("batch").arg(&plain).arg("--audience").arg(&people).arg("--lexicon").arg(&names);
    batch.arg("--generators").arg(&patient);
    succeed(batch.args(["--name", "{{id}}", "-o"]).arg(&out));
    let text = heard(&out.join("1.mp4"));
    assert!(text.contains("banana"), "{text}");
    let text = heard(&out.join("2.mp4"));
    assert!(text.contains("maria") || text.contains("mariah"), "{text}");

    let lint = |more: &[&Path]| {
        let mut command = speaking();
        command.args(["voice", "lint", "--audience"]).arg(&people);
        for lexicon in more {
            command.arg("--lexicon").arg(lexicon);
        }
        let output = run(&mut command);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, told) = lint(&[]);
    assert_eq!(status, Some(1));
    assert!(told.contains("Qzwyx") && told.contains("Xhosi") && !told.contains("Maria"), "{told}");
    assert_eq!(lint(&[&names]), (Some(0), String::new()));

    // A lexicon at fault is told by its rows, and nothing is made.
    let wrong = write(folder, "wrong.csv", "word,say\nMaria,muh-REE-uh\nQzwyx,/№/\n");
    let file = folder.join("none.mp4");
    let mut command = speaking();
    command.arg("render").arg(&plain).args(["--set", "first_name=Maria", "--lexicon"]).arg(&wrong);
    let output = run(command.arg("-o").arg(&file));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    // Rows are counted behind the header, as those of an audience are.
    assert!(told.contains("wrong.csv: row 2: ") && told.contains('№') && !file.exists(), "{told}");
}

/// A model of one package that needs no other one.
const MODEL: &str = "onnxruntime";

#[test]
fn a_model_is_installed_from_an_address() {
    let wheels = root().join(".cache/wheels");
    let wheel = std::fs::read_dir(&wheels)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("onnxruntime-"))
        .expect("the wheel of onnxruntime; run scripts/setup.sh --tests");
    let name = wheel.file_name().unwrap().to_string_lossy().into_owned();
    let good = std::fs::read(&wheel).unwrap();
    let length = good.len();
    let mut other = good.clone();
    *other.last_mut().unwrap() ^= 1;
    let kind = || vec![("content-type", "application/octet-stream".to_owned())];
    let file = name.clone();
    let server = Server::start(move |asked| {
        let path = asked.line.split(' ').nth(1).unwrap_or_default();
        let to = |place: String| Reply::Whole(302, vec![("location", place)], Vec::new());
        match path.strip_prefix("/v1/").unwrap_or_default() {
            "good" => Reply::Whole(200, kind(), good.clone()),
            "moved" => to("/v1/moved-again".to_owned()),
            "moved-again" => to("good".to_owned()),
            "round" => to("/v1/round".to_owned()),
            "elsewhere" => to("file:///etc/passwd".to_owned()),
            "other" => Reply::Whole(200, kind(), other.clone()),
            "short" => Reply::Whole(200, kind(), good[..1000].to_vec()),
            "cut" => Reply::Half(good.clone()),
            "endless" => Reply::Endless("application/octet-stream", 1 << 30),
            "error" => Reply::Whole(503, kind(), b"later".to_vec()),
            "hangup" => Reply::Hangup,
            path if path == format!("folder/{file}") => Reply::Whole(200, kind(), good.clone()),
            _ => Reply::Whole(404, kind(), Vec::new()),
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let install = |place: &str, url: &str| {
        let models = folder.path().join(place);
        let output =
            run(vignette().env("VIGNETTE_MODELS", &models).args(["models", "install", MODEL, "--from", url]));
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), models)
    };
    for path in ["good", "moved", "folder/"] {
        let (status, told, models) = install(&path.replace('/', ""), &format!("{}/{path}", server.url()));
        assert_eq!(status, Some(0), "{path}: {told}");
        assert!(told.contains("licence MIT"), "{path}: {told}");
        let listed = succeed(vignette().env("VIGNETTE_MODELS", &models).args(["models", "--json"]));
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let is_installed = |name: &str| {
            let found = listed["models"].as_array().unwrap().iter().find(|model| model["name"] == name);
            found.unwrap()["installed"].as_bool().unwrap()
        };
        assert!(is_installed(MODEL) && !is_installed("hibari"), "{path}: {listed}");
    }
    let broke_off = format!("it broke off after {} of {length} bytes", length / 2);
    let cases: [(&str, i32, &str); 10] = [
        ("other", 1, "its SHA-256 is"),
        ("short", 3, "has 1000 bytes, and the package"),
        ("cut", 3, &broke_off),
        ("endless", 3, "has more bytes, and the package"),
        ("round", 3, "leads on to others more than 5 times"),
        ("elsewhere", 3, "could not be fetched"),
        ("error", 3, "status 503"),
        ("missing", 3, "status 404"),
        ("hangup", 3, "could not be fetched"),
        ("folder/nothing/", 3, "status 404"),
    ];
    for (path, expected, reason) in cases {
        let (status, told, models) = install("none", &format!("{}/{path}", server.url()));
        assert_eq!(status, Some(expected), "{path}: {told}");
        assert!(told.contains(reason) && told.contains(&name), "{path}: {told}");
        // Nothing half-done is left.
        let left: Vec<PathBuf> = std::fs::read_dir(models.join(MODEL))
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        assert_eq!(left, [] as [PathBuf; 0], "{path}");
    }
    let (status, told, _) = install("none", "http://127.0.0.1:9/nothing");
    assert_eq!(status, Some(3), "{told}");
    assert!(told.contains("nothing listens") && told.contains("--from FILE"), "{told}");
}
