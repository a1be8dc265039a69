//! The status page: how the service stands, for people. It tells of no viewer and no tenant.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use crate::app::App;
use crate::auth::{Scope, visitor};
use crate::operate::{self, Checks};
use crate::problem::Problem;
use crate::{clock, page};

const PAGE: &str = include_str!("page/status.html");
const STYLE: &str = include_str!("page/status.css");
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /player/status.css`.
pub async fn style() -> HttpResponse {
    page::asset(STYLE.into(), "text/css; charset=utf-8")
}

/// `GET /status`. A browser without a key is asked for one.
///
/// # Errors
/// A caller who may not read; a database that does not answer is told on the page.
pub async fn show(app: Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    if let Err(problem) = visitor(app, &request, Scope::Read).await {
        // Who shows a key as programs do is told as programs are.
        let asks = problem.status_code() == StatusCode::UNAUTHORIZED
            && !request.headers().get(AUTHORIZATION).is_some_and(is_bearer);
        if !asks {
            return Err(problem);
        }
        let mut answer = problem.error_response();
        let challenge = HeaderValue::from_static(
            "Basic realm=\"Vignette: any name, and a key as password\", charset=\"UTF-8\"",
        );
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        return Ok(answer);
    }
    let state = app.clone();
    let (checks, queue) = web::block(move || (operate::checks(&state), state.records.queue())).await?;
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", POLICY))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("x-robots-tag", "noindex"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("cache-control", "no-store"))
        .body(text(app, checks, queue.ok())))
}

fn is_bearer(value: &HeaderValue) -> bool {
    value.as_bytes().starts_with(b"Bearer ")
}

/// The page; `queue` is how many renders wait and how many are under way.
fn text(app: &App, checks: Checks, queue: Option<(u64, u64)>) -> String {
    let metrics = &app.metrics;
    let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let (frames, busy) = (read(&metrics.frames), read(&metrics.busy_micros) as f64 / 1e6);
    let rate =
        if busy > 0.0 { format!("{:.0} a second and core", frames as f64 / busy) } else { "–".to_owned() };
    let (new, reused) = (read(&metrics.new), read(&metrics.reused));
    let share = match new + reused {
        0 => "–".to_owned(),
        all => format!("{:.0} %", reused as f64 * 100.0 / all as f64),
    };
    let of_queue = |number: Option<u64>| number.map_or("unknown".to_owned(), grouped);
    let permits = app.studio.permits().waiting() as u64;
    let works = |well: bool| if well { "answers" } else { "does not answer" }.to_owned();
    let groups: [(&str, Vec<(&str, String)>); 5] = [
        (
            "Parts",
            vec![
                ("Database", works(checks.database)),
                ("Store", works(checks.store)),
                ("Finished files", works(checks.files)),
                ("Encoder", works(checks.encoder)),
            ],
        ),
        (
            "Renders",
            vec![
                ("Waiting", of_queue(queue.map(|(waiting, _)| waiting))),
                ("Under way", of_queue(queue.map(|(_, begun)| begun))),
                ("Done since the start", grouped(read(&metrics.jobs_done))),
                ("Failed since the start", grouped(read(&metrics.jobs_failed))),
            ],
        ),
        (
            "Viewers",
            vec![
                ("Videos being watched or made", grouped(app.studio.sittings() as u64)),
                ("Videos known by their playlists", grouped(app.shelf.len() as u64)),
                ("Pieces that wait for a core", grouped(permits)),
            ],
        ),
        (
            "Segments and sounds since the start",
            vec![
                ("Made new", grouped(new)),
                ("Found made", grouped(reused)),
                ("Share found", share),
                ("Frames encoded", grouped(frames)),
                ("Speed", rate),
                ("In memory", format!("{:.1} MiB", app.warm.bytes() as f64 / f64::from(1 << 20))),
            ],
        ),
        (
            "Versions",
            vec![
                ("Vignette", env!("CARGO_PKG_VERSION").to_owned()),
                ("GStreamer", vignette_renderer::encode::gstreamer_version()),
                ("Running since", moment(app.opened * 1000)),
                ("This page is of", moment(clock::now_millis())),
            ],
        ),
    ];
    let mut tables = String::new();
    for (title, rows) in groups {
        let _ = write!(tables, "<table>\n<caption>{title}</caption>\n<tbody>\n");
        for (name, value) in rows {
            let class = if value.starts_with("does not") { " class=\"bad\"" } else { "" };
            let _ = writeln!(
                tables,
                "<tr><th scope=\"row\">{name}</th><td{class}>{}</td></tr>",
                page::attribute(&value)
            );
        }
        tables.push_str("</tbody>\n</table>\n");
    }
    let (class, summary) = match (checks.is_ready(), checks.open) {
        (true, _) => ("good", "All parts answer."),
        (false, false) => ("bad", "The service is ending."),
        (false, true) => ("bad", "A part does not answer; renders wait for it."),
    };
    PAGE.replace("{{CLASS}}", class).replace("{{SUMMARY}}", summary).replace("{{TABLES}}", &tables)
}

/// A moment, in milliseconds since 1970, to the second.
fn moment(millis: i64) -> String {
    let stamp = clock::stamp(millis);
    let (day, time) = stamp.split_once('T').unwrap_or((&stamp, ""));
    format!("{day} {} UTC", time.split(['.', 'Z']).next().unwrap_or_default())
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_to_the_second() {
        assert_eq!(moment(1_000_000_123), "1970-01-12 13:46:40 UTC");
    }

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1\u{202f}000"), (1_234_567, "1\u{202f}234\u{202f}567")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
