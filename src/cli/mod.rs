//! `vignette`: new, check, schema, fill, still, plan, render, verify, batch, forecast, models, voice, store, serve.

mod args;
mod batch;
mod copy;
mod data;
mod forecast;
mod generators;
mod inspect;
mod lexicon;
mod memory;
mod models;
mod new;
mod output;
mod plan;
mod precedence;
mod receipt;
mod report;
mod serve;
mod store;
mod verify;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Parser;
use serde_json::Value;
use vignette::output::Output;
use vignette::receipt::{Making, files_of};
use vignette::renderer::error::RenderError;
use vignette::renderer::package::webvtt;
use vignette::renderer::render::{discard_partial, write_whole};
use vignette::templates::video::Video;
use vignette::{Engine, Error, Template};

use self::args::{Arguments, Command, ProgressStyle, Source, StoreOptions};
use self::receipt::KeyOptions;
use self::report::{Reporter, tell};

/// Set by an interrupt; a render looks at it between frames.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Runs the command line. Exit statuses: 0 done, 1 the input is at fault, 2 wrong usage, 3 this machine is at fault.
pub fn run() -> ExitCode {
    memory::return_large_buffers();
    let arguments = Arguments::parse();
    if let Command::Inspect { package, parquet, cpu_seconds, addresses } = &arguments.command {
        let bounds = inspect::Bounds { cpu_seconds: *cpu_seconds, addresses: *addresses };
        return inspect::run(package.as_deref(), *parquet, bounds);
    }
    let json = match &arguments.command {
        Command::Render { progress, .. } => *progress == ProgressStyle::Json,
        Command::Batch(arguments) => arguments.is_json(),
        _ => false,
    };
    match execute(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Said) => ExitCode::from(1),
        Err(Stop::Machine) => ExitCode::from(3),
        Err(Stop::Usage(message)) => {
            tell(json, "error", &message);
            ExitCode::from(2)
        }
        Err(Stop::Failed(error)) => {
            let status = match &error {
                Error::Options(_) => 2,
                error if error.is_input_fault() => 1,
                _ => 3,
            };
            match &error {
                Error::Faults(faults) => report::faults(json, faults),
                other => tell(json, "error", &other.with_causes()),
            }
            ExitCode::from(status)
        }
    }
}

/// Why a command ends without having done its work.
enum Stop {
    /// All that is to be said was printed; the input is at fault.
    Said,
    /// All that is to be said was printed; this machine is at fault, or an interrupt came.
    Machine,
    /// The command line is at fault.
    Usage(String),
    /// Anything else.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Failed(error.into())
    }
}

/// How a line about the work is told: its kind, "warning" or "error", and its words.
type Tell<'a> = &'a dyn Fn(&str, &str);

/// As a person reads it.
fn plainly(kind: &str, message: &str) {
    tell(false, kind, message);
}

fn execute(command: Command) -> Result<(), Stop> {
    match command {
        Command::New { dir } => new::write(&dir),
        Command::Check { template, data, row, set, assets, generators, store } => {
            let engine = store::with_kept(generators.engine()?, &store);
            check(&engine, &template, data, row, &set, &assets)
        }
        Command::Schema { template } => schema(template.as_deref()),
        Command::Fill { source, explain, store } => {
            let engine = store::with_kept(source.generators.engine()?, &store);
            let template = open(&engine, &source, &plainly)?;
            if explain {
                let values = data::load(&template, source.data.as_deref(), source.row, &source.set)?;
                let explained = engine.explain(&template, &values)?;
                let json =
                    serde_json::to_value(&explained).map_err(|error| Error::Input(error.to_string()))?;
                return print_json(&json);
            }
            let video = fill(&engine, &template, &source, &plainly)?;
            let json = serde_json::to_value(&video).map_err(|error| Error::Input(error.to_string()))?;
            print_json(&json)
        }
        Command::Still { source, at, out, store } => still(&source, &at, &out, &store),
        Command::Plan { source, output, json, store } => plan::show(&source, &output, json, &store),
        Command::Models { action, json } => models::run(action.as_ref(), json),
        Command::Voice { action } => models::voice(&action),
        Command::Store { action, store } => store::run(&store, &action),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Render { source, out, output, progress, captions, receipt, key, store } => {
            let format = output::format(&out, output.format)?;
            let receipt = receipt.map(|path| (path, key));
            let output_of = Output::resolve(output.options(format))?;
            let wish = Wish { output: output_of, captions, receipt, store: &store };
            let idle = output.idle(format);
            if !idle.is_empty() {
                let message =
                    format!("{}: goes with another --format than {}", idle.join(", "), format.as_str());
                return Err(Stop::Usage(message));
            }
            render(&source, &out, progress, &wish)
        }
        Command::Batch(arguments) => batch::run(arguments),
        Command::Copy { action } => copy::run(&action),
        Command::Forecast(arguments) => forecast::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        // It has its own answer and status.
        Command::Inspect { .. } => Ok(()),
    }
}

fn check(
    engine: &Engine,
    template: &Path,
    data: Option<PathBuf>,
    row: Option<usize>,
    set: &[(String, String)],
    assets: &[PathBuf],
) -> Result<(), Stop> {
    let opened = engine.open(template, assets)?;
    for warning in &opened.warnings {
        plainly("warning", &warning.to_string());
    }
    let mut checked = "the template is right".to_owned();
    if data.is_some() || !set.is_empty() {
        let values = data::load(&opened.value, data.as_deref(), row, set)?;
        // The whole way to the filled video: also what only shows with these data.
        let filled = engine.personalise(&opened.value, &values, None)?;
        for warning in &filled.warnings {
            plainly("warning", &warning.to_string());
        }
        checked = "the template and the data are right".to_owned();
    }
    say(&format!("{}: {checked}", template.display()))
}

fn schema(template: Option<&Path>) -> Result<(), Stop> {
    match template {
        None => print_json(&vignette::templates::language_schema()),
        Some(path) => print_json(Engine::new()?.open(path, &[])?.value.data_schema()),
    }
}

fn open(engine: &Engine, source: &Source, tell: Tell) -> Result<Template, Stop> {
    let opened = engine.open(&source.template, &source.assets)?;
    for warning in &opened.warnings {
        tell("warning", &warning.to_string());
    }
    Ok(opened.value)
}

fn fill(engine: &Engine, template: &Template, source: &Source, tell: Tell) -> Result<Video, Stop> {
    let values = data::load(template, source.data.as_deref(), source.row, &source.set)?;
    let filled = engine.personalise(template, &values, source.rendition.as_deref())?;
    for warning in &filled.warnings {
        tell("warning", &warning.to_string());
    }
    Ok(filled.value)
}

fn still(source: &Source, at: &args::Moment, out: &Path, store: &StoreOptions) -> Result<(), Stop> {
    if ending(out).as_deref() != Some("png") {
        return Err(Stop::Usage(format!("-o {}: only .png files can be written", out.display())));
    }
    let target = output::target(out)?;
    let engine = store::with_kept(source.generators.engine()?, store);
    let template = open(&engine, source, &plainly)?;
    let video = fill(&engine, &template, source, &plainly)?;
    let total = video.frames();
    let frame = at.frame(&video);
    if frame >= total {
        return Err(Stop::Usage(format!(
            "--at is past the end: the video has {total} frames ({:.3} s)",
            video.duration().as_seconds()
        )));
    }
    let prepared = engine.prepare(&template, &video)?;
    warn_of(&prepared.warnings, source.strict, &plainly)?;
    let picture = prepared.frame(frame)?.to_rgb();
    let written = write_whole(
        &target,
        |file| {
            let io = |error: image::ImageError| RenderError::Io {
                operation: format!("cannot write {}", out.display()),
                source: io::Error::other(error),
            };
            picture.write_with_encoder(image::codecs::png::PngEncoder::new(file)).map_err(io)
        },
        |_| Ok(()),
    )?;
    complain(&format!("{}: frame {frame} of {total}, {}", out.display(), report::bytes(written)));
    Ok(())
}

/// What is to be made of a video.
struct Wish<'a> {
    output: Output,
    captions: Option<PathBuf>,
    /// Where its receipt goes, and under which key.
    receipt: Option<(PathBuf, KeyOptions)>,
    store: &'a StoreOptions,
}

fn render(source: &Source, out: &Path, progress: ProgressStyle, wish: &Wish<'_>) -> Result<(), Stop> {
    let target = match wish.output.format().is_folder() {
        true => output::folder(out)?,
        false => output::target(out)?,
    };
    let captions = match &wish.captions {
        Some(path) => Some((path, output::target(path)?)),
        None => None,
    };
    if captions.as_ref().is_some_and(|(_, captions)| *captions == target) {
        return Err(Stop::Usage("-o and --captions name the same file; give them two names".into()));
    }
    let receipt = match &wish.receipt {
        Some((path, key)) => Some((output::target(path)?, key)),
        None => None,
    };
    let taken = |path: &Path| *path == target || captions.as_ref().is_some_and(|(_, taken)| taken == path);
    if receipt.as_ref().is_some_and(|(path, _)| taken(path)) {
        return Err(Stop::Usage("--receipt names the same file as -o or --captions; give it another".into()));
    }
    ctrlc::set_handler(interrupt)
        .map_err(|error| Error::Input(format!("cannot watch for interrupts: {error}")))?;
    let started = Instant::now();
    let reporter = Reporter::new(progress, &INTERRUPTED);
    let tell = |kind: &str, message: &str| reporter.tell(kind, message);
    let receipt = match receipt {
        Some((path, key)) => Some((path, key.make(&tell)?)),
        None => None,
    };
    let engine = source.generators.engine()?.with_stores(store::open(wish.store, &tell));
    wish.output.notes.iter().for_each(|note| tell("warning", note));
    reporter.stage("filling");
    let template = open(&engine, source, &tell)?;
    let data = data::load(&template, source.data.as_deref(), source.row, &source.set)?;
    let rendition = source.rendition.as_deref();
    let filled = engine.personalise_noted(&template, &data, rendition)?;
    filled.warnings.iter().for_each(|warning| tell("warning", &warning.to_string()));
    let personal = filled.value;
    let video = &personal.video;
    reporter.stage("preparing");
    let prepared = engine.prepare(&template, video)?;
    warn_of(&prepared.warnings, source.strict, &tell)?;
    reporter.begin(video.frames());
    let (written, rendered) = wish.output.write_noted(&engine, video, &prepared, &target, &reporter)?;
    written.notes.iter().for_each(|note| tell("warning", note));
    store::tell_troubles(engine.stores(), &tell);
    let mut more = Vec::new();
    if let Some((path, target)) = captions {
        let file = webvtt::to_webvtt(&video.captions);
        write_whole(
            &target,
            |out| {
                out.write_all(file.as_bytes()).map_err(|source| RenderError::Io {
                    operation: format!("cannot write {}", path.display()),
                    source,
                })
            },
            |_| Ok(()),
        )?;
        more.push(verify::captions(&file));
    }
    if let Some((path, key)) = receipt {
        let mut files = files_of(&target, wish.output.format().is_folder(), "video")?;
        files.extend(more);
        let making = Making {
            engine: &engine,
            template: &template,
            data: &data,
            rendition,
            personal: &personal,
            prepared: &prepared,
            output: &wish.output,
        };
        making.receipt(&key, &rendered, files)?.write(&path)?;
    }
    reporter.finish(out, video, &written, wish.output.encoder(), started.elapsed());
    Ok(())
}

/// The first interrupt ends the render within a frame; the second ends the process at once.
fn interrupt() {
    if INTERRUPTED.swap(true, Ordering::Relaxed) {
        discard_partial();
        std::process::exit(3);
    }
}

/// A file's ending in small letters.
fn ending(path: &Path) -> Option<String> {
    path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase)
}

fn warn_of(warnings: &[vignette::renderer::error::Warning], strict: bool, tell: Tell) -> Result<(), Stop> {
    for warning in warnings {
        let kind = if strict && warning.severe { "error" } else { "warning" };
        tell(kind, &warning.to_string());
    }
    if strict && warnings.iter().any(|warning| warning.severe) {
        return Err(Stop::Said);
    }
    Ok(())
}

fn print_json(value: &Value) -> Result<(), Stop> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::Input(error.to_string()))?;
    say(&text)
}

/// Prints a result. A reader that has gone away (`| head`) is no fault.
fn say(text: &str) -> Result<(), Stop> {
    match writeln!(io::stdout(), "{text}") {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Stop::Failed(Error::Render(RenderError::Io { operation: "cannot print".into(), source })))
        }
        _ => Ok(()),
    }
}

/// Prints what is not the result. Nothing can be done when even that fails.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether a person watches.
fn is_watched() -> bool {
    io::stderr().is_terminal()
}
