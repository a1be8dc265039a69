//! Render jobs: accepted once they are on disk, made when their turn comes, told of by webhook.
//!
//! A job outlives the process: whatever was under way when it ended is begun again at the next start, and finds in the store what was
//! made before. Its file is named by content and its end is one step in the database, so it ends once.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::web::{self, Bytes, Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::app::{App, Wish};
use crate::auth::{Scope, caller};
use crate::output::{self, Format, Output};
use crate::permits::Class;
use crate::problem::{Problem, faults};
use crate::quota::{self, Share};
use crate::records::{Accepted, End, JobFilter, JobRecord, NewJob};
use crate::secrets::{Purpose, hex, random_name};
use crate::traces::{self, Kind, Origin, Span};
use crate::uses::{Record, Use, ViewerId};
use crate::viewing::Viewing;
use crate::workshop::MakeError;
use crate::{body, clock, erase, files, hooks, movie};

/// Jobs that are under way, and who waits for news.
#[derive(Default)]
pub struct Jobs {
    /// There may be something to begin.
    wake: Notify,
    /// There may be a webhook to send.
    pub hooks: Notify,
    news: Mutex<HashMap<String, watch::Sender<u64>>>,
}

impl Jobs {
    /// Has the queue looked at.
    pub fn wake(&self) {
        self.wake.notify_waiters();
        self.wake.notify_one();
    }

    /// Tells those who watch a job that it changed.
    pub fn tell(&self, id: &str) {
        let mut news = self.lock();
        if let Some(sender) = news.get(id) {
            sender.send_modify(|number| *number += 1);
            if sender.is_closed() {
                news.remove(id);
            }
        }
    }

    fn watch(&self, id: &str) -> watch::Receiver<u64> {
        let mut news = self.lock();
        // Those that nobody watches any more.
        news.retain(|_, sender| !sender.is_closed());
        news.entry(id.to_owned()).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<u64>>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `POST /v1/renders`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRender {
    template: String,
    version: Option<String>,
    data: Value,
    #[serde(default)]
    output: Output,
    /// Names the viewer, so that what is made for her can be erased.
    viewer: Option<String>,
    metadata: Option<Value>,
    webhook: Option<String>,
    #[serde(default)]
    priority: i64,
    /// Seconds from now after which it is not worth beginning.
    deadline: Option<i64>,
    /// Seconds that the answer may wait for the file.
    wait: Option<u64>,
}

/// What of a request is kept, sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    data: Value,
    output: Output,
    metadata: Option<Value>,
    webhook: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    viewer: Option<ViewerId>,
    /// The request's own trace, in which the job is made whenever that is and by whichever process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<Origin>,
}

/// The longest that an answer waits, in seconds.
const LONGEST_WAIT: u64 = 60;
/// How often a job is begun again after this machine failed.
const MOST_ATTEMPTS: i64 = 4;
/// The first pause before it is begun again, in milliseconds; each further one is four times as long.
const FIRST_PAUSE: i64 = 1000;

/// `POST /v1/renders`: accepts a job.
///
/// # Errors
/// A body, template or data that are wrong; `409` for an idempotency key of another request; `503` when the queue is full.
pub async fn create(
    app: Data<Arc<App>>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Render).await?;
    let limits = &app.config.limits;
    let bytes = body::read_short(limits, payload).await?;
    let idem = match request.headers().get("idempotency-key") {
        None => None,
        Some(key) if key.len() > 255 || key.is_empty() => {
            return Err(Problem::bad("idempotency-key-invalid", "an idempotency key has 1 to 255 signs"));
        }
        Some(key) => Some((
            app.secrets.name("idempotency key", &[caller.tenant.as_bytes(), key.as_bytes()]),
            app.secrets.name("idempotent body", &[&bytes]),
        )),
    };
    let new: NewRender = body::json(&bytes)?;
    if !(-100..=100).contains(&new.priority) {
        return Err(
            Problem::refused("priority-invalid", "a priority is between -100 and 100").field("priority")
        );
    }
    if new.deadline.is_some_and(|seconds| !(1..=30 * 86_400).contains(&seconds)) {
        return Err(
            Problem::refused("deadline-invalid", "a deadline is 1 to 2592000 seconds").field("deadline")
        );
    }
    if new.metadata.as_ref().is_some_and(|metadata| metadata.to_string().len() > 4096) {
        return Err(
            Problem::refused("metadata-too-long", "metadata has at most 4096 bytes").field("metadata")
        );
    }
    if let Some(url) = &new.webhook {
        hooks::check(&app.config, url)
            .map_err(|why| Problem::refused("webhook-refused", why).field("webhook"))?;
    }
    new.output.check()?;
    let viewer = new.viewer.as_deref().map(|id| erase::viewer_id(app, &caller.tenant, id)).transpose()?;
    // Filled now, so that the caller hears at once of what is wrong, and of warnings.
    let wish = Wish {
        tenant: caller.tenant.clone(),
        template: new.template.clone(),
        version: new.version.clone(),
        rendition: new.output.rendition.clone(),
        data: new.data.clone(),
        viewer,
    };
    let viewing = app.viewing(wish).await?;
    let kept = Kept {
        data: new.data,
        output: new.output,
        metadata: new.metadata,
        webhook: new.webhook,
        viewer,
        trace: traces::here().origin(),
    };
    let text = serde_json::to_vec(&kept).map_err(|_| Problem::internal("a job cannot be written"))?;
    let sealed =
        app.secrets.seal(Purpose::Record, &text).map_err(|why| Problem::refused("data-too-long", why))?;
    let id = random_name().map_err(|_| Problem::internal("no randomness"))?;
    let frames = viewing.video.frames();
    let version = viewing.version.clone().or(new.version);
    let uses = uses_of(&viewing, &kept.output).await?;
    let share = Share::of(viewing.video.duration().as_seconds());
    quota::take(app, &request, &caller, share).await?;
    let (state, tenant, most) = (app.clone(), caller.tenant.clone(), limits.queue);
    let accepted = web::block(move || {
        let new = NewJob {
            id: &id,
            tenant: &tenant,
            template: &new.template,
            // The version that was checked is the one that is made, whatever is published meanwhile.
            version: version.as_deref().unwrap_or_default(),
            priority: new.priority,
            deadline: new.deadline.map(|seconds| clock::now_millis() + seconds * 1000),
            sealed: &sealed,
            frames,
            idem,
            record: &Record { tenant: &tenant, template: &new.template, viewer, uses: &uses },
        };
        state.records.accept(&new, most)
    });
    let accepted = accepted.await.map_err(Problem::from).flatten();
    if !matches!(accepted, Ok(Accepted::New(_))) {
        quota::give_back(app, &caller, share).await;
    }
    let accepted = accepted?;
    let job = match accepted {
        Accepted::New(job) => {
            app.jobs.wake();
            job
        }
        Accepted::Known(job) => job,
        Accepted::Conflict => {
            let detail = "this idempotency key came with another request before";
            return Err(Problem::new(StatusCode::CONFLICT, "idempotency-conflict", detail));
        }
        Accepted::Full => return Err(Problem::busy()),
    };
    let location = format!("/v1/renders/{}", job.id);
    if let Some(seconds) = new.wait.filter(|seconds| *seconds > 0) {
        let patience = Duration::from_secs(seconds.min(LONGEST_WAIT));
        let ended = tokio::time::timeout(patience, ended(app, &caller.tenant, &job.id)).await;
        if let Ok(ended) = ended
            && ended?.state == "done"
        {
            let mut response = file_of(app, &request, &caller.tenant, &job.id).await?;
            if let Ok(value) = location.parse() {
                response.headers_mut().insert(LOCATION, value);
            }
            return Ok(response);
        }
    }
    let job = find(app, &caller.tenant, &job.id).await?;
    let mut told = describe(app, &job).await?;
    told["warnings"] = faults(&viewing.warnings);
    Ok(HttpResponse::Accepted()
        .insert_header((LOCATION, location))
        .insert_header(("cache-control", "no-store"))
        .json(told))
}

async fn find(app: &Arc<App>, tenant: &str, id: &str) -> Result<JobRecord, Problem> {
    let (state, tenant, id) = (app.clone(), tenant.to_owned(), id.to_owned());
    let found = web::block(move || state.records.job(&tenant, &id)).await??;
    found.ok_or_else(|| Problem::missing("render-unknown", "there is no such render"))
}

/// Waits until a job has ended.
async fn ended(app: &Arc<App>, tenant: &str, id: &str) -> Result<JobRecord, Problem> {
    let mut news = app.jobs.watch(id);
    loop {
        let job = find(app, tenant, id).await?;
        if is_over(&job.state) {
            return Ok(job);
        }
        // News may be lost when the sender goes; the database is what counts.
        let _ = tokio::time::timeout(Duration::from_secs(5), news.changed()).await;
    }
}

fn is_over(state: &str) -> bool {
    !matches!(state, "queued" | "rendering")
}

/// A job as its owner sees it.
async fn describe(app: &Arc<App>, job: &JobRecord) -> Result<Value, Problem> {
    let state = app.clone();
    let (id, hooked) = (job.id.clone(), is_over(&job.state));
    let hook = match hooked {
        true => web::block(move || state.records.delivery_of(&id)).await??,
        false => None,
    };
    Ok(tell(
        app,
        job,
        hook.map(|hook| json!({ "state": hook.state, "attempts": hook.attempts, "last": hook.last })),
    ))
}

fn tell(app: &App, job: &JobRecord, webhook: Option<Value>) -> Value {
    let opened =
        job.sealed_detail.as_ref().and_then(|sealed| app.secrets.open_sealed(Purpose::Record, sealed).ok());
    let detail = opened.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let stamp = |moment: Option<i64>| moment.map(clock::stamp);
    let done = job.state == "done";
    json!({
        "id": job.id,
        "state": job.state,
        "template": job.template,
        "version": if job.version.is_empty() { None } else { Some(&job.version) },
        "priority": job.priority,
        "created": clock::stamp(job.created),
        "started": stamp(job.started),
        "finished": stamp(job.finished),
        "deadline": stamp(job.deadline),
        "progress": { "frames": job.frames, "done": job.done },
        "file": done.then(|| format!("/v1/renders/{}/file", job.id)),
        "bytes": job.bytes,
        "problem": job.code.as_ref().map(|code| detail.unwrap_or_else(|| json!({ "code": code }))),
        "webhook": webhook,
    })
}

/// `GET /v1/renders/{id}`.
///
/// # Errors
/// `404` when this tenant has no such job.
pub async fn get(
    app: Data<Arc<App>>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Read).await?;
    let job = find(app, &caller.tenant, &id).await?;
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(describe(app, &job).await?))
}

/// What a list is narrowed by.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    state: Option<String>,
    template: Option<String>,
    viewer: Option<String>,
    /// In seconds since 1970.
    since: Option<i64>,
    /// In seconds since 1970.
    until: Option<i64>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// `GET /v1/renders`: newest first.
///
/// # Errors
/// A filter that there is not.
pub async fn list(
    app: Data<Arc<App>>,
    request: HttpRequest,
    filter: Query<Filter>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Read).await?;
    let Filter { state, template, viewer, since, until, cursor, limit } = filter.into_inner();
    const STATES: [&str; 6] = ["queued", "rendering", "done", "failed", "cancelled", "expired"];
    if state.as_ref().is_some_and(|state| !STATES.contains(&state.as_str())) {
        return Err(Problem::refused("state-unknown", format!("a state is one of {}", STATES.join(", ")))
            .field("state"));
    }
    let cursor = match cursor.as_deref().map(str::parse::<i64>) {
        None => None,
        Some(Ok(cursor)) if cursor > 0 => Some(cursor),
        Some(_) => {
            return Err(
                Problem::refused("cursor-invalid", "take the cursor of the page before").field("cursor")
            );
        }
    };
    let limit = limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(Problem::refused("limit-invalid", "a page has 1 to 200 renders").field("limit"));
    }
    let viewer = viewer.map(|id| erase::viewer_id(app, &caller.tenant, &id)).transpose()?;
    let millis = |seconds: Option<i64>| seconds.map(|seconds| seconds.saturating_mul(1000));
    let filter = JobFilter { state, template, viewer, since: millis(since), until: millis(until) };
    let records = app.clone();
    let jobs = web::block(move || records.records.jobs(&caller.tenant, &filter, cursor, limit));
    let jobs = jobs.await??;
    let next = jobs.last().filter(|_| jobs.len() == limit as usize).map(|job| job.seq.to_string());
    let told: Vec<Value> = jobs.iter().map(|job| tell(app, job, None)).collect();
    Ok(HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .json(json!({ "renders": told, "next": next })))
}

/// `DELETE /v1/renders/{id}`: cancels it, between two frames if it is under way.
///
/// # Errors
/// `404` when there is none, `409` when it has ended.
pub async fn cancel(
    app: Data<Arc<App>>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Render).await?;
    let job = find(app, &caller.tenant, &id).await?;
    let (state, tenant, name) = (app.clone(), caller.tenant.clone(), job.id.clone());
    if !web::block(move || state.records.cancel_job(&tenant, &name)).await?? {
        return Err(Problem::new(StatusCode::CONFLICT, "render-over", "this render has ended already"));
    }
    app.jobs.tell(&job.id);
    let job = find(app, &caller.tenant, &job.id).await?;
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(describe(app, &job).await?))
}

/// `GET /v1/renders/{id}/file`.
///
/// # Errors
/// `404` when there is none, `409` when it is not done.
pub async fn file(
    app: Data<Arc<App>>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Read).await?;
    file_of(app, &request, &caller.tenant, &id).await
}

async fn file_of(
    app: &Arc<App>,
    request: &HttpRequest,
    tenant: &str,
    id: &str,
) -> Result<HttpResponse, Problem> {
    let job = find(app, tenant, id).await?;
    let Some(name) = job.file.filter(|_| job.state == "done") else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "render-not-done",
            "this render has no file yet, or none",
        ));
    };
    let gone = || Problem::new(StatusCode::GONE, "file-gone", "the file was not kept; render it again");
    files::serve(app, request, &name).await?.ok_or_else(gone)
}

/// `GET /v1/renders/{id}/events`: server-sent events (WHATWG HTML, section 9.2) until the job has ended.
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
    let news = app.jobs.watch(&id);
    let begin = (app, caller.tenant, id, news, None::<String>, false);
    let stream = stream::unfold(begin, |(app, tenant, id, mut news, last, over)| async move {
        if over {
            return None;
        }
        let mut quiet = 0;
        loop {
            let job = find(&app, &tenant, &id).await.ok()?;
            let told = json!({ "state": job.state, "frames": job.frames, "done": job.done }).to_string();
            if last.as_ref() != Some(&told) {
                let over = is_over(&job.state);
                let event = Bytes::from(format!(
                    "event: {}\ndata: {told}\n\n",
                    if over { "end" } else { "progress" }
                ));
                return Some((Ok::<_, std::io::Error>(event), (app, tenant, id, news, Some(told), over)));
            }
            if tokio::time::timeout(Duration::from_secs(2), news.changed()).await.is_err() {
                quiet += 1;
            }
            if quiet >= 7 {
                // Proxies end connections on which nothing comes.
                let event = Bytes::from_static(b": still here\n\n");
                return Some((Ok(event), (app, tenant, id, news, last, false)));
            }
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(stream)))
}

/// Makes jobs until the service ends; one of several that do.
pub async fn work(app: Arc<App>) {
    while !app.is_stopping() {
        let state = app.clone();
        let next = web::block(move || state.records.begin_job()).await;
        match next {
            Ok(Ok(Some(job))) => run(&app, &job).await,
            // Nothing to do, or the database does not answer: looked at again later.
            _ => {
                let _ = tokio::time::timeout(Duration::from_secs(1), app.jobs.wake.notified()).await;
            }
        }
    }
}

async fn run(app: &Arc<App>, job: &JobRecord) {
    app.jobs.tell(&job.id);
    let origin = traces::is_on().then(|| open(app, job)?.trace).flatten();
    let span = Span::after(origin.as_ref(), "render", Kind::Consumer);
    span.set("vignette.attempt", job.attempts + 1);
    span.set("vignette.queued_ms", job.started.unwrap_or(job.created) - job.created);
    let made = span.along(make(app, job)).await;
    settle(app, job, made, &span).await;
    app.jobs.tell(&job.id);
}

/// Why a job is not done.
enum Stop {
    /// It was cancelled, or the service ends.
    GivenUp,
    /// It cannot be made.
    Failed(MakeError),
    /// It cannot be filled.
    Refused(Problem),
}

impl From<MakeError> for Stop {
    fn from(error: MakeError) -> Self {
        Stop::Failed(error)
    }
}

fn open(app: &App, job: &JobRecord) -> Option<Kept> {
    let text = app.secrets.open_sealed(Purpose::Record, &job.sealed).ok()?;
    serde_json::from_slice(&text).ok()
}

async fn make(app: &Arc<App>, job: &JobRecord) -> Result<(String, u64), Stop> {
    let sealed = || Stop::Failed(MakeError::Machine("the request cannot be unsealed".into()));
    let kept = open(app, job).ok_or_else(sealed)?;
    let wish = Wish {
        tenant: job.tenant.clone(),
        template: job.template.clone(),
        version: Some(job.version.clone()).filter(|version| !version.is_empty()),
        rendition: kept.output.rendition.clone(),
        data: kept.data,
        viewer: kept.viewer,
    };
    let viewing = app.viewing(wish).await.map_err(Stop::Refused)?;
    if kept.output.format != Format::Mp4 {
        return tokio::select! {
            made = output::make(app, &viewing, &kept.output, Class::Job) => Ok(made?),
            () = given_up(app, job) => Err(Stop::GivenUp),
        };
    }
    let mut pieces = movie::Pieces::new(app, &viewing, Class::Job);
    let (mut segments, mut done) = (Vec::new(), 0);
    loop {
        let next = tokio::select! {
            next = pieces.next() => next?,
            () = given_up(app, job) => return Err(Stop::GivenUp),
        };
        let Some(segment) = next else { break };
        done += segment.frames();
        segments.push(segment);
        let (state, id) = (app.clone(), job.id.clone());
        // Progress is a courtesy: a database that is away for a moment does not stop the work.
        let _ = web::block(move || state.records.progress(&id, done)).await;
        app.jobs.tell(&job.id);
    }
    let audio = tokio::select! {
        audio = pieces.sound() => audio?,
        () = given_up(app, job) => return Err(Stop::GivenUp),
    };
    Ok(movie::keep(app, &viewing, segments, audio).await?)
}

/// Everything that making this output may leave behind; planning another codec's segments takes a moment.
pub async fn uses_of(viewing: &Arc<Viewing>, output: &Output) -> Result<Vec<Use>, Problem> {
    let (viewing, output) = (viewing.clone(), output.clone());
    Ok(web::block(move || output.uses(&viewing)).await??)
}

/// Waits until a job is cancelled or the service ends.
async fn given_up(app: &Arc<App>, job: &JobRecord) {
    let mut news = app.jobs.watch(&job.id);
    loop {
        let _ = tokio::time::timeout(Duration::from_secs(1), news.changed()).await;
        if app.is_stopping() {
            return;
        }
        match find(app, &job.tenant, &job.id).await {
            Ok(job) if job.state == "rendering" => {}
            Ok(_) => return,
            // Its viewer was erased.
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => return,
            // The database is away for a moment.
            Err(_) => {}
        }
    }
}

/// Writes down what came of a job.
async fn settle(app: &Arc<App>, job: &JobRecord, made: Result<(String, u64), Stop>, span: &Span) {
    let webhook = open(app, job).and_then(|kept| Some((kept.webhook?, kept.metadata)));
    let name = job.id.clone();
    let again = match &made {
        Err(Stop::GivenUp) => Some(0),
        Err(Stop::Failed(MakeError::Cancelled)) => Some(FIRST_PAUSE),
        Err(Stop::Failed(MakeError::Machine(_))) if job.attempts + 1 < MOST_ATTEMPTS => {
            Some(FIRST_PAUSE << (2 * job.attempts.clamp(0, 8)))
        }
        Err(Stop::Refused(problem)) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => {
            Some(FIRST_PAUSE)
        }
        _ => None,
    };
    if let Some(pause) = again {
        span.set("vignette.outcome", "put back");
        // A job that was cancelled meanwhile stays so.
        return app.insist(move |app| app.records.put_back(&name, pause)).await;
    }
    let (outcome, detail) = match made {
        Ok((file, bytes)) => (Ok((file, bytes)), Value::Null),
        Err(stop) => {
            let problem = match stop {
                Stop::Failed(error) => Problem::from(error),
                Stop::Refused(problem) => problem,
                Stop::GivenUp => Problem::busy(),
            };
            (Err(problem.code()), problem.document())
        }
    };
    span.set("vignette.outcome", if outcome.is_ok() { "done" } else { "failed" });
    if let Err(code) = outcome {
        span.fail(code);
    }
    let counter = if outcome.is_ok() { &app.metrics.jobs_done } else { &app.metrics.jobs_failed };
    counter.fetch_add(1, Ordering::Relaxed);
    let message = hex(&app.secrets.name("webhook", &[job.id.as_bytes()])[..16]);
    let hook = webhook.and_then(|(url, metadata)| {
        let event = if outcome.is_ok() { "render.done" } else { "render.failed" };
        let payload = json!({
            "type": event,
            "timestamp": clock::stamp(clock::now_millis()),
            "data": {
                "id": job.id, "template": job.template, "metadata": metadata,
                "file": outcome.as_ref().ok().map(|_| format!("/v1/renders/{}/file", job.id)),
                "code": outcome.as_ref().err(),
            },
        });
        let told = json!({ "url": url, "payload": payload.to_string(), "trace": span.origin() });
        let text = serde_json::to_vec(&told).ok()?;
        app.secrets.seal(Purpose::Record, &text).ok()
    });
    let sealed_detail = app.secrets.seal(Purpose::Record, detail.to_string().as_bytes()).unwrap_or_default();
    let written = app.insist(move |app| {
        let end = match &outcome {
            Ok((file, bytes)) => End::Done { file, bytes: *bytes },
            Err(code) => End::Failed { code, sealed_detail: &sealed_detail },
        };
        let hook = hook.as_ref().map(|sealed| (message.as_str(), sealed.as_slice()));
        app.records.end_job(&name, &end, hook).map(drop)
    });
    written.await;
    app.jobs.hooks.notify_one();
}
