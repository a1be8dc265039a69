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
fn a_key_has_so_many_links_a_day() {
    let place = Place::generated();
    let (id, ours) = key(&place, &["--add-key", "ours", "--links-per-day", "2", "--renders-per-day", "9"]);
    let (_, free) = key(&place, &["--add-key", "ours"]);
    let (_, renewed) = key(&place, &["--renew-key", &id]);
    let service = place.start("");
    let link = |bearer: &str, name: &str| {
        let body = json!({ "template": "hello", "data": { "first_name": name } }).to_string();
        service.ask("POST", "/v1/links", &[("authorization", bearer)], body.as_bytes())
    };
    let first = link(&ours, "Maria");
    assert_eq!(first.status, 201, "{}", first.text());
    let policy = "\"requests\";q=200;w=10, \"links\";q=2;w=86400";
    assert_eq!(first.header("ratelimit-policy"), Some(policy));
    assert!(first.header("ratelimit").unwrap().contains("\"links\";r=1;t="), "{first:?}");
    // What is refused is not counted.
    let body = json!({ "template": "hello", "data": {} }).to_string();
    assert_eq!(service.ask("POST", "/v1/links", &[("authorization", &ours)], body.as_bytes()).status, 422);
    assert_eq!(link(&ours, "Priya").status, 201);
    let over = link(&ours, "Leo");
    assert_eq!((over.status, over.code().as_str()), (429, "quota-exceeded"));
    assert!(over.header("retry-after").is_some());
    assert!(over.header("ratelimit").unwrap().contains("\"links\";r=0;t="), "{over:?}");
    // Renders are another count, and so is another key's.
    assert_eq!(render(&service, &ours, "1", "Leo").status, 202);
    assert_eq!((link(&free, "Leo").status, link(&renewed, "Leo").status), (201, 201));
    // Rows of a batch beyond it wait for the next day.
    let headers = [("authorization", renewed.as_str()), ("content-type", "text/csv")];
    let query = "/v1/batches?template=hello&start=true&deliver=links";
    let made = service.ask("POST", query, &headers, b"first_name\nA\nB\n");
    let path = format!("/v1/batches/{}", made.json()["id"].as_str().unwrap());
    let get = || service.ask("GET", &path, &[("authorization", &free)], b"").json();
    while get()["rows"]["done"] != 1 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(get()["rows"]["left"], 1);
}

#[test]
fn the_status_page_is_for_keys_that_may_read() {
    let place = Place::generated();
    let (_, reads) = key(&place, &["--add-key", "ours", "--scopes", "read"]);
    let (_, renders) = key(&place, &["--add-key", "ours", "--scopes", "render"]);
    let service = place.start("");
    let status = |headers: &[(&str, &str)]| service.ask("GET", "/status", headers, b"");
    // A browser is asked for a name and a password; the password is the key.
    let asked = status(&[]);
    assert_eq!(asked.status, 401);
    assert!(asked.header("www-authenticate").unwrap().starts_with("Basic "), "{asked:?}");
    use base64::Engine;
    let basic = |bearer: &str| {
        let pair = format!("me:{}", bearer.trim_start_matches("Bearer "));
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    };
    for (header, expected) in [
        (reads.clone(), 200),
        (basic(&reads), 200),
        (renders.clone(), 403),
        (basic(&renders), 403),
        (basic("Bearer vgn_nothing"), 401),
        ("Basic !".to_owned(), 401),
        ("Bearer vgn_nothing".to_owned(), 401),
    ] {
        let answer = status(&[("authorization", &header)]);
        assert_eq!(answer.status, expected, "{header}");
        assert_eq!(
            answer.header("www-authenticate").is_some(),
            expected == 401 && header.starts_with("Basic")
        );
    }
    let page = status(&[("authorization", &reads)]);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let page = page.text();
    assert!(page.contains("All parts answer.") && page.contains("GStreamer"), "{page}");
    assert!(!page.contains("ours") && !page.contains("{{"), "{page}");
    // Nowhere else is a password a key.
    assert_eq!(service.ask("GET", "/v1/templates", &[("authorization", &basic(&reads))], b"").status, 401);
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
