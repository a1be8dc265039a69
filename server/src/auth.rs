//! Who calls: API keys, and what they may do.
//!
//! A key is `vgn_` and 256 random bits; its SHA-256 is all that is kept. That is enough, as nobody can try out so many.

use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::limit::{Allowance, BURST_SECONDS};
use crate::problem::Problem;
use crate::quota::{self, Quota, Standing};
use crate::records::Records;
use crate::secrets::{random, random_name};

/// What a key may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Make links and renders.
    Render,
    /// Look at jobs and templates.
    Read,
    /// Upload and publish templates.
    Manage,
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Scope::Render => "render",
            Scope::Read => "read",
            Scope::Manage => "manage",
        }
    }
}

/// The tenant of callers without a key, while no key was made.
pub const LOCAL: &str = "local";

const PREFIX: &str = "vgn_";

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose templates, jobs and links are seen.
    pub tenant: String,
    /// The key's id.
    pub key: String,
    /// What the key may have made in a day.
    pub quota: Quota,
}

/// Makes a key for `tenant` and gives it; it cannot be told again.
///
/// # Errors
/// A tenant's name or scopes that there are not; a database that does not answer. In words.
pub fn make_key(
    records: &Records,
    tenant: &str,
    scopes: &[String],
    quota: Quota,
) -> Result<(String, String), String> {
    if !crate::catalog::is_name(tenant) {
        return Err("a tenant's name has 1 to 64 small letters, digits, `-` and `_`".into());
    }
    let known = [Scope::Render, Scope::Read, Scope::Manage].map(Scope::name);
    if let Some(other) = scopes.iter().find(|scope| !known.contains(&scope.as_str())) {
        return Err(format!("there is no scope `{other}`; there are {}", known.join(", ")));
    }
    let scopes = if scopes.is_empty() { known.join(" ") } else { scopes.join(" ") };
    let (id, key) = fresh()?;
    records
        .add_key(&id, tenant, &digest(&key), &scopes, quota)
        .map_err(|_| "the database does not answer".to_owned())?;
    Ok((id, key))
}

/// Makes a key that may do what the key `old` may, which ends in so many days; `None` when there is no such key.
///
/// # Errors
/// A database that does not answer, in words.
pub fn renew_key(
    records: &Records,
    old: &str,
    overlap_days: u32,
) -> Result<Option<(String, String)>, String> {
    let (id, key) = fresh()?;
    let overlap = i64::from(overlap_days) * 86_400_000;
    let renewed = records.renew_key(old, &id, &digest(&key), overlap);
    Ok(renewed.map_err(|_| "the database does not answer".to_owned())?.then_some((id, key)))
}

/// A key with its id.
fn fresh() -> Result<(String, String), String> {
    Ok((random_name()?, format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()?))))
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Who calls, if they may do `scope` and not too often.
///
/// # Errors
/// `401` without a key that is known, `403` without the scope, `429` too often.
pub async fn caller(app: &Arc<App>, request: &HttpRequest, scope: Scope) -> Result<Caller, Problem> {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = given.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    by_key(app, request, scope, key).await
}

/// The same for a person's browser, which asks for a name and a password (RFC 7617): the password is the key.
///
/// # Errors
/// As [`caller`].
pub async fn visitor(app: &Arc<App>, request: &HttpRequest, scope: Scope) -> Result<Caller, Problem> {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(basic) = given.and_then(|value| value.strip_prefix("Basic ")) else {
        return caller(app, request, scope).await;
    };
    let plain = STANDARD.decode(basic.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let key = plain.as_deref().and_then(|plain| plain.split_once(':')).map(|(_, key)| key);
    by_key(app, request, scope, Some(key.unwrap_or_default())).await
}

async fn by_key(
    app: &Arc<App>,
    request: &HttpRequest,
    scope: Scope,
    key: Option<&str>,
) -> Result<Caller, Problem> {
    let (id, tenant, quota) = match key {
        None if app.open => (LOCAL.to_owned(), LOCAL.to_owned(), Quota::default()),
        None => return Err(unknown()),
        Some(key) if key.len() > 128 || !key.starts_with(PREFIX) => return Err(unknown()),
        Some(key) => {
            let (app, hash) = (app.clone(), digest(key));
            let found = actix_web::web::block(move || app.records.key(&hash)).await??;
            let found = found.ok_or_else(unknown)?;
            if !found.scopes.split(' ').any(|name| name == scope.name()) {
                let detail = format!("this key may not do that; it needs the scope `{}`", scope.name());
                return Err(Problem::new(StatusCode::FORBIDDEN, "scope-missing", detail));
            }
            (found.id, found.tenant, found.quota)
        }
    };
    let burst = app.limiter.burst();
    match app.limiter.take(&id, Instant::now()) {
        Allowance::Allowed(left) => {
            quota::note(request, Standing::requests(burst, BURST_SECONDS, left, None));
            Ok(Caller { tenant, key: id, quota })
        }
        Allowance::Wait(seconds) => {
            quota::note(request, Standing::requests(burst, BURST_SECONDS, 0, Some(seconds)));
            let detail = "too many requests with this key";
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail).retry_after(seconds))
        }
    }
}

fn unknown() -> Problem {
    let detail = "send `Authorization: Bearer` with a key that vignette serve --add-key made";
    Problem::new(StatusCode::UNAUTHORIZED, "key-unknown", detail)
}
