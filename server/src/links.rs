//! Links: a token that carries a viewer's data sealed, so that nothing of it needs to be kept.

use std::sync::Arc;

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
use crate::records::KeptLink;
use crate::secrets::{Purpose, random};
use crate::uses::{Record, ViewerId};
use crate::viewing::Viewing;
use crate::{body, erase, log, quota, uses};

/// `POST /v1/links`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLink {
    template: String,
    version: Option<String>,
    rendition: Option<String>,
    data: Value,
    /// Names the viewer, so that what is made for her can be erased.
    viewer: Option<String>,
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
    /// When it was made.
    #[serde(default)]
    c: i64,
    /// The viewer, by a keyed digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u: Option<String>,
    /// How often that viewer had been erased by then.
    #[serde(default, skip_serializing_if = "is_zero")]
    e: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Claims {
    /// The viewer, and how often she had been erased when the link was made.
    fn viewer(&self) -> Option<(ViewerId, u32)> {
        let bytes = URL_SAFE_NO_PAD.decode(self.u.as_ref()?).ok()?;
        Some((bytes.try_into().ok()?, self.e))
    }
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
    let new: NewLink = body::read_json(&app.config.limits, payload).await?;
    new.expires_in.map(check_lasts).transpose()?;
    let viewer = new.viewer.as_deref().map(|id| erase::viewer_id(app, &caller.tenant, id)).transpose()?;
    // Filled now, so that whoever makes the link hears of what is wrong, not the viewer.
    let wish = Wish {
        tenant: caller.tenant.clone(),
        template: new.template.clone(),
        version: new.version.clone(),
        rendition: new.rendition.clone(),
        data: new.data.clone(),
        viewer,
    };
    let viewing = app.viewing(wish).await?;
    let link = Link {
        tenant: &caller.tenant,
        template: &new.template,
        version: new.version,
        rendition: new.rendition,
        data: new.data,
        viewer,
        lasts: new.expires_in,
    };
    quota::take_link(app, &request, &caller).await?;
    let made = link.make(app, &viewing).await;
    if made.is_err() {
        quota::give_back_link(app, &caller).await;
    }
    let (token, expires) = made?;
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
            "expires": clock::stamp(expires * 1000),
            "duration_seconds": viewing.video.duration().as_seconds(),
            "warnings": faults(&viewing.warnings),
        })))
}

/// Whether a link may last that many seconds.
///
/// # Errors
/// When it may not.
pub fn check_lasts(lasts: i64) -> Result<(), Problem> {
    match (1..=LASTS_AT_MOST).contains(&lasts) {
        true => Ok(()),
        false => {
            let detail = format!("expires_in: 1 to {LASTS_AT_MOST} seconds");
            Err(Problem::refused("expiry-invalid", detail).field("expires_in"))
        }
    }
}

/// A link to be made.
pub struct Link<'a> {
    /// Whose template it is.
    pub tenant: &'a str,
    /// The template.
    pub template: &'a str,
    /// Its version.
    pub version: Option<String>,
    /// The rendition.
    pub rendition: Option<String>,
    /// The viewer's data.
    pub data: Value,
    /// The viewer, if the caller named one.
    pub viewer: Option<ViewerId>,
    /// Seconds that it opens; 30 days when left out.
    pub lasts: Option<i64>,
}

impl Link<'_> {
    /// Makes it, and gives its token and when it expires, in seconds since 1970.
    ///
    /// # Errors
    /// Data that are too long; a database that does not answer.
    pub async fn make(self, app: &Arc<App>, viewing: &Viewing) -> Result<(String, i64), Problem> {
        let (now, viewer) = (clock::now(), self.viewer);
        let claims = Claims {
            n: self.tenant.to_owned(),
            t: self.template.to_owned(),
            // What is published later does not change a link that was sent.
            v: viewing.version.clone().or(self.version),
            r: self.rendition,
            d: self.data,
            x: now + self.lasts.unwrap_or(LASTS),
            c: now,
            u: viewer.map(|viewer| URL_SAFE_NO_PAD.encode(viewer)),
            e: viewer.map_or(0, |viewer| app.ledger.erasures(&viewer)),
        };
        Ok((token(app, &claims, viewer, viewing).await?, claims.x))
    }
}

async fn token(
    app: &Arc<App>,
    claims: &Claims,
    viewer: Option<ViewerId>,
    viewing: &Viewing,
) -> Result<String, Problem> {
    let text = serde_json::to_vec(claims).map_err(|_| Problem::internal("a link cannot be written"))?;
    let sealed = app
        .secrets
        .seal(Purpose::Link, &text)
        .map_err(|why| Problem::refused("data-too-long", why).field("data"))?;
    let token = URL_SAFE_NO_PAD.encode(&sealed);
    let name = match token.len() <= LONGEST_TOKEN {
        true => None,
        false => Some(random::<32>().map_err(|_| Problem::internal("no randomness"))?),
    };
    let id = name.map(|name| app.secrets.name("link", &[&name]));
    let (app, tenant, template, expires) = (app.clone(), claims.n.clone(), claims.t.clone(), claims.x);
    let uses = uses::of_viewing(viewing);
    let noted = web::block(move || {
        let record = Record { tenant: &tenant, template: &template, viewer, uses: &uses };
        let kept = id.as_ref().map(|id| KeptLink { id, sealed: &sealed, expires });
        app.records.add_link(&record, kept.as_ref())
    });
    noted.await??;
    Ok(name.map_or(token, |name| format!("{KEPT}{}", URL_SAFE_NO_PAD.encode(name))))
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
    let (viewer, made) = (claims.viewer(), claims.c);
    erase::may_open(app, &claims.n, &claims.t, viewer, made)?;
    let (tenant, template) = (claims.n.clone(), claims.t.clone());
    let wish = Wish {
        tenant: claims.n,
        template: claims.t,
        version: claims.v,
        rendition: claims.r,
        data: claims.d,
        viewer: viewer.map(|(viewer, _)| viewer),
    };
    let viewing = app.viewing(wish).await?;
    // The viewer may have been erased while it was filled.
    erase::may_open(app, &tenant, &template, viewer, made).inspect_err(|_| erase::let_go(app, viewer))?;
    Ok(viewing)
}
