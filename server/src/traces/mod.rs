//! Traces: what a request or a job took its time for, told to a collector of OpenTelemetry.
//!
//! ```text
//! request ── sampled? ──► Span: current for what it does ──► its children, on other tasks and threads by their Place
//!                            │ dropped                                      │
//!                            └──────────────► queue ──► collector ◄─────────┘
//! ```
//!
//! Spans hold patterns, numbers, states and counts: nothing that a caller wrote, and no name, path, token or message. Where nothing is
//! set, and for what is not sampled, a [`Span`] is empty and costs nothing.

mod context;
mod export;
mod settings;

use std::sync::{Arc, OnceLock};

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::{SpanBuilder, SpanContext, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

pub use opentelemetry::trace::SpanKind as Kind;

pub use self::context::Origin;
pub use self::export::Export;
pub use self::settings::Settings;
use crate::metrics::Metrics;

/// What begins spans, once there is a collector.
struct Source {
    tracer: SdkTracer,
    /// Whether a trace that a caller does not keep is not kept here.
    follows: bool,
}

static SOURCE: OnceLock<Source> = OnceLock::new();

/// Begins to trace; once in a process.
///
/// # Errors
/// What cannot be set up, in words for the operator.
pub fn start(settings: &Settings, metrics: Arc<Metrics>) -> Result<Export, String> {
    let (provider, export) = Export::start(settings, metrics)?;
    let source = Source { tracer: provider.tracer("vignette"), follows: settings.sampling.follows };
    SOURCE.set(source).map_err(|_| "traces: they are exported already".to_owned())?;
    Ok(export)
}

/// Whether anything is traced.
pub fn is_on() -> bool {
    SOURCE.get().is_some()
}

/// A stretch of work in a trace, which ends when this is dropped. Empty when nothing is traced.
#[derive(Default)]
pub struct Span(Place);

/// Where in a trace work is done, for those who do it elsewhere. Empty when nothing is traced.
#[derive(Clone, Default)]
pub struct Place(Option<Context>);

/// Where the current thread's work belongs to.
pub fn here() -> Place {
    match is_on() {
        true => Place(Some(Context::current())),
        false => Place(None),
    }
}

/// The same work, to be done on another thread and still for whom it is done here.
pub fn carry<R>(work: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let place = here();
    move || place.within(work)
}

/// The same work, to be done by another task and still for whom it is done here.
pub fn along<F: Future>(work: F) -> impl Future<Output = F::Output> {
    work.with_current_context()
}

/// The span of a request. Empty when it is not sampled, unless it may ask for work that is done later and then is not sampled either.
pub fn request(method: &Method, headers: &HeaderMap) -> Span {
    let Some(source) = SOURCE.get() else { return Span::default() };
    let parent = context::of_request(headers);
    let asks_for_work = method == Method::POST;
    if source.follows && !asks_for_work && parent.as_ref().is_some_and(|parent| !parent.is_sampled()) {
        return Span::default();
    }
    let under = match parent {
        Some(parent) => Context::new().with_remote_span_context(parent),
        None => Context::new(),
    };
    let builder = SpanBuilder::from_name(name_of(method)).with_kind(Kind::Server);
    let span = source.tracer.build_with_context(builder, &under);
    match asks_for_work || opentelemetry::trace::Span::is_recording(&span) {
        true => Span(Place(Some(Context::new().with_span(span)))),
        false => Span::default(),
    }
}

/// A method as the semantic conventions have it (HTTP spans, `http.request.method`): any other word is a caller's own.
pub fn name_of(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

impl Span {
    /// A part of what the current thread works on.
    pub fn begin(name: &'static str) -> Span {
        match SOURCE.get() {
            Some(source) => Context::map_current(|current| child(source, name, current)),
            None => Span::default(),
        }
    }

    /// What was asked for at `origin`, in its trace; a trace of its own where that is not known.
    pub fn after(origin: Option<&Origin>, name: &'static str, kind: Kind) -> Span {
        let Some(source) = SOURCE.get() else { return Span::default() };
        let under = match origin.and_then(Origin::span) {
            Some(parent) => Context::new().with_remote_span_context(parent),
            None => Context::new(),
        };
        let span = source.tracer.build_with_context(SpanBuilder::from_name(name).with_kind(kind), &under);
        Span(Place(Some(Context::new().with_span(span))))
    }

    /// One of many that were asked for at `origin`, in a trace of its own that tells of that one.
    pub fn one_of_many(origin: Option<&Origin>, name: &'static str) -> Span {
        let span = Span::after(None, name, Kind::Consumer);
        if let (Some(own), Some(asked)) = (span.0.sampled(), origin.and_then(Origin::span))
            && asked.is_sampled()
        {
            own.span().add_link(asked, Vec::new());
        }
        span
    }

    /// Whether it is told to the collector.
    pub fn is_sampled(&self) -> bool {
        self.0.sampled().is_some()
    }

    /// The trace's id, when it is told to the collector.
    pub fn trace(&self) -> Option<String> {
        self.0.sampled().map(|context| context.span().span_context().trace_id().to_string())
    }

    /// Names it anew.
    pub fn rename(&self, name: String) {
        if let Some(context) = self.0.sampled() {
            context.span().update_name(name);
        }
    }

    /// Notes a number, a state or a pattern; each name once.
    pub fn set(&self, name: &'static str, value: impl Into<Value>) {
        self.0.set(name, value);
    }

    /// Says that it failed, and by which code.
    pub fn fail(&self, code: impl Into<Value>) {
        if let Some(context) = self.0.sampled() {
            let span = context.span();
            span.set_attribute(KeyValue::new("error.type", code));
            span.set_status(Status::error(""));
        }
    }

    /// Where its parts belong to.
    pub fn place(&self) -> Place {
        self.0.clone()
    }

    /// The same, as it is kept with a request.
    pub fn origin(&self) -> Option<Origin> {
        self.0.origin()
    }

    /// Work that is done in it.
    pub fn along<F: Future>(&self, work: F) -> impl Future<Output = F::Output> {
        work.with_context(self.0.0.clone().unwrap_or_else(Context::current))
    }

    /// Tells whoever the current thread works for that she waits for this, which is done for another one.
    pub fn is_waited_for_here(&self) {
        let Some(own) = self.0.sampled() else { return };
        Context::map_current(|current| {
            let (own, waiting) = (own.span(), current.span());
            let (own, other) = (own.span_context(), waiting.span_context());
            if other.is_sampled() && other.trace_id() != own.trace_id() {
                waiting.add_link(own.clone(), Vec::new());
            }
        });
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // Others may still hold its place.
        if let Some(context) = &self.0.0 {
            context.span().end();
        }
    }
}

impl Place {
    /// A part of what is done here.
    pub fn begin(&self, name: &'static str) -> Span {
        match (SOURCE.get(), &self.0) {
            (Some(source), Some(context)) => child(source, name, context),
            _ => Span::default(),
        }
    }

    /// As [`Span::set`], of the span that this is in.
    pub fn set(&self, name: &'static str, value: impl Into<Value>) {
        if let Some(context) = self.sampled() {
            context.span().set_attribute(KeyValue::new(name, value));
        }
    }

    /// As it is kept with a request.
    pub fn origin(&self) -> Option<Origin> {
        Origin::of(self.0.as_ref()?.span().span_context())
    }

    fn within<R>(self, work: impl FnOnce() -> R) -> R {
        let _attached = self.0.map(Context::attach);
        work()
    }

    fn sampled(&self) -> Option<&Context> {
        self.0.as_ref().filter(|context| context.span().span_context().is_sampled())
    }
}

fn child(source: &Source, name: &'static str, parent: &Context) -> Span {
    if !parent.span().span_context().is_sampled() {
        return Span::default();
    }
    let span = source.tracer.build_with_context(SpanBuilder::from_name(name), parent);
    let context: &SpanContext = opentelemetry::trace::Span::span_context(&span);
    match context.is_sampled() {
        true => Span(Place(Some(Context::new().with_span(span)))),
        false => Span::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::time::Instant;

    use super::*;

    /// What a request costs that is not kept, on the hot path: begun, one part that is begun in it, and one look for the log.
    fn nanoseconds(headers: &HeaderMap) -> f64 {
        const TIMES: u32 = 1_000_000;
        let started = Instant::now();
        for _ in 0..TIMES {
            let span = request(black_box(&Method::GET), black_box(headers));
            let part = Span::begin("part");
            black_box((span.trace(), part.is_sampled()));
        }
        started.elapsed().as_nanos() as f64 / f64::from(TIMES)
    }

    #[test]
    #[ignore = "measures, and traces the whole process"]
    fn how_long_it_takes() {
        let mut follows = HeaderMap::new();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let name = actix_web::http::header::HeaderName::from_static("traceparent");
        follows.insert(name, actix_web::http::header::HeaderValue::from_static(parent));
        println!("off: {:.0} ns a request", nanoseconds(&HeaderMap::new()));
        let ratio = |name: &str| match name {
            "OTEL_TRACES_SAMPLER" => Some("parentbased_traceidratio".to_owned()),
            "OTEL_TRACES_SAMPLER_ARG" => Some("0.000000001".to_owned()),
            _ => None,
        };
        let settings = Settings::read(Some("http://127.0.0.1:9"), &ratio).unwrap().unwrap();
        actix_web::rt::System::new().block_on(async {
            let export = start(&settings, Arc::default()).unwrap();
            println!("on, not kept: {:.0} ns a request", nanoseconds(&HeaderMap::new()));
            println!("on, not kept by its caller: {:.0} ns a request", nanoseconds(&follows));
            export.finish().await;
        });
    }
}
