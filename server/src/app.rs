//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::HttpRequest;
use tokio::sync::{Notify, Semaphore};
use vignette_templates::blob::Digest;

use crate::artefacts::Artefacts;
use crate::catalog::{Catalog, Version};
use crate::clock;
use crate::config::Config;
use crate::erase::Ledger;
use crate::jobs::Jobs;
use crate::limit::Limiter;
use crate::log;
use crate::metrics::Metrics;
use crate::output::{self, Making};
use crate::problem::Problem;
use crate::records::Records;
use crate::remote::Fetcher;
use crate::secrets::Secrets;
use crate::shelf::{Shelf, Warm};
use crate::sitting::Studio;
use crate::traces::{self, Span};
use crate::uses::ViewerId;
use crate::viewing::Viewing;
use crate::workshop::{MakeError, Workshop};

/// The service's state.
pub struct App {
    /// How it runs.
    pub config: Config,
    /// Templates.
    pub catalog: Catalog,
    /// Records.
    pub records: Arc<Records>,
    /// Keys.
    pub secrets: Secrets,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// Who makes pieces.
    pub studio: Arc<Studio>,
    /// Known viewings.
    pub shelf: Shelf,
    /// Finished bytes.
    pub warm: Warm,
    /// Who was erased, and how long what is made is kept.
    pub ledger: Ledger,
    /// There may be a row or a forecast to begin.
    pub batches: Notify,
    /// Finished files.
    pub artefacts: Artefacts,
    /// Files that are being made.
    pub making: Making,
    /// Render jobs.
    pub jobs: Jobs,
    /// Fetches audiences from hosts that are allowed, if any is.
    pub fetcher: Option<Fetcher>,
    /// When it was opened, in seconds since 1970.
    pub opened: i64,
    /// Requests per key.
    pub limiter: Limiter,
    /// Whether callers need no key: nobody made one, and only this machine can call.
    pub open: bool,
    /// Videos that may be filled at a time.
    fills: Semaphore,
    stopping: AtomicBool,
    ending: Notify,
}

/// Videos that are filled at a time for each core: filling waits for generators more than it computes.
const FILLS_PER_CORE: usize = 4;

/// The pause before something that could not be written is written again.
const INSISTENCE: Duration = Duration::from_millis(500);

/// Everything that decides a viewing.
pub struct Wish {
    /// Whose template it is.
    pub tenant: String,
    /// The template.
    pub template: String,
    /// Its version; the published one when it is left out.
    pub version: Option<String>,
    /// The rendition.
    pub rendition: Option<String>,
    /// The viewer's data.
    pub data: serde_json::Value,
    /// The viewer, if the caller named one; has no part in what is made.
    pub viewer: Option<ViewerId>,
}

impl App {
    /// Opens everything that the configuration names.
    ///
    /// # Errors
    /// What cannot be opened, in words for the operator.
    pub fn open(config: Config, workshop: Arc<dyn Workshop>, rotate: bool) -> Result<App, String> {
        let data = &config.data_dir;
        for folder in [data.clone(), data.join("templates")] {
            std::fs::create_dir_all(&folder)
                .map_err(|error| format!("{}: cannot be made: {error}", folder.display()))?;
        }
        let secrets = Secrets::open(data, rotate)?;
        let records = Arc::new(Records::open(&config.source())?);
        let artefacts = config.artefacts()?;
        output::clean(artefacts.folder(), records.database.is_shared());
        let has_keys = records.has_keys().map_err(|_| "the database does not answer".to_owned())?;
        let local = config.address()?.ip().is_loopback();
        if !has_keys && !local {
            return Err(format!(
                "bind: {} can be reached from other machines, and there is no API key yet; make one with \
                 vignette serve --add-key TENANT, or bind to 127.0.0.1",
                config.bind
            ));
        }
        let metrics = Arc::new(Metrics::default());
        let studio = Studio::new(workshop.clone(), metrics.clone(), config.cores(), config.limits.sittings);
        let catalog =
            Catalog::open(workshop, records.clone(), config.templates.as_deref(), data.join("templates"))?;
        let ledger = Ledger::open(&records, config.limits.retention_days)
            .map_err(|_| "the database does not answer".to_owned())?;
        Ok(App {
            ledger,
            catalog,
            records,
            secrets,
            metrics,
            studio: Arc::new(studio),
            artefacts,
            shelf: Shelf::new(config.limits.viewings),
            warm: Warm::new(config.limits.warm_bytes),
            batches: Notify::new(),
            making: Making::default(),
            jobs: Jobs::default(),
            limiter: Limiter::new(config.limits.requests_per_second),
            open: !has_keys,
            fetcher: Fetcher::new(&config),
            opened: clock::now(),
            fills: Semaphore::new(config.cores() * FILLS_PER_CORE),
            stopping: AtomicBool::new(false),
            ending: Notify::new(),
            config,
        })
    }

    /// The filled and planned video for `wish`, made once for all who ask.
    ///
    /// # Errors
    /// A template that there is not; data that are wrong; a video that is too long.
    pub async fn viewing(self: &Arc<Self>, wish: Wish) -> Result<Arc<Viewing>, Problem> {
        let (id, version) = self.name(&wish).await?;
        let cell = self.shelf.cell(id, wish.viewer);
        let viewing =
            cell.get_or_try_init(|| self.fill(id, version, wish.data, wish.rendition, false)).await?;
        Ok(viewing.clone())
    }

    /// The same for one of many, which nobody watches: it does not push out what is being watched, and speech that nobody can speak
    /// is an error.
    ///
    /// # Errors
    /// As [`App::viewing`].
    pub async fn viewing_apart(self: &Arc<Self>, wish: Wish) -> Result<Arc<Viewing>, Problem> {
        let (id, version) = self.name(&wish).await?;
        self.fill(id, version, wish.data, wish.rendition, true).await
    }

    /// Names a viewing by everything that decides it.
    async fn name(self: &Arc<Self>, wish: &Wish) -> Result<(Digest, Version), Problem> {
        let (app, tenant, name, version) =
            (self.clone(), wish.tenant.clone(), wish.template.clone(), wish.version.clone());
        let version = match self.catalog.in_gallery(&tenant, &name, version.as_deref()) {
            Some(found) => found,
            None => {
                actix_web::web::block(move || app.catalog.get(&tenant, &name, version.as_deref())).await??
            }
        };
        let data = wish.data.to_string();
        let parts = [
            wish.tenant.as_bytes(),
            version.name.as_bytes(),
            version.version.as_bytes(),
            &[u8::from(version.gallery)],
            wish.rendition.as_deref().unwrap_or_default().as_bytes(),
            data.as_bytes(),
        ];
        Ok((Digest(self.secrets.name("viewing", &parts)), version))
    }

    async fn fill(
        self: &Arc<Self>,
        id: Digest,
        version: Version,
        data: serde_json::Value,
        rendition: Option<String>,
        aloud: bool,
    ) -> Result<Arc<Viewing>, Problem> {
        let (place, span) = (traces::here(), Span::begin("fill"));
        let wait = span.place().begin("turn");
        let _permit = self.fills.acquire().await.map_err(|_| Problem::busy())?;
        drop(wait);
        self.metrics.filled.fetch_add(1, Ordering::Relaxed);
        let most = self.config.limits.video_seconds;
        let made = actix_web::web::block(move || {
            let filled = version.opened.fill(data, rendition.as_deref(), aloud);
            let filled = filled.inspect_err(|error| span.fail(error.kind()))?;
            let seconds = filled.video.value.duration().as_seconds();
            if seconds > most as f64 {
                span.fail("too-long");
                return Err(MakeError::Input(format!(
                    "the video would last {seconds:.0} s; this service makes at most {most} s"
                )));
            }
            span.set("vignette.scenes", filled.video.value.scenes.len() as i64);
            span.set("vignette.frames", i64::from(filled.video.value.frames()));
            span.set("vignette.generated", filled.generated.len() as i64);
            span.set("vignette.warnings", filled.video.warnings.len() as i64);
            drop(span);
            let span = place.begin("plan");
            let viewing = Viewing::plan(id, version, filled);
            span.set("vignette.sizes", viewing.sizes.len() as i64);
            let segments = viewing.sizes.iter().map(|size| size.plan.segments.len());
            span.set("vignette.segments", segments.sum::<usize>() as i64);
            Ok(Arc::new(viewing))
        });
        Ok(made.await??)
    }

    /// Writes something down, however often that takes while the database is away. When the service ends before, what was under way is
    /// begun again at the next start.
    pub async fn insist(
        self: &Arc<Self>,
        write: impl Fn(&App) -> Result<(), Problem> + Send + Sync + 'static,
    ) {
        let write = Arc::new(write);
        loop {
            let (app, write) = (self.clone(), write.clone());
            if let Ok(Ok(())) = actix_web::web::block(move || write(&app)).await {
                return;
            }
            if self.is_stopping() {
                log::error("database", "something was not written before the end");
                return;
            }
            tokio::time::sleep(INSISTENCE).await;
        }
    }

    /// How viewers reach this service, for addresses in answers.
    pub fn base(&self, request: &HttpRequest) -> String {
        if let Some(url) = &self.config.public_url {
            return url.clone();
        }
        let connection = request.connection_info();
        let host = connection.host();
        // What a caller may choose is only taken as far as it looks like a host.
        let plain = host.bytes().all(|sign| sign.is_ascii_alphanumeric() || b".-:[]".contains(&sign));
        let host = if plain && host.len() <= 255 { host } else { "localhost" };
        format!("http://{host}")
    }

    /// Begins to end: no new job is begun.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.jobs.wake();
        self.batches.notify_waiters();
        self.ending.notify_waiters();
    }

    /// Waits, but not beyond the service's end.
    pub async fn ending_or(&self, pause: Duration) {
        let ending = self.ending.notified();
        if !self.is_stopping() {
            // Either of both is what was waited for.
            let _ = tokio::time::timeout(pause, ending).await;
        }
    }

    /// Whether the service is ending.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
