//! `vignette copy`: generated words, for a person to see before viewers do.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use vignette::Error;
use vignette::audience::{Audience, assign};
use vignette::generators::{CopyFile, MAX_COPY_FILE};
use vignette::renderer::error::RenderError;
use vignette::renderer::render::write_whole;

use super::args::{Source, StoreOptions};
use super::{Stop, data, open, output, plainly, print_json, say};

#[derive(Subcommand)]
pub(super) enum CopyAction {
    /// Lists every line that viewers could be shown, into a file in which a person sets `approved` or writes `edited`
    List(CopyArguments),
}

/// What may be typed behind `vignette copy list`.
#[derive(Args)]
pub(super) struct CopyArguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    store: StoreOptions,
    /// The viewers, one a row: a .csv, .jsonl, .ndjson or .parquet file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "row"])]
    audience: Option<PathBuf>,
    /// Only so many rows from the first
    #[arg(long, value_name = "N", requires = "audience", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// The most lines that are listed for one request
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    variants: u64,
    /// The JSON file to write; what a person decided in it stays. Printed when left out
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(action: &CopyAction) -> Result<(), Stop> {
    let CopyAction::List(arguments) = action;
    let CopyArguments { source, store, audience, limit, variants, out } = arguments;
    if source.generators.approved.is_some() {
        return Err(Stop::Usage("--approved goes with what shows copy, not with what lists it".into()));
    }
    let target = out.as_deref().map(output::target).transpose()?;
    let mut file = match &target {
        Some(target) if target.exists() => load(target)?,
        _ => CopyFile::new(),
    };
    let engine = super::store::with_kept(source.generators.engine()?, store);
    let template = open(&engine, source, &plainly)?;
    let most = usize::try_from(*variants).unwrap_or(usize::MAX);
    let mut index = BTreeMap::new();
    let mut failed = 0_u64;
    match audience {
        None => {
            let values = data::load(&template, source.data.as_deref(), source.row, &source.set)?;
            for entry in engine.copy(&template, &values, most)? {
                file.add(&mut index, entry);
            }
        }
        Some(path) => {
            let schema = template.data_schema();
            let most_rows = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
            for row in Audience::open(path)?.rows()?.take(most_rows) {
                let row = row?;
                let name = format!("row {}", row.number());
                let listed = row.value(schema).map_err(Error::Input).and_then(|value| {
                    let values = template.data(&name, assign(value, &source.set, schema))?;
                    engine.copy(&template, &values, most)
                });
                match listed {
                    Ok(entries) => entries.into_iter().for_each(|entry| file.add(&mut index, entry)),
                    Err(error) => {
                        failed += 1;
                        plainly("warning", &format!("{name}: {}", error.with_causes()));
                    }
                }
            }
        }
    }
    super::generators::tell_usage(&engine, false);
    let (lines, approved) = file.counts();
    match (&target, out) {
        (Some(target), Some(out)) => {
            let text = file.to_json().map_err(|error| Error::Input(error.to_string()))?;
            write_whole(
                target,
                |file| {
                    file.write_all(text.as_bytes()).map_err(|source| RenderError::Io {
                        operation: format!("cannot write {}", out.display()),
                        source,
                    })
                },
                |_| Ok(()),
            )?;
            say(&format!(
                "{}: {lines} lines for {} requests, {approved} approved",
                out.display(),
                file.copy.len()
            ))?;
        }
        _ => print_json(&serde_json::to_value(&file).map_err(|error| Error::Input(error.to_string()))?)?,
    }
    if failed > 0 { Err(Stop::Said) } else { Ok(()) }
}

/// The approval file at `path`.
pub(super) fn load(path: &Path) -> Result<CopyFile, Stop> {
    let fault = |reason: String| Stop::Failed(Error::Input(format!("{}: {reason}", path.display())));
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_COPY_FILE as u64 + 1).read_to_end(&mut text))
        .map_err(|error| fault(format!("cannot be read: {error}")))?;
    CopyFile::parse(&text).map_err(|error| fault(error.to_string()))
}
