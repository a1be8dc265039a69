//! Batches over HTTP: an audience that becomes a file or a link for each row.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use common::place::Place;
use common::service::{Answer, Service, path_of};
use common::{complaints, probe};
use serde_json::{Value, json};

fn upload(service: &Service, query: &str, kind: &str, body: &str) -> Answer {
    service.ask("POST", &format!("/v1/batches?{query}"), &[("content-type", kind)], body.as_bytes())
}

fn id_of(made: &Answer) -> String {
    assert_eq!(made.status, 202, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), Some(format!("/v1/batches/{id}").as_str()));
    id
}

/// Waits until a batch is in one of these states.
fn until(service: &Service, id: &str, states: &[&str]) -> Value {
    loop {
        let batch = service.get(&format!("/v1/batches/{id}")).json();
        let state = batch["state"].as_str().unwrap_or_default();
        if states.contains(&state) {
            return batch;
        }
        assert!(!matches!(state, "failed" | "done" | "cancelled"), "{batch}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn step(service: &Service, id: &str, step: &str) -> Answer {
    service.ask("POST", &format!("/v1/batches/{id}/{step}"), &[], b"")
}

fn results(service: &Service, id: &str) -> Vec<Vec<String>> {
    let answer = service.get(&format!("/v1/batches/{id}/results.csv"));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    let split = |line: &str| line.split(',').map(str::to_owned).collect();
    answer.text().lines().map(split).collect()
}

const PEOPLE: &str = "id,first_name,plan\r\nc-1,Maria,pro\r\nc-2,Priya,basic\r\nc-3,Leo,gold\r\nc-4,Maria,pro\r\nc/5,Zoe,pro\r\n";

#[test]
fn an_audience_is_forecast_then_made_and_told_row_by_row() {
    let place = Place::generated();
    let service = place.start("");
    let id = id_of(&upload(&service, "template=hello&viewer=id&columns=id", "text/csv", PEOPLE));
    let batch = until(&service, &id, &["forecast"]);
    assert_eq!(
        batch["rows"],
        json!({ "total": 5, "done": 0, "failed": 1, "erased": 0, "left": 4 }),
        "{batch}"
    );
    let forecast = &batch["forecast"];
    // The id with a slash is no id; `gold` is no plan.
    assert_eq!(
        (&forecast["viewers"], &forecast["failed"], &forecast["unread"]),
        (&json!(3), &json!(1), &json!(1))
    );
    assert_eq!(forecast["faults"][0]["first"], json!([3]), "by its number in the audience: {forecast}");
    assert!(
        forecast["cost"]["cpu_seconds"]["mean"].as_f64().is_some_and(|seconds| seconds > 0.0),
        "{forecast}"
    );
    assert_eq!(step(&service, &id, "pause").code(), "batch-state");
    assert_eq!(step(&service, &id, "dance").code(), "path-unknown");
    assert_eq!(step(&service, &id, "start").json()["state"], "running");
    let batch = until(&service, &id, &["done"]);
    assert_eq!(batch["rows"], json!({ "total": 5, "done": 3, "failed": 2, "erased": 0, "left": 0 }));
    let table = results(&service, &id);
    assert_eq!(table[0], ["row", "status", "file", "error", "id"]);
    let told: Vec<(&str, &str)> =
        table[1..].iter().map(|row| (row[1].as_str(), row.last().unwrap().as_str())).collect();
    let expected = [("done", "c-1"), ("done", "c-2"), ("failed", "c-3"), ("done", "c-4"), ("failed", "c/5")];
    assert_eq!(told, expected);
    assert!(
        table[3].join(",").contains("invalid: ") && table[5].join(",").contains("viewer-invalid"),
        "{table:?}"
    );
    let text = service.get(&format!("/v1/batches/{id}/results.csv")).text();
    assert!(!text.contains("Maria") && !text.contains("gold"), "only the column that was asked for: {text}");
    for row in [1, 2, 4] {
        let file = service.get(&path_of(&table[row][2]));
        assert_eq!((file.status, file.header("content-type")), (200, Some("video/mp4")));
        let path = place.path().join("row.mp4");
        std::fs::write(&path, &file.body).unwrap();
        assert_eq!((complaints(&path).as_str(), probe(&path).frames), ("", 120));
    }
    assert_eq!(service.get(&format!("/v1/batches/{id}/rows/3/file")).code(), "row-not-done");
    assert_eq!(service.get(&format!("/v1/batches/{id}/rows/9/file")).code(), "row-unknown");

    // One who is erased takes her row along; her twin's file stays.
    let gone = service.ask("DELETE", "/v1/viewers/c-1", &[], b"").json();
    assert_eq!((&gone["rows"], &gone["files"]), (&json!(1), &json!(0)), "{gone}");
    let gone = service.ask("DELETE", "/v1/viewers/c-2", &[], b"").json();
    assert_eq!((&gone["rows"], &gone["files"]), (&json!(1), &json!(1)), "{gone}");
    let table = results(&service, &id);
    assert_eq!((table[1][1].as_str(), table[1][4].as_str(), table[2][1].as_str()), ("erased", "", "erased"));
    assert_eq!(service.get(&format!("/v1/batches/{id}/rows/4/file")).status, 200);
    assert_eq!(service.get(&format!("/v1/batches/{id}/rows/1/file")).code(), "row-not-done");
    let list = service.get("/v1/batches?state=done&template=hello").json();
    assert_eq!(list["batches"][0]["rows"]["erased"], 2, "{list}");
    assert_eq!(service.get("/v1/batches?state=x").code(), "state-unknown");
    assert_eq!(service.get("/v1/batches/nothing").code(), "batch-unknown");
}

#[test]
fn batches_pause_outlast_the_process_and_go_behind_renders() {
    const MARK: &str = "Xantippe-55";
    let place = Place::generated();
    let mut service = place.start("");
    let rows: String = (0..12).map(|row| format!("{{\"first_name\":\"{MARK} {row}\"}}\n")).collect();
    let id = id_of(&upload(&service, "template=hello&start=true", "application/x-ndjson", &rows));
    until(&service, &id, &["running"]);
    assert_eq!(step(&service, &id, "pause").json()["state"], "paused");
    let clear = |place: &Place| {
        // The store holds what viewers see, words that were generated among it.
        let store = place.data().join("store");
        for (path, bytes) in place.files().into_iter().filter(|(path, _)| !path.starts_with(&store)) {
            let found = bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes());
            assert!(!found, "{} holds a name", path.display());
        }
    };
    clear(&place);
    // Paused, it stays so over a restart; what was begun may end.
    service.kill();
    service = place.start("");
    let paused = service.get(&format!("/v1/batches/{id}")).json();
    assert_eq!(paused["state"], "paused");
    assert_eq!(step(&service, &id, "resume").json()["state"], "running");
    // A render does not wait for the rows.
    let job = json!({ "template": "hello", "data": { "first_name": "Leo" }, "wait": 60 });
    assert_eq!(service.post("/v1/renders", &job).status, 200);
    for _ in 0..2 {
        let done =
            |service: &Service| service.get(&format!("/v1/batches/{id}")).json()["rows"]["done"].as_u64();
        let before = done(&service);
        while done(&service) == before && before < Some(12) {
            std::thread::sleep(Duration::from_millis(20));
        }
        service.kill();
        service = place.start("");
    }
    let batch = until(&service, &id, &["done"]);
    assert_eq!(batch["rows"], json!({ "total": 12, "done": 12, "failed": 0, "erased": 0, "left": 0 }));
    assert!(results(&service, &id)[1..].iter().all(|row| row[1] == "done"));
    assert!(service.terminate());
    clear(&place);
}

#[test]
fn a_form_gives_links_and_a_cancelled_batch_ends() {
    let place = Place::generated();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = format!("http://{}/", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let mut text = String::new();
        let mut buffer = [0; 4096];
        while !text.ends_with('}') {
            let count = stream.read(&mut buffer).unwrap_or(0);
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        let _ = stream.write_all(b"HTTP/1.1 204 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        tell.send(text).unwrap();
    });
    let service = place.start("private_webhook_hosts = ['127.0.0.1']\n");
    let options = json!({
        "template": "hello", "deliver": "links", "start": true, "expires_in": 3600, "webhook": hook, "metadata": { "campaign": 7 },
    });
    let form = format!(
        "--xx\r\nContent-Disposition: form-data; name=\"options\"\r\n\r\n{options}\r\n--xx\r\n\
         Content-Disposition: form-data; name=\"audience\"; filename=\"people.csv\"\r\n\r\nfirst_name\r\nMaria\r\nPriya\r\n\r\n--xx--\r\n"
    );
    let made = service.ask(
        "POST",
        "/v1/batches",
        &[("content-type", "multipart/form-data; boundary=xx")],
        form.as_bytes(),
    );
    let id = id_of(&made);
    let batch = until(&service, &id, &["done"]);
    assert_eq!((&batch["deliver"], &batch["rows"]["done"]), (&json!("links"), &json!(2)), "{batch}");
    assert_eq!(service.metric("vignette_renders_done_total"), 0.0);
    for row in &results(&service, &id)[1..] {
        let list = service.get(&format!("{}master.m3u8", path_of(&row[2])));
        assert!(list.text().starts_with("#EXTM3U"), "{row:?}");
    }
    let heard = told.recv().unwrap();
    assert!(heard.contains("batch.done") && heard.contains("\"campaign\":7"), "{heard}");

    let rows: String = (0..200).map(|row| format!("{{\"first_name\":\"Viewer {row}\"}}\n")).collect();
    let id = id_of(&upload(&service, "template=hello&start=true&format=gif", "application/jsonl", &rows));
    until(&service, &id, &["running"]);
    let cancelled = service.ask("DELETE", &format!("/v1/batches/{id}"), &[], b"");
    assert_eq!(cancelled.json()["state"], "cancelled", "{}", cancelled.text());
    assert_eq!(step(&service, &id, "resume").code(), "batch-state");
    assert_eq!(service.ask("DELETE", &format!("/v1/batches/{id}"), &[], b"").code(), "batch-state");
    assert_eq!(results(&service, &id)[200][1], "cancelled");
}

#[test]
fn audiences_are_bounded() {
    let place = Place::generated();
    let service = place.start("[limits]\nbatch_rows = 3\nbatch_bytes = 2000\nbatches = 1\n");
    let csv = "text/csv";
    for (what, query, kind, body, code) in [
        ("no template", "", csv, "first_name\nx\n", "query-invalid"),
        ("another template", "template=other", csv, "first_name\nx\n", "template-unknown"),
        ("another type", "template=hello", "application/pdf", "x", "audience-unknown"),
        ("another option", "template=hello&evil=1", csv, "first_name\nx\n", "query-invalid"),
        ("no row", "template=hello", csv, "first_name\n", "audience-invalid"),
        ("nothing", "template=hello", csv, "", "audience-invalid"),
        ("no Parquet", "template=hello", "application/vnd.apache.parquet", "PAR1PAR1", "audience-invalid"),
        ("a column twice", "template=hello", csv, "a,a\n1,2\n", "audience-invalid"),
        (
            "a column that there is not",
            "template=hello&columns=x",
            csv,
            "first_name\nx\n",
            "audience-invalid",
        ),
        ("too many rows", "template=hello", csv, "first_name\na\nb\nc\nd\n", "audience-too-long"),
        ("too long", "template=hello", csv, &"x".repeat(2001), "body-too-large"),
        ("no rendition", "template=hello&rendition=x", csv, "first_name\nx\n", "batch-invalid"),
        ("an expiry of files", "template=hello&expires_in=60", csv, "first_name\nx\n", "batch-invalid"),
        (
            "a private webhook",
            "template=hello&webhook=https%3A%2F%2F10.0.0.1%2F",
            csv,
            "first_name\nx\n",
            "webhook-refused",
        ),
    ] {
        let answer = upload(&service, query, kind, body);
        assert_eq!(answer.code(), code, "{what}: {}", answer.text());
    }
    assert_eq!(
        service.get("/v1/batches").json()["batches"],
        json!([]),
        "nothing is left of what was refused"
    );
    let first = id_of(&upload(&service, "template=hello", csv, "first_name\nx\n"));
    let full = upload(&service, "template=hello", csv, "first_name\nx\n");
    assert_eq!((full.status, full.code().as_str()), (429, "batches-full"));
    until(&service, &first, &["forecast"]);
    assert_eq!(service.ask("DELETE", &format!("/v1/batches/{first}"), &[], b"").status, 200);
    id_of(&upload(&service, "template=hello", csv, "first_name\nx\n"));
}

/// Serves an audience at some paths, with that media type.
fn host() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 2048];
            let count = stream.read(&mut buffer).unwrap_or(0);
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or_default();
            let (status, kind, body) = match path {
                "/people" => (200, "text/csv; charset=utf-8", PEOPLE.to_owned()),
                "/people.csv?key=1" | "/people.txt" => (200, "application/octet-stream", PEOPLE.to_owned()),
                "/long.csv" => (200, "text/csv", format!("first_name\n{}", "Maria\n".repeat(20_000))),
                "/inside.csv" => (302, "text/csv", String::new()),
                _ => (404, "text/csv", String::new()),
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nlocation: http://localhost:{port}/people\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
        }
    });
    port
}

#[test]
fn an_audience_elsewhere_is_fetched_and_its_batch_watched() {
    let place = Place::generated();
    let port = host();
    let hosts = "asset_hosts = ['127.0.0.1', 'localhost']\nprivate_asset_hosts = ['127.0.0.1']\n";
    let service = place.start(&format!("{hosts}[limits]\nbatch_bytes = 100000\n"));
    let post = |audience: Value| {
        let body = json!({ "template": "hello", "viewer": "id", "deliver": "links", "start": true, "audience": audience });
        service.post("/v1/batches", &body)
    };
    let at = |path: &str| json!({ "url": format!("http://127.0.0.1:{port}{path}") });
    let id = id_of(&post(at("/people")));
    // Each state of its rows is told, and the last one as the end.
    let events = service.get(&format!("/v1/batches/{id}/events"));
    assert_eq!((events.status, events.header("content-type")), (200, Some("text/event-stream")));
    let events = events.text();
    let told: Vec<(&str, Value)> = events
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("event: ")?.split_once("\ndata: "))
        .map(|(name, data)| (name, serde_json::from_str(data).unwrap()))
        .collect();
    let (last, before) = told.split_last().unwrap();
    assert_eq!((last.0, &last.1["state"]), ("end", &json!("done")), "{events}");
    assert_eq!(last.1["rows"], json!({ "total": 5, "done": 3, "failed": 2, "erased": 0, "left": 0 }));
    assert!(before.iter().all(|(name, _)| *name == "progress"), "{events}");
    assert!(!events.contains("Maria"), "{events}");
    assert_eq!(service.get("/v1/batches/nothing/events").code(), "batch-unknown");
    // The form by the address, or as it is said.
    for audience in [at("/people.csv?key=1"), json!({ "url": at("/people.txt")["url"], "form": "csv" })] {
        assert_eq!(until(&service, &id_of(&post(audience)), &["done"])["rows"]["done"], 3);
    }
    for (audience, code, why) in [
        (at("/people.txt"), "audience-unknown", "audience.form"),
        (at("/missing.csv"), "audience-unreachable", "answered 404"),
        (at("/long.csv"), "audience-unreachable", "more than 100000 bytes"),
        (at("/inside.csv"), "audience-unreachable", "https alone"),
        (json!({ "url": "https://localhost/people.csv" }), "audience-unreachable", "not public"),
        (
            json!({ "url": "https://169.254.169.254/x.csv" }),
            "audience-unreachable",
            "not fetched from its host",
        ),
        (json!({ "url": "file:///etc/passwd" }), "audience-unreachable", "not fetched from its host"),
        (json!({ "path": "/etc/passwd" }), "body-invalid", "unknown field"),
        (json!(null), "body-invalid", "audience"),
    ] {
        let refused = post(audience.clone());
        assert!(refused.text().contains(why), "{audience}: {}", refused.text());
        assert_eq!(refused.code(), code, "{audience}");
    }
    service.kill();
    let service = place.start("");
    let body = json!({ "template": "hello", "audience": at("/people") });
    assert_eq!(service.post("/v1/batches", &body).code(), "audience-unreachable", "unless a host is allowed");
}
