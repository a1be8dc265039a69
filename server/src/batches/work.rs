//! Forecasts and rows of batches, made beside everything else: behind single renders, which go behind viewers.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web;
use serde_json::{Value, json};

use super::records::{Batch, Hook, RowEnd, RowRecord, state};
use super::scratch::Scratch;
use super::upload::Deliver;
use super::{Wanted, open_wanted, unseal_json};
use crate::app::{App, Wish};
use crate::jobs::uses_of;
use crate::output::{self, Format};
use crate::permits::{Class, Keeps};
use crate::problem::Problem;
use crate::quota::{Share, until_tomorrow};
use crate::records::Records;
use crate::secrets::{Purpose, hex};
use crate::traces::{self, Span};
use crate::uses::Record;
use crate::workshop::MakeError;
use crate::{clock, links, log, movie};

/// How often a row is begun again after this machine failed.
const MOST_ATTEMPTS: i64 = 4;
/// The first pause before it is begun again, in milliseconds; each further one is four times as long.
const FIRST_PAUSE: i64 = 1000;

/// Makes forecasts until the service ends.
pub async fn forecast(app: Arc<App>) {
    while !app.is_stopping() {
        let state = app.clone();
        let worked = web::block(move || {
            let Some(batch) = state.records.next_forecast()? else { return Ok(false) };
            let made = forecast_one(&state, &batch);
            if state.is_stopping() {
                // Half a forecast is none.
                return Ok(false);
            }
            match made {
                Ok(Some(told)) => {
                    let sealed = state.secrets.seal(Purpose::Record, told.to_string().as_bytes());
                    state
                        .records
                        .end_forecast(batch.seq, sealed.as_deref().map_err(|_| "forecast-too-long"))?;
                }
                // It was cancelled.
                Ok(None) => {}
                Err(problem) => state.records.end_forecast(batch.seq, Err(problem.code()))?,
            }
            Ok::<_, Problem>(true)
        });
        if matches!(worked.await, Ok(Ok(true))) {
            app.batches.notify_waiters();
            continue;
        }
        let news = app.batches.notified();
        let _ = tokio::time::timeout(Duration::from_secs(2), news).await;
    }
}

/// Plans every row whose data could be read; nothing personal is left on the disk.
fn forecast_one(app: &App, batch: &Batch) -> Result<Option<Value>, Problem> {
    const AT_ONCE: u32 = 1000;
    let wanted = open_wanted(app, batch)?;
    let version = Some(batch.version.as_str()).filter(|version| !version.is_empty());
    let template = app.catalog.get(&batch.tenant, &batch.template, version)?;
    let failed = |error: std::io::Error| Problem::internal(&format!("a forecast's file: {}", error.kind()));
    let mut file = Scratch::new(&app.config.data_dir).map_err(failed)?;
    // The number of the row that each line holds.
    let (mut numbers, mut unread, mut last) = (Vec::new(), 0, 0);
    loop {
        let rows = app.records.rows(batch.seq, last, AT_ONCE)?;
        let Some(end) = rows.last() else { break };
        last = end.number;
        let mut lines = Vec::new();
        for row in &rows {
            match unseal_json(app, &row.sealed) {
                Some(data) if row.state == state::QUEUED => {
                    numbers.push(row.number);
                    lines.extend(data.to_string().into_bytes());
                    lines.push(b'\n');
                }
                _ => unread += 1,
            }
        }
        file.write(&lines).map_err(failed)?;
    }
    let permits = app.studio.permits();
    let stopped = || {
        let known = app.records.batch(&batch.tenant, &batch.id);
        app.is_stopping() || known.is_ok_and(|known| known.is_none_or(|batch| batch.state != "forecasting"))
    };
    let permit = std::sync::Mutex::new(None);
    let breathe = || {
        let mut permit = permit.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        !permits.give_way(&mut permit, Keeps::Little, &|| Class::Batch, &stopped)
    };
    let told = template.opened.forecast(&file.path(), wanted.output.rendition.as_deref(), &breathe)?;
    let Some(mut told) = told else { return Ok(None) };
    // Told by their numbers in the audience.
    let renumber = |place: &mut Value| {
        let line = place.as_u64().and_then(|line| usize::try_from(line).ok()).unwrap_or(0);
        *place = json!(line.checked_sub(1).and_then(|line| numbers.get(line)));
    };
    for fault in told["faults"].as_array_mut().into_iter().flatten() {
        fault["first"].as_array_mut().into_iter().flatten().for_each(renumber);
    }
    for worst in told["worst"].as_array_mut().into_iter().flatten() {
        renumber(&mut worst["row"]);
    }
    told["unread"] = json!(unread);
    Ok(Some(told))
}

/// Makes rows until the service ends; one of several that do.
pub async fn rows(app: Arc<App>) {
    while !app.is_stopping() {
        let state = app.clone();
        match web::block(move || state.records.begin_row()).await {
            Ok(Ok(Some((batch, row)))) => run(&app, &batch, &row).await,
            _ => {
                end_idle(&app).await;
                let news = app.batches.notified();
                let _ = tokio::time::timeout(Duration::from_secs(1), news).await;
            }
        }
    }
}

/// Ends batches of which no row is left.
async fn end_idle(app: &Arc<App>) {
    let state = app.clone();
    let ended = web::block(move || {
        for batch in state.records.idle_batches()? {
            let hook = hook(&state, &batch);
            let message = hex(&state.secrets.name("webhook", &[batch.id.as_bytes()])[..16]);
            let hook = hook.as_ref().map(|sealed| Hook { message: &message, sealed });
            if state.records.end_batch(&batch, "done", hook.as_ref())? {
                log::event(
                    "batch",
                    json!({ "rows": batch.total, "done": batch.done, "failed": batch.failed }),
                );
                state.jobs.hooks.notify_one();
            }
        }
        Ok::<_, Problem>(())
    });
    // Asked again in a moment.
    let _ = ended.await;
}

fn hook(app: &App, batch: &Batch) -> Option<Vec<u8>> {
    let wanted = open_wanted(app, batch).ok()?;
    let payload = json!({
        "type": "batch.done",
        "timestamp": clock::stamp(clock::now_millis()),
        "data": {
            "id": batch.id, "template": batch.template, "metadata": wanted.metadata,
            "rows": { "total": batch.total, "done": batch.done, "failed": batch.failed, "erased": batch.erased },
            "results": format!("/v1/batches/{}/results.csv", batch.id),
        },
    });
    let told = json!({ "url": wanted.webhook?, "payload": payload.to_string(), "trace": wanted.trace });
    let text = serde_json::to_vec(&told).ok()?;
    app.secrets.seal(Purpose::Record, &text).ok()
}

/// Why a row is not done.
enum Stop {
    /// The day's quota is used up.
    Tomorrow,
    /// Nobody wants it any more, or the service ends.
    GivenUp,
    Failed(MakeError),
    Refused(Problem),
}

impl From<MakeError> for Stop {
    fn from(error: MakeError) -> Self {
        Stop::Failed(error)
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Stop::Refused(problem)
    }
}

async fn run(app: &Arc<App>, batch: &Batch, row: &RowRecord) {
    let origin = traces::is_on().then(|| open_wanted(app, batch).ok()?.trace).flatten();
    let span = Span::one_of_many(origin.as_ref(), "row");
    span.set("vignette.row", row.number);
    span.set("vignette.attempt", row.attempts + 1);
    let made = tokio::select! {
        made = span.along(make(app, batch, row)) => made,
        () = given_up(app, batch, row) => Err(Stop::GivenUp),
    };
    let (seq, number) = (batch.seq, row.number);
    let again = match &made {
        Err(Stop::GivenUp) => Some(0),
        Err(Stop::Tomorrow) => Some(i64::try_from(until_tomorrow()).unwrap_or(1) * 1000),
        Err(Stop::Failed(MakeError::Cancelled)) => Some(FIRST_PAUSE),
        Err(Stop::Failed(MakeError::Machine(_))) if row.attempts + 1 < MOST_ATTEMPTS => {
            Some(FIRST_PAUSE << (2 * row.attempts.clamp(0, 8)))
        }
        Err(Stop::Refused(problem)) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => {
            Some(FIRST_PAUSE)
        }
        _ => None,
    };
    if let Some(pause) = again {
        span.set("vignette.outcome", "put back");
        // Waiting for the next day is no attempt.
        let begun = !matches!(made, Err(Stop::Tomorrow));
        return app.insist(move |app| app.records.put_row_back(seq, number, pause, begun)).await;
    }
    span.set("vignette.outcome", if made.is_ok() { "done" } else { "failed" });
    let problem = match made {
        Ok(end) => return app.insist(move |app| app.records.end_row(seq, number, &end).map(drop)).await,
        Err(Stop::Failed(error)) => Problem::from(error),
        Err(Stop::Refused(problem)) => problem,
        Err(Stop::GivenUp | Stop::Tomorrow) => Problem::busy(),
    };
    span.fail(problem.code());
    let detail = super::reason(&problem);
    let end = RowEnd::Failed(app.secrets.seal(Purpose::Record, detail.as_bytes()).unwrap_or_default());
    app.insist(move |app| app.records.end_row(seq, number, &end).map(drop)).await;
}

/// Waits until a row is not wanted any more or the service ends.
async fn given_up(app: &Arc<App>, batch: &Batch, row: &RowRecord) {
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (state, seq, number) = (app.clone(), batch.seq, row.number);
        let wanted = web::block(move || state.records.row_is_wanted(seq, number)).await;
        if app.is_stopping() || matches!(wanted, Ok(Ok(false))) {
            return;
        }
    }
}

async fn make(app: &Arc<App>, batch: &Batch, row: &RowRecord) -> Result<RowEnd, Stop> {
    let sealed = || Stop::Failed(MakeError::Machine("a row cannot be unsealed".into()));
    let wanted: Wanted = open_wanted(app, batch)?;
    let data = unseal_json(app, &row.sealed).ok_or_else(sealed)?;
    let version = Some(batch.version.clone()).filter(|version| !version.is_empty());
    let wish = Wish {
        tenant: batch.tenant.clone(),
        template: batch.template.clone(),
        version: version.clone(),
        rendition: wanted.output.rendition.clone(),
        data: data.clone(),
        viewer: row.viewer,
    };
    let viewing = app.viewing_apart(wish).await?;
    if wanted.deliver == Deliver::Links {
        if row.attempts == 0 {
            let (state, key) = (app.clone(), wanted.key);
            let taken = web::block(move || {
                let quota = state.records.quota_of(&key)?;
                if quota.links.is_none() {
                    return Ok(true);
                }
                Ok::<_, Problem>(state.records.take_link(&key, quota)?.1)
            });
            if !taken.await.map_err(Problem::from)?? {
                return Err(Stop::Tomorrow);
            }
        }
        let link = links::Link {
            tenant: &batch.tenant,
            template: &batch.template,
            version,
            rendition: wanted.output.rendition,
            data,
            viewer: row.viewer,
            lasts: wanted.expires_in,
        };
        let (token, _) = link.make(app, &viewing).await?;
        let sealed = app.secrets.seal(Purpose::Record, token.as_bytes()).map_err(MakeError::Machine)?;
        return Ok(RowEnd::Link(sealed));
    }
    // Counted once for each row, however often it is begun.
    if row.attempts == 0 {
        let (state, key) = (app.clone(), wanted.key);
        let share = Share::of(viewing.video.duration().as_seconds());
        let taken = web::block(move || {
            let quota = state.records.quota_of(&key)?;
            Ok::<_, Problem>(state.records.take_quota(&key, quota, share)?.1)
        });
        if !taken.await.map_err(Problem::from)?? {
            return Err(Stop::Tomorrow);
        }
    }
    let uses = uses_of(&viewing, &wanted.output).await?;
    let (state, tenant, template) = (app.clone(), batch.tenant.clone(), batch.template.clone());
    let (seq, number, viewer) = (batch.seq, row.number, row.viewer);
    let noted = web::block(move || {
        let record = Record { tenant: &tenant, template: &template, viewer, uses: &uses };
        state.records.note_row(seq, number, &record)
    });
    if !noted.await.map_err(Problem::from)?? {
        return Err(Stop::GivenUp);
    }
    let (name, _) = match wanted.output.format {
        Format::Mp4 => {
            let mut pieces = movie::Pieces::new(app, &viewing, Class::Batch);
            let mut segments = Vec::new();
            while let Some(segment) = pieces.next().await? {
                segments.push(segment);
            }
            let sound = pieces.sound().await?;
            movie::keep(app, &viewing, segments, sound).await?
        }
        _ => output::make(app, &viewing, &wanted.output, Class::Batch).await?,
    };
    app.studio.end(&viewing.id);
    Ok(RowEnd::File(name))
}

/// Removes what ended long ago; blocks. Gives how many files went.
///
/// # Errors
/// A database or a bucket that does not answer.
pub fn sweep(app: &App, records: &Records, before: i64) -> Result<usize, Problem> {
    while records.strip_rows()? {}
    let files = records.old_batch_files(before)?;
    // Their records stay until they are gone.
    output::discard(app, &files)?;
    records.forget_batches(before)?;
    Ok(files.len())
}
