//! W3C Trace Context (W3C Recommendation, 23 November 2021): the headers `traceparent` and `tracestate`.
//!
//! Read strictly, as section 3.2 says: one that is malformed is ignored, and a new trace begins. `tracestate` is what other systems
//! noted; it is passed on whole, or not at all where it is malformed or beyond its bounds.

use std::str::FromStr;

use actix_web::http::header::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use serde::{Deserialize, Serialize};

/// The name of the header that says to which trace a request belongs.
pub const TRACEPARENT: &str = "traceparent";
/// The name of the header with what other systems noted of that trace.
pub const TRACESTATE: &str = "tracestate";

/// The longest `tracestate` that is passed on, in bytes: as much as section 3.3.1.5 asks for.
const LONGEST_STATE: usize = 512;
/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// Where in a trace something was asked for, as it is kept with what was asked.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Origin {
    /// As `traceparent` has it.
    parent: String,
    /// As `tracestate` has it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    state: String,
}

impl Origin {
    /// That of a span; `None` where there is no trace.
    pub fn of(span: &SpanContext) -> Option<Origin> {
        span.is_valid().then(|| Origin { parent: traceparent(span), state: span.trace_state().header() })
    }

    /// The span, which another request or process began.
    pub fn span(&self) -> Option<SpanContext> {
        parse(&self.parent, &self.state)
    }

    /// The headers that lead on from here.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [(TRACEPARENT, self.parent.as_str()), (TRACESTATE, self.state.as_str())];
        all.into_iter().filter(|(_, value)| !value.is_empty())
    }
}

/// The span that a request says it was sent in.
pub fn of_request(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parents = headers.get_all(TRACEPARENT);
    let parent = parents.next()?.to_str().ok()?;
    // Two of them are none.
    if parents.next().is_some() {
        return None;
    }
    let mut states = headers.get_all(TRACESTATE).map(|state| state.to_str().unwrap_or_default());
    match (states.next(), states.next()) {
        (first, None) => parse(parent, first.unwrap_or_default()),
        // Several lines are one list (RFC 9110, section 5.3).
        (first, second) => {
            let all: Vec<&str> = first.into_iter().chain(second).chain(states).collect();
            parse(parent, &all.join(","))
        }
    }
}

/// A `traceparent` of any version that there may be; what later versions add behind the flags is left aside.
fn parse(parent: &str, state: &str) -> Option<SpanContext> {
    let bytes = parent.as_bytes();
    let hex = |from: usize, to: usize| {
        let part = parent.get(from..to)?;
        part.bytes().all(|sign| matches!(sign, b'0'..=b'9' | b'a'..=b'f')).then_some(part)
    };
    let version = hex(0, 2)?;
    let dashes = [2, 35, 52].into_iter().all(|at| bytes.get(at) == Some(&b'-'));
    let ends = bytes.len() == LENGTH || (version != "00" && bytes.get(LENGTH) == Some(&b'-'));
    if version == "ff" || !dashes || !ends {
        return None;
    }
    let trace = TraceId::from_hex(hex(3, 35)?).ok()?;
    let span = SpanId::from_hex(hex(36, 52)?).ok()?;
    let flags = u8::from_str_radix(hex(53, LENGTH)?, 16).ok()?;
    let state = match state.len() {
        1..=LONGEST_STATE => TraceState::from_str(state).unwrap_or_default(),
        _ => TraceState::NONE,
    };
    let sampled = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    Some(SpanContext::new(trace, span, sampled, true, state)).filter(SpanContext::is_valid)
}

fn traceparent(span: &SpanContext) -> String {
    let flags = span.trace_flags() & TraceFlags::SAMPLED;
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn parents_are_read_strictly() {
        for (text, sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-03"), true),
            (format!("00-{TRACE}-{SPAN}-02"), false),
            (format!("cc-{TRACE}-{SPAN}-01"), true),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes-later"), true),
        ] {
            let span = parse(&text, "").unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (span.trace_id().to_string(), span.span_id().to_string()),
                (TRACE.into(), SPAN.into())
            );
            assert_eq!((span.is_sampled(), span.is_remote()), (sampled, true), "{text}");
        }
        for text in [
            String::new(),
            "00".into(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-011"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("cc-{TRACE}-{SPAN}-01more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0x-{TRACE}-{SPAN}-01"),
            format!("+0-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{TRACE}-{SPAN}-0A"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{}é-{SPAN}-01", &TRACE[2..]),
            format!(" 00-{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(parse(&text, ""), None, "{text}");
        }
    }

    #[test]
    fn states_are_passed_on_whole_or_not_at_all() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let longest = format!("a={},b={}", "x".repeat(256), "y".repeat(LONGEST_STATE - 256 - 5));
        for (state, kept) in [
            ("", ""),
            ("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
            ("congo=1, ,\trojo=2", "congo=1,rojo=2"),
            (&longest, &longest),
            (&format!("{longest}z"), ""),
            ("Congo=1", ""),
            ("congo", ""),
            ("congo=1=2", ""),
        ] {
            let origin = Origin::of(&parse(&parent, state).unwrap()).unwrap();
            assert_eq!((origin.parent.as_str(), origin.state.as_str()), (parent.as_str(), kept), "{state}");
            let text = serde_json::to_string(&origin).unwrap();
            assert_eq!(serde_json::from_str::<Origin>(&text).unwrap(), origin);
            assert_eq!(origin.headers().count(), 1 + usize::from(!kept.is_empty()));
        }
        assert_eq!(Origin::of(&SpanContext::empty_context()), None);
    }

    #[test]
    fn requests_say_it_once() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let of = |lines: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
            }
            of_request(&headers)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(TRACESTATE, "a=1")]), None);
        assert_eq!(of(&[(TRACEPARENT, &parent), (TRACEPARENT, &parent)]), None);
        let several =
            of(&[(TRACEPARENT, &parent), (TRACESTATE, "a=1"), (TRACESTATE, "b=2"), (TRACESTATE, "c=3")]);
        assert_eq!(several.unwrap().trace_state().header(), "a=1,b=2,c=3");
    }
}
