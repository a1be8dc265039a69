//! Keys: what they may have made in a day, their renewal, what answers tell of both; and pages of other origins.

mod common;

use common::place::Place;
use common::service::{Answer, Service};
use serde_json::{Value, json};

/// A key's id, and the header that shows it.
fn key(place: &Place, arguments: &[&str]) -> (String, String) {
    let told = place.run(arguments);
    let line = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    (line("id "), format!("Bearer {}", line("key ")))
}

fn render(service: &Service, bearer: &str, idem: &str, name: &str) -> Answer {
    let body = json!({ "template": "hello", "data": { "first_name": name }, "viewer": name }).to_string();
    let headers = [("authorization", bearer), ("idempotency-key", idem)];
    service.ask("POST", "/v1/renders", &headers, body.as_bytes())
}

#[test]
fn a_key_has_its_day_s_share_and_is_told_where_it_stands() {
    let place = Place::generated();
    let (_, ours) = key(&place, &["--add-key", "ours", "--renders-per-day", "3", "--seconds-per-day", "100"]);
    let (_, short) = key(&place, &["--add-key", "ours", "--seconds-per-day", "7"]);
    let (_, free) = key(&place, &["--add-key", "ours"]);
    let service = place.start("");
    let first = render(&service, &ours, "1", "Maria");
    assert_eq!(first.status, 202, "{}", first.text());
    let policy = "\"requests\";q=200;w=10, \"renders\";q=3;w=86400, \"seconds\";q=100;w=86400";
    assert_eq!(first.header("ratelimit-policy"), Some(policy));
    let standing = first.header("ratelimit").unwrap();
    assert!(standing.contains("\"requests\";r=199;t=1, \"renders\";r=2;t="), "{standing}");
    assert!(standing.contains("\"seconds\";r=94;t="), "{standing}");
    // The same again is the same render; what is refused is not counted.
    assert_eq!(render(&service, &ours, "1", "Maria").json()["id"], first.json()["id"]);
    assert_eq!(render(&service, &ours, "1", "Priya").code(), "idempotency-conflict");
    assert_eq!(render(&service, &ours, "2", "Priya").status, 202);
    assert_eq!(render(&service, &ours, "3", "Leo").status, 202);
    let over = render(&service, &ours, "4", "Zoe");
    assert_eq!((over.status, over.code().as_str()), (429, "quota-exceeded"));
    let wait: u64 = over.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
    assert!(over.header("ratelimit").unwrap().contains("\"renders\";r=0;t="), "{over:?}");
    assert_eq!(render(&service, &short, "5", "Zoe").status, 202);
    assert_eq!(render(&service, &short, "6", "Zoe").code(), "quota-exceeded", "another six seconds");
    assert_eq!(render(&service, &free, "7", "Zoe").status, 202);
    // Rows of a batch beyond it wait for the next day.
    let headers = [("authorization", short.as_str()), ("content-type", "text/csv")];
    let made = service.ask("POST", "/v1/batches?template=hello&start=true", &headers, b"first_name\nA\n");
    let path = format!("/v1/batches/{}", made.json()["id"].as_str().unwrap());
    let get = |path: &str| service.ask("GET", path, &[("authorization", &free)], b"");
    loop {
        let batch = get(&path).json();
        if batch["started"] != Value::Null {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(get(&path).json()["rows"]["left"], 1);
    // Lists are narrowed by viewer and time.
    let count =
        |query: &str| get(&format!("/v1/renders?{query}")).json()["renders"].as_array().unwrap().len();
    assert_eq!((count(""), count("viewer=Zoe"), count("viewer=Nobody")), (5, 2, 0));
    assert_eq!((count("since=1"), count("until=1"), count("since=9999999999")), (5, 0, 0));
    assert_eq!(get("/v1/renders?viewer=a%20b").code(), "viewer-invalid");
    assert_eq!(service.get("/healthz").header("ratelimit"), None);
}

#[test]
fn a_key_is_renewed_with_overlap() {
    let place = Place::generated();
    let (old, before) = key(&place, &["--add-key", "ours", "--scopes", "read"]);
    let (_, after) = key(&place, &["--renew-key", &old]);
    let service = place.start("");
    let status = |bearer: &str, method: &str, path: &str| {
        service.ask(method, path, &[("authorization", bearer)], b"{}").status
    };
    assert_eq!((status(&before, "GET", "/v1/templates"), status(&after, "GET", "/v1/templates")), (200, 200));
    assert_eq!(status(&after, "POST", "/v1/links"), 403, "no more than before");
    // At once, if that is what is asked for.
    key(&place, &["--renew-key", &old, "--overlap-days", "0"]);
    assert_eq!((status(&before, "GET", "/v1/templates"), status(&after, "GET", "/v1/templates")), (401, 200));
    let mut command = common::vignette();
    command.args(["serve", "--data-dir"]).arg(place.data()).args(["--renew-key", &old]);
    assert_eq!(common::run(&mut command).status.code(), Some(2), "one that has ended");
}

#[test]
fn pages_of_configured_origins_may_call() {
    let place = Place::generated();
    let service = place.start("cors_origins = ['https://app.example.com']\n");
    let ask = |method: &str, path: &str, origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        service.ask(method, path, &headers, b"")
    };
    let preflight = ask("OPTIONS", "/v1/links", "https://app.example.com");
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("authorization"));
    let got = ask("GET", "/v1/templates", "https://app.example.com");
    assert_eq!((got.status, got.header("vary")), (200, Some("origin")));
    assert_eq!(got.header("access-control-allow-origin"), Some("https://app.example.com"));
    for origin in ["https://evil.test", "http://app.example.com", "null"] {
        let got = ask("GET", "/v1/templates", origin);
        assert_eq!((got.status, got.header("access-control-allow-origin")), (200, None), "{origin}");
        assert_eq!(ask("OPTIONS", "/v1/links", origin).status, 405, "{origin}");
    }
    assert_eq!(ask("OPTIONS", "/healthz", "https://app.example.com").status, 405);
}
