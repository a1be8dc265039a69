//! The store: where it is, and `vignette store`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use vignette::renderer::plates::Plates;
use vignette::renderer::render::Stores;
use vignette::renderer::store::{self, Store, StoreError, Vault};
use vignette::{Engine, Error};

use super::args::{Size, StoreAction, StoreOptions};
use super::{Stop, Tell, report, say};

/// The bound on what is kept, unless told: room for a few campaigns, on a disk of any size.
const DEFAULT_SIZE: u64 = 8 << 30;

/// The engine with the values that were generated and kept before, where somebody is paid for them: to look at them costs nothing again.
pub(super) fn with_kept(engine: Engine, options: &StoreOptions) -> Engine {
    if engine.generators().usage().is_empty() {
        return engine;
    }
    engine.with_kept_values(&open(options, &super::plainly))
}

/// What a render finds and keeps, as the command line says. Trouble with it is told, and the render goes on without.
pub(super) fn open(options: &StoreOptions, tell: Tell) -> Stores {
    if options.no_store {
        return Stores::none();
    }
    let size = options.store_size.map_or(DEFAULT_SIZE, |Size(bytes)| bytes);
    let Some(place) = place(options) else {
        tell(
            "warning",
            "there is no folder for the store, as neither XDG_CACHE_HOME nor HOME is set; nothing is kept",
        );
        return Stores::none();
    };
    let vault = match store::open(&place, size / 2) {
        Ok(store) => Vault::new(store),
        Err(error) => {
            tell("warning", &format!("{error}; this render keeps nothing"));
            Vault::none()
        }
    };
    // Raw frames are for this machine alone: from elsewhere they take longer to fetch than to make.
    let folder = match place.as_str() {
        "memory:" => None,
        place if is_remote(place) => cache_folder(),
        place => Some(local(place)),
    };
    let plates = folder.map(|folder| Plates::open(&folder.join("plates"), size / 2));
    let plates = match plates {
        Some(Ok(plates)) => plates,
        Some(Err(error)) => {
            tell("warning", &format!("backgrounds cannot be kept: {error}"));
            Plates::none()
        }
        None => Plates::none(),
    };
    Stores { vault: Arc::new(vault), plates }
}

/// What went wrong with the store, in one line for each kind of trouble.
pub(super) fn tell_troubles(stores: &Stores, tell: Tell) {
    for warning in stores.vault.take_warnings().into_iter().chain(stores.plates.take_warning()) {
        tell("warning", &warning);
    }
}

/// A folder or a URL.
fn place(options: &StoreOptions) -> Option<String> {
    options.store.clone().or_else(|| Some(cache_folder()?.to_string_lossy().into_owned()))
}

/// Whether `place` is not in this machine's file system.
fn is_remote(place: &str) -> bool {
    place.contains("://") && !place.starts_with("file://")
}

fn local(place: &str) -> PathBuf {
    PathBuf::from(place.strip_prefix("file://").unwrap_or(place))
}

/// The user's cache (XDG Base Directory Specification 0.8).
fn cache_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("vignette"))
}

/// `vignette store`.
pub(super) fn run(options: &StoreOptions, action: &StoreAction) -> Result<(), Stop> {
    let size = options.store_size.map_or(DEFAULT_SIZE, |Size(bytes)| bytes);
    let place = place(options).ok_or_else(|| {
        Stop::Usage("neither XDG_CACHE_HOME nor HOME is set; name the store with --store".into())
    })?;
    if !is_remote(&place) && !local(&place).is_dir() {
        return Err(Stop::Failed(Error::Input(format!("{place}: there is no store here yet"))));
    }
    let failed = |error: StoreError| Stop::Failed(Error::Store(error));
    let kept = store::open(&place, size / 2).map_err(failed)?;
    match action {
        StoreAction::Stats { json } => stats(&*kept, &place, *json).map_err(failed)?,
        StoreAction::Prune { keep } => {
            let bytes = keep.map_or(0, |Size(bytes)| bytes);
            let pruned = kept.prune(bytes / 2).map_err(failed)?;
            let plates = plates_of(&place, size).map(|plates| plates.prune(bytes / 2)).unwrap_or_default();
            say(&format!(
                "{}: removed {} entries ({}) and {} of backgrounds",
                kept.place(),
                pruned.entries,
                report::bytes(pruned.bytes),
                report::bytes(plates)
            ))?;
        }
        StoreAction::Verify => {
            let verified = kept.verify(&mut |_| ControlFlow::Continue(())).map_err(failed)?;
            say(&format!(
                "{}: {} sound entries ({}), {} damaged, {} of them removed, {} not readable",
                kept.place(),
                verified.sound,
                report::bytes(verified.bytes),
                verified.damaged,
                verified.removed,
                verified.unread
            ))?;
            if verified.damaged > 0 || verified.unread > 0 {
                return Err(Stop::Said);
            }
        }
    }
    Ok(())
}

fn plates_of(place: &str, size: u64) -> Option<Plates> {
    let folder = if is_remote(place) { cache_folder()? } else { local(place) }.join("plates");
    if folder.is_dir() { Plates::open(&folder, size / 2).ok() } else { None }
}

fn stats(kept: &dyn Store, place: &str, as_json: bool) -> Result<(), StoreError> {
    let stats = kept.stats()?;
    let plates = plates_of(place, DEFAULT_SIZE).map_or(0, |plates| plates.bytes());
    let text = if as_json {
        json!({
            "place": kept.place(),
            "entries": stats.entries,
            "bytes": stats.bytes,
            "bound": stats.bound,
            "background_bytes": plates,
        })
        .to_string()
    } else {
        format!(
            "{}: {} entries, {}; backgrounds, {}",
            kept.place(),
            stats.entries,
            report::bytes(stats.bytes),
            report::bytes(plates)
        )
    };
    // A reader that has gone away is no fault of the store.
    let _ = say(&text);
    Ok(())
}
