//! Erasing: everything that was made for one viewer alone, or for a template longer ago than its retention time.
//!
//! ```text
//! DELETE viewer ── one step in the database ──► links do not open, jobs are gone, uses taken away ──► doomed
//!                                                                                                       │
//!                                store, files, generators' memory, what is in this process ◄── remove ──┘ at once, and a minute later
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::{Scope, caller};
use crate::problem::Problem;
use crate::records::Records;
use crate::uses::{Kind, Removed, Use, ViewerId};
use crate::workshop::GeneratedKind;
use crate::{body, clock, log, media};

/// What is asked of every link that is followed, so it is kept in memory besides the database.
pub struct Ledger {
    /// How often each viewer was erased.
    erased: RwLock<HashMap<ViewerId, u32>>,
    /// Days by tenant and template.
    retention: RwLock<HashMap<(String, String), u32>>,
    /// Days where nothing is set.
    default_days: u32,
}

impl Ledger {
    /// Reads it from the database.
    ///
    /// # Errors
    /// A database that does not answer.
    pub fn open(records: &Records, default_days: u32) -> Result<Ledger, Problem> {
        let erased = records.erased(0)?.into_iter().collect();
        let retention = records.retentions()?.into_iter();
        let retention = retention.map(|(tenant, template, days)| ((tenant, template), days)).collect();
        Ok(Ledger { erased: RwLock::new(erased), retention: RwLock::new(retention), default_days })
    }

    /// How often a viewer was erased so far: links that were made before the last time do not open.
    pub fn erasures(&self, viewer: &ViewerId) -> u32 {
        self.erased.read().unwrap_or_else(PoisonError::into_inner).get(viewer).copied().unwrap_or(0)
    }

    /// Days that what is made of a template is kept, and whether they were set for it.
    pub fn retention(&self, tenant: &str, template: &str) -> (u32, bool) {
        let known = self.retention.read().unwrap_or_else(PoisonError::into_inner);
        let days = known.get(&(tenant.to_owned(), template.to_owned()));
        (days.copied().unwrap_or(self.default_days), days.is_some())
    }

    /// Notes how often a viewer was erased. Whether that was not known.
    fn note_erasure(&self, viewer: &ViewerId, times: u32) -> bool {
        let mut erased = self.erased.write().unwrap_or_else(PoisonError::into_inner);
        let known = erased.entry(*viewer).or_insert(0);
        let news = times > *known;
        *known = times.max(*known);
        news
    }

    fn note_retentions(&self, all: Vec<(String, String, u32)>) {
        let all = all.into_iter().map(|(tenant, template, days)| ((tenant, template), days)).collect();
        *self.retention.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    fn set_retention(&self, tenant: &str, template: &str, days: Option<u32>) {
        let mut known = self.retention.write().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant.to_owned(), template.to_owned());
        match days {
            Some(days) => known.insert(key, days),
            None => known.remove(&key),
        };
    }
}

/// The longest id of a viewer.
const LONGEST_ID: usize = 128;

/// The viewer that a caller names, as it is kept.
///
/// # Errors
/// An id that is empty, too long, or has signs that do not stand in a path as they are.
pub fn viewer_id(app: &App, tenant: &str, id: &str) -> Result<ViewerId, Problem> {
    let plain = |sign: u8| sign.is_ascii_alphanumeric() || b"-_.~:@=".contains(&sign);
    if !(1..=LONGEST_ID).contains(&id.len()) || !id.bytes().all(plain) || id.bytes().all(|sign| sign == b'.')
    {
        let detail = "a viewer's id has 1 to 128 letters, digits and `-_.~:@=`; take one that tells nothing of the viewer";
        return Err(Problem::refused("viewer-invalid", detail).field("viewer"));
    }
    let name = app.secrets.name("viewer", &[tenant.as_bytes(), id.as_bytes()]);
    let mut short = [0; 16];
    short.copy_from_slice(&name[..16]);
    Ok(short)
}

/// `DELETE /v1/viewers/{id}`: removes everything that was made for this viewer alone, and says how many of each.
///
/// # Errors
/// An id that there cannot be; a database that does not answer.
pub async fn erase(
    app: Data<Arc<App>>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Manage).await?;
    let viewer = viewer_id(app, &caller.tenant, &id)?;
    let (state, tenant) = (app.clone(), caller.tenant.clone());
    let told = web::block(move || {
        let removed = state.records.erase(&tenant, &viewer)?;
        state.ledger.note_erasure(&viewer, removed.erasures);
        forget(&state, Some(&viewer), &removed);
        Ok::<_, Problem>(remove(&state, &removed))
    });
    let told = told.await??;
    for id in &told.open {
        app.jobs.tell(id);
    }
    log::event("erase", json!({ "removed": told.counts }));
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(told.counts))
}

/// Hears of what other processes did: whom they erased since a moment, which retention times they set, which templates they took.
/// Blocks.
///
/// # Errors
/// A database that does not answer.
pub fn hear(app: &App, since: i64) -> Result<(), Problem> {
    app.ledger.note_retentions(app.records.retentions()?);
    app.catalog.heard(app.records.uploaded()?);
    let mut erased = app.records.erased(since)?;
    erased.retain(|(viewer, times)| app.ledger.note_erasure(viewer, *times));
    if !erased.is_empty() {
        let removed = Removed { doomed: app.records.doomed_since(since)?, ..Removed::default() };
        erased.iter().for_each(|(viewer, _)| forget(app, Some(viewer), &removed));
    }
    Ok(())
}

/// What came of removing.
struct Told {
    counts: Value,
    open: Vec<String>,
}

/// Lets go of a viewing that was made just as its viewer was erased.
pub fn let_go(app: &App, viewer: Option<(ViewerId, u32)>) {
    for viewing in viewer.iter().flat_map(|(viewer, _)| app.shelf.forget_viewer(viewer)) {
        viewing.end();
        app.studio.end(&viewing.id);
    }
}

/// Lets go of what this process has in memory.
fn forget(app: &App, viewer: Option<&ViewerId>, removed: &Removed) {
    let doomed: HashSet<String> = removed.doomed.iter().map(|used| used.key.to_string()).collect();
    let gone = match viewer {
        Some(viewer) => app.shelf.forget_viewer(viewer),
        None => app.shelf.forget_using(|key| doomed.contains(&key.to_string())),
    };
    for viewing in &gone {
        viewing.end();
        app.studio.end(&viewing.id);
    }
    app.warm.retain(|name| match name.split_once(' ') {
        // A still, named by its viewing.
        Some((_, rest)) => !gone.iter().any(|viewing| rest.starts_with(&viewing.id.to_string())),
        None => !name.get(..64).is_some_and(|key| doomed.contains(key)),
    });
}

/// Removes what is doomed, and counts what was there.
fn remove(app: &App, removed: &Removed) -> Told {
    let (mut files, mut segments, mut sounds, mut pending) = (0, 0, 0, 0);
    let mut generated = [0; 3];
    for used in &removed.doomed {
        let there = match remove_one(app, used) {
            Ok(there) => u64::from(there),
            Err(()) => {
                pending += 1;
                continue;
            }
        };
        match used.kind {
            Kind::Segment => segments += there,
            Kind::Sound => sounds += there,
            Kind::Generated(GeneratedKind::Text) => generated[0] += there,
            Kind::Generated(GeneratedKind::Voice) => generated[1] += there,
            Kind::Generated(GeneratedKind::Image) => generated[2] += there,
            Kind::File => files += there,
            Kind::Note => {}
        }
    }
    let [text, voice, image] = generated;
    let counts = json!({
        "renders": removed.jobs, "links": removed.links, "rows": removed.rows, "files": files, "segments": segments,
        "sounds": sounds, "generated": { "text": text, "voice": voice, "image": image }, "pending": pending,
    });
    Told { counts, open: removed.open.clone() }
}

/// Removes one thing wherever it is kept. Whether it was there; an error when the store does not answer.
fn remove_one(app: &App, used: &Use) -> Result<bool, ()> {
    if used.kind == Kind::File {
        let name = used.file_name().ok_or(())?;
        return app.artefacts.remove(&name).map_err(drop);
    }
    if let Kind::Generated(_) = used.kind {
        app.catalog.workshop().forget(&used.key);
    }
    let Some(store) = app.studio.stores().vault.store() else { return Ok(false) };
    let notes = match used.kind {
        Kind::Segment => Some(media::note_of_segment(used.key, used.detail)),
        Kind::Sound => Some(media::note_of_sound(used.key)),
        _ => None,
    };
    if let Some(note) = notes {
        store.remove(&note).map_err(drop)?;
    }
    store.remove(&used.key).map_err(drop)
}

/// Removes once more what was doomed a while ago, as whoever was making it then may have put it back; and what the store was away for.
pub async fn work(app: Arc<App>) {
    /// How many are looked at in one go.
    const AT_ONCE: u32 = 500;
    while !app.is_stopping() {
        let state = app.clone();
        let worked = web::block(move || {
            let mut gone = Vec::new();
            let due = state.records.doomed(AT_ONCE)?;
            for used in &due {
                // Somebody else may have come to use it meanwhile.
                if state.records.is_used(used)? || remove_one(&state, used).is_ok() {
                    gone.push(*used);
                }
            }
            state.records.undoom(&gone)?;
            Ok::<_, Problem>(gone.len() == AT_ONCE as usize)
        });
        let more = matches!(worked.await, Ok(Ok(true)));
        if !more {
            app.ending_or(Duration::from_secs(10)).await;
        }
    }
}

/// Removes what was made longer ago than its template's retention time. Blocks.
///
/// # Errors
/// A database that does not answer.
pub fn retire(app: &App) -> Result<(), Problem> {
    for (tenant, template) in app.records.templates_in_use()? {
        let (days, _) = app.ledger.retention(&tenant, &template);
        while !app.is_stopping() {
            let removed = app.records.retire(&tenant, &template, days)?;
            if removed.is_nothing() {
                break;
            }
            forget(app, None, &removed);
            let told = remove(app, &removed);
            for id in &told.open {
                app.jobs.tell(id);
            }
            log::event("retire", json!({ "removed": told.counts }));
        }
    }
    app.records.forget_viewers(clock::now_millis() - VIEWERS_KNOWN)
}

/// Longer than any link lasts, in milliseconds: 800 days.
const VIEWERS_KNOWN: i64 = 800 * 86_400_000;

/// `PUT /v1/templates/{name}/retention`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retention {
    /// `null` takes back what was set.
    days: Option<u32>,
}

/// `PUT /v1/templates/{name}/retention`: how many days what is made of this template is kept.
///
/// # Errors
/// `404` when there is no such template, `422` for days that are not 1 to 3650.
pub async fn set_retention(
    app: Data<Arc<App>>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Manage).await?;
    let Retention { days } = body::read_json(&app.config.limits, payload).await?;
    if days.is_some_and(|days| !(1..=3650).contains(&days)) {
        return Err(Problem::refused("retention-invalid", "1 to 3650 days").field("days"));
    }
    let (state, name) = (app.clone(), name.into_inner());
    let told = web::block(move || {
        state.catalog.get(&caller.tenant, &name, None)?;
        state.records.set_retention(&caller.tenant, &name, days)?;
        state.ledger.set_retention(&caller.tenant, &name, days);
        let (days, set) = state.ledger.retention(&caller.tenant, &name);
        Ok::<_, Problem>(json!({ "name": name, "days": days, "default": !set }))
    });
    Ok(HttpResponse::Ok().json(told.await??))
}

/// Whether a link that was made at `made`, in seconds since 1970, may still be followed.
///
/// # Errors
/// `410` when its viewer was erased since, or its template's retention time is over.
pub fn may_open(
    app: &App,
    tenant: &str,
    template: &str,
    viewer: Option<(ViewerId, u32)>,
    made: i64,
) -> Result<(), Problem> {
    if viewer.is_some_and(|(viewer, erasures)| app.ledger.erasures(&viewer) != erasures) {
        return Err(Problem::new(StatusCode::GONE, "link-erased", "what this link showed was erased"));
    }
    let (days, _) = app.ledger.retention(tenant, template);
    if made + i64::from(days) * 86_400 <= clock::now() {
        let detail = "the time that this link's video is kept is over";
        return Err(Problem::new(StatusCode::GONE, "link-retired", detail));
    }
    Ok(())
}
