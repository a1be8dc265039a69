//! Links: a token that carries a viewer's data sealed, so that nothing of it needs to be kept.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::{App, Wish};
use crate::auth::{Scope, caller};
use crate::clock;
use crate::problem::{Problem, faults};
use crate::secrets::{Purpose, random};
use crate::viewing::Viewing;
use crate::{body, log};

/// `POST /v1/links`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLink {
    template: String,
    version: Option<String>,
    rendition: Option<String>,
    data: Value,
    /// Seconds from now.
    expires_in: Option<i64>,
}

/// What a token says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    /// Tenant.
    n: String,
    /// Template.
    t: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r: Option<String>,
    d: Value,
    /// When it expires, in seconds since 1970.
    x: i64,
}

/// A link lasts this long unless told, in seconds: 30 days.
const LASTS: i64 = 30 * 86_400;
/// And at most this long: 2 years.
const LASTS_AT_MOST: i64 = 2 * 365 * 86_400;
/// The longest token that goes into a URL, which mail programs and proxies take whole; longer ones are kept here and named.
const LONGEST_TOKEN: usize = 1400;
/// What the name of a token that is kept begins with; no sealed token does, as its first byte is its version.
const KEPT: char = '~';

/// `POST /v1/links`: makes a link.
///
/// # Errors
/// A body, template or data that are wrong.
pub async fn create(
    app: Data<Arc<App>>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Render).await?;
    let limits = &app.config.limits;
    let bytes = body::read(payload, limits.body_bytes, Duration::from_secs(limits.body_seconds)).await?;
    let new: NewLink = body::json(&bytes)?;
    let lasts = new.expires_in.unwrap_or(LASTS);
    if !(1..=LASTS_AT_MOST).contains(&lasts) {
        let detail = format!("expires_in: 1 to {LASTS_AT_MOST} seconds");
        return Err(Problem::refused("expiry-invalid", detail).field("expires_in"));
    }
    let mut claims = Claims {
        n: caller.tenant.clone(),
        t: new.template.clone(),
        v: new.version.clone(),
        r: new.rendition.clone(),
        d: new.data.clone(),
        x: clock::now() + lasts,
    };
    // Filled now, so that whoever makes the link hears of what is wrong, not the viewer.
    let wish = Wish {
        tenant: caller.tenant.clone(),
        template: new.template,
        version: new.version,
        rendition: new.rendition,
        data: new.data,
    };
    let viewing = app.viewing(wish).await?;
    // What is published later does not change a link that was sent.
    claims.v = viewing.version.clone().or(claims.v);
    let token = token(app, &caller.tenant, &claims).await?;
    let url = format!("{}/w/{token}/", app.base(&request));
    log::event("link", json!({ "frames": viewing.video.frames(), "kept": token.starts_with(KEPT) }));
    let embed = format!(
        "<iframe src=\"{url}\" width=\"{}\" height=\"{}\" style=\"border:0;max-width:100%\" allow=\"autoplay; fullscreen\" \
         title=\"Video\"></iframe>",
        viewing.video.canvas.width.min(1280),
        viewing.video.canvas.height * viewing.video.canvas.width.min(1280)
            / viewing.video.canvas.width.max(1),
    );
    Ok(HttpResponse::Created()
        .insert_header(("location", url.clone()))
        .insert_header(("cache-control", "no-store"))
        .json(json!({
            "url": url,
            "playlist": format!("{url}master.m3u8"),
            "video": format!("{url}video.mp4"),
            "poster": format!("{url}poster.jpg"),
            "captions": format!("{url}captions.vtt"),
            "embed": embed,
            "expires": clock::stamp(claims.x * 1000),
            "duration_seconds": viewing.video.duration().as_seconds(),
            "warnings": faults(&viewing.warnings),
        })))
}

async fn token(app: &Arc<App>, tenant: &str, claims: &Claims) -> Result<String, Problem> {
    let text = serde_json::to_vec(claims).map_err(|_| Problem::internal("a link cannot be written"))?;
    let sealed = app
        .secrets
        .seal(Purpose::Link, &text)
        .map_err(|why| Problem::refused("data-too-long", why).field("data"))?;
    let token = URL_SAFE_NO_PAD.encode(&sealed);
    if token.len() <= LONGEST_TOKEN {
        return Ok(token);
    }
    let name = random::<32>().map_err(|_| Problem::internal("no randomness"))?;
    let (app, owner, id, expires) =
        (app.clone(), tenant.to_owned(), app.secrets.name("link", &[&name]), claims.x);
    web::block(move || app.records.add_link(&id, &owner, &sealed, expires)).await??;
    Ok(format!("{KEPT}{}", URL_SAFE_NO_PAD.encode(name)))
}

/// The viewing of a link.
///
/// # Errors
/// `404` for a token that was not made here or was changed, `410` for one that has expired, and what filling says.
pub async fn follow(app: &Arc<App>, token: &str) -> Result<Arc<Viewing>, Problem> {
    let unknown = || Problem::missing("link-unknown", "there is no such link; was it copied whole?");
    let sealed = match token.strip_prefix(KEPT) {
        _ if token.len() > LONGEST_TOKEN => return Err(unknown()),
        None => URL_SAFE_NO_PAD.decode(token).map_err(|_| unknown())?,
        Some(name) => {
            let name = URL_SAFE_NO_PAD.decode(name).map_err(|_| unknown())?;
            let (app, id) = (app.clone(), app.secrets.name("link", &[&name]));
            web::block(move || app.records.link(&id)).await??.ok_or_else(unknown)?
        }
    };
    let text = app.secrets.open_sealed(Purpose::Link, &sealed).map_err(|_| unknown())?;
    let claims: Claims = serde_json::from_slice(&text).map_err(|_| unknown())?;
    if claims.x <= clock::now() {
        return Err(Problem::new(StatusCode::GONE, "link-expired", "this link has expired"));
    }
    let wish =
        Wish { tenant: claims.n, template: claims.t, version: claims.v, rendition: claims.r, data: claims.d };
    app.viewing(wish).await
}
