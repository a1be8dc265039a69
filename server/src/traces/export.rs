//! Carries spans to the collector, beside everything else: who ends a span lays it into a bounded queue and goes on; one task sends
//! what is there. A collector that is away or slow costs spans, which are counted, and nothing else.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response, ResponseBodyTooLarge};
use opentelemetry_otlp::{SpanExporter as Otlp, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor};
use prost::Message;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::settings::Settings;
use crate::log;
use crate::metrics::Metrics;
use crate::secrets::{hex, random};

/// How long the end of the service waits for the collector to take the last spans.
const LAST: Duration = Duration::from_secs(3);
/// The longest answer of a collector that is read, in bytes.
const LONGEST_ANSWER: usize = 64 << 10;

/// What carries spans away.
pub struct Export {
    task: JoinHandle<()>,
    end: watch::Sender<bool>,
    told: Arc<AtomicBool>,
}

impl Export {
    /// Begins to carry away what the provider's tracers end; needs a runtime.
    ///
    /// # Errors
    /// What cannot be set up, in words for the operator.
    pub fn start(settings: &Settings, metrics: Arc<Metrics>) -> Result<(SdkTracerProvider, Export), String> {
        let failed = |why: &dyn fmt::Display| format!("traces: {why}");
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(settings.patience)
            .user_agent("vignette")
            .build()
            .map_err(|error| failed(&error))?;
        let refused = Arc::new(AtomicU64::new(0));
        let mut otlp = Otlp::builder()
            .with_http()
            .with_http_client(Post { client, refused: refused.clone() })
            .with_endpoint(settings.endpoint.as_str())
            .with_timeout(settings.patience)
            .build()
            .map_err(|error| failed(&error))?;
        let resource = resource();
        otlp.set_resource(&resource);
        let (send, receive) = mpsc::channel(settings.queue);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Queue { send, metrics: metrics.clone() })
            .with_sampler(settings.sampling.sampler())
            .with_resource(resource)
            .build();
        let told = Arc::new(AtomicBool::new(false));
        let (end, ending) = watch::channel(false);
        let carrier = Carrier { otlp, refused, metrics, told: told.clone() };
        let task = tokio::spawn(carrier.work(receive, ending, settings.batch, settings.delay));
        Ok((provider, Export { task, end, told }))
    }

    /// Sends what is left, within a few seconds. Spans that end later are not taken.
    pub async fn finish(mut self) {
        // It has ended already when nobody hears.
        let _ = self.end.send(true);
        if tokio::time::timeout(LAST, &mut self.task).await.is_err() {
            self.task.abort();
            if !self.told.load(Ordering::Relaxed) {
                log::error("traces", "the collector did not take the last spans in time");
            }
        }
    }
}

/// What all spans are of: this service, its version and this process.
fn resource() -> Resource {
    let of_environment = Resource::builder().build();
    let has = |name: &'static str| {
        let known = of_environment.iter().find(|(key, _)| key.as_str() == name);
        known.is_some_and(|(_, value)| !value.as_str().starts_with("unknown_service"))
    };
    let process = random::<8>().map(|bytes| hex(&bytes)).unwrap_or_default();
    let own = [
        ("service.name", "vignette".to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", process),
    ];
    let own = own.into_iter().filter(|(name, _)| !has(name));
    Resource::builder().with_attributes(own.map(|(name, value)| KeyValue::new(name, value))).build()
}

/// Where ended spans are laid. The processor that comes with the SDK tells nobody how many it dropped.
struct Queue {
    send: mpsc::Sender<SpanData>,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Queue")
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        span.span_context = without_state(&span.span_context);
        for link in &mut span.links.links {
            link.span_context = without_state(&link.span_context);
        }
        if self.send.try_send(span).is_err() {
            self.metrics.spans_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A `tracestate` is any text of a caller, so it goes to those who are called for her and not to the collector.
fn without_state(span: &SpanContext) -> SpanContext {
    SpanContext::new(span.trace_id(), span.span_id(), span.trace_flags(), span.is_remote(), TraceState::NONE)
}

struct Carrier {
    otlp: Otlp,
    /// Spans that the collector refused of what it took.
    refused: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
    /// The operator knows that the collector does not take spans.
    told: Arc<AtomicBool>,
}

impl Carrier {
    async fn work(
        self,
        mut queue: mpsc::Receiver<SpanData>,
        mut ending: watch::Receiver<bool>,
        most: usize,
        delay: Duration,
    ) {
        let mut batch = Vec::new();
        loop {
            // Either there is a first one, or the end has come.
            tokio::select! {
                first = queue.recv() => match first {
                    Some(first) => batch.push(first),
                    None => return,
                },
                _ = ending.changed() => {
                    queue.close();
                    continue;
                }
            }
            let full = async {
                while batch.len() < most {
                    match queue.recv().await {
                        Some(span) => batch.push(span),
                        None => return,
                    }
                }
            };
            let over = tokio::select! {
                () = full => false,
                () = tokio::time::sleep(delay) => false,
                _ = ending.changed() => true,
            };
            if over {
                queue.close();
            }
            self.send(std::mem::take(&mut batch)).await;
        }
    }

    async fn send(&self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        let sent = self.otlp.export(batch).await;
        let refused = self.refused.swap(0, Ordering::Relaxed).min(count);
        let (exported, trouble) = match sent {
            Ok(()) if refused == 0 => (count, None),
            Ok(()) => (count - refused, Some("it refuses some of them".to_owned())),
            Err(error) => (0, Some(error.to_string())),
        };
        self.metrics.spans_exported.fetch_add(exported, Ordering::Relaxed);
        self.metrics.spans_dropped.fetch_add(count - exported, Ordering::Relaxed);
        let told = self.told.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(why) if !told => {
                log::error("traces", &format!("the collector does not take spans, which are dropped: {why}"));
            }
            None if told => log::event("traces", json!({ "state": "the collector takes spans again" })),
            _ => {}
        }
    }
}

/// Posts to the collector; answers are bounded.
#[derive(Debug)]
struct Post {
    client: reqwest::Client,
    refused: Arc<AtomicU64>,
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Post {
    fn send_bytes<'own, 'all>(&'own self, request: Request<Bytes>) -> Answer<'all>
    where
        'own: 'all,
        Self: 'all,
    {
        Box::pin(async move {
            let mut answer = self.client.execute(request.try_into()?).await?;
            let mut body = Vec::new();
            while let Some(part) = answer.chunk().await? {
                body.extend_from_slice(&part);
                if body.len() > LONGEST_ANSWER {
                    return Err(ResponseBodyTooLarge::new().into());
                }
            }
            let body = Bytes::from(body);
            if answer.status().is_success() {
                self.refused.store(refused(&body), Ordering::Relaxed);
            }
            let mut response = Response::builder().status(answer.status()).body(body)?;
            std::mem::swap(response.headers_mut(), answer.headers_mut());
            Ok(response)
        })
    }
}

/// How many spans a collector refused of those that it took (OTLP 1.x, "Partial Success").
fn refused(body: &[u8]) -> u64 {
    let partly = ExportTraceServiceResponse::decode(body).ok().and_then(|answer| answer.partial_success);
    partly.and_then(|partly| u64::try_from(partly.rejected_spans).ok()).unwrap_or(0)
}
