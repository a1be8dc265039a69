//! `vignette serve`: the engine behind the service.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use vignette::audience::{Audience, AudienceError, Format as Rows, assign};
use vignette::forecast::{ForecastOptions, Watch, forecast};
use vignette::generators::Kind;
use vignette::inspection::Refusal;
use vignette::output::{Excerpt, Format, Output, OutputOptions};
use vignette::renderer::encode::VideoProfile;
use vignette::renderer::patience;
use vignette::renderer::plan::Plan;
use vignette::renderer::render::{Observer, Prepared, Progress, RenderOptions, Stores};
use vignette::templates::blob::{Blob, Digest};
use vignette::templates::fault::{Warned, shortened};
use vignette::templates::units::parse_duration;
use vignette::templates::video::Video;
use vignette::{Engine, Error, Inspection, Noted, Template};
use vignette_server::config::Secret;
use vignette_server::database::Database;
use vignette_server::output::{Format as Wish, Output as Wanted};
use vignette_server::quota::Quota;
use vignette_server::records::Records;
use vignette_server::remote::Fetcher;
use vignette_server::workshop::{
    AudienceRow, Filled, GeneratedKind, MakeError, Opened, Remembered, RowForm, Workshop,
};
use vignette_server::{Config, auth};

use super::args::StoreOptions;
use super::inspect::Readers;
use super::{Stop, plainly, precedence, say, store};

#[derive(Args)]
pub(super) struct ServeArguments {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR:PORT", env = "VIGNETTE_BIND")]
    bind: Option<String>,
    /// The folder for the database, keys, uploaded templates, finished files and the store
    #[arg(long, value_name = "DIR", env = "VIGNETTE_DATA")]
    data_dir: Option<PathBuf>,
    /// A PostgreSQL in place of a file in that folder: postgres://user:password@host/name
    #[arg(long, value_name = "URL", env = "VIGNETTE_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// Where finished files are kept: a folder, or s3://bucket/prefix
    #[arg(long, value_name = "PLACE", env = "VIGNETTE_FILES")]
    files: Option<String>,
    /// A TOML file of settings; see docs/service.md
    #[arg(long, value_name = "FILE", env = "VIGNETTE_CONFIG")]
    config: Option<PathBuf>,
    /// A folder of template packages for every tenant
    #[arg(long, value_name = "DIR", env = "VIGNETTE_TEMPLATES")]
    templates: Option<PathBuf>,
    /// How viewers reach the service, e.g. https://video.example.com
    #[arg(long, value_name = "URL", env = "VIGNETTE_PUBLIC_URL")]
    public_url: Option<String>,
    /// hls.min.js, for browsers without HLS
    #[arg(long, value_name = "FILE", env = "VIGNETTE_PLAYER")]
    player: Option<PathBuf>,
    /// A collector of OpenTelemetry that traces are sent to, by OTLP over HTTP, e.g. http://127.0.0.1:4318
    #[arg(long, value_name = "URL", env = "VIGNETTE_TRACES", hide_env_values = true)]
    traces: Option<String>,
    /// Says what is wrong with the configuration, and ends
    #[arg(long)]
    check_config: bool,
    /// Makes an API key for a tenant, prints it once, and ends
    #[arg(long, value_name = "TENANT")]
    add_key: Option<String>,
    /// What the new key may do: render, read, manage; all of it when left out
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', requires = "add_key")]
    scopes: Vec<String>,
    /// The most renders that the new key may have made in a day (UTC)
    #[arg(long, value_name = "N", requires = "add_key", value_parser = clap::value_parser!(u32).range(1..))]
    renders_per_day: Option<u32>,
    /// The most seconds of video that the new key may have made in a day (UTC)
    #[arg(long, value_name = "N", requires = "add_key", value_parser = clap::value_parser!(u32).range(1..))]
    seconds_per_day: Option<u32>,
    /// The most links that the new key may make in a day (UTC)
    #[arg(long, value_name = "N", requires = "add_key", value_parser = clap::value_parser!(u32).range(1..))]
    links_per_day: Option<u32>,
    /// Makes another key that may do what the key with this id may, prints it once, and ends the old one in a while
    #[arg(long, value_name = "ID", conflicts_with = "add_key")]
    renew_key: Option<String>,
    /// Days that the old key is still good for
    #[arg(long, value_name = "N", default_value_t = 7, requires = "renew_key", value_parser = clap::value_parser!(u32).range(0..=365))]
    overlap_days: u32,
    /// Ends an API key by its id
    #[arg(long, value_name = "ID")]
    revoke_key: Option<String>,
    /// Seals what is made from now on with a new key; what was sealed before still opens
    #[arg(long)]
    rotate_keys: bool,
    #[command(flatten)]
    store: StoreOptions,
}

fn machine(why: impl ToString) -> Stop {
    plainly("error", &why.to_string());
    Stop::Machine
}

pub(super) fn run(arguments: ServeArguments) -> Result<(), Stop> {
    super::memory::keep_large_buffers();
    let config = configuration(&arguments)?;
    let faults = config.faults();
    for fault in &faults {
        plainly("error", fault);
    }
    if !faults.is_empty() {
        return Err(Stop::Said);
    }
    if arguments.check_config {
        if let Some(url) = &config.database
            && let Err(why) = Database::check(&url.0)
        {
            plainly("error", &why);
            return Err(Stop::Said);
        }
        if let Err(why) = config.artefacts().and_then(|files| files.check()) {
            plainly("error", &why);
            return Err(Stop::Said);
        }
        return say("the configuration is right");
    }
    if arguments.add_key.is_some() || arguments.revoke_key.is_some() || arguments.renew_key.is_some() {
        return keys(&config, &arguments);
    }
    let mut place = arguments.store;
    if place.store.is_none() && !place.no_store {
        place.store = Some(config.data_dir.join("store").to_string_lossy().into_owned());
    }
    let stores = store::open(&place, &plainly);
    let limits = &config.limits;
    patience::set(Duration::from_secs(limits.stall_seconds));
    let readers = Arc::new(Readers::new(limits.reader_seconds, limits.reader_bytes, config.cores()));
    precedence::have_media_step_back();
    let mut engine = Engine::new()?.with_stores(stores).with_inspection(inspection(&config, readers.clone()));
    if let Some(fetcher) = Fetcher::new(&config) {
        engine = engine.with_fetch(Arc::new(move |address| fetcher.fetch(address)));
        // A viewer may wait for the first one.
        readers.warm_up();
    }
    let engine = Arc::new(engine);
    let shop = Arc::new(Shop { engine, readers });
    vignette_server::run(config, shop, arguments.rotate_keys, |started| {
        // Nobody reads it where standard output is closed.
        let _ = say(&format!("listening on {}", started.url));
    })
    .map_err(machine)
}

/// Has all files read elsewhere before they are read here, but for those that the operator put into the gallery.
fn inspection(config: &Config, readers: Arc<Readers>) -> Inspection {
    let gallery = config.templates.as_ref().and_then(|folder| folder.canonicalize().ok());
    let most_pixels = config.limits.asset_pixels;
    let inspect = move |kind, blob: &Blob| match blob.path() {
        Some(path) if gallery.as_ref().is_some_and(|gallery| path.starts_with(gallery)) => Ok(()),
        Some(_) => readers.file(kind, blob, u64::MAX),
        // It was fetched.
        None => readers.file(kind, blob, most_pixels),
    };
    Inspection { name: format!("gallery, {most_pixels} pixels"), inspect: Arc::new(inspect) }
}

/// The configuration file, with what was typed over it.
fn configuration(arguments: &ServeArguments) -> Result<Config, Stop> {
    let mut config = match &arguments.config {
        Some(path) => Config::read(path).map_err(|why| Stop::Failed(Error::Input(why)))?,
        None => Config::default(),
    };
    if let Some(bind) = &arguments.bind {
        config.bind = bind.clone();
    }
    if let Some(folder) = &arguments.data_dir {
        config.data_dir = folder.clone();
    }
    config.database = arguments.database.clone().map(Secret).or(config.database);
    config.files = arguments.files.clone().or(config.files);
    config.traces = arguments.traces.clone().map(Secret).or(config.traces);
    config.templates = arguments.templates.clone().or(config.templates);
    config.public_url = arguments.public_url.clone().or(config.public_url);
    config.player = arguments.player.clone().or(config.player);
    Ok(config)
}

fn keys(config: &Config, arguments: &ServeArguments) -> Result<(), Stop> {
    fs::create_dir_all(&config.data_dir)
        .map_err(|error| machine(format!("{}: cannot be made: {error}", config.data_dir.display())))?;
    let records = Records::open(&config.source()).map_err(machine)?;
    if let Some(id) = &arguments.revoke_key {
        return match records.revoke_key(id) {
            Ok(true) => say("the key is revoked"),
            Ok(false) => Err(Stop::Usage(format!("--revoke-key: there is no such key, {id}"))),
            Err(_) => Err(machine("the database does not answer")),
        };
    }
    if let Some(old) = &arguments.renew_key {
        return match auth::renew_key(&records, old, arguments.overlap_days).map_err(machine)? {
            Some((id, key)) => say(&format!("id {id}\nkey {key}")),
            None => Err(Stop::Usage(format!("--renew-key: there is no such key, {old}"))),
        };
    }
    let Some(tenant) = &arguments.add_key else { return Ok(()) };
    let quota = Quota {
        renders: arguments.renders_per_day,
        seconds: arguments.seconds_per_day,
        links: arguments.links_per_day,
    };
    let (id, key) = auth::make_key(&records, tenant, &arguments.scopes, quota).map_err(Stop::Usage)?;
    say(&format!("id {id}\nkey {key}"))
}

struct Shop {
    engine: Arc<Engine>,
    readers: Arc<Readers>,
}

struct OpenTemplate {
    engine: Arc<Engine>,
    readers: Arc<Readers>,
    template: Template,
}

fn fault(error: Error) -> MakeError {
    match error {
        Error::Faults(faults) => MakeError::Faults(faults),
        Error::Render(error) => error.into(),
        error if error.is_input_fault() => MakeError::Input(error.with_causes()),
        error => MakeError::Machine(error.with_causes()),
    }
}

/// What the service wants of a video, as the engine has it. One frame at a time, since the service shares out the cores.
fn resolved(wanted: &Wanted) -> Result<Output, MakeError> {
    let moment = wanted.at.as_deref().map(parse_duration).transpose();
    let at = moment.map_err(|error| MakeError::Input(format!("output.at: {error}")))?;
    let format = match wanted.format {
        Wish::Mp4 => Format::Mp4,
        Wish::Webm => Format::Webm,
        Wish::Gif => Format::Gif,
        Wish::Webp => Format::Webp,
        Wish::Jpg => Format::Jpeg,
        Wish::Png => Format::Png,
        Wish::Hls => Format::Hls,
    };
    Output::resolve(OutputOptions {
        format,
        render: RenderOptions { workers: 1, ..RenderOptions::default() },
        excerpt: Excerpt { width: wanted.width, budget: wanted.max_bytes, ..Excerpt::default() },
        at,
        ..OutputOptions::default()
    })
    .map_err(fault)
}

/// Why an audience cannot be read, without the path, which is the service's own.
fn unread(error: AudienceError) -> MakeError {
    match error {
        AudienceError::Format { message, .. } => MakeError::Input(message),
        AudienceError::Io { source, .. } => {
            MakeError::Machine(format!("an audience cannot be read: {}", source.kind()))
        }
    }
}

/// Stops a forecast when the service says so.
struct Asked<'a>(&'a (dyn Fn() -> bool + Sync));

impl Watch for Asked<'_> {
    fn cancelled(&self) -> bool {
        (self.0)()
    }
}

/// Stops when the service says so.
struct Cancelled<'a>(&'a (dyn Fn() -> bool + Sync));

impl Observer for Cancelled<'_> {
    fn progress(&self, _: Progress) {}

    fn cancelled(&self) -> bool {
        (self.0)()
    }
}

impl Workshop for Shop {
    fn open(&self, folder: &Path) -> Result<Warned<Arc<dyn Opened>>, MakeError> {
        let Warned { value, warnings } = self.engine.open(folder, &[]).map_err(fault)?;
        let opened =
            OpenTemplate { engine: self.engine.clone(), readers: self.readers.clone(), template: value };
        Ok(Warned { value: Arc::new(opened), warnings })
    }

    fn forget(&self, key: &Digest) {
        self.engine.generators().forget(key);
    }

    fn step_back(&self) {
        precedence::step_back();
    }

    fn inspect(&self, folder: &Path) -> Result<(), MakeError> {
        self.readers.package(folder).map_err(|refusal| match refusal {
            Refusal::File(why) => MakeError::Input(format!("the package, or a file of it: {why}")),
            Refusal::Machine(why) => MakeError::Machine(why),
        })
    }

    fn stores(&self) -> &Stores {
        self.engine.stores()
    }
}

impl Opened for OpenTemplate {
    fn version(&self) -> Result<Digest, MakeError> {
        self.template.digest().map_err(fault)
    }

    fn data_schema(&self) -> &Value {
        self.template.data_schema()
    }

    fn renditions(&self) -> Vec<(String, u32, u32)> {
        let renditions = self.template.renditions().into_iter();
        renditions.map(|(name, width, height)| (name.to_owned(), width, height)).collect()
    }

    fn fill(&self, data: Value, rendition: Option<&str>, aloud: bool) -> Result<Filled, MakeError> {
        let data = self.template.data("data", data)?;
        let (video, noted) =
            self.engine.personalise_noting(&self.template, &data, rendition, aloud).map_err(fault)?;
        let Noted { generated, findings } = noted;
        let generated = generated.into_iter().map(|(kind, key)| {
            let kind = match kind {
                Kind::Text => GeneratedKind::Text,
                Kind::Voice => GeneratedKind::Voice,
                Kind::Image | Kind::Photo => GeneratedKind::Image,
            };
            Remembered { kind, key }
        });
        Ok(Filled { video, generated: generated.collect(), findings })
    }

    fn plan(&self, video: &Video, profile: VideoProfile) -> Plan {
        self.engine.plan_for(video, profile)
    }

    fn assigned(&self, data: Value, texts: &[(String, String)]) -> Value {
        assign(data, texts, self.template.data_schema())
    }

    fn rows(
        &self,
        audience: &Path,
        form: RowForm,
        columns: &[String],
        each: &mut dyn FnMut(AudienceRow) -> Result<(), MakeError>,
    ) -> Result<(), MakeError> {
        let form = match form {
            RowForm::Csv => Rows::Csv,
            RowForm::JsonLines => Rows::JsonLines,
            RowForm::Parquet => Rows::Parquet,
        };
        if form == Rows::Parquet {
            let file = fs::File::open(audience).map_err(|error| {
                MakeError::Machine(format!("an audience cannot be read: {}", error.kind()))
            })?;
            self.readers.parquet(file).map_err(|refusal| match refusal {
                Refusal::File(why) => MakeError::Input(why),
                Refusal::Machine(why) => MakeError::Machine(why),
            })?;
        }
        let audience = Audience::open_as(audience, form).map_err(unread)?;
        let place = |name: &String| {
            let found = audience.columns().iter().position(|known| known == name);
            found.ok_or_else(|| MakeError::Input(format!("it has no column `{}`", shortened(name))))
        };
        let places: Vec<usize> = columns.iter().map(place).collect::<Result<_, _>>()?;
        for row in audience.rows().map_err(unread)? {
            let row = row.map_err(unread)?;
            let cells = row.cells();
            let cell =
                |place: &usize| String::from_utf8_lossy(cells.get(*place).unwrap_or_default()).into_owned();
            each(AudienceRow {
                number: row.number(),
                value: row.value(self.template.data_schema()),
                cells: places.iter().map(cell).collect(),
            })?;
        }
        Ok(())
    }

    fn forecast(
        &self,
        audience: &Path,
        rendition: Option<&str>,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Value>, MakeError> {
        let audience = Audience::open_as(audience, Rows::JsonLines).map_err(unread)?;
        let options = ForecastOptions {
            rendition: rendition.map(str::to_owned),
            // The service shares out the cores.
            workers: 1,
            ..ForecastOptions::default()
        };
        let made =
            forecast(&self.engine, &self.template, &audience, &options, &Asked(cancelled)).map_err(fault)?;
        Ok(made.map(|made| super::forecast::as_json(&made)))
    }

    fn plans(&self, video: &Video, output: &Wanted) -> Result<Vec<Plan>, MakeError> {
        resolved(output)?.plans(&self.engine, video).map_err(fault)
    }

    fn write(
        &self,
        video: &Video,
        output: &Wanted,
        target: &Path,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), MakeError> {
        let prepared = self.engine.prepare(&self.template, video).map_err(fault)?;
        let written = resolved(output)?.write(&self.engine, video, &prepared, target, &Cancelled(cancelled));
        written.map(drop).map_err(fault)
    }

    fn prepare<'a>(&'a self, video: &'a Video) -> Result<Prepared<'a>, MakeError> {
        self.engine.prepare(&self.template, video).map_err(fault)
    }
}
