//! `vignette verify`: whether a video can be made again as its receipt says, and if not, what differs.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use vignette::output::Output;
use vignette::receipt::{Difference, FileFacts, Making, Part, Receipt, ReceiptKey, compare, files_of};
use vignette::renderer::package::webvtt;
use vignette::templates::blob::Digest;

use super::args::{StoreOptions, parse_set};
use super::generators::GeneratorOptions;
use super::receipt::{self, KeyOptions};
use super::{INTERRUPTED, Stop, data, interrupt, plainly, print_json, say, store};
use vignette::Error;
use vignette::renderer::render::{Observer, Progress};

/// What may be typed behind `vignette verify`.
#[derive(Args)]
pub(super) struct VerifyArguments {
    /// The receipt
    receipt: PathBuf,
    /// The template: a folder with template.yaml, or the file itself
    #[arg(long, value_name = "DIR", required_unless_present = "against")]
    template: Option<PathBuf>,
    /// The viewer's data: a JSON object, a CSV, JSON Lines or Parquet file, or - for standard input
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Which row of a CSV, JSON Lines or Parquet file, from 1
    #[arg(long, value_name = "N", requires = "data")]
    row: Option<usize>,
    /// Sets one value of the data, read as the type that the template gives it
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_set)]
    set: Vec<(String, String)>,
    /// Another folder in which files that the data name are looked for
    #[arg(long, value_name = "DIR")]
    assets: Vec<PathBuf>,
    /// Also looks whether this file, or folder of HLS, is the one that the receipt is of
    #[arg(long, value_name = "OUTPUT")]
    file: Option<PathBuf>,
    /// Renders nothing: compares data, files, generated values and the keys of segments
    #[arg(long)]
    quick: bool,
    /// Compares with this receipt instead of making the video again
    #[arg(long, value_name = "RECEIPT", conflicts_with_all = ["template", "data", "set", "assets", "quick"])]
    against: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    generators: GeneratorOptions,
    #[command(flatten)]
    store: StoreOptions,
}

/// Ends with 0 when all is equal, 1 when something differs, 2 for a receipt that cannot be used.
pub(super) fn run(arguments: &VerifyArguments) -> Result<(), Stop> {
    let key = arguments.key.read()?;
    let then = receipt::read(&arguments.receipt, &key)?;
    let (now, notes) = match &arguments.against {
        Some(other) => (receipt::read(other, &key)?, Vec::new()),
        None => again(arguments, &then, &key)?,
    };
    let mut differences = compare(&then, &now);
    if let Some(file) = &arguments.file {
        let (name, folder) = match file.file_name() {
            Some(name) if name == "master.m3u8" => (file.parent().map(PathBuf::from), true),
            _ => (Some(file.clone()), file.is_dir()),
        };
        let found = files_of(&name.unwrap_or_default(), folder, "video")?;
        differences.splice(0..0, handed_in(&then.files, &found));
    }
    if arguments.json {
        print_json(&json!({
            "equal": differences.is_empty(),
            "rendered": arguments.against.is_none() && !arguments.quick,
            "differences": differences,
            "notes": notes,
        }))?;
    } else {
        notes.iter().for_each(|note| plainly("note", note));
        for difference in &differences {
            say(&format!("{} {difference}", if difference.follows { "  follows:" } else { "differs:" }))?;
        }
        if differences.is_empty() {
            say(&equal(&then, arguments))?;
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(Stop::Said) }
}

fn equal(then: &Receipt, arguments: &VerifyArguments) -> String {
    let segments: usize = then.sizes.iter().map(|size| size.segments.len()).sum();
    let synthetic = then.generated.iter().filter(|value| value.synthetic).count();
    let made =
        format!("{segments} segments, {} generated values ({synthetic} synthetic)", then.generated.len());
    match (arguments.against.is_some(), arguments.quick) {
        (true, _) => format!("equal: both receipts tell of {made}"),
        (_, true) => format!("equal as far as is known without rendering: {made}"),
        _ => format!("equal: rendered again, {made}, {} files to the byte", then.files.len()),
    }
}

/// Makes the video again, as the receipt says that it was made.
fn again(
    arguments: &VerifyArguments,
    then: &Receipt,
    key: &ReceiptKey,
) -> Result<(Receipt, Vec<String>), Stop> {
    ctrlc::set_handler(interrupt)
        .map_err(|error| Error::Input(format!("cannot watch for interrupts: {error}")))?;
    let Some(path) = &arguments.template else {
        return Err(Stop::Usage("name the template with --template".into()));
    };
    let tell = |kind: &str, words: &str| {
        if !arguments.json {
            plainly(kind, words);
        }
    };
    let stores = store::open(&arguments.store, &tell);
    let engine = arguments.generators.engine()?.with_kept_values(&stores);
    let output = Output::resolve(then.options().map_err(|error| Stop::Usage(error.to_string()))?)?;
    let template = engine.open(path, &arguments.assets)?.value;
    let data = data::load(&template, arguments.data.as_deref(), arguments.row, &arguments.set)?;
    let rendition = then.rendition.as_deref();
    let personal = engine.personalise_noted(&template, &data, rendition)?.value;
    let prepared = engine.prepare(&template, &personal.video)?;
    let making = Making {
        engine: &engine,
        template: &template,
        data: &data,
        rendition,
        personal: &personal,
        prepared: &prepared,
        output: &output,
    };
    let now = if arguments.quick {
        making.foreseen(key)?
    } else {
        let folder = tempfile::tempdir().map_err(|source| {
            Error::Render(vignette::renderer::error::RenderError::Io {
                operation: "cannot make a temporary folder".into(),
                source,
            })
        })?;
        let is_folder = output.format().is_folder();
        let target = match is_folder {
            true => folder.path().to_owned(),
            false => folder.path().join(format!("video.{}", output.format().endings()[0])),
        };
        let (_, rendered) = output.write_noted(&engine, &personal.video, &prepared, &target, &Quiet)?;
        let mut files = files_of(&target, is_folder, "video")?;
        if then.files.iter().any(|file| file.name == "captions") {
            files.push(captions(&webvtt::to_webvtt(&personal.video.captions)));
        }
        making.receipt(key, &rendered, files)?
    };
    store::tell_troubles(&stores, &tell);
    let asked_anew = now.generated.iter().filter(|value| {
        let before = then.generated.iter().find(|before| before.name == value.name);
        value.made_at.is_some() && before.is_some_and(|before| before.made_at != value.made_at)
    });
    let notes = asked_anew
        .map(|value| {
            let name = &value.name;
            format!(
                "generated {name}: the store does not have it any more, and `{}` was asked anew",
                value.provider
            )
        })
        .collect();
    Ok((now, notes))
}

/// What a receipt tells of a captions file.
pub(super) fn captions(text: &str) -> FileFacts {
    FileFacts { name: "captions".to_owned(), bytes: text.len() as u64, digest: Digest::of(text.as_bytes()) }
}

/// What tells apart files that were handed in from those that were written.
fn handed_in(written: &[FileFacts], found: &[FileFacts]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut differs = |name: &str, message: &str| {
        let name = Some(name.to_owned());
        let message = message.to_owned();
        differences.push(Difference { part: Part::File, name, message, follows: false });
    };
    for file in found {
        match written.iter().find(|written| written.name == file.name) {
            Some(written) if written.digest == file.digest => {}
            Some(_) => differs(&file.name, "the file at hand is not the one that was written"),
            None => differs(&file.name, "the file at hand was not written"),
        }
    }
    for file in written.iter().filter(|file| file.name != "captions") {
        if found.iter().all(|found| found.name != file.name) {
            differs(&file.name, "there is no such file at hand");
        }
    }
    differences
}

/// Only watches whether to stop.
struct Quiet;

impl Observer for Quiet {
    fn progress(&self, _: Progress) {}
    fn cancelled(&self) -> bool {
        INTERRUPTED.load(std::sync::atomic::Ordering::Relaxed)
    }
}
