//! `vignette serve`: the engine behind the service.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::Value;
use vignette::renderer::encode::VideoProfile;
use vignette::renderer::plan::Plan;
use vignette::renderer::render::{Prepared, Stores};
use vignette::templates::blob::Digest;
use vignette::templates::fault::Warned;
use vignette::templates::video::Video;
use vignette::{Engine, Error, Template};
use vignette_server::records::Records;
use vignette_server::workshop::{MakeError, Opened, Workshop};
use vignette_server::{Config, auth};

use super::args::StoreOptions;
use super::{Stop, inspect, plainly, say, store};

#[derive(Args)]
pub(super) struct ServeArguments {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR:PORT", env = "VIGNETTE_BIND")]
    bind: Option<String>,
    /// The folder for the database, keys, uploaded templates, finished files and the store
    #[arg(long, value_name = "DIR", env = "VIGNETTE_DATA")]
    data_dir: Option<PathBuf>,
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
    /// Says what is wrong with the configuration, and ends
    #[arg(long)]
    check_config: bool,
    /// Makes an API key for a tenant, prints it once, and ends
    #[arg(long, value_name = "TENANT")]
    add_key: Option<String>,
    /// What the new key may do: render, read, manage; all of it when left out
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', requires = "add_key")]
    scopes: Vec<String>,
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
    let config = configuration(&arguments)?;
    let faults = config.faults();
    for fault in &faults {
        plainly("error", fault);
    }
    if !faults.is_empty() {
        return Err(Stop::Said);
    }
    if arguments.check_config {
        return say("the configuration is right");
    }
    if arguments.add_key.is_some() || arguments.revoke_key.is_some() {
        return keys(&config, &arguments);
    }
    let mut place = arguments.store;
    if place.store.is_none() && !place.no_store {
        place.store = Some(config.data_dir.join("store").to_string_lossy().into_owned());
    }
    let stores = store::open(&place, &plainly);
    let engine = Arc::new(Engine::new()?.with_stores(stores));
    let shop = Arc::new(Shop { engine });
    vignette_server::run(config, shop, arguments.rotate_keys, |started| {
        // Nobody reads it where standard output is closed.
        let _ = say(&format!("listening on {}", started.url));
    })
    .map_err(machine)
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
    config.templates = arguments.templates.clone().or(config.templates);
    config.public_url = arguments.public_url.clone().or(config.public_url);
    config.player = arguments.player.clone().or(config.player);
    Ok(config)
}

fn keys(config: &Config, arguments: &ServeArguments) -> Result<(), Stop> {
    fs::create_dir_all(&config.data_dir)
        .map_err(|error| machine(format!("{}: cannot be made: {error}", config.data_dir.display())))?;
    let records = Records::open(&config.data_dir.join("vignette.db")).map_err(machine)?;
    if let Some(id) = &arguments.revoke_key {
        return match records.revoke_key(id) {
            Ok(true) => say("the key is revoked"),
            Ok(false) => Err(Stop::Usage(format!("--revoke-key: there is no such key, {id}"))),
            Err(_) => Err(machine("the database does not answer")),
        };
    }
    let Some(tenant) = &arguments.add_key else { return Ok(()) };
    let (id, key) = auth::make_key(&records, tenant, &arguments.scopes).map_err(Stop::Usage)?;
    say(&format!("id {id}\nkey {key}"))
}

struct Shop {
    engine: Arc<Engine>,
}

struct OpenTemplate {
    engine: Arc<Engine>,
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

impl Workshop for Shop {
    fn open(&self, folder: &Path) -> Result<Warned<Arc<dyn Opened>>, MakeError> {
        let Warned { value, warnings } = self.engine.open(folder, &[]).map_err(fault)?;
        let opened = OpenTemplate { engine: self.engine.clone(), template: value };
        Ok(Warned { value: Arc::new(opened), warnings })
    }

    fn inspect(&self, folder: &Path) -> Result<(), MakeError> {
        inspect::inspect(folder)
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

    fn fill(&self, data: Value, rendition: Option<&str>) -> Result<Warned<Video>, MakeError> {
        let data = self.template.data("data", data)?;
        self.engine.personalise(&self.template, &data, rendition).map_err(fault)
    }

    fn plan(&self, video: &Video, profile: VideoProfile) -> Plan {
        self.engine.plan_for(video, profile)
    }

    fn prepare<'a>(&'a self, video: &'a Video) -> Result<Prepared<'a>, MakeError> {
        self.engine.prepare(&self.template, video).map_err(fault)
    }
}
