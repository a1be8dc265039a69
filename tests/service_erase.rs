//! Erasing a viewer: what was made for her alone goes, what others share stays.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use common::place::{GENERATED, Place, all_media};
use common::service::{Service, path_of};
use serde_json::{Value, json};

/// A link for a viewer.
fn link(service: &Service, viewer: &str, name: &str) -> String {
    let wish = json!({ "template": "hello", "viewer": viewer, "data": { "first_name": name } });
    let made = service.post("/v1/links", &wish);
    assert_eq!(made.status, 201, "{}", made.text());
    path_of(made.json()["url"].as_str().unwrap())
}

fn play(service: &Service, link: &str) -> BTreeSet<String> {
    let names: BTreeSet<String> = all_media(service, link).into_iter().flatten().collect();
    for name in &names {
        assert_eq!(service.get(name).status, 200, "{name}");
    }
    names
}

fn erase(service: &Service, viewer: &str) -> Value {
    let gone = service.ask("DELETE", &format!("/v1/viewers/{viewer}"), &[], b"");
    assert_eq!(gone.status, 200, "{}", gone.text());
    gone.json()
}

#[test]
fn what_was_made_for_one_viewer_alone_goes_and_what_others_share_stays() {
    let place = Place::generated();
    let service = place.start("");
    let maria = link(&service, "m-1", "Maria");
    let again = link(&service, "m-1", "Maria");
    let priya = link(&service, "p-1", "Priya");
    let twin = link(&service, "p-2", "Priya");
    let of_maria = play(&service, &maria);
    let of_priya = play(&service, &priya);
    assert_eq!(play(&service, &twin), of_priya);
    let hers: Vec<&String> = of_maria.difference(&of_priya).collect();
    assert!(!hers.is_empty() && hers.len() < of_maria.len(), "{hers:?}");
    assert_eq!(service.get(&format!("{maria}video.mp4")).status, 200);
    for file in ["poster.jpg", "frame.png?at=2s"] {
        assert_eq!(service.get(&format!("{maria}{file}")).status, 200, "{file}");
    }
    // Data too long for a URL are kept here, and so is a render.
    let long: String = (0..800).map(|number| format!("{:x}", number * 7919 % 4096)).collect();
    let kept =
        json!({ "template": "hello", "viewer": "m-1", "data": { "first_name": "Maria", "story": long } });
    let kept = path_of(service.post("/v1/links", &kept).json()["url"].as_str().unwrap());
    let job = json!({ "template": "hello", "viewer": "m-1", "data": { "first_name": "Maria" } });
    let job = service.post("/v1/renders", &job).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(service.ended(&job)["state"], "done");
    // What stands still has one name wherever it stands in a video.
    let keys: BTreeSet<&str> = hers.iter().map(|name| &name[3..67]).collect();
    let made = service.metric("vignette_pieces_made_total");
    let store = place.data().join("store");
    let entries = |place: &Place| entries(place, &store);
    let before = entries(&place);

    let gone = erase(&service, "m-1");
    assert_eq!(
        gone,
        json!({
            "renders": 1, "links": 3, "rows": 0, "files": 1, "segments": keys.len(), "sounds": 0,
            "generated": { "text": 1, "voice": 0, "image": 1 }, "pending": 0,
        })
    );
    // The segment, the note for each place where it stands, and both values.
    assert_eq!(before - entries(&place), keys.len() + hers.len() + 2);
    assert_eq!(fs::read_dir(place.data().join("files")).unwrap().count(), 0);
    for file in ["", "master.m3u8", "video.mp4", "captions.vtt", "poster.jpg"] {
        for link in [&maria, &again, &kept] {
            let answer = service.get(&format!("{link}{file}"));
            let expected = if *link == kept { "link-unknown" } else { "link-erased" };
            assert_eq!(answer.code(), expected, "{file}");
        }
    }
    for name in &hers {
        assert_eq!(service.get(name).code(), "segment-unknown", "{name}");
    }
    assert_eq!(service.get(&format!("/v1/renders/{job}")).code(), "render-unknown");
    assert_eq!(play(&service, &priya), of_priya);
    assert_eq!(service.metric("vignette_pieces_made_total"), made, "nothing of the others is made again");

    // It is so after a restart, and nothing is left to erase.
    service.kill();
    let service = place.start("");
    assert_eq!(service.get(&format!("{maria}master.m3u8")).code(), "link-erased");
    for name in &hers {
        assert_eq!(service.get(name).code(), "segment-unknown", "{name}");
    }
    let nothing = erase(&service, "m-1");
    assert_eq!((&nothing["links"], &nothing["segments"]), (&json!(0), &json!(0)), "{nothing}");

    // One of two who share everything takes nothing along; the other takes it all, but for what everybody sees.
    assert_eq!(erase(&service, "p-2")["segments"], json!(0));
    assert_eq!(service.get(&format!("{twin}master.m3u8")).code(), "link-erased");
    play(&service, &priya);
    assert_eq!(service.metric("vignette_pieces_made_total"), 0.0);
    let last = erase(&service, "p-1");
    assert!(last["segments"].as_u64().unwrap() >= keys.len() as u64, "{last}");
    assert_eq!(last["sounds"], 1);
    // She may come back.
    let later = link(&service, "m-1", "Maria");
    assert_eq!(play(&service, &later), of_maria);
    assert_eq!(service.get(&format!("{maria}master.m3u8")).code(), "link-erased");
    for id in ["%20", "a%2fb", "..", &"x".repeat(129)] {
        let answer = service.ask("DELETE", &format!("/v1/viewers/{id}"), &[], b"");
        assert!(answer.status == 422 || answer.status == 404, "{id}: {}", answer.text());
    }
    let wish = json!({ "template": "hello", "viewer": "a b", "data": { "first_name": "x" } });
    assert_eq!(service.post("/v1/links", &wish).code(), "viewer-invalid");
    let bytes: Vec<u8> = place.files().into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert!(!bytes.windows(3).any(|window| window == b"m-1"), "an id is kept as a digest alone");
}

#[test]
fn what_is_under_way_for_an_erased_viewer_is_given_up_and_leaves_nothing() {
    let long = GENERATED
        .replace("duration: 2500ms", "duration: 60s")
        .replace("width: 320, height: 180, fps", "width: 1280, height: 720, fps");
    let place = Place::with("hello", &long);
    let service = place.start("");
    let job = json!({ "template": "hello", "viewer": "m-1", "data": { "first_name": "Maria" } });
    let job = service.post("/v1/renders", &job).json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/renders/{job}");
    while service.get(&path).json()["progress"]["done"].as_u64() == Some(0) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(erase(&service, "m-1")["renders"], 1);
    assert_eq!(service.get(&path).code(), "render-unknown");
    while service.metric("vignette_sittings") > 0.0 {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(fs::read_dir(place.data().join("files")).unwrap().count(), 0);
    // Others go on as if nothing had been.
    assert_eq!(service.metric("vignette_queue_depth"), 0.0);
    let other = json!({ "template": "hello", "data": { "first_name": "Leo" } });
    assert_eq!(service.post("/v1/renders", &other).status, 202);
}

#[test]
fn a_template_s_retention_time_ends_its_links_and_what_was_made() {
    let place = Place::generated();
    let service = place.start("");
    let maria = link(&service, "m-1", "Maria");
    play(&service, &maria);
    let put = |path: &str, body: Value| service.ask("PUT", path, &[], body.to_string().as_bytes());
    let path = "/v1/templates/hello/retention";
    assert_eq!(put(path, json!({ "days": 0 })).code(), "retention-invalid");
    assert_eq!(put("/v1/templates/other/retention", json!({ "days": 3 })).code(), "template-unknown");
    assert_eq!(
        put(path, json!({ "days": 30 })).json(),
        json!({ "name": "hello", "days": 30, "default": false })
    );
    assert_eq!(service.get("/v1/templates/hello").json()["retention_days"], 30);
    assert_eq!(service.get(&format!("{maria}master.m3u8")).status, 200);
    let job = json!({ "template": "hello", "data": { "first_name": "Leo" } });
    let job = service.post("/v1/renders", &job).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(service.ended(&job)["state"], "done");
    assert!(service.terminate());
    // Two months go by: as far as the records tell, everything was made then.
    place.sql("UPDATE owners SET day = day - 60; UPDATE jobs SET created = created - 5184000000");
    let service = place.start("");
    while !fs::read_to_string(&service.log).unwrap().contains("\"event\":\"retire\"") {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(service.get(&format!("/v1/renders/{job}")).code(), "render-unknown");
    assert_eq!(fs::read_dir(place.data().join("files")).unwrap().count(), 0);
    // The header of all pictures of that size, which tells of nothing but the size.
    assert_eq!(entries(&place, &place.data().join("store")), 1);
    assert_eq!(put_default(&service), json!({ "name": "hello", "days": 730, "default": true }));
}

/// Entries of a store in a folder, which are named by digests.
fn entries(place: &Place, store: &Path) -> usize {
    let is_entry =
        |path: &Path| path.starts_with(store) && path.file_name().is_some_and(|name| name.len() == 64);
    place.files().iter().filter(|(path, _)| is_entry(path)).count()
}

fn put_default(service: &Service) -> Value {
    let body = json!({ "days": null }).to_string();
    service.ask("PUT", "/v1/templates/hello/retention", &[], body.as_bytes()).json()
}
