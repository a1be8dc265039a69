//! One request after another to one server: bounded, retried, paid for.

use std::hash::{BuildHasher, Hasher};
use std::io::{ErrorKind, Read};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::Value;
use ureq::http::{Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};
use vignette_templates::generate::Cost;

use crate::error::GenerateError;
use crate::gate::{End, Gate, Limits, sum};
use crate::provider::{Answer, Context};

/// Retries wait up to this long for the first, doubling for each further one.
const BACKOFF: Duration = Duration::from_millis(250);
/// The longest wait before a retry that the server did not ask for.
const MAX_BACKOFF: Duration = Duration::from_secs(8);
/// Bytes of an error's body that are looked at for its code.
const MAX_ERROR: u64 = 16 << 10;

/// How a server is reached.
#[derive(Clone)]
pub(crate) struct ClientOptions {
    /// The provider's name.
    pub provider: String,
    /// The address that the calls' paths are put behind, without a slash at its end.
    pub url: String,
    /// The secret that is sent with each request.
    pub key: Option<String>,
    /// The header that holds it alone; `None` sends it as a bearer's token.
    pub key_header: Option<String>,
    /// How long one call may take, retries included.
    pub deadline: Duration,
    /// How often a call that failed is tried again.
    pub retries: u32,
    pub limits: Limits,
    /// Whether the operator vouches that what is sent stays in the house.
    pub local: bool,
}

/// A server.
pub(crate) struct Client {
    options: Arc<ClientOptions>,
    agent: Agent,
    pub gate: Gate,
}

/// What kind of answer is expected.
pub(crate) struct Expected {
    /// The media types that will do, without parameters; one that ends in `/` stands for all that begin so.
    pub types: &'static [&'static str],
    /// The longest answer in bytes.
    pub max_bytes: u64,
    /// How long the first of a streamed answer that is of use may take ([`Sink::take`]). Once it is there the call is not tried
    /// again.
    pub first: Option<Duration>,
}

/// What is sent.
pub(crate) enum Sent<'a> {
    Json(&'a Value),
    /// A form with files (RFC 7578): the whole media type, and the body.
    Form(String, Vec<u8>),
}

/// Takes an answer piece by piece, in order.
pub(crate) trait Sink: Send + 'static {
    /// Takes the next bytes; whether something of use was in what came so far.
    ///
    /// # Errors
    /// Why no more of it is wanted; then no more is read.
    fn take(&mut self, bytes: &[u8]) -> Result<bool, String>;
}

/// Keeps all of it.
impl Sink for Vec<u8> {
    fn take(&mut self, bytes: &[u8]) -> Result<bool, String> {
        self.extend_from_slice(bytes);
        Ok(true)
    }
}

pub(crate) const JSON: &[&str] = &["application/json"];

/// Nothing when `url` can be called.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    let uri: ureq::http::Uri = url.parse().map_err(|_| "it is no URL".to_owned())?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err("it has to begin with http:// or https://".to_owned()),
    }
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err(
            "it holds a password; put that into the environment and name it with `key_env`".to_owned()
        );
    }
    if uri.query().is_some() {
        return Err("it holds a query, and paths are put behind it".to_owned());
    }
    Ok(())
}

/// Whether `url` leads to this machine.
pub(crate) fn is_loopback(url: &str) -> bool {
    let host = url.parse::<ureq::http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    let Some(host) = host else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// How connections are encrypted: with the certificates that this machine trusts.
pub(crate) fn tls() -> TlsConfig {
    TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build()
}

impl Client {
    pub(crate) fn new(options: ClientOptions) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect could lead a key or a viewer's name anywhere.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(32 << 10)
            .user_agent(concat!("vignette/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .tls_config(tls());
        if is_loopback(&options.url) {
            // A proxy of the environment is for the world outside.
            config = config.proxy(None);
        }
        let gate = Gate::new(&options.provider, options.limits.clone());
        Client { agent: config.build().into(), gate, options: Arc::new(options) }
    }

    pub(crate) fn provider(&self) -> &str {
        &self.options.provider
    }

    /// Whether what is asked leaves the house.
    pub(crate) fn is_remote(&self) -> bool {
        !self.options.local
    }

    /// What `read` makes of the answer to `sent` at `path`, and what it took.
    ///
    /// A call that cannot be answered now is tried again after a random wait that doubles from try to try, or after as long as
    /// the server asks for, as long as there is time.
    ///
    /// # Errors
    /// [`GenerateError::Limit`] when it may not be asked, [`GenerateError::Deadline`], what the last try met, or what `read`
    /// found wrong.
    pub(crate) fn post<T>(
        &self,
        path: &str,
        sent: &Sent<'_>,
        most: Cost,
        expected: &Expected,
        context: &Context,
        read: impl Fn(&[u8]) -> Result<(T, Cost, String), String>,
    ) -> Result<Answer<T>, GenerateError> {
        self.post_into(path, sent, most, expected, context, Vec::new, |bytes: Vec<u8>| read(&bytes))
    }

    /// [`Client::post`] whose answer goes piece by piece into what `sink` makes for each try.
    ///
    /// # Errors
    /// As [`Client::post`], and what the sink found wrong.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is another side of one call, and they are named where it is made"
    )]
    pub(crate) fn post_into<T, S: Sink>(
        &self,
        path: &str,
        sent: &Sent<'_>,
        most: Cost,
        expected: &Expected,
        context: &Context,
        sink: impl Fn() -> S,
        read: impl Fn(S) -> Result<(T, Cost, String), String>,
    ) -> Result<Answer<T>, GenerateError> {
        let started = Instant::now();
        let given = context.remaining().min(self.options.deadline);
        let end = started + given;
        // What has its turn too late has no time left to be answered.
        let latest = started + given * 3 / 4;
        let mut cost = Cost::default();
        let mut attempt = 0;
        loop {
            let permit = self.gate.enter(most, latest)?;
            let left = end.saturating_duration_since(Instant::now());
            let outcome = match left.is_zero() {
                true => Err(Fault::late()),
                false => self.try_once(path, sent, expected, left, sink()),
            };
            let outcome = outcome.and_then(|taken| read(taken).map_err(Fault::answer));
            let fault = match outcome {
                Ok((value, took, version)) => {
                    cost = sum(cost, permit.end(&End::Answered(took)));
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
                    return Ok(Answer { value, version, cost, made_at: now.map(|now| now.as_secs()) });
                }
                Err(fault) => fault,
            };
            cost = sum(cost, permit.end(&fault.end));
            let wait = match &fault.end {
                End::Throttled(Some(after)) => *after,
                _ => jitter(attempt),
            };
            let time = end.saturating_duration_since(Instant::now());
            if !fault.again || attempt >= self.options.retries || wait >= time {
                return Err(self.error(fault, attempt, given, wait >= time));
            }
            self.gate.rest(wait);
            attempt += 1;
        }
    }

    fn try_once<S: Sink>(
        &self,
        path: &str,
        sent: &Sent<'_>,
        expected: &Expected,
        left: Duration,
        mut sink: S,
    ) -> Result<S, Fault> {
        let (content_type, bytes) = match sent {
            Sent::Json(body) => {
                let bytes = serde_json::to_vec(body)
                    .map_err(|_| Fault::again("the request cannot be written as JSON"))?;
                ("application/json".to_owned(), bytes)
            }
            Sent::Form(content_type, bytes) => (content_type.clone(), bytes.clone()),
        };
        let call = Call {
            agent: self.agent.clone(),
            options: Arc::clone(&self.options),
            url: format!("{}{path}", self.options.url),
            content_type,
            types: expected.types,
            max_bytes: expected.max_bytes,
        };
        let Some(first) = expected.first else {
            call.fetch(&bytes, left, &mut sink, &mut || ())?;
            return Ok(sink);
        };
        // Nothing can be told of a body while it is read, so it is read beside. It ends at the deadline, whoever waits for it.
        let started = Instant::now();
        let (sender, events) = mpsc::channel();
        let begun = sender.clone();
        std::thread::Builder::new()
            .name(format!("stream {}", self.options.provider))
            .spawn(move || {
                let done = call.fetch(&bytes, left, &mut sink, &mut || drop(begun.send(Event::Begun)));
                let _ = sender.send(Event::Done(done.map(|()| sink)));
            })
            .map_err(|_| Fault::again("a thread cannot be started"))?;
        match events.recv_timeout(first.min(left)) {
            Ok(Event::Done(done)) => return done,
            Ok(Event::Begun) => {}
            Err(_) if first >= left => return Err(Fault::late()),
            Err(_) => {
                let message = format!("it sent nothing of use within {} ms", first.as_millis());
                return Err(Fault::again(&message));
            }
        }
        match events.recv_timeout(left.saturating_sub(started.elapsed())) {
            Ok(Event::Done(done)) => done.map_err(|fault| Fault { again: false, ..fault }),
            _ => Err(Fault::late()),
        }
    }

    fn error(&self, fault: Fault, attempt: u32, given: Duration, no_time: bool) -> GenerateError {
        let provider = self.options.provider.clone();
        let tries = match attempt {
            0 => String::new(),
            more => format!(" (tried {} times)", more + 1),
        };
        match fault.kind {
            What::Late => GenerateError::Deadline { provider, after: given },
            What::Answer(reason) => GenerateError::Rejected { provider, reason },
            What::Trouble(reason) => {
                let late = match no_time && fault.again && attempt < self.options.retries {
                    true => "; there is no time to try again",
                    false => "",
                };
                GenerateError::Provider { provider, reason: format!("{reason}{tries}{late}") }
            }
        }
    }
}

/// What is told of an answer while it is read.
enum Event<S> {
    /// The first of it that is of use is there.
    Begun,
    Done(Result<S, Fault>),
}

/// One request, with all that it takes.
struct Call {
    agent: Agent,
    options: Arc<ClientOptions>,
    url: String,
    content_type: String,
    types: &'static [&'static str],
    max_bytes: u64,
}

impl Call {
    /// Gives the answer's body to `sink`; `begun` is called when something of use came.
    fn fetch(
        &self,
        body: &[u8],
        left: Duration,
        sink: &mut dyn Sink,
        begun: &mut dyn FnMut(),
    ) -> Result<(), Fault> {
        let mut request = self
            .agent
            .post(&self.url)
            .config()
            .timeout_global(Some(left))
            .build()
            .header("content-type", &self.content_type);
        if let Some(key) = &self.options.key {
            request = match &self.options.key_header {
                Some(name) => request.header(name, key),
                None => request.header("authorization", format!("Bearer {key}")),
            };
        }
        let mut response = request.send(body).map_err(|error| Fault::of(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(refusal(status, &mut response));
        }
        let found = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let found =
            found.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let fits = |wanted: &str| found == wanted || (wanted.ends_with('/') && found.starts_with(wanted));
        if !self.types.iter().any(|wanted| fits(wanted)) {
            let wanted = self.types.join(" or ");
            let found: String = found.chars().filter(|c| c.is_ascii_graphic()).take(60).collect();
            return Err(Fault::answer(format!("it is of type {found:?}, and {wanted} is expected")));
        }
        let too_long =
            || Fault::answer(format!("it is longer than the {} bytes that are read", self.max_bytes));
        let stated =
            response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
        if stated.is_some_and(|stated: u64| stated > self.max_bytes) {
            return Err(too_long());
        }
        let mut reader = response.body_mut().as_reader();
        let (mut length, mut has_begun) = (0, false);
        let mut block = [0; 16 << 10];
        loop {
            match reader.read(&mut block) {
                Ok(0) => break,
                Ok(count) => {
                    length += count as u64;
                    if length > self.max_bytes {
                        return Err(too_long());
                    }
                    if sink.take(&block[..count]).map_err(Fault::answer)? && !has_begun {
                        has_begun = true;
                        begun();
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => return Err(Fault::late()),
                Err(error) => {
                    return Err(match ureq::Error::from(error) {
                        ureq::Error::Timeout(_) => Fault::late(),
                        _ => Fault::again("its answer ends in the middle"),
                    });
                }
            }
        }
        match stated.is_some_and(|stated| stated != length) {
            true => Err(Fault::again("its answer ends in the middle")),
            false => Ok(()),
        }
    }
}

/// Why a try gave nothing.
struct Fault {
    end: End,
    /// Whether another try may help.
    again: bool,
    kind: What,
}

enum What {
    Late,
    /// The answer itself is at fault.
    Answer(String),
    Trouble(String),
}

impl Fault {
    fn late() -> Self {
        Fault { end: End::Lost("no answer in time".to_owned()), again: false, kind: What::Late }
    }

    /// Trouble on the way, after which another try may be answered.
    fn again(reason: &str) -> Self {
        Fault { end: End::Lost(reason.to_owned()), again: true, kind: What::Trouble(reason.to_owned()) }
    }

    fn answer(reason: String) -> Self {
        Fault { end: End::Lost(reason.clone()), again: false, kind: What::Answer(reason) }
    }

    fn of(error: &ureq::Error) -> Self {
        let refused = |reason: &str| Fault {
            end: End::Refused(reason.to_owned()),
            again: true,
            kind: What::Trouble(reason.to_owned()),
        };
        match error {
            ureq::Error::Timeout(_) => Fault::late(),
            ureq::Error::HostNotFound => refused("its host is not found"),
            ureq::Error::ConnectionFailed => refused("it cannot be reached"),
            ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
                refused("nothing listens at its address; start the server, or mend `url`")
            }
            ureq::Error::Io(error) if error.kind() == ErrorKind::TimedOut => Fault::late(),
            ureq::Error::Io(error) => Fault::again(&format!("the connection broke ({})", error.kind())),
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => Fault {
                again: false,
                ..refused(
                    "its certificate is not trusted here; install `ca-certificates`, or its own authority",
                )
            },
            _ => Fault::again("its answer is no HTTP"),
        }
    }
}

/// What a status other than success means.
fn refusal(status: StatusCode, response: &mut Response<Body>) -> Fault {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let after = header("retry-after").and_then(|value| retry_after(value, SystemTime::now()));
    let bytes = response.body_mut().with_config().limit(MAX_ERROR).read_to_vec().unwrap_or_default();
    let code = error_code(&bytes).map_or_else(String::new, |code| format!(" ({code})"));
    let reason = format!("it answered with status {}{code}", status.as_u16());
    let trouble = |end: End, again: bool, reason: String| Fault { end, again, kind: What::Trouble(reason) };
    match status.as_u16() {
        429 => trouble(End::Throttled(after), true, format!("{reason}: too many requests")),
        503 if after.is_some() => trouble(End::Throttled(after), true, reason),
        // It did not begin with what was sent.
        408 | 425 => trouble(End::Refused(reason.clone()), true, reason),
        // It may have worked on it, and charge for that.
        500 | 502..=504 => trouble(End::Lost(reason.clone()), true, reason),
        505..=599 | 501 => trouble(End::Lost(reason.clone()), false, reason),
        401 | 403 => {
            let reason = format!("{reason}: its key is not accepted; look at `key_env`");
            trouble(End::Hopeless(reason.clone()), false, reason)
        }
        404 => {
            let reason = format!("{reason}: it does not know this call or model; look at `url` and `model`");
            trouble(End::Hopeless(reason.clone()), false, reason)
        }
        300..=399 => {
            let reason = format!("{reason}: redirects are not followed; write the address that it leads to");
            trouble(End::Hopeless(reason.clone()), false, reason)
        }
        _ => trouble(End::Refused(reason.clone()), false, reason),
    }
}

/// The code in an error's body, if it is a word. Its message is not repeated: it may quote what was asked.
fn error_code(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(default)]
        code: Value,
        #[serde(default, rename = "type")]
        kind: Value,
    }
    let body: Body = serde_json::from_slice(bytes).ok()?;
    let word = |value: &Value| {
        let word = value.as_str()?;
        let plain = word.len() <= 40 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        (plain && !word.is_empty()).then(|| word.to_owned())
    };
    word(&body.error.code).or_else(|| word(&body.error.kind))
}

/// A random wait before the try after `attempt`: evenly between nothing and a bound that doubles ("full jitter", M. Brooker,
/// "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
fn jitter(attempt: u32) -> Duration {
    let bound = BACKOFF.saturating_mul(1_u32 << attempt.min(16)).min(MAX_BACKOFF);
    // The standard library's only randomness: the keys of a hash map.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    bound.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
}

/// How long to wait by a `Retry-After` header (RFC 9110, 10.2.3): seconds, or a date in the preferred format.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return (0.0..=1e9).contains(&seconds).then(|| Duration::from_secs_f64(seconds));
    }
    // `Sun, 06 Nov 1994 08:49:37 GMT`
    let mut words = value.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok().filter(|part| *part < 61));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // Days since 1970 in the proleptic Gregorian calendar, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = (365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day).checked_sub(719_469)?;
    let at = UNIX_EPOCH + Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second);
    Some(at.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_by_the_servers_word() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_770);
        let table = [
            ("7", Some(7.0)),
            (" 0 ", Some(0.0)),
            ("1.5", Some(1.5)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7.0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0.0)),
            ("Sun, 06 Nov 1994 08:50:30 GMT", Some(60.0)),
            ("-3", None),
            ("NaN", None),
            ("soon", None),
            ("Sun, 99", None),
            ("Sun, 06 Nov 0000 08:49:37 GMT", None),
        ];
        for (value, expected) in table {
            assert_eq!(retry_after(value, now).map(|wait| wait.as_secs_f64()), expected, "{value:?}");
        }
    }

    #[test]
    fn waits_are_random_and_bounded() {
        for attempt in [0, 1, 5, 40] {
            let bound = BACKOFF.saturating_mul(1 << attempt.min(16)).min(MAX_BACKOFF);
            let waits: Vec<Duration> = (0..64).map(|_| jitter(attempt)).collect();
            assert!(waits.iter().all(|wait| *wait <= bound), "{attempt}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{attempt}");
        }
    }

    #[test]
    fn addresses() {
        for url in ["http://127.0.0.1:8080/v1", "https://api.example.com/v1", "http://[::1]:80"] {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
        for url in ["", "ftp://a/b", "https://me:secret@host/v1", "https://host/v1?key=1", "/v1"] {
            assert!(check_url(url).is_err(), "{url}");
        }
        let loopback = ["http://localhost:1", "http://127.0.0.9/v1", "http://[::1]:80/v1"];
        assert!(loopback.iter().all(|url| is_loopback(url)));
        assert!(!is_loopback("https://api.example.com/v1") && !is_loopback("http://10.0.0.1"));
    }

    #[test]
    fn only_codes_are_repeated() {
        let code = |body: &str| error_code(body.as_bytes());
        assert_eq!(code(r#"{"error":{"code":"insufficient_quota"}}"#).as_deref(), Some("insufficient_quota"));
        assert_eq!(code(r#"{"error":{"code":null,"type":"server_error"}}"#).as_deref(), Some("server_error"));
        assert_eq!(code(r#"{"error":{"code":"Maria said no"}}"#), None);
        assert_eq!(code("<html>"), None);
    }
}
