//! Webhooks, signed as Standard Webhooks 1.0.0 says (standardwebhooks.com): `webhook-id`, `webhook-timestamp`, `webhook-signature` with
//! HMAC-SHA256 over `id.timestamp.body`.
//!
//! They go to public addresses alone. The host is resolved here, every address that it has is looked at, and the connection goes to one
//! of those; redirects are not followed. So neither a name that leads inside, nor one that changes where it leads, gets through.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;

use crate::app::App;
use crate::auth::{Scope, caller};
use crate::clock;
use crate::config::Config;
use crate::problem::Problem;
use crate::records::Delivery;
use crate::secrets::Purpose;
use crate::traces::{Kind, Origin, Span};

/// Pauses before each further attempt, in seconds; after the last one it is given up.
const PAUSES: [i64; 8] = [2, 10, 60, 300, 1800, 7200, 28_800, 86_400];
/// Webhooks that are sent at a time.
const AT_ONCE: u32 = 8;

/// What a delivery holds, sealed.
#[derive(Deserialize)]
struct Message {
    url: String,
    payload: String,
    /// The trace of what it tells of.
    #[serde(default)]
    trace: Option<Origin>,
}

/// The secret that a tenant's webhooks are signed with.
fn secret(app: &App, tenant: &str) -> [u8; 32] {
    app.secrets.name("webhook secret", &[tenant.as_bytes()])
}

/// `GET /v1/webhook-secret`.
///
/// # Errors
/// A caller who may not manage.
pub async fn tell_secret(app: Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Manage).await?;
    let secret = format!("whsec_{}", STANDARD.encode(secret(app, &caller.tenant)));
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(json!({ "secret": secret })))
}

fn sign(secret: &[u8], id: &str, timestamp: i64, payload: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(format!("{id}.{timestamp}.{payload}").as_bytes());
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// Whether a webhook may be sent to `url`, as far as the URL itself tells; its addresses are looked at when it is sent.
///
/// # Errors
/// Why not.
pub fn check(config: &Config, url: &str) -> Result<reqwest::Url, &'static str> {
    if url.len() > 2048 {
        return Err("a webhook's URL has at most 2048 signs");
    }
    let url = reqwest::Url::parse(url).map_err(|_| "a webhook is an http(s) URL")?;
    let host = url.host_str().ok_or("a webhook's URL has a host")?;
    let trusted = config.private_webhook_hosts.iter().any(|known| known == host);
    if url.scheme() != "https" && !(url.scheme() == "http" && trusted) {
        return Err("a webhook goes to an https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a webhook's URL has no user and password");
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if !trusted && bare.parse::<IpAddr>().is_ok_and(|address| !is_public(address)) {
        return Err("a webhook goes to a public address");
    }
    Ok(url)
}

/// Whether an address can be another's on the internet: not private, local, shared, reserved, or one that leads to such.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// By the IANA IPv4 Special-Purpose Address Registry (RFC 6890).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

/// Global unicast alone (2000::/3), without what is set apart in it (RFC 6890), and without addresses that hold another IPv4 address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    (a & 0xe000) == 0x2000
        // Teredo, benchmarking, ORCHID and documentation; 6to4.
        && !(a == 0x2001 && (b < 0x0200 || b == 0x0db8))
        && a != 0x2002
        && !(a == 0x3fff && b < 0x1000)
}

/// Sends webhooks until the service ends.
pub async fn work(app: Arc<App>) {
    while !app.is_stopping() {
        let state = app.clone();
        // As long as one is sent, and then some to write it down.
        let patience = (i64::try_from(state.config.limits.webhook_seconds).unwrap_or(0) * 2 + 60) * 1000;
        let due = web::block(move || state.records.due(AT_ONCE, patience)).await;
        let due = due.ok().and_then(Result::ok).unwrap_or_default();
        if due.is_empty() {
            let _ = tokio::time::timeout(Duration::from_secs(1), app.jobs.hooks.notified()).await;
            continue;
        }
        let sent = due.iter().map(|delivery| attempt(&app, delivery));
        futures_util::future::join_all(sent).await;
    }
}

async fn attempt(app: &Arc<App>, delivery: &Delivery) {
    let outcome = send(app, delivery).await;
    let count = usize::try_from(delivery.attempts).unwrap_or(usize::MAX);
    let next = PAUSES.get(count).map(|pause| clock::now_millis() + jittered(*pause * 1000));
    let (status, last, next) = match outcome {
        Ok(code) => {
            app.metrics.webhooks_delivered.fetch_add(1, Ordering::Relaxed);
            ("delivered", code, None)
        }
        Err(Trouble::Never(code)) => ("failed", code.to_owned(), None),
        Err(Trouble::Later(code)) if next.is_none() => ("failed", code, None),
        Err(Trouble::Later(code)) => ("pending", code, next),
    };
    if status == "failed" {
        app.metrics.webhooks_failed.fetch_add(1, Ordering::Relaxed);
    }
    let id = delivery.id.clone();
    // Forgetting that it was received would mean sending it again.
    app.insist(move |app| app.records.attempted(&id, status, &last, next)).await;
}

/// Up to a quarter more, so that receivers who were away are not met by all at once.
fn jittered(millis: i64) -> i64 {
    let random = crate::secrets::random::<2>().map_or(0, u16::from_le_bytes);
    millis + millis / 4 * i64::from(random) / i64::from(u16::MAX)
}

/// Why a webhook was not received, as a code.
enum Trouble {
    /// Trying again is of no use.
    Never(&'static str),
    /// It may be of use.
    Later(String),
}

impl Trouble {
    fn code(&self) -> &str {
        match self {
            Trouble::Never(code) => code,
            Trouble::Later(code) => code,
        }
    }
}

/// Why there is no client for a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// It has no host.
    Url,
    /// Its host's name leads nowhere.
    Name,
    /// One of its host's addresses is not public.
    Address,
    /// The system has nothing to give.
    Client,
}

/// A client that connects to the addresses that were looked at and to no other, and follows no redirect: neither a name that leads
/// inside, nor one that changes where it leads, gets through. A host that is `trusted` may have any address.
///
/// # Errors
/// Why there is none.
pub async fn checked_client(
    url: &reqwest::Url,
    trusted: bool,
    patience: Duration,
) -> Result<reqwest::Client, Unreachable> {
    let host = url.host_str().ok_or(Unreachable::Url)?;
    let port = url.port_or_known_default().ok_or(Unreachable::Url)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let looked_up = tokio::time::timeout(patience, tokio::net::lookup_host((bare, port))).await;
    let addresses: Vec<_> =
        looked_up.map_err(|_| Unreachable::Name)?.map_err(|_| Unreachable::Name)?.collect();
    if addresses.is_empty() {
        return Err(Unreachable::Name);
    }
    if !trusted && !addresses.iter().all(|address| is_public(address.ip())) {
        return Err(Unreachable::Address);
    }
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(patience)
        .resolve_to_addrs(host, &addresses)
        .user_agent("vignette")
        .build()
        .map_err(|_| Unreachable::Client)
}

async fn send(app: &Arc<App>, delivery: &Delivery) -> Result<String, Trouble> {
    let text = app.secrets.open_sealed(Purpose::Record, &delivery.sealed);
    let message: Message = text
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .ok_or(Trouble::Never("unsealing failed"))?;
    let span = Span::after(message.trace.as_ref(), "POST webhook", Kind::Client);
    span.set("http.request.method", "POST");
    if delivery.attempts > 0 {
        span.set("http.request.resend_count", delivery.attempts);
    }
    let sent = post(app, delivery, message, &span).await;
    if let Err(trouble) = &sent {
        span.fail(trouble.code().to_owned());
    }
    sent
}

async fn post(app: &Arc<App>, delivery: &Delivery, message: Message, span: &Span) -> Result<String, Trouble> {
    let url = check(&app.config, &message.url).map_err(|_| Trouble::Never("url refused"))?;
    let trusted =
        url.host_str().is_some_and(|host| app.config.private_webhook_hosts.iter().any(|known| known == host));
    let patience = Duration::from_secs(app.config.limits.webhook_seconds);
    let client = checked_client(&url, trusted, patience).await.map_err(|why| match why {
        Unreachable::Url => Trouble::Never("url refused"),
        Unreachable::Name => Trouble::Later("name not resolved".into()),
        Unreachable::Address => Trouble::Later("address refused".into()),
        Unreachable::Client => Trouble::Later("no client".into()),
    })?;
    let timestamp = clock::now();
    let signature = sign(&secret(app, &delivery.tenant), &delivery.id, timestamp, &message.payload)
        .ok_or(Trouble::Never("signing failed"))?;
    let origin = span.origin();
    let mut request = client.post(url);
    for (name, value) in origin.iter().flat_map(Origin::headers) {
        request = request.header(name, value);
    }
    let sent = request
        .header("content-type", "application/json")
        .header("webhook-id", &delivery.id)
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", signature)
        .body(message.payload)
        .send()
        .await;
    if let Ok(response) = &sent {
        span.set("http.response.status_code", i64::from(response.status().as_u16()));
    }
    match sent {
        // The body is not read: nothing in it counts.
        Ok(response) if response.status().is_success() => Ok(response.status().as_u16().to_string()),
        Ok(response) if response.status().as_u16() == 410 => Err(Trouble::Never("410")),
        Ok(response) => Err(Trouble::Later(response.status().as_u16().to_string())),
        Err(error) if error.is_timeout() => Err(Trouble::Later("too slow".into())),
        Err(_) => Err(Trouble::Later("not reached".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "198.18.0.1",
            "192.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "::127.0.0.1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in
            ["1.1.1.1", "93.184.216.34", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn urls_are_checked() {
        let config = Config { private_webhook_hosts: vec!["127.0.0.1".into()], ..Config::default() };
        for url in [
            "http://example.com/",
            "ftp://example.com/",
            "https://user:x@example.com/",
            "https://10.0.0.1/",
            "https://[::1]/",
            "https://0x7f000001.1/",
            "https://2130706434/",
            "nonsense",
        ] {
            assert!(check(&config, url).is_err(), "{url}");
        }
        for url in ["https://example.com/hook?x=1", "http://127.0.0.1:1234/", "https://8.8.8.8/"] {
            assert!(check(&config, url).is_ok(), "{url}");
        }
    }

    #[test]
    fn signed_as_the_specification_s_own_example() {
        // The example of the specification's libraries.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}").unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
