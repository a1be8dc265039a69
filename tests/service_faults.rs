//! The service while something that it stands on is away, full, slow or wrong: what was accepted ends, and ends once.

mod common;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use common::complaints;
use common::place::{Place, all_media};
use common::service::{Receiver, Service};
use serde_json::{Value, json};

/// Accepts renders for so many viewers, and gives their names.
fn renders(service: &Service, count: usize, hook: Option<&Receiver>) -> Vec<String> {
    let hook = hook.map(|receiver| format!("http://127.0.0.1:{}/", receiver.port));
    let one = |number: usize| {
        let job =
            json!({ "template": "hello", "data": { "first_name": format!("V {number}") }, "webhook": hook });
        let made = service.post("/v1/renders", &job);
        assert_eq!(made.status, 202, "{}", made.text());
        made.json()["id"].as_str().unwrap().to_owned()
    };
    (0..count).map(one).collect()
}

/// Waits until the webhook of each has ended as it should.
fn delivered(service: &Service, ids: &[String]) {
    let state = |id: &String| service.get(&format!("/v1/renders/{id}")).json()["webhook"]["state"].clone();
    while ids.iter().any(|id| state(id) != "delivered") {
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_database_that_is_away_loses_nothing() {
    let place = Place::new();
    let receiver = Receiver::new(204);
    let service = place.start("private_webhook_hosts = ['127.0.0.1']\n");
    let link = service.link("hello", json!({ "first_name": "Maria" }));
    let ids = renders(&service, 3, Some(&receiver));
    // Another process holds the database for longer than the service waits for it.
    let holder = place.hold();
    let held = Instant::now();
    // Who watches needs no database; who wants to have something written is told to come again.
    for name in all_media(&service, &link).concat() {
        assert_eq!(service.get(&name).status, 200, "{name}");
    }
    let refused =
        service.post("/v1/renders", &json!({ "template": "hello", "data": { "first_name": "late" } }));
    assert_eq!((refused.status, refused.code().as_str()), (503, "busy"), "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    assert_eq!(service.get("/healthz").status, 200);
    // Twenty seconds at least, in which jobs end and cannot say so.
    std::thread::sleep(Duration::from_secs(20).saturating_sub(held.elapsed()));
    drop(holder);
    for id in &ids {
        assert_eq!(service.ended(id)["state"], "done");
    }
    delivered(&service, &ids);
    assert_eq!(receiver.heard().len(), ids.len(), "each webhook once");
}

#[test]
fn a_store_that_is_away_costs_work_and_nothing_else() {
    let place = Place::new();
    let service = place.start("");
    let link = service.link("hello", json!({ "first_name": "Maria" }));
    let media = all_media(&service, &link).concat();
    assert_eq!(service.get(&media[1]).status, 200);
    // Where the store was there is something that is no folder.
    let (store, away) = (place.data().join("store"), place.data().join("away"));
    fs::rename(&store, &away).unwrap();
    fs::write(&store, "").unwrap();
    let ids = renders(&service, 2, None);
    for name in &media {
        assert_eq!(service.get(name).status, 200, "{name}");
    }
    for id in &ids {
        assert_eq!(service.ended(id)["state"], "done");
    }
    fs::remove_file(&store).unwrap();
    fs::rename(&away, &store).unwrap();
    let later = renders(&service, 1, None);
    assert_eq!(service.ended(&later[0])["state"], "done");
    let file = place.path().join("later.mp4");
    fs::write(&file, service.get(&format!("/v1/renders/{}/file", later[0])).body).unwrap();
    assert_eq!(complaints(&file), "");
}

#[test]
fn a_full_disk_fails_renders_and_damages_nothing() {
    let place = Place::new();
    // There is a database before the disk is full.
    assert!(place.start("").terminate());
    // A limit on the size of files stands for a full disk: writes beyond it fail in the same way. The signal that comes with it is
    // ignored, and the log goes to the limit as well.
    let mut limited = Command::new("bash");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 400; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_vignette")]);
    let service = place.start_by(limited, "");
    let link = service.link("hello", json!({ "first_name": "Maria" }));
    let offered =
        service.post("/v1/renders", &json!({ "template": "hello", "data": { "first_name": "Maria" } }));
    let job = offered.json()["id"].as_str().map(str::to_owned);
    assert!(matches!(offered.status, 202 | 503), "{}", offered.text());
    for name in all_media(&service, &link).concat() {
        assert_eq!(service.get(&name).status, 200, "{name}");
    }
    if let Some(job) = &job {
        // It may just have fitted, and then it is whole; or its end cannot be written while there is no room.
        let state = || service.get(&format!("/v1/renders/{job}")).json()["state"].clone();
        for _ in 0..100 {
            if !matches!(state().as_str(), Some("queued" | "rendering")) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        if state() == "done" {
            let file = place.path().join("full.mp4");
            fs::write(&file, service.get(&format!("/v1/renders/{job}/file")).body).unwrap();
            assert_eq!(complaints(&file), "");
        }
    }
    assert_eq!(service.get("/healthz").status, 200);
    service.kill();
    // With room again everything works, with what was kept before.
    let service = place.start("");
    let media = all_media(&service, &link).concat();
    let bytes: Vec<u8> = media[..6].iter().flat_map(|name| service.get(name).body).collect();
    let file = place.path().join("after.mp4");
    fs::write(&file, bytes).unwrap();
    assert_eq!(complaints(&file), "");
    let ids = renders(&service, 1, None);
    assert_eq!(service.ended(&ids[0])["state"], "done");
}

#[test]
fn receivers_that_are_slow_fail_redirect_or_are_private_hear_as_they_should() {
    let place = Place::new();
    let inside = Receiver::new(204);
    let to_inside = format!("location: http://127.0.0.1:{}/\r\n", inside.port);
    let redirecting = Receiver::with(&to_inside, |_| (302, Duration::ZERO));
    // Too slow at first, then failing, then well.
    let shaky = Receiver::with("", |number| match number {
        0 => (204, Duration::from_secs(3)),
        1 => (500, Duration::ZERO),
        _ => (204, Duration::ZERO),
    });
    let service =
        place.start("private_webhook_hosts = ['127.0.0.1']\n[limits]\nwebhook_seconds = 1\njobs = 4\n");
    let told = |hook: String| {
        let job = json!({ "template": "hello", "data": { "first_name": "Maria" }, "webhook": hook });
        let made = service.post("/v1/renders", &job);
        made.json()["id"].as_str().map(str::to_owned).unwrap_or_else(|| panic!("{}", made.text()))
    };
    let shaky_id = told(format!("http://127.0.0.1:{}/", shaky.port));
    let redirected = told(format!("http://127.0.0.1:{}/", redirecting.port));
    // A name that leads inside; what it leads to is looked at when it is called.
    let private = told(format!("https://localhost:{}/", inside.port));
    let attempted = |id: &str, least: u64| -> Value {
        loop {
            let job = service.get(&format!("/v1/renders/{id}")).json();
            if job["webhook"]["attempts"].as_u64().unwrap_or(0) >= least {
                return job["webhook"].clone();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let refused = attempted(&private, 1);
    assert_eq!((&refused["state"], &refused["last"]), (&json!("pending"), &json!("address refused")));
    let sent_on = attempted(&redirected, 2);
    assert_eq!((&sent_on["state"], &sent_on["last"]), (&json!("pending"), &json!("302")));
    delivered(&service, std::slice::from_ref(&shaky_id));
    assert_eq!(attempted(&shaky_id, 3)["attempts"], 3);
    let heard = shaky.heard();
    assert!(heard.iter().all(|(id, body)| *id == heard[0].0 && body["data"]["id"] == json!(shaky_id)));
    assert!(inside.heard().is_empty(), "nobody inside heard anything");
    // None of them held the others' renders up.
    for id in [shaky_id, redirected, private] {
        assert_eq!(service.get(&format!("/v1/renders/{id}")).json()["state"], "done");
    }
}

#[test]
fn a_clock_that_jumps_stops_nothing() {
    let place = Place::new();
    let moment = place.path().join("clock");
    let set = |offset: &str| fs::write(&moment, offset).unwrap();
    set("+0");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vignette"));
    let library = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
        .map(|folder| format!("{folder}/faketime/libfaketimeMT.so.1"))
        .into_iter()
        .find(|path| fs::exists(path).unwrap_or(false))
        .expect("libfaketime: run scripts/setup.sh --tests");
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &moment)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let receiver = Receiver::with("", |number| (if number == 0 { 500 } else { 204 }, Duration::ZERO));
    let config = "private_webhook_hosts = ['127.0.0.1']\n[limits]\njobs = 1\n";
    let service = place.start_by(command, config);
    let link = service.link("hello", json!({ "first_name": "Maria" }));
    set("+10d");
    let ahead = renders(&service, 2, Some(&receiver));
    assert_eq!(service.ended(&ahead[0])["state"], "done");
    // What was put off until then is not put off for ten days.
    set("-10d");
    let behind = renders(&service, 2, Some(&receiver));
    let all = [ahead, behind].concat();
    for id in &all {
        assert_eq!(service.ended(id)["state"], "done");
    }
    delivered(&service, &all);
    assert_eq!(receiver.heard().len(), all.len() + 1, "one was tried twice");
    assert_eq!(service.get(&format!("{link}master.m3u8")).status, 200);
    set("+100d");
    assert_eq!(service.get(&format!("{link}master.m3u8")).code(), "link-expired");
}
