//! Files of strangers that eat a core or the memory, never end, or crash what reads them: one file is refused, and the service goes on.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::place::Place;
use common::service::{Answer, Service};
use serde_json::{Value, json};

/// Shows what the data name: a picture and a clip, each with a fallback, and a picture without one.
const SHOW: &str = r##"
vignette: 1
name: show
canvas: { width: 64, height: 64, fps: 10, background: "#000000" }
data:
  properties:
    photo: { type: string, default: grey.svg }
    clip: { type: string, default: counter.mp4 }
    must: { type: string, default: grey.svg }
assets:
  photo: { image: "{{photo}}", fallback: grey.svg }
  clip: { video: "{{clip}}", fallback: counter.mp4 }
  must: { image: "{{must}}" }
scenes:
  - duration: 1s
    layers:
      - { video: clip, fit: cover, box: { x: 0, y: 0, width: 100%, height: 100% } }
      - { image: photo, fit: cover, box: { x: 0, y: 0, width: 100%, height: 100% } }
      - { image: must, box: { x: 0, y: 0, width: 4px, height: 4px } }
"##;

const GREY: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8" fill="#404040"/></svg>"##;

/// Within what a drawing may cost, but more than a second of a core.
fn slow_svg() -> Vec<u8> {
    let noise = r#"<feTurbulence baseFrequency="0.01" numOctaves="9"/>"#.repeat(3);
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"><filter id="f" x="0" y="0" width="1" height="1">{noise}</filter><rect width="100" height="100" filter="url(#f)"/></svg>"#
    )
    .into_bytes()
}

/// Layers inside layers, each as large as the picture. Of a hundred and fifty more than a drawing may hold, of sixteen less, but a gigabyte.
fn deep_svg(depth: usize) -> Vec<u8> {
    let (open, close) = (r#"<g opacity="0.9">"#.repeat(depth), "</g>".repeat(depth));
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100">{open}<rect width="100" height="100"/>{close}</svg>"#
    )
    .into_bytes()
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let red = image::RgbImage::from_pixel(width, height, image::Rgb([220, 0, 0]));
    red.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Frames of 3840 x 2160: few bytes, and many seconds of a core.
fn huge_clip(folder: &Path) -> Vec<u8> {
    let path = folder.join("huge.mp4");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", "color=red:s=3840x2160:r=60:d=4", "-c:v", "libx264"]);
    command.args(["-preset", "ultrafast", "-pix_fmt", "yuv444p"]).arg(&path);
    assert!(command.status().unwrap().success());
    fs::read(path).unwrap()
}

/// Serves files by their paths.
fn host(files: Vec<(&'static str, &'static str, Vec<u8>)>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let files = Arc::new(files);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let files = files.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 2048];
                let count = stream.read(&mut buffer).unwrap_or(0);
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                let Some((_, kind, body)) = files.iter().find(|(name, ..)| *name == path) else { return };
                let head = format!(
                    "HTTP/1.1 200 X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
            });
        }
    });
    port
}

fn place() -> Place {
    let place = Place::with("show", SHOW);
    let package = place.gallery().join("show");
    fs::write(package.join("grey.svg"), GREY).unwrap();
    let clip = common::root().join("fixtures/media/counter.mp4");
    fs::copy(clip, package.join("counter.mp4")).unwrap();
    place
}

const CONFIG: &str = "asset_hosts = ['127.0.0.1']\nprivate_asset_hosts = ['127.0.0.1']\n";

fn link(service: &Service, data: Value) -> Answer {
    service.post("/v1/links", &json!({ "template": "show", "data": data }))
}

fn warnings(made: &Answer) -> String {
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["warnings"].to_string()
}

/// The service's readers of files: processes that it started as such.
fn readers(service: &Service) -> BTreeSet<u32> {
    let own = service.id().to_string();
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let read = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let parent = read("status").lines().find_map(|line| line.strip_prefix("PPid:\t").map(str::to_owned));
        if parent.as_deref() == Some(&own) && read("cmdline").contains("\0inspect\0") {
            found.insert(id);
        }
    }
    found
}

/// How long a process has computed, in clock ticks (proc_pid_stat(5), fields 14 and 15).
fn ticks_of(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    [12, 13].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum()
}

#[test]
fn files_that_ask_for_too_much_are_refused_one_by_one() {
    let place = place();
    let port = host(vec![
        ("/good.png", "image/png", png(32, 32)),
        ("/slow.svg", "image/svg+xml", slow_svg()),
        ("/deep.svg", "image/svg+xml", deep_svg(150)),
        ("/bomb.png", "image/png", png(8000, 7000)),
        ("/wide.svg", "image/svg+xml", deep_svg(16)),
        ("/huge.mp4", "video/mp4", huge_clip(place.path())),
        ("/cut.mp4", "video/mp4", {
            let path = common::root().join("fixtures/media/counter.mp4");
            let mut clip = fs::read(path).unwrap();
            // The first frames are whole, those at the end are noise.
            let (from, to) = (clip.len() * 5 / 8, clip.len() * 6 / 8);
            clip[from..to].fill(0xa5);
            clip
        }),
    ]);
    let service = place.start(&format!("{CONFIG}[limits]\nreader_seconds = 4\nreader_bytes = 1073741824\n"));
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let good = link(&service, json!({ "photo": at("/good.png") }));
    assert!(!warnings(&good).contains("fallback"), "{}", good.text());
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| link(&service, json!({ "photo": at("/slow.svg") })));
        // Others go on meanwhile.
        while !slow.is_finished() {
            assert_eq!(service.get("/healthz").status, 200);
            let other = link(&service, json!({ "photo": at("/good.png") }));
            assert!(!warnings(&other).contains("fallback"));
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(warnings(&slow.join().unwrap()).contains("fallback"));
    });
    for (field, path) in
        [("photo", "/deep.svg"), ("photo", "/bomb.png"), ("photo", "/wide.svg"), ("clip", "/huge.mp4")]
    {
        let made = link(&service, json!({ field: at(path) }));
        assert!(warnings(&made).contains("fallback"), "{path}: {}", made.text());
    }
    // Where there is no fallback, the reason is told, for this request alone.
    for (path, why) in [
        ("/slow.svg", "more than 4 s of a core"),
        ("/deep.svg", "more layers and filters"),
        ("/bomb.png", "more than 50000000 pixels"),
        ("/wide.svg", "1024 MiB of memory"),
    ] {
        let refused = service.post(
            "/v1/renders",
            &json!({ "template": "show", "data": { "must": at(path) }, "output": { "format": "png", "at": "0s" } }),
        );
        assert_eq!(refused.status, 422, "{path}: {}", refused.text());
        assert!(refused.text().contains(why), "{path}: {}", refused.text());
    }
    let made = link(&service, json!({ "photo": at("/good.png"), "clip": at("/cut.mp4") }));
    println!("cut clip: {}", warnings(&made));
    let job =
        service.post("/v1/renders", &json!({ "template": "show", "data": { "must": at("/good.png") } }));
    assert_eq!(service.ended(job.json()["id"].as_str().unwrap())["state"], "done");
    let log = fs::read_to_string(&service.log).unwrap();
    assert!(!log.contains("slow.svg") && !log.contains("good.png"), "{log}");
}

#[test]
fn a_reader_that_is_killed_costs_one_file() {
    let place = place();
    let port = host(vec![
        ("/slow.svg", "image/svg+xml", slow_svg()),
        ("/slower.svg", "image/svg+xml", {
            let mut other = slow_svg();
            other.extend(b"<!-- other -->");
            other
        }),
        ("/good.png", "image/png", png(32, 32)),
    ]);
    let service = place.start(CONFIG);
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let good = link(&service, json!({ "photo": at("/good.png") }));
    assert!(!warnings(&good).contains("fallback"));
    for (signal, path, why) in [
        ("-SEGV", "/slow.svg", "signal 11"),
        ("-KILL", "/slower.svg", "was killed, for the time or the memory"),
    ] {
        let before: u64 = loop {
            // Those that wait have loaded what they need, so that who computes is who reads.
            let ticks: Vec<u64> = readers(&service).into_iter().map(ticks_of).collect();
            std::thread::sleep(Duration::from_millis(400));
            if ticks == readers(&service).into_iter().map(ticks_of).collect::<Vec<u64>>() && ticks.len() >= 2
            {
                break ticks.into_iter().max().unwrap_or(0);
            }
        };
        let refused = std::thread::scope(|scope| {
            let data = json!({ "template": "show", "data": { "must": at(path) } });
            let asked = scope.spawn({
                let service = &service;
                move || service.post("/v1/renders", &data)
            });
            let reading = loop {
                let busy = readers(&service).into_iter().find(|id| ticks_of(*id) > before + 30);
                if let Some(id) = busy {
                    break id;
                }
                assert!(!asked.is_finished(), "it was read before it could be killed");
                std::thread::sleep(Duration::from_millis(20));
            };
            // The first signal for a fault may be taken for that of a stack that overflowed, and comes again when it is none.
            while !asked.is_finished() && ticks_of(reading) > 0 {
                // It may just have ended.
                let _ = Command::new("kill").args([signal, &reading.to_string()]).status();
                std::thread::sleep(Duration::from_millis(50));
            }
            asked.join().unwrap()
        });
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(refused.text().contains(why), "{}", refused.text());
        // The same file stays refused for a while, and the service does what it did.
        assert!(warnings(&link(&service, json!({ "photo": at(path) }))).contains("fallback"));
        assert!(!warnings(&link(&service, json!({ "photo": at("/good.png") }))).contains("fallback"));
    }
}

#[test]
fn a_file_is_looked_at_once_by_readers_that_can_do_nothing_else() {
    let place = place();
    let port = host(vec![("/good.png", "image/png", png(32, 32)), ("/other.png", "image/png", png(33, 32))]);
    let service = place.start(CONFIG);
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    assert!(!warnings(&link(&service, json!({ "photo": at("/good.png") }))).contains("fallback"));
    let waiting = loop {
        let found = readers(&service);
        let confined = |id: &u32| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1")
        };
        if found.len() == 2 && found.iter().all(confined) {
            break found;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    for id in &waiting {
        let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
        let limit = |name: &str| limits.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        assert!(limit("Max cpu time").contains(" 30 "), "{limits}");
        assert!(limit("Max address space").contains(" 4294967296 "), "{limits}");
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap();
        assert!(!String::from_utf8_lossy(&environment).contains("CARGO"), "nothing of the environment");
    }
    // Another viewer with the same picture, and the same after a restart: nobody reads it again.
    let again = link(&service, json!({ "photo": at("/good.png"), "clip": "counter.mp4" }));
    assert!(!warnings(&again).contains("fallback"));
    assert_eq!(readers(&service), waiting);
    assert!(!warnings(&link(&service, json!({ "photo": at("/other.png") }))).contains("fallback"));
    assert_ne!(readers(&service), waiting, "a reader reads one file");
    assert!(service.terminate());
    let service = place.start(CONFIG);
    while readers(&service).len() < 2 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = readers(&service);
    assert!(!warnings(&link(&service, json!({ "photo": at("/good.png") }))).contains("fallback"));
    assert!(before.is_subset(&readers(&service)), "the store knows that it is right");
}

#[test]
fn uploads_with_hostile_files_are_refused() {
    let place = place();
    let service = place.start("[limits]\nreader_seconds = 4\n");
    let text = SHOW.replace("name: show", "name: mine").replace("default: grey.svg", "default: own.svg");
    let own = String::from_utf8(slow_svg()).unwrap();
    let clip = fs::read(common::root().join("fixtures/media/counter.mp4")).unwrap();
    let upload = |own: &str| {
        let mut form = Vec::new();
        for (name, bytes) in [
            ("template.yaml", text.replace("fallback: grey.svg", "fallback: own.svg").as_bytes()),
            ("own.svg", own.as_bytes()),
            ("counter.mp4", &clip[..]),
        ] {
            form.extend(format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").bytes());
            form.extend(bytes);
            form.extend(b"\r\n");
        }
        form.extend(b"--xx--\r\n");
        service.ask(
            "POST",
            "/v1/templates/mine",
            &[("content-type", "multipart/form-data; boundary=xx")],
            &form,
        )
    };
    let refused = upload(&own);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("more than 4 s of a core"), "{}", refused.text());
    let taken = upload(GREY);
    assert_eq!(taken.status, 201, "{}", taken.text());
}

/// Encodes as x264 does, except that it never comes back as often as there are files called `hang` and a number: one of them is taken
/// away each time.
const HANGING: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
typedef int (*encode_fn)(void *, void **, int *, void *, void *);
int x264_encoder_encode(void *h, void **nal, int *count, void *in, void *out) {
    const char *folder = getenv("HANG_FOLDER");
    for (int n = 1; folder && n <= 9; n++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/hang%d", folder, n);
        if (unlink(path) == 0)
            for (;;) pause();
    }
    static encode_fn real;
    if (!real) real = (encode_fn)dlsym(RTLD_NEXT, "x264_encoder_encode");
    if (!real) real = (encode_fn)dlsym(dlopen("libx264.so.164", RTLD_NOW), "x264_encoder_encode");
    return real(h, nal, count, in, out);
}
"#;

#[test]
fn an_encoder_that_hangs_fails_one_job_and_others_go_on() {
    let place = Place::new();
    let folder = place.path();
    fs::write(folder.join("hanging.c"), HANGING).unwrap();
    let library = folder.join("hanging.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(folder.join("hanging.c")).arg("-ldl");
    assert!(compiler.status().unwrap().success());
    let mut command = Command::new(env!("CARGO_BIN_EXE_vignette"));
    command.env("LD_PRELOAD", &library).env("HANG_FOLDER", folder);
    let config = "cores = 2\n[limits]\nstall_seconds = 5\n";
    let service = place.start_by(command, config);
    let render = |name: &str| {
        let made =
            service.post("/v1/renders", &json!({ "template": "hello", "data": { "first_name": name } }));
        made.json()["id"].as_str().unwrap().to_owned()
    };
    // What every video needs first is there, so that a hang is one job's.
    assert_eq!(service.ended(&render("First"))["state"], "done");
    let left = || (1..=9).filter(|number| folder.join(format!("hang{number}")).exists()).count();
    // Once: the machine is at fault, so that the job is begun again, and done.
    fs::write(folder.join("hang1"), "").unwrap();
    let again = render("Maria");
    assert_eq!(service.ended(&again)["state"], "done");
    assert_eq!(left(), 0);
    // Each time that it is begun: it fails, and says why; one that came later is done.
    for number in 1..=9 {
        fs::write(folder.join(format!("hang{number}")), "").unwrap();
    }
    let failing = render("Priya");
    while left() == 9 {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(service.get("/healthz").status, 200);
    let failed = service.ended(&failing);
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(left() < 6, "it was begun again: {}", left());
    for number in 1..=9 {
        // Those that were met are gone.
        let _ = fs::remove_file(folder.join(format!("hang{number}")));
    }
    assert_eq!(service.ended(&render("Leo"))["state"], "done");
    let log = fs::read_to_string(&service.log).unwrap();
    assert!(log.contains("made no progress for 5 s"), "{log}");
}
