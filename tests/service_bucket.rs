//! The service with its finished files and its segments in a bucket.

mod common;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use common::place::Place;
use common::s3::Server;
use common::service::{Receiver, Service};
use common::{complaints, run, vignette};
use serde_json::{Value, json};

/// A service with everything that it makes in the bucket.
fn start(place: &Place, server: &Server, config: &str) -> Service {
    let mut command = Command::new("bash");
    let stored = "exec \"$0\" \"$@\" --store s3://films/store";
    command.args(["-c", stored, env!("CARGO_BIN_EXE_vignette")]).envs(server.variables());
    let config = format!("files = 's3://films/finished'\n{config}");
    place.start_by(command, &config)
}

fn render(service: &Service, name: &str, format: &str, more: Value) -> String {
    let mut job =
        json!({ "template": "hello", "data": { "first_name": name }, "output": { "format": format } });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = service.post("/v1/renders", &job);
    assert_eq!(made.status, 202, "{}", made.text());
    made.json()["id"].as_str().unwrap().to_owned()
}

/// Files that were left in the folder, but for what the service itself needs.
fn left(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.data().join("files")).unwrap().flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn finished(server: &mut Server) -> Vec<String> {
    server.objects().into_iter().filter(|name| name.starts_with("finished/")).collect()
}

#[test]
fn finished_files_are_kept_and_given_out_and_erased() {
    let (place, mut server) = (Place::new(), Server::start());
    let service = start(&place, &server, "");
    let maria = json!({ "viewer": "u1" });
    let jobs: Vec<(&str, String)> = ["mp4", "gif", "hls", "png"]
        .map(|format| (format, render(&service, "Maria Ångström", format, maria.clone())))
        .into();
    let other = render(&service, "Jo", "mp4", json!({ "viewer": "u2" }));
    let mut lengths = Vec::new();
    for (format, id) in &jobs {
        let job = service.ended(id);
        assert_eq!(job["state"], "done", "{format}: {job}");
        let whole = service.get(&format!("/v1/renders/{id}/file"));
        assert_eq!(
            (whole.status, whole.body.len() as u64),
            (200, job["bytes"].as_u64().unwrap()),
            "{format}"
        );
        lengths.push(whole.body.len());
        let ask =
            |header: (&str, &str)| service.ask("GET", &format!("/v1/renders/{id}/file"), &[header], b"");
        let part = ask(("range", "bytes=10-19"));
        assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[10..20]), "{format}");
        assert_eq!(ask(("range", "bytes=999999999-")).status, 416);
        assert_eq!(ask(("if-none-match", whole.header("etag").unwrap())).status, 304);
        if *format == "mp4" {
            let file = place.path().join("whole.mp4");
            fs::write(&file, &whole.body).unwrap();
            assert_eq!(complaints(&file), "");
        }
    }
    assert_eq!(service.ended(&other)["state"], "done");
    assert_eq!(finished(&mut server).len(), 5);
    assert!(server.objects().iter().any(|name| name.starts_with("store/")), "segments are there too");
    assert!(server.objects().iter().all(|name| !name.contains("Maria")));
    assert_eq!(left(&place), Vec::<String>::new());
    // A link's animation, and the video that was watched to its end, go there as well.
    let made = json!({ "template": "hello", "data": { "first_name": "Eve" }, "viewer": "u3" });
    let link = common::service::path_of(service.post("/v1/links", &made).json()["url"].as_str().unwrap());
    assert_eq!(service.get(&format!("{link}preview.webp")).status, 200);
    assert_eq!(service.get(&format!("{link}video.mp4")).status, 200);
    while finished(&mut server).len() < 7 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let ranged = service.ask("GET", &format!("{link}video.mp4"), &[("range", "bytes=0-99")], b"");
    assert_eq!((ranged.status, ranged.body.len()), (206, 100));
    // Another start finds what the one before kept.
    assert!(service.terminate());
    let service = start(&place, &server, "");
    let (_, id) = &jobs[0];
    assert_eq!(service.get(&format!("/v1/renders/{id}/file")).body.len(), lengths[0]);
    assert_eq!(service.get("/readyz").json()["files"], true);
    // Nothing of the one who is erased stays, and what others have does.
    let erased = service.ask("DELETE", "/v1/viewers/u1", &[], b"").json();
    assert_eq!((&erased["files"], &erased["pending"]), (&json!(4), &json!(0)), "{erased}");
    assert_eq!(finished(&mut server).len(), 3);
    assert_eq!(service.get(&format!("/v1/renders/{other}/file")).status, 200);
}

#[test]
fn a_bucket_that_is_away_loses_nothing() {
    let (place, mut server, receiver) = (Place::new(), Server::start(), Receiver::new(204));
    let service = start(&place, &server, "private_webhook_hosts = ['127.0.0.1']\n");
    let first = render(&service, "Ada", "mp4", json!({}));
    assert_eq!(service.ended(&first)["state"], "done");
    server.hang(true);
    let since = Instant::now();
    let hook = json!({ "webhook": format!("http://127.0.0.1:{}/", receiver.port) });
    let jobs: Vec<String> = ["Bea", "Cem"].map(|name| render(&service, name, "mp4", hook.clone())).into();
    // Who wants a file is told to come again; who watches does not notice, as segments are made here.
    let refused = service.get(&format!("/v1/renders/{first}/file"));
    assert_eq!((refused.status, refused.code().as_str()), (503, "files-away"), "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    assert_eq!(service.get("/readyz").status, 503);
    assert_eq!(service.get("/healthz").status, 200);
    let link = service.link("hello", json!({ "first_name": "Dan" }));
    for name in common::place::all_media(&service, &link).concat() {
        assert_eq!(service.get(&name).status, 200, "{name}");
    }
    std::thread::sleep(Duration::from_secs(20).saturating_sub(since.elapsed()));
    server.hang(false);
    for id in &jobs {
        assert_eq!(service.ended(id)["state"], "done");
        assert_eq!(service.get(&format!("/v1/renders/{id}/file")).status, 200);
    }
    assert_eq!(service.get(&format!("/v1/renders/{first}/file")).status, 200);
    assert_eq!(finished(&mut server).len(), 3);
    while receiver.heard().len() < 2 {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(left(&place), Vec::<String>::new());
}

#[test]
fn a_file_of_many_parts_is_whole() {
    // Noise cannot be made small.
    let template = r##"
vignette: 1
name: hello
canvas: { width: 1920, height: 1080, fps: 25 }
data: { properties: { first_name: { type: string, default: x } } }
assets: { noise: { image: noise.png } }
scenes: [{ name: one, duration: 1s, layers: [{ image: noise, fit: fill }] }]
"##;
    let (place, mut server) = (Place::with("hello", template), Server::start());
    let mut state = 1_u32;
    let noise = image::RgbImage::from_fn(1920, 1080, |_, _| {
        // Xorshift of Marsaglia.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        image::Rgb([state as u8, (state >> 8) as u8, (state >> 16) as u8])
    });
    noise.save(place.gallery().join("hello/noise.png")).unwrap();
    let service = start(&place, &server, "");
    let still = json!({ "output": { "format": "png", "width": 1920, "at": "0s" } });
    let id = render(&service, "x", "png", still);
    let job = service.ended(&id);
    assert_eq!(job["state"], "done", "{job}");
    let length = job["bytes"].as_u64().unwrap();
    assert!(length > 5 << 20, "{length} bytes are a single part");
    let file = service.get(&format!("/v1/renders/{id}/file")).body;
    assert_eq!(file.len() as u64, length);
    // Every part of it has a checksum.
    assert_eq!(image::load_from_memory(&file).unwrap().to_rgb8().dimensions(), noise.dimensions());
    assert_eq!(finished(&mut server).len(), 1);
}

#[test]
fn a_bucket_is_checked_before_the_start() {
    let (place, mut server) = (Place::new(), Server::start());
    let check = |files: &str| {
        let mut command = vignette();
        command.args(["serve", "--check-config", "--data-dir"]).arg(place.data()).args(["--files", files]);
        let output = run(command.envs(server.variables()));
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(check("s3://films/finished").0, Some(0));
    let (status, told) = check("s3://not-there/finished");
    assert!(
        status == Some(1) && told.contains("s3://not-there/finished: the bucket does not exist"),
        "{told}"
    );
    let (status, told) = check("s3://me:secret@films");
    assert!(status == Some(1) && told.contains("AWS_ACCESS_KEY_ID") && !told.contains("secret"), "{told}");
    assert_eq!(finished(&mut server), Vec::<String>::new());
}
