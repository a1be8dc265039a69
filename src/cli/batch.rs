//! `vignette batch`: a video for every row of an audience.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::args::{OutputArguments, ProgressStyle, StoreOptions, parse_set};
use super::generators::{GeneratorOptions, asked, tell_budgets, tell_usage, usage};
use super::receipt::KeyOptions;
use super::report::tell;
use super::{INTERRUPTED, Stop, complain, interrupt, is_watched, say};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle as BarStyle};
use serde_json::json;
use vignette::audience::Audience;
use vignette::batch::{self, BatchOptions, Counts, Ended, NamePattern, Summary, Watch};
use vignette::{Engine, Error};

/// What may be typed behind `vignette batch`.
#[derive(Args)]
pub(super) struct BatchArguments {
    /// The template: a folder with template.yaml, or the file itself
    template: PathBuf,
    /// The viewers, one a row: a .csv, .jsonl, .ndjson or .parquet file
    #[arg(long, value_name = "FILE")]
    audience: PathBuf,
    /// The folder for the videos and results.csv; made if it is missing
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
    /// How the files are called, without ending: Handlebars over the row's data and its number, `row`
    #[arg(long, value_name = "TEXT", value_parser = NamePattern::parse)]
    name: Option<NamePattern>,
    /// Writes beside each video what it was made of, without personal data: NAME.receipt.json
    #[arg(long)]
    receipts: bool,
    #[command(flatten)]
    key: KeyOptions,
    /// Goes on with the batch that was begun in the folder; rows that failed are tried again
    #[arg(long)]
    resume: bool,
    /// Only so many rows from the first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Another size that the template knows
    #[arg(long, value_name = "NAME")]
    rendition: Option<String>,
    /// Sets one value of every row's data, read as the type that the template gives it
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_set)]
    set: Vec<(String, String)>,
    /// Another folder in which files that the data name are looked for
    #[arg(long, value_name = "DIR")]
    assets: Vec<PathBuf>,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = ProgressStyle::Auto)]
    progress: ProgressStyle,
    #[command(flatten)]
    generators: GeneratorOptions,
    #[command(flatten)]
    store: StoreOptions,
}

impl BatchArguments {
    /// Whether programs read what is told.
    pub(super) fn is_json(&self) -> bool {
        self.progress == ProgressStyle::Json
    }
}

/// Renders all rows. Ends with 0 when all are done, 1 when some failed, 3 when this machine kept it from going on.
pub(super) fn run(arguments: BatchArguments) -> Result<(), Stop> {
    let json = arguments.is_json();
    let format = arguments.output.format.unwrap_or_default();
    let idle = arguments.output.idle(format);
    if !idle.is_empty() {
        let message = format!("{}: goes with another --format than {}", idle.join(", "), format.as_str());
        return Err(Stop::Usage(message));
    }
    let BatchArguments {
        template,
        audience,
        out,
        output,
        name,
        receipts,
        key,
        resume,
        limit,
        rendition,
        set,
        assets,
        progress,
        generators,
        store,
    } = arguments;
    ctrlc::set_handler(interrupt)
        .map_err(|error| Error::Input(format!("cannot watch for interrupts: {error}")))?;
    let stores = super::store::open(&store, &|kind, words| tell(json, kind, words));
    let engine = generators.engine()?.with_stores(stores);
    tell_budgets(&engine, json);
    let opened = engine.open(&template, &assets)?;
    for warning in &opened.warnings {
        tell(json, "warning", &warning.to_string());
    }
    let template = opened.value;
    let audience = Audience::open(&audience)?;
    let receipts = match receipts {
        true => Some(key.make(&|kind, words| tell(json, kind, words))?),
        false => None,
    };
    let output = output.options(format);
    let options = BatchOptions { rendition, output, name, set, limit, receipts, resume };
    let reporter = Reporter::new(progress, &engine);
    let summary = batch::run(&engine, &template, &audience, &out, &options, &reporter)?;
    summary.notes.iter().for_each(|note| tell(json, "warning", note));
    super::store::tell_troubles(engine.stores(), &|kind, words| tell(json, kind, words));
    tell_usage(&engine, json);
    reporter.finish(&summary);
    match summary.ended {
        None if summary.counts.failed == 0 => Ok(()),
        None => Err(Stop::Said),
        Some(Ended::Failed { error, .. }) if error.is_input_fault() => Err(Stop::Said),
        Some(_) => Err(Stop::Machine),
    }
}

/// The shortest time between two JSON lines.
const STEADY: Duration = Duration::from_millis(250);

/// Tells how far the batch has come.
struct Reporter<'a> {
    engine: &'a Engine,
    bar: Option<ProgressBar>,
    json: bool,
    begun: Instant,
    clock: Mutex<Clock>,
}

#[derive(Default)]
struct Clock {
    /// When the first row that an earlier run had not made was begun, as far as is known.
    worked: Option<Instant>,
    told: Option<Instant>,
    earlier: u64,
}

impl<'a> Reporter<'a> {
    fn new(style: ProgressStyle, engine: &'a Engine) -> Self {
        let watched = style == ProgressStyle::Auto && is_watched();
        let bar = watched.then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = BarStyle::with_template("[{bar:28}] {pos}/{len} rows  {msg}  {eta} left") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        let clock = Mutex::default();
        Reporter { engine, bar, json: style == ProgressStyle::Json, begun: Instant::now(), clock }
    }

    /// Says what came of it.
    fn finish(&self, summary: &Summary) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let counts = &summary.counts;
        let took = self.begun.elapsed().as_secs_f64();
        let so_far = format!("{} of {} rows are done", counts.done, counts.total);
        match &summary.ended {
            Some(Ended::Failed { row, error }) => {
                let place = row.map_or_else(String::new, |row| format!("row {row}: "));
                // An audience that was changed is another one, with which no batch goes on.
                let remedy = match error.is_input_fault() {
                    true => "",
                    false => "; when that is mended, go on with --resume",
                };
                let message =
                    format!("{place}{}; the batch ends here, {so_far}{remedy}", error.with_causes());
                tell(self.json, "error", &message);
            }
            Some(Ended::Cancelled) => {
                tell(self.json, "error", &format!("interrupted, {so_far}; go on with --resume"));
            }
            None => {}
        }
        if self.json {
            let mut line = figures(counts);
            line["event"] = json!("done");
            line["generators"] = usage(self.engine);
            line["results"] = json!(summary.results);
            line["took_seconds"] = json!(took);
            complain(&line.to_string());
            return;
        }
        let earlier = match counts.earlier {
            0 => String::new(),
            earlier => format!(" ({earlier} before)"),
        };
        let reused = match reused(counts) {
            Some(share) => format!("  {share:.0} % of segments reused"),
            None => String::new(),
        };
        // Quiet when piped is about progress; the one line about the result is the result.
        let _ = say(&format!(
            "{}  {} done{earlier}, {} failed, of {} rows  in {took:.1} s{reused}",
            summary.results.display(),
            counts.done,
            counts.failed,
            counts.total,
        ));
    }
}

impl Watch for Reporter<'_> {
    fn progress(&self, counts: &Counts) {
        let Ok(mut clock) = self.clock.lock() else { return };
        let now = Instant::now();
        let finished = counts.done + counts.failed;
        let new = finished - counts.earlier;
        // Rows that an earlier run had made say nothing about how fast rows are made.
        let skipped = counts.earlier != clock.earlier;
        if skipped || clock.worked.is_none() {
            clock.earlier = counts.earlier;
            clock.worked = Some(now);
        }
        let minutes = clock.worked.map_or(0.0, |worked| (now - worked).as_secs_f64() / 60.0);
        let rate = if minutes > 0.0 { new as f64 / minutes } else { 0.0 };
        if let Some(bar) = &self.bar {
            bar.set_length(counts.total);
            bar.set_position(finished);
            if skipped {
                bar.reset_eta();
            }
            let reused = reused(counts).map_or_else(String::new, |share| format!(", {share:.0} % reused"));
            let asked = asked(self.engine);
            bar.set_message(format!("{} failed, {rate:.1}/min{reused}{asked}", counts.failed));
        }
        let due = clock.told.is_none_or(|told| now - told >= STEADY) || finished == counts.total;
        if self.json && due {
            clock.told = Some(now);
            let mut line = figures(counts);
            line["event"] = json!("progress");
            line["generators"] = usage(self.engine);
            line["rows_per_minute"] = json!((rate * 10.0).round() / 10.0);
            let left = counts.total - finished;
            line["seconds_left"] =
                if rate > 0.0 { json!((left as f64 / rate * 60.0).round()) } else { json!(null) };
            complain(&line.to_string());
        }
    }

    fn cancelled(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}

fn figures(counts: &Counts) -> serde_json::Value {
    let Counts { total, done, earlier, failed, segments_new, segments_reused } = counts;
    json!({
        "event": "",
        "done": done,
        "failed": failed,
        "total": total,
        "earlier": earlier,
        "segments_new": segments_new,
        "segments_reused": segments_reused,
    })
}

/// The share of segments that were not encoded, in per cent; nothing before the first segment.
fn reused(counts: &Counts) -> Option<f64> {
    let all = counts.segments_new + counts.segments_reused;
    (all > 0).then(|| counts.segments_reused as f64 * 100.0 / all as f64)
}
