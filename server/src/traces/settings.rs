//! Where traces go, and which are kept: the service's own setting, and what the OpenTelemetry specification has for the environment
//! ("Environment Variable Specification" and "OpenTelemetry Protocol Exporter").

use std::time::Duration;

use opentelemetry_sdk::trace::{Sampler, ShouldSample};
use reqwest::Url;

/// What the path of an OTLP collector's address ends in, for traces (OTLP 1.x, "OTLP/HTTP Request").
const PATH: &str = "v1/traces";

/// How traces are exported.
#[derive(Debug)]
pub struct Settings {
    /// Where they are posted to.
    pub endpoint: Url,
    /// Which traces are kept.
    pub sampling: Sampling,
    /// How long the collector may take.
    pub patience: Duration,
    /// Spans that wait at most.
    pub queue: usize,
    /// Spans that are sent at a time at most.
    pub batch: usize,
    /// How long a span waits for others to be sent with.
    pub delay: Duration,
}

/// Which traces are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Whether a request that belongs to a trace is kept as that trace says.
    pub follows: bool,
    /// The share of all others.
    pub share: f64,
}

impl Sampling {
    /// The sampler that does so.
    pub fn sampler(self) -> Box<dyn ShouldSample> {
        let root = match self.share {
            share if share >= 1.0 => Sampler::AlwaysOn,
            share if share <= 0.0 => Sampler::AlwaysOff,
            share => Sampler::TraceIdRatioBased(share),
        };
        match self.follows {
            true => Sampler::ParentBased(Box::new(root)).into(),
            false => root.into(),
        }
    }
}

impl Settings {
    /// What is set by the service's own setting `traces`, which goes before the environment's; `None` when traces go nowhere.
    ///
    /// # Errors
    /// Every fault, in words that hold none of the values.
    pub fn read(
        own: Option<&str>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Settings>, Vec<String>> {
        // What is empty counts as not set.
        let get = |name: &str| environment(name).filter(|value| !value.is_empty());
        if get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let mut faults = Vec::new();
        let endpoint = match own {
            Some(address) => own_endpoint(address).map_err(|why| format!("traces: {why}")),
            None => {
                const WHOLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
                const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
                match (get(WHOLE), get(BASE)) {
                    (Some(address), _) => address_of(&address).map_err(|why| format!("{WHOLE}: {why}")),
                    (None, Some(base)) => {
                        address_of(&base).map(below).map_err(|why| format!("{BASE}: {why}"))
                    }
                    (None, None) => return Ok(None),
                }
            }
        };
        let endpoint = endpoint.map_err(|fault| faults.push(fault)).ok();
        let sampling = sampling(&get).map_err(|fault| faults.push(fault)).ok();
        refusals(&get, &mut faults);
        let mut number = |names: &[&str], default: u64, least: u64| {
            let Some((name, value)) = names.iter().find_map(|name| Some((name, get(name)?))) else {
                return default;
            };
            let number = value.trim().parse().ok().filter(|number| (least..=1 << 20).contains(number));
            number.unwrap_or_else(|| {
                faults.push(format!("{name}: expected a whole number between {least} and {}", 1 << 20));
                default
            })
        };
        let patience =
            number(&["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"], 10_000, 1);
        let delay = number(&["OTEL_BSP_SCHEDULE_DELAY"], 5000, 0);
        let queue = number(&["OTEL_BSP_MAX_QUEUE_SIZE"], 2048, 1);
        let batch = number(&["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], 512.min(queue), 1);
        match (endpoint, sampling) {
            (Some(endpoint), Some(sampling)) if faults.is_empty() => Ok(Some(Settings {
                endpoint,
                sampling,
                patience: Duration::from_millis(patience),
                queue: usize::try_from(queue).unwrap_or(usize::MAX),
                batch: usize::try_from(batch.min(queue)).unwrap_or(usize::MAX),
                delay: Duration::from_millis(delay),
            })),
            _ => Err(faults),
        }
    }
}

fn own_endpoint(address: &str) -> Result<Url, &'static str> {
    let url = address_of(address)?;
    if url.query().is_some() {
        return Err("an address without a query is expected, such as http://127.0.0.1:4318");
    }
    if url.path().trim_end_matches('/').ends_with(PATH) {
        return Err("`/v1/traces` is added here; leave it out");
    }
    Ok(below(url))
}

fn address_of(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim())
        .map_err(|_| "an http(s) address is expected, such as http://127.0.0.1:4318")?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("an http(s) address is expected, such as http://127.0.0.1:4318");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("no user and password are expected; OTEL_EXPORTER_OTLP_HEADERS takes what lets in");
    }
    Ok(url)
}

fn below(mut base: Url) -> Url {
    let path = format!("{}/{PATH}", base.path().trim_end_matches('/'));
    base.set_path(&path);
    base
}

fn sampling(get: &dyn Fn(&str) -> Option<String>) -> Result<Sampling, String> {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    const SHARE: &str = "OTEL_TRACES_SAMPLER_ARG";
    let share = || {
        let Some(text) = get(SHARE) else { return Ok(1.0) };
        let share = text.trim().parse().ok().filter(|share: &f64| (0.0..=1.0).contains(share));
        share.ok_or_else(|| format!("{SHARE}: expected a share between 0 and 1"))
    };
    let name = get(NAME).unwrap_or_else(|| "parentbased_always_on".into());
    let (follows, root) = match name.trim().strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, name.trim()),
    };
    let share = match root {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => share()?,
        _ => {
            return Err(format!(
                "{NAME}: expected always_on, always_off or traceidratio, each also behind parentbased_"
            ));
        }
    };
    Ok(Sampling { follows, share })
}

/// What is set and cannot be done is told, not passed over.
fn refusals(get: &dyn Fn(&str) -> Option<String>, faults: &mut Vec<String>) {
    let first =
        |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, get(name)?.to_lowercase())));
    if let Some((name, protocol)) =
        first(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])
        && protocol != "http/protobuf"
    {
        faults.push(format!("{name}: traces are sent by http/protobuf alone"));
    }
    if let Some((name, way)) =
        first(["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"])
        && !matches!(way.as_str(), "gzip" | "none")
    {
        faults.push(format!("{name}: expected gzip or none"));
    }
    for part in ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"] {
        for name in [format!("OTEL_EXPORTER_OTLP_TRACES_{part}"), format!("OTEL_EXPORTER_OTLP_{part}")] {
            if get(&name).is_some() {
                faults.push(format!(
                    "{name}: not done here; certificates are checked by the system's list, or that of SSL_CERT_FILE"
                ));
            }
        }
    }
    if let Some((name, headers)) = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"]
        .into_iter()
        .find_map(|name| Some((name, get(name)?)))
        && !headers.trim_end_matches(',').split(',').all(is_header)
    {
        faults.push(format!("{name}: expected name=value, percent-encoded, with commas between them"));
    }
}

fn is_header(text: &str) -> bool {
    let Some((name, value)) = text.split_once('=') else { return false };
    let value = value.trim();
    !value.is_empty()
        && value.bytes().all(|sign| sign.is_ascii_graphic() || sign == b' ')
        && reqwest::header::HeaderName::from_bytes(name.trim().as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(own: Option<&str>, set: &[(&str, &str)]) -> Result<Option<Settings>, Vec<String>> {
        let get = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
        Settings::read(own, &get)
    }

    #[test]
    fn where_traces_go() {
        const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const WHOLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        for (own, set, goes) in [
            (None, &[][..], None),
            (None, &[(BASE, "")], None),
            (Some("http://127.0.0.1:4318"), &[], Some("http://127.0.0.1:4318/v1/traces")),
            (Some("https://otel.test/tenant/"), &[], Some("https://otel.test/tenant/v1/traces")),
            (Some("http://own.test"), &[(BASE, "http://other.test")], Some("http://own.test/v1/traces")),
            (None, &[(BASE, "http://other.test:4318/")], Some("http://other.test:4318/v1/traces")),
            (None, &[(BASE, "http://a.test"), (WHOLE, "http://b.test/x?y=1")], Some("http://b.test/x?y=1")),
            (Some("http://own.test"), &[("OTEL_SDK_DISABLED", "TRUE")], None),
        ] {
            let settings = read(own, set).unwrap();
            let goes_to = settings.map(|settings| settings.endpoint.to_string());
            assert_eq!(goes_to.as_deref(), goes, "{own:?} {set:?}");
        }
    }

    #[test]
    fn faults_are_told_without_values() {
        for (own, set, told) in [
            (Some("nowhere"), &[][..], "traces:"),
            (Some("grpc://x.test"), &[], "traces:"),
            (Some("http://me:geheim@x.test"), &[], "traces:"),
            (Some("http://x.test/v1/traces"), &[], "traces: `/v1/traces` is added"),
            (Some("http://x.test/?geheim"), &[], "traces:"),
            (None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "geheim")], "OTEL_EXPORTER_OTLP_ENDPOINT:"),
            (Some("http://x.test"), &[("OTEL_TRACES_SAMPLER", "geheim")], "OTEL_TRACES_SAMPLER:"),
            (
                Some("http://x.test"),
                &[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1.5")],
                "OTEL_TRACES_SAMPLER_ARG:",
            ),
            (
                Some("http://x.test"),
                &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
                "OTEL_EXPORTER_OTLP_PROTOCOL:",
            ),
            (
                Some("http://x.test"),
                &[("OTEL_EXPORTER_OTLP_HEADERS", "geheim")],
                "OTEL_EXPORTER_OTLP_HEADERS:",
            ),
            (
                Some("http://x.test"),
                &[("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd")],
                "OTEL_EXPORTER_OTLP_COMPRESSION:",
            ),
            (
                Some("http://x.test"),
                &[("OTEL_EXPORTER_OTLP_CERTIFICATE", "/x")],
                "OTEL_EXPORTER_OTLP_CERTIFICATE:",
            ),
            (Some("http://x.test"), &[("OTEL_BSP_MAX_QUEUE_SIZE", "0")], "OTEL_BSP_MAX_QUEUE_SIZE:"),
        ] {
            let faults = read(own, set).unwrap_err();
            assert!(faults.len() == 1 && faults[0].starts_with(told), "{own:?} {set:?}: {faults:?}");
            assert!(!faults[0].contains("geheim"), "{faults:?}");
        }
    }

    #[test]
    fn which_traces_are_kept() {
        for (name, share, follows, kept) in [
            (None, None, true, 1.0),
            (Some("always_on"), None, false, 1.0),
            (Some("parentbased_always_off"), Some("0.5"), true, 0.0),
            (Some("traceidratio"), Some("0.25"), false, 0.25),
            (Some("parentbased_traceidratio"), None, true, 1.0),
        ] {
            let mut set = vec![("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,x=y")];
            set.extend(name.map(|name| ("OTEL_TRACES_SAMPLER", name)));
            set.extend(share.map(|share| ("OTEL_TRACES_SAMPLER_ARG", share)));
            let settings = read(Some("http://x.test"), &set).unwrap().unwrap();
            assert_eq!(settings.sampling, Sampling { follows, share: kept }, "{name:?}");
        }
    }
}
