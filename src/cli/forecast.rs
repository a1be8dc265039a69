//! `vignette forecast`: what a batch would come to.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle as BarStyle};
use serde_json::{Value, json};
use vignette::audience::Audience;
use vignette::forecast::{
    Cost, Forecast, ForecastOptions, Range, Segments, Voices, Watch, WorstRow, forecast,
};
use vignette::renderer::encode::VideoProfile;
use vignette::{Engine, Error};

use super::args::{parse_set, parse_workers};
use super::report::tell;
use super::{INTERRUPTED, Stop, interrupt, is_watched, print_json, say};

/// What may be typed behind `vignette forecast`.
#[derive(Args)]
pub(super) struct ForecastArguments {
    /// The template: a folder with template.yaml, or the file itself
    template: PathBuf,
    /// The viewers, one a row: a .csv, .jsonl, .ndjson or .parquet file
    #[arg(long, value_name = "FILE")]
    audience: PathBuf,
    /// Only so many rows from the first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Another size that the template knows
    #[arg(long, value_name = "NAME")]
    rendition: Option<String>,
    /// Constant rate factor of x264: 1 is best, 50 smallest
    #[arg(long, value_name = "CRF", default_value_t = VideoProfile::DEFAULT_QUALITY,
          value_parser = clap::value_parser!(u8).range(1..=50))]
    quality: u8,
    /// Rows that are planned at a time; one for each core when left out
    #[arg(long, value_name = "N", value_parser = parse_workers)]
    workers: Option<usize>,
    /// Segments of each kind that are rendered to learn what they cost; 0 renders nothing
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=20))]
    samples: u8,
    /// Estimates how long voices speak even where scenes last as long as they do
    #[arg(long)]
    estimate_voices: bool,
    /// Sets one value of every row's data, read as the type that the template gives it
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_set)]
    set: Vec<(String, String)>,
    /// Another folder in which files that the data name are looked for
    #[arg(long, value_name = "DIR")]
    assets: Vec<PathBuf>,
    /// Prints the forecast as JSON
    #[arg(long)]
    json: bool,
}

/// Says what a batch would come to. Rows that fail are part of the answer and no failure of this command.
pub(super) fn run(arguments: ForecastArguments) -> Result<(), Stop> {
    let ForecastArguments {
        template,
        audience,
        limit,
        rendition,
        quality,
        workers,
        samples,
        estimate_voices,
        set,
        assets,
        json,
    } = arguments;
    ctrlc::set_handler(interrupt)
        .map_err(|error| Error::Input(format!("cannot watch for interrupts: {error}")))?;
    let engine = Engine::new()?;
    let opened = engine.open(&template, &assets)?;
    for warning in &opened.warnings {
        tell(false, "warning", &warning.to_string());
    }
    let viewers = Audience::open(&audience)?;
    let defaults = ForecastOptions::default();
    let options = ForecastOptions {
        rendition,
        quality,
        set,
        limit,
        workers: workers.unwrap_or(defaults.workers),
        samples: usize::from(samples),
        estimate_voices,
        max_segments: defaults.max_segments,
    };
    let reporter =
        Reporter::new(|| viewers.count().ok().map(|rows| limit.map_or(rows, |limit| rows.min(limit))));
    let found = forecast(&engine, &opened.value, &viewers, &options, &reporter)?;
    reporter.end();
    let Some(found) = found else {
        tell(false, "error", "interrupted");
        return Err(Stop::Machine);
    };
    if json {
        return print_json(&as_json(&found));
    }
    say(&as_text(&found))
}

/// A bar for people who wait.
struct Reporter(Option<ProgressBar>);

impl Reporter {
    fn new(rows: impl FnOnce() -> Option<u64>) -> Self {
        Reporter(is_watched().then(|| {
            let bar = rows().map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            if let Ok(style) = BarStyle::with_template("[{bar:28}] {pos}/{len} rows  {msg}  {eta} left") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message("planning");
            bar
        }))
    }

    fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Reporter {
    fn progress(&self, rows: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(rows);
        }
    }

    fn calibrating(&self) {
        if let Some(bar) = &self.0 {
            bar.set_message("rendering a few segments");
        }
    }

    fn cancelled(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}

pub(super) fn as_json(forecast: &Forecast) -> Value {
    let segments = |segments: &Segments| {
        let Segments { distinct, frames, frames_watched } = segments;
        json!({ "distinct": distinct, "frames": frames, "frames_watched": frames_watched })
    };
    let range = |range: &Range| json!({ "low": range.low, "mean": range.mean, "high": range.high });
    let cost = forecast.cost.as_ref().map(|cost| {
        json!({
            "segments_measured": cost.measured.0,
            "viewers_measured": cost.measured.1,
            "cpu_seconds_per_shared_frame": range(&cost.shared_frame),
            "cpu_seconds_per_single_frame": range(&cost.single_frame),
            "cpu_seconds_per_viewer": range(&cost.viewer),
            "bytes_per_shared_frame": range(&cost.shared_frame_bytes),
            "bytes_per_single_frame": range(&cost.single_frame_bytes),
            "bytes_per_second_of_sound": range(&cost.sound_bytes),
            "cpu_seconds": range(&cost.cpu),
            "bytes_kept": range(&cost.bytes_kept),
            "bytes_as_files": range(&cost.bytes_as_files),
        })
    });
    json!({
        "rows": forecast.rows,
        "viewers": forecast.viewers,
        "failed": forecast.failed,
        "cut_short": forecast.cut_short,
        "seconds_watched": forecast.seconds_watched,
        "frames_watched": forecast.frames_watched(),
        "distinct_segments": forecast.distinct(),
        "frames_to_encode": forecast.frames_to_encode(),
        "reuse": forecast.reuse(),
        "shared": segments(&forecast.shared),
        "single": segments(&forecast.single),
        "voices": match forecast.voices {
            Voices::None => "none",
            Voices::NotNeeded => "not needed",
            Voices::Estimated => "estimated",
            Voices::Spoken => "spoken",
        },
        "pictures_by_request": forecast.pictures_by_request,
        "cost": cost,
        "uncalibrated": forecast.uncalibrated,
        "faults": forecast
            .faults
            .iter()
            .map(|group| json!({ "pattern": group.pattern, "rows": group.rows, "first": group.first }))
            .collect::<Vec<_>>(),
        "worst": forecast.worst.iter().map(worst_as_json).collect::<Vec<_>>(),
        "took_seconds": forecast.took.as_secs_f64(),
    })
}

fn worst_as_json(worst: &WorstRow) -> Value {
    let WorstRow { row, path, missing, cut, share, characters } = worst;
    json!({
        "row": row,
        "path": path,
        "missing": missing.iter().map(|c| format!("U+{:04X}", u32::from(*c))).collect::<Vec<_>>(),
        "cut": cut,
        "size_share": share,
        "characters": characters,
    })
}

fn as_text(forecast: &Forecast) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, text: String| lines.push(format!("{name:<20}{text}"));
    let failing = match forecast.failed {
        0 => String::new(),
        failed => format!(", and {} that fail", rows(failed)),
    };
    line("viewers", format!("{}{failing}", grouped(forecast.viewers)));
    let about = if forecast.voices == Voices::Estimated { "about " } else { "" };
    line(
        "watched",
        format!(
            "{about}{}, {} frames",
            duration(forecast.seconds_watched),
            grouped(forecast.frames_watched())
        ),
    );
    line(
        "distinct segments",
        format!(
            "{about}{}: {} watched more than once, {} once",
            grouped(forecast.distinct()),
            grouped(forecast.shared.distinct),
            grouped(forecast.single.distinct)
        ),
    );
    line(
        "to encode",
        format!(
            "{about}{} frames; each is watched {:.2} times",
            grouped(forecast.frames_to_encode()),
            forecast.reuse()
        ),
    );
    match &forecast.cost {
        Some(cost) => cost_lines(cost, &mut line),
        None => {
            if let Some(reason) = &forecast.uncalibrated {
                line("cost", format!("unknown, as nothing could be rendered: {reason}"));
            }
        }
    }
    match forecast.voices {
        Voices::None | Voices::Spoken => {}
        Voices::NotNeeded => line("voices", "not spoken: no frame depends on them".into()),
        Voices::Estimated => {
            line("voices", "not spoken: scenes that last as long as they do are estimates".into());
        }
    }
    if forecast.pictures_by_request {
        line("pictures", "not generated: counted by what is asked for".into());
    }
    let per_minute = forecast.rows as f64 / forecast.took.as_secs_f64().max(1e-3) * 60.0;
    line("planned", format!("in {}, {} a minute", brief(forecast.took), rows(per_minute.round() as u64)));
    if forecast.cut_short {
        lines.push(format!(
            "These are the first {} only: no more distinct segments are told apart. Forecast a part with --limit.",
            rows(forecast.rows)
        ));
    }
    if !forecast.faults.is_empty() {
        lines.push("\nrows that fail".to_owned());
        for group in &forecast.faults {
            let first: Vec<String> = group.first.iter().map(u64::to_string).collect();
            let more = if group.rows > group.first.len() as u64 { ", …" } else { "" };
            lines.push(format!(
                "  {:>9}  {}  (row {}{more})",
                grouped(group.rows),
                group.pattern,
                first.join(", ")
            ));
        }
    }
    if !forecast.worst.is_empty() {
        lines.push("\nrows to look at first".to_owned());
        lines.extend(forecast.worst.iter().map(worst_as_text));
    }
    lines.join("\n")
}

fn cost_lines(cost: &Cost, line: &mut impl FnMut(&str, String)) {
    let spread = |range: &Range, show: &dyn Fn(f64) -> String| {
        format!("{} ({} to {})", show(range.mean), show(range.low), show(range.high))
    };
    line("CPU time", spread(&cost.cpu, &duration));
    line("to keep", format!("{} in segments and sound", spread(&cost.bytes_kept, &bytes)));
    line("as files", format!("{}, one for each viewer", spread(&cost.bytes_as_files, &bytes)));
    let milliseconds = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
    let (segments, viewers) = cost.measured;
    line(
        "",
        format!(
            "estimated from {segments} segments and {viewers} {}, lowest to highest in brackets:",
            if viewers == 1 { "viewer" } else { "viewers" }
        ),
    );
    for (name, time, size) in [
        ("of a segment watched more than once", &cost.shared_frame, &cost.shared_frame_bytes),
        ("of a segment watched once", &cost.single_frame, &cost.single_frame_bytes),
    ] {
        if time.mean > 0.0 {
            line("", format!("a frame {name} {}, {}", spread(time, &milliseconds), spread(size, &bytes)));
        }
    }
    line("", format!("a viewer besides {}", spread(&cost.viewer, &milliseconds)));
}

fn worst_as_text(worst: &WorstRow) -> String {
    let WorstRow { row, path, missing, cut, share, characters } = worst;
    let mut said = Vec::new();
    if !missing.is_empty() {
        let list: Vec<String> = missing.iter().take(4).map(|c| format!("U+{:04X}", u32::from(*c))).collect();
        let more = if missing.len() > 4 { ", …" } else { "" };
        said.push(format!("no font has {}{more}", list.join(", ")));
    }
    if *cut {
        said.push("does not fit its box".to_owned());
    }
    if *share < 0.999 {
        said.push(format!("at {:.0} % of its size", share * 100.0));
    }
    said.push(format!("{characters} characters"));
    format!("  row {row:<9} {path}: {}", said.join(", "))
}

/// A number of rows with its noun.
fn rows(count: u64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "row" } else { "rows" })
}

/// A number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds as people say them, in the two largest units that say something.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..172_800 => format!("{} h {} min", whole / 3600, whole / 60 % 60),
        _ => format!("{} days {} h", grouped(whole / 86_400), whole / 3600 % 24),
    }
}

fn brief(time: Duration) -> String {
    duration(time.as_secs_f64())
}

fn bytes(count: f64) -> String {
    match count {
        count if count < 1e3 => format!("{count:.0} B"),
        count if count < 1e6 => format!("{:.1} kB", count / 1e3),
        count if count < 1e9 => format!("{:.1} MB", count / 1e6),
        count if count < 1e12 => format!("{:.1} GB", count / 1e9),
        count => format!("{:.1} TB", count / 1e12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (seconds, text) in
            [(0.54, "0.5 s"), (61.0, "1 min 1 s"), (7_260.0, "2 h 1 min"), (300_000.0, "3 days 11 h")]
        {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!((bytes(12.0), bytes(1.5e9)), ("12 B".to_owned(), "1.5 GB".to_owned()));
    }
}
