//! Figures for Prometheus, in its text format 0.0.4. No label tells of a viewer or a tenant.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the service counts since it started.
#[derive(Default)]
pub struct Metrics {
    /// Segments and sounds that were composed and encoded.
    pub new: AtomicU64,
    /// Segments and sounds that the store had.
    pub reused: AtomicU64,
    /// Frames that were encoded.
    pub frames: AtomicU64,
    /// Microseconds that making took, of all cores together.
    pub busy_micros: AtomicU64,
    /// Videos that were filled and planned.
    pub filled: AtomicU64,
    /// Render jobs that were done.
    pub jobs_done: AtomicU64,
    /// Render jobs that failed.
    pub jobs_failed: AtomicU64,
    /// Webhooks that were received.
    pub webhooks_delivered: AtomicU64,
    /// Webhooks that were not.
    pub webhooks_failed: AtomicU64,
    /// Spans that the collector of traces took.
    pub spans_exported: AtomicU64,
    /// Spans that it did not take, or for which there was no room.
    pub spans_dropped: AtomicU64,
    /// Requests that were answered, by the first digit of their status, from 1.
    pub requests: [AtomicU64; 5],
    /// From the request for a video's first segment to its bytes.
    pub first_segment: Histogram,
}

/// How often something took how long.
#[derive(Default)]
pub struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// Upper bounds of the histogram's buckets in milliseconds.
const BOUNDS: [u64; 11] = [5, 10, 15, 25, 50, 100, 250, 500, 1000, 2500, 5000];

impl Histogram {
    /// Counts one.
    pub fn observe(&self, took: Duration) {
        let bucket =
            BOUNDS.iter().position(|bound| took.as_millis() < u128::from(*bound)).unwrap_or(BOUNDS.len());
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn write(&self, text: &mut String, name: &str, help: &str) {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
        let mut total = 0;
        for (count, bound) in self.counts.iter().zip(BOUNDS.iter().map(Some).chain([None])) {
            total += count.load(Ordering::Relaxed);
            let bound =
                bound.map_or_else(|| "+Inf".to_owned(), |bound| format!("{}", *bound as f64 / 1000.0));
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {total}");
        }
        let sum = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(text, "{name}_sum {sum}\n{name}_count {total}");
    }
}

impl Metrics {
    /// A segment or sound was made.
    pub fn made(&self, frames: u32, took: Duration) {
        self.new.fetch_add(1, Ordering::Relaxed);
        self.frames.fetch_add(u64::from(frames), Ordering::Relaxed);
        self.busy_micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(0), Ordering::Relaxed);
    }

    /// A request was answered with this status.
    pub fn answered(&self, status: u16) {
        if let Some(count) = self.requests.get(usize::from(status / 100).saturating_sub(1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Everything, with `gauges` (name, what it tells, value) of the moment.
    pub fn text(&self, gauges: &[(&str, &str, u64)]) -> String {
        let mut text = String::new();
        let counters = [
            ("vignette_pieces_made_total", "Segments and sounds that were composed and encoded.", &self.new),
            ("vignette_pieces_reused_total", "Segments and sounds that the store had.", &self.reused),
            ("vignette_frames_encoded_total", "Frames that were encoded.", &self.frames),
            ("vignette_videos_filled_total", "Videos that were filled and planned.", &self.filled),
            ("vignette_renders_done_total", "Render jobs that were done.", &self.jobs_done),
            ("vignette_renders_failed_total", "Render jobs that failed.", &self.jobs_failed),
            ("vignette_webhooks_delivered_total", "Webhooks that were received.", &self.webhooks_delivered),
            ("vignette_webhooks_failed_total", "Webhooks that were given up.", &self.webhooks_failed),
            ("vignette_spans_exported_total", "Spans that the collector took.", &self.spans_exported),
            ("vignette_spans_dropped_total", "Spans that it did not take.", &self.spans_dropped),
        ];
        for (name, help, value) in counters {
            let value = value.load(Ordering::Relaxed);
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
        }
        let busy = self.busy_micros.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(
            text,
            "# HELP vignette_making_seconds_total Seconds that making pieces took, of all cores.\n\
             # TYPE vignette_making_seconds_total counter\nvignette_making_seconds_total {busy}"
        );
        let frames = self.frames.load(Ordering::Relaxed) as f64;
        let rate = if busy > 0.0 { frames / busy } else { 0.0 };
        let _ = writeln!(
            text,
            "# HELP vignette_encode_fps Frames that one core makes in a second, over all so far.\n\
             # TYPE vignette_encode_fps gauge\nvignette_encode_fps {rate:.1}\n\
             # HELP vignette_requests_total Requests that were answered.\n# TYPE vignette_requests_total counter"
        );
        for (first, count) in (1..).zip(&self.requests) {
            let count = count.load(Ordering::Relaxed);
            let _ = writeln!(text, "vignette_requests_total{{status=\"{first}xx\"}} {count}");
        }
        self.first_segment.write(
            &mut text,
            "vignette_first_segment_seconds",
            "From the request for a video's first segment to its bytes.",
        );
        for (name, help, value) in gauges {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        }
        text
    }
}
