//! Signed addresses, and formats other than MP4.

mod common;

use common::place::Place;
use common::service::{Service, path_of};
use common::{complaints, probe};
use serde_json::{Value, json};

fn sign(service: &Service, wish: Value) -> String {
    let made = service.post("/v1/signatures", &wish);
    assert_eq!(made.status, 201, "{}", made.text());
    path_of(made.json()["url"].as_str().unwrap())
}

/// A template without anything personal: an ad with a price.
const AD: &str = r##"
vignette: 1
name: ad
canvas: { width: 320, height: 180, fps: 20, background: "#101828" }
renditions: { square: { width: 160, height: 160 } }
data:
  required: [price]
  properties:
    price: { type: integer, minimum: 1 }
    word: { type: string, maxLength: 40, default: now }
    name: { type: string, x-pii: true, default: you }
scenes:
  - duration: 2s
    layers: [{ text: "{{price}} {{word}}, {{name}}", style: { size: 30px, color: white, fit: shrink }, box: { x: 5%, y: 30%, width: 90%, height: 40% } }]
"##;

#[test]
fn signed_addresses_give_what_was_signed_and_nothing_else() {
    let place = Place::with("ad", AD);
    let service = place.start("");
    let wish =
        |format: &str, data: Value| json!({ "template": "ad", "data": data, "output": { "format": format } });
    for (format, kind, start) in [
        ("gif", "image/gif", &b"GIF89a"[..]),
        ("webp", "image/webp", b"RIFF"),
        ("jpg", "image/jpeg", &[0xff, 0xd8]),
        ("png", "image/png", b"\x89PNG"),
        ("mp4", "video/mp4", b"\0\0\0"),
        ("webm", "video/webm", &[0x1a, 0x45, 0xdf, 0xa3]),
    ] {
        let path = sign(&service, wish(format, json!({ "price": 9, "word": "a&b =+%é" })));
        assert!(path.contains("price=9") && path.contains("word=a%26b%20%3D%2B%25%C3%A9"), "{path}");
        let answer = service.get(&path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(kind)),
            "{format}: {}",
            answer.text()
        );
        assert!(answer.body.starts_with(start), "{format}");
        let again = service.get(&path);
        assert_eq!(again.status, 200);
        assert!(again.header("cache-control").unwrap().starts_with("public, max-age="), "{again:?}");
        if format != "mp4" {
            assert_eq!(again.body, answer.body, "{format}");
        }
    }
    // In any order, and with a plus for a space, it is the same address.
    let path = sign(&service, wish("jpg", json!({ "price": 9, "word": "two words" })));
    let (file, query) = path.split_once('?').unwrap();
    let mut fields: Vec<&str> = query.split('&').collect();
    fields.reverse();
    assert_eq!(service.get(&format!("{file}?{}", fields.join("&").replace("%20", "+"))).status, 200);
    for (what, changed) in [
        ("a price", path.replace("price=9", "price=1")),
        ("a word", path.replace("two", "six")),
        ("another format", path.replace(".jpg", ".png")),
        ("another end", path.replace("&x=1", "&x=2")),
        ("a field more", format!("{path}&w=100")),
        ("no signature", path.rsplit_once("&sig=").unwrap().0.to_owned()),
        ("half a signature", path[..path.len() - 10].to_owned()),
        ("another key", path.replace("&k=", "&k=0")),
    ] {
        assert_ne!(changed, path, "{what}");
        let answer = service.get(&changed);
        assert_eq!((answer.status, answer.code().as_str()), (403, "signature-invalid"), "{what}");
    }
    assert_eq!(service.get(&format!("{path}&price=9")).code(), "query-invalid");
    assert_eq!(service.get(&format!("{file}?price=%ff")).code(), "query-invalid");
    assert_eq!(service.get(&format!("{file}?word={}", "x".repeat(2000))).code(), "query-too-long");
    for other in ["/r/ad.avi", "/r/ad", "/r/..%2fad.png", "/r/.png"] {
        assert_eq!(service.get(&format!("{other}?{query}")).code(), "path-unknown", "{other}");
    }
    let short = sign(
        &service,
        json!({ "template": "ad", "data": { "price": 1 }, "output": { "format": "png" }, "expires_in": 1 }),
    );
    while service.get(&short).status == 200 {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(service.get(&short).code(), "signature-expired");
    let wrong = service.post("/v1/signatures", &wish("png", json!({ "price": "cheap" })));
    assert_eq!(wrong.status, 422);
    let hls = service.post("/v1/signatures", &wish("hls", json!({ "price": 1 })));
    assert_eq!(hls.code(), "output-invalid");
    let long = service.post(
        "/v1/signatures",
        &json!({ "template": "ad", "data": { "price": 1 }, "output": { "format": "png", "at": "90s" } }),
    );
    assert_eq!(
        service.get(&path_of(long.json()["url"].as_str().unwrap())).status,
        422,
        "a moment past the end"
    );
}

#[test]
fn personal_fields_are_sealed_and_end_with_their_viewer() {
    let place = Place::with("ad", AD);
    let service = place.start("");
    let wish = json!({
        "template": "ad", "viewer": "v-1", "data": { "price": 3, "name": "Xantippe" }, "output": { "format": "png", "rendition": "square", "width": 80 },
    });
    let path = sign(&service, wish);
    assert!(!path.contains("Xantippe") && !path.contains("price"), "{path}");
    let answer = service.get(&path);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("cache-control").unwrap().starts_with("private"), "{answer:?}");
    let picture = image::load_from_memory(&answer.body).unwrap();
    assert_eq!((picture.width(), picture.height()), (80, 80));
    // Signed by the caller itself, with the key that the service tells: the scheme is what it says.
    let key = service.get("/v1/signing-key").json();
    let by_hand = |fields: &[(&str, &str)]| {
        let mut pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.sort();
        let text = format!("/r/ad.png?{}", pairs.join("&"));
        let script = format!(
            "import base64,hmac,sys; k=base64.urlsafe_b64decode('{}='); \
             print(base64.urlsafe_b64encode(hmac.new(k,b'{text}','sha256').digest()).decode().rstrip('='))",
            key["secret"].as_str().unwrap()
        );
        let made = common::succeed(std::process::Command::new("python3").args(["-c", &script]));
        format!("{text}&sig={}", made.trim())
    };
    let id = key["id"].as_str().unwrap();
    assert_eq!(service.get(&by_hand(&[("k", id), ("x", "4000000000"), ("price", "5")])).status, 200);
    let open = service.get(&by_hand(&[("k", id), ("x", "4000000000"), ("price", "5"), ("name", "Maria")]));
    assert_eq!((open.status, open.json()["field"].as_str()), (422, Some("name")), "{}", open.text());
    assert_eq!(open.code(), "field-personal");
    assert_eq!(service.get(&by_hand(&[("k", id), ("price", "5")])).code(), "expiry-invalid");
    // Rotated, it goes on for as long as it is told to.
    let rotate = |days: u32| service.post("/v1/signing-key", &json!({ "overlap_days": days }));
    assert_eq!(rotate(1).status, 201);
    assert_eq!(service.get(&path).status, 200);
    let told = service.get("/v1/signing-key").json();
    assert_ne!(told["id"], key["id"]);
    assert_eq!(told["ending"][0]["id"], key["id"]);
    let gone = service.ask("DELETE", "/v1/viewers/v-1", &[], b"").json();
    assert_eq!(gone["files"], 1, "{gone}");
    assert_eq!(service.get(&path).code(), "link-erased");
    assert_eq!(rotate(0).status, 201);
    assert_eq!(
        service.get(&by_hand(&[("k", id), ("x", "4000000000"), ("price", "5")])).code(),
        "signature-invalid"
    );
}

#[test]
fn renders_and_links_have_other_formats() {
    let place = Place::generated();
    let service = place.start("");
    let render = |output: Value| {
        let job =
            json!({ "template": "hello", "data": { "first_name": "Maria" }, "output": output, "wait": 60 });
        service.post("/v1/renders", &job)
    };
    let webm = render(json!({ "format": "webm" }));
    assert_eq!((webm.status, webm.header("content-type")), (200, Some("video/webm")), "{}", webm.text());
    let path = place.path().join("x.webm");
    std::fs::write(&path, &webm.body).unwrap();
    assert_eq!((complaints(&path).as_str(), probe(&path).frames), ("", 120));
    let gif = render(json!({ "format": "gif", "width": 160, "max_bytes": 60000 }));
    assert!(gif.body.starts_with(b"GIF89a") && gif.body.len() <= 60_000, "{}", gif.body.len());
    let still = render(json!({ "format": "jpg", "at": "2s", "width": 160 }));
    assert_eq!(image::load_from_memory(&still.body).unwrap().width(), 160);
    let hls = render(json!({ "format": "hls" }));
    assert_eq!(hls.header("content-type"), Some("application/zip"));
    let zip = zip::ZipArchive::new(std::io::Cursor::new(&hls.body)).unwrap();
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    assert!(names.iter().any(|name| name == "master.m3u8") && names.len() > 5, "{names:?}");
    for (output, field) in [
        (json!({ "format": "mp4", "width": 100 }), "output.width"),
        (json!({ "format": "png", "at": "soon" }), "output.at"),
        (json!({ "format": "jpg", "max_bytes": 20000 }), "output.max_bytes"),
    ] {
        let refused = render(output);
        assert_eq!(
            (refused.status, refused.json()["field"].as_str()),
            (422, Some(field)),
            "{}",
            refused.text()
        );
    }
    assert_eq!(render(json!({ "format": "avi" })).status, 400);
    let link = service.link("hello", json!({ "first_name": "Maria" }));
    for (name, kind) in [("preview.gif", "image/gif"), ("preview.webp", "image/webp")] {
        let answer = service.get(&format!("{link}{name}"));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)));
        let whole = answer.body.len();
        let part = service.ask("GET", &format!("{link}{name}"), &[("range", "bytes=0-9")], b"");
        assert_eq!((part.status, part.body.as_slice()), (206, &answer.body[..10]), "{whole}");
    }
}
