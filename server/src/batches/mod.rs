//! Batches: an audience that becomes a file or a link for each row.
//!
//! ```text
//! upload ── rows, each sealed ──► forecasting ──► forecast ── start ──► running ⇄ paused ──► done
//!                                                                          └─ cancel ──► cancelled
//! ```
//!
//! Rows are the queue's last: behind renders, which go behind viewers. What a row holds is sealed, and gone once the row has ended; of
//! the upload itself nothing stays.

pub(crate) mod records;
mod results;
mod scratch;
mod upload;
pub mod work;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::web::{self, Bytes, Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::records::{Batch, NewBatch as NewRecord, RowRecord, state};
use self::scratch::Scratch;
use self::upload::{Deliver, NewBatch, Referenced};
use crate::app::App;
use crate::auth::{Caller, Scope, caller};
use crate::output::Output;
use crate::problem::Problem;
use crate::secrets::{Purpose, random_name};
use crate::traces::{self, Origin};
use crate::workshop::{AudienceRow, MakeError, RowForm};
use crate::{body, clock, erase, files, hooks, links};

pub use self::records::state::{DONE, ERASED, FAILED};
pub use self::results::results;

/// What was wanted of a batch, as it is kept, sealed.
#[derive(Serialize, Deserialize)]
struct Wanted {
    output: Output,
    deliver: Deliver,
    columns: Vec<String>,
    expires_in: Option<i64>,
    webhook: Option<String>,
    metadata: Option<Value>,
    /// The key whose quota the rows are taken from.
    key: String,
    /// The request's own trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<Origin>,
}

fn open_wanted(app: &App, batch: &Batch) -> Result<Wanted, Problem> {
    let text = app.secrets.open_sealed(Purpose::Record, &batch.sealed);
    let wanted = text.ok().and_then(|text| serde_json::from_slice(&text).ok());
    wanted.ok_or_else(|| Problem::internal("a batch cannot be unsealed"))
}

fn unseal_json(app: &App, sealed: &[u8]) -> Option<Value> {
    serde_json::from_slice(&app.secrets.open_sealed(Purpose::Record, sealed).ok()?).ok()
}

/// Why a row failed, in a line: what is wrong and where, without the values themselves.
fn reason(problem: &Problem) -> String {
    let document = problem.document();
    let faults = document["faults"].as_array().into_iter().flatten();
    let faults = faults.map(|fault| {
        let text = |name: &str| fault[name].as_str().unwrap_or_default().to_owned();
        match text("path") {
            path if path.is_empty() => text("message"),
            path => format!("{path}: {}", text("message")),
        }
    });
    let faults: Vec<String> = faults.take(5).collect();
    let detail = document["detail"].as_str().unwrap_or_default();
    let words = if faults.is_empty() { detail.to_owned() } else { faults.join("; ") };
    let line: String =
        words.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).take(1000).collect();
    format!("{}: {line}", problem.code())
}

/// Columns that a result may have beside ours.
const MOST_COLUMNS: usize = 20;
/// Rows that are written in one step.
const STEP: usize = 500;

/// `POST /v1/batches`: takes an audience.
///
/// # Errors
/// Options, template or audience that are wrong or beyond the bounds.
pub async fn create(
    app: Data<Arc<App>>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Render).await?;
    let limits = &app.config.limits;
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (new, form, audience) = if upload::is_reference(kind) {
        let (new, audience) = upload::read_reference(&body::read_short(limits, payload).await?)?;
        // Before it is fetched for nothing.
        check(app, &new)?;
        let (form, rows) = fetched(app, &audience).await?;
        (new, form, rows)
    } else {
        let bytes = body::read(payload, limits.batch_bytes, Duration::from_secs(limits.body_seconds)).await?;
        let taken = upload::read(kind, request.query_string(), bytes)?;
        check(app, &taken.0)?;
        taken
    };
    let state = app.clone();
    let made = web::block(traces::carry(move || take(&state, &caller, &new, form, &audience))).await??;
    app.batches.notify_waiters();
    Ok(HttpResponse::Accepted()
        .insert_header((LOCATION, format!("/v1/batches/{}", made.id)))
        .insert_header(("cache-control", "no-store"))
        .json(describe(app, &made)))
}

/// The rows of an audience that is elsewhere, by the rules of files by address.
async fn fetched(app: &App, audience: &Referenced) -> Result<(RowForm, Bytes), Problem> {
    let refused = |why: String| {
        let detail = format!("the audience cannot be fetched: {why}");
        Problem::refused("audience-unreachable", detail).field("audience.url")
    };
    let none = || refused("files are not fetched here; send it".to_owned());
    let (bytes, kind) =
        app.fetcher.as_ref().ok_or_else(none)?.audience(&audience.url).await.map_err(refused)?;
    Ok((audience.form_of(&kind)?, Bytes::from(bytes)))
}

fn check(app: &App, new: &NewBatch) -> Result<(), Problem> {
    let refused = |field: &str, why: &str| {
        Err(Problem::refused("batch-invalid", why.to_owned()).field(field.to_owned()))
    };
    new.output().check()?;
    if new.columns.len() > MOST_COLUMNS {
        return refused("columns", "a result has at most 20 columns of the audience");
    }
    if !(-100..=100).contains(&new.priority) {
        return refused("priority", "a priority is between -100 and 100, among batches");
    }
    if let Some(lasts) = new.expires_in {
        links::check_lasts(lasts)?;
        if new.deliver == Deliver::Files {
            return refused("expires_in", "an expiry goes with links");
        }
    }
    if new.deliver == Deliver::Links && new.format != crate::output::Format::Mp4 {
        return refused("format", "a format goes with files; a link has several");
    }
    if new.metadata.as_ref().is_some_and(|metadata| metadata.to_string().len() > 4096) {
        return refused("metadata", "metadata has at most 4096 bytes");
    }
    if let Some(url) = &new.webhook {
        hooks::check(&app.config, url)
            .map_err(|why| Problem::refused("webhook-refused", why).field("webhook"))?;
    }
    Ok(())
}

/// Reads the rows, and keeps each sealed.
fn take(
    app: &App,
    caller: &Caller,
    new: &NewBatch,
    form: RowForm,
    audience: &[u8],
) -> Result<Batch, Problem> {
    let tenant = caller.tenant.as_str();
    let template = app.catalog.get(tenant, &new.template, new.version.as_deref())?;
    if let Some(name) = &new.rendition
        && !template.opened.renditions().iter().any(|(known, ..)| known == name)
    {
        return Err(
            Problem::refused("batch-invalid", "the template has no such rendition").field("rendition")
        );
    }
    let failed = |error: std::io::Error| Problem::internal(&format!("an audience's file: {}", error.kind()));
    let mut file = Scratch::new(&app.config.data_dir).map_err(failed)?;
    file.write(audience).map_err(failed)?;
    let wanted = Wanted {
        output: new.output(),
        deliver: new.deliver,
        columns: new.columns.clone(),
        expires_in: new.expires_in,
        webhook: new.webhook.clone(),
        metadata: new.metadata.clone(),
        key: caller.key.clone(),
        trace: traces::here().origin(),
    };
    let text = serde_json::to_vec(&wanted).map_err(|_| Problem::internal("a batch cannot be written"))?;
    let sealed =
        app.secrets.seal(Purpose::Record, &text).map_err(|why| Problem::refused("batch-invalid", why))?;
    let id = random_name().map_err(|_| Problem::internal("no randomness"))?;
    let version = if template.gallery { String::new() } else { template.version.clone() };
    let record = NewRecord {
        id: &id,
        tenant,
        template: &new.template,
        version: &version,
        priority: new.priority,
        start: new.start,
        sealed: &sealed,
    };
    let limits = &app.config.limits;
    let Some(seq) = app.records.add_batch(&record, limits.batches)? else {
        let detail = "as many batches as are allowed have not ended; wait, or cancel one";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "batches-full", detail).retry_after(60));
    };
    let read = read_rows(app, tenant, new, form, &file, &template.opened, seq);
    if let Err(problem) = read {
        app.records.drop_batch(seq)?;
        return Err(problem);
    }
    app.records.move_batch(seq, &["reading"], "forecasting")?;
    app.records.batch(tenant, &id)?.ok_or_else(Problem::busy)
}

fn read_rows(
    app: &App,
    tenant: &str,
    new: &NewBatch,
    form: RowForm,
    file: &Scratch,
    opened: &Arc<dyn crate::workshop::Opened>,
    seq: i64,
) -> Result<(), Problem> {
    let most = app.config.limits.batch_rows;
    let mut columns = new.columns.clone();
    columns.extend(new.viewer.clone());
    let (mut rows, mut count, mut trouble) = (Vec::new(), 0, None);
    let mut each = |row: AudienceRow| {
        count += 1;
        let kept = match count > most {
            true => {
                let detail = format!("an audience has at most {most} rows here; split it");
                Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "audience-too-long", detail))
            }
            false => seal_row(app, tenant, new, row).and_then(|row| {
                rows.push(row);
                if rows.len() < STEP {
                    return Ok(());
                }
                app.records.add_rows(seq, &std::mem::take(&mut rows))
            }),
        };
        kept.map_err(|problem| {
            trouble = Some(problem);
            MakeError::Cancelled
        })
    };
    let read = opened.rows(&file.path(), form, &columns, &mut each);
    if let Some(problem) = trouble {
        return Err(problem);
    }
    match read {
        Err(MakeError::Input(why)) => {
            return Err(Problem::refused("audience-invalid", why).field("audience"));
        }
        other => other?,
    }
    if count == 0 {
        return Err(Problem::refused("audience-invalid", "it has no row").field("audience"));
    }
    app.records.add_rows(seq, &rows)
}

/// A row as it is kept; one that is faulty by itself has failed already.
fn seal_row(app: &App, tenant: &str, new: &NewBatch, row: AudienceRow) -> Result<RowRecord, Problem> {
    let AudienceRow { number, value, mut cells } = row;
    let seal = |text: &str| app.secrets.seal(Purpose::Record, text.as_bytes());
    let viewer = match &new.viewer {
        None => Ok(None),
        // The last of the cells that were asked for.
        Some(_) => erase::viewer_id(app, tenant, &cells.pop().unwrap_or_default()).map(Some),
    };
    let cells_text = json!(cells).to_string();
    let cells = if new.columns.is_empty() { None } else { seal(&cells_text).ok() };
    let sealed = value.and_then(|value| seal(&value.to_string()));
    let (state, sealed, why) = match (&sealed, &viewer) {
        (Ok(sealed), Ok(_)) => (state::QUEUED, sealed.clone(), None),
        (Err(why), _) => (FAILED, Vec::new(), Some(format!("row-invalid: {why}"))),
        (_, Err(problem)) => (FAILED, Vec::new(), Some(reason(problem))),
    };
    let detail = why.and_then(|why| seal(&why).ok());
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let viewer = viewer.ok().flatten();
    Ok(RowRecord { number, state, viewer, attempts: 0, sealed, cells, file: None, link: None, detail })
}

fn describe(app: &App, batch: &Batch) -> Value {
    let wanted = open_wanted(app, batch).ok();
    let forecast = batch.forecast.as_ref().and_then(|sealed| unseal_json(app, sealed));
    let left = batch.total - batch.done - batch.failed - batch.erased;
    json!({
        "id": batch.id,
        "state": batch.state,
        "template": batch.template,
        "version": if batch.version.is_empty() { None } else { Some(&batch.version) },
        "priority": batch.priority,
        "deliver": wanted.as_ref().map(|wanted| wanted.deliver),
        "output": wanted.as_ref().map(|wanted| &wanted.output),
        "created": clock::stamp(batch.created),
        "started": batch.begun.map(clock::stamp),
        "finished": batch.finished.map(clock::stamp),
        "rows": {
            "total": batch.total, "done": batch.done, "failed": batch.failed, "erased": batch.erased, "left": left,
        },
        "forecast": forecast,
        "problem": batch.code.as_ref().map(|code| json!({ "code": code })),
        "results": format!("/v1/batches/{}/results.csv", batch.id),
    })
}

async fn find(app: &Arc<App>, tenant: &str, id: &str) -> Result<Batch, Problem> {
    let (state, tenant, id) = (app.clone(), tenant.to_owned(), id.to_owned());
    let found = web::block(move || state.records.batch(&tenant, &id)).await??;
    found.ok_or_else(|| Problem::missing("batch-unknown", "there is no such batch"))
}

fn told(app: &App, batch: &Batch) -> HttpResponse {
    HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(describe(app, batch))
}

/// `GET /v1/batches/{id}`: state, progress and forecast.
///
/// # Errors
/// `404` when this tenant has no such batch.
pub async fn get(
    app: Data<Arc<App>>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Read).await?;
    Ok(told(app, &find(app, &caller.tenant, &id).await?))
}

/// How often a batch is looked at for those who watch it.
const LOOK: Duration = Duration::from_secs(1);
/// Looks without news after which something is said all the same: proxies end connections on which nothing comes.
const QUIET: u32 = 14;

/// `GET /v1/batches/{id}/events`: server-sent events (WHATWG HTML, section 9.2) until the batch has ended.
///
/// # Errors
/// `404` when there is none.
pub async fn events(
    app: Data<Arc<App>>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref().clone();
    let caller = caller(&app, &request, Scope::Read).await?;
    let id = find(&app, &caller.tenant, &id).await?.id;
    let begin = (app, caller.tenant, id, None::<String>, false);
    let stream = stream::unfold(begin, |(app, tenant, id, last, over)| async move {
        if over {
            return None;
        }
        let mut quiet = 0;
        loop {
            // One that is gone, or a database that is away, ends it: the caller comes again.
            let batch = find(&app, &tenant, &id).await.ok()?;
            let told = describe(&app, &batch);
            let told = json!({ "state": told["state"], "rows": told["rows"] }).to_string();
            if last.as_ref() != Some(&told) {
                let over = batch.finished.is_some();
                let name = if over { "end" } else { "progress" };
                let event = Bytes::from(format!("event: {name}\ndata: {told}\n\n"));
                return Some((Ok::<_, std::io::Error>(event), (app, tenant, id, Some(told), over)));
            }
            if app.is_stopping() {
                return None;
            }
            quiet += 1;
            if quiet >= QUIET {
                let event = Bytes::from_static(b": still here\n\n");
                return Some((Ok(event), (app, tenant, id, last, false)));
            }
            app.ending_or(LOOK).await;
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(stream)))
}

/// What a list is narrowed by.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    state: Option<String>,
    template: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// `GET /v1/batches`: newest first.
///
/// # Errors
/// A filter that there is not.
pub async fn list(
    app: Data<Arc<App>>,
    request: HttpRequest,
    filter: Query<Filter>,
) -> Result<HttpResponse, Problem> {
    const STATES: [&str; 7] = ["forecasting", "forecast", "running", "paused", "done", "cancelled", "failed"];
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Read).await?;
    let Filter { state, template, cursor, limit } = filter.into_inner();
    if state.as_ref().is_some_and(|state| !STATES.contains(&state.as_str())) {
        return Err(Problem::refused("state-unknown", format!("a state is one of {}", STATES.join(", ")))
            .field("state"));
    }
    let invalid = || Problem::refused("cursor-invalid", "take the cursor of the page before").field("cursor");
    let cursor = cursor.map(|text| text.parse::<i64>().ok().filter(|at| *at > 0).ok_or_else(invalid));
    let cursor = cursor.transpose()?;
    let limit = limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(Problem::refused("limit-invalid", "a page has 1 to 200 batches").field("limit"));
    }
    let records = app.clone();
    let found = web::block(move || {
        records.records.batches(&caller.tenant, state.as_deref(), template.as_deref(), cursor, limit)
    });
    let found = found.await??;
    let next = found.last().filter(|_| found.len() == limit as usize).map(|batch| batch.seq.to_string());
    let list: Vec<Value> = found.iter().map(|batch| describe(app, batch)).collect();
    Ok(HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .json(json!({ "batches": list, "next": next })))
}

/// `POST /v1/batches/{id}/{step}`: `start` confirms a forecast, `pause` begins no further row, `resume` goes on.
///
/// # Errors
/// `404` when there is no such batch or step, `409` when it is not in a state for that.
pub async fn step(
    app: Data<Arc<App>>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Render).await?;
    let (id, step) = path.into_inner();
    let (from, to): (&[&str], _) = match step.as_str() {
        "start" => (&["forecast"], "running"),
        "pause" => (&["running"], "paused"),
        "resume" => (&["paused"], "running"),
        _ => return Err(Problem::missing("path-unknown", "there is nothing at this path; see /docs")),
    };
    moved(app, &caller.tenant, &id, from, to).await
}

/// `DELETE /v1/batches/{id}`: cancels it; what is under way is given up between two frames.
///
/// # Errors
/// `404` when there is none, `409` when it has ended.
pub async fn cancel(
    app: Data<Arc<App>>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    const FROM: [&str; 4] = ["forecasting", "forecast", "running", "paused"];
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Render).await?;
    let answer = moved(app, &caller.tenant, &id, &FROM, "cancelled").await?;
    let state = app.clone();
    // What it held of viewers goes at once, a part at a time.
    drop(web::block(move || while matches!(state.records.strip_rows(), Ok(true)) {}));
    Ok(answer)
}

async fn moved(
    app: &Arc<App>,
    tenant: &str,
    id: &str,
    from: &'static [&'static str],
    to: &'static str,
) -> Result<HttpResponse, Problem> {
    let batch = find(app, tenant, id).await?;
    let state = app.clone();
    let changed = web::block(move || state.records.move_batch(batch.seq, from, to)).await??;
    if !changed {
        let detail = format!("this batch is not {}", from.join(" or "));
        return Err(Problem::new(StatusCode::CONFLICT, "batch-state", detail));
    }
    app.batches.notify_waiters();
    Ok(told(app, &find(app, tenant, id).await?))
}

/// `GET /v1/batches/{id}/rows/{number}/file`.
///
/// # Errors
/// `404` when there is no such row, `409` when it has no file.
pub async fn file(
    app: Data<Arc<App>>,
    request: HttpRequest,
    path: Path<(String, i64)>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Read).await?;
    let (id, number) = path.into_inner();
    let batch = find(app, &caller.tenant, &id).await?;
    let state = app.clone();
    let row = web::block(move || state.records.row(batch.seq, number)).await??;
    let row = row.ok_or_else(|| Problem::missing("row-unknown", "the batch has no such row"))?;
    let none = || Problem::new(StatusCode::CONFLICT, "row-not-done", "this row has no file yet, or none");
    let name = row.file.ok_or_else(none)?;
    let gone = || Problem::new(StatusCode::GONE, "file-gone", "the file was not kept");
    files::serve(app, &request, &name).await?.ok_or_else(gone)
}
