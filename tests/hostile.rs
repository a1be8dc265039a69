//! Bad and hostile input, one row each: an error that names the place, nothing left behind, and the process lives
//! to render the next template.

mod common;

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use common::{SMALL, package, root};
use serde_json::{Value, json};
use vignette::{Engine, Error};

/// One bad input.
struct Row {
    name: &'static str,
    template: String,
    files: Vec<(&'static str, Vec<u8>)>,
    data: Value,
    /// What the error must say: the place, and what is wrong.
    says: &'static [&'static str],
}

fn row(name: &'static str, template: impl Into<String>, says: &'static [&'static str]) -> Row {
    Row { name, template: template.into(), files: Vec::new(), data: json!({ "first_name": "Maria" }), says }
}

impl Row {
    fn file(mut self, name: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((name, bytes.into()));
        self
    }

    fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// A template with one layer and one duration.
fn template(layer: &str, duration: &str) -> String {
    format!(
        r##"
vignette: 1
name: row
canvas: {{ width: 160, height: 96, fps: 20, background: "#101828" }}
data: {{ required: [first_name], properties: {{ first_name: {{ type: string }}, n: {{ type: number, default: 1 }} }} }}
scenes:
  - name: one
    duration: {duration}
    layers:
      - {layer}
"##
    )
}

fn layer(layer: &str) -> String {
    template(layer, "500ms")
}

fn asset(kind: &str, file: &str) -> String {
    let layer = if kind == "audio" { "rect: { fill: white }" } else { &format!("{kind}: a") };
    let sound = if kind == "audio" { "audio: [{ asset: a }]" } else { "" };
    format!("{}\nassets: {{ a: {{ {kind}: {file} }} }}\n{sound}\n", self::layer(layer))
}

fn text(words: &str) -> String {
    layer(&format!("{{ text: {words:?}, style: {{ size: 20px }} }}"))
}

fn media(name: &str) -> Vec<u8> {
    fs::read(root().join("fixtures/media").join(name)).unwrap()
}

/// A PNG file that says it has this size, and no pixels.
fn png_of(width: u32, height: u32) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
        })
    };
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8], content: &[u8]| {
        file.extend((content.len() as u32).to_be_bytes());
        let body = [name, content].concat();
        file.extend(&body);
        file.extend(crc(&body).to_be_bytes());
    };
    chunk(b"IHDR", &[&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat());
    chunk(b"IDAT", &[0x78, 0x9c, 0x03, 0, 0, 0, 0, 1]);
    chunk(b"IEND", &[]);
    file
}

fn svg(content: &str) -> String {
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 100 100">{content}</svg>"#
    )
}

fn rows(port: u16) -> Vec<Row> {
    let clip = media("counter.mp4");
    let deep_ifs = format!("{}x{}", "{{#if n}}".repeat(20_000), "{{/if}}".repeat(20_000));
    vec![
        row("not YAML", "vignette: 1\n  name: [x", &["template.yaml:"]),
        row("unknown field", layer("{ rect: { fill: white }, colour: red }"), &["layers[0].colour", "unknown field"]),
        row("unknown variable", text("{{frist_name}}"), &["layers[0].text", "frist_name", "first_name"]),
        row(
            "wrong type after filling",
            layer(r#"{ text: hi, style: { size: "{{first_name}}" } }"#),
            &["scenes[0].layers[0].style.size", "Maria", "{{first_name}}"],
        ),
        row("not a number", layer("{ rect: { fill: white }, opacity: .nan }"), &["layers[0].opacity"]),
        row("infinite", layer("{ rect: { fill: white }, rotate: .inf }"), &["layers[0].rotate"]),
        row("negative duration", template("{ rect: { fill: white } }", "-1s"), &["scenes[0].duration", "-1s"]),
        row("zero duration", template("{ rect: { fill: white } }", "0s"), &["scenes[0].duration"]),
        row("absurd duration", template("{ rect: { fill: white } }", "9000000h"), &["scenes[0].duration"]),
        row("a thousand hours", template("{ rect: { fill: white } }", "3600000s"), &["scenes[0]"]),
        row(
            "duration by data",
            template("{ rect: { fill: white } }", r#""{{math 0 '-' n}}s""#),
            &["scenes[0].duration", "-1s"],
        ),
        row("negative size", layer("{ rect: { fill: white }, box: { width: -5px } }"), &["layers[0].box.width"]),
        row("absurd size", layer("{ rect: { fill: white }, box: { width: 9e12px } }"), &["layers[0].box.width"]),
        row(
            "absurd canvas",
            SMALL.replace("width: 160, height: 96", "width: 1000000, height: 96"),
            &["canvas.width"],
        ),
        row("absurd rate", SMALL.replace("fps: 20", "fps: 100000"), &["canvas.fps"]),
        row("missing asset", asset("image", "nowhere.png"), &["assets.a", "nowhere.png"]),
        row("text called PNG", asset("image", "a.png"), &["assets.a"]).file("a.png", "hello, I am text"),
        row("PNG called MP4", asset("video", "a.mp4"), &["assets.a"]).file("a.mp4", media("disc.png")),
        row("MP4 called PNG", asset("image", "a.png"), &["assets.a"]).file("a.png", clip.clone()),
        row("noise called font", format!("{}\nassets: {{ a: {{ font: a.ttf }} }}", layer("{ text: hi, style: { font: a } }")), &["assets.a"])
            .file("a.ttf", vec![7; 4000]),
        row("truncated MP4", asset("video", "a.mp4"), &["assets.a"]).file("a.mp4", &clip[..clip.len() / 2]),
        row("MP4 of noise", asset("video", "a.mp4"), &["assets.a"])
            .file("a.mp4", [&clip[..40], &vec![0x5a; 60_000][..]].concat()),
        row("empty file", asset("image", "a.png"), &["assets.a"]).file("a.png", ""),
        row("40,000 × 40,000 pixels", asset("image", "a.png"), &["assets.a", "40000"])
            .file("a.png", png_of(40_000, 40_000)),
        row("path out of the package", asset("image", "../../../../etc/passwd"), &["assets.a", ".."]),
        row("absolute path", asset("image", "/etc/passwd"), &["assets.a", "absolute"]),
        row("symbolic link out of the package", asset("image", "link.png"), &["assets.a"]),
        row(
            "path by data",
            format!("{}\nassets: {{ a: {{ image: \"{{{{first_name}}}}\" }} }}", layer("image: a")),
            &["assets.a", ".."],
        )
        .data(json!({ "first_name": "../../etc/passwd" })),
        row("10 MB in one field", text("{{first_name}}"), &["first_name"])
            .data(json!({ "first_name": "x".repeat(10 << 20) })),
        row("data that are a list", text("{{first_name}}"), &["object"]).data(json!([1, 2])),
        row("data that are a number", text("{{first_name}}"), &["object"]).data(json!(7)),
        row("recursive inline partial", text(r#"{{#*inline "a"}}{{> a}}{{/inline}}{{> a}}"#), &["layers[0].text"]),
        row("partial", text("{{> header}}"), &["layers[0].text", "partial"]),
        row("20,000 nested ifs", text(&deep_ifs), &["layers[0].text"]),
        row("SVG nested 10,000 deep", asset("image", "a.svg"), &["assets.a"])
            .file("a.svg", svg(&format!("{}{}", "<g>".repeat(10_000), "</g>".repeat(10_000)))),
        row("SVG with entities", asset("image", "a.svg"), &["assets.a"])
            .file("a.svg", format!(r#"<!DOCTYPE svg [<!ENTITY a "aaaa">]>{}"#, svg("&a;"))),
        row("playlist in clip.mp4", asset("video", "clip.mp4"), &["assets.a", "playlist"]).file(
            "clip.mp4",
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:{port}/a.ts\nfile:///etc/passwd\n"),
        ),
        row("playlist as sound", asset("audio", "clip.mp3"), &["assets.a"])
            .file("clip.mp3", format!("#EXTM3U\nhttp://127.0.0.1:{port}/a.mp3\n")),
        row("sound without sound", asset("audio", "a.wav"), &["assets.a"])
            .file("a.wav", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\xbb\0\0\0\x77\x01\0\x02\0\x10\0data\0\0\0\0".to_vec()),
        row(
            "100,000 layers",
            layer(r#"{ rect: { fill: white }, repeat: { for: "{{list}}", as: item } }"#)
                .replace("n: {", "list: { type: array, default: [] }, n: {"),
            &["scenes[0].layers[0]"],
        )
        .data(json!({ "first_name": "A", "list": vec![1; 100_000] })),
        row("aliases that multiply", "a: &a [x, x]\nb: &b [*a, *a]\nvignette: 1\n", &["template.yaml:"]),
        row("YAML nested 100,000 deep", "[".repeat(100_000), &["template.yaml:"]),
    ]
}

/// All the way to an encoded video.
fn attempt(engine: &Engine, folder: &Path, data: &Value) -> Result<(), Error> {
    let template = engine.open(folder, &[])?.value;
    let data = template.data("data", data.clone())?;
    let video = engine.personalise(&template, &data, None)?.value;
    let prepared = engine.prepare(&template, &video)?;
    prepared.render(&Default::default(), engine.stores(), &())?.write_mp4(&folder.join("out.mp4"))?;
    Ok(())
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn bad_input_is_an_error_and_the_next_template_renders() {
    let engine = Engine::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let good = package(SMALL, &[]);
    let mut wrong = Vec::new();
    for row in rows(listener.local_addr().unwrap().port()) {
        let files: Vec<(&str, &[u8])> = row.files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
        let folder = package(&row.template, &files);
        if row.template.contains("link.png") {
            std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link.png")).unwrap();
        }
        let before = names_in(folder.path());
        match attempt(&engine, folder.path(), &row.data) {
            Ok(()) => wrong.push(format!("{}: was accepted", row.name)),
            Err(error) => {
                let message = error.to_string();
                if !error.is_input_fault() {
                    wrong.push(format!("{}: is told as this machine's fault: {message}", row.name));
                }
                for said in row.says {
                    if !message.contains(said) {
                        wrong.push(format!("{}: `{said}` is missing in: {message}", row.name));
                    }
                }
                if message.len() > 4000 {
                    wrong.push(format!("{}: a message of {} bytes", row.name, message.len()));
                }
            }
        }
        if names_in(folder.path()) != before {
            wrong.push(format!("{}: left {:?}", row.name, names_in(folder.path())));
        }
        if let Err(error) = attempt(&engine, good.path(), &json!({ "first_name": "Maria" })) {
            wrong.push(format!("{}: the next template failed: {error}", row.name));
        }
    }
    if listener.accept().is_ok() {
        wrong.push("something connected to the address in a playlist".into());
    }
    assert!(wrong.is_empty(), "{} rows are wrong:\n  {}", wrong.len(), wrong.join("\n  "));
}

/// Unusual, but not at fault: these render.
#[test]
fn strange_but_right_input_renders() {
    let engine = Engine::new().unwrap();
    let secret = tempfile::NamedTempFile::with_suffix(".png").unwrap();
    fs::write(secret.path(), media("quadrants.png")).unwrap();
    let rows = [
        row("SVG 100,000,000 wide", asset("image", "a.svg"), &[]).file(
            "a.svg",
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="100000000" height="100000000"><rect width="5" height="5"/></svg>"#,
        ),
        row("names that are markup", text("{{first_name}}"), &[])
            .data(json!({ "first_name": "<b>{{n}}</b> &amp; \u{202e}x\u{0}" })),
        row("an empty name", text("{{first_name}}"), &[]).data(json!({ "first_name": "" })),
        row("20,000 characters", layer(r#"{ text: "{{first_name}}", style: { size: 20px, fit: shrink }, box: { width: 90% } }"#), &[])
            .data(json!({ "first_name": "word ".repeat(3000) })),
    ];
    for row in rows {
        let files: Vec<(&str, &[u8])> = row.files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
        let folder = package(&row.template, &files);
        if let Err(error) = attempt(&engine, folder.path(), &row.data) {
            panic!("{}: {error}", row.name);
        }
    }
}

/// An SVG that names a local picture never shows it: it is refused, or drawn without.
#[test]
fn svg_does_not_reach_local_files() {
    let engine = Engine::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret.png");
    fs::write(&secret, media("quadrants.png")).unwrap();
    let drawing = |href: &str| svg(&format!(r#"<image href="{href}" width="100" height="100"/>"#));
    for href in [secret.display().to_string(), format!("file://{}", secret.display()), "secret.png".into()] {
        let package = package(
            &asset("image", "a.svg"),
            &[("a.svg", drawing(&href).as_bytes()), ("secret.png", &media("quadrants.png"))],
        );
        let template = match engine.open(package.path(), &[]) {
            Ok(template) => template.value,
            Err(error) => {
                assert!(error.to_string().contains("assets.a"), "{error}");
                continue;
            }
        };
        let data = template.data("data", json!({ "first_name": "A" })).unwrap();
        let video = engine.personalise(&template, &data, None).unwrap().value;
        let picture = engine.prepare(&template, &video).unwrap().frame(0).unwrap().to_rgb();
        let first = *picture.get_pixel(0, 0);
        assert!(picture.pixels().all(|pixel| *pixel == first), "{href} was drawn");
    }
}
