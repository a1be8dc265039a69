//! Traces: what a collector of OpenTelemetry gets from the service, and what it never gets.

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::place::{Place, all_media, media_of};
use common::service::Service;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Noted;
use prost::Message;
use serde_json::{Value, json};

/// What occurs in nothing that a collector gets.
const MARK: &str = "Xaverlinde";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn sampled(trace: &str) -> String {
    format!("00-{trace}-{CALLER}-01")
}

/// How whoever is posted to behaves.
#[derive(Clone, Copy)]
enum Manner {
    Answers(u16),
    /// Takes a request and never answers.
    Hangs,
    /// Takes all but one span of each batch.
    RefusesOne,
}

/// Takes posts on a free port, and keeps them: heads in small letters, and bodies.
struct Posts {
    port: u16,
    heard: Heard,
}

type Heard = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A span as a collector sees it.
#[derive(Clone, Debug, Default)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: i32,
    failed: bool,
    notes: BTreeMap<String, Value>,
    /// Traces and spans that it is linked to.
    links: Vec<(String, String)>,
    took: u64,
}

impl Posts {
    fn new(manner: Manner) -> Posts {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Heard::default();
        let keep = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keep = keep.clone();
                std::thread::spawn(move || while take(&stream, manner, &keep).is_some() {});
            }
        });
        Posts { port, heard }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn heard(&self) -> Vec<(String, Vec<u8>)> {
        self.heard.lock().unwrap().clone()
    }

    fn spans(&self) -> Vec<Span> {
        self.heard().iter().flat_map(|(_, body)| spans_of(body)).collect()
    }

    /// Waits until the spans are as they should be.
    fn until(&self, good: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        loop {
            let spans = self.spans();
            if good(&spans) {
                return spans;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Takes one request of a connection.
fn take(mut stream: &TcpStream, manner: Manner, keep: &Heard) -> Option<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1 << 16];
    let (head, body) = loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if bytes.len() >= end + 4 + length {
                break (head, bytes[end + 4..].to_vec());
            }
        }
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    };
    let spans = spans_of(&body).len();
    keep.lock().unwrap().push((head, body));
    let (status, body) = match manner {
        Manner::Answers(status) => (status, Vec::new()),
        Manner::RefusesOne if spans > 0 => {
            let partial_success =
                Some(ExportTracePartialSuccess { rejected_spans: 1, error_message: "no".into() });
            (200, ExportTraceServiceResponse { partial_success }.encode_to_vec())
        }
        Manner::RefusesOne => (200, Vec::new()),
        Manner::Hangs => {
            // Until the other side has gone.
            let _ = stream.read(&mut buffer);
            return None;
        }
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn spans_of(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).unwrap_or_default();
    let all = request
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
    let span = |span: opentelemetry_proto::tonic::trace::v1::Span| {
        assert_eq!(span.trace_state, "", "what callers write goes to nobody else");
        let notes = span.attributes.into_iter().map(|note| {
            let value = match note.value.and_then(|value| value.value) {
                Some(Noted::StringValue(text)) => json!(text),
                Some(Noted::IntValue(number)) => json!(number),
                Some(Noted::BoolValue(truth)) => json!(truth),
                other => panic!("{}: {other:?}", note.key),
            };
            (note.key, value)
        });
        Span {
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            name: span.name,
            kind: span.kind,
            failed: span.status.is_some_and(|status| status.code == 2),
            notes: notes.collect(),
            links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
            took: span.end_time_unix_nano - span.start_time_unix_nano,
        }
    };
    all.map(span).collect()
}

/// The service, with these in its environment.
fn start(place: &Place, config: &str, environment: &[(&str, &str)]) -> Service {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vignette"));
    command.envs(environment.iter().copied());
    Service::start_by(command, &place.data(), &place.gallery(), config)
}

fn only<'a>(spans: &'a [Span], trace: &str, name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.trace == trace && span.name == name);
    let (first, second) = (found.next(), found.next());
    assert!(first.is_some() && second.is_none(), "not one {name} in {trace}: {spans:#?}");
    first.unwrap()
}

/// Lines of the log about traces that tell of a fault.
fn complaints(service_log: &std::path::Path) -> usize {
    let log = std::fs::read_to_string(service_log).unwrap();
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    log.lines().map(line).filter(|line| line["event"] == "traces" && line["level"] == "error").count()
}

#[test]
fn requests_continue_the_trace_of_their_caller() {
    let (place, posts) = (Place::new(), Posts::new(Manner::Answers(200)));
    let service = start(
        &place,
        &format!("traces = '{}'", posts.url()),
        &[("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b"), ("OTEL_SERVICE_NAME", "films")],
    );
    let agent = ("user-agent", MARK);
    let with = |parent: &str| [("traceparent", parent.to_owned()), ("tracestate", format!("x={MARK}"))];
    let ask = |method: &str, path: &str, parent: &str| {
        let headers = with(parent);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).chain([agent]).collect();
        service.ask(method, path, &headers, b"")
    };
    let unsampled = "5bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(ask("GET", &format!("/healthz?x={MARK}"), &sampled(TRACE)).status, 200);
    assert_eq!(ask("GET", "/healthz", &format!("00-{unsampled}-{CALLER}-00")).status, 200);
    assert_eq!(ask("GET", "/readyz", &format!("00-{}-{CALLER}-01", TRACE.to_uppercase())).status, 200);
    assert_eq!(ask("GET", &format!("/w/{MARK}/master.m3u8"), &sampled(TRACE)).status, 404);
    assert_eq!(ask("GET", &format!("/{MARK}"), &sampled(TRACE)).status, 404);
    assert_eq!(ask("XAVERLINDE", "/docs", &sampled(TRACE)).status, 405);
    let log = service.log.clone();
    // Spans that wait for others are sent at the end.
    assert!(service.terminate());
    let spans = posts.spans();
    let health = only(&spans, TRACE, "GET /healthz");
    assert_eq!((health.parent.as_str(), health.kind, health.failed), (CALLER, 2, false));
    assert_eq!(health.notes["http.request.method"], "GET");
    assert_eq!(health.notes["http.route"], "/healthz");
    assert_eq!(health.notes["http.response.status_code"], 200);
    assert_eq!(only(&spans, TRACE, "GET /w/{token}/{file}").notes["http.response.status_code"], 404);
    assert_eq!(only(&spans, TRACE, "GET").notes.get("http.route"), None);
    assert_eq!(only(&spans, TRACE, "HTTP /docs").notes["http.request.method"], "_OTHER");
    assert!(spans.iter().all(|span| span.trace != unsampled), "{spans:#?}");
    let fresh = spans.iter().find(|span| span.name == "GET /readyz").unwrap();
    assert!(fresh.trace != TRACE && fresh.trace.len() == 32 && fresh.parent.is_empty(), "{fresh:?}");
    let lines = std::fs::read_to_string(&log).unwrap();
    let told = |line: &&str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["route"] == "/healthz"
            && line["trace"] == TRACE
            && line["request"] == health.notes["vignette.request"]
    };
    assert_eq!(lines.lines().filter(told).count(), 1, "{lines}");
    assert!(!lines.contains(unsampled) && !lines.contains(MARK) && !lines.contains("XAVERLINDE"), "{lines}");
    for (head, body) in posts.heard() {
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(
            head.contains("content-type: application/x-protobuf") && head.contains("api-key: a b"),
            "{head}"
        );
        let text = String::from_utf8_lossy(&body).to_lowercase();
        assert!(!text.contains(&MARK.to_lowercase()) && text.contains("films"), "{text}");
    }
}

#[test]
fn a_link_that_is_watched_shows_what_it_took() {
    let (place, posts) = (Place::new(), Posts::new(Manner::Answers(200)));
    let service = start(&place, &format!("traces = '{}'", posts.url()), &[("OTEL_BSP_SCHEDULE_DELAY", "50")]);
    let parent = |last: char| format!("{}{last}", &TRACE[1..]);
    let made = service.ask(
        "POST",
        "/v1/links",
        &[("content-type", "application/json"), ("traceparent", &sampled(&parent('1')))],
        json!({ "template": "hello", "data": { "first_name": MARK } }).to_string().as_bytes(),
    );
    assert_eq!(made.status, 201, "{}", made.text());
    let link = common::service::path_of(made.json()["url"].as_str().unwrap());
    let lists = all_media(&service, &link);
    let first = lists[0].iter().find(|name| name.ends_with(".m4s")).unwrap();
    let segment = service.ask("GET", first, &[("traceparent", &sampled(&parent('2')))], b"");
    assert_eq!(segment.status, 200);
    let again = service.ask("GET", first, &[("traceparent", &sampled(&parent('3')))], b"");
    assert_eq!(again.status, 200);
    let still = service.ask(
        "GET",
        &format!("{link}frame.png?at=1.5s"),
        &[("traceparent", &sampled(&parent('4'))), ("x-forwarded-host", MARK)],
        b"",
    );
    assert_eq!(still.status, 200);
    let spans = posts.until(|spans| {
        let has =
            |name: &str, last: char| spans.iter().any(|span| span.name == name && span.trace == parent(last));
        has("GET /w/{token}/{file}", '4') && has("sound", '2') && has("GET /s/{name}", '3')
    });
    let (made, fill) = (only(&spans, &parent('1'), "POST /v1/links"), only(&spans, &parent('1'), "fill"));
    let plan = only(&spans, &parent('1'), "plan");
    assert_eq!((&fill.parent, &plan.parent), (&made.id, &made.id));
    assert_eq!((&fill.notes["vignette.scenes"], &fill.notes["vignette.frames"]), (&json!(3), &json!(120)));
    assert!(plan.notes["vignette.segments"].as_u64().unwrap() >= 3, "{plan:?}");
    let asked = only(&spans, &parent('2'), "GET /s/{name}");
    let of_first = |span: &&Span| span.name == "segment" && span.notes["vignette.segment"] == 0;
    let piece = spans.iter().find(of_first).unwrap();
    assert_eq!((&piece.trace, &piece.parent), (&asked.trace, &asked.id));
    assert_eq!(
        (&piece.notes["vignette.class"], &piece.notes["vignette.found"]),
        (&json!("wanted"), &json!(false))
    );
    for name in ["permit", "make"] {
        let part = spans.iter().find(|span| span.name == name && span.parent == piece.id).unwrap();
        assert!(part.took <= piece.took && piece.took <= asked.took, "{part:?} {piece:?} {asked:?}");
    }
    let ahead = spans.iter().filter(|span| span.trace == asked.trace && span.parent == asked.id);
    let classes: Vec<&Value> = ahead.map(|span| &span.notes["vignette.class"]).collect();
    assert!(classes.contains(&&json!("ahead")), "{classes:?}");
    // What is in memory needs nothing.
    assert_eq!(spans.iter().filter(|span| span.trace == parent('3')).count(), 1, "{spans:#?}");
    assert_eq!(only(&spans, &parent('4'), "still").notes["vignette.frame"], 30);
    let exported = service.metric("vignette_spans_exported_total");
    assert!(exported >= spans.len() as f64 && service.metric("vignette_spans_dropped_total") == 0.0);
    assert!(service.terminate());
    let token = &link[3..24];
    for (_, body) in posts.heard() {
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(!text.contains(MARK) && !text.contains(token) && !text.contains("hello"), "{text}");
    }
}

#[test]
fn two_who_want_the_same_are_linked_to_who_makes_it() {
    let (place, posts) = (Place::new(), Posts::new(Manner::Answers(200)));
    let service = start(
        &place,
        &format!("traces = '{}'\ncores = 1", posts.url()),
        &[("OTEL_BSP_SCHEDULE_DELAY", "50")],
    );
    let link = service.link("hello", json!({ "first_name": MARK }));
    let lists = all_media(&service, &link);
    let last = lists.iter().rev().nth(1).unwrap().last().unwrap().clone();
    let traces: Vec<String> = (0..8).map(|number| format!("{}{number}", &TRACE[1..])).collect();
    std::thread::scope(|scope| {
        for trace in &traces {
            let (service, last) = (&service, &last);
            scope.spawn(move || {
                assert_eq!(service.ask("GET", last, &[("traceparent", &sampled(trace))], b"").status, 200);
            });
        }
    });
    let is_asked = |span: &&Span| span.name == "GET /s/{name}";
    let spans = posts.until(|spans| {
        spans.iter().filter(is_asked).count() == 8 && spans.iter().any(|span| span.name == "segment")
    });
    let pieces: Vec<&Span> = spans.iter().filter(|span| span.name == "segment").collect();
    let made = pieces.iter().filter(|span| span.notes["vignette.found"] == false);
    assert_eq!(made.count(), 1, "{pieces:#?}");
    for asked in spans.iter().filter(is_asked) {
        // One that came when it was made already found it in memory or in the store.
        for (trace, id) in &asked.links {
            assert!(
                *trace != asked.trace && pieces.iter().any(|piece| piece.id == *id && piece.trace == *trace)
            );
        }
    }
    assert!(spans.iter().any(|span| !span.links.is_empty()), "{spans:#?}");
}

#[test]
fn a_render_and_its_webhook_are_in_the_trace_of_the_request() {
    let (place, posts) = (Place::new(), Posts::new(Manner::Answers(200)));
    let hooks = Posts::new(Manner::Answers(200));
    let config = format!("traces = '{}'\nprivate_webhook_hosts = ['127.0.0.1']", posts.url());
    let service = start(&place, &config, &[("OTEL_BSP_SCHEDULE_DELAY", "50")]);
    let ask = |format: &str, parent: &str| {
        let body = json!({
            "template": "hello", "data": { "first_name": MARK }, "metadata": { "order": MARK },
            "webhook": format!("{}/{MARK}", hooks.url()), "output": { "format": format },
        });
        let headers =
            [("content-type", "application/json"), ("traceparent", parent), ("tracestate", "congo=t61")];
        let made = service.ask("POST", "/v1/renders", &headers, body.to_string().as_bytes());
        assert_eq!(made.status, 202, "{}", made.text());
        made.json()["id"].as_str().unwrap().to_owned()
    };
    let (gif, unsampled) = ("6bf92f3577b34da6a3ce929d0e0e4736", "7bf92f3577b34da6a3ce929d0e0e4736");
    for id in [
        ask("mp4", &sampled(TRACE)),
        ask("gif", &sampled(gif)),
        ask("jpg", &format!("00-{unsampled}-{CALLER}-00")),
    ] {
        assert_eq!(service.ended(&id)["state"], "done");
    }
    let spans = posts.until(|spans| spans.iter().filter(|span| span.name == "POST webhook").count() == 2);
    while hooks.heard().len() < 3 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let (asked, render) = (only(&spans, TRACE, "POST /v1/renders"), only(&spans, TRACE, "render"));
    assert_eq!((&asked.parent, &render.parent, render.kind), (&CALLER.to_owned(), &asked.id, 5));
    assert_eq!(
        (&render.notes["vignette.outcome"], &render.notes["vignette.attempt"]),
        (&json!("done"), &json!(1))
    );
    let pieces = |name: &str| {
        spans
            .iter()
            .filter(|span| {
                span.name == name && span.parent == render.id && span.notes["vignette.class"] == "job"
            })
            .count()
    };
    assert!(pieces("segment") >= 3 && pieces("sound") == 1, "{spans:#?}");
    let webhook = only(&spans, TRACE, "POST webhook");
    assert_eq!((&webhook.parent, webhook.kind), (&render.id, 3));
    assert_eq!(webhook.notes["http.response.status_code"], 200);
    let told = |trace: &str| {
        let heard = hooks.heard();
        let found = heard.iter().find(|(head, _)| head.contains(&format!("traceparent: 00-{trace}-")));
        found.unwrap_or_else(|| panic!("{trace}: {heard:?}")).0.clone()
    };
    let head = told(TRACE);
    assert!(head.contains(&format!("traceparent: 00-{TRACE}-{}-01", webhook.id)), "{head}");
    assert!(head.contains("tracestate: congo=t61"), "{head}");
    let file = only(&spans, gif, "file");
    assert_eq!(
        (&file.parent, &file.notes["vignette.format"]),
        (&only(&spans, gif, "render").id, &json!("gif"))
    );
    // A trace that its caller does not keep is led on, and not told to the collector.
    assert!(told(unsampled).lines().any(|line| line.starts_with("traceparent: ") && line.ends_with("-00")));
    assert!(service.terminate());
    assert!(posts.spans().iter().all(|span| span.trace != unsampled));
    for (_, body) in posts.heard() {
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(!text.contains(MARK) && !text.contains("congo") && !text.contains("127.0.0.1"), "{text}");
    }
}

#[test]
fn a_render_that_is_made_after_a_restart_is_still_in_its_trace() {
    let place = Place::new();
    let before = Posts::new(Manner::Answers(200));
    let service = start(&place, &format!("traces = '{}'\n[limits]\njobs = 1", before.url()), &[]);
    let ids: Vec<String> = (0..6)
        .map(|number| {
            let body = json!({ "template": "hello", "data": { "first_name": format!("{MARK} {number}") } });
            let headers = [("content-type", "application/json"), ("traceparent", &sampled(TRACE))];
            let made = service.ask("POST", "/v1/renders", &headers, body.to_string().as_bytes());
            made.json()["id"].as_str().unwrap().to_owned()
        })
        .collect();
    service.kill();
    let after = Posts::new(Manner::Answers(200));
    let service = start(&place, &format!("traces = '{}'", after.url()), &[]);
    for id in ids {
        assert_eq!(service.ended(&id)["state"], "done");
    }
    assert!(service.terminate());
    let spans = after.spans();
    let renders = spans.iter().filter(|span| span.trace == TRACE && span.name == "render");
    assert!(renders.count() > 0, "{spans:#?}");
}

#[test]
fn rows_of_a_batch_have_traces_of_their_own_that_tell_of_its_request() {
    let (place, posts) = (Place::generated(), Posts::new(Manner::Answers(200)));
    let hooks = Posts::new(Manner::Answers(200));
    let config = format!("traces = '{}'\nprivate_webhook_hosts = ['127.0.0.1']", posts.url());
    let service = start(&place, &config, &[("OTEL_BSP_SCHEDULE_DELAY", "50")]);
    let path = format!("/v1/batches?template=hello&start=true&deliver=links&webhook={}", hooks.url());
    let people = format!("first_name,plan\r\n{MARK},pro\r\nLeo,gold\r\nZoe,pro\r\n");
    let headers = [("content-type", "text/csv"), ("traceparent", &*sampled(TRACE))];
    let made = service.ask("POST", &path, &headers, people.as_bytes());
    assert_eq!(made.status, 202, "{}", made.text());
    let spans = posts.until(|spans| spans.iter().any(|span| span.name == "POST webhook"));
    let asked = only(&spans, TRACE, "POST /v1/batches");
    let rows: Vec<&Span> = spans.iter().filter(|span| span.name == "row").collect();
    assert!(rows.len() >= 2, "{rows:#?}");
    for row in rows {
        assert_eq!(row.links, [(asked.trace.clone(), asked.id.clone())], "{row:?}");
        assert!(row.trace != TRACE && row.parent.is_empty(), "{row:?}");
        assert!(row.failed == (row.notes["vignette.outcome"] == "failed"), "{row:?}");
        assert!(spans.iter().any(|span| span.name == "fill" && span.parent == row.id), "{row:?}");
    }
    assert_eq!(only(&spans, TRACE, "POST webhook").parent, asked.id);
    assert!(service.terminate());
    for (_, body) in posts.heard() {
        assert!(!String::from_utf8_lossy(&body).contains(MARK));
    }
}

#[test]
fn a_collector_that_fails_or_hangs_costs_spans_alone_and_is_told_once() {
    for (manner, environment) in [
        (Manner::Answers(500), &[("OTEL_BSP_SCHEDULE_DELAY", "20")][..]),
        (Manner::Hangs, &[("OTEL_BSP_SCHEDULE_DELAY", "20"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "300")]),
        (Manner::Hangs, &[("OTEL_BSP_SCHEDULE_DELAY", "20"), ("OTEL_BSP_MAX_QUEUE_SIZE", "4")]),
    ] {
        let (place, posts) = (Place::new(), Posts::new(manner));
        let service = start(&place, &format!("traces = '{}'", posts.url()), environment);
        let link = service.link("hello", json!({ "first_name": "Maria" }));
        let master = service.get(&format!("{link}master.m3u8"));
        assert_eq!(master.status, 200);
        let list = master.text().lines().find(|line| line.ends_with("index.m3u8")).unwrap().to_owned();
        for media in media_of(&service.get(&format!("{link}{list}")).text()) {
            assert_eq!(service.get(&media).status, 200);
        }
        // Each is a span, so several batches are tried.
        let mut dropped = 0.0;
        while dropped < 30.0 {
            dropped = service.metric("vignette_spans_dropped_total");
        }
        assert_eq!(service.metric("vignette_spans_exported_total"), 0.0);
        let log = service.log.clone();
        assert!(service.terminate());
        assert_eq!(complaints(&log), 1, "{}", std::fs::read_to_string(&log).unwrap());
    }
}

#[test]
fn spans_that_a_collector_refuses_are_counted() {
    let (place, posts) = (Place::new(), Posts::new(Manner::RefusesOne));
    let service = start(&place, &format!("traces = '{}'", posts.url()), &[("OTEL_BSP_SCHEDULE_DELAY", "20")]);
    while service.metric("vignette_spans_dropped_total") == 0.0 {}
    assert!(!posts.spans().is_empty());
    let log = service.log.clone();
    assert!(service.terminate());
    assert_eq!(complaints(&log), 1);
}

#[test]
fn nothing_is_sent_unless_it_is_set() {
    let posts = Posts::new(Manner::Answers(200));
    for (config, environment) in [
        (String::new(), &[("OTEL_TRACES_SAMPLER", "always_on")][..]),
        (format!("traces = '{}'", posts.url()), &[("OTEL_SDK_DISABLED", "true")]),
        (format!("traces = '{}'", posts.url()), &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")]),
    ] {
        let place = Place::new();
        let service = start(&place, &config, environment);
        for _ in 0..20 {
            assert_eq!(service.get("/healthz").status, 200);
        }
        assert_eq!(service.metric("vignette_spans_exported_total"), 0.0);
        let log = service.log.clone();
        assert!(service.terminate());
        assert!(posts.heard().is_empty());
        assert!(!std::fs::read_to_string(&log).unwrap().contains("\"trace\""));
    }
    // The environment's own address, as OpenTelemetry has it.
    let place = Place::new();
    let service = start(&place, "", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &posts.url())]);
    assert_eq!(service.get("/healthz").status, 200);
    assert!(service.terminate());
    assert!(posts.spans().iter().any(|span| span.name == "GET /healthz"));
}

#[test]
fn what_cannot_be_done_is_told_before_the_start() {
    let place = Place::new();
    for (arguments, environment, told) in [
        (&["--traces", "collector:4317"][..], ("X", ""), "traces: an http(s) address"),
        (&[], ("VIGNETTE_TRACES", "http://me:geheim@collector.test"), "traces: no user"),
        (&["--traces", "http://x.test"], ("OTEL_TRACES_SAMPLER", "xray"), "OTEL_TRACES_SAMPLER: "),
        (
            &["--traces", "http://x.test"],
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            "OTEL_EXPORTER_OTLP_PROTOCOL: ",
        ),
    ] {
        let mut command = common::vignette();
        command.args(["serve", "--check-config", "--data-dir"]).arg(place.data()).args(arguments);
        let output = common::run(command.env(environment.0, environment.1));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(told) && !text.contains("geheim"), "{text}");
    }
}
