//! How the service runs.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::artefacts::Artefacts;
use crate::database::Source;
use crate::traces::Settings;

/// What is not shown, not even for finding faults.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

/// The service's configuration: a TOML file, over which the command line and environment go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port. Default: `127.0.0.1:8080`.
    pub bind: String,
    /// Where the database, keys, uploaded templates and finished files are. Default: `vignette-data`.
    pub data_dir: PathBuf,
    /// A PostgreSQL in place of the file in `data_dir`: `postgres://user:password@host/name`. Default: none.
    pub database: Option<Secret>,
    /// Where finished files are kept: a folder, or `s3://bucket/prefix`. Default: `files` in `data_dir`.
    pub files: Option<String>,
    /// A folder of template packages that every tenant may use. Default: none.
    pub templates: Option<PathBuf>,
    /// How viewers reach the service, e.g. `https://video.example.com`. Default: as the request says.
    pub public_url: Option<String>,
    /// The player for browsers without HLS, `hls.min.js`. Default: none; such browsers then play `video.mp4`.
    pub player: Option<PathBuf>,
    /// A collector of OpenTelemetry that traces are sent to, e.g. `http://127.0.0.1:4318`. Default: what the environment says as
    /// OpenTelemetry has it, mostly none.
    pub traces: Option<Secret>,
    /// Cores for composing and encoding. Default: all.
    pub cores: Option<usize>,
    /// Bounds.
    pub limits: Limits,
    /// Hosts that webhooks may be sent to although their addresses are private. Default: none.
    pub private_webhook_hosts: Vec<String>,
    /// Hosts from which files that templates or viewers' data name by `https:` are fetched. Default: none.
    pub asset_hosts: Vec<String>,
    /// Those of them whose addresses may be private, and that may be asked by `http:` and on any port. Default: none.
    pub private_asset_hosts: Vec<String>,
    /// Origins whose pages may call the API, e.g. `https://app.example.com`; `*` is all. Default: none.
    pub cors_origins: Vec<String>,
    /// Whether each request has a line in the log. Default: yes.
    pub log_requests: bool,
}

/// Bounds on what strangers may ask for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Viewings that are made at a time; more are told `503`. Default: 64.
    pub sittings: usize,
    /// Viewings that are known at a time. Default: 2000.
    pub viewings: usize,
    /// Bytes of finished segments kept in memory. Default: 128 MiB.
    pub warm_bytes: usize,
    /// Bytes of a JSON body. Default: 128 KiB.
    pub body_bytes: usize,
    /// Bytes of an uploaded template. Default: 64 MiB.
    pub upload_bytes: usize,
    /// Bytes of an uploaded template's files. Default: 256 MiB.
    pub unpacked_bytes: u64,
    /// Render jobs that wait, over all tenants. Default: 10,000.
    pub queue: u64,
    /// Render jobs under way. Default: 2.
    pub jobs: usize,
    /// Seconds that a video may last. Default: 600.
    pub video_seconds: u64,
    /// Requests a second and key under `/v1`, with as many at once as in ten seconds. Default: 20.
    pub requests_per_second: u32,
    /// Seconds that a request's header may take. Default: 10.
    pub header_seconds: u64,
    /// Seconds that a request's body may take. Default: 60.
    pub body_seconds: u64,
    /// Seconds that a receiver of a webhook may take. Default: 15.
    pub webhook_seconds: u64,
    /// Connections at a time. Default: 4096.
    pub connections: usize,
    /// Bytes of an audience. Default: 64 MiB.
    pub batch_bytes: usize,
    /// Rows of an audience. Default: 100,000.
    pub batch_rows: u64,
    /// Batches of a tenant that have not ended. Default: 20.
    pub batches: u32,
    /// Rows of batches that are made at a time, beside render jobs. Default: 1.
    pub batch_workers: usize,
    /// Bytes of a file that is fetched. Default: 20 MiB.
    pub asset_bytes: usize,
    /// Pixels of a picture that is fetched. Default: 50 million.
    pub asset_pixels: u64,
    /// Seconds that fetching a file may take, redirects included. Default: 8.
    pub asset_seconds: u64,
    /// Seconds without progress after which a decoder or an encoder counts as hanging. Default: 60.
    pub stall_seconds: u64,
    /// Seconds of a core that reading one file of a stranger may take, in a process of its own. Default: 30.
    pub reader_seconds: u64,
    /// Bytes of addresses that such a process may take. Default: 4 GiB.
    pub reader_bytes: u64,
    /// Days that finished files of jobs, and the records of them, are kept. Default: 7.
    pub keep_days: u32,
    /// Days that links open and what was made is kept, where a template has no retention time of its own. Default: 730.
    pub retention_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            bind: "127.0.0.1:8080".into(),
            data_dir: "vignette-data".into(),
            database: None,
            files: None,
            templates: None,
            public_url: None,
            player: None,
            traces: None,
            cores: None,
            limits: Limits::default(),
            private_webhook_hosts: Vec::new(),
            asset_hosts: Vec::new(),
            private_asset_hosts: Vec::new(),
            cors_origins: Vec::new(),
            log_requests: true,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            sittings: 64,
            viewings: 2000,
            warm_bytes: 128 << 20,
            body_bytes: 128 << 10,
            upload_bytes: 64 << 20,
            unpacked_bytes: 256 << 20,
            queue: 10_000,
            jobs: 2,
            video_seconds: 600,
            requests_per_second: 20,
            header_seconds: 10,
            body_seconds: 60,
            webhook_seconds: 15,
            connections: 4096,
            batch_bytes: 64 << 20,
            batch_rows: 100_000,
            batches: 20,
            batch_workers: 1,
            asset_bytes: 20 << 20,
            asset_pixels: 50_000_000,
            asset_seconds: 8,
            stall_seconds: 60,
            reader_seconds: 30,
            reader_bytes: 4 << 30,
            keep_days: 7,
            retention_days: 730,
        }
    }
}

impl Config {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// A file that cannot be read, or a setting that there is not or that has another type, with its place.
    pub fn read(path: &Path) -> Result<Config, String> {
        let shown = path.display();
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("{shown}: cannot be read: {error}"))?;
        Config::parse(&text).map_err(|why| format!("{shown}: {why}"))
    }

    /// Errors show the line where they are, unless it holds an address, which may hold a password.
    fn parse(text: &str) -> Result<Config, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let shown = error.to_string();
            if !shown.contains("://") {
                return shown;
            }
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.split('\n').count();
            let message = Some(error.message()).filter(|message| !message.contains("://"));
            format!("line {line}: {}", message.unwrap_or("not of the type that it should have"))
        })
    }

    /// Where the records are.
    pub fn source(&self) -> Source {
        match &self.database {
            Some(url) => Source::Url(url.0.clone()),
            None => Source::File(self.data_dir.join("vignette.db")),
        }
    }

    /// Where finished files are.
    ///
    /// # Errors
    /// A place that cannot be, in words.
    pub fn artefacts(&self) -> Result<Artefacts, String> {
        Artefacts::open(&self.data_dir.join("files"), self.files.as_deref())
    }

    /// Every fault of the configuration, in words.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(fault) = self.address() {
            faults.push(fault);
        }
        for (name, folder) in [("templates", &self.templates)] {
            if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_dir()) {
                faults.push(format!("{name}: there is no folder {}", folder.display()));
            }
        }
        if self.files.as_ref().is_some_and(|place| place.contains("://")) {
            faults.extend(self.artefacts().err());
        }
        if let Some(player) = self.player.as_ref().filter(|player| !player.is_file()) {
            faults.push(format!(
                "player: there is no file {}; scripts/setup.sh --serve fetches it",
                player.display()
            ));
        }
        if let Some(url) = &self.public_url {
            let plain = url.bytes().all(|sign| sign.is_ascii_alphanumeric() || b":/.-_~[]".contains(&sign));
            if !(url.starts_with("https://") || url.starts_with("http://")) || !plain || url.ends_with('/') {
                faults.push("public_url: expected http(s)://host without a slash at its end".into());
            }
        }
        for origin in &self.cors_origins {
            let plain = origin.bytes().all(|sign| sign.is_ascii_alphanumeric() || b":/.-[]".contains(&sign));
            let bare = origin.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains('/')
            });
            if origin != "*" && !(plain && bare) {
                faults.push(format!("cors_origins: `{origin}` is no origin such as https://app.example.com"));
            }
        }
        if let Err(told) = self.traces() {
            faults.extend(told);
        }
        let limits = &self.limits;
        for (name, value, least, most) in [
            ("sittings", limits.sittings as u64, 1, 10_000),
            ("viewings", limits.viewings as u64, 1, 1_000_000),
            ("body_bytes", limits.body_bytes as u64, 1024, 16 << 20),
            ("upload_bytes", limits.upload_bytes as u64, 1024, 1 << 32),
            ("unpacked_bytes", limits.unpacked_bytes, 1024, 1 << 36),
            ("queue", limits.queue, 1, 100_000_000),
            ("jobs", limits.jobs as u64, 1, 1024),
            ("stall_seconds", limits.stall_seconds, 1, 3600),
            ("reader_seconds", limits.reader_seconds, 1, 3600),
            ("reader_bytes", limits.reader_bytes, 1 << 30, 1 << 40),
            ("video_seconds", limits.video_seconds, 1, 36_000),
            ("requests_per_second", u64::from(limits.requests_per_second), 1, 1_000_000),
            ("header_seconds", limits.header_seconds, 1, 600),
            ("body_seconds", limits.body_seconds, 1, 3600),
            ("webhook_seconds", limits.webhook_seconds, 1, 300),
            ("connections", limits.connections as u64, 1, 1_000_000),
            ("batch_bytes", limits.batch_bytes as u64, 1024, 1 << 32),
            ("batch_rows", limits.batch_rows, 1, 10_000_000),
            ("batches", u64::from(limits.batches), 1, 10_000),
            ("batch_workers", limits.batch_workers as u64, 1, 1024),
            ("asset_bytes", limits.asset_bytes as u64, 1024, 512 << 20),
            ("asset_pixels", limits.asset_pixels, 1, 1_000_000_000),
            ("asset_seconds", limits.asset_seconds, 1, 60),
            ("keep_days", u64::from(limits.keep_days), 1, 3650),
            ("retention_days", u64::from(limits.retention_days), 1, 3650),
        ] {
            if !(least..=most).contains(&value) {
                faults.push(format!("limits.{name}: {value} is not between {least} and {most}"));
            }
        }
        faults
    }

    /// The address to listen on.
    ///
    /// # Errors
    /// A name that leads nowhere, in words.
    pub fn address(&self) -> Result<SocketAddr, String> {
        let expected = || format!("bind: `{}` is no address and port, such as 127.0.0.1:8080", self.bind);
        self.bind.to_socket_addrs().map_err(|_| expected())?.next().ok_or_else(expected)
    }

    /// Where traces go, by this and the environment; `None` is nowhere.
    pub(crate) fn traces(&self) -> Result<Option<Settings>, Vec<String>> {
        let own = self.traces.as_ref().map(|address| address.0.as_str());
        Settings::read(own, &|name| std::env::var(name).ok())
    }

    /// Cores for composing and encoding.
    pub fn cores(&self) -> usize {
        self.cores
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
            .clamp(1, 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told() {
        assert_eq!(Config::default().faults(), Vec::<String>::new());
        for (text, told) in [
            ("bind = 'nowhere'", "bind:"),
            ("files = 's3://'", "files:"),
            ("files = 'ftp://host/x'", "files:"),
            ("templates = '/not/there'", "templates:"),
            ("player = '/not/there'", "player:"),
            ("public_url = 'ftp://x'", "public_url:"),
            ("public_url = 'https://x/'", "public_url:"),
            ("[limits]\njobs = 0", "limits.jobs:"),
            ("cors_origins = ['https://x.test/']", "cors_origins:"),
            ("cors_origins = ['x.test']", "cors_origins:"),
            ("traces = 'collector:4317'", "traces:"),
        ] {
            let config: Config = toml::from_str(text).unwrap();
            let faults = config.faults();
            assert!(faults.len() == 1 && faults[0].starts_with(told), "{text}: {faults:?}");
        }
        assert!(Config::parse("bnid = 'x'").unwrap_err().contains("bnid"));
        for text in [
            "databse = 'postgres://me:geheim@host/x'",
            "bind = ''\njobs = 'postgres://me:geheim@host'",
            "cores = 'postgres://me:geheim@host'",
        ] {
            let told = Config::parse(text).unwrap_err();
            assert!(told.starts_with("line ") && !told.contains("geheim"), "{told}");
        }
    }
}
