//! A viewer's own photo that a service changes, through the program: who is sent what, what is seen, and what is told of it.

mod common;
#[path = "../generators/tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::{Command, Output};

use base64::Engine as _;
use common::{decoded_frame, run, succeed, vignette};
use image::{Rgba, RgbaImage};
use serde_json::{Value, json as value};
use support::{Asked, Reply, Server, json, status};
use tempfile::TempDir;

const TEMPLATE: &str = r##"
vignette: 1
name: festive
canvas: { width: 160, height: 96, fps: 25, background: "#ffffff" }
data:
  required: [first_name, photo]
  properties:
    first_name: { type: string, x-pii: true }
    photo: { type: string, x-pii: true }
assets:
  own: { image: "{{photo}}" }
  around: { image: around.png }
generate:
  hat: { image: { prompt: "Put a hat on {{first_name}}", from: own, MORE width: 160, height: 96 } }
scenes: [{ duration: 200ms, layers: [{ image: hat }] }]
"##;

const RED: [u8; 3] = [220, 30, 30];
const BLUE: [u8; 3] = [30, 30, 220];
const GREEN: [u8; 3] = [30, 200, 30];
const YELLOW: [u8; 3] = [220, 220, 30];

struct Bench {
    folder: TempDir,
}

impl Bench {
    /// The template with `more` said of the picture, a viewer with a photo, and settings that ask `server`.
    fn new(server: &Server, more: &str, settings: &str) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let bench = Bench { folder };
        for name in ["package", "people"] {
            std::fs::create_dir(bench.path(name)).unwrap();
        }
        // Red on the left and blue on the right; its sides are those of the slot.
        let photo = RgbaImage::from_fn(320, 192, |x, _| opaque(if x < 160 { RED } else { BLUE }));
        // Clear where the hat goes, which is in the middle.
        let around = RgbaImage::from_fn(160, 96, |x, y| {
            Rgba([0, 0, 0, 255 * u8::from(!((60..100).contains(&x) && (36..60).contains(&y)))])
        });
        bench.write("people/xanthippe.png", &png(&photo));
        bench.write("package/around.png", &png(&around));
        bench.write("package/stranger.png", &png(&RgbaImage::from_pixel(16, 16, opaque(YELLOW))));
        bench.write("package/template.yaml", TEMPLATE.replace("MORE", more).as_bytes());
        let viewer = value!({ "first_name": "Xanthippe", "photo": "xanthippe.png" });
        bench.write("viewer.json", viewer.to_string().as_bytes());
        // Whether the model that judges pictures is installed is nothing of these tests'.
        let settings = format!(
            "[guard]\nrefuse = 1\n[image]\nuse = [\"studio\"]\n[providers.studio]\nkind = \"openai-image-edit\"\nurl = \"{}\"\nmodel = \"brush-1\"\n\
             sizes = [\"1024x1024\", \"1536x1024\"]\nretries = 0\n{settings}\n",
            server.url()
        );
        bench.write("generators.toml", settings.as_bytes());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn command(&self, name: &str) -> Command {
        let mut command = vignette();
        command.arg(name).env("VIGNETTE_RECEIPT_KEY", self.path("receipt.key"));
        command.env("VIGNETTE_STORE", self.path("store"));
        command
    }

    /// A command about the template and its viewer.
    fn of_viewer(&self, name: &str) -> Command {
        let mut command = self.command(name);
        command.arg(self.path("package")).arg("--assets").arg(self.path("people"));
        command.arg("--data").arg(self.path("viewer.json"));
        command.arg("--generators").arg(self.path("generators.toml"));
        command
    }

    /// Renders it, and gives what was told and the receipt.
    fn render(&self) -> (String, Value) {
        let mut command = self.of_viewer("render");
        command.arg("-o").arg(self.path("hat.mp4")).arg("--receipt").arg(self.path("receipt.json"));
        let output = run(&mut command);
        let told = told(&output);
        assert!(output.status.success(), "{told}");
        let receipt = std::fs::read_to_string(self.path("receipt.json")).unwrap();
        for personal in ["Xanthippe", "xanthippe"] {
            assert!(!told.contains(personal) && !receipt.contains(personal), "{told}\n{receipt}");
        }
        (told, serde_json::from_str(&receipt).unwrap())
    }

    fn explained(&self) -> Value {
        let text = succeed(self.of_viewer("fill").arg("--explain"));
        let all: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&all[0]["name"], &all[0]["kind"]), (&value!("hat"), &value!("image")));
        all[0]["providers"].clone()
    }

    /// The colours of a frame on the left, in the middle, on the right and in the upper left corner of the video.
    fn seen(&self) -> [[u8; 3]; 4] {
        let frame = decoded_frame(&self.path("hat.mp4"), 2);
        assert_eq!(frame.dimensions(), (160, 96));
        [(30, 48), (86, 48), (130, 48), (4, 4)].map(|(x, y)| frame.get_pixel(x, y).0)
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn opaque([r, g, b]: [u8; 3]) -> Rgba<u8> {
    Rgba([r, g, b, 255])
}

fn png(picture: &RgbaImage) -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

/// Whether all of them look like these, after colours were subsampled and encoded.
fn look_like(seen: [[u8; 3]; 4], expected: [[u8; 3]; 4]) {
    let off = |(a, b): (&[u8; 3], &[u8; 3])| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
    assert!(seen.iter().zip(&expected).all(|pair| off(pair) < 24), "{seen:?} instead of {expected:?}");
}

/// The file that stands in a form (RFC 7578) under this name.
fn file_in(asked: &Asked, name: &str) -> Option<RgbaImage> {
    let after = |bytes: &[u8], part: &[u8], from: usize| {
        bytes[from..].windows(part.len()).position(|window| window == part).map(|at| from + at + part.len())
    };
    let head = after(&asked.bytes, format!("name=\"{name}\"").as_bytes(), 0)?;
    let start = after(&asked.bytes, b"\r\n\r\n", head)?;
    Some(image::load_from_memory(&asked.bytes[start..]).unwrap().to_rgba8())
}

/// A service that paints a green hat into the middle of what it is sent, and a yellow sky above it, which nobody asked for.
fn milliner() -> Server {
    Server::start(|asked| {
        let Some(mut picture) = file_in(asked, "image") else { return status(400, &[]) };
        let (width, height) = picture.dimensions();
        for (x, y, pixel) in picture.enumerate_pixels_mut() {
            let (across, down) = (x * 100 / width, y * 100 / height);
            if (40..60).contains(&across) && (40..60).contains(&down) {
                *pixel = opaque(GREEN);
            } else if down < 20 {
                *pixel = opaque(YELLOW);
            }
        }
        // Services answer in the size that was asked for.
        let large = image::imageops::resize(&picture, 1536, 1024, image::imageops::FilterType::Triangle);
        let coded = base64::engine::general_purpose::STANDARD.encode(png(&large));
        json(value!({ "data": [{ "b64_json": coded }] }))
    })
}

#[test]
fn a_photo_goes_out_only_where_the_template_says_so() {
    let server = milliner();
    let bench = Bench::new(&server, "", "");
    let would = bench.explained();
    assert_eq!((&would[0]["provider"], &would[0]["remote"]), (&value!("studio"), &value!(true)));
    let why = would[0]["withheld"].as_str().unwrap();
    assert!(why.contains("send_personal"), "{why}");
    let (told, receipt) = bench.render();
    assert!(told.contains("generate.hat: ") && told.contains("send_personal"), "{told}");
    look_like(bench.seen(), [RED, BLUE, BLUE, RED]);
    let made = &receipt["generated"][0];
    assert_eq!((&made["synthetic"], &made["provider"]), (&value!(false), &value!("fallback")), "{made}");
    assert!(server.asked().is_empty(), "the photo stays where it is");

    // To a server of the house it goes without leave.
    let bench = Bench::new(&server, "", "local = true");
    assert!(bench.explained()[0]["withheld"].is_null());
    bench.render();
    look_like(bench.seen(), [RED, GREEN, BLUE, YELLOW]);
}

#[test]
fn what_was_changed_is_seen_and_told() {
    let server = milliner();
    let bench = Bench::new(&server, "send_personal: true,", "price = { image = 0.04 }");
    // Who would be told what, before anybody is.
    let would = bench.explained()[0].clone();
    assert_eq!((&would["provider"], &would["model"]), (&value!("studio"), &value!("brush-1")), "{would}");
    assert_eq!((&would["remote"], &would["withheld"]), (&value!(true), &Value::Null), "{would}");
    assert_eq!(would["words"], "the picture itself, 160 x 96 pixels, and: Put a hat on Xanthippe");
    assert_eq!(would["personal"], value!(["/first_name", "/photo"]));
    assert!(server.asked().is_empty(), "nothing is asked");

    let (told, receipt) = bench.render();
    assert!(!told.contains("generate.hat"), "{told}");
    look_like(bench.seen(), [RED, GREEN, BLUE, YELLOW]);
    assert_eq!(server.asked().len(), 1);
    // The whole picture, framed in a shape that the service makes, and none of it stretched.
    let sent = file_in(&server.asked()[0], "image").unwrap();
    assert_eq!(sent.dimensions(), (160, 107));
    assert!([(4, 4), (4, 102)].iter().all(|at| sent.get_pixel(at.0, at.1).0 == opaque(RED).0));
    let made = &receipt["generated"][0];
    let expected = value!(["hat", "image", true, "studio", "brush-1", null]);
    let told =
        ["name", "kind", "synthetic", "provider", "model", "fallback"].map(|field| made[field].clone());
    assert_eq!(Value::from(told.to_vec()), expected, "{made}");
    assert!(made["made_at"].is_u64() && made["cost"]["micros"] == 40_000, "{made}");

    // Made again from what was kept: the same, and nobody is asked, nor for the filled video.
    let mut verify = bench.command("verify");
    verify.arg(bench.path("receipt.json")).arg("--template").arg(bench.path("package"));
    verify.arg("--assets").arg(bench.path("people")).arg("--data").arg(bench.path("viewer.json"));
    succeed(verify.arg("--generators").arg(bench.path("generators.toml")).arg("--json"));
    let filled: Value = serde_json::from_str(&succeed(&mut bench.of_viewer("fill"))).unwrap();
    assert_eq!(filled["generated"]["hat"]["provider"], "studio");
    succeed(bench.of_viewer("still").args(["--at", "0s", "-o"]).arg(bench.path("hat.png")));
    let still = image::open(bench.path("hat.png")).unwrap().to_rgb8();
    let seen = [(30, 48), (86, 48), (130, 48), (4, 4)].map(|(x, y)| still.get_pixel(x, y).0);
    look_like(seen, [RED, GREEN, BLUE, YELLOW]);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn what_the_mask_covers_is_seen_as_it_was() {
    let server = milliner();
    let bench = Bench::new(&server, "mask: around, send_personal: true,", "");
    bench.render();
    // The sky that the service painted is not there.
    look_like(bench.seen(), [RED, GREEN, BLUE, RED]);
    let mask = file_in(&server.asked()[0], "mask").unwrap();
    assert_eq!(mask.dimensions(), (160, 107));
    assert_eq!([(80, 53), (4, 53), (80, 2)].map(|at| mask.get_pixel(at.0, at.1).0[3]), [0, 255, 255]);
}

#[test]
fn a_service_that_fails_leaves_the_photo_or_the_fallback() {
    type Case = (&'static str, fn() -> Reply, &'static str);
    let cases: [Case; 3] = [
        ("broken", || status(500, &[]), "status 500"),
        ("refused", || status(400, &[]), "status 400 (some_code)"),
        ("no picture", || json(value!({ "data": [{ "b64_json": "aGVsbG8=" }] })), "neither PNG"),
    ];
    for (name, reply, reason) in cases {
        for (fallback, expected) in
            [("", [RED, BLUE, BLUE, RED]), ("fallback: stranger.png,", [YELLOW, YELLOW, YELLOW, YELLOW])]
        {
            let server = Server::start(move |_| reply());
            let bench = Bench::new(&server, &format!("{fallback} send_personal: true,"), "");
            let (told, receipt) = bench.render();
            assert!(told.contains("generate.hat: ") && told.contains(reason), "{name}: {told}");
            look_like(bench.seen(), expected);
            let made = &receipt["generated"][0];
            assert_eq!(
                (&made["synthetic"], &made["provider"]),
                (&value!(false), &value!("fallback")),
                "{made}"
            );
            assert!(made["fallback"].as_str().unwrap().contains(reason), "{name}: {made}");
            assert_eq!(server.asked().len(), 1, "{name}");
        }
    }
}
