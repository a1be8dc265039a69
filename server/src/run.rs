//! The service from its start to its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, PathConfig, QueryConfig};
use actix_web::{App as WebApp, Error, HttpMessage, HttpServer};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::App;
use crate::config::Config;
use crate::problem::Problem;
use crate::quota::Standing;
use crate::secrets::random;
use crate::traces::Span;
use crate::workshop::Workshop;
use crate::{batches, clock, cors, erase, hooks, jobs, log, output, processes, routes, traces};

/// Seconds that answers under way have at the end.
const LAST_SECONDS: u64 = 10;

/// What the caller is told once the service listens.
pub struct Started {
    /// Where it can be reached, e.g. `http://127.0.0.1:8080`.
    pub url: String,
}

/// Runs the service until it is asked to end (SIGTERM or SIGINT): what was begun is answered, jobs go back into the queue.
///
/// # Errors
/// What keeps it from starting, in words for its operator.
pub fn run(
    config: Config,
    workshop: Arc<dyn Workshop>,
    rotate: bool,
    started: impl FnOnce(&Started),
) -> Result<(), String> {
    if !config.log_requests {
        log::quiet();
    }
    let settings = config.traces().map_err(|faults| faults.join("; "))?;
    let (address, limits) = (config.address()?, config.limits.clone());
    let app = Arc::new(App::open(config, workshop, rotate)?);
    let again = app.records.begin().map_err(|_| "the database does not answer".to_owned())?;
    let shared = app.clone();
    actix_web::rt::System::new().block_on(async move {
        let export = settings.map(|settings| traces::start(&settings, app.metrics.clone())).transpose()?;
        let server = HttpServer::new(move || {
            WebApp::new()
                .app_data(Data::new(shared.clone()))
                .app_data(PathConfig::default().error_handler(|_, _| {
                    Problem::bad("path-invalid", "a part of the path is not what it should be").into()
                }))
                .app_data(QueryConfig::default().error_handler(|_, _| {
                    Problem::bad("query-invalid", "the query has a field that there is not, or lacks one").into()
                }))
                .wrap(from_fn(cors::guard))
                .wrap(from_fn(observe))
                .configure(routes::all)
        })
        .client_request_timeout(Duration::from_secs(limits.header_seconds))
        .client_disconnect_timeout(Duration::from_secs(5))
        .keep_alive(Duration::from_secs(75))
        .max_connections(limits.connections)
        .shutdown_timeout(LAST_SECONDS)
        .disable_signals()
        .bind(address)
        .map_err(|error| format!("bind: {address}: {error}"))?;
        let bound = server.addrs().first().copied().unwrap_or(address);
        for _ in 0..limits.jobs {
            actix_web::rt::spawn(jobs::work(app.clone()));
        }
        for _ in 0..limits.batch_workers {
            actix_web::rt::spawn(batches::work::rows(app.clone()));
        }
        actix_web::rt::spawn(batches::work::forecast(app.clone()));
        actix_web::rt::spawn(hooks::work(app.clone()));
        actix_web::rt::spawn(erase::work(app.clone()));
        actix_web::rt::spawn(sweep(app.clone()));
        actix_web::rt::spawn(processes::work(app.clone()));
        log::event("start", json!({ "address": bound.to_string(), "requeued": again, "templates": app.catalog.gallery().count() }));
        // Before anybody is told: who hears of it may end it at once.
        let signals = Signals::new().map_err(|error| format!("signals cannot be waited for: {error}"))?;
        started(&Started { url: format!("http://{bound}") });
        let server = server.run();
        let ending = app.clone();
        let handle = server.handle();
        actix_web::rt::spawn(async move {
            // The server ends by the same signals; jobs are given up first, as their answers wait for them.
            signals.wait().await;
            ending.stop();
            handle.stop(true).await;
        });
        let ended = server.await;
        app.stop();
        // Whoever made something for a job puts it back.
        let until = Instant::now() + Duration::from_secs(LAST_SECONDS);
        while Instant::now() < until {
            let state = app.clone();
            let left = web::block(move || state.records.under_way()).await;
            if left.is_ok_and(|left| left.is_ok_and(|begun| begun == 0)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let state = app.clone();
        // What this leaves behind, others find out for themselves.
        let _ = web::block(move || state.records.leave()).await;
        app.studio.close();
        if let Some(export) = export {
            export.finish().await;
        }
        log::event("end", json!({}));
        ended.map_err(|error| format!("the server failed: {}", error.kind()))
    })
}

/// The signals that ask the service to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Removes what has been kept long enough, now and then.
async fn sweep(app: Arc<App>) {
    while !app.is_stopping() {
        let state = app.clone();
        let swept = web::block(move || {
            let before = clock::now_millis() - i64::from(state.config.limits.keep_days) * 86_400_000;
            state.records.sweep(before)?;
            let files = state.records.old_files(before)?;
            // Their records stay until they are gone.
            output::discard(&state, &files)?;
            state.records.forget_jobs(before)?;
            let rows = batches::work::sweep(&state, &state.records, before)?;
            erase::retire(&state)?;
            Ok::<usize, Problem>(files.len() + rows)
        });
        if let Ok(Ok(count)) = swept.await
            && count > 0
        {
            log::event("sweep", json!({ "files": count }));
        }
        app.ending_or(Duration::from_secs(600)).await;
    }
}

/// Counts, logs and traces each answer, and gives it a number by which both sides can speak of it.
async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let number = random::<8>().map_or(0, u64::from_le_bytes);
    let method = request.method().clone();
    let app = request.app_data::<Data<Arc<App>>>().cloned();
    let span = traces::request(&method, request.headers());
    let mut response = span.along(next.call(request)).await?;
    let number = format!("{number:016x}");
    if let Ok(value) = HeaderValue::from_str(&number) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    let standing = response.request().extensions().get::<Standing>().cloned();
    if let Some(standing) = standing {
        standing.write(response.headers_mut());
    }
    let status = response.status().as_u16();
    if let Some(app) = app {
        app.metrics.answered(status);
    }
    // By its pattern, as the path itself holds tokens.
    let route = response.request().match_pattern();
    let bytes = match response.response().body().size() {
        BodySize::Sized(bytes) => Some(bytes),
        _ => None,
    };
    let mut line = json!({
        "request": number, "method": traces::name_of(&method), "route": route.as_deref().unwrap_or("-"), "status": status,
        "ms": started.elapsed().as_millis() as u64, "bytes": bytes,
    });
    if let Some(trace) = span.trace() {
        line["trace"] = trace.into();
        describe(&span, &method, route, status, bytes);
        span.set("vignette.request", number);
    }
    log::request(line);
    Ok(response)
}

/// A route without what its parts are to look like: `/w/{token}/{file:.*}` is `/w/{token}/{file}`.
fn bare(route: &str) -> String {
    let parts = route.split('/').map(|part| match part.split_once(':') {
        Some((name, _)) if name.starts_with('{') => format!("{name}}}"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// What the semantic conventions have of a request (HTTP spans), but for its path, query, host, client and agent.
fn describe(span: &Span, method: &Method, route: Option<String>, status: u16, bytes: Option<u64>) {
    let method = traces::name_of(method);
    let shown = if method == "_OTHER" { "HTTP" } else { method };
    let route = route.map(|route| bare(&route));
    span.rename(route.as_ref().map_or_else(|| shown.to_owned(), |route| format!("{shown} {route}")));
    span.set("http.request.method", method);
    if let Some(route) = route {
        span.set("http.route", route);
    }
    span.set("http.response.status_code", i64::from(status));
    if let Some(bytes) = bytes {
        span.set("http.response.body.size", i64::try_from(bytes).unwrap_or(i64::MAX));
    }
    span.set("url.scheme", "http");
    if status >= 500 {
        span.fail(status.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_told_barely() {
        for (route, told) in [
            ("/healthz", "/healthz"),
            ("/w/{token}", "/w/{token}"),
            ("/w/{token}/{file:.*}", "/w/{token}/{file}"),
            ("/v1/batches/{id}/rows/{number}/file", "/v1/batches/{id}/rows/{number}/file"),
        ] {
            assert_eq!(bare(route), told);
        }
    }
}
