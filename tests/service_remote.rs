//! Pictures that viewers' data name by address: fetched from hosts that are allowed, and from no other.

mod common;

use std::io::{Cursor, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::place::Place;
use common::service::{Service, path_of};
use serde_json::json;

const PHOTO: &str = r##"
vignette: 1
name: photo
canvas: { width: 64, height: 64, fps: 10, background: "#000000" }
data: { required: [photo], properties: { photo: { type: string, x-pii: true } } }
assets: { photo: { image: "{{photo}}", fallback: grey.svg } }
scenes: [{ duration: 1s, layers: [{ image: photo, fit: cover, box: { x: 0, y: 0, width: 100%, height: 100% } }] }]
"##;

/// Serves a red picture at every path, and counts how often.
fn host() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let asked = count.clone();
    std::thread::spawn(move || {
        let mut picture = Vec::new();
        let red = image::RgbImage::from_pixel(32, 32, image::Rgb([220, 0, 0]));
        red.write_to(&mut Cursor::new(&mut picture), image::ImageFormat::Png).unwrap();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 2048]);
            asked.fetch_add(1, Ordering::Relaxed);
            let head = format!(
                "HTTP/1.1 200 X\r\ncontent-type: image/png\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                picture.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &picture].concat());
        }
    });
    (port, count)
}

/// The red of the middle of a video's first frame, and whether its fallback is told of.
fn shown(service: &Service, photo: &str) -> (u8, bool) {
    let made = service.post("/v1/links", &json!({ "template": "photo", "data": { "photo": photo } }));
    assert_eq!(made.status, 201, "{}", made.text());
    let fallback = made.json()["warnings"].to_string().contains("fallback");
    assert!(!made.json()["warnings"].to_string().contains(photo), "a warning repeats no value");
    let link = path_of(made.json()["url"].as_str().unwrap());
    let frame = service.get(&format!("{link}frame.png?at=0s"));
    (image::load_from_memory(&frame.body).unwrap().to_rgb8().get_pixel(32, 32)[0], fallback)
}

#[test]
fn pictures_come_from_allowed_hosts_alone() {
    let place = Place::with("photo", PHOTO);
    let grey = r##"<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8" fill="#404040"/></svg>"##;
    std::fs::write(place.path().join("gallery/photo/grey.svg"), grey).unwrap();
    let (port, asked) = host();
    let address = format!("http://127.0.0.1:{port}/maria.png");
    let service = place.start("");
    let (red, fallback) = shown(&service, &address);
    assert!(red < 100 && fallback, "nothing is fetched unless the host is allowed: {red}");
    service.kill();
    let service =
        place.start("asset_hosts = ['127.0.0.1', 'localhost']\nprivate_asset_hosts = ['127.0.0.1']\n");
    let (red, fallback) = shown(&service, &address);
    assert!(red > 180 && !fallback, "{red}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert!(shown(&service, &address).0 > 180);
    assert_eq!(asked.load(Ordering::Relaxed), 1, "kept for the next one");
    for other in [
        format!("http://localhost:{port}/x.png"),
        "https://localhost/x.png".to_owned(),
        "https://169.254.169.254/x.png".to_owned(),
        "https://example.com/x.png".to_owned(),
    ] {
        let (red, fallback) = shown(&service, &other);
        assert!(red < 100 && fallback, "{other}: {red}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
