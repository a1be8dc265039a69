//! What a key may have made in a day (UTC), and how callers are told where they stand: the `RateLimit` and `RateLimit-Policy` fields of
//! draft-ietf-httpapi-ratelimit-headers-10, with a policy `requests`, and `renders` and `seconds` where a key has such quotas.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest, web};

use crate::app::App;
use crate::auth::Caller;
use crate::clock;
use crate::database::{OptionalExtension, Row, params};
use crate::problem::Problem;
use crate::records::Records;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// What a key may have made in a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Renders.
    pub renders: Option<u32>,
    /// Seconds of video.
    pub seconds: Option<u32>,
    /// Links.
    pub links: Option<u32>,
}

impl Quota {
    fn is_none(&self) -> bool {
        self.renders.is_none() && self.seconds.is_none()
    }
}

/// What was taken of a day's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    renders: u64,
    millis: u64,
}

/// A video whose making counts.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    day: i64,
    millis: u64,
}

impl Share {
    /// One video of that length, today.
    pub fn of(seconds: f64) -> Share {
        Share { day: clock::now().div_euclid(DAY), millis: (seconds * 1000.0).ceil().max(0.0) as u64 }
    }
}

impl Records {
    /// Takes one render of a key's day; the second value says whether it was within its quota.
    ///
    /// # Errors
    /// What the database says.
    pub fn take_quota(&self, key: &str, quota: Quota, share: Share) -> Result<(Used, bool), Problem> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let query = "SELECT renders, millis FROM quota_used WHERE key = ?1 AND day = ?2";
        let read =
            |row: &Row| Ok(Used { renders: row.get::<i64>(0)? as u64, millis: row.get::<i64>(1)? as u64 });
        let used = change.query_row(query, params![key, share.day], read).optional()?;
        let used = used.unwrap_or(Used { renders: 0, millis: 0 });
        let after = Used { renders: used.renders + 1, millis: used.millis + share.millis };
        let within = quota.renders.is_none_or(|most| after.renders <= u64::from(most))
            && quota.seconds.is_none_or(|most| after.millis <= u64::from(most) * 1000);
        if !within {
            return Ok((used, false));
        }
        change.execute(
            "INSERT INTO quota_used VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key, day) DO UPDATE SET renders = excluded.renders, \
             millis = excluded.millis",
            params![key, share.day, after.renders as i64, after.millis as i64],
        )?;
        change.execute("DELETE FROM quota_used WHERE day < ?1", params![share.day - 2])?;
        change.commit()?;
        Ok((after, true))
    }

    /// Gives back what was taken for a render that was not accepted.
    ///
    /// # Errors
    /// What the database says.
    pub fn return_quota(&self, key: &str, share: Share) -> Result<(), Problem> {
        let give = "UPDATE quota_used SET renders = CASE WHEN renders > 1 THEN renders - 1 ELSE 0 END, \
                    millis = CASE WHEN millis > ?3 THEN millis - ?3 ELSE 0 END WHERE key = ?1 AND day = ?2";
        let mut connection = self.lock();
        // Not between the reading and the writing of somebody who takes.
        let step = connection.transaction()?;
        step.execute(give, params![key, share.day, share.millis as i64])?;
        step.commit()?;
        Ok(())
    }

    /// What a key may have made, by its id; nothing is bounded for one that is not there any more.
    ///
    /// # Errors
    /// What the database says.
    pub fn quota_of(&self, key: &str) -> Result<Quota, Problem> {
        let query = "SELECT renders_per_day, seconds_per_day, links_per_day FROM keys WHERE id = ?1";
        let read = |row: &Row| Ok(Quota { renders: row.get(0)?, seconds: row.get(1)?, links: row.get(2)? });
        let found = self.lock().query_row(query, params![key], read).optional()?;
        Ok(found.unwrap_or_default())
    }
}

/// Seconds until the day ends.
pub fn until_tomorrow() -> u64 {
    u64::try_from(DAY - clock::now().rem_euclid(DAY)).unwrap_or(1).max(1)
}

/// Where a caller stands, as its answer tells.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    policies: Vec<String>,
    limits: Vec<String>,
}

impl Standing {
    fn add(&mut self, name: &str, quota: u64, window: u64, left: u64, reset: u64) {
        self.policies.push(format!("\"{name}\";q={quota};w={window}"));
        self.limits.push(format!("\"{name}\";r={left};t={reset}"));
    }

    /// Where a bucket of `burst` requests stands that fills in `window` seconds.
    pub fn requests(burst: u64, window: u64, left: u64, wait: Option<u64>) -> Standing {
        let mut standing = Standing::default();
        // Until as many as the policy says may be made at once again, or the next one.
        let filled = (burst.saturating_sub(left) * window).div_ceil(burst.max(1));
        standing.add("requests", burst, window, left, wait.unwrap_or(filled));
        standing
    }

    /// The fields of an answer.
    pub fn write(&self, headers: &mut HeaderMap) {
        for (name, list) in [("ratelimit-policy", &self.policies), ("ratelimit", &self.limits)] {
            if let Ok(value) = HeaderValue::from_str(&list.join(", "))
                && !list.is_empty()
            {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// Notes for the answer to `request` where its caller stands.
pub fn note(request: &HttpRequest, standing: Standing) {
    request.extensions_mut().insert(standing);
}

/// Takes one render of so many seconds from its caller's day.
///
/// # Errors
/// `429` when that is beyond it.
pub async fn take(
    app: &Arc<App>,
    request: &HttpRequest,
    caller: &Caller,
    share: Share,
) -> Result<(), Problem> {
    let quota = caller.quota;
    if quota.is_none() {
        return Ok(());
    }
    let (state, key) = (app.clone(), caller.key.clone());
    let (used, within) = web::block(move || state.records.take_quota(&key, quota, share)).await??;
    let reset = until_tomorrow();
    if let Some(standing) = request.extensions_mut().get_mut::<Standing>() {
        if let Some(most) = quota.renders.map(u64::from) {
            standing.add("renders", most, DAY as u64, most.saturating_sub(used.renders), reset);
        }
        if let Some(most) = quota.seconds.map(u64::from) {
            standing.add("seconds", most, DAY as u64, most.saturating_sub(used.millis.div_ceil(1000)), reset);
        }
    }
    match within {
        true => Ok(()),
        false => {
            let detail = "what this key may have made in a day is used up";
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota-exceeded", detail).retry_after(reset))
        }
    }
}

/// Under which name the links of a key are counted, beside its renders.
fn name_of_links(key: &str) -> String {
    format!("{key} links")
}

impl Records {
    /// Takes one link of a key's day; the first value is how many were taken, the second whether it was within its quota.
    ///
    /// # Errors
    /// What the database says.
    pub fn take_link(&self, key: &str, quota: Quota) -> Result<(u64, bool), Problem> {
        let most = Quota { renders: quota.links, ..Quota::default() };
        let (used, within) = self.take_quota(&name_of_links(key), most, Share::of(0.0))?;
        Ok((used.renders, within))
    }
}

/// Takes one link from its caller's day.
///
/// # Errors
/// `429` when that is beyond it.
pub async fn take_link(app: &Arc<App>, request: &HttpRequest, caller: &Caller) -> Result<(), Problem> {
    let Some(most) = caller.quota.links.map(u64::from) else { return Ok(()) };
    let (state, key, quota) = (app.clone(), caller.key.clone(), caller.quota);
    let (used, within) = web::block(move || state.records.take_link(&key, quota)).await??;
    let reset = until_tomorrow();
    if let Some(standing) = request.extensions_mut().get_mut::<Standing>() {
        standing.add("links", most, DAY as u64, most.saturating_sub(used), reset);
    }
    match within {
        true => Ok(()),
        false => {
            let detail = "the links that this key may make in a day are used up";
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota-exceeded", detail).retry_after(reset))
        }
    }
}

/// Gives back a link that was not made.
pub async fn give_back_link(app: &Arc<App>, caller: &Caller) {
    if caller.quota.links.is_none() {
        return;
    }
    let (state, key) = (app.clone(), name_of_links(&caller.key));
    // What cannot be given back is gone tomorrow.
    let _ = web::block(move || state.records.return_quota(&key, Share::of(0.0))).await;
}

/// Gives back what was taken for a render that was not accepted.
pub async fn give_back(app: &Arc<App>, caller: &Caller, share: Share) {
    if caller.quota.is_none() {
        return;
    }
    let (state, key) = (app.clone(), caller.key.clone());
    // What cannot be given back is gone tomorrow.
    let _ = web::block(move || state.records.return_quota(&key, share)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::testing::on_both;

    #[test]
    fn a_day_s_quota_is_taken_and_given_back() {
        on_both(|open| quota_is_kept(&open()));
    }

    fn quota_is_kept(records: &Records) {
        let quota = Quota { renders: Some(3), seconds: Some(10), links: None };
        let share = Share { day: 20_000, millis: 4000 };
        assert_eq!(records.take_quota("a", quota, share).unwrap(), (Used { renders: 1, millis: 4000 }, true));
        assert!(records.take_quota("a", quota, share).unwrap().1);
        assert_eq!(
            records.take_quota("a", quota, share).unwrap(),
            (Used { renders: 2, millis: 8000 }, false)
        );
        let short = Share { millis: 1000, ..share };
        assert!(records.take_quota("a", quota, short).unwrap().1);
        assert!(!records.take_quota("a", quota, short).unwrap().1, "three renders");
        assert!(records.take_quota("b", quota, share).unwrap().1, "another key");
        records.return_quota("a", short).unwrap();
        assert!(records.take_quota("a", quota, short).unwrap().1);
        assert!(records.take_quota("a", quota, Share { day: 20_001, ..share }).unwrap().1, "another day");
    }

    #[test]
    fn links_are_counted_beside_renders() {
        on_both(|open| links_are_kept_apart(&open()));
    }

    fn links_are_kept_apart(records: &Records) {
        let quota = Quota { renders: Some(1), seconds: None, links: Some(2) };
        assert_eq!(records.take_link("a", quota).unwrap(), (1, true));
        assert!(records.take_quota("a", quota, Share::of(1.0)).unwrap().1);
        assert_eq!(records.take_link("a", quota).unwrap(), (2, true));
        assert_eq!(records.take_link("a", quota).unwrap(), (2, false));
        records.return_quota(&name_of_links("a"), Share::of(0.0)).unwrap();
        assert_eq!(records.take_link("a", quota).unwrap(), (2, true));
        assert!(records.take_link("b", quota).unwrap().1, "another key");
    }

    #[test]
    fn standings_are_written_as_the_draft_says() {
        let mut standing = Standing::requests(200, 10, 150, None);
        standing.add("renders", 1000, 86_400, 999, 3600);
        let mut headers = HeaderMap::new();
        standing.write(&mut headers);
        let told = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(told("ratelimit-policy"), "\"requests\";q=200;w=10, \"renders\";q=1000;w=86400");
        assert_eq!(told("ratelimit"), "\"requests\";r=150;t=3, \"renders\";r=999;t=3600");
    }
}
