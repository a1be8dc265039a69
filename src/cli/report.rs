//! How a render's progress and end are told: a bar for people, JSON lines for programs.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle as BarStyle};
use serde_json::json;
use vignette::output::Written;
use vignette::renderer::encode::EncoderId;
use vignette::renderer::render::{Observer, Progress};
use vignette::templates::fault::Faults;
use vignette::templates::video::Video;

use super::args::ProgressStyle;
use super::{complain, is_watched, say};

/// The shortest time between two JSON lines.
const STEADY: Duration = Duration::from_millis(250);

pub(super) struct Reporter {
    bar: Option<ProgressBar>,
    json: bool,
    last: Mutex<Option<Instant>>,
    interrupted: &'static AtomicBool,
}

impl Reporter {
    pub(super) fn new(style: ProgressStyle, interrupted: &'static AtomicBool) -> Self {
        let watched = style == ProgressStyle::Auto && is_watched();
        let bar = watched.then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Reporter { bar, json: style == ProgressStyle::Json, last: Mutex::new(None), interrupted }
    }

    /// A warning or an error. A bar makes room for it, or the two would be drawn over each other.
    pub(super) fn tell(&self, kind: &str, message: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| tell(self.json, kind, message)),
            None => tell(self.json, kind, message),
        }
    }

    /// Something other than frames is being done.
    pub(super) fn stage(&self, name: &'static str) {
        if let Some(bar) = &self.bar {
            bar.set_message(name);
        }
        if self.json {
            complain(&json!({ "event": "stage", "stage": name }).to_string());
        }
    }

    /// Frames begin.
    pub(super) fn begin(&self, frames: u32) {
        if let Some(bar) = &self.bar {
            bar.set_length(u64::from(frames));
            bar.set_message("rendering");
            // What follows the colon of a key is a colour or a width, so rounding needs its own key.
            fn speed(state: &ProgressState, out: &mut dyn std::fmt::Write) {
                let _ = write!(out, "{:.0}", state.per_sec());
            }
            if let Ok(style) =
                BarStyle::with_template("{msg} [{bar:32}] {pos}/{len} frames  {fps} frames/s  {eta} left")
            {
                bar.set_style(style.with_key("fps", speed).progress_chars("=> "));
            }
        }
        if self.json {
            complain(&json!({ "event": "stage", "stage": "rendering", "frames": frames }).to_string());
        }
    }

    /// The file is there.
    pub(super) fn finish(
        &self,
        out: &Path,
        video: &Video,
        made: &Written,
        encoder: Option<EncoderId>,
        took: Duration,
    ) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let seconds = video.duration().as_seconds();
        let times = seconds / took.as_secs_f64().max(1e-6);
        if self.json {
            let line = json!({
                "event": "done",
                "file": out,
                "seconds": seconds,
                "frames": video.frames(),
                "bytes": made.bytes,
                "codec": encoder.map(|encoder| encoder.codec().as_str()),
                "encoder": encoder,
                "segments_new": made.segments_new,
                "segments_reused": made.segments_reused,
                "took_seconds": took.as_secs_f64(),
                "times_real_time": times,
            });
            complain(&line.to_string());
            return;
        }
        // Quiet when piped is about progress; the one line about the result is the result.
        let _ = say(&match encoder {
            Some(encoder) => format!(
                "{}  {seconds:.3} s  {} by {encoder}  {}  {} of {} segments new  in {:.1} s  {times:.1}x real time",
                out.display(),
                encoder.codec(),
                bytes(made.bytes),
                made.segments_new,
                made.segments_new + made.segments_reused,
                took.as_secs_f64(),
            ),
            None => format!("{}  {}  in {:.1} s", out.display(), bytes(made.bytes), took.as_secs_f64()),
        });
    }
}

impl Observer for Reporter {
    fn progress(&self, progress: Progress) {
        if let Some(bar) = &self.bar {
            bar.set_position(u64::from(progress.done));
        }
        if self.json
            && let Ok(mut last) = self.last.lock()
        {
            let due = progress.done == progress.total || last.is_none_or(|last| last.elapsed() >= STEADY);
            if due {
                *last = Some(Instant::now());
                let share = f64::from(progress.done) / f64::from(progress.total.max(1));
                let line = json!({
                    "event": "progress",
                    "done": progress.done,
                    "total": progress.total,
                    "found": progress.found,
                    "share": (share * 1000.0).round() / 1000.0,
                });
                complain(&line.to_string());
            }
        }
    }

    fn cancelled(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// A warning or an error, by its `kind`: a line for people, or a JSON line for programs.
pub(super) fn tell(json: bool, kind: &str, message: &str) {
    if json {
        complain(&json!({ "event": kind, "message": message }).to_string());
    } else {
        complain(&format!("{kind}: {message}"));
    }
}

/// The faults that a command ends with.
pub(super) fn faults(json: bool, faults: &Faults) {
    let count = faults.len();
    let counted = format!("{count} {}", if count == 1 { "fault" } else { "faults" });
    if json {
        complain(&json!({ "event": "error", "message": counted, "faults": faults }).to_string());
    } else {
        complain(&format!("{faults}\n{counted}"));
    }
}

/// A length in bytes as people read it.
pub(super) fn bytes(length: u64) -> String {
    match length {
        0..1_000 => format!("{length} B"),
        1_000..1_000_000 => format!("{:.0} kB", length as f64 / 1e3),
        _ => format!("{:.2} MB", length as f64 / 1e6),
    }
}
