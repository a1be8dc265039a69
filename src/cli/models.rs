//! Models and voices: `vignette models` and `vignette voice`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use vignette::Error;
use vignette::audience::Audience;
use vignette::generators::models::{self, ModelError, Models, Origin};
use vignette::generators::{Coverage, Hibari};
use vignette::templates::pronunciation;

use super::args::{ModelsAction, VoiceAction};
use super::{Stop, complain, report, say};

/// `vignette models`.
pub(super) fn run(action: Option<&ModelsAction>, json: bool) -> Result<(), Stop> {
    let models = Models::default();
    match action {
        None => list(&models, json),
        Some(ModelsAction::Install { name, from }) => {
            let origin = match from.as_deref() {
                None => Origin::Registry,
                Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
                    Origin::Url(url.to_owned())
                }
                Some(path) => Origin::Path(path.into()),
            };
            models.install(name, &origin, &mut |line| complain(line)).map_err(stop)
        }
    }
}

fn stop(error: ModelError) -> Stop {
    match error {
        ModelError::Unknown { .. } => Stop::Usage(error.to_string()),
        ModelError::Digest { .. } | ModelError::Archive { .. } => {
            Stop::Failed(Error::Input(error.to_string()))
        }
        ModelError::NoFolder | ModelError::Machine { .. } | ModelError::Fetch { .. } => {
            complain(&format!("error: {error}"));
            Stop::Machine
        }
        ModelError::Io { ref source, .. } => {
            complain(&format!("error: {error}: {source}"));
            Stop::Machine
        }
    }
}

fn list(models: &Models, json: bool) -> Result<(), Stop> {
    if json {
        let entries: Vec<Value> = models::catalog()
            .iter()
            .map(|model| {
                json!({
                    "name": model.name,
                    "version": model.version,
                    "kind": model.kind.to_string(),
                    "about": model.about,
                    "licence": model.licence,
                    "bytes": model.bytes(),
                    "installed": models.is_installed(model),
                })
            })
            .collect();
        return super::print_json(&json!({ "dir": models.dir(), "models": entries }));
    }
    let row =
        |name: &str, version: &str, kind: &str, licence: &str, size: &str, installed: &str, about: &str| {
            format!("{name:<12} {version:<8} {kind:<8} {licence:<11} {size:>9}  {installed:<10} {about}")
        };
    say(row("NAME", "VERSION", "KIND", "LICENCE", "SIZE", "INSTALLED", "").trim_end())?;
    for model in models::catalog() {
        let installed = if models.is_installed(model) { "yes" } else { "no" };
        let (kind, size) = (model.kind.to_string(), report::bytes(model.bytes()));
        say(&row(model.name, model.version, &kind, model.licence, &size, installed, model.about))?;
    }
    match models.dir() {
        Some(dir) => complain(&format!(
            "models are kept in {}; `vignette models install NAME` installs one",
            dir.display()
        )),
        None => complain("there is no folder to keep models in; set VIGNETTE_MODELS to one"),
    }
    Ok(())
}

/// `vignette voice`.
pub(super) fn voice(action: &VoiceAction) -> Result<(), Stop> {
    match action {
        VoiceAction::Lint { audience, column, said, lexicon, json } => {
            let lexicon = lexicon.as_deref().map(super::lexicon::load).transpose()?.unwrap_or_default();
            lint(audience, column.as_deref(), said.as_deref(), &lexicon, *json)
        }
    }
}

/// Columns that hold given names when none is named, as people call them.
const NAME_COLUMNS: [&str; 7] =
    ["first_name", "firstname", "first name", "given_name", "forename", "vorname", "name"];

/// The most different names that are kept in mind.
const MAX_NAMES: usize = 1_000_000;

/// Lists the names of an audience that no lexicon has, those of most viewers first.
fn lint(
    path: &Path,
    column: Option<&str>,
    said: Option<&str>,
    lexicon: &BTreeMap<String, String>,
    json: bool,
) -> Result<(), Stop> {
    let audience = Audience::open(path).map_err(Error::from)?;
    let columns = audience.columns();
    let known = |wanted: &str| columns.iter().find(|column| column.as_str() == wanted).cloned();
    let missing = |wanted: &str| {
        Stop::Usage(format!("{} has no column `{wanted}`; it has {}", path.display(), columns.join(", ")))
    };
    let names = match column {
        Some(wanted) => known(wanted).ok_or_else(|| missing(wanted))?,
        None => NAME_COLUMNS
            .iter()
            .find_map(|name| columns.iter().find(|column| column.eq_ignore_ascii_case(name)).cloned())
            .ok_or_else(|| {
                Stop::Usage(format!(
                    "none of the columns of {} looks like a given name; choose one with --column: {}",
                    path.display(),
                    columns.join(", ")
                ))
            })?,
    };
    let said = said.map(|wanted| known(wanted).ok_or_else(|| missing(wanted))).transpose()?;

    let (mut viewers, mut wrong, mut beyond) = (BTreeMap::<String, u64>::new(), 0u64, 0u64);
    for row in audience.rows().map_err(Error::from)? {
        let row = row.map_err(Error::from)?;
        let number = row.number();
        // A row that cannot be read is the batch's to report.
        let Ok(value) = row.value(&json!({})) else { continue };
        let text =
            |column: &str| value.get(column).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let name = text(&names);
        if let Some(written) = said.as_deref().map(text).filter(|written| !written.is_empty()) {
            match pronunciation::of_words(&name, &written) {
                Ok(_) => continue,
                Err(reason) => {
                    wrong += 1;
                    complain(&format!("row {number}: the pronunciation cannot be read: {reason}"));
                }
            }
        }
        for word in name.split_whitespace() {
            if let Some(count) = viewers.get_mut(word) {
                *count += 1;
            } else if viewers.len() < MAX_NAMES {
                viewers.insert(word.to_owned(), 1);
            } else {
                beyond += 1;
            }
        }
    }
    let hibari = Hibari::default();
    let (mut found, mut covered) = (Vec::new(), 0u64);
    let total = viewers.len();
    for (name, count) in viewers {
        if lexicon.contains_key(&name.to_lowercase()) {
            covered += 1;
            continue;
        }
        match hibari.coverage(&name).map_err(Error::from)? {
            Coverage::Listed => covered += 1,
            Coverage::Guessed(sound) => found.push((count, name, Some(sound))),
            Coverage::Foreign => found.push((count, name, None)),
        }
    }
    // Names of as many viewers stay in their order.
    found.sort_by_key(|(count, ..)| Reverse(*count));
    if json {
        let list: Vec<Value> = found
            .iter()
            .map(|(count, name, sound)| json!({ "viewers": count, "name": name, "guess": sound }))
            .collect();
        super::print_json(
            &json!({ "column": names, "names": total, "covered": covered, "uncovered": list }),
        )?;
    } else {
        for (count, name, sound) in &found {
            let sound =
                sound.as_ref().map_or("in letters that the voice does not have".to_owned(), |sound| {
                    format!("guessed as /{sound}/")
                });
            say(&format!("{count:>7}  {name:<24} {sound}"))?;
        }
        complain(&format!(
            "{}: column `{names}` has {total} different names; lexicons have {covered}, and {} are guessed",
            path.display(),
            found.len()
        ));
    }
    if beyond > 0 {
        complain(&format!(
            "warning: {beyond} names were not looked at; at most {MAX_NAMES} different ones are"
        ));
    }
    if found.is_empty() && wrong == 0 { Ok(()) } else { Err(Stop::Said) }
}
