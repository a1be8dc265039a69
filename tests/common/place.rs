//! A folder for a service: its data, and a gallery of one template.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::postgres;
use super::service::Service;
use super::tone;

/// Six seconds in three scenes, of which one shows a name; a tone, and captions with the name.
pub const HELLO: &str = r##"
vignette: 1
name: hello
canvas: { width: 1280, height: 720, fps: 20, background: "#101828" }
data:
  required: [first_name]
  properties:
    first_name: { type: string, maxLength: 40, x-pii: true }
    age: { type: integer, default: 1 }
    story: { type: string, maxLength: 6000, default: "" }
assets: { tone: { audio: tone.wav } }
scenes:
  - name: one
    duration: 1500ms
    layers:
      - { rect: { fill: "#7c3aed" }, box: { x: 0, y: 0, width: 30%, height: 100% }, enter: { slide: left, for: 1s } }
  - name: two
    duration: 2500ms
    layers:
      - text: "Hi {{first_name}}"
        style: { size: 80px, color: white, fit: shrink }
        box: { x: 5%, y: 30%, width: 90%, height: 40% }
  - { name: three, duration: 2s, background: "#f97316" }
audio: [{ asset: tone, gain: -12dB }]
captions: [{ at: one, for: 2s, text: "Welcome, {{first_name}}" }, { at: two, for: 2s, text: Have fun }]
"##;

/// The same small, and with a line and a picture that are generated for the name.
pub const GENERATED: &str = r##"
vignette: 1
name: hello
canvas: { width: 320, height: 180, fps: 20, background: "#101828" }
data:
  required: [first_name]
  properties:
    first_name: { type: string, maxLength: 40, x-pii: true, examples: [Maria] }
    plan: { type: string, enum: [basic, pro], default: basic }
    story: { type: string, maxLength: 6000, default: "" }
assets: { tone: { audio: tone.wav } }
generate:
  backdrop: { image: { prompt: calm waves, style: waves, width: 320, height: 180, palette: ["#0b1020", "#6366f1"], seed: "{{first_name}}" } }
  line: { text: { grammar: { start: ["Good to see you, {{first_name}}", "Welcome, {{first_name}}"] }, seed: "{{first_name}}", fallback: "Hi" } }
scenes:
  - name: one
    duration: 1500ms
    layers:
      - { rect: { fill: "#7c3aed" }, box: { x: 0, y: 0, width: 30%, height: 100% }, enter: { slide: left, for: 1s } }
  - name: two
    duration: 2500ms
    layers:
      - { image: backdrop, fit: cover }
      - text: "{{line}}"
        style: { size: 20px, color: white, fit: shrink }
        box: { x: 5%, y: 30%, width: 90%, height: 40% }
  - { name: three, duration: 2s, background: "#f97316" }
audio: [{ asset: tone, gain: -12dB }]
captions: [{ at: one, for: 2s, text: "Welcome, {{first_name}}" }]
"##;

/// The folder; removed when dropped. In the target `service_postgres` its service has a PostgreSQL.
pub struct Place {
    folder: tempfile::TempDir,
    database: Option<String>,
}

impl Place {
    /// With a template `hello`, [`HELLO`].
    pub fn new() -> Place {
        Place::with("hello", HELLO)
    }

    /// With a template `hello`, [`GENERATED`].
    pub fn generated() -> Place {
        Place::with("hello", GENERATED)
    }

    /// With this template of that name, which may use `tone.wav`.
    pub fn with(name: &str, template: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("gallery").join(name);
        fs::create_dir_all(&package).unwrap();
        fs::write(package.join("template.yaml"), template).unwrap();
        fs::write(package.join("tone.wav"), tone(7 * 48_000)).unwrap();
        let shared = env!("CARGO_CRATE_NAME") == "service_postgres";
        Place { folder, database: shared.then(|| postgres::shared().database()) }
    }

    /// The same with this PostgreSQL.
    pub fn on(mut self, url: String) -> Place {
        self.database = Some(url);
        self
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The service's own.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Its templates.
    pub fn gallery(&self) -> PathBuf {
        self.path().join("gallery")
    }

    /// Starts its service with these settings.
    pub fn start(&self, config: &str) -> Service {
        self.start_by(Command::new(env!("CARGO_BIN_EXE_vignette")), config)
    }

    /// The same by another command, to which the arguments are added.
    pub fn start_by(&self, command: Command, config: &str) -> Service {
        let database = self.database.iter().map(|url| format!("database = '{url}'\n"));
        let config = database.collect::<String>() + config;
        Service::start_by(command, &self.data(), &self.gallery(), &config)
    }

    /// Runs a statement on the service's database.
    pub fn sql(&self, statement: &str) {
        match &self.database {
            Some(url) => postgres::sql(url, statement),
            None => {
                let records = rusqlite::Connection::open(self.data().join("vignette.db")).unwrap();
                records.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
                records.execute_batch(statement).unwrap();
            }
        }
    }

    /// Has another process keep the database to itself, until what is given is dropped.
    pub fn hold(&self) -> Holder {
        let mut command;
        let begin = match &self.database {
            None => {
                let script = "import sqlite3, sys\n\
                    db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)\n\
                    db.execute('BEGIN EXCLUSIVE')\nprint('held', flush=True)\nsys.stdin.read()\ndb.execute('ROLLBACK')\n";
                command = Command::new("python3");
                command.args(["-c", script]).arg(self.data().join("vignette.db"));
                ""
            }
            Some(url) => {
                command = Command::new(postgres_program("psql"));
                command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]);
                "BEGIN; LOCK TABLE jobs, links, uses, owners, viewers, deliveries IN ACCESS EXCLUSIVE MODE;\n\\echo held\n"
            }
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(begin.as_bytes()).unwrap();
        let mut told = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut told).unwrap();
        assert_eq!(told, "held\n");
        Holder(child)
    }

    /// Everything that stands in the service's database.
    pub fn records(&self) -> Vec<u8> {
        match &self.database {
            Some(url) => dump(url),
            None => {
                // What was written last may stand beside it.
                let read = |name: &str| fs::read(self.data().join(name)).unwrap_or_default();
                [read("vignette.db"), read("vignette.db-wal")].concat()
            }
        }
    }

    /// Runs `vignette serve` with other arguments, to its end.
    pub fn run(&self, arguments: &[&str]) -> String {
        let mut command = super::vignette();
        command.args(["serve", "--data-dir"]).arg(self.data()).args(arguments);
        command.envs(self.database.iter().map(|url| ("VIGNETTE_DATABASE", url)));
        super::succeed(&mut command)
    }

    /// A key for a tenant.
    pub fn key(&self, tenant: &str, scopes: &[&str]) -> String {
        let mut arguments = vec!["--add-key", tenant];
        let scopes = scopes.join(",");
        if !scopes.is_empty() {
            arguments.extend(["--scopes", &scopes]);
        }
        let told = self.run(&arguments);
        told.lines().find_map(|line| line.strip_prefix("key ")).unwrap().to_owned()
    }

    /// Every file below the data folder, with its bytes.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut folders, mut files) = (vec![self.data()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap().flatten() {
                let path = entry.path();
                match path.is_dir() {
                    true => folders.push(path),
                    // One that is gone by now is no file.
                    false => files.extend(fs::read(&path).ok().map(|bytes| (path, bytes))),
                }
            }
        }
        files
    }
}

/// A process that keeps a database to itself until its input ends.
pub struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A program that comes with PostgreSQL.
fn postgres_program(name: &str) -> String {
    let programs = std::env::var("VIGNETTE_POSTGRES").unwrap_or("/usr/lib/postgresql/15/bin".into());
    format!("{programs}/{name}")
}

/// Everything that stands in the database of that URL, bytes as they are.
fn dump(url: &str) -> Vec<u8> {
    let (server, schema) = url.split_once("?options=-c%20search_path%3D").unwrap();
    let output =
        Command::new(postgres_program("pg_dump")).args(["--data-only", "-n", schema, "-d", server]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut all = text.clone().into_bytes();
    // Bytes are told in hexadecimal (bytea, PostgreSQL 15, section 8.4.1).
    for part in text.split("\\\\x").skip(1) {
        let digits: Vec<u8> = part.bytes().take_while(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        all.extend(digits.chunks_exact(2).map(byte));
    }
    all
}

/// The lines of a playlist that are addresses, the header's first.
pub fn media_of(playlist: &str) -> Vec<String> {
    let header = playlist.lines().find_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")?.strip_suffix('"'));
    let pieces = playlist.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    header.into_iter().chain(pieces).map(str::to_owned).collect()
}

/// Everything that a link's playlists name, by playlist; the sound's is the last.
pub fn all_media(service: &Service, link: &str) -> Vec<Vec<String>> {
    let master = service.get(&format!("{link}master.m3u8"));
    assert_eq!(master.status, 200, "{}", master.text());
    let master = master.text();
    let audio = master.lines().find(|line| line.contains("TYPE=AUDIO")).unwrap();
    let audio = audio.split("URI=\"").nth(1).unwrap().trim_end_matches('"').to_owned();
    let lists = master.lines().filter(|line| line.ends_with("index.m3u8")).map(str::to_owned).chain([audio]);
    lists.map(|list| media_of(&service.get(&format!("{link}{list}")).text())).collect()
}
